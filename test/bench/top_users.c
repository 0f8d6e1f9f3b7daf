/*
 * top_users.c
 *		The best users of many models, against the bare product of their scores.
 *
 *		top_users [models [users [size [rounds]]]]
 *
 * Default 1,000 models, 200,000 users, the best 1,000 of each, 3 rounds; vectors of 65 numbers.  Both
 * run in turn on one thread, and the least processor time of each counts.
 */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "clocks.h"
#include "core/random.h"
#include "core/top_users.h"

#define WIDTH 65
#define PANEL 129055				/* as the database side reads them */
#define BLOCK 256				/* of the bare product; the fastest of 64 to 1,024 */

typedef struct Bench
{
	Core		core;
	Arena		arena;
	int			n_models;
	int64_t		n_users;
	int64_t		size;
	Student    *students;
	const Student **models;
	float	   *weights;
	float	   *users;
	float	   *scores;
	Dictionary	keys;
} Bench;

extern void openblas_set_num_threads(int threads);

static float
draw(uint64_t stream, uint64_t item)
{
	return (float) random_uniform(7, stream, item) - 0.5f;
}

/* Models and users of random numbers. */
static void
open_bench(Bench *bench)
{
	core_open_standalone(&bench->core, 1);
	arena_open(&bench->arena, &bench->core);
	bench->students = arena_allocate_zeroed(&bench->arena, bench->n_models, sizeof(Student));
	bench->models = arena_allocate(&bench->arena, bench->n_models, sizeof(Student *));
	bench->weights = arena_floats(&bench->arena, (size_t) bench->n_models * (WIDTH + 1));
	bench->users = arena_floats(&bench->arena, (size_t) bench->n_users * WIDTH);
	bench->scores = arena_floats(&bench->arena, BLOCK * BLOCK);
	dictionary_open(&bench->keys, &bench->arena, KEY_INTEGER);
	check(&bench->core, "opening");
	for (int64_t i = 0; i < bench->n_models * (WIDTH + 1); i++)
		bench->weights[i] = draw(1, i);
	for (int64_t i = 0; i < bench->n_users * WIDTH; i++)
		bench->users[i] = draw(2, i);
	for (int64_t u = 0; u < bench->n_users; u++)
		dictionary_add(&bench->keys, &(Key) {.integer = u});
	for (int m = 0; m < bench->n_models; m++)
	{
		bench->students[m] = (Student) {.n_layers = 1, .widths = {WIDTH, 1}, .parameters = bench->weights + m * (WIDTH + 1)};
		bench->models[m] = &bench->students[m];
	}
	check(&bench->core, "opening");
}

/* All of it, panel by panel. */
static double
run_top(Bench *bench)
{
	double		start = processor_seconds();
	TopUsers	top;
	Arena		arena;

	arena_open(&arena, &bench->core);
	top_users_open(&top, &bench->core, &arena, bench->n_models, bench->models, bench->size, &bench->keys, NULL);
	for (int64_t u = 0; u < bench->n_users; u += PANEL)
	{
		Vectors		panel = {bench->n_users - u < PANEL ? bench->n_users - u : PANEL, WIDTH, bench->users + u * WIDTH};

		top_users_add(&top, &panel, u, NULL);
	}
	top_users_finish(&top);
	check(&bench->core, "ranking");
	arena_close(&arena);
	return processor_seconds() - start;
}

/* The scores alone, each block over the one before. */
static double
run_product(Bench *bench)
{
	double		start = processor_seconds();

	for (int64_t u = 0; u < bench->n_users; u += BLOCK)
		for (int m = 0; m < bench->n_models; m += BLOCK)
		{
			int			users = (int) (bench->n_users - u < BLOCK ? bench->n_users - u : BLOCK);
			int			models = bench->n_models - m < BLOCK ? bench->n_models - m : BLOCK;

			cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, models, users, WIDTH, 1,
						bench->weights + (size_t) m * (WIDTH + 1), WIDTH + 1, bench->users + u * WIDTH, WIDTH,
						0, bench->scores, users);
		}
	return processor_seconds() - start;
}

int
main(int argc, char **argv)
{
	Bench		bench = {
		.n_models = argc > 1 ? atoi(argv[1]) : 1000, .n_users = argc > 2 ? atoll(argv[2]) : 200000,
		.size = argc > 3 ? atoll(argv[3]) : 1000
	};
	double		flops = 2.0 * bench.n_models * bench.n_users * WIDTH;
	double		seconds = INFINITY;
	double		bare = INFINITY;

	openblas_set_num_threads(1);
	open_bench(&bench);
	for (int round = 0; round < (argc > 4 ? atoi(argv[4]) : 3); round++)
	{
		seconds = fmin(seconds, run_top(&bench));
		bare = fmin(bare, run_product(&bench));
	}
	printf("best %lld of %lld users for %d models: %.2f s; bare product %.2f s, %.1f Gflop/s; ratio %.2f\n",
		   (long long) bench.size, (long long) bench.n_users, bench.n_models, seconds, bare, flops / bare / 1e9,
		   seconds / bare);
	arena_close(&bench.arena);
	return 0;
}
