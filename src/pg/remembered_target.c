/*
 * remembered_target.c
 *		Where the rows of targets stand that a session has predicted with.
 *
 * The few targets used last are remembered, each in a memory context of its own below
 * TopMemoryContext.
 */
#include "postgres.h"

#include "access/sysattr.h"
#include "access/table.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/rls.h"
#include "utils/snapmgr.h"

#include "pg/privileges.h"
#include "pg/remembered_target.h"

#define MOST_REMEMBERED 8

typedef struct Memory
{
	MemoryContext context;		/* holds the strings, NULL = nothing here */
	RememberedTarget target;
} Memory;

static Memory memories[MOST_REMEMBERED];
static int	next_memory = 0;

static void
forget(Memory *memory)
{
	if (memory->context != NULL)
		MemoryContextDelete(memory->context);
	memory->context = NULL;
}

/* Is the row visible where it stood? */
static bool
row_stands(const RowPlace *row)
{
	Relation	table = try_table_open(row->table, AccessShareLock);
	ItemPointerData place = row->place;
	TupleTableSlot *slot;
	bool		null;
	bool		stands;

	if (table == NULL)
		return false;
	slot = table_slot_create(table, NULL);
	stands = table_tuple_fetch_row_version(table, &place, GetActiveSnapshot(), slot) &&
		DatumGetTransactionId(slot_getsysattr(slot, MinTransactionIdAttributeNumber, &null)) == row->inserted_by;
	ExecDropSingleTupleTableSlot(slot);
	table_close(table, AccessShareLock);
	return stands;
}

/* Would row security show the rows to the current role? */
static bool
may_see(const RememberedTarget *target)
{
	ProtectedObject object = {target->owner, target->graph, target->target};

	if (!row_security)
		return false;			/* that is for the query to refuse */
	return is_current_role(target->owner) || has_bypassrls_privilege(GetUserId()) ||
		granted_privilege(&object) >= PRIVILEGE_PREDICT;
}

/* See remembered_target.h.  The plan comes last: locks on the tables let changes be heard of. */
const RememberedTarget *
remembered_target(const char *target, SPIPlanPtr plan)
{
	for (int i = 0; i < MOST_REMEMBERED && ActiveSnapshotSet(); i++)
	{
		const RememberedTarget *known = &memories[i].target;

		if (memories[i].context == NULL || known->role != GetUserId() || strcmp(known->target, target) != 0)
			continue;
		if (row_stands(&known->of_target) && row_stands(&known->of_graph) && row_stands(&known->of_model) &&
			SPI_plan_is_valid(plan))
			return may_see(known) ? known : NULL;
		forget(&memories[i]);
		break;
	}
	if (!SPI_plan_is_valid(plan))
		for (int i = 0; i < MOST_REMEMBERED; i++)
			forget(&memories[i]);
	return NULL;
}

/* See remembered_target.h. */
void
remember_target(const RememberedTarget *target)
{
	Memory	   *memory = &memories[next_memory];
	MemoryContext caller;

	for (int i = 0; i < MOST_REMEMBERED; i++)
		if (memories[i].context != NULL && memories[i].target.role == target->role &&
			strcmp(memories[i].target.target, target->target) == 0)
			return;				/* it stands, but is not seen now */
	forget(memory);
	memory->context = AllocSetContextCreate(TopMemoryContext, "behavpred remembered target", ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(memory->context);
	memory->target = *target;
	memory->target.target = pstrdup(target->target);
	memory->target.owner = pstrdup(target->owner);
	memory->target.graph = pstrdup(target->graph);
	memory->target.user_embeddings = pstrdup(target->user_embeddings);
	memory->target.user_column = pstrdup(target->user_column);
	MemoryContextSwitchTo(caller);
	next_memory = (next_memory + 1) % MOST_REMEMBERED;
}
