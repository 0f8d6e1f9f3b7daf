/*
 * drift_reference.c
 *		What check_drift() compares with, kept at each training.
 *
 * Histograms of a sample of users, made in SQL: sql/parts/drift.sql.
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "pg/drift_reference.h"
#include "pg/progress.h"
#include "pg/writer.h"

/* See drift_reference.h.  The SQL objects of version 0.1 have no such table. */
void
drift_reference_keep(const char *graph, const char *target, int version)
{
	Oid			types[] = {TEXTOID, TEXTOID, INT4OID};
	Datum		values[] = {
		CStringGetTextDatum(graph), target == NULL ? (Datum) 0 : CStringGetTextDatum(target), Int32GetDatum(version)
	};

	if (!OidIsValid(get_relname_relid("drift_reference", get_namespace_oid("behavpred", false))))
		return;
	progress_phase("keeping a reference for check_drift()", 0, 0);
	write_rows("SELECT behavpred_internal.keep_drift_reference($1, $2, $3)", lengthof(types), types, values,
			   target == NULL ? " nn" : NULL);
}
