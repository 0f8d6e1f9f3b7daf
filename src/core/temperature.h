/*
 * temperature.h
 *		The temperature of the loss, chosen by short trainings.
 */
#ifndef BEHAVPRED_TEMPERATURE_H
#define BEHAVPRED_TEMPERATURE_H

#include "encoder.h"

/* Of one short training, at most. */
#define TEMPERATURE_STEPS 50

/*
 * The options of one short training for the choice between temperatures: plain propagation, small batches, a fifth
 * of the edges held out.
 */
extern EncoderOptions temperature_pilot(const EncoderOptions *options);

/*
 * From options->temperature, *temperature climbs by factors of the root of 2, within 0.05 to 0.7, as long as NDCG@20 on
 * held-out edges gains more than chance (our choice).  It stays where nothing can be held out.  Two to five short
 * trainings, whose memory is given back; needs workers as encoder_open() does.
 */
extern CoreStatus temperature_choose(Core *core, const Graph *graph, const Features *users, const Features *objects,
									 const EncoderOptions *options, float *temperature);

#endif
