/*
 * target_arguments.c
 *		The arguments that all functions which train models of targets share.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "pg/bridge.h"
#include "pg/options.h"
#include "pg/settings.h"
#include "pg/target_arguments.h"
#include "pg/training_record.h"

/* The arguments in their order, from that of the model on. */
enum
{
	ARG_MODEL, ARG_HIDDEN, ARG_SOFT_WEIGHT, ARG_SEED_WEIGHTS, ARG_NEGATIVE_RATIO, ARG_CALIBRATION, ARG_SEED,
	ARG_THREADS, ARG_OPTIONS
};

#define LEAST_NEGATIVES 5000
#define DEFAULT_NEGATIVE_RATIO 4	/* more add little to a linear model, and cost in proportion */

static const char *const model_words[] = {"logistic", "mlp", NULL};
static const char *const weight_words[] = {"none", "isolation_forest", NULL};
static const char *const calibration_words[] = {"none", "platt", "isotonic", NULL};
static const char *const scale_words[] = {"raw", "mean1", "spread", NULL};
static const char *const deploy_words[] = {"if_better", "always", "never", NULL};

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

/* See target_arguments.h. */
void
student_hidden_argument(FunctionCallInfo fcinfo, int argument, StudentOptions *student)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if (PG_ARGISNULL(argument))
		return;
	deconstruct_array(PG_GETARG_ARRAYTYPE_P(argument), INT4OID, sizeof(int32), true, TYPALIGN_INT,
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

/* See target_arguments.h. */
void
student_kind_argument(FunctionCallInfo fcinfo, int argument, StudentOptions *student)
{
	student_defaults(student);
	student->kind = word_argument(fcinfo, argument, "model", model_words, STUDENT_LOGISTIC);
	if (student->kind == STUDENT_MLP && student->n_hidden == 0)
	{
		student->n_hidden = 1;
		student->hidden[0] = 32;
	}
	if (student->kind == STUDENT_LOGISTIC)
		student->n_hidden = 0;
}

/* See target_arguments.h. */
void
student_soft_weight_argument(FunctionCallInfo fcinfo, int argument, StudentOptions *student)
{
	student->soft_weight = PG_ARGISNULL(argument) ? 0.5f : (float) PG_GETARG_FLOAT8(argument);
	require_range("soft_weight", student->soft_weight, 0, 1);
}

/* See target_arguments.h. */
int
student_options(StudentOptions *student, Option *table)
{
	const Option rows[] = {
		{"soft_temperature", OPTION_FLOAT, &student->soft_temperature, 0.01, 100, NULL},
		{"ridge", OPTION_FLOAT, &student->ridge, 0, 1e6, NULL},
		{"anchored", OPTION_BOOL, &student->anchored, 0, 0, NULL},
		{"iterations", OPTION_INT, &student->iterations, 1, 100000, NULL},
		{"epochs", OPTION_INT, &student->epochs, 1, 100000, NULL},
		{"batch_size", OPTION_INT, &student->batch_size, 1, 65536, NULL},
		{"learning_rate", OPTION_FLOAT, &student->learning_rate, 1e-6, 10, NULL}
	};

	memcpy(table, rows, sizeof(rows));
	return lengthof(rows);
}

/* What the fit itself takes: arguments and options. */
static void
read_student_options(FunctionCallInfo fcinfo, int first, TargetArguments *arguments)
{
	StudentOptions *student = &arguments->options.student;
	Option		table[MOST_STUDENT_OPTIONS] = {0};
	int			n = student_options(student, table);

	table[n++] = (Option) {"seed_weight_scale", OPTION_CHOICE, &arguments->seed_weight_scale, 0, 0, scale_words};
	table[n] = (Option) {"deploy", OPTION_CHOICE, &arguments->deploy, 0, 0, deploy_words};
	student_kind_argument(fcinfo, first + ARG_MODEL, student);
	student_hidden_argument(fcinfo, first + ARG_HIDDEN, student);
	student_soft_weight_argument(fcinfo, first + ARG_SOFT_WEIGHT, student);
	options_read(fcinfo, PG_ARGISNULL(first + ARG_OPTIONS) ? NULL : PG_GETARG_JSONB_P(first + ARG_OPTIONS), table);
}

/* See target_arguments.h. */
TargetArguments
target_arguments(FunctionCallInfo fcinfo, int first)
{
	TargetArguments arguments = {.seed_weight_scale = SEED_WEIGHT_MEAN_1, .deploy = DEPLOY_IF_BETTER};
	TargetOptions *options = &arguments.options;
	bool		has_ratio = !PG_ARGISNULL(first + ARG_NEGATIVE_RATIO);
	double		ratio = has_ratio ? PG_GETARG_FLOAT8(first + ARG_NEGATIVE_RATIO) : DEFAULT_NEGATIVE_RATIO;

	read_student_options(fcinfo, first, &arguments);
	require_range("negative_ratio", ratio, 0.1, 1000);
	arguments.negative_ratio = ratio;
	arguments.least_negatives = has_ratio ? TARGET_LEAST_POSITIVES : LEAST_NEGATIVES;
	arguments.seed = PG_ARGISNULL(first + ARG_SEED) ? setting_seed : PG_GETARG_INT64(first + ARG_SEED);
	options->seed = arguments.seed;
	options->student.seed = arguments.seed;
	options->weigh_seeds = word_argument(fcinfo, first + ARG_SEED_WEIGHTS, "seed_weights", weight_words, 1) == 1;
	options->seed_weight_scale = arguments.seed_weight_scale;
	options->calibration = word_argument(fcinfo, first + ARG_CALIBRATION, "calibration", calibration_words,
										 CALIBRATION_PLATT);
	arguments.threads = threads_argument(fcinfo, first + ARG_THREADS);
	return arguments;
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

/* See target_arguments.h. */
char *
target_arguments_json(const TargetArguments *arguments)
{
	const StudentOptions *student = &arguments->options.student;
	JsonText	json;

	json_open(&json);
	json_word(&json, "model", model_words[student->kind]);
	json_float(&json, "soft_weight", student->soft_weight);
	json_float(&json, "soft_temperature", student->soft_temperature);
	json_float(&json, "ridge", student->ridge);
	json_word(&json, "seed_weights", weight_words[arguments->options.weigh_seeds]);
	json_word(&json, "seed_weight_scale", scale_words[arguments->options.seed_weight_scale]);
	json_number(&json, "negative_ratio", arguments->negative_ratio);
	json_word(&json, "calibration", calibration_words[arguments->options.calibration]);
	json_word(&json, "deploy", deploy_words[arguments->deploy]);
	if (student->kind == STUDENT_LOGISTIC)
	{
		json_count(&json, "iterations", student->iterations);
		json_bool(&json, "anchored", student->anchored);
	}
	else
	{
		json_word(&json, "hidden", hidden_text(student));
		json_count(&json, "epochs", student->epochs);
		json_count(&json, "batch_size", student->batch_size);
		json_float(&json, "learning_rate", student->learning_rate);
	}
	return json_close(&json);
}
