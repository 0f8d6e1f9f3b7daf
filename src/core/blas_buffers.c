/*
 * blas_buffers.c
 *		Scratch memory of OpenBLAS; see blas_buffers.h.
 *
 * Each product of matrices borrows a buffer from a pool of the process; when all are taken
 * OpenBLAS maps one more, and where the system refuses (a limit on the address space, strict
 * accounting of memory) it asks again without end, deaf to every signal.  So as many buffers
 * as there will be threads are borrowed at once and given back: they stay in the pool, and
 * products find them there.  Before each the same room is asked for in a way that can fail.
 */
#include "core/blas_buffers.h"

#include <sys/mman.h>

/* What OpenBLAS maps at a time; its size can only be read in its sources (BUFFER_SIZE). */
#if defined(__powerpc64__)
#define BUFFER_SIZE ((size_t) 64 << 22)
#else
#define BUFFER_SIZE ((size_t) 32 << 22)
#endif

#define MOST_BUFFERS 64			/* further threads are not worth their memory */

/* Weak: another BLAS has no such functions. */
extern void *blas_memory_alloc(int kind) __attribute__((weak));
extern void blas_memory_free(void *buffer) __attribute__((weak));

/* Those in the pool that we have seen there: like the pool, of the whole process. */
static int	buffers_seen = 0;

/* Would the system map a buffer now? */
static bool
has_room(void)
{
	void	   *room = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (room == MAP_FAILED)
		return false;
	munmap(room, BUFFER_SIZE);
	return true;
}

/* Borrow up to `wanted` buffers at once and give them back; how many it were. */
static int
fill_pool(int wanted)
{
	void	   *borrowed[MOST_BUFFERS];
	int			n = 0;

	while (n < wanted && (n < buffers_seen || has_room()))
	{
		borrowed[n] = blas_memory_alloc(0);
		n++;
	}
	for (int i = 0; i < n; i++)
		blas_memory_free(borrowed[i]);
	return n;
}

/* See blas_buffers.h. */
int
blas_buffers_reserve(Core *core, int wanted)
{
	wanted = wanted < MOST_BUFFERS ? wanted : MOST_BUFFERS;
	if (blas_memory_alloc == NULL || blas_memory_free == NULL || wanted <= buffers_seen)
		return wanted;
	buffers_seen = fill_pool(wanted);
	if (buffers_seen == 0)
		core_fail(core, CORE_OUT_OF_MEMORY, "%zu bytes are in use, OpenBLAS needs %zu more",
				  core->memory_used, BUFFER_SIZE);
	return buffers_seen;
}
