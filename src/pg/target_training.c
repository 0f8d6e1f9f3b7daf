/*
 * target_training.c
 *		train_target(): sample users, fit the student, store it as the next version.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/timestamp.h"

#include "core/vectors.h"
#include "pg/bridge.h"
#include "pg/embedding_storage.h"
#include "pg/graph_lock.h"
#include "pg/keys.h"
#include "pg/options.h"
#include "pg/reader.h"
#include "pg/result_rows.h"
#include "pg/settings.h"
#include "pg/target_record.h"
#include "pg/target_sampling.h"
#include "pg/training_record.h"
#include "pg/wording.h"

PG_FUNCTION_INFO_V1(behavpred_train_target);

/* The arguments of train_target(), by position. */
enum
{
	ARG_TARGET, ARG_MODEL, ARG_HIDDEN, ARG_SOFT_WEIGHT, ARG_SEED_WEIGHTS, ARG_NEGATIVE_RATIO,
	ARG_CALIBRATION, ARG_SEED, ARG_THREADS, ARG_OPTIONS
};

#define FEW_POSITIVES 100		/* below this the measured quality is a guess */
#define LEAST_NEGATIVES 1000
#define DEFAULT_NEGATIVE_RATIO 4	/* more add little to a linear model, and cost in proportion */

static const char *const model_words[] = {"logistic", "mlp", NULL};
static const char *const weight_words[] = {"none", "isolation_forest", NULL};
static const char *const calibration_words[] = {"none", "platt", "isotonic", NULL};
static const char *const scale_words[] = {"raw", "mean1", "spread", NULL};
static const char *const deploy_words[] = {"if_better", "always", "never", NULL};

/* One training from end to end. */
typedef struct Training
{
	TargetDefinition *target;
	GraphDefinition *graph;
	Core	   *core;
	Arena		arena;
	TargetOptions options;
	SamplingOptions sampling;
	int			seed_weight_scale;	/* of the option */
	int			deploy;
	TargetTeacher teacher;
	int			object_width;	/* of the teacher's vectors, 0 = there are none */
	TargetSample sample;
	int64		known;			/* users of the target, with or without a vector */
	Student		student;
	TargetQuality quality;
	TimestampTz started_at;
} Training;

/* ---- arguments ------------------------------------------------------------------------ */

/* Complain about a number outside its range; NaN is outside of any. */
static void
require_range(const char *name, double value, double minimum, double maximum)
{
	if (!(value >= minimum && value <= maximum))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is %g", name, value),
				 errdetail("Its range is %g to %g.", minimum, maximum),
				 errhint("Leave it out for the default.")));
}

/* A word of a list; NULL takes the default. */
static int
word_argument(FunctionCallInfo fcinfo, int argument, const char *what, const char *const *words, int otherwise)
{
	if (PG_ARGISNULL(argument))
		return otherwise;
	return options_choice(what, text_to_cstring(PG_GETARG_TEXT_PP(argument)), words);
}

/* hidden => '{32, 16}' */
static void
read_hidden(FunctionCallInfo fcinfo, StudentOptions *student)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if (PG_ARGISNULL(ARG_HIDDEN))
		return;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(ARG_HIDDEN), INT4OID, sizeof(int32), true, TYPALIGN_INT,
					  &elements, &nulls, &n);
	if (student->kind == STUDENT_LOGISTIC || n < 1 || n > STUDENT_MAX_HIDDEN)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("hidden has %d layers", n),
				 errdetail("A logistic model has none, an mlp 1 to %d.", STUDENT_MAX_HIDDEN),
				 errhint("SELECT * FROM behavpred.train_target(..., model => 'mlp', hidden => '{32}');")));
	student->n_hidden = n;
	for (int i = 0; i < n; i++)
	{
		student->hidden[i] = nulls[i] ? 0 : DatumGetInt32(elements[i]);
		require_range("a width in hidden", student->hidden[i], 1, STUDENT_MAX_HIDDEN_WIDTH);
	}
}

