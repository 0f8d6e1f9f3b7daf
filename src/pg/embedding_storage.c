/*
 * embedding_storage.c
 *		The tables that hold embeddings: (key PRIMARY KEY, embedding real[], degree int).
 *
 * Everything is done by plain SQL as the calling user: privileges, triggers and
 * replication of the tables work as for any other statement.  Rows go in by batches: a
 * tuplestore, seen by the INSERT as a table, holds one batch at a time.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"
#include "utils/tuplestore.h"

#include "pg/embedding_sending.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"
#include "pg/placement.h"
#include "pg/progress.h"
#include "pg/source.h"
#include "pg/wording.h"
#include "pg/writer.h"

#define BATCH_NAME "behavpred_batch"
#define BATCH_COLUMNS 5			/* key, embedding, degree, direct, state */

/* The columns and the type of key that the table of users or objects has. */
typedef struct EmbeddingTable
{
	const char *kind;			/* "user" or "object" */
	const char *key_column;
	Oid			key_type;
	const char *stored;			/* name after the last training, or NULL */
} EmbeddingTable;

/* What a definition says of one of its two tables. */
static EmbeddingTable
embedding_table(const GraphDefinition *definition, bool of_objects)
{
	if (of_objects)
		return (EmbeddingTable) {"object", definition->object_column, definition->object_key_type,
								 definition->object_embeddings};
	return (EmbeddingTable) {"user", definition->user_column, definition->user_key_type,
							 definition->user_embeddings};
}

/* OID of the stored table, InvalidOid when there is none or it is gone. */
static Oid
stored_table(const EmbeddingTable *table)
{
	return table->stored == NULL ? InvalidOid : relation_from_text(table->stored);
}

/* True when it is a table with the columns that a training fills; see embedding_storage.h. */
bool
embedding_columns_fit(Oid relation, const char *key_column, Oid key_type)
{
	char		kind = get_rel_relkind(relation);
	Oid			key;
	Oid			embedding;
	Oid			degree;

	return (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE || kind == RELKIND_FOREIGN_TABLE) &&
		source_has_column(relation, key_column, &key) && key_types_match(key, key_type) &&
		source_has_column(relation, "embedding", &embedding) && embedding == FLOAT4ARRAYOID &&
		source_has_column(relation, "degree", &degree) && degree == INT4OID;
}

/* The schema in which a first training puts its tables. */
static Oid
creation_schema(void)
{
	List	   *path = fetch_search_path(false);

	if (path == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("no schema has been selected for the embedding tables"),
				 errdetail("No schema of search_path exists."),
				 errhint("SET search_path = public; or another schema where you may create tables.")));
	return linitial_oid(path);
}

/* Refuse to touch a table that no training has made. */
static void
name_is_taken(const char *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_TABLE),
			 errmsg("relation %s exists, but is no embedding table of this graph", name),
			 errdetail("Training writes a table of this name. DROP EXTENSION leaves such tables behind."),
			 errhint("Rename it, drop it if it is such a one, or SET search_path to another schema before the first training.")));
}

/* Refuse before the training what the writing would refuse after it. */
static void
check_stored_table(const EmbeddingTable *table, Oid relation)
{
	const AclMode needed = ACL_INSERT | ACL_DELETE;

	if (!embedding_columns_fit(relation, table->key_column, table->key_type))
		name_is_taken(relation_qualified_name(relation));
	if (pg_class_aclmask(relation, GetUserId(), needed, ACLMASK_ALL) != needed)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for table %s", relation_qualified_name(relation)),
				 errdetail("Training replaces its rows."),
				 errhint("GRANT INSERT, DELETE ON %s TO %s;", relation_qualified_name(relation),
						 quote_identifier(GetUserNameFromId(GetUserId(), false)))));
}

/* Adds the way out to "permission denied for schema". */
static void
creation_error(void *argument)
{
	if (geterrcode() == ERRCODE_INSUFFICIENT_PRIVILEGE)
		errhint("Training creates its tables in the current schema: SET search_path to one where you may create tables.");
}

/* The name of a table that a training makes. */
static char *
table_name(const GraphDefinition *definition, const EmbeddingTable *table)
{
	return psprintf("%s_%s_embedding", definition->name, table->kind);
}

