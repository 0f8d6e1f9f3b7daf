/*
 * graph_definition.c
 *		What registered_graph holds of one graph, and the SQL that reads its sources.
 *
 * Operators and types in queries carry their schema, so that nothing that a role has put
 * into its search_path is called in their place.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/embedding_storage.h"
#include "pg/graph_definition.h"
#include "pg/keys.h"

#define MOST_FILTERS 3			/* behaviours, value, time */

/* The columns in the order in which keep_definition() takes them. */
#define DEFINITION_COLUMNS \
"SELECT graph, owner::pg_catalog.text, interactions, user_column::pg_catalog.text, " \
"object_column::pg_catalog.text, user_key_type, object_key_type, " \
"behavior_column::pg_catalog.text, behaviors, value_column::pg_catalog.text, min_value, " \
"weight_column::pg_catalog.text, time_column::pg_catalog.text, since::pg_catalog.text, " \
"users, user_features, objects, object_features, max_degree, row_security, " \
"user_embeddings, object_embeddings, trained_run"

#define FROM_DEFINITIONS \
" FROM behavpred.registered_graph g WHERE graph OPERATOR(pg_catalog.=) $1"

#define BEHAVIOR_ROW \
" FROM behavpred.graph_behavior b WHERE b.graph OPERATOR(pg_catalog.=) g.graph AND b.owner OPERATOR(pg_catalog.=) g.owner)"

/* The same, and what set_behaviors() has said. */
#define BEHAVIOR_COLUMNS \
", (SELECT weights" BEHAVIOR_ROW ", (SELECT predicted" BEHAVIOR_ROW ", (SELECT typed" BEHAVIOR_ROW

typedef struct DefinitionReading
{
	GraphDefinition *definition;	/* NULL until the row came */
	MemoryContext context;		/* where it lives */
	bool		with_behaviors; /* the columns of BEHAVIOR_COLUMNS are there */
} DefinitionReading;

/* A text column, NULL when it is NULL. */
static char *
text_or_null(Datum value, bool null)
{
	return null ? NULL : TextDatumGetCString(value);
}

/* An array column, NULL when it is NULL. */
static ArrayType *
array_or_null(Datum value, bool null)
{
	return null ? NULL : DatumGetArrayTypePCopy(value);
}

/* The columns that filter and weigh interactions. */
static void
keep_filters(GraphDefinition *definition, Datum *values, bool *nulls)
{
	definition->behavior_column = text_or_null(values[7], nulls[7]);
	definition->behaviors = array_or_null(values[8], nulls[8]);
	definition->value_column = text_or_null(values[9], nulls[9]);
	definition->has_min_value = !nulls[10];
	definition->min_value = nulls[10] ? 0 : DatumGetFloat8(values[10]);
	definition->weight_column = text_or_null(values[11], nulls[11]);
	definition->time_column = text_or_null(values[12], nulls[12]);
	definition->since = text_or_null(values[13], nulls[13]);
}

/* The table came with version 0.2. */
static bool
behaviors_exist(void)
{
	Oid			schema = get_namespace_oid("behavpred", true);

	return OidIsValid(schema) && OidIsValid(get_relname_relid("graph_behavior", schema));
}

/* What set_behaviors() has said. */
static void
keep_behaviors(GraphDefinition *definition, Datum *values, bool *nulls)
{
	definition->behavior_weights = array_or_null(values[23], nulls[23]);
	definition->predicted = array_or_null(values[24], nulls[24]);
	definition->typed = !nulls[25] && DatumGetBool(values[25]);
}

