/*
 * target_record.h
 *		Models of targets in the catalog: versions, quality, which one is deployed.
 */
#ifndef BEHAVPRED_TARGET_RECORD_H
#define BEHAVPRED_TARGET_RECORD_H

#include "postgres.h"

#include "utils/timestamp.h"

#include "core/target_model.h"
#include "pg/target_definition.h"

typedef enum DeployRule
{
	DEPLOY_IF_BETTER,			/* its AUC is not lower than that of the deployed model on the same
								 * test users, or the deployed model is out of date */
	DEPLOY_ALWAYS,
	DEPLOY_NEVER
} DeployRule;

/* The versions that a target has when its training begins. */
typedef struct TargetVersions
{
	int			latest;			/* 0 = none */
	const Student *incumbent;	/* the deployed one, NULL when there is none that fits the vectors */
} TargetVersions;

/* A finished training of a target, as it goes into the catalog. */
typedef struct TargetTraining
{
	const TargetDefinition *target;
	const GraphDefinition *graph;
	const Student *student;
	const TargetQuality *quality;	/* NULL when metrics are given */
	const TargetSample *sample;
	const char *metrics;		/* JSON of a model that was measured elsewhere, else NULL */
	const char *options;		/* JSON */
	bool		teacher_is_object;	/* else what the seeds have in common stands for one */
	TimestampTz started_at;
	int64		seed;
	int			threads;
	DeployRule	deploy;
	const TargetVersions *versions;
} TargetTraining;

typedef struct StoredModel
{
	int64		run_id;
	int			version;
	bool		deployed;
} StoredModel;

/* What the target has been trained to so far; the incumbent lives in `arena`. */
extern TargetVersions target_versions_read(const TargetDefinition *target, const GraphDefinition *graph,
										   Arena *arena);

/* Write the run and the model as the target's next version, and deploy it as asked. */
extern StoredModel target_model_store(const TargetTraining *training);

#endif
