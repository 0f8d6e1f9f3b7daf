/*
 * calibration_level.c
 *		A sigmoid that levels off below 1, by Fisher's scoring.
 *
 * With q = sigmoid(scale * x + offset), x the standardised score, and level = sigmoid(g), the
 * probability is p = level * q.  Its derivatives over p are u = ((1 - q) x, 1 - q, 1 - level) by
 * (scale, offset, g), so the score is sum (target - p) / (1 - p) u, Fisher's information
 * sum p / (1 - p) u u'.
 */
#include "core/calibration.h"

#include <math.h>

#define PARAMETERS 3
#define MOST_STEPS 50
#define MOST_HALVINGS 20
#define SMALL_GAIN 1e-9			/* of the log likelihood, a sum over cases */
#define RELATIVE_DAMPING 1e-9
#define FIRST_LEVEL 0.5
#define HIGHEST_LEVEL 0.999		/* nearer to 1 it is none */

typedef struct LevelFit
{
	const Cases *cases;
	double		mean;			/* of the scores */
	double		deviation;
	double		targets[2];		/* probability aimed at for label 0 and 1 */
	double		theta[PARAMETERS];	/* scale, offset, g */
} LevelFit;

/* Log likelihood, score and information at one place. */
typedef struct LevelSums
{
	double		value;
	double		score[PARAMETERS];
	double		information[PARAMETERS][PARAMETERS];
} LevelSums;

static double
sigmoid(double x)
{
	double		tail = exp(-fabs(x));

	return x >= 0.0 ? 1.0 / (1.0 + tail) : tail / (1.0 + tail);
}

/* Mean and deviation of the scores, and Platt's targets. */
static void
prepare(LevelFit *fit)
{
	const Cases *cases = fit->cases;
	double		counts[2] = {0.0, 0.0};
	double		square = 0.0;

	for (int64_t i = 0; i < cases->n; i++)
	{
		double		from_mean = cases->scores[i] - fit->mean;

		fit->mean += from_mean / (double) (i + 1);
		square += from_mean * (cases->scores[i] - fit->mean);
		counts[cases->labels[i] > 0.5f]++;
	}
	fit->deviation = sqrt(square / (double) cases->n);
	fit->targets[0] = 1.0 / (counts[0] + 2.0);
	fit->targets[1] = (counts[1] + 1.0) / (counts[1] + 2.0);
}

/* Log likelihood of a place with this level; the level of Platt's curve is 1. */
static double
likelihood(const LevelFit *fit, const double *theta, double level)
{
	double		sum = 0.0;

	for (int64_t i = 0; i < fit->cases->n; i++)
	{
		double		x = (fit->cases->scores[i] - fit->mean) / fit->deviation;
		double		q = sigmoid(theta[0] * x + theta[1]);
		double		rest = sigmoid(-theta[0] * x - theta[1]) + (1.0 - level) * q;	/* 1 - p */
		double		target = fit->targets[fit->cases->labels[i] > 0.5f];

		sum += target * log(fmax(level * q, 1e-300)) + (1.0 - target) * log(fmax(rest, 1e-300));
	}
	return sum;
}

static void
sum_up(const LevelFit *fit, LevelSums *sums)
{
	double		level = sigmoid(fit->theta[2]);

	*sums = (LevelSums) {.value = likelihood(fit, fit->theta, level)};
	for (int64_t i = 0; i < fit->cases->n; i++)
	{
		double		x = (fit->cases->scores[i] - fit->mean) / fit->deviation;
		double		q = sigmoid(fit->theta[0] * x + fit->theta[1]);
		double		p = level * q;
		double		rest = fmax(1.0 - p, 1e-12);
		double		u[PARAMETERS] = {(1.0 - q) * x, 1.0 - q, 1.0 - level};

		for (int j = 0; j < PARAMETERS; j++)
		{
			sums->score[j] += (fit->targets[fit->cases->labels[i] > 0.5f] - p) / rest * u[j];
			for (int k = 0; k < PARAMETERS; k++)
				sums->information[j][k] += p / rest * u[j] * u[k];
		}
	}
}

/* information * step = score, by elimination; the damping keeps every pivot positive. */
static void
solve(const LevelSums *sums, double *step)
{
	double		a[PARAMETERS][PARAMETERS];
	double		damping = 1e-300;

	for (int i = 0; i < PARAMETERS; i++)
		damping += RELATIVE_DAMPING * sums->information[i][i];
	for (int i = 0; i < PARAMETERS; i++)
	{
		step[i] = sums->score[i];
		for (int j = 0; j < PARAMETERS; j++)
			a[i][j] = sums->information[i][j] + (i == j ? damping : 0.0);
	}
	for (int i = 0; i < PARAMETERS; i++)
		for (int j = i + 1; j < PARAMETERS; j++)
		{
			double		share = a[j][i] / a[i][i];

			for (int k = i; k < PARAMETERS; k++)
				a[j][k] -= share * a[i][k];
			step[j] -= share * step[i];
		}
	for (int i = PARAMETERS - 1; i >= 0; i--)
	{
		for (int j = i + 1; j < PARAMETERS; j++)
			step[i] -= a[i][j] * step[j];
		step[i] /= a[i][i];
	}
}

/* One step, halved until the likelihood rises; false when it does so no more. */
static bool
take_step(LevelFit *fit)
{
	LevelSums	sums;
	double		step[PARAMETERS];

	sum_up(fit, &sums);
	solve(&sums, step);
	for (int halving = 0; halving < MOST_HALVINGS; halving++)
	{
		double		length = ldexp(1.0, -halving);
		double		tried[PARAMETERS];

		for (int j = 0; j < PARAMETERS; j++)
			tried[j] = fit->theta[j] + length * step[j];
		if (likelihood(fit, tried, sigmoid(tried[2])) > sums.value + SMALL_GAIN)
		{
			for (int j = 0; j < PARAMETERS; j++)
				fit->theta[j] = tried[j];
			return true;
		}
	}
	return false;
}

/* See calibration.h. */
CoreStatus
calibration_level(Core *core, const Cases *cases, double *level, double *scale, double *offset)
{
	LevelFit	fit = {.cases = cases};
	double		platt[PARAMETERS];
	double		found;

	*level = 1.0;
	prepare(&fit);
	if (!(fit.deviation > 0.0 && *scale > 0.0))
		return core->status;
	platt[0] = *scale * fit.deviation;
	platt[1] = *offset + *scale * fit.mean;
	fit.theta[0] = platt[0];
	fit.theta[1] = platt[1] - log(FIRST_LEVEL);	/* low probabilities stay */
	fit.theta[2] = log(FIRST_LEVEL / (1.0 - FIRST_LEVEL));
	for (int step = 0; step < MOST_STEPS && core_continues(core) && take_step(&fit); step++);
	found = sigmoid(fit.theta[2]);
	if (core->status != CORE_OK || !(fit.theta[0] > 0.0 && found < HIGHEST_LEVEL && found > 1.0 - HIGHEST_LEVEL) ||
		!(likelihood(&fit, fit.theta, found) > likelihood(&fit, platt, 1.0) + CALIBRATION_LEAST_GAIN))
		return core->status;
	*level = found;
	*scale = fit.theta[0] / fit.deviation;
	*offset = fit.theta[1] - *scale * fit.mean;
	return CORE_OK;
}
