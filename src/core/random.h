/*
 * random.h
 *		Random numbers by counter: a pure function of (seed, stream, counter).
 *
 * No state is carried along, so the number that belongs to an item does not depend
 * on who draws it or in what order: this is what makes results the same with any
 * number of threads.  The mixing function is the finaliser of SplitMix64
 * (Steele, Lea, Flood 2014), applied once per argument.
 */
#ifndef BEHAVPRED_RANDOM_H
#define BEHAVPRED_RANDOM_H

#include <math.h>
#include <stdint.h>

/* One stream for each use, so that no two uses see the same numbers. */
typedef enum RandomStream
{
	RANDOM_INITIAL_WEIGHTS = 1,
	RANDOM_EDGE_ORDER,
	RANDOM_NEGATIVES,
	RANDOM_VALIDATION,
	RANDOM_SHIELD,
	RANDOM_DEGREE_CAP,
	RANDOM_FOREST,
	RANDOM_STUDENT_WEIGHTS,
	RANDOM_STUDENT_ORDER,
	RANDOM_SPLIT,
	RANDOM_SAMPLE,
	RANDOM_CALIBRATION,
	RANDOM_PROJECTION,
	RANDOM_TEST,
	RANDOM_BOOTSTRAP,
	RANDOM_NEIGHBOURS
} RandomStream;

static inline uint64_t
random_mix(uint64_t x)
{
	x += UINT64_C(0x9E3779B97F4A7C15);
	x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
	return x ^ (x >> 31);
}

/* 64 random bits for one item of one stream. */
static inline uint64_t
random_bits(uint64_t seed, uint64_t stream, uint64_t counter)
{
	return random_mix(random_mix(random_mix(seed) ^ stream) ^ counter);
}

/* Uniform in [0, 1). */
static inline double
random_uniform(uint64_t seed, uint64_t stream, uint64_t counter)
{
	return (double) (random_bits(seed, stream, counter) >> 11) * 0x1.0p-53;
}

/* Uniform in 0 .. bound - 1, for bound >= 1 (bias below 2^-32 for bound < 2^32). */
static inline uint64_t
random_below(uint64_t seed, uint64_t stream, uint64_t counter, uint64_t bound)
{
	return (uint64_t) (((__uint128_t) random_bits(seed, stream, counter) * bound) >> 64);
}

/* Standard normal, by Box and Muller; uses counters 2c and 2c + 1 of the stream. */
static inline double
random_normal(uint64_t seed, uint64_t stream, uint64_t counter)
{
	double		u = random_uniform(seed, stream, 2 * counter);
	double		v = random_uniform(seed, stream, 2 * counter + 1);

	return sqrt(-2.0 * log(1.0 - u)) * cos(6.283185307179586 * v);
}

/*
 * Place i of a random order of 0 .. n - 1 (n < 2^62), without storing it: four Feistel
 * rounds on the smallest even number of bits that holds n, walked until the place is
 * below n.
 */
static inline uint64_t
random_place(uint64_t seed, uint64_t stream, uint64_t n, uint64_t i)
{
	int			half = 1;
	uint64_t	mask;

	while (((uint64_t) 1 << (2 * half)) < n)
		half++;
	mask = ((uint64_t) 1 << half) - 1;
	do
	{
		uint64_t	left = i >> half;
		uint64_t	right = i & mask;

		for (int round = 0; round < 4; round++)
		{
			uint64_t	next = left ^ (random_bits(seed, stream, right << 2 | round) & mask);

			left = right;
			right = next;
		}
		i = left << half | right;
	} while (i >= n);
	return i;
}

#endif
