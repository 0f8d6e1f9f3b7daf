/*
 * test_student.c
 *		Fitting and use of the light model, against losses written down a second time.
 */
#include "support.h"

#include "core/metrics.h"
#include "core/random.h"
#include "core/student_fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Samples whose logit is linear in the vector, plus noise in the soft labels. */
typedef struct SampleSet
{
	StudentSamples samples;
	float	   *vectors;
	float	   *labels;
	float	   *soft_labels;
	float	   *weights;
	double	   *truth;			/* logits */
} SampleSet;

static double
sigmoid(double x)
{
	return 1.0 / (1.0 + exp(-x));
}

static void
make_samples(SampleSet *set, int64_t n, int width, uint64_t seed)
{
	set->vectors = malloc(sizeof(float) * (size_t) (n * width));
	set->labels = malloc(sizeof(float) * (size_t) n);
	set->soft_labels = malloc(sizeof(float) * (size_t) n);
	set->weights = malloc(sizeof(float) * (size_t) n);
	set->truth = malloc(sizeof(double) * (size_t) n);
	for (int64_t i = 0; i < n; i++)
	{
		set->truth[i] = -0.5;
		for (int j = 0; j < width; j++)
		{
			double		value = random_normal(seed, RANDOM_TEST, (uint64_t) (i * width + j));

			set->vectors[i * width + j] = (float) (0.1 * value + 0.05 * j);
			set->truth[i] += 2.0 / sqrt(width) * cos(j) * value;
		}
		set->labels[i] = random_uniform(seed + 1, RANDOM_TEST, (uint64_t) i) < sigmoid(set->truth[i]);
		set->soft_labels[i] = (float) sigmoid(set->truth[i]);
		set->weights[i] = (float) (0.5 + random_uniform(seed + 2, RANDOM_TEST, (uint64_t) i));
	}
	set->samples = (StudentSamples) {n, width, set->vectors, set->labels, set->soft_labels, set->weights, NULL};
}

static void
free_samples(SampleSet *set)
{
	free(set->vectors);
	free(set->labels);
	free(set->soft_labels);
	free(set->weights);
	free(set->truth);
}

/* The loss terms of student.h for one sample, from its logit, straight from the formula. */
static double
slow_sample_loss(const StudentSamples *samples, const StudentOptions *options, int64_t i, double logit)
{
	double		lambda = samples->soft_labels != NULL ? options->soft_weight : 0.0;
	double		temperature = options->soft_temperature;
	double		p = sigmoid(logit);
	double		y = samples->labels[i];
	double		weights = 0.0;
	double		loss;

	for (int64_t j = 0; j < samples->n; j++)
		weights += samples->weights != NULL ? samples->weights[j] : 1.0;
	loss = -(1.0 - lambda) * (samples->weights != NULL ? samples->weights[i] : 1.0) / weights *
		(y * log(p) + (1.0 - y) * log(1.0 - p));
	if (lambda > 0.0)
	{
		double		q = samples->soft_labels[i];

		p = sigmoid(logit / temperature);
		loss -= lambda * temperature * temperature / (double) samples->n * (q * log(p) + (1.0 - q) * log(1.0 - p));
	}
	return loss;
}

/* Columns with mean 0 and variance 1, in double. */
typedef struct Standard
{
	double	   *means;
	double	   *deviations;
	double	   *inputs;
} Standard;

static Standard
standardise(const StudentSamples *samples)
{
	int			width = samples->width;
	Standard	s = {
		calloc((size_t) width, sizeof(double)),
		calloc((size_t) width, sizeof(double)),
		calloc((size_t) (samples->n * width), sizeof(double))
	};

	for (int j = 0; j < width; j++)
	{
		for (int64_t i = 0; i < samples->n; i++)
			s.means[j] += samples->vectors[i * width + j] / (double) samples->n;
		for (int64_t i = 0; i < samples->n; i++)
			s.deviations[j] += pow(samples->vectors[i * width + j] - s.means[j], 2) / (double) samples->n;
		s.deviations[j] = sqrt(s.deviations[j]);
		for (int64_t i = 0; i < samples->n; i++)
			s.inputs[i * width + j] = (samples->vectors[i * width + j] - s.means[j]) / s.deviations[j];
	}
	return s;
}

static void
free_standard(Standard *s)
{
	free(s->means);
	free(s->deviations);
	free(s->inputs);
}

/* Loss of weights and intercept on standardised inputs. */
static double
slow_logistic_loss(const StudentSamples *samples, const StudentOptions *options, const double *inputs,
				   const double *parameters)
{
	double		loss = 0.0;
	int			width = samples->width;

	for (int j = 0; j < width; j++)
		loss += options->ridge / 2.0 * parameters[j] * parameters[j];
	for (int64_t i = 0; i < samples->n; i++)
	{
		double		logit = parameters[width];

		for (int j = 0; j < width; j++)
			logit += parameters[j] * inputs[i * width + j];
		loss += slow_sample_loss(samples, options, i, logit);
	}
	return loss;
}

/* All combinations of the options that change the loss. */
#define LOSS_OPTIONS 24

static void
loss_option(int which, StudentOptions *options, StudentSamples *samples)
{
	const float soft_weights[] = {0.0f, 0.5f, 1.0f};
	const float temperatures[] = {1.0f, 2.5f};
	const float ridges[] = {0.0f, 0.05f};

	options->soft_weight = soft_weights[which % 3];
	options->soft_temperature = temperatures[which / 3 % 2];
	options->ridge = ridges[which / 6 % 2];
	if (which / 12 == 1)
		samples->weights = NULL;
}

