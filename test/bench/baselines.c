/*
 * baselines.c
 *		What others rank by, on the same held-out edges as the encoder.
 *
 *		baselines train.csv test.csv gfcf|ials [validation_fraction=0.05] [name=value ...]
 *
 * gfcf: the closed form of Shen et al. 2021; vectors (256), alpha (0.3).
 * ials: alternating least squares on implicit feedback, Hu et al. 2008 as set up by Rendle et al. 2022;
 * dimension (64), epochs (16), unobserved (0.1), regularisation (0.003).
 */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clocks.h"
#include "core/holdout.h"
#include "core/random.h"
#include "ials.h"
#include "pairs.h"

#define SEED 42					/* as the encoder's default: it chooses the held-out edges */
#define ROUNDS 8				/* of subspace iteration */

typedef struct Baseline
{
	Core		core;
	Arena		arena;
	Pairs		pairs;
	EncoderOptions options;
	Holdout		holdout;
	Graph		graph;			/* without the held-out edges */

	int			width;			/* of singular vectors */
	float	   *rows;			/* n_nodes x width, users first */
	double		alpha;
	IalsOptions ials;
} Baseline;

/* ---- GF-CF ------------------------------------------------------------------------------ */

/* Make the columns of n rows orthonormal. */
static void
orthonormalise(const Baseline *b, float *rows, int32_t n, double *gram, float *factor)
{
	int			width = b->width;

	cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, width, width, n, 1, rows, width, rows, width,
				0, factor, width);
	for (int i = 0; i < width * width; i++)
		gram[i] = factor[i];
	cholesky(gram, width);
	for (int i = 0; i < width * width; i++)
		factor[i] = (float) gram[i];
	cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, n, width, 1,
				factor, width, rows, width);
}

/* A basis of the leading singular vectors of the normalised adjacency, in the objects' rows. */
static void
find_basis(Baseline *b, const float *scale)
{
	const Graph *graph = &b->graph;
	const Kernels *kernels = kernels_select(false);
	size_t		square = (size_t) b->width * b->width;
	double	   *gram = arena_doubles(&b->arena, square);
	float	   *factor = arena_floats(&b->arena, square);
	float	   *objects = b->rows + (size_t) graph->n_users * b->width;
	GatherTask	task = {
		.offsets = graph->offsets, .neighbours = graph->neighbours, .left = scale, .right = scale,
		.input = b->rows, .output = b->rows, .width = b->width,
	};

	check(&b->core, "reserving");
	for (size_t i = 0; i < (size_t) graph->n_objects * b->width; i++)
		objects[i] = (float) random_normal(SEED, RANDOM_PROJECTION, i);
	for (int round = 0; round < ROUNDS; round++)
	{
		kernels->gather(&task, 0, graph->n_users);
		orthonormalise(b, b->rows, graph->n_users, gram, factor);
		kernels->gather(&task, graph->n_users, graph->n_nodes);
		orthonormalise(b, objects, graph->n_objects, gram, factor);
	}
}

/* What ranking one user needs. */
typedef struct Filter
{
	const float *scale;			/* 1 / sqrt(degree) */
	double	   *users;			/* weights of users, 0 between calls */
	double	   *scores;			/* of objects */
	double	   *coordinates;	/* width */
} Filter;

/* Scores of a user: r R~' R~ + alpha r D^-1/2 V V' D^1/2, r his row of the adjacency. */
static void
filter_user(const Baseline *b, const Filter *f, int32_t user)
{
	const Graph *graph = &b->graph;
	const float *basis = b->rows + (size_t) graph->n_users * b->width;

	memset(f->scores, 0, graph->n_objects * sizeof(double));
	memset(f->coordinates, 0, b->width * sizeof(double));
	for (int64_t e = graph->offsets[user]; e < graph->offsets[user + 1]; e++)
	{
		int32_t		node = graph->neighbours[e];

		for (int k = 0; k < b->width; k++)
			f->coordinates[k] += f->scale[node] * basis[(size_t) (node - graph->n_users) * b->width + k];
		for (int64_t i = graph->offsets[node]; i < graph->offsets[node + 1]; i++)
			f->users[graph->neighbours[i]] += f->scale[node];
	}
	for (int32_t v = 0; v < graph->n_users; v++)
	{
		double		weight = f->users[v] * f->scale[v] * f->scale[v];

		f->users[v] = 0;
		for (int64_t e = graph->offsets[v]; weight > 0 && e < graph->offsets[v + 1]; e++)
			f->scores[graph->neighbours[e] - graph->n_users] += weight;
	}
	for (int32_t o = 0; o < graph->n_objects; o++)
	{
		double		low_pass = 0;
		double		degree = fmax(1, graph_degree(graph, graph->n_users + o));

		for (int k = 0; k < b->width; k++)
			low_pass += f->coordinates[k] * basis[(size_t) o * b->width + k];
		f->scores[o] = f->scores[o] * f->scale[graph->n_users + o] + b->alpha * low_pass * sqrt(degree);
	}
}

