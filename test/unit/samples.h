/*
 * samples.h
 *		Small graphs, features and numbers that the encoder's tests are made of; the same
 *		in every run.
 */
#ifndef BEHAVPRED_TEST_SAMPLES_H
#define BEHAVPRED_TEST_SAMPLES_H

#include "support.h"

#include "core/encoder.h"
#include "core/features.h"
#include "core/graph.h"
#include "core/random.h"

/* Rules of routing times rules of attention: what a sweep over all of them counts by. */
#define RULE_PAIRS (ROUTING_RULES * ATTENTION_RULES)

/* Uniform in -1 .. 1. */
static inline float
sample_number(uint64_t seed, uint64_t counter)
{
	return (float) (2 * random_uniform(seed, RANDOM_TEST, counter) - 1);
}

extern void sample_numbers(float *numbers, size_t n, uint64_t seed);

/* The graph of `n` pairs (user, object); weights may be NULL. */
extern void sample_graph_of_pairs(Arena *arena, int32_t n_users, int32_t n_objects,
								  const int32_t (*pairs)[2], const float *weights, int64_t n,
								  Graph *graph);

/*
 * About n_edges edges, drawn so that the first users and objects have many and the last
 * few; the last user and the last object have none.
 */
extern void sample_graph(Arena *arena, int32_t n_users, int32_t n_objects, int64_t n_edges,
						 bool weighted, uint64_t seed, Graph *graph);

/* Give the edges of a graph three behaviours, the last to be predicted: about two in five have it,
 * half of them with another. */
extern void sample_types(Arena *arena, uint64_t seed, Graph *graph);

/*
 * Users and objects in `blocks` blocks of like size: each user has `degree` edges, nine of
 * ten into his own block, so that who knows the blocks ranks far better than popularity.
 */
extern void sample_block_graph(Arena *arena, int32_t n_users, int32_t n_objects, int blocks,
							   int degree, uint64_t seed, Graph *graph);

extern void sample_features(Arena *arena, int32_t rows, int32_t columns, uint64_t seed,
							Features *features);

#endif
