/*
 * feature_loading.c
 *		From a feature table to the matrix of node features.
 *
 * One pass over the rows, each written where the dictionary numbers its key.  The matrix
 * grows as keys come; when the dictionary is sorted its rows are moved within it.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "pg/bridge.h"
#include "pg/feature_loading.h"
#include "pg/keys.h"

typedef struct FeatureReading
{
	FeatureTable *table;
	Oid		   *types;			/* of each column, the key's first */
	Key			key;			/* of the row at hand, for messages */
} FeatureReading;

/* Raise what the core met while rows came in. */
static void
check_core(const FeatureTable *table)
{
	bridge_check(table->arena->core, "loading %s", table->argument);
}

/* Rows for keys 0 .. n - 1, new ones without values. */
static void
reserve_rows(FeatureTable *table, int32 n)
{
	int32		capacity = Max(n, table->capacity + table->capacity / 2);
	size_t		width = table->raw.columns;

	if (n <= table->capacity)
		return;
	table->raw.values = arena_grow(table->arena, table->raw.values, table->capacity * width,
								   capacity * width, sizeof(float));
	table->seen = arena_grow(table->arena, table->seen, table->capacity, capacity, sizeof(bool));
	check_core(table);
	for (size_t i = table->capacity * width; i < capacity * width; i++)
		table->raw.values[i] = NAN;
	memset(table->seen + table->capacity, 0, capacity - table->capacity);
	table->capacity = capacity;
}

/* A value that is there must be a finite float4. */
static float
finite_feature(const FeatureReading *reading, const FeatureColumn *column, double value)
{
	const FeatureTable *table = reading->table;

	if (!isfinite((float) value))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("feature column \"%s\" of \"%s\" has the value %s", column->name,
						relation_display_name(table->relation), float8out_internal(value)),
				 errdetail("It belongs to %s %s.", table->kind, key_to_text(reading->types[0], &reading->key)),
				 errhint("Features must be finite and below 3.4e38; NULL stands for an unknown value.")));
	return (float) value;
}

/* A number or boolean as a double. */
static double
number_from_datum(Oid type, Datum value)
{
	switch (type)
	{
		case BOOLOID:
			return DatumGetBool(value) ? 1 : 0;
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return (double) DatumGetInt64(value);
		case FLOAT4OID:
			return DatumGetFloat4(value);
		case FLOAT8OID:
			return DatumGetFloat8(value);
		default:
			return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
	}
}

/* One-hot: 1 in the column of the value, 0 in the others. */
static void
put_category(const FeatureReading *reading, const FeatureColumn *column, Datum value, float *row)
{
	char	   *word = TextDatumGetCString(value);

	for (int i = 0; i < column->width; i++)
		row[column->first + i] = strcmp(column->categories[i], word) == 0 ? 1 : 0;
}

/* An array: each element in a column of its own. */
static void
put_vector(const FeatureReading *reading, const FeatureColumn *column, Datum value, float *row)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	const float *elements = (const float *) ARR_DATA_PTR(array);
	int			length = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array));

	if (length != column->width || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("arrays in feature column \"%s\" of \"%s\" are not all alike", column->name,
						relation_display_name(reading->table->relation)),
				 errdetail("That of %s %s has %d elements%s, another has %d.", reading->table->kind,
						   key_to_text(reading->types[0], &reading->key), length,
						   array_contains_nulls(array) ? " (some NULL)" : "", column->width),
				 errhint("Make all arrays equally long and free of NULL elements, or NULL where there is none.")));
	for (int i = 0; i < length; i++)
		row[column->first + i] = finite_feature(reading, column, elements[i]);
}

/* One value of one row. */
static void
put_value(const FeatureReading *reading, int i, Datum value, float *row)
{
	FeatureColumn *column = &reading->table->columns[i];

	column->present++;
	if (column->source == COLUMN_CATEGORY)
		put_category(reading, column, value, row);
	else if (column->source == COLUMN_VECTOR)
		put_vector(reading, column, value, row);
	else
		row[column->first] = finite_feature(reading, column,
											number_from_datum(reading->types[1 + i], value));
}

/* A key may stand in one row only: which of two would count? */
static void
check_first_row(const FeatureReading *reading, int32 number)
{
	FeatureTable *table = reading->table;

	if (table->seen[number])
		ereport(ERROR,
				(errcode(ERRCODE_CARDINALITY_VIOLATION),
				 errmsg("%s %s stands in more than one row of \"%s\"", table->kind,
						key_to_text(reading->types[0], &reading->key),
						relation_display_name(table->relation)),
				 errhint("Read it through a view with one row for each key.")));
	table->seen[number] = true;
}

