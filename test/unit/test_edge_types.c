/*
 * test_edge_types.c
 *		Graphs with several behaviours: what of an edge is held out and hidden, and the direct term:
 *		its fit finds the numbers that choices were drawn by, its ranking is that of plain counting.
 */
#include "scene.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/direct_term.h"
#include "core/network.h"
#include "core/vectors.h"

/* ---- the graph ----------------------------------------------------------------------------- */

static void
types_of_a_pair_are_united(void **state)
{
	static const int rows[][3] = {{0, 0, 0}, {0, 0, 2}, {0, 1, 1}, {1, 1, 2}, {0, 0, 0}};
	TestHost	host;
	Arena		arena;
	Interactions interactions;
	Graph		graph;
	Graph		rest;
	const uint8_t drop[] = {1, 1, 1};

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	interactions_open(&interactions, &arena, false);
	interactions_open_types(&interactions);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		interactions_add_typed(&interactions, rows[i][0], rows[i][1], 1, rows[i][2]);
	assert_int_equal(graph_build(&host.core, &arena, &interactions, 2, 2, 0, 0, &graph), CORE_OK);
	graph.n_types = 3;
	graph.predicted = 4;
	assert_int_equal(graph.n_edges, 3);
	assert_int_equal(graph.types[0], 5);
	assert_int_equal(graph.types[1], 2);
	assert_int_equal(graph.types[2], 4);
	for (int64_t e = 0; e < graph.n_edges; e++)
		assert_int_equal(graph.types[graph.reverse[e]], graph.types[e]);
	assert_int_equal(graph_predicted_edges(&graph), 2);
	assert_int_equal(graph_predicted_degree(&graph, 2), 1);

	/* what is dropped loses what is to be predicted, and goes when it was nothing else */
	assert_int_equal(graph_without(&host.core, &arena, &graph, drop, &rest), CORE_OK);
	assert_int_equal(rest.n_edges, 2);
	assert_int_equal(rest.types[0], 1);
	assert_int_equal(rest.types[1], 2);
	assert_int_equal(rest.predicted, 4);
	arena_close(&arena);
	host_assert_clean(&host);
}

/* A batch hides of its edges what it is to predict, from both sides, and shows it again. */
static void
hidden_edges_keep_their_other_types(void **state)
{
	Scene		scene;
	Arena		arena;
	Network		network;
	size_t		entries;

	(void) state;
	open_scene(&scene, 60, 30, 600, false);
	sample_types(&scene.arena, 3, &scene.graph);
	entries = 2 * scene.graph.n_edges;
	arena_open(&arena, &scene.host.core);
	assert_int_equal(network_open(&network, &scene.host.core, &arena, &scene.graph, NULL, NULL, &scene.options, true),
					 CORE_OK);
	for (int64_t e = 0; e < scene.graph.n_edges; e++)
	{
		uint8_t		left = scene.graph.types[e] & ~scene.graph.predicted;

		network_hide_edges(&network, &e, 1);
		assert_int_equal(network.shown_types[e], left);
		assert_int_equal(network.shown_types[scene.graph.reverse[e]], left);
		network_show_edges(&network, &e, 1);
	}
	assert_memory_equal(network.shown_types, scene.graph.types, entries);
	arena_close(&arena);
	close_scene(&scene);
}

/* A behaviour that counts for almost nothing leaves the vectors that its absence leaves. */
static void
weights_reach_the_network(void **state)
{
	Scene		scene;
	Run			with;
	Run			without;

	(void) state;
	open_scene(&scene, 200, 80, 3000, false);
	sample_types(&scene.arena, 3, &scene.graph);
	scene.options.epochs = 0;
	scene.options.spectral_start = false;
	scene.options.validation_fraction = 0;
	for (int64_t e = 0; e < 2 * scene.graph.n_edges; e++)
		scene.graph.types[e] &= ~2;
	train(&without, &scene, 1, NULL, NULL);
	for (int64_t e = 0; e < 2 * scene.graph.n_edges; e++)
		scene.graph.types[e] |= 2;
	train(&with, &scene, 1, NULL, NULL);
	assert_memory_not_equal(with.result.vectors, without.result.vectors, vector_bytes(&scene));
	close_run(&with);
	scene.graph.type_weights[1] = 1e-6f;
	train(&with, &scene, 1, NULL, NULL);
	for (size_t i = 0; i < vector_bytes(&scene) / sizeof(float); i++)
		assert_close(with.result.vectors[i], without.result.vectors[i], 1e-3);
	close_run(&with);
	close_run(&without);
	close_scene(&scene);
}

