/*
 * user_objects.c
 *		The objects that one user has interacted with.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "pg/bridge.h"
#include "pg/keys.h"
#include "pg/user_objects.h"

typedef struct ObjectReading
{
	Oid			key_type;
	Dictionary *objects;
} ObjectReading;

/* Row function: an object that the user has. */
static void
remember_object(void *argument, Datum *values, bool *nulls)
{
	ObjectReading *reading = argument;
	Key			key;

	if (nulls[0])
		return;
	key = key_from_datum(reading->key_type, values[0]);
	dictionary_add(reading->objects, &key);
	bridge_check(reading->objects->arena->core, "reading a user's interactions");
}

/* See user_objects.h. */
void
user_objects_read(const GraphDefinition *graph, Datum user, Dictionary *objects)
{
	ObjectReading reading = {graph->object_key_type, objects};
	char	   *condition;
	char	   *query;
	Oid		   *types;
	Datum	   *values;
	int			n;

	graph_filtered_query(graph, "1", NULL, &n, &types, &values);
	condition = psprintf("%s OPERATOR(pg_catalog.=) $%d", quote_identifier(graph->user_column), n + 1);
	query = graph_filtered_query(graph, quote_identifier(graph->object_column), condition, &n, &types, &values);
	types[n] = graph->user_key_type;
	values[n++] = user;
	source_read(graph->apply_row_security, query, n, types, values, remember_object, &reading);
}
