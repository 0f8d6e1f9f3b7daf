/*
 * student_logistic.c
 *		Fitting of a logistic student whose samples are in memory: directions of descent.h,
 *		and a line search.
 *
 * The loss is convex and the line search accepts only a falling loss, so every fit
 * converges.  Logits of all samples are kept, and so are their changes along the
 * direction: the line search then never touches the inputs.
 *
 * Sums over samples run in shards of rows, a fixed number of which make a round; each
 * shard of a round has sums of its own, added in shard order after the round.  Dot
 * products, losses and gradients are in double precision, since the line search lives
 * on small differences; the Hessian's products are single (ssyrk in panels of rows),
 * its sums double.
 */
#include "core/descent.h"
#include "core/student_fit.h"

#include <cblas.h>
#include <string.h>

#define SHARDS_PER_ROUND 16
#define LEAST_ROWS 64
#define MOST_ROWS 2048
#define PANEL_ROWS 256
#define LANES 8

/* Loss, slope and curvature along the direction. */
typedef struct LineSums
{
	double		value;
	double		slope;
	double		curvature;
} LineSums;

typedef struct Logistic
{
	const StudentFit *fit;
	int			n_parameters;	/* width + 1; the intercept is the last */
	int64_t		rows_per_shard;
	int64_t		shards;

	double	   *parameters;
	Descent		descent;
	double	   *logits;			/* one for each sample */
	double	   *along;			/* their change along the direction */
	double		length;			/* how far along the line is looked at */

	int64_t		first_shard;	/* of the round */
	double	   *round_sums;		/* SHARDS_PER_ROUND x (gradient, Hessian) */
	float	   *panels;			/* workers x (rows of a panel, its product) */
	LineSums   *line_sums;		/* shards */
} Logistic;

static int64_t
shard_end(const Logistic *l, int64_t shard)
{
	int64_t		end = (shard + 1) * l->rows_per_shard;

	return end < l->fit->n ? end : l->fit->n;
}

/* Input row times weights, in sums that vectorise; the order is fixed. */
static double
dot_input(const float *input, const double *weights, int n)
{
	double		sums[LANES] = {0};
	int			i = 0;

	for (; i + LANES <= n; i += LANES)
	{
		for (int lane = 0; lane < LANES; lane++)
			sums[lane] += input[i + lane] * weights[i + lane];
	}
	for (int lane = 0; i + lane < n; lane++)
		sums[lane] += input[i + lane] * weights[i + lane];
	return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

static size_t
round_sums_size(const Logistic *l)
{
	size_t		n = (size_t) l->n_parameters;

	return l->descent.newton ? n + n * n : n;
}

static size_t
panel_size(const Logistic *l)
{
	size_t		n = (size_t) l->n_parameters;

	return l->descent.newton ? (size_t) PANEL_ROWS * n + n * n : 0;
}

/* Memory for all of it. */
static CoreStatus
allocate(Logistic *l)
{
	Arena	   *arena = l->fit->scratch;
	Core	   *core = l->fit->core;
	size_t		workers = core->threads > 1 ? (size_t) core->threads : 1;

	descent_open(&l->descent, arena, l->n_parameters, l->fit->width <= DESCENT_MOST_NEWTON_WIDTH);
	l->logits = arena_doubles(arena, (size_t) l->fit->n);
	l->along = arena_doubles(arena, (size_t) l->fit->n);
	l->round_sums = arena_doubles(arena, SHARDS_PER_ROUND * round_sums_size(l));
	l->panels = arena_floats(arena, workers * panel_size(l));
	l->line_sums = arena_allocate(arena, (size_t) l->shards, sizeof(LineSums));
	return core->status;
}

/* Add panel' * panel to the Hessian; a row of the panel is sqrt(curvature) * (input, 1). */
static void
add_panel(const Logistic *l, int64_t begin, int64_t end, float *panel, double *hessian)
{
	int			n = l->n_parameters;
	int			rows = (int) (end - begin);
	float	   *product = panel + (size_t) PANEL_ROWS * (size_t) n;

	for (int row = 0; row < rows; row++)
	{
		const float *input = l->fit->inputs + (begin + row) * l->fit->width;
		float	   *scaled = panel + (size_t) row * (size_t) n;
		float		root = (float) sqrt(sample_loss(l->fit, begin + row, l->logits[begin + row]).curvature);

		for (int i = 0; i < n - 1; i++)
			scaled[i] = root * input[i];
		scaled[n - 1] = root;
	}
	cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, n, rows, 1.0f, panel, n, 0.0f, product, n);
	for (int i = 0; i < n; i++)
	{
		for (int j = i; j < n; j++)
			hessian[(size_t) i * (size_t) n + (size_t) j] += product[(size_t) i * (size_t) n + (size_t) j];
	}
}

