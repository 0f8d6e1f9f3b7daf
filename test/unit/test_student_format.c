/*
 * test_student_format.c
 *		A student as bytes: the layout, the way back, and bytes that are wrong.
 */
#include "support.h"

#include "core/random.h"
#include "core/student_format.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHECKED_FROM 16
#define MOST_BYTES 4096

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

static uint32_t
number_at(const unsigned char *bytes)
{
	return bytes[0] | (uint32_t) bytes[1] << 8 | (uint32_t) bytes[2] << 16 | (uint32_t) bytes[3] << 24;
}

/* Make the checksum right again after bytes were changed. */
static void
repair_checksum(unsigned char *bytes, size_t length)
{
	uint32_t	crc = slow_crc32c(bytes + CHECKED_FROM, length - CHECKED_FROM);

	for (int i = 0; i < 4; i++)
		bytes[12 + i] = (unsigned char) (crc >> (8 * i));
}

static float curve_thresholds[] = {-2.5f, -0.5f, 0.25f, 4.0f};
static float curve_values[] = {0.01f, 0.2f, 0.2f, 0.98f};

/* A student of a shape with this calibration, parameters in a static array. */
static Student
example(int shape, CalibrationKind calibration)
{
	static float parameters[300];
	const Student shapes[] = {
		{.n_layers = 1, .widths = {65, 1}},
		{.n_layers = 2, .widths = {9, 4, 1}},
		{.n_layers = 5, .widths = {3, 2, 4, 1, 2, 1}},
	};
	Student		student = shapes[shape];

	for (int i = 0; i < 300; i++)
		parameters[i] = (float) random_normal(1, RANDOM_TEST, (uint64_t) i);
	student.parameters = parameters;
	student.calibration = calibration;
	student.scale = 1.25;
	student.offset = -0.75;
	student.prior_shift = -3.5;
	student.base_rate = 0.015;
	if (calibration == CALIBRATION_ISOTONIC)
		student.curve = (IsotonicCurve) {4, curve_thresholds, curve_values};
	if (calibration == CALIBRATION_PLATT_LEVEL)
		student.curve = (IsotonicCurve) {1, curve_thresholds, curve_values};
	return student;
}

static size_t
encode(const Student *student, unsigned char bytes[MOST_BYTES])
{
	size_t		length = student_encoded_size(student);

	assert_in_range(length, CHECKED_FROM, MOST_BYTES - 1);
	memset(bytes, 0xEE, MOST_BYTES);
	student_encode(student, bytes);
	assert_int_equal(bytes[length], 0xEE);
	return length;
}

/* Decode from a block of exactly this length, so that a sanitizer sees any step beyond. */
static CoreStatus
decode(const unsigned char *bytes, size_t length)
{
	unsigned char *exact = malloc(length > 0 ? length : 1);
	TestHost	host;
	Arena		arena;
	Student		student;
	CoreStatus	status;

	memcpy(exact, bytes, length);
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	status = student_decode(&host.core, &arena, exact, length, &student);
	if (status == CORE_OK)
	{
		float		vector[STUDENT_MAX_WIDTH] = {0};

		assert_true(student.n_layers >= 1 && student.widths[0] <= STUDENT_MAX_WIDTH);
		student_probability(&student, student_logit(&student, vector));
	}
	else
	{
		assert_int_equal(status, CORE_CORRUPT);
		assert_true(strlen(host.core.detail) > 0);
	}
	assert_true(host.core.memory_peak <= 8 * length + 4096);
	arena_close(&arena);
	host_assert_clean(&host);
	free(exact);
	return status;
}

static void
students_come_back_as_they_were(void **state)
{
	(void) state;
	for (int which = 0; which < 12; which++)
	{
		Student		student = example(which % 3, (CalibrationKind) (which / 3));
		unsigned char bytes[MOST_BYTES];
		unsigned char again[MOST_BYTES];
		size_t		length = encode(&student, bytes);
		TestHost	host;
		Arena		arena;
		Student		back;

		host_open(&host, 1);
		arena_open(&arena, &host.core);
		assert_int_equal(student_decode(&host.core, &arena, bytes, length, &back), CORE_OK);
		assert_int_equal(back.n_layers, student.n_layers);
		assert_memory_equal(back.widths, student.widths, sizeof(int) * (size_t) (student.n_layers + 1));
		assert_int_equal(back.calibration, student.calibration);
		assert_true(back.scale == student.scale && back.offset == student.offset &&
					back.prior_shift == student.prior_shift && back.base_rate == student.base_rate);
		assert_memory_equal(back.parameters, student.parameters, sizeof(float) *
							(size_t) student_parameter_count(student.n_layers, student.widths));
		assert_int_equal(back.curve.n_points, student.curve.n_points);
		assert_int_equal(encode(&back, again), length);
		assert_memory_equal(bytes, again, length);
		arena_close(&arena);
		host_assert_clean(&host);
	}
}

