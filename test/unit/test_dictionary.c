/*
 * test_dictionary.c
 *		Keys to numbers and back, and the order of numbers after sorting.
 */
#include "support.h"

#include "core/dictionary.h"
#include "core/random.h"
#include "core/sorting.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS 5000

static Key
integer_key(int64_t value)
{
	return (Key) {.integer = value};
}

static Key
text_key(const char *text)
{
	return (Key) {.bytes = text, .length = strlen(text)};
}

/* Key i of a test set with shared prefixes, empty text, trailing zeros and many lengths. */
static Key
mixed_key(int i, char buffer[64])
{
	Key			key = {.bytes = buffer};

	if (i % 5 == 0)
		key.length = (size_t) snprintf(buffer, 64, "user_%d", i);
	else if (i % 5 == 1)
		key.length = (size_t) snprintf(buffer, 64, "user_with_a_long_common_start_%d", i);
	else
	{
		key.length = (size_t) (i % 40);
		memset(buffer, 0, 64);
		memcpy(buffer, &i, sizeof(i));
		if (key.length < sizeof(i))
			key.length = sizeof(i);
	}
	return key;
}

static void
integers_get_numbers_in_order_of_arrival(void **state)
{
	const int64_t values[] = {5, -3, 5, INT64_MIN, INT64_MAX, -3, 0};
	const int32_t numbers[] = {0, 1, 0, 2, 3, 1, 4};
	TestHost	host;
	Arena		arena;
	Dictionary	dictionary;
	Key			absent = integer_key(6);

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(dictionary_open(&dictionary, &arena, KEY_INTEGER), CORE_OK);
	assert_int_equal(dictionary_find(&dictionary, &absent), -1);
	for (int i = 0; i < 7; i++)
	{
		Key			key = integer_key(values[i]);

		assert_int_equal(dictionary_add(&dictionary, &key), numbers[i]);
		assert_int_equal(dictionary_find(&dictionary, &key), numbers[i]);
		assert_true(dictionary_key(&dictionary, numbers[i]).integer == values[i]);
	}
	assert_int_equal(dictionary.count, 5);
	assert_int_equal(dictionary_find(&dictionary, &absent), -1);
	arena_close(&arena);
	host_assert_clean(&host);
}

/* By batches, repeats and growth within one batch included, as one by one. */
static void
batches_number_as_single_keys_do(void **state)
{
	const KeyKind kinds[] = {KEY_INTEGER, KEY_BYTES};

	(void) state;
	for (int kind = 0; kind < 2; kind++)
	{
		static char buffers[2 * KEYS][64];
		static Key	keys[2 * KEYS];
		static int32_t numbers[2 * KEYS];
		static int32_t found[2 * KEYS];
		TestHost	host;
		Arena		arena;
		Dictionary	single;
		Dictionary	many;

		host_open(&host, 1);
		arena_open(&arena, &host.core);
		dictionary_open(&single, &arena, kinds[kind]);
		dictionary_open(&many, &arena, kinds[kind]);
		for (int i = 0; i < 2 * KEYS; i++)
			keys[i] = kinds[kind] == KEY_INTEGER ? integer_key(i % KEYS * 7919) : mixed_key(i * 3 % KEYS, buffers[i]);
		dictionary_find_many(&many, keys, 1000, found);
		for (int i = 0; i < 1000; i++)
			assert_int_equal(found[i], -1);
		for (int i = 0; i < 2 * KEYS; i += 1000)
			assert_int_equal(dictionary_add_many(&many, keys + i, 1000, numbers + i), CORE_OK);
		dictionary_find_many(&many, keys, 2 * KEYS, found);
		assert_memory_equal(found, numbers, sizeof(found));
		for (int i = 0; i < 2 * KEYS; i++)
			assert_int_equal(dictionary_add(&single, &keys[i]), numbers[i]);
		assert_int_equal(single.count, many.count);
		arena_close(&arena);
		host_assert_clean(&host);
	}
}

static void
bytes_differ_by_length_and_content(void **state)
{
	TestHost	host;
	Arena		arena;
	Dictionary	dictionary;
	Key			keys[] = {
		{.bytes = "", .length = 0},
		{.bytes = "\0", .length = 1},
		{.bytes = "\0\0", .length = 2},
		{.bytes = "a", .length = 1},
		{.bytes = "a\0", .length = 2},
		{.bytes = "abcdefgh", .length = 8},
		{.bytes = "abcdefgh\0", .length = 9},
		{.bytes = "abcdefghi", .length = 9},
	};

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	dictionary_open(&dictionary, &arena, KEY_BYTES);
	for (int round = 0; round < 2; round++)
	{
		for (int i = 0; i < 8; i++)
			assert_int_equal(dictionary_add(&dictionary, &keys[i]), i);
	}
	for (int i = 0; i < 8; i++)
	{
		Key			back = dictionary_key(&dictionary, i);

		assert_int_equal(back.length, keys[i].length);
		assert_memory_equal(back.bytes, keys[i].bytes, back.length);
	}
	arena_close(&arena);
}

