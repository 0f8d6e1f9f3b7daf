/*
 * audience_selection.h
 *		The users of a target that are most likely to do it.
 */
#ifndef BEHAVPRED_AUDIENCE_SELECTION_H
#define BEHAVPRED_AUDIENCE_SELECTION_H

#include "postgres.h"

#include "fmgr.h"

#include "core/student.h"
#include "pg/result_rows.h"
#include "pg/selection.h"
#include "pg/target_definition.h"

/* What is asked for; all conditions must hold. */
typedef struct AudienceRequest
{
	TargetDefinition *target;
	int64		size;			/* 0 = no limit */
	double		fraction;		/* of the candidates that are not left out; 0 = no limit */
	double		min_probability;	/* 0 = none */
	double		min_lift;		/* 0 = none */
	bool		exclude_known;
	char	   *candidates;		/* quoted relation, NULL = all users of the graph */
	int			threads;		/* 0 = behavpred.threads */
} AudienceRequest;

typedef struct Audience
{
	Core	   *core;
	Arena		arena;
	GraphDefinition *graph;
	Oid			key_type;		/* of the selected keys */
	const Student *student;
	Selection	selection;		/* sorted; scores are raw logits */
} Audience;

/* The conditions size, fraction, min_probability, min_lift, exclude_known, candidates from
 * position `first` on, checked; the target and threads are the caller's to fill in. */
extern AudienceRequest audience_conditions(FunctionCallInfo fcinfo, int first);

/* The arguments of audience() and audience_into() from position `first` on, checked. */
extern AudienceRequest audience_arguments(FunctionCallInfo fcinfo, int first);

/* Find the graph and the deployed model; ended by audience_close(). */
extern void audience_open(const AudienceRequest *request, Audience *audience);

/* Score and select; the graph, the key type, the student, the core and the arena are there. */
extern void audience_select(const AudienceRequest *request, Audience *audience);
extern void audience_close(Audience *audience);

/* How many users are wanted of so many candidates, 0 = all. */
extern int64 audience_limit(const AudienceRequest *request, int64 candidates);

/* Is a user with this raw logit above the thresholds? */
extern bool audience_admits(const AudienceRequest *request, const Audience *audience, double logit);

/* Probability and lift of an entry. */
extern double audience_probability(const Audience *audience, const ScoredKey *entry, double *lift);

/* The selected users as rows: rank, user_key, probability, lift. */
extern void audience_return(const Audience *audience, ResultRows *rows);

#endif
