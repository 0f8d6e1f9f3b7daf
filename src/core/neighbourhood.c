/*
 * neighbourhood.c
 *		Draw blocks of a graph.
 *
 * Drawing goes over nodes in parallel; numbering what was drawn goes over all entries in order, so that
 * the numbers do not depend on threads.  Floor: a random read of the list and one of the number for each entry.
 */
#include "core/neighbourhood.h"

#include <string.h>

#include "core/random.h"

#define SHARD_NODES 256			/* whose lists are drawn at a time */
#define ENTRIES_BETWEEN_LOOKS (INT64_C(1) << 19)
#define NODES_BETWEEN_LOOKS 65536

static Core *
core_of(const Neighbourhood *neighbourhood)
{
	return neighbourhood->arena.core;
}

static size_t
words(int64_t entries)
{
	return (size_t) (entries + 63) / 64;
}

static void
set_bit(uint64_t *bits, int64_t entry, bool value)
{
	uint64_t	bit = UINT64_C(1) << entry % 64;

	bits[entry / 64] = value ? bits[entry / 64] | bit : bits[entry / 64] & ~bit;
}

/* Both directions of an edge. */
static void
set_edge(const Graph *graph, uint64_t *bits, int64_t entry, bool value)
{
	set_bit(bits, entry, value);
	set_bit(bits, graph->reverse[entry], value);
}

double
neighbourhood_bytes(double nodes, double edges)
{
	return nodes * (sizeof(float) + 2 * sizeof(int32_t)) + 2 * 2 * edges / 8;
}

/* Degrees without the edges that take no part. */
static CoreStatus
count_edges(Neighbourhood *neighbourhood)
{
	const Graph *graph = neighbourhood->graph;

	for (int32_t v = 0; v < graph->n_nodes; v++)
	{
		double		sum = 0;
		int32_t		n = 0;

		for (int64_t e = graph->offsets[v]; e < graph->offsets[v + 1]; e++)
			if (!neighbourhood_leaves_out(neighbourhood->left_out, e))
			{
				sum += graph->weights == NULL ? 1 : graph->weights[e];
				n++;
			}
		neighbourhood->degrees[v] = (float) sum;
		neighbourhood->counts[v] = n;
		neighbourhood->numbers[v] = -1;
		if (v % NODES_BETWEEN_LOOKS == 0 && !core_continues(core_of(neighbourhood)))
			return core_of(neighbourhood)->status;
	}
	return CORE_OK;
}

CoreStatus
neighbourhood_open(Neighbourhood *neighbourhood, Arena *arena, const Graph *graph, const uint8_t *marks, uint64_t seed)
{
	size_t		n_words = words(2 * graph->n_edges);

	*neighbourhood = (Neighbourhood) {.graph = graph, .seed = seed};
	arena_open(&neighbourhood->arena, arena->core);
	neighbourhood->left_out = arena_allocate_zeroed(arena, n_words, sizeof(uint64_t));
	neighbourhood->hidden = arena_allocate_zeroed(arena, n_words, sizeof(uint64_t));
	neighbourhood->degrees = arena_floats(arena, graph->n_nodes);
	neighbourhood->counts = arena_allocate(arena, graph->n_nodes, sizeof(int32_t));
	neighbourhood->numbers = arena_allocate(arena, graph->n_nodes, sizeof(int32_t));
	if (arena->core->status != CORE_OK)
		return arena->core->status;
	for (int64_t e = 0; marks != NULL && e < graph->n_edges; e++)
	{
		if (marks[e] != 0)
			set_edge(graph, neighbourhood->left_out, e, true);
		if (e % ENTRIES_BETWEEN_LOOKS == 0 && !core_continues(arena->core))
			return arena->core->status;
	}
	return count_edges(neighbourhood);
}

void
neighbourhood_hide(Neighbourhood *neighbourhood, const int64_t *entries, int n, bool hidden)
{
	for (int i = 0; i < n; i++)
		set_edge(neighbourhood->graph, neighbourhood->hidden, entries[i], hidden);
}

