/*
 * evaluate.c
 *		evaluate(): how good the model of a target is, on users it was not trained on.
 *
 * They are the test part of its training, or come from the caller, with what they did.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "pg/bridge.h"
#include "pg/deployed_model.h"
#include "pg/embedding_storage.h"
#include "pg/fractions.h"
#include "pg/held_out.h"
#include "pg/model_cache.h"
#include "pg/result_rows.h"
#include "pg/settings.h"
#include "pg/wording.h"

PG_FUNCTION_INFO_V1(behavpred_evaluate);

#define FIRST_CAPACITY 4096
#define FIXED_MEASURES 5

/* The arguments of evaluate(), by position. */
enum
{
	ARG_TARGET, ARG_LABELS, ARG_LABEL_COLUMN, ARG_FRACTIONS, ARG_VERSION, ARG_SEED, ARG_THREADS
};

static const char *const measure_names[] = {"auc", "pr_auc", "log_loss", "brier", "ece", "lift", "gain"};

/* ---- users and labels of the caller ------------------------------------------------------ */

typedef struct LabelReading
{
	Arena	   *arena;
	const TargetDefinition *target;
	const Student *student;
	TestPart   *part;
	int64		capacity;
	int64		unknown;		/* users that the graph does not know */
	bool		integers;		/* labels are 0 and 1 */
} LabelReading;

/* Room for one case more. */
static void
reserve_case(LabelReading *reading)
{
	TestPart   *part = reading->part;
	int64		capacity = reading->capacity == 0 ? FIRST_CAPACITY : 2 * reading->capacity;

	if (part->n == EVALUATION_MOST_CASES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("evaluate() takes at most %s", format_counted(EVALUATION_MOST_CASES, "label")),
				 errdetail("There are more, which the intervals would take minutes for."),
				 errhint("Evaluate on a sample, or without intervals: SELECT behavpred.auc(label, behavpred.predict(%s, user_id)) FROM ...;",
						 quote_literal_cstr(reading->target->name))));
	if (part->n < reading->capacity)
		return;
	part->labels = arena_grow(reading->arena, part->labels, reading->capacity, capacity, sizeof(float));
	part->scores = arena_grow(reading->arena, part->scores, reading->capacity, capacity, sizeof(double));
	part->activity = arena_grow(reading->arena, part->activity, reading->capacity, capacity, sizeof(double));
	bridge_check(reading->arena->core, "evaluating target \"%s\"", reading->target->name);
	reading->capacity = capacity;
}

/* 0 or 1 from either type of label. */
static float
label_value(const LabelReading *reading, Datum value)
{
	int64		label = reading->integers ? DatumGetInt64(value) : DatumGetBool(value);

	if (label != 0 && label != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a label is " INT64_FORMAT, label),
				 errdetail("A label is 1 or true where it happened, 0 or false where it did not."),
				 errhint("Give a view that says so, as in SELECT user_id, clicks > 0 AS label FROM ...;")));
	return label;
}

/* Row function: label, embedding and degree of one user; both NULL when the graph does not know him. */
static void
take_label(void *argument, Datum *values, bool *nulls)
{
	LabelReading *reading = argument;
	TestPart   *part = reading->part;
	float		label = label_value(reading, values[0]);
	const float *vector;
	int			width;

	if (nulls[1])
	{
		reading->unknown++;
		return;
	}
	vector = embedding_from_datum(values[1], &width);
	model_check_vector(reading->student, vector, width);
	reserve_case(reading);
	part->labels[part->n] = label;
	part->scores[part->n] = student_logit(reading->student, vector);
	part->activity[part->n++] = nulls[2] ? 0 : DatumGetInt32(values[2]);
}

/* Labels are boolean or integers. */
static bool
labels_are_integers(Oid relation, const char *column)
{
	Oid			type = source_column(relation, column, "label_column");

	if (type != BOOLOID && type != INT2OID && type != INT4OID && type != INT8OID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of \"%s\" is of type %s", column, relation_display_name(relation),
						format_type_be(type)),
				 errdetail("Labels are boolean, or integers 0 and 1."),
				 errhint("Give a view that says so, as in SELECT user_id, clicks > 0 AS label FROM ...;")));
	return type != BOOLOID;
}

/* Users with a label, and their vectors. */
static char *
label_query(const GraphDefinition *graph, const DeployedModel *deployed, Oid relation, const char *label_column,
			bool integers)
{
	const char *key = quote_identifier(user_key_column(graph, relation, "labels"));
	const char *label = quote_identifier(label_column);

	return psprintf("SELECT l.%s%s, e.embedding, e.degree FROM %s l LEFT JOIN %s e ON e.%s OPERATOR(pg_catalog.=) l.%s "
					"WHERE l.%s IS NOT NULL AND l.%s IS NOT NULL",
					label, integers ? "::pg_catalog.int8" : "", relation_qualified_name(relation),
					relation_qualified_name(deployed->user_table), quote_identifier(deployed->user_column), key,
					key, label);
}

/* Say what the metrics leave out. */
static void
tell_unknown(const LabelReading *reading, const GraphDefinition *graph)
{
	if (reading->unknown > 0)
		ereport(NOTICE,
				(errmsg("%s left out, whom graph \"%s\" does not know",
						format_counted(reading->unknown, "user"), graph->name),
				 errdetail("They have no vector, and predict() gives NULL for them. " INT64_FORMAT " are evaluated.",
						   reading->part->n)));
	else if (reading->part->n == 0)
		ereport(NOTICE,
				(errmsg("there is nobody to evaluate target \"%s\" on", reading->target->name),
				 errdetail("No row of the labels has both a user and a label.")));
}

