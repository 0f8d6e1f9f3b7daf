/*
 * target_training_functions.c
 *		train_target() and train_targets().
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "pg/graph_lock.h"
#include "pg/reader.h"
#include "pg/result_rows.h"
#include "pg/target_training.h"

PG_FUNCTION_INFO_V1(behavpred_train_target);
PG_FUNCTION_INFO_V1(behavpred_train_targets);

#define FIGURES 15				/* run_id ... seconds */

/* The figures of one training; what could not be measured is NULL. */
static void
training_figures(const TrainedTarget *target, Datum *values, bool *nulls)
{
	const TargetQuality *q = &target->quality;
	const double metrics[] = {
		q->auc, q->pr_auc, q->log_loss, q->ece, q->lift_at_1pct, q->teacher_auc, q->activity_auc
	};
	int			n = 0;

	memset(nulls, 0, FIGURES * sizeof(bool));
	values[n++] = Int64GetDatum(target->stored.run_id);
	values[n++] = Int32GetDatum(target->stored.version);
	values[n++] = Int64GetDatum(target->sample.n_positive);
	values[n++] = Int64GetDatum(target->sample.n_negative);
	for (int i = 0; i < lengthof(metrics); i++, n++)
	{
		values[n] = Float8GetDatum(metrics[i]);
		nulls[n] = isnan(metrics[i]);
	}
	values[n++] = Int64GetDatum(q->test_positives);
	values[n++] = CStringGetTextDatum(q->test_is_unseen ? "unseen" : "in_graph");
	values[n++] = BoolGetDatum(target->stored.deployed);
	values[n] = Float8GetDatum(target->seconds);
}

/* train_target(target, model, hidden, ...) */
Datum
behavpred_train_target(PG_FUNCTION_ARGS)
{
	TimestampTz started_at = GetCurrentTimestamp();
	TrainedTarget target = {0};
	TrainedTarget *only = &target;
	TargetBatch batch = {.alone = true, .keeps = true, .n = 1, .targets = &only};
	TargetArguments arguments;
	Datum		values[FIGURES];
	bool		nulls[FIGURES];

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("target must not be NULL"),
				 errhint("SELECT * FROM behavpred.train_target('buys_42');")));
	require_writable("train_target()");
	target.name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	target.definition = target_definition_for(target.name, PRIVILEGE_TRAIN);
	graph_definition_trained(target.definition->graph);
	arguments = target_arguments(fcinfo, 1);
	target_lock(target.definition);
	target_batch_open(&batch, &arguments);
	target_batch_train(&batch);
	target_batch_close(&batch);
	target.seconds = (GetCurrentTimestamp() - started_at) / (double) USECS_PER_SEC;
	training_figures(&target, values, nulls);
	return result_record(fcinfo, values, nulls);
}

/* ---- many targets --------------------------------------------------------------------------- */

typedef struct TargetList
{
	MemoryContext context;
	int			n;
	int			capacity;
	TrainedTarget *targets;
	char	   *graph;			/* that all must belong to; NULL = any */
} TargetList;

/* One more target, by its name. */
static void
add_target(TargetList *list, const char *name)
{
	MemoryContext caller = MemoryContextSwitchTo(list->context);

	if (list->n == list->capacity)
	{
		list->capacity = Max(64, 2 * list->capacity);
		list->targets = list->targets == NULL ? palloc(list->capacity * sizeof(TrainedTarget)) :
			repalloc_huge(list->targets, list->capacity * sizeof(TrainedTarget));
	}
	list->targets[list->n++] = (TrainedTarget) {.name = pstrdup(name)};
	MemoryContextSwitchTo(caller);
}

/* Row function: the name of a target. */
static void
take_name(void *argument, Datum *values, bool *nulls)
{
	add_target(argument, TextDatumGetCString(values[0]));
}

/* The caller's own targets, or all of the graph, by name. */
static void
list_own_targets(TargetList *list)
{
	Oid			type = TEXTOID;
	Datum		value = list->graph == NULL ? (Datum) 0 : CStringGetTextDatum(list->graph);

	if (list->graph != NULL)
		graph_definition_for(list->graph, PRIVILEGE_TRAIN);
	read_rows("SELECT target FROM behavpred.registered_target "
			  "WHERE CASE WHEN $1 IS NULL THEN owner OPERATOR(pg_catalog.=) CURRENT_USER "
			  "ELSE graph OPERATOR(pg_catalog.=) $1 END ORDER BY target",
			  1, &type, &value, list->graph == NULL ? "n" : NULL, take_name, list);
}

