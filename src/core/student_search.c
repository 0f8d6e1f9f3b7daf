/*
 * student_search.c
 *		Fitting a student to samples that are elsewhere.
 *
 * Each step tries the whole length that Newton's method or L-BFGS proposes and asks for loss
 * and derivatives there at once; mostly it is good, and the next direction needs no further
 * sums.  Only when the loss has not fallen enough is half of it tried.
 */
#include "core/student_search.h"

#include <math.h>
#include <string.h>

/* Numbers of the first layers' weights and of all parameters. */
static int64_t
parameter_count(const StudentSearch *search)
{
	return student_parameter_count(search->student.n_layers, search->student.widths);
}

/* True for a weight, false for a layer's offset, which the ridge leaves alone. */
static bool
is_weight(const Student *network, int64_t parameter)
{
	for (int layer = 0; layer < network->n_layers; layer++)
	{
		int64_t		weights = (int64_t) network->widths[layer] * network->widths[layer + 1];

		if (parameter < weights)
			return true;
		parameter -= weights + network->widths[layer + 1];
		if (parameter < 0)
			return false;
	}
	return false;
}

/* Start at the intercept alone that fits best, an MLP at random weights. */
static CoreStatus
start(StudentSearch *search)
{
	int64_t		n = parameter_count(search);
	float	   *weights = arena_floats(search->arena, (size_t) n);

	if (weights == NULL)
		return search->core->status;
	memset(search->parameters, 0, (size_t) n * sizeof(double));
	if (search->student.n_layers == 1)
		search->parameters[n - 1] = log(search->fit.base_rate / (1.0 - search->fit.base_rate));
	else
	{
		student_mlp_start(&search->fit, &search->student, weights);
		for (int64_t i = 0; i < n; i++)
			search->parameters[i] = weights[i];
	}
	memcpy(search->plan.parameters, search->parameters, (size_t) n * sizeof(double));
	return CORE_OK;
}

/* What does not change from step to step. */
static void
fill_plan(StudentSearch *search)
{
	SumsPlan   *plan = &search->plan;

	plan->pass = search->descent.newton ? SUMS_HESSIAN : SUMS_GRADIENT;
	plan->network = search->student;
	plan->hard_scale = search->anchoring ? 0.0 : search->fit.hard_scale;
	plan->soft_scale = search->fit.soft_scale;
	plan->temperature = search->fit.options->soft_temperature;
}

/* See student_search.h. */
CoreStatus
student_search_open(Core *core, Arena *arena, const StudentOptions *options, const StudentSums *statistics,
					bool has_soft, StudentSearch *search)
{
	int			width = statistics->width;
	LabelSums	labels = sums_labels(statistics, has_soft);
	ColumnStatistics *columns = arena_allocate(arena, (size_t) width, sizeof(ColumnStatistics));
	int64_t		n;

	*search = (StudentSearch) {.core = core, .arena = arena};
	search->fit = (StudentFit) {.core = core, .scratch = arena, .options = options, .n = statistics->n, .width = width};
	if (columns == NULL || student_check_options(core, options) != CORE_OK ||
		student_check_classes(core, &labels) != CORE_OK)
		return core->status;
	for (int column = 0; column < width; column++)
		columns[column] = sums_column(statistics, column);
	student_scale_losses(&search->fit, &labels);
	student_shape(options, width, &search->student);
	n = parameter_count(search);
	search->student.parameters = arena_floats(arena, (size_t) n);
	search->parameters = arena_doubles(arena, (size_t) n);
	search->plan.has_soft = has_soft;
	search->plan.parameters = arena_doubles(arena, (size_t) n);
	search->anchoring = student_is_anchored(&search->fit);
	if (core->status != CORE_OK ||
		student_scale_inputs(core, arena, statistics->n, width, columns, &search->plan.scale) != CORE_OK ||
		descent_open(&search->descent, arena, (int) n,
					 options->kind == STUDENT_LOGISTIC && width <= DESCENT_MOST_NEWTON_WIDTH) != CORE_OK)
		return core->status;
	fill_plan(search);
	return start(search);
}

/* Derivatives from the sums, in the layout of descent.h, ridge included; returns the loss. */
static double
take_sums(StudentSearch *search, const StudentSums *sums)
{
	Descent    *d = &search->descent;
	const double *triangle = sums->values + 1 + d->n;
	double		ridge = search->anchoring ? STUDENT_ANCHOR_RIDGE : search->fit.ridge;
	double		loss = sums->values[0];

	for (int i = 0; i < d->n; i++)
	{
		bool		weight = is_weight(&search->student, i);
		double		from_anchor = search->plan.parameters[i] - (search->fit.anchor != NULL ? search->fit.anchor[i] : 0.0);

		d->gradient[i] = sums->values[1 + i] + (weight ? ridge * from_anchor : 0.0);
		loss += weight ? ridge / 2.0 * from_anchor * from_anchor : 0.0;
		for (int j = i; d->newton && j < d->n; j++)
			d->hessian[(size_t) i * (size_t) d->n + (size_t) j] = *triangle++;
		if (d->newton && weight)
			d->hessian[(size_t) i * (size_t) d->n + (size_t) i] += ridge;
	}
	return loss;
}

