/*
 * row_optimizer.c
 *		Row by row between all nodes and a block.  Floor: three reads and a write of a row for each of the
 *		block's nodes, from random places.
 */
#include "core/row_optimizer.h"

#include <math.h>
#include <string.h>

#define EPSILON 1e-8f			/* as Adam's */

size_t
network_shared_start(const Network *network)
{
	return network->layout.object_bias + ((network->graph->n_objects + 15) & ~(size_t) 15);
}

size_t
network_shared_count(const Network *network)
{
	return network->layout.total - network_shared_start(network);
}

double
row_optimizer_bytes(double nodes, double objects, double shared)
{
	return sizeof(float) * (nodes + objects + 2 * shared);
}

CoreStatus
row_optimizer_open(RowOptimizer *optimizer, Arena *arena, Network *network)
{
	size_t		shared = network_shared_count(network);

	*optimizer = (RowOptimizer) {.network = network};
	optimizer->row_moments = arena_allocate_zeroed(arena, network->graph->n_nodes, sizeof(float));
	optimizer->bias_moments = arena_allocate_zeroed(arena, network->graph->n_objects, sizeof(float));
	optimizer->first_moment = arena_allocate_zeroed(arena, shared, sizeof(float));
	optimizer->second_moment = arena_allocate_zeroed(arena, shared, sizeof(float));
	return arena->core->status;
}

/* Rows on their way from or to a block. */
typedef struct RowTask
{
	const RowOptimizer *optimizer;
	const int32_t *nodes;
	float	   *rows;			/* of the block, to be loaded */
	float		learning_rate;
} RowTask;

/* The row of a node. */
static float *
row_of(const Network *network, int32_t node)
{
	return network->parameters + network->layout.id_embeddings + (size_t) node * network->width;
}

static void
load_rows(const Network *block, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const RowTask *task = argument;
	size_t		width = block->width;

	(void) shard;
	for (int32_t i = first; i < last; i++)
		memcpy(task->rows + i * width, row_of(task->optimizer->network, task->nodes[i]), width * sizeof(float));
}

CoreStatus
row_optimizer_load(const RowOptimizer *optimizer, Network *block, const int32_t *nodes)
{
	const Network *network = optimizer->network;
	const float *bias = network->parameters + network->layout.object_bias;
	RowTask		task = {optimizer, nodes, block->parameters + block->layout.id_embeddings, 0};

	for (int32_t i = 0; i < block->graph->n_objects; i++)
		block->parameters[block->layout.object_bias + i] =
			bias[nodes[block->graph->n_users + i] - network->graph->n_users];
	memcpy(block->parameters + network_shared_start(block), network->parameters + network_shared_start(network),
		   network_shared_count(network) * sizeof(float));
	return network_over_rows(block, block->layer_nodes[0], load_rows, &task);
}

/* How far a step goes for each unit of the gradient, whose mean square is given; the moment takes it in. */
static float
step_size(const EncoderOptions *options, float *moment, float square, float learning_rate)
{
	*moment = *moment == 0 ? square : options->adam_beta2 * *moment + (1 - options->adam_beta2) * square;
	return learning_rate / (sqrtf(*moment) + EPSILON);
}

static void
step_rows(const Network *block, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const RowTask *task = argument;
	const RowOptimizer *optimizer = task->optimizer;
	const EncoderOptions *options = block->options;
	const float *gradients = block->gradients + block->layout.id_embeddings;
	int			width = block->width;

	(void) shard;
	for (int32_t i = first; i < last; i++)
	{
		const float *gradient = gradients + (size_t) i * width;
		float	   *row = row_of(optimizer->network, task->nodes[i]);
		float		square = block->kernels->dot(gradient, gradient, width) / options->dimension;
		float		size;

		if (!(square > 0))
			continue;
		size = step_size(options, &optimizer->row_moments[task->nodes[i]], square, task->learning_rate);
		if (options->weight_decay > 0)
			block->kernels->add_scaled(row, row, -size * options->weight_decay, width);
		block->kernels->add_scaled(row, gradient, -size, width);
	}
}

/* Biases of the block's objects. */
static void
step_biases(const RowOptimizer *optimizer, const Network *block, const int32_t *nodes, float learning_rate)
{
	const Network *network = optimizer->network;
	const float *gradients = block->gradients + block->layout.object_bias;
	float	   *bias = network->parameters + network->layout.object_bias;

	for (int32_t i = 0; i < block->graph->n_objects; i++)
	{
		int32_t		object = nodes[block->graph->n_users + i] - network->graph->n_users;
		float		square = gradients[i] * gradients[i];

		if (square > 0)
			bias[object] -= gradients[i] * step_size(block->options, &optimizer->bias_moments[object], square, learning_rate);
	}
}

/* Adam on what all nodes share. */
static void
step_shared(const RowOptimizer *optimizer, const Network *block, double learning_rate)
{
	const Network *network = optimizer->network;
	AdamTask	adam = {
		.parameters = network->parameters + network_shared_start(network),
		.gradients = block->gradients + network_shared_start(block),
		.first_moment = optimizer->first_moment, .second_moment = optimizer->second_moment,
		.step_size = (float) (learning_rate / (1 - pow(0.9, optimizer->steps))),
		.second_scale = (float) (1 / (1 - pow(network->options->adam_beta2, optimizer->steps))),
		.beta2 = network->options->adam_beta2, .weight_decay = network->options->weight_decay,
	};

	block->kernels->adam(&adam, 0, (int64_t) network_shared_count(network));
}

CoreStatus
row_optimizer_step(RowOptimizer *optimizer, const Network *block, const int32_t *nodes, double learning_rate)
{
	RowTask		task = {optimizer, nodes, NULL, (float) learning_rate};

	optimizer->steps++;
	if (network_over_rows(block, block->layer_nodes[0], step_rows, &task) != CORE_OK)
		return block->core->status;
	step_biases(optimizer, block, nodes, (float) learning_rate);
	step_shared(optimizer, block, learning_rate);
	return CORE_OK;
}
