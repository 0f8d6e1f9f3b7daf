/*
 * network_parameters.c
 *		The parameters of a network to and from blocks.
 *
 * Columns that only fill a sub-vector up to whole lanes are left out on the way out, and are
 * zero again on the way in.
 */
#include "core/network_parameters.h"

#include "core/encoder_training.h"

/* See network_parameters.h. */
Network *
encoder_network(EncoderTraining *training)
{
	return &training->network;
}

/* A matrix of shared parameters; of rows or columns that stand for those of a node's vector,
 * the real ones count. */
typedef struct SharedArray
{
	size_t		start;
	int			rows;
	int			columns;
	bool		rows_are_columns;
	bool		columns_are_columns;
} SharedArray;

#define MOST_ARRAYS (4 + 6 * NETWORK_MAX_LAYERS)

/* Every array but ID embeddings and biases, in the order of the layout. */
static int
list_arrays(const Network *network, SharedArray *arrays)
{
	const ParameterLayout *layout = &network->layout;
	int			width = network->width;
	int			n = 0;

	for (int side = 0; side < 2; side++)
		if (network->features[side] != NULL)
		{
			arrays[n++] = (SharedArray) {layout->projections[side], width, network->features[side]->columns, true, false};
			arrays[n++] = (SharedArray) {layout->projection_offsets[side], 1, width, false, true};
		}
	for (int l = 0; l < network->options->layers; l++)
	{
		if (network->linear_mapping)
		{
			arrays[n++] = (SharedArray) {layout->mappings[l], width, width, true, true};
			arrays[n++] = (SharedArray) {layout->mapping_offsets[l], 1, width, false, true};
		}
		if (network->options->attention == ATTENTION_ADDITIVE)
		{
			arrays[n++] = (SharedArray) {layout->attention_own[l], network->attention_width, width, false, true};
			arrays[n++] = (SharedArray) {layout->attention_other[l], network->attention_width, width, false, true};
			arrays[n++] = (SharedArray) {layout->attention_nu[l], 1, network->attention_width, false, false};
		}
		if (network->graph->types != NULL)
			arrays[n++] = (SharedArray) {layout->type_gains[l], 2, GRAPH_MOST_TYPES, false, false};
	}
	return n;
}

/* Where real column i of a vector stands. */
static int
column_place(const Network *network, int i)
{
	int			part = network->options->dimension / network->options->factors;

	return i / part * network->sub_width + i % part;
}

/* Numbers of an array that count. */
static int64_t
array_count(const Network *network, const SharedArray *array)
{
	int64_t		rows = array->rows_are_columns ? network->options->dimension : array->rows;
	int64_t		columns = array->columns_are_columns ? network->options->dimension : array->columns;

	return rows * columns;
}

/* Where number i of an array stands. */
static size_t
array_place(const Network *network, const SharedArray *array, int64_t i)
{
	int			columns = array->columns_are_columns ? network->options->dimension : array->columns;
	int			row = (int) (i / columns);
	int			column = (int) (i % columns);

	if (array->rows_are_columns)
		row = column_place(network, row);
	if (array->columns_are_columns)
		column = column_place(network, column);
	return array->start + (size_t) row * array->columns + column;
}

/* Copy shared numbers between the network and `values`, whichever way. */
static void
copy_shared(const Network *network, int64_t first, int64_t count, float *values, bool put)
{
	SharedArray arrays[MOST_ARRAYS];
	int			n = list_arrays(network, arrays);

	for (int a = 0; a < n && count > 0; a++)
	{
		int64_t		size = array_count(network, &arrays[a]);

		for (; first < size && count > 0; first++, count--, values++)
		{
			float	   *number = network->parameters + array_place(network, &arrays[a], first);

			if (put)
				*number = *values;
			else
				*values = *number;
		}
		first -= size;
	}
}

/* See network_parameters.h. */
NetworkShape
network_shape(const Network *network)
{
	const EncoderOptions *options = network->options;
	SharedArray arrays[MOST_ARRAYS];
	int			n = list_arrays(network, arrays);
	NetworkShape shape = {
		.dimension = options->dimension, .factors = options->factors, .layers = options->layers,
		.attention_width = options->attention == ATTENTION_ADDITIVE ? options->attention_width : 0,
		.linear_mapping = network->linear_mapping, .id_embeddings = network->layout.id_count > 0,
	};

	for (int side = 0; side < 2; side++)
		if (network->features[side] != NULL)
			shape.features[side] = network->features[side]->columns;
	for (int a = 0; a < n; a++)
		shape.n_shared += array_count(network, &arrays[a]);
	return shape;
}

/* See network_parameters.h. */
CoreStatus
network_shape_check(const Network *network, const NetworkShape *stored)
{
	NetworkShape own = network_shape(network);
	const struct
	{
		const char *name;
		int64_t		own;
		int64_t		stored;
	}			pairs[] = {
		{"dimension", own.dimension, stored->dimension},
		{"factors", own.factors, stored->factors},
		{"layers", own.layers, stored->layers},
		{"attention_width", own.attention_width, stored->attention_width},
		{"linear mapping", own.linear_mapping, stored->linear_mapping},
		{"id_embeddings", own.id_embeddings, stored->id_embeddings},
		{"features of users", own.features[0], stored->features[0]},
		{"features of objects", own.features[1], stored->features[1]},
		{"shared numbers", own.n_shared, stored->n_shared},
	};

	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		if (pairs[i].own != pairs[i].stored)
			return core_fail(network->core, CORE_INVALID, "%s: %lld in this training, %lld in the stored network",
							 pairs[i].name, (long long) pairs[i].own, (long long) pairs[i].stored);
	return CORE_OK;
}

/* Copy one node's numbers, whichever way. */
static void
copy_node(const Network *network, NetworkPart part, int32_t number, float *row, bool put)
{
	const ParameterLayout *layout = &network->layout;
	bool		of_object = part == NETWORK_OBJECTS;
	int			dimension = layout->id_count > 0 ? network->options->dimension : 0;
	size_t		node = (size_t) number + (of_object ? network->graph->n_users : 0);
	float	   *own = network->parameters + layout->id_embeddings + node * network->width;

	for (int i = 0; i < dimension; i++)
	{
		float	   *place = own + column_place(network, i);

		if (put)
			*place = row[i];
		else
			row[i] = *place;
	}
	if (!of_object)
		return;
	own = network->parameters + layout->object_bias + number;
	if (put)
		*own = row[dimension];
	else
		row[dimension] = *own;
}

/* See network_parameters.h. */
void
network_take(const Network *network, NetworkPart part, int64_t first, int32_t count, float *values)
{
	NetworkShape shape = network_shape(network);
	int			row = network_row_count(&shape, part);

	if (part == NETWORK_SHARED)
		copy_shared(network, first, count, values, false);
	else
		for (int32_t i = 0; i < count; i++)
			copy_node(network, part, (int32_t) first + i, values + (size_t) i * row, false);
}

/* See network_parameters.h. */
void
network_put_shared(Network *network, int64_t first, int32_t count, const float *values)
{
	copy_shared(network, first, count, (float *) values, true);
}

/* See network_parameters.h. */
void
network_put_node(Network *network, NetworkPart part, int32_t number, const float *row)
{
	copy_node(network, part, number, (float *) row, true);
}
