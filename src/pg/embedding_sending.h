/*
 * embedding_sending.h
 *		Embeddings into a table whose rows lie on other servers.
 */
#ifndef BEHAVPRED_EMBEDDING_SENDING_H
#define BEHAVPRED_EMBEDDING_SENDING_H

#include "postgres.h"

#include "core/dictionary.h"

#define EMBEDDING_BATCH_ROWS 4096	/* of one INSERT */

/* What embedding_table_fill() writes. */
typedef struct EmbeddingRows
{
	const char *table;			/* quoted */
	const char *key_column;
	Oid			key_type;
	const Dictionary *keys;
	const float *vectors;
	int			width;
	const int32 *degrees;
	const float *direct;		/* n_direct numbers of each row for the direct term; NULL = none */
	int			n_direct;
} EmbeddingRows;

/* Insert all rows, with SPI connected. */
extern void embedding_rows_send(const EmbeddingRows *rows);

#endif
