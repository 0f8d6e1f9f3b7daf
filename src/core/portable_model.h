/*
 * portable_model.h
 *		A model with all that another server needs to take it in.
 *
 * Layout, little-endian, no padding:
 *		magic "BPX1" | uint32 format version (1) | uint32 total length | uint32 CRC-32C of
 *		all that follows | 32 bytes that identify the graph's training | int64 its run on
 *		the server that made it | int32 version of the model | int32 numbers in a vector |
 *		then, each as uint32 length and bytes: version of the program, graph, target,
 *		metrics (JSON), model (as student_format.h has it)
 * Text is UTF-8.
 */
#ifndef BEHAVPRED_PORTABLE_MODEL_H
#define BEHAVPRED_PORTABLE_MODEL_H

#include "core.h"

#define GRAPH_IDENTITY_LENGTH 32

typedef struct ByteString
{
	const char *bytes;
	size_t		length;
} ByteString;

typedef enum PortablePart
{
	PORTABLE_PROGRAM,
	PORTABLE_GRAPH,
	PORTABLE_TARGET,
	PORTABLE_METRICS,
	PORTABLE_MODEL,
	PORTABLE_PARTS
} PortablePart;

typedef struct PortableModel
{
	unsigned char graph_identity[GRAPH_IDENTITY_LENGTH];
	int64_t		graph_run;
	int			version;		/* from 1 on */
	int			width;			/* numbers in a vector, from 1 on */
	ByteString	parts[PORTABLE_PARTS];
} PortableModel;

/* Bytes that it takes, 0 when they are more than its head can say. */
extern size_t portable_model_size(const PortableModel *model);
extern void portable_model_write(const PortableModel *model, void *bytes);

/*
 * Read; the parts point into `bytes`.  Any input is survived: CORE_CORRUPT with the
 * reason in core->detail.  Whether the model's own bytes decode is not looked at, nor
 * whether text is valid.
 */
extern CoreStatus portable_model_read(Core *core, const void *bytes, size_t length, PortableModel *model);

#endif
