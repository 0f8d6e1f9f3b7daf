/*
 * direct_term.c
 *		The direct term of the score: conditional logit by Newton's method, and exact ranking with it.
 *
 * There are few numbers to fit (three for each behaviour, and two), and the likelihood is concave, so that
 * Newton's steps, halved where they go too far, end after a few.
 */
#include "core/direct_term.h"

#include <math.h>
#include <string.h>

#include "core/random.h"
#include "core/vectors.h"

#define DRAWN_OBJECTS 512		/* that stand for all objects without a link */
#define MOST_NUMBERS (3 * GRAPH_MOST_TYPES + 2)
#define MOST_STEPS 30
#define PRIOR 0.1				/* precision of the prior around 0, in cases */
#define SMALLEST_GAIN 1e-7		/* of the mean log likelihood, that is worth a step */
#define SPARE_PLACES 8			/* of a list found in single precision */

typedef struct Fit
{
	Core	   *core;
	const Graph *graph;
	const DirectCases *cases;
	const float *vectors;
	int			width;
	DirectTerm	term;
	int			n_numbers;
	int64_t		n;				/* cases taken */
	float	   *logs;			/* node x (types + 1): log(1 + edges), the last of those to be predicted */
	int32_t    *drawn;			/* objects without a link are drawn from these */
	float	   *others;			/* case: log of the sum of exp(S) over objects without a link */
	int64_t    *starts;			/* case: first of its candidates; cases of one user have the same */
	int64_t    *ends;
	int64_t    *entries;		/* candidate: entry in the user's list */
	float	   *similarities;	/* candidate */
} Fit;

/* ---- the value of the term --------------------------------------------------------------- */

void
direct_term_user(const DirectTerm *term, const int64_t *degrees, double *part)
{
	for (int t = 0; t < term->n_types; t++)
		part[t] = term->user_slope[t] * log1p((double) degrees[t]);
}

double
direct_term_value(const DirectTerm *term, uint8_t types, const float *object_numbers,
				  const double *user_part, double similarity)
{
	double		value = object_numbers[term->n_types] + term->scale * similarity;

	if ((types & term->types) == 0)
		return 0;
	for (int t = 0; t < term->n_types; t++)
		if (types & term->types & 1 << t)
			value += object_numbers[t] + user_part[t];
	return value;
}

/* The score without the user's activity, his last number. */
static double
similarity(const float *user, const float *object, int width)
{
	return vectors_dot(user, object, width) - user[width - 1];
}

/* ---- fitting ----------------------------------------------------------------------------- */

/* Edges of each behaviour, and of those to be predicted at counts[n_types]. */
static void
count_types(const Graph *graph, int32_t node, int64_t *counts)
{
	memset(counts, 0, (graph->n_types + 1) * sizeof(int64_t));
	for (int64_t e = graph->offsets[node]; e < graph->offsets[node + 1]; e++)
	{
		for (int t = 0; t < graph->n_types; t++)
			counts[t] += graph->types[e] >> t & 1;
		counts[graph->n_types] += graph_is_predicted(graph, e);
	}
}

static void
take_logs(const Graph *graph, int32_t node, float *logs)
{
	int64_t		counts[GRAPH_MOST_TYPES + 1];

	count_types(graph, node, counts);
	for (int t = 0; t <= graph->n_types; t++)
		logs[t] = (float) log1p((double) counts[t]);
}

/* A link that could still be chosen. */
static bool
is_candidate(const Graph *graph, int64_t e)
{
	return !graph_is_predicted(graph, e);
}

/* Case i of those taken, evenly over all. */
static int64_t
case_number(const Fit *fit, int64_t i)
{
	return fit->cases->n * i / fit->n;
}

static const float *
object_vector(const Fit *fit, int32_t object)
{
	return fit->vectors + (size_t) (fit->graph->n_users + object) * fit->width;
}

