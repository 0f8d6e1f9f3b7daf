/*
 * blas_kernels.h
 *		Which of its compiled products of matrices OpenBLAS runs.
 */
#ifndef BEHAVPRED_BLAS_KERNELS_H
#define BEHAVPRED_BLAS_KERNELS_H

/*
 * Of OpenBLAS: the name of the products that run, and how it chooses them.  Weak, NULL: another
 * BLAS, or OpenBLAS built for one processor, lacks them.
 */
extern char *openblas_get_corename(void) __attribute__((weak));
extern void gotoblas_dynamic_init(void) __attribute__((weak));
extern void gotoblas_dynamic_quit(void) __attribute__((weak));

/*
 * Where OpenBLAS does not know this processor and has fallen back to the oldest code it has,
 * make it run the widest that the processor can.  Does nothing when the environment names a
 * choice (OPENBLAS_CORETYPE), nor with another BLAS.  Runs by itself when the library is
 * loaded; not while a product is being computed.
 */
extern void blas_kernels_choose(void);

#endif
