/*
 * graph_evaluation.c
 *		evaluate_graph(): how well the stored embeddings rank held-out objects.
 *
 * For each user of the held-out pairs all objects are ranked, the user's own interactions
 * left out.  Pairs that no ranking can find (unknown user or object, or an interaction
 * that the graph has already) are counted and left out.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/graph.h"
#include "pg/arguments.h"
#include "pg/bridge.h"
#include "pg/embedding_reading.h"
#include "pg/keys.h"
#include "pg/result_rows.h"
#include "pg/stored_direct.h"

PG_FUNCTION_INFO_V1(behavpred_evaluate_graph);

enum
{
	ARG_GRAPH, ARG_HELD_OUT, ARG_K, ARG_THREADS
};

#define LARGEST_K 1000

typedef struct Evaluation
{
	const GraphDefinition *definition;
	Core	   *core;
	Arena		arena;
	int			k;
	Dictionary	users;			/* of the held-out pairs */
	Dictionary	objects;		/* of the graph */
	StoredEmbeddings *user_vectors;
	StoredEmbeddings *object_vectors;
	Graph		known;			/* interactions of these users */
	Graph		held_out;		/* pairs to find */
	int64		pairs;			/* read, without NULL keys */
	StoredDirect *direct;		/* NULL when links add nothing to the score */
	RankingQuality quality;
	RankingQuality popularity;
} Evaluation;

/* A list of pairs while it is read. */
typedef struct PairReading
{
	Evaluation *evaluation;
	Interactions pairs;
	Oid			user_type;
	Oid			object_type;
	bool		add_users;		/* held-out pairs bring the users; interactions find them */
} PairReading;

/* Raise what the core met. */
static void
check_core(const Evaluation *evaluation)
{
	bridge_check(evaluation->core, "evaluating graph \"%s\"", evaluation->definition->name);
}

/* Row function: user, object. */
static void
keep_pair(void *argument, Datum *values, bool *nulls)
{
	PairReading *reading = argument;
	Evaluation *evaluation = reading->evaluation;
	Key			key;
	int32		user;
	int32		object;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(reading->user_type, values[0]);
	user = reading->add_users ? dictionary_add(&evaluation->users, &key) :
		dictionary_find(&evaluation->users, &key);
	key = key_from_datum(reading->object_type, values[1]);
	object = dictionary_find(&evaluation->objects, &key);
	evaluation->pairs += reading->add_users;
	if (user >= 0 && object >= 0)
		interactions_add(&reading->pairs, user, object, 1);
	check_core(evaluation);
}

/* Open the list; types of the two key columns of the relation it is read from. */
static void
open_pairs(PairReading *reading, Evaluation *evaluation, Arena *scratch, Oid relation)
{
	const GraphDefinition *definition = evaluation->definition;

	reading->evaluation = evaluation;
	reading->user_type = source_key_column(relation, definition->user_column, "the graph");
	reading->object_type = source_key_column(relation, definition->object_column, "the graph");
	interactions_open(&reading->pairs, scratch, false);
	check_core(evaluation);
}

/* Keys of the held-out relation must be comparable with the graph's. */
static void
check_pair_types(const PairReading *reading, Oid relation)
{
	const GraphDefinition *definition = reading->evaluation->definition;

	if (!key_types_match(reading->user_type, definition->user_key_type) ||
		!key_types_match(reading->object_type, definition->object_key_type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("keys of \"%s\" do not have the types of the graph", relation_display_name(relation)),
				 errdetail("They are of types %s and %s, the graph's of %s and %s.",
						   format_type_be(reading->user_type), format_type_be(reading->object_type),
						   format_type_be(definition->user_key_type),
						   format_type_be(definition->object_key_type)),
				 errhint("Read them through a view that casts them.")));
}

