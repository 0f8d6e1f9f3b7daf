/*
 * fold_in_scene.c
 *		What it takes to fold nodes into a trained graph; see fold_in_scene.h.
 *
 * Nothing here is as large as the graph: some thousand vectors at random, and those of the neighbours
 * that come up.
 */
#include "postgres.h"

#include <math.h>

#include "access/htup_details.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "pg/bridge.h"
#include "pg/encoder_arguments.h"
#include "pg/fold_in_scene.h"
#include "pg/keys.h"

#define SAMPLE_OBJECTS 4096		/* as many as a training takes for the activity */
#define SAMPLE_USERS 512

/* See fold_in_scene.h. */
void
fold_in_scene_check(const FoldInScene *scene)
{
	bridge_check(scene->arena->core, "refreshing graph \"%s\"", scene->definition->name);
}

/* Row function: the options of the training, and how many nodes it had. */
typedef struct RunSizes
{
	EncoderOptions *options;
	int64		users;
	int64		objects;
} RunSizes;

static void
keep_run(void *argument, Datum *values, bool *nulls)
{
	RunSizes   *sizes = argument;

	encoder_options_read(DatumGetJsonbP(values[0]), sizes->options);
	sizes->users = nulls[1] ? 0 : DatumGetInt64(values[1]);
	sizes->objects = nulls[2] ? 0 : DatumGetInt64(values[2]);
}

/* The options and sizes of the last training, over the defaults of a graph of its size. */
static RunSizes
read_run(FoldInScene *scene)
{
	RunSizes	sizes = {&scene->options, 0, 0};
	const Graph any = {0};
	Oid			type = INT8OID;
	Datum		run = Int64GetDatum(scene->definition->trained_run);

	scene->run = graph_run_read(scene->definition);
	encoder_defaults(&scene->options, &any);
	read_rows("SELECT options, (result OPERATOR(pg_catalog.->>) 'users')::pg_catalog.int8, "
			  "(result OPERATOR(pg_catalog.->>) 'objects')::pg_catalog.int8 "
			  "FROM behavpred.training_run WHERE run_id OPERATOR(pg_catalog.=) $1",
			  1, &type, &run, NULL, keep_run, &sizes);
	return sizes;
}

/* Rows of a table by the server's count, 0 when it has not counted. */
static int64
counted_rows(Oid relation)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
	float4		rows = 0;

	if (HeapTupleIsValid(tuple))
	{
		rows = ((Form_pg_class) GETSTRUCT(tuple))->reltuples;
		ReleaseSysCache(tuple);
	}
	return (int64) Max(rows, 0);
}

/*
 * Vectors of about `wanted` of the nodes of one kind, from blocks of the table drawn at random.  The
 * training knew `trained` of them; many may have come since.
 */
static StoredEmbeddings *
read_sample(FoldInScene *scene, bool of_objects, int wanted, int64 trained)
{
	const GraphDefinition *definition = scene->definition;
	Oid			relation = relation_from_text(of_objects ? definition->object_embeddings : definition->user_embeddings);
	int64		total = Max(trained, counted_rows(relation));
	Dictionary *keys = palloc0(sizeof(Dictionary));
	StoredEmbeddings *sample = embeddings_open(scene->arena, keys);
	double		percent = total <= wanted ? 100 : 100.0 * wanted / total;

	dictionary_open(keys, scene->arena,
					key_kind(of_objects ? definition->object_key_type : definition->user_key_type));
	if (get_rel_relkind(relation) != RELKIND_FOREIGN_TABLE)	/* which cannot be sampled */
		embeddings_read_some(sample, definition, of_objects, false,
							 psprintf(" TABLESAMPLE SYSTEM (%.6f) REPEATABLE (" UINT64_FORMAT ")", percent,
									  scene->run.seed % 1000000), 0, NULL, NULL);
	if (sample->width == 0)		/* or no block was drawn */
		embeddings_read_some(sample, definition, of_objects, false, psprintf(" LIMIT %d", wanted), 0, NULL, NULL);
	fold_in_scene_check(scene);
	return sample;
}

/* The table is the owner's: he may have changed what is in it. */
static void
check_width(const FoldInScene *scene, const StoredEmbeddings *vectors)
{
	int			width = scene->options.dimension + ENCODER_EXTRA_NUMBERS;

	if (vectors->width != 0 && vectors->width != width)
		refuse_widths(scene->definition, width, vectors->width);
}

