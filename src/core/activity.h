/*
 * activity.h
 *		The number of a user's vector that makes users comparable.
 *
 * The network learns what a user takes when he takes something: p(o | u) = exp(S(u, o)) / Z(u)
 * with Z(u) = sum over objects of exp(S(u, o)).  For the question who takes an object that is
 * not enough: the interactions to be expected are degree(u) p(o | u).  Their logarithm is
 * S(u, o) + a(u) with
 *		a(u) = log(1 + degree(u)) - log Z(u),
 * stored in the last place of a user's vector, where objects have 1, so that the dot product
 * is the sum.  The order of objects for one user does not change.
 */
#ifndef BEHAVPRED_ACTIVITY_H
#define BEHAVPRED_ACTIVITY_H

#include "core.h"
#include "graph.h"

#define ACTIVITY_OBJECTS 4096	/* Z is a sum over so many, drawn uniformly without repeats */

/*
 * Fill in the last of the `width` numbers of all users' vectors (n_nodes x width, objects
 * after users), so that its mean over users is 0.  Degrees are those of `graph`.
 */
extern CoreStatus activity_fill(Core *core, const Graph *graph, uint64_t seed, float *vectors, int width);

/*
 * Fill in the last of the `width` numbers of `n_users` vectors, not centred, Z over the vectors of
 * n_objects objects.  offsets[i + 1] - offsets[i] is the degree of user i.
 */
extern CoreStatus activity_measure(Core *core, int32_t n_objects, const float *objects,
								   int32_t n_users, const int64_t *offsets, float *vectors, int width);

/* Bytes that activity_fill() takes for a while. */
extern size_t activity_scratch_bytes(int64_t n_objects, int width, int threads);

#endif
