/*
 * target_model.c
 *		Part the sample, make soft labels and seed weights, fit, calibrate; target_quality.c measures.
 */
#include "core/target_model.h"

#include <math.h>
#include <string.h>

#include "core/random.h"
#include "core/sorting.h"
#include "core/target_fit.h"
#include "core/teacher.h"

#define CALIBRATION_POINTS 64	/* of an isotonic curve */
#define ANCHOR_STEPS 60
#define MOST_ANCHOR_SHIFT 10.0
#define SMALL_ANCHOR_SHIFT 1e-10

static CoreStatus
fit_open(TargetFit *fit)
{
	fit->n = fit->sample->n_positive + fit->sample->n_negative;
	fit->parts = arena_allocate(fit->arena, fit->n, 1);
	fit->labels = arena_floats(fit->arena, fit->n);
	fit->teacher_scores = arena_doubles(fit->arena, fit->n);
	fit->centroid_scores = arena_doubles(fit->arena, fit->n);
	fit->logits = arena_doubles(fit->arena, fit->n);
	if (fit->core->status != CORE_OK)
		return fit->core->status;
	for (int64_t i = 0; i < fit->n; i++)
		fit->labels[i] = i < fit->sample->n_positive;
	return CORE_OK;
}

/* ---- parts -------------------------------------------------------------------------- */

/* Deal the users of one class that stand in the training part, in the order of a hash of
 * their keys: a share stays, up to `calibration` goes to calibration, the rest to test. */
static CoreStatus
deal_class(TargetFit *fit, int64_t first, int64_t n, double training, double calibration)
{
	SortItem   *users = arena_allocate(fit->arena, n, sizeof(SortItem));
	int64_t		dealt = 0;

	if (users == NULL)
		return fit->core->status;
	for (int64_t i = first; i < first + n; i++)
		if (fit->parts[i] == PART_TRAINING)
			users[dealt++] = (SortItem)
			{
				random_bits(TARGET_SPLIT_SEED, RANDOM_SPLIT, fit->sample->hashes[i]), i
			};
	if (sort_items(fit->core, fit->arena, users, dealt, NULL, NULL) != CORE_OK)
		return fit->core->status;
	for (int64_t i = 0; i < dealt; i++)
		fit->parts[users[i].index] = i < training * dealt ? PART_TRAINING :
			i < calibration * dealt ? PART_CALIBRATION : PART_TEST;
	arena_release(fit->arena, users);
	return CORE_OK;
}

/*
 * Positives: enough unseen ones are dealt to all parts and the seen ones left out; a few
 * make the test part, and the seen ones the others; else seen ones make all parts.
 */
static CoreStatus
deal_positives(TargetFit *fit)
{
	const TargetSample *sample = fit->sample;
	int64_t		unseen = 0;
	bool		enough;

	for (int64_t i = 0; i < sample->n_positive; i++)
		unseen += sample->unseen[i] != 0;
	enough = unseen >= TARGET_ENOUGH_UNSEEN || unseen == sample->n_positive;
	fit->test_is_unseen = enough || (unseen >= TARGET_LEAST_UNSEEN &&
									 sample->n_positive - unseen >= TARGET_LEAST_POSITIVES);
	for (int64_t i = 0; i < sample->n_positive; i++)
		fit->parts[i] = enough ? (sample->unseen[i] ? PART_TRAINING : PART_NONE) :
			fit->test_is_unseen && sample->unseen[i] ? PART_TEST : PART_TRAINING;
	if (fit->test_is_unseen && !enough)
		return deal_class(fit, 0, sample->n_positive, 0.75, 1);
	return deal_class(fit, 0, sample->n_positive, 0.6, 0.8);
}

static CoreStatus
deal_parts(TargetFit *fit)
{
	const TargetSample *sample = fit->sample;

	for (int64_t i = sample->n_positive; i < fit->n; i++)
		fit->parts[i] = PART_TRAINING;
	if (deal_positives(fit) != CORE_OK ||
		deal_class(fit, sample->n_positive, sample->n_negative, 0.6, 0.8) != CORE_OK)
		return fit->core->status;
	for (int64_t i = 0; i < fit->n; i++)
		if (fit->labels[i] > 0)
			fit->positives[fit->parts[i]]++;
		else
			fit->negatives[fit->parts[i]]++;
	return CORE_OK;
}

