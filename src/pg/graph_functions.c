/*
 * graph_functions.c
 *		create_graph() and drop_graph().
 *
 * A graph is a row of registered_graph.  Creating it reads its sources once, so that
 * whatever is wrong with them is said now and not at the first training.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "pg/arguments.h"
#include "pg/bridge.h"
#include "pg/capture.h"
#include "pg/embedding_storage.h"
#include "pg/graph_advice.h"
#include "pg/graph_loading.h"
#include "pg/graph_lock.h"
#include "pg/graph_validation.h"
#include "pg/options.h"
#include "pg/result_rows.h"
#include "pg/settings.h"
#include "pg/writer.h"

PG_FUNCTION_INFO_V1(behavpred_create_graph);
PG_FUNCTION_INFO_V1(behavpred_drop_graph);

/* The arguments of create_graph(), by position. */
enum
{
	ARG_GRAPH, ARG_INTERACTIONS, ARG_USER_COLUMN, ARG_OBJECT_COLUMN, ARG_BEHAVIOR_COLUMN,
	ARG_BEHAVIORS, ARG_VALUE_COLUMN, ARG_MIN_VALUE, ARG_WEIGHT_COLUMN, ARG_TIME_COLUMN, ARG_SINCE,
	ARG_USERS, ARG_USER_FEATURES, ARG_OBJECTS, ARG_OBJECT_FEATURES, ARG_MAX_DEGREE,
	ARG_ROW_SECURITY
};

static const char *const row_security_words[] = {"error", "apply", NULL};

/* Refuse NULL where there is no default. */
static void
require_argument(FunctionCallInfo fcinfo, int argument, const char *name)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", name),
				 errhint("SELECT * FROM behavpred.create_graph('shop', 'events');")));
}

/* A name argument, NULL when it is NULL. */
static char *
name_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : pstrdup(NameStr(*PG_GETARG_NAME(argument)));
}

/* A regclass argument. */
static Oid
relation_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? InvalidOid : PG_GETARG_OID(argument);
}

/* An array argument, NULL when it is NULL. */
static ArrayType *
array_argument(FunctionCallInfo fcinfo, int argument)
{
	return PG_ARGISNULL(argument) ? NULL : PG_GETARG_ARRAYTYPE_P(argument);
}

/* max_degree, 0 = none. */
static int
max_degree_argument(FunctionCallInfo fcinfo)
{
	int			max_degree = PG_ARGISNULL(ARG_MAX_DEGREE) ? 0 : PG_GETARG_INT32(ARG_MAX_DEGREE);

	if (!PG_ARGISNULL(ARG_MAX_DEGREE) && max_degree < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max_degree is %d", max_degree),
				 errdetail("It is how many neighbours of a node are kept at most, from 1 on."),
				 errhint("Leave it out to keep all.")));
	return max_degree;
}

/* The arguments as a definition; what needs the sources comes with graph_validate(). */
static GraphDefinition *
definition_from_arguments(FunctionCallInfo fcinfo)
{
	GraphDefinition *definition = palloc0(sizeof(GraphDefinition));

	require_argument(fcinfo, ARG_GRAPH, "graph");
	require_argument(fcinfo, ARG_INTERACTIONS, "interactions");
	require_argument(fcinfo, ARG_USER_COLUMN, "user_column");
	require_argument(fcinfo, ARG_OBJECT_COLUMN, "object_column");
	require_argument(fcinfo, ARG_ROW_SECURITY, "row_security");
	definition->name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_GRAPH));
	definition->user_column = name_argument(fcinfo, ARG_USER_COLUMN);
	definition->object_column = name_argument(fcinfo, ARG_OBJECT_COLUMN);
	definition->behavior_column = name_argument(fcinfo, ARG_BEHAVIOR_COLUMN);
	definition->behaviors = array_argument(fcinfo, ARG_BEHAVIORS);
	definition->value_column = name_argument(fcinfo, ARG_VALUE_COLUMN);
	definition->has_min_value = !PG_ARGISNULL(ARG_MIN_VALUE);
	definition->min_value = definition->has_min_value ? PG_GETARG_FLOAT8(ARG_MIN_VALUE) : 0;
	definition->weight_column = name_argument(fcinfo, ARG_WEIGHT_COLUMN);
	definition->time_column = name_argument(fcinfo, ARG_TIME_COLUMN);
	if (!PG_ARGISNULL(ARG_SINCE))
		definition->since = DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(ARG_SINCE)));
	definition->user_features = array_argument(fcinfo, ARG_USER_FEATURES);
	definition->object_features = array_argument(fcinfo, ARG_OBJECT_FEATURES);
	definition->max_degree = max_degree_argument(fcinfo);
	definition->apply_row_security =
		options_choice("row_security", text_to_cstring(PG_GETARG_TEXT_PP(ARG_ROW_SECURITY)),
					   row_security_words) == 1;
	return definition;
}

/* The columns of registered_graph that create_graph() writes, in the order of its parameters. */
static const char insert_graph[] =
"INSERT INTO behavpred.registered_graph (graph, interactions, user_column, object_column, "
"user_key_type, object_key_type, behavior_column, behaviors, value_column, min_value, "
"weight_column, time_column, since, users, user_features, objects, object_features, max_degree, "
"row_security) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13::pg_catalog.interval, "
"$14, $15, $16, $17, $18, $19) ON CONFLICT DO NOTHING";

