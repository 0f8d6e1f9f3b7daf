/*
 * job_record.c
 *		The rows of a training that runs as a job.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "pg/job_record.h"
#include "pg/reader.h"
#include "pg/writer.h"

/* See job_record.h. */
int64
job_record_start(const JobStart *start)
{
	Oid			types[] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, INT8OID, INT4OID, TEXTOID, TEXTOID};
	Datum		values[] = {
		CStringGetTextDatum(start->graph),
		start->target == NULL ? (Datum) 0 : CStringGetTextDatum(start->target),
		TimestampTzGetDatum(start->started_at),
		Int64GetDatum(start->seed),
		Int32GetDatum(start->threads),
		CStringGetTextDatum(start->options),
		CStringGetTextDatum(start->owner)
	};
	char		nulls[] = {' ', start->target == NULL ? 'n' : ' ', ' ', ' ', ' ', ' ', ' '};
	Oid			job_types[] = {INT8OID, TIMESTAMPTZOID, INT8OID};
	Datum		job_values[] = {(Datum) 0, TimestampTzGetDatum(start->started_at), Int64GetDatum(start->fingerprint)};
	int64		run_id;

	run_id = write_row_returning("INSERT INTO behavpred.training_run (graph, target, started_at, status, seed, "
								 "threads, options, owner) VALUES ($1, $2, $3, 'running', $4, $5, $6::pg_catalog.jsonb, "
								 "$7::pg_catalog.name) RETURNING run_id", lengthof(types), types, values, nulls);
	job_values[0] = Int64GetDatum(run_id);
	write_rows("INSERT INTO behavpred.training_job (run_id, owner, attempt_started_at, fingerprint) "
			   "SELECT run_id, owner, $2, $3 FROM behavpred.training_run WHERE run_id OPERATOR(pg_catalog.=) $1",
			   lengthof(job_types), job_types, job_values, NULL);
	return run_id;
}

/* See job_record.h. */
void
job_record_resume(int64 run_id, const JobStart *start)
{
	Oid			types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(run_id), Int32GetDatum(start->threads)};
	Oid			job_types[] = {INT8OID, TIMESTAMPTZOID};
	Datum		job_values[] = {Int64GetDatum(run_id), TimestampTzGetDatum(start->started_at)};

	write_rows("UPDATE behavpred.training_run SET status = 'running', pid = pg_catalog.pg_backend_pid(), "
			   "threads = $2, finished_at = NULL WHERE run_id OPERATOR(pg_catalog.=) $1",
			   lengthof(types), types, values, NULL);
	write_rows("UPDATE behavpred.training_job SET role = session_user, attempt_started_at = $2, "
			   "attempts = attempts OPERATOR(pg_catalog.+) 1, error_text = NULL, error_code = NULL "
			   "WHERE run_id OPERATOR(pg_catalog.=) $1", lengthof(job_types), job_types, job_values, NULL);
}

/* See job_record.h. */
void
job_record_close_others(const char *graph, int64 keep)
{
	Oid			types[] = {TEXTOID, INT8OID};
	Datum		values[] = {CStringGetTextDatum(graph), Int64GetDatum(keep)};

	write_rows("UPDATE behavpred.training_job j SET error_text = CASE r.status "
			   "WHEN 'running' THEN 'its process ended before it did' "
			   "ELSE 'a later call did not go on with it' END "
			   "FROM behavpred.training_run r WHERE r.run_id OPERATOR(pg_catalog.=) j.run_id "
			   "AND r.graph OPERATOR(pg_catalog.=) $1 AND r.target IS NULL "
			   "AND r.status OPERATOR(pg_catalog.=) ANY ('{running,paused}') "
			   "AND r.run_id OPERATOR(pg_catalog.<>) $2", lengthof(types), types, values, NULL);
	write_rows("UPDATE behavpred.training_run SET status = 'failed', "
			   "finished_at = coalesce(finished_at, pg_catalog.clock_timestamp()) "
			   "WHERE graph OPERATOR(pg_catalog.=) $1 AND target IS NULL "
			   "AND status OPERATOR(pg_catalog.=) ANY ('{running,paused}') "
			   "AND run_id OPERATOR(pg_catalog.<>) $2", lengthof(types), types, values, NULL);
	write_rows("DELETE FROM behavpred.training_checkpoint c USING behavpred.training_run r "
			   "WHERE r.run_id OPERATOR(pg_catalog.=) c.run_id AND r.graph OPERATOR(pg_catalog.=) $1 "
			   "AND r.target IS NULL AND r.run_id OPERATOR(pg_catalog.<>) $2", lengthof(types), types, values, NULL);
}

/* Row function of job_record_checkpoint(). */
static void
keep_checkpoint(void *argument, Datum *values, bool *nulls)
{
	JobCheckpoint *checkpoint = argument;

	checkpoint->run_id = DatumGetInt64(values[0]);
	checkpoint->fingerprint = DatumGetInt64(values[1]);
	checkpoint->bytes = DatumGetInt64(values[2]);
	checkpoint->seconds = DatumGetFloat8(values[3]);
}

