/*
 * target_deployment.c
 *		deploy() and rollback(), and the history of which version answered when.
 *
 * Each deployment names the one before it, to which a rollback goes back; a rollback is a
 * deployment that names the one before that.  So rollbacks one after the other go further
 * and further back, as undoing does.  The catalog of version 0.1 has no history: then
 * deployments are made, and not written down.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/arguments.h"
#include "pg/graph_lock.h"
#include "pg/reader.h"
#include "pg/target_deployment.h"
#include "pg/vector_succession.h"
#include "pg/writer.h"

PG_FUNCTION_INFO_V1(behavpred_deploy);
PG_FUNCTION_INFO_V1(behavpred_rollback);

/* What answered before there was a history is its first entry. */
static const char first_entry[] =
"INSERT INTO behavpred.model_deployment (target, version, owner, action, deployed_at) "
"SELECT m.target, m.version, m.owner, 'train', m.trained_at FROM behavpred.trained_model m "
"WHERE m.target OPERATOR(pg_catalog.=) $1 AND m.version OPERATOR(pg_catalog.=) $2 AND NOT EXISTS ("
"SELECT FROM behavpred.model_deployment d WHERE d.target OPERATOR(pg_catalog.=) $1)";

static const char next_entry[] =
"INSERT INTO behavpred.model_deployment (target, version, owner, action, returns_to) "
"VALUES ($1, $2, $3::pg_catalog.name, $4, (SELECT pg_catalog.max(deployment_id) FROM behavpred.model_deployment "
"WHERE target OPERATOR(pg_catalog.=) $1))";

static const char rollback_entry[] =
"INSERT INTO behavpred.model_deployment (target, version, owner, action, returns_to) "
"SELECT target, version, owner, 'rollback', returns_to FROM behavpred.model_deployment "
"WHERE deployment_id OPERATOR(pg_catalog.=) $1";

/* Let this version answer. */
static void
set_version(const TargetDefinition *target, int version)
{
	Oid			types[] = {TEXTOID, INT4OID};
	Datum		values[] = {CStringGetTextDatum(target->name), Int32GetDatum(version)};

	write_rows("UPDATE behavpred.registered_target SET deployed_version = $2 "
			   "WHERE target OPERATOR(pg_catalog.=) $1", lengthof(types), types, values, NULL);
}

static bool
has_history(void)
{
	return OidIsValid(get_relname_relid("model_deployment", get_namespace_oid("behavpred", false)));
}

/* See target_deployment.h. */
void
deployment_write(const TargetDefinition *target, int version, const char *action)
{
	Oid			types[] = {TEXTOID, INT4OID, TEXTOID, TEXTOID};
	Datum		values[] = {
		CStringGetTextDatum(target->name), Int32GetDatum(target->deployed_version),
		CStringGetTextDatum(target->owner), CStringGetTextDatum(action)
	};

	set_version(target, version);
	if (!has_history())
		return;
	write_rows(first_entry, 2, types, values, NULL);
	values[1] = Int32GetDatum(version);
	write_rows(next_entry, 4, types, values, NULL);
}

/* A version of a target and the trainings it belongs to. */
typedef struct VersionCheck
{
	int64		graph_run;		/* whose vectors the model takes */
	int64		trained_run;	/* whose vectors the graph has now */
} VersionCheck;

/* Row function of check_version(). */
static void
keep_runs(void *argument, Datum *values, bool *nulls)
{
	VersionCheck *check = argument;

	check->graph_run = DatumGetInt64(values[0]);
	check->trained_run = nulls[1] ? 0 : DatumGetInt64(values[1]);
}

