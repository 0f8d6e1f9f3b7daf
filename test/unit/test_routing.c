/*
 * test_routing.c
 *		The routing of claim 5 and of DisenGCN: what must always hold, and the kernels
 *		against the formulas written as plain loops in double.
 *
 * That routing finds planted factors is tested in test_planted.c, its gradient in
 * test_gradient.c.
 */
#include "samples.h"

#include <math.h>
#include <string.h>

#include "core/kernels.h"

#define N_USERS 20
#define N_OBJECTS 12
#define N_INTERACTIONS 150
#define TOLERANCE 1e-5

typedef struct Shape
{
	int			factors;
	int			part;			/* numbers in a sub-vector, without the filling */
} Shape;

/* Those that have loops of their own, then others: filled up, one number, the most. */
static const Shape shapes[] = {
	{4, 16}, {2, 32}, {8, 8}, {1, 64}, {4, 32},
	{3, 5}, {5, 12}, {2, 1}, {1, 3}, {32, 8}, {31, 33},
};

#define SHAPES (int) (sizeof(shapes) / sizeof(shapes[0]))

/* One layer of routing by itself. */
typedef struct Case
{
	TestHost	host;
	Arena		arena;
	Graph		graph;
	Shape		shape;
	int			width;
	const Kernels *kernels;
	RoutingTask task;
	float	   *z;
	float	   *weights;		/* second weights */
} Case;

static float *
rows_of(Case *c)
{
	float	   *rows = arena_allocate_zeroed(&c->arena, (size_t) c->graph.n_nodes * c->width, sizeof(float));

	assert_non_null(rows);
	return rows;
}

/* Unit sub-vectors, zeros in the filling; row v depends on names[v] alone. */
static void
fill_unit_rows(Case *c, float *rows, uint64_t seed, const int32_t *names)
{
	int			W = c->width / c->shape.factors;
	float	   *lengths = arena_floats(&c->arena, (size_t) c->graph.n_nodes * c->shape.factors);

	for (int32_t v = 0; v < c->graph.n_nodes; v++)
		for (int i = 0; i < c->width; i++)
			rows[v * c->width + i] = i % W < c->shape.part ?
				sample_number(seed, (uint64_t) (names != NULL ? names[v] : v) * c->width + i) : 0;
	c->kernels->normalise(rows, rows, lengths, c->graph.n_nodes, c->shape.factors, W);
}

