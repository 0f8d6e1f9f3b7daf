/*
 * target_sampling.c
 *		The users that a target's model is trained on.
 *
 * Memory: the keys of known users, and the vectors of the sample; the embedding table
 * itself streams by.
 */
#include "postgres.h"

#include <math.h>

#include "utils/builtins.h"

#include "core/encoder.h"
#include "core/random.h"
#include "pg/bridge.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"
#include "pg/reader.h"
#include "pg/target_sampling.h"

/* One sampled user; its vector stands in the row of the same number. */
typedef struct SampledUser
{
	uint64		order;			/* place in the random order: negatives with the smallest stay */
	uint64		hash;
	double		degree;
	bool		unseen;
	int64		row;			/* of its vector */
} SampledUser;

/* A growing list of users with vectors. */
typedef struct UserList
{
	int64		n;
	int64		capacity;
	SampledUser *users;
	float	   *vectors;
} UserList;

typedef struct Sampling
{
	const TargetDefinition *target;
	const GraphDefinition *graph;
	const SamplingOptions *options;
	Arena	   *arena;
	Oid			key_type;		/* of the embedding table */
	int			width;			/* 0 before the first vector */
	Dictionary	known;			/* positives */
	Dictionary	named_negatives;	/* of the negatives relation */
	uint64		object_hash;	/* of the target's first object */
	UserList	positives;
	UserList	negatives;		/* a heap by order, largest first, once it is full */
	int64		wanted;			/* negatives */
	int64		candidates;		/* seen so far */
} Sampling;

/* Raise what the core met. */
static void
check_core(const Sampling *sampling)
{
	bridge_check(sampling->arena->core, "training target \"%s\"", sampling->target->name);
}

/* UserFunction: put the key into a dictionary. */
static void
remember_user(void *argument, const Key *key)
{
	Dictionary *dictionary = argument;

	dictionary_add(dictionary, key);
	bridge_check(dictionary->arena->core, "reading the users of a target");
}

/* One more place at the end of a list; its row is new. */
static SampledUser *
append_user(Sampling *sampling, UserList *list)
{
	SampledUser *user;

	if (list->n == list->capacity)
	{
		int64		capacity = Max(1024, list->capacity * 2);

		list->users = arena_grow(sampling->arena, list->users, list->capacity, capacity, sizeof(SampledUser));
		list->vectors = arena_grow(sampling->arena, list->vectors, list->capacity * sampling->width,
								   capacity * sampling->width, sizeof(float));
		check_core(sampling);
		list->capacity = capacity;
	}
	user = &list->users[list->n];
	user->row = list->n++;
	return user;
}

/* Exchange two users of a heap. */
static void
swap_users(SampledUser *a, SampledUser *b)
{
	SampledUser kept = *a;

	*a = *b;
	*b = kept;
}

/* The last of a heap has moved in: let it rise while it is larger than its parent. */
static void
sift_up(SampledUser *users, int64 i)
{
	for (; i > 0 && users[(i - 1) / 2].order < users[i].order; i = (i - 1) / 2)
		swap_users(&users[i], &users[(i - 1) / 2]);
}

/* The top of a heap was replaced: let it sink below larger children. */
static void
sift_down(SampledUser *users, int64 n)
{
	int64		i = 0;

	for (;;)
	{
		int64		largest = i;

		for (int64 child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
			if (users[child].order > users[largest].order)
				largest = child;
		if (largest == i)
			return;
		swap_users(&users[i], &users[largest]);
		i = largest;
	}
}

/* The place for a negative of this order, NULL when enough smaller ones are there. */
static SampledUser *
place_negative(Sampling *sampling, uint64 order)
{
	UserList   *list = &sampling->negatives;

	if (list->n < sampling->wanted)
		return append_user(sampling, list);
	return order < list->users[0].order ? &list->users[0] : NULL;
}

/* True when the graph's training has not seen what makes this user a positive; seeds that
 * are not told by an object have no edge to be seen. */
static bool
is_unseen(const Sampling *sampling, uint64 user_hash, int64 degree)
{
	const UnseenRule *rule = &sampling->options->unseen;

	if (sampling->target->n_objects == 0)
		return true;
	if (rule->were_targets)
		return encoder_shields(rule->seed, rule->target_fraction, degree, user_hash);
	return sampling->target->n_objects == 1 && sampling->target->seeds == NULL &&
		encoder_holds_out(rule->seed, rule->validation_fraction, degree, user_hash, sampling->object_hash);
}

/* Copy a user's vector and numbers to its place. */
static void
fill_user(const Sampling *sampling, UserList *list, SampledUser *user, const float *vector,
		  uint64 hash, uint64 order, int32 degree, bool unseen)
{
	user->hash = hash;
	user->order = order;
	user->degree = degree;
	user->unseen = unseen;
	memcpy(list->vectors + user->row * sampling->width, vector, sampling->width * sizeof(float));
}

/* All vectors have the length of the first. */
static void
check_width(Sampling *sampling, int width)
{
	if (sampling->width == 0)
		sampling->width = width;
	if (sampling->width != width)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("embeddings of graph \"%s\" differ in length", sampling->graph->name),
				 errdetail("One has %d numbers, another %d.", sampling->width, width),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(sampling->graph->name))));
}

