/*
 * drift_reference.h
 *		What check_drift() compares with, kept at each training.
 */
#ifndef BEHAVPRED_DRIFT_REFERENCE_H
#define BEHAVPRED_DRIFT_REFERENCE_H

#include "postgres.h"

/* Of a graph whose vectors have just been stored (target NULL), or of a new version of a target. */
extern void drift_reference_keep(const char *graph, const char *target, int version);

#endif
