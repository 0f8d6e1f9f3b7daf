/*
 * target_definition.c
 *		What registered_target holds of one target, and the users it speaks of.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/keys.h"
#include "pg/reader.h"
#include "pg/target_definition.h"

static const char definition_query[] =
"SELECT target, graph, owner::pg_catalog.text, objects, seeds, candidates, negatives, "
"horizon::pg_catalog.text, deployed_version "
"FROM behavpred.registered_target WHERE target OPERATOR(pg_catalog.=) $1";

typedef struct DefinitionReading
{
	TargetDefinition *definition;	/* NULL until the row came */
	MemoryContext context;		/* where it lives */
} DefinitionReading;

/* A text column, NULL when it is NULL. */
static char *
text_or_null(Datum value, bool null)
{
	return null ? NULL : TextDatumGetCString(value);
}

/* The elements of a text[] as strings. */
static void
keep_objects(TargetDefinition *definition, ArrayType *array)
{
	Datum	   *elements;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &definition->n_objects);
	definition->objects = palloc(Max(definition->n_objects, 1) * sizeof(char *));
	for (int i = 0; i < definition->n_objects; i++)
		definition->objects[i] = TextDatumGetCString(elements[i]);
}

/* Row function of definition_query. */
static void
keep_definition(void *argument, Datum *values, bool *nulls)
{
	DefinitionReading *reading = argument;
	MemoryContext row = MemoryContextSwitchTo(reading->context);
	TargetDefinition *definition = palloc0(sizeof(TargetDefinition));

	definition->name = TextDatumGetCString(values[0]);
	definition->graph = TextDatumGetCString(values[1]);
	definition->owner = TextDatumGetCString(values[2]);
	keep_objects(definition, DatumGetArrayTypeP(values[3]));
	definition->seeds = text_or_null(values[4], nulls[4]);
	definition->candidates = text_or_null(values[5], nulls[5]);
	definition->negatives = text_or_null(values[6], nulls[6]);
	definition->horizon = text_or_null(values[7], nulls[7]);
	definition->deployed_version = nulls[8] ? 0 : DatumGetInt32(values[8]);

	reading->definition = definition;
	MemoryContextSwitchTo(row);
}

/* The target of this name. */
TargetDefinition *
target_definition_read(const char *name)
{
	DefinitionReading reading = {NULL, CurrentMemoryContext};
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(name);

	read_rows(definition_query, 1, &type, &value, NULL, keep_definition, &reading);
	if (reading.definition == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("target \"%s\" does not exist", name),
				 errhint("Your targets: SELECT * FROM behavpred.targets; a new one: SELECT behavpred.create_target(...).")));
	return reading.definition;
}

/* See target_definition.h. */
TargetDefinition *
target_definition_for(const char *name, Privilege privilege)
{
	TargetDefinition *definition = target_definition_read(name);
	ProtectedObject object = {definition->owner, definition->graph, name};

	require_privilege(&object, privilege);
	return definition;
}

/* The target, which must be the caller's own. */
TargetDefinition *
target_definition_owned(const char *name)
{
	return target_definition_for(name, PRIVILEGE_OWN);
}

