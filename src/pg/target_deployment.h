/*
 * target_deployment.h
 *		Which version of a target's model answers, and which did before.
 */
#ifndef BEHAVPRED_TARGET_DEPLOYMENT_H
#define BEHAVPRED_TARGET_DEPLOYMENT_H

#include "postgres.h"

#include "pg/target_definition.h"

/* Let this version answer from now on, and write down that it does; `action` is "train" or
 * "deploy". */
extern void deployment_write(const TargetDefinition *target, int version, const char *action);

#endif
