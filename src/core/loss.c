/*
 * loss.c
 *		The loss of one batch and its gradient with respect to the unit vectors.
 *
 * Floor of a group of B positives and M negatives at width D: 6 B M D flops in three
 * sgemm, and B M exponentials.  Gradients are first kept by row (a node may stand in a
 * batch many times) and then summed node by node in row order, so that no two workers
 * ever add to one place.
 */
#include "core/loss.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

#include "core/random.h"

#define MASKED -1e30f			/* logit of a negative that the user is known to have */

static CoreStatus
open_scratch(Loss *loss, Arena *arena)
{
	int			width = loss->network->width;
	int32_t		n_objects = loss->network->graph->n_objects;

	loss->scratch = arena_allocate_zeroed(arena, arena->core->threads, sizeof(LossScratch));
	for (int w = 0; arena->core->status == CORE_OK && w < arena->core->threads; w++)
	{
		LossScratch *scratch = &loss->scratch[w];

		scratch->users = arena_floats(arena, (size_t) LOSS_BLOCK * width);
		scratch->negatives = arena_floats(arena, (size_t) loss->negatives * width);
		scratch->logits = arena_floats(arena, (size_t) LOSS_BLOCK * loss->negatives);
		scratch->bias = arena_floats(arena, loss->negatives);
		scratch->shares = arena_floats(arena, LOSS_BLOCK);
		scratch->positions = arena_allocate(arena, n_objects, sizeof(int32_t));
		if (scratch->positions != NULL)
			memset(scratch->positions, -1, n_objects * sizeof(int32_t));
	}
	return arena->core->status;
}

/* What the positive of an entry weighs: its interactions, times the behaviours to be predicted. */
static double
positive_weight(const Graph *graph, int64_t e)
{
	double		weight = 0;

	for (int t = 0; t < graph->n_types; t++)
		if (graph->types[e] & graph->predicted & 1 << t)
			weight += graph->type_weights[t];
	return weight * (graph->weights == NULL ? 1 : graph->weights[e]);
}

/* List the edges to be predicted, when not all are. */
static CoreStatus
list_positives(Loss *loss, Arena *arena)
{
	const Graph *graph = loss->network->graph;
	double		sum = 0;
	int64_t		n = 0;

	loss->n_positives = graph_predicted_edges(graph);
	if (graph->types == NULL)
		return CORE_OK;
	if (loss->n_positives == 0)
		return core_fail(arena->core, CORE_INVALID, "the graph has no edge of a behavior to be predicted");
	loss->positives = arena_allocate(arena, loss->n_positives, sizeof(uint32_t));
	loss->positive_weights = arena_floats(arena, loss->n_positives);
	if (arena->core->status != CORE_OK)
		return arena->core->status;
	for (int64_t e = 0; e < graph->n_edges; e++)
		if (graph_is_predicted(graph, e))
		{
			loss->positives[n] = (uint32_t) e;
			sum += loss->positive_weights[n++] = (float) positive_weight(graph, e);
		}
	for (int64_t i = 0; i < n && sum > 0; i++)
		loss->positive_weights[i] = (float) (loss->positive_weights[i] * n / sum);
	return CORE_OK;
}

/* Nodes that a step may give gradients to. */
static size_t
loss_most_nodes(const Loss *loss)
{
	size_t		n_nodes = loss->graph->n_nodes;
	size_t		named = 2 * (size_t) loss->batch + (size_t) loss->groups * loss->negatives;

	return loss->network->options->sampled_neighbours > 0 && named < n_nodes ? named : n_nodes;
}

CoreStatus
loss_open(Loss *loss, Arena *arena, Network *network)
{
	const EncoderOptions *options = network->options;
	const Graph *graph = network->graph;
	size_t		rows;

	memset(loss, 0, sizeof(*loss));
	loss->network = network;
	loss->graph = graph;
	if (list_positives(loss, arena) != CORE_OK)
		return arena->core->status;
	loss->batch = loss->n_positives < options->batch_size ? (int) loss->n_positives : options->batch_size;
	loss->negatives = graph->n_objects < options->negatives ? graph->n_objects : options->negatives;
	loss->sampled_share = (double) loss->negatives / graph->n_objects;
	loss->groups = (loss->batch + LOSS_GROUP - 1) / LOSS_GROUP;
	rows = 2 * (size_t) loss->batch + (size_t) loss->groups * loss->negatives;
	loss->entries = arena_allocate(arena, loss->batch, sizeof(int64_t));
	loss->users = arena_allocate(arena, loss->batch, sizeof(int32_t));
	loss->objects = arena_allocate(arena, loss->batch, sizeof(int32_t));
	loss->weights = arena_floats(arena, loss->batch);
	loss->drawn = arena_allocate(arena, (size_t) loss->groups * loss->negatives, sizeof(int32_t));
	loss->row_gradients = arena_floats(arena, rows * network->width);
	loss->bias_gradients = arena_floats(arena, rows - loss->batch);
	loss->group_losses = arena_doubles(arena, loss->groups);
	loss->slot_starts = arena_allocate(arena, loss_most_nodes(loss) + 1, sizeof(int64_t));
	loss->slots = arena_allocate(arena, rows, sizeof(int32_t));
	return open_scratch(loss, arena);
}

