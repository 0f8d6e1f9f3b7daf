/*
 * test_sampled.c
 *		Training on neighbourhoods against the network over the whole graph, which the other tests check.
 *
 * Where the lists leave nothing out a block must give the same loss and the same gradients as the whole
 * graph; where they do, its own loss's differences.  Inference by pieces must give what one propagation gives.
 */
#include "scene.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/encoder_checkpoint.h"
#include "core/sampled_training.h"

#define ALL 10000				/* neighbours: more than any node has */

/* One graph, opened for training on blocks and as a whole. */
typedef struct Pair
{
	Scene		scene;
	TestHost	hosts[2];
	Arena		arenas[2];
	EncoderTraining *whole;
	EncoderTraining *sampled;
} Pair;

static EncoderTraining *
open_training(Pair *pair, int i, int neighbours)
{
	EncoderTraining *training;

	host_open(&pair->hosts[i], 1);
	arena_open(&pair->arenas[i], &pair->hosts[i].core);
	pair->scene.options.sampled_neighbours = neighbours;
	training = encoder_open(&pair->hosts[i].core, &pair->arenas[i], &pair->scene.graph, NULL, NULL,
							&pair->scene.options, false);
	assert_non_null(training);
	core_start_workers(&pair->hosts[i].core);
	return training;
}

/* Options of combination `turn`. */
static void
open_pair(Pair *pair, uint64_t turn, int neighbours)
{
	EncoderOptions *options = &pair->scene.options;

	open_scene(&pair->scene, 60, 40, 500, turn & 1);
	options->layers = 1 + turn / 2 % 3;
	options->routing = turn / 6 % 3;
	options->attention = turn / 18 % 3;
	options->mapping = turn / 54 % 2 ? MAPPING_LINEAR : MAPPING_IDENTITY;
	options->full_gradient = turn / 108 % 2;
	options->keep_lengths = turn / 216 % 2;
	options->hide_positives = turn / 432 % 2;
	options->loss = turn / 864 % 2;
	options->validation_fraction = turn / 1728 % 2 ? 0.2f : 0;
	options->batch_size = 60;
	options->negatives = 15;
	options->initial_deviation = 0.5f;
	pair->whole = open_training(pair, 0, 0);
	pair->sampled = open_training(pair, 1, neighbours);
	memcpy(pair->whole->network.parameters, pair->sampled->network.parameters,
		   pair->sampled->network.layout.total * sizeof(float));
}

static void
close_pair(Pair *pair)
{
	neighbourhood_end(&pair->sampled->sampled.neighbourhood);
	for (int i = 0; i < 2; i++)
	{
		core_stop_workers(&pair->hosts[i].core);
		arena_close(&pair->arenas[i]);
		host_assert_clean(&pair->hosts[i]);
	}
	close_scene(&pair->scene);
}

/* The entry of an edge in the users' lists. */
static int64_t
entry_of(const Graph *graph, int32_t user, int32_t object)
{
	for (int64_t e = graph->offsets[user]; e < graph->offsets[user + 1]; e++)
		if (graph->neighbours[e] == object)
			return e;
	fail_msg("no edge %d - %d", user, object);
	return -1;
}

/* Choose a batch for the blocks, and let the whole graph have the same. */
static void
choose_batch(Pair *pair)
{
	Loss	   *loss = &pair->sampled->loss;
	Loss	   *other = &pair->whole->loss;

	assert_int_equal(loss_choose(loss, 1, 0, loss->batch), CORE_OK);
	other->count = loss->count;
	for (int i = 0; i < loss->count; i++)
	{
		other->users[i] = loss->users[i];
		other->objects[i] = loss->objects[i];
		other->weights[i] = loss->weights[i];
		other->entries[i] = entry_of(other->graph, loss->users[i], loss->objects[i]);
	}
	memcpy(other->drawn, loss->drawn, loss->negatives * sizeof(int32_t));
}

/* The same number up to rounding, against numbers of the size of `scale`. */
static void
assert_near(double a, double b, double scale, uint64_t turn, const char *what)
{
	if (!(fabs(a - b) <= 2e-4 * scale))
		fail_msg("combination %d: %s is %g in the block, %g in the whole graph", (int) turn, what, a, b);
}

