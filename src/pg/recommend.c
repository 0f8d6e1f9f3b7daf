/*
 * recommend.c
 *		recommend(): the objects with the highest score for one user, exactly.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "core/vectors.h"
#include "pg/arguments.h"
#include "pg/bridge.h"
#include "pg/embedding_lookup.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"
#include "pg/reader.h"
#include "pg/selection.h"
#include "pg/stored_direct.h"
#include "pg/user_objects.h"

PG_FUNCTION_INFO_V1(behavpred_recommend);

#define MOST_OBJECTS 100000

typedef struct Recommendation
{
	const GraphDefinition *graph;
	Core	   *core;
	Arena		arena;
	const float *user;
	int			width;
	Oid			key_type;		/* of the object table */
	Dictionary	seen;
	StoredDirect *direct;		/* NULL when links add nothing to the score */
	UserLinks	links;			/* with direct */
	uint8_t		excluded;		/* links that take an object out */
	Selection	selection;
} Recommendation;

/* Refuse a vector that no training wrote. */
static void
check_vector(const Recommendation *recommendation, const float *vector, int width)
{
	const char *graph = recommendation->graph->name;

	if (width != recommendation->width || !vectors_finite(vector, width))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("an embedding of graph \"%s\" is not as its training wrote it", graph),
				 errdetail("One has %d numbers, the user's has %d; all must be finite.", width, recommendation->width),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(graph))));
}

/* What links add to the score of an object; false when they take it out. */
static bool
add_links(Recommendation *recommendation, const Key *key, const Datum *values, const bool *nulls, double *score)
{
	const StoredDirect *direct = recommendation->direct;
	int32		number = direct == NULL ? -1 : dictionary_find(&recommendation->links.objects, key);
	uint8_t		types;

	if (number < 0)
		return true;
	types = recommendation->links.types[number];
	*score += direct_term_value(&direct->term, types, stored_direct_numbers(direct, values[2], nulls[2]),
								recommendation->links.part, *score - recommendation->user[recommendation->width - 1]);
	return (types & recommendation->excluded) == 0;
}

/* Row function: key and embedding of one object, with a direct term its numbers for it. */
static void
score_object(void *argument, Datum *values, bool *nulls)
{
	Recommendation *recommendation = argument;
	const float *object;
	double		score;
	int			width;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(recommendation->key_type, values[0]);
	if (dictionary_find(&recommendation->seen, &key) >= 0)
		return;
	object = embedding_from_datum(values[1], &width);
	check_vector(recommendation, object, width);
	score = vectors_dot(recommendation->user, object, width);
	if (add_links(recommendation, &key, values, nulls, &score))
		selection_add(&recommendation->selection, &key, score);
}

static void
rank_objects(Recommendation *recommendation, int k)
{
	const GraphDefinition *graph = recommendation->graph;
	Oid			table = relation_from_text(graph->object_embeddings);

	recommendation->key_type = source_key_column(table, graph->object_column, "the graph");
	selection_open(&recommendation->selection, &recommendation->arena, key_kind(recommendation->key_type), k);
	read_rows(psprintf("SELECT %s, embedding%s FROM %s", quote_identifier(graph->object_column),
					   recommendation->direct == NULL ? "" : ", direct", relation_qualified_name(table)), 0, NULL, NULL, NULL, score_object, recommendation);
	selection_finish(&recommendation->selection, k);
}

/* What the user has done already. */
static void
read_user(Recommendation *recommendation, Datum user, bool exclude_seen)
{
	if (recommendation->direct != NULL)
		stored_direct_user(recommendation->direct, &recommendation->arena, user, &recommendation->links);
	else if (exclude_seen)
		user_objects_read(recommendation->graph, user, &recommendation->seen);
	if (recommendation->direct != NULL && exclude_seen)
		recommendation->excluded = recommendation->direct->predicted;
}

/* recommend(graph, user, k, exclude_seen): no rows for a user that the graph does not know. */
Datum
behavpred_recommend(PG_FUNCTION_ARGS)
{
	Recommendation recommendation = {0};
	int			k = k_argument(fcinfo, 2, MOST_OBJECTS, "Leave it out for 10.");
	bool		exclude_seen = PG_GETARG_BOOL(3);
	GraphDefinition *graph;
	ArrayType  *vector;
	Datum		user;
	char	   *name;

	name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	graph = graph_definition_trained(name);
	if (exclude_seen || graph->typed)
		graph_definition_for(name, PRIVILEGE_READ);	/* it reads the sources */
	recommendation.direct = stored_direct_read(graph);
	recommendation.graph = graph;
	recommendation.core = bridge_open(1);
	arena_open(&recommendation.arena, recommendation.core);
	dictionary_open(&recommendation.seen, &recommendation.arena, key_kind(graph->object_key_type));
	bridge_check(recommendation.core, "recommending");
	user = node_argument(fcinfo, 1, graph, false);
	vector = embedding_lookup(graph, false, user);
	if (vector != NULL)
	{
		recommendation.user = embedding_from_datum(PointerGetDatum(vector), &recommendation.width);
		check_vector(&recommendation, recommendation.user, recommendation.width);
		read_user(&recommendation, user, exclude_seen);
		rank_objects(&recommendation, k);
	}
	selection_return(fcinfo, &recommendation.selection, recommendation.key_type);
	bridge_close(recommendation.core);
	return (Datum) 0;
}
