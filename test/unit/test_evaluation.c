/*
 * test_evaluation.c
 *		Values and intervals of a test part against slow computations and against how values
 *		scatter over many parts; curves against their definitions.
 */
#include "support.h"

#include "core/evaluation.h"
#include "core/random.h"

#include <math.h>
#include <string.h>

#define MOST_CASES 400

typedef struct PartSet
{
	float		labels[MOST_CASES];
	double		scores[MOST_CASES];
	double		probabilities[MOST_CASES];
	double		activity[MOST_CASES];
	TestPart	part;
} PartSet;

/* Positives score higher; `levels` > 0 makes ties. A quarter is positive. */
static void
make_part(PartSet *set, int n, int levels, uint64_t seed)
{
	for (int i = 0; i < n; i++)
	{
		bool		positive = i % 4 == 0;
		double		score = random_normal(seed, RANDOM_TEST, (uint64_t) (2 * i)) + (positive ? 1.0 : 0.0);

		set->labels[i] = positive;
		set->scores[i] = levels > 0 ? floor(score * levels) / levels : score;
		set->probabilities[i] = 1.0 / (1.0 + exp(3.5 - set->scores[i]));
		set->activity[i] = floor(10 * random_uniform(seed, RANDOM_TEST, (uint64_t) (5000 + i)));
	}
	set->part = (TestPart) {
		.n = n, .labels = set->labels, .scores = set->scores, .probabilities = set->probabilities,
		.activity = set->activity, .class_weights = {5.0, 0.5}, .prior = 0.1
	};
}

static const Measure asked[] = {
	{.kind = MEASURE_AUC}, {.kind = MEASURE_PR_AUC}, {.kind = MEASURE_LOG_LOSS}, {.kind = MEASURE_BRIER},
	{.kind = MEASURE_ECE}, {.kind = MEASURE_LIFT, .at = 0.05}, {.kind = MEASURE_GAIN, .at = 0.2}
};

#define N_MEASURES ((int) (sizeof(asked) / sizeof(asked[0])))

static void
measure(const TestPart *part, int threads, Measure *measures)
{
	TestHost	host;

	host_open(&host, threads);
	memcpy(measures, asked, sizeof(asked));
	assert_int_equal(evaluation_measure(&host.core, part, 1, measures, N_MEASURES), CORE_OK);
	host_assert_clean(&host);
}

/* The same by the metrics that weigh each case. */
static void
values_are_those_of_the_metrics(void **state)
{
	(void) state;
	for (int i = 0; i < 6; i++)
	{
		PartSet		set;
		Measure		measures[N_MEASURES];
		float		weights[MOST_CASES];
		TestHost	host;
		double		expected[N_MEASURES];
		double		activity;

		make_part(&set, 50 + 70 * i, i % 3, (uint64_t) i);
		for (int64_t c = 0; c < set.part.n; c++)
			weights[c] = set.labels[c] > 0 ? 0.5f : 5.0f;
		Cases		ranked = {set.part.n, set.labels, set.scores, weights};
		Cases		probable = {set.part.n, set.labels, set.probabilities, weights};
		Cases		active = {set.part.n, set.labels, set.activity, weights};

		host_open(&host, 1);
		metric_auc(&host.core, &ranked, &expected[0]);
		metric_pr_auc(&host.core, &ranked, &expected[1]);
		expected[2] = metric_log_loss(&probable);
		expected[3] = metric_brier(&probable);
		metric_ece(&host.core, &probable, EVALUATION_BINS, &expected[4]);
		metric_lift(&host.core, &ranked, 0.05, &expected[5]);
		metric_recall(&host.core, &ranked, 0.2 * (0.5 * ceil(set.part.n / 4.0) + 5 * floor(set.part.n * 3 / 4.0)),
					  &expected[6]);
		metric_auc(&host.core, &active, &activity);
		measure(&set.part, 1, measures);
		for (int m = 0; m < N_MEASURES; m++)
		{
			assert_close(measures[m].value, expected[m], 1e-9);
			assert_true(measures[m].low <= measures[m].value && measures[m].value <= measures[m].high);
			assert_true(measures[m].low >= 0);
		}
		assert_close(measures[0].popularity, activity, 1e-12);
		assert_true(isnan(measures[2].popularity));
		assert_close(measures[0].prior, 0.5, 0);
		assert_close(measures[5].prior, 1, 1e-12);
		assert_close(measures[6].prior, 0.2, 1e-12);
		host_assert_clean(&host);
	}
}

