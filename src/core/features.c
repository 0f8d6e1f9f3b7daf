/*
 * features.c
 *		Standardising of node features.
 *
 * Two passes for the statistics (mean first, then squared distances from it) and one
 * that writes the result, each cut into shards of rows whose partial sums are added
 * in shard order.
 */
#include "core/features.h"

#include <math.h>

#define MOST_SHARDS 256
#define VALUES_PER_SHARD (INT64_C(1) << 18)

/* What one shard, or all, know of a column. */
typedef struct ColumnSums
{
	int64_t		present;		/* values that are not missing */
	double		sum;			/* first pass: of values; second: of squared distances */
	float		minimum;
	float		maximum;
	bool		infinite;
} ColumnSums;

/* How a column is written: (value - shift) * factor, `filling` when it is missing. */
typedef struct ColumnPlan
{
	double		mean;
	double		shift;
	double		factor;
	float		filling;
	int			flag;			/* column of the missing flag, -1 = none */
} ColumnPlan;

typedef struct Standardisation
{
	Core	   *core;
	const Features *raw;
	const FeatureKind *kinds;
	Features   *result;
	int64_t		shards;
	int64_t		rows_per_shard;
	ColumnSums *sums;			/* shards x columns */
	ColumnPlan *plans;			/* columns */
} Standardisation;

/* The rows of a shard: *begin .. *end - 1. */
static void
shard_rows(const Standardisation *work, int64_t shard, int64_t *begin, int64_t *end)
{
	*begin = shard * work->rows_per_shard;
	*end = *begin + work->rows_per_shard;
	if (*end > work->raw->rows)
		*end = work->raw->rows;
}

/* First pass: count, sum, extremes. */
static void
sum_values(void *argument, int64_t shard, int worker)
{
	const Standardisation *work = argument;
	int			columns = work->raw->columns;
	ColumnSums *sums = work->sums + shard * columns;
	int64_t		begin;
	int64_t		end;

	(void) worker;
	for (int column = 0; column < columns; column++)
		sums[column] = (ColumnSums) {0, 0.0, INFINITY, -INFINITY, false};
	shard_rows(work, shard, &begin, &end);
	for (int64_t row = begin; row < end; row++)
	{
		const float *values = work->raw->values + row * columns;

		for (int column = 0; column < columns; column++)
		{
			if (isnan(values[column]))
				continue;
			sums[column].present++;
			sums[column].sum += values[column];
			sums[column].minimum = fminf(sums[column].minimum, values[column]);
			sums[column].maximum = fmaxf(sums[column].maximum, values[column]);
			sums[column].infinite |= isinf(values[column]) != 0;
		}
	}
}

/* Second pass: squared distances from the mean. */
static void
sum_squares(void *argument, int64_t shard, int worker)
{
	const Standardisation *work = argument;
	int			columns = work->raw->columns;
	ColumnSums *sums = work->sums + shard * columns;
	int64_t		begin;
	int64_t		end;

	(void) worker;
	for (int column = 0; column < columns; column++)
		sums[column].sum = 0.0;
	shard_rows(work, shard, &begin, &end);
	for (int64_t row = begin; row < end; row++)
	{
		const float *values = work->raw->values + row * columns;

		for (int column = 0; column < columns; column++)
		{
			double		distance = values[column] - work->plans[column].mean;

			if (!isnan(values[column]))
				sums[column].sum += distance * distance;
		}
	}
}

/* The sums of all shards, taken in shard order. */
static ColumnSums
total_of_column(const Standardisation *work, int column)
{
	ColumnSums	total = {0, 0.0, INFINITY, -INFINITY, false};

	for (int64_t shard = 0; shard < work->shards; shard++)
	{
		const ColumnSums *part = &work->sums[shard * work->raw->columns + column];

		total.present += part->present;
		total.sum += part->sum;
		total.minimum = fminf(total.minimum, part->minimum);
		total.maximum = fmaxf(total.maximum, part->maximum);
		total.infinite |= part->infinite;
	}
	return total;
}

