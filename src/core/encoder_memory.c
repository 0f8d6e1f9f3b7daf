/*
 * encoder_memory.c
 *		How much memory a training will need, before it begins.
 *
 * Counts the arrays that holdout.c, network.c, layer.c, loss.c, optimizer.c, spectral.c
 * and encoder.c reserve; test/unit/test_encoder_memory.c compares the sum with what is
 * really lent.  In double: sizes beyond the address space must not wrap around.
 */
#include <math.h>

#include "core/activity.h"
#include "core/dense.h"
#include "core/edge_types.h"
#include "core/encoder_sizes.h"
#include "core/holdout.h"
#include "core/loss.h"
#include "core/spectral.h"
#include "core/temperature.h"

/* Offsets, neighbours, twins, weights, types. */
double
graph_bytes(const Sizes *s, double edges)
{
	return 8 * s->nodes + 2 * edges * ((s->weighted ? 12 : 8) + (s->typed ? 1 : 0));
}

/* Lists of held-out edges, rankings of the query users. */
double
holdout_list_bytes(const Sizes *s)
{
	double		queries = fmin(fmin(s->users, s->held_out), VALIDATION_QUERIES);
	double		masked = s->kept * queries / fmax(s->users, 1);

	return 3 * 4 * s->held_out + 4 * masked +
		queries * (4 + 2 * 8 + 2 * 4 * VALIDATION_K + 4.0 * (s->options->dimension + ENCODER_EXTRA_NUMBERS));
}

/* The same with the graph without the edges; marks alone when there are none. */
static double
holdout_bytes(const Sizes *s)
{
	return s->held_out == 0 ? s->edges : holdout_list_bytes(s) + graph_bytes(s, s->kept);
}

double
shared_count(const Sizes *s)
{
	double		count = 0;

	for (int side = 0; side < 2; side++)
		if (s->features[side] > 0)
			count += s->width * (s->features[side] + 1.0);
	if (s->linear)
		count += s->options->layers * s->width * (s->width + 1);
	if (s->options->attention == ATTENTION_ADDITIVE)
		count += s->options->layers * s->attention_width * (2 * s->width + 1);
	return count + (s->typed ? s->options->layers * EDGE_TYPE_GAINS : 0);
}

/* Numbers of all parameters. */
static double
parameter_count(const Sizes *s)
{
	return s->objects + shared_count(s) + (s->has_ids ? s->nodes * s->width : 0);
}

/* Numbers that one layer keeps. */
static double
layer_count(const Sizes *s, int l)
{
	const EncoderOptions *options = s->options;
	bool		normalises = s->routing && !options->keep_lengths && (l == 0 || s->linear);
	bool		full = s->training && options->full_gradient;
	double		rows = s->nodes * s->width;
	double		factors = s->nodes * options->factors;
	double		count = (s->linear || normalises ? rows : 0) + (normalises ? factors : 0);

	if (options->attention == ATTENTION_ADDITIVE)
		count += 2 * s->kept + 2 * s->nodes * s->attention_width;
	if (!s->routing)
		return count + rows;
	if (options->keep_lengths)
		count += s->linear && l > 0 ? 2 * factors : factors;
	count += (full ? options->routing_iterations : 1) * rows;
	count += full ? options->routing_iterations * factors : s->training ? factors : 0;
	if (s->training && !full)
		count += 2 * s->kept * options->factors;
	return count;
}

/* Numbers of the backward pass that are not gradients of parameters. */
static double
backward_count(const Sizes *s)
{
	const EncoderOptions *options = s->options;
	double		rows = s->nodes * s->width;
	double		partial = 0;
	double		count = s->nodes * fmax(s->width, s->stored_width);	/* of z, or stored vectors */

	if (!s->has_ids)
		count += rows;			/* of a layer's output */
	if (options->layer_mean)
		count += rows;
	if (s->routing && options->full_gradient)
		count += (options->routing_iterations - 1) * rows;
	if (s->routing && s->linear && options->full_gradient)
		count += rows;
	if (s->routing && options->keep_lengths && options->full_gradient)
		count += rows;
	if (options->attention == ATTENTION_ADDITIVE || s->typed)
		count += 2 * s->kept;
	if (options->attention == ATTENTION_ADDITIVE)
	{
		count += 2 * s->nodes * s->attention_width;
		partial = dense_partial_count((int64_t) s->nodes, (int) s->width, (int) s->attention_width);
	}
	if (s->features[0] > 0)
		partial = fmax(partial, dense_partial_count((int64_t) s->users, s->features[0], (int) s->width));
	if (s->features[1] > 0)
		partial = fmax(partial, dense_partial_count((int64_t) s->objects, s->features[1], (int) s->width));
	if (s->linear)
		partial = fmax(partial, dense_partial_count((int64_t) s->nodes, (int) s->width, (int) s->width));
	return count + partial;
}

