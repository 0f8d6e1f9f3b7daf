/*
 * model_cache.c
 *		A decoded model that is kept from row to row.
 *
 * The cache lives as long as the FmgrInfo of the call.  A model of a table row comes as a
 * toasted or short value that may stand anywhere, so it is known again by its bytes.
 */
#include "postgres.h"

#include <math.h>

#include "utils/memutils.h"

#include "pg/bridge.h"
#include "pg/model_cache.h"
#include "pg/model_value.h"

typedef struct ModelCache
{
	MemoryContext context;		/* holds all below */
	char	   *bytes;
	size_t		length;
	Core	   *core;
	Arena		arena;
	Student		student;
} ModelCache;

static bool
same_bytes(const ModelCache *cache, const bytea *value)
{
	return cache->length == VARSIZE_ANY_EXHDR(value) &&
		memcmp(cache->bytes, VARDATA_ANY(value), cache->length) == 0;
}

/* Decode into a context of its own below the FmgrInfo's. */
static ModelCache *
fill_cache(FmgrInfo *function, const bytea *value)
{
	MemoryContext context = AllocSetContextCreate(function->fn_mcxt, "behavpred model", ALLOCSET_SMALL_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	ModelCache *cache = palloc0(sizeof(ModelCache));

	cache->context = context;
	cache->length = VARSIZE_ANY_EXHDR(value);
	cache->bytes = memcpy(palloc(Max(cache->length, 1)), VARDATA_ANY(value), cache->length);
	cache->core = bridge_open(1);
	arena_open(&cache->arena, cache->core);
	student_from_model(&cache->arena, cache->bytes, cache->length, &cache->student);
	MemoryContextSwitchTo(caller);
	return cache;
}

/* See model_cache.h. */
const Student *
model_cache_student(FmgrInfo *function, Datum model)
{
	bytea	   *value = DatumGetByteaPP(model);
	ModelCache *cache = function->fn_extra;

	if (cache == NULL || !same_bytes(cache, value))
	{
		if (cache != NULL)
			MemoryContextDelete(cache->context);
		function->fn_extra = NULL;
		cache = fill_cache(function, value);
		function->fn_extra = cache;
	}
	if ((Pointer) value != DatumGetPointer(model))
		pfree(value);
	return &cache->student;
}

/* See model_cache.h. */
double
model_probability(const Student *student, const float *vector, int width)
{
	double		logit;

	if (width != student->widths[0])
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the model is for another embedding"),
				 errdetail("The model takes %d numbers, the embedding has %d.", student->widths[0], width),
				 errhint("Give an embedding of the graph that the model's target belongs to.")));
	logit = student_logit(student, vector);
	if (!isfinite(logit))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the embedding gives no finite score"),
				 errdetail("One of its %d numbers is NaN, infinite or very large.", width),
				 errhint("Give an array as train_graph() writes it.")));
	return student_probability(student, logit);
}
