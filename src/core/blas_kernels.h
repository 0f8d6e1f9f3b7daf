/*
 * blas_kernels.h
 *		Which of its compiled products of matrices OpenBLAS runs.
 */
#ifndef BEHAVPRED_BLAS_KERNELS_H
#define BEHAVPRED_BLAS_KERNELS_H

/*
 * Where OpenBLAS does not know this processor and has fallen back to the oldest code it has,
 * make it run the widest that the processor can.  Does nothing when the environment names a
 * choice (OPENBLAS_CORETYPE), nor with another BLAS.  Runs by itself when the library is
 * loaded; not while a product is being computed.
 */
extern void blas_kernels_choose(void);

#endif
