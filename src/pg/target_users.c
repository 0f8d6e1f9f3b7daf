/*
 * target_users.c
 *		The users that the models of one graph's targets are trained on.
 *
 * All targets draw their negatives in one random order of users, that of a hash of (seed,
 * key), and leave out those who are positive.  So it is enough to keep the vectors of the
 * first users in that order, as many as the largest target wants and has positives.
 */
#include "postgres.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/builtins.h"

#include "core/encoder.h"
#include "core/random.h"
#include "core/sorting.h"
#include "pg/bridge.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"
#include "pg/reader.h"
#include "pg/target_pieces.h"
#include "pg/target_users.h"

#define LEAST_CAPACITY 1024
#define ROWS_PER_LOOK 1024		/* copied between two looks for an interrupt */

/* Raise what the core met. */
static void
check_core(const TargetUsers *users)
{
	bridge_check(users->arena->core, "reading the users of the targets of graph \"%s\"",
				 users->members.graph->name);
}

/* See target_users.h. */
void
target_users_open(TargetUsers *users, Arena *arena, const GraphDefinition *graph, const GraphRun *run,
				  const SamplingOptions *options, int n_targets)
{
	memset(users, 0, sizeof(*users));
	users->arena = arena;
	users->run = run;
	users->options = *options;
	target_members_open(&users->members, arena, graph, n_targets);
	dictionary_open(&users->named_negatives, arena, key_kind(graph->user_key_type));
	check_core(users);
}

/* ---- those who belong to a target -------------------------------------------------------- */

/* Hash and order of all known users. */
static void
describe_known(TargetUsers *users)
{
	users->known_users = arena_allocate_zeroed(users->arena, users->members.known.count, sizeof(KnownUser));
	check_core(users);
	for (int32 u = 0; u < users->members.known.count; u++)
	{
		KnownUser  *user = &users->known_users[u];
		Key			key = dictionary_key(&users->members.known, u);

		if (u % ROWS_PER_LOOK == 0)
			CHECK_FOR_INTERRUPTS();
		user->hash = key_hash(users->members.known.kind, &key);
		user->order = random_bits(users->options.seed, RANDOM_SAMPLE, user->hash);
		user->row = -1;
	}
}

/* See target_users.h. */
int64
target_users_known(const TargetUsers *users, int target)
{
	return users->members.starts[target + 1] - users->members.starts[target];
}

/* List the members of each target in order; the first of each are kept. */
static void
order_members(TargetUsers *users)
{
	const TargetMembers *members = &users->members;
	int64		n = members->n_pairs;
	int64	   *places = arena_allocate(users->arena, members->n_targets, sizeof(int64));
	SortItem   *items = arena_allocate(users->arena, n, sizeof(SortItem));

	users->ordered = arena_allocate(users->arena, n, sizeof(int32));
	check_core(users);
	memcpy(places, members->starts, members->n_targets * sizeof(int64));
	for (int64 pair = 0; pair < n; pair++)
		items[pair] = (SortItem) {users->known_users[target_member_user(members, pair)].order, pair};
	sort_items(users->arena->core, users->arena, items, n, NULL, NULL);
	check_core(users);
	for (int64 i = 0; i < n; i++)
	{
		int			target = target_member_target(members, items[i].index);
		int32		user = target_member_user(members, items[i].index);

		if (i % ROWS_PER_LOOK == 0)
			CHECK_FOR_INTERRUPTS();
		if (places[target] - members->starts[target] < TARGET_MOST_POSITIVES)
			users->known_users[user].kept = true;
		users->ordered[places[target]++] = user;
	}
	arena_release(users->arena, items);
	arena_release(users->arena, places);
}

/* See target_users.h. */
int64
target_users_wanted(const TargetUsers *users, int target)
{
	double		positives = Min(target_users_known(users, target), TARGET_MOST_POSITIVES);
	double		wanted = Max(users->options.least_negatives, ceil(users->options.negative_ratio * positives));

	return (int64) Min(wanted, TARGET_MOST_NEGATIVES);
}

/* ---- their vectors --------------------------------------------------------------------------- */

