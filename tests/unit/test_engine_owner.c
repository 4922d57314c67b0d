/* One owner and its readers, in this process, in others and in forked children: lock.c, open.c, and
 * the backup that copies beside an owner (maintain.c). */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static int setup(void **state) {
    static struct engine_fixture fixture;
    fixture_prepare_disk(&fixture);
    *state = &fixture;
    return 0;
}

static struct wf_options reader_options(void) {
    struct wf_options options;
    wf_options_init(&options);
    options.read_only = true;
    return options;
}

/* --- the same process --- */

static void test_second_engine_of_this_process_is_locked_out(void **state) {
    struct engine_fixture *f = *state;
    struct wf_options reading = reader_options();
    struct wf_engine *second = NULL;
    fixture_open(f);
    fixture_define(f);
    fixture_loan(f, "L1", 1);
    for (int snapshot = 0; snapshot < 2; snapshot++) {
        assert_int_equal(wf_open(f->dir, &f->options, &second, &f->err), WF_LOCKED);
        char pid[32];
        (void)snprintf(pid, sizeof pid, "process %d", (int)getpid());
        assert_non_null(strstr(f->err.text, pid));
        assert_null(second);
        assert_int_equal(wf_open(f->dir, &reading, &second, &f->err), WF_LOCKED);
        assert_null(second);
        must(f, wf_snapshot(f->engine, &f->err));
    }
    /* The first one was not hurt, and still owns it. */
    fixture_loan(f, "L2", 2);
    assert_int_equal(wf_open(f->dir, &f->options, &second, &f->err), WF_LOCKED);
    fixture_reopen(f, true);
    fixture_verify(f);
}

static void test_two_stores_live_in_one_process(void **state) {
    struct engine_fixture *f = *state;
    struct engine_fixture other;
    fixture_open(f);
    fixture_define(f);
    fixture_init_disk(&other);
    fixture_loan(f, "L1", 1);
    fixture_loan(&other, "L1", 3);
    assert_string_not_equal(fixture_hash(f), fixture_hash(&other));
    fixture_deinit(&other);
    fixture_verify(f);
}

/* --- other processes --- */

/* A child that owns the store, and does what it is told over a pipe. Forked before anything is open
 * here. */
struct owner {
    pid_t pid;
    int order, answer;
};

static void obey(struct engine_fixture *f, int order, int answer) {
    char line = 0;
    char id[16];
    int number = 0;
    f->engine = NULL;
    if (wf_open(f->dir, &f->options, &f->engine, NULL) != WF_OK)
        _exit(1);
    fixture_define(f);
    while (write(answer, "k", 1) == 1 && read(order, &line, 1) == 1) {
        if (line == 's' && fixture_start(f, fixture_id(number++, id), NULL) != WF_OK)
            _exit(2);
        if (line == 'c' && wf_snapshot(f->engine, NULL) != WF_OK)
            _exit(3);
        if (line == 'f') { /* a child of its own that outlives it */
            pid_t pid = fork();
            if (pid == 0) {
                alarm(20);
                close(order);
                if (write(answer, &(pid_t){getpid()}, sizeof(pid_t)) != (ssize_t)sizeof(pid_t))
                    _exit(4);
                close(answer);
                pause();
                _exit(0);
            }
        }
        if (line == 'q')
            _exit(wf_close(f->engine, NULL) == WF_OK ? 0 : 5);
    }
    _exit(6);
}

static void await(const struct owner *owner) {
    char answer;
    assert_int_equal(read(owner->answer, &answer, 1), 1);
}

static struct owner begin_owner(struct engine_fixture *f) {
    int order[2];
    int answer[2];
    struct owner owner = {0};
    assert_int_equal(pipe(order), 0);
    assert_int_equal(pipe(answer), 0);
    owner.pid = fork();
    assert_true(owner.pid >= 0);
    if (owner.pid == 0) {
        close(order[1]);
        close(answer[0]);
        obey(f, order[0], answer[1]);
    }
    close(order[0]);
    close(answer[1]);
    owner.order = order[1];
    owner.answer = answer[0];
    await(&owner);
    return owner;
}

static void tell(const struct owner *owner, char order) {
    assert_int_equal(write(owner->order, &order, 1), 1);
    if (order != 'q')
        await(owner);
}

static int end_owner(struct owner *owner, bool kill_it) {
    int status = 0;
    if (kill_it)
        kill(owner->pid, SIGKILL);
    else
        tell(owner, 'q');
    assert_int_equal(waitpid(owner->pid, &status, 0), owner->pid);
    close(owner->order);
    close(owner->answer);
    return status;
}

