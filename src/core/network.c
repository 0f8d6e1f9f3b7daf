/*
 * network.c
 *		Reserve and initialise the network; run all layers forward and backward.
 */
#include "core/network.h"

#include <math.h>
#include <string.h>

#include "core/dense.h"
#include "core/edge_types.h"
#include "core/layer.h"
#include "core/network_states.h"
#include "core/random.h"

static size_t
reserve(ParameterLayout *layout, size_t count)
{
	size_t		start = layout->total;

	layout->total += (count + 15) & ~(size_t) 15;
	return start;
}

static void
lay_out_parameters(Network *network)
{
	const EncoderOptions *options = network->options;
	ParameterLayout *layout = &network->layout;
	size_t		width = network->width;
	bool		any_features = network->features[0] != NULL || network->features[1] != NULL;

	memset(layout, 0, sizeof(*layout));
	if (options->id_embeddings || !any_features)
		layout->id_count = network->layer_nodes[0] * width;
	layout->id_embeddings = reserve(layout, layout->id_count);
	layout->object_bias = reserve(layout, network->graph->n_objects);
	for (int side = 0; side < 2; side++)
		if (network->features[side] != NULL)
		{
			layout->projections[side] = reserve(layout, width * network->features[side]->columns);
			layout->projection_offsets[side] = reserve(layout, width);
		}
	for (int l = 0; l < options->layers; l++)
	{
		if (network->linear_mapping)
		{
			layout->mappings[l] = reserve(layout, width * width);
			layout->mapping_offsets[l] = reserve(layout, width);
		}
		if (options->attention == ATTENTION_ADDITIVE)
		{
			layout->attention_own[l] = reserve(layout, network->attention_width * width);
			layout->attention_other[l] = reserve(layout, network->attention_width * width);
			layout->attention_nu[l] = reserve(layout, network->attention_width);
		}
		if (network->graph->types != NULL)
			layout->type_gains[l] = reserve(layout, EDGE_TYPE_GAINS);
	}
}

/* Columns that fill a sub-vector up to whole lanes stay zero for ever. */
static bool
is_real_column(const Network *network, size_t column)
{
	return (int) (column % network->sub_width) < network->options->dimension / network->options->factors;
}

/* Normal numbers for a matrix rows x columns; `real_rows` tells which rows are numbered
 * like node columns (the others are all real), the columns likewise. */
static void
draw_matrix(Network *network, size_t start, size_t rows, size_t columns, double deviation,
			bool rows_are_columns, bool columns_are_columns)
{
	for (size_t i = 0; i < rows; i++)
		for (size_t j = 0; j < columns; j++)
			if ((!rows_are_columns || is_real_column(network, i)) &&
				(!columns_are_columns || is_real_column(network, j)))
				network->parameters[start + i * columns + j] = (float)
					(deviation * random_normal(network->options->seed, RANDOM_INITIAL_WEIGHTS,
											   start + i * columns + j));
}

/* One shard of ID embeddings. */
static void
draw_ids(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	(void) argument;
	(void) shard;
	draw_matrix((Network *) network, network->layout.id_embeddings + (size_t) first * network->width,
				last - first, network->width, network->options->initial_deviation, false, true);
}

/* The bias starts at the logarithm of an object's share of edges, centred: popularity is
 * known before the first step. */
static void
draw_bias(Network *network)
{
	const Graph *graph = network->graph;
	float	   *bias = network->parameters + network->layout.object_bias;
	double		mean = 0;

	for (int32_t i = 0; i < graph->n_objects; i++)
	{
		bias[i] = (float) log(1.0 + graph_predicted_degree(graph, graph->n_users + i));
		mean += bias[i] / graph->n_objects;
	}
	for (int32_t i = 0; i < graph->n_objects; i++)
		bias[i] = (float) (network->options->initial_bias * (bias[i] - mean));
}

