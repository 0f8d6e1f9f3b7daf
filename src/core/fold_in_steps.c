/*
 * fold_in_steps.c
 *		The steps of fold_in_steps.h, in panels of users times drawn objects.
 *
 * The loss is that of the training, -log(e^S(u,o) / sum over drawn n of e^S(u,n)), and its gradient in the stored
 * scale the mean of the neighbours' vectors less that of the drawn objects' weighed by their softmax.
 */
#include "core/fold_in_steps.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "core/kernels.h"
#include "core/vectors.h"

#define PANEL_USERS 64			/* with 1,024 objects: a millisecond for each step */
#define STEP_OBJECTS 1024		/* of the sample, evenly spread */

/* Steps, and their length at gradient 1, where vectors have length 1 / sqrt(tau): after one layer from stored
 * vectors, and after the whole network, which leaves less to make up for. */
#define STEPS 4
#define STEP_LENGTH 0.3f
#define STEPS_AFTER_NETWORK 3
#define STEP_LENGTH_AFTER_NETWORK 0.1f

typedef struct Steps
{
	const FoldIn *fold;
	const FoldInBatch *batch;
	float	   *vectors;
	int			drawn;			/* objects */
	int			stride;			/* numbers from one to the next */
	int			count;
	float		length;			/* of a step */
	const Kernels *kernels;
	const float *no_bias;		/* drawn zeros: the products have the bias in */
	float	   *scores;			/* workers x (PANEL_USERS x drawn) */
	float	   *gradients;		/* workers x (PANEL_USERS x dimension) */
} Steps;

/* Scores to softmax. */
static void
softmax(const Steps *steps, float *scores)
{
	float		highest = vectors_highest(scores, steps->drawn);
	float		scale = 1 / steps->kernels->exponentials(scores, steps->no_bias, highest, steps->drawn);

	for (int i = 0; i < steps->drawn; i++)
		scores[i] *= scale;
}

/* What a neighbour counts: only what is to be predicted is a positive of the loss. */
static float
positive_weight(const Steps *steps, int64_t entry)
{
	const FoldInBatch *batch = steps->batch;

	if (batch->types != NULL && (batch->types[entry] & steps->fold->network->predicted) == 0)
		return 0;
	return batch->weights == NULL ? 1 : batch->weights[entry];
}

/* The mean of the neighbours' vectors; false when there is none that counts. */
static bool
mean_of_neighbours(const Steps *steps, int32_t user, float *mean)
{
	const FoldInBatch *batch = steps->batch;
	int			dimension = steps->fold->options->dimension;
	float		sum = 0;

	memset(mean, 0, dimension * sizeof(float));
	for (int64_t e = batch->offsets[user]; e < batch->offsets[user + 1]; e++)
	{
		const float *row = batch->rows + (size_t) batch->neighbours[e] * steps->fold->width;
		float		weight = positive_weight(steps, e);

		for (int d = 0; d < dimension; d++)
			mean[d] += weight * row[d];
		sum += weight;
	}
	for (int d = 0; d < dimension && sum > 0; d++)
		mean[d] /= sum;
	return sum > 0;
}

/* One step of one user; a vector without a direction stays as it is. */
static void
move(const Steps *steps, float *vector, const float *gradient)
{
	const EncoderOptions *options = steps->fold->options;
	double		length = 0;
	float		scale;

	if (vector[options->dimension] == 0)
		return;
	for (int d = 0; d < options->dimension; d++)
	{
		vector[d] += steps->length * gradient[d];
		length += (double) vector[d] * vector[d];
	}
	scale = (float) (1 / sqrt(length * options->temperature));
	for (int d = 0; d < options->dimension; d++)
		vector[d] *= scale;
}

/* Shard function: all steps of a panel of users.  The products take the bias in, which users have a 1 for. */
static void
move_panel(void *argument, int64_t shard, int worker)
{
	const Steps *steps = argument;
	int			width = steps->fold->width;
	int			dimension = steps->fold->options->dimension;
	int32_t		first = (int32_t) (shard * PANEL_USERS);
	int32_t		left = steps->batch->n_nodes - first;
	int			n = left < PANEL_USERS ? (int) left : PANEL_USERS;
	float	   *vectors = steps->vectors + (size_t) first * width;
	float	   *scores = steps->scores + (size_t) worker * PANEL_USERS * steps->drawn;
	float	   *gradients = steps->gradients + (size_t) worker * PANEL_USERS * dimension;
	bool		moves[PANEL_USERS];

	for (int step = 0; step < steps->count; step++)
	{
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, steps->drawn, width - 1, 1, vectors, width,
					steps->fold->sample, steps->stride, 0, scores, steps->drawn);
		for (int i = 0; i < n; i++)
		{
			softmax(steps, scores + (size_t) i * steps->drawn);
			moves[i] = mean_of_neighbours(steps, first + i, gradients + (size_t) i * dimension);
		}
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, dimension, steps->drawn, -1, scores, steps->drawn,
					steps->fold->sample, steps->stride, 1, gradients, dimension);
		for (int i = 0; i < n; i++)
			if (moves[i])
				move(steps, vectors + (size_t) i * width, gradients + (size_t) i * dimension);
	}
}

CoreStatus
fold_in_steps(const FoldIn *fold, const FoldInBatch *batch, float *vectors)
{
	size_t		workers = fold->core->threads > 1 ? (size_t) fold->core->threads : 1;
	int			spread = fold->n_sample > STEP_OBJECTS ? fold->n_sample / STEP_OBJECTS : 1;
	Steps		steps = {.fold = fold, .batch = batch, .vectors = vectors, .stride = spread * fold->width};
	Arena		scratch;

	steps.drawn = fold->n_sample / spread;
	steps.count = fold->network == NULL ? STEPS : fold->network->id_embeddings ? STEPS_AFTER_NETWORK : 0;
	steps.length = fold->network == NULL ? STEP_LENGTH : STEP_LENGTH_AFTER_NETWORK;
	if (steps.drawn == 0 || steps.count == 0)
		return fold->core->status;
	arena_open(&scratch, fold->core);
	steps.kernels = kernels_select(fold->core->portable);
	steps.no_bias = arena_allocate_zeroed(&scratch, steps.drawn, sizeof(float));
	steps.scores = arena_floats(&scratch, workers * PANEL_USERS * steps.drawn);
	steps.gradients = arena_floats(&scratch, workers * PANEL_USERS * fold->options->dimension);
	if (fold->core->status == CORE_OK)
		core_parallel(fold->core, ((int64_t) batch->n_nodes + PANEL_USERS - 1) / PANEL_USERS, move_panel, &steps);
	arena_close(&scratch);
	return fold->core->status;
}
