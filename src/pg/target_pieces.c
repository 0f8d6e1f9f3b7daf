/*
 * target_pieces.c
 *		The users that targets are trained on, where the embeddings lie in partitions or on other
 *		servers; see target_pieces.h.
 *
 * Members are asked for by key.  Negatives are the first in the order of a hash, which
 * is_drawn() knows as well: each piece sends those who are among the first by so large a share of all
 * that there should be enough of them, and where there are not the share is raised.  So what is sent is
 * bounded by the sample and not by the users.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "parser/parse_func.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "core/encoder.h"
#include "core/random.h"
#include "pg/keys.h"
#include "pg/placement.h"
#include "pg/source.h"
#include "pg/target_pieces.h"

#define KEYS_PER_STATEMENT 50000
#define MORE_OF_ALL 4.0			/* the share is raised by this factor */

PG_FUNCTION_INFO_V1(behavpred_is_drawn);

/* The parameters of is_drawn() after key and degree. */
enum
{
	DRAW_SEED, DRAW_GRAPH_SEED, DRAW_FRACTION, DRAW_SHARE, DRAW_SHIELDED_SHARE, DRAW_PARAMETERS
};

static const Oid draw_types[DRAW_PARAMETERS] = {INT8OID, INT8OID, FLOAT4OID, FLOAT8OID, FLOAT8OID};

typedef struct PieceReading
{
	TargetUsers *users;
	List	   *relations;
	const char *column;			/* of keys, quoted */
	Oid			key_type;		/* of the embedding table */
	char	   *conditions;		/* WHERE, of every piece */
	int			use;
} PieceReading;

/* Is a place in order among the first `share` of all? */
static bool
is_among_first(uint64 order, double share)
{
	return share >= 1 || ldexp((double) order, -64) < share;
}

/*
 * is_drawn(user_id, degree, seed, graph_seed, target_fraction, share, shielded_share): is the user among
 * the first of those who are not, or who are, shielded from targets?  No degree counts as 0.
 */
Datum
behavpred_is_drawn(PG_FUNCTION_ARGS)
{
	Oid			type = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, 0));
	Key			key;
	uint64		hash;
	bool		shielded;

	for (int i = 0; i < 2 + DRAW_PARAMETERS; i++)
		if (i != 1 && PG_ARGISNULL(i))
			PG_RETURN_NULL();
	if (!key_type_supported(type))
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("user_id is of type %s, which is not supported for keys", format_type_be(type)),
				 errdetail("Keys may be smallint, integer, bigint, text, character varying or uuid."),
				 errhint("Cast the key to one of them.")));
	key = key_from_datum(type, PG_GETARG_DATUM(0));
	hash = key_hash(key_kind(type), &key);
	shielded = encoder_shields((uint64) PG_GETARG_INT64(2 + DRAW_GRAPH_SEED), PG_GETARG_FLOAT4(2 + DRAW_FRACTION),
							   PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1), hash);
	PG_RETURN_BOOL(is_among_first(random_bits((uint64) PG_GETARG_INT64(2 + DRAW_SEED), RANDOM_SAMPLE, hash),
								  PG_GETARG_FLOAT8(2 + (shielded ? DRAW_SHIELDED_SHARE : DRAW_SHARE))));
}

/* See target_pieces.h.  A database whose extension is of an older version has no is_drawn(). */
bool
target_pieces_can_be_asked(const GraphDefinition *graph)
{
	List	   *name = list_make2(makeString("behavpred_internal"), makeString("is_drawn"));
	Oid			types[2 + DRAW_PARAMETERS] = {ANYELEMENTOID, INT4OID};

	memcpy(types + 2, draw_types, sizeof(draw_types));
	return relation_is_spread(relation_from_text(graph->user_embeddings)) &&
		OidIsValid(LookupFuncName(name, lengthof(types), types, true));
}

/* ---- statements -------------------------------------------------------------------------- */

static PieceReading
open_reading(TargetUsers *users, const char *candidates)
{
	const GraphDefinition *graph = users->members.graph;
	Oid			relation = relation_from_text(graph->user_embeddings);
	PieceReading reading = {
		.users = users, .relations = relation_pieces(relation), .column = quote_identifier(graph->user_column),
		.key_type = source_key_column(relation, graph->user_column, "the graph")
	};

	reading.conditions = psprintf(" WHERE %s IS NOT NULL AND embedding IS NOT NULL", reading.column);
	if (candidates != NULL)
		reading.conditions = psprintf("%s AND %s", reading.conditions, target_candidates_condition(graph, candidates));
	return reading;
}

/* Run "SELECT <select> FROM piece <conditions> <rest>" over all pieces. */
static void
read_pieces(PieceReading *reading, const char *select, const char *rest, int n, Oid *types, Datum *values,
			RowFunction function)
{
	source_read(reading->users->members.graph->apply_row_security,
				pieces_query(reading->relations, select, psprintf("%s%s", reading->conditions, rest)),
				n, types, values, function, reading);
}

/* Row function: the candidates of a piece. */
static void
add_count(void *argument, Datum *values, bool *nulls)
{
	((PieceReading *) argument)->users->candidates += DatumGetInt64(values[0]);
}

