/*
 * encoder_arguments.c
 *		From the arguments of train_graph() to the options of the encoder, and back to JSON.
 *
 * One table names every option, so that what can be given and what is recorded are the
 * same.  Ranges are known to encoder_check() alone.
 */
#include "postgres.h"

#include <float.h>
#include <limits.h>

#include "utils/builtins.h"

#include "pg/bridge.h"
#include "pg/encoder_arguments.h"
#include "pg/network_storage.h"
#include "pg/options.h"
#include "pg/settings.h"
#include "pg/training_record.h"
#include "pg/wording.h"

#define MOST_OPTIONS 32

static const char *const routing_words[] = {"claim", "disengcn", "off", NULL};
static const char *const attention_words[] = {"symmetric", "additive", "off", NULL};
static const char *const mapping_words[] = {"automatic", "identity", "linear", NULL};
static const char *const loss_words[] = {"softmax", "logistic", NULL};

/* A word for each rule, in the order of encoder.h. */
StaticAssertDecl(lengthof(routing_words) == ROUTING_RULES + 1, "routing_words");
StaticAssertDecl(lengthof(attention_words) == ATTENTION_RULES + 1, "attention_words");
StaticAssertDecl(lengthof(mapping_words) == MAPPING_RULES + 1, "mapping_words");
StaticAssertDecl(lengthof(loss_words) == LOSS_RULES + 1, "loss_words");

#define INT_OPTION(field) {#field, OPTION_INT, &options->field, INT_MIN, INT_MAX, NULL}
#define FLOAT_OPTION(field) {#field, OPTION_FLOAT, &options->field, -FLT_MAX, FLT_MAX, NULL}
#define BOOL_OPTION(field) {#field, OPTION_BOOL, &options->field, 0, 0, NULL}
#define CHOICE_OPTION(field, words) {#field, OPTION_CHOICE, &options->field, 0, 0, words}

/* What stands in an argument only: these have defaults that SQL shows. */
static int
argument_options(EncoderOptions *options, Option *table)
{
	const Option rows[] = {
		INT_OPTION(dimension),
		INT_OPTION(factors),
		INT_OPTION(layers),
		INT_OPTION(routing_iterations)
	};

	memcpy(table, rows, sizeof(rows));
	return lengthof(rows);
}

/* What may stand in the argument "options". */
static int
json_options(EncoderOptions *options, Option *table)
{
	const Option rows[] = {
		INT_OPTION(epochs),
		INT_OPTION(batch_size),
		FLOAT_OPTION(learning_rate),
		BOOL_OPTION(hide_positives),
		INT_OPTION(negatives),
		INT_OPTION(sampled_neighbours),
		INT_OPTION(epoch_steps),
		FLOAT_OPTION(temperature),
		INT_OPTION(patience),
		FLOAT_OPTION(validation_fraction),
		FLOAT_OPTION(target_fraction),
		CHOICE_OPTION(routing, routing_words),
		FLOAT_OPTION(routing_temperature),
		CHOICE_OPTION(attention, attention_words),
		INT_OPTION(attention_width),
		FLOAT_OPTION(neighbour_scale),
		BOOL_OPTION(keep_lengths),
		CHOICE_OPTION(mapping, mapping_words),
		BOOL_OPTION(layer_mean),
		BOOL_OPTION(full_gradient),
		BOOL_OPTION(id_embeddings),
		CHOICE_OPTION(loss, loss_words),
		BOOL_OPTION(warm_start),
		BOOL_OPTION(spectral_start),
		FLOAT_OPTION(initial_bias),
		FLOAT_OPTION(weight_decay),
		BOOL_OPTION(keep_network)
	};

	memcpy(table, rows, sizeof(rows));
	return lengthof(rows);
}

