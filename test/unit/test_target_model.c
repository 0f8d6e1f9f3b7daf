/*
 * test_target_model.c
 *		From sampled users to a calibrated student.
 *
 * Users are normal vectors; who does it follows a known logistic rule, so that the best
 * possible AUC and the true probabilities are known.
 */
#include "support.h"

#include "core/random.h"
#include "core/target_model.h"
#include "core/teacher.h"
#include "core/vectors.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 9					/* the last number is 1, as in stored vectors */
#define POPULATION 40000

typedef struct World
{
	TargetSample sample;
	TargetTeacher teacher;
	TargetOptions options;
	float		object[WIDTH];
	double	   *truth;			/* probability of each sampled user */
} World;

static double
sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

/* The rule: 1.5 times the first number, minus the second, plus the offset. */
static double
true_logit(const float *vector, double offset)
{
	return 1.5 * vector[0] - vector[1] + offset;
}

static void
draw_user(int64_t i, float *vector)
{
	for (int d = 0; d < WIDTH - 1; d++)
		vector[d] = (float) random_normal(3, RANDOM_TEST, (uint64_t) i * WIDTH + d);
	vector[WIDTH - 1] = 1;
}

/* Keep every positive, and one negative in `thinning`. */
static void
open_world(World *world, double offset, int thinning)
{
	float		vector[WIDTH];
	int64_t		n = 0;

	memset(world, 0, sizeof(*world));
	world->sample.width = WIDTH;
	world->sample.candidates = POPULATION;
	world->sample.vectors = malloc(POPULATION * WIDTH * sizeof(float));
	world->sample.degrees = malloc(POPULATION * sizeof(double));
	world->sample.hashes = malloc(POPULATION * sizeof(uint64_t));
	world->sample.unseen = calloc(POPULATION, 1);
	world->truth = malloc(POPULATION * sizeof(double));
	for (int positive = 1; positive >= 0; positive--)
		for (int64_t i = 0; i < POPULATION; i++)
		{
			double		p;

			draw_user(i, vector);
			p = sigmoid(true_logit(vector, offset));
			if ((random_uniform(4, RANDOM_TEST, (uint64_t) i) < p) != positive ||
				(!positive && i % thinning != 0))
				continue;
			memcpy(world->sample.vectors + n * WIDTH, vector, sizeof(vector));
			world->sample.degrees[n] = 1 + i % 7;
			world->sample.hashes[n] = random_mix((uint64_t) i);
			world->truth[n++] = p;
			world->sample.n_positive += positive;
			world->sample.n_negative += !positive;
		}
	world->sample.population_positives = world->sample.n_positive;
	world->object[0] = 1.5f;
	world->object[1] = -1;
	world->teacher = (TargetTeacher) {1, world->object, 1, 0, 1};
	student_defaults(&world->options.student);
	world->options.student.soft_weight = 0.5f;
	world->options.weigh_seeds = true;
	world->options.seed_weight_scale = SEED_WEIGHT_MEAN_1;
	world->options.calibration = CALIBRATION_PLATT;
	world->options.seed = 42;
}

static void
close_world(World *world)
{
	free(world->sample.vectors);
	free(world->sample.degrees);
	free(world->sample.hashes);
	free(world->sample.unseen);
	free(world->truth);
}

static CoreStatus
fit(Core *core, Arena *arena, void *argument)
{
	World	   *world = argument;
	Student		student;
	TargetQuality quality;

	return target_fit(core, arena, &world->sample, &world->teacher, &world->options, &student, &quality);
}

/* Mean absolute difference of predicted and true probability over the sample. */
static double
probability_error(const World *world, const Student *student)
{
	int64_t		n = world->sample.n_positive + world->sample.n_negative;
	double		sum = 0;

	for (int64_t i = 0; i < n; i++)
		sum += fabs(world->truth[i] -
					student_probability(student, student_logit(student, world->sample.vectors + i * WIDTH)));
	print_message("mean error of probabilities %.4f\n", sum / n);
	return sum / n;
}

