/*
 * graph_behaviors.c
 *		set_behaviors(): what the behaviours of a graph are to each other.
 *
 * It stands in behavpred.graph_behavior, which came with version 0.2; graph_definition.c reads it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "core/graph.h"
#include "pg/arguments.h"
#include "pg/graph_definition.h"
#include "pg/graph_lock.h"
#include "pg/options.h"
#include "pg/privileges.h"
#include "pg/writer.h"

PG_FUNCTION_INFO_V1(behavpred_set_behaviors);

/* The arguments of set_behaviors(), by position. */
enum
{
	ARG_GRAPH, ARG_WEIGHTS, ARG_PREDICT, ARG_TYPED
};

#define SMALLEST_WEIGHT 1e-6
#define LARGEST_WEIGHT 1e6

/* The graph, which must have behaviours; its lock is taken. */
static GraphDefinition *
graph_argument(FunctionCallInfo fcinfo)
{
	GraphDefinition *graph =
		graph_definition_owned(name_given(fcinfo, ARG_GRAPH, "graph",
										  "SELECT behavpred.set_behaviors('shop', predict => '{purchase}');"));

	if (graph->behavior_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("graph \"%s\" does not know behaviors", graph->name),
				 errdetail("It was created without behavior_column and behaviors."),
				 errhint("SELECT behavpred.create_graph(..., behavior_column => 'kind', behaviors => '{view,cart,purchase}');")));
	graph_lock(graph);
	return graph;
}

/* The weight of each behaviour. */
static float *
weights_argument(FunctionCallInfo fcinfo, int n, char **names)
{
	float	   *weights = palloc(n * sizeof(float));
	Option	   *options = palloc0((n + 1) * sizeof(Option));

	for (int i = 0; i < n; i++)
	{
		weights[i] = 1;
		options[i] = (Option) {names[i], OPTION_FLOAT, &weights[i], SMALLEST_WEIGHT, LARGEST_WEIGHT, NULL};
	}
	if (!PG_ARGISNULL(ARG_WEIGHTS))
		options_read_as(PG_GETARG_JSONB_P(ARG_WEIGHTS), "weights", "behavior", options);
	return weights;
}

/* float8[] of them. */
static Datum
weights_datum(const float *weights, int n)
{
	Datum	   *elements = palloc(n * sizeof(Datum));

	for (int i = 0; i < n; i++)
		elements[i] = Float8GetDatum(weights[i]);
	return PointerGetDatum(construct_array(elements, n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* The behaviours to be predicted, each of them one of the graph's; all by default. */
static ArrayType *
predict_argument(FunctionCallInfo fcinfo, const GraphDefinition *graph, char **names)
{
	ArrayType  *predict = PG_ARGISNULL(ARG_PREDICT) ? graph->behaviors : PG_GETARG_ARRAYTYPE_P(ARG_PREDICT);
	int			n;
	char	  **words;

	if (ArrayGetNItems(ARR_NDIM(predict), ARR_DIMS(predict)) == 0 || array_contains_nulls(predict))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("predict is empty or contains NULL"),
				 errhint("Name at least one behavior, or leave it out to predict all.")));
	words = text_array_words(predict, &n);
	for (int i = 0; i < n; i++)
		options_choice("behavior", words[i], (const char *const *) names);
	return predict;
}

/* What a graph with types cannot have. */
static void
check_typed(const GraphDefinition *graph, int n)
{
	if (n > GRAPH_MOST_TYPES)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("graph \"%s\" has %d behaviors", graph->name, n),
				 errdetail("A network tells at most %d apart.", GRAPH_MOST_TYPES),
				 errhint("Use typed => false, or read the interactions through a view that groups them.")));
	if (strcmp(graph->object_column, "direct") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_RESERVED_NAME),
				 errmsg("a column of keys cannot be named \"direct\" with typed => true"),
				 errdetail("The table of object embeddings has a column of this name beside the key."),
				 errhint("Read the interactions through a view that names it otherwise.")));
}

/* set_behaviors(graph, weights, predict, typed) */
Datum
behavpred_set_behaviors(PG_FUNCTION_ARGS)
{
	GraphDefinition *graph = graph_argument(fcinfo);
	int			n;
	char	  **names = text_array_words(graph->behaviors, &n);
	float	   *weights = weights_argument(fcinfo, n, names);
	ArrayType  *predict = predict_argument(fcinfo, graph, names);
	bool		typed = PG_ARGISNULL(ARG_TYPED) || PG_GETARG_BOOL(ARG_TYPED);
	Oid			types[] = {TEXTOID, FLOAT8ARRAYOID, TEXTARRAYOID, BOOLOID};
	Datum		values[] = {
		CStringGetTextDatum(graph->name), weights_datum(weights, n), PointerGetDatum(predict), BoolGetDatum(typed)
	};

	require_writable("set_behaviors()");
	if (typed)
		check_typed(graph, n);
	write_rows("DELETE FROM behavpred.graph_behavior WHERE graph OPERATOR(pg_catalog.=) $1", 1, types, values, NULL);
	if (typed || !PG_ARGISNULL(ARG_WEIGHTS) || !PG_ARGISNULL(ARG_PREDICT))
		write_rows("INSERT INTO behavpred.graph_behavior (graph, weights, predicted, typed) VALUES ($1, $2, $3, $4)",
				   lengthof(types), types, values, NULL);
	PG_RETURN_VOID();
}
