/*
 * graph_training.c
 *		train_graph(): load, train, write the embeddings; and these steps by themselves, for
 *		run_graph().
 *
 * train_graph() does all in the transaction of the caller: until it commits, readers see the
 * vectors of the training before; when it fails nothing is left behind.
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "core/network_parameters.h"
#include "core/network_states.h"
#include "pg/bridge.h"
#include "pg/capture.h"
#include "pg/drift_reference.h"
#include "pg/embedding_storage.h"
#include "pg/encoder_arguments.h"
#include "pg/graph_lock.h"
#include "pg/graph_training.h"
#include "pg/network_storage.h"
#include "pg/result_rows.h"
#include "pg/training_memory.h"
#include "pg/training_record.h"
#include "pg/vector_succession.h"
#include "pg/writer.h"

PG_FUNCTION_INFO_V1(behavpred_train_graph);
PG_FUNCTION_INFO_V1(behavpred_train_graph_into);

typedef GraphTraining Training;

/* See graph_training.h: threads live while it runs, so it only copies. */
void
graph_training_keep_epoch(void *data, const EncoderEpoch *epoch)
{
	Training   *training = data;

	if (training->n_epochs < training->options.epochs)
		training->epochs[training->n_epochs++] = *epoch;
}

/* What the listener must not say itself. */
static void
tell_epochs(const Training *training)
{
	for (int i = 0; i < training->n_epochs; i++)
	{
		const EncoderEpoch *epoch = &training->epochs[i];

		ereport(DEBUG1,
				(errmsg_internal("graph \"%s\" epoch %d: loss %.4f, recall@20 %.4f, ndcg@20 %.4f, %.1f s",
								 training->definition->name, epoch->epoch, epoch->loss,
								 epoch->recall_at_20, epoch->ndcg_at_20, epoch->seconds)));
	}
}

/* See graph_training.h. */
void
graph_training_open(FunctionCallInfo fcinfo, Training *training)
{
	if (PG_ARGISNULL(TRAIN_GRAPH))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("graph must not be NULL"),
				 errhint("SELECT * FROM behavpred.train_graph('shop');")));
	training->started_at = GetCurrentTimestamp();
	training->definition = graph_definition_for(text_to_cstring(PG_GETARG_TEXT_PP(TRAIN_GRAPH)), PRIVILEGE_TRAIN);
	source_relation(training->definition->interactions, training->definition->apply_row_security);
	training->core = bridge_open(threads_argument(fcinfo, TRAIN_THREADS));
	arena_open(&training->arena, training->core);
	bridge_show(training->core, training->definition->name, NULL);
}

/* See graph_training.h. */
void
graph_training_prepare(FunctionCallInfo fcinfo, Training *training)
{
	const Graph any = {0};

	encoder_arguments_read(fcinfo, training->core, training->definition, &any, &training->options);
	graph_training_tables(training);
}

/* See graph_training.h. */
void
graph_training_tables(Training *training)
{
	training->user_table = OidIsValid(training->given_table) ?
		embedding_table_given(training->definition, training->given_table) :
		embedding_table_prepare(training->definition, false);
	training->object_table = embedding_table_prepare(training->definition, true);
}

/* See graph_training.h. */
void
graph_training_load(FunctionCallInfo fcinfo, Training *training)
{
	LoadedGraph *loaded;

	training->snapshot = capture_snapshot();
	loaded = training->loaded = graph_load(&training->arena, training->definition, true,
										   training->options.seed);
	training->targets = target_objects_mark(&training->arena, training->definition, loaded);
	encoder_arguments_read(fcinfo, training->core, training->definition, &loaded->graph, &training->options);
	training_memory_check(training->core, training->definition, loaded, &training->options);
	training->epochs = palloc_extended(Max(training->options.epochs, 1) * sizeof(EncoderEpoch),
									   MCXT_ALLOC_HUGE);
}

/* See graph_training.h. */
void
graph_training_finish(Training *training, EncoderTraining *encoder)
{
	if (encoder_finish(encoder, &training->arena, &training->result) == CORE_OK)
		training->options.temperature = training->result.temperature;
}

/* Compute the vectors; the encoder stays open, for its parameters are to be stored. */
static EncoderTraining *
train(Training *training, Arena *scratch)
{
	const LoadedGraph *loaded = training->loaded;
	const EncoderObserver observer = {.epoch = graph_training_keep_epoch, .data = training};
	EncoderTraining *encoder;
	bool		finished;

	arena_open(scratch, training->core);
	encoder = encoder_open(training->core, scratch, &loaded->graph, loaded->user_features,
						   loaded->object_features, &training->options, false);
	bridge_check(training->core, "training graph \"%s\"", training->definition->name);
	network_warm_start(training, encoder);
	if (encoder_run(encoder, &observer, &finished) == CORE_OK)
		graph_training_finish(training, encoder);
	bridge_check(training->core, "training graph \"%s\"", training->definition->name);
	tell_epochs(training);
	return encoder;
}

