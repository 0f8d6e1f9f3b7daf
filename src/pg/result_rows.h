/*
 * result_rows.h
 *		Hand back the rows of a set-returning function, all at once.
 */
#ifndef BEHAVPRED_RESULT_ROWS_H
#define BEHAVPRED_RESULT_ROWS_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/tuplestore.h"

typedef struct ResultRows
{
	Tuplestorestate *store;
	TupleDesc	description;
} ResultRows;

/* Make the caller's result an empty tuplestore; the function then returns (Datum) 0. */
extern ResultRows result_rows_open(FunctionCallInfo fcinfo);

/* Append a row: one value for each column; nulls may be NULL. */
extern void result_rows_add(ResultRows *rows, Datum *values, bool *nulls);

/* The result of a function with OUT arguments: one row. */
extern Datum result_record(FunctionCallInfo fcinfo, Datum *values, bool *nulls);

#endif
