/*
 * scene.c
 *		Graphs to train the encoder on, and what every result must fulfil.
 */
#include "scene.h"

#include <math.h>
#include <string.h>

void
set_short_options(Scene *scene)
{
	encoder_defaults(&scene->options, &scene->graph);
	scene->options.dimension = 16;
	scene->options.factors = 4;
	scene->options.epochs = 2;
	scene->options.negatives = 50;
	scene->options.attention_width = 8;
	scene->options.validation_fraction = 0.1f;
}

void
open_empty_scene(Scene *scene)
{
	memset(scene, 0, sizeof(*scene));
	host_open(&scene->host, 1);
	arena_open(&scene->arena, &scene->host.core);
}

void
open_scene(Scene *scene, int32_t n_users, int32_t n_objects, int64_t n_interactions, bool weighted)
{
	open_empty_scene(scene);
	sample_graph(&scene->arena, n_users, n_objects, n_interactions, weighted, 1, &scene->graph);
	set_short_options(scene);
}

void
open_scene_of_pairs(Scene *scene, int32_t n_users, int32_t n_objects, const int32_t (*pairs)[2], int64_t n)
{
	open_empty_scene(scene);
	sample_graph_of_pairs(&scene->arena, n_users, n_objects, pairs, NULL, n, &scene->graph);
	set_short_options(scene);
}

void
add_features(Scene *scene, bool users, bool objects)
{
	sample_features(&scene->arena, scene->graph.n_users, 5, 2, &scene->user_features);
	sample_features(&scene->arena, scene->graph.n_objects, 3, 3, &scene->object_features);
	scene->users = users ? &scene->user_features : NULL;
	scene->objects = objects ? &scene->object_features : NULL;
}

void
close_scene(Scene *scene)
{
	arena_close(&scene->arena);
	host_assert_clean(&scene->host);
}

void
train(Run *run, const Scene *scene, int threads, EncoderListener listener, void *listener_data)
{
	host_open(&run->host, threads);
	run->host.core.portable = scene->portable;
	arena_open(&run->arena, &run->host.core);
	run->status = encoder_train(&run->host.core, &run->arena, &scene->graph, scene->users, scene->objects,
								&scene->options, listener, listener_data, &run->result);
	assert_int_equal(run->status, run->host.core.status);
	assert_null(run->host.core.workers);
}

void
close_run(Run *run)
{
	arena_close(&run->arena);
	host_assert_clean(&run->host);
}

size_t
vector_bytes(const Scene *scene)
{
	return (size_t) scene->graph.n_nodes * (scene->options.dimension + ENCODER_EXTRA_NUMBERS) * sizeof(float);
}

void
assert_vectors_are_sound(const Scene *scene, const Run *run)
{
	int			width = run->result.width;

	if (run->status != CORE_OK)
		fail_msg("status %d: %s", (int) run->status, run->host.core.detail);
	assert_int_equal(width, scene->options.dimension + ENCODER_EXTRA_NUMBERS);
	for (int32_t v = 0; v < scene->graph.n_nodes; v++)
	{
		const float *vector = run->result.vectors + (size_t) v * width;
		double		square = 0;

		for (int i = 0; i < width; i++)
			assert_true(isfinite(vector[i]));
		for (int i = 0; i < scene->options.dimension; i++)
			square += (double) vector[i] * vector[i];
		if (square != 0 || (scene->options.id_embeddings && scene->options.routing != ROUTING_OFF))
			assert_close(square * scene->options.temperature, 1, 1e-4);
		assert_true(vector[v < scene->graph.n_users ? width - 2 : width - 1] == 1);
	}
	assert_true(isfinite(run->result.scale));
	assert_true(isfinite(run->result.offset));
}
