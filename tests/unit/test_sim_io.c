/* What the simulated disk promises: each line of the model in tests/lib/sim_disk.h, shown. Its
 * faults are in test_sim_io_faults.c, its crashes and its machine in test_sim_io_machine.c. */
#include "tests/lib/sim_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { SECTOR = SIM_SECTOR_SIZE, SEED = 7 };

/* --- content --- */

static void test_sim_unsynced_sectors_are_lost_kept_or_reordered(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    sim_file_make(sim, "f", 'o', 2 * SECTOR);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 2 * SECTOR), WF_OK);
    assert_int_equal(sim_crash_choices(sim), 4);
    assert_int_equal(sim_seen_after_crash(sim, 0, sim_look_two_sectors),
                     0xf); /* none, first, second, both */
    sim_io_destroy(sim);
}

static void test_sim_synced_content_is_never_lost(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    sim_file_make(sim, "f", 'o', SECTOR);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', SECTOR), WF_OK);
    assert_int_equal(sim_file_sync(sim, file), WF_OK);
    assert_int_equal(sim_file_write(sim, file, SECTOR, 'x', 3 * SECTOR), WF_OK);
    for (uint64_t rubbish = 0; rubbish < 50; rubbish++) {
        assert_int_equal(sim_seen_after_crash(sim, rubbish, sim_look_new), 1U << 1);
    }
    sim_io_destroy(sim);
}

/* How the 12 bytes behind the 8 durable ones of the same sector came back. */
static unsigned look_at_torn(struct sim_io *after) {
    static const uint8_t old[12];
    uint8_t bytes[20];
    size_t got;
    struct io_file *file = sim_file_open(after, "f", IO_READ);
    assert_int_equal(io_read_all(sim_io_of(after), file, 0, bytes, 20, &got, NULL), WF_OK);
    sim_file_close(after, file);
    assert_int_equal(got, 20);
    assert_memory_equal(bytes, "oooooooo", 8); /* not covered by the write: safe */
    if (memcmp(bytes + 8, "nnnnnnnnnnnn", 12) == 0) {
        return 1;
    }
    if (memcmp(bytes + 8, old, 12) == 0) {
        return 0;
    }
    return bytes[8] == 'n' && bytes[19] == 0 ? 2 : 3;
}

static void test_sim_lost_sector_comes_back_zeroed_cut_or_rubbish(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    sim_file_make(sim, "f", 'o', 8);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    assert_int_equal(sim_io_of(sim)->ops->truncate(sim_io_of(sim), file, SECTOR, NULL), WF_OK);
    assert_int_equal(sim_file_sync(sim, file), WF_OK);
    assert_int_equal(sim_file_write(sim, file, 8, 'n', 12), WF_OK);
    unsigned seen = 0;
    for (uint64_t rubbish = 1; rubbish < 100; rubbish++) {
        seen |= sim_seen_after_crash(sim, rubbish, look_at_torn);
    }
    assert_int_equal(seen, 0xf);
    assert_int_equal(sim_seen_after_crash(sim, 0, look_at_torn),
                     0x3); /* without rubbish: old or new */
    sim_io_destroy(sim);
}

static unsigned look_at_size(struct sim_io *after) {
    uint64_t size = sim_file_size(after, "f");
    if (size == SECTOR) {
        return 0;
    }
    assert_int_equal(size, 2 * SECTOR);
    int byte = sim_file_byte(after, "f", SECTOR);
    assert_true(byte == 0 || byte == 'n');
    return byte == 0 ? 1 : 2;
}

static void test_sim_new_size_may_come_without_its_data(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    sim_file_make(sim, "f", 'o', SECTOR);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    assert_int_equal(sim_file_write(sim, file, SECTOR, 'n', SECTOR), WF_OK);
    assert_int_equal(sim_seen_after_crash(sim, 0, look_at_size), 0x7);
    assert_int_equal(sim_file_sync(sim, file), WF_OK);
    assert_int_equal(sim_seen_after_crash(sim, 0, look_at_size), 0x4);
    sim_io_destroy(sim);
}

