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
 * ERRCODE_OBJECT_IN_USE with the process that holds it.
 */
extern void graph_lock(const GraphDefinition *definition);

/* The same for a target. */
extern void target_lock(const TargetDefinition *definition);

#endif
