/*
 * vectors.c
 *		Dot product and cosine; see vectors.h.
 */
#include "core/vectors.h"

#include <math.h>

#define PARTS 8

double
vectors_dot(const float *a, const float *b, int n)
{
	double		parts[PARTS] = {0};
	double		rest = 0;
	int			i = 0;

	for (; i + PARTS <= n; i += PARTS)
		for (int j = 0; j < PARTS; j++)
			parts[j] += (double) a[i + j] * b[i + j];
	for (; i < n; i++)
		rest += (double) a[i] * b[i];
	return ((parts[0] + parts[4]) + (parts[2] + parts[6])) +
		((parts[1] + parts[5]) + (parts[3] + parts[7])) + rest;
}

double
vectors_cosine(const float *a, const float *b, int n)
{
	double		lengths = sqrt(vectors_dot(a, a, n)) * sqrt(vectors_dot(b, b, n));
	double		cosine = vectors_dot(a, b, n) / lengths;

	return lengths > 0 ? fmax(-1, fmin(1, cosine)) : NAN;
}