/* The user whose list holds entry e. */
static int32_t
user_of_entry(const Graph *graph, int64_t e)
{
	int32_t		low = 0;
	int32_t		high = graph->n_users - 1;

	while (low < high)
	{
		int32_t		middle = low + (high - low + 1) / 2;

		if (graph->offsets[middle] <= e)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

/* Draw the negatives of a group: one object from each of `negatives` equal strata. */
static void
draw_negatives(const Loss *loss, int64_t group, int32_t *drawn)
{
	const Graph *graph = loss->graph;
	uint64_t	counter = (uint64_t) (loss->step * loss->groups + group) * loss->negatives;

	for (int i = 0; i < loss->negatives; i++)
	{
		int64_t		low = (int64_t) graph->n_objects * i / loss->negatives;
		int64_t		high = (int64_t) graph->n_objects * (i + 1) / loss->negatives;

		drawn[i] = graph->n_users + (int32_t)
			(low + random_below(loss->network->options->seed, RANDOM_NEGATIVES, counter + i, high - low));
	}
}

/* Rows of the network's unit vectors, one after the other. */
static void
copy_rows(const Network *network, const int32_t *nodes, int n, float *rows)
{
	for (int i = 0; i < n; i++)
		memcpy(rows + (size_t) i * network->width, network->unit + (size_t) nodes[i] * network->width,
			   network->width * sizeof(float));
}

/* Take the user's own objects out of his row of logits. */
static void
mask_known(const Loss *loss, const LossScratch *scratch, int32_t user, float *logits)
{
	const Graph *graph = loss->network->graph;

	for (int64_t e = graph->offsets[user]; e < graph->offsets[user + 1]; e++)
	{
		int32_t		position = scratch->positions[graph->neighbours[e] - graph->n_users];

		if (position >= 0 && graph_is_predicted(graph, e))
			logits[position] = MASKED;
	}
}

/*
 * One row of the softmax loss: logits become their gradient, scaled by `scale`; returns
 * the loss, and the gradient of the positive's logit in *share.  Each negative stands for
 * as many objects as its stratum has, so that the sum estimates the one over all objects;
 * counting it once would overrate the positive and starve easy positives of gradient.
 * Scores stay below `ceiling`, which is taken off before the exponential.
 */
static double
softmax_row(const Loss *loss, const LossScratch *scratch, float *logits, float *bias_gradient,
			float positive, float ceiling, float scale, float *share)
{
	const Kernels *kernels = loss->network->kernels;
	float		rest = kernels->exponentials(logits, scratch->bias, ceiling, loss->negatives);
	double		own = loss->sampled_share * exp((double) positive - ceiling);
	double		all = own + rest;

	kernels->scale_and_add(logits, bias_gradient, (float) (scale / all), loss->negatives);
	*share = (float) (scale * (own / all - 1));
	return log(all / loss->sampled_share) - (positive - ceiling);
}

/* One row of the logistic loss; the negatives together weigh as much as the positive. */
static double
logistic_row(const Loss *loss, const LossScratch *scratch, float *logits, float *bias_gradient,
			 float positive, float scale, float *share)
{
	const Kernels *kernels = loss->network->kernels;
	double		negatives = kernels->sigmoids(logits, scratch->bias, loss->negatives);
	double		e = exp(-fabs(positive));
	double		probability = positive > 0 ? 1 / (1 + e) : e / (1 + e);

	kernels->scale_and_add(logits, bias_gradient, scale / loss->negatives, loss->negatives);
	*share = (float) (scale * (probability - 1));
	return log1p(e) + (positive > 0 ? 0 : -positive) + negatives / loss->negatives;
}

/* Where the gradients of a group stand. */
typedef struct GroupPlace
{
	int			first;			/* first positive */
	int			count;
	float	   *negative_gradient;	/* negatives x width */
	float	   *negative_bias;	/* negatives */
	float		ceiling;
} GroupPlace;

/* Add share / temperature * row to a gradient row. */
static void
add_positive(const Network *network, float *gradient, int32_t node, float share)
{
	network->kernels->add_scaled(gradient, network->unit + (size_t) node * network->width,
								 share / network->options->temperature, network->width);
}

/* Rows first .. first + n - 1 of a group: logits, loss, gradients. */
static double
group_block(Loss *loss, const LossScratch *scratch, const GroupPlace *place, int first, int n)
{
	Network    *network = loss->network;
	const EncoderOptions *options = network->options;
	const float *bias = network->parameters + network->layout.object_bias;
	int			width = network->width;
	int			m = loss->negatives;
	float		inverse = 1 / options->temperature;
	float	   *user_gradient = loss->row_gradients + (size_t) first * width;
	double		sum = 0;

	copy_rows(network, loss->users + first, n, scratch->users);
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, m, width, inverse,
				scratch->users, width, scratch->negatives, width, 0, scratch->logits, m);
	for (int i = 0; i < n; i++)
	{
		int32_t		user = loss->users[first + i];
		int32_t		object = loss->objects[first + i];
		float	   *logits = scratch->logits + (size_t) i * m;
		float		positive = bias[object - network->graph->n_users] + inverse *
			network->kernels->dot(scratch->users + (size_t) i * width,
								  network->unit + (size_t) object * width, width);
		float		scale = loss->weights[first + i] / loss->count;

		mask_known(loss, scratch, user, logits);
		sum += loss->weights[first + i] *
			(options->loss == LOSS_SOFTMAX ?
			 softmax_row(loss, scratch, logits, place->negative_bias, positive, place->ceiling,
						 scale, &scratch->shares[i]) :
			 logistic_row(loss, scratch, logits, place->negative_bias, positive,
						  scale, &scratch->shares[i]));
	}
	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, width, m, inverse,
				scratch->logits, m, scratch->negatives, width, 0, user_gradient, width);
	cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, m, width, n, inverse,
				scratch->logits, m, scratch->users, width, 1, place->negative_gradient, width);
	for (int i = 0; i < n; i++)
	{
		float	   *object_gradient = loss->row_gradients + (size_t) (loss->batch + first + i) * width;

		add_positive(network, user_gradient + (size_t) i * width, loss->objects[first + i],
					 scratch->shares[i]);
		memset(object_gradient, 0, width * sizeof(float));
		add_positive(network, object_gradient, loss->users[first + i], scratch->shares[i]);
		loss->bias_gradients[first + i] = scratch->shares[i];
	}
	return sum;
}

