/*
 * test_features.c
 *		Standardising of node features.
 */
#include "support.h"

#include "core/features.h"
#include "core/random.h"
#include "core/statistics.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void
columns_are_standardised(void **state)
{
	/* number, number with a gap, category with a gap, vector element, constant */
	float		values[] = {
		1, 10, 0, 0.5f, 7,
		2, NAN, 1, 0.25f, 7,
		3, 30, NAN, -4, 7,
		6, 50, 1, 2, 7
	};
	const FeatureKind kinds[] = {FEATURE_NUMBER, FEATURE_NUMBER, FEATURE_CATEGORY, FEATURE_VECTOR, FEATURE_NUMBER};
	const Features raw = {.rows = 4, .columns = 5, .values = values};
	const double first_deviation = sqrt((4.0 + 1.0 + 0.0 + 9.0) / 4.0);
	const double second_deviation = sqrt((400.0 + 0.0 + 400.0) / 3.0);
	Features	result;
	TestHost	host;
	Arena		arena;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(features_finish(&host.core, &arena, &raw, kinds, &result), CORE_OK);
	assert_int_equal(result.rows, 4);
	assert_int_equal(result.columns, 7);
	for (int row = 0; row < 4; row++)
	{
		const float *in = values + row * 5;
		const float *out = result.values + row * 7;

		assert_close(out[0], (in[0] - 3.0) / first_deviation, 1e-6);
		assert_close(out[1], row == 1 ? 0.0 : (in[1] - 30.0) / second_deviation, 1e-6);
		assert_close(out[2], row == 2 ? 2.0 / 3.0 : in[2], 1e-6);
		assert_close(out[3], in[3], 0.0);
		assert_close(out[4], 0.0, 0.0);
		assert_close(out[5], row == 1, 0.0);
		assert_close(out[6], row == 2, 0.0);
	}
	arena_close(&arena);
	host_assert_clean(&host);
}

/* A deviation that is small beside the mean is not lost. */
static void
large_means_keep_small_deviations(void **state)
{
	float		values[1000];
	const FeatureKind kind = FEATURE_NUMBER;
	const Features raw = {.rows = 1000, .columns = 1, .values = values};
	Features	result;
	TestHost	host;
	Arena		arena;

	(void) state;
	for (int i = 0; i < 1000; i++)
		values[i] = 1e8f + (i % 2 == 0 ? 8.0f : -8.0f);
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(features_finish(&host.core, &arena, &raw, &kind, &result), CORE_OK);
	for (int i = 0; i < 1000; i++)
		assert_close(result.values[i], i % 2 == 0 ? 1.0 : -1.0, 1e-6);
	arena_close(&arena);
}

static void
bad_columns_are_refused(void **state)
{
	const float bad[] = {INFINITY, -INFINITY, NAN};
	const FeatureKind kinds[] = {FEATURE_NUMBER, FEATURE_VECTOR};

	(void) state;
	for (int i = 0; i < 3; i++)
	{
		float		values[] = {1, bad[i], 2, isnan(bad[i]) ? NAN : 3.0f};
		const Features raw = {.rows = 2, .columns = 2, .values = values};
		Features	result;
		TestHost	host;
		Arena		arena;

		host_open(&host, 1);
		arena_open(&arena, &host.core);
		assert_int_equal(features_finish(&host.core, &arena, &raw, kinds, &result), CORE_INVALID);
		assert_non_null(strstr(host.core.detail, "column 2"));
		arena_close(&arena);
		host_assert_clean(&host);
	}
	for (int i = 0; i < 2; i++)
	{
		const Features raw = {.rows = i, .columns = 1 - i};
		Features	result;
		TestHost	host;
		Arena		arena;

		host_open(&host, 1);
		arena_open(&arena, &host.core);
		assert_int_equal(features_finish(&host.core, &arena, &raw, kinds, &result), CORE_INVALID);
		arena_close(&arena);
	}
}

#define ROWS 40000
#define COLUMNS 30

/* A matrix of several shards with every eleventh value missing in some columns. */
static Features
large_matrix(void)
{
	Features	raw = {.rows = ROWS, .columns = COLUMNS, .values = malloc(sizeof(float) * ROWS * COLUMNS)};

	for (int i = 0; i < ROWS * COLUMNS; i++)
		raw.values[i] = i % 11 == 0 && i % COLUMNS < 10 ? NAN :
			(float) (i % COLUMNS + random_normal(3, RANDOM_TEST, (uint64_t) i));
	return raw;
}