/* The pairs to find. */
static void
read_held_out(Evaluation *evaluation, Arena *scratch, Oid relation, PairReading *reading)
{
	const GraphDefinition *definition = evaluation->definition;
	char	   *query;

	source_check(relation, definition->apply_row_security);
	open_pairs(reading, evaluation, scratch, relation);
	check_pair_types(reading, relation);
	dictionary_open(&evaluation->users, &evaluation->arena, key_kind(definition->user_key_type));
	reading->add_users = true;
	query = psprintf("SELECT %s, %s FROM %s", quote_identifier(definition->user_column),
					 quote_identifier(definition->object_column), relation_qualified_name(relation));
	source_read(definition->apply_row_security, query, 0, NULL, NULL, keep_pair, reading);
}

/* What the graph has of these users already. */
static void
read_known(Evaluation *evaluation, Arena *scratch)
{
	const GraphDefinition *definition = evaluation->definition;
	PairReading reading = {.add_users = false};
	char	   *query;
	int			n;
	Oid		   *types;
	Datum	   *values;

	query = graph_interactions_query(definition, NULL, &n, &types, &values);
	open_pairs(&reading, evaluation, scratch,
			   source_relation(definition->interactions, definition->apply_row_security));
	source_read(definition->apply_row_security, query, n, types, values, keep_pair, &reading);
	graph_build(evaluation->core, &evaluation->arena, &reading.pairs, evaluation->users.count,
				evaluation->objects.count, 0, 0, &evaluation->known);
	check_core(evaluation);
}

/* Keep the pairs that a ranking can find, once each. */
static void
build_held_out(Evaluation *evaluation, Interactions *pairs)
{
	int64		kept = 0;

	for (int64 i = 0; i < pairs->count; i++)
	{
		int32		user = pairs->users[i];
		int32		object = pairs->objects[i];

		if (evaluation->user_vectors->degrees[user] < 0 || graph_has_edge(&evaluation->known, user, object))
			continue;
		pairs->users[kept] = user;
		pairs->objects[kept] = object;
		kept++;
	}
	pairs->count = kept;
	graph_build(evaluation->core, &evaluation->arena, pairs, evaluation->users.count,
				evaluation->objects.count, 0, 0, &evaluation->held_out);
	check_core(evaluation);
}

/* Refuse to average over nobody. */
static void
check_pairs(const Evaluation *evaluation, Oid relation, const Interactions *pairs)
{
	if (pairs->count == 0)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("\"%s\" has no pair that graph \"%s\" could be asked for",
						relation_display_name(relation), evaluation->definition->name),
				 errdetail(INT64_FORMAT " pairs were read; their users or objects are not in the graph, or the graph has them already.",
						   evaluation->pairs),
				 errhint("Hold out interactions before you create the graph.")));
}

/* Load everything that is to be compared. */
static void
load_evaluation(Evaluation *evaluation, Oid relation)
{
	const GraphDefinition *definition = evaluation->definition;
	PairReading reading = {.add_users = true};
	Arena		scratch;

	arena_open(&scratch, evaluation->core);
	dictionary_open(&evaluation->objects, &evaluation->arena, key_kind(definition->object_key_type));
	evaluation->object_vectors = embeddings_read(&evaluation->arena, definition, true, &evaluation->objects, false);
	read_held_out(evaluation, &scratch, relation, &reading);
	check_pairs(evaluation, relation, &reading.pairs);
	evaluation->user_vectors = embeddings_read(&evaluation->arena, definition, false, &evaluation->users, true);
	read_known(evaluation, &scratch);
	build_held_out(evaluation, &reading.pairs);
	check_pairs(evaluation, relation, &reading.pairs);
	arena_close(&scratch);
}

/* The users' lists of a graph, with objects numbered from 0. */
static Lists
user_lists(Evaluation *evaluation, const Graph *graph)
{
	int32_t    *items = arena_allocate(&evaluation->arena, graph->n_edges, sizeof(int32_t));

	check_core(evaluation);
	for (int64 i = 0; i < graph->n_edges; i++)
		items[i] = graph->neighbours[i] - graph->n_users;
	return (Lists) {graph->offsets, items};
}

