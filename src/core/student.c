/*
 * student.c
 *		The light model of one target: checks, standardising around the two ways of
 *		fitting, and use.
 */
#include "core/student.h"

#include "core/statistics.h"
#include "core/student_fit.h"

#include <math.h>
#include <string.h>

#define MOST_BATCH 65536
#define MOST_AUTOMATIC_RIDGE 1.0
#define MOST_ROUNDS 100000		/* of iterations and epochs */

/* A column that varies by less than rounding moves its mean is constant in all but noise. */
#define LEAST_RELATIVE_DEVIATION 1e-6

#define LANES 16
#define MULTIPLICATIONS_PER_SHARD (1 << 20)

/* Beyond this logit a double rounds the probability to 1. */
#define MOST_LOGIT 36.0

/* Half the loss from either kind of label; a network of one small layer when an MLP is asked for. */
void
student_defaults(StudentOptions *options)
{
	*options = (StudentOptions)
	{
		.kind = STUDENT_LOGISTIC,
		.n_hidden = 0,
		.hidden = {32},
		.soft_weight = 0.5f,
		.soft_temperature = 1.0f,
		.ridge = STUDENT_RIDGE_AUTOMATIC,
		.anchored = true,
		.iterations = 100,
		.epochs = 60,
		.batch_size = 256,
		.learning_rate = 0.01f,
		.seed = 42
	};
}

int64_t
student_parameter_count(int n_layers, const int *widths)
{
	int64_t		count = 0;

	for (int layer = 0; layer < n_layers; layer++)
		count += (int64_t) widths[layer + 1] * (widths[layer] + 1);
	return count;
}

/* The options of the MLP alone. */
static CoreStatus
check_mlp_options(Core *core, const StudentOptions *options)
{
	if (options->n_hidden < 1 || options->n_hidden > STUDENT_MAX_HIDDEN)
		return core_fail(core, CORE_INVALID, "there are %d hidden layers, there must be 1 .. %d",
						 options->n_hidden, STUDENT_MAX_HIDDEN);
	for (int i = 0; i < options->n_hidden; i++)
	{
		if (options->hidden[i] < 1 || options->hidden[i] > STUDENT_MAX_HIDDEN_WIDTH)
			return core_fail(core, CORE_INVALID, "hidden layer %d has width %d, it must be in 1 .. %d",
							 i + 1, options->hidden[i], STUDENT_MAX_HIDDEN_WIDTH);
	}
	if (options->epochs < 1 || options->epochs > MOST_ROUNDS)
		return core_fail(core, CORE_INVALID, "epochs is %d, it must be in 1 .. %d",
						 options->epochs, MOST_ROUNDS);
	if (options->batch_size < 1 || options->batch_size > MOST_BATCH)
		return core_fail(core, CORE_INVALID, "batch_size is %d, it must be in 1 .. %d",
						 options->batch_size, MOST_BATCH);
	if (!(options->learning_rate > 0.0f && options->learning_rate <= 10.0f))
		return core_fail(core, CORE_INVALID, "learning_rate is %g, it must be in (0, 10]",
						 options->learning_rate);
	return CORE_OK;
}

/* See student_fit.h: the options that both kinds have, then those of one. */
CoreStatus
student_check_options(Core *core, const StudentOptions *options)
{
	if (!(options->soft_weight >= 0.0f && options->soft_weight <= 1.0f))
		return core_fail(core, CORE_INVALID, "soft_weight is %g, it must be in [0, 1]", options->soft_weight);
	if (!(options->soft_temperature > 0.0f && options->soft_temperature <= 1e6f))
		return core_fail(core, CORE_INVALID, "soft_temperature is %g, it must be in (0, 1e6]",
						 options->soft_temperature);
	if (options->ridge != STUDENT_RIDGE_AUTOMATIC && !(options->ridge >= 0.0f && options->ridge <= 1e6f))
		return core_fail(core, CORE_INVALID, "ridge is %g, it must be in [0, 1e6]", options->ridge);
	if (options->kind == STUDENT_LOGISTIC)
	{
		if (options->iterations < 1 || options->iterations > MOST_ROUNDS)
			return core_fail(core, CORE_INVALID, "iterations is %d, it must be in 1 .. %d",
							 options->iterations, MOST_ROUNDS);
		return CORE_OK;
	}
	return check_mlp_options(core, options);
}

