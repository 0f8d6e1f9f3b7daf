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
#include "utils/timestamp.h"

#include "pg/graph_lock.h"
#include "pg/progress.h"
#include "pg/reader.h"

#define GRAPH_CLASS 0x62706772	/* "bpgr" */
#define TARGET_CLASS 0x62707467	/* "bptg" */
#define TWO_KEYS 2				/* how pg_locks marks advisory locks with two keys */

/* Who holds a lock. */
typedef struct Holder
{
	int			pid;			/* 0 = nobody any more */
	NameData	role;			/* "" when it is not known */
	TimestampTz since;			/* of its transaction; 0 when it is not known */
} Holder;

/* Row function of lock_holder(). */
static void
keep_holder(void *argument, Datum *values, bool *nulls)
{
	Holder	   *holder = argument;

	holder->pid = DatumGetInt32(values[0]);
	if (!nulls[1])
		holder->role = *DatumGetName(values[1]);
	holder->since = nulls[2] ? 0 : DatumGetTimestampTz(values[2]);
}

/* The process that holds the lock. */
static Holder
lock_holder(int class, uint32 key)
{
	Oid			types[] = {INT8OID, INT8OID, OIDOID};
	Datum		values[] = {Int64GetDatum(class), Int64GetDatum(key), ObjectIdGetDatum(MyDatabaseId)};
	Holder		holder = {0};

	read_rows("SELECT l.pid, a.usename, a.xact_start FROM pg_catalog.pg_locks l "
			  "LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid OPERATOR(pg_catalog.=) l.pid "
			  "WHERE l.locktype OPERATOR(pg_catalog.=) 'advisory' "
			  "AND l.granted AND l.objsubid OPERATOR(pg_catalog.=) 2 "
			  "AND l.classid::pg_catalog.int8 OPERATOR(pg_catalog.=) $1 "
			  "AND l.objid::pg_catalog.int8 OPERATOR(pg_catalog.=) $2 "
			  "AND l.database OPERATOR(pg_catalog.=) $3", lengthof(types), types, values, NULL, keep_holder, &holder);
	return holder;
}

/* Since when: a procedure has many transactions, so its progress knows better. */
static const char *
holder_since(const Holder *holder)
{
	TimestampTz started = progress_started(holder->pid);

	if (started == 0)
		started = holder->since;
	return started == 0 ? "" : psprintf(" since %s", timestamptz_to_str(started));
}

/* The lock is taken: say by whom. */
static void
refuse(const char *kind, const char *name, const Holder *holder)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("%s \"%s\" is being trained or dropped by another session", kind, name),
			 holder->pid == 0 ? errdetail("That session has just ended.") :
			 errdetail("Process %d of role \"%s\" has its lock%s.", holder->pid, NameStr(holder->role),
					   holder_since(holder)),
			 holder->pid == 0 ? errhint("Run the statement again.") :
			 errhint("Wait for it, or stop it: SELECT pg_cancel_backend(%d);", holder->pid)));
}

/* The lock of a graph or target. */
static LOCKTAG
lock_tag(int class, const char *name)
{
	uint32		key = hash_bytes((const unsigned char *) name, (int) strlen(name));
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, class, key, TWO_KEYS);
	return tag;
}

/* Take a lock until the end of the transaction or of the session, or say who has it. */
static void
take_lock(int class, const char *kind, const char *name, bool for_session)
{
	LOCKTAG		tag = lock_tag(class, name);
	Holder		holder;

	if (LockAcquire(&tag, ExclusiveLock, for_session, true) != LOCKACQUIRE_NOT_AVAIL)
		return;
	holder = lock_holder(class, tag.locktag_field3);
	refuse(kind, name, &holder);
}

/* See graph_lock.h. */
void
graph_lock(const GraphDefinition *definition)
{
	take_lock(GRAPH_CLASS, "graph", definition->name, false);
}

/* See graph_lock.h. */
void
graph_lock_for_session(const char *graph)
{
	take_lock(GRAPH_CLASS, "graph", graph, true);
}

/* See graph_lock.h. */
void
graph_unlock_for_session(const char *graph)
{
	LOCKTAG		tag = lock_tag(GRAPH_CLASS, graph);

	LockRelease(&tag, ExclusiveLock, true);
}

/* See graph_lock.h. */
void
target_lock(const TargetDefinition *definition)
{
	take_lock(TARGET_CLASS, "target", definition->name, false);
}