/* Row function of the query of a definition. */
static void
keep_definition(void *argument, Datum *values, bool *nulls)
{
	DefinitionReading *reading = argument;
	MemoryContext row = MemoryContextSwitchTo(reading->context);
	GraphDefinition *definition = palloc0(sizeof(GraphDefinition));

	definition->name = TextDatumGetCString(values[0]);
	definition->owner = TextDatumGetCString(values[1]);
	definition->interactions = TextDatumGetCString(values[2]);
	definition->user_column = TextDatumGetCString(values[3]);
	definition->object_column = TextDatumGetCString(values[4]);
	definition->user_key_type = key_type_from_name(TextDatumGetCString(values[5]));
	definition->object_key_type = key_type_from_name(TextDatumGetCString(values[6]));
	keep_filters(definition, values, nulls);
	definition->users = text_or_null(values[14], nulls[14]);
	definition->user_features = array_or_null(values[15], nulls[15]);
	definition->objects = text_or_null(values[16], nulls[16]);
	definition->object_features = array_or_null(values[17], nulls[17]);
	definition->max_degree = nulls[18] ? 0 : DatumGetInt32(values[18]);
	definition->apply_row_security = strcmp(TextDatumGetCString(values[19]), "apply") == 0;
	definition->user_embeddings = text_or_null(values[20], nulls[20]);
	definition->object_embeddings = text_or_null(values[21], nulls[21]);
	definition->trained_run = nulls[22] ? 0 : DatumGetInt64(values[22]);
	if (reading->with_behaviors)
		keep_behaviors(definition, values, nulls);

	reading->definition = definition;
	MemoryContextSwitchTo(row);
}

static const char time_query[] =
"SELECT half_life::pg_catalog.text, EXTRACT(epoch FROM until)::pg_catalog.float8 FROM behavpred.graph_time "
"WHERE graph OPERATOR(pg_catalog.=) $1";

/* Row function of time_query. */
static void
keep_time(void *argument, Datum *values, bool *nulls)
{
	DefinitionReading *reading = argument;
	MemoryContext row = MemoryContextSwitchTo(reading->context);

	reading->definition->half_life = text_or_null(values[0], nulls[0]);
	reading->definition->has_until = !nulls[1];
	reading->definition->until = nulls[1] ? 0 : DatumGetFloat8(values[1]);
	MemoryContextSwitchTo(row);
}

/* The SQL objects of version 0.1 have no such table. */
static bool
has_graph_time(void)
{
	return OidIsValid(get_relname_relid("graph_time", get_namespace_oid("behavpred", false)));
}

/* The graph of this name. */
GraphDefinition *
graph_definition_read(const char *name)
{
	DefinitionReading reading = {NULL, CurrentMemoryContext, behaviors_exist()};
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(name);

	read_rows(reading.with_behaviors ? DEFINITION_COLUMNS BEHAVIOR_COLUMNS FROM_DEFINITIONS :
			  DEFINITION_COLUMNS FROM_DEFINITIONS, 1, &type, &value, NULL, keep_definition, &reading);
	if (reading.definition == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("graph \"%s\" does not exist", name),
				 errhint("Your graphs: SELECT * FROM behavpred.graphs; a new one: SELECT behavpred.create_graph(...).")));
	if (reading.definition->time_column != NULL && has_graph_time())
		read_rows(time_query, 1, &type, &value, NULL, keep_time, &reading);
	return reading.definition;
}

/* See graph_definition.h. */
GraphDefinition *
graph_definition_for(const char *name, Privilege privilege)
{
	GraphDefinition *definition = graph_definition_read(name);
	ProtectedObject object = {definition->owner, name, NULL};

	require_privilege(&object, privilege);
	return definition;
}

/* The graph, which must be the caller's own. */
GraphDefinition *
graph_definition_owned(const char *name)
{
	return graph_definition_for(name, PRIVILEGE_OWN);
}

/* The table of a stored name; see graph_definition.h. */
Oid
embedding_table_find(const char *table, const char *key_column, Oid key_type)
{
	Oid			relation = relation_from_text(table);

	if (!OidIsValid(relation))
		return InvalidOid;
	LockRelationOid(relation, AccessShareLock);
	if (relation_from_text(table) != relation || !embedding_columns_fit(relation, key_column, key_type))
		return InvalidOid;
	return relation;
}

/* Why embeddings cannot be read, NULL when they can. */
static const char *
embeddings_missing(const char *table, const char *key_column, Oid key_type)
{
	if (table == NULL)
		return "It has not been trained.";
	if (OidIsValid(embedding_table_find(table, key_column, key_type)))
		return NULL;
	return psprintf("Table %s is not there, or is not as train_graph() made it.", table);
}

