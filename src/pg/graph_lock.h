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
 * ERRCODE_UNDEFINED_OBJECT when it was dropped since the definition was read.
 */
extern void graph_lock(const GraphDefinition *definition);

/*
 * The same beyond the end of the transaction, for a procedure that commits in between.  It must
 * be let go on every way out; when the backend ends, the server does.
 */
extern void graph_lock_for_session(const char *graph);
extern void graph_unlock_for_session(const char *graph);

/*
 * Keep the graph from being dropped, which many sessions can do at a time: for what works on
 * its targets, whose rows refer to its own.
 */
extern void graph_hold(const GraphDefinition *definition);

/* The lock, when nobody else keeps it from being dropped. */
extern void graph_lock_for_drop(const GraphDefinition *definition);

/*
 * Until the end of the transaction, waiting for whoever is in the way: nobody replaces the vectors of the
 * graph, which many can ask for at a time; to replace them, which a training asks for when it comes to store
 * its own; to be the only one who writes some of them.
 */
extern void graph_hold_vectors(const char *graph);
extern void graph_replace_vectors(const char *graph);
extern void graph_write_vectors(const char *graph);

/* The lock of a target. */
extern void target_lock(const TargetDefinition *definition);

#endif
