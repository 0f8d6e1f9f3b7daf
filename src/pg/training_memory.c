/*
 * training_memory.c
 *		What a training of a graph needs, against behavpred.max_memory.
 *
 * src/core/encoder_memory.c counts; here come the keys, and the search for what would fit.
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"

#include "pg/training_memory.h"
#include "pg/wording.h"

#define SMALLEST_BATCH 256		/* the default of small graphs */

/* Bytes in use for what encoder_memory() does not count: the keys. */
static size_t
memory_of_keys(Core *core, const LoadedGraph *loaded)
{
	const Graph *graph = &loaded->graph;
	size_t		counted = (graph->n_nodes + 1) * sizeof(int64) + 2 * graph->n_edges * (sizeof(int32) + sizeof(uint32));

	if (graph->weights != NULL)
		counted += 2 * graph->n_edges * sizeof(float);
	if (graph->types != NULL)
		counted += 2 * graph->n_edges;
	if (loaded->user_features != NULL)
		counted += (size_t) graph->n_users * loaded->user_features->columns * sizeof(float);
	if (loaded->object_features != NULL)
		counted += (size_t) graph->n_objects * loaded->object_features->columns * sizeof(float);
	return core->memory_used > counted ? core->memory_used - counted : 0;
}

/* Bytes that training needs if the graph had so many edges. */
static size_t
memory_with_edges(Core *core, const LoadedGraph *loaded, const EncoderOptions *options, int64 n_edges)
{
	const Graph *graph = &loaded->graph;
	int64		predicted = graph->types == NULL ? -1 : Min(graph_predicted_edges(graph), n_edges);

	return memory_of_keys(core, loaded) +
		encoder_memory(options, graph->n_users, graph->n_objects, n_edges, predicted, graph->weights != NULL,
					   loaded->user_features == NULL ? 0 : loaded->user_features->columns,
					   loaded->object_features == NULL ? 0 : loaded->object_features->columns,
					   core->threads);
}

/* See training_memory.h. */
size_t
training_memory(Core *core, const LoadedGraph *loaded, const EncoderOptions *options)
{
	return memory_with_edges(core, loaded, options, loaded->graph.n_edges);
}

/* The largest half, quarter, ... of the dimension that fits. */
static void
advise_dimension(StringInfo advice, Core *core, const LoadedGraph *loaded, const EncoderOptions *options)
{
	EncoderOptions smaller = *options;

	while (smaller.dimension % (2 * smaller.factors) == 0)
	{
		size_t		fits;

		smaller.dimension /= 2;
		fits = training_memory(core, loaded, &smaller);
		if (fits > core->memory_limit)
			continue;
		appendStringInfo(advice, "; or use dimension => %d (about %s)", smaller.dimension, format_bytes(fits));
		return;
	}
}

/* The same for the batch, which counts when it is large against the nodes. */
static void
advise_batch_size(StringInfo advice, Core *core, const LoadedGraph *loaded, const EncoderOptions *options)
{
	EncoderOptions smaller = *options;

	smaller.batch_size = (int) Min(smaller.batch_size, loaded->graph.n_edges);
	while (smaller.batch_size / 2 >= SMALLEST_BATCH)
	{
		size_t		fits;

		smaller.batch_size /= 2;
		fits = training_memory(core, loaded, &smaller);
		if (fits > core->memory_limit)
			continue;
		appendStringInfo(advice, "; or use batch_size => %d (about %s)", smaller.batch_size, format_bytes(fits));
		return;
	}
}

/* Options of a training on samples that fit, as the argument options has them; false when there are none. */
static bool
fit_samples(StringInfo options_text, Core *core, const LoadedGraph *loaded, EncoderOptions *options)
{
	static const int neighbours[] = {25, 10, 6, 4};
	const int	largest = options->batch_size;

	for (int batch = largest; batch >= Min(largest, SMALLEST_BATCH); batch /= 2)
		for (int i = 0; i < lengthof(neighbours); i++)
		{
			options->sampled_neighbours = neighbours[i];
			options->batch_size = batch;
			if (training_memory(core, loaded, options) > core->memory_limit)
				continue;
			appendStringInfo(options_text, "\"sampled_neighbours\": %d", neighbours[i]);
			if (batch < largest)
				appendStringInfo(options_text, ", \"batch_size\": %d", batch);
			if (!options->keep_network)
				appendStringInfoString(options_text, ", \"keep_network\": false");
			return true;
		}
	return false;
}

