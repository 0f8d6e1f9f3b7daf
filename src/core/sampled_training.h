/*
 * sampled_training.h
 *		Training on neighbourhoods and inference piece by piece, for graphs whose propagation does not fit
 *		into memory.
 *
 * A step propagates over the block of its batch alone (neighbourhood.h): the nodes of its positives and
 * negatives, and what `sampled_neighbours` draws around them.  What is held of the whole graph are its lists, the parameters and a number or two for each node; no
 * second set of parameters, so the last epoch is kept, and quality is measured at the end.
 */
#ifndef BEHAVPRED_SAMPLED_TRAINING_H
#define BEHAVPRED_SAMPLED_TRAINING_H

#include "encoder_training.h"

/* Entries that inference reads at a time; a longer list is drawn from. */
#define SAMPLED_PIECE_ENTRIES (1 << 17)

/* Refuse what blocks cannot do. */
extern CoreStatus sampled_check(Core *core, const Graph *graph, const Features *users, const Features *objects,
								const EncoderOptions *options);

/* The held-out edges are marked; open what a training needs, and draw or find the first parameters. */
extern CoreStatus sampled_open(EncoderTraining *training, const uint8_t *marks, bool resume);

/*
 * The gradients of the batch that has been chosen, in the block's network; neighbourhood_end() gives the
 * block up.  Then the same with a step on all that they touch.
 */
extern CoreStatus sampled_propagate(EncoderTraining *training, double *sum);

extern CoreStatus sampled_step(EncoderTraining *training, double learning_rate, double *sum);

/* The stored form of all vectors but the activities, in `arena`; *degrees are those of the training's edges. */
extern CoreStatus sampled_vectors(EncoderTraining *training, Arena *arena, Graph *degrees);

/* Entries that the block of a step has about, by the mean degrees; for encoder_time.c. */
extern double sampled_step_entries(const EncoderOptions *options, const Graph *graph);

#endif
