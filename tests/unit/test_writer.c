#include "wal/writer.h"

#include "tests/lib/wal_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* --- group commit --- */

static void test_wal_writer_record_is_durable_when_wait_returns(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    struct wal_ticket ticket = wal_fixture_append(&fixture, 5);
    assert_int_equal(wal_durable_lsn(fixture.wal), 0);
    assert_int_equal(wal_wait(fixture.wal, &ticket, NULL), WF_OK);
    assert_int_equal(wal_durable_lsn(fixture.wal), 5);
    wal_fixture_crash(&fixture, 0);
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_count, 5);
    wal_fixture_deinit(&fixture);
}

static void test_wal_writer_batch_is_one_write_and_one_sync(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 1);
    struct wal_ticket ticket = wal_fixture_append(&fixture, 50);
    sim_trace_start(fixture.sim);
    assert_int_equal(wal_wait(fixture.wal, &ticket, NULL), WF_OK);
    size_t writes = 0;
    size_t syncs = 0;
    for (size_t i = 0; i < sim_trace_count(fixture.sim); i++) {
        writes += sim_trace_at(fixture.sim, i).op == SIM_WRITE;
        syncs += sim_trace_at(fixture.sim, i).op == SIM_SYNC;
    }
    assert_int_equal(writes, 1);
    assert_int_equal(syncs, 1);
    struct wal_stats stats;
    wal_stats(fixture.wal, &stats);
    assert_int_equal(stats.records, 51);
    assert_int_equal(stats.batches, 2);
    wal_fixture_deinit(&fixture);
}

static void test_wal_writer_waiting_for_a_durable_record_does_nothing(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    struct wal_ticket ticket = wal_fixture_commit(&fixture, 1);
    sim_trace_start(fixture.sim);
    assert_int_equal(wal_wait(fixture.wal, &ticket, NULL), WF_OK);
    assert_int_equal(wal_sync(fixture.wal, NULL), WF_OK);
    assert_int_equal(sim_trace_count(fixture.sim), 0);
    wal_fixture_deinit(&fixture);
}

static void test_wal_writer_goes_on_after_a_short_write(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    struct sim_fault fault = {
        .op = SIM_WRITE, .kind = SIM_FAULT_SHORT, .persistent = true, .amount = 7};
    sim_fault_add(fixture.sim, &fault);
    wal_fixture_commit(&fixture, 3);
    assert_true(sim_fault_hits(fixture.sim) > 3);
    wal_fixture_crash(&fixture, 0);
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_count, 3);
    wal_fixture_deinit(&fixture);
}

/* --- many threads --- */

enum { THREADS = 16, THREAD_RECORDS = 120 };

struct crowd {
    struct wal_fixture fixture;
    pthread_mutex_t mutex; /* serialises appends, as an engine does */
    atomic_uint_fast64_t told;
    atomic_uint full;
    atomic_uint failed;
};

static void on_durable(void *ctx, uint64_t durable_lsn) {
    struct crowd *crowd = ctx;
    atomic_store(&crowd->told, durable_lsn);
}

/* Append one record; false where the disk is full or a cut came in between. */
static bool crowd_append(struct crowd *crowd, struct wal_ticket *ticket) {
    uint8_t payload[64];
    pthread_mutex_lock(&crowd->mutex);
    uint64_t cuts = wal_cuts(crowd->fixture.wal);
    size_t size = wal_fixture_payload(wal_next_lsn(crowd->fixture.wal), payload);
    enum wf_status status = wal_append(crowd->fixture.wal, payload, size, cuts, ticket, NULL);
    pthread_mutex_unlock(&crowd->mutex);
    if (status != WF_OK && status != WF_FULL && status != WF_CONFLICT)
        atomic_fetch_add(&crowd->failed, 1);
    return status == WF_OK;
}