/* The graph, which must have embeddings. */
GraphDefinition *
graph_definition_trained(const char *name)
{
	GraphDefinition *definition = graph_definition_read(name);
	const char *missing = embeddings_missing(definition->user_embeddings, definition->user_column,
											 definition->user_key_type);

	if (missing == NULL)
		missing = embeddings_missing(definition->object_embeddings, definition->object_column,
									 definition->object_key_type);
	if (missing != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("graph \"%s\" has no embeddings", name),
				 errdetail_internal("%s", missing),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(name))));
	return definition;
}

/* The filters of a query while it is put together. */
typedef struct QueryParts
{
	StringInfoData conditions;	/* " WHERE ..." or empty */
	int			n;
	Oid		   *types;
	Datum	   *values;
} QueryParts;

/* One more condition, joined by AND. */
static void
add_condition(QueryParts *parts, const char *condition)
{
	appendStringInfo(&parts->conditions, "%s%s", parts->conditions.len == 0 ? " WHERE " : " AND ", condition);
}

/* One more parameter; returns its number. */
static int
add_parameter(QueryParts *parts, Oid type, Datum value)
{
	parts->types[parts->n] = type;
	parts->values[parts->n] = value;
	return ++parts->n;
}

/*
 * behaviour::text = ANY (behaviours).  Without a cast where the column is text already,
 * so that an index on it serves.
 */
static void
filter_behaviors(const GraphDefinition *definition, ArrayType *behaviors, Oid relation, QueryParts *parts)
{
	const char *column = definition->behavior_column;
	bool		is_text = source_column(relation, column, "behavior_column") == TEXTOID;
	int			number = add_parameter(parts, TEXTARRAYOID, PointerGetDatum(behaviors));

	add_condition(parts, psprintf("%s%s OPERATOR(pg_catalog.=) ANY ($%d)", quote_identifier(column),
								  is_text ? "" : "::pg_catalog.text", number));
}

/* value >= min_value; of an interval the seconds count. */
static void
filter_value(const GraphDefinition *definition, Oid relation, QueryParts *parts)
{
	const char *column = definition->value_column;
	bool		is_interval = source_column(relation, column, "value_column") == INTERVALOID;
	int			number = add_parameter(parts, FLOAT8OID, Float8GetDatum(definition->min_value));

	add_condition(parts, psprintf(is_interval ?
								  "EXTRACT(epoch FROM %s) OPERATOR(pg_catalog.>=) $%d::pg_catalog.float8" :
								  "%s OPERATOR(pg_catalog.>=) $%d", quote_identifier(column), number));
}

/* See graph_definition.h. */
char *
graph_cut(const GraphDefinition *definition)
{
	return definition->has_until ? psprintf("pg_catalog.to_timestamp(%.6f)", definition->until) : "pg_catalog.now()";
}

/* time >= cut - since */
static void
filter_window(const GraphDefinition *definition, Oid relation, QueryParts *parts)
{
	const char *column = definition->time_column;
	int			number = add_parameter(parts, TEXTOID, CStringGetTextDatum(definition->since));

	source_column(relation, column, "time_column");
	add_condition(parts, psprintf("%s OPERATOR(pg_catalog.>=) (%s OPERATOR(pg_catalog.-) $%d::pg_catalog.interval)",
								  quote_identifier(column), graph_cut(definition), number));
}

/* time < cut */
static void
filter_future(const GraphDefinition *definition, Oid relation, QueryParts *parts)
{
	source_column(relation, definition->time_column, "time_column");
	add_condition(parts, psprintf("%s OPERATOR(pg_catalog.<) %s", quote_identifier(definition->time_column),
								  graph_cut(definition)));
}

