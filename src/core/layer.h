/*
 * layer.h
 *		One hidden layer of the network: mapping, attention, routing or plain propagation.
 */
#ifndef BEHAVPRED_LAYER_H
#define BEHAVPRED_LAYER_H

#include "network.h"

/* Reserve what layer l keeps (for_training: also for its backward pass). */
extern CoreStatus layer_open(Network *network, int l, Arena *arena, bool for_training);

/* From the output of the layer below (h0 for l = 0) to this layer's output. */
extern CoreStatus layer_forward(Network *network, int l);

/*
 * network->layer_gradient holds the gradient of this layer's output; it becomes that of
 * the layer's input, the read-out's share of that input included.  Parameter gradients
 * are stored.
 */
extern CoreStatus layer_backward(Network *network, int l);

#endif
