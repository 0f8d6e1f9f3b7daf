/*
 * optimizer.h
 *		Adam over all parameters of a network (Kingma, Ba 2015).
 */
#ifndef BEHAVPRED_OPTIMIZER_H
#define BEHAVPRED_OPTIMIZER_H

#include "network.h"

typedef struct Optimizer
{
	Network    *network;
	float	   *first_moment;
	float	   *second_moment;
	int64_t		steps;			/* taken so far */
} Optimizer;

extern CoreStatus optimizer_open(Optimizer *optimizer, Arena *arena, Network *network);

/* One step along the network's gradients; weight decay spares the object bias. */
extern CoreStatus optimizer_step(Optimizer *optimizer, double learning_rate);

#endif
