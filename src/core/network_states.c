/*
 * network_states.c
 *		States of nodes out of a network, and into one that has only part of their neighbours.
 */
#include "core/network_states.h"

#include <math.h>
#include <string.h>

int
network_state_numbers(const EncoderOptions *options)
{
	return NETWORK_STATE_DEGREES + options->layers * options->dimension;
}

/* What layer l reads of a node. */
static float *
input_row(const Network *network, int l, int32_t node)
{
	float	   *rows = l == 0 ? network->h0 : network->layers[l - 1].output;

	return rows + (size_t) node * network->width;
}

void
network_state_take(const Network *network, int32_t node, float *state)
{
	const EncoderOptions *options = network->options;
	int			part = options->dimension / options->factors;

	*state++ = (float) network_weighted_degree(network->graph, node);
	*state++ = (float) graph_predicted_degree(network->graph, node);
	for (int l = 0; l < options->layers; l++)
		for (int k = 0; k < options->factors; k++, state += part)
			memcpy(state, input_row(network, l, node) + k * network->sub_width, part * sizeof(float));
}

void
network_scale_known(Network *network)
{
	const KnownNodes *known = network->known;
	int			numbers = network_state_numbers(network->options);

	if (network->neighbour_scale == NULL)
		return;
	for (int32_t i = 0; i < known->n; i++)
		network->neighbour_scale[known->first + i] =
			(float) (1 / sqrt(fmax(1e-30, known->states[(size_t) i * numbers])));
}

void
network_put_states(Network *network, int l)
{
	const KnownNodes *known = network->known;
	const EncoderOptions *options = network->options;
	int			numbers = network_state_numbers(options);
	int			part = options->dimension / options->factors;

	for (int32_t i = 0; known != NULL && i < known->n; i++)
	{
		const float *state = known->states + (size_t) i * numbers + NETWORK_STATE_DEGREES + l * options->dimension;
		float	   *row = input_row(network, l, known->first + i);

		for (int k = 0; k < options->factors; k++)
			memcpy(row + k * network->sub_width, state + k * part, part * sizeof(float));
	}
}
