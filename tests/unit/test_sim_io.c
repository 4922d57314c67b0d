/* What the simulated disk promises: each line of the model in tests/lib/sim_disk.h, shown. */
#include "tests/lib/sim_io.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { SECTOR = SIM_SECTOR_SIZE, SEED = 7, READ_MAX = 8192 };

static struct io_file *open_file(struct sim_io *sim, const char *path, unsigned flags) {
    struct io *io = sim_io_of(sim);
    struct io_file *file;
    struct wf_error err;
    assert_int_equal(io->ops->open(io, path, flags, &file, &err), WF_OK);
    return file;
}

static enum wf_status write_at(struct sim_io *sim, struct io_file *file, uint64_t offset, char fill,
                               size_t size) {
    uint8_t data[READ_MAX];
    assert_true(size <= sizeof data);
    memset(data, fill, size);
    return io_write_all(sim_io_of(sim), file, offset, data, size, NULL);
}

static enum wf_status sync_file(struct sim_io *sim, struct io_file *file) {
    struct io *io = sim_io_of(sim);
    return io->ops->sync(io, file, NULL);
}

static void sync_root(struct sim_io *sim) {
    struct io *io = sim_io_of(sim);
    assert_int_equal(io->ops->sync_directory(io, "/", NULL), WF_OK);
}

static void close_file(struct sim_io *sim, struct io_file *file) {
    struct io *io = sim_io_of(sim);
    io->ops->close(io, file);
}

/* A durable file of `size` bytes `fill`, closed. */
static void make_durable(struct sim_io *sim, const char *path, char fill, size_t size) {
    struct io_file *file = open_file(sim, path, IO_WRITE | IO_CREATE);
    assert_int_equal(write_at(sim, file, 0, fill, size), WF_OK);
    assert_int_equal(sync_file(sim, file), WF_OK);
    close_file(sim, file);
    sync_root(sim);
    assert_int_equal(sim_pending_count(sim), 0);
}

static bool exists(struct sim_io *sim, const char *path) {
    struct io *io = sim_io_of(sim);
    enum io_kind kind;
    uint64_t size;
    assert_int_equal(io->ops->stat(io, path, &kind, &size, NULL), WF_OK);
    return kind != IO_MISSING;
}

static uint64_t size_of(struct sim_io *sim, const char *path) {
    struct io *io = sim_io_of(sim);
    enum io_kind kind;
    uint64_t size;
    assert_int_equal(io->ops->stat(io, path, &kind, &size, NULL), WF_OK);
    return size;
}

/* The byte at `offset` of a file that is there and long enough. */
static int byte_at(struct sim_io *sim, const char *path, uint64_t offset) {
    struct io_file *file = open_file(sim, path, IO_READ);
    uint8_t byte = 0;
    size_t got;
    assert_int_equal(io_read_all(sim_io_of(sim), file, offset, &byte, 1, &got, NULL), WF_OK);
    assert_int_equal(got, 1);
    close_file(sim, file);
    return byte;
}

/* Which of all crash states show what: a bit for each value that `look` returns in any of them. */
static unsigned seen_after_crash(struct sim_io *sim, uint64_t rubbish,
                                 unsigned (*look)(struct sim_io *after)) {
    unsigned seen = 0;
    size_t choices = sim_crash_choices(sim);
    for (size_t choice = 0; choice < choices; choice++) {
        struct sim_io *after = sim_crash_into(sim, choice, rubbish);
        seen |= 1U << look(after);
        sim_io_destroy(after);
    }
    return seen;
}

static void fault(struct sim_io *sim, enum sim_op op, enum sim_fault_kind kind, uint64_t amount) {
    sim_fault_add(sim, &(struct sim_fault){.op = op, .kind = kind, .amount = amount});
}

/* --- content --- */

static unsigned look_two_sectors(struct sim_io *after) {
    return (byte_at(after, "f", 0) == 'n' ? 1U : 0U) |
           (byte_at(after, "f", SECTOR) == 'n' ? 2U : 0U);
}

