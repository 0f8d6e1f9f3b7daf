/*
 * row_optimizer.h
 *		Steps on the parameters that a block has touched, for graphs whose ID embeddings leave no room for
 *		Adam's moments.
 *
 * A row of the ID embeddings has one second moment for all its numbers and no first one, and both stay
 * as they are while the row is not touched; the moment starts as the first gradient's square.  Object
 * biases likewise.  What all nodes share takes steps of Adam.
 */
#ifndef BEHAVPRED_ROW_OPTIMIZER_H
#define BEHAVPRED_ROW_OPTIMIZER_H

#include "network.h"

typedef struct RowOptimizer
{
	Network    *network;		/* holds the parameters of all nodes */
	float	   *row_moments;	/* n_nodes */
	float	   *bias_moments;	/* n_objects */
	float	   *first_moment;	/* of the shared numbers */
	float	   *second_moment;
	int64_t		steps;			/* taken so far */
} RowOptimizer;

extern CoreStatus row_optimizer_open(RowOptimizer *optimizer, Arena *arena, Network *network);

/* Bytes that it takes. */
extern double row_optimizer_bytes(double nodes, double objects, double shared);

/* The first of the numbers that all nodes share, which stand behind the others; and how many they are. */
extern size_t network_shared_start(const Network *network);
extern size_t network_shared_count(const Network *network);

/* Copy to a block what it needs: row i is that of nodes[i], objects are the block's seeds. */
extern CoreStatus row_optimizer_load(const RowOptimizer *optimizer, Network *block, const int32_t *nodes);

/* One step along the block's gradients. */
extern CoreStatus row_optimizer_step(RowOptimizer *optimizer, const Network *block, const int32_t *nodes,
									 double learning_rate);

#endif
