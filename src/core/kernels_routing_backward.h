/*
 * kernels_routing_backward.h
 *		The gradient of routing, once from the centre and once from the neighbour; part of kernels_template.h.
 *
 * Each entry is met twice, so that no two nodes write to the same row: as centre a node gathers what its
 * own sum makes of its neighbours, as neighbour what it gave to the sums of others.
 */

/* Gradient of the similarities (ds, laid out as pi) from that of the first weights (dp). */
INLINE void
routing_softmax_backward(const RoutingTask *t, const Lanes *pi, const Lanes *dp,
						 const bool own_centre, const int K, Lanes *ds)
{
	Lanes		scale = all(t->inverse_temperature);

	if (!own_centre)
	{
		Lanes		mean = all(0);

		for (int j = 0; j < K; j++)
			mean += dp[j] * pi[j * K + j];
		for (int j = 0; j < K; j++)
			ds[j * K + j] = scale * pi[j * K + j] * (dp[j] - mean);
		return;
	}
	for (int j = 0; j < K; j++)
	{
		Lanes		common = scale * dp[j] * pi[j * K + j];

		for (int k = 0; k < K; k++)
			ds[j * K + k] = (k == j ? common : all(0)) - common * pi[j * K + k];
	}
}

/*
 * The similarity gradient's way into one side.  As centre: sum_j += ds_jk * row_k; as
 * neighbour: sum_k += ds_jk * row_j.
 */
INLINE void
add_similarity_gradient(float *sum, const float *matrix, const Block *block, const Lanes *ds,
						const bool own_centre, const bool as_centre, const int K, const int W)
{
	for (int i = 0; i < block->count; i++)
	{
		const float *row = matrix + (int64_t) block->nodes[i] * (K * W);

		for (int j = 0; j < K; j++)
			for (int k = own_centre ? 0 : j; k < (own_centre ? K : j + 1); k++)
				add_part(sum, row, as_centre ? j : k, as_centre ? k : j, ds[j * K + k][i], W);
	}
}

/* The gradient of a sum that became the centre as it is. */
INLINE void
scaled_sum_gradient(const RoutingTask *t, float *g, float *dm, const int K, const int W)
{
	for (int d = 0; d < K * W; d += L)
	{
		store(dm + d, load(g + d) * all(t->last_scale));
		store(g + d, all(0));
	}
}

/* The gradient of m from that of the new centre; where there was no new centre, m had no
 * influence and the gradient stays with the old one. */
INLINE void
sum_gradient(const float *c, const float *lengths, float *g, float *dm, const int K, const int W)
{
	for (int j = 0; j < K; j++)
	{
		float		along = kernel_dot(c + j * W, g + j * W, W);
		float		scale = lengths[j] > 0 ? 1 / lengths[j] : 0;

		for (int d = j * W; d < (j + 1) * W; d += L)
		{
			store(dm + d, (load(g + d) - all(along) * load(c + d)) * all(scale));
			store(g + d, lengths[j] > 0 ? all(0) : load(g + d));
		}
	}
}

/* ds[j * K + k] times a number for each k, or for each j. */
INLINE void
scale_similarity_gradient(Lanes *ds, const Lanes *by, const bool by_k, const bool own_centre, const int K)
{
	for (int j = 0; j < K; j++)
		for (int k = own_centre ? 0 : j; k < (own_centre ? K : j + 1); k++)
			ds[j * K + k] *= by[by_k ? k : j];
}

