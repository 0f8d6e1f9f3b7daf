/*
 * target_record.c
 *		Models of targets in the catalog: versions, quality, which one is deployed.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "pg/drift_reference.h"
#include "pg/held_out.h"
#include "pg/model_value.h"
#include "pg/reader.h"
#include "pg/target_deployment.h"
#include "pg/target_record.h"
#include "pg/training_record.h"
#include "pg/vector_succession.h"
#include "pg/writer.h"

/* What versions_query finds. */
typedef struct VersionReading
{
	TargetVersions *versions;
	Arena	   *arena;
	MemoryContext context;
} VersionReading;

/* Row function: the latest version, and the deployed model. */
static void
keep_versions(void *argument, Datum *values, bool *nulls)
{
	VersionReading *reading = argument;
	bytea	   *model;
	Student    *student;

	reading->versions->latest = nulls[0] ? 0 : DatumGetInt32(values[0]);
	if (nulls[1])
		return;
	model = DatumGetByteaPP(values[1]);
	student = MemoryContextAlloc(reading->context, sizeof(Student));
	student_from_model(reading->arena, VARDATA_ANY(model), VARSIZE_ANY_EXHDR(model), student);
	reading->versions->incumbent = student;
}

static const char versions_query[] =
"SELECT (SELECT pg_catalog.max(version) FROM behavpred.trained_model WHERE target OPERATOR(pg_catalog.=) $1), "
"(SELECT model FROM behavpred.trained_model WHERE target OPERATOR(pg_catalog.=) $1 "
"AND version OPERATOR(pg_catalog.=) $2 AND graph_run OPERATOR(pg_catalog.=) $3)";

/* Row function: the run whose vectors a model takes. */
static void
keep_run(void *argument, Datum *values, bool *nulls)
{
	*(int64 *) argument = DatumGetInt64(values[0]);
}

/* The run of the deployed version when it fits the present vectors, else the present one. */
static int64
incumbent_run(const TargetDefinition *target, const GraphDefinition *graph)
{
	Oid			types[] = {TEXTOID, INT4OID};
	Datum		values[] = {CStringGetTextDatum(target->name), Int32GetDatum(target->deployed_version)};
	int64		run = graph->trained_run;
	char	   *apart;

	read_rows("SELECT graph_run FROM behavpred.trained_model WHERE target OPERATOR(pg_catalog.=) $1 "
			  "AND version OPERATOR(pg_catalog.=) $2", lengthof(types), types, values, NULL, keep_run, &run);
	return succession_fits(graph->name, run, graph->trained_run, &apart) ? run : graph->trained_run;
}

/* See target_record.h. */
TargetVersions
target_versions_read(const TargetDefinition *target, const GraphDefinition *graph, Arena *arena)
{
	TargetVersions versions = {0};
	VersionReading reading = {&versions, arena, CurrentMemoryContext};
	Oid			types[] = {TEXTOID, INT4OID, INT8OID};
	Datum		values[] = {
		CStringGetTextDatum(target->name), Int32GetDatum(target->deployed_version),
		Int64GetDatum(incumbent_run(target, graph))
	};

	read_rows(versions_query, lengthof(types), types, values, NULL, keep_versions, &reading);
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
	json_count(&json, "population_positives", training->sample->population_positives);
	json_count(&json, "training_positives", quality->training_positives);
	json_count(&json, "training_negatives", quality->training_negatives);
	json_count(&json, "test_positives", quality->test_positives);
	json_count(&json, "test_negatives", quality->test_negatives);
	json_reader(&json, training->graph->apply_row_security);
	json_word(&json, "test_basis", quality->test_is_unseen ? "unseen" : "in_graph");
	json_word(&json, "teacher", training->teacher_is_object ? "object" : "seeds");
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
	json_number(&json, "incumbent_auc", quality->incumbent_auc);
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

/* A model of an earlier training of the graph cannot be used any more: anything is better. */
static bool
shall_deploy(const TargetTraining *training)
{
	if (training->deploy == DEPLOY_NEVER)
		return false;
	return training->deploy == DEPLOY_ALWAYS || training->versions->incumbent == NULL ||
		!(training->quality->auc < training->quality->incumbent_auc);
}

/* Store and deploy; see target_record.h. */
StoredModel
target_model_store(const TargetTraining *training)
{
	const char *metrics = training->metrics != NULL ? training->metrics : metrics_json(training);
	StoredModel stored = {.version = training->versions->latest + 1};
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
	if (training->quality != NULL)
	{
		held_out_store(training, stored.version);
		drift_reference_keep(training->graph->name, training->target->name, stored.version);
	}
	stored.deployed = shall_deploy(training);
	if (stored.deployed)
		deployment_write(training->target, stored.version, training->metrics == NULL ? "train" : "import");
	return stored;
}
