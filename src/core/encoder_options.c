/*
 * encoder_options.c
 *		Defaults of the encoder, the ranges of its options, and the memory it will need.
 */
#include <math.h>
#include <string.h>

#include "core/encoder.h"
#include "core/kernels.h"

#define HELD_OUT_EDGES 10000	/* enough for a validation NDCG with 1 % of noise */

/*
 * Sizes follow the graph, so that the work for each edge does not.  An epoch is about 50
 * steps: a propagation, which costs as much as all edges, is then paid for by a 50th of
 * them in the loss.  About 500 steps in all are needed for Adam to settle from a spectral
 * start, so a graph too small for 50 steps of at least 256 edges gets more epochs.
 */
#define STEPS_OF_AN_EPOCH 50
#define STEPS_IN_ALL 500

static int
between(double value, int low, int high)
{
	return value < low ? low : value > high ? high : (int) value;
}

void
encoder_defaults(EncoderOptions *options, const Graph *graph)
{
	double		edges = graph->n_edges > 0 ? graph->n_edges : 1;
	int			batch = between(ceil(edges / STEPS_OF_AN_EPOCH), 256, 1 << 20);
	int			epochs = between(ceil(STEPS_IN_ALL / ceil(edges / batch)), 10, 100);

	*options = (EncoderOptions) {
		.dimension = 64, .factors = 4, .layers = 2, .routing_iterations = 2,
		.routing = ROUTING_OWN_CENTRE, .routing_temperature = 0.3f,
		.attention = ATTENTION_SYMMETRIC, .attention_width = 16, .neighbour_scale = 2,
		.mapping = MAPPING_AUTOMATIC, .id_embeddings = true,
		.loss = LOSS_SOFTMAX, .epochs = epochs, .batch_size = batch, .negatives = 1024,
		.learning_rate = 0.03f, .temperature = 0.1f, .initial_bias = 0.5f, .initial_deviation = 0.1f,
		.spectral_start = true, .patience = between(epochs / 5, 4, 20),
		.validation_fraction = (float) fmin(0.1, fmax(0.01, HELD_OUT_EDGES / edges)),
		.seed = 42,
		.spectral_power = 0.5f, .spectral_noise = 0.1f, .adam_beta2 = 0.99f,
	};
}

typedef struct OptionRange
{
	const char *name;
	double		value;
	double		minimum;
	double		maximum;
} OptionRange;

CoreStatus
encoder_check(Core *core, const EncoderOptions *options)
{
	const OptionRange ranges[] = {
		{"dimension", options->dimension, 1, 1024},
		{"factors", options->factors, 1, KERNEL_MAX_FACTORS},
		{"layers", options->layers, 1, 8},
		{"routing_iterations", options->routing_iterations, 1, KERNEL_MAX_ROUNDS},
		{"routing_temperature", options->routing_temperature, 0.05, 100},
		{"attention_width", options->attention_width, 1, 256},
		{"neighbour_scale", options->neighbour_scale, 1e-3, 1e3},
		{"epochs", options->epochs, 0, 10000},
		{"batch_size", options->batch_size, 1, 1 << 20},
		{"negatives", options->negatives, 1, 65536},
		{"learning_rate", options->learning_rate, 1e-6, 10},
		{"temperature", options->temperature, 0.02, 10},
		{"initial_deviation", options->initial_deviation, 1e-4, 100},
		{"initial_bias", options->initial_bias, 0, 10},
		{"weight_decay", options->weight_decay, 0, 1},
		{"patience", options->patience, 0, 10000},
		{"validation_fraction", options->validation_fraction, 0, 0.5},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (!(ranges[i].value >= ranges[i].minimum && ranges[i].value <= ranges[i].maximum))
			return core_fail(core, CORE_INVALID, "%s is %g, the range is %g to %g",
							 ranges[i].name, ranges[i].value, ranges[i].minimum, ranges[i].maximum);
	if (options->dimension % options->factors != 0)
		return core_fail(core, CORE_INVALID, "dimension %d is not a multiple of factors %d",
						 options->dimension, options->factors);
	return CORE_OK;
}

size_t
encoder_memory(const EncoderOptions *options, int64_t n_users, int64_t n_objects,
			   int64_t n_edges, int n_user_features, int n_object_features, int threads)
{
	double		nodes = (double) n_users + n_objects;
	double		entries = 2.0 * n_edges;
	double		part = (options->dimension / options->factors + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES;
	double		width = part * options->factors;
	bool		routing = options->routing != ROUTING_OFF;
	bool		additive = options->attention == ATTENTION_ADDITIVE;
	bool		features = n_user_features + n_object_features > 0;
	bool		linear = options->mapping == MAPPING_LINEAR ||
		(options->mapping == MAPPING_AUTOMATIC && features);
	int			rounds = !routing ? 0 : options->full_gradient ? options->routing_iterations : 1;
	double		negatives = fmin(options->negatives, n_objects);
	double		batch = fmin(options->batch_size, n_edges);
	double		rows;			/* arrays of nodes x width */
	double		floats;

	/* parameters, their gradients, two moments, the best copy */
	rows = (options->id_embeddings || !features) ? 5 : 0;
	/* h0, unit, four gradients */
	rows += (features ? 1 : 0) + 5;
	/* layers: z, output or centres; backward: one dm for each round, start gradient */
	rows += options->layers * ((linear ? 1 : 0) + (routing ? rounds : 1));
	rows += (routing && !linear ? 1 : 0) + rounds + (routing && linear ? 1 : 0);
	floats = nodes * width * rows + nodes * (options->dimension + 1.0) * 2;
	/* graph twice (without the held-out edges): offsets, neighbours, reverse */
	floats += 2 * (2 * nodes + 2 * entries) + entries;
	if (routing && !options->full_gradient)
		floats += options->layers * entries * options->factors;
	if (additive)
		floats += (options->layers + 1) * entries + (2 * options->layers + 2) * nodes * options->attention_width;
	floats += (2 * batch + ceil(batch / 1024) * negatives) * (width + 2);
	floats += threads * (256 * negatives + negatives * (width + 1) + n_objects + 128.0 * 2048);
	floats += (double) n_users * n_user_features + (double) n_objects * n_object_features;
	return (size_t) (floats * sizeof(float));
}
