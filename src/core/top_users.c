/*
 * top_users.c
 *		The best users for each of many models, from users that stream by in panels.
 */
#include "core/top_users.h"

#include <cblas.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "core/kernels.h"
#include "core/vectors.h"

/* Their scores, weights and vectors stay in a cache of half a megabyte together. */
#define BLOCK_MODELS 128
#define BLOCK_USERS 256
#define PREFETCH_USERS 8
#define SLICE_USERS 4096		/* of a panel between two looks whether to stop */

#define LIST_SAMPLE 32			/* scores of a full list that tell where to cut it */
#define SHORT 12				/* what is sorted by insertion */

/* The first panel is begun with scores that a sample of it says the best are above. */
#define SAMPLE_USERS 4096		/* at most about so many, every eighth user at most */
#define SAMPLE_LEAST_STEP 8
#define SAMPLE_DEVIATIONS 4.0	/* of the number above, so that it is rarely too small */

/* One panel and the scratch space of the workers. */
typedef struct PanelTask
{
	TopUsers   *top;
	const Kernels *kernels;
	const Vectors *panel;
	int64_t		first;			/* number of its first user */
	const int32_t *known;
	double		longest;		/* length of a vector of the panel */
	float	   *scores;			/* for each worker BLOCK_MODELS x BLOCK_USERS */
	int32_t    *positions;		/* for each worker BLOCK_USERS */
	int64_t		begin;			/* of the slice at hand */
	int64_t		end;
	bool		again;			/* only the models whose first list came out short */
} PanelTask;

/* Some users of the first panel, at equal distances. */
typedef struct Sample
{
	PanelTask	task;			/* its panel is the sample */
	Vectors		users;
	int64_t		rank;			/* of the score that is taken for the least */
} Sample;

CoreStatus
top_users_open(TopUsers *top, Core *core, Arena *arena, int n_models, const Student *const *models,
			   int64_t size, const Dictionary *keys, const Lists *excluded)
{
	int			width = n_models > 0 ? models[0]->widths[0] : 0;

	*top = (TopUsers) {
		.core = core, .arena = arena, .n_models = n_models, .width = width, .models = models,
		.keys = keys, .excluded = excluded
	};
	top->lists = arena_allocate_zeroed(arena, n_models, sizeof(TopList));
	top->weights = arena_allocate_zeroed(arena, (size_t) n_models * width, sizeof(float));
	top->lengths = arena_doubles(arena, n_models);
	for (int m = 0; m < n_models && core->status == CORE_OK; m++)
	{
		if (models[m]->widths[0] != width)
			return core_fail(core, CORE_INVALID, "model %d takes %d numbers, the first takes %d", m + 1,
							 models[m]->widths[0], width);
		top->lists[m] = (TopList) {.size = size, .least = -INFINITY};
		top->lists[m].users = arena_allocate(arena, 2 * (size_t) size, sizeof(TopUser));
		if (models[m]->n_layers == 1)
			memcpy(top->weights + (size_t) m * width, models[m]->parameters, width * sizeof(float));
		top->lengths[m] = sqrt(vectors_dot(top->weights + (size_t) m * width,
										   top->weights + (size_t) m * width, width));
	}
	return core->status;
}

/* Key order of two users. */
static bool
key_before(const Dictionary *keys, int64_t a, int64_t b)
{
	Key			x = dictionary_key(keys, (int32_t) a);
	Key			y = dictionary_key(keys, (int32_t) b);
	int			order;

	if (keys->kind == KEY_INTEGER)
		return x.integer < y.integer;
	order = memcmp(x.bytes, y.bytes, x.length < y.length ? x.length : y.length);
	return order != 0 ? order < 0 : x.length < y.length;
}

static bool
is_better(const TopUsers *top, const TopUser *a, const TopUser *b)
{
	return a->score != b->score ? a->score > b->score : key_before(top->keys, a->user, b->user);
}

/*
 * Move the better of users[first .. last] than the middle one to the front; returns its place.
 * Who is better is as good as random, so it is counted instead of jumped upon.
 */
static int64_t
part_users(const TopUsers *top, TopUser *users, int64_t first, int64_t last)
{
	TopUser		middle = users[first + (last - first) / 2];
	int64_t		border = first;

	users[first + (last - first) / 2] = users[last];
	for (int64_t i = first; i < last; i++)
	{
		TopUser		user = users[i];
		bool		better = user.score > middle.score;

		if (user.score == middle.score)
			better = key_before(top->keys, user.user, middle.user);
		users[i] = users[border];
		users[border] = user;
		border += better;
	}
	users[last] = users[border];
	users[border] = middle;
	return border;
}