/* Rank and compare with the held-out pairs. */
static void
measure(Evaluation *evaluation, const Vectors *queries, const Vectors *objects, RankingQuality *quality)
{
	Lists		masked = user_lists(evaluation, &evaluation->known);
	Lists		relevant = user_lists(evaluation, &evaluation->held_out);
	size_t		places = (size_t) queries->count * evaluation->k;
	int32_t    *top = arena_allocate(&evaluation->arena, places, sizeof(int32_t));
	float	   *scores = arena_floats(&evaluation->arena, places);

	ranking_top(evaluation->core, &evaluation->arena, queries, objects, &masked, evaluation->k, top, scores);
	check_core(evaluation);
	ranking_quality(queries->count, evaluation->k, top, &relevant, quality);
	arena_release(&evaluation->arena, scores);
	arena_release(&evaluation->arena, top);
	arena_release(&evaluation->arena, unconstify(int32_t *, relevant.items));
	arena_release(&evaluation->arena, unconstify(int32_t *, masked.items));
}

/* By the embeddings and what links add to their product. */
static void
measure_direct(Evaluation *evaluation, const Vectors *queries, const Vectors *objects)
{
	const StoredDirect *direct = evaluation->direct;
	Lists		relevant = user_lists(evaluation, &evaluation->held_out);
	size_t		places = (size_t) queries->count * evaluation->k;
	int32_t    *top = arena_allocate(&evaluation->arena, places, sizeof(int32_t));
	double	   *scores = arena_doubles(&evaluation->arena, places);
	Graph		links;
	DirectRanking ranking = {
		.term = &direct->term, .users = *queries, .objects = *objects, .links = &links,
		.excluded = direct->predicted
	};

	check_core(evaluation);
	stored_direct_links(direct, &evaluation->arena, &evaluation->users, &evaluation->objects, &links);
	ranking.object_numbers = stored_direct_objects(direct, &evaluation->arena, &evaluation->objects);
	direct_term_top(evaluation->core, &ranking, 0, (int32_t) queries->count, evaluation->k, top, scores);
	check_core(evaluation);
	ranking_quality(queries->count, evaluation->k, top, &relevant, &evaluation->quality);
}

/* By the embeddings: the plain dot product, and what links add to it. */
static void
measure_embeddings(Evaluation *evaluation)
{
	Vectors		queries = {evaluation->users.count, evaluation->user_vectors->width,
	evaluation->user_vectors->values};
	Vectors		objects = {evaluation->objects.count, evaluation->object_vectors->width,
	evaluation->object_vectors->values};

	if (queries.width != objects.width)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("user and object embeddings of graph \"%s\" differ in length",
						evaluation->definition->name),
				 errdetail("They have %d and %d numbers.", queries.width, objects.width),
				 errhint("SELECT * FROM behavpred.train_graph(%s);",
						 quote_literal_cstr(evaluation->definition->name))));
	if (evaluation->direct != NULL)
		measure_direct(evaluation, &queries, &objects);
	else
		measure(evaluation, &queries, &objects, &evaluation->quality);
}

/* Users of each object while they are read. */
typedef struct PopularityReading
{
	const Evaluation *evaluation;
	Oid			object_type;
	float	   *degrees;
} PopularityReading;

/* Row function: object, users. */
static void
keep_popularity(void *argument, Datum *values, bool *nulls)
{
	PopularityReading *reading = argument;
	Key			key;
	int32		object;

	if (nulls[0])
		return;
	key = key_from_datum(reading->object_type, values[0]);
	object = dictionary_find(&reading->evaluation->objects, &key);
	if (object >= 0)
		reading->degrees[object] = (float) DatumGetInt64(values[1]);
}

