/* Commits whose system calls fail one by one, at the place where LMDB calls the system: this
 * program's pwrite(), writev(), fdatasync() and
 * close() stand before libc's. */
#include "tests/lib/lmdb_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

enum { PAIRS = 400, VALUE_BYTES = 100, CALLS_MAX = 200, FDS_MAX = 64 };

/* ---- the calls ---- */

enum call { CALL_NONE, CALL_WRITE, CALL_FDATASYNC };

enum { SHORT = 0 }; /* no error: only half of the bytes are written */

/* The `number`-th `call` from now fails with `error`. */
static struct {
    enum call call;
    int error;
    unsigned number;
    unsigned seen;
    bool failed_sync[FDS_MAX]; /* by descriptor */
    bool synced_again;
} faults;

static void arm(enum call call, int error, unsigned number) {
    memset(&faults, 0, sizeof faults);
    faults.call = call;
    faults.error = error;
    faults.number = number;
}

static void disarm(void) {
    faults.call = CALL_NONE;
}

/* Names are hidden as a rule (-fvisibility), and LMDB has to find these. */
#define EXPORTED __attribute__((visibility("default")))

static bool is_hit(enum call call) {
    return faults.call == call && ++faults.seen == faults.number;
}

EXPORTED ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    if (is_hit(CALL_WRITE)) {
        if (faults.error == SHORT)
            return syscall(SYS_pwrite64, fd, data, size / 2, offset);
        errno = faults.error;
        return -1;
    }
    return syscall(SYS_pwrite64, fd, data, size, offset);
}

EXPORTED ssize_t writev(int fd, const struct iovec *parts, int count) {
    if (is_hit(CALL_WRITE)) {
        if (faults.error == SHORT)
            return syscall(SYS_writev, fd, parts, count / 2);
        errno = faults.error;
        return -1;
    }
    return syscall(SYS_writev, fd, parts, count);
}

EXPORTED int fdatasync(int fd) {
    assert_in_range(fd, 0, FDS_MAX - 1);
    faults.synced_again = faults.synced_again || faults.failed_sync[fd];
    if (is_hit(CALL_FDATASYNC)) {
        faults.failed_sync[fd] = true;
        errno = faults.error;
        return -1;
    }
    return (int)syscall(SYS_fdatasync, fd);
}

EXPORTED int close(int fd) {
    if (fd >= 0 && fd < FDS_MAX)
        faults.failed_sync[fd] = false;
    return (int)syscall(SYS_close, fd);
}

/* ---- the snapshot ---- */

static void remove_snapshot(struct lmdb_fixture *f) {
    char command[LMDB_PATH_BYTES + 32];
    lmdb_fixture_close(f);
    snprintf(command, sizeof command, "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
}

/* All pairs with values of this LSN, so that each commit uses the pages again that the one before
 * the last has left. */
static enum wf_status commit(struct lmdb_fixture *f, uint64_t lsn) {
    static char keys[PAIRS][16];
    static uint8_t values[VALUE_BYTES];
    struct snapshot_change changes[PAIRS];
    struct snapshot_meta meta = {.lsn = lsn};
    memset(values, (int)lsn, sizeof values);
    for (size_t i = 0; i < PAIRS; i++) {
        int size = snprintf(keys[i], sizeof keys[i], "k%07zu", i);
        changes[i].key = (struct bytes_view){(const uint8_t *)keys[i], (size_t)size};
        changes[i].value = (struct bytes_view){values, sizeof values};
    }
    /* More pairs each time: the tree grows, and with it the file. */
    return f->snapshot->ops->commit(f->snapshot, changes, PAIRS / 8 * (size_t)lsn, &meta, &f->err);
}

static enum wf_status check_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                                 struct wf_error *err) {
    (void)key;
    (void)err;
    assert_int_equal(value.size, VALUE_BYTES);
    assert_int_equal(value.data[0], *(uint64_t *)ctx);
    return WF_OK;
}

