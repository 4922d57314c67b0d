#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "base/io.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- A temporary directory for each test, and the current directory while it runs ---- */

struct place {
    char path[256];
    int before;
};

static int enter_place(void **state) {
    struct place *place = calloc(1, sizeof *place);
    const char *base = getenv("TMPDIR");
    if (place == NULL)
        return -1;
    snprintf(place->path, sizeof place->path, "%s/wf-io-XXXXXX", base != NULL ? base : "/tmp");
    place->before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    *state = place;
    return mkdtemp(place->path) != NULL && chdir(place->path) == 0 ? 0 : -1;
}

static int leave_place(void **state) {
    struct place *place = *state;
    char command[300];
    snprintf(command, sizeof command, "rm -rf '%s'", place->path);
    int result = fchdir(place->before) == 0 && system(command) == 0 ? 0 : -1;
    close(place->before);
    free(place);
    return result;
}

/* ---- Short words ---- */

static struct io_file *open_file(const char *path, unsigned flags) {
    struct io_file *file = NULL;
    struct wf_error err;
    if (io_posix()->ops->open(io_posix(), path, flags, &file, &err) != WF_OK)
        print_error("%s\n", err.text);
    return file;
}

static void close_file(struct io_file *file) {
    io_posix()->ops->close(io_posix(), file);
}

static enum wf_status put(struct io_file *file, uint64_t offset, const void *data, size_t size,
                          struct wf_error *err) {
    return io_write_all(io_posix(), file, offset, data, size, err);
}

static uint64_t size_of(struct io_file *file) {
    uint64_t size = UINT64_MAX;
    (void)io_posix()->ops->size(io_posix(), file, &size, NULL);
    return size;
}

static bool is_locked(struct io_file *file) {
    bool locked = false;
    (void)io_posix()->ops->is_locked(io_posix(), file, &locked, NULL);
    return locked;
}

static enum wf_status lock(struct io_file *file, struct wf_error *err) {
    return io_posix()->ops->lock(io_posix(), file, err);
}

static void make_file(const char *path, const char *content) {
    struct io_file *file = open_file(path, IO_WRITE | IO_CREATE);
    assert_non_null(file);
    assert_int_equal(put(file, 0, content, strlen(content), NULL), WF_OK);
    close_file(file);
}

/* Run in a child of its own, since it changes limits or dies. Returns NULL or what went wrong. */
typedef const char *(*child_fn)(struct wf_error *err);
enum { CHILD_SKIPPED = 77 };
static const char skipped[] = "skipped";

