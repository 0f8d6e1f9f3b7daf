/*
 * audience_scene.c
 *		Read interactions, choose targets, hide half of their users, train the graph on the rest.
 */
#include "audience_scene.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/dictionary.h"
#include "core/encoder.h"
#include "core/graph.h"
#include "core/random.h"
#include "core/sorting.h"
#include "core/vectors.h"
#include "ials.h"

/* All interactions, and those of the behaviour to predict. */
typedef struct Data
{
	Dictionary	users;
	Dictionary	objects;
	Interactions pairs;
	Interactions positive_pairs;
	Graph		graph;
	Graph		positives;
} Data;

/* Everything that is needed while the scene is made. */
typedef struct Making
{
	Core	   *core;
	Arena	   *arena;
	const SceneOptions *options;
	Data		data;
	Scene	   *scene;
	int32_t    *owner;			/* of each object: its target, -1 = none */
} Making;

static CoreStatus
cannot_use(Core *core, const char *path)
{
	return core_fail(core, CORE_INVALID, "cannot use file %s", path);
}

/* ---- interactions ----------------------------------------------------------------------- */

/* Rows user_id,object_id[,behavior] after a header line. */
static CoreStatus
read_rows(Making *making, const char *path)
{
	Data	   *data = &making->data;
	FILE	   *file = fopen(path, "r");
	char		line[256];

	if (file == NULL || fgets(line, sizeof(line), file) == NULL)
		return cannot_use(making->core, path);
	while (fgets(line, sizeof(line), file) != NULL)
	{
		Key			user = {0};
		Key			object = {0};
		char		behaviour[64] = "";
		long long	u;
		long long	o;
		int32_t		un;
		int32_t		on;

		if (sscanf(line, "%lld,%lld,%63[^\r\n]", &u, &o, behaviour) < 2)
			continue;
		user.integer = u;
		object.integer = o;
		un = dictionary_add(&data->users, &user);
		on = dictionary_add(&data->objects, &object);
		interactions_add(&data->pairs, un, on, 1);
		if (making->options->behaviour == NULL || strcmp(behaviour, making->options->behaviour) == 0)
			interactions_add(&data->positive_pairs, un, on, 1);
	}
	fclose(file);
	return making->core->status;
}

static CoreStatus
load(Making *making, const char *path)
{
	Data	   *data = &making->data;
	int32_t    *new_users;
	int32_t    *new_objects;
	uint64_t   *hashes;

	dictionary_open(&data->users, making->arena, KEY_INTEGER);
	dictionary_open(&data->objects, making->arena, KEY_INTEGER);
	interactions_open(&data->pairs, making->arena, false);
	interactions_open(&data->positive_pairs, making->arena, false);
	if (read_rows(making, path) != CORE_OK || dictionary_sort(&data->users, &new_users) != CORE_OK ||
		dictionary_sort(&data->objects, &new_objects) != CORE_OK)
		return making->core->status;
	interactions_renumber(&data->pairs, new_users, new_objects);
	interactions_renumber(&data->positive_pairs, new_users, new_objects);
	graph_build(making->core, making->arena, &data->pairs, data->users.count, data->objects.count, 0, 0,
				&data->graph);
	graph_build(making->core, making->arena, &data->positive_pairs, data->users.count, data->objects.count, 0, 0,
				&data->positives);
	hashes = arena_allocate(making->arena, (size_t) data->users.count + data->objects.count, sizeof(uint64_t));
	if (making->core->status != CORE_OK)
		return making->core->status;
	for (int32_t v = 0; v < data->graph.n_nodes; v++)
	{
		Key			key = v < data->graph.n_users ? dictionary_key(&data->users, v) :
			dictionary_key(&data->objects, v - data->graph.n_users);

		hashes[v] = key_hash(KEY_INTEGER, &key);
	}
	data->graph.key_hashes = hashes;
	return CORE_OK;
}

static int64_t
object_users(const Graph *graph, int32_t object)
{
	return graph_degree(graph, graph->n_users + object);
}

/* ---- targets ------------------------------------------------------------------------------ */

/* Objects in a random order. */
static SortItem *
shuffled_objects(Making *making)
{
	const Graph *graph = &making->data.graph;
	SortItem   *items = arena_allocate(making->arena, graph->n_objects, sizeof(SortItem));

	if (items == NULL)
		return NULL;
	for (int32_t o = 0; o < graph->n_objects; o++)
		items[o] = (SortItem)
		{
			random_bits(making->options->draw, RANDOM_TEST, graph->key_hashes[graph->n_users + o]), o
		};
	sort_items(making->core, making->arena, items, graph->n_objects, NULL, NULL);
	return making->core->status == CORE_OK ? items : NULL;
}

