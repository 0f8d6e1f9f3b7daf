/*
 * privileges.h
 *		Who may do what with a graph or a target.
 *
 * Row security decides which rows a role sees at all; here is the rest: whether a role
 * that sees a graph or target of another may have it read or trained.
 */
#ifndef BEHAVPRED_PRIVILEGES_H
#define BEHAVPRED_PRIVILEGES_H

#include "postgres.h"

/* Each includes those before it; the numbers are those of privilege_on(). */
typedef enum Privilege
{
	PRIVILEGE_NONE,
	PRIVILEGE_PREDICT,
	PRIVILEGE_READ,
	PRIVILEGE_TRAIN,
	PRIVILEGE_OWN				/* is not granted */
} Privilege;

/* "predict", "read", "train"; "none". */
extern const char *privilege_word(Privilege privilege);

/* A graph, or one of its targets. */
typedef struct ProtectedObject
{
	const char *owner;
	const char *graph;
	const char *target;			/* NULL for the graph itself */
} ProtectedObject;

/* True when the caller is the role of this name. */
extern bool is_current_role(const char *role);

/* What the caller has been granted; nothing to a superuser, who needs no grant to see rows. */
extern Privilege granted_privilege(const ProtectedObject *object);

/*
 * The most that the owner (a name) has granted the current role on the target (a text) of the graph;
 * without a target on the graph itself, or with `near` on it or any of its targets.
 */
extern Privilege granted_level(Datum owner, Datum graph, Datum target, bool has_target, bool near);

/*
 * ERRCODE_INSUFFICIENT_PRIVILEGE unless the caller is the owner or was granted the
 * privilege.  A superuser has no privilege by being one: sources are read as the caller,
 * and a view may hold any function, which he must not run because its author has
 * registered a graph over it.
 */
extern void require_privilege(const ProtectedObject *object, Privilege needed);

/*
 * ERRCODE_READ_ONLY_SQL_TRANSACTION on a standby or in a read-only transaction; `function`
 * is what would write.
 */
extern void require_writable(const char *function);

/*
 * Grant on embedding tables what grant_on() has promised, as far as it is missing.  The
 * owner alone can, and he alone makes such tables.
 */
extern void renew_embedding_grants(const char *graph, const char *owner);

#endif
