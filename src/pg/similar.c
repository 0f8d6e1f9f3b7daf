/*
 * similar.c
 *		similar_users() and similar_objects(): the nodes whose vectors point the same way.
 *
 * Compared are directions alone: the numbers after them, activity and bias, say how much a
 * user does and how popular an object is.
 */
#include "postgres.h"

#include <math.h>

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
#include "pg/vector_layout.h"

PG_FUNCTION_INFO_V1(behavpred_similar_users);
PG_FUNCTION_INFO_V1(behavpred_similar_objects);

#define MOST_SIMILAR 100000

typedef struct Comparing
{
	const GraphDefinition *graph;
	Key			key;			/* of the node that is compared with */
	const float *vector;
	VectorLayout layout;
	Oid			key_type;		/* of the table */
	Selection	selection;
} Comparing;

static bool
same_key(KeyKind kind, const Key *a, const Key *b)
{
	if (kind == KEY_INTEGER)
		return a->integer == b->integer;
	return a->length == b->length && memcmp(a->bytes, b->bytes, a->length) == 0;
}

/* Row function: key and embedding of one node. */
static void
compare_node(void *argument, Datum *values, bool *nulls)
{
	Comparing  *comparing = argument;
	const float *vector;
	double		cosine;
	int			width;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(comparing->key_type, values[0]);
	vector = embedding_from_datum(values[1], &width);
	if (width != comparing->layout.width || !vectors_finite(vector, width))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("an embedding of graph \"%s\" is not as its training wrote it", comparing->graph->name),
				 errdetail("One has %d numbers, another %d; all must be finite.", width, comparing->layout.width),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(comparing->graph->name))));
	cosine = vectors_cosine(comparing->vector, vector, comparing->layout.dimension);
	if (!isnan(cosine) && !same_key(key_kind(comparing->key_type), &key, &comparing->key))
		selection_add(&comparing->selection, &key, cosine);
}

/* Compare with all nodes of the same kind. */
static void
compare_all(Comparing *comparing, Arena *arena, bool of_objects, int k)
{
	const GraphDefinition *graph = comparing->graph;
	const char *column = of_objects ? graph->object_column : graph->user_column;
	Oid			table = relation_from_text(of_objects ? graph->object_embeddings : graph->user_embeddings);

	comparing->key_type = source_key_column(table, column, "the graph");
	selection_open(&comparing->selection, arena, key_kind(comparing->key_type), k);
	read_rows(psprintf("SELECT %s, embedding FROM %s", quote_identifier(column), relation_qualified_name(table)),
			  0, NULL, NULL, NULL, compare_node, comparing);
	selection_finish(&comparing->selection, k);
}

/* (graph, key, k): no rows for a node that the graph does not know. */
static Datum
similar_nodes(FunctionCallInfo fcinfo, bool of_objects)
{
	int			k = k_argument(fcinfo, 2, MOST_SIMILAR, "Leave it out for 10.");
	Comparing	comparing = {0};
	ArrayType  *vector;
	Datum		node;
	Core	   *core;
	Arena		arena;
	int			width;

	comparing.graph = graph_definition_trained(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	node = node_argument(fcinfo, 1, comparing.graph, of_objects);
	core = bridge_open(1);
	arena_open(&arena, core);
	vector = embedding_lookup(comparing.graph, of_objects, node);
	if (vector != NULL)
	{
		comparing.key = key_from_datum(of_objects ? comparing.graph->object_key_type :
									   comparing.graph->user_key_type, node);
		comparing.vector = embedding_from_datum(PointerGetDatum(vector), &width);
		comparing.layout = vector_layout_read(comparing.graph, width);
		compare_all(&comparing, &arena, of_objects, k);
	}
	selection_return(fcinfo, &comparing.selection, comparing.key_type);
	bridge_close(core);
	return (Datum) 0;
}

Datum
behavpred_similar_users(PG_FUNCTION_ARGS)
{
	return similar_nodes(fcinfo, false);
}

Datum
behavpred_similar_objects(PG_FUNCTION_ARGS)
{
	return similar_nodes(fcinfo, true);
}
