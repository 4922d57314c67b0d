#include "wal/recover.h"

#include "tests/lib/wal_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- a small log, changed in every way, and opened again --- */

/* What is known of a log before it is changed: two segments, the first sealed. */
struct original {
    struct wal_fixture fixture;
    uint8_t *bytes[2];
    size_t size[2];
    const char *name[2];
    uint64_t durable; /* the highest durable mark in the newest segment */
    uint64_t last;
};

static void original_init(struct original *original, int sealed, int open) {
    static char names[2][32];
    wal_fixture_init(&original->fixture);
    wal_fixture_commit(&original->fixture, sealed);
    assert_int_equal(wal_rotate(original->fixture.wal, NULL), WF_OK);
    wal_fixture_commit(&original->fixture, open);
    wal_fixture_close(&original->fixture);
    original->last = (uint64_t)sealed + (uint64_t)open;
    original->durable = original->last - 1; /* what the last frame says */
    snprintf(names[0], sizeof names[0], "%s", wal_fixture_segment(1));
    snprintf(names[1], sizeof names[1], "%s", wal_fixture_segment((uint64_t)sealed + 1));
    for (size_t i = 0; i < 2; i++) {
        original->name[i] = names[i];
        original->bytes[i] = wal_fixture_load(&original->fixture, names[i], &original->size[i]);
    }
}

static void original_deinit(struct original *original) {
    free(original->bytes[0]);
    free(original->bytes[1]);
    wal_fixture_deinit(&original->fixture);
}

/* Segment `index` as it was again. */
static void restore(struct original *original, size_t index) {
    wal_fixture_store(&original->fixture, original->name[index], original->bytes[index],
                      original->size[index]);
}

/* Open; it must either refuse by file and offset, or hold a right prefix of at least `least`
 * records, and then take a new record that survives a crash. */
static void check_open(struct original *original, uint64_t least) {
    struct wal_fixture *fixture = &original->fixture;
    enum wf_status status = wal_fixture_try_open(fixture, 0, NULL);
    if (status == WF_DAMAGE) {
        assert_non_null(strstr(fixture->err.text, ".seg"));
        assert_non_null(strstr(fixture->err.text, "offset "));
        assert_true(fixture->report.bad_segment[0] != '\0' || least == 0);
        return;
    }
    if (status == WF_NOT_FOUND)
        assert_int_equal(least, 0);
    else if (status != WF_OK)
        fail_msg("status %d: %s", status, fixture->err.text);
    if (status != WF_OK)
        return;
    assert_true(fixture->seen_last >= least);
    uint64_t kept = fixture->seen_last;
    wal_fixture_commit(fixture, 1);
    wal_fixture_crash(fixture, 0);
    wal_fixture_open(fixture);
    assert_int_equal(fixture->seen_last, kept + 1);
    wal_fixture_close(fixture);
}

static void cut_everywhere(size_t index, bool zeros) {
    struct original original;
    original_init(&original, 4, 5);
    uint8_t *changed = malloc(original.size[index]);
    assert_non_null(changed);
    for (size_t size = 0; size < original.size[index]; size++) {
        restore(&original, 0);
        restore(&original, 1);
        memcpy(changed, original.bytes[index], original.size[index]);
        memset(changed + size, 0, original.size[index] - size);
        wal_fixture_store(&original.fixture, original.name[index], changed,
                          zeros ? original.size[index] : size);
        struct wal_fixture *fixture = &original.fixture;
        if (index == 0) {
            assert_int_equal(wal_fixture_try_open(fixture, 0, NULL), WF_DAMAGE);
            assert_string_equal(fixture->report.bad_segment, original.name[0]);
        } else {
            /* What is cut off took its marks with it: the segment before vouches for its own. */
            check_open(&original, 4);
        }
    }
    free(changed);
    original_deinit(&original);
}

static void test_wal_recover_older_segment_cut_anywhere_is_damage(void **state) {
    (void)state;
    cut_everywhere(0, false);
}

