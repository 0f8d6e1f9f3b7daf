/*
 * test_kernels.c
 *		The hot loops, table by table, against plain loops in double.
 *
 * Routing has a file of its own, test_routing.c.
 */
#include "samples.h"

#include <math.h>
#include <string.h>

#include "core/kernels.h"

#define TABLES 2

/* The portable table and the one this processor gets. */
static const Kernels *
table(int i)
{
	return kernels_select(i == 0);
}

static void
tables_are_told_apart(void **state)
{
	(void) state;
	assert_string_equal(table(0)->name, "portable");
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		assert_string_not_equal(table(1)->name, "portable");
#endif
}

static void
exponentials_agree_with_libm(void **state)
{
	enum {N = 10003};			/* no multiple of the lanes */
	static float row[N],
				bias[N];

	(void) state;
	for (int i = 0; i < TABLES; i++)
	{
		const float shift = 3;
		double		sum = 0;
		float		got;

		sample_numbers(bias, N, 1);
		for (int j = 0; j < N; j++)
			row[j] = -84 + 160.0f * j / N + shift;	/* minus shift and bias: -85 .. 77 */
		got = table(i)->exponentials(row, bias, shift, N);
		for (int j = 0; j < N; j++)
		{
			float		x = -84 + 160.0f * j / N + shift + bias[j] - shift;
			double		expected = exp(x);

			/* half a unit in the last place of x is 4e-6 here */
			assert_close(row[j] / expected, 1, 1e-5);
			sum += row[j];
		}
		assert_close(got / sum, 1, 1e-5);
	}
}

/* Near 0 rounding of the argument plays no part: the polynomial's own error shows. */
static void
exponentials_are_exact_to_a_few_units(void **state)
{
	enum {N = 4096};
	float		row[N],
				zero[N] = {0};

	(void) state;
	for (int i = 0; i < TABLES; i++)
	{
		for (int j = 0; j < N; j++)
			row[j] = -4 + 8.0f * j / N;
		table(i)->exponentials(row, zero, 0, N);
		for (int j = 0; j < N; j++)
			assert_close(row[j] / exp(-4 + 8.0f * j / N), 1, 2.5e-7);
	}
}

static void
exponentials_are_cut_at_both_ends(void **state)
{
	float		zero[9] = {0};

	(void) state;
	for (int i = 0; i < TABLES; i++)
	{
		float		row[9] = {-1e30f, -INFINITY, -200, -87, 0, 88, 200, 1e30f, INFINITY};

		table(i)->exponentials(row, zero, 0, 9);
		for (int j = 0; j < 4; j++)
			assert_close(row[j] / exp(-87), 1, 1e-5);
		assert_true(row[4] == 1);
		for (int j = 5; j < 9; j++)
			assert_close(row[j] / exp(88), 1, 1e-5);
	}
}

static void
sigmoids_agree_with_libm(void **state)
{
	enum {N = 1003};
	float		row[N],
				bias[N];

	(void) state;
	for (int i = 0; i < TABLES; i++)
	{
		double		loss = 0;
		double		got;

		sample_numbers(bias, N, 2);
		for (int j = 0; j < N; j++)
			row[j] = -60 + 120.0f * j / N;
		got = table(i)->sigmoids(row, bias, N);
		for (int j = 0; j < N; j++)
		{
			double		x = -60 + 120.0f * j / N + bias[j];
			double		expected = 1 / (1 + exp(-x));

			assert_close(row[j] / expected, 1, 1e-5);
			loss += x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
		}
		assert_close(got / loss, 1, 1e-6);
	}
}

static void
sigmoid_of_a_masked_logit_is_nothing(void **state)
{
	(void) state;
	for (int i = 0; i < TABLES; i++)
	{
		float		row[2] = {-1e30f, 1e30f};
		float		bias[2] = {0, -1e30f};
		float		loss = table(i)->sigmoids(row, bias, 2);

		assert_close(row[0], 0, 1e-37);
		assert_true(row[1] == 0.5f);
		assert_close(loss, log(2), 1e-6);
	}
}

static void
scale_and_add_is_a_plain_loop(void **state)
{
	enum {N = 43};

	(void) state;
	for (int i = 0; i < TABLES; i++)
	{
		float		row[N],
					sums[N],
					old_row[N],
					old_sums[N];

		sample_numbers(row, N, 3);
		sample_numbers(sums, N, 4);
		memcpy(old_row, row, sizeof(row));
		memcpy(old_sums, sums, sizeof(sums));
		table(i)->scale_and_add(row, sums, 0.3f, N);
		for (int j = 0; j < N; j++)
		{
			assert_close(row[j], 0.3 * old_row[j], 1e-7);
			assert_close(sums[j], old_sums[j] + 0.3 * old_row[j], 2e-7);
		}
	}
}

