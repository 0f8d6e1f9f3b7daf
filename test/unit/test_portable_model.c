/*
 * test_portable_model.c
 *		A model with what another server needs, as bytes: the layout, the way back, and bytes
 *		that are wrong.
 */
#include "support.h"

#include "core/byte_format.h"
#include "core/portable_model.h"

#include <stdlib.h>
#include <string.h>

#define MOST_BYTES 512

static PortableModel
example(void)
{
	PortableModel model = {
		.graph_run = -2, .version = 7, .width = 65,
		.parts = {{"0.2", 3}, {"shop", 4}, {"buys \xC3\xA9", 7}, {"{}", 2}, {"BPM1\0\1\2", 7}}
	};

	for (int i = 0; i < GRAPH_IDENTITY_LENGTH; i++)
		model.graph_identity[i] = (unsigned char) (i + 1);
	return model;
}

static size_t
encode(const PortableModel *model, unsigned char bytes[MOST_BYTES])
{
	size_t		length = portable_model_size(model);

	assert_in_range(length, 1, MOST_BYTES - 1);
	memset(bytes, 0xEE, MOST_BYTES);
	portable_model_write(model, bytes);
	assert_int_equal(bytes[length], 0xEE);
	return length;
}

/* Make length and checksum right again after bytes were changed. */
static void
repair(unsigned char *bytes, size_t length)
{
	bytes_write_head(bytes, "BPX1", 1, length);
}

/* Read from a block of exactly this length; the reason of a refusal must contain `reason`. */
static CoreStatus
decode(const unsigned char *bytes, size_t length, const char *reason)
{
	unsigned char *exact = malloc(length > 0 ? length : 1);
	TestHost	host;
	PortableModel model;
	CoreStatus	status;

	memcpy(exact, bytes, length);
	host_open(&host, 1);
	status = portable_model_read(&host.core, exact, length, &model);
	assert_true(status == CORE_OK || status == CORE_CORRUPT);
	if (status == CORE_CORRUPT && strstr(host.core.detail, reason) == NULL)
		fail_msg("\"%s\" does not speak of \"%s\"", host.core.detail, reason);
	host_assert_clean(&host);
	free(exact);
	return status;
}

static void
models_come_back_as_they_were(void **state)
{
	PortableModel model = example();
	unsigned char bytes[MOST_BYTES];
	size_t		length = encode(&model, bytes);
	TestHost	host;
	PortableModel back;

	(void) state;
	host_open(&host, 1);
	assert_int_equal(portable_model_read(&host.core, bytes, length, &back), CORE_OK);
	assert_memory_equal(back.graph_identity, model.graph_identity, GRAPH_IDENTITY_LENGTH);
	assert_int_equal(back.graph_run, -2);
	assert_int_equal(back.version, 7);
	assert_int_equal(back.width, 65);
	for (int i = 0; i < PORTABLE_PARTS; i++)
	{
		assert_int_equal(back.parts[i].length, model.parts[i].length);
		assert_memory_equal(back.parts[i].bytes, model.parts[i].bytes, model.parts[i].length);
	}
	host_assert_clean(&host);
}

/* Exported models outlive the program: these bytes must not change. */
static void
layout_is_as_documented(void **state)
{
	PortableModel model = example();
	unsigned char bytes[MOST_BYTES];
	size_t		length = encode(&model, bytes);
	const unsigned char numbers[] = {
		0xFE, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 7, 0, 0, 0, 65, 0, 0, 0,
		3, 0, 0, 0, '0', '.', '2', 4, 0, 0, 0, 's', 'h', 'o', 'p'
	};

	(void) state;
	assert_int_equal(length, 16 + 32 + 16 + 5 * 4 + 3 + 4 + 7 + 2 + 7);
	assert_memory_equal(bytes, "BPX1\1\0\0\0", 8);
	assert_int_equal(bytes[8], length);
	assert_memory_equal(bytes + 16, model.graph_identity, GRAPH_IDENTITY_LENGTH);
	assert_memory_equal(bytes + 48, numbers, sizeof(numbers));
	assert_int_equal(core_crc32c((const unsigned char *) "123456789", 9), 0xE3069283);
}

static void
wrong_bytes_are_refused(void **state)
{
	PortableModel model = example();
	unsigned char bytes[MOST_BYTES];
	unsigned char changed[MOST_BYTES];
	size_t		length = encode(&model, bytes);

	(void) state;
	for (size_t shorter = 0; shorter < length; shorter++)
	{
		assert_int_equal(decode(bytes, shorter, ""), CORE_CORRUPT);
		if (shorter < HEAD_LENGTH)
			continue;
		memcpy(changed, bytes, shorter);
		repair(changed, shorter);
		assert_int_equal(decode(changed, shorter, "longer than its bytes"), CORE_CORRUPT);
	}
	for (size_t bit = 0; bit < 8 * length; bit++)
	{
		bytes[bit / 8] ^= (unsigned char) (1 << bit % 8);
		assert_int_equal(decode(bytes, length, ""), CORE_CORRUPT);
		bytes[bit / 8] ^= (unsigned char) (1 << bit % 8);
	}
	assert_int_equal(decode(bytes, length, ""), CORE_OK);
}

/* One wrong byte behind a right checksum. */
static void
assert_refused_for(size_t place, unsigned char byte, size_t more, const char *reason)
{
	PortableModel model = example();
	unsigned char bytes[MOST_BYTES];
	size_t		length = encode(&model, bytes) + more;

	bytes[place] = byte;
	repair(bytes, length);
	assert_int_equal(decode(bytes, length, reason), CORE_CORRUPT);
}

static void
each_field_has_its_refusal(void **state)
{
	(void) state;
	assert_refused_for(56, 0, 0, "version 0");
	assert_refused_for(63, 0x80, 0, "width -2147483583");
	assert_refused_for(67, 0xFF, 0, "longer than its bytes");
	assert_refused_for(68, 0, 0, "part 1 has a zero byte");
	assert_refused_for(16, 0, 3, "3 bytes stand behind");
}

/* Sizes that a head cannot say are not counted past their end. */
static void
too_large_is_said(void **state)
{
	PortableModel model = example();

	(void) state;
	model.parts[PORTABLE_MODEL].length = SIZE_MAX - 2;
	assert_int_equal(portable_model_size(&model), 0);
	model.parts[PORTABLE_MODEL].length = INT32_MAX;
	assert_int_equal(portable_model_size(&model), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(models_come_back_as_they_were),
		cmocka_unit_test(layout_is_as_documented),
		cmocka_unit_test(wrong_bytes_are_refused),
		cmocka_unit_test(each_field_has_its_refusal),
		cmocka_unit_test(too_large_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
