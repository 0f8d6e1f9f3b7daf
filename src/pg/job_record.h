/*
 * job_record.h
 *		The rows of a training that runs as a job: its run, how it fares, its checkpoint.
 *
 * Every function writes in the current transaction; the job commits.
 */
#ifndef BEHAVPRED_JOB_RECORD_H
#define BEHAVPRED_JOB_RECORD_H

#include "postgres.h"

#include "utils/timestamp.h"

/* A run as it begins. */
typedef struct JobStart
{
	const char *graph;
	const char *owner;			/* of the graph */
	const char *target;			/* NULL for a graph's own training */
	TimestampTz started_at;
	int64		seed;
	int			threads;
	const char *options;		/* JSON */
	int64		fingerprint;	/* of all that decides the result */
} JobStart;

/* What a checkpoint belongs to; run_id 0 = there is none. */
typedef struct JobCheckpoint
{
	int64		run_id;
	int64		fingerprint;
	int64		bytes;
	double		seconds;		/* that the run has taken so far */
} JobCheckpoint;

/* Write a run with status running; returns its run_id. */
extern int64 job_record_start(const JobStart *start);

/* Let an interrupted run be this session's. */
extern void job_record_resume(int64 run_id, const JobStart *start);

/* Runs of the graph that will not be gone on with: all unfinished ones but `keep`. */
extern void job_record_close_others(const char *graph, int64 keep);

/* The newest checkpoint of a graph. */
extern JobCheckpoint job_record_checkpoint(const char *graph);

/* The run stands where its checkpoint stands; paused = it has stopped there. */
extern void job_record_progress(int64 run_id, double seconds, uint64 peak_bytes, bool paused);

/* The run has ended, with these options, of which it may have chosen one itself; its checkpoint goes. */
extern void job_record_done(int64 run_id, double seconds, uint64 peak_bytes, const char *options, const char *result);

/*
 * The run has failed, unless another session has taken it over meanwhile.  Its checkpoint
 * goes when going on from it would only fail again.
 */
extern void job_record_failed(int64 run_id, double seconds, uint64 peak_bytes, const ErrorData *error);

/* A target of run_targets() that could not be trained. */
typedef struct JobFailure
{
	const char *target;
	TimestampTz started_at;
	int64		seed;
	int			threads;
	const char *message;
	const char *code;			/* SQLSTATE */
} JobFailure;

/* Write a run with status failed for it; nothing when there is no such target. */
extern void job_record_target_failed(const JobFailure *failure);

#endif
