/*
 * target_objects.c
 *		The objects that the targets of a graph ask about.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "pg/bridge.h"
#include "pg/keys.h"
#include "pg/reader.h"
#include "pg/target_objects.h"

typedef struct ObjectsReading
{
	MemoryContext context;
	TargetObjects *objects;
} ObjectsReading;

/* Row function: one object of one target. */
static void
keep_name(void *argument, Datum *values, bool *nulls)
{
	ObjectsReading *reading = argument;
	TargetObjects *objects = reading->objects;
	MemoryContext row = MemoryContextSwitchTo(reading->context);

	if (objects->n == objects->capacity)
	{
		objects->capacity = Max(16, 2 * objects->capacity);
		objects->names = objects->names == NULL ? palloc(objects->capacity * sizeof(char *)) :
			repalloc(objects->names, objects->capacity * sizeof(char *));
	}
	objects->names[objects->n++] = TextDatumGetCString(values[0]);
	MemoryContextSwitchTo(row);
}

/* See target_objects.h. */
TargetObjects *
target_objects_mark(Arena *arena, const GraphDefinition *definition, LoadedGraph *loaded)
{
	ObjectsReading reading = {CurrentMemoryContext, palloc0(sizeof(TargetObjects))};
	Oid			type = TEXTOID;
	Datum		name = CStringGetTextDatum(definition->name);
	Oid			key_type = definition->object_key_type;
	uint8_t    *flags;

	read_rows("SELECT DISTINCT pg_catalog.unnest(objects) FROM behavpred.registered_target "
			  "WHERE graph OPERATOR(pg_catalog.=) $1 ORDER BY 1", 1, &type, &name, NULL, keep_name, &reading);
	flags = arena_allocate_zeroed(arena, loaded->graph.n_objects, 1);
	bridge_check(arena->core, "training graph \"%s\"", definition->name);
	for (int i = 0; i < reading.objects->n; i++)
	{
		Key			key = key_from_datum(key_type, key_parse(key_type, reading.objects->names[i], "object"));
		int32		number = dictionary_find(&loaded->objects, &key);

		if (number >= 0)
			flags[number] = 1;
	}
	loaded->graph.target_objects = flags;
	return reading.objects;
}