/* Row function: key, embedding, degree of one candidate. */
static void
take_candidate(void *argument, Datum *values, bool *nulls)
{
	Sampling   *sampling = argument;
	UserList   *negatives = &sampling->negatives;
	int32		degree = nulls[2] ? 0 : DatumGetInt32(values[2]);
	SampledUser *user;
	const float *vector;
	uint64		hash;
	uint64		order;
	int			width;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	sampling->candidates++;
	key = key_from_datum(sampling->key_type, values[0]);
	vector = embedding_from_datum(values[1], &width);
	check_width(sampling, width);
	hash = key_hash(key_kind(sampling->key_type), &key);
	order = random_bits(sampling->options->seed, RANDOM_SAMPLE, hash);
	if (dictionary_find(&sampling->known, &key) >= 0)
	{
		user = append_user(sampling, &sampling->positives);
		fill_user(sampling, &sampling->positives, user, vector, hash, order, degree,
				  is_unseen(sampling, hash, degree));
		return;
	}
	if (sampling->target->negatives != NULL && dictionary_find(&sampling->named_negatives, &key) < 0)
		return;
	user = place_negative(sampling, order);
	if (user == NULL)
		return;
	fill_user(sampling, negatives, user, vector, hash, order, degree, false);
	if (user == &negatives->users[0] && negatives->n == sampling->wanted)
		sift_down(negatives->users, negatives->n);
	else
		sift_up(negatives->users, negatives->n - 1);
}

/* Who is known, and which users may be negatives. */
static void
read_users(Sampling *sampling)
{
	const TargetDefinition *target = sampling->target;
	const GraphDefinition *graph = sampling->graph;

	dictionary_open(&sampling->known, sampling->arena, key_kind(graph->user_key_type));
	dictionary_open(&sampling->named_negatives, sampling->arena, key_kind(graph->user_key_type));
	check_core(sampling);
	target_known_users(target, graph, remember_user, &sampling->known);
	if (target->negatives != NULL)
		relation_users(graph, target->negatives, "negatives", remember_user, &sampling->named_negatives);
}

/* Hash of the target's first object, for is_unseen(). */
static void
hash_object(Sampling *sampling)
{
	Oid			type = sampling->graph->object_key_type;

	if (sampling->target->n_objects > 0)
	{
		Datum	   *keys = target_object_keys(sampling->graph, 1, sampling->target->objects);
		Key			key = key_from_datum(type, keys[0]);

		sampling->object_hash = key_hash(key_kind(type), &key);
	}
}

/* Users in the order of their hash, so that the sample does not depend on that of rows. */
static int
compare_users(const void *a, const void *b)
{
	const SampledUser *x = a;
	const SampledUser *y = b;

	if (x->order != y->order)
		return x->order < y->order ? -1 : 1;
	return (x->hash > y->hash) - (x->hash < y->hash);
}

/* Copy a list into the sample from user `first` on. */
static void
copy_list(const Sampling *sampling, UserList *list, int64 first, TargetSample *sample)
{
	if (list->n > 0)
		qsort(list->users, list->n, sizeof(SampledUser), compare_users);
	for (int64 i = 0; i < list->n; i++)
	{
		const SampledUser *user = &list->users[i];

		memcpy(sample->vectors + (first + i) * sampling->width, list->vectors + user->row * sampling->width,
			   sampling->width * sizeof(float));
		sample->degrees[first + i] = user->degree;
		sample->hashes[first + i] = user->hash;
		sample->unseen[first + i] = user->unseen;
	}
}

/* The sample as the core takes it: positives first. */
static void
hand_over(Sampling *sampling, TargetSample *sample)
{
	int64		n = sampling->positives.n + sampling->negatives.n;

	sample->width = sampling->width;
	sample->n_positive = sampling->positives.n;
	sample->n_negative = sampling->negatives.n;
	sample->candidates = sampling->candidates;
	sample->population_positives = sampling->positives.n;
	sample->vectors = arena_allocate(sampling->arena, n * sampling->width, sizeof(float));
	sample->degrees = arena_allocate(sampling->arena, n, sizeof(double));
	sample->hashes = arena_allocate(sampling->arena, n, sizeof(uint64));
	sample->unseen = arena_allocate(sampling->arena, n, 1);
	check_core(sampling);
	copy_list(sampling, &sampling->positives, 0, sample);
	copy_list(sampling, &sampling->negatives, sampling->positives.n, sample);
}

/* Draw the sample; see target_sampling.h. */
int64
target_sample(Arena *arena, const TargetDefinition *target, const GraphDefinition *graph,
			  const SamplingOptions *options, TargetSample *sample)
{
	Sampling	sampling = {
		.target = target, .graph = graph, .options = options, .arena = arena
	};
	Oid			table = relation_from_text(graph->user_embeddings);

	read_users(&sampling);
	hash_object(&sampling);
	sampling.wanted = (int64) Max(options->least_negatives,
								  ceil(options->negative_ratio * sampling.known.count));
	sampling.key_type = source_key_column(table, graph->user_column, "the graph");
	source_read(graph->apply_row_security, target_candidates_query(graph, target->candidates), 0, NULL, NULL,
				take_candidate, &sampling);
	hand_over(&sampling, sample);
	return sampling.known.count;
}
