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
#include "lib/stringinfo.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"

#include "pg/bridge.h"
#include "pg/feature_loading.h"
#include "pg/keys.h"
#include "pg/options.h"
#include "pg/reader.h"

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
	table->n_rows++;
}

/* Row function: values[0] is the key; a row without a key, or with one that no key of the graph can be, belongs to nobody. */
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
	if (!key_fits(table->key_type, &reading->key))
		return;
	number = table->only_known ? dictionary_find(table->keys, &reading->key) :
		dictionary_add(table->keys, &reading->key);
	check_core(table);
	if (number < 0)
		return;
	reserve_rows(table, number + 1);
	check_first_row(reading, number);

	row = table->raw.values + (size_t) number * table->raw.columns;
	for (int i = 0; i < table->n_columns; i++)
		if (!nulls[1 + i])
			put_value(reading, i, values[1 + i], row);
}

/* A row function for rows of a key of this type and the columns. */
static FeatureReading
open_reading(FeatureTable *table, Oid key_type)
{
	FeatureReading reading = {.table = table, .types = palloc((1 + table->n_columns) * sizeof(Oid))};

	reading.types[0] = key_type;
	for (int i = 0; i < table->n_columns; i++)
		source_has_column(table->relation, table->columns[i].name, &reading.types[1 + i]);
	return reading;
}

/* Read the rows that a clause chooses into the table that has been opened. */
static void
read_feature_rows(FeatureTable *table, bool apply_row_security, const char *clause, int n, Oid *types, Datum *values)
{
	FeatureReading reading;
	char	   *query = psprintf("SELECT %s%s FROM %s%s", quote_identifier(table->key_column),
								 feature_columns_select(table->columns, table->n_columns),
								 relation_qualified_name(table->relation), clause);
	Oid			key_type;

	source_has_column(table->relation, table->key_column, &key_type);
	reading = open_reading(table, key_type);
	source_read(apply_row_security, query, n, types, values, keep_features, &reading);
}

/* The table of a kind of nodes, without its columns; NULL when the graph has none. */
static FeatureTable *
open_table(Arena *arena, const GraphDefinition *definition, bool of_objects, Dictionary *keys)
{
	const char *relation = of_objects ? definition->objects : definition->users;
	FeatureTable *table;

	if (relation == NULL)
		return NULL;
	table = palloc0(sizeof(FeatureTable));
	table->arena = arena;
	table->keys = keys;
	table->kind = of_objects ? "object" : "user";
	table->argument = of_objects ? "object_features" : "user_features";
	table->key_type = of_objects ? definition->object_key_type : definition->user_key_type;
	table->relation = source_relation(relation, definition->apply_row_security);
	table->key_column = feature_key_column(table->relation,
										   of_objects ? definition->object_column : definition->user_column,
										   table->key_type, of_objects ? "objects" : "users");
	table->names = of_objects ? definition->object_features : definition->user_features;
	return table;
}

/* Room for the rows of the keys that there are. */
static void
open_rows(FeatureTable *table)
{
	for (int i = 0; i < table->n_columns; i++)
		table->raw.columns += table->columns[i].width;
	reserve_rows(table, Max(table->keys->count, 1));
}

/* Read the rows of a feature table; see feature_loading.h. */
FeatureTable *
feature_table_read(Arena *arena, const GraphDefinition *definition, bool of_objects, Dictionary *keys)
{
	FeatureTable *table = open_table(arena, definition, of_objects, keys);

	if (table == NULL)
		return NULL;
	table->columns = feature_columns_plan(table->relation, definition->apply_row_security, table->names,
										  table->argument, &table->n_columns);
	open_rows(table);
	read_feature_rows(table, definition->apply_row_security, "", 0, NULL, NULL);
	for (int i = 0; i < table->n_columns; i++)
		if (table->columns[i].present == 0)
			feature_column_empty(table->relation, table->columns[i].name, table->argument);
	return table;
}