/* Parts are numbered in the order in which they join the student's training. */
static bool
teaches(const TargetFit *fit, int64_t i)
{
	return fit->parts[i] <= fit->last_part;
}

/* See target_fit.h. */
int64_t
target_teaching(const TargetFit *fit, const int64_t *in_parts)
{
	return in_parts[PART_TRAINING] + (fit->last_part == PART_CALIBRATION ? in_parts[PART_CALIBRATION] : 0);
}

static const float *
user_vector(const TargetFit *fit, int64_t i)
{
	return fit->sample->vectors + i * fit->sample->width;
}

/* Vectors that are all equal tell nobody apart. */
static CoreStatus
check_sample(TargetFit *fit)
{
	const TargetSample *sample = fit->sample;

	if (sample->n_positive < TARGET_LEAST_POSITIVES || sample->n_negative < TARGET_LEAST_POSITIVES)
		return core_fail(fit->core, CORE_INVALID, "%lld positive and %lld negative users, at least %d each",
						 (long long) sample->n_positive, (long long) sample->n_negative,
						 TARGET_LEAST_POSITIVES);
	for (int64_t i = 1; i < fit->n; i++)
		if (memcmp(user_vector(fit, i), user_vector(fit, 0), sample->width * sizeof(float)) != 0)
			return CORE_OK;
	return core_fail(fit->core, CORE_INVALID, "the vectors of all %lld users are equal", (long long) fit->n);
}

/* ---- teacher ------------------------------------------------------------------------- */

static Vectors
sample_vectors(const TargetFit *fit)
{
	return (Vectors) {fit->n, fit->sample->width, fit->sample->vectors};
}

/* The teacher's score by objects, which stays. */
static CoreStatus
score_by_objects(TargetFit *fit)
{
	Vectors		users = sample_vectors(fit);
	Vectors		objects = {fit->teacher->n_objects, fit->sample->width, fit->teacher->objects};

	if (objects.count == 0)
		return CORE_OK;
	return teacher_best_scores(fit->core, fit->arena, &users, &objects, fit->teacher_scores);
}

/* Likeness to the positives that teach; without an object it is the teacher's score.  *linear are
 * the weights of that score, unless it is the best of several. */
static CoreStatus
score_by_seeds(TargetFit *fit, Arena *arena, float **linear)
{
	Vectors		users = sample_vectors(fit);
	Vectors		positives = {fit->sample->n_positive, users.width, users.values};
	uint8_t    *chosen = arena_allocate(arena, positives.count, 1);
	float	   *seeds = arena_floats(arena, users.width);

	if (fit->core->status != CORE_OK)
		return fit->core->status;
	for (int64_t i = 0; i < positives.count; i++)
		chosen[i] = teaches(fit, i);
	teacher_from_seeds(&positives, chosen, 1, fit->teacher->factors, seeds);
	if (teacher_best_scores(fit->core, arena, &users, &(Vectors) {1, users.width, seeds},
							fit->centroid_scores) != CORE_OK)
		return fit->core->status;
	if (fit->teacher->n_objects == 0)
		memcpy(fit->teacher_scores, fit->centroid_scores, fit->n * sizeof(double));
	else
		memcpy(seeds, fit->teacher->objects, users.width * sizeof(float));
	*linear = fit->teacher->n_objects > 1 ? NULL : seeds;
	return CORE_OK;
}

/* See target_fit.h. */
CoreStatus
target_part_cases(TargetFit *fit, TargetPart part, const double *scores, bool to_population, Cases *cases)
{
	int64_t		n = fit->positives[part] + fit->negatives[part];
	float	   *labels = arena_floats(fit->arena, n);
	double	   *part_scores = arena_doubles(fit->arena, n);
	float	   *weights = arena_floats(fit->arena, n);
	double		population = fit->sample->candidates - fit->sample->population_positives;
	double		positive_weight = (double) fit->sample->population_positives / fit->positives[part];
	double		negative_weight = population / fit->negatives[part];

	if (fit->core->status != CORE_OK)
		return fit->core->status;
	*cases = (Cases) {0, labels, part_scores, to_population ? weights : NULL};
	for (int64_t i = 0; i < fit->n; i++)
		if (fit->parts[i] == part)
		{
			labels[cases->n] = fit->labels[i];
			part_scores[cases->n] = scores[i];
			weights[cases->n++] = (float) (fit->labels[i] > 0 ? positive_weight : negative_weight);
		}
	return CORE_OK;
}

