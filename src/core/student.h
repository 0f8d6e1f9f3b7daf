/*
 * student.h
 *		The light model of one target: from a user's vector to the probability that he
 *		will do it (CN111681059 claim 1: the input is the user vector alone).
 *
 * Loss = (1 - soft_weight) * sum_i w_i CE(p_i, y_i) / sum_i w_i
 *		+ soft_weight * temperature^2 * mean_i CE(sigmoid(f_i / temperature), q_i)
 *		+ ridge / 2 * |parameters on standardised inputs, without the intercepts, - anchor|^2
 * with hard labels y, soft labels q from the graph network, and weights w: seeds by how
 * sparse their surroundings are (CN112581191 claim 1), others 1.  The anchor is 0, or for
 * an anchored logistic student what soft labels alone would make of it: hard labels then
 * correct the teacher as far as there are enough of them.  A constant input is harmless:
 * it gets weight 0.
 */
#ifndef BEHAVPRED_STUDENT_H
#define BEHAVPRED_STUDENT_H

#include "calibration.h"
#include "core.h"

typedef enum StudentKind
{
	STUDENT_LOGISTIC,
	STUDENT_MLP					/* tanh layers of the widths in `hidden` */
} StudentKind;

#define STUDENT_MAX_HIDDEN 4
#define STUDENT_MAX_HIDDEN_WIDTH 1024
#define STUDENT_MAX_WIDTH 65536

typedef struct StudentSamples
{
	int64_t		n;
	int			width;			/* numbers in a vector */
	const float *vectors;		/* n x width, finite */
	const float *labels;		/* 0 or 1 */
	const float *soft_labels;	/* in [0, 1], or NULL: soft_weight is then taken as 0 */
	const float *weights;		/* of the hard-label term, finite, >= 0; NULL = all 1 */
	const float *teacher;		/* finite weights for each number of a vector, when the soft labels are the
								 * probabilities of a linear score: saves an anchored student its first fit; NULL = none */
} StudentSamples;

/*
 * A precision over the number of samples, at most 1: a normal prior of each weight, on
 * standardised inputs, that counts against the sum of the samples' losses and so does not
 * depend on how many there are; labels win as they grow in number.  With an anchor it counts
 * against the hard labels' part of the loss.  Our choice.
 */
#define STUDENT_RIDGE_AUTOMATIC (-1.0f)
#define STUDENT_PRECISION 30.0f	/* of a logistic student's weights around 0 */
#define STUDENT_ANCHOR_PRECISION 100.0f	/* around the teacher's: within 0.1 of them */
#define STUDENT_MLP_PRECISION 10.0f	/* more, on layers that multiply, pulls a network of few positives to 0 */

typedef struct StudentOptions
{
	StudentKind kind;
	int			n_hidden;		/* 1 .. STUDENT_MAX_HIDDEN for an MLP, else 0 */
	int			hidden[STUDENT_MAX_HIDDEN]; /* 1 .. STUDENT_MAX_HIDDEN_WIDTH each */
	float		soft_weight;	/* lambda in [0, 1] */
	float		soft_temperature;	/* > 0 */
	float		ridge;			/* >= 0, on standardised inputs; or STUDENT_RIDGE_AUTOMATIC */
	bool		anchored;		/* logistic with soft labels: the ridge pulls towards the teacher */
	int			iterations;		/* at most: Newton or L-BFGS steps */
	int			epochs;			/* MLP: passes over the samples */
	int			batch_size;		/* MLP: 1 .. 65536 */
	float		learning_rate;	/* MLP: Adam, falling to 0 along half a cosine */
	uint64_t	seed;
} StudentOptions;

extern void student_defaults(StudentOptions *options);

typedef enum CalibrationKind
{
	CALIBRATION_NONE,
	CALIBRATION_PLATT,
	CALIBRATION_ISOTONIC,
	CALIBRATION_PLATT_LEVEL		/* Platt's curve below 1: what a fit of CALIBRATION_PLATT may come to */
} CalibrationKind;

/*
 * A trained model.  Layer i maps widths[i] inputs to widths[i + 1] outputs: weights
 * row-major by output, followed by the layer's offsets; all layers in `parameters`, one
 * after the other.  Inputs are the raw vectors: standardising is folded in.
 */
typedef struct Student
{
	int			n_layers;		/* 1 for logistic */
	int			widths[STUDENT_MAX_HIDDEN + 2]; /* the last is 1 */
	float	   *parameters;
	CalibrationKind calibration;
	double		scale;			/* Platt */
	double		offset;
	IsotonicCurve curve;		/* isotonic, on the logit; PLATT_LEVEL: one point, its value is the level */
	double		prior_shift;	/* added to the calibrated logit: from the class balance of
								 * the samples to that of the candidates */
	double		base_rate;		/* rate of positives among the candidates, for lift */
} Student;

/* Parameters of a network with these widths. */
extern int64_t student_parameter_count(int n_layers, const int *widths);

/*
 * Fit; the student's arrays live in `arena`, calibration is NONE.  Logistic: Newton with
 * the exact Hessian up to width 256, L-BFGS beyond.  CORE_INVALID when a class is
 * missing or a number is out of its range, CORE_DIVERGED when the loss is not finite.
 */
extern CoreStatus student_train(Core *core, Arena *arena, const StudentSamples *samples,
								const StudentOptions *options, Student *student);

/* The raw logit f(e) of one vector. */
extern double student_logit(const Student *student, const float *vector);

/* The same for n vectors, in parallel shards, to the last bit. */
extern CoreStatus student_logits(Core *core, const Student *student,
								 const float *vectors, int64_t n, double *logits);

/* Calibrated probability for a raw logit, prior shift included; in (0, 1), rising. */
extern double student_probability(const Student *student, double logit);

#endif