static void test_wal_recover_older_segment_zeroed_from_anywhere_is_damage(void **state) {
    (void)state;
    cut_everywhere(0, true);
}

static void test_wal_recover_newest_segment_cut_anywhere_is_a_prefix(void **state) {
    (void)state;
    cut_everywhere(1, false);
}

static void test_wal_recover_newest_segment_zeroed_from_anywhere_is_a_prefix(void **state) {
    (void)state;
    cut_everywhere(1, true);
}

static void test_wal_recover_every_flipped_bit_is_a_prefix_or_damage(void **state) {
    (void)state;
    struct original original;
    original_init(&original, 3, 4);
    for (size_t index = 0; index < 2; index++) {
        for (size_t bit = 0; bit < 8 * original.size[index]; bit++) {
            uint8_t *byte = &original.bytes[index][bit / 8];
            uint8_t mask = (uint8_t)(1u << (bit % 8));
            restore(&original, 1 - index);
            *byte ^= mask;
            restore(&original, index);
            *byte ^= mask;
            /* All marked durable are still there, or it is refused. */
            check_open(&original, index == 0 ? original.last : original.durable);
        }
    }
    original_deinit(&original);
}

/* --- single cases of the table --- */

static void test_wal_recover_torn_tail_is_cut_and_reported(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    struct wal_ticket ticket = wal_fixture_commit(&fixture, 3);
    wal_fixture_close(&fixture);
    size_t size;
    uint8_t *bytes = wal_fixture_load(&fixture, wal_fixture_segment(1), &size);
    bytes[ticket.offset + 41] ^= 1; /* nothing behind it says that it was durable */
    wal_fixture_store(&fixture, wal_fixture_segment(1), bytes, size);
    free(bytes);
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_count, 2);
    assert_string_equal(fixture.report.torn_segment, wal_fixture_segment(1));
    assert_int_equal(fixture.report.torn_offset, ticket.offset);
    assert_true(fixture.report.torn_bytes > 40 && fixture.report.torn_bytes <= size);
    free(wal_fixture_load(&fixture, wal_fixture_segment(1), &size));
    assert_int_equal(size, ticket.offset);
    wal_fixture_deinit(&fixture);
}

/* All that is kept was proven durable, so nothing is written again; the cut has to last all the
 * same: bytes that come back behind new records would be read as damage. */
static void test_wal_recover_cut_is_synced_where_nothing_is_rewritten(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    struct wal_ticket ticket = wal_fixture_commit(&fixture, 3);
    wal_fixture_close(&fixture);
    sim_rot(fixture.sim, "/wal/00000000000000000001.seg", ticket.offset + 41, 1);
    sim_trace_start(fixture.sim);
    assert_int_equal(wal_fixture_try_open(&fixture, 2, NULL), WF_OK);
    assert_int_equal(fixture.report.torn_offset, ticket.offset);
    size_t cut = sim_trace_find(fixture.sim, 0, SIM_TRUNCATE, NULL);
    assert_int_equal(sim_trace_find(fixture.sim, 0, SIM_WRITE, NULL), SIZE_MAX);
    assert_int_not_equal(sim_trace_find(fixture.sim, cut, SIM_SYNC, NULL), SIZE_MAX);
    assert_int_equal(sim_pending_count(fixture.sim), 0);
    wal_fixture_deinit(&fixture);
}

/* The sectors of a batch that was never synced reach the disk in any order: that its last record is
 * there says nothing about those before it. */
static void test_wal_recover_hole_in_an_unsynced_batch_is_torn(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 2);
    struct wal_ticket first = wal_fixture_append(&fixture, 1);
    struct wal_ticket last = wal_fixture_append(&fixture, 2);
    assert_int_equal(wal_wait(fixture.wal, &last, NULL), WF_OK); /* one batch, one sync */
    wal_fixture_close(&fixture);
    size_t size;
    uint8_t *bytes = wal_fixture_load(&fixture, wal_fixture_segment(1), &size);
    bytes[first.offset + 41] ^= 1;
    wal_fixture_store(&fixture, wal_fixture_segment(1), bytes, size);
    free(bytes);
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_count, 2);
    assert_int_equal(fixture.report.torn_offset, first.offset);
    wal_fixture_deinit(&fixture);
}

