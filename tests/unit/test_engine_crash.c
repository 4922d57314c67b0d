/* What crashes of the whole engine once broke: each was found by tests/sim/sim_engine.c and stands
 * here by itself. */
#include "tests/lib/engine_fixture.h"

#include "engine/damage.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char segment_path[] = "/store/wal/00000000000000000001.seg";

/* Killed after it made the folder: the next process finds it, and nobody ever synced its name. */
static void test_engine_syncs_the_name_of_a_folder_it_finds(void **unused) {
    (void)unused;
    struct engine_fixture fixture;
    fixture_prepare_sim(&fixture);
    struct io *io = sim_io_of(fixture.sim);
    assert_int_equal(io->ops->make_directory(io, "/store", NULL), WF_OK);
    fixture_open(&fixture);
    fixture_define(&fixture);
    fixture_crash(&fixture, 0);
    fixture.options.create = false;
    fixture_open(&fixture);
    assert_int_equal(fixture_status(&fixture).durable_lsn, 2);
    fixture_deinit(&fixture);
}

/* The sync of a record failed; its bytes are in the cache and not on the disk. */
static void fail_a_sync(struct engine_fixture *fixture) {
    struct sim_fault fault = {.op = SIM_SYNC, .kind = SIM_FAULT_EIO, .nth = 1};
    sim_fault_add(fixture->sim, &fault);
    assert_int_equal(fixture_start(fixture, "L9999", NULL), WF_UNKNOWN);
    sim_fault_clear(fixture->sim);
    (void)wf_close(fixture->engine, NULL);
    fixture->engine = NULL;
}

static bool crashed;

/* The machine dies the moment that the first checkpoint of the recovery is written. */
static void die_at_commit(void *ctx) {
    struct engine_fixture *fixture = ctx;
    crashed = true;
    sim_stop_at(fixture->sim, 1);
}

static void test_engine_keeps_what_is_not_durable_out_of_the_snapshot(void **unused) {
    (void)unused;
    struct engine_fixture fixture;
    fixture_init_sim(&fixture);
    fixture_loans(&fixture, 0, 2, 1);
    assert_int_equal(wf_snapshot(fixture.engine, NULL), WF_OK);
    fail_a_sync(&fixture);
    fixture.options.memory_max = 1; /* recovery writes a checkpoint whenever it may */
    sim_snapshot_crash_commit(fixture.snapshots, 1, SIM_SNAPSHOT_AFTER, die_at_commit, &fixture);
    (void)fixture_try_open(&fixture); /* whether it notices or not */
    assert_true(crashed);
    fixture_crash(&fixture, 0);
    fixture_open(&fixture);
    fixture_verify(&fixture);
    fixture_deinit(&fixture);
}

/* --- repair --- */

/* A store with a snapshot of everything, closed; the record of `lsn` is damaged. */
static void make_damaged(struct engine_fixture *fixture, uint64_t lsn) {
    fixture_init_sim(fixture);
    fixture_loans(fixture, 0, 3, 2);
    struct wal_record record;
    struct bytes_buffer bytes;
    bytes_buffer_init(&bytes);
    uint64_t offset = 0;
    for (uint64_t at = 64; at < 64 * 1024 && offset == 0; at += 8) {
        if (wal_read(fixture->engine->wal, lsn, at, &bytes, &record, NULL) == WF_OK)
            offset = at;
    }
    bytes_buffer_deinit(&bytes);
    assert_true(offset > 0);
    fixture_close(fixture);
    assert_true(sim_rot(fixture->sim, segment_path, offset + 44, 0x10));
}

static bool count_repair(void *ctx, const struct wf_event *event) {
    *(unsigned *)ctx += strcmp(event->event, "log_repaired") == 0;
    return true;
}

static void check_repaired(struct engine_fixture *fixture) {
    struct wf_log_report report;
    enum wf_status status =
        engine_log_repair(sim_io_of(fixture->sim), sim_snapshot_provider(fixture->snapshots),
                          fixture->dir, 0, NULL, NULL, &report, &fixture->err);
    assert_int_equal(status, WF_OK);
    wf_log_report_deinit(&report);
    fixture_open(fixture);
    fixture_verify(fixture);
    unsigned repairs = 0;
    assert_int_equal(wf_replay(fixture->engine, 1, UINT64_MAX, NULL, count_repair, &repairs, NULL),
                     WF_OK);
    assert_int_equal(repairs, 1);
}

static void test_engine_repair_leaves_the_state_that_the_log_leads_to(void **unused) {
    (void)unused;
    struct engine_fixture fixture;
    make_damaged(&fixture, 5);
    check_repaired(&fixture);
    assert_true(sim_snapshot_exists(fixture.snapshots, "/store/state.damaged-1"));
    fixture_deinit(&fixture);
}

static void test_engine_repair_finishes_one_that_was_killed(void **unused) {
    (void)unused;
    struct engine_fixture fixture;
    make_damaged(&fixture, 5);
    /* It came as far as the log's files. */
    assert_int_equal(
        wal_repair(sim_io_of(fixture.sim), "/store/wal", 0, 0, NULL, NULL, &fixture.err), WF_OK);
    check_repaired(&fixture);
    fixture_close(&fixture);
    check_repaired(&fixture); /* and once more: there is nothing left to do */
    fixture_deinit(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engine_syncs_the_name_of_a_folder_it_finds),
        cmocka_unit_test(test_engine_keeps_what_is_not_durable_out_of_the_snapshot),
        cmocka_unit_test(test_engine_repair_leaves_the_state_that_the_log_leads_to),
        cmocka_unit_test(test_engine_repair_finishes_one_that_was_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
