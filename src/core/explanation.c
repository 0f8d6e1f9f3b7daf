/*
 * explanation.c
 *		What a student's logit is made of.
 */
#include "core/explanation.h"

#include "core/vectors.h"

#include <math.h>
#include <string.h>

#define PANELS 8				/* of the quadrature along the line */

/* Gauss and Legendre's nodes and weights on [-1, 1], exact for polynomials up to degree 15. */
static const double nodes[] = {
	-0.9602898564975363, -0.7966664774136267, -0.5255324099163290, -0.1834346424956498,
	0.1834346424956498, 0.5255324099163290, 0.7966664774136267, 0.9602898564975363
};
static const double node_weights[] = {
	0.1012285362903763, 0.2223810344533745, 0.3137066458778873, 0.3626837833783620,
	0.3626837833783620, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763
};

#define NODES ((int) (sizeof(nodes) / sizeof(nodes[0])))

/* Room for one evaluation of a student in double precision. */
typedef struct Evaluator
{
	const Student *student;
	const float *parameters[STUDENT_MAX_HIDDEN + 1];	/* of each layer */
	double	   *values[STUDENT_MAX_HIDDEN + 2]; /* inputs of each layer, and the logit */
	double	   *gradients[STUDENT_MAX_HIDDEN + 2];
} Evaluator;

static CoreStatus
open_evaluator(Arena *arena, const Student *student, Evaluator *evaluator)
{
	const float *parameters = student->parameters;

	evaluator->student = student;
	for (int layer = 0; layer <= student->n_layers; layer++)
	{
		evaluator->values[layer] = arena_doubles(arena, student->widths[layer]);
		evaluator->gradients[layer] = arena_doubles(arena, student->widths[layer]);
		if (layer == student->n_layers)
			break;
		evaluator->parameters[layer] = parameters;
		parameters += (int64_t) student->widths[layer + 1] * (student->widths[layer] + 1);
	}
	return arena->core->status;
}

/* The logit of values[0]; all values are kept. */
static double
go_forward(Evaluator *evaluator)
{
	const Student *student = evaluator->student;

	for (int layer = 0; layer < student->n_layers; layer++)
	{
		int			inputs = student->widths[layer];
		int			outputs = student->widths[layer + 1];
		const float *weights = evaluator->parameters[layer];

		for (int o = 0; o < outputs; o++)
		{
			double		sum = weights[(int64_t) outputs * inputs + o];

			for (int i = 0; i < inputs; i++)
				sum += weights[(int64_t) o * inputs + i] * evaluator->values[layer][i];
			evaluator->values[layer + 1][o] = layer < student->n_layers - 1 ? tanh(sum) : sum;
		}
	}
	return evaluator->values[student->n_layers][0];
}

/* gradients[0] = derivatives of the logit by the vector, after go_forward(). */
static void
go_back(Evaluator *evaluator)
{
	const Student *student = evaluator->student;

	evaluator->gradients[student->n_layers][0] = 1.0;
	for (int layer = student->n_layers - 1; layer >= 0; layer--)
	{
		int			inputs = student->widths[layer];
		const float *weights = evaluator->parameters[layer];

		memset(evaluator->gradients[layer], 0, inputs * sizeof(double));
		for (int o = 0; o < student->widths[layer + 1]; o++)
		{
			double		value = evaluator->values[layer + 1][o];
			double		slope = layer < student->n_layers - 1 ? 1.0 - value * value : 1.0;
			double		gradient = evaluator->gradients[layer + 1][o] * slope;

			for (int i = 0; i < inputs; i++)
				evaluator->gradients[layer][i] += gradient * weights[(int64_t) o * inputs + i];
		}
	}
}

/* Place `part` (0 to 1) of the line to the vector; the constant stays. */
static void
place_on_line(Evaluator *evaluator, const VectorLayout *layout, const float *vector, double part)
{
	for (int d = 0; d < layout->width; d++)
		evaluator->values[0][d] = vector[d] * (d == layout->dimension ? 1.0 : part);
}