/*
 * So many of either sort are kept that the positives among them are not missed; a target
 * that is alone keeps none of its own.  Of one that more than half of the users belong to,
 * there may be fewer negatives than it wants.
 */
static int64
kept_negatives(const TargetUsers *users)
{
	int64		most = 0;

	for (int t = 0; t < users->members.n_targets; t++)
	{
		int64		wanted = target_users_wanted(users, t);
		int64		known = target_users_known(users, t);

		most = Max(most, users->members.n_targets == 1 ? wanted : wanted + Min(known, Max(wanted, TARGET_MOST_POSITIVES)));
	}
	return most;
}

/* UserFunction: one who may become a negative. */
static void
name_negative(void *argument, const Key *key)
{
	TargetUsers *users = argument;

	dictionary_add(&users->named_negatives, key);
	check_core(users);
}

/* A row at the end. */
static int64
append_row(TargetUsers *users)
{
	if (users->n_rows == users->capacity)
	{
		int64		capacity = Max(LEAST_CAPACITY, users->capacity * 2);

		users->rows = arena_grow(users->arena, users->rows, users->capacity, capacity, sizeof(KeptUser));
		users->vectors = arena_grow(users->arena, users->vectors, users->capacity * users->width,
									capacity * users->width, sizeof(float));
		check_core(users);
		users->capacity = capacity;
	}
	return users->n_rows++;
}

static uint64
row_order(const TargetUsers *users, int64 row)
{
	return users->rows[row].order;
}

/* Put a row at the end of the heap and let it rise while it is later than its parent. */
static void
push_row(TargetUsers *users, NegativeDraw *draw, int64 row)
{
	int64		i = draw->n++;

	for (; i > 0 && row_order(users, draw->rows[(i - 1) / 2]) < row_order(users, row); i = (i - 1) / 2)
		draw->rows[i] = draw->rows[(i - 1) / 2];
	draw->rows[i] = row;
}

/* Take the last in order from the heap. */
static int64
pop_row(TargetUsers *users, NegativeDraw *draw)
{
	int64		top = draw->rows[0];
	int64		row = draw->rows[--draw->n];
	int64		i = 0;

	for (int64 child = 1; child < draw->n; child = 2 * i + 1)
	{
		if (child + 1 < draw->n && row_order(users, draw->rows[child + 1]) > row_order(users, draw->rows[child]))
			child++;
		if (row_order(users, draw->rows[child]) <= row_order(users, row))
			break;
		draw->rows[i] = draw->rows[child];
		i = child;
	}
	draw->rows[i] = row;
	return top;
}

static void
reserve_draw(TargetUsers *users, NegativeDraw *draw)
{
	int64		capacity = Min(Max(LEAST_CAPACITY, draw->capacity * 2), Max(users->wanted, 1));

	if (draw->n < draw->capacity)
		return;
	draw->rows = arena_grow(users->arena, draw->rows, draw->capacity, capacity, sizeof(int64));
	check_core(users);
	draw->capacity = capacity;
}

/* A candidate as its row holds him. */
static KeptUser
describe_candidate(const TargetUsers *users, const Key *key, int32 degree, int32 known)
{
	KeptUser	user = {.degree = degree, .known = known};

	if (known >= 0)
	{
		user.hash = users->known_users[known].hash;
		user.order = users->known_users[known].order;
	}
	else
	{
		user.hash = key_hash(users->members.known.kind, key);
		user.order = random_bits(users->options.seed, RANDOM_SAMPLE, user.hash);
	}
	user.shielded = encoder_shields(users->run->seed, users->run->target_fraction, degree, user.hash);
	return user;
}

/* Copy the user's vector and what is known of him. */
static void
fill_row(TargetUsers *users, int64 row, const KeptUser *user, const float *vector)
{
	users->rows[row] = *user;
	memcpy(users->vectors + row * users->width, vector, users->width * sizeof(float));
}

/* Can he become a negative of some target? */
static bool
may_be_negative(const TargetUsers *users, const Key *key, int32 known)
{
	if (known >= 0 && users->members.n_targets == 1)
		return false;
	return !users->only_named || dictionary_find(&users->named_negatives, key) >= 0;
}

