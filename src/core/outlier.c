/*
 * outlier.c
 *		Isolation forest (Liu, Ting, Zhou 2008).
 *
 * A tree cuts a small sample of the points by random features at random values; a
 * point in a sparse region is alone after few cuts.  Score = 2 ^ -(mean path length /
 * expected path length), so that higher means sparser.  Trees are independent of each
 * other, as are points when they are scored: both are shards.
 */
#include "core/outlier.h"

#include "core/random.h"

#include <math.h>
#include <string.h>

#define FEWEST_POINTS 8
#define ROWS_PER_SHARD 512
#define MOST_NODES (2 * FOREST_SUBSAMPLE - 1)
#define FEATURES_TRIED 8
#define LEAF (-1)

#define LEAST_WEIGHT 0.2
#define GREATEST_WEIGHT 5.0
#define SPREAD_LOW 0.5
#define SPREAD_HIGH 2.0

/* A node in preorder: the left child of node i is i + 1. */
typedef struct ForestNode
{
	double		value;			/* split: left when feature <= value; leaf: path length */
	int32_t		feature;		/* LEAF for a leaf */
	int32_t		right;
} ForestNode;

typedef struct Forest
{
	int64_t		n;
	int			width;
	const float *vectors;
	uint64_t	seed;
	int			subsample;
	int			height_limit;
	double		normal_path;	/* expected path length among `subsample` points */
	ForestNode *nodes;			/* FOREST_TREES x MOST_NODES */
	int64_t    *samples;		/* workers x subsample */
	float	   *ranges;			/* workers x 2 x width: minima, then maxima */
	double	   *scores;
} Forest;

/* One tree in the making. */
typedef struct TreeBuilder
{
	const Forest *forest;
	ForestNode *nodes;
	int			n_nodes;
	int64_t    *sample;			/* rows, cut in place */
	float	   *minima;
	float	   *maxima;
	uint64_t	next_draw;
} TreeBuilder;

/* Average depth at which a search among m points ends: c(m) of the paper. */
double
outlier_expected_path(int64_t m)
{
	if (m < 2)
		return 0.0;
	if (m == 2)
		return 1.0;
	return 2.0 * (log((double) (m - 1)) + 0.57721566490153286) - 2.0 * (double) (m - 1) / (double) m;
}

static double
next_uniform(TreeBuilder *builder)
{
	return random_uniform(builder->forest->seed, RANDOM_FOREST, builder->next_draw++);
}

static uint64_t
next_below(TreeBuilder *builder, uint64_t bound)
{
	return random_below(builder->forest->seed, RANDOM_FOREST, builder->next_draw++, bound);
}

/* Rows without repetition (Floyd's method: as many draws as rows are wanted). */
static void
draw_sample(TreeBuilder *builder)
{
	int			wanted = builder->forest->subsample;
	int64_t		n = builder->forest->n;

	for (int i = 0; i < wanted; i++)
	{
		int64_t		latest = n - wanted + i;
		int64_t		row = (int64_t) next_below(builder, (uint64_t) latest + 1);

		for (int j = 0; j < i; j++)
		{
			if (builder->sample[j] == row)
			{
				row = latest;
				break;
			}
		}
		builder->sample[i] = row;
	}
}

/* Range of each feature over sample[begin .. end). */
static void
find_ranges(TreeBuilder *builder, int begin, int end)
{
	int			width = builder->forest->width;
	const float *first = builder->forest->vectors + builder->sample[begin] * width;

	memcpy(builder->minima, first, (size_t) width * sizeof(float));
	memcpy(builder->maxima, first, (size_t) width * sizeof(float));
	for (int i = begin + 1; i < end; i++)
	{
		const float *vector = builder->forest->vectors + builder->sample[i] * width;

		for (int feature = 0; feature < width; feature++)
		{
			float		value = vector[feature];

			builder->minima[feature] = value < builder->minima[feature] ? value : builder->minima[feature];
			builder->maxima[feature] = value > builder->maxima[feature] ? value : builder->maxima[feature];
		}
	}
}