/* Shard function of a round: gradient and, for Newton, Hessian over the shard's rows. */
static void
sum_derivatives(void *argument, int64_t slot, int worker)
{
	const Logistic *l = argument;
	int			n = l->n_parameters;
	int64_t		begin = (l->first_shard + slot) * l->rows_per_shard;
	int64_t		end = shard_end(l, l->first_shard + slot);
	double	   *gradient = l->round_sums + (size_t) slot * round_sums_size(l);

	memset(gradient, 0, round_sums_size(l) * sizeof(double));
	for (int64_t row = begin; row < end; row++)
	{
		const float *input = l->fit->inputs + row * l->fit->width;
		double		by_logit = sample_loss(l->fit, row, l->logits[row]).gradient;

		for (int i = 0; i < n - 1; i++)
			gradient[i] += by_logit * input[i];
		gradient[n - 1] += by_logit;
	}
	if (!l->descent.newton)
		return;
	for (int64_t row = begin; row < end; row += PANEL_ROWS)
		add_panel(l, row, row + PANEL_ROWS < end ? row + PANEL_ROWS : end,
				  l->panels + (size_t) worker * panel_size(l), gradient + n);
}

/* How far parameter i is from what the ridge pulls it towards. */
static double
from_anchor(const Logistic *l, int i, double parameter)
{
	return l->fit->anchor != NULL ? parameter - l->fit->anchor[i] : parameter;
}

/* Gradient and Hessian over all samples, ridge included. */
static CoreStatus
compute_derivatives(Logistic *l)
{
	int			n = l->n_parameters;
	size_t		hessian_size = l->descent.newton ? (size_t) n * (size_t) n : 0;

	memset(l->descent.gradient, 0, (size_t) n * sizeof(double));
	memset(l->descent.hessian, 0, hessian_size * sizeof(double));
	for (l->first_shard = 0; l->first_shard < l->shards; l->first_shard += SHARDS_PER_ROUND)
	{
		int64_t		left = l->shards - l->first_shard;
		int64_t		slots = left < SHARDS_PER_ROUND ? left : SHARDS_PER_ROUND;

		if (core_parallel(l->fit->core, slots, sum_derivatives, l) != CORE_OK)
			return l->fit->core->status;
		for (int64_t slot = 0; slot < slots; slot++)
		{
			const double *sums = l->round_sums + (size_t) slot * round_sums_size(l);

			for (int i = 0; i < n; i++)
				l->descent.gradient[i] += sums[i];
			for (size_t i = 0; i < hessian_size; i++)
				l->descent.hessian[i] += sums[(size_t) n + i];
		}
	}
	for (int i = 0; i < n - 1; i++)
	{
		l->descent.gradient[i] += l->fit->ridge * from_anchor(l, i, l->parameters[i]);
		if (l->descent.newton)
			l->descent.hessian[(size_t) i * (size_t) n + (size_t) i] += l->fit->ridge;
	}
	return CORE_OK;
}

/* Shard function: change of the logits along the direction. */
static void
project(void *argument, int64_t shard, int worker)
{
	const Logistic *l = argument;
	int			width = l->fit->width;

	(void) worker;
	for (int64_t row = shard * l->rows_per_shard; row < shard_end(l, shard); row++)
		l->along[row] = dot_input(l->fit->inputs + row * width, l->descent.direction, width) + l->descent.direction[width];
}

/* Shard function: the loss `length` along the direction. */
static void
sum_line(void *argument, int64_t shard, int worker)
{
	const Logistic *l = argument;
	LineSums	sums = {0};

	(void) worker;
	for (int64_t row = shard * l->rows_per_shard; row < shard_end(l, shard); row++)
	{
		double		along = l->along[row];
		LogitLoss	loss = sample_loss(l->fit, row, l->logits[row] + l->length * along);

		sums.value += loss.value;
		sums.slope += loss.gradient * along;
		sums.curvature += loss.curvature * along * along;
	}
	l->line_sums[shard] = sums;
}

/* Shard function: move the logits to where the line search ended. */
static void
move_logits(void *argument, int64_t shard, int worker)
{
	const Logistic *l = argument;

	(void) worker;
	for (int64_t row = shard * l->rows_per_shard; row < shard_end(l, shard); row++)
		l->logits[row] += l->length * l->along[row];
}

