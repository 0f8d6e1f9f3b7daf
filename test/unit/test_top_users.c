/*
 * test_top_users.c
 *		The best users of many models against a full sort of exact scores.
 */
#include "samples.h"

#include <stdlib.h>
#include <string.h>

#include "core/top_users.h"

#define WIDTH 9
#define MODELS 140				/* more than a block */
#define HIDDEN 3
#define PANEL 2500

/* In which order users come. */
typedef enum Order
{
	SHUFFLED, BEST_FIRST, BEST_LAST
} Order;

typedef struct Case
{
	int64_t		users;
	int64_t		size;
	Order		order;
	bool		whole;			/* whole numbers: sums are exact, and most scores tie */
	bool		first_excluded;	/* everybody of the first panel is left out by odd models */
	bool		networks;		/* every tenth model has a hidden layer */
} Case;

/* What a case is run on. */
typedef struct Scene
{
	const Case *c;
	float	   *vectors;
	Student		students[MODELS];
	const Student *models[MODELS];
	Dictionary	keys;
	Lists		excluded;
	int32_t    *known;
	TopUsers	top;
} Scene;

static float
draw(const Case *c, uint64_t stream, int64_t i)
{
	return c->whole ? (float) random_below(3, stream, i, 3) - 1 : sample_number(stream, i);
}

/* The first number says how good a user is for all models. */
static void
make_vectors(Scene *scene, Arena *arena)
{
	const Case *c = scene->c;

	scene->vectors = arena_floats(arena, c->users * WIDTH);
	for (int64_t i = 0; i < c->users * WIDTH; i++)
		scene->vectors[i] = draw(c, 1, i);
	for (int64_t u = 0; u < c->users && c->order != SHUFFLED; u++)
		scene->vectors[u * WIDTH] = (c->order == BEST_FIRST ? -20.0f : 20.0f) * (float) u / (float) c->users;
}

static void
make_models(Scene *scene, Arena *arena)
{
	for (int m = 0; m < MODELS; m++)
	{
		bool		network = scene->c->networks && m % 10 == 3;
		int			count = network ? HIDDEN * (WIDTH + 1) + HIDDEN + 1 : WIDTH + 1;
		Student    *student = &scene->students[m];

		*student = network ? (Student) {.n_layers = 2, .widths = {WIDTH, HIDDEN, 1}} :
			(Student) {.n_layers = 1, .widths = {WIDTH, 1}};
		student->parameters = arena_floats(arena, count);
		for (int i = 0; i < count; i++)
			student->parameters[i] = draw(scene->c, 2, m * 100 + i);
		student->parameters[0] = 1.0f;
		scene->models[m] = student;
	}
}

/* Every third user is known; models leave him out by the sum of the numbers. */
static bool
is_excluded(const Case *c, int64_t user, int model)
{
	return user % 3 == 0 ? (user / 3 + model) % 5 == 0 : c->first_excluded && user < PANEL && model % 2 == 1;
}

static void
make_excluded(Scene *scene, Arena *arena)
{
	int64_t		n = scene->c->users;
	int64_t    *starts = arena_allocate(arena, n + 1, sizeof(int64_t));
	int32_t    *items = arena_allocate(arena, n * MODELS, sizeof(int32_t));

	scene->known = arena_allocate(arena, n, sizeof(int32_t));
	starts[0] = 0;
	for (int64_t u = 0; u < n; u++)
	{
		starts[u + 1] = starts[u];
		for (int m = 0; m < MODELS; m++)
			if (is_excluded(scene->c, u, m))
				items[starts[u + 1]++] = m;
		scene->known[u] = starts[u + 1] > starts[u] ? (int32_t) u : -1;
	}
	scene->excluded = (Lists) {starts, items};
}

/* Keys whose order is not that of coming. */
static int64_t
key_of(const Case *c, int64_t user)
{
	return user * 7919 % c->users;
}

static void
make_scene(Scene *scene, const Case *c, Arena *arena)
{
	memset(scene, 0, sizeof(*scene));
	scene->c = c;
	make_vectors(scene, arena);
	make_models(scene, arena);
	make_excluded(scene, arena);
	dictionary_open(&scene->keys, arena, KEY_INTEGER);
	for (int64_t u = 0; u < c->users; u++)
		dictionary_append(&scene->keys, &(Key) {.integer = key_of(c, u)});
}

static CoreStatus
find_top(Scene *scene, Core *core, Arena *arena)
{
	TopUsers   *top = &scene->top;
	int64_t		users = scene->c->users;

	core_start_workers(core);
	top_users_open(top, core, arena, MODELS, scene->models, scene->c->size, &scene->keys, &scene->excluded);
	for (int64_t u = 0; u < users && core->status == CORE_OK; u += PANEL)
	{
		Vectors		panel = {users - u < PANEL ? users - u : PANEL, WIDTH, scene->vectors + u * WIDTH};

		top_users_add(top, &panel, u, scene->known + u);
	}
	if (core->status == CORE_OK)
		top_users_finish(top);
	core_stop_workers(core);
	return core->status;
}

