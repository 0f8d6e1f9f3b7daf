/*
 * fold_in_scene.h
 *		What it takes to fold nodes of one kind into a trained graph: the options of the training,
 *		a sample of stored vectors, and the vectors of neighbours, each read when it is first needed.
 */
#ifndef BEHAVPRED_FOLD_IN_SCENE_H
#define BEHAVPRED_FOLD_IN_SCENE_H

#include "postgres.h"

#include "utils/jsonb.h"

#include "core/fold_in.h"
#include "pg/embedding_reading.h"
#include "pg/network_storage.h"
#include "pg/stored_direct.h"
#include "pg/target_teacher.h"

typedef struct FoldInScene
{
	const GraphDefinition *definition;
	Arena	   *arena;
	bool		of_objects;		/* objects are folded in, users are their neighbours */
	EncoderOptions options;
	GraphRun	run;
	FoldIn		fold;
	Dictionary	shielded;		/* objects that targets asked about when the graph was trained */
	Dictionary	neighbour_keys;
	StoredEmbeddings *neighbours;	/* degree -1: the training did not know it */
	int32		looked_up;		/* keys whose vectors have been looked for */
	double		mean_weight;	/* of the interactions, in the training */

	/* The trained network, where the table of the neighbours has their states; else stored vectors alone serve. */
	KeptNetwork *kept;
	FoldInNetwork network;
	bool		writes_states;	/* into the nodes' own table */
	StoredDirect *direct;		/* of objects: the term, for the numbers of new ones */
} FoldInScene;

/* Open for a graph that has been trained; all of it lives in `arena`. */
extern FoldInScene *fold_in_scene_open(Arena *arena, const GraphDefinition *definition, bool of_objects);

/* Read the vectors of the keys that were added to neighbour_keys since the last time. */
extern void fold_in_scene_look_up(FoldInScene *scene);

/* The features of the nodes of this scene from their table, as the network reads them; NULL when it has none of
 * their kind.  found[] tells which keys have a row. */
extern Features *fold_in_scene_features(const FoldInScene *scene, Arena *arena, const Dictionary *keys, bool *found);

/* The same for one node, from a JSON object; NULL stands for an empty one. */
extern Features *fold_in_scene_features_given(const FoldInScene *scene, Arena *arena, Jsonb *json);

/* Raise what the core met. */
extern void fold_in_scene_check(const FoldInScene *scene);

#endif