/* What one block adds to the gradient of the old centre, and to its entries' weights. */
INLINE void
centre_block_backward(const RoutingTask *t, const Block *block, const float *old, const float *dm,
					  bool last, float *g, const bool own_centre, const int K, const int W)
{
	Lanes		transposed[KERNEL_MAX_WIDTH];
	Lanes		pi[KERNEL_MAX_FACTORS * KERNEL_MAX_FACTORS];
	Lanes		ds[KERNEL_MAX_FACTORS * KERNEL_MAX_FACTORS];
	Lanes		dp[KERNEL_MAX_FACTORS];
	Lanes		inverse[KERNEL_MAX_FACTORS];
	Lanes		along = all(0);

	transpose_rows(t->mapped, block, K * W, transposed);
	for (int j = 0; j < K; j++)
		dp[j] = pair_dot(transposed, dm, j, j, W);
	if (t->inverse_lengths != NULL)
	{
		block_inverses(t->inverse_lengths, block, K, inverse);
		scale_transposed(transposed, inverse, K, W);
	}
	routing_softmax(t, transposed, old, own_centre, true, K, W, pi);
	for (int j = 0; j < K; j++)
	{
		along += dp[j] * pi[j * K + j];
		dp[j] *= load(block->second);
	}
	if (t->weight_gradient != NULL)
		for (int i = 0; i < block->count; i++)
			t->weight_gradient[block->first + i] =
				along[i] + (last ? 0 : t->weight_gradient[block->first + i]);
	routing_softmax_backward(t, pi, dp, own_centre, K, ds);
	if (t->inverse_lengths != NULL)
		scale_similarity_gradient(ds, inverse, true, own_centre, K);
	add_similarity_gradient(g, t->mapped, block, ds, own_centre, true, K, W);
}

/* Routing weights taken as constants: what is left for v is its entries' second weights. */
INLINE void
centre_stopped(const RoutingTask *t, int32_t v, const float *dm, const int K, const int W)
{
	for (int64_t e = t->offsets[v]; e < t->offsets[v + 1]; e++)
	{
		const float *row = t->mapped + (int64_t) t->neighbours[e] * (K * W);
		float		along = 0;

		for (int j = 0; j < K; j++)
			along += t->first_weights[e * K + j] * kernel_dot(dm + j * W, row + j * W, W);
		t->weight_gradient[e] = along;
	}
}

INLINE void
backward_centre(const RoutingTask *t, int32_t v, const bool own_centre, const int K, const int W)
{
	int64_t		row = (int64_t) v * (K * W);
	float		g[KERNEL_MAX_WIDTH];
	float		old[KERNEL_MAX_WIDTH];
	float	   *dz = t->mapped_gradient + row;

	memcpy(g, t->centre_gradient + row, K * W * sizeof(float));
	memset(dz, 0, K * W * sizeof(float));
	for (int round = t->rounds - 1; round >= 0; round--)
	{
		float	   *dm = t->sum_gradients[round] + row;
		bool		last = round == t->rounds - 1;

		if (keeps_lengths(t, round))
			scaled_sum_gradient(t, g, dm, K, W);
		else
			sum_gradient(t->centres[round] + row, t->norms[round] + (int64_t) v * K, g, dm, K, W);
		kernel_add_scaled(dz, dm, 1, K * W);
		if (!t->full_gradient)
		{
			if (t->weight_gradient != NULL)
				centre_stopped(t, v, dm, K, W);
			return;
		}
		if (round == 0)
			unit_row(t->start, t->start_inverse, v, old, K, W);
		else
			memcpy(old, t->centres[round - 1] + row, K * W * sizeof(float));
		for (int64_t e = t->offsets[v]; e < t->offsets[v + 1]; e += L)
		{
			Block		block;

			centre_block(t, v, e, t->offsets[v + 1], &block);
			centre_block_backward(t, &block, old, dm, last, g, own_centre, K, W);
		}
	}
	if (t->unit_gradient != NULL)
		memset(t->unit_gradient + row, 0, K * W * sizeof(float));
	if (t->start_gradient != NULL)
		memcpy(t->start_gradient + row, g, K * W * sizeof(float));
	else
		kernel_add_scaled(t->unit_gradient != NULL ? t->unit_gradient + row : dz, g, 1, K * W);
}

/* Full gradient: what the centres of one block send to their neighbour u in one round: to
 * its z, and to the unit sub-vectors of it that similarities see. */
