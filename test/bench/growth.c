/*
 * growth.c
 *		Train one epoch on a generated graph, and print what it took for each edge.
 *
 *		growth edges [threads [steps [negatives [sampled_neighbours [batch_size]]]]]
 *
 * Ten edges a user and a hundred an object.  `steps` (16) is how many steps the epoch has, so
 * that each edge is propagated as often in graphs of all sizes; a step takes a million
 * edges at most, so that larger graphs than 16 million have more.  Fewer negatives than the default
 * leave out most of the loss, whose time for each edge is the same at all sizes.  With sampled_neighbours the steps are
 * those of blocks, of batch_size (4,096) positives each, and the network is not kept; 0 takes such steps over the whole graph.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "clocks.h"
#include "core/encoder.h"
#include "generated.h"

#define LARGEST_BATCH (1 << 20)

/* Processor seconds of the parts of a training. */
typedef struct Parts
{
	double		start;
	double		steps;
	double		finish;
} Parts;

/* Train, and let the arena have the vectors. */
static void
train(Core *core, Arena *arena, const Graph *graph, const EncoderOptions *options, Parts *parts)
{
	const EncoderObserver observer = {0};
	EncoderTraining *training;
	EncoderResult result;
	Arena		scratch;
	double		begin = processor_seconds();
	bool		finished;

	arena_open(&scratch, core);
	core_start_workers(core);
	training = encoder_open(core, &scratch, graph, NULL, NULL, options, false);
	check(core, "opening");
	parts->start = processor_seconds() - begin;
	encoder_run(training, &observer, &finished);
	check(core, "training");
	parts->steps = processor_seconds() - begin - parts->start;
	encoder_finish(training, arena, &result);
	check(core, "embedding");
	parts->finish = processor_seconds() - begin - parts->start - parts->steps;
	core_stop_workers(core);
	arena_close(&scratch);
}

int
main(int argc, char **argv)
{
	int64_t		edges = argc > 1 ? (int64_t) atof(argv[1]) : 1000000;
	int			threads = argc > 2 ? atoi(argv[2]) : 1;
	int			steps = argc > 3 ? atoi(argv[3]) : 16;
	Core		core;
	Arena		arena;
	Graph		graph;
	EncoderOptions options;
	Parts		parts;
	double		wall,
				processor;
	size_t		estimate;

	core_open_standalone(&core, threads);
	arena_open(&arena, &core);
	generate_graph(&core, &arena, (int32_t) (edges / 10), (int32_t) (edges / 100), edges, &graph);
	encoder_defaults(&options, &graph);
	options.epochs = 1;
	options.negatives = argc > 4 ? atoi(argv[4]) : options.negatives;
	options.batch_size = (int) fmin(LARGEST_BATCH, ceil((double) graph.n_edges / steps));
	if (argc > 5)
	{
		options.sampled_neighbours = atoi(argv[5]);
		options.batch_size = argc > 6 ? atoi(argv[6]) : 4096;
		options.epoch_steps = steps;
		options.keep_network = false;
	}
	estimate = encoder_memory(&options, graph.n_users, graph.n_objects, graph.n_edges, -1, false, 0, 0, threads);
	wall = wall_seconds();
	processor = processor_seconds();
	train(&core, &arena, &graph, &options, &parts);
	wall = wall_seconds() - wall;
	processor = processor_seconds() - processor;
	if (options.epoch_steps == 0)
		steps = (int) ceil((double) graph.n_edges / options.batch_size);
	printf("edges %lld users %d objects %d steps %d seconds %.2f processor_seconds %.2f "
		   "nanoseconds_for_edge_and_step %.1f microseconds_for_positive %.2f start %.2f finish %.2f peak_bytes %zu bytes_for_edge %.1f estimate_bytes %zu\n",
		   (long long) graph.n_edges, graph.n_users, graph.n_objects, steps, wall, processor,
		   1e9 * processor / graph.n_edges / steps,
		   1e6 * parts.steps / steps / fmin(options.batch_size, graph.n_edges), parts.start, parts.finish,
		   core.memory_peak,
		   (double) core.memory_peak / graph.n_edges, estimate);
	arena_close(&arena);
	return 0;
}
