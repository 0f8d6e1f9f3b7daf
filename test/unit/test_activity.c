/*
 * test_activity.c
 *		The activity of users: against its definition, and what it is for.
 */
#include "support.h"

#include <math.h>
#include <string.h>

#include "core/activity.h"
#include "core/random.h"
#include "core/vectors.h"

#define USERS 150				/* more than one panel, the last one not full */
#define WIDTH 5

typedef struct Case
{
	int32_t		n_objects;
	float	   *vectors;
	Graph		graph;
} Case;

/* Users with 0, 1, 2 ... objects, and random vectors of the stored form. */
static void
open_case(Case *c, Core *core, Arena *arena, int32_t n_objects)
{
	Interactions pairs;
	size_t		n = (size_t) (USERS + n_objects) * WIDTH;

	c->n_objects = n_objects;
	if (interactions_open(&pairs, arena, false) != CORE_OK)
		return;
	for (int32_t u = 0; u < USERS; u++)
		for (int32_t o = 0; o < u % 7; o++)
			if (interactions_add(&pairs, u, (u + o) % n_objects, 1) != CORE_OK)
				return;
	graph_build(core, arena, &pairs, USERS, n_objects, 0, 1, &c->graph);
	c->vectors = arena_floats(arena, n);
	if (core->status != CORE_OK)
		return;
	for (size_t i = 0; i < n; i++)
		c->vectors[i] = (float) random_normal(3, RANDOM_TEST, i) / 2;
	for (int32_t v = 0; v < USERS + n_objects; v++)
		c->vectors[(size_t) (v + 1) * WIDTH - (v < USERS ? 2 : 1)] = 1;
}

/* log(1 + degree) - log of the mean of exp(score) over all objects: the mean differs from the
 * sum by what is the same for all users. */
static double
defined_activity(const Case *c, int32_t user)
{
	const float *vector = c->vectors + (size_t) user * WIDTH;
	double		sum = 0;

	for (int32_t o = 0; o < c->n_objects; o++)
		sum += exp(vectors_dot(vector, c->vectors + (size_t) (USERS + o) * WIDTH, WIDTH - 1));
	return log1p((double) graph_degree(&c->graph, user)) - log(sum / c->n_objects);
}

static void
assert_as_defined(int32_t n_objects, double tolerance)
{
	TestHost	host;
	Arena		arena;
	Case		c;
	double		mean = 0;

	host_open(&host, 2);
	arena_open(&arena, &host.core);
	core_start_workers(&host.core);
	open_case(&c, &host.core, &arena, n_objects);
	assert_int_equal(activity_fill(&host.core, &c.graph, 7, c.vectors, WIDTH), CORE_OK);
	for (int32_t u = 0; u < USERS; u++)
		mean += defined_activity(&c, u) / USERS;
	for (int32_t u = 0; u < USERS; u++)
		assert_close(c.vectors[(size_t) (u + 1) * WIDTH - 1], defined_activity(&c, u) - mean, tolerance);
	core_stop_workers(&host.core);
	arena_close(&arena);
	host_assert_clean(&host);
}

static void
all_objects_give_the_definition(void **state)
{
	(void) state;
	assert_as_defined(40, 1e-5);
	assert_as_defined(1, 1e-5);
}

static void
drawn_objects_come_close(void **state)
{
	(void) state;
	assert_as_defined(3 * ACTIVITY_OBJECTS, 0.2);
}

/* Scores whose exp is beyond any float. */
static void
large_scores_stay_finite(void **state)
{
	TestHost	host;
	Arena		arena;
	Case		c;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	open_case(&c, &host.core, &arena, 20);
	for (size_t i = 0; i < (size_t) USERS * WIDTH; i++)
		c.vectors[i] *= 1000;
	assert_int_equal(activity_fill(&host.core, &c.graph, 7, c.vectors, WIDTH), CORE_OK);
	for (int32_t u = 0; u < USERS; u++)
		assert_true(isfinite(c.vectors[(size_t) (u + 1) * WIDTH - 1]));
	arena_close(&arena);
	host_assert_clean(&host);
}

/* Scenario: the vectors with activity; compared with those of the first run. */
static CoreStatus
fill(Core *core, Arena *arena, void *argument)
{
	Case	   *first = argument;
	Case		c;

	core_start_workers(core);
	open_case(&c, core, arena, 300);
	if (core->status == CORE_OK)
		activity_fill(core, &c.graph, 7, c.vectors, WIDTH);
	core_stop_workers(core);
	if (core->status == CORE_OK && first->vectors != NULL)
		assert_memory_equal(c.vectors, first->vectors, (size_t) (USERS + 300) * WIDTH * sizeof(float));
	return core->status;
}

static void
threads_and_failures_change_nothing(void **state)
{
	TestHost	host;
	Arena		arena;
	Case		first;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	open_case(&first, &host.core, &arena, 300);
	assert_int_equal(activity_fill(&host.core, &first.graph, 7, first.vectors, WIDTH), CORE_OK);
	scenario_run(fill, &first, 2);
	scenario_run(fill, &first, 4);
	scenario_survives(fill, &first, 1);
	arena_close(&arena);
	host_assert_clean(&host);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_objects_give_the_definition),
		cmocka_unit_test(drawn_objects_come_close),
		cmocka_unit_test(large_scores_stay_finite),
		cmocka_unit_test(threads_and_failures_change_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
