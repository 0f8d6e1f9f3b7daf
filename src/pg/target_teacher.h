/*
 * target_teacher.h
 *		What the training of a graph has left for its targets: its calibration, what it has
 *		not seen, and the vectors of objects.
 */
#ifndef BEHAVPRED_TARGET_TEACHER_H
#define BEHAVPRED_TARGET_TEACHER_H

#include "postgres.h"

#include "core/dictionary.h"
#include "core/target_model.h"
#include "pg/server_versions.h"
#include "pg/target_definition.h"

/* The graph's training, as far as targets need it. */
typedef struct GraphRun
{
	uint64		seed;
	float		validation_fraction;	/* of edges, held out (encoder_holds_out()) */
	float		target_fraction;	/* of users, shielded from target objects (encoder_shields()) */
	double		scale;			/* of the network's calibration, at a balanced prior */
	double		offset;
	int			factors;
	bool		has_until;
	double		until;			/* the cut of the graph, when it was trained */
	int			n_target_objects;	/* that were known then */
	char	  **target_objects; /* ascending by bytes */
} GraphRun;

/* The graph's last training; an error with a hint when its record is gone. */
extern GraphRun graph_run_read(const GraphDefinition *graph);

/* True when all objects of the target were shielded from then. */
extern bool graph_run_shields(const GraphRun *run, const TargetDefinition *target);

/* Vectors of the objects of many targets. */
typedef struct TargetObjectVectors
{
	Dictionary	keys;
	int			width;			/* 0 = there are none */
	float	   *vectors;		/* keys.count x width */
	bool	   *found;
} TargetObjectVectors;

/* Read the vectors of all their objects at once; NULL stands for a target that is left out. */
extern void target_objects_read(Arena *arena, const GraphDefinition *graph, int n_targets,
								TargetDefinition **targets, TargetObjectVectors *objects);

/*
 * The teacher of one target, its objects in `arena`.  ERRCODE_UNDEFINED_OBJECT when the
 * target has no seeds and none of its objects has a vector; ERRCODE_DATA_CORRUPTED when one
 * is not finite.
 */
extern TargetTeacher target_teacher(const GraphDefinition *graph, const GraphRun *run,
									const TargetObjectVectors *objects, const TargetDefinition *target,
									Arena *arena);

/* Vectors of different length in one graph; the owner may have changed a table. */
pg_noreturn extern void refuse_widths(const GraphDefinition *graph, int one, int other);

#endif
