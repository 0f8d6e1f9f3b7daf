/*
 * dictionary.c
 *		Keys to dense numbers: arrays of keys in order of their numbers, and a hash table
 *		of numbers with linear probing, at most two thirds full.
 *
 * A call that fails for want of memory leaves the dictionary as it was; after a
 * request to stop, dictionary_sort() may leave it half renumbered, only to be thrown
 * away.
 */
#include "core/dictionary.h"

#include "core/random.h"
#include "core/sorting.h"

#include <string.h>

#define INITIAL_CAPACITY 1024
#define INITIAL_SLOTS 2048
#define INITIAL_POOL 16384
#define FREE_SLOT (-1)

/* Keys handled between two looks whether to stop; well under 50 ms. */
#define KEYS_BETWEEN_LOOKS (1 << 16)

/* Eight bytes, or the last few filled up with zeros, as a little-endian number. */
static uint64_t
little_endian_word(const char *bytes, size_t length)
{
	uint64_t	word = 0;

	for (size_t i = 0; i < length && i < 8; i++)
		word |= (uint64_t) (unsigned char) bytes[i] << (8 * i);
	return word;
}

/* The length goes in first, so that trailing zeros make a difference. */
static uint64_t
hash_bytes(const char *bytes, size_t length)
{
	uint64_t	hash = random_mix(length);

	for (size_t i = 0; i < length; i += 8)
		hash = random_mix(hash ^ little_endian_word(bytes + i, length - i));
	return hash;
}

uint64_t
key_hash(KeyKind kind, const Key *key)
{
	if (kind == KEY_INTEGER)
		return random_mix((uint64_t) key->integer);
	return hash_bytes(key->bytes, key->length);
}

Key
dictionary_key(const Dictionary *dictionary, int32_t number)
{
	Key			key = {0};

	if (dictionary->kind == KEY_INTEGER)
		key.integer = dictionary->integers[number];
	else
	{
		key.bytes = dictionary->pool + dictionary->starts[number];
		key.length = dictionary->starts[number + 1] - dictionary->starts[number];
	}
	return key;
}

void
dictionary_prefetch(const Dictionary *dictionary, int32_t number)
{
	if (dictionary->kind == KEY_INTEGER)
		__builtin_prefetch(&dictionary->integers[number]);
	else
		__builtin_prefetch(&dictionary->starts[number]);
}

static inline bool
key_equals(const Dictionary *dictionary, int32_t number, const Key *key)
{
	Key			other;

	if (dictionary->kind == KEY_INTEGER)
		return dictionary->integers[number] == key->integer;
	other = dictionary_key(dictionary, number);
	return other.length == key->length &&
		(key->length == 0 || memcmp(other.bytes, key->bytes, key->length) == 0);
}

CoreStatus
dictionary_open(Dictionary *dictionary, Arena *arena, KeyKind kind)
{
	memset(dictionary, 0, sizeof(*dictionary));
	dictionary->arena = arena;
	dictionary->kind = kind;
	dictionary->capacity = INITIAL_CAPACITY;
	dictionary->n_slots = INITIAL_SLOTS;
	dictionary->slots = arena_allocate(arena, INITIAL_SLOTS, sizeof(DictionarySlot));
	if (kind == KEY_INTEGER)
		dictionary->integers = arena_allocate(arena, INITIAL_CAPACITY, sizeof(int64_t));
	else
	{
		dictionary->starts = arena_allocate_zeroed(arena, INITIAL_CAPACITY + 1, sizeof(size_t));
		dictionary->pool = arena_allocate(arena, INITIAL_POOL, 1);
		dictionary->pool_capacity = INITIAL_POOL;
	}
	if (arena->core->status == CORE_OK)
		memset(dictionary->slots, 0xFF, INITIAL_SLOTS * sizeof(DictionarySlot));
	return arena->core->status;
}

/* True while loops over all keys (or slots) may go on; asks every so many rounds. */
static inline bool
loop_continues(const Dictionary *dictionary, int64_t round)
{
	return round % KEYS_BETWEEN_LOOKS != 0 || core_continues(dictionary->arena->core);
}

/* Half of the hash: the table finds its way by these 32 bits alone. */
static inline uint32_t
key_tag(const Dictionary *dictionary, const Key *key)
{
	return (uint32_t) (key_hash(dictionary->kind, key) >> 32);
}

