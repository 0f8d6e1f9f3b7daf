/*
 * sorting.c
 *		Radix sort by byte, least significant first; ties by a merge sort with a rule.
 *
 * Bytes that are the same in all keys cost nothing but a look.  The host is asked
 * every 2^17 items, some milliseconds of work.
 */
#include "core/sorting.h"

#define KEY_BYTE_COUNT 8
#define ITEMS_BETWEEN_LOOKS (1 << 17)

typedef struct Sorter
{
	Core	   *core;
	SortItem   *items;
	SortItem   *scratch;
	int64_t		n;
	SortTieRule before;
	const void *context;
	int64_t		since_look;		/* items moved since the host was asked */
} Sorter;

/* Count `moved` more items; false when the host asks to stop. */
static bool
sorter_continues(Sorter *sorter, int64_t moved)
{
	sorter->since_look += moved;
	if (sorter->since_look < ITEMS_BETWEEN_LOOKS)
		return true;
	sorter->since_look = 0;
	return core_continues(sorter->core);
}

/* How often each value of each key byte occurs. */
static bool
count_bytes(Sorter *sorter, int64_t counts[KEY_BYTE_COUNT][256])
{
	memset(counts, 0, KEY_BYTE_COUNT * sizeof(counts[0]));
	for (int64_t i = 0; i < sorter->n; i++)
	{
		for (int byte = 0; byte < KEY_BYTE_COUNT; byte++)
			counts[byte][(sorter->items[i].key >> (8 * byte)) & 0xFF]++;
		if (!sorter_continues(sorter, 1))
			return false;
	}
	return true;
}

/* Move all items to their places by one byte of the key, and swap the two arrays. */
static bool
distribute_by_byte(Sorter *sorter, int byte, const int64_t counts[256])
{
	SortItem   *from = sorter->items;
	SortItem   *to = sorter->scratch;
	int64_t		places[256];
	int64_t		place = 0;

	for (int value = 0; value < 256; value++)
	{
		places[value] = place;
		place += counts[value];
	}
	for (int64_t i = 0; i < sorter->n; i++)
	{
		to[places[(from[i].key >> (8 * byte)) & 0xFF]++] = from[i];
		if (!sorter_continues(sorter, 1))
			return false;
	}
	sorter->items = to;
	sorter->scratch = from;
	return true;
}

/* Sort by the whole key. */
static bool
sort_by_key(Sorter *sorter)
{
	int64_t		counts[KEY_BYTE_COUNT][256];

	if (!count_bytes(sorter, counts))
		return false;
	for (int byte = 0; byte < KEY_BYTE_COUNT; byte++)
	{
		int			first = (int) ((sorter->items[0].key >> (8 * byte)) & 0xFF);

		if (counts[byte][first] < sorter->n && !distribute_by_byte(sorter, byte, counts[byte]))
			return false;
	}
	return true;
}

/* Merge the sorted stretches from[begin .. middle) and from[middle .. end). */
static void
merge(const Sorter *sorter, const SortItem *from, SortItem *to, int64_t begin, int64_t middle, int64_t end)
{
	int64_t		left = begin;
	int64_t		right = middle;

	for (int64_t i = begin; i < end; i++)
	{
		bool		take_right = left == middle ||
			(right < end && sorter->before(sorter->context, from[right].index, from[left].index));

		to[i] = take_right ? from[right++] : from[left++];
	}
}

/* Order items[begin .. end), whose keys are equal, by the rule. */
static bool
sort_tie(Sorter *sorter, int64_t begin, int64_t end)
{
	SortItem   *from = sorter->items;
	SortItem   *to = sorter->scratch;

	for (int64_t width = 1; width < end - begin; width *= 2)
	{
		SortItem   *swap = from;

		for (int64_t left = begin; left < end; left += 2 * width)
		{
			int64_t		middle = left + width < end ? left + width : end;
			int64_t		right = middle + width < end ? middle + width : end;

			merge(sorter, from, to, left, middle, right);
			if (!sorter_continues(sorter, right - left))
				return false;
		}
		from = to;
		to = swap;
	}
	if (from != sorter->items)
		memcpy(sorter->items + begin, from + begin, (size_t) (end - begin) * sizeof(SortItem));
	return true;
}

/* Find the stretches of equal keys and order each. */
static bool
sort_ties(Sorter *sorter)
{
	int64_t		begin = 0;

	while (begin < sorter->n)
	{
		int64_t		end = begin + 1;

		while (end < sorter->n && sorter->items[end].key == sorter->items[begin].key)
			end++;
		if (end - begin > 1 && !sort_tie(sorter, begin, end))
			return false;
		begin = end;
	}
	return true;
}

/* See sorting.h. */
CoreStatus
sort_items(Core *core, Arena *arena, SortItem *items, int64_t n, SortTieRule before, const void *context)
{
	SortItem   *scratch;
	Sorter		sorter = {core, items, NULL, n, before, context, 0};

	if (n < 2)
		return core->status;
	scratch = arena_allocate(arena, (size_t) n, sizeof(SortItem));
	if (scratch == NULL)
		return core->status;
	sorter.scratch = scratch;

	if (sort_by_key(&sorter) && (before == NULL || sort_ties(&sorter)) && sorter.items != items)
		memcpy(items, sorter.items, (size_t) n * sizeof(SortItem));
	arena_release(arena, scratch);
	return core->status;
}
