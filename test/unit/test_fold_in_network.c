/*
 * test_fold_in_network.c
 *		The inductive pass: without ID embeddings it gives what the training gave, whatever the network; with
 *		them it comes near; features alone give a vector.
 */
#include "scene.h"

#include <math.h>
#include <string.h>

#include "core/fold_in.h"
#include "core/network_parameters.h"
#include "core/network_states.h"
#include "core/vectors.h"

#define USERS 120
#define OBJECTS 40

/* A training whose network is kept open, seen from the nodes of one kind. */
typedef struct Inductive
{
	Scene		scene;
	TestHost	host;
	Arena		arena;
	EncoderTraining *training;
	EncoderResult result;
	FoldInNetwork network;
	FoldIn		fold;
	FoldInBatch batch;
	const float *stored;		/* of the nodes that are folded in */
	float	   *vectors;
	int32_t		degrees[USERS];
} Inductive;

static void
run_training(Inductive *t)
{
	const EncoderObserver observer = {.epoch = NULL};
	bool		finished;

	host_open(&t->host, 1);
	arena_open(&t->arena, &t->host.core);
	t->training = encoder_open(&t->host.core, &t->arena, &t->scene.graph, t->scene.users, t->scene.objects,
							   &t->scene.options, false);
	assert_non_null(t->training);
	assert_int_equal(encoder_run(t->training, &observer, &finished), CORE_OK);
	assert_int_equal(encoder_finish(t->training, &t->arena, &t->result), CORE_OK);
}

static void
keep_network(Inductive *t)
{
	const Network *network = encoder_network(t->training);
	NetworkShape shape = network_shape(network);
	float	   *shared = arena_floats(&t->arena, shape.n_shared);

	network_take(network, NETWORK_SHARED, 0, (int32_t) shape.n_shared, shared);
	t->network = (FoldInNetwork) {
		.linear_mapping = shape.linear_mapping, .id_embeddings = shape.id_embeddings,
		.features = {shape.features[0], shape.features[1]}, .n_shared = shape.n_shared, .shared = shared,
		.n_types = t->scene.graph.n_types, .predicted = t->scene.graph.predicted
	};
	memcpy(t->network.type_weights, t->scene.graph.type_weights, sizeof(t->network.type_weights));
}

/* All nodes of one kind, with their lists. */
static void
fill_batch(Inductive *t, int32_t first, int32_t n, int32_t first_neighbour, int32_t n_neighbours)
{
	const Graph *graph = &t->scene.graph;
	const Network *network = encoder_network(t->training);
	int			numbers = network_state_numbers(&t->scene.options);
	int64_t		start = graph->offsets[first];
	int64_t		entries = graph->offsets[first + n] - start;
	int64_t    *offsets = arena_allocate(&t->arena, (size_t) n + 1, sizeof(int64_t));
	int32_t    *neighbours = arena_allocate(&t->arena, entries, sizeof(int32_t));
	float	   *states = arena_floats(&t->arena, (size_t) n_neighbours * numbers);

	for (int32_t i = 0; i <= n; i++)
		offsets[i] = graph->offsets[first + i] - start;
	for (int64_t e = 0; e < entries; e++)
		neighbours[e] = graph->neighbours[start + e] - first_neighbour;
	for (int32_t i = 0; i < n_neighbours; i++)
		network_state_take(network, first_neighbour + i, states + (size_t) i * numbers);
	for (int32_t i = 0; i < n; i++)
		t->degrees[i] = (int32_t) graph_predicted_degree(graph, first + i);
	t->batch = (FoldInBatch) {
		.n_nodes = n, .offsets = offsets, .neighbours = neighbours, .n_rows = n_neighbours,
		.rows = t->result.vectors + (size_t) first_neighbour * t->result.width, .states = states,
		.weights = graph->weights == NULL ? NULL : graph->weights + start,
		.types = graph->types == NULL ? NULL : graph->types + start,
		.features = first == 0 ? t->scene.users : t->scene.objects,
		.own_states = arena_floats(&t->arena, (size_t) n * numbers)
	};
}

