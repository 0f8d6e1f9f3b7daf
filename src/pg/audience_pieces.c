/*
 * audience_pieces.c
 *		The best users of a target where the embeddings lie in partitions or on other servers.
 *
 * One statement asks every piece for its best users; a foreign piece scores, filters, sorts
 * and cuts on its own server, several at a time, and sends no more users than are wanted.
 * All of them, merged, are the best of all.
 *
 * A piece cuts users of equal logits as it likes, while an audience orders them by key.  So one
 * user more than wanted is asked for: when he ties with the last, a second statement
 * asks for all from that logit on.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "parser/parse_func.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"

#include "pg/audience_pieces.h"
#include "pg/keys.h"
#include "pg/model_value.h"
#include "pg/placement.h"
#include "pg/source.h"

#define KEYS_PER_LOOK 4096		/* copied between two looks for an interrupt */

/* The parameters of all statements. */
enum
{
	PIECE_MODEL, PIECE_PROBABILITY, PIECE_LOGIT, PIECE_LIMIT, PIECE_KNOWN, PIECE_PARAMETERS
};

typedef struct Pieces
{
	const AudienceRequest *request;
	Audience   *audience;
	List	   *relations;
	char	   *conditions;		/* WHERE, of every piece */
	Oid			types[PIECE_PARAMETERS];
	Datum		values[PIECE_PARAMETERS];
	int64		candidates;		/* not left out */
} Pieces;

