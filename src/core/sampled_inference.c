/*
 * sampled_inference.c
 *		All vectors layer by layer, in pieces of some nodes, in the place of the ID embeddings.
 *
 * One array of rows is enough, because edges join users to objects only: a layer's objects are computed
 * into an array of their own from the rows of the layer below; then the users, of whom each needs his own row
 * and those of objects, replace theirs; then the objects' rows are put in.  By the arithmetic of 3 million users and 300,000
 * objects of 64 numbers: 845 MB of rows and 77 MB beside them, where two arrays would be 1.7 GB; a file or a table would have to
 * be read for every entry at random.
 */
#include "core/sampled_training.h"

#include <math.h>
#include <string.h>

#include "core/layer.h"

#define FLOATS_BETWEEN_LOOKS ((size_t) 1 << 22)	/* some milliseconds of copying */

typedef struct Inference
{
	EncoderTraining *training;
	float	   *rows;			/* of all nodes, width each */
	float	   *objects;		/* of one layer */
	int			layer;
} Inference;

/* Rows of the layer below for the nodes of a piece and their neighbours. */
static void
copy_rows(const Network *piece, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const Inference *inference = argument;
	const int32_t *nodes = inference->training->sampled.neighbourhood.nodes;
	size_t		width = piece->width;

	(void) shard;
	for (int32_t i = first; i < last; i++)
		memcpy(piece->h0 + i * width, inference->rows + nodes[i] * width, width * sizeof(float));
}

/* What the layer gives nodes first .. last - 1, into `output`. */
static CoreStatus
run_piece(const Inference *inference, int32_t first, int32_t last, float *output)
{
	EncoderTraining *training = inference->training;
	Neighbourhood *neighbourhood = &training->sampled.neighbourhood;
	const Network *network = &training->network;
	Network		piece;
	Core	   *core = training->core;
	int			l = inference->layer;

	if (neighbourhood_begin(neighbourhood, last - first) != CORE_OK)
		return core->status;
	for (int32_t v = first; v < last; v++)
		neighbourhood_seed(neighbourhood, v);
	if (neighbourhood_grow(neighbourhood, training->options.layers, l, l + 1, SAMPLED_PIECE_ENTRIES, 0, false) != CORE_OK ||
		network_open_layer(&piece, core, &neighbourhood->arena, &neighbourhood->block, &training->options, l) != CORE_OK)
		return core->status;
	memcpy(piece.parameters + network_shared_start(&piece), network->parameters + network_shared_start(network),
		   network_shared_count(network) * sizeof(float));
	if (network_over_rows(&piece, piece.layer_nodes[l], copy_rows, (void *) inference) != CORE_OK ||
		layer_forward(&piece, l) != CORE_OK)
		return core->status;
	memcpy(output, piece.layers[l].output, (size_t) (last - first) * piece.width * sizeof(float));
	return core->status;
}

/* Nodes first .. last - 1 in pieces of so many entries that little is held at a time. */
static CoreStatus
run_side(const Inference *inference, int32_t first, int32_t last, float *output)
{
	EncoderTraining *training = inference->training;
	const Graph *graph = training->graph;
	int			width = training->network.width;

	for (int32_t begin = first, end; begin < last; begin = end)
	{
		int64_t		entries = graph_degree(graph, begin) + 1;

		for (end = begin + 1; end < last && entries + graph_degree(graph, end) < SAMPLED_PIECE_ENTRIES; end++)
			entries += graph_degree(graph, end) + 1;
		run_piece(inference, begin, end, output + (size_t) (begin - first) * width);
		neighbourhood_end(&training->sampled.neighbourhood);
		if (!core_report(training->core, "embedding", end + (int64_t) inference->layer * graph->n_nodes,
						 (int64_t) training->options.layers * graph->n_nodes))
			return training->core->status;
	}
	return CORE_OK;
}

/* One layer of all nodes. */
static CoreStatus
run_layer(Inference *inference)
{
	const Graph *graph = inference->training->graph;
	size_t		width = inference->training->network.width;

	if (run_side(inference, graph->n_users, graph->n_nodes, inference->objects) != CORE_OK ||
		run_side(inference, 0, graph->n_users, inference->rows) != CORE_OK)
		return inference->training->core->status;
	memcpy(inference->rows + graph->n_users * width, inference->objects, graph->n_objects * width * sizeof(float));
	return CORE_OK;
}

