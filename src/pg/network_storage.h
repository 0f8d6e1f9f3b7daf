/*
 * network_storage.h
 *		The parameters of a trained network in the tables trained_network and
 *		trained_network_part, in the blocks of core/network_format.h.
 */
#ifndef BEHAVPRED_NETWORK_STORAGE_H
#define BEHAVPRED_NETWORK_STORAGE_H

#include "postgres.h"

#include "core/network_parameters.h"
#include "core/warm_start.h"
#include "pg/graph_training.h"

/*
 * Replace what is kept of a graph's network by the parameters of a training that
 * encoder_finish() has ended, or by nothing when its options say so.
 */
extern void network_store(const GraphTraining *training, EncoderTraining *encoder);

/* The bytes of a row as a block of that part, in memory of the core; damaged bytes are ERRCODE_DATA_CORRUPTED. */
extern void network_decode(Core *core, Arena *arena, const GraphDefinition *definition, NetworkPart part, bytea *data,
						   NetworkBlock *block);

/* What of a kept network computes the vectors of nodes outside it. */
typedef struct KeptNetwork
{
	NetworkShape shape;
	float	   *shared;			/* shape.n_shared */
	char	  **names[2];		/* of the columns of features of users, objects; NULL without */
	int			n_names[2];
	FeatureScale *scales[2];	/* of each raw column */
	int			n_scales[2];
} KeptNetwork;

/* Read it; NULL when none is kept of the run that made the present vectors, or none that the caller may see. */
extern KeptNetwork *network_kept_read(Arena *arena, const GraphDefinition *definition);

/*
 * The options that a training takes from the one whose network it starts from: the temperature,
 * so that vectors stay comparable, and fractions no larger than there, so that nothing is
 * held out now that was learnt from then.  Errors when there is none, or its seed was another.
 */
extern void network_stored_options(const GraphDefinition *definition, EncoderOptions *options);

/* Put the kept network into a training that is open and asks for it, before its first step. */
extern void network_warm_start(const GraphTraining *training, EncoderTraining *encoder);

#endif