/* CREATE TABLE and its comments. */
static void
create_table(const GraphDefinition *definition, const EmbeddingTable *table, const char *name)
{
	ErrorContextCallback callback = {error_context_stack, creation_error, NULL};
	const char *key = quote_identifier(table->key_column);

	error_context_stack = &callback;
	write_command(psprintf("CREATE TABLE %s (%s %s PRIMARY KEY, embedding real[] NOT NULL, "
						   "degree integer NOT NULL)", name, key, format_type_be_qualified(table->key_type)));
	error_context_stack = callback.previous;

	write_command(psprintf("COMMENT ON TABLE %s IS %s", name,
						   quote_literal_cstr(psprintf("Embeddings of the %ss of graph \"%s\". "
													   "Each training replaces all rows.",
													   table->kind, definition->name))));
	write_command(psprintf("COMMENT ON COLUMN %s.%s IS 'Key of the %s, as in the interactions'",
						   name, key, table->kind));
	write_command(psprintf("COMMENT ON COLUMN %s.embedding IS 'The dot product of a user''s and an object''s "
						   "embedding is their score; the last two numbers are %s'", name,
						   strcmp(table->kind, "user") == 0 ? "1 and the activity of the user" :
						   "the bias of the object and 1"));
	write_command(psprintf("COMMENT ON COLUMN %s.degree IS 'Different %s this %s is joined to in the graph'",
						   name, strcmp(table->kind, "user") == 0 ? "objects" : "users", table->kind));
}

/* Tables belong to the owner of the graph, and only he can make them so. */
static void
check_creator(const GraphDefinition *definition)
{
	if (is_current_role(definition->owner))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("graph \"%s\" has no embedding tables yet", definition->name),
			 errdetail("Its owner \"%s\" makes them by training it once.", definition->owner),
			 errhint("As %s: SELECT * FROM behavpred.train_graph(%s, epochs => 0); then train it again.",
					 quote_identifier(definition->owner), quote_literal_cstr(definition->name))));
}

/* The column for the direct term, in the table of objects of a graph that tells behaviours apart. */
static void
prepare_direct(const GraphDefinition *definition, bool of_objects, Oid relation)
{
	Oid			type;

	if (!of_objects || !definition->typed)
		return;
	if (!source_has_column(relation, "direct", &type))
	{
		check_creator(definition);
		write_command(psprintf("ALTER TABLE %s ADD COLUMN direct real[]", relation_qualified_name(relation)));
		write_command(psprintf("COMMENT ON COLUMN %s.direct IS 'What an edge of each behavior adds to the score of "
							   "this object, in the order of the graph''s behaviors, and what any of them does'",
							   relation_qualified_name(relation)));
	}
	else if (type != FLOAT4ARRAYOID)
		name_is_taken(relation_qualified_name(relation));
}

/* See embedding_storage.h.  Rows that lie on other servers have none. */
bool
embedding_has_states(Oid relation)
{
	Oid			type;

	return get_rel_relkind(relation) == RELKIND_RELATION && !relation_is_distributed(relation) &&
		source_has_column(relation, "state", &type) && type == FLOAT4ARRAYOID;
}

/* The column for states, where stored vectors alone do not tell what a neighbour is to be made of: with features,
 * and in a network that tells behaviours apart. */
static void
prepare_state(const GraphDefinition *definition, bool of_objects, Oid relation)
{
	EmbeddingTable table = embedding_table(definition, of_objects);
	bool		wanted = definition->typed || definition->users != NULL || definition->objects != NULL;
	Oid			type;

	if (!wanted || source_has_column(relation, "state", &type) || !is_current_role(definition->owner) ||
		get_rel_relkind(relation) != RELKIND_RELATION || relation_is_distributed(relation) ||
		strcmp(get_rel_name(relation), table_name(definition, &table)) != 0)
		return;
	write_command(psprintf("ALTER TABLE %s ADD COLUMN state real[]", relation_qualified_name(relation)));
	write_command(psprintf("COMMENT ON COLUMN %s.state IS 'What the network knows of this %s apart from the neighbors: "
						   "what refresh and embed compute the vectors of others from'",
						   relation_qualified_name(relation), table.kind));
}

/* Create the table when it is not there; see embedding_storage.h. */
char *
embedding_table_prepare(const GraphDefinition *definition, bool of_objects)
{
	EmbeddingTable table = embedding_table(definition, of_objects);
	Oid			relation = stored_table(&table);
	char	   *bare;
	char	   *name;
	Oid			schema;

	if (OidIsValid(relation))
	{
		check_stored_table(&table, relation);
		prepare_direct(definition, of_objects, relation);
		prepare_state(definition, of_objects, relation);
		return relation_qualified_name(relation);
	}
	check_creator(definition);
	schema = creation_schema();
	bare = table_name(definition, &table);
	name = quote_qualified_identifier(get_namespace_name(schema), bare);
	if (OidIsValid(get_relname_relid(bare, schema)))
		name_is_taken(name);
	create_table(definition, &table, name);
	prepare_direct(definition, of_objects, get_relname_relid(bare, schema));
	prepare_state(definition, of_objects, get_relname_relid(bare, schema));
	return name;
}

