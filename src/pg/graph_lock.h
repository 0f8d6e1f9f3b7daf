/*
 * graph_lock.h
 *		One session at a time trains or drops a graph or a target.
 */
#ifndef BEHAVPRED_GRAPH_LOCK_H
#define BEHAVPRED_GRAPH_LOCK_H

#include "postgres.h"

#include "pg/graph_definition.h"
#include "pg/target_definition.h"

/*
 * Take the graph's lock until the end of the transaction, without waiting:
 * ERRCODE_OBJECT_IN_USE with the process that holds it, its role, and since when.
 */
extern void graph_lock(const GraphDefinition *definition);

/*
 * The same beyond the end of the transaction, for a procedure that commits in between.  It must
 * be let go on every way out; when the backend ends, the server does.
 */
extern void graph_lock_for_session(const char *graph);
extern void graph_unlock_for_session(const char *graph);

/* The same for a target. */
extern void target_lock(const TargetDefinition *definition);

#endif
