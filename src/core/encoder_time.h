/*
 * encoder_time.h
 *		How long a training will take, before it begins.
 */
#ifndef BEHAVPRED_ENCODER_TIME_H
#define BEHAVPRED_ENCODER_TIME_H

#include "encoder.h"

typedef struct EncoderTime
{
	int64_t		steps;			/* of all epochs */
	double		start;			/* seconds before the first step */
	double		step;			/* of one step */
	double		epoch_end;		/* after each epoch: propagation and ranking of held-out edges */
	double		finish;			/* from the last step to the vectors */
	double		seconds;		/* of all of it, when no epoch is saved by patience */
} EncoderTime;

/*
 * Measure by a pilot: the same training of a part of the users with their edges, for a few
 * steps of which each takes the same share of the edges, on the same threads; then multiply.
 * A graph of few edges is its own sample.  Takes about a second; needs memory for the sample,
 * which is made as small as the limit demands.  `seconds` is NaN when no sample fits.
 */
extern CoreStatus encoder_time(Core *core, const Graph *graph, const Features *users, const Features *objects,
							   const EncoderOptions *options, EncoderTime *time);

#endif