static void *crowd_member(void *arg) {
    struct crowd *crowd = arg;
    for (int i = 0; i < THREAD_RECORDS; i++) {
        struct wal_ticket ticket;
        if (!crowd_append(crowd, &ticket))
            continue;
        enum wf_status status = wal_wait(crowd->fixture.wal, &ticket, NULL);
        if (status == WF_FULL)
            atomic_fetch_add(&crowd->full, 1);
        else if (status != WF_OK || wal_durable_lsn(crowd->fixture.wal) < ticket.lsn ||
                 atomic_load(&crowd->told) < ticket.lsn)
            atomic_fetch_add(&crowd->failed, 1);
    }
    return NULL;
}

static void crowd_init(struct crowd *crowd) {
    memset(crowd, 0, sizeof *crowd);
    wal_fixture_init(&crowd->fixture);
    wal_fixture_close(&crowd->fixture);
    crowd->fixture.options.on_durable = on_durable;
    crowd->fixture.options.on_durable_ctx = crowd;
    wal_fixture_open(&crowd->fixture);
    assert_int_equal(pthread_mutex_init(&crowd->mutex, NULL), 0);
}

static void crowd_run(struct crowd *crowd) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, crowd_member, crowd), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(atomic_load(&crowd->failed), 0);
}

static void crowd_deinit(struct crowd *crowd) {
    pthread_mutex_destroy(&crowd->mutex);
    wal_fixture_deinit(&crowd->fixture);
}

static void test_wal_writer_many_threads_each_wait_for_their_own(void **state) {
    (void)state;
    struct crowd crowd;
    crowd_init(&crowd);
    crowd_run(&crowd);
    struct wal_stats stats;
    wal_stats(crowd.fixture.wal, &stats);
    assert_int_equal(stats.records, THREADS * THREAD_RECORDS);
    assert_true(stats.batches <= stats.records + stats.rotations);
    wal_fixture_crash(&crowd.fixture, 0);
    wal_fixture_open(&crowd.fixture);
    assert_int_equal(crowd.fixture.seen_count, THREADS * THREAD_RECORDS);
    crowd_deinit(&crowd);
}

/* One thread rotates and takes positions beside the others. */
static void *crowd_rotator(void *arg) {
    struct crowd *crowd = arg;
    for (int i = 0; i < 20; i++) {
        struct wal_position position;
        pthread_mutex_lock(&crowd->mutex);
        enum wf_status status = wal_rotate(crowd->fixture.wal, NULL);
        wal_position_now(crowd->fixture.wal, &position);
        pthread_mutex_unlock(&crowd->mutex);
        if (status != WF_OK)
            atomic_fetch_add(&crowd->failed, 1);
    }
    return NULL;
}

static void test_wal_writer_rotates_beside_waiting_threads(void **state) {
    (void)state;
    struct crowd crowd;
    crowd_init(&crowd);
    pthread_t rotator;
    assert_int_equal(pthread_create(&rotator, NULL, crowd_rotator, &crowd), 0);
    crowd_run(&crowd);
    assert_int_equal(pthread_join(rotator, NULL), 0);
    assert_int_equal(atomic_load(&crowd.failed), 0);
    wal_fixture_close(&crowd.fixture);
    wal_fixture_open(&crowd.fixture);
    assert_int_equal(crowd.fixture.seen_count, THREADS * THREAD_RECORDS);
    crowd_deinit(&crowd);
}

static void test_wal_writer_cuts_beside_waiting_threads(void **state) {
    (void)state;
    struct crowd crowd;
    crowd_init(&crowd);
    for (uint64_t nth = 2; nth <= 32; nth += 5) {
        struct sim_fault fault = {.op = SIM_WRITE, .kind = SIM_FAULT_FULL, .nth = nth};
        sim_fault_add(crowd.fixture.sim, &fault);
    }
    crowd_run(&crowd);
    sim_fault_clear(crowd.fixture.sim);
    assert_true(wal_cuts(crowd.fixture.wal) > 0);
    assert_true(atomic_load(&crowd.full) > 0);
    uint64_t durable = wal_durable_lsn(crowd.fixture.wal);
    wal_fixture_crash(&crowd.fixture, 0);
    wal_fixture_open(&crowd.fixture); /* checks every payload against its LSN */
    assert_int_equal(crowd.fixture.seen_count, durable);
    crowd_deinit(&crowd);
}

