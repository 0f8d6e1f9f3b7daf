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

#include "core/activity.h"
#include "core/sampled_training.h"
#include "core/spectral.h"
#include "core/temperature.h"

typedef EncoderTraining Training;

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
				   training->options.spectral_noise, NULL);
	arena_close(&scratch);
	return training->core->status;
}

/* The same on samples: nothing of the whole graph is computed or copied. */
static CoreStatus
open_sampled(Training *training, bool resume)
{
	uint8_t    *marks;

	training->training_graph = *training->graph;
	if (holdout_mark(&training->holdout, training->arena, training->graph, &training->options, &marks) != CORE_OK ||
		sampled_open(training, marks, resume) != CORE_OK)
		return training->core->status;
	arena_release(training->arena, marks);
	return CORE_OK;
}

static CoreStatus
training_open(Training *training, Core *core, Arena *arena, const Graph *graph,
			  const Features *users, const Features *objects, const EncoderOptions *options, bool resume)
{
	training->core = core;
	training->arena = arena;
	training->options = *options;
	training->graph = graph;
	training->width = options->dimension + ENCODER_EXTRA_NUMBERS;
	training->phase = "training";
	training->position.epoch = 1;
	training->result.best.recall_at_20 = training->result.best.ndcg_at_20 = NAN;
	if (is_sampled(training))
		return open_sampled(training, resume);
	if (holdout_split(&training->holdout, arena, graph, options, &training->training_graph) != CORE_OK ||
		network_open(&training->network, core, arena, &training->training_graph, users, objects,
					 &training->options, options->epochs > 0) != CORE_OK)
		return core->status;
	if (!resume && !options->warm_start && options->spectral_start && training->network.layout.id_count > 0 &&
		start_from_spectrum(training) != CORE_OK)
		return core->status;
	if (options->epochs > 0 &&
		(loss_open(&training->loss, arena, &training->network) != CORE_OK ||
		 optimizer_open(&training->optimizer, arena, &training->network) != CORE_OK))
		return core->status;
	if (training->holdout.n_edges > 0 && options->epochs > 1)
		training->best_parameters = arena_floats(arena, training->network.layout.total);
	training->vectors = training->network.z_gradient;
	return core->status;
}

/* Unit vector / sqrt(tau), then 1 and the activity, which comes last of all, or the bias and 1. */
void
encoder_store_vector(const Network *network, const float *unit, bool of_object, float bias, float *vector)
{
	const EncoderOptions *options = network->options;
	float		scale = 1 / sqrtf(options->temperature);
	int			part = options->dimension / options->factors;

	for (int i = 0; i < options->dimension; i++)
		vector[i] = scale * unit[i / part * network->sub_width + i % part];
	vector[options->dimension] = of_object ? bias : 1;
	vector[options->dimension + 1] = of_object ? 1 : 0;
}

/* The stored form of a range of nodes. */
static void
store_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const Training *training = argument;
	const float *bias = network->parameters + network->layout.object_bias;
	int32_t		n_users = network->graph->n_users;

	(void) shard;
	for (int32_t v = first; v < last; v++)
		encoder_store_vector(network, network->unit + (size_t) v * network->width, v >= n_users,
							 v < n_users ? 0 : bias[v - n_users], training->vectors + (size_t) v * training->width);
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

/* Steps of one epoch. */
static int64_t
steps_of_epoch(const Training *training)
{
	int64_t		steps = (training->loss.n_positives + training->loss.batch - 1) / training->loss.batch;
	int			most = training->options.epoch_steps;

	return most > 0 && most < steps ? most : steps;
}

/* Positives that the steps of an epoch learn from. */
static int64_t
positives_of_epoch(const Training *training)
{
	int64_t		most = steps_of_epoch(training) * training->loss.batch;

	return most < training->loss.n_positives ? most : training->loss.n_positives;
}

/* Propagation over the whole graph, loss, and one step of all parameters. */
static CoreStatus
whole_step(Training *training, double learning_rate, double *sum)
{
	network_hide_edges(&training->network, training->loss.entries, training->loss.count);
	if (network_forward(&training->network) != CORE_OK ||
		loss_step(&training->loss, sum) != CORE_OK ||
		network_backward(&training->network) != CORE_OK)
		return training->core->status;
	network_show_edges(&training->network, training->loss.entries, training->loss.count);
	return optimizer_step(&training->optimizer, learning_rate);
}

/* The next step of the epoch. */
static CoreStatus
run_step(Training *training)
{
	EncoderPosition *position = &training->position;
	int64_t		n_positives = positives_of_epoch(training);
	int64_t		steps = steps_of_epoch(training);
	int64_t		first = n_positives * position->step / steps;
	int64_t		last = n_positives * (position->step + 1) / steps;
	int64_t		done = (position->epoch - 1) * steps + position->step;
	double		learning_rate = learning_rate_at(training, done / ((double) training->options.epochs * steps));
	double		sum;

	if (loss_choose(&training->loss, position->epoch, first, (int) (last - first)) != CORE_OK)
		return training->core->status;
	if ((is_sampled(training) ? sampled_step(training, learning_rate, &sum) :
		 whole_step(training, learning_rate, &sum)) != CORE_OK)
		return training->core->status;
	position->loss_sum += sum;
	position->step++;
	core_report(training->core, training->phase, done + 1, training->options.epochs * steps);
	return training->core->status;
}

