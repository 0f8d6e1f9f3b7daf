/*
 * encoder_checkpoint.c
 *		The state of a training as bytes, and back.
 *
 * The state is a row of segments: the header, then every array that a step changes and a
 * later step reads.  Everything else (gradients, batch, vectors) is computed anew.
 */
#include "core/encoder_checkpoint.h"

#include <math.h>
#include <string.h>

#include "core/encoder_training.h"

#define MAGIC UINT64_C(0x3330544b43505642)	/* "BVPCKT03" where the low byte comes first */
#define MOST_SEGMENTS 6
#define BYTES_BETWEEN_LOOKS ((size_t) 1 << 22)	/* about 2 ms */

typedef struct Segment
{
	char	   *start;
	size_t		size;
} Segment;

/* How many numbers the arrays have: another network's state is refused. */
static int64_t
parameter_count(const EncoderTraining *training)
{
	return (int64_t) training->network.layout.total;
}

/* The moments of a training on samples. */
static int
list_row_moments(EncoderTraining *training, Segment *segments)
{
	const RowOptimizer *optimizer = &training->sampled.optimizer;
	size_t		shared = network_shared_count(&training->network) * sizeof(float);

	segments[0] = (Segment) {(char *) optimizer->row_moments, training->graph->n_nodes * sizeof(float)};
	segments[1] = (Segment) {(char *) optimizer->bias_moments, training->graph->n_objects * sizeof(float)};
	segments[2] = (Segment) {(char *) optimizer->first_moment, shared};
	segments[3] = (Segment) {(char *) optimizer->second_moment, shared};
	return 4;
}

/* List the segments; the header stands in the training itself. */
static int
list_segments(const EncoderTraining *training, Segment *segments)
{
	size_t		size = training->network.layout.total * sizeof(float);
	EncoderTraining *t = (EncoderTraining *) training;	/* written to by copy_state() alone */
	int			n = 0;

	segments[n++] = (Segment) {(char *) &t->checkpoint, sizeof(t->checkpoint)};
	if (training->options.epochs == 0)
		return n;
	segments[n++] = (Segment) {(char *) t->network.parameters, size};
	if (is_sampled(t))
		return n + list_row_moments(t, segments + n);
	segments[n++] = (Segment) {(char *) t->optimizer.first_moment, size};
	segments[n++] = (Segment) {(char *) t->optimizer.second_moment, size};
	if (t->best_parameters != NULL)
		segments[n++] = (Segment) {(char *) t->best_parameters, size};
	return n;
}

size_t
encoder_state_size(const EncoderTraining *training)
{
	Segment		segments[MOST_SEGMENTS];
	int			n = list_segments(training, segments);
	size_t		size = 0;

	for (int i = 0; i < n; i++)
		size += segments[i].size;
	return size;
}

/* Copy between the state and a buffer, whichever way. */
static void
copy_state(EncoderTraining *training, size_t first, size_t count, char *bytes, bool put)
{
	Segment		segments[MOST_SEGMENTS];
	int			n = list_segments(training, segments);

	for (int i = 0; i < n && count > 0; first -= segments[i++].size)
	{
		size_t		part = first < segments[i].size ? segments[i].size - first : 0;

		if (part == 0)
			continue;
		if (part > count)
			part = count;
		if (put)
			memcpy(segments[i].start + first, bytes, part);
		else
			memcpy(bytes, segments[i].start + first, part);
		bytes += part;
		count -= part;
		first += part;
	}
}

void
encoder_state_take(EncoderTraining *training, size_t first, size_t count, void *bytes)
{
	const EncoderResult *result = &training->result;

	training->checkpoint = (EncoderCheckpoint) {
		.magic = MAGIC, .parameters = parameter_count(training),
		.optimizer_steps = is_sampled(training) ? training->sampled.optimizer.steps : training->optimizer.steps,
		.loss_steps = training->loss.step,
		.position = training->position, .epochs_run = result->epochs_run,
		.best_epoch = result->best_epoch, .best = result->best, .peak = training->peak,
		.temperature = training->options.temperature,
	};
	copy_state(training, first, count, bytes, false);
}

void
encoder_state_put(EncoderTraining *training, size_t first, size_t count, const void *bytes)
{
	copy_state(training, first, count, (char *) bytes, true);
}