/* The largest bias of the group's objects, above which no score can be but by 1 / tau. */
static float
score_ceiling(const Loss *loss, const GroupPlace *place, const LossScratch *scratch)
{
	const Network *network = loss->network;
	const float *bias = network->parameters + network->layout.object_bias;
	float		largest = scratch->bias[0];

	for (int i = 1; i < loss->negatives; i++)
		largest = fmaxf(largest, scratch->bias[i]);
	for (int i = place->first; i < place->first + place->count; i++)
		largest = fmaxf(largest, bias[loss->objects[i] - network->graph->n_users]);
	return largest + 1 / network->options->temperature;
}

/* One group: multiply, and leave its gradients by row. */
static void
run_group(void *argument, int64_t group, int worker)
{
	Loss	   *loss = argument;
	Network    *network = loss->network;
	LossScratch *scratch = &loss->scratch[worker];
	const int32_t *drawn = loss->drawn + group * loss->negatives;
	size_t		row = 2 * (size_t) loss->batch + group * loss->negatives;
	int			first = (int) group * LOSS_GROUP;
	GroupPlace	place = {
		.first = first,
		.count = loss->count - first < LOSS_GROUP ? loss->count - first : LOSS_GROUP,
		.negative_gradient = loss->row_gradients + row * network->width,
		.negative_bias = loss->bias_gradients + row - loss->batch,
	};

	copy_rows(network, drawn, loss->negatives, scratch->negatives);
	for (int i = 0; i < loss->negatives; i++)
	{
		int32_t		object = drawn[i] - network->graph->n_users;

		scratch->bias[i] = network->parameters[network->layout.object_bias + object];
		scratch->positions[object] = i;
	}
	place.ceiling = score_ceiling(loss, &place, scratch);
	memset(place.negative_gradient, 0, (size_t) loss->negatives * network->width * sizeof(float));
	memset(place.negative_bias, 0, loss->negatives * sizeof(float));

	loss->group_losses[group] = 0;
	for (int i = 0; i < place.count; i += LOSS_BLOCK)
		loss->group_losses[group] += group_block(loss, scratch, &place, first + i,
												 place.count - i < LOSS_BLOCK ? place.count - i : LOSS_BLOCK);
	for (int i = 0; i < loss->negatives; i++)
		scratch->positions[drawn[i] - network->graph->n_users] = -1;
}

/* The node of gradient row i of the current batch, -1 when the row is not in use. */
static int32_t
node_of_row(const Loss *loss, int64_t i, int groups)
{
	if (i < loss->batch)
		return i < loss->count ? loss->users[i] : -1;
	if (i < 2 * (int64_t) loss->batch)
		return i - loss->batch < loss->count ? loss->objects[i - loss->batch] : -1;
	i -= 2 * (int64_t) loss->batch;
	return i < (int64_t) groups * loss->negatives ? loss->drawn[i] : -1;
}

