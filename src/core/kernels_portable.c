/*
 * kernels_portable.c
 *		The hot loops for any processor the compiler targets by default.
 */
#define KERNEL_TABLE kernels_portable
#define KERNEL_NAME "portable"
#include "core/kernels_template.h"
