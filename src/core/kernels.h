/*
 * kernels.h
 *		The hot loops, compiled for several instruction sets.
 *
 * Every loop exists once, in kernels_template.h or what it includes; each kernels_<set>.c
 * compiles it with that set's flags and gives a table of functions.  kernels_select() picks the
 * fastest table that the processor runs, so that a binary built on one machine works on another.
 * Between tables results differ by rounding only, whole numbers not at all; within one they never differ.
 *
 * Rows: a node vector is `factors` sub-vectors of `sub_width` numbers, sub_width a
 * multiple of KERNEL_LANES, filled up with zeros that every loop keeps zero.
 */
#ifndef BEHAVPRED_KERNELS_H
#define BEHAVPRED_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KERNEL_LANES 8
#define KERNEL_MAX_FACTORS 32
#define KERNEL_MAX_ROUNDS 8
#define KERNEL_MAX_WIDTH 1280	/* 1024 numbers, each of 32 sub-vectors filled up */

/* What screen() does at a time. */
#define SCREEN_MODELS 4
#define SCREEN_USERS 32

/*
 * Weighted sums of neighbours' rows:
 *		output[v] (+)= left[v] * sum over entries e of v: weight(e) * right[u] * input[u]
 * where u is the neighbour of entry e.
 */
typedef struct GatherTask
{
	const int64_t *offsets;
	const int32_t *neighbours;
	const uint32_t *reverse;	/* not NULL: the weight is that of the twin entry */
	const float *weights;		/* one for each entry, or NULL = 1 */
	const float *left;			/* one for each node, or NULL = 1 */
	const float *right;
	const float *input;
	float	   *output;
	int			width;			/* multiple of KERNEL_LANES */
	bool		add;			/* add to output instead of replacing it */
} GatherTask;

/*
 * One layer of routing, T rounds; names as in doc/encoder.md.  In the backward pass
 * `centre_gradient` comes in as the gradient of the last centres.
 */
typedef struct RoutingTask
{
	const int64_t *offsets;
	const int32_t *neighbours;
	const uint32_t *reverse;
	int			factors;
	int			sub_width;
	int			rounds;
	bool		own_centre;		/* claim 5; false: each subspace against its own centre */
	float		inverse_temperature;
	float		last_scale;		/* > 0: the last centres are their sums times this; 0: unit sub-vectors */

	/* second weight of entry e: weights[e] * left[v] * right[u]; NULL = 1 */
	const float *weights;
	bool		symmetric_weights;	/* an entry's twin has the same: no need to look there */
	const float *left;
	const float *right;

	const float *mapped;		/* z */
	const float *inverse_lengths;	/* node x factor: 1 / length of z's sub-vectors, which
									 * similarities see at unit length; NULL = they have it */
	const float *start;			/* centres before round 1 */
	const float *start_inverse; /* the same for them */
	float	   *centres[KERNEL_MAX_ROUNDS]; /* after round t + 1; all but the last may be NULL
											 * when no full gradient is wanted */
	float	   *norms[KERNEL_MAX_ROUNDS];	/* node x factor: length before normalising */
	float	   *first_weights;	/* entry x factor, of the last round; or NULL */

	/* backward */
	bool		full_gradient;
	const float *centre_gradient;
	float	   *sum_gradients[KERNEL_MAX_ROUNDS];	/* dm of each round (stopped: the last only) */
	float	   *mapped_gradient;	/* dz, replaced */
	float	   *unit_gradient;	/* full gradient with inverse_lengths: that of z's unit sub-vectors */
	float	   *start_gradient;		/* gradient of `start` at unit length; NULL: it is z's */
	float	   *weight_gradient;	/* of each entry's second weight, or NULL */
} RoutingTask;

/* Additive attention of one layer: score(e) = nu . tanh(own[v] + other[u]), and the second
 * weight is entry_weights[e] * exp(score(e)), normalised over the neighbours. */
typedef struct AttentionTask
{
	const int64_t *offsets;
	const int32_t *neighbours;
	const uint32_t *reverse;
	int			width;			/* multiple of KERNEL_LANES */
	const float *own;			/* node x width */
	const float *other;
	const float *nu;
	const float *entry_weights;	/* interaction weights; NULL = 1 */
	float	   *scores;			/* out: normalised second weights, one for each entry */
	float		scale;			/* what the layer multiplies them by */

	/* backward */
	float	   *score_gradient; /* in: gradient of the second weights; out: of the raw scores */
	float	   *own_gradient;
	float	   *other_gradient;
} AttentionTask;

typedef struct AdamTask
{
	float	   *parameters;
	const float *gradients;
	float	   *first_moment;
	float	   *second_moment;
	float		step_size;		/* learning rate / (1 - beta1^t) */
	float		second_scale;	/* 1 / (1 - beta2^t) */
	float		beta2;
	float		weight_decay;	/* added to the gradient */
} AdamTask;

