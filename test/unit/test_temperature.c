/*
 * test_temperature.c
 *		The temperature that short trainings choose: what they look at, where it stays, and that the training
 *		after them is the one that was given it.
 */
#include "scene.h"

#include <stdlib.h>
#include <string.h>

#include "core/encoder_checkpoint.h"
#include "core/temperature.h"

/* Three of four objects are of one's own group; the start is random, so that there is something to learn. */
static void
open_grouped_scene(Scene *scene)
{
	enum
	{
		USERS = 400, OBJECTS = 1200, GROUPS = 20, EDGES = 12
	};
	static int32_t pairs[USERS * EDGES][2];
	uint32_t	state = 7;

	for (int i = 0; i < USERS * EDGES; i++)
	{
		state = state * 1664525 + 1013904223;
		pairs[i][0] = i / EDGES;
		pairs[i][1] = (int32_t) (state >> 8) % OBJECTS;
		if (i % 4 > 0)
			pairs[i][1] += i / EDGES % GROUPS - pairs[i][1] % GROUPS;
	}
	open_scene_of_pairs(scene, USERS, OBJECTS, pairs, USERS * EDGES);
	scene->options.spectral_start = false;
	scene->options.choose_temperature = true;
}

/* On a core of its own, which must give all memory back. */
static float
choose(const Scene *scene, int threads)
{
	TestHost	host;
	float		temperature = -1;

	host_open(&host, threads);
	core_start_workers(&host.core);
	assert_int_equal(temperature_choose(&host.core, &scene->graph, scene->users, scene->objects, &scene->options,
										&temperature), CORE_OK);
	core_stop_workers(&host.core);
	host_assert_clean(&host);
	return temperature;
}

/* NDCG of one short training. */
static double
pilot_ndcg(const Scene *scene, float temperature)
{
	Scene		pilot = *scene;
	Run			run;
	double		ndcg;

	pilot.options = temperature_pilot(&scene->options);
	pilot.options.temperature = temperature;
	train(&run, &pilot, 1, NULL, NULL);
	ndcg = run.result.best.ndcg_at_20;
	close_run(&run);
	return ndcg;
}

/* From a temperature that is far too low or high, to one that ranks better. */
static void
a_wrong_temperature_is_left(void **state)
{
	Scene		scene;
	const float starts[] = {0.05f, 0.7f};

	(void) state;
	open_grouped_scene(&scene);
	for (int i = 0; i < 2; i++)
	{
		float		chosen;

		scene.options.temperature = starts[i];
		chosen = choose(&scene, 1);
		assert_true(chosen >= 0.05f && chosen <= 0.71f);
		assert_true(chosen == choose(&scene, 2));
		if (chosen != starts[i])
			assert_true(pilot_ndcg(&scene, chosen) > pilot_ndcg(&scene, starts[i]));
		else
			assert_true(pilot_ndcg(&scene, i == 0 ? chosen * 1.414f : chosen / 1.414f) <
						pilot_ndcg(&scene, chosen) + 0.02);
	}
	scene.options.temperature = 0.7f;
	assert_true(choose(&scene, 1) < 0.7f);
	close_scene(&scene);
}

static void
it_stays_where_nothing_can_be_held_out(void **state)
{
	static const int32_t pairs[][2] = {{0, 0}, {0, 1}, {1, 1}, {2, 2}, {2, 0}};
	Scene		scene;

	(void) state;
	open_scene_of_pairs(&scene, 3, 3, pairs, 5);
	scene.options.temperature = 0.21f;
	assert_true(choose(&scene, 1) == 0.21f);
	close_scene(&scene);
}

/* The same bytes as when the caller gives what was chosen. */
static void
the_training_is_that_with_the_chosen_one(void **state)
{
	Scene		scene;
	Run			chosen;
	Run			given;

	(void) state;
	open_grouped_scene(&scene);
	scene.options.temperature = 0.7f;
	train(&chosen, &scene, 2, NULL, NULL);
	assert_true(chosen.result.temperature < 0.7f);
	scene.options.choose_temperature = false;
	scene.options.temperature = chosen.result.temperature;
	train(&given, &scene, 1, NULL, NULL);
	assert_memory_equal(chosen.result.vectors, given.result.vectors, vector_bytes(&scene));
	assert_vectors_are_sound(&scene, &chosen);
	close_run(&given);
	close_run(&chosen);
	close_scene(&scene);
}

