/* One frame: how a record, a seal or a lost range stands in a segment's bytes. Owns no memory and
 * does no I/O; the diagram is in wal/FORMAT.md. */
#ifndef WAL_RECORD_H
#define WAL_RECORD_H

#include "wal/wal.h"

enum {
    WAL_FRAME_HEADER_SIZE = 40,
    WAL_FRAME_ALIGN = 8,
    WAL_FRAME_SIZE_MIN = 48, /* a header and one to eight bytes of payload */
    WAL_SEAL_PAYLOAD_SIZE = 40,
    WAL_SEAL_FRAME_SIZE = WAL_FRAME_HEADER_SIZE + WAL_SEAL_PAYLOAD_SIZE,
    WAL_LOST_PAYLOAD_CHECKED = 8, /* of a lost frame's payload, these bytes are checked and read */
    WAL_LOST_PAYLOAD_MAX = 1 << 30, /* it covers no more than the largest segment has */
    WAL_LOST_RECORDS_MAX =
        1 << 25, /* LSNs in one lost frame: more than 1 GiB of the smallest records */
};

enum wal_frame_kind { WAL_FRAME_RECORD = 1, WAL_FRAME_SEAL = 2, WAL_FRAME_LOST = 3 };

struct wal_frame {
    enum wal_frame_kind kind;
    uint32_t previous;    /* frame CRC of the frame before */
    uint32_t crc;         /* of this frame */
    uint32_t header_hash; /* CRC of UUID and header bytes 0..31, from which the body's goes on */
    uint64_t lsn;         /* seal: of the record that follows; lost: the first one lost */
    uint64_t durable_lsn; /* the durable mark; lost: the last one lost */
    struct bytes_view payload; /* data is NULL until the body was decoded */
    uint64_t size;             /* of the whole frame on disk, padding included */
};

/* What a seal says. */
struct wal_seal {
    uint64_t count;
    uint8_t root[WAL_HASH_SIZE];
};

/* The checksum of the store's UUID, with which every frame's checksum starts. */
uint32_t wal_frame_seed(const uint8_t store_id[WAL_STORE_ID_SIZE]);

/* Bytes on disk of a frame with so much payload. */
uint64_t wal_frame_size(uint64_t payload_size);

/* Write the frame at `at`, which has room for wal_frame_checked_size(frame) bytes: all of the
 * frame, but of a lost frame only what is ever read. The payload may stand in its place already.
 * Sets `crc` and `size`. */
void wal_frame_encode(uint8_t *at, uint32_t seed, struct wal_frame *frame);

/* Read the header at `at` (WAL_FRAME_HEADER_SIZE bytes). Returns NULL where it holds, else what is
 * wrong, in words. Only then may the size be believed; it is within the limits of its kind. */
const char *wal_frame_decode_header(const uint8_t *at, uint32_t seed, struct wal_frame *frame);

/* Bytes from the frame's start that decode_body() looks at. */
uint64_t wal_frame_checked_size(const struct wal_frame *frame);

/* Check the body whose header was decoded from the same `at`, which holds checked_size() bytes, and
 * point `payload` into it. NULL where it holds, else what is wrong. */
const char *wal_frame_decode_body(const uint8_t *at, struct wal_frame *frame);

/* The frame at `at`, where its checksums have been checked before: they are not looked at. False:
 * it takes more than `left` bytes. */
bool wal_frame_view(const uint8_t *at, size_t left, struct wal_frame *frame);

/* The frame CRC that the frame behind this one carries as `previous`. */
uint32_t wal_frame_chain(const struct wal_frame *frame);

/* The LSN of the next record behind this frame. */
uint64_t wal_frame_next_lsn(const struct wal_frame *frame);

/* A seal's payload, WAL_SEAL_PAYLOAD_SIZE bytes. */
void wal_seal_encode(uint8_t *at, const struct wal_seal *seal);
void wal_seal_decode(const uint8_t *at, struct wal_seal *seal);

#endif
