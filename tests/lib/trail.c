#include "tests/lib/trail.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { TRAIL_BYTES_MAX = 1 << 20 };

static void find_frames(struct trail *trail, size_t file_size) {
    uint32_t seed = wal_frame_seed(trail->header.store_id);
    size_t offset = WAL_SEGMENT_HEADER_SIZE;
    struct wal_frame frame;
    while (offset + WAL_FRAME_SIZE_MIN <= file_size &&
           wal_frame_decode_header(trail->bytes + offset, seed, &frame) == NULL) {
        assert_true(trail->count < TRAIL_FRAMES_MAX);
        assert_null(wal_frame_decode_body(trail->bytes + offset, &frame));
        trail->frames[trail->count++] =
            (struct trail_frame){.offset = offset,
                                 .size = (size_t)frame.size,
                                 .lsn = frame.kind == WAL_FRAME_RECORD ? frame.lsn : 0,
                                 .payload = frame.payload};
        offset += (size_t)frame.size;
    }
    trail->size = offset;
}

void trail_load(struct trail *trail, const char *path) {
    *trail = (struct trail){0};
    (void)snprintf(trail->path, sizeof trail->path, "%s", path);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    trail->bytes = malloc(TRAIL_BYTES_MAX);
    size_t size = fread(trail->bytes, 1, TRAIL_BYTES_MAX, file);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(wal_segment_header_decode(trail->bytes, size, &trail->header),
                     WAL_HEADER_GOOD);
    find_frames(trail, size);
}

void trail_deinit(struct trail *trail) {
    free(trail->bytes);
    trail->bytes = NULL;
}

uint64_t trail_lsn_at(const struct trail *trail, size_t offset) {
    for (size_t i = 0; i < trail->count; i++) {
        const struct trail_frame *frame = &trail->frames[i];
        if (offset >= frame->offset && offset < frame->offset + frame->size)
            return frame->lsn;
    }
    return 0;
}

void trail_write(const struct trail *trail, const void *bytes, size_t size) {
    FILE *file = fopen(trail->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void trail_restore(const struct trail *trail) {
    trail_write(trail, trail->bytes, trail->size);
}

static size_t size_of(const struct trail *trail, const size_t *order, size_t count) {
    size_t size = WAL_SEGMENT_HEADER_SIZE;
    for (size_t i = 0; i < count; i++)
        size += (size_t)wal_frame_size(trail->frames[order[i]].payload.size);
    return size;
}

void trail_write_frames(const struct trail *trail, const size_t *order, size_t count) {
    size_t size = size_of(trail, order, count);
    uint8_t *bytes = malloc(size);
    memcpy(bytes, trail->bytes, WAL_SEGMENT_HEADER_SIZE);
    size_t at = WAL_SEGMENT_HEADER_SIZE;
    for (size_t i = 0; i < count; i++) {
        const struct trail_frame *frame = &trail->frames[order[i]];
        memcpy(bytes + at, trail->bytes + frame->offset, frame->size);
        at += frame->size;
    }
    trail_write(trail, bytes, size);
    free(bytes);
}

void trail_forge_frames(const struct trail *trail, const size_t *order, size_t count) {
    size_t size = size_of(trail, order, count);
    uint8_t *bytes = calloc(1, size);
    memcpy(bytes, trail->bytes, WAL_SEGMENT_HEADER_SIZE);
    size_t at = WAL_SEGMENT_HEADER_SIZE;
    uint32_t previous = trail->header.previous;
    for (size_t i = 0; i < count; i++) {
        struct wal_frame frame = {.kind = WAL_FRAME_RECORD,
                                  .previous = previous,
                                  .lsn = trail->header.first_lsn + i,
                                  .durable_lsn = trail->header.first_lsn + i - 1,
                                  .payload = trail->frames[order[i]].payload};
        wal_frame_encode(bytes + at, wal_frame_seed(trail->header.store_id), &frame);
        previous = frame.crc;
        at += (size_t)frame.size;
    }
    trail_write(trail, bytes, size);
    free(bytes);
}
