/*
 * ranking.h
 *		Exact top-k by dot product, for all users at once, and the ranking metrics.
 *
 * Floor: 2 * users * objects * width flops of one sgemm; each block of scores is
 * reduced while it is in cache, so that the whole matrix never exists.
 */
#ifndef BEHAVPRED_RANKING_H
#define BEHAVPRED_RANKING_H

#include "core.h"

/* Row-major vectors, `width` numbers each. */
typedef struct Vectors
{
	int64_t		count;
	int			width;
	const float *values;
} Vectors;

/* For row i: columns listed at items[starts[i]] .. items[starts[i + 1] - 1], ascending. */
typedef struct Lists
{
	const int64_t *starts;
	const int32_t *items;
} Lists;

/* True when the list of the row holds the item. */
extern bool lists_hold(const Lists *lists, int64_t row, int32_t item);

/*
 * For each query the k objects with the largest dot product, best first, ties by the
 * smaller number; objects in `masked` (may be NULL) are left out.  top_objects and
 * top_scores are count x k; where fewer than k are left the rest is -1 and -inf.
 */
extern CoreStatus ranking_top(Core *core, Arena *arena, const Vectors *queries, const Vectors *objects,
							  const Lists *masked, int k, int32_t *top_objects, float *top_scores);

/* Score the lists (count x k) anew in double precision and order them by it, ties by the smaller number. */
extern void ranking_refine(const Vectors *queries, const Vectors *objects, int k, int32_t *top_objects,
						   double *scores);

/* Bytes that ranking_top() takes for a while. */
extern size_t ranking_scratch_bytes(int threads);

typedef struct RankingQuality
{
	int64_t		users;			/* with at least one relevant object */
	double		recall;			/* found / relevant, mean over users */
	double		ndcg;			/* binary gains, ideal over min(k, relevant), mean over users */
	double		precision;		/* found / k, mean over users */
	double		hit_rate;		/* share of users with at least one found */
	double		recall_error;	/* standard error of `recall` over users */
	double		ndcg_error;
} RankingQuality;

/* Quality of top lists (count x k) against the relevant objects of each user. */
extern void ranking_quality(int64_t count, int k, const int32_t *top_objects,
							const Lists *relevant, RankingQuality *quality);

#endif
