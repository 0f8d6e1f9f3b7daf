/*
 * warm_start.c
 *		Let a training begin where an earlier one of the same graph ended.
 */
#include "core/warm_start.h"

#include <math.h>
#include <string.h>

#include "core/encoder_training.h"
#include "core/network_parameters.h"

/* See warm_start.h. */
CoreStatus
warm_start_open(WarmStart *warm, Arena *arena, EncoderTraining *training)
{
	*warm = (WarmStart) {.training = training};
	warm->known = arena_allocate_zeroed(arena, (size_t) training->graph->n_nodes, sizeof(bool));
	return training->core->status;
}

/* See warm_start.h. */
CoreStatus
warm_start_put(WarmStart *warm, const NetworkBlock *block, const int32_t *numbers)
{
	EncoderTraining *training = warm->training;
	Network    *network = &training->network;
	bool		objects = block->part == NETWORK_OBJECTS;
	int			row = network_row_count(&block->shape, block->part);

	if (network_shape_check(network, &block->shape) != CORE_OK)
		return training->core->status;
	if (block->part == NETWORK_SHARED)
	{
		network_put_shared(network, block->first, block->count, block->values);
		return CORE_OK;
	}
	for (int32_t i = 0; i < block->count; i++)
	{
		const float *values = block->values + (size_t) i * row;

		if (numbers[i] < 0)
			continue;
		if (objects)
			warm->bias_shift += values[row - 1] - network->parameters[network->layout.object_bias + numbers[i]];
		network_put_node(network, block->part, numbers[i], values);
		warm->known[numbers[i] + (objects ? network->graph->n_users : 0)] = true;
		warm->n_known[objects]++;
	}
	return core_continues(training->core) ? CORE_OK : training->core->status;
}

/* New objects have a first guess as bias, which takes part in where those of the others went. */
static void
shift_biases(WarmStart *warm)
{
	Network    *network = &warm->training->network;
	float	   *bias = network->parameters + network->layout.object_bias;

	if (warm->n_known[1] == 0)
		return;
	for (int32_t i = 0; i < network->graph->n_objects; i++)
		if (!warm->known[network->graph->n_users + i])
			bias[i] += (float) (warm->bias_shift / warm->n_known[1]);
}

static double
row_length(const float *row, int width)
{
	double		sum = 0;

	for (int i = 0; i < width; i++)
		sum += (double) row[i] * row[i];
	return sqrt(sum);
}

/* Mean length of the ID embeddings that were put in, by side. */
static CoreStatus
mean_lengths(const WarmStart *warm, double lengths[2])
{
	const Network *network = &warm->training->network;
	const Graph *graph = network->graph;
	const float *ids = network->parameters + network->layout.id_embeddings;

	lengths[0] = lengths[1] = 0;
	for (int32_t v = 0; v < graph->n_nodes; v++)
	{
		int			side = v >= graph->n_users;

		if (v % 65536 == 0 && !core_continues(network->core))
			return network->core->status;
		if (warm->known[v])
			lengths[side] += row_length(ids + (size_t) v * network->width, network->width) / (double) warm->n_known[side];
	}
	return CORE_OK;
}

/* Put a new node at the mean of its known neighbours, brought to a length. */
static void
place_node(const WarmStart *warm, int32_t v, double length)
{
	const Network *network = &warm->training->network;
	const Graph *graph = network->graph;
	float	   *ids = network->parameters + network->layout.id_embeddings;
	float	   *own = ids + (size_t) v * network->width;
	int64_t		n = 0;
	double		scale;

	for (int64_t e = graph->offsets[v]; e < graph->offsets[v + 1]; e++)
	{
		const float *other = ids + (size_t) graph->neighbours[e] * network->width;

		if (!warm->known[graph->neighbours[e]])
			continue;
		if (n++ == 0)
			memset(own, 0, network->width * sizeof(float));
		for (int i = 0; i < network->width; i++)
			own[i] += other[i];
	}
	scale = n > 0 ? row_length(own, network->width) : 0;
	for (int i = 0; scale > 0 && i < network->width; i++)
		own[i] *= (float) (length / scale);
}

/* See warm_start.h. */
CoreStatus
warm_start_end(WarmStart *warm)
{
	const Network *network = &warm->training->network;
	const Graph *graph = network->graph;
	double		lengths[2];

	shift_biases(warm);
	if (network->layout.id_count == 0)
		return CORE_OK;
	if (mean_lengths(warm, lengths) != CORE_OK)
		return network->core->status;
	for (int32_t v = 0; v < graph->n_nodes; v++)
	{
		if (v % 4096 == 0 && !core_continues(network->core))
			return network->core->status;
		if (!warm->known[v])
			place_node(warm, v, lengths[v >= graph->n_users]);
	}
	return CORE_OK;
}
