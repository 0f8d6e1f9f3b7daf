/*
 * source.c
 *		The relations that graphs and targets are read from.
 *
 * Text from the catalog is never put into a query: it is parsed as a name, looked up,
 * and quoted anew, so that a row which somebody has written by hand runs nothing.
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "nodes/bitmapset.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/varlena.h"

#include "pg/keys.h"
#include "pg/options.h"
#include "pg/source.h"

/* Quoted, schema-qualified name of a relation. */
char *
relation_qualified_name(Oid relation)
{
	char	   *name = get_rel_name(relation);

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation with OID %u does not exist", relation),
				 errhint("Give the name of a table or view.")));
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)), name);
}

/* The bare name, as PostgreSQL's own messages have it. */
char *
relation_display_name(Oid relation)
{
	return get_rel_name(relation);
}

/* See source.h. */
void
source_tell_temporary(Oid relation)
{
	if (OidIsValid(relation) && get_rel_persistence(relation) == RELPERSISTENCE_TEMP)
		ereport(NOTICE,
				(errmsg("\"%s\" is temporary", relation_display_name(relation)),
				 errdetail("It goes with this session, and what is created from it can be used in no other."),
				 errhint("CREATE TABLE ... AS SELECT * FROM %s; and name that instead.",
						 quote_identifier(relation_display_name(relation)))));
}

/* True for what SELECT can read rows from. */
static bool
is_readable(Oid relation)
{
	char		kind = get_rel_relkind(relation);

	return kind == RELKIND_RELATION || kind == RELKIND_VIEW || kind == RELKIND_MATVIEW ||
		kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_FOREIGN_TABLE;
}

/* Complain unless rows can be read from it. */
void
source_check(Oid relation, bool apply_row_security)
{
	if (!is_readable(relation))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("%s has no rows to read", relation_qualified_name(relation)),
				 errdetail("It may be a table, view, materialized view, partitioned or foreign table."),
				 errhint("Give the name of a table or view.")));
	if (!apply_row_security && check_enable_rls(relation, InvalidOid, true) == RLS_ENABLED)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security would hide rows of \"%s\"", relation_display_name(relation)),
				 errdetail("Its policies apply to role \"%s\", and the graph says row_security => 'error'.",
						   GetUserNameFromId(GetUserId(), false)),
				 errhint("Work as a role that sees all rows, or create the graph with row_security => 'apply'.")));
}

/* OID of a relation that was stored as text, InvalidOid when it is gone. */
Oid
relation_from_text(const char *relation)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(relation));

	return RangeVarGetRelid(makeRangeVarFromNameList(names), NoLock, true);
}

/* Complain, with the statement that helps, when the caller may not look into the relation's schema. */
static void
check_schema(const char *relation)
{
	List	   *names = textToQualifiedNameList(cstring_to_text(relation));
	const char *schema = strVal(linitial(names));
	Oid			oid = list_length(names) == 2 ? get_namespace_oid(schema, true) : InvalidOid;
	const char *role;

	if (!OidIsValid(oid) ||
		DatumGetBool(DirectFunctionCall2(has_schema_privilege_id, ObjectIdGetDatum(oid), CStringGetTextDatum("USAGE"))))
		return;
	role = GetUserNameFromId(GetUserId(), false);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied for schema %s", schema),
			 errdetail("Source %s is read as role \"%s\".", relation, role),
			 errhint("GRANT USAGE ON SCHEMA %s TO %s; what a grant lacks is in the view behavpred.privileges.",
					 quote_identifier(schema), quote_identifier(role))));
}

/* The same for a relation that is to be read. */
Oid
source_relation(const char *relation, bool apply_row_security)
{
	Oid			oid;

	check_schema(relation);
	oid = relation_from_text(relation);
	if (!OidIsValid(oid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation %s does not exist any more", relation),
				 errhint("Give the relation its name back, or create what reads it anew.")));
	source_check(oid, apply_row_security);
	return oid;
}

/* True when the relation has the column. */
bool
source_has_column(Oid relation, const char *column, Oid *type)
{
	AttrNumber	number = get_attnum(relation, column);

	if (number <= 0)
		return false;			/* not there, or a system column */
	if (type != NULL)
		*type = getBaseType(get_atttype(relation, number));
	return true;
}

/* Names of all columns. */
const char **
source_columns(Oid relation)
{
	Relation	opened = relation_open(relation, AccessShareLock);
	TupleDesc	description = RelationGetDescr(opened);
	const char **names = palloc0((description->natts + 1) * sizeof(char *));
	int			n = 0;

	for (int i = 0; i < description->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(description, i);

		if (!attribute->attisdropped)
			names[n++] = pstrdup(NameStr(attribute->attname));
	}
	relation_close(opened, AccessShareLock);
	return names;
}

/* "a, b, c" */
char *
source_column_list(Oid relation)
{
	StringInfoData list;

	initStringInfo(&list);
	for (const char **name = source_columns(relation); *name != NULL; name++)
		appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "", *name);
	return list.data;
}

/* Base type of a column that has to be there. */
Oid
source_column(Oid relation, const char *column, const char *argument)
{
	Oid			type;

	if (!source_has_column(relation, column, &type))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of \"%s\" does not exist", column, relation_display_name(relation)),
				 errdetail("It is named by %s.", argument),
				 errhint("%s", options_hint(column, source_columns(relation)))));
	return type;
}

/* Base type of a column of keys. */
Oid
source_key_column(Oid relation, const char *column, const char *argument)
{
	Oid			type = source_column(relation, column, argument);

	if (!key_type_supported(type))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of \"%s\" is of type %s, which is not supported for keys",
						column, relation_display_name(relation), format_type_be(type)),
				 errdetail("Keys may be smallint, integer, bigint, text, character varying or uuid."),
				 errhint("Read it through a view that casts the column, as in %s::text.",
						 quote_identifier(column))));
	return type;
}

/* The only column of the primary key. */
char *
source_primary_key(Oid relation)
{
	Relation	opened = relation_open(relation, AccessShareLock);
	Bitmapset  *columns = RelationGetIndexAttrBitmap(opened, INDEX_ATTR_BITMAP_PRIMARY_KEY);
	char	   *name = NULL;
	int			member;

	if (bms_get_singleton_member(columns, &member))
		name = get_attname(relation, member + FirstLowInvalidHeapAttributeNumber, false);
	relation_close(opened, AccessShareLock);
	return name;
}

/* Adds the way out to "query would be affected by row-level security policy". */
static void
reading_error(void *argument)
{
	if (geterrcode() == ERRCODE_INSUFFICIENT_PRIVILEGE)
		errhint("Work as a role that may SELECT all rows, or create the graph with row_security => 'apply'.");
}

/*
 * read_rows() with row_security = off, which turns rows cut by a policy into an error;
 * pg_dump works by the same rule.  The setting goes back at the end, or with the
 * transaction that an error ends.
 */
uint64
source_read(bool apply_row_security, const char *query, int n_arguments, Oid *types, Datum *values,
			RowFunction function, void *argument)
{
	ErrorContextCallback callback = {error_context_stack, reading_error, NULL};
	int			level = NewGUCNestLevel();
	uint64		rows;

	if (!apply_row_security)
		set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION,
						  GUC_ACTION_SAVE, true, 0, false);
	error_context_stack = &callback;
	rows = read_rows(query, n_arguments, types, values, NULL, function, argument);
	error_context_stack = callback.previous;
	AtEOXact_GUC(true, level);
	return rows;
}