static void test_sim_unsynced_sectors_are_lost_kept_or_reordered(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    make_durable(sim, "f", 'o', 2 * SECTOR);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    assert_int_equal(write_at(sim, file, 0, 'n', 2 * SECTOR), WF_OK);
    assert_int_equal(sim_crash_choices(sim), 4);
    assert_int_equal(seen_after_crash(sim, 0, look_two_sectors),
                     0xf); /* none, first, second, both */
    sim_io_destroy(sim);
}

static unsigned look_new(struct sim_io *after) {
    return byte_at(after, "f", 0) == 'n';
}

static void test_sim_synced_content_is_never_lost(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    make_durable(sim, "f", 'o', SECTOR);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    assert_int_equal(write_at(sim, file, 0, 'n', SECTOR), WF_OK);
    assert_int_equal(sync_file(sim, file), WF_OK);
    assert_int_equal(write_at(sim, file, SECTOR, 'x', 3 * SECTOR), WF_OK);
    for (uint64_t rubbish = 0; rubbish < 50; rubbish++) {
        assert_int_equal(seen_after_crash(sim, rubbish, look_new), 1U << 1);
    }
    sim_io_destroy(sim);
}

/* How the 12 bytes behind the 8 durable ones of the same sector came back. */
static unsigned look_at_torn(struct sim_io *after) {
    static const uint8_t old[12];
    uint8_t bytes[20];
    size_t got;
    struct io_file *file = open_file(after, "f", IO_READ);
    assert_int_equal(io_read_all(sim_io_of(after), file, 0, bytes, 20, &got, NULL), WF_OK);
    close_file(after, file);
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
    make_durable(sim, "f", 'o', 8);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    assert_int_equal(sim_io_of(sim)->ops->truncate(sim_io_of(sim), file, SECTOR, NULL), WF_OK);
    assert_int_equal(sync_file(sim, file), WF_OK);
    assert_int_equal(write_at(sim, file, 8, 'n', 12), WF_OK);
    unsigned seen = 0;
    for (uint64_t rubbish = 1; rubbish < 100; rubbish++) {
        seen |= seen_after_crash(sim, rubbish, look_at_torn);
    }
    assert_int_equal(seen, 0xf);
    assert_int_equal(seen_after_crash(sim, 0, look_at_torn), 0x3); /* without rubbish: old or new */
    sim_io_destroy(sim);
}

static unsigned look_at_size(struct sim_io *after) {
    uint64_t size = size_of(after, "f");
    if (size == SECTOR) {
        return 0;
    }
    assert_int_equal(size, 2 * SECTOR);
    int byte = byte_at(after, "f", SECTOR);
    assert_true(byte == 0 || byte == 'n');
    return byte == 0 ? 1 : 2;
}

static void test_sim_new_size_may_come_without_its_data(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    make_durable(sim, "f", 'o', SECTOR);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    assert_int_equal(write_at(sim, file, SECTOR, 'n', SECTOR), WF_OK);
    assert_int_equal(seen_after_crash(sim, 0, look_at_size), 0x7);
    assert_int_equal(sync_file(sim, file), WF_OK);
    assert_int_equal(seen_after_crash(sim, 0, look_at_size), 0x4);
    sim_io_destroy(sim);
}

static unsigned look_at_cut(struct sim_io *after) {
    return size_of(after, "f") == 100 ? 1 : 0;
}

static void test_sim_truncation_is_pending_until_sync(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    make_durable(sim, "f", 'o', 2 * SECTOR);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    assert_int_equal(io->ops->truncate(io, file, 100, NULL), WF_OK);
    assert_int_equal(seen_after_crash(sim, 0, look_at_cut), 0x3);
    assert_int_equal(sync_file(sim, file), WF_OK);
    assert_int_equal(seen_after_crash(sim, 0, look_at_cut), 0x2);
    assert_int_equal(io->ops->truncate(io, file, 200, NULL), WF_OK);
    assert_int_equal(byte_at(sim, "f", 150), 0); /* what was cut off does not come back */
    sim_io_destroy(sim);
}

