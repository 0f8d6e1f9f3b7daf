/*
 * calibration.c
 *		From scores to probabilities: Platt's scaling and isotonic regression.
 */
#include "core/calibration.h"

#include <math.h>

#define CASES_PER_SHARD 8192
#define MOST_NEWTON_STEPS 100
#define MOST_HALVINGS 40
#define SMALL_GRADIENT 1e-10	/* the loss is a mean, the scores are standardised */
#define SMALL_CURVATURE 1e-12
#define SMALL_DECREASE 1e-13	/* of the loss: what is less drowns in rounding */
#define LEAST_PROBABILITY 1e-6	/* 1 minus it is still below 1 in single precision */

/* What is known of the cases before fitting. */
typedef struct CaseSummary
{
	double		weights[2];		/* sums for label 0 and 1 */
	double		squares[2];		/* sums of squared weights */
	double		mean;			/* of the scores */
	double		deviation;		/* 0 when all scores are equal */
} CaseSummary;

/* How many cases of weight 1 the cases of one label are worth. */
static double
effective_cases(const CaseSummary *summary, int label)
{
	return summary->weights[label] * summary->weights[label] / summary->squares[label];
}

/* Weighted deviation of the scores from their mean. */
static double
deviation_of_scores(const Cases *cases, double mean, double weights)
{
	double		sum = 0.0;

	for (int64_t i = 0; i < cases->n; i++)
	{
		double		distance = cases->scores[i] - mean;

		sum += case_weight(cases, i) * distance * distance;
	}
	return sqrt(sum / weights);
}

/* Sum up, and refuse what cannot be calibrated. */
static CoreStatus
summarise(Core *core, const Cases *cases, CaseSummary *summary)
{
	double		minimum = INFINITY;
	double		maximum = -INFINITY;
	double		all;

	*summary = (CaseSummary) {0};
	for (int64_t i = 0; i < cases->n; i++)
	{
		int			label = cases->labels[i] > 0.5f;
		double		weight = case_weight(cases, i);

		if (!isfinite((float) cases->scores[i]))
			return core_fail(core, CORE_INVALID, "score %lld is not finite", (long long) (i + 1));
		summary->weights[label] += weight;
		summary->squares[label] += weight * weight;
		summary->mean += weight * cases->scores[i];
		minimum = weight > 0.0 ? fmin(minimum, cases->scores[i]) : minimum;
		maximum = weight > 0.0 ? fmax(maximum, cases->scores[i]) : maximum;
	}
	if (!(summary->weights[0] > 0.0 && summary->weights[1] > 0.0))
		return core_fail(core, CORE_INVALID, "there is no %s case among %lld",
						 summary->weights[1] > 0.0 ? "negative" : "positive", (long long) cases->n);
	all = summary->weights[0] + summary->weights[1];
	summary->mean /= all;
	summary->deviation = minimum < maximum ? deviation_of_scores(cases, summary->mean, all) : 0.0;
	return CORE_OK;
}

/* The log loss of scale and offset on standardised scores, with its derivatives. */
typedef struct PlattSums
{
	double		loss;
	double		gradient[2];	/* by scale, by offset */
	double		curvature[3];	/* scale scale, scale offset, offset offset */
} PlattSums;

typedef struct PlattFit
{
	Core	   *core;
	const Cases *cases;
	CaseSummary summary;
	double		targets[2];		/* probability aimed at for label 0 and 1 */
	double		scale;
	double		offset;
	int64_t		shards;
	PlattSums  *partial;		/* one for each shard */
} PlattFit;

/* Shard function: the sums over some cases. */
static void
sum_platt(void *argument, int64_t shard, int worker)
{
	const PlattFit *fit = argument;
	const Cases *cases = fit->cases;
	PlattSums	sums = {0};
	int64_t		end = (shard + 1) * CASES_PER_SHARD;

	(void) worker;
	for (int64_t i = shard * CASES_PER_SHARD; i < end && i < cases->n; i++)
	{
		double		weight = case_weight(cases, i);
		double		score = (cases->scores[i] - fit->summary.mean) / fit->summary.deviation;
		double		logit = fit->scale * score + fit->offset;
		double		target = fit->targets[cases->labels[i] > 0.5f];
		double		tail = exp(-fabs(logit));
		double		p = logit >= 0.0 ? 1.0 / (1.0 + tail) : tail / (1.0 + tail);
		double		curvature = weight * tail / ((1.0 + tail) * (1.0 + tail));

		sums.loss += weight * (fmax(logit, 0.0) - target * logit + log1p(tail));
		sums.gradient[0] += weight * (p - target) * score;
		sums.gradient[1] += weight * (p - target);
		sums.curvature[0] += curvature * score * score;
		sums.curvature[1] += curvature * score;
		sums.curvature[2] += curvature;
	}
	fit->partial[shard] = sums;
}

