/*
 * curves.c
 *		Curves over a test part, and over the users that one chooses from.
 */
#include "core/evaluation.h"

#include <math.h>

#define NORMAL_95 1.959963984540054

/* See evaluation.h. */
int64_t
curve_roc(const Ranking *ranking, int most, RocPoint *points)
{
	double		all = ranking->positive + ranking->negative;
	double		positive = 0.0;
	double		negative = 0.0;
	double		last = 0.0;		/* sum of both rates at the last point */
	int64_t		n = 0;

	if (ranking->positive <= 0.0 || ranking->negative <= 0.0)
		return 0;
	points[n++] = (RocPoint) {INFINITY, 0.0, 0.0, 0.0};
	for (int64_t i = ranking->n - 1; i >= 0; i--)
	{
		double		now;

		positive += ranking->groups[i].positive;
		negative += ranking->groups[i].negative;
		now = positive / ranking->positive + negative / ranking->negative;
		if (now - last < 2.0 / most && i > 0)
			continue;
		points[n++] = (RocPoint) {
			ranking->groups[i].score, (positive + negative) / all,
			negative / ranking->negative, positive / ranking->positive
		};
		last = now;
	}
	return n;
}

/* Rate of positives in the population, and its interval by the variance of the log odds. */
static void
rate_interval(const TestPart *part, CalibrationBin *bin)
{
	double		negatives = (double) (bin->cases - bin->positives);
	double		odds = (bin->positives + 0.5) * part->class_weights[1] / ((negatives + 0.5) * part->class_weights[0]);
	double		margin = exp(NORMAL_95 * sqrt(1.0 / (bin->positives + 0.5) + 1.0 / (negatives + 0.5)));
	double		weight = bin->positives * part->class_weights[1] + negatives * part->class_weights[0];

	bin->rate = bin->positives * part->class_weights[1] / weight;
	bin->low = bin->positives > 0 ? odds / margin / (1.0 + odds / margin) : 0.0;
	bin->high = negatives > 0 ? odds * margin / (1.0 + odds * margin) : 1.0;
}

/* See evaluation.h. */
CoreStatus
curve_calibration(Core *core, const TestPart *part, int most, CalibrationBin *bins, int *n_bins)
{
	TestPart	by_probability = *part;
	Arena		arena;
	Ranking		ranking;
	double		seen = 0.0;
	double		weight = 0.0;	/* in the bin that is open */
	CalibrationBin *bin = bins;

	*n_bins = 0;
	by_probability.scores = part->probabilities;
	arena_open(&arena, core);
	evaluation_ranking(core, &arena, &by_probability, &ranking);
	for (int64_t i = 0; core->status == CORE_OK && i < ranking.n; i++)
	{
		const ScoreGroup *group = &ranking.groups[i];
		double		all = group->positive + group->negative;

		if (weight == 0.0)
			*(bin = &bins[(*n_bins)++]) = (CalibrationBin) {0};
		weight += all;
		seen += all;
		bin->probability += all * group->score;
		bin->positives += llround(group->positive / part->class_weights[1]);
		bin->cases += llround(group->positive / part->class_weights[1] + group->negative / part->class_weights[0]);
		if (i < ranking.n - 1 && seen < *n_bins * (ranking.positive + ranking.negative) / most)
			continue;
		bin->probability /= weight;
		rate_interval(part, bin);
		weight = 0.0;
	}
	arena_close(&arena);
	return core->status;
}

/* The interval at 95 % of a mean of which `count` events were seen (Byar's approximation). */
static double
poisson_bound(double count, bool upper)
{
	double		events = upper ? count + 1.0 : count;

	if (events <= 0.0)
		return 0.0;
	return events * pow(1.0 - 1.0 / (9.0 * events) + (upper ? NORMAL_95 : -NORMAL_95) / (3.0 * sqrt(events)), 3.0);
}

/* How far down a test part one has come. */
typedef struct HeldOut
{
	const TestPart *part;
	const SortItem *order;
	int64_t		left;			/* cases not yet met */
	int64_t		positives;
	double		expected;		/* positives of the population, by the probabilities */
} HeldOut;

/* Take the cases with this score and more. */
static void
meet_cases(HeldOut *held_out, double score)
{
	const TestPart *part = held_out->part;

	for (; held_out->left > 0; held_out->left--)
	{
		int64_t		one = held_out->order[held_out->left - 1].index;

		if (part->scores[one] < score)
			return;
		held_out->positives += part->labels[one] > 0;
		held_out->expected += part->class_weights[part->labels[one] > 0] * part->probabilities[one];
	}
}

/* Positives for each that the probabilities expect, as the test part shows them. */
static void
fill_interval(const HeldOut *held_out, AudiencePoint *point)
{
	double		scale = point->expected * held_out->part->class_weights[1] / held_out->expected;

	point->low = fmin(scale * poisson_bound(held_out->positives, false), (double) point->size);
	point->high = fmin(scale * poisson_bound(held_out->positives, true), (double) point->size);
}

static double
sum_of(const double *values, int64_t first, int64_t end)
{
	double		sum = 0.0;

	for (int64_t i = first; i < end; i++)
		sum += values[i];
	return sum;
}

/* See evaluation.h. */
CoreStatus
curve_audience(Core *core, int64_t n, const double *scores, const double *probabilities,
			   const TestPart *part, AudiencePoint *points, int n_points)
{
	HeldOut		held_out = {.part = part, .left = part != NULL ? part->n : 0};
	double		all = sum_of(probabilities, 0, n);
	double		expected = 0.0;
	int64_t		taken = 0;
	Arena		arena;

	arena_open(&arena, core);
	if (part != NULL)
		evaluation_sort(core, &arena, part, &held_out.order);
	for (int i = 0; core->status == CORE_OK && i < n_points; i++)
	{
		AudiencePoint *point = &points[i];

		expected += sum_of(probabilities, taken, point->size);
		taken = point->size;
		*point = (AudiencePoint) {
			.size = taken, .threshold = probabilities[taken - 1], .expected = expected, .recall = expected / all,
			.low = NAN, .high = NAN
		};
		meet_cases(&held_out, scores[taken - 1]);
		if (held_out.expected > 0.0)
			fill_interval(&held_out, point);
	}
	arena_close(&arena);
	return core->status;
}
