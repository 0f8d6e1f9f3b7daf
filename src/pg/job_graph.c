/*
 * job_graph.c
 *		run_graph(): a training that commits between its steps.
 *
 * It loads under a snapshot, commits, and then computes without one, so that VACUUM is not
 * held back; now and then it commits a checkpoint, from which a later call goes on after a
 * pause, an error or a crash.  The new vectors are stored in one transaction at the end: until then
 * readers see the old ones.
 *
 * The graph's lock is held for the session, as no transaction lasts long enough.
 */
#include "postgres.h"

#include <float.h>

#include "fmgr.h"
#include "utils/builtins.h"

#include "core/encoder_checkpoint.h"
#include "pg/bridge.h"
#include "pg/encoder_arguments.h"
#include "pg/graph_lock.h"
#include "pg/graph_training.h"
#include "pg/job_checkpoint.h"
#include "pg/job_record.h"
#include "pg/job_session.h"
#include "pg/network_storage.h"
#include "pg/progress.h"
#include "pg/training_record.h"
#include "pg/version.h"
#include "pg/wording.h"

PG_FUNCTION_INFO_V1(behavpred_run_graph);

/* The arguments after those of train_graph(). */
enum
{
	ARG_MAX_SECONDS = TRAIN_OPTIONS + 1, ARG_RESUME, ARG_CHECKPOINT_SECONDS
};

#define DEFAULT_CHECKPOINT_SECONDS 60

typedef struct GraphJob
{
	GraphTraining training;
	MemoryContext context;		/* outlives the transactions */
	Arena		scratch;		/* of the encoder */
	EncoderTraining *encoder;
	bool		locked;
	bool		registered;		/* the run has a row that is committed */
	bool		resume;
	double		max_seconds;
	double		checkpoint_seconds;
	TimestampTz checkpoint_at;
	uint64		checkpoint_bytes;
	int64		fingerprint;
} GraphJob;

/* Seconds from a moment until now. */
static double
seconds_since(TimestampTz moment)
{
	return (GetCurrentTimestamp() - moment) / (double) USECS_PER_SEC;
}

/* True when the call has used up its time. */
static bool
time_is_up(const GraphJob *job)
{
	return seconds_since(job->training.started_at) >= job->max_seconds;
}

/* EncoderObserver.pause: a checkpoint is due. */
static bool
checkpoint_is_due(void *data)
{
	const GraphJob *job = data;

	return time_is_up(job) || seconds_since(job->checkpoint_at) >= job->checkpoint_seconds;
}

/* Raise what the core met. */
static void
check_core(const GraphJob *job)
{
	bridge_check(job->training.core, "training graph \"%s\"", job->training.definition->name);
}

/* The graph, its lock, and every reason to refuse; what that makes is rolled back. */
static void
prepare(FunctionCallInfo fcinfo, GraphJob *job)
{
	require_writable("run_graph()");
	job->max_seconds = job_seconds_argument(fcinfo, ARG_MAX_SECONDS, "max_seconds", DBL_MAX);
	job->checkpoint_seconds = job_seconds_argument(fcinfo, ARG_CHECKPOINT_SECONDS, "checkpoint_seconds",
												   DEFAULT_CHECKPOINT_SECONDS);
	job->resume = PG_ARGISNULL(ARG_RESUME) || PG_GETARG_BOOL(ARG_RESUME);
	graph_training_open(fcinfo, &job->training);
	graph_lock_for_session(job->training.definition->name);
	job->locked = true;
	graph_training_prepare(fcinfo, &job->training);
	job_rollback();
}

/* What decides the result: data, options, seed, and the version of the code. */
static void
take_fingerprint(GraphJob *job)
{
	GraphTraining *training = &job->training;
	const LoadedGraph *loaded = training->loaded;
	char	   *options = psprintf("%s %s %d " UINT64_FORMAT, BEHAVPRED_VERSION,
								   encoder_options_json(&training->options), training->options.choose_temperature,
								   training->options.seed);
	uint64_t	fingerprint;

	core_report(training->core, "comparing with the checkpoint", 0, 0);
	encoder_fingerprint(training->core, &loaded->graph, loaded->user_features, loaded->object_features,
						&fingerprint);
	check_core(job);
	job->fingerprint = (int64) fingerprint_bytes(fingerprint, options, strlen(options));
}

/* The run as it begins, or fails to. */
static JobStart
start_of_run(GraphJob *job)
{
	GraphTraining *training = &job->training;

	return (JobStart) {
		.graph = training->definition->name,
		.owner = training->definition->owner,
		.started_at = training->started_at,
		.seed = (int64) training->options.seed,
		.threads = training->core->threads,
		.options = encoder_options_json(&training->options),
		.fingerprint = job->fingerprint
	};
}

/* True when the checkpoint is of this training; says why when it is not. */
static bool
can_resume(const GraphJob *job, const JobCheckpoint *checkpoint)
{
	if (checkpoint->run_id == 0 || !job->resume)
		return false;
	if (checkpoint->fingerprint == job->fingerprint)
		return true;
	ereport(NOTICE,
			(errmsg("training graph \"%s\" starts afresh", job->training.definition->name),
			 errdetail("The checkpoint of run " INT64_FORMAT " is of other data or other options.",
					   checkpoint->run_id)));
	return false;
}

