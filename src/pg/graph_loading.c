/*
 * graph_loading.c
 *		From the interaction table to the graph in memory.
 *
 * Rows are numbered as they come and kept as 8 bytes (12 with weights) each.  Then the
 * keys are sorted, so that neither the graph nor anything computed from it depends on
 * the order of the rows.  Nothing here runs in threads; errors may leave by a jump.
 */
#include "postgres.h"

#include <float.h>
#include <math.h>

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/memutils.h"

#include "pg/bridge.h"
#include "pg/feature_loading.h"
#include "pg/graph_loading.h"
#include "pg/keys.h"
#include "pg/wording.h"

#define LEAST_NODES 2			/* of each kind: with one there is nothing to rank */
#define KEYS_BETWEEN_LOOKS 65536
#define ROWS_PER_BATCH 256
#define LONGEST_KEY 2000		/* bytes; a third of a page is the limit of a btree */

typedef struct Loading
{
	const GraphDefinition *definition;
	LoadedGraph *loaded;
	Core	   *core;
	Oid			user_type;		/* of the columns; may be narrower than the graph's */
	Oid			object_type;
	Interactions interactions;
	bool		any_weight;		/* above 0 */

	/* Rows that wait for dictionary_add_many(). */
	int			waiting;
	Key			user_keys[ROWS_PER_BATCH];
	Key			object_keys[ROWS_PER_BATCH];
	float		weights[ROWS_PER_BATCH];
	int			behaviors[ROWS_PER_BATCH];	/* numbers, when the graph tells them apart */
	MemoryContext batch_context;	/* bytes of the keys that wait */
} Loading;

/* Raise what the core met. */
static void
check_core(const Loading *loading)
{
	bridge_check(loading->core, "loading graph \"%s\"", loading->definition->name);
}

/* A weight must be a finite number that is not negative. */
static float
checked_weight(Loading *loading, const Key *user, const Key *object, Datum value, bool null)
{
	double		weight = null ? get_float8_nan() : DatumGetFloat8(value);

	if (!isfinite((float) weight) || weight < 0)
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("weight column \"%s\" has the value %s", loading->definition->weight_column,
						null ? "NULL" : float8out_internal(weight)),
				 errdetail("It stands at user %s and object %s.", key_to_text(loading->user_type, user),
						   key_to_text(loading->object_type, object)),
				 errhint("Weights must be from 0 to %.7g. Read them through a view that repairs them.", (double) FLT_MAX)));
	loading->any_weight |= weight > 0;
	return (float) weight;
}

/* Number the keys that wait, and keep their interactions. */
static void
flush_batch(Loading *loading)
{
	int32_t		users[ROWS_PER_BATCH];
	int32_t		objects[ROWS_PER_BATCH];

	dictionary_add_many(&loading->loaded->users, loading->user_keys, loading->waiting, users);
	dictionary_add_many(&loading->loaded->objects, loading->object_keys, loading->waiting, objects);
	for (int i = 0; i < loading->waiting; i++)
		interactions_add_typed(&loading->interactions, users[i], objects[i], loading->weights[i],
							   loading->behaviors[i]);
	core_report(loading->core, "reading interactions", loading->interactions.count, 0);
	check_core(loading);
	loading->waiting = 0;
	MemoryContextReset(loading->batch_context);
}

/* Refuse a key that the primary keys of the embedding tables could not hold. */
static void
check_key_length(const Key *key)
{
	if (key->length > LONGEST_KEY)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("a key of %zu bytes is too long", key->length),
				 errdetail("It begins \"%.*s\"; up to %d bytes are allowed.",
						   pg_mbcliplen(key->bytes, (int) key->length, 40), key->bytes, LONGEST_KEY),
				 errhint("Read it through a view that shortens it, as in md5(key)::uuid.")));
}

/* Let a key outlive its row. */
static void
keep_bytes(Loading *loading, Key *key)
{
	char	   *bytes = MemoryContextAlloc(loading->batch_context, Max(key->length, 1));

	check_key_length(key);
	memcpy(bytes, key->bytes, key->length);
	key->bytes = bytes;
}

