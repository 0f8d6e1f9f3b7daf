/*
 * metric_aggregates.c
 *		auc(), pr_auc(), log_loss(), brier(), ece(), lift_at(), precision_at(), recall_at(),
 *		ndcg_at(), psi(): aggregates over labels and scores.
 *
 * Rows with a NULL label or score are left out.  A score that is NaN ranks nowhere and is
 * an error.  Metrics that look at the order of scores keep them all in a MetricState, which
 * is changed in place: nobody but the aggregate sees it.  Means of a loss are kept and
 * combined as by avg().
 */
#include "postgres.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "pg/bridge.h"
#include "pg/metric_state.h"

PG_FUNCTION_INFO_V1(behavpred_add_ranked);
PG_FUNCTION_INFO_V1(behavpred_add_probability);
PG_FUNCTION_INFO_V1(behavpred_add_shift);
PG_FUNCTION_INFO_V1(behavpred_add_log_loss);
PG_FUNCTION_INFO_V1(behavpred_add_brier);
PG_FUNCTION_INFO_V1(behavpred_metric_combine);
PG_FUNCTION_INFO_V1(behavpred_auc);
PG_FUNCTION_INFO_V1(behavpred_pr_auc);
PG_FUNCTION_INFO_V1(behavpred_ece);
PG_FUNCTION_INFO_V1(behavpred_lift_at);
PG_FUNCTION_INFO_V1(behavpred_precision_at);
PG_FUNCTION_INFO_V1(behavpred_recall_at);
PG_FUNCTION_INFO_V1(behavpred_ndcg_at);
PG_FUNCTION_INFO_V1(behavpred_psi);

#define DEFAULT_BINS 10
#define LABEL 1					/* arguments of the functions that add a row */
#define SCORE 2
#define CONSTANT 3

/* ---- arguments --------------------------------------------------------------------------- */

/* The state is changed in place, which only an aggregate's own may be. */
static void
check_context(FunctionCallInfo fcinfo)
{
	if (!AggCheckCallContext(fcinfo, NULL))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("function called outside of an aggregate"),
				 errdetail("It is a part of the metrics that are aggregates."),
				 errhint("SELECT behavpred.auc(label, score) FROM a_table;")));
}

/* The argument's type, as the call was parsed. */
static Oid
argument_type(FunctionCallInfo fcinfo, int argument)
{
	return get_fn_expr_argtype(fcinfo->flinfo, argument);
}

/* boolean, or integer 0 and 1 */
static bool
label_argument(FunctionCallInfo fcinfo)
{
	int32		label;

	if (argument_type(fcinfo, LABEL) == BOOLOID)
		return PG_GETARG_BOOL(LABEL);
	label = PG_GETARG_INT32(LABEL);
	if (label != 0 && label != 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a label is %d", label),
				 errdetail("A label is 1 or true where it happened, 0 or false where it did not."),
				 errhint("Write it as a condition, such as label > 0.")));
	return label == 1;
}

/* A number that can be ranked. */
static double
number_argument(FunctionCallInfo fcinfo, int argument)
{
	double		value = PG_GETARG_FLOAT8(argument);

	if (isnan(value))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a score is NaN"),
				 errdetail("It stands neither above nor below the others."),
				 errhint("Leave such rows out with FILTER (WHERE score <> 'NaN'), or make them NULL with nullif(score, 'NaN').")));
	return value;
}

/* A number from 0 to 1. */
static double
probability_argument(FunctionCallInfo fcinfo)
{
	double		value = number_argument(fcinfo, SCORE);

	if (value < 0 || value > 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a probability is %g", value),
				 errdetail("log_loss, brier and ece compare probabilities, from 0 to 1, with what happened."),
				 errhint("Use predict() or audience(), which give probabilities; of other scores auc() and pr_auc() tell the quality.")));
	return value;
}

/* The third argument of an aggregate must not be NULL. */
static void
check_constant(FunctionCallInfo fcinfo, const char *name)
{
	if (PG_ARGISNULL(CONSTANT))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("%s must not be NULL", name),
				 errhint("Write a constant.")));
}

static double
fraction_argument(FunctionCallInfo fcinfo)
{
	double		fraction;

	check_constant(fcinfo, "fraction");
	fraction = PG_GETARG_FLOAT8(CONSTANT);
	if (!(fraction > 0 && fraction <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fraction is %g", fraction),
				 errdetail("It must be above 0 and at most 1."),
				 errhint("0.01 is the best hundredth; a number of rows is written as an integer, such as 100.")));
	return fraction;
}

