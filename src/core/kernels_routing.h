/*
 * kernels_routing.h
 *		Routing between subspaces, and what its way back shares; part of kernels_template.h.
 *
 * Neighbours are taken in blocks of KERNEL_LANES.  A block's rows are transposed, so that
 * a lane is a neighbour: all similarities, the softmax over subspaces and its gradient
 * are then plain vector arithmetic without a sum across lanes.  Weighted sums of rows use
 * the rows as they lie in memory.
 *
 * Cost for each entry and round, K subspaces of width W, K * W = D: 2 D shuffles, K D
 * multiply-adds for similarities (each centre: D), K^2 exponentials (each centre: K), D
 * multiply-adds for the sum; D * 4 bytes gathered.
 */

typedef struct Block
{
	int			count;			/* neighbours in this block, 1 .. L */
	int64_t		first;			/* entry of the first */
	int32_t		nodes[L];		/* filled up with the first node ... */
	float		second[L];		/* ... and weight 0 */
} Block;

/* The next block of the list of v; second weights are those of v as centre. */
INLINE void
centre_block(const RoutingTask *t, int32_t v, int64_t e, int64_t end, Block *block)
{
	float		left = t->left == NULL ? 1 : t->left[v];

	block->first = e;
	block->count = end - e < L ? (int) (end - e) : L;
	for (int i = 0; i < L; i++)
	{
		bool		there = i < block->count;
		int32_t		u = t->neighbours[there ? e + i : e];

		block->nodes[i] = u;
		block->second[i] = there ? left * entry_weight(t->weights, NULL, t->right, e + i, u) : 0;
	}
}

/* The next block of centres that u is a neighbour of; second weights are theirs for u. */
INLINE void
neighbour_block(const RoutingTask *t, int32_t u, int64_t e, int64_t end, Block *block)
{
	float		right = t->right == NULL ? 1 : t->right[u];

	block->first = e;
	block->count = end - e < L ? (int) (end - e) : L;
	for (int i = 0; i < L; i++)
	{
		bool		there = i < block->count;
		int32_t		v = t->neighbours[there ? e + i : e];

		block->nodes[i] = v;
		block->second[i] = there ? right *
			entry_weight(t->weights, t->symmetric_weights ? NULL : t->reverse, t->left, e + i, v) : 0;
	}
}

/* Ask for the rows of the next block while this one is worked on: a row is 4 cache lines
 * at 64 dimensions, and far more rows exist than the second-level cache holds. */
INLINE void
prefetch_next_rows(const RoutingTask *t, const float *matrix, int64_t e, int64_t end, const int width)
{
	for (int64_t i = e + L; i < e + 2 * L && i < end; i++)
	{
		const float *row = matrix + (int64_t) t->neighbours[i] * width;

		for (int d = 0; d < width; d += 16)
			__builtin_prefetch(row + d);
	}
}

#if defined(__clang__)
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (IntLanes) {__VA_ARGS__})
#endif