/* Degrees of nodes first .. first + n - 1. */
static int32 *
node_degrees(Training *training, int32 first, int32 n)
{
	int32	   *degrees = arena_allocate(&training->arena, n, sizeof(int32));

	bridge_check(training->core, "storing the embeddings of graph \"%s\"", training->definition->name);
	for (int32 i = 0; i < n; i++)
		degrees[i] = (int32) graph_degree(&training->loaded->graph, first + i);
	return degrees;
}

/* The network whose nodes' states are stored, from one node on. */
typedef struct StateSource
{
	const Network *network;
	int32		first;
} StateSource;

/* StateFunction of a StateSource. */
static void
take_state(const void *source, int32 row, float *state)
{
	const StateSource *states = source;

	network_state_take(states->network, states->first + row, state);
}

/* Replace the rows of one table. */
static void
store_nodes(Training *training, bool of_objects, const StateSource *states)
{
	const GraphDefinition *definition = training->definition;
	const LoadedGraph *loaded = training->loaded;
	const EncoderResult *result = &training->result;
	char	   *table = of_objects ? training->object_table : training->user_table;
	bool		with_states = training->options.keep_network && training->options.sampled_neighbours == 0 &&
		embedding_has_states(relation_from_text(table));
	EmbeddingRows rows = {
		.table = table,
		.key_column = of_objects ? definition->object_column : definition->user_column,
		.key_type = of_objects ? definition->object_key_type : definition->user_key_type,
		.keys = of_objects ? &loaded->objects : &loaded->users,
		.vectors = result->vectors + (size_t) states->first * result->width, .width = result->width,
		.degrees = node_degrees(training, states->first, of_objects ? loaded->graph.n_objects : loaded->graph.n_users),
		.direct = of_objects ? result->direct_objects : NULL, .n_direct = DIRECT_OBJECT_NUMBERS(result->direct.n_types),
		.state = with_states ? take_state : NULL, .state_source = states,
		.n_state = with_states ? network_state_numbers(&training->options) : 0
	};

	embedding_table_fill(&rows);
}

/* See graph_training.h. */
void
graph_training_store(Training *training, EncoderTraining *encoder)
{
	const Network *network = encoder_network(encoder);

	graph_replace_vectors(training->definition->name);
	succession_measure(training);
	store_nodes(training, false, &(StateSource) {network, 0});
	store_nodes(training, true, &(StateSource) {network, training->loaded->graph.n_users});
}

/* See graph_training.h. */
double
graph_training_seconds(const Training *training)
{
	return training->seconds_before + (GetCurrentTimestamp() - training->started_at) / (double) USECS_PER_SEC;
}

/* The direct term, when there is one; stored_direct.c reads it. */
static void
json_direct(JsonText *json, const Training *training)
{
	const DirectTerm *term = &training->result.direct;
	int			n;
	char	  **names;

	if (term->n_types == 0)
		return;
	names = text_array_words(training->definition->behaviors, &n);
	json_words(json, "direct_behaviors", n, names);
	json_count(json, "direct_types", term->types);
	json_number(json, "direct_scale", term->scale);
	json_number(json, "direct_popularity", term->popularity);
	json_numbers(json, "direct_constants", n, term->constant);
	json_numbers(json, "direct_user_slopes", n, term->user_slope);
	json_numbers(json, "direct_object_slopes", n, term->object_slope);
}

/* See graph_training.h. */
char *
graph_training_result(const Training *training)
{
	const EncoderResult *result = &training->result;
	const Graph *graph = &training->loaded->graph;
	JsonText	json;

	json_open(&json);
	json_count(&json, "users", graph->n_users);
	json_count(&json, "objects", graph->n_objects);
	json_count(&json, "edges", graph->n_edges);
	if (graph->weights != NULL)
		json_number(&json, "mean_weight", graph->mean_weight);
	json_reader(&json, training->definition->apply_row_security);
	json_count(&json, "width", result->width);
	json_count(&json, "epochs_run", result->epochs_run);
	json_count(&json, "best_epoch", result->best_epoch);
	json_number(&json, "loss", result->best.loss);
	json_number(&json, "recall_at_20", result->best.recall_at_20);
	json_number(&json, "ndcg_at_20", result->best.ndcg_at_20);
	json_count(&json, "held_out_edges", result->n_validation);
	json_count(&json, "shielded_edges", result->n_shielded);
	json_number(&json, "target_fraction", result->target_fraction);
	json_words(&json, "target_objects", training->targets->n, training->targets->names);
	json_number(&json, "scale", result->scale);
	json_number(&json, "offset", result->offset);
	if (training->definition->has_until)
		json_number(&json, "until", training->definition->until);
	json_direct(&json, training);
	json_count(&json, "memory_peak", training->core->memory_peak);
	json_number(&json, "seconds", graph_training_seconds(training));
	return json_close(&json);
}

