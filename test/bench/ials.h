/*
 * ials.h
 *		Alternating least squares on implicit feedback, Hu et al. 2008 as set up by Rendle et al. 2022:
 *		the rival that users of embeddings have today.
 */
#ifndef BEHAVPRED_IALS_H
#define BEHAVPRED_IALS_H

#include "core/graph.h"

typedef struct IalsOptions
{
	int			width;
	int			epochs;
	double		unobserved;		/* weight of a pair without an edge */
	double		regularisation;
} IalsOptions;

extern void ials_defaults(IalsOptions *options);

/* Fill in the rows of all nodes (n_nodes x width, users first). */
extern CoreStatus ials_fit(Core *core, Arena *arena, const Graph *graph, const IalsOptions *options, float *rows);

/* In the lower triangle of a symmetric matrix: its factor C, matrix = C C'. */
extern void cholesky(double *matrix, int n);

#endif