/* Range of one feature over sample[begin .. end); false when the points do not differ in it. */
static bool
find_range(TreeBuilder *builder, int begin, int end, int feature)
{
	const float *column = builder->forest->vectors + feature;
	float		minimum = column[builder->sample[begin] * builder->forest->width];
	float		maximum = minimum;

	for (int i = begin + 1; i < end; i++)
	{
		float		value = column[builder->sample[i] * builder->forest->width];

		minimum = value < minimum ? value : minimum;
		maximum = value > maximum ? value : maximum;
	}
	builder->minima[feature] = minimum;
	builder->maxima[feature] = maximum;
	return minimum < maximum;
}

/*
 * One of the features that differ among the points, each as likely as the others, or LEAF.
 * Mostly all do, so a few are tried before the ranges of all are looked at.
 */
static int
draw_feature(TreeBuilder *builder, int begin, int end)
{
	int			differing = 0;
	int			chosen;
	int			feature = 0;

	for (int i = 0; i < FEATURES_TRIED; i++)
	{
		feature = (int) next_below(builder, (uint64_t) builder->forest->width);
		if (find_range(builder, begin, end, feature))
			return feature;
	}
	find_ranges(builder, begin, end);
	feature = 0;
	for (int i = 0; i < builder->forest->width; i++)
		differing += builder->minima[i] < builder->maxima[i];
	if (differing == 0)
		return LEAF;

	chosen = (int) next_below(builder, (uint64_t) differing);
	while (!(builder->minima[feature] < builder->maxima[feature]) || chosen-- > 0)
		feature++;
	return feature;
}

/* A value from the feature's minimum on and below its maximum, so that both sides get points. */
static double
draw_split(TreeBuilder *builder, int feature)
{
	double		minimum = builder->minima[feature];
	double		maximum = builder->maxima[feature];
	double		split = minimum + next_uniform(builder) * (maximum - minimum);

	return split < maximum ? split : minimum;
}

/* Move the points that go left to the front; returns where the others begin. */
static int
partition(TreeBuilder *builder, int begin, int end, int feature, double split)
{
	const Forest *forest = builder->forest;
	int			border = begin;

	for (int i = begin; i < end; i++)
	{
		int64_t		row = builder->sample[i];

		if (forest->vectors[row * forest->width + feature] <= split)
		{
			builder->sample[i] = builder->sample[border];
			builder->sample[border++] = row;
		}
	}
	return border;
}

/* Build the subtree of sample[begin .. end); at most FOREST_SUBSAMPLE's logarithm deep. */
static void
build_subtree(TreeBuilder *builder, int begin, int end, int depth)
{
	ForestNode *node = &builder->nodes[builder->n_nodes++];
	int			border;

	node->feature = LEAF;
	if (end - begin > 1 && depth < builder->forest->height_limit)
		node->feature = draw_feature(builder, begin, end);
	if (node->feature == LEAF)
	{
		node->value = depth + outlier_expected_path(end - begin);
		return;
	}
	node->value = draw_split(builder, node->feature);
	border = partition(builder, begin, end, node->feature, node->value);
	build_subtree(builder, begin, border, depth + 1);
	node->right = builder->n_nodes;
	build_subtree(builder, border, end, depth + 1);
}

/* Shard function: one tree. */
static void
build_tree(void *argument, int64_t tree, int worker)
{
	const Forest *forest = argument;
	float	   *ranges = forest->ranges + (size_t) worker * 2 * (size_t) forest->width;
	TreeBuilder builder = {
		.forest = forest,
		.nodes = forest->nodes + tree * MOST_NODES,
		.sample = forest->samples + worker * forest->subsample,
		.minima = ranges,
		.maxima = ranges + forest->width,
		.next_draw = (uint64_t) tree << 32
	};

	draw_sample(&builder);
	build_subtree(&builder, 0, forest->subsample, 0);
}

/* How deep a vector falls in one tree. */
static double
path_length(const ForestNode *nodes, const float *vector)
{
	int32_t		node = 0;

	while (nodes[node].feature != LEAF)
		node = vector[nodes[node].feature] <= nodes[node].value ? node + 1 : nodes[node].right;
	return nodes[node].value;
}

