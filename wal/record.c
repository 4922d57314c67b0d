#include "wal/record.h"

#include <assert.h>
#include <string.h>

/* Byte offsets of the frame header; see the diagram in wal/FORMAT.md. */
enum {
    AT_MAGIC = 0,
    AT_SIZE = 4,
    AT_KIND = 8,
    AT_PREVIOUS = 12,
    AT_LSN = 16,
    AT_DURABLE = 24,
    AT_FRAME_CRC = 32,
    AT_HEADER_CRC = 36,
};

/* "wfr1", read as a little-endian number. */
static const uint32_t frame_magic = 0x31726677;

uint32_t wal_frame_seed(const uint8_t store_id[WAL_STORE_ID_SIZE]) {
    return crc32c(0, store_id, WAL_STORE_ID_SIZE);
}

uint64_t wal_frame_size(uint64_t payload_size) {
    uint64_t size = WAL_FRAME_HEADER_SIZE + payload_size;
    return (size + WAL_FRAME_ALIGN - 1) & ~(uint64_t)(WAL_FRAME_ALIGN - 1);
}

/* The part of the payload that the frame CRC covers. */
static size_t checked_payload(const struct wal_frame *frame) {
    return frame->kind == WAL_FRAME_LOST ? (size_t)WAL_LOST_PAYLOAD_CHECKED : frame->payload.size;
}

void wal_frame_encode(uint8_t *at, uint32_t seed, struct wal_frame *frame) {
    assert(frame->payload.size > 0 && frame->payload.size <= UINT32_MAX);
    frame->size = wal_frame_size(frame->payload.size);
    bytes_store_u32(at + AT_MAGIC, frame_magic);
    bytes_store_u32(at + AT_SIZE, (uint32_t)frame->payload.size);
    bytes_store_u32(at + AT_KIND, (uint32_t)frame->kind);
    bytes_store_u32(at + AT_PREVIOUS, frame->previous);
    bytes_store_u64(at + AT_LSN, frame->lsn);
    bytes_store_u64(at + AT_DURABLE, frame->durable_lsn);
    frame->header_hash = crc32c(seed, at, AT_FRAME_CRC);
    frame->crc = crc32c(frame->header_hash, frame->payload.data, checked_payload(frame));
    bytes_store_u32(at + AT_FRAME_CRC, frame->crc);
    bytes_store_u32(at + AT_HEADER_CRC, crc32c(frame->header_hash, at + AT_FRAME_CRC, 4));
    size_t stored = checked_payload(frame);
    size_t used = WAL_FRAME_HEADER_SIZE + stored;
    if (frame->payload.data != at + WAL_FRAME_HEADER_SIZE)
        memcpy(at + WAL_FRAME_HEADER_SIZE, frame->payload.data, stored);
    memset(at + used, 0, (size_t)wal_frame_checked_size(frame) - used);
}

/* The limits that a header must keep although its checksum holds: a bug or an adversary wrote it.
 */
static const char *check_limits(const uint8_t *at, const struct wal_frame *frame) {
    if (at[AT_KIND + 1] != 0 || at[AT_KIND + 2] != 0 || at[AT_KIND + 3] != 0)
        return "reserved header bytes are not zero";
    if (frame->lsn == 0 || frame->lsn >= UINT64_MAX - WAL_LOST_RECORDS_MAX)
        return "the LSN is out of range";
    if (at[AT_KIND] == WAL_FRAME_LOST) {
        if (frame->payload.size < WAL_LOST_PAYLOAD_CHECKED)
            return "the lost frame is too short";
        if (frame->payload.size > WAL_LOST_PAYLOAD_MAX)
            return "the lost frame is longer than any segment";
        if (frame->durable_lsn < frame->lsn - 1 ||
            frame->durable_lsn - (frame->lsn - 1) > WAL_LOST_RECORDS_MAX)
            return "the lost frame's LSN range is impossible";
        return NULL;
    }
    if (frame->durable_lsn >= frame->lsn)
        return "the durable mark is not below the LSN";
    if (at[AT_KIND] == WAL_FRAME_SEAL)
        return frame->payload.size == WAL_SEAL_PAYLOAD_SIZE ? NULL : "the seal has the wrong size";
    if (at[AT_KIND] != WAL_FRAME_RECORD)
        return "the frame is of no known kind";
    if (frame->payload.size == 0 || frame->payload.size > WAL_PAYLOAD_MAX)
        return "the payload size is out of range";
    return NULL;
}

static void load_header(const uint8_t *at, uint32_t hash, struct wal_frame *frame) {
    *frame = (struct wal_frame){
        .kind = (enum wal_frame_kind)at[AT_KIND],
        .previous = bytes_load_u32(at + AT_PREVIOUS),
        .crc = bytes_load_u32(at + AT_FRAME_CRC),
        .header_hash = hash,
        .lsn = bytes_load_u64(at + AT_LSN),
        .durable_lsn = bytes_load_u64(at + AT_DURABLE),
        .payload = {NULL, bytes_load_u32(at + AT_SIZE)},
    };
    frame->size = wal_frame_size(frame->payload.size);
}

const char *wal_frame_decode_header(const uint8_t *at, uint32_t seed, struct wal_frame *frame) {
    if (bytes_load_u32(at + AT_MAGIC) != frame_magic)
        return "no frame starts here";
    uint32_t hash = crc32c(seed, at, AT_FRAME_CRC);
    if (crc32c(hash, at + AT_FRAME_CRC, 4) != bytes_load_u32(at + AT_HEADER_CRC))
        return "the frame header fails its checksum";
    load_header(at, hash, frame);
    return check_limits(at, frame);
}

uint64_t wal_frame_checked_size(const struct wal_frame *frame) {
    return wal_frame_size(checked_payload(frame));
}

const char *wal_frame_decode_body(const uint8_t *at, struct wal_frame *frame) {
    const uint8_t *payload = at + WAL_FRAME_HEADER_SIZE;
    size_t size = checked_payload(frame);
    if (crc32c(frame->header_hash, payload, size) != frame->crc)
        return "the record fails its checksum";
    const uint8_t *end = at + wal_frame_checked_size(frame);
    for (const uint8_t *pad = payload + size; pad < end; pad++) {
        if (*pad != 0)
            return "the padding is not zero";
    }
    frame->payload.data = payload;
    return NULL;
}

bool wal_frame_view(const uint8_t *at, size_t left, struct wal_frame *frame) {
    if (left < WAL_FRAME_SIZE_MIN)
        return false;
    load_header(at, 0, frame);
    frame->payload.data = at + WAL_FRAME_HEADER_SIZE;
    return wal_frame_checked_size(frame) <= left;
}

uint32_t wal_frame_chain(const struct wal_frame *frame) {
    return frame->kind == WAL_FRAME_LOST ? bytes_load_u32(frame->payload.data) : frame->crc;
}

uint64_t wal_frame_next_lsn(const struct wal_frame *frame) {
    switch (frame->kind) {
    case WAL_FRAME_RECORD:
        return frame->lsn + 1;
    case WAL_FRAME_SEAL:
        return frame->lsn;
    case WAL_FRAME_LOST:
        return frame->durable_lsn + 1;
    }
    return frame->lsn;
}

void wal_seal_encode(uint8_t *at, const struct wal_seal *seal) {
    bytes_store_u64(at, seal->count);
    memcpy(at + 8, seal->root, WAL_HASH_SIZE);
}

void wal_seal_decode(const uint8_t *at, struct wal_seal *seal) {
    seal->count = bytes_load_u64(at);
    memcpy(seal->root, at + 8, WAL_HASH_SIZE);
}
