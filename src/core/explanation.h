/*
 * explanation.h
 *		What a student's logit is made of: the factors of the user's vector, and his own
 *		interactions.
 *
 * Integrated gradients (Sundararajan, Taly and Yan 2017) along the straight line from a user
 * without direction and activity, whose vector is 0 but for the constant 1: each number of the vector
 * gets its length of the way times its mean gradient on it.  For a logistic model that is weight times
 * value.  What single precision and the quadrature leave over is told as the remainder, so that
 * all parts add up to the logit.
 */
#ifndef BEHAVPRED_EXPLANATION_H
#define BEHAVPRED_EXPLANATION_H

#include "student.h"

/* How the numbers of a vector are to be read: factors of equal width, then 1, then the rest. */
typedef struct VectorLayout
{
	int			width;
	int			dimension;		/* of all factors together */
	int			factors;
} VectorLayout;

/* Parts of the logit of student_probability(); they add up to it. */
typedef struct Explanation
{
	double		base;			/* of a user without direction and activity */
	double	   *factors;		/* one for each factor */
	double		activity;
	double		calibration;	/* what an isotonic curve, or the bound on probabilities, adds */
	double		remainder;
} Explanation;

/* Explain one vector; the array stands in `arena`. */
extern CoreStatus explanation_make(Core *core, Arena *arena, const Student *student, const VectorLayout *layout,
								   const float *vector, Explanation *explanation);

/*
 * Share the factors' parts among n objects of the user, shares being n x factors: each
 * object's in a factor is in proportion to the probability that this factor was the
 * reason, softmax over the factors of the dot products in their subspaces.
 */
extern void explanation_share(const VectorLayout *layout, const float *user, const float *objects, int64_t n,
							  const double *factors, double *shares);

#endif
