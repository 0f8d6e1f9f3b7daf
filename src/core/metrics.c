/*
 * metrics.c
 *		Quality of scores against what happened.
 *
 * Metrics that look at the order of scores work on groups of equal scores, which is
 * what makes ties harmless.  Each takes 2 * 16 bytes for each case while it sorts and
 * gives them back.
 */
#include "core/metrics.h"

#include "core/sorting.h"

#include <math.h>

#define NEAREST_TO_CERTAIN 1e-15
#define CASES_BETWEEN_LOOKS (1 << 18)

/* Write the cases that count as items to sort; returns how many, or -1. */
static int64_t
collect_items(Core *core, const Cases *cases, SortItem *items)
{
	int64_t		n = 0;

	for (int64_t i = 0; i < cases->n; i++)
	{
		if (i % CASES_BETWEEN_LOOKS == 0 && !core_continues(core))
			return -1;
		if (isnan(cases->scores[i]))
		{
			core_fail(core, CORE_INVALID, "score %lld is not a number", (long long) (i + 1));
			return -1;
		}
		if (case_weight(cases, i) > 0.0)
			items[n++] = (SortItem) {sort_key_of_double(cases->scores[i]), i};
	}
	return n;
}

/* Sum up the sorted items group by group; with groups = NULL only count them. */
static int64_t
sum_groups(const Cases *cases, const SortItem *items, int64_t n, ScoreGroup *groups)
{
	int64_t		n_groups = 0;

	for (int64_t i = 0; i < n; i++)
	{
		int64_t		one = items[i].index;
		double		weight = case_weight(cases, one);

		if (i == 0 || items[i].key != items[i - 1].key)
		{
			if (groups != NULL)
				groups[n_groups] = (ScoreGroup) {cases->scores[one], 0.0, 0.0};
			n_groups++;
		}
		if (groups != NULL)
		{
			groups[n_groups - 1].positive += weight * cases->labels[one];
			groups[n_groups - 1].negative += weight * (1.0 - cases->labels[one]);
		}
	}
	return n_groups;
}

/* See metrics.h. */
CoreStatus
cases_group(Core *core, Arena *arena, const Cases *cases, ScoreGroup **groups, int64_t *n_groups)
{
	SortItem   *items = arena_allocate(arena, (size_t) cases->n, sizeof(SortItem));
	int64_t		n;

	*groups = NULL;
	*n_groups = 0;
	if (items == NULL)
		return core->status;
	n = collect_items(core, cases, items);
	if (n >= 0 && sort_items(core, arena, items, n, NULL, NULL) == CORE_OK)
	{
		*n_groups = sum_groups(cases, items, n, NULL);
		*groups = arena_allocate(arena, (size_t) *n_groups, sizeof(ScoreGroup));
		if (*groups != NULL)
			sum_groups(cases, items, n, *groups);
	}
	arena_release(arena, items);
	return core->status;
}

/* See metrics.h. */
void
ranking_sum(Ranking *ranking)
{
	ranking->positive = ranking->negative = 0.0;
	for (int64_t i = 0; i < ranking->n; i++)
	{
		ranking->positive += ranking->groups[i].positive;
		ranking->negative += ranking->groups[i].negative;
	}
}

typedef double (*RankingMetric) (const Ranking *ranking, double argument);

/* Group the cases, apply the metric, free everything; *value is NaN unless all went well. */
static CoreStatus
evaluate(Core *core, const Cases *cases, RankingMetric metric, double argument, double *value)
{
	Ranking		ranking = {0};
	Arena		arena;

	*value = NAN;
	arena_open(&arena, core);
	if (cases_group(core, &arena, cases, &ranking.groups, &ranking.n) == CORE_OK)
	{
		ranking_sum(&ranking);
		*value = metric(&ranking, argument);
	}
	arena_close(&arena);
	return core->status;
}

/* Share of the pairs (positive, negative) in the right order, ties half. */
double
ranking_auc(const Ranking *ranking)
{
	double		below = 0.0;	/* negatives with a lower score */
	double		right = 0.0;

	for (int64_t i = 0; i < ranking->n; i++)
	{
		const ScoreGroup *group = &ranking->groups[i];

		right += group->positive * (below + 0.5 * group->negative);
		below += group->negative;
	}
	if (ranking->positive <= 0.0 || ranking->negative <= 0.0)
		return NAN;
	return right / (ranking->positive * ranking->negative);
}

