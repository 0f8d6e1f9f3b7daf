/*
 * fold_in_network.c
 *		The small graph of a batch, and the network on it; see fold_in_network.h.
 *
 * Rows are taken in only as far as the batch needs them, in their order of appearance.
 */
#include "core/fold_in_network.h"

#include <string.h>

#include "core/network_parameters.h"
#include "core/network_states.h"

typedef struct SmallGraph
{
	const FoldIn *fold;
	const FoldInBatch *batch;
	Arena		arena;
	Graph		graph;
	KnownNodes	known;			/* the rows */
	int32_t		first_node;		/* of the batch */
	EncoderOptions options;
	Features	features[2];
	Network		network;
} SmallGraph;

/* Number the rows that the batch needs, and copy their states. */
static CoreStatus
take_rows(SmallGraph *small)
{
	const FoldInBatch *batch = small->batch;
	int64_t		entries = batch->offsets[batch->n_nodes];
	int			width = network_state_numbers(&small->options);
	int32_t    *numbers = arena_allocate(&small->arena, batch->n_rows, sizeof(int32_t));
	float	   *states = arena_floats(&small->arena, (size_t) (entries < batch->n_rows ? entries : batch->n_rows) * width);

	small->graph.neighbours = arena_allocate(&small->arena, entries, sizeof(int32_t));
	if (small->fold->core->status != CORE_OK)
		return small->fold->core->status;
	memset(numbers, -1, batch->n_rows * sizeof(int32_t));
	for (int64_t e = 0; e < entries; e++)
	{
		int32_t		row = batch->neighbours[e];

		if (numbers[row] < 0)
		{
			numbers[row] = small->known.n++;
			memcpy(states + (size_t) numbers[row] * width, batch->states + (size_t) row * width, width * sizeof(float));
		}
		small->graph.neighbours[e] = numbers[row];
	}
	small->known.states = states;
	return CORE_OK;
}

/* Users come first, whichever kind is folded in; only nodes of the batch have lists. */
static CoreStatus
build_graph(SmallGraph *small)
{
	const FoldInNetwork *trained = small->fold->network;
	const FoldInBatch *batch = small->batch;
	Graph	   *graph = &small->graph;
	bool		of_objects = small->fold->of_objects;

	graph->n_users = of_objects ? small->known.n : batch->n_nodes;
	graph->n_objects = of_objects ? batch->n_nodes : small->known.n;
	graph->n_nodes = graph->n_users + graph->n_objects;
	graph->n_edges = batch->offsets[batch->n_nodes];
	small->first_node = of_objects ? small->known.n : 0;
	small->known.first = of_objects ? 0 : batch->n_nodes;
	for (int64_t e = 0; e < graph->n_edges; e++)
		graph->neighbours[e] += small->known.first;
	graph->offsets = arena_allocate_zeroed(&small->arena, (size_t) graph->n_nodes + 1, sizeof(int64_t));
	if (graph->offsets == NULL)
		return small->fold->core->status;
	memcpy(graph->offsets + small->first_node, batch->offsets, ((size_t) batch->n_nodes + 1) * sizeof(int64_t));
	for (int32_t v = batch->n_nodes + 1; !of_objects && v <= graph->n_nodes; v++)
		graph->offsets[v] = graph->n_edges;
	graph->weights = (float *) batch->weights;
	graph->types = (uint8_t *) batch->types;
	graph->n_types = trained->n_types;
	graph->predicted = trained->predicted;
	memcpy(graph->type_weights, trained->type_weights, sizeof(graph->type_weights));
	return CORE_OK;
}

/* The options of the training, for a network that is only run. */
static EncoderOptions
options_of(const FoldIn *fold)
{
	EncoderOptions options = *fold->options;

	options.mapping = fold->network->linear_mapping ? MAPPING_LINEAR : MAPPING_IDENTITY;
	options.id_embeddings = false;	/* without features there are some all the same, ... */
	options.initial_deviation = 0;	/* ... which stay 0 */
	return options;
}

/* Features of both kinds, as many columns as in the training; the rows' are in their states. */
static const Features *
features_of(SmallGraph *small, int side)
{
	const FoldInNetwork *trained = small->fold->network;

	small->features[side] = (Features) {.columns = trained->features[side]};
	if (side == (small->fold->of_objects ? 1 : 0) && small->batch->features != NULL)
		small->features[side] = *small->batch->features;
	return trained->features[side] > 0 ? &small->features[side] : NULL;
}

static CoreStatus
open_network(SmallGraph *small)
{
	const FoldInNetwork *trained = small->fold->network;
	Core	   *core = small->fold->core;
	Network    *network = &small->network;

	if (network_open(network, core, &small->arena, &small->graph, features_of(small, 0), features_of(small, 1),
					 &small->options, false) != CORE_OK)
		return core->status;
	if (network_shape(network).n_shared != trained->n_shared)
		return core_fail(core, CORE_INVALID, "the network has %lld shared numbers, its training had %lld",
						 (long long) network_shape(network).n_shared, (long long) trained->n_shared);
	for (int64_t first = 0; first < trained->n_shared; first += 1 << 20)
		network_put_shared(network, first, (int32_t) (trained->n_shared - first < 1 << 20 ? trained->n_shared - first : 1 << 20),
						   trained->shared + first);
	network->known = &small->known;
	network_scale_known(network);
	return CORE_OK;
}

static CoreStatus
run(SmallGraph *small, FoldInReadout readout, void *argument)
{
	const FoldInBatch *batch = small->batch;
	const Network *network = &small->network;
	int			width = network_state_numbers(&small->options);

	if (take_rows(small) != CORE_OK || build_graph(small) != CORE_OK || open_network(small) != CORE_OK ||
		network_forward(&small->network) != CORE_OK)
		return small->fold->core->status;
	for (int32_t i = 0; i < batch->n_nodes; i++)
	{
		readout(argument, i, network->unit + (size_t) (small->first_node + i) * network->width);
		if (batch->own_states != NULL)
			network_state_take(network, small->first_node + i, batch->own_states + (size_t) i * width);
	}
	return CORE_OK;
}

CoreStatus
fold_in_network(const FoldIn *fold, const FoldInBatch *batch, FoldInReadout readout, void *argument)
{
	SmallGraph	small = {.fold = fold, .batch = batch, .options = options_of(fold)};

	arena_open(&small.arena, fold->core);
	run(&small, readout, argument);
	arena_close(&small.arena);
	return fold->core->status;
}
