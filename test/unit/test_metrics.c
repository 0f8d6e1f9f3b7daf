/*
 * test_metrics.c
 *		Each metric against a slow computation straight from its definition.
 */
#include "support.h"

#include "core/metrics.h"
#include "core/random.h"

#include <math.h>
#include <stdlib.h>

#define MOST_CASES 200

/* Cases with many ties (levels > 0) and perhaps weights, some of them 0. */
typedef struct CaseSet
{
	float		labels[MOST_CASES];
	double		scores[MOST_CASES];
	float		weights[MOST_CASES];
	Cases		cases;
} CaseSet;

static void
make_cases(CaseSet *set, int n, int levels, bool weighted, uint64_t seed)
{
	for (int i = 0; i < n; i++)
	{
		double		score = random_uniform(seed, RANDOM_TEST, (uint64_t) (4 * i));

		set->scores[i] = levels > 0 ? (floor(score * levels) + 0.5) / levels : score;
		set->labels[i] = random_uniform(seed, RANDOM_TEST, (uint64_t) (4 * i + 1)) < 0.2 + 0.5 * score;
		set->weights[i] = i % 7 == 0 ? 0.0f : (float) random_uniform(seed, RANDOM_TEST, (uint64_t) (4 * i + 2)) * 3;
	}
	set->cases = (Cases) {n, set->labels, set->scores, weighted ? set->weights : NULL};
}

/* All pairs. */
static double
slow_auc(const Cases *cases)
{
	double		right = 0.0;
	double		pairs = 0.0;

	for (int64_t i = 0; i < cases->n; i++)
	{
		for (int64_t j = 0; j < cases->n; j++)
		{
			double		weight = case_weight(cases, i) * case_weight(cases, j);

			if (cases->labels[i] == 0.0f || cases->labels[j] == 1.0f)
				continue;
			pairs += weight;
			right += weight * (cases->scores[i] > cases->scores[j] ? 1.0 :
							   cases->scores[i] == cases->scores[j] ? 0.5 : 0.0);
		}
	}
	return right / pairs;
}

/* For each positive the precision among all that score at least as high. */
static double
slow_pr_auc(const Cases *cases)
{
	double		sum = 0.0;
	double		positives = 0.0;

	for (int64_t i = 0; i < cases->n; i++)
	{
		double		found = 0.0;
		double		all = 0.0;

		if (cases->labels[i] == 0.0f || case_weight(cases, i) == 0.0)
			continue;
		for (int64_t j = 0; j < cases->n; j++)
		{
			if (cases->scores[j] >= cases->scores[i])
			{
				all += case_weight(cases, j);
				found += case_weight(cases, j) * cases->labels[j];
			}
		}
		sum += case_weight(cases, i) * found / all;
		positives += case_weight(cases, i);
	}
	return sum / positives;
}

/* Each case's share in the weight from `low` to `high`, counted from the given end of the
 * ranking, where cases with equal scores share the stretch they fill together. */
static double
slow_share(const Cases *cases, int64_t i, double low, double high, bool from_top)
{
	double		before = 0.0;
	double		tied = 0.0;
	double		overlap;

	for (int64_t j = 0; j < cases->n; j++)
	{
		if (cases->scores[j] == cases->scores[i])
			tied += case_weight(cases, j);
		else if ((cases->scores[j] > cases->scores[i]) == from_top)
			before += case_weight(cases, j);
	}
	overlap = fmin(high, before + tied) - fmax(low, before);
	return overlap > 0.0 ? case_weight(cases, i) * overlap / tied : 0.0;
}

static double
total_weight(const Cases *cases)
{
	double		sum = 0.0;

	for (int64_t i = 0; i < cases->n; i++)
		sum += case_weight(cases, i);
	return sum;
}

static double
slow_lift(const Cases *cases, double fraction)
{
	double		top = fraction * total_weight(cases);
	double		found = 0.0;
	double		positives = 0.0;

	for (int64_t i = 0; i < cases->n; i++)
	{
		found += cases->labels[i] * slow_share(cases, i, 0.0, top, true);
		positives += cases->labels[i] * case_weight(cases, i);
	}
	return (found / top) / (positives / total_weight(cases));
}

