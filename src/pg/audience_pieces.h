/*
 * audience_pieces.h
 *		The best users of a target where the embeddings lie in partitions or on other servers.
 */
#ifndef BEHAVPRED_AUDIENCE_PIECES_H
#define BEHAVPRED_AUDIENCE_PIECES_H

#include "pg/audience_selection.h"

/* Do the embeddings lie so, and can they be asked? */
extern bool audience_has_pieces(const Audience *audience);

/* Are fewer users sent here when each piece is asked for the best of so many targets than when all are read?
 * The request has a size. */
extern bool audience_pieces_send_less(const AudienceRequest *request, Audience *audience, int n_targets);

/* Fill the selection: each piece chooses its best users itself, and these are merged.  The users in
 * `known` (may be NULL) are left out. */
extern void audience_merge_pieces(const AudienceRequest *request, Audience *audience, const Dictionary *known);

#endif
