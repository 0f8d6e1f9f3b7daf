/*
 * holdout.h
 *		Edges kept out of training: to stop early, and to turn scores into probabilities.
 */
#ifndef BEHAVPRED_HOLDOUT_H
#define BEHAVPRED_HOLDOUT_H

#include "encoder.h"
#include "network.h"
#include "ranking.h"

typedef struct Holdout
{
	int64_t		n_shielded;		/* edges to target objects that were taken out */
	float		target_fraction;	/* as used */
	int64_t		n_edges;		/* for validation */
	int32_t    *edge_users;		/* n_edges */
	int32_t    *edge_objects;	/* n_edges; object numbers, not nodes */
	int64_t		n_queries;		/* users that validation ranks for */
	int32_t    *query_users;
	Lists		relevant;		/* held-out objects of each query user */
	Lists		masked;			/* objects that he has in the training graph */
	int32_t    *top_objects;	/* n_queries x VALIDATION_K */
	float	   *top_scores;
	float	   *query_rows;		/* n_queries x width */
} Holdout;

#define VALIDATION_K 20
#ifndef VALIDATION_QUERIES		/* a benchmark may rank for more */
#define VALIDATION_QUERIES 5000 /* standard error of Recall@20 about 0.004 */
#endif
#define CALIBRATION_EDGES 20000 /* at most, and as many non-edges */

/*
 * Part the graph: *training has neither validation edges nor the edges of shielded users to
 * target objects.  With nothing to take out it is the graph itself.  Validation ranks for at most
 * 5,000 users, chosen by seed.
 */
extern CoreStatus holdout_split(Holdout *holdout, Arena *arena, const Graph *graph,
								const EncoderOptions *options, Graph *training);

/* The same without making the second graph: *marks says of each entry of the users' lists whether it was
 * taken out, and is NULL with nothing to take out. */
extern CoreStatus holdout_mark(Holdout *holdout, Arena *arena, const Graph *graph,
							   const EncoderOptions *options, uint8_t **marks);

/* Rank all objects for the query users by vectors (n_nodes x width, as stored). */
extern CoreStatus holdout_quality(Holdout *holdout, Arena *arena, const Graph *training,
								  const float *vectors, int width, RankingQuality *quality);

/*
 * Platt on held-out edges (on training edges when there are none) against as many
 * non-edges, users and objects drawn uniformly: balanced prior.
 */
extern CoreStatus holdout_calibrate(const Holdout *holdout, Arena *arena, const Graph *graph,
									const float *vectors, int width, uint64_t seed,
									double *scale, double *offset);

#endif
