/*
 * test_network.c
 *		Hidden edges: they take no part in propagation, and come back unchanged.
 */
#include <math.h>
#include <string.h>

#include "core/network.h"
#include "samples.h"
#include "support.h"

typedef struct Case
{
	TestHost	host;
	Arena		arena;
	Graph		graph;
	EncoderOptions options;
	Network		network;
} Case;

static void
open_case(Case *c, RoutingRule routing, AttentionRule attention, bool weighted)
{
	host_open(&c->host, 1);
	arena_open(&c->arena, &c->host.core);
	sample_graph(&c->arena, 40, 20, 200, weighted, 3, &c->graph);
	encoder_defaults(&c->options, &c->graph);
	c->options.dimension = 32;
	c->options.layers = 1;
	c->options.routing = routing;
	c->options.attention = attention;
	core_start_workers(&c->host.core);
	assert_int_equal(network_open(&c->network, &c->host.core, &c->arena, &c->graph, NULL, NULL,
								  &c->options, true), CORE_OK);
	assert_int_equal(network_forward(&c->network), CORE_OK);
}

static void
close_case(Case *c)
{
	core_stop_workers(&c->host.core);
	arena_close(&c->arena);
	host_assert_clean(&c->host);
}

/* A copy of all unit vectors. */
static float *
copy_units(Case *c)
{
	size_t		n = (size_t) c->graph.n_nodes * c->network.width;
	float	   *copy = arena_floats(&c->arena, n);

	memcpy(copy, c->network.unit, n * sizeof(float));
	return copy;
}

/* Move what a node starts from; true when another node's vector follows. */
static bool
follows(Case *c, int32_t node, int32_t moved)
{
	float	   *start = c->network.parameters + c->network.layout.id_embeddings +
		(size_t) moved * c->network.width;
	float	   *before = copy_units(c);
	float	   *kept = arena_floats(&c->arena, c->network.width);
	size_t		row = (size_t) node * c->network.width;
	bool		same;

	memcpy(kept, start, c->network.width * sizeof(float));
	for (int i = 0; i < c->network.width; i++)
		start[i] += i % 3 == 0 ? 0.5f : -0.25f;
	assert_int_equal(network_forward(&c->network), CORE_OK);
	same = memcmp(before + row, c->network.unit + row, c->network.width * sizeof(float)) == 0;
	memcpy(start, kept, c->network.width * sizeof(float));
	assert_int_equal(network_forward(&c->network), CORE_OK);
	return !same;
}

static void
check_hiding(RoutingRule routing, AttentionRule attention, bool weighted)
{
	Case		c;
	int64_t		entry;
	int32_t		user = 0;
	int32_t		object;
	float	   *before;

	open_case(&c, routing, attention, weighted);
	while (graph_degree(&c.graph, user) < 2)
		user++;
	entry = c.graph.offsets[user] + 1;
	object = c.graph.neighbours[entry];
	before = copy_units(&c);
	assert_true(follows(&c, user, object));
	assert_true(follows(&c, object, user));

	network_hide_edges(&c.network, &entry, 1);
	assert_int_equal(network_forward(&c.network), CORE_OK);
	assert_false(follows(&c, user, object));
	assert_false(follows(&c, object, user));
	assert_true(follows(&c, user, c.graph.neighbours[entry - 1]));

	network_show_edges(&c.network, &entry, 1);
	assert_int_equal(network_forward(&c.network), CORE_OK);
	assert_memory_equal(before, c.network.unit,
						(size_t) c.graph.n_nodes * c.network.width * sizeof(float));
	close_case(&c);
}

static void
hidden_edges_send_nothing(void **state)
{
	(void) state;
	for (int weighted = 0; weighted < 2; weighted++)
		for (int attention = 0; attention < ATTENTION_RULES; attention++)
			for (int routing = 0; routing < ROUTING_RULES; routing++)
				check_hiding(routing, attention, weighted);
}

/* All edges of a node hidden: nothing divides by zero. */
static void
all_edges_may_be_hidden(void **state)
{
	(void) state;
	for (int attention = 0; attention < ATTENTION_RULES; attention++)
		for (int routing = 0; routing < ROUTING_RULES; routing++)
		{
			Case		c;

			open_case(&c, routing, attention, false);
			for (int64_t e = 0; e < c.graph.n_edges; e++)
				network_hide_edges(&c.network, &e, 1);
			assert_int_equal(network_forward(&c.network), CORE_OK);
			for (size_t i = 0; i < (size_t) c.graph.n_nodes * c.network.width; i++)
				assert_true(isfinite(c.network.unit[i]));
			close_case(&c);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hidden_edges_send_nothing),
		cmocka_unit_test(all_edges_may_be_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
