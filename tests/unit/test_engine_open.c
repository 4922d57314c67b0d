/* Making, opening and recovering a store: open.c and recover.c, on a simulated disk that crashes.
 */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup_empty(void **state) {
    static struct engine_fixture fixture;
    fixture_prepare_sim(&fixture);
    *state = &fixture;
    return 0;
}

/* --- the folder --- */

static void test_open_wants_a_store(void **state) {
    struct engine_fixture *f = *state;
    f->options.create = false;
    assert_int_equal(fixture_try_open(f), WF_NOT_FOUND);
    assert_null(f->engine);
    f->options.read_only = true;
    assert_int_equal(fixture_try_open(f), WF_NOT_FOUND);
    f->options.create = true;
    assert_int_equal(fixture_try_open(f), WF_USAGE);
    assert_int_equal(sim_open_files(f->sim), 0);
}

static void put_file(struct engine_fixture *f, const char *path) {
    struct io *io = sim_io_of(f->sim);
    struct io_file *file;
    assert_int_equal(io->ops->open(io, path, IO_WRITE | IO_CREATE, &file, NULL), WF_OK);
    io->ops->close(io, file);
}

static void test_open_leaves_a_foreign_folder_alone(void **state) {
    struct engine_fixture *f = *state;
    struct io *io = sim_io_of(f->sim);
    assert_int_equal(io->ops->make_directory(io, "/store", NULL), WF_OK);
    put_file(f, "/store/thesis.tex");
    assert_int_equal(fixture_try_open(f), WF_REFUSED);
    assert_non_null(strstr(f->err.text, "thesis.tex"));
    f->options.create = false;
    assert_int_equal(fixture_try_open(f), WF_NOT_FOUND);
    put_file(f, "/plain");
    (void)snprintf(f->dir, sizeof f->dir, "/plain");
    assert_int_equal(fixture_try_open(f), WF_REFUSED);
}

static void test_open_makes_the_store_with_its_clock(void **state) {
    struct engine_fixture *f = *state;
    fixture_open(f);
    struct wf_store_status status = fixture_status(f);
    assert_true(status.test_clock);
    assert_int_equal(status.now_ms, f->options.test_clock_ms);
    assert_int_equal(status.durable_lsn, 1);
    struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 5000};
    assert_int_equal(wf_execute(f->engine, &advance, NULL, &f->err), WF_OK);
    f->options.create = false;
    f->options.test_clock = false;
    fixture_reopen(f, true);
    assert_int_equal(fixture_status(f).now_ms, f->options.test_clock_ms + 5000);
}

static void test_open_refuses_another_clock(void **state) {
    struct engine_fixture *f = *state;
    f->options.test_clock = false;
    fixture_open(f);
    fixture_close(f);
    f->options.test_clock = true;
    assert_int_equal(fixture_try_open(f), WF_REFUSED);
    assert_non_null(strstr(f->err.text, "test clock"));
    assert_int_equal(sim_open_files(f->sim), 0);
    assert_int_equal(sim_snapshot_open_count(f->snapshots), 0);
}

static void test_open_checks_its_options(void **state) {
    struct engine_fixture *f = *state;
    struct wf_options good = f->options;
    f->options.size--;
    assert_int_equal(fixture_try_open(f), WF_USAGE);
    f->options = good;
    f->options.segment_size = WAL_SEGMENT_SIZE_MIN - 1;
    assert_int_equal(fixture_try_open(f), WF_USAGE);
    f->options = good;
    f->options.keys_max = 0;
    assert_int_equal(fixture_try_open(f), WF_USAGE);
    f->options = good;
    assert_int_equal(engine_open(sim_io_of(f->sim), sim_snapshot_provider(f->snapshots), "", &good,
                                 &f->engine, NULL),
                     WF_USAGE);
}

/* --- half-made stores --- */

/* What is found at `place` opens: made anew or already whole; and it is a good store. */
static void assert_can_be_made(struct engine_fixture *f, uint64_t place) {
    if (fixture_try_open(f) != WF_OK)
        fail_msg("boundary %d: %s", (int)place, f->err.text);
    assert_true(fixture_status(f).test_clock);
    assert_int_equal(fixture_status(f).durable_lsn, 1);
    fixture_define(f);
    fixture_loan(f, "L1", 1);
    /* What was acknowledged survives a loss of power now. */
    fixture_crash(f, 0);
    f->options.create = false;
    if (fixture_try_open(f) != WF_OK)
        fail_msg("boundary %d, after the crash: %s", (int)place, f->err.text);
    f->options.create = true;
    char text[512];
    fixture_describe(f, "L1", UINT64_MAX, text);
    assert_string_not_equal(text, "-");
    fixture_verify(f);
}

