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

#include "pg/embedding_storage.h"
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
} Batch;

/* Row function of the interactions: user, object [, weight]. */
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
	interactions_add(&batch->interactions, node, dictionary_add(&scene->neighbour_keys, &key), weight);
	fold_in_scene_check(scene);
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

	graph_interactions_query(definition, NULL, &n, &types, &values);	/* the number of its parameters */
	query = graph_interactions_query(definition, psprintf("%s OPERATOR(pg_catalog.=) ANY ($%d)",
														  quote_identifier(column), n + 1), &n, &types, &values);
	values[n] = key_array(scene->of_objects ? definition->object_key_type : definition->user_key_type,
						  batch->keys, 0, &types[n]);
	batch->node_type = scene->of_objects ? object_type : user_type;
	batch->neighbour_type = scene->of_objects ? user_type : object_type;
	interactions_open(&batch->interactions, &batch->arena, graph_is_weighted(definition));
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

		if (scene->neighbours->width == 0 || scene->neighbours->degrees[neighbour] < 0 ||
			(!scene->of_objects && is_kept_away(scene, degree, hash, shielded, &other)))
			continue;
		batch->neighbours[end] = neighbour;
		if (batch->weights != NULL)
			batch->weights[end] = graph->weights[e];
		end++;
	}
	return end;
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
	for (int32 i = 0; i < n; i++)
	{
		batch->degrees[i] = (int32) graph_degree(&batch->graph, i);
		end = batch->offsets[i + 1] = choose_neighbours(batch, i, end);
	}
}

/* Compute the vectors of the batch. */
static float *
compute(Batch *batch)
{
	FoldInScene *scene = batch->scene;
	const FoldInBatch nodes = {
		.n_nodes = batch->keys->count, .offsets = batch->offsets, .all = batch->graph.offsets,
		.neighbours = batch->neighbours,
		.weights = batch->weights, .n_rows = scene->neighbours->width == 0 ? 0 : scene->neighbour_keys.count,
		.rows = scene->neighbours->values, .degrees = scene->neighbours->degrees
	};
	float	   *vectors = arena_floats(&batch->arena, (size_t) nodes.n_nodes * scene->fold.width);

	fold_in_scene_check(scene);
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
	value = key_array(of_objects ? definition->object_key_type : definition->user_key_type, keys, 0, &type);
	return (int64) write_rows(psprintf("DELETE FROM %s WHERE %s OPERATOR(pg_catalog.=) ANY ($1)", table,
									   quote_identifier(of_objects ? definition->object_column :
														definition->user_column)), 1, &type, &value, NULL);
}

/* Nodes without an interaction go; those whose neighbours are all unknown stay as they are; the
 * vectors and degrees of the others move together. */
static void
sort_out(Batch *batch, float *vectors, Dictionary *gone, Dictionary *written, RefreshCounts *counts)
{
	const FoldInScene *scene = batch->scene;
	int			width = scene->fold.width;

	for (int32 i = 0; i < batch->keys->count; i++)
	{
		Key			key = dictionary_key(batch->keys, i);
		const float *vector = vectors + (size_t) i * width;

		if (batch->degrees[i] == 0)
			dictionary_add(gone, &key);
		else if (vector[scene->options.dimension + (scene->of_objects ? 1 : 0)] == 0)
			counts->left_out++;
		else
		{
			int32		place = dictionary_add(written, &key);

			fold_in_scene_check(scene);
			memmove(vectors + (size_t) place * width, vector, width * sizeof(float));
			batch->degrees[place] = batch->degrees[i];
		}
	}
	fold_in_scene_check(scene);
}

/* Bring the table up to date. */
static void
store(Batch *batch, float *vectors, RefreshCounts *counts)
{
	const FoldInScene *scene = batch->scene;
	const GraphDefinition *definition = scene->definition;
	bool		of_objects = scene->of_objects;
	char	   *table = relation_qualified_name(relation_from_text(of_objects ? definition->object_embeddings :
																   definition->user_embeddings));
	Dictionary	gone;
	Dictionary	written;

	dictionary_open(&gone, &batch->arena, batch->keys->kind);
	dictionary_open(&written, &batch->arena, batch->keys->kind);
	sort_out(batch, vectors, &gone, &written, counts);
	graph_write_vectors(definition->name);
	counts->removed += delete_rows(scene, table, &gone);
	counts->added += written.count - delete_rows(scene, table, &written);
	counts->refreshed += written.count;
	embedding_table_add(table, of_objects ? definition->object_column : definition->user_column,
						of_objects ? definition->object_key_type : definition->user_key_type,
						&written, vectors, scene->fold.width, batch->degrees);
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
	Datum		value = key_array(known.type, keys, 0, &type);

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
