/*
 * fold_in.c
 *		Run the last layer for nodes that are not in the training; see fold_in.h.
 *
 * Without the network itself the nodes of a batch and the rows they need are put side by side as a small graph of
 * its own, on which the kernels of the network run.
 */
#include "core/fold_in.h"

#include <math.h>
#include <string.h>

#include "core/activity.h"
#include "core/fold_in_network.h"
#include "core/fold_in_steps.h"
#include "core/kernels.h"

#define SHARD_NODES 64			/* with 20 neighbours: less than a millisecond */

/* The small graph: rows that the batch needs from 0 on, then its nodes. */
typedef struct Scene
{
	const FoldIn *fold;
	const FoldInBatch *batch;
	const Kernels *kernels;
	int			part;			/* numbers of a sub-vector ... */
	int			sub_width;		/* ... and filled up to whole lanes */
	int			width;
	int32_t		n_rows;			/* distinct ones that are needed */
	int32_t		n_nodes;		/* of both kinds */
	int64_t    *offsets;		/* n_nodes + 1; rows have none */
	int32_t    *neighbours;
	float	   *mapped;			/* n_nodes x width; 0 for the batch's nodes */
	float	   *inverse_lengths;	/* n_nodes x factors */
	float	   *left;			/* n_nodes */
	float	   *right;
	float	   *output;			/* n_nodes x width */
	float	   *vectors;
} Scene;

/* Number the rows that the batch needs in their order of appearance. */
static CoreStatus
number_rows(Scene *scene, Arena *arena, int32_t **rows)
{
	const FoldInBatch *batch = scene->batch;
	int64_t		entries = batch->offsets[batch->n_nodes];
	int32_t    *numbers = arena_allocate(arena, batch->n_rows, sizeof(int32_t));

	*rows = arena_allocate(arena, entries < batch->n_rows ? entries : batch->n_rows, sizeof(int32_t));
	scene->neighbours = arena_allocate(arena, entries, sizeof(int32_t));
	if (scene->fold->core->status != CORE_OK)
		return scene->fold->core->status;
	memset(numbers, -1, batch->n_rows * sizeof(int32_t));
	for (int64_t e = 0; e < entries; e++)
	{
		int32_t    *number = &numbers[batch->neighbours[e]];

		if (*number < 0)
		{
			*number = scene->n_rows++;
			(*rows)[*number] = batch->neighbours[e];
		}
		scene->neighbours[e] = *number;
	}
	return CORE_OK;
}

static CoreStatus
reserve(Scene *scene, Arena *arena)
{
	size_t		n = scene->n_nodes = scene->n_rows + scene->batch->n_nodes;

	scene->offsets = arena_allocate_zeroed(arena, n + 1, sizeof(int64_t));
	scene->mapped = arena_allocate_zeroed(arena, n * scene->width, sizeof(float));
	scene->output = arena_floats(arena, n * scene->width);
	scene->inverse_lengths = arena_floats(arena, n * scene->fold->options->factors);
	scene->left = arena_floats(arena, n);
	scene->right = arena_floats(arena, n);
	return scene->fold->core->status;
}

/* Copy the rows, their sub-vectors filled up to whole lanes, with their second weights. */
static void
copy_rows(Scene *scene, const int32_t *rows)
{
	const FoldIn *fold = scene->fold;
	bool		symmetric = fold->options->attention == ATTENTION_SYMMETRIC;

	for (int32_t i = 0; i < scene->n_rows; i++)
	{
		const float *row = scene->batch->rows + (size_t) rows[i] * fold->width;
		float	   *copy = scene->mapped + (size_t) i * scene->width;

		for (int k = 0; k < fold->options->factors; k++)
			memcpy(copy + k * scene->sub_width, row + k * scene->part, scene->part * sizeof(float));
		scene->right[i] = symmetric ? 1 / sqrtf((float) fmax(1, scene->batch->degrees[rows[i]])) : 1;
		scene->left[i] = 0;
	}
	memcpy(scene->offsets + scene->n_rows, scene->batch->offsets,
		   ((size_t) scene->batch->n_nodes + 1) * sizeof(int64_t));
	for (int32_t i = scene->n_rows; i < scene->n_nodes; i++)
		scene->left[i] = scene->right[i] = 1;
	scene->kernels->inverse_lengths(scene->mapped, scene->inverse_lengths, scene->n_nodes,
									fold->options->factors, scene->sub_width);
}

