/*
 * job_targets.c
 *		run_targets(): train_targets() by batches, each in a transaction of its own.
 *
 * Those whose last training is longest ago come first, so that a call that was cut short by
 * max_seconds, an error or a crash is gone on with by the next one.
 */
#include "postgres.h"

#include <float.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "pg/bridge.h"
#include "pg/job_record.h"
#include "pg/job_session.h"
#include "pg/privileges.h"
#include "pg/reader.h"
#include "pg/settings.h"
#include "pg/target_definition.h"
#include "pg/wording.h"
#include "pg/writer.h"

PG_FUNCTION_INFO_V1(behavpred_run_targets);

/* The arguments, those of train_targets() first. */
enum
{
	ARG_GRAPH, ARG_TARGETS, ARG_MODEL, ARG_HIDDEN, ARG_SOFT_WEIGHT, ARG_SEED_WEIGHTS, ARG_NEGATIVE_RATIO,
	ARG_CALIBRATION, ARG_SEED, ARG_THREADS, ARG_OPTIONS, ARG_MAX_SECONDS
};

#define TRAINING_ARGUMENTS (ARG_OPTIONS + 1)
#define TARGETS_PER_BATCH 16	/* share one reading of embeddings and interactions */

/* All targets of the job. */
typedef struct TargetList
{
	MemoryContext context;
	int			n;
	int			room;
	char	  **names;
} TargetList;

/* What a batch came to. */
typedef struct BatchResult
{
	MemoryContext context;
	int			n_failed;
	char	   *names[TARGETS_PER_BATCH];
	char	   *errors[TARGETS_PER_BATCH];
	char	   *codes[TARGETS_PER_BATCH];
} BatchResult;

typedef struct TargetsJob
{
	FunctionCallInfo fcinfo;
	TimestampTz started_at;
	double		max_seconds;
	TargetList	list;
	int			done;
	int			failed;
	char	   *first_error;	/* of a target, for the message at the end */
} TargetsJob;

/* Row function of list_targets(). */
static void
keep_name(void *argument, Datum *values, bool *nulls)
{
	TargetList *list = argument;
	MemoryContext row = MemoryContextSwitchTo(list->context);

	if (list->n == list->room)
	{
		list->room = Max(64, 2 * list->room);
		list->names = list->names == NULL ? palloc(list->room * sizeof(char *)) :
			repalloc(list->names, list->room * sizeof(char *));
	}
	list->names[list->n++] = TextDatumGetCString(values[0]);
	MemoryContextSwitchTo(row);
}

/*
 * The targets named, else all of the graph, else all of the caller's.  A name that is no
 * target stays in the list: train_targets() says what is wrong with it.
 */
static const char targets_query[] =
"SELECT n.target FROM (SELECT pg_catalog.unnest($2) AS target WHERE $2 IS NOT NULL "
"UNION SELECT t.target FROM behavpred.registered_target t WHERE $2 IS NULL "
"AND CASE WHEN $1 IS NULL THEN t.owner OPERATOR(pg_catalog.=) current_user "
"ELSE t.graph OPERATOR(pg_catalog.=) $1 END) n "
"LEFT JOIN LATERAL (SELECT pg_catalog.max(r.started_at) AS last FROM behavpred.training_run r "
"WHERE r.target OPERATOR(pg_catalog.=) n.target) l ON true "
"WHERE n.target IS NOT NULL ORDER BY l.last NULLS FIRST, n.target";

/* What there is to do. */
static void
list_targets(TargetsJob *job)
{
	FunctionCallInfo fcinfo = job->fcinfo;
	Oid			types[] = {TEXTOID, TEXTARRAYOID};
	Datum		values[] = {PG_GETARG_DATUM(ARG_GRAPH), PG_GETARG_DATUM(ARG_TARGETS)};
	char		nulls[] = {PG_ARGISNULL(ARG_GRAPH) ? 'n' : ' ', PG_ARGISNULL(ARG_TARGETS) ? 'n' : ' '};

	if (!PG_ARGISNULL(ARG_GRAPH))
		graph_definition_read(text_to_cstring(PG_GETARG_TEXT_PP(ARG_GRAPH)));
	job->list.context = CurrentMemoryContext;
	read_rows(targets_query, lengthof(types), types, values, nulls, keep_name, &job->list);
	if (job->list.n == 0)
		ereport(NOTICE,
				(errmsg("there are no targets to train"),
				 errhint("SELECT behavpred.create_target('buys_42', 'shop', object => '42');")));
}