/* log of the sum of exp(S) over the objects that nothing joins to the user, from those drawn. */
static float
sum_others(const Fit *fit, int32_t user)
{
	const float *vector = fit->vectors + (size_t) user * fit->width;
	int64_t		others = fit->graph->n_objects - graph_degree(fit->graph, user);
	int			drawn = fit->graph->n_objects < DRAWN_OBJECTS ? fit->graph->n_objects : DRAWN_OBJECTS;
	double		scores[DRAWN_OBJECTS];
	double		highest = -INFINITY;
	double		sum = 0;
	int			n = 0;

	for (int i = 0; i < drawn; i++)
		if (!graph_has_edge(fit->graph, user, fit->drawn[i]))
		{
			scores[n] = similarity(vector, object_vector(fit, fit->drawn[i]), fit->width);
			highest = fmax(highest, scores[n++]);
		}
	if (n == 0 || others <= 0)
		return -1e30f;			/* nothing to choose but links */
	for (int i = 0; i < n; i++)
		sum += exp(scores[i] - highest);
	return (float) (highest + log(sum * others / n));
}

static int32_t
user_of_case(const Fit *fit, int64_t i)
{
	return fit->cases->users[case_number(fit, i)];
}

/* True when the case before is of the same user. */
static bool
repeats_user(const Fit *fit, int64_t i)
{
	return i > 0 && user_of_case(fit, i) == user_of_case(fit, i - 1);
}

/* What each case chooses from. */
static CoreStatus
list_candidates(Fit *fit)
{
	const Graph *graph = fit->graph;
	int64_t		place = 0;

	for (int64_t i = 0; i < fit->n; i++)
	{
		int32_t		user = user_of_case(fit, i);

		fit->starts[i] = repeats_user(fit, i) ? fit->starts[i - 1] : place;
		fit->ends[i] = place;
		if (repeats_user(fit, i))
		{
			fit->others[i] = fit->others[i - 1];
			continue;
		}
		for (int64_t e = graph->offsets[user]; e < graph->offsets[user + 1]; e++)
			if (is_candidate(graph, e))
			{
				fit->entries[place] = e;
				fit->similarities[place++] = (float)
					similarity(fit->vectors + (size_t) user * fit->width,
							   object_vector(fit, graph->neighbours[e] - graph->n_users), fit->width);
			}
		fit->ends[i] = place;
		fit->others[i] = sum_others(fit, user);
		if (!core_continues(fit->core))
			return fit->core->status;
	}
	return CORE_OK;
}

static CoreStatus
open_fit(Fit *fit, Arena *arena, uint64_t seed)
{
	const Graph *graph = fit->graph;
	size_t		columns = graph->n_types + 1;
	int64_t		candidates = 0;
	int			drawn = graph->n_objects < DRAWN_OBJECTS ? graph->n_objects : DRAWN_OBJECTS;

	fit->n = fit->cases->n < DIRECT_CASES ? fit->cases->n : DIRECT_CASES;
	for (int64_t i = 0; i < fit->n; i++)
		if (!repeats_user(fit, i))
			candidates += graph_degree(graph, user_of_case(fit, i)) - graph_predicted_degree(graph, user_of_case(fit, i));
	fit->logs = arena_floats(arena, graph->n_nodes * columns);
	fit->drawn = arena_allocate(arena, drawn, sizeof(int32_t));
	fit->others = arena_floats(arena, fit->n);
	fit->starts = arena_allocate(arena, fit->n, sizeof(int64_t));
	fit->ends = arena_allocate(arena, fit->n, sizeof(int64_t));
	fit->entries = arena_allocate(arena, candidates, sizeof(int64_t));
	fit->similarities = arena_floats(arena, candidates);
	if (arena->core->status != CORE_OK)
		return arena->core->status;
	for (int i = 0; i < drawn; i++)
		fit->drawn[i] = (int32_t) random_place(seed, RANDOM_SAMPLE, graph->n_objects, i);
	for (int32_t v = 0; v < graph->n_nodes; v++)
	{
		take_logs(graph, v, fit->logs + v * columns);
		if (!core_continues(fit->core))
			return fit->core->status;
	}
	return list_candidates(fit);
}

/* What the numbers to be fitted are multiplied by for one candidate. */
static void
candidate_features(const Fit *fit, int32_t user, int64_t candidate, double *x)
{
	const Graph *graph = fit->graph;
	int64_t		e = fit->entries[candidate];
	const float *user_logs = fit->logs + (size_t) user * (graph->n_types + 1);
	const float *object_logs = fit->logs + (size_t) graph->neighbours[e] * (graph->n_types + 1);
	int			n = 0;

	x[n++] = fit->similarities[candidate];
	x[n++] = object_logs[graph->n_types];
	for (int t = 0; t < graph->n_types; t++)
		if (fit->term.types >> t & 1)
		{
			bool		has = graph->types[e] >> t & 1;

			x[n++] = has;
			x[n++] = has ? user_logs[t] : 0;
			x[n++] = has ? object_logs[t] : 0;
		}
}

