/*
 * settings.h
 *		The behavpred.* settings.
 */
#ifndef BEHAVPRED_SETTINGS_H
#define BEHAVPRED_SETTINGS_H

/* behavpred.threads: workers of one call, the backend included (1 .. 64, default 1) */
extern int	setting_threads;

/* behavpred.max_threads: upper bound for the above, superuser (1 .. 64, default: processors) */
extern int	setting_max_threads;

/* behavpred.max_memory: of one call, in kB (default 1 GB) */
extern int	setting_max_memory;

/* behavpred.seed: when a call names none (0 .. 2^31 - 1, default 42) */
extern int	setting_seed;

/* Define them all; called once from _PG_init. */
extern void settings_define(void);

#endif
