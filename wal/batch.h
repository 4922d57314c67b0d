/* Frames that wait in memory to be written back to back into the open segment. Owns their bytes. */
#ifndef WAL_BATCH_H
#define WAL_BATCH_H

#include "wal/merkle.h"
#include "wal/record.h"

struct wal_batch {
    uint8_t *data;
    size_t size;
    size_t capacity;
    uint64_t offset; /* in the segment */
    uint64_t first_lsn;
    uint64_t last_lsn; /* below first_lsn: empty */
};

bool wal_batch_empty(const struct wal_batch *batch);
/* Forget the frames; a large buffer is given back. */
void wal_batch_clear(struct wal_batch *batch);
/* Make room for `size` more bytes. False: no memory. */
bool wal_batch_grow(struct wal_batch *batch, size_t size);
/* Add the records that `frontier` does not hold yet; `segment_first` is the first LSN of its tree.
 * `batch` may be NULL. False: libcrypto failed. */
bool wal_batch_hash(const struct wal_batch *batch, struct wal_hasher *hasher,
                    uint64_t segment_first, struct wal_frontier *frontier);

#endif