/* What the fit itself takes: arguments and options. */
static void
read_student_options(FunctionCallInfo fcinfo, Training *training)
{
	StudentOptions *student = &training->options.student;
	const Option table[] = {
		{"soft_temperature", OPTION_FLOAT, &student->soft_temperature, 0.01, 100, NULL},
		{"ridge", OPTION_FLOAT, &student->ridge, 0, 1e6, NULL},
		{"iterations", OPTION_INT, &student->iterations, 1, 100000, NULL},
		{"epochs", OPTION_INT, &student->epochs, 1, 100000, NULL},
		{"batch_size", OPTION_INT, &student->batch_size, 1, 65536, NULL},
		{"learning_rate", OPTION_FLOAT, &student->learning_rate, 1e-6, 10, NULL},
		{"seed_weight_scale", OPTION_CHOICE, &training->seed_weight_scale, 0, 0, scale_words},
		{"deploy", OPTION_CHOICE, &training->deploy, 0, 0, deploy_words},
		{NULL, OPTION_INT, NULL, 0, 0, NULL}
	};

	student_defaults(student);
	student->kind = word_argument(fcinfo, ARG_MODEL, "model", model_words, STUDENT_LOGISTIC);
	if (student->kind == STUDENT_MLP && student->n_hidden == 0)
	{
		student->n_hidden = 1;
		student->hidden[0] = 32;
	}
	if (student->kind == STUDENT_LOGISTIC)
		student->n_hidden = 0;
	read_hidden(fcinfo, student);
	student->soft_weight = PG_ARGISNULL(ARG_SOFT_WEIGHT) ? 0.5f : (float) PG_GETARG_FLOAT8(ARG_SOFT_WEIGHT);
	require_range("soft_weight", student->soft_weight, 0, 1);
	options_read(PG_ARGISNULL(ARG_OPTIONS) ? NULL : PG_GETARG_JSONB_P(ARG_OPTIONS), table);
}

/* All arguments but threads. */
static void
read_arguments(FunctionCallInfo fcinfo, Training *training)
{
	uint64		seed = PG_ARGISNULL(ARG_SEED) ? setting_seed : PG_GETARG_INT64(ARG_SEED);
	double		ratio = PG_ARGISNULL(ARG_NEGATIVE_RATIO) ? DEFAULT_NEGATIVE_RATIO :
		PG_GETARG_FLOAT8(ARG_NEGATIVE_RATIO);

	training->seed_weight_scale = SEED_WEIGHT_MEAN_1;
	training->deploy = DEPLOY_IF_BETTER;
	read_student_options(fcinfo, training);
	require_range("negative_ratio", ratio, 0.1, 1000);
	training->sampling.negative_ratio = ratio;
	training->sampling.least_negatives = PG_ARGISNULL(ARG_NEGATIVE_RATIO) ? LEAST_NEGATIVES :
		TARGET_LEAST_POSITIVES;
	training->sampling.seed = seed;
	training->options.seed = seed;
	training->options.student.seed = seed;
	training->options.weigh_seeds = word_argument(fcinfo, ARG_SEED_WEIGHTS, "seed_weights", weight_words, 1) == 1;
	training->options.seed_weight_scale = training->seed_weight_scale;
	training->options.calibration = word_argument(fcinfo, ARG_CALIBRATION, "calibration", calibration_words,
												  CALIBRATION_PLATT);
}

/* The widths of the hidden layers as the argument takes them: "{32,16}". */
static char *
hidden_text(const StudentOptions *student)
{
	StringInfoData text;

	initStringInfo(&text);
	for (int i = 0; i < student->n_hidden; i++)
		appendStringInfo(&text, "%c%d", i == 0 ? '{' : ',', student->hidden[i]);
	appendStringInfoChar(&text, '}');
	return text.data;
}

