/*
 * holdout.c
 *		Choose held-out edges, rank against them, calibrate on them.
 */
#include "core/holdout.h"

#include <string.h>

#include "core/calibration.h"
#include "core/random.h"
#include "core/vectors.h"


bool
encoder_holds_out(uint64_t seed, float fraction, int64_t user_degree,
				  uint64_t user_hash, uint64_t object_hash)
{
	return user_degree >= ENCODER_HOLD_OUT_DEGREE &&
		random_uniform(random_mix(seed) ^ user_hash, RANDOM_VALIDATION, object_hash) < fraction;
}

bool
encoder_shields(uint64_t seed, float fraction, int64_t user_degree, uint64_t user_hash)
{
	return user_degree >= ENCODER_HOLD_OUT_DEGREE &&
		random_uniform(seed, RANDOM_SHIELD, user_hash) < fraction;
}

static uint64_t
node_hash(const Graph *graph, int32_t node)
{
	return graph->key_hashes != NULL ? graph->key_hashes[node] : (uint64_t) node;
}

/* What becomes of an entry of the users' lists. */
enum
{
	KEPT, VALIDATION, SHIELDED
};

#define MOST_SHIELDED 0.2		/* of all edges: the graph must not starve for its targets */

static bool
is_target(const Graph *graph, int64_t e)
{
	return graph->target_objects != NULL && graph->target_objects[graph->neighbours[e] - graph->n_users];
}

/* The fraction of users to shield, lowered when targets own a large part of the edges. */
static float
shield_fraction(const Graph *graph, float wanted)
{
	int64_t		edges = graph_predicted_edges(graph);
	int64_t		owned = 0;

	for (int64_t e = 0; graph->target_objects != NULL && e < graph->n_edges; e++)
		owned += is_target(graph, e) && graph_is_predicted(graph, e);
	if (wanted * owned <= MOST_SHIELDED * edges)
		return wanted;
	return (float) (MOST_SHIELDED * edges / owned);
}

/* Mark the entries of the users' lists that take no part in training. */
static void
mark_edges(Holdout *holdout, const Graph *graph, const EncoderOptions *options, uint8_t *marks)
{
	for (int32_t user = 0; user < graph->n_users; user++)
	{
		int64_t		degree = graph_degree(graph, user);
		uint64_t	hash = node_hash(graph, user);
		bool		shielded = encoder_shields(options->seed, holdout->target_fraction, degree, hash);

		for (int64_t e = graph->offsets[user]; e < graph->offsets[user + 1]; e++)
		{
			marks[e] = KEPT;
			if (!graph_is_predicted(graph, e))
				continue;
			if (is_target(graph, e))
				marks[e] = shielded ? SHIELDED : KEPT;
			else if (encoder_holds_out(options->seed, options->validation_fraction, degree, hash,
									   node_hash(graph, graph->neighbours[e])))
				marks[e] = VALIDATION;
			holdout->n_edges += marks[e] == VALIDATION;
			holdout->n_shielded += marks[e] == SHIELDED;
		}
	}
}

static CoreStatus
list_edges(Holdout *holdout, Arena *arena, const Graph *graph, const uint8_t *marks)
{
	int64_t		n = 0;

	holdout->edge_users = arena_allocate(arena, holdout->n_edges, sizeof(int32_t));
	holdout->edge_objects = arena_allocate(arena, holdout->n_edges, sizeof(int32_t));
	if (arena->core->status != CORE_OK)
		return arena->core->status;
	for (int32_t user = 0; user < graph->n_users; user++)
		for (int64_t e = graph->offsets[user]; e < graph->offsets[user + 1]; e++)
			if (marks[e] == VALIDATION)
			{
				holdout->edge_users[n] = user;
				holdout->edge_objects[n++] = graph->neighbours[e] - graph->n_users;
			}
	return CORE_OK;
}