static void
sample_loss_has_its_derivatives(void **state)
{
	const double step = 1e-4;
	SampleSet	set;

	(void) state;
	make_samples(&set, 20, 3, 1);
	for (int which = 0; which < LOSS_OPTIONS; which++)
	{
		StudentSamples samples = set.samples;
		StudentOptions options;
		StudentFit	fit = {.options = &options, .n = 20, .labels = set.labels, .soft_labels = set.soft_labels};
		double		weights = 0.0;

		student_defaults(&options);
		loss_option(which, &options, &samples);
		for (int i = 0; i < 20; i++)
			weights += samples.weights != NULL ? samples.weights[i] : 1.0;
		fit.weights = samples.weights;
		fit.hard_scale = (1.0 - options.soft_weight) / weights;
		fit.soft_scale = options.soft_weight * pow(options.soft_temperature, 2) / 20.0;
		for (int i = 0; i < 20; i++)
		{
			double		logit = 0.5 * (i - 10);
			LogitLoss	at = sample_loss(&fit, i, logit);
			LogitLoss	before = sample_loss(&fit, i, logit - step);
			LogitLoss	after = sample_loss(&fit, i, logit + step);

			assert_close(at.value, slow_sample_loss(&samples, &options, i, logit), 1e-12);
			assert_close(at.gradient, (after.value - before.value) / (2 * step), 1e-8);
			assert_close(at.curvature, (after.gradient - before.gradient) / (2 * step), 1e-8);
		}
		assert_true(isfinite(sample_loss(&fit, 0, 1e5).value));
		assert_true(isfinite(sample_loss(&fit, 0, -1e5).value));
	}
	free_samples(&set);
}

/* At the optimum all finite differences of the loss vanish, and moving away costs. */
static void
assert_logistic_optimum(const SampleSet *set, const StudentSamples *samples, const StudentOptions *options,
						int check_every)
{
	int			width = samples->width;
	double	   *parameters = malloc(sizeof(double) * (size_t) (width + 1));
	Standard	standard = standardise(samples);
	TestHost	host;
	Arena		arena;
	Student		student;

	(void) set;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(student_train(&host.core, &arena, samples, options, &student), CORE_OK);
	parameters[width] = student.parameters[width];
	for (int j = 0; j < width; j++)
	{
		parameters[j] = student.parameters[j] * standard.deviations[j];
		parameters[width] += student.parameters[j] * standard.means[j];
	}
	for (int j = width; j >= 0; j -= check_every)
	{
		const double step = 1e-3;
		double		at = slow_logistic_loss(samples, options, standard.inputs, parameters);
		double		kept = parameters[j];
		double		before;
		double		after;

		parameters[j] = kept - step;
		before = slow_logistic_loss(samples, options, standard.inputs, parameters);
		parameters[j] = kept + step;
		after = slow_logistic_loss(samples, options, standard.inputs, parameters);
		parameters[j] = kept;
		assert_close((after - before) / (2 * step), 0.0, 2e-6);
		assert_true(before > at && after > at);
	}
	arena_close(&arena);
	host_assert_clean(&host);
	free_standard(&standard);
	free(parameters);
}

static void
newton_finds_the_optimum_of_every_loss(void **state)
{
	SampleSet	set;

	(void) state;
	make_samples(&set, 300, 6, 3);
	for (int which = 0; which < LOSS_OPTIONS; which++)
	{
		StudentSamples samples = set.samples;
		StudentOptions options;

		student_defaults(&options);
		loss_option(which, &options, &samples);
		options.anchored = false;
		assert_logistic_optimum(&set, &samples, &options, 1);
	}
	free_samples(&set);
}

/* Width 300 is beyond Newton's reach. */
static void
lbfgs_finds_the_optimum(void **state)
{
	SampleSet	set;
	StudentOptions options;

	(void) state;
	make_samples(&set, 500, 300, 4);
	student_defaults(&options);
	options.iterations = 500;
	options.ridge = 0.01f;
	options.anchored = false;
	assert_logistic_optimum(&set, &set.samples, &options, 40);
	free_samples(&set);
}

/* Forward pass of an MLP on inputs that are given, in double. */
static double
slow_mlp_logit(const Student *network, const double *parameters, const double *inputs)
{
	double		layer[STUDENT_MAX_HIDDEN_WIDTH];
	double		next[STUDENT_MAX_HIDDEN_WIDTH];

	memcpy(layer, inputs, sizeof(double) * (size_t) network->widths[0]);
	for (int l = 0; l < network->n_layers; l++)
	{
		int			n_inputs = network->widths[l];
		int			outputs = network->widths[l + 1];

		for (int i = 0; i < outputs; i++)
		{
			next[i] = parameters[outputs * n_inputs + i];
			for (int j = 0; j < n_inputs; j++)
				next[i] += parameters[i * n_inputs + j] * layer[j];
			if (l < network->n_layers - 1)
				next[i] = tanh(next[i]);
		}
		memcpy(layer, next, sizeof(double) * (size_t) outputs);
		parameters += outputs * (n_inputs + 1);
	}
	return layer[0];
}

