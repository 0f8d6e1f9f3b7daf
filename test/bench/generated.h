/*
 * generated.h
 *		A graph of any size for benchmarks: users of uneven activity, objects of uneven popularity,
 *		no structure to learn.
 */
#ifndef BEHAVPRED_GENERATED_H
#define BEHAVPRED_GENERATED_H

#include "core/graph.h"

/* About `edges` distinct pairs (a few less); ends the program when there is no memory. */
extern void generate_graph(Core *core, Arena *arena, int32_t users, int32_t objects, int64_t edges, Graph *graph);

#endif
