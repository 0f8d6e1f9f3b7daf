/*
 * audience_selection.c
 *		The users of a target that are most likely to do it.
 *
 * The candidates' embeddings stream by; panels of them are scored by the core, and the
 * best are kept.  Users are ordered by the raw logit: an isotonic calibration has steps,
 * on which probabilities tie but users do not.
 */
#include "postgres.h"

#include <float.h>

#include "utils/builtins.h"

#include "pg/audience_pieces.h"
#include "pg/audience_selection.h"
#include "pg/bridge.h"
#include "pg/deployed_model.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"
#include "pg/model_cache.h"
#include "pg/reader.h"

#define PANEL_USERS 4096
#define DEFAULT_SIZE 1000

/* The arguments that follow target (and destination), in order. */
enum
{
	ARG_SIZE, ARG_FRACTION, ARG_MIN_PROBABILITY, ARG_MIN_LIFT, ARG_EXCLUDE_KNOWN, ARG_CANDIDATES, ARG_THREADS
};

/* Complain about a condition; `example` is a value that it may have. */
static void
refuse_argument(const char *name, double value, const char *range, const char *example)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s is %g", name, value),
			 errdetail("It must be %s.", range),
			 errhint("For example: SELECT * FROM behavpred.audience('buys_42', %s => %s);", name, example)));
}

/* A float8 argument in (0, high] or [0, high]; 0 when it is NULL. */
static double
limit_argument(FunctionCallInfo fcinfo, int argument, const char *name, bool above_zero, double high,
			   const char *range, const char *example)
{
	double		value;

	if (PG_ARGISNULL(argument))
		return 0;
	value = PG_GETARG_FLOAT8(argument);
	if (!(above_zero ? value > 0 : value >= 0) || !(value <= high))
		refuse_argument(name, value, range, example);
	return value;
}

/* See audience_selection.h. */
AudienceRequest
audience_conditions(FunctionCallInfo fcinfo, int first)
{
	AudienceRequest request = {0};

	if (!PG_ARGISNULL(first + ARG_SIZE))
	{
		request.size = PG_GETARG_INT64(first + ARG_SIZE);
		if (request.size < 1)
			refuse_argument("size", request.size, "at least 1", "1000");
	}
	request.fraction = limit_argument(fcinfo, first + ARG_FRACTION, "fraction", true, 1, "above 0 and at most 1",
									  "0.01");
	request.min_probability = limit_argument(fcinfo, first + ARG_MIN_PROBABILITY, "min_probability", false, 1,
											 "from 0 to 1", "0.5");
	request.min_lift = limit_argument(fcinfo, first + ARG_MIN_LIFT, "min_lift", false, DBL_MAX, "from 0 on", "2");
	request.exclude_known = PG_ARGISNULL(first + ARG_EXCLUDE_KNOWN) || PG_GETARG_BOOL(first + ARG_EXCLUDE_KNOWN);
	if (!PG_ARGISNULL(first + ARG_CANDIDATES))
		request.candidates = relation_qualified_name(PG_GETARG_OID(first + ARG_CANDIDATES));
	if (PG_ARGISNULL(first + ARG_SIZE) && PG_ARGISNULL(first + ARG_FRACTION) &&
		PG_ARGISNULL(first + ARG_MIN_PROBABILITY) && PG_ARGISNULL(first + ARG_MIN_LIFT))
		request.size = DEFAULT_SIZE;
	return request;
}

/* See audience_selection.h. */
AudienceRequest
audience_arguments(FunctionCallInfo fcinfo, int first)
{
	AudienceRequest request;
	TargetDefinition *target;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("target must not be NULL"),
				 errhint("SELECT * FROM behavpred.audience('buys_42', size => 1000);")));
	target = target_definition_for(text_to_cstring(PG_GETARG_TEXT_PP(0)), PRIVILEGE_READ);
	request = audience_conditions(fcinfo, first);
	request.target = target;
	if (request.candidates == NULL)
		request.candidates = target->candidates;
	request.threads = threads_argument(fcinfo, first + ARG_THREADS);
	return request;
}

/* Rows that wait to be scored together. */
typedef struct Scoring
{
	const AudienceRequest *request;
	Audience   *audience;
	Dictionary	known;
	bool		any;			/* has any candidate come? */
	int64		candidates;		/* not left out */
	int			n;				/* in the panel */
	float	   *vectors;
	double	   *logits;
	Selection	panel;			/* their keys */
} Scoring;

static void
check_core(const Scoring *scoring)
{
	bridge_check(scoring->audience->core, "scoring target \"%s\"", scoring->request->target->name);
}

