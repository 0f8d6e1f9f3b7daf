/*
 * reader.c
 *		Read the rows of a query one by one, without keeping them.
 *
 * Memory: a row is seen once, in the slot of the executor; what the row function
 * allocates goes when the next row comes.  Errors may leave the row function by a
 * jump: SPI, the snapshot and the contexts are cleaned up with the transaction.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "tcop/dest.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "pg/reader.h"

typedef struct RowReceiver
{
	DestReceiver receiver;		/* must be first */
	RowFunction function;
	void	   *argument;
	MemoryContext row_context;	/* reset before each row */
} RowReceiver;

/* One row from the executor. */
static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	RowReceiver *receiver = (RowReceiver *) self;
	MemoryContext caller;

	slot_getallattrs(slot);
	MemoryContextReset(receiver->row_context);
	caller = MemoryContextSwitchTo(receiver->row_context);
	receiver->function(receiver->argument, slot->tts_values, slot->tts_isnull);
	MemoryContextSwitchTo(caller);
	return true;
}

/* Nothing to prepare: the caller knows its columns. */
static void
start_rows(DestReceiver *self, int operation, TupleDesc description)
{
}

/* Nothing to end or to free: the receiver stands on the stack of read_rows(). */
static void
end_rows(DestReceiver *self)
{
}

/*
 * Read-only SPI takes the snapshot that is active.  It is the snapshot of the calling
 * statement, so rows that other transactions commit meanwhile stay out; but it was
 * taken before this function, or a function around it, wrote anything.  So push a copy
 * of it that has the current command number: the transaction's own earlier changes are
 * seen, and the command counter stays as it is, as a STABLE function must leave it.
 */
static void
push_reading_snapshot(void)
{
	PushCopiedSnapshot(ActiveSnapshotSet() ? GetActiveSnapshot() : GetTransactionSnapshot());
	UpdateActiveSnapshotCommandId();
}

/*
 * The parameters of a query as the executor takes them: NULL when there are none, as SPI itself
 * does it.  An empty list ends the backend under Citus, which copies it and gets NULL.
 */
static ParamListInfo
make_parameters(int n, Oid *types, Datum *values, const char *nulls)
{
	ParamListInfo parameters = n > 0 ? makeParamList(n) : NULL;

	for (int i = 0; i < n; i++)
	{
		parameters->params[i].ptype = types[i];
		parameters->params[i].value = values[i];
		parameters->params[i].isnull = nulls != NULL && nulls[i] == 'n';
		parameters->params[i].pflags = PARAM_FLAG_CONST;	/* let the planner see the value */
	}
	return parameters;
}

/* Plan the query, parallel plans allowed, and send its rows to the receiver. */
static uint64
run_query(const char *query, int n_arguments, Oid *types, ParamListInfo parameters, RowReceiver *receiver)
{
	SPIPlanPtr	plan;
	SPIExecuteOptions options = {
		.params = parameters,
		.read_only = true,
		.must_return_tuples = true,
		.dest = &receiver->receiver
	};
	int			result;

	plan = SPI_prepare_cursor(query, n_arguments, types, CURSOR_OPT_PARALLEL_OK);
	if (plan == NULL)
		elog(ERROR, "could not prepare a query: %s", SPI_result_code_string(SPI_result));
	result = SPI_execute_plan_extended(plan, &options);
	if (result != SPI_OK_SELECT)
		elog(ERROR, "could not run a query: %s", SPI_result_code_string(result));
	return SPI_processed;
}

/* Read the rows of a query; see reader.h. */
uint64
read_rows(const char *query, int n_arguments, Oid *types, Datum *values, const char *nulls,
		  RowFunction function, void *argument)
{
	RowReceiver receiver = {
		.receiver = {
			.receiveSlot = receive_row,
			.rStartup = start_rows,
			.rShutdown = end_rows,
			.rDestroy = end_rows,
			.mydest = DestTuplestore	/* DestNone would mean: rows are thrown away */
		},
		.function = function,
		.argument = argument
	};
	uint64		rows;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "could not connect to SPI");
	receiver.row_context = AllocSetContextCreate(CurrentMemoryContext, "behavpred row",
												 ALLOCSET_DEFAULT_SIZES);
	push_reading_snapshot();
	rows = run_query(query, n_arguments, types, make_parameters(n_arguments, types, values, nulls), &receiver);
	PopActiveSnapshot();
	if (SPI_finish() != SPI_OK_FINISH)
		elog(ERROR, "could not finish SPI");
	return rows;
}
