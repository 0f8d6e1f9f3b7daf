/*
 * behavpred.c
 *		What happens when the library is loaded, and its version.
 *
 * Threads never meet the server: loading OpenBLAS starts a pool of threads that could
 * run the signal handlers of this process.  They are ended here; the numeric core has
 * threads of its own, which live only inside one call and have all signals blocked.
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/builtins.h"

#include "pg/settings.h"
#include "pg/version.h"

PG_MODULE_MAGIC;

/* Weak, because another BLAS, or OpenBLAS without threads, lacks them. */
extern void openblas_set_num_threads(int n_threads) __attribute__((weak));
extern int	blas_thread_shutdown_(void) __attribute__((weak));

extern void _PG_init(void);

PG_FUNCTION_INFO_V1(behavpred_version);

/*
 * End the threads of OpenBLAS.  First the number, so that no later call starts them
 * again; the number alone would leave the threads alive and asleep.
 */
static void
end_blas_threads(void)
{
	if (openblas_set_num_threads != NULL)
		openblas_set_num_threads(1);
	if (blas_thread_shutdown_ != NULL)
		blas_thread_shutdown_();
}

/* Called once in each backend (or in the postmaster, when preloaded). */
void
_PG_init(void)
{
	end_blas_threads();
	settings_define();
}

/* version() */
Datum
behavpred_version(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(BEHAVPRED_VERSION));
}
