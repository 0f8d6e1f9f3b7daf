/*
 * direct_term.h
 *		What the edges between a user and an object say by themselves, beside the network: who has
 *		put something into the cart is likely to buy it, whatever the vectors say.
 *
 * score(u, o) = <z_u, z_o> + D(u, o).  D is 0 unless the two are joined by a behaviour that is not
 * to be predicted (a "link"); else
 *
 *		D = scale * S(u, o) + popularity * log(1 + d_o) + sum over the link's behaviours t of
 *			constant_t + user_slope_t * log(1 + d_u,t) + object_slope_t * log(1 + d_o,t)
 *
 * with S the score without the user's activity, d_o the edges to be predicted of the object, and d_v,t
 * the edges of behaviour t of a node.  A popular object that many view and few buy is thereby told from one
 * that is bought by whoever views it.
 */
#ifndef BEHAVPRED_DIRECT_TERM_H
#define BEHAVPRED_DIRECT_TERM_H

#include "graph.h"
#include "ranking.h"

typedef struct DirectTerm
{
	int			n_types;		/* 0 = there is none */
	uint8_t		types;			/* set of those that are not to be predicted */
	double		scale;
	double		popularity;
	double		constant[GRAPH_MOST_TYPES];
	double		user_slope[GRAPH_MOST_TYPES];
	double		object_slope[GRAPH_MOST_TYPES];
} DirectTerm;

/* Numbers of an object: constant + slope of each behaviour, then its popularity's. */
#define DIRECT_OBJECT_NUMBERS(n_types) ((n_types) + 1)

/* Pairs that the term is fitted on. */
typedef struct DirectCases
{
	int64_t		n;
	const int32_t *users;
	const int32_t *objects;		/* numbers, not nodes */
} DirectCases;

#define DIRECT_CASES 20000		/* at most */

/*
 * Fit by conditional logit: each case is a choice among everything the user could have chosen, his links one by
 * one and all other objects together, which stand at their score.  `graph` has types and none of the cases;
 * `vectors` are as stored.  Without links or cases the term stays empty.
 */
extern CoreStatus direct_term_fit(Core *core, const Graph *graph, const DirectCases *cases,
								  const float *vectors, int width, uint64_t seed, DirectTerm *term);

/* The numbers of one object, from the edges of a node of `graph`. */
extern void direct_term_object(const DirectTerm *term, const Graph *graph, int32_t node, float *numbers);

/* The numbers of all objects: n_objects x DIRECT_OBJECT_NUMBERS. */
extern void direct_term_objects(const DirectTerm *term, const Graph *graph, float *numbers);

/* Bytes that fitting takes for a while. */
extern double direct_term_bytes(double n_nodes, double n_links, double n_users, double n_cases);

/* What the user's side of each behaviour adds, from how many edges of it he has. */
extern void direct_term_user(const DirectTerm *term, const int64_t *degrees, double *part);

/* D for a link of these types; `similarity` is S. */
extern double direct_term_value(const DirectTerm *term, uint8_t types, const float *object_numbers,
								const double *user_part, double similarity);

/* Users, all objects, and what joins them. */
typedef struct DirectRanking
{
	const DirectTerm *term;
	Vectors		users;
	Vectors		objects;
	const float *object_numbers;
	const Graph *links;			/* of these users and objects, with types */
	uint8_t		excluded;		/* an edge with one of these types takes its object out of the ranking */
} DirectRanking;

/*
 * The k objects with the highest score for users first .. first + n - 1, best first, ties by the smaller
 * number; -1 and -inf where fewer are left.  Scores in double precision.
 */
extern CoreStatus direct_term_top(Core *core, const DirectRanking *ranking, int32_t first, int32_t n, int k,
								  int32_t *top_objects, double *scores);

#endif
