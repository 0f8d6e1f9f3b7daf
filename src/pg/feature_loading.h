/*
 * feature_loading.h
 *		From a feature table to the matrix of node features.
 */
#ifndef BEHAVPRED_FEATURE_LOADING_H
#define BEHAVPRED_FEATURE_LOADING_H

#include "postgres.h"

#include "utils/jsonb.h"

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
	char	   *key_column;
	ArrayType  *names;			/* name[] of the columns */
	bool		only_known;		/* keys that the dictionary lacks are passed over */
	int			n_columns;
	FeatureColumn *columns;
	Arena	   *arena;			/* of the two arrays below */
	Features	raw;			/* rows by number in the dictionary; NaN = no value */
	bool	   *seen;			/* rows that the table has given */
	int64		n_rows;			/* how many they are */
	int32		capacity;		/* rows of both */
	Dictionary *keys;
} FeatureTable;

/*
 * Read the rows; keys that the dictionary lacks are added to it.  NULL when the graph has
 * no such features.  The matrix is in `arena`.
 */
extern FeatureTable *feature_table_read(Arena *arena, const GraphDefinition *definition, bool of_objects,
										Dictionary *keys);

/*
 * The rows of the keys that there are, as raw columns like those of a training, whose matrix had `n_matrix`
 * columns of these names, the first `n_raw` of them raw: no category is new.  seen[] tells which keys have a row.
 */
extern FeatureTable *feature_table_read_known(Arena *arena, const GraphDefinition *definition, bool of_objects,
											  Dictionary *keys, char **matrix, int n_matrix, int n_raw);

/* Which of the keys have a row; none when the graph has no such features. */
extern void feature_table_find(Arena *arena, const GraphDefinition *definition, bool of_objects, Dictionary *keys,
							   bool *found);

/* feature_table_read_known() for one row, from a JSON object with the columns as members; those that it lacks are NULL. */
extern FeatureTable *feature_table_from_json(Arena *arena, const GraphDefinition *definition, bool of_objects,
											 Jsonb *json, char **matrix, int n_matrix, int n_raw);

/* Order the rows by the new numbers of dictionary_sort(), which it uses up. */
extern void feature_table_renumber(FeatureTable *table, int32 *new_numbers);

/*
 * The matrix that the encoder reads, in `arena`, and the names of its columns.  Frees the
 * raw rows.
 */
extern Features *feature_table_finish(FeatureTable *table, Arena *arena, char ***names);

#endif
