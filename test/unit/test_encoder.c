/*
 * test_encoder.c
 *		Training as a whole: same bytes with any number of threads, early stopping, learning,
 *		held-out edges.
 */
#include "scene.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/holdout.h"
#include "core/ranking.h"

/* ---- determinism ------------------------------------------------------------------------------ */

static void
assert_same_bytes_with_threads(const Scene *scene)
{
	Run			one;

	train(&one, scene, 1, NULL, NULL);
	assert_vectors_are_sound(scene, &one);
	for (int threads = 2; threads <= 4; threads += 2)
	{
		Run			other;

		train(&other, scene, threads, NULL, NULL);
		assert_int_equal(other.status, CORE_OK);
		assert_memory_equal(one.result.vectors, other.result.vectors, vector_bytes(scene));
		assert_true(one.result.best.loss == other.result.best.loss);
		assert_true(one.result.best.ndcg_at_20 == other.result.best.ndcg_at_20);
		assert_true(one.result.scale == other.result.scale);
		assert_true(one.result.offset == other.result.offset);
		close_run(&other);
	}
	close_run(&one);
}

/* Enough for several shards of nodes, panels of rows and groups of positives. */
static void
same_bytes_with_any_number_of_threads(void **state)
{
	Scene		scene;

	(void) state;
	open_scene(&scene, 1200, 600, 11000, true);
	assert_true(2 * scene.graph.n_edges > 16384);
	scene.options.dimension = 8;
	scene.options.factors = 2;
	scene.options.batch_size = 5000;
	scene.options.epochs = 1;
	scene.options.negatives = 20;
	for (int i = 0; i < RULE_PAIRS * 2 * 2; i += sweep_stride())
	{
		scene.options.routing = i % ROUTING_RULES;
		scene.options.attention = i / ROUTING_RULES % ATTENTION_RULES;
		scene.options.loss = i / RULE_PAIRS % 2;
		scene.portable = i / RULE_PAIRS / 2;
		scene.options.mapping = i % 2 ? MAPPING_LINEAR : MAPPING_IDENTITY;
		scene.options.full_gradient = i / 2 % 2;
		scene.options.layer_mean = i / 4 % 2;
		scene.options.spectral_start = i % 5 == 0;
		add_features(&scene, i % 4 > 0, i % 4 > 2);
		assert_same_bytes_with_threads(&scene);
	}
	close_scene(&scene);
}

static void
seed_decides_alone(void **state)
{
	Scene		scene;
	Run			one,
				again,
				other;

	(void) state;
	open_scene(&scene, 200, 80, 1500, false);
	train(&one, &scene, 1, NULL, NULL);
	train(&again, &scene, 1, NULL, NULL);
	scene.options.seed++;
	train(&other, &scene, 1, NULL, NULL);
	assert_memory_equal(one.result.vectors, again.result.vectors, vector_bytes(&scene));
	assert_memory_not_equal(one.result.vectors, other.result.vectors, vector_bytes(&scene));
	close_run(&other);
	close_run(&again);
	close_run(&one);
	close_scene(&scene);
}

/* Tables of kernels differ by rounding only; a short training does not drive that apart. */
static void
kernel_tables_agree(void **state)
{
	Scene		scene;
	Run			portable,
				fast;

	(void) state;
	open_scene(&scene, 200, 80, 1500, false);
	scene.portable = true;
	train(&portable, &scene, 1, NULL, NULL);
	scene.portable = false;
	train(&fast, &scene, 1, NULL, NULL);
	for (size_t i = 0; i < vector_bytes(&scene) / sizeof(float); i++)
		assert_close(portable.result.vectors[i], fast.result.vectors[i], 0.02);
	close_run(&fast);
	close_run(&portable);
	close_scene(&scene);
}

/* What is recommended depends on the table even less. */
static void
kernel_tables_rank_alike(void **state)
{
	Scene		scene;
	Run			portable,
				fast;

	(void) state;
	open_scene(&scene, 2000, 300, 20000, false);
	scene.portable = true;
	train(&portable, &scene, 1, NULL, NULL);
	scene.portable = false;
	train(&fast, &scene, 1, NULL, NULL);
	assert_true(portable.result.n_validation > 1000);
	assert_close(portable.result.best.recall_at_20, fast.result.best.recall_at_20, 1e-4);
	close_run(&fast);
	close_run(&portable);
	close_scene(&scene);
}

