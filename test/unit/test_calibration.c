/*
 * test_calibration.c
 *		Platt's scaling and isotonic regression.
 */
#include "support.h"

#include "core/calibration.h"
#include "core/random.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MOST_CASES 40000

typedef struct CaseSet
{
	float	   *labels;
	double	   *scores;
	float	   *weights;
	Cases		cases;
} CaseSet;

static double
sigmoid(double x)
{
	return 1.0 / (1.0 + exp(-x));
}

/* Normal scores; the label's probability is sigmoid(scale * score + offset). */
static CaseSet
make_cases(int64_t n, double scale, double offset, bool weighted)
{
	CaseSet		set = {
		.labels = malloc((size_t) n * sizeof(float)),
		.scores = malloc((size_t) n * sizeof(double)),
		.weights = malloc((size_t) n * sizeof(float))
	};

	for (int64_t i = 0; i < n; i++)
	{
		set.scores[i] = 2.0 * random_normal(1, RANDOM_TEST, (uint64_t) i);
		set.labels[i] = random_uniform(2, RANDOM_TEST, (uint64_t) i) < sigmoid(scale * set.scores[i] + offset);
		set.weights[i] = weighted ? (float) (i % 3) : 1.0f;
	}
	set.cases = (Cases) {n, set.labels, set.scores, weighted ? set.weights : NULL};
	return set;
}

static void
free_cases(CaseSet *set)
{
	free(set->labels);
	free(set->scores);
	free(set->weights);
}

static void
platt_recovers_the_truth(void **state)
{
	(void) state;
	for (int weighted = 0; weighted < 2; weighted++)
	{
		CaseSet		set = make_cases(MOST_CASES, 0.7, -1.5, weighted);
		TestHost	host;
		double		scale;
		double		offset;

		host_open(&host, 1);
		assert_int_equal(calibration_platt(&host.core, &set.cases, &scale, &offset), CORE_OK);
		assert_close(scale, 0.7, 0.05);
		assert_close(offset, -1.5, 0.06);
		host_assert_clean(&host);
		free_cases(&set);
	}
}

/* Platt's curve, then its level; the labels' truth levels off at `truth`. */
static double
level_of(const CaseSet *set, double truth, double *scale, double *offset)
{
	TestHost	host;
	double		level;

	for (int64_t i = 0; i < set->cases.n; i++)
		set->labels[i] = random_uniform(2, RANDOM_TEST, (uint64_t) i) < truth * sigmoid(2.0 * set->scores[i] + 1.0);
	host_open(&host, 1);
	assert_int_equal(calibration_platt(&host.core, &set->cases, scale, offset), CORE_OK);
	assert_int_equal(calibration_level(&host.core, &set->cases, &level, scale, offset), CORE_OK);
	host_assert_clean(&host);
	return level;
}

static void
a_level_is_found_where_there_is_one(void **state)
{
	CaseSet		set = make_cases(5000, 1, 0, false);
	TestHost	host;
	double		scale;
	double		offset;
	double		platt_scale;
	double		platt_offset;
	double		level = level_of(&set, 0.3, &scale, &offset);

	(void) state;
	assert_close(level, 0.3, 0.03);
	assert_close(scale, 2.0, 0.4);
	assert_close(offset, 1.0, 0.4);
	assert_true(level_of(&set, 1.0, &scale, &offset) == 1.0);
	host_open(&host, 1);
	assert_int_equal(calibration_platt(&host.core, &set.cases, &platt_scale, &platt_offset), CORE_OK);
	assert_true(scale == platt_scale && offset == platt_offset);
	for (int64_t i = 0; i < set.cases.n; i++)	/* separable, and all equal: nothing to find, nothing to break */
		set.scores[i] = set.labels[i];
	assert_int_equal(calibration_platt(&host.core, &set.cases, &scale, &offset), CORE_OK);
	assert_int_equal(calibration_level(&host.core, &set.cases, &level, &scale, &offset), CORE_OK);
	assert_true(level == 1.0 && isfinite(scale));
	for (int64_t i = 0; i < set.cases.n; i++)
		set.scores[i] = 3;
	assert_int_equal(calibration_platt(&host.core, &set.cases, &scale, &offset), CORE_OK);
	assert_int_equal(calibration_level(&host.core, &set.cases, &level, &scale, &offset), CORE_OK);
	assert_true(level == 1.0 && scale == 0.0);
	free_cases(&set);
}

