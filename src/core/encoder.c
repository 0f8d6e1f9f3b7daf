/*
 * encoder.c
 *		Train the graph network and write out its vectors.
 *
 * One step: propagate over the whole graph, take the loss of a large batch of edges,
 * propagate back, move all parameters.  A propagation costs about as much as the loss of
 * 16,384 positives, so that a batch of this size wastes neither.
 */
#include "core/encoder.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "core/holdout.h"
#include "core/loss.h"
#include "core/optimizer.h"
#include "core/spectral.h"

/* All that one training holds. */
typedef struct Training
{
	Core	   *core;
	Arena	   *arena;
	EncoderOptions options;
	const Graph *graph;			/* all edges */
	Graph		training_graph; /* without the held-out ones */
	Holdout		holdout;
	Network		network;
	Loss		loss;
	Optimizer	optimizer;
	float	   *best_parameters;
	int			width;			/* of a stored vector */
	float	   *vectors;		/* n_nodes x width */
} Training;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* The spectral start in an arena of its own: its rows are as large as the embeddings. */
static CoreStatus
start_from_spectrum(Training *training)
{
	Arena		scratch;

	arena_open(&scratch, training->core);
	spectral_start(&training->network, &scratch, training->options.spectral_power,
				   training->options.spectral_noise);
	arena_close(&scratch);
	return training->core->status;
}

static CoreStatus
training_open(Training *training, Core *core, Arena *arena, const Graph *graph,
			  const Features *users, const Features *objects, const EncoderOptions *options)
{
	memset(training, 0, sizeof(*training));
	training->core = core;
	training->arena = arena;
	training->options = *options;
	training->graph = graph;
	training->width = options->dimension + 1;
	if (holdout_split(&training->holdout, arena, graph, options, &training->training_graph) != CORE_OK ||
		network_open(&training->network, core, arena, &training->training_graph, users, objects,
					 &training->options, options->epochs > 0) != CORE_OK)
		return core->status;
	if (options->spectral_start && training->network.layout.id_count > 0 &&
		start_from_spectrum(training) != CORE_OK)
		return core->status;
	if (options->epochs > 0 &&
		(loss_open(&training->loss, arena, &training->network) != CORE_OK ||
		 optimizer_open(&training->optimizer, arena, &training->network) != CORE_OK))
		return core->status;
	if (training->holdout.n_edges > 0)
		training->best_parameters = arena_floats(arena, training->network.layout.total);
	training->vectors = arena_floats(arena, (size_t) graph->n_nodes * training->width);
	return core->status;
}

/* The stored form of a range of nodes: unit vector / sqrt(tau), then 1 or the bias. */
static void
store_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const Training *training = argument;
	const EncoderOptions *options = network->options;
	const float *bias = network->parameters + network->layout.object_bias;
	float		scale = 1 / sqrtf(options->temperature);
	int			part = options->dimension / options->factors;

	(void) shard;
	for (int32_t v = first; v < last; v++)
	{
		const float *unit = network->unit + (size_t) v * network->width;
		float	   *vector = training->vectors + (size_t) v * training->width;

		for (int i = 0; i < options->dimension; i++)
			vector[i] = scale * unit[i / part * network->sub_width + i % part];
		vector[options->dimension] = v < network->graph->n_users ? 1 : bias[v - network->graph->n_users];
	}
}

static CoreStatus
propagate_and_store(Training *training)
{
	if (network_forward(&training->network) != CORE_OK)
		return training->core->status;
	return network_over_nodes(&training->network, store_nodes, training);
}

/* The learning rate falls along half a cosine to a twentieth (our choice). */
static double
learning_rate_at(const Training *training, double progress)
{
	return training->options.learning_rate * (0.05 + 0.95 * 0.5 * (1 + cos(M_PI * progress)));
}

static CoreStatus
run_step(Training *training, int epoch, int64_t step, int64_t steps, double *loss_sum)
{
	int64_t		n_edges = training->training_graph.n_edges;
	int64_t		first = n_edges * step / steps;
	int64_t		last = n_edges * (step + 1) / steps;
	double		progress = ((epoch - 1) * steps + step) / ((double) training->options.epochs * steps);
	double		sum;

	if (network_forward(&training->network) != CORE_OK ||
		loss_step(&training->loss, epoch, first, (int) (last - first), &sum) != CORE_OK ||
		network_backward(&training->network) != CORE_OK ||
		optimizer_step(&training->optimizer, learning_rate_at(training, progress)) != CORE_OK)
		return training->core->status;
	*loss_sum += sum;
	core_report(training->core, "training", (epoch - 1) * steps + step + 1,
				training->options.epochs * steps);
	return training->core->status;
}

