/*
 * fractions.h
 *		The argument "fractions": shares of the users, best first.
 */
#ifndef BEHAVPRED_FRACTIONS_H
#define BEHAVPRED_FRACTIONS_H

#include "postgres.h"

#include "fmgr.h"

/* Its numbers, each above 0 and at most 1, in CurrentMemoryContext; none when it is NULL. */
extern double *fractions_argument(FunctionCallInfo fcinfo, int argument, int *n);

#endif
