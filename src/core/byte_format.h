/*
 * byte_format.h
 *		Numbers as bytes, little-endian on every machine, and a checksum over them.
 */
#ifndef BEHAVPRED_BYTE_FORMAT_H
#define BEHAVPRED_BYTE_FORMAT_H

#include "core.h"

/* CRC-32C (Castagnoli). */
extern uint32_t core_crc32c(const unsigned char *bytes, size_t length);

/* Where the next number is written; the caller has counted the room. */
typedef struct ByteWriter
{
	unsigned char *next;
} ByteWriter;

extern void bytes_write_number(ByteWriter *writer, uint64_t number, int length);
extern void bytes_write_double(ByteWriter *writer, double value);
extern void bytes_write_floats(ByteWriter *writer, const float *values, int64_t n);
extern void bytes_write_block(ByteWriter *writer, const void *bytes, size_t length);

/*
 * What is left to read.  Reading past the end gives zeros and sets `short_of_bytes`, so
 * that a row of reads may be checked once.
 */
typedef struct ByteReader
{
	Core	   *core;
	const unsigned char *next;
	size_t		left;
	bool		short_of_bytes;
} ByteReader;

extern uint64_t bytes_read_number(ByteReader *reader, int length);
extern double bytes_read_double(ByteReader *reader);

/* The next `length` bytes where they stand, NULL when there are less. */
extern const void *bytes_read_block(ByteReader *reader, size_t length);

/*
 * The head of 16 bytes: magic | uint32 format version | uint32 length of all | uint32
 * CRC-32C of what follows.  Reading it checks all four; CORE_CORRUPT with the reason in
 * core->detail, where `what` names such bytes.
 */
#define HEAD_LENGTH 16
extern void bytes_write_head(void *bytes, const char magic[4], int version, size_t length);
extern CoreStatus bytes_read_head(ByteReader *reader, const void *bytes, size_t length, const char magic[4],
							int version, const char *what);

#endif