static void test_wal_recover_known_lsn_makes_a_torn_tail_damage(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    struct wal_ticket ticket = wal_fixture_commit(&fixture, 3);
    wal_fixture_close(&fixture);
    sim_rot(fixture.sim, "/wal/00000000000000000001.seg", ticket.offset + 41, 1);
    uint64_t before = sim_hash(fixture.sim);
    assert_int_equal(wal_fixture_try_open(&fixture, 3, NULL), WF_DAMAGE);
    assert_null(fixture.wal);
    assert_true(sim_hash(fixture.sim) == before);
    assert_int_equal(fixture.report.bad_lsn, 3);
    assert_int_equal(fixture.report.bad_lsn_last, 3);
    assert_int_equal(fixture.report.bad_offset, ticket.offset);
    wal_fixture_deinit(&fixture);
}

static void test_wal_recover_log_shorter_than_the_known_lsn_is_damage(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 3);
    wal_fixture_close(&fixture);
    assert_int_equal(wal_fixture_try_open(&fixture, 5, NULL), WF_DAMAGE);
    assert_int_equal(fixture.report.bad_lsn, 4);
    assert_int_equal(fixture.report.bad_lsn_last, 5);
    wal_fixture_remove(&fixture, wal_fixture_segment(1));
    assert_int_equal(wal_fixture_try_open(&fixture, 5, NULL), WF_DAMAGE);
    assert_int_equal(wal_fixture_try_open(&fixture, 0, NULL), WF_NOT_FOUND);
    wal_fixture_deinit(&fixture);
}

static void test_wal_recover_damage_names_the_lsn_range_up_to_the_next_good_record(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 2);
    struct wal_ticket first = wal_fixture_commit(&fixture, 1);
    struct wal_ticket second = wal_fixture_commit(&fixture, 1);
    wal_fixture_commit(&fixture, 3);
    wal_fixture_close(&fixture);
    sim_rot(fixture.sim, "/wal/00000000000000000001.seg", first.offset, 1);
    sim_rot(fixture.sim, "/wal/00000000000000000001.seg", second.offset, 1);
    assert_int_equal(wal_fixture_try_open(&fixture, 0, NULL), WF_DAMAGE);
    assert_int_equal(fixture.report.bad_lsn, 3);
    assert_int_equal(fixture.report.bad_lsn_last, 4);
    assert_int_equal(fixture.report.bad_offset, first.offset);
    assert_non_null(strstr(fixture.err.text, "00000000000000000001.seg"));
    assert_non_null(strstr(fixture.err.text, "LSN 3 to 4"));
    wal_fixture_deinit(&fixture);
}

/* Change the bytes of frames in a log of `count` equal records and open it. */
static enum wf_status open_edited(struct wal_fixture *fixture,
                                  void (*edit)(uint8_t *bytes, size_t size)) {
    size_t size;
    uint8_t *bytes = wal_fixture_load(fixture, wal_fixture_segment(1), &size);
    edit(bytes, size);
    wal_fixture_store(fixture, wal_fixture_segment(1), bytes, size);
    free(bytes);
    return wal_fixture_try_open(fixture, 0, NULL);
}

/* LSN 9 and 18 have payloads of equal size; here frames are found by walking the sizes. */
static size_t frame_at(const uint8_t *bytes, int index) {
    size_t offset = 64;
    for (; index > 0; index--)
        offset += (40 + bytes_load_u32(bytes + offset + 4) + 7) & ~(size_t)7;
    return offset;
}

static void swap_frames(uint8_t *bytes, size_t size) {
    (void)size;
    size_t first = frame_at(bytes, 4);
    size_t second = frame_at(bytes, 5);
    size_t end = frame_at(bytes, 6);
    uint8_t copy[256];
    memcpy(copy, bytes + first, second - first);
    memmove(bytes + first, bytes + second, end - second);
    memcpy(bytes + first + (end - second), copy, second - first);
}