static double
area_under_roc(const Ranking *ranking, double argument)
{
	(void) argument;
	return ranking_auc(ranking);
}

CoreStatus
metric_auc(Core *core, const Cases *cases, double *auc)
{
	return evaluate(core, cases, area_under_roc, 0.0, auc);
}

/* Precision at each distinct score, weighted by the positives it adds. */
double
ranking_pr_auc(const Ranking *ranking)
{
	double		positive = 0.0;
	double		all = 0.0;
	double		sum = 0.0;

	for (int64_t i = ranking->n - 1; i >= 0; i--)
	{
		const ScoreGroup *group = &ranking->groups[i];

		positive += group->positive;
		all += group->positive + group->negative;
		sum += group->positive * positive / all;
	}
	return ranking->positive > 0.0 ? sum / ranking->positive : NAN;
}

static double
average_precision(const Ranking *ranking, double argument)
{
	(void) argument;
	return ranking_pr_auc(ranking);
}

CoreStatus
metric_pr_auc(Core *core, const Cases *cases, double *pr_auc)
{
	return evaluate(core, cases, average_precision, 0.0, pr_auc);
}

/* Positives among the best `count`, a tie at the border in proportion. */
static double
positives_in_top(const Ranking *ranking, double count)
{
	double		left = count;
	double		found = 0.0;

	for (int64_t i = ranking->n - 1; i >= 0 && left > 0.0; i--)
	{
		const ScoreGroup *group = &ranking->groups[i];
		double		weight = group->positive + group->negative;
		double		taken = weight < left ? weight : left;

		found += group->positive * (taken / weight);
		left -= taken;
	}
	return found;
}

static double
precision_of_top(const Ranking *ranking, double count)
{
	double		all = ranking->positive + ranking->negative;
	double		taken = count < all ? count : all;

	return ranking->n > 0 ? positives_in_top(ranking, taken) / taken : NAN;
}

/* Share of the positives. */
double
ranking_recall(const Ranking *ranking, double count)
{
	return ranking->positive > 0.0 ? positives_in_top(ranking, count) / ranking->positive : NAN;
}

/* Rate of positives in the top over the rate in all. */
double
ranking_lift(const Ranking *ranking, double count)
{
	double		rate = ranking->positive / (ranking->positive + ranking->negative);

	return ranking->positive > 0.0 ? precision_of_top(ranking, count) / rate : NAN;
}

static double
lift_of_fraction(const Ranking *ranking, double fraction)
{
	return ranking_lift(ranking, fraction * (ranking->positive + ranking->negative));
}

/* Apply a metric of the top of the ranking. */
static CoreStatus
evaluate_top(Core *core, const Cases *cases, RankingMetric metric, double count, double *value)
{
	*value = NAN;
	if (!(count > 0.0))
		return core_fail(core, CORE_INVALID, "the top has %g cases, it must have more than 0", count);
	return evaluate(core, cases, metric, count, value);
}

CoreStatus
metric_lift(Core *core, const Cases *cases, double fraction, double *lift)
{
	*lift = NAN;
	if (!(fraction > 0.0 && fraction <= 1.0))
		return core_fail(core, CORE_INVALID, "the fraction is %g, it must be in (0, 1]", fraction);
	return evaluate(core, cases, lift_of_fraction, fraction, lift);
}

CoreStatus
metric_lift_of_top(Core *core, const Cases *cases, double count, double *lift)
{
	return evaluate_top(core, cases, ranking_lift, count, lift);
}

CoreStatus
metric_precision(Core *core, const Cases *cases, double count, double *precision)
{
	return evaluate_top(core, cases, precision_of_top, count, precision);
}

CoreStatus
metric_recall(Core *core, const Cases *cases, double count, double *recall)
{
	return evaluate_top(core, cases, ranking_recall, count, recall);
}

/* Sum of the discounts of places first .. end - 1, counted from 0. */
static double
sum_of_discounts(double first, double end)
{
	double		sum = 0.0;

	for (double place = first; place < end; place++)
		sum += 1.0 / log2(place + 2.0);
	return sum;
}

static double
discounted_gain(const Ranking *ranking, double k)
{
	double		place = 0.0;
	double		gain = 0.0;

	for (int64_t i = ranking->n - 1; i >= 0 && place < k; i--)
	{
		const ScoreGroup *group = &ranking->groups[i];
		double		size = group->positive + group->negative;

		if (group->positive > 0.0)
			gain += group->positive / size * sum_of_discounts(place, fmin(place + size, k));
		place += size;
	}
	return ranking->positive > 0.0 ? gain / sum_of_discounts(0.0, fmin(k, ranking->positive)) : NAN;
}

