/*
 * refresh.c
 *		Vectors of some nodes anew; see refresh.h.
 *
 * One query reads all interactions of a batch, by an index on the column of its keys where the planner
 * finds that cheaper, else by one scan.  What a training would have kept from a user's vector (held-out edges, and
 * edges to targets' objects of shielded users) is kept from it here as well, so that targets can be
 * judged on it.
 */
#include "postgres.h"

#include <math.h>

#include "access/genam.h"
#include "access/relation.h"
#include "catalog/pg_am.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "core/network_states.h"
#include "pg/embedding_storage.h"
#include "pg/feature_loading.h"
#include "pg/graph_loading.h"
#include "pg/graph_lock.h"
#include "pg/keys.h"
#include "pg/progress.h"
#include "pg/refresh.h"
#include "pg/writer.h"

/* One batch while it is worked on. */
typedef struct Batch
{
	FoldInScene *scene;
	const Dictionary *keys;		/* of the nodes */
	Arena		arena;
	Oid			node_type;		/* of the columns; may be narrower than the graph's */
	Oid			neighbour_type;
	Interactions interactions;	/* "users" are the nodes of the batch, "objects" the neighbours */
	Graph		graph;
	int64	   *offsets;		/* of the neighbours that count */
	int32	   *neighbours;
	float	   *weights;
	int32	   *degrees;		/* of all neighbours */
	int64	   *predicted;		/* offsets whose differences are the edges to be predicted; where types are told apart */
	uint8	   *types;
	bool	   *has_features;	/* the node has a row of features */
	float	   *states;			/* of the nodes, by a network */
	float	   *direct;			/* numbers of objects for the direct term */
} Batch;

/* Row function of the interactions: user, object [, weight [, place of the behaviour]]. */
static void
keep_interaction(void *argument, Datum *values, bool *nulls)
{
	Batch	   *batch = argument;
	FoldInScene *scene = batch->scene;
	int			node_place = scene->of_objects ? 1 : 0;
	float		weight = 1;
	int32		node;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(batch->node_type, values[node_place]);
	node = dictionary_find(batch->keys, &key);
	if (batch->interactions.weights != NULL)
		weight = nulls[2] ? get_float4_nan() : (float) DatumGetFloat8(values[2]);
	if (!isfinite(weight) || weight < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("an interaction of graph \"%s\" has the weight %g", scene->definition->name, weight),
				 errdetail("It stands at the key %s.", key_to_text(batch->node_type, &key)),
				 errhint("Weights must be finite and not negative. Read them through a view that repairs them.")));
	if (node < 0 || weight == 0)
		return;
	key = key_from_datum(batch->neighbour_type, values[1 - node_place]);
	interactions_add_typed(&batch->interactions, node, dictionary_add(&scene->neighbour_keys, &key), weight,
						   batch->interactions.types == NULL ? 0 : DatumGetInt32(values[3]) - 1);
	fold_in_scene_check(scene);
}

/* The query, with one more condition. */
static char *
interactions_query(const GraphDefinition *definition, const char *extra, int *n, Oid **types, Datum **values)
{
	return definition->behavior_weights != NULL ? graph_behaviors_query(definition, extra, n, types, values) :
		graph_interactions_query(definition, extra, n, types, values);
}

/* Read the interactions of the batch. */
static int64
read_interactions(Batch *batch)
{
	FoldInScene *scene = batch->scene;
	const GraphDefinition *definition = scene->definition;
	Oid			relation = source_relation(definition->interactions, definition->apply_row_security);
	const char *column = scene->of_objects ? definition->object_column : definition->user_column;
	Oid			user_type = source_key_column(relation, definition->user_column, "user_column");
	Oid			object_type = source_key_column(relation, definition->object_column, "object_column");
	char	   *query;
	int			n;
	Oid		   *types;
	Datum	   *values;

	interactions_query(definition, NULL, &n, &types, &values);	/* the number of its parameters */
	query = interactions_query(definition, psprintf("%s OPERATOR(pg_catalog.=) ANY ($%d)",
													quote_identifier(column), n + 1), &n, &types, &values);
	values[n] = keys_to_array(scene->of_objects ? definition->object_key_type : definition->user_key_type,
						  batch->keys, 0, &types[n]);
	batch->node_type = scene->of_objects ? object_type : user_type;
	batch->neighbour_type = scene->of_objects ? user_type : object_type;
	graph_interactions_open(&batch->interactions, &batch->arena, definition);
	fold_in_scene_check(scene);
	return (int64) source_read(definition->apply_row_security, query, n + 1, types, values, keep_interaction, batch);
}

