/*
 * model_transfer.c
 *		export_model() and import_model(): models from server to server.
 *
 * A model fits the vectors of one training only.  What identifies a training is a digest
 * of its record: a dump carries the record, so that a restored database knows the model's
 * training again, whatever numbers its runs have.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/portable_model.h"
#include "core/student_format.h"
#include "pg/bridge.h"
#include "pg/graph_lock.h"
#include "pg/reader.h"
#include "pg/target_record.h"
#include "pg/training_record.h"
#include "pg/version.h"

PG_FUNCTION_INFO_V1(behavpred_export_model);
PG_FUNCTION_INFO_V1(behavpred_import_model);

/* The arguments of import_model(), by position. */
enum
{
	ARG_TARGET, ARG_EXPORTED, ARG_DEPLOY, ARG_OTHER_RUN
};

/* The digest of a row r of training_run. */
#define RUN_IDENTITY \
	"pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.concat_ws('|', extract(epoch FROM r.started_at), " \
	"r.seed, r.options, r.result), 'UTF8'))"

static const char export_query[] =
"SELECT m.model, m.version, m.graph_run, m.metrics::pg_catalog.text, " RUN_IDENTITY
" FROM behavpred.trained_model m "
"LEFT JOIN behavpred.training_run r ON r.run_id OPERATOR(pg_catalog.=) m.graph_run "
"WHERE m.target OPERATOR(pg_catalog.=) $1 AND m.version OPERATOR(pg_catalog.=) $2";

/* ---- export ------------------------------------------------------------------------------ */

typedef struct ExportReading
{
	MemoryContext context;		/* where the bytes go */
	const TargetDefinition *target;
	bytea	   *exported;		/* NULL until the row came */
} ExportReading;

/* Text of the server as a part in UTF-8. */
static ByteString
text_part(const char *text)
{
	const char *converted = pg_server_to_any(text, (int) strlen(text), PG_UTF8);

	return (ByteString) {converted, strlen(converted)};
}

/* The record of the graph's training says which vectors the model fits. */
static void
refuse_unknown_training(const TargetDefinition *target, int64 run)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the record of the training of graph \"%s\" is gone", target->graph),
			 errdetail("Run " INT64_FORMAT " made the vectors that the model fits.", run),
			 errhint("SELECT * FROM behavpred.train_target(%s);", quote_literal_cstr(target->name))));
}

/* The input width of encoded bytes. */
static int
model_width(const char *bytes, size_t length)
{
	Core	   *core = bridge_open(1);
	Arena		arena;
	Student		student;
	int			width;

	arena_open(&arena, core);
	student_decode(core, &arena, bytes, length, &student);
	bridge_check(core, "reading a model");
	width = student.widths[0];
	bridge_close(core);
	return width;
}

/* The bytes of a portable model in `context`. */
static bytea *
write_portable(const PortableModel *model, MemoryContext context)
{
	size_t		size = portable_model_size(model);
	bytea	   *exported;

	if (size == 0 || size > MaxAllocSize - VARHDRSZ)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the model is too large to be exported"),
				 errdetail("A value may have %zu bytes.", (size_t) MaxAllocSize - VARHDRSZ),
				 errhint("Use fewer or narrower hidden layers.")));
	exported = MemoryContextAlloc(context, size + VARHDRSZ);
	SET_VARSIZE(exported, size + VARHDRSZ);
	portable_model_write(model, VARDATA(exported));
	return exported;
}

/* Row function of export_query. */
static void
export_row(void *argument, Datum *values, bool *nulls)
{
	ExportReading *reading = argument;
	const TargetDefinition *target = reading->target;
	bytea	   *bytes = DatumGetByteaPP(values[0]);
	PortableModel model = {
		.graph_run = DatumGetInt64(values[2]),
		.version = DatumGetInt32(values[1]),
		.width = model_width(VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)),
		.parts = {
			[PORTABLE_PROGRAM] = text_part(BEHAVPRED_VERSION),
			[PORTABLE_GRAPH] = text_part(target->graph),
			[PORTABLE_TARGET] = text_part(target->name),
			[PORTABLE_METRICS] = text_part(TextDatumGetCString(values[3])),
			[PORTABLE_MODEL] = {VARDATA_ANY(bytes), VARSIZE_ANY_EXHDR(bytes)}
		}
	};

	if (nulls[4])
		refuse_unknown_training(target, model.graph_run);
	memcpy(model.graph_identity, VARDATA_ANY(DatumGetByteaPP(values[4])), GRAPH_IDENTITY_LENGTH);
	reading->exported = write_portable(&model, reading->context);
}

