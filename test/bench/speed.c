/*
 * speed.c
 *		The loops that a training spends its time in, against what the machine can do.
 *
 *		speed [edges [rounds]]
 *
 * On a generated graph (default 800,000 edges, ten a user and twenty an object).  Each loop and its
 * measure run in turn, `rounds` (3) times; the least processor time of each counts, so that
 * others on the machine disturb little.  The last part compares 2 threads with 1 by the wall: it
 * says something only where two processors are free.
 */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clocks.h"
#include "core/loss.h"
#include "core/optimizer.h"
#include "core/ranking.h"
#include "core/spectral.h"
#include "generated.h"

#define COPY_BYTES (64 << 20)	/* of each of the two buffers: beyond the caches */
#define TOP 20
#define PANEL_ROWS 512			/* of the bare product of ranking; the fastest of 128 to 2,048 */
#define PANEL_COLUMNS 2048
#define LONG_SECONDS 1.2		/* what a phase is repeated to */

typedef struct Bench
{
	Core		core;
	Arena		arena;
	Graph		graph;
	EncoderOptions options;
	Network		network;
	Loss		loss;
	Optimizer	optimizer;
	double		copied_bytes;	/* by run_copy() */
	char	   *from;
	char	   *to;
	int32_t    *masked;
	int32_t    *top;
	float	   *scores;
	float	   *product;
	int			rounds;
	bool		missed;
} Bench;

typedef void (*Work) (Bench *bench);

/* Everything that a training opens; fills what the backward pass reads. */
static void
open_network(Bench *bench, Arena *arena)
{
	network_open(&bench->network, &bench->core, arena, &bench->graph, NULL, NULL, &bench->options, true);
	loss_open(&bench->loss, arena, &bench->network);
	optimizer_open(&bench->optimizer, arena, &bench->network);
	check(&bench->core, "opening the network");
	network_forward(&bench->network);
	loss_choose(&bench->loss, 1, 0, bench->loss.batch);
	loss_step(&bench->loss, &(double) {0});
	check(&bench->core, "the first step");
}

static void
run_propagation(Bench *bench)
{
	network_forward(&bench->network);
	network_backward(&bench->network);
}

/*
 * Bytes of one propagation and its way back.  Each layer reads the row of every neighbour once in
 * each round forward, and once back (the gradient of every node it was a neighbour of); with
 * routing it writes and reads its first weights, by number of subspaces.  8 rows of each node
 * are read or written in a layer besides (start, result; back: gradient, centre, sum, input
 * twice), and 16 once (input, read-out, and back).  Places of neighbours and twins: 4 bytes each.
 */
static double
propagation_bytes(const Bench *bench)
{
	const EncoderOptions *options = &bench->options;
	bool		routing = options->routing != ROUTING_OFF;
	double		entries = 2.0 * bench->graph.n_edges;
	double		row = 4.0 * bench->network.width;
	double		rounds = routing ? options->routing_iterations : 1;
	double		layer = entries * ((rounds + 1) * (row + 4) + 4) + bench->graph.n_nodes * 8 * row;

	if (routing)
		layer += entries * 2 * 4 * options->factors;
	return options->layers * layer + bench->graph.n_nodes * 16 * row;
}

static void
run_copy(Bench *bench)
{
	for (double left = bench->copied_bytes; left > 0; left -= COPY_BYTES)
		memcpy(bench->to, bench->from, left < COPY_BYTES ? (size_t) left : COPY_BYTES);
}

static void
run_loss(Bench *bench)
{
	loss_step(&bench->loss, &(double) {0});
}

/* The three products of each block of the loss, and nothing else. */
static void
run_loss_products(Bench *bench)
{
	const Loss *loss = &bench->loss;
	const LossScratch *scratch = &loss->scratch[0];
	int			width = bench->network.width;
	int			m = loss->negatives;

	for (int first = 0; first < loss->batch; first += LOSS_BLOCK)
	{
		int			n = loss->batch - first < LOSS_BLOCK ? loss->batch - first : LOSS_BLOCK;

		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, m, width, 1,
					scratch->users, width, scratch->negatives, width, 0, scratch->logits, m);
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, width, m, 1,
					scratch->logits, m, scratch->negatives, width, 0, bench->product, width);
		cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, width, n, 1,
					scratch->logits, m, scratch->users, width, 0, bench->product, width);
	}
}

