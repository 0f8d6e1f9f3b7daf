/*
 * recommend_all.c
 *		recommend_all(): the objects with the highest score for every user, exactly.
 *
 * Memory: both kinds of vectors, and the interactions when they are to be left out; the lists are made
 * for some thousands of users at a time.  Lists are found in single precision, a few longer
 * than asked for, and ordered anew in double, so that they are those of recommend().
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"

#include "core/graph.h"
#include "core/vectors.h"
#include "pg/arguments.h"
#include "pg/bridge.h"
#include "pg/embedding_reading.h"
#include "pg/key_reading.h"
#include "pg/keys.h"
#include "pg/result_rows.h"
#include "pg/stored_direct.h"
#include "pg/target_definition.h"

PG_FUNCTION_INFO_V1(behavpred_recommend_all);

#define LARGEST_K 1000
#define SPARE_PLACES 8			/* of a list found in single precision */
#define BATCH_USERS 8192

/* The arguments of recommend_all(), by position. */
enum
{
	ARG_GRAPH, ARG_K, ARG_EXCLUDE_SEEN, ARG_USERS, ARG_THREADS
};

/* Users or objects with their vectors, in the order of their keys. */
typedef struct Nodes
{
	Oid			key_type;		/* of the table */
	Dictionary	keys;
	StoredEmbeddings *stored;
} Nodes;

typedef struct Recommending
{
	const GraphDefinition *graph;
	Core	   *core;
	Arena		arena;
	int			k;
	Nodes		users;
	Nodes		objects;
	Interactions pairs;
	Lists		seen;			/* starts is NULL when nothing is left out */
	StoredDirect *direct;		/* NULL when links add nothing to the score */
	Graph		links;			/* with direct */
	DirectRanking ranking;
} Recommending;

static void
check_core(const Recommending *recommending)
{
	bridge_check(recommending->core, "recommending from graph \"%s\"", recommending->graph->name);
}

/* ---- reading ----------------------------------------------------------------------------- */

/* Refuse vectors that no training wrote. */
static void
check_vectors(const Recommending *recommending, const StoredEmbeddings *stored)
{
	for (int32 i = 0; i < stored->keys->count; i++)
		if (!vectors_finite(stored->values + (size_t) i * stored->width, stored->width))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("an embedding of graph \"%s\" is not as its training wrote it", recommending->graph->name),
					 errdetail("One of its %d numbers is not finite.", stored->width),
					 errhint("SELECT * FROM behavpred.train_graph(%s);",
							 quote_literal_cstr(recommending->graph->name))));
}

/* Sort the keys, so that ties do not depend on the order of rows, and read the vectors. */
static void
read_vectors(Recommending *recommending, Nodes *nodes, bool of_objects)
{
	int32	   *new_numbers;

	dictionary_sort(&nodes->keys, &new_numbers);
	check_core(recommending);
	nodes->stored = embeddings_read(&recommending->arena, recommending->graph, of_objects, &nodes->keys, true);
	check_vectors(recommending, nodes->stored);
}

/* All nodes of a kind, or those users of a relation that the graph knows. */
static void
read_nodes(Recommending *recommending, Nodes *nodes, bool of_objects, const char *users)
{
	const GraphDefinition *graph = recommending->graph;
	KeyReading	reading = {.keys = &nodes->keys};
	const char *column = of_objects ? graph->object_column : graph->user_column;
	Oid			table = relation_from_text(of_objects ? graph->object_embeddings : graph->user_embeddings);

	nodes->key_type = reading.key_type = source_key_column(table, column, "the graph");
	dictionary_open(&nodes->keys, &recommending->arena, key_kind(nodes->key_type));
	check_core(recommending);
	if (users != NULL)
		source_read(graph->apply_row_security, target_candidates_query(graph, users), 0, NULL, NULL, take_key,
					&reading);
	else
		read_rows(psprintf("SELECT %s FROM %s", quote_identifier(column), relation_qualified_name(table)),
				  0, NULL, NULL, NULL, take_key, &reading);
	if (nodes->keys.count > 0)
		read_vectors(recommending, nodes, of_objects);
}

/* Row function: user and object of an interaction. */
static void
keep_pair(void *argument, Datum *values, bool *nulls)
{
	Recommending *recommending = argument;
	const GraphDefinition *graph = recommending->graph;
	Key			key;
	int32		user;
	int32		object;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(graph->user_key_type, values[0]);
	user = dictionary_find(&recommending->users.keys, &key);
	key = key_from_datum(graph->object_key_type, values[1]);
	object = dictionary_find(&recommending->objects.keys, &key);
	if (user >= 0 && object >= 0)
		interactions_add(&recommending->pairs, user, object, 1);
	check_core(recommending);
}

/* What each user has already. */
static void
read_seen(Recommending *recommending)
{
	Graph		graph;
	int32_t    *items;
	char	   *query;
	int			n;
	Oid		   *types;
	Datum	   *values;

	interactions_open(&recommending->pairs, &recommending->arena, false);
	check_core(recommending);
	query = graph_interactions_query(recommending->graph, NULL, &n, &types, &values);
	source_read(recommending->graph->apply_row_security, query, n, types, values, keep_pair, recommending);
	graph_build(recommending->core, &recommending->arena, &recommending->pairs, recommending->users.keys.count,
				recommending->objects.keys.count, 0, 0, &graph);
	items = arena_allocate(&recommending->arena, graph.n_edges, sizeof(int32_t));
	check_core(recommending);
	for (int64 i = 0; i < graph.n_edges; i++)
		items[i] = graph.neighbours[i] - graph.n_users;
	recommending->seen = (Lists) {graph.offsets, items};
}

