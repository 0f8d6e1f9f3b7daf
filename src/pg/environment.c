/*
 * environment.c
 *		environment(): what this backend runs on, for the view health.
 */
#include "postgres.h"

#include <unistd.h>

#include "fmgr.h"
#include "utils/builtins.h"

#include "core/blas_kernels.h"
#include "core/kernels.h"
#include "pg/result_rows.h"
#include "pg/version.h"

PG_FUNCTION_INFO_V1(behavpred_environment);

/* Weak, because another BLAS lacks it. */
extern char *openblas_get_config(void) __attribute__((weak));

/* Threads of this process, as Linux counts them; 0 elsewhere. */
static int
process_threads(void)
{
	FILE	   *status = fopen("/proc/self/status", "r");
	char		line[256];
	int			threads = 0;

	if (status == NULL)
		return 0;
	while (threads == 0 && fgets(line, sizeof(line), status) != NULL)
		sscanf(line, "Threads: %d", &threads);
	fclose(status);
	return threads;
}

static void
add_property(ResultRows *rows, const char *name, const char *value)
{
	Datum		values[] = {CStringGetTextDatum(name), value == NULL ? (Datum) 0 : CStringGetTextDatum(value)};
	bool		nulls[] = {false, value == NULL};

	result_rows_add(rows, values, nulls);
}

/* A number; NULL when the system does not tell. */
static void
add_number(ResultRows *rows, const char *name, int64 value)
{
	add_property(rows, name, value <= 0 ? NULL : psprintf(INT64_FORMAT, value));
}

/* environment() */
Datum
behavpred_environment(PG_FUNCTION_ARGS)
{
	ResultRows	rows = result_rows_open(fcinfo);

	add_property(&rows, "library_version", BEHAVPRED_VERSION);
	add_property(&rows, "postgresql", PG_VERSION);
	add_property(&rows, "openblas", openblas_get_config == NULL ? NULL : openblas_get_config());
	add_property(&rows, "openblas_kernel", openblas_get_corename == NULL ? NULL : openblas_get_corename());
	add_property(&rows, "kernels", kernels_select(false)->name);
	add_number(&rows, "process_threads", process_threads());
	add_number(&rows, "processors", sysconf(_SC_NPROCESSORS_ONLN));
	add_number(&rows, "memory_bytes", (int64) sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE));
	return (Datum) 0;
}
