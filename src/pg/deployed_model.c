/*
 * deployed_model.c
 *		The model that answers for a target now, and where the users' vectors are.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "pg/decoded_model.h"
#include "pg/deployed_model.h"
#include "pg/graph_definition.h"
#include "pg/keys.h"
#include "pg/vector_succession.h"

static const char deployed_query[] =
"SELECT t.graph, t.deployed_version, m.model, m.graph_run, g.trained_run, g.user_embeddings, "
"g.user_column::pg_catalog.text, g.user_key_type, m.tableoid, m.ctid, m.xmin "
"FROM behavpred.registered_target t "
"JOIN behavpred.registered_graph g ON g.graph OPERATOR(pg_catalog.=) t.graph "
"LEFT JOIN behavpred.trained_model m ON m.target OPERATOR(pg_catalog.=) t.target "
"AND m.version OPERATOR(pg_catalog.=) t.deployed_version "
"WHERE t.target OPERATOR(pg_catalog.=) $1";

enum
{
	COLUMN_GRAPH = 1, COLUMN_VERSION, COLUMN_MODEL, COLUMN_GRAPH_RUN, COLUMN_TRAINED_RUN,
	COLUMN_USER_EMBEDDINGS, COLUMN_USER_COLUMN, COLUMN_KEY_TYPE, COLUMN_RELATION, COLUMN_ROW, COLUMN_INSERTED_BY
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

/* The decoded model of the row, held by `holder`. */
static const Student *
row_student(const char *target, MemoryContext holder)
{
	ModelIdentity identity = {
		.target = target,
		.version = DatumGetInt32(column_value(COLUMN_VERSION)),
		.relation = DatumGetObjectId(column_value(COLUMN_RELATION)),
		.row = *(ItemPointer) DatumGetPointer(column_value(COLUMN_ROW)),
		.inserted_by = DatumGetTransactionId(column_value(COLUMN_INSERTED_BY))
	};

	return decoded_model(&identity, column_value(COLUMN_MODEL), holder);
}

/* Copy the row into the caller's context; SPI is still connected. */
static DeployedModel *
keep_row(const char *target, MemoryContext caller)
{
	char	   *table = text_column(COLUMN_USER_EMBEDDINGS);
	DeployedModel *deployed = MemoryContextAlloc(caller, sizeof(DeployedModel));

	check_usable(target, DatumGetPointer(column_value(COLUMN_MODEL)) != NULL);
	deployed->student = row_student(target, caller);
	deployed->user_column = MemoryContextStrdup(caller, text_column(COLUMN_USER_COLUMN));
	deployed->user_key_type = key_type_from_name(text_column(COLUMN_KEY_TYPE));
	deployed->user_table = embedding_table_find(table, deployed->user_column, deployed->user_key_type);
	if (!OidIsValid(deployed->user_table))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("the embeddings of target \"%s\" are gone", target),
				 errdetail("Table %s is not there, or is not as train_graph() made it.", table),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(text_column(COLUMN_GRAPH)))));
	return deployed;
}

/* See deployed_model.h. */
DeployedModel *
deployed_model_read(const char *target)
{
	MemoryContext caller = CurrentMemoryContext;
	Datum		name = CStringGetTextDatum(target);
	DeployedModel *deployed;

	SPI_connect();
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
