/*
 * test_gradient.c
 *		The exact backward pass against central finite differences.
 *
 * The scalar is the mean loss of one fixed batch, as training computes it.  For each group
 * of parameters (ID embeddings, one layer's mapping ...) its derivative along a random
 * direction, or along the gradient itself, is compared with the gradient's own
 * projection.  Numbers are float32, so the differences are of fourth order in a large
 * step: they agree to about 1e-3, and a wrong term is off by far more.  The leaky ReLU of
 * the linear mapping has a kink, so a step that moves any number over it is halved.
 */
#include "samples.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/edge_types.h"
#include "core/loss.h"

#define LONGEST_STEP 0.06
#define SHORTEST_STEP 0.0002
#define LOSS_NOISE 3e-7			/* of float32 in the mean loss */
#define TOLERANCE 0.003

typedef enum FeatureCase
{
	NO_FEATURES,
	USER_FEATURES,
	BOTH_FEATURES,
	USER_FEATURES_NO_IDS,
	BOTH_FEATURES_NO_IDS,
	FEATURE_CASES
} FeatureCase;

typedef struct Shape
{
	int			factors;
	int			part;			/* dimension / factors */
} Shape;

/* Widths below, at and above the lanes; fixed and variable loops. */
static const Shape shapes[] = {
	{1, 12}, {2, 8}, {4, 4}, {3, 5}, {4, 16}, {2, 32}, {8, 8}, {1, 64}, {4, 32},
};

#define SMALL_SHAPES 4
#define SHAPES (int) (sizeof(shapes) / sizeof(shapes[0]))

typedef struct Configuration
{
	RoutingRule routing;
	AttentionRule attention;
	MappingRule mapping;
	FeatureCase features;
	bool		layer_mean;
	bool		keep_lengths;
	LossRule	loss;
	bool		weighted;
	bool		typed;
	int			rounds;
	int			layers;
	Shape		shape;
	bool		stopped;
	bool		portable;
	const struct Size *size;	/* NULL = small */
} Configuration;

/* The graph, and what of it is in the batch. */
typedef struct Size
{
	int32_t		n_users;
	int32_t		n_objects;
	int64_t		interactions;
	int			batch;
	int			negatives;
} Size;

static const Size small = {12, 9, 80, 30, 6};
static const Size several_loss_groups = {150, 60, 4000, 1500, 40};

/* A stretch of the parameters: a matrix whose rows or columns may be node columns, of which
 * those that fill sub-vectors up to whole lanes stay zero. */
typedef struct Group
{
	const char *name;
	int			layer;			/* -1 = none */
	size_t		start;
	size_t		rows;
	size_t		columns;
	bool		rows_are_node_columns;
	bool		columns_are_node_columns;
} Group;

#define MAX_GROUPS 24

typedef struct Case
{
	Configuration configuration;
	TestHost	host;
	Arena		arena;
	Graph		graph;
	Features	users;
	Features	objects;
	EncoderOptions options;
	Network		network;
	Loss		loss;
	int			count;			/* positives of the batch */
	Group		groups[MAX_GROUPS];
	int			n_groups;
	float	   *gradients;		/* at the parameters the case was opened with */
	float	   *direction;
	bool	   *signs;			/* of z, layer by layer: the side of the kink */
} Case;

static void
add_group(Case *c, const char *name, int layer, size_t start, size_t rows, size_t columns,
		  bool rows_are_node_columns, bool columns_are_node_columns)
{
	if (rows == 0 || columns == 0)
		return;
	assert_true(c->n_groups < MAX_GROUPS);
	c->groups[c->n_groups++] = (Group) {name, layer, start, rows, columns,
		rows_are_node_columns, columns_are_node_columns};
}

