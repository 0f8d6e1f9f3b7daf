/*
 * encoder_checkpoint.h
 *		The state of a training between two steps as bytes, and back: a training that was put
 *		back gives the same bytes as one that was never interrupted.
 *
 * The bytes are a header, then arrays as they lie in memory, so they can be read on
 * machines of the same byte order only.  Several vectors for each node: they are taken and put in
 * pieces, so that no second copy of all is needed.
 */
#ifndef BEHAVPRED_ENCODER_CHECKPOINT_H
#define BEHAVPRED_ENCODER_CHECKPOINT_H

#include "encoder.h"

/* Bytes of the whole state. */
extern size_t encoder_state_size(const EncoderTraining *training);

/* Copy bytes first .. first + count - 1 of the state. */
extern void encoder_state_take(EncoderTraining *training, size_t first, size_t count, void *bytes);

/*
 * Overwrite the same bytes; when all are there, encoder_state_accept() lets the training
 * go on from them, or says CORE_CORRUPT: then the training must not be used.
 */
extern void encoder_state_put(EncoderTraining *training, size_t first, size_t count, const void *bytes);
extern CoreStatus encoder_state_accept(EncoderTraining *training);

/* What has been run so far: epochs that ended, steps of the one after them. */
extern void encoder_position(const EncoderTraining *training, int *epochs, int64_t *steps);

/*
 * A number that changes when the graph, its features or anything else does that decides
 * what a training gives, options aside.  Looks whether to stop.
 */
extern CoreStatus encoder_fingerprint(Core *core, const Graph *graph, const Features *users,
									  const Features *objects, uint64_t *fingerprint);

/* Go on with a fingerprint over further bytes; start from any number. */
extern uint64_t fingerprint_bytes(uint64_t fingerprint, const void *bytes, size_t count);

#endif
