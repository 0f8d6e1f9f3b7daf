/*
 * training_record.h
 *		What training_run and training_epoch keep of a training.
 */
#ifndef BEHAVPRED_TRAINING_RECORD_H
#define BEHAVPRED_TRAINING_RECORD_H

#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/timestamp.h"

#include "core/encoder.h"

/* A JSON object while it is put together. */
typedef struct JsonText
{
	StringInfoData text;
} JsonText;

extern void json_open(JsonText *json);
extern void json_number(JsonText *json, const char *name, double value);	/* NaN -> null */
extern void json_float(JsonText *json, const char *name, float value);	/* finite */
extern void json_count(JsonText *json, const char *name, int64 value);
extern void json_bool(JsonText *json, const char *name, bool value);
extern void json_word(JsonText *json, const char *name, const char *value);
extern void json_words(JsonText *json, const char *name, int n, char **values);
extern void json_numbers(JsonText *json, const char *name, int n, const double *values);	/* finite */
extern char *json_close(JsonText *json);

/* As whom a training read its sources, and whether policies may have hidden rows from it. */
extern void json_reader(JsonText *json, bool apply_row_security);

/* One row of training_run; strings of JSON. */
typedef struct TrainingRun
{
	const char *graph;
	const char *owner;			/* of the graph, whoever trains it */
	const char *target;			/* NULL for a graph's own training */
	int			version;		/* 0 = none */
	TimestampTz started_at;
	int64		seed;
	int			threads;
	const char *options;
	const char *result;
} TrainingRun;

/* Write a finished run; returns its run_id. */
extern int64 training_run_write(const TrainingRun *run);

/* Write its epochs. */
extern void training_epochs_write(int64 run_id, const char *owner, const EncoderEpoch *epochs, int n);

#endif
