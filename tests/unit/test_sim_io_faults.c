/* The faults of the simulated disk: what a call that fails, lies or goes astray leaves behind. */
#include "tests/lib/sim_files.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SECTOR = SIM_SECTOR_SIZE, SEED = 7 };

static void fault(struct sim_io *sim, enum sim_op op, enum sim_fault_kind kind, uint64_t amount) {
    sim_fault_add(sim, &(struct sim_fault){.op = op, .kind = kind, .amount = amount});
}

static void test_sim_failed_sync_forgets_and_the_next_one_lies(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    sim_file_make(sim, "f", 'o', SECTOR);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    sim_trace_start(sim);
    fault(sim, SIM_SYNC, SIM_FAULT_EIO, 0);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', SECTOR), WF_OK);
    assert_int_equal(sim_file_sync(sim, file), WF_IO);
    assert_int_equal(sim_file_byte(sim, "f", 0), 'n'); /* the cache shows it */
    assert_false(sim_trace_resynced(sim));
    assert_int_equal(sim_file_sync(sim, file), WF_OK);
    assert_true(sim_trace_resynced(sim));
    assert_int_equal(sim_seen_after_crash(sim, 0, sim_look_new), 0x1); /* and it is gone */
    sim_drop_caches(sim);
    assert_int_equal(sim_file_byte(sim, "f", 0), 'o');
    sim_io_destroy(sim);
}

/* A size that is not durable yet keeps no clean page: what the disk has in its place is seen. */
static void test_sim_dropped_caches_show_a_write_gone_astray(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    sim_file_make(sim, "f", 'o', 3 * SECTOR);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    struct sim_fault astray = {
        .op = SIM_WRITE, .kind = SIM_FAULT_MISDIRECT, .path = "f", .shift_sectors = -1};
    sim_fault_add(sim, &astray);
    assert_int_equal(sim_file_write(sim, file, SECTOR, 'n', SECTOR), WF_OK);
    sim_drop_caches(sim);
    assert_int_equal(sim_file_byte(sim, "f", SECTOR), 'n'); /* still to be written: not dropped */
    assert_int_equal(sim_file_sync(sim, file), WF_OK);
    assert_int_equal(sim_io_of(sim)->ops->truncate(sim_io_of(sim), file, 2 * SECTOR, NULL), WF_OK);
    assert_int_equal(sim_file_byte(sim, "f", SECTOR), 'n');
    sim_drop_caches(sim);
    assert_int_equal(sim_file_byte(sim, "f", SECTOR), 'o');
    assert_int_equal(sim_file_byte(sim, "f", 0), 'n');
    assert_int_equal(sim_pending_count(sim), 1); /* the cut */
    sim_io_destroy(sim);
}

static void test_sim_failed_sync_may_have_written_a_part(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    sim_file_make(sim, "f", 'o', 2 * SECTOR);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    fault(sim, SIM_SYNC, SIM_FAULT_EIO, 1);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 2 * SECTOR), WF_OK);
    assert_int_equal(sim_file_sync(sim, file), WF_IO);
    assert_int_equal(sim_seen_after_crash(sim, 0, sim_look_two_sectors), 1U << 1);
    sim_io_destroy(sim);
}

static void test_sim_failed_directory_sync_leaves_names_pending(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    sim_file_close(sim, sim_file_open(sim, "f", IO_WRITE | IO_CREATE));
    fault(sim, SIM_SYNC_DIRECTORY, SIM_FAULT_EIO, 0);
    assert_int_equal(io->ops->sync_directory(io, "/", NULL), WF_IO);
    assert_int_equal(sim_seen_after_crash(sim, 0, sim_look_exists), 0x3);
    sim_root_sync(sim);
    assert_int_equal(sim_seen_after_crash(sim, 0, sim_look_exists), 0x2);
    sim_io_destroy(sim);
}

static void test_sim_lost_sync_claims_success(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    sim_file_make(sim, "f", 'o', SECTOR);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    fault(sim, SIM_SYNC, SIM_FAULT_LOST, 0);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', SECTOR), WF_OK);
    assert_int_equal(sim_file_sync(sim, file), WF_OK);
    assert_int_equal(sim_seen_after_crash(sim, 0, sim_look_new), 0x3);
    sim_io_destroy(sim);
}

static void test_sim_short_write_moves_a_part(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE | IO_CREATE);
    uint8_t data[100] = {0};
    size_t put;
    fault(sim, SIM_WRITE, SIM_FAULT_SHORT, 0);
    assert_int_equal(io->ops->write(io, file, 0, data, sizeof data, &put, NULL), WF_OK);
    assert_int_equal(put, 50);
    assert_int_equal(io->ops->write(io, file, 50, data, sizeof data, &put, NULL), WF_OK);
    assert_int_equal(put, 100);
    sim_io_destroy(sim);
}

static void test_sim_fault_hits_the_nth_call_once_or_from_there_on(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE | IO_CREATE);
    struct sim_fault planned = {.op = SIM_WRITE, .kind = SIM_FAULT_EIO, .nth = 2, .path = "f"};
    sim_fault_add(sim, &planned);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 1), WF_OK);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 1), WF_IO);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 1), WF_OK);
    assert_int_equal(sim_fault_hits(sim), 1);
    sim_fault_clear(sim);
    planned.persistent = true;
    sim_fault_add(sim, &planned);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 1), WF_OK);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 1), WF_IO);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 1), WF_IO);
    planned.path = "another";
    sim_fault_clear(sim);
    sim_fault_add(sim, &planned);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 1), WF_OK);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 1), WF_OK);
    sim_io_destroy(sim);
}

