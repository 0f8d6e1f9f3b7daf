/*
 * calibration.h
 *		From a score to a probability: Platt's scale and offset, or an isotonic step curve.
 */
#ifndef BEHAVPRED_CALIBRATION_H
#define BEHAVPRED_CALIBRATION_H

#include "core.h"
#include "metrics.h"

/*
 * Platt: probability = 1 / (1 + exp(-(scale * score + offset))), by Newton's method on
 * the weighted log loss, with Platt's targets (n1 + 1) / (n1 + 2) and 1 / (n0 + 2) so
 * that separable data stay finite; n1 and n0 are effective numbers of cases,
 * (sum of weights)^2 / sum of squared weights.  Scale is kept >= 0: calibration never
 * turns a ranking around.  CORE_INVALID when a class is missing or a score is not finite.
 */
extern CoreStatus calibration_platt(Core *core, const Cases *cases, double *scale, double *offset);

/*
 * The same with a level that it does not pass: probability = level / (1 + exp(-(scale * score +
 * offset))), where not everybody who looks like it does it.  Goes on from Platt's scale and
 * offset by Fisher's scoring, on Platt's targets.  The level is 1, and the two are as they were,
 * unless its log likelihood is better by CALIBRATION_LEAST_GAIN (our choice: 5 % of curves without
 * a level would be taken to have one).
 */
#define CALIBRATION_LEAST_GAIN 2.0
extern CoreStatus calibration_level(Core *core, const Cases *cases, double *level, double *scale, double *offset);

/* A non-decreasing curve: values[i] holds at score thresholds[i], linear in between,
 * flat outside. */
typedef struct IsotonicCurve
{
	int			n_points;
	float	   *thresholds;		/* strictly ascending */
	float	   *values;			/* in (0, 1), never falling */
} IsotonicCurve;

/*
 * Pool adjacent violators; at most max_points points (>= 2), in `arena`.  Values are kept
 * 1 / (n + 2) away from 0 and 1, n the effective number of cases (our choice).
 * CORE_INVALID as above.
 */
extern CoreStatus calibration_isotonic(Core *core, Arena *arena, const Cases *cases,
									   int max_points, IsotonicCurve *curve);

extern double calibration_apply(const IsotonicCurve *curve, double score);

#endif