/* Loss of an MLP over all samples, with the ridge on all but the offsets. */
static double
slow_mlp_loss(const StudentSamples *samples, const StudentOptions *options, const Student *network,
			  const double *inputs, const double *parameters)
{
	const double *weights = parameters;
	double		loss = 0.0;

	for (int64_t i = 0; i < samples->n; i++)
		loss += slow_sample_loss(samples, options, i,
								 slow_mlp_logit(network, parameters, inputs + i * samples->width));
	for (int l = 0; l < network->n_layers; l++)
	{
		int			count = network->widths[l] * network->widths[l + 1];

		for (int i = 0; i < count; i++)
			loss += options->ridge / 2.0 * weights[i] * weights[i];
		weights += count + network->widths[l + 1];
	}
	return loss;
}

/* The analytic gradient over all samples, from single-precision inputs and parameters. */
static void
mlp_gradient(const StudentSamples *samples, const StudentOptions *options, const Student *network,
			 const double *inputs, const double *parameters, double *loss, float *gradient)
{
	size_t		count = (size_t) student_parameter_count(network->n_layers, network->widths);
	size_t		size = (size_t) (samples->n * samples->width);
	float	   *narrow_inputs = malloc(sizeof(float) * size);
	float	   *narrow_parameters = malloc(sizeof(float) * count);
	int64_t    *order = malloc(sizeof(int64_t) * (size_t) samples->n);
	double		lambda = options->soft_weight;
	double		weights = 0.0;
	TestHost	host;
	Arena		arena;
	StudentFit	fit;

	for (size_t i = 0; i < size; i++)
		narrow_inputs[i] = (float) inputs[i];
	for (size_t i = 0; i < count; i++)
		narrow_parameters[i] = (float) parameters[i];
	for (int64_t i = 0; i < samples->n; i++)
	{
		weights += samples->weights != NULL ? samples->weights[i] : 1.0;
		order[i] = samples->n - 1 - i;
	}
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	fit = (StudentFit) {
		.core = &host.core, .scratch = &arena, .options = options, .n = samples->n, .width = samples->width,
		.inputs = narrow_inputs, .labels = samples->labels, .soft_labels = samples->soft_labels,
		.weights = samples->weights, .hard_scale = (1.0 - lambda) / weights,
		.soft_scale = lambda * pow(options->soft_temperature, 2) / (double) samples->n, .ridge = options->ridge
	};
	assert_int_equal(student_mlp_gradient(&fit, network, narrow_parameters, order, (int) samples->n,
										  loss, gradient), CORE_OK);
	arena_close(&arena);
	host_assert_clean(&host);
	free(narrow_inputs);
	free(narrow_parameters);
	free(order);
}

/* Every entry of the gradient against finite differences of the loss in double. */
static void
assert_mlp_gradient(const StudentSamples *samples, const StudentOptions *options, const Student *network)
{
	int			count = (int) student_parameter_count(network->n_layers, network->widths);
	double	   *parameters = calloc((size_t) count, sizeof(double));
	float	   *gradient = malloc(sizeof(float) * (size_t) count);
	Standard	standard = standardise(samples);
	double		loss;

	for (int i = 0; i < count; i++)
		parameters[i] = (float) (0.4 * random_normal(5, RANDOM_TEST, (uint64_t) i));
	for (int64_t i = 0; i < samples->n * samples->width; i++)
		standard.inputs[i] = (float) standard.inputs[i];
	mlp_gradient(samples, options, network, standard.inputs, parameters, &loss, gradient);
	assert_close(loss, slow_mlp_loss(samples, options, network, standard.inputs, parameters), 1e-5);
	for (int i = 0; i < count; i++)
	{
		const double step = 1e-5;
		double		kept = parameters[i];
		double		before;
		double		after;

		parameters[i] = kept - step;
		before = slow_mlp_loss(samples, options, network, standard.inputs, parameters);
		parameters[i] = kept + step;
		after = slow_mlp_loss(samples, options, network, standard.inputs, parameters);
		parameters[i] = kept;
		assert_close(gradient[i], (after - before) / (2 * step), 2e-6);
	}
	free_standard(&standard);
	free(parameters);
	free(gradient);
}

static void
mlp_gradient_matches_finite_differences(void **state)
{
	const Student networks[] = {
		{.n_layers = 2, .widths = {4, 5, 1}},
		{.n_layers = 3, .widths = {4, 3, 6, 1}},
		{.n_layers = 5, .widths = {4, 2, 3, 1, 2, 1}},
	};
	SampleSet	set;

	(void) state;
	make_samples(&set, 150, 4, 6);	/* more rows than a shard has */
	for (int which = 0; which < LOSS_OPTIONS; which++)
	{
		StudentSamples samples = set.samples;
		StudentOptions options;

		student_defaults(&options);
		loss_option(which, &options, &samples);
		assert_mlp_gradient(&samples, &options, &networks[which % 3]);
	}
	free_samples(&set);
}

/* More rows than a round has: the gradient of all must be the sum over rounds. */
static void
mlp_gradient_adds_up_over_rounds(void **state)
{
	const Student network = {.n_layers = 2, .widths = {2, 2, 1}};
	SampleSet	set;
	StudentOptions options;

	(void) state;
	make_samples(&set, 2500, 2, 7);
	student_defaults(&options);
	options.ridge = 0.01f;
	assert_mlp_gradient(&set.samples, &options, &network);
	free_samples(&set);
}

/* Train and give the logits of all samples. */
typedef struct TrainTask
{
	const StudentSamples *samples;
	const StudentOptions *options;
	double	   *logits;
} TrainTask;