/* Stop a creation before each call that changes the disk, and go on with what a crash (or only the
 * death of the process) left. */
static void creation_stops_everywhere(bool power_lost) {
    for (uint64_t place = 1;; place++) {
        struct engine_fixture f;
        fixture_prepare_sim(&f);
        sim_stop_at(f.sim, place);
        enum wf_status status = fixture_try_open(&f);
        if (status == WF_OK) {
            fixture_deinit(&f);
            assert_true(place > 10);
            return;
        }
        size_t choices = power_lost ? sim_crash_choices(f.sim) : 1;
        struct sim_io *stopped = f.sim;
        struct sim_snapshots *snapshots = f.snapshots;
        for (size_t choice = 0; choice < choices; choice++) {
            f.sim = power_lost ? sim_crash_into(stopped, choice, choice) : sim_io_clone(stopped);
            f.snapshots = sim_snapshot_survivor(snapshots);
            assert_can_be_made(&f, place);
            assert_int_equal(wf_close(f.engine, NULL), WF_OK);
            f.engine = NULL;
            sim_io_destroy(f.sim);
            sim_snapshot_destroy(f.snapshots);
        }
        f.sim = stopped;
        f.snapshots = snapshots;
        fixture_deinit(&f);
    }
}

static void test_creation_that_lost_power_anywhere_can_be_repeated(void **state) {
    (void)state;
    creation_stops_everywhere(true);
}

static void test_creation_that_died_anywhere_can_be_repeated(void **state) {
    (void)state;
    creation_stops_everywhere(false);
}

static void test_half_made_store_is_none_without_create(void **state) {
    (void)state;
    for (uint64_t place = 1; place < 100; place++) {
        struct engine_fixture f;
        fixture_prepare_sim(&f);
        sim_stop_at(f.sim, place);
        if (fixture_try_open(&f) == WF_OK) {
            fixture_deinit(&f);
            return;
        }
        fixture_crash(&f, SIZE_MAX);
        f.options.create = false;
        f.options.test_clock = false;
        enum wf_status status = fixture_try_open(&f);
        if (status == WF_OK) /* it was whole already: with the clock it was made with */
            assert_true(fixture_status(&f).test_clock);
        else if (status != WF_NOT_FOUND)
            fail_msg("boundary %d: %s", (int)place, f.err.text);
        fixture_deinit(&f);
    }
    fail_msg("creation never ended");
}

/* --- log and snapshot do not fit --- */

static void remove_log(struct engine_fixture *f) {
    struct io *io = sim_io_of(f->sim);
    struct wal_segment_info info;
    char names[16][64];
    size_t count = 0;
    for (size_t i = 0; wal_segment_at(f->engine->wal, i, &info); i++)
        memcpy(names[count++], info.name, sizeof info.name);
    fixture_close(f);
    for (size_t i = 0; i < count; i++) {
        char path[128];
        (void)snprintf(path, sizeof path, "/store/wal/%s", names[i]);
        assert_int_equal(io->ops->remove(io, path, NULL), WF_OK);
    }
}

/* The simulated snapshot's folder is not on the simulated disk. */
static void test_snapshot_without_a_log_is_refused(void **state) {
    struct engine_fixture *f = *state;
    struct io *io = sim_io_of(f->sim);
    fixture_loan(f, "L1", 1);
    assert_int_equal(io->ops->make_directory(io, "/store/state", NULL), WF_OK);
    put_file(f, "/store/state/data.mdb");
    remove_log(f);
    assert_int_equal(fixture_try_open(f), WF_DAMAGE);
    assert_non_null(strstr(f->err.text, "no log"));
    f->options.create = false;
    assert_int_equal(fixture_try_open(f), WF_DAMAGE);
    f->options.read_only = true;
    assert_int_equal(fixture_try_open(f), WF_DAMAGE);
}

static void test_log_that_ends_before_the_snapshot_is_refused(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "L1", 1);
    fixture_reopen(f, true);
    struct sim_io *before = sim_io_clone(f->sim);
    fixture_loan(f, "L2", 3);
    fixture_close(f); /* with a snapshot of what follows */
    sim_io_destroy(f->sim);
    f->sim = before; /* and the log goes back in time */
    uint64_t commits = sim_snapshot_commits(f->snapshots);
    for (int damaged = 0; damaged < 2; damaged++) {
        uint64_t bytes = sim_hash(f->sim);
        assert_int_equal(fixture_try_open(f), WF_DAMAGE);
        assert_null(f->engine);
        assert_int_equal(sim_hash(f->sim), bytes); /* nothing was cut off or set aside */
        assert_int_equal(sim_snapshot_commits(f->snapshots), commits);
        assert_true(sim_snapshot_exists(f->snapshots, "/store/state"));
        /* Nor where the snapshot is of no other use any more. */
        struct snapshot *kept = NULL;
        const struct snapshot_provider *provider = sim_snapshot_provider(f->snapshots);
        static const uint8_t store_key[] = {ENTITY_STORE};
        struct snapshot_change change = {.key = {store_key, 1}, .value = {NULL, 0}};
        struct snapshot_meta meta;
        assert_int_equal(
            provider->open(provider, sim_io_of(f->sim), "/store/state", false, false, &kept, NULL),
            WF_OK);
        assert_true(kept->ops->meta(kept, &meta));
        assert_int_equal(kept->ops->commit(kept, &change, 1, &meta, NULL), WF_OK);
        kept->ops->close(kept);
        commits++;
    }
}

