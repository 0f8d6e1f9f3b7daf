/*
 * bridge.h
 *		Between the numeric core and the server: memory, interrupts, errors, threads.
 *
 * A Core opened here takes its memory from a context of its own below
 * CurrentMemoryContext, is limited by behavpred.max_memory, and stops as soon as an
 * interrupt is pending.  The core never jumps: it unwinds, joins its threads, and
 * returns a status, and only then does bridge_check() process the interrupt or raise
 * the error.
 */
#ifndef BEHAVPRED_BRIDGE_H
#define BEHAVPRED_BRIDGE_H

#include "postgres.h"

#include "fmgr.h"

#include "core/core.h"

/*
 * Open a core for one call.  Freed with bridge_close(), or with the memory context it
 * was opened in when an error jumps past it (no thread can be alive then).
 * threads 0 = behavpred.threads; more than behavpred.max_threads is cut down.
 */
extern Core *bridge_open(int threads);
extern void bridge_close(Core *core);

/* Show the core's progress to other sessions until it is closed; either name may be NULL. */
extern void bridge_show(Core *core, const char *graph, const char *target);

/* The argument "threads" of a function: 0 when it is NULL, an error when it is below 1. */
extern int	threads_argument(FunctionCallInfo fcinfo, int argument);

/*
 * Raise what the core met, or return when core->status is CORE_OK.  `task` names the
 * work as in: training graph "shop".
 *	CORE_STOPPED		-> CHECK_FOR_INTERRUPTS(), which raises the cancel
 *	CORE_OUT_OF_MEMORY	-> ERRCODE_OUT_OF_MEMORY
 *	CORE_OVER_LIMIT		-> ERRCODE_CONFIGURATION_LIMIT_EXCEEDED, hint behavpred.max_memory
 *	CORE_INVALID		-> ERRCODE_INVALID_PARAMETER_VALUE
 *	CORE_DIVERGED		-> ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, hint learning_rate
 *	CORE_CORRUPT		-> ERRCODE_DATA_CORRUPTED
 * core->detail becomes the DETAIL line.
 */
extern void bridge_check(Core *core, const char *task,...) pg_attribute_printf(2, 3);

#endif