static void
some_trainings_choose_none(void **state)
{
	EncoderOptions options = {.choose_temperature = true, .epochs = 8};

	(void) state;
	assert_true(encoder_chooses_temperature(&options));
	options.warm_start = true;
	assert_false(encoder_chooses_temperature(&options));
	options.warm_start = false;
	options.sampled_neighbours = 10;
	assert_false(encoder_chooses_temperature(&options));
	options.sampled_neighbours = 0;
	options.epochs = 0;
	assert_false(encoder_chooses_temperature(&options));
}

/* A training that is taken up again does not choose, but keeps what it had. */
static void
a_checkpoint_keeps_it(void **state)
{
	const EncoderObserver observer = {0};
	Scene		scene;
	TestHost	hosts[2];
	Arena		arenas[2];
	EncoderTraining *trainings[2];
	EncoderResult results[2];
	size_t		size;
	char	   *bytes;
	bool		finished;

	(void) state;
	open_grouped_scene(&scene);
	scene.options.temperature = 0.7f;
	for (int i = 0; i < 2; i++)
	{
		host_open(&hosts[i], 1);
		arena_open(&arenas[i], &hosts[i].core);
		trainings[i] = encoder_open(&hosts[i].core, &arenas[i], &scene.graph, NULL, NULL, &scene.options, i == 1);
		assert_non_null(trainings[i]);
	}
	size = encoder_state_size(trainings[0]);
	bytes = malloc(size);
	encoder_state_take(trainings[0], 0, size, bytes);
	encoder_state_put(trainings[1], 0, size, bytes);
	assert_int_equal(encoder_state_accept(trainings[1]), CORE_OK);
	free(bytes);
	for (int i = 0; i < 2; i++)
	{
		assert_int_equal(encoder_run(trainings[i], &observer, &finished), CORE_OK);
		assert_int_equal(encoder_finish(trainings[i], &arenas[i], &results[i]), CORE_OK);
	}
	assert_true(results[0].temperature < 0.7f);
	assert_true(results[0].temperature == results[1].temperature);
	assert_memory_equal(results[0].vectors, results[1].vectors, vector_bytes(&scene));
	for (int i = 0; i < 2; i++)
	{
		arena_close(&arenas[i]);
		host_assert_clean(&hosts[i]);
	}
	close_scene(&scene);
}

/* Where the short trainings hold more than the training itself, they are what is counted. */
static void
their_memory_is_counted(void **state)
{
	Scene		scene;
	Run			run;
	size_t		estimate;

	(void) state;
	open_grouped_scene(&scene);
	scene.options.epochs = 1;
	scene.options.validation_fraction = 0;
	scene.options.routing = ROUTING_OFF;
	estimate = encoder_memory(&scene.options, scene.graph.n_users, scene.graph.n_objects, scene.graph.n_edges,
							  -1, false, 0, 0, 1);
	train(&run, &scene, 1, NULL, NULL);
	assert_true(run.host.core.memory_peak <= 1.25 * estimate);
	close_run(&run);
	scene.options.choose_temperature = false;
	assert_true(encoder_memory(&scene.options, scene.graph.n_users, scene.graph.n_objects, scene.graph.n_edges,
							   -1, false, 0, 0, 1) < estimate);
	close_scene(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_wrong_temperature_is_left),
		cmocka_unit_test(it_stays_where_nothing_can_be_held_out),
		cmocka_unit_test(the_training_is_that_with_the_chosen_one),
		cmocka_unit_test(some_trainings_choose_none),
		cmocka_unit_test(a_checkpoint_keeps_it),
		cmocka_unit_test(their_memory_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