/* Users with held-out edges, thinned to VALIDATION_QUERIES by hash; their places in the list. */
static CoreStatus
choose_queries(Holdout *holdout, Arena *arena, uint64_t seed)
{
	int64_t		users = 0;
	int64_t    *starts;
	int32_t    *items;
	double		share;

	for (int64_t i = 0; i < holdout->n_edges; i++)
		users += i == 0 || holdout->edge_users[i] != holdout->edge_users[i - 1];
	share = users > VALIDATION_QUERIES ? (double) VALIDATION_QUERIES / users : 1;
	holdout->query_users = arena_allocate(arena, users, sizeof(int32_t));
	starts = arena_allocate(arena, users + 1, sizeof(int64_t));
	items = arena_allocate(arena, holdout->n_edges, sizeof(int32_t));
	if (arena->core->status != CORE_OK)
		return arena->core->status;
	starts[0] = 0;
	for (int64_t i = 0, end; i < holdout->n_edges; i = end)
	{
		int32_t		user = holdout->edge_users[i];
		int64_t		n = holdout->n_queries;
		int64_t		place = starts[n];

		for (end = i; end < holdout->n_edges && holdout->edge_users[end] == user; end++)
			items[place++] = holdout->edge_objects[end];
		if (random_uniform(seed, RANDOM_SAMPLE, user) >= share)
			continue;
		holdout->query_users[n] = user;
		starts[n + 1] = place;
		holdout->n_queries++;
	}
	holdout->relevant = (Lists) {starts, items};
	return CORE_OK;
}

/* True when a training learns from this entry of the users' lists. */
static bool
is_learnt(const Graph *graph, const uint8_t *marks, int64_t e)
{
	return marks[e] == KEPT && graph_is_predicted(graph, e);
}

/* The training objects of each query user, and room for the rankings. */
static CoreStatus
open_ranking(Holdout *holdout, Arena *arena, const Graph *graph, const uint8_t *marks, int stored_width)
{
	int64_t    *starts = arena_allocate(arena, holdout->n_queries + 1, sizeof(int64_t));
	int64_t		total = 0;
	int32_t    *items;

	for (int64_t q = 0; q < holdout->n_queries; q++)
		for (int64_t e = graph->offsets[holdout->query_users[q]]; e < graph->offsets[holdout->query_users[q] + 1]; e++)
			total += is_learnt(graph, marks, e);
	items = arena_allocate(arena, total, sizeof(int32_t));
	holdout->top_objects = arena_allocate(arena, holdout->n_queries * VALIDATION_K, sizeof(int32_t));
	holdout->top_scores = arena_floats(arena, holdout->n_queries * VALIDATION_K);
	holdout->query_rows = arena_floats(arena, holdout->n_queries * stored_width);
	if (arena->core->status != CORE_OK)
		return arena->core->status;
	starts[0] = 0;
	for (int64_t q = 0; q < holdout->n_queries; q++)
	{
		int32_t		user = holdout->query_users[q];

		starts[q + 1] = starts[q];
		for (int64_t e = graph->offsets[user]; e < graph->offsets[user + 1]; e++)
			if (is_learnt(graph, marks, e))
				items[starts[q + 1]++] = graph->neighbours[e] - graph->n_users;
	}
	holdout->masked = (Lists) {starts, items};
	return CORE_OK;
}

CoreStatus
holdout_mark(Holdout *holdout, Arena *arena, const Graph *graph, const EncoderOptions *options, uint8_t **marks)
{
	*marks = arena_allocate(arena, graph->n_edges, 1);
	memset(holdout, 0, sizeof(*holdout));
	if (*marks == NULL)
		return arena->core->status;
	holdout->target_fraction = shield_fraction(graph, options->target_fraction);
	mark_edges(holdout, graph, options, *marks);
	if (holdout->n_edges + holdout->n_shielded == graph_predicted_edges(graph))
		holdout->n_edges = holdout->n_shielded = 0;
	if (holdout->n_edges + holdout->n_shielded == 0)
	{
		arena_release(arena, *marks);
		*marks = NULL;
		return CORE_OK;
	}
	if (list_edges(holdout, arena, graph, *marks) != CORE_OK ||
		choose_queries(holdout, arena, options->seed) != CORE_OK)
		return arena->core->status;
	return open_ranking(holdout, arena, graph, *marks, options->dimension + ENCODER_EXTRA_NUMBERS);
}

