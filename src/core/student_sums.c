/*
 * student_sums.c
 *		What one step of fitting a student needs to know of the samples, as sums.
 *
 * Inputs are rounded to single precision as in the fit in memory; products and sums are double.
 * Floor of a sample: 2 flops for each number of the gradient, and with a Hessian for each of its
 * triangle; an MLP: 6 for each weight.
 */
#include "core/student_sums.h"

#include "core/byte_format.h"
#include "core/vectors.h"

#include <math.h>
#include <string.h>

#define MAGIC "BPS1"
#define PLAN_VERSION 1
#define SUMS_FORMAT 1
#define LABEL_VALUES 5			/* before the columns */
#define COLUMN_VALUES 4

/* ---- plans ---------------------------------------------------------------------------- */

static int64_t
plan_parameters(const SumsPlan *plan)
{
	return student_parameter_count(plan->network.n_layers, plan->network.widths);
}

/* Bytes with so many layers, numbers in a vector, and parameters. */
static size_t
plan_size(int n_layers, int width, int64_t n_parameters)
{
	return HEAD_LENGTH + 2 + 2 + 2 + 4 * ((size_t) n_layers + 1) + 3 * 8 +
		8 * (2 * (size_t) width + (size_t) n_parameters);
}

size_t
sums_plan_size(const SumsPlan *plan)
{
	return plan_size(plan->network.n_layers, plan->network.widths[0], plan_parameters(plan));
}

static void
write_doubles(ByteWriter *writer, const double *values, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		bytes_write_double(writer, values[i]);
}

void
sums_plan_write(const SumsPlan *plan, void *bytes)
{
	int			width = plan->network.widths[0];
	ByteWriter	writer = {(unsigned char *) bytes + HEAD_LENGTH};

	bytes_write_number(&writer, plan->pass, 2);
	bytes_write_number(&writer, plan->has_soft, 2);
	bytes_write_number(&writer, (uint64_t) plan->network.n_layers, 2);
	for (int layer = 0; layer <= plan->network.n_layers; layer++)
		bytes_write_number(&writer, (uint64_t) plan->network.widths[layer], 4);
	bytes_write_double(&writer, plan->hard_scale);
	bytes_write_double(&writer, plan->soft_scale);
	bytes_write_double(&writer, plan->temperature);
	write_doubles(&writer, plan->scale.means, width);
	write_doubles(&writer, plan->scale.factors, width);
	write_doubles(&writer, plan->parameters, plan_parameters(plan));
	bytes_write_head(bytes, MAGIC, PLAN_VERSION, sums_plan_size(plan));
}

/* The shape, whose limits bound what is allocated; statistics have no layers and no width. */
static bool
read_shape(ByteReader *reader, SumsPlan *plan)
{
	Student    *network = &plan->network;
	uint64_t	pass = bytes_read_number(reader, 2);
	uint64_t	has_soft = bytes_read_number(reader, 2);
	uint64_t	layers = bytes_read_number(reader, 2);

	if (pass > SUMS_HESSIAN || has_soft > 1 || layers > STUDENT_MAX_HIDDEN + 1 ||
		(layers == 0) != (pass == SUMS_STATISTICS) || (pass == SUMS_HESSIAN && layers != 1))
		return false;
	plan->pass = (SumsPass) pass;
	plan->has_soft = has_soft == 1;
	network->n_layers = (int) layers;
	for (uint64_t layer = 0; layer <= layers; layer++)
	{
		uint64_t	width = bytes_read_number(reader, 4);
		uint64_t	most = layer == 0 ? STUDENT_MAX_WIDTH : STUDENT_MAX_HIDDEN_WIDTH;

		if (layers == 0 ? width != 0 : width < 1 || width > most)
			return false;
		network->widths[layer] = (int) width;
	}
	return layers == 0 || (network->widths[layers] == 1 &&
						   (pass != SUMS_HESSIAN || network->widths[0] <= STUDENT_MAX_HIDDEN_WIDTH));
}