static CoreStatus
train(Core *core, Arena *arena, void *argument)
{
	const TrainTask *task = argument;
	Student		student;

	if (student_train(core, arena, task->samples, task->options, &student) != CORE_OK)
		return core->status;
	return student_logits(core, &student, task->samples->vectors, task->samples->n, task->logits);
}

static double *
trained_logits(const StudentSamples *samples, const StudentOptions *options)
{
	TrainTask	task = {samples, options, malloc(sizeof(double) * (size_t) samples->n)};

	scenario_run(train, &task, 1);
	return task.logits;
}

static void
assert_same_logits(const double *a, const double *b, int64_t n, double tolerance)
{
	for (int64_t i = 0; i < n; i++)
		assert_close(a[i], b[i], tolerance);
}

static void
hard_labels_alone_ignore_soft_ones(void **state)
{
	SampleSet	set;
	StudentOptions options;

	(void) state;
	make_samples(&set, 400, 8, 8);
	for (int kind = STUDENT_LOGISTIC; kind <= STUDENT_MLP; kind++)
	{
		StudentSamples plain = set.samples;
		double	   *with;
		double	   *without;

		plain.soft_labels = NULL;
		student_defaults(&options);
		options.kind = (StudentKind) kind;
		options.n_hidden = kind == STUDENT_MLP;
		options.epochs = 5;
		without = trained_logits(&plain, &options); /* soft_weight is then taken as 0 */
		options.soft_weight = 0.0f;
		with = trained_logits(&set.samples, &options);
		assert_memory_equal(with, without, sizeof(double) * 400);
		free(with);
		free(without);
	}
	free_samples(&set);
}

/* With soft labels alone the student finds the truth behind them, whatever the hard ones say. */
static void
soft_labels_alone_are_tracked(void **state)
{
	SampleSet	set;
	StudentOptions options;
	double	   *logits;

	(void) state;
	make_samples(&set, 1000, 8, 9);
	for (int i = 0; i < 1000; i++)
		set.labels[i] = 1.0f - set.labels[i];
	student_defaults(&options);
	options.soft_weight = 1.0f;
	options.ridge = 0.0f;
	logits = trained_logits(&set.samples, &options);
	assert_same_logits(logits, set.truth, 1000, 2e-3);
	free(logits);

	options.kind = STUDENT_MLP;
	options.n_hidden = 1;
	options.epochs = 150;
	logits = trained_logits(&set.samples, &options);
	for (int i = 0; i < 1000; i++)
		assert_close(sigmoid(logits[i]), sigmoid(set.truth[i]), 0.08);
	free(logits);
	free_samples(&set);
}

/* Logits of a student with this ridge; the soft labels stand for what hard labels cannot tell. */
static double *
anchored_logits(const SampleSet *set, float ridge, bool anchored, float soft_weight)
{
	StudentOptions options;

	student_defaults(&options);
	options.soft_weight = soft_weight;
	options.ridge = ridge;
	options.anchored = anchored;
	return trained_logits(&set->samples, &options);
}

/* The offset apart, which no ridge holds. */
static void
assert_same_directions(double *logits, double *expected, double tolerance)
{
	for (int i = 1; i < 400; i++)
		assert_close(logits[i] - logits[0], expected[i] - expected[0], tolerance);
	free(logits);
	free(expected);
}

/* An anchor pulls towards what soft labels alone give: all the way when the ridge is strong,
 * not at all when there is none. */
static void
an_anchor_pulls_towards_the_teacher(void **state)
{
	SampleSet	set;
	double	   *towards_teacher;
	double	   *towards_zero;

	(void) state;
	make_samples(&set, 400, 6, 12);
	for (int i = 0; i < 400; i++)
		set.labels[i] = 1.0f - set.labels[i];
	assert_same_directions(anchored_logits(&set, 1e5f, true, 0.5f), anchored_logits(&set, 1e-6f, false, 1), 0.01);
	assert_same_directions(anchored_logits(&set, 0, true, 0.5f), anchored_logits(&set, 0, false, 0.5f), 1e-4);

	towards_teacher = anchored_logits(&set, 0.3f, true, 0.5f);
	towards_zero = anchored_logits(&set, 0.3f, false, 0.5f);
	for (int i = 0; i < 400; i++)
		if (fabs(set.truth[i]) > 1)
			assert_true(fabs(towards_teacher[i] - set.truth[i]) < fabs(towards_zero[i] - set.truth[i]));
	free(towards_teacher);
	free(towards_zero);

	towards_teacher = anchored_logits(&set, 0.3f, true, 0);		/* no soft labels, no anchor */
	towards_zero = anchored_logits(&set, 0.3f, false, 0);
	assert_memory_equal(towards_teacher, towards_zero, 400 * sizeof(double));
	free(towards_teacher);
	free(towards_zero);
	free_samples(&set);
}

