/*
 * generated.c
 *		A graph of any size for benchmarks.
 */
#include "generated.h"

#include <math.h>

#include "clocks.h"
#include "core/random.h"

#define SEED 7

/* A number 0 .. n - 1: density falls like the inverse square root of the place, so that the
 * first hundredth is drawn ten times as often as on average. */
static int32_t
draw(int64_t stream, int64_t item, int32_t n)
{
	double		share = random_uniform(SEED, stream, item);

	return (int32_t) (n * share * share);
}

/* Places are scattered: neighbouring numbers shall not be alike. */
static int32_t
scatter(int32_t place, int32_t n)
{
	return (int32_t) random_place(SEED, RANDOM_TEST, n, place);
}

void
generate_graph(Core *core, Arena *arena, int32_t users, int32_t objects, int64_t edges, Graph *graph)
{
	Arena		scratch;
	Interactions pairs;

	arena_open(&scratch, core);
	interactions_open(&pairs, &scratch, false);
	for (int64_t i = 0; i < edges && core->status == CORE_OK; i++)
		interactions_add(&pairs, scatter(draw(RANDOM_TEST, 2 * i, users), users),
						 scatter(draw(RANDOM_TEST, 2 * i + 1, objects), objects), 1);
	check(core, "generating");
	graph_build(core, arena, &pairs, users, objects, 0, SEED, graph);
	arena_close(&scratch);
	check(core, "building the graph");
	core->memory_peak = core->memory_used;	/* what the generation took does not count */
}
