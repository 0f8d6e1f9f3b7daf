/*
 * network_forgetting.c
 *		A user taken out of the kept network of a graph.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "pg/bridge.h"
#include "pg/graph_lock.h"
#include "pg/keys.h"
#include "pg/network_storage.h"
#include "pg/privileges.h"
#include "pg/reader.h"
#include "pg/writer.h"

PG_FUNCTION_INFO_V1(behavpred_forget_in_network);

/* The search for a user among the blocks. */
typedef struct Forgetting
{
	const GraphDefinition *definition;
	Core	   *core;
	MemoryContext context;		/* where the bytes go */
	Key			key;
	int32		part;			/* of the block that had it */
	bytea	   *data;			/* that block without it; NULL until found */
} Forgetting;

/* Row function: part, data. */
static void
search_block(void *argument, Datum *values, bool *nulls)
{
	Forgetting *forgetting = argument;
	NetworkBlock block;
	Arena		arena;
	int32		place;

	CHECK_FOR_INTERRUPTS();
	if (forgetting->data != NULL)
		return;
	arena_open(&arena, forgetting->core);
	network_decode(forgetting->core, &arena, forgetting->definition, NETWORK_USERS, DatumGetByteaPP(values[1]), &block);
	place = network_block_find(&block, &forgetting->key);
	if (place >= 0)
	{
		size_t		size;

		network_block_remove(&block, place);
		size = network_block_size(&block);
		forgetting->part = DatumGetInt32(values[0]);
		forgetting->data = MemoryContextAlloc(forgetting->context, VARHDRSZ + size);
		SET_VARSIZE(forgetting->data, VARHDRSZ + size);
		network_block_write(&block, VARDATA(forgetting->data));
	}
	arena_close(&arena);
}

/* The block without the user in the place of that with him. */
static void
replace_block(const Forgetting *forgetting)
{
	Oid			types[] = {TEXTOID, INT4OID, BYTEAOID};
	Datum		values[] = {
		CStringGetTextDatum(forgetting->definition->name), Int32GetDatum(forgetting->part),
		PointerGetDatum(forgetting->data)
	};

	write_rows("UPDATE behavpred.trained_network_part SET data = $3 WHERE graph OPERATOR(pg_catalog.=) $1 "
			   "AND kind OPERATOR(pg_catalog.=) 'users' AND part OPERATOR(pg_catalog.=) $2",
			   lengthof(types), types, values, NULL);
}

/* forget_in_network(graph, user_id) */
Datum
behavpred_forget_in_network(PG_FUNCTION_ARGS)
{
	Forgetting	forgetting = {.context = CurrentMemoryContext};
	const GraphDefinition *definition;
	Oid			type = TEXTOID;
	Datum		graph;

	require_writable("forget_user()");
	definition = graph_definition_owned(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	graph_lock(definition);
	forgetting.definition = definition;
	forgetting.core = bridge_open(1);
	forgetting.key = key_from_datum(definition->user_key_type,
									key_parse(definition->user_key_type, text_to_cstring(PG_GETARG_TEXT_PP(1)), "user"));
	graph = CStringGetTextDatum(definition->name);
	read_rows("SELECT part, data FROM behavpred.trained_network_part WHERE graph OPERATOR(pg_catalog.=) $1 "
			  "AND kind OPERATOR(pg_catalog.=) 'users'", 1, &type, &graph, NULL, search_block, &forgetting);
	if (forgetting.data != NULL)
		replace_block(&forgetting);
	bridge_close(forgetting.core);
	PG_RETURN_INT64(forgetting.data != NULL);
}
