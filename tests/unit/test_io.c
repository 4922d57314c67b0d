#include "base/io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Sixteen bytes of a file that moves at most `step` bytes per call, and fails at `fail_at`. */
struct slow_io {
    struct io io;
    char content[16];
    size_t step;
    uint64_t fail_at;
    int points;
};

static size_t clip(const struct slow_io *slow, uint64_t offset, size_t size) {
    size_t left = offset < sizeof slow->content ? sizeof slow->content - (size_t)offset : 0;
    size = size < left ? size : left;
    return size < slow->step ? size : slow->step;
}

static enum wf_status slow_read(struct io *io, struct io_file *file, uint64_t offset, void *data,
                                size_t size, size_t *got, struct wf_error *err) {
    (void)file;
    struct slow_io *slow = (struct slow_io *)io;
    *got = 0;
    if (offset >= slow->fail_at)
        return error_set(err, WF_IO, "broken");
    *got = clip(slow, offset, size);
    memcpy(data, slow->content + (*got > 0 ? offset : 0), *got);
    return WF_OK;
}

static enum wf_status slow_write(struct io *io, struct io_file *file, uint64_t offset,
                                 const void *data, size_t size, size_t *put, struct wf_error *err) {
    (void)file;
    struct slow_io *slow = (struct slow_io *)io;
    *put = 0;
    if (offset >= slow->fail_at)
        return error_set(err, WF_FULL, "full");
    *put = clip(slow, offset, size);
    memcpy(slow->content + (*put > 0 ? offset : 0), data, *put);
    return WF_OK;
}

static void slow_point(struct io *io, const char *name) {
    struct slow_io *slow = (struct slow_io *)io;
    slow->points += strcmp(name, "wal.before_sync") == 0;
}

static const struct io_ops slow_ops = {.read = slow_read, .write = slow_write, .point = slow_point};
static const struct io_ops deaf_ops = {.read = slow_read, .write = slow_write};

static struct slow_io slow_make(size_t step) {
    struct slow_io slow = {.io = {&slow_ops}, .step = step, .fail_at = UINT64_MAX};
    memcpy(slow.content, "0123456789abcdef", 16);
    return slow;
}

static void test_io_write_all_goes_on_after_short_writes(void **state) {
    (void)state;
    for (size_t step = 1; step <= 16; step++) {
        struct slow_io slow = slow_make(step);
        struct wf_error err;
        assert_int_equal(io_write_all(&slow.io, NULL, 3, "ABCDEFGH", 8, &err), WF_OK);
        assert_memory_equal(slow.content, "012ABCDEFGHbcdef", 16);
    }
}

static void test_io_write_all_fails_where_no_byte_goes_out(void **state) {
    (void)state;
    struct slow_io slow = slow_make(4);
    struct wf_error err;
    assert_int_equal(io_write_all(&slow.io, NULL, 12, "ABCDEFGH", 8, &err), WF_IO);
    assert_string_equal(err.text, "write at offset 16: no byte went out");
}

static void test_io_write_all_passes_a_failure_on(void **state) {
    (void)state;
    struct slow_io slow = slow_make(4);
    slow.fail_at = 8;
    struct wf_error err;
    assert_int_equal(io_write_all(&slow.io, NULL, 4, "ABCDEFGH", 8, &err), WF_FULL);
    assert_string_equal(err.text, "full");
    assert_memory_equal(slow.content, "0123ABCD89abcdef", 16);
}

static void test_io_read_all_goes_on_until_the_size_or_the_end(void **state) {
    (void)state;
    for (size_t step = 1; step <= 16; step++) {
        struct slow_io slow = slow_make(step);
        struct wf_error err;
        char data[16];
        size_t got;
        assert_int_equal(io_read_all(&slow.io, NULL, 2, data, 9, &got, &err), WF_OK);
        assert_int_equal(got, 9);
        assert_memory_equal(data, "23456789a", 9);
        assert_int_equal(io_read_all(&slow.io, NULL, 10, data, 9, &got, &err), WF_OK);
        assert_int_equal(got, 6);
        assert_memory_equal(data, "abcdef", 6);
        assert_int_equal(io_read_all(&slow.io, NULL, 16, data, 9, &got, &err), WF_OK);
        assert_int_equal(got, 0);
    }
}

static void test_io_read_all_passes_a_failure_on(void **state) {
    (void)state;
    struct slow_io slow = slow_make(4);
    slow.fail_at = 8;
    struct wf_error err;
    char data[16];
    size_t got;
    assert_int_equal(io_read_all(&slow.io, NULL, 0, data, 16, &got, &err), WF_IO);
    assert_string_equal(err.text, "broken");
    assert_int_equal(got, 8);
}

static void test_io_point_is_heard_or_ignored(void **state) {
    (void)state;
    struct slow_io slow = slow_make(1);
    io_point(&slow.io, "wal.before_sync");
    assert_int_equal(slow.points, 1);
    slow.io.ops = &deaf_ops;
    io_point(&slow.io, "wal.before_sync");
    assert_int_equal(slow.points, 1);
}

static void assert_joined(const char *directory, const char *name, const char *expected) {
    char *path = io_path_join(directory, name);
    assert_string_equal(path, expected);
    free(path);
}

static void test_io_path_join_puts_one_slash_between(void **state) {
    (void)state;
    assert_joined("a/b", "c", "a/b/c");
    assert_joined("a/b/", "c", "a/b/c");
    assert_joined("/", "c", "/c");
    assert_joined("", "c", "c");
    assert_joined(".", "", "./");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_io_write_all_goes_on_after_short_writes),
        cmocka_unit_test(test_io_write_all_fails_where_no_byte_goes_out),
        cmocka_unit_test(test_io_write_all_passes_a_failure_on),
        cmocka_unit_test(test_io_read_all_goes_on_until_the_size_or_the_end),
        cmocka_unit_test(test_io_read_all_passes_a_failure_on),
        cmocka_unit_test(test_io_point_is_heard_or_ignored),
        cmocka_unit_test(test_io_path_join_puts_one_slash_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