/* The options with the defaults of samples, where the training has defaults. */
static EncoderOptions
sampled_options(const LoadedGraph *loaded, const EncoderOptions *options)
{
	EncoderOptions sampled = *options;
	EncoderOptions defaults;

	encoder_defaults(&defaults, &loaded->graph);
	encoder_sampled_defaults(&sampled);
	if (options->negatives != defaults.negatives)
		sampled.negatives = options->negatives;
	return sampled;
}

/* Training on samples, if need be without keeping the network. */
static void
advise_samples(StringInfo advice, Core *core, const LoadedGraph *loaded, const EncoderOptions *options)
{
	EncoderOptions sampled = sampled_options(loaded, options);
	StringInfoData text;

	if (loaded->graph.types != NULL || loaded->user_features != NULL || loaded->object_features != NULL ||
		options->layer_mean)
		return;
	initStringInfo(&text);
	if (!fit_samples(&text, core, loaded, &sampled))
	{
		sampled = sampled_options(loaded, options);
		sampled.keep_network = false;
		if (!options->keep_network || !fit_samples(&text, core, loaded, &sampled))
			return;
	}
	appendStringInfo(advice, "; or train on samples, options => '{%s}' (about %s)", text.data,
					 format_bytes(training_memory(core, loaded, &sampled)));
}

/* At most so many edges are left by a max_degree. */
static int64
edges_within(const Graph *graph, int64 max_degree)
{
	int64		edges[2] = {0, 0};

	for (int32 v = 0; v < graph->n_nodes; v++)
		edges[v >= graph->n_users] += Min(graph_degree(graph, v), max_degree);
	return Min(edges[0], edges[1]);
}

/* The largest round max_degree that fits. */
static void
advise_max_degree(StringInfo advice, Core *core, const LoadedGraph *loaded, const EncoderOptions *options)
{
	static const int degrees[] = {5000, 2000, 1000, 500, 200, 100, 50, 20, 10};

	for (int i = 0; i < lengthof(degrees); i++)
	{
		int64		edges = edges_within(&loaded->graph, degrees[i]);
		size_t		fits = memory_with_edges(core, loaded, options, edges);

		CHECK_FOR_INTERRUPTS();
		if (fits > core->memory_limit)
			continue;
		appendStringInfo(advice, "; or create the graph with max_degree => %d (about %s)", degrees[i],
						 format_bytes(fits));
		return;
	}
}

/* See training_memory.h. */
char *
training_memory_advice(Core *core, const LoadedGraph *loaded, const EncoderOptions *options, size_t needed)
{
	StringInfoData advice;

	initStringInfo(&advice);
	appendStringInfo(&advice, "SET behavpred.max_memory = '%s'", format_bytes(needed + needed / 8));
	advise_dimension(&advice, core, loaded, options);
	advise_batch_size(&advice, core, loaded, options);
	advise_max_degree(&advice, core, loaded, options);
	advise_samples(&advice, core, loaded, options);
	appendStringInfoChar(&advice, '.');
	return advice.data;
}

/* See training_memory.h. */
void
training_memory_check(Core *core, const GraphDefinition *definition, const LoadedGraph *loaded,
					  const EncoderOptions *options)
{
	size_t		needed = training_memory(core, loaded, options);
	const Graph *graph = &loaded->graph;

	if (needed <= core->memory_limit)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("training graph \"%s\" needs about %s, behavpred.max_memory is %s",
					definition->name, format_bytes(needed), format_bytes(core->memory_limit)),
			 errdetail("%s, %s, %s, dimension %d, layers %d%s.", format_counted(graph->n_users, "user"),
					   format_counted(graph->n_objects, "object"), format_counted(graph->n_edges, "edge"),
					   options->dimension, options->layers,
					   options->sampled_neighbours == 0 ? "" :
					   psprintf(", sampled_neighbours %d, batch_size %d", options->sampled_neighbours, options->batch_size)),
			 errhint("%s", training_memory_advice(core, loaded, options, needed))));
}
