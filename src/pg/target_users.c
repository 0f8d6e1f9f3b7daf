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
#include "pg/target_users.h"

#define LEAST_CAPACITY 1024
#define ROWS_PER_LOOK 1024		/* copied between two looks for an interrupt */

/* Raise what the core met. */
static void
check_core(const TargetUsers *users)
{
	bridge_check(users->arena->core, "reading the users of the targets of graph \"%s\"", users->graph->name);
}

/* See target_users.h. */
void
target_users_open(TargetUsers *users, Arena *arena, const GraphDefinition *graph, const GraphRun *run,
				  const SamplingOptions *options, int n_targets)
{
	KeyKind		kind = key_kind(graph->user_key_type);

	memset(users, 0, sizeof(*users));
	users->arena = arena;
	users->graph = graph;
	users->run = run;
	users->options = *options;
	users->n_targets = n_targets;
	dictionary_open(&users->known, arena, kind);
	dictionary_open(&users->pairs, arena, KEY_INTEGER);
	dictionary_open(&users->named_negatives, arena, kind);
	check_core(users);
}

/* ---- who belongs to which target --------------------------------------------------------- */

/* A user is known to belong to a target; more than once does no harm. */
static void
add_pair(TargetUsers *users, int target, const Key *key)
{
	int32		user = dictionary_add(&users->known, key);
	Key			pair = {.integer = (int64) target << 32 | (uint32) user};

	if (user >= 0)
		dictionary_add(&users->pairs, &pair);
	check_core(users);
}

typedef struct SeedReading
{
	TargetUsers *users;
	int			target;
} SeedReading;

/* UserFunction: a seed of a target. */
static void
add_seed(void *argument, const Key *key)
{
	SeedReading *reading = argument;

	add_pair(reading->users, reading->target, key);
}

/* See target_users.h. */
void
target_users_add_seeds(TargetUsers *users, int target, const char *relation)
{
	SeedReading reading = {users, target};

	relation_users(users->graph, relation, "seeds", add_seed, &reading);
}

/* The targets of one horizon, found by their objects. */
typedef struct ActorReading
{
	TargetUsers *users;
	Dictionary	objects;
	char	  **names;			/* of the objects */
	int		   *first;			/* for each object the first place in the lists below, -1 = none */
	int		   *targets;		/* place -> target */
	int		   *next;			/* place -> next place of the same object, -1 = none */
} ActorReading;

/* Row function: a user and the object he acted on. */
static void
add_actor(void *argument, Datum *values, bool *nulls)
{
	ActorReading *reading = argument;
	const GraphDefinition *graph = reading->users->graph;
	int32		object;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(graph->object_key_type, values[1]);
	object = dictionary_find(&reading->objects, &key);
	if (object < 0)
		return;
	key = key_from_datum(graph->user_key_type, values[0]);
	for (int place = reading->first[object]; place >= 0; place = reading->next[place])
		add_pair(reading->users, reading->targets[place], &key);
}

