/*
 * kernels_avx2.c
 *		The hot loops for x86-64 with AVX2 and FMA; compiled with -mavx2 -mfma.
 */
#if defined(__x86_64__)
#if !defined(__AVX2__) || !defined(__FMA__)
#error "compile this file with -mavx2 -mfma"
#endif
#define KERNEL_TABLE kernels_avx2
#define KERNEL_NAME "avx2"
#include "core/kernels_template.h"

const Kernels kernels_avx512 = {.name = "avx512", KERNEL_FUNCTIONS, .screen = screen_avx512};
#else
/* An empty translation unit is not allowed. */
typedef int kernels_avx2_unused;
#endif