CoreStatus
neighbourhood_begin(Neighbourhood *neighbourhood, int32_t seeds)
{
	int32_t		n_nodes = neighbourhood->graph->n_nodes;

	memset(&neighbourhood->block, 0, sizeof(neighbourhood->block));
	neighbourhood->n_nodes = 0;
	neighbourhood->room = seeds < n_nodes ? seeds : n_nodes;
	neighbourhood->nodes = arena_allocate(&neighbourhood->arena, neighbourhood->room, sizeof(int32_t));
	return core_of(neighbourhood)->status;
}

/* The number of a node, which is added when it is not there yet. */
static inline int32_t
number_of(Neighbourhood *neighbourhood, int32_t node)
{
	int32_t    *number = &neighbourhood->numbers[node];

	if (*number < 0)
	{
		*number = neighbourhood->n_nodes;
		neighbourhood->nodes[neighbourhood->n_nodes++] = node;
	}
	return *number;
}

int32_t
neighbourhood_seed(Neighbourhood *neighbourhood, int32_t node)
{
	Graph	   *seeds = &neighbourhood->block.seeds;
	int32_t		number = number_of(neighbourhood, node);

	if (node < neighbourhood->graph->n_users)
		seeds->n_users = neighbourhood->n_nodes;
	seeds->n_nodes = neighbourhood->n_nodes;
	seeds->n_objects = seeds->n_nodes - seeds->n_users;
	return number;
}

/* Edges of seed user i to seed objects; they are listed when there is a place for them. */
static int64_t
list_known(const Neighbourhood *neighbourhood, int32_t i, int32_t *list)
{
	const Graph *graph = neighbourhood->graph;
	int32_t		user = neighbourhood->nodes[i];
	int64_t		n = 0;

	for (int64_t e = graph->offsets[user]; e < graph->offsets[user + 1]; e++)
	{
		int32_t		number = neighbourhood->numbers[graph->neighbours[e]];

		if (number < 0 || neighbourhood_leaves_out(neighbourhood->left_out, e))
			continue;
		if (list != NULL)
			list[n] = number;
		n++;
	}
	return n;
}

CoreStatus
neighbourhood_join_seeds(Neighbourhood *neighbourhood)
{
	Arena	   *arena = &neighbourhood->arena;
	Graph	   *seeds = &neighbourhood->block.seeds;

	seeds->offsets = arena_allocate_zeroed(arena, (size_t) seeds->n_nodes + 1, sizeof(int64_t));
	if (seeds->offsets == NULL)
		return arena->core->status;
	for (int32_t i = 0; i < seeds->n_nodes; i++)
		seeds->offsets[i + 1] = seeds->offsets[i] + (i < seeds->n_users ? list_known(neighbourhood, i, NULL) : 0);
	seeds->n_edges = seeds->offsets[seeds->n_nodes];
	seeds->neighbours = arena_allocate(arena, seeds->n_edges, sizeof(int32_t));
	for (int32_t i = 0; seeds->neighbours != NULL && i < seeds->n_users; i++)
		list_known(neighbourhood, i, seeds->neighbours + seeds->offsets[i]);
	return core_continues(arena->core) ? CORE_OK : arena->core->status;
}

/* Neighbours that are drawn for a node. */
static int64_t
list_length(const Graph *graph, int32_t node, int32_t most)
{
	int64_t		degree = graph_degree(graph, node);

	return most == 0 || degree <= most ? degree : most;
}

/* Drawing the lists of one layer. */
typedef struct Drawing
{
	const Neighbourhood *neighbourhood;
	uint64_t	seed;			/* of the turn and the layer */
	int32_t		n;				/* nodes */
	const int64_t *offsets;
	int32_t    *neighbours;		/* numbers in the graph, for now */
	float	   *weights;
} Drawing;