static void repeat_frame(uint8_t *bytes, size_t size) {
    size_t first = frame_at(bytes, 4);
    size_t second = frame_at(bytes, 5);
    memmove(bytes + second + (second - first), bytes + second, size - second - (second - first));
    memcpy(bytes + second, bytes + first, second - first);
}

static void drop_frame(uint8_t *bytes, size_t size) {
    size_t first = frame_at(bytes, 4);
    size_t second = frame_at(bytes, 5);
    memmove(bytes + first, bytes + second, size - second);
    memset(bytes + size - (second - first), 0, second - first);
}

static void test_wal_recover_refuses_swapped_repeated_and_dropped_records(void **state) {
    (void)state;
    void (*const edits[])(uint8_t *, size_t) = {swap_frames, repeat_frame, drop_frame};
    for (size_t i = 0; i < 3; i++) {
        struct wal_fixture fixture;
        wal_fixture_init(&fixture);
        wal_fixture_commit(&fixture, 12);
        wal_fixture_close(&fixture);
        assert_int_equal(open_edited(&fixture, edits[i]), WF_DAMAGE);
        wal_fixture_deinit(&fixture);
    }
}

/* A log of the same store in which all went the same way up to LSN 4, and otherwise from there on.
 */
static uint8_t *forked_segment(size_t *size) {
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 4);
    for (int i = 0; i < 8; i++) {
        uint8_t payload[64];
        struct wal_ticket ticket;
        size_t payload_size = wal_fixture_payload(wal_next_lsn(fixture.wal), payload);
        payload[0] ^= 0xff;
        assert_int_equal(wal_append(fixture.wal, payload, payload_size, 0, &ticket, NULL), WF_OK);
        assert_int_equal(wal_wait(fixture.wal, &ticket, NULL), WF_OK);
    }
    wal_fixture_close(&fixture);
    uint8_t *bytes = wal_fixture_load(&fixture, wal_fixture_segment(1), size);
    wal_fixture_deinit(&fixture);
    return bytes;
}

static void splice_fork(uint8_t *bytes, size_t size) {
    size_t forked_size;
    uint8_t *forked = forked_segment(&forked_size);
    assert_int_equal(size, forked_size);
    size_t from = frame_at(bytes, 7); /* every frame is whole, and of the right LSN */
    memcpy(bytes + from, forked + from, size - from);
    free(forked);
}

static void test_wal_recover_refuses_records_of_another_history(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 12);
    wal_fixture_close(&fixture);
    assert_int_equal(open_edited(&fixture, splice_fork), WF_DAMAGE);
    assert_int_equal(fixture.report.bad_lsn, 8);
    wal_fixture_deinit(&fixture);
}

/* The bytes of a segment of another store. */
static uint8_t *foreign_segment(int records, size_t *size) {
    static const uint8_t other[WAL_STORE_ID_SIZE] = "some other store";
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_close(&fixture);
    wal_fixture_remove(&fixture, wal_fixture_segment(1));
    assert_int_equal(wal_create(fixture.io, wal_fixture_dir, other, NULL, NULL), WF_OK);
    wal_fixture_open(&fixture);
    wal_fixture_commit(&fixture, records);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    wal_fixture_commit(&fixture, records);
    wal_fixture_close(&fixture);
    uint8_t *bytes = wal_fixture_load(&fixture, wal_fixture_segment((uint64_t)records + 1), size);
    wal_fixture_deinit(&fixture);
    return bytes;
}

static void test_wal_recover_refuses_a_segment_of_another_store_by_name(void **state) {
    (void)state;
    struct original original;
    original_init(&original, 3, 3);
    size_t size;
    uint8_t *foreign = foreign_segment(3, &size);
    wal_fixture_store(&original.fixture, original.name[1], foreign, size);
    assert_int_equal(wal_fixture_try_open(&original.fixture, 0, NULL), WF_DAMAGE);
    assert_non_null(strstr(original.fixture.err.text, original.name[1]));
    assert_non_null(strstr(original.fixture.err.text, "another store"));
    free(foreign);
    original_deinit(&original);
}