/* ---- training ------------------------------------------------------------------------------- */

static void
same_bytes_with_any_number_of_threads(void **state)
{
	Scene		scene;

	(void) state;
	open_scene(&scene, 1200, 600, 11000, true);
	sample_types(&scene.arena, 3, &scene.graph);
	scene.options.dimension = 8;
	scene.options.factors = 2;
	scene.options.batch_size = 3000;
	scene.options.epochs = 1;
	scene.options.negatives = 20;
	for (int i = 0; i < 9; i += sweep_stride())
	{
		Run			one;

		scene.options.routing = i % 3;
		scene.options.attention = i / 3 % 3;
		train(&one, &scene, 1, NULL, NULL);
		assert_vectors_are_sound(&scene, &one);
		assert_int_equal(one.result.direct.n_types, 3);
		for (int threads = 2; threads <= 4; threads += 2)
		{
			Run			other;

			train(&other, &scene, threads, NULL, NULL);
			assert_int_equal(other.status, CORE_OK);
			assert_memory_equal(one.result.vectors, other.result.vectors, vector_bytes(&scene));
			assert_memory_equal(&one.result.direct, &other.result.direct, sizeof(DirectTerm));
			assert_memory_equal(one.result.direct_objects, other.result.direct_objects,
								scene.graph.n_objects * DIRECT_OBJECT_NUMBERS(3) * sizeof(float));
			close_run(&other);
		}
		close_run(&one);
	}
	close_scene(&scene);
}

/* Held out are edges to be predicted alone, and nothing else ends in an error. */
static void
degenerate_types_are_survived(void **state)
{
	Scene		scene;
	Run			run;

	(void) state;
	open_scene(&scene, 100, 50, 1500, false);
	sample_types(&scene.arena, 3, &scene.graph);
	train(&run, &scene, 1, NULL, NULL);
	assert_true(run.result.n_validation > 0);
	assert_true(run.result.n_validation < graph_predicted_edges(&scene.graph) / 5);
	close_run(&run);
	scene.graph.predicted = 7;	/* no links, so no direct term */
	train(&run, &scene, 1, NULL, NULL);
	assert_vectors_are_sound(&scene, &run);
	assert_int_equal(run.result.direct.n_types, 0);
	assert_null(run.result.direct_objects);
	close_run(&run);
	scene.graph.predicted = 0x80;	/* nobody does it */
	train(&run, &scene, 1, NULL, NULL);
	assert_int_equal(run.status, CORE_INVALID);
	close_run(&run);
	close_scene(&scene);
}

static CoreStatus
train_once(Core *core, Arena *arena, void *argument)
{
	const Scene *scene = argument;
	EncoderResult result;

	return encoder_train(core, arena, &scene->graph, NULL, NULL, &scene->options, NULL, NULL, &result);
}

static void
every_failure_is_survived(void **state)
{
	Scene		scene;

	(void) state;
	open_scene(&scene, 60, 30, 400, false);
	sample_types(&scene.arena, 3, &scene.graph);
	scene.options.epochs = 1;
	scenario_survives(train_once, &scene, 7);
	close_scene(&scene);
}

/* ---- the direct term -------------------------------------------------------------------------- */

#define USERS 3000
#define OBJECTS 400
#define WIDTH 4					/* two numbers, and the two that every vector ends with */

/* Links of two types drawn at random, vectors, and one choice of each user. */
typedef struct Shop
{
	TestHost	host;
	Arena		arena;
	Graph		graph;
	float	   *vectors;
	int32_t		users[USERS];
	int32_t		objects[USERS];
	DirectTerm	truth;
	float	   *numbers;		/* of the objects */
} Shop;

