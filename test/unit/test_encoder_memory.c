/*
 * test_encoder_memory.c
 *		The memory that a training takes, against the estimate made before it.
 */
#include "scene.h"

#include <math.h>
#include <string.h>

/* The estimate counts all that a training holds at its peak, the graph included. */
static void
assert_estimate_is_close(const Scene *scene, int threads)
{
	Run			run;
	size_t		features = 0;
	double		needed;
	double		estimate;

	train(&run, scene, threads, NULL, NULL);
	assert_int_equal(run.status, CORE_OK);
	if (scene->users != NULL)
		features += (size_t) scene->users->rows * scene->users->columns * sizeof(float);
	if (scene->objects != NULL)
		features += (size_t) scene->objects->rows * scene->objects->columns * sizeof(float);
	needed = (double) run.host.core.memory_peak + features +
		(scene->graph.n_nodes + 1) * sizeof(int64_t) +
		2.0 * scene->graph.n_edges * ((scene->graph.weights != NULL ? 12 : 8) + (scene->graph.types != NULL));
	estimate = (double) encoder_memory(&scene->options, scene->graph.n_users, scene->graph.n_objects,
									   scene->graph.n_edges,
									   scene->graph.types == NULL ? -1 : graph_predicted_edges(&scene->graph),
									   scene->graph.weights != NULL,
									   scene->users != NULL ? scene->users->columns : 0,
									   scene->objects != NULL ? scene->objects->columns : 0, threads);
	if (fabs(estimate / needed - 1) > 0.1)
		fail_msg("%d users, %d edges, dimension %d, routing %d, attention %d, mapping %d, full %d, ids %d, "
				 "spectral %d, epochs %d, threads %d: needs %.0f, estimate %.0f",
				 scene->graph.n_users, (int) scene->graph.n_edges, scene->options.dimension,
				 scene->options.routing, scene->options.attention, scene->options.mapping,
				 scene->options.full_gradient, scene->options.id_embeddings, scene->options.spectral_start,
				 scene->options.epochs, threads, needed, estimate);
	close_run(&run);
}

static void
memory_is_as_estimated(void **state)
{
	const struct
	{
		int32_t		n_users;
		int32_t		n_objects;
		int64_t		interactions;
	}			sizes[] = {{2000, 500, 8000}, {300, 3000, 40000}, {5000, 5000, 9000}, {500, 400, 60000}};

	(void) state;
	for (int i = 0; i < 40; i += sweep_stride())
	{
		Scene		scene;
		uint64_t	turn = random_bits(7, RANDOM_TEST, i);

		open_scene(&scene, sizes[i % 4].n_users, sizes[i % 4].n_objects, sizes[i % 4].interactions, turn & 1);
		if (turn >> 50 & 1)
			sample_types(&scene.arena, turn, &scene.graph);
		scene.options.epochs = i % 8 == 7 ? 0 : 1 + (turn >> 49 & 1);
		scene.options.factors = 1 << turn / 2 % 4;
		scene.options.dimension = (int) (16 + 16 * (turn / 8 % 3));
		scene.options.layers = 1 + turn / 32 % 3;
		scene.options.routing_iterations = 1 + turn / 128 % 3;
		scene.options.routing = turn / 512 % ROUTING_RULES;
		scene.options.attention = turn / 2048 % ATTENTION_RULES;
		scene.options.full_gradient = turn >> 40 & 1;
		scene.options.layer_mean = turn >> 50 & 1;
		scene.options.keep_lengths = turn >> 51 & 1;
		scene.options.spectral_start = turn >> 41 & 1;
		scene.options.id_embeddings = turn >> 42 & 1;
		scene.options.validation_fraction = turn >> 43 & 1 ? 0.2f : 0;
		scene.options.mapping = turn >> 44 & 1 ? MAPPING_LINEAR : MAPPING_AUTOMATIC;
		scene.options.batch_size = turn >> 45 & 1 ? 30000 : 5000;
		scene.options.negatives = turn >> 46 & 1 ? 1024 : 64;
		add_features(&scene, turn >> 47 & 1, turn >> 48 & 1);
		assert_estimate_is_close(&scene, 1 + i % 3);
		close_scene(&scene);
	}
}

