/*
 * test_encoder_time.c
 *		The estimate of a training's time: its parts, its memory, and how it ends early.
 */
#include "scene.h"

#include <math.h>

#include "core/encoder_time.h"

/* An estimate in a host of its own. */
typedef struct Estimate
{
	TestHost	host;
	EncoderTime time;
	CoreStatus	status;
} Estimate;

static void
run_estimate(Estimate *estimate, const Scene *scene, size_t memory_limit, int64_t stop_at)
{
	host_open(&estimate->host, 2);
	estimate->host.core.memory_limit = memory_limit;
	estimate->host.stop_at = stop_at;
	estimate->status = encoder_time(&estimate->host.core, &scene->graph, scene->users, scene->objects,
									&scene->options, &estimate->time);
	host_assert_clean(&estimate->host);
}

/* EncoderObserver.pause: only counts. */
static bool
count_step(void *data)
{
	++*(int64_t *) data;
	return false;
}

/* Steps that a training really takes. */
static int64_t
steps_of_training(const Scene *scene)
{
	int64_t		steps = 0;
	const EncoderObserver observer = {.pause = count_step, .data = &steps};
	EncoderTraining *training;
	TestHost	host;
	Arena		arena;
	bool		finished;

	host_open(&host, 1);
	arena_open(&arena, &host.core);
	training = encoder_open(&host.core, &arena, &scene->graph, scene->users, scene->objects, &scene->options, false);
	assert_non_null(training);
	assert_int_equal(encoder_run(training, &observer, &finished), CORE_OK);
	assert_true(finished);
	arena_close(&arena);
	host_assert_clean(&host);
	return steps;
}

static void
parts_add_up(void **state)
{
	for (int epochs = 0; epochs < 3; epochs++)
	{
		Scene		scene;
		Estimate	estimate;
		const EncoderTime *time = &estimate.time;

		(void) state;
		open_scene(&scene, 300, 200, 4000, epochs == 1);
		add_features(&scene, epochs == 2, epochs == 2);
		scene.options.epochs = epochs;
		scene.options.batch_size = 700;
		scene.options.validation_fraction = 0;
		run_estimate(&estimate, &scene, 0, 0);
		assert_int_equal(estimate.status, CORE_OK);
		assert_int_equal(time->steps, steps_of_training(&scene));
		assert_true(time->start > 0 && time->finish > 0 && (time->step > 0) == (epochs > 0));
		assert_true(time->epoch_end == 0);
		assert_close(time->seconds, time->start + time->steps * time->step + time->finish, 1e-9);
		close_scene(&scene);
	}
}

/* What comes after an epoch costs something when edges are held out. */
static void
validation_counts(void **state)
{
	Scene		scene;
	Estimate	estimate;

	(void) state;
	open_scene(&scene, 300, 200, 4000, false);
	scene.options.validation_fraction = 0.2f;
	run_estimate(&estimate, &scene, 0, 0);
	assert_int_equal(estimate.status, CORE_OK);
	assert_true(estimate.time.epoch_end > 0);
	close_scene(&scene);
}

/* A large graph is sampled, by less where little memory is allowed; by nothing in the end. */
static void
sample_fits(void **state)
{
	Scene		scene;
	Estimate	estimate;
	size_t		whole;

	(void) state;
	open_scene(&scene, 20000, 3000, 400000, true);
	add_features(&scene, true, false);
	scene.options.epochs = 1;
	scene.options.batch_size = 100000;
	whole = encoder_memory(&scene.options, scene.graph.n_users, scene.graph.n_objects, scene.graph.n_edges, -1, true,
						   scene.user_features.columns, 0, 2);
	run_estimate(&estimate, &scene, 0, 0);
	assert_int_equal(estimate.status, CORE_OK);
	assert_true(estimate.host.core.memory_peak < whole);
	assert_true(estimate.time.seconds > 0);
	run_estimate(&estimate, &scene, whole / 4, 0);
	assert_int_equal(estimate.status, CORE_OK);
	assert_true(estimate.host.core.memory_peak <= whole / 4);
	assert_true(estimate.time.seconds > 0);
	run_estimate(&estimate, &scene, 10000, 0);
	assert_int_equal(estimate.status, CORE_OK);
	assert_true(isnan(estimate.time.seconds));
	close_scene(&scene);
}

/* Where hardly anybody has done what is to be predicted, the sample has some who have. */
static void
rare_behaviours_are_sampled(void **state)
{
	Scene		scene;
	Estimate	estimate;
	int32_t		buyer = 1000;
	int32_t		drawn;

	(void) state;
	open_scene(&scene, 40000, 3000, 650000, false);
	sample_types(&scene.arena, 3, &scene.graph);
	/* the one who has done it is not among those at even distances */
	drawn = (int32_t) (scene.graph.n_users * 300000.0 / scene.graph.n_edges);
	assert_true(drawn < scene.graph.n_users * 3 / 4);
	for (int32_t i = 0; i < drawn; i++)
		buyer += buyer == (int32_t) ((int64_t) scene.graph.n_users * i / drawn);
	for (int32_t user = 0; user < scene.graph.n_users; user++)
		for (int64_t e = scene.graph.offsets[user]; e < scene.graph.offsets[user + 1]; e++)
			scene.graph.types[e] = scene.graph.types[scene.graph.reverse[e]] = user == buyer ? 5 : 1;
	scene.options.epochs = 1;
	scene.options.batch_size = 100000;
	run_estimate(&estimate, &scene, 0, 0);
	assert_int_equal(estimate.status, CORE_OK);
	assert_true(estimate.time.seconds > 0);
	close_scene(&scene);
}

static void
stops_when_asked(void **state)
{
	Scene		scene;
	Estimate	estimate;

	(void) state;
	open_scene(&scene, 300, 200, 4000, false);
	for (int64_t look = 1; look < 100; look += 9)
	{
		run_estimate(&estimate, &scene, 0, look);
		assert_int_equal(estimate.status, CORE_STOPPED);
	}
	close_scene(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_add_up),
		cmocka_unit_test(validation_counts),
		cmocka_unit_test(sample_fits),
		cmocka_unit_test(rare_behaviours_are_sampled),
		cmocka_unit_test(stops_when_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
