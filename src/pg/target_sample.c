/*
 * target_sample.c
 *		The sample that one target's model is trained on, from the users that were read for all.
 */
#include "postgres.h"

#include "miscadmin.h"

#include "core/encoder.h"
#include "pg/bridge.h"
#include "pg/keys.h"
#include "pg/target_sample.h"

#define ROWS_PER_LOOK 1024		/* copied between two looks for an interrupt */

/* Raise what the core met. */
static void
check_core(const TargetUsers *users)
{
	bridge_check(users->arena->core, "drawing a sample of the users of graph \"%s\"", users->members.graph->name);
}

/* A sample while it is drawn. */
typedef struct Drawing
{
	TargetUsers *users;
	int			target;
	const TargetDefinition *definition;
	bool		has_object;		/* that the graph knows */
	bool		shields;		/* the graph's training shielded users from the target's objects */
	uint64		object_hash;	/* of the first object */
	int64		n_positive;
	int64		n_negative;
	int64		unseen;			/* positives */
	int64		population;		/* positives among the candidates */
	bool		only_shielded;
	int64	   *rows;			/* positives, then negatives */
} Drawing;

/* True when members are told by what they did after the graph's cut; see target_training.c. */
static bool
is_future(const Drawing *drawing)
{
	return drawing->users->members.graph->has_until && drawing->definition->horizon != NULL &&
		drawing->definition->seeds == NULL;
}

/* True when the graph's training has not seen what makes this user a positive; seeds that are
 * not told by an object have no edge to be seen. */
static bool
is_unseen(const Drawing *drawing, const KeptUser *user)
{
	const GraphRun *run = drawing->users->run;

	if (!drawing->has_object || is_future(drawing))
		return true;
	if (drawing->shields)
		return user->shielded;
	return drawing->definition->n_objects == 1 && drawing->definition->seeds == NULL &&
		encoder_holds_out(run->seed, run->validation_fraction, user->degree, user->hash, drawing->object_hash);
}

/* The target's members: mark them, count them, and take those that are kept for it. */
static void
take_positives(Drawing *drawing)
{
	TargetUsers *users = drawing->users;
	int64		first = users->members.starts[drawing->target];

	for (int64 place = first; place < users->members.starts[drawing->target + 1]; place++)
	{
		KnownUser  *user = &users->known_users[users->ordered[place]];

		if (place % ROWS_PER_LOOK == 0)
			CHECK_FOR_INTERRUPTS();
		user->marked = drawing->target + 1;
		if (!user->candidate)
			continue;
		drawing->population++;
		if (place - first >= TARGET_MOST_POSITIVES)
			continue;
		drawing->rows[drawing->n_positive++] = user->row;
		drawing->unseen += is_unseen(drawing, &users->rows[user->row]);
	}
}

/* True for a drawn user who is not one of the target's own. */
static bool
is_negative(const Drawing *drawing, const KeptUser *user)
{
	return user->known < 0 || drawing->users->known_users[user->known].marked != drawing->target + 1;
}

/* Are there enough shielded users of both classes to do without the others? */
static bool
enough_shielded(const Drawing *drawing)
{
	const TargetUsers *users = drawing->users;
	int64		negatives = 0;

	if (!drawing->shields || !drawing->has_object || is_future(drawing) || drawing->unseen < TARGET_ENOUGH_UNSEEN)
		return false;
	for (int64 i = 0; i < users->n_drawn && negatives < drawing->unseen; i++)
	{
		const KeptUser *user = &users->rows[users->drawn[i]];

		negatives += user->shielded && is_negative(drawing, user);
	}
	return negatives >= drawing->unseen;
}

/* The first in order who are not positive, up to the number wanted. */
static void
take_negatives(Drawing *drawing)
{
	TargetUsers *users = drawing->users;
	int64		wanted = target_users_wanted(users, drawing->target);

	drawing->only_shielded = enough_shielded(drawing);
	for (int64 i = 0; i < users->n_drawn && drawing->n_negative < wanted; i++)
	{
		const KeptUser *user = &users->rows[users->drawn[i]];

		if (i % ROWS_PER_LOOK == 0)
			CHECK_FOR_INTERRUPTS();
		if (is_negative(drawing, user) && (user->shielded || !drawing->only_shielded))
			drawing->rows[drawing->n_positive + drawing->n_negative++] = users->drawn[i];
	}
}

/* Hash of the target's first object, for is_unseen(). */
static uint64
first_object_hash(const GraphDefinition *graph, const TargetDefinition *target)
{
	Oid			type = graph->object_key_type;
	Key			key;

	if (target->n_objects == 0)
		return 0;
	key = key_from_datum(type, key_parse(type, target->objects[0], "object"));
	return key_hash(key_kind(type), &key);
}

/* The sample as the core takes it: positives first. */
static void
copy_sample(const Drawing *drawing, Arena *arena, TargetSample *sample)
{
	const TargetUsers *users = drawing->users;
	int64		n = drawing->n_positive + drawing->n_negative;

	sample->vectors = arena_allocate(arena, n * users->width, sizeof(float));
	sample->degrees = arena_allocate(arena, n, sizeof(double));
	sample->hashes = arena_allocate(arena, n, sizeof(uint64));
	sample->unseen = arena_allocate(arena, n, 1);
	check_core(users);
	for (int64 i = 0; i < n; i++)
	{
		const KeptUser *user = &users->rows[drawing->rows[i]];

		if (i % ROWS_PER_LOOK == 0)
			CHECK_FOR_INTERRUPTS();
		memcpy(sample->vectors + i * users->width, users->vectors + drawing->rows[i] * users->width,
			   users->width * sizeof(float));
		sample->degrees[i] = user->degree;
		sample->hashes[i] = user->hash;
		sample->unseen[i] = i < drawing->n_positive && is_unseen(drawing, user);
	}
}

/* See target_sample.h. */
void
target_sample_draw(TargetUsers *users, int target, const TargetDefinition *definition, bool has_object,
				   Arena *arena, TargetSample *sample)
{
	Drawing		drawing = {
		.users = users, .target = target, .definition = definition, .has_object = has_object,
		.shields = graph_run_shields(users->run, definition),
		.object_hash = first_object_hash(users->members.graph, definition)
	};
	int64		room = Min(target_users_known(users, target), TARGET_MOST_POSITIVES) +
		Min(target_users_wanted(users, target), users->n_drawn);

	memset(sample, 0, sizeof(*sample));
	drawing.rows = arena_allocate(arena, room, sizeof(int64));
	check_core(users);
	take_positives(&drawing);
	take_negatives(&drawing);
	sample->width = users->width;
	sample->n_positive = drawing.n_positive;
	sample->n_negative = drawing.n_negative;
	sample->population_positives = drawing.population;
	sample->candidates = users->candidates;
	copy_sample(&drawing, arena, sample);
}
