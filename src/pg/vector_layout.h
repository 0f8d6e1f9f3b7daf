/*
 * vector_layout.h
 *		How the numbers of a graph's vectors are to be read.
 */
#ifndef BEHAVPRED_VECTOR_LAYOUT_H
#define BEHAVPRED_VECTOR_LAYOUT_H

#include "postgres.h"

#include "core/explanation.h"
#include "pg/graph_definition.h"

/* As the graph's training run says; one factor when the caller may not see it. */
extern VectorLayout vector_layout_read(const GraphDefinition *graph, int width);

#endif
