/*
 * fold_in_scene.h
 *		What it takes to fold nodes of one kind into a trained graph: the options of the training,
 *		a sample of stored vectors, and the vectors of neighbours, each read when it is first needed.
 */
#ifndef BEHAVPRED_FOLD_IN_SCENE_H
#define BEHAVPRED_FOLD_IN_SCENE_H

#include "postgres.h"

#include "core/fold_in.h"
#include "pg/embedding_reading.h"
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
} FoldInScene;

/* Open for a graph that has been trained; all of it lives in `arena`. */
extern FoldInScene *fold_in_scene_open(Arena *arena, const GraphDefinition *definition, bool of_objects);

/* Read the vectors of the keys that were added to neighbour_keys since the last time. */
extern void fold_in_scene_look_up(FoldInScene *scene);

/* Raise what the core met. */
extern void fold_in_scene_check(const FoldInScene *scene);

/* The keys of a dictionary from `first` on as an array, for "= ANY ($1)", and its type. */
extern Datum key_array(Oid key_type, const Dictionary *keys, int32 first, Oid *array_type);

#endif
