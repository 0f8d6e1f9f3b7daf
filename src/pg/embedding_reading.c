/*
 * embedding_reading.c
 *		Stored embeddings back into memory.
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "pg/bridge.h"
#include "pg/embedding_reading.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"

typedef struct EmbeddingReading
{
	const GraphDefinition *definition;
	StoredEmbeddings *stored;
	Oid			key_type;
	bool		only_known;
} EmbeddingReading;

/* Raise what the core met. */
static void
check_core(const EmbeddingReading *reading)
{
	bridge_check(reading->stored->arena->core, "reading the embeddings of graph \"%s\"",
				 reading->definition->name);
}

/* Rows for keys 0 .. n - 1; new ones count as not found. */
static void
reserve_rows(EmbeddingReading *reading, int32 n)
{
	StoredEmbeddings *stored = reading->stored;
	int32		capacity = Max(n, stored->capacity + stored->capacity / 2);
	size_t		width = stored->width;

	if (n <= stored->capacity)
		return;
	stored->values = arena_grow(stored->arena, stored->values, stored->capacity * width,
								capacity * width, sizeof(float));
	stored->degrees = arena_grow(stored->arena, stored->degrees, stored->capacity, capacity, sizeof(int32));
	if (stored->n_state > 0)
		stored->states = arena_grow(stored->arena, stored->states, stored->capacity * (size_t) stored->n_state,
									capacity * (size_t) stored->n_state, sizeof(float));
	check_core(reading);
	memset(stored->values + stored->capacity * width, 0, (capacity - stored->capacity) * width * sizeof(float));
	for (int32 i = stored->capacity; i < capacity; i++)
		stored->degrees[i] = -1;
	stored->capacity = capacity;
}

/* All vectors have the width of the first. */
static const float *
checked_vector(EmbeddingReading *reading, Datum value)
{
	StoredEmbeddings *stored = reading->stored;
	int			width;
	const float *vector = embedding_from_datum(value, &width);

	if (stored->width == 0)
	{
		stored->width = width;
		reserve_rows(reading, Max(stored->keys->count, 1));
	}
	if (stored->width != width)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("embeddings of graph \"%s\" differ in length", reading->definition->name),
				 errdetail("One has %d numbers, another %d.", stored->width, width),
				 errhint("SELECT * FROM behavpred.train_graph(%s);",
						 quote_literal_cstr(reading->definition->name))));
	return vector;
}

/* The state of a row that has one of the right length, else NULL. */
static const float *
state_of(const StoredEmbeddings *stored, Datum value, bool null)
{
	int			numbers = 0;
	const float *state = null ? NULL : embedding_from_datum(value, &numbers);

	return numbers == stored->n_state ? state : NULL;
}

/* Row function: key, embedding, degree [, state]. */
static void
keep_embedding(void *argument, Datum *values, bool *nulls)
{
	EmbeddingReading *reading = argument;
	StoredEmbeddings *stored = reading->stored;
	const float *vector;
	const float *state = NULL;
	Key			key;
	int32		number;

	if (nulls[0] || nulls[1] || nulls[2])
		return;
	if (stored->n_state > 0)
	{
		state = state_of(stored, values[3], nulls[3]);
		if (state == NULL)
			return;
	}
	key = key_from_datum(reading->key_type, values[0]);
	number = reading->only_known ? dictionary_find(stored->keys, &key) : dictionary_add(stored->keys, &key);
	check_core(reading);
	if (number < 0)
		return;
	vector = checked_vector(reading, values[1]);
	reserve_rows(reading, number + 1);
	memcpy(stored->values + (size_t) number * stored->width, vector, stored->width * sizeof(float));
	stored->degrees[number] = DatumGetInt32(values[2]);
	if (state != NULL)
		memcpy(stored->states + (size_t) number * stored->n_state, state, stored->n_state * sizeof(float));
}

/* See embedding_reading.h. */
StoredEmbeddings *
embeddings_open(Arena *arena, Dictionary *keys)
{
	StoredEmbeddings *stored = palloc0(sizeof(StoredEmbeddings));

	stored->arena = arena;
	stored->keys = keys;
	return stored;
}

/* See embedding_reading.h. */
void
embeddings_read_some(StoredEmbeddings *stored, const GraphDefinition *definition, bool of_objects,
					 bool only_known, const char *clause, int n, Oid *types, Datum *values)
{
	const char *key_column = of_objects ? definition->object_column : definition->user_column;
	EmbeddingReading reading = {.definition = definition, .only_known = only_known, .stored = stored};
	Oid			relation = relation_from_text(of_objects ? definition->object_embeddings :
											  definition->user_embeddings);

	reading.key_type = source_key_column(relation, key_column, "the graph");
	read_rows(psprintf("SELECT %s, embedding, degree%s FROM %s%s", quote_identifier(key_column),
					   stored->n_state > 0 ? ", state" : "", relation_qualified_name(relation), clause),
			  n, types, values, NULL, keep_embedding, &reading);
	if (stored->width > 0)
		reserve_rows(&reading, stored->keys->count);
}

/* Read the embeddings of users or objects; see embedding_reading.h. */
StoredEmbeddings *
embeddings_read(Arena *arena, const GraphDefinition *definition, bool of_objects, Dictionary *keys,
				bool only_known)
{
	StoredEmbeddings *stored = embeddings_open(arena, keys);

	embeddings_read_some(stored, definition, of_objects, only_known, "", 0, NULL, NULL);
	if (stored->width == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("%s has no embedding that is asked for",
						of_objects ? definition->object_embeddings : definition->user_embeddings),
				 errdetail("It holds the %s that took part in the last training.", of_objects ? "objects" : "users"),
				 errhint("A training gives new ones their vectors: SELECT * FROM behavpred.train_graph(%s);",
						 quote_literal_cstr(definition->name))));
	return stored;
}
