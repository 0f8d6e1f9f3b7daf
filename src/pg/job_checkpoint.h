/*
 * job_checkpoint.h
 *		The state of an unfinished training in the tables training_checkpoint and
 *		training_checkpoint_part.
 */
#ifndef BEHAVPRED_JOB_CHECKPOINT_H
#define BEHAVPRED_JOB_CHECKPOINT_H

#include "postgres.h"

#include "core/encoder.h"

/* Replace the checkpoint of a run, in the current transaction; returns its bytes. */
extern uint64 job_checkpoint_write(int64 run_id, EncoderTraining *training);

/*
 * Let a training that was opened to be resumed go on from the checkpoint of a run;
 * ERRCODE_DATA_CORRUPTED when it does not fit.  The core may keep a failure: bridge_check().
 */
extern void job_checkpoint_read(int64 run_id, EncoderTraining *training);

#endif