/* ---- student ------------------------------------------------------------------------- */

/* Those who teach, as the student reads them. */
typedef struct TrainingArrays
{
	int64_t		n;
	float	   *vectors;
	float	   *labels;
	float	   *soft_labels;
	float	   *weights;
	double	   *teacher_scores;
	float	   *teacher;		/* its weights, when its score is linear */
} TrainingArrays;

static CoreStatus
copy_teaching_parts(TargetFit *fit, Arena *arena, TrainingArrays *arrays)
{
	int			width = fit->sample->width;
	int64_t		n = target_teaching(fit, fit->positives) + target_teaching(fit, fit->negatives);

	arrays->n = 0;
	arrays->vectors = arena_floats(arena, (size_t) n * width);
	arrays->labels = arena_floats(arena, n);
	arrays->soft_labels = arena_floats(arena, n);
	arrays->weights = arena_floats(arena, n);
	arrays->teacher_scores = arena_doubles(arena, n);
	if (fit->core->status != CORE_OK)
		return fit->core->status;
	for (int64_t i = 0; i < fit->n; i++)
		if (teaches(fit, i))
		{
			int64_t		place = arrays->n++;

			memcpy(arrays->vectors + place * width, user_vector(fit, i), width * sizeof(float));
			arrays->labels[place] = fit->labels[i];
			arrays->teacher_scores[place] = fit->teacher_scores[i];
			arrays->weights[place] = 1;
		}
	return CORE_OK;
}

/*
 * Teacher scores as probabilities at the class balance of those who teach.  The network's
 * own calibration has a balanced prior and is shifted; what is made of the seeds has none
 * and is calibrated on them.
 */
static CoreStatus
make_soft_labels(TargetFit *fit, TrainingArrays *arrays)
{
	double		scale = fit->teacher->scale;
	double		offset = fit->teacher->offset +
		log((double) target_teaching(fit, fit->positives) / target_teaching(fit, fit->negatives));
	Cases		cases = {arrays->n, arrays->labels, arrays->teacher_scores, NULL};

	if (fit->teacher->n_objects == 0 && calibration_platt(fit->core, &cases, &scale, &offset) != CORE_OK)
		return fit->core->status;
	for (int64_t i = 0; i < arrays->n; i++)
		arrays->soft_labels[i] = (float) (1 / (1 + exp(-(scale * arrays->teacher_scores[i] + offset))));
	for (int d = 0; d < fit->sample->width && arrays->teacher != NULL; d++)
		arrays->teacher[d] *= (float) scale;
	return CORE_OK;
}

/* Weights of the seeds, which come first; everybody else keeps 1. */
static CoreStatus
weigh_seeds(TargetFit *fit, Arena *arena, TrainingArrays *arrays)
{
	int64_t		n = target_teaching(fit, fit->positives);
	double	   *scores;

	if (!fit->options->weigh_seeds)
		return CORE_OK;
	scores = arena_doubles(arena, n);
	if (scores == NULL ||
		outlier_scores(fit->core, n, fit->sample->width, arrays->vectors, fit->options->seed,
					   scores) != CORE_OK)
		return fit->core->status;
	outlier_weights(n, scores, fit->options->seed_weight_scale, arrays->weights);
	return CORE_OK;
}

/* Fit a student in `arena` on the parts up to `last`, and take everybody's logit. */
static CoreStatus
fit_student(TargetFit *fit, TargetPart last, Arena *arena, Student *student)
{
	TrainingArrays arrays = {0};
	StudentSamples samples;
	Arena		scratch;

	fit->last_part = last;
	arena_open(&scratch, fit->core);
	if (score_by_seeds(fit, &scratch, &arrays.teacher) == CORE_OK && copy_teaching_parts(fit, &scratch, &arrays) == CORE_OK &&
		make_soft_labels(fit, &arrays) == CORE_OK && weigh_seeds(fit, &scratch, &arrays) == CORE_OK)
	{
		samples = (StudentSamples) {
			.n = arrays.n, .width = fit->sample->width, .vectors = arrays.vectors,
			.labels = arrays.labels, .soft_labels = arrays.soft_labels, .weights = arrays.weights,
			.teacher = arrays.teacher,
		};
		student_train(fit->core, arena, &samples, &fit->options->student, student);
	}
	arena_close(&scratch);
	if (fit->core->status != CORE_OK)
		return fit->core->status;
	return student_logits(fit->core, student, fit->sample->vectors, fit->n, fit->logits);
}