static void
many_keys_survive_growth(void **state)
{
	TestHost	host;
	Arena		arena;
	Dictionary	integers;
	Dictionary	texts;
	char		buffer[64];

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	dictionary_open(&integers, &arena, KEY_INTEGER);
	dictionary_open(&texts, &arena, KEY_BYTES);
	for (int i = 0; i < 20 * KEYS; i++)
	{
		Key			integer = integer_key((int64_t) i * 1024);
		Key			text = mixed_key(i, buffer);

		assert_int_equal(dictionary_add(&integers, &integer), i);
		assert_int_equal(dictionary_add(&texts, &text), i);
	}
	for (int i = 0; i < 20 * KEYS; i++)
	{
		Key			integer = integer_key((int64_t) i * 1024);
		Key			text = mixed_key(i, buffer);

		assert_int_equal(dictionary_find(&integers, &integer), i);
		assert_int_equal(dictionary_find(&texts, &text), i);
	}
	assert_true(2 * integers.n_slots >= 3 * (int64_t) integers.count);
	arena_close(&arena);
	host_assert_clean(&host);
}

static void
hash_depends_on_the_key_alone(void **state)
{
	Key			a = text_key("some key");
	char		copy[32] = "xsome key";
	Key			b = {.bytes = copy + 1, .length = 8};
	Key			one = integer_key(1);
	Key			two = integer_key(2);

	(void) state;
	assert_true(key_hash(KEY_BYTES, &a) == key_hash(KEY_BYTES, &b));
	assert_true(key_hash(KEY_INTEGER, &one) != key_hash(KEY_INTEGER, &two));
	/* stored with trainings, so it must stay what it is */
	assert_true(key_hash(KEY_INTEGER, &one) == random_mix(1));
}

/* True when key `a` of a dictionary must stand before key `b`. */
static bool
in_order(KeyKind kind, Key a, Key b)
{
	size_t		shorter = a.length < b.length ? a.length : b.length;
	int			order;

	if (kind == KEY_INTEGER)
		return a.integer < b.integer;
	order = memcmp(a.bytes, b.bytes, shorter);
	return order < 0 || (order == 0 && a.length < b.length);
}

/* Add all keys, beginning at `start` in steps of `step`, and sort. */
static void
fill_sorted(Dictionary *dictionary, Arena *arena, KeyKind kind, int start, int step)
{
	int32_t    *new_numbers;
	Key		   *arrived = malloc(KEYS * sizeof(Key));
	char	  (*texts)[64] = malloc(KEYS * 64);

	dictionary_open(dictionary, arena, kind);
	for (int i = 0; i < KEYS; i++)
	{
		int			which = (int) ((start + (int64_t) i * step) % KEYS);

		arrived[i] = kind == KEY_INTEGER ?
			integer_key((int64_t) random_bits(1, RANDOM_TEST, (uint64_t) which)) : mixed_key(which, texts[i]);
		assert_int_equal(dictionary_add(dictionary, &arrived[i]), i);
	}
	assert_int_equal(dictionary_sort(dictionary, &new_numbers), CORE_OK);
	for (int i = 0; i < KEYS; i++)
		assert_int_equal(dictionary_find(dictionary, &arrived[i]), new_numbers[i]);
	for (int i = 1; i < KEYS; i++)
		assert_true(in_order(kind, dictionary_key(dictionary, i - 1), dictionary_key(dictionary, i)));
	free(texts);
	free(arrived);
}

static void
numbering_does_not_depend_on_order(void **state)
{
	const KeyKind kinds[] = {KEY_INTEGER, KEY_BYTES};

	(void) state;
	for (int k = 0; k < 2; k++)
	{
		TestHost	host;
		Arena		arena;
		Dictionary	one;
		Dictionary	other;

		host_open(&host, 1);
		arena_open(&arena, &host.core);
		fill_sorted(&one, &arena, kinds[k], 0, 1);
		fill_sorted(&other, &arena, kinds[k], 17, 7919);
		for (int i = 0; i < KEYS; i++)
		{
			Key			key = dictionary_key(&one, i);

			assert_int_equal(dictionary_find(&other, &key), i);
		}
		arena_close(&arena);
		host_assert_clean(&host);
	}
}

static void
adding_goes_on_after_sorting(void **state)
{
	TestHost	host;
	Arena		arena;
	Dictionary	dictionary;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	for (int kind = KEY_INTEGER; kind <= KEY_BYTES; kind++)
	{
		fill_sorted(&dictionary, &arena, (KeyKind) kind, 0, 1);
		for (int i = 0; i < KEYS; i++)
		{
			char		text[32];
			Key			key = {.integer = i, .bytes = text};

			key.length = (size_t) snprintf(text, sizeof(text), "new%d", i);
			assert_int_equal(dictionary_add(&dictionary, &key), KEYS + i);
		}
	}
	arena_close(&arena);
}

