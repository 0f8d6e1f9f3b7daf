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

/* Row function: key and embedding of one object. */
static void
score_object(void *argument, Datum *values, bool *nulls)
{
	Recommendation *recommendation = argument;
	const float *object;
	int			width;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(recommendation->key_type, values[0]);
	if (dictionary_find(&recommendation->seen, &key) >= 0)
		return;
	object = embedding_from_datum(values[1], &width);
	check_vector(recommendation, object, width);
	selection_add(&recommendation->selection, &key, vectors_dot(recommendation->user, object, width));
}

static void
rank_objects(Recommendation *recommendation, int k)
{
	const GraphDefinition *graph = recommendation->graph;
	Oid			table = relation_from_text(graph->object_embeddings);

	recommendation->key_type = source_key_column(table, graph->object_column, "the graph");
	selection_open(&recommendation->selection, &recommendation->arena, key_kind(recommendation->key_type), k);
	read_rows(psprintf("SELECT %s, embedding FROM %s", quote_identifier(graph->object_column),
					   relation_qualified_name(table)), 0, NULL, NULL, NULL, score_object, recommendation);
	selection_finish(&recommendation->selection, k);
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
	if (exclude_seen)
		graph_definition_for(name, PRIVILEGE_READ);	/* it reads the sources */
	graph = graph_definition_trained(name);
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
		if (exclude_seen)
			user_objects_read(graph, user, &recommendation.seen);
		rank_objects(&recommendation, k);
	}
	selection_return(fcinfo, &recommendation.selection, recommendation.key_type);
	bridge_close(recommendation.core);
	return (Datum) 0;
}