/* Shard function: the scores of some rows. */
static void
score_rows(void *argument, int64_t shard, int worker)
{
	const Forest *forest = argument;
	int64_t		end = (shard + 1) * ROWS_PER_SHARD;

	(void) worker;
	for (int64_t row = shard * ROWS_PER_SHARD; row < end && row < forest->n; row++)
	{
		double		paths = 0.0;

		for (int tree = 0; tree < FOREST_TREES; tree++)
			paths += path_length(forest->nodes + tree * MOST_NODES, forest->vectors + row * forest->width);
		forest->scores[row] = exp2(-paths / FOREST_TREES / forest->normal_path);
	}
}

static bool
all_equal(int64_t n, int width, const float *vectors)
{
	for (int64_t i = width; i < n * width; i++)
	{
		if (vectors[i] != vectors[i - width])
			return false;
	}
	return true;
}

/* Grow the trees and score all rows. */
static CoreStatus
run_forest(Core *core, Arena *arena, Forest *forest)
{
	size_t		workers = core->threads > 1 ? (size_t) core->threads : 1;

	forest->nodes = arena_allocate(arena, FOREST_TREES * MOST_NODES, sizeof(ForestNode));
	forest->samples = arena_allocate(arena, workers * (size_t) forest->subsample, sizeof(int64_t));
	forest->ranges = arena_floats(arena, workers * 2 * (size_t) forest->width);
	if (core->status != CORE_OK)
		return core->status;
	core_parallel(core, FOREST_TREES, build_tree, forest);
	return core_parallel(core, (forest->n + ROWS_PER_SHARD - 1) / ROWS_PER_SHARD, score_rows, forest);
}

/* See outlier.h. */
CoreStatus
outlier_scores(Core *core, int64_t n, int width, const float *vectors, uint64_t seed, double *scores)
{
	Forest		forest = {.n = n, .width = width, .vectors = vectors, .seed = seed, .scores = scores};
	Arena		arena;

	if (n < FEWEST_POINTS || all_equal(n, width, vectors))
	{
		for (int64_t i = 0; i < n; i++)
			scores[i] = 0.5;
		return core->status;
	}
	forest.subsample = n < FOREST_SUBSAMPLE ? (int) n : FOREST_SUBSAMPLE;
	forest.height_limit = (int) ceil(log2(forest.subsample));
	forest.normal_path = outlier_expected_path(forest.subsample);

	arena_open(&arena, core);
	core_start_workers(core);
	run_forest(core, &arena, &forest);
	core_stop_workers(core);
	arena_close(&arena);
	return core->status;
}

static double
mean_of(int64_t n, const double *values)
{
	double		sum = 0.0;

	for (int64_t i = 0; i < n; i++)
		sum += values[i];
	return sum / (double) n;
}

/* See outlier.h; both mean-1 scales are (score + shift) / mean of that. */
void
outlier_weights(int64_t n, const double *scores, SeedWeightScale scale, float *weights)
{
	double		minimum = INFINITY;
	double		maximum = -INFINITY;
	double		shift = 0.0;
	double		mean = mean_of(n, scores);

	for (int64_t i = 0; i < n; i++)
	{
		minimum = fmin(minimum, scores[i]);
		maximum = fmax(maximum, scores[i]);
	}

	/* a stretch to [low, high] that is then divided by its mean is a shift divided by its mean */
	if (scale == SEED_WEIGHT_SPREAD)
		shift = SPREAD_LOW * (maximum - minimum) / (SPREAD_HIGH - SPREAD_LOW) - minimum;
	for (int64_t i = 0; i < n; i++)
	{
		if (minimum == maximum)
			weights[i] = 1.0f;
		else if (scale == SEED_WEIGHT_RAW)
			weights[i] = (float) scores[i];
		else
			weights[i] = (float) fmin(fmax((scores[i] + shift) / (mean + shift), LEAST_WEIGHT), GREATEST_WEIGHT);
	}
}
