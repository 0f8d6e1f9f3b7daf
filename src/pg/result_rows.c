/*
 * result_rows.c
 *		Hand back the rows of a set-returning function, all at once.
 */
#include "postgres.h"

#include "funcapi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "pg/result_rows.h"

/* The row type that the caller expects. */
static TupleDesc
result_description(FunctionCallInfo fcinfo)
{
	TupleDesc	description;

	if (get_call_result_type(fcinfo, NULL, &description) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "the function must return a row type");
	return description;
}

/* Make the caller's result an empty tuplestore, which has to outlive the call. */
ResultRows
result_rows_open(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *info = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext caller;
	ResultRows	rows;

	if (info == NULL || !IsA(info, ReturnSetInfo) || !(info->allowedModes & SFRM_Materialize))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("set-returning function called where no set is accepted"),
				 errhint("Call it in FROM: SELECT * FROM behavpred....")));
	caller = MemoryContextSwitchTo(info->econtext->ecxt_per_query_memory);
	rows.description = CreateTupleDescCopy(result_description(fcinfo));
	rows.store = tuplestore_begin_heap((info->allowedModes & SFRM_Materialize_Random) != 0, false, work_mem);
	info->returnMode = SFRM_Materialize;
	info->setResult = rows.store;
	info->setDesc = rows.description;
	MemoryContextSwitchTo(caller);
	return rows;
}

/* Append a row. */
void
result_rows_add(ResultRows *rows, Datum *values, bool *nulls)
{
	bool	   *none = NULL;

	if (nulls == NULL)
		nulls = none = palloc0(rows->description->natts * sizeof(bool));
	tuplestore_putvalues(rows->store, rows->description, values, nulls);
	if (none != NULL)
		pfree(none);
}

/* One row. */
Datum
result_record(FunctionCallInfo fcinfo, Datum *values, bool *nulls)
{
	TupleDesc	description = BlessTupleDesc(result_description(fcinfo));

	return HeapTupleGetDatum(heap_form_tuple(description, values, nulls));
}