/* Entry i of the n that are drawn from the list of a node: of its stratum one. */
static int64_t
drawn_entry(const Drawing *drawing, int32_t node, int64_t i, int64_t n)
{
	const Graph *graph = drawing->neighbourhood->graph;
	int64_t		degree = graph_degree(graph, node);
	int64_t		low = degree * i / n;
	int64_t		high = degree * (i + 1) / n;

	return graph->offsets[node] + low + (high - low == 1 ? 0 : (int64_t) random_below(drawing->seed, node, i, high - low));
}

/* The list of one node.  Edges that take no part stand in it with weight 0. */
static void
draw_list(const Drawing *drawing, int32_t v)
{
	const Neighbourhood *neighbourhood = drawing->neighbourhood;
	const Graph *graph = neighbourhood->graph;
	int32_t		node = neighbourhood->nodes[v];
	int32_t    *neighbours = drawing->neighbours + drawing->offsets[v];
	float	   *weights = drawing->weights + drawing->offsets[v];
	int64_t		n = drawing->offsets[v + 1] - drawing->offsets[v];
	int64_t		counted = 0;
	float		scale;

	for (int64_t i = 0; i < n; i++)
	{
		int64_t		e = drawn_entry(drawing, node, i, n);
		bool		counts = !neighbourhood_leaves_out(neighbourhood->left_out, e);

		neighbours[i] = graph->neighbours[e];
		weights[i] = !counts || neighbourhood_leaves_out(neighbourhood->hidden, e) ? 0 :
			graph->weights == NULL ? 1 : graph->weights[e];
		counted += counts;
	}
	scale = counted > 0 ? (float) ((double) neighbourhood->counts[node] / counted) : 0;
	for (int64_t i = 0; i < n; i++)
		weights[i] *= scale;
}

static void
draw_lists(void *argument, int64_t shard, int worker)
{
	const Drawing *drawing = argument;
	int64_t		last = (shard + 1) * SHARD_NODES;

	(void) worker;
	for (int64_t v = shard * SHARD_NODES; v < last && v < drawing->n; v++)
		draw_list(drawing, (int32_t) v);
}

/* Give every neighbour its number in the block; room for all that may be new. */
static CoreStatus
number_neighbours(Neighbourhood *neighbourhood, int32_t *neighbours, int64_t n)
{
	Core	   *core = core_of(neighbourhood);
	int64_t		room = neighbourhood->n_nodes + n;

	room = room < neighbourhood->graph->n_nodes ? room : neighbourhood->graph->n_nodes;
	if (room > neighbourhood->room)
	{
		int32_t    *nodes = arena_grow(&neighbourhood->arena, neighbourhood->nodes, neighbourhood->room, room,
									   sizeof(int32_t));

		if (nodes == NULL)
			return core->status;	/* the old ones are still to be given up */
		neighbourhood->nodes = nodes;
		neighbourhood->room = (int32_t) room;
	}
	for (int64_t e = 0; e < n; e++)
	{
		neighbours[e] = number_of(neighbourhood, neighbours[e]);
		if (e % ENTRIES_BETWEEN_LOOKS == 0 && !core_continues(core))
			return core->status;
	}
	return CORE_OK;
}

/* The same entries by neighbour. */
static CoreStatus
turn_round(Neighbourhood *neighbourhood, const int64_t *offsets, const int32_t *neighbours, int32_t n, LayerLists *lists)
{
	Arena	   *arena = &neighbourhood->arena;
	int32_t		n_in = neighbourhood->n_nodes;
	int64_t    *starts = arena_allocate_zeroed(arena, (size_t) n_in + 1, sizeof(int64_t));
	int32_t    *back = arena_allocate(arena, lists->n_entries, sizeof(int32_t));
	uint32_t   *reverse = arena_allocate(arena, lists->n_entries, sizeof(uint32_t));

	if (arena->core->status != CORE_OK)
		return arena->core->status;
	for (int64_t e = 0; e < lists->n_entries; e++)
		starts[neighbours[e] + 1]++;
	for (int32_t v = 0; v < n_in; v++)
		starts[v + 1] += starts[v];
	for (int32_t v = 0; v < n; v++)
	{
		for (int64_t e = offsets[v]; e < offsets[v + 1]; e++)
		{
			int64_t		place = starts[neighbours[e]]++;

			back[place] = v;
			reverse[place] = (uint32_t) e;
		}
		if (v % NODES_BETWEEN_LOOKS == 0 && !core_continues(arena->core))
			return arena->core->status;
	}
	memmove(starts + 1, starts, (size_t) n_in * sizeof(int64_t));
	starts[0] = 0;
	lists->back_offsets = starts;
	lists->back_neighbours = back;
	lists->reverse = reverse;
	return CORE_OK;
}

