/*
 * bridge.c
 *		Between the numeric core and the server: memory, interrupts, errors, threads.
 *
 * The one rule of this file: while worker threads live, nothing may leave a function by
 * a jump or end the process.  A jump would go on to free memory that the workers still
 * write to.  So an interrupt that raises an error, or ends the backend, is left pending
 * and the core is asked to stop; bridge_check() lets it happen when the core is back.
 * Interrupts of the other sort (barriers, requests to log memory) are served in between,
 * because other backends may wait for them, and an error they raise is kept for later.
 *
 * Two nets are spread below: an exit callback and a reset callback of the core's memory
 * context both join workers that are still alive before their memory goes.
 */
#include "postgres.h"

#include <signal.h>

#include "lib/ilist.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#include "pg/bridge.h"
#include "pg/debug_point.h"
#include "pg/progress.h"
#include "pg/server_versions.h"
#include "pg/settings.h"
#include "pg/wording.h"

typedef struct Bridge
{
	Core		core;			/* must be first: a Core * of ours is a Bridge * */
	MemoryContext context;
	MemoryContextCallback on_reset;
	dlist_node	node;			/* in open_bridges */
	bool		shown;			/* in the view progress */
	bool		stop;			/* the core has been asked to stop */
	ErrorData  *error;			/* raised while an interrupt was served, or NULL */
} Bridge;

/* From libpq/libpq.h, which needs the headers of GSSAPI on the machine. */
extern bool pq_check_connection(void);

/* All cores of this backend that are open, for the exit callback. */
static dlist_head open_bridges = DLIST_STATIC_INIT(open_bridges);

/* CoreHost.allocate: no limit of 1 GB, and NULL instead of an error. */
static void *
bridge_allocate(void *data, size_t size)
{
	if (!AllocHugeSizeIsValid(size))
		return NULL;
	return MemoryContextAllocExtended(((Bridge *) data)->context, size,
									  MCXT_ALLOC_HUGE | MCXT_ALLOC_NO_OOM);
}

/* CoreHost.release */
static void
bridge_release(void *data, void *block)
{
	pfree(block);
}

/* True when serving the pending interrupts would raise an error or end the backend. */
static bool
interrupt_is_final(void)
{
	return QueryCancelPending || ProcDiePending || ClientConnectionLost ||
		IdleInTransactionSessionTimeoutPending || IdleSessionTimeoutPending ||
		TransactionTimeoutPending;
}

/*
 * Serve the pending interrupts unless they are final; returns whether the core must
 * stop.  Signals are blocked by the caller, so none becomes final in between.  A lost
 * client is looked for here, because ProcessInterrupts() would end the backend at once.
 */
static bool
serve_interrupts(void)
{
	if (CheckClientConnectionPending && !pq_check_connection())
		ClientConnectionLost = true;
	if (interrupt_is_final())
		return true;
	ProcessInterrupts();
	return interrupt_is_final();
}

/* serve_interrupts(), with an error kept in bridge->error instead of raised. */
static bool
serve_interrupts_quietly(Bridge *bridge, const char *phase)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile bool stop = true;

	PG_TRY();
	{
		debug_point(phase);
		stop = serve_interrupts();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(bridge->context);
		bridge->error = CopyErrorData();
		FlushErrorState();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	return stop;
}

/* CoreHost.progress: true asks the core to stop. */
static bool
bridge_progress(void *data, const CoreProgress *progress)
{
	Bridge	   *bridge = data;
	sigset_t	before;

	if (bridge->shown)
		progress_note(progress->phase, progress->done, progress->total, bridge->core.memory_used);
	if (bridge->stop || !INTERRUPTS_CAN_BE_PROCESSED() ||
		!(InterruptPending || debug_point_is(progress->phase)))
		return bridge->stop;

	sigprocmask(SIG_SETMASK, &BlockSig, &before);
	bridge->stop = serve_interrupts_quietly(bridge, progress->phase);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return bridge->stop;
}

/* End the workers of a core whose call did not come back. */
static void
join_workers(Bridge *bridge)
{
	while (bridge->core.workers != NULL)
		core_stop_workers(&bridge->core);
}

/* before_shmem_exit callback: runs before the memory of the transaction is freed. */
static void
bridge_exit(int code, Datum argument)
{
	dlist_iter	iterator;

	dlist_foreach(iterator, &open_bridges)
	{
		join_workers(dlist_container(Bridge, node, iterator.cur));
	}
}

/* Reset callback of the core's context: the last moment before its memory goes. */
static void
bridge_reset(void *argument)
{
	Bridge	   *bridge = argument;

	Assert(bridge->core.workers == NULL);
	join_workers(bridge);
	if (bridge->shown)
		progress_close();
	dlist_delete(&bridge->node);
}