CoreStatus
metric_ndcg(Core *core, const Cases *cases, double k, double *ndcg)
{
	return evaluate_top(core, cases, discounted_gain, k, ndcg);
}

/* Refuse a number of bins that is out of its range. */
static CoreStatus
check_bins(Core *core, int bins)
{
	if (bins < 1 || bins > METRIC_MOST_BINS)
		core_fail(core, CORE_INVALID, "the number of bins is %d, it must be in 1 .. %d", bins, METRIC_MOST_BINS);
	return core->status;
}

/* What one bin adds to the index. */
static double
bin_shift(double expected, double actual)
{
	return (actual - expected) * log(actual / expected);
}

/* A bin is closed by the value that fills it, unless it is the last that is expected. */
static double
stability_index(const Ranking *ranking, double bins)
{
	double		border = ranking->positive / bins;
	double		seen = 0.0;		/* of the expected sample */
	double		expected = 0.0; /* in the bin that is open */
	double		actual = 0.0;
	double		sum = 0.0;

	if (ranking->positive <= 0.0 || ranking->negative <= 0.0)
		return NAN;
	for (int64_t i = 0; i < ranking->n; i++)
	{
		seen += ranking->groups[i].positive;
		expected += ranking->groups[i].positive;
		actual += ranking->groups[i].negative;
		if (i < ranking->n - 1 && (seen < border || seen >= ranking->positive))
			continue;
		sum += bin_shift(expected / ranking->positive, fmax(actual, 0.5) / ranking->negative);
		border = (floor(seen * bins / ranking->positive) + 1.0) * ranking->positive / bins;
		expected = actual = 0.0;
	}
	return sum;
}

CoreStatus
metric_psi(Core *core, const Cases *cases, int bins, double *psi)
{
	*psi = NAN;
	if (check_bins(core, bins) != CORE_OK)
		return core->status;
	return evaluate(core, cases, stability_index, bins, psi);
}

/* Mean over bins of |mean probability - rate of positives|. */
double
ranking_ece(const Ranking *ranking, double bins)
{
	double		bin_weight = (ranking->positive + ranking->negative) / bins;
	double		room = bin_weight;	/* left in the bin that is being filled */
	double		difference = 0.0;	/* in this bin: sum of probabilities - positives */
	double		sum = 0.0;

	for (int64_t i = 0; i < ranking->n; i++)
	{
		const ScoreGroup *group = &ranking->groups[i];
		double		weight = group->positive + group->negative;
		double		excess = group->score - group->positive / weight;

		while (weight >= room)
		{
			sum += fabs(difference + excess * room);
			weight -= room;
			room = bin_weight;
			difference = 0.0;
		}
		difference += excess * weight;
		room -= weight;
	}
	sum += fabs(difference);
	return ranking->n > 0 ? sum / (bin_weight * bins) : NAN;
}

CoreStatus
metric_ece(Core *core, const Cases *cases, int bins, double *ece)
{
	*ece = NAN;
	if (check_bins(core, bins) != CORE_OK)
		return core->status;
	return evaluate(core, cases, ranking_ece, bins, ece);
}

/* See metrics.h. */
double
metric_log_loss(const Cases *cases)
{
	double		sum = 0.0;
	double		weights = 0.0;

	for (int64_t i = 0; i < cases->n; i++)
	{
		double		weight = case_weight(cases, i);
		double		p = fmin(fmax(cases->scores[i], NEAREST_TO_CERTAIN), 1.0 - NEAREST_TO_CERTAIN);

		sum -= weight * (cases->labels[i] * log(p) + (1.0 - cases->labels[i]) * log1p(-p));
		weights += weight;
	}
	return weights > 0.0 ? sum / weights : NAN;
}

/* See metrics.h. */
double
metric_brier(const Cases *cases)
{
	double		sum = 0.0;
	double		weights = 0.0;

	for (int64_t i = 0; i < cases->n; i++)
	{
		double		weight = case_weight(cases, i);
		double		difference = cases->scores[i] - cases->labels[i];

		sum += weight * difference * difference;
		weights += weight;
	}
	return weights > 0.0 ? sum / weights : NAN;
}
