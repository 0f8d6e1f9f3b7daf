/*
 * statistics.h
 *		Mean, deviation and range of each column of a matrix, and the cutting of its rows
 *		into shards.
 */
#ifndef BEHAVPRED_STATISTICS_H
#define BEHAVPRED_STATISTICS_H

#include "core.h"

/* A matrix's rows in at most 256 shards of some 2^18 numbers or more. */
typedef struct RowShards
{
	int64_t		rows;
	int64_t		rows_per_shard;
	int64_t		shards;
} RowShards;

extern RowShards row_shards(int64_t rows, int columns);

/* The rows of one shard: *begin .. *end - 1, perhaps none. */
extern void row_shard(const RowShards *cut, int64_t shard, int64_t *begin, int64_t *end);

/* Of the values that are there (NaN = missing). */
typedef struct ColumnStatistics
{
	int64_t		present;		/* how many */
	double		mean;			/* NaN when there are none */
	double		deviation;		/* population standard deviation */
	float		minimum;
	float		maximum;
	bool		infinite;		/* a value is infinite, and the rest of no use */
} ColumnStatistics;

/* Of a row-major matrix; in parallel when workers are started. */
extern CoreStatus column_statistics(Core *core, int64_t rows, int columns, const float *values,
									ColumnStatistics *statistics);

/* How many even weights would spread as widely as these: n when all are equal, near 1 when one outweighs all others. */
extern CoreStatus effective_count(Core *core, int64_t n, const float *weights, double *count);

#endif
