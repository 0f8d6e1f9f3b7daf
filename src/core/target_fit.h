/*
 * target_fit.h
 *		What the files of target_fit() share; nobody else includes it.
 */
#ifndef BEHAVPRED_TARGET_FIT_H
#define BEHAVPRED_TARGET_FIT_H

#include "metrics.h"
#include "target_model.h"

/* All that one fit holds; arrays have one entry for each user of the sample. */
typedef struct TargetFit
{
	Core	   *core;
	Arena	   *arena;			/* scratch */
	const TargetSample *sample;
	const TargetTeacher *teacher;
	const TargetOptions *options;
	int64_t		n;
	uint8_t    *parts;
	TargetPart	last_part;		/* of those that teach the student: training alone, or calibration too */
	float	   *labels;
	double	   *teacher_scores;
	double	   *centroid_scores;
	double	   *logits;			/* of the student */
	int64_t		positives[PART_NONE + 1];	/* in each part */
	int64_t		negatives[PART_NONE + 1];
	bool		test_is_unseen;
} TargetFit;

/* How many users of one class teach. */
extern int64_t target_teaching(const TargetFit *fit, const int64_t *in_parts);

/* The cases of one part: labels, scores, and weights that stand for the population. */
extern CoreStatus target_part_cases(TargetFit *fit, TargetPart part, const double *scores, bool to_population,
									Cases *cases);

/* Metrics of the test part; the logits become probabilities. */
extern CoreStatus target_measure(TargetFit *fit, const Student *student, TargetQuality *quality);

/* Logits and degrees of the test part, positives first. */
extern CoreStatus target_copy_test(TargetFit *fit, Arena *arena, TargetTest *test);

#endif
