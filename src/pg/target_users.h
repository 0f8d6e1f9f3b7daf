/*
 * target_users.h
 *		The users that the models of one graph's targets are trained on.
 *
 * Made for many targets at once: the interactions and the embeddings are read once for all
 * of them.  Kept are the vectors of users who are known to belong to a target, and of those
 * who can become negatives of one; the others stream by.
 */
#ifndef BEHAVPRED_TARGET_USERS_H
#define BEHAVPRED_TARGET_USERS_H

#include "postgres.h"

#include "core/dictionary.h"
#include "pg/target_members.h"
#include "pg/target_teacher.h"

/* More positives and negatives than these make a model slower, not better: of a larger
 * target those with the smallest hashes of (seed, key) are taken. */
#define TARGET_MOST_POSITIVES 100000
#define TARGET_MOST_NEGATIVES 1000000

typedef struct SamplingOptions
{
	double		negative_ratio; /* negatives for each positive */
	int64		least_negatives;	/* but at least so many, when there are */
	uint64		seed;
} SamplingOptions;

/* A user who is known to belong to at least one target. */
typedef struct KnownUser
{
	uint64		hash;			/* of the key */
	uint64		order;			/* place in the random order in which samples are taken */
	int64		row;			/* of the vector, -1 = not kept */
	bool		kept;			/* among the first TARGET_MOST_POSITIVES of a target */
	bool		candidate;		/* has an embedding and is among the candidates */
	int32		marked;			/* scratch of target_sample_draw(): target + 1 */
} KnownUser;

/* A user whose vector is kept. */
typedef struct KeptUser
{
	uint64		hash;
	uint64		order;
	int32		degree;
	int32		known;			/* number among the known, -1 = unknown */
	bool		shielded;
	bool		pinned;			/* a positive of a target: never makes room for another */
} KeptUser;

/* Rows of users that may become negatives: those first in order, as a heap, last on top. */
typedef struct NegativeDraw
{
	int64		n;
	int64		capacity;
	int64	   *rows;
} NegativeDraw;

typedef struct TargetUsers
{
	Arena	   *arena;
	const GraphRun *run;
	SamplingOptions options;
	TargetMembers members;		/* to be filled before the reading */
	KnownUser  *known_users;	/* by number in members.known */
	int32	   *ordered;		/* the members of each target, from its members.starts on, in order */
	Dictionary	named_negatives;
	bool		only_named;		/* nobody else is a negative */

	int			width;			/* 0 before the first vector */
	int64		n_rows;
	int64		capacity;
	KeptUser   *rows;
	float	   *vectors;		/* n_rows x width */
	int64		wanted;			/* negatives to be kept, of each sort */
	NegativeDraw draws[2];		/* of users that are not and that are shielded from targets */
	int64		candidates;		/* seen so far */
	int64		n_drawn;
	int64	   *drawn;			/* rows of both draws, in order */
} TargetUsers;

/* Begin, for so many targets; all memory is the arena's. */
extern void target_users_open(TargetUsers *users, Arena *arena, const GraphDefinition *graph,
							  const GraphRun *run, const SamplingOptions *options, int n_targets);

/*
 * One reading of the embeddings of the users of `candidates` (NULL = all of the graph); the
 * users of `negatives` alone may become negatives, unless it is NULL.
 */
extern void target_users_read(TargetUsers *users, const char *candidates, const char *negatives);

/* What a row of the embeddings is read for. */
typedef enum UserUse
{
	USE_AS_MEMBER = 1,			/* of the targets that he is known to belong to */
	USE_AS_NEGATIVE = 2			/* if he is early enough in order */
} UserUse;

/* Take one candidate, for one use or both; of somebody who is of no use nothing is kept. */
extern void target_users_take(TargetUsers *users, const Key *key, Datum embedding, int32 degree, int uses);

/* How many users are known to belong to it, those without an embedding among them. */
extern int64 target_users_known(const TargetUsers *users, int target);

/* Negatives that a target wants. */
extern int64 target_users_wanted(const TargetUsers *users, int target);

#endif