/* ---- epochs and early stopping ------------------------------------------------------------------ */

typedef struct Epochs
{
	int			count;
	EncoderEpoch epochs[200];
} Epochs;

static void
keep_epoch(void *data, const EncoderEpoch *epoch)
{
	Epochs	   *kept = data;

	assert_int_equal(epoch->epoch, kept->count + 1);
	assert_true(isfinite(epoch->loss));
	assert_true(epoch->seconds >= 0);
	kept->epochs[kept->count++] = *epoch;
}

static void
no_epochs_only_propagate(void **state)
{
	Scene		scene;
	Run			run;
	Epochs		kept = {0};

	(void) state;
	for (int spectral = 0; spectral < 2; spectral++)
	{
		open_scene(&scene, 100, 40, 800, false);
		scene.options.epochs = 0;
		scene.options.spectral_start = spectral;
		train(&run, &scene, 2, keep_epoch, &kept);
		assert_vectors_are_sound(&scene, &run);
		assert_int_equal(kept.count, 0);
		assert_int_equal(run.result.epochs_run, 0);
		assert_int_equal(run.result.best_epoch, 0);
		assert_true(isnan(run.result.best.ndcg_at_20));
		assert_true(run.result.n_validation > 0);
		close_run(&run);
		close_scene(&scene);
	}
}

static void
without_validation_the_last_epoch_is_kept(void **state)
{
	Scene		scene;
	Run			run;
	Epochs		kept = {0};

	(void) state;
	open_scene(&scene, 100, 40, 800, false);
	scene.options.validation_fraction = 0;
	scene.options.epochs = 7;
	scene.options.patience = 1;
	train(&run, &scene, 1, keep_epoch, &kept);
	assert_vectors_are_sound(&scene, &run);
	assert_int_equal(kept.count, 7);
	assert_int_equal(run.result.epochs_run, 7);
	assert_int_equal(run.result.best_epoch, 7);
	assert_int_equal(run.result.n_validation, 0);
	assert_true(isnan(kept.epochs[6].recall_at_20));
	assert_true(kept.epochs[6].loss < kept.epochs[0].loss);
	close_run(&run);
	close_scene(&scene);
}

/* Recall and NDCG of the vectors themselves, on the edges that were held out. */
static RankingQuality
quality_of(const Scene *scene, const float *vectors, int width)
{
	TestHost	host;
	Arena		arena;
	Holdout		holdout;
	Graph		training;
	RankingQuality quality;

	host_open(&host, 1);
	arena_open(&arena, &host.core);
	host.core.portable = scene->portable;
	assert_int_equal(holdout_split(&holdout, &arena, &scene->graph, &scene->options, &training), CORE_OK);
	/* room for the rows of another width */
	holdout.query_rows = arena_floats(&arena, holdout.n_queries * width);
	assert_int_equal(holdout_quality(&holdout, &arena, &training, vectors, width, &quality), CORE_OK);
	arena_close(&arena);
	return quality;
}

static void
training_stops_early_and_keeps_what_none_beats(void **state)
{
	Scene		scene;
	Run			run;
	Epochs		kept = {0};
	int			best = 0;
	int			last = 0;
	RankingQuality quality;

	(void) state;
	open_empty_scene(&scene);
	sample_block_graph(&scene.arena, 300, 100, 5, 10, 4, &scene.graph);
	set_short_options(&scene);
	scene.options.epochs = 100;
	scene.options.patience = 3;
	scene.options.learning_rate = 0.03f;	/* so that it overfits soon */
	train(&run, &scene, 1, keep_epoch, &kept);
	assert_vectors_are_sound(&scene, &run);
	for (int i = 1; i < kept.count; i++)
		best = kept.epochs[i].ndcg_at_20 > kept.epochs[best].ndcg_at_20 ? i : best;
	for (int i = best; i < kept.count; i++)
		last = kept.epochs[i].ndcg_at_20 >= kept.epochs[best].ndcg_at_20 - 0.5 * kept.epochs[best].ndcg_error ? i : last;
	assert_true(last > best);	/* a peak of chance */
	assert_int_equal(run.result.best_epoch, last + 1);
	assert_int_equal(run.result.epochs_run, kept.count);
	assert_int_equal(kept.count, best + 1 + 3);
	assert_true(kept.count < 100);
	quality = quality_of(&scene, run.result.vectors, run.result.width);
	assert_close(quality.ndcg, kept.epochs[last].ndcg_at_20, 1e-12);
	assert_close(quality.ndcg_error, kept.epochs[last].ndcg_error, 1e-12);
	assert_close(quality.recall, run.result.best.recall_at_20, 1e-12);
	close_run(&run);
	close_scene(&scene);
}

