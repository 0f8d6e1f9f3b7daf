/*
 * deployed_model.h
 *		The model that answers for a target now, and where the users' vectors are.
 */
#ifndef BEHAVPRED_DEPLOYED_MODEL_H
#define BEHAVPRED_DEPLOYED_MODEL_H

#include "postgres.h"

#include "core/student.h"

typedef struct DeployedModel
{
	const Student *student;		/* until CurrentMemoryContext is reset */
	Oid			user_table;		/* of the embeddings */
	char	   *user_column;
	Oid			user_key_type;	/* of the graph */
} DeployedModel;

/*
 * Read it in CurrentMemoryContext, by a plan that is kept for the session unless the rows that it
 * read before still stand, and decode it unless the session has it decoded: two microseconds when
 * nothing has changed, else twenty.  ERRCODE_UNDEFINED_OBJECT for an unknown target;
 * ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE with a hint when it has no deployed model, or when
 * the graph has been trained anew since: the model does not fit the vectors of another
 * training.
 */
extern DeployedModel *deployed_model_read(const char *target);

#endif
