/*
 * student_fit.h
 *		What the two kinds of student share while they are fitted: standardised inputs and
 *		the loss of one sample.
 */
#ifndef BEHAVPRED_STUDENT_FIT_H
#define BEHAVPRED_STUDENT_FIT_H

#include "statistics.h"
#include "student.h"

#include <math.h>

#define STUDENT_ANCHOR_RIDGE 1e-6	/* of the anchor itself: only to keep it finite */

typedef struct StudentFit
{
	Core	   *core;
	Arena	   *scratch;		/* closed when the fit ends */
	const StudentOptions *options;
	int64_t		n;
	int			width;
	const float *inputs;		/* n x width, standardised */
	const float *labels;
	const float *soft_labels;	/* NULL when soft_scale is 0 */
	const float *weights;		/* NULL = all 1 */
	double		hard_scale;		/* (1 - soft_weight) / sum of weights */
	double		soft_scale;		/* soft_weight * temperature^2 / n */
	double		ridge;			/* resolved when automatic */
	const double *anchor;		/* logistic: parameters that the ridge pulls towards; NULL = 0 */
	double		base_rate;		/* weighted mean of all labels, hard and soft */
} StudentFit;

/* A value with its first and second derivative by the logit. */
typedef struct LogitLoss
{
	double		value;
	double		gradient;
	double		curvature;
} LogitLoss;

/* Cross entropy of sigmoid(logit) with the target, safe for any logit. */
static inline LogitLoss
cross_entropy(double logit, double target)
{
	double		tail = exp(-fabs(logit));
	double		p = logit >= 0.0 ? 1.0 / (1.0 + tail) : tail / (1.0 + tail);
	LogitLoss	loss;

	loss.value = (logit > 0.0 ? logit : 0.0) - target * logit + log1p(tail);
	loss.gradient = p - target;
	loss.curvature = tail / ((1.0 + tail) * (1.0 + tail));
	return loss;
}

/* Cross entropy with a hard label and, unless soft_scale is 0, with a soft one. */
static inline LogitLoss
labels_loss(double logit, double hard_scale, double label, double soft_scale, double soft_label, double temperature)
{
	LogitLoss	loss = cross_entropy(logit, label);

	loss.value *= hard_scale;
	loss.gradient *= hard_scale;
	loss.curvature *= hard_scale;
	if (soft_scale > 0.0)
	{
		LogitLoss	soft = cross_entropy(logit / temperature, soft_label);

		loss.value += soft_scale * soft.value;
		loss.gradient += soft_scale / temperature * soft.gradient;
		loss.curvature += soft_scale / (temperature * temperature) * soft.curvature;
	}
	return loss;
}

/* What sample i adds to the loss in student.h, the ridge apart. */
static inline LogitLoss
sample_loss(const StudentFit *fit, int64_t i, double logit)
{
	double		weight = fit->weights != NULL ? (double) fit->weights[i] : 1.0;

	return labels_loss(logit, fit->hard_scale * weight, fit->labels[i], fit->soft_scale,
					   fit->soft_scale > 0.0 ? fit->soft_labels[i] : 0.0, fit->options->soft_temperature);
}

/* What the labels of all samples come to. */
typedef struct LabelSums
{
	int64_t		n;
	bool		has_soft;
	double		weights[2];		/* by label */
	double		soft;			/* labels */
} LabelSums;

static inline void
label_sums_add(LabelSums *sums, double label, double soft_label, double weight)
{
	sums->weights[label == 1.0] += weight;
	sums->soft += soft_label;
}

/* input = (vector - mean) * factor for each column; factor 0 for a constant one. */
typedef struct InputScale
{
	int			width;
	double	   *means;
	double	   *factors;
} InputScale;

static inline void
input_scale_apply(const InputScale *scale, const float *vector, float *input)
{
	for (int column = 0; column < scale->width; column++)
		input[column] = (float) ((vector[column] - scale->means[column]) * scale->factors[column]);
}

/* Checks that both ways of reading the samples make; `number` tells a sample, from 1. */
extern CoreStatus student_check_options(Core *core, const StudentOptions *options);
extern CoreStatus student_check_sample(Core *core, int64_t number, double label, double soft_label, double weight);
extern CoreStatus student_check_classes(Core *core, const LabelSums *sums);

/* Ridge, scales and base rate of a fit whose options are set. */
extern void student_scale_losses(StudentFit *fit, const LabelSums *sums);

/* From the statistics of n vectors; CORE_INVALID when a number is not finite. */
extern CoreStatus student_scale_inputs(Core *core, Arena *arena, int64_t n, int width,
									   const ColumnStatistics *statistics, InputScale *scale);

/* The network that the options ask for, still without parameters. */
extern void student_shape(const StudentOptions *options, int width, Student *student);

/* Parameters on standardised inputs to those of a student. */
extern CoreStatus student_fold_in(Core *core, const InputScale *scale, const double *parameters, Student *student);

/* Is it fitted to the soft labels first, to pull towards that? */
static inline bool
student_is_anchored(const StudentFit *fit)
{
	return fit->options->anchored && fit->options->kind == STUDENT_LOGISTIC && fit->soft_scale > 0.0;
}

/* Both write the parameters of the network on standardised inputs, laid out as in Student. */
extern CoreStatus student_fit_logistic(const StudentFit *fit, double *parameters);
extern CoreStatus student_fit_mlp(const StudentFit *fit, const Student *network, double *parameters);

/* Where an MLP starts: random weights by the seed, and the base rate. */
extern void student_mlp_start(const StudentFit *fit, const Student *network, float *parameters);

/*
 * Loss of the MLP over the rows `order[0 .. n_rows - 1]`, scaled by n / n_rows so that
 * any batch stands for all samples, and its gradient, both with the ridge.  For tests.
 */
extern CoreStatus student_mlp_gradient(const StudentFit *fit, const Student *network,
									   const float *parameters, const int64_t *order, int n_rows,
									   double *loss, float *gradient);

#endif
