/*
 * user_objects.c
 *		The objects that one user has interacted with.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "pg/key_reading.h"
#include "pg/user_objects.h"

/* See user_objects.h. */
void
user_objects_read(const GraphDefinition *graph, Datum user, Dictionary *objects)
{
	KeyReading	reading = {graph->object_key_type, objects};
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
	source_read(graph->apply_row_security, query, n, types, values, take_key, &reading);
}