static int run_child(child_fn run) {
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct wf_error err = {0};
        const char *wrong = run(&err);
        if (wrong == skipped)
            _exit(CHILD_SKIPPED);
        if (wrong != NULL)
            fprintf(stderr, "child: %s; last error: %s\n", wrong, err.text);
        _exit(wrong != NULL);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (WIFSIGNALED(status))
        print_error("child died of signal %d\n", WTERMSIG(status));
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* ---- Reading and writing ---- */

static void test_io_posix_reads_what_was_written(void **state) {
    (void)state;
    struct io_file *file = open_file("f", IO_WRITE | IO_CREATE | IO_EXCLUSIVE);
    struct wf_error err;
    char data[16] = {0};
    size_t got = 99;
    assert_int_equal(put(file, 5, "hello", 5, &err), WF_OK);
    assert_int_equal(io_posix()->ops->sync(io_posix(), file, &err), WF_OK);
    assert_int_equal(size_of(file), 10);
    assert_int_equal(io_posix()->ops->read(io_posix(), file, 3, data, 16, &got, &err), WF_OK);
    assert_int_equal(got, 7);
    assert_memory_equal(data, "\0\0hello", 7);
    assert_int_equal(io_posix()->ops->read(io_posix(), file, 10, data, 16, &got, &err), WF_OK);
    assert_int_equal(got, 0);
    close_file(file);
    close_file(NULL);
}

static void test_io_posix_truncates_both_ways(void **state) {
    (void)state;
    make_file("f", "0123456789");
    struct io_file *file = open_file("f", IO_WRITE);
    struct wf_error err;
    char data[16];
    size_t got;
    assert_int_equal(io_posix()->ops->truncate(io_posix(), file, 4, &err), WF_OK);
    assert_int_equal(io_posix()->ops->truncate(io_posix(), file, 8, &err), WF_OK);
    assert_int_equal(io_read_all(io_posix(), file, 0, data, 16, &got, &err), WF_OK);
    assert_int_equal(got, 8);
    assert_memory_equal(data, "0123\0\0\0\0", 8);
    close_file(file);
}

static void test_io_posix_preallocates_zeros_and_keeps_content(void **state) {
    (void)state;
    make_file("f", "0123");
    struct io_file *file = open_file("f", IO_WRITE);
    struct wf_error err;
    char data[8];
    size_t got;
    assert_int_equal(io_posix()->ops->preallocate(io_posix(), file, 1 << 16, &err), WF_OK);
    assert_int_equal(io_posix()->ops->preallocate(io_posix(), file, 10, &err), WF_OK);
    assert_int_equal(io_posix()->ops->preallocate(io_posix(), file, 0, &err), WF_OK);
    assert_int_equal(size_of(file), 1 << 16);
    assert_int_equal(io_read_all(io_posix(), file, 0, data, 8, &got, &err), WF_OK);
    assert_memory_equal(data, "0123\0\0\0\0", 8);
    struct stat info;
    assert_int_equal(stat("f", &info), 0);
    assert_true(info.st_blocks * 512 >= 1 << 16);
    close_file(file);
}

static void test_io_posix_refuses_offsets_past_the_signed_range(void **state) {
    (void)state;
    struct io_file *file = open_file("f", IO_WRITE | IO_CREATE);
    struct wf_error err;
    char byte = 0;
    size_t got;
    assert_int_equal(put(file, UINT64_MAX, &byte, 1, &err), WF_FULL);
    assert_int_equal(put(file, INT64_MAX, &byte, 1, &err), WF_FULL);
    assert_int_equal(io_posix()->ops->truncate(io_posix(), file, UINT64_MAX, &err), WF_FULL);
    assert_int_equal(io_posix()->ops->preallocate(io_posix(), file, UINT64_MAX, &err), WF_FULL);
    assert_int_equal(io_posix()->ops->read(io_posix(), file, UINT64_MAX, &byte, 1, &got, &err),
                     WF_IO);
    assert_int_equal(size_of(file), 0);
    close_file(file);
}

/* ---- Opening ---- */

static void assert_open_fails(const char *path, unsigned flags, enum wf_status status,
                              const char *text) {
    struct wf_error err;
    struct io_file *file = (struct io_file *)&err; /* must become NULL */
    assert_int_equal(io_posix()->ops->open(io_posix(), path, flags, &file, &err), status);
    assert_null(file);
    assert_int_equal(err.status, status);
    assert_string_equal(err.text, text);
}

static void test_io_posix_open_says_what_is_wrong(void **state) {
    (void)state;
    make_file("f", "");
    assert_int_equal(mkdir("d", 0700), 0);
    assert_int_equal(mkfifo("p", 0600), 0);
    assert_int_equal(symlink("l", "l"), 0);
    assert_open_fails("no", IO_READ, WF_NOT_FOUND, "open no: No such file or directory");
    assert_open_fails("no/f", IO_WRITE | IO_CREATE, WF_NOT_FOUND,
                      "open no/f: No such file or directory");
    assert_open_fails("f/f", IO_READ, WF_IO, "open f/f: Not a directory");
    assert_open_fails("f", IO_WRITE | IO_CREATE | IO_EXCLUSIVE, WF_REFUSED,
                      "open f: it exists already");
    assert_open_fails("d", IO_READ, WF_IO, "open d: not a regular file");
    assert_open_fails("d", IO_WRITE, WF_IO, "open d: Is a directory");
    assert_open_fails("p", IO_READ, WF_IO, "open p: not a regular file"); /* and does not block */
    assert_open_fails("l", IO_READ, WF_IO, "open l: Too many levels of symbolic links");
}

/* The descriptor that is open on `path`, or -1. */
static int descriptor_of(const char *path) {
    struct stat wanted;
    struct stat info;
    if (stat(path, &wanted) != 0)
        return -1;
    for (int fd = 0; fd < 1024; fd++) {
        if (fstat(fd, &info) == 0 && info.st_ino == wanted.st_ino && info.st_dev == wanted.st_dev)
            return fd;
    }
    return -1;
}

static void test_io_posix_opens_close_on_exec_and_closes(void **state) {
    (void)state;
    struct io_file *file = open_file("f", IO_WRITE | IO_CREATE);
    int fd = descriptor_of("f");
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
    close_file(file);
    assert_int_equal(descriptor_of("f"), -1);
    assert_open_fails("../no/such", IO_READ, WF_NOT_FOUND,
                      "open ../no/such: No such file or directory");
    assert_int_equal(open(".", O_RDONLY | O_CLOEXEC), fd); /* nothing leaked in between */
    close(fd);
}

static void test_io_posix_write_to_a_file_opened_for_reading_fails(void **state) {
    (void)state;
    make_file("f", "x");
    struct io_file *file = open_file("f", IO_READ);
    struct wf_error err;
    assert_int_equal(put(file, 7, "y", 1, &err), WF_IO);
    assert_string_equal(err.text, "pwrite f at offset 7: Bad file descriptor");
    close_file(file);
}

static const char *open_without_permission(struct wf_error *err) {
    struct io_file *file;
    if (chmod(".", 0555) != 0 || (geteuid() == 0 && setuid(65534) != 0))
        return skipped;
    if (io_posix()->ops->open(io_posix(), "new", IO_WRITE | IO_CREATE, &file, err) != WF_IO)
        return "the open should fail";
    if (strcmp(err->text, "open new: Permission denied") != 0)
        return "another text expected";
    return NULL;
}

static void test_io_posix_no_permission_is_an_error(void **state) {
    (void)state;
    int result = run_child(open_without_permission);
    assert_int_equal(chmod(".", 0700), 0);
    if (result == CHILD_SKIPPED)
        skip();
    assert_int_equal(result, 0);
}

static const char *open_without_descriptors(struct wf_error *err) {
    struct rlimit limit = {0, 0};
    struct io_file *file;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return skipped;
    if (io_posix()->ops->open(io_posix(), "f", IO_READ, &file, err) != WF_IO || file != NULL)
        return "the open should fail";
    if (strcmp(err->text, "open f: Too many open files") != 0)
        return "another text expected";
    if (io_posix()->ops->list(io_posix(), ".", NULL, NULL, err) != WF_IO)
        return "the listing should fail";
    return io_posix()->ops->sync_directory(io_posix(), ".", err) == WF_IO
               ? NULL
               : "the directory sync should fail";
}

static void test_io_posix_out_of_descriptors_is_an_error(void **state) {
    (void)state;
    make_file("f", "");
    int result = run_child(open_without_descriptors);
    if (result == CHILD_SKIPPED)
        skip();
    assert_int_equal(result, 0);
}

/* ---- Space ---- */

enum { FILE_LIMIT = 8192 };

/* SIGXFSZ keeps its deadly default. */
static const char *write_past_file_limit(struct wf_error *err) {
    static const char data[FILE_LIMIT + 1];
    struct rlimit limit = {FILE_LIMIT, FILE_LIMIT};
    struct io_file *file = open_file("f", IO_WRITE | IO_CREATE);
    if (file == NULL || setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return "cannot start";
    if (put(file, 0, data, FILE_LIMIT + 1, err) != WF_FULL || size_of(file) != 0)
        return "one byte too many: nothing should be written";
    if (strcmp(err->text, "pwrite f at offset 0: File too large") != 0)
        return "another text expected";
    if (io_posix()->ops->preallocate(io_posix(), file, FILE_LIMIT + 1, err) != WF_FULL)
        return "preallocation past the limit should fail";
    if (io_posix()->ops->truncate(io_posix(), file, FILE_LIMIT + 1, err) != WF_FULL)
        return "truncation past the limit should fail";
    if (put(file, 0, data, FILE_LIMIT, err) != WF_OK || size_of(file) != FILE_LIMIT)
        return "a write up to the limit should work";
    if (put(file, FILE_LIMIT, data, 1, err) != WF_FULL)
        return "a write behind the limit should fail";
    if (io_posix()->ops->preallocate(io_posix(), file, FILE_LIMIT, err) != WF_OK)
        return "preallocation up to the limit should work";
    return NULL;
}

static void test_io_posix_file_size_limit_is_full_and_no_signal(void **state) {
    (void)state;
    assert_int_equal(run_child(write_past_file_limit), 0);
}

/* A file that was longer than the limit from the start may be cut and kept, but not written behind.
 */
static const char *shrink_above_file_limit(struct wf_error *err) {
    struct rlimit limit = {FILE_LIMIT, FILE_LIMIT};
    struct io_file *file = open_file("f", IO_WRITE | IO_CREATE);
    if (file == NULL || io_posix()->ops->truncate(io_posix(), file, 4 * FILE_LIMIT, err) != WF_OK ||
        setrlimit(RLIMIT_FSIZE, &limit) != 0)
        return "cannot start";
    if (put(file, 2 * FILE_LIMIT, "x", 1, err) != WF_FULL)
        return "a write behind the limit should fail";
    if (io_posix()->ops->preallocate(io_posix(), file, 3 * FILE_LIMIT, err) != WF_OK)
        return "preallocation within the file should work";
    if (io_posix()->ops->truncate(io_posix(), file, 2 * FILE_LIMIT, err) != WF_OK)
        return "shrinking should work";
    return size_of(file) == 2 * FILE_LIMIT ? NULL : "wrong size";
}

static void test_io_posix_file_above_the_limit_can_be_cut(void **state) {
    (void)state;
    assert_int_equal(run_child(shrink_above_file_limit), 0);
}

/* A file system of 64 KiB, seen by this child only. */
static bool mount_small(unsigned long flags) {
    return mkdir("small", 0700) == 0 && unshare(CLONE_NEWNS) == 0 &&
           mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) == 0 &&
           mount("small", "small", "tmpfs", flags, "size=64k") == 0;
}

static const char *fill_the_disk(struct wf_error *err) {
    static const char data[100 * 1024];
    if (!mount_small(0))
        return skipped;
    struct io_file *file = open_file("small/f", IO_WRITE | IO_CREATE);
    struct io_file *other = open_file("small/g", IO_WRITE | IO_CREATE);
    if (file == NULL || other == NULL)
        return "cannot start";
    if (put(file, 0, data, sizeof data, err) != WF_FULL)
        return "the write should find the disk full";
    if (strcmp(err->text, "pwrite small/f at offset 65536: No space left on device") != 0)
        return "another text expected";
    if (io_posix()->ops->preallocate(io_posix(), other, 4096, err) != WF_FULL)
        return "the preallocation should find the disk full";
    if (io_posix()->ops->truncate(io_posix(), file, 0, err) != WF_OK ||
        put(other, 0, data, 4096, err) != WF_OK)
        return "writing should work again once space returns";
    return NULL;
}

static void test_io_posix_full_disk_is_full_until_space_returns(void **state) {
    (void)state;
    int result = run_child(fill_the_disk);
    if (result == CHILD_SKIPPED)
        skip();
    assert_int_equal(result, 0);
}

static const char *write_read_only(struct wf_error *err) {
    struct io_file *file;
    if (!mount_small(MS_RDONLY))
        return skipped;
    if (io_posix()->ops->open(io_posix(), "small/f", IO_WRITE | IO_CREATE, &file, err) != WF_IO ||
        strcmp(err->text, "open small/f: Read-only file system") != 0)
        return "the open should fail";
    if (io_posix()->ops->make_directory(io_posix(), "small/d", err) != WF_IO ||
        strcmp(err->text, "mkdir small/d: Read-only file system") != 0)
        return "making a directory should fail";
    return NULL;
}

static void test_io_posix_read_only_file_system_is_an_error(void **state) {
    (void)state;
    int result = run_child(write_read_only);
    if (result == CHILD_SKIPPED)
        skip();
    assert_int_equal(result, 0);
}

/* ---- Locks ---- */

static void test_io_posix_lock_is_seen_by_a_second_open_in_this_process(void **state) {
    (void)state;
    struct io_file *first = open_file("lock", IO_WRITE | IO_CREATE);
    struct io_file *second = open_file("lock", IO_WRITE);
    struct wf_error err;
    assert_false(is_locked(second));
    assert_int_equal(lock(first, &err), WF_OK);
    assert_int_equal(lock(first, &err), WF_OK); /* what one holds one may take again */
    assert_false(is_locked(first));
    assert_true(is_locked(second));
    assert_int_equal(lock(second, &err), WF_LOCKED);
    assert_string_equal(err.text, "lock lock: held by another opener");
    close_file(first);
    assert_false(is_locked(second));
    assert_int_equal(lock(second, &err), WF_OK);
    close_file(second);
}

static void test_io_posix_lock_outlives_another_descriptor_of_the_file(void **state) {
    (void)state;
    struct io_file *first = open_file("lock", IO_WRITE | IO_CREATE);
    struct io_file *second = open_file("lock", IO_WRITE);
    assert_int_equal(lock(first, NULL), WF_OK);
    close_file(second); /* a POSIX lock would vanish here */
    second = open_file("lock", IO_WRITE);
    assert_true(is_locked(second));
    close_file(second);
    close_file(first);
}

static const char *expect_locked(struct wf_error *err) {
    struct io_file *file = open_file("lock", IO_WRITE);
    if (file == NULL || !is_locked(file))
        return "the lock should be seen";
    return lock(file, err) == WF_LOCKED ? NULL : "the lock should be refused";
}

static void test_io_posix_lock_is_seen_by_another_process(void **state) {
    (void)state;
    struct io_file *file = open_file("lock", IO_WRITE | IO_CREATE);
    assert_int_equal(lock(file, NULL), WF_OK);
    assert_int_equal(run_child(expect_locked), 0);
    struct io_file *second = open_file("lock", IO_WRITE);
    assert_true(is_locked(second)); /* that child's fork and death took nothing away */
    close_file(second);
    close_file(file);
}

static struct io_file *inherited;

static const char *use_inherited(struct wf_error *err) {
    if (descriptor_of("lock") != -1)
        return "the locked descriptor should be closed";
    int fd = open("bait", O_RDWR | O_CREAT | O_CLOEXEC, 0600); /* takes the number that came free */
    if (put(inherited, 0, "x", 1, err) != WF_IO ||
        strcmp(err->text, "pwrite lock: closed by fork, a child cannot use it") != 0)
        return "writing should fail";
    if (lock(inherited, err) != WF_IO)
        return "locking should fail";
    close_file(inherited); /* harmless to the parent's lock and to the child's descriptors */
    return fcntl(fd, F_GETFD) >= 0 ? NULL : "another file was closed";
}

static void test_io_posix_forked_child_finds_the_locked_file_closed(void **state) {
    (void)state;
    inherited = open_file("lock", IO_WRITE | IO_CREATE);
    struct io_file *second = open_file("lock", IO_WRITE);
    assert_int_equal(lock(inherited, NULL), WF_OK);
    close_file(second);
    assert_int_equal(run_child(use_inherited), 0);
    second = open_file("lock", IO_WRITE);
    assert_true(is_locked(second));
    assert_int_equal(put(inherited, 0, "x", 1, NULL), WF_OK);
    close_file(inherited);
    assert_false(is_locked(second));
    close_file(second);
}

/* Holds the lock, forks a grandchild that waits until `hold` closes, says so on `ready`, and waits
 * to be killed. */
static void own_lock_and_fork(int ready, int hold) {
    struct io_file *file = open_file("lock", IO_WRITE);
    char byte = 0;
    bool ok = file != NULL && lock(file, NULL) == WF_OK;
    pid_t grandchild = ok ? fork() : -1;
    if (grandchild < 0)
        _exit(1);
    ssize_t count = write(ready, &byte, 1);
    if (grandchild == 0)
        _exit(read(hold, &byte, 1) == 0 && count == 1 ? 0 : 1);
    for (;;)
        pause();
}

static void test_io_posix_lock_dies_with_its_owner_though_a_forked_child_lives(void **state) {
    (void)state;
    struct io_file *file = open_file("lock", IO_WRITE | IO_CREATE);
    int ready[2];
    int hold[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(hold), 0);
    pid_t owner = fork();
    assert_true(owner >= 0);
    if (owner == 0) {
        close(hold[1]);
        own_lock_and_fork(ready[1], hold[0]);
    }
    close(ready[1]);
    close(hold[0]);
    assert_int_equal(read(ready[0], &byte, 1), 1); /* from both: the grandchild runs */
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_true(is_locked(file));
    assert_int_equal(kill(owner, SIGKILL), 0);
    assert_int_equal(waitpid(owner, NULL, 0), owner);
    assert_false(is_locked(file));
    assert_int_equal(read(ready[0], &byte, 0), 0);
    close(hold[1]); /* lets the grandchild go; its end of `ready` closes with it */
    assert_int_equal(read(ready[0], &byte, 1), 0);
    close(ready[0]);
    close_file(file);
}

struct locker {
    char path[16];
    int failures;
};

static void *lock_and_close(void *arg) {
    struct locker *locker = arg;
    for (int i = 0; i < 300; i++) {
        struct io_file *file = NULL;
        if (io_posix()->ops->open(io_posix(), locker->path, IO_WRITE | IO_CREATE, &file, NULL) !=
                WF_OK ||
            lock(file, NULL) != WF_OK)
            locker->failures++;
        close_file(file);
    }
    return NULL;
}

/* A child just forked that has not closed its copy yet must not keep what the parent released. */
static void test_io_posix_locks_and_forks_in_many_threads(void **state) {
    (void)state;
    struct locker lockers[3] = {{.path = "a"}, {.path = "b"}, {.path = "c"}};
    pthread_t threads[3];
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, lock_and_close, &lockers[i]), 0);
    for (int i = 0; i < 50; i++) {
        pid_t child = fork();
        if (child == 0) /* without an exit handler: TSan would call the parent's threads leaked */
            (void)raise(SIGKILL);
        assert_true(child > 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(lockers[i].failures, 0);
    }
}

