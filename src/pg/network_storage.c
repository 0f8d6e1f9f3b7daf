/*
 * network_storage.c
 *		The parameters of a trained network in the catalog.
 *
 * They go out and in by blocks of about a megabyte, so that they take no second copy in
 * memory, and an interrupt is served between any two.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/bridge.h"
#include "pg/encoder_arguments.h"
#include "pg/keys.h"
#include "pg/network_storage.h"
#include "pg/progress.h"
#include "pg/reader.h"
#include "pg/writer.h"

#define BLOCK_NUMBERS (1 << 18)
#define SCALE_NUMBERS 4			/* of a raw column of features: shift, factor, filling, flag */

static const char *const part_words[] = {"shared", "users", "objects"};

/* The SQL objects of version 0.1 have no such tables. */
static bool
can_be_stored(void)
{
	return OidIsValid(get_relname_relid("trained_network_part", get_namespace_oid("behavpred", false)));
}

/* Raise what the core met. */
static void
check_core(Core *core, const GraphDefinition *definition)
{
	if (core->status == CORE_CORRUPT)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the kept network of graph \"%s\" is damaged", definition->name),
				 errdetail_internal("%s.", core->detail),
				 errhint("A training writes it anew: SELECT * FROM behavpred.train_graph(%s);",
						 quote_literal_cstr(definition->name))));
	bridge_check(core, "the network of graph \"%s\"", definition->name);
}

/* ---- writing ----------------------------------------------------------------------------- */

/* One training's parameters on their way out. */
typedef struct NetworkWriting
{
	const GraphTraining *training;
	const Network *network;
	NetworkBlock block;			/* the next; its arrays have room for any */
	uint64		bytes;			/* written so far */
} NetworkWriting;

/* Names of features as text[]. */
static Datum
feature_names(char **names, const Features *features)
{
	Datum	   *values = palloc(features->columns * sizeof(Datum));

	for (int i = 0; i < features->columns; i++)
		values[i] = CStringGetTextDatum(names[i]);
	return PointerGetDatum(construct_array(values, features->columns, TEXTOID, -1, false, TYPALIGN_INT));
}