/* Write the row of the run, or take over that of the one which is gone on with; true for the latter. */
static bool
register_run(GraphJob *job)
{
	GraphTraining *training = &job->training;
	JobCheckpoint checkpoint = job_record_checkpoint(training->definition->name);
	JobStart	start = start_of_run(job);
	bool		resumes = can_resume(job, &checkpoint);

	if (resumes)
	{
		job_record_resume(checkpoint.run_id, &start);
		training->run_id = checkpoint.run_id;
		training->seconds_before = checkpoint.seconds;
		job->checkpoint_bytes = checkpoint.bytes;
	}
	else
		training->run_id = job_record_start(&start);
	job_record_close_others(training->definition->name, training->run_id);
	return resumes;
}

/* Reserve the encoder's memory; with `resumes` put the checkpoint in. */
static void
open_encoder(GraphJob *job, bool resumes)
{
	GraphTraining *training = &job->training;
	const LoadedGraph *loaded = training->loaded;

	arena_open(&job->scratch, training->core);
	job->encoder = encoder_open(training->core, &job->scratch, &loaded->graph, loaded->user_features,
								loaded->object_features, &training->options, resumes);
	check_core(job);
	if (resumes)
	{
		job_checkpoint_read(training->run_id, job->encoder);
		job_commit();
		check_core(job);
	}
	else
	{
		network_warm_start(training, job->encoder);
		job_commit();
	}
	job->checkpoint_at = GetCurrentTimestamp();
}

/* The epochs since the last checkpoint. */
static void
write_epochs(GraphTraining *training)
{
	training_epochs_write(training->run_id, training->definition->owner, training->epochs, training->n_epochs);
	training->n_epochs = 0;
}

/* Commit the state, and with it all that is known so far. */
static void
write_checkpoint(GraphJob *job)
{
	GraphTraining *training = &job->training;

	job->checkpoint_bytes = job_checkpoint_write(training->run_id, job->encoder);
	write_epochs(training);
	job_record_progress(training->run_id, graph_training_seconds(training), training->core->memory_peak,
						time_is_up(job));
	job_commit();
	job->checkpoint_at = GetCurrentTimestamp();
}

/* Say that there is more to do, and how. */
static void
tell_pause(const GraphJob *job)
{
	const GraphTraining *training = &job->training;
	int			epochs;
	int64_t		steps;

	encoder_position(job->encoder, &epochs, &steps);
	ereport(NOTICE,
			(errmsg("training graph \"%s\" paused after max_seconds => %g", training->definition->name,
					job->max_seconds),
			 errdetail("%d of %s done in %.1f s; the checkpoint takes %s.", epochs,
					   format_counted(training->options.epochs, "epoch"), graph_training_seconds(training),
					   format_bytes(job->checkpoint_bytes)),
			 errhint("Run the same statement again to go on: %s", job_statement())));
}

/* Train from checkpoint to checkpoint; false when the time is up before the end. */
static bool
compute(GraphJob *job)
{
	const EncoderObserver observer = {graph_training_keep_epoch, checkpoint_is_due, job};
	bool		finished = false;

	for (;;)
	{
		bool		paused;

		encoder_run(job->encoder, &observer, &finished);
		check_core(job);
		if (finished)
			return true;
		paused = time_is_up(job);
		write_checkpoint(job);
		if (paused)
			return false;
	}
}

/* The vectors, in one transaction. */
static void
store(GraphJob *job)
{
	GraphTraining *training = &job->training;

	core_report(training->core, "calibrating", 0, 0);
	graph_training_finish(training, job->encoder);
	check_core(job);
	graph_training_tables(training);
	graph_training_store(training, job->encoder);
	network_store(training, job->encoder);
	arena_close(&job->scratch);
	progress_phase("recording the run", 0, 0);
	write_epochs(training);
	graph_training_publish(training);
	job_record_done(training->run_id, graph_training_seconds(training), training->core->memory_peak,
					encoder_options_json(&training->options), graph_training_result(training));
	job_commit();
}

/* The whole job.  What a procedure around it has done so far is not the job's to roll back. */
static void
run(FunctionCallInfo fcinfo, GraphJob *job)
{
	bool		resumes;

	job_commit();
	prepare(fcinfo, job);
	graph_training_load(fcinfo, &job->training);
	take_fingerprint(job);
	resumes = register_run(job);
	job_commit();
	job->registered = true;
	open_encoder(job, resumes);
	if (compute(job))
		store(job);
	else
		tell_pause(job);
}

/* Give back what outlives transactions. */
static void
release(GraphJob *job)
{
	if (job->locked)
		graph_unlock_for_session(job->training.definition->name);
	job->locked = false;
	if (job->training.core != NULL)
		bridge_close(job->training.core);
	job->training.core = NULL;
}

/* The job has failed: leave nothing of it but a row that says so. */
static void
give_up(GraphJob *job)
{
	GraphTraining *training = &job->training;
	ErrorData  *error = job_recover(job->context);

	if (job->locked)
	{
		JobStart	start = start_of_run(job);
		uint64		peak = training->core->memory_peak;

		release(job);
		if (!job->registered)
			training->run_id = job_record_start(&start);
		job_record_failed(training->run_id, graph_training_seconds(training), peak, error);
		job_commit();
	}
	release(job);
	ReThrowError(error);
}

/* run_graph(graph, dimension, ..., max_seconds, resume, checkpoint_seconds) */
Datum
behavpred_run_graph(PG_FUNCTION_ARGS)
{
	GraphJob	job = {.locked = false};

	job_require_own_transactions(fcinfo, "run_graph", "SELECT * FROM behavpred.train_graph(...)");
	job_begin();
	job.context = CurrentMemoryContext;
	PG_TRY();
	{
		run(fcinfo, &job);
	}
	PG_CATCH();
	{
		give_up(&job);
	}
	PG_END_TRY();
	release(&job);
	job_end();
	PG_RETURN_VOID();
}