/* ---- Names ---- */

static void assert_stat(const char *path, enum io_kind kind, uint64_t size) {
    enum io_kind found_kind;
    uint64_t found_size;
    assert_int_equal(io_posix()->ops->stat(io_posix(), path, &found_kind, &found_size, NULL),
                     WF_OK);
    assert_int_equal(found_kind, kind);
    if (kind == IO_REGULAR || kind == IO_MISSING)
        assert_int_equal(found_size, size);
}

static void test_io_posix_stat_tells_kinds_apart(void **state) {
    (void)state;
    make_file("f", "abc");
    assert_int_equal(mkfifo("p", 0600), 0);
    assert_stat("f", IO_REGULAR, 3);
    assert_stat(".", IO_DIRECTORY, 0);
    assert_stat("p", IO_OTHER, 0);
    assert_stat("no", IO_MISSING, 0);
    assert_stat("no/f", IO_MISSING, 0);
    enum io_kind kind;
    uint64_t size;
    struct wf_error err;
    assert_int_equal(io_posix()->ops->stat(io_posix(), "f/f", &kind, &size, &err), WF_IO);
    assert_string_equal(err.text, "stat f/f: Not a directory");
}

static void test_io_posix_makes_renames_and_removes(void **state) {
    (void)state;
    struct io *io = io_posix();
    struct wf_error err;
    assert_int_equal(io->ops->make_directory(io, "d", &err), WF_OK);
    assert_int_equal(io->ops->make_directory(io, "d", &err), WF_REFUSED);
    assert_string_equal(err.text, "mkdir d: it exists already");
    assert_int_equal(io->ops->make_directory(io, "no/d", &err), WF_NOT_FOUND);
    make_file("d/a", "new");
    make_file("d/b", "older");
    assert_int_equal(io->ops->rename(io, "d/a", "d/b", &err), WF_OK);
    assert_stat("d/a", IO_MISSING, 0);
    assert_stat("d/b", IO_REGULAR, 3);
    assert_int_equal(io->ops->sync_directory(io, "d", &err), WF_OK);
    assert_int_equal(io->ops->rename(io, "d/a", "d/c", &err), WF_NOT_FOUND);
    assert_string_equal(err.text, "rename d/a to d/c: No such file or directory");
    assert_int_equal(io->ops->remove(io, "d/b", &err), WF_OK);
    assert_int_equal(io->ops->remove(io, "d/b", &err), WF_NOT_FOUND);
    assert_string_equal(err.text, "unlink d/b: No such file or directory");
    assert_int_equal(io->ops->make_directory(io, "d/e", &err), WF_OK);
    assert_int_equal(io->ops->remove(io, "d", &err), WF_IO);
    assert_string_equal(err.text, "rmdir d: Directory not empty");
    assert_int_equal(io->ops->remove(io, "d/e", &err), WF_OK);
    assert_stat("d/e", IO_MISSING, 0);
    assert_int_equal(io->ops->sync_directory(io, "no", &err), WF_NOT_FOUND);
    assert_string_equal(err.text, "open directory no: No such file or directory");
}

