/*
 * temperature.c
 *		The temperature of the loss, chosen by short trainings.
 *
 * What suits a graph follows from nothing that can be counted beforehand: two thirds fewer edges between the same
 * users and objects double the best temperature, and of two catalogues with 40,000 objects one wants 0.1 and
 * the other 0.16 (doc/encoder.md).  But 50 steps of plain propagation order temperatures as whole trainings do.
 */
#include "core/temperature.h"

#include <math.h>

#include "core/encoder_training.h"

#define PILOT_FRACTION 0.2f		/* of the edges held out */
#define PILOT_BATCH 16384
#define FEWEST_POSITIVES 256	/* of a step, as in any training */
#define PILOT_NEGATIVES 1024
#define LOWEST 0.05f
#define HIGHEST 0.7f
#define FACTOR 1.41421356f

/* A gain that two trainings of the same edges, ranked for the same users, seldom differ by without a cause. */
#define ERRORS_OF_A_GAIN 0.25

EncoderOptions
temperature_pilot(const EncoderOptions *options)
{
	EncoderOptions pilot = *options;

	pilot.choose_temperature = false;
	pilot.routing = ROUTING_OFF;
	pilot.attention = ATTENTION_SYMMETRIC;
	pilot.layer_mean = false;
	pilot.validation_fraction = PILOT_FRACTION;
	pilot.patience = 0;
	pilot.epochs = 1;
	pilot.epoch_steps = TEMPERATURE_STEPS;
	pilot.batch_size = (int) fmax(FEWEST_POSITIVES, fmin(options->batch_size, PILOT_BATCH));
	pilot.negatives = (int) fmin(options->negatives, PILOT_NEGATIVES);
	return pilot;
}

/* What all pilots share. */
typedef struct Choice
{
	Core	   *core;
	const Graph *graph;
	const Features *users;
	const Features *objects;
	EncoderOptions pilot;
	double		ndcg;			/* of the best so far */
	double		error;			/* its standard error */
} Choice;

/* One short training. */
static CoreStatus
run_pilot(Choice *choice, float temperature, EncoderEpoch *epoch)
{
	const EncoderObserver observer = {0};
	EncoderTraining *training;
	Arena		scratch;
	bool		finished;

	choice->pilot.temperature = temperature;
	arena_open(&scratch, choice->core);
	training = encoder_open(choice->core, &scratch, choice->graph, choice->users, choice->objects, &choice->pilot, false);
	if (training != NULL)
	{
		training->phase = "choosing the temperature";
		if (encoder_run(training, &observer, &finished) == CORE_OK)
			*epoch = training->result.best;
	}
	arena_close(&scratch);
	return choice->core->status;
}

/* Climb in one direction; *temperature is left at the last that gained. */
static CoreStatus
climb(Choice *choice, float factor, float *temperature, bool *gained)
{
	EncoderEpoch epoch = {0};

	*gained = false;
	for (;;)
	{
		float		next = *temperature * factor;

		if (next < LOWEST || next > HIGHEST)
			return CORE_OK;
		if (run_pilot(choice, next, &epoch) != CORE_OK)
			return choice->core->status;
		if (!(epoch.ndcg_at_20 > choice->ndcg + ERRORS_OF_A_GAIN * choice->error))
			return CORE_OK;
		choice->ndcg = epoch.ndcg_at_20;
		choice->error = epoch.ndcg_error;
		*temperature = next;
		*gained = true;
	}
}

CoreStatus
temperature_choose(Core *core, const Graph *graph, const Features *users, const Features *objects,
				   const EncoderOptions *options, float *temperature)
{
	Choice		choice = {core, graph, users, objects, temperature_pilot(options), 0, 0};
	EncoderEpoch first = {0};
	bool		gained;

	*temperature = options->temperature;
	if (run_pilot(&choice, *temperature, &first) != CORE_OK || isnan(first.ndcg_at_20))
		return core->status;
	choice.ndcg = first.ndcg_at_20;
	choice.error = first.ndcg_error;
	if (climb(&choice, FACTOR, temperature, &gained) != CORE_OK || gained)
		return core->status;
	return climb(&choice, 1 / FACTOR, temperature, &gained);
}
