/*
 * encoder_time.c
 *		A pilot training on a sample of the graph, and what follows for the whole.
 *
 * Nothing here knows what a loop costs: the pilot runs the real ones.  Work in proportion to
 * edges and nodes is multiplied by what the graph has more of them; what ranking costs follows
 * from its pairs of users and objects.
 */
#include "core/encoder_time.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "core/encoder_training.h"
#include "core/ranking.h"
#include "core/sampled_training.h"
#include "core/temperature.h"

#define PILOT_EDGES 300000		/* their rows are larger than a processor's nearest caches, as all are */
#define FEWEST_PILOT_EDGES 100
#define FEWEST_PREDICTED 100	/* edges to be predicted that a sample should have */
#define PILOT_SECONDS 0.2		/* of steps, two at least */
#define PILOT_QUERIES 512

/*
 * What the passes over a node's own rows cost, in entries of its list: a dozen rows are read
 * or written, against four of each neighbour.
 */
#define NODE_ENTRIES 4

typedef struct Pilot
{
	Core	   *core;
	Arena		arena;
	const Graph *whole;
	const Features *whole_features[2];
	Graph		graph;
	Features	features[2];
	EncoderOptions options;		/* of the pilot */
	double		ratio;			/* work of the whole over that of the sample */
	double		step_ratio;		/* the same of a step */
	EncoderTraining *training;
	int			steps;			/* that have run */
	double		first;			/* seconds of the first, which finds everything cold */
	double		others;			/* seconds of the others */
	double		before;			/* seconds of the epoch before the last step */
} Pilot;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec * 1e-9;
}

/* Bytes that a sample of so many edges would need. */
static double
sample_bytes(const Pilot *pilot, const EncoderOptions *options, double edges)
{
	const Graph *graph = pilot->whole;
	double		share = fmin(1, edges / graph->n_edges);
	int64_t		predicted = graph->types == NULL ? -1 : (int64_t) ceil(graph_predicted_edges(graph) * share);
	int			columns[2];

	for (int side = 0; side < 2; side++)
		columns[side] = pilot->whole_features[side] == NULL ? 0 : pilot->whole_features[side]->columns;
	return (double) encoder_memory(options, (int64_t) ceil(graph->n_users * share),
								   (int64_t) fmin(graph->n_objects, edges), (int64_t) edges, predicted,
								   graph->weights != NULL, columns[0], columns[1], pilot->core->threads);
}

/* Edges of the largest sample that fits, 0 when none does. */
static double
choose_edges(const Pilot *pilot, const EncoderOptions *options)
{
	const Core *core = pilot->core;
	double		edges = fmin(pilot->whole->n_edges, PILOT_EDGES);
	double		fewest = fmin(edges, FEWEST_PILOT_EDGES);

	if (core->memory_limit == 0)
		return edges;
	while (1.25 * sample_bytes(pilot, options, edges) > (double) (core->memory_limit - core->memory_used))
		if ((edges /= 2) < fewest)
			return 0;
	return edges;
}

/* The features of those nodes of one side that have a number in the sample. */
static void
copy_features(Pilot *pilot, int side, const int32_t *numbers, int32_t n)
{
	const Features *whole = pilot->whole_features[side];
	Features   *sample = &pilot->features[side];

	if (whole == NULL)
		return;
	*sample = *whole;
	sample->rows = n;
	sample->values = arena_floats(&pilot->arena, (size_t) n * whole->columns);
	for (int32_t i = 0; sample->values != NULL && i < whole->rows; i++)
		if (numbers[i] >= 0)
			memcpy(sample->values + (size_t) numbers[i] * whole->columns,
				   whole->values + (size_t) i * whole->columns, whole->columns * sizeof(float));
}

/* The numbers of users and objects in the sample, -1 for those that are not in it. */
typedef struct Numbers
{
	int32_t    *users;
	int32_t    *objects;
	int32_t		n_users;
	int32_t		n_objects;
} Numbers;

/* Take in one user with all his edges. */
static void
add_user(const Pilot *pilot, Numbers *numbers, Interactions *interactions, int32_t user)
{
	const Graph *whole = pilot->whole;

	numbers->users[user] = numbers->n_users++;
	for (int64_t e = whole->offsets[user]; e < whole->offsets[user + 1]; e++)
	{
		int32_t    *object = &numbers->objects[whole->neighbours[e] - whole->n_users];

		if (*object < 0)
			*object = numbers->n_objects++;
		if (interactions_add(interactions, numbers->users[user], *object,
							 whole->weights == NULL ? 1 : whole->weights[e]) != CORE_OK)
			return;
		if (interactions->types != NULL)
			interactions->types[interactions->count - 1] = whole->types[e];
	}
}