static void test_reader_beside_a_live_owner_sees_what_is_acknowledged(void **state) {
    struct engine_fixture *f = *state;
    struct owner owner = begin_owner(f);
    struct wf_options reading = reader_options();
    for (int i = 0; i < 12; i++) {
        char id[16];
        tell(&owner, 's');
        if (i % 5 == 3)
            tell(&owner, 'c');
        must(f, wf_open(f->dir, &reading, &f->engine, &f->err));
        struct wf_store_status status = fixture_status(f);
        assert_int_equal(status.durable_lsn, 3 + i);
        assert_int_equal(status.counts[1], i + 1);
        char text[512];
        fixture_describe(f, fixture_id(i, id), UINT64_MAX, text);
        assert_non_null(strstr(text, "running"));
        fixture_verify(f);
        assert_int_equal(fixture_start(f, "mine", NULL), WF_REFUSED);
        fixture_close(f);
    }
    assert_int_equal(end_owner(&owner, false), 0);
}

/* Say in the lock file that the owner's log is durable up to `lsn`. */
static void publish_lsn(struct engine_fixture *f, uint64_t lsn) {
    char path[sizeof f->dir + 8];
    (void)snprintf(path, sizeof path, "%s/lock", f->dir);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    uint8_t bytes[16];
    bytes_store_u64(bytes, lsn);
    bytes_store_u64(bytes + 8, ~lsn);
    assert_int_equal(fseek(file, 32, SEEK_SET), 0);
    assert_int_equal(fwrite(bytes, 1, sizeof bytes, file), sizeof bytes);
    assert_int_equal(fclose(file), 0);
}

/* What the owner has written and not synced may be gone after a crash: nobody may have seen it. */
static void test_reader_stops_where_the_owner_says_that_it_is_durable(void **state) {
    struct engine_fixture *f = *state;
    struct owner owner = begin_owner(f);
    struct wf_options reading = reader_options();
    for (int i = 0; i < 4; i++)
        tell(&owner, 's');
    publish_lsn(f, 4);
    must(f, wf_open(f->dir, &reading, &f->engine, &f->err));
    struct wf_store_status status = fixture_status(f);
    assert_int_equal(status.durable_lsn, 4);
    assert_int_equal(status.counts[1], 2);
    fixture_close(f);
    assert_int_equal(end_owner(&owner, false), 0);
}

static void test_second_process_is_locked_out_with_the_pid(void **state) {
    struct engine_fixture *f = *state;
    struct owner owner = begin_owner(f);
    assert_int_equal(fixture_try_open(f), WF_LOCKED);
    char pid[32];
    (void)snprintf(pid, sizeof pid, "process %d", (int)owner.pid);
    assert_non_null(strstr(f->err.text, pid));
    struct wf_log_report report;
    assert_int_equal(wf_log_repair(f->dir, 0, NULL, NULL, &report, &f->err), WF_LOCKED);
    tell(&owner, 's'); /* it was not disturbed */
    assert_int_equal(end_owner(&owner, true), SIGKILL);
    fixture_open(f);
    assert_int_equal(fixture_status(f).counts[1], 1);
    fixture_verify(f);
}

static void test_child_of_a_dead_owner_does_not_keep_the_lock(void **state) {
    struct engine_fixture *f = *state;
    struct owner owner = begin_owner(f);
    pid_t orphan = 0;
    tell(&owner, 's');
    assert_int_equal(write(owner.order, "f", 1), 1);
    /* The grandchild's pid and the child's "k" come in any order. */
    char answer[1 + sizeof orphan];
    size_t got = 0;
    while (got < sizeof answer) {
        ssize_t more = read(owner.answer, answer + got, sizeof answer - got);
        assert_true(more > 0);
        got += (size_t)more;
    }
    memcpy(&orphan, answer[0] == 'k' ? answer + 1 : answer, sizeof orphan);
    (void)end_owner(&owner, true);
    enum wf_status status = fixture_try_open(f);
    assert_int_equal(kill(orphan, 0), 0); /* it was alive all the time */
    kill(orphan, SIGKILL);
    must(f, status);
    assert_int_equal(fixture_start(f, "after", NULL), WF_OK);
    fixture_verify(f);
}

/* --- backup --- */

struct writer {
    struct engine_fixture *fixture;
    _Atomic bool stop;
    _Atomic int acknowledged;
    pthread_t thread;
};