static double
largest(const float *numbers, size_t n)
{
	double		most = 1e-12;

	for (size_t i = 0; i < n; i++)
		most = fmax(most, fabs(numbers[i]));
	return most;
}

/* Gradients of all parameters; a node that is not in the block has none. */
static void
assert_same_gradients(const Pair *pair, uint64_t turn)
{
	const Network *whole = &pair->whole->network;
	const Network *block = &pair->sampled->sampled.block;
	const Neighbourhood *neighbourhood = &pair->sampled->sampled.neighbourhood;
	const Graph *graph = &pair->scene.graph;
	double		scale = largest(whole->gradients, whole->layout.object_bias);
	size_t		shared = network_shared_count(whole);
	double		shared_scale = largest(whole->gradients + network_shared_start(whole), shared);
	double		bias_scale = largest(whole->gradients + whole->layout.object_bias, graph->n_objects);

	for (int32_t v = 0; v < graph->n_nodes; v++)
	{
		int32_t		number = neighbourhood->numbers[v];
		bool		is_seed = number >= 0 && number < block->graph->n_nodes;

		for (int i = 0; i < whole->width; i++)
			assert_near(number < 0 ? 0 : block->gradients[(size_t) number * whole->width + i],
						whole->gradients[(size_t) v * whole->width + i], scale, turn, "a gradient of an ID embedding");
		if (v >= graph->n_users)
			assert_near(is_seed ? block->gradients[block->layout.object_bias + number - block->graph->n_users] : 0,
						whole->gradients[whole->layout.object_bias + v - graph->n_users], bias_scale, turn,
						"a gradient of a bias");
	}
	for (size_t i = 0; i < shared; i++)
		assert_near(block->gradients[network_shared_start(block) + i],
					whole->gradients[network_shared_start(whole) + i], shared_scale, turn, "a shared gradient");
}

static void
blocks_that_leave_nothing_out_are_the_whole_graph(void **state)
{
	(void) state;
	for (uint64_t turn = 0; turn < 3456; turn += 17 * sweep_stride())
	{
		Pair		pair;
		double		sums[2];

		open_pair(&pair, turn, ALL);
		choose_batch(&pair);
		if (pair.scene.options.hide_positives)
			network_hide_edges(&pair.whole->network, pair.whole->loss.entries, pair.whole->loss.count);
		assert_int_equal(network_forward(&pair.whole->network), CORE_OK);
		assert_int_equal(loss_step(&pair.whole->loss, &sums[0]), CORE_OK);
		assert_int_equal(network_backward(&pair.whole->network), CORE_OK);
		assert_int_equal(sampled_propagate(pair.sampled, &sums[1]), CORE_OK);
		assert_near(sums[1], sums[0], fabs(sums[0]), turn, "the loss");
		assert_same_gradients(&pair, turn);
		close_pair(&pair);
	}
}

/* The loss of the same batch and the same draws, the block given up. */
static double
loss_of_blocks(EncoderTraining *training)
{
	double		sum;

	training->loss.step = 3;
	assert_int_equal(loss_choose(&training->loss, 1, 0, training->loss.batch), CORE_OK);
	assert_int_equal(sampled_propagate(training, &sum), CORE_OK);
	return sum / training->loss.count;
}

/* Take the gradient of the ID embeddings to all nodes' numbers. */
static void
gather_gradient(const EncoderTraining *training, float *gradient)
{
	const Network *block = &training->sampled.block;
	const Neighbourhood *neighbourhood = &training->sampled.neighbourhood;
	size_t		width = block->width;

	memset(gradient, 0, training->graph->n_nodes * width * sizeof(float));
	for (int32_t i = 0; i < neighbourhood->n_nodes; i++)
		memcpy(gradient + neighbourhood->nodes[i] * width, block->gradients + i * width, width * sizeof(float));
}

/* The loss with the ID embeddings moved along a direction. */
static double
loss_at(EncoderTraining *training, const float *saved, const float *direction, double step)
{
	size_t		n = (size_t) training->graph->n_nodes * training->network.width;
	double		loss;

	for (size_t i = 0; i < n; i++)
		training->network.parameters[i] = (float) (saved[i] + step * direction[i]);
	loss = loss_of_blocks(training);
	neighbourhood_end(&training->sampled.neighbourhood);
	return loss;
}

