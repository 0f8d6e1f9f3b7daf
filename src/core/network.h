/*
 * network.h
 *		The graph network as arrays: parameters, one forward pass over all nodes, and the
 *		exact backward pass.
 *
 * Symbols as in doc/encoder.md: h0 is the input of a node (its ID embedding and projected
 * features), z the mapped sub-vectors of a layer, h[l] the output of layer l, and the read-
 * out the last layer or the mean of all, brought to unit length as a whole.
 */
#ifndef BEHAVPRED_NETWORK_H
#define BEHAVPRED_NETWORK_H

#include "encoder.h"
#include "kernels.h"

#define NETWORK_MAX_LAYERS 8

/* Where each parameter starts in the one array that holds them all, in numbers. */
typedef struct ParameterLayout
{
	size_t		id_embeddings;	/* n_nodes x width */
	size_t		id_count;		/* 0 when the nodes have features only */
	size_t		object_bias;	/* n_objects */
	size_t		projections[2]; /* users, objects: width x features */
	size_t		projection_offsets[2];	/* width */
	size_t		mappings[NETWORK_MAX_LAYERS];	/* width x width, subspaces one below the other */
	size_t		mapping_offsets[NETWORK_MAX_LAYERS];
	size_t		attention_own[NETWORK_MAX_LAYERS];	/* attention_width x width */
	size_t		attention_other[NETWORK_MAX_LAYERS];
	size_t		attention_nu[NETWORK_MAX_LAYERS];	/* attention_width */
	size_t		type_gains[NETWORK_MAX_LAYERS];	/* EDGE_TYPE_GAINS, in a graph with types */
	size_t		total;
} ParameterLayout;

/* What one layer keeps between its forward and its backward pass. */
typedef struct LayerState
{
	float	   *z;				/* mapped rows; may be the previous layer's output itself */
	float	   *z_lengths;		/* node x factor, before normalising; NULL when z is not normalised */
	float	   *inverse_lengths;	/* node x factor: of z, when its lengths are kept */
	float	   *start_inverse;	/* the same of what the centres start from; may be that of z */
	float	   *centres[KERNEL_MAX_ROUNDS];
	float	   *norms[KERNEL_MAX_ROUNDS];
	float	   *first_weights;	/* entry x factor */
	float	   *second_weights; /* entry: additive attention */
	float	   *own;			/* additive attention: node x attention_width */
	float	   *other;
	float	   *output;			/* h[l]; for routing the last of centres */
} LayerState;

/*
 * Nodes first .. first + n - 1 of a network that are not computed, because it has only part of their
 * neighbours: their states (network_states.h) are put in place of what the layers would read of them.
 */
typedef struct KnownNodes
{
	int32_t		first;
	int32_t		n;
	const float *states;		/* n x network_state_numbers() */
} KnownNodes;

/*
 * The lists of one layer: the neighbours that each node it gives is computed from, and the same
 * entries the other way round.  In a network over the whole graph all layers have the graph's own.
 */
typedef struct LayerLists
{
	const int64_t *offsets;
	const int32_t *neighbours;
	const float *weights;		/* of blocks; the graph's are in entry_weights */
	const int64_t *back_offsets;	/* of each node that comes in: the nodes whose neighbour it is, ... */
	const int32_t *back_neighbours;
	const uint32_t *reverse;	/* ... and where it stands in their lists */
	int64_t		n_entries;
} LayerLists;

/*
 * A part of a graph that is propagated by itself.  Nodes are numbered anew: first those that are
 * read out, users before objects, then those that they are computed from, layer by layer.
 */
typedef struct GraphBlock
{
	Graph		seeds;			/* the nodes that are read out; edges that the loss knows of */
	int32_t		layer_nodes[NETWORK_MAX_LAYERS + 1];
	LayerLists	lists[NETWORK_MAX_LAYERS];
	const float *degrees;		/* of all nodes, in the whole graph */
} GraphBlock;

