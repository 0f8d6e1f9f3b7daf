/*
 * vector_succession.c
 *		How near a graph's vectors are to those of its earlier trainings.
 *
 * The mean cosine is measured against the vectors that a training replaces.  For those
 * before them the angles are added up: the angle between first and last is at most their sum.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "core/vectors.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"
#include "pg/progress.h"
#include "pg/reader.h"
#include "pg/source.h"
#include "pg/vector_succession.h"
#include "pg/writer.h"

/* The SQL objects of version 0.1 have no such table. */
static bool
table_exists(void)
{
	return OidIsValid(get_relname_relid("vector_succession", get_namespace_oid("behavpred", false)));
}

/* ---- measuring --------------------------------------------------------------------------- */

/* The vectors of one side, old ones streaming by. */
typedef struct Comparison
{
	const Dictionary *keys;
	Oid			key_type;
	const float *vectors;		/* new ones */
	int			width;
	int			dimension;
	VectorLikeness *likeness;
} Comparison;

/* Row function: key, old vector. */
static void
compare_vector(void *argument, Datum *values, bool *nulls)
{
	Comparison *comparison = argument;
	const float *old;
	double		cosine;
	int32		number;
	int			width;
	Key			key;

	if (nulls[0] || nulls[1])
		return;
	key = key_from_datum(comparison->key_type, values[0]);
	number = dictionary_find(comparison->keys, &key);
	old = embedding_from_datum(values[1], &width);
	if (number < 0 || width != comparison->width || !vectors_finite(old, width))
		return;
	cosine = vectors_likeness(old, comparison->vectors + (size_t) number * width, comparison->dimension);
	if (isnan(cosine))
		return;
	comparison->likeness->sum += cosine;
	comparison->likeness->n++;
}

/* One side. */
static void
compare_side(GraphTraining *training, bool of_objects)
{
	const GraphDefinition *definition = training->definition;
	const char *column = of_objects ? definition->object_column : definition->user_column;
	Oid			type = of_objects ? definition->object_key_type : definition->user_key_type;
	Oid			relation = embedding_table_find(of_objects ? definition->object_embeddings :
												definition->user_embeddings, column, type);
	int32		first = of_objects ? training->loaded->graph.n_users : 0;
	Comparison	comparison = {
		.keys = of_objects ? &training->loaded->objects : &training->loaded->users,
		.width = training->result.width, .dimension = training->options.dimension,
		.vectors = training->result.vectors + (size_t) first * training->result.width,
		.likeness = &training->likeness[of_objects]
	};

	if (!OidIsValid(relation))
		return;
	comparison.key_type = source_key_column(relation, column, "the graph");
	read_rows(psprintf("SELECT %s, embedding FROM %s", quote_identifier(column), relation_qualified_name(relation)),
			  0, NULL, NULL, NULL, compare_vector, &comparison);
}

/* See vector_succession.h. */
void
succession_measure(GraphTraining *training)
{
	const GraphDefinition *definition = training->definition;

	if (definition->trained_run == 0 || definition->user_embeddings == NULL || !table_exists())
		return;
	progress_phase("comparing with the vectors before", 0, 0);
	compare_side(training, false);
	compare_side(training, true);
}

/* ---- the table --------------------------------------------------------------------------- */

/* The run before, and through it those before that. */
static const char next_rows[] =
"INSERT INTO behavpred.vector_succession (graph, run_id, earlier_run, owner, warm, users, user_cosine, object_cosine) "
"SELECT $1, $2, s.earlier_run, $4::pg_catalog.name, s.warm AND $5, least(s.users, $6), "
"pg_catalog.cos(least(pg_catalog.acos(s.user_cosine) OPERATOR(pg_catalog.+) pg_catalog.acos($7), pg_catalog.pi())), "
"pg_catalog.cos(least(pg_catalog.acos(s.object_cosine) OPERATOR(pg_catalog.+) pg_catalog.acos($8), pg_catalog.pi())) "
"FROM behavpred.vector_succession s WHERE s.graph OPERATOR(pg_catalog.=) $1 AND s.run_id OPERATOR(pg_catalog.=) $3 "
"UNION ALL SELECT $1, $2, $3, $4::pg_catalog.name, $5, $6, $7, $8";