static double
slow_precision(const Cases *cases, double count)
{
	double		top = fmin(count, total_weight(cases));
	double		found = 0.0;

	for (int64_t i = 0; i < cases->n; i++)
		found += cases->labels[i] * slow_share(cases, i, 0.0, top, true);
	return found / top;
}

static double
slow_recall(const Cases *cases, double count)
{
	double		found = 0.0;
	double		positives = 0.0;

	for (int64_t i = 0; i < cases->n; i++)
	{
		found += cases->labels[i] * slow_share(cases, i, 0.0, count, true);
		positives += cases->labels[i] * case_weight(cases, i);
	}
	return found / positives;
}

/* Place by place: what stands there on average over the orders of the tied. */
static double
slow_ndcg(const Cases *cases, int k)
{
	double		gain = 0.0;
	double		ideal = 0.0;
	int			positives = 0;

	for (int64_t i = 0; i < cases->n; i++)
		positives += cases->labels[i] > 0;
	for (int place = 0; place < k && place < cases->n; place++)
	{
		for (int64_t i = 0; i < cases->n; i++)
			gain += cases->labels[i] * slow_share(cases, i, place, place + 1, true) / log2(place + 2.0);
		if (place < positives)
			ideal += 1 / log2(place + 2.0);
	}
	return gain / ideal;
}

/* Weight of one sample among the values in (low, high]. */
static double
weight_between(const Cases *cases, float label, double low, double high)
{
	double		sum = 0.0;

	for (int64_t i = 0; i < cases->n; i++)
		if (cases->labels[i] == label && cases->scores[i] > low && cases->scores[i] <= high)
			sum += case_weight(cases, i);
	return sum;
}

/* The smallest value that leaves a share of the expected sample at or below it. */
static double
quantile(const Cases *cases, double share)
{
	double		all = weight_between(cases, 1, -INFINITY, INFINITY);
	double		best = INFINITY;

	for (int64_t i = 0; i < cases->n; i++)
		if (cases->labels[i] > 0 && cases->scores[i] < best &&
			weight_between(cases, 1, -INFINITY, cases->scores[i]) >= share * all - 1e-9)
			best = cases->scores[i];
	return best;
}

static double
slow_psi(const Cases *cases, int bins)
{
	double		expected = weight_between(cases, 1, -INFINITY, INFINITY);
	double		actual = weight_between(cases, 0, -INFINITY, INFINITY);
	double		low = -INFINITY;
	double		sum = 0.0;

	for (int bin = 1; bin <= bins; bin++)
	{
		double		high = quantile(cases, (double) bin / bins);
		double		e;
		double		a;

		if (weight_between(cases, 1, high, INFINITY) == 0)
			high = INFINITY;
		e = weight_between(cases, 1, low, high) / expected;
		a = fmax(weight_between(cases, 0, low, high), 0.5) / actual;
		if (high > low)
			sum += (a - e) * log(a / e);
		low = high;
	}
	return sum;
}

static double
slow_ece(const Cases *cases, int bins)
{
	double		width = total_weight(cases) / bins;
	double		sum = 0.0;

	for (int bin = 0; bin < bins; bin++)
	{
		double		difference = 0.0;

		for (int64_t i = 0; i < cases->n; i++)
			difference += slow_share(cases, i, bin * width, (bin + 1) * width, false) *
				(cases->scores[i] - cases->labels[i]);
		sum += fabs(difference);
	}
	return sum / total_weight(cases);
}