/* Refuse a table that vectors do not fit into. */
static void
refuse_given(const EmbeddingTable *table, Oid relation)
{
	const char *key = quote_identifier(table->key_column);
	const char *type = format_type_be_qualified(table->key_type);

	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("embeddings do not fit into %s", relation_qualified_name(relation)),
			 errdetail("Needed is a table, ordinary, partitioned or foreign, with the columns %s %s, embedding real[], "
					   "degree integer; its columns are: %s.", key, type, source_column_list(relation)),
			 errhint("CREATE TABLE ... (%s %s PRIMARY KEY, embedding real[] NOT NULL, degree integer NOT NULL) "
					 "PARTITION BY HASH (%s);", key, type, key)));
}

/* See embedding_storage.h.  Its keys are of the very type of the graph's, which comparisons rely on. */
char *
embedding_table_given(const GraphDefinition *definition, Oid relation)
{
	EmbeddingTable table = embedding_table(definition, false);
	Oid			type;

	if (!is_current_role(definition->owner))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("only the owner of graph \"%s\" may give it a table", definition->name),
				 errdetail("Its owner is \"%s\".", definition->owner),
				 errhint("Train it without embeddings_table, which writes to the table it has.")));
	if (!embedding_columns_fit(relation, table.key_column, table.key_type) ||
		!source_has_column(relation, table.key_column, &type) || type != table.key_type)
		refuse_given(&table, relation);
	check_stored_table(&table, relation);
	/* By its name drop_graph() would take it for the training's own. */
	if (get_rel_relkind(relation) == RELKIND_RELATION && relation != stored_table(&table) &&
		strcmp(get_rel_name(relation), table_name(definition, &table)) == 0)
		name_is_taken(relation_qualified_name(relation));
	return relation_qualified_name(relation);
}

/*
 * A training's own table has the name that it gives, and is ordinary.  The name comes from the
 * caller's own row and is dropped with the caller's privileges; a view on it keeps it, as
 * DROP TABLE says.
 */
void
embedding_table_drop(const GraphDefinition *definition, bool of_objects)
{
	EmbeddingTable table = embedding_table(definition, of_objects);
	Oid			relation = stored_table(&table);

	if (!OidIsValid(relation))
		return;
	if (get_rel_relkind(relation) == RELKIND_RELATION &&
		strcmp(get_rel_name(relation), table_name(definition, &table)) == 0)
		write_command(psprintf("DROP TABLE %s", relation_qualified_name(relation)));
	else
		ereport(NOTICE,
				(errmsg("table %s is left as it is", relation_qualified_name(relation)),
				 errdetail("It was given to graph \"%s\" for its vectors.", definition->name)));
}

/* A real[] of `width` numbers. */
ArrayType *
embedding_to_array(const float *vector, int width)
{
	Size		size = ARR_OVERHEAD_NONULLS(1) + width * sizeof(float);
	ArrayType  *array = palloc0(size);

	SET_VARSIZE(array, size);
	array->ndim = 1;
	array->dataoffset = 0;
	array->elemtype = FLOAT4OID;
	ARR_DIMS(array)[0] = width;
	ARR_LBOUND(array)[0] = 1;
	memcpy(ARR_DATA_PTR(array), vector, width * sizeof(float));
	return array;
}

/* The numbers of a real[] Datum. */
const float *
embedding_from_datum(Datum value, int *width)
{
	ArrayType  *array = DatumGetArrayTypeP(value);

	if (ARR_NDIM(array) != 1 || ARR_ELEMTYPE(array) != FLOAT4OID || array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_ARRAY_SUBSCRIPT_ERROR),
				 errmsg("an embedding must be a one-dimensional real[] without NULL"),
				 errdetail("This one has %s%s.", format_counted(ARR_NDIM(array), "dimension"),
						   array_contains_nulls(array) ? " and a NULL" : ""),
				 errhint("Give an array as train_graph() writes it.")));
	*width = ARR_DIMS(array)[0];
	return (const float *) ARR_DATA_PTR(array);
}

