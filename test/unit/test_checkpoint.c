/*
 * test_checkpoint.c
 *		A training that is taken out between two steps and put into another one goes on as
 *		if nothing had been; a state that does not fit is refused.
 */
#include "scene.h"

#include <stdlib.h>
#include <string.h>

#include "core/encoder_checkpoint.h"

/* One training in pieces. */
typedef struct Pieces
{
	TestHost	host;
	Arena		arena;
	EncoderTraining *training;
	int			steps_left;		/* before the next pause */
	int			epochs_heard;
} Pieces;

static bool
pause_after_steps(void *data)
{
	return --((Pieces *) data)->steps_left <= 0;
}

static void
count_epoch(void *data, const EncoderEpoch *epoch)
{
	Pieces	   *pieces = data;

	pieces->epochs_heard++;
	assert_int_equal(epoch->epoch > 0, true);
}

static void
open_pieces(Pieces *pieces, const Scene *scene, int threads, bool resume)
{
	memset(pieces, 0, sizeof(*pieces));
	host_open(&pieces->host, threads);
	arena_open(&pieces->arena, &pieces->host.core);
	pieces->training = encoder_open(&pieces->host.core, &pieces->arena, &scene->graph, scene->users,
									scene->objects, &scene->options, resume);
	assert_non_null(pieces->training);
}

static void
close_pieces(Pieces *pieces)
{
	arena_close(&pieces->arena);
	host_assert_clean(&pieces->host);
}

/* Some steps, at least one; true when the training is at its end. */
static bool
run_pieces(Pieces *pieces, int steps)
{
	const EncoderObserver observer = {count_epoch, pause_after_steps, pieces};
	bool		finished;

	pieces->steps_left = steps;
	assert_int_equal(encoder_run(pieces->training, &observer, &finished), CORE_OK);
	return finished;
}

/* The whole state, taken in uneven pieces. */
static char *
take_state(Pieces *pieces, size_t *size)
{
	char	   *bytes;

	*size = encoder_state_size(pieces->training);
	bytes = malloc(*size);
	for (size_t first = 0; first < *size; first += 997)
		encoder_state_take(pieces->training, first, *size - first < 997 ? *size - first : 997, bytes + first);
	return bytes;
}

static void
put_state(Pieces *pieces, const char *bytes, size_t size)
{
	assert_int_equal(encoder_state_size(pieces->training), size);
	for (size_t first = 0; first < size; first += 4099)
		encoder_state_put(pieces->training, first, size - first < 4099 ? size - first : 4099, bytes + first);
}

/* Move the training into a new core every few steps, each time with other threads. */
static void
assert_moved_is_same(const Scene *scene, int steps)
{
	Run			whole;
	Pieces		pieces;
	EncoderResult result;
	int			heard = 0;
	bool		finished;

	train(&whole, scene, 1, NULL, NULL);
	assert_vectors_are_sound(scene, &whole);
	open_pieces(&pieces, scene, 1, false);
	while (!(finished = run_pieces(&pieces, steps)))
	{
		size_t		size;
		char	   *state = take_state(&pieces, &size);

		heard += pieces.epochs_heard;
		close_pieces(&pieces);
		open_pieces(&pieces, scene, 1 + heard % 3, true);
		put_state(&pieces, state, size);
		assert_int_equal(encoder_state_accept(pieces.training), CORE_OK);
		free(state);
	}
	assert_int_equal(encoder_finish(pieces.training, &pieces.arena, &result), CORE_OK);
	assert_int_equal(heard + pieces.epochs_heard, whole.result.epochs_run);
	assert_memory_equal(result.vectors, whole.result.vectors, vector_bytes(scene));
	assert_int_equal(result.best_epoch, whole.result.best_epoch);
	assert_true(result.best.loss == whole.result.best.loss);
	assert_true(result.scale == whole.result.scale);
	assert_true(result.offset == whole.result.offset);
	close_pieces(&pieces);
	close_run(&whole);
}

static void
a_moved_training_gives_the_same_bytes(void **state)
{
	Scene		scene;

	(void) state;
	open_scene(&scene, 300, 100, 3000, true);
	scene.options.epochs = 5;
	scene.options.batch_size = 700;
	for (int i = 0; i < 12; i += sweep_stride())
	{
		scene.options.routing = i % 3;
		scene.options.attention = i / 3 % 3;
		scene.options.loss = i % 2;
		scene.options.mapping = i % 2 ? MAPPING_LINEAR : MAPPING_IDENTITY;
		scene.options.spectral_start = i % 3 == 0;
		scene.options.validation_fraction = i % 4 == 3 ? 0 : 0.1f;
		scene.options.patience = i % 5 == 4 ? 1 : 0;
		add_features(&scene, i % 4 > 0, i % 4 > 2);
		assert_moved_is_same(&scene, 1 + i % 4 * 2);
	}
	sample_types(&scene.arena, 3, &scene.graph);
	assert_moved_is_same(&scene, 3);
	close_scene(&scene);
}

