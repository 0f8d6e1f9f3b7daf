/*
 * graph_validation.c
 *		The checks of create_graph() before anything is read.
 */
#include "postgres.h"

#include <ctype.h>
#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/feature_columns.h"
#include "pg/graph_validation.h"
#include "pg/keys.h"

#define LONGEST_GRAPH_NAME 40	/* so that <graph>_object_embedding fits in a name */

/* A name that can be part of a table's name without surprises. */
static void
check_graph_name(const char *name)
{
	size_t		length = strlen(name);
	bool		valid = length >= 1 && length <= LONGEST_GRAPH_NAME && !isdigit((unsigned char) name[0]);

	for (size_t i = 0; i < length; i++)
		valid &= name[i] == '_' || (isascii((unsigned char) name[i]) && isalnum((unsigned char) name[i]));
	if (!valid)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is not a name for a graph", name),
				 errdetail("A name has 1 to %d letters a-z, A-Z, digits and underscores, and does not start with a digit.",
						   LONGEST_GRAPH_NAME),
				 errhint("Choose a name such as \"shop_purchases\".")));
}

/* Two arguments that are given together or not at all. */
static void
check_pair(const char *column, bool has_column, const char *value, bool has_value)
{
	if (has_column != has_value)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is given without %s", has_column ? column : value, has_column ? value : column),
				 errhint("Give both, as in: %s => '...', %s => ...", column, value)));
}

/* Complain about a column whose type does not serve. */
static void
wrong_type(Oid relation, const char *column, const char *argument, Oid type, const char *expected)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("column \"%s\" of \"%s\" is of type %s", column, relation_display_name(relation),
					format_type_be(type)),
			 errdetail("%s must be %s.", argument, expected),
			 errhint("Name another column, or read it through a view that casts it.")));
}

/* True for what casts to float8. */
static bool
is_number(Oid type)
{
	return type == INT2OID || type == INT4OID || type == INT8OID || type == FLOAT4OID ||
		type == FLOAT8OID || type == NUMERICOID;
}

/* The keys: supported types, two columns, names that the embedding tables leave free. */
static void
check_keys(GraphDefinition *definition, Oid interactions)
{
	const char *columns[] = {definition->user_column, definition->object_column};

	definition->user_key_type = source_key_column(interactions, definition->user_column, "user_column");
	definition->object_key_type = source_key_column(interactions, definition->object_column, "object_column");
	if (strcmp(definition->user_column, definition->object_column) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("user_column and object_column are both \"%s\"", definition->user_column),
				 errhint("Name the column of users and the column of objects.")));
	for (int i = 0; i < lengthof(columns); i++)
		if (strcmp(columns[i], "embedding") == 0 || strcmp(columns[i], "degree") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_RESERVED_NAME),
					 errmsg("a column of keys cannot be named \"%s\"", columns[i]),
					 errdetail("The embedding tables have a column of this name beside the key."),
					 errhint("Read the interactions through a view that names it otherwise.")));
}

/* behavior_column and behaviors. */
static void
check_behaviors(const GraphDefinition *definition, Oid interactions)
{
	check_pair("behavior_column", definition->behavior_column != NULL,
			   "behaviors", definition->behaviors != NULL);
	if (definition->behavior_column == NULL)
		return;
	source_column(interactions, definition->behavior_column, "behavior_column");
	if (ArrayGetNItems(ARR_NDIM(definition->behaviors), ARR_DIMS(definition->behaviors)) == 0 ||
		array_contains_nulls(definition->behaviors))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("behaviors is empty or contains NULL"),
				 errhint("Name at least one, as in: behaviors => '{purchase}'.")));
}

/* value_column and min_value. */
static void
check_value(const GraphDefinition *definition, Oid interactions)
{
	Oid			type;

	check_pair("value_column", definition->value_column != NULL, "min_value", definition->has_min_value);
	if (definition->value_column == NULL)
		return;
	type = source_column(interactions, definition->value_column, "value_column");
	if (!is_number(type) && type != INTERVALOID)
		wrong_type(interactions, definition->value_column, "value_column", type,
				   "a number, or an interval (which counts in seconds)");
	if (!isfinite(definition->min_value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("min_value is not finite"),
				 errhint("Give a number, or leave value_column and min_value out.")));
}

/* weight_column, time_column and since. */
static void
check_weight_and_time(const GraphDefinition *definition, const GraphSources *sources)
{
	static Interval none = {0};
	Oid			type;

	if (definition->weight_column != NULL)
	{
		type = source_column(sources->interactions, definition->weight_column, "weight_column");
		if (!is_number(type))
			wrong_type(sources->interactions, definition->weight_column, "weight_column", type, "a number");
	}
	if (definition->time_column != NULL)
	{
		type = source_column(sources->interactions, definition->time_column, "time_column");
		if (type != TIMESTAMPTZOID && type != TIMESTAMPOID && type != DATEOID)
			wrong_type(sources->interactions, definition->time_column, "time_column", type,
					   "a timestamp with or without time zone, or a date");
	}
	if (sources->since == NULL)
		return;
	if (definition->time_column == NULL)
		check_pair("time_column", false, "since", true);
	if (DatumGetBool(DirectFunctionCall2(interval_le, IntervalPGetDatum(sources->since),
										 IntervalPGetDatum(&none))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("since is not above zero"),
				 errhint("Give how far to look back, as in: since => '90 days'.")));
}

/* One feature table, with its columns, or with all that can be features. */
static void
check_features(Oid relation, ArrayType **features, const char *column, Oid key_type,
			   const char *argument, const char *features_argument, bool apply_row_security)
{
	char	   *key;

	if (!OidIsValid(relation))
	{
		if (*features != NULL)
			check_pair(argument, false, features_argument, true);
		return;
	}
	source_check(relation, apply_row_security);
	key = feature_key_column(relation, column, key_type, argument);
	if (*features == NULL)
		*features = feature_columns_usable(relation, key);
	if (ArrayGetNItems(ARR_NDIM(*features), ARR_DIMS(*features)) == 0 || array_contains_nulls(*features))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s has no columns", features_argument),
				 errdetail("\"%s\" has the columns: %s.", relation_display_name(relation),
						   source_column_list(relation)),
				 errhint("Name columns, as in: %s => '{age,country}', or leave %s out.",
						 features_argument, argument)));
}

/* Check everything, fill in what follows; see graph_validation.h. */
void
graph_validate(GraphDefinition *definition, const GraphSources *sources)
{
	check_graph_name(definition->name);
	source_check(sources->interactions, definition->apply_row_security);
	check_keys(definition, sources->interactions);
	check_behaviors(definition, sources->interactions);
	check_value(definition, sources->interactions);
	check_weight_and_time(definition, sources);
	check_features(sources->users, &definition->user_features, definition->user_column,
				   definition->user_key_type, "users", "user_features", definition->apply_row_security);
	check_features(sources->objects, &definition->object_features, definition->object_column,
				   definition->object_key_type, "objects", "object_features",
				   definition->apply_row_security);

	definition->interactions = relation_qualified_name(sources->interactions);
	if (OidIsValid(sources->users))
		definition->users = relation_qualified_name(sources->users);
	if (OidIsValid(sources->objects))
		definition->objects = relation_qualified_name(sources->objects);
}