/* The loss along the direction d as its first two derivatives have it at the start. */
static double
curvature_along(const Descent *d)
{
	double		sum = 0.0;

	for (int i = 0; i < d->n; i++)
		for (int j = i; j < d->n; j++)
			sum += (i == j ? 1.0 : 2.0) * d->hessian[(size_t) i * (size_t) d->n + (size_t) j] *
				d->direction[i] * d->direction[j];
	return sum;
}

/* How far to go at first: Newton's method knows, L-BFGS's first step is as long as a unit. */
static double
first_length(const StudentSearch *search)
{
	const Descent *d = &search->descent;
	double		norm = 0.0;

	if (d->newton)
		return -search->slope / curvature_along(d);
	for (int i = 0; i < d->n; i++)
		norm += d->direction[i] * d->direction[i];
	return d->pairs > 0 ? 1.0 : fmin(1.0, 1.0 / sqrt(norm));
}

/* Ask for the sums `length` along the direction. */
static void
try_length(StudentSearch *search, double length)
{
	search->length = length;
	for (int i = 0; i < search->descent.n; i++)
		search->plan.parameters[i] = search->parameters[i] + length * search->descent.direction[i];
}

/* The fit has ended; that of an anchor goes over into the other. */
static CoreStatus
end_fit(StudentSearch *search)
{
	size_t		size = (size_t) search->descent.n * sizeof(double);
	double	   *anchor;

	if (!search->anchoring)
	{
		search->done = true;
		return CORE_OK;
	}
	anchor = arena_doubles(search->arena, (size_t) search->descent.n);
	if (anchor == NULL)
		return search->core->status;
	memcpy(anchor, search->parameters, size);
	memcpy(search->plan.parameters, search->parameters, size);
	search->fit.anchor = anchor;
	search->anchoring = false;
	search->length = 0.0;
	search->halvings = 0;
	search->steps = 0;
	search->descent.pairs = 0;
	fill_plan(search);
	return CORE_OK;
}

/* From where the search stands now, with its derivatives, into the next direction. */
static CoreStatus
go_on(StudentSearch *search)
{
	Descent    *d = &search->descent;
	double		length;

	if (search->steps >= search->fit.options->iterations || descent_greatest_gradient(d) < DESCENT_SMALL_GRADIENT)
		return end_fit(search);
	descent_direction(d, search->steps > 0 ? search->length : 0.0);
	search->slope = 0.0;
	for (int i = 0; i < d->n; i++)
		search->slope += d->gradient[i] * d->direction[i];
	length = first_length(search);
	if (!(search->slope < 0.0 && length > 0.0) || -search->slope * length < DESCENT_SMALL_DECREASE)
		return end_fit(search);
	search->halvings = 0;
	try_length(search, length);
	return CORE_OK;
}

/* See student_search.h. */
CoreStatus
student_search_step(StudentSearch *search, const StudentSums *sums)
{
	bool		at_start = search->length == 0.0;
	double		loss;

	if (sums->pass != (int32_t) search->plan.pass || sums->width != search->fit.width ||
		(size_t) sums->n_values * sizeof(double) + sizeof(StudentSums) != sums_size(&search->plan, sums->width))
		return core_fail(search->core, CORE_CORRUPT, "the sums are not those that were asked for");
	loss = take_sums(search, sums);
	if (at_start && !isfinite(loss))
		return core_fail(search->core, CORE_DIVERGED, "the loss is %g", loss);
	if (at_start || loss <= search->loss + DESCENT_SUFFICIENT_DECREASE * search->length * search->slope)
	{
		search->loss = loss;
		search->steps += at_start ? 0 : 1;
		memcpy(search->parameters, search->plan.parameters, (size_t) search->descent.n * sizeof(double));
		return go_on(search);
	}
	if (++search->halvings > DESCENT_MOST_HALVINGS)
		return end_fit(search);
	try_length(search, search->length / 2.0);
	return CORE_OK;
}

/* See student_search.h. */
CoreStatus
student_search_finish(StudentSearch *search)
{
	return student_fold_in(search->core, &search->plan.scale, search->parameters, &search->student);
}
