/*
 * test_core.c
 *		Status, progress, arenas and worker threads.
 */
#include "support.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static void
first_failure_is_kept(void **state)
{
	TestHost	host;

	(void) state;
	host_open(&host, 1);
	assert_int_equal(core_fail(&host.core, CORE_INVALID, "%d of %d", 3, 4), CORE_INVALID);
	assert_int_equal(core_fail(&host.core, CORE_DIVERGED, "later"), CORE_INVALID);
	assert_string_equal(host.core.detail, "3 of 4");
	assert_false(core_continues(&host.core));
	assert_int_equal(host.looks, 0);	/* a failed call asks nothing */
}

static void
long_detail_is_cut(void **state)
{
	TestHost	host;

	(void) state;
	host_open(&host, 1);
	core_fail(&host.core, CORE_INVALID, "%0500d", 1);
	assert_int_equal(strlen(host.core.detail), sizeof(host.core.detail) - 1);
}

static void
report_sets_progress_and_stops(void **state)
{
	TestHost	host;

	(void) state;
	host_open(&host, 1);
	host.stop_at = 2;
	assert_true(core_report(&host.core, "training", 1, 7));
	assert_string_equal(host.core.progress.phase, "training");
	assert_int_equal(host.core.progress.done, 1);
	assert_int_equal(host.core.progress.total, 7);
	assert_false(core_report(&host.core, "training", 2, 7));
	assert_int_equal(host.core.status, CORE_STOPPED);
}

static void
standalone_core_works(void **state)
{
	Core		core;
	Arena		arena;

	(void) state;
	core_open_standalone(&core, 2);
	assert_true(core_continues(&core));
	arena_open(&arena, &core);
	assert_non_null(arena_floats(&arena, 10));
	arena_close(&arena);
	assert_int_equal(core.memory_used, 0);
}

static void
blocks_are_aligned_and_apart(void **state)
{
	TestHost	host;
	Arena		arena;
	unsigned char *blocks[50];

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	for (int i = 0; i < 50; i++)
	{
		blocks[i] = arena_allocate(&arena, (size_t) i, 3);
		assert_non_null(blocks[i]);
		assert_int_equal((uintptr_t) blocks[i] % 64, 0);
		memset(blocks[i], i, (size_t) i * 3);
	}
	for (int i = 0; i < 50; i++)
	{
		for (int j = 0; j < i * 3; j++)
			assert_int_equal(blocks[i][j], i);
	}
	arena_close(&arena);
	host_assert_clean(&host);
}

static void
zeroed_block_is_zero(void **state)
{
	TestHost	host;
	Arena		arena;
	unsigned char *block;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	block = arena_allocate_zeroed(&arena, 100, 3);
	for (int i = 0; i < 300; i++)
		assert_int_equal(block[i], 0);
	arena_close(&arena);
}

static void
blocks_can_be_released_in_any_order(void **state)
{
	TestHost	host;
	Arena		arena;
	void	   *blocks[4];

	(void) state;
	for (int pair = 0; pair < 16; pair++)
	{
		int			first = pair / 4;
		int			second = pair % 4;

		if (first == second)
			continue;
		host_open(&host, 1);
		arena_open(&arena, &host.core);
		for (int i = 0; i < 4; i++)
			blocks[i] = arena_allocate(&arena, 10, 1);
		arena_release(&arena, NULL);
		arena_release(&arena, blocks[first]);
		arena_release(&arena, blocks[second]);
		assert_int_equal(host.live, 2);
		arena_allocate(&arena, 5, 5);
		arena_close(&arena);
		host_assert_clean(&host);
	}
}

static void
grown_block_keeps_its_contents(void **state)
{
	TestHost	host;
	Arena		arena;
	int		   *block = NULL;
	size_t		count = 0;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	for (size_t larger = 1; larger < 100; larger *= 3)
	{
		block = arena_grow(&arena, block, count, larger, sizeof(int));
		for (size_t i = 0; i < count; i++)
			assert_int_equal(block[i], i);
		for (size_t i = count; i < larger; i++)
			block[i] = (int) i;
		count = larger;
	}
	assert_int_equal(host.live, 1);
	arena_close(&arena);
	host_assert_clean(&host);
}

static void
failed_growth_keeps_the_old_block(void **state)
{
	TestHost	host;
	Arena		arena;
	char	   *block;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	block = arena_allocate(&arena, 4, 1);
	memcpy(block, "abc", 4);
	host.fail_at = 2;
	assert_null(arena_grow(&arena, block, 4, 100, 1));
	assert_int_equal(host.core.status, CORE_OUT_OF_MEMORY);
	assert_string_equal(block, "abc");
	arena_close(&arena);
	host_assert_clean(&host);
}

