/*
 * vector_layout.c
 *		How the numbers of a graph's vectors are to be read.
 */
#include "postgres.h"

#include "catalog/pg_type.h"

#include "core/encoder.h"
#include "pg/reader.h"
#include "pg/vector_layout.h"

/* Row function: dimension and factors of the training of the graph. */
static void
keep_layout(void *argument, Datum *values, bool *nulls)
{
	VectorLayout *layout = argument;
	int			dimension = nulls[0] ? 0 : DatumGetInt32(values[0]);
	int			factors = nulls[1] ? 0 : DatumGetInt32(values[1]);

	if (dimension < 1 || dimension >= layout->width || factors < 1 || dimension % factors != 0)
		return;
	layout->dimension = dimension;
	layout->factors = factors;
}

/* See vector_layout.h. */
VectorLayout
vector_layout_read(const GraphDefinition *graph, int width)
{
	VectorLayout layout = {width, Max(width - ENCODER_EXTRA_NUMBERS, 1), 1};
	Oid			type = INT8OID;
	Datum		run = Int64GetDatum(graph->trained_run);

	read_rows("SELECT (options OPERATOR(pg_catalog.->>) 'dimension')::pg_catalog.int4, "
			  "(options OPERATOR(pg_catalog.->>) 'factors')::pg_catalog.int4 "
			  "FROM behavpred.training_run WHERE run_id OPERATOR(pg_catalog.=) $1",
			  1, &type, &run, NULL, keep_layout, &layout);
	return layout;
}
