/*
 * sampled_training.c
 *		Steps over blocks.
 */
#include "core/sampled_training.h"

#include "core/sampled_start.h"

CoreStatus
sampled_check(Core *core, const Graph *graph, const Features *users, const Features *objects,
			  const EncoderOptions *options)
{
	if (options->sampled_neighbours == 0)
		return CORE_OK;
	if (users != NULL || objects != NULL)
		return core_fail(core, CORE_INVALID, "sampled_neighbours is %d, and nodes have features: only ID embeddings are trained on samples",
						 options->sampled_neighbours);
	if (graph->types != NULL)
		return core_fail(core, CORE_INVALID, "sampled_neighbours is %d, and behaviors are told apart: only merged ones are trained on samples",
						 options->sampled_neighbours);
	return CORE_OK;
}

CoreStatus
sampled_open(EncoderTraining *training, const uint8_t *marks, bool resume)
{
	SampledTraining *sampled = &training->sampled;
	const EncoderOptions *options = &training->options;
	Core	   *core = training->core;

	if (neighbourhood_open(&sampled->neighbourhood, training->arena, training->graph, marks, options->seed) != CORE_OK ||
		network_open_parameters(&training->network, core, training->arena, training->graph, options) != CORE_OK)
		return core->status;
	if (!resume && !options->warm_start && options->spectral_start && sampled_start(training) != CORE_OK)
		return core->status;
	if (options->epochs == 0)
		return CORE_OK;
	if (loss_open(&training->loss, training->arena, &training->network) != CORE_OK)
		return core->status;
	if (marks != NULL)
		training->loss.left_out = sampled->neighbourhood.left_out;
	return row_optimizer_open(&sampled->optimizer, training->arena, &training->network);
}

/* Number the nodes of the batch, and let the loss speak of them by their numbers. */
static CoreStatus
number_batch(EncoderTraining *training)
{
	Neighbourhood *neighbourhood = &training->sampled.neighbourhood;
	Loss	   *loss = &training->loss;
	int			drawn = (loss->count + LOSS_GROUP - 1) / LOSS_GROUP * loss->negatives;

	if (neighbourhood_begin(neighbourhood, 2 * loss->count + drawn) != CORE_OK)
		return training->core->status;
	for (int i = 0; i < loss->count; i++)
		loss->users[i] = neighbourhood_seed(neighbourhood, loss->users[i]);
	for (int i = 0; i < loss->count; i++)
		loss->objects[i] = neighbourhood_seed(neighbourhood, loss->objects[i]);
	for (int i = 0; i < drawn; i++)
		loss->drawn[i] = neighbourhood_seed(neighbourhood, loss->drawn[i]);
	return neighbourhood_join_seeds(neighbourhood);
}

/* Draw the block; the batch's own edges add nothing to its sums. */
static CoreStatus
draw_block(EncoderTraining *training)
{
	Neighbourhood *neighbourhood = &training->sampled.neighbourhood;
	const EncoderOptions *options = &training->options;
	const Loss *loss = &training->loss;

	if (number_batch(training) != CORE_OK)
		return training->core->status;
	if (options->hide_positives)
		neighbourhood_hide(neighbourhood, loss->entries, loss->count, true);
	neighbourhood_grow(neighbourhood, options->layers, 0, options->layers, options->sampled_neighbours,
					   (uint64_t) loss->step, true);
	if (options->hide_positives)
		neighbourhood_hide(neighbourhood, loss->entries, loss->count, false);
	return training->core->status;
}

/* Forward, loss, backward over the block that has been drawn. */
static CoreStatus
propagate_block(EncoderTraining *training, double *sum)
{
	SampledTraining *sampled = &training->sampled;
	Neighbourhood *neighbourhood = &sampled->neighbourhood;
	Network    *block = &sampled->block;

	if (network_open_block(block, training->core, &neighbourhood->arena, &neighbourhood->block,
						   &training->options) != CORE_OK ||
		row_optimizer_load(&sampled->optimizer, block, neighbourhood->nodes) != CORE_OK ||
		network_forward(block) != CORE_OK)
		return training->core->status;
	training->loss.network = block;
	loss_step(&training->loss, sum);
	training->loss.network = &training->network;
	return training->core->status == CORE_OK ? network_backward(block) : training->core->status;
}

CoreStatus
sampled_propagate(EncoderTraining *training, double *sum)
{
	return draw_block(training) == CORE_OK ? propagate_block(training, sum) : training->core->status;
}

CoreStatus
sampled_step(EncoderTraining *training, double learning_rate, double *sum)
{
	SampledTraining *sampled = &training->sampled;
	Neighbourhood *neighbourhood = &sampled->neighbourhood;

	if (sampled_propagate(training, sum) == CORE_OK)
		row_optimizer_step(&sampled->optimizer, &sampled->block, neighbourhood->nodes, learning_rate);
	neighbourhood_end(neighbourhood);
	return training->core->status;
}