/* --- recovery --- */

static void test_torn_tail_is_cut_and_told(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "L1", 2);
    const char *hash = fixture_hash(f);
    uint64_t lsn = fixture_status(f).durable_lsn;
    struct wf_command command = {.kind = WF_WORKFLOW_CANCEL, .id = "L1", .reason = "no"};
    const struct sim_fault fault = {
        .op = SIM_WRITE, .kind = SIM_FAULT_EIO, .path = ".seg", .amount = 30};
    sim_fault_add(f->sim, &fault);
    const struct sim_fault made = {
        .op = SIM_WRITE, .kind = SIM_FAULT_EIO, .path = ".seg.tmp", .amount = 30};
    sim_fault_add(f->sim, &made);
    assert_int_equal(wf_execute(f->engine, &command, NULL, &f->err), WF_UNKNOWN);
    fixture_crash(f, SIZE_MAX);
    fixture_open(f);
    struct wf_store_status status = fixture_status(f);
    assert_int_equal(status.durable_lsn, lsn);
    assert_string_equal(status.state_hash, hash);
    assert_true(status.torn_bytes > 0);
    assert_non_null(strstr(status.notes, "torn tail"));
    assert_int_equal(wf_execute(f->engine, &command, NULL, &f->err), WF_OK);
    fixture_crash(f, 0);
    fixture_open(f);
    assert_int_equal(fixture_status(f).durable_lsn, lsn + 1);
    assert_int_equal(fixture_status(f).torn_bytes, 0);
    fixture_verify(f);
}

/* The owner dies behind an answer, and a bit of that last record goes bad: no later frame has a
 * mark that covers it. */
static void damage_the_last_record(struct engine_fixture *f) {
    uint64_t offset = f->engine->last.offset + 41;
    fixture_crash(f, SIZE_MAX);
    uint8_t byte = 0;
    size_t got = 0;
    struct io *io = sim_io_of(f->sim);
    struct io_file *file = NULL;
    must(f, io->ops->open(io, "/store/wal/00000000000000000001.seg", IO_READ | IO_WRITE, &file,
                          &f->err));
    must(f, io_read_all(io, file, offset, &byte, 1, &got, &f->err));
    byte ^= 1;
    must(f, io_write_all(io, file, offset, &byte, 1, &f->err));
    io->ops->close(io, file);
}

static void test_damage_to_the_last_batch_is_known_by_the_lock_file(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "L1", 1);
    damage_the_last_record(f);
    for (int read_only = 1; read_only >= 0; read_only--) {
        uint64_t bytes = sim_hash(f->sim);
        f->options.read_only = read_only;
        f->options.create = !read_only;
        assert_int_equal(fixture_try_open(f), WF_DAMAGE);
        assert_non_null(strstr(f->err.text, "LSN 4"));
        assert_true(sim_hash(f->sim) == bytes || !read_only); /* nothing was cut */
    }
    struct wf_log_report report;
    must(f, engine_log_repair(sim_io_of(f->sim), sim_snapshot_provider(f->snapshots), "/store", 0,
                              NULL, NULL, &report, &f->err));
    assert_int_equal(report.lost.records, 1);
    wf_log_report_deinit(&report);
    fixture_open(f);
    assert_int_equal(fixture_status(f).durable_lsn, 5); /* the LSN is not used again */
    fixture_verify(f);
}

/* Nothing vouches for it any more: then it is what a torn tail would be, and is told as that. */
static void test_damage_to_the_last_batch_passes_for_torn_where_nothing_vouches(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "L1", 1);
    damage_the_last_record(f);
    struct io *io = sim_io_of(f->sim);
    must(f, io->ops->remove(io, "/store/lock", &f->err));
    fixture_open(f);
    assert_int_equal(fixture_status(f).durable_lsn, 3);
    assert_true(fixture_status(f).torn_bytes > 0);
}