/* The same columns as in the matrix of a training, for these keys alone. */
static FeatureTable *
open_known(Arena *arena, const GraphDefinition *definition, bool of_objects, Dictionary *keys, char **matrix,
		   int n_matrix, int n_raw)
{
	FeatureTable *table = open_table(arena, definition, of_objects, keys);
	bool		known = false;

	if (table != NULL)
	{
		table->only_known = true;
		table->columns = feature_columns_known(table->relation, table->names, table->argument, matrix, n_matrix,
											   &table->n_columns);
		if (table->columns != NULL)
			open_rows(table);
		known = table->raw.columns == n_raw;
	}
	if (!known)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the kept network of graph \"%s\" is for other features", definition->name),
				 errdetail("Columns or categories have come or gone since the last training."),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(definition->name))));
	table->raw.rows = keys->count;
	return table;
}

/* The rows of the keys that there are. */
static void
read_known_rows(FeatureTable *table, bool apply_row_security)
{
	Oid			type;
	Datum		value = keys_to_array(table->key_type, table->keys, 0, &type);

	read_feature_rows(table, apply_row_security,
					  psprintf(" WHERE %s OPERATOR(pg_catalog.=) ANY ($1)", quote_identifier(table->key_column)),
					  1, &type, &value);
}

/* See feature_loading.h. */
FeatureTable *
feature_table_read_known(Arena *arena, const GraphDefinition *definition, bool of_objects, Dictionary *keys,
						 char **matrix, int n_matrix, int n_raw)
{
	FeatureTable *table = open_known(arena, definition, of_objects, keys, matrix, n_matrix, n_raw);

	read_known_rows(table, definition->apply_row_security);
	return table;
}

/* See feature_loading.h. */
void
feature_table_find(Arena *arena, const GraphDefinition *definition, bool of_objects, Dictionary *keys, bool *found)
{
	FeatureTable *table = open_table(arena, definition, of_objects, keys);

	if (table == NULL)
		return;
	table->only_known = true;
	open_rows(table);
	read_known_rows(table, definition->apply_row_security);
	memcpy(found, table->seen, keys->count * sizeof(bool));
}

/* "a integer, b text": the columns with their own types. */
static char *
record_columns(const FeatureTable *table)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < table->n_columns; i++)
	{
		Oid			type;

		source_has_column(table->relation, table->columns[i].name, &type);
		appendStringInfo(&list, "%s%s %s", i == 0 ? "" : ", ", quote_identifier(table->columns[i].name),
						 format_type_be_qualified(type));
	}
	return list.data;
}

/* Refuse a member that is no feature, for it would be as if it had not been given. */
static void
check_members(const FeatureTable *table, Jsonb *json)
{
	const char **names = palloc0((table->n_columns + 1) * sizeof(char *));
	JsonbIterator *iterator = JsonbIteratorInit(&json->root);
	JsonbValue	value;
	JsonbIteratorToken token;

	if (!JB_ROOT_IS_OBJECT(json))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("features must be a JSON object"),
				 errhint("Write them as in: features => '{\"%s\": ...}'.", table->columns[0].name)));
	for (int i = 0; i < table->n_columns; i++)
		names[i] = table->columns[i].name;
	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
		if (token == WJB_KEY)
			options_choice("feature", pnstrdup(value.val.string.val, value.val.string.len), names);
}

/* See feature_loading.h. */
FeatureTable *
feature_table_from_json(Arena *arena, const GraphDefinition *definition, bool of_objects, Jsonb *json,
						char **matrix, int n_matrix, int n_raw)
{
	Dictionary *keys = palloc0(sizeof(Dictionary));
	Key			key = key_from_datum(INT8OID, Int64GetDatum(0));
	FeatureTable *table;
	FeatureReading reading;
	Oid			type = JSONBOID;
	Datum		value = JsonbPGetDatum(json);

	dictionary_open(keys, arena, KEY_INTEGER);
	dictionary_add(keys, &key);
	table = open_known(arena, definition, of_objects, keys, matrix, n_matrix, n_raw);
	check_members(table, json);
	reading = open_reading(table, INT8OID);
	read_rows(psprintf("SELECT 0::pg_catalog.int8%s FROM pg_catalog.jsonb_to_record($1) AS r (%s)",
					   feature_columns_select(table->columns, table->n_columns), record_columns(table)),
			  1, &type, &value, NULL, keep_features, &reading);
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