static void move_foreign_frames(uint8_t *bytes, size_t size) {
    size_t foreign_size;
    uint8_t *foreign = foreign_segment(12, &foreign_size);
    size_t count = size < foreign_size ? size : foreign_size;
    memcpy(bytes + 64, foreign + 64, count - 64);
    free(foreign);
}

static void test_wal_recover_ignores_frames_of_another_store(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 12);
    wal_fixture_close(&fixture);
    assert_int_equal(open_edited(&fixture, move_foreign_frames), WF_OK);
    assert_int_equal(fixture.seen_count, 0);
    assert_true(fixture.report.torn_bytes > 0);
    wal_fixture_deinit(&fixture);
}

static void test_wal_recover_refuses_a_missing_segment_by_name(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    for (int i = 0; i < 3; i++) {
        wal_fixture_commit(&fixture, 2);
        assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    }
    wal_fixture_close(&fixture);
    wal_fixture_remove(&fixture, wal_fixture_segment(3));
    assert_int_equal(wal_fixture_try_open(&fixture, 0, NULL), WF_DAMAGE);
    assert_string_equal(fixture.report.bad_segment, wal_fixture_segment(3));
    assert_int_equal(fixture.report.bad_lsn, 3);
    assert_int_equal(fixture.report.bad_lsn_last, 4);
    wal_fixture_deinit(&fixture);
}

static void test_wal_recover_refuses_a_copy_under_another_name(void **state) {
    (void)state;
    struct original original;
    original_init(&original, 3, 3);
    wal_fixture_store(&original.fixture, wal_fixture_segment(99), original.bytes[0],
                      original.size[0]);
    assert_int_equal(wal_fixture_try_open(&original.fixture, 0, NULL), WF_DAMAGE);
    assert_non_null(strstr(original.fixture.err.text, wal_fixture_segment(99)));
    wal_fixture_remove(&original.fixture, wal_fixture_segment(99));
    wal_fixture_store(&original.fixture, "copy-of-1.seg", original.bytes[0], original.size[0]);
    assert_int_equal(wal_fixture_try_open(&original.fixture, 0, NULL), WF_DAMAGE);
    assert_non_null(strstr(original.fixture.err.text, "copy-of-1.seg"));
    original_deinit(&original);
}

static void test_wal_recover_refuses_a_newer_format(void **state) {
    (void)state;
    struct original original;
    original_init(&original, 3, 3);
    bytes_store_u32(original.bytes[1] + 8, 2);
    bytes_store_u32(original.bytes[1] + 60, crc32c(0, original.bytes[1], 60));
    restore(&original, 1);
    assert_int_equal(wal_fixture_try_open(&original.fixture, 0, NULL), WF_REFUSED);
    assert_non_null(strstr(original.fixture.err.text, original.name[1]));
    assert_non_null(strstr(original.fixture.err.text, "newer"));
    original_deinit(&original);
}

static void test_wal_recover_ignores_an_empty_or_headerless_newest_segment(void **state) {
    (void)state;
    static const uint8_t rubbish[100] = {1, 2, 3};
    const size_t sizes[] = {0, 64, 100};
    for (size_t i = 0; i < 6; i++) {
        struct wal_fixture fixture;
        wal_fixture_init(&fixture);
        wal_fixture_commit(&fixture, 3);
        if (i % 2 == 0) /* sealed, as at a crash in the middle of a rotation */
            assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
        wal_fixture_close(&fixture);
        wal_fixture_store(&fixture, wal_fixture_segment(4), rubbish, sizes[i / 2]);
        wal_fixture_open(&fixture);
        assert_int_equal(fixture.seen_count, 3);
        wal_fixture_commit(&fixture, 3);
        wal_fixture_crash(&fixture, 0);
        wal_fixture_open(&fixture);
        assert_int_equal(fixture.seen_count, 6);
        wal_fixture_deinit(&fixture);
    }
}