/* All options as the run's record keeps them: with the seed they make the same model again. */
static char *
options_json(const Training *training)
{
	const StudentOptions *student = &training->options.student;
	JsonText	json;

	json_open(&json);
	json_word(&json, "model", model_words[student->kind]);
	json_float(&json, "soft_weight", student->soft_weight);
	json_float(&json, "soft_temperature", student->soft_temperature);
	json_float(&json, "ridge", student->ridge);
	json_word(&json, "seed_weights", weight_words[training->options.weigh_seeds]);
	json_word(&json, "seed_weight_scale", scale_words[training->options.seed_weight_scale]);
	json_number(&json, "negative_ratio", training->sampling.negative_ratio);
	json_word(&json, "calibration", calibration_words[training->options.calibration]);
	json_word(&json, "deploy", deploy_words[training->deploy]);
	if (student->kind == STUDENT_LOGISTIC)
		json_count(&json, "iterations", student->iterations);
	else
	{
		json_word(&json, "hidden", hidden_text(student));
		json_count(&json, "epochs", student->epochs);
		json_count(&json, "batch_size", student->batch_size);
		json_float(&json, "learning_rate", student->learning_rate);
	}
	return json_close(&json);
}

/* ---- teacher --------------------------------------------------------------------------- */

/* Row function: the graph's run. */
static void
keep_graph_run(void *argument, Datum *values, bool *nulls)
{
	Training   *training = argument;
	UnseenRule *unseen = &training->sampling.unseen;

	unseen->validation_fraction = nulls[0] ? 0 : DatumGetFloat4(values[0]);
	unseen->seed = DatumGetInt64(values[1]);
	training->teacher.scale = nulls[2] ? 1 : DatumGetFloat8(values[2]);
	training->teacher.offset = nulls[3] ? 0 : DatumGetFloat8(values[3]);
	unseen->target_fraction = nulls[4] ? 0 : DatumGetFloat4(values[4]);
	unseen->were_targets = !nulls[5] && DatumGetBool(values[5]);
}

static const char graph_run_query[] =
"SELECT (options OPERATOR(pg_catalog.->>) 'validation_fraction')::pg_catalog.float4, seed, "
"(result OPERATOR(pg_catalog.->>) 'scale')::pg_catalog.float8, "
"(result OPERATOR(pg_catalog.->>) 'offset')::pg_catalog.float8, "
"(result OPERATOR(pg_catalog.->>) 'target_fraction')::pg_catalog.float4, "
"(result OPERATOR(pg_catalog.->) 'target_objects') OPERATOR(pg_catalog.?&) $2 "
"FROM behavpred.training_run WHERE run_id OPERATOR(pg_catalog.=) $1";

/* The network's calibration, and which edges its training has not seen. */
static void
read_graph_run(Training *training)
{
	Oid			types[] = {INT8OID, TEXTARRAYOID};
	Datum		values[] = {
		Int64GetDatum(training->graph->trained_run),
		text_array(training->target->n_objects, training->target->objects)
	};

	if (read_rows(graph_run_query, lengthof(types), types, values, NULL, keep_graph_run, training) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the record of the training of graph \"%s\" is gone", training->graph->name),
				 errdetail("Run " INT64_FORMAT " is not in behavpred.training_run.", training->graph->trained_run),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(training->graph->name))));
}

typedef struct ObjectReading
{
	Training   *training;
	float	   *vectors;
	int			n;
	int			room;
	int			width;
} ObjectReading;

/* The owner may have changed the table: another length would be read past its end. */
static void
refuse_widths(const Training *training, int one, int other)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("embeddings of graph \"%s\" differ in length", training->graph->name),
			 errdetail("One has %d numbers, another %d.", one, other),
			 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(training->graph->name))));
}

/* An object's vector must be as long as the others, and finite: NaN would only spoil soft labels. */
static void
check_object_vector(const ObjectReading *reading, const float *vector, int width)
{
	const char *graph = reading->training->graph->name;

	if (reading->n > 0 && width != reading->width)
		refuse_widths(reading->training, reading->width, width);
	if (!vectors_finite(vector, width))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the embedding of an object of target \"%s\" has a number that is not finite",
						reading->training->target->name),
				 errdetail("Table %s was changed after the training.", reading->training->graph->object_embeddings),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(graph))));
}

/* Row function: the vector of one object. */
static void
keep_object(void *argument, Datum *values, bool *nulls)
{
	ObjectReading *reading = argument;
	const float *vector;
	int			width;

	if (nulls[0] || reading->n == reading->room)
		return;
	vector = embedding_from_datum(values[0], &width);
	check_object_vector(reading, vector, width);
	if (reading->vectors == NULL)
	{
		reading->width = width;
		reading->vectors = arena_floats(&reading->training->arena, (size_t) reading->room * width);
		bridge_check(reading->training->core, "training target \"%s\"", reading->training->target->name);
	}
	memcpy(reading->vectors + (size_t) reading->n++ * width, vector, width * sizeof(float));
}

