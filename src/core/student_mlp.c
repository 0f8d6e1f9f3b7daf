/*
 * student_mlp.c
 *		Fitting of a student with hidden tanh layers: mini-batches, Adam, a learning rate
 *		that falls along half a cosine.
 *
 * A batch is cut into shards of rows, SHARDS_PER_ROUND of which make a round.  Each shard
 * of a round writes a gradient of its own, and these are added in shard order, so that
 * the result does not depend on the number of threads.
 *
 * Floor: 6 flops for each weight and sample of an epoch, in sgemm.
 */
#include "core/student_fit.h"

#include "core/kernels.h"
#include "core/random.h"

#include <cblas.h>
#include <string.h>

#define SHARD_ROWS 64
#define SHARDS_PER_ROUND 16
#define PARAMETERS_PER_SHARD 16384
#define BETA1 0.9				/* Adam's, as in the kernel */
#define BETA2 0.999

typedef struct Mlp
{
	const StudentFit *fit;
	int			n_layers;
	const int  *widths;
	int			widest;			/* of all layers but the input */
	int64_t		n_parameters;
	float	   *parameters;
	float	   *gradient;
	AdamTask	adam;

	/* the batch */
	const int64_t *order;		/* its samples */
	int			n_rows;
	int			first_row;		/* of the round */
	double		scale;			/* samples / rows: the batch stands for all */
	float	   *shard_gradients;	/* SHARDS_PER_ROUND x n_parameters */
	int			shards;			/* of the round */
	double		losses[SHARDS_PER_ROUND];

	float	   *scratch;		/* workers x scratch_size() */
} Mlp;

/* A worker's scratch: outputs of all layers, the input first, then two sets of gradients. */
static size_t
scratch_size(const Mlp *mlp)
{
	size_t		widths = 2 * (size_t) mlp->widest;

	for (int layer = 0; layer <= mlp->n_layers; layer++)
		widths += (size_t) mlp->widths[layer];
	return SHARD_ROWS * widths;
}

/* Memory for gradients and scratch; Adam's is the trainer's. */
static CoreStatus
open_mlp(Mlp *mlp, const StudentFit *fit, const Student *network)
{
	Arena	   *arena = fit->scratch;
	size_t		workers = fit->core->threads > 1 ? (size_t) fit->core->threads : 1;

	*mlp = (Mlp) {.fit = fit, .n_layers = network->n_layers, .widths = network->widths};
	mlp->n_parameters = student_parameter_count(network->n_layers, network->widths);
	for (int layer = 1; layer <= mlp->n_layers; layer++)
		mlp->widest = mlp->widths[layer] > mlp->widest ? mlp->widths[layer] : mlp->widest;
	mlp->gradient = arena_floats(arena, (size_t) mlp->n_parameters);
	mlp->shard_gradients = arena_floats(arena, SHARDS_PER_ROUND * (size_t) mlp->n_parameters);
	mlp->scratch = arena_floats(arena, workers * scratch_size(mlp));
	return fit->core->status;
}

/* output = input * weights' + offsets, then tanh unless it is the last layer */
static void
layer_forward(const Mlp *mlp, int layer, int rows, const float *parameters, const float *input, float *output)
{
	int			inputs = mlp->widths[layer];
	int			outputs = mlp->widths[layer + 1];

	for (int row = 0; row < rows; row++)
		memcpy(output + (size_t) row * (size_t) outputs, parameters + (size_t) outputs * (size_t) inputs,
			   (size_t) outputs * sizeof(float));
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, rows, outputs, inputs,
				1.0f, input, inputs, parameters, inputs, 1.0f, output, outputs);
	if (layer == mlp->n_layers - 1)
		return;
	for (int64_t i = 0; i < (int64_t) rows * outputs; i++)
		output[i] = tanhf(output[i]);
}