/* Arguments that are not NULL go over the options. */
static void
read_arguments(FunctionCallInfo fcinfo, EncoderOptions *options)
{
	const struct
	{
		int			argument;
		int		   *value;
	}			integers[] = {
		{TRAIN_DIMENSION, &options->dimension},
		{TRAIN_FACTORS, &options->factors},
		{TRAIN_LAYERS, &options->layers},
		{TRAIN_ROUTING_ITERATIONS, &options->routing_iterations},
		{TRAIN_EPOCHS, &options->epochs},
		{TRAIN_BATCH_SIZE, &options->batch_size},
		{TRAIN_NEGATIVES, &options->negatives},
		{TRAIN_PATIENCE, &options->patience}
	};
	const struct
	{
		int			argument;
		float	   *value;
	}			numbers[] = {
		{TRAIN_LEARNING_RATE, &options->learning_rate},
		{TRAIN_TEMPERATURE, &options->temperature},
		{TRAIN_VALIDATION_FRACTION, &options->validation_fraction}
	};

	for (int i = 0; i < lengthof(integers); i++)
		if (!PG_ARGISNULL(integers[i].argument))
			*integers[i].value = PG_GETARG_INT32(integers[i].argument);
	for (int i = 0; i < lengthof(numbers); i++)
		if (!PG_ARGISNULL(numbers[i].argument))
			*numbers[i].value = (float) PG_GETARG_FLOAT8(numbers[i].argument);
}

/* What the caller gives goes over the defaults. */
static void
read_given(FunctionCallInfo fcinfo, EncoderOptions *options)
{
	Option		table[MOST_OPTIONS] = {{0}};

	json_options(options, table);
	options_read(fcinfo, PG_ARGISNULL(TRAIN_OPTIONS) ? NULL : PG_GETARG_JSONB_P(TRAIN_OPTIONS), table);
	read_arguments(fcinfo, options);
}

/* True when the caller says what the temperature is. */
static bool
gives_temperature(FunctionCallInfo fcinfo)
{
	JsonbValue	name = {.type = jbvString, .val.string = {lengthof("temperature") - 1, "temperature"}};

	return !PG_ARGISNULL(TRAIN_TEMPERATURE) ||
		(!PG_ARGISNULL(TRAIN_OPTIONS) &&
		 findJsonbValueFromContainer(&PG_GETARG_JSONB_P(TRAIN_OPTIONS)->root, JB_FOBJECT, &name) != NULL);
}

/* Defaults, options, arguments; see encoder_arguments.h. */
void
encoder_arguments_read(FunctionCallInfo fcinfo, Core *core, const GraphDefinition *definition,
					   const Graph *graph, EncoderOptions *options)
{
	encoder_defaults(options, graph);
	options->seed = PG_ARGISNULL(TRAIN_SEED) ? setting_seed : PG_GETARG_INT64(TRAIN_SEED);
	read_given(fcinfo, options);
	if (options->warm_start || options->sampled_neighbours > 0)
	{
		const EncoderOptions given = *options;

		encoder_defaults(options, graph);
		options->seed = given.seed;
		if (given.sampled_neighbours > 0)
			encoder_sampled_defaults(options);
		if (given.warm_start)
		{
			encoder_warm_defaults(options);
			network_stored_options(definition, options);
		}
		read_given(fcinfo, options);
	}
	options->choose_temperature = !gives_temperature(fcinfo);
	encoder_check(core, options);
	bridge_check(core, "training graph \"%s\"", definition->name);
}

/* See encoder_arguments.h. */
void
encoder_options_read(Jsonb *recorded, EncoderOptions *options)
{
	Option		table[MOST_OPTIONS] = {{0}};
	int			n = argument_options(options, table);

	json_options(options, table + n);
	options_read(NULL, recorded, table);
}

/* One option as a member of a JSON object. */
static void
record_option(JsonText *json, const Option *option)
{
	switch (option->type)
	{
		case OPTION_INT:
			json_count(json, option->name, *(int *) option->value);
			break;
		case OPTION_FLOAT:
			json_float(json, option->name, *(float *) option->value);
			break;
		case OPTION_BOOL:
			json_bool(json, option->name, *(bool *) option->value);
			break;
		case OPTION_CHOICE:
			json_word(json, option->name, option->choices[*(int *) option->value]);
			break;
	}
}

/* All options as a JSON object. */
char *
encoder_options_json(EncoderOptions *options)
{
	Option		table[MOST_OPTIONS];
	JsonText	json;
	int			n = argument_options(options, table);

	n += json_options(options, table + n);
	json_open(&json);
	for (int i = 0; i < n; i++)
		record_option(&json, &table[i]);
	return json_close(&json);
}
