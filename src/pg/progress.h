/*
 * progress.h
 *		Where a long call stands, for other sessions to see (view progress).
 *
 * A backend has one slot of shared memory at most, for the outermost call that asked.
 * Without a slot (all are taken, or the server has no memory left for them) the calls
 * below do nothing: progress is a courtesy, never a reason to fail.
 */
#ifndef BEHAVPRED_PROGRESS_H
#define BEHAVPRED_PROGRESS_H

#include "postgres.h"

#include "datatype/timestamp.h"

/* Take a slot for a call about a graph or target (either may be NULL); false without one. */
extern bool progress_open(const char *graph, const char *target);
extern void progress_close(void);

/*
 * Note phase (static text), `done` of `total` (0 = not known) and the memory in use.  Raises
 * nothing and takes no lock but the slot's own, so worker threads may be alive.
 */
extern void progress_note(const char *phase, int64 done, int64 total, uint64 bytes);

/* The same from the database side, which does not count its memory; a debug point may raise. */
extern void progress_phase(const char *phase, int64 done, int64 total);

/* When the call of a process of this database began; 0 when it shows none. */
extern TimestampTz progress_started(int pid);

#endif
