/*
 * dense.c
 *		Matrix products over many rows, cut into panels; see dense.h.
 *
 * The matrix gradient is a sum over rows: each shard keeps a partial sum of its own, and
 * the partial sums are added in shard order, so that the number of threads does not show.
 */
#include "core/dense.h"

#include <cblas.h>
#include <string.h>

#define PANEL_ROWS 512			/* a panel of X and Y stays in the second-level cache */

static int64_t
min_count(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static void
forward_panel(void *argument, int64_t shard, int worker)
{
	const Dense *d = argument;
	int64_t		first = shard * PANEL_ROWS;
	int			rows = (int) min_count(PANEL_ROWS, d->rows - first);
	float	   *y = d->y + first * d->outputs;

	(void) worker;
	if (d->offset != NULL && !d->add)
		for (int i = 0; i < rows; i++)
			memcpy(y + (int64_t) i * d->outputs, d->offset, d->outputs * sizeof(float));
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, d->outputs, d->inputs,
				1, d->x + first * d->inputs, d->inputs, d->matrix, d->inputs,
				d->add || d->offset != NULL ? 1 : 0, y, d->outputs);
	if (d->offset != NULL && d->add)
		for (int i = 0; i < rows; i++)
			cblas_saxpy(d->outputs, 1, d->offset, 1, y + (int64_t) i * d->outputs, 1);
}

CoreStatus
dense_forward(const Dense *dense)
{
	return core_parallel(dense->core, (dense->rows + PANEL_ROWS - 1) / PANEL_ROWS,
						 forward_panel, (void *) dense);
}

static void
backward_input_panel(void *argument, int64_t shard, int worker)
{
	const Dense *d = argument;
	int64_t		first = shard * PANEL_ROWS;
	int			rows = (int) min_count(PANEL_ROWS, d->rows - first);

	(void) worker;
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, d->inputs, d->outputs,
				1, d->y + first * d->outputs, d->outputs, d->matrix, d->inputs,
				1, d->x_gradient + first * d->inputs, d->inputs);
}

CoreStatus
dense_backward_input(const Dense *dense)
{
	return core_parallel(dense->core, (dense->rows + PANEL_ROWS - 1) / PANEL_ROWS,
						 backward_input_panel, (void *) dense);
}

/* Shards of the matrix gradient: about a billion flops each, 16 to 256 of them. */
static int64_t
gradient_shards(int64_t rows, int inputs, int outputs)
{
	double		flops = 2.0 * rows * inputs * outputs;
	int64_t		shards = (int64_t) (flops / 1e9) + 1;

	return shards < 16 ? 16 : shards > 256 ? 256 : shards;
}

/* A partial sum: the matrix, then the offset. */
static size_t
partial_size(int inputs, int outputs)
{
	return (size_t) outputs * inputs + outputs;
}

size_t
dense_partial_count(int64_t rows, int inputs, int outputs)
{
	return gradient_shards(rows, inputs, outputs) * partial_size(inputs, outputs);
}

static void
backward_matrix_shard(void *argument, int64_t shard, int worker)
{
	const Dense *d = argument;
	int64_t		shards = gradient_shards(d->rows, d->inputs, d->outputs);
	int64_t		last = d->rows * (shard + 1) / shards;
	float	   *matrix = d->partial + shard * partial_size(d->inputs, d->outputs);
	float	   *offset = matrix + (size_t) d->outputs * d->inputs;

	(void) worker;
	memset(matrix, 0, partial_size(d->inputs, d->outputs) * sizeof(float));
	for (int64_t row = d->rows * shard / shards; row < last; row += PANEL_ROWS)
	{
		int			rows = (int) min_count(PANEL_ROWS, last - row);
		const float *dy = d->y + row * d->outputs;

		cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, d->outputs, d->inputs, rows,
					1, dy, d->outputs, d->x + row * d->inputs, d->inputs,
					1, matrix, d->inputs);
		for (int i = 0; d->offset_gradient != NULL && i < rows; i++)
			cblas_saxpy(d->outputs, 1, dy + (int64_t) i * d->outputs, 1, offset, 1);
	}
}

CoreStatus
dense_backward_matrix(const Dense *dense)
{
	int64_t		shards = gradient_shards(dense->rows, dense->inputs, dense->outputs);
	size_t		size = partial_size(dense->inputs, dense->outputs);
	size_t		matrix_size = (size_t) dense->outputs * dense->inputs;

	if (core_parallel(dense->core, shards, backward_matrix_shard, (void *) dense) != CORE_OK)
		return dense->core->status;
	memset(dense->matrix_gradient, 0, matrix_size * sizeof(float));
	if (dense->offset_gradient != NULL)
		memset(dense->offset_gradient, 0, dense->outputs * sizeof(float));
	for (int64_t shard = 0; shard < shards; shard++)
	{
		const float *partial = dense->partial + shard * size;

		cblas_saxpy((int) matrix_size, 1, partial, 1, dense->matrix_gradient, 1);
		if (dense->offset_gradient != NULL)
			cblas_saxpy(dense->outputs, 1, partial + matrix_size, 1, dense->offset_gradient, 1);
	}
	return CORE_OK;
}