/* Expected calibration error over everybody, at the true class ratio. */
static double
population_ece(Core *core, const Student *student, double offset)
{
	float	   *labels = malloc(POPULATION * sizeof(float));
	double	   *probabilities = malloc(POPULATION * sizeof(double));
	Cases		cases = {POPULATION, labels, probabilities, NULL};
	float		vector[WIDTH];
	double		ece;

	for (int64_t i = 0; i < POPULATION; i++)
	{
		draw_user(i, vector);
		labels[i] = random_uniform(4, RANDOM_TEST, (uint64_t) i) < sigmoid(true_logit(vector, offset));
		probabilities[i] = student_probability(student, student_logit(student, vector));
	}
	assert_int_equal(metric_ece(core, &cases, 10, &ece), CORE_OK);
	print_message("calibration error %.4f\n", ece);
	free(labels);
	free(probabilities);
	return ece;
}

static void
probabilities_refer_to_the_population(void **state)
{
	const CalibrationKind kinds[] = {CALIBRATION_PLATT, CALIBRATION_ISOTONIC};

	(void) state;
	for (int thinning = 1; thinning <= 10; thinning += 9)
		for (int k = 0; k < 2; k++)
		{
			World		world;
			TestHost	host;
			Arena		arena;
			Student		student;
			TargetQuality quality;

			open_world(&world, -3, thinning);
			world.options.calibration = kinds[k];
			host_open(&host, 1);
			arena_open(&arena, &host.core);
			assert_int_equal(target_fit(&host.core, &arena, &world.sample, &world.teacher, &world.options,
										&student, &quality), CORE_OK);
			/* a step curve is coarser than a line */
			assert_true(probability_error(&world, &student) < (kinds[k] == CALIBRATION_PLATT ? 0.03 : 0.05));
			assert_true(population_ece(&host.core, &student, -3) < 0.02);
			assert_close(quality.base_rate, (double) world.sample.n_positive / POPULATION, 1e-9);
			assert_true(quality.log_loss < quality.prior_log_loss);
			arena_close(&arena);
			host_assert_clean(&host);
			close_world(&world);
		}
}

static void
a_wrong_population_is_noticed(void **state)
{
	World		world;
	TestHost	host;
	Arena		arena;
	Student		student;
	TargetQuality quality;

	(void) state;
	open_world(&world, -3, 10);
	world.sample.candidates = world.sample.n_positive + world.sample.n_negative;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(target_fit(&host.core, &arena, &world.sample, &world.teacher, &world.options,
								&student, &quality), CORE_OK);
	assert_true(probability_error(&world, &student) > 0.1);
	arena_close(&arena);
	close_world(&world);
}

static void
the_student_is_as_good_as_the_rule(void **state)
{
	World		world;
	TestHost	host;
	Arena		arena;
	Student		student;
	TargetQuality quality;

	(void) state;
	open_world(&world, -3, 10);
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(target_fit(&host.core, &arena, &world.sample, &world.teacher, &world.options,
								&student, &quality), CORE_OK);
	/* the teacher is the rule itself */
	assert_true(quality.auc > quality.teacher_auc - 0.01);
	assert_true(quality.auc > 0.8);
	assert_true(fabs(quality.activity_auc - 0.5) < 0.05);
	assert_true(quality.lift_at_1pct > 3);
	assert_false(quality.test_is_unseen);
	assert_close(quality.test_positives, 0.2 * world.sample.n_positive, 1);
	arena_close(&arena);
	close_world(&world);
}

static void
unseen_positives_make_the_test_part(void **state)
{
	World		world;
	TestHost	host;
	Arena		arena;
	Student		student;
	TargetQuality quality;

	(void) state;
	open_world(&world, -3, 10);
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	for (int i = 0; i < TARGET_LEAST_UNSEEN - 1; i++)
		world.sample.unseen[i * 3] = 1;
	assert_int_equal(target_fit(&host.core, &arena, &world.sample, &world.teacher, &world.options,
								&student, &quality), CORE_OK);
	assert_false(quality.test_is_unseen);
	world.sample.unseen[1] = 1;
	assert_int_equal(target_fit(&host.core, &arena, &world.sample, &world.teacher, &world.options,
								&student, &quality), CORE_OK);
	assert_true(quality.test_is_unseen);
	assert_int_equal(quality.test_positives, TARGET_LEAST_UNSEEN);
	arena_close(&arena);
	close_world(&world);
}

