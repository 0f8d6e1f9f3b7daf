/*
 * test_graph.c
 *		Building the graph, against a matrix of all pairs.
 */
#include "samples.h"

#include <math.h>
#include <string.h>

#define N_USERS 40
#define N_OBJECTS 25
#define N_INTERACTIONS 600

/* Interactions as drawn; weights are thirds, so that sums of floats must round. */
typedef struct Rows
{
	int32_t		users[N_INTERACTIONS];
	int32_t		objects[N_INTERACTIONS];
	float		weights[N_INTERACTIONS];
} Rows;

/* The first ten users and objects meet often; the last of each never. */
static void
draw_rows(Rows *rows, uint64_t seed)
{
	for (int i = 0; i < N_INTERACTIONS; i++)
	{
		double		u = random_uniform(seed, RANDOM_TEST, 3 * i);
		double		o = random_uniform(seed, RANDOM_TEST, 3 * i + 1);

		rows->users[i] = (int32_t) (u * u * (N_USERS - 1));
		rows->objects[i] = (int32_t) (o * o * (N_OBJECTS - 1));
		rows->weights[i] = (float) (1 + random_below(seed, RANDOM_TEST, 3 * i + 2, 1000)) / 3;
	}
}

typedef struct Case
{
	TestHost	host;
	Arena		arena;
	Interactions interactions;
	Graph		graph;
} Case;

/* Row i of the interactions is row random_place(i) of `rows`; order 0 leaves them. */
static void
open_case(Case *c, const Rows *rows, uint64_t order, bool weighted)
{
	host_open(&c->host, 1);
	arena_open(&c->arena, &c->host.core);
	assert_int_equal(interactions_open(&c->interactions, &c->arena, weighted), CORE_OK);
	for (int i = 0; i < N_INTERACTIONS; i++)
	{
		int			row = order == 0 ? i : (int) random_place(order, RANDOM_TEST, N_INTERACTIONS, i);

		assert_int_equal(interactions_add(&c->interactions, rows->users[row], rows->objects[row],
										  rows->weights[row]), CORE_OK);
	}
}

static void
build(Case *c, int32_t max_degree, uint64_t seed)
{
	assert_int_equal(graph_build(&c->host.core, &c->arena, &c->interactions, N_USERS, N_OBJECTS,
								 max_degree, seed, &c->graph), CORE_OK);
}

static void
close_case(Case *c)
{
	arena_close(&c->arena);
	host_assert_clean(&c->host);
}

/* Ascending lists without repeats, numbers in range, twins that lead to one another. */
static void
assert_sound(const Graph *graph)
{
	assert_int_equal(graph->n_nodes, graph->n_users + graph->n_objects);
	assert_int_equal(graph->offsets[0], 0);
	assert_int_equal(graph->offsets[graph->n_users], graph->n_edges);
	assert_int_equal(graph->offsets[graph->n_nodes], 2 * graph->n_edges);
	for (int32_t v = 0; v < graph->n_nodes; v++)
		for (int64_t e = graph->offsets[v]; e < graph->offsets[v + 1]; e++)
		{
			int32_t		u = graph->neighbours[e];
			int64_t		twin = graph->reverse[e];

			assert_true(v < graph->n_users ? u >= graph->n_users && u < graph->n_nodes :
						u >= 0 && u < graph->n_users);
			assert_true(e == graph->offsets[v] || graph->neighbours[e - 1] < u);
			assert_true(twin >= graph->offsets[u] && twin < graph->offsets[u + 1]);
			assert_int_equal(graph->neighbours[twin], v);
			assert_int_equal(graph->reverse[twin], e);
			if (graph->weights != NULL)
				assert_true(graph->weights[twin] == graph->weights[e]);
		}
}

static void
assert_same_graph(const Graph *a, const Graph *b)
{
	size_t		entries = 2 * a->n_edges;

	assert_int_equal(a->n_users, b->n_users);
	assert_int_equal(a->n_objects, b->n_objects);
	assert_int_equal(a->n_edges, b->n_edges);
	assert_memory_equal(a->offsets, b->offsets, (a->n_nodes + 1) * sizeof(int64_t));
	assert_memory_equal(a->neighbours, b->neighbours, entries * sizeof(int32_t));
	assert_memory_equal(a->reverse, b->reverse, entries * sizeof(uint32_t));
	assert_int_equal(a->weights == NULL, b->weights == NULL);
	if (a->weights != NULL)
		assert_memory_equal(a->weights, b->weights, entries * sizeof(float));
}

/* ---- against the matrix --------------------------------------------------------------------- */

