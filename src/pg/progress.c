/*
 * progress.c
 *		Where a long call stands, for other sessions to see.
 *
 * A few kilobytes of the shared memory that the server keeps spare are taken when the
 * first backend asks; no preload is needed.  A slot belongs to the backend that claimed
 * it, which alone writes it, under the slot's spinlock; readers copy it under the same.  Claiming
 * is done under AddinShmemInitLock.  A slot is given back at the end of the call, at the
 * latest when the backend exits; the one of a process that is gone counts as free.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/lwlock.h"
#include "storage/procarray.h"
#include "storage/shmem.h"
#include "storage/spin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "pg/debug_point.h"
#include "pg/progress.h"
#include "pg/result_rows.h"

PG_FUNCTION_INFO_V1(behavpred_progress_slots);

#define SLOTS 16
#define LONGEST_PHASE 32
#define LONGEST_NAME 256		/* 63 characters of any encoding */
#define COLUMNS 11

typedef struct ProgressSlot
{
	slock_t		mutex;			/* for all that follows */
	int			pid;			/* 0 = free */
	Oid			database;
	Oid			role;
	TimestampTz started;
	TimestampTz phase_started;
	int64		phase_first;	/* `done` when the phase began: a resumed training does not start at 0 */
	int64		done;
	int64		total;
	uint64		bytes;
	char		phase[LONGEST_PHASE];
	char		graph[LONGEST_NAME];
	char		target[LONGEST_NAME];
} ProgressSlot;

static ProgressSlot *slots = NULL;	/* in shared memory; NULL before attach() */
static ProgressSlot *my_slot = NULL;
static const char *my_phase = NULL; /* what my_slot->phase was copied from */

/* Find or make the shared memory; the server raises when it has none left. */
static void
attach_or_raise(void)
{
	bool		found;
	ProgressSlot *shared;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	shared = ShmemInitStruct("behavpred progress", SLOTS * sizeof(ProgressSlot), &found);
	if (!found)
	{
		memset(shared, 0, SLOTS * sizeof(ProgressSlot));
		for (int i = 0; i < SLOTS; i++)
			SpinLockInit(&shared[i].mutex);
	}
	LWLockRelease(AddinShmemInitLock);
	slots = shared;
}

/*
 * The same, and false where it raises.  What raises is ShmemInitStruct() alone, which has
 * let its lock go by then, and ours is let go here, so there is nothing else to clean up.
 */
static bool
attach(void)
{
	MemoryContext caller = CurrentMemoryContext;
	uint32		holdoff = InterruptHoldoffCount;

	if (slots != NULL)
		return true;
	PG_TRY();
	{
		attach_or_raise();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		InterruptHoldoffCount = holdoff + 1;	/* the error set it to 0; LWLockRelease() takes one off */
		LWLockRelease(AddinShmemInitLock);
	}
	PG_END_TRY();
	return slots != NULL;
}

/* before_shmem_exit callback. */
static void
close_at_exit(int code, Datum argument)
{
	progress_close();
}

/* A free slot, or that of a process that is gone; NULL when all are taken. */
static ProgressSlot *
free_slot(void)
{
	for (int i = 0; i < SLOTS; i++)
		if (slots[i].pid == 0 || BackendPidGetProc(slots[i].pid) == NULL)
			return &slots[i];
	return NULL;
}

/* Fill a slot that nobody else writes. */
static void
begin_slot(ProgressSlot *slot, const char *graph, const char *target)
{
	ProgressSlot fresh = {
		.database = MyDatabaseId, .role = GetUserId(), .started = GetCurrentTimestamp()
	};

	fresh.phase_started = fresh.started;
	strlcpy(fresh.phase, "starting", LONGEST_PHASE);
	strlcpy(fresh.graph, graph == NULL ? "" : graph, LONGEST_NAME);
	strlcpy(fresh.target, target == NULL ? "" : target, LONGEST_NAME);
	SpinLockAcquire(&slot->mutex);
	fresh.mutex = slot->mutex;
	fresh.pid = MyProcPid;
	*slot = fresh;
	SpinLockRelease(&slot->mutex);
}

/* See progress.h. */
bool
progress_open(const char *graph, const char *target)
{
	static bool watching = false;

	if (my_slot != NULL || !attach())
		return false;
	if (!watching)
		before_shmem_exit(close_at_exit, (Datum) 0);
	watching = true;

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	my_slot = free_slot();
	if (my_slot != NULL)
		begin_slot(my_slot, graph, target);
	LWLockRelease(AddinShmemInitLock);
	my_phase = NULL;
	return my_slot != NULL;
}

