/*
 * dense.h
 *		Y = X M' + offset over many rows, and its gradients, by sgemm in panels of rows.
 *
 * X is rows x inputs, M outputs x inputs, Y rows x outputs, all row-major.  Floor:
 * 2 * rows * inputs * outputs flops each.
 */
#ifndef BEHAVPRED_DENSE_H
#define BEHAVPRED_DENSE_H

#include "core.h"

typedef struct Dense
{
	Core	   *core;
	int64_t		rows;
	int			inputs;
	int			outputs;
	const float *x;
	const float *matrix;
	const float *offset;		/* outputs numbers, or NULL */
	float	   *y;				/* forward: result; backward: gradient of it */
	bool		add;			/* add to the result instead of replacing it */
	float	   *x_gradient;		/* added to */
	float	   *matrix_gradient;	/* replaced */
	float	   *offset_gradient;	/* replaced; or NULL */
	float	   *partial;		/* scratch: dense_partial_count() numbers */
} Dense;

extern CoreStatus dense_forward(const Dense *dense);
extern CoreStatus dense_backward_input(const Dense *dense);
extern CoreStatus dense_backward_matrix(const Dense *dense);

/* Numbers of scratch that dense_backward_matrix() needs. */
extern size_t dense_partial_count(int64_t rows, int inputs, int outputs);

#endif