CoreStatus
holdout_split(Holdout *holdout, Arena *arena, const Graph *graph,
			  const EncoderOptions *options, Graph *training)
{
	uint8_t    *marks;

	if (holdout_mark(holdout, arena, graph, options, &marks) != CORE_OK)
		return arena->core->status;
	if (marks == NULL)
	{
		*training = *graph;
		return CORE_OK;
	}
	if (graph_without(arena->core, arena, graph, marks, training) == CORE_OK)
		arena_release(arena, marks);
	return arena->core->status;
}

CoreStatus
holdout_quality(Holdout *holdout, Arena *arena, const Graph *training,
				const float *vectors, int width, RankingQuality *quality)
{
	Vectors		queries = {holdout->n_queries, width, holdout->query_rows};
	Vectors		objects = {training->n_objects, width, vectors + (size_t) training->n_users * width};

	for (int64_t q = 0; q < holdout->n_queries; q++)
		memcpy(holdout->query_rows + q * width, vectors + (size_t) holdout->query_users[q] * width,
			   width * sizeof(float));
	if (ranking_top(arena->core, arena, &queries, &objects, &holdout->masked, VALIDATION_K,
					holdout->top_objects, holdout->top_scores) == CORE_OK)
		ranking_quality(holdout->n_queries, VALIDATION_K, holdout->top_objects,
						&holdout->relevant, quality);
	return arena->core->status;
}

/* A user and an object without an edge, both drawn uniformly; gives up after a few tries. */
static void
draw_non_edge(const Graph *graph, uint64_t seed, int64_t number, int32_t *user, int32_t *object)
{
	for (int try = 0; try < 16; try++)
	{
		uint64_t	counter = 2 * ((uint64_t) number * 16 + try);

		*user = (int32_t) random_below(seed, RANDOM_CALIBRATION, counter, graph->n_users);
		*object = (int32_t) random_below(seed, RANDOM_CALIBRATION, counter + 1, graph->n_objects);
		if (!graph_has_edge(graph, *user, *object))
			break;
	}
}

/* Positive pair i of the calibration: a held-out edge, or an edge of the graph. */
static void
calibration_edge(const Holdout *holdout, const Graph *graph, int64_t i, int64_t n,
				 int32_t *user, int32_t *object)
{
	int64_t		available = holdout->n_edges > 0 ? holdout->n_edges : graph->n_edges;
	int64_t		e = available * i / n;

	if (holdout->n_edges > 0)
	{
		*user = holdout->edge_users[e];
		*object = holdout->edge_objects[e];
		return;
	}
	*object = graph->neighbours[e] - graph->n_users;
	*user = graph->neighbours[graph->reverse[e]];
}

CoreStatus
holdout_calibrate(const Holdout *holdout, Arena *arena, const Graph *graph,
				  const float *vectors, int width, uint64_t seed, double *scale, double *offset)
{
	int64_t		available = holdout->n_edges > 0 ? holdout->n_edges : graph->n_edges;
	int64_t		n = available < CALIBRATION_EDGES ? available : CALIBRATION_EDGES;
	float	   *labels = arena_floats(arena, 2 * n);
	double	   *scores = arena_doubles(arena, 2 * n);
	Cases		cases = {2 * n, labels, scores, NULL};

	if (arena->core->status != CORE_OK)
		return arena->core->status;
	for (int64_t i = 0; i < n; i++)
	{
		int32_t		user,
					object;

		calibration_edge(holdout, graph, i, n, &user, &object);
		for (int other = 0; other < 2; other++)
		{
			if (other)
				draw_non_edge(graph, seed, i, &user, &object);
			labels[2 * i + other] = !other;
			scores[2 * i + other] = vectors_dot(vectors + (size_t) user * width,
												vectors + (size_t) (graph->n_users + object) * width,
												width);
		}
	}
	return calibration_platt(arena->core, &cases, scale, offset);
}
