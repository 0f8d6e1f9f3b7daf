/*
 * evaluation.c
 *		Values, intervals and baselines of a test part.
 */
#include "core/evaluation.h"

#include "core/random.h"

#include <math.h>

#define NORMAL_95 1.959963984540054

/* Room for the two rankings of one replicate. */
typedef struct Replicate
{
	Ranking		by_score;
	Ranking		by_probability;
} Replicate;

/* A case as it stands in the order of scores: read in a row, 200 times. */
typedef struct RankedCase
{
	double		score;
	double		probability;
	float		label;
} RankedCase;

typedef struct Evaluation
{
	Core	   *core;
	Arena	   *arena;
	const TestPart *part;
	uint64_t	seed;
	RankedCase *cases;			/* by rising score */
	double		class_totals[2];	/* weights */
	Replicate  *replicates;		/* one for each worker */
	Measure    *measures;
	int			n_measures;
	double	   *values;			/* EVALUATION_REPLICATES x n_measures */
} Evaluation;

/* See evaluation.h. */
void
evaluation_calibrate(TestPart *part, const Student *student)
{
	part->prior = student->base_rate;
	for (int64_t i = 0; i < part->n; i++)
		part->probabilities[i] = student_probability(student, part->scores[i]);
}

/* ---- rankings --------------------------------------------------------------------------- */

/* Add a case to the group at the end, or begin the next one. */
static void
append_case(Ranking *ranking, double score, double weight, float label)
{
	ScoreGroup *group = &ranking->groups[ranking->n - 1];

	if (ranking->n == 0 || group->score != score)
	{
		group = &ranking->groups[ranking->n++];
		*group = (ScoreGroup) {score, 0.0, 0.0};
	}
	if (label > 0)
		group->positive += weight;
	else
		group->negative += weight;
}

/* Give both classes the weight they have in the part, unless one was not drawn at all. */
static void
restore_totals(Ranking *ranking, const double *totals)
{
	double		positive;
	double		negative;

	ranking_sum(ranking);
	positive = ranking->positive > 0.0 ? totals[1] / ranking->positive : 0.0;
	negative = ranking->negative > 0.0 ? totals[0] / ranking->negative : 0.0;
	for (int64_t i = 0; i < ranking->n; i++)
	{
		ranking->groups[i].positive *= positive;
		ranking->groups[i].negative *= negative;
	}
	ranking->positive *= positive;
	ranking->negative *= negative;
}

/* A Poisson number of mean 1, from 64 random bits. */
static int
poisson_draw(uint64_t bits)
{
	static const double below[] = {
		0.36787944117144233, 0.7357588823428847, 0.9196986029286058, 0.9810118431238462, 0.9963401531726563,
		0.9994058151824183, 0.9999167588507119, 0.9999897508033253, 0.999998874797402, 0.9999998885745217
	};
	double		uniform = (double) (bits >> 11) * 0x1.0p-53;
	int			draw = 0;

	while (draw < (int) (sizeof(below) / sizeof(below[0])) && uniform >= below[draw])
		draw++;
	return draw;
}

/* Both rankings of the part itself (replicate < 0) or of one replicate. */
static void
fill_rankings(const Evaluation *evaluation, int64_t replicate, Replicate *room)
{
	const TestPart *part = evaluation->part;

	room->by_score.n = room->by_probability.n = 0;
	for (int64_t i = 0; i < part->n; i++)
	{
		const RankedCase *one = &evaluation->cases[i];
		int			times = replicate < 0 ? 1 :
			poisson_draw(random_bits(evaluation->seed, RANDOM_BOOTSTRAP, (uint64_t) (replicate * part->n + i)));
		double		weight = times * part->class_weights[one->label > 0];

		if (times == 0)
			continue;
		append_case(&room->by_score, one->score, weight, one->label);
		append_case(&room->by_probability, one->probability, weight, one->label);
	}
	restore_totals(&room->by_score, evaluation->class_totals);
	restore_totals(&room->by_probability, evaluation->class_totals);
}

