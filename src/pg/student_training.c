/*
 * student_training.c
 *		train_student(): a student of a relation of samples, in memory or where the samples are.
 *
 * Where they are: one statement for each step, which sums over all samples; partitions, servers
 * and parallel workers each sum their own.  Nothing is held but the sums.  In memory: the
 * samples are read once.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "core/student_search.h"
#include "pg/bridge.h"
#include "pg/embedding_storage.h"
#include "pg/model_value.h"
#include "pg/options.h"
#include "pg/placement.h"
#include "pg/result_rows.h"
#include "pg/settings.h"
#include "pg/source.h"
#include "pg/target_arguments.h"

PG_FUNCTION_INFO_V1(behavpred_train_student);

/* The arguments, by position. */
enum
{
	ARG_SAMPLES, ARG_MODEL, ARG_HIDDEN, ARG_SOFT_WEIGHT, ARG_BY_STATEMENTS, ARG_SEED, ARG_THREADS, ARG_OPTIONS
};

/* One training. */
typedef struct Training
{
	Core	   *core;
	Arena		arena;
	StudentOptions options;
	Oid			relation;
	List	   *pieces;			/* that hold its rows */
	bool		has_soft;
	bool		has_weight;
	char	   *columns;		/* embedding, label, soft label, weight, in SQL */
	char	   *conditions;		/* WHERE of all samples */
	StudentSums *sums;			/* of the statement that runs; NULL before its first row */
	LabelSums	labels;
	int			statements;
	Student		student;

	/* in memory */
	int64		n;
	int			width;
	float	   *vectors;
	float	   *label_values;
	float	   *soft_values;
	float	   *weight_values;
} Training;

static void
check_core(const Training *training)
{
	bridge_check(training->core, "training a student of %s", relation_display_name(training->relation));
}

/* ---- what is asked for --------------------------------------------------------------------- */

static void
read_arguments(FunctionCallInfo fcinfo, Training *training)
{
	StudentOptions *student = &training->options;
	Option		table[MOST_STUDENT_OPTIONS] = {0};

	student_options(student, table);
	student_kind_argument(fcinfo, ARG_MODEL, student);
	student_hidden_argument(fcinfo, ARG_HIDDEN, student);
	student_soft_weight_argument(fcinfo, ARG_SOFT_WEIGHT, student);
	student->anchored = false;
	student->seed = PG_ARGISNULL(ARG_SEED) ? setting_seed : PG_GETARG_INT64(ARG_SEED);
	options_read(fcinfo, PG_ARGISNULL(ARG_OPTIONS) ? NULL : PG_GETARG_JSONB_P(ARG_OPTIONS), table);
}

/* A column of numbers or booleans as float8, "NULL" when it is not there. */
static char *
number_column(Oid relation, const char *column, bool needed, bool *found)
{
	Oid			type;

	*found = source_has_column(relation, column, &type);
	if (!*found && !needed)
		return "NULL::pg_catalog.float8";
	type = source_column(relation, column, "train_student()");
	if (type == BOOLOID)
		return psprintf("%s::pg_catalog.int4::pg_catalog.float8", column);
	if (type != INT2OID && type != INT4OID && type != INT8OID && type != FLOAT4OID && type != FLOAT8OID && type != NUMERICOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of \"%s\" is of type %s", column, relation_display_name(relation),
						format_type_be(type)),
				 errdetail("It must be a number or boolean."),
				 errhint("Read it through a view that casts the column.")));
	return psprintf("%s::pg_catalog.float8", column);
}

/* Columns and conditions of the samples. */
static void
describe_samples(Training *training)
{
	Oid			relation = training->relation;
	Oid			type = source_column(relation, "embedding", "train_student()");
	bool		found;
	char	   *label = number_column(relation, "label", true, &found);
	char	   *soft = number_column(relation, "soft_label", false, &training->has_soft);
	char	   *weight = number_column(relation, "weight", false, &training->has_weight);

	if (type != FLOAT4ARRAYOID)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"embedding\" of \"%s\" is of type %s", relation_display_name(relation),
						format_type_be(type)),
				 errdetail("It must be real[]."),
				 errhint("Take the embeddings of a graph: behavpred.embedding('shop', user_id).")));
	training->columns = psprintf("embedding, %s, %s, %s", label, soft, weight);
	training->conditions = psprintf("embedding IS NOT NULL AND label IS NOT NULL%s%s",
									training->has_soft ? " AND soft_label IS NOT NULL" : "",
									training->has_weight ? " AND weight IS NOT NULL" : "");
}

