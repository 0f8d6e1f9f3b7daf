/*
 * graph.c
 *		From a list of interactions to neighbour lists in both directions.
 *
 * Two stable counting sorts (by object, then by user) leave every user's list sorted by
 * object; one more pass over the users fills the objects' lists, sorted by user, and
 * the twin positions.  All passes stream; the random writes of a counting sort are the
 * floor: about 4 * 4 bytes for each interaction and direction.
 */
#include "core/graph.h"

#include <stdlib.h>
#include <string.h>

#include "core/random.h"

#define MAX_EDGES INT64_C(2147483647)	/* both entries of an edge fit in uint32 */
#define CHECK_EVERY (INT64_C(1) << 20)	/* interactions between two looks at the host */

/*
 * Stores go to memory in order, so one that misses the caches holds up all behind it: places are asked
 * for so many items before they are written.  Their list's start may move meanwhile, to the same cache line mostly.
 */
#define ITEMS_AHEAD 16

/* Lists of one side: list i is items[starts[i]] .. items[starts[i + 1] - 1]. */
typedef struct SideLists
{
	int32_t		n;
	int64_t    *starts;			/* n + 1 */
	int32_t    *items;
	float	   *weights;		/* NULL when unweighted */
	uint8_t    *types;			/* NULL when all are alike */
} SideLists;

static CoreStatus
side_lists_open(SideLists *lists, Arena *arena, int32_t n, int64_t items, bool weighted, bool typed)
{
	lists->n = n;
	lists->starts = arena_allocate_zeroed(arena, (size_t) n + 1, sizeof(int64_t));
	lists->items = arena_allocate(arena, items, sizeof(int32_t));
	lists->weights = weighted ? arena_floats(arena, items) : NULL;
	lists->types = typed ? arena_allocate(arena, items, 1) : NULL;
	return arena->core->status;
}

static void
side_lists_release(SideLists *lists, Arena *arena)
{
	arena_release(arena, lists->starts);
	arena_release(arena, lists->items);
	arena_release(arena, lists->weights);
	arena_release(arena, lists->types);
}

/* Turn counts, standing one place to the right, into starts. */
static void
accumulate_starts(int64_t *starts, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		starts[i + 1] += starts[i];
}

/* After a scatter has moved every start to its end: move them back. */
static void
restore_starts(int64_t *starts, int32_t n)
{
	memmove(starts + 1, starts, (size_t) n * sizeof(int64_t));
	starts[0] = 0;
}

/* Ask for the place that item `place` will be written to, and for where its successor's list begins. */
static inline void
prefetch_place(const int64_t *starts, const int32_t *lists, int64_t place, int64_t n, const int32_t *items)
{
	if (place + 2 * ITEMS_AHEAD >= n)
		return;
	__builtin_prefetch(&starts[lists[place + 2 * ITEMS_AHEAD]], 1);
	__builtin_prefetch(&items[starts[lists[place + ITEMS_AHEAD]]], 1);
}

/* First sort: the users of each object, in order of arrival. */
static CoreStatus
sort_by_object(Core *core, const Interactions *interactions, SideLists *by_object)
{
	int64_t    *starts = by_object->starts;

	for (int64_t i = 0; i < interactions->count; i++)
		starts[interactions->objects[i] + 1]++;
	accumulate_starts(starts, by_object->n);

	for (int64_t i = 0; i < interactions->count; i++)
	{
		int64_t		place = starts[interactions->objects[i]]++;

		prefetch_place(starts, interactions->objects, i, interactions->count, by_object->items);
		by_object->items[place] = interactions->users[i];
		if (by_object->weights != NULL)
			by_object->weights[place] = interactions->weights[i];
		if (by_object->types != NULL)
			by_object->types[place] = interactions->types[i];
		if (i % CHECK_EVERY == 0 && !core_continues(core))
			return core->status;
	}
	restore_starts(starts, by_object->n);
	return CORE_OK;
}

