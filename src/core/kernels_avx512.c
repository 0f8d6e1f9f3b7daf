/*
 * kernels_avx512.c
 *		screen() for x86-64 with AVX-512; compiled with -mavx512bw and what that needs.
 *
 * The other loops wait for memory, or their sums would come out in another order.
 */
#if defined(__x86_64__)
#if !defined(__AVX512BW__)
#error "compile this file with -mavx512f -mavx512bw"
#endif
#include "core/kernels_screening.h"

int
screen_avx512(const ScreenTask *task, ScreenedPair *found)
{
	return screen_all(task, found);
}
#else
/* An empty translation unit is not allowed. */
typedef int kernels_avx512_unused;
#endif
