/*
 * target_model.h
 *		From sampled users of one target to a calibrated student and its quality.
 *
 * Users are parted into three: training fits the student, calibration turns its logit into
 * a probability, test trains nothing and measures.  The two classes are sampled at rates
 * of their own; probabilities and metrics refer to the whole candidate population.
 */
#ifndef BEHAVPRED_TARGET_MODEL_H
#define BEHAVPRED_TARGET_MODEL_H

#include "core.h"
#include "outlier.h"
#include "student.h"

#define TARGET_LEAST_POSITIVES 20
#define TARGET_LEAST_UNSEEN 20	/* unseen positives from which the test part is made of them ... */
#define TARGET_ENOUGH_UNSEEN 60 /* ... and from which all parts are, the seen ones left out */

/* Of the dealing into parts, whatever the seed of a training: so all versions of a target
 * are tested on much the same users, and none was trained on another's test users. */
#define TARGET_SPLIT_SEED 1

typedef enum TargetPart
{
	PART_TRAINING,				/* 60 % of each class */
	PART_CALIBRATION,			/* 20 % */
	PART_TEST,					/* 20 %, or all unseen positives */
	PART_NONE					/* positives whose vectors have seen what is to be predicted */
} TargetPart;

/* The sampled users: n_positive positives, then n_negative negatives. */
typedef struct TargetSample
{
	int			width;			/* numbers in a vector */
	int64_t		n_positive;
	int64_t		n_negative;
	float	   *vectors;		/* (n_positive + n_negative) x width */
	double	   *degrees;		/* interactions of each user: the activity baseline */
	uint64_t   *hashes;			/* of each user's key: decide the parts */
	uint8_t    *unseen;			/* positives: the vectors were trained without their edge */
	int64_t		candidates;		/* in the population that the sample stands for, positives included */
	int64_t		population_positives;
} TargetSample;

/* The graph network as teacher: the objects' vectors and its calibration (balanced prior).
 * Without objects what teacher_from_seeds() makes of the training positives stands for one. */
typedef struct TargetTeacher
{
	int			n_objects;
	const float *objects;		/* n_objects x width */
	double		scale;
	double		offset;
	int			factors;		/* subspaces of a vector */
} TargetTeacher;

typedef struct TargetOptions
{
	StudentOptions student;
	bool		weigh_seeds;	/* by isolation forest */
	SeedWeightScale seed_weight_scale;
	CalibrationKind calibration;
	uint64_t	seed;
	const Student *incumbent;	/* a model to be measured on the same test part, or NULL */
} TargetOptions;

/* The users of the test part as they were measured: positives first, each class by rising logit. */
typedef struct TargetTest
{
	int64_t		n_positive;
	int64_t		n_negative;
	double	   *logits;
	double	   *degrees;		/* interactions */
} TargetTest;

/* On the test part, weighted to the candidate population; NaN = cannot be measured. */
typedef struct TargetQuality
{
	int64_t		training_positives;
	int64_t		training_negatives;
	int64_t		test_positives;
	int64_t		test_negatives;
	bool		test_is_unseen; /* the test positives are edges the vectors have not seen */
	double		auc;
	double		pr_auc;
	double		log_loss;
	double		brier;
	double		ece;			/* 10 bins of equal weight */
	double		lift_at_1pct;
	double		base_rate;		/* positives among candidates */
	double		prior_log_loss; /* of the base rate as everybody's probability */
	double		teacher_auc;
	double		centroid_auc;	/* score of what stands for the training positives */
	double		activity_auc;	/* number of interactions */
	double		incumbent_auc;	/* NaN without one, or when it is for vectors of another width */
	TargetTest	test;			/* its arrays stand with the student's */
} TargetQuality;

/*
 * Fit, calibrate, measure.  The student's arrays live in `arena`.  CORE_INVALID when a
 * class is too small (TARGET_LEAST_POSITIVES each) or when all vectors are equal.
 */
extern CoreStatus target_fit(Core *core, Arena *arena, const TargetSample *sample,
							 const TargetTeacher *teacher, const TargetOptions *options,
							 Student *student, TargetQuality *quality);

#endif
