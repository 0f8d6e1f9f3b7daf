/*
 * loss.h
 *		Sampled softmax (or logistic loss) over a batch of positive edges.
 *
 * score(u, o) = unit_u . unit_o / temperature + bias_o.  The batch is cut into groups of
 * LOSS_GROUP positives that share one draw of negatives: then logits and both gradients
 * are three matrix products.  Negatives are objects drawn uniformly without repeats; one
 * that the user is known to have is taken out of his sum.  With types the positives are the edges
 * to be predicted, and these alone count as known: what a user has only viewed is a negative like another.
 */
#ifndef BEHAVPRED_LOSS_H
#define BEHAVPRED_LOSS_H

#include "network.h"

#define LOSS_GROUP 1024			/* positives that share their negatives */
#define LOSS_BLOCK 256			/* rows of one matrix product */

/* Scratch of one worker. */
typedef struct LossScratch
{
	float	   *users;			/* LOSS_BLOCK x width */
	float	   *negatives;		/* negatives x width */
	float	   *logits;			/* LOSS_BLOCK x negatives */
	float	   *bias;			/* negatives */
	float	   *shares;			/* LOSS_BLOCK: gradient of the positive's logit */
	int32_t    *positions;		/* n_objects: place of the object among the negatives, or -1 */
} LossScratch;

typedef struct Loss
{
	Network    *network;		/* that is propagated: of the graph, or of a block of it */
	const Graph *graph;			/* positives and negatives are drawn from */
	const uint64_t *left_out;	/* a bit for each of its entries that is none to learn from; NULL = none */
	int64_t		n_positives;	/* edges to be predicted */
	uint32_t   *positives;		/* their places in the users' lists; NULL = all edges */
	float	   *positive_weights;	/* mean 1; NULL: those of the graph */
	int			batch;			/* positives of a full batch */
	int			negatives;		/* drawn for each group */
	double		sampled_share;	/* of all objects: negatives / n_objects, at most 1 */
	int			groups;			/* of a full batch */
	int			count;			/* positives of the current batch */
	int64_t		step;			/* numbers the draws */
	int64_t    *entries;		/* batch: places in the users' lists */
	int32_t    *users;			/* batch: node numbers */
	int32_t    *objects;		/* batch: node numbers */
	float	   *weights;		/* batch: mean 1 */
	int32_t    *drawn;			/* groups x negatives: node numbers */
	float	   *row_gradients;	/* users, objects, drawn: each x width */
	float	   *bias_gradients; /* objects, drawn */
	double	   *group_losses;
	int64_t    *slot_starts;	/* n_nodes + 1: gradient rows of each node ... */
	int32_t    *slots;			/* ... by row number */
	LossScratch *scratch;		/* one for each worker */
} Loss;

extern CoreStatus loss_open(Loss *loss, Arena *arena, Network *network);

/*
 * Take positives first .. first + count - 1 of the epoch's random order of edges as the batch, and draw its
 * negatives.  When the network is that of a block the caller then replaces nodes by their numbers in it.
 */
extern CoreStatus loss_choose(Loss *loss, int epoch, int64_t first, int count);

/*
 * Leave the gradient of the batch's mean loss in network->unit_gradient and the object
 * bias's place of network->gradients.  *sum receives the sum of losses.
 */
extern CoreStatus loss_step(Loss *loss, double *sum);

#endif