static void
metrics_match_their_definitions(void **state)
{
	const int	counts[] = {2, 10, 57, MOST_CASES};
	const int	levels[] = {0, 1, 3, 20};

	(void) state;
	for (int i = 0; i < 32; i++)
	{
		CaseSet		set;
		TestHost	host;
		double		value;

		make_cases(&set, counts[i % 4], levels[i / 4 % 4], i >= 16, (uint64_t) i);
		set.labels[0] = 0.0f;
		set.labels[1] = 1.0f;
		set.weights[0] = set.weights[1] = 1.0f;
		host_open(&host, 1);
		assert_int_equal(metric_auc(&host.core, &set.cases, &value), CORE_OK);
		assert_close(value, slow_auc(&set.cases), 1e-12);
		assert_int_equal(metric_pr_auc(&host.core, &set.cases, &value), CORE_OK);
		assert_close(value, slow_pr_auc(&set.cases), 1e-12);
		for (double fraction = 0.01; fraction <= 1.0; fraction += 0.33)
		{
			assert_int_equal(metric_lift(&host.core, &set.cases, fraction, &value), CORE_OK);
			assert_close(value, slow_lift(&set.cases, fraction), 1e-9);
		}
		for (int bins = 1; bins < 30; bins += 7)
		{
			assert_int_equal(metric_ece(&host.core, &set.cases, bins, &value), CORE_OK);
			assert_close(value, slow_ece(&set.cases, bins), 1e-9);
		}
		host_assert_clean(&host);
	}
}

static void
metrics_of_the_top_match_their_definitions(void **state)
{
	(void) state;
	for (int i = 0; i < 24; i++)
	{
		CaseSet		set;
		TestHost	host;
		double		value;

		make_cases(&set, 57, i % 3 == 0 ? 0 : 4 * (i % 3), i >= 12, (uint64_t) i);
		host_open(&host, 1);
		for (double count = 0.5; count < 200; count *= 3)
		{
			assert_int_equal(metric_precision(&host.core, &set.cases, count, &value), CORE_OK);
			assert_close(value, slow_precision(&set.cases, count), 1e-12);
			assert_int_equal(metric_recall(&host.core, &set.cases, count, &value), CORE_OK);
			assert_close(value, slow_recall(&set.cases, count), 1e-12);
			assert_int_equal(metric_lift_of_top(&host.core, &set.cases, count, &value), CORE_OK);
			assert_close(value, slow_lift(&set.cases, fmin(count / total_weight(&set.cases), 1)), 1e-9);
		}
		for (int k = 1; k < 100 && i < 12; k += 7)
		{
			assert_int_equal(metric_ndcg(&host.core, &set.cases, k, &value), CORE_OK);
			assert_close(value, slow_ndcg(&set.cases, k), 1e-12);
		}
		host_assert_clean(&host);
	}
}

static void
stability_matches_its_definition(void **state)
{
	(void) state;
	for (int i = 0; i < 32; i++)
	{
		CaseSet		set;
		TestHost	host;
		double		value;

		make_cases(&set, 10 + 11 * i % 190, i % 4 == 0 ? 0 : 5 * (i % 4), i >= 16, (uint64_t) i);
		host_open(&host, 1);
		for (int bins = 1; bins < 40; bins += 3)
		{
			assert_int_equal(metric_psi(&host.core, &set.cases, bins, &value), CORE_OK);
			assert_close(value, slow_psi(&set.cases, bins), 1e-9);
		}
		host_assert_clean(&host);
	}
}

