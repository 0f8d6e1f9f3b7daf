/*
 * writer.c
 *		Run statements that change something, as the calling user.
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "executor/spi.h"

#include "pg/writer.h"

/* Run one statement between SPI_connect() and SPI_finish(). */
static void
run_statement(const char *statement, int n, Oid *types, Datum *values, const char *nulls)
{
	int			result = SPI_execute_with_args(statement, n, types, values, nulls, false, 0);

	if (result < 0)
		elog(ERROR, "could not run a statement: %s", SPI_result_code_string(result));
}

/* Run one statement; returns the number of rows. */
uint64
write_rows(const char *statement, int n_arguments, Oid *types, Datum *values, const char *nulls)
{
	uint64		rows;

	SPI_connect();
	run_statement(statement, n_arguments, types, values, nulls);
	rows = SPI_processed;
	SPI_finish();
	return rows;
}

/* Run a statement that returns one bigint. */
int64
write_row_returning(const char *statement, int n_arguments, Oid *types, Datum *values, const char *nulls)
{
	bool		null = true;
	Datum		value = (Datum) 0;

	SPI_connect();
	run_statement(statement, n_arguments, types, values, nulls);
	if (SPI_processed == 1)
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	if (null)
		elog(ERROR, "a statement returned no row");
	SPI_finish();
	return DatumGetInt64(value);
}

/* Hand the rows of a statement to a function. */
void
write_rows_returning(const char *statement, int n_arguments, Oid *types, Datum *values, const char *nulls,
					 RowFunction function, void *argument)
{
	TupleDesc	description;
	Datum	   *row;
	bool	   *row_nulls;

	SPI_connect();
	run_statement(statement, n_arguments, types, values, nulls);
	description = SPI_tuptable->tupdesc;
	row = palloc(description->natts * sizeof(Datum));
	row_nulls = palloc(description->natts * sizeof(bool));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		heap_deform_tuple(SPI_tuptable->vals[i], description, row, row_nulls);
		function(argument, row, row_nulls);
	}
	SPI_finish();
}

/* A statement without parameters. */
void
write_command(const char *statement)
{
	write_rows(statement, 0, NULL, NULL, NULL);
}