/* Loss with Platt's targets, for unweighted cases. */
static double
platt_loss(const Cases *cases, double scale, double offset)
{
	double		n1 = 0.0;
	double		n0;
	double		sum = 0.0;

	for (int64_t i = 0; i < cases->n; i++)
		n1 += cases->labels[i];
	n0 = (double) cases->n - n1;
	for (int64_t i = 0; i < cases->n; i++)
	{
		double		target = cases->labels[i] == 1.0f ? (n1 + 1.0) / (n1 + 2.0) : 1.0 / (n0 + 2.0);
		double		p = sigmoid(scale * cases->scores[i] + offset);

		sum -= target * log(p) + (1.0 - target) * log(1.0 - p);
	}
	return sum;
}

static void
platt_finds_the_least_loss(void **state)
{
	CaseSet		set = make_cases(60, 1.2, 0.5, false);
	const double moves[] = {0.01, -0.01, 0.0, 0.0, 0.01, -0.01};
	TestHost	host;
	double		scale;
	double		offset;
	double		least;

	(void) state;
	host_open(&host, 1);
	assert_int_equal(calibration_platt(&host.core, &set.cases, &scale, &offset), CORE_OK);
	least = platt_loss(&set.cases, scale, offset);
	for (int i = 0; i < 6; i++)
		assert_true(platt_loss(&set.cases, scale + moves[i], offset + moves[(i + 2) % 6]) > least);
	free_cases(&set);
}

/* Multiplying all weights by the same number changes nothing. */
static void
platt_ignores_the_unit_of_weights(void **state)
{
	CaseSet		set = make_cases(500, 1.0, -1.0, true);
	TestHost	host;
	double		scales[2];
	double		offsets[2];

	(void) state;
	host_open(&host, 1);
	calibration_platt(&host.core, &set.cases, &scales[0], &offsets[0]);
	for (int i = 0; i < 500; i++)
		set.weights[i] *= 1024.0f;
	calibration_platt(&host.core, &set.cases, &scales[1], &offsets[1]);
	assert_close(scales[0], scales[1], 1e-9);
	assert_close(offsets[0], offsets[1], 1e-9);
	free_cases(&set);
}

static void
platt_stays_finite_on_separable_cases(void **state)
{
	const double factors[] = {1.0, 1e-6, 1e9};

	(void) state;
	for (int i = 0; i < 3; i++)
	{
		CaseSet		set = make_cases(200, 1.0, 0.0, false);
		TestHost	host;
		double		scale;
		double		offset;

		for (int j = 0; j < 200; j++)
		{
			set.labels[j] = set.scores[j] > 0.0;
			set.scores[j] *= factors[i];
		}
		host_open(&host, 1);
		assert_int_equal(calibration_platt(&host.core, &set.cases, &scale, &offset), CORE_OK);
		assert_true(isfinite(scale) && scale > 0.0 && isfinite(offset));
		assert_true(sigmoid(scale * 2.0 * factors[i] + offset) > 0.95);
		free_cases(&set);
	}
}

/* The wrong way round, or no way at all: the scale is 0 and the rate of positives is left. */
static void
platt_never_turns_a_ranking(void **state)
{
	CaseSet		set = make_cases(1000, -1.0, -1.0, false);
	double		rate = 0.0;
	TestHost	host;
	double		scale;
	double		offset;

	(void) state;
	for (int i = 0; i < 1000; i++)
		rate += set.labels[i] / 1000.0;
	for (int constant = 0; constant < 2; constant++)
	{
		for (int i = 0; constant && i < 1000; i++)
			set.scores[i] = 5.0;
		host_open(&host, 1);
		assert_int_equal(calibration_platt(&host.core, &set.cases, &scale, &offset), CORE_OK);
		assert_close(scale, 0.0, 0.0);
		assert_close(sigmoid(offset), rate, 1e-3);
	}
	free_cases(&set);
}

