/*
 * test_planted.c
 *		Does routing tell by which factor a link came about?
 *
 * Planted truth: every link has one of FACTORS causes.  A link is put down to the subspace
 * with the largest first weight; the share of links put down to their cause, subspaces
 * named by the best one-to-one assignment, is compared with chance.
 *
 * What the figures say: given vectors in which subspaces mean something, both rules find
 * the cause of nearly every link.  Trained from ID embeddings, narrow subspaces part the
 * links of one user by cause, but which subspace stands for which cause differs from user
 * to user: the loss, a mean over subspaces, does not ask for more.
 */
#include "samples.h"

#include <math.h>
#include <string.h>

#include "core/loss.h"
#include "core/optimizer.h"

#define FACTORS 4

/* Links by subspace (rows) and cause. */
typedef struct Table
{
	double		links[FACTORS][FACTORS];
} Table;

static double
table_sum(const Table *table)
{
	double		sum = 0;

	for (int k = 0; k < FACTORS; k++)
		for (int f = 0; f < FACTORS; f++)
			sum += table->links[k][f];
	return sum;
}

/* The most links on their cause by any assignment of causes to subspaces k and above. */
static double
best_assignment(const Table *table, int k, unsigned taken)
{
	double		best = 0;

	for (int f = 0; k < FACTORS && f < FACTORS; f++)
		if (!(taken & 1u << f))
			best = fmax(best, table->links[k][f] + best_assignment(table, k + 1, taken | 1u << f));
	return best;
}

static double
recovered_share(const Table *table)
{
	return best_assignment(table, 0, 0) / table_sum(table);
}

/* ---- given subspaces that mean something ---------------------------------------------------- */

/* One node with 20 neighbours, as in many neighbourhoods: each neighbour is like the node in
 * the subspace of the link's cause and has a random direction in the others. */
static double
recovery_in_given_subspaces(bool own_centre, int rounds, bool portable)
{
	enum {W = 8, WIDTH = FACTORS * W, NEIGHBOURS = 20, NODES = NEIGHBOURS + 1, TRIALS = 100};
	const int64_t offsets[] = {0, NEIGHBOURS};
	const Kernels *kernels = kernels_select(portable);
	Table		table = {0};

	for (int trial = 0; trial < TRIALS; trial++)
	{
		float		z[NODES * WIDTH],
					centres[NODES * WIDTH],
					lengths[NODES * FACTORS],
					first_weights[NEIGHBOURS * FACTORS];
		int32_t		neighbours[NEIGHBOURS];
		RoutingTask task = {
			.offsets = offsets, .neighbours = neighbours, .factors = FACTORS, .sub_width = W,
			.rounds = rounds, .own_centre = own_centre, .inverse_temperature = 1,
			.mapped = z, .start = z, .first_weights = first_weights,
		};

		for (int i = 0; i < NODES * WIDTH; i++)
			z[i] = (float) random_normal(trial, RANDOM_TEST, i);
		for (int i = 0; i < NEIGHBOURS; i++)
		{
			neighbours[i] = i + 1;
			memcpy(z + (i + 1) * WIDTH + i % FACTORS * W, z + i % FACTORS * W, W * sizeof(float));
		}
		kernels->normalise(z, z, lengths, NODES, FACTORS, W);
		for (int t = 0; t < rounds; t++)
			task.centres[t] = centres;
		kernels->routing_forward(&task, 0, 1);
		for (int i = 0; i < NEIGHBOURS; i++)
		{
			int			largest = 0;

			for (int k = 1; k < FACTORS; k++)
				if (first_weights[i * FACTORS + k] > first_weights[i * FACTORS + largest])
					largest = k;
			table.links[largest][i % FACTORS]++;
		}
	}
	return recovered_share(&table);
}

static void
routing_finds_causes_in_given_subspaces(void **state)
{
	(void) state;
	for (int rounds = 1; rounds <= 6; rounds += 5)
	{
		double		claim = recovery_in_given_subspaces(true, rounds, false);
		double		disengcn = recovery_in_given_subspaces(false, rounds, false);

		print_message("given subspaces, %d rounds: claim 5 %.3f, DisenGCN %.3f of the causes, chance 0.25\n",
					  rounds, claim, disengcn);
		assert_true(claim > 0.8);
		assert_true(disengcn > 0.95);
		assert_close(recovery_in_given_subspaces(true, rounds, true), claim, 0.01);
		assert_close(recovery_in_given_subspaces(false, rounds, true), disengcn, 0.01);
	}
}

