/*
 * activity.c
 *		log(1 + degree) - log Z for all users, in panels of users times drawn objects.
 */
#include "core/activity.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "core/random.h"

#define PANEL_USERS 64			/* with 4,096 objects: some milliseconds */

typedef struct Activity
{
	const Graph *graph;
	int			width;
	float	   *vectors;
	int			drawn;			/* objects */
	float	   *objects;		/* drawn x width */
	float	   *panels;			/* workers x (PANEL_USERS x drawn) */
} Activity;

static int
drawn_objects(int64_t n_objects)
{
	return n_objects < ACTIVITY_OBJECTS ? (int) n_objects : ACTIVITY_OBJECTS;
}

/* log of the sum of exp, safe for any scores. */
static double
log_sum_exp(const float *scores, int n)
{
	float		highest = scores[0];
	double		sum = 0;

	for (int i = 1; i < n; i++)
		highest = fmaxf(highest, scores[i]);
	for (int i = 0; i < n; i++)
		sum += expf(scores[i] - highest);
	return highest + log(sum);
}

/* Shard function: some users.  The products leave out the last number, which is being made. */
static void
fill_users(void *argument, int64_t shard, int worker)
{
	const Activity *a = argument;
	int64_t		first = shard * PANEL_USERS;
	int64_t		left = a->graph->n_users - first;
	int			n = left < PANEL_USERS ? (int) left : PANEL_USERS;
	float	   *scores = a->panels + (size_t) worker * PANEL_USERS * a->drawn;

	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, a->drawn, a->width - 1,
				1, a->vectors + first * a->width, a->width, a->objects, a->width, 0, scores, a->drawn);
	for (int i = 0; i < n; i++)
		a->vectors[(first + i + 1) * a->width - 1] =
			(float) (log1p((double) graph_predicted_degree(a->graph, (int32_t) (first + i))) -
					 log_sum_exp(scores + (size_t) i * a->drawn, a->drawn));
}

/* Copy the drawn objects' vectors side by side. */
static void
draw_objects(const Activity *a, uint64_t seed)
{
	int32_t		n_objects = a->graph->n_objects;

	for (int i = 0; i < a->drawn; i++)
	{
		size_t		node = (size_t) a->graph->n_users +
			random_place(seed, RANDOM_CALIBRATION, n_objects, i);

		memcpy(a->objects + (size_t) i * a->width, a->vectors + node * a->width, a->width * sizeof(float));
	}
}

/* Only differences between users matter; near 0 the number hardly bends a cosine. */
static void
centre(const Activity *a)
{
	double		sum = 0;
	int32_t		n_users = a->graph->n_users;

	for (int64_t u = 0; u < n_users; u++)
		sum += a->vectors[(u + 1) * a->width - 1];
	for (int64_t u = 0; u < n_users; u++)
		a->vectors[(u + 1) * a->width - 1] -= (float) (sum / n_users);
}

size_t
activity_scratch_bytes(int64_t n_objects, int width, int threads)
{
	return sizeof(float) * drawn_objects(n_objects) * ((size_t) width + (size_t) threads * PANEL_USERS);
}

CoreStatus
activity_fill(Core *core, const Graph *graph, uint64_t seed, float *vectors, int width)
{
	Activity	a = {.graph = graph, .width = width, .vectors = vectors, .drawn = drawn_objects(graph->n_objects)};
	size_t		workers = core->threads > 1 ? (size_t) core->threads : 1;
	Arena		scratch;

	arena_open(&scratch, core);
	a.objects = arena_floats(&scratch, (size_t) a.drawn * width);
	a.panels = arena_floats(&scratch, workers * PANEL_USERS * a.drawn);
	if (core->status == CORE_OK)
	{
		draw_objects(&a, seed);
		if (core_parallel(core, ((int64_t) graph->n_users + PANEL_USERS - 1) / PANEL_USERS, fill_users,
						  &a) == CORE_OK)
			centre(&a);
	}
	arena_close(&scratch);
	return core->status;
}
