/* link: -Wl,--wrap=fdatasync,--wrap=fsync,--wrap=rename */
/* The backup (maintain.c): what is wrong with the copy, and what is durable before it gets its
 * name. The order of its syncs is seen through the linker's --wrap, for it runs on the machine's
 * disk. */
#include "tests/lib/engine_fixture.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* --- what was synced, and renamed, in order --- */

enum { CALLS_MAX = 256 };

struct call {
    bool rename;
    char path[512]; /* what was synced, or the new name */
};

static bool renames_fail;
static struct call calls[CALLS_MAX];
static size_t call_count;

static struct call *add_call(bool is_rename) {
    struct call *call = &calls[call_count < CALLS_MAX ? call_count++ : CALLS_MAX - 1];
    *call = (struct call){.rename = is_rename};
    return call;
}

static void add_sync(int fd) {
    char link[64];
    struct call *call = add_call(false);
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(link, call->path, sizeof call->path - 1);
    call->path[size < 0 ? 0 : size] = '\0';
}

int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_rename(const char *from, const char *to);

int __wrap_fdatasync(int fd) {
    add_sync(fd);
    return __real_fdatasync(fd);
}

int __wrap_fsync(int fd) {
    add_sync(fd);
    return __real_fsync(fd);
}

int __wrap_rename(const char *from, const char *to) {
    if (renames_fail) {
        errno = EIO;
        return -1;
    }
    snprintf(add_call(true)->path, sizeof calls[0].path, "%s", to);
    return __real_rename(from, to);
}

/* Index of the first call at or after `from` on a path that ends so; fails where there is none. */
static size_t find_call(size_t from, bool is_rename, const char *end) {
    for (size_t i = from; i < call_count; i++) {
        size_t size = strlen(calls[i].path);
        if (calls[i].rename == is_rename && size >= strlen(end) &&
            strcmp(calls[i].path + size - strlen(end), end) == 0)
            return i;
    }
    fail_msg("no %s of \"%s\"", is_rename ? "rename" : "sync", end);
    return 0;
}

/* --- tests --- */

struct backup {
    struct engine_fixture fixture;
    char to[FIXTURE_PATH_MAX + 32];
};

/* A store with a snapshot, not open, and the path of a backup of it. */
static int setup(void **state) {
    static struct backup backup;
    fixture_init_disk(&backup.fixture);
    fixture_loans(&backup.fixture, 0, 20, 2);
    (void)snprintf(backup.to, sizeof backup.to, "%s/copy", backup.fixture.root);
    backup.fixture.options.snapshot_on_close = true;
    fixture_close(&backup.fixture);
    *state = &backup;
    return 0;
}

static int teardown(void **state) {
    fixture_deinit(&((struct backup *)*state)->fixture);
    return 0;
}

static void damage_first_record(struct engine_fixture *f) {
    char path[sizeof f->dir + 64];
    (void)snprintf(path, sizeof path, "%s/wal/%020d.seg", f->dir, 1);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 64 + 41, SEEK_SET), 0); /* in the payload of the first record */
    int byte = fgetc(file);
    assert_int_equal(fseek(file, 64 + 41, SEEK_SET), 0);
    assert_int_equal(fputc(byte ^ 1, file), byte ^ 1);
    assert_int_equal(fclose(file), 0);
}

/* The store itself opens from its snapshot and does not look at its first records; the copy has no
 * snapshot and needs them. */
static void test_backup_of_a_damaged_record_is_no_backup(void **state) {
    struct backup *backup = *state;
    struct engine_fixture *f = &backup->fixture;
    struct stat info;
    uint64_t lsn = 0;
    damage_first_record(f);
    assert_int_equal(wf_backup(f->dir, backup->to, &lsn, &f->err), WF_DAMAGE);
    assert_int_not_equal(stat(backup->to, &info), 0);
}

static void test_backup_is_on_the_disk_before_it_gets_its_name(void **state) {
    struct backup *backup = *state;
    struct engine_fixture *f = &backup->fixture;
    uint64_t lsn = 0;
    call_count = 0;
    assert_int_equal(wf_backup(f->dir, backup->to, &lsn, &f->err), WF_OK);
    size_t segment = find_call(0, false, "copy.partial/wal/00000000000000000001.seg");
    size_t names = find_call(segment, false, "copy.partial/wal");
    size_t folder = find_call(names, false, "copy.partial");
    size_t named = find_call(folder, true, "/copy");
    (void)find_call(named, false, strrchr(f->root, '/'));
    assert_true(call_count < CALLS_MAX);
}

static bool is_there(const struct backup *backup, const char *name) {
    char path[sizeof backup->to + 100];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s/%s", backup->fixture.root, name);
    return lstat(path, &info) == 0;
}

static void put(const struct backup *backup, const char *name, bool folder) {
    char path[sizeof backup->to + 100];
    (void)snprintf(path, sizeof path, "%s/%s", backup->fixture.root, name);
    if (folder) {
        assert_int_equal(mkdir(path, 0700), 0);
    } else {
        FILE *file = fopen(path, "w");
        assert_non_null(file);
        assert_int_equal(fclose(file), 0);
    }
}

