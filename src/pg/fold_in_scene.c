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
#include "core/network_states.h"
#include "pg/embedding_storage.h"
#include "pg/encoder_arguments.h"
#include "pg/feature_loading.h"
#include "pg/fold_in_scene.h"
#include "pg/keys.h"

#define SAMPLE_OBJECTS 4096		/* as many as a training takes for the activity */
#define SAMPLE_USERS 512
#define MOST_BY_KEY 50000		/* rows of a table that is gone through for a sample: 4 ms */

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
	double		mean_weight;
} RunSizes;

static void
keep_run(void *argument, Datum *values, bool *nulls)
{
	RunSizes   *sizes = argument;

	encoder_options_read(DatumGetJsonbP(values[0]), sizes->options);
	sizes->users = nulls[1] ? 0 : DatumGetInt64(values[1]);
	sizes->objects = nulls[2] ? 0 : DatumGetInt64(values[2]);
	if (!nulls[3])
		sizes->mean_weight = DatumGetFloat8(values[3]);
}

/* The options and sizes of the last training, over the defaults of a graph of its size. */
static RunSizes
read_run(FoldInScene *scene)
{
	RunSizes	sizes = {&scene->options, 0, 0, 1};
	const Graph any = {0};
	Oid			type = INT8OID;
	Datum		run = Int64GetDatum(scene->definition->trained_run);

	scene->run = graph_run_read(scene->definition);
	encoder_defaults(&scene->options, &any);
	read_rows("SELECT options, (result OPERATOR(pg_catalog.->>) 'users')::pg_catalog.int8, "
			  "(result OPERATOR(pg_catalog.->>) 'objects')::pg_catalog.int8, "
			  "(result OPERATOR(pg_catalog.->>) 'mean_weight')::pg_catalog.float8 "
			  "FROM behavpred.training_run WHERE run_id OPERATOR(pg_catalog.=) $1",
			  1, &type, &run, NULL, keep_run, &sizes);
	scene->mean_weight = sizes.mean_weight;
	return sizes;
}

/* The table of one kind of nodes. */
static Oid
table_of(const FoldInScene *scene, bool of_objects)
{
	return relation_from_text(of_objects ? scene->definition->object_embeddings : scene->definition->user_embeddings);
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

/* Rows whose keys have a small hash, about `wanted` of `total`, in its order: the same wherever they stand in the table. */
static char *
clause_by_key(const FoldInScene *scene, const char *column, Oid type, int wanted, int64 total)
{
	const char *key = quote_identifier(column);
	char	   *hash = key_kind(type) == KEY_INTEGER ?
		psprintf("pg_catalog.hashint8extended(%s::pg_catalog.int8, " UINT64_FORMAT ")", key, scene->run.seed % 1000000) :
		psprintf("pg_catalog.hashtextextended(%s::pg_catalog.text COLLATE pg_catalog.\"C\", " UINT64_FORMAT ")", key,
				 scene->run.seed % 1000000);
	double		fraction = total <= wanted ? 1 : (double) wanted / total;

	return psprintf(" WHERE %s OPERATOR(pg_catalog.<=) %.17g::pg_catalog.float8 ORDER BY %s, %s LIMIT %d",
					hash, ldexp(fraction - 0.5, 64), hash, key, 2 * wanted);
}

/* Rows of blocks drawn at random: a sample of a table that is too large to be gone through. */
static char *
clause_by_blocks(const FoldInScene *scene, int wanted, int64 total)
{
	return psprintf(" TABLESAMPLE SYSTEM (%.6f) REPEATABLE (" UINT64_FORMAT ")", 100.0 * wanted / total,
					scene->run.seed % 1000000);
}

/*
 * Vectors of about `wanted` of the nodes of one kind, drawn at random.  The training knew `trained` of them; many may
 * have come since.
 */
static StoredEmbeddings *
read_sample(FoldInScene *scene, bool of_objects, int wanted, int64 trained)
{
	const GraphDefinition *definition = scene->definition;
	Oid			relation = table_of(scene, of_objects);
	int64		total = Max(trained, counted_rows(relation));
	Dictionary *keys = palloc0(sizeof(Dictionary));
	StoredEmbeddings *sample = embeddings_open(scene->arena, keys);
	const char *column = of_objects ? definition->object_column : definition->user_column;
	Oid			type = of_objects ? definition->object_key_type : definition->user_key_type;

	if (definition->typed && of_objects == scene->of_objects && scene->writes_states)
		sample->n_state = network_state_numbers(&scene->options);
	dictionary_open(keys, scene->arena, key_kind(type));
	if (get_rel_relkind(relation) != RELKIND_FOREIGN_TABLE)	/* all of which would come here */
		embeddings_read_some(sample, definition, of_objects, false,
							 total <= MOST_BY_KEY ? clause_by_key(scene, column, type, wanted, trained) :
							 clause_by_blocks(scene, wanted, total), 0, NULL, NULL);
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

/* Degrees that activities and biases follow: of edges to be predicted, which states tell where there are others. */
static const int32 *
sample_degrees(const StoredEmbeddings *sample)
{
	int32	   *degrees;

	if (sample->n_state == 0)
		return sample->degrees;
	degrees = palloc(sample->keys->count * sizeof(int32));
	for (int32 i = 0; i < sample->keys->count; i++)
		degrees[i] = (int32) sample->states[(size_t) i * sample->n_state + 1];
	return degrees;
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
		.n_sample = objects->width == 0 ? 0 : objects->keys->count, .sample = objects->values,
		.network = scene->kept == NULL ? NULL : &scene->network
	};
	if (known->width > 0)
		fold_in_calibrate(&scene->fold, known->keys->count, known->values, sample_degrees(known));
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

/* Stored vectors do not tell what a neighbour is to each behaviour. */
static void
refuse_behaviors(const GraphDefinition *definition)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("graph \"%s\" tells behaviors apart, and single vectors cannot be computed", definition->name),
			 errdetail("The network of its last training is not kept, or the tables of its vectors have no states of nodes."),
			 errhint("SELECT * FROM behavpred.train_graph(%s, options => '{\"keep_network\": true}');",
					 quote_literal_cstr(definition->name))));
}

