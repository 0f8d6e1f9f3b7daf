/*
 * evaluation.h
 *		A model measured on cases that it has not been trained on, with intervals.
 *
 * A test part holds cases of both classes, sampled at rates of their own: a case stands for
 * `class_weights` of the population.  Intervals are at 95 %, the size of both classes taken as
 * given: by DeLong's variance for the AUC, by the variance of the mean for the two losses,
 * and else by the standard error of a bootstrap, each case drawn a Poisson(1) number of times.
 */
#ifndef BEHAVPRED_EVALUATION_H
#define BEHAVPRED_EVALUATION_H

#include "core.h"
#include "metrics.h"
#include "sorting.h"
#include "student.h"

#define EVALUATION_MOST_CASES 1000000
#define EVALUATION_REPLICATES 200
#define EVALUATION_BINS 10		/* of the calibration error */

typedef struct TestPart
{
	int64_t		n;
	float	   *labels;			/* 0 or 1 */
	double	   *scores;			/* what users are ranked by */
	double	   *probabilities;	/* never falling as the score rises */
	double	   *activity;		/* the score of the popularity baseline */
	double		class_weights[2];	/* of a negative and of a positive case */
	double		prior;			/* everybody's probability in the prior baseline */
} TestPart;

typedef enum MeasureKind
{
	MEASURE_AUC,
	MEASURE_PR_AUC,
	MEASURE_LOG_LOSS,
	MEASURE_BRIER,
	MEASURE_ECE,
	MEASURE_LIFT,				/* of the best fraction `at` */
	MEASURE_GAIN				/* share of all positives in it */
} MeasureKind;

/* NaN = the data cannot tell. */
typedef struct Measure
{
	MeasureKind kind;
	double		at;
	double		value;
	double		low;
	double		high;
	double		popularity;		/* the same of the baselines; NaN where no probability is */
	double		prior;
} Measure;

/* The probabilities and the prior that a model gives to the scores, which are its logits. */
extern void evaluation_calibrate(TestPart *part, const Student *student);

/* Fill in measures whose kind and `at` are set. CORE_INVALID beyond EVALUATION_MOST_CASES. */
extern CoreStatus evaluation_measure(Core *core, const TestPart *part, uint64_t seed,
									 Measure *measures, int n_measures);

/* The cases by rising score, in `arena`. */
extern CoreStatus evaluation_sort(Core *core, Arena *arena, const TestPart *part, const SortItem **order);

/* The ranking of a part by score, in `arena`. */
extern CoreStatus evaluation_ranking(Core *core, Arena *arena, const TestPart *part, Ranking *ranking);

/* ---- curves ----------------------------------------------------------------------------- */

typedef struct RocPoint
{
	double		threshold;		/* score from which on a user is taken */
	double		selected;		/* share of the population that is taken */
	double		false_positive_rate;
	double		true_positive_rate;
} RocPoint;

/* From (0, 0) to (1, 1); at most `most` + 2 points.  Returns how many. */
extern int64_t curve_roc(const Ranking *ranking, int most, RocPoint *points);

typedef struct CalibrationBin
{
	int64_t		cases;
	int64_t		positives;
	double		probability;	/* mean in the population */
	double		rate;			/* of positives in the population */
	double		low;			/* of the rate, at 95 % */
	double		high;
} CalibrationBin;

/* At most `most` bins of about equal weight, by rising probability; equal ones stay together. */
extern CoreStatus curve_calibration(Core *core, const TestPart *part, int most, CalibrationBin *bins, int *n_bins);

typedef struct AudiencePoint
{
	int64_t		size;
	double		threshold;		/* probability of the last user */
	double		expected;		/* positives, by the probabilities */
	double		recall;			/* of all that are expected */
	double		low;			/* of the positives: what the test part shows of probabilities like these */
	double		high;			/* at 95 %; NaN when it shows none */
} AudiencePoint;

/* Fill in points whose sizes are set, ascending; probabilities and scores fall.  `part` may be NULL. */
extern CoreStatus curve_audience(Core *core, int64_t n, const double *scores, const double *probabilities,
								 const TestPart *part, AudiencePoint *points, int n_points);

#endif
