/*
 * explain.c
 *		explain(): what the probability of one user is made of.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "core/explanation.h"
#include "pg/bridge.h"
#include "pg/deployed_model.h"
#include "pg/embedding_lookup.h"
#include "pg/embedding_storage.h"
#include "pg/keys.h"
#include "pg/model_cache.h"
#include "pg/result_rows.h"
#include "pg/target_definition.h"
#include "pg/user_objects.h"
#include "pg/vector_layout.h"
#include "pg/wording.h"

PG_FUNCTION_INFO_V1(behavpred_explain);

#define COLUMNS 4				/* kind, name, contribution, by_factor */

typedef struct Explaining
{
	const GraphDefinition *graph;
	const Student *student;
	Core	   *core;
	Arena		arena;
	VectorLayout layout;
	const float *user;
	Explanation explanation;
	Dictionary	objects;		/* the user's */
	float	   *vectors;		/* of the first n_vectors of them that have one */
	int32	   *numbers;		/* which these are */
	int64		n_vectors;
	double	   *shares;			/* n_vectors x factors */
} Explaining;

/* ---- the user's interactions ------------------------------------------------------------- */

/* Copy the vectors of the user's objects; SPI is connected. */
static void
look_up_objects(Explaining *explaining, Oid table)
{
	const GraphDefinition *graph = explaining->graph;

	for (int32 i = 0; i < explaining->objects.count; i++)
	{
		Key			key = dictionary_key(&explaining->objects, i);
		Datum		value;
		const float *vector;
		int			width;

		if (!embedding_find(table, graph->object_column, graph->object_key_type,
							key_to_datum(graph->object_key_type, &key), &value))
			continue;
		vector = embedding_from_datum(value, &width);
		model_check_vector(explaining->student, vector, width);
		memcpy(explaining->vectors + explaining->n_vectors * width, vector, width * sizeof(float));
		explaining->numbers[explaining->n_vectors++] = i;
	}
}

/* The objects of the user that have a vector, and their shares of the factors' parts. */
static void
share_among_objects(Explaining *explaining, Datum user)
{
	const GraphDefinition *graph = explaining->graph;
	Oid			table = embedding_table_find(graph->object_embeddings, graph->object_column, graph->object_key_type);
	int64		n;

	dictionary_open(&explaining->objects, &explaining->arena, key_kind(graph->object_key_type));
	bridge_check(explaining->core, "explaining");
	user_objects_read(graph, user, &explaining->objects);
	n = explaining->objects.count;
	explaining->vectors = arena_floats(&explaining->arena, n * explaining->layout.width);
	explaining->numbers = arena_allocate(&explaining->arena, n, sizeof(int32));
	explaining->shares = arena_doubles(&explaining->arena, n * explaining->layout.factors);
	bridge_check(explaining->core, "explaining");
	SPI_connect();
	look_up_objects(explaining, table);
	SPI_finish();
	explanation_share(&explaining->layout, explaining->user, explaining->vectors, explaining->n_vectors,
					  explaining->explanation.factors, explaining->shares);
}

/* ---- rows -------------------------------------------------------------------------------- */

/* One row; `factors` (may be NULL) is the part by factor. */
static void
add_row(ResultRows *rows, const Explaining *explaining, const char *kind, const char *name, double contribution,
		const double *factors)
{
	Datum		values[COLUMNS] = {CStringGetTextDatum(kind), (Datum) 0, Float8GetDatum(contribution)};
	bool		nulls[COLUMNS] = {false, name == NULL, false, factors == NULL};
	int			n = explaining->layout.factors;
	Datum	   *elements = palloc(n * sizeof(Datum));

	if (name != NULL)
		values[1] = CStringGetTextDatum(name);
	for (int f = 0; factors != NULL && f < n; f++)
		elements[f] = Float8GetDatum(factors[f]);
	if (factors != NULL)
		values[3] = PointerGetDatum(construct_array(elements, n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
													TYPALIGN_DOUBLE));
	result_rows_add(rows, values, nulls);
}

/* The parts that add up to the logit. */
static void
return_parts(ResultRows *rows, const Explaining *explaining)
{
	const Explanation *e = &explaining->explanation;

	add_row(rows, explaining, "base", NULL, e->base, NULL);
	for (int f = 0; f < explaining->layout.factors; f++)
		add_row(rows, explaining, "factor", psprintf("%d", f + 1), e->factors[f], NULL);
	add_row(rows, explaining, "activity", NULL, e->activity, NULL);
	add_row(rows, explaining, "calibration", NULL, e->calibration, NULL);
	add_row(rows, explaining, "remainder", NULL, e->remainder, NULL);
}

