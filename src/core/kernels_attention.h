/*
 * kernels_attention.h
 *		Additive attention over neighbours (GeniePath's breadth function), forward and
 *		backward; part of kernels_template.h.
 *
 * score(e) = nu . tanh(own[v] + other[u]), and the second weight is the interaction's
 * weight times exp(score), divided by the sum of these over the neighbours of v
 * (CN111681059 claim 6 normalises over the neighbours only; the node itself enters with
 * weight 1).  The inner product with nu costs width tanh for each entry.
 */

INLINE float
interaction_weight(const AttentionTask *t, int64_t e)
{
	return t->entry_weights == NULL ? 1 : t->entry_weights[e];
}

INLINE float
attention_score(const AttentionTask *t, int32_t v, int64_t e)
{
	const float *own = t->own + (int64_t) v * t->width;
	const float *other = t->other + (int64_t) t->neighbours[e] * t->width;
	Lanes		sum = all(0);

	for (int d = 0; d < t->width; d += L)
		sum += load(t->nu + d) * lane_tanh(load(own + d) + load(other + d));
	return lane_sum(sum);
}

static void
kernel_attention_forward(const AttentionTask *t, int32_t first, int32_t last)
{
	for (int32_t v = first; v < last; v++)
	{
		int64_t		begin = t->offsets[v];
		int64_t		end = t->offsets[v + 1];
		float		largest = -INFINITY;
		float		sum = 0;

		for (int64_t e = begin; e < end; e++)
		{
			t->scores[e] = attention_score(t, v, e);
			if (interaction_weight(t, e) > 0)
				largest = fmaxf(largest, t->scores[e]);
		}
		for (int64_t e = begin; e < end; e++)
		{
			t->scores[e] = lane_exp(all(t->scores[e] - largest))[0] * interaction_weight(t, e);
			sum += t->scores[e];
		}
		for (int64_t e = begin; e < end; e++)
			t->scores[e] = sum > 0 ? t->scores[e] / sum : 0;
	}
}

/* tanh of an entry, and the gradient of its argument given that of the score. */
INLINE Lanes
argument_gradient(const AttentionTask *t, Lanes own, const float *other, float g, int d, Lanes *tangent)
{
	*tangent = lane_tanh(own + load(other + d));
	return all(g) * load(t->nu + d) * (all(1) - *tangent * *tangent);
}

/* Through the softmax, then into own[v] and nu. */
static void
kernel_attention_backward_centre(const AttentionTask *t, int32_t first, int32_t last,
								 float *nu_gradient)
{
	for (int32_t v = first; v < last; v++)
	{
		int64_t		begin = t->offsets[v];
		int64_t		end = t->offsets[v + 1];
		const float *own = t->own + (int64_t) v * t->width;
		float		mean = 0;

		for (int64_t e = begin; e < end; e++)
			mean += t->scores[e] * t->score_gradient[e];
		for (int64_t e = begin; e < end; e++)
			t->score_gradient[e] = t->scale * t->scores[e] * (t->score_gradient[e] - mean);

		for (int d = 0; d < t->width; d += L)
		{
			Lanes		own_sum = all(0);
			Lanes		nu_sum = all(0);

			for (int64_t e = begin; e < end; e++)
			{
				const float *other = t->other + (int64_t) t->neighbours[e] * t->width;
				Lanes		tangent;

				own_sum += argument_gradient(t, load(own + d), other, t->score_gradient[e], d, &tangent);
				nu_sum += all(t->score_gradient[e]) * tangent;
			}
			store(t->own_gradient + (int64_t) v * t->width + d, own_sum);
			store(nu_gradient + d, load(nu_gradient + d) + nu_sum);
		}
	}
}

/* Into other[u], from all nodes that u is a neighbour of. */
static void
kernel_attention_backward_neighbour(const AttentionTask *t, int32_t first, int32_t last)
{
	for (int32_t u = first; u < last; u++)
	{
		const float *other = t->other + (int64_t) u * t->width;

		for (int d = 0; d < t->width; d += L)
		{
			Lanes		sum = all(0);

			for (int64_t e = t->offsets[u]; e < t->offsets[u + 1]; e++)
			{
				const float *own = t->own + (int64_t) t->neighbours[e] * t->width;
				Lanes		tangent;

				sum += argument_gradient(t, load(own + d), other,
										 t->score_gradient[t->reverse[e]], d, &tangent);
			}
			store(t->other_gradient + (int64_t) u * t->width + d, sum);
		}
	}
}
