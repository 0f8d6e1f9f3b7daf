/*
 * test_encoder_limits.c
 *		Training on odd graphs, with options at and beyond their ends, without memory, and
 *		when the host wants it to stop.
 */
#include "scene.h"

#include <math.h>
#include <string.h>

/* ---- odd graphs ------------------------------------------------------------------------------------ */

/* Every rule on one graph: whatever comes out is sound. */
static void
assert_every_rule_is_sound(Scene *scene)
{
	for (int i = 0; i < RULE_PAIRS * 2 * 2; i += sweep_stride())
	{
		Run			run;

		scene->options.routing = i % ROUTING_RULES;
		scene->options.attention = i / ROUTING_RULES % ATTENTION_RULES;
		scene->options.mapping = i / 9 % 2 ? MAPPING_LINEAR : MAPPING_IDENTITY;
		scene->options.loss = i / 18;
		scene->options.full_gradient = i % 2;
		scene->options.spectral_start = i / 2 % 2;
		train(&run, scene, 1 + i % 2, NULL, NULL);
		assert_vectors_are_sound(scene, &run);
		close_run(&run);
	}
	close_scene(scene);
}

static void
one_object_of_all_users(void **state)
{
	Scene		scene;
	int32_t		pairs[40][2];

	(void) state;
	for (int i = 0; i < 40; i++)
	{
		pairs[i][0] = i;
		pairs[i][1] = 0;
	}
	open_scene_of_pairs(&scene, 40, 1, pairs, 40);
	assert_every_rule_is_sound(&scene);
	open_scene_of_pairs(&scene, 40, 3, pairs, 40);	/* and two that nobody has */
	assert_every_rule_is_sound(&scene);
}

static void
one_edge(void **state)
{
	Scene		scene;
	const int32_t pairs[1][2] = {{0, 0}};

	(void) state;
	open_scene_of_pairs(&scene, 1, 1, pairs, 1);
	assert_every_rule_is_sound(&scene);
}

static void
users_and_objects_without_edges(void **state)
{
	Scene		scene;
	const int32_t pairs[4][2] = {{3, 2}, {3, 4}, {5, 2}, {7, 4}};

	(void) state;
	open_scene_of_pairs(&scene, 30, 20, pairs, 4);
	assert_every_rule_is_sound(&scene);
}

static void
user_with_all_objects(void **state)
{
	Scene		scene;
	int32_t		pairs[60][2];

	(void) state;
	for (int i = 0; i < 60; i++)
	{
		pairs[i][0] = i / 20;
		pairs[i][1] = i % 20;
	}
	open_scene_of_pairs(&scene, 3, 20, pairs, 60);
	assert_every_rule_is_sound(&scene);
}

static void
weights_that_are_mostly_zero(void **state)
{
	const int32_t pairs[6][2] = {{0, 0}, {0, 1}, {1, 1}, {2, 2}, {2, 0}, {3, 2}};
	const float weights[6] = {0, 0, 1e-20f, 0, 1e20f, 0};

	(void) state;
	for (int share = 0; share < 2; share++)
	{
		const float nothing[6] = {0};
		Scene		scene;

		open_empty_scene(&scene);
		sample_graph_of_pairs(&scene.arena, 4, 3, pairs, share ? weights : nothing, 6, &scene.graph);
		set_short_options(&scene);
		assert_every_rule_is_sound(&scene);
	}
}

static void
features_of_every_kind_of_node(void **state)
{
	(void) state;
	for (int i = 0; i < 6; i++)
	{
		Scene		scene;

		open_scene(&scene, 60, 25, 300, i & 1);
		scene.options.id_embeddings = i < 3;
		add_features(&scene, i % 3 != 1, i % 3 != 0);
		assert_every_rule_is_sound(&scene);
	}
}

static void
graph_without_edges_is_refused(void **state)
{
	(void) state;
	for (int epochs = 0; epochs < 2; epochs++)
	{
		Scene		scene;
		Run			run;

		open_scene_of_pairs(&scene, 3, 3, NULL, 0);
		scene.options.epochs = epochs;
		train(&run, &scene, 1, NULL, NULL);
		assert_int_equal(run.status, CORE_INVALID);
		assert_non_null(strstr(run.host.core.detail, "no edges"));
		close_run(&run);
		close_scene(&scene);
	}
}

/* ---- options ------------------------------------------------------------------------------------------ */

/* The detail starts with the option's name. */
static void
assert_refused(const EncoderOptions *options, const char *name)
{
	Core		core;

	core_open_standalone(&core, 1);
	assert_int_equal(encoder_check(&core, options), CORE_INVALID);
	if (strncmp(core.detail, name, strlen(name)) != 0)
		fail_msg("expected a complaint about %s, got: %s", name, core.detail);
}