/* The width of each interval is about that in which values of fresh parts scatter. */
static void
intervals_are_as_wide_as_values_scatter(void **state)
{
	double		sums[N_MEASURES] = {0};
	double		squares[N_MEASURES] = {0};
	double		widths[N_MEASURES] = {0};
	const int	rounds = 60;

	(void) state;
	for (int i = 0; i < rounds; i++)
	{
		PartSet		set;
		Measure		measures[N_MEASURES];

		make_part(&set, MOST_CASES, 0, (uint64_t) (100 + i));
		measure(&set.part, 1, measures);
		for (int m = 0; m < N_MEASURES; m++)
		{
			sums[m] += measures[m].value;
			squares[m] += measures[m].value * measures[m].value;
			widths[m] += (measures[m].high - measures[m].low) / (2 * 1.96);
		}
	}
	for (int m = 0; m < N_MEASURES; m++)
	{
		double		deviation = sqrt((squares[m] - sums[m] * sums[m] / rounds) / (rounds - 1));

		assert_true(widths[m] / rounds > 0.6 * deviation);
		assert_true(widths[m] / rounds < 1.6 * deviation);
	}
}

/* DeLong's variance by its definition. */
static void
auc_interval_is_that_of_delong(void **state)
{
	PartSet		set;
	Measure		measures[N_MEASURES];
	double		variance = 0;

	(void) state;
	make_part(&set, 120, 2, 7);
	measure(&set.part, 1, measures);
	for (int label = 0; label < 2; label++)
	{
		double		squares = 0;
		int			n = 0;

		for (int64_t i = 0; i < set.part.n; i++)
		{
			double		right = 0;
			int			others = 0;

			if (set.labels[i] != label)
				continue;
			for (int64_t j = 0; j < set.part.n; j++)
			{
				double		difference = (label ? 1 : -1) * (set.scores[i] - set.scores[j]);

				if (set.labels[j] == label)
					continue;
				others++;
				right += difference > 0 ? 1 : difference == 0 ? 0.5 : 0;
			}
			squares += (right / others - measures[0].value) * (right / others - measures[0].value);
			n++;
		}
		variance += squares / (n - 1) / n;
	}
	assert_close(measures[0].high - measures[0].value, 1.959963984540054 * sqrt(variance), 1e-12);
}

static void
threads_do_not_matter(void **state)
{
	PartSet		set;
	Measure		measures[3][N_MEASURES];

	(void) state;
	make_part(&set, MOST_CASES, 3, 5);
	measure(&set.part, 1, measures[0]);
	measure(&set.part, 2, measures[1]);
	measure(&set.part, 4, measures[2]);
	assert_memory_equal(measures[0], measures[1], sizeof(measures[0]));
	assert_memory_equal(measures[0], measures[2], sizeof(measures[0]));
}

/* One class, one case of a class, nothing: no number, no crash. */
static void
what_cannot_be_told_is_not_a_number(void **state)
{
	PartSet		set;
	Measure		measures[N_MEASURES];

	(void) state;
	make_part(&set, 4, 0, 1);
	measure(&set.part, 1, measures);
	assert_false(isnan(measures[0].value));
	assert_true(isnan(measures[0].low) && isnan(measures[0].high));
	set.labels[0] = 0;
	measure(&set.part, 1, measures);
	assert_true(isnan(measures[0].value) && isnan(measures[1].value) && isnan(measures[5].value));
	assert_true(measures[2].value > 0 && measures[2].low >= 0);
	set.part.n = 0;
	measure(&set.part, 1, measures);
	for (int m = 0; m < N_MEASURES; m++)
		assert_true(isnan(measures[m].value) && isnan(measures[m].low) && isnan(measures[m].prior));
}

