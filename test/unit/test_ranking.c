/*
 * test_ranking.c
 *		Exact top-k against a full sort, and the metrics against figures by hand.
 */
#include "samples.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/ranking.h"

typedef struct Case
{
	TestHost	host;
	Arena		arena;
	Vectors		queries;
	Vectors		objects;
	Lists		masked;
	int			k;
	int32_t    *top_objects;
	float	   *top_scores;
} Case;

/* Small whole numbers: products and sums are exact in any order, and many scores tie. */
static const float *
whole_numbers(Arena *arena, size_t n, uint64_t seed)
{
	float	   *values = arena_floats(arena, n);

	for (size_t i = 0; i < n; i++)
		values[i] = (float) random_below(seed, RANDOM_TEST, i, 5) - 2;
	return values;
}

/* About a fifth of the objects of each query, none of every third query. */
static Lists
draw_mask(Arena *arena, int64_t queries, int64_t objects, double share)
{
	int64_t    *starts = arena_allocate(arena, queries + 1, sizeof(int64_t));
	int32_t    *items = arena_allocate(arena, queries * objects, sizeof(int32_t));

	starts[0] = 0;
	for (int64_t q = 0; q < queries; q++)
	{
		starts[q + 1] = starts[q];
		for (int64_t o = 0; o < objects; o++)
			if (q % 3 != 0 && random_uniform(9, RANDOM_TEST, q * objects + o) < share)
				items[starts[q + 1]++] = (int32_t) o;
	}
	return (Lists) {starts, items};
}

static void
open_case(Case *c, int64_t queries, int64_t objects, int width, int k, double masked_share, int threads)
{
	host_open(&c->host, threads);
	arena_open(&c->arena, &c->host.core);
	c->queries = (Vectors) {queries, width, whole_numbers(&c->arena, queries * width, 1)};
	c->objects = (Vectors) {objects, width, whole_numbers(&c->arena, objects * width, 2)};
	c->masked = draw_mask(&c->arena, queries, objects, masked_share);
	c->k = k;
	c->top_objects = arena_allocate(&c->arena, queries * k, sizeof(int32_t));
	c->top_scores = arena_floats(&c->arena, queries * k);
}

static void
rank(Case *c, bool with_mask)
{
	assert_int_equal(ranking_top(&c->host.core, &c->arena, &c->queries, &c->objects,
								 with_mask ? &c->masked : NULL, c->k, c->top_objects, c->top_scores), CORE_OK);
}

static void
close_case(Case *c)
{
	arena_close(&c->arena);
	host_assert_clean(&c->host);
}

typedef struct Scored
{
	int32_t		object;
	float		score;
} Scored;

static int
better_first(const void *a, const void *b)
{
	const Scored *x = a;
	const Scored *y = b;

	if (x->score != y->score)
		return x->score < y->score ? 1 : -1;
	return x->object - y->object;
}

static bool
is_masked(const Case *c, int64_t query, int32_t object)
{
	for (int64_t i = c->masked.starts[query]; i < c->masked.starts[query + 1]; i++)
		if (c->masked.items[i] == object)
			return true;
	return false;
}

/* Score all, sort all. */
static int64_t
sort_all(const Case *c, int64_t query, bool with_mask, Scored *sorted)
{
	int64_t		n = 0;

	for (int32_t o = 0; o < c->objects.count; o++)
	{
		float		score = 0;

		if (with_mask && is_masked(c, query, o))
			continue;
		for (int d = 0; d < c->queries.width; d++)
			score += c->queries.values[query * c->queries.width + d] *
				c->objects.values[(int64_t) o * c->objects.width + d];
		sorted[n++] = (Scored) {o, score};
	}
	qsort(sorted, n, sizeof(Scored), better_first);
	return n;
}

static void
assert_is_a_full_sort(const Case *c, bool with_mask)
{
	Scored	   *sorted = malloc((c->objects.count + 1) * sizeof(Scored));

	for (int64_t q = 0; q < c->queries.count; q++)
	{
		int64_t		n = sort_all(c, q, with_mask, sorted);

		for (int i = 0; i < c->k; i++)
		{
			assert_int_equal(c->top_objects[q * c->k + i], i < n ? sorted[i].object : -1);
			assert_true(c->top_scores[q * c->k + i] == (i < n ? sorted[i].score : -INFINITY));
		}
	}
	free(sorted);
}

typedef struct Size
{
	int64_t		queries;
	int64_t		objects;
	int			width;
	int			k;
	double		masked_share;
} Size;

/* One block and several, one panel and several, fewer objects than places, all masked. */
static const Size sizes[] = {
	{1, 1, 1, 1, 0.2}, {3, 50, 4, 10, 0.2}, {130, 33, 3, 20, 0.2}, {5, 5000, 5, 20, 0.2},
	{300, 2049, 2, 3, 0.2}, {7, 4, 3, 9, 0.2}, {6, 40, 3, 10, 1.1}, {4, 0, 3, 2, 0}, {0, 10, 3, 2, 0},
};

static void
top_is_a_full_sort_with_ties(void **state)
{
	(void) state;
	for (size_t i = 0; i < 4 * sizeof(sizes) / sizeof(sizes[0]); i++)
	{
		const Size *size = &sizes[i / 4];
		Case		c;

		open_case(&c, size->queries, size->objects, size->width, size->k, size->masked_share, 2);
		c.host.core.portable = i & 2;
		rank(&c, i & 1);
		assert_is_a_full_sort(&c, i & 1);
		close_case(&c);
	}
}