/* Sums over cases, for one step. */
typedef struct Sums
{
	double		likelihood;
	double		gradient[MOST_NUMBERS];
	double		hessian[MOST_NUMBERS * MOST_NUMBERS];	/* of minus the likelihood */
} Sums;

/* One case's share: the chosen one's features less their expectation, and their covariance. */
static void
add_case(const Fit *fit, int64_t i, const double *numbers, Sums *sums)
{
	int			p = fit->n_numbers;
	int64_t		number = case_number(fit, i);
	int32_t		user = fit->cases->users[number];
	int32_t		chosen = fit->graph->n_users + fit->cases->objects[number];
	double		shift = fit->others[i];
	double		total = 1;		/* of exp(score - shift); the others first */
	double		own = 0;		/* score of what was chosen, when it is a link */
	double		mean[MOST_NUMBERS] = {0};
	double		square[MOST_NUMBERS * MOST_NUMBERS] = {0};

	if (fit->starts[i] == fit->ends[i])
		return;					/* no link, so nothing that depends on the numbers */
	for (int64_t c = fit->starts[i]; c < fit->ends[i]; c++)
	{
		double		x[MOST_NUMBERS];
		double		score = fit->similarities[c];
		double		weight;

		candidate_features(fit, user, c, x);
		for (int j = 0; j < p; j++)
			score += numbers[j] * x[j];
		if (score > shift)		/* keep the largest at exp(0) */
		{
			double		down = exp(shift - score);

			total *= down;
			for (int j = 0; j < p; j++)
				mean[j] *= down;
			for (int j = 0; j < p * p; j++)
				square[j] *= down;
			shift = score;
		}
		weight = exp(score - shift);
		total += weight;
		for (int j = 0; j < p; j++)
		{
			mean[j] += weight * x[j];
			for (int k = 0; k <= j; k++)
				square[j * p + k] += weight * x[j] * x[k];
		}
		if (fit->graph->neighbours[fit->entries[c]] == chosen)
		{
			own = score;
			for (int j = 0; j < p; j++)
				sums->gradient[j] += x[j];
		}
	}
	sums->likelihood += own - shift - log(total);
	for (int j = 0; j < p; j++)
	{
		sums->gradient[j] -= mean[j] / total;
		for (int k = 0; k <= j; k++)
			sums->hessian[j * p + k] += square[j * p + k] / total - mean[j] / total * mean[k] / total;
	}
}

/* Over all cases, with the prior. */
static CoreStatus
add_cases(const Fit *fit, const double *numbers, Sums *sums)
{
	memset(sums, 0, sizeof(*sums));
	for (int64_t i = 0; i < fit->n; i++)
	{
		add_case(fit, i, numbers, sums);
		if (!core_continues(fit->core))
			return fit->core->status;
	}
	for (int j = 0; j < fit->n_numbers; j++)
	{
		sums->likelihood -= PRIOR / 2 * numbers[j] * numbers[j];
		sums->gradient[j] -= PRIOR * numbers[j];
		sums->hessian[j * fit->n_numbers + j] += PRIOR;
	}
	return CORE_OK;
}

/* Solve hessian * step = gradient by Cholesky's factor; the prior keeps it positive definite. */
static void
newton_step(const Fit *fit, const Sums *sums, double *step)
{
	int			p = fit->n_numbers;
	double		factor[MOST_NUMBERS * MOST_NUMBERS];

	for (int j = 0; j < p; j++)
		for (int k = 0; k <= j; k++)
		{
			double		sum = sums->hessian[j * p + k];

			for (int m = 0; m < k; m++)
				sum -= factor[j * p + m] * factor[k * p + m];
			factor[j * p + k] = j == k ? sqrt(fmax(sum, PRIOR * 1e-6)) : sum / factor[k * p + k];
		}
	for (int j = 0; j < p; j++)
	{
		step[j] = sums->gradient[j];
		for (int k = 0; k < j; k++)
			step[j] -= factor[j * p + k] * step[k];
		step[j] /= factor[j * p + j];
	}
	for (int j = p - 1; j >= 0; j--)
	{
		for (int k = j + 1; k < p; k++)
			step[j] -= factor[k * p + j] * step[k];
		step[j] /= factor[j * p + j];
	}
}