static void
without_an_object_the_seeds_teach(void **state)
{
	World		world;
	TestHost	host;
	Arena		arena;
	Student		student;
	TargetQuality quality;

	(void) state;
	open_world(&world, -3, 10);
	world.teacher.n_objects = 0;
	world.options.student.soft_weight = 1;	/* nothing but the teacher */
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(target_fit(&host.core, &arena, &world.sample, &world.teacher, &world.options,
								&student, &quality), CORE_OK);
	assert_close(quality.teacher_auc, quality.centroid_auc, 1e-12);
	assert_true(quality.auc > 0.75);
	arena_close(&arena);
	close_world(&world);
}

static void
too_few_or_equal_users_are_refused(void **state)
{
	World		world;
	TestHost	host;
	Arena		arena;

	(void) state;
	open_world(&world, -3, 10);
	world.sample.n_positive = TARGET_LEAST_POSITIVES - 1;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(fit(&host.core, &arena, &world), CORE_INVALID);
	arena_close(&arena);
	close_world(&world);

	open_world(&world, -3, 10);
	for (int64_t i = 0; i < (world.sample.n_positive + world.sample.n_negative) * WIDTH; i++)
		world.sample.vectors[i] = 0.5f;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(fit(&host.core, &arena, &world), CORE_INVALID);
	arena_close(&arena);
	close_world(&world);
}

static void
threads_do_not_show(void **state)
{
	World		world;
	Student		students[3];
	TestHost	hosts[3];
	Arena		arenas[3];
	TargetQuality quality;

	(void) state;
	open_world(&world, -3, 10);
	for (int t = 0; t < 3; t++)
	{
		host_open(&hosts[t], 1 << t);
		arena_open(&arenas[t], &hosts[t].core);
		assert_int_equal(target_fit(&hosts[t].core, &arenas[t], &world.sample, &world.teacher, &world.options,
									&students[t], &quality), CORE_OK);
		assert_memory_equal(students[t].parameters, students[0].parameters, (WIDTH + 1) * sizeof(float));
		assert_memory_equal(&students[t].scale, &students[0].scale, sizeof(double));
	}
	for (int t = 0; t < 3; t++)
		arena_close(&arenas[t]);
	close_world(&world);
}

/* A target of many objects: the teacher stops when it is asked to. */
static void
many_objects_can_be_stopped(void **state)
{
	enum
	{
		MANY = 5000
	};
	World		world;
	TestHost	host;
	Arena		arena;
	float	   *objects = calloc(MANY, WIDTH * sizeof(float));
	double	   *scores;
	Vectors		users;

	(void) state;
	open_world(&world, -4, 20);
	users = (Vectors) {world.sample.n_positive + world.sample.n_negative, WIDTH, world.sample.vectors};
	host_open(&host, 1);
	host.stop_at = 3;
	arena_open(&arena, &host.core);
	scores = arena_doubles(&arena, users.count);
	for (int64_t i = 0; i < users.count; i++)
		scores[i] = 7;
	while (teacher_best_scores(&host.core, &arena, &users, &(Vectors) {MANY, WIDTH, objects}, scores) == CORE_OK)
		assert_true(host.looks < 3);
	assert_int_equal(host.core.status, CORE_STOPPED);
	arena_close(&arena);
	host_assert_clean(&host);
	free(objects);
	close_world(&world);
}

/* Seeds in two subspaces: each is made as long as the seeds' are; users' activity counts. */
static void
seeds_stand_for_an_object_by_subspace(void **state)
{
	const float seeds[] = {3, 4, 0, 2, 1, -1, 6, 8, 0, 4, 1, 2, 100, 0, 100, 0, 1, 0};
	const uint8_t chosen[] = {1, 1, 0};
	/* 29 and 116 are the squares of the first two: 72.5 on average, half of it for each subspace */
	const float length = sqrtf(72.5f / 2);
	const float expected[] = {0.6f * length, 0.8f * length, 0, length, 0, 1};
	float		teacher[6];
	Vectors		users = {3, 6, seeds};

	(void) state;
	teacher_from_seeds(&users, chosen, 1, 2, teacher);
	for (int d = 0; d < 6; d++)
		assert_close(teacher[d], expected[d], 1e-5);
	teacher_from_seeds(&users, chosen, 1, 3, teacher);	/* three do not divide four numbers */
	assert_close(vectors_dot(teacher, teacher, 6), 72.5 + 1, 1e-4);
}

