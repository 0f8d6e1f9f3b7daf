/*
 * target_functions.c
 *		create_target() and drop_target().
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "pg/arguments.h"
#include "pg/graph_lock.h"
#include "pg/keys.h"
#include "pg/reader.h"
#include "pg/target_definition.h"
#include "pg/writer.h"

PG_FUNCTION_INFO_V1(behavpred_create_target);
PG_FUNCTION_INFO_V1(behavpred_drop_target);

/* The arguments of create_target(), by position. */
enum
{
	ARG_TARGET, ARG_GRAPH, ARG_OBJECT, ARG_OBJECTS, ARG_SEEDS, ARG_CANDIDATES, ARG_NEGATIVES,
	ARG_HORIZON
};

#define LONGEST_NAME 63
#define MOST_OBJECTS 10000

/* Both names are given, and the target's fits its column. */
static void
check_name(FunctionCallInfo fcinfo)
{
	char	   *name;

	if (PG_ARGISNULL(ARG_TARGET) || PG_ARGISNULL(ARG_GRAPH))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", PG_ARGISNULL(ARG_TARGET) ? "target" : "graph"),
				 errhint("SELECT behavpred.create_target('buys_42', 'shop', object => '42');")));
	name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_TARGET));
	if (name[0] == '\0' || strlen(name) > LONGEST_NAME)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("the name of a target has 1 to %d bytes", LONGEST_NAME),
				 errdetail("This one has %zu.", strlen(name)),
				 errhint("SELECT behavpred.create_target('buys_42', ...);")));
}

/* The strings of a text[] argument, NULL elements among them. */
static int
array_argument(FunctionCallInfo fcinfo, Datum **elements, bool **nulls)
{
	int			n = 0;

	if (!PG_ARGISNULL(ARG_OBJECTS))
		deconstruct_array(PG_GETARG_ARRAYTYPE_P(ARG_OBJECTS), TEXTOID, -1, false, TYPALIGN_INT,
						  elements, nulls, &n);
	if (n > MOST_OBJECTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a target may have %d objects, %d were given", MOST_OBJECTS, n),
				 errhint("Name the users instead: seeds => 'a_relation_of_users'.")));
	return n;
}

/* For qsort() and bsearch(). */
static int
compare_strings(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* An object's key as the type prints it: "007" and "7" are one integer. */
static char *
printed_key(const GraphDefinition *graph, char *object)
{
	Oid			type = graph->object_key_type;
	Key			key = key_from_datum(type, target_object_keys(graph, 1, &object)[0]);

	return key_to_text(type, &key);
}

/* The objects named by `object` and `objects`, without repeats or NULLs, ascending by bytes. */
static int
object_arguments(FunctionCallInfo fcinfo, const GraphDefinition *graph, char ***objects)
{
	Datum	   *elements = NULL;
	bool	   *nulls = NULL;
	int			given = array_argument(fcinfo, &elements, &nulls);
	char	  **names = palloc((given + 1) * sizeof(char *));
	int			n = 0;
	int			distinct = 0;

	if (!PG_ARGISNULL(ARG_OBJECT))
		names[n++] = printed_key(graph, text_to_cstring(PG_GETARG_TEXT_PP(ARG_OBJECT)));
	for (int i = 0; i < given; i++)
		if (!nulls[i])
			names[n++] = printed_key(graph, TextDatumGetCString(elements[i]));
	qsort(names, n, sizeof(char *), compare_strings);
	for (int i = 0; i < n; i++)
		if (distinct == 0 || strcmp(names[distinct - 1], names[i]) != 0)
			names[distinct++] = names[i];
	*objects = names;
	return distinct;
}

/* Which of a target's objects have been met in the interactions. */
typedef struct ObjectSearch
{
	const GraphDefinition *graph;
	int			n;
	char	  **objects;		/* ascending */
	bool	   *found;
} ObjectSearch;

/* Row function: one object that has an interaction. */
static void
mark_found(void *argument, Datum *values, bool *nulls)
{
	ObjectSearch *search = argument;
	Oid			type = search->graph->object_key_type;
	Key			key = key_from_datum(type, values[0]);
	char	   *name = key_to_text(type, &key);
	char	  **place = bsearch(&name, search->objects, search->n, sizeof(char *), compare_strings);

	if (place != NULL)
		search->found[place - search->objects] = true;
}

/* Look for all objects in one reading of the interactions; for one the first row is enough. */
static void
find_objects(ObjectSearch *search)
{
	const GraphDefinition *graph = search->graph;
	const char *column = quote_identifier(graph->object_column);
	bool		only_one = search->n == 1;
	char	   *condition;
	char	   *query;
	Oid		   *types;
	Datum	   *values;
	int			n;

	graph_interactions_query(graph, NULL, &n, &types, &values);
	condition = psprintf("%s OPERATOR(pg_catalog.=) ANY ($%d)%s", column, n + 1, only_one ? " LIMIT 1" : "");
	query = graph_filtered_query(graph, only_one ? column : psprintf("DISTINCT %s", column), condition,
								 &n, &types, &values);
	types[n] = get_array_type(graph->object_key_type);
	values[n++] = target_object_array(graph, search->n, search->objects);
	source_read(graph->apply_row_security, query, n, types, values, mark_found, search);
}

/* Without seeds an object that nobody did anything to can teach nothing. */
static void
check_objects(const GraphDefinition *graph, int n, char **objects)
{
	ObjectSearch search = {graph, n, objects, palloc0(n * sizeof(bool))};

	find_objects(&search);
	for (int i = 0; i < n; i++)
		if (!search.found[i])
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_OBJECT),
					 errmsg("object \"%s\" is not in graph \"%s\"", objects[i], graph->name),
					 errdetail("No interaction of %s that the graph counts is with it.", graph->interactions),
					 errhint("For a new object name users who are like those you look for: seeds => 'a_relation_of_users'.")));
}

