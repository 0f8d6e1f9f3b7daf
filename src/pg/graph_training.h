/*
 * graph_training.h
 *		The steps of a training of a graph: train_graph() takes them in one transaction,
 *		run_graph() in several.
 *
 * The arguments of both come by fcinfo, in the order of encoder_arguments.h.  Whatever a training
 * allocates lives in the memory context that is current when it is opened.
 */
#ifndef BEHAVPRED_GRAPH_TRAINING_H
#define BEHAVPRED_GRAPH_TRAINING_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/timestamp.h"

#include "core/encoder.h"
#include "pg/graph_loading.h"
#include "pg/target_objects.h"

/* Sum of the likenesses of n vectors to those they replace. */
typedef struct VectorLikeness
{
	double		sum;
	int64		n;
} VectorLikeness;

/* One training from end to end. */
typedef struct GraphTraining
{
	GraphDefinition *definition;
	Core	   *core;
	Arena		arena;
	LoadedGraph *loaded;
	TargetObjects *targets;
	EncoderOptions options;
	EncoderResult result;
	EncoderEpoch *epochs;		/* room for options.epochs */
	int			n_epochs;
	TimestampTz started_at;
	double		seconds_before; /* that earlier calls of a resumed training took */
	int64		run_id;
	Oid			given_table;	/* of users, to be written instead of the graph's; or InvalidOid */
	VectorLikeness likeness[2]; /* users, objects; measured before the rows are replaced */
	char	   *user_table;
	char	   *object_table;
	char	   *snapshot;		/* changes that it saw need no refresh; see capture.h */
} GraphTraining;

/* Find the graph, which the caller must be allowed to train, and open a core for it. */
extern void graph_training_open(FunctionCallInfo fcinfo, GraphTraining *training);

/* Meet every reason to refuse that can be met before the long work; makes the tables. */
extern void graph_training_prepare(FunctionCallInfo fcinfo, GraphTraining *training);

/* Make the embedding tables when they are not there. */
extern void graph_training_tables(GraphTraining *training);

/* Read the sources; from now on the options are complete. */
extern void graph_training_load(FunctionCallInfo fcinfo, GraphTraining *training);

/* An EncoderListener, with the training as its data: keeps the epoch in training->epochs. */
extern void graph_training_keep_epoch(void *training, const EncoderEpoch *epoch);

/* Compute the vectors, and take over what the encoder has chosen; core->status says whether it could. */
extern void graph_training_finish(GraphTraining *training, EncoderTraining *encoder);

/* Replace the rows of both embedding tables, the encoder having finished. */
extern void graph_training_store(GraphTraining *training, EncoderTraining *encoder);

/* Seconds since the training began, those of earlier calls included. */
extern double graph_training_seconds(const GraphTraining *training);

/* What the run found, as training_run.result keeps it. */
extern char *graph_training_result(const GraphTraining *training);

/* Let the graph point to its tables and to the run. */
extern void graph_training_publish(const GraphTraining *training);

#endif
