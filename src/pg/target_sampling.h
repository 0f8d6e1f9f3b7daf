/*
 * target_sampling.h
 *		The users that a target's model is trained on.
 */
#ifndef BEHAVPRED_TARGET_SAMPLING_H
#define BEHAVPRED_TARGET_SAMPLING_H

#include "postgres.h"

#include "core/dictionary.h"
#include "core/target_model.h"
#include "pg/target_definition.h"

/*
 * Which edges to the target's objects the graph's training has not seen: those of shielded
 * users when the objects belonged to targets then (encoder_shields()), else those that
 * validation held out (encoder_holds_out()).
 */
typedef struct UnseenRule
{
	uint64		seed;
	float		validation_fraction;
	float		target_fraction;
	bool		were_targets;	/* all objects of this target */
} UnseenRule;

typedef struct SamplingOptions
{
	double		negative_ratio; /* negatives for each positive */
	int64		least_negatives;	/* but at least so many, when there are */
	uint64		seed;
	UnseenRule	unseen;
} SamplingOptions;

/*
 * One streaming pass over the candidates' embeddings.  Positives are the target's known
 * users; negatives are the users of its negatives relation, else candidates that are not
 * positive, those with the smallest hashes of (seed, key), so that the choice does not
 * depend on the order of rows.  A positive is never a negative.  Returns how many users are
 * known to belong to the target, those without an embedding among them.
 */
extern int64 target_sample(Arena *arena, const TargetDefinition *target, const GraphDefinition *graph,
						   const SamplingOptions *options, TargetSample *sample);

#endif
