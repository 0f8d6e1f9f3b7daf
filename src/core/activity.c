/*
 * activity.c
 *		log(1 + degree) - log Z for all users, in panels of users times drawn objects.
 */
#include "core/activity.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "core/kernels.h"
#include "core/random.h"
#include "core/vectors.h"

#define PANEL_USERS 64			/* with 4,096 objects: some milliseconds */

typedef struct Activity
{
	const Graph *graph;			/* NULL: the degrees follow from ... */
	const int64_t *offsets;		/* ... these */
	int32_t		n_users;
	int			width;
	float	   *vectors;
	int			drawn;			/* objects */
	const float *objects;		/* drawn x width */
	const Kernels *kernels;
	const float *no_bias;		/* drawn zeros: the products have the bias in */
	float	   *panels;			/* workers x (PANEL_USERS x drawn) */
} Activity;

static int
drawn_objects(int64_t n_objects)
{
	return n_objects < ACTIVITY_OBJECTS ? (int) n_objects : ACTIVITY_OBJECTS;
}

/* log of the sum of exp, safe for any scores, which are lost. */
static double
log_sum_exp(const Activity *a, float *scores)
{
	float		highest = vectors_highest(scores, a->drawn);

	return highest + log(a->kernels->exponentials(scores, a->no_bias, highest, a->drawn));
}

/* The degree that an activity is about. */
static int64_t
degree_of(const Activity *a, int32_t user)
{
	return a->graph != NULL ? graph_predicted_degree(a->graph, user) : a->offsets[user + 1] - a->offsets[user];
}

/* Shard function: some users.  The products leave out the last number, which is being made. */
static void
fill_users(void *argument, int64_t shard, int worker)
{
	const Activity *a = argument;
	int64_t		first = shard * PANEL_USERS;
	int64_t		left = a->n_users - first;
	int			n = left < PANEL_USERS ? (int) left : PANEL_USERS;
	float	   *scores = a->panels + (size_t) worker * PANEL_USERS * a->drawn;

	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, a->drawn, a->width - 1,
				1, a->vectors + first * a->width, a->width, a->objects, a->width, 0, scores, a->drawn);
	for (int i = 0; i < n; i++)
		a->vectors[(first + i + 1) * a->width - 1] =
			(float) (log1p((double) degree_of(a, (int32_t) (first + i))) -
					 log_sum_exp(a, scores + (size_t) i * a->drawn));
}

/* Copy the drawn objects' vectors side by side. */
static void
draw_objects(const Graph *graph, uint64_t seed, const float *vectors, int width, int drawn, float *objects)
{
	for (int i = 0; i < drawn; i++)
	{
		size_t		node = (size_t) graph->n_users + random_place(seed, RANDOM_CALIBRATION, graph->n_objects, i);

		memcpy(objects + (size_t) i * width, vectors + node * width, width * sizeof(float));
	}
}

/* Only differences between users matter; near 0 the number hardly bends a cosine. */
static void
centre(int32_t n_users, float *vectors, int width)
{
	double		sum = 0;

	for (int64_t u = 0; u < n_users; u++)
		sum += vectors[(u + 1) * width - 1];
	for (int64_t u = 0; u < n_users; u++)
		vectors[(u + 1) * width - 1] -= (float) (sum / n_users);
}

size_t
activity_scratch_bytes(int64_t n_objects, int width, int threads)
{
	return sizeof(float) * drawn_objects(n_objects) * ((size_t) width + 1 + (size_t) threads * PANEL_USERS);
}

/* The activities of all users of `a`. */
static CoreStatus
measure(Core *core, Activity *a)
{
	size_t		workers = core->threads > 1 ? (size_t) core->threads : 1;
	Arena		scratch;

	arena_open(&scratch, core);
	a->kernels = kernels_select(core->portable);
	a->panels = arena_floats(&scratch, workers * PANEL_USERS * a->drawn);
	a->no_bias = arena_allocate_zeroed(&scratch, a->drawn, sizeof(float));
	if (core->status == CORE_OK)
		core_parallel(core, ((int64_t) a->n_users + PANEL_USERS - 1) / PANEL_USERS, fill_users, a);
	arena_close(&scratch);
	return core->status;
}

CoreStatus
activity_measure(Core *core, int32_t n_objects, const float *objects, int32_t n_users, const int64_t *offsets,
				 float *vectors, int width)
{
	Activity	a = {.offsets = offsets, .n_users = n_users, .width = width, .vectors = vectors,
	.drawn = n_objects, .objects = objects};

	return measure(core, &a);
}

CoreStatus
activity_fill(Core *core, const Graph *graph, uint64_t seed, float *vectors, int width)
{
	int			drawn = drawn_objects(graph->n_objects);
	Activity	a = {.graph = graph, .n_users = graph->n_users, .width = width, .vectors = vectors, .drawn = drawn};
	float	   *objects;
	Arena		scratch;

	arena_open(&scratch, core);
	a.objects = objects = arena_floats(&scratch, (size_t) drawn * width);
	if (core->status == CORE_OK)
	{
		draw_objects(graph, seed, vectors, width, drawn, objects);
		if (measure(core, &a) == CORE_OK)
			centre(graph->n_users, vectors, width);
	}
	arena_close(&scratch);
	return core->status;
}
