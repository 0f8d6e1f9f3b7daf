/*
 * job_refresh.c
 *		run_refresh(): empty the queue of changed nodes, batch by batch.
 *
 * Each batch is a transaction: it locks the oldest rows of the queue that nobody else has locked, removes
 * them, and writes the vectors of their nodes.  When it fails, or the session dies, its rows are back in the
 * queue.  What a scene of one kind of nodes has read is kept over the batches, until a training replaces the
 * vectors.
 */
#include "postgres.h"

#include <float.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "pg/bridge.h"
#include "pg/capture.h"
#include "pg/graph_lock.h"
#include "pg/job_session.h"
#include "pg/keys.h"
#include "pg/refresh.h"
#include "pg/wording.h"
#include "pg/writer.h"

PG_FUNCTION_INFO_V1(behavpred_run_refresh);

enum
{
	ARG_GRAPH, ARG_MAX_SECONDS, ARG_BATCH, ARG_NEIGHBOURS
};

#define LEAST_BATCH 100
#define MOST_BATCH 1000000
#define BATCHES_OF_A_SCAN 10	/* so many batches in one where each is a scan of the interactions */

typedef struct RefreshJob
{
	char	   *name;
	TimestampTz started_at;
	double		max_seconds;
	int			batch;			/* users in a transaction */
	bool		neighbours;		/* known objects of changed interactions as well */
	MemoryContext context;		/* outlives the transactions */

	/* of one training's vectors */
	int64		trained_run;
	MemoryContext scene_context;
	GraphDefinition *definition;
	Core	   *core;
	Arena		arena;
	FoldInScene *users;
	FoldInScene *objects;
	char	   *index;			/* on the user column */

	RefreshCounts user_counts;
	RefreshCounts object_counts;
	int64		batches;
} RefreshJob;

/* The rows of the queue that a batch has taken. */
typedef struct Taken
{
	MemoryContext context;
	const GraphDefinition *definition;
	Dictionary	users;
	Dictionary	objects;
	bool		everything;		/* the table was truncated */
	int64		rows;
} Taken;

/* The arguments. */
static void
read_arguments(FunctionCallInfo fcinfo, RefreshJob *job)
{
	if (PG_ARGISNULL(ARG_GRAPH))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("graph must not be NULL"),
				 errhint("CALL behavpred.run_refresh('shop');")));
	job->name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_GRAPH));
	job->max_seconds = job_seconds_argument(fcinfo, ARG_MAX_SECONDS, "max_seconds", DBL_MAX);
	job->batch = PG_ARGISNULL(ARG_BATCH) ? 0 : PG_GETARG_INT32(ARG_BATCH);
	job->neighbours = !PG_ARGISNULL(ARG_NEIGHBOURS) && PG_GETARG_BOOL(ARG_NEIGHBOURS);
	if (job->batch < LEAST_BATCH || job->batch > MOST_BATCH)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 PG_ARGISNULL(ARG_BATCH) ? errmsg("batch must not be NULL") : errmsg("batch is %d", job->batch),
				 errdetail("It is about how many users are refreshed in a transaction, %d to %d.", LEAST_BATCH, MOST_BATCH),
				 errhint("Leave it out for 10000.")));
}

/* Throw away what was read of another training's vectors. */
static void
close_scenes(RefreshJob *job)
{
	if (job->core != NULL)
		bridge_close(job->core);
	job->core = NULL;
	if (job->scene_context != NULL)
		MemoryContextDelete(job->scene_context);
	job->scene_context = NULL;
}