static void
list_groups(Case *c)
{
	const Network *network = &c->network;
	const ParameterLayout *layout = &network->layout;
	size_t		width = network->width;

	add_group(c, "id_embeddings", -1, layout->id_embeddings, layout->id_count / width, width, false, true);
	add_group(c, "object_bias", -1, layout->object_bias, 1, c->graph.n_objects, false, false);
	for (int side = 0; side < 2; side++)
		if (network->features[side] != NULL)
		{
			add_group(c, side == 0 ? "user_projection" : "object_projection", -1,
					  layout->projections[side], width, network->features[side]->columns, true, false);
			add_group(c, side == 0 ? "user_offset" : "object_offset", -1,
					  layout->projection_offsets[side], 1, width, false, true);
		}
	for (int l = 0; l < c->options.layers; l++)
	{
		if (network->linear_mapping)
		{
			add_group(c, "mapping", l, layout->mappings[l], width, width, true, true);
			add_group(c, "mapping_offset", l, layout->mapping_offsets[l], 1, width, false, true);
		}
		if (c->options.attention == ATTENTION_ADDITIVE)
		{
			add_group(c, "attention_own", l, layout->attention_own[l],
					  network->attention_width, width, false, true);
			add_group(c, "attention_other", l, layout->attention_other[l],
					  network->attention_width, width, false, true);
			add_group(c, "attention_nu", l, layout->attention_nu[l],
					  1, network->attention_width, false, false);
		}
		if (c->graph.types != NULL)
			add_group(c, "type_gains", l, layout->type_gains[l], 2, EDGE_TYPE_GAINS / 2, false, false);
	}
}

/* False for what only fills up to whole lanes. */
static bool
is_real(const Case *c, const Group *group, size_t i)
{
	size_t		sub_width = c->network.sub_width;
	size_t		part = c->configuration.shape.part;
	size_t		row = i / group->columns % sub_width;
	size_t		column = i % group->columns % sub_width;

	return (!group->rows_are_node_columns || row < part) &&
		(!group->columns_are_node_columns || column < part);
}

static size_t
group_size(const Group *group)
{
	return group->rows * group->columns;
}

/* Numbers of a size at which every term of the gradient matters; mapping offsets lead most
 * numbers away from the kink, to both sides. */
static float
spread_number(const Case *c, const Group *group, size_t i)
{
	float		number = sample_number(100 + group->start, i);

	if (strcmp(group->name, "mapping_offset") == 0)
		return number + (number > 0 ? 0.3f : -0.3f);
	if (group->layer >= 0 && group->rows > 1)
		return number * 4 / sqrtf(c->options.dimension);
	return number * 0.7f;
}

static void
spread_parameters(Case *c)
{
	for (int g = 0; g < c->n_groups; g++)
		for (size_t i = 0; i < group_size(&c->groups[g]); i++)
			if (is_real(c, &c->groups[g], i))
				c->network.parameters[c->groups[g].start + i] = spread_number(c, &c->groups[g], i);
}

static void
set_options(Case *c, const Configuration *configuration, const Size *size)
{
	encoder_defaults(&c->options, &c->graph);
	c->options.factors = configuration->shape.factors;
	c->options.dimension = configuration->shape.factors * configuration->shape.part;
	c->options.layers = configuration->layers;
	c->options.routing_iterations = configuration->rounds;
	c->options.routing = configuration->routing;
	c->options.routing_temperature = 0.7f;
	c->options.attention = configuration->attention;
	c->options.attention_width = 8;
	c->options.neighbour_scale = 1.5f;
	c->options.mapping = configuration->mapping;
	c->options.layer_mean = configuration->layer_mean;
	c->options.keep_lengths = configuration->keep_lengths;
	c->options.full_gradient = !configuration->stopped;
	c->options.id_embeddings = configuration->features < USER_FEATURES_NO_IDS;
	c->options.loss = configuration->loss;
	c->options.hide_positives = configuration->rounds != 1;
	c->options.batch_size = size->batch;
	c->options.negatives = size->negatives;
	c->options.temperature = 0.2f;
	assert_int_equal(encoder_check(&c->host.core, &c->options), CORE_OK);
}

/* The mean loss of the batch at the network's present parameters. */
static double
batch_loss(Case *c)
{
	double		sum;

	c->loss.step = 3;			/* always the same negatives */
	assert_int_equal(loss_choose(&c->loss, 1, 2, c->count), CORE_OK);
	network_hide_edges(&c->network, c->loss.entries, c->count / 2);
	assert_int_equal(network_forward(&c->network), CORE_OK);
	assert_int_equal(loss_step(&c->loss, &sum), CORE_OK);
	return sum / c->count;
}