/* The generation of `lsn`, whole. */
static void check_generation(struct lmdb_fixture *f, uint64_t lsn) {
    struct snapshot_meta meta = {0};
    const struct bytes_view all = {NULL, 0};
    assert_true(f->snapshot->ops->meta(f->snapshot, &meta));
    assert_int_equal(meta.lsn, lsn);
    assert_int_equal(f->snapshot->ops->walk(f->snapshot, all, all, check_pair, &meta.lsn, &f->err),
                     WF_OK);
}

static void open_with_three(struct lmdb_fixture *f) {
    assert_int_equal(lmdb_fixture_open(f, false), WF_OK);
    for (uint64_t lsn = 1; lsn <= 3; lsn++)
        assert_int_equal(commit(f, lsn), WF_OK);
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
}

/* ---- tests ---- */

/* The commit of LSN 4 failed with `status`; `again` is what came of a second try. Both a reader and
 * the next owner find a whole generation, and the owner goes on. */
static void check_reopened(struct lmdb_fixture *f, enum wf_status again) {
    uint64_t lsn = again == WF_OK ? 4 : 3;
    lmdb_fixture_close(f);
    assert_int_equal(lmdb_fixture_open(f, true), WF_OK);
    check_generation(f, lsn);
    lmdb_fixture_close(f);
    assert_int_equal(lmdb_fixture_open(f, false), WF_OK);
    check_generation(f, lsn);
    for (lsn = 5; lsn <= 7; lsn++) {
        assert_int_equal(commit(f, lsn), WF_OK);
        assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
        check_generation(f, lsn);
    }
}

/* Fail the n-th call, for every n that the commit has. Whether the next commit works, with all
 * calls working again, is `again`. */
static void fail_each(struct lmdb_fixture *f, enum call call, int error, enum wf_status expected,
                      enum wf_status again) {
    unsigned calls_min = call == CALL_WRITE ? 2 : 1; /* pages, and the meta page */
    for (unsigned n = 1; n < CALLS_MAX; n++) {
        open_with_three(f);
        arm(call, error, n);
        enum wf_status status = commit(f, 4);
        disarm();
        if (status == WF_OK) {
            assert_true(n > calls_min);
            assert_true(faults.seen < n);
            remove_snapshot(f);
            return;
        }
        assert_int_equal(status, expected);
        check_generation(f, 3);
        assert_int_equal(commit(f, 4), again);
        assert_false(faults.synced_again);
        check_reopened(f, again);
        remove_snapshot(f);
    }
    fail_msg("a commit of %d calls", CALLS_MAX);
}

static void test_snapshot_commit_goes_on_once_a_full_disk_has_space(void **state) {
    fail_each(*state, CALL_WRITE, ENOSPC, WF_FULL, WF_OK);
    fail_each(*state, CALL_WRITE, EDQUOT, WF_FULL, WF_OK);
    fail_each(*state, CALL_WRITE, EFBIG, WF_FULL, WF_OK);
}

static void test_snapshot_commit_pauses_after_a_failed_write(void **state) {
    fail_each(*state, CALL_WRITE, EIO, WF_IO, WF_IO);
    fail_each(*state, CALL_WRITE, SHORT, WF_IO, WF_IO);
}

static void test_snapshot_commit_syncs_no_descriptor_again_after_a_failed_sync(void **state) {
    fail_each(*state, CALL_FDATASYNC, EIO, WF_IO, WF_IO);
    fail_each(*state, CALL_FDATASYNC, ENOSPC, WF_FULL, WF_OK);
}

int main(void) {
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, lmdb_fixture_prepare, lmdb_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_snapshot_commit_goes_on_once_a_full_disk_has_space),
        TEST(test_snapshot_commit_pauses_after_a_failed_write),
        TEST(test_snapshot_commit_syncs_no_descriptor_again_after_a_failed_sync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