static double
shop_score(const Shop *shop, const DirectTerm *term, const float *numbers, int32_t user, int32_t object, uint8_t types)
{
	const float *u = shop->vectors + user * WIDTH;
	double		score = vectors_dot(u, shop->vectors + (USERS + object) * WIDTH, WIDTH);
	int64_t		degrees[GRAPH_MOST_TYPES] = {0};
	double		part[GRAPH_MOST_TYPES];

	for (int64_t e = shop->graph.offsets[user]; e < shop->graph.offsets[user + 1]; e++)
		for (int t = 0; t < 3; t++)
			degrees[t] += shop->graph.types[e] >> t & 1;
	direct_term_user(term, degrees, part);
	return score + direct_term_value(term, types, numbers + object * DIRECT_OBJECT_NUMBERS(3), part,
									 score - u[WIDTH - 1]);
}

/* The types that join two, 0 when nothing does. */
static uint8_t
types_between(const Graph *graph, int32_t user, int32_t object)
{
	for (int64_t e = graph->offsets[user]; e < graph->offsets[user + 1]; e++)
		if (graph->neighbours[e] == graph->n_users + object)
			return graph->types[e];
	return 0;
}

/* Everybody chooses by the true scores, what he has bought already apart. */
static void
draw_choices(Shop *shop)
{
	for (int32_t user = 0; user < USERS; user++)
	{
		double		weights[OBJECTS];
		double		sum = 0;
		double		left;

		for (int32_t o = 0; o < OBJECTS; o++)
		{
			uint8_t		types = types_between(&shop->graph, user, o);

			weights[o] = types & 4 ? 0 : exp(shop_score(shop, &shop->truth, shop->numbers, user, o, types));
			sum += weights[o];
		}
		left = sum * random_uniform(21, RANDOM_TEST, user);
		shop->users[user] = user;
		for (shop->objects[user] = 0; left >= weights[shop->objects[user]] && shop->objects[user] < OBJECTS - 1;)
			left -= weights[shop->objects[user]++];
	}
}

static void
open_shop(Shop *shop)
{
	Interactions interactions;
	Arena		scratch;

	memset(shop, 0, sizeof(*shop));
	host_open(&shop->host, 1);
	arena_open(&shop->arena, &shop->host.core);
	arena_open(&scratch, &shop->host.core);
	interactions_open(&interactions, &scratch, false);
	interactions_open_types(&interactions);
	for (int64_t i = 0; i < USERS * 20; i++)
	{
		double		crowd = random_uniform(22, RANDOM_TEST, 3 * i);

		interactions_add_typed(&interactions, (int32_t) (i % USERS), (int32_t) (crowd * crowd * OBJECTS), 1,
							   (int) (random_bits(22, RANDOM_TEST, 3 * i + 1) % 8 == 0 ? 2 :
									  random_bits(22, RANDOM_TEST, 3 * i + 2) % 4 == 0));
	}
	assert_int_equal(graph_build(&shop->host.core, &shop->arena, &interactions, USERS, OBJECTS, 0, 0, &shop->graph),
					 CORE_OK);
	arena_close(&scratch);
	shop->graph.n_types = 3;
	shop->graph.predicted = 4;
	shop->vectors = arena_floats(&shop->arena, (USERS + OBJECTS) * WIDTH);
	sample_numbers(shop->vectors, (USERS + OBJECTS) * WIDTH, 23);
	for (int32_t v = 0; v < USERS + OBJECTS; v++)
		shop->vectors[v * WIDTH + (v < USERS ? 2 : 3)] = 1;
	shop->truth = (DirectTerm) {
		.n_types = 3, .types = 3, .scale = 0.8, .popularity = 0.5,
		.constant = {4, 2}, .user_slope = {0.3, -0.4}, .object_slope = {-0.7, 0.2},
	};
	shop->numbers = arena_floats(&shop->arena, OBJECTS * DIRECT_OBJECT_NUMBERS(3));
	direct_term_objects(&shop->truth, &shop->graph, shop->numbers);
	draw_choices(shop);
}