/* List the gradient rows of each node, in row order. */
static void
sort_rows(Loss *loss, int groups)
{
	int64_t		rows = 2 * (int64_t) loss->batch + (int64_t) groups * loss->negatives;
	int32_t		n_nodes = loss->network->graph->n_nodes;
	int64_t    *starts = loss->slot_starts;
	int32_t		node;

	memset(starts, 0, (n_nodes + 1) * sizeof(int64_t));
	for (int64_t i = 0; i < rows; i++)
		if ((node = node_of_row(loss, i, groups)) >= 0)
			starts[node + 1]++;
	for (int32_t v = 0; v < n_nodes; v++)
		starts[v + 1] += starts[v];
	for (int64_t i = 0; i < rows; i++)
		if ((node = node_of_row(loss, i, groups)) >= 0)
			loss->slots[starts[node]++] = (int32_t) i;
	memmove(starts + 1, starts, n_nodes * sizeof(int64_t));
	starts[0] = 0;
}

/* Sum the gradient rows of a range of nodes. */
static void
sum_nodes(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const Loss *loss = argument;
	int			width = network->width;
	float	   *bias = network->gradients + network->layout.object_bias;

	(void) shard;
	for (int32_t v = first; v < last; v++)
	{
		float	   *sum = network->unit_gradient + (size_t) v * width;
		float		bias_sum = 0;

		memset(sum, 0, width * sizeof(float));
		for (int64_t s = loss->slot_starts[v]; s < loss->slot_starts[v + 1]; s++)
		{
			int32_t		row = loss->slots[s];

			network->kernels->add_scaled(sum, loss->row_gradients + (size_t) row * width, 1, width);
			if (row >= loss->batch)
				bias_sum += loss->bias_gradients[row - loss->batch];
		}
		if (v >= network->graph->n_users)
			bias[v - network->graph->n_users] = bias_sum;
	}
}

/* Where the batch stands in the epoch's order. */
typedef struct BatchPlace
{
	Loss	   *loss;
	int			epoch;
	int64_t		first;
} BatchPlace;

/* An edge that may be learnt from in place of one that may not. */
static int64_t
another_positive(const Loss *loss, uint64_t seed, int64_t e)
{
	for (uint64_t i = 0; loss->left_out[e / 64] >> e % 64 & 1; i++)
		e = (int64_t) random_below(seed, random_mix(e), i, loss->n_positives);
	return e;
}

/* The positives of one group, and its negatives. */
static void
choose_group(void *argument, int64_t group, int worker)
{
	const BatchPlace *batch = argument;
	Loss	   *loss = batch->loss;
	const Graph *graph = loss->graph;
	uint64_t	seed = random_bits(loss->network->options->seed, RANDOM_EDGE_ORDER, batch->epoch);
	int			last = (int) (group + 1) * LOSS_GROUP;

	(void) worker;
	for (int i = (int) group * LOSS_GROUP; i < last && i < loss->count; i++)
	{
		int64_t		place = random_place(seed, RANDOM_EDGE_ORDER, loss->n_positives, batch->first + i);
		int64_t		e = loss->positives == NULL ? place : loss->positives[place];

		if (loss->left_out != NULL)
			e = another_positive(loss, seed, e);
		loss->entries[i] = e;
		loss->users[i] = user_of_entry(graph, e);
		loss->objects[i] = graph->neighbours[e];
		loss->weights[i] = loss->positive_weights != NULL ? loss->positive_weights[place] :
			graph->weights == NULL ? 1 : graph->weights[e];
	}
	draw_negatives(loss, group, loss->drawn + group * loss->negatives);
}

/* Groups of the current batch. */
static int
group_count(const Loss *loss)
{
	return (loss->count + LOSS_GROUP - 1) / LOSS_GROUP;
}

CoreStatus
loss_choose(Loss *loss, int epoch, int64_t first, int count)
{
	BatchPlace	batch = {loss, epoch, first};

	loss->count = count;
	return core_parallel(loss->network->core, group_count(loss), choose_group, &batch);
}

CoreStatus
loss_step(Loss *loss, double *sum)
{
	int			groups = group_count(loss);
	Core	   *core = loss->network->core;

	if (core_parallel(core, groups, run_group, loss) != CORE_OK)
		return core->status;
	loss->step++;
	*sum = 0;
	for (int group = 0; group < groups; group++)
		*sum += loss->group_losses[group];
	if (!isfinite(*sum))
		return core_fail(core, CORE_DIVERGED, "loss %g in step %lld", *sum, (long long) loss->step);
	sort_rows(loss, groups);
	return network_over_nodes(loss->network, sum_nodes, loss);
}
