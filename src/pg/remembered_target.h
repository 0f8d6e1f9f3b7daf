/*
 * remembered_target.h
 *		Where the rows of targets stand that a session has predicted with.
 *
 * A row that is still visible where it stood, inserted by the same transaction, has not
 * changed.  So a look at three places tells what a query would tell again.
 */
#ifndef BEHAVPRED_REMEMBERED_TARGET_H
#define BEHAVPRED_REMEMBERED_TARGET_H

#include "postgres.h"

#include "executor/spi.h"
#include "storage/itemptr.h"

typedef struct RowPlace
{
	Oid			table;
	ItemPointerData place;
	TransactionId inserted_by;
} RowPlace;

/* The rows of target, graph and model, and what stands in them. */
typedef struct RememberedTarget
{
	const char *target;
	Oid			role;			/* who has read them */
	RowPlace	of_target;
	RowPlace	of_graph;
	RowPlace	of_model;
	char	   *owner;
	char	   *graph;
	int			version;
	char	   *user_embeddings;
	char	   *user_column;
	Oid			user_key_type;
} RememberedTarget;

/*
 * What the session remembers of a target, NULL unless all still is as it was: the rows, the plan that
 * has read them (with it privileges on the tables and their policies), the role, and that it
 * may see the rows.
 */
extern const RememberedTarget *remembered_target(const char *target, SPIPlanPtr plan);

/* Remember a target; all is copied. */
extern void remember_target(const RememberedTarget *target);

#endif
