/*
 * kernels_template.h
 *		The hot loops themselves; see kernels.h.  Included once for each instruction set.
 *
 * Written with the compiler's vector types: KERNEL_LANES floats become one AVX register,
 * two SSE or NEON ones.  Sums run in a fixed order, without -ffast-math.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "core/kernels.h"

/* Vectors stay inside this file, so there is no calling convention to warn about; and
 * gcc cannot see that every loop over factors runs at least once. */
#pragma GCC diagnostic ignored "-Wpsabi"
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif

#define INLINE static inline __attribute__((always_inline))
#define L KERNEL_LANES

typedef float Lanes __attribute__((vector_size(L * sizeof(float))));
typedef int32_t IntLanes __attribute__((vector_size(L * sizeof(int32_t))));

#define SMALLEST_LENGTH 1e-12f	/* shorter vectors have no direction */

INLINE Lanes
load(const float *p)
{
	Lanes		v;

	memcpy(&v, p, sizeof(v));
	return v;
}

INLINE void
store(float *p, Lanes v)
{
	memcpy(p, &v, sizeof(v));
}

INLINE Lanes
all(float x)
{
	return (Lanes) {x, x, x, x, x, x, x, x};
}

INLINE float
lane_sum(Lanes v)
{
	return ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]));
}

/* mask ? a : b, lane by lane */
INLINE Lanes
choose(IntLanes mask, Lanes a, Lanes b)
{
	return (Lanes) (((IntLanes) a & mask) | ((IntLanes) b & ~mask));
}

INLINE Lanes
at_most(Lanes x, Lanes bound)
{
	return choose(x < bound, x, bound);
}

INLINE Lanes
at_least(Lanes x, Lanes bound)
{
	return choose(x > bound, x, bound);
}

/*
 * exp(x), relative error below 2e-7: x = n ln 2 + r, a polynomial of degree 6 for
 * exp(r), and n put into the exponent bits.  Arguments are cut to [-87, 88].
 */
INLINE Lanes
lane_exp(Lanes x)
{
	const Lanes magic = all(12582912.0f);	/* 1.5 * 2^23: adding it rounds to an integer */
	Lanes		n,
				r,
				p;
	IntLanes	exponent;

	x = at_most(at_least(x, all(-87.0f)), all(88.0f));
	n = x * all(1.44269504088896341f) + magic;
	exponent = (IntLanes) n - (IntLanes) magic;
	n -= magic;
	r = x - n * all(0.693359375f);
	r = r - n * all(-2.12194440e-4f);
	p = all(1.9875691500e-4f);
	p = p * r + all(1.3981999507e-3f);
	p = p * r + all(8.3334519073e-3f);
	p = p * r + all(4.1665795894e-2f);
	p = p * r + all(1.6666665459e-1f);
	p = p * r + all(5.0000001201e-1f);
	p = p * r * r + r + all(1.0f);
	return p * (Lanes) ((exponent + 127) << 23);
}

INLINE Lanes
lane_tanh(Lanes x)
{
	return all(1.0f) - all(2.0f) / (lane_exp(x + x) + all(1.0f));
}

static float
kernel_dot(const float *a, const float *b, int n)
{
	Lanes		sum = all(0);

	for (int i = 0; i < n; i += L)
		sum += load(a + i) * load(b + i);
	return lane_sum(sum);
}

static void
kernel_add_scaled(float *sum, const float *row, float scale, int n)
{
	for (int i = 0; i < n; i += L)
		store(sum + i, load(sum + i) + all(scale) * load(row + i));
}

/* ---- plain propagation ------------------------------------------------------------ */

/* Weight of one entry, without the node's own factor. */
INLINE float
entry_weight(const float *weights, const uint32_t *reverse, const float *right, int64_t e, int32_t u)
{
	float		w = weights == NULL ? 1 : weights[reverse == NULL ? (uint32_t) e : reverse[e]];

	return right == NULL ? w : w * right[u];
}

