/*
 * edge_types.h
 *		Edges of several behaviours in one network: each behaviour has a learnt gain in every
 *		layer, one for what users take from objects and one for the way back.
 *
 * The weight of an entry is its interactions' weight times the sum of exp(gain) over the
 * behaviours of its edge; the second weights multiply it as they multiply any weight.  Scales by
 * degree stay what they were before training, so that a gain moves its own edges only.
 */
#ifndef BEHAVPRED_EDGE_TYPES_H
#define BEHAVPRED_EDGE_TYPES_H

#include "network.h"

/* Numbers of one layer's gains: users' entries, then objects'. */
#define EDGE_TYPE_GAINS (2 * GRAPH_MOST_TYPES)

/* Reserve what the network needs for its types, and start the gains from the graph's weights. */
extern CoreStatus edge_types_open(Network *network, Arena *arena, bool for_training);
extern void edge_types_draw(Network *network);

/* What the types of an entry's edge count before training; 1 without types. */
extern double edge_types_initial_weight(const Graph *graph, int64_t entry);

/* Fill network->typed_weights with the weights of layer l. */
extern CoreStatus edge_types_weigh(Network *network, int l);

/* From weight_gradient to the gradient of the layer's gains; typed_weights are those of the layer. */
extern CoreStatus edge_types_backward(Network *network, int l);

#endif