/* The keys of a dictionary as an array. */
static Datum
known_array(const Dictionary *known, Oid type)
{
	Datum	   *elements = palloc_extended(Max(known->count, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	int16		length;
	bool		by_value;
	char		align;

	for (int32 i = 0; i < known->count; i++)
	{
		Key			key = dictionary_key(known, i);

		if (i % KEYS_PER_LOOK == 0)
			CHECK_FOR_INTERRUPTS();
		elements[i] = key_to_datum(type, &key);
	}
	get_typlenbyvalalign(type, &length, &by_value, &align);
	return PointerGetDatum(construct_array(elements, known->count, type, length, by_value, align));
}

/* The least probability that both conditions allow; rounding is left to the exact look at the end. */
static double
least_probability(const Pieces *pieces)
{
	const AudienceRequest *request = pieces->request;

	return Max(request->min_probability,
			   request->min_lift * pieces->audience->student->base_rate * (1 - 1e-12));
}

/* Who is a candidate, in SQL. */
static char *
candidate_conditions(const Pieces *pieces, const Dictionary *known)
{
	const GraphDefinition *graph = pieces->audience->graph;
	const char *column = quote_identifier(graph->user_column);
	StringInfoData conditions;

	initStringInfo(&conditions);
	appendStringInfo(&conditions, " WHERE %s IS NOT NULL AND embedding IS NOT NULL", column);
	if (pieces->request->candidates != NULL)
		appendStringInfo(&conditions, " AND %s", target_candidates_condition(graph, pieces->request->candidates));
	if (known != NULL && known->count > 0)
		appendStringInfo(&conditions, " AND %s OPERATOR(pg_catalog.<>) ALL ($%d)", column, PIECE_KNOWN + 1);
	return conditions.data;
}

static void
set_parameter(Pieces *pieces, int parameter, Oid type, Datum value)
{
	pieces->types[parameter] = type;
	pieces->values[parameter] = value;
}

static Pieces
open_pieces(const AudienceRequest *request, Audience *audience, const Dictionary *known)
{
	Oid			key_type = audience->graph->user_key_type;
	Pieces		pieces = {
		.request = request, .audience = audience,
		.relations = relation_pieces(relation_from_text(audience->graph->user_embeddings))
	};

	pieces.conditions = candidate_conditions(&pieces, known);
	set_parameter(&pieces, PIECE_MODEL, model_type_oid(), PointerGetDatum(model_from_student(audience->student)));
	set_parameter(&pieces, PIECE_PROBABILITY, FLOAT8OID, Float8GetDatum(least_probability(&pieces)));
	set_parameter(&pieces, PIECE_LOGIT, FLOAT8OID, Float8GetDatum(0));
	set_parameter(&pieces, PIECE_LIMIT, INT8OID, Int64GetDatum(0));
	set_parameter(&pieces, PIECE_KNOWN, get_array_type(key_type),
				  known == NULL ? PointerGetDatum(construct_empty_array(key_type)) : known_array(known, key_type));
	return pieces;
}

/* Run "SELECT <select> FROM piece <conditions> <rest>" over all pieces as one statement. */
static void
read_pieces(Pieces *pieces, const char *select, const char *rest, RowFunction function)
{
	source_read(pieces->audience->graph->apply_row_security,
				pieces_query(pieces->relations, select, psprintf("%s%s", pieces->conditions, rest)),
				PIECE_PARAMETERS, pieces->types, pieces->values, function, pieces);
}

/* Row function: the candidates of a piece. */
static void
add_count(void *argument, Datum *values, bool *nulls)
{
	Pieces	   *pieces = argument;

	pieces->candidates += DatumGetInt64(values[0]);
}

/* Nobody was found: because no candidate has an embedding? */
static void
look_for_candidates(const AudienceRequest *request, Audience *audience)
{
	Pieces		pieces = open_pieces(request, audience, NULL);

	read_pieces(&pieces, "pg_catalog.count(*)", "", add_count);
	if (pieces.candidates == 0)
		warn_no_candidate(audience->graph, request->candidates);
}

/* How many users are wanted, 0 = all that the conditions allow. */
static int64
wanted_users(Pieces *pieces)
{
	if (pieces->request->fraction > 0)
		read_pieces(pieces, "pg_catalog.count(*)", "", add_count);
	return audience_limit(pieces->request, pieces->candidates);
}

/* Row function: one of the best users of a piece. */
static void
take_user(void *argument, Datum *values, bool *nulls)
{
	Pieces	   *pieces = argument;
	Audience   *audience = pieces->audience;
	Key			key = key_from_datum(audience->key_type, values[0]);

	if (audience_admits(pieces->request, audience, DatumGetFloat8(values[1])))
		selection_add(&audience->selection, &key, DatumGetFloat8(values[1]));
}

/*
 * Let a foreign piece sort and cut by itself: from a long list of users who are left out the planner
 * would conclude that hardly any are left, and fetch them all to sort them here.
 */
static int
avoid_sorting(void)
{
	int			level = NewGUCNestLevel();

	set_config_option("enable_sort", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
	return level;
}

/* The best users of each piece; `limit` of each when it is above 0, else from `logit` on. */
static void
read_best(Pieces *pieces, int64 limit, double logit)
{
	static const char call[] = "behavpred.logit($1, embedding)";
	Audience   *audience = pieces->audience;
	StringInfoData rest;
	int			level;

	initStringInfo(&rest);
	if (DatumGetFloat8(pieces->values[PIECE_PROBABILITY]) > 0)
		appendStringInfo(&rest, " AND behavpred.score($1, embedding) OPERATOR(pg_catalog.>=) $%d",
						 PIECE_PROBABILITY + 1);
	if (limit > 0)
		appendStringInfo(&rest, " ORDER BY %s DESC LIMIT $%d", call, PIECE_LIMIT + 1);
	else
		appendStringInfo(&rest, " AND %s OPERATOR(pg_catalog.>=) $%d", call, PIECE_LOGIT + 1);
	pieces->values[PIECE_LIMIT] = Int64GetDatum(limit);
	pieces->values[PIECE_LOGIT] = Float8GetDatum(logit);
	selection_open(&audience->selection, &audience->arena, key_kind(audience->key_type), limit);
	level = avoid_sorting();
	read_pieces(pieces, psprintf("%s, %s", quote_identifier(audience->graph->user_column), call), rest.data,
				take_user);
	AtEOXact_GUC(true, level);
	selection_finish(&audience->selection, limit);
}

/* See audience_pieces.h.  A database whose extension is of an older version has no logit(). */
bool
audience_has_pieces(const Audience *audience)
{
	List	   *name = list_make2(makeString("behavpred"), makeString("logit"));
	Oid			types[] = {model_type_oid(), FLOAT4ARRAYOID};

	return relation_is_spread(relation_from_text(audience->graph->user_embeddings)) &&
		OidIsValid(LookupFuncName(name, lengthof(types), types, true));
}

/* See audience_pieces.h. */
bool
audience_pieces_send_less(const AudienceRequest *request, Audience *audience, int n_targets)
{
	Pieces		pieces = open_pieces(request, audience, NULL);

	read_pieces(&pieces, "pg_catalog.count(*)", "", add_count);
	return (double) n_targets * (request->size + 1) * list_length(pieces.relations) < pieces.candidates;
}

/* See audience_pieces.h. */
void
audience_merge_pieces(const AudienceRequest *request, Audience *audience, const Dictionary *known)
{
	Pieces		pieces = open_pieces(request, audience, known);
	Selection  *selection = &audience->selection;
	int64		wanted = wanted_users(&pieces);

	read_best(&pieces, wanted > 0 ? wanted + 1 : 0, -get_float8_infinity());
	if (wanted > 0 && selection->n > wanted && selection->entries[wanted].score == selection->entries[wanted - 1].score)
		read_best(&pieces, 0, selection->entries[wanted].score);
	selection_finish(selection, wanted);
	if (selection->n == 0 && request->candidates != NULL)
		look_for_candidates(request, audience);
}