static void test_sim_preallocate_extends_with_zeros_and_never_shrinks(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    make_durable(sim, "f", 'o', 10);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    assert_int_equal(io->ops->preallocate(io, file, 4 * SECTOR, NULL), WF_OK);
    assert_int_equal(size_of(sim, "f"), 4 * SECTOR);
    assert_int_equal(byte_at(sim, "f", 9), 'o');
    assert_int_equal(byte_at(sim, "f", 10), 0);
    assert_int_equal(sim_pending_count(sim), 1);
    assert_int_equal(io->ops->preallocate(io, file, SECTOR, NULL), WF_OK);
    assert_int_equal(size_of(sim, "f"), 4 * SECTOR);
    sim_set_preallocation(sim, false);
    assert_int_equal(io->ops->preallocate(io, file, 8 * SECTOR, NULL), WF_OK);
    assert_int_equal(size_of(sim, "f"), 4 * SECTOR);
    sim_io_destroy(sim);
}

/* --- names --- */

static unsigned look_exists(struct sim_io *after) {
    return exists(after, "f");
}

static void test_sim_unsynced_name_may_be_lost_though_its_file_was_synced(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io_file *file = open_file(sim, "f", IO_WRITE | IO_CREATE);
    assert_int_equal(write_at(sim, file, 0, 'n', 10), WF_OK);
    assert_int_equal(sync_file(sim, file), WF_OK);
    assert_int_equal(seen_after_crash(sim, 0, look_exists), 0x3);
    sync_root(sim);
    assert_int_equal(seen_after_crash(sim, 0, look_exists), 0x2);
    assert_int_equal(seen_after_crash(sim, 0, look_new), 0x2);
    sim_io_destroy(sim);
}

static unsigned look_at_inner(struct sim_io *after) {
    return exists(after, "d/f");
}

static void test_sim_new_directory_is_lost_with_all_in_it_without_its_parents_sync(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    assert_int_equal(io->ops->make_directory(io, "/d", NULL), WF_OK);
    struct io_file *file = open_file(sim, "/d/f", IO_WRITE | IO_CREATE);
    assert_int_equal(sync_file(sim, file), WF_OK);
    assert_int_equal(io->ops->sync_directory(io, "d", NULL), WF_OK);
    assert_int_equal(seen_after_crash(sim, 0, look_at_inner), 0x3);
    sync_root(sim);
    assert_int_equal(seen_after_crash(sim, 0, look_at_inner), 0x2);
    sim_io_destroy(sim);
}

static unsigned look_at_rename(struct sim_io *after) {
    assert_true(exists(after, "b"));
    bool renamed = byte_at(after, "b", 0) == 'n';
    assert_int_equal(exists(after, "a"), !renamed); /* never both names, never none */
    return renamed;
}

static void test_sim_rename_is_either_until_the_directory_is_synced(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    make_durable(sim, "a", 'n', 10);
    make_durable(sim, "b", 'o', 10);
    assert_int_equal(io->ops->rename(io, "a", "b", NULL), WF_OK);
    assert_int_equal(byte_at(sim, "b", 0), 'n');
    assert_int_equal(seen_after_crash(sim, 0, look_at_rename), 0x3);
    sync_root(sim);
    assert_int_equal(seen_after_crash(sim, 0, look_at_rename), 0x2);
    sim_io_destroy(sim);
}

static void test_sim_removed_file_may_return_until_the_directory_is_synced(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    make_durable(sim, "f", 'o', 10);
    assert_int_equal(io->ops->remove(io, "f", NULL), WF_OK);
    assert_false(exists(sim, "f"));
    assert_int_equal(seen_after_crash(sim, 0, look_exists), 0x3);
    sync_root(sim);
    assert_int_equal(seen_after_crash(sim, 0, look_exists), 0x1);
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
    make_durable(sim, "a", 'o', 10);
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
    file = open_file(sim, "a", IO_READ);
    assert_int_equal(write_at(sim, file, 0, 'n', 1), WF_IO);
    sim_io_destroy(sim);
}

/* --- faults --- */

