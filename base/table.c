/* Open addressing with linear probing. A slot keeps the whole hash beside the pointer: a miss reads
 * slots only, usually one cache line, and touches an entry only where all 64 bits agree.
 *
 * Growth. A full array becomes `old` and one of twice the size becomes `now`; every insert then
 * moves the next few slots of `old`. `old` is drained from slot 0 upwards and only up to the end of
 * a cluster (a run of used slots), which gives the invariant that makes it cheap:
 *
 *     old:  [ drained: taken as empty | used, each cluster whole ]
 *           0                        `drained`               mask
 *
 * A key whose home slot is drained cannot be in `old`, and a probe of the rest ends as usual. (The
 * cluster that wraps around from the last slots to slot 0 loses its wrapped part first; what is
 * left of it starts at its home slots and ends at slot 0, which is empty by then.) */
#include "base/table.h"

#define XXH_INLINE_ALL
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

struct table_slot {
    uint64_t hash;
    void *entry; /* NULL: the slot is empty */
};

enum {
    SLOTS_MIN = 16,
    /* Slots of `old` moved per insert. Half of the growth threshold would do; eight ends the
     * two-array phase after an eighth of the slots' number of inserts, for two cache lines read
     * each. */
    DRAIN_STEP = 8,
};

/* Full at 5/8: a miss then reads about four slots, which is one cache line. */
static size_t count_max(const struct table_slots *slots) {
    size_t size = slots->mask + 1;
    return slots->slots == NULL ? 0 : size / 8 * 5;
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
    table_init(table, table->key_of);
}

static bool is_match(const struct table *table, const struct table_slot *slot, uint64_t hash,
                     const void *key, size_t key_size) {
    if (slot->hash != hash)
        return false;
    struct table_key found = table->key_of(slot->entry);
    return found.size == key_size && (key_size == 0 || memcmp(found.data, key, key_size) == 0);
}

/* The slot of the key in one array, or NULL. Slots below `drained` are taken as empty. */
static struct table_slot *find_in(const struct table *table, const struct table_slots *in,
                                  size_t drained, uint64_t hash, const void *key, size_t key_size) {
    if (in->slots == NULL)
        return NULL;
    for (size_t i = (size_t)hash & in->mask; i >= drained; i = (i + 1) & in->mask) {
        struct table_slot *slot = &in->slots[i];
        if (slot->entry == NULL)
            return NULL;
        if (is_match(table, slot, hash, key, key_size))
            return slot;
    }
    return NULL;
}

void *table_find(const struct table *table, const void *key, size_t key_size) {
    uint64_t hash = table_hash(key, key_size);
    if (table->old.slots != NULL) /* fetch the second array's line while the first is probed */
        __builtin_prefetch(&table->old.slots[(size_t)hash & table->old.mask]);
    struct table_slot *slot = find_in(table, &table->now, 0, hash, key, key_size);
    if (slot == NULL)
        slot = find_in(table, &table->old, table->drained, hash, key, key_size);
    return slot != NULL ? slot->entry : NULL;
}

/* Put into the first free slot from the home slot on. There is one: the array is never full. */
static void place(struct table_slots *in, uint64_t hash, void *entry) {
    size_t i = (size_t)hash & in->mask;
    while (in->slots[i].entry != NULL)
        i = (i + 1) & in->mask;
    in->slots[i] = (struct table_slot){.hash = hash, .entry = entry};
    in->count++;
}

/* Move some slots of `old`: DRAIN_STEP, and on to the end of the cluster. */
static void drain(struct table *table) {
    struct table_slots *old = &table->old;
    size_t size = old->mask + 1;
    size_t goal = table->drained + DRAIN_STEP;
    size_t at = table->drained;
    for (; at < size && (at < goal || old->slots[at].entry != NULL); at++) {
        if (old->slots[at].entry == NULL)
            continue;
        place(&table->now, old->slots[at].hash, old->slots[at].entry);
        old->count--;
    }
    table->drained = at;
    if (old->count == 0) {
        free(old->slots);
        *old = (struct table_slots){0};
        table->drained = 0;
        return;
    }
    /* The next call's targets are random lines: have them come in meanwhile. */
    for (size_t i = at; i < size && i < at + DRAIN_STEP; i++)
        __builtin_prefetch(&table->now.slots[(size_t)old->slots[i].hash & table->now.mask], 1);
}

bool table_reserve(struct table *table) {
    if (table_count(table) < count_max(&table->now))
        return true;
    /* Draining ends long before the doubled array is full. */
    assert(table->old.slots == NULL);
    size_t size = table->now.slots == NULL ? SLOTS_MIN : 2 * (table->now.mask + 1);
    struct table_slot *slots = calloc(size, sizeof *slots);
    if (slots == NULL)
        return false;
    table->old = table->now;
    table->drained = 0;
    table->now = (struct table_slots){.slots = slots, .mask = size - 1};
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

/* Empty slot `hole` and close the gap: entries behind it that probed across it move up. */
static void take_out(struct table_slots *in, size_t drained, size_t hole) {
    for (size_t i = (hole + 1) & in->mask; i >= drained; i = (i + 1) & in->mask) {
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
    size_t drained = 0;
    struct table_slot *slot = find_in(table, in, drained, hash, key, key_size);
    if (slot == NULL) {
        in = &table->old;
        drained = table->drained;
        slot = find_in(table, in, drained, hash, key, key_size);
    }
    if (slot == NULL)
        return NULL;
    void *entry = slot->entry;
    take_out(in, drained, (size_t)(slot - in->slots));
    return entry;
}

size_t table_count(const struct table *table) {
    return table->now.count + table->old.count;
}

static size_t slots_size(const struct table_slots *slots) {
    return slots->slots == NULL ? 0 : slots->mask + 1;
}

size_t table_memory(const struct table *table) {
    return (slots_size(&table->now) + slots_size(&table->old)) * sizeof(struct table_slot);
}

void *table_next(const struct table *table, size_t *at) {
    size_t now_size = slots_size(&table->now);
    size_t old_size = slots_size(&table->old);
    while (*at < now_size) {
        struct table_slot *slot = &table->now.slots[(*at)++];
        if (slot->entry != NULL)
            return slot->entry;
    }
    if (*at < now_size + table->drained)
        *at = now_size + table->drained;
    while (*at < now_size + old_size) {
        struct table_slot *slot = &table->old.slots[(*at)++ - now_size];
        if (slot->entry != NULL)
            return slot->entry;
    }
    return NULL;
}
