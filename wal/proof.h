/* Proofs over the Merkle tree of all records, in the manner of RFC 9162: which subtrees a proof is
 * made of, and whether a proof holds. Hashes of subtrees come from whoever reads the records. The
 * leaf of LSN n has the index n - 1; the tree of all records up to LSN n has the size n. */
#ifndef WAL_PROOF_H
#define WAL_PROOF_H

#include "wal/merkle.h"

enum { WAL_PROOF_NODES_MAX = 2 * WAL_MERKLE_LEVELS };

/* The subtree over the leaves [first, end). */
struct wal_subtree {
    uint64_t first;
    uint64_t end;
    uint8_t hash[WAL_HASH_SIZE];
};

/* Subtrees that do not overlap, in the order in which the proof lists them. */
struct wal_proof {
    size_t count;
    struct wal_subtree nodes[WAL_PROOF_NODES_MAX];
};

/* What proves that leaf `index` is in the tree of `size` leaves (section 2.1.3.1). index < size. */
void wal_proof_of_inclusion(uint64_t index, uint64_t size, struct wal_proof *proof);
/* What proves that the tree of `old_size` leaves is the beginning of the one of `size` (section
 * 2.1.4.1). old_size from 1 to size; no nodes where they are the same. */
void wal_proof_of_consistency(uint64_t old_size, uint64_t size, struct wal_proof *proof);

/* Does the path lead from `leaf` to `root` (section 2.1.3.2)? */
bool wal_proof_check_inclusion(struct wal_hasher *hasher, const uint8_t leaf[WAL_HASH_SIZE],
                               uint64_t index, uint64_t size, const uint8_t (*path)[WAL_HASH_SIZE],
                               size_t count, const uint8_t root[WAL_HASH_SIZE]);
/* Does the path join both roots (section 2.1.4.2)? */
bool wal_proof_check_consistency(struct wal_hasher *hasher, uint64_t old_size,
                                 const uint8_t old_root[WAL_HASH_SIZE], uint64_t size,
                                 const uint8_t root[WAL_HASH_SIZE],
                                 const uint8_t (*path)[WAL_HASH_SIZE], size_t count);

#endif
