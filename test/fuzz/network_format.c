/*
 * network_format.c
 *		Any bytes as a block of a network: read or refused, never more than that.
 *
 * What reads is the same bytes when written again, and has its nodes taken out one by one.
 */
#include "fuzz.h"

#include "core/network_format.h"

#include <stdlib.h>
#include <string.h>

int			LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static void
write_block_again(const NetworkBlock *block, const unsigned char *bytes, size_t length)
{
	unsigned char *again = malloc(length);

	fuzz_require(network_block_size(block) == length);
	network_block_write(block, again);
	fuzz_require(memcmp(again, bytes, length) == 0);
	free(again);
}

static void
remove_nodes(NetworkBlock *block)
{
	while (block->part != NETWORK_SHARED && block->count > 0)
	{
		int32_t		place = network_block_find(block, &block->keys[block->count / 2]);

		fuzz_require(place >= 0 && place <= block->count / 2);
		network_block_remove(block, place);
	}
}

static void
read_block(const unsigned char *bytes, size_t length)
{
	Core		core;
	Arena		arena;
	NetworkBlock block;

	core_open_standalone(&core, 1);
	arena_open(&arena, &core);
	if (network_block_read(&core, &arena, bytes, length, &block) == CORE_OK)
	{
		write_block_again(&block, bytes, length);
		remove_nodes(&block);
	}
	else
		fuzz_require(core.status == CORE_CORRUPT && core.detail[0] != '\0');
	arena_close(&arena);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
	unsigned char *bytes = fuzz_copy(data, length);

	read_block(bytes, length);
	fuzz_repair_head(bytes, length);
	read_block(bytes, length);
	free(bytes);
	return 0;
}
