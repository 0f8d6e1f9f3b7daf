/*
 * model_cache.h
 *		A decoded model that is kept from row to row.
 */
#ifndef BEHAVPRED_MODEL_CACHE_H
#define BEHAVPRED_MODEL_CACHE_H

#include "postgres.h"

#include "core/student.h"
#include "fmgr.h"

/*
 * The student of a model, decoded at the first call of an expression and kept in its
 * FmgrInfo as long as the same bytes come.
 */
extern const Student *model_cache_student(FmgrInfo *function, Datum model);

/*
 * ERRCODE_DATATYPE_MISMATCH with both widths when the model is for another embedding;
 * ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE when a number is not finite.
 */
extern void model_check_vector(const Student *student, const float *vector, int width);

/* The raw logit of one embedding, after the check above, and when it is not a number likewise. */
extern double model_logit(const Student *student, const float *vector, int width);

/* The probability of one embedding, after the check above. */
extern double model_probability(const Student *student, const float *vector, int width);

#endif
