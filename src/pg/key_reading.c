/*
 * key_reading.c
 *		The keys that a query gives, into a dictionary.
 */
#include "postgres.h"

#include "pg/bridge.h"
#include "pg/key_reading.h"
#include "pg/keys.h"

/* See key_reading.h. */
void
take_key(void *argument, Datum *values, bool *nulls)
{
	KeyReading *reading = argument;
	Key			key;

	if (nulls[0])
		return;
	key = key_from_datum(reading->key_type, values[0]);
	dictionary_add(reading->keys, &key);
	bridge_check(reading->keys->arena->core, "reading keys");
}
