/*
 * screening.c
 *		Rows of whole numbers and the margins of their products; see screening.h.
 */
#include "core/screening.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define MOST_PRODUCT (1 << 30)	/* so that with margins a sum fits 32 bits */
#define MOST_NUMBER 32767
#define ROUNDING 0.51

/* The greatest whole number in rows of this width. */
static float
most_number(int width)
{
	return fminf(floorf(sqrtf((float) MOST_PRODUCT / (float) width)), MOST_NUMBER);
}

/* See screening.h. */
ScreenRows
screen_rows_open(Arena *arena, int64_t count, int width, int group)
{
	int64_t		room = (count + group - 1) / group * group;
	ScreenRows	rows = {.width = width, .n_pairs = (width + 1) / 2, .group = group};

	rows.pairs = arena_allocate(arena, (size_t) room * rows.n_pairs, sizeof(int32_t));
	rows.margins = arena_allocate(arena, (size_t) room, sizeof(int32_t));
	rows.scales = arena_floats(arena, (size_t) room);
	return rows;
}

void
screen_rows_close(Arena *arena, const ScreenRows *rows)
{
	arena_release(arena, rows->pairs);
	arena_release(arena, rows->margins);
	arena_release(arena, rows->scales);
}

/*
 * A row's part of the margins.  A product of floats is rounded by width * FLT_EPSILON of the
 * product of the lengths at most, and that is at most half the sum of their squares.
 */
static int32_t
margin(int width, int64_t sum)
{
	double		squares = (double) width * most_number(width) * most_number(width);

	return (int32_t) ceil(ROUNDING * (double) sum + ROUNDING * ROUNDING / 2 * width + width * FLT_EPSILON * squares / 2);
}

/* See screening.h. */
void
screen_rows_fill(const ScreenRows *rows, const Kernels *kernels, const Vectors *vectors, int64_t first)
{
	int64_t		end = first + (vectors->count + rows->group - 1) / rows->group * rows->group;

	if (vectors->count % rows->group != 0)
		memset(rows->pairs + (end - rows->group) * rows->n_pairs, 0,
			   (size_t) rows->group * rows->n_pairs * sizeof(int32_t));
	for (int64_t row = first; row < end; row++)
	{
		int32_t    *pairs = rows->pairs + (row - row % rows->group) * rows->n_pairs + row % rows->group;
		int64_t		sum = 0;

		rows->scales[row] = row - first >= vectors->count ? NAN :
			kernels->quantize(vectors->values + (row - first) * rows->width, rows->width, most_number(rows->width),
							  pairs, rows->group, &sum);
		rows->margins[row] = margin(rows->width, sum);
	}
}

/* See screening.h.  Less a few roundings of floats: of the sum, of it times the scale, and of itself. */
float
screen_threshold(const ScreenRows *models, int64_t model, double least)
{
	double		threshold = least / models->scales[model];

	return (float) (threshold - 4 * FLT_EPSILON * fabs(threshold) - FLT_MIN);
}
