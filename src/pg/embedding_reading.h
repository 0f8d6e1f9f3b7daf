/*
 * embedding_reading.h
 *		Stored embeddings back into memory.
 */
#ifndef BEHAVPRED_EMBEDDING_READING_H
#define BEHAVPRED_EMBEDDING_READING_H

#include "postgres.h"

#include "core/dictionary.h"
#include "core/ranking.h"
#include "pg/graph_definition.h"

typedef struct StoredEmbeddings
{
	Dictionary *keys;			/* number of a key = its row below */
	int			width;
	float	   *values;			/* keys->count x width; rows not found are 0 */
	int32	   *degrees;		/* -1 = not found */
	int			n_state;		/* set by the caller: numbers of a state, without which a row counts as not found */
	float	   *states;			/* keys->count x n_state */
	int32		capacity;
	Arena	   *arena;
} StoredEmbeddings;

/*
 * Read the embeddings of the graph's users or objects.  With `only_known` the rows whose
 * keys the dictionary has already, else all, adding their keys to it.
 */
extern StoredEmbeddings *embeddings_read(Arena *arena, const GraphDefinition *definition, bool of_objects,
										 Dictionary *keys, bool only_known);

/*
 * The same in parts: rows that `clause` chooses, which stands behind the name of the table and may
 * have parameters, are added to what is there.  The width stays 0 until a row is found.
 */
extern StoredEmbeddings *embeddings_open(Arena *arena, Dictionary *keys);
extern void embeddings_read_some(StoredEmbeddings *stored, const GraphDefinition *definition, bool of_objects,
								 bool only_known, const char *clause, int n, Oid *types, Datum *values);

#endif
