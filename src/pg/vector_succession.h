/*
 * vector_succession.h
 *		How near a graph's vectors are to those of its earlier trainings, and so which models
 *		still fit; the table vector_succession.
 */
#ifndef BEHAVPRED_VECTOR_SUCCESSION_H
#define BEHAVPRED_VECTOR_SUCCESSION_H

#include "postgres.h"

#include "pg/graph_training.h"

/* Compare the stored vectors with those of a training that has not replaced them yet. */
extern void succession_measure(GraphTraining *training);

/* Write down what was measured, under the run of the training. */
extern void succession_write(const GraphTraining *training);

/*
 * True when models of graph_run predict with the vectors of trained_run; else *apart says
 * why not, as the DETAIL of an error.
 */
extern bool succession_fits(const char *graph, int64 graph_run, int64 trained_run, char **apart);

#endif