/* On samples the estimate is of the largest block that may be drawn: enough, and not twice as much. */
static void
memory_on_samples_is_bounded(void **state)
{
	(void) state;
	for (int i = 0; i < 30; i += sweep_stride())
	{
		Scene		scene;
		Run			run;
		uint64_t	turn = random_bits(8, RANDOM_TEST, i);
		double		estimate;
		double		needed;

		open_scene(&scene, i % 2 ? 6000 : 3000, i % 2 ? 900 : 4000, 40000, turn & 1);
		scene.options.epochs = i % 8 == 7 ? 0 : 2;
		scene.options.epoch_steps = 15;
		scene.options.layers = 1 + turn / 32 % 3;
		scene.options.dimension = (int) (16 + 16 * (turn / 8 % 3));
		scene.options.routing = turn / 512 % 3;
		scene.options.attention = turn / 2048 % 3;
		scene.options.full_gradient = turn >> 40 & 1;
		scene.options.keep_lengths = turn >> 51 & 1;
		scene.options.spectral_start = turn >> 41 & 1;
		scene.options.validation_fraction = turn >> 43 & 1 ? 0.2f : 0;
		scene.options.mapping = turn >> 44 & 1 ? MAPPING_LINEAR : MAPPING_AUTOMATIC;
		scene.options.keep_network = turn >> 45 & 1;
		scene.options.batch_size = turn >> 46 & 1 ? 3000 : 300;
		scene.options.negatives = turn >> 47 & 1 ? 1024 : 64;
		scene.options.sampled_neighbours = 1 + turn / 4 % 8;
		train(&run, &scene, 1 + i % 3, NULL, NULL);
		assert_int_equal(run.status, CORE_OK);
		needed = (double) run.host.core.memory_peak + (scene.graph.n_nodes + 1) * sizeof(int64_t) +
			2.0 * scene.graph.n_edges * (scene.graph.weights != NULL ? 12 : 8);
		estimate = (double) encoder_memory(&scene.options, scene.graph.n_users, scene.graph.n_objects,
										   scene.graph.n_edges, -1, scene.graph.weights != NULL, 0, 0, 1 + i % 3);
		if (estimate < 0.97 * needed || estimate > 1.6 * needed)
			fail_msg("case %d: needs %.0f, estimate %.0f (%.2f)", i, needed, estimate, estimate / needed);
		close_run(&run);
		close_scene(&scene);
	}
}

/* What the estimate asks for is enough, half of it is refused with both numbers. */
static void
memory_limit_is_kept(void **state)
{
	Scene		scene;
	size_t		estimate;

	(void) state;
	open_scene(&scene, 500, 200, 4000, false);
	estimate = encoder_memory(&scene.options, scene.graph.n_users, scene.graph.n_objects,
							  scene.graph.n_edges, -1, false, 0, 0, 2);
	for (int half = 0; half < 2; half++)
	{
		Run			run;

		host_open(&run.host, 2);
		arena_open(&run.arena, &run.host.core);
		run.host.core.memory_limit = half ? estimate / 2 : estimate;
		encoder_train(&run.host.core, &run.arena, &scene.graph, NULL, NULL, &scene.options, NULL, NULL, &run.result);
		assert_int_equal(run.host.core.status, half ? CORE_OVER_LIMIT : CORE_OK);
		assert_true(run.host.core.memory_peak <= run.host.core.memory_limit);
		if (half)
			assert_non_null(strstr(run.host.core.detail, "are allowed"));
		close_run(&run);
	}
	close_scene(&scene);
}

/* 30 million edges of 3 million users and 300,000 objects, the defaults. */
static void
large_graph_fits(void **state)
{
	const Graph graph = {.n_users = 3000000, .n_objects = 300000, .n_nodes = 3300000, .n_edges = 30000000};
	EncoderOptions options;

	(void) state;
	encoder_defaults(&options, &graph);
	assert_true(encoder_memory(&options, graph.n_users, graph.n_objects, graph.n_edges, -1, false, 0, 0, 2) <
				(size_t) 12 << 30);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_is_as_estimated),
		cmocka_unit_test(memory_on_samples_is_bounded),
		cmocka_unit_test(memory_limit_is_kept),
		cmocka_unit_test(large_graph_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
