/*
 * test_screening.c
 *		Upper bounds by whole numbers, table by table, against products in double.
 */
#include "samples.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/screening.h"
#include "core/vectors.h"

#define MODELS 10				/* no multiple of a group */
#define USERS 75
#define MOST_WIDTH 1100

/* Each table that this processor runs. */
static int
list_tables(const Kernels **tables)
{
	int			n = 0;

	tables[n++] = &kernels_portable;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
		tables[n++] = &kernels_avx2;
	if (kernels_select(false) == &kernels_avx512)
		tables[n++] = &kernels_avx512;
#endif
	return n;
}

typedef struct Scene
{
	TestHost	host;
	Arena		arena;
	int			width;
	float	   *models;
	float	   *users;
	ScreenRows	model_rows;
	ScreenRows	user_rows;
} Scene;

/* Ordinary rows, and some that are zero, long, short, of one number, or of equal ones. */
static void
make_rows(float *rows, int n, int width, uint64_t seed)
{
	sample_numbers(rows, (size_t) n * width, seed);
	for (int j = 0; j < width; j++)
	{
		rows[1 * width + j] = 0;
		rows[2 * width + j] *= 1e15f;
		rows[3 * width + j] *= 1e-30f;
		rows[4 * width + j] *= j == width / 2;
		rows[5 * width + j] = -0.7f;
		rows[6 * width + j] *= FLT_MIN;
	}
}

static void
open_scene(Scene *scene, const Kernels *kernels, int width)
{
	host_open(&scene->host, 1);
	arena_open(&scene->arena, &scene->host.core);
	scene->width = width;
	scene->models = arena_floats(&scene->arena, MODELS * width);
	scene->users = arena_floats(&scene->arena, USERS * width);
	make_rows(scene->models, MODELS, width, 1);
	make_rows(scene->users, USERS, width, 2);
	scene->model_rows = screen_rows_open(&scene->arena, MODELS, width, SCREEN_MODELS);
	scene->user_rows = screen_rows_open(&scene->arena, USERS, width, SCREEN_USERS);
	assert_int_equal(scene->host.core.status, CORE_OK);
	screen_rows_fill(&scene->model_rows, kernels, &(Vectors) {MODELS, width, scene->models}, 0);
	screen_rows_fill(&scene->user_rows, kernels, &(Vectors) {USERS, width, scene->users}, 0);
}

static void
close_scene(Scene *scene)
{
	arena_close(&scene->arena);
	host_assert_clean(&scene->host);
}

/* The numbers of a row, out of its words. */
static void
read_row(const ScreenRows *rows, int row, int *numbers)
{
	const int32_t *words = rows->pairs + (size_t) (row - row % rows->group) * rows->n_pairs + row % rows->group;

	for (int p = 0; p < rows->n_pairs; p++)
	{
		numbers[2 * p] = (int16_t) (words[p * rows->group] & 0xffff);
		numbers[2 * p + 1] = words[p * rows->group] >> 16;
	}
}

static int64_t
whole_product(const Scene *scene, int model, int user)
{
	int			a[MOST_WIDTH + 1];
	int			b[MOST_WIDTH + 1];
	int64_t		sum = 0;

	read_row(&scene->model_rows, model, a);
	read_row(&scene->user_rows, user, b);
	for (int j = 0; j < 2 * scene->model_rows.n_pairs; j++)
		sum += (int64_t) a[j] * b[j];
	return sum;
}

static void
check_row(const ScreenRows *rows, const float *vectors, int row)
{
	int			numbers[MOST_WIDTH + 1];

	read_row(rows, row, numbers);
	for (int j = 0; j < rows->width; j++)
		assert_true(fabs(numbers[j] - (double) vectors[row * rows->width + j] / rows->scales[row]) <= 0.51);
	if (rows->width % 2 == 1)
		assert_int_equal(numbers[rows->width], 0);
}

static const int widths[] = {1, 2, 3, 8, 9, 16, 65, 66, 257, MOST_WIDTH};

#define WIDTHS ((int) (sizeof(widths) / sizeof(widths[0])))

static void
whole_numbers_are_the_nearest(void **state)
{
	const Kernels *tables[3];
	Scene		scene;

	(void) state;
	for (int t = list_tables(tables); t-- > 0;)
		for (int w = 0; w < WIDTHS; w++)
		{
			open_scene(&scene, tables[t], widths[w]);
			for (int row = 0; row < MODELS; row++)
				check_row(&scene.model_rows, scene.models, row);
			for (int row = 0; row < USERS; row++)
				check_row(&scene.user_rows, scene.users, row);
			close_scene(&scene);
		}
}

