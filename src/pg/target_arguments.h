/*
 * target_arguments.h
 *		The arguments that all functions which train models of targets share.
 */
#ifndef BEHAVPRED_TARGET_ARGUMENTS_H
#define BEHAVPRED_TARGET_ARGUMENTS_H

#include "postgres.h"

#include "fmgr.h"

#include "core/target_model.h"
#include "pg/options.h"
#include "pg/target_record.h"

typedef struct TargetArguments
{
	TargetOptions options;		/* of the fit */
	double		negative_ratio; /* negatives for each positive */
	int64		least_negatives;	/* but at least so many, when there are */
	uint64		seed;
	int			seed_weight_scale;	/* of the option */
	int			deploy;			/* DeployRule */
	int			threads;		/* 0 = behavpred.threads */
} TargetArguments;

/* model, hidden, soft_weight, seed_weights, negative_ratio, calibration, seed, threads,
 * options: from position `first` on, checked. */
extern TargetArguments target_arguments(FunctionCallInfo fcinfo, int first);

/* All options as the run's record keeps them: with the seed they make the same model again. */
extern char *target_arguments_json(const TargetArguments *arguments);

/* The arguments model, hidden and soft_weight by themselves; the first sets all defaults. */
extern void student_kind_argument(FunctionCallInfo fcinfo, int argument, StudentOptions *student);
extern void student_hidden_argument(FunctionCallInfo fcinfo, int argument, StudentOptions *student);
extern void student_soft_weight_argument(FunctionCallInfo fcinfo, int argument, StudentOptions *student);

/* What the argument "options" may hold of the fit: rows of a table that has room for MOST_STUDENT_OPTIONS, the
 * caller's own and the end among them. Returns how many. */
#define MOST_STUDENT_OPTIONS 12
extern int	student_options(StudentOptions *student, Option *table);

#endif
