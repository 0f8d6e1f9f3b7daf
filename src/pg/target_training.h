/*
 * target_training.h
 *		From targets to models: one, or many that share what is read for them.
 */
#ifndef BEHAVPRED_TARGET_TRAINING_H
#define BEHAVPRED_TARGET_TRAINING_H

#include "postgres.h"

#include "pg/target_arguments.h"
#include "pg/target_record.h"
#include "pg/target_users.h"

/* One target on its way to a model. */
typedef struct TrainedTarget
{
	char	   *name;
	TargetDefinition *definition;	/* NULL when it could not be read */
	ErrorData  *error;			/* what ended its training; NULL = all is well */
	int64		known;			/* users of the target, with or without a vector */
	TargetSample sample;		/* the arrays are gone after the fit */
	TargetTeacher teacher;		/* so are the objects */
	Student		student;
	TargetQuality quality;
	StoredModel stored;
	TimestampTz started_at;
	double		seconds;
} TrainedTarget;

/*
 * Targets of one graph that choose among the same candidates and negatives.  When `alone`
 * the one target's errors are raised and its notices sent; else an error is kept with its
 * target, and what the target did is rolled back.
 */
typedef struct TargetBatch
{
	const TargetArguments *arguments;
	bool		alone;
	bool		keeps;			/* models are stored as versions of their targets */
	int			n;
	TrainedTarget **targets;
	GraphDefinition *graph;
	Core	   *core;
	Arena		arena;			/* of what is shared */
	GraphRun	run;
	TargetObjectVectors objects;
	TargetUsers users;
} TargetBatch;

/* The core of a batch, with workers for as many threads as the arguments say. */
extern void target_batch_open(TargetBatch *batch, const TargetArguments *arguments);
extern void target_batch_close(TargetBatch *batch);

/* Read what the targets share, then train each.  Students live in the batch's memory. */
extern void target_batch_train(TargetBatch *batch);

/*
 * Call step(argument), and undo what it did when it raises an error, which is returned, in
 * memory of `keep`; NULL when all went well.  A cancel and the like are raised again.
 */
typedef void (*GuardedStep) (void *argument);
extern ErrorData *guarded(GuardedStep step, void *argument, MemoryContext keep);

#endif
