/*
 * spectral.c
 *		Randomised subspace iteration on the bipartite graph (Halko, Martinsson, Tropp 2011).
 *
 * Each round multiplies a block of vectors by the normalised adjacency, to the users and
 * back, and makes the columns orthonormal by Cholesky's factor of their Gram matrix.  Floor
 * of a half round: E * P * 4 bytes gathered and 2 n P^2 flops, P columns.
 */
#include "core/spectral.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "core/dense.h"
#include "core/random.h"

#define ROUNDS 8
#define OVERSAMPLING 16
#define MOST_SWEEPS 30
#define SMALLEST_PIVOT 1e-10

typedef struct Spectral
{
	Network    *network;
	Arena	   *arena;
	int			wanted;			/* singular vectors, the trivial first one included */
	int			columns;		/* wanted + oversampling, filled up to whole lanes */
	float	   *scale;			/* n_nodes: 1 / sqrt(degree) */
	float	   *rows;			/* n_nodes x columns, users first */
	float	   *gram;			/* columns x columns */
	float	   *partial;
	double	   *matrix;			/* columns x columns */
	double	   *vectors;		/* columns x columns */
	double	   *values;			/* columns */
} Spectral;

/* Singular vectors to look for, the trivial first one included. */
static int
wanted_vectors(int dimension, int64_t n_users, int64_t n_objects)
{
	int64_t		wanted = dimension < SPECTRAL_MOST ? dimension + 1 : SPECTRAL_MOST;

	wanted = wanted < n_users ? wanted : n_users;
	return (int) (wanted < n_objects ? wanted : n_objects);
}

/* Filled up to whole lanes. */
static int
columns_for(int wanted)
{
	return (wanted + OVERSAMPLING + KERNEL_LANES - 1) & ~(KERNEL_LANES - 1);
}

size_t
spectral_bytes(int dimension, int64_t n_users, int64_t n_objects)
{
	int			columns = columns_for(wanted_vectors(dimension, n_users, n_objects));
	size_t		square = (size_t) columns * columns;
	size_t		floats = (size_t) (n_users + n_objects) * (columns + 1) + square +
		dense_partial_count(n_users + n_objects, columns, columns);

	return floats * sizeof(float) + (2 * square + columns) * sizeof(double);
}

static CoreStatus
spectral_open(Spectral *s, Network *network, Arena *arena)
{
	const Graph *graph = network->graph;
	size_t		square;

	memset(s, 0, sizeof(*s));
	s->network = network;
	s->arena = arena;
	s->wanted = wanted_vectors(network->options->dimension, graph->n_users, graph->n_objects);
	s->columns = columns_for(s->wanted);
	square = (size_t) s->columns * s->columns;
	s->scale = arena_floats(arena, graph->n_nodes);
	s->rows = arena_floats(arena, (size_t) graph->n_nodes * s->columns);
	s->gram = arena_floats(arena, square);
	s->partial = arena_floats(arena, dense_partial_count(graph->n_nodes, s->columns, s->columns));
	s->matrix = arena_doubles(arena, square);
	s->vectors = arena_doubles(arena, square);
	s->values = arena_doubles(arena, s->columns);
	if (arena->core->status != CORE_OK)
		return arena->core->status;
	for (int32_t v = 0; v < graph->n_nodes; v++)
	{
		int64_t		degree = graph_degree(graph, v);

		s->scale[v] = degree > 0 ? (float) (1 / sqrt(degree)) : 0;
	}
	return CORE_OK;
}

static void
draw_objects(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const Spectral *s = argument;

	(void) shard;
	for (int64_t i = (int64_t) first * s->columns; i < (int64_t) last * s->columns; i++)
		s->rows[i] = (float) random_normal(network->options->seed, RANDOM_PROJECTION, i);
}

/* One half round: rows of one side from those of the other. */
typedef struct HalfRound
{
	GatherTask	task;
	int32_t		first;
	int32_t		last;
} HalfRound;

static void
multiply_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const HalfRound *half = argument;

	(void) shard;
	first = first > half->first ? first : half->first;
	last = last < half->last ? last : half->last;
	if (first < last)
		network->kernels->gather(&half->task, first, last);
}

static CoreStatus
multiply(Spectral *s, bool to_users)
{
	const Graph *graph = s->network->graph;
	HalfRound	half = {
		.task = {
			.offsets = graph->offsets, .neighbours = graph->neighbours,
			.left = s->scale, .right = s->scale,
			.input = s->rows, .output = s->rows, .width = s->columns,
		},
		.first = to_users ? 0 : graph->n_users,
		.last = to_users ? graph->n_users : graph->n_nodes,
	};

	return network_over_nodes(s->network, multiply_nodes, &half);
}

/* Gram matrix of one side's columns. */
static CoreStatus
gram_matrix(Spectral *s, bool of_users)
{
	const Graph *graph = s->network->graph;
	float	   *rows = s->rows + (of_users ? 0 : (size_t) graph->n_users * s->columns);
	Dense		product = {
		.core = s->network->core, .rows = of_users ? graph->n_users : graph->n_objects,
		.inputs = s->columns, .outputs = s->columns,
		.x = rows, .y = rows, .matrix_gradient = s->gram, .partial = s->partial,
	};

	if (dense_backward_matrix(&product) != CORE_OK)
		return s->network->core->status;
	for (size_t i = 0; i < (size_t) s->columns * s->columns; i++)
		s->matrix[i] = s->gram[i];
	return CORE_OK;
}