static void
overflowing_sizes_are_refused(void **state)
{
	const size_t counts[] = {SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX / 8 + 1, SIZE_MAX - 63};
	const size_t sizes[] = {1, 2, 8, 1};

	(void) state;
	for (int i = 0; i < 4; i++)
	{
		TestHost	host;
		Arena		arena;

		host_open(&host, 1);
		arena_open(&arena, &host.core);
		assert_null(arena_allocate(&arena, counts[i], sizes[i]));
		assert_int_equal(host.core.status, CORE_OUT_OF_MEMORY);
		assert_int_equal(host.requests, 0);
		assert_null(arena_allocate_zeroed(&arena, counts[i], sizes[i]));
		arena_close(&arena);
	}
}

static void
limit_is_kept_and_explained(void **state)
{
	TestHost	host;
	Arena		arena;
	void	   *block;

	(void) state;
	host_open(&host, 1);
	host.core.memory_limit = 10000;
	arena_open(&arena, &host.core);
	block = arena_allocate(&arena, 6000, 1);
	assert_non_null(block);
	assert_int_equal(host.core.memory_peak, host.core.memory_used);
	arena_release(&arena, block);
	assert_int_equal(host.core.memory_used, 0);
	assert_non_null(arena_allocate(&arena, 6000, 1));
	assert_null(arena_allocate(&arena, 6000, 1));
	assert_int_equal(host.core.status, CORE_OVER_LIMIT);
	assert_non_null(strstr(host.core.detail, "10000 are allowed"));
	arena_close(&arena);
	assert_true(host.core.memory_peak >= 6000 && host.core.memory_peak <= 10000);
	host_assert_clean(&host);
}

/* Counts visits of each shard. */
typedef struct Visits
{
	atomic_int	shards[1000];
	atomic_int	bad_workers;
	int			threads;
} Visits;

static void
visit(void *argument, int64_t shard, int worker)
{
	Visits	   *visits = argument;

	atomic_fetch_add(&visits->shards[shard], 1);
	if (worker < 0 || worker >= visits->threads)
		atomic_fetch_add(&visits->bad_workers, 1);
}

static void
each_shard_runs_once(void **state)
{
	static Visits visits;

	(void) state;
	for (int threads = 0; threads <= 8; threads++)
	{
		TestHost	host;

		memset(&visits, 0, sizeof(visits));
		visits.threads = threads > 1 ? threads : 1;
		host_open(&host, threads);
		core_start_workers(&host.core);
		for (int shards = 0; shards <= 1000; shards += 125)
		{
			assert_int_equal(core_parallel(&host.core, shards, visit, &visits), CORE_OK);
			for (int i = 0; i < 1000; i++)
			{
				assert_int_equal(visits.shards[i], i < shards);
				visits.shards[i] = 0;
			}
		}
		core_stop_workers(&host.core);
		assert_int_equal(visits.bad_workers, 0);
		host_assert_clean(&host);
	}
}

static void
work_runs_without_workers(void **state)
{
	static Visits visits = {.threads = 1};
	TestHost	host;

	(void) state;
	host_open(&host, 4);
	assert_int_equal(core_parallel(&host.core, 1000, visit, &visits), CORE_OK);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(visits.shards[i], 1);
}

static void
work_runs_when_workers_cannot_start(void **state)
{
	static Visits visits = {.threads = 4};
	TestHost	host;

	(void) state;
	host_open(&host, 4);
	host.fail_at = 1;
	core_start_workers(&host.core);
	assert_int_equal(core_parallel(&host.core, 10, visit, &visits), CORE_OK);
	core_stop_workers(&host.core);
	assert_int_equal(visits.shards[9], 1);
	host_assert_clean(&host);
}

static void
threads_live_from_start_to_stop(void **state)
{
	TestHost	host;
	int			before = thread_count();

	(void) state;
	host_open(&host, 4);
	core_start_workers(&host.core);
	assert_int_equal(thread_count(), before + 3);
	core_start_workers(&host.core);
	core_stop_workers(&host.core);
	assert_int_equal(thread_count(), before + 3);	/* the inner pair did nothing */
	core_stop_workers(&host.core);
	assert_int_equal(thread_count(), before);
	core_stop_workers(&host.core);	/* one too many is harmless */
	host_assert_clean(&host);
}

/* Notes whether a worker could get a signal. */
static void
look_at_signals(void *argument, int64_t shard, int worker)
{
	atomic_int *reachable = argument;
	struct timespec pause = {0, 1000000};
	sigset_t	blocked;

	(void) shard;
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	if (worker > 0 && (!sigismember(&blocked, SIGINT) || !sigismember(&blocked, SIGALRM) ||
					   !sigismember(&blocked, SIGUSR1) || !sigismember(&blocked, SIGTERM)))
		atomic_fetch_add(reachable, 1);
	nanosleep(&pause, NULL);
}

