/* The LMDB snapshot beside other processes, and in one that dies. */
#include "engine/core/text.h"
#include "tests/lib/lmdb_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- other processes ---- */

static void test_snapshot_lmdb_is_refused_in_a_forked_child(void **state) {
    struct lmdb_fixture *f = *state;
    assert_int_equal(lmdb_commit_one(f, "a", text_view("1"), 1), WF_OK);
    pid_t child = fork();
    if (child == 0) {
        struct bytes_view value;
        bool refused = lmdb_commit_one(f, "a", text_view("2"), 2) == WF_USAGE &&
                       lmdb_get(f, "a", &value) == WF_USAGE &&
                       f->snapshot->ops->refresh(f->snapshot, NULL) == WF_USAGE;
        lmdb_fixture_close(f);
        _exit(refused ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(lmdb_commit_one(f, "a", text_view("3"), 3), WF_OK);
}

/* A reader process that says on a pipe what it sees, each time it is asked to. */
struct reader {
    pid_t pid;
    int ask;
    int answer;
};

static void serve_reader(struct lmdb_fixture *f, int ask, int answer) {
    f->snapshot = NULL; /* the parent's */
    uint64_t lsn = lmdb_fixture_open(f, true) == WF_OK ? lmdb_seen_lsn(f) : UINT64_MAX;
    char byte;
    while (write(answer, &lsn, sizeof lsn) == sizeof lsn && read(ask, &byte, 1) == 1) {
        enum wf_status status = f->snapshot->ops->refresh(f->snapshot, &f->err);
        if (status == WF_OK)
            status = lmdb_walk_all(f);
        lsn = status == WF_OK ? lmdb_seen_lsn(f) : UINT64_MAX;
    }
    _exit(0);
}

static struct reader start_reader(struct lmdb_fixture *f) {
    int ask[2];
    int answer[2];
    assert_true(pipe(ask) == 0 && pipe(answer) == 0);
    struct reader reader = {.pid = fork(), .ask = ask[1], .answer = answer[0]};
    if (reader.pid == 0) {
        close(ask[1]);
        close(answer[0]);
        serve_reader(f, ask[0], answer[1]);
    }
    close(ask[0]);
    close(answer[1]);
    return reader;
}

static uint64_t hear(struct reader *reader) {
    uint64_t lsn;
    assert_int_equal(read(reader->answer, &lsn, sizeof lsn), sizeof lsn);
    return lsn;
}

static uint64_t ask(struct reader *reader) {
    assert_int_equal(write(reader->ask, "?", 1), 1);
    return hear(reader);
}

static void end_reader(struct reader *reader) {
    close(reader->ask);
    close(reader->answer);
    assert_int_equal(waitpid(reader->pid, NULL, 0), reader->pid);
}

static void test_snapshot_lmdb_reader_process_follows_a_growing_map(void **state) {
    struct lmdb_fixture *f = *state;
    assert_int_equal(lmdb_commit_one(f, "a", text_view("1"), 1), WF_OK);
    struct reader reader = start_reader(f);
    assert_int_equal(hear(&reader), 1);
    assert_int_equal(lmdb_commit_one(f, "a", text_view("2"), 2), WF_OK);
    assert_int_equal(ask(&reader), 2);
    lmdb_outgrow_map(f, 3);
    assert_int_equal(ask(&reader), 5);
    end_reader(&reader);
}

static void test_snapshot_lmdb_keeps_the_pages_of_a_reader_process(void **state) {
    struct lmdb_fixture *f = *state;
    lmdb_fill(f);
    struct reader reader = start_reader(f);
    assert_int_equal(hear(&reader), 2);
    for (unsigned generation = 3; generation < 30; generation++)
        assert_int_equal(lmdb_commit_many(f, 0, LMDB_PAIRS, 1, generation), WF_OK);
    assert_int_equal(ask(&reader), 29);
    end_reader(&reader);
}

static void test_snapshot_lmdb_clears_away_readers_that_were_killed(void **state) {
    struct lmdb_fixture *f = *state;
    enum { MORE_THAN_READER_SLOTS = 140 };
    assert_int_equal(lmdb_commit_one(f, "a", text_view("1"), 1), WF_OK);
    for (unsigned i = 0; i < MORE_THAN_READER_SLOTS; i++) {
        struct reader reader = start_reader(f);
        assert_int_equal(hear(&reader), 1);
        assert_int_equal(kill(reader.pid, SIGKILL), 0);
        end_reader(&reader);
    }
}

static void test_snapshot_lmdb_reader_without_a_lock_file_writes_nothing(void **state) {
    struct lmdb_fixture *f = *state;
    struct bytes_view value;
    struct stat status;
    assert_int_equal(lmdb_commit_one(f, "a", text_view("1"), 1), WF_OK);
    lmdb_fixture_close(f);
    assert_int_equal(unlink(f->lock_file), 0);
    assert_int_equal(lmdb_fixture_open(f, true), WF_OK);
    assert_int_equal(lmdb_get(f, "a", &value), WF_OK);
    assert_int_equal(f->snapshot->ops->refresh(f->snapshot, &f->err), WF_OK);
    lmdb_fixture_close(f);
    assert_int_not_equal(stat(f->lock_file, &status), 0);
}

/* Become somebody without rights to the files, where we are root. */
static void drop_rights(void) {
    enum { NOBODY = 65534 };
    if (geteuid() == 0 && seteuid(NOBODY) != 0)
        _exit(9);
}

static void test_snapshot_lmdb_reads_where_it_may_not_write(void **state) {
    struct lmdb_fixture *f = *state;
    assert_int_equal(lmdb_commit_one(f, "a", text_view("1"), 1), WF_OK);
    lmdb_fixture_close(f);
    assert_true(chmod(f->root, 0755) == 0 && chmod(f->dir, 0555) == 0);
    assert_true(chmod(f->file, 0444) == 0 && chmod(f->lock_file, 0444) == 0);
    pid_t child = fork();
    if (child == 0) {
        struct bytes_view value;
        drop_rights();
        bool reads = lmdb_fixture_open(f, true) == WF_OK && lmdb_get(f, "a", &value) == WF_OK;
        lmdb_fixture_close(f);
        _exit(reads && lmdb_fixture_open(f, false) == WF_IO && f->snapshot == NULL ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    assert_int_equal(chmod(f->dir, 0755), 0);
}

/* ---- crashes ---- */

/* The machine, but for a process that ends at a named instant. */
struct stopping_io {
    struct io base;
    struct io_ops ops;
    const char *stop_at;
};

static void stop_process(struct io *io, const char *name) {
    if (strcmp(((struct stopping_io *)io)->stop_at, name) == 0)
        _exit(0);
}

static void test_snapshot_lmdb_crash_leaves_one_generation_or_the_other(void **state) {
    struct lmdb_fixture *f = *state;
    lmdb_fixture_close(f);
    uint64_t lsn = 1;
    for (const char *const *point = snapshot_points(); *point != NULL; point++, lsn++) {
        pid_t child = fork();
        if (child == 0) {
            struct stopping_io io = {.ops = *io_posix()->ops, .stop_at = *point};
            io.ops.point = stop_process;
            io.base.ops = &io.ops;
            const struct snapshot_provider *provider = snapshot_lmdb();
            if (provider->open(provider, &io.base, f->dir, true, false, &f->snapshot, NULL) ==
                WF_OK)
                lmdb_commit_one(f, "a", text_view("1"), lsn);
            _exit(1);
        }
        int status;
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        assert_int_equal(lmdb_fixture_open(f, false), WF_OK);
        bool took_effect = point == snapshot_points() + 1;
        assert_int_equal(lmdb_seen_lsn(f), took_effect ? lsn : 0);
        lmdb_fixture_close(f);
    }
    assert_int_equal(lsn, 3);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, lmdb_fixture_setup, lmdb_fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_snapshot_lmdb_is_refused_in_a_forked_child),
        TEST(test_snapshot_lmdb_reader_process_follows_a_growing_map),
        TEST(test_snapshot_lmdb_keeps_the_pages_of_a_reader_process),
        TEST(test_snapshot_lmdb_clears_away_readers_that_were_killed),
        TEST(test_snapshot_lmdb_reader_without_a_lock_file_writes_nothing),
        TEST(test_snapshot_lmdb_reads_where_it_may_not_write),
        TEST(test_snapshot_lmdb_crash_leaves_one_generation_or_the_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
