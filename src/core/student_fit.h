/*
 * student_fit.h
 *		What the two kinds of student share while they are fitted: standardised inputs and
 *		the loss of one sample.
 */
#ifndef BEHAVPRED_STUDENT_FIT_H
#define BEHAVPRED_STUDENT_FIT_H

#include "student.h"

#include <math.h>

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

/* What sample i adds to the loss in student.h, the ridge apart. */
static inline LogitLoss
sample_loss(const StudentFit *fit, int64_t i, double logit)
{
	double		hard_scale = fit->hard_scale * (fit->weights != NULL ? (double) fit->weights[i] : 1.0);
	LogitLoss	loss = cross_entropy(logit, fit->labels[i]);

	loss.value *= hard_scale;
	loss.gradient *= hard_scale;
	loss.curvature *= hard_scale;
	if (fit->soft_scale > 0.0)
	{
		double		temperature = fit->options->soft_temperature;
		LogitLoss	soft = cross_entropy(logit / temperature, fit->soft_labels[i]);

		loss.value += fit->soft_scale * soft.value;
		loss.gradient += fit->soft_scale / temperature * soft.gradient;
		loss.curvature += fit->soft_scale / (temperature * temperature) * soft.curvature;
	}
	return loss;
}

/* Both write the parameters of the network on standardised inputs, laid out as in Student. */
extern CoreStatus student_fit_logistic(const StudentFit *fit, double *parameters);
extern CoreStatus student_fit_mlp(const StudentFit *fit, const Student *network, double *parameters);

/*
 * Loss of the MLP over the rows `order[0 .. n_rows - 1]`, scaled by n / n_rows so that
 * any batch stands for all samples, and its gradient, both with the ridge.  For tests.
 */
extern CoreStatus student_mlp_gradient(const StudentFit *fit, const Student *network,
									   const float *parameters, const int64_t *order, int n_rows,
									   double *loss, float *gradient);

#endif
