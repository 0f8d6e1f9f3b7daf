/*
 * target_teacher.c
 *		What the training of a graph has left for its targets.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/vectors.h"
#include "pg/bridge.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"
#include "pg/reader.h"
#include "pg/target_teacher.h"

/* ---- the graph's run ------------------------------------------------------------------ */

typedef struct RunReading
{
	GraphRun   *run;
	MemoryContext context;
} RunReading;

/* For qsort() and bsearch(). */
static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The names of a text[], sorted, in the reading's context. */
static void
keep_target_objects(RunReading *reading, ArrayType *array)
{
	GraphRun   *run = reading->run;
	Datum	   *names;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &names, NULL, &run->n_target_objects);
	run->target_objects = MemoryContextAlloc(reading->context, Max(run->n_target_objects, 1) * sizeof(char *));
	for (int i = 0; i < run->n_target_objects; i++)
		run->target_objects[i] = MemoryContextStrdup(reading->context, TextDatumGetCString(names[i]));
	if (run->n_target_objects > 0)
		qsort(run->target_objects, run->n_target_objects, sizeof(char *), compare_names);
}

/* Row function: the graph's run. */
static void
keep_graph_run(void *argument, Datum *values, bool *nulls)
{
	RunReading *reading = argument;
	GraphRun   *run = reading->run;

	run->validation_fraction = nulls[0] ? 0 : DatumGetFloat4(values[0]);
	run->seed = DatumGetInt64(values[1]);
	run->scale = nulls[2] ? 1 : DatumGetFloat8(values[2]);
	run->offset = nulls[3] ? 0 : DatumGetFloat8(values[3]);
	run->target_fraction = nulls[4] ? 0 : DatumGetFloat4(values[4]);
	run->factors = nulls[5] ? 1 : DatumGetInt32(values[5]);
	run->has_until = !nulls[7];
	run->until = nulls[7] ? 0 : DatumGetFloat8(values[7]);
	if (!nulls[6])
		keep_target_objects(reading, DatumGetArrayTypeP(values[6]));
}

static const char graph_run_query[] =
"SELECT (options OPERATOR(pg_catalog.->>) 'validation_fraction')::pg_catalog.float4, seed, "
"(result OPERATOR(pg_catalog.->>) 'scale')::pg_catalog.float8, "
"(result OPERATOR(pg_catalog.->>) 'offset')::pg_catalog.float8, "
"(result OPERATOR(pg_catalog.->>) 'target_fraction')::pg_catalog.float4, "
"(options OPERATOR(pg_catalog.->>) 'factors')::pg_catalog.int4, "
"CASE WHEN result OPERATOR(pg_catalog.?) 'target_objects' THEN ARRAY(SELECT "
"pg_catalog.jsonb_array_elements_text(result OPERATOR(pg_catalog.->) 'target_objects')) END, "
"(result OPERATOR(pg_catalog.->>) 'until')::pg_catalog.float8 "
"FROM behavpred.training_run WHERE run_id OPERATOR(pg_catalog.=) $1";

/* See target_teacher.h. */
GraphRun
graph_run_read(const GraphDefinition *graph)
{
	GraphRun	run = {0};
	RunReading	reading = {&run, CurrentMemoryContext};
	Oid			type = INT8OID;
	Datum		value = Int64GetDatum(graph->trained_run);

	if (read_rows(graph_run_query, 1, &type, &value, NULL, keep_graph_run, &reading) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the record of the training of graph \"%s\" is gone", graph->name),
				 errdetail("Run " INT64_FORMAT " is not in behavpred.training_run.", graph->trained_run),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(graph->name))));
	return run;
}

/* See target_teacher.h. */
bool
graph_run_shields(const GraphRun *run, const TargetDefinition *target)
{
	for (int i = 0; i < target->n_objects; i++)
		if (run->n_target_objects == 0 ||
			bsearch(&target->objects[i], run->target_objects, run->n_target_objects, sizeof(char *),
					compare_names) == NULL)
			return false;
	return true;
}

/* ---- objects ----------------------------------------------------------------------------- */

/* See target_teacher.h. */
void
refuse_widths(const GraphDefinition *graph, int one, int other)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("embeddings of graph \"%s\" differ in length", graph->name),
			 errdetail("One has %d numbers, another %d.", one, other),
			 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(graph->name))));
}

typedef struct ObjectReading
{
	Arena	   *arena;
	const GraphDefinition *graph;
	TargetObjectVectors *objects;
} ObjectReading;

/* Raise what the core met. */
static void
check_core(const Arena *arena, const GraphDefinition *graph)
{
	bridge_check(arena->core, "reading the objects of graph \"%s\"", graph->name);
}