typedef struct Ranked
{
	double		score;
	int64_t		key;
	int64_t		user;
} Ranked;

static int
better_first(const void *a, const void *b)
{
	const Ranked *x = a;
	const Ranked *y = b;

	if (x->score != y->score)
		return x->score > y->score ? -1 : 1;
	return (x->key > y->key) - (x->key < y->key);
}

static void
check_model(const Scene *scene, int m, Ranked *all)
{
	const TopList *list = &scene->top.lists[m];
	int64_t		n = 0;

	for (int64_t u = 0; u < scene->c->users; u++)
		if (!is_excluded(scene->c, u, m))
			all[n++] = (Ranked) {student_logit(scene->models[m], scene->vectors + u * WIDTH), key_of(scene->c, u), u};
	qsort(all, n, sizeof(Ranked), better_first);
	assert_int_equal(list->n, n < scene->c->size ? n : scene->c->size);
	for (int64_t i = 0; i < list->n; i++)
	{
		assert_int_equal(list->users[i].user, all[i].user);
		assert_true(list->users[i].score == all[i].score);
	}
}

static void
check_case(const Case *c, int threads)
{
	TestHost	host;
	Arena		arena;
	Scene		scene;
	Ranked	   *all = malloc(c->users * sizeof(Ranked));

	host_open(&host, threads);
	arena_open(&arena, &host.core);
	make_scene(&scene, c, &arena);
	assert_int_equal(find_top(&scene, &host.core, &arena), CORE_OK);
	for (int m = 0; m < MODELS; m += 13)
		check_model(&scene, m, all);
	arena_close(&arena);
	host_assert_clean(&host);
	free(all);
}

/* Orders, ties, users left out, and networks, at sizes around every border. */
static void
best_as_by_sorting(void **state)
{
	static const Case cases[] = {
		{.users = 1, .size = 1},
		{.users = 700, .size = 1},
		{.users = 700, .size = 40},
		{.users = 700, .size = 700},
		{.users = 700, .size = 5000, .whole = true},
		{.users = 6000, .size = 100},
		{.users = 6000, .size = 100, .order = BEST_FIRST},
		{.users = 6000, .size = 100, .order = BEST_LAST},
		{.users = 6000, .size = 40, .whole = true},
		{.users = 6000, .size = 2000, .order = BEST_LAST, .networks = true},
		{.users = 6000, .size = 100, .networks = true},
		{.users = 6000, .size = 300, .order = BEST_FIRST, .first_excluded = true},
		{.users = 6000, .size = 300, .whole = true, .first_excluded = true}
	};

	(void) state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		for (int threads = 1; threads <= 3; threads += 2)
			check_case(&cases[i], threads);
}

/* The sample of the first panel is better than the others in it: its scores promise too much. */
static void
a_wrong_guess_is_made_good(void **state)
{
	Case		c = {.users = PANEL, .size = 300};
	TestHost	host;
	Arena		arena;
	Scene		scene;
	Ranked	   *all = malloc(c.users * sizeof(Ranked));

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	make_scene(&scene, &c, &arena);
	for (int64_t u = 0; u < c.users; u++)
		scene.vectors[u * WIDTH] = u % 8 == 0 ? 100.0f : 0.0f;
	assert_int_equal(find_top(&scene, &host.core, &arena), CORE_OK);
	for (int m = 0; m < MODELS; m += 13)
		check_model(&scene, m, all);
	arena_close(&arena);
	host_assert_clean(&host);
	free(all);
}

static CoreStatus
run_scene(Core *core, Arena *arena, void *argument)
{
	Scene	   *scene = argument;

	return find_top(scene, core, arena);
}

static void
survives_failures(void **state)
{
	static const Case c = {.users = 1000, .size = 10};
	TestHost	host;
	Arena		arena;
	Scene		scene;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	make_scene(&scene, &c, &arena);
	scenario_survives(run_scene, &scene, 1);
	arena_close(&arena);
	host_assert_clean(&host);
}

static void
widths_must_agree(void **state)
{
	TestHost	host;
	Arena		arena;
	Student		a = {.n_layers = 1, .widths = {3, 1}, .parameters = (float[4]) {0}};
	Student		b = {.n_layers = 1, .widths = {4, 1}, .parameters = (float[5]) {0}};
	const Student *models[] = {&a, &b};
	TopUsers	top;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(top_users_open(&top, &host.core, &arena, 2, models, 10, NULL, NULL), CORE_INVALID);
	assert_non_null(strstr(host.core.detail, "model 2 takes 4 numbers"));
	arena_close(&arena);
	host_assert_clean(&host);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(best_as_by_sorting),
		cmocka_unit_test(a_wrong_guess_is_made_good),
		cmocka_unit_test(survives_failures),
		cmocka_unit_test(widths_must_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