/* Real numbers, whose sums round: still the same bytes with any number of threads. */
static void
top_does_not_depend_on_threads(void **state)
{
	Case		one,
				other;

	(void) state;
	open_case(&one, 500, 3000, 17, 20, 0.1, 1);
	sample_numbers((float *) one.queries.values, 500 * 17, 3);
	sample_numbers((float *) one.objects.values, 3000 * 17, 4);
	rank(&one, true);
	for (int threads = 2; threads <= 4; threads++)
	{
		open_case(&other, 500, 3000, 17, 20, 0.1, threads);
		sample_numbers((float *) other.queries.values, 500 * 17, 3);
		sample_numbers((float *) other.objects.values, 3000 * 17, 4);
		rank(&other, true);
		assert_memory_equal(one.top_objects, other.top_objects, 500 * 20 * sizeof(int32_t));
		assert_memory_equal(one.top_scores, other.top_scores, 500 * 20 * sizeof(float));
		close_case(&other);
	}
	close_case(&one);
}

static CoreStatus
rank_something(Core *core, Arena *arena, void *argument)
{
	Vectors		queries = {400, 3, argument};
	Vectors		objects = {300, 3, argument};
	int32_t		top_objects[400 * 5];
	float		top_scores[400 * 5];

	return ranking_top(core, arena, &queries, &objects, NULL, 5, top_objects, top_scores);
}

static void
ranking_survives_every_failure(void **state)
{
	float		values[400 * 3];

	(void) state;
	sample_numbers(values, 400 * 3, 5);
	scenario_survives(rank_something, values, 1);
}

/* ---- metrics -------------------------------------------------------------------------------- */

/*
 * Four users, k = 3.  The first has 2 of 2 at places 1 and 3, the second 1 of 4 at place 2,
 * the third none of 1, the fourth nothing to find.
 */
static void
quality_is_what_a_hand_computes(void **state)
{
	const int32_t top[] = {5, 1, 7, 2, 4, -1, 0, 1, 2, 3, 4, 5};
	const int64_t starts[] = {0, 2, 6, 7, 7};
	const int32_t items[] = {5, 7, 1, 3, 4, 9, 8};
	double		first = (1 + 0.5) / (1 + 1 / log2(3));
	double		second = 1 / log2(3) / (1 + 1 / log2(3) + 0.5);
	RankingQuality quality;

	(void) state;
	ranking_quality(4, 3, top, &(Lists) {starts, items}, &quality);
	assert_int_equal(quality.users, 3);
	assert_close(quality.recall, (1 + 0.25 + 0) / 3, 1e-12);
	assert_close(quality.precision, (2.0 / 3 + 1.0 / 3 + 0) / 3, 1e-12);
	assert_close(quality.hit_rate, 2.0 / 3, 1e-12);
	assert_close(quality.ndcg, (first + second) / 3, 1e-12);
	/* recall 1, 0.25, 0: mean 5/12, variance (1 + 1/16)/3 - 25/144 */
	assert_close(quality.recall_error, sqrt(((1 + 1.0 / 16) / 3 - 25.0 / 144) / 3), 1e-12);
	assert_close(quality.ndcg_error,
				 sqrt(((first * first + second * second) / 3 - pow((first + second) / 3, 2)) / 3), 1e-12);
}

static void
perfect_ranking_has_quality_one(void **state)
{
	const int32_t top[] = {1, 2, 3, 4, 8, 9, -1, -1};
	const int64_t starts[] = {0, 5, 7};
	const int32_t items[] = {1, 2, 3, 4, 5, 8, 9};	/* more than k relevant; fewer */
	RankingQuality quality;

	(void) state;
	ranking_quality(2, 4, top, &(Lists) {starts, items}, &quality);
	assert_close(quality.ndcg, 1, 1e-12);
	assert_close(quality.recall, (4.0 / 5 + 1) / 2, 1e-12);
	assert_close(quality.hit_rate, 1, 1e-12);
	assert_close(quality.ndcg_error, 0, 1e-7);
}

/* Nothing to find: no users, and no number that would pass for a result. */
static void
quality_of_nothing_is_not_a_number(void **state)
{
	const int32_t top[] = {1, 2};
	const int64_t starts[] = {0, 0};
	RankingQuality quality;

	(void) state;
	ranking_quality(1, 2, top, &(Lists) {starts, top}, &quality);
	assert_int_equal(quality.users, 0);
	assert_true(isnan(quality.recall));
	assert_true(isnan(quality.ndcg));
}

/* In double precision, best first, ties by the smaller number, empty places last. */
static void
refined_lists_are_in_order(void **state)
{
	const float query[] = {1, 1e-4f};
	const float values[] = {1, 2e-4f, 3, 0, 1, 3e-4f, 3, 0};
	int32_t		top[] = {0, 2, 3, 1, -1};
	const int32_t expected[] = {1, 3, 2, 0, -1};
	double		scores[5];

	(void) state;
	ranking_refine(&(Vectors) {1, 2, query}, &(Vectors) {4, 2, values}, 5, top, scores);
	assert_memory_equal(top, expected, sizeof(top));
	assert_true(scores[0] == 3 && scores[1] == 3 && scores[2] > scores[3]);
	assert_close(scores[3], 1 + (double) 1e-4f * (double) 2e-4f, 1e-15);
	assert_true(scores[4] == -INFINITY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(top_is_a_full_sort_with_ties),
		cmocka_unit_test(top_does_not_depend_on_threads),
		cmocka_unit_test(ranking_survives_every_failure),
		cmocka_unit_test(quality_is_what_a_hand_computes),
		cmocka_unit_test(perfect_ranking_has_quality_one),
		cmocka_unit_test(quality_of_nothing_is_not_a_number),
		cmocka_unit_test(refined_lists_are_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