/* True when a training would not show this edge to the user's vector. */
static bool
is_kept_away(const FoldInScene *scene, int64 degree, uint64 user_hash, bool shielded, const Key *object)
{
	const GraphRun *run = &scene->run;

	if (shielded && dictionary_find(&scene->shielded, object) >= 0)
		return true;
	return encoder_holds_out(run->seed, run->validation_fraction, degree, user_hash,
							 key_hash(scene->neighbour_keys.kind, object));
}

/* Copy the neighbours of a node that have a vector and count; returns the end of the copy. */
static int64
choose_neighbours(Batch *batch, int32 node, int64 end)
{
	FoldInScene *scene = batch->scene;
	const Graph *graph = &batch->graph;
	int64		degree = graph_degree(graph, node);
	Key			key = dictionary_key(batch->keys, node);
	uint64		hash = key_hash(batch->keys->kind, &key);
	bool		shielded = scene->shielded.count > 0 &&
		encoder_shields(scene->run.seed, scene->run.target_fraction, degree, hash);

	for (int64 e = graph->offsets[node]; e < graph->offsets[node + 1]; e++)
	{
		int32		neighbour = graph->neighbours[e] - graph->n_users;
		Key			other = dictionary_key(&scene->neighbour_keys, neighbour);
		bool		kept_away = !scene->of_objects && is_kept_away(scene, degree, hash, shielded, &other);
		uint8		types = graph->types == NULL ? 0 : graph->types[e] & ~(kept_away ? graph->predicted : 0);

		if (scene->neighbours->width == 0 || scene->neighbours->degrees[neighbour] < 0 || (kept_away && types == 0))
			continue;
		batch->neighbours[end] = neighbour;
		if (batch->types != NULL)
			batch->types[end] = types;
		if (batch->weights != NULL)
			batch->weights[end] = graph->weights[e];
		end++;
	}
	return end;
}

/* With behaviours, degrees are of the edges to be predicted. */
static void
count_predicted(Batch *batch)
{
	Graph	   *graph = &batch->graph;

	graph_set_types(batch->scene->definition, graph);
	batch->types = arena_allocate(&batch->arena, graph->n_edges, 1);
	batch->predicted = arena_allocate_zeroed(&batch->arena, (size_t) graph->n_users + 1, sizeof(int64));
	fold_in_scene_check(batch->scene);
	for (int32 i = 0; i < graph->n_users; i++)
		batch->predicted[i + 1] = batch->predicted[i] + graph_predicted_degree(graph, i);
}

/* Weights on the scale of the training, on which the node itself counts beside its neighbours.  Those that fade are
 * what they are to each other. */
static void
scale_weights(Batch *batch)
{
	FoldInScene *scene = batch->scene;
	double		factor = batch->graph.mean_weight / scene->mean_weight;

	if (scene->definition->half_life != NULL)
		return;
	for (int64 e = 0; e < batch->offsets[batch->keys->count]; e++)
		batch->weights[e] = (float) (batch->weights[e] * factor);
}

/* Interactions to lists of neighbours. */
static void
build_lists(Batch *batch)
{
	FoldInScene *scene = batch->scene;
	int32		n = batch->keys->count;
	int64		end = 0;

	graph_build(scene->arena->core, &batch->arena, &batch->interactions, n,
				scene->neighbour_keys.count, 0, 0, &batch->graph);
	batch->offsets = arena_allocate_zeroed(&batch->arena, (size_t) n + 1, sizeof(int64));
	batch->degrees = arena_allocate(&batch->arena, n, sizeof(int32));
	batch->neighbours = arena_allocate(&batch->arena, batch->graph.n_edges, sizeof(int32));
	if (batch->graph.weights != NULL)
		batch->weights = arena_floats(&batch->arena, batch->graph.n_edges);
	fold_in_scene_check(scene);
	if (batch->graph.types != NULL)
		count_predicted(batch);
	for (int32 i = 0; i < n; i++)
	{
		batch->degrees[i] = (int32) graph_degree(&batch->graph, i);
		end = batch->offsets[i + 1] = choose_neighbours(batch, i, end);
	}
	if (batch->weights != NULL)
		scale_weights(batch);
}

/* What new objects need for the direct term. */
static void
fill_direct(Batch *batch)
{
	const DirectTerm *term = &batch->scene->direct->term;
	int			width = DIRECT_OBJECT_NUMBERS(term->n_types);

	batch->direct = arena_floats(&batch->arena, (size_t) batch->keys->count * width);
	fold_in_scene_check(batch->scene);
	for (int32 i = 0; i < batch->keys->count; i++)
		direct_term_object(term, &batch->graph, i, batch->direct + (size_t) i * width);
}