static void
lists_hold_what_the_rows_say(void **state)
{
	(void) state;
	for (int i = 0; i < 6; i++)
	{
		static Rows rows;
		double		sums[N_USERS][N_OBJECTS] = {{0}};
		int			counts[N_USERS][N_OBJECTS] = {{0}};
		double		total = 0;
		int64_t		edges = 0;
		Case		c;

		draw_rows(&rows, i);
		for (int row = 0; row < N_INTERACTIONS; row++)
		{
			sums[rows.users[row]][rows.objects[row]] += rows.weights[row];
			total += rows.weights[row];
			counts[rows.users[row]][rows.objects[row]]++;
		}
		open_case(&c, &rows, 0, i & 1);
		build(&c, 0, 0);
		assert_sound(&c.graph);
		for (int32_t u = 0; u < N_USERS; u++)
			for (int32_t o = 0; o < N_OBJECTS; o++)
			{
				edges += counts[u][o] > 0;
				assert_int_equal(graph_has_edge(&c.graph, u, o), counts[u][o] > 0);
			}
		assert_int_equal(c.graph.n_edges, edges);
		assert_int_equal(c.graph.n_duplicates, N_INTERACTIONS - edges);
		assert_true(c.graph.n_duplicates > 100);
		assert_int_equal(c.graph.n_capped, 0);
		assert_int_equal(c.graph.weights != NULL, i & 1);
		for (int32_t u = 0; c.graph.weights != NULL && u < N_USERS; u++)
			for (int64_t e = c.graph.offsets[u]; e < c.graph.offsets[u + 1]; e++)
				assert_close(c.graph.weights[e],
							 sums[u][c.graph.neighbours[e] - N_USERS] * edges / total, 1e-5);
		assert_int_equal(graph_degree(&c.graph, N_USERS - 1), 0);
		assert_int_equal(graph_degree(&c.graph, N_USERS + N_OBJECTS - 1), 0);
		close_case(&c);
	}
}

/* A table is not read in the same order twice. */
static void
order_of_rows_does_not_matter(void **state)
{
	static Rows rows;

	(void) state;
	draw_rows(&rows, 7);
	for (int i = 0; i < 4; i++)
	{
		Case		c;

		open_case(&c, &rows, 0, i & 1);
		build(&c, i & 2 ? 5 : 0, 8);
		for (uint64_t order = 1; order < 20; order++)
		{
			Case		other;

			open_case(&other, &rows, order, i & 1);
			build(&other, i & 2 ? 5 : 0, 8);
			assert_same_graph(&c.graph, &other.graph);
			assert_int_equal(c.graph.n_duplicates, other.graph.n_duplicates);
			assert_int_equal(c.graph.n_capped, other.graph.n_capped);
			close_case(&other);
		}
		close_case(&c);
	}
}

static void
weights_of_zero_stay_zero(void **state)
{
	static Rows rows;
	Case		c;

	(void) state;
	draw_rows(&rows, 9);
	memset(rows.weights, 0, sizeof(rows.weights));
	open_case(&c, &rows, 0, true);
	build(&c, 0, 0);
	for (int64_t e = 0; e < 2 * c.graph.n_edges; e++)
		assert_true(c.graph.weights[e] == 0);
	close_case(&c);
}

static void
graph_without_rows_is_empty(void **state)
{
	(void) state;
	for (int32_t n = 0; n < 3; n++)
	{
		TestHost	host;
		Arena		arena;
		Interactions none;
		Graph		graph;

		host_open(&host, 1);
		arena_open(&arena, &host.core);
		interactions_open(&none, &arena, true);
		assert_int_equal(graph_build(&host.core, &arena, &none, n, n, 3, 0, &graph), CORE_OK);
		assert_sound(&graph);
		assert_int_equal(graph.n_edges, 0);
		if (n > 0)
			assert_false(graph_has_edge(&graph, 0, 0));
		arena_close(&arena);
		host_assert_clean(&host);
	}
}

static void
too_large_graph_is_refused(void **state)
{
	TestHost	host;
	Arena		arena;
	Interactions interactions;
	Graph		graph;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	interactions_open(&interactions, &arena, false);
	assert_int_equal(graph_build(&host.core, &arena, &interactions, INT32_MAX, 1, 0, 0, &graph), CORE_INVALID);
	assert_non_null(strstr(host.core.detail, "2147483648 nodes"));
	host.core.status = CORE_OK;
	interactions.count = INT64_C(1) << 31;
	assert_int_equal(graph_build(&host.core, &arena, &interactions, 1, 1, 0, 0, &graph), CORE_INVALID);
	assert_non_null(strstr(host.core.detail, "2147483648 interactions"));
	arena_close(&arena);
}

