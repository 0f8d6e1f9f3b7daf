/*
 * target_curves.c
 *		roc_curve(), calibration_curve() and audience_curve() of a target.
 *
 * The first two show the test part that the training kept.  The third scores the users
 * that an audience is chosen from, and says how sure one can be by that test part.
 */
#include "postgres.h"

#include <math.h>

#include "fmgr.h"
#include "utils/builtins.h"

#include "pg/arguments.h"
#include "pg/audience_selection.h"
#include "pg/bridge.h"
#include "pg/fractions.h"
#include "pg/held_out.h"
#include "pg/result_rows.h"

PG_FUNCTION_INFO_V1(behavpred_roc_curve);
PG_FUNCTION_INFO_V1(behavpred_calibration_curve);
PG_FUNCTION_INFO_V1(behavpred_audience_curve);

#define MOST_POINTS 100000

/* ---- the test part ----------------------------------------------------------------------- */

/* The name in argument 0. */
static char *
target_argument(FunctionCallInfo fcinfo)
{
	return name_given(fcinfo, 0, "target", "SELECT * FROM behavpred.audience_curve('buys_42');");
}

/* A number of points or bins, argument 1. */
static int
points_argument(FunctionCallInfo fcinfo, const char *name, int usual)
{
	int			points = PG_ARGISNULL(1) ? usual : PG_GETARG_INT32(1);

	if (points < 1 || points > MOST_POINTS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s is %d", name, points),
				 errdetail("It must be from 1 to %d.", MOST_POINTS),
				 errhint("Leave it out for %d.", usual)));
	return points;
}

/* The test part of the version that argument 2 names, or of the deployed one. */
static void
find_part(FunctionCallInfo fcinfo, Arena *arena, HeldOutPart *held_out)
{
	TargetDefinition *target = target_definition_read(target_argument(fcinfo));

	held_out_find(arena, target, PG_ARGISNULL(2) ? target->deployed_version : PG_GETARG_INT32(2), held_out);
}

/* A row of numbers, NaN as NULL. */
static void
add_numbers(ResultRows *rows, const double *numbers, int n, Datum *values, bool *nulls, int first)
{
	for (int i = 0; i < n; i++)
	{
		values[first + i] = Float8GetDatum(numbers[i]);
		nulls[first + i] = isnan(numbers[i]);
	}
	result_rows_add(rows, values, nulls);
}

/* roc_curve(target, points, version) */
Datum
behavpred_roc_curve(PG_FUNCTION_ARGS)
{
	int			most = points_argument(fcinfo, "points", 100);
	Core	   *core = bridge_open(1);
	ResultRows	rows = result_rows_open(fcinfo);
	HeldOutPart held_out;
	RocPoint   *points;
	Ranking		ranking;
	Arena		arena;
	int64		n;

	arena_open(&arena, core);
	find_part(fcinfo, &arena, &held_out);
	points = arena_allocate(&arena, most + 2, sizeof(RocPoint));
	evaluation_ranking(core, &arena, &held_out.part, &ranking);
	bridge_check(core, "drawing a curve");
	n = curve_roc(&ranking, most, points);
	for (int64 i = 0; i < n; i++)
	{
		const double numbers[] = {
			i == 0 ? NAN : student_probability(&held_out.student, points[i].threshold), points[i].selected,
			points[i].false_positive_rate, points[i].true_positive_rate
		};
		Datum		values[4];
		bool		nulls[4];

		add_numbers(&rows, numbers, 4, values, nulls, 0);
	}
	bridge_close(core);
	return (Datum) 0;
}

/* calibration_curve(target, bins, version) */
Datum
behavpred_calibration_curve(PG_FUNCTION_ARGS)
{
	int			most = points_argument(fcinfo, "bins", 10);
	Core	   *core = bridge_open(1);
	ResultRows	rows = result_rows_open(fcinfo);
	HeldOutPart held_out;
	CalibrationBin *bins;
	Arena		arena;
	int			n;

	arena_open(&arena, core);
	find_part(fcinfo, &arena, &held_out);
	bins = arena_allocate(&arena, most, sizeof(CalibrationBin));
	bridge_check(core, "drawing a curve");
	curve_calibration(core, &held_out.part, most, bins, &n);
	bridge_check(core, "drawing a curve");
	for (int i = 0; i < n; i++)
	{
		const double numbers[] = {bins[i].probability, bins[i].rate, bins[i].low, bins[i].high};
		Datum		values[7] = {Int32GetDatum(i + 1), Int64GetDatum(bins[i].cases), Int64GetDatum(bins[i].positives)};
		bool		nulls[7] = {false};

		add_numbers(&rows, numbers, 4, values, nulls, 3);
	}
	bridge_close(core);
	return (Datum) 0;
}

