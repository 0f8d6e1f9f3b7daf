/*
 * target_record.c
 *		Models of targets in the catalog: versions, quality, which one is deployed.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "pg/model_value.h"
#include "pg/reader.h"
#include "pg/target_record.h"
#include "pg/training_record.h"
#include "pg/writer.h"

/* The latest version, and what is known of the deployed one. */
typedef struct Versions
{
	int			latest;			/* 0 = none */
	bool		has_deployed;
	int64		deployed_graph_run;
	double		deployed_auc;	/* NaN when it could not be measured */
} Versions;

/* Row function of read_versions(). */
static void
keep_versions(void *argument, Datum *values, bool *nulls)
{
	Versions   *versions = argument;

	versions->latest = nulls[0] ? 0 : DatumGetInt32(values[0]);
	versions->has_deployed = !nulls[1];
	versions->deployed_graph_run = nulls[1] ? 0 : DatumGetInt64(values[1]);
	versions->deployed_auc = nulls[2] ? NAN : DatumGetFloat8(values[2]);
}

/* What the target has been trained to so far. */
static Versions
read_versions(const TargetDefinition *target)
{
	Versions	versions = {0};
	Oid			types[] = {TEXTOID, INT4OID};
	Datum		values[] = {CStringGetTextDatum(target->name), Int32GetDatum(target->deployed_version)};

	read_rows("SELECT pg_catalog.max(version), "
			  "pg_catalog.max(graph_run) FILTER (WHERE version OPERATOR(pg_catalog.=) $2), "
			  "pg_catalog.max((metrics OPERATOR(pg_catalog.->>) 'auc')::pg_catalog.float8) "
			  "FILTER (WHERE version OPERATOR(pg_catalog.=) $2) "
			  "FROM behavpred.trained_model WHERE target OPERATOR(pg_catalog.=) $1",
			  lengthof(types), types, values, NULL, keep_versions, &versions);
	return versions;
}

/* Quality as trained_model.metrics keeps it. */
static char *
metrics_json(const TargetTraining *training)
{
	const TargetQuality *quality = training->quality;
	JsonText	json;

	json_open(&json);
	json_count(&json, "n_positive", training->sample->n_positive);
	json_count(&json, "n_negative", training->sample->n_negative);
	json_count(&json, "candidates", training->sample->candidates);
	json_count(&json, "training_positives", quality->training_positives);
	json_count(&json, "training_negatives", quality->training_negatives);
	json_count(&json, "test_positives", quality->test_positives);
	json_count(&json, "test_negatives", quality->test_negatives);
	json_word(&json, "test_basis", quality->test_is_unseen ? "unseen" : "in_graph");
	json_word(&json, "teacher", training->teacher);
	json_number(&json, "auc", quality->auc);
	json_number(&json, "pr_auc", quality->pr_auc);
	json_number(&json, "log_loss", quality->log_loss);
	json_number(&json, "brier", quality->brier);
	json_number(&json, "ece", quality->ece);
	json_number(&json, "lift_at_1pct", quality->lift_at_1pct);
	json_number(&json, "base_rate", quality->base_rate);
	json_number(&json, "prior_log_loss", quality->prior_log_loss);
	json_number(&json, "teacher_auc", quality->teacher_auc);
	json_number(&json, "centroid_auc", quality->centroid_auc);
	json_number(&json, "activity_auc", quality->activity_auc);
	return json_close(&json);
}

/* The row of the new version.  The snapshot may be older than the lock, and so not show a
 * version that came in between; under REPEATABLE READ the server itself complains. */
static void
write_model(const TargetTraining *training, const char *metrics, const StoredModel *stored)
{
	Oid			types[] = {TEXTOID, INT4OID, INT8OID, INT8OID, model_type_oid(), TEXTOID, TEXTOID};
	Datum		values[] = {
		CStringGetTextDatum(training->target->name),
		Int32GetDatum(stored->version),
		Int64GetDatum(stored->run_id),
		Int64GetDatum(training->graph->trained_run),
		PointerGetDatum(model_from_student(training->student)),
		CStringGetTextDatum(metrics),
		CStringGetTextDatum(training->target->owner)
	};

	if (write_rows("INSERT INTO behavpred.trained_model (target, version, run_id, graph_run, model, metrics, owner) "
				   "VALUES ($1, $2, $3, $4, $5, $6::pg_catalog.jsonb, $7::pg_catalog.name) ON CONFLICT DO NOTHING",
				   lengthof(types), types, values, NULL) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("target \"%s\" was trained by another session meanwhile", training->target->name),
				 errdetail("That training has made version %d, which this one was to be.", stored->version),
				 errhint("Run the statement again.")));
}

/* Let this version answer from now on. */
static void
deploy_version(const TargetDefinition *target, int version)
{
	Oid			types[] = {TEXTOID, INT4OID};
	Datum		values[] = {CStringGetTextDatum(target->name), Int32GetDatum(version)};

	write_rows("UPDATE behavpred.registered_target SET deployed_version = $2 "
			   "WHERE target OPERATOR(pg_catalog.=) $1", lengthof(types), types, values, NULL);
}

/* A model of an earlier training of the graph cannot be used any more: anything is better. */
static bool
shall_deploy(const TargetTraining *training, const Versions *versions)
{
	if (training->deploy == DEPLOY_NEVER)
		return false;
	return training->deploy == DEPLOY_ALWAYS || !versions->has_deployed ||
		versions->deployed_graph_run != training->graph->trained_run ||
		!(training->quality->auc < versions->deployed_auc);
}

/* Store and deploy; see target_record.h. */
StoredModel
target_model_store(const TargetTraining *training)
{
	Versions	versions = read_versions(training->target);
	char	   *metrics = metrics_json(training);
	StoredModel stored = {.version = versions.latest + 1};
	TrainingRun run = {
		.graph = training->graph->name,
		.owner = training->target->owner,
		.target = training->target->name,
		.version = stored.version,
		.started_at = training->started_at,
		.seed = training->seed,
		.threads = training->threads,
		.options = training->options,
		.result = metrics
	};

	stored.run_id = training_run_write(&run);
	write_model(training, metrics, &stored);
	stored.deployed = shall_deploy(training, &versions);
	if (stored.deployed)
		deploy_version(training->target, stored.version);
	return stored;
}
