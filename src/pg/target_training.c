/*
 * target_training.c
 *		From targets to models: one, or many that share what is read for them.
 *
 * Memory: what the targets share is in the batch's arena, what one of them needs in an arena
 * of its own, which is closed before the next, also after an error.
 */
#include "postgres.h"

#include "access/xact.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/timestamp.h"

#include "pg/bridge.h"
#include "pg/graph_lock.h"
#include "pg/target_sample.h"
#include "pg/target_training.h"
#include "pg/wording.h"

#define FEW_POSITIVES 100		/* below this the measured quality is a guess */

/* ---- checks of the sample ---------------------------------------------------------------- */

/* How to get more positives. */
static char *
positives_hint(const TargetBatch *batch, const TrainedTarget *training)
{
	if (training->known >= TARGET_LEAST_POSITIVES)
		return psprintf("Name users of the graph, who are candidates; those who came after its training need: "
						"SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(batch->graph->name));
	if (training->definition->horizon != NULL)
		return psprintf("Widen horizon (now %s), or add users by seeds.", training->definition->horizon);
	if (training->definition->n_objects == 0)
		return psprintf("Name more users of the graph in %s.", training->definition->seeds);
	return "Name more objects, or add users by seeds => 'a_relation_of_users'.";
}

/* Too few users who did it. */
static void
refuse_few_positives(const TargetBatch *batch, const TrainedTarget *training)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("target \"%s\" has %s, at least %d are needed", training->definition->name,
					format_counted(training->sample.n_positive, "positive user"), TARGET_LEAST_POSITIVES),
			 errdetail("It names %s; counted are those who have an embedding and are among the candidates (%s).",
					   format_counted(training->known, "user"), format_count(batch->users.candidates)),
			 errhint("%s", positives_hint(batch, training))));
}

/* Meet what makes a fit senseless, and warn of what makes its quality a guess. */
static void
check_sample(const TargetBatch *batch, const TrainedTarget *training)
{
	const TargetSample *sample = &training->sample;
	const char *name = training->name;

	if (sample->n_positive < TARGET_LEAST_POSITIVES)
		refuse_few_positives(batch, training);
	if (sample->candidates == sample->population_positives)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("every candidate of target \"%s\" is positive", name),
				 errdetail("All %s did it, so there is nobody to tell them from.",
						   format_counted(sample->candidates, "candidate")),
				 errhint("Name more candidates, or a rarer object.")));
	if (sample->n_negative < TARGET_LEAST_POSITIVES)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("target \"%s\" has %s, at least %d are needed", name,
						format_counted(sample->n_negative, "negative user"), TARGET_LEAST_POSITIVES),
				 errdetail("Of %s, " INT64_FORMAT " did it.", format_counted(sample->candidates, "candidate"),
						   sample->population_positives),
				 errhint("Name more candidates or negatives, or a larger negative_ratio.")));
	if (sample->n_positive < FEW_POSITIVES && batch->alone)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("target \"%s\" has only " INT64_FORMAT " positive users", name, sample->n_positive),
				 errdetail("A fifth of them measures the quality, so that it is a rough guess below %d.",
						   FEW_POSITIVES)));
}

/* ---- one target ------------------------------------------------------------------------- */

/* Measured on users whose vectors have seen the answer: say so, and what to do. */
static void
tell_basis(const TargetBatch *batch, const TrainedTarget *training)
{
	bool		was_known = graph_run_shields(&batch->run, training->definition);

	if (training->quality.test_is_unseen)
		return;
	ereport(NOTICE,
			(errmsg("the quality of target \"%s\" is measured on users whose interaction the graph has seen",
					training->name),
			 errdetail("It is too good, and the model less so than it could be: %s.", was_known ?
					   "of its users too few were shielded from it in the graph's training, which needs 5 interactions of each" :
					   "the target is younger than the graph's training"),
			 was_known ? errhint("Give it more users: more objects, or seeds.") :
			 errhint("SELECT * FROM behavpred.train_graph(%s); now that the target is known, then train it again.",
					 quote_literal_cstr(batch->graph->name))));
}

