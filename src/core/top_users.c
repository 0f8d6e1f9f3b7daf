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

#define BLOCK_MODELS 64
#define BLOCK_USERS 1024		/* 64 x 1024 scores are a quarter of a megabyte */

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
} PanelTask;

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

/* In a heap with the worst on top, let the user at place i sink below worse ones. */
static void
sink(const TopUsers *top, TopUser *users, int64_t n, int64_t i)
{
	TopUser		user = users[i];

	for (int64_t child = 2 * i + 1; child < n; child = 2 * i + 1)
	{
		if (child + 1 < n && is_better(top, &users[child], &users[child + 1]))
			child++;
		if (!is_better(top, &user, &users[child]))
			break;
		users[i] = users[child];
		i = child;
	}
	users[i] = user;
}

static void
swap_users(TopUser *a, TopUser *b)
{
	TopUser		kept = *a;

	*a = *b;
	*b = kept;
}

/* Move the better of users[first .. last] than the middle one to the front; returns its place. */
static int64_t
part_users(const TopUsers *top, TopUser *users, int64_t first, int64_t last)
{
	int64_t		border = first;

	swap_users(&users[first + (last - first) / 2], &users[last]);
	for (int64_t i = first; i < last; i++)
		if (is_better(top, &users[i], &users[last]))
			swap_users(&users[i], &users[border++]);
	swap_users(&users[border], &users[last]);
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

/* Put a user into the list if he may belong there. */
static void
offer(const TopUsers *top, TopList *list, TopUser user)
{
	if (!(user.score >= list->least))
		return;					/* or not a number */
	list->users[list->n++] = user;
	if (list->n == 2 * list->size)
		cut_list(top, list);
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

/* Shard function: all users of the panel for one block of models. */
static void
rank_models(void *argument, int64_t shard, int worker)
{
	const PanelTask *task = argument;
	const TopUsers *top = task->top;
	int			first = (int) shard * BLOCK_MODELS;
	int			models = top->n_models - first < BLOCK_MODELS ? top->n_models - first : BLOCK_MODELS;
	float	   *scores = task->scores + (size_t) worker * BLOCK_MODELS * BLOCK_USERS;
	int32_t    *positions = task->positions + (size_t) worker * BLOCK_USERS;

	for (int64_t begin = 0; begin < task->panel->count; begin += BLOCK_USERS)
	{
		int			users = (int) (task->panel->count - begin < BLOCK_USERS ? task->panel->count - begin : BLOCK_USERS);

		cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, models, users, top->width, 1,
					top->weights + (size_t) first * top->width, top->width,
					task->panel->values + begin * top->width, top->width, 0, scores, users);
		mask_block(task, first, models, begin, users, scores);
		for (int m = 0; m < models; m++)
			take_row(task, first + m, begin, users, scores + (size_t) m * users, positions);
	}
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
	core_parallel(top->core, (top->n_models + BLOCK_MODELS - 1) / BLOCK_MODELS, rank_models, &task);
	arena_release(top->arena, task.scores);
	arena_release(top->arena, task.positions);
	return top->core->status;
}

/* Shard function: one list in order, by heap sort. */
static void
order_list(void *argument, int64_t model, int worker)
{
	const TopUsers *top = argument;
	TopList    *list = &top->lists[model];

	(void) worker;
	cut_list(top, list);
	for (int64_t i = list->n / 2 - 1; i >= 0; i--)
		sink(top, list->users, list->n, i);
	for (int64_t n = list->n - 1; n > 0; n--)
	{
		TopUser		worst = list->users[0];

		list->users[0] = list->users[n];
		list->users[n] = worst;
		sink(top, list->users, n, 0);
	}
}

CoreStatus
top_users_finish(TopUsers *top)
{
	return core_parallel(top->core, top->n_models, order_list, top);
}
