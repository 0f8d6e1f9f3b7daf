/*
 * test_fold_in.c
 *		Nodes folded into a training: near what the training gave them, and comparable with it.
 */
#include "scene.h"

#include <math.h>
#include <string.h>

#include "core/fold_in.h"
#include "core/vectors.h"

#define USERS 120
#define OBJECTS 40

/* A trained scene, seen from the nodes of one kind. */
typedef struct Trained
{
	Scene		scene;
	Run			run;
	FoldIn		fold;
	FoldInBatch batch;
	float	   *stored;			/* of the nodes that are folded in */
	float	   *vectors;
	int64_t		offsets[USERS + OBJECTS + 1];
	int32_t		neighbours[4000];
	int32_t		degrees[USERS + OBJECTS];
	int32_t		own_degrees[USERS + OBJECTS];
} Trained;

/* Lists of all nodes of one kind. */
static void
list_neighbours(Trained *t, int32_t first, int32_t n, int32_t first_neighbour, int32_t n_neighbours)
{
	const Graph *graph = &t->scene.graph;
	int64_t		start = graph->offsets[first];

	for (int32_t i = 0; i <= n; i++)
		t->offsets[i] = graph->offsets[first + i] - start;
	for (int64_t e = 0; e < t->offsets[n]; e++)
		t->neighbours[e] = graph->neighbours[start + e] - first_neighbour;
	for (int32_t i = 0; i < n_neighbours; i++)
		t->degrees[i] = (int32_t) graph_degree(graph, first_neighbour + i);
	for (int32_t i = 0; i < n; i++)
		t->own_degrees[i] = (int32_t) graph_degree(graph, first + i);
}

static void
open_trained(Trained *t, bool of_objects)
{
	int32_t		first = of_objects ? USERS : 0;
	int32_t		n = of_objects ? OBJECTS : USERS;
	int			width;

	memset(t, 0, sizeof(*t));
	open_scene(&t->scene, USERS, OBJECTS, 1500, false);
	t->scene.options.epochs = 8;
	t->scene.options.validation_fraction = 0;
	train(&t->run, &t->scene, 1, NULL, NULL);
	assert_int_equal(t->run.status, CORE_OK);
	width = t->run.result.width;
	list_neighbours(t, first, n, USERS - first, USERS + OBJECTS - n);
	t->stored = t->run.result.vectors + (size_t) first * width;
	t->fold = (FoldIn) {
		.core = &t->run.host.core, .options = &t->scene.options, .width = width, .of_objects = of_objects,
		.n_sample = OBJECTS, .sample = t->run.result.vectors + (size_t) USERS * width
	};
	t->batch = (FoldInBatch) {
		.n_nodes = n, .offsets = t->offsets, .neighbours = t->neighbours, .n_rows = USERS + OBJECTS - n,
		.rows = t->run.result.vectors + (size_t) (USERS - first) * width, .degrees = t->degrees
	};
	t->vectors = arena_floats(&t->run.arena, (size_t) n * width);
	assert_int_equal(fold_in_calibrate(&t->fold, n, t->stored, t->own_degrees), CORE_OK);
}

static void
close_trained(Trained *t)
{
	close_run(&t->run);
	close_scene(&t->scene);
}

/* The mean cosine with what the training gave, the numbers behind the unit vectors left out; and with
 * what it gave the next node, for comparison. */
static void
mean_cosines(const Trained *t, double *own, double *next)
{
	int			width = t->fold.width;
	int			dimension = t->scene.options.dimension;
	int32_t		n = t->batch.n_nodes;

	*own = *next = 0;
	for (int32_t i = 0; i < n; i++)
		if (t->own_degrees[i] > 0)
		{
			const float *vector = t->vectors + (size_t) i * width;

			*own += vectors_cosine(vector, t->stored + (size_t) i * width, dimension) / n;
			*next += vectors_cosine(vector, t->stored + (size_t) ((i + 1) % n) * width, dimension) / n;
		}
}

/* Nodes of the training, folded in again, come out near their own vectors; objects, which take no
 * steps of the loss, less so. */
