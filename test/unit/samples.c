/*
 * samples.c
 *		Graphs, features and numbers for the encoder's tests.
 */
#include "samples.h"

void
sample_numbers(float *numbers, size_t n, uint64_t seed)
{
	for (size_t i = 0; i < n; i++)
		numbers[i] = sample_number(seed, i);
}

/* Build, without a cap, and forget the interactions. */
static void
build(Arena *arena, Arena *scratch, const Interactions *interactions,
	  int32_t n_users, int32_t n_objects, Graph *graph)
{
	assert_int_equal(graph_build(arena->core, arena, interactions, n_users, n_objects, 0, 0, graph),
					 CORE_OK);
	arena_close(scratch);
}

void
sample_graph_of_pairs(Arena *arena, int32_t n_users, int32_t n_objects,
					  const int32_t (*pairs)[2], const float *weights, int64_t n, Graph *graph)
{
	Interactions interactions;
	Arena		scratch;

	arena_open(&scratch, arena->core);
	interactions_open(&interactions, &scratch, weights != NULL);
	for (int64_t i = 0; i < n; i++)
		interactions_add(&interactions, pairs[i][0], pairs[i][1], weights != NULL ? weights[i] : 1);
	build(arena, &scratch, &interactions, n_users, n_objects, graph);
}

/* Squares of uniform numbers crowd at the low end. */
static int32_t
draw_crowded(int32_t n, uint64_t seed, uint64_t counter)
{
	double		u = random_uniform(seed, RANDOM_TEST, counter);

	return (int32_t) (u * u * (n - 1));
}

void
sample_graph(Arena *arena, int32_t n_users, int32_t n_objects, int64_t n_edges,
			 bool weighted, uint64_t seed, Graph *graph)
{
	Interactions interactions;
	Arena		scratch;

	arena_open(&scratch, arena->core);
	interactions_open(&interactions, &scratch, weighted);
	for (int64_t i = 0; i < n_edges; i++)
		interactions_add(&interactions, draw_crowded(n_users, seed, 3 * i),
						 draw_crowded(n_objects, seed, 3 * i + 1),
						 0.1f + (float) random_uniform(seed, RANDOM_TEST, 3 * i + 2));
	build(arena, &scratch, &interactions, n_users, n_objects, graph);
}

void
sample_types(Arena *arena, uint64_t seed, Graph *graph)
{
	static const uint8_t sets[] = {1, 1, 1, 2, 3, 3, 4, 4, 5, 7};

	graph->types = arena_allocate(arena, 2 * graph->n_edges, 1);
	assert_non_null(graph->types);
	for (int64_t e = 0; e < graph->n_edges; e++)
		graph->types[e] = graph->types[graph->reverse[e]] = sets[random_below(seed, RANDOM_TEST, e, sizeof(sets))];
	graph->n_types = 3;
	graph->predicted = 4;
	graph->type_weights[0] = 0.5f;
	graph->type_weights[1] = 1;
	graph->type_weights[2] = 1.5f;
}

void
sample_block_graph(Arena *arena, int32_t n_users, int32_t n_objects, int blocks,
				   int degree, uint64_t seed, Graph *graph)
{
	Interactions interactions;
	Arena		scratch;
	int32_t		size = n_objects / blocks;

	arena_open(&scratch, arena->core);
	interactions_open(&interactions, &scratch, false);
	for (int32_t user = 0; user < n_users; user++)
		for (int i = 0; i < degree; i++)
		{
			uint64_t	counter = 2 * ((uint64_t) user * degree + i);
			bool		own = random_uniform(seed, RANDOM_TEST, counter) < 0.9;
			int32_t		object = (int32_t) random_below(seed, RANDOM_TEST, counter + 1,
														own ? size : n_objects);

			interactions_add(&interactions, user, own ? user % blocks * size + object : object, 1);
		}
	build(arena, &scratch, &interactions, n_users, n_objects, graph);
}

void
sample_features(Arena *arena, int32_t rows, int32_t columns, uint64_t seed, Features *features)
{
	*features = (Features) {.rows = rows, .columns = columns, .values = arena_floats(arena, (size_t) rows * columns)};
	assert_non_null(features->values);
	sample_numbers(features->values, (size_t) rows * columns, seed);
}
