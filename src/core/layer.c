/*
 * layer.c
 *		Forward and backward pass of one layer.
 *
 * Memory of a layer, n nodes, E entries (each edge twice), D = width, K subspaces, T rounds:
 * n D numbers of output, n D of z when it is not the layer below, with the full gradient
 * T n D of centres, E K of first weights when it is stopped, E of second weights with
 * additive attention.
 */
#include "core/layer.h"

#include <string.h>

#include "core/dense.h"
#include "core/edge_types.h"

#define LEAKY_SLOPE 0.2f		/* of the mapping's activation (DisenGCN's leaky ReLU) */

/* Rows that go into a layer and that come out of it. */
static int32_t
rows_in(const Network *network, int l)
{
	return network->layer_nodes[l];
}

static int32_t
rows_out(const Network *network, int l)
{
	return network->layer_nodes[l + 1];
}

static const float *
layer_input(const Network *network, int l)
{
	return l == 0 ? network->h0 : network->layers[l - 1].output;
}

/* What the centres of a layer start from. */
static const float *
start_rows(const Network *network, int l)
{
	return l == 0 ? network->layers[0].z : layer_input(network, l);
}

/* Routing brings z to unit length unless lengths are kept; with the identity mapping only
 * h0 needs it. */
static bool
normalises(const Network *network, int l)
{
	return network->options->routing != ROUTING_OFF && !network->options->keep_lengths &&
		(l == 0 || network->linear_mapping);
}

static CoreStatus
open_routing(Network *network, int l, Arena *arena, bool for_training)
{
	const EncoderOptions *options = network->options;
	LayerState *layer = &network->layers[l];
	size_t		nodes = rows_out(network, l);
	bool		full = for_training && options->full_gradient;

	if (options->keep_lengths)
		layer->inverse_lengths = layer->start_inverse =
			arena_floats(arena, (size_t) rows_in(network, l) * options->factors);
	if (options->keep_lengths && layer->z != start_rows(network, l))
		layer->start_inverse = arena_floats(arena, (size_t) rows_in(network, l) * options->factors);
	for (int t = 0; t < options->routing_iterations; t++)
	{
		bool		last = t == options->routing_iterations - 1;

		if (full || last)
			layer->centres[t] = arena_floats(arena, nodes * network->width);
		if (full || (for_training && last))
			layer->norms[t] = arena_floats(arena, nodes * options->factors);
	}
	if (for_training && !options->full_gradient)
		layer->first_weights = arena_floats(arena, (size_t) network->lists[l].n_entries * options->factors);
	layer->output = layer->centres[options->routing_iterations - 1];
	return network->core->status;
}

CoreStatus
layer_open(Network *network, int l, Arena *arena, bool for_training)
{
	LayerState *layer = &network->layers[l];
	size_t		nodes = rows_in(network, l);
	bool		routing = network->options->routing != ROUTING_OFF;

	if (network->linear_mapping || normalises(network, l))
		layer->z = arena_floats(arena, nodes * network->width);
	else
		layer->z = (float *) layer_input(network, l);
	if (normalises(network, l))
		layer->z_lengths = arena_floats(arena, nodes * network->options->factors);
	if (network->options->attention == ATTENTION_ADDITIVE)
	{
		layer->second_weights = arena_floats(arena, network->lists[l].n_entries);
		layer->own = arena_floats(arena, (size_t) rows_out(network, l) * network->attention_width);
		layer->other = arena_floats(arena, nodes * network->attention_width);
	}
	if (routing)
		return open_routing(network, l, arena, for_training);
	layer->output = arena_floats(arena, (size_t) rows_out(network, l) * network->width);
	return network->core->status;
}

/* ---- mapping ------------------------------------------------------------------------ */

static Dense
mapping_product(Network *network, int l, float *y)
{
	return (Dense) {
		.core = network->core, .rows = rows_in(network, l),
		.inputs = network->width, .outputs = network->width,
		.x = layer_input(network, l), .y = y,
		.matrix = network->parameters + network->layout.mappings[l],
		.offset = network->parameters + network->layout.mapping_offsets[l],
	};
}

typedef struct LayerTask
{
	int			l;
	void	   *task;			/* RoutingTask, GatherTask or AttentionTask of the step */
} LayerTask;