/* True when the header can be that of a training like this one. */
static bool
header_fits(const EncoderTraining *training)
{
	const EncoderCheckpoint *header = &training->checkpoint;

	return header->magic == MAGIC && header->parameters == parameter_count(training) &&
		header->optimizer_steps >= 0 && header->loss_steps >= 0 &&
		header->epochs_run >= 0 && header->epochs_run <= training->options.epochs &&
		header->best_epoch >= 0 && header->best_epoch <= header->epochs_run &&
		header->peak.epoch >= 0 && header->peak.epoch <= header->epochs_run &&
		header->position.epoch == header->epochs_run + 1 && header->position.step >= 0 &&
		header->temperature > 0 && isfinite(header->temperature);
}

CoreStatus
encoder_state_accept(EncoderTraining *training)
{
	const EncoderCheckpoint *header = &training->checkpoint;

	if (!header_fits(training))
		return core_fail(training->core, CORE_CORRUPT, "the checkpoint is not one of this training");
	training->optimizer.steps = training->sampled.optimizer.steps = header->optimizer_steps;
	training->loss.step = header->loss_steps;
	training->position = header->position;
	training->result.epochs_run = header->epochs_run;
	training->result.best_epoch = header->best_epoch;
	training->result.best = header->best;
	training->peak = header->peak;
	training->options.temperature = header->temperature;
	return training->core->status;
}

void
encoder_position(const EncoderTraining *training, int *epochs, int64_t *steps)
{
	*epochs = training->result.epochs_run;
	*steps = training->position.step;
}

/* Mix in eight bytes: a bijection of the state for each word, so no change goes unseen alone. */
static uint64_t
mix(uint64_t state, uint64_t word)
{
	state = ((state << 5 | state >> 59) ^ word) * UINT64_C(0x9E3779B97F4A7C15);
	return state ^ state >> 29;
}

uint64_t
fingerprint_bytes(uint64_t fingerprint, const void *bytes, size_t count)
{
	const char *at = bytes;
	uint64_t	word = 0;

	fingerprint = mix(fingerprint, count);
	for (; count >= sizeof(word); count -= sizeof(word), at += sizeof(word))
	{
		memcpy(&word, at, sizeof(word));
		fingerprint = mix(fingerprint, word);
	}
	word = 0;
	memcpy(&word, at, count);
	return mix(fingerprint, word);
}

/* A large array, looking whether to stop; NULL counts as such. */
static uint64_t
fingerprint_array(Core *core, uint64_t fingerprint, const void *array, size_t size)
{
	fingerprint = mix(fingerprint, array != NULL);
	for (size_t first = 0; array != NULL && first < size && core_continues(core); first += BYTES_BETWEEN_LOOKS)
	{
		size_t		count = size - first < BYTES_BETWEEN_LOOKS ? size - first : BYTES_BETWEEN_LOOKS;

		fingerprint = fingerprint_bytes(fingerprint, (const char *) array + first, count);
	}
	return fingerprint;
}

/* The matrix of one kind of nodes. */
static uint64_t
fingerprint_features(Core *core, uint64_t fingerprint, const Features *features)
{
	if (features == NULL)
		return mix(fingerprint, 0);
	fingerprint = mix(fingerprint, (uint64_t) features->columns);
	return fingerprint_array(core, fingerprint, features->values,
							 (size_t) features->rows * features->columns * sizeof(float));
}

CoreStatus
encoder_fingerprint(Core *core, const Graph *graph, const Features *users, const Features *objects,
					uint64_t *fingerprint)
{
	size_t		entries = 2 * (size_t) graph->n_edges;
	uint64_t	f = mix((uint64_t) graph->n_users, (uint64_t) graph->n_objects);

	f = fingerprint_array(core, f, graph->offsets, ((size_t) graph->n_nodes + 1) * sizeof(int64_t));
	f = fingerprint_array(core, f, graph->neighbours, entries * sizeof(int32_t));
	f = fingerprint_array(core, f, graph->weights, entries * sizeof(float));
	f = fingerprint_array(core, f, graph->key_hashes, (size_t) graph->n_nodes * sizeof(uint64_t));
	f = fingerprint_array(core, f, graph->target_objects, (size_t) graph->n_objects);
	if (graph->types != NULL)
	{
		f = fingerprint_array(core, f, graph->types, entries);
		f = fingerprint_bytes(mix(f, graph->predicted), graph->type_weights, graph->n_types * sizeof(float));
	}
	f = fingerprint_features(core, f, users);
	*fingerprint = fingerprint_features(core, f, objects);
	return core->status;
}
