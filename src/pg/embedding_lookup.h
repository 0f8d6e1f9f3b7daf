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

/*
 * The vector of a key in a table that embedding_table_find() has found.  SPI must be
 * connected; the vector goes with SPI_finish().  False when the key is not there.
 */
extern bool embedding_find(Oid table, const char *key_column, Oid key_type, Datum key, Datum *vector);

/* Its vector in CurrentMemoryContext, NULL when the graph does not know the key. */
extern ArrayType *embedding_lookup(const GraphDefinition *graph, bool of_objects, Datum key);

#endif