struct names {
    int count;
    int count_max;
    bool has_a;
    bool has_b;
};

static bool on_name(void *ctx, const char *name) {
    struct names *names = ctx;
    names->has_a |= strcmp(name, "a") == 0;
    names->has_b |= strcmp(name, "b") == 0;
    return ++names->count < names->count_max;
}

static void test_io_posix_lists_names_until_told_to_stop(void **state) {
    (void)state;
    struct io *io = io_posix();
    struct wf_error err;
    make_file("a", "");
    make_file("b", "");
    struct names all = {.count_max = 10};
    assert_int_equal(io->ops->list(io, ".", on_name, &all, &err), WF_OK);
    assert_int_equal(all.count, 2);
    assert_true(all.has_a && all.has_b);
    struct names one = {.count_max = 1};
    assert_int_equal(io->ops->list(io, ".", on_name, &one, &err), WF_OK);
    assert_int_equal(one.count, 1);
    assert_int_equal(io->ops->list(io, "no", on_name, &all, &err), WF_NOT_FOUND);
    assert_int_equal(io->ops->list(io, "a", on_name, &all, &err), WF_IO);
    assert_string_equal(err.text, "open directory a: Not a directory");
}

/* ---- Clock and randomness ---- */

static void test_io_posix_clocks_go_forward(void **state) {
    (void)state;
    struct io *io = io_posix();
    assert_true(io->ops->time_ms(io) > INT64_C(1600000000000)); /* milliseconds, after 2020 */
    uint64_t before_ns = io->ops->monotonic_ns(io);
    usleep(2000);
    uint64_t passed_ns = io->ops->monotonic_ns(io) - before_ns;
    assert_true(passed_ns >= 2000000 && passed_ns < UINT64_C(60000000000));
}

