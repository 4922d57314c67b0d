/* A segment that has grown beyond all segments: repaired on a real disk, whose sparse files hold
 * the zeros. */
#include "tests/lib/wal_fixture.h"
#include "wal/segment.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define GROWN_BYTES ((off_t)WAL_SEGMENT_SIZE_MAX + (64 << 20))
enum { BLOCKS_MAX = 16384 }; /* of 512 bytes: what the copy may take of the disk */

enum { PATH_SIZE = 512 };

static char folder[256];
static char log_folder[sizeof folder + 8];

/* Two segments of five records each; closed. */
static int setup(void **state) {
    static struct wal_fixture fixture;
    const char *base = getenv("TMPDIR");
    (void)snprintf(folder, sizeof folder, "%s/wf-large.XXXXXX", base == NULL ? "/tmp" : base);
    if (mkdtemp(folder) == NULL)
        return -1;
    (void)snprintf(log_folder, sizeof log_folder, "%s/wal", folder);
    wal_fixture_dir = log_folder;
    fixture = (struct wal_fixture){.io = io_posix()};
    fixture.options.segment_size = WAL_SEGMENT_SIZE_MIN;
    if (wal_create(fixture.io, wal_fixture_dir, wal_fixture_id, &fixture.options, NULL) != WF_OK)
        return -1;
    wal_fixture_open(&fixture);
    wal_fixture_commit(&fixture, 5);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    wal_fixture_commit(&fixture, 5);
    wal_fixture_close(&fixture);
    *state = &fixture;
    return 0;
}

static void path_of(char path[PATH_SIZE], const char *suffix) {
    (void)snprintf(path, PATH_SIZE, "%s/%s%s", wal_fixture_dir, wal_fixture_segment(1), suffix);
}

static int teardown(void **state) {
    static const char *const suffixes[] = {"", ".damaged"};
    struct wal_fixture *fixture = *state;
    char path[PATH_SIZE];
    (void)wal_close(fixture->wal, NULL);
    for (size_t i = 0; i < 2; i++) {
        path_of(path, suffixes[i]);
        (void)unlink(path);
    }
    (void)snprintf(path, sizeof path, "%s/%s", wal_fixture_dir, wal_fixture_segment(6));
    (void)unlink(path);
    (void)rmdir(wal_fixture_dir);
    return rmdir(folder) != 0;
}

static struct stat look_at(const char *suffix) {
    char path[PATH_SIZE];
    struct stat seen;
    path_of(path, suffix);
    assert_int_equal(stat(path, &seen), 0);
    return seen;
}

static enum wf_status count_finding(void *ctx, const struct wal_finding *finding,
                                    struct wf_error *err) {
    (void)finding;
    (void)err;
    ++*(int *)ctx;
    return WF_OK;
}

static void test_wal_repair_cuts_a_segment_that_grew_beyond_all_segments(void **state) {
    struct wal_fixture *fixture = *state;
    char path[PATH_SIZE];
    path_of(path, "");
    off_t offset = look_at("").st_size - 88 - 20; /* from the last record into the seal */
    int file = open(path, O_RDWR | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(pwrite(file, "this is rot, and nothing else is", 32, offset), 32);
    assert_int_equal(pwrite(file, "!", 1, GROWN_BYTES - 1), 1);
    assert_int_equal(close(file), 0);
    int findings = 0;
    assert_int_equal(
        wal_repair(fixture->io, wal_fixture_dir, 10, 0, count_finding, &findings, &fixture->err),
        WF_OK);
    assert_true(findings > 0);
    assert_true(look_at("").st_size < 4096);
    /* The copy is as the file was, holes included. */
    assert_int_equal(look_at(".damaged").st_size, GROWN_BYTES);
    assert_true(look_at(".damaged").st_blocks < BLOCKS_MAX);
    findings = 0;
    assert_int_equal(wal_verify(fixture->io, wal_fixture_dir, 10, UINT64_MAX, NULL, count_finding,
                                &findings, &fixture->err),
                     WF_OK);
    assert_int_equal(findings, 0);
    assert_int_equal(wal_fixture_try_open(fixture, 10, NULL), WF_OK);
    assert_int_equal(fixture->seen_last, 10);
    assert_int_equal(fixture->seen_count, 10);
    assert_int_equal(fixture->seen_lost, 1);
    wal_fixture_close(fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            test_wal_repair_cuts_a_segment_that_grew_beyond_all_segments, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