/* The mean loss and its derivatives at the fit's scale and offset. */
static CoreStatus
evaluate_platt(PlattFit *fit, PlattSums *total)
{
	double		weights = fit->summary.weights[0] + fit->summary.weights[1];

	*total = (PlattSums) {0};
	if (core_parallel(fit->core, fit->shards, sum_platt, fit) != CORE_OK)
		return fit->core->status;
	for (int64_t shard = 0; shard < fit->shards; shard++)
	{
		const PlattSums *part = &fit->partial[shard];

		total->loss += part->loss / weights;
		for (int i = 0; i < 2; i++)
			total->gradient[i] += part->gradient[i] / weights;
		for (int i = 0; i < 3; i++)
			total->curvature[i] += part->curvature[i] / weights;
	}
	return CORE_OK;
}

/*
 * One damped Newton step: halve it until the loss falls.  Leaves *sums at the new place;
 * false when this was the last step, none helps any more, or the call stops.
 */
static bool
platt_step(PlattFit *fit, PlattSums *sums)
{
	double		a = sums->curvature[0] + SMALL_CURVATURE;
	double		b = sums->curvature[1];
	double		c = sums->curvature[2] + SMALL_CURVATURE;
	double		determinant = a * c - b * b;
	double		by_scale = -(c * sums->gradient[0] - b * sums->gradient[1]) / determinant;
	double		by_offset = -(a * sums->gradient[1] - b * sums->gradient[0]) / determinant;
	double		slope = by_scale * sums->gradient[0] + by_offset * sums->gradient[1];
	double		scale = fit->scale;
	double		offset = fit->offset;
	double		length = 1.0;

	if (-slope < SMALL_DECREASE)
	{
		fit->scale += by_scale;
		fit->offset += by_offset;
		return false;
	}
	for (int i = 0; i < MOST_HALVINGS; i++, length /= 2.0)
	{
		PlattSums	tried;

		fit->scale = scale + length * by_scale;
		fit->offset = offset + length * by_offset;
		if (evaluate_platt(fit, &tried) != CORE_OK)
			return false;
		if (tried.loss <= sums->loss + 1e-4 * length * slope)
		{
			*sums = tried;
			return true;
		}
	}
	fit->scale = scale;
	fit->offset = offset;
	return false;
}

/* Newton's method from a flat curve at the rate of positives. */
static CoreStatus
fit_platt(PlattFit *fit)
{
	const double *weights = fit->summary.weights;
	double		rate = (weights[0] * fit->targets[0] + weights[1] * fit->targets[1]) / (weights[0] + weights[1]);
	double		flat = log(rate / (1.0 - rate));
	PlattSums	sums;

	fit->offset = flat;
	if (fit->summary.deviation == 0.0 || evaluate_platt(fit, &sums) != CORE_OK)
		return fit->core->status;
	for (int step = 0; step < MOST_NEWTON_STEPS; step++)
	{
		if (fmax(fabs(sums.gradient[0]), fabs(sums.gradient[1])) < SMALL_GRADIENT || !platt_step(fit, &sums))
			break;
	}
	if (!(fit->scale > 0.0))
	{
		fit->scale = 0.0;
		fit->offset = flat;
	}
	return fit->core->status;
}

/* See calibration.h. */
CoreStatus
calibration_platt(Core *core, const Cases *cases, double *scale, double *offset)
{
	PlattFit	fit = {.core = core, .cases = cases};
	Arena		arena;

	*scale = 0.0;
	*offset = 0.0;
	if (summarise(core, cases, &fit.summary) != CORE_OK)
		return core->status;
	fit.targets[0] = 1.0 / (effective_cases(&fit.summary, 0) + 2.0);
	fit.targets[1] = (effective_cases(&fit.summary, 1) + 1.0) / (effective_cases(&fit.summary, 1) + 2.0);
	fit.shards = (cases->n + CASES_PER_SHARD - 1) / CASES_PER_SHARD;

	arena_open(&arena, core);
	core_start_workers(core);
	fit.partial = arena_allocate(&arena, (size_t) fit.shards, sizeof(PlattSums));
	if (fit.partial != NULL && fit_platt(&fit) == CORE_OK)
	{
		*scale = fit.scale > 0.0 ? fit.scale / fit.summary.deviation : 0.0;
		*offset = fit.offset - *scale * fit.summary.mean;
	}
	core_stop_workers(core);
	arena_close(&arena);
	return core->status;
}

/* A stretch of scores that shares one value. */
typedef struct Block
{
	double		lowest;
	double		highest;
	double		positive;
	double		weight;
} Block;

static double
block_rate(const Block *block)
{
	return block->positive / block->weight;
}

