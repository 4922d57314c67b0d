/* The LMDB snapshot at its limits and the system's: the map, the size of a file, descriptors. */
#include "engine/core/text.h"
#include "tests/lib/lmdb_fixture.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

struct lookups {
    struct lmdb_fixture *f;
    atomic_bool stop;
    size_t done;
    size_t wrong;
};

static void *look_up(void *ctx) {
    struct lookups *lookups = ctx;
    while (!atomic_load(&lookups->stop)) {
        struct bytes_view value;
        size_t i = lookups->done % LMDB_PAIRS;
        lookups->wrong +=
            lmdb_get_number(lookups->f, i, &value) != WF_OK || !lmdb_is_right(i, value);
        lookups->done++;
    }
    return NULL;
}

static void test_snapshot_lmdb_grows_beside_lookups_of_another_thread(void **state) {
    struct lmdb_fixture *f = *state;
    struct lookups lookups = {.f = f};
    pthread_t thread;
    lmdb_fill(f);
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
    assert_int_equal(pthread_create(&thread, NULL, look_up, &lookups), 0);
    lmdb_outgrow_map(f, 3);
    atomic_store(&lookups.stop, true);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_true(lookups.done > 0);
    assert_int_equal(lookups.wrong, 0);
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
    assert_int_equal(lmdb_seen_lsn(f), 5);
    assert_int_equal(lmdb_walk_all(f), WF_OK);
}

static void test_snapshot_lmdb_value_outlives_the_map_it_was_in(void **state) {
    struct lmdb_fixture *f = *state;
    struct bytes_view value;
    lmdb_fill(f);
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
    assert_int_equal(lmdb_get_number(f, 3, &value), WF_OK);
    lmdb_outgrow_map(f, 3);
    assert_true(lmdb_is_right(3, value));
}

static void test_snapshot_lmdb_takes_a_commit_larger_than_twice_the_map(void **state) {
    struct lmdb_fixture *f = *state;
    enum { SIZE = 200 << 20 };
    uint8_t *large = calloc(1, SIZE);
    assert_non_null(large);
    assert_int_equal(lmdb_commit_one(f, "a", (struct bytes_view){.data = large, .size = SIZE}, 1),
                     WF_OK);
    free(large);
    lmdb_fixture_close(f);
    assert_int_equal(lmdb_fixture_open(f, false), WF_OK);
    struct bytes_view value;
    assert_int_equal(lmdb_get(f, "a", &value), WF_OK);
    assert_int_equal(value.size, SIZE);
}

static void set_file_size_limit(rlim_t bytes) {
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void test_snapshot_lmdb_file_size_limit_is_full_and_kills_nobody(void **state) {
    struct lmdb_fixture *f = *state;
    struct bytes_view value;
    sigset_t pending;
    lmdb_fill(f);
    /* First writes that are cut short at the limit, then writes that begin behind it and raise the
     * signal. */
    for (rlim_t limit = 256 << 10; limit >= 32 << 10; limit /= 2) {
        set_file_size_limit(limit);
        assert_int_equal(lmdb_commit_many(f, LMDB_PAIRS, 20000, 1, 3), WF_FULL);
    }
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGXFSZ), 0);
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
    assert_int_equal(lmdb_seen_lsn(f), 2);
    assert_int_equal(lmdb_get_number(f, 3, &value), WF_OK);
    set_file_size_limit(RLIM_INFINITY);
    assert_int_equal(lmdb_commit_many(f, LMDB_PAIRS, 20000, 1, 3), WF_OK);
    lmdb_fixture_close(f);
    assert_int_equal(lmdb_fixture_open(f, false), WF_OK);
    assert_int_equal(lmdb_seen_lsn(f), 3);
    assert_int_equal(lmdb_walk_all(f), WF_OK);
}

static size_t count_open_files(void) {
    size_t count = 0;
    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

/* The limit under which `spare` more files can be opened. */
static rlim_t limit_for_spare(size_t spare) {
    for (int fd = 0;; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        if (spare-- == 0)
            return (rlim_t)fd;
    }
}

static void test_snapshot_lmdb_open_without_descriptors_fails_and_leaks_none(void **state) {
    struct lmdb_fixture *f = *state;
    struct rlimit limit;
    assert_int_equal(lmdb_commit_one(f, "a", text_view("1"), 1), WF_OK);
    lmdb_fixture_close(f);
    size_t before = count_open_files();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    for (size_t spare = 0; spare < 3; spare++) {
        struct rlimit low = {.rlim_cur = limit_for_spare(spare), .rlim_max = limit.rlim_max};
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
        assert_int_equal(lmdb_fixture_open(f, false), WF_IO);
        assert_null(f->snapshot);
    }
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_int_equal(count_open_files(), before);
    assert_int_equal(lmdb_fixture_open(f, false), WF_OK);
    assert_int_equal(lmdb_seen_lsn(f), 1);
}

static void test_snapshot_lmdb_file_is_never_shorter_than_its_meta_page_says(void **state) {
    struct lmdb_fixture *f = *state;
    /* Removing nearly everything makes LMDB take pages from the end and drop them again. */
    uint64_t random = 5;
    for (unsigned round = 0; round < 40; round++) {
        size_t step = 1 + (size_t)(random >> 60) % 4;
        assert_int_equal(lmdb_commit_many(f, 0, LMDB_PAIRS / step, step, round), WF_OK);
        struct snapshot_change changes[LMDB_PAIRS];
        char keys[LMDB_PAIRS][16];
        size_t count = 0;
        for (size_t i = 0; i < LMDB_PAIRS; i++) {
            random = random * 6364136223846793005u + 1442695040888963407u;
            if ((random >> 60) < 2)
                continue;
            snprintf(keys[count], sizeof keys[count], "k%07zu", i);
            changes[count] = (struct snapshot_change){.key = text_view(keys[count])};
            count++;
        }
        struct snapshot_meta meta = {.lsn = round};
        assert_int_equal(f->snapshot->ops->commit(f->snapshot, changes, count, &meta, &f->err),
                         WF_OK);
        lmdb_fixture_close(f);
        assert_int_equal(lmdb_fixture_open(f, false), WF_OK);
        assert_int_equal(lmdb_walk_all(f), WF_OK);
    }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, lmdb_fixture_setup, lmdb_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_snapshot_lmdb_grows_beside_lookups_of_another_thread),
        TEST(test_snapshot_lmdb_value_outlives_the_map_it_was_in),
        TEST(test_snapshot_lmdb_takes_a_commit_larger_than_twice_the_map),
        TEST(test_snapshot_lmdb_file_size_limit_is_full_and_kills_nobody),
        TEST(test_snapshot_lmdb_open_without_descriptors_fails_and_leaks_none),
        TEST(test_snapshot_lmdb_file_is_never_shorter_than_its_meta_page_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
