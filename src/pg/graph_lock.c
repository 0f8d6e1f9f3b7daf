/*
 * graph_lock.c
 *		One session at a time trains or drops a graph or a target.
 *
 * An advisory lock, because a row lock would make readers of the catalog wait: key 1
 * names this extension, key 2 is a hash of the graph's name.  Two graphs of the same
 * hash cannot be trained at the same time; that is all a collision does.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/builtins.h"

#include "pg/graph_lock.h"
#include "pg/reader.h"

#define GRAPH_CLASS 0x62706772	/* "bpgr" */
#define TARGET_CLASS 0x62707467	/* "bptg" */
#define TWO_KEYS 2				/* how pg_locks marks advisory locks with two keys */

/* Row function of lock_holder(). */
static void
keep_pid(void *argument, Datum *values, bool *nulls)
{
	*(int *) argument = DatumGetInt32(values[0]);
}

/* The process that holds the lock, 0 when it has let go meanwhile. */
static int
lock_holder(int class, uint32 key)
{
	Oid			types[] = {INT8OID, INT8OID, OIDOID};
	Datum		values[] = {Int64GetDatum(class), Int64GetDatum(key), ObjectIdGetDatum(MyDatabaseId)};
	int			pid = 0;

	read_rows("SELECT pid FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory' "
			  "AND granted AND objsubid OPERATOR(pg_catalog.=) 2 "
			  "AND classid::pg_catalog.int8 OPERATOR(pg_catalog.=) $1 "
			  "AND objid::pg_catalog.int8 OPERATOR(pg_catalog.=) $2 "
			  "AND database OPERATOR(pg_catalog.=) $3", lengthof(types), types, values, NULL, keep_pid, &pid);
	return pid;
}

/* Take the lock of a graph or target until the end of the transaction, or say who has it. */
static void
take_lock(int class, const char *kind, const char *name)
{
	uint32		key = hash_bytes((const unsigned char *) name, (int) strlen(name));
	LOCKTAG		tag;
	int			pid;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, class, key, TWO_KEYS);
	if (LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL)
		return;

	pid = lock_holder(class, key);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("%s \"%s\" is being trained or dropped by another session", kind, name),
			 pid == 0 ? errdetail("That session has just ended.") :
			 errdetail("Process %d holds its lock until its transaction ends.", pid),
			 pid == 0 ? errhint("Run the statement again.") :
			 errhint("Wait for it, or stop it: SELECT pg_cancel_backend(%d);", pid)));
}

/* See graph_lock.h. */
void
graph_lock(const GraphDefinition *definition)
{
	take_lock(GRAPH_CLASS, "graph", definition->name);
}

/* See graph_lock.h. */
void
target_lock(const TargetDefinition *definition)
{
	take_lock(TARGET_CLASS, "target", definition->name);
}