/* One row to a stored vector.  Where stored vectors are wider the last come first, so that none is overwritten. */
static void
store_row(const Inference *inference, const float *bias, int32_t v, float *vectors)
{
	const EncoderTraining *training = inference->training;
	const Network *network = &training->network;
	float		unit[KERNEL_MAX_WIDTH];
	float		length;

	network->kernels->normalise(inference->rows + (size_t) v * network->width, unit, &length, 1, 1, network->width);
	encoder_store_vector(network, unit, v >= network->graph->n_users,
						 v < network->graph->n_users ? 0 : bias[v - network->graph->n_users],
						 vectors + (size_t) v * training->width);
}

/* All rows, in place or not. */
static CoreStatus
store_rows(const Inference *inference, const float *bias, float *vectors)
{
	const EncoderTraining *training = inference->training;
	int32_t		n = training->graph->n_nodes;
	bool		backwards = training->width > training->network.width;

	for (int32_t i = 0; i < n; i++)
	{
		store_row(inference, bias, backwards ? n - 1 - i : i, vectors);
		if (i % 65536 == 0 && !core_continues(training->core))
			return training->core->status;
	}
	return CORE_OK;
}

/* A large copy, looking whether to stop. */
static void
copy_floats(Core *core, float *to, const float *from, size_t n)
{
	for (size_t first = 0; first < n && core_continues(core); first += FLOATS_BETWEEN_LOOKS)
		memcpy(to + first, from + first,
			   (n - first < FLOATS_BETWEEN_LOOKS ? n - first : FLOATS_BETWEEN_LOOKS) * sizeof(float));
}

/* The ID embeddings in the arena of the vectors: a copy when the network is to be kept, else they themselves. */
static float *
rows_to_overwrite(EncoderTraining *training, Arena *arena)
{
	Network    *network = &training->network;
	size_t		n_nodes = network->graph->n_nodes;
	int			room = training->width > network->width ? training->width : network->width;
	float	   *rows = network->parameters;

	if (!training->options.keep_network)
	{
		arena_move(training->arena, arena, rows);
		return rows + network->layout.id_embeddings;
	}
	rows = arena_floats(arena, n_nodes * room);
	if (rows != NULL)
		copy_floats(training->core, rows, network->parameters + network->layout.id_embeddings, n_nodes * network->width);
	return rows;
}

/* Degrees of users without the edges that took no part. */
static CoreStatus
fill_degrees(const EncoderTraining *training, Arena *arena, Graph *degrees)
{
	const Neighbourhood *neighbourhood = &training->sampled.neighbourhood;
	const Graph *graph = training->graph;

	*degrees = *graph;
	degrees->offsets = arena_allocate(arena, (size_t) graph->n_users + 1, sizeof(int64_t));
	if (degrees->offsets == NULL)
		return arena->core->status;
	degrees->offsets[0] = 0;
	for (int32_t v = 0; v < graph->n_users; v++)
		degrees->offsets[v + 1] = degrees->offsets[v] + neighbourhood->counts[v];
	return CORE_OK;
}

CoreStatus
sampled_vectors(EncoderTraining *training, Arena *arena, Graph *degrees)
{
	Core	   *core = training->core;
	const Network *network = &training->network;
	Inference	inference = {.training = training};
	size_t		n_objects = network->graph->n_objects;
	float	   *bias;
	Arena		scratch;

	arena_open(&scratch, core);
	bias = arena_floats(&scratch, n_objects);
	inference.objects = arena_floats(&scratch, n_objects * network->width);
	inference.rows = training->vectors = rows_to_overwrite(training, arena);
	if (core->status == CORE_OK)
		memcpy(bias, network->parameters + network->layout.object_bias, n_objects * sizeof(float));
	while (core->status == CORE_OK && inference.layer < training->options.layers && run_layer(&inference) == CORE_OK)
		inference.layer++;
	if (core->status == CORE_OK && store_rows(&inference, bias, training->vectors) == CORE_OK)
		fill_degrees(training, training->arena, degrees);
	arena_close(&scratch);
	return core->status;
}