/*
 * The slot that holds the key, or the free one where it belongs.  Tags are compared
 * first: they stand side by side, while a look at a key mostly waits for memory.
 */
static inline DictionarySlot *
find_slot(const Dictionary *dictionary, const Key *key, uint32_t tag)
{
	int64_t		mask = dictionary->n_slots - 1;
	int64_t		place = tag & mask;

	for (;; place = (place + 1) & mask)
	{
		DictionarySlot *slot = &dictionary->slots[place];

		if (slot->number == FREE_SLOT || (slot->tag == tag && key_equals(dictionary, slot->number, key)))
			return slot;
	}
}

int32_t
dictionary_find(const Dictionary *dictionary, const Key *key)
{
	return find_slot(dictionary, key, key_tag(dictionary, key))->number;
}

/* Move all entries into a larger table. */
static bool
fill_slots(const Dictionary *dictionary, DictionarySlot *slots, int64_t n_slots)
{
	int64_t		mask = n_slots - 1;

	memset(slots, 0xFF, (size_t) n_slots * sizeof(DictionarySlot));
	for (int64_t old = 0; old < dictionary->n_slots; old++)
	{
		int64_t		place = dictionary->slots[old].tag & mask;

		if (!loop_continues(dictionary, old))
			return false;
		if (dictionary->slots[old].number == FREE_SLOT)
			continue;
		while (slots[place].number != FREE_SLOT)
			place = (place + 1) & mask;
		slots[place] = dictionary->slots[old];
	}
	return true;
}

/* Make the table twice as large when one more key would fill it by more than two thirds. */
static bool
reserve_slot(Dictionary *dictionary)
{
	int64_t		n_slots = 2 * dictionary->n_slots;
	DictionarySlot *slots;

	if (3 * ((int64_t) dictionary->count + 1) <= 2 * dictionary->n_slots)
		return true;
	slots = arena_allocate(dictionary->arena, (size_t) n_slots, sizeof(DictionarySlot));
	if (slots == NULL)
		return false;
	if (!fill_slots(dictionary, slots, n_slots))
	{
		arena_release(dictionary->arena, slots);
		return false;
	}
	arena_release(dictionary->arena, dictionary->slots);
	dictionary->slots = slots;
	dictionary->n_slots = n_slots;
	return true;
}

/* Make room for one more number. */
static bool
reserve_number(Dictionary *dictionary)
{
	int32_t		old = dictionary->capacity;
	int32_t		capacity = old > INT32_MAX / 2 ? INT32_MAX : 2 * old;
	void	   *grown;

	if (dictionary->count < old)
		return true;
	if (old == INT32_MAX)
	{
		core_fail(dictionary->arena->core, CORE_OVER_LIMIT, "there are more than %d different keys", old);
		return false;
	}
	if (dictionary->kind == KEY_INTEGER)
	{
		grown = arena_grow(dictionary->arena, dictionary->integers, (size_t) old, (size_t) capacity,
						   sizeof(int64_t));
		if (grown != NULL)
			dictionary->integers = grown;
	}
	else
	{
		grown = arena_grow(dictionary->arena, dictionary->starts, (size_t) old + 1, (size_t) capacity + 1,
						   sizeof(size_t));
		if (grown != NULL)
			dictionary->starts = grown;
	}
	if (grown == NULL)
		return false;
	dictionary->capacity = capacity;
	return true;
}

/* Make room for `length` more bytes. */
static bool
reserve_bytes(Dictionary *dictionary, size_t length)
{
	size_t		used = dictionary->starts[dictionary->count];
	size_t		capacity = dictionary->pool_capacity;
	char	   *pool;

	if (length <= capacity - used)
		return true;
	if (length > SIZE_MAX / 4 - capacity)
	{
		core_fail(dictionary->arena->core, CORE_OUT_OF_MEMORY, "a key of %zu bytes cannot be kept", length);
		return false;
	}
	capacity = 2 * capacity + length;
	pool = arena_grow(dictionary->arena, dictionary->pool, used, capacity, 1);
	if (pool == NULL)
		return false;
	dictionary->pool = pool;
	dictionary->pool_capacity = capacity;
	return true;
}