static void
no_patience_runs_all_epochs(void **state)
{
	Scene		scene;
	Run			run;

	(void) state;
	open_scene(&scene, 100, 40, 800, false);
	scene.options.epochs = 12;
	scene.options.patience = 0;
	train(&run, &scene, 1, NULL, NULL);
	assert_int_equal(run.status, CORE_OK);
	assert_int_equal(run.result.epochs_run, 12);
	close_run(&run);
	close_scene(&scene);
}

/* ---- learning ------------------------------------------------------------------------------------ */

/* 600 users and 300 objects in ten blocks, and a training that is long enough for them. */
static void
open_block_scene(Scene *scene)
{
	open_empty_scene(scene);
	sample_block_graph(&scene->arena, 600, 300, 10, 12, 5, &scene->graph);
	set_short_options(scene);
	scene->options.epochs = 15;
	scene->options.batch_size = 1500;
	scene->options.learning_rate = 0.06f;
}

/* Recall of ranking objects by their degree. */
static double
popularity_recall(const Scene *scene)
{
	float	   *vectors = malloc(scene->graph.n_nodes * sizeof(float));
	double		recall;

	for (int32_t v = 0; v < scene->graph.n_nodes; v++)
		vectors[v] = v < scene->graph.n_users ? 1 : graph_degree(&scene->graph, v);
	recall = quality_of(scene, vectors, 1).recall;
	free(vectors);
	return recall;
}

static void
every_variant_learns_the_blocks(void **state)
{
	Scene		scene;
	double		popularity;

	(void) state;
	open_block_scene(&scene);
	popularity = popularity_recall(&scene);
	for (int i = 0; i <= RULE_PAIRS; i += sweep_stride())
	{
		Run			run;

		scene.options.routing = i % ROUTING_RULES;
		scene.options.attention = i / ROUTING_RULES % ATTENTION_RULES;
		scene.options.loss = i == RULE_PAIRS ? LOSS_LOGISTIC : LOSS_SOFTMAX;
		scene.options.spectral_start = i % 2;
		train(&run, &scene, 2, NULL, NULL);
		assert_vectors_are_sound(&scene, &run);
		print_message("routing %d attention %d loss %d: recall %.3f, by popularity %.3f\n",
					  scene.options.routing, scene.options.attention, scene.options.loss,
					  run.result.best.recall_at_20, popularity);
		assert_true(run.result.best.recall_at_20 > 5 * popularity);
		assert_true(run.result.best.recall_at_20 > 0.6);
		assert_true(run.result.scale > 0);
		close_run(&run);
	}
	close_scene(&scene);
}

