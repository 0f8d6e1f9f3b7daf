/*
 * support.c
 *		The host of the unit tests and the drivers around it.
 */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void *
host_allocate(void *data, size_t size)
{
	TestHost   *host = data;
	void	   *block;

	host->requests++;
	if (host->requests == host->fail_at)
		return NULL;
	block = malloc(size);
	assert_non_null(block);
	memset(block, 0xA5, size);
	host->live++;
	return block;
}

static void
host_release(void *data, void *block)
{
	TestHost   *host = data;

	assert_non_null(block);
	host->live--;
	free(block);
}

static bool
host_progress(void *data, const CoreProgress *progress)
{
	TestHost   *host = data;

	(void) progress;
	host->looks++;
	host->core.asked_at = 0;	/* so that the next shard asks again */
	return host->stop_at > 0 && host->looks >= host->stop_at;
}

void
host_open(TestHost *host, int threads)
{
	memset(host, 0, sizeof(*host));
	host->core.host.allocate = host_allocate;
	host->core.host.release = host_release;
	host->core.host.progress = host_progress;
	host->core.host.data = host;
	host->core.threads = threads;
}

void
host_assert_clean(const TestHost *host)
{
	assert_int_equal(host->live, 0);
	assert_int_equal(host->core.memory_used, 0);
	assert_null(host->core.workers);
}

/* One run; whatever it met, it must clean up. */
static void
run_once(TestHost *host, Scenario scenario, void *argument)
{
	Arena		arena;
	CoreStatus	status;

	arena_open(&arena, &host->core);
	status = scenario(&host->core, &arena, argument);
	assert_int_equal(status, host->core.status);
	arena_close(&arena);
	host_assert_clean(host);
}

/* With more than one thread the request for the workers may fail unpunished. */
static void
fail_each_request(Scenario scenario, void *argument, int threads)
{
	for (int64_t request = 1;; request++)
	{
		TestHost	host;

		host_open(&host, threads);
		host.fail_at = request;
		run_once(&host, scenario, argument);
		if (host.requests < request)
		{
			assert_int_equal(host.core.status, CORE_OK);
			return;
		}
		if (threads == 1 || host.core.status != CORE_OK)
		{
			assert_int_equal(host.core.status, CORE_OUT_OF_MEMORY);
			assert_true(strlen(host.core.detail) > 0);
		}
	}
}

static void
stop_at_each_look(Scenario scenario, void *argument, int threads, int64_t stride)
{
	for (int64_t look = 1;; look += stride)
	{
		TestHost	host;

		host_open(&host, threads);
		host.stop_at = look;
		run_once(&host, scenario, argument);
		if (host.looks < look)
		{
			assert_int_equal(host.core.status, CORE_OK);
			return;
		}
		assert_int_equal(host.core.status, CORE_STOPPED);
		assert_int_equal(host.looks, look); /* nobody asks again */
	}
}

void
scenario_survives(Scenario scenario, void *argument, int64_t stride)
{
	int			threads_before = thread_count();

	fail_each_request(scenario, argument, 1);
	fail_each_request(scenario, argument, 3);
	stop_at_each_look(scenario, argument, 1, stride);
	stop_at_each_look(scenario, argument, 3, stride);
	assert_int_equal(thread_count(), threads_before);
}

void
scenario_run(Scenario scenario, void *argument, int threads)
{
	TestHost	host;

	host_open(&host, threads);
	run_once(&host, scenario, argument);
	if (host.core.status != CORE_OK)
		fail_msg("status %d: %s", (int) host.core.status, host.core.detail);
}

int
sweep_stride(void)
{
	const char *stride = getenv("TEST_SWEEP_STRIDE");

	return stride != NULL && atoi(stride) > 0 ? atoi(stride) : 1;
}

static int
read_thread_count(void)
{
	FILE	   *file = fopen("/proc/self/status", "r");
	char		line[256];
	int			threads = -1;

	assert_non_null(file);
	while (fgets(line, sizeof(line), file) != NULL)
		sscanf(line, "Threads: %d", &threads);
	fclose(file);
	return threads;
}

/* A thread that was joined may stand in /proc for a moment longer: the least of a few looks. */
int
thread_count(void)
{
	int			least = read_thread_count();

	for (int i = 0; i < 5; i++)
	{
		struct timespec pause = {0, 2000000};
		int			threads;

		nanosleep(&pause, NULL);
		threads = read_thread_count();
		least = threads < least ? threads : least;
	}
	return least;
}

void
assert_close_at(double a, double b, double tolerance, const char *file, int line)
{
	if (!(fabs(a - b) <= tolerance))
	{
		print_error("%.17g and %.17g differ by more than %g\n", a, b, tolerance);
		_fail(file, line);
	}
}