/* Newton's steps until they gain nothing. */
static CoreStatus
maximise(const Fit *fit, double *numbers)
{
	Sums		sums;

	if (add_cases(fit, numbers, &sums) != CORE_OK)
		return fit->core->status;
	for (int i = 0; i < MOST_STEPS; i++)
	{
		double		step[MOST_NUMBERS];
		double		tried[MOST_NUMBERS];
		double		before = sums.likelihood;
		double		length = 1;

		newton_step(fit, &sums, step);
		do
		{
			for (int j = 0; j < fit->n_numbers; j++)
				tried[j] = numbers[j] + length * step[j];
			length /= 2;
			if (add_cases(fit, tried, &sums) != CORE_OK)
				return fit->core->status;
		} while (!(sums.likelihood >= before) && length > 1e-4);
		if (!(sums.likelihood >= before))
			break;
		memcpy(numbers, tried, sizeof(tried));
		if (sums.likelihood - before < SMALLEST_GAIN * fit->n)
			break;
	}
	return CORE_OK;
}

/* The numbers found, each in its place. */
static void
set_term(Fit *fit, const double *numbers)
{
	DirectTerm *term = &fit->term;
	int			n = 0;

	term->scale = numbers[n++];
	term->popularity = numbers[n++];
	for (int t = 0; t < fit->graph->n_types; t++)
		if (term->types >> t & 1)
		{
			term->constant[t] = numbers[n++];
			term->user_slope[t] = numbers[n++];
			term->object_slope[t] = numbers[n++];
		}
}

CoreStatus
direct_term_fit(Core *core, const Graph *graph, const DirectCases *cases,
				const float *vectors, int width, uint64_t seed, DirectTerm *term)
{
	uint8_t		all = graph->types == NULL ? 0 : (uint8_t) ((1 << graph->n_types) - 1);
	Fit			fit = {
		.core = core, .graph = graph, .cases = cases, .vectors = vectors, .width = width,
		.term = {.n_types = graph->n_types, .types = all & ~graph->predicted},
	};
	double		numbers[MOST_NUMBERS] = {0};
	Arena		arena;

	*term = (DirectTerm) {0};
	if (fit.term.types == 0 || cases->n == 0)
		return CORE_OK;
	fit.n_numbers = 2 + 3 * __builtin_popcount(fit.term.types);
	arena_open(&arena, core);
	if (open_fit(&fit, &arena, seed) == CORE_OK && maximise(&fit, numbers) == CORE_OK)
	{
		set_term(&fit, numbers);
		*term = fit.term;
	}
	arena_close(&arena);
	return core->status;
}

void
direct_term_object(const DirectTerm *term, const Graph *graph, int32_t node, float *numbers)
{
	float		logs[GRAPH_MOST_TYPES + 1];

	take_logs(graph, node, logs);
	for (int t = 0; t < term->n_types; t++)
		numbers[t] = (float) (term->constant[t] + term->object_slope[t] * logs[t]);
	numbers[term->n_types] = (float) (term->popularity * logs[term->n_types]);
}

void
direct_term_objects(const DirectTerm *term, const Graph *graph, float *numbers)
{
	for (int32_t object = 0; object < graph->n_objects; object++)
		direct_term_object(term, graph, graph->n_users + object,
						   numbers + (size_t) object * DIRECT_OBJECT_NUMBERS(term->n_types));
}

double
direct_term_bytes(double n_nodes, double n_links, double n_users, double n_cases)
{
	double		cases = fmin(n_cases, DIRECT_CASES);

	return 4 * n_nodes * (GRAPH_MOST_TYPES + 1) + 20 * cases + 12 * n_links * fmin(1, cases / fmax(n_users, 1));
}

/* ---- ranking ------------------------------------------------------------------------------- */

/* What ranking works in. */
typedef struct RankingScratch
{
	int			places;			/* of a list in single precision */
	int32_t    *masked;			/* objects that are joined to the users in any way */
	int64_t    *masked_starts;
	int32_t    *top;			/* n x places */
	float	   *rough;
	double	   *scores;
} RankingScratch;

