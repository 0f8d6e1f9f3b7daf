/*
 * selection.c
 *		The best of many scored keys: largest score first, ties by key.
 *
 * Entries are collected and cut back to the limit whenever twice as many (and at least
 * 64k) have come together; what is worse than the last that was left is refused from then
 * on.  So a long stream in random order is sorted a few times only, in memory of twice the
 * limit.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"

#include "pg/bridge.h"
#include "pg/keys.h"
#include "pg/result_rows.h"
#include "pg/selection.h"

#define LEAST_CAPACITY 65536

static void
check_core(const Selection *selection)
{
	bridge_check(selection->arena->core, "ranking");
}

/* See selection.h. */
void
selection_open(Selection *selection, Arena *arena, KeyKind kind, int64 limit)
{
	memset(selection, 0, sizeof(*selection));
	selection->arena = arena;
	selection->kind = kind;
	selection->limit = limit;
	selection->least_score = -INFINITY;
}

/* See selection.h. */
Key
selection_key(const Selection *selection, const ScoredKey *entry)
{
	if (selection->kind == KEY_INTEGER)
		return (Key) {.integer = entry->integer};
	return (Key) {.bytes = selection->pool + entry->integer, .length = entry->length};
}

/* Key order of two entries. */
static int
compare_keys(const Selection *selection, const ScoredKey *x, const ScoredKey *y)
{
	int			order;

	if (selection->kind == KEY_INTEGER)
		return (x->integer > y->integer) - (x->integer < y->integer);
	order = memcmp(selection->pool + x->integer, selection->pool + y->integer, Min(x->length, y->length));
	return order != 0 ? order : (x->length > y->length) - (x->length < y->length);
}

/* Best first.  Looks for an interrupt: millions of entries take seconds to sort. */
static int
compare_entries(const void *a, const void *b, void *selection)
{
	const ScoredKey *x = a;
	const ScoredKey *y = b;

	CHECK_FOR_INTERRUPTS();
	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return compare_keys(selection, x, y);
}

/* Copy the bytes of the entries that are left to the front of a new pool. */
static void
rebuild_pool(Selection *selection)
{
	char	   *old = selection->pool;
	char	   *pool = arena_allocate(selection->arena, selection->pool_capacity, 1);
	size_t		used = 0;

	check_core(selection);
	for (int64 i = 0; i < selection->n; i++)
	{
		ScoredKey  *entry = &selection->entries[i];

		memcpy(pool + used, old + entry->integer, entry->length);
		entry->integer = used;
		used += entry->length;
	}
	selection->pool = pool;
	selection->pool_used = used;
	arena_release(selection->arena, old);
}

/* See selection.h. */
void
selection_finish(Selection *selection, int64 limit)
{
	qsort_arg(selection->entries, selection->n, sizeof(ScoredKey), compare_entries, selection);
	if (limit == 0 || selection->n <= limit)
		return;
	selection->n = limit;
	selection->least_score = selection->entries[limit - 1].score;
	if (selection->kind == KEY_BYTES)
		rebuild_pool(selection);
}

/* Room for one more entry. */
static void
reserve_entry(Selection *selection)
{
	int64		capacity;

	if (selection->n < selection->capacity)
		return;
	if (selection->limit > 0 && selection->n >= LEAST_CAPACITY && selection->n / 2 >= selection->limit)
	{
		selection_finish(selection, selection->limit);
		return;
	}
	capacity = Max(LEAST_CAPACITY, 2 * selection->capacity);
	selection->entries = arena_grow(selection->arena, selection->entries, selection->capacity, capacity,
									sizeof(ScoredKey));
	check_core(selection);
	selection->capacity = capacity;
}

/* Copy bytes to the pool; returns where they start. */
static int64
keep_bytes(Selection *selection, const Key *key)
{
	int64		start = selection->pool_used;
	size_t		capacity = Max(2 * selection->pool_capacity, selection->pool_used + key->length);

	if (selection->pool_used + key->length > selection->pool_capacity)
	{
		capacity = Max(capacity, LEAST_CAPACITY);
		selection->pool = arena_grow(selection->arena, selection->pool, selection->pool_capacity, capacity, 1);
		check_core(selection);
		selection->pool_capacity = capacity;
	}
	memcpy(selection->pool + start, key->bytes, key->length);
	selection->pool_used += key->length;
	return start;
}

/* See selection.h. */
void
selection_add(Selection *selection, const Key *key, double score)
{
	ScoredKey  *entry;

	if (score < selection->least_score)
		return;
	reserve_entry(selection);
	entry = &selection->entries[selection->n];
	entry->score = score;
	entry->integer = selection->kind == KEY_INTEGER ? key->integer : keep_bytes(selection, key);
	entry->length = selection->kind == KEY_INTEGER ? 0 : (int32) key->length;
	selection->n++;
}

/* See selection.h. */
void
selection_return(FunctionCallInfo fcinfo, const Selection *selection, Oid key_type)
{
	ResultRows	rows = result_rows_open(fcinfo);

	for (int64 i = 0; i < selection->n; i++)
	{
		const ScoredKey *entry = &selection->entries[i];
		Key			key = selection_key(selection, entry);
		Datum		values[] = {
			Int32GetDatum(i + 1),
			CStringGetTextDatum(key_to_text(key_type, &key)),
			Float8GetDatum(entry->score)
		};

		result_rows_add(&rows, values, NULL);
	}
}
