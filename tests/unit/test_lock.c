/* The lock file, and what it tells readers: lock.c. */
#include "engine/lock.h"

#include "tests/lib/sim_io.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct sim_io *sim;
static struct io *io;

static int setup(void **state) {
    (void)state;
    sim = sim_io_create(1);
    io = sim_io_of(sim);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    assert_int_equal(sim_open_files(sim), 0);
    sim_io_destroy(sim);
    return 0;
}

static struct lock_view look(void) {
    struct lock_view view;
    assert_int_equal(lock_look(io, "/lock", &view, NULL), WF_OK);
    return view;
}

static void test_lock_names_its_owner_and_what_is_durable(void **state) {
    (void)state;
    struct lock_file *lock = NULL;
    assert_false(look().owned); /* no file yet */
    assert_int_equal(lock_acquire(io, "/lock", &lock, NULL), WF_OK);
    assert_true(look().owned);
    assert_int_equal(look().owner_pid, getpid());
    assert_int_equal(look().durable_lsn, 0);
    lock_publish(lock, 4711);
    assert_int_equal(look().durable_lsn, 4711);
    lock_publish(lock, UINT64_MAX - 1);
    assert_int_equal(look().durable_lsn, UINT64_MAX - 1);
    lock_release(lock);
    assert_false(look().owned);
    assert_int_equal(look().durable_lsn, UINT64_MAX - 1); /* it stays true */
    lock_release(NULL);
}

static void test_second_owner_is_refused_with_the_pid(void **state) {
    (void)state;
    struct lock_file *lock = NULL;
    struct lock_file *second = NULL;
    struct wf_error err;
    char pid[32];
    assert_int_equal(lock_acquire(io, "/lock", &lock, &err), WF_OK);
    lock_publish(lock, 9);
    assert_int_equal(lock_acquire(io, "/lock", &second, &err), WF_LOCKED);
    assert_null(second);
    (void)snprintf(pid, sizeof pid, "process %d", (int)getpid());
    assert_non_null(strstr(err.text, pid));
    assert_int_equal(look().durable_lsn, 9);
    lock_release(lock);
    assert_int_equal(lock_acquire(io, "/lock", &second, &err), WF_OK);
    assert_int_equal(look().durable_lsn, 9);
    lock_release(second);
}

static void write_lock_file(const void *bytes, size_t size) {
    struct io_file *file;
    assert_int_equal(io->ops->open(io, "/lock", IO_WRITE | IO_CREATE, &file, NULL), WF_OK);
    assert_int_equal(io->ops->truncate(io, file, 0, NULL), WF_OK);
    assert_int_equal(io_write_all(io, file, 0, bytes, size, NULL), WF_OK);
    io->ops->close(io, file);
}

static void test_rubbish_is_believed_in_nothing(void **state) {
    (void)state;
    uint8_t bytes[48];
    memset(bytes, 0xFF, sizeof bytes);
    write_lock_file(bytes, sizeof bytes);
    assert_int_equal(look().durable_lsn, 0);
    assert_int_equal(look().owner_pid, 0);
    memcpy(bytes, "pid 99999999999999999999999999999", 32);
    memset(bytes + 32, 7, 16); /* half of a write: no complement */
    write_lock_file(bytes, sizeof bytes);
    assert_int_equal(look().durable_lsn, 0);
    write_lock_file(bytes, 40); /* cut */
    assert_int_equal(look().durable_lsn, 0);
    write_lock_file(bytes, 1);
    assert_int_equal(look().durable_lsn, 0);
}

static void test_failing_disk_leaves_no_lock_behind(void **state) {
    (void)state;
    static const enum sim_op ops[] = {SIM_OPEN, SIM_LOCK, SIM_WRITE};
    for (int i = 0; i < 3; i++) {
        const struct sim_fault fault = {.op = ops[i], .kind = SIM_FAULT_EIO, .path = "lock"};
        struct lock_file *lock = NULL;
        sim_fault_add(sim, &fault);
        assert_int_equal(lock_acquire(io, "/lock", &lock, NULL), WF_IO);
        assert_null(lock);
        sim_fault_clear(sim);
        assert_int_equal(lock_acquire(io, "/lock", &lock, NULL), WF_OK);
        lock_release(lock);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_lock_names_its_owner_and_what_is_durable),
        TEST(test_second_owner_is_refused_with_the_pid),
        TEST(test_rubbish_is_believed_in_nothing),
        TEST(test_failing_disk_leaves_no_lock_behind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
