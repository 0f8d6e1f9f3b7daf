/*
 * workers.c
 *		Worker threads of one numeric call.
 *
 * The host process is not made for threads, so ours are kept harmless: every signal
 * is blocked in them (a signal handler of the host must run in the host's own
 * thread), they never call the host, and they are joined before the call returns.
 *
 * A job is a function and a number of shards; whoever is free takes the next shard
 * from an atomic counter.  A worker that wakes up after the last shard was taken
 * finds the job closed and sleeps on, so that a short job never waits for a thread
 * that the system has not scheduled yet.
 */
#include "core/blas_buffers.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

/* How often the calling thread asks the host between shards; reading the clock costs
 * some 30 ns, so shards may be short. */
#define ASK_EVERY_NANOSECONDS INT64_C(5000000)

/* Weak: another BLAS has no such functions. */
extern int	openblas_get_num_threads(void) __attribute__((weak));
extern void openblas_set_num_threads(int n_threads) __attribute__((weak));

typedef struct Worker
{
	Workers    *workers;
	pthread_t	thread;
	int			number;			/* from 1; the calling thread is worker 0 */
} Worker;

struct Workers
{
	int			depth;			/* of nested core_start_workers() */
	int			started;		/* entries of worker[] with a thread */
	pthread_mutex_t mutex;		/* for the four fields below */
	pthread_cond_t job_opened;
	pthread_cond_t job_left;
	bool		quit;
	bool		open;			/* a job has shards left */
	uint64_t	job;			/* its number */
	int			inside;			/* workers that run its shards */

	/* The job; written only while no worker is inside. */
	ShardFunction function;
	void	   *argument;
	int64_t		shards;
	atomic_int_fast64_t next_shard;
	atomic_bool stop;

	Worker		worker[];
};

/*
 * Shards are our parallelism; a BLAS that starts threads of its own would make the
 * result depend on the machine.  Some builds of OpenBLAS keep this setting for each
 * thread.  It is only set when it must be: in others the call restarts the threads
 * that the host has ended.
 */
static void
use_one_blas_thread(void)
{
	if (openblas_get_num_threads != NULL && openblas_set_num_threads != NULL &&
		openblas_get_num_threads() != 1)
		openblas_set_num_threads(1);
}

static int64_t
monotonic_nanoseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
}

/* core_continues(), but no more often than the host cares to be asked. */
static bool
continues_now_and_then(Core *core)
{
	int64_t		now = monotonic_nanoseconds();

	if (core->status != CORE_OK)
		return false;
	if (now - core->asked_at < ASK_EVERY_NANOSECONDS)
		return true;
	core->asked_at = now;
	return core_continues(core);
}

/* Take shards of the open job until there are none left or the call stops. */
static void
run_shards(Workers *workers, int number)
{
	while (!atomic_load_explicit(&workers->stop, memory_order_relaxed))
	{
		int64_t		shard = atomic_fetch_add_explicit(&workers->next_shard, 1, memory_order_relaxed);

		if (shard >= workers->shards)
			break;
		workers->function(workers->argument, shard, number);
	}
}

/* The life of a worker: sleep, join an open job once, sleep again. */
static void *
worker_main(void *argument)
{
	Worker	   *self = argument;
	Workers    *workers = self->workers;
	uint64_t	last_job = 0;

	use_one_blas_thread();
	pthread_mutex_lock(&workers->mutex);
	while (!workers->quit)
	{
		if (!workers->open || workers->job == last_job)
		{
			pthread_cond_wait(&workers->job_opened, &workers->mutex);
			continue;
		}
		last_job = workers->job;
		workers->inside++;
		pthread_mutex_unlock(&workers->mutex);
		run_shards(workers, self->number);
		pthread_mutex_lock(&workers->mutex);
		workers->inside--;
		if (workers->inside == 0)
			pthread_cond_signal(&workers->job_left);
	}
	pthread_mutex_unlock(&workers->mutex);
	return NULL;
}

