/*
 * statistics.c
 *		Column statistics in two passes: means first, then squared distances from them,
 *		which keeps columns with a large mean and a small deviation exact.
 *
 * Each shard of rows has sums of its own, and they are added in shard order.
 */
#include "core/statistics.h"

#include <math.h>

#define MOST_SHARDS 256
#define VALUES_PER_SHARD (INT64_C(1) << 18)

RowShards
row_shards(int64_t rows, int columns)
{
	RowShards	cut = {.rows = rows};

	cut.rows_per_shard = VALUES_PER_SHARD / columns;
	if (cut.rows_per_shard < (rows + MOST_SHARDS - 1) / MOST_SHARDS)
		cut.rows_per_shard = (rows + MOST_SHARDS - 1) / MOST_SHARDS;
	if (cut.rows_per_shard < 1)
		cut.rows_per_shard = 1;
	cut.shards = (rows + cut.rows_per_shard - 1) / cut.rows_per_shard;
	return cut;
}

void
row_shard(const RowShards *cut, int64_t shard, int64_t *begin, int64_t *end)
{
	*begin = shard * cut->rows_per_shard;
	*end = *begin + cut->rows_per_shard;
	if (*end > cut->rows)
		*end = cut->rows;
}

typedef struct ColumnSums
{
	int64_t		present;
	double		sum;			/* first pass: of values; second: of squared distances */
	float		minimum;
	float		maximum;
} ColumnSums;

typedef struct StatisticsTask
{
	RowShards	cut;
	int			columns;
	const float *values;
	const ColumnStatistics *statistics; /* second pass: the means */
	ColumnSums *sums;			/* shards x columns */
} StatisticsTask;

/* First pass: count, sum, extremes. */
static void
sum_values(void *argument, int64_t shard, int worker)
{
	const StatisticsTask *task = argument;
	ColumnSums *sums = task->sums + shard * task->columns;
	int64_t		begin;
	int64_t		end;

	(void) worker;
	for (int column = 0; column < task->columns; column++)
		sums[column] = (ColumnSums) {0, 0.0, INFINITY, -INFINITY};
	row_shard(&task->cut, shard, &begin, &end);
	for (int64_t row = begin; row < end; row++)
	{
		const float *values = task->values + row * task->columns;

		for (int column = 0; column < task->columns; column++)
		{
			ColumnSums *of_column = &sums[column];
			float		value = values[column];

			if (isnan(value))
				continue;
			of_column->present++;
			of_column->sum += value;
			of_column->minimum = value < of_column->minimum ? value : of_column->minimum;
			of_column->maximum = value > of_column->maximum ? value : of_column->maximum;
		}
	}
}

/* Second pass: squared distances from the means. */
static void
sum_squares(void *argument, int64_t shard, int worker)
{
	const StatisticsTask *task = argument;
	ColumnSums *sums = task->sums + shard * task->columns;
	int64_t		begin;
	int64_t		end;

	(void) worker;
	for (int column = 0; column < task->columns; column++)
		sums[column].sum = 0.0;
	row_shard(&task->cut, shard, &begin, &end);
	for (int64_t row = begin; row < end; row++)
	{
		const float *values = task->values + row * task->columns;

		for (int column = 0; column < task->columns; column++)
		{
			double		distance = values[column] - task->statistics[column].mean;

			if (!isnan(values[column]))
				sums[column].sum += distance * distance;
		}
	}
}

/* The sums of all shards, taken in shard order. */
static ColumnSums
total_of_column(const StatisticsTask *task, int column)
{
	ColumnSums	total = {0, 0.0, INFINITY, -INFINITY};

	for (int64_t shard = 0; shard < task->cut.shards; shard++)
	{
		const ColumnSums *part = &task->sums[shard * task->columns + column];

		total.present += part->present;
		total.sum += part->sum;
		total.minimum = fminf(total.minimum, part->minimum);
		total.maximum = fmaxf(total.maximum, part->maximum);
	}
	return total;
}

/* Both passes. */
static CoreStatus
run_passes(Core *core, StatisticsTask *task, ColumnStatistics *statistics)
{
	if (core_parallel(core, task->cut.shards, sum_values, task) != CORE_OK)
		return core->status;
	for (int column = 0; column < task->columns; column++)
	{
		ColumnSums	total = total_of_column(task, column);

		statistics[column].present = total.present;
		statistics[column].mean = total.sum / (double) total.present;
		statistics[column].minimum = total.minimum;
		statistics[column].maximum = total.maximum;
		statistics[column].infinite = total.present > 0 && (isinf(total.minimum) || isinf(total.maximum));
	}
	if (core_parallel(core, task->cut.shards, sum_squares, task) != CORE_OK)
		return core->status;
	for (int column = 0; column < task->columns; column++)
		statistics[column].deviation = sqrt(total_of_column(task, column).sum /
											(double) statistics[column].present);
	return CORE_OK;
}

/* See statistics.h. */
CoreStatus
column_statistics(Core *core, int64_t rows, int columns, const float *values, ColumnStatistics *statistics)
{
	StatisticsTask task = {row_shards(rows, columns), columns, values, statistics, NULL};
	Arena		arena;

	arena_open(&arena, core);
	task.sums = arena_allocate(&arena, (size_t) task.cut.shards * (size_t) columns, sizeof(ColumnSums));
	if (task.sums != NULL)
		run_passes(core, &task, statistics);
	arena_close(&arena);
	return core->status;
}

/* See statistics.h. */
CoreStatus
effective_count(Core *core, int64_t n, const float *weights, double *count)
{
	ColumnStatistics of_weights;
	double		variation;

	if (column_statistics(core, n, 1, weights, &of_weights) != CORE_OK)
		return core->status;
	variation = of_weights.deviation / of_weights.mean;
	*count = (double) n / (1.0 + variation * variation);
	return CORE_OK;
}
