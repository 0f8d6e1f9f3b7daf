/*
 * placement.h
 *		Where the rows of a relation lie: here, in partitions, on other servers.
 */
#ifndef BEHAVPRED_PLACEMENT_H
#define BEHAVPRED_PLACEMENT_H

#include "postgres.h"

#include "nodes/pg_list.h"

/* True for a table that Citus has spread over servers. */
extern bool relation_is_distributed(Oid relation);

/* True when its rows lie in partitions or on other servers, so that work should go to them. */
extern bool relation_is_spread(Oid relation);

/*
 * The relations that together hold all its rows, in the order of their OIDs: the leaf
 * partitions of a partitioned table, else itself alone.  A partitioned table stands for itself as
 * well when the caller may not read each of its partitions as freely as the whole:
 * privileges and policies of a partition do not count when one reads its parent.
 */
extern List *relation_pieces(Oid relation);

/* "SELECT <select> FROM piece <rest>" over all pieces as one statement. */
extern char *pieces_query(List *pieces, const char *select, const char *rest);

#endif
