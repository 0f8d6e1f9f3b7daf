/*
 * features.c
 *		Standardising of node features: statistics of the columns, then one pass that
 *		writes the result, in shards of rows.
 */
#include "core/features.h"

#include "core/statistics.h"

#include <float.h>
#include <math.h>

typedef struct FeatureTask
{
	Core	   *core;
	RowShards	cut;
	const Features *raw;
	const FeatureKind *kinds;
	Features   *result;
} FeatureTask;

/* What is done to one column. */
static FeatureScale
plan_column(const ColumnStatistics *statistics, FeatureKind kind, int flag)
{
	FeatureScale scale = {0, 1, (float) statistics->mean, flag};

	if (statistics->minimum == statistics->maximum)
		scale = (FeatureScale) {statistics->minimum, 0, 0, flag};
	else if (kind == FEATURE_NUMBER)
		scale = (FeatureScale) {statistics->mean, 1.0 / statistics->deviation, 0, flag};
	return scale;
}

/* Plan all columns, count those of the result, refuse what cannot be standardised. */
static CoreStatus
plan_columns(FeatureTask *task, const ColumnStatistics *statistics)
{
	task->result->columns = task->raw->columns;
	for (int column = 0; column < task->raw->columns; column++)
	{
		const ColumnStatistics *of_column = &statistics[column];
		int			flag = -1;

		if (of_column->infinite)
			return core_fail(task->core, CORE_INVALID, "feature column %d has an infinite value", column + 1);
		if (of_column->present == 0)
			return core_fail(task->core, CORE_INVALID, "feature column %d has no value at all", column + 1);
		if (of_column->present < task->raw->rows && task->kinds[column] != FEATURE_REST)
			flag = task->result->columns++;
		task->result->scales[column] = plan_column(of_column, task->kinds[column], flag);
	}
	return CORE_OK;
}

/* A value as the encoder reads it. */
static float
scaled(float value, const FeatureScale *scale)
{
	double		result = (value - scale->shift) * scale->factor;

	return (float) fmin(FLT_MAX, fmax(-FLT_MAX, result));
}

/* Rows begin .. end - 1 of the result. */
static void
write_rows(const Features *raw, const FeatureScale *scales, int64_t begin, int64_t end, Features *result)
{
	for (int64_t row = begin; row < end; row++)
	{
		const float *values = raw->values + row * raw->columns;
		float	   *written = result->values + row * result->columns;

		for (int column = 0; column < raw->columns; column++)
		{
			const FeatureScale *scale = &scales[column];
			bool		missing = isnan(values[column]);

			written[column] = missing ? scale->filling : scaled(values[column], scale);
			if (scale->flag >= 0)
				written[scale->flag] = missing ? 1.0f : 0.0f;
		}
	}
}

/* Shard function: write some rows of the result. */
static void
write_shard(void *argument, int64_t shard, int worker)
{
	const FeatureTask *task = argument;
	int64_t		begin;
	int64_t		end;

	(void) worker;
	row_shard(&task->cut, shard, &begin, &end);
	write_rows(task->raw, task->result->scales, begin, end, task->result);
}

/* See features.h. */
void
features_apply(const Features *raw, const FeatureScale *scales, Features *result)
{
	write_rows(raw, scales, 0, raw->rows, result);
}

/* Statistics, plan, result; the caller owns the workers and the scratch arena. */
static CoreStatus
standardise(FeatureTask *task, Arena *scratch, Arena *arena)
{
	Core	   *core = task->core;
	size_t		columns = (size_t) task->raw->columns;
	ColumnStatistics *statistics = arena_allocate(scratch, columns, sizeof(ColumnStatistics));

	task->result->raw_columns = task->raw->columns;
	task->result->scales = arena_allocate(arena, columns, sizeof(FeatureScale));
	if (core->status != CORE_OK ||
		column_statistics(core, task->raw->rows, task->raw->columns, task->raw->values, statistics) != CORE_OK ||
		plan_columns(task, statistics) != CORE_OK)
		return core->status;
	task->result->values = arena_floats(arena, (size_t) task->raw->rows * (size_t) task->result->columns);
	if (task->result->values == NULL)
		return core->status;
	return core_parallel(core, task->cut.shards, write_shard, task);
}

/* See features.h. */
CoreStatus
features_finish(Core *core, Arena *arena, const Features *raw, const FeatureKind *kinds, Features *result)
{
	FeatureTask task = {.core = core, .raw = raw, .kinds = kinds, .result = result};
	Arena		scratch;

	if (raw->rows < 1 || raw->columns < 1)
		return core_fail(core, CORE_INVALID, "features have %d rows and %d columns", raw->rows, raw->columns);
	result->rows = raw->rows;
	task.cut = row_shards(raw->rows, raw->columns);

	arena_open(&scratch, core);
	core_start_workers(core);
	standardise(&task, &scratch, arena);
	core_stop_workers(core);
	arena_close(&scratch);
	return core->status;
}