static void test_sim_failed_sync_forgets_and_the_next_one_lies(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    make_durable(sim, "f", 'o', SECTOR);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    sim_trace_start(sim);
    fault(sim, SIM_SYNC, SIM_FAULT_EIO, 0);
    assert_int_equal(write_at(sim, file, 0, 'n', SECTOR), WF_OK);
    assert_int_equal(sync_file(sim, file), WF_IO);
    assert_int_equal(byte_at(sim, "f", 0), 'n'); /* the cache shows it */
    assert_false(sim_trace_resynced(sim));
    assert_int_equal(sync_file(sim, file), WF_OK);
    assert_true(sim_trace_resynced(sim));
    assert_int_equal(seen_after_crash(sim, 0, look_new), 0x1); /* and it is gone */
    sim_drop_caches(sim);
    assert_int_equal(byte_at(sim, "f", 0), 'o');
    sim_io_destroy(sim);
}

/* A size that is not durable yet keeps no clean page: what the disk has in its place is seen. */
static void test_sim_dropped_caches_show_a_write_gone_astray(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    make_durable(sim, "f", 'o', 3 * SECTOR);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    struct sim_fault astray = {
        .op = SIM_WRITE, .kind = SIM_FAULT_MISDIRECT, .path = "f", .shift_sectors = -1};
    sim_fault_add(sim, &astray);
    assert_int_equal(write_at(sim, file, SECTOR, 'n', SECTOR), WF_OK);
    sim_drop_caches(sim);
    assert_int_equal(byte_at(sim, "f", SECTOR), 'n'); /* still to be written: not dropped */
    assert_int_equal(sync_file(sim, file), WF_OK);
    assert_int_equal(sim_io_of(sim)->ops->truncate(sim_io_of(sim), file, 2 * SECTOR, NULL), WF_OK);
    assert_int_equal(byte_at(sim, "f", SECTOR), 'n');
    sim_drop_caches(sim);
    assert_int_equal(byte_at(sim, "f", SECTOR), 'o');
    assert_int_equal(byte_at(sim, "f", 0), 'n');
    assert_int_equal(sim_pending_count(sim), 1); /* the cut */
    sim_io_destroy(sim);
}

static void test_sim_failed_sync_may_have_written_a_part(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    make_durable(sim, "f", 'o', 2 * SECTOR);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    fault(sim, SIM_SYNC, SIM_FAULT_EIO, 1);
    assert_int_equal(write_at(sim, file, 0, 'n', 2 * SECTOR), WF_OK);
    assert_int_equal(sync_file(sim, file), WF_IO);
    assert_int_equal(seen_after_crash(sim, 0, look_two_sectors), 1U << 1);
    sim_io_destroy(sim);
}

static void test_sim_failed_directory_sync_leaves_names_pending(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    close_file(sim, open_file(sim, "f", IO_WRITE | IO_CREATE));
    fault(sim, SIM_SYNC_DIRECTORY, SIM_FAULT_EIO, 0);
    assert_int_equal(io->ops->sync_directory(io, "/", NULL), WF_IO);
    assert_int_equal(seen_after_crash(sim, 0, look_exists), 0x3);
    sync_root(sim);
    assert_int_equal(seen_after_crash(sim, 0, look_exists), 0x2);
    sim_io_destroy(sim);
}

static void test_sim_lost_sync_claims_success(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    make_durable(sim, "f", 'o', SECTOR);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    fault(sim, SIM_SYNC, SIM_FAULT_LOST, 0);
    assert_int_equal(write_at(sim, file, 0, 'n', SECTOR), WF_OK);
    assert_int_equal(sync_file(sim, file), WF_OK);
    assert_int_equal(seen_after_crash(sim, 0, look_new), 0x3);
    sim_io_destroy(sim);
}

