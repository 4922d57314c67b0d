#include "wal/wal.h"

#include "tests/lib/wal_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- making and opening --- */

static void test_wal_create_refuses_a_directory_that_holds_a_log(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    assert_int_equal(wal_create(fixture.io, wal_fixture_dir, wal_fixture_id, NULL, &fixture.err),
                     WF_REFUSED);
    wal_fixture_deinit(&fixture);
}

static void test_wal_create_takes_over_what_a_crash_left(void **state) {
    (void)state;
    for (uint64_t stop = 1; stop < 12; stop++) {
        struct wal_fixture fixture = {.sim = sim_io_create(1)};
        fixture.io = sim_io_of(fixture.sim);
        sim_stop_at(fixture.sim, stop);
        bool made = wal_create(fixture.io, wal_fixture_dir, wal_fixture_id, NULL, NULL) == WF_OK;
        wal_fixture_crash(&fixture, made ? 0 : (size_t)stop % 3);
        enum wf_status status = wal_fixture_try_open(&fixture, 0, NULL);
        assert_true(status == WF_OK || (!made && status == WF_NOT_FOUND));
        if (status != WF_OK) {
            assert_int_equal(wal_create(fixture.io, wal_fixture_dir, wal_fixture_id, NULL, NULL),
                             WF_OK);
            wal_fixture_open(&fixture);
        }
        wal_fixture_commit(&fixture, 1);
        wal_fixture_deinit(&fixture);
    }
}

static void test_wal_open_without_a_log_is_not_found(void **state) {
    (void)state;
    struct wal_fixture fixture = {.sim = sim_io_create(1)};
    fixture.io = sim_io_of(fixture.sim);
    assert_int_equal(wal_fixture_try_open(&fixture, 0, NULL), WF_NOT_FOUND);
    assert_int_equal(fixture.io->ops->make_directory(fixture.io, wal_fixture_dir, NULL), WF_OK);
    assert_int_equal(wal_fixture_try_open(&fixture, 0, NULL), WF_NOT_FOUND);
    assert_null(fixture.wal);
    wal_fixture_deinit(&fixture);
}

static void test_wal_options_bound_the_segment_size(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_close(&fixture);
    fixture.options.segment_size = WAL_SEGMENT_SIZE_MIN - 1;
    assert_int_equal(wal_fixture_try_open(&fixture, 0, NULL), WF_USAGE);
    fixture.options.segment_size = UINT64_MAX;
    assert_int_equal(wal_fixture_try_open(&fixture, 0, NULL), WF_USAGE);
    wal_fixture_deinit(&fixture);
}

static void test_wal_open_that_fails_leaks_nothing_and_changes_nothing(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 3);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    wal_fixture_commit(&fixture, 3);
    wal_fixture_close(&fixture);
    const enum sim_op ops[] = {SIM_OPEN, SIM_SIZE, SIM_READ,
                               SIM_SYNC, SIM_LIST, SIM_SYNC_DIRECTORY};
    uint64_t before = sim_hash(fixture.sim);
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        bool failed = true;
        for (uint64_t nth = 1; failed; nth++) {
            struct sim_fault fault = {.op = ops[i], .kind = SIM_FAULT_EIO, .nth = nth};
            sim_fault_add(fixture.sim, &fault);
            enum wf_status status = wal_fixture_try_open(&fixture, 6, NULL);
            failed = sim_fault_hits(fixture.sim) > 0;
            sim_fault_clear(fixture.sim);
            assert_int_equal(status, failed ? WF_IO : WF_OK);
            wal_fixture_close(&fixture);
            assert_int_equal(sim_open_files(fixture.sim), 0);
            assert_true(sim_hash(fixture.sim) == before);
        }
    }
    wal_fixture_deinit(&fixture);
}

static void test_wal_close_writes_what_nobody_waited_for(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_append(&fixture, 3);
    wal_fixture_close(&fixture);
    wal_fixture_crash(&fixture, 0);
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_count, 3);
    wal_fixture_deinit(&fixture);
}

/* --- appending --- */