/* The vectors of the target's objects, as many as the graph knows. */
static void
read_objects(Training *training)
{
	const TargetDefinition *target = training->target;
	const GraphDefinition *graph = training->graph;
	ObjectReading reading = {.training = training, .room = target->n_objects};
	Oid			type = get_array_type(graph->object_key_type);
	Datum		value;

	if (target->n_objects == 0)
		return;
	value = target_object_array(graph, target->n_objects, target->objects);
	read_rows(psprintf("SELECT embedding FROM %s WHERE %s OPERATOR(pg_catalog.=) ANY ($1) ORDER BY %s",
					   relation_qualified_name(relation_from_text(graph->object_embeddings)),
					   quote_identifier(graph->object_column), quote_identifier(graph->object_column)),
			  1, &type, &value, NULL, keep_object, &reading);
	training->teacher.n_objects = reading.n;
	training->teacher.objects = reading.vectors;
	training->object_width = reading.width;
	if (reading.n == 0 && target->seeds == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("object \"%s\" has no embedding in graph \"%s\"", target->objects[0], graph->name),
				 errdetail("It came after the graph was trained, or its interactions no longer count."),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(graph->name))));
}

/* ---- checks of the sample ---------------------------------------------------------------- */

/* How to get more positives. */
static char *
positives_hint(const Training *training)
{
	if (training->known >= TARGET_LEAST_POSITIVES)
		return psprintf("Name users of the graph, who are candidates; those who came after its training need: "
						"SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(training->graph->name));
	if (training->target->horizon != NULL)
		return psprintf("Widen horizon (now %s), or add users by seeds.", training->target->horizon);
	return "Name more objects, or add users by seeds => 'a_relation_of_users'.";
}

/* Too few users who did it. */
static void
refuse_few_positives(const Training *training)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("target \"%s\" has %s, at least %d are needed", training->target->name,
					format_counted(training->sample.n_positive, "positive user"), TARGET_LEAST_POSITIVES),
			 errdetail("It names %s; counted are those who have an embedding and are among the candidates (%s).",
					   format_counted(training->known, "user"), format_count(training->sample.candidates)),
			 errhint("%s", positives_hint(training))));
}

/* Meet what makes a fit senseless, and warn of what makes its quality a guess. */
static void
check_sample(const Training *training)
{
	const TargetSample *sample = &training->sample;
	const char *name = training->target->name;

	if (sample->n_positive < TARGET_LEAST_POSITIVES)
		refuse_few_positives(training);
	if (sample->candidates == sample->n_positive)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("every candidate of target \"%s\" is positive", name),
				 errdetail("All %s did it, so there is nobody to tell them from.",
						   format_counted(sample->candidates, "candidate")),
				 errhint("Name more candidates, or a rarer object.")));
	if (sample->n_negative < TARGET_LEAST_POSITIVES)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("target \"%s\" has %s, at least %d are needed", name,
						format_counted(sample->n_negative, "negative user"), TARGET_LEAST_POSITIVES),
				 errdetail("Of %s, " INT64_FORMAT " did it.", format_counted(sample->candidates, "candidate"),
						   sample->n_positive),
				 errhint("Name more candidates or negatives, or a larger negative_ratio.")));
	if (sample->n_positive < FEW_POSITIVES)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("target \"%s\" has only " INT64_FORMAT " positive users", name, sample->n_positive),
				 errdetail("A fifth of them measures the quality, so that it is a rough guess below %d.",
						   FEW_POSITIVES)));
}

/* ---- the training ------------------------------------------------------------------------- */

/* Measured on users whose vectors have seen the answer: say so, and what to do. */
static void
tell_basis(const Training *training)
{
	if (!training->quality.test_is_unseen)
		ereport(NOTICE,
				(errmsg("the quality of target \"%s\" is measured on users whose interaction the graph has seen",
						training->target->name),
				 errdetail("It is too good, and the model less so than it could be: the target is younger than the "
						   "graph's training, or has too few users."),
				 errhint("SELECT * FROM behavpred.train_graph(%s); now that the target is known, then train it again.",
						 quote_literal_cstr(training->graph->name))));
}

