/* A range of the tree of all records as the fewest perfect subtrees that cover it: what an archive
 * keeps of its records, so that roots and proofs need not read them. Owns the hashes. */
#ifndef WAL_COVER_H
#define WAL_COVER_H

#include "wal/merkle.h"

struct wal_cover {
    uint64_t first, end; /* leaves [first, end), by index: LSN - 1 */
    uint64_t at;         /* leaves so far */
    uint64_t piece_end;  /* of the subtree under way */
    struct wal_frontier part;
    uint8_t (*hashes)[WAL_HASH_SIZE]; /* of the subtrees, in order */
    size_t count;
};

/* The level of the subtree that a cover of [first, end) begins with: the largest that is aligned at
 * `first` and does not pass `end`, which is behind it. */
unsigned wal_cover_level(uint64_t first, uint64_t end);
/* How many subtrees cover the range. */
size_t wal_cover_count(uint64_t first, uint64_t end);

/* False: no memory. */
bool wal_cover_init(struct wal_cover *cover, uint64_t first, uint64_t end);
void wal_cover_deinit(struct wal_cover *cover);
/* Add the next subtree of 2^level leaves; it lies within one of the cover's. False: libcrypto
 * failed. */
bool wal_cover_add(struct wal_cover *cover, struct wal_hasher *hasher, unsigned level,
                   const uint8_t hash[WAL_HASH_SIZE]);
bool wal_cover_is_whole(const struct wal_cover *cover);

#endif