INLINE void
neighbour_block_backward(const RoutingTask *t, const Block *block, const float *z, const float *unit,
						 const float *old, const float *old_inverse, const float *dm,
						 float *dz, float *unit_gradient,
						 const bool own_centre, const int K, const int W)
{
	Lanes		transposed[KERNEL_MAX_WIDTH];
	Lanes		pi[KERNEL_MAX_FACTORS * KERNEL_MAX_FACTORS];
	Lanes		ds[KERNEL_MAX_FACTORS * KERNEL_MAX_FACTORS];
	Lanes		dp[KERNEL_MAX_FACTORS];
	Lanes		fused[KERNEL_MAX_FACTORS];
	Lanes		inverse[KERNEL_MAX_FACTORS];

	transpose_units(old, old_inverse, block, K, W, transposed);
	routing_softmax(t, transposed, unit, own_centre, false, K, W, pi);
	transpose_rows(dm, block, K * W, transposed);
	for (int j = 0; j < K; j++)
	{
		dp[j] = pair_dot(transposed, z, j, j, W) * load(block->second);
		fused[j] = pi[j * K + j] * load(block->second);
	}
	add_weighted_rows(dz, dm, block, fused, K, W);
	routing_softmax_backward(t, pi, dp, own_centre, K, ds);
	if (old_inverse != NULL)
	{
		block_inverses(old_inverse, block, K, inverse);
		scale_similarity_gradient(ds, inverse, false, own_centre, K);
	}
	add_similarity_gradient(unit_gradient, old, block, ds, own_centre, false, K, W);
}

/* Routing weights taken as constants: only the last round's weighted sum sends back. */
INLINE void
neighbour_block_stopped(const RoutingTask *t, const Block *block, float *dz, const int K, const int W)
{
	Lanes		fused[KERNEL_MAX_FACTORS];

	for (int i = 0; i < L; i++)
		for (int j = 0; j < K; j++)
			fused[j][i] = i < block->count ?
				block->second[i] * t->first_weights[(int64_t) t->reverse[block->first + i] * K + j] : 0;
	add_weighted_rows(dz, t->sum_gradients[t->rounds - 1], block, fused, K, W);
}

INLINE void
backward_neighbour(const RoutingTask *t, int32_t u, const bool own_centre, const int K, const int W)
{
	const float *z = t->mapped + (int64_t) u * (K * W);
	float	   *dz = t->mapped_gradient + (int64_t) u * (K * W);
	float		unit[KERNEL_MAX_WIDTH];
	float	   *unit_gradient = t->unit_gradient == NULL ? dz : t->unit_gradient + (int64_t) u * (K * W);

	if (t->full_gradient)
		unit_row(t->mapped, t->inverse_lengths, u, unit, K, W);
	for (int64_t e = t->offsets[u]; e < t->offsets[u + 1]; e += L)
	{
		Block		block;

		neighbour_block(t, u, e, t->offsets[u + 1], &block);
		if (!t->full_gradient)
		{
			prefetch_next_rows(t, t->sum_gradients[t->rounds - 1], e, t->offsets[u + 1], K * W);
			for (int64_t i = e + L; i < e + 2 * L && i < t->offsets[u + 1]; i++)
				__builtin_prefetch(t->first_weights + (int64_t) t->reverse[i] * K);
			neighbour_block_stopped(t, &block, dz, K, W);
			continue;
		}
		for (int round = 0; round < t->rounds; round++)
			neighbour_block_backward(t, &block, z, unit, round == 0 ? t->start : t->centres[round - 1],
									 round == 0 ? t->start_inverse : NULL,
									 t->sum_gradients[round], dz, unit_gradient, own_centre, K, W);
	}
}

/*
 * The default shape, 4 subspaces of 16 numbers, gets a copy of its own in which all inner
 * loops have fixed bounds; any other runs the same code with variable ones.
 */

static void
kernel_routing_backward_centre(const RoutingTask *task, int32_t first, int32_t last)
{
	for (int32_t v = first; v < last; v++)
	{
		if (task->own_centre)
			WITH_FIXED_SHAPE(backward_centre(task, v, true, K, W));
		else
			WITH_FIXED_SHAPE(backward_centre(task, v, false, K, W));
	}
}

static void
kernel_routing_backward_neighbour(const RoutingTask *task, int32_t first, int32_t last)
{
	for (int32_t u = first; u < last; u++)
	{
		if (task->own_centre)
			WITH_FIXED_SHAPE(backward_neighbour(task, u, true, K, W));
		else
			WITH_FIXED_SHAPE(backward_neighbour(task, u, false, K, W));
	}
}