static bool
is_eligible(const Making *making, int32_t object, int64_t least_positives)
{
	int64_t		positives = object_users(&making->data.positives, object);

	return making->owner[object] < 0 && positives >= least_positives &&
		positives <= making->options->most_positives &&
		object_users(&making->data.graph, object) >= making->options->least_users;
}

static SceneTarget *
add_target(Making *making, int32_t object)
{
	SceneTarget *target = &making->scene->targets[making->scene->n_targets];

	making->owner[object] = making->scene->n_targets++;
	target->objects = arena_allocate(making->arena, MOST_OBJECTS, sizeof(int32_t));
	if (target->objects == NULL)
		return NULL;
	target->n_objects = 1;
	target->objects[0] = object;
	return target;
}

/* The free object whose vector is nearest to that of the target's first, -1 = none. */
static int32_t
nearest_object(const Making *making, const SceneTarget *target, const float *objects, int width)
{
	int32_t		nearest = -1;
	double		highest = -2;

	for (int32_t o = 0; o < making->data.graph.n_objects; o++)
	{
		double		cosine;

		if (making->owner[o] >= 0 || object_users(&making->data.positives, o) < making->options->least_positives / 4)
			continue;
		cosine = vectors_cosine(objects + (size_t) o * width, objects + (size_t) target->objects[0] * width,
								width - 1);
		if (cosine > highest)
		{
			highest = cosine;
			nearest = o;
		}
	}
	return nearest;
}

/* Mark the users of an object; returns how many were not marked before. */
static int64_t
mark_users(const Graph *graph, int32_t object, uint8_t *marks)
{
	int32_t		node = graph->n_users + object;
	int64_t		added = 0;

	for (int64_t e = graph->offsets[node]; e < graph->offsets[node + 1]; e++)
	{
		added += !marks[graph->neighbours[e]];
		marks[graph->neighbours[e]] = 1;
	}
	return added;
}

/* Join neighbouring objects until the target has enough positives. */
static void
grow_target(Making *making, SceneTarget *target, const float *objects, int width)
{
	const Graph *positives = &making->data.positives;
	uint8_t    *marks = arena_allocate_zeroed(making->arena, positives->n_users, 1);
	int64_t		users;

	if (marks == NULL)
		return;
	users = mark_users(positives, target->objects[0], marks);
	while (users < making->options->group_users && target->n_objects < MOST_OBJECTS)
	{
		int32_t		object = nearest_object(making, target, objects, width);

		if (object < 0)
			break;
		making->owner[object] = making->owner[target->objects[0]];
		target->objects[target->n_objects++] = object;
		users += mark_users(positives, object, marks);
	}
	arena_release(making->arena, marks);
}

/* The untrained embedding of a graph: its singular vectors, propagated. */
static float *
plain_embedding(Making *making, const Graph *graph, int *width)
{
	EncoderOptions options;
	EncoderResult result;

	encoder_defaults(&options, graph);
	options.epochs = 0;
	options.routing = ROUTING_OFF;
	options.validation_fraction = 0;
	if (encoder_train(making->core, making->arena, graph, NULL, NULL, &options, NULL, NULL, &result) != CORE_OK)
		return NULL;
	*width = result.width;
	return result.vectors;
}

/* Up to half of the targets from objects with many positives, the rest from all. */
static CoreStatus
choose_targets(Making *making)
{
	const Graph *graph = &making->data.graph;
	SortItem   *order = shuffled_objects(making);
	int			wanted[] = {making->options->targets / 2, making->options->targets};
	int64_t		least[] = {making->options->many_positives, making->options->least_positives};

	making->scene->targets = arena_allocate_zeroed(making->arena, making->options->targets, sizeof(SceneTarget));
	making->owner = arena_allocate(making->arena, graph->n_objects, sizeof(int32_t));
	if (making->core->status != CORE_OK)
		return making->core->status;
	memset(making->owner, -1, graph->n_objects * sizeof(int32_t));
	for (int pass = 0; pass < 2; pass++)
		for (int32_t i = 0; i < graph->n_objects && making->scene->n_targets < wanted[pass]; i++)
			if (is_eligible(making, (int32_t) order[i].index, least[pass]) &&
				add_target(making, (int32_t) order[i].index) == NULL)
				return making->core->status;
	if (making->options->group_users > 0)
	{
		int			width;
		float	   *plain = plain_embedding(making, graph, &width);

		if (plain == NULL)
			return making->core->status;
		for (int32_t t = 0; t < making->scene->n_targets; t++)
			grow_target(making, &making->scene->targets[t], plain + (size_t) graph->n_users * width, width);
	}
	return CORE_OK;
}