/* Never below the product, and above it by a small part of what the lengths allow. */
static void
check_bound(const Scene *scene, int model, int user)
{
	const float *x = scene->models + model * scene->width;
	const float *y = scene->users + user * scene->width;
	double		scale = (double) scene->model_rows.scales[model] * scene->user_rows.scales[user];
	int64_t		whole = whole_product(scene, model, user);
	double		bound = scale * (whole + scene->model_rows.margins[model] + scene->user_rows.margins[user]);
	double		product = vectors_dot(x, y, scene->width);
	double		lengths = sqrt(vectors_dot(x, x, scene->width) * vectors_dot(y, y, scene->width));
	double		rounding = scene->width * FLT_EPSILON * lengths;

	assert_true(llabs(whole) + scene->model_rows.margins[model] + scene->user_rows.margins[user] <= INT32_MAX);
	assert_true(bound >= product + rounding);
	if (model > 6 && user > 6)
		assert_true(bound - product <= 0.01 * lengths);
}

static void
bounds_are_above_products(void **state)
{
	const Kernels *tables[3];
	Scene		scene;

	(void) state;
	for (int t = list_tables(tables); t-- > 0;)
		for (int w = 0; w < WIDTHS; w++)
		{
			open_scene(&scene, tables[t], widths[w]);
			for (int model = 0; model < MODELS; model++)
				for (int user = 0; user < USERS; user++)
					check_bound(&scene, model, user);
			close_scene(&scene);
		}
}

#define ROOM(n, group) (((n) + (group) - 1) / (group) * (group))
#define MODEL_ROOM ROOM(MODELS, SCREEN_MODELS)
#define USER_ROOM ROOM(USERS, SCREEN_USERS)

/* What is compared with the threshold, as the kernel must round it: a sum to a float, then times the scale. */
static float
scaled_sum(const Scene *scene, int model, int user)
{
	int64_t		sum = whole_product(scene, model, user) + scene->model_rows.margins[model] +
		scene->user_rows.margins[user];

	return (float) sum * scene->user_rows.scales[user];
}

/* All pairs that reach the thresholds, no other, and each model's users ascending. */
static void
check_screen(const Scene *scene, const Kernels *kernels, const float *thresholds)
{
	static ScreenedPair found[MODEL_ROOM * USER_ROOM];
	ScreenTask	task = {
		.n_pairs = scene->model_rows.n_pairs, .n_models = MODEL_ROOM, .n_users = USER_ROOM,
		.models = scene->model_rows.pairs, .model_margins = scene->model_rows.margins, .thresholds = thresholds,
		.users = scene->user_rows.pairs, .user_margins = scene->user_rows.margins,
		.user_scales = scene->user_rows.scales
	};
	bool		is_found[MODEL_ROOM][USER_ROOM] = {{false}};
	int			last[MODEL_ROOM];
	int			n = kernels->screen(&task, found);

	memset(last, 0xff, sizeof(last));
	for (int i = 0; i < n; i++)
	{
		assert_true(found[i].model < MODELS && found[i].user < USERS);
		assert_true(found[i].user > last[found[i].model]);
		last[found[i].model] = found[i].user;
		is_found[found[i].model][found[i].user] = true;
	}
	for (int model = 0; model < MODELS; model++)
		for (int user = 0; user < USERS; user++)
			assert_int_equal(is_found[model][user], scaled_sum(scene, model, user) >= thresholds[model]);
}

/* One model asks for nobody, the others for all, or for those at least as good as a user. */
static void
set_thresholds(const Scene *scene, int user, float *thresholds)
{
	int			width = scene->width;

	for (int m = 0; m < MODEL_ROOM; m++)
	{
		thresholds[m] = m >= MODELS || m == 7 ? NAN : -INFINITY;
		if (user < 0 || isnan(thresholds[m]))
			continue;
		thresholds[m] = screen_threshold(&scene->model_rows, m,
										 vectors_dot(scene->models + m * width, scene->users + user * width, width));
		assert_true(scaled_sum(scene, m, user) >= thresholds[m]);
		if (m % 2 == 0)
			thresholds[m] = scaled_sum(scene, m, user);
	}
}

static void
screen_finds_all_and_only_those(void **state)
{
	const Kernels *tables[3];
	Scene		scene;
	float		thresholds[MODEL_ROOM];

	(void) state;
	for (int t = list_tables(tables); t-- > 0;)
		for (int w = 0; w < WIDTHS; w++)
		{
			open_scene(&scene, tables[t], widths[w]);
			for (int user = -1; user < USERS; user += 19)
			{
				set_thresholds(&scene, user, thresholds);
				check_screen(&scene, tables[t], thresholds);
			}
			close_scene(&scene);
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(whole_numbers_are_the_nearest),
		cmocka_unit_test(bounds_are_above_products),
		cmocka_unit_test(screen_finds_all_and_only_those),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
