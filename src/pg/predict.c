/*
 * predict.c
 *		predict(): the probability that one user will do what a target stands for.
 *
 * Within one statement the target is looked up once: the statement's snapshot cannot see
 * another version.  Plans and decoded models are kept for the session, so that a statement
 * for a single user costs four index look-ups.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/deployed_model.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"
#include "pg/model_cache.h"
#include "pg/source.h"

PG_FUNCTION_INFO_V1(behavpred_predict);

#if PG_VERSION_NUM >= 170000
#define CURRENT_LOCAL_TRANSACTION (MyProc->vxid.lxid)
#else
#define CURRENT_LOCAL_TRANSACTION (MyProc->lxid)
#endif

/* Which snapshot a look-up was made with. */
typedef struct SnapshotMark
{
	LocalTransactionId transaction;
	TransactionId xmin;
	TransactionId xmax;
	uint32		running;
	int32		running_below;	/* on a standby all that run are here */
	CommandId	command;
} SnapshotMark;

/* A target as one call site knows it; hangs on fn_extra. */
typedef struct PredictCache
{
	MemoryContext context;		/* holds all below */
	SnapshotMark mark;
	char	   *target;
	DeployedModel *deployed;
} PredictCache;

/* Kept plans that find a vector by its key, one for each table. */
typedef struct LookupPlan
{
	Oid			table;			/* hash key */
	SPIPlanPtr	plan;
} LookupPlan;

static SnapshotMark
current_mark(void)
{
	Snapshot	snapshot = GetActiveSnapshot();
	SnapshotMark mark;

	memset(&mark, 0, sizeof(mark));	/* padding is compared, too */
	mark.transaction = CURRENT_LOCAL_TRANSACTION;
	mark.xmin = snapshot->xmin;
	mark.xmax = snapshot->xmax;
	mark.running = snapshot->xcnt;
	mark.running_below = snapshot->subxcnt;
	mark.command = snapshot->curcid;
	return mark;
}

/* Look the target up, in a context of its own. */
static PredictCache *
open_cache(FmgrInfo *function, const char *target)
{
	MemoryContext context = AllocSetContextCreate(function->fn_mcxt, "behavpred predict", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	PredictCache *cache = palloc0(sizeof(PredictCache));

	cache->context = context;
	cache->mark = current_mark();
	cache->target = pstrdup(target);
	cache->deployed = deployed_model_read(target);
	MemoryContextSwitchTo(caller);
	return cache;
}

/* The target's cache, made anew for another target or another snapshot. */
static PredictCache *
target_cache(FmgrInfo *function, text *target)
{
	PredictCache *cache = function->fn_extra;
	size_t		length = VARSIZE_ANY_EXHDR(target);
	SnapshotMark mark = current_mark();

	if (cache != NULL && memcmp(&mark, &cache->mark, sizeof(mark)) == 0 &&
		strlen(cache->target) == length && memcmp(cache->target, VARDATA_ANY(target), length) == 0)
		return cache;
	function->fn_extra = NULL;
	if (cache != NULL)
		MemoryContextDelete(cache->context);
	function->fn_extra = open_cache(function, text_to_cstring(target));
	return function->fn_extra;
}

/* The plans of this session. */
static HTAB *
lookup_plans(void)
{
	static HTAB *plans = NULL;
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(LookupPlan)};

	if (plans == NULL)
		plans = hash_create("behavpred look-up plans", 16, &control, HASH_ELEM | HASH_BLOBS);
	return plans;
}

/* The plan for this table; SPI is connected. */
static SPIPlanPtr
lookup_plan(const DeployedModel *deployed)
{
	bool		found;
	LookupPlan *entry = hash_search(lookup_plans(), &deployed->user_table, HASH_ENTER, &found);
	Oid			type = deployed->user_key_type;
	SPIPlanPtr	plan;

	if (found && entry->plan != NULL)
		return entry->plan;
	entry->plan = NULL;
	plan = SPI_prepare(psprintf("SELECT embedding FROM %s WHERE %s OPERATOR(pg_catalog.=) $1",
								relation_qualified_name(deployed->user_table),
								quote_identifier(deployed->user_column)), 1, &type);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare a query: %s", SPI_result_code_string(SPI_result));
	entry->plan = plan;
	return plan;
}

/* The probability of the user with this key; false when the graph does not know him. */
static bool
predict_user(const PredictCache *cache, Datum key, double *probability)
{
	bool		null = true;
	int			width;

	SPI_connect();
	if (SPI_execute_plan(lookup_plan(cache->deployed), &key, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read an embedding");
	if (SPI_processed > 0)
	{
		Datum		vector = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);

		if (!null)
		{
			const float *numbers = embedding_from_datum(vector, &width);

			*probability = model_probability(cache->deployed->student, numbers, width);
		}
	}
	SPI_finish();
	return !null;
}

/* predict(target, user) */
Datum
behavpred_predict(PG_FUNCTION_ARGS)
{
	PredictCache *cache = target_cache(fcinfo->flinfo, PG_GETARG_TEXT_PP(0));
	Datum		key = key_coerce(cache->deployed->user_key_type, get_fn_expr_argtype(fcinfo->flinfo, 1),
								 PG_GETARG_DATUM(1), "user");
	double		probability = 0;

	if (!predict_user(cache, key, &probability))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(probability);
}