/* 1 / length of the sub-vectors of a range of rows, when it is wanted. */
static void
measure_lengths(const Network *network, const float *rows, float *inverse, int32_t first, int32_t last)
{
	if (inverse != NULL)
		network->kernels->inverse_lengths(rows + (size_t) first * network->width,
										  inverse + (size_t) first * network->options->factors,
										  last - first, network->options->factors, network->sub_width);
}

/* z = unit sub-vectors of leaky ReLU(W h + b), or of h itself. */
static void
map_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	int			l = ((LayerTask *) argument)->l;
	const LayerState *layer = &network->layers[l];
	size_t		start = (size_t) first * network->width;
	size_t		end = (size_t) last * network->width;
	const float *input = layer_input(network, l);

	(void) shard;
	if (network->linear_mapping)
	{
		for (size_t i = start; i < end; i++)
			layer->z[i] = layer->z[i] > 0 ? layer->z[i] : LEAKY_SLOPE * layer->z[i];
		input = layer->z;
	}
	if (normalises(network, l))
		network->kernels->normalise(input + start, layer->z + start,
									layer->z_lengths + (size_t) first * network->options->factors,
									last - first, network->options->factors, network->sub_width);
	measure_lengths(network, layer->z, layer->inverse_lengths, first, last);
	if (layer->start_inverse != layer->inverse_lengths)
		measure_lengths(network, start_rows(network, l), layer->start_inverse, first, last);
}

static CoreStatus
mapping_forward(Network *network, int l)
{
	LayerTask	task = {l, NULL};

	if (network->linear_mapping)
	{
		Dense		product = mapping_product(network, l, network->layers[l].z);

		if (dense_forward(&product) != CORE_OK)
			return network->core->status;
	}
	if (network->linear_mapping || normalises(network, l) || network->layers[l].inverse_lengths != NULL)
		return network_over_rows(network, rows_in(network, l), map_nodes, &task);
	return CORE_OK;
}

/* In z_gradient: from the gradient of z to that of W h + b (or of h). */
static void
unmap_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	int			l = ((LayerTask *) argument)->l;
	const LayerState *layer = &network->layers[l];
	size_t		start = (size_t) first * network->width;
	size_t		end = (size_t) last * network->width;
	float	   *gradient = network->z_gradient;

	(void) shard;
	if (network->z_unit_gradient != NULL)
		network->kernels->unit_backward(layer->z + start,
										layer->inverse_lengths + (size_t) first * network->options->factors,
										network->z_unit_gradient + start, gradient + start, last - first,
										network->options->factors, network->sub_width);
	if (normalises(network, l))
		network->kernels->normalise_backward(layer->z + start,
											 layer->z_lengths + (size_t) first * network->options->factors,
											 gradient + start, gradient + start, last - first,
											 network->options->factors, network->sub_width);
	if (network->linear_mapping)
		for (size_t i = start; i < end; i++)
			gradient[i] *= layer->z[i] > 0 ? 1 : LEAKY_SLOPE;	/* z keeps the sign */
}

/* The gradient of what the centres started from is the input's. */
static void
add_start_gradient(const Network *network, int l, int32_t first, int32_t last)
{
	const float *inverse = network->layers[l].start_inverse;
	size_t		start = (size_t) first * network->width;
	float	   *gradient = network->layer_gradient + start;

	if (inverse == NULL)
		network->kernels->add_scaled(gradient, network->start_gradient + start, 1,
									 (last - first) * network->width);
	else
		network->kernels->unit_backward(start_rows(network, l) + start,
										inverse + (size_t) first * network->options->factors,
										network->start_gradient + start, gradient, last - first,
										network->options->factors, network->sub_width);
}

/* The input's gradient starts with the read-out's share of it, when it has one, ... */
static void
start_input_gradient(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	int			l = ((LayerTask *) argument)->l;
	size_t		start = (size_t) first * network->width;
	size_t		bytes = (size_t) (last - first) * network->width * sizeof(float);
	bool		has_share = network->options->layer_mean &&
		(l > 0 || network->options->routing == ROUTING_OFF);

	(void) shard;
	if (has_share)
		memcpy(network->layer_gradient + start, network->readout_gradient + start, bytes);
	else
		memset(network->layer_gradient + start, 0, bytes);
	if (network->start_gradient != NULL && l > 0)
		add_start_gradient(network, l, first, last);
	if (!network->linear_mapping)
		network->kernels->add_scaled(network->layer_gradient + start, network->z_gradient + start,
									 1, (last - first) * network->width);
}