/*
 * s->matrix = C C': C in the lower triangle; then its inverse, transposed, in s->vectors:
 * rows times that have orthonormal columns.  A column that depends on the others is dropped.
 */
static void
cholesky_inverse(Spectral *s)
{
	int			n = s->columns;
	double	   *c = s->matrix;
	double	   *inverse = s->vectors;
	double		largest = 0;

	for (int i = 0; i < n; i++)
		largest = fmax(largest, c[i * n + i]);
	memset(inverse, 0, (size_t) n * n * sizeof(double));
	for (int j = 0; j < n; j++)
	{
		double		pivot = c[j * n + j];

		for (int k = 0; k < j; k++)
			pivot -= c[j * n + k] * c[j * n + k];
		c[j * n + j] = pivot > SMALLEST_PIVOT * largest ? sqrt(pivot) : 0;
		for (int i = j + 1; i < n; i++)
		{
			double		sum = c[i * n + j];

			for (int k = 0; k < j; k++)
				sum -= c[i * n + k] * c[j * n + k];
			c[i * n + j] = c[j * n + j] > 0 ? sum / c[j * n + j] : 0;
		}
	}
	/* inverse[k * n + j] = element (j, k) of C^-1 */
	for (int k = 0; k < n; k++)
		for (int j = k; j < n; j++)
		{
			double		sum = j == k ? 1 : 0;

			for (int i = k; i < j; i++)
				sum -= c[j * n + i] * inverse[k * n + i];
			inverse[k * n + j] = c[j * n + j] > 0 ? sum / c[j * n + j] : 0;
		}
}

typedef struct Rotation
{
	const Spectral *s;
	int32_t		first;
	int32_t		last;
	const float *matrix;		/* columns x columns */
} Rotation;

#define ROTATION_ROWS 64

static void
rotate_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const Rotation *r = argument;
	int			n = r->s->columns;
	float		buffer[ROTATION_ROWS * (SPECTRAL_MOST + OVERSAMPLING + KERNEL_LANES)];

	(void) network;
	(void) shard;
	first = first > r->first ? first : r->first;
	last = last < r->last ? last : r->last;
	for (int32_t v = first; v < last; v += ROTATION_ROWS)
	{
		int			rows = last - v < ROTATION_ROWS ? last - v : ROTATION_ROWS;
		float	   *place = r->s->rows + (size_t) v * n;

		memcpy(buffer, place, (size_t) rows * n * sizeof(float));
		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, n, n, 1, buffer, n,
					r->matrix, n, 0, place, n);
	}
}

/* Rows of one side times a square matrix of doubles. */
static CoreStatus
rotate(Spectral *s, bool users, const double *matrix)
{
	const Graph *graph = s->network->graph;
	Rotation	rotation = {
		.s = s, .matrix = s->gram,
		.first = users ? 0 : graph->n_users, .last = users ? graph->n_users : graph->n_nodes,
	};

	for (size_t i = 0; i < (size_t) s->columns * s->columns; i++)
		s->gram[i] = (float) matrix[i];
	return network_over_nodes(s->network, rotate_nodes, &rotation);
}

static CoreStatus
orthonormalise(Spectral *s, bool users)
{
	if (gram_matrix(s, users) != CORE_OK)
		return s->network->core->status;
	cholesky_inverse(s);
	return rotate(s, users, s->vectors);
}

/* One Jacobi rotation that zeroes element (p, q) of s->matrix. */
static void
jacobi_rotate(Spectral *s, int p, int q)
{
	int			n = s->columns;
	double	   *a = s->matrix;
	double		theta = (a[q * n + q] - a[p * n + p]) / (2 * a[p * n + q]);
	double		t = (theta >= 0 ? 1 : -1) / (fabs(theta) + sqrt(theta * theta + 1));
	double		c = 1 / sqrt(t * t + 1);
	double		sine = t * c;

	for (int i = 0; i < n; i++)
	{
		double		x = a[i * n + p];
		double		y = a[i * n + q];

		a[i * n + p] = c * x - sine * y;
		a[i * n + q] = sine * x + c * y;
	}
	for (int i = 0; i < n; i++)
	{
		double		x = a[p * n + i];
		double		y = a[q * n + i];

		a[p * n + i] = c * x - sine * y;
		a[q * n + i] = sine * x + c * y;
	}
	for (int i = 0; i < n; i++)
	{
		double		x = s->vectors[i * n + p];
		double		y = s->vectors[i * n + q];

		s->vectors[i * n + p] = c * x - sine * y;
		s->vectors[i * n + q] = sine * x + c * y;
	}
}

