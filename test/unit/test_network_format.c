/*
 * test_network_format.c
 *		The parameters of a network as blocks of bytes: all of them come back, whatever the
 *		network is made of; and bytes that are wrong are refused.
 */
#include "scene.h"

#include <stdlib.h>
#include <string.h>

#include "core/byte_format.h"
#include "core/network_parameters.h"

#define MOST_BYTES 1024

/* A network over a scene, filled with numbers of its own. */
typedef struct Opened
{
	TestHost	host;
	Arena		arena;
	Network		network;
} Opened;

static void
open_network(Opened *opened, const Scene *scene)
{
	host_open(&opened->host, 1);
	arena_open(&opened->arena, &opened->host.core);
	memset(&opened->network, 0, sizeof(opened->network));
	assert_int_equal(network_open(&opened->network, &opened->host.core, &opened->arena, &scene->graph, scene->users,
								  scene->objects, &scene->options, false), CORE_OK);
}

static void
close_network(Opened *opened)
{
	arena_close(&opened->arena);
	host_assert_clean(&opened->host);
}

/* Every block of a part, `most` numbers or nodes each, through its bytes into the other network. */
static void
carry_part(const Opened *from, Opened *to, NetworkPart part, int64_t n, int32_t most)
{
	NetworkShape shape = network_shape(&from->network);
	int			row = network_row_count(&shape, part);

	for (int64_t first = 0; first < n; first += most)
	{
		NetworkBlock block = {part, shape, first, (int32_t) (n - first < most ? n - first : most), KEY_INTEGER, NULL, NULL};
		NetworkBlock back;
		unsigned char *bytes;
		size_t		size;

		block.keys = calloc((size_t) block.count, sizeof(Key));
		block.values = malloc(sizeof(float) * (size_t) block.count * (size_t) (row + 1));
		network_take(&from->network, part, first, block.count, block.values);
		size = network_block_size(&block);
		bytes = malloc(size);
		network_block_write(&block, bytes);
		assert_int_equal(network_block_read(&to->host.core, &to->arena, bytes, size, &back), CORE_OK);
		assert_int_equal(network_shape_check(&to->network, &back.shape), CORE_OK);
		if (part == NETWORK_SHARED)
			network_put_shared(&to->network, back.first, back.count, back.values);
		else
			for (int32_t i = 0; i < back.count; i++)
				network_put_node(&to->network, part, (int32_t) first + i, back.values + (size_t) i * row);
		free(bytes);
		free(block.values);
		free(block.keys);
	}
}

/* Whatever a training moves comes back: nothing that is laid out is left out. */
static void
assert_all_comes_back(const Scene *scene)
{
	Opened		from;
	Opened		to;
	size_t		size;

	open_network(&from, scene);
	open_network(&to, scene);
	size = from.network.layout.total * sizeof(float);
	memset(to.network.parameters, 0, size);
	carry_part(&from, &to, NETWORK_SHARED, network_shape(&from.network).n_shared, 7);
	carry_part(&from, &to, NETWORK_USERS, scene->graph.n_users, 5);
	carry_part(&from, &to, NETWORK_OBJECTS, scene->graph.n_objects, 4);
	assert_memory_equal(to.network.parameters, from.network.parameters, size);
	close_network(&from);
	close_network(&to);
}

static void
every_network_comes_back(void **state)
{
	Scene		scene;

	(void) state;
	open_scene(&scene, 20, 9, 60, false);
	for (int kind = 0; kind < 16; kind++)
	{
		scene.options.dimension = kind & 1 ? 6 : 16;
		scene.options.factors = 2;
		scene.options.mapping = kind & 2 ? MAPPING_LINEAR : MAPPING_IDENTITY;
		scene.options.attention = kind & 4 ? ATTENTION_ADDITIVE : ATTENTION_SYMMETRIC;
		if (kind & 8)
			add_features(&scene, true, kind & 1);
		scene.options.id_embeddings = !(kind & 8 && kind & 2);
		assert_all_comes_back(&scene);
	}
	close_scene(&scene);
}

static void
other_shapes_are_refused(void **state)
{
	Scene		scene;
	Opened		opened;
	NetworkShape shape;

	(void) state;
	open_scene(&scene, 20, 9, 60, false);
	open_network(&opened, &scene);
	shape = network_shape(&opened.network);
	assert_int_equal(network_shape_check(&opened.network, &shape), CORE_OK);
	shape.factors++;
	assert_int_equal(network_shape_check(&opened.network, &shape), CORE_INVALID);
	assert_non_null(strstr(opened.host.core.detail, "factors"));
	close_network(&opened);
	close_scene(&scene);
}

