/*
 * edge_types.c
 *		Weights of entries from the behaviours of their edges, and the gradient of the gains.
 *
 * There are few sets of behaviours, so weights come from a table and gradients are first summed
 * by set: both passes stream 5 bytes for each entry.
 */
#include "core/edge_types.h"

#include <math.h>
#include <string.h>

#define SETS 256				/* of behaviours: one bit each */

/* Weight of each set of behaviours, for entries of users and of objects. */
typedef struct TypeTable
{
	float		weights[2][SETS];
} TypeTable;

static bool
is_typed(const Network *network)
{
	return network->graph->types != NULL;
}

CoreStatus
edge_types_open(Network *network, Arena *arena, bool for_training)
{
	const Graph *graph = network->graph;
	size_t		entries = 2 * graph->n_edges;

	if (!is_typed(network))
		return CORE_OK;
	network->typed_weights = arena_floats(arena, entries);
	network->shown_types = graph->types;
	if (for_training)
	{
		network->shown_types = arena_allocate(arena, entries, 1);
		network->gain_partial = arena_doubles(arena, (size_t) network->n_shards * EDGE_TYPE_GAINS);
		if (network->shown_types != NULL)
			memcpy(network->shown_types, graph->types, entries);
	}
	return network->core->status;
}

void
edge_types_draw(Network *network)
{
	const Graph *graph = network->graph;

	for (int l = 0; is_typed(network) && l < network->options->layers; l++)
		for (int i = 0; i < 2 * graph->n_types; i++)
			network->parameters[network->layout.type_gains[l] + i / graph->n_types * GRAPH_MOST_TYPES +
								i % graph->n_types] = logf(graph->type_weights[i % graph->n_types]);
}

double
edge_types_initial_weight(const Graph *graph, int64_t entry)
{
	double		weight = 0;

	if (graph->types == NULL)
		return 1;
	for (int t = 0; t < graph->n_types; t++)
		if (graph->types[entry] >> t & 1)
			weight += graph->type_weights[t];
	return weight;
}

/* exp(gain) of a layer's entries of one direction. */
static void
gain_factors(const Network *network, int l, int direction, double *factors)
{
	const float *gains = network->parameters + network->layout.type_gains[l] + direction * GRAPH_MOST_TYPES;

	for (int t = 0; t < GRAPH_MOST_TYPES; t++)
		factors[t] = t < network->graph->n_types ? exp(gains[t]) : 0;
}

static void
fill_table(const Network *network, int l, TypeTable *table)
{
	for (int direction = 0; direction < 2; direction++)
	{
		double		factors[GRAPH_MOST_TYPES];

		gain_factors(network, l, direction, factors);
		for (int set = 0; set < SETS; set++)
		{
			double		sum = 0;

			for (int t = 0; t < GRAPH_MOST_TYPES; t++)
				sum += set >> t & 1 ? factors[t] : 0;
			table->weights[direction][set] = (float) sum;
		}
	}
}

static void
weigh_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const TypeTable *table = argument;
	const Graph *graph = network->graph;

	(void) shard;
	for (int32_t v = first; v < last; v++)
	{
		const float *weights = table->weights[v >= graph->n_users];

		for (int64_t e = graph->offsets[v]; e < graph->offsets[v + 1]; e++)
			network->typed_weights[e] = weights[network->shown_types[e]] *
				(graph->weights == NULL ? 1 : graph->weights[e]);
	}
}

CoreStatus
edge_types_weigh(Network *network, int l)
{
	TypeTable	table;

	if (!is_typed(network))
		return CORE_OK;
	fill_table(network, l, &table);
	return network_over_nodes(network, weigh_nodes, &table);
}

/* Gradient of the logarithm of an entry's weight. */
static double
log_weight_gradient(const Network *network, int32_t v, int64_t e)
{
	double		gradient = network->weight_gradient[e];

	if (network->options->attention == ATTENTION_ADDITIVE)
		return gradient;		/* that of the score, which the logarithm is added to */
	if (network->neighbour_scale != NULL)
		gradient *= network->neighbour_scale[network->graph->neighbours[e]];
	return gradient * network->node_scale[v] * network->typed_weights[e];
}

/* One shard: a set's gradient goes to its behaviours by their shares of its weight. */
static void
sum_gains(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const Graph *graph = network->graph;
	int			l = *(int *) argument;
	double	   *partial = network->gain_partial + shard * EDGE_TYPE_GAINS;
	double		sums[2][SETS] = {{0}};

	for (int32_t v = first; v < last; v++)
		for (int64_t e = graph->offsets[v]; e < graph->offsets[v + 1]; e++)
			if (network->shown_types[e] != 0)
				sums[v >= graph->n_users][network->shown_types[e]] += log_weight_gradient(network, v, e);
	memset(partial, 0, EDGE_TYPE_GAINS * sizeof(double));
	for (int direction = 0; direction < 2; direction++)
	{
		double		factors[GRAPH_MOST_TYPES];

		gain_factors(network, l, direction, factors);
		for (int set = 1; set < SETS; set++)
		{
			double		all = 0;

			for (int t = 0; t < graph->n_types; t++)
				all += set >> t & 1 ? factors[t] : 0;
			for (int t = 0; t < graph->n_types && all > 0; t++)
				if (set >> t & 1)
					partial[direction * GRAPH_MOST_TYPES + t] += sums[direction][set] * factors[t] / all;
		}
	}
}

CoreStatus
edge_types_backward(Network *network, int l)
{
	float	   *gradient = network->gradients + network->layout.type_gains[l];

	if (!is_typed(network))
		return CORE_OK;
	if (network_over_nodes(network, sum_gains, &l) != CORE_OK)
		return network->core->status;
	for (int i = 0; i < EDGE_TYPE_GAINS; i++)
	{
		double		sum = 0;

		for (int shard = 0; shard < network->n_shards; shard++)
			sum += network->gain_partial[(size_t) shard * EDGE_TYPE_GAINS + i];
		gradient[i] = (float) sum;
	}
	return CORE_OK;
}