static void
test_near_own(void **state)
{
	(void) state;
	for (int of_objects = 0; of_objects < 2; of_objects++)
	{
		Trained		t;
		double		own;
		double		next;

		open_trained(&t, of_objects);
		assert_int_equal(fold_in(&t.fold, &t.batch, t.vectors), CORE_OK);
		mean_cosines(&t, &own, &next);
		assert_true(own > (of_objects ? 0.45 : 0.75));
		assert_true(own > next + 0.3);
		close_trained(&t);
	}
}

/* Length, constants, and activities on the scale of the stored ones. */
static void
test_stored_form(void **state)
{
	Trained		t;
	double		difference = 0;

	(void) state;
	open_trained(&t, false);
	assert_int_equal(fold_in(&t.fold, &t.batch, t.vectors), CORE_OK);
	for (int32_t i = 0; i < USERS; i++)
	{
		const float *vector = t.vectors + (size_t) i * t.fold.width;
		int			dimension = t.scene.options.dimension;

		if (t.own_degrees[i] == 0)
			continue;
		assert_true(fabs(vectors_dot(vector, vector, dimension) * t.scene.options.temperature - 1) < 1e-4);
		assert_true(vector[dimension] == 1);
		difference += vector[dimension + 1] - t.stored[(size_t) i * t.fold.width + dimension + 1];
	}
	assert_true(fabs(difference / USERS) < 0.3);
	close_trained(&t);
}

/* Without a neighbour there is no direction; a node alone is as in a batch, at any number of threads. */
static void
test_alone(void **state)
{
	Trained		t;
	FoldInBatch one;
	float	   *again;
	int64_t		offsets[3];

	(void) state;
	open_trained(&t, false);
	again = arena_floats(&t.run.arena, 2 * (size_t) t.fold.width);
	assert_int_equal(fold_in(&t.fold, &t.batch, t.vectors), CORE_OK);
	one = t.batch;
	one.n_nodes = 2;
	one.offsets = offsets;
	one.neighbours = t.neighbours + t.offsets[5];
	offsets[0] = 0;
	offsets[1] = offsets[2] = t.offsets[6] - t.offsets[5];
	t.fold.core->threads = 2;
	assert_int_equal(fold_in(&t.fold, &one, again), CORE_OK);
	assert_true(vectors_cosine(again, t.vectors + 5 * (size_t) t.fold.width, t.fold.width) > 0.99999);
	for (int d = 0; d < t.fold.width; d++)
		assert_true(again[t.fold.width + d] == 0);
	close_trained(&t);
}

/* Weights that are all alike change nothing; a neighbour of weight 0 does not count. */
static void
test_weights(void **state)
{
	Trained		t;
	float	   *plain;
	float		weights[4000];
	size_t		n;

	(void) state;
	open_trained(&t, false);
	n = (size_t) USERS * t.fold.width;
	plain = arena_floats(&t.run.arena, n);
	assert_int_equal(fold_in(&t.fold, &t.batch, plain), CORE_OK);
	for (int i = 0; i < 4000; i++)
		weights[i] = 1;
	t.batch.weights = weights;
	assert_int_equal(fold_in(&t.fold, &t.batch, t.vectors), CORE_OK);
	for (size_t i = 0; i < n; i++)
		assert_true(fabsf(plain[i] - t.vectors[i]) < 1e-4f);
	for (int64_t e = t.offsets[0] + 1; e < t.offsets[1]; e++)
		weights[e] = 0;
	assert_int_equal(fold_in(&t.fold, &t.batch, t.vectors), CORE_OK);
	assert_true(vectors_cosine(t.vectors, plain, t.scene.options.dimension) < 0.9999);
	close_trained(&t);
}

/* Every rule of the network can be folded into. */
static void
test_rules(void **state)
{
	(void) state;
	for (int rule = 0; rule < ROUTING_RULES; rule++)
		for (int attention = 0; attention < ATTENTION_RULES; attention++)
		{
			Trained		t;

			open_trained(&t, false);
			t.scene.options.routing = (RoutingRule) rule;
			t.scene.options.attention = (AttentionRule) attention;
			t.scene.options.keep_lengths = attention != 1;
			assert_int_equal(fold_in(&t.fold, &t.batch, t.vectors), CORE_OK);
			assert_true(vectors_finite(t.vectors, USERS * t.fold.width));
			close_trained(&t);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_near_own),
		cmocka_unit_test(test_stored_form),
		cmocka_unit_test(test_alone),
		cmocka_unit_test(test_weights),
		cmocka_unit_test(test_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
