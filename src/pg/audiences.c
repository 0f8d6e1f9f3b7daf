/*
 * audiences.c
 *		audiences(): the best users of many targets, from one reading of the embeddings.
 *
 * Targets of one graph that choose among the same candidates are scored together, a panel of
 * users for all of their models at once; where the embeddings lie in partitions or on other servers, each
 * of these is asked for the best users of one target after another, if it sends fewer then.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "core/top_users.h"
#include "pg/audience_pieces.h"
#include "pg/bridge.h"
#include "pg/deployed_model.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"
#include "pg/model_cache.h"
#include "pg/result_rows.h"
#include "pg/target_members.h"

PG_FUNCTION_INFO_V1(behavpred_audiences);

/* Its arguments, by position. */
enum
{
	ARG_TARGETS, ARG_SIZE, ARG_EXCLUDE_KNOWN, ARG_CANDIDATES, ARG_THREADS
};

#define PANEL_NUMBERS (8 << 20)	/* 32 megabytes of vectors */
#define LEAST_PANEL_USERS 8192
#define DEFAULT_SIZE 1000
#define BATCH_USERS 256			/* looked up together, so that one need not wait for the other */
#define PREFETCH_USERS 8

/* One target with its model and, at the end, its users. */
typedef struct AudienceTarget
{
	TargetDefinition *definition;
	DeployedModel *deployed;
	int64		n;
	char	  **keys;
	double	   *scores;
} AudienceTarget;

/* Targets that are scored together. */
typedef struct AudienceGroup
{
	Core	   *core;
	Arena		arena;
	GraphDefinition *graph;
	const char *candidates;
	bool		exclude_known;
	int64		size;
	int			n;
	AudienceTarget **targets;
	const Student **models;
	TargetMembers members;		/* who is left out ... */
	Lists		excluded;		/* ... and of which targets */
	Dictionary	keys;			/* of all candidates: a list, nothing is looked for */
	TopUsers	top;
	Vectors		panel;
	int64		panel_users;	/* that fit in it */
	float	   *vectors;		/* of the panel */
	int32	   *numbers;		/* of the panel's users among the known */
} AudienceGroup;

static void
check_core(const AudienceGroup *group)
{
	bridge_check(group->core, "scoring %d targets of graph \"%s\"", group->n, group->graph->name);
}

/* Look up who of the panel's users, of whom this is the first, is known. */
static void
find_known(AudienceGroup *group, int64 first)
{
	Key			keys[BATCH_USERS];

	for (int64 begin = 0; begin < group->panel.count; begin += BATCH_USERS)
	{
		int			n = (int) Min(BATCH_USERS, group->panel.count - begin);

		for (int i = 0; i < n; i++)
			keys[i] = dictionary_key(&group->keys, (int32) (first + begin + i));
		dictionary_find_many(&group->members.known, keys, n, group->numbers + begin);
	}
}

/* Rank the users of the panel. */
static void
rank_panel(AudienceGroup *group)
{
	int64		first = group->keys.count - group->panel.count;

	find_known(group, first);
	core_start_workers(group->core);
	top_users_add(&group->top, &group->panel, first, group->numbers);
	core_stop_workers(group->core);
	check_core(group);
	group->panel.count = 0;
}

/* Row function: key, embedding, degree of one candidate. */
static void
take_candidate(void *argument, Datum *values, bool *nulls)
{
	AudienceGroup *group = argument;
	const float *vector;
	int			width;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(group->graph->user_key_type, values[0]);
	vector = embedding_from_datum(values[1], &width);
	model_check_vector(group->models[0], vector, width);
	dictionary_append(&group->keys, &key);
	check_core(group);
	memcpy(group->vectors + group->panel.count++ * width, vector, width * sizeof(float));
	if (group->panel.count == group->panel_users)
		rank_panel(group);
}

/* Who did it already, for all targets at once. */
static void
read_members(AudienceGroup *group)
{
	TargetMembers *members = &group->members;
	TargetDefinition **definitions = palloc(group->n * sizeof(TargetDefinition *));

	target_members_open(members, &group->arena, group->graph, group->n);
	for (int t = 0; t < group->n && group->exclude_known; t++)
	{
		definitions[t] = group->targets[t]->definition;
		if (definitions[t]->seeds != NULL)
			target_members_add_seeds(members, t, definitions[t]->seeds);
	}
	if (group->exclude_known)
		target_members_add_actors(members, definitions);
	target_members_finish(members);
}

/* For each known user the targets that leave him out, ascending: so the pairs come. */
static void
list_excluded(AudienceGroup *group)
{
	const TargetMembers *members = &group->members;
	int64	   *starts = arena_allocate_zeroed(&group->arena, members->known.count + 2, sizeof(int64));
	int32	   *items = arena_allocate(&group->arena, members->n_pairs, sizeof(int32));

	check_core(group);
	for (int64 pair = 0; pair < members->n_pairs; pair++)
		starts[target_member_user(members, pair) + 2]++;
	for (int64 user = 0; user < members->known.count; user++)
		starts[user + 2] += starts[user + 1];
	for (int64 pair = 0; pair < members->n_pairs; pair++)
		items[starts[target_member_user(members, pair) + 1]++] = target_member_target(members, pair);
	group->excluded = (Lists) {starts, items};
}

