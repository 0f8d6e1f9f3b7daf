/*
 * network_parameters.h
 *		The parameters of a network to and from blocks (network_format.h).
 */
#ifndef BEHAVPRED_NETWORK_PARAMETERS_H
#define BEHAVPRED_NETWORK_PARAMETERS_H

#include "network.h"
#include "network_format.h"

/* The network of a training, whose parameters are the kept ones after encoder_finish(). */
extern Network *encoder_network(EncoderTraining *training);

extern NetworkShape network_shape(const Network *network);

/* CORE_INVALID when numbers of this shape cannot be those of the network. */
extern CoreStatus network_shape_check(const Network *network, const NetworkShape *stored);

/*
 * Fill `values`: `count` shared numbers from the first on, or the rows of as many nodes of one
 * side.
 */
extern void network_take(const Network *network, NetworkPart part, int64_t first, int32_t count, float *values);

/* The same numbers back; a node's row is put to any number on its side. */
extern void network_put_shared(Network *network, int64_t first, int32_t count, const float *values);
extern void network_put_node(Network *network, NetworkPart part, int32_t number, const float *row);

#endif