/* A sample of weight 2 is worth two of weight 1, and one of weight 0 none. */
static void
weights_count_samples(void **state)
{
	SampleSet	set;
	SampleSet	repeated;
	StudentOptions options;
	double	   *logits;
	double	   *expected;
	int64_t		n = 0;

	(void) state;
	make_samples(&set, 300, 4, 10);
	make_samples(&repeated, 300, 4, 10);
	for (int i = 0; i < 300; i++)
		set.weights[i] = (float) (i % 2);
	for (int i = 0; i < 300; i++)
	{
		if (i % 2 == 0)
			continue;
		memcpy(repeated.vectors + n * 4, set.vectors + i * 4, 4 * sizeof(float));
		repeated.labels[n++] = set.labels[i];
	}
	for (int64_t i = 0; i < n; i++)	/* each twice */
	{
		memcpy(repeated.vectors + (n + i) * 4, repeated.vectors + i * 4, 4 * sizeof(float));
		repeated.labels[n + i] = repeated.labels[i];
	}
	repeated.samples.n = 2 * n;
	repeated.samples.weights = NULL;
	repeated.samples.soft_labels = set.samples.soft_labels = NULL;
	student_defaults(&options);
	options.ridge = 0.0f;		/* the ridge would see the other standardising */
	logits = trained_logits(&set.samples, &options);
	expected = trained_logits(&repeated.samples, &options);
	for (int i = 1; i < 300; i += 2)
		assert_close(logits[i], expected[i / 2], 1e-3);
	free(logits);
	free(expected);
	free_samples(&set);
	free_samples(&repeated);
}

static double
auc_of(const double *logits, const StudentSamples *samples)
{
	const Cases cases = {samples->n, samples->labels, logits, NULL};
	TestHost	host;
	double		auc;

	host_open(&host, 1);
	metric_auc(&host.core, &cases, &auc);
	return auc;
}

/* A network of few positives among many negatives tells them apart: the automatic ridge leaves its layers alive. */
static void
few_positives_do_not_collapse_a_network(void **state)
{
	SampleSet	set;
	StudentOptions options;
	double	   *logits;
	double		positives = 0;
	double		means[2] = {0, 0};

	(void) state;
	make_samples(&set, 3000, 5, 41);
	for (int i = 0; i < 3000; i++)
		positives += set.labels[i] = set.truth[i] > 2.5;
	assert_true(positives > 20 && positives < 300);
	student_defaults(&options);
	options.kind = STUDENT_MLP;
	options.n_hidden = 1;
	options.hidden[0] = 8;
	options.soft_weight = 0;
	logits = trained_logits(&set.samples, &options);
	for (int i = 0; i < 3000; i++)
		means[set.labels[i] > 0] += logits[i] / (set.labels[i] > 0 ? positives : 3000 - positives);
	print_message("%g positives, mean logits %.2f and %.2f\n", positives, means[1], means[0]);
	assert_true(means[1] - means[0] > 2);
	free(logits);
	free_samples(&set);
}

/* A linear teacher's own weights are the anchor that fitting to its soft labels finds. */
static void
a_linear_teacher_needs_no_fit(void **state)
{
	const float teacher[] = {0.7f, -0.4f, 0.2f, 0};
	SampleSet	set;
	StudentOptions options;
	double	   *told;

	(void) state;
	make_samples(&set, 500, 4, 31);
	for (int i = 0; i < 500; i++)
	{
		double		score = -1;

		for (int d = 0; d < 4; d++)
			score += teacher[d] * set.vectors[i * 4 + d];
		set.soft_labels[i] = (float) (1 / (1 + exp(-score)));
	}
	student_defaults(&options);
	for (int temperature = 1; temperature <= 2; temperature++)
	{
		options.soft_temperature = (float) temperature;
		set.samples.teacher = teacher;
		told = trained_logits(&set.samples, &options);
		set.samples.teacher = NULL;
		assert_same_directions(told, trained_logits(&set.samples, &options), 0.01);
	}
	free_samples(&set);
}

/* The automatic ridge is a precision over the number of samples, whatever the unit of the weights, at most 1. */
static void
automatic_ridge_is_a_prior(void **state)
{
	const struct
	{
		int			n;
		bool		anchored;
		double		ridge;
	}			cases[] = {{600, false, 30 / 600.0}, {20, false, 1}, {600, true, 0.5 * 100 / 600}};	/* half the loss by hard labels */

	(void) state;
	for (int i = 0; i < 3; i++)
	{
		SampleSet	set;
		StudentOptions options;
		double	   *automatic;
		double	   *given;

		make_samples(&set, cases[i].n, 5, 22);
		for (int j = 0; j < cases[i].n; j++)
		{
			set.labels[j] = j < 10;
			set.weights[j] = 8.0f;
		}
		student_defaults(&options);
		options.anchored = cases[i].anchored;
		automatic = trained_logits(&set.samples, &options);
		options.ridge = (float) cases[i].ridge;
		given = trained_logits(&set.samples, &options);
		assert_same_logits(automatic, given, cases[i].n, 1e-6);
		free(automatic);
		free(given);
		free_samples(&set);
	}
}

/* The default fit of 64 numbers ranks unseen samples nearly as well as the truth does. */
static void
students_come_close_to_the_best_ranking(void **state)
{
	SampleSet	set;

	(void) state;
	make_samples(&set, 6000, 64, 11);
	for (int kind = STUDENT_LOGISTIC; kind <= STUDENT_MLP; kind++)
	{
		StudentSamples training = set.samples;
		StudentSamples unseen = set.samples;
		StudentOptions options;
		Student		student;
		TestHost	host;
		Arena		arena;
		double	   *logits = malloc(sizeof(double) * 4000);

		training.n = 2000;
		training.weights = training.soft_labels = NULL;
		unseen.n = 4000;
		unseen.vectors += 2000 * 64;
		unseen.labels += 2000;
		student_defaults(&options);
		options.kind = (StudentKind) kind;
		options.n_hidden = kind == STUDENT_MLP;
		host_open(&host, 1);
		arena_open(&arena, &host.core);
		assert_int_equal(student_train(&host.core, &arena, &training, &options, &student), CORE_OK);
		student_logits(&host.core, &student, unseen.vectors, 4000, logits);
		assert_true(auc_of(logits, &unseen) > auc_of(set.truth + 2000, &unseen) - (kind == STUDENT_MLP ? 0.04 : 0.02));
		arena_close(&arena);
		free(logits);
	}
	free_samples(&set);
}