static void test_wal_append_bounds_the_payload(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_ticket ticket;
    wal_fixture_init(&fixture);
    uint8_t *payload = calloc(1, WAL_PAYLOAD_MAX + 1);
    assert_non_null(payload);
    assert_int_equal(wal_append(fixture.wal, payload, 0, 0, &ticket, NULL), WF_USAGE);
    assert_int_equal(wal_append(fixture.wal, payload, WAL_PAYLOAD_MAX + 1, 0, &ticket, NULL),
                     WF_USAGE);
    assert_int_equal(wal_next_lsn(fixture.wal), 1);
    assert_int_equal(wal_append(fixture.wal, payload, WAL_PAYLOAD_MAX, 0, &ticket, NULL), WF_OK);
    assert_int_equal(wal_wait(fixture.wal, &ticket, NULL), WF_OK);
    free(payload);
    wal_fixture_deinit(&fixture);
}

static void test_wal_append_rotates_before_the_segment_is_too_large(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_segment_info info;
    wal_fixture_init(&fixture);
    wal_fixture_append(&fixture, 3000);
    assert_int_equal(wal_sync(fixture.wal, NULL), WF_OK);
    size_t count = wal_segment_count(fixture.wal);
    assert_true(count > 2);
    uint64_t next = 1;
    for (size_t i = 0; i < count; i++) {
        assert_true(wal_segment_at(fixture.wal, i, &info));
        assert_int_equal(info.first_lsn, next);
        assert_true(info.size <= WAL_SEGMENT_SIZE_MIN);
        assert_int_equal(info.sealed, i + 1 < count);
        size_t size;
        free(wal_fixture_load(&fixture, info.name, &size));
        assert_true(!info.sealed || size == info.size);
        next = info.last_lsn + 1;
    }
    assert_int_equal(next, 3001);
    assert_false(wal_segment_at(fixture.wal, count, &info));
    wal_fixture_deinit(&fixture);
}

static void test_wal_append_gives_a_large_record_a_segment_of_its_own(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_ticket ticket;
    struct wal_segment_info info;
    wal_fixture_init(&fixture);
    uint8_t *payload = calloc(1, 3 * WAL_SEGMENT_SIZE_MIN);
    assert_non_null(payload);
    for (int i = 0; i < 3; i++)
        assert_int_equal(wal_append(fixture.wal, payload, i == 1 ? 3 * WAL_SEGMENT_SIZE_MIN : 1, 0,
                                    &ticket, NULL),
                         WF_OK);
    assert_int_equal(wal_segment_count(fixture.wal), 3);
    assert_true(wal_segment_at(fixture.wal, 1, &info));
    assert_int_equal(info.first_lsn, 2);
    assert_int_equal(info.last_lsn, 2);
    free(payload);
    wal_fixture_deinit(&fixture);
}

static void test_wal_rotate_of_an_empty_segment_does_nothing(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    assert_int_equal(wal_segment_count(fixture.wal), 1);
    wal_fixture_commit(&fixture, 1);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    assert_int_equal(wal_segment_count(fixture.wal), 2);
    wal_fixture_deinit(&fixture);
}

static void test_wal_segment_info_is_the_same_after_reopening(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_segment_info before[3];
    wal_fixture_init(&fixture);
    for (int i = 0; i < 2; i++) {
        wal_fixture_commit(&fixture, 4);
        assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    }
    wal_fixture_commit(&fixture, 2);
    for (size_t i = 0; i < 3; i++)
        assert_true(wal_segment_at(fixture.wal, i, &before[i]));
    wal_fixture_close(&fixture);
    wal_fixture_open(&fixture);
    for (size_t i = 0; i < 3; i++) {
        struct wal_segment_info info;
        assert_true(wal_segment_at(fixture.wal, i, &info));
        assert_string_equal(info.name, before[i].name);
        assert_int_equal(info.first_lsn, before[i].first_lsn);
        assert_int_equal(info.last_lsn, before[i].last_lsn);
        assert_int_equal(info.size, before[i].size);
        assert_int_equal(info.sealed, before[i].sealed);
        assert_memory_equal(info.root, before[i].root, WAL_HASH_SIZE);
    }
    wal_fixture_deinit(&fixture);
}

/* --- reading --- */