/* Scales of features as float8[], SCALE_NUMBERS of each raw column. */
static Datum
feature_scales(const Features *features)
{
	int			n = features->raw_columns * SCALE_NUMBERS;
	Datum	   *values = palloc(n * sizeof(Datum));

	for (int i = 0; i < features->raw_columns; i++)
	{
		const FeatureScale *scale = &features->scales[i];
		Datum	   *numbers = values + i * SCALE_NUMBERS;

		numbers[0] = Float8GetDatum(scale->shift);
		numbers[1] = Float8GetDatum(scale->factor);
		numbers[2] = Float8GetDatum(scale->filling);
		numbers[3] = Float8GetDatum(scale->flag);
	}
	return PointerGetDatum(construct_array(values, n, FLOAT8OID, sizeof(float8), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* Names of both sides' features as arguments 2 and 3. */
static void
feature_arguments(const LoadedGraph *loaded, Datum *values, char *nulls)
{
	const Features *features[] = {loaded->user_features, loaded->object_features};
	char	  **names[] = {loaded->user_feature_names, loaded->object_feature_names};

	for (int side = 0; side < 2; side++)
		if (features[side] == NULL)
			nulls[1 + side] = 'n';
		else
			values[1 + side] = feature_names(names[side], features[side]);
}

/* The row that the parts belong to, instead of what was there. */
static void
write_header(const GraphTraining *training)
{
	Oid			types[] = {TEXTOID, TEXTARRAYOID, TEXTARRAYOID, TEXTOID, INT8OID, INT8OID, TEXTOID, FLOAT8ARRAYOID, FLOAT8ARRAYOID};
	EncoderOptions options = training->options;
	const Features *features[] = {training->loaded->user_features, training->loaded->object_features};
	Datum		values[9] = {
		CStringGetTextDatum(training->definition->name), (Datum) 0, (Datum) 0,
		CStringGetTextDatum(training->definition->owner), Int64GetDatum(training->run_id),
		Int64GetDatum((int64) options.seed), CStringGetTextDatum(encoder_options_json(&options))
	};
	char		nulls[] = "         ";

	feature_arguments(training->loaded, values, nulls);
	for (int side = 0; side < 2; side++)
		if (features[side] == NULL)
			nulls[7 + side] = 'n';
		else
			values[7 + side] = feature_scales(features[side]);
	write_rows("INSERT INTO behavpred.trained_network "
			   "(graph, user_features, object_features, owner, run_id, seed, options, user_scales, object_scales) "
			   "VALUES ($1, $2, $3, $4, $5, $6, $7::pg_catalog.jsonb, $8, $9)", lengthof(types), types, values, nulls);
}

/* One block as a row. */
static void
write_block(NetworkWriting *writing, int part)
{
	const GraphDefinition *definition = writing->training->definition;
	size_t		size = network_block_size(&writing->block);
	bytea	   *data = palloc(VARHDRSZ + size);
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, INT4OID, BYTEAOID};
	Datum		values[] = {
		CStringGetTextDatum(definition->name), CStringGetTextDatum(definition->owner),
		CStringGetTextDatum(part_words[writing->block.part]), Int32GetDatum(part), PointerGetDatum(data)
	};

	SET_VARSIZE(data, VARHDRSZ + size);
	network_block_write(&writing->block, VARDATA(data));
	write_rows("INSERT INTO behavpred.trained_network_part (graph, owner, kind, part, data) "
			   "VALUES ($1, $2, $3, $4, $5)", lengthof(types), types, values, NULL);
	writing->bytes += size;
	pfree(data);
}

/* All blocks of one part; `keys` is NULL for the shared numbers. */
static void
write_part(NetworkWriting *writing, NetworkPart part, const Dictionary *keys)
{
	NetworkBlock *block = &writing->block;
	int64		n = keys == NULL ? block->shape.n_shared : keys->count;
	int			row = keys == NULL ? 1 : Max(network_row_count(&block->shape, part), 1);
	int64		most = Max(BLOCK_NUMBERS / row, 1);

	block->part = part;
	block->key_kind = keys == NULL ? KEY_INTEGER : keys->kind;
	for (int64 first = 0; first < n; first += most)
	{
		progress_phase("storing the network", first, n);
		CHECK_FOR_INTERRUPTS();
		block->first = first;
		block->count = (int32) Min(most, n - first);
		for (int32 i = 0; keys != NULL && i < block->count; i++)
			block->keys[i] = dictionary_key(keys, (int32) first + i);
		network_take(writing->network, part, first, block->count, block->values);
		write_block(writing, (int) (first / most));
	}
}

/* Write how much there is. */
static void
write_size(const NetworkWriting *writing)
{
	Oid			types[] = {TEXTOID, INT8OID};
	Datum		values[] = {
		CStringGetTextDatum(writing->training->definition->name), Int64GetDatum((int64) writing->bytes)
	};

	write_rows("UPDATE behavpred.trained_network SET bytes = $2 WHERE graph OPERATOR(pg_catalog.=) $1",
			   lengthof(types), types, values, NULL);
}

/* See network_storage.h. */
void
network_store(const GraphTraining *training, EncoderTraining *encoder)
{
	NetworkWriting writing = {.training = training, .network = encoder_network(encoder)};
	Oid			type = TEXTOID;
	Datum		graph = CStringGetTextDatum(training->definition->name);

	if (!can_be_stored())
		return;
	write_rows("DELETE FROM behavpred.trained_network WHERE graph OPERATOR(pg_catalog.=) $1", 1, &type, &graph, NULL);
	if (!training->options.keep_network)
		return;
	writing.block.shape = network_shape(writing.network);
	writing.block.values = palloc((BLOCK_NUMBERS + 1) * sizeof(float));
	writing.block.keys = palloc(BLOCK_NUMBERS * sizeof(Key));
	write_header(training);
	write_part(&writing, NETWORK_SHARED, NULL);
	write_part(&writing, NETWORK_USERS, &training->loaded->users);
	write_part(&writing, NETWORK_OBJECTS, &training->loaded->objects);
	write_size(&writing);
	pfree(writing.block.values);
	pfree(writing.block.keys);
}

/* ---- reading ----------------------------------------------------------------------------- */

/* Called for each block; it goes when the function returns. */
typedef void (*NetworkBlockFunction) (void *argument, const NetworkBlock *block);

typedef struct NetworkReading
{
	Core	   *core;
	const GraphDefinition *definition;
	NetworkPart part;
	NetworkBlockFunction function;
	void	   *argument;
} NetworkReading;

/* See network_storage.h. */
void
network_decode(Core *core, Arena *arena, const GraphDefinition *definition, NetworkPart part, bytea *data,
			   NetworkBlock *block)
{
	if (network_block_read(core, arena, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data), block) == CORE_OK &&
		block->part != part)
		core_fail(core, CORE_CORRUPT, "a block of %s stands among those of %s", part_words[block->part],
				  part_words[part]);
	check_core(core, definition);
}

/* Row function: a block. */
static void
hand_on(void *argument, Datum *values, bool *nulls)
{
	NetworkReading *reading = argument;
	NetworkBlock block;
	Arena		arena;

	CHECK_FOR_INTERRUPTS();
	arena_open(&arena, reading->core);
	network_decode(reading->core, &arena, reading->definition, reading->part, DatumGetByteaPP(values[0]), &block);
	reading->function(reading->argument, &block);
	arena_close(&arena);
}

/* Read the blocks of one part in their order, in memory of the core. Returns their number. */
static uint64
network_read(Core *core, const GraphDefinition *definition, NetworkPart part, NetworkBlockFunction function,
			 void *argument)
{
	NetworkReading reading = {core, definition, part, function, argument};
	Oid			types[] = {TEXTOID, TEXTOID};
	Datum		values[] = {CStringGetTextDatum(definition->name), CStringGetTextDatum(part_words[part])};

	return read_rows("SELECT data FROM behavpred.trained_network_part WHERE graph OPERATOR(pg_catalog.=) $1 "
					 "AND kind OPERATOR(pg_catalog.=) $2 ORDER BY part",
					 lengthof(types), types, values, NULL, hand_on, &reading);
}

/* ---- folding in -------------------------------------------------------------------------- */

/* What is being read of a kept network. */
typedef struct KeptReading
{
	MemoryContext context;
	const GraphDefinition *definition;
	Arena	   *arena;
	KeptNetwork *kept;
	bool		found;			/* and of the run that made the vectors */
	int64		n_read;			/* shared numbers */
} KeptReading;

/* The scales of a side. */
static void
take_scales(KeptNetwork *kept, int side, ArrayType *array)
{
	const double *numbers = (const double *) ARR_DATA_PTR(array);

	kept->n_scales[side] = ArrayGetNItems(ARR_NDIM(array), ARR_DIMS(array)) / SCALE_NUMBERS;
	kept->scales[side] = palloc(kept->n_scales[side] * sizeof(FeatureScale) + 1);
	for (int i = 0; i < kept->n_scales[side]; i++, numbers += SCALE_NUMBERS)
		kept->scales[side][i] = (FeatureScale) {numbers[0], numbers[1], (float) numbers[2], (int32) numbers[3]};
}

/* Row function: run, names of features of both sides, their scales. */
static void
keep_header(void *argument, Datum *values, bool *nulls)
{
	KeptReading *reading = argument;
	KeptNetwork *kept = reading->kept;
	MemoryContext row = MemoryContextSwitchTo(reading->context);

	reading->found = DatumGetInt64(values[0]) == reading->definition->trained_run;
	for (int side = 0; side < 2; side++)
		if (!nulls[1 + side] && !nulls[3 + side])
		{
			kept->names[side] = text_array_words(DatumGetArrayTypePCopy(values[1 + side]), &kept->n_names[side]);
			take_scales(kept, side, DatumGetArrayTypeP(values[3 + side]));
		}
	MemoryContextSwitchTo(row);
}

/* NetworkBlockFunction: shared numbers. */
static void
keep_shared(void *argument, const NetworkBlock *block)
{
	KeptReading *reading = argument;
	KeptNetwork *kept = reading->kept;

	if (kept->shared == NULL)
	{
		kept->shape = block->shape;
		kept->shared = arena_floats(reading->arena, block->shape.n_shared);
		check_core(reading->arena->core, reading->definition);
	}
	if (block->first < 0 || block->count > kept->shape.n_shared - block->first)
		core_fail(reading->arena->core, CORE_CORRUPT, "numbers " INT64_FORMAT " to " INT64_FORMAT " of " INT64_FORMAT,
				  (int64) block->first, (int64) block->first + block->count, (int64) kept->shape.n_shared);
	check_core(reading->arena->core, reading->definition);
	memcpy(kept->shared + block->first, block->values, block->count * sizeof(float));
	reading->n_read += block->count;
}

/* The row is the owner's: he may have changed what is in it. */
static void
check_scales(Core *core, const KeptNetwork *kept)
{
	for (int side = 0; side < 2; side++)
	{
		bool		fit = kept->shape.features[side] == kept->n_names[side] && kept->n_scales[side] <= kept->n_names[side];

		for (int i = 0; fit && i < kept->n_scales[side]; i++)
			fit = kept->scales[side][i].flag >= -1 && kept->scales[side][i].flag < kept->n_names[side];
		if (!fit)
			core_fail(core, CORE_CORRUPT, "scales of %d features do not fit their %d columns", kept->n_scales[side],
					  kept->shape.features[side]);
	}
}

/* See network_storage.h. */
KeptNetwork *
network_kept_read(Arena *arena, const GraphDefinition *definition)
{
	KeptReading reading = {
		.context = CurrentMemoryContext, .definition = definition, .arena = arena, .kept = palloc0(sizeof(KeptNetwork))
	};
	Oid			type = TEXTOID;
	Datum		graph = CStringGetTextDatum(definition->name);

	if (!can_be_stored())
		return NULL;
	read_rows("SELECT run_id, user_features, object_features, user_scales, object_scales "
			  "FROM behavpred.trained_network WHERE graph OPERATOR(pg_catalog.=) $1", 1, &type, &graph, NULL, keep_header, &reading);
	if (!reading.found)
		return NULL;
	network_read(arena->core, definition, NETWORK_SHARED, keep_shared, &reading);
	if (reading.kept->shared == NULL)
		return NULL;
	if (reading.n_read != reading.kept->shape.n_shared)
		core_fail(arena->core, CORE_CORRUPT, INT64_FORMAT " shared numbers of " INT64_FORMAT, reading.n_read,
				  (int64) reading.kept->shape.n_shared);
	check_scales(arena->core, reading.kept);
	check_core(arena->core, definition);
	return reading.kept;
}

/* ---- warm start -------------------------------------------------------------------------- */

/* A kept network with what it needs to be begun with. */
typedef struct StoredOptions
{
	EncoderOptions options;
	bool		has_until;
	double		until;			/* the cut that it was trained with */
} StoredOptions;

/* A network that has seen what comes after the cut must not be begun with. */
static void
check_cut(const GraphDefinition *definition, const StoredOptions *stored)
{
	if (!definition->has_until || (stored->has_until && stored->until <= definition->until))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the kept network of graph \"%s\" has seen what comes after its cut", definition->name),
			 errdetail("It was trained before the cut was set, or with a later one."),
			 errhint("Train it once without the option warm_start: SELECT * FROM behavpred.train_graph(%s);",
					 quote_literal_cstr(definition->name))));
}

