/* A hash map from byte-string keys to caller-owned entries. Holds pointers only: the caller
 * allocates and frees entries. Grows incrementally, a few slots per call, so that no single insert
 * pays for a rehash of a million entries. Not thread-safe. */
#ifndef BASE_TABLE_H
#define BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The key of an entry: borrowed, and unchanged as long as the entry is in the table. */
struct table_key {
    const void *data;
    size_t size;
};
typedef struct table_key (*table_key_fn)(const void *entry);
/* Have memory fetch what is going to be read of an entry, all of it at once. It reads nothing. */
typedef void (*table_fetch_fn)(const void *entry);

struct table_slot {
    uint64_t hash;
    void *entry; /* NULL: the slot is empty */
};

struct table {
    table_key_fn key_of;
    table_fetch_fn fetch; /* set after table_init(); NULL: nothing is fetched */
    struct table_slots {
        struct table_slot *slots;
        size_t mask; /* slots - 1; slots is a power of two */
        size_t count;
    } now, old;      /* `old` is drained into `now` while the table grows */
    size_t old_left; /* slots of `old` not moved yet: the first ones */
};

/* 64-bit hash of bytes (XXH3, seed 0): the same on every machine. Not a defence against an
 * adversary who chooses keys. */
uint64_t table_hash(const void *data, size_t size);

void table_init(struct table *table, table_key_fn key_of);
void table_deinit(struct table *table); /* frees the slots, not the entries */
void *table_find(const struct table *table, const void *key, size_t key_size); /* NULL: absent */
/* The same for an entry that nobody looked at for a while: it is fetched as soon as its hash
 * agrees, before its key is compared. */
void *table_find_cold(const struct table *table, const void *key, size_t key_size);
/* A hint: the key will be looked for soon. */
void table_prefetch(const struct table *table, const void *key, size_t key_size);
/* The next hint, some time after that one: reads the slot and has the entry fetched. */
void table_prefetch_entry(const struct table *table, const void *key, size_t key_size);
/* Make sure that the next insert cannot fail. False: no memory. */
bool table_reserve(struct table *table);
/* The same for the next `count` inserts. */
bool table_reserve_many(struct table *table, size_t count);
/* Insert an entry whose key is not in the table. Room must have been reserved. */
void table_insert(struct table *table, void *entry);
/* Take the entry with this key out and return it; NULL where there is none. */
void *table_remove(struct table *table, const void *key, size_t key_size);
size_t table_count(const struct table *table);
static inline size_t table_memory(const struct table *table); /* bytes of the slots */

/* Visit every entry in no order: start with *at = 0; NULL at the end. The table must not change
 * between calls, not even by removing the entry just returned. */
void *table_next(const struct table *table, size_t *at);

/* Inline: the memory bound is looked at after every command. */
static inline size_t table_memory(const struct table *table) {
    size_t now = table->now.slots == NULL ? 0 : table->now.mask + 1;
    size_t old = table->old.slots == NULL ? 0 : table->old.mask + 1;
    return (now + old) * sizeof(struct table_slot);
}

#endif
