/*
 * granted_privilege.c
 *		What the current role has been granted, for policies and views.
 *
 * Policies ask this for each row of another role, so it reads the tables by their indexes,
 * without a plan: a statement that predicts with a model of another asks three times.  Row
 * security of these tables is not in the way: rows that it would hide give nothing here,
 * because the grantee must be a role of the caller.
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_collation.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "pg/privileges.h"

PG_FUNCTION_INFO_V1(behavpred_privilege_on);
PG_FUNCTION_INFO_V1(behavpred_privilege_near);
PG_FUNCTION_INFO_V1(behavpred_privilege_on_target);

/* Columns of the tables, as their CREATE TABLE has them. */
#define GRANT_GRAPH 1
#define GRANT_TARGET 2
#define GRANT_PRIVILEGE 3
#define GRANT_GRANTEE 4
#define GRANT_OWNER 5
#define TARGET_TARGET 1
#define TARGET_GRAPH 2
#define TARGET_OWNER 3

/* The rows of a table of the extension with this text in the first column of an index. */
typedef struct TextScan
{
	Relation	table;
	Snapshot	snapshot;
	ScanKeyData key;
	SysScanDesc scan;
} TextScan;

static Oid
extension_relation(const char *name)
{
	Oid			relation = get_relname_relid(name, get_namespace_oid("behavpred", false));

	if (!OidIsValid(relation))
		elog(ERROR, "relation behavpred.%s does not exist", name);
	return relation;
}

static void
open_scan(TextScan *scan, const char *table, const char *index, AttrNumber column, Datum value)
{
	scan->table = table_open(extension_relation(table), AccessShareLock);
	ScanKeyEntryInitialize(&scan->key, 0, column, BTEqualStrategyNumber, InvalidOid, DEFAULT_COLLATION_OID,
						   F_TEXTEQ, value);
	/* a procedure between two transactions has none that is active */
	scan->snapshot = RegisterSnapshot(ActiveSnapshotSet() ? GetActiveSnapshot() : GetTransactionSnapshot());
	scan->scan = systable_beginscan(scan->table, extension_relation(index), true, scan->snapshot, 1, &scan->key);
}

static void
close_scan(TextScan *scan)
{
	systable_endscan(scan->scan);
	UnregisterSnapshot(scan->snapshot);
	table_close(scan->table, AccessShareLock);
}

static bool
same_text(Datum a, Datum b)
{
	return DatumGetBool(DirectFunctionCall2Coll(texteq, DEFAULT_COLLATION_OID, a, b));
}

static bool
same_name(Datum a, Datum b)
{
	return strcmp(NameStr(*DatumGetName(a)), NameStr(*DatumGetName(b))) == 0;
}

/* A column that is never NULL. */
static Datum
column_value(HeapTuple row, TupleDesc description, AttrNumber column)
{
	bool		null;

	return heap_getattr(row, column, description, &null);
}

/* Does a grant to this name reach the current role? */
static bool
reaches_caller(const char *grantee)
{
	Oid			role;

	if (strcmp(grantee, "public") == 0)
		return true;
	role = get_role_oid(grantee, true);
	return OidIsValid(role) && has_privs_of_role(GetUserId(), role);
}

static Privilege
privilege_level(Datum word)
{
	char	   *privilege = TextDatumGetCString(word);
	Privilege	level = PRIVILEGE_TRAIN;

	while (level > PRIVILEGE_NONE && strcmp(privilege, privilege_word(level)) != 0)
		level--;
	pfree(privilege);
	return level;
}

/* Is it a grant on the target, or on the graph as a whole?  Anything is near the graph. */
static bool
covers(HeapTuple row, TupleDesc description, Datum target, bool has_target, bool near)
{
	bool		whole;
	Datum		of_target = heap_getattr(row, GRANT_TARGET, description, &whole);

	return near || whole || (has_target && same_text(of_target, target));
}

/* See privileges.h. */
Privilege
granted_level(Datum owner, Datum graph, Datum target, bool has_target, bool near)
{
	Privilege	most = PRIVILEGE_NONE;
	TextScan	scan;
	HeapTuple	row;

	open_scan(&scan, "granted_privilege", "granted_privilege_key", GRANT_GRAPH, graph);
	while (HeapTupleIsValid(row = systable_getnext(scan.scan)))
	{
		TupleDesc	description = RelationGetDescr(scan.table);

		if (same_name(column_value(row, description, GRANT_OWNER), owner) &&
			covers(row, description, target, has_target, near) &&
			reaches_caller(NameStr(*DatumGetName(column_value(row, description, GRANT_GRANTEE)))))
			most = Max(most, privilege_level(column_value(row, description, GRANT_PRIVILEGE)));
	}
	close_scan(&scan);
	return most;
}

/* privilege_on(owner, graph, target) */
Datum
behavpred_privilege_on(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		PG_RETURN_INT32(PRIVILEGE_NONE);
	PG_RETURN_INT32(granted_level(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2), !PG_ARGISNULL(2), false));
}

/* privilege_near(owner, graph) */
Datum
behavpred_privilege_near(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT32(granted_level(PG_GETARG_DATUM(0), PG_GETARG_DATUM(1), (Datum) 0, false, true));
}

/* privilege_on_target(owner, target) */
Datum
behavpred_privilege_on_target(PG_FUNCTION_ARGS)
{
	int			level = PRIVILEGE_NONE;
	TextScan	scan;
	HeapTuple	row;

	open_scan(&scan, "registered_target", "registered_target_pkey", TARGET_TARGET, PG_GETARG_DATUM(1));
	row = systable_getnext(scan.scan);
	if (HeapTupleIsValid(row))
	{
		TupleDesc	description = RelationGetDescr(scan.table);

		if (same_name(column_value(row, description, TARGET_OWNER), PG_GETARG_DATUM(0)))
			level = granted_level(PG_GETARG_DATUM(0), column_value(row, description, TARGET_GRAPH),
								  PG_GETARG_DATUM(1), true, false);
	}
	close_scan(&scan);
	PG_RETURN_INT32(level);
}