static void
known_values_come_out(void **state)
{
	const float labels[] = {1, 0, 1, 0};
	const double scores[] = {0.9, 0.8, 0.7, 0.1};
	const float weights[] = {1, 1, 2, 4};
	const Cases cases = {4, labels, scores, NULL};
	const Cases weighted = {4, labels, scores, weights};
	TestHost	host;
	double		value;

	(void) state;
	host_open(&host, 1);
	metric_auc(&host.core, &cases, &value);
	assert_close(value, 0.75, 1e-15);
	metric_auc(&host.core, &weighted, &value);
	assert_close(value, (1.0 * 5 + 2.0 * 4) / 15.0, 1e-15);
	metric_pr_auc(&host.core, &cases, &value);
	assert_close(value, (1.0 + 2.0 / 3.0) / 2.0, 1e-15);
	metric_lift(&host.core, &cases, 0.25, &value);
	assert_close(value, 2.0, 1e-15);
	metric_lift(&host.core, &cases, 1.0, &value);
	assert_close(value, 1.0, 1e-15);
	assert_close(metric_log_loss(&cases), -(log(0.9) + log(0.2) + log(0.7) + log(0.9)) / 4.0, 1e-12);
	assert_close(metric_log_loss(&weighted), -(log(0.9) + log(0.2) + 2 * log(0.7) + 4 * log(0.9)) / 8.0, 1e-12);
	assert_close(metric_brier(&cases), (0.01 + 0.64 + 0.09 + 0.01) / 4.0, 1e-12);
	assert_close(metric_brier(&weighted), (0.01 + 0.64 + 2 * 0.09 + 4 * 0.01) / 8.0, 1e-12);
	metric_ece(&host.core, &cases, 2, &value);
	assert_close(value, 0.25 * fabs(0.8 - 1.0) + 0.25 * fabs(1.7 - 1.0), 1e-12);
}

/* A certain and wrong prediction costs much, not infinity. */
static void
certain_probabilities_stay_finite(void **state)
{
	const float labels[] = {1, 0};
	const double scores[] = {0.0, 1.0};
	const Cases cases = {2, labels, scores, NULL};

	(void) state;
	assert_close(metric_log_loss(&cases), -log(1e-15), 0.1);
	assert_close(metric_brier(&cases), 1.0, 0.0);
}

static void
one_class_gives_no_number(void **state)
{
	(void) state;
	for (int label = 0; label < 2; label++)
	{
		const float labels[] = {(float) label, (float) label};
		const double scores[] = {0.25, 0.75};
		const Cases cases = {2, labels, scores, NULL};
		TestHost	host;
		double		value;

		host_open(&host, 1);
		assert_int_equal(metric_auc(&host.core, &cases, &value), CORE_OK);
		assert_true(isnan(value));
		assert_int_equal(metric_pr_auc(&host.core, &cases, &value), CORE_OK);
		assert_true(label == 1 ? value == 1.0 : isnan(value));
		assert_int_equal(metric_lift(&host.core, &cases, 0.5, &value), CORE_OK);
		assert_true(label == 1 ? value == 1.0 : isnan(value));
		assert_int_equal(metric_ece(&host.core, &cases, 1, &value), CORE_OK);
		assert_close(value, 0.5, 1e-12);
		assert_true(isfinite(metric_log_loss(&cases)));
	}
}

static void
no_case_gives_no_number(void **state)
{
	const float labels[] = {1, 0};
	const double scores[] = {0.2, 0.3};
	const float weights[] = {0, 0};
	const Cases none[] = {{0, NULL, NULL, NULL}, {2, labels, scores, weights}};

	(void) state;
	for (int i = 0; i < 2; i++)
	{
		TestHost	host;
		double		value;

		host_open(&host, 1);
		metric_auc(&host.core, &none[i], &value);
		assert_true(isnan(value));
		metric_pr_auc(&host.core, &none[i], &value);
		assert_true(isnan(value));
		metric_lift(&host.core, &none[i], 0.5, &value);
		assert_true(isnan(value));
		metric_ece(&host.core, &none[i], 10, &value);
		assert_true(isnan(value));
		assert_true(isnan(metric_log_loss(&none[i])));
		assert_true(isnan(metric_brier(&none[i])));
		assert_int_equal(host.core.status, CORE_OK);
		host_assert_clean(&host);
	}
}

