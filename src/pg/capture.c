/*
 * capture.c
 *		The queue of nodes whose interactions have changed, seen from drop_graph(), trainings and run_refresh().
 *
 * A catalog of version 0.1 has no queue: then there is nothing to do.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "core/dictionary.h"
#include "pg/bridge.h"
#include "pg/capture.h"
#include "pg/keys.h"
#include "pg/source.h"
#include "pg/writer.h"

#define KEYS_OF_A_ROW 1000		/* of the queue */

/* True when the catalog has a queue. */
static bool
has_queue(void)
{
	return OidIsValid(get_relname_relid("changed_nodes", get_namespace_oid("behavpred", false)));
}

/* See capture.h. */
void
capture_drop(const char *graph)
{
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(graph);

	if (has_queue())
		write_rows("SELECT behavpred_internal.drop_capture($1)", 1, &type, &value, NULL);
}

/* Where the snapshot goes. */
typedef struct SnapshotText
{
	MemoryContext context;
	char	   *text;
} SnapshotText;

/* Row function: the snapshot. */
static void
keep_snapshot(void *argument, Datum *values, bool *nulls)
{
	SnapshotText *snapshot = argument;

	snapshot->text = MemoryContextStrdup(snapshot->context, TextDatumGetCString(values[0]));
}

/* See capture.h. */
char *
capture_snapshot(void)
{
	SnapshotText snapshot = {CurrentMemoryContext, NULL};

	if (has_queue())
		read_rows("SELECT pg_catalog.pg_current_snapshot()::pg_catalog.text", 0, NULL, NULL, NULL,
				  keep_snapshot, &snapshot);
	return snapshot.text;
}

/* See capture.h. */
void
capture_forget(const char *graph, const char *snapshot)
{
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(graph), (Datum) 0};

	if (snapshot == NULL)
		return;
	values[1] = CStringGetTextDatum(snapshot);
	write_rows("DELETE FROM behavpred.changed_nodes WHERE graph OPERATOR(pg_catalog.=) $1 AND "
			   "pg_catalog.pg_visible_in_snapshot(transaction, $2::pg_catalog.pg_snapshot)",
			   lengthof(types), types, values, NULL);
}

/* What is read of a graph that is captured by time. */
typedef struct TimeCapture
{
	const GraphDefinition *definition;
	bool		by_time;
	TimestampTz from;
	TimestampTz latest;			/* time of an interaction */
	Oid			user_type;		/* of the columns */
	Oid			object_type;
	Dictionary	users;
	Dictionary	objects;
} TimeCapture;

/* Row function: the time from which on interactions are to be read. */
static void
keep_from(void *argument, Datum *values, bool *nulls)
{
	TimeCapture *capture = argument;

	capture->by_time = true;
	capture->from = nulls[0] ? DT_NOBEGIN : DatumGetTimestampTz(values[0]);
	capture->latest = DT_NOBEGIN;
}

/* Row function: user, object, time. */
static void
keep_interaction(void *argument, Datum *values, bool *nulls)
{
	TimeCapture *capture = argument;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(capture->user_type, values[0]);
	dictionary_add(&capture->users, &key);
	key = key_from_datum(capture->object_type, values[1]);
	dictionary_add(&capture->objects, &key);
	if (!nulls[2])
		capture->latest = Max(capture->latest, DatumGetTimestampTz(values[2]));
}

/* Read the interactions since then. */
static void
read_since(TimeCapture *capture, Arena *arena)
{
	const GraphDefinition *definition = capture->definition;
	Oid			relation = source_relation(definition->interactions, definition->apply_row_security);
	const char *time = quote_identifier(definition->time_column);
	const char *select = psprintf("%s, %s, %s::pg_catalog.timestamptz", quote_identifier(definition->user_column),
								  quote_identifier(definition->object_column), time);
	char	   *query;
	int			n;
	Oid		   *types;
	Datum	   *values;

	capture->user_type = source_key_column(relation, definition->user_column, "user_column");
	capture->object_type = source_key_column(relation, definition->object_column, "object_column");
	dictionary_open(&capture->users, arena, key_kind(capture->user_type));
	dictionary_open(&capture->objects, arena, key_kind(capture->object_type));
	graph_filtered_query(definition, select, NULL, &n, &types, &values);	/* the number of its parameters */
	query = graph_filtered_query(definition, select, psprintf("%s OPERATOR(pg_catalog.>=) $%d", time, n + 1),
								 &n, &types, &values);
	types[n] = TIMESTAMPTZOID;
	values[n] = TimestampTzGetDatum(capture->from);
	source_read(definition->apply_row_security, query, n + 1, types, values, keep_interaction, capture);
	bridge_check(arena->core, "reading changes of graph \"%s\"", definition->name);
}

/* Queue the keys of one kind. */
static void
queue_keys(const GraphDefinition *definition, bool of_objects, const Dictionary *keys)
{
	Oid			key_type = of_objects ? definition->object_key_type : definition->user_key_type;
	Oid			types[] = {TEXTOID, TEXTOID, TEXTARRAYOID};

	for (int32 first = 0; first < keys->count; first += KEYS_OF_A_ROW)
	{
		int			n = Min(keys->count - first, KEYS_OF_A_ROW);
		Datum	   *texts = palloc(n * sizeof(Datum));
		Datum		values[] = {CStringGetTextDatum(definition->name), CStringGetTextDatum(definition->owner), (Datum) 0};

		for (int i = 0; i < n; i++)
		{
			Key			key = dictionary_key(keys, first + i);

			texts[i] = CStringGetTextDatum(key_to_text(key_type, &key));
		}
		values[2] = PointerGetDatum(construct_array(texts, n, TEXTOID, -1, false, TYPALIGN_INT));
		write_rows(psprintf("INSERT INTO behavpred.changed_nodes (graph, owner, %s) VALUES ($1, $2, $3)",
							of_objects ? "objects" : "users"), lengthof(types), types, values, NULL);
	}
}

/* See capture.h. */
void
capture_by_time(const GraphDefinition *definition)
{
	TimeCapture capture = {.definition = definition};
	Oid			types[] = {TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {CStringGetTextDatum(definition->name), (Datum) 0};
	Core	   *core;
	Arena		arena;

	read_rows("SELECT watermark OPERATOR(pg_catalog.-) overlap FROM behavpred.change_capture "
			  "WHERE graph OPERATOR(pg_catalog.=) $1 AND mode OPERATOR(pg_catalog.=) 'time'",
			  1, types, values, NULL, keep_from, &capture);
	if (!capture.by_time)
		return;
	core = bridge_open(1);
	arena_open(&arena, core);
	read_since(&capture, &arena);
	queue_keys(definition, false, &capture.users);
	queue_keys(definition, true, &capture.objects);
	bridge_close(core);
	values[1] = TimestampTzGetDatum(Min(capture.latest, GetCurrentTransactionStartTimestamp()));
	if (capture.users.count > 0)
		write_rows("UPDATE behavpred.change_capture SET watermark = GREATEST(watermark, $2) "
				   "WHERE graph OPERATOR(pg_catalog.=) $1", lengthof(types), types, values, NULL);
}
