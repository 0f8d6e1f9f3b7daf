/*
 * decoded_model.c
 *		Models that a session has decoded, kept from statement to statement.
 *
 * The few models used last are kept, each in a memory context of its own below
 * TopMemoryContext.  One that makes room for another lives on until its last holder has
 * gone; holders go with their memory context, in an error as well.
 */
#include "postgres.h"

#include "utils/memutils.h"

#include "pg/bridge.h"
#include "pg/decoded_model.h"
#include "pg/model_value.h"
#include "pg/server_versions.h"

#define MOST_KEPT 8

typedef struct DecodedModel
{
	MemoryContext context;		/* holds all of it */
	ModelIdentity identity;
	Student		student;
	uint64		last_use;
	int			holders;
	bool		kept;			/* in the list below */
} DecodedModel;

static DecodedModel *kept[MOST_KEPT];
static uint64 uses = 0;

static bool
same_model(const ModelIdentity *a, const ModelIdentity *b)
{
	return a->version == b->version && a->relation == b->relation && a->inserted_by == b->inserted_by &&
		ItemPointerEquals((ItemPointer) &a->row, (ItemPointer) &b->row) && strcmp(a->target, b->target) == 0;
}

static void
free_unless_needed(DecodedModel *model)
{
	if (!model->kept && model->holders == 0)
		MemoryContextDelete(model->context);
}

/* Called when the memory context of a holder is reset. */
static void
let_go(void *argument)
{
	DecodedModel *model = argument;

	model->holders--;
	free_unless_needed(model);
}

static void
hold(DecodedModel *model, MemoryContext holder)
{
	MemoryContextCallback *callback = MemoryContextAllocZero(holder, sizeof(MemoryContextCallback));

	callback->func = let_go;
	callback->arg = model;
	MemoryContextRegisterResetCallback(holder, callback);
	model->holders++;
	model->last_use = ++uses;
}

/* Decode; moved below TopMemoryContext only after nothing can fail any more. */
static DecodedModel *
decode(const ModelIdentity *identity, Datum value)
{
	bytea	   *bytes = DatumGetByteaPP(value);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "behavpred decoded model",
												  ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	DecodedModel *model = palloc0(sizeof(DecodedModel));
	Core	   *core = bridge_open(1);
	Arena		arena;

	model->context = context;
	model->identity = *identity;
	model->identity.target = pstrdup(identity->target);
	arena_open(&arena, core);
	student_from_model(&arena, VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes), &model->student);
	MemoryContextSwitchTo(caller);
	MemoryContextSetParent(context, TopMemoryContext);
	return model;
}

/* Put it where nothing is, or in the place of the one that was not used for longest. */
static void
keep(DecodedModel *model)
{
	int			place = 0;
	DecodedModel *old;

	for (int i = 1; i < MOST_KEPT && kept[place] != NULL; i++)
		if (kept[i] == NULL || kept[i]->last_use < kept[place]->last_use)
			place = i;
	old = kept[place];
	kept[place] = model;
	model->kept = true;
	if (old != NULL)
	{
		old->kept = false;
		free_unless_needed(old);
	}
}

/* See decoded_model.h. */
const Student *
decoded_model_kept(const ModelIdentity *identity, MemoryContext holder)
{
	for (int i = 0; i < MOST_KEPT; i++)
		if (kept[i] != NULL && same_model(&kept[i]->identity, identity))
		{
			hold(kept[i], holder);
			return &kept[i]->student;
		}
	return NULL;
}

/* See decoded_model.h. */
const Student *
decoded_model(const ModelIdentity *identity, Datum model, MemoryContext holder)
{
	const Student *student = decoded_model_kept(identity, holder);
	DecodedModel *decoded;

	if (student != NULL)
		return student;
	decoded = decode(identity, model);
	keep(decoded);
	hold(decoded, holder);
	return &decoded->student;
}