/* ... then comes what goes through the mapping. */
static CoreStatus
mapping_backward(Network *network, int l)
{
	LayerTask	task = {l, NULL};
	Dense		product;

	if (network->linear_mapping || normalises(network, l) || network->z_unit_gradient != NULL)
		if (network_over_rows(network, rows_in(network, l), unmap_nodes, &task) != CORE_OK)
			return network->core->status;
	if (network_over_rows(network, rows_in(network, l), start_input_gradient, &task) != CORE_OK)
		return network->core->status;
	if (!network->linear_mapping)
		return CORE_OK;
	product = mapping_product(network, l, network->z_gradient);
	product.x_gradient = network->layer_gradient;
	product.matrix_gradient = network->gradients + network->layout.mappings[l];
	product.offset_gradient = network->gradients + network->layout.mapping_offsets[l];
	product.partial = network->dense_partial;
	if (dense_backward_input(&product) != CORE_OK)
		return network->core->status;
	return dense_backward_matrix(&product);
}

/* ---- additive attention ---------------------------------------------------------------- */

/* W_s h of the nodes that come out, or W_d h of those that go in. */
static Dense
attention_product(Network *network, int l, size_t matrix, float *y)
{
	return (Dense) {
		.core = network->core,
		.rows = matrix == network->layout.attention_own[l] ? rows_out(network, l) : rows_in(network, l),
		.inputs = network->width, .outputs = network->attention_width,
		.x = layer_input(network, l), .y = y, .matrix = network->parameters + matrix,
	};
}

/* Weights of the entries' interactions, with the gains of the layer's types. */
static const float *
interaction_weights(const Network *network, int l)
{
	if (network->degrees != NULL)
		return network->lists[l].weights;
	return network->graph->types != NULL ? network->typed_weights : network->entry_weights;
}

static AttentionTask
attention_task(Network *network, int l)
{
	const LayerLists *lists = &network->lists[l];
	LayerState *layer = &network->layers[l];

	return (AttentionTask) {
		.offsets = lists->offsets, .neighbours = lists->neighbours, .width = network->attention_width,
		.own = layer->own, .other = layer->other,
		.nu = network->parameters + network->layout.attention_nu[l],
		.entry_weights = interaction_weights(network, l), .scores = layer->second_weights,
		.scale = network->node_scale[0],	/* the same for all nodes with additive attention */
		.score_gradient = network->weight_gradient,
		.own_gradient = network->own_gradient, .other_gradient = network->other_gradient,
	};
}

static void
attend_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	(void) shard;
	network->kernels->attention_forward(argument, first, last);
}

static CoreStatus
attention_forward(Network *network, int l)
{
	Dense		own = attention_product(network, l, network->layout.attention_own[l],
										network->layers[l].own);
	Dense		other = attention_product(network, l, network->layout.attention_other[l],
										  network->layers[l].other);
	AttentionTask task = attention_task(network, l);

	if (dense_forward(&own) != CORE_OK || dense_forward(&other) != CORE_OK)
		return network->core->status;
	return network_over_rows(network, rows_out(network, l), attend_nodes, &task);
}

static void
attention_centre_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	float	   *nu = network->nu_partial + shard * network->attention_width;

	memset(nu, 0, network->attention_width * sizeof(float));
	network->kernels->attention_backward_centre(argument, first, last, nu);
}

static void
attention_neighbour_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	(void) shard;
	network->kernels->attention_backward_neighbour(argument, first, last);
}

/* One of the two matrices: its gradient, and the input's. */
static CoreStatus
attention_matrix_backward(Network *network, int l, size_t matrix, float *row_gradient)
{
	Dense		product = attention_product(network, l, matrix, row_gradient);

	product.x_gradient = network->layer_gradient;
	product.matrix_gradient = network->gradients + matrix;
	product.partial = network->dense_partial;
	if (dense_backward_input(&product) != CORE_OK)
		return network->core->status;
	return dense_backward_matrix(&product);
}

