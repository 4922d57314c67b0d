/* A segment of another store in the log's folder, in the place of one of its own or before them:
 * nothing opens, nothing is repaired, nothing is rebuilt; it is named by its path (identity.c). */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct two {
    struct engine_fixture own, other;
};

static int setup(void **state) {
    static struct two two;
    fixture_init_disk(&two.own);
    fixture_init_disk(&two.other);
    fixture_loan(&two.own, "L1", 1);
    fixture_loan(&two.other, "L2", 3);
    two.own.options.snapshot_on_close = two.other.options.snapshot_on_close = true;
    *state = &two;
    return 0;
}

static int teardown(void **state) {
    struct two *two = *state;
    fixture_deinit(&two->own);
    fixture_deinit(&two->other);
    return 0;
}

static void archive_all(struct engine_fixture *f) {
    struct wf_archive_options options;
    wf_archive_options_init(&options);
    options.snapshot = options.seal = true;
    must(f, wf_archive_run(f->engine, &options, NULL, &f->err));
}

/* The other store's first segment into the own log's folder. */
static void put_segment(struct two *two) {
    char command[2 * FIXTURE_PATH_MAX + 200];
    fixture_close(&two->own);
    fixture_close(&two->other);
    (void)snprintf(command, sizeof command, "cp '%s/wal/%020d.seg' '%s/wal/'", two->other.dir, 1,
                   two->own.dir);
    assert_int_equal(system(command), 0);
}

static unsigned long sum_of(const struct two *two) {
    char command[FIXTURE_PATH_MAX + 100];
    unsigned long sum = 0;
    (void)snprintf(command, sizeof command, "cat '%s'/wal/* '%s'/state/data.mdb | cksum",
                   two->own.dir, two->own.dir);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    assert_int_equal(fscanf(pipe, "%lu", &sum), 1);
    assert_int_equal(pclose(pipe), 0);
    return sum;
}

static void assert_named(const struct two *two) {
    char path[FIXTURE_PATH_MAX + 80];
    (void)snprintf(path, sizeof path, "segment %s/wal/%020d.seg is of another store", two->own.dir,
                   1);
    if (strstr(two->own.err.text, path) == NULL)
        fail_msg("no \"%s\" in: %s", path, two->own.err.text);
}

static void assert_refused(struct two *two) {
    struct engine_fixture *f = &two->own;
    struct wf_log_report report;
    unsigned long before = sum_of(two);
    assert_int_equal(fixture_try_open(f), WF_DAMAGE);
    assert_named(two);
    f->options.create = false;
    f->options.read_only = true;
    assert_int_equal(fixture_try_open(f), WF_DAMAGE);
    assert_named(two);
    f->options.read_only = false;
    assert_int_equal(wf_log_repair_plan(f->dir, 0, NULL, NULL, &report, &f->err), WF_DAMAGE);
    assert_named(two);
    assert_int_equal(wf_log_repair(f->dir, 0, NULL, NULL, &report, &f->err), WF_DAMAGE);
    assert_named(two);
    assert_int_equal(sum_of(two), before);
}

static void test_identity_of_a_segment_in_the_place_of_the_own_one(void **state) {
    struct two *two = *state;
    put_segment(two);
    assert_refused(two);
}

static void test_identity_of_a_segment_before_the_own_ones(void **state) {
    struct two *two = *state;
    char command[FIXTURE_PATH_MAX + 80];
    archive_all(&two->own);
    put_segment(two);
    assert_refused(two);
    (void)snprintf(command, sizeof command, "rm '%s/wal/%020d.seg'", two->own.dir, 1);
    assert_int_equal(system(command), 0);
    fixture_open(&two->own); /* as it was */
    fixture_verify(&two->own);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_identity_of_a_segment_in_the_place_of_the_own_one),
        TEST(test_identity_of_a_segment_before_the_own_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
