/*
 * embedding_sending.c
 *		Embeddings into a table whose rows lie on other servers.
 *
 * Its planner takes apart each INSERT for the servers and knows no tuplestore of this
 * session, so a batch goes in as arrays in the parameters of one statement.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "pg/embedding_sending.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"
#include "pg/progress.h"

/* The parameters of the INSERT: arrays of keys and degrees, the vectors one after the other,
 * and where each of them starts and ends. */
enum
{
	BATCH_KEYS, BATCH_DEGREES, BATCH_VECTORS, BATCH_STARTS, BATCH_ENDS, BATCH_PARAMETERS
};

/* An array of integers. */
static Datum
integer_array(const int32 *values, int n)
{
	Datum	   *elements = palloc(n * sizeof(Datum));

	for (int i = 0; i < n; i++)
		elements[i] = Int32GetDatum(values[i]);
	return PointerGetDatum(construct_array(elements, n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/* Keys first .. first + n - 1. */
static Datum
key_array(const EmbeddingRows *rows, int32 first, int n)
{
	Datum	   *elements = palloc(n * sizeof(Datum));
	int16		length;
	bool		by_value;
	char		align;

	for (int i = 0; i < n; i++)
	{
		Key			key = dictionary_key(rows->keys, first + i);

		elements[i] = key_to_datum(rows->key_type, &key);
	}
	get_typlenbyvalalign(rows->key_type, &length, &by_value, &align);
	return PointerGetDatum(construct_array(elements, n, rows->key_type, length, by_value, align));
}

/* Rows first .. first + n - 1 as parameters. */
static void
fill_batch(const EmbeddingRows *rows, int32 first, int n, Datum *values)
{
	int32	   *starts = palloc(n * sizeof(int32));
	int32	   *ends = palloc(n * sizeof(int32));

	for (int i = 0; i < n; i++)
	{
		starts[i] = i * rows->width + 1;
		ends[i] = (i + 1) * rows->width;
	}
	values[BATCH_KEYS] = key_array(rows, first, n);
	values[BATCH_DEGREES] = integer_array(rows->degrees + first, n);
	values[BATCH_VECTORS] = PointerGetDatum(embedding_to_array(rows->vectors + (size_t) first * rows->width,
															   n * rows->width));
	values[BATCH_STARTS] = integer_array(starts, n);
	values[BATCH_ENDS] = integer_array(ends, n);
}

/* See embedding_sending.h.  Each batch's memory goes before the next. */
void
embedding_rows_send(const EmbeddingRows *rows)
{
	char	   *insert = psprintf("INSERT INTO %s (%s, embedding, degree) SELECT b.k, ($3)[b.s : b.e], b.d "
								  "FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
								  "pg_catalog.unnest($4), pg_catalog.unnest($5)) AS b (k, d, s, e)",
								  rows->table, quote_identifier(rows->key_column));
	Oid			types[] = {get_array_type(rows->key_type), INT4ARRAYOID, FLOAT4ARRAYOID, INT4ARRAYOID, INT4ARRAYOID};
	SPIPlanPtr	plan = SPI_prepare(insert, BATCH_PARAMETERS, types);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "behavpred batch",
												  ALLOCSET_DEFAULT_SIZES);

	if (plan == NULL)
		elog(ERROR, "could not prepare an INSERT: %s", SPI_result_code_string(SPI_result));
	for (int32 first = 0; first < rows->keys->count; first += EMBEDDING_BATCH_ROWS)
	{
		Datum		values[BATCH_PARAMETERS];
		MemoryContext caller;

		progress_phase("storing embeddings", first, rows->keys->count);
		caller = MemoryContextSwitchTo(context);
		fill_batch(rows, first, Min(rows->keys->count - first, EMBEDDING_BATCH_ROWS), values);
		MemoryContextSwitchTo(caller);
		if (SPI_execute_plan(plan, values, NULL, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not insert embeddings");
		MemoryContextReset(context);
	}
}