/* ---- halves -------------------------------------------------------------------------------- */

/* A target's users fall into two halves; new objects share one pair of halves, so that a half
 * is a population of its own. */
static bool
is_hidden(const Making *making, int32_t target, int32_t user)
{
	uint64_t	halves = making->options->new_objects ? 0 : (uint64_t) target + 1;

	return random_bits(making->options->draw + halves * 1000, RANDOM_SPLIT, making->data.graph.key_hashes[user]) & 1;
}

/* Users with an edge to one of the target's objects, each once, of one half or both. */
static CoreStatus
list_users(Making *making, int32_t target, const Graph *graph, int half, Users *list)
{
	const SceneTarget *t = &making->scene->targets[target];
	uint8_t    *is_there = arena_allocate_zeroed(making->arena, graph->n_users, 1);

	list->n = 0;
	list->users = arena_allocate(making->arena, graph->n_users, sizeof(int32_t));
	if (making->core->status != CORE_OK)
		return making->core->status;
	for (int32_t i = 0; i < t->n_objects; i++)
		mark_users(graph, t->objects[i], is_there);
	for (int32_t user = 0; user < graph->n_users; user++)
		if (is_there[user] && is_hidden(making, target, user) == (half == 1))
			list->users[list->n++] = user;
	arena_release(making->arena, is_there);
	return CORE_OK;
}

/* The graph without what must not be known. */
static CoreStatus
hide(Making *making, Graph *left)
{
	const Graph *graph = &making->data.graph;
	uint8_t    *drop = arena_allocate_zeroed(making->arena, graph->n_edges, 1);

	if (drop == NULL)
		return making->core->status;
	for (int32_t t = 0; t < making->scene->n_targets; t++)
		if (list_users(making, t, &making->data.positives, 1, &making->scene->targets[t].hidden) != CORE_OK ||
			list_users(making, t, &making->data.positives, 0, &making->scene->targets[t].visible) != CORE_OK ||
			list_users(making, t, graph, 0, &making->scene->targets[t].linked) != CORE_OK)
			return making->core->status;
	for (int32_t user = 0; user < graph->n_users; user++)
		for (int64_t e = graph->offsets[user]; e < graph->offsets[user + 1]; e++)
		{
			int32_t		target = making->owner[graph->neighbours[e] - graph->n_users];

			drop[e] = target >= 0 && (making->options->new_objects || is_hidden(making, target, user));
		}
	if (graph_without(making->core, making->arena, graph, drop, left) != CORE_OK)
		return making->core->status;
	left->key_hashes = graph->key_hashes;
	return CORE_OK;
}

/* ---- vectors ---------------------------------------------------------------------------------- */

static void
print_epoch(void *data, const EncoderEpoch *epoch)
{
	(void) data;
	fprintf(stderr, "# epoch %d: held-out ndcg@20 %.4f, %.1f s\n", epoch->epoch, epoch->ndcg_at_20, epoch->seconds);
}

/* As train_graph() does it: the targets are known, and half of the users shielded from them. */
static CoreStatus
train(Making *making, Graph *graph)
{
	Scene	   *scene = making->scene;
	EncoderOptions options;
	EncoderResult result;
	uint8_t    *flags = arena_allocate_zeroed(making->arena, graph->n_objects, 1);

	if (flags == NULL)
		return making->core->status;
	for (int32_t o = 0; o < graph->n_objects; o++)
		flags[o] = making->owner[o] >= 0;
	graph->target_objects = making->options->new_objects ? NULL : flags;
	encoder_defaults(&options, graph);
	if (making->options->epochs > 0)
		options.epochs = making->options->epochs;
	if (encoder_train(making->core, making->arena, graph, NULL, NULL, &options, print_epoch, NULL,
					  &result) != CORE_OK)
		return making->core->status;
	scene->width = result.width;
	scene->vectors = result.vectors;
	scene->scale = result.scale;
	scene->offset = result.offset;
	for (int32_t user = 0; user < graph->n_users; user++)
	{
		scene->degrees[user] = graph_degree(graph, user);
		scene->in_hidden_half[user] = making->options->new_objects && is_hidden(making, 0, user);
		scene->shielded[user] = making->options->new_objects ||
			encoder_shields(options.seed, result.target_fraction, graph_degree(graph, user), scene->hashes[user]);
	}
	return CORE_OK;
}

