/*
 * predict.c
 *		predict(): the probability that one user will do what a target stands for.
 *
 * Within one statement the target is looked up once: the statement's snapshot cannot see
 * another version.  Plans and decoded models are kept for the session, and where the rows of the
 * target stand: a statement for a single user costs a look at three rows and one index look-up.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "fmgr.h"
#include "storage/proc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/deployed_model.h"
#include "pg/embedding_lookup.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"
#include "pg/model_cache.h"
#include "pg/server_versions.h"

PG_FUNCTION_INFO_V1(behavpred_predict);

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

/* The probability of the user with this key; false when the graph does not know him. */
static bool
predict_user(const PredictCache *cache, Datum key, double *probability)
{
	const DeployedModel *deployed = cache->deployed;
	Datum		vector;
	bool		found;
	int			width;

	SPI_connect();
	found = embedding_find(deployed->user_table, deployed->user_column, deployed->user_key_type, key, &vector);
	if (found)
	{
		const float *numbers = embedding_from_datum(vector, &width);

		*probability = model_probability(deployed->student, numbers, width);
	}
	SPI_finish();
	return found;
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