/* From the gradient by a layer's sums to that by its parameters and, if wanted, its input. */
static void
layer_backward(const Mlp *mlp, int layer, int rows, const float *parameters, const float *input,
			   const float *by_sums, float *gradient, float *by_input)
{
	int			inputs = mlp->widths[layer];
	int			outputs = mlp->widths[layer + 1];
	float	   *by_offsets = gradient + (size_t) outputs * (size_t) inputs;

	cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, outputs, inputs, rows,
				1.0f, by_sums, outputs, input, inputs, 0.0f, gradient, inputs);
	memset(by_offsets, 0, (size_t) outputs * sizeof(float));
	for (int row = 0; row < rows; row++)
		cblas_saxpy(outputs, 1.0f, by_sums + (size_t) row * (size_t) outputs, 1, by_offsets, 1);
	if (by_input == NULL)
		return;
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, inputs, outputs,
				1.0f, by_sums, outputs, parameters, inputs, 0.0f, by_input, inputs);
	for (int64_t i = 0; i < (int64_t) rows * inputs; i++)
		by_input[i] *= 1.0f - input[i] * input[i];
}

/* Loss of the shard's rows, and its gradient by their logits. */
static double
loss_of_rows(const Mlp *mlp, const int64_t *samples, int rows, const float *logits, float *by_logits)
{
	double		sum = 0.0;

	for (int row = 0; row < rows; row++)
	{
		LogitLoss	loss = sample_loss(mlp->fit, samples[row], logits[row]);

		sum += mlp->scale * loss.value;
		by_logits[row] = (float) (mlp->scale * loss.gradient);
	}
	return sum;
}

/* Shard function of a round: loss and gradient of up to SHARD_ROWS rows. */
static void
run_shard(void *argument, int64_t slot, int worker)
{
	Mlp		   *mlp = argument;
	int			begin = mlp->first_row + (int) slot * SHARD_ROWS;
	int			rows = mlp->n_rows - begin < SHARD_ROWS ? mlp->n_rows - begin : SHARD_ROWS;
	const int64_t *samples = mlp->order + begin;
	float	   *outputs[STUDENT_MAX_HIDDEN + 2];
	const float *parameters[STUDENT_MAX_HIDDEN + 1];
	float	   *gradient = mlp->shard_gradients + slot * mlp->n_parameters;
	float	   *by_sums;
	float	   *by_input;

	outputs[0] = mlp->scratch + (size_t) worker * scratch_size(mlp);
	parameters[0] = mlp->parameters;
	for (int row = 0; row < rows; row++)
		memcpy(outputs[0] + (size_t) row * (size_t) mlp->widths[0],
			   mlp->fit->inputs + samples[row] * mlp->widths[0], (size_t) mlp->widths[0] * sizeof(float));
	for (int layer = 0; layer < mlp->n_layers; layer++)
	{
		outputs[layer + 1] = outputs[layer] + (size_t) SHARD_ROWS * (size_t) mlp->widths[layer];
		if (layer > 0)
			parameters[layer] = parameters[layer - 1] + student_parameter_count(1, mlp->widths + layer - 1);
		layer_forward(mlp, layer, rows, parameters[layer], outputs[layer], outputs[layer + 1]);
	}

	by_sums = outputs[mlp->n_layers] + SHARD_ROWS;
	by_input = by_sums + (size_t) SHARD_ROWS * (size_t) mlp->widest;
	mlp->losses[slot] = loss_of_rows(mlp, samples, rows, outputs[mlp->n_layers], by_sums);
	for (int layer = mlp->n_layers - 1; layer >= 0; layer--)
	{
		float	   *swap = by_sums;

		layer_backward(mlp, layer, rows, parameters[layer], outputs[layer], by_sums,
					   gradient + (parameters[layer] - parameters[0]), layer > 0 ? by_input : NULL);
		by_sums = by_input;
		by_input = swap;
	}
}

/* Shard function: add the round's gradients over some parameters, in shard order. */
static void
add_gradients(void *argument, int64_t shard, int worker)
{
	const Mlp  *mlp = argument;
	int64_t		begin = shard * PARAMETERS_PER_SHARD;
	int64_t		left = mlp->n_parameters - begin;
	int			count = (int) (left < PARAMETERS_PER_SHARD ? left : PARAMETERS_PER_SHARD);

	(void) worker;
	if (mlp->first_row == 0)
		memset(mlp->gradient + begin, 0, (size_t) count * sizeof(float));
	for (int slot = 0; slot < mlp->shards; slot++)
		cblas_saxpy(count, 1.0f, mlp->shard_gradients + slot * mlp->n_parameters + begin, 1,
					mlp->gradient + begin, 1);
}

