/*
 * top_users.h
 *		The best users for each of many models, from users that stream by in panels.
 *
 * Floor: 2 * users * models * width operations on whole numbers of 16 bits (screening.h), and
 * 6 * width bytes written and read of each user.  They only say who may be among the best; those
 * few are scored as student_logit() does, so that the result is the same to the last bit as that
 * of one model alone.
 */
#ifndef BEHAVPRED_TOP_USERS_H
#define BEHAVPRED_TOP_USERS_H

#include "core.h"
#include "dictionary.h"
#include "ranking.h"
#include "screening.h"
#include "student.h"

typedef struct TopUser
{
	double		score;			/* logit */
	int64_t		user;			/* number in the dictionary of keys */
} TopUser;

/* The best users of one model so far, in no order, and some more that wait to be cut off. */
typedef struct TopList
{
	int64_t		n;
	int64_t		size;			/* how many are wanted */
	double		least;			/* lower scores cannot be among them any more */
	bool		again;			/* `least` was guessed too high: scratch of top_users_add() */
	TopUser    *users;			/* room for 2 * size */
} TopList;

typedef struct TopUsers
{
	Core	   *core;
	Arena	   *arena;
	int			n_models;
	int			width;			/* of all models */
	const Student *const *models;
	TopList    *lists;
	float	   *weights;		/* n_models x width; of models with hidden layers 0 */
	ScreenRows	screened;		/* the same as whole numbers */
	const Dictionary *keys;		/* of users: equal scores are ordered by key */
	const Lists *excluded;		/* for each known user the models that leave him out, or NULL */
} TopUsers;

/* All models take vectors of the same width; the lists hold `size` users. */
extern CoreStatus top_users_open(TopUsers *top, Core *core, Arena *arena, int n_models,
								 const Student *const *models, int64_t size, const Dictionary *keys,
								 const Lists *excluded);

/*
 * Look at users first .. first + panel->count - 1; known[i] (may be NULL) is the number by
 * which `excluded` knows the panel's user i, -1 = not at all.  The workers are the caller's.
 */
extern CoreStatus top_users_add(TopUsers *top, const Vectors *panel, int64_t first, const int32_t *known);

/* Bring each list in order, best first. */
extern CoreStatus top_users_finish(TopUsers *top);

#endif