/* The rule of the training, or plain sums. */
static void
propagate(const Scene *scene, int32_t first, int32_t last)
{
	const EncoderOptions *options = scene->fold->options;
	RoutingTask routing = {
		.offsets = scene->offsets, .neighbours = scene->neighbours,
		.factors = options->factors, .sub_width = scene->sub_width, .rounds = options->routing_iterations,
		.own_centre = options->routing == ROUTING_OWN_CENTRE,
		.inverse_temperature = 1 / options->routing_temperature,
		.last_scale = options->keep_lengths ? 1 : 0,
		.weights = scene->batch->weights, .symmetric_weights = true,
		.left = scene->left, .right = scene->right,
		.mapped = scene->mapped, .inverse_lengths = scene->inverse_lengths,
		.start = scene->mapped, .start_inverse = scene->inverse_lengths,
	};
	const GatherTask plain = {
		.offsets = scene->offsets, .neighbours = scene->neighbours, .weights = scene->batch->weights,
		.left = scene->left, .right = scene->right,
		.input = scene->mapped, .output = scene->output, .width = scene->width,
	};

	routing.centres[options->routing_iterations - 1] = scene->output;
	if (options->routing == ROUTING_OFF)
		scene->kernels->gather(&plain, first, last);
	else
		scene->kernels->routing_forward(&routing, first, last);
}

/* Offsets whose differences are the degrees of the nodes. */
static const int64_t *
all_offsets(const FoldInBatch *batch)
{
	return batch->all != NULL ? batch->all : batch->offsets;
}

/* FoldInReadout: the stored form of one node, unit vector / sqrt(tau), then 1 and a place for the activity, or the
 * bias and 1. */
static void
store_node(void *argument, int32_t i, const float *sum)
{
	const Scene *scene = argument;
	const FoldIn *fold = scene->fold;
	float	   *vector = scene->vectors + (size_t) i * fold->width;
	int64_t		degree = all_offsets(scene->batch)[i + 1] - all_offsets(scene->batch)[i];
	int			dimension = fold->options->dimension;
	double		length = sqrt(scene->kernels->dot(sum, sum, scene->width));

	memset(vector, 0, fold->width * sizeof(float));
	if (fold->network == NULL && scene->batch->offsets[i] == scene->batch->offsets[i + 1])
		return;
	if (!(length > 1e-20) || !isfinite(length))
		return;
	for (int d = 0; d < dimension; d++)
		vector[d] = (float) (sum[d / scene->part * scene->sub_width + d % scene->part] /
							 (length * sqrt(fold->options->temperature)));
	vector[dimension] = fold->of_objects ? (float) (fold->bias_start + fold->bias_slope * log1p((double) degree)) : 1;
	vector[dimension + 1] = fold->of_objects ? 1 : 0;
}

/* Shard function: some nodes of the batch. */
static void
fold_nodes(void *argument, int64_t shard, int worker)
{
	Scene	   *scene = argument;
	int32_t		first = (int32_t) (shard * SHARD_NODES);
	int32_t		last = scene->batch->n_nodes - first < SHARD_NODES ? scene->batch->n_nodes : first + SHARD_NODES;

	(void) worker;
	propagate(scene, scene->n_rows + first, scene->n_rows + last);
	for (int32_t i = first; i < last; i++)
		store_node(scene, i, scene->output + ((size_t) scene->n_rows + i) * scene->width);
}

/* Build the small graph and run it. */
static CoreStatus
run_scene(Scene *scene, Arena *arena)
{
	int32_t    *rows;

	if (scene->fold->network != NULL)
		return fold_in_network(scene->fold, scene->batch, store_node, scene);
	if (number_rows(scene, arena, &rows) != CORE_OK || reserve(scene, arena) != CORE_OK)
		return scene->fold->core->status;
	copy_rows(scene, rows);
	return core_parallel(scene->fold->core, ((int64_t) scene->batch->n_nodes + SHARD_NODES - 1) / SHARD_NODES,
						 fold_nodes, scene);
}

