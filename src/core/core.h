/*
 * core.h
 *		What every file of the numeric core shares: status codes, the host that
 *		lends memory and listens to progress, arenas, and worker threads.
 *
 * The core is plain C.  It knows no database, prints nothing, keeps no global
 * state, and never leaves a function by a jump: a function that can fail
 * returns a CoreStatus, and the first failure stays in Core.status.
 *
 * Rules that the whole core keeps:
 *	- Memory comes from an Arena.  Closing the arena frees all of it, so the way
 *	  out of a failed call is the same as the way out of a good one.
 *	- Worker threads exist only between core_start_workers() and
 *	  core_stop_workers(), have every signal blocked, never allocate, and never
 *	  call the host.
 *	- Work is cut by index into shards whose number does not depend on the number
 *	  of threads, and sums over shards are taken in shard order.  So the same seed
 *	  gives the same bytes with any number of threads.
 *	- A shard takes well under 50 ms, because a request to stop is looked at
 *	  between shards.
 */
#ifndef BEHAVPRED_CORE_H
#define BEHAVPRED_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum CoreStatus
{
	CORE_OK = 0,
	CORE_STOPPED,				/* the host asked to stop */
	CORE_OUT_OF_MEMORY,			/* the host had no memory */
	CORE_OVER_LIMIT,			/* the allocation would pass memory_limit */
	CORE_INVALID,				/* an argument is out of its range */
	CORE_DIVERGED,				/* a value became NaN or infinite */
	CORE_CORRUPT				/* stored bytes do not decode */
} CoreStatus;

/* Where a long call stands; `done` of `total` steps of the named phase. */
typedef struct CoreProgress
{
	const char *phase;			/* static text, such as "training" */
	int64_t		done;
	int64_t		total;			/* 0 = not known */
} CoreProgress;

/*
 * The host.  Every function is called only from the thread that called the core.
 */
typedef struct CoreHost
{
	void	   *(*allocate) (void *data, size_t size);	/* NULL = no memory */
	void		(*release) (void *data, void *block);
	/* true = stop as soon as possible; called about every 50 ms, so keep it cheap */
	bool		(*progress) (void *data, const CoreProgress *progress);
	void	   *data;
} CoreHost;

typedef struct Workers Workers;

typedef struct Core
{
	CoreHost	host;
	int			threads;		/* workers wanted, the calling thread included */
	size_t		memory_limit;	/* bytes, 0 = none */
	size_t		memory_used;
	size_t		memory_peak;
	CoreStatus	status;			/* first failure; CORE_OK while all is well */
	char		detail[200];	/* numbers that explain it, "" when there are none */
	CoreProgress progress;
	int64_t		asked_at;		/* when core_parallel() last asked the host, monotonic ns */
	Workers    *workers;		/* NULL when only the calling thread works */
	bool		portable;		/* use the portable kernels on any processor: for tests */
} Core;

/* A core on malloc and without a listener: for tests and benchmarks. */
extern void core_open_standalone(Core *core, int threads);

/* Keep the first failure, with a formatted detail; returns core->status. */
extern CoreStatus core_fail(Core *core, CoreStatus status, const char *detail,...)
			__attribute__((format(printf, 3, 4)));

/* Name the phase and how far it is, then look whether to stop. */
extern bool core_report(Core *core, const char *phase, int64_t done, int64_t total);

/* True while the call may go on; asks the host, and keeps CORE_STOPPED. */
extern bool core_continues(Core *core);

/* An arena: blocks that are freed together. */
typedef struct ArenaBlock ArenaBlock;
typedef struct Arena
{
	Core	   *core;
	ArenaBlock *last;
} Arena;

extern void arena_open(Arena *arena, Core *core);
extern void arena_close(Arena *arena);

/*
 * `count` elements of `size` bytes, 64-byte aligned.  NULL when the product
 * overflows, the limit is passed or the host has no memory; core->status then
 * says which, so several requests may be checked together afterwards.
 * A count of 0 gives a valid pointer.
 */
extern void *arena_allocate(Arena *arena, size_t count, size_t size);
extern void *arena_allocate_zeroed(Arena *arena, size_t count, size_t size);

/* Move to a larger block and free the old one; `old` may be NULL. */
extern void *arena_grow(Arena *arena, void *old, size_t old_count, size_t new_count, size_t size);

/* Let a block live as long as another arena of the same core. */
extern void arena_move(Arena *from, Arena *to, void *block);

/* Free one block early; NULL is allowed. */
extern void arena_release(Arena *arena, void *block);

#define arena_floats(arena, count) ((float *) arena_allocate(arena, count, sizeof(float)))
#define arena_doubles(arena, count) ((double *) arena_allocate(arena, count, sizeof(double)))

/*
 * Worker threads.  core_start_workers() starts core->threads - 1 of them; when the
 * system refuses a thread, or memory that BLAS needs for it, the work is done by fewer, with
 * the same result.  Without such memory for the calling thread core->status says so.
 * Start and stop are called by the outermost function of a numeric call; calls nest
 * (the inner pair does nothing).
 */
extern void core_start_workers(Core *core);
extern void core_stop_workers(Core *core);

/*
 * Run function(argument, shard, worker) for shard 0 .. shards - 1, each once, in
 * any order, on all workers; `worker` is 0 .. core->threads - 1 and names private
 * scratch space.  Returns when all are done, or early, with CORE_STOPPED, when the
 * host asks to stop.  Without started workers the calling thread does it all.
 */
typedef void (*ShardFunction) (void *argument, int64_t shard, int worker);
extern CoreStatus core_parallel(Core *core, int64_t shards, ShardFunction function, void *argument);

#endif