static void
compute_gradients(Case *c)
{
	size_t		bytes = c->network.layout.total * sizeof(float);

	memset(c->network.gradients, 0x7F, bytes);	/* whatever is not set will show */
	batch_loss(c);
	assert_int_equal(network_backward(&c->network), CORE_OK);
	memcpy(c->gradients, c->network.gradients, bytes);
}

/* True when all numbers are on their side of the kink; first, the sides are kept. */
static bool
signs_stay(Case *c, bool first)
{
	size_t		n = (size_t) c->graph.n_nodes * c->network.width;
	bool		same = true;

	if (!c->network.linear_mapping)
		return true;
	for (int l = 0; l < c->options.layers; l++)
		for (size_t i = 0; i < n; i++)
		{
			bool		sign = c->network.layers[l].z[i] > 0;

			if (first)
				c->signs[l * n + i] = sign;
			same = same && c->signs[l * n + i] == sign;
		}
	return same;
}

/* Some lists are longer than a block of neighbours, some are empty. */
static void
assert_degrees_are_mixed(const Graph *graph)
{
	int64_t		longest = 0;
	int64_t		shortest = 100;

	for (int32_t v = 0; v < graph->n_nodes; v++)
	{
		int64_t		degree = graph_degree(graph, v);

		longest = degree > longest ? degree : longest;
		shortest = degree < shortest ? degree : shortest;
	}
	assert_true(longest > KERNEL_LANES);
	assert_int_equal(shortest, 0);
}

static void
open_case(Case *c, const Configuration *configuration)
{
	bool		user_features = configuration->features != NO_FEATURES;
	bool		object_features = configuration->features == BOTH_FEATURES ||
		configuration->features == BOTH_FEATURES_NO_IDS;
	const Size *size = configuration->size != NULL ? configuration->size : &small;

	c->configuration = *configuration;
	c->n_groups = 0;
	host_open(&c->host, 1);
	c->host.core.portable = configuration->portable;
	arena_open(&c->arena, &c->host.core);
	core_start_workers(&c->host.core);	/* the library of matrix products gets one thread */
	sample_graph(&c->arena, size->n_users, size->n_objects, size->interactions, configuration->weighted, 5, &c->graph);
	if (configuration->typed)
		sample_types(&c->arena, 9, &c->graph);
	assert_degrees_are_mixed(&c->graph);
	sample_features(&c->arena, size->n_users, 5, 6, &c->users);
	sample_features(&c->arena, size->n_objects, 3, 7, &c->objects);
	set_options(c, configuration, size);
	assert_int_equal(network_open(&c->network, &c->host.core, &c->arena, &c->graph,
								  user_features ? &c->users : NULL,
								  object_features ? &c->objects : NULL, &c->options, true), CORE_OK);
	assert_int_equal(loss_open(&c->loss, &c->arena, &c->network), CORE_OK);
	c->count = size->batch < c->loss.n_positives - 2 ? size->batch : (int) c->loss.n_positives - 2;
	c->gradients = arena_floats(&c->arena, c->network.layout.total);
	c->direction = arena_floats(&c->arena, c->network.layout.total);
	c->signs = arena_allocate(&c->arena, (size_t) c->options.layers * c->graph.n_nodes * c->network.width,
							  sizeof(bool));
	list_groups(c);
	spread_parameters(c);
	compute_gradients(c);
	signs_stay(c, true);
}

static void
close_case(Case *c)
{
	core_stop_workers(&c->host.core);
	arena_close(&c->arena);
	host_assert_clean(&c->host);
}

/* The group's numbers of `direction` become a unit vector: random, or the gradient's. */
static void
choose_direction(Case *c, const Group *group, bool along_gradient, uint64_t seed)
{
	double		length = 0;

	for (size_t i = 0; i < group_size(group); i++)
	{
		float		number = along_gradient ? c->gradients[group->start + i] :
			is_real(c, group, i) ? sample_number(seed, i) : 0;

		c->direction[i] = number;
		length += (double) number * number;
	}
	for (size_t i = 0; i < group_size(group); i++)
		c->direction[i] = length > 0 ? (float) (c->direction[i] / sqrt(length)) : 0;
}