/* The loss with ridge and its derivatives along the direction, at `length`. */
static CoreStatus
look_along(Logistic *l, double length, LineSums *total)
{
	double		ridge = l->fit->ridge;

	*total = (LineSums) {0};
	l->length = length;
	if (core_parallel(l->fit->core, l->shards, sum_line, l) != CORE_OK)
		return l->fit->core->status;
	for (int64_t shard = 0; shard < l->shards; shard++)
	{
		total->value += l->line_sums[shard].value;
		total->slope += l->line_sums[shard].slope;
		total->curvature += l->line_sums[shard].curvature;
	}
	for (int i = 0; i < l->n_parameters - 1; i++)
	{
		double		parameter = from_anchor(l, i, l->parameters[i] + length * l->descent.direction[i]);

		total->value += ridge / 2.0 * parameter * parameter;
		total->slope += ridge * parameter * l->descent.direction[i];
		total->curvature += ridge * l->descent.direction[i] * l->descent.direction[i];
	}
	return CORE_OK;
}

/*
 * Go along the direction until the loss has fallen enough: first as far as Newton's
 * method on the line says, then by halves.  False when there is nothing left to gain.
 */
static bool
search_line(Logistic *l)
{
	LineSums	start;
	LineSums	tried;
	double		length;

	if (core_parallel(l->fit->core, l->shards, project, l) != CORE_OK ||
		look_along(l, 0.0, &start) != CORE_OK)
		return false;
	if (!isfinite(start.value))
	{
		core_fail(l->fit->core, CORE_DIVERGED, "the loss is %g", start.value);
		return false;
	}
	if (!(start.slope < 0.0 && start.curvature > 0.0))
		return false;
	length = -start.slope / start.curvature;
	if (-start.slope * length < DESCENT_SMALL_DECREASE)
		return false;
	for (int i = 0; i < DESCENT_MOST_HALVINGS; i++, length /= 2.0)
	{
		if (look_along(l, length, &tried) != CORE_OK)
			return false;
		if (tried.value <= start.value + DESCENT_SUFFICIENT_DECREASE * length * start.slope)
			return true;
	}
	return false;
}

/* One step; false when the fit is done or the call stops. */
static bool
take_step(Logistic *l)
{
	if (compute_derivatives(l) != CORE_OK || descent_greatest_gradient(&l->descent) < DESCENT_SMALL_GRADIENT)
		return false;
	descent_direction(&l->descent, l->length);
	if (!search_line(l) || core_parallel(l->fit->core, l->shards, move_logits, l) != CORE_OK)
		return false;
	for (int i = 0; i < l->n_parameters; i++)
		l->parameters[i] += l->length * l->descent.direction[i];
	return true;
}

/* Weights of zero or of the anchor, and the intercept that alone fits best. */
static void
start(const Logistic *l)
{
	const StudentFit *fit = l->fit;
	double		intercept = log(fit->base_rate / (1.0 - fit->base_rate));

	memset(l->parameters, 0, (size_t) fit->width * sizeof(double));
	if (fit->anchor != NULL)
		memcpy(l->parameters, fit->anchor, (size_t) fit->width * sizeof(double));
	l->parameters[fit->width] = intercept;
	for (int64_t row = 0; row < fit->n; row++)
		l->logits[row] = intercept +
			(fit->anchor != NULL ? dot_input(fit->inputs + row * fit->width, l->parameters, fit->width) : 0.0);
}

/* See student_fit.h. */
CoreStatus
student_fit_logistic(const StudentFit *fit, double *parameters)
{
	Logistic	l = {.fit = fit, .n_parameters = fit->width + 1, .parameters = parameters};

	l.rows_per_shard = (fit->n + SHARDS_PER_ROUND - 1) / SHARDS_PER_ROUND;
	l.rows_per_shard = l.rows_per_shard < LEAST_ROWS ? LEAST_ROWS : l.rows_per_shard;
	l.rows_per_shard = l.rows_per_shard > MOST_ROWS ? MOST_ROWS : l.rows_per_shard;
	l.shards = (fit->n + l.rows_per_shard - 1) / l.rows_per_shard;
	if (allocate(&l) != CORE_OK)
		return fit->core->status;

	start(&l);
	for (int step = 0; step < fit->options->iterations; step++)
	{
		if (!core_report(fit->core, "training", step, fit->options->iterations) || !take_step(&l))
			break;
	}
	return fit->core->status;
}