static unsigned look_at_cut(struct sim_io *after) {
    return sim_file_size(after, "f") == 100 ? 1 : 0;
}

static void test_sim_truncation_is_pending_until_sync(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    sim_file_make(sim, "f", 'o', 2 * SECTOR);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    assert_int_equal(io->ops->truncate(io, file, 100, NULL), WF_OK);
    assert_int_equal(sim_seen_after_crash(sim, 0, look_at_cut), 0x3);
    assert_int_equal(sim_file_sync(sim, file), WF_OK);
    assert_int_equal(sim_seen_after_crash(sim, 0, look_at_cut), 0x2);
    assert_int_equal(io->ops->truncate(io, file, 200, NULL), WF_OK);
    assert_int_equal(sim_file_byte(sim, "f", 150), 0); /* what was cut off does not come back */
    sim_io_destroy(sim);
}

static void test_sim_preallocate_extends_with_zeros_and_never_shrinks(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    sim_file_make(sim, "f", 'o', 10);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    assert_int_equal(io->ops->preallocate(io, file, 4 * SECTOR, NULL), WF_OK);
    assert_int_equal(sim_file_size(sim, "f"), 4 * SECTOR);
    assert_int_equal(sim_file_byte(sim, "f", 9), 'o');
    assert_int_equal(sim_file_byte(sim, "f", 10), 0);
    assert_int_equal(sim_pending_count(sim), 1);
    assert_int_equal(io->ops->preallocate(io, file, SECTOR, NULL), WF_OK);
    assert_int_equal(sim_file_size(sim, "f"), 4 * SECTOR);
    sim_set_preallocation(sim, false);
    assert_int_equal(io->ops->preallocate(io, file, 8 * SECTOR, NULL), WF_OK);
    assert_int_equal(sim_file_size(sim, "f"), 4 * SECTOR);
    sim_io_destroy(sim);
}

/* --- names --- */

static void test_sim_unsynced_name_may_be_lost_though_its_file_was_synced(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE | IO_CREATE);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 10), WF_OK);
    assert_int_equal(sim_file_sync(sim, file), WF_OK);
    assert_int_equal(sim_seen_after_crash(sim, 0, sim_look_exists), 0x3);
    sim_root_sync(sim);
    assert_int_equal(sim_seen_after_crash(sim, 0, sim_look_exists), 0x2);
    assert_int_equal(sim_seen_after_crash(sim, 0, sim_look_new), 0x2);
    sim_io_destroy(sim);
}

static unsigned look_at_inner(struct sim_io *after) {
    return sim_file_exists(after, "d/f");
}

static void test_sim_new_directory_is_lost_with_all_in_it_without_its_parents_sync(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    assert_int_equal(io->ops->make_directory(io, "/d", NULL), WF_OK);
    struct io_file *file = sim_file_open(sim, "/d/f", IO_WRITE | IO_CREATE);
    assert_int_equal(sim_file_sync(sim, file), WF_OK);
    assert_int_equal(io->ops->sync_directory(io, "d", NULL), WF_OK);
    assert_int_equal(sim_seen_after_crash(sim, 0, look_at_inner), 0x3);
    sim_root_sync(sim);
    assert_int_equal(sim_seen_after_crash(sim, 0, look_at_inner), 0x2);
    sim_io_destroy(sim);
}

static unsigned look_at_rename(struct sim_io *after) {
    assert_true(sim_file_exists(after, "b"));
    bool renamed = sim_file_byte(after, "b", 0) == 'n';
    assert_int_equal(sim_file_exists(after, "a"), !renamed); /* never both names, never none */
    return renamed;
}