/* Draw him for the negatives if he is early enough in order; `row` is his own, or -1. */
static void
draw_user(TargetUsers *users, const KeptUser *user, int64 row, const float *vector)
{
	NegativeDraw *draw = &users->draws[user->shielded];
	int64		last = -1;

	if (draw->n == users->wanted)
	{
		if (draw->n == 0 || user->order >= row_order(users, draw->rows[0]))
			return;
		last = pop_row(users, draw);
	}
	if (row < 0)
	{
		row = last >= 0 && !users->rows[last].pinned ? last : append_row(users);
		fill_row(users, row, user, vector);
	}
	reserve_draw(users, draw);
	push_row(users, draw, row);
}

/* All vectors have the length of the first. */
static void
check_width(TargetUsers *users, int width)
{
	if (users->width == 0)
		users->width = width;
	if (users->width != width)
		refuse_widths(users->members.graph, users->width, width);
}

typedef struct VectorReading
{
	TargetUsers *users;
	Oid			key_type;		/* of the embedding table */
} VectorReading;

/* His place among the known: a candidate, and if he is kept with a row of his own. */
static void
take_member(TargetUsers *users, KnownUser *member, KeptUser *user, const float *vector)
{
	member->candidate = true;
	if (!member->kept)
		return;
	user->pinned = true;
	member->row = append_row(users);
	fill_row(users, member->row, user, vector);
}

/* See target_users.h. */
void
target_users_take(TargetUsers *users, const Key *key, Datum embedding, int32 degree, int uses)
{
	int			width;
	const float *vector = embedding_from_datum(embedding, &width);
	int32		known = dictionary_find(&users->members.known, key);
	KeptUser	user = describe_candidate(users, key, degree, known);

	check_width(users, width);
	if (known >= 0 && (uses & USE_AS_MEMBER) != 0)
		take_member(users, &users->known_users[known], &user, vector);
	if ((uses & USE_AS_NEGATIVE) != 0 && may_be_negative(users, key, known))
		draw_user(users, &user, known >= 0 ? users->known_users[known].row : -1, vector);
}

/* Row function: key, embedding, degree of one candidate. */
static void
take_candidate(void *argument, Datum *values, bool *nulls)
{
	const VectorReading *reading = argument;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(reading->key_type, values[0]);
	target_users_take(reading->users, &key, values[1], nulls[2] ? 0 : DatumGetInt32(values[2]),
					  USE_AS_MEMBER | USE_AS_NEGATIVE);
	reading->users->candidates++;
}

/* Bring the rows of both draws in order. */
static void
order_drawn(TargetUsers *users)
{
	int64		n = users->draws[0].n + users->draws[1].n;
	SortItem   *items = arena_allocate(users->arena, n, sizeof(SortItem));
	int64		i = 0;

	users->drawn = arena_allocate(users->arena, n, sizeof(int64));
	check_core(users);
	for (int sort = 0; sort < 2; sort++)
		for (int64 place = 0; place < users->draws[sort].n; place++)
		{
			int64		row = users->draws[sort].rows[place];

			items[i++] = (SortItem) {row_order(users, row), row};
		}
	sort_items(users->arena->core, users->arena, items, n, NULL, NULL);
	check_core(users);
	for (i = 0; i < n; i++)
		users->drawn[i] = items[i].index;
	users->n_drawn = n;
	arena_release(users->arena, items);
}

/* See target_users.h. */
void
target_users_read(TargetUsers *users, const char *candidates, const char *negatives)
{
	const GraphDefinition *graph = users->members.graph;
	VectorReading reading = {
		users, source_key_column(relation_from_text(graph->user_embeddings), graph->user_column, "the graph")
	};

	if (negatives != NULL)
		relation_users(graph, negatives, "negatives", name_negative, users);
	users->only_named = negatives != NULL;
	target_members_finish(&users->members);
	describe_known(users);
	order_members(users);
	users->wanted = kept_negatives(users);
	if (target_pieces_can_be_asked(graph))
		target_pieces_read(users, candidates);
	else
		source_read(graph->apply_row_security, target_candidates_query(graph, candidates), 0, NULL, NULL,
					take_candidate, &reading);
	order_drawn(users);
}