static void test_wal_recover_read_error_is_no_torn_tail(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 3);
    wal_fixture_close(&fixture);
    uint64_t before = sim_hash(fixture.sim);
    for (uint64_t nth = 1; nth <= 2; nth++) {
        struct sim_fault fault = {.op = SIM_READ, .kind = SIM_FAULT_EIO, .nth = nth};
        sim_fault_add(fixture.sim, &fault);
        assert_int_equal(wal_fixture_try_open(&fixture, 0, NULL), WF_IO);
        assert_null(fixture.wal);
        sim_fault_clear(fixture.sim);
    }
    assert_true(sim_hash(fixture.sim) == before);
    wal_fixture_deinit(&fixture);
}

static void test_wal_recover_syncs_before_it_reads_frames(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 3);
    wal_fixture_crash(&fixture, SIZE_MAX); /* killed: everything is in the page cache */
    sim_trace_start(fixture.sim);
    wal_fixture_open(&fixture);
    size_t synced = sim_trace_find(fixture.sim, 0, SIM_SYNC, "01.seg");
    size_t names = sim_trace_find(fixture.sim, 0, SIM_SYNC_DIRECTORY, NULL);
    size_t read = sim_trace_find(fixture.sim, synced, SIM_READ, "01.seg");
    assert_true(synced < names && names < read && read != SIZE_MAX);
    wal_fixture_deinit(&fixture);
}

static void test_wal_recover_keeps_what_it_showed_although_a_sync_had_failed(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 2);
    struct wal_ticket ticket = wal_fixture_append(&fixture, 1);
    struct sim_fault fault = {.op = SIM_SYNC, .kind = SIM_FAULT_EIO};
    sim_fault_add(fixture.sim, &fault);
    assert_int_equal(wal_wait(fixture.wal, &ticket, &fixture.err), WF_UNKNOWN);
    /* Killed and opened again by the same kernel, whose cache shows a record that the disk never
     * got. */
    wal_fixture_crash(&fixture, SIZE_MAX);
    wal_fixture_open(&fixture);
    uint64_t shown = fixture.seen_last;
    wal_fixture_crash(&fixture, 0);
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_last, shown);
    wal_fixture_deinit(&fixture);
}

/* As above, where only the seal was on its way: every record is below the mark, the seal is not. */
static void test_wal_recover_writes_a_seal_again_whose_sync_had_failed(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 2);
    struct sim_fault fault = {.op = SIM_SYNC, .kind = SIM_FAULT_EIO};
    sim_fault_add(fixture.sim, &fault);
    assert_int_equal(wal_rotate(fixture.wal, &fixture.err), WF_HALTED);
    wal_fixture_crash(&fixture, SIZE_MAX);
    wal_fixture_open(&fixture);
    wal_fixture_commit(&fixture, 1);
    wal_fixture_crash(&fixture, 0);
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_last, 3);
    wal_fixture_deinit(&fixture);
}

static void test_wal_recover_syncs_the_name_of_the_log_itself(void **state) {
    (void)state;
    struct wal_fixture fixture = {.sim = sim_io_create(1)};
    fixture.io = sim_io_of(fixture.sim);
    struct sim_fault fault = {.op = SIM_SYNC_DIRECTORY, .kind = SIM_FAULT_DEATH, .nth = 2};
    sim_fault_add(fixture.sim, &fault); /* killed before the parent was synced */
    assert_int_not_equal(wal_create(fixture.io, wal_fixture_dir, wal_fixture_id, NULL, NULL),
                         WF_OK);
    wal_fixture_crash(&fixture, SIZE_MAX);
    wal_fixture_open(&fixture);
    wal_fixture_commit(&fixture, 1);
    wal_fixture_crash(&fixture, 0);
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_count, 1);
    wal_fixture_deinit(&fixture);
}

