/*
 * user_objects.h
 *		The objects that one user has interacted with.
 */
#ifndef BEHAVPRED_USER_OBJECTS_H
#define BEHAVPRED_USER_OBJECTS_H

#include "postgres.h"

#include "core/dictionary.h"
#include "pg/graph_definition.h"

/* Add the keys of a user's objects to a dictionary, reading the graph's interactions. */
extern void user_objects_read(const GraphDefinition *graph, Datum user, Dictionary *objects);

#endif
