/*
 * audience_scene.h
 *		What the audience benchmark measures on: targets with half of their users hidden, and
 *		the vectors of a graph that has not seen them.  Kept in a file, so that one training of
 *		the graph serves any number of models.
 */
#ifndef BEHAVPRED_AUDIENCE_SCENE_H
#define BEHAVPRED_AUDIENCE_SCENE_H

#include "core/core.h"

#define MOST_OBJECTS 512		/* of one target */

/* Users in a list are in rising order. */
typedef struct Users
{
	int32_t		n;
	int32_t    *users;
} Users;

typedef struct SceneTarget
{
	int32_t		n_objects;
	int32_t    *objects;
	Users		hidden;			/* did it, and nobody may know: those to be found */
	Users		visible;		/* did it, and may be seeds */
	Users		linked;			/* whom the graph links to the target: neither ranked nor negatives */
} SceneTarget;

typedef struct Scene
{
	int32_t		n_users;
	int32_t		n_objects;
	int32_t		n_targets;
	int32_t		width;			/* of vectors */
	int32_t		plain_width;
	int32_t		rival_width;
	int32_t		new_objects;	/* 1: the targets' objects are not in the graph at all */
	double		scale;			/* the network's own calibration */
	double		offset;
	uint64_t   *hashes;			/* of the users' keys */
	double	   *degrees;		/* interactions that were left to each user */
	uint8_t    *shielded;		/* users whose vectors know no edge to a target */
	float	   *vectors;		/* of users, then objects */
	float	   *plain;			/* of users: an earlier, untrained embedding */
	float	   *rival;			/* of users: iALS on the same graph */
	uint8_t    *in_hidden_half;	/* new objects: users of the half that is to be found, by anybody */
	SceneTarget *targets;
} Scene;

/* Which targets to make: name=value arguments of the program. */
typedef struct SceneOptions
{
	const char *behaviour;		/* the one to predict, NULL = any */
	int			least_users;	/* of an object, any behaviour */
	int			least_positives;
	int			most_positives;
	int			many_positives; /* at least half of the targets have so many, as far as there are any */
	int			targets;
	int			group_users;	/* > 0: join neighbouring objects until so many users are positive */
	int			new_objects;
	int			draw;			/* another draw of targets and halves */
	int			epochs;			/* 0 = the encoder's default */
	int			threads;
} SceneOptions;

extern CoreStatus scene_make(Core *core, Arena *arena, const char *path, const SceneOptions *options, Scene *scene);
extern CoreStatus scene_write(Core *core, const Scene *scene, const char *path);
extern CoreStatus scene_read(Core *core, Arena *arena, const char *path, Scene *scene);

#endif
