/*
 * arguments.c
 *		Arguments that several functions have, within their range.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "pg/arguments.h"

/* See arguments.h. */
char *
name_given(FunctionCallInfo fcinfo, int argument, const char *name, const char *hint)
{
	if (PG_ARGISNULL(argument))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", name),
				 errhint("%s", hint)));
	return text_to_cstring(PG_GETARG_TEXT_PP(argument));
}

/* See arguments.h. */
int
k_argument(FunctionCallInfo fcinfo, int argument, int most, const char *hint)
{
	int			k = PG_ARGISNULL(argument) ? 0 : PG_GETARG_INT32(argument);

	if (k < 1 || k > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("k is %s", PG_ARGISNULL(argument) ? "NULL" : psprintf("%d", k)),
				 errdetail("It must be from 1 to %d.", most),
				 errhint("%s", hint)));
	return k;
}