/* True when users at even distances would have too few of the behaviours to be predicted to learn from. */
static bool
predicts_rare(const Graph *whole, double edges)
{
	return whole->types != NULL && graph_predicted_edges(whole) * edges / whole->n_edges < FEWEST_PREDICTED;
}

/* One user of first .. last - 1: the first, or where what is to be predicted is rare, the first who has done it. */
static int32_t
choose_user(const Graph *whole, bool rare, int32_t first, int32_t last)
{
	for (int32_t user = first; rare && user < last; user++)
		if (graph_predicted_degree(whole, user) > 0)
			return user;
	return first;
}

/* Users at even distances, so that whatever the order of keys stands for is in the sample. */
static CoreStatus
draw_sample(Pilot *pilot, double edges)
{
	const Graph *whole = pilot->whole;
	int32_t		n_users = (int32_t) fmax(1, whole->n_users * edges / whole->n_edges);
	Numbers		numbers = {
		.users = arena_allocate(&pilot->arena, whole->n_users, sizeof(int32_t)),
		.objects = arena_allocate(&pilot->arena, whole->n_objects, sizeof(int32_t)),
	};
	bool		rare = predicts_rare(whole, edges);
	Interactions interactions;

	if (rare)
		pilot->options.validation_fraction = 0;	/* it might take the last */
	if (interactions_open(&interactions, &pilot->arena, whole->weights != NULL) != CORE_OK ||
		(whole->types != NULL && interactions_open_types(&interactions) != CORE_OK))
		return pilot->core->status;
	memset(numbers.users, -1, whole->n_users * sizeof(int32_t));
	memset(numbers.objects, -1, whole->n_objects * sizeof(int32_t));
	for (int32_t i = 0; i < n_users && core_continues(pilot->core); i++)
		add_user(pilot, &numbers, &interactions,
				 choose_user(whole, rare, (int32_t) ((int64_t) whole->n_users * i / n_users),
							 (int32_t) ((int64_t) whole->n_users * (i + 1) / n_users)));
	if (pilot->core->status != CORE_OK)
		return pilot->core->status;
	copy_features(pilot, 0, numbers.users, numbers.n_users);
	copy_features(pilot, 1, numbers.objects, numbers.n_objects);
	if (graph_build(pilot->core, &pilot->arena, &interactions, numbers.n_users, numbers.n_objects,
					0, 0, &pilot->graph) == CORE_OK)
		graph_copy_types(whole, &pilot->graph);
	return pilot->core->status;
}

/* The sample: the graph itself when it is small. */
static CoreStatus
open_sample(Pilot *pilot, double edges)
{
	if (edges < pilot->whole->n_edges)
		return draw_sample(pilot, edges);
	pilot->graph = *pilot->whole;
	for (int side = 0; side < 2; side++)
		if (pilot->whole_features[side] != NULL)
			pilot->features[side] = *pilot->whole_features[side];
	return CORE_OK;
}

/* What the passes over all edges and nodes have to do. */
static double
work_of(const Graph *graph)
{
	return 2.0 * graph->n_edges + NODE_ENTRIES * (double) graph->n_nodes;
}

/* EncoderObserver.pause: keep the step's seconds; true when there are enough of them. */
static bool
keep_step(void *data)
{
	Pilot	   *pilot = data;
	const EncoderPosition *position = &pilot->training->position;
	double		seconds = position->seconds - (position->step > 1 ? pilot->before : 0);

	pilot->before = position->seconds;
	if (pilot->steps++ == 0)
		pilot->first = seconds;
	else
		pilot->others += seconds;
	return pilot->steps > 1 && pilot->first + pilot->others >= PILOT_SECONDS;
}

/* Seconds that ranking takes for each pair of a user and an object. */
static double
ranking_rate(Pilot *pilot, const EncoderResult *result)
{
	const Graph *graph = &pilot->graph;
	Vectors		queries = {graph->n_users < PILOT_QUERIES ? graph->n_users : PILOT_QUERIES,
	result->width, result->vectors};
	Vectors		objects = {graph->n_objects, result->width,
	result->vectors + (size_t) graph->n_users * result->width};
	int32_t    *top = arena_allocate(&pilot->arena, queries.count * VALIDATION_K, sizeof(int32_t));
	float	   *scores = arena_floats(&pilot->arena, queries.count * VALIDATION_K);
	double		start = now();

	if (pilot->core->status != CORE_OK ||
		ranking_top(pilot->core, &pilot->arena, &queries, &objects, NULL, VALIDATION_K, top, scores) != CORE_OK)
		return 0;
	return (now() - start) / queries.count / objects.count;
}

