/*
 * blas_buffers.h
 *		Scratch memory of OpenBLAS: had before the work begins, because OpenBLAS itself
 *		tries for ever when it cannot have it.
 */
#ifndef BEHAVPRED_BLAS_BUFFERS_H
#define BEHAVPRED_BLAS_BUFFERS_H

#include "core/core.h"

/*
 * How many threads, at most `wanted`, may multiply matrices at the same time.  When not
 * even one may: 0, and core->status is CORE_OUT_OF_MEMORY.  For the thread that called the
 * core, while no worker is alive.
 */
extern int	blas_buffers_reserve(Core *core, int wanted);

#endif
