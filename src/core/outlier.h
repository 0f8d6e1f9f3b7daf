/*
 * outlier.h
 *		Isolation forest: how sparse the surroundings of each seed user are.
 *
 * CN112581191 claim 1 asks for an unsupervised outlier score of the seeds, higher where
 * seeds are sparser around a seed, used as the seed's training weight.  The algorithm
 * is our choice: Liu, Ting, Zhou 2008.
 */
#ifndef BEHAVPRED_OUTLIER_H
#define BEHAVPRED_OUTLIER_H

#include "core.h"

typedef enum SeedWeightScale
{
	SEED_WEIGHT_RAW,			/* the score itself, in (0, 1): the claim to the letter */
	SEED_WEIGHT_MEAN_1,			/* score / mean score */
	SEED_WEIGHT_SPREAD			/* scores stretched to [0.5, 2], then mean 1 */
} SeedWeightScale;

#define FOREST_TREES 100		/* Liu et al.: path lengths settle well before 100 */
#define FOREST_SUBSAMPLE 256

/*
 * Scores in (0, 1) of n vectors of `width` numbers (row-major, finite).  With fewer
 * than 8 vectors, or all equal, every score is 0.5.
 */
extern CoreStatus outlier_scores(Core *core, int64_t n, int width, const float *vectors,
								 uint64_t seed, double *scores);

/* Scores to weights; mean-1 scales are cut to [0.2, 5] (our choice: one far-off seed
 * must not rule the fit).  All equal scores give weight 1. */
extern void outlier_weights(int64_t n, const double *scores, SeedWeightScale scale, float *weights);

/* Expected path length of an unsuccessful search among m points: c(m) of the paper. */
extern double outlier_expected_path(int64_t m);

#endif
