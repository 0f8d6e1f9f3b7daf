/*
 * student_sums.c
 *		The aggregate student_sums(): what one step of fitting a student needs of the samples.
 *
 * Its state is a bytea, which is changed in place, merged by parallel workers and shards, and is
 * the result as well.  Plan and state may come from anybody, so both are checked before use.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/student_sums.h"
#include "pg/bridge.h"
#include "pg/embedding_storage.h"

PG_FUNCTION_INFO_V1(behavpred_student_sums_add);
PG_FUNCTION_INFO_V1(behavpred_student_sums_merge);

/* The arguments after the state. */
enum
{
	ARG_STATE, ARG_PLAN, ARG_EMBEDDING, ARG_LABEL, ARG_SOFT_LABEL, ARG_WEIGHT
};

/* A plan as one call site knows it; hangs on fn_extra. */
typedef struct PlanCache
{
	MemoryContext context;		/* holds all below */
	char	   *bytes;
	size_t		length;
	Core	   *core;
	Arena		arena;
	SumsPlan	plan;
} PlanCache;

static PlanCache *
open_plan(FmgrInfo *function, const bytea *value)
{
	MemoryContext context = AllocSetContextCreate(function->fn_mcxt, "behavpred sums", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	PlanCache  *cache = palloc0(sizeof(PlanCache));

	cache->context = context;
	cache->length = VARSIZE_ANY_EXHDR(value);
	cache->bytes = memcpy(palloc(Max(cache->length, 1)), VARDATA_ANY(value), cache->length);
	cache->core = bridge_open(1);
	arena_open(&cache->arena, cache->core);
	sums_plan_read(cache->core, &cache->arena, cache->bytes, cache->length, &cache->plan);
	bridge_check(cache->core, "summing over samples");
	MemoryContextSwitchTo(caller);
	return cache;
}

/* The plan, decoded when other bytes come than before. */
static PlanCache *
cached_plan(FmgrInfo *function, const bytea *value)
{
	PlanCache  *cache = function->fn_extra;

	if (cache != NULL && cache->length == VARSIZE_ANY_EXHDR(value) &&
		memcmp(cache->bytes, VARDATA_ANY(value), cache->length) == 0)
		return cache;
	function->fn_extra = NULL;
	if (cache != NULL)
		MemoryContextDelete(cache->context);
	function->fn_extra = open_plan(function, value);
	return function->fn_extra;
}

/* The memory of the aggregate, and a refusal to be called as a function. */
static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	MemoryContext context;

	if (!AggCheckCallContext(fcinfo, &context))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("a part of behavpred_internal.student_sums() was called by itself"),
				 errhint("SELECT * FROM behavpred.train_student('a_relation_of_samples');")));
	return context;
}

/* A state, aligned; *owned: it is the aggregate's and may be changed. */
static StudentSums *
state_argument(FunctionCallInfo fcinfo, int argument, Core *core)
{
	StudentSums *sums = (StudentSums *) PG_DETOAST_DATUM(PG_GETARG_DATUM(argument));

	sums_check(core, sums, VARSIZE(sums), NULL);
	return sums;
}

/* Sums of nothing, in the aggregate's memory. */
static StudentSums *
open_state(const SumsPlan *plan, int width, MemoryContext context)
{
	size_t		size = sums_size(plan, width);
	StudentSums *sums;

	if (size > MaxAllocSize)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("sums over samples take %zu bytes", size),
				 errdetail("A value may have %zu.", (size_t) MaxAllocSize),
				 errhint("Use fewer or narrower hidden layers.")));
	sums = MemoryContextAlloc(context, size);
	sums_clear(plan, width, sums);
	SET_VARSIZE(sums, size);
	return sums;
}

/* Refuse a vector of another length. */
static void
check_width(const SumsPlan *plan, const StudentSums *sums, int width)
{
	int			wanted = plan->pass == SUMS_STATISTICS ? sums->width : plan->network.widths[0];

	if (width != wanted || width != sums->width)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("embeddings of the samples differ in length"),
				 errdetail("One has %d numbers, another %d.", wanted, width),
				 errhint("Take the embeddings of one training of a graph.")));
}

/* student_sums_add(state, plan, embedding, label, soft_label, weight): rows without a label or vector do not count */
Datum
behavpred_student_sums_add(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	PlanCache  *cache;
	StudentSums *sums;
	const float *vector;
	int			width;
	double		soft_label = PG_ARGISNULL(ARG_SOFT_LABEL) ? 0 : PG_GETARG_FLOAT8(ARG_SOFT_LABEL);
	double		weight = PG_ARGISNULL(ARG_WEIGHT) ? 1 : PG_GETARG_FLOAT8(ARG_WEIGHT);

	if (PG_ARGISNULL(ARG_PLAN) || PG_ARGISNULL(ARG_EMBEDDING) || PG_ARGISNULL(ARG_LABEL))
	{
		if (PG_ARGISNULL(ARG_STATE))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(ARG_STATE));
	}
	cache = cached_plan(fcinfo->flinfo, PG_GETARG_BYTEA_PP(ARG_PLAN));
	vector = embedding_from_datum(PG_GETARG_DATUM(ARG_EMBEDDING), &width);
	sums = PG_ARGISNULL(ARG_STATE) ? open_state(&cache->plan, width, context) :
		state_argument(fcinfo, ARG_STATE, cache->core);
	bridge_check(cache->core, "summing over samples");
	check_width(&cache->plan, sums, width);
	if (VARSIZE(sums) != sums_size(&cache->plan, width) || sums->pass != (int32_t) cache->plan.pass)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the plan of behavpred_internal.student_sums() changes from row to row"),
				 errhint("Give one plan to all rows.")));
	sums_add(cache->core, &cache->plan, sums, vector, PG_GETARG_FLOAT8(ARG_LABEL), soft_label, weight);
	bridge_check(cache->core, "summing over samples");
	PG_RETURN_POINTER(sums);
}

/* student_sums_merge(state, state) */
Datum
behavpred_student_sums_merge(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	Core	   *core;
	StudentSums *sums;
	StudentSums *other;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
	{
		if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
			PG_RETURN_NULL();
		PG_RETURN_DATUM(PG_GETARG_DATUM(PG_ARGISNULL(0) ? 1 : 0));
	}
	core = bridge_open(1);
	sums = state_argument(fcinfo, 0, core);
	other = (StudentSums *) PG_DETOAST_DATUM(PG_GETARG_DATUM(1));
	if (core->status == CORE_OK)
		sums_check(core, other, VARSIZE(other), sums);
	bridge_check(core, "merging sums over samples");
	bridge_close(core);
	if (GetMemoryChunkContext(sums) != context)
	{
		size_t		size = VARSIZE(sums);

		sums = memcpy(MemoryContextAlloc(context, size), sums, size);
	}
	sums_merge(sums, other);
	PG_RETURN_POINTER(sums);
}