/* The graph as it is now, whose vectors stay until the end of the transaction. */
static void
hold_graph(RefreshJob *job)
{
	GraphDefinition *definition;
	MemoryContext caller;

	graph_definition_for(job->name, PRIVILEGE_TRAIN);
	graph_hold_vectors(job->name);
	definition = graph_definition_trained(job->name);
	if (job->core != NULL && definition->trained_run == job->trained_run)
		return;
	close_scenes(job);
	job->scene_context = AllocSetContextCreate(job->context, "behavpred refresh", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(job->scene_context);
	job->definition = graph_definition_trained(job->name);
	job->trained_run = definition->trained_run;
	job->core = bridge_open(0);
	bridge_show(job->core, job->definition->name, NULL);
	arena_open(&job->arena, job->core);
	job->users = fold_in_scene_open(&job->arena, job->definition, false);
	job->objects = NULL;
	job->index = refresh_index(job->definition, false);
	MemoryContextSwitchTo(caller);
}

/*
 * The oldest rows of the queue that together have about a batch of keys, removed from it.  Rows that another
 * session works on are passed over.
 */
static const char take_rows[] =
"DELETE FROM behavpred.changed_nodes n USING ("
"SELECT l.entry, pg_catalog.sum(l.size) OVER (ORDER BY l.entry) OPERATOR(pg_catalog.-) l.size AS before FROM ("
"SELECT q.entry, COALESCE(pg_catalog.cardinality(q.users), 0) OPERATOR(pg_catalog.+) COALESCE(pg_catalog.cardinality(q.objects), 0) OPERATOR(pg_catalog.+) 1 AS size "
"FROM behavpred.changed_nodes q WHERE q.graph OPERATOR(pg_catalog.=) $1 "
"ORDER BY q.entry LIMIT $2 FOR UPDATE SKIP LOCKED) l) t "
"WHERE n.entry OPERATOR(pg_catalog.=) t.entry AND t.before OPERATOR(pg_catalog.<) $2 "
"RETURNING n.users, n.objects";

/* Add the keys of one column of the queue. */
static void
take_keys(Taken *taken, Dictionary *keys, bool of_objects, Datum value)
{
	MemoryContext row = MemoryContextSwitchTo(taken->context);

	refresh_add_keys(keys, taken->definition, of_objects, DatumGetArrayTypeP(value));
	MemoryContextSwitchTo(row);
}

/* Row function: a row of the queue. */
static void
take_row(void *argument, Datum *values, bool *nulls)
{
	Taken	   *taken = argument;

	if (!nulls[0])
		take_keys(taken, &taken->users, false, values[0]);
	if (!nulls[1])
		take_keys(taken, &taken->objects, true, values[1]);
	taken->everything |= nulls[0] && nulls[1];
	taken->rows++;
}

/* After a TRUNCATE every node that has a vector may have lost its interactions or features. */
static void
queue_everybody(const GraphDefinition *definition, bool of_objects)
{
	Oid			types[] = {TEXTOID, NAMEOID};
	Datum		values[] = {
		CStringGetTextDatum(definition->name),
		DirectFunctionCall1(namein, CStringGetDatum(definition->owner))
	};

	write_rows(psprintf("INSERT INTO behavpred.changed_nodes (graph, owner, %3$s) "
						"SELECT $1, $2, pg_catalog.array_agg(k.key) FROM (SELECT %1$s::pg_catalog.text AS key, "
						"(pg_catalog.row_number() OVER () OPERATOR(pg_catalog.-) 1) OPERATOR(pg_catalog./) 1000 AS part "
						"FROM %2$s) k GROUP BY k.part",
						quote_identifier(of_objects ? definition->object_column : definition->user_column),
						relation_qualified_name(relation_from_text(of_objects ? definition->object_embeddings :
																   definition->user_embeddings)),
						of_objects ? "objects" : "users"),
			   lengthof(types), types, values, NULL);
}

/* Objects that have no vector yet get one before the users who have them; the others on demand. */
static void
refresh_objects(RefreshJob *job, Arena *arena, const Dictionary *objects)
{
	const Dictionary *fresh = job->neighbours ? objects : refresh_new_keys(arena, job->definition, true, objects);

	if (fresh->count == 0)
		return;
	if (job->objects == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(job->scene_context);

		job->objects = fold_in_scene_open(&job->arena, job->definition, true);
		MemoryContextSwitchTo(caller);
	}
	refresh_nodes(job->objects, fresh, &job->object_counts);
}

/* One batch; false when there was nothing left to take. */
static bool
refresh_batch(RefreshJob *job)
{
	Taken		taken = {.context = CurrentMemoryContext, .definition = job->definition};
	int			size = job->index == NULL ? Min(job->batch * BATCHES_OF_A_SCAN, MOST_BATCH) : job->batch;
	Oid			types[] = {TEXTOID, INT8OID};
	Datum		values[] = {CStringGetTextDatum(job->name), Int64GetDatum(size)};
	int32	   *order;
	Arena		arena;

	arena_open(&arena, job->core);
	dictionary_open(&taken.users, &arena, key_kind(job->definition->user_key_type));
	dictionary_open(&taken.objects, &arena, key_kind(job->definition->object_key_type));
	write_rows_returning(take_rows, lengthof(types), types, values, NULL, take_row, &taken);
	dictionary_sort(&taken.users, &order);
	dictionary_sort(&taken.objects, &order);
	bridge_check(job->core, "refreshing graph \"%s\"", job->name);
	if (taken.everything)
		queue_everybody(job->definition, false);
	if (taken.everything && job->neighbours)
		queue_everybody(job->definition, true);
	refresh_objects(job, &arena, &taken.objects);
	refresh_nodes(job->users, &taken.users, &job->user_counts);
	arena_close(&arena);
	job->batches += taken.rows > 0;
	return taken.rows > 0;
}

/* Batch by batch until the queue is empty or the time is up; true for the former. */
static bool
empty_queue(RefreshJob *job)
{
	MemoryContext batch = AllocSetContextCreate(job->context, "behavpred refresh batch", ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		MemoryContext caller = MemoryContextSwitchTo(batch);
		bool		more;

		hold_graph(job);
		more = refresh_batch(job);
		MemoryContextSwitchTo(caller);
		job_commit();
		MemoryContextReset(batch);
		if (!more)
			return true;
		if ((GetCurrentTimestamp() - job->started_at) / (double) USECS_PER_SEC >= job->max_seconds)
			return false;
	}
}

/* What was done. */
static void
tell(const RefreshJob *job, bool finished)
{
	const RefreshCounts *users = &job->user_counts;

	ereport(NOTICE,
			(errmsg("refreshed %s of graph \"%s\", %s of them new, and %s", format_counted(users->refreshed, "user"),
					job->name, format_count(users->added),
					job->neighbours ? psprintf("%s, %s of them new", format_counted(job->object_counts.refreshed, "object"),
											   format_count(job->object_counts.added)) :
					format_counted(job->object_counts.added, "new object")),
			 errdetail("Removed %s, left out %s; %s read in %s, %s.",
					   format_counted(users->removed, "user"),
					   format_counted(users->left_out + job->object_counts.left_out, "node"),
					   format_counted(users->interactions + job->object_counts.interactions, "interaction"),
					   format_counted(job->batches, "transaction"), job->index == NULL ? "a scan each" :
					   psprintf("by index \"%s\" or a scan, whichever was cheaper", job->index)),
			 finished ? 0 : errhint("max_seconds have passed; the queue goes on where it stands: %s", job_statement())));
}

/* run_refresh(graph, max_seconds, batch, neighbours) */
Datum
behavpred_run_refresh(PG_FUNCTION_ARGS)
{
	RefreshJob	job = {.started_at = GetCurrentTimestamp()};
	bool		finished;

	job_require_own_transactions(fcinfo, "run_refresh", "SELECT * FROM behavpred.refresh(...)");
	require_writable("run_refresh()");
	job_begin();
	job.context = CurrentMemoryContext;
	read_arguments(fcinfo, &job);
	job_commit();
	hold_graph(&job);
	capture_by_time(job.definition);
	job_commit();
	finished = empty_queue(&job);
	tell(&job, finished);
	close_scenes(&job);
	job_end();
	PG_RETURN_VOID();
}