/* Its derivative by differences of fourth order. */
static double
measured_derivative(EncoderTraining *training, const float *saved, const float *direction, double step)
{
	double		near = loss_at(training, saved, direction, step) - loss_at(training, saved, direction, -step);
	double		far = loss_at(training, saved, direction, 2 * step) - loss_at(training, saved, direction, -2 * step);

	return (8 * near - far) / (12 * step);
}

/* Along its gradient the loss of a block that leaves much out changes as that says. */
static void
gradients_of_drawn_blocks_are_exact(void **state)
{
	(void) state;
	for (uint64_t turn = 0; turn < 54; turn++)
	{
		Pair		pair;
		EncoderTraining *t;
		float	   *saved;
		float	   *direction;
		size_t		n;
		double		length = 0;
		double		measured;

		open_pair(&pair, turn + 108 + 216 * (turn & 1) + 432, 3);
		t = pair.sampled;
		n = (size_t) t->graph->n_nodes * t->network.width;
		saved = arena_floats(&pair.arenas[1], n);
		direction = arena_floats(&pair.arenas[1], n);
		memcpy(saved, t->network.parameters, n * sizeof(float));
		loss_of_blocks(t);
		gather_gradient(t, direction);
		neighbourhood_end(&t->sampled.neighbourhood);
		for (size_t i = 0; i < n; i++)
			length += (double) direction[i] * direction[i];
		length = sqrt(length);
		for (size_t i = 0; i < n; i++)
			direction[i] = (float) (direction[i] / length);
		measured = measured_derivative(t, saved, direction, 0.002);
		if (fabs(measured - length) > 0.01 * length + 2e-4)
			fail_msg("combination %d: measured %g, gradient %g", (int) turn, measured, length);
		close_pair(&pair);
	}
}

/* Lists have no more entries than asked for, real neighbours, each as often as any other, and weights that
 * stand for all. */
static void
neighbours_are_drawn_evenly(void **state)
{
	const int	draws = 4000;
	Pair		pair;
	Neighbourhood *neighbourhood;
	const Graph *graph;
	int32_t		node = 0;		/* has many */
	int		   *hits;
	int64_t		degree;

	(void) state;
	open_pair(&pair, 1728, 4);
	neighbourhood = &pair.sampled->sampled.neighbourhood;
	graph = &pair.scene.graph;
	degree = graph_degree(graph, node);
	assert_true(degree > 15);
	hits = calloc(degree, sizeof(int));
	for (int turn = 0; turn < draws; turn++)
	{
		const LayerLists *lists = &neighbourhood->block.lists[1];
		double		sum = 0;

		assert_int_equal(neighbourhood_begin(neighbourhood, 1), CORE_OK);
		neighbourhood_seed(neighbourhood, node);
		assert_int_equal(neighbourhood_grow(neighbourhood, 2, 1, 2, 4, turn, true), CORE_OK);
		assert_int_equal(lists->n_entries, 4);
		for (int64_t e = 0; e < lists->n_entries; e++)
		{
			int32_t		neighbour = neighbourhood->nodes[lists->neighbours[e]];
			int64_t		entry = entry_of(graph, node, neighbour);

			assert_true((lists->weights[e] == 0) == neighbourhood_leaves_out(neighbourhood->left_out, entry));
			hits[entry - graph->offsets[node]]++;
			sum += lists->weights[e];
		}
		if (sum > 0)
			assert_close(sum, neighbourhood->counts[node], 1e-3);
		neighbourhood_end(neighbourhood);
	}
	for (int64_t i = 0; i < degree; i++)
		assert_close(hits[i] * (double) degree / (4.0 * draws), 1, 0.25);
	free(hits);
	close_pair(&pair);
}

