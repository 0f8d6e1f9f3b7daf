/*
 * graph_description.c
 *		describe_graph(): the graph as its sources are now.
 */
#include "postgres.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "pg/bridge.h"
#include "pg/graph_loading.h"
#include "pg/result_rows.h"
#include "pg/settings.h"

PG_FUNCTION_INFO_V1(behavpred_describe_graph);

/* One property and its value, NULL when it does not exist. */
static void
add_text(ResultRows *rows, const char *property, const char *value)
{
	Datum		values[] = {CStringGetTextDatum(property), (Datum) 0};
	bool		nulls[] = {false, value == NULL};

	if (value != NULL)
		values[1] = CStringGetTextDatum(value);
	result_rows_add(rows, values, nulls);
}

/* A property that is a number. */
static void
add_count(ResultRows *rows, const char *property, int64 count)
{
	add_text(rows, property, psprintf(INT64_FORMAT, count));
}

/* What was read and what became of it. */
static void
add_sizes(ResultRows *rows, const LoadedGraph *loaded)
{
	add_count(rows, "users", loaded->graph.n_users);
	add_count(rows, "objects", loaded->graph.n_objects);
	add_count(rows, "edges", loaded->graph.n_edges);
	add_count(rows, "interactions_read", loaded->rows_read);
	add_count(rows, "duplicates", loaded->graph.n_duplicates);
	add_count(rows, "null_keys", loaded->null_keys);
	add_count(rows, "edges_over_max_degree", loaded->graph.n_capped);
	add_count(rows, "users_without_edges", loaded->idle_users);
	add_count(rows, "objects_without_edges", loaded->idle_objects);
}

/* How many nodes first .. first + n - 1 have each degree, 0 .. *largest. */
static int32 *
count_degrees(Arena *arena, const Graph *graph, int32 first, int32 n, int64 *largest)
{
	int32	   *counts;

	*largest = 0;
	for (int32 i = 0; i < n; i++)
		*largest = Max(*largest, graph_degree(graph, first + i));
	counts = arena_allocate_zeroed(arena, *largest + 1, sizeof(int32));
	bridge_check(arena->core, "describing a graph");
	for (int32 i = 0; i < n; i++)
		counts[graph_degree(graph, first + i)]++;
	return counts;
}

/* Median, 90th and 99th percentile (nearest rank) and maximum of the degrees of one side. */
static void
add_degrees(ResultRows *rows, Arena *arena, const Graph *graph, const char *kind, int32 first, int32 n)
{
	static const int percents[] = {50, 90, 99};
	int64		largest;
	int32	   *counts = count_degrees(arena, graph, first, n, &largest);
	int64		degree = 0;
	int64		seen = counts[0];	/* nodes of this degree or less */

	for (int i = 0; i < lengthof(percents); i++)
	{
		int64		rank = ((int64) n * percents[i] + 99) / 100;

		while (seen < rank)
			seen += counts[++degree];
		add_count(rows, psprintf("%s_degree_p%d", kind, percents[i]), degree);
	}
	add_count(rows, psprintf("%s_degree_max", kind), largest);
	arena_release(arena, counts);
}

/* Row function of add_times(). */
static void
keep_times(void *argument, Datum *values, bool *nulls)
{
	ResultRows *rows = argument;

	add_text(rows, "first_interaction", nulls[0] ? NULL : TextDatumGetCString(values[0]));
	add_text(rows, "last_interaction", nulls[1] ? NULL : TextDatumGetCString(values[1]));
}

/* First and last interaction, when the graph knows times. */
static void
add_times(ResultRows *rows, const GraphDefinition *definition)
{
	const char *column;
	char	   *query;
	int			n;
	Oid		   *types;
	Datum	   *values;

	if (definition->time_column == NULL)
	{
		add_text(rows, "first_interaction", NULL);
		add_text(rows, "last_interaction", NULL);
		return;
	}
	column = quote_identifier(definition->time_column);
	query = graph_filtered_query(definition, psprintf("pg_catalog.min(%s)::pg_catalog.text, "
													  "pg_catalog.max(%s)::pg_catalog.text", column, column),
								 NULL, &n, &types, &values);
	source_read(definition->apply_row_security, query, n, types, values, keep_times, rows);
}

/* The columns that the encoder sees, after expansion; NULL when there are none. */
static void
add_features(ResultRows *rows, const char *property, const Features *features, char **names)
{
	StringInfoData list;

	if (features == NULL)
	{
		add_text(rows, property, NULL);
		return;
	}
	initStringInfo(&list);
	for (int i = 0; i < features->columns; i++)
		appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", names[i]);
	add_text(rows, property, list.data);
}

/* The last training. */
static void
add_training(ResultRows *rows, const GraphDefinition *definition)
{
	add_text(rows, "trained_run", definition->trained_run == 0 ? NULL :
			 psprintf(INT64_FORMAT, definition->trained_run));
	add_text(rows, "user_embeddings", definition->user_embeddings);
	add_text(rows, "object_embeddings", definition->object_embeddings);
}

/* describe_graph(graph) */
Datum
behavpred_describe_graph(PG_FUNCTION_ARGS)
{
	GraphDefinition *definition = graph_definition_for(text_to_cstring(PG_GETARG_TEXT_PP(0)), PRIVILEGE_READ);
	ResultRows	rows = result_rows_open(fcinfo);
	Core	   *core = bridge_open(0);
	LoadedGraph *loaded;
	Arena		arena;

	bridge_show(core, definition->name, NULL);
	arena_open(&arena, core);
	loaded = graph_load(&arena, definition, true, setting_seed);
	add_sizes(&rows, loaded);
	add_degrees(&rows, &arena, &loaded->graph, "user", 0, loaded->graph.n_users);
	add_degrees(&rows, &arena, &loaded->graph, "object", loaded->graph.n_users, loaded->graph.n_objects);
	add_times(&rows, definition);
	add_features(&rows, "user_features", loaded->user_features, loaded->user_feature_names);
	add_features(&rows, "object_features", loaded->object_features, loaded->object_feature_names);
	add_training(&rows, definition);
	bridge_close(core);
	return (Datum) 0;
}