#define ASSERT_RANGE(field, below, above) \
	do { \
		EncoderOptions options = scene.options; \
		options.field = below; \
		assert_refused(&options, #field); \
		options.field = above; \
		assert_refused(&options, #field); \
	} while (0)

#define ASSERT_ENDS_ACCEPTED(field, lowest, highest) \
	do { \
		EncoderOptions options = scene.options; \
		options.field = lowest; \
		assert_int_equal(encoder_check(&scene.host.core, &options), CORE_OK); \
		options.field = highest; \
		assert_int_equal(encoder_check(&scene.host.core, &options), CORE_OK); \
	} while (0)

#define ASSERT_NAN_REFUSED(field) \
	do { \
		EncoderOptions options = scene.options; \
		options.field = NAN; \
		assert_refused(&options, #field); \
	} while (0)

/* Whatever the size of the graph, its defaults are in range. */
static void
defaults_are_accepted(void **state)
{
	(void) state;
	for (int64_t edges = 1; edges <= INT64_C(1000000000); edges *= 10)
	{
		Core		core;
		Graph		graph = {.n_edges = edges};
		EncoderOptions options;

		core_open_standalone(&core, 1);
		encoder_defaults(&options, &graph);
		assert_int_equal(encoder_check(&core, &options), CORE_OK);
	}
}

static void
options_out_of_range_are_named(void **state)
{
	Scene		scene;

	(void) state;
	open_scene(&scene, 10, 10, 50, false);
	ASSERT_RANGE(dimension, 0, 1025);
	ASSERT_RANGE(factors, 0, 33);
	ASSERT_RANGE(layers, 0, 9);
	ASSERT_RANGE(routing_iterations, 0, 9);
	ASSERT_RANGE(routing_temperature, 0, 101);
	ASSERT_RANGE(attention_width, 0, 257);
	ASSERT_RANGE(neighbour_scale, 0, 1e4f);
	ASSERT_RANGE(epochs, -1, 10001);
	ASSERT_RANGE(batch_size, 0, (1 << 20) + 1);
	ASSERT_RANGE(negatives, 0, 65537);
	ASSERT_RANGE(learning_rate, 0, 11);
	ASSERT_RANGE(temperature, 0, 11);
	ASSERT_RANGE(initial_deviation, 0, 101);
	ASSERT_RANGE(spectral_power, -0.1f, 4.1f);
	ASSERT_RANGE(spectral_noise, -0.1f, 1.1f);
	ASSERT_RANGE(adam_beta2, 0.4f, 1);
	ASSERT_RANGE(initial_bias, -1, 11);
	ASSERT_RANGE(weight_decay, -1, 2);
	ASSERT_RANGE(patience, -1, 10001);
	ASSERT_RANGE(validation_fraction, -0.1f, 0.6f);
	ASSERT_ENDS_ACCEPTED(temperature, 0.02f, 10);
	ASSERT_ENDS_ACCEPTED(learning_rate, 1e-6f, 10);
	ASSERT_ENDS_ACCEPTED(initial_deviation, 1e-4f, 100);
	ASSERT_ENDS_ACCEPTED(neighbour_scale, 1e-3f, 1e3f);
	ASSERT_ENDS_ACCEPTED(adam_beta2, 0.5f, 0.9999f);
	ASSERT_NAN_REFUSED(routing_temperature);
	ASSERT_NAN_REFUSED(learning_rate);
	ASSERT_NAN_REFUSED(validation_fraction);
	scene.options.factors = 3;
	assert_refused(&scene.options, "dimension 16 is not a multiple of factors 3");
	close_scene(&scene);
}

/* ---- failures -------------------------------------------------------------------------------------------- */

static CoreStatus
train_scene(Core *core, Arena *arena, void *argument)
{
	const Scene *scene = argument;
	EncoderResult result;

	encoder_train(core, arena, &scene->graph, scene->users, scene->objects, &scene->options, NULL, NULL, &result);
	if (core->status != CORE_OK)
		assert_null(result.vectors);
	return core->status;
}

/* No memory and requests to stop at any point: all given back, no thread left. */
static void
training_survives_every_failure(void **state)
{
	(void) state;
	for (int i = 0; i < 2; i++)
	{
		Scene		scene;

		open_scene(&scene, 40, 20, 200, true);
		scene.options.epochs = 1;
		scene.options.dimension = 8;
		scene.options.batch_size = 64;
		if (i == 1)
		{
			scene.options.attention = ATTENTION_ADDITIVE;
			scene.options.full_gradient = true;
			scene.options.spectral_start = false;
			add_features(&scene, true, true);
		}
		scenario_survives(train_scene, &scene, 7);
		close_scene(&scene);
	}
}

typedef struct Watch
{
	TestHost	host;			/* first: what memory functions get is this struct */
	const char *phase;
	int64_t		done;
	int			phases;
} Watch;

static bool
watch_progress(void *data, const CoreProgress *progress)
{
	Watch	   *watch = data;

	if (progress->phase == NULL)	/* before the first report */
		return false;
	if (progress->phase != watch->phase)
	{
		watch->phase = progress->phase;
		watch->phases++;
		watch->done = 0;
	}
	assert_true(progress->done >= watch->done);
	assert_true(progress->total == 0 || progress->done <= progress->total);
	watch->done = progress->done;
	return false;
}

static void
progress_never_goes_back(void **state)
{
	Scene		scene;
	Watch		watch = {0};
	Arena		arena;
	EncoderResult result;

	(void) state;
	open_scene(&scene, 100, 40, 800, false);
	scene.options.patience = 0;
	scene.options.batch_size = 100;
	host_open(&watch.host, 1);
	watch.host.core.host.progress = watch_progress;
	arena_open(&arena, &watch.host.core);
	encoder_train(&watch.host.core, &arena, &scene.graph, NULL, NULL, &scene.options, NULL, NULL, &result);
	assert_int_equal(watch.host.core.status, CORE_OK);
	assert_string_equal(watch.phase, "training");
	assert_int_equal(watch.phases, 2);	/* after the spectral start */
	assert_int_equal(watch.host.core.progress.done, watch.host.core.progress.total);
	arena_close(&arena);
	close_scene(&scene);
}

/* As fast and as hot as the options allow: an error, or numbers; never a NaN. */
static void
wild_options_never_give_a_nan(void **state)
{
	int			failed = 0;

	(void) state;
	for (int i = 0; i < RULE_PAIRS * 2 * 2; i += sweep_stride())
	{
		Scene		scene;
		Run			run;

		open_scene(&scene, 60, 25, 400, i & 1);
		scene.options.routing = i % ROUTING_RULES;
		scene.options.attention = i / ROUTING_RULES % ATTENTION_RULES;
		scene.options.loss = i / RULE_PAIRS % 2;
		scene.options.mapping = i / RULE_PAIRS / 2 ? MAPPING_LINEAR : MAPPING_IDENTITY;
		scene.options.full_gradient = true;
		scene.options.epochs = 20;
		scene.options.learning_rate = 10;
		scene.options.temperature = 0.02f;
		scene.options.routing_temperature = 0.05f;
		scene.options.neighbour_scale = 1000;
		scene.options.initial_bias = 10;
		scene.options.initial_deviation = 100;
		scene.options.weight_decay = 1;
		train(&run, &scene, 1, NULL, NULL);
		if (run.status == CORE_OK)
			assert_vectors_are_sound(&scene, &run);
		else
		{
			failed++;
			if (run.status != CORE_DIVERGED)
				fail_msg("status %d: %s", (int) run.status, run.host.core.detail);
			assert_null(run.result.vectors);
			assert_true(strlen(run.host.core.detail) > 0);
		}
		close_run(&run);
		close_scene(&scene);
	}
	print_message("%d of 36 diverged\n", failed);
}

static void
numbers_that_overflow_are_reported(void **state)
{
	Scene		scene;
	Run			run;

	(void) state;
	open_scene(&scene, 60, 25, 400, false);
	add_features(&scene, true, false);
	for (int32_t i = 0; i < 60 * 5; i++)
		scene.user_features.values[i] = INFINITY;
	for (int epochs = 0; epochs < 2; epochs++)
	{
		scene.options.epochs = epochs;
		train(&run, &scene, 2, NULL, NULL);
		assert_int_equal(run.status, CORE_DIVERGED);
		assert_null(run.result.vectors);
		assert_true(strlen(run.host.core.detail) > 0);
		close_run(&run);
	}
	close_scene(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_object_of_all_users),
		cmocka_unit_test(one_edge),
		cmocka_unit_test(users_and_objects_without_edges),
		cmocka_unit_test(user_with_all_objects),
		cmocka_unit_test(weights_that_are_mostly_zero),
		cmocka_unit_test(features_of_every_kind_of_node),
		cmocka_unit_test(graph_without_edges_is_refused),
		cmocka_unit_test(defaults_are_accepted),
		cmocka_unit_test(options_out_of_range_are_named),
		cmocka_unit_test(training_survives_every_failure),
		cmocka_unit_test(progress_never_goes_back),
		cmocka_unit_test(wild_options_never_give_a_nan),
		cmocka_unit_test(numbers_that_overflow_are_reported),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
