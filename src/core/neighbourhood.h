/*
 * neighbourhood.h
 *		Blocks of a graph: some nodes, and from each of them up to a number of neighbours, drawn at
 *		random, and from those again, layer by layer.
 *
 * What a block takes is bounded by its seeds, the number of neighbours and the layers, and not by the
 * graph.  A node's list is drawn by strata, so that every neighbour is as likely, and its weights are multiplied by what
 * the list leaves out: sums over it estimate those over all.  When it leaves nothing out they are the
 * same sums.  Draws follow from (seed, turn, layer, node) alone.
 */
#ifndef BEHAVPRED_NEIGHBOURHOOD_H
#define BEHAVPRED_NEIGHBOURHOOD_H

#include "network.h"

typedef struct Neighbourhood
{
	const Graph *graph;
	uint64_t	seed;
	uint64_t   *left_out;		/* a bit for each entry: edges that take no part */
	uint64_t   *hidden;			/* the same: edges that take no part in the current block's sums */
	float	   *degrees;		/* of all nodes: weights of the edges that take part, added up */
	int32_t    *counts;			/* the number of these edges */
	int32_t    *numbers;		/* of all nodes: their places in the block, -1 = they are not in it */

	/* the block, from neighbourhood_begin() to neighbourhood_end() */
	Arena		arena;
	GraphBlock	block;
	int32_t    *nodes;			/* of the block, by their numbers in the graph */
	int32_t		n_nodes;
	int32_t		room;			/* for nodes */
} Neighbourhood;

/* `marks` has a number other than 0 for each entry of the users' lists that takes no part; NULL = all take part. */
extern CoreStatus neighbourhood_open(Neighbourhood *neighbourhood, Arena *arena, const Graph *graph,
									 const uint8_t *marks, uint64_t seed);

/* Bytes that it takes, blocks aside. */
extern double neighbourhood_bytes(double nodes, double edges);

static inline bool
neighbourhood_leaves_out(const uint64_t *bits, int64_t entry)
{
	return bits[entry / 64] >> entry % 64 & 1;
}

/* Leave edges out of sums, or take them in again; entries are those of the users' lists. */
extern void neighbourhood_hide(Neighbourhood *neighbourhood, const int64_t *entries, int n, bool hidden);

/* Begin a block with room for so many seeds. */
extern CoreStatus neighbourhood_begin(Neighbourhood *neighbourhood, int32_t seeds);

/* The number of a seed in the block; it is added when it is not there yet.  Users before objects. */
extern int32_t neighbourhood_seed(Neighbourhood *neighbourhood, int32_t node);

/* All seeds are there: list the edges between them, for the loss. */
extern CoreStatus neighbourhood_join_seeds(Neighbourhood *neighbourhood);

/* Draw what layers first .. last - 1 need, `most` neighbours for each node (0 = all). */
extern CoreStatus neighbourhood_grow(Neighbourhood *neighbourhood, int layers, int first, int last, int32_t most,
									 uint64_t turn, bool for_training);

/* Give the block up. */
extern void neighbourhood_end(Neighbourhood *neighbourhood);

#endif