/* A list from elsewhere often has its keys written in another way. */
static void
tell_strangers(const TargetBatch *batch, const TrainedTarget *training)
{
	const GraphDefinition *graph = batch->graph;
	int64		taken = training->sample.population_positives;

	if (training->definition->n_objects == 0 && taken <= training->known / 2)
		ereport(NOTICE,
				(errmsg("only " INT64_FORMAT " of the %s of target \"%s\" take part", taken,
						format_counted(training->known, "user"), training->name),
				 errdetail("The others have no embedding, or are not among the candidates."),
				 errhint("Compare the keys: SELECT * FROM %s LIMIT 5; SELECT %s FROM %s LIMIT 5;",
						 training->definition->seeds, quote_identifier(graph->user_column), graph->user_embeddings)));
}

/* The arguments have been checked, so what the core refuses is in the vectors. */
static void
check_fit(const TargetBatch *batch, const TrainedTarget *training)
{
	Core	   *core = batch->core;

	if (core->status == CORE_INVALID)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("the embeddings of graph \"%s\" cannot train target \"%s\"", batch->graph->name,
						training->name),
				 errdetail_internal("%s.", core->detail),
				 errhint("SELECT * FROM behavpred.train_graph(%s);", quote_literal_cstr(batch->graph->name))));
	bridge_check(core, "training target \"%s\"", training->name);
}

/* A target with the batch it belongs to, for guarded(). */
typedef struct TrainingStep
{
	TargetBatch *batch;
	int			number;			/* of the target */
} TrainingStep;

/* As the target's next version. */
static void
store(TargetBatch *batch, TrainedTarget *training, const TargetVersions *versions)
{
	TargetTraining record = {
		.target = training->definition,
		.graph = batch->graph,
		.student = &training->student,
		.quality = &training->quality,
		.sample = &training->sample,
		.options = target_arguments_json(batch->arguments),
		.teacher_is_object = training->teacher.n_objects > 0,
		.started_at = training->started_at,
		.seed = (int64) batch->arguments->seed,
		.threads = batch->core->threads,
		.deploy = batch->arguments->deploy,
		.versions = versions
	};

	training->stored = target_model_store(&record);
}

/* What happened after the cut is to be predicted, so vectors must not have seen it. */
static void
check_cut(const TargetBatch *batch, const TrainedTarget *training)
{
	const GraphDefinition *graph = batch->graph;

	if (!graph->has_until || training->definition->horizon == NULL ||
		(batch->run.has_until && batch->run.until <= graph->until))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the vectors of graph \"%s\" have seen what target \"%s\" is to predict", graph->name, training->name),
			 errdetail("Its users are told by what they did after the cut of the graph, which came after its training."),
			 errhint("SELECT * FROM behavpred.train_graph(%s); then train the target.", quote_literal_cstr(graph->name))));
}

/* Sample, fit, and store: all that is the target's own, its memory in `arena`. */
static void
train(TargetBatch *batch, int number, Arena *arena)
{
	TrainedTarget *training = batch->targets[number];
	TargetOptions options = batch->arguments->options;
	TargetVersions versions = {0};

	check_cut(batch, training);
	training->known = target_users_known(&batch->users, number);
	training->teacher = target_teacher(batch->graph, &batch->run, &batch->objects, training->definition, arena);
	target_sample_draw(&batch->users, number, training->definition, training->teacher.n_objects > 0, arena,
					   &training->sample);
	check_sample(batch, training);
	if (batch->alone)
		tell_strangers(batch, training);
	if (batch->objects.width != 0 && batch->objects.width != training->sample.width)
		refuse_widths(batch->graph, training->sample.width, batch->objects.width);
	if (training->teacher.n_objects == 0 && batch->keeps && batch->alone)
		ereport(NOTICE,
				(errmsg("target \"%s\" has no object with an embedding", training->name),
				 errdetail("The mean of its seeds' vectors stands for it in the soft labels.")));
	if (batch->keeps)
		versions = target_versions_read(training->definition, batch->graph, arena);
	options.incumbent = versions.incumbent;
	target_fit(batch->core, batch->keeps ? arena : &batch->arena, &training->sample, &training->teacher, &options,
			   &training->student, &training->quality);
	check_fit(batch, training);
	if (batch->alone && batch->keeps)
		tell_basis(batch, training);
	if (batch->keeps)
		store(batch, training, &versions);
}

