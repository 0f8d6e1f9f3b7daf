/*
 * support.h
 *		What the unit tests share: a host that counts, fails and stops on request, and
 *		drivers that run a scenario through every failure.
 */
#ifndef BEHAVPRED_TEST_SUPPORT_H
#define BEHAVPRED_TEST_SUPPORT_H

/* cmocka wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/core.h"

typedef struct TestHost
{
	Core		core;			/* first: its host data is this struct */
	int64_t		requests;		/* for memory, so far */
	int64_t		fail_at;		/* which request fails; 0 = none */
	int64_t		live;			/* blocks not given back */
	int64_t		looks;			/* whether to stop, so far */
	int64_t		stop_at;		/* which look answers yes; 0 = none */
} TestHost;

/* A core whose memory is filled with junk, and which asks between any two shards. */
extern void host_open(TestHost *host, int threads);

/* Everything given back, no worker left. */
extern void host_assert_clean(const TestHost *host);

/* Some work: allocates what it keeps from `arena`, returns core->status. */
typedef CoreStatus (*Scenario) (Core *core, Arena *arena, void *argument);

/*
 * Run the scenario with the first request for memory failing, then the second, and so on
 * until it runs through; the same with requests to stop.  Each time the status must be
 * right, all memory back and all threads gone.  `stride` > 1 skips looks of long ones.
 */
extern void scenario_survives(Scenario scenario, void *argument, int64_t stride);

/* Run the scenario once with this many threads; it must succeed. */
extern void scenario_run(Scenario scenario, void *argument, int threads);

/*
 * How far the long sweeps over combinations go on at a time: 1, or more under valgrind,
 * which takes 70 times as long.  A prime, so that every value of every option is met.
 */
extern int	sweep_stride(void);

/* Threads of this process, from /proc/self/status. */
extern int	thread_count(void);

#define assert_close(a, b, tolerance) \
	assert_close_at(a, b, tolerance, __FILE__, __LINE__)

extern void assert_close_at(double a, double b, double tolerance, const char *file, int line);

#endif