/* The rows of the run and its epochs. */
static void
record_run(Training *training)
{
	TrainingRun run = {
		.graph = training->definition->name,
		.owner = training->definition->owner,
		.started_at = training->started_at,
		.seed = (int64) training->options.seed,
		.threads = training->core->threads,
		.options = encoder_options_json(&training->options),
		.result = graph_training_result(training)
	};

	training->run_id = training_run_write(&run);
	training_epochs_write(training->run_id, run.owner, training->epochs, training->n_epochs);
}

/* Without held-out edges nothing says when to stop, how good it is, or what a score is worth. */
static void
tell_unmeasured(const Training *training)
{
	if (training->options.epochs == 0 || training->options.validation_fraction == 0 || training->result.n_validation > 0)
		return;
	ereport(NOTICE,
			(errmsg("the training of graph \"%s\" was not measured", training->definition->name),
			 errdetail("Interactions are held out of users with at least %d of them; here none was.", ENCODER_HOLD_OUT_DEGREE),
			 errhint("Hold some out yourself before create_graph(), for evaluate_graph().")));
}

/* See graph_training.h. */
void
graph_training_publish(const Training *training)
{
	Oid			types[] = {TEXTOID, TEXTOID, TEXTOID, INT8OID};
	Datum		values[] = {
		CStringGetTextDatum(training->definition->name),
		CStringGetTextDatum(training->user_table),
		CStringGetTextDatum(training->object_table),
		Int64GetDatum(training->run_id)
	};

	if (write_rows("UPDATE behavpred.registered_graph SET user_embeddings = $2, object_embeddings = $3, "
				   "trained_run = $4 WHERE graph OPERATOR(pg_catalog.=) $1",
				   lengthof(types), types, values, NULL) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("graph \"%s\" was dropped while it was trained", training->definition->name),
				 errhint("Create it again with behavpred.create_graph().")));
	tell_unmeasured(training);
	capture_forget(training->definition->name, training->snapshot);
	succession_write(training);
	if (training->options.epochs > 0 || !training->options.warm_start)
		drift_reference_keep(training->definition->name, NULL, 0);
	renew_embedding_grants(training->definition->name, training->definition->owner);
}

/* The OUT arguments. */
static Datum
training_result(FunctionCallInfo fcinfo, const Training *training)
{
	const EncoderResult *result = &training->result;
	Datum		values[] = {
		Int64GetDatum(training->run_id),
		Int32GetDatum(result->epochs_run),
		Int32GetDatum(result->best_epoch),
		Float8GetDatum(result->best.loss),
		Float8GetDatum(result->best.recall_at_20),
		Float8GetDatum(result->best.ndcg_at_20),
		CStringGetTextDatum(training->user_table),
		CStringGetTextDatum(training->object_table),
		Float8GetDatum(graph_training_seconds(training))
	};
	bool		nulls[lengthof(values)] = {false};

	nulls[3] = result->epochs_run == 0;
	nulls[4] = isnan(result->best.recall_at_20);
	nulls[5] = isnan(result->best.ndcg_at_20);
	return result_record(fcinfo, values, nulls);
}

/* From the arguments, in the order of encoder_arguments.h, to the result. */
static Datum
train_graph(FunctionCallInfo fcinfo, Oid given_table)
{
	Training	training = {.given_table = given_table};
	EncoderTraining *encoder;
	Arena		scratch;
	Datum		result;

	require_writable("train_graph()");
	graph_training_open(fcinfo, &training);
	graph_lock(training.definition);
	graph_training_prepare(fcinfo, &training);
	graph_training_load(fcinfo, &training);
	encoder = train(&training, &scratch);
	graph_training_store(&training, encoder);
	record_run(&training);
	network_store(&training, encoder);
	graph_training_publish(&training);
	result = training_result(fcinfo, &training);
	bridge_close(training.core);
	return result;
}

/* train_graph(graph, dimension, ...) */
Datum
behavpred_train_graph(PG_FUNCTION_ARGS)
{
	return train_graph(fcinfo, InvalidOid);
}

/* train_graph(graph, embeddings_table, dimension, ...) */
Datum
behavpred_train_graph_into(PG_FUNCTION_ARGS)
{
	LOCAL_FCINFO(without_table, TRAIN_OPTIONS + 1);

	if (PG_ARGISNULL(TRAIN_GRAPH + 1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("embeddings_table must not be NULL"),
				 errdetail("It is the table that the vectors of users are written to."),
				 errhint("Leave it out, and the training makes one.")));
	InitFunctionCallInfoData(*without_table, fcinfo->flinfo, TRAIN_OPTIONS + 1, fcinfo->fncollation,
							 fcinfo->context, fcinfo->resultinfo);
	without_table->args[TRAIN_GRAPH] = fcinfo->args[TRAIN_GRAPH];
	memcpy(without_table->args + TRAIN_GRAPH + 1, fcinfo->args + TRAIN_GRAPH + 2,
		   (TRAIN_OPTIONS - TRAIN_GRAPH) * sizeof(NullableDatum));
	return train_graph(without_table, PG_GETARG_OID(TRAIN_GRAPH + 1));
}