/* A block of two users with keys of bytes. */
static size_t
encode_example(unsigned char bytes[MOST_BYTES])
{
	Key			keys[] = {{0, "a", 1}, {0, "bcd", 3}};
	float		values[] = {1, -2, 0.5f, 3};
	NetworkBlock block = {
		.part = NETWORK_USERS, .shape = {.dimension = 2, .factors = 1, .layers = 1, .id_embeddings = true},
		.first = 6, .count = 2, .key_kind = KEY_BYTES, .keys = keys, .values = values
	};
	size_t		length = network_block_size(&block);

	assert_in_range(length, 1, MOST_BYTES - 1);
	memset(bytes, 0xEE, MOST_BYTES);
	network_block_write(&block, bytes);
	assert_int_equal(bytes[length], 0xEE);
	return length;
}

/* Read from a block of exactly this length; the reason of a refusal must contain `reason`. */
static CoreStatus
decode(const unsigned char *bytes, size_t length, const char *reason)
{
	unsigned char *exact = malloc(length > 0 ? length : 1);
	TestHost	host;
	Arena		arena;
	NetworkBlock block;
	CoreStatus	status;

	memcpy(exact, bytes, length);
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	status = network_block_read(&host.core, &arena, exact, length, &block);
	assert_true(status == CORE_OK || status == CORE_CORRUPT);
	if (status == CORE_CORRUPT && strstr(host.core.detail, reason) == NULL)
		fail_msg("\"%s\" does not speak of \"%s\"", host.core.detail, reason);
	arena_close(&arena);
	host_assert_clean(&host);
	free(exact);
	return status;
}

/* Stored networks outlive the program: these bytes must not change. */
static void
layout_is_as_documented(void **state)
{
	unsigned char bytes[MOST_BYTES];
	size_t		length = encode_example(bytes);
	const unsigned char numbers[] = {
		1, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0, 0, 0, 0, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0,
		1, 0, 0, 0, 'a', 3, 0, 0, 0, 'b', 'c', 'd', 0, 0, 0x80, 0x3F, 0, 0, 0, 0xC0
	};

	(void) state;
	assert_int_equal(length, 16 + 60 + 5 + 7 + 16);
	assert_memory_equal(bytes, "BPN1\1\0\0\0", 8);
	assert_memory_equal(bytes + 16, numbers, sizeof(numbers));
	assert_int_equal(decode(bytes, length, ""), CORE_OK);
}

/* One number of four bytes changed, with a checksum that is right again. */
static void
assert_refused(size_t at, uint32_t number, const char *reason)
{
	unsigned char bytes[MOST_BYTES];
	size_t		length = encode_example(bytes);

	memcpy(bytes + at, &number, sizeof(number));
	bytes_write_head(bytes, "BPN1", 1, length);
	assert_int_equal(decode(bytes, length, reason), CORE_CORRUPT);
}

static void
wrong_bytes_are_refused(void **state)
{
	unsigned char bytes[MOST_BYTES];
	size_t		length = encode_example(bytes);

	(void) state;
	for (size_t short_of = 1; short_of <= length; short_of++)
		assert_int_equal(decode(bytes, length - short_of, ""), CORE_CORRUPT);
	for (size_t i = 0; i < length; i++)
	{
		bytes[i] ^= 4;
		assert_int_equal(decode(bytes, length, ""), CORE_CORRUPT);
		bytes[i] ^= 4;
	}
	assert_refused(16, 3, "part");
	assert_refused(20, 0, "dimension");
	assert_refused(24, 3, "factors");
	assert_refused(28, 9, "layers");
	assert_refused(60, 0xFFFFFFF0, "not among");
	assert_refused(68, 1000, "cannot hold");
	assert_refused(72, 2, "kind of keys");
	assert_refused(76, 99, "keys are longer");
	assert_refused(length - 4, 0x7FC00000, "not finite");
}

static void
nodes_are_found_and_taken_out(void **state)
{
	unsigned char bytes[MOST_BYTES];
	size_t		length = encode_example(bytes);
	TestHost	host;
	Arena		arena;
	NetworkBlock block;
	Key			key = {0, "a", 1};

	(void) state;
	host_open(&host, 1);
	arena_open(&arena, &host.core);
	assert_int_equal(network_block_read(&host.core, &arena, bytes, length, &block), CORE_OK);
	assert_int_equal(network_block_find(&block, &key), 0);
	network_block_remove(&block, 0);
	assert_int_equal(network_block_find(&block, &key), -1);
	assert_int_equal(block.count, 1);
	assert_memory_equal(block.keys[0].bytes, "bcd", 3);
	assert_true(block.values[0] == 0.5f && block.values[1] == 3);
	arena_close(&arena);
	host_assert_clean(&host);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_network_comes_back),
		cmocka_unit_test(other_shapes_are_refused),
		cmocka_unit_test(layout_is_as_documented),
		cmocka_unit_test(wrong_bytes_are_refused),
		cmocka_unit_test(nodes_are_found_and_taken_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
