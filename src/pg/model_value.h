/*
 * model_value.h
 *		A trained student as a value of the SQL type behavpred.model, and back.
 */
#ifndef BEHAVPRED_MODEL_VALUE_H
#define BEHAVPRED_MODEL_VALUE_H

#include "postgres.h"

#include "core/student.h"

/* OID of behavpred.model. */
extern Oid	model_type_oid(void);

/* The student's bytes with a varlena header, in CurrentMemoryContext. */
extern bytea *model_from_student(const Student *student);

/*
 * The student of a model's bytes, its arrays in `arena`.  ERRCODE_DATA_CORRUPTED with the
 * reason when they do not decode.
 */
extern void student_from_model(Arena *arena, const char *bytes, size_t length, Student *student);

#endif