static void
a_missing_class_is_refused(void **state)
{
	(void) state;
	for (int kind = 0; kind < 4; kind++)
	{
		float		labels[] = {1, 1, 0};
		float		weights[] = {1, 1, 0};
		double		scores[] = {1, 2, kind == 3 ? NAN : 3.0};
		Cases		cases = {kind == 1 ? 0 : kind == 2 ? 2 : 3, labels, scores, kind == 3 ? NULL : weights};
		IsotonicCurve curve;
		TestHost	host;
		Arena		arena;
		double		scale;
		double		offset;

		host_open(&host, 1);
		assert_int_equal(calibration_platt(&host.core, &cases, &scale, &offset), CORE_INVALID);
		host_open(&host, 1);
		arena_open(&arena, &host.core);
		assert_int_equal(calibration_isotonic(&host.core, &arena, &cases, 10, &curve), CORE_INVALID);
		arena_close(&arena);
		host_assert_clean(&host);
	}
}

static void
assert_curve_is_sound(const IsotonicCurve *curve, int max_points)
{
	assert_in_range(curve->n_points, 1, max_points);
	for (int i = 0; i < curve->n_points; i++)
	{
		assert_true(curve->values[i] > 0.0f && curve->values[i] < 1.0f);
		if (i > 0)
			assert_true(curve->thresholds[i] > curve->thresholds[i - 1] && curve->values[i] >= curve->values[i - 1]);
	}
}

/* Isotonic regression by its min-max formula: max over a <= i of min over b >= i of the mean. */
static double
slow_isotonic(const double *rates, const double *weights, int n, int i)
{
	double		best = -INFINITY;

	for (int a = 0; a <= i; a++)
	{
		double		least = INFINITY;

		for (int b = i; b < n; b++)
		{
			double		sum = 0.0;
			double		weight = 0.0;

			for (int j = a; j <= b; j++)
			{
				sum += weights[j] * rates[j];
				weight += weights[j];
			}
			least = fmin(least, sum / weight);
		}
		best = fmax(best, least);
	}
	return best;
}

static void
isotonic_pools_adjacent_violators(void **state)
{
	(void) state;
	for (uint64_t seed = 0; seed < 20; seed++)
	{
		float		labels[60];
		double		scores[60];
		float		weights[60];
		double		rates[20] = {0};
		double		sums[20] = {0};
		double		squares[2] = {0};
		double		sides[2] = {0};
		const Cases cases = {60, labels, scores, weights};
		IsotonicCurve curve;
		TestHost	host;
		Arena		arena;
		double		margin;

		for (int i = 0; i < 60; i++)
		{
			int			level = i % 20;

			scores[i] = level;
			labels[i] = random_uniform(seed, RANDOM_TEST, (uint64_t) i) < level / 20.0;
			weights[i] = (float) (1 + i % 4);
			sums[level] += weights[i];
			rates[level] += weights[i] * labels[i];
			sides[labels[i] > 0.5f] += weights[i];
			squares[labels[i] > 0.5f] += weights[i] * weights[i];
		}
		margin = 1.0 / (sides[0] * sides[0] / squares[0] + sides[1] * sides[1] / squares[1] + 2.0);
		for (int level = 0; level < 20; level++)
			rates[level] /= sums[level];
		host_open(&host, 1);
		arena_open(&arena, &host.core);
		assert_int_equal(calibration_isotonic(&host.core, &arena, &cases, 100, &curve), CORE_OK);
		assert_curve_is_sound(&curve, 100);
		for (int level = 0; level < 20; level++)
		{
			double		expected = fmin(fmax(slow_isotonic(rates, sums, 20, level), margin), 1.0 - margin);

			assert_close(calibration_apply(&curve, level), expected, 1e-6);
		}
		arena_close(&arena);
		host_assert_clean(&host);
	}
}

static void
isotonic_is_close_to_the_truth(void **state)
{
	CaseSet		set = make_cases(MOST_CASES, 1.0, -1.0, false);
	TestHost	host;

	(void) state;
	host_open(&host, 1);
	for (int max_points = 2; max_points <= 200; max_points += 99)
	{
		IsotonicCurve curve;
		Arena		arena;

		arena_open(&arena, &host.core);
		assert_int_equal(calibration_isotonic(&host.core, &arena, &set.cases, max_points, &curve), CORE_OK);
		assert_curve_is_sound(&curve, max_points);
		for (double score = -3.0; max_points > 2 && score <= 3.0; score += 0.5)
			assert_close(calibration_apply(&curve, score), sigmoid(score - 1.0), 0.06);
		arena_close(&arena);
	}
	free_cases(&set);
}

