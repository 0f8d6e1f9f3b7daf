/*
 * network_states.h
 *		What a trained network knows of one node, apart from its neighbours: enough to compute the
 *		vector of whoever becomes its neighbour.
 *
 * The state of a node is its weighted degree, its edges to be predicted, and what each layer reads of it, layer
 * after layer: h0, the output of the first layer, and so on to the last but one.  Sub-vectors are not
 * filled up to lanes.
 */
#ifndef BEHAVPRED_NETWORK_STATES_H
#define BEHAVPRED_NETWORK_STATES_H

#include "network.h"

#define NETWORK_STATE_DEGREES 2	/* numbers before those of the layers */

/* Numbers of a state. */
extern int	network_state_numbers(const EncoderOptions *options);

/* The state of a node after network_forward(). */
extern void network_state_take(const Network *network, int32_t node, float *state);

/* Let the known nodes have the second weights of their states; after network_open(). */
extern void network_scale_known(Network *network);

/* Put what layer l reads of the known nodes in place; nothing when there are none. */
extern void network_put_states(Network *network, int l);

#endif