/* Row function: seed, temperature, fractions of edges and users that were kept out, cut. */
static void
take_options(void *argument, Datum *values, bool *nulls)
{
	StoredOptions *stored = argument;

	stored->options.seed = (uint64) DatumGetInt64(values[0]);
	stored->options.temperature = DatumGetFloat4(values[1]);
	stored->options.validation_fraction = DatumGetFloat4(values[2]);
	stored->options.target_fraction = DatumGetFloat4(values[3]);
	stored->has_until = !nulls[4];
	stored->until = nulls[4] ? 0 : DatumGetFloat8(values[4]);
}

/* See network_storage.h. */
void
network_stored_options(const GraphDefinition *definition, EncoderOptions *options)
{
	StoredOptions stored = {.options = *options};
	Oid			type = TEXTOID;
	Datum		graph = CStringGetTextDatum(definition->name);

	if (!can_be_stored() ||
		read_rows("SELECT seed, (options OPERATOR(pg_catalog.->>) 'temperature')::pg_catalog.float4, "
				  "(options OPERATOR(pg_catalog.->>) 'validation_fraction')::pg_catalog.float4, "
				  "(options OPERATOR(pg_catalog.->>) 'target_fraction')::pg_catalog.float4, "
				  "(SELECT (r.result OPERATOR(pg_catalog.->>) 'until')::pg_catalog.float8 FROM behavpred.training_run r "
				  "WHERE r.run_id OPERATOR(pg_catalog.=) n.run_id) "
				  "FROM behavpred.trained_network n WHERE graph OPERATOR(pg_catalog.=) $1",
				  1, &type, &graph, NULL, take_options, &stored) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("graph \"%s\" has no network to start from", definition->name),
				 errdetail("A warm start begins with the parameters of the last training, which are not kept."),
				 errhint("Train it once without the option warm_start: SELECT * FROM behavpred.train_graph(%s);",
						 quote_literal_cstr(definition->name))));
	if (stored.options.seed != options->seed)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a warm start needs the seed of the training it begins with"),
				 errdetail("The seed is " INT64_FORMAT ", that training had " INT64_FORMAT
						   ": it has learnt from edges that this one would hold out.",
						   (int64) options->seed, (int64) stored.options.seed),
				 errhint("SELECT * FROM behavpred.train_graph(%s, seed => " INT64_FORMAT ", options => '{\"warm_start\": true}');",
						 quote_literal_cstr(definition->name), (int64) stored.options.seed)));
	check_cut(definition, &stored);
	options->temperature = stored.options.temperature;
	options->validation_fraction = Min(options->validation_fraction, stored.options.validation_fraction);
	options->target_fraction = Min(options->target_fraction, stored.options.target_fraction);
}

