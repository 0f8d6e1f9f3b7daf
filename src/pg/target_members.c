/*
 * target_members.c
 *		The users who are known to belong to the targets of one graph.
 *
 * Pairs of target and user are collected as they come, the same one more than once.  When
 * their list is full, doubles are dropped first, and it grows only if more than half are left.
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pg/bridge.h"
#include "pg/keys.h"
#include "pg/reader.h"
#include "pg/target_members.h"

#define LEAST_CAPACITY 4096
#define BATCH_USERS 256		/* looked up together, so that one need not wait for the other */
#define PAIRS_PER_LOOK (1 << 20)	/* handled between two looks for an interrupt */

/* Raise what the core met. */
static void
check_core(const TargetMembers *members)
{
	bridge_check(members->arena->core, "reading the users of the targets of graph \"%s\"", members->graph->name);
}

/* See target_members.h. */
void
target_members_open(TargetMembers *members, Arena *arena, const GraphDefinition *graph, int n_targets)
{
	memset(members, 0, sizeof(*members));
	members->arena = arena;
	members->graph = graph;
	members->n_targets = n_targets;
	dictionary_open(&members->known, arena, key_kind(graph->user_key_type));
	check_core(members);
}

/* Where the pairs of each target begin. */
static void
count_pairs(const TargetMembers *members, int64 *starts)
{
	memset(starts, 0, (members->n_targets + 1) * sizeof(int64));
	for (int64 pair = 0; pair < members->n_pairs; pair++)
		starts[target_member_target(members, pair) + 1]++;
	for (int t = 0; t < members->n_targets; t++)
		starts[t + 1] += starts[t];
}

/* Keep each of the pairs once, which come in order of targets. */
static void
drop_doubles(TargetMembers *members, const uint64 *sorted)
{
	int32	   *last = arena_allocate(members->arena, members->known.count, sizeof(int32));
	int64		n = members->n_pairs;

	check_core(members);
	memset(last, 0xff, members->known.count * sizeof(int32));
	members->n_pairs = 0;
	for (int64 i = 0; i < n; i++)
	{
		int			target = (int) (sorted[i] >> 32);
		int32	   *of_user = &last[sorted[i] & 0xffffffff];

		if (i % PAIRS_PER_LOOK == 0)
			CHECK_FOR_INTERRUPTS();
		if (*of_user != target)
			members->pairs[members->n_pairs++] = sorted[i];
		*of_user = target;
	}
	arena_release(members->arena, last);
}

/* Bring the pairs in order of targets, each once. */
static void
sort_pairs(TargetMembers *members)
{
	int64	   *places = arena_allocate(members->arena, members->n_targets + 1, sizeof(int64));
	uint64	   *sorted = arena_allocate(members->arena, members->n_pairs, sizeof(uint64));

	check_core(members);
	count_pairs(members, places);
	for (int64 pair = 0; pair < members->n_pairs; pair++)
	{
		if (pair % PAIRS_PER_LOOK == 0)
			CHECK_FOR_INTERRUPTS();
		sorted[places[target_member_target(members, pair)]++] = members->pairs[pair];
	}
	drop_doubles(members, sorted);
	arena_release(members->arena, sorted);
	arena_release(members->arena, places);
}

static void
make_room(TargetMembers *members)
{
	int64		capacity = Max(LEAST_CAPACITY, 2 * members->capacity);

	sort_pairs(members);
	if (members->capacity > 0 && members->n_pairs <= members->capacity / 2)
		return;
	members->pairs = arena_grow(members->arena, members->pairs, members->capacity, capacity, sizeof(uint64));
	check_core(members);
	members->capacity = capacity;
}

/* The user with this number is known to belong to a target. */
static void
add_pair(TargetMembers *members, int target, int32 user)
{
	if (members->n_pairs == members->capacity)
		make_room(members);
	members->pairs[members->n_pairs++] = (uint64) target << 32 | (uint32) user;
}

typedef struct SeedReading
{
	TargetMembers *members;
	int			target;
} SeedReading;

