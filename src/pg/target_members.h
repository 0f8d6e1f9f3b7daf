/*
 * target_members.h
 *		The users who are known to belong to the targets of one graph: they did the
 *		behaviour, or are among the seeds.
 */
#ifndef BEHAVPRED_TARGET_MEMBERS_H
#define BEHAVPRED_TARGET_MEMBERS_H

#include "postgres.h"

#include "core/dictionary.h"
#include "pg/target_definition.h"

typedef struct TargetMembers
{
	Arena	   *arena;
	const GraphDefinition *graph;
	int			n_targets;
	Dictionary	known;			/* users of any target */
	int64		n_pairs;
	int64		capacity;
	uint64	   *pairs;			/* target << 32 | number in `known` */
	int64	   *starts;			/* n_targets + 1: where the pairs of a target begin */
} TargetMembers;

/* Begin, for so many targets; all memory is the arena's. */
extern void target_members_open(TargetMembers *members, Arena *arena, const GraphDefinition *graph, int n_targets);

/* The users of a relation are known to belong to target number `target`. */
extern void target_members_add_seeds(TargetMembers *members, int target, const char *relation);

/* Those who did the behaviour to the objects of the targets: one reading for each horizon
 * that they have; NULL stands for a target that is left out. */
extern void target_members_add_actors(TargetMembers *members, TargetDefinition **targets);

/* All have been added: bring the pairs in order of targets, each once, and fill `starts`. */
extern void target_members_finish(TargetMembers *members);

/* Target and user of a pair. */
static inline int
target_member_target(const TargetMembers *members, int64 pair)
{
	return (int) (members->pairs[pair] >> 32);
}

static inline int32
target_member_user(const TargetMembers *members, int64 pair)
{
	return (int32) (members->pairs[pair] & 0xffffffff);
}

#endif
