/*
 * encoder_sizes.h
 *		What the memory of a training follows from; for encoder_memory.c and sampled_memory.c.
 */
#ifndef BEHAVPRED_ENCODER_SIZES_H
#define BEHAVPRED_ENCODER_SIZES_H

#include "encoder.h"
#include "kernels.h"

/* In double: sizes beyond the address space must not wrap around. */
typedef struct Sizes
{
	const EncoderOptions *options;
	double		users;
	double		objects;
	double		nodes;
	double		edges;
	double		predicted;		/* edges */
	double		held_out;		/* edges */
	double		kept;			/* edges of the training graph */
	double		width;			/* of a row of the network */
	double		stored_width;	/* of a vector as it is stored */
	double		attention_width;
	int			features[2];	/* columns of users and objects */
	int			threads;
	bool		weighted;
	bool		typed;
	bool		routing;
	bool		linear;			/* mapping */
	bool		has_ids;
	bool		training;		/* at least one epoch */
} Sizes;

/* A width filled up to whole lanes. */
static inline double
fill_up(int n)
{
	return (n + KERNEL_LANES - 1) / KERNEL_LANES * KERNEL_LANES;
}

/* Bytes of a graph of so many edges; of held-out edges without a second graph; of the batch and its scratch; of the
 * end's activities and calibration. */
extern double graph_bytes(const Sizes *s, double edges);
extern double holdout_list_bytes(const Sizes *s);
extern double loss_bytes(const Sizes *s);
extern double calibration_bytes(const Sizes *s);

/* Numbers that all nodes share. */
extern double shared_count(const Sizes *s);

/* Bytes at the peak of a training on samples. */
extern double sampled_memory(const Sizes *s);

#endif