/* Positive where two numbers have the same sign: no straight line tells. */
static void
mlp_learns_what_a_line_cannot(void **state)
{
	SampleSet	set;
	StudentOptions options;
	double	   *logits;

	(void) state;
	make_samples(&set, 2000, 2, 12);
	for (int i = 0; i < 2000; i++)
		set.labels[i] = set.vectors[2 * i] * (set.vectors[2 * i + 1] - 0.05f) > 0.0f;
	set.samples.soft_labels = set.samples.weights = NULL;
	student_defaults(&options);
	logits = trained_logits(&set.samples, &options);
	assert_true(auc_of(logits, &set.samples) < 0.6);
	free(logits);
	options.kind = STUDENT_MLP;
	options.n_hidden = 2;
	options.hidden[0] = 16;
	options.hidden[1] = 8;
	options.ridge = 1e-4f;
	logits = trained_logits(&set.samples, &options);
	assert_true(auc_of(logits, &set.samples) > 0.98);
	free(logits);
	free_samples(&set);
}

/* A column that says nothing gets no weight: constant, constant but for rounding, with any size. */
static void
constant_columns_are_harmless(void **state)
{
	SampleSet	set;
	SampleSet	wide;

	(void) state;
	make_samples(&set, 300, 4, 13);
	make_samples(&wide, 300, 7, 13);
	for (int i = 0; i < 300; i++)
	{
		memcpy(wide.vectors + i * 7, set.vectors + i * 4, 4 * sizeof(float));
		wide.vectors[i * 7 + 4] = 1.0f;
		wide.vectors[i * 7 + 5] = i % 2 == 0 ? 1e6f : nextafterf(1e6f, 2e6f);
		wide.vectors[i * 7 + 6] = 0.0f;
	}
	wide.samples.labels = set.labels;
	wide.samples.soft_labels = set.soft_labels;
	wide.samples.weights = set.weights;
	for (int ridge = 0; ridge < 2; ridge++)
	{
		StudentOptions options;
		TestHost	host;
		Arena		arena;
		Student		narrow;
		Student		student;

		student_defaults(&options);
		options.ridge = ridge ? 0.01f : 0.0f;
		host_open(&host, 1);
		arena_open(&arena, &host.core);
		assert_int_equal(student_train(&host.core, &arena, &set.samples, &options, &narrow), CORE_OK);
		assert_int_equal(student_train(&host.core, &arena, &wide.samples, &options, &student), CORE_OK);
		for (int j = 0; j < 4; j++)
			assert_close(student.parameters[j], narrow.parameters[j], 1e-3);
		for (int j = 4; j < 7; j++)
			assert_close(student.parameters[j], 0.0, 0.0);
		assert_close(student.parameters[7], narrow.parameters[4], 1e-3);
		arena_close(&arena);
	}
	free_samples(&set);
	free_samples(&wide);
}

/* Moving and stretching the vectors changes nothing that matters. */
static void
units_of_vectors_do_not_matter(void **state)
{
	SampleSet	set;
	StudentOptions options;
	double	   *before;
	double	   *after;

	(void) state;
	make_samples(&set, 500, 5, 14);
	student_defaults(&options);
	before = trained_logits(&set.samples, &options);
	for (int i = 0; i < 2500; i++)
		set.vectors[i] = 300.0f * set.vectors[i] - 20.0f;
	after = trained_logits(&set.samples, &options);
	assert_same_logits(before, after, 500, 1e-3);
	free(before);
	free(after);
	free_samples(&set);
}

/*
 * Without ridge the optimum of separable samples lies at infinity, that of twin columns on
 * a line; many twins make the Hessian indefinite by rounding.
 */
static void
hopeless_optima_are_survived(void **state)
{
	const int	widths[] = {6, 120, 300};

	(void) state;
	for (int w = 0; w < 3; w++)
	{
		int			width = widths[w];
		SampleSet	set;
		StudentOptions options;
		double	   *logits;

		make_samples(&set, 200, width, 15);
		set.samples.soft_labels = NULL;
		for (int i = 0; i < 200; i++)
		{
			set.labels[i] = set.vectors[i * width] + 0.5f * set.vectors[i * width + 1] > 0.0f;
			for (int j = 2; j < width; j++)
				set.vectors[i * width + j] = set.vectors[i * width + j % 2];
		}
		student_defaults(&options);
		options.ridge = 0.0f;
		logits = trained_logits(&set.samples, &options);
		assert_true(auc_of(logits, &set.samples) > 0.97);
		for (int i = 0; i < 200; i++)
			assert_true(isfinite(logits[i]));
		free(logits);
		free_samples(&set);
	}
}

