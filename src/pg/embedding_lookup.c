/*
 * embedding_lookup.c
 *		The stored vector of one user or object, by its key.
 *
 * Plans are kept for the session, one for each table of embeddings.  They name the table,
 * whose meaning embedding_table_find() has fixed by then.
 */
#include "postgres.h"

#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"

#include "pg/embedding_lookup.h"
#include "pg/keys.h"

/* See embedding_lookup.h. */
Datum
node_argument(FunctionCallInfo fcinfo, int argument, const GraphDefinition *graph, bool of_objects)
{
	return key_coerce(of_objects ? graph->object_key_type : graph->user_key_type,
					  get_fn_expr_argtype(fcinfo->flinfo, argument), PG_GETARG_DATUM(argument),
					  of_objects ? "object" : "user");
}

/* A kept plan that finds a vector by its key. */
typedef struct LookupPlan
{
	Oid			table;			/* hash key */
	SPIPlanPtr	plan;
} LookupPlan;

/* The plans of this session. */
static HTAB *
lookup_plans(void)
{
	static HTAB *plans = NULL;
	HASHCTL		control = {.keysize = sizeof(Oid), .entrysize = sizeof(LookupPlan)};

	if (plans == NULL)
		plans = hash_create("behavpred look-up plans", 16, &control, HASH_ELEM | HASH_BLOBS);
	return plans;
}

/* The plan for this table; SPI is connected. */
static SPIPlanPtr
lookup_plan(Oid table, const char *key_column, Oid key_type)
{
	bool		found;
	LookupPlan *entry = hash_search(lookup_plans(), &table, HASH_ENTER, &found);
	SPIPlanPtr	plan;

	if (found && entry->plan != NULL)
		return entry->plan;
	entry->plan = NULL;
	plan = SPI_prepare(psprintf("SELECT embedding FROM %s WHERE %s OPERATOR(pg_catalog.=) $1",
								relation_qualified_name(table), quote_identifier(key_column)), 1, &key_type);
	if (plan == NULL || SPI_keepplan(plan) != 0)
		elog(ERROR, "could not prepare a query: %s", SPI_result_code_string(SPI_result));
	entry->plan = plan;
	return plan;
}

/* See embedding_lookup.h. */
bool
embedding_find(Oid table, const char *key_column, Oid key_type, Datum key, Datum *vector)
{
	bool		null = true;

	if (SPI_execute_plan(lookup_plan(table, key_column, key_type), &key, NULL, true, 1) != SPI_OK_SELECT)
		elog(ERROR, "could not read an embedding");
	if (SPI_processed > 0)
		*vector = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	return !null;
}

/* See embedding_lookup.h. */
ArrayType *
embedding_lookup(const GraphDefinition *graph, bool of_objects, Datum key)
{
	const char *table = of_objects ? graph->object_embeddings : graph->user_embeddings;
	const char *column = of_objects ? graph->object_column : graph->user_column;
	Oid			type = of_objects ? graph->object_key_type : graph->user_key_type;
	MemoryContext caller = CurrentMemoryContext;
	ArrayType  *copy = NULL;
	Datum		vector;

	SPI_connect();
	if (embedding_find(relation_from_text(table), column, type, key, &vector))
	{
		MemoryContext spi = MemoryContextSwitchTo(caller);

		copy = DatumGetArrayTypePCopy(vector);
		MemoryContextSwitchTo(spi);
	}
	SPI_finish();
	return copy;
}