/* A number of rows or bins: an integer from 1 to `most`. */
static double
count_argument(FunctionCallInfo fcinfo, const char *name, int most)
{
	int			count;

	check_constant(fcinfo, name);
	count = PG_GETARG_INT32(CONSTANT);
	if (count < 1 || count > most)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is %d", name, count),
				 errdetail("It must be from 1 to %d.", most),
				 errhint("Usual is 10.")));
	return count;
}

static double
bins_argument(FunctionCallInfo fcinfo)
{
	return PG_NARGS() > CONSTANT ? count_argument(fcinfo, "bins", METRIC_MOST_BINS) : DEFAULT_BINS;
}

/* ---- rows -------------------------------------------------------------------------------- */

/* The state of an aggregate whose third argument has this value; it must not change. */
static MetricState *
state_argument(FunctionCallInfo fcinfo, double constant, bool counted)
{
	MetricState *state = metric_state_argument(fcinfo, 0);

	if (state == NULL)
		return metric_state_open(constant, counted);
	if (state->argument != constant)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the third argument of a metric changes from row to row"),
				 errdetail("It was %g before, now it is %g.", state->argument, constant),
				 errhint("Write a constant.")));
	return state;
}

/* A transition that adds nothing. */
static Datum
same_state(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_DATUM(PG_GETARG_DATUM(0));
}

/* (state, label, score [, k or fraction]) */
Datum
behavpred_add_ranked(PG_FUNCTION_ARGS)
{
	bool		counted = PG_NARGS() > CONSTANT && argument_type(fcinfo, CONSTANT) == INT4OID;
	double		constant = 0;
	double		score;

	check_context(fcinfo);
	if (PG_ARGISNULL(LABEL) || PG_ARGISNULL(SCORE))
		return same_state(fcinfo);
	if (PG_NARGS() > CONSTANT)
		constant = counted ? count_argument(fcinfo, "k", PG_INT32_MAX) : fraction_argument(fcinfo);
	score = number_argument(fcinfo, SCORE);
	PG_RETURN_POINTER(metric_state_add(state_argument(fcinfo, constant, counted), label_argument(fcinfo), score));
}

/* (state, label, probability [, bins]) */
Datum
behavpred_add_probability(PG_FUNCTION_ARGS)
{
	double		probability;

	check_context(fcinfo);
	if (PG_ARGISNULL(LABEL) || PG_ARGISNULL(SCORE))
		return same_state(fcinfo);
	probability = probability_argument(fcinfo);
	PG_RETURN_POINTER(metric_state_add(state_argument(fcinfo, bins_argument(fcinfo), false),
									   label_argument(fcinfo), probability));
}

/* (state, expected, actual [, bins]): each that is not NULL joins its sample. */
Datum
behavpred_add_shift(PG_FUNCTION_ARGS)
{
	MetricState *state;

	check_context(fcinfo);
	if (PG_ARGISNULL(LABEL) && PG_ARGISNULL(SCORE))
		return same_state(fcinfo);
	state = state_argument(fcinfo, bins_argument(fcinfo), false);
	if (!PG_ARGISNULL(LABEL))
		state = metric_state_add(state, true, number_argument(fcinfo, LABEL));
	if (!PG_ARGISNULL(SCORE))
		state = metric_state_add(state, false, number_argument(fcinfo, SCORE));
	PG_RETURN_POINTER(state);
}

/* One row more, or the rows of another process or server. */
Datum
behavpred_metric_combine(PG_FUNCTION_ARGS)
{
	MetricState *state = metric_state_argument(fcinfo, 0);
	MetricState *other = metric_state_argument(fcinfo, 1);

	check_context(fcinfo);
	if (other == NULL)
		return same_state(fcinfo);
	if (state == NULL)
		state = metric_state_open(other->argument, other->counted);
	PG_RETURN_POINTER(metric_state_append(state, other));
}

/* A mean that avg(float8) could have begun: add one loss. */
static Datum
add_to_mean(FunctionCallInfo fcinfo, double loss)
{
	LOCAL_FCINFO(inner, 2);

	InitFunctionCallInfoData(*inner, NULL, 2, InvalidOid, fcinfo->context, NULL);
	inner->args[0] = fcinfo->args[0];
	inner->args[1].value = Float8GetDatum(loss);
	inner->args[1].isnull = false;
	return float8_accum(inner);
}