static CoreStatus
run_epoch(Training *training, int number, EncoderEpoch *epoch)
{
	int64_t		n_edges = training->training_graph.n_edges;
	int64_t		steps = (n_edges + training->loss.batch - 1) / training->loss.batch;
	double		start = now();
	double		loss_sum = 0;

	for (int64_t step = 0; step < steps; step++)
		if (run_step(training, number, step, steps, &loss_sum) != CORE_OK)
			return training->core->status;
	*epoch = (EncoderEpoch) {number, loss_sum / n_edges, NAN, NAN, 0};
	if (training->holdout.n_edges > 0)
	{
		RankingQuality quality;

		if (propagate_and_store(training) != CORE_OK ||
			holdout_quality(&training->holdout, training->arena, &training->training_graph,
							training->vectors, training->width, &quality) != CORE_OK)
			return training->core->status;
		epoch->recall_at_20 = quality.recall;
		epoch->ndcg_at_20 = quality.ndcg;
	}
	epoch->seconds = now() - start;
	return CORE_OK;
}

/* Keep the parameters of this epoch when it is the best so far. */
static void
keep_if_best(Training *training, const EncoderEpoch *epoch, EncoderResult *result)
{
	bool		better = result->best_epoch == 0 || training->holdout.n_edges == 0 ||
		epoch->ndcg_at_20 > result->best.ndcg_at_20;

	if (!better)
		return;
	result->best_epoch = epoch->epoch;
	result->best = *epoch;
	if (training->best_parameters != NULL)
		memcpy(training->best_parameters, training->network.parameters,
			   training->network.layout.total * sizeof(float));
}

static CoreStatus
run_epochs(Training *training, EncoderListener listener, void *listener_data, EncoderResult *result)
{
	const EncoderOptions *options = &training->options;

	for (int number = 1; number <= options->epochs; number++)
	{
		EncoderEpoch epoch;

		if (run_epoch(training, number, &epoch) != CORE_OK)
			return training->core->status;
		result->epochs_run = number;
		keep_if_best(training, &epoch, result);
		if (listener != NULL)
			listener(listener_data, &epoch);
		if (options->patience > 0 && training->holdout.n_edges > 0 &&
			number - result->best_epoch >= options->patience)
			break;
	}
	if (training->best_parameters != NULL && result->best_epoch > 0 &&
		result->best_epoch < result->epochs_run)
		memcpy(training->network.parameters, training->best_parameters,
			   training->network.layout.total * sizeof(float));
	return CORE_OK;
}

/* No vector may leave with a NaN or an infinity. */
static CoreStatus
check_vectors(Training *training)
{
	size_t		n = (size_t) training->graph->n_nodes * training->width;

	for (size_t i = 0; i < n; i++)
		if (!isfinite(training->vectors[i]))
			return core_fail(training->core, CORE_DIVERGED, "node %lld has a vector that is not finite",
							 (long long) (i / training->width));
	return CORE_OK;
}

static CoreStatus
finish(Training *training, EncoderResult *result)
{
	if (propagate_and_store(training) != CORE_OK || check_vectors(training) != CORE_OK)
		return training->core->status;
	result->width = training->width;
	result->n_validation = training->holdout.n_edges;
	result->n_shielded = training->holdout.n_shielded;
	result->target_fraction = training->holdout.target_fraction;
	return holdout_calibrate(&training->holdout, training->arena, training->graph,
							 training->vectors, training->width, training->options.seed,
							 &result->scale, &result->offset);
}

/* Move the vectors to the caller's arena before the training's own is closed. */
static void
hand_over(Training *training, Arena *arena, EncoderResult *result)
{
	size_t		n = (size_t) training->graph->n_nodes * training->width;
	float	   *vectors = arena_floats(arena, n);

	if (vectors != NULL)
		memcpy(vectors, training->vectors, n * sizeof(float));
	result->vectors = vectors;
}

CoreStatus
encoder_train(Core *core, Arena *arena, const Graph *graph,
			  const Features *users, const Features *objects,
			  const EncoderOptions *options, EncoderListener listener, void *listener_data,
			  EncoderResult *result)
{
	Training	training;
	Arena		scratch;

	memset(result, 0, sizeof(*result));
	result->best.recall_at_20 = result->best.ndcg_at_20 = NAN;
	if (encoder_check(core, options) != CORE_OK)
		return core->status;
	if (graph->n_edges == 0)
		return core_fail(core, CORE_INVALID, "the graph has no edges to learn from");
	arena_open(&scratch, core);
	core_start_workers(core);
	if (training_open(&training, core, &scratch, graph, users, objects, options) == CORE_OK &&
		run_epochs(&training, listener, listener_data, result) == CORE_OK &&
		finish(&training, result) == CORE_OK)
		hand_over(&training, arena, result);
	core_stop_workers(core);
	arena_close(&scratch);
	return core->status;
}