/* The row type of a batch. */
static TupleDesc
batch_description(Oid key_type)
{
	TupleDesc	description = CreateTemplateTupleDesc(BATCH_COLUMNS);

	TupleDescInitEntry(description, 1, "key", key_type, -1, 0);
	TupleDescInitEntryCollation(description, 1, get_typcollation(key_type));
	TupleDescInitEntry(description, 2, "embedding", FLOAT4ARRAYOID, -1, 0);
	TupleDescInitEntry(description, 3, "degree", INT4OID, -1, 0);
	TupleDescInitEntry(description, 4, "direct", FLOAT4ARRAYOID, -1, 0);
	TupleDescInitEntry(description, 5, "state", FLOAT4ARRAYOID, -1, 0);
	return description;
}

/* Rows begin .. end - 1 into a tuplestore. */
static void
fill_batch(const EmbeddingRows *rows, TupleDesc description, int32 begin, int32 end, Tuplestorestate *store)
{
	bool		nulls[BATCH_COLUMNS] = {false, false, false, rows->direct == NULL, rows->state == NULL};
	Datum		values[BATCH_COLUMNS] = {(Datum) 0};
	float	   *state = palloc((rows->n_state + 1) * sizeof(float));

	for (int32 i = begin; i < end; i++)
	{
		Key			key = dictionary_key(rows->keys, i);

		values[0] = key_to_datum(rows->key_type, &key);
		values[1] = PointerGetDatum(embedding_to_array(rows->vectors + (size_t) i * rows->width, rows->width));
		values[2] = Int32GetDatum(rows->degrees[i]);
		if (rows->direct != NULL)
			values[3] = PointerGetDatum(embedding_to_array(rows->direct + (size_t) i * rows->n_direct, rows->n_direct));
		if (rows->state != NULL)
		{
			rows->state(rows->state_source, i, state);
			values[4] = PointerGetDatum(embedding_to_array(state, rows->n_state));
		}
		tuplestore_putvalues(store, description, values, nulls);
	}
}

/* Make the name of the batch known to SPI; its rows change from batch to batch. */
static EphemeralNamedRelation
register_batch(TupleDesc description)
{
	EphemeralNamedRelation batch = palloc0(sizeof(EphemeralNamedRelationData));

	batch->md.name = BATCH_NAME;
	batch->md.tupdesc = description;
	batch->md.enrtype = ENR_NAMED_TUPLESTORE;
	batch->md.enrtuples = EMBEDDING_BATCH_ROWS;
	if (SPI_register_relation(batch) != SPI_OK_REL_REGISTER)
		elog(ERROR, "could not register a batch of rows");
	return batch;
}

/* Run the INSERT for each batch; each batch's memory goes before the next. */
static void
insert_batches(const EmbeddingRows *rows)
{
	TupleDesc	description = batch_description(rows->key_type);
	EphemeralNamedRelation batch = register_batch(description);
	char	   *more = psprintf("%s%s", rows->direct == NULL ? "" : ", direct", rows->state == NULL ? "" : ", state");
	char	   *insert = psprintf("INSERT INTO %s (%s, embedding, degree%s) SELECT key, embedding, degree%s FROM " BATCH_NAME,
								  rows->table, quote_identifier(rows->key_column), more, more);
	SPIPlanPtr	plan = SPI_prepare(insert, 0, NULL);
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "behavpred batch",
												  ALLOCSET_DEFAULT_SIZES);

	if (plan == NULL)
		elog(ERROR, "could not prepare an INSERT: %s", SPI_result_code_string(SPI_result));
	for (int32 begin = 0; begin < rows->keys->count; begin += EMBEDDING_BATCH_ROWS)
	{
		int32		end = Min(rows->keys->count - begin, EMBEDDING_BATCH_ROWS) + begin;
		MemoryContext caller;
		Tuplestorestate *store;

		progress_phase("storing embeddings", begin, rows->keys->count);
		caller = MemoryContextSwitchTo(context);
		store = tuplestore_begin_heap(false, false, work_mem);
		fill_batch(rows, description, begin, end, store);
		MemoryContextSwitchTo(caller);
		batch->reldata = store;
		if (SPI_execute_plan(plan, NULL, NULL, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not insert embeddings");
		tuplestore_end(store);
		MemoryContextReset(context);
	}
}

/* See embedding_storage.h. */
void
embedding_table_add(const EmbeddingRows *rows)
{
	SPI_connect();
	if (relation_is_distributed(relation_from_text(rows->table)))
		embedding_rows_send(rows);
	else
		insert_batches(rows);
	SPI_finish();
}

/* Replace all rows; see embedding_storage.h. */
void
embedding_table_fill(const EmbeddingRows *rows)
{
	write_command(psprintf("DELETE FROM %s", rows->table));
	embedding_table_add(rows);
}
