/*
 * interactions.c
 *		Pairs of users and objects as they are read: columns that grow by half when they are full.
 */
#include "core/graph.h"

#include <string.h>

CoreStatus
interactions_open(Interactions *interactions, Arena *arena, bool weighted)
{
	const int64_t initial = 1024;

	memset(interactions, 0, sizeof(*interactions));
	interactions->arena = arena;
	interactions->capacity = initial;
	interactions->users = arena_allocate(arena, initial, sizeof(int32_t));
	interactions->objects = arena_allocate(arena, initial, sizeof(int32_t));
	if (weighted)
		interactions->weights = arena_floats(arena, initial);
	return arena->core->status;
}

CoreStatus
interactions_open_types(Interactions *interactions)
{
	interactions->types = arena_allocate(interactions->arena, interactions->capacity, 1);
	return interactions->arena->core->status;
}

/* Grow all columns by half. */
static CoreStatus
interactions_grow(Interactions *interactions)
{
	Arena	   *arena = interactions->arena;
	int64_t		old = interactions->capacity;
	int64_t		new = old + old / 2;

	interactions->users = arena_grow(arena, interactions->users, old, new, sizeof(int32_t));
	interactions->objects = arena_grow(arena, interactions->objects, old, new, sizeof(int32_t));
	if (interactions->weights != NULL)
		interactions->weights = arena_grow(arena, interactions->weights, old, new, sizeof(float));
	if (interactions->types != NULL)
		interactions->types = arena_grow(arena, interactions->types, old, new, 1);
	if (arena->core->status == CORE_OK)
		interactions->capacity = new;
	return arena->core->status;
}

CoreStatus
interactions_add(Interactions *interactions, int32_t user, int32_t object, float weight)
{
	return interactions_add_typed(interactions, user, object, weight, 0);
}

CoreStatus
interactions_add_typed(Interactions *interactions, int32_t user, int32_t object, float weight, int type)
{
	if (interactions->count == interactions->capacity &&
		interactions_grow(interactions) != CORE_OK)
		return interactions->arena->core->status;

	interactions->users[interactions->count] = user;
	interactions->objects[interactions->count] = object;
	if (interactions->weights != NULL)
		interactions->weights[interactions->count] = weight;
	if (interactions->types != NULL)
		interactions->types[interactions->count] = (uint8_t) (1 << type);
	interactions->count++;
	return CORE_OK;
}

void
interactions_renumber(Interactions *interactions,
					  const int32_t *new_users, const int32_t *new_objects)
{
	for (int64_t i = 0; i < interactions->count; i++)
	{
		interactions->users[i] = new_users[interactions->users[i]];
		interactions->objects[i] = new_objects[interactions->objects[i]];
	}
}
