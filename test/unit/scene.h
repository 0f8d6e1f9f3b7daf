/*
 * scene.h
 *		A graph with features to train the encoder on, and one training of it.
 */
#ifndef BEHAVPRED_TEST_SCENE_H
#define BEHAVPRED_TEST_SCENE_H

#include "samples.h"

#include "core/encoder.h"

/* A graph and its features, in memory of their own, to train on many times. */
typedef struct Scene
{
	TestHost	host;
	Arena		arena;
	Graph		graph;
	Features	user_features;
	Features	object_features;
	const Features *users;		/* NULL = without */
	const Features *objects;
	EncoderOptions options;
	bool		portable;
} Scene;

/* One training in a host of its own. */
typedef struct Run
{
	TestHost	host;
	Arena		arena;
	EncoderResult result;
	CoreStatus	status;
} Run;

/* Options for a short training; the graph must be set. */
extern void set_short_options(Scene *scene);

/* Without a graph and options; with those of samples.h. */
extern void open_empty_scene(Scene *scene);
extern void open_scene(Scene *scene, int32_t n_users, int32_t n_objects, int64_t n_interactions, bool weighted);
extern void open_scene_of_pairs(Scene *scene, int32_t n_users, int32_t n_objects,
								const int32_t (*pairs)[2], int64_t n);
extern void add_features(Scene *scene, bool users, bool objects);
extern void close_scene(Scene *scene);

/* Train on a core of its own; the result stays until close_run(). */
extern void train(Run *run, const Scene *scene, int threads, EncoderListener listener, void *listener_data);
extern void close_run(Run *run);

/* Of the result. */
extern size_t vector_bytes(const Scene *scene);

/*
 * The training succeeded, and every vector has length 1 / sqrt(tau), then 1 for users and
 * anything finite for objects.  Length 0 where a node has no vector of its own, or plain
 * propagation leaves it out, and no neighbours.
 */
extern void assert_vectors_are_sound(const Scene *scene, const Run *run);

#endif