static void test_sim_short_write_moves_a_part(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    struct io_file *file = open_file(sim, "f", IO_WRITE | IO_CREATE);
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
    struct io_file *file = open_file(sim, "f", IO_WRITE | IO_CREATE);
    struct sim_fault planned = {.op = SIM_WRITE, .kind = SIM_FAULT_EIO, .nth = 2, .path = "f"};
    sim_fault_add(sim, &planned);
    assert_int_equal(write_at(sim, file, 0, 'n', 1), WF_OK);
    assert_int_equal(write_at(sim, file, 0, 'n', 1), WF_IO);
    assert_int_equal(write_at(sim, file, 0, 'n', 1), WF_OK);
    assert_int_equal(sim_fault_hits(sim), 1);
    sim_fault_clear(sim);
    planned.persistent = true;
    sim_fault_add(sim, &planned);
    assert_int_equal(write_at(sim, file, 0, 'n', 1), WF_OK);
    assert_int_equal(write_at(sim, file, 0, 'n', 1), WF_IO);
    assert_int_equal(write_at(sim, file, 0, 'n', 1), WF_IO);
    planned.path = "another";
    sim_fault_clear(sim);
    sim_fault_add(sim, &planned);
    assert_int_equal(write_at(sim, file, 0, 'n', 1), WF_OK);
    assert_int_equal(write_at(sim, file, 0, 'n', 1), WF_OK);
    sim_io_destroy(sim);
}

static void test_sim_full_disk_takes_what_fits_and_works_again(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    uint8_t data[4 * SECTOR] = {0};
    size_t put;
    make_durable(sim, "old", 'o', 2 * SECTOR);
    struct io_file *file = open_file(sim, "f", IO_WRITE | IO_CREATE);
    sim_set_free_bytes(sim, 2 * SECTOR);
    assert_int_equal(io->ops->write(io, file, 0, data, sizeof data, &put, NULL), WF_OK);
    assert_int_equal(put, 2 * SECTOR);
    assert_int_equal(io->ops->write(io, file, put, data, 10, &put, NULL), WF_FULL);
    assert_int_equal(io->ops->preallocate(io, file, 3 * SECTOR, NULL), WF_FULL);
    assert_int_equal(write_at(sim, file, 0, 'n', 2 * SECTOR), WF_OK); /* in place needs no space */
    assert_int_equal(io->ops->remove(io, "old", NULL), WF_OK);
    assert_int_equal(write_at(sim, file, 2 * SECTOR, 'n', 2 * SECTOR), WF_OK);
    assert_int_equal(write_at(sim, file, 4 * SECTOR, 'n', 1), WF_FULL);
    assert_int_equal(io->ops->truncate(io, file, SECTOR, NULL), WF_OK);
    assert_int_equal(io->ops->preallocate(io, file, 4 * SECTOR, NULL), WF_OK);
    sim_io_destroy(sim);
}

static void test_sim_rot_changes_what_was_synced(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    make_durable(sim, "f", 'o', SECTOR);
    assert_true(sim_rot(sim, "f", 3, 0x01));
    assert_int_equal(byte_at(sim, "f", 3), 'o' ^ 0x01);
    assert_false(sim_rot(sim, "f", SECTOR, 0x01)); /* behind its end */
    assert_false(sim_rot(sim, "none", 0, 0x01));
    struct sim_io *after = sim_crash_into(sim, 0, 0);
    assert_int_equal(byte_at(after, "f", 3), 'o' ^ 0x01);
    sim_io_destroy(after);
    sim_io_destroy(sim);
}

static void test_sim_misdirected_write_hits_another_place_or_file(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    make_durable(sim, "f", 'o', 2 * SECTOR);
    make_durable(sim, "v", 'v', 2 * SECTOR);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    sim_fault_add(
        sim, &(struct sim_fault){
                 .op = SIM_WRITE, .kind = SIM_FAULT_MISDIRECT, .victim = "v", .shift_sectors = 1});
    assert_int_equal(write_at(sim, file, 0, 'n', SECTOR), WF_OK);
    assert_int_equal(byte_at(sim, "f", 0), 'n');
    assert_int_equal(sync_file(sim, file), WF_OK);
    struct sim_io *after = sim_crash_into(sim, 0, 0);
    assert_int_equal(byte_at(after, "f", 0), 'o');
    assert_int_equal(byte_at(after, "v", 0), 'v');
    assert_int_equal(byte_at(after, "v", SECTOR), 'n');
    sim_io_destroy(after);
    sim_io_destroy(sim);
}