static void
curve_is_linear_inside_and_flat_outside(void **state)
{
	float		thresholds[] = {-1, 1, 3};
	float		values[] = {0.25f, 0.5f, 0.75f};
	const IsotonicCurve curve = {3, thresholds, values};
	const IsotonicCurve single = {1, thresholds, values};

	(void) state;
	assert_close(calibration_apply(&curve, -INFINITY), 0.25, 0.0);
	assert_close(calibration_apply(&curve, -1.0), 0.25, 0.0);
	assert_close(calibration_apply(&curve, 0.0), 0.375, 1e-12);
	assert_close(calibration_apply(&curve, 1.0), 0.5, 0.0);
	assert_close(calibration_apply(&curve, 2.5), 0.6875, 1e-12);
	assert_close(calibration_apply(&curve, 3.0), 0.75, 0.0);
	assert_close(calibration_apply(&curve, INFINITY), 0.75, 0.0);
	assert_close(calibration_apply(&single, 7.0), 0.25, 0.0);
	assert_close(calibration_apply(&single, -7.0), 0.25, 0.0);
}

/* Scores that differ by less than single precision can tell become one threshold. */
static void
close_scores_become_one_threshold(void **state)
{
	float		labels[] = {0, 1, 0, 1};
	double		scores[] = {1.0, 1.0 + 1e-12, 2.0, 2.0 + 1e-12};
	const Cases cases = {4, labels, scores, NULL};
	IsotonicCurve curve;
	TestHost	host;
	Arena		arena;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(calibration_isotonic(&host.core, &arena, &cases, 10, &curve), CORE_OK);
	assert_curve_is_sound(&curve, 10);
	assert_close(calibration_apply(&curve, 1.0), 0.5, 1e-6);
	arena_close(&arena);
}

static CoreStatus
calibrate_both(Core *core, Arena *arena, void *argument)
{
	const CaseSet *set = argument;
	IsotonicCurve curve;
	double		scale;
	double		offset;

	if (calibration_platt(core, &set->cases, &scale, &offset) != CORE_OK)
		return core->status;
	/* for the comparison of threads */
	set->weights[0] = (float) scale;
	set->weights[1] = (float) offset;
	return calibration_isotonic(core, arena, &set->cases, 50, &curve);
}

static void
threads_do_not_show(void **state)
{
	CaseSet		set = make_cases(MOST_CASES, 1.0, -1.0, false);
	float		alone[2];

	(void) state;
	scenario_run(calibrate_both, &set, 1);
	memcpy(alone, set.weights, sizeof(alone));
	for (int threads = 2; threads <= 4; threads += 2)
	{
		scenario_run(calibrate_both, &set, threads);
		assert_memory_equal(alone, set.weights, sizeof(alone));
	}
	free_cases(&set);
}

static void
failures_are_survived(void **state)
{
	CaseSet		set = make_cases(MOST_CASES, 1.0, -1.0, false);

	(void) state;
	scenario_survives(calibrate_both, &set, 1);
	free_cases(&set);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(platt_recovers_the_truth),
		cmocka_unit_test(platt_finds_the_least_loss),
		cmocka_unit_test(a_level_is_found_where_there_is_one),
		cmocka_unit_test(platt_ignores_the_unit_of_weights),
		cmocka_unit_test(platt_stays_finite_on_separable_cases),
		cmocka_unit_test(platt_never_turns_a_ranking),
		cmocka_unit_test(a_missing_class_is_refused),
		cmocka_unit_test(isotonic_pools_adjacent_violators),
		cmocka_unit_test(isotonic_is_close_to_the_truth),
		cmocka_unit_test(curve_is_linear_inside_and_flat_outside),
		cmocka_unit_test(close_scores_become_one_threshold),
		cmocka_unit_test(threads_do_not_show),
		cmocka_unit_test(failures_are_survived),
	};

	return cmocka_run_group_tests_name("calibration", tests, NULL, NULL);
}