static void
bad_input_is_refused(void **state)
{
	(void) state;
	for (int which = 0; which < 20; which++)
	{
		SampleSet	set;
		StudentOptions options;
		Student		student;
		TestHost	host;
		Arena		arena;

		make_samples(&set, 50, 3, 16);
		student_defaults(&options);
		options.kind = which >= 10 ? STUDENT_MLP : STUDENT_LOGISTIC;
		options.n_hidden = which >= 10;
		switch (which)
		{
			case 0: set.vectors[7] = NAN; break;
			case 1: set.vectors[8] = INFINITY; break;
			case 2: set.labels[3] = 0.5f; break;
			case 3: set.weights[3] = -1.0f; break;
			case 4: set.weights[3] = NAN; break;
			case 5: set.soft_labels[3] = 1.5f; break;
			case 6: options.soft_weight = 1.5f; break;
			case 7: options.soft_temperature = 0.0f; break;
			case 8: options.ridge = -0.5f; break;
			case 9: options.iterations = 0; break;
			case 10: options.n_hidden = STUDENT_MAX_HIDDEN + 1; break;
			case 11: options.hidden[0] = 0; break;
			case 12: options.hidden[0] = STUDENT_MAX_HIDDEN_WIDTH + 1; break;
			case 13: options.epochs = 0; break;
			case 14: options.batch_size = 0; break;
			case 15: options.learning_rate = 0.0f; break;
			case 16: set.samples.n = 0; break;
			case 17: set.samples.width = 0; break;
			case 18: options.soft_weight = NAN; break;
			case 19: memset(set.weights, 0, 50 * sizeof(float)); break;
		}
		host_open(&host, 1);
		arena_open(&arena, &host.core);
		assert_int_equal(student_train(&host.core, &arena, &set.samples, &options, &student), CORE_INVALID);
		assert_true(strlen(host.core.detail) > 0);
		arena_close(&arena);
		host_assert_clean(&host);
		free_samples(&set);
	}
}

static void
a_missing_class_is_refused(void **state)
{
	(void) state;
	for (int label = 0; label < 2; label++)
	{
		SampleSet	set;
		StudentOptions options;
		Student		student;
		TestHost	host;
		Arena		arena;

		make_samples(&set, 50, 3, 17);
		for (int i = 0; i < 50; i++)
			set.labels[i] = (float) label;
		student_defaults(&options);
		host_open(&host, 1);
		arena_open(&arena, &host.core);
		assert_int_equal(student_train(&host.core, &arena, &set.samples, &options, &student), CORE_INVALID);
		assert_non_null(strstr(host.core.detail, label == 0 ? "positive" : "negative"));
		arena_close(&arena);
		free_samples(&set);
	}
}

static void
absurd_learning_rate_diverges_or_ends(void **state)
{
	SampleSet	set;
	StudentOptions options;
	Student		student;
	TestHost	host;
	Arena		arena;

	(void) state;
	make_samples(&set, 200, 3, 18);
	student_defaults(&options);
	options.kind = STUDENT_MLP;
	options.n_hidden = 1;
	options.learning_rate = 10.0f;
	options.ridge = 1e6f;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	student_train(&host.core, &arena, &set.samples, &options, &student);
	assert_true(host.core.status == CORE_OK || host.core.status == CORE_DIVERGED);
	arena_close(&arena);
	host_assert_clean(&host);
	free_samples(&set);
}

/* The three ways of fitting: Newton, L-BFGS, MLP. */
static void
fitting_task(int which, SampleSet *set, StudentOptions *options)
{
	const int64_t rows[] = {5000, 1000, 700};
	const int	widths[] = {12, 300, 12};

	make_samples(set, rows[which], widths[which], 19);
	student_defaults(options);
	if (which == 2)
	{
		options->kind = STUDENT_MLP;
		options->n_hidden = 2;
		options->hidden[0] = 16;
		options->hidden[1] = 4;
		options->epochs = 3;
		options->batch_size = 300;
	}
}

static void
threads_do_not_show(void **state)
{
	(void) state;
	for (int which = 0; which < 3; which++)
	{
		SampleSet	set;
		StudentOptions options;
		TrainTask	task = {&set.samples, &options, NULL};
		double	   *alone;
		size_t		size;

		fitting_task(which, &set, &options);
		size = sizeof(double) * (size_t) set.samples.n;
		alone = trained_logits(&set.samples, &options);
		task.logits = malloc(size);
		for (int threads = 2; threads <= 4; threads += 2)
		{
			memset(task.logits, 0, size);
			scenario_run(train, &task, threads);
			assert_memory_equal(alone, task.logits, size);
		}
		free(alone);
		free(task.logits);
		free_samples(&set);
	}
}

static void
failures_are_survived(void **state)
{
	const int64_t strides[] = {5, 61, 11};

	(void) state;
	for (int which = 0; which < 3; which++)
	{
		SampleSet	set;
		StudentOptions options;
		TrainTask	task = {&set.samples, &options, NULL};

		fitting_task(which, &set, &options);
		options.iterations = 4;
		task.logits = malloc(sizeof(double) * (size_t) set.samples.n);
		scenario_survives(train, &task, strides[which]);
		free(task.logits);
		free_samples(&set);
	}
}

static void
seed_changes_the_mlp(void **state)
{
	SampleSet	set;
	StudentOptions options;
	double	   *one;
	double	   *other;

	(void) state;
	fitting_task(2, &set, &options);
	one = trained_logits(&set.samples, &options);
	options.seed++;
	other = trained_logits(&set.samples, &options);
	assert_memory_not_equal(one, other, sizeof(double) * 700);
	free(one);
	free(other);
	free_samples(&set);
}

