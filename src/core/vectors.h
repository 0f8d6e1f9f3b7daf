/*
 * vectors.h
 *		Dot product and cosine of two float vectors of any length, and a check for NaN.
 *
 * Products are exact in double and summed in eight partial sums in a fixed order, so that
 * the result does not depend on the processor.
 */
#ifndef BEHAVPRED_VECTORS_H
#define BEHAVPRED_VECTORS_H

#include <stdbool.h>

extern double vectors_dot(const float *a, const float *b, int n);

/* In [-1, 1]; NaN when one of them has length zero. */
extern double vectors_cosine(const float *a, const float *b, int n);

/* Their cosine, less as their lengths differ: 1 for equal vectors alone. */
extern double vectors_likeness(const float *a, const float *b, int n);

/* True when no number is NaN or infinite. */
extern bool vectors_finite(const float *vector, int n);

/* The largest of n numbers, from 1 on, none of them NaN. */
extern float vectors_highest(const float *numbers, int n);

#endif
