/*
 * fold_in.h
 *		Vectors of nodes that took no part in a training, or that have other neighbours now.
 *
 * Where the states of the neighbours (network_states.h) and the numbers that all nodes share are known, the whole
 * trained network is run for such a node, its features included, with no ID embedding (fold_in_network.h).  Else one
 * layer is run, from the neighbours' stored vectors:
 *		m_j = sum over neighbours u of p_{u,j} beta_u e_{u,j},		e = m / |m|
 * with first weights p routed as in training (the first round starts from no centre, so its
 * weights are even) and second weights beta.  Instead of the ID that a training would have given him, a user then
 * takes a few steps of the trained loss on his own vector (fold_in_steps.h).  So the vector follows from the
 * neighbours alone: the same history gives the same vector, however often it is folded in.  What stands behind the
 * unit vector is that of a training: a user's activity, an object's bias.
 */
#ifndef BEHAVPRED_FOLD_IN_H
#define BEHAVPRED_FOLD_IN_H

#include "encoder.h"

/* The trained network, as far as it is the same for all nodes. */
typedef struct FoldInNetwork
{
	bool		linear_mapping;
	bool		id_embeddings;	/* nodes of the training had one */
	int			features[2];	/* columns of users, objects */
	int64_t		n_shared;
	const float *shared;		/* as network_take() gives them */
	int			n_types;		/* behaviours that it tells apart, 0 = none */
	uint8_t		predicted;
	float		type_weights[GRAPH_MOST_TYPES];
} FoldInNetwork;

/* What stays the same for all nodes of one kind. */
typedef struct FoldIn
{
	Core	   *core;
	const EncoderOptions *options;	/* of the training */
	int			width;			/* numbers of a stored vector: dimension + ENCODER_EXTRA_NUMBERS */
	bool		of_objects;		/* objects are folded in, users are their neighbours */
	int32_t		n_sample;
	const float *sample;		/* n_sample x width: stored vectors of objects drawn at random */
	const FoldInNetwork *network;	/* NULL: by stored vectors alone */

	/* set by fold_in_calibrate() */
	double		activity_shift; /* of users */
	double		bias_start;		/* of objects: bias = start + slope * log(1 + degree) */
	double		bias_slope;
} FoldIn;

/* Nodes to fold in; neighbours are rows of stored vectors. */
typedef struct FoldInBatch
{
	int32_t		n_nodes;
	const int64_t *offsets;		/* n_nodes + 1: neighbours of node i are offsets[i] .. offsets[i + 1] - 1 */
	const int64_t *all;			/* the same for all neighbours, of which those above are the ones that count
								 * for the vector; NULL = they are all */
	const int32_t *neighbours;
	const float *weights;		/* of each neighbour's interactions; NULL = all 1 */
	int32_t		n_rows;
	const float *rows;			/* n_rows x width */
	const int32_t *degrees;		/* of the rows: neighbours in the graph */

	/* With a network. */
	const uint8_t *types;		/* of each neighbour, when it tells behaviours apart */
	const float *states;		/* n_rows x network_state_numbers() */
	const Features *features;	/* of the nodes, when the network has features of their kind */
	float	   *own_states;		/* out, of the nodes; NULL = not wanted */
} FoldInBatch;

/*
 * Learn from stored vectors what makes new ones comparable with them: of users the mean of the activity,
 * of objects how the bias goes with the degree (least squares).  `sample` must be set for users.
 */
extern CoreStatus fold_in_calibrate(FoldIn *fold, int32_t n, const float *vectors, const int32_t *degrees);

/* Fill `vectors` (n_nodes x width).  That of a node without a neighbour (with features: which gives no direction
 * by itself), or whose neighbours cancel out, is all 0: it has no direction. */
extern CoreStatus fold_in(const FoldIn *fold, const FoldInBatch *batch, float *vectors);

#endif