static void
rows_can_be_renumbered(void **state)
{
	static Rows rows;
	int32_t		new_users[N_USERS];
	int32_t		new_objects[N_OBJECTS];
	Case		c,
				renumbered;

	(void) state;
	draw_rows(&rows, 10);
	for (int i = 0; i < N_USERS; i++)
		new_users[i] = (int32_t) random_place(1, RANDOM_TEST, N_USERS, i);
	for (int i = 0; i < N_OBJECTS; i++)
		new_objects[i] = (int32_t) random_place(2, RANDOM_TEST, N_OBJECTS, i);
	open_case(&c, &rows, 0, false);
	build(&c, 0, 0);
	open_case(&renumbered, &rows, 0, false);
	interactions_renumber(&renumbered.interactions, new_users, new_objects);
	build(&renumbered, 0, 0);
	assert_int_equal(c.graph.n_edges, renumbered.graph.n_edges);
	for (int32_t u = 0; u < N_USERS; u++)
		for (int32_t o = 0; o < N_OBJECTS; o++)
			assert_int_equal(graph_has_edge(&c.graph, u, o),
							 graph_has_edge(&renumbered.graph, new_users[u], new_objects[o]));
	close_case(&renumbered);
	close_case(&c);
}

/* ---- the degree cap ------------------------------------------------------------------------- */

static void
cap_bounds_every_list(void **state)
{
	static Rows rows;

	(void) state;
	draw_rows(&rows, 11);
	for (int32_t most = 1; most < 25; most += 3)
	{
		Case		all,
					c;

		open_case(&all, &rows, 0, true);
		build(&all, 0, 0);
		open_case(&c, &rows, 0, true);
		build(&c, most, 12);
		assert_sound(&c.graph);
		assert_int_equal(c.graph.n_capped, all.graph.n_edges - c.graph.n_edges);
		for (int32_t v = 0; v < c.graph.n_nodes; v++)
			assert_true(graph_degree(&c.graph, v) <= most);
		for (int32_t u = 0; u < N_USERS; u++)
			for (int32_t o = 0; o < N_OBJECTS; o++)
				assert_true(!graph_has_edge(&c.graph, u, o) || graph_has_edge(&all.graph, u, o));
		close_case(&c);
		close_case(&all);
	}
}

/* Where only users are over the cap they keep exactly as many as it allows; the weights
 * are scaled to mean 1 after that. */
static void
cap_takes_no_more_than_it_must(void **state)
{
	TestHost	host;
	Arena		arena;
	Interactions rows;
	Graph		graph;
	double		sum = 0;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	interactions_open(&rows, &arena, true);
	for (int32_t u = 0; u < 6; u++)
		for (int32_t o = 0; o <= 3 * u; o++)
			interactions_add(&rows, u, o, 1.0f + o);
	assert_int_equal(graph_build(&host.core, &arena, &rows, 6, 20, 7, 13, &graph), CORE_OK);
	for (int32_t u = 0; u < 6; u++)
		assert_int_equal(graph_degree(&graph, u), 3 * u + 1 < 7 ? 3 * u + 1 : 7);
	for (int64_t e = 0; e < graph.n_edges; e++)
		sum += graph.weights[e];
	assert_close(sum / graph.n_edges, 1, 1e-6);
	arena_close(&arena);
	host_assert_clean(&host);
}

/* The same for objects among what the users kept. */
static void
cap_of_objects_takes_no_more_than_it_must(void **state)
{
	TestHost	host;
	Arena		arena;
	Interactions rows;
	Graph		graph;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	interactions_open(&rows, &arena, false);
	for (int32_t o = 0; o < 6; o++)
		for (int32_t u = 0; u <= 3 * o; u++)	/* a user of one object each */
			interactions_add(&rows, 20 * o + u, o, 1);
	assert_int_equal(graph_build(&host.core, &arena, &rows, 120, 6, 7, 13, &graph), CORE_OK);
	for (int32_t o = 0; o < 6; o++)
		assert_int_equal(graph_degree(&graph, 120 + o), 3 * o + 1 < 7 ? 3 * o + 1 : 7);
	arena_close(&arena);
	host_assert_clean(&host);
}