typedef struct FinishTask
{
	Features	raw;
	FeatureKind kinds[COLUMNS];
	float	   *copy;			/* of the result */
} FinishTask;

static CoreStatus
finish(Core *core, Arena *arena, void *argument)
{
	FinishTask *task = argument;
	Features	result;

	if (features_finish(core, arena, &task->raw, task->kinds, &result) != CORE_OK)
		return core->status;
	assert_int_equal(result.columns, COLUMNS + 10);
	memcpy(task->copy, result.values, sizeof(float) * ROWS * (COLUMNS + 10));
	return CORE_OK;
}

static void
threads_do_not_show(void **state)
{
	const size_t size = sizeof(float) * ROWS * (COLUMNS + 10);
	FinishTask	task = {.raw = large_matrix()};
	float	   *alone = malloc(size);

	(void) state;
	task.copy = alone;
	scenario_run(finish, &task, 1);
	task.copy = malloc(size);
	for (int threads = 2; threads <= 4; threads += 2)
	{
		memset(task.copy, 0, size);
		scenario_run(finish, &task, threads);
		assert_memory_equal(task.copy, alone, size);
	}
	for (int column = 0; column < COLUMNS; column++)
	{
		double		sum = 0.0;
		double		squares = 0.0;

		for (int row = 0; row < ROWS; row++)
		{
			sum += alone[row * (COLUMNS + 10) + column];
			squares += pow(alone[row * (COLUMNS + 10) + column], 2);
		}
		assert_close(sum / ROWS, 0.0, 1e-5);
		assert_close(squares / ROWS, column < 10 ? 10.0 / 11.0 : 1.0, 1e-3);
	}
	free(task.copy);
	free(alone);
	free(task.raw.values);
}

static void
failures_are_survived(void **state)
{
	FinishTask	task = {.raw = large_matrix(), .copy = malloc(sizeof(float) * ROWS * (COLUMNS + 10))};

	(void) state;
	scenario_survives(finish, &task, 1);
	free(task.copy);
	free(task.raw.values);
}

static void
shards_cover_the_rows(void **state)
{
	const int64_t rows[] = {1, 7, 1000, 10000000};
	const int	columns[] = {1, 64, 1000, 5000000};

	(void) state;
	for (int i = 0; i < 16; i++)
	{
		RowShards	cut = row_shards(rows[i / 4], columns[i % 4]);
		int64_t		next = 0;

		assert_in_range(cut.shards, 1, 256);
		for (int64_t shard = 0; shard < cut.shards; shard++)
		{
			int64_t		begin;
			int64_t		end;

			row_shard(&cut, shard, &begin, &end);
			assert_int_equal(begin, next);
			assert_true(end > begin);
			next = end;
		}
		assert_int_equal(next, rows[i / 4]);
	}
}

static void
weights_count_like_even_ones(void **state)
{
	const float even[] = {3, 3, 3, 3};
	const float half[] = {0, 2, 0, 2};
	const float one[] = {0, 0, 1e15f, 1e-3f};
	double		count;
	TestHost	host;

	(void) state;
	host_open(&host, 1);
	assert_int_equal(effective_count(&host.core, 4, even, &count), CORE_OK);
	assert_close(count, 4.0, 1e-9);
	assert_int_equal(effective_count(&host.core, 4, half, &count), CORE_OK);
	assert_close(count, 2.0, 1e-9);
	assert_int_equal(effective_count(&host.core, 4, one, &count), CORE_OK);
	assert_close(count, 1.0, 1e-9);
	host_assert_clean(&host);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_standardised),
		cmocka_unit_test(large_means_keep_small_deviations),
		cmocka_unit_test(bad_columns_are_refused),
		cmocka_unit_test(threads_do_not_show),
		cmocka_unit_test(failures_are_survived),
		cmocka_unit_test(shards_cover_the_rows),
		cmocka_unit_test(weights_count_like_even_ones),
	};

	return cmocka_run_group_tests_name("features", tests, NULL, NULL);
}
