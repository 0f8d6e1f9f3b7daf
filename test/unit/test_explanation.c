/*
 * test_explanation.c
 *		Parts of a logit: they add up, are weight times value for a logistic model, and the shares of
 *		objects add up to the factors'.
 */
#include "support.h"

#include "core/explanation.h"
#include "core/random.h"

#include <math.h>
#include <string.h>

#define FACTORS 3
#define SUB_WIDTH 5
#define DIMENSION (FACTORS * SUB_WIDTH)
#define WIDTH (DIMENSION + 2)

static const VectorLayout layout = {WIDTH, DIMENSION, FACTORS};

typedef struct Scene
{
	Student		student;
	float		parameters[4000];
	float		vector[WIDTH];
	float		thresholds[3];
	float		values[3];
} Scene;

static void
make_scene(Scene *scene, int n_hidden, const int *hidden, CalibrationKind calibration, float size)
{
	memset(scene, 0, sizeof(*scene));
	scene->student = (Student) {
		.n_layers = n_hidden + 1, .parameters = scene->parameters, .calibration = calibration,
		.scale = 1.7, .offset = -0.4, .prior_shift = -1.1, .base_rate = 0.05,
		.curve = {3, scene->thresholds, scene->values}
	};
	scene->student.widths[0] = WIDTH;
	for (int i = 0; i < n_hidden; i++)
		scene->student.widths[i + 1] = hidden[i];
	scene->student.widths[n_hidden + 1] = 1;
	for (int i = 0; i < student_parameter_count(n_hidden + 1, scene->student.widths); i++)
		scene->parameters[i] = size * (float) random_normal(3, RANDOM_TEST, (uint64_t) i);
	for (int d = 0; d < WIDTH; d++)
		scene->vector[d] = d == DIMENSION ? 1 : (float) random_normal(4, RANDOM_TEST, (uint64_t) d);
	for (int i = 0; i < 3; i++)
	{
		scene->thresholds[i] = (float) (i - 1);
		scene->values[i] = 0.2f + 0.3f * i;
	}
}

static double
logit_of(const Student *student, const float *vector)
{
	double		p = student_probability(student, student_logit(student, vector));

	return log(p) - log1p(-p);
}

static double
sum_of_parts(const Explanation *e)
{
	double		sum = e->base + e->activity + e->calibration + e->remainder;

	for (int f = 0; f < FACTORS; f++)
		sum += e->factors[f];
	return sum;
}

static void
parts_add_up(void **state)
{
	const int	hidden[] = {16, 8, 4};

	(void) state;
	for (int n_hidden = 0; n_hidden <= 3; n_hidden++)
		for (int calibration = 0; calibration < 3; calibration++)
		{
			Scene		scene;
			TestHost	host;
			Arena		arena;
			Explanation explanation;

			make_scene(&scene, n_hidden, hidden, (CalibrationKind) calibration, 0.4f);
			host_open(&host, 1);
			arena_open(&arena, &host.core);
			assert_int_equal(explanation_make(&host.core, &arena, &scene.student, &layout, scene.vector,
											  &explanation), CORE_OK);
			assert_close(sum_of_parts(&explanation), logit_of(&scene.student, scene.vector), 1e-9);
			assert_close(explanation.remainder, 0, 1e-5);
			if (calibration != CALIBRATION_ISOTONIC)
				assert_close(explanation.calibration, 0, 1e-9);
			arena_close(&arena);
			host_assert_clean(&host);
		}
}

static void
logistic_parts_are_weight_times_value(void **state)
{
	Scene		scene;
	TestHost	host;
	Arena		arena;
	Explanation explanation;

	(void) state;
	make_scene(&scene, 0, NULL, CALIBRATION_PLATT, 0.5f);
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	explanation_make(&host.core, &arena, &scene.student, &layout, scene.vector, &explanation);
	for (int f = 0; f < FACTORS; f++)
	{
		double		part = 0;

		for (int d = f * SUB_WIDTH; d < (f + 1) * SUB_WIDTH; d++)
			part += 1.7 * scene.parameters[d] * scene.vector[d];
		assert_close(explanation.factors[f], part, 1e-12);
	}
	assert_close(explanation.activity, 1.7 * scene.parameters[WIDTH - 1] * scene.vector[WIDTH - 1], 1e-12);
	assert_close(explanation.base, 1.7 * (scene.parameters[DIMENSION] + scene.parameters[WIDTH]) - 0.4 - 1.1, 1e-12);
	arena_close(&arena);
}

/* A number that the network does not look at has no part. */
static void
unused_numbers_have_no_part(void **state)
{
	const int	hidden[] = {8};
	Scene		scene;
	TestHost	host;
	Arena		arena;
	Explanation explanation;

	(void) state;
	make_scene(&scene, 1, hidden, CALIBRATION_NONE, 1.0f);
	for (int h = 0; h < 8; h++)
		memset(scene.parameters + h * WIDTH + SUB_WIDTH, 0, SUB_WIDTH * sizeof(float));
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	explanation_make(&host.core, &arena, &scene.student, &layout, scene.vector, &explanation);
	assert_close(explanation.factors[1], 0, 0);
	assert_true(fabs(explanation.factors[0]) > 1e-3 && fabs(explanation.factors[2]) > 1e-3);
	arena_close(&arena);
}

static void
shares_add_up_and_follow_likeness(void **state)
{
	const double factors[FACTORS] = {2.5, -1, 0.25};
	float		user[WIDTH];
	float		objects[4 * WIDTH] = {0};
	double		shares[4 * FACTORS];

	(void) state;
	for (int d = 0; d < WIDTH; d++)
		user[d] = (float) random_normal(9, RANDOM_TEST, (uint64_t) d);
	for (int i = 0; i < 3; i++) /* like the user in factor i alone; the last is 0 */
		memcpy(objects + i * WIDTH + i * SUB_WIDTH, user + i * SUB_WIDTH, SUB_WIDTH * sizeof(float));
	explanation_share(&layout, user, objects, 4, factors, shares);
	for (int f = 0; f < FACTORS; f++)
	{
		double		sum = 0;

		for (int i = 0; i < 4; i++)
		{
			sum += shares[i * FACTORS + f];
			assert_true(i == f || fabs(shares[i * FACTORS + f]) < fabs(shares[f * FACTORS + f]));
		}
		assert_close(sum, factors[f], 1e-12);
	}
}

static CoreStatus
explain_scene(Core *core, Arena *arena, void *argument)
{
	const Scene *scene = argument;
	Explanation explanation;

	return explanation_make(core, arena, &scene->student, &layout, scene->vector, &explanation);
}

static void
failures_are_survived(void **state)
{
	const int	hidden[] = {8, 4};
	Scene		scene;

	(void) state;
	make_scene(&scene, 2, hidden, CALIBRATION_PLATT, 0.4f);
	scenario_survives(explain_scene, &scene, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parts_add_up),
		cmocka_unit_test(logistic_parts_are_weight_times_value),
		cmocka_unit_test(unused_numbers_have_no_part),
		cmocka_unit_test(shares_add_up_and_follow_likeness),
		cmocka_unit_test(failures_are_survived),
	};

	return cmocka_run_group_tests_name("explanation", tests, NULL, NULL);
}
