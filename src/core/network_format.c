/*
 * network_format.c
 *		Blocks of a network's parameters as bytes and back; the layout stands in
 *		network_format.h.
 *
 * The reader never looks past the length it was given, and allocates only what the bytes that
 * are there can fill.
 */
#include "core/network_format.h"

#include <math.h>
#include <string.h>

#include "core/byte_format.h"

#define MAGIC "BPN1"
#define FORMAT_VERSION 1
#define FIXED_LENGTH (HEAD_LENGTH + 9 * 4 + 2 * 8 + 2 * 4)
#define MOST_FEATURES 1000000

/* See network_format.h. */
int
network_row_count(const NetworkShape *shape, NetworkPart part)
{
	return (shape->id_embeddings ? shape->dimension : 0) + (part == NETWORK_OBJECTS ? 1 : 0);
}

/* Numbers of a block. */
static int64_t
value_count(const NetworkBlock *block)
{
	return block->part == NETWORK_SHARED ? block->count :
		block->count * (int64_t) network_row_count(&block->shape, block->part);
}

/* Bytes of one key. */
static size_t
key_size(KeyKind kind, const Key *key)
{
	return kind == KEY_INTEGER ? 8 : 4 + key->length;
}

/* See network_format.h. */
size_t
network_block_size(const NetworkBlock *block)
{
	size_t		size = FIXED_LENGTH + 4 * (size_t) value_count(block);

	for (int32_t i = 0; block->part != NETWORK_SHARED && i < block->count; i++)
		size += key_size(block->key_kind, &block->keys[i]);
	return size > INT32_MAX ? 0 : size;
}

static void
write_shape(ByteWriter *writer, const NetworkShape *shape)
{
	bytes_write_number(writer, (uint64_t) shape->dimension, 4);
	bytes_write_number(writer, (uint64_t) shape->factors, 4);
	bytes_write_number(writer, (uint64_t) shape->layers, 4);
	bytes_write_number(writer, (uint64_t) shape->attention_width, 4);
	bytes_write_number(writer, shape->linear_mapping, 4);
	bytes_write_number(writer, shape->id_embeddings, 4);
	bytes_write_number(writer, (uint64_t) shape->features[0], 4);
	bytes_write_number(writer, (uint64_t) shape->features[1], 4);
	bytes_write_number(writer, (uint64_t) shape->n_shared, 8);
}

static void
write_key(ByteWriter *writer, KeyKind kind, const Key *key)
{
	if (kind == KEY_INTEGER)
	{
		bytes_write_number(writer, (uint64_t) key->integer, 8);
		return;
	}
	bytes_write_number(writer, key->length, 4);
	bytes_write_block(writer, key->bytes, key->length);
}

/* See network_format.h. */
void
network_block_write(const NetworkBlock *block, void *bytes)
{
	ByteWriter	writer = {(unsigned char *) bytes + HEAD_LENGTH};

	bytes_write_number(&writer, block->part, 4);
	write_shape(&writer, &block->shape);
	bytes_write_number(&writer, (uint64_t) block->first, 8);
	bytes_write_number(&writer, (uint64_t) block->count, 4);
	bytes_write_number(&writer, block->part == NETWORK_SHARED ? 0 : block->key_kind, 4);
	for (int32_t i = 0; block->part != NETWORK_SHARED && i < block->count; i++)
		write_key(&writer, block->key_kind, &block->keys[i]);
	bytes_write_floats(&writer, block->values, value_count(block));
	bytes_write_head(bytes, MAGIC, FORMAT_VERSION, network_block_size(block));
}

/* A number between bounds. */
static int
read_bounded(ByteReader *reader, const char *name, uint64_t least, uint64_t most)
{
	uint64_t	number = bytes_read_number(reader, 4);

	if (number < least || number > most)
		core_fail(reader->core, CORE_CORRUPT, "%s is %llu, it may be %llu .. %llu", name,
				  (unsigned long long) number, (unsigned long long) least, (unsigned long long) most);
	return (int) number;
}

/* The shape, whose numbers have the ranges of encoder_check(). */
static CoreStatus
read_shape(ByteReader *reader, NetworkShape *shape)
{
	Core	   *core = reader->core;

	shape->dimension = read_bounded(reader, "dimension", 1, 1024);
	shape->factors = read_bounded(reader, "factors", 1, 32);
	shape->layers = read_bounded(reader, "layers", 1, 8);
	shape->attention_width = read_bounded(reader, "attention_width", 0, 256);
	shape->linear_mapping = read_bounded(reader, "mapping", 0, 1);
	shape->id_embeddings = read_bounded(reader, "id_embeddings", 0, 1);
	shape->features[0] = read_bounded(reader, "features of users", 0, MOST_FEATURES);
	shape->features[1] = read_bounded(reader, "features of objects", 0, MOST_FEATURES);
	shape->n_shared = (int64_t) bytes_read_number(reader, 8);
	if (core->status == CORE_OK && shape->dimension % shape->factors != 0)
		core_fail(core, CORE_CORRUPT, "dimension %d is no multiple of %d factors", shape->dimension, shape->factors);
	return core->status;
}

