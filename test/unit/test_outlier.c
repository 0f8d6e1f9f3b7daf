/*
 * test_outlier.c
 *		Isolation forest and the weights made from its scores.
 */
#include "support.h"

#include "core/outlier.h"
#include "core/random.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 16
#define BULK 900
#define ISLAND 90
#define SCATTERED 10
#define POINTS (BULK + ISLAND + SCATTERED)

/* A bulk around 0, a small dense island beside it, and a few points far apart. */
static float *
three_regions(void)
{
	float	   *vectors = malloc(sizeof(float) * POINTS * WIDTH);

	for (int i = 0; i < POINTS * WIDTH; i++)
	{
		double		normal = random_normal(4, RANDOM_TEST, (uint64_t) i);
		int			point = i / WIDTH;

		vectors[i] = (float) (point < BULK ? normal :
							  point < BULK + ISLAND ? 2.5 + 0.3 * normal : 5.0 * normal);
	}
	return vectors;
}

static double
mean(const double *values, int n)
{
	double		sum = 0.0;

	for (int i = 0; i < n; i++)
		sum += values[i];
	return sum / n;
}

static void
expected_path_is_that_of_the_paper(void **state)
{
	double		harmonic = 0.0;

	(void) state;
	assert_close(outlier_expected_path(0), 0.0, 0.0);
	assert_close(outlier_expected_path(1), 0.0, 0.0);
	assert_close(outlier_expected_path(2), 1.0, 0.0);
	assert_close(outlier_expected_path(256), 10.2448, 5e-5);
	for (int i = 1; i < 1000; i++)
		harmonic += 1.0 / i;
	assert_close(outlier_expected_path(1000), 2.0 * harmonic - 2.0 * 999 / 1000, 2e-3);
}

static void
sparser_regions_score_higher(void **state)
{
	float	   *vectors = three_regions();

	(void) state;
	for (uint64_t seed = 1; seed <= 5; seed++)
	{
		double		scores[POINTS];
		double		bulk;
		double		island;
		double		scattered;
		TestHost	host;

		host_open(&host, 1);
		assert_int_equal(outlier_scores(&host.core, POINTS, WIDTH, vectors, seed, scores), CORE_OK);
		host_assert_clean(&host);
		for (int i = 0; i < POINTS; i++)
			assert_true(scores[i] > 0.0 && scores[i] < 1.0);
		bulk = mean(scores, BULK);
		island = mean(scores + BULK, ISLAND);
		scattered = mean(scores + BULK + ISLAND, SCATTERED);
		assert_true(bulk + 0.05 < island);
		assert_true(island + 0.05 < scattered);
		assert_close(bulk, 0.42, 0.03);
		assert_close(scattered, 0.68, 0.08);
	}
	free(vectors);
}

static void
scale_does_not_matter(void **state)
{
	float	   *vectors = three_regions();
	double		before[POINTS];
	double		after[POINTS];
	TestHost	host;

	(void) state;
	host_open(&host, 1);
	outlier_scores(&host.core, POINTS, WIDTH, vectors, 3, before);
	for (int i = 0; i < POINTS * WIDTH; i++)
		vectors[i] *= 0.125f;
	outlier_scores(&host.core, POINTS, WIDTH, vectors, 3, after);
	assert_memory_equal(before, after, sizeof(before));
	for (int i = 0; i < POINTS * WIDTH; i++)
		vectors[i] *= 3.7f;		/* rounding may move a point that lies on a split */
	outlier_scores(&host.core, POINTS, WIDTH, vectors, 3, after);
	for (int i = 0; i < POINTS; i++)
		assert_close(before[i], after[i], 0.01);
	free(vectors);
}

static void
seed_matters_and_repeats(void **state)
{
	float	   *vectors = three_regions();
	double		scores[3][POINTS];
	TestHost	host;

	(void) state;
	host_open(&host, 1);
	outlier_scores(&host.core, POINTS, WIDTH, vectors, 3, scores[0]);
	outlier_scores(&host.core, POINTS, WIDTH, vectors, 3, scores[1]);
	outlier_scores(&host.core, POINTS, WIDTH, vectors, 4, scores[2]);
	assert_memory_equal(scores[0], scores[1], sizeof(scores[0]));
	assert_memory_not_equal(scores[0], scores[2], sizeof(scores[0]));
	free(vectors);
}

/* With points no more than a sample, the one far off stands out. */
static void
few_points_work(void **state)
{
	(void) state;
	for (int n = 1; n <= 20; n++)
	{
		float		vectors[20];
		double		scores[20];
		TestHost	host;

		for (int i = 0; i < n; i++)
			vectors[i] = (float) (i == n - 1 ? 1000.0 : i);
		host_open(&host, 1);
		assert_int_equal(outlier_scores(&host.core, n, 1, vectors, 1, scores), CORE_OK);
		for (int i = 0; i < n - 1; i++)
			assert_true(n < 8 ? scores[i] == 0.5 : scores[i] < scores[n - 1]);
		host_assert_clean(&host);
	}
}