/* Stored degrees are of all behaviours: where some are not to be predicted, the others are counted. */
static void
count_predicted(const Evaluation *evaluation, float *degrees)
{
	const GraphDefinition *definition = evaluation->definition;
	Oid			relation = source_relation(definition->interactions, definition->apply_row_security);
	PopularityReading reading = {
		.evaluation = evaluation, .degrees = degrees,
		.object_type = source_key_column(relation, definition->object_column, "the graph")
	};
	char	   *query;
	int			n;
	Oid		   *types;
	Datum	   *values;

	memset(degrees, 0, evaluation->objects.count * sizeof(float));
	query = graph_filtered_query(definition, psprintf("%s, pg_catalog.count(DISTINCT %s)",
													  quote_identifier(definition->object_column),
													  quote_identifier(definition->user_column)), NULL, &n, &types, &values);
	source_read(definition->apply_row_security, psprintf("%s GROUP BY 1", query), n, types, values, keep_popularity, &reading);
}

/* By popularity: the same list for everybody, the user's own interactions left out. */
static void
measure_popularity(Evaluation *evaluation)
{
	int32		n_users = evaluation->users.count;
	int32		n_objects = evaluation->objects.count;
	float	   *ones = arena_floats(&evaluation->arena, n_users);
	float	   *degrees = arena_floats(&evaluation->arena, n_objects);

	check_core(evaluation);
	for (int32 i = 0; i < n_users; i++)
		ones[i] = 1;
	for (int32 i = 0; i < n_objects; i++)
		degrees[i] = evaluation->object_vectors->degrees[i];
	if (evaluation->definition->behavior_weights != NULL)
		count_predicted(evaluation, degrees);
	measure(evaluation, &(Vectors) {n_users, 1, ones}, &(Vectors) {n_objects, 1, degrees},
			&evaluation->popularity);
}

/* The OUT arguments. */
static Datum
evaluation_result(FunctionCallInfo fcinfo, const Evaluation *evaluation, TimestampTz started_at)
{
	const RankingQuality *quality = &evaluation->quality;
	Datum		values[] = {
		Int64GetDatum(quality->users),
		Int64GetDatum(evaluation->held_out.n_edges),
		Int64GetDatum(evaluation->pairs - evaluation->held_out.n_edges),
		Float8GetDatum(quality->recall),
		Float8GetDatum(quality->recall_error),
		Float8GetDatum(quality->ndcg),
		Float8GetDatum(quality->ndcg_error),
		Float8GetDatum(quality->precision),
		Float8GetDatum(quality->hit_rate),
		Float8GetDatum(evaluation->popularity.recall),
		Float8GetDatum(evaluation->popularity.ndcg),
		Float8GetDatum((GetCurrentTimestamp() - started_at) / (double) USECS_PER_SEC)
	};
	bool		nulls[lengthof(values)] = {false};

	return result_record(fcinfo, values, nulls);
}

/* evaluate_graph(graph, held_out, k, threads) */
Datum
behavpred_evaluate_graph(PG_FUNCTION_ARGS)
{
	TimestampTz started_at = GetCurrentTimestamp();
	Evaluation	evaluation = {.k = k_argument(fcinfo, ARG_K, LARGEST_K, "Leave it out for 20.")};
	char	   *name;
	Datum		result;

	if (PG_ARGISNULL(ARG_GRAPH) || PG_ARGISNULL(ARG_HELD_OUT))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("graph and held_out must not be NULL"),
				 errhint("SELECT * FROM behavpred.evaluate_graph('shop', 'held_out_events');")));
	name = text_to_cstring(PG_GETARG_TEXT_PP(ARG_GRAPH));
	graph_definition_for(name, PRIVILEGE_READ);
	evaluation.definition = graph_definition_trained(name);
	evaluation.direct = stored_direct_read(evaluation.definition);
	evaluation.core = bridge_open(threads_argument(fcinfo, ARG_THREADS));
	bridge_show(evaluation.core, name, NULL);
	arena_open(&evaluation.arena, evaluation.core);
	load_evaluation(&evaluation, PG_GETARG_OID(ARG_HELD_OUT));
	measure_embeddings(&evaluation);
	measure_popularity(&evaluation);
	result = evaluation_result(fcinfo, &evaluation, started_at);
	bridge_close(evaluation.core);
	return result;
}
