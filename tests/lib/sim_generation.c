#include "tests/lib/sim_generation.h"

#include <stdlib.h>
#include <string.h>

int sim_key_compare(struct bytes_view a, struct bytes_view b) {
    size_t shared = a.size < b.size ? a.size : b.size;
    int order = shared == 0 ? 0 : memcmp(a.data, b.data, shared);
    return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

struct bytes_view sim_pair_key(const struct sim_pair *pair) {
    return (struct bytes_view){.data = pair->bytes, .size = pair->key_size};
}

struct bytes_view sim_pair_value(const struct sim_pair *pair) {
    return (struct bytes_view){.data = pair->bytes + pair->key_size, .size = pair->value_size};
}

static struct sim_pair *make_pair(const struct snapshot_change *change) {
    struct sim_pair *pair = malloc(sizeof *pair + change->key.size + change->value.size);
    if (pair == NULL)
        return NULL;
    atomic_init(&pair->references, 1);
    pair->key_size = change->key.size;
    pair->value_size = change->value.size;
    if (pair->key_size > 0)
        memcpy(pair->bytes, change->key.data, pair->key_size);
    if (pair->value_size > 0)
        memcpy(pair->bytes + pair->key_size, change->value.data, pair->value_size);
    return pair;
}

static struct sim_pair *share_pair(struct sim_pair *pair) {
    atomic_fetch_add(&pair->references, 1);
    return pair;
}

static void release_pair(struct sim_pair *pair) {
    if (atomic_fetch_sub(&pair->references, 1) == 1)
        free(pair);
}

size_t sim_generation_seek(const struct sim_generation *generation, struct bytes_view key) {
    size_t low = 0;
    size_t high = generation->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (sim_key_compare(sim_pair_key(generation->pairs[middle]), key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void add(struct sim_generation *generation, struct sim_pair *pair) {
    generation->pairs[generation->count++] = pair;
    generation->bytes += pair->key_size + pair->value_size;
}

/* Take over the pairs of `before` from `*at` whose keys are below `key`, and step over one that is
 * equal. */
static void take_below(struct sim_generation *next, const struct sim_generation *before, size_t *at,
                       struct bytes_view key) {
    while (before != NULL && *at < before->count) {
        int order = sim_key_compare(sim_pair_key(before->pairs[*at]), key);
        if (order < 0)
            add(next, share_pair(before->pairs[*at]));
        if (order <= 0)
            ++*at;
        if (order >= 0)
            return;
    }
}

struct sim_generation *sim_generation_next(const struct sim_generation *before,
                                           const struct snapshot_change *changes, size_t count,
                                           const struct snapshot_meta *meta) {
    size_t room = count + (before == NULL ? 0 : before->count);
    struct sim_generation *next = calloc(1, sizeof *next + room * sizeof next->pairs[0]);
    if (next == NULL)
        return NULL;
    atomic_init(&next->references, 1);
    next->meta = *meta;
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        take_below(next, before, &at, changes[i].key);
        if (changes[i].value.data == NULL)
            continue;
        struct sim_pair *pair = make_pair(&changes[i]);
        if (pair == NULL) {
            sim_generation_release(next);
            return NULL;
        }
        add(next, pair);
    }
    for (; before != NULL && at < before->count; at++)
        add(next, share_pair(before->pairs[at]));
    return next;
}

struct sim_generation *sim_generation_share(struct sim_generation *generation) {
    if (generation != NULL)
        atomic_fetch_add(&generation->references, 1);
    return generation;
}

void sim_generation_release(struct sim_generation *generation) {
    if (generation == NULL || atomic_fetch_sub(&generation->references, 1) != 1)
        return;
    for (size_t i = 0; i < generation->count; i++)
        release_pair(generation->pairs[i]);
    free(generation);
}