/* Columns column .. column + 8 * vectors - 1 of one node's sum, kept in registers. */
INLINE void
gather_columns(const GatherTask *t, int32_t v, int column, const int vectors)
{
	Lanes		sum[8];
	float	   *out = t->output + (int64_t) v * t->width + column;
	float		left = t->left == NULL ? 1 : t->left[v];

	for (int i = 0; i < vectors; i++)
		sum[i] = all(0);
	for (int64_t e = t->offsets[v]; e < t->offsets[v + 1]; e++)
	{
		int32_t		u = t->neighbours[e];
		const float *row = t->input + (int64_t) u * t->width + column;
		Lanes		w = all(entry_weight(t->weights, t->reverse, t->right, e, u));

		for (int i = 0; i < vectors; i++)
			sum[i] += w * load(row + i * L);
	}
	for (int i = 0; i < vectors; i++)
		store(out + i * L, (t->add ? load(out + i * L) : all(0)) + all(left) * sum[i]);
}

/* Floor: width * 4 bytes read for each entry, width * 4 written for each node. */
static void
kernel_gather(const GatherTask *task, int32_t first, int32_t last)
{
	for (int32_t v = first; v < last; v++)
	{
		int			column = 0;

		for (; column + 8 * L <= task->width; column += 8 * L)
			gather_columns(task, v, column, 8);
		for (; column < task->width; column += L)
			gather_columns(task, v, column, 1);
	}
}

static void
kernel_entry_dots(const GatherTask *task, const float *a, const float *b, float *dots,
				  int32_t first, int32_t last)
{
	for (int32_t v = first; v < last; v++)
		for (int64_t e = task->offsets[v]; e < task->offsets[v + 1]; e++)
			dots[e] = kernel_dot(a + (int64_t) v * task->width,
								 b + (int64_t) task->neighbours[e] * task->width, task->width);
}

/* ---- unit length ------------------------------------------------------------------ */

static void
kernel_normalise(const float *input, float *output, float *lengths,
				 int64_t rows, int factors, int sub_width)
{
	for (int64_t i = 0; i < rows * factors; i++)
	{
		const float *in = input + i * sub_width;
		float	   *out = output + i * sub_width;
		float		length = sqrtf(kernel_dot(in, in, sub_width));
		float		scale = length > SMALLEST_LENGTH ? 1 / length : 0;

		for (int d = 0; d < sub_width; d += L)
			store(out + d, load(in + d) * all(scale));
		lengths[i] = length;
	}
}

static void
kernel_normalise_backward(const float *unit, const float *lengths,
						  const float *gradient, float *input_gradient,
						  int64_t rows, int factors, int sub_width)
{
	for (int64_t i = 0; i < rows * factors; i++)
	{
		const float *u = unit + i * sub_width;
		const float *g = gradient + i * sub_width;
		float	   *out = input_gradient + i * sub_width;
		float		along = kernel_dot(u, g, sub_width);
		float		scale = lengths[i] > SMALLEST_LENGTH ? 1 / lengths[i] : 0;

		for (int d = 0; d < sub_width; d += L)
			store(out + d, (load(g + d) - all(along) * load(u + d)) * all(scale));
	}
}

static void
kernel_inverse_lengths(const float *rows, float *inverse, int64_t n, int factors, int sub_width)
{
	for (int64_t i = 0; i < n * factors; i++)
	{
		float		length = sqrtf(kernel_dot(rows + i * sub_width, rows + i * sub_width, sub_width));

		inverse[i] = length > SMALLEST_LENGTH ? 1 / length : 0;
	}
}