/* What masked logits leave behind, exp(-87), would make the products that follow slow. */
static void
scale_and_add_leaves_no_traces(void **state)
{
	enum {N = 19};

	(void) state;
	for (int i = 0; i < TABLES; i++)
	{
		float		row[N],
					sums[N];

		for (int j = 0; j < N; j++)
		{
			row[j] = j % 3 == 0 ? 1 : j % 3 == 1 ? 1.6e-38f : -1.6e-38f;
			sums[j] = 0;
		}
		table(i)->scale_and_add(row, sums, 1e-4f, N);
		for (int j = 0; j < N; j++)
		{
			assert_true(row[j] == (j % 3 == 0 ? 1e-4f : 0));
			assert_true(sums[j] == row[j]);
		}
	}
}

static void
dot_and_add_scaled_are_plain_loops(void **state)
{
	enum {N = 72};

	(void) state;
	for (int i = 0; i < TABLES; i++)
	{
		float		a[N],
					b[N],
					old[N];
		double		dot = 0;

		sample_numbers(a, N, 5);
		sample_numbers(b, N, 6);
		for (int j = 0; j < N; j++)
			dot += (double) a[j] * b[j];
		assert_close(table(i)->dot(a, b, N), dot, 1e-6);
		assert_true(table(i)->dot(a, b, 0) == 0);
		memcpy(old, a, sizeof(a));
		table(i)->add_scaled(a, b, -1.7f, N);
		for (int j = 0; j < N; j++)
			assert_close(a[j], old[j] - 1.7 * b[j], 1e-6);
	}
}

static void
above_finds_all_and_only_those(void **state)
{
	enum {N = 1000};
	static float row[N];
	static int32_t positions[N];

	(void) state;
	sample_numbers(row, N, 8);
	row[5] = NAN;
	row[6] = -INFINITY;
	row[7] = INFINITY;
	for (int i = 0; i < TABLES; i++)
		for (int n = 0; n <= N; n += n < 100 ? 1 : 100)
			for (float threshold = -1.5f; threshold < 1.2f; threshold += 0.25f)
			{
				int			found = table(i)->above(row, n, threshold, positions);
				int			expected = 0;

				for (int j = 0; j < n; j++)
					if (row[j] > threshold)
					{
						assert_true(expected < found);
						assert_int_equal(positions[expected++], j);
					}
				assert_int_equal(found, expected);
			}
}

static void
above_leaves_out_equals(void **state)
{
	float		row[40];
	int32_t		positions[40];

	(void) state;
	for (int j = 0; j < 40; j++)
		row[j] = 1;
	for (int i = 0; i < TABLES; i++)
	{
		assert_int_equal(table(i)->above(row, 40, 1, positions), 0);
		assert_int_equal(table(i)->above(row, 40, -INFINITY, positions), 40);
	}
}

/* ---- loops over a graph -------------------------------------------------------------- */

typedef struct GraphCase
{
	TestHost	host;
	Arena		arena;
	Graph		graph;
	float	   *entries;		/* one number for each entry */
	float	   *left;			/* one for each node */
	float	   *right;
} GraphCase;

static void
open_graph_case(GraphCase *c)
{
	host_open(&c->host, 1);
	arena_open(&c->arena, &c->host.core);
	sample_graph(&c->arena, 20, 12, 90, false, 9, &c->graph);
	c->entries = arena_floats(&c->arena, 2 * c->graph.n_edges);
	c->left = arena_floats(&c->arena, c->graph.n_nodes);
	c->right = arena_floats(&c->arena, c->graph.n_nodes);
	sample_numbers(c->entries, 2 * c->graph.n_edges, 10);
	sample_numbers(c->left, c->graph.n_nodes, 11);
	sample_numbers(c->right, c->graph.n_nodes, 12);
}

static void
close_graph_case(GraphCase *c)
{
	arena_close(&c->arena);
	host_assert_clean(&c->host);
}

static float *
random_rows(GraphCase *c, int width, uint64_t seed)
{
	float	   *rows = arena_floats(&c->arena, (size_t) c->graph.n_nodes * width);

	sample_numbers(rows, (size_t) c->graph.n_nodes * width, seed);
	return rows;
}

