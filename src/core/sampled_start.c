/*
 * sampled_start.c
 *		Spectral start from a part of the users.
 */
#include "core/sampled_start.h"

#include <math.h>
#include <string.h>

#include "core/spectral.h"

/* What the start is found from. */
typedef struct Start
{
	EncoderTraining *training;
	Arena		arena;
	int64_t		spread;			/* one user out of so many */
	Graph		graph;			/* these users, all objects */
	Network		network;		/* over it */
	float	   *inverse_values; /* width */
} Start;

/* One user out of so many is looked at. */
static int64_t
spread_of(double edges)
{
	return edges <= SAMPLED_START_EDGES ? 1 : (int64_t) ceil(edges / SAMPLED_START_EDGES);
}

double
sampled_start_bytes(int dimension, double width, double users, double objects, double edges)
{
	double		spread = (double) spread_of(edges);
	double		some = ceil(users / spread);
	double		kept = edges / spread;

	/* the lists, and the interactions that they are made from are gone by then */
	return spectral_bytes(dimension, (int64_t) some, (int64_t) objects) + 8 * (some + objects) + 16 * kept + 12 * kept +
		4 * ((some + objects) * (width + 2) + objects);
}

/* The users of the sample with their edges that take part in the training. */
static CoreStatus
build_sample(Start *start)
{
	const Graph *whole = start->training->graph;
	const Neighbourhood *neighbourhood = &start->training->sampled.neighbourhood;
	Core	   *core = start->training->core;
	Interactions interactions;
	Arena		scratch;
	int32_t		n_users = 0;

	arena_open(&scratch, core);
	interactions_open(&interactions, &scratch, false);
	for (int64_t user = 0; core->status == CORE_OK && user < whole->n_users; user += start->spread, n_users++)
	{
		for (int64_t e = whole->offsets[user]; e < whole->offsets[user + 1]; e++)
			if (!neighbourhood_leaves_out(neighbourhood->left_out, e))
				interactions_add(&interactions, n_users, whole->neighbours[e] - whole->n_users, 1);
		if (n_users % 4096 == 0)
			core_continues(core);
	}
	if (core->status == CORE_OK)
		graph_build(core, &start->arena, &interactions, n_users, whole->n_objects, 0, 0, &start->graph);
	arena_close(&scratch);
	return core->status;
}

/* The row of a node of the training. */
static float *
row_of(const Network *network, int64_t node)
{
	return network->parameters + network->layout.id_embeddings + (size_t) node * network->width;
}

/* Add to a user's random row what his objects' vectors give: the iteration's half round. */
static void
add_user(const Start *start, int32_t user, float *row)
{
	const Graph *whole = start->training->graph;
	const Neighbourhood *neighbourhood = &start->training->sampled.neighbourhood;
	const Network *network = &start->training->network;
	double		own = neighbourhood->counts[user] > 0 ? 1 / sqrt(neighbourhood->counts[user]) : 0;

	for (int64_t e = whole->offsets[user]; e < whole->offsets[user + 1]; e++)
	{
		int32_t		object = whole->neighbours[e] - whole->n_users;
		int64_t		degree = graph_degree(&start->graph, start->graph.n_users + object);
		float		scale = degree > 0 ? (float) (own / sqrt(degree)) : 0;
		const float *other = row_of(network, whole->neighbours[e]);

		if (neighbourhood_leaves_out(neighbourhood->left_out, e))
			continue;
		for (int i = 0; i < network->width; i++)
			row[i] += scale * start->inverse_values[i] * other[i];
	}
}

/* Rows of a range of nodes; objects' before users'. */
static void
fill_users(const Network *network, void *argument, int32_t first, int32_t last, int64_t shard)
{
	const Start *start = argument;
	float		noise = start->training->options.spectral_noise;

	(void) shard;
	for (int32_t v = first; v < last && v < network->graph->n_users; v++)
	{
		float	   *row = row_of(network, v);

		if (v % start->spread == 0)
		{
			memcpy(row, row_of(&start->network, v / start->spread), network->width * sizeof(float));
			continue;
		}
		for (int i = 0; i < network->width; i++)
			row[i] *= start->inverse_values[i] > 0 ? noise : 1;
		add_user(start, v, row);
	}
}

/* From the sample to all nodes. */
static CoreStatus
fill_rows(Start *start)
{
	Network    *network = &start->training->network;
	size_t		bytes = (size_t) network->graph->n_objects * network->width * sizeof(float);

	memcpy(row_of(network, network->graph->n_users), row_of(&start->network, start->graph.n_users), bytes);
	return network_over_nodes(network, fill_users, start);
}

CoreStatus
sampled_start(EncoderTraining *training)
{
	Core	   *core = training->core;
	const EncoderOptions *options = &training->options;
	Start		start = {.training = training, .spread = spread_of(training->graph->n_edges)};
	Arena		scratch;

	arena_open(&start.arena, core);
	start.inverse_values = arena_allocate_zeroed(&start.arena, training->network.width, sizeof(float));
	if (core->status == CORE_OK && build_sample(&start) == CORE_OK &&
		network_open_parameters(&start.network, core, &start.arena, &start.graph, options) == CORE_OK)
	{
		arena_open(&scratch, core);
		spectral_start(&start.network, &scratch, options->spectral_power, options->spectral_noise, start.inverse_values);
		arena_close(&scratch);
	}
	if (core->status == CORE_OK)
		fill_rows(&start);
	arena_close(&start.arena);
	return core->status;
}