/* Second sort: the objects of each user, ascending because objects are taken in order. */
static CoreStatus
sort_by_user(Core *core, const SideLists *by_object, SideLists *by_user)
{
	int64_t		total = by_object->starts[by_object->n];
	int64_t    *starts = by_user->starts;
	int32_t		object = 0;

	for (int64_t i = 0; i < total; i++)
		starts[by_object->items[i] + 1]++;
	accumulate_starts(starts, by_user->n);

	for (int64_t i = 0; i < total; i++)
	{
		int64_t		place = starts[by_object->items[i]]++;

		prefetch_place(starts, by_object->items, i, total, by_user->items);
		while (i >= by_object->starts[object + 1])
			object++;
		by_user->items[place] = object;
		if (by_user->weights != NULL)
			by_user->weights[place] = by_object->weights[i];
		if (by_user->types != NULL)
			by_user->types[place] = by_object->types[i];
		if (i % CHECK_EVERY == 0 && !core_continues(core))
			return core->status;
	}
	restore_starts(starts, by_user->n);
	return CORE_OK;
}

/*
 * Collapse equal neighbours of each list, adding their weights and uniting their types.
 * Returns how many fell.
 * Sums are taken in double, where floats of like size add up exactly, so that the order
 * in which the rows were read does not show.
 */
static int64_t
collapse_duplicates(SideLists *lists)
{
	int64_t		kept = 0;
	int64_t		total = lists->starts[lists->n];

	for (int32_t i = 0; i < lists->n; i++)
	{
		int64_t		end = lists->starts[i + 1];
		int64_t		j = lists->starts[i];

		lists->starts[i] = kept;
		while (j < end)
		{
			int32_t		item = lists->items[j];
			double		weight = 0;
			uint8_t		types = 0;

			for (; j < end && lists->items[j] == item; j++)
			{
				weight += lists->weights != NULL ? lists->weights[j] : 1;
				types |= lists->types != NULL ? lists->types[j] : 0;
			}
			lists->items[kept] = item;
			if (lists->weights != NULL)
				lists->weights[kept] = (float) weight;
			if (lists->types != NULL)
				lists->types[kept] = types;
			kept++;
		}
	}
	lists->starts[lists->n] = kept;
	return total - kept;
}

/* Place of an edge in the order by which a degree cap keeps edges. */
static uint64_t
cap_order(uint64_t seed, int32_t user, int32_t object)
{
	return random_bits(seed, RANDOM_DEGREE_CAP, (uint64_t) user << 32 | (uint32_t) object);
}

static int
compare_orders(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return (x > y) - (x < y);
}

/* The max_degree-th smallest of n orders; `orders` is left sorted. */
static uint64_t
cap_threshold(uint64_t *orders, int64_t n, int32_t max_degree)
{
	qsort(orders, n, sizeof(uint64_t), compare_orders);
	return orders[max_degree - 1];
}

/* Keep of each user's list what keep(user, object) says. */
typedef struct CapRule
{
	uint64_t	seed;
	const uint64_t *user_thresholds;	/* per user, or NULL */
	const uint64_t *object_thresholds;	/* per object, or NULL */
} CapRule;

static void
apply_cap(SideLists *lists, const CapRule *rule)
{
	int64_t		kept = 0;

	for (int32_t user = 0; user < lists->n; user++)
	{
		int64_t		begin = lists->starts[user];
		int64_t		end = lists->starts[user + 1];

		lists->starts[user] = kept;
		for (int64_t j = begin; j < end; j++)
		{
			int32_t		object = lists->items[j];
			uint64_t	order = cap_order(rule->seed, user, object);

			if (rule->user_thresholds != NULL && order > rule->user_thresholds[user])
				continue;
			if (rule->object_thresholds != NULL && order > rule->object_thresholds[object])
				continue;
			lists->items[kept] = object;
			if (lists->weights != NULL)
				lists->weights[kept] = lists->weights[j];
			if (lists->types != NULL)
				lists->types[kept] = lists->types[j];
			kept++;
		}
	}
	lists->starts[lists->n] = kept;
}

