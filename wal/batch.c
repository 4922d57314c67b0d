#include "wal/batch.h"

#include <stdlib.h>

enum {
    BUFFER_MIN = 64 * 1024,
    BUFFER_KEEP_MAX = 4 * 1024 * 1024, /* a larger buffer is given back after use */
};

bool wal_batch_empty(const struct wal_batch *batch) {
    return batch->last_lsn < batch->first_lsn || batch->size == 0;
}

void wal_batch_clear(struct wal_batch *batch) {
    batch->size = 0;
    batch->first_lsn = 1;
    batch->last_lsn = 0;
    if (batch->capacity > BUFFER_KEEP_MAX) {
        free(batch->data);
        batch->data = NULL;
        batch->capacity = 0;
    }
}

bool wal_batch_grow(struct wal_batch *batch, size_t size) {
    if (batch->capacity - batch->size >= size)
        return true;
    size_t capacity = batch->capacity == 0 ? BUFFER_MIN : 2 * batch->capacity;
    if (capacity < batch->size + size)
        capacity = batch->size + size;
    uint8_t *grown = realloc(batch->data, capacity);
    if (grown == NULL)
        return false;
    batch->data = grown;
    batch->capacity = capacity;
    return true;
}

bool wal_batch_hash(const struct wal_batch *batch, struct wal_hasher *hasher,
                    uint64_t segment_first, struct wal_frontier *frontier) {
    if (batch == NULL || wal_batch_empty(batch))
        return true;
    const uint8_t *at = batch->data;
    for (uint64_t lsn = batch->first_lsn; lsn <= batch->last_lsn; lsn++) {
        /* We wrote these bytes ourselves: the size stands 4 bytes into the frame. */
        size_t size = bytes_load_u32(at + 4);
        struct bytes_view payload = {at + WAL_FRAME_HEADER_SIZE, size};
        if (lsn - segment_first >= frontier->count &&
            !wal_frontier_add(frontier, hasher, lsn, payload))
            return false;
        at += wal_frame_size(size);
    }
    return true;
}