/* Keys must still be what they were when the graph was created, or narrower. */
static void
check_key_column(const GraphDefinition *definition, Oid relation, const char *column, Oid key_type,
				 const char *argument)
{
	Oid			type = source_key_column(relation, column, argument);

	if (!key_types_match(type, key_type) ||
		(key_kind(type) == KEY_INTEGER && get_typlen(type) > get_typlen(key_type)))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of \"%s\" is of type %s now", column,
						relation_display_name(relation), format_type_be(type)),
				 errdetail("Graph \"%s\" was created with keys of type %s.", definition->name,
						   format_type_be(key_type)),
				 errhint("SELECT behavpred.drop_graph(%s); and create it again.",
						 quote_literal_cstr(definition->name))));
}

/* See graph_definition.h. */
bool
graph_is_weighted(const GraphDefinition *definition)
{
	return definition->weight_column != NULL || definition->half_life != NULL;
}

/* See graph_definition.h. */
GraphDefinition
graph_definition_after(const GraphDefinition *definition)
{
	GraphDefinition after = *definition;

	after.has_until = false;
	after.since = NULL;
	return after;
}

/*
 * " * 2 ^ ((time - a moment) / half_life)", between 2^-120 and 2^8; a row without a time is as
 * the oldest.  Weights count by their ratios alone, so any moment does; without a cut it moves
 * on every eight half-lives only, that a job that goes on finds the same weights.
 */
static char *
fading(const GraphDefinition *definition, Oid relation)
{
	char	   *half_life = psprintf("EXTRACT(epoch FROM %s::pg_catalog.interval)::pg_catalog.float8",
									 quote_literal_cstr(definition->half_life));
	char	   *moment = psprintf("%.6f::pg_catalog.float8", definition->until);

	source_column(relation, definition->time_column, "time_column");
	if (!definition->has_until)
		moment = psprintf("pg_catalog.floor(EXTRACT(epoch FROM pg_catalog.now())::pg_catalog.float8 "
						  "OPERATOR(pg_catalog./) (8 OPERATOR(pg_catalog.*) %s)) OPERATOR(pg_catalog.*) (8 OPERATOR(pg_catalog.*) %s)",
						  half_life, half_life);
	return psprintf(" OPERATOR(pg_catalog.*) pg_catalog.power(2::pg_catalog.float8, GREATEST('-120'::pg_catalog.float8, "
					"LEAST(8::pg_catalog.float8, COALESCE((EXTRACT(epoch FROM %s::pg_catalog.timestamptz)::pg_catalog.float8 "
					"OPERATOR(pg_catalog.-) (%s)) OPERATOR(pg_catalog./) %s, '-120'))))",
					quote_identifier(definition->time_column), moment, half_life);
}

/* What an interaction weighs. */
static char *
weight_expression(const GraphDefinition *definition, Oid relation)
{
	if (definition->weight_column != NULL)
		source_column(relation, definition->weight_column, "weight_column");
	return psprintf("%s%s", definition->weight_column == NULL ? "1::pg_catalog.float8" :
					psprintf("%s::pg_catalog.float8", quote_identifier(definition->weight_column)),
					definition->half_life == NULL ? "" : fading(definition, relation));
}

/* The keys, and the weight where there is one. */
static char *
interaction_columns(const GraphDefinition *definition, Oid relation)
{
	StringInfoData list;

	initStringInfo(&list);
	appendStringInfoString(&list, quote_identifier(definition->user_column));
	appendStringInfo(&list, ", %s", quote_identifier(definition->object_column));
	if (graph_is_weighted(definition))
		appendStringInfo(&list, ", %s", weight_expression(definition, relation));
	return list.data;
}

