/*
 * ials.c
 *		Each node's row in turn is the least squares solution for its edges, the other side fixed.
 */
#include "ials.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "core/random.h"

#define SEED 42
#define SMALLEST_PIVOT 1e-10
#define NODES_PER_SHARD 64

/* See ials.h. */
void
cholesky(double *matrix, int n)
{
	for (int i = 0; i < n; i++)
		for (int j = 0; j <= i; j++)
		{
			double		sum = matrix[i * n + j];

			for (int k = 0; k < j; k++)
				sum -= matrix[i * n + k] * matrix[j * n + k];
			matrix[i * n + j] = i == j ? sqrt(fmax(sum, SMALLEST_PIVOT)) : sum / matrix[j * n + j];
		}
}

/* One half of an epoch: the rows of one side from those of the other. */
typedef struct HalfEpoch
{
	Core	   *core;
	const Graph *graph;
	const IalsOptions *options;
	float	   *rows;
	int32_t		first;			/* node */
	int32_t		last;
	double		others;			/* nodes of the other side */
	const double *gram;			/* of the other side */
	double	   *scratch;		/* for each worker a matrix and a vector */
} HalfEpoch;

/* Solve C C' x = x in place. */
static void
solve(const double *factor, double *x, int n)
{
	for (int i = 0; i < n; i++)
	{
		for (int k = 0; k < i; k++)
			x[i] -= factor[i * n + k] * x[k];
		x[i] /= factor[i * n + i];
	}
	for (int i = n - 1; i >= 0; i--)
	{
		for (int k = i + 1; k < n; k++)
			x[i] -= factor[k * n + i] * x[k];
		x[i] /= factor[i * n + i];
	}
}

/* Least squares of one node: its edges are 1, all pairs are 0 with a small weight. */
static void
solve_node(const HalfEpoch *half, int32_t v, double *matrix, double *sum)
{
	const Graph *graph = half->graph;
	const IalsOptions *options = half->options;
	int			n = options->width;
	double		ridge = options->regularisation * (graph_degree(graph, v) + options->unobserved * half->others);

	memset(sum, 0, n * sizeof(double));
	for (int i = 0; i < n * n; i++)
		matrix[i] = options->unobserved * half->gram[i];
	for (int64_t e = graph->offsets[v]; e < graph->offsets[v + 1]; e++)
	{
		const float *row = half->rows + (size_t) graph->neighbours[e] * n;

		for (int i = 0; i < n; i++)
		{
			sum[i] += row[i];
			for (int j = 0; j <= i; j++)
				matrix[i * n + j] += row[i] * row[j];
		}
	}
	for (int i = 0; i < n; i++)
		matrix[i * n + i] += ridge;
	cholesky(matrix, n);
	solve(matrix, sum, n);
	for (int i = 0; i < n; i++)
		half->rows[(size_t) v * n + i] = (float) sum[i];
}

static void
solve_shard(void *argument, int64_t shard, int worker)
{
	const HalfEpoch *half = argument;
	int			n = half->options->width;
	double	   *matrix = half->scratch + (size_t) worker * n * (n + 1);
	int64_t		first = half->first + shard * NODES_PER_SHARD;

	for (int64_t v = first; v < first + NODES_PER_SHARD && v < half->last; v++)
		solve_node(half, (int32_t) v, matrix, matrix + n * n);
}

/* New rows of one side; the rest of *half stands. */
static void
run_half_epoch(HalfEpoch *half, bool users, double *gram, float *product)
{
	const Graph *graph = half->graph;
	int			n = half->options->width;
	int32_t		others = users ? graph->n_objects : graph->n_users;
	const float *rows = half->rows + (users ? (size_t) graph->n_users * n : 0);

	half->first = users ? 0 : graph->n_users;
	half->last = users ? graph->n_users : graph->n_nodes;
	half->others = others;
	half->gram = gram;
	cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, n, others, 1, rows, n, rows, n, 0, product, n);
	for (int i = 0; i < n * n; i++)
		gram[i] = product[i];
	core_parallel(half->core, (half->last - half->first + NODES_PER_SHARD - 1) / NODES_PER_SHARD, solve_shard, half);
}

void
ials_defaults(IalsOptions *options)
{
	*options = (IalsOptions) {.width = 64, .epochs = 16, .unobserved = 0.1, .regularisation = 0.003};
}

CoreStatus
ials_fit(Core *core, Arena *arena, const Graph *graph, const IalsOptions *options, float *rows)
{
	int			n = options->width;
	HalfEpoch	half = {.core = core, .graph = graph, .options = options, .rows = rows};
	double	   *gram = arena_doubles(arena, (size_t) n * n);
	float	   *product = arena_floats(arena, (size_t) n * n);

	half.scratch = arena_doubles(arena, (size_t) core->threads * n * (n + 1));
	if (core->status != CORE_OK)
		return core->status;
	for (size_t i = 0; i < (size_t) graph->n_nodes * n; i++)
		rows[i] = (float) (0.1 / sqrt(n) * random_normal(SEED, RANDOM_INITIAL_WEIGHTS, i));
	core_start_workers(core);
	for (int epoch = 0; epoch < options->epochs; epoch++)
	{
		run_half_epoch(&half, true, gram, product);
		run_half_epoch(&half, false, gram, product);
	}
	core_stop_workers(core);
	return core->status;
}
