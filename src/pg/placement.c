/*
 * placement.c
 *		Where the rows of a relation lie: here, in partitions, on other servers.
 */
#include "postgres.h"

#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace_d.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

#include "pg/placement.h"
#include "pg/reader.h"
#include "pg/source.h"

/* Row function: there is one. */
static void
note_row(void *argument, Datum *values, bool *nulls)
{
	*(bool *) argument = true;
}

/* See placement.h.  The catalog is there when the extension is. */
bool
relation_is_distributed(Oid relation)
{
	Oid			type = OIDOID;
	Datum		value = ObjectIdGetDatum(relation);
	bool		found = false;

	if (OidIsValid(get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE)))
		read_rows("SELECT 1 FROM pg_catalog.pg_dist_partition WHERE logicalrelid OPERATOR(pg_catalog.=) $1",
				  1, &type, &value, NULL, note_row, &found);
	return found;
}

/* See placement.h. */
bool
relation_is_spread(Oid relation)
{
	char		kind = get_rel_relkind(relation);

	return kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_FOREIGN_TABLE || relation_is_distributed(relation);
}

/* May the caller SELECT all rows of it? */
static bool
reads_freely(Oid relation)
{
	return pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) == ACLCHECK_OK &&
		check_enable_rls(relation, InvalidOid, true) != RLS_ENABLED;
}

/* See placement.h. */
List *
relation_pieces(Oid relation)
{
	List	   *pieces = NIL;
	ListCell   *cell;

	if (get_rel_relkind(relation) != RELKIND_PARTITIONED_TABLE || !reads_freely(relation) ||
		relation_is_distributed(relation))
		return list_make1_oid(relation);
	foreach(cell, find_all_inheritors(relation, AccessShareLock, NULL))
	{
		Oid			piece = lfirst_oid(cell);

		if (get_rel_relkind(piece) == RELKIND_PARTITIONED_TABLE)
			continue;
		if (!reads_freely(piece))
			return list_make1_oid(relation);
		pieces = lappend_oid(pieces, piece);
	}
	return pieces == NIL ? list_make1_oid(relation) : pieces;
}

/* See placement.h. */
char *
pieces_query(List *pieces, const char *select, const char *rest)
{
	StringInfoData query;
	ListCell   *cell;

	initStringInfo(&query);
	foreach(cell, pieces)
		appendStringInfo(&query, "%s(SELECT %s FROM %s%s)", query.len == 0 ? "" : " UNION ALL ", select,
						 relation_qualified_name(lfirst_oid(cell)), rest);
	return query.data;
}
