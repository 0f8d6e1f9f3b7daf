/*
 * graph_advice.c
 *		What create_graph() says of a graph that can be made, but is hardly what was meant.
 *
 * None of it is an error, because each may be meant.  It is said when the graph is created, and
 * not again by each training, where nobody would read it.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "core/statistics.h"
#include "pg/bridge.h"
#include "pg/graph_advice.h"
#include "pg/source.h"
#include "pg/wording.h"

/*
 * Weights that count like fewer edges than this share of all: with log-normal ones that say nothing a
 * quarter is where Recall@20 loses a tenth.
 */
#define UNEVEN_WEIGHTS 0.25

/* Row function: there is one. */
static void
pass_over(void *argument, Datum *values, bool *nulls)
{
}

/* Has any interaction this behaviour? */
static bool
behavior_occurs(const GraphDefinition *definition, const char *behavior)
{
	Oid			type = TEXTOID;
	Datum		value = CStringGetTextDatum(behavior);
	char	   *query = psprintf("SELECT 1 FROM %s WHERE %s::pg_catalog.text OPERATOR(pg_catalog.=) $1 LIMIT 1",
								 definition->interactions, quote_identifier(definition->behavior_column));

	return source_read(definition->apply_row_security, query, 1, &type, &value, pass_over, NULL) > 0;
}

/* A mistyped behaviour beside a right one would leave its rows out in silence. */
static void
advise_behaviors(const GraphDefinition *definition)
{
	char	  **behaviors;
	int			n;

	if (definition->behavior_column == NULL)
		return;
	behaviors = text_array_words(definition->behaviors, &n);
	for (int i = 0; i < n; i++)
		if (!behavior_occurs(definition, behaviors[i]))
			ereport(NOTICE,
					(errmsg("no interaction has the behavior \"%s\"", behaviors[i]),
					 errhint("See what there is: SELECT %s, count(*) FROM %s GROUP BY 1;",
							 quote_identifier(definition->behavior_column), definition->interactions)));
}

/* Features of others than those who have interactions: keys that are written in another way? */
static void
advise_features(const GraphDefinition *definition, const char *relation, const char *column, const char *kind,
				const FeatureCounts *counts)
{
	if (counts->rows == 0 || counts->known > 0)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("no %s of %s has interactions", kind, relation),
			 errdetail("Its %s became nodes without edges, and the others have no features.",
					   format_counted(counts->rows, "row")),
			 errhint("Compare the keys: SELECT %s FROM %s LIMIT 5; SELECT %s FROM %s LIMIT 5;",
					 quote_identifier(column), definition->interactions, quote_identifier(column), relation)));
}

/* Sums, prices and seconds have a few rows that outweigh all others. */
static void
advise_weights(Core *core, const GraphDefinition *definition, const Graph *graph)
{
	double		effective;

	if (definition->weight_column == NULL || graph->weights == NULL)
		return;
	effective_count(core, graph->n_edges, graph->weights, &effective);
	bridge_check(core, "comparing the weights of graph \"%s\"", definition->name);
	if (effective >= UNEVEN_WEIGHTS * (double) graph->n_edges)
		return;
	ereport(NOTICE,
			(errmsg("a few interactions outweigh all others in \"%s\"", definition->weight_column),
			 errdetail("By weight the %s count like %s even ones.", format_counted(graph->n_edges, "edge"),
					   format_count((int64) effective)),
			 errhint("A logarithm in a view often serves better, such as ln(1 + %s); compare recall_at_20, also without weight_column.",
					 quote_identifier(definition->weight_column))));
}

/* Lists of both sides are cut, so that a bound near the mean of one of them leaves little. */
static void
advise_bound(const GraphDefinition *definition, const Graph *graph)
{
	if (graph->n_capped > graph->n_edges)
		ereport(NOTICE,
				(errmsg("max_degree => %d leaves out more than half of the graph", definition->max_degree),
				 errdetail("Of %s it leaves out %s, of users and objects with more.",
						   format_counted(graph->n_edges + graph->n_capped, "edge"), format_count(graph->n_capped)),
				 errhint("Degrees as they are: SELECT * FROM behavpred.describe_graph(...) of a graph without max_degree.")));
}

/* See graph_advice.h. */
void
graph_advise(Core *core, const GraphDefinition *definition, const GraphSources *sources, const LoadedGraph *loaded)
{
	source_tell_temporary(sources->interactions);
	source_tell_temporary(sources->users);
	source_tell_temporary(sources->objects);
	advise_behaviors(definition);
	advise_features(definition, definition->users, definition->user_column, "user", &loaded->user_rows);
	advise_features(definition, definition->objects, definition->object_column, "object", &loaded->object_rows);
	advise_weights(core, definition, &loaded->graph);
	advise_bound(definition, &loaded->graph);
}