static CoreStatus
draw_parameters(Network *network)
{
	const EncoderOptions *options = network->options;
	const ParameterLayout *layout = &network->layout;
	int			width = network->width;

	if (layout->id_count > 0 && options->initial_deviation > 0 && network_over_nodes(network, draw_ids, NULL) != CORE_OK)
		return network->core->status;
	draw_bias(network);
	edge_types_draw(network);
	for (int side = 0; side < 2; side++)
		if (network->features[side] != NULL)
			draw_matrix(network, layout->projections[side], width, network->features[side]->columns,
						network->options->initial_deviation / sqrt(network->features[side]->columns), true, false);
	for (int l = 0; l < options->layers; l++)
	{
		if (network->linear_mapping)
			draw_matrix(network, layout->mappings[l], width, width,
						1 / sqrt(options->dimension), true, true);
		if (options->attention == ATTENTION_ADDITIVE)
		{
			double		deviation = 1 / sqrt(options->dimension);

			draw_matrix(network, layout->attention_own[l], network->attention_width, width,
						deviation, false, true);
			draw_matrix(network, layout->attention_other[l], network->attention_width, width,
						deviation, false, true);
			draw_matrix(network, layout->attention_nu[l], 1, network->attention_width,
						1 / sqrt(network->attention_width), false, false);
		}
	}
	return network->core->status;
}

/* See network.h. */
double
network_weighted_degree(const Graph *graph, int32_t v)
{
	double		sum = 0;

	if (graph->weights == NULL && graph->types == NULL)
		return graph_degree(graph, v);
	for (int64_t e = graph->offsets[v]; e < graph->offsets[v + 1]; e++)
		sum += (graph->weights == NULL ? 1 : graph->weights[e]) * edge_types_initial_weight(graph, e);
	return sum;
}

/* Interaction weights that add up to less count as none: 1 / degree must fit a float. */
#define SMALLEST_DEGREE 1e-30

/*
 * The factors of second weights that need no learning: symmetric 1 / sqrt(d_v d_u), off
 * 1 / d_v, additive 1 (the scores are normalised already).  With routing they are
 * multiplied by the number of subspaces, because first weights are 1 / factors on average:
 * an even split then weighs neighbours as plain propagation does (our choice).
 */
static CoreStatus
set_scales(Network *network, Arena *arena)
{
	int32_t		n_nodes = network->layer_nodes[0];
	AttentionRule attention = network->options->attention;
	double		scale = network->options->neighbour_scale;

	if (network->options->routing != ROUTING_OFF)
		scale *= network->options->factors;
	network->node_scale = arena_floats(arena, n_nodes);
	if (attention == ATTENTION_SYMMETRIC)
		network->neighbour_scale = arena_floats(arena, n_nodes);
	if (network->core->status != CORE_OK)
		return network->core->status;
	for (int32_t v = 0; v < n_nodes; v++)
	{
		double		degree = network->degrees != NULL ? network->degrees[v] :
			network_weighted_degree(network->graph, v);
		double		inverse = degree > SMALLEST_DEGREE ? 1 / degree : 0;

		if (attention == ATTENTION_SYMMETRIC)
			network->neighbour_scale[v] = (float) sqrt(inverse);
		network->node_scale[v] = (float) (scale * (attention == ATTENTION_ADDITIVE ? 1 :
												   attention == ATTENTION_SYMMETRIC ? sqrt(inverse) : inverse));
	}
	return CORE_OK;
}

/* The weights that propagation reads: the graph's own, or a copy in which edges can be hidden. */
static CoreStatus
open_weights(Network *network, Arena *arena)
{
	const Graph *graph = network->graph;
	int64_t		entries = 2 * graph->n_edges;

	if (!network->options->hide_positives || graph->types != NULL || network->degrees != NULL)
		return CORE_OK;
	network->entry_weights = network->shown_weights = arena_floats(arena, entries);
	if (network->shown_weights == NULL)
		return network->core->status;
	if (graph->weights != NULL)
		memcpy(network->shown_weights, graph->weights, entries * sizeof(float));
	else
		for (int64_t e = 0; e < entries; e++)
			network->shown_weights[e] = 1;
	return CORE_OK;
}

/* Numbers of z_gradient: rows of the network, or stored vectors where these are wider. */
static size_t
row_room(const Network *network)
{
	int			stored = network->options->dimension + ENCODER_EXTRA_NUMBERS;

	return (size_t) network->layer_nodes[0] * (stored > network->width ? stored : network->width);
}

/* Entries of the layer that has most. */
static size_t
most_entries(const Network *network)
{
	int64_t		most = 0;

	for (int l = 0; l < network->options->layers; l++)
		most = network->lists[l].n_entries > most ? network->lists[l].n_entries : most;
	return most;
}

