/*
 * pairs.c
 *		Pairs of users and objects from CSV files.
 */
#include "pairs.h"

#include <stdio.h>
#include <stdlib.h>

#include "clocks.h"

/* Read one file; unknown users or objects of a test file are left out. */
static void
read_pairs(const char *path, Pairs *data, Interactions *pairs, bool add)
{
	FILE	   *file = fopen(path, "r");
	char		line[256];
	bool		header = true;

	if (file == NULL)
	{
		perror(path);
		exit(1);
	}
	while (fgets(line, sizeof(line), file) != NULL)
	{
		Key			user = {0},
					object = {0};
		long long	u,
					o;
		int32_t		un,
					on;

		if (header)
		{
			header = false;
			continue;
		}
		if (sscanf(line, "%lld,%lld", &u, &o) != 2)
			continue;
		user.integer = u;
		object.integer = o;
		un = add ? dictionary_add(&data->users, &user) : dictionary_find(&data->users, &user);
		on = add ? dictionary_add(&data->objects, &object) : dictionary_find(&data->objects, &object);
		if (un >= 0 && on >= 0)
			interactions_add(pairs, un, on, 1);
	}
	fclose(file);
}

void
pairs_load(Core *core, Arena *arena, const char *train, const char *test, Pairs *data)
{
	Interactions pairs;
	int32_t    *new_users,
			   *new_objects;
	uint64_t   *hashes;

	dictionary_open(&data->users, arena, KEY_INTEGER);
	dictionary_open(&data->objects, arena, KEY_INTEGER);
	interactions_open(&pairs, arena, false);
	interactions_open(&data->test, arena, false);
	read_pairs(train, data, &pairs, true);
	dictionary_sort(&data->users, &new_users);
	dictionary_sort(&data->objects, &new_objects);
	check(core, "reading");
	interactions_renumber(&pairs, new_users, new_objects);
	graph_build(core, arena, &pairs, data->users.count, data->objects.count, 0, 42, &data->graph);
	check(core, "building the graph");
	hashes = arena_allocate(arena, data->graph.n_nodes, sizeof(uint64_t));
	for (int32_t v = 0; v < data->graph.n_nodes; v++)
	{
		Key			key = v < data->graph.n_users ? dictionary_key(&data->users, v) :
			dictionary_key(&data->objects, v - data->graph.n_users);

		hashes[v] = key_hash(KEY_INTEGER, &key);
	}
	data->graph.key_hashes = hashes;
	read_pairs(test, data, &data->test, false);
}