/* Add the ridge's gradient and return its loss; offsets are left alone. */
static double
add_ridge(Mlp *mlp)
{
	double		ridge = mlp->fit->ridge;
	const float *weights = mlp->parameters;
	double		loss = 0.0;

	for (int layer = 0; layer < mlp->n_layers; layer++)
	{
		int			count = mlp->widths[layer] * mlp->widths[layer + 1];

		cblas_saxpy(count, (float) ridge, weights, 1, mlp->gradient + (weights - mlp->parameters), 1);
		loss += ridge / 2.0 * (double) cblas_sdot(count, weights, 1, weights, 1);
		weights += count + mlp->widths[layer + 1];
	}
	return loss;
}

static int64_t
parameter_shards(const Mlp *mlp)
{
	return (mlp->n_parameters + PARAMETERS_PER_SHARD - 1) / PARAMETERS_PER_SHARD;
}

/* Loss and gradient of one batch. */
static CoreStatus
run_batch(Mlp *mlp, const int64_t *order, int n_rows, double *loss)
{
	Core	   *core = mlp->fit->core;

	*loss = 0.0;
	mlp->order = order;
	mlp->n_rows = n_rows;
	mlp->scale = (double) mlp->fit->n / n_rows;
	for (mlp->first_row = 0; mlp->first_row < n_rows; mlp->first_row += SHARDS_PER_ROUND * SHARD_ROWS)
	{
		mlp->shards = (n_rows - mlp->first_row + SHARD_ROWS - 1) / SHARD_ROWS;
		if (mlp->shards > SHARDS_PER_ROUND)
			mlp->shards = SHARDS_PER_ROUND;
		if (core_parallel(core, mlp->shards, run_shard, mlp) != CORE_OK ||
			core_parallel(core, parameter_shards(mlp), add_gradients, mlp) != CORE_OK)
			return core->status;
		for (int slot = 0; slot < mlp->shards; slot++)
			*loss += mlp->losses[slot];
	}
	*loss += add_ridge(mlp);
	return CORE_OK;
}

/* See student_fit.h. */
CoreStatus
student_mlp_gradient(const StudentFit *fit, const Student *network, const float *parameters,
					 const int64_t *order, int n_rows, double *loss, float *gradient)
{
	Mlp			mlp;

	if (open_mlp(&mlp, fit, network) != CORE_OK)
		return fit->core->status;
	mlp.parameters = arena_floats(fit->scratch, (size_t) mlp.n_parameters);
	if (mlp.parameters == NULL)
		return fit->core->status;
	memcpy(mlp.parameters, parameters, (size_t) mlp.n_parameters * sizeof(float));
	if (run_batch(&mlp, order, n_rows, loss) == CORE_OK)
		memcpy(gradient, mlp.gradient, (size_t) mlp.n_parameters * sizeof(float));
	return fit->core->status;
}

/*
 * Weights normal with variance 1 / inputs, so that tanh starts in its linear part; the
 * last layer starts at the base rate alone.
 */
void
student_mlp_start(const StudentFit *fit, const Student *network, float *parameters)
{
	int64_t		n = student_parameter_count(network->n_layers, network->widths);
	float	   *weights = parameters;

	memset(weights, 0, (size_t) n * sizeof(float));
	for (int layer = 0; layer < network->n_layers - 1; layer++)
	{
		int64_t		count = (int64_t) network->widths[layer] * network->widths[layer + 1];
		double		deviation = sqrt(1.0 / network->widths[layer]);

		for (int64_t i = 0; i < count; i++)
			weights[i] = (float) (deviation * random_normal(fit->options->seed, RANDOM_STUDENT_WEIGHTS,
															(uint64_t) (weights - parameters + i)));
		weights += count + network->widths[layer + 1];
	}
	parameters[n - 1] = (float) log(fit->base_rate / (1.0 - fit->base_rate));
}

/* Another order of the samples for each epoch (Fisher and Yates). */
static void
shuffle(const StudentFit *fit, int epoch, int64_t *order)
{
	uint64_t	draw = (uint64_t) epoch * (uint64_t) fit->n;

	for (int64_t i = fit->n - 1; i > 0; i--)
	{
		int64_t		other = (int64_t) random_below(fit->options->seed, RANDOM_STUDENT_ORDER,
												   draw + (uint64_t) i, (uint64_t) i + 1);
		int64_t		swap = order[i];

		order[i] = order[other];
		order[other] = swap;
	}
}