/* What comes after an epoch: one propagation, and all objects ranked for some users. */
static double
epoch_end(Pilot *pilot, const EncoderResult *result)
{
	const Graph *whole = pilot->whole;
	double		held_out = graph_predicted_edges(whole) * (double) pilot->options.validation_fraction;
	double		queries = fmin(fmin(whole->n_users, held_out), VALIDATION_QUERIES);
	double		start = now();

	if (result->n_validation == 0 || is_sampled(pilot->training) || network_forward(&pilot->training->network) != CORE_OK)
		return 0;
	return (now() - start) * pilot->ratio + ranking_rate(pilot, result) * queries * whole->n_objects;
}

/* Steps of one epoch of the whole training. */
static double
steps_of_epoch(const Pilot *pilot, const EncoderOptions *options)
{
	double		edges = graph_predicted_edges(pilot->whole) * (1 - (double) options->validation_fraction);

	double		steps = ceil(fmax(1, edges) / options->batch_size);

	return options->epoch_steps > 0 ? fmin(steps, options->epoch_steps) : steps;
}

/* Run the pilot, and multiply. */
static CoreStatus
run_pilot(Pilot *pilot, const EncoderOptions *options, EncoderTime *time)
{
	const EncoderObserver observer = {.pause = keep_step, .data = pilot};
	const Features *features[2];
	EncoderResult result;
	bool		finished;
	double		start = now();

	for (int side = 0; side < 2; side++)
		features[side] = pilot->whole_features[side] == NULL ? NULL : &pilot->features[side];
	pilot->training = encoder_open(pilot->core, &pilot->arena, &pilot->graph, features[0], features[1],
								   &pilot->options, false);
	if (pilot->training == NULL)
		return pilot->core->status;
	time->start = (now() - start) * pilot->ratio;
	if (encoder_run(pilot->training, &observer, &finished) != CORE_OK)
		return pilot->core->status;
	start = now();
	if (encoder_finish(pilot->training, &pilot->arena, &result) != CORE_OK)
		return pilot->core->status;
	time->finish = (now() - start) * pilot->ratio;
	time->step = pilot->step_ratio * (pilot->steps > 1 ? pilot->others / (pilot->steps - 1) : pilot->first);
	time->epoch_end = options->epochs > 0 ? epoch_end(pilot, &result) : 0;
	time->steps = (int64_t) (options->epochs * steps_of_epoch(pilot, options));
	/* The choice of a temperature takes two to five times as many steps, each a fraction of one of the training's. */
	if (encoder_chooses_temperature(options))
		time->start += TEMPERATURE_STEPS * time->step;
	time->seconds = time->start + time->steps * time->step + options->epochs * time->epoch_end + time->finish;
	return pilot->core->status;
}

CoreStatus
encoder_time(Core *core, const Graph *graph, const Features *users, const Features *objects,
			 const EncoderOptions *options, EncoderTime *time)
{
	Pilot		pilot = {.core = core, .whole = graph, .whole_features = {users, objects}, .options = *options};
	double		edges = choose_edges(&pilot, options);

	pilot.options.choose_temperature = false;
	*time = (EncoderTime) {.seconds = NAN};
	if (edges == 0)
		return CORE_OK;
	arena_open(&pilot.arena, core);
	core_start_workers(core);
	if (open_sample(&pilot, edges) == CORE_OK && pilot.graph.n_edges > 0)
	{
		double		share = pilot.graph.n_edges / (double) graph->n_edges;

		pilot.ratio = pilot.step_ratio = work_of(graph) / work_of(&pilot.graph);
		if (options->sampled_neighbours > 0)
			pilot.step_ratio = sampled_step_entries(options, graph) / sampled_step_entries(options, &pilot.graph);
		else
			pilot.options.batch_size = (int) fmax(1, rint(options->batch_size * share));
		run_pilot(&pilot, options, time);
	}
	core_stop_workers(core);
	arena_close(&pilot.arena);
	return core->status;
}
