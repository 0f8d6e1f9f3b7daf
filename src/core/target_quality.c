/*
 * target_quality.c
 *		How good a fitted student is, on the users of the test part.
 */
#include "core/target_fit.h"

#include <math.h>

#include "core/sorting.h"

#define CALIBRATION_BINS 10

static CoreStatus
test_auc(TargetFit *fit, const double *scores, double *auc)
{
	Cases		cases;

	if (target_part_cases(fit, PART_TEST, scores, true, &cases) != CORE_OK)
		return fit->core->status;
	return metric_auc(fit->core, &cases, auc);
}

/* Metrics of the probabilities; the logits are overwritten. */
static CoreStatus
measure_probabilities(TargetFit *fit, const Student *student, TargetQuality *quality)
{
	double		p = student->base_rate;
	Cases		cases;

	for (int64_t i = 0; i < fit->n; i++)
		fit->logits[i] = student_probability(student, fit->logits[i]);
	if (target_part_cases(fit, PART_TEST, fit->logits, true, &cases) != CORE_OK)
		return fit->core->status;
	quality->log_loss = metric_log_loss(&cases);
	quality->brier = metric_brier(&cases);
	quality->base_rate = p;
	quality->prior_log_loss = -p * log(p) - (1 - p) * log(1 - p);
	return metric_ece(fit->core, &cases, CALIBRATION_BINS, &quality->ece);
}

/* The AUC of another model on the same users. */
static CoreStatus
measure_incumbent(TargetFit *fit, double *auc)
{
	double	   *logits;

	*auc = NAN;
	if (fit->options->incumbent == NULL || fit->options->incumbent->widths[0] != fit->sample->width)
		return CORE_OK;
	logits = arena_doubles(fit->arena, fit->n);
	if (logits == NULL || student_logits(fit->core, fit->options->incumbent, fit->sample->vectors, fit->n,
										 logits) != CORE_OK)
		return fit->core->status;
	return test_auc(fit, logits, auc);
}

/* See target_fit.h. */
CoreStatus
target_measure(TargetFit *fit, const Student *student, TargetQuality *quality)
{
	Cases		cases;

	quality->training_positives = target_teaching(fit, fit->positives);
	quality->training_negatives = target_teaching(fit, fit->negatives);
	quality->test_positives = fit->positives[PART_TEST];
	quality->test_negatives = fit->negatives[PART_TEST];
	quality->test_is_unseen = fit->test_is_unseen;
	if (target_part_cases(fit, PART_TEST, fit->logits, true, &cases) != CORE_OK ||
		metric_auc(fit->core, &cases, &quality->auc) != CORE_OK ||
		metric_pr_auc(fit->core, &cases, &quality->pr_auc) != CORE_OK ||
		metric_lift(fit->core, &cases, 0.01, &quality->lift_at_1pct) != CORE_OK ||
		test_auc(fit, fit->teacher_scores, &quality->teacher_auc) != CORE_OK ||
		test_auc(fit, fit->centroid_scores, &quality->centroid_auc) != CORE_OK ||
		test_auc(fit, fit->sample->degrees, &quality->activity_auc) != CORE_OK ||
		measure_incumbent(fit, &quality->incumbent_auc) != CORE_OK)
		return fit->core->status;
	return measure_probabilities(fit, student, quality);
}

/* Copy one class of the test part, by rising logit, which tells nothing of who the users are. */
static CoreStatus
copy_test_class(TargetFit *fit, float label, double *logits, double *degrees)
{
	SortItem   *users = arena_allocate(fit->arena, fit->n, sizeof(SortItem));
	int64_t		n = 0;

	if (users == NULL)
		return fit->core->status;
	for (int64_t i = 0; i < fit->n; i++)
		if (fit->parts[i] == PART_TEST && fit->labels[i] == label)
			users[n++] = (SortItem) {sort_key_of_double(fit->logits[i]), i};
	if (sort_items(fit->core, fit->arena, users, n, NULL, NULL) != CORE_OK)
		return fit->core->status;
	for (int64_t i = 0; i < n; i++)
	{
		logits[i] = fit->logits[users[i].index];
		degrees[i] = fit->sample->degrees[users[i].index];
	}
	arena_release(fit->arena, users);
	return CORE_OK;
}

/* See target_fit.h. */
CoreStatus
target_copy_test(TargetFit *fit, Arena *arena, TargetTest *test)
{
	int64_t		positives = fit->positives[PART_TEST];
	int64_t		n = positives + fit->negatives[PART_TEST];

	*test = (TargetTest) {positives, n - positives, arena_doubles(arena, n), arena_doubles(arena, n)};
	if (fit->core->status != CORE_OK || copy_test_class(fit, 1, test->logits, test->degrees) != CORE_OK)
		return fit->core->status;
	return copy_test_class(fit, 0, test->logits + positives, test->degrees + positives);
}