/* Pool adjacent violators; returns the number of blocks, whose rates rise. */
static int64_t
pool_blocks(const ScoreGroup *groups, int64_t n_groups, Block *blocks)
{
	int64_t		n = 0;

	for (int64_t i = 0; i < n_groups; i++)
	{
		const ScoreGroup *group = &groups[i];

		blocks[n++] = (Block) {group->score, group->score, group->positive, group->positive + group->negative};
		while (n > 1 && block_rate(&blocks[n - 2]) >= block_rate(&blocks[n - 1]))
		{
			blocks[n - 2].highest = blocks[n - 1].highest;
			blocks[n - 2].positive += blocks[n - 1].positive;
			blocks[n - 2].weight += blocks[n - 1].weight;
			n--;
		}
	}
	return n;
}

/* Each block gives the points at its two ends, or one when they meet; returns how many. */
static int64_t
write_points(const Block *blocks, int64_t n_blocks, double margin, float *thresholds, float *values)
{
	int64_t		n = 0;

	for (int64_t i = 0; i < n_blocks; i++)
	{
		float		value = (float) fmin(fmax(block_rate(&blocks[i]), margin), 1.0 - margin);

		thresholds[n] = (float) blocks[i].lowest;
		values[n++] = value;
		if (blocks[i].highest > blocks[i].lowest)
		{
			thresholds[n] = (float) blocks[i].highest;
			values[n++] = value;
		}
	}
	return n;
}

/* Keep max_points of n points, evenly, the first and the last among them. */
static int
thin_points(int64_t n, int max_points, float *thresholds, float *values)
{
	if (n <= max_points)
		return (int) n;
	for (int64_t i = 0; i < max_points; i++)
	{
		int64_t		kept = i * (n - 1) / (max_points - 1);

		thresholds[i] = thresholds[kept];
		values[i] = values[kept];
	}
	return max_points;
}

/* The curve with scores in single precision, in which it is kept. */
static CoreStatus
fit_isotonic(Core *core, Arena *scratch, Arena *arena, const Cases *cases, double margin,
			 int max_points, IsotonicCurve *curve)
{
	double	   *scores = arena_doubles(scratch, (size_t) cases->n);
	Cases		rounded = {cases->n, cases->labels, scores, cases->weights};
	ScoreGroup *groups;
	Block	   *blocks;
	int64_t		n;

	if (scores == NULL)
		return core->status;
	for (int64_t i = 0; i < cases->n; i++)
		scores[i] = (float) cases->scores[i];
	if (cases_group(core, scratch, &rounded, &groups, &n) != CORE_OK)
		return core->status;
	blocks = arena_allocate(scratch, (size_t) n, sizeof(Block));
	if (blocks == NULL)
		return core->status;
	n = pool_blocks(groups, n, blocks);
	curve->thresholds = arena_floats(arena, 2 * (size_t) n);
	curve->values = arena_floats(arena, 2 * (size_t) n);
	if (core->status != CORE_OK)
		return core->status;
	n = write_points(blocks, n, margin, curve->thresholds, curve->values);
	curve->n_points = thin_points(n, max_points, curve->thresholds, curve->values);
	return CORE_OK;
}

/* See calibration.h. */
CoreStatus
calibration_isotonic(Core *core, Arena *arena, const Cases *cases, int max_points, IsotonicCurve *curve)
{
	CaseSummary summary;
	Arena		scratch;
	double		margin;

	*curve = (IsotonicCurve) {0};
	if (max_points < 2)
		return core_fail(core, CORE_INVALID, "%d points cannot make a curve, at least 2 are needed", max_points);
	if (summarise(core, cases, &summary) != CORE_OK)
		return core->status;
	margin = fmax(1.0 / (effective_cases(&summary, 0) + effective_cases(&summary, 1) + 2.0), LEAST_PROBABILITY);

	arena_open(&scratch, core);
	fit_isotonic(core, &scratch, arena, cases, margin, max_points, curve);
	arena_close(&scratch);
	return core->status;
}

/* Position of the last threshold at or below the score; -1 when the score is below all. */
static int
last_at_or_below(const IsotonicCurve *curve, double score)
{
	int			low = 0;
	int			high = curve->n_points;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (curve->thresholds[middle] <= score)
			low = middle + 1;
		else
			high = middle;
	}
	return low - 1;
}

/* See calibration.h. */
double
calibration_apply(const IsotonicCurve *curve, double score)
{
	int			i = last_at_or_below(curve, score);
	double		along;

	if (i < 0)
		return curve->values[0];
	if (i == curve->n_points - 1)
		return curve->values[i];
	along = (score - curve->thresholds[i]) / ((double) curve->thresholds[i + 1] - curve->thresholds[i]);
	return curve->values[i] + along * ((double) curve->values[i + 1] - curve->values[i]);
}