/* What joins users and objects, and what it adds to the score. */
static void
read_links(Recommending *recommending, bool exclude_seen)
{
	const StoredDirect *direct = recommending->direct;
	const StoredEmbeddings *users = recommending->users.stored;
	const StoredEmbeddings *objects = recommending->objects.stored;

	stored_direct_links(direct, &recommending->arena, &recommending->users.keys, &recommending->objects.keys,
						&recommending->links);
	recommending->ranking = (DirectRanking) {
		.term = &direct->term,
		.users = {recommending->users.keys.count, users->width, users->values},
		.objects = {recommending->objects.keys.count, objects->width, objects->values},
		.object_numbers = stored_direct_objects(direct, &recommending->arena, &recommending->objects.keys),
		.links = &recommending->links,
		.excluded = exclude_seen ? direct->predicted : 0
	};
}

/* ---- ranking ----------------------------------------------------------------------------- */

/* The list of one user, as rows. */
static void
return_list(ResultRows *rows, const Recommending *recommending, int32 user, const int32_t *objects,
			const double *scores)
{
	Key			key = dictionary_key(&recommending->users.keys, user);
	char	   *text = key_to_text(recommending->users.key_type, &key);
	Datum		user_key = CStringGetTextDatum(text);

	for (int i = 0; i < recommending->k && objects[i] >= 0; i++)
	{
		Key			object = dictionary_key(&recommending->objects.keys, objects[i]);
		char	   *name = key_to_text(recommending->objects.key_type, &object);
		Datum		values[] = {user_key, Int32GetDatum(i + 1), CStringGetTextDatum(name), Float8GetDatum(scores[i])};

		result_rows_add(rows, values, NULL);
		pfree(DatumGetPointer(values[2]));
		pfree(name);
	}
	pfree(DatumGetPointer(user_key));
	pfree(text);
}

/* Lists of the users from `first` on, in the arrays given. */
static void
rank_batch(Recommending *recommending, int32 first, int32 n, int places, int32_t *top, float *rough, double *scores)
{
	int			width = recommending->users.stored->width;
	Vectors		queries = {n, width, recommending->users.stored->values + (size_t) first * width};
	Vectors		objects = {recommending->objects.keys.count, width, recommending->objects.stored->values};
	Lists		seen = recommending->seen;
	bool		masked = seen.starts != NULL;

	if (recommending->direct != NULL)
	{
		direct_term_top(recommending->core, &recommending->ranking, first, n, places, top, scores);
		check_core(recommending);
		return;
	}
	if (masked)
		seen.starts += first;
	ranking_top(recommending->core, &recommending->arena, &queries, &objects, masked ? &seen : NULL, places, top, rough);
	check_core(recommending);
	ranking_refine(&queries, &objects, places, top, scores);
}

/* Batch by batch. */
static void
rank_all(ResultRows *rows, Recommending *recommending)
{
	int32		n = recommending->users.keys.count;
	int			places = recommending->k + SPARE_PLACES;
	size_t		size = (size_t) Min(n, BATCH_USERS) * places;
	int32_t    *top = arena_allocate(&recommending->arena, size, sizeof(int32_t));
	float	   *rough = arena_floats(&recommending->arena, size);
	double	   *scores = arena_doubles(&recommending->arena, size);

	check_core(recommending);
	for (int32 first = 0; first < n; first += BATCH_USERS)
	{
		int32		users = Min(BATCH_USERS, n - first);

		rank_batch(recommending, first, users, places, top, rough, scores);
		for (int32 u = 0; u < users; u++)
			return_list(rows, recommending, first + u, top + (size_t) u * places, scores + (size_t) u * places);
	}
}

static void
check_widths(const Recommending *recommending)
{
	int			users = recommending->users.stored->width;
	int			objects = recommending->objects.stored->width;

	if (users != objects)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("user and object embeddings of graph \"%s\" differ in length", recommending->graph->name),
				 errdetail("They have %d and %d numbers.", users, objects),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(recommending->graph->name))));
}

/* recommend_all(graph, k, exclude_seen, users, threads) */
Datum
behavpred_recommend_all(PG_FUNCTION_ARGS)
{
	Recommending recommending = {.k = k_argument(fcinfo, ARG_K, LARGEST_K, "Leave it out for 10.")};
	char	   *name;
	bool		exclude_seen = PG_ARGISNULL(ARG_EXCLUDE_SEEN) || PG_GETARG_BOOL(ARG_EXCLUDE_SEEN);
	ResultRows	rows = result_rows_open(fcinfo);

	if (PG_ARGISNULL(ARG_GRAPH))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("graph must not be NULL"),
				 errhint("SELECT * FROM behavpred.recommend_all('shop', k => 10);")));
	name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_GRAPH));
	recommending.graph = graph_definition_trained(name);
	if (exclude_seen || recommending.graph->typed)
		graph_definition_for(name, PRIVILEGE_READ);	/* it reads the sources */
	recommending.direct = stored_direct_read(recommending.graph);
	recommending.core = bridge_open(threads_argument(fcinfo, ARG_THREADS));
	bridge_show(recommending.core, name, NULL);
	arena_open(&recommending.arena, recommending.core);
	read_nodes(&recommending, &recommending.objects, true, NULL);
	read_nodes(&recommending, &recommending.users, false, PG_ARGISNULL(ARG_USERS) ? NULL :
			   relation_qualified_name(PG_GETARG_OID(ARG_USERS)));
	if (recommending.users.keys.count > 0 && recommending.objects.keys.count > 0)
	{
		check_widths(&recommending);
		if (recommending.direct != NULL)
			read_links(&recommending, exclude_seen);
		else if (exclude_seen)
			read_seen(&recommending);
		rank_all(&rows, &recommending);
	}
	bridge_close(recommending.core);
	return (Datum) 0;
}
