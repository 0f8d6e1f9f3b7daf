/*
 * training_record.c
 *		What training_run and training_epoch keep of a training.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/float.h"
#include "utils/json.h"

#include "pg/training_record.h"
#include "pg/writer.h"

/* Begin an object. */
void
json_open(JsonText *json)
{
	initStringInfo(&json->text);
	appendStringInfoChar(&json->text, '{');
}

/* The name of the next member. */
static void
json_name(JsonText *json, const char *name)
{
	if (json->text.len > 1)
		appendStringInfoString(&json->text, ", ");
	escape_json(&json->text, name);
	appendStringInfoString(&json->text, ": ");
}

/* JSON knows no NaN: what could not be computed is null. */
void
json_number(JsonText *json, const char *name, double value)
{
	json_name(json, name);
	appendStringInfoString(&json->text, isfinite(value) ? float8out_internal(value) : "null");
}

/* As short as float4 has it: 0.12 rather than 0.11999999731779099. A run that failed may have been given NaN. */
void
json_float(JsonText *json, const char *name, float value)
{
	json_name(json, name);
	appendStringInfoString(&json->text, isfinite(value) ?
						   DatumGetCString(DirectFunctionCall1(float4out, Float4GetDatum(value))) : "null");
}

/* A whole number. */
void
json_count(JsonText *json, const char *name, int64 value)
{
	json_name(json, name);
	appendStringInfo(&json->text, INT64_FORMAT, value);
}

/* true or false. */
void
json_bool(JsonText *json, const char *name, bool value)
{
	json_name(json, name);
	appendStringInfoString(&json->text, value ? "true" : "false");
}

/* A string. */
void
json_word(JsonText *json, const char *name, const char *value)
{
	json_name(json, name);
	escape_json(&json->text, value);
}

/* An array of strings. */
void
json_words(JsonText *json, const char *name, int n, char **values)
{
	json_name(json, name);
	appendStringInfoChar(&json->text, '[');
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoString(&json->text, ", ");
		escape_json(&json->text, values[i]);
	}
	appendStringInfoChar(&json->text, ']');
}

/* An array of numbers. */
void
json_numbers(JsonText *json, const char *name, int n, const double *values)
{
	json_name(json, name);
	appendStringInfoChar(&json->text, '[');
	for (int i = 0; i < n; i++)
		appendStringInfo(&json->text, "%s%s", i > 0 ? ", " : "", float8out_internal(values[i]));
	appendStringInfoChar(&json->text, ']');
}

/* End the object. */
char *
json_close(JsonText *json)
{
	appendStringInfoChar(&json->text, '}');
	return json->text.data;
}

/* See training_record.h. */
void
json_reader(JsonText *json, bool apply_row_security)
{
	json_word(json, "read_as", GetUserNameFromId(GetUserId(), false));
	json_word(json, "row_security", apply_row_security ? "apply" : "error");
}

/* Write a finished run. */
int64
training_run_write(const TrainingRun *run)
{
	Oid			types[] = {TEXTOID, TEXTOID, INT4OID, TIMESTAMPTZOID, INT8OID, INT4OID, TEXTOID, TEXTOID,
	TEXTOID};
	Datum		values[] = {
		CStringGetTextDatum(run->graph),
		run->target == NULL ? (Datum) 0 : CStringGetTextDatum(run->target),
		Int32GetDatum(run->version),
		TimestampTzGetDatum(run->started_at),
		Int64GetDatum(run->seed),
		Int32GetDatum(run->threads),
		CStringGetTextDatum(run->options),
		CStringGetTextDatum(run->result),
		CStringGetTextDatum(run->owner)
	};
	char		nulls[] = {' ', run->target == NULL ? 'n' : ' ', run->version == 0 ? 'n' : ' ',
	' ', ' ', ' ', ' ', ' ', ' '};

	return write_row_returning("INSERT INTO behavpred.training_run (graph, target, version, started_at, "
							   "finished_at, status, seed, threads, options, result, owner) "
							   "VALUES ($1, $2, $3, $4, pg_catalog.clock_timestamp(), 'done', $5, $6, "
							   "$7::pg_catalog.jsonb, $8::pg_catalog.jsonb, $9::pg_catalog.name) RETURNING run_id",
							   lengthof(types), types, values, nulls);
}

/* Write the epochs of a run. */
void
training_epochs_write(int64 run_id, const char *owner, const EncoderEpoch *epochs, int n)
{
	Oid			types[] = {INT8OID, INT4OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, FLOAT8OID, TEXTOID};

	for (int i = 0; i < n; i++)
	{
		const EncoderEpoch *epoch = &epochs[i];
		Datum		values[] = {
			Int64GetDatum(run_id),
			Int32GetDatum(epoch->epoch),
			Float8GetDatum(epoch->loss),
			Float8GetDatum(epoch->recall_at_20),
			Float8GetDatum(epoch->ndcg_at_20),
			Float8GetDatum(epoch->seconds),
			CStringGetTextDatum(owner)
		};
		char		nulls[] = {' ', ' ', ' ', isnan(epoch->recall_at_20) ? 'n' : ' ',
		isnan(epoch->ndcg_at_20) ? 'n' : ' ', ' ', ' '};

		write_rows("INSERT INTO behavpred.training_epoch (run_id, epoch, loss, recall_at_20, ndcg_at_20, "
				   "seconds, owner) VALUES ($1, $2, $3, $4, $5, $6, $7::pg_catalog.name)", lengthof(types), types, values, nulls);
	}
}
