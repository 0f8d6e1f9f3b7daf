/*
 * capture_keys.c
 *		queue_changes(): the distinct keys of a statement's changed rows go into the queue.  It is what the
 *		triggers of capture_changes() spend their time on.
 *
 * One pass over the rows, by a cursor of the trigger's function, fills a hash table for each column.  A table that
 * has its most keys is written out and begun anew, so that a load of any size takes no more memory; a
 * key may then be queued again.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(behavpred_queue_changes);

/* An integer of any width, or the output of another type. */
typedef struct ChangedKey
{
	int64		integer;
	const char *text;			/* NULL = an integer */
} ChangedKey;

typedef struct ChangedEntry
{
	ChangedKey	key;
	char		status;
} ChangedEntry;

static inline uint32
hash_changed(ChangedKey key)
{
	return key.text != NULL ? hash_bytes((const unsigned char *) key.text, (int) strlen(key.text)) :
		(uint32) murmurhash32((uint32) (key.integer ^ (key.integer >> 32)));
}

static inline bool
same_changed(ChangedKey a, ChangedKey b)
{
	return a.text == NULL ? a.integer == b.integer : strcmp(a.text, b.text) == 0;
}

#define SH_PREFIX changed
#define SH_ELEMENT_TYPE ChangedEntry
#define SH_KEY_TYPE ChangedKey
#define SH_KEY key
#define SH_HASH_KEY(table, key) hash_changed(key)
#define SH_EQUAL(table, a, b) same_changed(a, b)
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

#define FIRST_KEYS 256
#define MOST_KEYS 1000000		/* of a table: some tens of megabytes */
#define KEYS_OF_A_ROW 1000		/* of the queue */
#define ROWS_OF_A_FETCH 5000

/* The keys of one column. */
typedef struct ChangedColumn
{
	MemoryContext context;		/* of the table and its texts */
	changed_hash *keys;
	Oid			type;			/* below domains */
	FmgrInfo	output;			/* of a type that is no integer */
} ChangedColumn;

typedef struct Queueing
{
	char	   *graph;
	Portal		rows;
	ChangedColumn columns[2];	/* users, objects */
	SPIPlanPtr	insert[2];
	MemoryContext piece;		/* of one row of the queue */
} Queueing;

/* An empty table. */
static void
begin_column(ChangedColumn *column)
{
	MemoryContextReset(column->context);
	column->keys = changed_create(column->context, FIRST_KEYS, NULL);
}

/* Get ready for the keys of the two columns of the cursor. */
static void
open_columns(Queueing *queueing)
{
	static const char *const inserts[] = {
		"INSERT INTO behavpred.changed_nodes (graph, users) VALUES ($1, $2)",
		"INSERT INTO behavpred.changed_nodes (graph, objects) VALUES ($1, $2)"
	};
	Oid			types[] = {TEXTOID, TEXTARRAYOID};

	for (int i = 0; i < 2; i++)
	{
		ChangedColumn *column = &queueing->columns[i];
		Oid			output;
		bool		is_varlena;

		column->context = AllocSetContextCreate(CurrentMemoryContext, "behavpred changed keys", ALLOCSET_DEFAULT_SIZES);
		column->type = getBaseType(TupleDescAttr(queueing->rows->tupDesc, i)->atttypid);
		getTypeOutputInfo(column->type, &output, &is_varlena);
		fmgr_info(output, &column->output);
		begin_column(column);
		queueing->insert[i] = SPI_prepare(inserts[i], lengthof(types), types);
		if (queueing->insert[i] == NULL)
			elog(ERROR, "could not prepare an INSERT: %s", SPI_result_code_string(SPI_result));
	}
	queueing->piece = AllocSetContextCreate(CurrentMemoryContext, "behavpred queue row", ALLOCSET_DEFAULT_SIZES);
}

/* A key, whose text is lent until the rows of the fetch are freed. */
static ChangedKey
key_of(ChangedColumn *column, Datum value)
{
	switch (column->type)
	{
		case INT2OID:
			return (ChangedKey) {DatumGetInt16(value), NULL};
		case INT4OID:
			return (ChangedKey) {DatumGetInt32(value), NULL};
		case INT8OID:
			return (ChangedKey) {DatumGetInt64(value), NULL};
		default:
			return (ChangedKey) {0, OutputFunctionCall(&column->output, value)};
	}
}

