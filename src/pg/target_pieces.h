/*
 * target_pieces.h
 *		The users that targets are trained on, where the embeddings lie in partitions or on other
 *		servers.
 */
#ifndef BEHAVPRED_TARGET_PIECES_H
#define BEHAVPRED_TARGET_PIECES_H

#include "pg/target_users.h"

/* Do the embeddings lie so, and can they be asked? */
extern bool target_pieces_can_be_asked(const GraphDefinition *graph);

/*
 * As one reading of all candidates would do it, for the same sample; but only those who are in it, and
 * some more, are sent here.  The members have been put in order.
 */
extern void target_pieces_read(TargetUsers *users, const char *candidates);

#endif
