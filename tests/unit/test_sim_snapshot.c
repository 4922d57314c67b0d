#include "engine/core/text.h"
#include "tests/lib/sim_snapshot.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct snapshot *open_in(struct sim_snapshots *disk) {
    const struct snapshot_provider *provider = sim_snapshot_provider(disk);
    struct snapshot *snapshot;
    assert_int_equal(provider->open(provider, io_posix(), "state", true, false, &snapshot, NULL),
                     WF_OK);
    return snapshot;
}

static enum wf_status commit(struct snapshot *snapshot, const char *value, uint64_t lsn) {
    struct snapshot_change change = {.key = text_view("k"), .value = text_view(value)};
    struct snapshot_meta meta = {.lsn = lsn};
    return snapshot->ops->commit(snapshot, &change, 1, &meta, NULL);
}

/* The LSN that a new process finds; 0: none. Destroys the disk. */
static uint64_t surviving_lsn(struct sim_snapshots *disk) {
    struct sim_snapshots *survivor = sim_snapshot_survivor(disk);
    struct snapshot *snapshot = open_in(survivor);
    struct snapshot_meta meta = {0};
    uint64_t lsn = snapshot->ops->meta(snapshot, &meta) ? meta.lsn : 0;
    snapshot->ops->close(snapshot);
    sim_snapshot_destroy(survivor);
    sim_snapshot_destroy(disk);
    return lsn;
}

static void test_sim_snapshot_fails_the_nth_commit_and_then_works(void **state) {
    (void)state;
    struct sim_snapshots *disk = sim_snapshot_create();
    struct snapshot *snapshot = open_in(disk);
    sim_snapshot_fail_commit(disk, 2, WF_FULL);
    assert_int_equal(commit(snapshot, "1", 1), WF_OK);
    assert_int_equal(commit(snapshot, "2", 2), WF_FULL);
    struct snapshot_meta meta;
    assert_int_equal(snapshot->ops->refresh(snapshot, NULL), WF_OK);
    assert_true(snapshot->ops->meta(snapshot, &meta));
    assert_int_equal(meta.lsn, 1);
    assert_int_equal(commit(snapshot, "3", 3), WF_OK);
    assert_int_equal(sim_snapshot_commits(disk), 2);
    snapshot->ops->close(snapshot);
    assert_int_equal(surviving_lsn(disk), 3);
}

static void count_call(void *ctx) {
    ++*(int *)ctx;
}

static void crash_in_second(enum sim_snapshot_moment moment, uint64_t expected_lsn) {
    struct sim_snapshots *disk = sim_snapshot_create();
    struct snapshot *snapshot = open_in(disk);
    struct bytes_view value;
    struct snapshot *second;
    int crashes = 0;
    sim_snapshot_crash_commit(disk, 2, moment, count_call, &crashes);
    assert_int_equal(commit(snapshot, "1", 1), WF_OK);
    assert_false(sim_snapshot_is_dead(disk));
    assert_int_equal(commit(snapshot, "2", 2), WF_IO);
    assert_true(sim_snapshot_is_dead(disk));
    assert_int_equal(crashes, 1);
    assert_int_equal(commit(snapshot, "3", 3), WF_IO);
    assert_int_equal(snapshot->ops->refresh(snapshot, NULL), WF_IO);
    assert_int_equal(snapshot->ops->get(snapshot, text_view("k"), &value, NULL), WF_IO);
    snapshot->ops->close(snapshot);
    const struct snapshot_provider *provider = sim_snapshot_provider(disk);
    assert_int_equal(provider->open(provider, io_posix(), "state", true, false, &second, NULL),
                     WF_IO);
    assert_int_equal(sim_snapshot_open_count(disk), 0);
    assert_int_equal(surviving_lsn(disk), expected_lsn);
}

static void test_sim_snapshot_loses_a_commit_that_crashed_before_it_took_effect(void **state) {
    (void)state;
    crash_in_second(SIM_SNAPSHOT_BEFORE, 1);
}

static void test_sim_snapshot_keeps_a_commit_that_crashed_after_it_took_effect(void **state) {
    (void)state;
    crash_in_second(SIM_SNAPSHOT_AFTER, 2);
}

static void test_sim_snapshot_killed_keeps_what_was_committed(void **state) {
    (void)state;
    struct sim_snapshots *disk = sim_snapshot_create();
    struct snapshot *snapshot = open_in(disk);
    assert_int_equal(commit(snapshot, "1", 4), WF_OK);
    sim_snapshot_kill(disk);
    assert_int_equal(commit(snapshot, "2", 5), WF_IO);
    snapshot->ops->close(snapshot);
    assert_int_equal(surviving_lsn(disk), 4);
}

static void test_sim_snapshot_damage_is_found_and_set_aside(void **state) {
    (void)state;
    struct sim_snapshots *disk = sim_snapshot_create();
    const struct snapshot_provider *provider = sim_snapshot_provider(disk);
    struct snapshot *snapshot = open_in(disk);
    struct bytes_view value;
    assert_false(sim_snapshot_damage(disk, "other"));
    assert_int_equal(commit(snapshot, "1", 1), WF_OK);
    assert_true(sim_snapshot_damage(disk, "state"));
    assert_int_equal(snapshot->ops->get(snapshot, text_view("k"), &value, NULL), WF_DAMAGE);
    snapshot->ops->close(snapshot);
    assert_int_equal(provider->open(provider, io_posix(), "state", true, false, &snapshot, NULL),
                     WF_DAMAGE);
    assert_int_equal(provider->set_aside(provider, io_posix(), "state", NULL), WF_OK);
    assert_true(sim_snapshot_exists(disk, "state.damaged-1"));
    assert_false(sim_snapshot_exists(disk, "state"));
    assert_int_equal(surviving_lsn(disk), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sim_snapshot_fails_the_nth_commit_and_then_works),
        cmocka_unit_test(test_sim_snapshot_loses_a_commit_that_crashed_before_it_took_effect),
        cmocka_unit_test(test_sim_snapshot_keeps_a_commit_that_crashed_after_it_took_effect),
        cmocka_unit_test(test_sim_snapshot_killed_keeps_what_was_committed),
        cmocka_unit_test(test_sim_snapshot_damage_is_found_and_set_aside),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