/* Mean and deviation of the logits of those who teach, now. */
static void
spread_of_logits(const TargetFit *fit, double *mean, double *deviation)
{
	double		square = 0;
	int64_t		n = 0;

	*mean = 0;
	for (int64_t i = 0; i < fit->n; i++)
		if (fit->parts[i] <= PART_CALIBRATION)
		{
			double		from_mean = fit->logits[i] - *mean;

			*mean += from_mean / ++n;
			square += from_mean * (fit->logits[i] - *mean);
		}
	*deviation = sqrt(square / n);
}

/* Give the student's logits this mean and deviation: by its last layer, weights and offset. */
static CoreStatus
match_logits(TargetFit *fit, double mean, double deviation, Student *student)
{
	int			inputs = student->widths[student->n_layers - 1];
	float	   *last = student->parameters + student_parameter_count(student->n_layers, student->widths) - inputs - 1;
	double		own_mean;
	double		own_deviation;
	double		scale;

	spread_of_logits(fit, &own_mean, &own_deviation);
	scale = own_deviation > 0 ? deviation / own_deviation : 0;
	for (int i = 0; i < inputs; i++)
		last[i] = (float) (scale * last[i]);
	last[inputs] = (float) (scale * (last[inputs] - own_mean) + mean);
	return student_logits(fit->core, student, fit->sample->vectors, fit->n, fit->logits);
}

/*
 * Once the curve is known, those whom it was fitted on teach as well: a third more users.
 * The curve stays, and so does the spread of logits that it is for; the test part measures
 * both as they are now.
 */
static CoreStatus
refit_student(TargetFit *fit, Arena *arena, Student *student)
{
	Student		calibrated = *student;
	double		mean;
	double		deviation;

	spread_of_logits(fit, &mean, &deviation);
	if (fit_student(fit, PART_CALIBRATION, arena, student) != CORE_OK)
		return fit->core->status;
	student->calibration = calibrated.calibration;
	student->scale = calibrated.scale;
	student->offset = calibrated.offset;
	student->curve = calibrated.curve;
	student->prior_shift = calibrated.prior_shift;
	student->base_rate = calibrated.base_rate;
	return match_logits(fit, mean, deviation, student);
}

/* Probabilities of users who are not in the test part, weighted to stand for the candidates. */
typedef struct Level
{
	double		mean;
	double		slope;			/* of the mean, by a shift of all logits */
} Level;

/* Add the users first .. end - 1, who are of one class and stand for `share` of the candidates. */
static void
add_class_level(const TargetFit *fit, const Student *student, int64_t first, int64_t end, double share,
				Level *level)
{
	Level		sums = {0, 0};
	int64_t		n = 0;

	for (int64_t i = first; i < end; i++)
		if (teaches(fit, i))
		{
			double		p = student_probability(student, fit->logits[i]);

			sums.mean += p;
			sums.slope += p * (1 - p);
			n++;
		}
	level->mean += share * sums.mean / n;
	level->slope += share * sums.slope / n;
}

/*
 * Shift the logits until the mean probability of the candidates is their rate of positives:
 * Newton's method, kept within what has proved too low and too high.  A curve from a few
 * calibration users misses that level by more than these many users do.
 */
static CoreStatus
anchor_student(TargetFit *fit, Student *student)
{
	double		rate = student->base_rate;
	double		low = student->prior_shift - MOST_ANCHOR_SHIFT;
	double		high = student->prior_shift + MOST_ANCHOR_SHIFT;

	for (int step = 0; step < ANCHOR_STEPS && high - low > SMALL_ANCHOR_SHIFT && core_continues(fit->core); step++)
	{
		Level		level = {0, 0};
		double		next;

		add_class_level(fit, student, 0, fit->sample->n_positive, rate, &level);
		add_class_level(fit, student, fit->sample->n_positive, fit->n, 1 - rate, &level);
		if (level.mean < rate)
			low = student->prior_shift;
		else
			high = student->prior_shift;
		next = student->prior_shift + (rate - level.mean) / level.slope;
		if (fabs(next - student->prior_shift) < SMALL_ANCHOR_SHIFT)
			break;
		student->prior_shift = next > low && next < high ? next : (low + high) / 2;
	}
	return fit->core->status;
}

