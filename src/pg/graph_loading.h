/*
 * graph_loading.h
 *		From the interaction table to the graph in memory.
 */
#ifndef BEHAVPRED_GRAPH_LOADING_H
#define BEHAVPRED_GRAPH_LOADING_H

#include "postgres.h"

#include "core/dictionary.h"
#include "core/features.h"
#include "core/graph.h"
#include "pg/graph_definition.h"

/* Rows of a feature table, and how many of them belong to nodes that have interactions. */
typedef struct FeatureCounts
{
	int64		rows;
	int64		known;
} FeatureCounts;

typedef struct LoadedGraph
{
	Dictionary	users;
	Dictionary	objects;
	Graph		graph;
	Features   *user_features;	/* NULL when the graph has none */
	Features   *object_features;
	char	  **user_feature_names;	/* one for each column of the above */
	char	  **object_feature_names;
	int64		rows_read;
	int64		null_keys;		/* rows left out because a key was NULL */
	int32		idle_users;		/* without an edge */
	int32		idle_objects;
	FeatureCounts user_rows;
	FeatureCounts object_rows;
} LoadedGraph;

/*
 * Read the sources as the caller, one pass, streaming, and build the graph in `arena`.
 * `seed` chooses the edges that max_degree keeps.  Errors: no interaction left
 * (ERRCODE_NO_DATA_FOUND), fewer than 2 users or objects, NaN, infinite or negative
 * weights, NaN or infinite features, an all-NULL feature column.
 */
extern LoadedGraph *graph_load(Arena *arena, const GraphDefinition *definition, bool with_features,
							   uint64 seed);

/* Room for interactions, with what the graph wants to know of each. */
extern void graph_interactions_open(Interactions *interactions, Arena *arena, const GraphDefinition *definition);

/* Say what the behaviours are of a graph that tells them apart. */
extern void graph_set_types(const GraphDefinition *definition, Graph *graph);

#endif
