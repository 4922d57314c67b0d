/* The log on a disk that loses what was not synced: the shortest form of each bug that the crash
 * explorer (tests/sim/sim_wal.c) found. */
#include "tests/lib/sim_io.h"
#include "wal/wal.h"

#include <pthread.h>
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

/* The process, not the machine, dies before the n-th call of `op`, counted from the last plan. */
static void die_at(struct sim_io *sim, enum sim_op op, uint64_t nth) {
    sim_fault_add(sim, &(struct sim_fault){.op = op, .kind = SIM_FAULT_DEATH, .nth = nth});
}

/* The disk as the next process finds it: what is cached is there, and still pending. */
static struct sim_io *next_process(struct sim_io *sim) {
    struct sim_io *clone = sim_io_clone(sim);
    sim_io_destroy(sim);
    return clone;
}

static void test_wal_directory_whose_making_was_killed_is_durable_once_open(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(1);
    die_at(sim, SIM_SYNC_DIRECTORY, 2); /* the log's directory is synced, its parent not */
    assert_int_not_equal(wal_create(sim_io_of(sim), dir, store_id, &options, NULL), WF_OK);
    sim = next_process(sim);
    struct wal *wal = open_log(sim, NULL);
    assert_int_equal(put(wal, "one"), WF_OK);
    wal_close(wal, NULL);
    sim = crash(sim);
    wal = open_log(sim, NULL);
    assert_int_equal(wal_durable_lsn(wal), 1);
    wal_close(wal, NULL);
    sim_io_destroy(sim);
}

/* Open a log whose repair was cut short: it is damaged still, and repaired again, or it is not. */
static struct wal *open_repaired(struct sim_io *sim) {
    struct wal *wal = NULL;
    enum wf_status status =
        wal_open(sim_io_of(sim), dir, &options, NULL, 0, NULL, NULL, NULL, &wal, NULL);
    if (status == WF_OK) {
        return wal;
    }
    assert_int_equal(status, WF_DAMAGE);
    assert_int_equal(wal_repair(sim_io_of(sim), dir, 0, 0, NULL, NULL, NULL), WF_OK);
    return open_log(sim, NULL);
}

/* Three segments of two records, the first record of the first one damaged. */
static void make_damaged(struct sim_io *sim) {
    make_log(sim);
    struct wal *wal = open_log(sim, NULL);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(put(wal, "a record"), WF_OK);
        if (i % 2 == 1) {
            assert_int_equal(wal_rotate(wal, NULL), WF_OK);
        }
    }
    assert_int_equal(wal_close(wal, NULL), WF_OK);
    assert_true(sim_rot(sim, "log/00000000000000000001.seg", 64 + 41, 0xff));
}

/* A repair is cut short in its `nth` sync, by a kill or by that sync's failure. */
static void cut_repair_short(enum sim_fault_kind kind, uint64_t nth) {
    struct sim_io *sim = sim_io_create(1);
    make_damaged(sim);
    sim_fault_add(sim, &(struct sim_fault){.op = SIM_SYNC, .kind = kind, .nth = nth});
    assert_int_not_equal(wal_repair(sim_io_of(sim), dir, 0, 0, NULL, NULL, NULL), WF_OK);
    sim = next_process(sim);
    struct wal *wal = open_repaired(sim);
    assert_int_equal(put(wal, "new"), WF_OK);
    wal_close(wal, NULL);
    sim = crash(sim);
    wal = open_log(sim, NULL); /* the damage does not come back */
    assert_int_equal(wal_durable_lsn(wal), 7);
    wal_close(wal, NULL);
    sim_io_destroy(sim);
}

static void test_wal_repair_that_was_killed_is_durable_once_open(void **state) {
    (void)state;
    cut_repair_short(SIM_FAULT_DEATH, 1);
    cut_repair_short(SIM_FAULT_DEATH, 2);
}