/* ---- audiences --------------------------------------------------------------------------- */

/* The request of all users that an audience can be chosen from. */
static AudienceRequest
whole_request(FunctionCallInfo fcinfo)
{
	AudienceRequest request = {0};

	request.target = target_definition_for(target_argument(fcinfo), PRIVILEGE_READ);
	request.exclude_known = PG_ARGISNULL(2) || PG_GETARG_BOOL(2);
	request.candidates = PG_ARGISNULL(3) ? request.target->candidates : relation_qualified_name(PG_GETARG_OID(3));
	request.threads = threads_argument(fcinfo, 4);
	return request;
}

static int
compare_fractions(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

/* The sizes that the fractions make of n users, each once, ascending. */
static AudiencePoint *
wanted_sizes(FunctionCallInfo fcinfo, int64 n, int *n_points)
{
	int			n_fractions;
	double	   *fractions = fractions_argument(fcinfo, 1, &n_fractions);
	AudiencePoint *points = palloc0(Max(n_fractions, 1) * sizeof(AudiencePoint));

	*n_points = 0;
	if (n == 0 || n_fractions == 0)
		return points;
	qsort(fractions, n_fractions, sizeof(double), compare_fractions);
	for (int i = 0; i < n_fractions; i++)
	{
		int64		size = Max((int64) (fractions[i] * n + 0.5), 1);

		if (*n_points == 0 || points[*n_points - 1].size < size)
			points[(*n_points)++].size = size;
	}
	return points;
}

/* Draw the curve over the selected, who are all. */
static void
draw_curve(Audience *audience, const HeldOutPart *held_out, AudiencePoint *points, int n_points)
{
	int64		n = audience->selection.n;
	double	   *scores = arena_doubles(&audience->arena, n);
	double	   *probabilities = arena_doubles(&audience->arena, n);

	bridge_check(audience->core, "drawing a curve");
	for (int64 i = 0; i < n; i++)
	{
		double		lift;

		scores[i] = audience->selection.entries[i].score;
		probabilities[i] = audience_probability(audience, &audience->selection.entries[i], &lift);
	}
	curve_audience(audience->core, n, scores, probabilities, held_out != NULL ? &held_out->part : NULL,
				   points, n_points);
	bridge_check(audience->core, "drawing a curve");
}

static void
return_points(FunctionCallInfo fcinfo, const Audience *audience, const AudiencePoint *points, int n)
{
	ResultRows	rows = result_rows_open(fcinfo);
	double		rate = audience->student->base_rate;

	for (int i = 0; i < n; i++)
	{
		const AudiencePoint *point = &points[i];
		double		precision = point->expected / point->size;
		const double numbers[] = {
			(double) point->size / audience->selection.n, point->threshold, point->expected, point->low, point->high,
			precision, point->recall, precision / rate, point->low / point->size / rate,
			point->high / point->size / rate
		};
		Datum		values[11] = {Int64GetDatum(point->size)};
		bool		nulls[11] = {false};

		add_numbers(&rows, numbers, lengthof(numbers), values, nulls, 1);
	}
}

/* audience_curve(target, fractions, exclude_known, candidates, threads) */
Datum
behavpred_audience_curve(PG_FUNCTION_ARGS)
{
	AudienceRequest request = whole_request(fcinfo);
	Audience	audience;
	HeldOutPart held_out;
	AudiencePoint *points;
	int			n_points;
	bool		kept;

	audience_open(&request, &audience);
	kept = held_out_read(&audience.arena, request.target, request.target->deployed_version, &held_out);
	if (!kept)
		ereport(NOTICE,
				(errmsg("there are no held-out scores of target \"%s\", so the curve has no intervals",
						request.target->name),
				 errhint("SELECT * FROM behavpred.train_target(%s);", quote_literal_cstr(request.target->name))));
	audience_select(&request, &audience);
	points = wanted_sizes(fcinfo, audience.selection.n, &n_points);
	draw_curve(&audience, kept ? &held_out : NULL, points, n_points);
	return_points(fcinfo, &audience, points, n_points);
	audience_close(&audience);
	return (Datum) 0;
}
