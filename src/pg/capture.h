/*
 * capture.h
 *		The queue of nodes whose interactions have changed; triggers fill it, see sql/parts/capture.sql.
 */
#ifndef BEHAVPRED_CAPTURE_H
#define BEHAVPRED_CAPTURE_H

#include "postgres.h"

#include "pg/graph_definition.h"

/* End the capture of a graph that is dropped: triggers and queue. */
extern void capture_drop(const char *graph);

/*
 * What a training reads makes queued changes that it has seen void.  capture_snapshot() tells which
 * those are, as text to keep over commits; capture_forget() removes them.
 */
extern char *capture_snapshot(void);
extern void capture_forget(const char *graph, const char *snapshot);

/*
 * Of a graph that is captured by time: queue the nodes of interactions since the last time, less the overlap.
 * For other graphs nothing is done.
 */
extern void capture_by_time(const GraphDefinition *definition);

#endif
