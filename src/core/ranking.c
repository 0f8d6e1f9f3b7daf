/*
 * ranking.c
 *		Scores by sgemm in blocks that stay in cache, top-k lists kept beside them.
 */
#include "core/ranking.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "core/kernels.h"
#include "core/vectors.h"

#define BLOCK_QUERIES 128
#define PANEL_OBJECTS 2048		/* 128 x 2048 scores are 1 MB */
#define SCAN_OBJECTS 128		/* scores compared with one threshold: it rises fast in the first panel */

typedef struct RankingTask
{
	const Kernels *kernels;
	const Vectors *queries;
	const Vectors *objects;
	const Lists *masked;
	int			k;
	int32_t    *top_objects;
	float	   *top_scores;
	float	   *scores;			/* for each worker BLOCK_QUERIES x PANEL_OBJECTS */
} RankingTask;

size_t
ranking_scratch_bytes(int threads)
{
	return (size_t) threads * PANEL_OBJECTS * BLOCK_QUERIES * sizeof(float);
}

/* Put one candidate into a list sorted by falling score; it is known to belong there. */
static void
insert_candidate(int k, int32_t *objects, float *scores, int32_t object, float score)
{
	int			place = k - 1;

	while (place > 0 && scores[place - 1] < score)
	{
		scores[place] = scores[place - 1];
		objects[place] = objects[place - 1];
		place--;
	}
	scores[place] = score;
	objects[place] = object;
}

/* Take the masked objects of a query out of this panel of scores. */
static void
mask_panel(const Lists *masked, int64_t query, int32_t first, int32_t last, float *scores)
{
	int64_t		low = masked->starts[query];
	int64_t		end = masked->starts[query + 1];
	int64_t		high = end;

	while (low < high)
	{
		int64_t		middle = low + (high - low) / 2;

		if (masked->items[middle] < first)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < end && masked->items[low] < last; low++)
		scores[masked->items[low] - first] = -INFINITY;
}

/* Merge the scores of one query into its list. */
static void
merge_row(const RankingTask *task, int64_t query, const float *row, int objects, int32_t first_object)
{
	int32_t    *top_objects = task->top_objects + query * task->k;
	float	   *top_scores = task->top_scores + query * task->k;
	int32_t		positions[SCAN_OBJECTS];

	for (int start = 0; start < objects; start += SCAN_OBJECTS)
	{
		const float *part = row + start;
		int			n = objects - start < SCAN_OBJECTS ? objects - start : SCAN_OBJECTS;
		int			found = task->kernels->above(part, n, top_scores[task->k - 1], positions);

		for (int i = 0; i < found; i++)
			if (part[positions[i]] > top_scores[task->k - 1])
				insert_candidate(task->k, top_objects, top_scores, first_object + start + positions[i],
								 part[positions[i]]);
	}
}

/* Merge one panel of scores into the lists of a block of queries. */
static void
merge_panel(const RankingTask *task, int64_t first_query, int queries, int32_t first_object,
			int objects, float *scores)
{
	for (int q = 0; q < queries; q++)
	{
		float	   *row = scores + (size_t) q * objects;

		if (task->masked != NULL)
			mask_panel(task->masked, first_query + q, first_object, first_object + objects, row);
		merge_row(task, first_query + q, row, objects, first_object);
	}
}

static void
rank_block(void *argument, int64_t shard, int worker)
{
	const RankingTask *task = argument;
	int			width = task->queries->width;
	int64_t		first = shard * BLOCK_QUERIES;
	int			queries = (int) (task->queries->count - first < BLOCK_QUERIES ?
								 task->queries->count - first : BLOCK_QUERIES);
	float	   *scores = task->scores + (size_t) worker * BLOCK_QUERIES * PANEL_OBJECTS;

	for (int64_t i = first * task->k; i < (first + queries) * task->k; i++)
	{
		task->top_objects[i] = -1;
		task->top_scores[i] = -INFINITY;
	}
	for (int64_t object = 0; object < task->objects->count; object += PANEL_OBJECTS)
	{
		int			objects = (int) (task->objects->count - object < PANEL_OBJECTS ?
									 task->objects->count - object : PANEL_OBJECTS);

		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, queries, objects, width, 1,
					task->queries->values + first * width, width,
					task->objects->values + object * width, width, 0, scores, objects);
		merge_panel(task, first, queries, (int32_t) object, objects, scores);
	}
}

