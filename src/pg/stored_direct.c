/*
 * stored_direct.c
 *		The direct term of a graph that tells behaviours apart, read where it is used.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/builtins.h"

#include "pg/bridge.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"
#include "pg/stored_direct.h"

/* The term of a run, and whether it is of these behaviours. */
static const char term_query[] =
"SELECT (r.result OPERATOR(pg_catalog.->>) 'direct_types')::pg_catalog.int4, "
"(r.result OPERATOR(pg_catalog.->>) 'direct_scale')::pg_catalog.float8, "
"ARRAY(SELECT s::pg_catalog.float8 FROM pg_catalog.jsonb_array_elements_text(r.result OPERATOR(pg_catalog.->) 'direct_user_slopes') s), "
"ARRAY(SELECT pg_catalog.jsonb_array_elements_text(r.result OPERATOR(pg_catalog.->) 'direct_behaviors')) OPERATOR(pg_catalog.=) $2, "
"(r.result OPERATOR(pg_catalog.->>) 'direct_popularity')::pg_catalog.float8, "
"ARRAY(SELECT s::pg_catalog.float8 FROM pg_catalog.jsonb_array_elements_text(r.result OPERATOR(pg_catalog.->) 'direct_constants') s), "
"ARRAY(SELECT s::pg_catalog.float8 FROM pg_catalog.jsonb_array_elements_text(r.result OPERATOR(pg_catalog.->) 'direct_object_slopes') s) "
"FROM behavpred.training_run r WHERE r.run_id OPERATOR(pg_catalog.=) $1 AND r.result OPERATOR(pg_catalog.?) 'direct_types'";

/* The row of term_query. */
typedef struct TermReading
{
	StoredDirect *direct;
	bool		found;
	bool		same;			/* behaviours as now */
} TermReading;

/* Copy a float8[] of as many numbers as there are behaviours. */
static bool
take_numbers(Datum value, int n_types, double *numbers)
{
	ArrayType  *array = DatumGetArrayTypeP(value);

	if (ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) != n_types || array_contains_nulls(array))
		return false;
	memcpy(numbers, ARR_DATA_PTR(array), n_types * sizeof(double));
	return true;
}

/* Row function of term_query. */
static void
keep_term(void *argument, Datum *values, bool *nulls)
{
	TermReading *reading = argument;
	DirectTerm *term = &reading->direct->term;
	ArrayType  *slopes;

	reading->found = true;
	reading->same = !nulls[0] && !nulls[1] && !nulls[2] && !nulls[3] && DatumGetBool(values[3]) && !nulls[4];
	if (!reading->same)
		return;
	slopes = DatumGetArrayTypeP(values[2]);
	term->n_types = ArrayGetNItems(ARR_NDIM(slopes), ARR_DIMS(slopes));
	term->types = (uint8_t) DatumGetInt32(values[0]);
	term->scale = DatumGetFloat8(values[1]);
	term->popularity = DatumGetFloat8(values[4]);
	reading->same = term->n_types > 0 && term->n_types <= GRAPH_MOST_TYPES &&
		take_numbers(values[2], term->n_types, term->user_slope) &&
		take_numbers(values[5], term->n_types, term->constant) &&
		take_numbers(values[6], term->n_types, term->object_slope);
}

/* See stored_direct.h. */
StoredDirect *
stored_direct_read(const GraphDefinition *graph)
{
	StoredDirect *direct = palloc0(sizeof(StoredDirect));
	TermReading reading = {.direct = direct};
	Oid			types[] = {INT8OID, TEXTARRAYOID};
	Datum		values[] = {Int64GetDatum(graph->trained_run), PointerGetDatum(graph->behaviors)};

	if (!graph->typed)
		return NULL;
	direct->graph = graph;
	direct->predicted = (uint8_t) graph_predicted_set(graph);
	read_rows(term_query, lengthof(types), types, values, NULL, keep_term, &reading);
	if (!reading.found)
		return NULL;
	if (!reading.same || (direct->term.types & direct->predicted) != 0 ||
		(direct->term.types | direct->predicted) != (1 << direct->term.n_types) - 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the behaviors of graph \"%s\" are not those it was trained with", graph->name),
				 errdetail("Run " INT64_FORMAT " told others apart, or predicted others.", graph->trained_run),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(graph->name))));
	return direct;
}

/* Rows of user, object and place of the behaviour while they are read. */
typedef struct LinkReading
{
	Oid			user_type;
	Oid			object_type;
	Dictionary *users;
	Dictionary *objects;
	Interactions pairs;
	UserLinks  *links;			/* of one user */
} LinkReading;

/* Types of the two key columns. */
static void
set_key_types(LinkReading *reading, const GraphDefinition *graph)
{
	Oid			relation = source_relation(graph->interactions, graph->apply_row_security);

	reading->user_type = source_key_column(relation, graph->user_column, "the graph");
	reading->object_type = source_key_column(relation, graph->object_column, "the graph");
}

/* Row function: a link of one of many users. */
static void
keep_link(void *argument, Datum *values, bool *nulls)
{
	LinkReading *reading = argument;
	Key			key;
	int32		user;
	int32		object;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(reading->user_type, values[0]);
	user = dictionary_find(reading->users, &key);
	key = key_from_datum(reading->object_type, values[1]);
	object = dictionary_find(reading->objects, &key);
	if (user >= 0 && object >= 0)
		interactions_add_typed(&reading->pairs, user, object, 1, DatumGetInt32(values[2]) - 1);
	bridge_check(reading->pairs.arena->core, "reading interactions");
}