/* Start up to `wanted` threads that no signal can reach. */
static void
start_threads(Workers *workers, int wanted)
{
	sigset_t	all;
	sigset_t	before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (workers->started < wanted)
	{
		Worker	   *worker = &workers->worker[workers->started];

		worker->workers = workers;
		worker->number = workers->started + 1;
		if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
			break;
		workers->started++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Start core->threads - 1 workers, or as many as the system grants; see core.h. */
void
core_start_workers(Core *core)
{
	Workers    *workers = core->workers;
	int			wanted;

	if (workers != NULL)
	{
		workers->depth++;
		return;
	}
	use_one_blas_thread();
	wanted = blas_buffers_reserve(core, core->threads > 1 ? core->threads : 1) - 1;
	if (wanted < 1)
		return;
	workers = core->host.allocate(core->host.data, sizeof(Workers) + (size_t) wanted * sizeof(Worker));
	if (workers == NULL)
		return;

	workers->depth = 1;
	workers->started = 0;
	workers->quit = false;
	workers->open = false;
	workers->job = 0;
	workers->inside = 0;
	pthread_mutex_init(&workers->mutex, NULL);
	pthread_cond_init(&workers->job_opened, NULL);
	pthread_cond_init(&workers->job_left, NULL);
	core->workers = workers;
	start_threads(workers, wanted);
}

/* Join the workers when the outermost call ends. */
void
core_stop_workers(Core *core)
{
	Workers    *workers = core->workers;

	if (workers == NULL || --workers->depth > 0)
		return;

	pthread_mutex_lock(&workers->mutex);
	workers->quit = true;
	pthread_cond_broadcast(&workers->job_opened);
	pthread_mutex_unlock(&workers->mutex);
	for (int i = 0; i < workers->started; i++)
		pthread_join(workers->worker[i].thread, NULL);

	pthread_cond_destroy(&workers->job_left);
	pthread_cond_destroy(&workers->job_opened);
	pthread_mutex_destroy(&workers->mutex);
	core->workers = NULL;
	core->host.release(core->host.data, workers);
}

/* All shards in order, on the calling thread. */
static CoreStatus
run_alone(Core *core, int64_t shards, ShardFunction function, void *argument)
{
	for (int64_t shard = 0; shard < shards && continues_now_and_then(core); shard++)
		function(argument, shard, 0);
	return core->status;
}

/* Let the workers in. */
static void
open_job(Workers *workers, int64_t shards, ShardFunction function, void *argument)
{
	pthread_mutex_lock(&workers->mutex);
	workers->function = function;
	workers->argument = argument;
	workers->shards = shards;
	atomic_store_explicit(&workers->next_shard, 0, memory_order_relaxed);
	atomic_store_explicit(&workers->stop, false, memory_order_relaxed);
	workers->job++;
	workers->open = true;
	pthread_cond_broadcast(&workers->job_opened);
	pthread_mutex_unlock(&workers->mutex);
}

/* Let no more workers in and wait for those inside, who are at their last shard. */
static void
close_job(Workers *workers)
{
	pthread_mutex_lock(&workers->mutex);
	workers->open = false;
	while (workers->inside > 0)
		pthread_cond_wait(&workers->job_left, &workers->mutex);
	pthread_mutex_unlock(&workers->mutex);
}

/* The calling thread works like the others, and also listens to the host. */
static void
run_shards_and_listen(Core *core, Workers *workers)
{
	while (continues_now_and_then(core))
	{
		int64_t		shard = atomic_fetch_add_explicit(&workers->next_shard, 1, memory_order_relaxed);

		if (shard >= workers->shards)
			return;
		workers->function(workers->argument, shard, 0);
	}
	atomic_store_explicit(&workers->stop, true, memory_order_relaxed);
}

/* Run all shards on all workers; see core.h. */
CoreStatus
core_parallel(Core *core, int64_t shards, ShardFunction function, void *argument)
{
	Workers    *workers = core->workers;

	if (workers == NULL || workers->started == 0 || shards < 2)
		return run_alone(core, shards, function, argument);
	if (core->status != CORE_OK)
		return core->status;

	open_job(workers, shards, function, argument);
	run_shards_and_listen(core, workers);
	close_job(workers);
	return core->status;
}