/* Another model, a better and a worse one, is measured on the same test part. */
static void
an_incumbent_is_measured_on_the_same_users(void **state)
{
	float		parameters[2][WIDTH + 1] = {{1.5f, -1}, {-1.5f, 1}};
	World		world;

	(void) state;
	open_world(&world, -3, 10);
	for (int i = 0; i < 2; i++)
	{
		Student		incumbent = {.n_layers = 1, .widths = {WIDTH, 1}, .parameters = parameters[i]};
		Student		student;
		TargetQuality quality;
		TestHost	host;
		Arena		arena;

		world.options.incumbent = &incumbent;
		host_open(&host, 1);
		arena_open(&arena, &host.core);
		assert_int_equal(target_fit(&host.core, &arena, &world.sample, &world.teacher, &world.options,
									&student, &quality), CORE_OK);
		/* the rule is the teacher as well, or the opposite of it */
		assert_close(quality.incumbent_auc, i == 0 ? quality.teacher_auc : 1 - quality.teacher_auc, 1e-6);
		incumbent.widths[0] = WIDTH - 1;
		assert_int_equal(target_fit(&host.core, &arena, &world.sample, &world.teacher, &world.options,
									&student, &quality), CORE_OK);
		assert_true(isnan(quality.incumbent_auc));
		arena_close(&arena);
	}
	close_world(&world);
}

/* Scores of the teacher are cut into shards: the same with any number of threads. */
static void
threads_do_not_show_with_many_objects(void **state)
{
	enum
	{
		MANY = 500
	};
	World		world;
	float	   *objects = malloc(MANY * WIDTH * sizeof(float));
	double		auc[2];

	(void) state;
	open_world(&world, -4, 20);
	for (int64_t i = 0; i < MANY * WIDTH; i++)
		objects[i] = (float) random_normal(5, RANDOM_TEST, (uint64_t) i);
	memcpy(objects + (MANY - 1) * WIDTH, world.object, sizeof(world.object));
	world.teacher = (TargetTeacher) {MANY, objects, 1, 0, 2};
	for (int t = 0; t < 2; t++)
	{
		TestHost	host;
		Arena		arena;
		Student		student;
		TargetQuality quality;

		host_open(&host, 1 + 2 * t);
		arena_open(&arena, &host.core);
		assert_int_equal(target_fit(&host.core, &arena, &world.sample, &world.teacher, &world.options,
									&student, &quality), CORE_OK);
		auc[t] = quality.teacher_auc;
		arena_close(&arena);
	}
	assert_true(auc[0] == auc[1]);
	free(objects);
	close_world(&world);
}

static void
failures_leave_nothing_behind(void **state)
{
	World		world;

	(void) state;
	open_world(&world, -4, 20);
	scenario_survives(fit, &world, 7);
	close_world(&world);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(probabilities_refer_to_the_population),
		cmocka_unit_test(a_wrong_population_is_noticed),
		cmocka_unit_test(the_student_is_as_good_as_the_rule),
		cmocka_unit_test(unseen_positives_make_the_test_part),
		cmocka_unit_test(without_an_object_the_seeds_teach),
		cmocka_unit_test(too_few_or_equal_users_are_refused),
		cmocka_unit_test(threads_do_not_show),
		cmocka_unit_test(many_objects_can_be_stopped),
		cmocka_unit_test(seeds_stand_for_an_object_by_subspace),
		cmocka_unit_test(an_incumbent_is_measured_on_the_same_users),
		cmocka_unit_test(threads_do_not_show_with_many_objects),
		cmocka_unit_test(failures_leave_nothing_behind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