static void
kernel_unit_backward(const float *rows, const float *inverse, const float *unit_gradient,
					 float *gradient, int64_t n, int factors, int sub_width)
{
	for (int64_t i = 0; i < n * factors; i++)
	{
		const float *row = rows + i * sub_width;
		const float *g = unit_gradient + i * sub_width;
		float	   *out = gradient + i * sub_width;
		float		along = inverse[i] * inverse[i] * kernel_dot(row, g, sub_width);

		for (int d = 0; d < sub_width; d += L)
			store(out + d, load(out + d) + (load(g + d) - all(along) * load(row + d)) * all(inverse[i]));
	}
}

#include "core/kernels_routing.h"
#include "core/kernels_routing_backward.h"
#include "core/kernels_attention.h"

/* ---- loss, optimiser, ranking ------------------------------------------------------ */

static float
kernel_exponentials(float *row, const float *bias, float shift, int n)
{
	Lanes		sum = all(0);
	float		rest = 0;
	int			i = 0;

	for (; i + L <= n; i += L)
	{
		Lanes		e = lane_exp(load(row + i) + load(bias + i) - all(shift));

		store(row + i, e);
		sum += e;
	}
	for (; i < n; i++)
	{
		row[i] = lane_exp(all(row[i] + bias[i] - shift))[0];
		rest += row[i];
	}
	return lane_sum(sum) + rest;
}

static float
kernel_sigmoids(float *row, const float *bias, int n)
{
	double		loss = 0;

	for (int i = 0; i < n; i++)
	{
		float		x = row[i] + bias[i];
		float		e = lane_exp(all(-fabsf(x)))[0];

		loss += log1pf(e) + (x > 0 ? x : 0);
		row[i] = x > 0 ? 1 / (1 + e) : e / (1 + e);
	}
	return (float) loss;
}

/*
 * A share below 1e-25 is nothing beside the others, but multiplied on it would leave the normal
 * numbers, with which some processors compute twenty times as fast.  Masked objects have such.
 */
INLINE Lanes
without_traces(Lanes x)
{
	return choose((x < all(1e-25f)) & (x > all(-1e-25f)), all(0), x);
}

static void
kernel_scale_and_add(float *row, float *sums, float scale, int n)
{
	int			i = 0;

	for (; i + L <= n; i += L)
	{
		Lanes		x = without_traces(load(row + i) * all(scale));

		store(row + i, x);
		store(sums + i, load(sums + i) + x);
	}
	for (; i < n; i++)
	{
		row[i] = without_traces(all(row[i] * scale))[0];
		sums[i] += row[i];
	}
}

#define ADAM_BETA1 0.9f
#define ADAM_EPSILON 1e-10f		/* gradients here are means over a large batch, often below 1e-6 */

/* One element of Adam (Kingma, Ba 2015).  Floor: 16 bytes read, 12 written. */
static void
kernel_adam(const AdamTask *task, int64_t first, int64_t last)
{
	float	   *restrict x = task->parameters;
	const float *restrict gradients = task->gradients;
	float	   *restrict m = task->first_moment;
	float	   *restrict v = task->second_moment;

	for (int64_t i = first; i < last; i++)
	{
		float		g = gradients[i] + task->weight_decay * x[i];

		m[i] = ADAM_BETA1 * m[i] + (1 - ADAM_BETA1) * g;
		v[i] = task->beta2 * v[i] + (1 - task->beta2) * g * g;
		x[i] -= task->step_size * m[i] / (sqrtf(v[i] * task->second_scale) + ADAM_EPSILON);
	}
}

/* True when a lane is set. */
INLINE bool
any_lane(IntLanes lanes)
{
	int64_t		words[L / 2];

	memcpy(words, &lanes, sizeof(lanes));
	return (words[0] | words[1] | words[2] | words[3]) != 0;
}

static int
kernel_above(const float *row, int n, float threshold, int32_t *positions)
{
	int			found = 0;
	int			i = 0;

	for (; i + 4 * L <= n; i += 4 * L)
	{
		IntLanes	above[4];

		for (int k = 0; k < 4; k++)
			above[k] = load(row + i + k * L) > all(threshold);
		if (!any_lane(above[0] | above[1] | above[2] | above[3]))
			continue;
		for (int k = 0; k < 4; k++)
			for (int j = i + k * L; any_lane(above[k]) && j < i + (k + 1) * L; j++)
			{
				positions[found] = j;
				found += row[j] > threshold;
			}
	}
	for (; i < n; i++)
		if (row[i] > threshold)
			positions[found++] = i;
	return found;
}