/* The loss with the group's parameters moved along the direction; NaN over a kink. */
static double
loss_at(Case *c, const Group *group, const float *saved, double step)
{
	float	   *parameters = c->network.parameters + group->start;
	double		loss;

	for (size_t i = 0; i < group_size(group); i++)
		parameters[i] = (float) (saved[i] + step * c->direction[i]);
	loss = batch_loss(c);
	return signs_stay(c, false) ? loss : NAN;
}

/* Loss ahead of the present parameters less that behind them. */
static double
difference(Case *c, const Group *group, const float *saved, double step)
{
	return loss_at(c, group, saved, step) - loss_at(c, group, saved, -step);
}

/*
 * Derivative along the direction by differences of fourth order: the longest step that
 * meets no kink and gives the same as its half; NaN when there is none.
 */
static double
measured_derivative(Case *c, const Group *group, double *step)
{
	size_t		bytes = group_size(group) * sizeof(float);
	float	   *saved = arena_floats(&c->arena, group_size(group));
	double		coarse = NAN;
	double		fine = NAN;
	double		far,
				near;

	memcpy(saved, c->network.parameters + group->start, bytes);
	far = difference(c, group, saved, 2 * LONGEST_STEP);
	for (*step = LONGEST_STEP; *step >= SHORTEST_STEP; *step /= 2, far = near, coarse = fine)
	{
		near = difference(c, group, saved, *step);
		fine = (8 * near - far) / (12 * *step);
		if (fabs(coarse - fine) <= LOSS_NOISE / *step + 0.001 * fabs(fine))
			break;
	}
	memcpy(c->network.parameters + group->start, saved, bytes);
	arena_release(&c->arena, saved);
	return *step >= SHORTEST_STEP ? fine : NAN;
}

/* How far the gradient's projection is from the measured derivative, relative to the
 * larger of the projection and what a random direction has of the gradient; NaN when a
 * kink is too close to measure. */
static double
direction_error(Case *c, const Group *group)
{
	double		projection = 0;
	double		length = 0;
	double		step;
	double		measured = measured_derivative(c, group, &step);

	for (size_t i = 0; i < group_size(group); i++)
	{
		double		gradient = c->gradients[group->start + i];

		projection += gradient * c->direction[i];
		length += gradient * gradient;
	}
	if (isnan(measured))
		return NAN;
	return fmax(0, fabs(measured - projection) - LOSS_NOISE / step) /
		(fmax(fabs(projection), sqrt(length / group_size(group))) + 1e-6);
}

/* Along the gradient, which shows every wrong size, or along a random direction, which
 * shows what has no part in the gradient but should. */
static double
group_error(Case *c, const Group *group, bool along_gradient, uint64_t seed)
{
	choose_direction(c, group, along_gradient, seed);
	return direction_error(c, group);
}

static void
print_configuration(const Configuration *k, const Group *group, double error)
{
	print_message("%s layer %d: error %.4f; routing %d attention %d mapping %d features %d layer_mean %d keep_lengths %d "
				  "loss %d weighted %d rounds %d layers %d factors %d part %d stopped %d portable %d\n",
				  group->name, group->layer, error, k->routing, k->attention, k->mapping, k->features,
				  k->layer_mean, k->keep_lengths, k->loss, k->weighted, k->rounds, k->layers, k->shape.factors,
				  k->shape.part, k->stopped, k->portable);
}

/* What fills up to whole lanes has no gradient, so that it stays zero. */
static void
assert_filling_has_no_gradient(const Case *c)
{
	for (int g = 0; g < c->n_groups; g++)
		for (size_t i = 0; i < group_size(&c->groups[g]); i++)
			if (!is_real(c, &c->groups[g], i))
				assert_true(c->gradients[c->groups[g].start + i] == 0);
}

/* What a sweep over configurations found. */
typedef struct Sweep
{
	double		worst;			/* error */
	int			checked;		/* directions */
	int			skipped;
} Sweep;

