/*
 * blas_kernels.c
 *		Which products OpenBLAS runs; see blas_kernels.h.
 *
 * OpenBLAS knows processors by their model numbers.  One that is younger than the library gets
 * the code of 2004: with the OpenBLAS of Debian 12 an Emerald Rapids multiplies at a quarter of
 * the speed it has with the code for Skylake.  What a processor can do it tells by itself.
 */
#include "core/blas_kernels.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CHOICE "OPENBLAS_CORETYPE"

/* Has OpenBLAS fallen back, on a processor of Intel's or of AMD's that it does not know? */
static bool
has_fallen_back(void)
{
	const char *name = openblas_get_corename();

	return strcmp(name, "Prescott") == 0 || strcmp(name, "Barcelona") == 0;
}

/* The name of the widest products that this processor can run, or NULL: leave it as it is. */
static const char *
widest_products(void)
{
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
		__builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw"))
		return "SkylakeX";
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		return "Haswell";
#endif
	return NULL;
}

/* See blas_kernels.h. */
__attribute__((constructor)) void
blas_kernels_choose(void)
{
	const char *products = widest_products();

	if (openblas_get_corename == NULL || gotoblas_dynamic_init == NULL || gotoblas_dynamic_quit == NULL ||
		getenv(CHOICE) != NULL || products == NULL || !has_fallen_back())
		return;
	/* OpenBLAS takes the choice from the environment only. */
	setenv(CHOICE, products, 1);
	gotoblas_dynamic_quit();
	gotoblas_dynamic_init();
	unsetenv(CHOICE);
}