static void
close_shop(Shop *shop)
{
	arena_close(&shop->arena);
	host_assert_clean(&shop->host);
}

static void
fit_finds_what_choices_were_drawn_by(void **state)
{
	Shop		shop;
	DirectTerm	term;
	DirectCases cases;

	(void) state;
	open_shop(&shop);
	cases = (DirectCases) {USERS, shop.users, shop.objects};
	assert_int_equal(direct_term_fit(&shop.host.core, &shop.graph, &cases, shop.vectors, WIDTH, 1, &term), CORE_OK);
	assert_int_equal(term.types, 3);
	assert_close(term.scale, shop.truth.scale, 0.15);
	assert_close(term.popularity, shop.truth.popularity, 0.15);
	assert_close(term.object_slope[0], shop.truth.object_slope[0], 0.15);
	assert_close(term.object_slope[1], shop.truth.object_slope[1], 0.15);
	assert_close(term.user_slope[1], shop.truth.user_slope[1], 0.3);
	for (int32_t user = 0; user < 50; user++)	/* as a whole it is closer than number by number */
	{
		float		numbers[OBJECTS * DIRECT_OBJECT_NUMBERS(3)];

		direct_term_objects(&term, &shop.graph, numbers);
		for (uint8_t types = 1; types <= 3; types++)
			assert_close(shop_score(&shop, &term, numbers, user, user, types),
						 shop_score(&shop, &shop.truth, shop.numbers, user, user, types), 0.5);
	}
	close_shop(&shop);
}

/* The k best by plain counting. */
static void
rank_plainly(const Shop *shop, int32_t user, uint8_t excluded, int k, int32_t *best)
{
	bool		taken[OBJECTS] = {false};

	for (int i = 0; i < k; i++)
	{
		double		highest = -INFINITY;

		best[i] = -1;
		for (int32_t o = 0; o < OBJECTS; o++)
		{
			uint8_t		types = types_between(&shop->graph, user, o);
			double		score = shop_score(shop, &shop->truth, shop->numbers, user, o, types);

			if (!taken[o] && !(types & excluded) && score > highest)
			{
				highest = score;
				best[i] = o;
			}
		}
		taken[best[i]] = true;
	}
}

static void
ranking_is_that_of_plain_counting(void **state)
{
	const int	k = 10;
	Shop		shop;
	int32_t		top[100 * 10];
	double		scores[100 * 10];

	(void) state;
	open_shop(&shop);
	for (int excluded = 0; excluded <= 4; excluded += 4)
	{
		DirectRanking ranking = {
			&shop.truth, {USERS, WIDTH, shop.vectors}, {OBJECTS, WIDTH, shop.vectors + USERS * WIDTH},
			shop.numbers, &shop.graph, (uint8_t) excluded
		};

		assert_int_equal(direct_term_top(&shop.host.core, &ranking, 700, 100, k, top, scores), CORE_OK);
		for (int32_t u = 0; u < 100; u++)
		{
			int32_t		best[10];

			rank_plainly(&shop, 700 + u, (uint8_t) excluded, k, best);
			assert_memory_equal(top + u * k, best, sizeof(best));
			for (int i = 0; i < k; i++)
				assert_close(scores[u * k + i],
							 shop_score(&shop, &shop.truth, shop.numbers, 700 + u, best[i],
										types_between(&shop.graph, 700 + u, best[i])), 1e-9);
		}
	}
	close_shop(&shop);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(types_of_a_pair_are_united),
		cmocka_unit_test(hidden_edges_keep_their_other_types),
		cmocka_unit_test(weights_reach_the_network),
		cmocka_unit_test(same_bytes_with_any_number_of_threads),
		cmocka_unit_test(degenerate_types_are_survived),
		cmocka_unit_test(every_failure_is_survived),
		cmocka_unit_test(fit_finds_what_choices_were_drawn_by),
		cmocka_unit_test(ranking_is_that_of_plain_counting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