/*
 * Rows of whole numbers of 16 bits, two of them in each of `n_pairs` words of 32 (screening.h).
 * Word p of row i stands at rows[(i - i % group) * n_pairs + p * group + i % group], where a group is
 * SCREEN_MODELS models or SCREEN_USERS users.
 */
typedef struct ScreenTask
{
	int			n_pairs;
	int			n_models;		/* a multiple of SCREEN_MODELS */
	int			n_users;		/* a multiple of SCREEN_USERS, at most 65,536 */
	const int32_t *models;
	const int32_t *model_margins;
	const float *thresholds;	/* of models; none is found of a model whose is NaN ... */
	const int32_t *users;
	const int32_t *user_margins;
	const float *user_scales;	/* ... nor a user whose is */
} ScreenTask;

typedef struct ScreenedPair
{
	uint16_t	model;
	uint16_t	user;
} ScreenedPair;

typedef struct Kernels
{
	const char *name;

	void		(*gather) (const GatherTask *task, int32_t first, int32_t last);

	/* dots[e] = a[v] . b[u] for each entry e of the nodes, u its neighbour */
	void		(*entry_dots) (const GatherTask *task, const float *a, const float *b, float *dots,
							   int32_t first, int32_t last);

	/* sub-vectors to unit length; lengths[row * factors + k] receives the old length */
	void		(*normalise) (const float *input, float *output, float *lengths,
							  int64_t rows, int factors, int sub_width);
	/* gradient of the input given that of the unit output; may be in place */
	void		(*normalise_backward) (const float *unit, const float *lengths,
									   const float *gradient, float *input_gradient,
									   int64_t rows, int factors, int sub_width);

	/* inverse[row * factors + k] = 1 / length of the sub-vector, 0 when it has no direction */
	void		(*inverse_lengths) (const float *rows, float *inverse,
									int64_t n, int factors, int sub_width);
	/* add the gradient of a row's unit sub-vectors to that of the row */
	void		(*unit_backward) (const float *rows, const float *inverse, const float *unit_gradient,
								  float *gradient, int64_t n, int factors, int sub_width);

	void		(*routing_forward) (const RoutingTask *task, int32_t first, int32_t last);
	/* the part of the gradient that each node gathers as a centre ... */
	void		(*routing_backward_centre) (const RoutingTask *task, int32_t first, int32_t last);
	/* ... and, after that is done for all nodes, as a neighbour */
	void		(*routing_backward_neighbour) (const RoutingTask *task, int32_t first, int32_t last);

	void		(*attention_forward) (const AttentionTask *task, int32_t first, int32_t last);
	void		(*attention_backward_centre) (const AttentionTask *task, int32_t first, int32_t last,
											  float *nu_gradient);
	void		(*attention_backward_neighbour) (const AttentionTask *task, int32_t first, int32_t last);

	/* row[i] = exp(row[i] + bias[i] - shift); returns the sum */
	float		(*exponentials) (float *row, const float *bias, float shift, int n);
	/* row[i] = sigmoid(row[i] + bias[i]); returns the sum of log(1 + exp(row[i] + bias[i])) */
	float		(*sigmoids) (float *row, const float *bias, int n);
	/* row[i] *= scale, or 0 where that would be within 1e-25 of 0; sums[i] += row[i] */
	void		(*scale_and_add) (float *row, float *sums, float scale, int n);

	float		(*dot) (const float *a, const float *b, int n); /* n a multiple of KERNEL_LANES */
	void		(*add_scaled) (float *sum, const float *row, float scale, int n);
	void		(*adam) (const AdamTask *task, int64_t first, int64_t last);

	/* positions i with row[i] > threshold, ascending; returns how many (all n fit) */
	int			(*above) (const float *row, int n, float threshold, int32_t *positions);

	/*
	 * row[i] as whole numbers of at most `most`, at most 32,767, times the scale that is returned; their
	 * pairs go to every stride-th place, the sum of their absolute values to *sum
	 */
	float		(*quantize) (const float *row, int n, float most, int32_t *pairs, int stride, int64_t *sum);
	/*
	 * The pairs of model and user with (product + both margins) * user's scale >= model's threshold, the
	 * users of each model ascending; returns how many (n_models * n_users must fit)
	 */
	int			(*screen) (const ScreenTask *task, ScreenedPair *found);
} Kernels;

/* The fastest table for this processor, or the portable one on request. */
extern const Kernels *kernels_select(bool portable);

extern const Kernels kernels_portable;
#if defined(__x86_64__)
extern const Kernels kernels_avx2;
extern const Kernels kernels_avx512;	/* the same but for screen() */
extern int	screen_avx512(const ScreenTask *task, ScreenedPair *found);
#endif

#endif