static void
empty_and_single_dictionaries_sort(void **state)
{
	TestHost	host;
	Arena		arena;

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	for (int kind = KEY_INTEGER; kind <= KEY_BYTES; kind++)
	{
		Dictionary	dictionary;
		int32_t    *new_numbers;
		Key			key = {.integer = 3, .bytes = "abc", .length = 3};

		dictionary_open(&dictionary, &arena, (KeyKind) kind);
		assert_int_equal(dictionary_sort(&dictionary, &new_numbers), CORE_OK);
		dictionary_add(&dictionary, &key);
		assert_int_equal(dictionary_sort(&dictionary, &new_numbers), CORE_OK);
		assert_int_equal(new_numbers[0], 0);
		assert_int_equal(dictionary_find(&dictionary, &key), 0);
	}
	arena_close(&arena);
}

/* Enough keys to grow everything, then a sort. */
static CoreStatus
fill_and_sort(Core *core, Arena *arena, void *argument)
{
	KeyKind		kind = *(KeyKind *) argument;
	Dictionary	dictionary;
	int32_t    *new_numbers;
	char		buffer[64];

	if (dictionary_open(&dictionary, arena, kind) != CORE_OK)
		return core->status;
	for (int i = 0; i < KEYS; i++)
	{
		Key			key = kind == KEY_INTEGER ? integer_key(-i) : mixed_key(i, buffer);
		int32_t		before = dictionary.count;

		if (dictionary_add(&dictionary, &key) < 0)
		{
			assert_int_equal(dictionary.count, before);
			assert_int_equal(dictionary_find(&dictionary, &key), -1);
			return core->status;
		}
	}
	return dictionary_sort(&dictionary, &new_numbers);
}

static void
failures_are_survived(void **state)
{
	KeyKind		integer = KEY_INTEGER;
	KeyKind		bytes = KEY_BYTES;

	(void) state;
	scenario_survives(fill_and_sort, &integer, 1);
	scenario_survives(fill_and_sort, &bytes, 1);
}

static void
full_memory_leaves_the_dictionary_usable(void **state)
{
	TestHost	host;
	Arena		arena;
	Dictionary	dictionary;
	int32_t		number = 0;

	(void) state;
	host_open(&host, 1);
	host.core.memory_limit = 100000;
	arena_open(&arena, &host.core);
	dictionary_open(&dictionary, &arena, KEY_INTEGER);
	for (int i = 0; number >= 0; i++)
	{
		Key			key = integer_key(i);

		number = dictionary_add(&dictionary, &key);
	}
	assert_int_equal(host.core.status, CORE_OVER_LIMIT);
	for (int i = 0; i < dictionary.count; i++)
	{
		Key			key = integer_key(i);

		assert_int_equal(dictionary_find(&dictionary, &key), i);
	}
	arena_close(&arena);
}

/* Items with few different keys and with many, against a plain insertion of the order. */
static void
sorting_is_stable_and_right(void **state)
{
	const uint64_t spans[] = {1, 3, 1000, UINT64_MAX};

	(void) state;
	for (int s = 0; s < 4; s++)
	{
		TestHost	host;
		Arena		arena;
		SortItem	items[3000];

		host_open(&host, 1);
		arena_open(&arena, &host.core);
		for (int i = 0; i < 3000; i++)
			items[i] = (SortItem) {random_bits(2, RANDOM_TEST, (uint64_t) i) % spans[s], i};
		assert_int_equal(sort_items(&host.core, &arena, items, 3000, NULL, NULL), CORE_OK);
		for (int i = 1; i < 3000; i++)
			assert_true(items[i - 1].key < items[i].key ||
						(items[i - 1].key == items[i].key && items[i - 1].index < items[i].index));
		arena_close(&arena);
		host_assert_clean(&host);
	}
}

static void
sort_keys_keep_the_order_of_values(void **state)
{
	const double values[] = {-1.0 / 0.0, -1e300, -2.0, -1e-310, 0.0, 1e-310, 2.0, 1e300, 1.0 / 0.0};

	(void) state;
	for (int i = 1; i < 9; i++)
		assert_true(sort_key_of_double(values[i - 1]) < sort_key_of_double(values[i]));
	assert_true(sort_key_of_double(-0.0) == sort_key_of_double(0.0));
	assert_true(sort_key_of_integer(-1) < sort_key_of_integer(0));
	assert_true(sort_key_of_integer(INT64_MIN) < sort_key_of_integer(INT64_MAX));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(integers_get_numbers_in_order_of_arrival),
		cmocka_unit_test(batches_number_as_single_keys_do),
		cmocka_unit_test(bytes_differ_by_length_and_content),
		cmocka_unit_test(many_keys_survive_growth),
		cmocka_unit_test(hash_depends_on_the_key_alone),
		cmocka_unit_test(numbering_does_not_depend_on_order),
		cmocka_unit_test(adding_goes_on_after_sorting),
		cmocka_unit_test(empty_and_single_dictionaries_sort),
		cmocka_unit_test(failures_are_survived),
		cmocka_unit_test(full_memory_leaves_the_dictionary_usable),
		cmocka_unit_test(sorting_is_stable_and_right),
		cmocka_unit_test(sort_keys_keep_the_order_of_values),
	};

	return cmocka_run_group_tests_name("dictionary", tests, NULL, NULL);
}