/* SELECT <select> FROM interactions of these behaviours, $1 when there are any, WHERE the other filters. */
static char *
filtered_query(const GraphDefinition *definition, ArrayType *behaviors, const char *select, const char *extra,
			   int *n, Oid **types, Datum **values)
{
	Oid			relation = source_relation(definition->interactions, definition->apply_row_security);
	QueryParts	parts = {.n = 0};

	check_key_column(definition, relation, definition->user_column, definition->user_key_type, "user_column");
	check_key_column(definition, relation, definition->object_column, definition->object_key_type,
					 "object_column");
	parts.types = palloc(sizeof(Oid) * (MOST_FILTERS + GRAPH_QUERY_SPARE));
	parts.values = palloc(sizeof(Datum) * (MOST_FILTERS + GRAPH_QUERY_SPARE));
	initStringInfo(&parts.conditions);
	if (definition->behavior_column != NULL)
		filter_behaviors(definition, behaviors, relation, &parts);
	if (definition->value_column != NULL)
		filter_value(definition, relation, &parts);
	if (definition->since != NULL)
		filter_window(definition, relation, &parts);
	if (definition->has_until)
		filter_future(definition, relation, &parts);
	if (extra != NULL)
		add_condition(&parts, extra);

	*n = parts.n;
	*types = parts.types;
	*values = parts.values;
	return psprintf("SELECT %s FROM %s%s", select, relation_qualified_name(relation), parts.conditions.data);
}

/* See graph_definition.h. */
char *
graph_filtered_query(const GraphDefinition *definition, const char *select, const char *extra,
					 int *n, Oid **types, Datum **values)
{
	ArrayType  *behaviors = definition->predicted != NULL ? definition->predicted : definition->behaviors;

	return filtered_query(definition, behaviors, select, extra, n, types, values);
}

/* Place of a row's behaviour among $1, from 1. */
static char *
behavior_place(const GraphDefinition *definition)
{
	return psprintf("pg_catalog.array_position($1, %s::pg_catalog.text)", quote_identifier(definition->behavior_column));
}

/* See graph_definition.h. */
char *
graph_behaviors_query(const GraphDefinition *definition, const char *extra, int *n, Oid **types, Datum **values)
{
	const char *place = behavior_place(definition);
	Oid			relation = source_relation(definition->interactions, definition->apply_row_security);
	StringInfoData select;
	char	   *query;

	filtered_query(definition, definition->behaviors, "1", NULL, n, types, values);
	initStringInfo(&select);
	appendStringInfo(&select, "%s, %s, %s", quote_identifier(definition->user_column),
					 quote_identifier(definition->object_column), weight_expression(definition, relation));
	if (!definition->typed)
		appendStringInfo(&select, " OPERATOR(pg_catalog.*) ($%d)[%s]", *n + 1, place);
	appendStringInfo(&select, ", %s", place);
	query = filtered_query(definition, definition->behaviors, select.data, extra, n, types, values);
	if (!definition->typed)
		(*types)[*n] = FLOAT8ARRAYOID;
	if (!definition->typed)
		(*values)[(*n)++] = PointerGetDatum(definition->behavior_weights);
	return query;
}

/* See graph_definition.h. */
char *
graph_links_query(const GraphDefinition *definition, const char *extra, int *n, Oid **types, Datum **values)
{
	const char *select = psprintf("%s, %s, %s", quote_identifier(definition->user_column),
								  quote_identifier(definition->object_column), behavior_place(definition));

	return filtered_query(definition, definition->behaviors, select, extra, n, types, values);
}

/* See graph_definition.h. */
char **
text_array_words(ArrayType *array, int *n)
{
	Datum	   *elements;
	int			count;
	char	  **words;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, NULL, &count);
	words = palloc0((count + 1) * sizeof(char *));
	for (int i = 0; i < count; i++)
		words[i] = TextDatumGetCString(elements[i]);
	if (n != NULL)
		*n = count;
	return words;
}

/* See graph_definition.h. */
int
graph_predicted_set(const GraphDefinition *definition)
{
	char	  **names = text_array_words(definition->behaviors, NULL);
	int			set = 0;

	for (char **word = text_array_words(definition->predicted, NULL); *word != NULL; word++)
		for (int i = 0; names[i] != NULL; i++)
			set |= strcmp(names[i], *word) == 0 ? 1 << i : 0;
	return set;
}

/* The query that reads the interactions; see graph_definition.h. */
char *
graph_interactions_query(const GraphDefinition *definition, const char *extra,
						 int *n, Oid **types, Datum **values)
{
	Oid			relation = source_relation(definition->interactions, definition->apply_row_security);

	return graph_filtered_query(definition, interaction_columns(definition, relation), extra,
								n, types, values);
}
