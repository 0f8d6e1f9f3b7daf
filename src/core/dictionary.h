/*
 * dictionary.h
 *		Keys of users or objects, and the dense numbers 0 .. count - 1 that stand for
 *		them inside the core.
 *
 * A key is a 64-bit integer (SQL smallint, integer, bigint) or a byte string (text,
 * uuid).  Numbers are given in order of arrival; dictionary_sort() then renumbers by
 * key order (integers by value, strings by memcmp then length), so that the numbering
 * does not depend on the order in which a table happened to be read.
 */
#ifndef BEHAVPRED_DICTIONARY_H
#define BEHAVPRED_DICTIONARY_H

#include "core.h"

typedef enum KeyKind
{
	KEY_INTEGER,
	KEY_BYTES
} KeyKind;

typedef struct Key
{
	int64_t		integer;		/* KEY_INTEGER */
	const char *bytes;			/* KEY_BYTES; not zero-terminated */
	size_t		length;
} Key;

/* A place of the hash table. */
typedef struct DictionarySlot
{
	uint32_t	tag;			/* half of the key's hash; its low bits are where the search begins */
	int32_t		number;			/* -1 = free */
} DictionarySlot;

typedef struct Dictionary
{
	Arena	   *arena;
	KeyKind		kind;
	int32_t		count;
	int32_t		capacity;		/* of the arrays below */
	int64_t    *integers;		/* KEY_INTEGER: count */
	size_t	   *starts;			/* KEY_BYTES: count + 1 offsets into pool */
	char	   *pool;
	size_t		pool_capacity;
	DictionarySlot *slots;		/* hash table, linear probing */
	int64_t		n_slots;		/* a power of two, at least 1.5 * count */
} Dictionary;

extern CoreStatus dictionary_open(Dictionary *dictionary, Arena *arena, KeyKind kind);

/*
 * The number of a key, a new one when it is new.  -1 when memory or the 2^31 - 1
 * numbers run out (see core->status).
 */
extern int32_t dictionary_add(Dictionary *dictionary, const Key *key);

/*
 * dictionary_add() for n keys, in their order.  Large dictionaries are several times
 * faster this way: the places in memory that all the keys need are asked for first, so
 * that waiting for one does not hold up the others.  Best with n from 64 to 1024.
 */
extern CoreStatus dictionary_add_many(Dictionary *dictionary, const Key *keys, int n, int32_t *numbers);

/*
 * The next number for a key that is new and will not be looked for: the dictionary is a mere
 * list of keys then, without a hash table.  -1 as above.
 */
extern int32_t dictionary_append(Dictionary *dictionary, const Key *key);

/* The number of a key, -1 when it is not there. */
extern int32_t dictionary_find(const Dictionary *dictionary, const Key *key);

/* dictionary_find() for n keys, as dictionary_add_many() does it. */
extern void dictionary_find_many(const Dictionary *dictionary, const Key *keys, int n, int32_t *numbers);

/* The key of a number; `bytes` points into the dictionary. */
extern Key	dictionary_key(const Dictionary *dictionary, int32_t number);

/* Ask for what dictionary_key() will need of memory, when numbers come in no order. */
extern void dictionary_prefetch(const Dictionary *dictionary, int32_t number);

/* A 64-bit hash that depends on the key alone, not on the dictionary. */
extern uint64_t key_hash(KeyKind kind, const Key *key);

/*
 * Renumber by key order.  *new_numbers (count entries, in the dictionary's arena)
 * gives for each old number the new one.
 */
extern CoreStatus dictionary_sort(Dictionary *dictionary, int32_t **new_numbers);

#endif
