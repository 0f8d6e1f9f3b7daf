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
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "pg/graph_lock.h"
#include "pg/progress.h"
#include "pg/reader.h"

#define GRAPH_CLASS 0x62706772	/* "bpgr" */
#define TARGET_CLASS 0x62707467	/* "bptg" */
#define USE_CLASS 0x62707573	/* "bpus": targets of a graph are worked on */
#define VECTORS_CLASS 0x62707663	/* "bpvc" */
#define WRITE_CLASS 0x62707772	/* "bpwr" */
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

/* What a refusal says. */
typedef struct LockWords
{
	const char *kind;
	const char *state;			/* of the object */
	const char *query;			/* one row while it is there */
} LockWords;

static const LockWords graph_words = {
	"graph", "is being trained or dropped by another session",
	"SELECT 1 FROM behavpred.registered_graph WHERE graph OPERATOR(pg_catalog.=) $1"
};

static const LockWords target_words = {
	"target", "is being trained or dropped by another session",
	"SELECT 1 FROM behavpred.registered_target WHERE target OPERATOR(pg_catalog.=) $1"
};

static const LockWords held_words = {
	"graph", "is in use by another session, which works on one of its targets, or drops it", NULL
};

/* Nothing to do for a row. */
static void
ignore_row(void *argument, Datum *values, bool *nulls)
{
}

/* The definition was read before the lock was there: a drop may have come in between. */
static void
check_still_there(const LockWords *words, const char *name)
{
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(name);
	uint64		rows;

	PushActiveSnapshot(GetLatestSnapshot());
	rows = read_rows(words->query, 1, &type, &value, NULL, ignore_row, NULL);
	PopActiveSnapshot();
	if (rows == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s \"%s\" was dropped by another session meanwhile", words->kind, name),
				 errhint("Create it again with behavpred.create_%s().", words->kind)));
}

/* The lock is taken: say by whom. */
static void
refuse(const LockWords *words, const char *name, const Holder *holder)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("%s \"%s\" %s", words->kind, name, words->state),
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
take_lock(int class, LOCKMODE mode, const LockWords *words, const char *name, bool for_session)
{
	LOCKTAG		tag = lock_tag(class, name);
	Holder		holder;

	if (LockAcquire(&tag, mode, for_session, true) != LOCKACQUIRE_NOT_AVAIL)
		return;
	holder = lock_holder(class, tag.locktag_field3);
	refuse(words, name, &holder);
}

/* See graph_lock.h. */
void
graph_lock(const GraphDefinition *definition)
{
	take_lock(GRAPH_CLASS, ExclusiveLock, &graph_words, definition->name, false);
	check_still_there(&graph_words, definition->name);
}

/* See graph_lock.h. */
void
graph_lock_for_session(const char *graph)
{
	take_lock(GRAPH_CLASS, ExclusiveLock, &graph_words, graph, true);
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
graph_hold(const GraphDefinition *definition)
{
	take_lock(USE_CLASS, ShareLock, &held_words, definition->name, false);
	check_still_there(&graph_words, definition->name);
}

/* See graph_lock.h. */
void
graph_lock_for_drop(const GraphDefinition *definition)
{
	graph_lock(definition);
	take_lock(USE_CLASS, ExclusiveLock, &held_words, definition->name, false);
}

/* Take a lock, waiting for it. */
static void
wait_for_lock(int class, LOCKMODE mode, const char *name)
{
	LOCKTAG		tag = lock_tag(class, name);

	LockAcquire(&tag, mode, false, false);
}

/* See graph_lock.h. */
void
graph_hold_vectors(const char *graph)
{
	wait_for_lock(VECTORS_CLASS, ShareLock, graph);
}

/* See graph_lock.h. */
void
graph_replace_vectors(const char *graph)
{
	wait_for_lock(VECTORS_CLASS, ExclusiveLock, graph);
}

/* See graph_lock.h. */
void
graph_write_vectors(const char *graph)
{
	wait_for_lock(WRITE_CLASS, ExclusiveLock, graph);
}

/* See graph_lock.h. */
void
target_lock(const TargetDefinition *definition)
{
	take_lock(TARGET_CLASS, ExclusiveLock, &target_words, definition->name, false);
	check_still_there(&target_words, definition->name);
}