/* ---- values ----------------------------------------------------------------------------- */

/* What one case costs. */
static double
case_loss(MeasureKind kind, float label, double probability)
{
	const Cases one = {1, &label, &probability, NULL};

	return kind == MEASURE_LOG_LOSS ? metric_log_loss(&one) : metric_brier(&one);
}

static double
mean_loss(MeasureKind kind, const Ranking *ranking)
{
	double		sum = 0.0;

	for (int64_t i = 0; i < ranking->n; i++)
	{
		const ScoreGroup *group = &ranking->groups[i];

		sum += group->positive * case_loss(kind, 1.0f, group->score);
		sum += group->negative * case_loss(kind, 0.0f, group->score);
	}
	return sum / (ranking->positive + ranking->negative);
}

/* The measure of one ranking; by_probability is NULL when there are no probabilities. */
static double
measure_value(const Measure *measure, const Ranking *by_score, const Ranking *by_probability)
{
	double		count = measure->at * (by_score->positive + by_score->negative);

	if (by_score->n == 0)
		return NAN;
	switch (measure->kind)
	{
		case MEASURE_AUC:
			return ranking_auc(by_score);
		case MEASURE_PR_AUC:
			return ranking_pr_auc(by_score);
		case MEASURE_LIFT:
			return ranking_lift(by_score, count);
		case MEASURE_GAIN:
			return ranking_recall(by_score, count);
		case MEASURE_ECE:
			return by_probability != NULL ? ranking_ece(by_probability, EVALUATION_BINS) : NAN;
		default:
			return by_probability != NULL ? mean_loss(measure->kind, by_probability) : NAN;
	}
}

/* ---- standard errors -------------------------------------------------------------------- */

static bool
is_loss(MeasureKind kind)
{
	return kind == MEASURE_LOG_LOSS || kind == MEASURE_BRIER;
}

/* DeLong, DeLong and Clarke-Pearson 1988: from how each case of one class stands in the other. */
static double
auc_error(const TestPart *part, const Ranking *ranking, double auc)
{
	double		positives = ranking->positive / part->class_weights[1];
	double		negatives = ranking->negative / part->class_weights[0];
	double		below = 0.0;	/* negatives */
	double		above = ranking->positive;
	double		positive_squares = 0.0;
	double		negative_squares = 0.0;

	for (int64_t i = 0; i < ranking->n; i++)
	{
		const ScoreGroup *group = &ranking->groups[i];
		double		of_positive = (below + 0.5 * group->negative) / ranking->negative - auc;
		double		of_negative = (above - 0.5 * group->positive) / ranking->positive - auc;

		positive_squares += group->positive / part->class_weights[1] * of_positive * of_positive;
		negative_squares += group->negative / part->class_weights[0] * of_negative * of_negative;
		below += group->negative;
		above -= group->positive;
	}
	return sqrt(positive_squares / (positives - 1.0) / positives + negative_squares / (negatives - 1.0) / negatives);
}

/* Variance of the class's sum of losses over all weights. */
static double
loss_variance(const Measure *measure, const TestPart *part, const Ranking *ranking, int label)
{
	double		weight = label ? ranking->positive : ranking->negative;
	double		n = weight / part->class_weights[label];
	double		share = weight / (ranking->positive + ranking->negative);
	double		sum = 0.0;
	double		squares = 0.0;

	if (weight <= 0.0)
		return 0.0;
	for (int64_t i = 0; i < ranking->n; i++)
	{
		const ScoreGroup *group = &ranking->groups[i];
		double		cases = (label ? group->positive : group->negative) / part->class_weights[label];
		double		loss = case_loss(measure->kind, (float) label, group->score);

		sum += cases * loss;
		squares += cases * loss * loss;
	}
	return share * share * fmax(squares - sum * sum / n, 0.0) / (n - 1.0) / n;
}

