/*
 * refresh_functions.c
 *		refresh(): vectors of given users and objects anew, in the caller's transaction.
 *		embed(): a vector from given neighbours, which nothing is stored of.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "pg/arguments.h"
#include "pg/bridge.h"
#include "pg/embedding_storage.h"
#include "pg/graph_lock.h"
#include "pg/keys.h"
#include "pg/refresh.h"
#include "pg/result_rows.h"

PG_FUNCTION_INFO_V1(behavpred_refresh);
PG_FUNCTION_INFO_V1(behavpred_embed);

/* The arguments of the two, by position. */
enum
{
	REFRESH_GRAPH, REFRESH_USERS, REFRESH_OBJECTS
};
enum
{
	EMBED_GRAPH, EMBED_NEIGHBOURS, EMBED_WEIGHTS, EMBED_FEATURES, EMBED_OBJECT
};

/* Refresh the nodes of one kind that an argument names. */
static RefreshCounts
refresh_argument(FunctionCallInfo fcinfo, int argument, Arena *arena, const GraphDefinition *definition)
{
	RefreshCounts counts = {0};
	bool		of_objects = argument == REFRESH_OBJECTS;
	Dictionary	keys;
	int32	   *order;

	if (PG_ARGISNULL(argument))
		return counts;
	dictionary_open(&keys, arena, key_kind(of_objects ? definition->object_key_type : definition->user_key_type));
	refresh_add_keys(&keys, definition, of_objects, PG_GETARG_ARRAYTYPE_P(argument));
	if (keys.count == 0)
		return counts;
	dictionary_sort(&keys, &order);
	bridge_check(arena->core, "refreshing graph \"%s\"", definition->name);
	refresh_nodes(fold_in_scene_open(arena, definition, of_objects), &keys, &counts);
	return counts;
}

/* refresh(graph, users, objects) */
Datum
behavpred_refresh(PG_FUNCTION_ARGS)
{
	char	   *name = name_given(fcinfo, REFRESH_GRAPH, "graph", "SELECT * FROM behavpred.refresh('shop', users => '{4711}');");
	TimestampTz started = GetCurrentTimestamp();
	GraphDefinition *definition;
	RefreshCounts objects;
	RefreshCounts users;
	Core	   *core;
	Arena		arena;

	require_writable("refresh()");
	graph_definition_for(name, PRIVILEGE_TRAIN);
	graph_hold_vectors(name);
	definition = graph_definition_trained(name);
	core = bridge_open(0);
	bridge_show(core, name, NULL);
	arena_open(&arena, core);
	objects = refresh_argument(fcinfo, REFRESH_OBJECTS, &arena, definition);
	users = refresh_argument(fcinfo, REFRESH_USERS, &arena, definition);
	bridge_close(core);
	{
		Datum		values[] = {
			Int64GetDatum(users.refreshed), Int64GetDatum(users.added), Int64GetDatum(users.removed),
			Int64GetDatum(objects.refreshed), Int64GetDatum(objects.added), Int64GetDatum(objects.removed),
			Int64GetDatum(users.left_out + objects.left_out),
			Int64GetDatum(users.interactions + objects.interactions),
			Float8GetDatum((GetCurrentTimestamp() - started) / (double) USECS_PER_SEC)
		};
		bool		nulls[lengthof(values)] = {false};

		return result_record(fcinfo, values, nulls);
	}
}

/* One node's neighbours, as a batch. */
typedef struct Neighbours
{
	int			n;
	Datum	   *keys;
	bool	   *nulls;
	Oid			type;
	const float *weights;		/* NULL = all 1 */
} Neighbours;

/* The arrays that embed() is given. */
static Neighbours
neighbours_argument(FunctionCallInfo fcinfo)
{
	Neighbours	neighbours = {0};
	ArrayType  *keys = PG_GETARG_ARRAYTYPE_P(EMBED_NEIGHBOURS);
	int			n_weights = 0;
	int16		length;
	bool		by_value;
	char		align;

	neighbours.type = ARR_ELEMTYPE(keys);
	get_typlenbyvalalign(neighbours.type, &length, &by_value, &align);
	deconstruct_array(keys, neighbours.type, length, by_value, align, &neighbours.keys, &neighbours.nulls, &neighbours.n);
	if (PG_ARGISNULL(EMBED_WEIGHTS))
		return neighbours;
	neighbours.weights = embedding_from_datum(PG_GETARG_DATUM(EMBED_WEIGHTS), &n_weights);
	if (n_weights != neighbours.n)
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg_plural("weights has %d element", "weights has %d elements", n_weights, n_weights),
				 errdetail("There are %d keys.", neighbours.n),
				 errhint("Give one weight for each key, or leave weights out.")));
	for (int i = 0; i < n_weights; i++)
		if (!isfinite(neighbours.weights[i]) || neighbours.weights[i] < 0)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("weight %d is %g", i + 1, neighbours.weights[i]),
					 errdetail("Weights are finite and not negative."),
					 errhint("Leave weights out to count every key the same.")));
	return neighbours;
}

