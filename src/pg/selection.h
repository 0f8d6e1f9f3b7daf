/*
 * selection.h
 *		The best of many scored keys: largest score first, ties by key.
 */
#ifndef BEHAVPRED_SELECTION_H
#define BEHAVPRED_SELECTION_H

#include "postgres.h"

#include "fmgr.h"

#include "core/dictionary.h"

/* One scored key; a byte key stands in the pool. */
typedef struct ScoredKey
{
	double		score;
	int64		integer;		/* the key, or where its bytes start in the pool */
	int32		length;			/* of its bytes */
} ScoredKey;

typedef struct Selection
{
	Arena	   *arena;
	KeyKind		kind;
	int64		limit;			/* how many are wanted at most, 0 = all */
	double		least_score;	/* lower ones cannot be among them any more */
	int64		n;
	int64		capacity;
	ScoredKey  *entries;
	char	   *pool;
	size_t		pool_used;
	size_t		pool_capacity;
} Selection;

extern void selection_open(Selection *selection, Arena *arena, KeyKind kind, int64 limit);

/* Offer a key.  With a limit the list is cut now and then, so that memory stays near it. */
extern void selection_add(Selection *selection, const Key *key, double score);

/* Sort, and keep the best `limit` (0 = all). */
extern void selection_finish(Selection *selection, int64 limit);

/* The key of an entry; its bytes point into the pool. */
extern Key	selection_key(const Selection *selection, const ScoredKey *entry);

/* Return the selection as rows of (rank int, key text, score float8). */
extern void selection_return(FunctionCallInfo fcinfo, const Selection *selection, Oid key_type);

#endif