/* A relation argument as stored text, checked to hold user keys; NULL when it is NULL. */
static char *
users_argument(FunctionCallInfo fcinfo, int argument, const char *what, const GraphDefinition *graph)
{
	Oid			relation;

	if (PG_ARGISNULL(argument))
		return NULL;
	relation = PG_GETARG_OID(argument);
	source_check(relation, graph->apply_row_security);
	user_key_column(graph, relation, what);
	source_tell_temporary(relation);
	return relation_qualified_name(relation);
}

/* The horizon as text, NULL when it is NULL. */
static char *
horizon_argument(FunctionCallInfo fcinfo, const GraphDefinition *graph)
{
	const Interval zero = {0};
	char	   *text;

	if (PG_ARGISNULL(ARG_HORIZON))
		return NULL;
	if (graph->time_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("horizon needs a graph with a time column"),
				 errdetail("Graph \"%s\" was created without time_column.", graph->name),
				 errhint("Leave horizon out, or create the graph with time_column => '...'.")));
	text = DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(ARG_HORIZON)));
	if (!DatumGetBool(DirectFunctionCall2(interval_gt, PG_GETARG_DATUM(ARG_HORIZON), IntervalPGetDatum(&zero))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("horizon is %s", text),
				 errdetail("It reaches back from the last interaction, so it must be longer than nothing."),
				 errhint("SELECT behavpred.create_target(..., horizon => '30 days');")));
	return text;
}

static const char insert_target[] =
"INSERT INTO behavpred.registered_target (target, graph, objects, seeds, candidates, negatives, horizon) "
"VALUES ($1, $2, $3, $4, $5, $6, $7::pg_catalog.interval) ON CONFLICT DO NOTHING";

/* Write the row, or say that the name is taken (perhaps by another role's target). */
static void
register_target(const TargetDefinition *target)
{
	const char *optional[] = {target->seeds, target->candidates, target->negatives, target->horizon};
	Oid			types[] = {TEXTOID, TEXTOID, TEXTARRAYOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID};
	Datum		values[7] = {
		CStringGetTextDatum(target->name), CStringGetTextDatum(target->graph),
		text_array(target->n_objects, target->objects)
	};
	char		nulls[7] = {' ', ' ', ' '};

	for (int i = 0; i < lengthof(optional); i++)
	{
		values[3 + i] = optional[i] == NULL ? (Datum) 0 : CStringGetTextDatum(optional[i]);
		nulls[3 + i] = optional[i] == NULL ? 'n' : ' ';
	}
	if (write_rows(insert_target, lengthof(types), types, values, nulls) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("target \"%s\" already exists", target->name),
				 errhint("Choose another name, or first: SELECT behavpred.drop_target(%s);",
						 quote_literal_cstr(target->name))));
}

/* create_target(target, graph, object, objects, seeds, candidates, negatives, horizon) */
Datum
behavpred_create_target(PG_FUNCTION_ARGS)
{
	TargetDefinition target = {0};
	GraphDefinition *graph;

	require_writable("create_target()");
	check_name(fcinfo);
	target.name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_TARGET));
	target.graph = text_to_cstring(PG_GETARG_TEXT_PP(ARG_GRAPH));
	graph = graph_definition_owned(target.graph);
	target.n_objects = object_arguments(fcinfo, graph, &target.objects);
	target.seeds = users_argument(fcinfo, ARG_SEEDS, "seeds", graph);
	target.candidates = users_argument(fcinfo, ARG_CANDIDATES, "candidates", graph);
	target.negatives = users_argument(fcinfo, ARG_NEGATIVES, "negatives", graph);
	target.horizon = horizon_argument(fcinfo, graph);
	if (target.n_objects == 0 && target.seeds == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("target \"%s\" names neither an object nor seeds", target.name),
				 errdetail("It needs users who did it: those of an object, or those of a relation."),
				 errhint("SELECT behavpred.create_target(%s, %s, object => '42');",
						 quote_literal_cstr(target.name), quote_literal_cstr(target.graph))));
	graph_hold(graph);
	if (target.seeds == NULL)
		check_objects(graph, target.n_objects, target.objects);
	register_target(&target);
	PG_RETURN_VOID();
}

/* drop_target(target): its models go with it. */
Datum
behavpred_drop_target(PG_FUNCTION_ARGS)
{
	TargetDefinition *target =
		target_definition_owned(name_given(fcinfo, 0, "target", "SELECT behavpred.drop_target('buys_42');"));
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(target->name);

	require_writable("drop_target()");
	target_lock(target);
	write_rows("DELETE FROM behavpred.training_run WHERE target OPERATOR(pg_catalog.=) $1",
			   1, &type, &value, NULL);
	write_rows("DELETE FROM behavpred.registered_target WHERE target OPERATOR(pg_catalog.=) $1",
			   1, &type, &value, NULL);
	PG_RETURN_VOID();
}
