/*
 * arguments.h
 *		Arguments that several functions have, within their range.
 */
#ifndef BEHAVPRED_ARGUMENTS_H
#define BEHAVPRED_ARGUMENTS_H

#include "postgres.h"

#include "fmgr.h"

/* The argument k, from 1 to `most`; NULL is refused as well. `hint` says what to type. */
extern int	k_argument(FunctionCallInfo fcinfo, int argument, int most, const char *hint);

#endif