/* Row function: a number. */
static void
keep_count(void *argument, Datum *values, bool *nulls)
{
	*(int64 *) argument = DatumGetInt64(values[0]);
}

/* No list need be longer than there are candidates; short ones are not worth the counting. */
static void
limit_size(AudienceGroup *group)
{
	int64		candidates = 0;

	if (group->size <= DEFAULT_SIZE)
		return;
	source_read(group->graph->apply_row_security,
				psprintf("SELECT pg_catalog.count(*) FROM (%s) AS candidates",
						 target_candidates_query(group->graph, group->candidates)),
				0, NULL, NULL, keep_count, &candidates);
	group->size = Min(group->size, Max(candidates, 1));
}

/* What both ways need. */
static void
open_group(AudienceGroup *group, int threads)
{
	group->graph = graph_definition_trained(group->targets[0]->definition->graph);
	group->core = bridge_open(threads);
	arena_open(&group->arena, group->core);
	group->models = palloc(group->n * sizeof(Student *));
	for (int t = 0; t < group->n; t++)
		group->models[t] = group->targets[t]->deployed->student;
	read_members(group);
}

/* The panel, and lists of the best. */
static void
open_panel(AudienceGroup *group)
{
	int			width = group->models[0]->widths[0];

	list_excluded(group);
	limit_size(group);
	dictionary_open(&group->keys, &group->arena, key_kind(group->graph->user_key_type));
	group->panel_users = Max(PANEL_NUMBERS / width, LEAST_PANEL_USERS);
	group->vectors = arena_floats(&group->arena, (size_t) group->panel_users * width);
	group->numbers = arena_allocate(&group->arena, group->panel_users, sizeof(int32));
	group->panel = (Vectors) {0, width, group->vectors};
	top_users_open(&group->top, group->core, &group->arena, group->n, group->models, group->size, &group->keys,
				   &group->excluded);
	check_core(group);
}

/* Room for the users of one target, out of the group's memory. */
static void
reserve_users(AudienceTarget *target, int64 n)
{
	target->n = n;
	target->keys = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(char *));
	target->scores = MemoryContextAllocHuge(CurrentMemoryContext, Max(n, 1) * sizeof(double));
}

/* Copy the users of one target. */
static void
keep_users(const AudienceGroup *group, int number)
{
	AudienceTarget *target = group->targets[number];
	const TopList *list = &group->top.lists[number];

	reserve_users(target, list->n);
	for (int64 i = 0; i < list->n; i++)
	{
		Key			key = dictionary_key(&group->keys, (int32) list->users[i].user);

		if (i + PREFETCH_USERS < list->n)
			dictionary_prefetch(&group->keys, (int32) list->users[i + PREFETCH_USERS].user);
		target->keys[i] = key_to_text(group->graph->user_key_type, &key);
		target->scores[i] = list->users[i].score;
	}
}

/* From one reading of all. */
static void
select_from_all(AudienceGroup *group)
{
	open_panel(group);
	source_read(group->graph->apply_row_security, target_candidates_query(group->graph, group->candidates),
				0, NULL, NULL, take_candidate, group);
	rank_panel(group);
	if (group->candidates != NULL && group->keys.count == 0)
		warn_no_candidate(group->graph, group->candidates);
	core_start_workers(group->core);
	top_users_finish(&group->top);
	core_stop_workers(group->core);
	check_core(group);
	for (int t = 0; t < group->n; t++)
		keep_users(group, t);
}

/* One target as audience() would ask for it. */
static AudienceRequest
piece_request(const AudienceGroup *group, int number)
{
	return (AudienceRequest) {
		.target = group->targets[number]->definition, .size = group->size, .exclude_known = group->exclude_known,
		.candidates = group->candidates == NULL ? NULL : pstrdup(group->candidates)
	};
}

static Audience
piece_audience(const AudienceGroup *group, int number)
{
	return (Audience) {
		.core = group->core, .graph = group->graph, .key_type = group->targets[number]->deployed->user_key_type,
		.student = group->models[number]
	};
}

/* The best users of one target, from every piece its own. */
static void
select_from_pieces(AudienceGroup *group, int number)
{
	AudienceTarget *target = group->targets[number];
	const TargetMembers *members = &group->members;
	AudienceRequest request = piece_request(group, number);
	Audience	audience = piece_audience(group, number);
	Dictionary	known;

	arena_open(&audience.arena, group->core);
	dictionary_open(&known, &audience.arena, key_kind(audience.key_type));
	check_core(group);
	for (int64 pair = members->starts[number]; pair < members->starts[number + 1]; pair++)
	{
		Key			key = dictionary_key(&members->known, target_member_user(members, pair));

		dictionary_add(&known, &key);
		check_core(group);
	}
	audience_merge_pieces(&request, &audience, &known);
	reserve_users(target, audience.selection.n);
	for (int64 i = 0; i < target->n; i++)
	{
		Key			key = selection_key(&audience.selection, &audience.selection.entries[i]);

		target->keys[i] = key_to_text(audience.key_type, &key);
		target->scores[i] = audience.selection.entries[i].score;
	}
	arena_close(&audience.arena);
}