static void test_crash_and_recovery_between_any_two_calls(void **state) {
    (void)state;
    for (uint64_t place = 1; place < 60; place += 1) {
        struct engine_fixture f;
        fixture_init_sim(&f);
        sim_stop_at(f.sim, sim_boundaries(f.sim) + place);
        char id[16];
        int acknowledged = 0;
        while (acknowledged < 12 && fixture_start(&f, fixture_id(acknowledged, id),
                                                  acknowledged % 2 == 0 ? id : NULL) == WF_OK) {
            acknowledged++;
            if (acknowledged % 4 == 0)
                (void)wf_snapshot(f.engine, NULL);
        }
        bool dead = sim_is_dead(f.sim);
        fixture_crash(&f, (size_t)place % sim_crash_choices(f.sim));
        fixture_open(&f);
        uint64_t running = fixture_status(&f).counts[1];
        assert_in_range(running, acknowledged, acknowledged + (dead ? 1 : 0));
        fixture_verify(&f);
        assert_int_equal(fixture_start(&f, "again", NULL), WF_OK);
        fixture_crash(&f, 0);
        fixture_open(&f);
        assert_int_equal(fixture_status(&f).counts[1], running + 1);
        fixture_verify(&f);
        fixture_deinit(&f);
    }
}

/* A crash between the snapshot's commit and anything else. */
static void test_crash_around_a_snapshot(void **state) {
    (void)state;
    for (int moment = SIM_SNAPSHOT_BEFORE; moment <= SIM_SNAPSHOT_AFTER; moment++) {
        struct engine_fixture f;
        fixture_init_sim(&f);
        fixture_loans(&f, 0, 30, 2);
        char hash[65];
        (void)snprintf(hash, sizeof hash, "%s", fixture_hash(&f));
        sim_snapshot_crash_commit(f.snapshots, 1, (enum sim_snapshot_moment)moment, NULL, NULL);
        assert_int_equal(wf_snapshot(f.engine, NULL), WF_IO);
        fixture_crash(&f, 0);
        fixture_open(&f);
        assert_string_equal(fixture_hash(&f), hash);
        assert_int_equal(fixture_status(&f).replayed > 10, moment == SIM_SNAPSHOT_BEFORE);
        fixture_verify(&f);
        fixture_deinit(&f);
    }
}

static void test_long_tail_recovers_like_a_short_one(void **state) {
    struct engine_fixture *f = *state;
    f->options.snapshot_log_bytes = 0;
    f->options.keys_max = 500;
    fixture_reopen(f, true);
    char id[16];
    for (int i = 0; i < 4000; i++)
        assert_int_equal(fixture_start(f, fixture_id(i, id), id), WF_OK);
    const char *hash = fixture_hash(f);
    fixture_crash(f, 0);
    fixture_open(f);
    assert_string_equal(fixture_hash(f), hash);
    assert_int_equal(fixture_status(f).replayed, 4000);
    assert_int_equal(fixture_status(f).keys, 500);
    fixture_verify(f);
}

static void test_reader_follows_no_owner_beyond_its_word(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "L1", 2);
    fixture_close(f);
    uint64_t bytes = sim_hash(f->sim);
    f->options.create = false;
    f->options.read_only = true;
    fixture_open(f);
    assert_true(fixture_status(f).read_only);
    assert_int_equal(fixture_start(f, "L2", NULL), WF_REFUSED);
    assert_int_equal(wf_snapshot(f->engine, &f->err), WF_REFUSED);
    fixture_verify(f);
    fixture_close(f);
    assert_int_equal(sim_hash(f->sim), bytes);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define EMPTY(name) cmocka_unit_test_setup_teardown(name, setup_empty, fixture_teardown)
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_sim, fixture_teardown)
        EMPTY(test_open_wants_a_store),
        EMPTY(test_open_leaves_a_foreign_folder_alone),
        EMPTY(test_open_makes_the_store_with_its_clock),
        EMPTY(test_open_refuses_another_clock),
        EMPTY(test_open_checks_its_options),
        cmocka_unit_test(test_creation_that_lost_power_anywhere_can_be_repeated),
        cmocka_unit_test(test_creation_that_died_anywhere_can_be_repeated),
        cmocka_unit_test(test_half_made_store_is_none_without_create),
        TEST(test_snapshot_without_a_log_is_refused),
        TEST(test_log_that_ends_before_the_snapshot_is_refused),
        TEST(test_torn_tail_is_cut_and_told),
        TEST(test_damage_to_the_last_batch_is_known_by_the_lock_file),
        TEST(test_damage_to_the_last_batch_passes_for_torn_where_nothing_vouches),
        cmocka_unit_test(test_crash_and_recovery_between_any_two_calls),
        cmocka_unit_test(test_crash_around_a_snapshot),
        TEST(test_long_tail_recovers_like_a_short_one),
        TEST(test_reader_follows_no_owner_beyond_its_word),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