/* See progress.h. */
void
progress_close(void)
{
	ProgressSlot *slot = my_slot;

	if (slot == NULL)
		return;
	my_slot = NULL;
	SpinLockAcquire(&slot->mutex);
	slot->pid = 0;
	SpinLockRelease(&slot->mutex);
}

/* See progress.h. */
void
progress_note(const char *phase, int64 done, int64 total, uint64 bytes)
{
	ProgressSlot *slot = my_slot;
	TimestampTz now;

	if (slot == NULL || phase == NULL)
		return;
	now = phase == my_phase ? 0 : GetCurrentTimestamp();
	SpinLockAcquire(&slot->mutex);
	if (phase != my_phase)
	{
		strlcpy(slot->phase, phase, LONGEST_PHASE);
		slot->phase_started = now;
		slot->phase_first = done;
	}
	slot->done = done;
	slot->total = total;
	if (bytes > 0)
		slot->bytes = bytes;
	SpinLockRelease(&slot->mutex);
	my_phase = phase;
}

/* See progress.h. */
void
progress_phase(const char *phase, int64 done, int64 total)
{
	progress_note(phase, done, total, 0);
	debug_point(phase);
}

/* A copy of a slot; false when it belongs to no living process of this database. */
static bool
read_slot(int i, ProgressSlot *copy)
{
	SpinLockAcquire(&slots[i].mutex);
	*copy = slots[i];
	SpinLockRelease(&slots[i].mutex);
	return copy->pid != 0 && copy->database == MyDatabaseId && BackendPidGetProc(copy->pid) != NULL;
}

/* See progress.h. */
TimestampTz
progress_started(int pid)
{
	ProgressSlot slot;

	for (int i = 0; i < SLOTS && attach(); i++)
		if (read_slot(i, &slot) && slot.pid == pid)
			return slot.started;
	return 0;
}

/* The rule of sees_rows_of(): one's own, or everything. */
static bool
may_see(Oid role)
{
	return role == GetUserId() || superuser() || has_bypassrls_privilege(GetUserId());
}

/* Seconds that the phase will take yet, at the pace so far; false when that cannot be said. */
static bool
seconds_left(const ProgressSlot *slot, double *seconds)
{
	double		passed = (GetCurrentTimestamp() - slot->phase_started) / (double) USECS_PER_SEC;
	int64		done = slot->done - slot->phase_first;

	if (done <= 0 || slot->total < slot->done)
		return false;
	*seconds = passed * (slot->total - slot->done) / done;
	return true;
}

/* One row of progress_slots(). */
static void
add_slot(ResultRows *rows, const ProgressSlot *slot)
{
	double		eta = 0;
	bool		knows_total = slot->total > 0;
	char	   *role = GetUserNameFromId(slot->role, true);
	Datum		values[COLUMNS];
	bool		nulls[COLUMNS] = {false};
	NameData	name;

	namestrcpy(&name, role == NULL ? "" : role);
	values[0] = Int32GetDatum(slot->pid);
	values[1] = NameGetDatum(&name);
	values[2] = CStringGetTextDatum(slot->graph);
	nulls[2] = slot->graph[0] == '\0';
	values[3] = CStringGetTextDatum(slot->target);
	nulls[3] = slot->target[0] == '\0';
	values[4] = CStringGetTextDatum(slot->phase);
	values[5] = Int64GetDatum(slot->done);
	values[6] = Int64GetDatum(slot->total);
	nulls[6] = !knows_total;
	values[7] = Float8GetDatum(knows_total ? rint(1000.0 * slot->done / slot->total) / 10 : 0);
	nulls[7] = !knows_total;
	nulls[8] = !knows_total || !seconds_left(slot, &eta);
	values[8] = Float8GetDatum(eta);
	values[9] = Int64GetDatum((int64) slot->bytes);
	values[10] = TimestampTzGetDatum(slot->started);
	result_rows_add(rows, values, nulls);
}

/* progress_slots() */
Datum
behavpred_progress_slots(PG_FUNCTION_ARGS)
{
	ResultRows	rows = result_rows_open(fcinfo);
	ProgressSlot slot;

	for (int i = 0; i < SLOTS && attach(); i++)
		if (read_slot(i, &slot) && may_see(slot.role))
			add_slot(&rows, &slot);
	return (Datum) 0;
}
