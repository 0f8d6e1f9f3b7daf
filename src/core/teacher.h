/*
 * teacher.h
 *		Scores that the graph network gives to users, for the soft labels of a target.
 */
#ifndef BEHAVPRED_TEACHER_H
#define BEHAVPRED_TEACHER_H

#include "core.h"
#include "ranking.h"

/*
 * The best dot product of each user with one of the objects, at least one; by panels of
 * sgemm, so that thousands of objects cost what their products cost.
 */
extern CoreStatus teacher_best_scores(Core *core, Arena *arena, const Vectors *users,
									  const Vectors *objects, double *scores);

/*
 * What stands for an object that the network has not seen, made of the vectors of its
 * seeds: their mean, each of the `factors` subspaces and so the whole as long as an object's
 * would be, no bias, and 1 for the activity of users.  A dimension that factors do not
 * divide counts as one subspace.  `chosen` (may be NULL = all) marks the users that are seeds.
 */
extern void teacher_from_seeds(const Vectors *users, const uint8_t *chosen, uint8_t mark,
							   int factors, float *teacher);

#endif