/* No source is read, so a superuser needs no more than to see the target. */
static const TargetDefinition *
readable_target(const char *name)
{
	return superuser() ? target_definition_read(name) : target_definition_for(name, PRIVILEGE_READ);
}

/* export_model(target, version): the deployed version when none is named. */
Datum
behavpred_export_model(PG_FUNCTION_ARGS)
{
	ExportReading reading = {.context = CurrentMemoryContext};
	Oid			types[] = {TEXTOID, INT4OID};
	Datum		values[2];
	int			version;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("target must not be NULL"),
				 errhint("SELECT behavpred.export_model('buys_42');")));
	reading.target = readable_target(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	version = PG_ARGISNULL(1) ? reading.target->deployed_version : PG_GETARG_INT32(1);
	values[0] = CStringGetTextDatum(reading.target->name);
	values[1] = Int32GetDatum(version);
	if (read_rows(export_query, lengthof(types), types, values, NULL, export_row, &reading) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 PG_ARGISNULL(1) ? errmsg("target \"%s\" has no deployed model", reading.target->name) :
				 errmsg("target \"%s\" has no version %d", reading.target->name, version),
				 errhint("Its versions: SELECT * FROM behavpred.models WHERE target = %s;",
						 quote_literal_cstr(reading.target->name))));
	PG_RETURN_BYTEA_P(reading.exported);
}

/* ---- import ------------------------------------------------------------------------------ */

typedef struct Import
{
	TargetDefinition *target;
	GraphDefinition *graph;
	Core	   *core;
	Arena		arena;
	PortableModel model;
	Student		student;
	bool		other_run;		/* the caller vouches for the vectors */
	bool		same_training;
} Import;

/* Text of a part as the server has it; invalid bytes are refused. */
static char *
part_text(const Import *import, PortablePart part)
{
	const ByteString *string = &import->model.parts[part];
	char	   *copy = pnstrdup(string->bytes, string->length);

	return pg_any_to_server(copy, (int) string->length, PG_UTF8);
}

/* Complain about the bytes themselves. */
static void
check_bytes(const Import *import)
{
	Core	   *core = import->core;

	if (core->status == CORE_CORRUPT)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("these bytes are no exported model"),
				 errdetail_internal("%s.", core->detail),
				 errhint("Export it again: SELECT behavpred.export_model('buys_42');")));
	bridge_check(core, "reading an exported model");
}

/* Both layers of the bytes. */
static void
read_exported(Import *import, bytea *exported)
{
	const ByteString *inner = &import->model.parts[PORTABLE_MODEL];

	portable_model_read(import->core, VARDATA_ANY(exported), VARSIZE_ANY_EXHDR(exported), &import->model);
	check_bytes(import);
	student_decode(import->core, &import->arena, inner->bytes, inner->length, &import->student);
	if (import->core->status == CORE_OK && import->student.widths[0] != import->model.width)
		core_fail(import->core, CORE_CORRUPT, "its head speaks of %d numbers, its model of %d", import->model.width,
				  import->student.widths[0]);
	check_bytes(import);
}

/* Row function: an int. */
static void
keep_int(void *argument, Datum *values, bool *nulls)
{
	*(int *) argument = nulls[0] ? 0 : DatumGetInt32(values[0]);
}

/* Vectors of another length can never be used. */
static void
check_width(const Import *import)
{
	const GraphDefinition *graph = import->graph;
	Oid			table = relation_from_text(graph->user_embeddings);
	int			width = 0;

	read_rows(psprintf("SELECT pg_catalog.cardinality(embedding) FROM %s LIMIT 1", relation_qualified_name(table)),
			  0, NULL, NULL, NULL, keep_int, &width);
	if (width != import->model.width)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("the model is for vectors of %d numbers, those of graph \"%s\" have %d", import->model.width,
						graph->name, width),
				 errdetail("It is version %d of target \"%s\" of graph \"%s\" on the server that exported it.",
						   import->model.version, part_text(import, PORTABLE_TARGET), part_text(import, PORTABLE_GRAPH)),
				 errhint("Restore that graph's vectors from a dump, or train here: SELECT * FROM behavpred.train_target(%s);",
						 quote_literal_cstr(import->target->name))));
}