/* UserFunction: remember one who is known to do it. */
static void
remember_user(void *argument, const Key *key)
{
	Scoring    *scoring = argument;

	dictionary_add(&scoring->known, key);
	check_core(scoring);
}

/* See audience_selection.h. */
double
audience_probability(const Audience *audience, const ScoredKey *entry, double *lift)
{
	double		probability = student_probability(audience->student, entry->score);

	*lift = probability / audience->student->base_rate;
	return probability;
}

/* See audience_selection.h. */
bool
audience_admits(const AudienceRequest *request, const Audience *audience, double logit)
{
	ScoredKey	entry = {.score = logit};
	double		lift;

	return audience_probability(audience, &entry, &lift) >= request->min_probability && lift >= request->min_lift;
}

/* Score the panel and keep those above the thresholds. */
static void
score_panel(Scoring *scoring)
{
	Audience   *audience = scoring->audience;

	student_logits(audience->core, audience->student, scoring->vectors, scoring->n, scoring->logits);
	check_core(scoring);
	for (int i = 0; i < scoring->n; i++)
	{
		ScoredKey  *entry = &scoring->panel.entries[i];
		Key			key = selection_key(&scoring->panel, entry);

		entry->score = scoring->logits[i];
		if (audience_admits(scoring->request, audience, entry->score))
			selection_add(&audience->selection, &key, entry->score);
	}
	scoring->n = 0;
	scoring->panel.n = 0;
	scoring->panel.pool_used = 0;
}

/* Row function: key, embedding, degree of one candidate. */
static void
take_candidate(void *argument, Datum *values, bool *nulls)
{
	Scoring    *scoring = argument;
	const float *vector;
	int			width;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	scoring->any = true;
	key = key_from_datum(scoring->audience->key_type, values[0]);
	if (scoring->request->exclude_known && dictionary_find(&scoring->known, &key) >= 0)
		return;
	vector = embedding_from_datum(values[1], &width);
	model_check_vector(scoring->audience->student, vector, width);
	memcpy(scoring->vectors + (size_t) scoring->n * width, vector, width * sizeof(float));
	selection_add(&scoring->panel, &key, 0);
	scoring->candidates++;
	if (++scoring->n == PANEL_USERS)
		score_panel(scoring);
}

static void
open_scoring(Scoring *scoring)
{
	Audience   *audience = scoring->audience;
	KeyKind		kind = key_kind(audience->key_type);
	int64		limit = scoring->request->fraction > 0 ? 0 : scoring->request->size;

	dictionary_open(&scoring->known, &audience->arena, kind);
	scoring->vectors = arena_floats(&audience->arena, (size_t) PANEL_USERS * audience->student->widths[0]);
	scoring->logits = arena_doubles(&audience->arena, PANEL_USERS);
	check_core(scoring);
	selection_open(&scoring->panel, &audience->arena, kind, 0);
	selection_open(&audience->selection, &audience->arena, kind, limit);
}

/* See audience_selection.h. */
int64
audience_limit(const AudienceRequest *request, int64 candidates)
{
	int64		limit = request->size;

	if (request->fraction > 0)
	{
		int64		share = (int64) (request->fraction * candidates + 0.5);

		share = Max(share, 1);
		limit = limit == 0 ? share : Min(limit, share);
	}
	return limit;
}

/* See audience_selection.h. */
void
audience_open(const AudienceRequest *request, Audience *audience)
{
	DeployedModel *deployed = deployed_model_read(request->target->name);

	audience->graph = graph_definition_trained(request->target->graph);
	audience->key_type = deployed->user_key_type;
	audience->student = deployed->student;
	audience->core = bridge_open(request->threads);
	bridge_show(audience->core, audience->graph->name, request->target->name);
	arena_open(&audience->arena, audience->core);
}

/* See audience_selection.h. */
void
audience_select(const AudienceRequest *request, Audience *audience)
{
	Scoring		scoring = {.request = request, .audience = audience};

	open_scoring(&scoring);
	if (request->exclude_known)
		target_known_users(request->target, audience->graph, remember_user, &scoring);
	if (audience_has_pieces(audience))
	{
		audience_merge_pieces(request, audience, request->exclude_known ? &scoring.known : NULL);
		return;
	}
	source_read(audience->graph->apply_row_security, target_candidates_query(audience->graph, request->candidates),
				0, NULL, NULL, take_candidate, &scoring);
	score_panel(&scoring);
	if (request->candidates != NULL && !scoring.any)
		warn_no_candidate(audience->graph, request->candidates);
	selection_finish(&audience->selection, audience_limit(request, scoring.candidates));
}

/* See audience_selection.h. */
void
audience_close(Audience *audience)
{
	bridge_close(audience->core);
}