/* Make room for the key in the arrays. */
static bool
reserve_key(Dictionary *dictionary, const Key *key)
{
	return reserve_number(dictionary) && (dictionary->kind == KEY_INTEGER || reserve_bytes(dictionary, key->length));
}

/* Append the key to the arrays; room was made. */
static int32_t
append_key(Dictionary *dictionary, const Key *key)
{
	int32_t		number = dictionary->count++;

	if (dictionary->kind == KEY_INTEGER)
		dictionary->integers[number] = key->integer;
	else
	{
		size_t		start = dictionary->starts[number];

		if (key->length > 0)
			memcpy(dictionary->pool + start, key->bytes, key->length);
		dictionary->starts[number + 1] = start + key->length;
	}
	return number;
}

/* dictionary_add() of a key that is not there. */
static int32_t
add_new(Dictionary *dictionary, const Key *key, uint32_t tag)
{
	DictionarySlot *slot;

	if (!reserve_slot(dictionary) || !reserve_key(dictionary, key))
		return -1;
	slot = find_slot(dictionary, key, tag); /* the table may have moved */
	slot->tag = tag;
	slot->number = append_key(dictionary, key);
	return slot->number;
}

/* dictionary_add() of a key whose tag is known. */
static inline int32_t
add_tagged(Dictionary *dictionary, const Key *key, uint32_t tag)
{
	const DictionarySlot *slot = find_slot(dictionary, key, tag);

	return slot->number != FREE_SLOT ? slot->number : add_new(dictionary, key, tag);
}

int32_t
dictionary_append(Dictionary *dictionary, const Key *key)
{
	return reserve_key(dictionary, key) ? append_key(dictionary, key) : -1;
}

int32_t
dictionary_add(Dictionary *dictionary, const Key *key)
{
	return add_tagged(dictionary, key, key_tag(dictionary, key));
}

/* Ask for the key that the search for a tag will compare. */
static void
prefetch_key(const Dictionary *dictionary, uint32_t tag)
{
	int64_t		mask = dictionary->n_slots - 1;
	int64_t		place = tag & mask;
	const DictionarySlot *slot = &dictionary->slots[place];

	while (slot->number != FREE_SLOT && slot->tag != tag)
	{
		place = (place + 1) & mask;
		slot = &dictionary->slots[place];
	}
	if (slot->number != FREE_SLOT)
		dictionary_prefetch(dictionary, slot->number);
}

/* The tags of n keys; what the keys need of memory is asked for, so that they wait for it together. */
static void
prefetch_keys(const Dictionary *dictionary, const Key *keys, int n, int32_t *tags)
{
	for (int i = 0; i < n; i++)
	{
		uint32_t	tag = key_tag(dictionary, &keys[i]);

		tags[i] = (int32_t) tag;
		__builtin_prefetch(&dictionary->slots[tag & (dictionary->n_slots - 1)]);
	}
	for (int i = 0; i < n; i++)
		prefetch_key(dictionary, (uint32_t) tags[i]);
}

/* Here and below `numbers` holds the tags until they have been found. */
CoreStatus
dictionary_add_many(Dictionary *dictionary, const Key *keys, int n, int32_t *numbers)
{
	prefetch_keys(dictionary, keys, n, numbers);
	for (int i = 0; i < n; i++)
		numbers[i] = add_tagged(dictionary, &keys[i], (uint32_t) numbers[i]);
	return dictionary->arena->core->status;
}

void
dictionary_find_many(const Dictionary *dictionary, const Key *keys, int n, int32_t *numbers)
{
	prefetch_keys(dictionary, keys, n, numbers);
	for (int i = 0; i < n; i++)
		numbers[i] = find_slot(dictionary, &keys[i], (uint32_t) numbers[i])->number;
}

/* Number of leading bytes that all keys share. */
static size_t
common_prefix(const Dictionary *dictionary)
{
	Key			first = dictionary_key(dictionary, 0);
	size_t		common = first.length;

	for (int32_t number = 1; number < dictionary->count && common > 0; number++)
	{
		Key			key = dictionary_key(dictionary, number);
		size_t		same = 0;

		while (same < common && same < key.length && key.bytes[same] == first.bytes[same])
			same++;
		common = same;
		if (!loop_continues(dictionary, number))
			break;
	}
	return common;
}