/* As an element of a row of the queue. */
static Datum
key_text(ChangedKey key)
{
	char		digits[MAXINT8LEN + 1];

	if (key.text != NULL)
		return CStringGetTextDatum(key.text);
	return PointerGetDatum(cstring_to_text_with_len(digits, pg_lltoa(key.integer, digits)));
}

/* One row of the queue. */
static void
write_piece(Queueing *queueing, int i, Datum *elements, int n)
{
	Datum		values[] = {
		CStringGetTextDatum(queueing->graph),
		PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT))
	};

	CHECK_FOR_INTERRUPTS();
	if (SPI_execute_plan(queueing->insert[i], values, NULL, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert into the queue");
}

/* The keys of a column into the queue; its table is empty then. */
static void
write_column(Queueing *queueing, int i)
{
	ChangedColumn *column = &queueing->columns[i];
	MemoryContext caller = MemoryContextSwitchTo(queueing->piece);
	changed_iterator iterator;
	ChangedEntry *entry;
	Datum		elements[KEYS_OF_A_ROW];
	int			n = 0;

	changed_start_iterate(column->keys, &iterator);
	while ((entry = changed_iterate(column->keys, &iterator)) != NULL)
	{
		elements[n++] = key_text(entry->key);
		if (n < KEYS_OF_A_ROW)
			continue;
		write_piece(queueing, i, elements, n);
		MemoryContextReset(queueing->piece);
		n = 0;
	}
	if (n > 0)
		write_piece(queueing, i, elements, n);
	MemoryContextReset(queueing->piece);
	MemoryContextSwitchTo(caller);
	begin_column(column);
}

/* One value of a changed row. */
static void
take_key(Queueing *queueing, int i, HeapTuple row)
{
	ChangedColumn *column = &queueing->columns[i];
	ChangedEntry *entry;
	ChangedKey	key;
	bool		found;
	bool		null;
	Datum		value = heap_getattr(row, i + 1, queueing->rows->tupDesc, &null);

	if (null)
		return;
	key = key_of(column, value);
	entry = changed_insert(column->keys, key, &found);
	if (!found && key.text != NULL)
		entry->key.text = MemoryContextStrdup(column->context, key.text);
	if (column->keys->members >= MOST_KEYS)
		write_column(queueing, i);
}

/* All rows of the cursor. */
static void
take_rows(Queueing *queueing)
{
	MemoryContext fetch = AllocSetContextCreate(CurrentMemoryContext, "behavpred changed rows", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(fetch);

	for (;;)
	{
		SPITupleTable *rows;

		SPI_cursor_fetch(queueing->rows, true, ROWS_OF_A_FETCH);
		rows = SPI_tuptable;
		if (SPI_processed == 0)
			break;
		for (uint64 row = 0; row < rows->numvals; row++)
			for (int i = 0; i < 2; i++)
				take_key(queueing, i, rows->vals[row]);
		SPI_freetuptable(rows);
		MemoryContextReset(fetch);
	}
	MemoryContextSwitchTo(caller);
}

/* queue_changes(graph, rows): the keys of a cursor's rows, users first */
Datum
behavpred_queue_changes(PG_FUNCTION_ARGS)
{
	Queueing	queueing = {.graph = text_to_cstring(PG_GETARG_TEXT_PP(0))};

	SPI_connect();
	queueing.rows = SPI_cursor_find(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	if (queueing.rows == NULL || queueing.rows->tupDesc == NULL || queueing.rows->tupDesc->natts != 2)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_CURSOR),
				 errmsg("queue_changes() needs a cursor of two columns, users and objects"),
				 errdetail("The triggers of capture_changes() open one."),
				 errhint("SELECT behavpred.capture_changes(%s);", quote_literal_cstr(queueing.graph))));
	open_columns(&queueing);
	take_rows(&queueing);
	write_column(&queueing, 0);
	write_column(&queueing, 1);
	SPI_finish();
	PG_RETURN_VOID();
}
