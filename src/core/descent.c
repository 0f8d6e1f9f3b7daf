/*
 * descent.c
 *		Directions in which a smooth loss falls: Newton's and L-BFGS's.
 */
#include "core/descent.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#define FIRST_DAMPING 1e-10		/* of the Hessian's mean diagonal */

static double
dot(const double *a, const double *b, int n)
{
	double		sum = 0.0;

	for (int i = 0; i < n; i++)
		sum += a[i] * b[i];
	return sum;
}

/* Upper Cholesky factor of Hessian + damping; false when that is not positive definite. */
static bool
factorise(const Descent *d, double damping)
{
	int			n = d->n;
	double	   *u = d->factor;

	memcpy(u, d->hessian, (size_t) n * (size_t) n * sizeof(double));
	for (int i = 0; i < n; i++)
	{
		double	   *row = u + (size_t) i * (size_t) n;
		double		pivot = row[i] + damping;

		if (!(pivot > 0.0))
			return false;
		pivot = sqrt(pivot);
		row[i] = pivot;
		for (int j = i + 1; j < n; j++)
			row[j] /= pivot;
		for (int k = i + 1; k < n; k++)
		{
			double	   *below = u + (size_t) k * (size_t) n;

			for (int j = k; j < n; j++)
				below[j] -= row[k] * row[j];
		}
	}
	return true;
}

/* direction = -(U' U)^-1 gradient */
static void
solve(const Descent *d)
{
	int			n = d->n;
	double	   *x = d->direction;

	for (int i = 0; i < n; i++)
		x[i] = -d->gradient[i];
	for (int i = 0; i < n; i++)
	{
		const double *row = d->factor + (size_t) i * (size_t) n;

		x[i] /= row[i];
		for (int j = i + 1; j < n; j++)
			x[j] -= row[j] * x[i];
	}
	for (int i = n - 1; i >= 0; i--)
	{
		const double *row = d->factor + (size_t) i * (size_t) n;

		x[i] = (x[i] - dot(row + i + 1, x + i + 1, n - i - 1)) / row[i];
	}
}

/*
 * Newton's direction.  A constant or doubled column without ridge makes the Hessian
 * singular, and rounding may make it slightly indefinite: damping grows until it is not.
 */
static void
newton_direction(const Descent *d)
{
	int			n = d->n;
	double		damping = 0.0;

	for (int i = 0; i < n; i++)
		damping += d->hessian[(size_t) i * (size_t) n + (size_t) i];
	damping = FIRST_DAMPING * damping / n + 1e-300;
	while (!factorise(d, damping) && isfinite(damping))
		damping *= 100.0;
	solve(d);
}

/* Keep the latest step and change of gradient, if they show curvature. */
static void
remember_pair(Descent *d, double length)
{
	int			n = d->n;
	int			place = d->pairs % DESCENT_PAIRS;
	double	   *step = d->steps + (size_t) place * (size_t) n;
	double	   *change = d->changes + (size_t) place * (size_t) n;

	for (int i = 0; i < n; i++)
	{
		step[i] = length * d->direction[i];
		change[i] = d->gradient[i] - d->previous_gradient[i];
	}
	d->products[place] = dot(step, change, n);
	if (d->products[place] > 1e-300)
		d->pairs++;
}

/* L-BFGS's two loops over the remembered pairs, latest first, then latest last. */
static void
lbfgs_direction(const Descent *d)
{
	int			n = d->n;
	int			oldest = d->pairs > DESCENT_PAIRS ? d->pairs - DESCENT_PAIRS : 0;
	double		shares[DESCENT_PAIRS];
	double	   *x = d->direction;

	for (int i = 0; i < n; i++)
		x[i] = -d->gradient[i];
	for (int pair = d->pairs - 1; pair >= oldest; pair--)
	{
		int			place = pair % DESCENT_PAIRS;

		shares[place] = dot(d->steps + (size_t) place * (size_t) n, x, n) / d->products[place];
		cblas_daxpy(n, -shares[place], d->changes + (size_t) place * (size_t) n, 1, x, 1);
	}
	if (d->pairs > 0)
	{
		int			latest = (d->pairs - 1) % DESCENT_PAIRS;
		const double *change = d->changes + (size_t) latest * (size_t) n;

		cblas_dscal(n, d->products[latest] / dot(change, change, n), x, 1);
	}
	for (int pair = oldest; pair < d->pairs; pair++)
	{
		int			place = pair % DESCENT_PAIRS;
		double		share = dot(d->changes + (size_t) place * (size_t) n, x, n) / d->products[place];

		cblas_daxpy(n, shares[place] - share, d->steps + (size_t) place * (size_t) n, 1, x, 1);
	}
}

/* See descent.h. */
CoreStatus
descent_open(Descent *d, Arena *arena, int n, bool newton)
{
	size_t		square = newton ? (size_t) n * (size_t) n : 0;
	size_t		pairs = newton ? 0 : DESCENT_PAIRS;

	*d = (Descent) {.n = n, .newton = newton};
	d->gradient = arena_doubles(arena, (size_t) n);
	d->direction = arena_doubles(arena, (size_t) n);
	d->hessian = arena_doubles(arena, square);
	d->factor = arena_doubles(arena, square);
	d->steps = arena_doubles(arena, pairs * (size_t) n);
	d->changes = arena_doubles(arena, pairs * (size_t) n);
	d->previous_gradient = arena_doubles(arena, (size_t) n);
	return arena->core->status;
}

/* See descent.h. */
void
descent_direction(Descent *d, double length)
{
	if (d->newton)
	{
		newton_direction(d);
		return;
	}
	if (length > 0.0)
		remember_pair(d, length);
	memcpy(d->previous_gradient, d->gradient, (size_t) d->n * sizeof(double));
	lbfgs_direction(d);
}

/* See descent.h. */
double
descent_greatest_gradient(const Descent *d)
{
	double		greatest = 0.0;

	for (int i = 0; i < d->n; i++)
		greatest = fmax(greatest, fabs(d->gradient[i]));
	return greatest;
}
