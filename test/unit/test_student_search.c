/*
 * test_student_search.c
 *		A student fitted by sums over parts of the samples is the one fitted in memory; plans
 *		and sums survive any bytes.
 */
#include "samples.h"

#include "core/student_search.h"

#include <math.h>
#include <string.h>

#define N 500
#define WIDTH 6
#define PARTS 3

typedef struct Set
{
	float		vectors[N * WIDTH];
	float		labels[N];
	float		soft[N];
	float		weights[N];
} Set;

/* Labels that follow the vectors, with noise; one column is constant. */
static void
make_set(Set *set)
{
	sample_numbers(set->vectors, N * WIDTH, 1);
	for (int i = 0; i < N; i++)
	{
		float	   *v = set->vectors + i * WIDTH;

		v[WIDTH - 1] = 3;
		set->labels[i] = 2 * v[0] - v[1] + v[2] * v[3] + sample_number(2, (uint64_t) i) > 0.5f;
		set->soft[i] = 1 / (1 + expf(-3 * v[0]));
		set->weights[i] = 1.5f + sample_number(3, (uint64_t) i);
	}
}

/* The sums of a plan, through its bytes, over parts of the samples that are merged. */
static StudentSums *
sum_parts(Core *core, Arena *arena, const SumsPlan *wanted, const Set *set)
{
	size_t		length = sums_plan_size(wanted);
	void	   *bytes = arena_allocate(arena, length, 1);
	StudentSums *total = NULL;
	SumsPlan	plan;

	sums_plan_write(wanted, bytes);
	assert_int_equal(sums_plan_read(core, arena, bytes, length, &plan), CORE_OK);
	for (int part = 0; part < PARTS; part++)
	{
		StudentSums *sums = arena_allocate(arena, sums_size(&plan, WIDTH), 1);

		sums_clear(&plan, WIDTH, sums);
		for (int i = part; i < N; i += PARTS)
			assert_int_equal(sums_add(core, &plan, sums, set->vectors + i * WIDTH, set->labels[i], set->soft[i],
									  set->weights[i]), CORE_OK);
		assert_int_equal(sums_check(core, sums, sums_size(&plan, WIDTH), total), CORE_OK);
		if (total == NULL)
			total = sums;
		else
			sums_merge(total, sums);
	}
	return total;
}

/* Fit by sums. */
static Student
search(Core *core, Arena *arena, const Set *set, const StudentOptions *options, double *loss)
{
	const SumsPlan statistics = {.pass = SUMS_STATISTICS, .has_soft = true};
	StudentSearch search;

	assert_int_equal(student_search_open(core, arena, options, sum_parts(core, arena, &statistics, set), true,
										 &search), CORE_OK);
	while (!search.done)
		assert_int_equal(student_search_step(&search, sum_parts(core, arena, &search.plan, set)), CORE_OK);
	assert_int_equal(student_search_finish(&search), CORE_OK);
	*loss = search.loss;
	return search.student;
}

static void
assert_same_logits(const Set *set, const Student *a, const Student *b)
{
	for (int i = 0; i < N; i++)
		assert_true(fabs(student_logit(a, set->vectors + i * WIDTH) - student_logit(b, set->vectors + i * WIDTH)) < 2e-5);
}

/* Logistic, by Newton's method, plain and anchored, with and without ridge. */
static void
same_as_in_memory(void **state)
{
	Set			set;
	Core		core;
	Arena		arena;
	StudentSamples samples = {N, WIDTH, set.vectors, set.labels, set.soft, set.weights, NULL};
	StudentOptions options;

	(void) state;
	make_set(&set);
	student_defaults(&options);
	for (int variant = 0; variant < 4; variant++)
	{
		Student		in_memory;
		Student		by_sums;
		double		loss;

		core_open_standalone(&core, 1);
		arena_open(&arena, &core);
		options.anchored = variant % 2 == 1;
		options.ridge = variant < 2 ? STUDENT_RIDGE_AUTOMATIC : 0.01f;
		assert_int_equal(student_train(&core, &arena, &samples, &options, &in_memory), CORE_OK);
		by_sums = search(&core, &arena, &set, &options, &loss);
		assert_same_logits(&set, &in_memory, &by_sums);
		arena_close(&arena);
	}
}