typedef struct AdamShards
{
	const Mlp  *mlp;
	const Kernels *kernels;
} AdamShards;

/* Shard function: one step of Adam on some parameters. */
static void
adam_shard(void *argument, int64_t shard, int worker)
{
	const AdamShards *task = argument;
	int64_t		begin = shard * PARAMETERS_PER_SHARD;
	int64_t		end = begin + PARAMETERS_PER_SHARD;

	(void) worker;
	task->kernels->adam(&task->mlp->adam, begin,
						end < task->mlp->n_parameters ? end : task->mlp->n_parameters);
}

/* Step number `step` of `steps`, from 1. */
static CoreStatus
adam_step(Mlp *mlp, int64_t step, int64_t steps)
{
	AdamShards	task = {mlp, kernels_select(false)};
	double		progress = (double) (step - 1) / (double) steps;
	double		rate = mlp->fit->options->learning_rate * 0.5 * (1.0 + cos(M_PI * progress));

	mlp->adam.step_size = (float) (rate / (1.0 - pow(BETA1, (double) step)));
	mlp->adam.second_scale = (float) (1.0 / (1.0 - pow(BETA2, (double) step)));
	return core_parallel(mlp->fit->core, parameter_shards(mlp), adam_shard, &task);
}

/* One pass over the samples. */
static CoreStatus
run_epoch(Mlp *mlp, const int64_t *order, int64_t *step, int64_t steps)
{
	const StudentFit *fit = mlp->fit;
	int			batch_size = fit->options->batch_size;

	for (int64_t begin = 0; begin < fit->n; begin += batch_size)
	{
		int64_t		left = fit->n - begin;
		double		loss;

		if (run_batch(mlp, order + begin, (int) (left < batch_size ? left : batch_size), &loss) != CORE_OK)
			break;
		if (!isfinite(loss))
			return core_fail(fit->core, CORE_DIVERGED, "the loss is %g after %lld steps",
							 loss, (long long) *step);
		if (adam_step(mlp, ++*step, steps) != CORE_OK)
			break;
	}
	return fit->core->status;
}

/* All epochs. */
static CoreStatus
run_epochs(Mlp *mlp, int64_t *order)
{
	const StudentFit *fit = mlp->fit;
	int64_t		batches = (fit->n + fit->options->batch_size - 1) / fit->options->batch_size;
	int64_t		step = 0;

	for (int64_t i = 0; i < fit->n; i++)
		order[i] = i;
	for (int epoch = 0; epoch < fit->options->epochs; epoch++)
	{
		if (!core_report(fit->core, "training", epoch, fit->options->epochs))
			break;
		shuffle(fit, epoch, order);
		if (run_epoch(mlp, order, &step, batches * fit->options->epochs) != CORE_OK)
			break;
	}
	return fit->core->status;
}

/* See student_fit.h. */
CoreStatus
student_fit_mlp(const StudentFit *fit, const Student *network, double *parameters)
{
	Arena	   *arena = fit->scratch;
	int64_t    *order = arena_allocate(arena, (size_t) fit->n, sizeof(int64_t));
	Mlp			mlp;

	if (open_mlp(&mlp, fit, network) != CORE_OK)
		return fit->core->status;
	mlp.parameters = arena_floats(arena, (size_t) mlp.n_parameters);
	mlp.adam.parameters = mlp.parameters;
	mlp.adam.gradients = mlp.gradient;
	mlp.adam.beta2 = (float) BETA2;
	mlp.adam.first_moment = arena_allocate_zeroed(arena, (size_t) mlp.n_parameters, sizeof(float));
	mlp.adam.second_moment = arena_allocate_zeroed(arena, (size_t) mlp.n_parameters, sizeof(float));
	if (fit->core->status != CORE_OK)
		return fit->core->status;

	student_mlp_start(fit, network, mlp.parameters);
	if (run_epochs(&mlp, order) == CORE_OK)
	{
		for (int64_t i = 0; i < mlp.n_parameters; i++)
			parameters[i] = mlp.parameters[i];
	}
	return fit->core->status;
}