/* ---- where the samples are -------------------------------------------------------------------- */

/* Row function: the sums of a piece. */
static void
take_sums(void *argument, Datum *values, bool *nulls)
{
	Training   *training = argument;
	StudentSums *piece;

	if (nulls[0])
		return;
	piece = (StudentSums *) PG_DETOAST_DATUM(values[0]);
	if (sums_check(training->core, piece, VARSIZE(piece), training->sums) == CORE_OK)
	{
		if (training->sums != NULL)
			sums_merge(training->sums, piece);
		else
		{
			training->sums = arena_allocate(&training->arena, VARSIZE(piece), 1);
			if (training->sums != NULL)
				memcpy(training->sums, piece, VARSIZE(piece));
		}
	}
	check_core(training);
}

/* One statement: the sums of a plan over all samples. */
static void
run_plan(Training *training, const SumsPlan *plan)
{
	StringInfoData query;
	ListCell   *cell;
	size_t		size = sums_plan_size(plan);
	bytea	   *bytes = palloc(size + VARHDRSZ);
	Oid			type = BYTEAOID;
	Datum		value = PointerGetDatum(bytes);

	SET_VARSIZE(bytes, size + VARHDRSZ);
	sums_plan_write(plan, VARDATA(bytes));
	arena_release(&training->arena, training->sums);
	training->sums = NULL;
	initStringInfo(&query);
	foreach(cell, training->pieces)
		appendStringInfo(&query, "%s(SELECT behavpred_internal.student_sums($1, %s) FROM %s WHERE %s)",
						 query.len == 0 ? "" : " UNION ALL ", training->columns,
						 relation_qualified_name(lfirst_oid(cell)), training->conditions);
	source_read(false, query.data, 1, &type, &value, take_sums, training);
	training->statements++;
	pfree(bytes);
	pfree(query.data);
}

/* Numbers of all samples; a relation without any is refused. */
static void
read_statistics(Training *training)
{
	const SumsPlan plan = {.pass = SUMS_STATISTICS, .has_soft = training->has_soft};

	run_plan(training, &plan);
	if (training->sums == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("%s has no samples", relation_display_name(training->relation)),
				 errdetail("Rows with a NULL in one of the columns embedding, label, soft_label, weight do not count."),
				 errhint("Give a relation of users with their embeddings and labels.")));
	training->labels = sums_labels(training->sums, training->has_soft);
	training->n = training->sums->n;
	training->width = training->sums->width;
}

/* Statement after statement, until the search is done. */
static void
train_by_statements(Training *training)
{
	StudentSearch search;

	student_search_open(training->core, &training->arena, &training->options, training->sums, training->has_soft,
						&search);
	check_core(training);
	while (!search.done)
	{
		core_report(training->core, "training", search.steps, training->options.iterations);
		check_core(training);
		run_plan(training, &search.plan);
		if (training->sums == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
					 errmsg("the samples of %s are gone", relation_display_name(training->relation)),
					 errhint("Train again.")));
		student_search_step(&search, training->sums);
		check_core(training);
	}
	student_search_finish(&search);
	check_core(training);
	training->student = search.student;
}

/* ---- in memory ------------------------------------------------------------------------------------ */

/* Bytes that a training in memory takes: vectors, standardised vectors, labels, logits. */
static double
needed_memory(const Training *training)
{
	return (double) training->n * (2.0 * sizeof(float) * training->width + 3 * sizeof(float) + 2 * sizeof(double));
}