/* Probabilities of held-out edges are high, of other pairs low, half of both together. */
static void
calibration_fits_held_out_edges(void **state)
{
	Scene		scene;
	Run			run;
	double		sum[2] = {0};
	int			count[2] = {0};

	(void) state;
	open_block_scene(&scene);
	train(&run, &scene, 2, NULL, NULL);
	assert_int_equal(run.status, CORE_OK);
	for (int32_t u = 0; u < 600; u++)
		for (int32_t o = 0; o < 300; o++)
		{
			const float *user = run.result.vectors + u * run.result.width;
			const float *object = run.result.vectors + (600 + o) * run.result.width;
			bool		edge = graph_has_edge(&scene.graph, u, o);
			double		score = 0;

			if (edge && !encoder_holds_out(scene.options.seed, scene.options.validation_fraction,
										   graph_degree(&scene.graph, u), u, 600 + o))
				continue;
			for (int i = 0; i < run.result.width; i++)
				score += user[i] * object[i];
			sum[edge] += 1 / (1 + exp(-(run.result.scale * score + run.result.offset)));
			count[edge]++;
		}
	assert_true(sum[1] / count[1] > 0.65);
	assert_true(sum[0] / count[0] < 0.35);
	assert_close((sum[0] / count[0] + sum[1] / count[1]) / 2, 0.5, 0.05);
	close_run(&run);
	close_scene(&scene);
}

/* ---- held-out edges ---------------------------------------------------------------------------------- */

/* What the rules say of an edge: whether it is left out of training, and for what. */
typedef struct Verdict
{
	bool		shielded;
	bool		validation;
} Verdict;

static Verdict
judge_edge(const Scene *scene, float target_fraction, int32_t user, int32_t node)
{
	const Graph *graph = &scene->graph;
	int64_t		degree = graph_degree(graph, user);
	uint64_t	user_hash = graph->key_hashes != NULL ? graph->key_hashes[user] : (uint64_t) user;
	uint64_t	hash = graph->key_hashes != NULL ? graph->key_hashes[node] : (uint64_t) node;
	bool		target = graph->target_objects != NULL && graph->target_objects[node - graph->n_users];

	return (Verdict) {
		target && encoder_shields(scene->options.seed, target_fraction, degree, user_hash),
		!target && encoder_holds_out(scene->options.seed, scene->options.validation_fraction,
									 degree, user_hash, hash),
	};
}

/* The training graph lacks what the rules say, and nothing else. */
static void
assert_split_follows_the_rules(const Scene *scene)
{
	const Graph *graph = &scene->graph;
	TestHost	host;
	Arena		arena;
	Holdout		holdout;
	Graph		training;
	int64_t		validation = 0;
	int64_t		shielded = 0;

	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(holdout_split(&holdout, &arena, graph, &scene->options, &training), CORE_OK);
	for (int32_t u = 0; u < graph->n_users; u++)
		for (int64_t e = graph->offsets[u]; e < graph->offsets[u + 1]; e++)
		{
			int32_t		o = graph->neighbours[e] - graph->n_users;
			Verdict		verdict = judge_edge(scene, holdout.target_fraction, u, graph->neighbours[e]);
			bool		out = verdict.validation || verdict.shielded;

			assert_int_equal(graph_has_edge(&training, u, o), !out);
			assert_true(!out || graph_degree(graph, u) >= ENCODER_HOLD_OUT_DEGREE);
			if (verdict.validation)
			{
				assert_int_equal(holdout.edge_users[validation], u);
				assert_int_equal(holdout.edge_objects[validation], o);
			}
			validation += verdict.validation;
			shielded += verdict.shielded;
		}
	assert_int_equal(holdout.n_edges, validation);
	assert_int_equal(holdout.n_shielded, shielded);
	assert_int_equal(training.n_edges, graph->n_edges - validation - shielded);
	arena_close(&arena);
	host_assert_clean(&host);
}

static void
held_out_edges_follow_the_rules(void **state)
{
	Scene		scene;
	uint64_t   *hashes;
	uint8_t		targets[100] = {0};

	(void) state;
	open_scene(&scene, 300, 100, 3000, true);
	assert_split_follows_the_rules(&scene);
	hashes = arena_allocate(&scene.arena, scene.graph.n_nodes, sizeof(uint64_t));
	for (int32_t v = 0; v < scene.graph.n_nodes; v++)
		hashes[v] = random_bits(6, RANDOM_TEST, v);
	scene.graph.key_hashes = hashes;
	assert_split_follows_the_rules(&scene);
	scene.options.validation_fraction = 0.5f;
	assert_split_follows_the_rules(&scene);
	targets[20] = targets[30] = 1;
	scene.graph.target_objects = targets;
	assert_split_follows_the_rules(&scene);
	memset(targets, 1, sizeof(targets));	/* more than may be shielded */
	assert_split_follows_the_rules(&scene);
	scene.options.validation_fraction = 0;
	assert_split_follows_the_rules(&scene);
	close_scene(&scene);
}

