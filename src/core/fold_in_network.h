/*
 * fold_in_network.h
 *		The inductive pass: the whole trained network for nodes that are not in it.
 *
 * The nodes of a batch and the rows they need make a small graph.  In each layer the rows have what they had in
 * the training, by their states; the nodes have what the layers below gave, and at first their features alone.
 * With the features and without an ID embedding in the training it gives what the training itself would have given.
 */
#ifndef BEHAVPRED_FOLD_IN_NETWORK_H
#define BEHAVPRED_FOLD_IN_NETWORK_H

#include "fold_in.h"

/* Called for each node with its read-out as a row of the network. */
typedef void (*FoldInReadout) (void *argument, int32_t node, const float *row);

/* Run it; needs fold->network and the batch's states. */
extern CoreStatus fold_in_network(const FoldIn *fold, const FoldInBatch *batch, FoldInReadout readout,
								  void *argument);

#endif