/* Row function of the interactions: user, object [, weight [, place of the behaviour]]. */
static void
keep_interaction(void *argument, Datum *values, bool *nulls)
{
	Loading    *loading = argument;
	int			place = loading->waiting;
	Key		   *user = &loading->user_keys[place];
	Key		   *object = &loading->object_keys[place];

	if (nulls[0] || nulls[1])
	{
		loading->loaded->null_keys++;
		return;
	}
	if (!key_from_integer(loading->user_type, values[0], user))
		*user = key_from_datum(loading->user_type, values[0]);
	if (!key_from_integer(loading->object_type, values[1], object))
		*object = key_from_datum(loading->object_type, values[1]);
	loading->weights[place] = loading->interactions.weights == NULL ? 1 :
		checked_weight(loading, user, object, values[2], nulls[2]);
	loading->behaviors[place] = loading->interactions.types == NULL ? 0 : DatumGetInt32(values[3]) - 1;
	if (loading->loaded->users.kind == KEY_BYTES)
		keep_bytes(loading, user);
	if (loading->loaded->objects.kind == KEY_BYTES)
		keep_bytes(loading, object);
	loading->waiting++;
	if (loading->waiting == ROWS_PER_BATCH)
		flush_batch(loading);
}

/* True when a behaviour counts for more than another in a graph that does not tell them apart. */
static bool
behaviors_weigh(const GraphDefinition *definition)
{
	const double *weights;
	int			n;

	if (definition->behavior_weights == NULL || definition->typed)
		return false;
	weights = (const double *) ARR_DATA_PTR(definition->behavior_weights);
	n = ArrayGetNItems(ARR_NDIM(definition->behavior_weights), ARR_DIMS(definition->behavior_weights));
	for (int i = 1; i < n; i++)
		if (weights[i] != weights[0])
			return true;
	return false;
}

/* See graph_loading.h. */
void
graph_interactions_open(Interactions *interactions, Arena *arena, const GraphDefinition *definition)
{
	interactions_open(interactions, arena, graph_is_weighted(definition) || behaviors_weigh(definition));
	if (definition->typed)
		interactions_open_types(interactions);
}

/* Read all interactions into loading->interactions, in `scratch`. */
static void
read_interactions(Loading *loading, Arena *arena, Arena *scratch)
{
	const GraphDefinition *definition = loading->definition;
	LoadedGraph *loaded = loading->loaded;
	Oid			relation = source_relation(definition->interactions, definition->apply_row_security);
	char	   *query;
	int			n;
	Oid		   *types;
	Datum	   *values;

	query = definition->behavior_weights != NULL ? graph_behaviors_query(definition, NULL, &n, &types, &values) :
		graph_interactions_query(definition, NULL, &n, &types, &values);
	loading->user_type = source_key_column(relation, definition->user_column, "user_column");
	loading->object_type = source_key_column(relation, definition->object_column, "object_column");
	dictionary_open(&loaded->users, arena, key_kind(loading->user_type));
	dictionary_open(&loaded->objects, arena, key_kind(loading->object_type));
	graph_interactions_open(&loading->interactions, scratch, definition);
	check_core(loading);
	loading->batch_context = AllocSetContextCreate(CurrentMemoryContext, "behavpred batch",
												   ALLOCSET_DEFAULT_SIZES);
	loaded->rows_read = (int64) source_read(definition->apply_row_security, query, n, types, values,
											keep_interaction, loading);
	flush_batch(loading);
}

/* What the graph leaves out, for the detail of an error. */
static char *
describe_filters(const GraphDefinition *definition)
{
	StringInfoData text;

	initStringInfo(&text);
	if (definition->behavior_column != NULL)
		appendStringInfo(&text, " with \"%s\" among the behaviors", definition->behavior_column);
	if (definition->value_column != NULL)
		appendStringInfo(&text, "%s \"%s\" of at least %g", text.len > 0 ? "," : " with",
						 definition->value_column, definition->min_value);
	if (definition->since != NULL)
		appendStringInfo(&text, "%s \"%s\" within the last %s", text.len > 0 ? "," : " with",
						 definition->time_column, definition->since);
	if (definition->has_until)
		appendStringInfo(&text, "%s \"%s\" before the cut", text.len > 0 ? "," : " with", definition->time_column);
	return text.data;
}

