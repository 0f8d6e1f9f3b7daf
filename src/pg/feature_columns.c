/*
 * feature_columns.c
 *		How the columns of a feature table become numbers.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/feature_columns.h"
#include "pg/source.h"

/* What a column of this type becomes; false when it can be no feature. */
static bool
source_of_type(Oid type, ColumnSource *source)
{
	switch (type)
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			*source = COLUMN_NUMBER;
			return true;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			*source = COLUMN_CATEGORY;
			return true;
		case FLOAT4ARRAYOID:
		case FLOAT8ARRAYOID:
			*source = COLUMN_VECTOR;
			return true;
		default:
			*source = COLUMN_CATEGORY;
			return type_is_enum(type);
	}
}

/* What this column becomes. */
static ColumnSource
column_source(Oid relation, const char *column, const char *argument)
{
	Oid			type = source_column(relation, column, argument);
	ColumnSource source;

	if (!source_of_type(type, &source))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of \"%s\" is of type %s, which cannot be a feature",
						column, relation_display_name(relation), format_type_be(type)),
				 errdetail("Features may be numbers, boolean, text, character varying, enums, real[] or double precision[]."),
				 errhint("Leave it out of %s, or read it through a view that casts it.", argument)));
	return source;
}

/* Complain about a column without any value. */
void
feature_column_empty(Oid relation, const char *column, const char *argument)
{
	ereport(ERROR,
			(errcode(ERRCODE_NO_DATA_FOUND),
			 errmsg("feature column \"%s\" of \"%s\" has no value", column, relation_display_name(relation)),
			 errdetail("It is NULL in all rows, or there are no rows."),
			 errhint("Leave it out of %s.", argument)));
}

typedef struct CategoryReading
{
	MemoryContext context;
	char	  **categories;
	int			n;
} CategoryReading;

/* Row function of read_categories(). */
static void
keep_category(void *argument, Datum *values, bool *nulls)
{
	CategoryReading *reading = argument;
	MemoryContext row = MemoryContextSwitchTo(reading->context);

	reading->categories[reading->n++] = TextDatumGetCString(values[0]);
	MemoryContextSwitchTo(row);
}

/* The distinct values of a text or enum column, ascending by bytes. */
static void
read_categories(Oid relation, bool apply_row_security, const char *argument, FeatureColumn *column)
{
	const char *name = quote_identifier(column->name);
	CategoryReading reading = {CurrentMemoryContext, palloc((MOST_CATEGORIES + 1) * sizeof(char *)), 0};
	char	   *query = psprintf("SELECT DISTINCT %s::pg_catalog.text COLLATE pg_catalog.\"C\" FROM %s "
								 "WHERE %s IS NOT NULL ORDER BY 1 LIMIT %d",
								 name, relation_qualified_name(relation), name, MOST_CATEGORIES + 1);

	source_read(apply_row_security, query, 0, NULL, NULL, keep_category, &reading);
	if (reading.n == 0)
		feature_column_empty(relation, column->name, argument);
	if (reading.n > MOST_CATEGORIES)
		ereport(ERROR,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("feature column \"%s\" of \"%s\" has too many different values",
						column->name, relation_display_name(relation)),
				 errdetail("Text becomes one feature for each value; up to %d are allowed.", MOST_CATEGORIES),
				 errhint("Leave it out of %s, or read it through a view that groups rare values.", argument)));
	column->categories = reading.categories;
	column->width = reading.n;
}

/* Row function of read_length(). */
static void
keep_length(void *argument, Datum *values, bool *nulls)
{
	*(int *) argument = nulls[0] ? 0 : DatumGetInt32(values[0]);
}

/* The length of an array column, by its first value; all rows are checked later. */
static void
read_length(Oid relation, bool apply_row_security, const char *argument, FeatureColumn *column)
{
	const char *name = quote_identifier(column->name);
	char	   *query = psprintf("SELECT pg_catalog.cardinality(%s) FROM %s WHERE %s IS NOT NULL LIMIT 1",
								 name, relation_qualified_name(relation), name);

	if (source_read(apply_row_security, query, 0, NULL, NULL, keep_length, &column->width) == 0)
		feature_column_empty(relation, column->name, argument);
	if (column->width == 0)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("feature column \"%s\" of \"%s\" has an empty array",
						column->name, relation_display_name(relation)),
				 errhint("Make all its arrays equally long, or NULL where there is none.")));
}

