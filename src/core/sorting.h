/*
 * sorting.h
 *		Sorting of (key, index) pairs, with an eye on requests to stop.
 *
 * A radix sort: stable, linear in n, and the same whatever the C library's qsort does.
 */
#ifndef BEHAVPRED_SORTING_H
#define BEHAVPRED_SORTING_H

#include "core.h"

#include <string.h>

typedef struct SortItem
{
	uint64_t	key;
	int64_t		index;
} SortItem;

/* True when item `a` must stand before item `b`, whose keys are equal. */
typedef bool (*SortTieRule) (const void *context, int64_t a, int64_t b);

/*
 * Sort by key, ascending.  Items with equal keys are ordered by `before`, or keep their
 * order when it is NULL.  Takes as much memory again from `arena` for the time of the call.
 */
extern CoreStatus sort_items(Core *core, Arena *arena, SortItem *items, int64_t n,
							 SortTieRule before, const void *context);

/* Keys whose unsigned order is that of the values. */
static inline uint64_t
sort_key_of_integer(int64_t value)
{
	return (uint64_t) value ^ (UINT64_C(1) << 63);
}

/* Minus zero and zero get the same key. */
static inline uint64_t
sort_key_of_double(double value)
{
	uint64_t	bits;

	value += 0.0;
	memcpy(&bits, &value, sizeof(bits));
	return (bits >> 63) ? ~bits : bits | (UINT64_C(1) << 63);
}

#endif
