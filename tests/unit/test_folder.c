/* What may lie in a folder in which a store is asked for (folder.c): remains of another are refused
 * and left as they are. */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void put_file(struct engine_fixture *f, const char *path) {
    struct io *io = sim_io_of(f->sim);
    struct io_file *file;
    assert_int_equal(io->ops->open(io, path, IO_WRITE | IO_CREATE, &file, NULL), WF_OK);
    io->ops->close(io, file);
}

static void make_folder(struct engine_fixture *f, const char *path) {
    struct io *io = sim_io_of(f->sim);
    assert_int_equal(io->ops->make_directory(io, path, NULL), WF_OK);
}

/* A file that only a store leaves, in the folder /store (which has nothing else but a lock). */
static void prepare(struct engine_fixture *f, const char *folder, const char *name) {
    char path[128];
    fixture_prepare_sim(f);
    make_folder(f, "/store");
    put_file(f, "/store/lock");
    (void)snprintf(path, sizeof path, "/store/%s", folder);
    make_folder(f, path);
    (void)snprintf(path, sizeof path, "/store/%s/%s", folder, name);
    put_file(f, path);
}

static void assert_refused(struct engine_fixture *f, const char *named) {
    uint64_t bytes = sim_hash(f->sim);
    assert_int_equal(fixture_try_open(f), WF_DAMAGE);
    assert_non_null(strstr(f->err.text, "/store holds"));
    assert_non_null(strstr(f->err.text, named));
    assert_non_null(strstr(f->err.text, "restore a backup"));
    f->options.create = false;
    assert_int_equal(fixture_try_open(f), WF_DAMAGE);
    f->options.read_only = true;
    assert_int_equal(fixture_try_open(f), WF_DAMAGE);
    assert_int_equal(sim_hash(f->sim), bytes);
    assert_int_equal(sim_open_files(f->sim), 0);
}

static void test_folder_with_remains_of_a_store_takes_no_new_one(void **state) {
    static const struct {
        const char *folder, *name, *named;
    } remains[] = {
        {"archive", "00000000000000000001.seg.gz", "archive/00000000000000000001.seg.gz"},
        {"archive", "manifest", "archive/manifest"},
        {"state", "data.mdb", "state/data.mdb"},
        {"state.damaged-1", "data.mdb", "state.damaged-1"},
        {"wal", "00000000000000000001.seg.damaged", "wal/00000000000000000001.seg.damaged"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof remains / sizeof *remains; i++) {
        struct engine_fixture f;
        prepare(&f, remains[i].folder, remains[i].name);
        assert_refused(&f, remains[i].named);
        fixture_deinit(&f);
    }
}

/* Of a store that had a record nothing is left but the lock file, which vouches for it. */
static void test_folder_with_a_lock_that_vouches_for_records_is_a_lost_store(void **state) {
    struct engine_fixture f;
    struct lock_file *lock;
    (void)state;
    prepare(&f, "wal", "00000000000000000001.seg.tmp");
    must(&f, lock_acquire(sim_io_of(f.sim), "/store/lock", &lock, &f.err));
    lock_publish(lock, 24);
    lock_release(lock);
    assert_refused(&f, "(lock");
    fixture_deinit(&f);
}

static void test_folder_with_a_half_made_log_takes_a_store(void **state) {
    struct engine_fixture f;
    (void)state;
    prepare(&f, "wal", "00000000000000000001.seg.tmp");
    fixture_open(&f);
    assert_int_equal(fixture_status(&f).durable_lsn, 1);
    fixture_deinit(&f);
}

/* The log was emptied: its first segment has its header, and no record. */
static void test_folder_with_an_empty_log_beside_archives_is_damaged(void **state) {
    static const uint8_t store_id[WAL_STORE_ID_SIZE] = {7};
    struct engine_fixture f;
    (void)state;
    prepare(&f, "archive", "manifest");
    must(&f, wal_create(sim_io_of(f.sim), "/store/wal", store_id, NULL, &f.err));
    assert_int_equal(fixture_try_open(&f), WF_DAMAGE);
    assert_non_null(strstr(f.err.text, "the log in /store is empty"));
    fixture_deinit(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_folder_with_remains_of_a_store_takes_no_new_one),
        cmocka_unit_test(test_folder_with_a_lock_that_vouches_for_records_is_a_lost_store),
        cmocka_unit_test(test_folder_with_a_half_made_log_takes_a_store),
        cmocka_unit_test(test_folder_with_an_empty_log_beside_archives_is_damaged),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