/* ---- after training -------------------------------------------------------------------------- */

#define N_USERS 600
#define TOPICS 6				/* of a factor */
#define TOPIC_OBJECTS 10
#define FACTOR_OBJECTS (TOPICS * TOPIC_OBJECTS)
#define N_OBJECTS (FACTORS * FACTOR_OBJECTS)
#define FACTOR_LINKS 10			/* of a user, for each of his two factors */

/* Each user has two factors and in each a topic from which his objects come; an object has
 * one topic, so that its factor is the cause of all its links.  That two topics are of one
 * factor shows only in that no user has both. */
static void
plant_graph(Arena *arena, uint64_t seed, Graph *graph)
{
	static int32_t pairs[N_USERS * 2 * FACTOR_LINKS][2];
	int			n = 0;

	for (int32_t user = 0; user < N_USERS; user++)
	{
		int			first = (int) random_below(seed, RANDOM_TEST, 100 * user, FACTORS);
		int			other = (int) random_below(seed, RANDOM_TEST, 100 * user + 1, FACTORS - 1);

		for (int i = 0; i < 2 * FACTOR_LINKS; i++, n++)
		{
			int			factor = i < FACTOR_LINKS ? first : (first + 1 + other) % FACTORS;
			int			topic = (int) random_below(seed, RANDOM_TEST, 100 * user + 2 + i / FACTOR_LINKS, TOPICS);
			int			object = (int) random_below(seed, RANDOM_TEST, 100 * user + 4 + i, TOPIC_OBJECTS);

			pairs[n][0] = user;
			pairs[n][1] = factor * FACTOR_OBJECTS + topic * TOPIC_OBJECTS + object;
		}
	}
	sample_graph_of_pairs(arena, N_USERS, N_OBJECTS, pairs, NULL, n, graph);
}

typedef struct Trained
{
	TestHost	host;
	Arena		arena;
	Graph		graph;
	EncoderOptions options;
	Network		network;
} Trained;

/* Two numbers in a subspace: no room to hold everything in each. */
static void
set_options(Trained *t, RoutingRule routing, uint64_t seed)
{
	encoder_defaults(&t->options, &t->graph);
	t->options.routing = routing;
	t->options.factors = FACTORS;
	t->options.dimension = 2 * FACTORS;
	t->options.layers = 1;
	t->options.routing_iterations = 3;
	t->options.routing_temperature = 0.2f;
	t->options.neighbour_scale = 2;
	t->options.temperature = 0.2f;
	t->options.initial_bias = 0;
	t->options.batch_size = 1024;
	t->options.negatives = 200;
	t->options.seed = seed;
}

static void
train(Trained *t, RoutingRule routing, uint64_t seed, int epochs)
{
	Loss		loss;
	Optimizer	optimizer;
	double		sum;

	host_open(&t->host, 2);
	arena_open(&t->arena, &t->host.core);
	core_start_workers(&t->host.core);
	plant_graph(&t->arena, seed, &t->graph);
	set_options(t, routing, seed);
	network_open(&t->network, &t->host.core, &t->arena, &t->graph, NULL, NULL, &t->options, true);
	loss_open(&loss, &t->arena, &t->network);
	optimizer_open(&optimizer, &t->arena, &t->network);
	for (int epoch = 1; epoch <= epochs; epoch++)
		for (int64_t first = 0; first + loss.batch <= t->graph.n_edges; first += loss.batch)
		{
			loss_choose(&loss, epoch, first, loss.batch);
			network_forward(&t->network);
			loss_step(&loss, &sum);
			network_backward(&t->network);
			optimizer_step(&optimizer, 0.03);
		}
	assert_int_equal(network_forward(&t->network), CORE_OK);
}

static void
close_trained(Trained *t)
{
	core_stop_workers(&t->host.core);
	arena_close(&t->arena);
	host_assert_clean(&t->host);
}

/* exp(z_{u,k} . c_{v,j} / tau) with the final centre */
static double
similarity(const Trained *t, int32_t u, int k, int32_t v, int j)
{
	const LayerState *layer = &t->network.layers[0];
	int			W = t->network.sub_width;
	float		dot = t->network.kernels->dot(layer->z + (size_t) u * t->network.width + k * W,
											  layer->output + (size_t) v * t->network.width + j * W, W);

	return exp(dot / t->options.routing_temperature);
}