/* Eigenvalues and -vectors (columns of s->vectors) of the symmetric s->matrix. */
static CoreStatus
eigen(Spectral *s)
{
	int			n = s->columns;

	memset(s->vectors, 0, (size_t) n * n * sizeof(double));
	for (int i = 0; i < n; i++)
		s->vectors[i * n + i] = 1;
	for (int sweep = 0; sweep < MOST_SWEEPS; sweep++)
	{
		double		off = 0;
		double		diagonal = 0;

		for (int p = 0; p < n; p++)
		{
			diagonal += s->matrix[p * n + p] * s->matrix[p * n + p];
			for (int q = p + 1; q < n; q++)
				off += s->matrix[p * n + q] * s->matrix[p * n + q];
		}
		if (off <= 1e-20 * diagonal)
			break;
		for (int p = 0; p < n; p++)
		{
			for (int q = p + 1; q < n; q++)
				if (s->matrix[p * n + q] != 0)
					jacobi_rotate(s, p, q);
			if (!core_continues(s->network->core))
				return s->network->core->status;
		}
	}
	for (int i = 0; i < n; i++)
		s->values[i] = fmax(0, s->matrix[i * n + i]);
	return CORE_OK;
}

/* Order of the eigenvalues, largest first. */
static void
sort_values(const Spectral *s, int *order)
{
	for (int i = 0; i < s->columns; i++)
	{
		int			place = i;

		while (place > 0 && s->values[order[place - 1]] < s->values[i])
		{
			order[place] = order[place - 1];
			place--;
		}
		order[place] = i;
	}
}

typedef struct Fill
{
	const Spectral *s;
	const int  *order;
	const double *factors;		/* for each dimension: what its column is multiplied by, users ... */
	const double *object_factors;	/* ... and objects */
	double		noise;
} Fill;

/* Dimension i of the embedding stands in subspace i % factors. */
static int
place_of(const Network *network, int i)
{
	return i % network->options->factors * network->sub_width + i / network->options->factors;
}

static void
fill_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const Fill *fill = argument;

	(void) shard;
	for (int32_t v = first; v < last; v++)
	{
		float	   *id = network->parameters + network->layout.id_embeddings + (size_t) v * network->width;
		const float *row = fill->s->rows + (size_t) v * fill->s->columns;
		const double *scale = v < network->graph->n_users ? fill->factors : fill->object_factors;

		for (int i = 0; i + 1 < fill->s->wanted && i < network->options->dimension; i++)
		{
			float	   *place = id + place_of(network, i);

			*place = (float) (fill->noise * *place + scale[i] * row[fill->order[i + 1]]);
		}
	}
}

/* Scale so that the embeddings keep the deviation that random ones have. */
static CoreStatus
fill_embeddings(Spectral *s, double power, double noise, float *inverse_values)
{
	const Graph *graph = s->network->graph;
	int		   *order = arena_allocate(s->arena, s->columns, sizeof(int));
	double	   *factors = arena_doubles(s->arena, s->columns);
	double	   *object_factors = arena_doubles(s->arena, s->columns);
	double		squares = 0;
	double		scale;

	if (s->network->core->status != CORE_OK)
		return s->network->core->status;
	sort_values(s, order);
	for (int i = 0; i + 1 < s->wanted; i++)
		squares += pow(s->values[order[i + 1]], power);
	/* a unit column has mean square 1 / n; both sides together 2 / n_nodes */
	scale = s->network->options->initial_deviation *
		sqrt(graph->n_nodes / 2.0 * (s->wanted - 1) / fmax(squares, 1e-30));
	for (int i = 0; i + 1 < s->wanted; i++)
	{
		double		value = sqrt(s->values[order[i + 1]]);
		double		weight = scale * pow(value, power);

		object_factors[i] = weight;
		factors[i] = value > 1e-6 ? weight / value : 0; /* users' rows still carry the singular value */
		if (inverse_values != NULL && i < s->network->options->dimension)
			inverse_values[place_of(s->network, i)] = value > 1e-6 ? (float) (1 / value) : 0;
	}
	return network_over_nodes(s->network, fill_nodes, &(Fill) {s, order, factors, object_factors, noise});
}

CoreStatus
spectral_start(Network *network, Arena *arena, double power, double noise, float *inverse_values)
{
	Core	   *core = network->core;
	Spectral	s;

	if (spectral_open(&s, network, arena) != CORE_OK || s.wanted < 2)
		return core->status;
	if (network_over_nodes(network, draw_objects, &s) != CORE_OK)
		return core->status;
	for (int round = 0; round < ROUNDS; round++)
		if (multiply(&s, true) != CORE_OK || orthonormalise(&s, true) != CORE_OK ||
			multiply(&s, false) != CORE_OK || orthonormalise(&s, false) != CORE_OK ||
			!core_report(core, "spectral start", round + 1, ROUNDS))
			return core->status;
	if (multiply(&s, true) != CORE_OK || gram_matrix(&s, true) != CORE_OK || eigen(&s) != CORE_OK ||
		rotate(&s, true, s.vectors) != CORE_OK || rotate(&s, false, s.vectors) != CORE_OK)
		return core->status;
	return fill_embeddings(&s, power, noise, inverse_values);
}