/* An MLP gets a lower loss than it can with a single step, and a gradient that is one: the loss only falls so. */
static void
mlp_learns(void **state)
{
	Set			set;
	Core		core;
	Arena		arena;
	StudentOptions options;
	double		first;
	double		last;

	(void) state;
	make_set(&set);
	core_open_standalone(&core, 1);
	arena_open(&arena, &core);
	student_defaults(&options);
	options.kind = STUDENT_MLP;
	options.n_hidden = 2;
	options.hidden[0] = 5;
	options.hidden[1] = 4;
	options.ridge = 0;
	options.soft_weight = 0;
	options.iterations = 1;
	search(&core, &arena, &set, &options, &first);
	options.iterations = 150;
	search(&core, &arena, &set, &options, &last);
	assert_true(last < 0.75 * first);
	arena_close(&arena);
}

/* The gradient of an MLP's sums against differences of its loss. */
static void
mlp_gradient(void **state)
{
	Set			set;
	Core		core;
	Arena		arena;
	double		means[WIDTH] = {0};
	double		factors[WIDTH] = {1, 1, 1, 1, 1, 1};
	SumsPlan	plan = {
		.pass = SUMS_GRADIENT, .has_soft = true, .network = {.n_layers = 3, .widths = {WIDTH, 4, 3, 1}},
		.hard_scale = 0.001, .soft_scale = 0.002, .temperature = 1.5, .scale = {WIDTH, means, factors}
	};
	int64_t		n = student_parameter_count(3, plan.network.widths);
	StudentSums *sums;

	(void) state;
	make_set(&set);
	core_open_standalone(&core, 1);
	arena_open(&arena, &core);
	plan.parameters = arena_doubles(&arena, (size_t) n);
	for (int64_t i = 0; i < n; i++)
		plan.parameters[i] = sample_number(4, (uint64_t) i);
	sums = sum_parts(&core, &arena, &plan, &set);
	for (int64_t i = 0; i < n; i++)
	{
		double		at = plan.parameters[i];
		double		above;
		double		below;

		plan.parameters[i] = at + 1e-5;
		above = sum_parts(&core, &arena, &plan, &set)->values[0];
		plan.parameters[i] = at - 1e-5;
		below = sum_parts(&core, &arena, &plan, &set)->values[0];
		plan.parameters[i] = at;
		assert_true(fabs((above - below) / 2e-5 - sums->values[1 + i]) < 1e-6);
	}
	arena_close(&arena);
}

/* A plan cut short or with a byte changed is refused, and so are sums of other vectors. */
static void
survives_any_bytes(void **state)
{
	double		numbers[2 * WIDTH + WIDTH + 1] = {0};
	SumsPlan	plan = {
		.pass = SUMS_HESSIAN, .network = {.n_layers = 1, .widths = {WIDTH, 1}}, .temperature = 1,
		.scale = {WIDTH, numbers, numbers + WIDTH}, .parameters = numbers + 2 * WIDTH
	};
	unsigned char bytes[1024];
	size_t		length = sums_plan_size(&plan);
	StudentSums *sums;
	StudentSums *other;
	SumsPlan	read;
	Core		core;
	Arena		arena;

	(void) state;
	core_open_standalone(&core, 1);
	arena_open(&arena, &core);
	sums_plan_write(&plan, bytes);
	for (size_t i = 0; i < length; i++)
	{
		core.status = CORE_OK;
		assert_int_equal(sums_plan_read(&core, &arena, bytes, i, &read), CORE_CORRUPT);
		core.status = CORE_OK;
		bytes[i] ^= 0x41;
		assert_int_equal(sums_plan_read(&core, &arena, bytes, length, &read), CORE_CORRUPT);
		bytes[i] ^= 0x41;
	}
	core.status = CORE_OK;
	sums = arena_allocate(&arena, sums_size(&plan, WIDTH), 1);
	other = arena_allocate(&arena, sums_size(&plan, WIDTH), 1);
	sums_clear(&plan, WIDTH, sums);
	sums_clear(&plan, WIDTH, other);
	assert_int_equal(sums_check(&core, sums, sums_size(&plan, WIDTH), other), CORE_OK);
	assert_int_equal(sums_check(&core, sums, sums_size(&plan, WIDTH) - 1, NULL), CORE_CORRUPT);
	core.status = CORE_OK;
	other->width = WIDTH - 1;
	assert_int_equal(sums_check(&core, sums, sums_size(&plan, WIDTH), other), CORE_CORRUPT);
	arena_close(&arena);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_as_in_memory),
		cmocka_unit_test(mlp_learns),
		cmocka_unit_test(mlp_gradient),
		cmocka_unit_test(survives_any_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
