/*
 * test_blas_kernels.c
 *		OpenBLAS on a processor that it does not know.
 */
#include "support.h"

#include <stdlib.h>

#include "core/blas_kernels.h"
#include "core/kernels.h"

/* Let OpenBLAS take this processor for one that `name` was written for. */
static void
take_processor_for(const char *name)
{
	setenv("OPENBLAS_CORETYPE", name, 1);
	gotoblas_dynamic_quit();
	gotoblas_dynamic_init();
}

/* Only where there is something to choose: OpenBLAS for many processors, on one that has more. */
static void
skip_without_choice(void)
{
	if (gotoblas_dynamic_init == NULL || kernels_select(false) == &kernels_portable)
		skip();
}

static void
test_unknown_processor_runs_what_it_can(void **state)
{
	(void) state;
	skip_without_choice();
	take_processor_for("Prescott");
	assert_string_equal(openblas_get_corename(), "Prescott");
	unsetenv("OPENBLAS_CORETYPE");
	blas_kernels_choose();
	assert_string_not_equal(openblas_get_corename(), "Prescott");
	assert_null(getenv("OPENBLAS_CORETYPE"));
}

static void
test_choice_of_the_environment_stays(void **state)
{
	(void) state;
	skip_without_choice();
	take_processor_for("Prescott");
	blas_kernels_choose();
	assert_string_equal(openblas_get_corename(), "Prescott");
	unsetenv("OPENBLAS_CORETYPE");
}

static void
test_known_processor_is_left_alone(void **state)
{
	(void) state;
	skip_without_choice();
	take_processor_for("Haswell");
	unsetenv("OPENBLAS_CORETYPE");
	blas_kernels_choose();
	assert_string_equal(openblas_get_corename(), "Haswell");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unknown_processor_runs_what_it_can),
		cmocka_unit_test(test_choice_of_the_environment_stays),
		cmocka_unit_test(test_known_processor_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
