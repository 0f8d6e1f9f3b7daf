/*
 * sampled_memory.c
 *		How much memory a training on samples will need, before it begins: what it holds of the whole graph, and
 *		the largest block that a step may draw.
 *
 * Counts the arrays of neighbourhood.c, sampled_*.c, row_optimizer.c and a block's network.
 */
#include <math.h>

#include "core/dense.h"
#include "core/encoder_sizes.h"
#include "core/network.h"
#include "core/sampled_start.h"
#include "core/sampled_training.h"

/* The most that a block may have: nodes that go into each layer, and entries of its lists. */
typedef struct BlockSizes
{
	double		nodes[NETWORK_MAX_LAYERS + 1];
	double		entries[NETWORK_MAX_LAYERS];
} BlockSizes;

static double
row_room(const Sizes *s)
{
	return fmax(s->width, s->stored_width);
}

/* Positives of a step. */
static double
batch_of(const Sizes *s)
{
	return fmin(s->predicted, s->options->batch_size);
}

/* Users draw so many objects and objects so many users each, no more than there are, and all different ones. */
static void
measure_block(const Sizes *s, double of_user, double of_object, BlockSizes *block)
{
	int			layers = s->options->layers;
	double		users = fmin(s->users, batch_of(s));
	double		drawn = ceil(batch_of(s) / LOSS_GROUP) * fmin(s->objects, s->options->negatives);
	double		objects = fmin(s->objects, batch_of(s) + drawn);

	block->nodes[layers] = users + objects;
	for (int l = layers - 1; l >= 0; l--)
	{
		double		by_users = fmin(users * of_user, s->edges);
		double		by_objects = fmin(objects * of_object, s->edges);

		block->entries[l] = by_users + by_objects;
		users = fmin(s->users, users + by_objects);
		objects = fmin(s->objects, objects + by_users);
		block->nodes[l] = users + objects;
	}
}

double
sampled_step_entries(const EncoderOptions *options, const Graph *graph)
{
	const Sizes s = {
		.options = options, .users = graph->n_users, .objects = graph->n_objects, .nodes = graph->n_nodes,
		.edges = graph->n_edges, .predicted = graph->n_edges
	};
	double		entries = 0;
	BlockSizes	block;

	measure_block(&s, fmin(options->sampled_neighbours, s.edges / fmax(1, s.users)),
				  fmin(options->sampled_neighbours, s.edges / fmax(1, s.objects)), &block);
	for (int l = 0; l < options->layers; l++)
		entries += block.entries[l];
	return entries;
}

/* Bytes of the lists, and of what names the nodes. */
static double
list_bytes(const Sizes *s, const BlockSizes *block)
{
	int			layers = s->options->layers;
	double		seeds = block->nodes[layers];
	double		known = fmin(s->edges, batch_of(s) * (s->edges / fmax(s->users, 1)) * seeds / fmax(s->objects, 1));
	double		room = fmin(s->nodes, block->nodes[1] + block->entries[0]);
	double		bytes = 8 * seeds + 4 * known + 4 * room + 4 * block->nodes[0];

	for (int l = 0; l < layers; l++)
		bytes += 8 * (block->nodes[l] + block->nodes[l + 1]) + 16 * block->entries[l];
	return bytes;
}

/* Numbers that one layer of the block keeps for the way back. */
static double
layer_count(const Sizes *s, const BlockSizes *block, int l)
{
	const EncoderOptions *options = s->options;
	bool		normalises = s->routing && !options->keep_lengths && (l == 0 || s->linear);
	double		in = block->nodes[l];
	double		out = block->nodes[l + 1];
	double		count = (s->linear || normalises ? in * s->width : 0) + (normalises ? in * options->factors : 0);

	if (options->attention == ATTENTION_ADDITIVE)
		count += block->entries[l] + (in + out) * s->attention_width;
	if (!s->routing)
		return count + out * s->width;
	if (options->keep_lengths)
		count += (s->linear && l > 0 ? 2 : 1) * in * options->factors;
	count += (options->full_gradient ? options->routing_iterations : 1) * out * (s->width + options->factors);
	return count + (options->full_gradient ? 0 : block->entries[l] * options->factors);
}

/* Bytes of a block and its network. */
static double
block_bytes(const Sizes *s)
{
	const EncoderOptions *options = s->options;
	bool		additive = options->attention == ATTENTION_ADDITIVE;
	bool		full = s->routing && options->full_gradient;
	BlockSizes	block;
	double		rows;
	double		count;

	measure_block(s, options->sampled_neighbours, options->sampled_neighbours, &block);
	rows = block.nodes[0] * s->width;
	count = 2 * (rows + fmin(s->objects, block.nodes[options->layers]) + shared_count(s)) +
		block.nodes[0] * row_room(s) + 3 * block.nodes[0] + block.nodes[options->layers];
	for (int l = 0; l < options->layers; l++)
		count += layer_count(s, &block, l);
	if (s->routing && !options->keep_lengths)
		count += block.nodes[options->layers] * s->width;
	if (full)
		count += (options->routing_iterations - 1 + (s->linear ? 1 : 0) + (options->keep_lengths ? 1 : 0)) * rows;
	if (additive)
		count += fmax(block.entries[0], block.entries[options->layers - 1]) + 2 * block.nodes[0] * s->attention_width +
			dense_partial_count((int64_t) block.nodes[0], (int) s->width, (int) s->attention_width);
	if (s->linear)
		count += dense_partial_count((int64_t) block.nodes[0], (int) s->width, (int) s->width);
	return 4 * count + list_bytes(s, &block);
}

/* The end: a layer's objects, one piece at a time, a second set of rows when the first is kept. */
static double
inference_bytes(const Sizes *s)
{
	double		entries = fmin(2 * s->edges, SAMPLED_PIECE_ENTRIES);
	double		nodes = fmin(s->nodes, 2 * entries);
	double		piece = 24 * entries + nodes * (4 * s->width * (s->linear ? 2 : 1) + 4 * s->options->factors + 40) +
		4 * fmin(s->nodes, entries) * (s->width + (s->options->attention == ATTENTION_ADDITIVE ? 2 * s->attention_width : 0));
	double		kept = s->options->keep_network ? 4 * s->nodes * row_room(s) : 0;

	return kept + fmax(4 * s->objects * (s->width + 1) + piece, 8 * s->users + calibration_bytes(s));
}

double
sampled_memory(const Sizes *s)
{
	const EncoderOptions *options = s->options;
	double		base = holdout_list_bytes(s) + neighbourhood_bytes(s->nodes, s->edges) +
		4 * (s->nodes * row_room(s) + s->objects + shared_count(s));
	double		start = s->edges;
	double		training = 0;

	if (options->spectral_start && !options->warm_start)
		start += sampled_start_bytes(options->dimension, row_room(s), s->users, s->objects, s->edges);
	if (s->training)
		training = row_optimizer_bytes(s->nodes, s->objects, shared_count(s)) + loss_bytes(s);
	return base + fmax(start, training + fmax(s->training ? block_bytes(s) : 0, inference_bytes(s)));
}