/* GuardedStep: train() with an arena that is closed in any case. */
static void
train_in_arena(void *argument)
{
	TrainingStep *step = argument;
	TrainedTarget *training = step->batch->targets[step->number];
	Arena		arena;

	arena_open(&arena, step->batch->core);
	training->started_at = GetCurrentTimestamp();
	PG_TRY();
	{
		train(step->batch, step->number, &arena);
	}
	PG_FINALLY();
	{
		arena_close(&arena);
		step->batch->core->status = CORE_OK;
	}
	PG_END_TRY();
	training->seconds = (GetCurrentTimestamp() - training->started_at) / (double) USECS_PER_SEC;
}

/* ---- many targets --------------------------------------------------------------------------- */

/* True when the error is not the target's own, such as a cancel: it ends everything. */
static bool
ends_everything(int sqlstate)
{
	return sqlstate == ERRCODE_QUERY_CANCELED || sqlstate == ERRCODE_ADMIN_SHUTDOWN ||
		sqlstate == ERRCODE_CRASH_SHUTDOWN;
}

/* See target_training.h. */
ErrorData *
guarded(GuardedStep step, void *argument, MemoryContext keep)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		step(argument);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(keep);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	if (error != NULL && ends_everything(error->sqlerrcode))
		ReThrowError(error);
	return error;
}

/* GuardedStep: the seeds of one target. */
static void
read_seeds(void *argument)
{
	TrainingStep *step = argument;

	target_members_add_seeds(&step->batch->users.members, step->number,
							 step->batch->targets[step->number]->definition->seeds);
}

/* Run a step of one target as the batch wants it; its scraps go. */
static void
run_step(GuardedStep function, TargetBatch *batch, int number)
{
	TrainingStep step = {batch, number};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext scraps;

	if (batch->alone)
	{
		function(&step);
		return;
	}
	if (batch->targets[number]->error != NULL)
		return;
	scraps = AllocSetContextCreate(caller, "behavpred target", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(scraps);
	batch->targets[number]->error = guarded(function, &step, caller);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(scraps);
}

/* GuardedStep: what the targets share. */
static void
read_shared(void *argument)
{
	TargetBatch *batch = argument;
	const TargetDefinition *first = batch->targets[0]->definition;
	TargetDefinition **definitions = palloc(batch->n * sizeof(TargetDefinition *));
	SamplingOptions options = {
		batch->arguments->negative_ratio, batch->arguments->least_negatives, batch->arguments->seed
	};

	batch->graph = graph_definition_trained(first->graph);
	bridge_show(batch->core, first->graph, batch->alone ? first->name : NULL);
	graph_hold(batch->graph);
	batch->run = graph_run_read(batch->graph);
	target_users_open(&batch->users, &batch->arena, batch->graph, &batch->run, &options, batch->n);
	for (int t = 0; t < batch->n; t++)
	{
		if (batch->targets[t]->definition->seeds != NULL)
			run_step(read_seeds, batch, t);
		definitions[t] = batch->targets[t]->error == NULL ? batch->targets[t]->definition : NULL;
	}
	target_objects_read(&batch->arena, batch->graph, batch->n, definitions, &batch->objects);
	target_members_add_actors(&batch->users.members, definitions);
	target_users_read(&batch->users, first->candidates, first->negatives);
}

/* See target_training.h. */
void
target_batch_open(TargetBatch *batch, const TargetArguments *arguments)
{
	batch->arguments = arguments;
	batch->core = bridge_open(arguments->threads);
	arena_open(&batch->arena, batch->core);
}

/* See target_training.h. */
void
target_batch_close(TargetBatch *batch)
{
	bridge_close(batch->core);
}

/* See target_training.h. */
void
target_batch_train(TargetBatch *batch)
{
	ErrorData  *error = NULL;

	if (batch->alone)
		read_shared(batch);
	else
		error = guarded(read_shared, batch, CurrentMemoryContext);
	for (int t = 0; t < batch->n; t++)
		if (error == NULL)
			run_step(train_in_arena, batch, t);
		else if (batch->targets[t]->error == NULL)
			batch->targets[t]->error = error;
}
