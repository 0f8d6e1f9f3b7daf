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
 * that separable data stay finite.  Scale is kept >= 0: calibration never turns a
 * ranking around.  CORE_INVALID when a class is missing.
 */
extern CoreStatus calibration_platt(Core *core, const Cases *cases, double *scale, double *offset);

/* A non-decreasing curve: value[i] holds at score threshold[i], linear in between,
 * flat outside. */
typedef struct IsotonicCurve
{
	int			n_points;
	float	   *thresholds;		/* ascending */
	float	   *values;			/* in (0, 1), ascending */
} IsotonicCurve;

/* Pool adjacent violators; at most max_points points, in `arena`. */
extern CoreStatus calibration_isotonic(Core *core, Arena *arena, const Cases *cases,
									   int max_points, IsotonicCurve *curve);

extern double calibration_apply(const IsotonicCurve *curve, double score);

#endif
