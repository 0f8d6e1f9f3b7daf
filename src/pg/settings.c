/*
 * settings.c
 *		The behavpred.* settings.
 */
#include "postgres.h"

#include <limits.h>
#include <unistd.h>

#include "utils/guc.h"

#include "pg/debug_point.h"
#include "pg/server_versions.h"
#include "pg/settings.h"

#define MOST_THREADS 64
#define LEAST_MEMORY_KB 1024
#define DEFAULT_MEMORY_KB (1024 * 1024)
#define DEFAULT_SEED 42

int			setting_threads = 1;
int			setting_max_threads = 1;
int			setting_max_memory = DEFAULT_MEMORY_KB;
int			setting_seed = DEFAULT_SEED;

/* Processors of this machine, as far as the setting goes. */
static int
processors(void)
{
	long		online = sysconf(_SC_NPROCESSORS_ONLN);

	return (int) Min(Max(online, 1), MOST_THREADS);
}

/* How many threads one call uses, and how many it may use. */
static void
define_thread_settings(void)
{
	DefineCustomIntVariable("behavpred.threads",
							"Sets the number of threads of one call, the backend itself included.",
							"Results do not depend on it. Values above behavpred.max_threads count as that.",
							&setting_threads, 1, 1, MOST_THREADS, PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("behavpred.max_threads",
							"Sets the upper bound for behavpred.threads and for the argument \"threads\".",
							"The default is the number of processors.",
							&setting_max_threads, processors(), 1, MOST_THREADS, PGC_SUSET, 0, NULL, NULL, NULL);
}

/* Define them all; called once from _PG_init. */
void
settings_define(void)
{
	define_thread_settings();
	DefineCustomIntVariable("behavpred.max_memory",
							"Sets the maximum memory of one call.",
							"A call that needs more is refused before it starts its work.",
							&setting_max_memory, DEFAULT_MEMORY_KB, LEAST_MEMORY_KB, INT_MAX,
							PGC_USERSET, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("behavpred.seed",
							"Sets the seed of random numbers for calls that name none.",
							"The same seed and data give the same result.",
							&setting_seed, DEFAULT_SEED, 0, INT_MAX, PGC_USERSET, 0, NULL, NULL, NULL);
	debug_point_define();

	MarkGUCPrefixReserved("behavpred");
}