/* What shows why no row got through the filters. */
static char *
filter_question(const GraphDefinition *definition)
{
	const char *column = definition->value_column;

	if (definition->behavior_column != NULL)
		return psprintf("SELECT %s, count(*) FROM %s GROUP BY 1;", quote_identifier(definition->behavior_column),
						definition->interactions);
	if (column == NULL && (definition->since != NULL || definition->has_until))
		column = definition->time_column;
	if (column != NULL)
		return psprintf("SELECT min(%s), max(%s) FROM %s;", quote_identifier(column), quote_identifier(column),
						definition->interactions);
	return psprintf("SELECT * FROM %s LIMIT 10;", definition->interactions);
}

/* Refuse a graph without edges. */
static void
check_interactions(const Loading *loading)
{
	const GraphDefinition *definition = loading->definition;
	const LoadedGraph *loaded = loading->loaded;

	if (loading->interactions.count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("graph \"%s\" has no interactions", definition->name),
				 errdetail("%s gave %s%s, %s of them with a NULL key.", definition->interactions,
						   format_counted(loaded->rows_read, "row"), describe_filters(definition),
						   format_count(loaded->null_keys)),
				 errhint("See what there is: %s", filter_question(definition))));
	if (definition->weight_column != NULL && !loading->any_weight)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("graph \"%s\" has no interaction with a weight above 0", definition->name),
				 errdetail("\"%s\" is 0 in all %s.", definition->weight_column,
						   format_counted(loading->interactions.count, "row")),
				 errhint("Leave weight_column out to count every interaction the same.")));
}

/* Refuse a graph with one user or one object: there is nothing to tell apart. */
static void
check_nodes(const Loading *loading, const Dictionary *keys, const char *kind)
{
	if (keys->count < LEAST_NODES)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("graph \"%s\" has %s, at least %d are needed", loading->definition->name,
						format_counted(keys->count, kind), LEAST_NODES),
				 errdetail("Interactions read: %s.", format_count(loading->loaded->rows_read)),
				 errhint("Widen the filters, or check that %s_column names the right column.", kind)));
}

/* The features of a kind of nodes; NULL when the graph has none. */
static FeatureTable *
read_features(const Loading *loading, Arena *scratch, bool of_objects, FeatureCounts *counts)
{
	Dictionary *keys = of_objects ? &loading->loaded->objects : &loading->loaded->users;
	int32		before = keys->count;
	FeatureTable *table = feature_table_read(scratch, loading->definition, of_objects, keys);

	if (table != NULL)
	{
		counts->rows = table->n_rows;
		counts->known = table->n_rows - (keys->count - before);
	}
	return table;
}

/* The order of keys becomes the numbering of everything. */
static void
sort_keys(Loading *loading, FeatureTable *user_table, FeatureTable *object_table)
{
	LoadedGraph *loaded = loading->loaded;
	int32	   *new_users;
	int32	   *new_objects;

	dictionary_sort(&loaded->users, &new_users);
	dictionary_sort(&loaded->objects, &new_objects);
	check_core(loading);
	interactions_renumber(&loading->interactions, new_users, new_objects);
	if (user_table != NULL)
		feature_table_renumber(user_table, new_users);
	if (object_table != NULL)
		feature_table_renumber(object_table, new_objects);
	arena_release(loaded->users.arena, new_users);
	arena_release(loaded->objects.arena, new_objects);
}

