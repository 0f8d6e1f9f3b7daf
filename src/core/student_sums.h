/*
 * student_sums.h
 *		What one step of fitting a student needs to know of the samples, as sums: rows are
 *		added one by one, and the sums of parts of the rows are merged.
 *
 * The sums are made where the rows are, by a plan that says at which parameters.  Plan and sums
 * travel as bytes.
 */
#ifndef BEHAVPRED_STUDENT_SUMS_H
#define BEHAVPRED_STUDENT_SUMS_H

#include "student_fit.h"

typedef enum SumsPass
{
	SUMS_STATISTICS,			/* of labels and of each number of the vectors: before the first step */
	SUMS_GRADIENT,				/* loss and gradient */
	SUMS_HESSIAN				/* and the Hessian; logistic */
} SumsPass;

typedef struct SumsPlan
{
	SumsPass	pass;
	bool		has_soft;		/* samples have soft labels */

	/* all but statistics */
	Student		network;		/* its shape */
	double		hard_scale;
	double		soft_scale;
	double		temperature;
	InputScale	scale;
	double	   *parameters;		/* on standardised inputs */
	float	   *input;			/* scratch: one standardised vector */
} SumsPlan;

extern size_t sums_plan_size(const SumsPlan *plan);
extern void sums_plan_write(const SumsPlan *plan, void *bytes);

/* Any input is survived: CORE_CORRUPT with the reason in core->detail.  Arrays live in `arena`. */
extern CoreStatus sums_plan_read(Core *core, Arena *arena, const void *bytes, size_t length, SumsPlan *plan);

/*
 * The sums, in one piece, native byte order:
 *	statistics: weights by label, soft labels, then mean, sum of squares around it,
 *		minimum and maximum of each number;
 *	else: loss, gradient, and with a Hessian the rows of its upper triangle.
 */
typedef struct StudentSums
{
	int32_t		header;			/* the host's */
	int32_t		format;
	int32_t		pass;
	int32_t		width;			/* numbers in a vector */
	int64_t		n;				/* samples */
	int64_t		n_values;
	double		values[];
} StudentSums;

/* Bytes of the sums of such vectors, and making them zero. */
extern size_t sums_size(const SumsPlan *plan, int width);
extern void sums_clear(const SumsPlan *plan, int width, StudentSums *sums);

/* CORE_CORRUPT unless so many bytes are sums, which `like` (may be NULL) can take in. */
extern CoreStatus sums_check(Core *core, const StudentSums *sums, size_t length, const StudentSums *like);

/* One sample more; CORE_INVALID when a number is out of its range. */
extern CoreStatus sums_add(Core *core, const SumsPlan *plan, StudentSums *sums, const float *vector,
						   double label, double soft_label, double weight);

/* Other samples' sums more; both have been checked to be alike. */
extern void sums_merge(StudentSums *sums, const StudentSums *other);

/* What statistics say, for a fit. */
extern LabelSums sums_labels(const StudentSums *sums, bool has_soft);
extern ColumnStatistics sums_column(const StudentSums *sums, int column);

#endif