/* The eight bytes after the common prefix, as a number that sorts like memcmp. */
static uint64_t
sort_key_of_bytes(const Key *key, size_t prefix)
{
	return __builtin_bswap64(little_endian_word(key->bytes + prefix, key->length - prefix));
}

/* Order of keys whose sort keys are equal: memcmp, then length. */
static bool
bytes_before(const void *context, int64_t a, int64_t b)
{
	Key			left = dictionary_key(context, (int32_t) a);
	Key			right = dictionary_key(context, (int32_t) b);
	size_t		shorter = left.length < right.length ? left.length : right.length;
	int			order = shorter > 0 ? memcmp(left.bytes, right.bytes, shorter) : 0;

	return order != 0 ? order < 0 : left.length < right.length;
}

/* The numbers in key order, as the indexes of `items`. */
static CoreStatus
order_keys(const Dictionary *dictionary, SortItem *items)
{
	Core	   *core = dictionary->arena->core;
	bool		integers = dictionary->kind == KEY_INTEGER;
	size_t		prefix = integers || dictionary->count == 0 ? 0 : common_prefix(dictionary);

	for (int32_t number = 0; number < dictionary->count; number++)
	{
		Key			key = dictionary_key(dictionary, number);

		if (!loop_continues(dictionary, number))
			return core->status;
		items[number].key = integers ? sort_key_of_integer(key.integer) : sort_key_of_bytes(&key, prefix);
		items[number].index = number;
	}
	return sort_items(core, dictionary->arena, items, dictionary->count,
					  integers ? NULL : bytes_before, dictionary);
}

/* Put integer keys into the new order. */
static bool
move_integers(Dictionary *dictionary, const SortItem *items)
{
	int64_t    *integers = arena_allocate(dictionary->arena, (size_t) dictionary->capacity, sizeof(int64_t));

	if (integers == NULL)
		return false;
	for (int32_t i = 0; i < dictionary->count && loop_continues(dictionary, i); i++)
		integers[i] = dictionary->integers[items[i].index];
	arena_release(dictionary->arena, dictionary->integers);
	dictionary->integers = integers;
	return true;
}

/* Put byte keys into the new order. */
static bool
move_bytes(Dictionary *dictionary, const SortItem *items)
{
	Arena	   *arena = dictionary->arena;
	size_t	   *starts = arena_allocate_zeroed(arena, (size_t) dictionary->capacity + 1, sizeof(size_t));
	char	   *pool = arena_allocate(arena, dictionary->pool_capacity, 1);

	if (starts == NULL || pool == NULL)
	{
		arena_release(arena, starts);
		arena_release(arena, pool);
		return false;
	}
	for (int32_t i = 0; i < dictionary->count && loop_continues(dictionary, i); i++)
	{
		Key			key = dictionary_key(dictionary, (int32_t) items[i].index);

		memcpy(pool + starts[i], key.bytes, key.length);
		starts[i + 1] = starts[i] + key.length;
	}
	arena_release(arena, dictionary->starts);
	arena_release(arena, dictionary->pool);
	dictionary->starts = starts;
	dictionary->pool = pool;
	return true;
}

/* Keys stay in their slots; only the numbers there change. */
static void
renumber_slots(Dictionary *dictionary, const int32_t *new_numbers)
{
	for (int64_t slot = 0; slot < dictionary->n_slots && loop_continues(dictionary, slot); slot++)
	{
		if (dictionary->slots[slot].number != FREE_SLOT)
			dictionary->slots[slot].number = new_numbers[dictionary->slots[slot].number];
	}
}

CoreStatus
dictionary_sort(Dictionary *dictionary, int32_t **new_numbers)
{
	Arena	   *arena = dictionary->arena;
	size_t		count = (size_t) dictionary->count;
	SortItem   *items = arena_allocate(arena, count, sizeof(SortItem));
	int32_t    *numbers = arena_allocate(arena, count, sizeof(int32_t));

	*new_numbers = numbers;
	if (items != NULL && numbers != NULL && order_keys(dictionary, items) == CORE_OK &&
		(dictionary->kind == KEY_INTEGER ? move_integers(dictionary, items) : move_bytes(dictionary, items)))
	{
		for (int32_t i = 0; i < dictionary->count && loop_continues(dictionary, i); i++)
			numbers[items[i].index] = i;
		renumber_slots(dictionary, numbers);
	}
	arena_release(arena, items);
	return arena->core->status;
}