/* For qsort(): pointers to strings. */
static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The targets named by an argument, each once, in their order there. */
static void
list_named_targets(TargetList *list, ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	char	  **sorted;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, &n);
	sorted = palloc(Max(n, 1) * sizeof(char *));
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("targets has a NULL at place %d", i + 1),
					 errhint("Name each target, or leave targets out to train all.")));
		sorted[i] = TextDatumGetCString(elements[i]);
		add_target(list, sorted[i]);
	}
	qsort(sorted, n, sizeof(char *), compare_names);
	for (int i = 1; i < n; i++)
		if (strcmp(sorted[i - 1], sorted[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("targets names \"%s\" twice", sorted[i]),
					 errhint("Name each target once.")));
}

/* A target that is to be read, for guarded(). */
typedef struct TargetStep
{
	const TargetList *list;
	TrainedTarget *target;
} TargetStep;

/* GuardedStep: read and lock one target. */
static void
read_target(void *argument)
{
	TargetStep *step = argument;
	TargetDefinition *definition = target_definition_for(step->target->name, PRIVILEGE_TRAIN);

	if (step->list->graph != NULL && strcmp(definition->graph, step->list->graph) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("target \"%s\" is not of graph \"%s\"", definition->name, step->list->graph),
				 errdetail("It belongs to graph \"%s\".", definition->graph),
				 errhint("Leave graph out to train targets of several graphs.")));
	target_lock(definition);
	step->target->definition = definition;
}

static bool
same_text(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

/* Can the two be trained from one reading? */
static bool
belong_together(const TargetDefinition *a, const TargetDefinition *b)
{
	return strcmp(a->graph, b->graph) == 0 && same_text(a->candidates, b->candidates) &&
		same_text(a->negatives, b->negatives);
}

/* Train the target of this number and all later ones that belong with it. */
static void
train_batch(TargetList *list, int first, bool *trained, const TargetArguments *arguments)
{
	TargetBatch batch = {.keeps = true, .targets = palloc(list->n * sizeof(TrainedTarget *))};

	for (int t = first; t < list->n; t++)
	{
		TrainedTarget *target = &list->targets[t];

		if (trained[t] || target->definition == NULL ||
			!belong_together(list->targets[first].definition, target->definition))
			continue;
		trained[t] = true;
		batch.targets[batch.n++] = target;
	}
	target_batch_open(&batch, arguments);
	target_batch_train(&batch);
	target_batch_close(&batch);
}

/* Read them all, then train those that could be read, batch by batch. */
static void
train_listed(TargetList *list, const TargetArguments *arguments)
{
	bool	   *trained = palloc0(Max(list->n, 1) * sizeof(bool));

	for (int t = 0; t < list->n; t++)
	{
		TargetStep	step = {list, &list->targets[t]};

		list->targets[t].error = guarded(read_target, &step, CurrentMemoryContext);
	}
	for (int t = 0; t < list->n; t++)
		if (!trained[t] && list->targets[t].definition != NULL)
			train_batch(list, t, trained, arguments);
}

/* One row for each target: its figures, or what went wrong. */
static void
return_target(ResultRows *rows, const TrainedTarget *target)
{
	Datum		values[FIGURES + 3];
	bool		nulls[FIGURES + 3];

	values[0] = CStringGetTextDatum(target->name);
	nulls[0] = false;
	nulls[FIGURES + 1] = nulls[FIGURES + 2] = target->error == NULL;
	if (target->error == NULL)
		training_figures(target, values + 1, nulls + 1);
	else
	{
		memset(nulls + 1, true, FIGURES * sizeof(bool));
		values[FIGURES + 1] = CStringGetTextDatum(target->error->message);
		values[FIGURES + 2] = CStringGetTextDatum(unpack_sql_state(target->error->sqlerrcode));
	}
	result_rows_add(rows, values, nulls);
}

/* train_targets(graph, targets, model, hidden, ...) */
Datum
behavpred_train_targets(PG_FUNCTION_ARGS)
{
	TargetList	list = {.context = CurrentMemoryContext};
	TargetArguments arguments;
	ResultRows	rows = result_rows_open(fcinfo);
	int			failed = 0;

	require_writable("train_targets()");
	list.graph = PG_ARGISNULL(0) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(0));
	arguments = target_arguments(fcinfo, 2);
	if (PG_ARGISNULL(1))
		list_own_targets(&list);
	else
		list_named_targets(&list, PG_GETARG_ARRAYTYPE_P(1));
	train_listed(&list, &arguments);
	for (int t = 0; t < list.n; t++)
	{
		return_target(&rows, &list.targets[t]);
		failed += list.targets[t].error != NULL;
	}
	if (failed > 0)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("%d of %d targets could not be trained", failed, list.n),
				 errhint("Columns error and sqlstate say why.")));
	return (Datum) 0;
}