/* Cap the lists of users: each longer list keeps its max_degree smallest orders. */
static CoreStatus
cap_users(Arena *arena, SideLists *lists, int32_t max_degree, uint64_t seed)
{
	Core	   *core = arena->core;
	int64_t		longest = 1;
	uint64_t   *thresholds = arena_allocate(arena, lists->n, sizeof(uint64_t));
	uint64_t   *orders;

	for (int32_t user = 0; user < lists->n; user++)
	{
		int64_t		length = lists->starts[user + 1] - lists->starts[user];

		longest = length > longest ? length : longest;
	}
	orders = arena_allocate(arena, longest, sizeof(uint64_t));
	if (core->status != CORE_OK)
		return core->status;

	for (int32_t user = 0; user < lists->n; user++)
	{
		int64_t		begin = lists->starts[user];
		int64_t		length = lists->starts[user + 1] - begin;

		thresholds[user] = UINT64_MAX;
		if (length <= max_degree)
			continue;
		for (int64_t j = 0; j < length; j++)
			orders[j] = cap_order(seed, user, lists->items[begin + j]);
		thresholds[user] = cap_threshold(orders, length, max_degree);
		if (!core_continues(core))
			return core->status;
	}
	apply_cap(lists, &(CapRule) {seed, thresholds, NULL});
	return core->status;
}

/* The orders of each object's edges, grouped by object. */
static CoreStatus
orders_by_object(Arena *arena, const SideLists *lists, int32_t n_objects, uint64_t seed,
				 int64_t **starts_out, uint64_t **orders_out)
{
	int64_t    *starts = arena_allocate_zeroed(arena, (size_t) n_objects + 1, sizeof(int64_t));
	uint64_t   *orders = arena_allocate(arena, lists->starts[lists->n], sizeof(uint64_t));

	if (arena->core->status != CORE_OK)
		return arena->core->status;
	for (int64_t j = 0; j < lists->starts[lists->n]; j++)
		starts[lists->items[j] + 1]++;
	accumulate_starts(starts, n_objects);
	for (int32_t user = 0; user < lists->n; user++)
		for (int64_t j = lists->starts[user]; j < lists->starts[user + 1]; j++)
			orders[starts[lists->items[j]]++] = cap_order(seed, user, lists->items[j]);
	restore_starts(starts, n_objects);
	*starts_out = starts;
	*orders_out = orders;
	return CORE_OK;
}

/* Cap the lists of objects among what the users kept. */
static CoreStatus
cap_objects(Arena *arena, SideLists *lists, int32_t n_objects, int32_t max_degree, uint64_t seed)
{
	Core	   *core = arena->core;
	uint64_t   *thresholds = arena_allocate(arena, n_objects, sizeof(uint64_t));
	int64_t    *starts;
	uint64_t   *orders;

	if (core->status != CORE_OK ||
		orders_by_object(arena, lists, n_objects, seed, &starts, &orders) != CORE_OK)
		return core->status;

	for (int32_t object = 0; object < n_objects; object++)
	{
		int64_t		length = starts[object + 1] - starts[object];

		thresholds[object] = UINT64_MAX;
		if (length > max_degree)
			thresholds[object] = cap_threshold(orders + starts[object], length, max_degree);
		if (!core_continues(core))
			return core->status;
	}
	apply_cap(lists, &(CapRule) {seed, NULL, thresholds});
	return core->status;
}

/* Divide all weights by their mean, so that 1 is the usual edge; returns it. */
static double
scale_weights(SideLists *lists)
{
	int64_t		n = lists->starts[lists->n];
	double		sum = 0;

	if (lists->weights == NULL)
		return 1;
	for (int64_t j = 0; j < n; j++)
		sum += lists->weights[j];
	if (sum <= 0)
		return 1;
	for (int64_t j = 0; j < n; j++)
		lists->weights[j] = (float) (lists->weights[j] * n / sum);
	return sum / n;
}

/* Reserve the arrays of a graph. */
static CoreStatus
graph_open(Arena *arena, Graph *graph, int32_t n_users, int32_t n_objects, int64_t n_edges,
		   bool weighted, bool typed)
{
	memset(graph, 0, sizeof(*graph));
	graph->n_users = n_users;
	graph->n_objects = n_objects;
	graph->n_nodes = n_users + n_objects;
	graph->n_edges = n_edges;
	graph->offsets = arena_allocate_zeroed(arena, (size_t) graph->n_nodes + 1, sizeof(int64_t));
	graph->neighbours = arena_allocate(arena, 2 * n_edges, sizeof(int32_t));
	graph->reverse = arena_allocate(arena, 2 * n_edges, sizeof(uint32_t));
	if (weighted)
		graph->weights = arena_floats(arena, 2 * n_edges);
	if (typed)
		graph->types = arena_allocate(arena, 2 * n_edges, 1);
	return arena->core->status;
}

