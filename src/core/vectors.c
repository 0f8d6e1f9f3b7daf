/*
 * vectors.c
 *		Dot product, cosine, check for NaN; see vectors.h.
 */
#include "core/vectors.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

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

double
vectors_likeness(const float *a, const float *b, int n)
{
	double		longer = fmax(vectors_dot(a, a, n), vectors_dot(b, b, n));

	return longer > 0 ? fmax(-1, fmin(1, vectors_dot(a, b, n) / longer)) : NAN;
}

/* Without a branch for each number, so that the compiler can take several at a time. */
bool
vectors_finite(const float *vector, int n)
{
	const uint32_t exponent = UINT32_C(0x7f800000);
	uint32_t	not_finite = 0;

	for (int i = 0; i < n; i++)
	{
		uint32_t	bits;

		memcpy(&bits, &vector[i], sizeof(bits));
		not_finite |= (bits & exponent) == exponent;
	}
	return not_finite == 0;
}

/* In parts that do not wait for each other, so that the compiler can take several numbers at a time. */
float
vectors_highest(const float *numbers, int n)
{
	float		parts[PARTS];
	int			i = 0;

	for (int j = 0; j < PARTS; j++)
		parts[j] = numbers[0];
	for (; i + PARTS <= n; i += PARTS)
		for (int j = 0; j < PARTS; j++)
			parts[j] = numbers[i + j] > parts[j] ? numbers[i + j] : parts[j];
	for (; i < n; i++)
		parts[0] = numbers[i] > parts[0] ? numbers[i] : parts[0];
	for (int j = 1; j < PARTS; j++)
		parts[0] = parts[j] > parts[0] ? parts[j] : parts[0];
	return parts[0];
}