/* Numbers that must be finite. */
static double *
read_doubles(ByteReader *reader, Arena *arena, int64_t n)
{
	double	   *values = arena_doubles(arena, (size_t) n);

	for (int64_t i = 0; values != NULL && i < n; i++)
	{
		values[i] = bytes_read_double(reader);
		if (!isfinite(values[i]))
			core_fail(arena->core, CORE_CORRUPT, "number %lld of the plan is not finite", (long long) i);
	}
	return values;
}

CoreStatus
sums_plan_read(Core *core, Arena *arena, const void *bytes, size_t length, SumsPlan *plan)
{
	ByteReader	reader = {core, bytes, length, false};
	int			width;

	memset(plan, 0, sizeof(*plan));
	if (bytes_read_head(&reader, bytes, length, MAGIC, PLAN_VERSION, "plan of sums") != CORE_OK)
		return core->status;
	if (!read_shape(&reader, plan) || length != sums_plan_size(plan))
		return core_fail(core, CORE_CORRUPT, "the shape of a plan of sums of %zu bytes is not possible", length);
	width = plan->network.widths[0];
	plan->hard_scale = bytes_read_double(&reader);
	plan->soft_scale = bytes_read_double(&reader);
	plan->temperature = bytes_read_double(&reader);
	plan->scale.width = width;
	plan->scale.means = read_doubles(&reader, arena, width);
	plan->scale.factors = read_doubles(&reader, arena, width);
	plan->parameters = read_doubles(&reader, arena, plan_parameters(plan));
	plan->input = arena_floats(arena, (size_t) width);
	if (core->status != CORE_OK)
		return core->status;
	if (reader.short_of_bytes || !isfinite(plan->hard_scale) || !isfinite(plan->soft_scale) ||
		!(plan->temperature > 0.0 || plan->pass == SUMS_STATISTICS))
		return core_fail(core, CORE_CORRUPT, "a plan of sums has scales that are not possible");
	return CORE_OK;
}

/* ---- sums ------------------------------------------------------------------------------- */

static int64_t
value_count(const SumsPlan *plan, int width)
{
	int64_t		n = plan_parameters(plan);

	if (plan->pass == SUMS_STATISTICS)
		return LABEL_VALUES + (int64_t) COLUMN_VALUES * width;
	return 1 + n + (plan->pass == SUMS_HESSIAN ? n * (n + 1) / 2 : 0);
}

size_t
sums_size(const SumsPlan *plan, int width)
{
	return sizeof(StudentSums) + (size_t) value_count(plan, width) * sizeof(double);
}

void
sums_clear(const SumsPlan *plan, int width, StudentSums *sums)
{
	memset(sums, 0, sums_size(plan, width));
	sums->format = SUMS_FORMAT;
	sums->pass = plan->pass;
	sums->width = width;
	sums->n_values = value_count(plan, width);
}

CoreStatus
sums_check(Core *core, const StudentSums *sums, size_t length, const StudentSums *like)
{
	if (length < sizeof(StudentSums) || sums->format != SUMS_FORMAT || sums->n < 0 || sums->width < 1 ||
		sums->width > STUDENT_MAX_WIDTH || sums->n_values < 1 ||
		(uint64_t) sums->n_values != (length - sizeof(StudentSums)) / sizeof(double) ||
		(sums->pass == SUMS_STATISTICS && sums->n_values != LABEL_VALUES + (int64_t) COLUMN_VALUES * sums->width))
		return core_fail(core, CORE_CORRUPT, "%zu bytes are no sums of samples", length);
	if (like != NULL && (sums->pass != like->pass || sums->width != like->width || sums->n_values != like->n_values))
		return core_fail(core, CORE_CORRUPT, "sums of vectors of %d and of %d numbers do not belong together",
						 sums->width, like->width);
	return CORE_OK;
}

static double *
column_values(StudentSums *sums, int column)
{
	return sums->values + LABEL_VALUES + (int64_t) COLUMN_VALUES * column;
}