/* An object of the user with its part. */
typedef struct ObjectPart
{
	int64		number;
	double		contribution;
} ObjectPart;

/* The largest part first, whatever its sign; ties as the dictionary has them. */
static int
compare_parts(const void *a, const void *b)
{
	const ObjectPart *x = a;
	const ObjectPart *y = b;
	double		difference = fabs(y->contribution) - fabs(x->contribution);

	if (difference != 0)
		return difference > 0 ? 1 : -1;
	return (x->number > y->number) - (x->number < y->number);
}

/* Sums over factors, sorted. */
static ObjectPart *
object_parts(const Explaining *explaining)
{
	int			factors = explaining->layout.factors;
	ObjectPart *parts = palloc(Max(explaining->n_vectors, 1) * sizeof(ObjectPart));

	for (int64 i = 0; i < explaining->n_vectors; i++)
	{
		parts[i] = (ObjectPart) {i, 0};
		for (int f = 0; f < factors; f++)
			parts[i].contribution += explaining->shares[i * factors + f];
	}
	if (explaining->n_vectors > 0)
		qsort(parts, explaining->n_vectors, sizeof(ObjectPart), compare_parts);
	return parts;
}

/* The largest parts of the user's interactions, and the sum of the others. */
static void
return_interactions(ResultRows *rows, const Explaining *explaining, int most)
{
	int			factors = explaining->layout.factors;
	ObjectPart *parts = object_parts(explaining);
	double	   *others = palloc0(factors * sizeof(double));
	double		sum = 0;

	for (int64 i = 0; i < explaining->n_vectors; i++)
	{
		const double *shares = explaining->shares + parts[i].number * factors;
		Key			key = dictionary_key(&explaining->objects, explaining->numbers[parts[i].number]);

		if (i < most)
		{
			add_row(rows, explaining, "interaction", key_to_text(explaining->graph->object_key_type, &key),
					parts[i].contribution, shares);
			continue;
		}
		sum += parts[i].contribution;
		for (int f = 0; f < factors; f++)
			others[f] += shares[f];
	}
	if (explaining->n_vectors > most)
		add_row(rows, explaining, "other_interactions", format_count(explaining->n_vectors - most), sum, others);
}

/* ---- the function ------------------------------------------------------------------------ */

/* How many interactions are wanted. */
static int
interactions_argument(FunctionCallInfo fcinfo)
{
	int			interactions = PG_GETARG_INT32(2);

	if (interactions < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("interactions is %d", interactions),
				 errdetail("It must be at least 0, which reads no interactions."),
				 errhint("SELECT * FROM behavpred.explain('buys_42', 7, interactions => 10);")));
	return interactions;
}

/* explain(target, user, interactions): no rows for a user whom the graph does not know. */
Datum
behavpred_explain(PG_FUNCTION_ARGS)
{
	int			interactions = interactions_argument(fcinfo);
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(0));
	TargetDefinition *target = interactions > 0 ? target_definition_for(name, PRIVILEGE_READ) :
		target_definition_read(name);
	ResultRows	rows = result_rows_open(fcinfo);
	Explaining	explaining = {.student = deployed_model_read(name)->student};
	ArrayType  *vector;
	Datum		user;
	int			width;

	explaining.graph = graph_definition_trained(target->graph);
	user = node_argument(fcinfo, 1, explaining.graph, false);
	vector = embedding_lookup(explaining.graph, false, user);
	if (vector == NULL)
		return (Datum) 0;
	explaining.user = embedding_from_datum(PointerGetDatum(vector), &width);
	model_check_vector(explaining.student, explaining.user, width);
	explaining.core = bridge_open(1);
	arena_open(&explaining.arena, explaining.core);
	explaining.layout = vector_layout_read(explaining.graph, width);
	explanation_make(explaining.core, &explaining.arena, explaining.student, &explaining.layout, explaining.user,
					 &explaining.explanation);
	bridge_check(explaining.core, "explaining");
	return_parts(&rows, &explaining);
	if (interactions > 0)
	{
		share_among_objects(&explaining, user);
		return_interactions(&rows, &explaining, interactions);
	}
	bridge_close(explaining.core);
	return (Datum) 0;
}
