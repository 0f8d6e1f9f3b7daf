/*
 * student_format.c
 *		Any bytes as a model: decoded or refused, never more than that.
 *
 * What decodes must score without a fault, and be the same bytes when encoded again.
 */
#include "fuzz.h"

#include "core/student_format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int			LLVMFuzzerTestOneInput(const unsigned char *data, size_t length);

static void
score_a_vector(const Student *student)
{
	static const float vector[STUDENT_MAX_WIDTH] = {1.0f, -1.0f, 0.5f};
	double		logit = student_logit(student, vector);

	if (!isnan(logit))
		fuzz_require(!isnan(student_probability(student, logit)));
}

static void
encode_again(const Student *student, const unsigned char *bytes, size_t length)
{
	unsigned char *again = malloc(length);

	fuzz_require(student_encoded_size(student) == length);
	student_encode(student, again);
	fuzz_require(memcmp(again, bytes, length) == 0);
	free(again);
}

/* Decode, and use what was decoded. */
static void
decode(const unsigned char *bytes, size_t length)
{
	Core		core;
	Arena		arena;
	Student		student;

	core_open_standalone(&core, 1);
	arena_open(&arena, &core);
	if (student_decode(&core, &arena, bytes, length, &student) == CORE_OK)
	{
		score_a_vector(&student);
		encode_again(&student, bytes, length);
	}
	else
		fuzz_require(core.status == CORE_CORRUPT && core.detail[0] != '\0');
	fuzz_require(core.memory_peak <= 8 * length + 4096);
	arena_close(&arena);
}

int
LLVMFuzzerTestOneInput(const unsigned char *data, size_t length)
{
	unsigned char *bytes = fuzz_copy(data, length);

	decode(bytes, length);
	fuzz_repair_head(bytes, length);
	decode(bytes, length);
	free(bytes);
	return 0;
}