/* In -1 .. 1, so that it is the cosine of an angle. */
static double
mean_cosine(const VectorLikeness *likeness)
{
	return likeness->n == 0 ? 0 : fmin(fmax(likeness->sum / likeness->n, -1), 1);
}

/* See vector_succession.h. */
void
succession_write(const GraphTraining *training)
{
	const GraphDefinition *definition = training->definition;
	const VectorLikeness *likeness = training->likeness;
	Oid			types[] = {TEXTOID, INT8OID, INT8OID, TEXTOID, BOOLOID, INT8OID, FLOAT8OID, FLOAT8OID};
	Datum		values[] = {
		CStringGetTextDatum(definition->name), Int64GetDatum(training->run_id),
		Int64GetDatum(definition->trained_run), CStringGetTextDatum(definition->owner),
		BoolGetDatum(training->options.warm_start), Int64GetDatum(likeness[0].n),
		Float8GetDatum(mean_cosine(&likeness[0])), Float8GetDatum(mean_cosine(&likeness[1]))
	};
	const char	nulls[] = {
		' ', ' ', ' ', ' ', ' ', ' ', likeness[0].n == 0 ? 'n' : ' ', likeness[1].n == 0 ? 'n' : ' ', '\0'
	};

	if (!table_exists())
		return;
	if (definition->trained_run != 0)
		write_rows(next_rows, lengthof(types), types, values, nulls);
	write_rows("DELETE FROM behavpred.vector_succession WHERE graph OPERATOR(pg_catalog.=) $1 "
			   "AND run_id OPERATOR(pg_catalog.<>) $2", 2, types, values, NULL);
}

/* The plan of succession_fits(), made once for each session: predict() asks for every row. */
static SPIPlanPtr
fits_plan(void)
{
	static SPIPlanPtr plan = NULL;
	Oid			types[] = {TEXTOID, INT8OID, INT8OID};

	if (plan == NULL)
	{
		SPIPlanPtr	made = SPI_prepare("SELECT behavpred_internal.vectors_fit(warm, user_cosine), user_cosine "
									   "FROM behavpred.vector_succession WHERE graph OPERATOR(pg_catalog.=) $1 "
									   "AND run_id OPERATOR(pg_catalog.=) $2 AND earlier_run OPERATOR(pg_catalog.=) $3 AND warm",
									   lengthof(types), types);

		if (made == NULL || SPI_keepplan(made) != 0)
			elog(ERROR, "could not prepare a query: %s", SPI_result_code_string(SPI_result));
		plan = made;
	}
	return plan;
}

/* See vector_succession.h. */
bool
succession_fits(const char *graph, int64 graph_run, int64 trained_run, char **apart)
{
	Datum		values[] = {CStringGetTextDatum(graph), Int64GetDatum(trained_run), Int64GetDatum(graph_run)};
	MemoryContext caller = CurrentMemoryContext;
	double		cosine = NAN;
	bool		fits = false;
	bool		null;

	if (graph_run == trained_run)
		return true;
	SPI_connect();
	if (table_exists() && SPI_execute_plan(fits_plan(), values, NULL, true, 1) == SPI_OK_SELECT && SPI_processed > 0)
	{
		Datum		number = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &null);

		cosine = null ? NAN : DatumGetFloat8(number);
		fits = DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
	}
	SPI_finish();
	MemoryContextSwitchTo(caller);
	*apart = psprintf("It was trained on those of run " INT64_FORMAT ", graph \"%s\" now has those of run " INT64_FORMAT "%s.",
					  graph_run, graph, trained_run,
					  isnan(cosine) ? "" : psprintf("; the users' vectors have a mean cosine of %.3f", cosine));
	return fits;
}
