/*
 * target_record.h
 *		Models of targets in the catalog: versions, quality, which one is deployed.
 */
#ifndef BEHAVPRED_TARGET_RECORD_H
#define BEHAVPRED_TARGET_RECORD_H

#include "postgres.h"

#include "core/target_model.h"
#include "pg/target_definition.h"

typedef enum DeployRule
{
	DEPLOY_IF_BETTER,			/* the AUC is not lower, or the deployed model is out of date */
	DEPLOY_ALWAYS,
	DEPLOY_NEVER
} DeployRule;

/* A finished training of a target, as it goes into the catalog. */
typedef struct TargetTraining
{
	const TargetDefinition *target;
	const GraphDefinition *graph;
	const Student *student;
	const TargetQuality *quality;
	const TargetSample *sample;
	const char *options;		/* JSON */
	const char *teacher;		/* "object" or "seeds" */
	TimestampTz started_at;
	int64		seed;
	int			threads;
	DeployRule	deploy;
} TargetTraining;

typedef struct StoredModel
{
	int64		run_id;
	int			version;
	bool		deployed;
} StoredModel;

/* Write the run and the model as the target's next version, and deploy it as asked. */
extern StoredModel target_model_store(const TargetTraining *training);

#endif