/* All steps of the epoch are done: measure it. */
static CoreStatus
measure_epoch(Training *training, EncoderEpoch *epoch)
{
	EncoderPosition *position = &training->position;
	double		start = now();

	*epoch = (EncoderEpoch) {position->epoch, position->loss_sum / positives_of_epoch(training), NAN, NAN, NAN, 0};
	if (training->holdout.n_edges > 0 && !is_sampled(training))
	{
		RankingQuality quality;

		if (propagate_and_store(training) != CORE_OK ||
			holdout_quality(&training->holdout, training->arena, &training->training_graph,
							training->vectors, training->width, &quality) != CORE_OK)
			return training->core->status;
		epoch->recall_at_20 = quality.recall;
		epoch->ndcg_at_20 = quality.ndcg;
		epoch->ndcg_error = quality.ndcg_error;
	}
	epoch->seconds = position->seconds + now() - start;
	return CORE_OK;
}

/*
 * Keep the parameters of this epoch unless an earlier one was better by more than chance.  The learning
 * rate falls, so that a later epoch is the better one where held-out edges cannot tell; the difference of
 * two epochs on the same users has about half the standard error of either (our choice: a peak of noise
 * at half the epochs, which cost Gowalla's test part 0.6 % of its Recall@20, is not kept).
 */
static void
keep_unless_worse(Training *training, const EncoderEpoch *epoch)
{
	EncoderResult *result = &training->result;
	EncoderEpoch *peak = &training->peak;

	if (peak->epoch == 0 || epoch->ndcg_at_20 > peak->ndcg_at_20)
		*peak = *epoch;
	if (training->holdout.n_edges > 0 && epoch->ndcg_at_20 < peak->ndcg_at_20 - 0.5 * peak->ndcg_error)
		return;
	result->best_epoch = epoch->epoch;
	result->best = *epoch;
	if (training->best_parameters != NULL)
		memcpy(training->best_parameters, training->network.parameters,
			   training->network.layout.total * sizeof(float));
}

/* True when there is nothing left to learn. */
static bool
is_finished(const Training *training)
{
	const EncoderOptions *options = &training->options;
	const EncoderResult *result = &training->result;

	return result->epochs_run >= options->epochs ||
		(options->patience > 0 && training->holdout.n_edges > 0 && !is_sampled(training) && result->epochs_run > 0 &&
		 result->epochs_run - training->peak.epoch >= options->patience);
}

/* Steps of the epoch until it ends or the host asks for a pause. */
static CoreStatus
run_steps(Training *training, const EncoderObserver *observer, bool *paused)
{
	double		start = now();
	double		before = training->position.seconds;

	while (!*paused && training->position.step < steps_of_epoch(training))
	{
		if (run_step(training) != CORE_OK)
			return training->core->status;
		training->position.seconds = before + now() - start;
		*paused = observer->pause != NULL && observer->pause(observer->data);
	}
	return CORE_OK;
}