/* Check all groups of a configuration. */
static void
sweep_configuration(Sweep *sweep, const Configuration *configuration, uint64_t seed)
{
	Case		c;

	open_case(&c, configuration);
	assert_filling_has_no_gradient(&c);
	for (int g = 0; g < c.n_groups; g++)
	{
		double		error = group_error(&c, &c.groups[g], (seed + g) % 2, seed + g);

		if (error > TOLERANCE)
			print_configuration(configuration, &c.groups[g], error);
		sweep->skipped += isnan(error);
		sweep->worst = fmax(sweep->worst, error);
		sweep->checked++;
	}
	close_case(&c);
}

/* Few directions may be skipped: else the test tests little. */
static void
assert_sweep_is_good(const Sweep *sweep)
{
	print_message("%d directions, largest relative error %.2g, %d skipped\n",
				  sweep->checked, sweep->worst, sweep->skipped);
	assert_true(sweep->worst <= TOLERANCE);
	assert_true(20 * sweep->skipped <= sweep->checked);
}

/* Every rule with every rule; rounds, layers and shapes go round in between. */
static void
every_pair_of_rules(void **state)
{
	Sweep		sweep = {0};

	(void) state;
	for (int i = 0; i < RULE_PAIRS * 2 * FEATURE_CASES * 2 * 2 * 2; i += sweep_stride())
	{
		uint64_t	turn = random_bits(1, RANDOM_TEST, i);
		Configuration configuration = {
			.routing = i % ROUTING_RULES, .attention = i / ROUTING_RULES % ATTENTION_RULES,
			.mapping = i / RULE_PAIRS % 2 == 0 ? MAPPING_IDENTITY : MAPPING_LINEAR,
			.features = i / RULE_PAIRS / 2 % FEATURE_CASES,
			.layer_mean = i / RULE_PAIRS / 2 / FEATURE_CASES % 2,
			.loss = i / RULE_PAIRS / 4 / FEATURE_CASES % 2, .weighted = i / RULE_PAIRS / 8 / FEATURE_CASES % 2,
			.rounds = 1 + turn % 3, .layers = 1 + turn / 3 % 3,
			.shape = shapes[turn / 9 % SMALL_SHAPES], .keep_lengths = turn >> 62 & 1, .typed = turn >> 61 & 1, .portable = turn >> 63,
		};

		sweep_configuration(&sweep, &configuration, i);
	}
	assert_sweep_is_good(&sweep);
}

/* Every rule of propagation with every number of rounds and layers in every shape. */
static void
every_shape(void **state)
{
	Sweep		sweep = {0};

	(void) state;
	for (int i = 0; i < RULE_PAIRS * 2 * 3 * SHAPES; i += sweep_stride())
	{
		uint64_t	turn = random_bits(2, RANDOM_TEST, i);
		Configuration configuration = {
			.routing = i % ROUTING_RULES, .attention = i / ROUTING_RULES % ATTENTION_RULES,
			.mapping = i / RULE_PAIRS % 2 == 0 ? MAPPING_IDENTITY : MAPPING_LINEAR,
			.rounds = 1 + i / RULE_PAIRS / 2 % 3, .layers = 1 + turn % (i / RULE_PAIRS / 6 < SMALL_SHAPES ? 3 : 2),
			.shape = shapes[i / RULE_PAIRS / 6],
			.features = turn / 3 % FEATURE_CASES, .layer_mean = turn >> 60 & 1,
			.keep_lengths = turn >> 59 & 1, .typed = turn >> 58 & 1, .loss = turn >> 61 & 1, .weighted = turn >> 62 & 1, .portable = turn >> 63,
		};

		sweep_configuration(&sweep, &configuration, i);
	}
	assert_sweep_is_good(&sweep);
}

/* A batch of several groups of positives and several blocks of rows. */
static void
several_groups_of_positives(void **state)
{
	Sweep		sweep = {0};

	(void) state;
	for (int i = 0; i < 4; i++)
	{
		Configuration configuration = {
			.routing = i % 2 ? ROUTING_OFF : ROUTING_EACH_CENTRE, .loss = i / 2,
			.mapping = MAPPING_IDENTITY, .weighted = i == 1, .rounds = 1, .layers = 1,
			.shape = shapes[1], .size = &several_loss_groups,
		};

		sweep_configuration(&sweep, &configuration, i);
	}
	assert_sweep_is_good(&sweep);
}

