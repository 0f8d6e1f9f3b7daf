/*
 * target_definition.h
 *		What registered_target holds of one target, and its deployed model.
 */
#ifndef BEHAVPRED_TARGET_DEFINITION_H
#define BEHAVPRED_TARGET_DEFINITION_H

#include "postgres.h"

#include "utils/array.h"

typedef struct TargetDefinition
{
	char	   *name;
	char	   *graph;
	ArrayType  *objects;		/* text[], may be empty */
	char	   *seeds;			/* quoted relation, or NULL */
	char	   *candidates;
	char	   *negatives;
	char	   *horizon;		/* interval as text, or NULL */
	int			deployed_version;	/* 0 = no model yet */
} TargetDefinition;

/* ERRCODE_UNDEFINED_OBJECT with a hint when it is not there or not visible. */
extern TargetDefinition *target_definition_read(const char *name);

#endif