/* Vectors by pieces, in place or beside the kept network, are those of one propagation. */
static void
inference_by_pieces_is_one_propagation(void **state)
{
	(void) state;
	for (uint64_t turn = 0; turn < 108; turn += 5)
	{
		for (int keep = 0; keep < 2; keep++)
		{
			Pair		pair;
			EncoderResult result;
			EncoderTraining *whole;
			const EncoderObserver observer = {0};
			Arena		arena;
			bool		finished;

			open_pair(&pair, turn + 1728, 5);
			arena_open(&arena, &pair.hosts[1].core);
			whole = pair.whole;
			pair.sampled->options.keep_network = keep;
			core_stop_workers(&pair.hosts[1].core);
			assert_int_equal(encoder_run(pair.sampled, &observer, &finished), CORE_OK);
			assert_true(finished);
			memcpy(whole->network.parameters, pair.sampled->network.parameters,
				   whole->network.layout.total * sizeof(float));
			assert_int_equal(encoder_finish(pair.sampled, &arena, &result), CORE_OK);
			core_start_workers(&pair.hosts[1].core);
			assert_int_equal(network_forward(&whole->network), CORE_OK);
			for (int32_t v = 0; v < pair.scene.graph.n_nodes; v++)
			{
				float		vector[64];

				encoder_store_vector(&whole->network, whole->network.unit + (size_t) v * whole->network.width, false, 0,
									 vector);
				for (int i = 0; i < whole->options.dimension; i++)
					assert_near(result.vectors[(size_t) v * result.width + i], vector[i], 3, turn, "a number of a vector");
			}
			assert_false(isnan(result.best.ndcg_at_20));
			arena_close(&arena);
			close_pair(&pair);
		}
	}
}

static void
same_bytes_with_any_number_of_threads(void **state)
{
	(void) state;
	for (uint64_t turn = 0; turn < 6; turn++)
	{
		Scene		scene;
		Run			runs[3];

		open_scene(&scene, 900, 500, 9000, turn & 1);
		scene.options.sampled_neighbours = 4;
		scene.options.batch_size = 1500;
		scene.options.attention = turn % 3;
		scene.options.routing = turn / 2 % 3;
		scene.options.keep_network = turn & 1;
		for (int i = 0; i < 3; i++)
		{
			train(&runs[i], &scene, 1 << i, NULL, NULL);
			assert_int_equal(runs[i].status, CORE_OK);
			assert_vectors_are_sound(&scene, &runs[i]);
			assert_memory_equal(runs[0].result.vectors, runs[i].result.vectors, vector_bytes(&scene));
		}
		for (int i = 0; i < 3; i++)
			close_run(&runs[i]);
		close_scene(&scene);
	}
}

/* Where lists leave nothing out the start is that of the whole graph. */
static void
start_is_that_of_the_whole_graph(void **state)
{
	Pair		pair;
	Scene	   *scene = &pair.scene;

	(void) state;
	open_scene(scene, 200, 100, 2000, false);
	pair.whole = open_training(&pair, 0, 0);
	pair.sampled = open_training(&pair, 1, 5);
	for (size_t i = 0; i < pair.whole->network.layout.object_bias; i++)
		assert_close(pair.sampled->network.parameters[i], pair.whole->network.parameters[i], 1e-6);
	close_pair(&pair);
}

/* EncoderObserver.pause: after so many steps. */
static bool
stop_after_some(void *data)
{
	return ++*(int *) data % 5 == 0;
}

