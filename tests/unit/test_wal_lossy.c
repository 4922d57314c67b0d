/* The log on a disk that loses what was not synced: the shortest form of each bug that the crash
 * explorer (tests/sim/sim_wal.c) found. */
#include "tests/lib/sim_io.h"
#include "wal/wal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const char *const dir = "log";
static const uint8_t store_id[WAL_STORE_ID_SIZE] = "a lossy store";
static const struct wal_options options = {.segment_size = WAL_SEGMENT_SIZE_MIN};

static void make_log(struct sim_io *sim) {
    struct wf_error err;
    assert_int_equal(wal_create(sim_io_of(sim), dir, store_id, &options, &err), WF_OK);
}

static struct wal *open_log(struct sim_io *sim, const struct wal_position *from) {
    struct wal *wal = NULL;
    struct wf_error err = {0};
    struct wal_recovery report;
    if (wal_open(sim_io_of(sim), dir, &options, from, 0, NULL, NULL, &report, &wal, &err) !=
        WF_OK) {
        fail_msg("open: %s", err.text);
    }
    return wal;
}

static enum wf_status put(struct wal *wal, const char *payload) {
    struct wal_ticket ticket;
    enum wf_status status = wal_append(wal, payload, strlen(payload), wal_cuts(wal), &ticket, NULL);
    return status == WF_OK ? wal_wait(wal, &ticket, NULL) : status;
}

/* The machine loses everything that it may lose. */
static struct sim_io *crash(struct sim_io *sim) {
    struct sim_io *after = sim_crash_into(sim, 0, 0);
    sim_io_destroy(sim);
    return after;
}

/* The log is sealed in the cache only; opened again, it takes a record in the next segment. */
static void lose_seal_and_reopen(bool from_position) {
    struct sim_io *sim = sim_io_create(1);
    struct wal_position position;
    make_log(sim);
    struct wal *wal = open_log(sim, NULL);
    assert_int_equal(put(wal, "one"), WF_OK);
    wal_position_now(wal, &position);
    sim_fault_add(sim, &(struct sim_fault){.op = SIM_SYNC, .kind = SIM_FAULT_EIO});
    assert_int_not_equal(wal_rotate(wal, NULL), WF_OK);
    wal_close(wal, NULL);
    wal = open_log(sim, from_position ? &position : NULL);
    assert_int_equal(put(wal, "two"), WF_OK);
    wal_close(wal, NULL);
    sim = crash(sim);
    wal = open_log(sim, NULL);
    assert_int_equal(wal_durable_lsn(wal), 2);
    wal_close(wal, NULL);
    sim_io_destroy(sim);
}

static void test_wal_seal_whose_sync_failed_is_written_again(void **state) {
    (void)state;
    lose_seal_and_reopen(false);
}

static void test_wal_seal_whose_sync_failed_is_written_again_from_a_position(void **state) {
    (void)state;
    lose_seal_and_reopen(true);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_seal_whose_sync_failed_is_written_again),
        cmocka_unit_test(test_wal_seal_whose_sync_failed_is_written_again_from_a_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