static void test_io_posix_random_fills_all_bytes(void **state) {
    (void)state;
    struct io *io = io_posix();
    uint8_t first[1000] = {0};
    uint8_t second[1000] = {0};
    assert_int_equal(io->ops->random(io, first, sizeof first, NULL), WF_OK);
    assert_int_equal(io->ops->random(io, second, sizeof second, NULL), WF_OK);
    for (size_t i = 0; i < sizeof first; i += 20) /* 20 equal bytes: once in 2^160 */
        assert_memory_not_equal(first + i, second + i, 20);
}

static struct CMUnitTest in_place(const char *name, CMUnitTestFunction run) {
    return (struct CMUnitTest){name, run, enter_place, leave_place, NULL};
}

#define IN_PLACE(test) in_place(#test, test)

int main(void) {
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_io_posix_reads_what_was_written),
        IN_PLACE(test_io_posix_truncates_both_ways),
        IN_PLACE(test_io_posix_preallocates_zeros_and_keeps_content),
        IN_PLACE(test_io_posix_refuses_offsets_past_the_signed_range),
        IN_PLACE(test_io_posix_open_says_what_is_wrong),
        IN_PLACE(test_io_posix_opens_close_on_exec_and_closes),
        IN_PLACE(test_io_posix_write_to_a_file_opened_for_reading_fails),
        IN_PLACE(test_io_posix_no_permission_is_an_error),
        IN_PLACE(test_io_posix_out_of_descriptors_is_an_error),
        IN_PLACE(test_io_posix_file_size_limit_is_full_and_no_signal),
        IN_PLACE(test_io_posix_file_above_the_limit_can_be_cut),
        IN_PLACE(test_io_posix_full_disk_is_full_until_space_returns),
        IN_PLACE(test_io_posix_read_only_file_system_is_an_error),
        IN_PLACE(test_io_posix_lock_is_seen_by_a_second_open_in_this_process),
        IN_PLACE(test_io_posix_lock_outlives_another_descriptor_of_the_file),
        IN_PLACE(test_io_posix_lock_is_seen_by_another_process),
        IN_PLACE(test_io_posix_forked_child_finds_the_locked_file_closed),
        IN_PLACE(test_io_posix_lock_dies_with_its_owner_though_a_forked_child_lives),
        IN_PLACE(test_io_posix_locks_and_forks_in_many_threads),
        IN_PLACE(test_io_posix_stat_tells_kinds_apart),
        IN_PLACE(test_io_posix_makes_renames_and_removes),
        IN_PLACE(test_io_posix_lists_names_until_told_to_stop),
        IN_PLACE(test_io_posix_clocks_go_forward),
        IN_PLACE(test_io_posix_random_fills_all_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