/* The test part that the caller gives; scored by the deployed model. */
static void
read_labels(Arena *arena, const TargetDefinition *target, Oid relation, const char *label_column, TestPart *part)
{
	GraphDefinition *graph = graph_definition_trained(target->graph);
	DeployedModel *deployed = deployed_model_read(target->name);
	LabelReading reading = {.arena = arena, .target = target, .student = deployed->student, .part = part};

	*part = (TestPart) {.class_weights = {1, 1}};
	source_check(relation, graph->apply_row_security);
	reading.integers = labels_are_integers(relation, label_column);
	source_read(graph->apply_row_security, label_query(graph, deployed, relation, label_column, reading.integers),
				0, NULL, NULL, take_label, &reading);
	tell_unknown(&reading, graph);
	part->probabilities = arena_doubles(arena, part->n);
	bridge_check(arena->core, "evaluating target \"%s\"", target->name);
	evaluation_calibrate(part, deployed->student);
}

/* ---- the function ------------------------------------------------------------------------ */

/* The measures that are wanted: five, then lift and gain of each fraction. */
static Measure *
wanted_measures(FunctionCallInfo fcinfo, int *n)
{
	int			n_fractions;
	double	   *fractions = fractions_argument(fcinfo, ARG_FRACTIONS, &n_fractions);
	Measure    *measures = palloc0((FIXED_MEASURES + 2 * n_fractions) * sizeof(Measure));

	for (*n = 0; *n < FIXED_MEASURES; (*n)++)
		measures[*n].kind = (MeasureKind) *n;
	for (int i = 0; i < 2 * n_fractions; i++)
		measures[(*n)++] = (Measure) {
			.kind = i < n_fractions ? MEASURE_LIFT : MEASURE_GAIN, .at = fractions[i % n_fractions]
		};
	return measures;
}

/* One row for each measure; what cannot be told is NULL. */
static void
return_measures(FunctionCallInfo fcinfo, const TestPart *part, const char *basis, const Measure *measures, int n)
{
	ResultRows	rows = result_rows_open(fcinfo);
	int64		positives = 0;

	for (int64 i = 0; i < part->n; i++)
		positives += part->labels[i] > 0;
	for (int i = 0; i < n; i++)
	{
		const Measure *measure = &measures[i];
		const double numbers[] = {
			measure->at, measure->value, measure->low, measure->high, 0, 0, measure->popularity, measure->prior
		};
		Datum		values[10] = {CStringGetTextDatum(measure_names[measure->kind])};
		bool		nulls[10] = {false};

		for (int c = 0; c < lengthof(numbers); c++)
		{
			values[c + 1] = Float8GetDatum(numbers[c]);
			nulls[c + 1] = isnan(numbers[c]);
		}
		nulls[1] = measure->at == 0;
		values[5] = Int64GetDatum(part->n);
		values[6] = Int64GetDatum(positives);
		values[9] = CStringGetTextDatum(basis);
		result_rows_add(&rows, values, nulls);
	}
}

/* evaluate(target, labels, label_column, fractions, version, seed, threads) */
Datum
behavpred_evaluate(PG_FUNCTION_ARGS)
{
	Core	   *core = bridge_open(threads_argument(fcinfo, ARG_THREADS));
	TargetDefinition *target;
	HeldOutPart held_out = {.basis = "labels"};
	Measure    *measures;
	Arena		arena;
	int			n;

	if (PG_ARGISNULL(ARG_TARGET) || (PG_ARGISNULL(ARG_LABEL_COLUMN) && !PG_ARGISNULL(ARG_LABELS)))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", PG_ARGISNULL(ARG_TARGET) ? "target" : "label_column"),
				 errhint("SELECT * FROM behavpred.evaluate('buys_42');")));
	if (!PG_ARGISNULL(ARG_LABELS) && !PG_ARGISNULL(ARG_VERSION))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("labels and version are given"),
				 errdetail("Labels are scored by the deployed version; version chooses a test part that was kept."),
				 errhint("Leave one of them out.")));
	measures = wanted_measures(fcinfo, &n);
	target = target_definition_read(text_to_cstring(PG_GETARG_TEXT_PP(ARG_TARGET)));
	arena_open(&arena, core);
	if (PG_ARGISNULL(ARG_LABELS))
		held_out_find(&arena, target, PG_ARGISNULL(ARG_VERSION) ? target->deployed_version :
					  PG_GETARG_INT32(ARG_VERSION), &held_out);
	else
		read_labels(&arena, target, PG_GETARG_OID(ARG_LABELS), NameStr(*PG_GETARG_NAME(ARG_LABEL_COLUMN)),
					&held_out.part);
	evaluation_measure(core, &held_out.part, PG_ARGISNULL(ARG_SEED) ? setting_seed : PG_GETARG_INT64(ARG_SEED),
					   measures, n);
	bridge_check(core, "evaluating target \"%s\"", target->name);
	return_measures(fcinfo, &held_out.part, held_out.basis, measures, n);
	bridge_close(core);
	return (Datum) 0;
}