/* See student_fit.h. */
CoreStatus
student_check_sample(Core *core, int64_t number, double label, double soft_label, double weight)
{
	if (label != 0.0 && label != 1.0)
		return core_fail(core, CORE_INVALID, "label %lld is %g, it must be 0 or 1", (long long) number, label);
	if (!(weight >= 0.0 && isfinite(weight)))
		return core_fail(core, CORE_INVALID, "weight %lld is %g, it must be finite and at least 0",
						 (long long) number, weight);
	if (!(soft_label >= 0.0 && soft_label <= 1.0))
		return core_fail(core, CORE_INVALID, "soft label %lld is %g, it must be in [0, 1]",
						 (long long) number, soft_label);
	return CORE_OK;
}

/* See student_fit.h. */
CoreStatus
student_check_classes(Core *core, const LabelSums *sums)
{
	if (!(sums->weights[0] > 0.0 && sums->weights[1] > 0.0))
		return core_fail(core, CORE_INVALID, "there is no %s sample of positive weight among %lld",
						 sums->weights[1] > 0.0 ? "negative" : "positive", (long long) sums->n);
	return CORE_OK;
}

/* Labels and weights in their ranges; *sums is filled. */
static CoreStatus
check_labels(Core *core, const StudentSamples *samples, LabelSums *sums)
{
	*sums = (LabelSums) {.n = samples->n, .has_soft = samples->soft_labels != NULL};
	for (int64_t i = 0; i < samples->n; i++)
	{
		double		label = samples->labels[i];
		double		weight = samples->weights != NULL ? samples->weights[i] : 1.0;
		double		soft = samples->soft_labels != NULL ? samples->soft_labels[i] : 0.0;

		if (student_check_sample(core, i + 1, label, soft, weight) != CORE_OK)
			return core->status;
		label_sums_add(sums, label, soft, weight);
	}
	return student_check_classes(core, sums);
}

/* Only soft labels make an anchor, and only of a logistic student. */
static bool
is_anchored(const StudentOptions *options, const LabelSums *sums)
{
	return options->anchored && options->kind == STUDENT_LOGISTIC && sums->has_soft && options->soft_weight > 0.0f;
}

/* The ridge asked for, or one that suits the number of samples. */
static double
resolve_ridge(const StudentOptions *options, const LabelSums *sums)
{
	double		precision = options->kind == STUDENT_MLP ? STUDENT_MLP_PRECISION : STUDENT_PRECISION;

	if (options->ridge != STUDENT_RIDGE_AUTOMATIC)
		return options->ridge;
	if (is_anchored(options, sums))
		precision = (1.0 - options->soft_weight) * STUDENT_ANCHOR_PRECISION;
	return fmin(fmax(precision / (double) sums->n, STUDENT_ANCHOR_RIDGE), MOST_AUTOMATIC_RIDGE);
}

/* See student_fit.h: scales of the two loss terms, and the rate an intercept alone would predict. */
void
student_scale_losses(StudentFit *fit, const LabelSums *sums)
{
	double		soft_weight = sums->has_soft ? fit->options->soft_weight : 0.0;
	double		temperature = fit->options->soft_temperature;
	double		weights = sums->weights[0] + sums->weights[1];

	fit->ridge = resolve_ridge(fit->options, sums);
	fit->hard_scale = (1.0 - soft_weight) / weights;
	fit->soft_scale = soft_weight * temperature * temperature / (double) sums->n;
	fit->base_rate = (1.0 - soft_weight) * sums->weights[1] / weights +
		soft_weight * sums->soft / (double) sums->n;
	fit->base_rate = fmin(fmax(fit->base_rate, 1e-6), 1.0 - 1e-6);
}