/* Row function: whether the features have the names that they had. */
static void
keep_bool(void *argument, Datum *values, bool *nulls)
{
	*(bool *) argument = DatumGetBool(values[0]);
}

/* Columns of features are told apart by their names. */
static void
check_features(const GraphTraining *training)
{
	Oid			types[] = {TEXTOID, TEXTARRAYOID, TEXTARRAYOID};
	Datum		values[3] = {CStringGetTextDatum(training->definition->name)};
	char		nulls[] = "   ";
	bool		same = false;

	feature_arguments(training->loaded, values, nulls);
	read_rows("SELECT COALESCE(user_features, '{}') OPERATOR(pg_catalog.=) COALESCE($2, '{}') "
			  "AND COALESCE(object_features, '{}') OPERATOR(pg_catalog.=) COALESCE($3, '{}') "
			  "FROM behavpred.trained_network WHERE graph OPERATOR(pg_catalog.=) $1",
			  lengthof(types), types, values, nulls, keep_bool, &same);
	if (!same)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the kept network of graph \"%s\" is for other features", training->definition->name),
				 errdetail("Columns or categories have come or gone since the last training."),
				 errhint("Train it once without the option warm_start: SELECT * FROM behavpred.train_graph(%s);",
						 quote_literal_cstr(training->definition->name))));
}

