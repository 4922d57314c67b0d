#include "wal/position.h"

#include <assert.h>
#include <string.h>

/* Layout: version u32, previous u32, store UUID (16), lsn, segment_first, offset, last_offset,
 * count u64 each, one hash for every set bit of count from the lowest up, CRC-32C u32 of all that.
 */
enum { POSITION_VERSION = 1, FIXED_SIZE = 4 + 4 + 16 + 5 * 8, CRC_SIZE = 4 };

static_assert(FIXED_SIZE + WAL_MERKLE_LEVELS * WAL_HASH_SIZE + CRC_SIZE <=
                  (int)sizeof(((struct wal_position *)0)->bytes),
              "a full frontier fits into a position");

void wal_position_encode(const struct wal_place *place, struct wal_position *position) {
    uint8_t *at = position->bytes;
    bytes_store_u32(at, POSITION_VERSION);
    bytes_store_u32(at + 4, place->previous);
    memcpy(at + 8, place->store_id, WAL_STORE_ID_SIZE);
    bytes_store_u64(at + 24, place->lsn);
    bytes_store_u64(at + 32, place->segment_first);
    bytes_store_u64(at + 40, place->offset);
    bytes_store_u64(at + 48, place->last_offset);
    bytes_store_u64(at + 56, place->frontier.count);
    size_t size = FIXED_SIZE;
    for (unsigned level = 0; level < WAL_MERKLE_LEVELS; level++) {
        if ((place->frontier.count >> level & 1) != 0) {
            memcpy(at + size, place->frontier.node[level], WAL_HASH_SIZE);
            size += WAL_HASH_SIZE;
        }
    }
    bytes_store_u32(at + size, crc32c(0, at, size));
    position->size = size + CRC_SIZE;
    position->lsn = place->lsn;
}

bool wal_position_decode(const struct wal_position *position, struct wal_place *place) {
    const uint8_t *at = position->bytes;
    if (position->size < FIXED_SIZE + CRC_SIZE || position->size > sizeof position->bytes)
        return false;
    size_t size = position->size - CRC_SIZE;
    if (crc32c(0, at, size) != bytes_load_u32(at + size) || bytes_load_u32(at) != POSITION_VERSION)
        return false;
    place->previous = bytes_load_u32(at + 4);
    memcpy(place->store_id, at + 8, WAL_STORE_ID_SIZE);
    place->lsn = bytes_load_u64(at + 24);
    place->segment_first = bytes_load_u64(at + 32);
    place->offset = bytes_load_u64(at + 40);
    place->last_offset = bytes_load_u64(at + 48);
    place->frontier.count = bytes_load_u64(at + 56);
    uint64_t count = place->frontier.count;
    if (count >> WAL_MERKLE_LEVELS != 0 || place->lsn != position->lsn ||
        place->segment_first == 0 || place->lsn - (place->segment_first - 1) != count ||
        size != FIXED_SIZE + (size_t)__builtin_popcountll(count) * WAL_HASH_SIZE)
        return false;
    at += FIXED_SIZE;
    for (unsigned level = 0; level < WAL_MERKLE_LEVELS; level++) {
        if ((count >> level & 1) != 0) {
            memcpy(place->frontier.node[level], at, WAL_HASH_SIZE);
            at += WAL_HASH_SIZE;
        }
    }
    return true;
}

bool wal_position_store(const struct wal_position *position, uint8_t store_id[WAL_STORE_ID_SIZE]) {
    struct wal_place place;
    if (!wal_position_decode(position, &place))
        return false;
    memcpy(store_id, place.store_id, WAL_STORE_ID_SIZE);
    return true;
}
