/*
 * capture.c
 *		The queue of nodes whose interactions have changed, seen from drop_graph() and trainings.
 *
 * A catalog of version 0.1 has no queue: then there is nothing to do.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/capture.h"
#include "pg/reader.h"
#include "pg/writer.h"

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
		write_rows("SELECT behavpred.drop_capture($1)", 1, &type, &value, NULL);
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