/* --- a failed sync --- */

static void test_wal_writer_halts_for_good_when_a_sync_fails(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    struct wal_ticket before = wal_fixture_commit(&fixture, 2);
    struct wal_ticket ticket = wal_fixture_append(&fixture, 2);
    struct sim_fault fault = {.op = SIM_SYNC, .kind = SIM_FAULT_EIO};
    sim_fault_add(fixture.sim, &fault);
    sim_trace_start(fixture.sim);
    assert_int_equal(wal_wait(fixture.wal, &ticket, &fixture.err), WF_UNKNOWN);
    assert_true(wal_halted(fixture.wal));
    assert_int_equal(wal_wait(fixture.wal, &ticket, &fixture.err), WF_UNKNOWN);
    assert_int_equal(wal_wait(fixture.wal, &before, &fixture.err), WF_OK);
    assert_int_equal(wal_append(fixture.wal, "x", 1, 0, &ticket, &fixture.err), WF_HALTED);
    assert_int_equal(wal_rotate(fixture.wal, &fixture.err), WF_HALTED);
    assert_int_equal(wal_durable_lsn(fixture.wal), 2);
    assert_int_equal(wal_close(fixture.wal, &fixture.err), WF_OK);
    fixture.wal = NULL;
    assert_false(sim_trace_resynced(fixture.sim));
    wal_fixture_deinit(&fixture);
}

static void remember_told(void *ctx, uint64_t durable_lsn) {
    *(uint64_t *)ctx = durable_lsn;
}

/* The host publishes what it is told of to readers in other processes. */
static void test_wal_writer_tells_nobody_of_records_whose_sync_failed(void **state) {
    (void)state;
    struct wal_fixture fixture;
    uint64_t told = 0;
    wal_fixture_init(&fixture);
    wal_fixture_close(&fixture);
    fixture.options.on_durable = remember_told;
    fixture.options.on_durable_ctx = &told;
    wal_fixture_open(&fixture);
    wal_fixture_commit(&fixture, 2);
    wal_fixture_append(&fixture, 2);
    struct sim_fault fault = {.op = SIM_SYNC, .kind = SIM_FAULT_EIO};
    sim_fault_add(fixture.sim, &fault);
    assert_int_equal(wal_sync(fixture.wal, NULL), WF_UNKNOWN);
    assert_int_equal(told, 2);
    wal_fixture_deinit(&fixture);
}

static void test_wal_writer_halted_log_still_reads(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_record record;
    struct bytes_buffer buffer;
    bytes_buffer_init(&buffer);
    wal_fixture_init(&fixture);
    struct wal_ticket durable = wal_fixture_commit(&fixture, 2);
    struct wal_ticket pending = wal_fixture_append(&fixture, 1);
    struct sim_fault fault = {.op = SIM_SYNC, .kind = SIM_FAULT_EIO};
    sim_fault_add(fixture.sim, &fault);
    assert_int_equal(wal_sync(fixture.wal, NULL), WF_UNKNOWN);
    assert_int_equal(wal_read(fixture.wal, durable.lsn, durable.offset, &buffer, &record, NULL),
                     WF_OK);
    assert_int_equal(wal_read(fixture.wal, pending.lsn, pending.offset, &buffer, &record, NULL),
                     WF_OK);
    bytes_buffer_deinit(&buffer);
    wal_fixture_deinit(&fixture);
}