/* Standard deviation over the replicates. */
static double
bootstrap_error(const Evaluation *evaluation, int measure)
{
	double		sum = 0.0;
	double		squares = 0.0;
	int			n = 0;

	for (int i = 0; i < EVALUATION_REPLICATES; i++)
	{
		double		value = evaluation->values[i * evaluation->n_measures + measure];

		if (isnan(value))
			continue;
		sum += value;
		squares += value * value;
		n++;
	}
	return n > 1 ? sqrt(fmax(squares - sum * sum / n, 0.0) / (n - 1.0)) : NAN;
}

static double
standard_error(const Evaluation *evaluation, int i, const Replicate *data)
{
	const Measure *measure = &evaluation->measures[i];
	const TestPart *part = evaluation->part;

	if (measure->kind == MEASURE_AUC)
		return auc_error(part, &data->by_score, measure->value);
	if (is_loss(measure->kind))
		return sqrt(loss_variance(measure, part, &data->by_probability, 0) +
					loss_variance(measure, part, &data->by_probability, 1));
	return bootstrap_error(evaluation, i);
}

/* The largest value that a measure can have. */
static double
upper_limit(const Measure *measure, const Ranking *ranking)
{
	double		rate = ranking->positive / (ranking->positive + ranking->negative);

	if (measure->kind == MEASURE_LOG_LOSS)
		return INFINITY;
	return measure->kind == MEASURE_LIFT ? fmin(1.0 / rate, 1.0 / measure->at) : 1.0;
}

/* ---- the whole -------------------------------------------------------------------------- */

/* Shard function: the measures of one replicate that need it. */
static void
measure_replicate(void *argument, int64_t shard, int worker)
{
	Evaluation *evaluation = argument;
	Replicate  *room = &evaluation->replicates[worker];

	fill_rankings(evaluation, shard, room);
	for (int i = 0; i < evaluation->n_measures; i++)
	{
		const Measure *measure = &evaluation->measures[i];

		evaluation->values[shard * evaluation->n_measures + i] =
			measure->kind == MEASURE_AUC || is_loss(measure->kind) ? NAN :
			measure_value(measure, &room->by_score, &room->by_probability);
	}
}

/* See evaluation.h. */
CoreStatus
evaluation_sort(Core *core, Arena *arena, const TestPart *part, const SortItem **order)
{
	SortItem   *items = arena_allocate(arena, (size_t) part->n, sizeof(SortItem));

	*order = items;
	if (items == NULL)
		return core->status;
	for (int64_t i = 0; i < part->n; i++)
	{
		if (isnan(part->scores[i]))
			return core_fail(core, CORE_INVALID, "score %lld is not a number", (long long) (i + 1));
		items[i] = (SortItem) {sort_key_of_double(part->scores[i]), i};
	}
	return sort_items(core, arena, items, part->n, NULL, NULL);
}

/* Bring the cases into order. */
static CoreStatus
rank_cases(Evaluation *evaluation)
{
	const TestPart *part = evaluation->part;
	const SortItem *order;

	evaluation->cases = arena_allocate(evaluation->arena, (size_t) part->n, sizeof(RankedCase));
	if (evaluation->core->status != CORE_OK ||
		evaluation_sort(evaluation->core, evaluation->arena, part, &order) != CORE_OK)
		return evaluation->core->status;
	for (int64_t i = 0; i < part->n; i++)
	{
		int64_t		one = order[i].index;

		evaluation->cases[i] = (RankedCase) {part->scores[one], part->probabilities[one], part->labels[one]};
		evaluation->class_totals[part->labels[one] > 0] += part->class_weights[part->labels[one] > 0];
	}
	return CORE_OK;
}