#define INSERTED 19

/* The parameters of insert_graph, while they are put together. */
typedef struct Parameters
{
	int			n;
	Oid			types[INSERTED];
	Datum		values[INSERTED];
	char		nulls[INSERTED];
} Parameters;

/* The next parameter. */
static void
add_datum(Parameters *parameters, Oid type, Datum value, bool null)
{
	parameters->types[parameters->n] = type;
	parameters->values[parameters->n] = value;
	parameters->nulls[parameters->n] = null ? 'n' : ' ';
	parameters->n++;
}

/* A text parameter, NULL when there is no string. */
static void
add_text(Parameters *parameters, const char *string)
{
	add_datum(parameters, TEXTOID, string == NULL ? (Datum) 0 : CStringGetTextDatum(string), string == NULL);
}

/* An array parameter, NULL when there is none. */
static void
add_array(Parameters *parameters, Oid type, ArrayType *array)
{
	add_datum(parameters, type, PointerGetDatum(array), array == NULL);
}

/* Write the row, or say that the name is taken (perhaps by another role's graph). */
static void
register_graph(const GraphDefinition *definition)
{
	Parameters	parameters = {.n = 0};

	add_text(&parameters, definition->name);
	add_text(&parameters, definition->interactions);
	add_text(&parameters, definition->user_column);
	add_text(&parameters, definition->object_column);
	add_text(&parameters, format_type_be(definition->user_key_type));
	add_text(&parameters, format_type_be(definition->object_key_type));
	add_text(&parameters, definition->behavior_column);
	add_array(&parameters, TEXTARRAYOID, definition->behaviors);
	add_text(&parameters, definition->value_column);
	add_datum(&parameters, FLOAT8OID, Float8GetDatum(definition->min_value), !definition->has_min_value);
	add_text(&parameters, definition->weight_column);
	add_text(&parameters, definition->time_column);
	add_text(&parameters, definition->since);
	add_text(&parameters, definition->users);
	add_array(&parameters, NAMEARRAYOID, definition->user_features);
	add_text(&parameters, definition->objects);
	add_array(&parameters, NAMEARRAYOID, definition->object_features);
	add_datum(&parameters, INT4OID, Int32GetDatum(definition->max_degree), definition->max_degree == 0);
	add_text(&parameters, row_security_words[definition->apply_row_security]);

	if (write_rows(insert_graph, parameters.n, parameters.types, parameters.values, parameters.nulls) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("graph \"%s\" already exists", definition->name),
				 errhint("Choose another name, or first: SELECT behavpred.drop_graph(%s);",
						 quote_literal_cstr(definition->name))));
}

/* The OUT arguments: what was found. */
static Datum
creation_result(FunctionCallInfo fcinfo, const LoadedGraph *loaded)
{
	Datum		values[] = {
		Int64GetDatum(loaded->users.count),
		Int64GetDatum(loaded->objects.count),
		Int64GetDatum(loaded->graph.n_edges),
		Int64GetDatum(loaded->rows_read),
		Int64GetDatum(loaded->graph.n_duplicates),
		Int64GetDatum(loaded->null_keys)
	};
	bool		nulls[lengthof(values)] = {false};

	return result_record(fcinfo, values, nulls);
}

/* create_graph(graph, interactions, ...) */
Datum
behavpred_create_graph(PG_FUNCTION_ARGS)
{
	GraphDefinition *definition = definition_from_arguments(fcinfo);
	GraphSources sources = {
		.interactions = PG_GETARG_OID(ARG_INTERACTIONS),
		.users = relation_argument(fcinfo, ARG_USERS),
		.objects = relation_argument(fcinfo, ARG_OBJECTS),
		.since = PG_ARGISNULL(ARG_SINCE) ? NULL : PG_GETARG_INTERVAL_P(ARG_SINCE)
	};
	Core	   *core;
	Arena		arena;
	LoadedGraph *loaded;
	Datum		result;

	require_writable("create_graph()");
	graph_validate(definition, &sources);
	register_graph(definition);
	core = bridge_open(0);
	bridge_show(core, definition->name, NULL);
	arena_open(&arena, core);
	loaded = graph_load(&arena, definition, true, setting_seed);
	graph_advise(core, definition, &sources, loaded);
	result = creation_result(fcinfo, loaded);
	bridge_close(core);
	return result;
}

/* drop_graph(graph) */
Datum
behavpred_drop_graph(PG_FUNCTION_ARGS)
{
	GraphDefinition *definition =
		graph_definition_owned(name_given(fcinfo, 0, "graph", "SELECT behavpred.drop_graph('shop');"));
	Oid			type = TEXTOID;
	Datum		value = PG_GETARG_DATUM(0);

	require_writable("drop_graph()");
	graph_lock_for_drop(definition);
	capture_drop(definition->name);
	embedding_table_drop(definition, false);
	embedding_table_drop(definition, true);
	write_rows("DELETE FROM behavpred.registered_graph WHERE graph OPERATOR(pg_catalog.=) $1",
			   1, &type, &value, NULL);
	PG_RETURN_VOID();
}