/* Reserve the gradients and the scratch space of the backward pass. */
static CoreStatus
open_backward(Network *network, Arena *arena)
{
	const EncoderOptions *options = network->options;
	size_t		rows = (size_t) network->layer_nodes[0] * network->width;
	size_t		entries = most_entries(network);
	bool		routing = options->routing != ROUTING_OFF;
	bool		additive = options->attention == ATTENTION_ADDITIVE;
	size_t		partial = 0;

	network->gradients = arena_floats(arena, network->layout.total);
	if (network->gradients != NULL)	/* of what fills up arrays; those of rows are set by every pass */
		memset(network->gradients + network->layout.object_bias, 0,
			   (network->layout.total - network->layout.object_bias) * sizeof(float));
	network->layer_gradient = network->unit_gradient = network->layout.id_count > 0 ?
		network->gradients + network->layout.id_embeddings : arena_floats(arena, rows);
	if (options->layer_mean)
		network->readout_gradient = network->unit_gradient = arena_floats(arena, rows);
	network->z_gradient = arena_floats(arena, row_room(network));
	network->sum_gradients[options->routing_iterations - 1] = network->layer_gradient;
	for (int t = 0; routing && options->full_gradient && t < options->routing_iterations - 1; t++)
		network->sum_gradients[t] = arena_floats(arena, rows);
	if (routing && network->linear_mapping && options->full_gradient)
		network->start_gradient = arena_floats(arena, rows);
	if (routing && options->keep_lengths && options->full_gradient)
		network->z_unit_gradient = arena_floats(arena, rows);
	if (additive || network->graph->types != NULL)
		network->weight_gradient = arena_floats(arena, entries);
	if (additive)
	{
		size_t		attention_rows = (size_t) network->layer_nodes[0] * network->attention_width;

		network->own_gradient = arena_floats(arena, attention_rows);
		network->other_gradient = arena_floats(arena, attention_rows);
		network->nu_partial = arena_floats(arena, (size_t) network->n_shards * network->attention_width);
		partial = dense_partial_count(network->layer_nodes[0], network->width, network->attention_width);
	}
	for (int side = 0; side < 2; side++)
		if (network->features[side] != NULL)
		{
			size_t		need = dense_partial_count(network->features[side]->rows,
												   network->features[side]->columns, network->width);

			partial = need > partial ? need : partial;
		}
	if (network->linear_mapping)
	{
		size_t		need = dense_partial_count(network->layer_nodes[0], network->width, network->width);

		partial = need > partial ? need : partial;
	}
	network->dense_partial = arena_floats(arena, partial);
	return network->core->status;
}

/* True when nothing but the read-out needs the last layer's output. */
static bool
reads_out_in_place(const EncoderOptions *options, bool for_training)
{
	return !options->layer_mean && (options->routing == ROUTING_OFF || options->keep_lengths || !for_training);
}

/* All layers have the graph's lists. */
static void
set_whole_graph(Network *network)
{
	const Graph *graph = network->graph;

	for (int l = 0; l <= network->options->layers; l++)
		network->layer_nodes[l] = graph->n_nodes;
	for (int l = 0; l < network->options->layers; l++)
		network->lists[l] = (LayerLists) {
			.offsets = graph->offsets, .neighbours = graph->neighbours,
			.back_offsets = graph->offsets, .back_neighbours = graph->neighbours,
			.reverse = graph->reverse, .n_entries = 2 * graph->n_edges,
		};
}

/* What follows from the options, and with it the layout of the parameters. */
static void
describe(Network *network, Core *core, const Graph *graph, const Features *users, const Features *objects,
		 const EncoderOptions *options, const GraphBlock *block)
{
	memset(network, 0, sizeof(*network));
	network->core = core;
	network->kernels = kernels_select(core->portable);
	network->graph = graph;
	network->options = options;
	network->features[0] = users;
	network->features[1] = objects;
	network->linear_mapping = options->mapping == MAPPING_LINEAR ||
		(options->mapping == MAPPING_AUTOMATIC && (users != NULL || objects != NULL));
	network->sub_width = (options->dimension / options->factors + KERNEL_LANES - 1) &
		~(KERNEL_LANES - 1);
	network->width = options->factors * network->sub_width;
	network->attention_width = (options->attention_width + KERNEL_LANES - 1) & ~(KERNEL_LANES - 1);
	network->entry_weights = graph->weights;
	set_whole_graph(network);
	if (block != NULL)
	{
		network->degrees = block->degrees;
		memcpy(network->layer_nodes, block->layer_nodes, sizeof(network->layer_nodes));
		memcpy(network->lists, block->lists, sizeof(network->lists));
	}
	lay_out_parameters(network);
}