/* The best objects by score; those that the query user has are out. */
static void
take_best(const Lists *masked, int64_t query, double *scores, int32_t n_objects, int32_t *top)
{
	for (int64_t i = masked->starts[query]; i < masked->starts[query + 1]; i++)
		scores[masked->items[i]] = -INFINITY;
	for (int place = 0; place < VALIDATION_K; place++)
	{
		int32_t		best = 0;

		for (int32_t o = 1; o < n_objects; o++)
			if (scores[o] > scores[best])
				best = o;
		top[place] = best;
		scores[best] = -INFINITY;
	}
}

static void
run_gfcf(Baseline *b, RankingQuality *quality)
{
	const Graph *graph = &b->graph;
	Holdout    *holdout = &b->holdout;
	float	   *scale = arena_floats(&b->arena, graph->n_nodes);
	Filter		filter = {
		.scale = scale,
		.users = arena_allocate_zeroed(&b->arena, graph->n_users, sizeof(double)),
		.scores = arena_doubles(&b->arena, graph->n_objects),
		.coordinates = arena_doubles(&b->arena, b->width),
	};

	check(&b->core, "reserving");
	for (int32_t v = 0; v < graph->n_nodes; v++)
		scale[v] = (float) (1 / sqrt(fmax(1, graph_degree(graph, v))));
	find_basis(b, scale);
	for (int64_t q = 0; q < holdout->n_queries; q++)
	{
		filter_user(b, &filter, holdout->query_users[q]);
		take_best(&holdout->masked, q, filter.scores, graph->n_objects, holdout->top_objects + q * VALIDATION_K);
	}
	ranking_quality(holdout->n_queries, VALIDATION_K, holdout->top_objects, &holdout->relevant, quality);
}

/* ---- the program ------------------------------------------------------------------------ */

static void
set_option(Baseline *b, const char *argument)
{
	double		x = strchr(argument, '=') == NULL ? 0 : atof(strchr(argument, '=') + 1);

#define OPTION(name, place) if (strncmp(argument, name "=", sizeof(name)) == 0) { place = x; return; }
	OPTION("validation_fraction", b->options.validation_fraction)
	OPTION("vectors", b->width) OPTION("dimension", b->ials.width) OPTION("alpha", b->alpha)
	OPTION("epochs", b->ials.epochs) OPTION("unobserved", b->ials.unobserved)
	OPTION("regularisation", b->ials.regularisation)
	OPTION("threads", b->core.threads)
	fprintf(stderr, "unknown option %s\n", argument);
	exit(1);
}

int
main(int argc, char **argv)
{
	bool		gfcf = argc > 3 && strcmp(argv[3], "gfcf") == 0;
	Baseline	b = {.width = 256, .alpha = 0.3};
	RankingQuality quality;
	double		start;

	if (argc < 4 || (!gfcf && strcmp(argv[3], "ials") != 0))
	{
		fprintf(stderr, "usage: baselines train.csv test.csv gfcf|ials [name=value ...]\n");
		return 1;
	}
	ials_defaults(&b.ials);
	core_open_standalone(&b.core, 2);
	arena_open(&b.arena, &b.core);
	pairs_load(&b.core, &b.arena, argv[1], argv[2], &b.pairs);
	encoder_defaults(&b.options, &b.pairs.graph);
	b.options.validation_fraction = 0.05f;
	for (int i = 4; i < argc; i++)
		set_option(&b, argv[i]);
	if (!gfcf)
		b.width = b.ials.width;
	b.width = (b.width + KERNEL_LANES - 1) & ~(KERNEL_LANES - 1);
	b.ials.width = b.width;
	b.options.dimension = b.width;
	holdout_split(&b.holdout, &b.arena, &b.pairs.graph, &b.options, &b.graph);
	b.rows = arena_floats(&b.arena, (size_t) b.graph.n_nodes * b.width);
	check(&b.core, "opening");
	start = processor_seconds();
	if (gfcf)
		run_gfcf(&b, &quality);
	else if (ials_fit(&b.core, &b.arena, &b.graph, &b.ials, b.rows) == CORE_OK)
		holdout_quality(&b.holdout, &b.arena, &b.graph, b.rows, b.width, &quality);
	check(&b.core, "ranking");
	printf("held-out recall %.4f ndcg %.4f  processor %.1f s\n", quality.recall, quality.ndcg, processor_seconds() - start);
	arena_close(&b.arena);
	return 0;
}
