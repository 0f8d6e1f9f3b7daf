/*
 * warm_start.h
 *		Let a training begin where an earlier one of the same graph ended.
 *
 * A training whose options ask for it is opened without a spectral start.  Before its first
 * step the host puts in the blocks of the earlier network, node by node under their present
 * numbers.  A node that the earlier one did not know then begins at the mean of its
 * neighbours, as long as nodes of its side are; one without known neighbours begins at random.
 */
#ifndef BEHAVPRED_WARM_START_H
#define BEHAVPRED_WARM_START_H

#include "encoder.h"
#include "network_format.h"

typedef struct WarmStart
{
	EncoderTraining *training;
	bool	   *known;			/* nodes: put in */
	double		bias_shift;		/* of known objects against a first guess, summed */
	int64_t		n_known[2];		/* users, objects */
} WarmStart;

extern CoreStatus warm_start_open(WarmStart *warm, Arena *arena, EncoderTraining *training);

/*
 * One block; `numbers` has the present number of each node on its side, -1 = gone, and is
 * NULL for shared numbers.  CORE_INVALID when the block is of another network.
 */
extern CoreStatus warm_start_put(WarmStart *warm, const NetworkBlock *block, const int32_t *numbers);

/* All blocks are in: place the other nodes. */
extern CoreStatus warm_start_end(WarmStart *warm);

#endif
