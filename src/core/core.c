/*
 * core.c
 *		Status, progress and arenas.
 *
 * Everything here is called from the thread that called the core.  Memory that an
 * arena hands out is counted, header and alignment included, so that memory_used is
 * what the host really lent.
 */
#include "core/core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARENA_ALIGNMENT ((size_t) 64)
#define SMALL_PAGE ((uintptr_t) 65536)	/* a multiple of every usual page size */
#define SMALLEST_HUGE_BLOCK ((size_t) 8 << 20)	/* four huge pages: what lies at the ends hardly counts */

/*
 * The header stands in the 64 bytes before the aligned memory; `base` is what the host
 * lent, up to 63 bytes further down.
 */
struct ArenaBlock
{
	ArenaBlock *previous;
	ArenaBlock *next;
	void	   *base;
	size_t		lent;			/* bytes from the host, for the accounting */
};

_Static_assert(sizeof(ArenaBlock) <= ARENA_ALIGNMENT, "the header must fit before the memory");

/* malloc as a host. */
static void *
standalone_allocate(void *data, size_t size)
{
	(void) data;
	return malloc(size);
}

static void
standalone_release(void *data, void *block)
{
	(void) data;
	free(block);
}

/* A core on malloc and without a listener. */
void
core_open_standalone(Core *core, int threads)
{
	memset(core, 0, sizeof(*core));
	core->host.allocate = standalone_allocate;
	core->host.release = standalone_release;
	core->threads = threads;
}

/* Keep the first failure: what follows it is mostly its consequence. */
CoreStatus
core_fail(Core *core, CoreStatus status, const char *detail,...)
{
	va_list		arguments;

	if (core->status != CORE_OK)
		return core->status;

	core->status = status;
	va_start(arguments, detail);
	vsnprintf(core->detail, sizeof(core->detail), detail, arguments);
	va_end(arguments);
	return core->status;
}

/* Name the phase and how far it is, then look whether to stop. */
bool
core_report(Core *core, const char *phase, int64_t done, int64_t total)
{
	core->progress.phase = phase;
	core->progress.done = done;
	core->progress.total = total;
	return core_continues(core);
}

/* Ask the host; after any failure there is nothing left to ask. */
bool
core_continues(Core *core)
{
	if (core->status != CORE_OK)
		return false;
	if (core->host.progress != NULL && core->host.progress(core->host.data, &core->progress))
		core->status = CORE_STOPPED;
	return core->status == CORE_OK;
}

void
arena_open(Arena *arena, Core *core)
{
	arena->core = core;
	arena->last = NULL;
}

/* The header of a block that arena_allocate() gave. */
static ArenaBlock *
arena_header(void *block)
{
	return (ArenaBlock *) ((char *) block - ARENA_ALIGNMENT);
}

/* Give a block back to the host; the caller has unlinked it. */
static void
arena_return(Core *core, ArenaBlock *header)
{
	core->memory_used -= header->lent;
	core->host.release(core->host.data, header->base);
}

/* Free all blocks; the arena may then be used again. */
void
arena_close(Arena *arena)
{
	while (arena->last != NULL)
	{
		ArenaBlock *header = arena->last;

		arena->last = header->previous;
		arena_return(arena->core, header);
	}
}

/* Bytes to ask the host for: header and alignment included.  False on overflow. */
static bool
arena_total(size_t count, size_t size, size_t *total)
{
	return !__builtin_mul_overflow(count, size, total) &&
		!__builtin_add_overflow(*total, 2 * ARENA_ALIGNMENT - 1, total);
}

/*
 * Rows are read in random order: with pages of 4 kB each read of a large array is a miss of the
 * address cache besides, and new memory takes a fault for every page.  Only a wish.
 */
static void
prefer_huge_pages(void *base, size_t size)
{
#if defined(MADV_HUGEPAGE)
	uintptr_t	first = ((uintptr_t) base + SMALL_PAGE - 1) & ~(SMALL_PAGE - 1);
	uintptr_t	last = ((uintptr_t) base + size) & ~(SMALL_PAGE - 1);

	if (size >= SMALLEST_HUGE_BLOCK)
		(void) madvise((void *) first, last - first, MADV_HUGEPAGE);
#else
	(void) base;
	(void) size;
#endif
}

/* Borrow `total` bytes from the host within the limit; NULL and a status otherwise. */
static void *
arena_borrow(Core *core, size_t total)
{
	void	   *base;

	if (core->memory_limit > 0 &&
		(total > core->memory_limit || core->memory_used > core->memory_limit - total))
	{
		core_fail(core, CORE_OVER_LIMIT, "%zu bytes are in use, %zu more are needed, %zu are allowed",
				  core->memory_used, total, core->memory_limit);
		return NULL;
	}
	base = core->host.allocate(core->host.data, total);
	if (base == NULL)
		core_fail(core, CORE_OUT_OF_MEMORY, "%zu bytes are in use, %zu more are needed",
				  core->memory_used, total);
	else
		prefer_huge_pages(base, total);
	return base;
}

/* Take a block out of an arena's list. */
static void
arena_unlink(Arena *arena, ArenaBlock *header)
{
	if (header->previous != NULL)
		header->previous->next = header->next;
	if (header->next != NULL)
		header->next->previous = header->previous;
	else
		arena->last = header->previous;
}

/* Put a block at the end of an arena's list. */
static void
arena_link(Arena *arena, ArenaBlock *header)
{
	header->next = NULL;
	header->previous = arena->last;
	if (arena->last != NULL)
		arena->last->next = header;
	arena->last = header;
}

/* Memory that lives as long as the arena; see core.h. */
void *
arena_allocate(Arena *arena, size_t count, size_t size)
{
	Core	   *core = arena->core;
	size_t		total;
	void	   *base;
	char	   *block;
	ArenaBlock *header;

	if (!arena_total(count, size, &total))
	{
		core_fail(core, CORE_OUT_OF_MEMORY, "%zu elements of %zu bytes are more than can be addressed",
				  count, size);
		return NULL;
	}
	base = arena_borrow(core, total);
	if (base == NULL)
		return NULL;

	block = (char *) base + ARENA_ALIGNMENT;
	block += -(uintptr_t) block % ARENA_ALIGNMENT;
	header = arena_header(block);
	header->base = base;
	header->lent = total;
	arena_link(arena, header);

	core->memory_used += total;
	if (core->memory_used > core->memory_peak)
		core->memory_peak = core->memory_used;
	return block;
}

void *
arena_allocate_zeroed(Arena *arena, size_t count, size_t size)
{
	void	   *block = arena_allocate(arena, count, size);

	if (block != NULL)
		memset(block, 0, count * size);
	return block;
}

/* The old block stays valid, and the caller's, when there is no memory for the new one. */
void *
arena_grow(Arena *arena, void *old, size_t old_count, size_t new_count, size_t size)
{
	void	   *block = arena_allocate(arena, new_count, size);

	if (block != NULL && old != NULL)
	{
		memcpy(block, old, old_count * size);
		arena_release(arena, old);
	}
	return block;
}

/* Free one block early. */
void
arena_release(Arena *arena, void *block)
{
	if (block == NULL)
		return;
	arena_unlink(arena, arena_header(block));
	arena_return(arena->core, arena_header(block));
}

/* See core.h. */
void
arena_move(Arena *from, Arena *to, void *block)
{
	arena_unlink(from, arena_header(block));
	arena_link(to, arena_header(block));
}