/* The subspace with the largest first weight of u as a neighbour of v. */
static int
subspace_of_link(const Trained *t, int32_t v, int32_t u)
{
	int			largest = 0;
	double		most = 0;

	for (int j = 0; j < FACTORS; j++)
	{
		double		sum = 0;
		double		p;

		for (int k = 0; k < FACTORS; k++)
			sum += similarity(t, u, k, v, t->options.routing == ROUTING_OWN_CENTRE ? j : k);
		p = similarity(t, u, j, v, j) / sum;
		if (p > most)
		{
			most = p;
			largest = j;
		}
	}
	return largest;
}

typedef struct Recovery
{
	double		share;			/* of links on their cause, one assignment for all users */
	double		alike;			/* of pairs of a user's links with one cause: in one subspace */
	double		apart;			/* the same of pairs with two causes */
} Recovery;

/* Ordered pairs of different links in `row` that share a subspace: of one cause, of two. */
static void
count_pairs(const Table *user, double *pairs, double *together)
{
	for (int f = 0; f < FACTORS; f++)
		for (int g = 0; g < FACTORS; g++)
			for (int j = 0; j < FACTORS; j++)
				for (int k = 0; k < FACTORS; k++)
				{
					double		n = user->links[j][f] * (user->links[k][g] - (j == k && f == g));

					pairs[f == g] += n;
					together[f == g] += j == k ? n : 0;
				}
}

static Recovery
measure(const Trained *t)
{
	Table		all = {0};
	double		pairs[2] = {0};
	double		together[2] = {0};

	for (int32_t user = 0; user < N_USERS; user++)
	{
		Table		own = {0};

		for (int64_t e = t->graph.offsets[user]; e < t->graph.offsets[user + 1]; e++)
		{
			int32_t		object = t->graph.neighbours[e];

			own.links[subspace_of_link(t, user, object)][(object - N_USERS) / FACTOR_OBJECTS]++;
		}
		for (int k = 0; k < FACTORS; k++)
			for (int f = 0; f < FACTORS; f++)
				all.links[k][f] += own.links[k][f];
		count_pairs(&own, pairs, together);
	}
	return (Recovery) {recovered_share(&all), together[1] / pairs[1], together[0] / pairs[0]};
}

/* The mean over two graphs. */
static Recovery
recovery_after(RoutingRule routing, int epochs)
{
	Recovery	mean = {0};

	for (uint64_t seed = 1; seed <= 2; seed++)
	{
		Trained		t;
		Recovery	one;

		train(&t, routing, seed, epochs);
		one = measure(&t);
		close_trained(&t);
		mean.share += one.share / 2;
		mean.alike += one.alike / 2;
		mean.apart += one.apart / 2;
	}
	print_message("%s, %d epochs: %.3f of the causes (chance 0.25); links of a user in one subspace: "
				  "%.2f of pairs with one cause, %.2f with two\n",
				  routing == ROUTING_OWN_CENTRE ? "claim 5" : "DisenGCN", epochs,
				  mean.share, mean.alike, mean.apart);
	return mean;
}

/* Untrained, a link's subspace says nothing of its cause: the measure itself is sound. */
static void
untrained_network_knows_nothing(void **state)
{
	(void) state;
	for (int routing = 0; routing < 2; routing++)
	{
		Recovery	untrained = recovery_after(routing, 0);

		assert_close(untrained.share, 0.25, 0.02);
		assert_close(untrained.alike, untrained.apart, 0.03);
	}
}

static void
training_by_claim_5_parts_links_by_cause(void **state)
{
	Recovery	trained = recovery_after(ROUTING_OWN_CENTRE, 25);

	(void) state;
	assert_true(trained.alike - trained.apart > 0.3);
	assert_true(trained.share > 0.28);
}

static void
training_by_disengcn_parts_links_by_cause(void **state)
{
	Recovery	trained = recovery_after(ROUTING_EACH_CENTRE, 25);

	(void) state;
	assert_true(trained.alike - trained.apart > 0.3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routing_finds_causes_in_given_subspaces),
		cmocka_unit_test(untrained_network_knows_nothing),
		cmocka_unit_test(training_by_claim_5_parts_links_by_cause),
		cmocka_unit_test(training_by_disengcn_parts_links_by_cause),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