static void test_wal_writer_halts_when_a_write_fails_otherwise(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    struct wal_ticket ticket = wal_fixture_append(&fixture, 1);
    struct sim_fault fault = {.op = SIM_WRITE, .kind = SIM_FAULT_EIO};
    sim_fault_add(fixture.sim, &fault);
    assert_int_equal(wal_wait(fixture.wal, &ticket, &fixture.err), WF_UNKNOWN);
    assert_true(wal_halted(fixture.wal));
    assert_int_equal(wal_cuts(fixture.wal), 0);
    wal_fixture_deinit(&fixture);
}

/* --- a full disk --- */

static void test_wal_writer_refuses_a_record_for_which_there_is_no_space(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 1);
    wal_fixture_close(&fixture); /* which gives back what was preallocated */
    sim_set_free_bytes(fixture.sim, 0);
    wal_fixture_open(&fixture);
    uint64_t before = sim_hash(fixture.sim);
    uint8_t payload[2048] = {0};
    struct wal_ticket ticket;
    assert_int_equal(wal_append(fixture.wal, payload, sizeof payload, 0, &ticket, &fixture.err),
                     WF_FULL);
    assert_int_equal(wal_next_lsn(fixture.wal), 2);
    assert_true(sim_hash(fixture.sim) == before);
    sim_set_free_bytes(fixture.sim, UINT64_MAX);
    wal_fixture_commit(&fixture, 1);
    wal_fixture_deinit(&fixture);
}

static void test_wal_writer_takes_the_exact_space_before_it_gives_up(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    sim_set_free_bytes(fixture.sim, 2048); /* far less than a step of preallocation */
    wal_fixture_commit(&fixture, 5);
    wal_fixture_deinit(&fixture);
}

/* A segment that has no room for its seal could not be left. Space is counted in sectors: so the
 * record ends with one, and the seal takes another. */
static void test_wal_writer_keeps_room_for_the_seal(void **state) {
    (void)state;
    enum { SECTORS = 4 * SIM_SECTOR_SIZE };
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 1);
    wal_fixture_close(&fixture); /* which gives back what was preallocated */
    wal_fixture_open(&fixture);
    struct wal_segment_info info;
    assert_true(wal_segment_at(fixture.wal, 0, &info));
    uint8_t payload[SECTORS + SIM_SECTOR_SIZE] = {0};
    size_t size = SECTORS + SIM_SECTOR_SIZE - info.size % SIM_SECTOR_SIZE - WAL_FRAME_HEADER_SIZE;
    assert_int_equal((info.size + wal_frame_size(size)) % SIM_SECTOR_SIZE, 0);
    struct wal_ticket ticket;
    sim_set_free_bytes(fixture.sim, SECTORS);
    assert_int_equal(wal_append(fixture.wal, payload, size, 0, &ticket, &fixture.err), WF_FULL);
    sim_set_free_bytes(fixture.sim, SECTORS + SIM_SECTOR_SIZE);
    assert_int_equal(wal_append(fixture.wal, payload, size, 0, &ticket, &fixture.err), WF_OK);
    wal_fixture_deinit(&fixture);
}

/* Three records appended, and the write that should bring them to the disk finds it full. */
static void fill_at_write(struct wal_fixture *fixture, struct wal_ticket *ticket) {
    struct sim_fault fault = {.op = SIM_WRITE, .kind = SIM_FAULT_FULL};
    *ticket = wal_fixture_append(fixture, 3);
    sim_fault_add(fixture->sim, &fault);
    assert_int_equal(wal_wait(fixture->wal, ticket, &fixture->err), WF_FULL);
    sim_fault_clear(fixture->sim);
}

