/*
 * fractions.c
 *		The argument "fractions": shares of the users, best first.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"

#include "pg/fractions.h"
#include "pg/wording.h"

#define MOST_FRACTIONS 1000

static void
check_fraction(double fraction)
{
	if (!(fraction > 0 && fraction <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a fraction is %g", fraction),
				 errdetail("It must be above 0 and at most 1."),
				 errhint("For example: fractions => '{0.01,0.05,0.1}'.")));
}

/* See fractions.h. */
double *
fractions_argument(FunctionCallInfo fcinfo, int argument, int *n)
{
	ArrayType  *array;
	double	   *fractions;

	*n = 0;
	if (PG_ARGISNULL(argument))
		return NULL;
	array = PG_GETARG_ARRAYTYPE_P(argument);
	if (ARR_NDIM(array) > 1 || array_contains_nulls(array) ||
		ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) > MOST_FRACTIONS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fractions must be a list of numbers"),
				 errdetail("It has %s and %s; at most %d are taken, and none may be NULL.",
						   format_counted(ARR_NDIM(array), "dimension"),
						   format_counted(ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)), "element"), MOST_FRACTIONS),
				 errhint("For example: fractions => '{0.01,0.05,0.1}'.")));
	*n = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));
	fractions = palloc(Max(*n, 1) * sizeof(double));
	if (*n > 0)
		memcpy(fractions, ARR_DATA_PTR(array), *n * sizeof(double));
	for (int i = 0; i < *n; i++)
		check_fraction(fractions[i]);
	return fractions;
}