/* Everything but the parameters' first numbers. */
static CoreStatus
open_layers(Network *network, Arena *arena, bool for_training)
{
	const EncoderOptions *options = network->options;
	Core	   *core = network->core;

	network->lengths = arena_floats(arena, network->layer_nodes[options->layers]);
	if (network->features[0] != NULL || network->features[1] != NULL)
		network->h0 = arena_floats(arena, (size_t) network->layer_nodes[0] * network->width);
	else
		network->h0 = network->parameters + network->layout.id_embeddings;
	if (core->status != CORE_OK || network_cut_shards(network, arena) != CORE_OK ||
		set_scales(network, arena) != CORE_OK || edge_types_open(network, arena, for_training) != CORE_OK)
		return core->status;
	for (int l = 0; l < options->layers; l++)
		if (layer_open(network, l, arena, for_training) != CORE_OK)
			return core->status;
	if (reads_out_in_place(options, for_training))
		network->unit = network->layers[options->layers - 1].output;
	else
		network->unit = arena_floats(arena, (size_t) network->layer_nodes[options->layers] * network->width);
	if (for_training && (open_weights(network, arena) != CORE_OK || open_backward(network, arena) != CORE_OK))
		return core->status;
	return core->status;
}

CoreStatus
network_open(Network *network, Core *core, Arena *arena, const Graph *graph,
			 const Features *users, const Features *objects,
			 const EncoderOptions *options, bool for_training)
{
	describe(network, core, graph, users, objects, options, NULL);
	network->parameters = arena_allocate_zeroed(arena, network->layout.total, sizeof(float));
	if (open_layers(network, arena, for_training) != CORE_OK)
		return core->status;
	return draw_parameters(network);
}

CoreStatus
network_open_parameters(Network *network, Core *core, Arena *arena, const Graph *graph, const EncoderOptions *options)
{
	describe(network, core, graph, NULL, NULL, options, NULL);
	network->parameters = arena_allocate_zeroed(arena, network->layout.total + row_room(network) -
												(size_t) graph->n_nodes * network->width, sizeof(float));
	if (core->status != CORE_OK || network_cut_shards(network, arena) != CORE_OK)
		return core->status;
	return draw_parameters(network);
}

CoreStatus
network_open_block(Network *network, Core *core, Arena *arena, const GraphBlock *block, const EncoderOptions *options)
{
	describe(network, core, &block->seeds, NULL, NULL, options, block);
	network->parameters = arena_floats(arena, network->layout.total);
	return open_layers(network, arena, true);
}

CoreStatus
network_open_layer(Network *network, Core *core, Arena *arena, const GraphBlock *block, const EncoderOptions *options,
				   int l)
{
	describe(network, core, &block->seeds, NULL, NULL, options, block);
	network->parameters = arena_floats(arena, network->layout.total);
	network->h0 = network->parameters + network->layout.id_embeddings;
	if (l > 0)
		network->layers[l - 1].output = network->h0;
	if (core->status != CORE_OK || network_cut_shards(network, arena) != CORE_OK || set_scales(network, arena) != CORE_OK)
		return core->status;
	return layer_open(network, l, arena, false);
}

/* Both directions of an edge carry the same weight. */
static void
set_weight(Network *network, int64_t entry, float weight)
{
	network->shown_weights[entry] = weight;
	network->shown_weights[network->graph->reverse[entry]] = weight;
}

/* Both directions of an edge are of the same types. */
static void
set_types(Network *network, int64_t entry, uint8_t types)
{
	network->shown_types[entry] = types;
	network->shown_types[network->graph->reverse[entry]] = types;
}

void
network_hide_edges(Network *network, const int64_t *entries, int n)
{
	const Graph *graph = network->graph;

	for (int i = 0; graph->types != NULL && network->options->hide_positives && i < n; i++)
		set_types(network, entries[i], graph->types[entries[i]] & ~graph->predicted);
	if (network->shown_weights == NULL)
		return;
	for (int i = 0; i < n; i++)
		set_weight(network, entries[i], 0);
}

void
network_show_edges(Network *network, const int64_t *entries, int n)
{
	const float *weights = network->graph->weights;
	const uint8_t *types = network->graph->types;

	for (int i = 0; types != NULL && network->options->hide_positives && i < n; i++)
		set_types(network, entries[i], types[entries[i]]);
	if (network->shown_weights == NULL)
		return;
	for (int i = 0; i < n; i++)
		set_weight(network, entries[i], weights == NULL ? 1 : weights[entries[i]]);
}