static void test_wal_writer_cuts_back_before_it_says_full(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_ticket ticket;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 2);
    sim_trace_start(fixture.sim);
    fill_at_write(&fixture, &ticket);
    size_t written = sim_trace_find(fixture.sim, 0, SIM_WRITE, NULL);
    size_t cut = sim_trace_find(fixture.sim, written, SIM_TRUNCATE, NULL);
    size_t synced = sim_trace_find(fixture.sim, cut, SIM_SYNC, NULL);
    assert_true(written < cut && cut < synced && synced != SIZE_MAX);
    assert_int_equal(wal_cuts(fixture.wal), 1);
    assert_int_equal(wal_next_lsn(fixture.wal), 3);
    assert_int_equal(wal_append(fixture.wal, "x", 1, 0, &ticket, &fixture.err), WF_CONFLICT);
    wal_fixture_commit(&fixture, 2); /* works again, with the LSNs that were freed */
    wal_fixture_crash(&fixture, 0);
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_count, 4);
    wal_fixture_deinit(&fixture);
}

static void test_wal_writer_cut_takes_back_what_was_written(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 2);
    /* Two of the three records reach the file before the disk is full. */
    uint64_t written = 0;
    uint8_t payload[64];
    for (uint64_t lsn = 3; lsn <= 4; lsn++)
        written += wal_frame_size(wal_fixture_payload(lsn, payload));
    struct wal_ticket ticket = wal_fixture_append(&fixture, 3);
    struct sim_fault half = {.op = SIM_WRITE, .kind = SIM_FAULT_SHORT, .amount = written};
    struct sim_fault full = {.op = SIM_WRITE, .kind = SIM_FAULT_FULL, .nth = 2};
    sim_fault_add(fixture.sim, &half);
    sim_fault_add(fixture.sim, &full);
    assert_int_equal(wal_wait(fixture.wal, &ticket, &fixture.err), WF_FULL);
    wal_fixture_crash(&fixture, SIZE_MAX); /* the disk keeps all that it was given */
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_count, 2);
    wal_fixture_deinit(&fixture);
}

static void test_wal_writer_ticket_from_before_a_cut_keeps_its_answer(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_ticket gone[40];
    struct wal_ticket kept[40];
    wal_fixture_init(&fixture);
    for (int i = 0; i < 40; i++) {
        kept[i] = wal_fixture_commit(&fixture, 1);
        fill_at_write(&fixture, &gone[i]);
    }
    wal_fixture_commit(&fixture, 10); /* reaches every LSN that was cut off */
    for (int i = 0; i < 40; i++) {
        assert_true(wal_durable_lsn(fixture.wal) >= gone[i].lsn);
        assert_int_equal(wal_wait(fixture.wal, &kept[i], &fixture.err), WF_OK);
        assert_int_equal(wal_wait(fixture.wal, &gone[i], &fixture.err), WF_FULL);
    }
    wal_fixture_deinit(&fixture);
}

static void test_wal_writer_halts_where_the_cut_fails(void **state) {
    (void)state;
    const enum sim_op ops[] = {SIM_TRUNCATE, SIM_SYNC};
    for (size_t i = 0; i < 2; i++) {
        struct wal_fixture fixture;
        wal_fixture_init(&fixture);
        struct wal_ticket ticket = wal_fixture_append(&fixture, 1);
        struct sim_fault full = {.op = SIM_WRITE, .kind = SIM_FAULT_FULL};
        struct sim_fault fault = {.op = ops[i], .kind = SIM_FAULT_EIO};
        sim_fault_add(fixture.sim, &full);
        sim_fault_add(fixture.sim, &fault);
        assert_int_equal(wal_wait(fixture.wal, &ticket, &fixture.err), WF_UNKNOWN);
        assert_true(wal_halted(fixture.wal));
        wal_fixture_deinit(&fixture);
    }
}