/* Row function: key, embedding, degree. */
static void
take_user(void *argument, Datum *values, bool *nulls)
{
	const PieceReading *reading = argument;
	Key			key = key_from_datum(reading->key_type, values[0]);

	target_users_take(reading->users, &key, values[1], nulls[2] ? 0 : DatumGetInt32(values[2]), reading->use);
}

/* Row function: the key of a member whose vector is not wanted. */
static void
mark_candidate(void *argument, Datum *values, bool *nulls)
{
	const PieceReading *reading = argument;
	Key			key = key_from_datum(reading->key_type, values[0]);
	int32		known = dictionary_find(&reading->users->members.known, &key);

	if (known >= 0)
		reading->users->known_users[known].candidate = true;
}

/* ---- users by key ------------------------------------------------------------------------ */

typedef enum KeyChoice
{
	CHOOSE_ALL,
	CHOOSE_KEPT,				/* members whose vectors are wanted */
	CHOOSE_OTHERS				/* members whose vectors are not */
} KeyChoice;

static bool
is_chosen(const TargetUsers *users, KeyChoice choice, int32 number)
{
	return choice == CHOOSE_ALL || users->known_users[number].kept == (choice == CHOOSE_KEPT);
}

/* The next keys that are chosen, from *first on, as an array; false when there are none. */
static bool
next_keys(const PieceReading *reading, const Dictionary *keys, KeyChoice choice, int32 *first, Datum *array)
{
	Datum	   *elements = palloc(KEYS_PER_STATEMENT * sizeof(Datum));
	int			n = 0;
	int16		length;
	bool		by_value;
	char		align;

	for (; *first < keys->count && n < KEYS_PER_STATEMENT; (*first)++)
		if (is_chosen(reading->users, choice, *first))
		{
			Key			key = dictionary_key(keys, *first);

			elements[n++] = key_to_datum(reading->key_type, &key);
		}
	get_typlenbyvalalign(reading->key_type, &length, &by_value, &align);
	*array = PointerGetDatum(construct_array(elements, n, reading->key_type, length, by_value, align));
	return n > 0;
}

/* Read the rows of the chosen keys. */
static void
read_keys(PieceReading *reading, const Dictionary *keys, KeyChoice choice, const char *select, RowFunction function)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "behavpred keys", ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(context);
	Oid			type = get_array_type(reading->key_type);
	int32		first = 0;
	Datum		array;

	while (next_keys(reading, keys, choice, &first, &array))
	{
		read_pieces(reading, select, psprintf(" AND %s OPERATOR(pg_catalog.=) ANY ($1)", reading->column),
					1, &type, &array, function);
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(context);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

/* ---- negatives --------------------------------------------------------------------------- */

/* The share of so many users among whom there should be `wanted`: four deviations more. */
static double
enough(int64 wanted, double users)
{
	return Min(1, (wanted + 4 * sqrt(wanted) + 64) / Max(users, 1));
}

/* One statement: those among the first by their shares. */
static void
read_first(PieceReading *reading, const double *shares, const char *vector_columns)
{
	const TargetUsers *users = reading->users;
	Oid			types[DRAW_PARAMETERS];
	Datum		values[] = {
		Int64GetDatum((int64) users->options.seed), Int64GetDatum((int64) users->run->seed),
		Float4GetDatum(users->run->target_fraction), Float8GetDatum(shares[0]), Float8GetDatum(shares[1])
	};

	memcpy(types, draw_types, sizeof(types));
	read_pieces(reading, vector_columns,
				psprintf(" AND behavpred_internal.is_drawn(%s, degree, $1, $2, $3, $4, $5)", reading->column),
				lengthof(values), types, values, take_user);
}

/* Until there are enough of either sort, or no more. */
static void
read_negatives(PieceReading *reading, const char *vector_columns)
{
	TargetUsers *users = reading->users;
	double		fraction = users->run->target_fraction;
	double		left = (double) users->candidates - (users->members.n_targets == 1 ? users->members.known.count : 0);
	double		shares[] = {enough(users->wanted, left * (1 - fraction)), enough(users->wanted, left * fraction)};

	while (shares[0] > 0 || shares[1] > 0)
	{
		read_first(reading, shares, vector_columns);
		for (int sort = 0; sort < 2; sort++)
			if (shares[sort] >= 1 || users->draws[sort].n >= users->wanted)
				shares[sort] = 0;	/* done */
			else if (shares[sort] > 0)
			{
				users->draws[sort].n = 0;
				shares[sort] = Min(1, shares[sort] * MORE_OF_ALL);
			}
	}
}

/* See target_pieces.h. */
void
target_pieces_read(TargetUsers *users, const char *candidates)
{
	PieceReading reading = open_reading(users, candidates);
	const char *vector_columns = psprintf("%s, embedding, degree", reading.column);

	read_pieces(&reading, "pg_catalog.count(*)", "", 0, NULL, NULL, add_count);
	reading.use = USE_AS_MEMBER;
	read_keys(&reading, &users->members.known, CHOOSE_KEPT, vector_columns, take_user);
	read_keys(&reading, &users->members.known, CHOOSE_OTHERS, reading.column, mark_candidate);
	reading.use = USE_AS_NEGATIVE;
	if (users->only_named)
		read_keys(&reading, &users->named_negatives, CHOOSE_ALL, vector_columns, take_user);
	else
		read_negatives(&reading, vector_columns);
}