typedef struct Standardiser
{
	RowShards	cut;
	InputScale	scale;
	const float *vectors;
	float	   *inputs;
} Standardiser;

/* Shard function: standardise some rows. */
static void
standardise_rows(void *argument, int64_t shard, int worker)
{
	const Standardiser *s = argument;
	int64_t		begin;
	int64_t		end;

	(void) worker;
	row_shard(&s->cut, shard, &begin, &end);
	for (int64_t row = begin; row < end; row++)
		input_scale_apply(&s->scale, s->vectors + row * s->scale.width, s->inputs + row * s->scale.width);
}

/* See student_fit.h. */
CoreStatus
student_scale_inputs(Core *core, Arena *arena, int64_t n, int width, const ColumnStatistics *statistics, InputScale *scale)
{
	*scale = (InputScale) {width, arena_doubles(arena, (size_t) width), arena_doubles(arena, (size_t) width)};
	if (core->status != CORE_OK)
		return core->status;
	for (int column = 0; column < width; column++)
	{
		const ColumnStatistics *of_column = &statistics[column];
		bool		constant = of_column->minimum == of_column->maximum ||
			of_column->deviation <= LEAST_RELATIVE_DEVIATION * fabs(of_column->mean) ||
			of_column->deviation < 1e-30;

		if (of_column->present < n || of_column->infinite)
			return core_fail(core, CORE_INVALID, "number %d of a vector is not finite", column + 1);
		scale->means[column] = of_column->mean;
		scale->factors[column] = constant ? 0.0 : 1.0 / of_column->deviation;
	}
	return CORE_OK;
}

/* Fill in the standardised inputs, in scratch memory. */
static CoreStatus
standardise(Core *core, Arena *scratch, const StudentSamples *samples, Standardiser *s)
{
	size_t		width = (size_t) samples->width;
	ColumnStatistics *statistics = arena_allocate(scratch, width, sizeof(ColumnStatistics));

	s->cut = row_shards(samples->n, samples->width);
	s->vectors = samples->vectors;
	s->inputs = arena_floats(scratch, (size_t) samples->n * width);
	if (core->status != CORE_OK ||
		column_statistics(core, samples->n, samples->width, samples->vectors, statistics) != CORE_OK ||
		student_scale_inputs(core, scratch, samples->n, samples->width, statistics, &s->scale) != CORE_OK)
		return core->status;
	return core_parallel(core, s->cut.shards, standardise_rows, s);
}

/* See student_fit.h: parameters on raw vectors, in single precision. */
CoreStatus
student_fold_in(Core *core, const InputScale *s, const double *parameters, Student *student)
{
	int64_t		count = student_parameter_count(student->n_layers, student->widths);
	int			outputs = student->widths[1];
	const double *offsets = parameters + (int64_t) outputs * s->width;

	for (int64_t i = 0; i < count; i++)
		student->parameters[i] = (float) parameters[i];
	for (int output = 0; output < outputs; output++)
	{
		double		offset = offsets[output];

		for (int column = 0; column < s->width; column++)
		{
			int64_t		i = (int64_t) output * s->width + column;
			double		weight = parameters[i] * s->factors[column];

			student->parameters[i] = (float) weight;
			offset -= (double) student->parameters[i] * s->means[column];
		}
		student->parameters[(int64_t) outputs * s->width + output] = (float) offset;
	}
	for (int64_t i = 0; i < count; i++)
	{
		if (!isfinite(student->parameters[i]))
			return core_fail(core, CORE_DIVERGED, "parameter %lld of %lld is not finite",
							 (long long) (i + 1), (long long) count);
	}
	return CORE_OK;
}

