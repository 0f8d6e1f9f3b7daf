/*
 * held_out.h
 *		The scores of a model's test part, kept beside the model.
 */
#ifndef BEHAVPRED_HELD_OUT_H
#define BEHAVPRED_HELD_OUT_H

#include "postgres.h"

#include "core/evaluation.h"
#include "pg/target_record.h"

/* Keep those of the version that has just been written; nothing in a catalog of version 0.1. */
extern void held_out_store(const TargetTraining *training, int version);

/* A test part, and where it comes from. */
typedef struct HeldOutPart
{
	TestPart	part;
	Student		student;		/* the model that gave the scores */
	char	   *basis;			/* "unseen" or "in_graph", as train_target() returns it */
	int			version;
} HeldOutPart;

/*
 * The test part of a version of the caller's target, its arrays in `arena`.  False when none
 * was kept; ERRCODE_UNDEFINED_OBJECT when the target has no such version.
 */
extern bool held_out_read(Arena *arena, const TargetDefinition *target, int version, HeldOutPart *held_out);

/* The same; ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE when none was kept. */
extern void held_out_find(Arena *arena, const TargetDefinition *target, int version, HeldOutPart *held_out);

#endif
