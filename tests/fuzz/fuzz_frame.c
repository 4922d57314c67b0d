/* One frame at the start of any bytes: decoding trusts no length, and what it accepts is exactly
 * what encoding would have written. */
#include "tests/fuzz/frames.h"
#include "tests/fuzz/seeds.h"

#include <stdlib.h>
#include <string.h>

static const uint8_t store_id[WAL_STORE_ID_SIZE] = "a store to fuzz";

static void make_seeds(void) {
    uint8_t segment[4096];
    size_t size = frames_make_segment(segment, sizeof segment, 3, true);
    fuzz_seed(segment + WAL_SEGMENT_HEADER_SIZE, size - WAL_SEGMENT_HEADER_SIZE);
    fuzz_seed(segment + size - WAL_SEAL_FRAME_SIZE, WAL_SEAL_FRAME_SIZE);
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    fuzz_seeds(make_seeds);
    return 0;
}

/* A header whose checksum holds, and whose length, LSNs and kind are whatever they are. */
static void make_header_hold(uint8_t *data) {
    memcpy(data, "wfr1", 4);
    uint32_t hash = crc32c(wal_frame_seed(store_id), data, 32);
    bytes_store_u32(data + 36, crc32c(hash, data + 32, 4));
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed) {
    size = LLVMFuzzerMutate(data, size, size_max);
    if (seed % 4 == 1 && size >= WAL_FRAME_HEADER_SIZE)
        make_header_hold(data);
    else if (seed % 4 != 0)
        frames_repair(data, size, 0, wal_frame_seed(store_id), seed % 8 < 4);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct wal_frame frame;
    uint32_t seed = wal_frame_seed(store_id);
    if (size < WAL_FRAME_HEADER_SIZE || wal_frame_decode_header(data, seed, &frame) != NULL)
        return 0;
    fuzz_require(frame.size >= WAL_FRAME_SIZE_MIN && frame.size % WAL_FRAME_ALIGN == 0 &&
                     frame.size <= wal_frame_size(frame.kind == WAL_FRAME_LOST
                                                      ? (uint64_t)WAL_LOST_PAYLOAD_MAX
                                                      : (uint64_t)WAL_PAYLOAD_MAX),
                 "a frame's size is bounded");
    uint64_t checked = wal_frame_checked_size(&frame);
    if (checked > size || wal_frame_decode_body(data, &frame) != NULL)
        return 0;
    uint8_t *again = calloc(1, checked);
    fuzz_require(again != NULL, "memory");
    struct wal_frame copy = frame;
    wal_frame_encode(again, seed, &copy);
    fuzz_require(copy.crc == frame.crc && copy.size == frame.size, "encoding gives the same frame");
    fuzz_require(memcmp(again, data, checked) == 0, "encoding gives the same bytes");
    fuzz_require(wal_frame_next_lsn(&frame) >= frame.lsn, "LSNs do not wrap");
    free(again);
    return 0;
}
