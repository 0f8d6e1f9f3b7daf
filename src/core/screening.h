/*
 * screening.h
 *		Which users may reach a score with which models: upper bounds by whole numbers.
 *
 * A row x is kept as x[i] = scale * (q[i] + r[i]) with whole numbers q of at most 16 bits and
 * |r[i]| <= 0.51 (rounding to the nearest, and that of the division).  So for a user x and a model y
 *
 *		|x . y / (scale_x * scale_y) - q_x . q_y|  <=  0.51 |q_x|_1 + 0.51 |q_y|_1 + 0.2601 * width
 *
 * where |q|_1 is the sum of absolute values.  Each row has its part of the right side as a
 * margin, with what a product of floats of those lengths may be rounded by, so that
 * scale_x * scale_y * (q_x . q_y + margin_x + margin_y) is never below that product.
 */
#ifndef BEHAVPRED_SCREENING_H
#define BEHAVPRED_SCREENING_H

#include "core.h"
#include "kernels.h"
#include "ranking.h"

/* Rows as ScreenTask takes them: `group` of them lie pair by pair side by side. */
typedef struct ScreenRows
{
	int			width;			/* of the vectors */
	int			n_pairs;
	int			group;
	int32_t    *pairs;
	int32_t    *margins;
	float	   *scales;			/* NaN of the rows that fill up the last group */
} ScreenRows;

/* Room for `count` vectors; core->status tells whether there is. */
extern ScreenRows screen_rows_open(Arena *arena, int64_t count, int width, int group);
extern void screen_rows_close(Arena *arena, const ScreenRows *rows);

/* Quantize some vectors to row `first`, the first of a group, and later ones; fills up the last group. */
extern void screen_rows_fill(const ScreenRows *rows, const Kernels *kernels, const Vectors *vectors, int64_t first);

/* What a pair's scaled sum must reach for a product, of floats, of `least` at least. */
extern float screen_threshold(const ScreenRows *models, int64_t model, double least);

#endif
