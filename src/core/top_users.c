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

/* Whole numbers of 128 models and of some users stay in the nearest cache together. */
#define BLOCK_MODELS 128
#define BLOCK_USERS 256			/* between two looks at what a list's least score is */
#define SLICE_USERS 2048		/* of a panel between two looks whether to stop; in half a megabyte */

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
	float	   *scores;			/* of the sample: for each worker BLOCK_MODELS x BLOCK_USERS */
	ScreenedPair *found;		/* for each worker as many */
	ScreenRows	users;			/* of the slice at hand ... */
	int64_t		begin;			/* ... and which it is */
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
	top->screened = screen_rows_open(arena, n_models, width, SCREEN_MODELS);
	for (int m = 0; m < n_models && core->status == CORE_OK; m++)
	{
		if (models[m]->widths[0] != width)
			return core_fail(core, CORE_INVALID, "model %d takes %d numbers, the first takes %d", m + 1,
							 models[m]->widths[0], width);
		top->lists[m] = (TopList) {.size = size, .least = -INFINITY};
		top->lists[m].users = arena_allocate(arena, 2 * (size_t) size, sizeof(TopUser));
		if (models[m]->n_layers == 1)
			memcpy(top->weights + (size_t) m * width, models[m]->parameters, width * sizeof(float));
	}
	if (core->status == CORE_OK)
		screen_rows_fill(&top->screened, kernels_select(core->portable), &(Vectors) {n_models, width, top->weights}, 0);
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
	if (!(user.score >= list->least && user.score > -INFINITY))
		return;					/* or not a number */
	list->users[list->n++] = user;
	if (list->n == 2 * list->size)
		shorten_list(top, list);
}

/* Does a model leave the panel's user out? */
static bool
is_excluded(const PanelTask *task, int64_t user, int model)
{
	const Lists *excluded = task->top->excluded;
	int32_t		known = excluded == NULL || task->known == NULL ? -1 : task->known[user];

	return known >= 0 && lists_hold(excluded, known, model);
}

/* What a model's bounds must reach, NaN: nobody is asked for. */
static float
least_score(const PanelTask *task, int model)
{
	const TopUsers *top = task->top;
	const TopList *list = &top->lists[model];
	double		offset;

	if (model >= top->n_models || (task->again && !list->again))
		return NAN;
	if (top->models[model]->n_layers > 1 || !isfinite(list->least))
		return -INFINITY;
	offset = top->models[model]->parameters[top->width];
	return screen_threshold(&top->screened, model,
							list->least - offset - FLT_EPSILON * (fabs(list->least) + fabs(offset)) - FLT_MIN);
}

/* Offer the users whom the bounds of a block leave in the race. */
static void
take_found(const PanelTask *task, int first_model, int64_t begin, const ScreenedPair *found, int n)
{
	const TopUsers *top = task->top;

	for (int f = 0; f < n; f++)
	{
		int			model = first_model + found[f].model;
		int64_t		i = begin + found[f].user;

		if (!is_excluded(task, i, model))
			offer(top, &top->lists[model],
				  (TopUser) {student_logit(top->models[model], task->panel->values + i * top->width), task->first + i});
	}
}

/* The users of the slice for some models, of which the first begins a group. */
static void
rank_slice(const PanelTask *task, int first, int models, int worker)
{
	const ScreenRows *rows = &task->top->screened;
	ScreenedPair *found = task->found + (size_t) worker * BLOCK_MODELS * BLOCK_USERS;
	float		thresholds[BLOCK_MODELS];
	ScreenTask	screen = {
		.n_pairs = rows->n_pairs, .n_models = (models + SCREEN_MODELS - 1) / SCREEN_MODELS * SCREEN_MODELS,
		.models = rows->pairs + (size_t) first * rows->n_pairs, .model_margins = rows->margins + first,
		.thresholds = thresholds
	};

	for (int64_t begin = 0; begin < task->end - task->begin; begin += BLOCK_USERS)
	{
		int64_t		left = task->end - task->begin - begin;

		screen.n_users = (int) ((left < BLOCK_USERS ? left : BLOCK_USERS) + SCREEN_USERS - 1) / SCREEN_USERS * SCREEN_USERS;
		screen.users = task->users.pairs + begin * rows->n_pairs;
		screen.user_margins = task->users.margins + begin;
		screen.user_scales = task->users.scales + begin;
		for (int m = 0; m < screen.n_models; m++)
			thresholds[m] = least_score(task, first + m);
		take_found(task, first, task->begin + begin, found, task->kernels->screen(&screen, found));
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
	bool		wanted = !task->again;

	for (int m = first; m < first + models; m++)
		wanted = wanted || task->top->lists[m].again;
	if (wanted)
		rank_slice(task, first, models, worker);
}

/* Shard function: BLOCK_USERS of the slice as whole numbers. */
static void
screen_users(void *argument, int64_t shard, int worker)
{
	const PanelTask *task = argument;
	int64_t		first = shard * BLOCK_USERS;
	int64_t		left = task->end - task->begin - first;
	Vectors		vectors = *task->panel;

	(void) worker;
	vectors.values += (task->begin + first) * vectors.width;
	vectors.count = left < BLOCK_USERS ? left : BLOCK_USERS;
	screen_rows_fill(&task->users, task->kernels, &vectors, first);
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
		core_parallel(core, (task->end - task->begin + BLOCK_USERS - 1) / BLOCK_USERS, screen_users, task);
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

/* Scores of the sample, without offsets; users who are left out have none. */
static void
score_sample(const PanelTask *task, int first, int models, float *scores)
{
	int			width = task->top->width;
	int			users = (int) task->panel->count;
	const Lists *excluded = task->top->excluded;
	const int32_t *known = task->known;

	cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, models, users, width, 1,
				task->top->weights + (size_t) first * width, width,
				task->panel->values, width, 0, scores, users);
	for (int u = 0; u < users && excluded != NULL; u++)
		for (int64_t i = known[u] < 0 ? 0 : excluded->starts[known[u]];
			 known[u] >= 0 && i < excluded->starts[known[u] + 1] && excluded->items[i] < first + models; i++)
			if (excluded->items[i] >= first)
				scores[(size_t) (excluded->items[i] - first) * users + u] = -INFINITY;
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

		score_sample(&sample->task, first, models, scores);
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
	task.found = arena_allocate(top->arena, workers * BLOCK_MODELS * BLOCK_USERS, sizeof(ScreenedPair));
	task.users = screen_rows_open(top->arena, SLICE_USERS, top->width, SCREEN_USERS);
	if (top->core->status != CORE_OK)
		return top->core->status;
	if (first == 0)
		rank_first_panel(&task);
	else
		rank_panel(&task);
	arena_release(top->arena, task.scores);
	arena_release(top->arena, task.found);
	screen_rows_close(top->arena, &task.users);
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
