/*
 * teacher.c
 *		Scores that the graph network gives to users, for the soft labels of a target.
 */
#include "core/teacher.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "core/encoder.h"
#include "core/vectors.h"

#define PANEL_USERS 128
#define PANEL_OBJECTS 512		/* 128 x 512 scores are a quarter of a megabyte */

typedef struct ScoreTask
{
	const Vectors *users;
	const Vectors *objects;
	float	   *panels;			/* for each worker PANEL_USERS x PANEL_OBJECTS */
	double	   *scores;
} ScoreTask;

static int
least(int64_t a, int64_t b)
{
	return (int) (a < b ? a : b);
}

/* Shard function: the best scores of one panel of users. */
static void
score_panel(void *argument, int64_t shard, int worker)
{
	const ScoreTask *task = argument;
	int			width = task->users->width;
	int64_t		first = shard * PANEL_USERS;
	int			users = least(task->users->count - first, PANEL_USERS);
	float	   *panel = task->panels + (size_t) worker * PANEL_USERS * PANEL_OBJECTS;

	for (int u = 0; u < users; u++)
		task->scores[first + u] = -INFINITY;
	for (int64_t object = 0; object < task->objects->count; object += PANEL_OBJECTS)
	{
		int			objects = least(task->objects->count - object, PANEL_OBJECTS);

		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, users, objects, width, 1,
					task->users->values + first * width, width,
					task->objects->values + object * width, width, 0, panel, objects);
		for (int u = 0; u < users; u++)
		{
			float		best = panel[(size_t) u * objects];

			for (int o = 1; o < objects; o++)
				best = fmaxf(best, panel[(size_t) u * objects + o]);
			task->scores[first + u] = fmax(task->scores[first + u], best);
		}
	}
}

CoreStatus
teacher_best_scores(Core *core, Arena *arena, const Vectors *users, const Vectors *objects, double *scores)
{
	ScoreTask	task = {users, objects, NULL, scores};

	task.panels = arena_floats(arena, (size_t) core->threads * PANEL_USERS * PANEL_OBJECTS);
	if (task.panels == NULL)
		return core->status;
	core_parallel(core, (users->count + PANEL_USERS - 1) / PANEL_USERS, score_panel, &task);
	arena_release(arena, task.panels);
	return core->status;
}

/* Bring each subspace to this length; one that is zero stays so. */
static void
scale_factors(float *vector, int factors, int sub_width, double wanted)
{
	for (int f = 0; f < factors; f++)
	{
		float	   *part = vector + (size_t) f * sub_width;
		double		length = sqrt(vectors_dot(part, part, sub_width));

		for (int d = 0; d < sub_width; d++)
			part[d] = length > 0 ? (float) (wanted * part[d] / length) : 0;
	}
}

void
teacher_from_seeds(const Vectors *users, const uint8_t *chosen, uint8_t mark, int factors, float *teacher)
{
	int			numbers = users->width - ENCODER_EXTRA_NUMBERS;
	int64_t		n = 0;
	double		square = 0;

	memset(teacher, 0, users->width * sizeof(float));
	for (int64_t i = 0; i < users->count; i++)
	{
		const float *vector = users->values + i * users->width;

		if (chosen != NULL && chosen[i] != mark)
			continue;
		n++;					/* a running mean, so that no sum grows beyond its terms */
		for (int d = 0; d < numbers; d++)
			teacher[d] += (vector[d] - teacher[d]) / n;
		square += (vectors_dot(vector, vector, numbers) - square) / n;
	}
	if (factors < 1 || numbers % factors != 0)
		factors = 1;
	scale_factors(teacher, factors, numbers / factors, sqrt(square / factors));
	teacher[users->width - 1] = 1;
}