static void test_backup_that_fails_leaves_nothing(void **state) {
    struct backup *backup = *state;
    struct engine_fixture *f = &backup->fixture;
    damage_first_record(f);
    assert_int_equal(wf_backup(f->dir, backup->to, NULL, &f->err), WF_DAMAGE);
    assert_false(is_there(backup, "copy.partial"));
}

/* A segment that was archived since would make the copy another store. */
static void test_backup_that_gets_no_name_leaves_nothing(void **state) {
    struct backup *backup = *state;
    struct engine_fixture *f = &backup->fixture;
    renames_fail = true;
    enum wf_status status = wf_backup(f->dir, backup->to, NULL, &f->err);
    renames_fail = false;
    assert_int_equal(status, WF_IO);
    assert_false(is_there(backup, "copy"));
    assert_false(is_there(backup, "copy.partial"));
}

static void test_backup_to_a_name_that_cannot_be_had_makes_nothing(void **state) {
    struct backup *backup = *state;
    struct wf_error *err = &backup->fixture.err;
    const char *dir = backup->fixture.dir;
    assert_int_equal(wf_backup(dir, "", NULL, err), WF_USAGE);
    assert_int_equal(access(".partial", F_OK), -1);
    assert_int_equal(symlink("nowhere", backup->to), 0);
    assert_int_equal(wf_backup(dir, backup->to, NULL, err), WF_REFUSED);
    assert_non_null(strstr(err->text, "a link to something that is not there"));
    assert_false(is_there(backup, "copy.partial"));
    assert_int_equal(unlink(backup->to), 0);
    char below[600];
    snprintf(below, sizeof below, "%s/below", backup->to);
    assert_int_equal(wf_backup(dir, below, NULL, err), WF_NOT_FOUND);
    assert_non_null(strstr(err->text, "there is no folder"));
}

static void test_backup_takes_away_what_a_killed_one_left(void **state) {
    struct backup *backup = *state;
    struct engine_fixture *f = &backup->fixture;
    put(backup, "copy.partial", true);
    put(backup, "copy.partial/wal", true);
    put(backup, "copy.partial/wal/00000000000000000009.seg", false);
    must(f, wf_backup(f->dir, backup->to, NULL, &f->err));
    assert_false(is_there(backup, "copy.partial"));
    assert_true(is_there(backup, "copy/wal/00000000000000000001.seg"));
    assert_false(is_there(backup, "copy/wal/00000000000000000009.seg"));
}

static void test_backup_leaves_what_no_backup_left(void **state) {
    struct backup *backup = *state;
    struct engine_fixture *f = &backup->fixture;
    put(backup, "copy.partial", true);
    put(backup, "copy.partial/diary", false);
    assert_int_equal(wf_backup(f->dir, backup->to, NULL, &f->err), WF_REFUSED);
    assert_non_null(strstr(f->err.text, "diary"));
    assert_true(is_there(backup, "copy.partial/diary"));
}

static void test_backup_into_the_store_is_refused(void **state) {
    struct backup *backup = *state;
    struct engine_fixture *f = &backup->fixture;
    char link[sizeof backup->to];
    char to[sizeof backup->to + 40];
    static const char *const places[] = {"copy", "wal/copy", "copy/"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        (void)snprintf(to, sizeof to, "%s/%s", f->dir, places[i]);
        assert_int_equal(wf_backup(f->dir, to, NULL, &f->err), WF_REFUSED);
        assert_non_null(strstr(f->err.text, "inside the store"));
    }
    (void)snprintf(link, sizeof link, "%s/link", f->root);
    (void)snprintf(to, sizeof to, "%s/wal", f->dir);
    assert_int_equal(symlink(to, link), 0);
    (void)snprintf(to, sizeof to, "%s/copy", link);
    assert_int_equal(wf_backup(f->dir, to, NULL, &f->err), WF_REFUSED);
}

static void test_backup_to_a_name_with_a_slash(void **state) {
    struct backup *backup = *state;
    struct engine_fixture *f = &backup->fixture;
    char to[sizeof backup->to + 40];
    (void)snprintf(to, sizeof to, "%s//", backup->to);
    must(f, wf_backup(f->dir, to, NULL, &f->err));
    assert_true(is_there(backup, "copy/wal"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_backup_of_a_damaged_record_is_no_backup),
        TEST(test_backup_is_on_the_disk_before_it_gets_its_name),
        TEST(test_backup_that_fails_leaves_nothing),
        TEST(test_backup_that_gets_no_name_leaves_nothing),
        TEST(test_backup_to_a_name_that_cannot_be_had_makes_nothing),
        TEST(test_backup_takes_away_what_a_killed_one_left),
        TEST(test_backup_leaves_what_no_backup_left),
        TEST(test_backup_into_the_store_is_refused),
        TEST(test_backup_to_a_name_with_a_slash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
