/*
 * test_warm_start.c
 *		A training that begins with the network of an earlier one: without a step it gives the
 *		same vectors, and nodes that the earlier one did not know begin among their neighbours.
 */
#include "scene.h"

#include <math.h>
#include <string.h>

#include "core/network_parameters.h"
#include "core/warm_start.h"

#define KNOWN_USERS 3			/* the first of the scene; the others are new to the network that is put in */

typedef struct Opened
{
	TestHost	host;
	Arena		arena;
	EncoderTraining *training;
	EncoderResult result;
} Opened;

static void
open_training(Opened *opened, const Scene *scene, const EncoderOptions *options)
{
	memset(opened, 0, sizeof(*opened));
	host_open(&opened->host, 1);
	arena_open(&opened->arena, &opened->host.core);
	opened->training = encoder_open(&opened->host.core, &opened->arena, &scene->graph, scene->users, scene->objects,
									options, false);
	assert_non_null(opened->training);
}

static void
run_training(Opened *opened)
{
	const EncoderObserver observer = {0};
	bool		finished;

	assert_int_equal(encoder_run(opened->training, &observer, &finished), CORE_OK);
	assert_true(finished);
	assert_int_equal(encoder_finish(opened->training, &opened->arena, &opened->result), CORE_OK);
}

static void
close_training(Opened *opened)
{
	arena_close(&opened->arena);
	host_assert_clean(&opened->host);
}

/* Put one part of a network into a training, its nodes under the same numbers; -1 for the last `unknown`. */
static void
carry_part(Opened *from, Opened *to, WarmStart *warm, NetworkPart part, int32_t n, int32_t unknown)
{
	Network    *network = encoder_network(from->training);
	NetworkShape shape = network_shape(network);
	int			row = part == NETWORK_SHARED ? 1 : network_row_count(&shape, part);
	NetworkBlock block = {.part = part, .shape = shape, .count = n};
	int32_t    *numbers = arena_allocate(&to->arena, (size_t) n + 1, sizeof(int32_t));

	block.values = arena_floats(&to->arena, (size_t) n * row + 1);
	network_take(network, part, 0, n, block.values);
	for (int32_t i = 0; i < n; i++)
		numbers[i] = i < n - unknown ? i : -1;
	assert_int_equal(warm_start_put(warm, &block, part == NETWORK_SHARED ? NULL : numbers), CORE_OK);
}

static void
carry_network(Opened *from, Opened *to, const Scene *scene, int32_t unknown)
{
	WarmStart	warm;

	assert_int_equal(warm_start_open(&warm, &to->arena, to->training), CORE_OK);
	carry_part(from, to, &warm, NETWORK_SHARED, (int32_t) network_shape(encoder_network(from->training)).n_shared, 0);
	carry_part(from, to, &warm, NETWORK_USERS, scene->graph.n_users, unknown);
	carry_part(from, to, &warm, NETWORK_OBJECTS, scene->graph.n_objects, 0);
	assert_int_equal(warm_start_end(&warm), CORE_OK);
}

/* Train, carry the network over, and propagate without a step. */
static void
assert_vectors_stay(const Scene *scene)
{
	EncoderOptions options = scene->options;
	Opened		first;
	Opened		second;

	open_training(&first, scene, &options);
	run_training(&first);
	options.epochs = 0;
	options.warm_start = true;
	open_training(&second, scene, &options);
	carry_network(&first, &second, scene, 0);
	run_training(&second);
	assert_memory_equal(second.result.vectors, first.result.vectors, vector_bytes(scene));
	close_training(&second);
	close_training(&first);
}

static void
vectors_stay_without_a_step(void **state)
{
	Scene		scene;

	(void) state;
	open_scene(&scene, 60, 20, 400, false);
	assert_vectors_stay(&scene);
	add_features(&scene, true, true);
	scene.options.attention = ATTENTION_ADDITIVE;
	assert_vectors_stay(&scene);
	close_scene(&scene);
}

static void
newcomers_begin_among_their_neighbours(void **state)
{
	Scene		scene;
	Opened		first;
	Opened		second;
	const Network *network;
	const float *ids;

	(void) state;
	open_scene(&scene, 60, 20, 400, false);
	open_training(&first, &scene, &scene.options);
	scene.options.warm_start = true;
	open_training(&second, &scene, &scene.options);
	carry_network(&first, &second, &scene, 60 - KNOWN_USERS);
	network = encoder_network(second.training);
	ids = network->parameters + network->layout.id_embeddings;
	for (int32_t v = KNOWN_USERS; v < scene.graph.n_users; v++)
	{
		double		product = 0;
		double		lengths[2] = {0, 0};
		int64_t		begin = network->graph->offsets[v];
		int64_t		end = network->graph->offsets[v + 1];

		for (int i = 0; i < network->width; i++)
		{
			double		own = ids[(size_t) v * network->width + i];
			double		sum = 0;

			for (int64_t e = begin; e < end; e++)
				sum += ids[(size_t) network->graph->neighbours[e] * network->width + i];
			product += own * sum;
			lengths[0] += own * own;
			lengths[1] += sum * sum;
		}
		if (begin < end)
			assert_close(product / sqrt(lengths[0] * lengths[1]), 1, 1e-5);
	}
	close_training(&second);
	close_training(&first);
	close_scene(&scene);
}

static void
other_networks_are_refused(void **state)
{
	Scene		scene;
	Opened		opened;
	WarmStart	warm;
	NetworkBlock block = {.part = NETWORK_SHARED};

	(void) state;
	open_scene(&scene, 60, 20, 400, false);
	scene.options.warm_start = true;
	open_training(&opened, &scene, &scene.options);
	block.shape = network_shape(encoder_network(opened.training));
	block.shape.dimension *= 2;
	assert_int_equal(warm_start_open(&warm, &opened.arena, opened.training), CORE_OK);
	assert_int_equal(warm_start_put(&warm, &block, NULL), CORE_INVALID);
	assert_non_null(strstr(opened.host.core.detail, "dimension"));
	close_training(&opened);
	close_scene(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(vectors_stay_without_a_step),
		cmocka_unit_test(newcomers_begin_among_their_neighbours),
		cmocka_unit_test(other_networks_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
