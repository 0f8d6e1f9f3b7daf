/*
 * encoder_arguments.h
 *		From the arguments of train_graph() to the options of the encoder, and back to JSON.
 */
#ifndef BEHAVPRED_ENCODER_ARGUMENTS_H
#define BEHAVPRED_ENCODER_ARGUMENTS_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/jsonb.h"

#include "core/encoder.h"
#include "pg/graph_definition.h"

/* The arguments of train_graph(), by position. */
enum
{
	TRAIN_GRAPH, TRAIN_DIMENSION, TRAIN_FACTORS, TRAIN_LAYERS, TRAIN_ROUTING_ITERATIONS, TRAIN_EPOCHS,
	TRAIN_BATCH_SIZE, TRAIN_LEARNING_RATE, TRAIN_NEGATIVES, TRAIN_TEMPERATURE, TRAIN_PATIENCE,
	TRAIN_VALIDATION_FRACTION, TRAIN_SEED, TRAIN_THREADS, TRAIN_OPTIONS
};

/*
 * The defaults for this graph, the options argument over them, the arguments that are not
 * NULL over both; ranges are checked.
 */
extern void encoder_arguments_read(FunctionCallInfo fcinfo, Core *core, const GraphDefinition *definition,
								   const Graph *graph, EncoderOptions *options);

/* The options that a training was recorded with; those that it did not have yet stay as they are. */
extern void encoder_options_read(Jsonb *recorded, EncoderOptions *options);

/* All options as a JSON object. */
extern char *encoder_options_json(EncoderOptions *options);

#endif