/* Over many seeds each edge of a list is kept equally often. */
static void
cap_samples_uniformly(void **state)
{
	enum {DEGREE = 30, KEPT = 10, SEEDS = 2000};
	int			kept[DEGREE] = {0};

	(void) state;
	for (int seed = 0; seed < SEEDS; seed++)
	{
		TestHost	host;
		Arena		arena;
		Interactions rows;
		Graph		graph;

		host_open(&host, 1);
		arena_open(&arena, &host.core);
		interactions_open(&rows, &arena, false);
		for (int32_t o = 0; o < DEGREE; o++)
			interactions_add(&rows, 0, o, 1);
		graph_build(&host.core, &arena, &rows, 1, DEGREE, KEPT, seed, &graph);
		assert_int_equal(graph.n_edges, KEPT);
		for (int32_t o = 0; o < DEGREE; o++)
			kept[o] += graph_has_edge(&graph, 0, o);
		arena_close(&arena);
	}
	for (int o = 0; o < DEGREE; o++)	/* five standard deviations */
		assert_close((double) kept[o] / SEEDS, (double) KEPT / DEGREE, 5 * sqrt(2.0 / 9 / SEEDS));
}

/* ---- taking edges out ------------------------------------------------------------------------- */

static void
graph_without_leaves_the_rest(void **state)
{
	static Rows rows;

	(void) state;
	draw_rows(&rows, 14);
	for (int i = 0; i < 8; i++)
	{
		Case		c;
		Graph		rest;
		uint8_t    *drop;
		uint64_t	hashes[N_USERS + N_OBJECTS];
		int64_t		kept = 0;
		double		share = (i / 2) / 3.0;	/* none, a third ... all */

		open_case(&c, &rows, 0, i & 1);
		build(&c, 0, 0);
		c.graph.key_hashes = hashes;
		drop = arena_allocate(&c.arena, c.graph.n_edges, 1);
		for (int64_t e = 0; e < c.graph.n_edges; e++)
		{
			drop[e] = random_uniform(15, RANDOM_TEST, e) < share;
			kept += !drop[e];
		}
		assert_int_equal(graph_without(&c.host.core, &c.arena, &c.graph, drop, &rest), CORE_OK);
		assert_sound(&rest);
		assert_int_equal(rest.n_users, N_USERS);
		assert_int_equal(rest.n_objects, N_OBJECTS);
		assert_int_equal(rest.n_edges, kept);
		assert_ptr_equal(rest.key_hashes, hashes);
		if (kept == c.graph.n_edges)
			assert_same_graph(&rest, &c.graph);
		for (int64_t e = 0, place = 0; e < c.graph.n_edges; e++)
		{
			int32_t		user = c.graph.neighbours[c.graph.reverse[e]];

			assert_int_equal(graph_has_edge(&rest, user, c.graph.neighbours[e] - N_USERS), !drop[e]);
			if (drop[e])
				continue;
			assert_int_equal(rest.neighbours[place], c.graph.neighbours[e]);
			if (rest.weights != NULL)
				assert_true(rest.weights[place] == c.graph.weights[e]);
			place++;
		}
		close_case(&c);
	}
}

/* ---- failures ----------------------------------------------------------------------------------- */

/* Read, build with a cap, take a part out. */
static CoreStatus
build_and_split(Core *core, Arena *arena, void *argument)
{
	const Rows *rows = argument;
	Interactions interactions;
	Graph		graph,
				rest;
	uint8_t		drop[N_INTERACTIONS] = {1, 0, 1};

	if (interactions_open(&interactions, arena, true) != CORE_OK)
		return core->status;
	for (int i = 0; i < 4 * N_INTERACTIONS; i++)
		if (interactions_add(&interactions, rows->users[i % N_INTERACTIONS],
							 rows->objects[(i + i / N_INTERACTIONS) % N_INTERACTIONS], 1) != CORE_OK)
			return core->status;
	if (graph_build(core, arena, &interactions, N_USERS, N_OBJECTS, 8, 0, &graph) != CORE_OK)
		return core->status;
	return graph_without(core, arena, &graph, drop, &rest);
}

static void
building_survives_every_failure(void **state)
{
	static Rows rows;

	(void) state;
	draw_rows(&rows, 16);
	scenario_survives(build_and_split, &rows, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lists_hold_what_the_rows_say),
		cmocka_unit_test(order_of_rows_does_not_matter),
		cmocka_unit_test(weights_of_zero_stay_zero),
		cmocka_unit_test(graph_without_rows_is_empty),
		cmocka_unit_test(too_large_graph_is_refused),
		cmocka_unit_test(rows_can_be_renumbered),
		cmocka_unit_test(cap_bounds_every_list),
		cmocka_unit_test(cap_takes_no_more_than_it_must),
		cmocka_unit_test(cap_of_objects_takes_no_more_than_it_must),
		cmocka_unit_test(cap_samples_uniformly),
		cmocka_unit_test(graph_without_leaves_the_rest),
		cmocka_unit_test(building_survives_every_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
