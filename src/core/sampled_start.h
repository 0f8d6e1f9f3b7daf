/*
 * sampled_start.h
 *		The spectral start where the whole graph has no room for it.
 */
#ifndef BEHAVPRED_SAMPLED_START_H
#define BEHAVPRED_SAMPLED_START_H

#include "encoder_training.h"

/* Users whose edges are looked at: all, or so many that they have about SAMPLED_START_EDGES. */
#define SAMPLED_START_EDGES 2000000

/*
 * Singular vectors of the objects and of a part of the users, evenly spread; the other users get theirs from
 * the objects', as the iteration would give them.
 */
extern CoreStatus sampled_start(EncoderTraining *training);

/* Bytes that it takes for a while. */
extern double sampled_start_bytes(int dimension, double width, double users, double objects, double edges);

#endif
