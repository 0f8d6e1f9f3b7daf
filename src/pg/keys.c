/*
 * keys.c
 *		Keys of users and objects: from and to Datums and text.
 *
 * Integers of any width become 64-bit integers, so that smallint, integer and bigint
 * keys of the same value are the same key.  Text and uuid become byte strings: text in
 * the encoding of the database, uuid as its 16 bytes.
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/elog.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

#include "pg/keys.h"

static const Oid key_types[] = {INT2OID, INT4OID, INT8OID, TEXTOID, VARCHAROID, UUIDOID};

/* True for the types in the list above. */
bool
key_type_supported(Oid type)
{
	for (int i = 0; i < (int) lengthof(key_types); i++)
		if (key_types[i] == type)
			return true;
	return false;
}

/* How the core sees a key of this type. */
KeyKind
key_kind(Oid type)
{
	if (type == INT2OID || type == INT4OID || type == INT8OID)
		return KEY_INTEGER;
	return KEY_BYTES;
}

/* Text and uuid are both byte strings to the core, but never the same key. */
bool
key_types_match(Oid a, Oid b)
{
	return key_kind(a) == key_kind(b) && (a == UUIDOID) == (b == UUIDOID);
}

/* "bigint" -> INT8OID. */
Oid
key_type_from_name(const char *name)
{
	for (int i = 0; i < (int) lengthof(key_types); i++)
		if (strcmp(format_type_be(key_types[i]), name) == 0)
			return key_types[i];
	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("key type \"%s\" is not supported", name),
			 errdetail("Keys may be smallint, integer, bigint, text, character varying or uuid."),
			 errhint("Read the keys through a view that casts them.")));
}

/* A key from a non-null Datum. */
Key
key_from_datum(Oid type, Datum value)
{
	Key			key = {0};

	if (key_from_integer(type, value, &key))
		return key;
	if (type == UUIDOID)
	{
		key.bytes = (const char *) DatumGetUUIDP(value)->data;
		key.length = UUID_LEN;
	}
	else
	{
		text	   *string = DatumGetTextPP(value);

		key.bytes = VARDATA_ANY(string);
		key.length = VARSIZE_ANY_EXHDR(string);
	}
	return key;
}

/* The Datum of an integer that is known to fit its type. */
static Datum
integer_datum(Oid type, int64 integer)
{
	if (type == INT2OID)
		return Int16GetDatum((int16) integer);
	if (type == INT4OID)
		return Int32GetDatum((int32) integer);
	return Int64GetDatum(integer);
}

/* A Datum in CurrentMemoryContext. */
Datum
key_to_datum(Oid type, const Key *key)
{
	if (key_kind(type) == KEY_INTEGER)
		return integer_datum(type, key->integer);
	if (type == UUIDOID)
	{
		pg_uuid_t  *uuid = palloc(sizeof(pg_uuid_t));

		memcpy(uuid->data, key->bytes, UUID_LEN);
		return UUIDPGetDatum(uuid);
	}
	return PointerGetDatum(cstring_to_text_with_len(key->bytes, (int) key->length));
}

/* Printed as the type's output function does. */
char *
key_to_text(Oid type, const Key *key)
{
	if (key_kind(type) == KEY_INTEGER)
	{
		char		text[MAXINT8LEN + 1];

		return pnstrdup(text, pg_lltoa(key->integer, text));	/* lists of millions need no more room */
	}
	if (type == UUIDOID)
		return DatumGetCString(DirectFunctionCall1(uuid_out, key_to_datum(type, key)));
	return pnstrdup(key->bytes, key->length);
}

typedef struct KeyParsing
{
	Oid			type;
	const char *what;			/* "user" or "object" */
} KeyParsing;

/* Adds to the error of an input function which key it was about. */
static void
key_parsing_error(void *argument)
{
	KeyParsing *parsing = argument;

	errcode(ERRCODE_INVALID_TEXT_REPRESENTATION);
	errdetail("The keys of this graph's %ss are of type %s.",
			  parsing->what, format_type_be(parsing->type));
	errhint("Give the %s key as it stands in the interaction table.", parsing->what);
}

/* Parse as the type's input function does. */
Datum
key_parse(Oid type, const char *string, const char *what)
{
	KeyParsing	parsing = {type, what};
	ErrorContextCallback callback = {error_context_stack, key_parsing_error, &parsing};
	Oid			input;
	Oid			parameter;
	Datum		value;

	getTypeInputInfo(type, &input, &parameter);
	error_context_stack = &callback;
	value = OidInputFunctionCall(input, unconstify(char *, string), parameter, -1);
	error_context_stack = callback.previous;
	return value;
}

/* See keys.h. */
bool
key_fits(Oid type, const Key *key)
{
	return (type != INT2OID || key->integer == (int16) key->integer) &&
		(type != INT4OID || key->integer == (int32) key->integer);
}

/* Narrow or widen an integer to the key type. */
static Datum
coerce_integer(Oid key_type, int64 integer, const char *what)
{
	Key			key = {.integer = integer};

	if (!key_fits(key_type, &key))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("%s key " INT64_FORMAT " is out of range for type %s",
						what, integer, format_type_be(key_type)),
				 errdetail("The keys of this graph's %ss are of type %s.", what, format_type_be(key_type)),
				 errhint("Give the %s key as it stands in the interaction table.", what)));
	return integer_datum(key_type, integer);
}

/* Coerce the value of an (anyelement) argument to the key type. */
Datum
key_coerce(Oid key_type, Oid value_type, Datum value, const char *what)
{
	Oid			type = getBaseType(value_type);

	if (type == UNKNOWNOID)
		return key_parse(key_type, DatumGetCString(value), what);
	if (key_type_supported(type))
	{
		if (key_types_match(type, key_type))
		{
			if (key_kind(type) == KEY_BYTES)
				return value;
			return coerce_integer(key_type, key_from_datum(type, value).integer, what);
		}
		if (type == TEXTOID || type == VARCHAROID)
			return key_parse(key_type, TextDatumGetCString(value), what);
	}
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("%s key is of type %s, not %s",
					what, format_type_be(value_type), format_type_be(key_type)),
			 errdetail("The keys of this graph's %ss are of type %s.", what, format_type_be(key_type)),
			 errhint("Cast the key: %s_key::%s.", what, format_type_be(key_type))));
}

/* See keys.h. */
Datum
keys_to_array(Oid key_type, const Dictionary *keys, int32 first, Oid *array_type)
{
	int			n = keys->count - first;
	Datum	   *elements = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	int16		length;
	bool		by_value;
	char		align;

	for (int i = 0; i < n; i++)
	{
		Key			key = dictionary_key(keys, first + i);

		elements[i] = key_to_datum(key_type, &key);
	}
	get_typlenbyvalalign(key_type, &length, &by_value, &align);
	*array_type = get_array_type(key_type);
	return PointerGetDatum(construct_array(elements, n, key_type, length, by_value, align));
}