/* Register the exit callback once in the life of the backend. */
static void
watch_exit(void)
{
	static bool watching = false;

	if (!watching)
		before_shmem_exit(bridge_exit, (Datum) 0);
	watching = true;
}

/* The argument "threads" of a function; bridge_open() cuts it down when it is too high. */
int
threads_argument(FunctionCallInfo fcinfo, int argument)
{
	int			threads = PG_ARGISNULL(argument) ? 0 : PG_GETARG_INT32(argument);

	if (!PG_ARGISNULL(argument) && threads < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("threads is %d, at least 1 is needed", threads),
				 errhint("Leave it out to use behavpred.threads (now %d).", setting_threads)));
	return threads;
}

/* Open a core for one call. */
Core *
bridge_open(int threads)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "behavpred core",
												  ALLOCSET_DEFAULT_SIZES);
	Bridge	   *bridge = MemoryContextAllocZero(context, sizeof(Bridge));

	watch_exit();
	bridge->context = context;
	bridge->core.host.allocate = bridge_allocate;
	bridge->core.host.release = bridge_release;
	bridge->core.host.progress = bridge_progress;
	bridge->core.host.data = bridge;
	bridge->core.threads = Min(threads > 0 ? threads : setting_threads, setting_max_threads);
	bridge->core.memory_limit = (size_t) setting_max_memory * 1024;

	dlist_push_head(&open_bridges, &bridge->node);
	bridge->on_reset.func = bridge_reset;
	bridge->on_reset.arg = bridge;
	MemoryContextRegisterResetCallback(context, &bridge->on_reset);
	return &bridge->core;
}

/* Show other sessions where this core stands, unless a call around this one does already. */
void
bridge_show(Core *core, const char *graph, const char *target)
{
	Bridge	   *bridge = (Bridge *) core;

	if (!bridge->shown)
		bridge->shown = progress_open(graph, target);
}

/* Free the core and all it allocated. */
void
bridge_close(Core *core)
{
	MemoryContextDelete(((Bridge *) core)->context);
}

/*
 * The core stopped because of an interrupt: let it happen.  The last error is for an
 * interrupt that is gone by now, such as a cancel that raced with the end of a wait.
 */
static void
raise_interrupt(Bridge *bridge, const char *task)
{
	if (bridge->error != NULL)
		ReThrowError(bridge->error);
	CHECK_FOR_INTERRUPTS();
	ereport(ERROR,
			(errcode(ERRCODE_QUERY_CANCELED),
			 errmsg("canceling %s", task),
			 errhint("Run the statement again.")));
}

/* The limit was passed in the middle of the work. */
static void
raise_over_limit(Core *core, const char *task)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("%s needs more than behavpred.max_memory, %s", task, format_bytes(core->memory_limit)),
			 errdetail_internal("%s.", core->detail),
			 errhint("Raise it: SET behavpred.max_memory = '%s';",
					 format_bytes(core->memory_limit * 2))));
}

/* One error for each status that the numbers alone decide. */
static void
raise_status(Core *core, const char *task)
{
	switch (core->status)
	{
		case CORE_OUT_OF_MEMORY:
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory while %s", task),
					 errdetail_internal("%s.", core->detail),
					 errhint("Free memory on the server, or use a smaller dimension.")));
			break;
		case CORE_DIVERGED:
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("%s met a value that is not finite", task),
					 errdetail_internal("%s.", core->detail),
					 errhint("Use a smaller learning_rate.")));
			break;
		case CORE_CORRUPT:
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("%s met stored bytes that do not decode", task),
					 errdetail_internal("%s.", core->detail),
					 errhint("Train again to replace them.")));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("%s is not possible with these arguments", task),
					 errdetail_internal("%s.", core->detail),
					 errhint("Change the argument that the detail names.")));
	}
}

/* Raise what the core met, or return when all is well. */
void
bridge_check(Core *core, const char *task,...)
{
	Bridge	   *bridge = (Bridge *) core;
	char		name[NAMEDATALEN * 4];
	va_list		arguments;

	Assert(core->workers == NULL);
	if (core->status == CORE_OK && bridge->error == NULL)
		return;

	va_start(arguments, task);
	vsnprintf(name, sizeof(name), task, arguments);
	va_end(arguments);

	if (core->status == CORE_STOPPED || bridge->error != NULL)
		raise_interrupt(bridge, name);
	if (core->status == CORE_OVER_LIMIT)
		raise_over_limit(core, name);
	raise_status(core, name);
}
