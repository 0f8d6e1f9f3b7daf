/*
 * key_reading.h
 *		The keys that a query gives, into a dictionary.
 */
#ifndef BEHAVPRED_KEY_READING_H
#define BEHAVPRED_KEY_READING_H

#include "postgres.h"

#include "core/dictionary.h"

typedef struct KeyReading
{
	Oid			key_type;
	Dictionary *keys;
} KeyReading;

/* Row function of a KeyReading: add the key in the first column unless it is NULL. */
extern void take_key(void *argument, Datum *values, bool *nulls);

#endif
