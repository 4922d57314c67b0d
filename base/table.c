/* Open addressing with linear probing. A slot keeps the whole hash beside the pointer: a miss reads
 * slots only, usually one cache line, and touches an entry only where all 64 bits agree.
 *
 * Growth. A full array becomes `old` and one of twice the size becomes `now`; every insert then
 * moves the last few slots of `old` that are left:
 *
 *     old:  [ left: probed as usual | moved: behind the end ]
 *           0                     old_left                mask
 *
 * A probe walks upwards from the home slot, so what moves out at the upper end was never on the way
 * to a slot below it: no tombstones, no fixed-up chains. That needs an array in which no probe
 * wraps from the last slot to the first; the few entries where one may have are moved when growth
 * begins. Memory goes back in portions too: to unmap a large array at once takes milliseconds. */
#include "base/table.h"

#define XXH_INLINE_ALL
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

enum {
    SLOTS_MIN = 16,
    /* Slots of `old` moved per insert. Two would keep up with growth; eight ends the phase of two
     * arrays four times sooner, for two cache lines read each. Divides SLOTS_MIN. */
    DRAIN_STEP = 8,
    /* `old` gives its memory back in this many portions, where they are worth a system call. */
    SHRINK_PORTIONS = 64,
    SHRINK_SLOTS_MIN = 4096,
};

static size_t size_of(const struct table_slots *slots) {
    return slots->slots == NULL ? 0 : slots->mask + 1;
}

/* Full at 5/8: a miss then reads about four slots, which is one cache line. */
static size_t count_max(const struct table_slots *slots) {
    return size_of(slots) / 8 * 5;
}

uint64_t table_hash(const void *data, size_t size) {
    return XXH3_64bits(data, size);
}

void table_init(struct table *table, table_key_fn key_of) {
    *table = (struct table){.key_of = key_of};
}

void table_deinit(struct table *table) {
    free(table->now.slots);
    free(table->old.slots);
    *table = (struct table){.key_of = table->key_of, .fetch = table->fetch};
}

static inline bool is_match(const struct table *table, const struct table_slot *slot, uint64_t hash,
                            const void *key, size_t key_size, table_fetch_fn fetch) {
    if (slot->hash != hash)
        return false;
    if (fetch != NULL)
        fetch(slot->entry);
    struct table_key found = table->key_of(slot->entry);
    return found.size == key_size && (key_size == 0 || memcmp(found.data, key, key_size) == 0);
}

static inline struct table_slot *find_in_now(const struct table *table, uint64_t hash,
                                             const void *key, size_t key_size,
                                             table_fetch_fn fetch) {
    const struct table_slots *now = &table->now;
    if (now->slots == NULL)
        return NULL;
    for (size_t i = (size_t)hash & now->mask;; i = (i + 1) & now->mask) {
        struct table_slot *slot = &now->slots[i];
        if (slot->entry == NULL)
            return NULL; /* there is one: the array is never full */
        if (is_match(table, slot, hash, key, key_size, fetch))
            return slot;
    }
}

static struct table_slot *find_in_old(const struct table *table, uint64_t hash, const void *key,
                                      size_t key_size) {
    for (size_t i = (size_t)hash & table->old.mask; i < table->old_left; i++) {
        struct table_slot *slot = &table->old.slots[i];
        if (slot->entry == NULL)
            return NULL;
        if (is_match(table, slot, hash, key, key_size, NULL))
            return slot;
    }
    return NULL;
}

static inline void *find(const struct table *table, const void *key, size_t key_size,
                         table_fetch_fn fetch) {
    uint64_t hash = table_hash(key, key_size);
    if (table->old_left > 0) /* fetch the second array's line while the first is probed */
        __builtin_prefetch(&table->old.slots[(size_t)hash & table->old.mask]);
    struct table_slot *slot = find_in_now(table, hash, key, key_size, fetch);
    if (slot == NULL)
        slot = find_in_old(table, hash, key, key_size);
    return slot != NULL ? slot->entry : NULL;
}

void *table_find(const struct table *table, const void *key, size_t key_size) {
    return find(table, key, key_size, NULL);
}

void *table_find_cold(const struct table *table, const void *key, size_t key_size) {
    return find(table, key, key_size, table->fetch);
}

void table_prefetch(const struct table *table, const void *key, size_t key_size) {
    if (table->now.slots != NULL)
        __builtin_prefetch(&table->now.slots[(size_t)table_hash(key, key_size) & table->now.mask]);
}

void table_prefetch_entry(const struct table *table, const void *key, size_t key_size) {
    if (table->now.slots == NULL || table->fetch == NULL)
        return;
    uint64_t hash = table_hash(key, key_size);
    const struct table_slot *slot = &table->now.slots[(size_t)hash & table->now.mask];
    if (slot->entry != NULL &&
        slot->hash == hash) /* else it is another one's: a hint is no search */
        table->fetch(slot->entry);
}