/* Without epochs there is only the header, and the training is at its end at once. */
static void
nothing_to_train_has_a_state(void **state)
{
	Scene		scene;

	(void) state;
	open_scene(&scene, 100, 50, 600, false);
	scene.options.epochs = 0;
	assert_moved_is_same(&scene, 1);
	close_scene(&scene);
}

/* A state of another network, or a damaged header, is refused and nothing else. */
static void
a_state_that_does_not_fit_is_refused(void **state)
{
	Scene		scene;
	Pieces		pieces;
	size_t		size;
	char	   *bytes;

	(void) state;
	open_scene(&scene, 100, 50, 600, false);
	open_pieces(&pieces, &scene, 1, false);
	run_pieces(&pieces, 1);
	bytes = take_state(&pieces, &size);
	close_pieces(&pieces);
	for (size_t damaged = 0; damaged < 16; damaged++)	/* magic and number of parameters */
	{
		open_pieces(&pieces, &scene, 1, true);
		bytes[damaged] ^= 1;
		put_state(&pieces, bytes, size);
		bytes[damaged] ^= 1;
		assert_int_equal(encoder_state_accept(pieces.training), CORE_CORRUPT);
		close_pieces(&pieces);
	}
	free(bytes);
	close_scene(&scene);
}

static CoreStatus
open_run_and_finish(Core *core, Arena *arena, void *argument)
{
	const Scene *scene = argument;
	const EncoderObserver observer = {NULL, NULL, NULL};
	EncoderTraining *training = encoder_open(core, arena, &scene->graph, NULL, NULL, &scene->options, false);
	EncoderResult result;
	uint64_t	fingerprint;
	bool		finished;

	if (training == NULL || encoder_run(training, &observer, &finished) != CORE_OK ||
		encoder_fingerprint(core, &scene->graph, NULL, NULL, &fingerprint) != CORE_OK)
		return core->status;
	return encoder_finish(training, arena, &result);
}

static void
pieces_survive_every_failure(void **state)
{
	Scene		scene;

	(void) state;
	open_scene(&scene, 60, 30, 300, false);
	scene.options.epochs = 2;
	scenario_survives(open_run_and_finish, &scene, 5);
	close_scene(&scene);
}

static uint64_t
fingerprint_of(Scene *scene)
{
	uint64_t	fingerprint;

	assert_int_equal(encoder_fingerprint(&scene->host.core, &scene->graph, scene->users, scene->objects,
										 &fingerprint), CORE_OK);
	return fingerprint;
}

/* Change one thing, compare, change it back. */
#define assert_seen(scene, place, value) \
	do { \
		typeof(place) kept = (place); \
		uint64_t	before = fingerprint_of(scene); \
		(place) = (value); \
		assert_true(fingerprint_of(scene) != before); \
		(place) = kept; \
		assert_true(fingerprint_of(scene) == before); \
	} while (0)

static void
fingerprint_sees_every_change(void **state)
{
	Scene		scene;
	uint64_t	hashes[150] = {1};
	uint8_t		targets[50] = {0};

	(void) state;
	open_scene(&scene, 100, 50, 600, true);
	add_features(&scene, true, false);
	assert_seen(&scene, scene.graph.neighbours[2 * scene.graph.n_edges - 1], 0);
	assert_seen(&scene, scene.graph.weights[3], 77);
	assert_seen(&scene, scene.graph.offsets[5], 0);
	assert_seen(&scene, scene.user_features.values[scene.user_features.columns * 100 - 1], 5);
	assert_seen(&scene, scene.users, NULL);
	scene.graph.key_hashes = hashes;
	scene.graph.target_objects = targets;
	assert_seen(&scene, hashes[149], 9);
	assert_seen(&scene, targets[49], 1);
	sample_types(&scene.arena, 3, &scene.graph);
	assert_seen(&scene, scene.graph.types[5], 6);
	assert_seen(&scene, scene.graph.predicted, 2);
	assert_seen(&scene, scene.graph.type_weights[2], 7);
	assert_seen(&scene, scene.graph.types, NULL);
	assert_true(fingerprint_bytes(1, "ab", 2) != fingerprint_bytes(1, "ab", 3));
	assert_true(fingerprint_bytes(1, "ab", 2) != fingerprint_bytes(2, "ab", 2));
	close_scene(&scene);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_moved_training_gives_the_same_bytes),
		cmocka_unit_test(nothing_to_train_has_a_state),
		cmocka_unit_test(a_state_that_does_not_fit_is_refused),
		cmocka_unit_test(pieces_survive_every_failure),
		cmocka_unit_test(fingerprint_sees_every_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