/* Look at each named column; see feature_columns.h. */
FeatureColumn *
feature_columns_plan(Oid relation, bool apply_row_security, ArrayType *names, const char *argument, int *n)
{
	Datum	   *elements;
	FeatureColumn *columns;
	int			first = 0;

	deconstruct_array(names, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elements, NULL, n);
	columns = palloc0(*n * sizeof(FeatureColumn));
	for (int i = 0; i < *n; i++)
	{
		FeatureColumn *column = &columns[i];

		column->name = pstrdup(NameStr(*DatumGetName(elements[i])));
		column->source = column_source(relation, column->name, argument);
		column->width = 1;
		if (column->source == COLUMN_CATEGORY)
			read_categories(relation, apply_row_security, argument, column);
		else if (column->source == COLUMN_VECTOR)
			read_length(relation, apply_row_security, argument, column);
		column->first = first;
		first += column->width;
	}
	return columns;
}

/* The columns of the matrix from `first` on that are this column's, and its categories. */
static void
find_in_matrix(FeatureColumn *column, char **matrix, int n_matrix, int first)
{
	char	   *prefix = psprintf("%s=", column->name);

	column->first = first;
	column->categories = palloc((MOST_CATEGORIES + 1) * sizeof(char *));
	for (; first < n_matrix && column->width < MOST_CATEGORIES; first++, column->width++)
		if (column->source == COLUMN_CATEGORY && strncmp(matrix[first], prefix, strlen(prefix)) == 0)
			column->categories[column->width] = matrix[first] + strlen(prefix);
		else
			return;
}

/* How many of them are elements of this array. */
static int
count_elements(const FeatureColumn *column, char **matrix, int n_matrix, int first)
{
	int			n = 0;

	while (first + n < n_matrix && strcmp(matrix[first + n], psprintf("%s[%d]", column->name, n + 1)) == 0)
		n++;
	return n;
}

/* See feature_columns.h. */
FeatureColumn *
feature_columns_known(Oid relation, ArrayType *names, const char *argument, char **matrix, int n_matrix, int *n)
{
	Datum	   *elements;
	FeatureColumn *columns;
	int			first = 0;

	deconstruct_array(names, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &elements, NULL, n);
	columns = palloc0(*n * sizeof(FeatureColumn));
	for (int i = 0; i < *n; i++)
	{
		FeatureColumn *column = &columns[i];

		column->name = pstrdup(NameStr(*DatumGetName(elements[i])));
		column->source = column_source(relation, column->name, argument);
		find_in_matrix(column, matrix, n_matrix, first);
		if (column->source == COLUMN_VECTOR)
			column->width = count_elements(column, matrix, n_matrix, first);
		else if (column->source == COLUMN_NUMBER)
			column->width = first < n_matrix && strcmp(matrix[first], column->name) == 0;
		if (column->width == 0)
			return NULL;
		first += column->width;
	}
	return columns;
}

/* ", a::float8, b::text, c::real[]" */
char *
feature_columns_select(const FeatureColumn *columns, int n)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < n; i++)
	{
		const char *name = quote_identifier(columns[i].name);

		if (columns[i].source == COLUMN_CATEGORY)
			appendStringInfo(&list, ", %s::pg_catalog.text", name);
		else if (columns[i].source == COLUMN_VECTOR)
			appendStringInfo(&list, ", %s::pg_catalog.float4[]", name);
		else
			appendStringInfo(&list, ", %s", name);
	}
	return list.data;
}

/* Name and kind of each column of the matrix. */
void
feature_columns_expand(const FeatureColumn *columns, int n, char **names, FeatureKind *kinds)
{
	for (int i = 0; i < n; i++)
	{
		const FeatureColumn *column = &columns[i];

		for (int j = 0; j < column->width; j++)
		{
			int			place = column->first + j;

			kinds[place] = j > 0 ? FEATURE_REST :
				column->source == COLUMN_CATEGORY ? FEATURE_CATEGORY :
				column->source == COLUMN_VECTOR ? FEATURE_VECTOR : FEATURE_NUMBER;
			names[place] = column->source == COLUMN_CATEGORY ?
				psprintf("%s=%s", column->name, column->categories[j]) :
				column->source == COLUMN_VECTOR ?
				psprintf("%s[%d]", column->name, j + 1) : column->name;
		}
	}
}

/* name[] of all columns but the key that can be features. */
ArrayType *
feature_columns_usable(Oid relation, const char *key_column)
{
	const char **all = source_columns(relation);
	Datum	   *names;
	int			count = 0;
	int			n = 0;

	while (all[count] != NULL)
		count++;
	names = palloc(Max(count, 1) * sizeof(Datum));
	for (int i = 0; i < count; i++)
	{
		ColumnSource source;
		Oid			type;

		if (strcmp(all[i], key_column) == 0 || !source_has_column(relation, all[i], &type) ||
			!source_of_type(type, &source))
			continue;
		names[n++] = DirectFunctionCall1(namein, CStringGetDatum(all[i]));
	}
	return construct_array(names, n, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR);
}
