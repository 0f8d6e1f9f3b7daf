/*
 * test_spectral.c
 *		The spectral start: its columns are singular vectors of the normalised adjacency.
 */
#include "scene.h"

#include <math.h>
#include <stdlib.h>

#include "core/spectral.h"

typedef struct Start
{
	TestHost	host;
	Arena		arena;
	Network		network;
} Start;

static void
start_from_spectrum(Start *start, const Scene *scene, double power, double noise)
{
	Arena		scratch;

	host_open(&start->host, 1);
	arena_open(&start->arena, &start->host.core);
	arena_open(&scratch, &start->host.core);
	core_start_workers(&start->host.core);
	assert_int_equal(network_open(&start->network, &start->host.core, &start->arena, &scene->graph,
								  NULL, NULL, &scene->options, false), CORE_OK);
	assert_int_equal(spectral_start(&start->network, &scratch, power, noise, NULL), CORE_OK);
	arena_close(&scratch);
}

static void
close_start(Start *start)
{
	core_stop_workers(&start->host.core);
	arena_close(&start->arena);
	host_assert_clean(&start->host);
}

/* Dimension i of a node's embedding: subspaces take the vectors in turn. */
static double
element(const Start *start, const Scene *scene, int32_t node, int i)
{
	const Network *network = &start->network;
	int			factors = scene->options.factors;

	return network->parameters[network->layout.id_embeddings + (size_t) node * network->width +
							   i % factors * network->sub_width + i / factors];
}

/* Row `user` of the normalised adjacency times column i of the objects. */
static double
propagated(const Start *start, const Scene *scene, int32_t user, int i)
{
	const Graph *graph = &scene->graph;
	double		sum = 0;

	for (int64_t e = graph->offsets[user]; e < graph->offsets[user + 1]; e++)
		sum += element(start, scene, graph->neighbours[e], i) /
			sqrt((double) graph_degree(graph, user) * graph_degree(graph, graph->neighbours[e]));
	return sum;
}

/* The singular value of column i, after checking that it is one: A o = sigma u. */
static double
singular_value(const Start *start, const Scene *scene, int i)
{
	double		products = 0;
	double		squares = 0;
	double		residual = 0;
	double		sigma;

	for (int32_t u = 0; u < scene->graph.n_users; u++)
	{
		double		own = element(start, scene, u, i);

		products += propagated(start, scene, u, i) * own;
		squares += own * own;
	}
	sigma = products / squares;
	for (int32_t u = 0; u < scene->graph.n_users; u++)
		residual += pow(propagated(start, scene, u, i) - sigma * element(start, scene, u, i), 2);
	assert_true(sqrt(residual / squares) < 0.02);
	return sigma;
}

/* All vectors of a small graph, the leading ones of a block graph. */
static void
columns_are_singular_vectors(void **state)
{
	(void) state;
	for (int large = 0; large < 2; large++)
	{
		Scene		scene;
		Start		start;
		double		last = 1;

		open_empty_scene(&scene);
		if (large)
			sample_block_graph(&scene.arena, 600, 300, 9, 12, 1, &scene.graph);
		else
			sample_graph(&scene.arena, 40, 17, 200, false, 2, &scene.graph);
		set_short_options(&scene);
		scene.options.dimension = large ? 8 : 12;
		start_from_spectrum(&start, &scene, 0.5, 0);
		for (int i = 0; i < scene.options.dimension; i++)
		{
			double		sigma = singular_value(&start, &scene, i);
			double		trivial = 0;
			double		square = 0;

			assert_true(sigma > 0.01 && sigma < 0.999);
			assert_true(sigma < last + 0.01);
			last = sigma;
			for (int32_t v = 0; v < scene.graph.n_users; v++)
			{
				trivial += element(&start, &scene, v, i) * sqrt(graph_degree(&scene.graph, v));
				square += pow(element(&start, &scene, v, i), 2);
			}
			/* the first vector of all, square roots of degrees, is left out */
			assert_close(trivial / sqrt(square * scene.graph.n_edges), 0, 0.02);
		}
		if (large)
			assert_true(last > 0.6);	/* nine blocks: eight vectors beside the trivial one */
		close_start(&start);
		close_scene(&scene);
	}
}

/* As far spread as random embeddings would be, and the noise comes on top. */
static void
columns_keep_the_deviation(void **state)
{
	(void) state;
	for (int noise = 0; noise < 2; noise++)
	{
		Scene		scene;
		Start		start;
		double		square = 0;
		int			n = 0;

		open_empty_scene(&scene);
		sample_block_graph(&scene.arena, 600, 300, 9, 12, 1, &scene.graph);
		set_short_options(&scene);
		start_from_spectrum(&start, &scene, 0.5, noise);
		for (int32_t v = 0; v < scene.graph.n_nodes; v++)
			for (int i = 0; i < scene.options.dimension; i++, n++)
				square += pow(element(&start, &scene, v, i), 2);
		assert_close(square / n / pow(scene.options.initial_deviation, 2), 1 + noise, 0.1);
		close_start(&start);
		close_scene(&scene);
	}
}

/* More dimensions than the graph has vectors: the rest stays random. */
static void
further_dimensions_stay_random(void **state)
{
	Scene		scene;
	Start		start;

	(void) state;
	open_scene(&scene, 40, 6, 100, false);
	start_from_spectrum(&start, &scene, 0.5, 0);
	for (int i = 0; i < scene.options.dimension; i++)
	{
		double		square = 0;

		for (int32_t v = 0; v < scene.graph.n_nodes; v++)
			square += pow(element(&start, &scene, v, i), 2);
		if (i >= 6)
			assert_close(sqrt(square / scene.graph.n_nodes) / scene.options.initial_deviation, 1, 0.5);
	}
	close_start(&start);
	close_scene(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_singular_vectors),
		cmocka_unit_test(columns_keep_the_deviation),
		cmocka_unit_test(further_dimensions_stay_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
