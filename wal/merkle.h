/* The Merkle tree of one segment in the manner of RFC 9162 section 2.1.1, built record by record:
 * owns a SHA-256 context, and of the tree only the frontier (the roots of its perfect subtrees). */
#ifndef WAL_MERKLE_H
#define WAL_MERKLE_H

#include "wal/wal.h"

enum { WAL_MERKLE_LEVELS = 40 }; /* 2^40 records: more than any segment holds */

/* Where the bit i of `count` is set, node[i] is the root of a perfect subtree of 2^i leaves; the
 * one of the highest bit is the leftmost. */
struct wal_frontier {
    uint64_t count; /* leaves */
    uint8_t node[WAL_MERKLE_LEVELS][WAL_HASH_SIZE];
};

struct wal_hasher; /* one thread at a time */

/* NULL where memory fails. destroy takes NULL. */
struct wal_hasher *wal_hasher_create(void);
void wal_hasher_destroy(struct wal_hasher *hasher);

/* SHA-256(0x00 || lsn || payload): the leaf of one record. False: libcrypto could not. */
bool wal_merkle_leaf(struct wal_hasher *hasher, uint64_t lsn, struct bytes_view payload,
                     uint8_t leaf[WAL_HASH_SIZE]);

/* SHA-256(0x01 || left || right): an inner node. `out` may be one of them. */
bool wal_merkle_node(struct wal_hasher *hasher, const uint8_t left[WAL_HASH_SIZE],
                     const uint8_t right[WAL_HASH_SIZE], uint8_t out[WAL_HASH_SIZE]);

/* Add a perfect subtree of 2^level leaves, whose root is `node`, behind the leaves that are there:
 * their count is a multiple of 2^level. Level 0 is a leaf. False: libcrypto could not, and the
 * frontier is unchanged. */
bool wal_frontier_add_subtree(struct wal_frontier *frontier, struct wal_hasher *hasher,
                              unsigned level, const uint8_t node[WAL_HASH_SIZE]);

/* Add the next record. False: libcrypto could not, and the frontier is unchanged. */
bool wal_frontier_add(struct wal_frontier *frontier, struct wal_hasher *hasher, uint64_t lsn,
                      struct bytes_view payload);

/* The root of the tree so far; of no leaves, SHA-256 of nothing. */
bool wal_frontier_root(const struct wal_frontier *frontier, struct wal_hasher *hasher,
                       uint8_t root[WAL_HASH_SIZE]);

/* Copy only the nodes that stand for something. */
void wal_frontier_copy(struct wal_frontier *to, const struct wal_frontier *from);

#endif
