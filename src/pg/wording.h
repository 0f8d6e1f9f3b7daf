/*
 * wording.h
 *		Numbers as messages print them, in CurrentMemoryContext.
 */
#ifndef BEHAVPRED_WORDING_H
#define BEHAVPRED_WORDING_H

#include "postgres.h"

/* 41000000 -> "41,000,000" */
extern char *format_count(int64 count);

/* 3328599654 -> "3.1 GB"; the units of the server: 1 kB = 1024 bytes. */
extern char *format_bytes(uint64 bytes);

/* 2, "user" -> "2 users"; 1 -> "1 user" */
extern char *format_counted(int64 count, const char *noun);

#endif