static void
run_ranking(Bench *bench)
{
	const Graph *graph = &bench->graph;
	int			width = bench->network.width;
	Vectors		users = {graph->n_users, width, bench->network.unit};
	Vectors		objects = {graph->n_objects, width, bench->network.unit + (size_t) graph->n_users * width};
	Lists		masked = {graph->offsets, bench->masked};

	ranking_top(&bench->core, &bench->arena, &users, &objects, &masked, TOP, bench->top, bench->scores);
}

/* All scores, each panel over the one before. */
static void
run_ranking_product(Bench *bench)
{
	const Graph *graph = &bench->graph;
	int			width = bench->network.width;
	const float *objects = bench->network.unit + (size_t) graph->n_users * width;

	for (int32_t u = 0; u < graph->n_users; u += PANEL_ROWS)
		for (int32_t o = 0; o < graph->n_objects; o += PANEL_COLUMNS)
		{
			int			rows = graph->n_users - u < PANEL_ROWS ? graph->n_users - u : PANEL_ROWS;
			int			columns = graph->n_objects - o < PANEL_COLUMNS ? graph->n_objects - o : PANEL_COLUMNS;

			cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, columns, width, 1,
						bench->network.unit + (size_t) u * width, width,
						objects + (size_t) o * width, width, 0, bench->product, columns);
		}
}

static void
run_adam(Bench *bench)
{
	optimizer_step(&bench->optimizer, 1e-6);
}

static void
run_spectral_start(Bench *bench)
{
	Arena		scratch;

	arena_open(&scratch, &bench->core);
	spectral_start(&bench->network, &scratch, bench->options.spectral_power, bench->options.spectral_noise, NULL);
	arena_close(&scratch);
}

/* Processor seconds of one run. */
static double
measure(Bench *bench, Work work)
{
	double		start = processor_seconds();

	work(bench);
	check(&bench->core, "a measured loop");
	return processor_seconds() - start;
}

/* The least time of a loop and of its measure, in turn. */
static void
compare(Bench *bench, Work work, Work bare, double *seconds, double *bare_seconds)
{
	*seconds = *bare_seconds = INFINITY;
	for (int round = 0; round < bench->rounds; round++)
	{
		*seconds = fmin(*seconds, measure(bench, work));
		*bare_seconds = fmin(*bare_seconds, measure(bench, bare));
	}
}

static void
tell(Bench *bench, const char *what, double ratio, const char *relation, double bound)
{
	bool		good = relation[0] == '>' ? ratio >= bound : ratio <= bound;

	printf("  ratio %.2f (%s %.2f)%s   %s\n", ratio, relation, bound, good ? "" : "  MISSED", what);
	fflush(stdout);
	bench->missed |= !good;
}

static void
compare_propagation(Bench *bench, const char *name)
{
	double		seconds,
				bare;

	bench->copied_bytes = propagation_bytes(bench);
	compare(bench, run_propagation, run_copy, &seconds, &bare);
	printf("propagation, %s: %.0f MB in %.3f s, %.2f GB/s; copy %.2f GB/s\n", name, bench->copied_bytes / 1e6,
		   seconds, bench->copied_bytes / seconds / 1e9, bench->copied_bytes / bare / 1e9);
	tell(bench, "bytes a second against a plain copy", bare / seconds, ">=", 0.5);
}

static void
compare_loss(Bench *bench)
{
	double		flops = 6.0 * bench->loss.batch * bench->loss.negatives * bench->network.width;
	double		seconds,
				bare;

	compare(bench, run_loss, run_loss_products, &seconds, &bare);
	printf("loss: %d positives, %d negatives: %.3f s, %.1f Gflop/s; bare products %.1f Gflop/s\n", bench->loss.batch,
		   bench->loss.negatives, seconds, flops / seconds / 1e9, flops / bare / 1e9);
	tell(bench, "flops a second against the bare products", bare / seconds, ">=", 0.6);
}

