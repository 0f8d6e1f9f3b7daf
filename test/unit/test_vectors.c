/*
 * test_vectors.c
 *		Dot product, cosine and the check for numbers that are not finite.
 */
#include "support.h"

#include "core/vectors.h"

#include <float.h>
#include <math.h>

#define MOST 40

/* Numbers of both signs and of different sizes. */
static void
fill(float *vector, int n, int seed)
{
	for (int i = 0; i < n; i++)
		vector[i] = ldexpf((float) ((i * 37 + seed * 101) % 61 - 30), (i + seed) % 9 - 4);
}

static void
dot_is_the_sum_of_products(void **state)
{
	(void) state;
	for (int n = 0; n <= MOST; n++)
	{
		float		a[MOST];
		float		b[MOST];
		long double sum = 0;
		double		size = 0;

		fill(a, n, 1);
		fill(b, n, 2);
		for (int i = 0; i < n; i++)
		{
			sum += (long double) a[i] * b[i];
			size += fabs((double) a[i] * b[i]);
		}
		assert_true(fabs(vectors_dot(a, b, n) - (double) sum) <= size * 1e-15);
		assert_true(vectors_dot(a, b, n) == vectors_dot(b, a, n));
	}
}

static void
dot_keeps_what_single_precision_loses(void **state)
{
	const float a[] = {1e8f, 1.0f, -1e8f};
	const float b[] = {1.0f, 1.0f, 1.0f};

	(void) state;
	assert_true(vectors_dot(a, b, 3) == 1.0);
}

static void
cosine_is_of_the_directions(void **state)
{
	const float zero[MOST] = {0};
	float		a[MOST];
	float		b[MOST];

	(void) state;
	for (int n = 1; n <= MOST; n++)
	{
		fill(a, n, 3);
		for (int i = 0; i < n; i++)
			b[i] = -2.0f * a[i];
		assert_true(fabs(vectors_cosine(a, a, n) - 1.0) < 1e-15 && vectors_cosine(a, a, n) <= 1.0);
		assert_true(fabs(vectors_cosine(a, b, n) + 1.0) < 1e-15 && vectors_cosine(a, b, n) >= -1.0);
		assert_true(isnan(vectors_cosine(a, zero, n)));
	}
	assert_true(vectors_cosine((const float[]) {1, 0}, (const float[]) {0, 5}, 2) == 0.0);
}

/* One bad number at any place, and the largest and smallest good ones. */
static void
finite_means_every_number(void **state)
{
	const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
	const float good[] = {FLT_MAX, -FLT_MAX, FLT_TRUE_MIN, -0.0f};
	float		a[MOST] = {0};

	(void) state;
	for (int n = 0; n <= MOST; n++)
	{
		fill(a, n, 4);
		assert_true(vectors_finite(a, n));
		for (int i = 0; i < n; i++)
		{
			float		kept = a[i];

			for (int j = 0; j < 4; j++)
			{
				a[i] = bad[j];
				assert_false(vectors_finite(a, n));
				a[i] = good[j];
				assert_true(vectors_finite(a, n));
			}
			a[i] = kept;
		}
	}
}

/* The largest at every place and length, also below zero. */
static void
highest_is_found_anywhere(void **state)
{
	float		a[MOST];

	(void) state;
	for (int n = 1; n <= MOST; n++)
		for (int place = 0; place < n; place++)
		{
			for (int i = 0; i < n; i++)
				a[i] = -2.0f - i;
			a[place] = -1;
			assert_true(vectors_highest(a, n) == -1);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dot_is_the_sum_of_products),
		cmocka_unit_test(dot_keeps_what_single_precision_loses),
		cmocka_unit_test(cosine_is_of_the_directions),
		cmocka_unit_test(finite_means_every_number),
		cmocka_unit_test(highest_is_found_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