/* Put into the first free slot from the home slot on. There is one: the array is never full. */
static void place(struct table_slots *in, uint64_t hash, void *entry) {
    size_t i = (size_t)hash & in->mask;
    while (in->slots[i].entry != NULL)
        i = (i + 1) & in->mask;
    in->slots[i] = (struct table_slot){.hash = hash, .entry = entry};
    in->count++;
}

static void move_to_now(struct table *table, struct table_slot *slot) {
    if (slot->entry == NULL)
        return;
    place(&table->now, slot->hash, slot->entry);
    slot->entry = NULL;
    table->old.count--;
}

/* Give back the memory behind `old_left`, every now and then. */
static void shrink_old(struct table *table) {
    size_t portion = (table->old.mask + 1) / SHRINK_PORTIONS;
    if (portion < SHRINK_SLOTS_MIN || table->old_left % portion != 0)
        return;
    struct table_slot *slots = realloc(table->old.slots, table->old_left * sizeof *slots);
    if (slots != NULL) /* else it stays as it is, only larger */
        table->old.slots = slots;
}

/* Move the next DRAIN_STEP slots of `old`, from the upper end. */
static void drain(struct table *table) {
    struct table_slots *old = &table->old;
    for (int i = 0; i < DRAIN_STEP; i++)
        move_to_now(table, &old->slots[--table->old_left]);
    if (old->count == 0) {
        free(old->slots);
        *old = (struct table_slots){0};
        table->old_left = 0;
        return;
    }
    shrink_old(table);
    /* The next call's targets are random lines: have them come in meanwhile. */
    for (size_t i = table->old_left - DRAIN_STEP; i < table->old_left; i++)
        __builtin_prefetch(&table->now.slots[(size_t)old->slots[i].hash & table->now.mask], 1);
}

bool table_reserve(struct table *table) {
    return table_reserve_many(table, 1);
}

bool table_reserve_many(struct table *table, size_t count) {
    if (table_count(table) + count <= count_max(&table->now))
        return true;
    /* Draining ends long before the doubled array is full, if not that many are to come. */
    assert(count > 1 || table->old.slots == NULL);
    while (table->old.slots != NULL)
        drain(table);
    size_t size = table->now.slots == NULL ? SLOTS_MIN : 2 * (table->now.mask + 1);
    while (table_count(table) + count > size / 8 * 5)
        size *= 2;
    struct table_slot *slots = calloc(size, sizeof *slots);
    if (slots == NULL)
        return false;
    table->old = table->now;
    table->old_left = size_of(&table->old);
    table->now = (struct table_slots){.slots = slots, .mask = size - 1};
    /* The entries from slot 0 to the first gap: among them is all that wrapped around. */
    for (size_t i = 0; i < table->old_left && table->old.slots[i].entry != NULL; i++)
        move_to_now(table, &table->old.slots[i]);
    return true;
}

void table_insert(struct table *table, void *entry) {
    assert(entry != NULL);
    assert(table_count(table) < count_max(&table->now));
    struct table_key key = table->key_of(entry);
    uint64_t hash = table_hash(key.data, key.size);
    __builtin_prefetch(&table->now.slots[(size_t)hash & table->now.mask], 1);
    if (table->old.slots != NULL)
        drain(table);
    place(&table->now, hash, entry);
}

/* Empty slot `hole` of the array's first `end` slots and close the gap: entries behind it that
 * probed across it move up. In `old`, where nothing wraps, `end` is old_left. */
static void take_out(struct table_slots *in, size_t end, size_t hole) {
    for (size_t i = (hole + 1) & in->mask; i < end; i = (i + 1) & in->mask) {
        struct table_slot *slot = &in->slots[i];
        if (slot->entry == NULL)
            break;
        size_t distance_home = (i - (size_t)slot->hash) & in->mask;
        size_t distance_hole = (i - hole) & in->mask;
        if (distance_home < distance_hole)
            continue; /* its home lies behind the hole */
        in->slots[hole] = *slot;
        hole = i;
    }
    in->slots[hole] = (struct table_slot){0};
    in->count--;
}

void *table_remove(struct table *table, const void *key, size_t key_size) {
    uint64_t hash = table_hash(key, key_size);
    struct table_slots *in = &table->now;
    size_t end = size_of(in);
    struct table_slot *slot = find_in_now(table, hash, key, key_size, NULL);
    if (slot == NULL) {
        in = &table->old;
        end = table->old_left;
        slot = find_in_old(table, hash, key, key_size);
    }
    if (slot == NULL)
        return NULL;
    void *entry = slot->entry;
    take_out(in, end, (size_t)(slot - in->slots));
    return entry;
}

size_t table_count(const struct table *table) {
    return table->now.count + table->old.count;
}

void *table_next(const struct table *table, size_t *at) {
    size_t now_size = size_of(&table->now);
    while (*at < now_size + table->old_left) {
        size_t i = (*at)++;
        const struct table_slot *slot =
            i < now_size ? &table->now.slots[i] : &table->old.slots[i - now_size];
        if (slot->entry != NULL)
            return slot->entry;
    }
    return NULL;
}
