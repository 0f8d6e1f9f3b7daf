/*
 * refresh.h
 *		Vectors of some users or objects anew, from all their interactions as they are now.
 */
#ifndef BEHAVPRED_REFRESH_H
#define BEHAVPRED_REFRESH_H

#include "postgres.h"

#include "utils/array.h"

#include "pg/fold_in_scene.h"

typedef struct RefreshCounts
{
	int64		refreshed;		/* vectors written */
	int64		added;			/* of them, nodes that had none */
	int64		removed;		/* vectors of nodes without an interaction any more */
	int64		left_out;		/* nodes none of whose neighbours has a vector */
	int64		interactions;	/* rows read */
} RefreshCounts;

/*
 * Read the interactions of the keys, and write their vectors.  The caller holds graph_hold_vectors(), and
 * has opened the scene after it.
 */
extern void refresh_nodes(FoldInScene *scene, const Dictionary *keys, RefreshCounts *counts);

/* Add the keys of a text array, each once; NULL elements are left out. */
extern void refresh_add_keys(Dictionary *keys, const GraphDefinition *definition, bool of_objects, ArrayType *texts);

/* Keys that have no vector yet. */
extern Dictionary *refresh_new_keys(Arena *arena, const GraphDefinition *definition, bool of_objects,
									const Dictionary *keys);

/* How the interactions of some keys are found: the name of an index that begins with their column, NULL = by a scan. */
extern char *refresh_index(const GraphDefinition *definition, bool of_objects);

#endif