/* What a network takes and gives besides. */
static void
prepare_network(Batch *batch, FoldInBatch *nodes)
{
	FoldInScene *scene = batch->scene;
	int32		n = batch->keys->count;

	if (scene->writes_states)
		batch->states = arena_floats(&batch->arena, (size_t) n * network_state_numbers(&scene->options));
	fold_in_scene_check(scene);
	nodes->types = batch->types;
	nodes->states = scene->neighbours->states;
	nodes->features = fold_in_scene_features(scene, &batch->arena, batch->keys, batch->has_features);
	nodes->own_states = batch->states;
	if (scene->direct != NULL)
		fill_direct(batch);
}

/* Without a network features say nothing; yet who has a row of them keeps what a training made of it. */
static void
find_features(Batch *batch)
{
	const FoldInScene *scene = batch->scene;
	bool		idle = false;

	for (int32 i = 0; i < batch->keys->count; i++)
		idle |= batch->degrees[i] == 0;
	if (idle)
		feature_table_find(&batch->arena, scene->definition, scene->of_objects, unconstify(Dictionary *, batch->keys),
						   batch->has_features);
}

/* Compute the vectors of the batch. */
static float *
compute(Batch *batch)
{
	FoldInScene *scene = batch->scene;
	FoldInBatch nodes = {
		.n_nodes = batch->keys->count, .offsets = batch->offsets,
		.all = batch->predicted != NULL ? batch->predicted : batch->graph.offsets,
		.neighbours = batch->neighbours,
		.weights = batch->weights, .n_rows = scene->neighbours->width == 0 ? 0 : scene->neighbour_keys.count,
		.rows = scene->neighbours->values, .degrees = scene->neighbours->degrees
	};
	float	   *vectors = arena_floats(&batch->arena, (size_t) nodes.n_nodes * scene->fold.width);

	batch->has_features = arena_allocate_zeroed(&batch->arena, nodes.n_nodes, sizeof(bool));
	fold_in_scene_check(scene);
	if (scene->kept != NULL)
		prepare_network(batch, &nodes);
	else
		find_features(batch);
	fold_in(&scene->fold, &nodes, vectors);
	fold_in_scene_check(scene);
	return vectors;
}

/* Delete the rows of some keys; returns how many there were. */
static int64
delete_rows(const FoldInScene *scene, const char *table, const Dictionary *keys)
{
	const GraphDefinition *definition = scene->definition;
	bool		of_objects = scene->of_objects;
	Oid			type;
	Datum		value;

	if (keys->count == 0)
		return 0;
	value = keys_to_array(of_objects ? definition->object_key_type : definition->user_key_type, keys, 0, &type);
	return (int64) write_rows(psprintf("DELETE FROM %s WHERE %s OPERATOR(pg_catalog.=) ANY ($1)", table,
									   quote_identifier(of_objects ? definition->object_column :
														definition->user_column)), 1, &type, &value, NULL);
}

/* Bring row `from` of numbers to row `to`. */
static void
move_row(float *numbers, int width, int32 from, int32 to)
{
	if (numbers != NULL)
		memmove(numbers + (size_t) to * width, numbers + (size_t) from * width, width * sizeof(float));
}

/* Nodes without an interaction and a row of features go; those that nothing known gives a vector stay as they are;
 * the rows of the others move together. */
static void
sort_out(Batch *batch, float *vectors, Dictionary *gone, Dictionary *written, RefreshCounts *counts)
{
	const FoldInScene *scene = batch->scene;
	int			width = scene->fold.width;

	for (int32 i = 0; i < batch->keys->count; i++)
	{
		Key			key = dictionary_key(batch->keys, i);
		const float *vector = vectors + (size_t) i * width;

		if (batch->degrees[i] == 0 && !batch->has_features[i])
			dictionary_add(gone, &key);
		else if (vector[scene->options.dimension + (scene->of_objects ? 1 : 0)] == 0)
			counts->left_out++;
		else
		{
			int32		place = dictionary_add(written, &key);

			fold_in_scene_check(scene);
			move_row(vectors, width, i, place);
			move_row(batch->states, network_state_numbers(&scene->options), i, place);
			if (scene->direct != NULL)
				move_row(batch->direct, DIRECT_OBJECT_NUMBERS(scene->direct->term.n_types), i, place);
			batch->degrees[place] = batch->degrees[i];
		}
	}
	fold_in_scene_check(scene);
}

/* StateFunction: a batch's states. */
static void
take_state(const void *source, int32 row, float *state)
{
	const Batch *batch = source;
	int			numbers = network_state_numbers(&batch->scene->options);

	memcpy(state, batch->states + (size_t) row * numbers, numbers * sizeof(float));
}

