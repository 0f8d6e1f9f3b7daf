/*
 * graph_advice.h
 *		What create_graph() says of a graph that can be made, but is hardly what was meant.
 */
#ifndef BEHAVPRED_GRAPH_ADVICE_H
#define BEHAVPRED_GRAPH_ADVICE_H

#include "postgres.h"

#include "pg/graph_loading.h"
#include "pg/graph_validation.h"

/*
 * Notices, and a warning: a temporary source; a behaviour that no interaction has; features of
 * nobody who has interactions; weights of which few outweigh all others; a bound of
 * degrees that leaves little.
 */
extern void graph_advise(Core *core, const GraphDefinition *definition, const GraphSources *sources,
						 const LoadedGraph *loaded);

#endif