static double
plain_gather(const GatherTask *t, int32_t v, int column)
{
	double		sum = 0;

	for (int64_t e = t->offsets[v]; e < t->offsets[v + 1]; e++)
	{
		int32_t		u = t->neighbours[e];
		double		weight = t->weights == NULL ? 1 : t->weights[t->reverse == NULL ? e : t->reverse[e]];

		sum += weight * (t->right == NULL ? 1 : t->right[u]) * t->input[u * t->width + column];
	}
	return sum * (t->left == NULL ? 1 : t->left[v]);
}

/* Every combination of what may be absent. */
static void
gather_is_a_weighted_sum(void **state)
{
	GraphCase	c;
	const int	widths[] = {8, 24, 64, 72, 128};

	(void) state;
	open_graph_case(&c);
	for (int variant = 0; variant < 32 * 5; variant++)
	{
		int			width = widths[variant / 32];
		bool		add = variant & 16;
		float	   *old = random_rows(&c, width, 13);
		GatherTask	task = {
			.offsets = c.graph.offsets, .neighbours = c.graph.neighbours,
			.weights = variant & 1 ? c.entries : NULL,
			.reverse = variant & 2 ? c.graph.reverse : NULL,
			.left = variant & 4 ? c.left : NULL,
			.right = variant & 8 ? c.right : NULL,
			.input = random_rows(&c, width, 14), .output = random_rows(&c, width, 13),
			.width = width, .add = add,
		};

		table(variant % TABLES)->gather(&task, 0, c.graph.n_nodes);
		for (int32_t v = 0; v < c.graph.n_nodes; v++)
			for (int d = 0; d < width; d++)
				assert_close(task.output[v * width + d],
							 plain_gather(&task, v, d) + (add ? old[v * width + d] : 0), 5e-6);
	}
	close_graph_case(&c);
}

static void
gather_touches_only_its_nodes(void **state)
{
	GraphCase	c;

	(void) state;
	open_graph_case(&c);
	for (int i = 0; i < TABLES; i++)
	{
		GatherTask	task = {
			.offsets = c.graph.offsets, .neighbours = c.graph.neighbours,
			.input = random_rows(&c, 8, 15), .output = random_rows(&c, 8, 16), .width = 8,
		};

		table(i)->gather(&task, 3, 7);
		for (int j = 0; j < c.graph.n_nodes * 8; j++)
			if (j / 8 < 3 || j / 8 >= 7)
				assert_true(task.output[j] == sample_number(16, j));
	}
	close_graph_case(&c);
}

static void
entry_dots_are_dots(void **state)
{
	GraphCase	c;
	const int	width = 24;

	(void) state;
	open_graph_case(&c);
	for (int i = 0; i < TABLES; i++)
	{
		float	   *a = random_rows(&c, width, 17);
		float	   *b = random_rows(&c, width, 18);
		float	   *dots = arena_floats(&c.arena, 2 * c.graph.n_edges);
		GatherTask	task = {.offsets = c.graph.offsets, .neighbours = c.graph.neighbours, .width = width};

		table(i)->entry_dots(&task, a, b, dots, 0, c.graph.n_nodes);
		for (int32_t v = 0; v < c.graph.n_nodes; v++)
			for (int64_t e = c.graph.offsets[v]; e < c.graph.offsets[v + 1]; e++)
			{
				double		dot = 0;

				for (int d = 0; d < width; d++)
					dot += (double) a[v * width + d] * b[c.graph.neighbours[e] * width + d];
				assert_close(dots[e], dot, 2e-6);
			}
	}
	close_graph_case(&c);
}

/* ---- unit length --------------------------------------------------------------------- */

static void
normalise_gives_unit_length(void **state)
{
	enum {ROWS = 5, FACTORS = 3, W = 16, N = ROWS * FACTORS * W};

	(void) state;
	for (int i = 0; i < TABLES; i++)
	{
		float		in[N],
					out[N],
					lengths[ROWS * FACTORS];

		sample_numbers(in, N, 19);
		memset(in + 2 * W, 0, W * sizeof(float));	/* one without direction */
		for (int d = 0; d < W; d++)
			in[4 * W + d] *= 1e-10f;	/* a short one still has one */
		table(i)->normalise(in, out, lengths, ROWS, FACTORS, W);
		for (int r = 0; r < ROWS * FACTORS; r++)
		{
			double		length = 0;

			for (int d = 0; d < W; d++)
				length += (double) in[r * W + d] * in[r * W + d];
			length = sqrt(length);
			assert_close(lengths[r], length, 1e-6 * length);
			for (int d = 0; d < W; d++)
				assert_close(out[r * W + d], length > 0 ? in[r * W + d] / length : 0, 1e-6);
		}
		table(i)->normalise(in, in, lengths, ROWS, FACTORS, W);
		assert_memory_equal(in, out, sizeof(in));
	}
}

