/*
 * held_out.c
 *		The scores of a model's test part, kept beside the model.
 *
 * Kept are logits and numbers of interactions, positives first, each class by rising
 * logit, and no key: they say how good the model is, not who the users are.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/bridge.h"
#include "pg/held_out.h"
#include "pg/model_value.h"
#include "pg/reader.h"
#include "pg/writer.h"

/* float8[] of n numbers. */
static Datum
float8_array(const double *numbers, int64 n)
{
	Datum	   *elements = palloc(Max(n, 1) * sizeof(Datum));

	for (int64 i = 0; i < n; i++)
		elements[i] = Float8GetDatum(numbers[i]);
	return PointerGetDatum(construct_array(elements, (int) n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

/* int[] of n whole numbers. */
static Datum
int_array(const double *numbers, int64 n)
{
	Datum	   *elements = palloc(Max(n, 1) * sizeof(Datum));

	for (int64 i = 0; i < n; i++)
		elements[i] = Int32GetDatum((int32) numbers[i]);
	return PointerGetDatum(construct_array(elements, (int) n, INT4OID, sizeof(int32), true, TYPALIGN_INT));
}

/* The table came with version 0.2. */
static bool
table_exists(void)
{
	return OidIsValid(get_relname_relid("held_out_score", get_namespace_oid("behavpred", false)));
}

/* See held_out.h. */
void
held_out_store(const TargetTraining *training, int version)
{
	const TargetTest *test = &training->quality->test;
	const TargetSample *sample = training->sample;
	int64		n = test->n_positive + test->n_negative;
	Oid			types[] = {
		TEXTOID, INT4OID, INT4OID, FLOAT8ARRAYOID, INT4ARRAYOID, FLOAT8OID, FLOAT8OID, TEXTOID
	};
	Datum		values[8];
	int			i = 0;

	if (!table_exists())
		return;
	values[i++] = CStringGetTextDatum(training->target->name);
	values[i++] = Int32GetDatum(version);
	values[i++] = Int32GetDatum((int32) test->n_positive);
	values[i++] = float8_array(test->logits, n);
	values[i++] = int_array(test->degrees, n);
	values[i++] = Float8GetDatum((double) sample->population_positives / test->n_positive);
	values[i++] = Float8GetDatum((double) (sample->candidates - sample->population_positives) / test->n_negative);
	values[i++] = CStringGetTextDatum(training->target->owner);
	write_rows("INSERT INTO behavpred.held_out_score "
			   "(target, version, positives, logits, interactions, positive_weight, negative_weight, owner) "
			   "VALUES ($1, $2, $3, $4, $5, $6, $7, $8::pg_catalog.name)", lengthof(types), types, values, NULL);
}

/* Room for n cases. */
static void
test_part_open(Arena *arena, TestPart *part, int64 n)
{
	part->n = n;
	part->labels = arena_floats(arena, n);
	part->scores = arena_doubles(arena, n);
	part->probabilities = arena_doubles(arena, n);
	part->activity = arena_doubles(arena, n);
	bridge_check(arena->core, "reading a test part");
}

typedef struct HeldOutReading
{
	Arena	   *arena;
	HeldOutPart *held_out;
	MemoryContext context;
	bool		found;
} HeldOutReading;

/* The owner may have written the row by hand: lengths that differ would be read past their end. */
static void
check_row(int positives, int n, ArrayType *logits, ArrayType *interactions, double weights)
{
	if (n < 1 || ARR_DIMS(interactions)[0] != n || ARR_HASNULL(logits) || ARR_HASNULL(interactions) ||
		positives < 0 || positives > n || !(weights > 0) || isinf(weights))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("a row of behavpred.held_out_score is not as train_target() wrote it"),
				 errdetail("Lengths differ, or a number is missing."),
				 errhint("Train the target again.")));
}

/* Positives first. */
static void
fill_part(TestPart *part, int positives, const double *logits, const int32 *interactions)
{
	for (int64 i = 0; i < part->n; i++)
	{
		part->labels[i] = i < positives;
		part->scores[i] = logits[i];
		part->activity[i] = interactions[i];
	}
}

/* Row function: model, basis, and what the table holds of the version. */
static void
keep_part(void *argument, Datum *values, bool *nulls)
{
	HeldOutReading *reading = argument;
	TestPart   *part = &reading->held_out->part;
	bytea	   *model = DatumGetByteaPP(values[0]);
	MemoryContext row;
	ArrayType  *logits;
	ArrayType  *interactions;
	int			positives;

	reading->held_out->basis = MemoryContextStrdup(reading->context, TextDatumGetCString(values[1]));
	if (nulls[2])
		return;
	positives = DatumGetInt32(values[2]);
	logits = DatumGetArrayTypeP(values[3]);
	interactions = DatumGetArrayTypeP(values[4]);
	part->class_weights[1] = DatumGetFloat8(values[5]);
	part->class_weights[0] = DatumGetFloat8(values[6]);
	check_row(positives, ARR_NDIM(logits) == 1 && ARR_NDIM(interactions) == 1 ? ARR_DIMS(logits)[0] : 0,
			  logits, interactions, Min(part->class_weights[0], part->class_weights[1]));
	row = MemoryContextSwitchTo(reading->context);
	test_part_open(reading->arena, part, ARR_DIMS(logits)[0]);
	student_from_model(reading->arena, VARDATA_ANY(model), VARSIZE_ANY_EXHDR(model),
					   &reading->held_out->student);
	fill_part(part, positives, (double *) ARR_DATA_PTR(logits), (int32 *) ARR_DATA_PTR(interactions));
	evaluation_calibrate(part, &reading->held_out->student);
	MemoryContextSwitchTo(row);
	reading->found = true;
}

static const char held_out_query[] =
"SELECT m.model, m.metrics OPERATOR(pg_catalog.->>) 'test_basis', h.positives, h.logits, h.interactions, "
"h.positive_weight, h.negative_weight "
"FROM behavpred.trained_model m LEFT JOIN behavpred.held_out_score h "
"ON h.target OPERATOR(pg_catalog.=) m.target AND h.version OPERATOR(pg_catalog.=) m.version "
"WHERE m.target OPERATOR(pg_catalog.=) $1 AND m.version OPERATOR(pg_catalog.=) $2";

/* See held_out.h. */
bool
held_out_read(Arena *arena, const TargetDefinition *target, int version, HeldOutPart *held_out)
{
	HeldOutReading reading = {arena, held_out, CurrentMemoryContext, false};
	Oid			types[] = {TEXTOID, INT4OID};
	Datum		values[] = {CStringGetTextDatum(target->name), Int32GetDatum(version)};

	held_out->version = version;
	if (version == 0 && target->deployed_version == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("target \"%s\" has no deployed model", target->name),
				 errhint("SELECT * FROM behavpred.train_target(%s);", quote_literal_cstr(target->name))));
	if (read_rows(held_out_query, lengthof(types), types, values, NULL, keep_part, &reading) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("target \"%s\" has no version %d", target->name, version),
				 errhint("SELECT version, trained_at FROM behavpred.models WHERE target = %s;",
						 quote_literal_cstr(target->name))));
	return reading.found;
}

/* See held_out.h. */
void
held_out_find(Arena *arena, const TargetDefinition *target, int version, HeldOutPart *held_out)
{
	if (!held_out_read(arena, target, version, held_out))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("no held-out scores of version %d of target \"%s\" were kept", version, target->name),
				 errdetail("It was trained by an earlier version of behavpred, or imported, or you may predict with it only."),
				 errhint("SELECT * FROM behavpred.train_target(%s); or give evaluate() a table of users and labels.",
						 quote_literal_cstr(target->name))));
}
