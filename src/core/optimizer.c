/*
 * optimizer.c
 *		Adam in shards.  Floor: 28 bytes moved for each parameter and step.
 */
#include "core/optimizer.h"

#include <math.h>

#define SHARD_PARAMETERS 65536

CoreStatus
optimizer_open(Optimizer *optimizer, Arena *arena, Network *network)
{
	optimizer->network = network;
	optimizer->steps = 0;
	optimizer->first_moment = arena_allocate_zeroed(arena, network->layout.total, sizeof(float));
	optimizer->second_moment = arena_allocate_zeroed(arena, network->layout.total, sizeof(float));
	return arena->core->status;
}

typedef struct StepTask
{
	const Kernels *kernels;
	AdamTask	adam;
	int64_t		first;
	int64_t		last;
} StepTask;

static void
step_shard(void *argument, int64_t shard, int worker)
{
	const StepTask *task = argument;
	int64_t		first = task->first + shard * SHARD_PARAMETERS;
	int64_t		last = first + SHARD_PARAMETERS < task->last ? first + SHARD_PARAMETERS : task->last;

	(void) worker;
	task->kernels->adam(&task->adam, first, last);
}

/* Parameters first .. last - 1 with one weight decay. */
static CoreStatus
step_range(Optimizer *optimizer, double learning_rate, float weight_decay, int64_t first, int64_t last)
{
	Network    *network = optimizer->network;
	StepTask	task = {
		.kernels = network->kernels,
		.first = first, .last = last,
		.adam = {
			.parameters = network->parameters, .gradients = network->gradients,
			.first_moment = optimizer->first_moment, .second_moment = optimizer->second_moment,
			.step_size = (float) (learning_rate / (1 - pow(0.9, optimizer->steps))),
			.second_scale = (float) (1 / (1 - pow(network->options->adam_beta2, optimizer->steps))),
			.beta2 = network->options->adam_beta2, .weight_decay = weight_decay,
		},
	};

	return core_parallel(network->core, (last - first + SHARD_PARAMETERS - 1) / SHARD_PARAMETERS,
						 step_shard, &task);
}

CoreStatus
optimizer_step(Optimizer *optimizer, double learning_rate)
{
	Network    *network = optimizer->network;
	const ParameterLayout *layout = &network->layout;
	int64_t		bias_end = layout->object_bias + network->graph->n_objects;
	float		decay = network->options->weight_decay;

	optimizer->steps++;
	if (step_range(optimizer, learning_rate, decay, 0, layout->object_bias) != CORE_OK ||
		step_range(optimizer, learning_rate, 0, layout->object_bias, bias_end) != CORE_OK)
		return network->core->status;
	return step_range(optimizer, learning_rate, decay, bias_end, layout->total);
}