static void test_sim_full_disk_takes_what_fits_and_works_again(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    uint8_t data[4 * SECTOR] = {0};
    size_t put;
    sim_file_make(sim, "old", 'o', 2 * SECTOR);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE | IO_CREATE);
    sim_set_free_bytes(sim, 2 * SECTOR);
    assert_int_equal(io->ops->write(io, file, 0, data, sizeof data, &put, NULL), WF_OK);
    assert_int_equal(put, 2 * SECTOR);
    assert_int_equal(io->ops->write(io, file, put, data, 10, &put, NULL), WF_FULL);
    assert_int_equal(io->ops->preallocate(io, file, 3 * SECTOR, NULL), WF_FULL);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 2 * SECTOR),
                     WF_OK); /* in place needs no space */
    assert_int_equal(io->ops->remove(io, "old", NULL), WF_OK);
    assert_int_equal(sim_file_write(sim, file, 2 * SECTOR, 'n', 2 * SECTOR), WF_OK);
    assert_int_equal(sim_file_write(sim, file, 4 * SECTOR, 'n', 1), WF_FULL);
    assert_int_equal(io->ops->truncate(io, file, SECTOR, NULL), WF_OK);
    assert_int_equal(io->ops->preallocate(io, file, 4 * SECTOR, NULL), WF_OK);
    sim_io_destroy(sim);
}

static void test_sim_rot_changes_what_was_synced(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    sim_file_make(sim, "f", 'o', SECTOR);
    assert_true(sim_rot(sim, "f", 3, 0x01));
    assert_int_equal(sim_file_byte(sim, "f", 3), 'o' ^ 0x01);
    assert_false(sim_rot(sim, "f", SECTOR, 0x01)); /* behind its end */
    assert_false(sim_rot(sim, "none", 0, 0x01));
    struct sim_io *after = sim_crash_into(sim, 0, 0);
    assert_int_equal(sim_file_byte(after, "f", 3), 'o' ^ 0x01);
    sim_io_destroy(after);
    sim_io_destroy(sim);
}

static void test_sim_misdirected_write_hits_another_place_or_file(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    sim_file_make(sim, "f", 'o', 2 * SECTOR);
    sim_file_make(sim, "v", 'v', 2 * SECTOR);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    sim_fault_add(
        sim, &(struct sim_fault){
                 .op = SIM_WRITE, .kind = SIM_FAULT_MISDIRECT, .victim = "v", .shift_sectors = 1});
    assert_int_equal(sim_file_write(sim, file, 0, 'n', SECTOR), WF_OK);
    assert_int_equal(sim_file_byte(sim, "f", 0), 'n');
    assert_int_equal(sim_file_sync(sim, file), WF_OK);
    struct sim_io *after = sim_crash_into(sim, 0, 0);
    assert_int_equal(sim_file_byte(after, "f", 0), 'o');
    assert_int_equal(sim_file_byte(after, "v", 0), 'v');
    assert_int_equal(sim_file_byte(after, "v", SECTOR), 'n');
    sim_io_destroy(after);
    sim_io_destroy(sim);
}

static void test_sim_read_may_fail_come_short_or_flip(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    uint8_t data[8];
    size_t got;
    sim_file_make(sim, "f", 'o', 8);
    struct io_file *file = sim_file_open(sim, "f", IO_READ);
    fault(sim, SIM_READ, SIM_FAULT_EIO, 0);
    assert_int_equal(io->ops->read(io, file, 0, data, 8, &got, NULL), WF_IO);
    fault(sim, SIM_READ, SIM_FAULT_SHORT, 3);
    assert_int_equal(io->ops->read(io, file, 0, data, 8, &got, NULL), WF_OK);
    assert_int_equal(got, 3);
    fault(sim, SIM_READ, SIM_FAULT_FLIP, 2);
    assert_int_equal(io->ops->read(io, file, 0, data, 8, &got, NULL), WF_OK);
    assert_memory_equal(data, "oo\x7foooooo", 8);
    assert_int_equal(sim_file_byte(sim, "f", 2), 'o');
    sim_io_destroy(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sim_failed_sync_forgets_and_the_next_one_lies),
        cmocka_unit_test(test_sim_dropped_caches_show_a_write_gone_astray),
        cmocka_unit_test(test_sim_failed_sync_may_have_written_a_part),
        cmocka_unit_test(test_sim_failed_directory_sync_leaves_names_pending),
        cmocka_unit_test(test_sim_lost_sync_claims_success),
        cmocka_unit_test(test_sim_short_write_moves_a_part),
        cmocka_unit_test(test_sim_fault_hits_the_nth_call_once_or_from_there_on),
        cmocka_unit_test(test_sim_full_disk_takes_what_fits_and_works_again),
        cmocka_unit_test(test_sim_rot_changes_what_was_synced),
        cmocka_unit_test(test_sim_misdirected_write_hits_another_place_or_file),
        cmocka_unit_test(test_sim_read_may_fail_come_short_or_flip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
