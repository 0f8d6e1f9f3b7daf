/*
 * encoder_training.h
 *		What one training of the encoder holds; for encoder.c, encoder_checkpoint.c and
 *		encoder_time.c.
 */
#ifndef BEHAVPRED_ENCODER_TRAINING_H
#define BEHAVPRED_ENCODER_TRAINING_H

#include "encoder.h"
#include "holdout.h"
#include "loss.h"
#include "neighbourhood.h"
#include "optimizer.h"
#include "row_optimizer.h"

/* Where a training stands between two steps. */
typedef struct EncoderPosition
{
	int			epoch;			/* that is being run, from 1 */
	int64_t		step;			/* steps of it that are done */
	double		loss_sum;		/* over their positives */
	double		seconds;		/* they took */
} EncoderPosition;

/* What a checkpoint keeps besides arrays. */
typedef struct EncoderCheckpoint
{
	uint64_t	magic;
	int64_t		parameters;		/* numbers in each array */
	int64_t		optimizer_steps;
	int64_t		loss_steps;
	EncoderPosition position;
	int			epochs_run;
	int			best_epoch;
	EncoderEpoch best;
	EncoderEpoch peak;
	float		temperature;	/* as chosen before the first step */
} EncoderCheckpoint;

/* With sampled_neighbours, in place of a network over the whole graph and of Adam. */
typedef struct SampledTraining
{
	Neighbourhood neighbourhood;
	Network		block;			/* of the current step */
	RowOptimizer optimizer;
} SampledTraining;

/*
 * Whatever a step changes and a later step reads is part of the state that
 * encoder_checkpoint.c takes out and puts back: add to it what is added here.
 */
struct EncoderTraining
{
	Core	   *core;
	Arena	   *arena;
	EncoderOptions options;
	const Graph *graph;			/* all edges */
	Graph		training_graph; /* without the held-out ones */
	Holdout		holdout;
	Network		network;		/* on samples its parameters alone */
	SampledTraining sampled;
	Loss		loss;
	Optimizer	optimizer;
	float	   *best_parameters;	/* NULL when every epoch's, or the only one's, are kept */
	int			width;			/* of a stored vector */
	float	   *vectors;		/* n_nodes x width: in the network's z_gradient, at last in the result */
	const char *phase;			/* that the host is told of */
	EncoderPosition position;
	EncoderEpoch peak;			/* the highest NDCG on held-out edges so far; patience counts from it */
	EncoderResult result;		/* so far */
	EncoderCheckpoint checkpoint;	/* while it is taken or put back */
};

/* True when steps propagate samples. */
static inline bool
is_sampled(const EncoderTraining *training)
{
	return training->options.sampled_neighbours > 0;
}

/* The stored form of a node's unit vector, its activity left out. */
extern void encoder_store_vector(const Network *network, const float *unit, bool of_object, float bias, float *vector);

#endif