/* Ask for an entry of an object's list before it is written. */
static inline void
prefetch_twin(const Graph *graph, int64_t twin)
{
	__builtin_prefetch(&graph->neighbours[twin], 1);
	__builtin_prefetch(&graph->reverse[twin], 1);
}

/* Write edge j of a user's list into both lists; `place` and the object's next free entry are twins. */
static inline void
put_edge(Graph *graph, int64_t place, int32_t user, const SideLists *lists, int64_t j, int64_t *next)
{
	int32_t		object = lists->items[j];
	int64_t		twin = next[object]++;

	graph->neighbours[place] = graph->n_users + object;
	graph->neighbours[twin] = user;
	graph->reverse[place] = (uint32_t) twin;
	graph->reverse[twin] = (uint32_t) place;
	if (graph->weights != NULL)
		graph->weights[place] = graph->weights[twin] = lists->weights[j];
	if (graph->types != NULL)
		graph->types[place] = graph->types[twin] = lists->types[j];
}

/*
 * Fill a graph from the users' lists, leaving out the entries with drop[j] != 0
 * (drop NULL = none).  graph->n_edges counts what is kept.
 */
static CoreStatus
fill_graph(Arena *arena, const SideLists *lists, const uint8_t *drop, Graph *graph)
{
	Core	   *core = arena->core;
	int32_t		n_users = graph->n_users;
	int64_t    *offsets = graph->offsets;
	int64_t    *next = arena_allocate(arena, graph->n_objects, sizeof(int64_t));
	int64_t		place = 0;
	int64_t		total = lists->starts[n_users];

	if (core->status != CORE_OK)
		return core->status;

	for (int32_t user = 0; user < n_users; user++)
		for (int64_t j = lists->starts[user]; j < lists->starts[user + 1]; j++)
			if (drop == NULL || !drop[j])
			{
				offsets[user + 1]++;
				offsets[n_users + lists->items[j] + 1]++;
			}
	accumulate_starts(offsets, graph->n_nodes);
	memcpy(next, offsets + n_users, (size_t) graph->n_objects * sizeof(int64_t));

	for (int32_t user = 0; user < n_users; user++)
	{
		for (int64_t j = lists->starts[user]; j < lists->starts[user + 1]; j++)
		{
			if (j + ITEMS_AHEAD < total)
				prefetch_twin(graph, next[lists->items[j + ITEMS_AHEAD]]);
			if (drop == NULL || !drop[j])
				put_edge(graph, place++, user, lists, j, next);
		}
		if (user % 65536 == 0 && !core_continues(core))
			return core->status;
	}
	arena_release(arena, next);
	return CORE_OK;
}

/* Sort, collapse, cap: interactions to the final lists of users. */
static CoreStatus
make_user_lists(Core *core, Arena *scratch, const Interactions *interactions,
				int32_t n_users, int32_t n_objects, int32_t max_degree, uint64_t seed,
				SideLists *by_user, Graph *graph)
{
	bool		weighted = interactions->weights != NULL;
	bool		typed = interactions->types != NULL;
	SideLists	by_object;
	int64_t		before;

	if (side_lists_open(&by_object, scratch, n_objects, interactions->count, weighted, typed) != CORE_OK ||
		sort_by_object(core, interactions, &by_object) != CORE_OK ||
		side_lists_open(by_user, scratch, n_users, interactions->count, weighted, typed) != CORE_OK ||
		sort_by_user(core, &by_object, by_user) != CORE_OK)
		return core->status;
	side_lists_release(&by_object, scratch);

	graph->n_duplicates = collapse_duplicates(by_user);
	before = by_user->starts[n_users];
	if (max_degree > 0 &&
		(cap_users(scratch, by_user, max_degree, seed) != CORE_OK ||
		 cap_objects(scratch, by_user, n_objects, max_degree, seed) != CORE_OK))
		return core->status;
	graph->n_capped = before - by_user->starts[n_users];
	graph->mean_weight = scale_weights(by_user);
	return CORE_OK;
}