/* The arguments have been checked, so what the core refuses is in the vectors. */
static void
check_fit(const Training *training)
{
	Core	   *core = training->core;

	if (core->status == CORE_INVALID)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the embeddings of graph \"%s\" cannot train target \"%s\"", training->graph->name,
						training->target->name),
				 errdetail_internal("%s.", core->detail),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(training->graph->name))));
	bridge_check(core, "training target \"%s\"", training->target->name);
}

/* From the stored vectors to the student. */
static void
sample_and_fit(Training *training)
{
	read_graph_run(training);
	read_objects(training);
	training->known = target_sample(&training->arena, training->target, training->graph, &training->sampling,
									&training->sample);
	check_sample(training);
	if (training->object_width != 0 && training->object_width != training->sample.width)
		refuse_widths(training, training->sample.width, training->object_width);
	if (training->teacher.n_objects == 0)
		ereport(NOTICE,
				(errmsg("target \"%s\" has no object with an embedding", training->target->name),
				 errdetail("The mean of its seeds' vectors stands for it in the soft labels.")));
	target_fit(training->core, &training->arena, &training->sample, &training->teacher, &training->options,
			   &training->student, &training->quality);
	check_fit(training);
	tell_basis(training);
}

/* As the target's next version. */
static StoredModel
store(const Training *training)
{
	TargetTraining record = {
		.target = training->target,
		.graph = training->graph,
		.student = &training->student,
		.quality = &training->quality,
		.sample = &training->sample,
		.options = options_json(training),
		.teacher = training->teacher.n_objects > 0 ? "object" : "seeds",
		.started_at = training->started_at,
		.seed = (int64) training->options.seed,
		.threads = training->core->threads,
		.deploy = training->deploy
	};

	return target_model_store(&record);
}

/* The OUT arguments; what could not be measured is NULL. */
static Datum
training_result(FunctionCallInfo fcinfo, const Training *training, const StoredModel *stored)
{
	const TargetQuality *q = &training->quality;
	const double metrics[] = {
		q->auc, q->pr_auc, q->log_loss, q->ece, q->lift_at_1pct, q->teacher_auc, q->activity_auc
	};
	Datum		values[15] = {
		Int64GetDatum(stored->run_id), Int32GetDatum(stored->version),
		Int64GetDatum(training->sample.n_positive), Int64GetDatum(training->sample.n_negative)
	};
	bool		nulls[15] = {false};
	int			n = 4;

	for (int i = 0; i < lengthof(metrics); i++, n++)
	{
		values[n] = Float8GetDatum(metrics[i]);
		nulls[n] = isnan(metrics[i]);
	}
	values[n++] = Int64GetDatum(q->test_positives);
	values[n++] = CStringGetTextDatum(q->test_is_unseen ? "unseen" : "in_graph");
	values[n++] = BoolGetDatum(stored->deployed);
	values[n] = Float8GetDatum((GetCurrentTimestamp() - training->started_at) / (double) USECS_PER_SEC);
	return result_record(fcinfo, values, nulls);
}

/* train_target(target, model, hidden, ...) */
Datum
behavpred_train_target(PG_FUNCTION_ARGS)
{
	Training	training = {.started_at = GetCurrentTimestamp()};
	StoredModel stored;
	Datum		result;

	if (PG_ARGISNULL(ARG_TARGET))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("target must not be NULL"),
				 errhint("SELECT * FROM behavpred.train_target('buys_42');")));
	require_writable("train_target()");
	training.target = target_definition_for(text_to_cstring(PG_GETARG_TEXT_PP(ARG_TARGET)), PRIVILEGE_TRAIN);
	training.graph = graph_definition_trained(training.target->graph);
	read_arguments(fcinfo, &training);
	target_lock(training.target);
	training.core = bridge_open(threads_argument(fcinfo, ARG_THREADS));
	arena_open(&training.arena, training.core);
	sample_and_fit(&training);
	stored = store(&training);
	result = training_result(fcinfo, &training, &stored);
	bridge_close(training.core);
	return result;
}
