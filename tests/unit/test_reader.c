#include "wal/reader.h"

#include "tests/lib/wal_fixture.h"
#include "wal/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { FILE_MAX = 4 * 1024 * 1024 };

/* Frames in a file of their own, without a segment around them. */
struct frames {
    struct sim_io *sim;
    struct io *io;
    struct io_file *file;
    struct wal_reader reader;
    uint32_t seed;
    uint8_t *bytes;
    size_t size;
    uint64_t lsn;
    uint32_t previous;
};

static void frames_init(struct frames *frames) {
    memset(frames, 0, sizeof *frames);
    frames->sim = sim_io_create(1);
    frames->io = sim_io_of(frames->sim);
    frames->seed = wal_frame_seed(wal_fixture_id);
    frames->bytes = calloc(1, FILE_MAX);
    assert_non_null(frames->bytes);
    wal_reader_init(&frames->reader, frames->io);
}

static void frames_deinit(struct frames *frames) {
    wal_reader_deinit(&frames->reader);
    frames->io->ops->close(frames->io, frames->file);
    sim_io_destroy(frames->sim);
    free(frames->bytes);
}

/* Put a record behind the others. Returns its offset. */
static size_t put(struct frames *frames, const void *payload, size_t size) {
    struct wal_frame frame = {
        .kind = WAL_FRAME_RECORD,
        .previous = frames->previous,
        .lsn = frames->lsn + 1,
        .durable_lsn = frames->lsn,
        .payload = {payload, size},
    };
    size_t offset = frames->size;
    wal_frame_encode(frames->bytes + offset, frames->seed, &frame);
    frames->size += (size_t)frame.size;
    frames->lsn++;
    frames->previous = frame.crc;
    return offset;
}

/* Write `size` bytes to the file and read from its beginning. */
static void start(struct frames *frames, size_t size) {
    assert_int_equal(
        frames->io->ops->open(frames->io, "/frames", IO_WRITE | IO_CREATE, &frames->file, NULL),
        WF_OK);
    assert_int_equal(io_write_all(frames->io, frames->file, 0, frames->bytes, size, NULL), WF_OK);
    assert_int_equal(wal_reader_start(&frames->reader, frames->file, frames->seed, 0, NULL), WF_OK);
}

static enum wal_found next(struct frames *frames, struct wal_step *step) {
    assert_int_equal(wal_reader_next(&frames->reader, step, NULL), WF_OK);
    return step->found;
}

static void test_wal_reader_reads_frames_across_its_blocks(void **state) {
    (void)state;
    struct frames frames;
    struct wal_step step;
    frames_init(&frames);
    uint8_t *payload = malloc(700 * 1024);
    assert_non_null(payload);
    const size_t sizes[] = {1, 700 * 1024, 9, 600 * 1024, 100, 699 * 1024, 48};
    for (size_t i = 0; i < 7; i++) {
        memset(payload, (int)i + 1, sizes[i]);
        put(&frames, payload, sizes[i]);
    }
    start(&frames, frames.size);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(next(&frames, &step), WAL_FOUND_FRAME);
        assert_int_equal(step.frame.lsn, i + 1);
        assert_int_equal(step.frame.payload.size, sizes[i]);
        assert_int_equal(step.frame.payload.data[sizes[i] - 1], i + 1);
    }
    assert_int_equal(next(&frames, &step), WAL_FOUND_END);
    free(payload);
    frames_deinit(&frames);
}

static void test_wal_reader_ends_at_zeros(void **state) {
    (void)state;
    struct frames frames;
    struct wal_step step;
    frames_init(&frames);
    put(&frames, "one", 3);
    start(&frames, 2 * 1024 * 1024 + 17);
    assert_int_equal(next(&frames, &step), WAL_FOUND_FRAME);
    assert_int_equal(next(&frames, &step), WAL_FOUND_END);
    assert_int_equal(step.offset, 48);
    frames_deinit(&frames);
}

static void test_wal_reader_zeros_before_something_are_no_end(void **state) {
    (void)state;
    struct frames frames;
    struct wal_step step;
    uint64_t end;
    frames_init(&frames);
    put(&frames, "one", 3);
    frames.bytes[1500 * 1000] = 1;
    start(&frames, 2 * 1024 * 1024);
    assert_int_equal(next(&frames, &step), WAL_FOUND_FRAME);
    assert_int_equal(next(&frames, &step), WAL_FOUND_BAD);
    assert_int_equal(wal_reader_used_end(&frames.reader, 48, &end, NULL), WF_OK);
    assert_int_equal(end, 1500 * 1000 + 1);
    frames_deinit(&frames);
}