/* Read one record and compare it with what was written. */
static void check_read(struct wal_fixture *fixture, const struct wal_ticket *ticket) {
    struct bytes_buffer buffer;
    struct wal_record record;
    uint8_t payload[64];
    size_t size = wal_fixture_payload(ticket->lsn, payload);
    bytes_buffer_init(&buffer);
    if (wal_read(fixture->wal, ticket->lsn, ticket->offset, &buffer, &record, &fixture->err) !=
        WF_OK)
        fail_msg("%s", fixture->err.text);
    assert_int_equal(record.lsn, ticket->lsn);
    assert_int_equal(record.offset, ticket->offset);
    assert_int_equal(record.payload.size, size);
    assert_memory_equal(record.payload.data, payload, size);
    bytes_buffer_deinit(&buffer);
}

static void test_wal_read_finds_records_pending_durable_and_sealed(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_ticket tickets[3];
    wal_fixture_init(&fixture);
    tickets[0] = wal_fixture_append(&fixture, 1);
    tickets[1] = wal_fixture_append(&fixture, 1);
    check_read(&fixture, &tickets[0]);
    check_read(&fixture, &tickets[1]);
    assert_int_equal(wal_sync(fixture.wal, NULL), WF_OK);
    tickets[2] = wal_fixture_append(&fixture, 1);
    for (int i = 0; i < 3; i++)
        check_read(&fixture, &tickets[i]);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    for (int i = 0; i < 3; i++)
        check_read(&fixture, &tickets[i]);
    wal_fixture_close(&fixture);
    wal_fixture_open(&fixture);
    for (int i = 0; i < 3; i++)
        check_read(&fixture, &tickets[i]);
    wal_fixture_deinit(&fixture);
}

static void test_wal_read_of_a_large_record_and_of_none(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_ticket ticket;
    struct bytes_buffer buffer;
    struct wal_record record;
    wal_fixture_init(&fixture);
    bytes_buffer_init(&buffer);
    uint8_t *payload = malloc(100 * 1000);
    assert_non_null(payload);
    memset(payload, 7, 100 * 1000);
    assert_int_equal(wal_append(fixture.wal, payload, 100 * 1000, 0, &ticket, NULL), WF_OK);
    assert_int_equal(wal_sync(fixture.wal, NULL), WF_OK);
    assert_int_equal(wal_read(fixture.wal, 1, ticket.offset, &buffer, &record, NULL), WF_OK);
    assert_int_equal(record.payload.size, 100 * 1000);
    assert_memory_equal(record.payload.data, payload, 100 * 1000);
    assert_int_equal(wal_read(fixture.wal, 0, 64, &buffer, &record, NULL), WF_NOT_FOUND);
    assert_int_equal(wal_read(fixture.wal, 2, 64, &buffer, &record, NULL), WF_NOT_FOUND);
    assert_int_equal(wal_read(fixture.wal, 1, 72, &buffer, &record, NULL), WF_DAMAGE);
    free(payload);
    bytes_buffer_deinit(&buffer);
    wal_fixture_deinit(&fixture);
}

static void test_wal_read_names_file_and_offset_of_damage(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct bytes_buffer buffer;
    struct wal_record record;
    wal_fixture_init(&fixture);
    bytes_buffer_init(&buffer);
    struct wal_ticket ticket = wal_fixture_commit(&fixture, 2);
    sim_rot(fixture.sim, "/wal/00000000000000000001.seg", ticket.offset + 41, 1);
    assert_int_equal(wal_read(fixture.wal, 2, ticket.offset, &buffer, &record, &fixture.err),
                     WF_DAMAGE);
    assert_non_null(strstr(fixture.err.text, "00000000000000000001.seg, offset 112, LSN 2"));
    bytes_buffer_deinit(&buffer);
    wal_fixture_deinit(&fixture);
}

static void walk(struct wal_fixture *fixture, uint64_t first, uint64_t last, uint64_t expected) {
    fixture->seen_count = 0;
    fixture->seen_first = 0;
    if (wal_walk(fixture->wal, first, last, wal_fixture_see, fixture, &fixture->err) != WF_OK)
        fail_msg("%s", fixture->err.text);
    assert_int_equal(fixture->seen_count, expected);
    if (expected > 0)
        assert_int_equal(fixture->seen_first, first == 0 ? 1 : first);
}