/* Should the pieces be asked? */
static bool
asks_pieces(const AudienceGroup *group)
{
	AudienceRequest request = piece_request(group, 0);
	Audience	audience = piece_audience(group, 0);

	return audience_has_pieces(&audience) && audience_pieces_send_less(&request, &audience, group->n);
}

/* The users of each target of the group. */
static void
select_group(AudienceGroup *group, int threads)
{
	open_group(group, threads);
	if (asks_pieces(group))
		for (int t = 0; t < group->n; t++)
			select_from_pieces(group, t);
	else
		select_from_all(group);
	bridge_close(group->core);
}

/* ---- arguments and result ----------------------------------------------------------------- */

/* The targets that the argument names, with their models. */
static AudienceTarget *
read_targets(FunctionCallInfo fcinfo, int *n)
{
	Datum	   *elements;
	bool	   *nulls;
	AudienceTarget *targets;

	if (PG_ARGISNULL(ARG_TARGETS))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("targets must not be NULL"),
				 errhint("SELECT * FROM behavpred.audiences('{buys_42,vip}', size => 1000);")));
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(ARG_TARGETS), TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, n);
	targets = palloc0(Max(*n, 1) * sizeof(AudienceTarget));
	for (int t = 0; t < *n; t++)
	{
		if (nulls[t])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("targets has a NULL at place %d", t + 1),
					 errhint("Name each target.")));
		targets[t].definition = target_definition_for(TextDatumGetCString(elements[t]), PRIVILEGE_READ);
		targets[t].deployed = deployed_model_read(targets[t].definition->name);
	}
	return targets;
}

/* The size that is asked for. */
static int64
size_argument(FunctionCallInfo fcinfo)
{
	int64		size = PG_ARGISNULL(ARG_SIZE) ? DEFAULT_SIZE : PG_GETARG_INT64(ARG_SIZE);

	if (size < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("size is " INT64_FORMAT, size),
				 errdetail("It must be at least 1."),
				 errhint("For example: SELECT * FROM behavpred.audiences('{buys_42,vip}', size => 1000);")));
	return size;
}

static bool
belong_together(const AudienceTarget *a, const AudienceTarget *b, bool same_candidates)
{
	const char *x = a->definition->candidates;
	const char *y = b->definition->candidates;

	return strcmp(a->definition->graph, b->definition->graph) == 0 &&
		(same_candidates || (x == NULL || y == NULL ? x == y : strcmp(x, y) == 0));
}

/* Select for the target of this number and all later ones that are scored with it. */
static void
select_from(AudienceTarget *targets, int n, int first, const AudienceGroup *request, bool *done, int threads)
{
	AudienceGroup group = *request;

	group.targets = palloc(n * sizeof(AudienceTarget *));
	for (int t = first; t < n; t++)
		if (!done[t] && belong_together(&targets[first], &targets[t], request->candidates != NULL))
		{
			done[t] = true;
			group.targets[group.n++] = &targets[t];
		}
	if (group.candidates == NULL)
		group.candidates = targets[first].definition->candidates;
	select_group(&group, threads);
}

/* The users of one target as rows. */
static void
return_users(ResultRows *rows, const AudienceTarget *target)
{
	const Student *student = target->deployed->student;
	Datum		name = CStringGetTextDatum(target->definition->name);

	for (int64 i = 0; i < target->n; i++)
	{
		double		probability = student_probability(student, target->scores[i]);
		Datum		key = CStringGetTextDatum(target->keys[i]);
		Datum		values[] = {
			name, Int64GetDatum(i + 1), key, Float8GetDatum(probability),
			Float8GetDatum(probability / student->base_rate)
		};

		result_rows_add(rows, values, NULL);
		pfree(DatumGetPointer(key));
		pfree(target->keys[i]);
	}
}

/* audiences(targets, size, exclude_known, candidates, threads) */
Datum
behavpred_audiences(PG_FUNCTION_ARGS)
{
	AudienceGroup request = {
		.size = size_argument(fcinfo),
		.exclude_known = PG_ARGISNULL(ARG_EXCLUDE_KNOWN) || PG_GETARG_BOOL(ARG_EXCLUDE_KNOWN)
	};
	ResultRows	rows = result_rows_open(fcinfo);
	int			threads = threads_argument(fcinfo, ARG_THREADS);
	AudienceTarget *targets;
	bool	   *done;
	int			n;

	if (!PG_ARGISNULL(ARG_CANDIDATES))
		request.candidates = relation_qualified_name(PG_GETARG_OID(ARG_CANDIDATES));
	targets = read_targets(fcinfo, &n);
	done = palloc0(Max(n, 1) * sizeof(bool));
	for (int t = 0; t < n; t++)
		if (!done[t])
			select_from(targets, n, t, &request, done, threads);
	for (int t = 0; t < n; t++)
		return_users(&rows, &targets[t]);
	return (Datum) 0;
}
