/* The machine around the simulated disk: how it crashes, its locks, clock and threads, and what it
 * keeps of the calls. */
#include "tests/lib/sim_files.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { SECTOR = SIM_SECTOR_SIZE, SEED = 7 };

/* --- crashes --- */

static void test_sim_stopped_process_changes_nothing_more(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE | IO_CREATE); /* boundary 1 */
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 1), WF_OK);        /* 2 */
    assert_int_equal(sim_boundaries(sim), 2);
    sim_stop_at(sim, 3);
    size_t pending = sim_pending_count(sim);
    assert_int_equal(sim_file_sync(sim, file), WF_IO);
    assert_true(sim_is_dead(sim));
    uint64_t size;
    assert_int_equal(io->ops->size(io, file, &size, NULL), WF_IO);
    assert_int_equal(io->ops->remove(io, "f", NULL), WF_IO);
    assert_int_equal(sim_pending_count(sim), pending);
    sim_file_close(sim, file);
    assert_int_equal(sim_open_files(sim), 0);
    struct sim_io *after = sim_crash_into(sim, sim_crash_choices(sim) - 1, 0);
    assert_true(sim_file_exists(after, "f")); /* and what comes after the crash lives */
    sim_io_destroy(after);
    sim_io_destroy(sim);
}

static void note_boundary(void *ctx, struct sim_io *sim, uint64_t boundary) {
    uint64_t *pending_at = ctx;
    pending_at[boundary] = sim_pending_count(sim);
    struct sim_io *after = sim_crash_into(sim, 0, 0); /* a hook may crash the disk */
    assert_false(sim_file_exists(after, "f"));
    sim_io_destroy(after);
}

static void test_sim_hook_sees_the_disk_before_each_boundary(void **state) {
    (void)state;
    uint64_t pending_at[4] = {0};
    struct sim_io *sim = sim_io_create(SEED);
    sim_on_boundary(sim, note_boundary, pending_at);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE | IO_CREATE);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 1), WF_OK);
    assert_int_equal(sim_file_sync(sim, file), WF_OK);
    assert_int_equal(pending_at[1], 0);
    assert_int_equal(pending_at[2], 1); /* the name */
    assert_int_equal(pending_at[3], 3); /* name, size, sector */
    assert_int_equal(sim_pending_count(sim), 1);
    sim_io_destroy(sim);
}

static void test_sim_many_pending_changes_have_bounded_choices(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    sim_file_make(sim, "f", 'o', 11 * SECTOR);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', 10 * SECTOR), WF_OK);
    assert_int_equal(sim_crash_choices(sim), 1024);
    assert_int_equal(sim_file_write(sim, file, 10 * SECTOR, 'n', SECTOR), WF_OK);
    assert_int_equal(sim_crash_choices(sim), 12 + 11 + 11 + SIM_CHOICES_RANDOM);
    struct sim_io *nothing = sim_crash_into(sim, 0, 0);
    struct sim_io *everything = sim_crash_into(sim, 11, 0);
    struct sim_io *all_but_first = sim_crash_into(sim, 12 + 11, 0);
    assert_int_equal(sim_file_byte(nothing, "f", 0), 'o');
    assert_int_equal(sim_hash(everything), sim_hash(sim));
    assert_int_equal(sim_file_byte(all_but_first, "f", 0), 'o');
    assert_int_equal(sim_file_byte(all_but_first, "f", SECTOR), 'n');
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
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE | IO_CREATE);
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
    sim_file_make(sim, "f", 'o', SECTOR);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    assert_int_equal(sim_file_write(sim, file, 0, 'n', SECTOR), WF_OK);
    struct sim_io *clone = sim_io_clone(sim);
    assert_int_equal(sim_pending_count(clone), 1);
    assert_int_equal(sim_hash(clone), sim_hash(sim));
    struct io_file *other = sim_file_open(clone, "f", IO_WRITE);
    assert_int_equal(sim_file_write(clone, other, 0, 'x', SECTOR), WF_OK);
    assert_int_equal(sim_file_byte(sim, "f", 0), 'n');
    assert_int_equal(sim_file_byte(clone, "f", 0), 'x');
    sim_io_destroy(clone);
    sim_io_destroy(sim);
}

/* --- the machine --- */

static void test_sim_lock_excludes_other_handles_until_close(void **state) {
    (void)state;
    struct sim_io *sim = sim_io_create(SEED);
    struct io *io = sim_io_of(sim);
    bool locked;
    struct io_file *first = sim_file_open(sim, "f", IO_WRITE | IO_CREATE);
    struct io_file *second = sim_file_open(sim, "f", IO_WRITE);
    assert_int_equal(io->ops->lock(io, first, NULL), WF_OK);
    assert_int_equal(io->ops->lock(io, second, NULL), WF_LOCKED);
    assert_int_equal(io->ops->is_locked(io, second, &locked, NULL), WF_OK);
    assert_true(locked);
    assert_int_equal(io->ops->is_locked(io, first, &locked, NULL), WF_OK);
    assert_false(locked);
    sim_file_close(sim, first);
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
    struct io_file *file = sim_file_open(sim, "d.tmp", IO_WRITE | IO_CREATE);
    assert_int_equal(sim_file_write(sim, file, 64, 'n', 10), WF_OK);
    assert_int_equal(sim_file_sync(sim, file), WF_OK);
    assert_int_equal(io->ops->rename(io, "d.tmp", "d", NULL), WF_OK);
    io_point(io, "test.renamed");
    sim_root_sync(sim);
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
    sim_file_make(sim, "f", 'o', SECTOR);
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE);
    assert_int_equal(io->ops->remove(io, "f", NULL), WF_OK);
    sim_root_sync(sim);
    uint8_t byte = 0;
    size_t got;
    assert_int_equal(io->ops->read(io, file, 0, &byte, 1, &got, NULL), WF_OK);
    assert_int_equal(byte, 'o');
    assert_int_equal(sim_file_write(sim, file, 0, 'n', SECTOR), WF_OK);
    sim_file_close(sim, file);
    sim_root_sync(sim);
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
    struct io_file *file = sim_file_open(sim, "f", IO_WRITE | IO_CREATE);
    for (uint64_t i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.sim = sim, .file = file, .offset = i * 100};
        assert_int_equal(pthread_create(&writers[i].thread, NULL, write_often, &writers[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(writers[i].thread, NULL), 0);
        assert_int_equal(writers[i].failures, 0);
    }
    assert_int_equal(sim_boundaries(sim), 1 + 2 * THREADS * ROUNDS);
    assert_int_equal(sim_file_size(sim, "f"), 301);
    sim_io_destroy(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
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