/* A training that is put back gives what one gives that was never interrupted. */
static void
checkpoints_carry_everything(void **state)
{
	Scene		scene;
	Run			run;
	EncoderResult result;
	EncoderTraining *training = NULL;
	TestHost	host;
	Arena		arenas[2];
	char	   *bytes = NULL;
	bool		finished = false;
	int			steps = 0;
	const EncoderObserver observer = {.pause = stop_after_some, .data = &steps};

	(void) state;
	open_scene(&scene, 300, 200, 4000, true);
	scene.options.sampled_neighbours = 3;
	scene.options.mapping = MAPPING_LINEAR;
	scene.options.batch_size = 300;
	train(&run, &scene, 1, NULL, NULL);
	host_open(&host, 1);
	arena_open(&arenas[0], &host.core);
	for (int turn = 0; !finished; turn++)
	{
		size_t		size;

		arena_open(&arenas[1], &host.core);
		training = encoder_open(&host.core, &arenas[1], &scene.graph, NULL, NULL, &scene.options, turn > 0);
		size = encoder_state_size(training);
		bytes = turn > 0 ? bytes : malloc(size);
		if (turn > 0)
		{
			encoder_state_put(training, 0, size, bytes);
			assert_int_equal(encoder_state_accept(training), CORE_OK);
		}
		assert_int_equal(encoder_run(training, &observer, &finished), CORE_OK);
		encoder_state_take(training, 0, size, bytes);
		if (finished)
			assert_int_equal(encoder_finish(training, &arenas[0], &result), CORE_OK);
		arena_close(&arenas[1]);
	}
	assert_true(steps > 10);
	assert_memory_equal(result.vectors, run.result.vectors, vector_bytes(&scene));
	free(bytes);
	arena_close(&arenas[0]);
	host_assert_clean(&host);
	close_run(&run);
	close_scene(&scene);
}

static CoreStatus
train_scenario(Core *core, Arena *arena, void *argument)
{
	const Scene *scene = argument;
	EncoderResult result;

	return encoder_train(core, arena, &scene->graph, NULL, NULL, &scene->options, NULL, NULL, &result);
}

static void
training_survives_every_failure(void **state)
{
	Scene		scene;

	(void) state;
	open_scene(&scene, 60, 40, 400, false);
	scene.options.sampled_neighbours = 4;
	for (int keep = 0; keep < 2; keep++)
	{
		scene.options.keep_network = keep;
		scenario_survives(train_scenario, &scene, 3);
	}
	close_scene(&scene);
}

/* What blocks cannot do is refused by name. */
static void
what_blocks_cannot_do_is_refused(void **state)
{
	(void) state;
	for (int what = 0; what < 4; what++)
	{
		Scene		scene;
		Run			run;

		open_scene(&scene, 60, 40, 400, false);
		scene.options.sampled_neighbours = what == 3 ? -1 : 4;
		if (what == 0)
			add_features(&scene, true, false);
		if (what == 1)
			sample_types(&scene.arena, 3, &scene.graph);
		scene.options.layer_mean = what == 2;
		train(&run, &scene, 1, NULL, NULL);
		assert_int_equal(run.status, CORE_INVALID);
		assert_non_null(strstr(run.host.core.detail, "sampled_neighbours"));
		close_run(&run);
		close_scene(&scene);
	}
}

/* Few neighbours, few steps: still the blocks are learnt nearly as well as by the whole graph. */
static void
samples_teach_what_the_graph_teaches(void **state)
{
	double		recall[2];
	Scene		scene;

	(void) state;
	open_empty_scene(&scene);
	sample_block_graph(&scene.arena, 600, 300, 10, 12, 3, &scene.graph);
	set_short_options(&scene);
	scene.options.epochs = 10;
	scene.options.patience = 0;
	scene.options.batch_size = 400;
	for (int sampled = 0; sampled < 2; sampled++)
	{
		Run			run;

		scene.options.sampled_neighbours = sampled ? 4 : 0;
		train(&run, &scene, 2, NULL, NULL);
		assert_int_equal(run.status, CORE_OK);
		recall[sampled] = run.result.best.recall_at_20;
		close_run(&run);
	}
	printf("recall %.3f on samples, %.3f on the whole graph\n", recall[1], recall[0]);
	assert_true(recall[1] > 0.95 * recall[0]);
	close_scene(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_that_leave_nothing_out_are_the_whole_graph),
		cmocka_unit_test(gradients_of_drawn_blocks_are_exact),
		cmocka_unit_test(neighbours_are_drawn_evenly),
		cmocka_unit_test(inference_by_pieces_is_one_propagation),
		cmocka_unit_test(same_bytes_with_any_number_of_threads),
		cmocka_unit_test(start_is_that_of_the_whole_graph),
		cmocka_unit_test(checkpoints_carry_everything),
		cmocka_unit_test(training_survives_every_failure),
		cmocka_unit_test(what_blocks_cannot_do_is_refused),
		cmocka_unit_test(samples_teach_what_the_graph_teaches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
