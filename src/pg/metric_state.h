/*
 * metric_state.h
 *		The SQL type behavpred_internal.metric_state: what an aggregate over labels and scores has
 *		seen so far.
 *
 * Every score is kept, so that the results are exact.  The values of one class grow from
 * the front, those of the other from the back; the room in between doubles when it is
 * used up, so that a step costs the same whatever is there already.  A flat value without
 * pointers: it goes through tuples, between processes and servers as it is.
 */
#ifndef BEHAVPRED_METRIC_STATE_H
#define BEHAVPRED_METRIC_STATE_H

#include "postgres.h"

#include "fmgr.h"

#include "core/metrics.h"

typedef struct MetricState
{
	int32		length;			/* varlena header */
	int16		format;
	int16		counted;		/* 1 = `argument` is a number of cases, 0 = a fraction or bins */
	float8		argument;		/* the constant argument of the aggregate, 0 = none */
	int32		positives;		/* values from the front */
	int32		negatives;		/* values from the back */
	float8		values[FLEXIBLE_ARRAY_MEMBER];
} MetricState;

/* A new state, empty. */
extern MetricState *metric_state_open(float8 argument, bool counted);

/* Argument `argument` of an aggregate's support function, NULL when it is null. */
extern MetricState *metric_state_argument(FunctionCallInfo fcinfo, int argument);

/* The state with one value more, changed in place or, when it was full, as a larger copy in
 * CurrentMemoryContext.  Refused beyond behavpred.max_memory. */
extern MetricState *metric_state_add(MetricState *state, bool positive, float8 value);

/* The state with all values of another more. */
extern MetricState *metric_state_append(MetricState *state, const MetricState *other);

/* All values as cases without weights, in `arena`. */
extern CoreStatus metric_state_cases(Arena *arena, const MetricState *state, Cases *cases);

#endif