/* The network, where it can be run for nodes outside it. */
static void
open_network(FoldInScene *scene)
{
	const GraphDefinition *definition = scene->definition;
	Graph		graph = {0};

	if (embedding_has_states(table_of(scene, !scene->of_objects)))
		scene->kept = network_kept_read(scene->arena, definition);
	if (scene->kept == NULL)
	{
		if (definition->typed)
			refuse_behaviors(definition);
		return;
	}
	if (definition->typed)
		graph_set_types(definition, &graph);
	scene->network = (FoldInNetwork) {
		.linear_mapping = scene->kept->shape.linear_mapping, .id_embeddings = scene->kept->shape.id_embeddings,
		.features = {scene->kept->shape.features[0], scene->kept->shape.features[1]},
		.n_shared = scene->kept->shape.n_shared, .shared = scene->kept->shared,
		.n_types = graph.n_types, .predicted = graph.predicted
	};
	memcpy(scene->network.type_weights, graph.type_weights, sizeof(graph.type_weights));
	scene->writes_states = embedding_has_states(table_of(scene, scene->of_objects));
	if (definition->typed && scene->of_objects)
		scene->direct = stored_direct_read(definition);
}

/* See fold_in_scene.h. */
FoldInScene *
fold_in_scene_open(Arena *arena, const GraphDefinition *definition, bool of_objects)
{
	FoldInScene *scene = palloc0(sizeof(FoldInScene));
	Oid			neighbour_type = of_objects ? definition->user_key_type : definition->object_key_type;

	RunSizes	sizes;

	scene->definition = definition;
	scene->arena = arena;
	scene->of_objects = of_objects;
	sizes = read_run(scene);
	open_network(scene);
	calibrate(scene, sizes);
	keep_shielded(scene);
	dictionary_open(&scene->neighbour_keys, arena, key_kind(neighbour_type));
	scene->neighbours = embeddings_open(arena, &scene->neighbour_keys);
	if (scene->kept != NULL)
		scene->neighbours->n_state = network_state_numbers(&scene->options);
	fold_in_scene_check(scene);
	return scene;
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
	keys = keys_to_array(key_type, &scene->neighbour_keys, scene->looked_up, &type);
	embeddings_read_some(scene->neighbours, definition, neighbours_are_objects, true,
						 psprintf(" WHERE %s OPERATOR(pg_catalog.=) ANY ($1)", quote_identifier(column)),
						 1, &type, &keys);
	check_width(scene, scene->neighbours);
	scene->looked_up = scene->neighbour_keys.count;
	fold_in_scene_check(scene);
}

/* Raw rows as the network reads them. */
static Features *
scale_features(const FoldInScene *scene, Arena *arena, const FeatureTable *table)
{
	int			side = scene->of_objects ? 1 : 0;
	Features   *features = palloc0(sizeof(Features));

	features->rows = table->raw.rows;
	features->columns = scene->network.features[side];
	features->values = arena_floats(arena, (size_t) features->rows * features->columns);
	fold_in_scene_check(scene);
	features_apply(&table->raw, scene->kept->scales[side], features);
	return features;
}

/* True when the network reads features of the nodes. */
static bool
has_features(const FoldInScene *scene)
{
	return scene->kept != NULL && scene->network.features[scene->of_objects ? 1 : 0] > 0;
}

/* See fold_in_scene.h. */
Features *
fold_in_scene_features(const FoldInScene *scene, Arena *arena, const Dictionary *keys, bool *found)
{
	int			side = scene->of_objects ? 1 : 0;
	FeatureTable *table;

	if (!has_features(scene))
		return NULL;
	table = feature_table_read_known(arena, scene->definition, scene->of_objects, unconstify(Dictionary *, keys),
									 scene->kept->names[side], scene->kept->n_names[side], scene->kept->n_scales[side]);
	memcpy(found, table->seen, keys->count * sizeof(bool));
	return scale_features(scene, arena, table);
}

/* See fold_in_scene.h. */
Features *
fold_in_scene_features_given(const FoldInScene *scene, Arena *arena, Jsonb *json)
{
	int			side = scene->of_objects ? 1 : 0;

	if (!has_features(scene))
		return NULL;
	if (json == NULL)
		json = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
	return scale_features(scene, arena,
						  feature_table_from_json(arena, scene->definition, scene->of_objects, json,
												  scene->kept->names[side], scene->kept->n_names[side],
												  scene->kept->n_scales[side]));
}
