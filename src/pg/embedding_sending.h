/*
 * embedding_sending.h
 *		Embeddings into a table whose rows lie on other servers.
 */
#ifndef BEHAVPRED_EMBEDDING_SENDING_H
#define BEHAVPRED_EMBEDDING_SENDING_H

#include "postgres.h"

#include "pg/embedding_storage.h"

#define EMBEDDING_BATCH_ROWS 4096	/* of one INSERT */

/* Insert all rows, with SPI connected. */
extern void embedding_rows_send(const EmbeddingRows *rows);

#endif
