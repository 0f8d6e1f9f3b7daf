/*
 * feature_columns.h
 *		How the columns of a feature table become numbers.
 *
 * A number or boolean is one column of the matrix; text, varchar, char and enum are one
 * column for each value (one-hot, in the order of their bytes); an array of numbers is
 * one column for each element.
 */
#ifndef BEHAVPRED_FEATURE_COLUMNS_H
#define BEHAVPRED_FEATURE_COLUMNS_H

#include "postgres.h"

#include "core/features.h"
#include "utils/array.h"

#define MOST_CATEGORIES 100

typedef enum ColumnSource
{
	COLUMN_NUMBER,
	COLUMN_CATEGORY,
	COLUMN_VECTOR
} ColumnSource;

typedef struct FeatureColumn
{
	char	   *name;
	ColumnSource source;
	int			first;			/* its first column of the matrix */
	int			width;			/* how many it has */
	char	  **categories;		/* COLUMN_CATEGORY: width values, ascending by bytes */
	int64		present;		/* rows with a value; counted while rows are read */
} FeatureColumn;

/*
 * Look at each named column: its type, its categories or its length (which reads the
 * table).  Errors: no such column, a type that is no feature, more than MOST_CATEGORIES
 * values, arrays that are empty, a text or array column that is NULL throughout.
 * `argument` is the argument that named them.
 */
extern FeatureColumn *feature_columns_plan(Oid relation, bool apply_row_security, ArrayType *names,
										   const char *argument, int *n);

/*
 * The columns as they were when a training made a matrix of columns with these names: no row is read, and
 * values that it did not know are none.  NULL when they cannot be those.
 */
extern FeatureColumn *feature_columns_known(Oid relation, ArrayType *names, const char *argument, char **matrix,
											int n_matrix, int *n);

/* The select list: each column cast to what the rows are read as. */
extern char *feature_columns_select(const FeatureColumn *columns, int n);

/* Name and kind of each column of the matrix; both arrays have room for them. */
extern void feature_columns_expand(const FeatureColumn *columns, int n, char **names, FeatureKind *kinds);

/* name[] of all columns but the key that can be features. */
extern ArrayType *feature_columns_usable(Oid relation, const char *key_column);

/* Complain about a column without any value. */
extern void feature_column_empty(Oid relation, const char *column, const char *argument);

#endif