/* What users of other embeddings would have. */
static CoreStatus
train_rival(Making *making, const Graph *graph)
{
	IalsOptions options;

	ials_defaults(&options);
	making->scene->rival_width = options.width;
	making->scene->rival = arena_floats(making->arena, (size_t) graph->n_nodes * options.width);
	if (making->scene->rival == NULL)
		return making->core->status;
	return ials_fit(making->core, making->arena, graph, &options, making->scene->rival);
}

CoreStatus
scene_make(Core *core, Arena *arena, const char *path, const SceneOptions *options, Scene *scene)
{
	Making		making = {.core = core, .arena = arena, .options = options, .scene = scene};
	Graph		left;

	*scene = (Scene) {.new_objects = options->new_objects};
	if (load(&making, path) != CORE_OK || choose_targets(&making) != CORE_OK || hide(&making, &left) != CORE_OK)
		return core->status;
	scene->n_users = left.n_users;
	scene->n_objects = left.n_objects;
	scene->hashes = (uint64_t *) left.key_hashes;
	scene->degrees = arena_doubles(arena, left.n_users);
	scene->shielded = arena_allocate(arena, left.n_users, 1);
	scene->in_hidden_half = arena_allocate(arena, left.n_users, 1);
	if (core->status != CORE_OK || train_rival(&making, &left) != CORE_OK || (scene->plain = plain_embedding(&making, &left, &scene->plain_width)) == NULL)
		return core->status;
	return train(&making, &left);
}

/* ---- file --------------------------------------------------------------------------------------- */

/* One place in the file for each array: written from memory or read into it. */
typedef struct SceneFile
{
	Core	   *core;
	Arena	   *arena;			/* NULL when writing */
	FILE	   *file;
	const char *path;
} SceneFile;

static void
pass(SceneFile *f, void *data, size_t n, size_t size)
{
	size_t		done = f->arena != NULL ? fread(data, size, n, f->file) : fwrite(data, size, n, f->file);

	if (done != n)
		cannot_use(f->core, f->path);
}

static void
pass_array(SceneFile *f, void *pointer, size_t n, size_t size)
{
	void	  **data = pointer;

	if (f->arena != NULL)
		*data = arena_allocate(f->arena, n, size);
	if (f->core->status == CORE_OK)
		pass(f, *data, n, size);
}

static void
pass_users(SceneFile *f, Users *users)
{
	pass(f, &users->n, 1, sizeof(users->n));
	pass_array(f, &users->users, users->n, sizeof(int32_t));
}

static CoreStatus
pass_scene(SceneFile *f, Scene *scene, const char *mode)
{
	f->file = fopen(f->path, mode);
	if (f->file == NULL)
		return cannot_use(f->core, f->path);
	pass(f, scene, 1, offsetof(Scene, hashes));
	pass_array(f, &scene->hashes, scene->n_users, sizeof(uint64_t));
	pass_array(f, &scene->degrees, scene->n_users, sizeof(double));
	pass_array(f, &scene->shielded, scene->n_users, 1);
	pass_array(f, &scene->vectors, ((size_t) scene->n_users + scene->n_objects) * scene->width, sizeof(float));
	pass_array(f, &scene->plain, (size_t) scene->n_users * scene->plain_width, sizeof(float));
	pass_array(f, &scene->rival, (size_t) scene->n_users * scene->rival_width, sizeof(float));
	pass_array(f, &scene->in_hidden_half, scene->n_users, 1);
	if (f->arena != NULL)
		scene->targets = arena_allocate_zeroed(f->arena, scene->n_targets, sizeof(SceneTarget));
	for (int32_t t = 0; t < scene->n_targets && f->core->status == CORE_OK; t++)
	{
		SceneTarget *target = &scene->targets[t];

		pass(f, &target->n_objects, 1, sizeof(target->n_objects));
		pass_array(f, &target->objects, target->n_objects, sizeof(int32_t));
		pass_users(f, &target->hidden);
		pass_users(f, &target->visible);
		pass_users(f, &target->linked);
	}
	if (fclose(f->file) != 0)
		return cannot_use(f->core, f->path);
	return f->core->status;
}

CoreStatus
scene_write(Core *core, const Scene *scene, const char *path)
{
	SceneFile	file = {.core = core, .path = path};

	return pass_scene(&file, (Scene *) scene, "wb");
}

CoreStatus
scene_read(Core *core, Arena *arena, const char *path, Scene *scene)
{
	SceneFile	file = {.core = core, .arena = arena, .path = path};

	return pass_scene(&file, scene, "rb");
}
