/*
 * fold_in_steps.h
 *		A few steps of the trained loss on the vectors of users alone, everything else held fast.
 */
#ifndef BEHAVPRED_FOLD_IN_STEPS_H
#define BEHAVPRED_FOLD_IN_STEPS_H

#include "fold_in.h"

/*
 * Move each user's unit vector up the gradient of the mean of log softmax of his neighbours' scores,
 * where fold->sample stands for all objects, and bring it back to its length.
 */
extern CoreStatus fold_in_steps(const FoldIn *fold, const FoldInBatch *batch, float *vectors);

#endif