/* Batch, gradients by row, scratch of the workers. */
double
loss_bytes(const Sizes *s)
{
	double		positives = s->predicted - s->held_out;
	double		batch = fmin(positives, s->options->batch_size);
	double		negatives = fmin(s->objects, s->options->negatives);
	double		drawn = ceil(batch / LOSS_GROUP) * negatives;
	double		rows = 2 * batch + drawn;
	double		scratch = LOSS_BLOCK * (s->width + negatives + 1) + negatives * (s->width + 1) + s->objects;

	double		slots = s->options->sampled_neighbours > 0 ? fmin(s->nodes, 2 * batch + drawn) : s->nodes;

	return (s->typed ? 8 * positives : 0) + 8 * batch + 4 * (3 * batch + drawn + rows * (s->width + 1) + rows - batch + s->threads * scratch) + 8 * slots;
}

/* The network itself, for training with all its gradients. */
static double
network_bytes(const Sizes *s)
{
	double		rows = s->nodes * s->width;
	double		count = parameter_count(s) + 3 * s->nodes;
	bool		in_place = !s->routing || s->options->keep_lengths || !s->training;

	if (s->options->layer_mean || !in_place)
		count += rows;			/* unit vectors beside the last layer's output */
	if (s->features[0] + s->features[1] > 0)
		count += rows;			/* h0 */
	for (int l = 0; l < s->options->layers; l++)
		count += layer_count(s, l);
	if (s->training)
		count += parameter_count(s) + backward_count(s);
	if (s->typed)
		count += 2 * s->kept * (s->training ? 1.25 : 1);
	else if (s->training && s->options->hide_positives)
		count += 2 * s->kept;
	return 4 * count;
}

double
calibration_bytes(const Sizes *s)
{
	double		activity = (double) activity_scratch_bytes((int64_t) s->objects, (int) s->stored_width, s->threads);
	double		calibration = 2 * (4 + 8) * fmin(s->held_out > 0 ? s->held_out : s->predicted, CALIBRATION_EDGES);

	return fmax(calibration, activity);
}

/* What comes after the network: the start, which is closed again, then the steps with their
 * validation, then the end, which has given up the moments and the best parameters. */
static double
later_bytes(const Sizes *s)
{
	double		loss = s->training ? loss_bytes(s) : 0;
	double		direct = s->typed && s->held_out > 0 ?
		direct_term_bytes(s->nodes, s->edges - s->predicted, s->users, s->held_out) : 0;
	double		end = loss + 4 * s->nodes * s->stored_width + fmax(calibration_bytes(s), direct);
	double		start = 0;
	double		steps = 0;

	if (s->options->spectral_start && !s->options->warm_start && s->has_ids)
		start = spectral_bytes(s->options->dimension, (int64_t) s->users, (int64_t) s->objects);
	if (s->training)
		steps = loss + 2 * 4 * parameter_count(s);
	if (s->training && s->held_out > 0)
		steps += ranking_scratch_bytes(s->threads) + (s->options->epochs > 1 ? 4 * parameter_count(s) : 0);
	return fmax(start, fmax(steps, end));
}

/* Of one training, without what comes before its start. */
static size_t
training_memory(const EncoderOptions *options, int64_t n_users, int64_t n_objects, int64_t n_edges,
				int64_t n_predicted, bool weighted, int n_user_features, int n_object_features, int threads)
{
	bool		any_features = n_user_features + n_object_features > 0;
	bool		typed = n_predicted >= 0;
	Sizes		s = {
		.options = options,
		.users = n_users, .objects = n_objects, .nodes = (double) n_users + n_objects,
		.edges = n_edges, .predicted = typed ? n_predicted : n_edges, .typed = typed,
		.width = options->factors * fill_up(options->dimension / options->factors),
		.stored_width = options->dimension + ENCODER_EXTRA_NUMBERS,
		.attention_width = fill_up(options->attention_width),
		.features = {n_user_features, n_object_features}, .threads = threads, .weighted = weighted,
		.routing = options->routing != ROUTING_OFF,
		.linear = options->mapping == MAPPING_LINEAR ||
		(options->mapping == MAPPING_AUTOMATIC && any_features),
		.has_ids = options->id_embeddings || !any_features,
		.training = options->epochs > 0,
	};
	double		bytes;

	s.held_out = s.predicted * options->validation_fraction;
	s.kept = typed ? s.edges : s.edges - s.held_out;	/* with types most of them keep another behaviour */
	if (options->sampled_neighbours > 0)
		bytes = graph_bytes(&s, s.edges) + sampled_memory(&s);
	else
		bytes = graph_bytes(&s, s.edges) + holdout_bytes(&s) + network_bytes(&s) + later_bytes(&s);

	bytes += 4 * (s.users * n_user_features + s.objects * n_object_features);
	return bytes < (double) SIZE_MAX ? (size_t) bytes : SIZE_MAX;
}

size_t
encoder_memory(const EncoderOptions *options, int64_t n_users, int64_t n_objects, int64_t n_edges,
			   int64_t n_predicted, bool weighted, int n_user_features, int n_object_features, int threads)
{
	const EncoderOptions pilot = temperature_pilot(options);
	size_t		whole = training_memory(options, n_users, n_objects, n_edges, n_predicted, weighted,
										n_user_features, n_object_features, threads);
	size_t		before;

	if (!encoder_chooses_temperature(options))
		return whole;
	before = training_memory(&pilot, n_users, n_objects, n_edges, n_predicted, weighted,
							 n_user_features, n_object_features, threads);
	return before > whole ? before : whole;
}