/* After the first pass: means, flags, and a refusal of what cannot be standardised. */
static CoreStatus
plan_means(Standardisation *work)
{
	int			columns = work->raw->columns;

	work->result->columns = columns;
	for (int column = 0; column < columns; column++)
	{
		ColumnSums	total = total_of_column(work, column);
		ColumnPlan *plan = &work->plans[column];

		if (total.infinite)
			return core_fail(work->core, CORE_INVALID, "feature column %d has an infinite value", column + 1);
		if (total.present == 0)
			return core_fail(work->core, CORE_INVALID, "feature column %d has no value at all", column + 1);
		plan->mean = total.sum / (double) total.present;
		plan->flag = total.present < work->raw->rows ? work->result->columns++ : -1;
	}
	return CORE_OK;
}

/* After the second pass: what is done to each column. */
static void
plan_factors(Standardisation *work)
{
	for (int column = 0; column < work->raw->columns; column++)
	{
		ColumnSums	total = total_of_column(work, column);
		ColumnPlan *plan = &work->plans[column];

		plan->shift = 0.0;
		plan->factor = 1.0;
		plan->filling = (float) plan->mean;
		if (total.minimum == total.maximum)
		{
			plan->shift = total.minimum;
			plan->factor = 0.0;
			plan->filling = 0.0f;
		}
		else if (work->kinds[column] == FEATURE_NUMBER)
		{
			plan->shift = plan->mean;
			plan->factor = 1.0 / sqrt(total.sum / (double) total.present);
			plan->filling = 0.0f;
		}
	}
}

/* Last pass: write the result. */
static void
write_rows(void *argument, int64_t shard, int worker)
{
	const Standardisation *work = argument;
	int64_t		begin;
	int64_t		end;

	(void) worker;
	shard_rows(work, shard, &begin, &end);
	for (int64_t row = begin; row < end; row++)
	{
		const float *values = work->raw->values + row * work->raw->columns;
		float	   *written = work->result->values + row * work->result->columns;

		for (int column = 0; column < work->raw->columns; column++)
		{
			const ColumnPlan *plan = &work->plans[column];
			bool		missing = isnan(values[column]);

			written[column] = missing ? plan->filling :
				(float) ((values[column] - plan->shift) * plan->factor);
			if (plan->flag >= 0)
				written[plan->flag] = missing ? 1.0f : 0.0f;
		}
	}
}

/* Memory and passes, one after the other; the caller owns the workers and the scratch arena. */
static CoreStatus
standardise(Standardisation *work, Arena *scratch, Arena *arena)
{
	Core	   *core = work->core;
	size_t		columns = (size_t) work->raw->columns;

	work->sums = arena_allocate(scratch, (size_t) work->shards * columns, sizeof(ColumnSums));
	work->plans = arena_allocate(scratch, columns, sizeof(ColumnPlan));
	if (core->status != CORE_OK ||
		core_parallel(core, work->shards, sum_values, work) != CORE_OK ||
		plan_means(work) != CORE_OK ||
		core_parallel(core, work->shards, sum_squares, work) != CORE_OK)
		return core->status;
	plan_factors(work);

	work->result->values = arena_floats(arena, (size_t) work->raw->rows * (size_t) work->result->columns);
	if (work->result->values == NULL)
		return core->status;
	return core_parallel(core, work->shards, write_rows, work);
}

/* See features.h. */
CoreStatus
features_finish(Core *core, Arena *arena, const Features *raw, const FeatureKind *kinds, Features *result)
{
	Standardisation work = {.core = core, .raw = raw, .kinds = kinds, .result = result};
	Arena		scratch;

	if (raw->rows < 1 || raw->columns < 1)
		return core_fail(core, CORE_INVALID, "features have %d rows and %d columns", raw->rows, raw->columns);
	result->rows = raw->rows;
	work.shards = ((int64_t) raw->rows * raw->columns + VALUES_PER_SHARD - 1) / VALUES_PER_SHARD;
	if (work.shards > MOST_SHARDS)
		work.shards = MOST_SHARDS;
	if (work.shards > raw->rows)
		work.shards = raw->rows;
	work.rows_per_shard = (raw->rows + work.shards - 1) / work.shards;

	arena_open(&scratch, core);
	core_start_workers(core);
	standardise(&work, &scratch, arena);
	core_stop_workers(core);
	arena_close(&scratch);
	return core->status;
}