/* The epoch has ended: measure it, and go on to the next. */
static CoreStatus
end_epoch(Training *training, const EncoderObserver *observer)
{
	EncoderEpoch epoch;

	if (measure_epoch(training, &epoch) != CORE_OK)
		return training->core->status;
	training->result.epochs_run = epoch.epoch;
	keep_unless_worse(training, &epoch);
	if (observer->epoch != NULL)
		observer->epoch(observer->data, &epoch);
	training->position = (EncoderPosition) {.epoch = epoch.epoch + 1};
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

/* What links add to the score, as the held-out edges tell. */
static CoreStatus
fit_direct_term(Training *training, Arena *arena)
{
	const Graph *graph = training->graph;
	const Holdout *holdout = &training->holdout;
	EncoderResult *result = &training->result;
	DirectCases cases = {holdout->n_edges, holdout->edge_users, holdout->edge_objects};

	if (graph->types == NULL)
		return CORE_OK;
	core_report(training->core, "fitting the direct term", 0, 0);
	if (direct_term_fit(training->core, &training->training_graph, &cases, training->vectors, training->width,
						training->options.seed, &result->direct) != CORE_OK || result->direct.n_types == 0)
		return training->core->status;
	result->direct_objects = arena_floats(arena, (size_t) graph->n_objects * DIRECT_OBJECT_NUMBERS(graph->n_types));
	if (result->direct_objects != NULL)
		direct_term_objects(&result->direct, graph, result->direct_objects);
	return training->core->status;
}

/* Go back to the kept parameters, and give up what only steps need. */
static void
end_learning(Training *training)
{
	const EncoderResult *result = &training->result;
	Optimizer  *optimizer = &training->optimizer;

	if (training->best_parameters != NULL && result->best_epoch > 0 &&
		result->best_epoch < result->epochs_run)
		memcpy(training->network.parameters, training->best_parameters,
			   training->network.layout.total * sizeof(float));
	arena_release(training->arena, training->best_parameters);
	arena_release(training->arena, optimizer->first_moment);
	arena_release(training->arena, optimizer->second_moment);
	training->best_parameters = optimizer->first_moment = optimizer->second_moment = NULL;
}

/* The vectors of a training on samples, and their quality, which no epoch has measured. */
static CoreStatus
finish_sampled(Training *training, Arena *arena)
{
	EncoderResult *result = &training->result;
	RankingQuality quality;

	if (sampled_vectors(training, arena, &training->training_graph) != CORE_OK ||
		training->holdout.n_edges == 0 || training->options.epochs == 0)
		return training->core->status;
	if (holdout_quality(&training->holdout, training->arena, training->graph, training->vectors, training->width,
						&quality) == CORE_OK)
	{
		result->best.recall_at_20 = quality.recall;
		result->best.ndcg_at_20 = quality.ndcg;
	}
	return training->core->status;
}

/* The vectors of the network over the whole graph. */
static CoreStatus
finish_whole(Training *training, Arena *arena)
{
	training->vectors = arena_floats(arena, (size_t) training->graph->n_nodes * training->width);
	return training->vectors == NULL ? training->core->status : propagate_and_store(training);
}

/* The kept parameters' vectors, in the caller's arena, and their calibration. */
static CoreStatus
finish(Training *training, Arena *arena)
{
	EncoderResult *result = &training->result;

	end_learning(training);
	if ((is_sampled(training) ? finish_sampled(training, arena) : finish_whole(training, arena)) != CORE_OK ||
		activity_fill(training->core, &training->training_graph, training->options.seed,
					  training->vectors, training->width) != CORE_OK ||
		check_vectors(training) != CORE_OK || fit_direct_term(training, arena) != CORE_OK)
		return training->core->status;
	result->width = training->width;
	result->vectors = training->vectors;
	result->n_validation = training->holdout.n_edges;
	result->n_shielded = training->holdout.n_shielded;
	result->target_fraction = training->holdout.target_fraction;
	result->temperature = training->options.temperature;
	return holdout_calibrate(&training->holdout, training->arena, training->graph,
							 training->vectors, training->width, training->options.seed,
							 &result->scale, &result->offset);
}

EncoderTraining *
encoder_open(Core *core, Arena *arena, const Graph *graph, const Features *users, const Features *objects,
			 const EncoderOptions *options, bool resume)
{
	EncoderOptions chosen = *options;
	Training   *training;

	if (encoder_check(core, options) != CORE_OK || sampled_check(core, graph, users, objects, options) != CORE_OK)
		return NULL;
	if (graph->n_edges == 0)
	{
		core_fail(core, CORE_INVALID, "the graph has no edges to learn from");
		return NULL;
	}
	training = arena_allocate_zeroed(arena, 1, sizeof(Training));
	if (training == NULL)
		return NULL;
	core_start_workers(core);
	if (resume || !encoder_chooses_temperature(options) ||
		temperature_choose(core, graph, users, objects, options, &chosen.temperature) == CORE_OK)
		training_open(training, core, arena, graph, users, objects, &chosen, resume);
	core_stop_workers(core);
	return core->status == CORE_OK ? training : NULL;
}

CoreStatus
encoder_run(EncoderTraining *training, const EncoderObserver *observer, bool *finished)
{
	bool		paused = false;

	core_start_workers(training->core);
	while (!is_finished(training) && run_steps(training, observer, &paused) == CORE_OK)
		if (training->position.step < steps_of_epoch(training) || end_epoch(training, observer) != CORE_OK ||
			paused)
			break;
	core_stop_workers(training->core);
	*finished = is_finished(training);
	return training->core->status;
}

CoreStatus
encoder_finish(EncoderTraining *training, Arena *arena, EncoderResult *result)
{
	core_start_workers(training->core);
	if (finish(training, arena) == CORE_OK)
		*result = training->result;
	core_stop_workers(training->core);
	return training->core->status;
}

CoreStatus
encoder_train(Core *core, Arena *arena, const Graph *graph,
			  const Features *users, const Features *objects,
			  const EncoderOptions *options, EncoderListener listener, void *listener_data,
			  EncoderResult *result)
{
	const EncoderObserver observer = {.epoch = listener, .data = listener_data};
	EncoderTraining *training;
	Arena		scratch;
	bool		finished;

	memset(result, 0, sizeof(*result));
	arena_open(&scratch, core);
	core_start_workers(core);
	training = encoder_open(core, &scratch, graph, users, objects, options, false);
	if (training != NULL && encoder_run(training, &observer, &finished) == CORE_OK)
		encoder_finish(training, arena, result);
	core_stop_workers(core);
	arena_close(&scratch);
	return core->status;
}
