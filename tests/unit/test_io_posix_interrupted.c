/* link: -Wl,--wrap=pwrite,--wrap=pread,--wrap=fdatasync,--wrap=fsync */
/* io_posix.c where the kernel breaks a call off: errors that no file and no limit brings about at
 * will, put in by the linker's --wrap. The calls that are left go to the real file. */
#include "base/io.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include <cmocka.h>

/* The next `failures` calls fail with `number`; `calls` counts all of them. */
struct trouble {
    int number;
    int failures;
    int calls;
};

static struct trouble on_write, on_read, on_sync;

static bool is_troubled(struct trouble *trouble) {
    trouble->calls++;
    if (trouble->failures == 0)
        return false;
    trouble->failures--;
    errno = trouble->number;
    return true;
}

ssize_t __real_pwrite(int fd, const void *data, size_t size, off_t offset);
ssize_t __real_pread(int fd, void *data, size_t size, off_t offset);
int __real_fdatasync(int fd);
int __real_fsync(int fd);
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);

ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset) {
    return is_troubled(&on_write) ? -1 : __real_pwrite(fd, data, size, offset);
}

ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset) {
    return is_troubled(&on_read) ? -1 : __real_pread(fd, data, size, offset);
}

int __wrap_fdatasync(int fd) {
    return is_troubled(&on_sync) ? -1 : __real_fdatasync(fd);
}

int __wrap_fsync(int fd) {
    return is_troubled(&on_sync) ? -1 : __real_fsync(fd);
}

/* --- one file --- */

struct fixture {
    char dir[256];
    char path[272];
    struct io *io;
    struct io_file *file;
    struct wf_error err;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    const char *base = getenv("TMPDIR");
    if (f == NULL)
        return -1;
    *state = f;
    snprintf(f->dir, sizeof f->dir, "%s/wf-interrupted-XXXXXX", base != NULL ? base : "/tmp");
    if (mkdtemp(f->dir) == NULL)
        return -1;
    snprintf(f->path, sizeof f->path, "%s/file", f->dir);
    f->io = io_posix();
    on_write = on_read = on_sync = (struct trouble){0};
    return f->io->ops->open(f->io, f->path, IO_WRITE | IO_CREATE, &f->file, &f->err) == WF_OK ? 0
                                                                                              : -1;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    f->io->ops->close(f->io, f->file);
    int result = unlink(f->path) == 0 && rmdir(f->dir) == 0 ? 0 : -1;
    free(f);
    return result;
}

/* --- tests --- */

static void test_io_posix_write_is_repeated_after_a_signal(void **state) {
    struct fixture *f = *state;
    size_t put = 0;
    on_write = (struct trouble){.number = EINTR, .failures = 3};
    assert_int_equal(f->io->ops->write(f->io, f->file, 0, "abc", 3, &put, &f->err), WF_OK);
    assert_int_equal(put, 3);
    assert_int_equal(on_write.calls, 4);
}

static void test_io_posix_read_is_repeated_after_a_signal(void **state) {
    struct fixture *f = *state;
    char back[3];
    size_t got = 0;
    assert_int_equal(io_write_all(f->io, f->file, 0, "abc", 3, &f->err), WF_OK);
    on_read = (struct trouble){.number = EINTR, .failures = 3};
    assert_int_equal(f->io->ops->read(f->io, f->file, 0, back, 3, &got, &f->err), WF_OK);
    assert_int_equal(got, 3);
    assert_memory_equal(back, "abc", 3);
}

/* After a failure the kernel may have marked the lost pages clean: a second answer says nothing. */
static void test_io_posix_sync_is_called_once_whatever_it_says(void **state) {
    static const int numbers[] = {EINTR, EIO, ENOSPC, EDQUOT, EAGAIN};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        on_sync = (struct trouble){.number = numbers[i], .failures = 1};
        assert_int_equal(f->io->ops->sync(f->io, f->file, &f->err), WF_IO);
        assert_int_equal(f->err.status, WF_IO); /* never "full": that would say nothing was done */
        assert_int_equal(on_sync.calls, 1);
    }
}

static void test_io_posix_sync_of_a_directory_is_called_once_too(void **state) {
    struct fixture *f = *state;
    on_sync = (struct trouble){.number = EINTR, .failures = 1};
    assert_int_equal(f->io->ops->sync_directory(f->io, f->dir, &f->err), WF_IO);
    on_sync = (struct trouble){.number = ENOSPC, .failures = 1};
    assert_int_equal(f->io->ops->sync_directory(f->io, f->dir, &f->err), WF_IO);
    assert_int_equal(on_sync.calls, 1);
}

static void test_io_posix_write_that_fails_says_where(void **state) {
    struct fixture *f = *state;
    size_t put = 7;
    on_write = (struct trouble){.number = EIO, .failures = 1};
    assert_int_equal(f->io->ops->write(f->io, f->file, 4096, "abc", 3, &put, &f->err), WF_IO);
    assert_int_equal(put, 0);
    assert_non_null(strstr(f->err.text, "offset 4096"));
    on_write = (struct trouble){.number = EDQUOT, .failures = 1};
    assert_int_equal(f->io->ops->write(f->io, f->file, 0, "abc", 3, &put, &f->err), WF_FULL);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_io_posix_write_is_repeated_after_a_signal),
        TEST(test_io_posix_read_is_repeated_after_a_signal),
        TEST(test_io_posix_sync_is_called_once_whatever_it_says),
        TEST(test_io_posix_sync_of_a_directory_is_called_once_too),
        TEST(test_io_posix_write_that_fails_says_where),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