/* Row function: key and vector of one object. */
static void
keep_object(void *argument, Datum *values, bool *nulls)
{
	ObjectReading *reading = argument;
	TargetObjectVectors *objects = reading->objects;
	const float *vector;
	int32		number;
	int			width;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(reading->graph->object_key_type, values[0]);
	number = dictionary_find(&objects->keys, &key);
	if (number < 0)
		return;
	vector = embedding_from_datum(values[1], &width);
	if (objects->width == 0)
	{
		objects->width = width;
		objects->vectors = arena_floats(reading->arena, (size_t) objects->keys.count * width);
		check_core(reading->arena, reading->graph);
	}
	if (width != objects->width)
		refuse_widths(reading->graph, objects->width, width);
	memcpy(objects->vectors + (size_t) number * width, vector, width * sizeof(float));
	objects->found[number] = true;
}

/* All objects of all targets, as strings; their keys go into the dictionary. */
static int
collect_objects(const ObjectReading *reading, int n_targets, TargetDefinition **targets, char ***names)
{
	Oid			type = reading->graph->object_key_type;
	Dictionary *keys = &reading->objects->keys;
	int			room = 0;

	for (int t = 0; t < n_targets; t++)
		room += targets[t] == NULL ? 0 : targets[t]->n_objects;
	*names = palloc(Max(room, 1) * sizeof(char *));
	for (int t = 0; t < n_targets; t++)
		for (int i = 0; targets[t] != NULL && i < targets[t]->n_objects; i++)
		{
			Key			key = key_from_datum(type, key_parse(type, targets[t]->objects[i], "object"));
			int32		before = keys->count;

			if (dictionary_add(keys, &key) == before)
				(*names)[before] = targets[t]->objects[i];
			check_core(reading->arena, reading->graph);
		}
	return keys->count;
}

/* See target_teacher.h. */
void
target_objects_read(Arena *arena, const GraphDefinition *graph, int n_targets, TargetDefinition **targets,
					TargetObjectVectors *objects)
{
	ObjectReading reading = {arena, graph, objects};
	const char *column = quote_identifier(graph->object_column);
	Oid			type = get_array_type(graph->object_key_type);
	Datum		value;
	char	  **names;
	int			n;

	memset(objects, 0, sizeof(*objects));
	dictionary_open(&objects->keys, arena, key_kind(graph->object_key_type));
	check_core(arena, graph);
	n = collect_objects(&reading, n_targets, targets, &names);
	objects->found = arena_allocate_zeroed(arena, n, sizeof(bool));
	check_core(arena, graph);
	if (n == 0)
		return;
	value = target_object_array(graph, n, names);
	read_rows(psprintf("SELECT %s, embedding FROM %s WHERE %s OPERATOR(pg_catalog.=) ANY ($1)", column,
					   relation_qualified_name(relation_from_text(graph->object_embeddings)), column),
			  1, &type, &value, NULL, keep_object, &reading);
}

/* NaN in an object's vector would only spoil soft labels, so it is looked for. */
static void
check_object_vector(const GraphDefinition *graph, const TargetDefinition *target, const float *vector, int width)
{
	if (!vectors_finite(vector, width))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the embedding of an object of target \"%s\" has a number that is not finite", target->name),
				 errdetail("Table %s was changed after the training.", graph->object_embeddings),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(graph->name))));
}

/* See target_teacher.h. */
TargetTeacher
target_teacher(const GraphDefinition *graph, const GraphRun *run, const TargetObjectVectors *objects,
			   const TargetDefinition *target, Arena *arena)
{
	TargetTeacher teacher = {.scale = run->scale, .offset = run->offset, .factors = run->factors};
	Oid			type = graph->object_key_type;
	int			width = objects->width;
	float	   *vectors = arena_floats(arena, (size_t) target->n_objects * width);

	check_core(arena, graph);
	for (int i = 0; i < target->n_objects; i++)
	{
		Key			key = key_from_datum(type, key_parse(type, target->objects[i], "object"));
		int32		number = dictionary_find(&objects->keys, &key);
		const float *vector = objects->vectors + (size_t) number * width;

		if (!objects->found[number])
			continue;
		check_object_vector(graph, target, vector, width);
		memcpy(vectors + (size_t) teacher.n_objects++ * width, vector, width * sizeof(float));
	}
	teacher.objects = vectors;
	if (teacher.n_objects == 0 && target->seeds == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("object \"%s\" has no embedding in graph \"%s\"", target->objects[0], graph->name),
				 errdetail("It came after the graph was trained, or its interactions no longer count."),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(graph->name))));
	return teacher;
}