/* The keys into the scene; those with weight 0, repeats and NULL are dropped.  Returns how many there are. */
static int32
keep_neighbours(FoldInScene *scene, const Neighbours *neighbours, float *weights)
{
	const GraphDefinition *definition = scene->definition;
	Oid			type = scene->of_objects ? definition->user_key_type : definition->object_key_type;

	for (int i = 0; i < neighbours->n; i++)
	{
		float		weight = neighbours->weights == NULL ? 1 : neighbours->weights[i];
		int32		before = scene->neighbour_keys.count;
		int32		number;
		Key			key;

		if (neighbours->nulls[i] || weight == 0)
			continue;
		key = key_from_datum(type, key_coerce(type, neighbours->type, neighbours->keys[i],
											  scene->of_objects ? "user" : "object"));
		number = dictionary_add(&scene->neighbour_keys, &key);
		fold_in_scene_check(scene);
		if (number == before)
			weights[number] = weight;
		else if (neighbours->weights != NULL)
			weights[number] += weight;
	}
	fold_in_scene_look_up(scene);
	return scene->neighbour_keys.count;
}

/* Features that would change nothing are a mistake. */
static void
refuse_features(const FoldInScene *scene)
{
	const GraphDefinition *definition = scene->definition;
	const char *kind = scene->of_objects ? "objects" : "users";
	bool		has = (scene->of_objects ? definition->objects : definition->users) != NULL;

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("features of %s are not known to graph \"%s\"", kind, definition->name),
			 has ? errdetail("The network of its last training is not kept, or had none.") :
			 errdetail("It was created without a table of them."),
			 has ? errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(definition->name)) :
			 errhint("Name it by the arguments %s and %s_features of create_graph(), or leave features out.", kind,
					 scene->of_objects ? "object" : "user")));
}

/* Each neighbour is joined by what is to be predicted; of several behaviours by the first of them. */
static uint8 *
embed_types(const FoldInScene *scene, int32 n)
{
	uint8	   *types = palloc(Max(n, 1));
	int			predicted = scene->network.predicted;

	memset(types, predicted & -predicted, Max(n, 1));
	return scene->network.n_types > 0 ? types : NULL;
}

/* The vector of a node with these neighbours and features; NULL when the graph knows none of the neighbours and
 * features say nothing. */
static ArrayType *
embed(FoldInScene *scene, const Neighbours *given, Jsonb *features)
{
	float	   *weights = palloc0(Max(given->n, 1) * sizeof(float));
	int32		n = keep_neighbours(scene, given, weights);
	int32	   *neighbours = palloc(Max(n, 1) * sizeof(int32));
	int64		offsets[2] = {0, 0};
	FoldInBatch batch = {
		.n_nodes = 1, .offsets = offsets, .neighbours = neighbours, .weights = weights, .n_rows = n,
		.rows = scene->neighbours->values, .degrees = scene->neighbours->degrees,
		.types = embed_types(scene, n), .states = scene->neighbours->states
	};
	float	   *vector = palloc(scene->fold.width * sizeof(float));

	for (int32 i = 0; i < n && scene->neighbours->width > 0; i++)
		if (scene->neighbours->degrees[i] >= 0)
		{
			weights[offsets[1]] = (float) (weights[i] / scene->mean_weight);
			neighbours[offsets[1]++] = i;
		}
	batch.features = fold_in_scene_features_given(scene, scene->arena, features);
	if (features != NULL && batch.features == NULL)
		refuse_features(scene);
	if (offsets[1] == 0 && features == NULL)
		return NULL;
	fold_in(&scene->fold, &batch, vector);
	fold_in_scene_check(scene);
	return vector[scene->options.dimension + (scene->of_objects ? 1 : 0)] == 0 ? NULL :
		embedding_to_array(vector, scene->fold.width);
}

/* embed(graph, neighbours, weights, features, as_object) */
Datum
behavpred_embed(PG_FUNCTION_ARGS)
{
	char	   *name = name_given(fcinfo, EMBED_GRAPH, "graph", "SELECT behavpred.embed('shop', ARRAY[17, 42]);");
	GraphDefinition *definition;
	Neighbours	neighbours;
	ArrayType  *vector;
	Core	   *core;
	Arena		arena;

	if (PG_ARGISNULL(EMBED_NEIGHBOURS))
		PG_RETURN_NULL();
	definition = graph_definition_trained(name);
	neighbours = neighbours_argument(fcinfo);
	core = bridge_open(1);
	arena_open(&arena, core);
	vector = embed(fold_in_scene_open(&arena, definition, !PG_ARGISNULL(EMBED_OBJECT) && PG_GETARG_BOOL(EMBED_OBJECT)),
				   &neighbours, PG_ARGISNULL(EMBED_FEATURES) ? NULL : PG_GETARG_JSONB_P(EMBED_FEATURES));
	bridge_close(core);
	if (vector == NULL)
		PG_RETURN_NULL();
	PG_RETURN_ARRAYTYPE_P(vector);
}
