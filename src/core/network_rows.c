/*
 * network_rows.c
 *		The rows of a network cut into shards, and functions run over them.
 */
#include "core/network.h"

/* Entries of one shard of nodes: about 2 ms of routing. */
#define SHARD_ENTRIES 16384

/* Entries that a node is gone through with, in a block in both directions and all layers. */
static int64_t
node_entries(const Network *network, int32_t v)
{
	int64_t		entries = 0;

	if (network->degrees == NULL)
		return graph_degree(network->graph, v);
	for (int l = 0; l < network->options->layers && v < network->layer_nodes[l]; l++)
	{
		const LayerLists *lists = &network->lists[l];

		if (lists->offsets != NULL && v < network->layer_nodes[l + 1])
			entries += lists->offsets[v + 1] - lists->offsets[v];
		if (lists->back_offsets != NULL)
			entries += lists->back_offsets[v + 1] - lists->back_offsets[v];
	}
	return entries;
}

/* All of them. */
static int64_t
all_entries(const Network *network)
{
	int64_t		entries = 0;

	if (network->degrees == NULL)
		return 2 * network->graph->n_edges;
	for (int l = 0; l < network->options->layers; l++)
		entries += 2 * network->lists[l].n_entries;
	return entries;
}

CoreStatus
network_cut_shards(Network *network, Arena *arena)
{
	int32_t		n_nodes = network->layer_nodes[0];
	int64_t		work = all_entries(network) + n_nodes;
	int64_t		most = work / SHARD_ENTRIES * 2 + 2;
	int64_t		filled = 0;

	network->shards = arena_allocate(arena, most + 1, sizeof(int32_t));
	if (network->shards == NULL)
		return network->core->status;
	network->shards[0] = 0;
	for (int32_t v = 0; v < n_nodes; v++)
	{
		int64_t		cost = node_entries(network, v) + 1;

		if (filled > 0 && filled + cost > SHARD_ENTRIES)
		{
			network->shards[++network->n_shards] = v;
			filled = 0;
		}
		filled += cost;
	}
	network->shards[++network->n_shards] = n_nodes;
	return CORE_OK;
}

typedef struct OverNodes
{
	const Network *network;
	NodeFunction function;
	void	   *argument;
	int32_t		end;			/* of the rows */
} OverNodes;

static void
run_node_shard(void *argument, int64_t shard, int worker)
{
	const OverNodes *over = argument;
	int32_t		last = over->network->shards[shard + 1];

	(void) worker;
	over->function(over->network, over->argument, over->network->shards[shard],
				   last < over->end ? last : over->end, shard);
}

int
network_shards_of_rows(const Network *network, int32_t n)
{
	int			low = 0;
	int			high = network->n_shards;

	while (low < high)
	{
		int			middle = (low + high) / 2;

		if (network->shards[middle] < n)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

CoreStatus
network_over_rows(const Network *network, int32_t n, NodeFunction function, void *argument)
{
	OverNodes	over = {network, function, argument, n};

	return core_parallel(network->core, network_shards_of_rows(network, n), run_node_shard, &over);
}

CoreStatus
network_over_nodes(const Network *network, NodeFunction function, void *argument)
{
	return network_over_rows(network, network->graph->n_nodes, function, argument);
}