/* Only a model that is there, and fits the present vectors, can answer. */
static void
check_version(const TargetDefinition *target, int version)
{
	Oid			types[] = {TEXTOID, INT4OID};
	Datum		values[] = {CStringGetTextDatum(target->name), Int32GetDatum(version)};
	VersionCheck check;
	char	   *apart;

	if (read_rows("SELECT m.graph_run, g.trained_run FROM behavpred.trained_model m "
				  "JOIN behavpred.registered_target t ON t.target OPERATOR(pg_catalog.=) m.target "
				  "JOIN behavpred.registered_graph g ON g.graph OPERATOR(pg_catalog.=) t.graph "
				  "WHERE m.target OPERATOR(pg_catalog.=) $1 AND m.version OPERATOR(pg_catalog.=) $2",
				  lengthof(types), types, values, NULL, keep_runs, &check) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("target \"%s\" has no version %d", target->name, version),
				 errdetail("It was never trained, or was removed."),
				 errhint("Its versions: SELECT version, trained_at FROM behavpred.models WHERE target = %s;",
						 quote_literal_cstr(target->name))));
	if (!succession_fits(target->graph, check.graph_run, check.trained_run, &apart))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of target \"%s\" does not fit the present embeddings", version, target->name),
				 errdetail_internal("%s", apart),
				 errhint("SELECT * FROM behavpred.train_target(%s);", quote_literal_cstr(target->name))));
}

/* deploy(target, version) */
Datum
behavpred_deploy(PG_FUNCTION_ARGS)
{
	char	   *name = name_given(fcinfo, 0, "target", "SELECT behavpred.deploy('buys_42', 3);");
	TargetDefinition *target;
	int			version;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("version must not be NULL"),
				 errhint("SELECT version, trained_at FROM behavpred.models WHERE target = %s;", quote_literal_cstr(name))));
	version = PG_GETARG_INT32(1);
	target = target_definition_for(name, PRIVILEGE_TRAIN);
	require_writable("deploy()");
	target_lock(target);
	check_version(target, version);
	if (version != target->deployed_version)
		deployment_write(target, version, "deploy");
	else
		ereport(NOTICE,
				(errmsg("version %d of target \"%s\" is deployed already", version, target->name)));
	PG_RETURN_VOID();
}

/* The deployment that a rollback goes back to; 0 = none. */
typedef struct EarlierDeployment
{
	int64		id;
	int			version;
} EarlierDeployment;

/* Row function of earlier_deployment(). */
static void
keep_earlier(void *argument, Datum *values, bool *nulls)
{
	EarlierDeployment *earlier = argument;

	earlier->id = DatumGetInt64(values[0]);
	earlier->version = DatumGetInt32(values[1]);
}

static EarlierDeployment
earlier_deployment(const TargetDefinition *target)
{
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(target->name);
	EarlierDeployment earlier = {0};

	read_rows("SELECT b.deployment_id, b.version FROM behavpred.model_deployment a "
			  "JOIN behavpred.model_deployment b ON b.deployment_id OPERATOR(pg_catalog.=) a.returns_to "
			  "WHERE a.deployment_id OPERATOR(pg_catalog.=) (SELECT pg_catalog.max(deployment_id) "
			  "FROM behavpred.model_deployment WHERE target OPERATOR(pg_catalog.=) $1)",
			  1, &type, &value, NULL, keep_earlier, &earlier);
	if (earlier.id == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("target \"%s\" has no earlier deployment to go back to", target->name),
				 errdetail(target->deployed_version == 0 ? "It has no deployed model." :
						   "Version %d is the first that answered.", target->deployed_version),
				 errhint("Its versions: SELECT version, deployed, trained_at FROM behavpred.models WHERE target = %s;",
						 quote_literal_cstr(target->name))));
	return earlier;
}

/* rollback(target): the version that answers now */
Datum
behavpred_rollback(PG_FUNCTION_ARGS)
{
	TargetDefinition *target =
		target_definition_for(name_given(fcinfo, 0, "target", "SELECT behavpred.rollback('buys_42');"), PRIVILEGE_TRAIN);
	EarlierDeployment earlier;
	Oid			type = INT8OID;
	Datum		value;

	require_writable("rollback()");
	target_lock(target);
	earlier = earlier_deployment(target);
	check_version(target, earlier.version);
	set_version(target, earlier.version);
	value = Int64GetDatum(earlier.id);
	write_rows(rollback_entry, 1, &type, &value, NULL);
	PG_RETURN_INT32(earlier.version);
}