/* A training that takes in an earlier one. */
typedef struct WarmReading
{
	const GraphTraining *training;
	WarmStart	warm;
} WarmReading;

/* NetworkBlockFunction: put it in under the present numbers of its nodes. */
static void
put_block(void *argument, const NetworkBlock *block)
{
	WarmReading *reading = argument;
	const LoadedGraph *loaded = reading->training->loaded;
	const Dictionary *keys = block->part == NETWORK_USERS ? &loaded->users : &loaded->objects;
	int32	   *numbers = NULL;

	if (block->part != NETWORK_SHARED)
	{
		numbers = palloc((block->count + 1) * sizeof(int32));
		for (int32 i = 0; i < block->count; i++)
			numbers[i] = block->key_kind == keys->kind ? dictionary_find(keys, &block->keys[i]) : -1;
	}
	warm_start_put(&reading->warm, block, numbers);
	bridge_check(reading->training->core, "starting from the kept network of graph \"%s\"",
				 reading->training->definition->name);
}

/* See network_storage.h. */
void
network_warm_start(const GraphTraining *training, EncoderTraining *encoder)
{
	WarmReading reading = {.training = training};
	Arena		arena;

	if (!training->options.warm_start)
		return;
	check_features(training);
	progress_phase("reading the kept network", 0, 0);
	arena_open(&arena, training->core);
	warm_start_open(&reading.warm, &arena, encoder);
	bridge_check(training->core, "training graph \"%s\"", training->definition->name);
	for (NetworkPart part = NETWORK_SHARED; part <= NETWORK_OBJECTS; part++)
		network_read(training->core, training->definition, part, put_block, &reading);
	warm_start_end(&reading.warm);
	bridge_check(training->core, "training graph \"%s\"", training->definition->name);
	arena_close(&arena);
}