/* Stored models outlive the program: these bytes must not change. */
static void
layout_is_as_documented(void **state)
{
	float		parameters[] = {1.0f, -2.0f, 0.5f};
	const Student student = {
		.n_layers = 1, .widths = {2, 1}, .parameters = parameters, .calibration = CALIBRATION_PLATT,
		.scale = 1.0, .offset = -1.0, .prior_shift = 2.0, .base_rate = 0.5
	};
	const unsigned char expected[] = {
		1, 0, 1, 0,				/* layers, calibration */
		2, 0, 0, 0, 1, 0, 0, 0, /* widths */
		0, 0, 0, 0, 0, 0, 0xF0, 0x3F,	/* scale */
		0, 0, 0, 0, 0, 0, 0xF0, 0xBF,	/* offset */
		0, 0, 0, 0, 0, 0, 0x00, 0x40,	/* prior shift */
		0, 0, 0, 0, 0, 0, 0xE0, 0x3F,	/* base rate */
		0, 0, 0, 0,				/* curve points */
		0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0, 0, 0, 0, 0x3F
	};
	unsigned char bytes[MOST_BYTES];
	size_t		length = encode(&student, bytes);

	(void) state;
	assert_int_equal(length, CHECKED_FROM + sizeof(expected));
	assert_memory_equal(bytes, "BPM1\1\0\0\0", 8);
	assert_int_equal(number_at(bytes + 8), length);
	assert_memory_equal(bytes + CHECKED_FROM, expected, sizeof(expected));
	assert_int_equal(slow_crc32c((const unsigned char *) "123456789", 9), 0xE3069283);
	assert_int_equal(number_at(bytes + 12), slow_crc32c(bytes + CHECKED_FROM, length - CHECKED_FROM));
}

static void
truncations_are_refused(void **state)
{
	(void) state;
	for (int which = 0; which < 12; which++)
	{
		Student		student = example(which % 3, (CalibrationKind) (which / 3));
		unsigned char bytes[MOST_BYTES];
		unsigned char changed[MOST_BYTES];
		size_t		length = encode(&student, bytes);

		for (size_t shorter = 0; shorter < length; shorter++)
		{
			assert_int_equal(decode(bytes, shorter), CORE_CORRUPT);

			/* and with a length and a checksum that agree with what is left */
			if (shorter < CHECKED_FROM)
				continue;
			memcpy(changed, bytes, shorter);
			for (int i = 0; i < 4; i++)
				changed[8 + i] = (unsigned char) (shorter >> (8 * i));
			repair_checksum(changed, shorter);
			assert_int_equal(decode(changed, shorter), CORE_CORRUPT);
		}
		assert_int_equal(decode(bytes, length + 1), CORE_CORRUPT);
	}
}

static void
flipped_bits_are_refused(void **state)
{
	(void) state;
	for (int which = 0; which < 12; which++)
	{
		Student		student = example(which % 3, (CalibrationKind) (which / 3));
		unsigned char bytes[MOST_BYTES];
		size_t		length = encode(&student, bytes);

		for (size_t bit = 0; bit < 8 * length; bit++)
		{
			bytes[bit / 8] ^= (unsigned char) (1 << bit % 8);
			assert_int_equal(decode(bytes, length), CORE_CORRUPT);
			bytes[bit / 8] ^= (unsigned char) (1 << bit % 8);
		}
		assert_int_equal(decode(bytes, length), CORE_OK);
	}
}

/* Bytes that a checksum does not protect: any answer but a crash, and no huge allocation. */
static void
forged_bytes_are_survived(void **state)
{
	int			accepted = 0;

	(void) state;
	for (uint64_t round = 0; round < 30000; round++)
	{
		Student		student = example((int) (round % 3), (CalibrationKind) (round / 3 % 3));
		unsigned char bytes[MOST_BYTES];
		size_t		length = encode(&student, bytes);
		int			changes = 1 + (int) random_below(2, RANDOM_TEST, 16 * round, 4);

		for (int i = 0; i < changes; i++)
		{
			/* mostly near the front, where the counts are */
			uint64_t	reach = i % 2 == 0 ? 76 : length;
			size_t		place = (size_t) random_below(3, RANDOM_TEST, 16 * round + (uint64_t) i, reach);

			bytes[place] = (unsigned char) random_bits(4, RANDOM_TEST, 16 * round + (uint64_t) i);
		}
		repair_checksum(bytes, length);
		accepted += decode(bytes, length) == CORE_OK;
	}
	assert_in_range(accepted, 1, 29999);	/* some changes are harmless, most are not */
}