/* Welford's way: mean, sum of squares around it, minimum, maximum. */
static void
add_statistics(StudentSums *sums, const float *vector, double label, double soft_label, double weight)
{
	sums->values[label == 1.0] += weight;
	sums->values[2] += soft_label;
	for (int column = 0; column < sums->width; column++)
	{
		double	   *values = column_values(sums, column);
		double		from_mean = vector[column] - values[0];

		values[0] += from_mean / (double) sums->n;
		values[1] += from_mean * (vector[column] - values[0]);
		values[2] = sums->n == 1 ? vector[column] : fmin(values[2], vector[column]);
		values[3] = sums->n == 1 ? vector[column] : fmax(values[3], vector[column]);
	}
}

/* A logistic sample: loss, gradient, Hessian. */
static void
add_logistic(const SumsPlan *plan, StudentSums *sums, double label, double soft_label, double weight)
{
	int			n = sums->width;
	const float *x = plan->input;
	double	   *gradient = sums->values + 1;
	double	   *row = gradient + n + 1;
	double		logit = plan->parameters[n];
	LogitLoss	loss;

	for (int i = 0; i < n; i++)
		logit += plan->parameters[i] * x[i];
	loss = labels_loss(logit, plan->hard_scale * weight, label, plan->soft_scale, soft_label, plan->temperature);
	sums->values[0] += loss.value;
	for (int i = 0; i < n; i++)
		gradient[i] += loss.gradient * x[i];
	gradient[n] += loss.gradient;
	if (plan->pass != SUMS_HESSIAN)
		return;
	for (int i = 0; i < n; row += n + 1 - i, i++)
	{
		double		scaled = loss.curvature * x[i];

		for (int j = i; j < n; j++)
			row[j - i] += scaled * x[j];
		row[n - i] += scaled;
	}
	row[0] += loss.curvature;
}

/* Outputs of a layer from its inputs. */
static void
layer_outputs(const double *weights, int inputs, int outputs, const double *input, bool last, double *output)
{
	const double *offsets = weights + (size_t) inputs * (size_t) outputs;

	for (int o = 0; o < outputs; o++)
	{
		double		sum = offsets[o];

		for (int i = 0; i < inputs; i++)
			sum += weights[(size_t) o * (size_t) inputs + (size_t) i] * input[i];
		output[o] = last ? sum : tanh(sum);
	}
}

/* The way back through a layer: from the gradient by its outputs to those by weights and inputs. */
static void
layer_back(const double *weights, int inputs, int outputs, const double *input, const double *by_output,
		   double *gradient, double *by_input)
{
	double	   *by_offsets = gradient + (size_t) inputs * (size_t) outputs;

	memset(by_input, 0, (size_t) inputs * sizeof(double));
	for (int o = 0; o < outputs; o++)
	{
		size_t		first = (size_t) o * (size_t) inputs;

		by_offsets[o] += by_output[o];
		for (int i = 0; i < inputs; i++)
		{
			gradient[first + (size_t) i] += by_output[o] * input[i];
			by_input[i] += by_output[o] * weights[first + (size_t) i];
		}
	}
	for (int i = 0; i < inputs; i++)
		by_input[i] *= 1.0 - input[i] * input[i];
}

