/*
 * target_definition.h
 *		What registered_target holds of one target.
 */
#ifndef BEHAVPRED_TARGET_DEFINITION_H
#define BEHAVPRED_TARGET_DEFINITION_H

#include "postgres.h"

#include "core/dictionary.h"
#include "pg/graph_definition.h"

typedef struct TargetDefinition
{
	char	   *name;
	char	   *graph;
	char	   *owner;
	int			n_objects;
	char	  **objects;		/* keys as text; none when the target has seeds only */
	char	   *seeds;			/* quoted, schema-qualified relation, or NULL */
	char	   *candidates;
	char	   *negatives;
	char	   *horizon;		/* interval as text, or NULL */
	int			deployed_version;	/* 0 = no model yet */
} TargetDefinition;

/* ERRCODE_UNDEFINED_OBJECT with a hint when it is not there or not visible. */
extern TargetDefinition *target_definition_read(const char *name);

/* The same, and ERRCODE_INSUFFICIENT_PRIVILEGE unless the caller owns it or has been granted the privilege. */
extern TargetDefinition *target_definition_for(const char *name, Privilege privilege);

/* The same for what its owner alone may do. */
extern TargetDefinition *target_definition_owned(const char *name);

/* text[] of n strings. */
extern Datum text_array(int n, char **strings);

/* Keys of the target's objects, parsed: an array of Datums of the graph's object type. */
extern Datum *target_object_keys(const GraphDefinition *graph, int n_objects, char **objects);

/* The same as one value of the array type. */
extern Datum target_object_array(const GraphDefinition *graph, int n_objects, char **objects);

/*
 * Call function(argument, key) for each user who is known to belong to the target: he did
 * the behaviour to one of its objects (within the horizon), or is in the seeds relation.
 * A user may come more than once.
 */
typedef void (*UserFunction) (void *argument, const Key *key);
extern void target_known_users(const TargetDefinition *target, const GraphDefinition *graph,
							   UserFunction function, void *argument);

/* The users of a relation that holds user keys; `what` names it in messages. */
extern void relation_users(const GraphDefinition *graph, const char *relation, const char *what,
						   UserFunction function, void *argument);

/* SELECT <select> FROM the interactions that the graph counts, with one of these objects, and
 * within the horizon unless it is NULL. */
extern void target_interactions_read(const GraphDefinition *graph, const char *select, int n_objects,
									 char **objects, const char *horizon, RowFunction function, void *argument);

/*
 * SELECT key, embedding, degree FROM the user embeddings, restricted to the users of
 * `candidates` (a quoted relation) unless it is NULL.
 */
extern char *target_candidates_query(const GraphDefinition *graph, const char *candidates);

/* WARNING: that query found nobody, so nobody can be chosen. */
extern void warn_no_candidate(const GraphDefinition *graph, const char *candidates);

/* The same restriction as a condition on the user column. */
extern char *target_candidates_condition(const GraphDefinition *graph, const char *candidates);

#endif
