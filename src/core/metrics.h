/*
 * metrics.h
 *		Quality of scores and probabilities against what happened.
 *
 * Arrays hold n cases: `labels` are 0 or 1, `weights` (may be NULL = all 1) are how
 * many cases of the population one case stands for (finite, >= 0).  Ties in the score
 * count half in the AUC and are taken as one step in the precision-recall curve, so
 * that no metric depends on the order of the cases.  The top of a ranking is named by how
 * many cases stand in it, counted by weight; more than there are means all.  A metric that the
 * data cannot give (one class only, no case) is NaN.  Where a status is returned, a score that is NaN is
 * CORE_INVALID.
 */
#ifndef BEHAVPRED_METRICS_H
#define BEHAVPRED_METRICS_H

#include "core.h"

#define METRIC_MOST_BINS 100000

typedef struct Cases
{
	int64_t		n;
	const float *labels;
	const double *scores;
	const float *weights;
} Cases;

static inline double
case_weight(const Cases *cases, int64_t i)
{
	return cases->weights != NULL ? (double) cases->weights[i] : 1.0;
}

/* All cases with the same score, as sums of weights. */
typedef struct ScoreGroup
{
	double		score;
	double		positive;
	double		negative;
} ScoreGroup;

/* The groups by rising score, in `arena`; cases of weight 0 are left out. */
extern CoreStatus cases_group(Core *core, Arena *arena, const Cases *cases,
							  ScoreGroup **groups, int64_t *n_groups);

/* The groups of a ranking, by rising score, and the sums over them. */
typedef struct Ranking
{
	ScoreGroup *groups;
	int64_t		n;
	double		positive;
	double		negative;
} Ranking;

/* Fill in the sums. */
extern void ranking_sum(Ranking *ranking);

/* The metrics below, of a ranking that is there already. */
extern double ranking_auc(const Ranking *ranking);
extern double ranking_pr_auc(const Ranking *ranking);
extern double ranking_recall(const Ranking *ranking, double count);
extern double ranking_lift(const Ranking *ranking, double count);
extern double ranking_ece(const Ranking *ranking, double bins);

/* Area under the ROC curve. */
extern CoreStatus metric_auc(Core *core, const Cases *cases, double *auc);

/* Average precision: sum over distinct scores of precision * step in recall. */
extern CoreStatus metric_pr_auc(Core *core, const Cases *cases, double *pr_auc);

/* Rate of positives in the top `fraction` of the weighted cases over the rate in all;
 * a tie at the border is taken in proportion. */
extern CoreStatus metric_lift(Core *core, const Cases *cases, double fraction, double *lift);

/* The same of the top `count`. */
extern CoreStatus metric_lift_of_top(Core *core, const Cases *cases, double count, double *lift);

/* Rate of positives in the top `count`. */
extern CoreStatus metric_precision(Core *core, const Cases *cases, double count, double *precision);

/* Share of all positives that stand in the top `count`. */
extern CoreStatus metric_recall(Core *core, const Cases *cases, double count, double *recall);

/* Normalised discounted cumulative gain of the top k places, gains 0 or 1; a tie shares the
 * places it takes.  For cases without weights. */
extern CoreStatus metric_ndcg(Core *core, const Cases *cases, double k, double *ndcg);

/*
 * Population stability index between two samples, label 1 = expected, label 0 = actual:
 * sum of (a - e) * ln(a / e) over the shares of the bins.  `bins` of equal share are cut
 * from the expected sample, fewer where ties do not part; an empty bin counts half a case.
 */
extern CoreStatus metric_psi(Core *core, const Cases *cases, int bins, double *psi);

/* The next three take scores that are probabilities. */

/* Mean of -log(probability of what happened), probabilities kept within 1e-15 of 0 and 1. */
extern double metric_log_loss(const Cases *cases);

/* Mean squared difference of probability and label. */
extern double metric_brier(const Cases *cases);

/* Expected calibration error over `bins` bins of equal weight, by rising probability; a
 * tie at a border is taken in proportion. */
extern CoreStatus metric_ece(Core *core, const Cases *cases, int bins, double *ece);

#endif
