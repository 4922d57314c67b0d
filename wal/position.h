/* The inside of struct wal_position: encoded with a version and a checksum of its own, because it
 * is kept by somebody else. Owns no memory. */
#ifndef WAL_POSITION_H
#define WAL_POSITION_H

#include "wal/merkle.h"
#include "wal/segment.h"

struct wal_place {
    uint8_t store_id[WAL_STORE_ID_SIZE];
    uint64_t lsn;           /* the last record before this place */
    uint64_t segment_first; /* the segment that the next frame goes to, made or not */
    uint64_t offset;        /* in it */
    uint64_t last_offset;   /* of the frame that ends at `offset`; 0 where none does */
    uint32_t previous;      /* the chain */
    struct wal_frontier frontier;
};

void wal_position_encode(const struct wal_place *place, struct wal_position *position);
/* False where the bytes are not a position of this version. */
bool wal_position_decode(const struct wal_position *position, struct wal_place *place);

#endif
