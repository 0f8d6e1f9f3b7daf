/*
 * fuzz.c
 *		What the fuzzers share.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#define LENGTH_AT 8
#define CHECKSUM_AT 12
#define CHECKED_FROM 16

/* See fuzz.h. */
unsigned char *
fuzz_copy(const unsigned char *data, size_t length)
{
	unsigned char *copy = calloc(1, length > 0 ? length : 1);

	fuzz_require(copy != NULL);
	if (length > 0)
		memcpy(copy, data, length);
	return copy;
}

/* See fuzz.h. */
void
fuzz_require(bool condition)
{
	if (!condition)
		abort();
}

/* CRC-32C bit by bit. */
static uint32_t
slow_crc32c(const unsigned char *bytes, size_t length)
{
	uint32_t	crc = UINT32_MAX;

	for (size_t i = 0; i < length; i++)
	{
		crc ^= bytes[i];
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (crc & 1 ? UINT32_C(0x82F63B78) : 0);
	}
	return ~crc;
}

static void
put_number(unsigned char *bytes, uint32_t number)
{
	for (int i = 0; i < 4; i++)
		bytes[i] = (unsigned char) (number >> (8 * i));
}

/* See fuzz.h. */
void
fuzz_repair_head(unsigned char *bytes, size_t length)
{
	if (length < CHECKED_FROM)
		return;
	put_number(bytes + LENGTH_AT, (uint32_t) length);
	put_number(bytes + CHECKSUM_AT, slow_crc32c(bytes + CHECKED_FROM, length - CHECKED_FROM));
}