static void test_wal_walk_is_clipped_to_what_is_durable(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    for (int i = 0; i < 3; i++) {
        wal_fixture_commit(&fixture, 4);
        assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    }
    wal_fixture_commit(&fixture, 2);
    wal_fixture_append(&fixture, 2);
    walk(&fixture, 0, UINT64_MAX, 14);
    walk(&fixture, 1, 14, 14);
    walk(&fixture, 3, 3, 1);
    walk(&fixture, 4, 5, 2);
    walk(&fixture, 6, 13, 8);
    walk(&fixture, 15, 20, 0);
    walk(&fixture, 9, 8, 0);
    wal_fixture_deinit(&fixture);
}

static void test_wal_walk_refuses_damage_that_came_later(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 4);
    sim_rot(fixture.sim, "/wal/00000000000000000001.seg", 64 + 41, 1);
    assert_int_equal(wal_walk(fixture.wal, 1, 4, NULL, NULL, &fixture.err), WF_DAMAGE);
    wal_fixture_deinit(&fixture);
}

/* --- removing --- */

static void test_wal_remove_oldest_takes_sealed_segments_in_order(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_ticket tickets[2];
    struct bytes_buffer buffer;
    struct wal_record record;
    wal_fixture_init(&fixture);
    tickets[0] = wal_fixture_commit(&fixture, 3);
    assert_int_equal(wal_remove_oldest(fixture.wal, 1, NULL), WF_REFUSED); /* not sealed */
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    tickets[1] = wal_fixture_commit(&fixture, 3);
    check_read(&fixture, &tickets[0]);
    assert_int_equal(wal_remove_oldest(fixture.wal, 4, NULL), WF_REFUSED);
    assert_int_equal(wal_remove_oldest(fixture.wal, 1, NULL), WF_OK);
    assert_int_equal(wal_first_lsn(fixture.wal), 4);
    bytes_buffer_init(&buffer);
    assert_int_equal(wal_read(fixture.wal, 3, tickets[0].offset, &buffer, &record, NULL),
                     WF_NOT_FOUND);
    bytes_buffer_deinit(&buffer);
    check_read(&fixture, &tickets[1]);
    wal_fixture_crash(&fixture, 0);
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_first, 4);
    assert_int_equal(fixture.seen_count, 3);
    wal_fixture_deinit(&fixture);
}

/* --- reading only --- */

static enum wf_status open_reader(struct wal_fixture *fixture, uint64_t limit, struct wal **out) {
    fixture->seen_count = 0;
    return wal_open_reader(fixture->io, wal_fixture_dir, NULL, 0, limit, wal_fixture_see, fixture,
                           &fixture->report, out, &fixture->err);
}

static void test_wal_reader_changes_nothing_and_passes_a_torn_tail_over(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal *reader;
    struct wal_ticket ticket;
    wal_fixture_init(&fixture);
    ticket = wal_fixture_commit(&fixture, 3);
    wal_fixture_close(&fixture);
    sim_rot(fixture.sim, "/wal/00000000000000000001.seg", ticket.offset + 41, 1);
    uint64_t before = sim_hash(fixture.sim);
    assert_int_equal(open_reader(&fixture, UINT64_MAX, &reader), WF_OK);
    assert_int_equal(fixture.seen_count, 2);
    assert_true(fixture.report.torn_bytes > 0);
    assert_int_equal(wal_durable_lsn(reader), 2);
    assert_int_equal(wal_append(reader, "x", 1, 0, &ticket, NULL), WF_USAGE);
    assert_int_equal(wal_close(reader, NULL), WF_OK);
    assert_true(sim_hash(fixture.sim) == before);
    wal_fixture_deinit(&fixture);
}