/* See stored_direct.h. */
void
stored_direct_links(const StoredDirect *direct, Arena *arena, Dictionary *users, Dictionary *objects, Graph *links)
{
	const GraphDefinition *graph = direct->graph;
	LinkReading reading = {.users = users, .objects = objects};
	Arena		scratch;
	char	   *query;
	int			n;
	Oid		   *types;
	Datum	   *values;

	arena_open(&scratch, arena->core);
	set_key_types(&reading, graph);
	interactions_open(&reading.pairs, &scratch, false);
	interactions_open_types(&reading.pairs);
	bridge_check(arena->core, "reading interactions");
	query = graph_links_query(graph, NULL, &n, &types, &values);
	source_read(graph->apply_row_security, query, n, types, values, keep_link, &reading);
	graph_build(arena->core, arena, &reading.pairs, users->count, objects->count, 0, 0, links);
	bridge_check(arena->core, "reading interactions");
	links->n_types = direct->term.n_types;
	links->predicted = direct->predicted;
	arena_close(&scratch);
}

/* Row function: a link of the one user. */
static void
keep_user_link(void *argument, Datum *values, bool *nulls)
{
	LinkReading *reading = argument;
	UserLinks  *links = reading->links;
	Arena	   *arena = links->objects.arena;
	Key			key;
	int32		number;

	if (nulls[1])
		return;
	key = key_from_datum(reading->object_type, values[1]);
	number = dictionary_add(&links->objects, &key);
	if (number >= links->capacity)
	{
		int32		capacity = 2 * links->capacity + 64;

		links->types = arena_grow(arena, links->types, links->capacity, capacity, 1);
		bridge_check(arena->core, "reading a user's interactions");
		memset(links->types + links->capacity, 0, capacity - links->capacity);
		links->capacity = capacity;
	}
	bridge_check(arena->core, "reading a user's interactions");
	links->types[number] |= (uint8_t) (1 << (DatumGetInt32(values[2]) - 1));
}

/* See stored_direct.h. */
void
stored_direct_user(const StoredDirect *direct, Arena *arena, Datum user, UserLinks *links)
{
	const GraphDefinition *graph = direct->graph;
	LinkReading reading = {.links = links};
	int64_t		degrees[GRAPH_MOST_TYPES] = {0};
	char	   *condition;
	char	   *query;
	int			n;
	Oid		   *types;
	Datum	   *values;

	*links = (UserLinks) {.types = NULL};
	dictionary_open(&links->objects, arena, key_kind(graph->object_key_type));
	bridge_check(arena->core, "reading a user's interactions");
	set_key_types(&reading, graph);
	graph_links_query(graph, NULL, &n, &types, &values);
	condition = psprintf("%s OPERATOR(pg_catalog.=) $%d", quote_identifier(graph->user_column), n + 1);
	query = graph_links_query(graph, condition, &n, &types, &values);
	types[n] = graph->user_key_type;
	values[n++] = user;
	source_read(graph->apply_row_security, query, n, types, values, keep_user_link, &reading);
	for (int32 i = 0; i < links->objects.count; i++)
		for (int t = 0; t < direct->term.n_types; t++)
			degrees[t] += links->types[i] >> t & 1;
	direct_term_user(&direct->term, degrees, links->part);
}

/* See stored_direct.h. */
const float *
stored_direct_numbers(const StoredDirect *direct, Datum value, bool null)
{
	static const float none[DIRECT_OBJECT_NUMBERS(GRAPH_MOST_TYPES)];
	const float *numbers;
	int			width;

	if (null)
		return none;			/* of a node that came after the training */
	numbers = embedding_from_datum(value, &width);
	if (width != DIRECT_OBJECT_NUMBERS(direct->term.n_types))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("column \"direct\" of %s is not as its training wrote it", direct->graph->object_embeddings),
				 errdetail("A row has %d numbers, %d behaviors need %d.", width, direct->term.n_types,
						   DIRECT_OBJECT_NUMBERS(direct->term.n_types)),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(direct->graph->name))));
	return numbers;
}

/* Rows of key and numbers while they are read. */
typedef struct NumberReading
{
	const StoredDirect *direct;
	Oid			key_type;
	Dictionary *objects;
	float	   *numbers;
} NumberReading;

/* Row function: an object's numbers. */
static void
keep_numbers(void *argument, Datum *values, bool *nulls)
{
	NumberReading *reading = argument;
	int			width = DIRECT_OBJECT_NUMBERS(reading->direct->term.n_types);
	Key			key;
	int32		number;

	if (nulls[0])
		return;
	key = key_from_datum(reading->key_type, values[0]);
	number = dictionary_find(reading->objects, &key);
	if (number >= 0)
		memcpy(reading->numbers + (size_t) number * width,
			   stored_direct_numbers(reading->direct, values[1], nulls[1]), width * sizeof(float));
}

/* See stored_direct.h. */
float *
stored_direct_objects(const StoredDirect *direct, Arena *arena, Dictionary *objects)
{
	const GraphDefinition *graph = direct->graph;
	Oid			table = relation_from_text(graph->object_embeddings);
	size_t		count = (size_t) objects->count * DIRECT_OBJECT_NUMBERS(direct->term.n_types);
	NumberReading reading = {
		.direct = direct, .objects = objects,
		.key_type = source_key_column(table, graph->object_column, "the graph"),
		.numbers = arena_allocate_zeroed(arena, count, sizeof(float))
	};

	bridge_check(arena->core, "reading the embeddings of graph \"%s\"", graph->name);
	read_rows(psprintf("SELECT %s, direct FROM %s", quote_identifier(graph->object_column),
					   relation_qualified_name(table)), 0, NULL, NULL, NULL, keep_numbers, &reading);
	return reading.numbers;
}