/* The scene's graph, options and features are set. */
static void
open_inductive(Inductive *t, bool of_objects)
{
	int32_t		first = of_objects ? USERS : 0;
	int32_t		n = of_objects ? OBJECTS : USERS;

	run_training(t);
	keep_network(t);
	fill_batch(t, first, n, USERS - first, USERS + OBJECTS - n);
	t->stored = t->result.vectors + (size_t) first * t->result.width;
	t->fold = (FoldIn) {
		.core = &t->host.core, .options = &t->scene.options, .width = t->result.width, .of_objects = of_objects,
		.n_sample = OBJECTS, .sample = t->result.vectors + (size_t) USERS * t->result.width, .network = &t->network
	};
	t->vectors = arena_floats(&t->arena, (size_t) n * t->result.width);
	assert_int_equal(fold_in_calibrate(&t->fold, n, t->stored, t->degrees), CORE_OK);
	assert_int_equal(fold_in(&t->fold, &t->batch, t->vectors), CORE_OK);
	assert_true(vectors_finite(t->vectors, (size_t) n * t->result.width));
}

static void
close_inductive(Inductive *t)
{
	arena_close(&t->arena);
	host_assert_clean(&t->host);
	close_scene(&t->scene);
}

static void
open_graph(Inductive *t, bool weighted, bool typed)
{
	memset(t, 0, sizeof(*t));
	open_scene(&t->scene, USERS, OBJECTS, 1500, weighted);
	if (typed)
		sample_types(&t->scene.arena, 3, &t->scene.graph);
	t->scene.options.validation_fraction = 0;
}

/* Least and mean cosine with what the training gave, of nodes that have a neighbour. */
static void
compare(const Inductive *t, double *least, double *mean)
{
	int32_t		n = 0;

	*least = 1;
	*mean = 0;
	for (int32_t i = 0; i < t->batch.n_nodes; i++)
		if (t->batch.offsets[i] < t->batch.offsets[i + 1])
		{
			double		cosine = vectors_cosine(t->vectors + (size_t) i * t->fold.width,
												t->stored + (size_t) i * t->fold.width, t->scene.options.dimension);

			*least = fmin(*least, cosine);
			*mean += cosine;
			n++;
		}
	*mean /= n;
}

/* Every rule, both sides, weighted and typed edges. */
static void
test_same_without_ids(void **state)
{
	(void) state;
	for (int i = 0; i < 3 * 3 * 2 * 2 * 2; i++)
	{
		Inductive	t;
		double		least;
		double		mean;
		float		neighbours[NETWORK_STATE_DEGREES];

		open_graph(&t, i / 18 % 2 == 1, i / 36 % 2 == 1);
		add_features(&t.scene, true, true);
		t.scene.options.id_embeddings = false;
		t.scene.options.routing = (RoutingRule) (i % 3);
		t.scene.options.attention = (AttentionRule) (i / 3 % 3);
		t.scene.options.keep_lengths = i % 2 == 0;
		t.scene.options.layer_mean = i % 5 == 0;
		open_inductive(&t, i / 9 % 2 == 1);
		compare(&t, &least, &mean);
		assert_true(least > 0.9999);
		/* and whoever is folded in can be folded into */
		network_state_take(encoder_network(t.training), t.fold.of_objects ? USERS : 0,
						   arena_floats(&t.arena, network_state_numbers(&t.scene.options)));
		memcpy(neighbours, t.batch.own_states, sizeof(neighbours));
		assert_close(neighbours[1], t.degrees[0], 1e-6);
		close_inductive(&t);
	}
}

/* Users in blocks, whose features tell the block. */
#define BLOCKS 4

static void
open_blocks(Inductive *t)
{
	memset(t, 0, sizeof(*t));
	open_empty_scene(&t->scene);
	sample_block_graph(&t->scene.arena, USERS, OBJECTS, BLOCKS, 6, 1, &t->scene.graph);
	set_short_options(&t->scene);
	add_features(&t->scene, true, false);
	for (int i = 0; i < USERS; i++)
		for (int j = 0; j < t->scene.user_features.columns; j++)
			t->scene.user_features.values[i * t->scene.user_features.columns + j] = i % BLOCKS == j ? 2 : -0.5f;
	t->scene.options.epochs = 10;
	t->scene.options.validation_fraction = 0;
	open_inductive(t, false);
}

