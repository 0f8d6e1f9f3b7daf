/*
 * target_sample.h
 *		The sample that one target's model is trained on, from the users that were read for all.
 */
#ifndef BEHAVPRED_TARGET_SAMPLE_H
#define BEHAVPRED_TARGET_SAMPLE_H

#include "postgres.h"

#include "core/target_model.h"
#include "pg/target_users.h"

/*
 * The sample of a target, in `arena`; has_object: the graph knows one of its objects.
 * Negatives are those of the negatives relation, else candidates that are not positive; the
 * first in order, so that the choice does not depend on the order of rows, nor on the other
 * targets.  A positive is never a negative.  Where the graph's training shielded enough
 * positives from the target's objects, negatives are shielded users as well: so vectors of
 * both classes are alike in what they have not seen.
 */
extern void target_sample_draw(TargetUsers *users, int target, const TargetDefinition *definition,
							   bool has_object, Arena *arena, TargetSample *sample);

#endif