static void
equal_points_score_one_half(void **state)
{
	float		vectors[100 * 3];
	double		scores[100];
	TestHost	host;

	(void) state;
	for (int i = 0; i < 300; i++)
		vectors[i] = (float) (i % 3);
	host_open(&host, 1);
	assert_int_equal(outlier_scores(&host.core, 100, 3, vectors, 1, scores), CORE_OK);
	for (int i = 0; i < 100; i++)
		assert_close(scores[i], 0.5, 0.0);
	assert_int_equal(outlier_scores(&host.core, 0, 3, NULL, 1, scores), CORE_OK);
}

/* Values next to each other, and at the ends of the range, still split. */
static void
extreme_values_split(void **state)
{
	float		vectors[40];
	double		scores[40];
	TestHost	host;

	(void) state;
	for (int i = 0; i < 40; i++)
		vectors[i] = i % 4 == 0 ? 1.0f : i % 4 == 1 ? nextafterf(1.0f, 2.0f) : i % 4 == 2 ? FLT_MAX : -FLT_MAX;
	host_open(&host, 1);
	assert_int_equal(outlier_scores(&host.core, 40, 1, vectors, 1, scores), CORE_OK);
	for (int i = 0; i < 40; i++)
		assert_true(scores[i] > 0.0 && scores[i] < 1.0);
}

static void
weights_have_their_scales(void **state)
{
	const double scores[] = {0.4, 0.5, 0.6, 0.9};
	float		weights[4];

	(void) state;
	outlier_weights(4, scores, SEED_WEIGHT_RAW, weights);
	for (int i = 0; i < 4; i++)
		assert_close(weights[i], scores[i], 1e-7);

	outlier_weights(4, scores, SEED_WEIGHT_MEAN_1, weights);
	for (int i = 0; i < 4; i++)
		assert_close(weights[i], scores[i] / 0.6, 1e-6);

	outlier_weights(4, scores, SEED_WEIGHT_SPREAD, weights);
	for (int i = 0; i < 4; i++)
		assert_close(weights[i], (0.5 + 1.5 * (scores[i] - 0.4) / 0.5) / 1.1, 1e-6);
}

static void
weights_are_cut(void **state)
{
	double		scores[100];
	float		weights[100];

	(void) state;
	for (int i = 0; i < 100; i++)
		scores[i] = i == 0 ? 0.99 : i == 1 ? 0.001 : 0.1;
	outlier_weights(100, scores, SEED_WEIGHT_MEAN_1, weights);
	assert_close(weights[0], 5.0, 0.0);
	assert_close(weights[1], 0.2, 1e-7);
}

static void
equal_scores_weigh_one(void **state)
{
	const double scores[] = {0.5, 0.5, 0.5};

	(void) state;
	for (int scale = SEED_WEIGHT_RAW; scale <= SEED_WEIGHT_SPREAD; scale++)
	{
		float		weights[3] = {0};

		outlier_weights(3, scores, (SeedWeightScale) scale, weights);
		for (int i = 0; i < 3; i++)
			assert_close(weights[i], 1.0, 0.0);
	}
}

typedef struct ForestTask
{
	float	   *vectors;
	double		scores[POINTS];
} ForestTask;

static CoreStatus
score_points(Core *core, Arena *arena, void *argument)
{
	ForestTask *task = argument;

	(void) arena;
	return outlier_scores(core, POINTS, WIDTH, task->vectors, 5, task->scores);
}

static void
threads_do_not_show(void **state)
{
	static ForestTask alone;
	static ForestTask together;

	(void) state;
	alone.vectors = together.vectors = three_regions();
	scenario_run(score_points, &alone, 1);
	for (int threads = 2; threads <= 4; threads += 2)
	{
		memset(together.scores, 0, sizeof(together.scores));
		scenario_run(score_points, &together, threads);
		assert_memory_equal(alone.scores, together.scores, sizeof(alone.scores));
	}
	free(alone.vectors);
}

static void
failures_are_survived(void **state)
{
	static ForestTask task;

	(void) state;
	task.vectors = three_regions();
	scenario_survives(score_points, &task, 7);
	free(task.vectors);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(expected_path_is_that_of_the_paper),
		cmocka_unit_test(sparser_regions_score_higher),
		cmocka_unit_test(scale_does_not_matter),
		cmocka_unit_test(seed_matters_and_repeats),
		cmocka_unit_test(few_points_work),
		cmocka_unit_test(equal_points_score_one_half),
		cmocka_unit_test(extreme_values_split),
		cmocka_unit_test(weights_have_their_scales),
		cmocka_unit_test(weights_are_cut),
		cmocka_unit_test(equal_scores_weigh_one),
		cmocka_unit_test(threads_do_not_show),
		cmocka_unit_test(failures_are_survived),
	};

	return cmocka_run_group_tests_name("outlier", tests, NULL, NULL);
}
