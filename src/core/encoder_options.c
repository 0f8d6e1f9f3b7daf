/*
 * encoder_options.c
 *		Defaults of the encoder and the ranges of its options.
 */
#include <math.h>
#include <string.h>

#include "core/encoder.h"
#include "core/kernels.h"

#define HELD_OUT_EDGES 10000	/* enough for a validation NDCG with 1 % of noise */

/*
 * Sizes follow the graph, so that the work for each edge does not.  An epoch is about 50
 * steps: a propagation, which costs as much as all edges, is then paid for by a 50th of
 * them in the loss.  About 400 steps in all are needed for Adam to settle from a spectral
 * start, so a graph too small for 50 steps of at least 256 edges gets more epochs.
 *
 * A small graph has learnt what it can after 25 to 200 steps, and most of its time goes into the epochs
 * of patience after that: its epochs are half as long (65,000 generated edges, three seeds: held-out
 * NDCG@20 0.2122 after 6 processor seconds, where epochs of 50 steps gave 0.2118 after 11).
 */
#define STEPS_OF_AN_EPOCH 50
#define SMALL_GRAPH 100000		/* edges */
#define STEPS_OF_A_SHORT_EPOCH 25
#define STEPS_IN_ALL 400

/*
 * A step on samples costs what its block does, so that a large batch saves nothing; what it takes is bounded by the
 * batch.  4,096 positives in four groups of 1,024 negatives have 12,288 seeds.  Negatives that all groups share
 * are no way to have fewer: they cost 8 % of NDCG@20.
 */
#define SAMPLED_BATCH 4096
#define SAMPLED_NEGATIVES 1024

/*
 * Of a learning rate over the whole graph.  Draws are noise, which small steps average, but small steps learn less: held-out NDCG@20
 * with 10 neighbours at 0.03, 0.01 and 0.003 is 0.1966, 0.2028 and 0.2104 on Gowalla's dense part (120,000 edges), 0.1112
 * and 0.1094 (at 0.01) on a quarter of its users, and 0.1281 and 0.1185 (at 0.003) on all of it.
 */
#define SAMPLED_LEARNING_RATE 0.3f

/* Of a warm start's learning rate against that of a first training: with more, what is well learnt is shaken, and too
 * few steps are left to settle again. */
#define WARM_LEARNING_RATE 0.15f

static int
between(double value, int low, int high)
{
	return value < low ? low : value > high ? high : (int) value;
}

/*
 * Where the choice of a temperature begins.  It falls with the number of objects, from 0.3 at 1,000 to 0.1 at 40,000: in
 * a small catalogue most of what a user does not have would suit him as well, and a sharp
 * softmax learns the noise (held-out NDCG@20: Gowalla, 41,000 objects, 0.1471 at 0.08, 0.1482 at 0.09,
 * 0.1480 at 0.1, which has the highest Recall, 0.143 at 0.12; generated data, 600 objects, 0.206 at 0.2,
 * 0.213 at 0.3, 0.215 at 0.4).
 */
static float
default_temperature(int32_t n_objects)
{
	double		share = log(40000.0 / (n_objects > 0 ? n_objects : 1)) / log(40);

	return (float) (0.1 + 0.2 * fmin(1, fmax(0, share)));
}

void
encoder_defaults(EncoderOptions *options, const Graph *graph)
{
	double		edges = fmax(1, graph_predicted_edges(graph));
	int			steps = edges <= SMALL_GRAPH ? STEPS_OF_A_SHORT_EPOCH : STEPS_OF_AN_EPOCH;
	int			batch = between(ceil(edges / steps), 256, 1 << 20);
	int			epochs = between(ceil(STEPS_IN_ALL / ceil(edges / batch)), 8, 100);

	*options = (EncoderOptions) {
		.dimension = 64, .factors = 4, .layers = 2, .routing_iterations = 2,
		.routing = ROUTING_OWN_CENTRE, .routing_temperature = 1,
		.attention = ATTENTION_SYMMETRIC, .attention_width = 16, .neighbour_scale = 8,
		.keep_lengths = true, .mapping = MAPPING_AUTOMATIC, .id_embeddings = true,
		.loss = LOSS_SOFTMAX, .epochs = epochs, .batch_size = batch, .hide_positives = true, .negatives = 4096,
		.learning_rate = 0.03f, .temperature = default_temperature(graph->n_objects), .initial_bias = 0.5f, .initial_deviation = 0.1f,
		.spectral_start = true, .patience = between(epochs / 5, 4, 20),
		.validation_fraction = (float) fmin(0.1, fmax(0.01, HELD_OUT_EDGES / edges)),
		.target_fraction = 0.5f, .seed = 42, .keep_network = true,
		.spectral_power = 0.5f, .spectral_noise = 0.1f, .adam_beta2 = 0.99f,
	};
}

void
encoder_warm_defaults(EncoderOptions *options)
{
	options->epochs = options->epochs < 3 ? options->epochs : options->epochs / 3;
	options->patience = options->patience < options->epochs ? options->patience : options->epochs;
	options->learning_rate *= WARM_LEARNING_RATE;
}

void
encoder_sampled_defaults(EncoderOptions *options)
{
	options->batch_size = options->batch_size < SAMPLED_BATCH ? options->batch_size : SAMPLED_BATCH;
	options->negatives = SAMPLED_NEGATIVES;
	options->learning_rate *= SAMPLED_LEARNING_RATE;
}

bool
encoder_chooses_temperature(const EncoderOptions *options)
{
	return options->choose_temperature && options->epochs > 0 && !options->warm_start && options->sampled_neighbours == 0;
}

/* Bounds are floats as most options are: 0.02 as a float is less than 0.02. */
typedef struct OptionRange
{
	const char *name;
	double		value;
	float		minimum;
	float		maximum;
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
		{"sampled_neighbours", options->sampled_neighbours, 0, 10000},
		{"epoch_steps", options->epoch_steps, 0, 1 << 24},
		{"learning_rate", options->learning_rate, 1e-6, 10},
		{"temperature", options->temperature, 0.02, 10},
		{"initial_deviation", options->initial_deviation, 1e-4, 100},
		{"spectral_power", options->spectral_power, 0, 4},
		{"spectral_noise", options->spectral_noise, 0, 1},
		{"adam_beta2", options->adam_beta2, 0.5, 0.9999},
		{"initial_bias", options->initial_bias, 0, 10},
		{"weight_decay", options->weight_decay, 0, 1},
		{"patience", options->patience, 0, 10000},
		{"validation_fraction", options->validation_fraction, 0, 0.5},
		{"target_fraction", options->target_fraction, 0, 0.9},
	};

	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (!(ranges[i].value >= ranges[i].minimum && ranges[i].value <= ranges[i].maximum))
			return core_fail(core, CORE_INVALID, "%s is %g, the range is %g to %g",
							 ranges[i].name, ranges[i].value, ranges[i].minimum, ranges[i].maximum);
	if (options->dimension % options->factors != 0)
		return core_fail(core, CORE_INVALID, "dimension %d is not a multiple of factors %d",
						 options->dimension, options->factors);
	if (options->sampled_neighbours > 0 && options->layer_mean)
		return core_fail(core, CORE_INVALID, "layer_mean reads every layer of every node, with sampled_neighbours %d there is the last alone",
						 options->sampled_neighbours);
	return CORE_OK;
}
