/*
 * graph_validation.h
 *		What create_graph() is given, and the checks it passes before anything is read.
 */
#ifndef BEHAVPRED_GRAPH_VALIDATION_H
#define BEHAVPRED_GRAPH_VALIDATION_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "pg/graph_definition.h"

/* The arguments that a GraphDefinition does not hold in a form that can be checked. */
typedef struct GraphSources
{
	Oid			interactions;
	Oid			users;			/* InvalidOid = none */
	Oid			objects;
	Interval   *since;			/* NULL = none */
} GraphSources;

/*
 * Check names, relations, columns, types and pairs of arguments, and fill in what follows
 * from them: key types, qualified names of the relations, features when none are named.
 */
extern void graph_validate(GraphDefinition *definition, const GraphSources *sources);

#endif