/* From weight_gradient to the attention's parameters, and on to the layer's input. */
static CoreStatus
attention_backward(Network *network, int l)
{
	AttentionTask task = attention_task(network, l);
	float	   *nu = network->gradients + network->layout.attention_nu[l];
	int			shards = network_shards_of_rows(network, rows_out(network, l));

	if (network_over_rows(network, rows_out(network, l), attention_centre_nodes, &task) != CORE_OK)
		return network->core->status;
	task.offsets = network->lists[l].back_offsets;
	task.neighbours = network->lists[l].back_neighbours;
	task.reverse = network->lists[l].reverse;
	if (network_over_rows(network, rows_in(network, l), attention_neighbour_nodes, &task) != CORE_OK)
		return network->core->status;
	memset(nu, 0, network->attention_width * sizeof(float));
	for (int shard = 0; shard < shards; shard++)
		network->kernels->add_scaled(nu, network->nu_partial + (size_t) shard * network->attention_width,
									 1, network->attention_width);
	if (attention_matrix_backward(network, l, network->layout.attention_own[l],
								  network->own_gradient) != CORE_OK)
		return network->core->status;
	return attention_matrix_backward(network, l, network->layout.attention_other[l],
									 network->other_gradient);
}

/* ---- routing and plain propagation ------------------------------------------------------- */

/* Second weights of the layer's entries: learnt, or the interactions' own.  Those of twins differ
 * unless they are the interactions' alone. */
static const float *
entry_weights(const Network *network, int l)
{
	return network->options->attention == ATTENTION_ADDITIVE ?
		network->layers[l].second_weights : interaction_weights(network, l);
}

static bool
has_twin_weights(const Network *network)
{
	return network->options->attention != ATTENTION_ADDITIVE && network->graph->types == NULL &&
		network->degrees == NULL;
}

static RoutingTask
routing_task(Network *network, int l)
{
	const EncoderOptions *options = network->options;
	LayerState *layer = &network->layers[l];
	RoutingTask task = {
		.offsets = network->lists[l].offsets, .neighbours = network->lists[l].neighbours,
		.factors = options->factors, .sub_width = network->sub_width,
		.rounds = options->routing_iterations,
		.own_centre = options->routing == ROUTING_OWN_CENTRE,
		.inverse_temperature = 1 / options->routing_temperature,
		.last_scale = options->keep_lengths ? 1 / (1 + options->neighbour_scale) : 0,
		.weights = entry_weights(network, l),
		.symmetric_weights = has_twin_weights(network),
		.left = network->node_scale, .right = network->neighbour_scale,
		.mapped = layer->z, .inverse_lengths = layer->inverse_lengths,
		.start = start_rows(network, l), .start_inverse = layer->start_inverse,
		.first_weights = layer->first_weights,
		.full_gradient = options->full_gradient,
		.centre_gradient = network->layer_gradient, .mapped_gradient = network->z_gradient,
		.unit_gradient = network->z_unit_gradient,
		.start_gradient = l == 0 ? NULL : network->start_gradient,
		.weight_gradient = network->weight_gradient,
	};

	memcpy(task.centres, layer->centres, sizeof(task.centres));
	memcpy(task.norms, layer->norms, sizeof(task.norms));
	memcpy(task.sum_gradients, network->sum_gradients, sizeof(task.sum_gradients));
	return task;
}

static GatherTask
gather_task(Network *network, int l)
{
	return (GatherTask) {
		.offsets = network->lists[l].offsets, .neighbours = network->lists[l].neighbours,
		.weights = entry_weights(network, l),
		.left = network->node_scale, .right = network->neighbour_scale,
		.input = network->layers[l].z, .output = network->layers[l].output,
		.width = network->width,
	};
}

static void
route_forward_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	(void) shard;
	network->kernels->routing_forward(argument, first, last);
}

static void
gather_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	(void) shard;
	network->kernels->gather(argument, first, last);
}