/* A training says how many edges took no part, and what fraction of the users was shielded:
 * less than asked for when that would take out more than a fifth of the edges. */
static void
training_tells_of_shielded_edges(void **state)
{
	Scene		scene;
	uint8_t		targets[100] = {0};

	(void) state;
	open_scene(&scene, 300, 100, 3000, false);
	scene.graph.target_objects = targets;
	for (int all = 0; all < 2; all++)
	{
		Run			run;

		memset(targets + 20, 1, all ? 80 : 1);
		memset(targets, all, 20);
		train(&run, &scene, 1, NULL, NULL);
		assert_vectors_are_sound(&scene, &run);
		assert_true(run.result.n_shielded > 0);
		assert_true(run.result.n_shielded < scene.graph.n_edges * 0.25);
		if (all)
			assert_close(run.result.target_fraction, 0.2, 1e-6);
		else
			assert_true(run.result.target_fraction == scene.options.target_fraction);
		close_run(&run);
	}
	close_scene(&scene);
}

/* The share is as asked, and another seed holds out other edges. */
static void
held_out_share_is_the_fraction(void **state)
{
	int			held_out = 0;
	int			both = 0;
	const int	n = 20000;

	(void) state;
	for (int i = 0; i < n; i++)
	{
		bool		out = encoder_holds_out(1, 0.1f, 5, i / 100, 1000 + i % 100);

		held_out += out;
		both += out && encoder_holds_out(2, 0.1f, 5, i / 100, 1000 + i % 100);
		assert_false(encoder_holds_out(1, 0.1f, ENCODER_HOLD_OUT_DEGREE - 1, i / 100, 1000 + i % 100));
		assert_false(encoder_holds_out(1, 0, 5, i / 100, 1000 + i % 100));
	}
	assert_close((double) held_out / n, 0.1, 5 * sqrt(0.09 / n));
	assert_close((double) both / n, 0.01, 5 * sqrt(0.0099 / n));
}

/* Mean loss of an epoch in which next to nothing is learnt. */
static double
loss_with_negatives(Scene *scene, int negatives)
{
	Run			run;
	double		loss;

	scene->options.negatives = negatives;
	train(&run, scene, 1, NULL, NULL);
	assert_int_equal(run.status, CORE_OK);
	loss = run.result.best.loss;
	close_run(&run);
	return loss;
}

/* The drawn negatives stand for all objects: their number changes the noise, not the loss. */
static void
few_negatives_estimate_the_loss_of_all(void **state)
{
	Scene		scene;
	double		all;

	(void) state;
	open_scene(&scene, 300, 200, 4000, false);
	scene.options.epochs = 1;
	scene.options.validation_fraction = 0;
	scene.options.learning_rate = 1e-6f;
	scene.options.temperature = 0.3f;
	all = loss_with_negatives(&scene, 200);
	assert_true(fabs(loss_with_negatives(&scene, 50) - all) < 0.1);
	assert_true(fabs(loss_with_negatives(&scene, 25) - all) < 0.2);
	close_scene(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_bytes_with_any_number_of_threads),
		cmocka_unit_test(seed_decides_alone),
		cmocka_unit_test(kernel_tables_agree),
		cmocka_unit_test(kernel_tables_rank_alike),
		cmocka_unit_test(no_epochs_only_propagate),
		cmocka_unit_test(without_validation_the_last_epoch_is_kept),
		cmocka_unit_test(training_stops_early_and_keeps_what_none_beats),
		cmocka_unit_test(no_patience_runs_all_epochs),
		cmocka_unit_test(every_variant_learns_the_blocks),
		cmocka_unit_test(calibration_fits_held_out_edges),
		cmocka_unit_test(held_out_edges_follow_the_rules),
		cmocka_unit_test(training_tells_of_shielded_edges),
		cmocka_unit_test(held_out_share_is_the_fraction),
		cmocka_unit_test(few_negatives_estimate_the_loss_of_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
