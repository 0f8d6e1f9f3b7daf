/*
 * source.h
 *		The relations that graphs and targets are read from.
 *
 * They are kept as quoted text, looked up anew at each use, and always read as the
 * caller: with his privileges and under the row security that applies to him.
 */
#ifndef BEHAVPRED_SOURCE_H
#define BEHAVPRED_SOURCE_H

#include "postgres.h"

#include "pg/reader.h"

/*
 * OID of a relation that was stored as text.  ERRCODE_UNDEFINED_TABLE with a hint when it
 * is gone; ERRCODE_INSUFFICIENT_PRIVILEGE with a hint when row security would hide rows
 * of it from the caller, unless apply_row_security.
 */
extern Oid	source_relation(const char *relation, bool apply_row_security);

/* The same without any check; InvalidOid when it is gone. */
extern Oid	relation_from_text(const char *relation);

/* Complain unless rows can be read from it; row security as above. */
extern void source_check(Oid relation, bool apply_row_security);

/* Say so when the relation, if there is one, goes with the session: what is created from it stays. */
extern void source_tell_temporary(Oid relation);

/* Quoted, schema-qualified name of a relation. */
extern char *relation_qualified_name(Oid relation);

/* The same without quotes, for messages. */
extern char *relation_display_name(Oid relation);

/* True when the relation has the column; *type (may be NULL) receives its base type. */
extern bool source_has_column(Oid relation, const char *column, Oid *type);

/*
 * Base type of a column.  ERRCODE_UNDEFINED_COLUMN with the nearest name, or all names, as
 * hint when it is not there; `argument` is the argument that named it.
 */
extern Oid	source_column(Oid relation, const char *column, const char *argument);

/* The same for a column of keys: ERRCODE_FEATURE_NOT_SUPPORTED for other types. */
extern Oid	source_key_column(Oid relation, const char *column, const char *argument);

/* Names of all columns, NULL-terminated, in their order. */
extern const char **source_columns(Oid relation);

/* "a, b, c" */
extern char *source_column_list(Oid relation);

/* The only column of the primary key, NULL when there is none or it has more. */
extern char *source_primary_key(Oid relation);

/*
 * read_rows(), and unless apply_row_security an error instead of rows that policies cut,
 * also where the policy is on a table behind a view.
 */
extern uint64 source_read(bool apply_row_security, const char *query, int n_arguments, Oid *types,
						  Datum *values, RowFunction function, void *argument);

#endif
