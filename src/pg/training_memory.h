/*
 * training_memory.h
 *		What a training of a graph needs, against behavpred.max_memory.
 */
#ifndef BEHAVPRED_TRAINING_MEMORY_H
#define BEHAVPRED_TRAINING_MEMORY_H

#include "postgres.h"

#include "core/encoder.h"
#include "pg/graph_loading.h"

/* Bytes at the peak of a training of this graph, which `core` has loaded: graph and keys included. */
extern size_t training_memory(Core *core, const LoadedGraph *loaded, const EncoderOptions *options);

/* What to do when `needed` bytes are too many: the statement, and the settings that would fit. */
extern char *training_memory_advice(Core *core, const LoadedGraph *loaded, const EncoderOptions *options,
									size_t needed);

/* Refuse work that needs more than behavpred.max_memory, and say what would fit. */
extern void training_memory_check(Core *core, const GraphDefinition *definition, const LoadedGraph *loaded,
								  const EncoderOptions *options);

#endif