/* Learn what makes new vectors comparable with stored ones. */
static void
calibrate(FoldInScene *scene, RunSizes sizes)
{
	StoredEmbeddings *objects = read_sample(scene, true, SAMPLE_OBJECTS, sizes.objects);
	StoredEmbeddings *known = scene->of_objects ? objects : read_sample(scene, false, SAMPLE_USERS, sizes.users);

	check_width(scene, objects);
	check_width(scene, known);
	scene->fold = (FoldIn) {
		.core = scene->arena->core, .options = &scene->options,
		.width = scene->options.dimension + ENCODER_EXTRA_NUMBERS, .of_objects = scene->of_objects,
		.n_sample = objects->width == 0 ? 0 : objects->keys->count, .sample = objects->values
	};
	if (known->width > 0)
		fold_in_calibrate(&scene->fold, known->keys->count, known->values, known->degrees);
	fold_in_scene_check(scene);
}

/* The keys of the objects that users were shielded from. */
static void
keep_shielded(FoldInScene *scene)
{
	Oid			type = scene->definition->object_key_type;

	dictionary_open(&scene->shielded, scene->arena, key_kind(type));
	for (int i = 0; i < scene->run.n_target_objects; i++)
	{
		Key			key = key_from_datum(type, key_parse(type, scene->run.target_objects[i], "object"));

		dictionary_add(&scene->shielded, &key);
	}
	fold_in_scene_check(scene);
}

/* The vector of a node follows from one kind of edges here. */
static void
refuse_behaviors(const GraphDefinition *definition)
{
	if (definition->behavior_weights == NULL)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("graph \"%s\" has several behaviors, for which single vectors are not computed", definition->name),
			 errdetail("set_behaviors() has said what they count."),
			 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(definition->name))));
}

/* See fold_in_scene.h. */
FoldInScene *
fold_in_scene_open(Arena *arena, const GraphDefinition *definition, bool of_objects)
{
	FoldInScene *scene = palloc0(sizeof(FoldInScene));
	Oid			neighbour_type = of_objects ? definition->user_key_type : definition->object_key_type;

	refuse_behaviors(definition);
	scene->definition = definition;
	scene->arena = arena;
	scene->of_objects = of_objects;
	calibrate(scene, read_run(scene));
	keep_shielded(scene);
	dictionary_open(&scene->neighbour_keys, arena, key_kind(neighbour_type));
	scene->neighbours = embeddings_open(arena, &scene->neighbour_keys);
	fold_in_scene_check(scene);
	return scene;
}

/* See fold_in_scene.h. */
Datum
key_array(Oid key_type, const Dictionary *keys, int32 first, Oid *array_type)
{
	int			n = keys->count - first;
	Datum	   *elements = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	int16		length;
	bool		by_value;
	char		align;

	for (int i = 0; i < n; i++)
	{
		Key			key = dictionary_key(keys, first + i);

		elements[i] = key_to_datum(key_type, &key);
	}
	get_typlenbyvalalign(key_type, &length, &by_value, &align);
	*array_type = get_array_type(key_type);
	return PointerGetDatum(construct_array(elements, n, key_type, length, by_value, align));
}

/* See fold_in_scene.h. */
void
fold_in_scene_look_up(FoldInScene *scene)
{
	const GraphDefinition *definition = scene->definition;
	bool		neighbours_are_objects = !scene->of_objects;
	const char *column = neighbours_are_objects ? definition->object_column : definition->user_column;
	Oid			key_type = neighbours_are_objects ? definition->object_key_type : definition->user_key_type;
	Oid			type;
	Datum		keys;

	if (scene->looked_up == scene->neighbour_keys.count)
		return;
	keys = key_array(key_type, &scene->neighbour_keys, scene->looked_up, &type);
	embeddings_read_some(scene->neighbours, definition, neighbours_are_objects, true,
						 psprintf(" WHERE %s OPERATOR(pg_catalog.=) ANY ($1)", quote_identifier(column)),
						 1, &type, &keys);
	check_width(scene, scene->neighbours);
	scene->looked_up = scene->neighbour_keys.count;
	fold_in_scene_check(scene);
}