/* The lists of all nodes so far. */
static CoreStatus
draw_layer(Neighbourhood *neighbourhood, int32_t most, uint64_t seed, bool for_training, LayerLists *lists)
{
	Arena	   *arena = &neighbourhood->arena;
	int32_t		n = neighbourhood->n_nodes;
	int64_t    *offsets = arena_allocate(arena, (size_t) n + 1, sizeof(int64_t));
	Drawing		drawing = {.neighbourhood = neighbourhood, .seed = seed, .n = n, .offsets = offsets};

	if (offsets == NULL)
		return arena->core->status;
	offsets[0] = 0;
	for (int32_t v = 0; v < n; v++)
		offsets[v + 1] = offsets[v] + list_length(neighbourhood->graph, neighbourhood->nodes[v], most);
	lists->n_entries = offsets[n];
	drawing.neighbours = arena_allocate(arena, lists->n_entries, sizeof(int32_t));
	drawing.weights = arena_floats(arena, lists->n_entries);
	if (arena->core->status != CORE_OK ||
		core_parallel(arena->core, ((int64_t) n + SHARD_NODES - 1) / SHARD_NODES, draw_lists, &drawing) != CORE_OK ||
		number_neighbours(neighbourhood, drawing.neighbours, lists->n_entries) != CORE_OK)
		return arena->core->status;
	lists->offsets = offsets;
	lists->neighbours = drawing.neighbours;
	lists->weights = drawing.weights;
	return for_training ? turn_round(neighbourhood, offsets, drawing.neighbours, n, lists) : CORE_OK;
}

/* Degrees of the block's nodes in the whole graph. */
static CoreStatus
copy_degrees(Neighbourhood *neighbourhood)
{
	float	   *degrees = arena_floats(&neighbourhood->arena, neighbourhood->n_nodes);

	for (int32_t v = 0; degrees != NULL && v < neighbourhood->n_nodes; v++)
		degrees[v] = neighbourhood->degrees[neighbourhood->nodes[v]];
	neighbourhood->block.degrees = degrees;
	return core_of(neighbourhood)->status;
}

CoreStatus
neighbourhood_grow(Neighbourhood *neighbourhood, int layers, int first, int last, int32_t most, uint64_t turn,
				   bool for_training)
{
	GraphBlock *block = &neighbourhood->block;
	uint64_t	seed = random_bits(neighbourhood->seed, RANDOM_NEIGHBOURS, turn);

	for (int l = last; l <= layers; l++)
		block->layer_nodes[l] = neighbourhood->n_nodes;
	for (int l = last - 1; l >= first; l--)
	{
		if (draw_layer(neighbourhood, most, random_bits(seed, RANDOM_NEIGHBOURS, l), for_training,
					   &block->lists[l]) != CORE_OK)
			return core_of(neighbourhood)->status;
		block->layer_nodes[l] = neighbourhood->n_nodes;
	}
	for (int l = 0; l < first; l++)
		block->layer_nodes[l] = neighbourhood->n_nodes;
	return copy_degrees(neighbourhood);
}

void
neighbourhood_end(Neighbourhood *neighbourhood)
{
	for (int32_t v = 0; v < neighbourhood->n_nodes; v++)
		neighbourhood->numbers[neighbourhood->nodes[v]] = -1;
	neighbourhood->n_nodes = 0;
	arena_close(&neighbourhood->arena);
}
