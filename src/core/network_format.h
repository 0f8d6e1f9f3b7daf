/*
 * network_format.h
 *		The parameters of a trained network as blocks of bytes.
 *
 * One block holds either part of the numbers that all nodes share (mappings, attention,
 * projections), or the keys of some nodes with their own numbers: the ID embedding, and for
 * an object its bias behind that.  Sub-vectors are not filled up to lanes here, so blocks
 * depend neither on the machine nor on its kernels.
 *
 * Layout, little-endian, no padding:
 *		magic "BPN1" | uint32 format version (1) | uint32 total length | uint32 CRC-32C of
 *		all that follows | uint32 kind | uint32 each: dimension, factors, layers, rows of
 *		the attention (0 = none), linear mapping (0, 1), ID embeddings (0, 1), features of
 *		users, features of objects | uint64 number of shared numbers of the network |
 *		uint64 the first number or node of the block | uint32 count | uint32 kind of keys
 *		(0 in a block of shared numbers) | keys: int64 each, or uint32 length and bytes
 *		each | float32 numbers: count, or count rows of network_row_count()
 */
#ifndef BEHAVPRED_NETWORK_FORMAT_H
#define BEHAVPRED_NETWORK_FORMAT_H

#include "core.h"
#include "dictionary.h"

typedef enum NetworkPart
{
	NETWORK_SHARED,				/* numbers of no node */
	NETWORK_USERS,
	NETWORK_OBJECTS
} NetworkPart;

/* What must agree for numbers to fit another network. */
typedef struct NetworkShape
{
	int			dimension;
	int			factors;
	int			layers;
	int			attention_width;	/* 0 without additive attention */
	bool		linear_mapping;
	bool		id_embeddings;
	int			features[2];	/* columns of users, objects */
	int64_t		n_shared;		/* shared numbers in all */
} NetworkShape;

typedef struct NetworkBlock
{
	NetworkPart part;
	NetworkShape shape;
	int64_t		first;			/* of the shared numbers, or of the nodes of this side in key order */
	int32_t		count;
	KeyKind		key_kind;
	Key		   *keys;			/* count; NULL in a block of shared numbers */
	float	   *values;
} NetworkBlock;

/* Numbers of a node of this side. */
extern int	network_row_count(const NetworkShape *shape, NetworkPart part);

/* Bytes of a block, 0 when they are more than its head can say; write them. */
extern size_t network_block_size(const NetworkBlock *block);
extern void network_block_write(const NetworkBlock *block, void *bytes);

/*
 * Read; keys of bytes point into `bytes`, the rest lives in `arena`.  Any input is survived:
 * CORE_CORRUPT with the reason in core->detail.
 */
extern CoreStatus network_block_read(Core *core, Arena *arena, const void *bytes, size_t length,
									 NetworkBlock *block);

/* Take one node out of a block of nodes. */
extern void network_block_remove(NetworkBlock *block, int32_t place);

/* The place of a key in a block of nodes, -1 when it is not there. */
extern int32_t network_block_find(const NetworkBlock *block, const Key *key);

#endif
