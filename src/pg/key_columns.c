/*
 * key_columns.c
 *		Which column of a relation holds the keys of users or objects.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/graph_definition.h"
#include "pg/keys.h"

PG_FUNCTION_INFO_V1(behavpred_feature_key);

/* Complain about keys that can never equal the graph's. */
static void
check_key_type(Oid relation, const char *column, Oid type, Oid key_type)
{
	if (!key_types_match(type, key_type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of \"%s\" is of type %s, but the keys of the graph are of type %s",
						column, relation_display_name(relation), format_type_be(type),
						format_type_be(key_type)),
				 errhint("Read it through a view that casts the column, as in %s::%s.",
						 quote_identifier(column), format_type_be(key_type))));
}

/* The column of keys in a feature table; see graph_definition.h. */
char *
feature_key_column(Oid relation, const char *column, Oid key_type, const char *argument)
{
	char	   *key = NULL;

	if (source_has_column(relation, column, NULL))
		key = pstrdup(column);
	else if (get_rel_relkind(relation) == RELKIND_RELATION ||
			 get_rel_relkind(relation) == RELKIND_PARTITIONED_TABLE)
		key = source_primary_key(relation);
	if (key == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("\"%s\" has no column of keys", relation_display_name(relation)),
				 errdetail("%s needs a column \"%s\", or a primary key of one column. Its columns are: %s.",
						   argument, column, source_column_list(relation)),
				 errhint("Read it through a view that names the column \"%s\".", column)));
	check_key_type(relation, key, source_key_column(relation, key, argument), key_type);
	return key;
}

/* feature_key(relation, key_column, key_type, argument) */
Datum
behavpred_feature_key(PG_FUNCTION_ARGS)
{
	char	   *key = feature_key_column(PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(1)),
										 key_type_from_name(text_to_cstring(PG_GETARG_TEXT_PP(2))),
										 text_to_cstring(PG_GETARG_TEXT_PP(3)));

	return DirectFunctionCall1(namein, CStringGetDatum(key));
}

/* The only column, NULL when there are more. */
static char *
only_column(Oid relation)
{
	const char **columns = source_columns(relation);

	return columns[0] != NULL && columns[1] == NULL ? pstrdup(columns[0]) : NULL;
}

/* The column of user keys in a relation of users; see graph_definition.h. */
char *
user_key_column(const GraphDefinition *definition, Oid relation, const char *what)
{
	char	   *column = NULL;

	if (source_has_column(relation, definition->user_column, NULL))
		column = pstrdup(definition->user_column);
	else
		column = only_column(relation);
	if (column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("\"%s\" has no column of users", relation_display_name(relation)),
				 errdetail("%s needs a column \"%s\", or one column only. Its columns are: %s.",
						   what, definition->user_column, source_column_list(relation)),
				 errhint("Read it through a view that names the column \"%s\".", definition->user_column)));
	check_key_type(relation, column, source_key_column(relation, column, what), definition->user_key_type);
	return column;
}