/* See student_fit.h. */
void
student_shape(const StudentOptions *options, int width, Student *student)
{
	int			n_hidden = options->kind == STUDENT_MLP ? options->n_hidden : 0;

	*student = (Student) {.n_layers = n_hidden + 1, .calibration = CALIBRATION_NONE};
	student->widths[0] = width;
	for (int i = 0; i < n_hidden; i++)
		student->widths[i + 1] = options->hidden[i];
	student->widths[n_hidden + 1] = 1;
}

/* The teacher's weights on standardised inputs; soft labels are met by its score times the temperature. */
static void
take_teacher(const StudentFit *fit, const float *teacher, const InputScale *s, double *anchor)
{
	for (int column = 0; column < s->width; column++)
		anchor[column] = s->factors[column] > 0.0 ? fit->options->soft_temperature * teacher[column] / s->factors[column] : 0.0;
}

/* Logistic; when anchored, first what the soft labels alone say. */
static CoreStatus
fit_logistic(StudentFit *fit, const float *teacher, const InputScale *s, size_t count, double *parameters)
{
	StudentFit	soft = *fit;
	double	   *anchor;

	if (!student_is_anchored(fit))
		return student_fit_logistic(fit, parameters);
	anchor = arena_doubles(fit->scratch, count);
	if (anchor == NULL)
		return fit->core->status;
	soft.hard_scale = 0.0;
	soft.ridge = STUDENT_ANCHOR_RIDGE;
	if (teacher != NULL)
		take_teacher(fit, teacher, s, anchor);
	else if (student_fit_logistic(&soft, anchor) != CORE_OK)
		return fit->core->status;
	fit->anchor = anchor;
	return student_fit_logistic(fit, parameters);
}

/* Everything after the checks; the caller owns the workers and the scratch arena. */
static CoreStatus
fit_student(StudentFit *fit, const StudentSamples *samples, Arena *arena, Student *student)
{
	Core	   *core = fit->core;
	size_t		count = (size_t) student_parameter_count(student->n_layers, student->widths);
	double	   *parameters = arena_doubles(fit->scratch, count);
	Standardiser standardiser;

	student->parameters = arena_floats(arena, count);
	if (core->status != CORE_OK ||
		standardise(core, fit->scratch, samples, &standardiser) != CORE_OK)
		return core->status;
	fit->inputs = standardiser.inputs;
	if (fit->options->kind == STUDENT_LOGISTIC)
		fit_logistic(fit, samples->teacher, &standardiser.scale, count, parameters);
	else
		student_fit_mlp(fit, student, parameters);
	if (core->status != CORE_OK)
		return core->status;
	return student_fold_in(core, &standardiser.scale, parameters, student);
}

/* See student.h. */
CoreStatus
student_train(Core *core, Arena *arena, const StudentSamples *samples,
			  const StudentOptions *options, Student *student)
{
	Arena		scratch;
	LabelSums	sums;
	StudentFit	fit = {
		.core = core,
		.scratch = &scratch,
		.options = options,
		.n = samples->n,
		.width = samples->width,
		.labels = samples->labels,
		.soft_labels = samples->soft_labels,
		.weights = samples->weights
	};

	if (samples->n < 1 || samples->width < 1 || samples->width > STUDENT_MAX_WIDTH)
		return core_fail(core, CORE_INVALID, "there are %lld samples of width %d, width must be in 1 .. %d",
						 (long long) samples->n, samples->width, STUDENT_MAX_WIDTH);
	if (student_check_options(core, options) != CORE_OK || check_labels(core, samples, &sums) != CORE_OK)
		return core->status;
	student_scale_losses(&fit, &sums);
	student_shape(options, samples->width, student);

	arena_open(&scratch, core);
	core_start_workers(core);
	fit_student(&fit, samples, arena, student);
	core_stop_workers(core);
	arena_close(&scratch);
	return core->status;
}

/* Four numbers in a vector register of any processor; read from anywhere. */
typedef float FourFloats __attribute__((vector_size(16), aligned(4), may_alias));

/*
 * Dot product in 16 sums, the last few products apart; all is added in a fixed order, which
 * does not depend on the compiler.
 */