static void test_wal_writer_merkle_tree_forgets_what_was_cut(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_ticket ticket;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 2);
    fill_at_write(&fixture, &ticket);
    assert_int_equal(wal_append(fixture.wal, "of another payload", 18, 1, &ticket, NULL), WF_OK);
    struct sim_fault fault = {.op = SIM_WRITE, .kind = SIM_FAULT_FULL};
    sim_fault_add(fixture.sim, &fault);
    assert_int_equal(wal_rotate(fixture.wal, &fixture.err), WF_FULL); /* at the seal, too */
    wal_fixture_commit(&fixture, 3);
    assert_int_equal(wal_rotate(fixture.wal, &fixture.err), WF_OK);
    wal_fixture_remove(&fixture, wal_fixture_segment(6));
    wal_fixture_crash(&fixture, SIZE_MAX);
    wal_fixture_open(&fixture); /* the sealed segment is the newest: its root is recomputed */
    assert_int_equal(fixture.seen_count, 5);
    wal_fixture_deinit(&fixture);
}

/* --- bounds --- */

static void test_wal_writer_does_not_buffer_without_bound(void **state) {
    (void)state;
    enum { COUNT = 40, SIZE = 1024 * 1024 };
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_close(&fixture);
    fixture.options.segment_size = WAL_SEGMENT_SIZE_DEFAULT;
    wal_fixture_open(&fixture);
    uint8_t *payload = calloc(1, SIZE);
    assert_non_null(payload);
    struct wal_ticket ticket;
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(wal_append(fixture.wal, payload, SIZE, 0, &ticket, NULL), WF_OK);
    assert_true(wal_durable_lsn(fixture.wal) >= COUNT - WAL_PENDING_MAX / SIZE);
    assert_true(wal_durable_lsn(fixture.wal) < COUNT);
    free(payload);
    wal_fixture_deinit(&fixture);
}

static void test_wal_writer_small_log_takes_little_space(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_close(&fixture);
    fixture.options.segment_size = WAL_SEGMENT_SIZE_DEFAULT;
    wal_fixture_open(&fixture);
    wal_fixture_commit(&fixture, 1);
    size_t size;
    free(wal_fixture_load(&fixture, wal_fixture_segment(1), &size));
    assert_true(size <= 300 * 1024);
    wal_fixture_close(&fixture);
    free(wal_fixture_load(&fixture, wal_fixture_segment(1), &size));
    assert_true(size < 256);
    wal_fixture_deinit(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_writer_record_is_durable_when_wait_returns),
        cmocka_unit_test(test_wal_writer_batch_is_one_write_and_one_sync),
        cmocka_unit_test(test_wal_writer_waiting_for_a_durable_record_does_nothing),
        cmocka_unit_test(test_wal_writer_goes_on_after_a_short_write),
        cmocka_unit_test(test_wal_writer_many_threads_each_wait_for_their_own),
        cmocka_unit_test(test_wal_writer_rotates_beside_waiting_threads),
        cmocka_unit_test(test_wal_writer_cuts_beside_waiting_threads),
        cmocka_unit_test(test_wal_writer_halts_for_good_when_a_sync_fails),
        cmocka_unit_test(test_wal_writer_tells_nobody_of_records_whose_sync_failed),
        cmocka_unit_test(test_wal_writer_halted_log_still_reads),
        cmocka_unit_test(test_wal_writer_halts_when_a_write_fails_otherwise),
        cmocka_unit_test(test_wal_writer_refuses_a_record_for_which_there_is_no_space),
        cmocka_unit_test(test_wal_writer_takes_the_exact_space_before_it_gives_up),
        cmocka_unit_test(test_wal_writer_keeps_room_for_the_seal),
        cmocka_unit_test(test_wal_writer_cuts_back_before_it_says_full),
        cmocka_unit_test(test_wal_writer_cut_takes_back_what_was_written),
        cmocka_unit_test(test_wal_writer_ticket_from_before_a_cut_keeps_its_answer),
        cmocka_unit_test(test_wal_writer_halts_where_the_cut_fails),
        cmocka_unit_test(test_wal_writer_merkle_tree_forgets_what_was_cut),
        cmocka_unit_test(test_wal_writer_does_not_buffer_without_bound),
        cmocka_unit_test(test_wal_writer_small_log_takes_little_space),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