static void
compare_ranking(Bench *bench)
{
	double		seconds,
				bare;

	compare(bench, run_ranking, run_ranking_product, &seconds, &bare);
	printf("ranking: %d users, %d objects, best %d: %.3f s; bare product %.3f s\n", bench->graph.n_users,
		   bench->graph.n_objects, TOP, seconds, bare);
	tell(bench, "seconds against the bare product", seconds / bare, "<=", 1.5);
}

/* Seconds by the wall of so many runs with so many threads. */
static double
measure_threads(Bench *bench, Work work, int runs, int threads)
{
	double		start;

	bench->core.threads = threads;
	core_start_workers(&bench->core);
	start = wall_seconds();
	for (int i = 0; i < runs; i++)
		work(bench);
	start = wall_seconds() - start;
	core_stop_workers(&bench->core);
	check(&bench->core, "a measured loop");
	return start;
}

static void
compare_threads(Bench *bench, const char *name, Work work)
{
	int			runs = (int) ceil(LONG_SECONDS / fmax(measure(bench, work), 1e-3));
	double		one = INFINITY,
				two = INFINITY;

	for (int round = 0; round < bench->rounds; round++)
	{
		one = fmin(one, measure_threads(bench, work, runs, 1));
		two = fmin(two, measure_threads(bench, work, runs, 2));
	}
	printf("%s, %d times: 1 thread %.2f s, 2 threads %.2f s\n", name, runs, one, two);
	tell(bench, "speed-up by the second thread", one / two, ">=", 1.7);
}

static void
compare_all_threads(Bench *bench)
{
	compare_threads(bench, "spectral start", run_spectral_start);
	compare_threads(bench, "propagation", run_propagation);
	compare_threads(bench, "loss", run_loss);
	compare_threads(bench, "Adam", run_adam);
	compare_threads(bench, "ranking", run_ranking);
}

/* Buffers; touched once, so that no page is new when it is measured. */
static void
open_bench(Bench *bench, int64_t edges)
{
	Graph	   *graph = &bench->graph;

	core_open_standalone(&bench->core, 2);
	arena_open(&bench->arena, &bench->core);
	generate_graph(&bench->core, &bench->arena, (int32_t) (edges / 10), (int32_t) (edges / 20), edges, graph);
	bench->from = arena_allocate_zeroed(&bench->arena, 2, COPY_BYTES);
	bench->to = bench->from + COPY_BYTES;
	bench->masked = arena_allocate(&bench->arena, graph->n_edges, sizeof(int32_t));
	bench->top = arena_allocate(&bench->arena, (size_t) graph->n_users * TOP, sizeof(int32_t));
	bench->scores = arena_floats(&bench->arena, (size_t) graph->n_users * TOP);
	bench->product = arena_floats(&bench->arena, PANEL_ROWS * PANEL_COLUMNS);
	check(&bench->core, "opening");
	for (int64_t e = 0; e < graph->n_edges; e++)
		bench->masked[e] = graph->neighbours[e] - graph->n_users;
	memset(bench->from, 1, 2 * (size_t) COPY_BYTES);
	encoder_defaults(&bench->options, graph);
}

int
main(int argc, char **argv)
{
	Bench		bench = {.rounds = argc > 2 ? atoi(argv[2]) : 3};
	Arena		plain;

	open_bench(&bench, argc > 1 ? (int64_t) atof(argv[1]) : 800000);
	bench.core.threads = 2;		/* scratch for both; one works until threads are compared */
	arena_open(&plain, &bench.core);
	bench.options.routing = ROUTING_OFF;
	open_network(&bench, &plain);
	compare_propagation(&bench, "plain");
	arena_close(&plain);
	encoder_defaults(&bench.options, &bench.graph);
	open_network(&bench, &bench.arena);
	compare_propagation(&bench, "routing by claim 5");
	compare_loss(&bench);
	compare_ranking(&bench);
	compare_all_threads(&bench);
	arena_close(&bench.arena);
	return bench.missed;
}
