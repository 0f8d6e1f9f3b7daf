/*
 * test_optimizer.c
 *		Adam over a network's parameters against a plain loop in double.
 */
#include "samples.h"

#include <math.h>
#include <string.h>

#include "core/optimizer.h"

typedef struct Case
{
	TestHost	host;
	Arena		arena;
	Graph		graph;
	EncoderOptions options;
	Network		network;
	Optimizer	optimizer;
} Case;

/* More parameters than one shard of the optimizer holds. */
static void
open_case(Case *c, int threads, bool portable, float weight_decay)
{
	host_open(&c->host, threads);
	c->host.core.portable = portable;
	arena_open(&c->arena, &c->host.core);
	sample_graph(&c->arena, 1500, 600, 4000, false, 1, &c->graph);
	encoder_defaults(&c->options, &c->graph);
	c->options.weight_decay = weight_decay;
	c->options.mapping = MAPPING_LINEAR;
	assert_int_equal(network_open(&c->network, &c->host.core, &c->arena, &c->graph, NULL, NULL,
								  &c->options, true), CORE_OK);
	assert_int_equal(optimizer_open(&c->optimizer, &c->arena, &c->network), CORE_OK);
	assert_true(c->network.layout.total > 2 * 65536);
}

static void
close_case(Case *c)
{
	arena_close(&c->arena);
	host_assert_clean(&c->host);
}

static bool
is_bias(const Case *c, size_t i)
{
	return i >= c->network.layout.object_bias &&
		i < c->network.layout.object_bias + (size_t) c->graph.n_objects;
}

/* One element through all steps, as in the paper; the gradient of step s is a number. */
static double
plain_adam(double x, double decay, double rate, int steps, size_t i)
{
	double		m = 0;
	double		v = 0;

	for (int step = 1; step <= steps; step++)
	{
		double		g = sample_number(step, i) + decay * x;

		m = 0.9 * m + 0.1 * g;
		v = 0.999 * v + 0.001 * g * g;
		x -= rate * m / (1 - pow(0.9, step)) / sqrt(v / (1 - pow(0.999, step)));
	}
	return x;
}

/* The object bias is spared weight decay. */
static void
steps_follow_the_paper(void **state)
{
	const int	steps = 5;

	(void) state;
	for (int portable = 0; portable < 2; portable++)
	{
		Case		c;
		float	   *before;

		open_case(&c, 2, portable, 0.1f);
		before = arena_floats(&c.arena, c.network.layout.total);
		memcpy(before, c.network.parameters, c.network.layout.total * sizeof(float));
		for (int step = 1; step <= steps; step++)
		{
			sample_numbers(c.network.gradients, c.network.layout.total, step);
			assert_int_equal(optimizer_step(&c.optimizer, 0.01), CORE_OK);
		}
		for (size_t i = 0; i < c.network.layout.total; i += 7)
			assert_close(c.network.parameters[i],
						 plain_adam(before[i], is_bias(&c, i) ? 0 : 0.1, 0.01, steps, i), 2e-4);
		close_case(&c);
	}
}

/* What fills rows up to whole lanes has no gradient, and must not move. */
static void
no_gradient_no_move(void **state)
{
	Case		c;
	float	   *before;

	(void) state;
	open_case(&c, 1, false, 0);
	before = arena_floats(&c.arena, c.network.layout.total);
	memcpy(before, c.network.parameters, c.network.layout.total * sizeof(float));
	memset(c.network.gradients, 0, c.network.layout.total * sizeof(float));
	for (int step = 0; step < 3; step++)
		assert_int_equal(optimizer_step(&c.optimizer, 0.01), CORE_OK);
	assert_memory_equal(before, c.network.parameters, c.network.layout.total * sizeof(float));
	close_case(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(steps_follow_the_paper),
		cmocka_unit_test(no_gradient_no_move),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
