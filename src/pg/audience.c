/*
 * audience.c
 *		audience() and audience_into(): the selected users as rows or as a table.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/varlena.h"

#include "pg/audience_selection.h"
#include "pg/keys.h"
#include "pg/writer.h"

PG_FUNCTION_INFO_V1(behavpred_audience);
PG_FUNCTION_INFO_V1(behavpred_audience_into);

#define INSERT_ROWS 10000		/* of one INSERT */

/* See audience_selection.h. */
void
audience_return(const Audience *audience, ResultRows *rows)
{
	for (int64 i = 0; i < audience->selection.n; i++)
	{
		const ScoredKey *entry = &audience->selection.entries[i];
		Key			key = selection_key(&audience->selection, entry);
		char	   *text = key_to_text(audience->key_type, &key);
		double		lift;
		double		probability = audience_probability(audience, entry, &lift);
		Datum		user_key = CStringGetTextDatum(text);
		Datum		values[] = {Int64GetDatum(i + 1), user_key, Float8GetDatum(probability), Float8GetDatum(lift)};

		result_rows_add(rows, values, NULL);
		pfree(DatumGetPointer(user_key));
		pfree(text);
	}
}

/* audience(target, size, ...) */
Datum
behavpred_audience(PG_FUNCTION_ARGS)
{
	AudienceRequest request = audience_arguments(fcinfo, 1);
	ResultRows	rows = result_rows_open(fcinfo);
	Audience	audience;

	audience_open(&request, &audience);
	audience_select(&request, &audience);
	audience_return(&audience, &rows);
	audience_close(&audience);
	return (Datum) 0;
}

/* "name" or "schema.name", taken apart as SQL does. */
static List *
destination_names(const char *destination)
{
	List	   *parts;
	List	   *names = NIL;
	ListCell   *cell;

	if (!SplitIdentifierString(pstrdup(destination), '.', &parts) || parts == NIL || list_length(parts) > 3)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is not a name for a table", destination),
				 errdetail("It is a name, or schema.name, as in SQL: what has other letters than small ones stands in double quotes."),
				 errhint("Choose a name such as 'campaign_users' or '\"Campaign users\"'.")));
	foreach(cell, parts)
		names = lappend(names, makeString(lfirst(cell)));
	return names;
}

/* The schema to create it in, and the name there. */
static Oid
creation_schema(const char *destination, char **name)
{
	List	   *names = destination_names(destination);

	if (list_length(names) == 1 && fetch_search_path(false) == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("no schema has been selected to create \"%s\" in", destination),
				 errdetail("No schema of search_path exists."),
				 errhint("Name one: destination => 'public.%s'.", destination)));
	return QualifiedNameGetCreationNamespace(names, name);
}

/* The destination as a quoted identifier; it must not be there yet. */
static char *
new_table_name(const char *destination)
{
	char	   *name;
	Oid			schema = creation_schema(destination, &name);
	char	   *quoted = quote_qualified_identifier(get_namespace_name(schema), name);

	if (OidIsValid(get_relname_relid(name, schema)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_TABLE),
				 errmsg("relation \"%s\" already exists", destination),
				 errdetail("audience_into() writes a new table only, so that nothing is overwritten."),
				 errhint("DROP TABLE %s; or choose another name.", quoted)));
	return quoted;
}

/* The column of users keeps its name, which must not be that of another column. */
static const char *
user_column(const Audience *audience)
{
	static const char *const others[] = {"rank", "probability", "lift"};
	const char *column = audience->graph->user_column;

	for (int i = 0; i < lengthof(others); i++)
		if (strcmp(column, others[i]) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("the user column of graph \"%s\" is named \"%s\"", audience->graph->name, column),
					 errdetail("An audience has a column of this name already."),
					 errhint("CREATE TABLE ... AS SELECT * FROM behavpred.audience(...);")));
	return quote_identifier(column);
}

static void
create_table(const AudienceRequest *request, const Audience *audience, const char *table)
{
	write_command(psprintf("CREATE TABLE %s (rank pg_catalog.int8 NOT NULL, %s %s PRIMARY KEY, "
						   "probability pg_catalog.float8 NOT NULL, lift pg_catalog.float8 NOT NULL)", table,
						   user_column(audience), format_type_be_qualified(audience->key_type)));
	write_command(psprintf("COMMENT ON TABLE %s IS %s", table,
						   quote_literal_cstr(psprintf("Audience of target \"%s\", best first by rank",
													   request->target->name))));
}

/* Entries first .. first + n - 1 by one INSERT. */
static void
insert_entries(const Audience *audience, const char *table, int64 first, int n)
{
	Datum	   *columns[4];
	Oid			types[] = {INT8OID, audience->key_type, FLOAT8OID, FLOAT8OID};
	Oid			array_types[4];
	Datum		arrays[4];

	for (int c = 0; c < 4; c++)
		columns[c] = palloc(n * sizeof(Datum));
	for (int i = 0; i < n; i++)
	{
		const ScoredKey *entry = &audience->selection.entries[first + i];
		Key			key = selection_key(&audience->selection, entry);
		double		lift;
		double		probability = audience_probability(audience, entry, &lift);

		columns[0][i] = Int64GetDatum(first + i + 1);
		columns[1][i] = key_to_datum(audience->key_type, &key);
		columns[2][i] = Float8GetDatum(probability);
		columns[3][i] = Float8GetDatum(lift);
	}
	for (int c = 0; c < 4; c++)
	{
		int16		length;
		bool		by_value;
		char		align;

		get_typlenbyvalalign(types[c], &length, &by_value, &align);
		array_types[c] = get_array_type(types[c]);
		arrays[c] = PointerGetDatum(construct_array(columns[c], n, types[c], length, by_value, align));
	}
	write_rows(psprintf("INSERT INTO %s SELECT * FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), "
						"pg_catalog.unnest($3), pg_catalog.unnest($4))", table),
			   4, array_types, arrays, NULL);
}

/* All entries; the memory of each INSERT goes before the next. */
static void
insert_audience(const Audience *audience, const char *table)
{
	int64		n = audience->selection.n;
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "behavpred audience rows",
												  ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);

	for (int64 first = 0; first < n; first += INSERT_ROWS)
	{
		insert_entries(audience, table, first, (int) Min(INSERT_ROWS, n - first));
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* audience_into(target, destination, size, ...): what forbids the table is met before the work. */
Datum
behavpred_audience_into(PG_FUNCTION_ARGS)
{
	AudienceRequest request = audience_arguments(fcinfo, 2);
	Audience	audience;
	char	   *table;
	int64		n;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("destination must not be NULL"),
				 errhint("SELECT behavpred.audience_into('buys_42', 'campaign_users', size => 1000);")));
	require_writable("audience_into()");
	table = new_table_name(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	audience_open(&request, &audience);
	create_table(&request, &audience, table);
	audience_select(&request, &audience);
	n = audience.selection.n;
	insert_audience(&audience, table);
	audience_close(&audience);
	PG_RETURN_INT64(n);
}