/* text[] of n strings. */
Datum
text_array(int n, char **strings)
{
	Datum	   *elements = palloc(Max(n, 1) * sizeof(Datum));

	for (int i = 0; i < n; i++)
		elements[i] = CStringGetTextDatum(strings[i]);
	return PointerGetDatum(construct_array(elements, n, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Parse the keys of objects. */
Datum *
target_object_keys(const GraphDefinition *graph, int n_objects, char **objects)
{
	Datum	   *keys = palloc(Max(n_objects, 1) * sizeof(Datum));

	for (int i = 0; i < n_objects; i++)
		keys[i] = key_parse(graph->object_key_type, objects[i], "object");
	return keys;
}

/* The keys of objects as an array, to be compared with a column. */
Datum
target_object_array(const GraphDefinition *graph, int n_objects, char **objects)
{
	int16		length;
	bool		by_value;
	char		align;

	get_typlenbyvalalign(graph->object_key_type, &length, &by_value, &align);
	return PointerGetDatum(construct_array(target_object_keys(graph, n_objects, objects), n_objects,
										   graph->object_key_type, length, by_value, align));
}

typedef struct UserReading
{
	Oid			key_type;
	UserFunction function;
	void	   *argument;
} UserReading;

/* Row function: the first column is a user's key. */
static void
pass_user(void *argument, Datum *values, bool *nulls)
{
	UserReading *reading = argument;
	Key			key;

	if (nulls[0])
		return;
	key = key_from_datum(reading->key_type, values[0]);
	reading->function(reading->argument, &key);
}

/* Users of a relation that holds user keys. */
void
relation_users(const GraphDefinition *graph, const char *relation, const char *what,
			   UserFunction function, void *argument)
{
	Oid			oid = source_relation(relation, graph->apply_row_security);
	char	   *column = user_key_column(graph, oid, what);
	UserReading reading = {source_key_column(oid, column, what), function, argument};

	source_read(graph->apply_row_security,
				psprintf("SELECT %s FROM %s", quote_identifier(column), relation_qualified_name(oid)),
				0, NULL, NULL, pass_user, &reading);
}

/*
 * "time >= (SELECT max(time) FROM interactions) - horizon", with the horizon as parameter; from
 * the cut of the graph on where it has one.
 */
static char *
horizon_condition(const GraphDefinition *graph, int parameter)
{
	const char *column = quote_identifier(graph->time_column);
	Oid			relation = source_relation(graph->interactions, graph->apply_row_security);
	const char *cut = graph_cut(graph);

	if (graph->has_until)
		return psprintf(" AND %s OPERATOR(pg_catalog.>=) %s AND %s OPERATOR(pg_catalog.<) "
						"(%s OPERATOR(pg_catalog.+) $%d::pg_catalog.interval)", column, cut, column, cut, parameter);
	return psprintf(" AND %s OPERATOR(pg_catalog.>=) ((SELECT pg_catalog.max(%s) FROM %s) "
					"OPERATOR(pg_catalog.-) $%d::pg_catalog.interval)",
					column, column, relation_qualified_name(relation), parameter);
}

/* See target_definition.h. */
void
target_interactions_read(const GraphDefinition *graph, const char *select, int n_objects, char **objects,
						 const char *horizon, RowFunction function, void *argument)
{
	GraphDefinition after = graph_definition_after(graph);
	char	   *condition;
	char	   *query;
	Oid		   *types;
	Datum	   *values;
	int			n;

	/* the query's own parameters come first: ask for their number before naming ours, and
	 * let it check that the columns have the types of the graph's keys still */
	if (horizon == NULL || !graph->has_until)
		after = *graph;
	graph_interactions_query(&after, NULL, &n, &types, &values);
	condition = psprintf("%s OPERATOR(pg_catalog.=) ANY ($%d)", quote_identifier(graph->object_column), n + 1);
	if (horizon != NULL)
		condition = psprintf("%s%s", condition, horizon_condition(graph, n + 2));
	query = graph_filtered_query(&after, select, condition, &n, &types, &values);

	types[n] = get_array_type(graph->object_key_type);
	values[n++] = target_object_array(graph, n_objects, objects);
	if (horizon != NULL)
	{
		types[n] = TEXTOID;
		values[n++] = CStringGetTextDatum(horizon);
	}
	source_read(graph->apply_row_security, query, n, types, values, function, argument);
}

/* Users known to belong to the target; see target_definition.h. */
void
target_known_users(const TargetDefinition *target, const GraphDefinition *graph,
				   UserFunction function, void *argument)
{
	UserReading reading = {graph->user_key_type, function, argument};

	if (target->n_objects > 0)
		target_interactions_read(graph, quote_identifier(graph->user_column), target->n_objects, target->objects,
								 target->horizon, pass_user, &reading);
	if (target->seeds != NULL)
		relation_users(graph, target->seeds, "seeds", function, argument);
}

/* The condition of candidates; see target_definition.h. */
char *
target_candidates_condition(const GraphDefinition *graph, const char *candidates)
{
	Oid			relation = source_relation(candidates, graph->apply_row_security);
	const char *key = quote_identifier(user_key_column(graph, relation, "candidates"));

	return psprintf("%s OPERATOR(pg_catalog.=) ANY (SELECT %s FROM %s)", quote_identifier(graph->user_column), key,
					relation_qualified_name(relation));
}

/* The query of candidates; see target_definition.h. */
char *
target_candidates_query(const GraphDefinition *graph, const char *candidates)
{
	Oid			table = relation_from_text(graph->user_embeddings);
	char	   *query = psprintf("SELECT %s, embedding, degree FROM %s", quote_identifier(graph->user_column),
								 relation_qualified_name(table));

	if (candidates != NULL)
		query = psprintf("%s WHERE %s", query, target_candidates_condition(graph, candidates));
	return query;
}

/* See target_definition.h. */
void
warn_no_candidate(const GraphDefinition *graph, const char *candidates)
{
	ereport(WARNING,
			(errcode(ERRCODE_NO_DATA),
			 errmsg("%s has no user whom graph \"%s\" knows", candidates, graph->name),
			 errdetail("Nobody can be chosen: candidates are users who have an embedding."),
			 errhint("If they came after the graph's training: SELECT * FROM behavpred.train_graph(%s);",
					 quote_literal_cstr(graph->name))));
}
