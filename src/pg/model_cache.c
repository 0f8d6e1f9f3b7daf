/*
 * model_cache.c
 *		A decoded model that is kept from row to row.
 *
 * The cache lives as long as the FmgrInfo of the call.  A model of a table row comes as a
 * toasted or short value that may stand anywhere, so it is known again by its bytes: those
 * of the value itself, and before that those it came as, which for a value stored out of
 * line spares fetching it for each row.
 */
#include "postgres.h"

#include <math.h>

#include "utils/memutils.h"

#include "core/vectors.h"
#include "pg/bridge.h"
#include "pg/model_cache.h"
#include "pg/model_value.h"
#include "pg/server_versions.h"

typedef struct ModelCache
{
	MemoryContext context;		/* holds all below */
	struct varlena *arrived;	/* as it came, when that was a reference to a stored value */
	char	   *bytes;
	size_t		length;
	Core	   *core;
	Arena		arena;
	Student		student;
} ModelCache;

/* The same stored value as before: a transaction never gives a reference a second meaning. */
static bool
same_reference(const ModelCache *cache, const struct varlena *arrived)
{
	return cache->arrived != NULL && VARATT_IS_EXTERNAL_ONDISK(arrived) &&
		memcmp(cache->arrived, arrived, VARSIZE_EXTERNAL(arrived)) == 0;
}

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

/* Remember the reference that the cached model came as. */
static void
keep_reference(ModelCache *cache, const struct varlena *arrived)
{
	if (cache->arrived != NULL)
		pfree(cache->arrived);
	cache->arrived = NULL;
	if (VARATT_IS_EXTERNAL_ONDISK(arrived))
		cache->arrived = memcpy(MemoryContextAlloc(cache->context, VARSIZE_EXTERNAL(arrived)), arrived,
								VARSIZE_EXTERNAL(arrived));
}

/* See model_cache.h. */
const Student *
model_cache_student(FmgrInfo *function, Datum model)
{
	struct varlena *arrived = (struct varlena *) DatumGetPointer(model);
	ModelCache *cache = function->fn_extra;
	bytea	   *value;

	if (cache != NULL && same_reference(cache, arrived))
		return &cache->student;
	value = DatumGetByteaPP(model);
	if (cache == NULL || !same_bytes(cache, value))
	{
		if (cache != NULL)
			MemoryContextDelete(cache->context);
		function->fn_extra = NULL;
		cache = fill_cache(function, value);
		function->fn_extra = cache;
	}
	keep_reference(cache, arrived);
	if ((Pointer) value != DatumGetPointer(model))
		pfree(value);
	return &cache->student;
}

/* See model_cache.h.  A hidden layer would bring infinity back to 1, so the numbers are looked at. */
void
model_check_vector(const Student *student, const float *vector, int width)
{
	if (width != student->widths[0])
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the model is for another embedding"),
				 errdetail("The model takes %d numbers, the embedding has %d.", student->widths[0], width),
				 errhint("Give an embedding of the graph that the model's target belongs to.")));
	if (!vectors_finite(vector, width))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the embedding has a number that is not finite"),
				 errdetail("One of its %d numbers is NaN or infinite.", width),
				 errhint("Give an array as train_graph() writes it.")));
}

/* See model_cache.h.  Finite numbers may still be so large that a sum of them is not. */
double
model_logit(const Student *student, const float *vector, int width)
{
	double		logit;

	model_check_vector(student, vector, width);
	logit = student_logit(student, vector);
	if (isnan(logit))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("the embedding gives no score"),
				 errdetail("Its %d numbers are so large that their sum is not a number.", width),
				 errhint("Give an array as train_graph() writes it.")));
	return logit;
}

/* See model_cache.h. */
double
model_probability(const Student *student, const float *vector, int width)
{
	return student_probability(student, model_logit(student, vector, width));
}