/* Cut a list to its best: quickselect, so that a user costs little more than being copied. */
static void
cut_list(const TopUsers *top, TopList *list)
{
	int64_t		first = 0;
	int64_t		last = list->n - 1;

	if (list->n <= list->size)
		return;
	while (first < last)
	{
		int64_t		border = part_users(top, list->users, first, last);

		if (border == list->size - 1)
			break;
		if (border < list->size - 1)
			first = border + 1;
		else
			last = border - 1;
	}
	list->n = list->size;
	list->least = list->users[list->size - 1].score;
}

/* Scores that every so many users of a full list have, best first. */
static void
sample_scores(const TopList *list, double *scores)
{
	for (int i = 0; i < LIST_SAMPLE; i++)
	{
		double		score = list->users[list->n * i / LIST_SAMPLE].score;
		int			place = i;

		for (; place > 0 && scores[place - 1] < score; place--)
			scores[place] = scores[place - 1];
		scores[place] = score;
	}
}

/* Drop those below a score unless too few would stay, or none would go. */
static bool
drop_below(TopList *list, double score)
{
	int64_t		staying = 0;
	int64_t		n = 0;

	for (int64_t i = 0; i < list->n; i++)
		staying += list->users[i].score >= score;
	if (staying < list->size || staying == list->n)
		return false;
	for (int64_t i = 0; i < list->n; i++)
	{
		list->users[n] = list->users[i];
		n += list->users[i].score >= score;
	}
	list->n = n;
	list->least = score;
	return true;
}

/* Make room in a full list: a little more than the best stay, which a sample is enough for. */
static void
shorten_list(const TopUsers *top, TopList *list)
{
	double		scores[LIST_SAMPLE];

	sample_scores(list, scores);
	for (int i = LIST_SAMPLE / 2 + 2; i < LIST_SAMPLE; i += LIST_SAMPLE / 8)
		if (drop_below(list, scores[i]))
			return;
	cut_list(top, list);
}

/* Put a user into the list if he may belong there. */
static void
offer(const TopUsers *top, TopList *list, TopUser user)
{
	if (!(user.score >= list->least))
		return;					/* or not a number */
	list->users[list->n++] = user;
	if (list->n == 2 * list->size)
		shorten_list(top, list);
}

/* Ask early for the list of models that leave a user out: they stand anywhere. */
static void
prefetch_excluded(const Lists *excluded, int32_t known)
{
	if (known >= 0)
		__builtin_prefetch(&excluded->items[excluded->starts[known]]);
}

/* Take the scores of a block from models that leave a user out. */
static void
mask_block(const PanelTask *task, int first_model, int models, int64_t begin, int users, float *scores)
{
	const Lists *excluded = task->top->excluded;

	if (excluded == NULL || task->known == NULL)
		return;
	for (int u = 0; u < users; u++)
	{
		int32_t		known = task->known[begin + u];

		if (u + PREFETCH_USERS < users)
			prefetch_excluded(excluded, task->known[begin + u + PREFETCH_USERS]);
		for (int64_t i = known < 0 ? 0 : excluded->starts[known]; known >= 0 && i < excluded->starts[known + 1]; i++)
		{
			int			m = excluded->items[i] - first_model;

			if (m >= models)
				break;
			if (m >= 0)
				scores[(size_t) m * users + u] = -INFINITY;
		}
	}
}

/*
 * What an sgemm score must be above, less what rounding may have taken from it; the offset
 * is not in the score.
 */
static float
least_score(const PanelTask *task, int model)
{
	const TopUsers *top = task->top;
	const TopList *list = &top->lists[model];
	double		offset = top->models[model]->parameters[top->width];
	double		slack = top->width * FLT_EPSILON * top->lengths[model] * task->longest;

	if (top->models[model]->n_layers > 1 || !isfinite(list->least))
		return -FLT_MAX;		/* all but those that are left out */
	return (float) (list->least - offset - 2 * slack - FLT_EPSILON * (fabs(list->least) + fabs(offset)) - FLT_MIN);
}

/* Offer the users of a block that one model's scores leave in the race. */
static void
take_row(const PanelTask *task, int model, int64_t begin, int users, const float *row, int32_t *positions)
{
	const TopUsers *top = task->top;
	int			found = task->kernels->above(row, users, least_score(task, model), positions);

	for (int f = 0; f < found; f++)
	{
		int64_t		i = begin + positions[f];
		double		score = student_logit(top->models[model], task->panel->values + i * top->width);

		offer(top, &top->lists[model], (TopUser) {score, task->first + i});
	}
}