static void test_wal_reader_stops_at_torn_tail(void **state) {
    (void)state;
    struct frames frames;
    frames_init(&frames);
    put(&frames, "one", 3);
    size_t offset = put(&frames, "two", 3);
    for (size_t size = offset + 1; size < frames.size; size++) {
        struct wal_step step;
        struct frames torn = frames;
        torn.sim = sim_io_create(1);
        torn.io = sim_io_of(torn.sim);
        torn.file = NULL;
        torn.bytes = malloc(FILE_MAX);
        assert_non_null(torn.bytes);
        memcpy(torn.bytes, frames.bytes, FILE_MAX);
        wal_reader_init(&torn.reader, torn.io);
        start(&torn, size);
        assert_int_equal(next(&torn, &step), WAL_FOUND_FRAME);
        assert_int_equal(next(&torn, &step), WAL_FOUND_BAD);
        assert_int_equal(step.offset, offset);
        assert_int_equal(next(&torn, &step), WAL_FOUND_BAD); /* and stays there */
        frames_deinit(&torn);
    }
    frames_deinit(&frames);
}

static void test_wal_reader_does_not_allocate_for_a_size_beyond_the_file(void **state) {
    (void)state;
    struct frames frames;
    struct wal_step step;
    frames_init(&frames);
    put(&frames, "one", 3);
    bytes_store_u32(frames.bytes + 4, WAL_PAYLOAD_MAX);
    uint32_t hash = crc32c(frames.seed, frames.bytes, 32);
    bytes_store_u32(frames.bytes + 36, crc32c(hash, frames.bytes + 32, 4));
    start(&frames, frames.size);
    assert_int_equal(next(&frames, &step), WAL_FOUND_BAD);
    assert_true(step.sized);
    assert_true(frames.reader.capacity <= 1024 * 1024);
    frames_deinit(&frames);
}

static void test_wal_reader_search_finds_the_next_frame_behind_damage(void **state) {
    (void)state;
    struct frames frames;
    struct wal_step step;
    frames_init(&frames);
    put(&frames, "one", 3);
    size_t bad = put(&frames, "two", 3);
    put(&frames, "three", 5);
    frames.bytes[bad + 20] ^= 0x10;
    start(&frames, frames.size);
    assert_int_equal(next(&frames, &step), WAL_FOUND_FRAME);
    assert_int_equal(next(&frames, &step), WAL_FOUND_BAD);
    assert_false(step.sized);
    assert_int_equal(wal_reader_search(&frames.reader, bad + 1, &step, NULL), WF_OK);
    assert_int_equal(step.found, WAL_FOUND_FRAME);
    assert_int_equal(step.frame.lsn, 3);
    assert_int_equal(wal_reader_search(&frames.reader, frames.reader.offset, &step, NULL), WF_OK);
    assert_int_equal(step.found, WAL_FOUND_END);
    frames_deinit(&frames);
}

static void test_wal_reader_frame_inside_a_payload_is_payload(void **state) {
    (void)state;
    struct frames frames;
    struct wal_step step;
    uint8_t inner[128];
    frames_init(&frames);
    struct wal_frame frame = {
        .kind = WAL_FRAME_RECORD, .lsn = 99, .payload = {(const uint8_t *)"inner", 5}};
    wal_frame_encode(inner, frames.seed, &frame);
    put(&frames, inner, (size_t)frame.size);
    put(&frames, "outer", 5);
    start(&frames, frames.size);
    assert_int_equal(next(&frames, &step), WAL_FOUND_FRAME);
    assert_int_equal(step.frame.lsn, 1);
    assert_int_equal(next(&frames, &step), WAL_FOUND_FRAME);
    assert_int_equal(step.frame.lsn, 2);
    frames_deinit(&frames);
}

static void test_wal_reader_passes_a_read_error_on(void **state) {
    (void)state;
    struct frames frames;
    struct wal_step step;
    frames_init(&frames);
    put(&frames, "one", 3);
    start(&frames, frames.size);
    struct sim_fault fault = {.op = SIM_READ, .kind = SIM_FAULT_EIO};
    sim_fault_add(frames.sim, &fault);
    assert_int_equal(wal_reader_next(&frames.reader, &step, NULL), WF_IO);
    frames_deinit(&frames);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_reader_reads_frames_across_its_blocks),
        cmocka_unit_test(test_wal_reader_ends_at_zeros),
        cmocka_unit_test(test_wal_reader_zeros_before_something_are_no_end),
        cmocka_unit_test(test_wal_reader_stops_at_torn_tail),
        cmocka_unit_test(test_wal_reader_does_not_allocate_for_a_size_beyond_the_file),
        cmocka_unit_test(test_wal_reader_search_finds_the_next_frame_behind_damage),
        cmocka_unit_test(test_wal_reader_frame_inside_a_payload_is_payload),
        cmocka_unit_test(test_wal_reader_passes_a_read_error_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
