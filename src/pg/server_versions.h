/*
 * server_versions.h
 *		What PostgreSQL's major versions call differently, by the name of the newest.
 */
#ifndef BEHAVPRED_SERVER_VERSIONS_H
#define BEHAVPRED_SERVER_VERSIONS_H

#include "postgres.h"

#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

#include "miscadmin.h"
#include "storage/proc.h"
#include "utils/guc.h"

#if PG_VERSION_NUM < 150000
#define MarkGUCPrefixReserved(prefix) EmitWarningsOnPlaceholders(prefix)
#endif

#if PG_VERSION_NUM >= 170000
#define CURRENT_LOCAL_TRANSACTION (MyProc->vxid.lxid)
#else
#define CURRENT_LOCAL_TRANSACTION (MyProc->lxid)
#define TransactionTimeoutPending false
#endif

#if PG_VERSION_NUM < 180000
#define pg_noreturn __attribute__((noreturn))
#endif

#endif