/* Hashes of all keys, users first. */
static uint64 *
hash_keys(Loading *loading, Arena *arena)
{
	const LoadedGraph *loaded = loading->loaded;
	int32		n_users = loaded->users.count;
	int32		n_nodes = n_users + loaded->objects.count;
	uint64_t   *hashes = arena_allocate(arena, n_nodes, sizeof(uint64_t));

	check_core(loading);
	for (int32 node = 0; node < n_nodes; node++)
	{
		const Dictionary *keys = node < n_users ? &loaded->users : &loaded->objects;
		Key			key = dictionary_key(keys, node < n_users ? node : node - n_users);

		hashes[node] = key_hash(keys->kind, &key);
		if (node % KEYS_BETWEEN_LOOKS == 0)
			CHECK_FOR_INTERRUPTS();
	}
	return hashes;
}

/* Count the nodes without an edge. */
static int32
count_idle(const Graph *graph, int32 first, int32 end)
{
	int32		idle = 0;

	for (int32 node = first; node < end; node++)
		idle += graph_degree(graph, node) == 0;
	return idle;
}

/* See graph_loading.h. */
void
graph_set_types(const GraphDefinition *definition, Graph *graph)
{
	const double *weights = (const double *) ARR_DATA_PTR(definition->behavior_weights);

	graph->n_types = ArrayGetNItems(ARR_NDIM(definition->behavior_weights), ARR_DIMS(definition->behavior_weights));
	graph->predicted = (uint8_t) graph_predicted_set(definition);
	for (int t = 0; t < graph->n_types; t++)
		graph->type_weights[t] = (float) weights[t];
}

/* Refuse a graph in which nobody has done what is to be predicted. */
static void
check_predicted(const Loading *loading)
{
	const GraphDefinition *definition = loading->definition;
	const Graph *graph = &loading->loaded->graph;

	if (graph_predicted_edges(graph) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("graph \"%s\" has no interaction of a behavior to be predicted", definition->name),
				 errdetail("Interactions read: %s, all of other behaviors.",
						   format_count(loading->loaded->rows_read)),
				 errhint("Name another: SELECT behavpred.set_behaviors(%s, predict => '{...}');",
						 quote_literal_cstr(definition->name))));
}

/* Build the graph from the renumbered interactions. */
static void
build_graph(Loading *loading, Arena *arena, uint64 seed)
{
	LoadedGraph *loaded = loading->loaded;
	Graph	   *graph = &loaded->graph;

	check_nodes(loading, &loaded->users, "user");
	check_nodes(loading, &loaded->objects, "object");
	graph_build(loading->core, arena, &loading->interactions, loaded->users.count, loaded->objects.count,
				loading->definition->max_degree, seed, graph);
	check_core(loading);
	if (graph->types != NULL)
	{
		graph_set_types(loading->definition, graph);
		check_predicted(loading);
	}
	graph->key_hashes = hash_keys(loading, arena);
	loaded->idle_users = count_idle(graph, 0, graph->n_users);
	loaded->idle_objects = count_idle(graph, graph->n_users, graph->n_nodes);
}

/* Read the sources and build the graph; see graph_loading.h. */
LoadedGraph *
graph_load(Arena *arena, const GraphDefinition *definition, bool with_features, uint64 seed)
{
	LoadedGraph *loaded = palloc0(sizeof(LoadedGraph));
	Loading		loading = {.definition = definition, .loaded = loaded, .core = arena->core};
	FeatureTable *user_table = NULL;
	FeatureTable *object_table = NULL;
	Arena		scratch;

	arena_open(&scratch, arena->core);
	read_interactions(&loading, arena, &scratch);
	check_interactions(&loading);
	core_report(arena->core, "building the graph", 0, 0);
	if (with_features)
	{
		user_table = read_features(&loading, &scratch, false, &loaded->user_rows);
		object_table = read_features(&loading, &scratch, true, &loaded->object_rows);
	}
	sort_keys(&loading, user_table, object_table);
	build_graph(&loading, arena, seed);
	arena_release(&scratch, loading.interactions.users);
	arena_release(&scratch, loading.interactions.objects);
	arena_release(&scratch, loading.interactions.types);
	if (user_table != NULL)
		loaded->user_features = feature_table_finish(user_table, arena, &loaded->user_feature_names);
	if (object_table != NULL)
		loaded->object_features = feature_table_finish(object_table, arena, &loaded->object_feature_names);
	arena_close(&scratch);
	return loaded;
}