/* Row function of train_batch(): one target, of which those that failed are kept. */
static void
keep_failure(void *argument, Datum *values, bool *nulls)
{
	BatchResult *result = argument;
	MemoryContext row = MemoryContextSwitchTo(result->context);

	if (!nulls[1] && result->n_failed < TARGETS_PER_BATCH)
	{
		result->names[result->n_failed] = TextDatumGetCString(values[0]);
		result->errors[result->n_failed] = TextDatumGetCString(values[1]);
		result->codes[result->n_failed] = TextDatumGetCString(values[2]);
		result->n_failed++;
	}
	MemoryContextSwitchTo(row);
}

/* Train `n` targets from the list's number `first` on. */
static void
train_batch(TargetsJob *job, int first, int n, BatchResult *result)
{
	FunctionCallInfo fcinfo = job->fcinfo;
	Oid			types[TRAINING_ARGUMENTS] = {
		TEXTOID, TEXTARRAYOID, TEXTOID, INT4ARRAYOID, FLOAT8OID, TEXTOID, FLOAT8OID, TEXTOID, INT8OID,
		INT4OID, JSONBOID
	};
	Datum		values[TRAINING_ARGUMENTS];
	char		nulls[TRAINING_ARGUMENTS];

	for (int i = 0; i < TRAINING_ARGUMENTS; i++)
	{
		values[i] = PG_GETARG_DATUM(i);
		nulls[i] = PG_ARGISNULL(i) ? 'n' : ' ';
	}
	values[ARG_TARGETS] = text_array(n, job->list.names + first);
	nulls[ARG_TARGETS] = ' ';
	write_rows_returning("SELECT target, error, sqlstate FROM behavpred.train_targets("
						 "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
						 TRAINING_ARGUMENTS, types, values, nulls, keep_failure, result);
}

/* A row for each target that failed, so that the view runs tells of it. */
static void
record_failures(TargetsJob *job, TimestampTz started_at, const BatchResult *result)
{
	FunctionCallInfo fcinfo = job->fcinfo;

	for (int i = 0; i < result->n_failed; i++)
	{
		JobFailure	failure = {
			.target = result->names[i],
			.started_at = started_at,
			.seed = PG_ARGISNULL(ARG_SEED) ? setting_seed : PG_GETARG_INT64(ARG_SEED),
			.threads = Max(1, threads_argument(fcinfo, ARG_THREADS)),
			.message = result->errors[i],
			.code = result->codes[i]
		};

		job_record_target_failed(&failure);
		if (job->failed++ == 0)
			job->first_error = MemoryContextStrdup(job->list.context, result->errors[i]);
	}
}

/* The next targets, committed. */
static void
run_batch(TargetsJob *job)
{
	int			n = Min(TARGETS_PER_BATCH, job->list.n - job->done);
	TimestampTz started_at = GetCurrentTimestamp();
	MemoryContext caller = CurrentMemoryContext;
	BatchResult result = {0};

	result.context = AllocSetContextCreate(caller, "behavpred batch", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(result.context);
	train_batch(job, job->done, n, &result);
	record_failures(job, started_at, &result);
	MemoryContextSwitchTo(caller);
	job_commit();
	MemoryContextDelete(result.context);
	job->done += n;
}

/* True when the call has used up its time. */
static bool
time_is_up(const TargetsJob *job)
{
	return (GetCurrentTimestamp() - job->started_at) / (double) USECS_PER_SEC >= job->max_seconds;
}

/* What the log of a nightly job must not hide. */
static void
tell_result(const TargetsJob *job)
{
	if (job->failed > 0)
		ereport(job->failed == job->done ? ERROR : WARNING,
				(errcode(job->failed == job->done ? ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE : ERRCODE_WARNING),
				 errmsg("%d of %s could not be trained", job->failed, format_counted(job->done, "target")),
				 errdetail("The first: %s.", job->first_error),
				 errhint("SELECT target, error_text FROM behavpred.runs WHERE status = 'failed' ORDER BY run_id DESC;")));
	if (job->done < job->list.n)
		ereport(NOTICE,
				(errmsg("training targets paused after max_seconds => %g", job->max_seconds),
				 errdetail("%d of %s are done.", job->done, format_counted(job->list.n, "target")),
				 errhint("Run the same statement again: it begins with those trained longest ago: %s",
						 job_statement())));
}

/* run_targets(graph, targets, ..., max_seconds) */
Datum
behavpred_run_targets(PG_FUNCTION_ARGS)
{
	TargetsJob	job = {.fcinfo = fcinfo, .started_at = GetCurrentTimestamp()};

	job_require_own_transactions(fcinfo, "run_targets", "SELECT * FROM behavpred.train_targets(...)");
	require_writable("run_targets()");
	job.max_seconds = job_seconds_argument(fcinfo, ARG_MAX_SECONDS, "max_seconds", DBL_MAX);
	job_begin();
	list_targets(&job);
	while (job.done < job.list.n && (job.done == 0 || !time_is_up(&job)))
		run_batch(&job);
	tell_result(&job);
	job_end();
	PG_RETURN_VOID();
}