/* UserFunction: a seed of a target. */
static void
add_seed(void *argument, const Key *key)
{
	SeedReading *reading = argument;

	int32		user = dictionary_add(&reading->members->known, key);

	check_core(reading->members);
	add_pair(reading->members, reading->target, user);
}

/* See target_members.h. */
void
target_members_add_seeds(TargetMembers *members, int target, const char *relation)
{
	SeedReading reading = {members, target};

	relation_users(members->graph, relation, "seeds", add_seed, &reading);
}

/* The targets of one horizon, found by their objects, and users who wait to be looked up
 * together. */
typedef struct ActorReading
{
	TargetMembers *members;
	Dictionary	objects;
	char	  **names;			/* of the objects */
	int		   *first;			/* for each object the first place in the lists below, -1 = none */
	int		   *targets;		/* place -> target */
	int		   *next;			/* place -> next place of the same object, -1 = none */
	MemoryContext waiting;		/* their keys' bytes */
	int			n;
	Key			users[BATCH_USERS];
	int32		acted_on[BATCH_USERS];
} ActorReading;

/* Look the waiting users up and pair them with the targets of their objects. */
static void
add_actors(ActorReading *reading)
{
	int32		numbers[BATCH_USERS];

	dictionary_add_many(&reading->members->known, reading->users, reading->n, numbers);
	check_core(reading->members);
	for (int i = 0; i < reading->n; i++)
		for (int place = reading->first[reading->acted_on[i]]; place >= 0; place = reading->next[place])
			add_pair(reading->members, reading->targets[place], numbers[i]);
	reading->n = 0;
	MemoryContextReset(reading->waiting);
}

/* Row function: a user and the object he acted on. */
static void
take_actor(void *argument, Datum *values, bool *nulls)
{
	ActorReading *reading = argument;
	const GraphDefinition *graph = reading->members->graph;
	int32		object;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(graph->object_key_type, values[1]);
	object = dictionary_find(&reading->objects, &key);
	if (object < 0)
		return;
	key = key_from_datum(graph->user_key_type, values[0]);
	if (key.length > 0)
		key.bytes = memcpy(MemoryContextAlloc(reading->waiting, key.length), key.bytes, key.length);
	reading->users[reading->n] = key;
	reading->acted_on[reading->n++] = object;
	if (reading->n == BATCH_USERS)
		add_actors(reading);
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
	Oid			type = reading->members->graph->object_key_type;
	int			n_targets = reading->members->n_targets;
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

			check_core(reading->members);
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
read_actors(TargetMembers *members, TargetDefinition **targets, const char *horizon)
{
	const GraphDefinition *graph = members->graph;
	ActorReading reading = {.members = members};

	dictionary_open(&reading.objects, members->arena, key_kind(graph->object_key_type));
	check_core(members);
	reading.waiting = AllocSetContextCreate(CurrentMemoryContext, "behavpred users", ALLOCSET_DEFAULT_SIZES);
	list_objects(&reading, targets, horizon);
	target_interactions_read(graph, psprintf("%s, %s", quote_identifier(graph->user_column),
											 quote_identifier(graph->object_column)),
							 reading.objects.count, reading.names, horizon, take_actor, &reading);
	add_actors(&reading);
	MemoryContextDelete(reading.waiting);
}

/* See target_members.h. */
void
target_members_add_actors(TargetMembers *members, TargetDefinition **targets)
{
	for (int t = 0; t < members->n_targets; t++)
	{
		bool		first = targets[t] != NULL && targets[t]->n_objects > 0;

		for (int earlier = 0; earlier < t && first; earlier++)
			first = targets[earlier] == NULL || targets[earlier]->n_objects == 0 ||
				!same_horizon(targets[earlier]->horizon, targets[t]->horizon);
		if (first)
			read_actors(members, targets, targets[t]->horizon);
	}
}

/* See target_members.h. */
void
target_members_finish(TargetMembers *members)
{
	sort_pairs(members);
	members->starts = arena_allocate(members->arena, members->n_targets + 1, sizeof(int64));
	check_core(members);
	count_pairs(members, members->starts);
}
