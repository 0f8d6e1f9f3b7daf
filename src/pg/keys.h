/*
 * keys.h
 *		Keys of users and objects: smallint, integer, bigint, text, varchar, uuid.
 *
 * The core sees an integer or a byte string (core/dictionary.h); here is the way from
 * and to Datums and text.
 */
#ifndef BEHAVPRED_KEYS_H
#define BEHAVPRED_KEYS_H

#include "postgres.h"

#include "catalog/pg_type.h"

#include "core/dictionary.h"

/* True for the six types above. */
extern bool key_type_supported(Oid type);

extern KeyKind key_kind(Oid type);

/* True when keys of the two types can be compared: both integers, both text, both uuid. */
extern bool key_types_match(Oid a, Oid b);

/* "bigint" -> INT8OID, as stored in the catalog tables; error when unknown. */
extern Oid	key_type_from_name(const char *name);

/* A key from a non-null Datum.  The bytes point into the Datum when it is not toasted,
 * else into a copy in CurrentMemoryContext. */
extern Key	key_from_datum(Oid type, Datum value);

/* Set key->integer from a non-null Datum, and nothing else; false when the type is no integer's. */
static inline bool
key_from_integer(Oid type, Datum value, Key *key)
{
	if (type == INT4OID)
		key->integer = DatumGetInt32(value);
	else if (type == INT8OID)
		key->integer = DatumGetInt64(value);
	else if (type == INT2OID)
		key->integer = DatumGetInt16(value);
	else
		return false;
	return true;
}

/* False for an integer that the type has no room for. */
extern bool key_fits(Oid type, const Key *key);

/* A Datum in CurrentMemoryContext. */
extern Datum key_to_datum(Oid type, const Key *key);

/* Printed as the type's output function does. */
extern char *key_to_text(Oid type, const Key *key);

/* Parse as the type's input function does; ERRCODE_INVALID_TEXT_REPRESENTATION with
 * DETAIL naming the key type and HINT when it does not fit.  what = "user" or "object". */
extern Datum key_parse(Oid type, const char *text, const char *what);

/*
 * Coerce a value of an (anyelement) argument to the key type: integers widen (and are
 * range-checked when they narrow), unknown and text are parsed, equal types pass.
 * Anything else is ERRCODE_DATATYPE_MISMATCH.
 */
extern Datum key_coerce(Oid key_type, Oid value_type, Datum value, const char *what);

/* The keys of a dictionary from `first` on as an array, for "= ANY ($1)", and its type. */
extern Datum keys_to_array(Oid key_type, const Dictionary *keys, int32 first, Oid *array_type);

#endif