/* A vector without a direction stays all 0. */
static void
shift_activity(const FoldIn *fold, int32_t n, float *vectors)
{
	for (int32_t i = 0; i < n; i++)
	{
		float	   *extra = vectors + (size_t) i * fold->width + fold->options->dimension;

		extra[1] = extra[0] == 0 ? 0 : (float) (extra[1] + fold->activity_shift);
	}
}

CoreStatus
fold_in(const FoldIn *fold, const FoldInBatch *batch, float *vectors)
{
	const EncoderOptions *options = fold->options;
	Scene		scene = {.fold = fold, .batch = batch, .vectors = vectors};
	Arena		scratch;

	scene.kernels = kernels_select(fold->core->portable);
	scene.part = options->dimension / options->factors;
	scene.sub_width = (scene.part + KERNEL_LANES - 1) & ~(KERNEL_LANES - 1);
	scene.width = options->factors * scene.sub_width;
	arena_open(&scratch, fold->core);
	core_start_workers(fold->core);
	if (run_scene(&scene, &scratch) == CORE_OK && !fold->of_objects &&
		fold_in_steps(fold, batch, vectors) == CORE_OK &&
		activity_measure(fold->core, fold->n_sample, fold->sample, batch->n_nodes, all_offsets(batch), vectors,
						 fold->width) == CORE_OK)
		shift_activity(fold, batch->n_nodes, vectors);
	core_stop_workers(fold->core);
	arena_close(&scratch);
	return fold->core->status;
}

/* The mean by which stored activities differ from measured ones. */
static CoreStatus
calibrate_users(FoldIn *fold, int32_t n, const float *vectors, const int32_t *degrees)
{
	size_t		size = (size_t) n * fold->width;
	double		sum = 0;
	float	   *measured;
	int64_t    *offsets;
	Arena		scratch;

	arena_open(&scratch, fold->core);
	core_start_workers(fold->core);
	measured = arena_floats(&scratch, size);
	offsets = arena_allocate_zeroed(&scratch, (size_t) n + 1, sizeof(int64_t));
	if (fold->core->status == CORE_OK)
	{
		memcpy(measured, vectors, size * sizeof(float));
		for (int32_t i = 0; i < n; i++)
			offsets[i + 1] = offsets[i] + degrees[i];
		if (activity_measure(fold->core, fold->n_sample, fold->sample, n, offsets, measured, fold->width) == CORE_OK)
			for (int32_t i = 0; i < n; i++)
				sum += (double) vectors[(size_t) (i + 1) * fold->width - 1] - measured[(size_t) (i + 1) * fold->width - 1];
		fold->activity_shift = n > 0 ? sum / n : 0;
	}
	core_stop_workers(fold->core);
	arena_close(&scratch);
	return fold->core->status;
}

/* Least squares of the bias over log(1 + degree); all of one degree: their mean. */
static void
calibrate_objects(FoldIn *fold, int32_t n, const float *vectors, const int32_t *degrees)
{
	double		x = 0,
				y = 0,
				xx = 0,
				xy = 0;

	for (int32_t i = 0; i < n; i++)
	{
		double		degree = log1p(degrees[i]);
		double		bias = vectors[(size_t) i * fold->width + fold->options->dimension];

		x += degree / n;
		y += bias / n;
		xx += degree * degree / n;
		xy += degree * bias / n;
	}
	fold->bias_slope = xx - x * x > 1e-9 ? (xy - x * y) / (xx - x * x) : 0;
	fold->bias_start = y - fold->bias_slope * x;
}

CoreStatus
fold_in_calibrate(FoldIn *fold, int32_t n, const float *vectors, const int32_t *degrees)
{
	if (!fold->of_objects)
		return calibrate_users(fold, n, vectors, degrees);
	calibrate_objects(fold, n, vectors, degrees);
	return fold->core->status;
}
