#include "wal/proof.h"

#include <assert.h>
#include <string.h>

/* The largest power of two below `size`, which is at least 2: where RFC 9162 splits a tree. */
static uint64_t split_of(uint64_t size) {
    return (uint64_t)1 << (63 - __builtin_clzll(size - 1));
}

static void put(struct wal_proof *proof, uint64_t first, uint64_t end) {
    assert(proof->count < WAL_PROOF_NODES_MAX);
    proof->nodes[proof->count++] = (struct wal_subtree){.first = first, .end = end};
}

static void reverse(struct wal_proof *proof) {
    for (size_t i = 0; i < proof->count / 2; i++) {
        struct wal_subtree swap = proof->nodes[i];
        proof->nodes[i] = proof->nodes[proof->count - 1 - i];
        proof->nodes[proof->count - 1 - i] = swap;
    }
}

void wal_proof_of_inclusion(uint64_t index, uint64_t size, struct wal_proof *proof) {
    assert(index < size && size >> WAL_MERKLE_LEVELS == 0);
    proof->count = 0;
    /* From the root down, noting the half that the leaf is not in. */
    for (uint64_t first = 0, end = size; end - first > 1;) {
        uint64_t middle = first + split_of(end - first);
        if (index < middle) {
            put(proof, middle, end);
            end = middle;
        } else {
            put(proof, first, middle);
            first = middle;
        }
    }
    reverse(proof);
}

void wal_proof_of_consistency(uint64_t old_size, uint64_t size, struct wal_proof *proof) {
    assert(old_size > 0 && old_size <= size && size >> WAL_MERKLE_LEVELS == 0);
    proof->count = 0;
    uint64_t first = 0;
    uint64_t end = size;
    while (old_size != end) {
        uint64_t middle = first + split_of(end - first);
        if (old_size <= middle) {
            put(proof, middle, end);
            end = middle;
        } else {
            put(proof, first, middle);
            first = middle;
        }
    }
    if (first > 0)
        put(proof, first, end); /* else it is the old root itself, which the checker has */
    reverse(proof);
}

bool wal_proof_check_inclusion(struct wal_hasher *hasher, const uint8_t leaf[WAL_HASH_SIZE],
                               uint64_t index, uint64_t size, const uint8_t (*path)[WAL_HASH_SIZE],
                               size_t count, const uint8_t root[WAL_HASH_SIZE]) {
    if (index >= size)
        return false;
    uint64_t node = index;
    uint64_t last = size - 1;
    uint8_t hash[WAL_HASH_SIZE];
    memcpy(hash, leaf, WAL_HASH_SIZE);
    for (size_t i = 0; i < count; i++) {
        if (last == 0)
            return false;
        bool right = (node & 1) != 0 || node == last;
        if (!(right ? wal_merkle_node(hasher, path[i], hash, hash)
                    : wal_merkle_node(hasher, hash, path[i], hash)))
            return false;
        /* The last node of a level without a partner moves up as it is. */
        while (right && (node & 1) == 0 && node != 0) {
            node >>= 1;
            last >>= 1;
        }
        node >>= 1;
        last >>= 1;
    }
    return last == 0 && memcmp(hash, root, WAL_HASH_SIZE) == 0;
}

bool wal_proof_check_consistency(struct wal_hasher *hasher, uint64_t old_size,
                                 const uint8_t old_root[WAL_HASH_SIZE], uint64_t size,
                                 const uint8_t root[WAL_HASH_SIZE],
                                 const uint8_t (*path)[WAL_HASH_SIZE], size_t count) {
    if (old_size == 0 || old_size > size)
        return false;
    if (old_size == size)
        return count == 0 && memcmp(old_root, root, WAL_HASH_SIZE) == 0;
    /* Where the old tree is perfect its root is the first node of the path, left out. */
    bool perfect = (old_size & (old_size - 1)) == 0;
    if (count == 0 && !perfect)
        return false;
    uint64_t node = old_size - 1;
    uint64_t last = size - 1;
    while ((node & 1) != 0) {
        node >>= 1;
        last >>= 1;
    }
    uint8_t old_hash[WAL_HASH_SIZE];
    uint8_t hash[WAL_HASH_SIZE];
    memcpy(hash, perfect ? old_root : path[0], WAL_HASH_SIZE);
    memcpy(old_hash, hash, WAL_HASH_SIZE);
    for (size_t i = perfect ? 0 : 1; i < count; i++) {
        if (last == 0)
            return false;
        if ((node & 1) != 0 || node == last) {
            if (!wal_merkle_node(hasher, path[i], old_hash, old_hash) ||
                !wal_merkle_node(hasher, path[i], hash, hash))
                return false;
            while ((node & 1) == 0 && node != 0) {
                node >>= 1;
                last >>= 1;
            }
        } else if (!wal_merkle_node(hasher, hash, path[i], hash)) {
            return false;
        }
        node >>= 1;
        last >>= 1;
    }
    return last == 0 && memcmp(old_hash, old_root, WAL_HASH_SIZE) == 0 &&
           memcmp(hash, root, WAL_HASH_SIZE) == 0;
}
