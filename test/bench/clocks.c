/*
 * clocks.c
 *		Clocks of the benchmark programs, and how they end.
 */
#include "clocks.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double
read_clock(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

double
wall_seconds(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

double
processor_seconds(void)
{
	return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void
check(const Core *core, const char *task)
{
	if (core->status == CORE_OK)
		return;
	fprintf(stderr, "%s failed with status %d: %s\n", task, core->status, core->detail);
	exit(1);
}
