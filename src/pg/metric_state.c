/*
 * metric_state.c
 *		The SQL type behavpred_internal.metric_state: growth, and the ways in and out.
 *
 * Whatever comes in from outside is checked once, so that no value of the type can make a
 * support function read past its end.
 */
#include "postgres.h"

#include <math.h>

#include "lib/stringinfo.h"
#include "libpq/pqformat.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pg/bridge.h"
#include "pg/metric_state.h"
#include "pg/server_versions.h"
#include "pg/settings.h"
#include "pg/wording.h"

PG_FUNCTION_INFO_V1(behavpred_metric_state_in);
PG_FUNCTION_INFO_V1(behavpred_metric_state_out);
PG_FUNCTION_INFO_V1(behavpred_metric_state_recv);
PG_FUNCTION_INFO_V1(behavpred_metric_state_send);

#define FORMAT 1
#define LEAST_CAPACITY 8
#define HEADER offsetof(MetricState, values)
#define MOST_VALUES ((int32) ((MaxAllocSize - HEADER) / sizeof(float8)))

/* Bytes for each case when the result is computed: score, label, sorting, groups. */
#define BYTES_PER_CASE (sizeof(float8) + sizeof(float) + 2 * 16 + sizeof(ScoreGroup))

static inline int32
capacity(const MetricState *state)
{
	return (int32) ((VARSIZE(state) - HEADER) / sizeof(float8));
}

/* With room for so many values, all zero: no byte of a state is left to chance. */
static MetricState *
make_state(int32 room)
{
	Size		size = HEADER + (Size) room * sizeof(float8);
	MetricState *state = palloc0(size);

	SET_VARSIZE(state, size);
	state->format = FORMAT;
	return state;
}

/* See metric_state.h. */
MetricState *
metric_state_open(float8 argument, bool counted)
{
	MetricState *state = make_state(LEAST_CAPACITY);

	state->argument = argument;
	state->counted = counted;
	return state;
}

/* See metric_state.h. */
MetricState *
metric_state_argument(FunctionCallInfo fcinfo, int argument)
{
	if (PG_ARGISNULL(argument))
		return NULL;
	return (MetricState *) PG_DETOAST_DATUM(PG_GETARG_DATUM(argument));
}

/* Refuse more cases than memory allows. */
static void
check_room(int64 cases)
{
	uint64		needed = cases * BYTES_PER_CASE;
	uint64		allowed = (uint64) setting_max_memory * 1024;

	if (needed > allowed)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("a metric over %s needs about %s, behavpred.max_memory is %s",
						format_counted(cases, "case"), format_bytes(needed), format_bytes(allowed)),
				 errdetail("It keeps every score and sorts them: %d bytes for each case.", (int) BYTES_PER_CASE),
				 errhint("Raise behavpred.max_memory, or measure on a sample: FROM a_table TABLESAMPLE SYSTEM (10).")));
	if (cases > MOST_VALUES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a metric takes at most %s", format_counted(MOST_VALUES, "case")),
				 errdetail("There are more than that in one group."),
				 errhint("Measure on a sample: FROM a_table TABLESAMPLE SYSTEM (10).")));
}

/* The values at the back. */
static float8 *
negatives(MetricState *state)
{
	return state->values + capacity(state) - state->negatives;
}

/* A copy with room for so many cases at least. */
static MetricState *
grow(MetricState *state, int64 cases)
{
	int32		room = (int32) Min(Max(cases, 2 * (int64) capacity(state)), MOST_VALUES);
	MetricState *larger;

	check_room(cases);
	larger = make_state(room);
	larger->argument = state->argument;
	larger->counted = state->counted;
	larger->positives = state->positives;
	larger->negatives = state->negatives;
	memcpy(larger->values, state->values, state->positives * sizeof(float8));
	memcpy(negatives(larger), negatives(state), state->negatives * sizeof(float8));
	return larger;
}

/* Room for so many cases more. */
static MetricState *
reserve(MetricState *state, int64 more)
{
	int64		cases = (int64) state->positives + state->negatives + more;

	return cases > capacity(state) ? grow(state, cases) : state;
}

/* See metric_state.h. */
MetricState *
metric_state_add(MetricState *state, bool positive, float8 value)
{
	state = reserve(state, 1);
	if (positive)
		state->values[state->positives++] = value;
	else
	{
		state->negatives++;
		*negatives(state) = value;
	}
	return state;
}

/* See metric_state.h. */
MetricState *
metric_state_append(MetricState *state, const MetricState *other)
{
	state = reserve(state, (int64) other->positives + other->negatives);
	memcpy(state->values + state->positives, other->values, other->positives * sizeof(float8));
	state->positives += other->positives;
	state->negatives += other->negatives;
	memcpy(negatives(state), negatives((MetricState *) other), other->negatives * sizeof(float8));
	return state;
}

/* See metric_state.h. */
CoreStatus
metric_state_cases(Arena *arena, const MetricState *state, Cases *cases)
{
	int64		n = (int64) state->positives + state->negatives;
	double	   *scores = arena_doubles(arena, n);
	float	   *labels = arena_floats(arena, n);

	*cases = (Cases) {n, labels, scores, NULL};
	if (arena->core->status != CORE_OK)
		return arena->core->status;
	memcpy(scores, state->values, state->positives * sizeof(float8));
	memcpy(scores + state->positives, negatives((MetricState *) state), state->negatives * sizeof(float8));
	for (int64 i = 0; i < n; i++)
		labels[i] = i < state->positives;
	return CORE_OK;
}

/* ---- in and out ------------------------------------------------------------------------- */

/* True when the counts fit the length and every number is one. */
static bool
is_sound(const MetricState *state)
{
	int64		cases;

	if (VARSIZE(state) < HEADER || (VARSIZE(state) - HEADER) % sizeof(float8) != 0)
		return false;
	cases = (int64) state->positives + state->negatives;
	if (state->format != FORMAT || state->positives < 0 || state->negatives < 0 || cases > capacity(state) ||
		(state->counted != 0 && state->counted != 1) || !(state->argument >= 0) || isinf(state->argument))
		return false;
	for (int32 i = 0; i < capacity(state); i++)
		if (isnan(state->values[i]))
			return false;
	return true;
}

/* Refuse bytes that are no state. */
static Datum
checked(bytea *bytes)
{
	if (!is_sound((MetricState *) bytes))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid value for type behavpred_internal.metric_state"),
				 errdetail("Its %zu bytes are not what an aggregate of this version has written.",
						   (size_t) VARSIZE(bytes) - VARHDRSZ),
				 errhint("Values of this type pass between the servers of one query; all need the same version of behavpred.")));
	PG_RETURN_BYTEA_P(bytes);
}

/* As bytea. */
Datum
behavpred_metric_state_in(PG_FUNCTION_ARGS)
{
	return checked(DatumGetByteaP(DirectFunctionCall1(byteain, PG_GETARG_DATUM(0))));
}

Datum
behavpred_metric_state_out(PG_FUNCTION_ARGS)
{
	return DirectFunctionCall1(byteaout, PG_GETARG_DATUM(0));
}

Datum
behavpred_metric_state_recv(PG_FUNCTION_ARGS)
{
	return checked(DatumGetByteaP(DirectFunctionCall1(bytearecv, PG_GETARG_DATUM(0))));
}

Datum
behavpred_metric_state_send(PG_FUNCTION_ARGS)
{
	PG_RETURN_BYTEA_P(PG_GETARG_BYTEA_P_COPY(0));
}
