/*
 * writer.h
 *		Run statements that change something, as the calling user.
 */
#ifndef BEHAVPRED_WRITER_H
#define BEHAVPRED_WRITER_H

#include "postgres.h"

#include "pg/reader.h"

/*
 * Run one statement with n_arguments parameters; nulls may be NULL, else one character
 * for each, 'n' = NULL.  Returns the number of rows.  Connects to SPI by itself.
 */
extern uint64 write_rows(const char *statement, int n_arguments, Oid *types, Datum *values, const char *nulls);

/* The same for a statement with RETURNING of one bigint. */
extern int64 write_row_returning(const char *statement, int n_arguments, Oid *types, Datum *values,
								 const char *nulls);

/* The same for a statement that returns rows: each is handed to a function. */
extern void write_rows_returning(const char *statement, int n_arguments, Oid *types, Datum *values,
								 const char *nulls, RowFunction function, void *argument);

/* A statement without parameters, such as CREATE TABLE. */
extern void write_command(const char *statement);

#endif