/* Where the block stands, and how much it holds. */
static CoreStatus
read_place(ByteReader *reader, NetworkBlock *block)
{
	Core	   *core = reader->core;

	block->first = (int64_t) bytes_read_number(reader, 8);
	block->count = read_bounded(reader, "count", 0, INT32_MAX);
	block->key_kind = (KeyKind) read_bounded(reader, "kind of keys", KEY_INTEGER,
											 block->part == NETWORK_SHARED ? KEY_INTEGER : KEY_BYTES);
	if (core->status != CORE_OK)
		return core->status;
	if (reader->short_of_bytes)
		return core_fail(core, CORE_CORRUPT, "it ends before its numbers begin");
	if (block->first < 0 || block->shape.n_shared < 0 ||
		(block->part == NETWORK_SHARED ? block->first > block->shape.n_shared - block->count :
		 block->first > INT32_MAX - block->count))
		return core_fail(core, CORE_CORRUPT, "%d numbers from %lld on are not among %lld", block->count,
						 (long long) block->first, (long long) block->shape.n_shared);
	return CORE_OK;
}

/* The keys, none of which takes less than four bytes. */
static CoreStatus
read_keys(ByteReader *reader, Arena *arena, NetworkBlock *block)
{
	Core	   *core = reader->core;

	if ((size_t) block->count > reader->left / 4)
		return core_fail(core, CORE_CORRUPT, "%zu bytes cannot hold %d keys", reader->left, block->count);
	block->keys = arena_allocate_zeroed(arena, block->count, sizeof(Key));
	for (int32_t i = 0; block->keys != NULL && i < block->count; i++)
	{
		Key		   *key = &block->keys[i];

		if (block->key_kind == KEY_INTEGER)
			key->integer = (int64_t) bytes_read_number(reader, 8);
		else
		{
			key->length = (size_t) bytes_read_number(reader, 4);
			key->bytes = bytes_read_block(reader, key->length);
		}
	}
	if (reader->short_of_bytes)
		core_fail(core, CORE_CORRUPT, "its keys are longer than its bytes");
	return core->status;
}

/* All that is left are numbers, and finite. */
static CoreStatus
read_values(ByteReader *reader, Arena *arena, NetworkBlock *block)
{
	Core	   *core = reader->core;
	int64_t		n = value_count(block);

	if (reader->left / 4 != (size_t) n || reader->left % 4 != 0)
		return core_fail(core, CORE_CORRUPT, "%zu bytes are left for %lld numbers", reader->left, (long long) n);
	block->values = arena_floats(arena, (size_t) n);
	for (int64_t i = 0; block->values != NULL && i < n; i++)
	{
		uint32_t	bits = (uint32_t) bytes_read_number(reader, 4);

		memcpy(&block->values[i], &bits, sizeof(bits));
		if (!isfinite(block->values[i]))
			return core_fail(core, CORE_CORRUPT, "number %lld is not finite", (long long) (i + 1));
	}
	return core->status;
}

/* See network_format.h. */
CoreStatus
network_block_read(Core *core, Arena *arena, const void *bytes, size_t length, NetworkBlock *block)
{
	ByteReader	reader = {core, bytes, length, false};

	*block = (NetworkBlock) {0};
	if (bytes_read_head(&reader, bytes, length, MAGIC, FORMAT_VERSION, "block of a network") != CORE_OK)
		return core->status;
	block->part = (NetworkPart) read_bounded(&reader, "part", NETWORK_SHARED, NETWORK_OBJECTS);
	if (core->status != CORE_OK || read_shape(&reader, &block->shape) != CORE_OK ||
		read_place(&reader, block) != CORE_OK ||
		(block->part != NETWORK_SHARED && read_keys(&reader, arena, block) != CORE_OK))
		return core->status;
	return read_values(&reader, arena, block);
}

/* See network_format.h. */
void
network_block_remove(NetworkBlock *block, int32_t place)
{
	int			row = network_row_count(&block->shape, block->part);
	size_t		behind = (size_t) (block->count - place - 1);

	memmove(block->keys + place, block->keys + place + 1, behind * sizeof(Key));
	memmove(block->values + (size_t) place * row, block->values + (size_t) (place + 1) * row,
			behind * row * sizeof(float));
	block->count--;
}

/* See network_format.h. */
int32_t
network_block_find(const NetworkBlock *block, const Key *key)
{
	for (int32_t i = 0; block->part != NETWORK_SHARED && i < block->count; i++)
	{
		const Key  *other = &block->keys[i];

		if (block->key_kind == KEY_INTEGER ? other->integer == key->integer :
			other->length == key->length && memcmp(other->bytes, key->bytes, key->length) == 0)
			return i;
	}
	return -1;
}