static void test_wal_reader_beside_an_owner_stops_at_the_limit(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal *reader;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 3);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    wal_fixture_commit(&fixture, 3);
    for (uint64_t limit = 0; limit <= 6; limit++) {
        sim_trace_start(fixture.sim);
        assert_int_equal(open_reader(&fixture, limit, &reader), WF_OK);
        assert_int_equal(fixture.seen_count, limit);
        assert_int_equal(sim_trace_find(fixture.sim, 0, SIM_SYNC, NULL), SIZE_MAX);
        assert_int_equal(wal_durable_lsn(reader), limit);
        wal_close(reader, NULL);
    }
    assert_int_equal(open_reader(&fixture, 7, &reader), WF_DAMAGE); /* vouched for and not there */
    sim_rot(fixture.sim, "/wal/00000000000000000004.seg", 64 + 41, 1);
    assert_int_equal(open_reader(&fixture, 6, &reader), WF_DAMAGE);
    assert_int_equal(open_reader(&fixture, 3, &reader), WF_OK);
    wal_close(reader, NULL);
    wal_fixture_deinit(&fixture);
}

static void test_wal_reader_goes_on_while_the_owner_rotates_and_removes(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal *reader;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 3);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    wal_fixture_commit(&fixture, 3);
    assert_int_equal(open_reader(&fixture, 6, &reader), WF_OK);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    assert_int_equal(wal_remove_oldest(fixture.wal, 1, NULL), WF_OK);
    fixture.seen_count = 0;
    assert_int_equal(wal_walk(reader, 4, 6, wal_fixture_see, &fixture, &fixture.err), WF_OK);
    assert_int_equal(fixture.seen_count, 3);
    assert_int_equal(wal_walk(reader, 1, 6, wal_fixture_see, &fixture, &fixture.err), WF_NOT_FOUND);
    wal_close(reader, NULL);
    wal_fixture_deinit(&fixture);
}

static void test_wal_points_are_all_passed(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    sim_trace_start(fixture.sim);
    wal_fixture_commit(&fixture, 1);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    struct sim_fault fault = {.op = SIM_WRITE, .kind = SIM_FAULT_FULL};
    wal_fixture_append(&fixture, 1);
    sim_fault_add(fixture.sim, &fault);
    assert_int_equal(wal_sync(fixture.wal, NULL), WF_FULL);
    size_t count;
    const char *const *points = wal_points(&count);
    assert_int_equal(count, 10);
    for (size_t i = 0; i < count; i++)
        assert_true(sim_trace_find(fixture.sim, 0, SIM_POINT, points[i]) != SIZE_MAX);
    wal_fixture_deinit(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_create_refuses_a_directory_that_holds_a_log),
        cmocka_unit_test(test_wal_create_takes_over_what_a_crash_left),
        cmocka_unit_test(test_wal_open_without_a_log_is_not_found),
        cmocka_unit_test(test_wal_options_bound_the_segment_size),
        cmocka_unit_test(test_wal_open_that_fails_leaks_nothing_and_changes_nothing),
        cmocka_unit_test(test_wal_close_writes_what_nobody_waited_for),
        cmocka_unit_test(test_wal_append_bounds_the_payload),
        cmocka_unit_test(test_wal_append_rotates_before_the_segment_is_too_large),
        cmocka_unit_test(test_wal_append_gives_a_large_record_a_segment_of_its_own),
        cmocka_unit_test(test_wal_rotate_of_an_empty_segment_does_nothing),
        cmocka_unit_test(test_wal_segment_info_is_the_same_after_reopening),
        cmocka_unit_test(test_wal_read_finds_records_pending_durable_and_sealed),
        cmocka_unit_test(test_wal_read_of_a_large_record_and_of_none),
        cmocka_unit_test(test_wal_read_names_file_and_offset_of_damage),
        cmocka_unit_test(test_wal_walk_is_clipped_to_what_is_durable),
        cmocka_unit_test(test_wal_walk_refuses_damage_that_came_later),
        cmocka_unit_test(test_wal_remove_oldest_takes_sealed_segments_in_order),
        cmocka_unit_test(test_wal_reader_changes_nothing_and_passes_a_torn_tail_over),
        cmocka_unit_test(test_wal_reader_beside_an_owner_stops_at_the_limit),
        cmocka_unit_test(test_wal_reader_goes_on_while_the_owner_rotates_and_removes),
        cmocka_unit_test(test_wal_points_are_all_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
