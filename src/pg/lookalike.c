/*
 * lookalike.c
 *		lookalike(): users like those of a list, without a registered target.
 *
 * A target of this one call is trained as train_target() does it; its model is used and
 * forgotten.  No object stands behind the list, so what its users have in common is the
 * teacher.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "pg/audience_selection.h"
#include "pg/bridge.h"
#include "pg/embedding_storage.h"
#include "pg/target_training.h"

PG_FUNCTION_INFO_V1(behavpred_lookalike);

/* Its arguments, by position; those of audience() and train_target() follow. */
enum
{
	ARG_GRAPH, ARG_SEEDS, ARG_CONDITIONS, ARG_TRAINING = ARG_CONDITIONS + 6
};

/* The list as a target of this call. */
static TargetDefinition *
list_as_target(FunctionCallInfo fcinfo, const GraphDefinition *graph, char *candidates)
{
	TargetDefinition *target = palloc0(sizeof(TargetDefinition));
	Oid			relation = PG_GETARG_OID(ARG_SEEDS);

	source_check(relation, graph->apply_row_security);
	user_key_column(graph, relation, "seeds");
	target->seeds = relation_qualified_name(relation);
	target->name = psprintf("lookalike of %s", target->seeds);
	target->graph = graph->name;
	target->owner = graph->owner;
	target->candidates = candidates;
	return target;
}

/* Both arguments without which there is nothing to do. */
static void
check_arguments(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(ARG_GRAPH) || PG_ARGISNULL(ARG_SEEDS))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", PG_ARGISNULL(ARG_GRAPH) ? "graph" : "seeds"),
				 errhint("SELECT * FROM behavpred.lookalike('shop', 'good_customers', size => 1000);")));
}

/* Select by the model that the batch has made. */
static void
select_users(const AudienceRequest *request, TargetBatch *batch, ResultRows *rows)
{
	Audience	audience = {
		.core = batch->core, .graph = batch->graph, .key_type = batch->graph->user_key_type,
		.student = &batch->targets[0]->student
	};

	arena_open(&audience.arena, batch->core);
	audience_select(request, &audience);
	audience_return(&audience, rows);
	arena_close(&audience.arena);
}

/* lookalike(graph, seeds, size, ..., model, ...) */
Datum
behavpred_lookalike(PG_FUNCTION_ARGS)
{
	TrainedTarget target = {0};
	TrainedTarget *only = &target;
	TargetBatch batch = {.alone = true, .n = 1, .targets = &only};
	AudienceRequest request;
	TargetArguments arguments;
	GraphDefinition *graph;
	ResultRows	rows;

	check_arguments(fcinfo);
	rows = result_rows_open(fcinfo);
	graph = graph_definition_for(text_to_cstring(PG_GETARG_TEXT_PP(ARG_GRAPH)), PRIVILEGE_READ);
	graph_definition_trained(graph->name);
	request = audience_conditions(fcinfo, ARG_CONDITIONS);
	arguments = target_arguments(fcinfo, ARG_TRAINING);
	request.target = target.definition = list_as_target(fcinfo, graph, request.candidates);
	target.name = target.definition->name;
	target_batch_open(&batch, &arguments);
	target_batch_train(&batch);
	select_users(&request, &batch, &rows);
	target_batch_close(&batch);
	return (Datum) 0;
}
