/*
 * stored_direct.h
 *		The direct term of a graph that tells behaviours apart, and what it is applied to: the
 *		interactions of users as the sources have them now.
 *
 * The term stands in the result of the run that trained the graph, the numbers of objects beside their embeddings.
 */
#ifndef BEHAVPRED_STORED_DIRECT_H
#define BEHAVPRED_STORED_DIRECT_H

#include "postgres.h"

#include "core/dictionary.h"
#include "core/direct_term.h"
#include "pg/graph_definition.h"

typedef struct StoredDirect
{
	const GraphDefinition *graph;
	DirectTerm	term;
	uint8_t		predicted;		/* set of the behaviours to be predicted */
} StoredDirect;

/*
 * NULL for a graph that does not tell behaviours apart, or whose training found no term.
 * ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE when its behaviours are not those it was trained with.  The caller must have the privilege to
 * read: without it he would not see the term.
 */
extern StoredDirect *stored_direct_read(const GraphDefinition *graph);

/* What joins these users and objects, as a graph with types. */
extern void stored_direct_links(const StoredDirect *direct, Arena *arena, Dictionary *users, Dictionary *objects,
								Graph *links);

/* The numbers of these objects; 0 where the table has none. */
extern float *stored_direct_objects(const StoredDirect *direct, Arena *arena, Dictionary *objects);

/* The numbers of one object, as its row has them. */
extern const float *stored_direct_numbers(const StoredDirect *direct, Datum value, bool null);

/* What joins one user to objects. */
typedef struct UserLinks
{
	Dictionary	objects;
	uint8_t    *types;			/* of each key */
	int32		capacity;
	double		part[GRAPH_MOST_TYPES];	/* direct_term_user() */
} UserLinks;

extern void stored_direct_user(const StoredDirect *direct, Arena *arena, Datum user, UserLinks *links);

#endif
