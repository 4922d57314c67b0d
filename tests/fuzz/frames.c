#include "tests/fuzz/frames.h"

#include <stdlib.h>
#include <string.h>

enum { AT_SIZE = 4, AT_KIND = 8, AT_PREVIOUS = 12, AT_LSN = 16, AT_DURABLE = 24 };

static uint64_t clip(uint64_t payload, uint64_t room) {
    uint64_t most = room - WAL_FRAME_HEADER_SIZE;
    return payload > most ? most - most % WAL_FRAME_ALIGN : payload;
}

void frames_repair(uint8_t *data, size_t size, size_t start, uint32_t seed, bool chain) {
    uint32_t previous = 0;
    uint64_t lsn = 0;
    for (size_t at = start; at + WAL_FRAME_SIZE_MIN <= size;) {
        uint8_t *raw = data + at;
        uint64_t payload = clip(bytes_load_u32(raw + AT_SIZE), size - at);
        unsigned kind = raw[AT_KIND];
        if (payload == 0 || kind < WAL_FRAME_RECORD || kind > WAL_FRAME_LOST ||
            (kind == WAL_FRAME_SEAL && payload != WAL_SEAL_PAYLOAD_SIZE) ||
            (kind == WAL_FRAME_LOST && payload < WAL_LOST_PAYLOAD_CHECKED))
            return;
        struct wal_frame frame = {
            .kind = (enum wal_frame_kind)kind,
            .previous = chain && at > start ? previous : bytes_load_u32(raw + AT_PREVIOUS),
            .lsn = chain && at > start ? lsn : bytes_load_u64(raw + AT_LSN),
            .durable_lsn = bytes_load_u64(raw + AT_DURABLE),
        };
        if (frame.lsn > UINT64_MAX / 4 ||
            (kind == WAL_FRAME_LOST && frame.durable_lsn - frame.lsn + 1 > WAL_LOST_RECORDS_MAX))
            return;
        uint8_t *copy = malloc(payload);
        if (copy == NULL)
            return;
        memcpy(copy, raw + WAL_FRAME_HEADER_SIZE, payload);
        frame.payload = (struct bytes_view){copy, payload};
        uint64_t whole = wal_frame_size(payload);
        bool fits = at + whole <= size;
        if (fits)
            wal_frame_encode(raw, seed, &frame);
        if (fits) {
            previous = wal_frame_chain(&frame);
            lsn = wal_frame_next_lsn(&frame);
        }
        free(copy);
        if (!fits)
            return;
        at += whole;
    }
}

void frames_repair_segment(uint8_t *data, size_t size, bool chain) {
    struct wal_segment_header header;
    if (size < WAL_SEGMENT_HEADER_SIZE)
        return;
    if (wal_segment_header_decode(data, size, &header) == WAL_HEADER_BAD) {
        header = (struct wal_segment_header){.version = WAL_SEGMENT_VERSION};
        memcpy(header.store_id, data + 16, WAL_STORE_ID_SIZE);
        header.first_lsn = chain ? 1 : bytes_load_u64(data + 32);
        header.previous = chain ? 0 : bytes_load_u32(data + 40);
        wal_segment_header_encode(data, &header);
    }
    frames_repair(data, size, WAL_SEGMENT_HEADER_SIZE, wal_frame_seed(header.store_id), chain);
}

size_t frames_make_segment(uint8_t *data, size_t size_max, unsigned records, bool sealed) {
    struct wal_segment_header header = {.first_lsn = 1, .version = WAL_SEGMENT_VERSION};
    memcpy(header.store_id, "a store to fuzz.", WAL_STORE_ID_SIZE);
    uint32_t seed = wal_frame_seed(header.store_id);
    memset(data, 0, size_max);
    wal_segment_header_encode(data, &header);
    size_t at = WAL_SEGMENT_HEADER_SIZE;
    uint32_t previous = 0;
    uint8_t payload[64];
    for (unsigned i = 1; i <= records && at + 256 < size_max; i++) {
        memset(payload, (int)('a' + i), sizeof payload);
        struct wal_frame frame = {.kind = WAL_FRAME_RECORD,
                                  .previous = previous,
                                  .lsn = i,
                                  .durable_lsn = i - 1,
                                  .payload = {payload, 1 + i * 7 % sizeof payload}};
        wal_frame_encode(data + at, seed, &frame);
        previous = wal_frame_chain(&frame);
        at += wal_frame_size(frame.payload.size);
    }
    if (sealed) {
        struct wal_seal seal = {.count = records};
        uint8_t bytes[WAL_SEAL_PAYLOAD_SIZE];
        wal_seal_encode(bytes, &seal);
        struct wal_frame frame = {.kind = WAL_FRAME_SEAL,
                                  .previous = previous,
                                  .lsn = records + 1,
                                  .durable_lsn = records,
                                  .payload = {bytes, sizeof bytes}};
        wal_frame_encode(data + at, seed, &frame);
        at += WAL_SEAL_FRAME_SIZE;
    }
    return at;
}