/* Scores of a block, without offsets; users who are left out have none. */
static void
score_block(const PanelTask *task, int first, int models, int64_t begin, int users, float *scores)
{
	int			width = task->top->width;

	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, models, users, width, 1,
				task->top->weights + (size_t) first * width, width,
				task->panel->values + begin * width, width, 0, scores, users);
	mask_block(task, first, models, begin, users, scores);
}

/* The users of the slice for some models. */
static void
rank_slice(const PanelTask *task, int first, int models, int worker)
{
	float	   *scores = task->scores + (size_t) worker * BLOCK_MODELS * BLOCK_USERS;
	int32_t    *positions = task->positions + (size_t) worker * BLOCK_USERS;

	for (int64_t begin = task->begin; begin < task->end; begin += BLOCK_USERS)
	{
		int			users = (int) (task->end - begin < BLOCK_USERS ? task->end - begin : BLOCK_USERS);

		score_block(task, first, models, begin, users, scores);
		for (int m = 0; m < models; m++)
			take_row(task, first + m, begin, users, scores + (size_t) m * users, positions);
	}
}

/* How many models the block with this number has. */
static int
block_models(const TopUsers *top, int64_t block)
{
	int64_t		left = top->n_models - block * BLOCK_MODELS;

	return (int) (left < BLOCK_MODELS ? left : BLOCK_MODELS);
}

/* Shard function: the slice for one block of models. */
static void
rank_models(void *argument, int64_t shard, int worker)
{
	const PanelTask *task = argument;
	int			first = (int) shard * BLOCK_MODELS;
	int			models = block_models(task->top, shard);

	if (!task->again)
		rank_slice(task, first, models, worker);
	for (int m = first; m < first + models && task->again; m++)
		if (task->top->lists[m].again)
			rank_slice(task, m, 1, worker);
}

static int64_t
count_blocks(const TopUsers *top)
{
	return (top->n_models + BLOCK_MODELS - 1) / BLOCK_MODELS;
}

static CoreStatus
rank_panel(PanelTask *task)
{
	Core	   *core = task->top->core;

	for (task->begin = 0; task->begin < task->panel->count && core->status == CORE_OK; task->begin = task->end)
	{
		task->end = task->begin + SLICE_USERS;
		if (task->end > task->panel->count)
			task->end = task->panel->count;
		core_parallel(core, count_blocks(task->top), rank_models, task);
	}
	return core->status;
}

/* ---- where the first lists begin ------------------------------------------------------------ */

/* Of the n scores the one with this rank, 1 = best; their order changes. */
static float
score_of_rank(float *scores, int64_t n, int64_t rank)
{
	int64_t		first = 0;
	int64_t		last = n - 1;

	while (first < last)
	{
		float		middle = scores[first + (last - first) / 2];
		int64_t		border = first;

		scores[first + (last - first) / 2] = scores[last];
		for (int64_t i = first; i < last; i++)
		{
			float		score = scores[i];

			scores[i] = scores[border];
			scores[border] = score;
			border += score > middle;
		}
		scores[last] = scores[border];
		scores[border] = middle;
		if (border == rank - 1)
			break;
		if (border < rank - 1)
			first = border + 1;
		else
			last = border - 1;
	}
	return scores[rank - 1];
}

/* Shard function: where the lists of a block of models begin. */
static void
guess_models(void *argument, int64_t shard, int worker)
{
	const Sample *sample = argument;
	const TopUsers *top = sample->task.top;
	int			users = (int) sample->users.count;
	int			step = BLOCK_MODELS * BLOCK_USERS / users;
	int			end = (int) shard * BLOCK_MODELS + block_models(top, shard);
	float	   *scores = sample->task.scores + (size_t) worker * BLOCK_MODELS * BLOCK_USERS;

	for (int first = (int) shard * BLOCK_MODELS; first < end; first += step)
	{
		int			models = end - first < step ? end - first : step;

		score_block(&sample->task, first, models, 0, users, scores);
		for (int m = first; m < first + models; m++)
		{
			double		least = score_of_rank(scores + (size_t) (m - first) * users, users, sample->rank);

			if (top->models[m]->n_layers == 1 && isfinite(least))
				top->lists[m].least = least + top->models[m]->parameters[top->width];
		}
	}
}

