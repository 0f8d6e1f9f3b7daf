/*
 * embedding_lookup.c
 *		The stored vector of one user or object, by its key.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "pg/embedding_lookup.h"
#include "pg/keys.h"
#include "pg/reader.h"

/* See embedding_lookup.h. */
Datum
node_argument(FunctionCallInfo fcinfo, int argument, const GraphDefinition *graph, bool of_objects)
{
	return key_coerce(of_objects ? graph->object_key_type : graph->user_key_type,
					  get_fn_expr_argtype(fcinfo->flinfo, argument), PG_GETARG_DATUM(argument),
					  of_objects ? "object" : "user");
}

typedef struct Lookup
{
	MemoryContext context;
	ArrayType  *vector;
} Lookup;

static void
keep_vector(void *argument, Datum *values, bool *nulls)
{
	Lookup	   *lookup = argument;
	MemoryContext row = MemoryContextSwitchTo(lookup->context);

	if (!nulls[0])
		lookup->vector = DatumGetArrayTypePCopy(values[0]);
	MemoryContextSwitchTo(row);
}

/* See embedding_lookup.h. */
ArrayType *
embedding_lookup(const GraphDefinition *graph, bool of_objects, Datum key)
{
	const char *table = of_objects ? graph->object_embeddings : graph->user_embeddings;
	const char *column = of_objects ? graph->object_column : graph->user_column;
	Oid			type = of_objects ? graph->object_key_type : graph->user_key_type;
	Lookup		lookup = {CurrentMemoryContext, NULL};

	read_rows(psprintf("SELECT embedding FROM %s WHERE %s OPERATOR(pg_catalog.=) $1",
					   relation_qualified_name(relation_from_text(table)), quote_identifier(column)),
			  1, &type, &key, NULL, keep_vector, &lookup);
	return lookup.vector;
}