/* Row function: a digest, compared with the model's. */
static void
compare_identity(void *argument, Datum *values, bool *nulls)
{
	Import	   *import = argument;

	import->same_training = memcmp(VARDATA_ANY(DatumGetByteaPP(values[0])), import->model.graph_identity,
								   GRAPH_IDENTITY_LENGTH) == 0;
}

/* Vectors of another training have the same length and another meaning. */
static void
check_training(Import *import)
{
	const GraphDefinition *graph = import->graph;
	Oid			type = INT8OID;
	Datum		run = Int64GetDatum(graph->trained_run);

	read_rows("SELECT " RUN_IDENTITY " FROM behavpred.training_run r WHERE r.run_id OPERATOR(pg_catalog.=) $1",
			  1, &type, &run, NULL, compare_identity, import);
	if (!import->same_training && !import->other_run)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the model does not fit the present embeddings of graph \"%s\"", graph->name),
				 errdetail("It was trained on those of run " INT64_FORMAT " of graph \"%s\" of another server; "
						   "they are of run " INT64_FORMAT " here, which was another training.",
						   import->model.graph_run, part_text(import, PORTABLE_GRAPH), graph->trained_run),
				 errhint("It fits a database restored from a dump of that server. If its vectors were copied here in another "
						 "way, say so: SELECT behavpred.import_model(..., other_run => true);")));
}

/* Where it came from, as the run's record keeps it. */
static char *
origin_json(const Import *import)
{
	JsonText	json;

	json_open(&json);
	json_bool(&json, "imported", true);
	json_bool(&json, "same_training", import->same_training);
	json_word(&json, "program", part_text(import, PORTABLE_PROGRAM));
	json_word(&json, "graph", part_text(import, PORTABLE_GRAPH));
	json_count(&json, "graph_run", import->model.graph_run);
	json_word(&json, "target", part_text(import, PORTABLE_TARGET));
	json_count(&json, "version", import->model.version);
	return json_close(&json);
}

/* As the target's next version. */
static StoredModel
store_import(Import *import, bool deploy)
{
	TargetVersions versions = target_versions_read(import->target, import->graph, &import->arena);
	TargetTraining record = {
		.target = import->target,
		.graph = import->graph,
		.student = &import->student,
		.metrics = part_text(import, PORTABLE_METRICS),
		.options = origin_json(import),
		.started_at = GetCurrentTimestamp(),
		.threads = 1,
		.deploy = deploy ? DEPLOY_ALWAYS : DEPLOY_NEVER,
		.versions = &versions
	};

	return target_model_store(&record);
}

/* import_model(target, exported, deploy, other_run) */
Datum
behavpred_import_model(PG_FUNCTION_ARGS)
{
	Import		import = {.other_run = !PG_ARGISNULL(ARG_OTHER_RUN) && PG_GETARG_BOOL(ARG_OTHER_RUN)};
	StoredModel stored;

	if (PG_ARGISNULL(ARG_TARGET) || PG_ARGISNULL(ARG_EXPORTED))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", PG_ARGISNULL(ARG_TARGET) ? "target" : "exported"),
				 errhint("SELECT behavpred.import_model('buys_42', '\\x...');")));
	require_writable("import_model()");
	import.target = target_definition_for(text_to_cstring(PG_GETARG_TEXT_PP(ARG_TARGET)), PRIVILEGE_TRAIN);
	import.graph = graph_definition_trained(import.target->graph);
	target_lock(import.target);
	graph_hold(import.graph);
	import.core = bridge_open(1);
	arena_open(&import.arena, import.core);
	read_exported(&import, PG_GETARG_BYTEA_PP(ARG_EXPORTED));
	check_width(&import);
	check_training(&import);
	stored = store_import(&import, PG_ARGISNULL(ARG_DEPLOY) || PG_GETARG_BOOL(ARG_DEPLOY));
	bridge_close(import.core);
	PG_RETURN_INT32(stored.version);
}
