/*
 * debug_point.c
 *		Places where a test can make a call fail.
 */
#include "postgres.h"

#include "utils/guc.h"

#include "pg/debug_point.h"

#ifdef BEHAVPRED_DEBUG_POINTS
static char *failing_phase = NULL;

/* See debug_point.h. */
void
debug_point_define(void)
{
	DefineCustomStringVariable("behavpred.debug_point",
							   "Names the phase of a call that shall fail, for tests.",
							   "Exists in builds with debug points only.",
							   &failing_phase, "", PGC_SUSET, 0, NULL, NULL, NULL);
}

/* See debug_point.h. */
bool
debug_point_is(const char *phase)
{
	return phase != NULL && failing_phase != NULL && failing_phase[0] != '\0' &&
		strcmp(failing_phase, phase) == 0;
}

/* See debug_point.h. */
void
debug_point(const char *phase)
{
	if (debug_point_is(phase))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("debug point \"%s\"", phase),
				 errhint("RESET behavpred.debug_point;")));
}
#endif