CoreStatus
graph_build(Core *core, Arena *arena, const Interactions *interactions,
			int32_t n_users, int32_t n_objects, int32_t max_degree, uint64_t seed, Graph *graph)
{
	Graph		counts = {0};
	SideLists	by_user;
	Arena		scratch;
	int64_t		n_edges;

	if ((int64_t) n_users + n_objects > INT32_MAX || interactions->count > MAX_EDGES)
		return core_fail(core, CORE_INVALID, "%lld nodes and %lld interactions, at most %lld each",
						 (long long) n_users + n_objects, (long long) interactions->count,
						 (long long) MAX_EDGES);
	arena_open(&scratch, core);
	if (make_user_lists(core, &scratch, interactions, n_users, n_objects, max_degree, seed,
						&by_user, &counts) == CORE_OK)
	{
		n_edges = by_user.starts[n_users];
		if (graph_open(arena, graph, n_users, n_objects, n_edges, by_user.weights != NULL,
					   by_user.types != NULL) == CORE_OK)
			fill_graph(&scratch, &by_user, NULL, graph);
		graph->n_duplicates = counts.n_duplicates;
		graph->n_capped = counts.n_capped;
		graph->mean_weight = counts.mean_weight;
	}
	arena_close(&scratch);
	return core->status;
}

/* What is left of the types of the edges to be dropped; those that have none left stay in *drop. */
static CoreStatus
drop_predicted(Arena *scratch, const Graph *graph, const uint8_t **drop, SideLists *lists)
{
	uint8_t    *gone = arena_allocate(scratch, graph->n_edges, 1);

	lists->types = arena_allocate(scratch, graph->n_edges, 1);
	if (scratch->core->status != CORE_OK)
		return scratch->core->status;
	for (int64_t j = 0; j < graph->n_edges; j++)
	{
		lists->types[j] = (*drop)[j] ? graph->types[j] & ~graph->predicted : graph->types[j];
		gone[j] = lists->types[j] == 0;
	}
	*drop = gone;
	return CORE_OK;
}

void
graph_copy_types(const Graph *graph, Graph *result)
{
	result->n_types = graph->n_types;
	result->predicted = graph->predicted;
	memcpy(result->type_weights, graph->type_weights, sizeof(graph->type_weights));
}

CoreStatus
graph_without(Core *core, Arena *arena, const Graph *graph, const uint8_t *drop, Graph *result)
{
	SideLists	lists = {graph->n_users, graph->offsets, NULL, graph->weights, NULL};
	bool		typed = graph->types != NULL;
	Arena		scratch;
	int64_t		kept = 0;

	arena_open(&scratch, core);
	lists.items = arena_allocate(&scratch, graph->n_edges, sizeof(int32_t));
	if (core->status == CORE_OK && (!typed || drop_predicted(&scratch, graph, &drop, &lists) == CORE_OK))
	{
		for (int64_t j = 0; j < graph->n_edges; j++)
		{
			lists.items[j] = graph->neighbours[j] - graph->n_users;
			kept += !drop[j];
		}
		if (graph_open(arena, result, graph->n_users, graph->n_objects, kept,
					   graph->weights != NULL, typed) == CORE_OK)
			fill_graph(&scratch, &lists, drop, result);
		result->key_hashes = graph->key_hashes;
		result->target_objects = graph->target_objects;
		graph_copy_types(graph, result);
	}
	arena_close(&scratch);
	return core->status;
}

int64_t
graph_predicted_edges(const Graph *graph)
{
	int64_t		n = 0;

	if (graph->types == NULL)
		return graph->n_edges;
	for (int64_t e = 0; e < graph->n_edges; e++)
		n += graph_is_predicted(graph, e);
	return n;
}

int64_t
graph_predicted_degree(const Graph *graph, int32_t node)
{
	int64_t		n = 0;

	if (graph->types == NULL)
		return graph_degree(graph, node);
	for (int64_t e = graph->offsets[node]; e < graph->offsets[node + 1]; e++)
		n += graph_is_predicted(graph, e);
	return n;
}

bool
graph_has_edge(const Graph *graph, int32_t user, int32_t object)
{
	int64_t		low = graph->offsets[user];
	int64_t		high = graph->offsets[user + 1];
	int32_t		node = graph->n_users + object;

	while (low < high)
	{
		int64_t		middle = low + (high - low) / 2;

		if (graph->neighbours[middle] == node)
			return true;
		if (graph->neighbours[middle] < node)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}