/* Mean gradient on the line. */
static CoreStatus
integrate(Core *core, Evaluator *evaluator, const VectorLayout *layout, const float *vector, double *mean)
{
	memset(mean, 0, layout->width * sizeof(double));
	for (int panel = 0; panel < PANELS; panel++)
	{
		for (int node = 0; node < NODES; node++)
		{
			place_on_line(evaluator, layout, vector, (panel + 0.5 + 0.5 * nodes[node]) / PANELS);
			go_forward(evaluator);
			go_back(evaluator);
			for (int d = 0; d < layout->width; d++)
				mean[d] += 0.5 * node_weights[node] / PANELS * evaluator->gradients[0][d];
		}
		if (!core_continues(core))
			break;
	}
	return core->status;
}

/* Sum up the numbers' parts by factor; `scale` is Platt's. */
static void
sum_parts(const VectorLayout *layout, const float *vector, const double *mean, double scale,
		  Explanation *explanation)
{
	int			sub_width = layout->dimension / layout->factors;

	for (int d = 0; d < layout->width; d++)
	{
		double		part = scale * vector[d] * mean[d];

		if (d < layout->dimension)
			explanation->factors[d / sub_width] += part;
		else if (d > layout->dimension)
			explanation->activity += part;
	}
}

/* The logit that student_probability() gives. */
static double
calibrated_logit(const Student *student, double logit)
{
	double		p = student_probability(student, logit);

	return log(p) - log1p(-p);
}

/* See explanation.h. */
CoreStatus
explanation_make(Core *core, Arena *arena, const Student *student, const VectorLayout *layout,
				 const float *vector, Explanation *explanation)
{
	bool		platt = student->calibration == CALIBRATION_PLATT || student->calibration == CALIBRATION_PLATT_LEVEL;
	double		scale = platt ? student->scale : 1.0;
	double		shift = (platt ? student->offset : 0.0) + student->prior_shift;
	double	   *mean = arena_doubles(arena, layout->width);
	double		raw = student_logit(student, vector);
	Evaluator	evaluator;
	double		sum;

	memset(explanation, 0, sizeof(*explanation));
	explanation->factors = arena_allocate_zeroed(arena, layout->factors, sizeof(double));
	if (open_evaluator(arena, student, &evaluator) != CORE_OK ||
		integrate(core, &evaluator, layout, vector, mean) != CORE_OK)
		return core->status;
	place_on_line(&evaluator, layout, vector, 0.0);
	explanation->base = scale * go_forward(&evaluator) + shift;
	sum_parts(layout, vector, mean, scale, explanation);
	sum = explanation->base + explanation->activity;
	for (int f = 0; f < layout->factors; f++)
		sum += explanation->factors[f];
	explanation->remainder = scale * raw + shift - sum;
	explanation->calibration = calibrated_logit(student, raw) - (scale * raw + shift);
	return CORE_OK;
}

/* Probabilities that each factor was the reason for one object. */
static void
reasons(const VectorLayout *layout, const float *user, const float *object, double *probabilities)
{
	int			sub_width = layout->dimension / layout->factors;
	double		largest = -INFINITY;
	double		sum = 0.0;

	for (int f = 0; f < layout->factors; f++)
	{
		probabilities[f] = vectors_dot(user + (size_t) f * sub_width, object + (size_t) f * sub_width, sub_width);
		largest = fmax(largest, probabilities[f]);
	}
	for (int f = 0; f < layout->factors; f++)
		sum += probabilities[f] = exp(probabilities[f] - largest);
	for (int f = 0; f < layout->factors; f++)
		probabilities[f] = fmax(probabilities[f] / sum, 1e-300);
}

/* See explanation.h. */
void
explanation_share(const VectorLayout *layout, const float *user, const float *objects, int64_t n,
				  const double *factors, double *shares)
{
	for (int64_t i = 0; i < n; i++)
		reasons(layout, user, objects + i * layout->width, shares + i * layout->factors);
	for (int f = 0; f < layout->factors; f++)
	{
		double		sum = 0.0;

		for (int64_t i = 0; i < n; i++)
			sum += shares[i * layout->factors + f];
		for (int64_t i = 0; i < n; i++)
			shares[i * layout->factors + f] *= factors[f] / sum;
	}
}
