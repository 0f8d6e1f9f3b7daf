/*
 * embedding_storage.h
 *		The tables that hold embeddings: (key PRIMARY KEY, embedding real[], degree int).
 *
 * They are ordinary tables, owned by whoever trains, named <graph>_user_embedding and
 * <graph>_object_embedding in the schema that was current at the first training, unless the
 * owner has given one of his for the users.  The
 * key column is named and typed as in the interactions.  A later training replaces the
 * rows inside its own transaction (DELETE and INSERT): readers see the old vectors until
 * it commits, and views, grants and indexes on the tables stay.
 */
#ifndef BEHAVPRED_EMBEDDING_STORAGE_H
#define BEHAVPRED_EMBEDDING_STORAGE_H

#include "postgres.h"

#include "core/dictionary.h"
#include "pg/graph_definition.h"

/* Gives the state of a row (core/network_states.h). */
typedef void (*StateFunction) (const void *source, int32 row, float *state);

/* Rows to be written; the columns direct and state, which embedding_table_prepare() makes where they
 * are wanted, are left NULL without their numbers. */
typedef struct EmbeddingRows
{
	const char *table;			/* quoted */
	const char *key_column;
	Oid			key_type;
	const Dictionary *keys;
	const float *vectors;		/* keys->count x width */
	int			width;
	const int32 *degrees;
	const float *direct;		/* keys->count x n_direct, for the direct term of objects; NULL = none */
	int			n_direct;
	StateFunction state;		/* NULL = none */
	const void *state_source;
	int			n_state;
} EmbeddingRows;

/*
 * Create the table when it is not there; ERRCODE_DUPLICATE_TABLE with a hint when the
 * name is taken by a table that is not this graph's.  Returns the quoted qualified name.
 */
extern char *embedding_table_prepare(const GraphDefinition *definition, bool of_objects);

/*
 * The same for a table of users that the owner has made and given, ordinary, partitioned, foreign
 * or distributed; ERRCODE_WRONG_OBJECT_TYPE or ERRCODE_DATATYPE_MISMATCH with the columns that are
 * needed when it does not fit.
 */
extern char *embedding_table_given(const GraphDefinition *definition, Oid relation);

/* Drop a graph's table of users or objects, or leave it when it was given, and say so. */
extern void embedding_table_drop(const GraphDefinition *definition, bool of_objects);

/*
 * True for a table, ordinary, partitioned or foreign, whose columns are those that a training fills.
 * A view in its place, or a type of the owner's with casts of its own, would run the
 * owner's functions as whoever reads it.
 */
extern bool embedding_columns_fit(Oid relation, const char *key_column, Oid key_type);

/* True when states of nodes can be written to the table and read from it. */
extern bool embedding_has_states(Oid relation);

/* Replace all rows, in dictionary order. */
extern void embedding_table_fill(const EmbeddingRows *rows);

/* Add rows, whose keys must not be there. */
extern void embedding_table_add(const EmbeddingRows *rows);

/* A real[] of `width` numbers. */
extern ArrayType *embedding_to_array(const float *vector, int width);

/*
 * The numbers of a real[] Datum (detoasted when needed) and how many; error when it has
 * more than one dimension, a NULL, or is empty.
 */
extern const float *embedding_from_datum(Datum value, int *width);

#endif
