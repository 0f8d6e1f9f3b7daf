/*
 * features.h
 *		Numeric features of nodes: a dense matrix, one row for each node of a kind.
 *
 * The host appends columns in any order of nodes; features_finish() standardises.
 * A node without a value (SQL NULL, or no row in the feature table) gets the column's
 * mean, which is 0 after standardising, and a flag column "is missing" is added for
 * each column in which this happens (our choice).
 */
#ifndef BEHAVPRED_FEATURES_H
#define BEHAVPRED_FEATURES_H

#include "core.h"

typedef enum FeatureKind
{
	FEATURE_NUMBER,				/* standardised to mean 0, variance 1 */
	FEATURE_CATEGORY,			/* already 0 or 1 (one-hot): kept as it is */
	FEATURE_VECTOR,				/* an element of a real[]: kept as it is */
	FEATURE_REST				/* one more column of the category or vector before it: kept as it
								 * is, missing together with it, so without a flag of its own */
} FeatureKind;

/* How a raw column is written: (value - shift) * factor, `filling` when it is missing. */
typedef struct FeatureScale
{
	double		shift;
	double		factor;
	float		filling;
	int32_t		flag;			/* column of the missing flag, -1 = none */
} FeatureScale;

/* Rows x columns, row-major; an absent value is NaN until features_finish(). */
typedef struct Features
{
	int32_t		rows;
	int32_t		columns;
	float	   *values;
	int32_t		raw_columns;	/* that features_finish() was given */
	FeatureScale *scales;		/* of each of them */
} Features;

/*
 * Turn raw columns (NaN = missing) into the matrix the encoder reads.  `kinds` has one
 * entry for each raw column.  A constant column becomes 0.  CORE_INVALID when a value is
 * infinite or a column has no value at all.  The result has the raw columns, then one
 * flag column for each raw column with missing values that is no FEATURE_REST.
 */
extern CoreStatus features_finish(Core *core, Arena *arena, const Features *raw,
								  const FeatureKind *kinds, Features *result);

/*
 * The same for other rows, as the scales of a training say: `result` has its columns, and room for the rows.  A value
 * that is too far from what the training knew for a float is cut off.
 */
extern void features_apply(const Features *raw, const FeatureScale *scales, Features *result);

#endif