static CoreStatus
open_evaluation(Evaluation *evaluation)
{
	Core	   *core = evaluation->core;
	Arena	   *arena = evaluation->arena;
	const TestPart *part = evaluation->part;

	evaluation->values = arena_doubles(arena, (size_t) EVALUATION_REPLICATES * evaluation->n_measures);
	evaluation->replicates = arena_allocate_zeroed(arena, (size_t) core->threads, sizeof(Replicate));
	if (core->status != CORE_OK || rank_cases(evaluation) != CORE_OK)
		return core->status;
	for (int i = 0; i < core->threads; i++)
	{
		evaluation->replicates[i].by_score.groups = arena_allocate(arena, (size_t) part->n + 1, sizeof(ScoreGroup));
		evaluation->replicates[i].by_probability.groups =
			arena_allocate(arena, (size_t) part->n + 1, sizeof(ScoreGroup));
	}
	return core->status;
}

/* The same measures of users ranked by activity, and of nobody ranked. */
static CoreStatus
measure_baselines(Evaluation *evaluation, const double *totals)
{
	const TestPart *part = evaluation->part;
	TestPart	by_activity = *part;
	ScoreGroup	all = {part->prior, totals[1], totals[0]};
	const Ranking unranked = {&all, part->n > 0, totals[1], totals[0]};
	Ranking		active;

	by_activity.scores = part->activity;
	if (evaluation_ranking(evaluation->core, evaluation->arena, &by_activity, &active) != CORE_OK)
		return evaluation->core->status;
	for (int i = 0; i < evaluation->n_measures; i++)
	{
		Measure    *measure = &evaluation->measures[i];

		measure->popularity = measure_value(measure, &active, NULL);
		measure->prior = measure_value(measure, &unranked, &unranked);
	}
	return CORE_OK;
}

/* Values and intervals, once the replicates are drawn. */
static void
fill_measures(Evaluation *evaluation)
{
	Replicate  *data = &evaluation->replicates[0];

	fill_rankings(evaluation, -1, data);
	for (int i = 0; i < evaluation->n_measures; i++)
	{
		Measure    *measure = &evaluation->measures[i];
		double		margin;

		measure->value = measure_value(measure, &data->by_score, &data->by_probability);
		margin = NORMAL_95 * standard_error(evaluation, i, data);
		measure->low = measure->high = NAN;
		if (isnan(margin) || isnan(measure->value))
			continue;
		measure->low = fmax(measure->value - margin, 0.0);
		measure->high = fmin(measure->value + margin, upper_limit(measure, &data->by_score));
	}
}

/* See evaluation.h. */
CoreStatus
evaluation_measure(Core *core, const TestPart *part, uint64_t seed, Measure *measures, int n_measures)
{
	Arena		arena;
	Evaluation	evaluation = {
		.core = core, .arena = &arena, .part = part, .seed = seed, .measures = measures, .n_measures = n_measures
	};

	if (part->n > EVALUATION_MOST_CASES)
		return core_fail(core, CORE_INVALID, "there are %lld cases, at most %d", (long long) part->n,
						 EVALUATION_MOST_CASES);
	arena_open(&arena, core);
	core_start_workers(core);
	if (open_evaluation(&evaluation) == CORE_OK &&
		core_parallel(core, EVALUATION_REPLICATES, measure_replicate, &evaluation) == CORE_OK &&
		measure_baselines(&evaluation, evaluation.class_totals) == CORE_OK)
		fill_measures(&evaluation);
	core_stop_workers(core);
	arena_close(&arena);
	return core->status;
}

/* See evaluation.h. */
CoreStatus
evaluation_ranking(Core *core, Arena *arena, const TestPart *part, Ranking *ranking)
{
	const SortItem *order;

	*ranking = (Ranking) {.groups = arena_allocate(arena, (size_t) part->n + 1, sizeof(ScoreGroup))};
	if (core->status != CORE_OK || evaluation_sort(core, arena, part, &order) != CORE_OK)
		return core->status;
	for (int64_t i = 0; i < part->n; i++)
	{
		int64_t		one = order[i].index;

		append_case(ranking, part->scores[one], part->class_weights[part->labels[one] > 0], part->labels[one]);
	}
	ranking_sum(ranking);
	return CORE_OK;
}
