/*
 * spectral.h
 *		First embeddings from the graph's own spectrum.
 *
 * The leading singular vectors of the normalised adjacency D_u^-1/2 R D_o^-1/2 are what the
 * closed-form graph filters rank by (GF-CF, Shen et al. 2021).  Started from them, training
 * begins where those filters end instead of at random.
 */
#ifndef BEHAVPRED_SPECTRAL_H
#define BEHAVPRED_SPECTRAL_H

#include "network.h"

/*
 * Replace the ID embeddings by singular vectors, each scaled by its singular value to the
 * given power, plus the random numbers that are there already, scaled to `noise` of the
 * whole.  The trivial first vector (square roots of degrees) is left out: the object bias
 * stands for it.  Subspaces get the vectors in turn, so that each holds a like share of the
 * spectrum.  At most SPECTRAL_MOST vectors; further dimensions stay random.  `inverse_values` (width numbers, zeroed; or
 * NULL) receives one over the singular value that stands behind each number of a row.
 */
#define SPECTRAL_MOST 256
extern CoreStatus spectral_start(Network *network, Arena *arena, double power, double noise, float *inverse_values);

/* Bytes that it takes of the arena. */
extern size_t spectral_bytes(int dimension, int64_t n_users, int64_t n_objects);

#endif
