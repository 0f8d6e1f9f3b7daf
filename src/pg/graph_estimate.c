/*
 * graph_estimate.c
 *		estimate(): memory and time of a training before it.
 *
 * It reads the sources as the training would, so that counts are those of now and the reading
 * is measured, and runs a pilot on a sample.  Nothing is written, and no lock of the graph taken:
 * a training may go on beside it.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "core/encoder_time.h"
#include "pg/bridge.h"
#include "pg/encoder_arguments.h"
#include "pg/graph_training.h"
#include "pg/result_rows.h"
#include "pg/settings.h"
#include "pg/training_memory.h"

PG_FUNCTION_INFO_V1(behavpred_estimate);

/*
 * Writing is the one part that cannot be tried: a row with its place in the index, and each
 * number of the vector.  A guess of the right size, small beside the training.
 */
#define SECONDS_FOR_ROW 3e-6
#define SECONDS_FOR_NUMBER 15e-9

#define LONG_SECONDS 60			/* from then on it is worth while to advise how to save time */
#define VERY_LONG_SECONDS 3600

/* Seconds that embedding_table_fill() takes for both tables. */
static double
writing_seconds(const Graph *graph, int dimension)
{
	return graph->n_nodes * (SECONDS_FOR_ROW + SECONDS_FOR_NUMBER * dimension);
}

/* What makes a long training that fits shorter, or safer; NULL when it is short. */
static char *
advise_time(const GraphTraining *training, double seconds)
{
	int			threads = training->core->threads;

	if (seconds > LONG_SECONDS && threads < setting_max_threads)
		return psprintf("threads => %d is faster.", setting_max_threads);
	if (seconds > VERY_LONG_SECONDS)
		return psprintf("CALL behavpred.run_graph('%s') keeps checkpoints to go on from.",
						training->definition->name);
	return NULL;
}

/* The OUT arguments. */
static Datum
estimate_result(FunctionCallInfo fcinfo, GraphTraining *training, size_t needed, double seconds)
{
	const Graph *graph = &training->loaded->graph;
	Core	   *core = training->core;
	bool		fits = needed <= core->memory_limit;
	char	   *advice = fits ? advise_time(training, seconds) :
		training_memory_advice(core, training->loaded, &training->options, needed);
	Datum		values[] = {
		Int64GetDatum(graph->n_users),
		Int64GetDatum(graph->n_objects),
		Int64GetDatum(graph->n_edges),
		Int64GetDatum((int64) needed),
		Float8GetDatum(seconds),
		Int64GetDatum((int64) core->memory_limit),
		BoolGetDatum(fits),
		advice == NULL ? (Datum) 0 : CStringGetTextDatum(advice)
	};
	bool		nulls[lengthof(values)] = {false};

	nulls[4] = isnan(seconds);
	nulls[7] = advice == NULL;
	return result_record(fcinfo, values, nulls);
}

/* estimate(graph, dimension, ...): the arguments of train_graph() */
Datum
behavpred_estimate(PG_FUNCTION_ARGS)
{
	const Graph any = {0};
	GraphTraining training = {0};
	LoadedGraph *loaded;
	EncoderTime time;
	size_t		needed;
	double		seconds;
	Datum		result;

	graph_training_open(fcinfo, &training);
	encoder_arguments_read(fcinfo, training.core, training.definition, &any, &training.options);
	loaded = training.loaded = graph_load(&training.arena, training.definition, true, training.options.seed);
	encoder_arguments_read(fcinfo, training.core, training.definition, &loaded->graph, &training.options);
	needed = Max(training_memory(training.core, loaded, &training.options), training.core->memory_peak);
	seconds = (GetCurrentTimestamp() - training.started_at) / (double) USECS_PER_SEC;
	encoder_time(training.core, &loaded->graph, loaded->user_features, loaded->object_features,
				 &training.options, &time);
	bridge_check(training.core, "estimating a training of graph \"%s\"", training.definition->name);
	seconds += time.seconds + writing_seconds(&loaded->graph, training.options.dimension);
	result = estimate_result(fcinfo, &training, needed, seconds);
	bridge_close(training.core);
	return result;
}
