/*
 * kernels.c
 *		Which compiled table of hot loops this processor runs.
 */
#include "core/kernels.h"

const Kernels *
kernels_select(bool portable)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (!portable && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") ? &kernels_avx512 : &kernels_avx2;
#endif
	(void) portable;
	return &kernels_portable;
}
