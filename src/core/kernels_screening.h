/*
 * kernels_screening.h
 *		Products of rows of whole numbers, compared while they are in registers.
 *
 * What the numbers mean is in screening.h.  kernels_template.h compiles this with the other loops,
 * kernels_avx512.c alone.
 */
#include <string.h>
#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "core/kernels.h"

/* How many pairs of numbers an instruction takes. */
#if defined(__AVX512BW__)
#define SCREEN_LANES 16
#elif defined(__AVX2__)
#define SCREEN_LANES 8
#else
#define SCREEN_LANES 4
#endif

typedef int32_t ScreenIntegers __attribute__((vector_size(SCREEN_LANES * sizeof(int32_t))));
typedef float ScreenFloats __attribute__((vector_size(SCREEN_LANES * sizeof(float))));

#define SCREEN_INLINE static inline __attribute__((always_inline))
#define SCREEN_GROUPS 2			/* of lanes, in a tile of SCREEN_MODELS models */
#define TILE_USERS (SCREEN_GROUPS * SCREEN_LANES)
#define WORD_MODELS (64 / TILE_USERS < SCREEN_MODELS ? 64 / TILE_USERS : SCREEN_MODELS)	/* whose bits fit a word */

SCREEN_INLINE ScreenIntegers
screen_load(const int32_t *p)
{
	ScreenIntegers v;

	memcpy(&v, p, sizeof(v));
	return v;
}

SCREEN_INLINE ScreenFloats
screen_load_floats(const float *p)
{
	ScreenFloats v;

	memcpy(&v, p, sizeof(v));
	return v;
}

/* In each lane the products of the two halves of a and b, added. */
SCREEN_INLINE ScreenIntegers
multiply_pairs(ScreenIntegers a, ScreenIntegers b)
{
#if defined(__AVX512BW__)
	return (ScreenIntegers) _mm512_madd_epi16((__m512i) a, (__m512i) b);
#elif defined(__AVX2__)
	return (ScreenIntegers) _mm256_madd_epi16((__m256i) a, (__m256i) b);
#elif defined(__SSE2__)
	return (ScreenIntegers) _mm_madd_epi16((__m128i) a, (__m128i) b);
#else
	return (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
#endif
}

/* Bit i tells whether lane i of sums * scales is at least the threshold. */
SCREEN_INLINE uint64_t
reaching(ScreenIntegers sums, ScreenFloats scales, float threshold)
{
	ScreenFloats bounds = __builtin_convertvector(sums, ScreenFloats) * scales;
#if defined(__AVX512BW__)
	return _mm512_cmp_ps_mask((__m512) bounds, _mm512_set1_ps(threshold), _CMP_GE_OQ);
#elif defined(__AVX2__)
	return (uint64_t) _mm256_movemask_ps(_mm256_cmp_ps((__m256) bounds, _mm256_set1_ps(threshold), _CMP_GE_OQ));
#elif defined(__SSE2__)
	return (uint64_t) _mm_movemask_ps(_mm_cmpge_ps((__m128) bounds, _mm_set1_ps(threshold)));
#else
	uint64_t	bits = 0;

	for (int i = 0; i < SCREEN_LANES; i++)
		bits |= (uint64_t) (bounds[i] >= threshold) << i;
	return bits;
#endif
}

/* Add the products of one tile. */
SCREEN_INLINE void
multiply_tile(const ScreenTask *t, int model, int user, ScreenIntegers sums[SCREEN_MODELS][SCREEN_GROUPS])
{
	const int32_t *models = t->models + (size_t) model * t->n_pairs;
	const int32_t *users = t->users + (size_t) (user - user % SCREEN_USERS) * t->n_pairs + user % SCREEN_USERS;

	for (int p = 0; p < t->n_pairs; p++)
		for (int m = 0; m < SCREEN_MODELS; m++)
			for (int g = 0; g < SCREEN_GROUPS; g++)
				sums[m][g] += multiply_pairs((ScreenIntegers) {0} + models[p * SCREEN_MODELS + m],
											 screen_load(users + p * SCREEN_USERS + g * SCREEN_LANES));
}

/*
 * The pairs of one tile whose bounds reach their model's threshold; returns how many.  Few tiles have
 * more than one, so that all bits of a word are jumped over at once.
 */
SCREEN_INLINE int
screen_tile(const ScreenTask *t, int model, int user, ScreenedPair *found)
{
	ScreenIntegers sums[SCREEN_MODELS][SCREEN_GROUPS];
	int			n = 0;

	for (int m = 0; m < SCREEN_MODELS; m++)
		for (int g = 0; g < SCREEN_GROUPS; g++)
			sums[m][g] = screen_load(t->user_margins + user + g * SCREEN_LANES) + t->model_margins[model + m];
	multiply_tile(t, model, user, sums);
	for (int first = 0; first < SCREEN_MODELS; first += WORD_MODELS)
	{
		uint64_t	bits = 0;

		for (int m = first; m < first + WORD_MODELS; m++)
			for (int g = 0; g < SCREEN_GROUPS; g++)
				bits |= reaching(sums[m][g], screen_load_floats(t->user_scales + user + g * SCREEN_LANES),
								 t->thresholds[model + m]) << ((m - first) * TILE_USERS + g * SCREEN_LANES);
		for (; bits != 0; bits &= bits - 1)
		{
			int			bit = __builtin_ctzll(bits);

			found[n++] = (ScreenedPair) {(uint16_t) (model + first + bit / TILE_USERS), (uint16_t) (user + bit % TILE_USERS)};
		}
	}
	return n;
}

/*
 * Floor: 2 * users * models * width operations on whole numbers, half as many instructions as on
 * floats; read are 2 * width bytes for each user once and, from the nearest cache, for each model
 * and tile of users.  Nothing is written but the pairs that are found.
 */
SCREEN_INLINE int
screen_all(const ScreenTask *task, ScreenedPair *found)
{
	int			n = 0;

	for (int user = 0; user < task->n_users; user += TILE_USERS)
		for (int model = 0; model < task->n_models; model += SCREEN_MODELS)
			n += screen_tile(task, model, user, found + n);
	return n;
}
