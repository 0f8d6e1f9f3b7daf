/*
 * deployed_model.c
 *		The model that answers for a target now, and where the users' vectors are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "pg/decoded_model.h"
#include "pg/deployed_model.h"
#include "pg/graph_definition.h"
#include "pg/keys.h"
#include "pg/remembered_target.h"
#include "pg/vector_succession.h"

static const char deployed_query[] =
"SELECT t.graph, t.deployed_version, m.model, m.graph_run, g.trained_run, g.user_embeddings, "
"g.user_column::pg_catalog.text, g.user_key_type, m.tableoid, m.ctid, m.xmin, t.tableoid, t.ctid, t.xmin, "
"g.tableoid, g.ctid, g.xmin, t.owner::pg_catalog.text "
"FROM behavpred.registered_target t "
"JOIN behavpred.registered_graph g ON g.graph OPERATOR(pg_catalog.=) t.graph "
"LEFT JOIN behavpred.trained_model m ON m.target OPERATOR(pg_catalog.=) t.target "
"AND m.version OPERATOR(pg_catalog.=) t.deployed_version "
"WHERE t.target OPERATOR(pg_catalog.=) $1";

enum
{
	COLUMN_GRAPH = 1, COLUMN_VERSION, COLUMN_MODEL, COLUMN_GRAPH_RUN, COLUMN_TRAINED_RUN,
	COLUMN_USER_EMBEDDINGS, COLUMN_USER_COLUMN, COLUMN_KEY_TYPE,
	COLUMN_OF_MODEL, COLUMN_OF_TARGET = COLUMN_OF_MODEL + 3, COLUMN_OF_GRAPH = COLUMN_OF_TARGET + 3,	/* places: three each */
	COLUMN_OWNER = COLUMN_OF_GRAPH + 3
};

/* The plan, made once for each session. */
static SPIPlanPtr
deployed_plan(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			type = TEXTOID;

	if (plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare(deployed_query, 1, &type);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not prepare a query: %s", SPI_result_code_string(SPI_result));
		plan = made;
	}
	return plan;
}

/* Column of the only row, as text; NULL when it is NULL. */
static char *
text_column(int column)
{
	return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

/* A column of any other type, 0 when it is NULL. */
static Datum
column_value(int column)
{
	bool		null;

	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &null);
}

/* The target is there: can its model be used? */
static void
check_usable(const char *target, bool has_model)
{
	int64		graph_run = DatumGetInt64(column_value(COLUMN_GRAPH_RUN));
	int64		trained_run = DatumGetInt64(column_value(COLUMN_TRAINED_RUN));
	char	   *graph = text_column(COLUMN_GRAPH);
	char	   *apart;

	if (!has_model)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("target \"%s\" has no deployed model", target),
				 errhint("SELECT * FROM behavpred.train_target(%s);", quote_literal_cstr(target))));
	if (graph_run != trained_run && !succession_fits(graph, graph_run, trained_run, &apart))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the model of target \"%s\" does not fit the present embeddings", target),
				 errdetail_internal("%s", apart),
				 errhint("SELECT * FROM behavpred.train_target(%s);", quote_literal_cstr(target))));
}

/* Where the row stands whose place is in this column and the next two. */
static RowPlace
row_place(int column)
{
	return (RowPlace) {
		.table = DatumGetObjectId(column_value(column)),
		.place = *(ItemPointer) DatumGetPointer(column_value(column + 1)),
		.inserted_by = DatumGetTransactionId(column_value(column + 2))
	};
}

/* All that the row says, in the memory of SPI. */
static RememberedTarget
row_contents(const char *target)
{
	return (RememberedTarget) {
		.target = target,
		.role = GetUserId(),
		.of_target = row_place(COLUMN_OF_TARGET),
		.of_graph = row_place(COLUMN_OF_GRAPH),
		.of_model = row_place(COLUMN_OF_MODEL),
		.owner = text_column(COLUMN_OWNER),
		.graph = text_column(COLUMN_GRAPH),
		.version = DatumGetInt32(column_value(COLUMN_VERSION)),
		.user_embeddings = text_column(COLUMN_USER_EMBEDDINGS),
		.user_column = text_column(COLUMN_USER_COLUMN),
		.user_key_type = key_type_from_name(text_column(COLUMN_KEY_TYPE))
	};
}

static ModelIdentity
model_identity(const RememberedTarget *contents)
{
	return (ModelIdentity) {
		contents->target, contents->version, contents->of_model.table, contents->of_model.place,
		contents->of_model.inserted_by
	};
}

/* What is handed out, in the caller's context; NULL when the embeddings are gone. */
static DeployedModel *
make_deployed(const RememberedTarget *contents, const Student *student, MemoryContext caller)
{
	DeployedModel *deployed;
	Oid			table = embedding_table_find(contents->user_embeddings, contents->user_column,
											 contents->user_key_type);

	if (!OidIsValid(table))
		return NULL;
	deployed = MemoryContextAlloc(caller, sizeof(DeployedModel));
	*deployed = (DeployedModel) {
		student, table, MemoryContextStrdup(caller, contents->user_column), contents->user_key_type
	};
	return deployed;
}

/* From the row that the query gave; SPI is still connected.  A model for vectors of an earlier
 * training is not remembered: more than these rows say whether it fits. */
static DeployedModel *
keep_row(const char *target, MemoryContext caller)
{
	RememberedTarget contents;
	ModelIdentity identity;
	DeployedModel *deployed;

	check_usable(target, DatumGetPointer(column_value(COLUMN_MODEL)) != NULL);
	contents = row_contents(target);
	identity = model_identity(&contents);
	deployed = make_deployed(&contents, decoded_model(&identity, column_value(COLUMN_MODEL), caller), caller);
	if (deployed == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the embeddings of target \"%s\" are gone", target),
				 errdetail("Table %s is not there, or is not as train_graph() made it.", contents.user_embeddings),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(contents.graph))));
	if (DatumGetInt64(column_value(COLUMN_GRAPH_RUN)) == DatumGetInt64(column_value(COLUMN_TRAINED_RUN)))
		remember_target(&contents);
	return deployed;
}

/* Without the query, when nothing has changed since. */
static DeployedModel *
deployed_again(const char *target, MemoryContext caller)
{
	const RememberedTarget *contents = remembered_target(target, deployed_plan());
	const Student *student;
	ModelIdentity identity;

	if (contents == NULL)
		return NULL;
	identity = model_identity(contents);
	student = decoded_model_kept(&identity, caller);
	return student == NULL ? NULL : make_deployed(contents, student, caller);
}

/* See deployed_model.h. */
DeployedModel *
deployed_model_read(const char *target)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		name = CStringGetTextDatum(target);
	DeployedModel *deployed;

	SPI_connect();
	deployed = deployed_again(target, caller);
	if (deployed != NULL)
	{
		SPI_finish();
		return deployed;
	}
	if (SPI_execute_plan(deployed_plan(), &name, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read a target");
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("target \"%s\" does not exist", target),
				 errhint("Your targets: SELECT * FROM behavpred.targets; a new one: SELECT behavpred.create_target(...).")));
	deployed = keep_row(target, caller);
	SPI_finish();
	return deployed;
}
