/*
 * target_objects.h
 *		The objects that the targets of a graph ask about.
 *
 * A training of the graph shields part of the users from their edges to them, so that
 * students learn from vectors that have not seen what is to be predicted.
 */
#ifndef BEHAVPRED_TARGET_OBJECTS_H
#define BEHAVPRED_TARGET_OBJECTS_H

#include "postgres.h"

#include "pg/graph_loading.h"

typedef struct TargetObjects
{
	int			n;
	int			capacity;
	char	  **names;			/* keys as text, as the targets have them */
} TargetObjects;

/* Read them, and let loaded->graph.target_objects (in `arena`) flag those it has. */
extern TargetObjects *target_objects_mark(Arena *arena, const GraphDefinition *definition, LoadedGraph *loaded);

#endif
