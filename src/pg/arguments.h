/*
 * arguments.h
 *		Arguments that several functions have, within their range.
 */
#ifndef BEHAVPRED_ARGUMENTS_H
#define BEHAVPRED_ARGUMENTS_H

#include "postgres.h"

#include "fmgr.h"

/* A name that has to be given, as a C string; `hint` says what to type. */
extern char *name_given(FunctionCallInfo fcinfo, int argument, const char *name, const char *hint);

/* The argument k, from 1 to `most`; NULL is refused as well. `hint` says what to type. */
extern int	k_argument(FunctionCallInfo fcinfo, int argument, int most, const char *hint);

#endif