static void test_sim_read_may_fail_come_short_or_flip(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    uint8_t data[8];
    size_t got;
    make_durable(sim, "f", 'o', 8);
    struct io_file *file = open_file(sim, "f", IO_READ);
    fault(sim, SIM_READ, SIM_FAULT_EIO, 0);
    assert_int_equal(io->ops->read(io, file, 0, data, 8, &got, NULL), WF_IO);
    fault(sim, SIM_READ, SIM_FAULT_SHORT, 3);
    assert_int_equal(io->ops->read(io, file, 0, data, 8, &got, NULL), WF_OK);
    assert_int_equal(got, 3);
    fault(sim, SIM_READ, SIM_FAULT_FLIP, 2);
    assert_int_equal(io->ops->read(io, file, 0, data, 8, &got, NULL), WF_OK);
    assert_memory_equal(data, "oo\x7foooooo", 8);
    assert_int_equal(byte_at(sim, "f", 2), 'o');
    sim_io_destroy(sim);
}

/* --- crashes --- */

static void test_sim_stopped_process_changes_nothing_more(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    struct io_file *file = open_file(sim, "f", IO_WRITE | IO_CREATE); /* boundary 1 */
    assert_int_equal(write_at(sim, file, 0, 'n', 1), WF_OK);          /* 2 */
    assert_int_equal(sim_boundaries(sim), 2);
    sim_stop_at(sim, 3);
    size_t pending = sim_pending_count(sim);
    assert_int_equal(sync_file(sim, file), WF_IO);
    assert_true(sim_is_dead(sim));
    uint64_t size;
    assert_int_equal(io->ops->size(io, file, &size, NULL), WF_IO);
    assert_int_equal(io->ops->remove(io, "f", NULL), WF_IO);
    assert_int_equal(sim_pending_count(sim), pending);
    close_file(sim, file);
    assert_int_equal(sim_open_files(sim), 0);
    struct sim_io *after = sim_crash_into(sim, sim_crash_choices(sim) - 1, 0);
    assert_true(exists(after, "f")); /* and what comes after the crash lives */
    sim_io_destroy(after);
    sim_io_destroy(sim);
}

static void note_boundary(void *ctx, struct sim_io *sim, uint64_t boundary) {
    uint64_t *pending_at = ctx;
    pending_at[boundary] = sim_pending_count(sim);
    struct sim_io *after = sim_crash_into(sim, 0, 0); /* a hook may crash the disk */
    assert_false(exists(after, "f"));
    sim_io_destroy(after);
}

static void test_sim_hook_sees_the_disk_before_each_boundary(void **state) {
    (void)state;
    uint64_t pending_at[4] = {0};
    struct sim_io *sim = sim_io_create(SEED);
    sim_on_boundary(sim, note_boundary, pending_at);
    struct io_file *file = open_file(sim, "f", IO_WRITE | IO_CREATE);
    assert_int_equal(write_at(sim, file, 0, 'n', 1), WF_OK);
    assert_int_equal(sync_file(sim, file), WF_OK);
    assert_int_equal(pending_at[1], 0);
    assert_int_equal(pending_at[2], 1); /* the name */
    assert_int_equal(pending_at[3], 3); /* name, size, sector */
    assert_int_equal(sim_pending_count(sim), 1);
    sim_io_destroy(sim);
}

static void test_sim_many_pending_changes_have_bounded_choices(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    make_durable(sim, "f", 'o', 11 * SECTOR);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    assert_int_equal(write_at(sim, file, 0, 'n', 10 * SECTOR), WF_OK);
    assert_int_equal(sim_crash_choices(sim), 1024);
    assert_int_equal(write_at(sim, file, 10 * SECTOR, 'n', SECTOR), WF_OK);
    assert_int_equal(sim_crash_choices(sim), 12 + 11 + 11 + SIM_CHOICES_RANDOM);
    struct sim_io *nothing = sim_crash_into(sim, 0, 0);
    struct sim_io *everything = sim_crash_into(sim, 11, 0);
    struct sim_io *all_but_first = sim_crash_into(sim, 12 + 11, 0);
    assert_int_equal(byte_at(nothing, "f", 0), 'o');
    assert_int_equal(sim_hash(everything), sim_hash(sim));
    assert_int_equal(byte_at(all_but_first, "f", 0), 'o');
    assert_int_equal(byte_at(all_but_first, "f", SECTOR), 'n');
    sim_io_destroy(nothing);
    sim_io_destroy(everything);
    sim_io_destroy(all_but_first);
    sim_io_destroy(sim);
}

