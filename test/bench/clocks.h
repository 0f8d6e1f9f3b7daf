/*
 * clocks.h
 *		Clocks of the benchmark programs, and how they end.
 */
#ifndef BEHAVPRED_CLOCKS_H
#define BEHAVPRED_CLOCKS_H

#include "core/core.h"

/* Seconds by the wall. */
extern double wall_seconds(void);

/* Seconds that processors have spent on this process, all threads together: what others do on
 * the same machine counts only as far as they share its caches. */
extern double processor_seconds(void);

/* End the program with a message when the core has failed. */
extern void check(const Core *core, const char *task);

#endif