static void
signals_are_blocked_in_workers_alone(void **state)
{
	atomic_int	reachable = 0;
	sigset_t	blocked;
	TestHost	host;

	(void) state;
	host_open(&host, 3);
	core_start_workers(&host.core);
	pthread_sigmask(SIG_SETMASK, NULL, &blocked);
	assert_false(sigismember(&blocked, SIGINT));
	core_parallel(&host.core, 30, look_at_signals, &reachable);
	core_stop_workers(&host.core);
	assert_int_equal(reachable, 0);
}

/* A shard of a millisecond. */
static void
dawdle(void *argument, int64_t shard, int worker)
{
	atomic_int *done = argument;
	struct timespec pause = {0, 1000000};

	(void) shard;
	(void) worker;
	nanosleep(&pause, NULL);
	atomic_fetch_add(done, 1);
}

static void
stop_ends_a_job_early(void **state)
{
	(void) state;
	for (int threads = 1; threads <= 3; threads++)
	{
		atomic_int	done = 0;
		TestHost	host;

		host_open(&host, threads);
		host.stop_at = 5;
		core_start_workers(&host.core);
		assert_int_equal(core_parallel(&host.core, 100000, dawdle, &done), CORE_STOPPED);
		assert_true(done < 100);
		done = 0;
		assert_int_equal(core_parallel(&host.core, 10, dawdle, &done), CORE_STOPPED);
		assert_int_equal(done, 0);	/* a stopped call does no more work */
		core_stop_workers(&host.core);
		host_assert_clean(&host);
	}
}

/* Worker shards end last; done or not is seen after the job. */
static void
finish_late(void *argument, int64_t shard, int worker)
{
	volatile char *done = argument;
	struct timespec pause = {0, worker > 0 ? 3000000 : 100000};

	nanosleep(&pause, NULL);
	done[shard] = 1;
}

static void
a_job_ends_when_its_last_shard_has(void **state)
{
	TestHost	host;

	(void) state;
	host_open(&host, 4);
	core_start_workers(&host.core);
	for (int job = 0; job < 20; job++)
	{
		char		done[40] = {0};

		core_parallel(&host.core, 40, finish_late, done);
		for (int i = 0; i < 40; i++)
			assert_int_equal(done[i], 1);
	}
	core_stop_workers(&host.core);
}

static bool
count_looks(void *data, const CoreProgress *progress)
{
	(void) progress;
	++*(int64_t *) data;
	return false;
}

/* Short shards do not ask more often than every few milliseconds, long jobs do ask. */
static void
host_is_asked_now_and_then(void **state)
{
	static Visits visits = {.threads = 1};
	int64_t		looks = 0;
	atomic_int	done = 0;
	Core		core;

	(void) state;
	core_open_standalone(&core, 1);
	core.host.progress = count_looks;
	core.host.data = &looks;
	core_parallel(&core, 100, dawdle, &done);
	assert_in_range(looks, 5, 100);
	looks = 0;
	core_parallel(&core, 1000, visit, &visits);
	assert_true(looks < 50);
}

/* Many short jobs in a row: a worker that comes late must not touch the next job's shards. */
static void
short_jobs_do_not_mix(void **state)
{
	static Visits visits = {.threads = 4};
	TestHost	host;

	(void) state;
	host_open(&host, 4);
	core_start_workers(&host.core);
	for (int job = 0; job < 5000; job++)
	{
		int			shards = 2 + job % 5;

		core_parallel(&host.core, shards, visit, &visits);
		for (int i = 0; i < shards; i++)
			assert_int_equal(atomic_exchange(&visits.shards[i], 0), 1);
	}
	core_stop_workers(&host.core);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(first_failure_is_kept),
		cmocka_unit_test(long_detail_is_cut),
		cmocka_unit_test(report_sets_progress_and_stops),
		cmocka_unit_test(standalone_core_works),
		cmocka_unit_test(blocks_are_aligned_and_apart),
		cmocka_unit_test(zeroed_block_is_zero),
		cmocka_unit_test(blocks_can_be_released_in_any_order),
		cmocka_unit_test(grown_block_keeps_its_contents),
		cmocka_unit_test(failed_growth_keeps_the_old_block),
		cmocka_unit_test(overflowing_sizes_are_refused),
		cmocka_unit_test(limit_is_kept_and_explained),
		cmocka_unit_test(each_shard_runs_once),
		cmocka_unit_test(work_runs_without_workers),
		cmocka_unit_test(work_runs_when_workers_cannot_start),
		cmocka_unit_test(threads_live_from_start_to_stop),
		cmocka_unit_test(signals_are_blocked_in_workers_alone),
		cmocka_unit_test(stop_ends_a_job_early),
		cmocka_unit_test(a_job_ends_when_its_last_shard_has),
		cmocka_unit_test(host_is_asked_now_and_then),
		cmocka_unit_test(short_jobs_do_not_mix),
	};

	return cmocka_run_group_tests_name("core", tests, NULL, NULL);
}