CoreStatus
ranking_top(Core *core, Arena *arena, const Vectors *queries, const Vectors *objects,
			const Lists *masked, int k, int32_t *top_objects, float *top_scores)
{
	RankingTask task = {
		.kernels = kernels_select(core->portable),
		.queries = queries, .objects = objects, .masked = masked,
		.k = k, .top_objects = top_objects, .top_scores = top_scores,
	};

	task.scores = arena_floats(arena, (size_t) core->threads * BLOCK_QUERIES * PANEL_OBJECTS);
	if (core->status != CORE_OK)
		return core->status;
	core_start_workers(core);
	core_parallel(core, (queries->count + BLOCK_QUERIES - 1) / BLOCK_QUERIES, rank_block, &task);
	core_stop_workers(core);
	arena_release(arena, task.scores);
	return core->status;
}

/* Put entry i of a list to its place among those before it. */
static void
sort_in(int i, int32_t *objects, double *scores)
{
	int32_t		object = objects[i];
	double		score = scores[i];

	for (; i > 0 && (scores[i - 1] < score || (scores[i - 1] == score && objects[i - 1] > object)); i--)
	{
		objects[i] = objects[i - 1];
		scores[i] = scores[i - 1];
	}
	objects[i] = object;
	scores[i] = score;
}

/* See ranking.h. */
void
ranking_refine(const Vectors *queries, const Vectors *objects, int k, int32_t *top_objects, double *scores)
{
	int			width = queries->width;

	for (int64_t query = 0; query < queries->count; query++)
	{
		int32_t    *list = top_objects + query * k;
		double	   *list_scores = scores + query * k;

		for (int i = 0; i < k; i++)
		{
			list_scores[i] = list[i] < 0 ? -INFINITY :
				vectors_dot(queries->values + query * width, objects->values + (int64_t) list[i] * width, width);
			if (list[i] >= 0)
				sort_in(i, list, list_scores);
		}
	}
}

/* See ranking.h. */
bool
lists_hold(const Lists *lists, int64_t row, int32_t item)
{
	int64_t		low = lists->starts[row];
	int64_t		end = lists->starts[row + 1];

	while (low < end)
	{
		int64_t		middle = low + (end - low) / 2;

		if (lists->items[middle] == item)
			return true;
		if (lists->items[middle] < item)
			low = middle + 1;
		else
			end = middle;
	}
	return false;
}

/* Sums over users from which means and standard errors follow. */
typedef struct QualitySums
{
	double		recall;
	double		recall_squares;
	double		ndcg;
	double		ndcg_squares;
	double		found;
	int64_t		hits;
} QualitySums;

static void
add_user(QualitySums *sums, int k, const int32_t *top, const Lists *relevant, int64_t user)
{
	int64_t		n_relevant = relevant->starts[user + 1] - relevant->starts[user];
	double		gain = 0;
	double		ideal = 0;
	int			found = 0;

	for (int i = 0; i < k; i++)
	{
		if (i < n_relevant)
			ideal += 1 / log2(i + 2.0);
		if (top[i] >= 0 && lists_hold(relevant, user, top[i]))
		{
			found++;
			gain += 1 / log2(i + 2.0);
		}
	}
	sums->recall += (double) found / n_relevant;
	sums->recall_squares += (double) found / n_relevant * found / n_relevant;
	sums->ndcg += gain / ideal;
	sums->ndcg_squares += gain / ideal * gain / ideal;
	sums->found += found;
	sums->hits += found > 0;
}

static double
standard_error(double sum, double squares, int64_t n)
{
	double		variance = squares / n - (sum / n) * (sum / n);

	return variance > 0 ? sqrt(variance / n) : 0;
}

void
ranking_quality(int64_t count, int k, const int32_t *top_objects,
				const Lists *relevant, RankingQuality *quality)
{
	QualitySums sums = {0};
	int64_t		n = 0;

	for (int64_t i = 0; i < count; i++)
	{
		if (relevant->starts[i + 1] == relevant->starts[i])
			continue;
		add_user(&sums, k, top_objects + i * k, relevant, i);
		n++;
	}
	*quality = (RankingQuality) {
		.users = n,
		.recall = sums.recall / n, .ndcg = sums.ndcg / n,
		.precision = sums.found / k / n, .hit_rate = (double) sums.hits / n,
		.recall_error = standard_error(sums.recall, sums.recall_squares, n),
		.ndcg_error = standard_error(sums.ndcg, sums.ndcg_squares, n),
	};
}