static void test_wal_repair_whose_sync_failed_is_durable_once_open(void **state) {
    (void)state;
    cut_repair_short(SIM_FAULT_EIO, 1);
    cut_repair_short(SIM_FAULT_EIO, 2);
}

/* --- many threads --- */

enum { THREADS = 4, RECORDS_MAX = 200, ROUNDS = 12, STATES = 20 };

/* What the threads were told. The lock serialises appends, as the log asks for. */
struct crowd {
    struct wal *wal;
    pthread_mutex_t lock;
    uint32_t given[RECORDS_MAX + 1]; /* the payload at each LSN */
    bool acknowledged[RECORDS_MAX + 1];
    uint32_t count;
};

static void *submit_until_death(void *ctx) {
    struct crowd *crowd = ctx;
    for (;;) {
        struct wal_ticket ticket;
        pthread_mutex_lock(&crowd->lock);
        uint32_t number = ++crowd->count;
        enum wf_status status = WF_FULL;
        if (number <= RECORDS_MAX) {
            crowd->given[wal_next_lsn(crowd->wal)] = number;
            status = wal_append(crowd->wal, &number, sizeof number, 0, &ticket, NULL);
        }
        pthread_mutex_unlock(&crowd->lock);
        if (status != WF_OK || wal_wait(crowd->wal, &ticket, NULL) != WF_OK) {
            return NULL;
        }
        crowd->acknowledged[ticket.lsn] = true;
    }
}

static enum wf_status check_given(void *ctx, const struct wal_record *record,
                                  struct wf_error *err) {
    const struct crowd *crowd = ctx;
    (void)err;
    assert_in_range(record->lsn, 1, RECORDS_MAX);
    assert_int_equal(record->payload.size, sizeof(uint32_t));
    assert_memory_equal(record->payload.data, &crowd->given[record->lsn], sizeof(uint32_t));
    return WF_OK;
}

/* Threads commit in groups until the machine dies; then every state of the disk holds what they
 * were told. */
static void crash_a_crowd(uint64_t seed) {
    struct sim_io *sim = sim_io_create(seed);
    struct crowd crowd = {.lock = PTHREAD_MUTEX_INITIALIZER};
    pthread_t threads[THREADS];
    make_log(sim);
    crowd.wal = open_log(sim, NULL);
    sim_stop_at(sim, sim_boundaries(sim) + 1 + sim_random_mix(seed, 0) % 80);
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, submit_until_death, &crowd), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    wal_close(crowd.wal, NULL);
    uint64_t last = 0;
    for (uint64_t lsn = 1; lsn <= RECORDS_MAX; lsn++) {
        last = crowd.acknowledged[lsn] ? lsn : last;
    }
    for (uint64_t i = 0; i < STATES; i++) {
        size_t choice = (size_t)(sim_random_mix(seed, i + 1) % sim_crash_choices(sim));
        struct sim_io *after = sim_crash_into(sim, choice, i % 3);
        struct wal *wal = NULL;
        assert_int_equal(wal_open(sim_io_of(after), dir, &options, NULL, last, check_given, &crowd,
                                  NULL, &wal, NULL),
                         WF_OK);
        assert_true(wal_durable_lsn(wal) >= last);
        wal_close(wal, NULL);
        sim_io_destroy(after);
    }
    sim_io_destroy(sim);
}

static void test_wal_group_commit_of_many_threads_keeps_what_it_acknowledged(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        crash_a_crowd(seed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_seal_whose_sync_failed_is_written_again),
        cmocka_unit_test(test_wal_seal_whose_sync_failed_is_written_again_from_a_position),
        cmocka_unit_test(test_wal_directory_whose_making_was_killed_is_durable_once_open),
        cmocka_unit_test(test_wal_repair_that_was_killed_is_durable_once_open),
        cmocka_unit_test(test_wal_repair_whose_sync_failed_is_durable_once_open),
        cmocka_unit_test(test_wal_group_commit_of_many_threads_keeps_what_it_acknowledged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
