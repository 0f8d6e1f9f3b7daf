/*
 * reader.h
 *		Read the rows of a query one by one, without keeping them.
 *
 * SPI runs the query as the calling user, read-only, parallel plans allowed, and hands
 * each row to a function through a DestReceiver; nothing is materialised.  The row
 * function runs in a context that is reset after each row.
 */
#ifndef BEHAVPRED_READER_H
#define BEHAVPRED_READER_H

#include "postgres.h"

#include "executor/tuptable.h"

/* Called for each row; values[] and nulls[] have one entry for each column. */
typedef void (*RowFunction) (void *argument, Datum *values, bool *nulls);

/*
 * Run `query` with n_arguments parameters (types and values, none NULL unless
 * nulls[i] == 'n'; nulls may be NULL).  Connects to SPI by itself.  Returns the number of rows.
 */
extern uint64 read_rows(const char *query, int n_arguments, Oid *types, Datum *values, const char *nulls,
						RowFunction function, void *argument);

#endif