/* Platt's curve, which may level off below 1. */
static CoreStatus
calibrate_by_platt(TargetFit *fit, Arena *arena, const Cases *cases, Student *student)
{
	double		level;

	if (calibration_platt(fit->core, cases, &student->scale, &student->offset) != CORE_OK ||
		calibration_level(fit->core, cases, &level, &student->scale, &student->offset) != CORE_OK || level == 1)
		return fit->core->status;
	student->calibration = CALIBRATION_PLATT_LEVEL;
	student->curve = (IsotonicCurve) {1, arena_allocate_zeroed(arena, 1, sizeof(float)), arena_floats(arena, 1)};
	if (fit->core->status == CORE_OK)
		student->curve.values[0] = (float) level;
	return fit->core->status;
}

/*
 * Calibrate on the calibration part, which has not trained the student and does not test it,
 * then shift from the class balance of that part to that of the candidates: exact for odds,
 * and steadier than weighting each of a few positives against thousands of negatives.
 */
static CoreStatus
calibrate_student(TargetFit *fit, Arena *arena, Student *student)
{
	Cases		cases;

	student->calibration = fit->options->calibration;
	if (target_part_cases(fit, PART_CALIBRATION, fit->logits, false, &cases) != CORE_OK)
		return fit->core->status;
	if (fit->options->calibration == CALIBRATION_PLATT)
		return calibrate_by_platt(fit, arena, &cases, student);
	return calibration_isotonic(fit->core, arena, &cases, CALIBRATION_POINTS, &student->curve);
}

/* From the class balance of the users that the probability was fitted on to that of the candidates. */
static void
shift_prior(TargetFit *fit, double positives, double negatives, Student *student)
{
	const TargetSample *sample = fit->sample;
	double		population = sample->candidates - sample->population_positives;

	student->base_rate = (double) sample->population_positives / sample->candidates;
	student->prior_shift = log(sample->population_positives / population) - log(positives / negatives);
}

/* A student, its curve, and its level. */
static CoreStatus
make_student(TargetFit *fit, Arena *arena, Student *student)
{
	if (fit->options->calibration == CALIBRATION_NONE)
	{
		if (fit_student(fit, PART_CALIBRATION, arena, student) == CORE_OK)
			shift_prior(fit, target_teaching(fit, fit->positives), target_teaching(fit, fit->negatives), student);
		return fit->core->status;
	}
	if (fit_student(fit, PART_TRAINING, fit->arena, student) != CORE_OK ||
		calibrate_student(fit, arena, student) != CORE_OK)
		return fit->core->status;
	shift_prior(fit, fit->positives[PART_CALIBRATION], fit->negatives[PART_CALIBRATION], student);
	if (refit_student(fit, arena, student) != CORE_OK)
		return fit->core->status;
	return anchor_student(fit, student);
}

/* ---- all of it --------------------------------------------------------------------------- */

CoreStatus
target_fit(Core *core, Arena *arena, const TargetSample *sample,
		   const TargetTeacher *teacher, const TargetOptions *options,
		   Student *student, TargetQuality *quality)
{
	Arena		scratch;
	TargetFit	fit = {
		.core = core, .arena = &scratch, .sample = sample, .teacher = teacher, .options = options,
	};

	memset(student, 0, sizeof(*student));
	memset(quality, 0, sizeof(*quality));
	arena_open(&scratch, core);
	core_start_workers(core);
	if (fit_open(&fit) == CORE_OK && check_sample(&fit) == CORE_OK && deal_parts(&fit) == CORE_OK &&
		score_by_objects(&fit) == CORE_OK && make_student(&fit, arena, student) == CORE_OK &&
		target_copy_test(&fit, arena, &quality->test) == CORE_OK)
		target_measure(&fit, student, quality);
	core_stop_workers(core);
	arena_close(&scratch);
	return core->status;
}