/* Row function: values[0] is the key; a row without a key belongs to nobody. */
static void
keep_features(void *argument, Datum *values, bool *nulls)
{
	FeatureReading *reading = argument;
	FeatureTable *table = reading->table;
	int32		number;
	float	   *row;

	if (nulls[0])
		return;
	reading->key = key_from_datum(reading->types[0], values[0]);
	number = dictionary_add(table->keys, &reading->key);
	check_core(table);
	reserve_rows(table, number + 1);
	check_first_row(reading, number);

	row = table->raw.values + (size_t) number * table->raw.columns;
	for (int i = 0; i < table->n_columns; i++)
		if (!nulls[1 + i])
			put_value(reading, i, values[1 + i], row);
}

/* Read the rows into the table that has been opened. */
static void
read_feature_rows(FeatureTable *table, bool apply_row_security, const char *key_column)
{
	FeatureReading reading = {.table = table};
	char	   *query = psprintf("SELECT %s%s FROM %s", quote_identifier(key_column),
								 feature_columns_select(table->columns, table->n_columns),
								 relation_qualified_name(table->relation));

	reading.types = palloc((1 + table->n_columns) * sizeof(Oid));
	source_has_column(table->relation, key_column, &reading.types[0]);
	for (int i = 0; i < table->n_columns; i++)
		source_has_column(table->relation, table->columns[i].name, &reading.types[1 + i]);
	source_read(apply_row_security, query, 0, NULL, NULL, keep_features, &reading);

	for (int i = 0; i < table->n_columns; i++)
		if (table->columns[i].present == 0)
			feature_column_empty(table->relation, table->columns[i].name, table->argument);
}

/* Read the rows of a feature table; see feature_loading.h. */
FeatureTable *
feature_table_read(Arena *arena, const GraphDefinition *definition, bool of_objects, Dictionary *keys)
{
	const char *relation = of_objects ? definition->objects : definition->users;
	ArrayType  *names = of_objects ? definition->object_features : definition->user_features;
	FeatureTable *table;
	char	   *key_column;

	if (relation == NULL)
		return NULL;
	table = palloc0(sizeof(FeatureTable));
	table->arena = arena;
	table->keys = keys;
	table->kind = of_objects ? "object" : "user";
	table->argument = of_objects ? "object_features" : "user_features";
	table->key_type = of_objects ? definition->object_key_type : definition->user_key_type;
	table->relation = source_relation(relation, definition->apply_row_security);
	key_column = feature_key_column(table->relation,
									of_objects ? definition->object_column : definition->user_column,
									table->key_type, of_objects ? "objects" : "users");
	table->columns = feature_columns_plan(table->relation, definition->apply_row_security, names,
										  table->argument, &table->n_columns);
	for (int i = 0; i < table->n_columns; i++)
		table->raw.columns += table->columns[i].width;
	reserve_rows(table, Max(keys->count, 1));
	read_feature_rows(table, definition->apply_row_security, key_column);
	return table;
}

/* Exchange two rows of the matrix. */
static void
swap_rows(Features *features, int32 a, int32 b)
{
	float	   *row_a = features->values + (size_t) a * features->columns;
	float	   *row_b = features->values + (size_t) b * features->columns;

	for (int i = 0; i < features->columns; i++)
	{
		float		value = row_a[i];

		row_a[i] = row_b[i];
		row_b[i] = value;
	}
}

/* Follow each cycle of the permutation, so that no second matrix is needed. */
void
feature_table_renumber(FeatureTable *table, int32 *new_numbers)
{
	reserve_rows(table, table->keys->count);
	table->raw.rows = table->keys->count;
	for (int32 i = 0; i < table->raw.rows; i++)
	{
		while (new_numbers[i] != i)
		{
			int32		target = new_numbers[i];

			swap_rows(&table->raw, i, target);
			new_numbers[i] = new_numbers[target];
			new_numbers[target] = target;
		}
	}
}

/* Names of the flag columns, in the order in which features_finish() appends them. */
static void
name_flags(const FeatureTable *table, char **names)
{
	int			next = table->raw.columns;

	for (int i = 0; i < table->n_columns; i++)
		if (table->columns[i].present < table->raw.rows)
			names[next++] = psprintf("%s missing", table->columns[i].name);
}

/* The matrix that the encoder reads. */
Features *
feature_table_finish(FeatureTable *table, Arena *arena, char ***names)
{
	Core	   *core = arena->core;
	Features   *result = palloc0(sizeof(Features));
	FeatureKind *kinds = palloc(table->raw.columns * sizeof(FeatureKind));

	*names = palloc0((table->raw.columns + table->n_columns) * sizeof(char *));
	feature_columns_expand(table->columns, table->n_columns, *names, kinds);
	name_flags(table, *names);
	features_finish(core, arena, &table->raw, kinds, result);
	check_core(table);
	arena_release(table->arena, table->raw.values);
	arena_release(table->arena, table->seen);
	return result;
}
