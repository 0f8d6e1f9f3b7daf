/*
 * embedding_lookup.h
 *		The stored vector of one user or object, by its key.
 */
#ifndef BEHAVPRED_EMBEDDING_LOOKUP_H
#define BEHAVPRED_EMBEDDING_LOOKUP_H

#include "postgres.h"

#include "fmgr.h"
#include "utils/array.h"

#include "pg/graph_definition.h"

/* A user or object that an (anyelement) or (text) argument names, as the graph's key type. */
extern Datum node_argument(FunctionCallInfo fcinfo, int argument, const GraphDefinition *graph,
						   bool of_objects);

/* Its vector in CurrentMemoryContext, NULL when the graph does not know the key. */
extern ArrayType *embedding_lookup(const GraphDefinition *graph, bool of_objects, Datum key);

#endif
