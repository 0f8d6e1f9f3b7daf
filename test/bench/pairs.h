/*
 * pairs.h
 *		Pairs of users and objects from CSV files: a header line, then user_id,object_id in each row,
 *		whole numbers.
 */
#ifndef BEHAVPRED_PAIRS_H
#define BEHAVPRED_PAIRS_H

#include "core/dictionary.h"
#include "core/graph.h"

typedef struct Pairs
{
	Dictionary	users;
	Dictionary	objects;
	Graph		graph;			/* of the training file */
	Interactions test;			/* pairs of the test file whose user and object the graph knows */
} Pairs;

/* Read both files; ends the program with a message when that fails. */
extern void pairs_load(Core *core, Arena *arena, const char *train, const char *test, Pairs *pairs);

#endif