/* Bring the table up to date. */
static void
store(Batch *batch, float *vectors, RefreshCounts *counts)
{
	const FoldInScene *scene = batch->scene;
	const GraphDefinition *definition = scene->definition;
	bool		of_objects = scene->of_objects;
	Dictionary	gone;
	Dictionary	written;
	EmbeddingRows rows = {
		.table = relation_qualified_name(relation_from_text(of_objects ? definition->object_embeddings :
															definition->user_embeddings)),
		.key_column = of_objects ? definition->object_column : definition->user_column,
		.key_type = of_objects ? definition->object_key_type : definition->user_key_type,
		.keys = &written, .vectors = vectors, .width = scene->fold.width, .degrees = batch->degrees,
		.direct = batch->direct,
		.n_direct = scene->direct == NULL ? 0 : DIRECT_OBJECT_NUMBERS(scene->direct->term.n_types),
		.state = batch->states == NULL ? NULL : take_state, .state_source = batch,
		.n_state = batch->states == NULL ? 0 : network_state_numbers(&scene->options)
	};

	dictionary_open(&gone, &batch->arena, batch->keys->kind);
	dictionary_open(&written, &batch->arena, batch->keys->kind);
	sort_out(batch, vectors, &gone, &written, counts);
	graph_write_vectors(definition->name);
	counts->removed += delete_rows(scene, rows.table, &gone);
	counts->added += written.count - delete_rows(scene, rows.table, &written);
	counts->refreshed += written.count;
	embedding_table_add(&rows);
}

/* See refresh.h. */
void
refresh_nodes(FoldInScene *scene, const Dictionary *keys, RefreshCounts *counts)
{
	Batch		batch = {.scene = scene, .keys = keys};

	if (keys->count == 0)
		return;
	arena_open(&batch.arena, scene->arena->core);
	progress_phase("reading interactions", 0, 0);
	counts->interactions += read_interactions(&batch);
	fold_in_scene_look_up(scene);
	build_lists(&batch);
	progress_phase("folding in", 0, keys->count);
	store(&batch, compute(&batch), counts);
	arena_close(&batch.arena);
}

/* See refresh.h. */
void
refresh_add_keys(Dictionary *keys, const GraphDefinition *definition, bool of_objects, ArrayType *texts)
{
	Oid			type = of_objects ? definition->object_key_type : definition->user_key_type;
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	deconstruct_array(texts, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		Key			key;

		if (nulls[i])
			continue;
		key = key_from_datum(type, key_parse(type, TextDatumGetCString(elements[i]), of_objects ? "object" : "user"));
		dictionary_add(keys, &key);
	}
}

/* Keys that were found. */
typedef struct KnownKeys
{
	Oid			type;
	Dictionary	keys;
} KnownKeys;

/* Row function: a key. */
static void
keep_known(void *argument, Datum *values, bool *nulls)
{
	KnownKeys  *known = argument;
	Key			key = key_from_datum(known->type, values[0]);

	dictionary_add(&known->keys, &key);
}

/* See refresh.h. */
Dictionary *
refresh_new_keys(Arena *arena, const GraphDefinition *definition, bool of_objects, const Dictionary *keys)
{
	const char *column = quote_identifier(of_objects ? definition->object_column : definition->user_column);
	Oid			relation = relation_from_text(of_objects ? definition->object_embeddings :
											  definition->user_embeddings);
	KnownKeys	known = {.type = of_objects ? definition->object_key_type : definition->user_key_type};
	Dictionary *fresh = palloc0(sizeof(Dictionary));
	Oid			type;
	Datum		value = keys_to_array(known.type, keys, 0, &type);

	dictionary_open(&known.keys, arena, keys->kind);
	dictionary_open(fresh, arena, keys->kind);
	read_rows(psprintf("SELECT %s FROM %s WHERE %s OPERATOR(pg_catalog.=) ANY ($1)", column,
					   relation_qualified_name(relation), column), 1, &type, &value, NULL, keep_known, &known);
	for (int32 i = 0; i < keys->count; i++)
	{
		Key			key = dictionary_key(keys, i);

		if (dictionary_find(&known.keys, &key) < 0)
			dictionary_add(fresh, &key);
	}
	return fresh;
}

/* See refresh.h. */
char *
refresh_index(const GraphDefinition *definition, bool of_objects)
{
	Relation	relation = relation_open(source_relation(definition->interactions, true), AccessShareLock);
	AttrNumber	column = get_attnum(RelationGetRelid(relation),
									of_objects ? definition->object_column : definition->user_column);
	char	   *name = NULL;
	ListCell   *cell;

	foreach(cell, RelationGetIndexList(relation))
	{
		Relation	index = index_open(lfirst_oid(cell), AccessShareLock);

		if (name == NULL && index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indisvalid &&
			index->rd_index->indkey.values[0] == column &&
			RelationGetIndexPredicate(index) == NIL)
			name = pstrdup(RelationGetRelationName(index));
		index_close(index, AccessShareLock);
	}
	relation_close(relation, AccessShareLock);
	return name;
}