/*
 * Begin the lists with a score that more than enough users of the panel are above, by what a
 * sample of them says; without it the first users would all be offered.
 */
static CoreStatus
guess_least(const PanelTask *task)
{
	TopUsers   *top = task->top;
	int64_t		step = task->panel->count / SAMPLE_USERS > SAMPLE_LEAST_STEP ?
		task->panel->count / SAMPLE_USERS : SAMPLE_LEAST_STEP;
	int64_t		n = task->panel->count / step;
	double		expected = top->n_models > 0 ? (double) top->lists[0].size / (double) step : 0;
	Sample		sample = {.task = *task};
	float	   *vectors;
	int32_t    *known;

	sample.rank = (int64_t) (expected + SAMPLE_DEVIATIONS * sqrt(expected) + SAMPLE_DEVIATIONS);
	if (sample.rank > n / 2 || n > BLOCK_MODELS * BLOCK_USERS)
		return top->core->status;
	vectors = arena_floats(top->arena, (size_t) n * top->width);
	known = arena_allocate(top->arena, (size_t) n, sizeof(int32_t));
	if (top->core->status != CORE_OK)
		return top->core->status;
	for (int64_t i = 0; i < n; i++)
	{
		memcpy(vectors + i * top->width, task->panel->values + i * step * top->width,
			   top->width * sizeof(float));
		known[i] = task->known == NULL ? -1 : task->known[i * step];
	}
	sample.users = (Vectors) {n, top->width, vectors};
	sample.task.panel = &sample.users;
	sample.task.known = known;
	core_parallel(top->core, count_blocks(top), guess_models, &sample);
	arena_release(top->arena, known);
	arena_release(top->arena, vectors);
	return top->core->status;
}

/* Rank the first panel; a list that comes out short began too high and is made again. */
static CoreStatus
rank_first_panel(PanelTask *task)
{
	TopUsers   *top = task->top;

	if (guess_least(task) != CORE_OK || rank_panel(task) != CORE_OK)
		return top->core->status;
	for (int m = 0; m < top->n_models; m++)
	{
		TopList    *list = &top->lists[m];

		list->again = list->n < list->size && isfinite(list->least);
		if (!list->again)
			continue;
		list->n = 0;
		list->least = -INFINITY;
		task->again = true;
	}
	return task->again ? rank_panel(task) : top->core->status;
}

CoreStatus
top_users_add(TopUsers *top, const Vectors *panel, int64_t first, const int32_t *known)
{
	PanelTask	task = {
		.top = top, .kernels = kernels_select(top->core->portable), .panel = panel, .first = first, .known = known
	};
	size_t		workers = top->core->threads > 1 ? (size_t) top->core->threads : 1;

	task.scores = arena_floats(top->arena, workers * BLOCK_MODELS * BLOCK_USERS);
	task.positions = arena_allocate(top->arena, workers * BLOCK_USERS, sizeof(int32_t));
	if (top->core->status != CORE_OK)
		return top->core->status;
	for (int64_t i = 0; i < panel->count; i++)
		task.longest = fmax(task.longest, vectors_dot(panel->values + i * panel->width,
													  panel->values + i * panel->width, panel->width));
	task.longest = sqrt(task.longest);
	if (first == 0)
		rank_first_panel(&task);
	else
		rank_panel(&task);
	arena_release(top->arena, task.scores);
	arena_release(top->arena, task.positions);
	return top->core->status;
}

/* Bring users[first .. last] in order: quicksort. */
static void
sort_users(const TopUsers *top, TopUser *users, int64_t first, int64_t last)
{
	while (last - first >= SHORT)
	{
		int64_t		border = part_users(top, users, first, last);

		if (border - first < last - border)
		{
			sort_users(top, users, first, border - 1);
			first = border + 1;
		}
		else
		{
			sort_users(top, users, border + 1, last);
			last = border - 1;
		}
	}
	for (int64_t i = first + 1; i <= last; i++)
	{
		TopUser		user = users[i];
		int64_t		place = i;

		for (; place > first && is_better(top, &user, &users[place - 1]); place--)
			users[place] = users[place - 1];
		users[place] = user;
	}
}

/* Shard function: one list cut and in order. */
static void
order_list(void *argument, int64_t model, int worker)
{
	const TopUsers *top = argument;
	TopList    *list = &top->lists[model];

	(void) worker;
	cut_list(top, list);
	sort_users(top, list->users, 0, list->n - 1);
}

CoreStatus
top_users_finish(TopUsers *top)
{
	return core_parallel(top->core, top->n_models, order_list, top);
}