static void
roc_curve_has_the_area(void **state)
{
	PartSet		set;
	TestHost	host;
	Arena		arena;
	Ranking		ranking;
	RocPoint	points[MOST_CASES + 2];
	double		area = 0;
	int64_t		n;

	(void) state;
	make_part(&set, MOST_CASES, 3, 5);
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	evaluation_ranking(&host.core, &arena, &set.part, &ranking);
	n = curve_roc(&ranking, MOST_CASES, points);
	for (int64_t i = 1; i < n; i++)
		area += (points[i].false_positive_rate - points[i - 1].false_positive_rate) *
			(points[i].true_positive_rate + points[i - 1].true_positive_rate) / 2;
	assert_close(area, ranking_auc(&ranking), 1e-12);
	assert_close(points[n - 1].true_positive_rate, 1, 1e-12);
	assert_close(points[n - 1].selected, 1, 1e-12);
	assert_true(curve_roc(&ranking, 5, points) <= 7);
	arena_close(&arena);
	host_assert_clean(&host);
}

static void
calibration_bins_hold_all_cases(void **state)
{
	PartSet		set;
	TestHost	host;
	CalibrationBin bins[10];
	int			n;
	int64_t		cases = 0;
	int64_t		positives = 0;

	(void) state;
	make_part(&set, MOST_CASES, 0, 5);
	host_open(&host, 1);
	assert_int_equal(curve_calibration(&host.core, &set.part, 10, bins, &n), CORE_OK);
	assert_int_equal(n, 10);
	for (int i = 0; i < n; i++)
	{
		cases += bins[i].cases;
		positives += bins[i].positives;
		assert_true(bins[i].low <= bins[i].rate && bins[i].rate <= bins[i].high);
		assert_true(i == 0 || bins[i].probability > bins[i - 1].probability);
	}
	assert_int_equal(cases, MOST_CASES);
	assert_int_equal(positives, MOST_CASES / 4);
	host_assert_clean(&host);
}

/* Users like those of the test part: what is expected of them is what it shows. */
static void
audience_curve_rises(void **state)
{
	PartSet		set;
	TestHost	host;
	double		scores[MOST_CASES];
	double		probabilities[MOST_CASES];
	AudiencePoint points[] = {{.size = 1}, {.size = 10}, {.size = 100}, {.size = MOST_CASES}};
	double		sum = 0;

	(void) state;
	make_part(&set, MOST_CASES, 0, 5);
	for (int i = 0; i < MOST_CASES; i++)
	{
		scores[i] = 3 - i * 0.015;
		probabilities[i] = 1 / (1 + exp(3.5 - scores[i]));
		sum += probabilities[i];
	}
	host_open(&host, 1);
	assert_int_equal(curve_audience(&host.core, MOST_CASES, scores, probabilities, &set.part, points, 4), CORE_OK);
	for (int i = 1; i < 4; i++)
	{
		assert_true(points[i].expected > points[i - 1].expected && points[i].threshold < points[i - 1].threshold);
		assert_true(points[i].low < points[i].high && points[i].high <= points[i].size);
	}
	assert_close(points[3].expected, sum, 1e-9);
	assert_close(points[3].recall, 1, 1e-12);
	assert_int_equal(curve_audience(&host.core, MOST_CASES, scores, probabilities, NULL, points, 4), CORE_OK);
	assert_true(isnan(points[2].low));
	host_assert_clean(&host);
}

static CoreStatus
whole_evaluation(Core *core, Arena *arena, void *argument)
{
	const TestPart *part = argument;
	Measure		measures[N_MEASURES];
	CalibrationBin bins[5];
	AudiencePoint point = {.size = 1};
	int			n;

	(void) arena;
	memcpy(measures, asked, sizeof(asked));
	if (evaluation_measure(core, part, 1, measures, N_MEASURES) == CORE_OK &&
		curve_calibration(core, part, 5, bins, &n) == CORE_OK)
		curve_audience(core, 1, part->scores, part->probabilities, part, &point, 1);
	return core->status;
}

static void
failures_are_survived(void **state)
{
	PartSet		set;

	(void) state;
	make_part(&set, 100, 3, 5);
	scenario_survives(whole_evaluation, &set.part, 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_those_of_the_metrics),
		cmocka_unit_test(intervals_are_as_wide_as_values_scatter),
		cmocka_unit_test(auc_interval_is_that_of_delong),
		cmocka_unit_test(threads_do_not_matter),
		cmocka_unit_test(what_cannot_be_told_is_not_a_number),
		cmocka_unit_test(roc_curve_has_the_area),
		cmocka_unit_test(calibration_bins_hold_all_cases),
		cmocka_unit_test(audience_curve_rises),
		cmocka_unit_test(failures_are_survived),
	};

	return cmocka_run_group_tests_name("evaluation", tests, NULL, NULL);
}