typedef struct Network
{
	Core	   *core;
	const Kernels *kernels;
	const Graph *graph;			/* of a block: its seeds */
	const float *degrees;		/* of a block's nodes in the whole graph, weights added up; else NULL */

	/* The first layer_nodes[l] nodes go into layer l, the first layer_nodes[l + 1] come out; without a
	 * block all nodes of the graph. */
	int32_t		layer_nodes[NETWORK_MAX_LAYERS + 1];
	LayerLists	lists[NETWORK_MAX_LAYERS];
	const EncoderOptions *options;
	const Features *features[2];	/* users, objects; NULL = none */
	bool		linear_mapping;
	int			sub_width;		/* dimension / factors, filled up to KERNEL_LANES */
	int			width;			/* factors * sub_width */
	int			attention_width;
	ParameterLayout layout;
	float	   *parameters;
	float	   *gradients;		/* laid out as the parameters */

	/* Weight of each entry's interaction, 0 while its edge is hidden; NULL = all 1. */
	const float *entry_weights;
	float	   *shown_weights;	/* the same array when edges can be hidden, else NULL */

	/* With types weights are those of one layer at a time, and of hidden edges only what is to
	 * be predicted is hidden. */
	float	   *typed_weights;	/* entry */
	uint8_t    *shown_types;	/* entry: behaviours that take part in propagation */

	float	   *node_scale;		/* symmetric or off: factor of the centre's side ... */
	float	   *neighbour_scale;	/* ... and of the neighbour's; NULL = 1 */

	int32_t    *shards;			/* nodes cut into pieces of like work: n_shards + 1 bounds */
	int			n_shards;
	const KnownNodes *known;	/* NULL = all nodes are computed */

	float	   *h0;				/* input rows; the ID embeddings themselves when there is nothing else */
	LayerState	layers[NETWORK_MAX_LAYERS];
	float	   *unit;			/* n_nodes x width: the read-out, unit length; the last layer's output
								 * itself when nothing else reads that */
	float	   *lengths;		/* n_nodes: before normalising */

	/*
	 * Backward.  Rows of all nodes are most of a training's memory, so a gradient takes the place
	 * of one that is no longer needed: that of a layer's output becomes that of its sums, then of
	 * its input, in the ID embeddings' place of `gradients`.
	 */
	float	   *unit_gradient;	/* in: gradient of `unit`, from the loss; overwritten */
	float	   *readout_gradient;	/* with layer_mean only; in the same place */
	float	   *layer_gradient; /* gradient of one layer's output, then of its input */
	float	   *z_gradient;		/* with room for stored vectors, which it holds between steps */
	float	   *start_gradient;
	float	   *z_unit_gradient;	/* lengths kept, full gradient */
	float	   *sum_gradients[KERNEL_MAX_ROUNDS];
	float	   *weight_gradient;	/* entry */
	double	   *gain_partial;	/* shard x EDGE_TYPE_GAINS */
	float	   *own_gradient;
	float	   *other_gradient;
	float	   *nu_partial;		/* shard x attention_width */
	float	   *dense_partial;
} Network;

/*
 * Reserve everything in `arena` and draw the first parameters.  With for_training false
 * nothing of the backward pass is reserved.
 */
extern CoreStatus network_open(Network *network, Core *core, Arena *arena, const Graph *graph,
							   const Features *users, const Features *objects,
							   const EncoderOptions *options, bool for_training);

/* Nothing but the parameters, drawn, with room for stored vectors in the place of the ID embeddings: blocks do
 * the work. */
extern CoreStatus network_open_parameters(Network *network, Core *core, Arena *arena, const Graph *graph,
										  const EncoderOptions *options);

/* All for training over a block, but its parameters' numbers.  Without features, types and layer_mean. */
extern CoreStatus network_open_block(Network *network, Core *core, Arena *arena, const GraphBlock *block,
									 const EncoderOptions *options);

/* What layer l alone needs to be run over a block, with its input in the ID embeddings' place. */
extern CoreStatus network_open_layer(Network *network, Core *core, Arena *arena, const GraphBlock *block,
									 const EncoderOptions *options, int l);

/*
 * Leave the edges of `n` entries out of propagation, or take them in again; with types, their
 * behaviours to be predicted: what else joins the two is known when there is something to predict.  Nothing
 * happens when the options do not ask for it or the network is not for training.
 */
extern void network_hide_edges(Network *network, const int64_t *entries, int n);
extern void network_show_edges(Network *network, const int64_t *entries, int n);

/* Sum of a node's interaction weights before training, its degree when there are none. */
extern double network_weighted_degree(const Graph *graph, int32_t v);

/* Fill `unit` from the parameters. */
extern CoreStatus network_forward(Network *network);

/* From unit_gradient to gradients (all but that of the object bias, which is the loss's). */
extern CoreStatus network_backward(Network *network);

/* Run a function over all shards of the graph's nodes, or of the first n rows of a block; it gets the
 * network as `network`. */
typedef void (*NodeFunction) (const Network *network, void *argument, int32_t first, int32_t last,
							  int64_t shard);
extern CoreStatus network_over_nodes(const Network *network, NodeFunction function, void *argument);
extern CoreStatus network_over_rows(const Network *network, int32_t n, NodeFunction function, void *argument);

/* Cut all rows into shards of like work, of some thousand entries (or one larger node). */
extern CoreStatus network_cut_shards(Network *network, Arena *arena);

/* Shards that network_over_rows() runs. */
extern int	network_shards_of_rows(const Network *network, int32_t n);

#endif