/* (state of avg, label, probability) */
Datum
behavpred_add_log_loss(PG_FUNCTION_ARGS)
{
	const float label = label_argument(fcinfo);
	const double probability = probability_argument(fcinfo);
	const Cases one = {1, &label, &probability, NULL};

	return add_to_mean(fcinfo, metric_log_loss(&one));
}

/* (state of avg, label, probability) */
Datum
behavpred_add_brier(PG_FUNCTION_ARGS)
{
	const float label = label_argument(fcinfo);
	const double probability = probability_argument(fcinfo);
	const Cases one = {1, &label, &probability, NULL};

	return add_to_mean(fcinfo, metric_brier(&one));
}

/* ---- results ----------------------------------------------------------------------------- */

/* A metric of all cases, given the constant that the state keeps. */
typedef CoreStatus (*Metric) (Core *core, const Cases *cases, const MetricState *state, double *value);

/* What the metric says of the state; NULL when the data cannot tell. */
static Datum
metric_result(FunctionCallInfo fcinfo, Metric metric)
{
	MetricState *state = metric_state_argument(fcinfo, 0);
	double		value = NAN;
	Core	   *core;
	Arena		arena;
	Cases		cases;

	if (state == NULL)
		PG_RETURN_NULL();
	core = bridge_open(1);
	arena_open(&arena, core);
	if (metric_state_cases(&arena, state, &cases) == CORE_OK)
		metric(core, &cases, state, &value);
	bridge_check(core, "computing a metric");
	bridge_close(core);
	if (isnan(value))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(value);
}

/* How many cases the top has. */
static double
top_count(const Cases *cases, const MetricState *state)
{
	return state->counted ? state->argument : state->argument * cases->n;
}

static CoreStatus
auc(Core *core, const Cases *cases, const MetricState *state, double *value)
{
	return metric_auc(core, cases, value);
}

Datum
behavpred_auc(PG_FUNCTION_ARGS)
{
	return metric_result(fcinfo, auc);
}

static CoreStatus
pr_auc(Core *core, const Cases *cases, const MetricState *state, double *value)
{
	return metric_pr_auc(core, cases, value);
}

Datum
behavpred_pr_auc(PG_FUNCTION_ARGS)
{
	return metric_result(fcinfo, pr_auc);
}

static CoreStatus
ece(Core *core, const Cases *cases, const MetricState *state, double *value)
{
	return metric_ece(core, cases, (int) state->argument, value);
}

Datum
behavpred_ece(PG_FUNCTION_ARGS)
{
	return metric_result(fcinfo, ece);
}

static CoreStatus
lift_at(Core *core, const Cases *cases, const MetricState *state, double *value)
{
	return metric_lift_of_top(core, cases, top_count(cases, state), value);
}

Datum
behavpred_lift_at(PG_FUNCTION_ARGS)
{
	return metric_result(fcinfo, lift_at);
}

static CoreStatus
precision_at(Core *core, const Cases *cases, const MetricState *state, double *value)
{
	return metric_precision(core, cases, top_count(cases, state), value);
}

Datum
behavpred_precision_at(PG_FUNCTION_ARGS)
{
	return metric_result(fcinfo, precision_at);
}

static CoreStatus
recall_at(Core *core, const Cases *cases, const MetricState *state, double *value)
{
	return metric_recall(core, cases, top_count(cases, state), value);
}

Datum
behavpred_recall_at(PG_FUNCTION_ARGS)
{
	return metric_result(fcinfo, recall_at);
}

static CoreStatus
ndcg_at(Core *core, const Cases *cases, const MetricState *state, double *value)
{
	return metric_ndcg(core, cases, state->argument, value);
}

Datum
behavpred_ndcg_at(PG_FUNCTION_ARGS)
{
	return metric_result(fcinfo, ndcg_at);
}

static CoreStatus
psi(Core *core, const Cases *cases, const MetricState *state, double *value)
{
	return metric_psi(core, cases, (int) state->argument, value);
}

Datum
behavpred_psi(PG_FUNCTION_ARGS)
{
	return metric_result(fcinfo, psi);
}
