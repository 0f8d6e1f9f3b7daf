/*
 * feature_loading.h
 *		From a feature table to the matrix of node features.
 */
#ifndef BEHAVPRED_FEATURE_LOADING_H
#define BEHAVPRED_FEATURE_LOADING_H

#include "postgres.h"

#include "core/dictionary.h"
#include "core/features.h"
#include "pg/feature_columns.h"
#include "pg/graph_definition.h"

typedef struct FeatureTable
{
	Oid			relation;
	const char *argument;		/* "user_features" or "object_features" */
	const char *kind;			/* "user" or "object" */
	Oid			key_type;
	int			n_columns;
	FeatureColumn *columns;
	Arena	   *arena;			/* of the two arrays below */
	Features	raw;			/* rows by number in the dictionary; NaN = no value */
	bool	   *seen;			/* rows that the table has given */
	int32		capacity;		/* rows of both */
	Dictionary *keys;
} FeatureTable;

/*
 * Read the rows; keys that the dictionary lacks are added to it.  NULL when the graph has
 * no such features.  The matrix is in `arena`.
 */
extern FeatureTable *feature_table_read(Arena *arena, const GraphDefinition *definition, bool of_objects,
										Dictionary *keys);

/* Order the rows by the new numbers of dictionary_sort(), which it uses up. */
extern void feature_table_renumber(FeatureTable *table, int32 *new_numbers);

/*
 * The matrix that the encoder reads, in `arena`, and the names of its columns.  Frees the
 * raw rows.
 */
extern Features *feature_table_finish(FeatureTable *table, Arena *arena, char ***names);

#endif