static void test_wal_recover_two_crashes_in_a_row_lose_nothing(void **state) {
    (void)state;
    for (size_t choice = 0; choice < 12; choice++) {
        struct wal_fixture fixture;
        wal_fixture_init(&fixture);
        wal_fixture_commit(&fixture, 3);
        wal_fixture_append(&fixture, 2);
        struct sim_fault fault = {.op = SIM_SYNC, .kind = SIM_FAULT_DEATH};
        sim_fault_add(fixture.sim, &fault);
        wal_sync(fixture.wal, NULL); /* dies between the write and the sync */
        wal_fixture_crash(&fixture, choice);
        wal_fixture_open(&fixture);
        assert_true(fixture.seen_last >= 3 && fixture.seen_last <= 5);
        uint64_t kept = fixture.seen_last;
        wal_fixture_commit(&fixture, 2);
        wal_fixture_crash(&fixture, 0);
        wal_fixture_open(&fixture);
        assert_int_equal(fixture.seen_last, kept + 2);
        wal_fixture_deinit(&fixture);
    }
}

static void test_wal_recover_decides_by_the_mark(void **state) {
    (void)state;
    assert_int_equal(wal_scan_decide(true, true, 5, 4), WAL_VERDICT_END);
    assert_int_equal(wal_scan_decide(true, true, 5, 5), WAL_VERDICT_DAMAGE);
    assert_int_equal(wal_scan_decide(false, true, 5, 4), WAL_VERDICT_TORN);
    assert_int_equal(wal_scan_decide(false, true, 5, 5), WAL_VERDICT_DAMAGE);
    assert_int_equal(wal_scan_decide(true, false, 5, 0), WAL_VERDICT_DAMAGE);
    assert_int_equal(wal_scan_decide(false, false, 5, 0), WAL_VERDICT_DAMAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_recover_older_segment_cut_anywhere_is_damage),
        cmocka_unit_test(test_wal_recover_older_segment_zeroed_from_anywhere_is_damage),
        cmocka_unit_test(test_wal_recover_newest_segment_cut_anywhere_is_a_prefix),
        cmocka_unit_test(test_wal_recover_newest_segment_zeroed_from_anywhere_is_a_prefix),
        cmocka_unit_test(test_wal_recover_every_flipped_bit_is_a_prefix_or_damage),
        cmocka_unit_test(test_wal_recover_torn_tail_is_cut_and_reported),
        cmocka_unit_test(test_wal_recover_cut_is_synced_where_nothing_is_rewritten),
        cmocka_unit_test(test_wal_recover_hole_in_an_unsynced_batch_is_torn),
        cmocka_unit_test(test_wal_recover_known_lsn_makes_a_torn_tail_damage),
        cmocka_unit_test(test_wal_recover_log_shorter_than_the_known_lsn_is_damage),
        cmocka_unit_test(test_wal_recover_damage_names_the_lsn_range_up_to_the_next_good_record),
        cmocka_unit_test(test_wal_recover_refuses_swapped_repeated_and_dropped_records),
        cmocka_unit_test(test_wal_recover_refuses_records_of_another_history),
        cmocka_unit_test(test_wal_recover_refuses_a_segment_of_another_store_by_name),
        cmocka_unit_test(test_wal_recover_ignores_frames_of_another_store),
        cmocka_unit_test(test_wal_recover_refuses_a_missing_segment_by_name),
        cmocka_unit_test(test_wal_recover_refuses_a_copy_under_another_name),
        cmocka_unit_test(test_wal_recover_refuses_a_newer_format),
        cmocka_unit_test(test_wal_recover_ignores_an_empty_or_headerless_newest_segment),
        cmocka_unit_test(test_wal_recover_read_error_is_no_torn_tail),
        cmocka_unit_test(test_wal_recover_syncs_before_it_reads_frames),
        cmocka_unit_test(test_wal_recover_keeps_what_it_showed_although_a_sync_had_failed),
        cmocka_unit_test(test_wal_recover_writes_a_seal_again_whose_sync_had_failed),
        cmocka_unit_test(test_wal_recover_syncs_the_name_of_the_log_itself),
        cmocka_unit_test(test_wal_recover_two_crashes_in_a_row_lose_nothing),
        cmocka_unit_test(test_wal_recover_decides_by_the_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