/* The dense product that projects the features of users (side 0) or objects (side 1). */
static Dense
feature_projection(Network *network, int side, float *rows)
{
	const Features *features = network->features[side];
	const ParameterLayout *layout = &network->layout;
	int64_t		first = side == 0 ? 0 : network->graph->n_users;

	return (Dense) {
		.core = network->core,
		.rows = features->rows, .inputs = features->columns, .outputs = network->width,
		.x = features->values, .y = rows + first * network->width,
		.matrix = network->parameters + layout->projections[side],
		.offset = network->parameters + layout->projection_offsets[side],
		.add = true,
	};
}

/* h0 = ID embedding + projected features. */
static CoreStatus
input_forward(Network *network)
{
	size_t		rows = (size_t) network->graph->n_nodes * network->width;

	if (network->features[0] == NULL && network->features[1] == NULL)
		return CORE_OK;
	if (network->layout.id_count > 0)
		memcpy(network->h0, network->parameters + network->layout.id_embeddings, rows * sizeof(float));
	else
		memset(network->h0, 0, rows * sizeof(float));
	for (int side = 0; side < 2; side++)
		if (network->features[side] != NULL)
		{
			Dense		projection = feature_projection(network, side, network->h0);

			if (dense_forward(&projection) != CORE_OK)
				return network->core->status;
		}
	return CORE_OK;
}

/* Rows that stand for "layer 0" in the mean of layers: h0, as routing sees it. */
static const float *
layer_zero_rows(const Network *network)
{
	if (network->options->routing == ROUTING_OFF)
		return network->h0;
	return network->linear_mapping ? NULL : network->layers[0].z;
}

/* One shard of the read-out: mean of layers or the last, then unit length. */
static void
readout_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	int			n_layers = network->options->layers;
	size_t		start = (size_t) first * network->width;
	size_t		count = (size_t) (last - first) * network->width;
	const float *zero = layer_zero_rows(network);

	(void) argument;
	(void) shard;
	if (network->unit != network->layers[n_layers - 1].output)
		memcpy(network->unit + start, network->layers[n_layers - 1].output + start, count * sizeof(float));
	if (network->options->layer_mean)
	{
		for (int l = 0; l < n_layers - 1; l++)
			network->kernels->add_scaled(network->unit + start, network->layers[l].output + start, 1,
										 (int) count);
		if (zero != NULL)
			network->kernels->add_scaled(network->unit + start, zero + start, 1, (int) count);
	}
	network->kernels->normalise(network->unit + start, network->unit + start, network->lengths + first,
								last - first, 1, network->width);
}

CoreStatus
network_forward(Network *network)
{
	if (input_forward(network) != CORE_OK)
		return network->core->status;
	for (int l = 0; l < network->options->layers; l++)
	{
		network_put_states(network, l);
		if (layer_forward(network, l) != CORE_OK)
			return network->core->status;
	}
	return network_over_rows(network, network->layer_nodes[network->options->layers], readout_nodes, NULL);
}

static void
readout_backward_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	size_t		start = (size_t) first * network->width;

	(void) argument;
	(void) shard;
	network->kernels->normalise_backward(network->unit + start, network->lengths + first,
										 network->unit_gradient + start,
										 network->unit_gradient + start,
										 last - first, 1, network->width);
	if (network->layer_gradient != network->unit_gradient)
		memcpy(network->layer_gradient + start, network->unit_gradient + start,
			   (size_t) (last - first) * network->width * sizeof(float));
}

/* From the gradient of h0, which is that of the ID embeddings, to the projections. */
static CoreStatus
input_backward(Network *network)
{
	const ParameterLayout *layout = &network->layout;

	for (int side = 0; side < 2; side++)
		if (network->features[side] != NULL)
		{
			Dense		projection = feature_projection(network, side, network->layer_gradient);

			projection.matrix_gradient = network->gradients + layout->projections[side];
			projection.offset_gradient = network->gradients + layout->projection_offsets[side];
			projection.partial = network->dense_partial;
			if (dense_backward_matrix(&projection) != CORE_OK)
				return network->core->status;
		}
	return network->core->status;
}

CoreStatus
network_backward(Network *network)
{
	if (network_over_rows(network, network->layer_nodes[network->options->layers],
						  readout_backward_nodes, NULL) != CORE_OK)
		return network->core->status;
	for (int l = network->options->layers - 1; l >= 0; l--)
		if (layer_backward(network, l) != CORE_OK)
			return network->core->status;
	return input_backward(network);
}