static void
order_of_cases_does_not_matter(void **state)
{
	CaseSet		set;
	CaseSet		other;
	TestHost	host;
	double		values[2];

	(void) state;
	make_cases(&set, MOST_CASES, 5, true, 9);
	for (int i = 0; i < MOST_CASES; i++)
	{
		int			from = (i * 77 + 3) % MOST_CASES;

		other.labels[i] = set.labels[from];
		other.scores[i] = set.scores[from];
		other.weights[i] = set.weights[from];
	}
	other.cases = (Cases) {MOST_CASES, other.labels, other.scores, other.weights};
	host_open(&host, 1);
	metric_auc(&host.core, &set.cases, &values[0]);
	metric_auc(&host.core, &other.cases, &values[1]);
	assert_close(values[0], values[1], 1e-13);
	metric_ece(&host.core, &set.cases, 7, &values[0]);
	metric_ece(&host.core, &other.cases, 7, &values[1]);
	assert_close(values[0], values[1], 1e-13);
}

static void
infinite_scores_rank(void **state)
{
	const float labels[] = {0, 0, 1, 1};
	const double scores[] = {-INFINITY, 0.0, 3.0, INFINITY};
	const Cases cases = {4, labels, scores, NULL};
	TestHost	host;
	double		value;

	(void) state;
	host_open(&host, 1);
	metric_auc(&host.core, &cases, &value);
	assert_close(value, 1.0, 0.0);
}

static void
bad_arguments_are_refused(void **state)
{
	const float labels[] = {1, 0};
	const double scores[] = {0.2, NAN};
	const Cases bad = {2, labels, scores, NULL};
	const double fractions[] = {0.0, -1.0, 1.5, NAN};
	const int	bins[] = {0, -1, 1000000};
	double		value;

	(void) state;
	for (int i = 0; i < 12; i++)
	{
		TestHost	host;

		host_open(&host, 1);
		if (i < 4)
			metric_lift(&host.core, &bad, fractions[i], &value);
		else if (i < 7)
			metric_ece(&host.core, &bad, bins[i - 4], &value);
		else if (i < 10)
			metric_psi(&host.core, &bad, bins[i - 7], &value);
		else if (i < 11)
			metric_recall(&host.core, &bad, 0, &value);
		else
			metric_auc(&host.core, &bad, &value);
		assert_int_equal(host.core.status, CORE_INVALID);
		assert_true(isnan(value));
		host_assert_clean(&host);
	}
}

static CoreStatus
all_metrics(Core *core, Arena *arena, void *argument)
{
	const Cases *cases = argument;
	double		value;

	(void) arena;
	if (metric_auc(core, cases, &value) == CORE_OK &&
		metric_pr_auc(core, cases, &value) == CORE_OK &&
		metric_lift(core, cases, 0.1, &value) == CORE_OK &&
		metric_psi(core, cases, 10, &value) == CORE_OK &&
		metric_ndcg(core, cases, 10, &value) == CORE_OK)
		metric_ece(core, cases, 10, &value);
	assert_true(core->status == CORE_OK || isnan(value));
	return core->status;
}

static void
failures_are_survived(void **state)
{
	CaseSet		set;
	int64_t		n = 300000;
	Cases		large = {n, calloc((size_t) n, sizeof(float)), calloc((size_t) n, sizeof(double)), NULL};

	(void) state;
	make_cases(&set, MOST_CASES, 5, true, 9);
	scenario_survives(all_metrics, &set.cases, 1);
	for (int64_t i = 0; i < n; i++)
	{
		((float *) large.labels)[i] = (float) (i % 2);
		((double *) large.scores)[i] = random_uniform(1, RANDOM_TEST, (uint64_t) i);
	}
	scenario_survives(all_metrics, &large, 9);
	free((void *) large.labels);
	free((void *) large.scores);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics_match_their_definitions),
		cmocka_unit_test(metrics_of_the_top_match_their_definitions),
		cmocka_unit_test(stability_matches_its_definition),
		cmocka_unit_test(known_values_come_out),
		cmocka_unit_test(certain_probabilities_stay_finite),
		cmocka_unit_test(one_class_gives_no_number),
		cmocka_unit_test(no_case_gives_no_number),
		cmocka_unit_test(order_of_cases_does_not_matter),
		cmocka_unit_test(infinite_scores_rank),
		cmocka_unit_test(bad_arguments_are_refused),
		cmocka_unit_test(failures_are_survived),
	};

	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}
