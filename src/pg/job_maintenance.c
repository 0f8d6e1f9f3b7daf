/*
 * job_maintenance.c
 *		run_maintenance(): throw away what nobody will ask for again.
 *
 * Everything is done by plain SQL as the caller, whose row security leaves him his own rows.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"

#include "pg/job_session.h"
#include "pg/privileges.h"
#include "pg/wording.h"
#include "pg/writer.h"

PG_FUNCTION_INFO_V1(behavpred_run_maintenance);

enum
{
	ARG_KEEP_VERSIONS, ARG_KEEP_RUNS
};

/* The latest versions stay, the deployed one, and the one that rollback() would go back to. */
static const char trim_versions[] =
"DELETE FROM behavpred.trained_model m USING behavpred.registered_target t, "
"(SELECT target, version, pg_catalog.row_number() OVER (PARTITION BY target ORDER BY version DESC) AS place "
"FROM behavpred.trained_model) p "
"WHERE t.target OPERATOR(pg_catalog.=) m.target AND p.target OPERATOR(pg_catalog.=) m.target "
"AND p.version OPERATOR(pg_catalog.=) m.version AND p.place OPERATOR(pg_catalog.>) $1 "
"AND (t.deployed_version IS NULL OR m.version OPERATOR(pg_catalog.<>) t.deployed_version) AND NOT EXISTS ("
"SELECT FROM behavpred.model_deployment a JOIN behavpred.model_deployment b "
"ON b.deployment_id OPERATOR(pg_catalog.=) a.returns_to "
"WHERE a.deployment_id OPERATOR(pg_catalog.=) (SELECT pg_catalog.max(deployment_id) FROM behavpred.model_deployment d "
"WHERE d.target OPERATOR(pg_catalog.=) m.target) AND b.version OPERATOR(pg_catalog.=) m.version)";

/* A later training has taken the place of what these would go on to. */
static const char trim_checkpoints[] =
"DELETE FROM behavpred.training_checkpoint c USING behavpred.training_run r, behavpred.registered_graph g "
"WHERE r.run_id OPERATOR(pg_catalog.=) c.run_id AND g.graph OPERATOR(pg_catalog.=) r.graph "
"AND g.trained_run OPERATOR(pg_catalog.>) r.run_id";

/* Runs that crashed and left no checkpoint are over. */
static const char end_crashed[] =
"UPDATE behavpred.training_run r SET status = 'failed', finished_at = pg_catalog.clock_timestamp() "
"FROM behavpred.training_job j WHERE j.run_id OPERATOR(pg_catalog.=) r.run_id "
"AND r.status OPERATOR(pg_catalog.=) 'running' AND NOT behavpred_internal.run_is_alive(r.pid, j.attempt_started_at) "
"AND NOT EXISTS (SELECT FROM behavpred.training_checkpoint c WHERE c.run_id OPERATOR(pg_catalog.=) r.run_id)";

/* The latest runs of each graph and target stay, and those that something still refers to. */
static const char trim_runs[] =
"DELETE FROM behavpred.training_run r USING "
"(SELECT run_id, pg_catalog.row_number() OVER (PARTITION BY graph, target ORDER BY run_id DESC) AS place "
"FROM behavpred.training_run) p "
"WHERE p.run_id OPERATOR(pg_catalog.=) r.run_id AND p.place OPERATOR(pg_catalog.>) $1 "
"AND r.status OPERATOR(pg_catalog.=) ANY ('{done,failed}') "
"AND NOT EXISTS (SELECT FROM behavpred.registered_graph g WHERE g.trained_run OPERATOR(pg_catalog.=) r.run_id) "
"AND NOT EXISTS (SELECT FROM behavpred.trained_model m "
"WHERE m.run_id OPERATOR(pg_catalog.=) r.run_id OR m.graph_run OPERATOR(pg_catalog.=) r.run_id) "
"AND NOT EXISTS (SELECT FROM behavpred.training_checkpoint c WHERE c.run_id OPERATOR(pg_catalog.=) r.run_id)";

/* How many to keep. */
static int
count_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	int			count = PG_ARGISNULL(argument) ? 0 : PG_GETARG_INT32(argument);

	if (count < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 PG_ARGISNULL(argument) ? errmsg("%s must not be NULL", name) : errmsg("%s is %d", name, count),
				 errdetail("It is how many of the latest are kept, from 1 on."),
				 errhint("CALL behavpred.run_maintenance(keep_versions => 5, keep_runs => 100);")));
	return count;
}

/* One statement with a number, committed; returns the rows. */
static int64
trim(const char *statement, int keep)
{
	Oid			type = INT4OID;
	Datum		value = Int32GetDatum(keep);
	int64		rows = (int64) write_rows(statement, keep > 0 ? 1 : 0, &type, &value, NULL);

	job_commit();
	return rows;
}

/* run_maintenance(keep_versions, keep_runs) */
Datum
behavpred_run_maintenance(PG_FUNCTION_ARGS)
{
	int			keep_versions = count_argument(fcinfo, ARG_KEEP_VERSIONS, "keep_versions");
	int			keep_runs = count_argument(fcinfo, ARG_KEEP_RUNS, "keep_runs");
	int64		versions;
	int64		checkpoints;
	int64		runs;

	job_require_own_transactions(fcinfo, "run_maintenance", NULL);
	require_writable("run_maintenance()");
	job_begin();
	versions = trim(trim_versions, keep_versions);
	checkpoints = trim(trim_checkpoints, 0);
	trim(end_crashed, 0);
	runs = trim(trim_runs, keep_runs);
	ereport(NOTICE,
			(errmsg("removed %s, %s and %s", format_counted(versions, "version"), format_counted(runs, "run"),
					format_counted(checkpoints, "checkpoint"))));
	job_end();
	PG_RETURN_VOID();
}