/* See job_record.h. */
JobCheckpoint
job_record_checkpoint(const char *graph)
{
	JobCheckpoint checkpoint = {0};
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(graph);

	read_rows("SELECT r.run_id, j.fingerprint, c.bytes, j.seconds FROM behavpred.training_checkpoint c "
			  "JOIN behavpred.training_run r ON r.run_id OPERATOR(pg_catalog.=) c.run_id "
			  "JOIN behavpred.training_job j ON j.run_id OPERATOR(pg_catalog.=) c.run_id "
			  "WHERE r.graph OPERATOR(pg_catalog.=) $1 AND r.target IS NULL ORDER BY r.run_id DESC LIMIT 1",
			  1, &type, &value, NULL, keep_checkpoint, &checkpoint);
	return checkpoint;
}

/* What is known of a run at any time. */
static void
record_cost(int64 run_id, double seconds, uint64 peak_bytes)
{
	Oid			types[] = {INT8OID, FLOAT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(run_id), Float8GetDatum(seconds), Int64GetDatum((int64) peak_bytes)};

	write_rows("UPDATE behavpred.training_job SET seconds = $2, "
			   "peak_bytes = greatest(peak_bytes, $3) WHERE run_id OPERATOR(pg_catalog.=) $1",
			   lengthof(types), types, values, NULL);
}

/* A statement about one run. */
static void
change_run(const char *statement, int64 run_id)
{
	Oid			type = INT8OID;
	Datum		value = Int64GetDatum(run_id);

	write_rows(statement, 1, &type, &value, NULL);
}

/* See job_record.h. */
void
job_record_progress(int64 run_id, double seconds, uint64 peak_bytes, bool paused)
{
	record_cost(run_id, seconds, peak_bytes);
	if (paused)
		change_run("UPDATE behavpred.training_run SET status = 'paused', "
				   "finished_at = pg_catalog.clock_timestamp() WHERE run_id OPERATOR(pg_catalog.=) $1", run_id);
}

/* Forget where a run stood. */
static void
drop_checkpoint(int64 run_id)
{
	change_run("DELETE FROM behavpred.training_checkpoint WHERE run_id OPERATOR(pg_catalog.=) $1", run_id);
}

/* See job_record.h. */
void
job_record_done(int64 run_id, double seconds, uint64 peak_bytes, const char *options, const char *result)
{
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID};
	Datum		values[] = {Int64GetDatum(run_id), CStringGetTextDatum(result), CStringGetTextDatum(options)};

	record_cost(run_id, seconds, peak_bytes);
	write_rows("UPDATE behavpred.training_run SET status = 'done', finished_at = pg_catalog.clock_timestamp(), "
			   "result = $2::pg_catalog.jsonb, options = $3::pg_catalog.jsonb WHERE run_id OPERATOR(pg_catalog.=) $1",
			   lengthof(types), types, values, NULL);
	drop_checkpoint(run_id);
}

/* True when going on from the checkpoint would fail in the same way. */
static bool
fails_again(const ErrorData *error)
{
	return error->sqlerrcode == ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE || error->sqlerrcode == ERRCODE_DATA_CORRUPTED;
}

/* See job_record.h. */
void
job_record_failed(int64 run_id, double seconds, uint64 peak_bytes, const ErrorData *error)
{
	Oid			types[] = {INT8OID, TEXTOID, TEXTOID};
	Datum		values[] = {
		Int64GetDatum(run_id),
		CStringGetTextDatum(error->message == NULL ? "" : error->message),
		CStringGetTextDatum(unpack_sql_state(error->sqlerrcode))
	};

	if (write_rows("UPDATE behavpred.training_run SET status = 'failed', finished_at = pg_catalog.clock_timestamp() "
				   "WHERE run_id OPERATOR(pg_catalog.=) $1 AND status OPERATOR(pg_catalog.=) 'running' "
				   "AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()", 1, types, values, NULL) == 0)
		return;
	record_cost(run_id, seconds, peak_bytes);
	write_rows("UPDATE behavpred.training_job SET error_text = $2, error_code = $3 "
			   "WHERE run_id OPERATOR(pg_catalog.=) $1", lengthof(types), types, values, NULL);
	if (fails_again(error))
		drop_checkpoint(run_id);
}

/* See job_record.h. */
void
job_record_target_failed(const JobFailure *failure)
{
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID, INT8OID, INT4OID, TEXTOID, TEXTOID};
	Datum		values[] = {
		CStringGetTextDatum(failure->target),
		TimestampTzGetDatum(failure->started_at),
		Int64GetDatum(failure->seed),
		Int32GetDatum(failure->threads),
		CStringGetTextDatum(failure->message),
		CStringGetTextDatum(failure->code)
	};

	write_rows("WITH run AS (INSERT INTO behavpred.training_run (graph, target, owner, started_at, finished_at, "
			   "status, seed, threads, options) SELECT graph, target, owner, $2, pg_catalog.clock_timestamp(), "
			   "'failed', $3, $4, '{}' FROM behavpred.registered_target WHERE target OPERATOR(pg_catalog.=) $1 "
			   "RETURNING run_id, owner, started_at, finished_at) "
			   "INSERT INTO behavpred.training_job (run_id, owner, attempt_started_at, seconds, fingerprint, "
			   "error_text, error_code) SELECT run_id, owner, started_at, "
			   "EXTRACT(epoch FROM finished_at OPERATOR(pg_catalog.-) started_at), 0, $5, $6 FROM run",
			   lengthof(types), types, values, NULL);
}
