/*
 * encoder.c
 *		Train the encoder on a pair of CSV files without a server, and rank the test part:
 *		the tool for ablations.  Every name=value argument sets one option.
 *
 *		encoder train.csv test.csv [name=value ...]
 *
 * Files have a header line and user_id,object_id in each row.  Prints one line per epoch
 * with the quality on held-out edges, and at the end Recall and NDCG at 20 on the test
 * part (all objects ranked, training edges masked, mean over users).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clocks.h"
#include "core/encoder.h"
#include "core/ranking.h"
#include "pairs.h"

static int
choice(const char *value, const char *const *names)
{
	for (int i = 0; names[i] != NULL; i++)
		if (strcmp(value, names[i]) == 0)
			return i;
	fprintf(stderr, "unknown choice %s\n", value);
	exit(1);
}

static void
set_option(EncoderOptions *o, const char *name, const char *value)
{
	double		x = atof(value);

#define INT_OPTION(field) if (strcmp(name, #field) == 0) { o->field = (int) x; return; }
#define FLOAT_OPTION(field) if (strcmp(name, #field) == 0) { o->field = (float) x; return; }
	INT_OPTION(dimension) INT_OPTION(factors) INT_OPTION(layers) INT_OPTION(routing_iterations)
	INT_OPTION(attention_width) INT_OPTION(layer_mean) INT_OPTION(full_gradient)
	INT_OPTION(epochs) INT_OPTION(batch_size) INT_OPTION(negatives) INT_OPTION(patience)
	INT_OPTION(sampled_neighbours) INT_OPTION(epoch_steps) INT_OPTION(keep_network)
	INT_OPTION(seed) INT_OPTION(hide_positives) INT_OPTION(keep_lengths)
	FLOAT_OPTION(routing_temperature) FLOAT_OPTION(learning_rate) FLOAT_OPTION(temperature)
	FLOAT_OPTION(weight_decay) FLOAT_OPTION(validation_fraction) FLOAT_OPTION(neighbour_scale)
	FLOAT_OPTION(initial_bias) FLOAT_OPTION(initial_deviation)
	FLOAT_OPTION(spectral_power) FLOAT_OPTION(spectral_noise) FLOAT_OPTION(adam_beta2) INT_OPTION(spectral_start)
	if (strcmp(name, "routing") == 0)
		o->routing = choice(value, (const char *const[]) {"claim", "disengcn", "off", NULL});
	else if (strcmp(name, "attention") == 0)
		o->attention = choice(value, (const char *const[]) {"symmetric", "additive", "off", NULL});
	else if (strcmp(name, "mapping") == 0)
		o->mapping = choice(value, (const char *const[]) {"automatic", "identity", "linear", NULL});
	else if (strcmp(name, "loss") == 0)
		o->loss = choice(value, (const char *const[]) {"softmax", "logistic", NULL});
	else
	{
		fprintf(stderr, "unknown option %s\n", name);
		exit(1);
	}
}

static void
print_epoch(void *data, const EncoderEpoch *epoch)
{
	(void) data;
	printf("epoch %3d  loss %.4f  held-out recall %.4f ndcg %.4f  %.2f s\n",
		   epoch->epoch, epoch->loss, epoch->recall_at_20, epoch->ndcg_at_20, epoch->seconds);
	fflush(stdout);
}

static void
rank_test(Core *core, Arena *arena, const Pairs *data, const EncoderResult *result)
{
	const Graph *graph = &data->graph;
	Graph		test;
	int32_t    *masked = arena_allocate(arena, graph->n_edges, sizeof(int32_t));
	int32_t    *relevant;
	int32_t    *top = arena_allocate(arena, (size_t) graph->n_users * 20, sizeof(int32_t));
	float	   *scores = arena_floats(arena, (size_t) graph->n_users * 20);
	Vectors		users = {graph->n_users, result->width, result->vectors};
	Vectors		objects = {graph->n_objects, result->width,
	result->vectors + (size_t) graph->n_users * result->width};
	RankingQuality quality;
	double		start = wall_seconds();

	graph_build(core, arena, &data->test, graph->n_users, graph->n_objects, 0, 0, &test);
	relevant = arena_allocate(arena, test.n_edges, sizeof(int32_t));
	check(core, "reading the test part");
	for (int64_t e = 0; e < graph->n_edges; e++)
		masked[e] = graph->neighbours[e] - graph->n_users;
	for (int64_t e = 0; e < test.n_edges; e++)
		relevant[e] = test.neighbours[e] - test.n_users;
	ranking_top(core, arena, &users, &objects, &(Lists) {graph->offsets, masked}, 20, top, scores);
	check(core, "ranking");
	ranking_quality(graph->n_users, 20, top, &(Lists) {test.offsets, relevant}, &quality);
	printf("test: users %lld  recall@20 %.4f  ndcg@20 %.4f  (errors %.4f %.4f)  ranking %.2f s\n",
		   (long long) quality.users, quality.recall, quality.ndcg,
		   quality.recall_error, quality.ndcg_error, wall_seconds() - start);
}

int
main(int argc, char **argv)
{
	Core		core;
	Arena		arena;
	Pairs		data;
	EncoderOptions options;
	EncoderResult result;
	int			threads = 2;
	double		start = wall_seconds();
	double		loaded;
	double		busy;

	if (argc < 3)
	{
		fprintf(stderr, "usage: encoder train.csv test.csv [name=value ...]\n");
		return 1;
	}
	for (int i = 3; i < argc; i++)
		if (strncmp(argv[i], "threads=", 8) == 0)
			threads = atoi(argv[i] + 8);
	core_open_standalone(&core, threads);
	arena_open(&arena, &core);
	pairs_load(&core, &arena, argv[1], argv[2], &data);
	encoder_defaults(&options, &data.graph);
	options.choose_temperature = true;
	for (int i = 3; i < argc; i++)
	{
		char	   *equals = strchr(argv[i], '=');

		if (strncmp(argv[i], "portable", 8) == 0)
			core.portable = true;
		else if (equals != NULL && strncmp(argv[i], "threads=", 8) != 0)
		{
			*equals = 0;
			options.choose_temperature &= strcmp(argv[i], "temperature") != 0;
			set_option(&options, argv[i], equals + 1);
		}
	}
	loaded = wall_seconds();
	busy = processor_seconds();
	encoder_train(&core, &arena, &data.graph, NULL, NULL, &options, print_epoch, NULL, &result);
	check(&core, "training");
	printf("kept: recall %.4f ndcg %.4f\n", result.best.recall_at_20, result.best.ndcg_at_20);
	printf("load %.2f s  train %.2f s  processor %.1f s  temperature %.3f  best epoch %d  peak %.0f MB  estimate %.0f MB  platt %.3f %.3f\n",
		   loaded - start, wall_seconds() - loaded, processor_seconds() - busy, result.temperature, result.best_epoch, core.memory_peak / 1e6,
		   encoder_memory(&options, data.graph.n_users, data.graph.n_objects, data.graph.n_edges,
						  -1, data.graph.weights != NULL, 0, 0, threads) / 1e6, result.scale, result.offset);
	rank_test(&core, &arena, &data, &result);
	arena_close(&arena);
	return 0;
}
