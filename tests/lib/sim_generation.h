/* One immutable generation of the model in sim_snapshot.h: sorted pairs and the meta. Counted
 * references; the counts are atomic, the rest never changes. */
#ifndef TESTS_LIB_SIM_GENERATION_H
#define TESTS_LIB_SIM_GENERATION_H

#include "store/snapshot.h"

#include <stdatomic.h>

/* A key and its value in one allocation, shared by the generations that have it. */
struct sim_pair {
    atomic_size_t references;
    size_t key_size;
    size_t value_size;
    uint8_t bytes[]; /* the key, then the value */
};

struct sim_generation {
    atomic_size_t references;
    struct snapshot_meta meta;
    size_t count;
    uint64_t bytes; /* of keys and values */
    struct sim_pair *pairs[];
};

int sim_key_compare(struct bytes_view a, struct bytes_view b);
struct bytes_view sim_pair_key(const struct sim_pair *pair);
struct bytes_view sim_pair_value(const struct sim_pair *pair);
/* The index of the first pair whose key is >= `key`; count where there is none. */
size_t sim_generation_seek(const struct sim_generation *generation, struct bytes_view key);
/* A new generation of `before` (NULL: nothing) with the changes, which are sorted. NULL where
 * memory fails. */
struct sim_generation *sim_generation_next(const struct sim_generation *before,
                                           const struct snapshot_change *changes, size_t count,
                                           const struct snapshot_meta *meta);
struct sim_generation *sim_generation_share(struct sim_generation *generation); /* takes NULL */
void sim_generation_release(struct sim_generation *generation);                 /* takes NULL */

#endif