/* The largest error of directions of both kinds, those that meet a kink left out. */
static double
largest_error(Case *c, const Group *group)
{
	double		error = group_error(c, group, true, 0);

	for (int seed = 0; seed < 3; seed++)
		error = fmax(error, group_error(c, group, false, seed));
	return error;
}

/* The check itself: one part in ten more or less in any group is too much, and so are
 * two numbers that have changed places. */
static void
wrong_gradients_are_found(void **state)
{
	Configuration configuration = {
		.attention = ATTENTION_ADDITIVE, .mapping = MAPPING_LINEAR, .features = BOTH_FEATURES,
		.rounds = 2, .layers = 1, .shape = {2, 8}, .typed = true,
	};
	Case		c;

	(void) state;
	open_case(&c, &configuration);
	for (int g = 0; g < c.n_groups; g++)
	{
		const Group *group = &c.groups[g];
		float	   *gradients = c.gradients + group->start;
		size_t		n = group_size(group);

		assert_true(largest_error(&c, group) <= TOLERANCE);
		for (size_t i = 0; i < n; i++)
			gradients[i] *= 1.1f;
		assert_true(largest_error(&c, group) > TOLERANCE);
		compute_gradients(&c);
		for (size_t i = 0; i < n / 2; i++)
		{
			float		saved = gradients[i];

			gradients[i] = gradients[n - 1 - i];
			gradients[n - 1 - i] = saved;
		}
		assert_true(largest_error(&c, group) > TOLERANCE);
		compute_gradients(&c);
	}
	close_case(&c);
}

/* ---- routing weights taken as constants ------------------------------------------------ */

/* Distance of the stopped gradient from the full one, relative to the full one's length. */
static double
stopped_distance(Configuration configuration)
{
	Case		full,
				stopped;
	double		difference = 0;
	double		length = 0;

	configuration.stopped = false;
	open_case(&full, &configuration);
	configuration.stopped = true;
	open_case(&stopped, &configuration);
	for (int g = 0; g < full.n_groups; g++)
		for (size_t i = 0; i < group_size(&full.groups[g]); i++)
		{
			size_t		place = full.groups[g].start + i;

			difference += pow(full.gradients[place] - stopped.gradients[place], 2);
			length += pow(full.gradients[place], 2);
		}
	close_case(&stopped);
	close_case(&full);
	return sqrt(difference / length);
}

/* With one subspace the first weights are 1 whatever the parameters: nothing to stop. */
static void
stopped_gradient_is_full_with_one_subspace(void **state)
{
	(void) state;
	for (int i = 0; i < 2 * 3 * 2 * 3; i++)
		assert_true(stopped_distance((Configuration) {
			.routing = i % 2, .attention = i / 2 % 3,
			.mapping = i / 6 % 2 == 0 ? MAPPING_IDENTITY : MAPPING_LINEAR,
			.rounds = 1 + i / 12, .layers = 2, .shape = {1, 12}, .portable = i & 1,
		}) < 1e-5);
}

/* With more it leaves out a part, but not the larger one. */
static void
stopped_gradient_leaves_out_a_part(void **state)
{
	double		least = INFINITY;
	double		most = 0;

	(void) state;
	for (int i = 0; i < 2 * 3 * 2 * 3; i++)
	{
		double		distance = stopped_distance((Configuration) {
			.routing = i % 2, .attention = i / 2 % 3,
			.mapping = i / 6 % 2 == 0 ? MAPPING_IDENTITY : MAPPING_LINEAR,
			.rounds = 1 + i / 12, .layers = 2, .shape = {4, 4}, .portable = i & 1,
		});

		least = fmin(least, distance);
		most = fmax(most, distance);
	}
	print_message("the stopped gradient is %.2g to %.2g of the full one's length away from it\n", least, most);
	assert_true(least > 0.01);
	assert_true(most < 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pair_of_rules),
		cmocka_unit_test(every_shape),
		cmocka_unit_test(several_groups_of_positives),
		cmocka_unit_test(wrong_gradients_are_found),
		cmocka_unit_test(stopped_gradient_is_full_with_one_subspace),
		cmocka_unit_test(stopped_gradient_leaves_out_a_part),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