/* A hash over all crash states of a run that uses the seed's randomness too. */
static uint64_t hash_of_run(uint64_t seed, uint64_t rubbish) {
    struct sim_io *sim = sim_io_create(seed);
    struct io *io = sim_io_of(sim);
    uint8_t data[5 * SECTOR];
    assert_int_equal(io->ops->random(io, data, sizeof data, NULL), WF_OK);
    struct io_file *file = open_file(sim, "f", IO_WRITE | IO_CREATE);
    assert_int_equal(io_write_all(io, file, 0, data, sizeof data, NULL), WF_OK);
    uint64_t hash = 0;
    size_t choices = sim_crash_choices(sim);
    for (size_t choice = 0; choice < choices; choice++) {
        struct sim_io *after = sim_crash_into(sim, choice, rubbish);
        hash = sim_random_mix(hash, sim_hash(after));
        sim_io_destroy(after);
    }
    sim_io_destroy(sim);
    return hash;
}

static void test_sim_same_seed_gives_same_states(void **state) {
    (void)state;
    assert_true(hash_of_run(1, 5) == hash_of_run(1, 5));
    assert_true(hash_of_run(1, 5) != hash_of_run(2, 5));
    assert_true(hash_of_run(1, 5) != hash_of_run(1, 6));
}

static void test_sim_clone_goes_its_own_way(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    make_durable(sim, "f", 'o', SECTOR);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    assert_int_equal(write_at(sim, file, 0, 'n', SECTOR), WF_OK);
    struct sim_io *clone = sim_io_clone(sim);
    assert_int_equal(sim_pending_count(clone), 1);
    assert_int_equal(sim_hash(clone), sim_hash(sim));
    struct io_file *other = open_file(clone, "f", IO_WRITE);
    assert_int_equal(write_at(clone, other, 0, 'x', SECTOR), WF_OK);
    assert_int_equal(byte_at(sim, "f", 0), 'n');
    assert_int_equal(byte_at(clone, "f", 0), 'x');
    sim_io_destroy(clone);
    sim_io_destroy(sim);
}

/* --- the machine --- */

static void test_sim_lock_excludes_other_handles_until_close(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    bool locked;
    struct io_file *first = open_file(sim, "f", IO_WRITE | IO_CREATE);
    struct io_file *second = open_file(sim, "f", IO_WRITE);
    assert_int_equal(io->ops->lock(io, first, NULL), WF_OK);
    assert_int_equal(io->ops->lock(io, second, NULL), WF_LOCKED);
    assert_int_equal(io->ops->is_locked(io, second, &locked, NULL), WF_OK);
    assert_true(locked);
    assert_int_equal(io->ops->is_locked(io, first, &locked, NULL), WF_OK);
    assert_false(locked);
    close_file(sim, first);
    assert_int_equal(io->ops->lock(io, second, NULL), WF_OK);
    sim_io_destroy(sim);
}

static void test_sim_clock_is_set_and_survives_a_crash(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    uint64_t before_ns = io->ops->monotonic_ns(io);
    sim_set_time_ms(sim, 1000);
    sim_advance_ms(sim, -400);
    assert_int_equal(io->ops->time_ms(io), 600);
    sim_advance_ms(sim, 5);
    assert_true(io->ops->monotonic_ns(io) >= before_ns + 5000000);
    struct sim_io *after = sim_crash_into(sim, 0, 0);
    assert_int_equal(sim_io_of(after)->ops->time_ms(sim_io_of(after)), 605);
    sim_io_destroy(after);
    sim_io_destroy(sim);
}

