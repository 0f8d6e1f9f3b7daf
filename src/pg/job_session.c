/*
 * job_session.c
 *		What a procedure needs that commits between its steps.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "nodes/parsenodes.h"
#include "tcop/pquery.h"
#include "tcop/tcopprot.h"
#include "utils/portal.h"
#include "utils/snapmgr.h"

#include "pg/job_session.h"

#define LONGEST_STATEMENT 500	/* bytes that a hint repeats */

/* See job_session.h. */
void
job_require_own_transactions(FunctionCallInfo fcinfo, const char *procedure, const char *instead)
{
	if (fcinfo->context == NULL || !IsA(fcinfo->context, CallContext) ||
		castNode(CallContext, fcinfo->context)->atomic)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TRANSACTION_TERMINATION),
				 errmsg("%s() cannot run inside a transaction block or a function", procedure),
				 errdetail("It commits between its steps."),
				 errhint("CALL it by itself%s%s.", instead == NULL ? "" : ", or use here: ",
						 instead == NULL ? "" : instead)));
}

/* See job_session.h. */
void
job_begin(void)
{
	if (SPI_connect_ext(SPI_OPT_NONATOMIC) != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
}

/* See job_session.h. */
void
job_end(void)
{
	SPI_finish();
}

/* See job_session.h. */
void
job_commit(void)
{
	SPI_commit();
	SPI_start_transaction();
}

/* See job_session.h. */
void
job_rollback(void)
{
	SPI_rollback();
	SPI_start_transaction();
}

/* Snapshots that the failed statements left active, but for the one of the CALL itself. */
static void
pop_snapshots(void)
{
	while (ActiveSnapshotSet() &&
		   (ActivePortal == NULL || GetActiveSnapshot() != ActivePortal->portalSnapshot))
		PopActiveSnapshot();
}

/* See job_session.h. */
ErrorData *
job_recover(MemoryContext context)
{
	ErrorData  *error;

	MemoryContextSwitchTo(context);
	error = CopyErrorData();
	FlushErrorState();
	while (!SPI_inside_nonatomic_context())
		SPI_finish();
	pop_snapshots();
	job_rollback();
	MemoryContextSwitchTo(context);
	return error;
}

/* See job_session.h. */
const char *
job_statement(void)
{
	if (debug_query_string == NULL || strlen(debug_query_string) > LONGEST_STATEMENT)
		return "CALL ...";
	return debug_query_string;
}

/* See job_session.h. */
double
job_seconds_argument(FunctionCallInfo fcinfo, int argument, const char *name, double otherwise)
{
	double		seconds = PG_ARGISNULL(argument) ? otherwise : PG_GETARG_FLOAT8(argument);

	if (!(seconds >= 0))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is %g", name, seconds),
				 errdetail("It is a number of seconds, from 0 on."),
				 errhint("Leave it out for the default.")));
	return seconds;
}