/* A graph of its own must be set in `graph` before; everything else is the same for all. */
static void
open_task(Case *c, Shape shape, bool own_centre, int rounds, bool portable)
{
	int			W = (shape.part + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES;
	size_t		entries = 2 * c->graph.n_edges;

	c->shape = shape;
	c->width = shape.factors * W;
	c->kernels = kernels_select(portable);
	c->z = rows_of(c);
	fill_unit_rows(c, c->z, 1, NULL);
	c->weights = arena_floats(&c->arena, entries);
	for (size_t e = 0; e < entries; e++)
		c->weights[e] = 0.2f + 0.1f * sample_number(2, e);
	c->task = (RoutingTask) {
		.offsets = c->graph.offsets, .neighbours = c->graph.neighbours, .reverse = c->graph.reverse,
		.factors = shape.factors, .sub_width = W, .rounds = rounds, .own_centre = own_centre,
		.inverse_temperature = 1 / 0.6f, .weights = c->weights,
		.mapped = c->z, .start = c->z,
		.first_weights = arena_floats(&c->arena, entries * shape.factors),
		.full_gradient = true,
	};
	for (int t = 0; t < rounds; t++)
	{
		c->task.centres[t] = rows_of(c);
		c->task.norms[t] = arena_floats(&c->arena, (size_t) c->graph.n_nodes * shape.factors);
	}
}

static void
open_case(Case *c, Shape shape, bool own_centre, int rounds, bool portable)
{
	host_open(&c->host, 1);
	arena_open(&c->arena, &c->host.core);
	sample_graph(&c->arena, N_USERS, N_OBJECTS, N_INTERACTIONS, false, 3, &c->graph);
	open_task(c, shape, own_centre, rounds, portable);
}

static void
close_case(Case *c)
{
	arena_close(&c->arena);
	host_assert_clean(&c->host);
}

static void
forward(Case *c)
{
	c->kernels->routing_forward(&c->task, 0, c->graph.n_nodes);
}

static const float *
result(const Case *c)
{
	return c->task.centres[c->task.rounds - 1];
}

/* Sub-vector k of a node. */
static const float *
part_of(const Case *c, const float *rows, int32_t v, int k)
{
	return rows + (size_t) v * c->width + k * c->task.sub_width;
}

/* First weight j of entry e, of the last round. */
static float
first_weight(const Case *c, int64_t e, int j)
{
	return c->task.first_weights[e * c->shape.factors + j];
}

/* ---- the formulas as plain loops ---------------------------------------------------------- */

static double
second_weight(const RoutingTask *t, int32_t v, int64_t e)
{
	return (t->weights == NULL ? 1 : t->weights[e]) * (t->left == NULL ? 1 : t->left[v]) *
		(t->right == NULL ? 1 : t->right[t->neighbours[e]]);
}

/* exp(z_{u,k} . c_{v,j} / tau) */
static double
similarity(const Case *c, int32_t u, int k, const double *centre, int j)
{
	const float *z = part_of(c, c->z, u, k);
	double		dot = 0;

	for (int d = 0; d < c->shape.part; d++)
		dot += z[d] * centre[j * c->task.sub_width + d];
	return exp(dot * c->task.inverse_temperature);
}

/* First weights of neighbour u for the centre: claim 5, or DisenGCN. */
static void
plain_first_weights(const Case *c, int32_t u, const double *centre, double *p)
{
	int			K = c->shape.factors;

	for (int j = 0; j < K; j++)
	{
		double		sum = 0;

		for (int k = 0; k < K; k++)
			sum += similarity(c, u, k, centre, c->task.own_centre ? j : k);
		p[j] = similarity(c, u, j, centre, j) / sum;
	}
}

/* m = z + sum of weighted neighbours, for the given centre. */
static void
plain_sum(const Case *c, int32_t v, const double *centre, double *m)
{
	double		p[KERNEL_MAX_FACTORS];

	for (int i = 0; i < c->width; i++)
		m[i] = c->z[(size_t) v * c->width + i];
	for (int64_t e = c->task.offsets[v]; e < c->task.offsets[v + 1]; e++)
	{
		int32_t		u = c->task.neighbours[e];

		plain_first_weights(c, u, centre, p);
		for (int i = 0; i < c->width; i++)
			m[i] += p[i / c->task.sub_width] * second_weight(&c->task, v, e) * c->z[(size_t) u * c->width + i];
	}
}

/* All rounds for one node; `old` receives the centre before the last one. */
static void
plain_route(const Case *c, int32_t v, double *old, double *centre, double *lengths)
{
	double		m[KERNEL_MAX_WIDTH];
	int			W = c->task.sub_width;

	for (int i = 0; i < c->width; i++)
		centre[i] = c->task.start[(size_t) v * c->width + i];
	for (int round = 0; round < c->task.rounds; round++)
	{
		memcpy(old, centre, c->width * sizeof(double));
		plain_sum(c, v, centre, m);
		for (int j = 0; j < c->shape.factors; j++)
		{
			double		square = 0;

			for (int d = j * W; d < (j + 1) * W; d++)
				square += m[d] * m[d];
			lengths[j] = sqrt(square);
			for (int d = j * W; d < (j + 1) * W; d++)
				centre[d] = m[d] / lengths[j];
		}
	}
}

/* Centres, lengths and first weights of every node. */
static void
assert_agrees_with_plain_loops(Case *c)
{
	double		old[KERNEL_MAX_WIDTH],
				centre[KERNEL_MAX_WIDTH],
				lengths[KERNEL_MAX_FACTORS],
				p[KERNEL_MAX_FACTORS];

	forward(c);
	for (int32_t v = 0; v < c->graph.n_nodes; v++)
	{
		plain_route(c, v, old, centre, lengths);
		for (int i = 0; i < c->width; i++)
			assert_close(result(c)[(size_t) v * c->width + i], centre[i], TOLERANCE);
		for (int j = 0; j < c->shape.factors; j++)
			assert_close(c->task.norms[c->task.rounds - 1][v * c->shape.factors + j], lengths[j], TOLERANCE);
		for (int64_t e = c->task.offsets[v]; e < c->task.offsets[v + 1]; e++)
		{
			plain_first_weights(c, c->task.neighbours[e], old, p);
			for (int j = 0; j < c->shape.factors; j++)
				assert_close(first_weight(c, e, j), p[j], TOLERANCE);
		}
	}
}

static void
kernels_agree_with_the_formulas(void **state)
{
	(void) state;
	for (int i = 0; i < SHAPES * 2 * 2 * 3; i += sweep_stride())
	{
		Case		c;

		open_case(&c, shapes[i / 12], i & 1, 1 + i / 4 % 3, i & 2);
		assert_agrees_with_plain_loops(&c);
		close_case(&c);
	}
}

/* A start of its own, as in higher layers, and second weights by node. */
static void
kernels_agree_with_other_inputs(void **state)
{
	(void) state;
	for (int i = 0; i < 16; i++)
	{
		Case		c;
		float	   *start;
		float	   *left;
		float	   *right;

		open_case(&c, shapes[i & 8 ? 5 : 0], i & 1, 2, i & 2);
		start = rows_of(&c);
		fill_unit_rows(&c, start, 4, NULL);
		left = arena_floats(&c.arena, c.graph.n_nodes);
		right = arena_floats(&c.arena, c.graph.n_nodes);
		for (int32_t v = 0; v < c.graph.n_nodes; v++)
		{
			left[v] = 0.4f + 0.3f * sample_number(5, v);
			right[v] = 0.4f + 0.3f * sample_number(6, v);
		}
		c.task.start = start;
		c.task.left = left;
		c.task.right = i & 4 ? right : NULL;
		if (i & 4)
			c.task.weights = NULL;
		assert_agrees_with_plain_loops(&c);
		close_case(&c);
	}
}

/* Only the last centres are kept when nothing will go backward through the others. */
static void
centres_in_between_may_be_left_out(void **state)
{
	(void) state;
	for (int i = 0; i < 4; i++)
	{
		Case		c;
		float	   *kept;
		size_t		bytes;

		open_case(&c, shapes[0], i & 1, 3, i & 2);
		bytes = (size_t) c.graph.n_nodes * c.width * sizeof(float);
		forward(&c);
		kept = arena_allocate(&c.arena, bytes, 1);
		memcpy(kept, result(&c), bytes);
		c.task.centres[0] = c.task.centres[1] = NULL;
		c.task.norms[0] = c.task.norms[1] = c.task.norms[2] = NULL;
		c.task.first_weights = NULL;
		forward(&c);
		assert_memory_equal(result(&c), kept, bytes);
		close_case(&c);
	}
}

/* ---- invariants ----------------------------------------------------------------------------- */

static void
sub_vectors_are_of_unit_length(void **state)
{
	(void) state;
	for (int i = 0; i < SHAPES * 4; i += sweep_stride())
	{
		Case		c;

		open_case(&c, shapes[i / 4], i & 1, 2, i & 2);
		forward(&c);
		for (int32_t v = 0; v < c.graph.n_nodes; v++)
			for (int k = 0; k < c.shape.factors; k++)
			{
				const float *part = part_of(&c, result(&c), v, k);
				double		square = 0;

				for (int d = 0; d < c.task.sub_width; d++)
				{
					square += (double) part[d] * part[d];
					if (d >= c.shape.part)
						assert_true(part[d] == 0);
				}
				assert_close(square, 1, TOLERANCE);
			}
		close_case(&c);
	}
}

/* Within (0, 1); DisenGCN's add up to 1, claim 5's need not; with one subspace all are 1. */
static void
first_weights_are_shares(void **state)
{
	bool		claim_differs = false;

	(void) state;
	for (int i = 0; i < SHAPES * 4; i += sweep_stride())
	{
		Case		c;

		open_case(&c, shapes[i / 4], i & 1, 2, i & 2);
		forward(&c);
		for (int64_t e = 0; e < 2 * c.graph.n_edges; e++)
		{
			double		sum = 0;

			for (int j = 0; j < c.shape.factors; j++)
			{
				float		p = first_weight(&c, e, j);

				sum += p;
				assert_true(p > 0);
				if (c.shape.factors == 1)
					assert_close(p, 1, 1e-6);
				else
					assert_true(p < 1);
			}
			if (!c.task.own_centre)
				assert_close(sum, 1, TOLERANCE);
			claim_differs = claim_differs || fabs(sum - 1) > 0.05;
		}
		close_case(&c);
	}
	assert_true(claim_differs);
}

static void
node_without_neighbours_keeps_its_own(void **state)
{
	(void) state;
	for (int i = 0; i < 8; i++)
	{
		Case		c;
		int			alone = 0;

		open_case(&c, shapes[i & 4 ? 5 : 0], i & 1, 3, i & 2);
		forward(&c);
		for (int32_t v = 0; v < c.graph.n_nodes; v++)
		{
			if (graph_degree(&c.graph, v) > 0)
				continue;
			alone++;
			for (int d = 0; d < c.width; d++)
				assert_close(result(&c)[v * c.width + d], c.z[v * c.width + d], 1e-6);
		}
		assert_true(alone > 0);
		close_case(&c);
	}
}

/* A sum without direction leaves the old centre, and says so by length 0. */
static void
sum_without_direction_leaves_the_centre(void **state)
{
	(void) state;
	for (int i = 0; i < 4; i++)
	{
		Case		c;
		float	   *start;

		open_case(&c, shapes[0], i & 1, 2, i & 2);
		start = rows_of(&c);
		fill_unit_rows(&c, start, 4, NULL);
		c.task.start = start;
		for (int32_t v = 0; v < c.graph.n_nodes; v++)	/* subspace 1 has nothing anywhere */
			memset(c.z + v * c.width + 16, 0, 16 * sizeof(float));
		forward(&c);
		for (int32_t v = 0; v < c.graph.n_nodes; v++)
		{
			assert_memory_equal(part_of(&c, result(&c), v, 1), part_of(&c, start, v, 1), 16 * sizeof(float));
			assert_true(c.task.norms[1][v * 4 + 1] == 0);
			assert_true(c.task.norms[1][v * 4 + 2] > 0);
		}
		close_case(&c);
	}
}

/* Whether neighbours come early or late in a list must not matter: all nodes renamed. */
static void
order_of_neighbours_does_not_matter(void **state)
{
	(void) state;
	for (int i = 0; i < 8; i++)
	{
		Case		c,
					renamed;
		int32_t		pairs[N_INTERACTIONS][2];
		int32_t		names[N_USERS + N_OBJECTS];	/* of the renamed graph's nodes */

		open_case(&c, shapes[i & 4 ? 5 : 0], i & 1, 2, i & 2);
		c.task.weights = NULL;
		forward(&c);
		for (int32_t v = 0; v < c.graph.n_nodes; v++)	/* backwards, each kind by itself */
			names[v] = v < N_USERS ? N_USERS - 1 - v : 2 * N_USERS + N_OBJECTS - 1 - v;
		for (int64_t e = 0; e < c.graph.n_edges; e++)
		{
			pairs[e][0] = names[c.graph.neighbours[c.graph.reverse[e]]];
			pairs[e][1] = names[c.graph.neighbours[e]] - N_USERS;
		}
		host_open(&renamed.host, 1);
		arena_open(&renamed.arena, &renamed.host.core);
		sample_graph_of_pairs(&renamed.arena, N_USERS, N_OBJECTS, pairs, NULL, c.graph.n_edges, &renamed.graph);
		open_task(&renamed, c.shape, c.task.own_centre, 2, i & 2);
		fill_unit_rows(&renamed, renamed.z, 1, names);
		renamed.task.weights = NULL;
		forward(&renamed);
		for (int32_t v = 0; v < c.graph.n_nodes; v++)
			for (int d = 0; d < c.width; d++)
				assert_close(result(&renamed)[v * c.width + d], result(&c)[names[v] * c.width + d], TOLERANCE);
		close_case(&renamed);
		close_case(&c);
	}
}

/* Subspaces have no order: turned round in the input, they are turned round in the output. */
static void
relabelling_subspaces_permutes_the_output(void **state)
{
	(void) state;
	for (int i = 0; i < 8; i++)
	{
		Case		c;
		float	   *before;
		float	   *turned;
		int			K;
		size_t		part_bytes;

		open_case(&c, shapes[i & 4 ? 5 : 0], i & 1, 2, i & 2);
		K = c.shape.factors;
		part_bytes = c.task.sub_width * sizeof(float);
		forward(&c);
		before = rows_of(&c);
		memcpy(before, result(&c), (size_t) c.graph.n_nodes * c.width * sizeof(float));
		turned = rows_of(&c);
		for (int32_t v = 0; v < c.graph.n_nodes; v++)
			for (int k = 0; k < K; k++)
				memcpy(turned + v * c.width + (k + 1) % K * c.task.sub_width, part_of(&c, c.z, v, k), part_bytes);
		c.task.mapped = c.task.start = turned;
		forward(&c);
		for (int32_t v = 0; v < c.graph.n_nodes; v++)
			for (int k = 0; k < K; k++)
				for (int d = 0; d < c.task.sub_width; d++)
					assert_close(part_of(&c, result(&c), v, (k + 1) % K)[d], part_of(&c, before, v, k)[d], TOLERANCE);
		close_case(&c);
	}
}

/* ---- the stopped backward pass --------------------------------------------------------------- */

static void
open_stopped_backward(Case *c)
{
	c->task.full_gradient = false;
	c->task.centre_gradient = rows_of(c);
	for (int32_t v = 0; v < c->graph.n_nodes; v++)
		for (int i = 0; i < c->width; i++)
			if (i % c->task.sub_width < c->shape.part)
				((float *) c->task.centre_gradient)[v * c->width + i] = sample_number(7, v * c->width + i);
	c->task.mapped_gradient = rows_of(c);
	c->task.weight_gradient = arena_floats(&c->arena, 2 * c->graph.n_edges);
	for (int t = 0; t < c->task.rounds - 1; t++)	/* the network does not keep these then */
		c->task.centres[t] = c->task.norms[t] = NULL;
	c->task.sum_gradients[c->task.rounds - 1] = rows_of(c);
}

/* dm = (g - (g . c) c) / |m| of one node, in double. */
static void
plain_sum_gradient(const Case *c, int32_t v, const double *centre, const double *lengths, double *dm)
{
	int			W = c->task.sub_width;

	for (int j = 0; j < c->shape.factors; j++)
	{
		const float *g = part_of(c, c->task.centre_gradient, v, j);
		double		along = 0;

		for (int d = 0; d < W; d++)
			along += g[d] * centre[j * W + d];
		for (int d = 0; d < W; d++)
			dm[j * W + d] = (g[d] - along * centre[j * W + d]) / lengths[j];
	}
}

/* With first weights as constants: dz_v = dm_v + sum of weights * dm over the centres that v
 * is a neighbour of; an entry's second weight gets sum over j of p_j dm_j . z_j. */
static void
assert_stopped_gradient_is_right(Case *c)
{
	double	   *dz = arena_allocate_zeroed(&c->arena, (size_t) c->graph.n_nodes * c->width, sizeof(double));
	int			W = c->task.sub_width;

	for (int32_t v = 0; v < c->graph.n_nodes; v++)
	{
		double		old[KERNEL_MAX_WIDTH],
					centre[KERNEL_MAX_WIDTH],
					dm[KERNEL_MAX_WIDTH],
					lengths[KERNEL_MAX_FACTORS],
					p[KERNEL_MAX_FACTORS];

		plain_route(c, v, old, centre, lengths);
		plain_sum_gradient(c, v, centre, lengths, dm);
		for (int i = 0; i < c->width; i++)
			dz[(size_t) v * c->width + i] += dm[i];
		for (int64_t e = c->task.offsets[v]; e < c->task.offsets[v + 1]; e++)
		{
			int32_t		u = c->task.neighbours[e];
			double		along = 0;

			plain_first_weights(c, u, old, p);
			for (int i = 0; i < c->width; i++)
			{
				dz[(size_t) u * c->width + i] += p[i / W] * second_weight(&c->task, v, e) * dm[i];
				along += p[i / W] * dm[i] * c->z[(size_t) u * c->width + i];
			}
			assert_close(c->task.weight_gradient[e], along, 5 * TOLERANCE);
		}
	}
	for (size_t i = 0; i < (size_t) c->graph.n_nodes * c->width; i++)
		assert_close(c->task.mapped_gradient[i], dz[i], 5 * TOLERANCE);
}

static void
stopped_gradient_agrees_with_the_formulas(void **state)
{
	(void) state;
	for (int i = 0; i < 3 * 2 * 2 * 3; i += sweep_stride())
	{
		Case		c;

		open_case(&c, shapes[i / 12 * 2 + 1], i & 1, 1 + i / 4 % 3, i & 2);
		open_stopped_backward(&c);
		forward(&c);
		c.kernels->routing_backward_centre(&c.task, 0, c.graph.n_nodes);
		c.kernels->routing_backward_neighbour(&c.task, 0, c.graph.n_nodes);
		assert_stopped_gradient_is_right(&c);
		close_case(&c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(kernels_agree_with_the_formulas),
		cmocka_unit_test(kernels_agree_with_other_inputs),
		cmocka_unit_test(centres_in_between_may_be_left_out),
		cmocka_unit_test(sub_vectors_are_of_unit_length),
		cmocka_unit_test(first_weights_are_shares),
		cmocka_unit_test(node_without_neighbours_keeps_its_own),
		cmocka_unit_test(sum_without_direction_leaves_the_centre),
		cmocka_unit_test(order_of_neighbours_does_not_matter),
		cmocka_unit_test(relabelling_subspaces_permutes_the_output),
		cmocka_unit_test(stopped_gradient_agrees_with_the_formulas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
