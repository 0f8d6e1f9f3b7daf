/*
 * vector_functions.c
 *		dot(), cosine(), and the stored vector of one user or object.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "core/vectors.h"
#include "pg/embedding_lookup.h"
#include "pg/embedding_storage.h"

PG_FUNCTION_INFO_V1(behavpred_dot);
PG_FUNCTION_INFO_V1(behavpred_cosine);
PG_FUNCTION_INFO_V1(behavpred_embedding);
PG_FUNCTION_INFO_V1(behavpred_object_embedding);

/* Both arguments; they must have the same length. */
static int
vector_arguments(FunctionCallInfo fcinfo, const float **a, const float **b)
{
	int			width_a;
	int			width_b;

	*a = embedding_from_datum(PG_GETARG_DATUM(0), &width_a);
	*b = embedding_from_datum(PG_GETARG_DATUM(1), &width_b);
	if (width_a != width_b)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("the two arrays differ in length"),
				 errdetail("The first has %d numbers, the second %d.", width_a, width_b),
				 errhint("Compare embeddings of one graph and one training.")));
	return width_a;
}

Datum
behavpred_dot(PG_FUNCTION_ARGS)
{
	const float *a;
	const float *b;
	int			width = vector_arguments(fcinfo, &a, &b);

	PG_RETURN_FLOAT8(vectors_dot(a, b, width));
}

/* NULL when one of them has length zero: it has no direction. */
Datum
behavpred_cosine(PG_FUNCTION_ARGS)
{
	const float *a;
	const float *b;
	int			width = vector_arguments(fcinfo, &a, &b);
	double		cosine = vectors_cosine(a, b, width);

	if (isnan(cosine))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(cosine);
}

/* The array of one node, NULL when the graph does not know it. */
static Datum
stored_vector(FunctionCallInfo fcinfo, bool of_objects)
{
	GraphDefinition *graph = graph_definition_trained(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	Datum		key = node_argument(fcinfo, 1, graph, of_objects);
	ArrayType  *vector = embedding_lookup(graph, of_objects, key);

	if (vector == NULL)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(vector);
}

Datum
behavpred_embedding(PG_FUNCTION_ARGS)
{
	return stored_vector(fcinfo, false);
}

Datum
behavpred_object_embedding(PG_FUNCTION_ARGS)
{
	return stored_vector(fcinfo, true);
}