static void test_sim_trace_shows_the_order_of_calls(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    sim_trace_start(sim);
    struct io_file *file = open_file(sim, "d.tmp", IO_WRITE | IO_CREATE);
    assert_int_equal(write_at(sim, file, 64, 'n', 10), WF_OK);
    assert_int_equal(sync_file(sim, file), WF_OK);
    assert_int_equal(io->ops->rename(io, "d.tmp", "d", NULL), WF_OK);
    io_point(io, "test.renamed");
    sync_root(sim);
    size_t wrote = sim_trace_find(sim, 0, SIM_WRITE, "d.tmp");
    size_t synced = sim_trace_find(sim, wrote, SIM_SYNC, "d.tmp");
    size_t renamed = sim_trace_find(sim, synced, SIM_RENAME, NULL);
    size_t point = sim_trace_find(sim, renamed, SIM_POINT, "test.renamed");
    assert_true(sim_trace_find(sim, point, SIM_SYNC_DIRECTORY, "/") != SIZE_MAX);
    assert_true(sim_trace_find(sim, 0, SIM_REMOVE, NULL) == SIZE_MAX);
    assert_int_equal(sim_trace_at(sim, wrote).offset, 64);
    assert_int_equal(sim_trace_at(sim, wrote).size, 10);
    assert_int_equal(sim_trace_at(sim, wrote).handle, sim_trace_at(sim, synced).handle);
    assert_string_equal(sim_trace_at(sim, renamed).to, "d");
    sim_io_destroy(sim);
}

static void test_sim_file_without_a_name_lives_while_open(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    make_durable(sim, "f", 'o', SECTOR);
    struct io_file *file = open_file(sim, "f", IO_WRITE);
    assert_int_equal(io->ops->remove(io, "f", NULL), WF_OK);
    sync_root(sim);
    uint8_t byte = 0;
    size_t got;
    assert_int_equal(io->ops->read(io, file, 0, &byte, 1, &got, NULL), WF_OK);
    assert_int_equal(byte, 'o');
    assert_int_equal(write_at(sim, file, 0, 'n', SECTOR), WF_OK);
    close_file(sim, file);
    sync_root(sim);
    assert_int_equal(sim_pending_count(sim), 0); /* nothing can bring it back */
    sim_io_destroy(sim);
}

enum { THREADS = 4, ROUNDS = 200 };

struct writer {
    pthread_t thread;
    struct sim_io *sim;
    struct io_file *file;
    uint64_t offset;
    unsigned failures;
};

static void *write_often(void *ctx) {
    struct writer *writer = ctx;
    struct io *io = sim_io_of(writer->sim);
    for (int i = 0; i < ROUNDS; i++) {
        size_t put = 0;
        writer->failures +=
            io->ops->write(io, writer->file, writer->offset, "n", 1, &put, NULL) != WF_OK;
        writer->failures += io->ops->sync(io, writer->file, NULL) != WF_OK;
    }
    return NULL;
}

static void test_sim_calls_may_come_from_many_threads(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct writer writers[THREADS];
    struct io_file *file = open_file(sim, "f", IO_WRITE | IO_CREATE);
    for (uint64_t i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.sim = sim, .file = file, .offset = i * 100};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_often, &writers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
        assert_int_equal(writers[i].failures, 0);
    }
    assert_int_equal(sim_boundaries(sim), 1 + 2 * THREADS * ROUNDS);
    assert_int_equal(size_of(sim, "f"), 301);
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
        cmocka_unit_test(test_sim_stopped_process_changes_nothing_more),
        cmocka_unit_test(test_sim_hook_sees_the_disk_before_each_boundary),
        cmocka_unit_test(test_sim_many_pending_changes_have_bounded_choices),
        cmocka_unit_test(test_sim_same_seed_gives_same_states),
        cmocka_unit_test(test_sim_clone_goes_its_own_way),
        cmocka_unit_test(test_sim_lock_excludes_other_handles_until_close),
        cmocka_unit_test(test_sim_clock_is_set_and_survives_a_crash),
        cmocka_unit_test(test_sim_trace_shows_the_order_of_calls),
        cmocka_unit_test(test_sim_file_without_a_name_lives_while_open),
        cmocka_unit_test(test_sim_calls_may_come_from_many_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
