/*
 * decoded_model.h
 *		Models that a session has decoded, kept from statement to statement.
 */
#ifndef BEHAVPRED_DECODED_MODEL_H
#define BEHAVPRED_DECODED_MODEL_H

#include "postgres.h"

#include "storage/itemptr.h"

#include "core/student.h"

/* Which model: a version of a target, and the row of trained_model that holds its bytes. */
typedef struct ModelIdentity
{
	const char *target;
	int			version;
	Oid			relation;
	ItemPointerData row;
	TransactionId inserted_by;
} ModelIdentity;

/*
 * The student, usable until the memory context `holder` is reset.  The model itself, which
 * may be stored out of line, is read only when the session has not kept it.
 */
extern const Student *decoded_model(const ModelIdentity *identity, Datum model, MemoryContext holder);

/* The same if the session has kept it, else NULL. */
extern const Student *decoded_model_kept(const ModelIdentity *identity, MemoryContext holder);

#endif