/* A sample of an MLP: the first layer reads floats, the others what tanh gave. */
static void
add_mlp(const SumsPlan *plan, StudentSums *sums, double label, double soft_label, double weight)
{
	const Student *network = &plan->network;
	int			last = network->n_layers - 1;
	double		outputs[STUDENT_MAX_HIDDEN + 2][STUDENT_MAX_HIDDEN_WIDTH];
	double		by_outputs[2][STUDENT_MAX_HIDDEN_WIDTH];
	const double *weights[STUDENT_MAX_HIDDEN + 1];
	const double *first = plan->parameters;
	int			hidden = network->widths[1];
	double	   *gradient = sums->values + 1;
	LogitLoss	loss;

	weights[0] = first;
	for (int o = 0; o < hidden; o++)
	{
		double		sum = first[(size_t) hidden * (size_t) sums->width + (size_t) o];

		for (int i = 0; i < sums->width; i++)
			sum += first[(size_t) o * (size_t) sums->width + (size_t) i] * plan->input[i];
		outputs[1][o] = tanh(sum);
	}
	for (int layer = 1; layer <= last; layer++)
	{
		weights[layer] = weights[layer - 1] + student_parameter_count(1, network->widths + layer - 1);
		layer_outputs(weights[layer], network->widths[layer], network->widths[layer + 1], outputs[layer],
					  layer == last, outputs[layer + 1]);
	}
	loss = labels_loss(outputs[last + 1][0], plan->hard_scale * weight, label, plan->soft_scale, soft_label,
					   plan->temperature);
	sums->values[0] += loss.value;
	by_outputs[last % 2][0] = loss.gradient;
	for (int layer = last; layer > 0; layer--)
		layer_back(weights[layer], network->widths[layer], network->widths[layer + 1], outputs[layer],
				   by_outputs[layer % 2], gradient + (weights[layer] - first), by_outputs[(layer + 1) % 2]);
	for (int o = 0; o < hidden; o++)
	{
		for (int i = 0; i < sums->width; i++)
			gradient[(size_t) o * (size_t) sums->width + (size_t) i] += by_outputs[0][o] * plan->input[i];
		gradient[(size_t) hidden * (size_t) sums->width + (size_t) o] += by_outputs[0][o];
	}
}

CoreStatus
sums_add(Core *core, const SumsPlan *plan, StudentSums *sums, const float *vector, double label,
		 double soft_label, double weight)
{
	if (student_check_sample(core, sums->n + 1, label, soft_label, weight) != CORE_OK)
		return core->status;
	if (!vectors_finite(vector, sums->width))
		return core_fail(core, CORE_INVALID, "a vector has a number that is not finite");
	sums->n++;
	if (plan->pass == SUMS_STATISTICS)
	{
		add_statistics(sums, vector, label, soft_label, weight);
		return CORE_OK;
	}
	input_scale_apply(&plan->scale, vector, plan->input);
	if (plan->network.n_layers == 1)
		add_logistic(plan, sums, label, soft_label, weight);
	else
		add_mlp(plan, sums, label, soft_label, weight);
	return CORE_OK;
}

/* Mean and squares of two sets of samples (Chan, Golub, LeVeque). */
static void
merge_column(double *values, double n, const double *other, double other_n)
{
	double		apart = other[0] - values[0];

	values[0] += apart * other_n / (n + other_n);
	values[1] += other[1] + apart * apart * n * other_n / (n + other_n);
	values[2] = fmin(values[2], other[2]);
	values[3] = fmax(values[3], other[3]);
}

void
sums_merge(StudentSums *sums, const StudentSums *other)
{
	int64_t		added = sums->pass == SUMS_STATISTICS ? LABEL_VALUES : sums->n_values;

	if (other->n == 0)
		return;
	for (int64_t i = 0; i < added; i++)
		sums->values[i] += other->values[i];
	for (int column = 0; sums->pass == SUMS_STATISTICS && column < sums->width; column++)
	{
		const double *values = other->values + LABEL_VALUES + (int64_t) COLUMN_VALUES * column;

		if (sums->n == 0)
			memcpy(column_values(sums, column), values, COLUMN_VALUES * sizeof(double));
		else
			merge_column(column_values(sums, column), (double) sums->n, values, (double) other->n);
	}
	sums->n += other->n;
}

LabelSums
sums_labels(const StudentSums *sums, bool has_soft)
{
	const double *v = sums->values;

	return (LabelSums) {
		.n = sums->n, .has_soft = has_soft, .weights = {v[0], v[1]}, .soft = v[2]
	};
}

ColumnStatistics
sums_column(const StudentSums *sums, int column)
{
	const double *v = sums->values + LABEL_VALUES + (int64_t) COLUMN_VALUES * column;

	return (ColumnStatistics) {
		.present = sums->n, .mean = v[0], .deviation = sqrt(v[1] / (double) sums->n), .minimum = (float) v[2],
		.maximum = (float) v[3]
	};
}