/* (g - (g.u) u) / length; nothing where there was no direction. */
static void
normalise_backward_is_the_projection(void **state)
{
	enum {ROWS = 4, FACTORS = 2, W = 8, N = ROWS * FACTORS * W};

	(void) state;
	for (int i = 0; i < TABLES; i++)
	{
		float		in[N],
					unit[N],
					gradient[N],
					out[N],
					lengths[ROWS * FACTORS];

		sample_numbers(in, N, 20);
		sample_numbers(gradient, N, 21);
		memset(in + 3 * W, 0, W * sizeof(float));
		table(i)->normalise(in, unit, lengths, ROWS, FACTORS, W);
		table(i)->normalise_backward(unit, lengths, gradient, out, ROWS, FACTORS, W);
		for (int r = 0; r < ROWS * FACTORS; r++)
		{
			double		along = 0;

			for (int d = 0; d < W; d++)
				along += (double) unit[r * W + d] * gradient[r * W + d];
			for (int d = 0; d < W; d++)
				assert_close(out[r * W + d],
							 r == 3 ? 0 : (gradient[r * W + d] - along * unit[r * W + d]) / lengths[r], 1e-5);
		}
		table(i)->normalise_backward(unit, lengths, gradient, gradient, ROWS, FACTORS, W);
		assert_memory_equal(gradient, out, sizeof(out));
	}
}

/* ---- additive attention -------------------------------------------------------------- */

static double
plain_score(const AttentionTask *t, int32_t v, int64_t e)
{
	double		sum = t->entry_weights == NULL ? 0 : log(t->entry_weights[e]);

	for (int d = 0; d < t->width; d++)
		sum += t->nu[d] * tanh(t->own[v * t->width + d] + t->other[t->neighbours[e] * t->width + d]);
	return sum;
}

/* Softmax over the neighbours of nu . tanh(own + other): sums to 1, entry by entry right. */
static void
attention_is_a_softmax_of_scores(void **state)
{
	GraphCase	c;
	const int	width = 16;

	(void) state;
	open_graph_case(&c);
	for (int64_t e = 0; e < 2 * c.graph.n_edges; e++)
		c.entries[e] = fabsf(c.entries[e]);
	for (int variant = 0; variant < 2 * TABLES; variant++)
	{
		AttentionTask task = {
			.offsets = c.graph.offsets, .neighbours = c.graph.neighbours, .reverse = c.graph.reverse,
			.width = width, .own = random_rows(&c, width, 22), .other = random_rows(&c, width, 23),
			.nu = random_rows(&c, width, 24), .entry_weights = variant & 1 ? c.entries : NULL,
			.scores = arena_floats(&c.arena, 2 * c.graph.n_edges),
		};

		table(variant / 2)->attention_forward(&task, 0, c.graph.n_nodes);
		for (int32_t v = 0; v < c.graph.n_nodes; v++)
		{
			double		total = 0;
			double		sum = 0;

			for (int64_t e = c.graph.offsets[v]; e < c.graph.offsets[v + 1]; e++)
				total += exp(plain_score(&task, v, e));
			for (int64_t e = c.graph.offsets[v]; e < c.graph.offsets[v + 1]; e++)
			{
				assert_close(task.scores[e], exp(plain_score(&task, v, e)) / total, 2e-6);
				sum += task.scores[e];
			}
			assert_close(sum, graph_degree(&c.graph, v) > 0 ? 1 : 0, 1e-5);
		}
	}
	close_graph_case(&c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_are_told_apart),
		cmocka_unit_test(exponentials_agree_with_libm),
		cmocka_unit_test(exponentials_are_exact_to_a_few_units),
		cmocka_unit_test(exponentials_are_cut_at_both_ends),
		cmocka_unit_test(sigmoids_agree_with_libm),
		cmocka_unit_test(sigmoid_of_a_masked_logit_is_nothing),
		cmocka_unit_test(scale_and_add_is_a_plain_loop),
		cmocka_unit_test(scale_and_add_leaves_no_traces),
		cmocka_unit_test(dot_and_add_scaled_are_plain_loops),
		cmocka_unit_test(above_finds_all_and_only_those),
		cmocka_unit_test(above_leaves_out_equals),
		cmocka_unit_test(gather_is_a_weighted_sum),
		cmocka_unit_test(gather_touches_only_its_nodes),
		cmocka_unit_test(entry_dots_are_dots),
		cmocka_unit_test(normalise_gives_unit_length),
		cmocka_unit_test(normalise_backward_is_the_projection),
		cmocka_unit_test(attention_is_a_softmax_of_scores),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