static void *write_on(void *ctx) {
    struct writer *writer = ctx;
    for (int i = 0; !atomic_load(&writer->stop); i++) {
        char id[16];
        struct wf_command command = {
            .kind = WF_WORKFLOW_START, .id = fixture_id(i, id), .type = "loan_application"};
        if (wf_execute(writer->fixture->engine, &command, NULL, NULL) != WF_OK)
            return (void *)"a command failed";
        atomic_store(&writer->acknowledged, i + 1);
    }
    return NULL;
}

static void check_copy(struct engine_fixture *f, const char *to, uint64_t lsn) {
    struct engine_fixture copy = *f;
    copy.engine = NULL;
    (void)snprintf(copy.dir, sizeof copy.dir, "%s", to);
    fixture_open(&copy);
    assert_int_equal(fixture_status(&copy).durable_lsn, lsn);
    assert_string_equal(fixture_status(&copy).notes, "");
    fixture_verify(&copy);
    fixture_loan(&copy, "new", 1);
    fixture_close(&copy);
}

static void test_backup_while_another_thread_writes(void **state) {
    struct engine_fixture *f = *state;
    fixture_open(f);
    fixture_define(f);
    struct writer writer = {.fixture = f};
    assert_int_equal(pthread_create(&writer.thread, NULL, write_on, &writer), 0);
    for (int i = 0; i < 3; i++) {
        char to[FIXTURE_PATH_MAX + 32];
        uint64_t lsn = 0;
        (void)snprintf(to, sizeof to, "%s/copy%d", f->root, i);
        while (atomic_load(&writer.acknowledged) < 50 * (i + 1))
            usleep(1000);
        int before = atomic_load(&writer.acknowledged);
        enum wf_status status = wf_backup(f->dir, to, &lsn, &f->err);
        if (status != WF_OK) {
            atomic_store(&writer.stop, true);
            pthread_join(writer.thread, NULL);
            must(f, status);
        }
        assert_true(lsn >= (uint64_t)before + 2);
        check_copy(f, to, lsn);
        if (i == 1)
            must(f, wf_snapshot(f->engine, &f->err));
    }
    void *wrong = NULL;
    atomic_store(&writer.stop, true);
    pthread_join(writer.thread, &wrong);
    assert_null(wrong);
    fixture_verify(f);
}

static void test_backup_beside_another_process(void **state) {
    struct engine_fixture *f = *state;
    struct owner owner = begin_owner(f);
    char to[FIXTURE_PATH_MAX + 32];
    uint64_t lsn = 0;
    (void)snprintf(to, sizeof to, "%s/copy", f->root);
    for (int i = 0; i < 20; i++)
        tell(&owner, 's');
    tell(&owner, 'c');
    tell(&owner, 's');
    must(f, wf_backup(f->dir, to, &lsn, &f->err));
    assert_int_equal(lsn, 23);
    check_copy(f, to, lsn);
    assert_int_equal(wf_backup(f->dir, to, &lsn, &f->err), WF_REFUSED);
    assert_int_equal(end_owner(&owner, false), 0);
}

static void test_backup_goes_over_the_remains_of_another(void **state) {
    struct engine_fixture *f = *state;
    char to[FIXTURE_PATH_MAX + 32];
    char command[2 * FIXTURE_PATH_MAX + 200];
    uint64_t lsn = 0;
    fixture_open(f);
    fixture_define(f);
    fixture_loan(f, "L1", 3);
    fixture_close(f);
    (void)snprintf(to, sizeof to, "%s/copy", f->root);
    (void)snprintf(command, sizeof command,
                   "mkdir -p '%s.partial/wal' && head -c 200000 /dev/zero "
                   ">'%s.partial/wal/00000000000000000001.seg'",
                   to, to);
    assert_int_equal(system(command), 0);
    must(f, wf_backup(f->dir, to, &lsn, &f->err));
    check_copy(f, to, lsn);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
        TEST(test_second_engine_of_this_process_is_locked_out),
        TEST(test_two_stores_live_in_one_process),
        TEST(test_reader_beside_a_live_owner_sees_what_is_acknowledged),
        TEST(test_reader_stops_where_the_owner_says_that_it_is_durable),
        TEST(test_second_process_is_locked_out_with_the_pid),
        TEST(test_child_of_a_dead_owner_does_not_keep_the_lock),
        TEST(test_backup_while_another_thread_writes),
        TEST(test_backup_beside_another_process),
        TEST(test_backup_goes_over_the_remains_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