static void
noise_is_refused(void **state)
{
	(void) state;
	for (uint64_t round = 0; round < 3000; round++)
	{
		unsigned char bytes[300];
		size_t		length = (size_t) random_below(5, RANDOM_TEST, round, 300);

		for (size_t i = 0; i < length; i++)
			bytes[i] = (unsigned char) random_bits(6, RANDOM_TEST, 300 * round + i);
		assert_int_equal(decode(bytes, length), CORE_CORRUPT);
	}
	assert_int_equal(decode((const unsigned char *) "", 0), CORE_CORRUPT);
}

/* Write a number of 2, 4 or 8 bytes into encoded bytes and see it refused for the right reason. */
static void
assert_refused_for(size_t place, uint64_t number, int size, const char *reason)
{
	Student		student = example(1, CALIBRATION_ISOTONIC);
	unsigned char bytes[MOST_BYTES];
	size_t		length = encode(&student, bytes);
	TestHost	host;
	Arena		arena;

	for (int i = 0; i < size; i++)
		bytes[place + (size_t) i] = (unsigned char) (number >> (8 * i));
	if (place >= CHECKED_FROM)
		repair_checksum(bytes, length);
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(student_decode(&host.core, &arena, bytes, length, &student), CORE_CORRUPT);
	if (strstr(host.core.detail, reason) == NULL)
		fail_msg("\"%s\" does not speak of \"%s\"", host.core.detail, reason);
	arena_close(&arena);
	host_assert_clean(&host);
}

static void
each_field_has_its_refusal(void **state)
{
	const size_t widths = CHECKED_FROM + 4;
	const size_t numbers = widths + 12;
	const size_t points = numbers + 32;
	const size_t thresholds = points + 4;
	const size_t values = thresholds + 16;
	const size_t parameters = values + 16;
	const uint64_t not_a_number = UINT64_C(0x7FF8000000000000);

	(void) state;
	assert_refused_for(0, 0x32, 1, "start");
	assert_refused_for(4, 2, 4, "version");
	assert_refused_for(8, 1000, 4, "says 1000");
	assert_refused_for(12, 0, 4, "checksum");
	assert_refused_for(16, 0, 2, "0 layers");
	assert_refused_for(16, 6, 2, "6 layers");
	assert_refused_for(18, 4, 2, "calibration 4");
	assert_refused_for(18, 3, 2, "curve points");	/* four of them where a level has one */
	assert_refused_for(18, 1, 2, "curve points");
	assert_refused_for(widths, 0, 4, "width 0");
	assert_refused_for(widths, UINT32_MAX, 4, "width 0");
	assert_refused_for(widths + 4, 1025, 4, "width 1");
	assert_refused_for(widths + 8, 2, 4, "width 2");
	assert_refused_for(widths, 10, 4, "length");
	assert_refused_for(numbers, not_a_number, 8, "range");
	assert_refused_for(numbers + 8, not_a_number, 8, "range");
	assert_refused_for(numbers + 16, not_a_number, 8, "range");
	assert_refused_for(numbers + 24, UINT64_C(0x4000000000000000), 8, "base rate 2");
	assert_refused_for(points, 0, 4, "curve points");
	assert_refused_for(points, UINT32_MAX, 4, "curve points");
	assert_refused_for(points, 5, 4, "length");
	assert_refused_for(thresholds, UINT32_C(0x7FC00000), 4, "threshold 1");
	assert_refused_for(thresholds, UINT32_C(0x41000000), 4, "point 2");
	assert_refused_for(values, 0, 4, "value 1");
	assert_refused_for(values, UINT32_C(0x3F800000), 4, "value 1");
	assert_refused_for(values, UINT32_C(0x3F000000), 4, "point 2");
	assert_refused_for(parameters, UINT32_C(0x7F800000), 4, "parameter 1");
}

static CoreStatus
decode_scenario(Core *core, Arena *arena, void *argument)
{
	const unsigned char *bytes = argument;
	Student		student;

	return student_decode(core, arena, bytes, number_at(bytes + 8), &student);
}

static void
failures_are_survived(void **state)
{
	Student		student = example(2, CALIBRATION_ISOTONIC);
	unsigned char bytes[MOST_BYTES];

	(void) state;
	encode(&student, bytes);
	scenario_survives(decode_scenario, bytes, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(students_come_back_as_they_were),
		cmocka_unit_test(layout_is_as_documented),
		cmocka_unit_test(truncations_are_refused),
		cmocka_unit_test(flipped_bits_are_refused),
		cmocka_unit_test(forged_bytes_are_survived),
		cmocka_unit_test(noise_is_refused),
		cmocka_unit_test(each_field_has_its_refusal),
		cmocka_unit_test(failures_are_survived),
	};

	return cmocka_run_group_tests_name("student_format", tests, NULL, NULL);
}