/* Logits of all widths against sums in double; many at once give the same bits. */
static void
logits_are_right(void **state)
{
	const Student shapes[] = {
		{.n_layers = 1, .widths = {0, 1}},
		{.n_layers = 2, .widths = {0, 7, 1}},
		{.n_layers = 4, .widths = {0, 40, 3, 5, 1}},
	};

	(void) state;
	for (int width = 1; width < 140; width++)
	{
		Student		student = shapes[width % 3];
		float		parameters[10000];
		double		wide_parameters[10000];
		float		vectors[3 * 140];
		double		logits[3];
		TestHost	host;

		student.widths[0] = width;
		student.parameters = parameters;
		for (int i = 0; i < student_parameter_count(student.n_layers, student.widths); i++)
			wide_parameters[i] = parameters[i] = (float) (0.3 * random_normal(20, RANDOM_TEST, (uint64_t) i));
		for (int i = 0; i < 3 * width; i++)
			vectors[i] = (float) random_normal(21, RANDOM_TEST, (uint64_t) i);
		host_open(&host, 2);
		assert_int_equal(student_logits(&host.core, &student, vectors, 3, logits), CORE_OK);
		for (int row = 0; row < 3; row++)
		{
			double		inputs[140];

			for (int i = 0; i < width; i++)
				inputs[i] = vectors[row * width + i];
			assert_close(logits[row], slow_mlp_logit(&student, wide_parameters, inputs), 1e-5);
			assert_true(logits[row] == student_logit(&student, vectors + row * width));
		}
		host_assert_clean(&host);
	}
}

static void
probabilities_follow_the_calibration(void **state)
{
	float		thresholds[] = {-1, 1};
	float		values[] = {0.25f, 0.75f};
	Student		student = {.scale = 2.0, .offset = -1.0, .curve = {2, thresholds, values}};

	(void) state;
	assert_close(student_probability(&student, 0.7), sigmoid(0.7), 1e-15);
	student.calibration = CALIBRATION_PLATT;
	assert_close(student_probability(&student, 0.7), sigmoid(0.4), 1e-15);
	student.calibration = CALIBRATION_ISOTONIC;
	assert_close(student_probability(&student, 0.0), 0.5, 1e-12);
	assert_close(student_probability(&student, 9.0), 0.75, 1e-12);
	student.prior_shift = log(0.1);
	assert_close(student_probability(&student, 9.0), 0.3 / 1.3, 1e-12);
	student.calibration = CALIBRATION_NONE;
	assert_close(student_probability(&student, 0.7), sigmoid(0.7 + log(0.1)), 1e-15);
}

static void
probabilities_stay_inside_and_rise(void **state)
{
	float		thresholds[] = {-1, 0, 2};
	float		values[] = {0.1f, 0.1f, 0.9f};
	const double extremes[] = {-INFINITY, -1e300, -800, -40, -3, 0, 3, 40, 800, 1e300, INFINITY};

	(void) state;
	for (int calibration = CALIBRATION_NONE; calibration <= CALIBRATION_ISOTONIC; calibration++)
	{
		Student		student = {
			.calibration = (CalibrationKind) calibration, .scale = 1.5, .offset = 0.2, .prior_shift = -2.0,
			.curve = {3, thresholds, values}
		};
		double		previous = 0.0;

		for (int i = 0; i < 11; i++)
		{
			double		p = student_probability(&student, extremes[i]);

			assert_true(p > 0.0 && p < 1.0 && p >= previous);
			previous = p;
		}
		assert_true(isnan(student_probability(&student, NAN)));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sample_loss_has_its_derivatives),
		cmocka_unit_test(newton_finds_the_optimum_of_every_loss),
		cmocka_unit_test(lbfgs_finds_the_optimum),
		cmocka_unit_test(mlp_gradient_matches_finite_differences),
		cmocka_unit_test(mlp_gradient_adds_up_over_rounds),
		cmocka_unit_test(hard_labels_alone_ignore_soft_ones),
		cmocka_unit_test(soft_labels_alone_are_tracked),
		cmocka_unit_test(an_anchor_pulls_towards_the_teacher),
		cmocka_unit_test(weights_count_samples),
		cmocka_unit_test(automatic_ridge_is_a_prior),
		cmocka_unit_test(few_positives_do_not_collapse_a_network),
		cmocka_unit_test(a_linear_teacher_needs_no_fit),
		cmocka_unit_test(students_come_close_to_the_best_ranking),
		cmocka_unit_test(mlp_learns_what_a_line_cannot),
		cmocka_unit_test(constant_columns_are_harmless),
		cmocka_unit_test(units_of_vectors_do_not_matter),
		cmocka_unit_test(hopeless_optima_are_survived),
		cmocka_unit_test(bad_input_is_refused),
		cmocka_unit_test(a_missing_class_is_refused),
		cmocka_unit_test(absurd_learning_rate_diverges_or_ends),
		cmocka_unit_test(threads_do_not_show),
		cmocka_unit_test(failures_are_survived),
		cmocka_unit_test(seed_changes_the_mlp),
		cmocka_unit_test(logits_are_right),
		cmocka_unit_test(probabilities_follow_the_calibration),
		cmocka_unit_test(probabilities_stay_inside_and_rise),
	};

	return cmocka_run_group_tests_name("student", tests, NULL, NULL);
}
