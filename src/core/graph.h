/*
 * graph.h
 *		The bipartite user-object graph: nodes are users and objects, and an edge joins
 *		a user to an object he did the behaviour to (CN111681059 claim 1).
 *
 * Nodes are numbered together: users 0 .. n_users - 1, then objects.  Each node has a
 * list of its neighbours, so every edge stands twice; `reverse` leads from one entry
 * to its twin.  Lists are sorted by neighbour.
 */
#ifndef BEHAVPRED_GRAPH_H
#define BEHAVPRED_GRAPH_H

#include "core.h"

/* Interactions as they are read: one entry for each row, 8 or 12 bytes. */
typedef struct Interactions
{
	Arena	   *arena;
	int32_t    *users;			/* dense number of the user, 0 .. n_users - 1 */
	int32_t    *objects;		/* dense number of the object, 0 .. n_objects - 1 */
	float	   *weights;		/* NULL when every interaction counts the same */
	uint8_t    *types;			/* number of the behaviour; NULL when all are alike */
	int64_t		count;
	int64_t		capacity;
} Interactions;

extern CoreStatus interactions_open(Interactions *interactions, Arena *arena, bool weighted);

/* Keep the behaviour of each as well; before the first is added. */
extern CoreStatus interactions_open_types(Interactions *interactions);

/* Append one; `weight` is finite and >= 0, and ignored when unweighted. */
extern CoreStatus interactions_add(Interactions *interactions, int32_t user, int32_t object, float weight);

/* The same with the number of its behaviour, which is ignored unless types are kept. */
extern CoreStatus interactions_add_typed(Interactions *interactions, int32_t user, int32_t object, float weight,
										 int type);

/* Apply the renumbering of dictionary_sort() to both sides. */
extern void interactions_renumber(Interactions *interactions,
								  const int32_t *new_users, const int32_t *new_objects);

/* Behaviours that a graph can tell apart: an edge has a bit for each. */
#define GRAPH_MOST_TYPES 8

typedef struct Graph
{
	int32_t		n_users;
	int32_t		n_objects;
	int32_t		n_nodes;		/* n_users + n_objects */
	int64_t		n_edges;		/* distinct pairs; each stands in two lists */
	int64_t		n_duplicates;	/* interactions that fell onto an existing pair */
	int64_t		n_capped;		/* pairs left out by max_degree */
	int64_t    *offsets;		/* n_nodes + 1: list of node v is offsets[v] .. offsets[v + 1] - 1 */
	int32_t    *neighbours;		/* 2 * n_edges node numbers */
	uint32_t   *reverse;		/* 2 * n_edges: position of the same edge in the neighbour's list */
	float	   *weights;		/* 2 * n_edges, mean 1; NULL when unweighted */
	double		mean_weight;	/* that they were divided by; 1 when unweighted */
	uint8_t    *types;			/* 2 * n_edges sets of behaviours, bit 0 the first; NULL when all are alike */

	/* With types, set by the caller: how many behaviours there are, those whose edges are to be
	 * predicted, and what an edge of each counts before training. */
	int			n_types;
	uint8_t		predicted;
	float		type_weights[GRAPH_MOST_TYPES];

	/* Hash of each node's key (key_hash), set by the caller; NULL = the node numbers serve.
	 * Which edges are held out depends on these alone. */
	const uint64_t *key_hashes;

	/* Objects that targets ask about (n_objects flags), set by the caller; NULL = none.  Part
	 * of their edges is kept out of training, see encoder_shields(). */
	const uint8_t *target_objects;
} Graph;

/*
 * Build the graph.  Duplicate pairs are collapsed, their weights added; weights are
 * then divided by their mean.  With max_degree > 0 a node whose list is longer keeps
 * a uniform sample of that length chosen by `seed` (users first, then objects among
 * what the users kept).  The arrays live in `arena`.  At most 2^31 - 1 edges.
 */
extern CoreStatus graph_build(Core *core, Arena *arena, const Interactions *interactions,
							  int32_t n_users, int32_t n_objects,
							  int32_t max_degree, uint64_t seed, Graph *graph);

/* The graph that is left when edges with drop[i] != 0 are taken out; i counts the
 * entries of the users' lists, 0 .. n_edges - 1.  Nodes and numbering stay.  With types
 * such an edge loses the behaviours to be predicted, and goes when it has no other. */
extern CoreStatus graph_without(Core *core, Arena *arena, const Graph *graph,
								const uint8_t *drop, Graph *result);

/* Let `result`, of edges of `graph`, say the same of its behaviours. */
extern void graph_copy_types(const Graph *graph, Graph *result);

static inline int64_t
graph_degree(const Graph *graph, int32_t node)
{
	return graph->offsets[node + 1] - graph->offsets[node];
}

/* True when the entry's edge is of a behaviour to be predicted: without types every one is. */
static inline bool
graph_is_predicted(const Graph *graph, int64_t entry)
{
	return graph->types == NULL || (graph->types[entry] & graph->predicted) != 0;
}

/* Edges to be predicted: of all users, or in the list of one node. */
extern int64_t graph_predicted_edges(const Graph *graph);
extern int64_t graph_predicted_degree(const Graph *graph, int32_t node);

/* True when the edge is there; binary search in the user's list. */
extern bool graph_has_edge(const Graph *graph, int32_t user, int32_t object);

#endif