/* Row function: a sample. */
static void
take_sample(void *argument, Datum *values, bool *nulls)
{
	Training   *training = argument;
	int64		i = training->labels.n;
	int			width;
	const float *vector = embedding_from_datum(values[0], &width);

	if (i == training->n || width != training->width)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("the samples of %s have changed meanwhile", relation_display_name(training->relation)),
				 errhint("Train again.")));
	memcpy(training->vectors + i * width, vector, width * sizeof(float));
	training->label_values[i] = (float) DatumGetFloat8(values[1]);
	training->soft_values[i] = nulls[2] ? 0 : (float) DatumGetFloat8(values[2]);
	training->weight_values[i] = nulls[3] ? 1 : (float) DatumGetFloat8(values[3]);
	training->labels.n++;
}

static void
train_in_memory(Training *training)
{
	Arena	   *arena = &training->arena;
	StudentSamples samples;

	training->vectors = arena_floats(arena, (size_t) training->n * training->width);
	training->label_values = arena_floats(arena, training->n);
	training->soft_values = arena_floats(arena, training->n);
	training->weight_values = arena_floats(arena, training->n);
	check_core(training);
	training->labels.n = 0;
	source_read(false, psprintf("SELECT %s FROM %s WHERE %s", training->columns,
								relation_qualified_name(training->relation), training->conditions),
				0, NULL, NULL, take_sample, training);
	training->statements++;
	samples = (StudentSamples) {
		.n = training->labels.n, .width = training->width, .vectors = training->vectors,
		.labels = training->label_values, .soft_labels = training->has_soft ? training->soft_values : NULL,
		.weights = training->weight_values
	};
	student_train(training->core, arena, &samples, &training->options, &training->student);
	check_core(training);
}

/* ---- the function ------------------------------------------------------------------------------------ */

/* By statements where the samples do not lie here or do not fit, unless the caller says how. */
static bool
goes_by_statements(FunctionCallInfo fcinfo, const Training *training)
{
	if (!PG_ARGISNULL(ARG_BY_STATEMENTS))
		return PG_GETARG_BOOL(ARG_BY_STATEMENTS);
	return relation_is_spread(training->relation) || needed_memory(training) > setting_max_memory * 1024.0;
}

/* Probabilities are those of the samples: no calibration, their own rate. */
static void
finish_student(Training *training)
{
	const LabelSums *labels = &training->labels;

	training->student.base_rate = labels->weights[1] / (labels->weights[0] + labels->weights[1]);
}

/* train_student(samples, model, hidden, soft_weight, by_statements, seed, threads, options) */
Datum
behavpred_train_student(PG_FUNCTION_ARGS)
{
	Training	training = {0};
	TimestampTz started_at = GetCurrentTimestamp();
	bool		by_statements;
	bool		nulls[6] = {false};
	Datum		values[6];
	Datum		result;

	if (PG_ARGISNULL(ARG_SAMPLES))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("samples must not be NULL"),
				 errhint("SELECT * FROM behavpred.train_student('a_relation_of_samples');")));
	read_arguments(fcinfo, &training);
	training.relation = PG_GETARG_OID(ARG_SAMPLES);
	source_check(training.relation, false);
	describe_samples(&training);
	training.pieces = relation_pieces(training.relation);
	training.core = bridge_open(threads_argument(fcinfo, ARG_THREADS));
	arena_open(&training.arena, training.core);
	bridge_show(training.core, NULL, NULL);
	read_statistics(&training);
	by_statements = goes_by_statements(fcinfo, &training);
	if (by_statements)
		train_by_statements(&training);
	else
		train_in_memory(&training);
	finish_student(&training);
	values[0] = PointerGetDatum(model_from_student(&training.student));
	values[1] = Int64GetDatum(training.n);
	values[2] = Float8GetDatum(training.student.base_rate);
	values[3] = BoolGetDatum(by_statements);
	values[4] = Int32GetDatum(training.statements);
	values[5] = Float8GetDatum((GetCurrentTimestamp() - started_at) / (double) USECS_PER_SEC);
	result = result_record(fcinfo, values, nulls);
	bridge_close(training.core);
	return result;
}