/* Put an object into a list that is sorted, when it belongs there. */
static void
insert_object(int k, int32_t *objects, double *scores, int32_t object, double score)
{
	int			place = k;

	while (place > 0 && (objects[place - 1] < 0 || score > scores[place - 1] ||
						 (score == scores[place - 1] && object < objects[place - 1])))
		place--;
	if (place == k)
		return;
	memmove(objects + place + 1, objects + place, (k - 1 - place) * sizeof(int32_t));
	memmove(scores + place + 1, scores + place, (k - 1 - place) * sizeof(double));
	objects[place] = object;
	scores[place] = score;
}

/* The list of one user: what nothing joins him to, as found, and each of his links. */
static void
merge_links(const DirectRanking *ranking, int32_t user, int k, const RankingScratch *scratch, int32_t row,
			int32_t *objects, double *scores)
{
	const Graph *links = ranking->links;
	const DirectTerm *term = ranking->term;
	int			width = ranking->users.width;
	const float *vector = ranking->users.values + (size_t) user * width;
	int64_t		counts[GRAPH_MOST_TYPES + 1];
	double		part[GRAPH_MOST_TYPES];

	count_types(links, user, counts);
	direct_term_user(term, counts, part);
	for (int i = 0; i < k; i++)
	{
		objects[i] = scratch->top[(size_t) row * scratch->places + i];
		scores[i] = objects[i] < 0 ? -INFINITY : scratch->scores[(size_t) row * scratch->places + i];
	}
	for (int64_t e = links->offsets[user]; e < links->offsets[user + 1]; e++)
	{
		int32_t		object = links->neighbours[e] - links->n_users;
		const float *other = ranking->objects.values + (size_t) object * width;
		double		score = vectors_dot(vector, other, width);

		if (links->types[e] & ranking->excluded)
			continue;
		score += direct_term_value(term, links->types[e], ranking->object_numbers +
								   (size_t) object * DIRECT_OBJECT_NUMBERS(term->n_types), part,
								   score - vector[width - 1]);
		insert_object(k, objects, scores, object, score);
	}
}

static CoreStatus
open_scratch(RankingScratch *scratch, Arena *arena, const DirectRanking *ranking, int32_t first, int32_t n, int k)
{
	const Graph *links = ranking->links;
	int64_t		base = links->offsets[first];
	int64_t		edges = links->offsets[first + n] - base;

	scratch->places = k + SPARE_PLACES;
	scratch->masked = arena_allocate(arena, edges, sizeof(int32_t));
	scratch->masked_starts = arena_allocate(arena, (size_t) n + 1, sizeof(int64_t));
	scratch->top = arena_allocate(arena, (size_t) n * scratch->places, sizeof(int32_t));
	scratch->rough = arena_floats(arena, (size_t) n * scratch->places);
	scratch->scores = arena_doubles(arena, (size_t) n * scratch->places);
	if (arena->core->status != CORE_OK)
		return arena->core->status;
	for (int32_t u = 0; u <= n; u++)
		scratch->masked_starts[u] = links->offsets[first + u] - base;
	for (int64_t i = 0; i < edges; i++)
		scratch->masked[i] = links->neighbours[base + i] - links->n_users;
	return CORE_OK;
}

CoreStatus
direct_term_top(Core *core, const DirectRanking *ranking, int32_t first, int32_t n, int k,
				int32_t *top_objects, double *scores)
{
	Vectors		users = {n, ranking->users.width, ranking->users.values + (size_t) first * ranking->users.width};
	RankingScratch scratch;
	Arena		arena;

	arena_open(&arena, core);
	if (open_scratch(&scratch, &arena, ranking, first, n, k) == CORE_OK &&
		ranking_top(core, &arena, &users, &ranking->objects, &(Lists) {scratch.masked_starts, scratch.masked},
					scratch.places, scratch.top, scratch.rough) == CORE_OK)
	{
		ranking_refine(&users, &ranking->objects, scratch.places, scratch.top, scratch.scores);
		for (int32_t u = 0; u < n && core_continues(core); u++)
			merge_links(ranking, first + u, k, &scratch, u, top_objects + (size_t) u * k, scores + (size_t) u * k);
	}
	arena_close(&arena);
	return core->status;
}
