/*
 * descent.h
 *		Directions in which a smooth loss falls: Newton's with the exact Hessian, or that of
 *		L-BFGS.  How far to go is the caller's search.
 */
#ifndef BEHAVPRED_DESCENT_H
#define BEHAVPRED_DESCENT_H

#include "core.h"

#define DESCENT_PAIRS 10		/* that L-BFGS remembers */
#define DESCENT_MOST_NEWTON_WIDTH 256	/* inputs up to which a Hessian is worth its cost */

/* When a search ends; the loss is a mean over samples, inputs are standardised. */
#define DESCENT_MOST_HALVINGS 40
#define DESCENT_SUFFICIENT_DECREASE 1e-4
#define DESCENT_SMALL_GRADIENT 1e-8
#define DESCENT_SMALL_DECREASE 1e-13

typedef struct Descent
{
	int			n;				/* parameters */
	bool		newton;
	double	   *gradient;		/* the caller's to fill in */
	double	   *hessian;		/* Newton: upper triangle, likewise */
	double	   *direction;		/* the answer */
	double	   *factor;			/* Newton: Cholesky factor of the Hessian */

	/* L-BFGS: the latest steps and changes of gradient, as rings */
	int			pairs;
	double	   *steps;			/* DESCENT_PAIRS x n */
	double	   *changes;
	double		products[DESCENT_PAIRS];	/* step . change */
	double	   *previous_gradient;
} Descent;

/* Memory for all of it. */
extern CoreStatus descent_open(Descent *descent, Arena *arena, int n, bool newton);

/* The next direction; `length`: how far the last was followed, 0 when there was none. */
extern void descent_direction(Descent *descent, double length);

extern double descent_greatest_gradient(const Descent *descent);

#endif