/* Mean cosine after folding in with the features of the user so many places on. */
static double
cosine_with_features(Inductive *t, int shift)
{
	Features	moved = t->scene.user_features;
	size_t		n = (size_t) moved.rows * moved.columns;
	double		sum = 0;

	moved.values = arena_floats(&t->arena, n);
	for (size_t i = 0; i < n; i++)
		moved.values[i] = t->scene.user_features.values[(i + (size_t) shift * moved.columns) % n];
	t->batch.features = &moved;
	assert_int_equal(fold_in(&t->fold, &t->batch, t->vectors), CORE_OK);
	for (int i = 0; i < USERS; i++)
		sum += vectors_cosine(t->vectors + (size_t) i * t->fold.width, t->stored + (size_t) i * t->fold.width,
							  t->scene.options.dimension);
	return sum / USERS;
}

/* With IDs and features, a user of the training comes near his own vector; without edges by his features alone, and
 * not by another's. */
static void
test_near_with_features(void **state)
{
	static const int64_t no_edges[USERS + 1];
	Inductive	t;
	double		own;

	(void) state;
	open_blocks(&t);
	own = cosine_with_features(&t, 0);
	assert_true(own > 0.95);
	t.batch.offsets = no_edges;
	own = cosine_with_features(&t, 0);
	assert_true(own > 0.5);
	assert_true(own > cosine_with_features(&t, 1) + 0.3);
	close_inductive(&t);
}

/* Without a neighbour the features decide: the training's own vector when it has no IDs; none without features. */
static void
test_features_alone(void **state)
{
	(void) state;
	for (int with_features = 0; with_features < 2; with_features++)
	{
		Inductive	t;
		const float *last;

		open_graph(&t, false, false);
		add_features(&t.scene, with_features, with_features);
		t.scene.options.id_embeddings = !with_features;
		open_inductive(&t, false);
		last = t.vectors + (size_t) (USERS - 1) * t.fold.width;
		assert_int_equal(t.batch.offsets[USERS - 1], t.batch.offsets[USERS]);
		if (with_features)
			assert_true(vectors_cosine(last, t.stored + (size_t) (USERS - 1) * t.fold.width,
									   t.scene.options.dimension) > 0.9999);
		for (int d = 0; d < t.fold.width && !with_features; d++)
			assert_true(last[d] == 0);
		close_inductive(&t);
	}
}

/* IDs alone: nearer than by stored vectors, on the same training. */
static void
test_nearer_than_vectors(void **state)
{
	Inductive	t;
	double		least;
	double		by_network;
	double		by_vectors;

	(void) state;
	open_graph(&t, false, false);
	t.scene.options.epochs = 8;
	open_inductive(&t, false);
	compare(&t, &least, &by_network);
	for (int32_t i = 0; i < OBJECTS; i++)
		t.degrees[i] = (int32_t) graph_degree(&t.scene.graph, USERS + i);
	t.batch.degrees = t.degrees;
	t.fold.network = NULL;
	assert_int_equal(fold_in(&t.fold, &t.batch, t.vectors), CORE_OK);
	compare(&t, &least, &by_vectors);
	assert_true(by_network > 0.8);
	assert_true(by_network > by_vectors);
	close_inductive(&t);
}

/* Numbers of another network are refused. */
static void
test_other_network(void **state)
{
	Inductive	t;

	(void) state;
	open_graph(&t, false, false);
	add_features(&t.scene, true, false);
	open_inductive(&t, false);
	t.network.n_shared--;
	assert_int_equal(fold_in(&t.fold, &t.batch, t.vectors), CORE_INVALID);
	close_inductive(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_same_without_ids),
		cmocka_unit_test(test_near_with_features),
		cmocka_unit_test(test_features_alone),
		cmocka_unit_test(test_nearer_than_vectors),
		cmocka_unit_test(test_other_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