/* Eight rows of eight numbers: out[column][row]. */
INLINE void
transpose_square(const Lanes *r, Lanes *out)
{
	Lanes		a[8],
				b[8];

	for (int i = 0; i < 8; i += 2)
	{
		a[i] = SHUFFLE(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
		a[i + 1] = SHUFFLE(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
	}
	for (int i = 0; i < 8; i += 4)
	{
		b[i] = SHUFFLE(a[i], a[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
		b[i + 1] = SHUFFLE(a[i], a[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
		b[i + 2] = SHUFFLE(a[i + 1], a[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
		b[i + 3] = SHUFFLE(a[i + 1], a[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
	}
	for (int i = 0; i < 4; i++)
	{
		out[i] = SHUFFLE(b[i], b[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
		out[i + 4] = SHUFFLE(b[i], b[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
	}
}

/* Columns column .. column + 7 of the block's rows of `matrix`, transposed. */
INLINE void
transpose_columns(const float *matrix, const Block *block, const int width, int column, Lanes *out)
{
	Lanes		rows[L];

	for (int i = 0; i < L; i++)
		rows[i] = load(matrix + (int64_t) block->nodes[i] * width + column);
	transpose_square(rows, out);
}

/* All of them: out[column] holds that column of all rows. */
INLINE void
transpose_rows(const float *matrix, const Block *block, const int width, Lanes *out)
{
	for (int column = 0; column < width; column += L)
		transpose_columns(matrix, block, width, column, out + column);
}

/* 1 / length of sub-vector k of the block's nodes: inverse[k] holds that of all nodes. */
INLINE void
block_inverses(const float *inverse_lengths, const Block *block, const int K, Lanes *inverse)
{
	for (int i = 0; i < L; i++)
		for (int k = 0; k < K; k++)
			inverse[k][i] = inverse_lengths[(int64_t) block->nodes[i] * K + k];
}

INLINE void
scale_transposed(Lanes *transposed, const Lanes *by, const int K, const int W)
{
	for (int k = 0; k < K; k++)
		for (int d = k * W; d < (k + 1) * W; d++)
			transposed[d] *= by[k];
}

/* transpose_rows(), each sub-vector brought to unit length; no lengths: it has that already. */
INLINE void
transpose_units(const float *matrix, const float *inverse_lengths, const Block *block,
				const int K, const int W, Lanes *out)
{
	Lanes		inverse[KERNEL_MAX_FACTORS];

	if (inverse_lengths == NULL)
	{
		transpose_rows(matrix, block, K * W, out);
		return;
	}
	block_inverses(inverse_lengths, block, K, inverse);
	for (int column = 0; column < K * W; column += L)
	{
		Lanes		part[L];

		transpose_columns(matrix, block, K * W, column, part);
		for (int i = 0; i < L; i++)
			out[column + i] = part[i] * inverse[column / W];
	}
}

/* The unit sub-vectors of one node. */
INLINE void
unit_row(const float *matrix, const float *inverse_lengths, int32_t v, float *row, const int K, const int W)
{
	memcpy(row, matrix + (int64_t) v * (K * W), K * W * sizeof(float));
	if (inverse_lengths == NULL)
		return;
	for (int k = 0; k < K; k++)
		for (int d = k * W; d < (k + 1) * W; d += L)
			store(row + d, load(row + d) * all(inverse_lengths[(int64_t) v * K + k]));
}

/* Similarity of subspace a of the transposed rows with subspace b of one plain row. */
INLINE Lanes
pair_dot(const Lanes *transposed, const float *plain, const int a, const int b, const int W)
{
	Lanes		sum = all(0);

	for (int d = 0; d < W; d++)
		sum += transposed[a * W + d] * all(plain[b * W + d]);
	return sum;
}

/* dots of `rows` (1 or 2) subspaces from a with four from b: as many sums in flight as hide an
 * addition's latency, and loads shared between them. */
INLINE void
tile_dots(const Lanes *transposed, const float *plain, const int rows, int a, int b, const int K, const int W,
		  Lanes *dots)
{
	Lanes		sums[2][4];

	for (int i = 0; i < rows; i++)
		for (int j = 0; j < 4; j++)
			sums[i][j] = all(0);
	for (int d = 0; d < W; d++)
		for (int j = 0; j < 4; j++)
		{
			Lanes		y = all(plain[(b + j) * W + d]);

			for (int i = 0; i < rows; i++)
				sums[i][j] += transposed[(a + i) * W + d] * y;
		}
	for (int i = 0; i < rows; i++)
		for (int j = 0; j < 4; j++)
			dots[(a + i) * K + b + j] = sums[i][j];
}

/* dots[a * K + b] for all pairs. */
INLINE void
all_pair_dots(const Lanes *transposed, const float *plain, const int K, const int W, Lanes *dots)
{
	int			whole = K / 4 * 4;

	for (int b = 0; b < whole; b += 4)
		for (int a = 0; a < whole; a += 2)
			tile_dots(transposed, plain, 2, a, b, K, W, dots);
	for (int a = 0; a < K; a++)
		for (int b = a < whole ? whole : 0; b < K; b++)
			dots[a * K + b] = pair_dot(transposed, plain, a, b, W);
}


/* Exponentials of the similarities for all pairs of a centre's subspace j and a mapped
 * subspace k: e[j * K + k].  `mapped_is_transposed` tells which of the two rows holds z. */
INLINE void
routing_exponentials(const RoutingTask *t, const Lanes *transposed, const float *plain,
					 const bool mapped_is_transposed, const int K, const int W, Lanes *e)
{
	Lanes		scale = all(t->inverse_temperature);
	Lanes		dots[KERNEL_MAX_FACTORS * KERNEL_MAX_FACTORS];

	all_pair_dots(transposed, plain, K, W, dots);
	for (int j = 0; j < K; j++)
		for (int k = 0; k < K; k++)
			e[j * K + k] = lane_exp(scale * dots[mapped_is_transposed ? k * K + j : j * K + k]);
}

/* DisenGCN's first weights: p[j * step] is the softmax over j of z_j . c_j. */
INLINE void
each_centre_weights(const RoutingTask *t, const Lanes *transposed, const float *plain,
					const int K, const int W, const int step, Lanes *p)
{
	Lanes		scale = all(t->inverse_temperature);
	Lanes		sum = all(0);
	Lanes		inverse;

	for (int j = 0; j < K; j++)
	{
		p[j * step] = lane_exp(scale * pair_dot(transposed, plain, j, j, W));
		sum += p[j * step];
	}
	inverse = all(1) / sum;
	for (int j = 0; j < K; j++)
		p[j * step] *= inverse;
}

/* First weights p[j] of a block for a centre row. */
INLINE void
first_weights(const RoutingTask *t, const Lanes *transposed, const float *centre,
			  const bool own_centre, const int K, const int W, Lanes *p)
{
	Lanes		e[KERNEL_MAX_FACTORS * KERNEL_MAX_FACTORS];

	if (!own_centre)
	{
		each_centre_weights(t, transposed, centre, K, W, 1, p);
		return;
	}
	routing_exponentials(t, transposed, centre, true, K, W, e);
	for (int j = 0; j < K; j++)
	{
		Lanes		sum = e[j * K];

		for (int k = 1; k < K; k++)
			sum += e[j * K + k];
		p[j] = e[j * K + j] / sum;
	}
}

/*
 * The whole routing softmax of a block, for the backward pass.  Claim 5: pi[j * K + k] is
 * the softmax over k of z_k . c_j, and the first weight of subspace j is pi[j * K + j].
 * Each centre: only pi[j * K + j] is set.
 */
INLINE void
routing_softmax(const RoutingTask *t, const Lanes *transposed, const float *plain,
				const bool own_centre, const bool mapped_is_transposed,
				const int K, const int W, Lanes *pi)
{
	if (!own_centre)
	{
		each_centre_weights(t, transposed, plain, K, W, K + 1, pi);
		return;
	}
	routing_exponentials(t, transposed, plain, mapped_is_transposed, K, W, pi);
	for (int j = 0; j < K; j++)
	{
		Lanes		sum = pi[j * K];

		for (int k = 1; k < K; k++)
			sum += pi[j * K + k];
		sum = all(1) / sum;
		for (int k = 0; k < K; k++)
			pi[j * K + k] *= sum;
	}
}

/* sum sub-vector `to` += weight * sub-vector `from` of row */
INLINE void
add_part(float *sum, const float *row, const int to, const int from, float weight, const int W)
{
	for (int d = 0; d < W; d += L)
		store(sum + to * W + d, load(sum + to * W + d) + all(weight) * load(row + from * W + d));
}

/* sum_j += weights[j][i] * row_i, j, over the block's rows of `matrix`.  Places beyond the
 * block's count have weight 0, so that the loop over rows has a fixed length. */
INLINE void
add_weighted_rows(float *sum, const float *matrix, const Block *block, const Lanes *weights,
				  const int K, const int W)
{
	for (int j = 0; j < K; j++)
	{
		float		w[L];

		store(w, weights[j]);
		for (int d = j * W; d < (j + 1) * W; d += L)
		{
			Lanes		part = load(sum + d);

			for (int i = 0; i < L; i++)
				part += all(w[i]) * load(matrix + (int64_t) block->nodes[i] * (K * W) + d);
			store(sum + d, part);
		}
	}
}

/* m_j to unit length; a vector without direction leaves the old centre, with length 0. */
INLINE void
new_centre(const float *m, float *c, float *lengths, const int K, const int W)
{
	for (int j = 0; j < K; j++)
	{
		float		length = sqrtf(kernel_dot(m + j * W, m + j * W, W));

		lengths[j] = length > SMALLEST_LENGTH ? length : 0;
		if (length <= SMALLEST_LENGTH)
			continue;
		for (int d = 0; d < W; d += L)
			store(c + j * W + d, load(m + j * W + d) / all(length));
	}
}

/* True when the centres of this round keep the lengths of their sums. */
INLINE bool
keeps_lengths(const RoutingTask *t, int round)
{
	return t->last_scale > 0 && round == t->rounds - 1;
}

/* One round for one node: c is the old centre and becomes the new one. */
INLINE void
route_round(const RoutingTask *t, int32_t v, int round, float *c,
			const bool own_centre, const int K, const int W)
{
	float		m[KERNEL_MAX_WIDTH];
	float		lengths[KERNEL_MAX_FACTORS];
	bool		last = round == t->rounds - 1;

	memcpy(m, t->mapped + (int64_t) v * (K * W), K * W * sizeof(float));
	for (int64_t e = t->offsets[v]; e < t->offsets[v + 1]; e += L)
	{
		Block		block;
		Lanes		transposed[KERNEL_MAX_WIDTH];
		Lanes		p[KERNEL_MAX_FACTORS];

		centre_block(t, v, e, t->offsets[v + 1], &block);
		prefetch_next_rows(t, t->mapped, e, t->offsets[v + 1], K * W);
		transpose_units(t->mapped, t->inverse_lengths, &block, K, W, transposed);
		first_weights(t, transposed, c, own_centre, K, W, p);
		if (last && t->first_weights != NULL)
			for (int i = 0; i < block.count; i++)
				for (int j = 0; j < K; j++)
					t->first_weights[(e + i) * K + j] = p[j][i];
		for (int j = 0; j < K; j++)
			p[j] *= load(block.second);
		add_weighted_rows(m, t->mapped, &block, p, K, W);
	}
	if (keeps_lengths(t, round))
	{
		for (int d = 0; d < K * W; d += L)
			store(c + d, load(m + d) * all(t->last_scale));
		memset(lengths, 0, sizeof(lengths));
	}
	else
		new_centre(m, c, lengths, K, W);
	if (t->norms[round] != NULL)
		memcpy(t->norms[round] + (int64_t) v * K, lengths, K * sizeof(float));
	if (t->centres[round] != NULL)
		memcpy(t->centres[round] + (int64_t) v * (K * W), c, K * W * sizeof(float));
}

INLINE void
route_nodes(const RoutingTask *t, int32_t first, int32_t last,
			const bool own_centre, const int K, const int W)
{
	float		c[KERNEL_MAX_WIDTH];

	for (int32_t v = first; v < last; v++)
	{
		unit_row(t->start, t->start_inverse, v, c, K, W);
		for (int round = 0; round < t->rounds; round++)
			route_round(t, v, round, c, own_centre, K, W);
	}
}

#if defined(__SANITIZE_ADDRESS__)	/* compiling it twice under a sanitizer takes a minute */
#define WITH_FIXED_SHAPE(call) \
	do { const int K = task->factors, W = task->sub_width; call; } while (0)
#else
#define WITH_FIXED_SHAPE(call) \
	do { \
		if (task->factors == 4 && task->sub_width == 16) { const int K = 4, W = 16; call; } \
		else { const int K = task->factors, W = task->sub_width; call; } \
	} while (0)
#endif

static void
kernel_routing_forward(const RoutingTask *task, int32_t first, int32_t last)
{
	if (task->own_centre)
		WITH_FIXED_SHAPE(route_nodes(task, first, last, true, K, W));
	else
		WITH_FIXED_SHAPE(route_nodes(task, first, last, false, K, W));
}
