/*
 * portable_model.c
 *		Any bytes as an exported model: read or refused, never more than that.
 *
 * What reads is the same bytes when written again; the model inside goes on to its decoder.
 */
#include "fuzz.h"

#include "core/portable_model.h"
#include "core/student_format.h"

#include <stdlib.h>
#include <string.h>

int			LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static void
write_again(const PortableModel *model, const unsigned char *bytes, size_t length)
{
	unsigned char *again = malloc(length);

	fuzz_require(portable_model_size(model) == length);
	portable_model_write(model, again);
	fuzz_require(memcmp(again, bytes, length) == 0);
	free(again);
}

static void
decode_inner(Core *core, const PortableModel *model)
{
	Arena		arena;
	Student		student;

	arena_open(&arena, core);
	if (student_decode(core, &arena, model->parts[PORTABLE_MODEL].bytes, model->parts[PORTABLE_MODEL].length,
					   &student) != CORE_OK)
		fuzz_require(core->status == CORE_CORRUPT);
	arena_close(&arena);
}

static void
read_bytes(const unsigned char *bytes, size_t length)
{
	Core		core;
	PortableModel model;

	core_open_standalone(&core, 1);
	if (portable_model_read(&core, bytes, length, &model) == CORE_OK)
	{
		write_again(&model, bytes, length);
		decode_inner(&core, &model);
	}
	else
		fuzz_require(core.status == CORE_CORRUPT && core.detail[0] != '\0');
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
	unsigned char *bytes = fuzz_copy(data, length);

	read_bytes(bytes, length);
	fuzz_repair_head(bytes, length);
	read_bytes(bytes, length);
	free(bytes);
	return 0;
}
