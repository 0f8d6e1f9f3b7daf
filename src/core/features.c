/*
 * features.c
 *		Standardising of node features: statistics of the columns, then one pass that
 *		writes the result, in shards of rows.
 */
#include "core/features.h"

#include "core/statistics.h"

#include <math.h>

/* How a column is written: (value - shift) * factor, `filling` when it is missing. */
typedef struct ColumnPlan
{
	double		shift;
	double		factor;
	float		filling;
	int			flag;			/* column of the missing flag, -1 = none */
} ColumnPlan;

typedef struct FeatureTask
{
	Core	   *core;
	RowShards	cut;
	const Features *raw;
	const FeatureKind *kinds;
	Features   *result;
	ColumnPlan *plans;			/* one for each raw column */
} FeatureTask;

/* What is done to one column. */
static ColumnPlan
plan_column(const ColumnStatistics *statistics, FeatureKind kind, int flag)
{
	ColumnPlan	plan = {0.0, 1.0, (float) statistics->mean, flag};

	if (statistics->minimum == statistics->maximum)
		plan = (ColumnPlan) {statistics->minimum, 0.0, 0.0f, flag};
	else if (kind == FEATURE_NUMBER)
		plan = (ColumnPlan) {statistics->mean, 1.0 / statistics->deviation, 0.0f, flag};
	return plan;
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
		task->plans[column] = plan_column(of_column, task->kinds[column], flag);
	}
	return CORE_OK;
}

/* Shard function: write some rows of the result. */
static void
write_rows(void *argument, int64_t shard, int worker)
{
	const FeatureTask *task = argument;
	int64_t		begin;
	int64_t		end;

	(void) worker;
	row_shard(&task->cut, shard, &begin, &end);
	for (int64_t row = begin; row < end; row++)
	{
		const float *values = task->raw->values + row * task->raw->columns;
		float	   *written = task->result->values + row * task->result->columns;

		for (int column = 0; column < task->raw->columns; column++)
		{
			const ColumnPlan *plan = &task->plans[column];
			bool		missing = isnan(values[column]);

			written[column] = missing ? plan->filling :
				(float) ((values[column] - plan->shift) * plan->factor);
			if (plan->flag >= 0)
				written[plan->flag] = missing ? 1.0f : 0.0f;
		}
	}
}

/* Statistics, plan, result; the caller owns the workers and the scratch arena. */
static CoreStatus
standardise(FeatureTask *task, Arena *scratch, Arena *arena)
{
	Core	   *core = task->core;
	size_t		columns = (size_t) task->raw->columns;
	ColumnStatistics *statistics = arena_allocate(scratch, columns, sizeof(ColumnStatistics));

	task->plans = arena_allocate(scratch, columns, sizeof(ColumnPlan));
	if (core->status != CORE_OK ||
		column_statistics(core, task->raw->rows, task->raw->columns, task->raw->values, statistics) != CORE_OK ||
		plan_columns(task, statistics) != CORE_OK)
		return core->status;
	task->result->values = arena_floats(arena, (size_t) task->raw->rows * (size_t) task->result->columns);
	if (task->result->values == NULL)
		return core->status;
	return core_parallel(core, task->cut.shards, write_rows, task);
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