static void test_sim_rename_is_either_until_the_directory_is_synced(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    sim_file_make(sim, "a", 'n', 10);
    sim_file_make(sim, "b", 'o', 10);
    assert_int_equal(io->ops->rename(io, "a", "b", NULL), WF_OK);
    assert_int_equal(sim_file_byte(sim, "b", 0), 'n');
    assert_int_equal(sim_seen_after_crash(sim, 0, look_at_rename), 0x3);
    sim_root_sync(sim);
    assert_int_equal(sim_seen_after_crash(sim, 0, look_at_rename), 0x2);
    sim_io_destroy(sim);
}

static void test_sim_removed_file_may_return_until_the_directory_is_synced(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    sim_file_make(sim, "f", 'o', 10);
    assert_int_equal(io->ops->remove(io, "f", NULL), WF_OK);
    assert_false(sim_file_exists(sim, "f"));
    assert_int_equal(sim_seen_after_crash(sim, 0, sim_look_exists), 0x3);
    sim_root_sync(sim);
    assert_int_equal(sim_seen_after_crash(sim, 0, sim_look_exists), 0x1);
    sim_io_destroy(sim);
}

static bool count_name(void *ctx, const char *name) {
    unsigned *seen = ctx;
    *seen |= strcmp(name, "a") == 0 ? 1U : strcmp(name, "b") == 0 ? 2U : 4U;
    return true;
}

static void test_sim_names_are_checked_as_a_file_system_does(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    struct io_file *file;
    unsigned seen = 0;
    assert_int_equal(io->ops->open(io, "a", IO_READ, &file, NULL), WF_NOT_FOUND);
    assert_null(file);
    assert_int_equal(io->ops->open(io, "x/a", IO_WRITE | IO_CREATE, &file, NULL), WF_NOT_FOUND);
    sim_file_make(sim, "a", 'o', 10);
    assert_int_equal(io->ops->open(io, "./a", IO_WRITE | IO_CREATE | IO_EXCLUSIVE, &file, NULL),
                     WF_REFUSED);
    assert_int_equal(io->ops->make_directory(io, "b", NULL), WF_OK);
    assert_int_equal(io->ops->make_directory(io, "/b/", NULL), WF_REFUSED);
    assert_int_equal(io->ops->open(io, "b", IO_READ, &file, NULL), WF_IO);
    assert_int_equal(io->ops->make_directory(io, "b/d", NULL), WF_OK);
    assert_int_equal(io->ops->remove(io, "b", NULL), WF_IO);
    assert_int_equal(io->ops->remove(io, "b/d", NULL), WF_OK);
    assert_int_equal(io->ops->remove(io, "b/none", NULL), WF_NOT_FOUND);
    assert_int_equal(io->ops->rename(io, "none", "b/c", NULL), WF_NOT_FOUND);
    assert_int_equal(io->ops->list(io, ".", count_name, &seen, NULL), WF_OK);
    assert_int_equal(seen, 0x3);
    assert_int_equal(io->ops->list(io, "a", count_name, &seen, NULL), WF_IO);
    file = sim_file_open(sim, "a", IO_READ);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 1), WF_IO);
    sim_io_destroy(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sim_unsynced_sectors_are_lost_kept_or_reordered),
        cmocka_unit_test(test_sim_synced_content_is_never_lost),
        cmocka_unit_test(test_sim_lost_sector_comes_back_zeroed_cut_or_rubbish),
        cmocka_unit_test(test_sim_new_size_may_come_without_its_data),
        cmocka_unit_test(test_sim_truncation_is_pending_until_sync),
        cmocka_unit_test(test_sim_preallocate_extends_with_zeros_and_never_shrinks),
        cmocka_unit_test(test_sim_unsynced_name_may_be_lost_though_its_file_was_synced),
        cmocka_unit_test(test_sim_new_directory_is_lost_with_all_in_it_without_its_parents_sync),
        cmocka_unit_test(test_sim_rename_is_either_until_the_directory_is_synced),
        cmocka_unit_test(test_sim_removed_file_may_return_until_the_directory_is_synced),
        cmocka_unit_test(test_sim_names_are_checked_as_a_file_system_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