/* ---- whole numbers ---------------------------------------------------------------- */

typedef uint64_t WideLanes __attribute__((vector_size(L * sizeof(float))));

/* Whole numbers v * inverse, rounded. */
INLINE IntLanes
rounded(Lanes v, float inverse)
{
	const Lanes magic = all(12582912.0f);	/* 1.5 * 2^23: adding it rounds to an integer */

	return (IntLanes) (v * all(inverse) + magic) - (IntLanes) magic;
}

/* Up to L numbers of a row, filled up with zeros. */
INLINE Lanes
load_some(const float *p, int n)
{
	Lanes		v = all(0);

	if (n >= L)
		return load(p);
	memcpy(&v, p, n * sizeof(float));
	return v;
}

/* Floor: 4 * n bytes read, from the nearest cache the second time, and 2 * n written. */
static float
kernel_quantize(const float *row, int n, float most, int32_t *pairs, int stride, int64_t *sum)
{
	Lanes		highest = all(0);
	IntLanes	sums = {0};
	float		scale;
	float		inverse;

	for (int i = 0; i < n; i += L)
	{
		Lanes		v = load_some(row + i, n - i);

		highest = at_least(at_least(highest, v), -v);
	}
	for (int j = 1; j < L; j++)
		highest[0] = highest[j] > highest[0] ? highest[j] : highest[0];
	scale = highest[0] / most > FLT_MIN ? highest[0] / most : FLT_MIN;
	inverse = 1 / scale;
	for (int i = 0; i < n; i += L)
	{
		IntLanes	numbers = rounded(load_some(row + i, n - i), inverse);
		WideLanes	wide = (WideLanes) numbers;

		sums += (numbers ^ numbers >> 31) - (numbers >> 31);	/* absolute values */
		wide = (wide & 0xffff) | (wide >> 16 & 0xffff0000);
		for (int j = 0; j < L / 2 && i + 2 * j < n; j++)
			pairs[(i / 2 + j) * stride] = (int32_t) wide[j];
	}
	*sum = 0;
	for (int j = 0; j < L; j++)
		*sum += sums[j];
	return scale;
}

#include "core/kernels_screening.h"

static int
kernel_screen(const ScreenTask *task, ScreenedPair *found)
{
	return screen_all(task, found);
}

/* Of a table all but its name and screen(). */
#define KERNEL_FUNCTIONS \
	.gather = kernel_gather, \
	.entry_dots = kernel_entry_dots, \
	.normalise = kernel_normalise, \
	.normalise_backward = kernel_normalise_backward, \
	.inverse_lengths = kernel_inverse_lengths, \
	.unit_backward = kernel_unit_backward, \
	.routing_forward = kernel_routing_forward, \
	.routing_backward_centre = kernel_routing_backward_centre, \
	.routing_backward_neighbour = kernel_routing_backward_neighbour, \
	.attention_forward = kernel_attention_forward, \
	.attention_backward_centre = kernel_attention_backward_centre, \
	.attention_backward_neighbour = kernel_attention_backward_neighbour, \
	.exponentials = kernel_exponentials, \
	.sigmoids = kernel_sigmoids, \
	.scale_and_add = kernel_scale_and_add, \
	.dot = kernel_dot, \
	.add_scaled = kernel_add_scaled, \
	.adam = kernel_adam, \
	.above = kernel_above, \
	.quantize = kernel_quantize

const Kernels KERNEL_TABLE = {.name = KERNEL_NAME, KERNEL_FUNCTIONS, .screen = kernel_screen};

#undef L
#undef INLINE
