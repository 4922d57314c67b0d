#include "wal/merkle.h"

#include <assert.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

/* The plain SHA-256 of libcrypto: through EVP each short hash costs half as much again, and the
 * first one reads the configuration of the host's OpenSSL. */
struct wal_hasher {
    SHA256_CTX context;
};

struct wal_hasher *wal_hasher_create(void) {
    return calloc(1, sizeof(struct wal_hasher));
}

void wal_hasher_destroy(struct wal_hasher *hasher) {
    free(hasher);
}

/* Hash `prefix` and then `data`. */
static bool hash_two(struct wal_hasher *hasher, const void *prefix, size_t prefix_size,
                     struct bytes_view data, uint8_t out[WAL_HASH_SIZE]) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
    return SHA256_Init(&hasher->context) == 1 &&
           SHA256_Update(&hasher->context, prefix, prefix_size) == 1 &&
           (data.size == 0 || SHA256_Update(&hasher->context, data.data, data.size) == 1) &&
           SHA256_Final(out, &hasher->context) == 1;
#pragma GCC diagnostic pop
}

bool wal_merkle_leaf(struct wal_hasher *hasher, uint64_t lsn, struct bytes_view payload,
                     uint8_t leaf[WAL_HASH_SIZE]) {
    uint8_t prefix[9] = {0x00};
    bytes_store_u64(prefix + 1, lsn);
    return hash_two(hasher, prefix, sizeof prefix, payload, leaf);
}

bool wal_merkle_node(struct wal_hasher *hasher, const uint8_t left[WAL_HASH_SIZE],
                     const uint8_t right[WAL_HASH_SIZE], uint8_t out[WAL_HASH_SIZE]) {
    uint8_t both[1 + 2 * WAL_HASH_SIZE] = {0x01};
    memcpy(both + 1, left, WAL_HASH_SIZE);
    memcpy(both + 1 + WAL_HASH_SIZE, right, WAL_HASH_SIZE);
    return hash_two(hasher, both, sizeof both, (struct bytes_view){NULL, 0}, out);
}

bool wal_frontier_add_subtree(struct wal_frontier *frontier, struct wal_hasher *hasher,
                              unsigned level, const uint8_t node[WAL_HASH_SIZE]) {
    assert(level < WAL_MERKLE_LEVELS && frontier->count % ((uint64_t)1 << level) == 0);
    uint8_t joined[WAL_HASH_SIZE];
    unsigned at = level;
    memcpy(joined, node, WAL_HASH_SIZE);
    /* As adding one to a binary number: every carry joins two subtrees of the same height. */
    for (; (frontier->count >> at & 1) != 0; at++) {
        if (at + 1 == WAL_MERKLE_LEVELS ||
            !wal_merkle_node(hasher, frontier->node[at], joined, joined))
            return false;
    }
    memcpy(frontier->node[at], joined, WAL_HASH_SIZE);
    frontier->count += (uint64_t)1 << level;
    return true;
}

bool wal_frontier_add(struct wal_frontier *frontier, struct wal_hasher *hasher, uint64_t lsn,
                      struct bytes_view payload) {
    uint8_t leaf[WAL_HASH_SIZE];
    return wal_merkle_leaf(hasher, lsn, payload, leaf) &&
           wal_frontier_add_subtree(frontier, hasher, 0, leaf);
}

bool wal_frontier_root(const struct wal_frontier *frontier, struct wal_hasher *hasher,
                       uint8_t root[WAL_HASH_SIZE]) {
    if (frontier->count == 0)
        return hash_two(hasher, "", 0, (struct bytes_view){NULL, 0}, root);
    /* The smallest subtree is the rightmost: join from there leftwards. */
    unsigned level = (unsigned)__builtin_ctzll(frontier->count);
    memcpy(root, frontier->node[level], WAL_HASH_SIZE);
    for (level++; level < WAL_MERKLE_LEVELS; level++) {
        if ((frontier->count >> level & 1) != 0 &&
            !wal_merkle_node(hasher, frontier->node[level], root, root))
            return false;
    }
    return true;
}

void wal_frontier_copy(struct wal_frontier *to, const struct wal_frontier *from) {
    to->count = from->count;
    for (unsigned level = 0; level < WAL_MERKLE_LEVELS; level++) {
        if ((from->count >> level & 1) != 0)
            memcpy(to->node[level], from->node[level], WAL_HASH_SIZE);
    }
}