static inline float
dot(const float *a, const float *b, int n)
{
	FourFloats	sums[LANES / 4] = {{0}};
	float		rest = 0.0f;
	int			i = 0;

	for (; i + LANES <= n; i += LANES)
	{
		sums[0] += *(const FourFloats *) (a + i) * *(const FourFloats *) (b + i);
		sums[1] += *(const FourFloats *) (a + i + 4) * *(const FourFloats *) (b + i + 4);
		sums[2] += *(const FourFloats *) (a + i + 8) * *(const FourFloats *) (b + i + 8);
		sums[3] += *(const FourFloats *) (a + i + 12) * *(const FourFloats *) (b + i + 12);
	}
	for (; i < n; i++)
		rest += a[i] * b[i];
	sums[0] = (sums[0] + sums[2]) + (sums[1] + sums[3]);
	return ((sums[0][0] + sums[0][2]) + (sums[0][1] + sums[0][3])) + rest;
}

/* The raw logit f(e) of one vector. */
double
student_logit(const Student *student, const float *vector)
{
	float		layers[2][STUDENT_MAX_HIDDEN_WIDTH];
	const float *input = vector;
	const float *parameters = student->parameters;

	for (int layer = 0; layer < student->n_layers - 1; layer++)
	{
		int			inputs = student->widths[layer];
		int			outputs = student->widths[layer + 1];
		const float *offsets = parameters + (int64_t) outputs * inputs;
		float	   *output = layers[layer % 2];

		for (int i = 0; i < outputs; i++)
			output[i] = tanhf(dot(parameters + (int64_t) i * inputs, input, inputs) + offsets[i]);
		input = output;
		parameters = offsets + outputs;
	}
	return (double) dot(parameters, input, student->widths[student->n_layers - 1]) +
		parameters[student->widths[student->n_layers - 1]];
}

typedef struct LogitTask
{
	const Student *student;
	const float *vectors;
	int64_t		n;
	int64_t		rows_per_shard;
	double	   *logits;
} LogitTask;

/* Shard function: the logits of some rows. */
static void
logit_rows(void *argument, int64_t shard, int worker)
{
	const LogitTask *task = argument;
	int64_t		end = (shard + 1) * task->rows_per_shard;

	(void) worker;
	for (int64_t row = shard * task->rows_per_shard; row < end && row < task->n; row++)
		task->logits[row] = student_logit(task->student, task->vectors + row * task->student->widths[0]);
}

/* See student.h. */
CoreStatus
student_logits(Core *core, const Student *student, const float *vectors, int64_t n, double *logits)
{
	int64_t		rows_per_shard = MULTIPLICATIONS_PER_SHARD /
		student_parameter_count(student->n_layers, student->widths) + 1;
	LogitTask	task = {student, vectors, n, rows_per_shard, logits};

	core_start_workers(core);
	core_parallel(core, (n + rows_per_shard - 1) / rows_per_shard, logit_rows, &task);
	core_stop_workers(core);
	return core->status;
}

/* The logit that a curve makes of a raw one, both of the same users. */
static double
apply_curve(const Student *student, double logit)
{
	const float *values = student->curve.values;
	double		p;

	switch (student->calibration)
	{
		case CALIBRATION_PLATT:
			return student->scale * logit + student->offset;
		case CALIBRATION_PLATT_LEVEL:
			return log(values[0]) - log1p(exp(-student->scale * logit - student->offset) - values[0]);
		case CALIBRATION_ISOTONIC:
			p = calibration_apply(&student->curve, logit);
			return log(p / (1.0 - p));
		default:
			return logit;
	}
}

/* See student.h. */
double
student_probability(const Student *student, double logit)
{
	if (isnan(logit))
		return logit;
	logit = fmin(fmax(apply_curve(student, logit) + student->prior_shift, -MOST_LOGIT), MOST_LOGIT);
	return 1.0 / (1.0 + exp(-logit));
}