CoreStatus
layer_forward(Network *network, int l)
{
	if (mapping_forward(network, l) != CORE_OK || edge_types_weigh(network, l) != CORE_OK)
		return network->core->status;
	if (network->options->attention == ATTENTION_ADDITIVE && attention_forward(network, l) != CORE_OK)
		return network->core->status;
	if (network->options->routing != ROUTING_OFF)
	{
		RoutingTask task = routing_task(network, l);

		return network_over_rows(network, rows_out(network, l), route_forward_nodes, &task);
	}
	else
	{
		GatherTask	task = gather_task(network, l);

		return network_over_rows(network, rows_out(network, l), gather_nodes, &task);
	}
}

static void
route_centre_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	(void) shard;
	network->kernels->routing_backward_centre(argument, first, last);
}

static void
route_neighbour_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	(void) shard;
	network->kernels->routing_backward_neighbour(argument, first, last);
}

static void
entry_dot_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const GatherTask *task = argument;

	(void) shard;
	network->kernels->entry_dots(task, network->layer_gradient, task->input, network->weight_gradient,
								 first, last);
}

/* The gradient of z under plain propagation: the same sum over the twin entries. */
static CoreStatus
plain_backward(Network *network, int l)
{
	GatherTask	task = gather_task(network, l);

	if (network->weight_gradient != NULL &&
		network_over_rows(network, rows_out(network, l), entry_dot_nodes, &task) != CORE_OK)
		return network->core->status;
	task.offsets = network->lists[l].back_offsets;
	task.neighbours = network->lists[l].back_neighbours;
	task.left = network->neighbour_scale;
	task.right = network->node_scale;
	if (!has_twin_weights(network))
		task.reverse = network->lists[l].reverse;
	task.input = network->layer_gradient;
	task.output = network->z_gradient;
	return network_over_rows(network, rows_in(network, l), gather_nodes, &task);
}

/* Rows that only go into the layer gather nothing as centres. */
static void
clear_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	int			l = *(int *) argument;
	int32_t		begin = first < rows_out(network, l) ? rows_out(network, l) : first;
	size_t		start = (size_t) begin * network->width;
	size_t		bytes = begin < last ? (size_t) (last - begin) * network->width * sizeof(float) : 0;

	(void) shard;
	memset(network->z_gradient + start, 0, bytes);
	if (network->z_unit_gradient != NULL)
		memset(network->z_unit_gradient + start, 0, bytes);
	if (network->start_gradient != NULL)
		memset(network->start_gradient + start, 0, bytes);
}

/* The gradient of z under routing: what each node gathers as a centre, then as a neighbour. */
static CoreStatus
routing_backward(Network *network, int l)
{
	RoutingTask task = routing_task(network, l);

	if (network_over_rows(network, rows_out(network, l), route_centre_nodes, &task) != CORE_OK)
		return network->core->status;
	if (rows_out(network, l) < rows_in(network, l) &&
		network_over_rows(network, rows_in(network, l), clear_nodes, &l) != CORE_OK)
		return network->core->status;
	task.offsets = network->lists[l].back_offsets;
	task.neighbours = network->lists[l].back_neighbours;
	task.reverse = network->lists[l].reverse;
	return network_over_rows(network, rows_in(network, l), route_neighbour_nodes, &task);
}

/* The mean of layers takes z of the first layer as layer 0 when that is h0 made unit. */
static void
add_layer_zero_share(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	size_t		start = (size_t) first * network->width;

	(void) argument;
	(void) shard;
	network->kernels->add_scaled(network->z_gradient + start, network->readout_gradient + start,
								 1, (last - first) * network->width);
}

CoreStatus
layer_backward(Network *network, int l)
{
	const EncoderOptions *options = network->options;

	if (edge_types_weigh(network, l) != CORE_OK)
		return network->core->status;
	if (options->routing == ROUTING_OFF)
	{
		if (plain_backward(network, l) != CORE_OK)
			return network->core->status;
	}
	else
	{
		if (routing_backward(network, l) != CORE_OK)
			return network->core->status;
		if (l == 0 && options->layer_mean && !network->linear_mapping &&
			network_over_nodes(network, add_layer_zero_share, NULL) != CORE_OK)
			return network->core->status;
	}
	if (mapping_backward(network, l) != CORE_OK)
		return network->core->status;
	if (options->attention == ATTENTION_ADDITIVE && attention_backward(network, l) != CORE_OK)
		return network->core->status;
	return edge_types_backward(network, l);
}