static bool
same_horizon(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* List the objects of the targets with this horizon. */
static void
list_objects(ActorReading *reading, TargetDefinition **targets, const char *horizon)
{
	Oid			type = reading->users->graph->object_key_type;
	int			n_targets = reading->users->n_targets;
	int			room = 1;
	int			places = 0;

	for (int t = 0; t < n_targets; t++)
		room += targets[t] == NULL ? 0 : targets[t]->n_objects;
	reading->names = palloc(room * sizeof(char *));
	reading->first = palloc(room * sizeof(int));
	reading->targets = palloc(room * sizeof(int));
	reading->next = palloc(room * sizeof(int));
	for (int t = 0; t < n_targets; t++)
		for (int i = 0; targets[t] != NULL && same_horizon(targets[t]->horizon, horizon) &&
			 i < targets[t]->n_objects; i++, places++)
		{
			Key			key = key_from_datum(type, key_parse(type, targets[t]->objects[i], "object"));
			int32		before = reading->objects.count;
			int32		object = dictionary_add(&reading->objects, &key);

			check_core(reading->users);
			if (object == before)
			{
				reading->names[object] = targets[t]->objects[i];
				reading->first[object] = -1;
			}
			reading->targets[places] = t;
			reading->next[places] = reading->first[object];
			reading->first[object] = places;
		}
}

/* Read the interactions with the objects of the targets with this horizon. */
static void
read_actors(TargetUsers *users, TargetDefinition **targets, const char *horizon)
{
	const GraphDefinition *graph = users->graph;
	ActorReading reading = {.users = users};

	dictionary_open(&reading.objects, users->arena, key_kind(graph->object_key_type));
	check_core(users);
	list_objects(&reading, targets, horizon);
	target_interactions_read(graph, psprintf("%s, %s", quote_identifier(graph->user_column),
											 quote_identifier(graph->object_column)),
							 reading.objects.count, reading.names, horizon, add_actor, &reading);
}

/* See target_users.h. */
void
target_users_add_actors(TargetUsers *users, TargetDefinition **targets)
{
	for (int t = 0; t < users->n_targets; t++)
	{
		bool		first = targets[t] != NULL && targets[t]->n_objects > 0;

		for (int earlier = 0; earlier < t && first; earlier++)
			first = targets[earlier] == NULL || targets[earlier]->n_objects == 0 ||
				!same_horizon(targets[earlier]->horizon, targets[t]->horizon);
		if (first)
			read_actors(users, targets, targets[t]->horizon);
	}
}

/* Target and user of a pair. */
static int
pair_target(const TargetUsers *users, int64 pair)
{
	return (int) (users->pairs.integers[pair] >> 32);
}

static int32
pair_user(const TargetUsers *users, int64 pair)
{
	return (int32) (users->pairs.integers[pair] & 0xffffffff);
}

/* Hash and order of all known users. */
static void
describe_known(TargetUsers *users)
{
	users->known_users = arena_allocate_zeroed(users->arena, users->known.count, sizeof(KnownUser));
	check_core(users);
	for (int32 u = 0; u < users->known.count; u++)
	{
		KnownUser  *user = &users->known_users[u];
		Key			key = dictionary_key(&users->known, u);

		if (u % ROWS_PER_LOOK == 0)
			CHECK_FOR_INTERRUPTS();
		user->hash = key_hash(users->known.kind, &key);
		user->order = random_bits(users->options.seed, RANDOM_SAMPLE, user->hash);
		user->row = -1;
	}
}

/* How many users each target has: starts[t + 1] is where the members of t begin, and will be
 * where they end. */
static void
count_members(TargetUsers *users)
{
	users->starts = arena_allocate_zeroed(users->arena, users->n_targets + 2, sizeof(int64));
	users->members = arena_allocate(users->arena, users->pairs.count, sizeof(int32));
	check_core(users);
	for (int64 pair = 0; pair < users->pairs.count; pair++)
		users->starts[pair_target(users, pair) + 2]++;
	for (int t = 0; t < users->n_targets; t++)
		users->starts[t + 2] += users->starts[t + 1];
}

/* See target_users.h. */
int64
target_users_known(const TargetUsers *users, int target)
{
	return users->starts[target + 1] - users->starts[target];
}

/* List the members of each target in order; the first of each are kept. */
static void
list_members(TargetUsers *users)
{
	int64		n = users->pairs.count;
	SortItem   *items;

	describe_known(users);
	count_members(users);
	items = arena_allocate(users->arena, n, sizeof(SortItem));
	check_core(users);
	for (int64 pair = 0; pair < n; pair++)
		items[pair] = (SortItem) {users->known_users[pair_user(users, pair)].order, pair};
	sort_items(users->arena->core, users->arena, items, n, NULL, NULL);
	check_core(users);
	for (int64 i = 0; i < n; i++)
	{
		int			target = pair_target(users, items[i].index);
		int32		user = pair_user(users, items[i].index);

		if (i % ROWS_PER_LOOK == 0)
			CHECK_FOR_INTERRUPTS();
		users->members[users->starts[target + 1]++] = user;
	}
	arena_release(users->arena, items);
	for (int t = 0; t < users->n_targets; t++)
		for (int64 i = 0; i < Min(target_users_known(users, t), TARGET_MOST_POSITIVES); i++)
			users->known_users[users->members[users->starts[t] + i]].kept = true;
}

/* ---- their vectors --------------------------------------------------------------------------- */

/* Negatives that a target wants. */
static int64
wanted_negatives(const TargetUsers *users, int target)
{
	double		positives = Min(target_users_known(users, target), TARGET_MOST_POSITIVES);
	double		wanted = Max(users->options.least_negatives, ceil(users->options.negative_ratio * positives));

	return (int64) Min(wanted, TARGET_MOST_NEGATIVES);
}

/*
 * So many of either sort are kept that the positives among them are not missed; a target
 * that is alone keeps none of its own.  Of one that more than half of the users belong to,
 * there may be fewer negatives than it wants.
 */
static int64
kept_negatives(const TargetUsers *users)
{
	int64		most = 0;

	for (int t = 0; t < users->n_targets; t++)
	{
		int64		wanted = wanted_negatives(users, t);
		int64		known = target_users_known(users, t);

		most = Max(most, users->n_targets == 1 ? wanted : wanted + Min(known, Max(wanted, TARGET_MOST_POSITIVES)));
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
		user.hash = key_hash(users->known.kind, key);
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
	if (known >= 0 && users->n_targets == 1)
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
		refuse_widths(users->graph, users->width, width);
}

typedef struct VectorReading
{
	TargetUsers *users;
	Oid			key_type;		/* of the embedding table */
} VectorReading;

/* Row function: key, embedding, degree of one candidate. */
static void
take_candidate(void *argument, Datum *values, bool *nulls)
{
	const VectorReading *reading = argument;
	TargetUsers *users = reading->users;
	const float *vector;
	KeptUser	user;
	int64		row = -1;
	int			width;
	int32		known;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(reading->key_type, values[0]);
	vector = embedding_from_datum(values[1], &width);
	check_width(users, width);
	known = dictionary_find(&users->known, &key);
	user = describe_candidate(users, &key, nulls[2] ? 0 : DatumGetInt32(values[2]), known);
	users->candidates++;
	if (known >= 0)
	{
		KnownUser  *of_target = &users->known_users[known];

		of_target->candidate = true;
		if (of_target->kept)
		{
			user.pinned = true;
			row = of_target->row = append_row(users);
			fill_row(users, row, &user, vector);
		}
	}
	if (may_be_negative(users, &key, known))
		draw_user(users, &user, row, vector);
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
	const GraphDefinition *graph = users->graph;
	VectorReading reading = {
		users, source_key_column(relation_from_text(graph->user_embeddings), graph->user_column, "the graph")
	};

	if (negatives != NULL)
		relation_users(graph, negatives, "negatives", name_negative, users);
	users->only_named = negatives != NULL;
	list_members(users);
	users->wanted = kept_negatives(users);
	source_read(graph->apply_row_security, target_candidates_query(graph, candidates), 0, NULL, NULL,
				take_candidate, &reading);
	order_drawn(users);
}

/* ---- samples ----------------------------------------------------------------------------------- */

/* A sample while it is drawn. */
typedef struct Drawing
{
	TargetUsers *users;
	int			target;
	const TargetDefinition *definition;
	bool		has_object;		/* that the graph knows */
	bool		shields;		/* the graph's training shielded users from the target's objects */
	uint64		object_hash;	/* of the first object */
	int64		n_positive;
	int64		n_negative;
	int64		unseen;			/* positives */
	int64		population;		/* positives among the candidates */
	bool		only_shielded;
	int64	   *rows;			/* positives, then negatives */
} Drawing;

/* True when the graph's training has not seen what makes this user a positive; seeds that are
 * not told by an object have no edge to be seen. */
static bool
is_unseen(const Drawing *drawing, const KeptUser *user)
{
	const GraphRun *run = drawing->users->run;

	if (!drawing->has_object)
		return true;
	if (drawing->shields)
		return user->shielded;
	return drawing->definition->n_objects == 1 && drawing->definition->seeds == NULL &&
		encoder_holds_out(run->seed, run->validation_fraction, user->degree, user->hash, drawing->object_hash);
}

/* The target's members: mark them, count them, and take those that are kept for it. */
static void
take_positives(Drawing *drawing)
{
	TargetUsers *users = drawing->users;
	int64		first = users->starts[drawing->target];

	for (int64 place = first; place < users->starts[drawing->target + 1]; place++)
	{
		KnownUser  *user = &users->known_users[users->members[place]];

		if (place % ROWS_PER_LOOK == 0)
			CHECK_FOR_INTERRUPTS();
		user->marked = drawing->target + 1;
		if (!user->candidate)
			continue;
		drawing->population++;
		if (place - first >= TARGET_MOST_POSITIVES)
			continue;
		drawing->rows[drawing->n_positive++] = user->row;
		drawing->unseen += is_unseen(drawing, &users->rows[user->row]);
	}
}

/* True for a drawn user who is not one of the target's own. */
static bool
is_negative(const Drawing *drawing, const KeptUser *user)
{
	return user->known < 0 || drawing->users->known_users[user->known].marked != drawing->target + 1;
}

/* Are there enough shielded users of both classes to do without the others? */
static bool
enough_shielded(const Drawing *drawing)
{
	const TargetUsers *users = drawing->users;
	int64		negatives = 0;

	if (!drawing->shields || !drawing->has_object || drawing->unseen < TARGET_ENOUGH_UNSEEN)
		return false;
	for (int64 i = 0; i < users->n_drawn && negatives < drawing->unseen; i++)
	{
		const KeptUser *user = &users->rows[users->drawn[i]];

		negatives += user->shielded && is_negative(drawing, user);
	}
	return negatives >= drawing->unseen;
}

/* The first in order who are not positive, up to the number wanted. */
static void
take_negatives(Drawing *drawing)
{
	TargetUsers *users = drawing->users;
	int64		wanted = wanted_negatives(users, drawing->target);

	drawing->only_shielded = enough_shielded(drawing);
	for (int64 i = 0; i < users->n_drawn && drawing->n_negative < wanted; i++)
	{
		const KeptUser *user = &users->rows[users->drawn[i]];

		if (i % ROWS_PER_LOOK == 0)
			CHECK_FOR_INTERRUPTS();
		if (is_negative(drawing, user) && (user->shielded || !drawing->only_shielded))
			drawing->rows[drawing->n_positive + drawing->n_negative++] = users->drawn[i];
	}
}

/* Hash of the target's first object, for is_unseen(). */
static uint64
first_object_hash(const GraphDefinition *graph, const TargetDefinition *target)
{
	Oid			type = graph->object_key_type;
	Key			key;

	if (target->n_objects == 0)
		return 0;
	key = key_from_datum(type, key_parse(type, target->objects[0], "object"));
	return key_hash(key_kind(type), &key);
}

/* The sample as the core takes it: positives first. */
static void
copy_sample(const Drawing *drawing, Arena *arena, TargetSample *sample)
{
	const TargetUsers *users = drawing->users;
	int64		n = drawing->n_positive + drawing->n_negative;

	sample->vectors = arena_allocate(arena, n * users->width, sizeof(float));
	sample->degrees = arena_allocate(arena, n, sizeof(double));
	sample->hashes = arena_allocate(arena, n, sizeof(uint64));
	sample->unseen = arena_allocate(arena, n, 1);
	check_core(users);
	for (int64 i = 0; i < n; i++)
	{
		const KeptUser *user = &users->rows[drawing->rows[i]];

		if (i % ROWS_PER_LOOK == 0)
			CHECK_FOR_INTERRUPTS();
		memcpy(sample->vectors + i * users->width, users->vectors + drawing->rows[i] * users->width,
			   users->width * sizeof(float));
		sample->degrees[i] = user->degree;
		sample->hashes[i] = user->hash;
		sample->unseen[i] = i < drawing->n_positive && is_unseen(drawing, user);
	}
}

/* See target_users.h. */
void
target_users_sample(TargetUsers *users, int target, const TargetDefinition *definition, bool has_object,
					Arena *arena, TargetSample *sample)
{
	Drawing		drawing = {
		.users = users, .target = target, .definition = definition, .has_object = has_object,
		.shields = graph_run_shields(users->run, definition),
		.object_hash = first_object_hash(users->graph, definition)
	};
	int64		room = Min(target_users_known(users, target), TARGET_MOST_POSITIVES) +
		Min(wanted_negatives(users, target), users->n_drawn);

	memset(sample, 0, sizeof(*sample));
	drawing.rows = arena_allocate(arena, room, sizeof(int64));
	check_core(users);
	take_positives(&drawing);
	take_negatives(&drawing);
	sample->width = users->width;
	sample->n_positive = drawing.n_positive;
	sample->n_negative = drawing.n_negative;
	sample->population_positives = drawing.population;
	sample->candidates = users->candidates;
	copy_sample(&drawing, arena, sample);
}
