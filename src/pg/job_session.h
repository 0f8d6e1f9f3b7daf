/*
 * job_session.h
 *		What a procedure needs that commits between its steps.
 *
 * Between job_begin() and job_end() the procedure is connected to SPI and may call job_commit().
 * Memory of the context that is current after job_begin() outlives the commits.  Between a
 * commit and the next statement no snapshot is held.
 */
#ifndef BEHAVPRED_JOB_SESSION_H
#define BEHAVPRED_JOB_SESSION_H

#include "postgres.h"

#include "fmgr.h"

/*
 * Refuse to run inside a transaction block, a function, or an exception block:
 * ERRCODE_INVALID_TRANSACTION_TERMINATION, with the function to use there as a hint.
 */
extern void job_require_own_transactions(FunctionCallInfo fcinfo, const char *procedure, const char *instead);

extern void job_begin(void);
extern void job_end(void);
extern void job_commit(void);
extern void job_rollback(void);

/*
 * For PG_CATCH: take the error, and leave the failed transaction and all that was open in it
 * behind.  A new transaction is begun.  The error is copied into `context`.
 */
extern ErrorData *job_recover(MemoryContext context);

/* The statement that the client sent, for hints that say how to go on. */
extern const char *job_statement(void);

/* A number of seconds of an argument, `otherwise` when it is NULL; NaN and below 0 are refused. */
extern double job_seconds_argument(FunctionCallInfo fcinfo, int argument, const char *name, double otherwise);

#endif
