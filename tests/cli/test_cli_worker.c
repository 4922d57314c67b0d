/* Handlers run by real programs: wfctl worker, task list and retry, and workers over the stream. */
#include "tests/cli/cli_run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A program in the fixture's folder, in shell. */
static void program(struct fixture *fixture, const char *name, const char *script) {
    char text[2048];
    snprintf(text, sizeof text, "#!/bin/sh\ncd '%s' || exit 9\n%s\n", fixture->folder, script);
    fixture_write(fixture, name, text, strlen(text));
    assert_int_equal(chmod(fixture_path(fixture, name), 0755), 0);
}

/* A store with the test clock, or the machine's, and the type w: stage a runs ./work, and ./undo
 * undoes it; then stage b, by step t. */
static void make_store(struct fixture *fixture, bool test_clock, const char *timeout) {
    char yaml[2048];
    if (test_clock)
        fixture_init(fixture);
    else
        SAY(fixture, 0, "init");
    snprintf(yaml, sizeof yaml,
             "workflow: w\nversion: 1\nsteps: {t: {completes: b}}\nstages:\n"
             "  - {name: a, handler: {exec: [%s/work, one, two words], timeout: %s, attempts: 3,"
             " backoff: 1s}, compensate: {exec: [%s/undo], timeout: 10s, attempts: 2,"
             " backoff: 1s}}\n  - {name: b, needs: [a]}\n",
             fixture->folder, timeout, fixture->folder);
    fixture_write(fixture, "w.yaml", yaml, strlen(yaml));
    SAY(fixture, 0, "def", "add", fixture_path(fixture, "w.yaml"));
    SAY(fixture, 0, "workflow", "start", "w", "--id", "W1", "color=red");
}

static char *read_file(struct fixture *fixture, const char *name) {
    static char text[4096];
    FILE *file = fopen(fixture_path(fixture, name), "r");
    size_t size = file != NULL ? fread(text, 1, sizeof text - 1, file) : 0;
    text[size] = '\0';
    if (file != NULL)
        fclose(file);
    return text;
}

static void test_worker_runs_a_program_and_its_fields_join_the_data(void **state) {
    struct fixture *fixture = *state;
    program(fixture, "work",
            "cat >stdin.json; echo \"$# $2\" >args; echo '{\"fields\":{\"score\":7,\"ok\":true}}'");
    make_store(fixture, true, "10s");
    assert_int_equal(number_at(ASK(fixture, 0, "worker", "--until-idle"), "attempts"), 1);
    json_t *now = ASK(fixture, 0, "workflow", "show", "W1");
    assert_string_equal(text_at(now, "stages.0.status"), "completed");
    assert_string_equal(text_at(now, "stages.1.status"), "active");
    assert_string_equal(text_at(now, "data.score"), "7");
    assert_string_equal(text_at(now, "data.ok"), "true");
    assert_string_equal(read_file(fixture, "args"), "2 two words\n");
    json_t *task = at(parse_lines(fixture, read_file(fixture, "stdin.json")), "0");
    assert_string_equal(text_at(task, "workflow"), "w");
    assert_string_equal(text_at(task, "id"), "W1");
    assert_string_equal(text_at(task, "stage"), "a");
    assert_int_equal(number_at(task, "epoch"), 1);
    assert_int_equal(number_at(task, "attempt"), 1);
    assert_string_equal(text_at(task, "key"), "W1/a/1");
    assert_string_equal(text_at(task, "data.color"), "red");
    const char *history = SAY(fixture, 0, "workflow", "history", "W1");
    assert_contains(history, "task.claim");
    assert_contains(history, "a claimed, try 1 by ");
    assert_contains(history, "a completed");
    SAY(fixture, 0, "replay", "--verify");
}

static void test_worker_backs_off_on_the_stores_clock_then_parks(void **state) {
    struct fixture *fixture = *state;
    program(fixture, "work", "echo 'no disk' >&2; exit 3");
    make_store(fixture, true, "10s");
    SAY(fixture, 0, "workflow", "start", "w", "--id", "W2");
    assert_int_equal(number_at(ASK(fixture, 0, "worker", "--until-idle"), "attempts"), 2);
    json_t *tasks = ASK(fixture, 0, "task", "list");
    assert_string_equal(text_at(tasks, "tasks.0.status"), "due");
    assert_string_equal(text_at(tasks, "tasks.0.reason"), "exit status 3: no disk");
    assert_string_equal(text_at(tasks, "tasks.0.due"), "2026-01-01T00:00:01Z");
    assert_int_equal(number_at(ASK(fixture, 0, "worker", "--until-idle"), "attempts"), 0);
    SAY(fixture, 0, "clock", "advance", "1s");
    assert_int_equal(number_at(ASK(fixture, 0, "worker", "--until-idle"), "attempts"), 2);
    SAY(fixture, 0, "clock", "advance", "1s"); /* the second wait is of two seconds */
    assert_int_equal(number_at(ASK(fixture, 0, "worker", "--until-idle"), "attempts"), 0);
    SAY(fixture, 0, "clock", "advance", "1s");
    assert_int_equal(number_at(ASK(fixture, 0, "worker", "--until-idle"), "attempts"), 2);
    json_t *now = ASK(fixture, 0, "workflow", "show", "W1");
    assert_string_equal(text_at(now, "tasks.0.status"), "parked");
    assert_string_equal(text_at(now, "status"), "running");
    assert_contains(SAY(fixture, 0, "workflow", "show", "W1"), "attempt 3 of 3");
    program(fixture, "work", "exit 0");
    SAY(fixture, 0, "clock", "advance", "1h");
    assert_int_equal(number_at(ASK(fixture, 0, "worker", "--until-idle"), "attempts"), 0);
    assert_code(ASK(fixture, 1, "task", "retry", "W1", "b"), "refused");
    SAY(fixture, 0, "task", "retry", "W1", "a");
    assert_int_equal(number_at(ASK(fixture, 0, "worker", "--until-idle"), "attempts"), 1);
    assert_string_equal(text_at(ASK(fixture, 0, "workflow", "show", "W1"), "stage"), "b");
    assert_contains(SAY(fixture, 0, "task", "list"), "W2");
}

static void test_worker_kills_the_group_of_a_program_that_hangs(void **state) {
    struct fixture *fixture = *state;
    program(fixture, "work", "(sleep 4; echo late >late) & sleep 60");
    make_store(fixture, true, "1s");
    SAY(fixture, 0, "worker", "--once");
    json_t *tasks = ASK(fixture, 0, "task", "list");
    assert_string_equal(text_at(tasks, "tasks.0.reason"), "killed after its timeout of 1000 ms");
    nanosleep(&(struct timespec){4, 500000000}, NULL);
    assert_int_equal(access(fixture_path(fixture, "late"), F_OK), -1);
}

static void reason_is(struct fixture *fixture, const char *script, const char *reason) {
    program(fixture, "work", script);
    SAY(fixture, 0, "clock", "advance", "1h");
    SAY(fixture, 0, "worker", "--once");
    assert_contains(text_at(ASK(fixture, 0, "task", "list"), "tasks.0.reason"), reason);
}

static void test_worker_says_why_an_attempt_failed(void **state) {
    struct fixture *fixture = *state;
    program(fixture, "work", "exit 1");
    make_store(fixture, true, "10s");
    reason_is(fixture, "kill -SEGV $$", "ended by signal 11");
    reason_is(fixture, "echo hello", "the program's answer is no JSON object");
    reason_is(fixture, "echo '{\"fields\":{\"x\":[1]}}'", "has a field 'x' that is no text");
    SAY(fixture, 0, "task", "retry", "W1", "a");
    reason_is(fixture, "yes | head -c 3000000", "more than 1048576 bytes of output");
    reason_is(fixture, "exec 0<&-; exit 5", "exit status 5");
    assert_int_equal(unlink(fixture_path(fixture, "work")), 0);
    SAY(fixture, 0, "clock", "advance", "1h");
    SAY(fixture, 0, "worker", "--once");
    assert_contains(text_at(ASK(fixture, 0, "task", "list"), "tasks.0.reason"), "cannot run");
}

static void test_worker_survives_a_program_that_reads_nothing(void **state) {
    struct fixture *fixture = *state;
    char big[60001];
    memset(big, 'x', sizeof big - 1);
    memcpy(big, "big=", 4);
    big[60000] = '\0';
    program(fixture, "work", "exec <&-; sleep 0.3; exit 0");
    make_store(fixture, true, "10s");
    char big2[60001];
    memcpy(big2, big, sizeof big);
    big2[0] = 'B';
    SAY(fixture, 0, "workflow", "start", "w", "--id", "W0", big, big2); /* more than a pipe holds */
    assert_int_equal(number_at(ASK(fixture, 0, "worker", "--until-idle"), "attempts"), 2);
    assert_string_equal(text_at(ASK(fixture, 0, "workflow", "show", "W0"), "stage"), "b");
}

static void test_worker_runs_several_at_a_time(void **state) {
    struct fixture *fixture = *state;
    /* Each waits for the other: one alone would never end. */
    program(fixture, "work",
            "touch here.$$; i=0; while [ \"$(ls | grep -c '^here')\" -lt 2 ]; do i=$((i+1)); "
            "[ $i -gt 200 ] && exit 1; sleep 0.05; done");
    make_store(fixture, true, "30s");
    SAY(fixture, 0, "workflow", "start", "w", "--id", "W2");
    json_t *done = ASK(fixture, 0, "worker", "--until-idle", "--concurrency", "2");
    assert_int_equal(number_at(done, "attempts"), 2);
    assert_string_equal(text_at(ASK(fixture, 0, "workflow", "show", "W2"), "stage"), "b");
}

static pid_t start_worker(struct fixture *fixture) {
    pid_t pid = fork();
    if (pid == 0) {
        const char *wfctl = getenv("WFCTL");
        execl(wfctl != NULL ? wfctl : "build/wfctl", "wfctl", "-d", fixture->store, "worker",
              (char *)NULL);
        _exit(127);
    }
    return pid;
}

static void await_file(struct fixture *fixture, const char *name) {
    for (int i = 0; access(fixture_path(fixture, name), F_OK) != 0; i++) {
        assert_true(i < 1000);
        nanosleep(&(struct timespec){0, 20000000}, NULL);
    }
}

/* The effect is outside, the answer is not recorded: it runs again, under the same key, and what it
 * returns is recorded once. */
static void test_worker_killed_between_effect_and_record(void **state) {
    struct fixture *fixture = *state;
    program(fixture, "work",
            "sed 's/.*\"key\":\"\\([^\"]*\\)\".*/\\1/' >>keys; touch began; "
            "[ -e again ] || sleep 5; echo '{\"fields\":{\"n\":\"1\"}}'");
    make_store(fixture, true, "20s");
    pid_t pid = start_worker(fixture);
    await_file(fixture, "began");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    fixture_write(fixture, "again", "", 0);
    json_t *tasks = ASK(fixture, 0, "task", "list");
    assert_string_equal(text_at(tasks, "tasks.0.status"), "claimed"); /* before the dispatch */
    assert_int_equal(number_at(tasks, "tasks.0.attempt"), 1);
    assert_int_equal(number_at(ASK(fixture, 0, "worker", "--until-idle"), "attempts"), 0);
    SAY(fixture, 0, "clock", "advance", "25s"); /* its lease */
    assert_int_equal(number_at(ASK(fixture, 0, "worker", "--until-idle"), "attempts"), 1);
    assert_string_equal(read_file(fixture, "keys"), "W1/a/1\nW1/a/1\n");
    json_t *now = ASK(fixture, 0, "workflow", "show", "W1");
    assert_string_equal(text_at(now, "stages.0.status"), "completed");
    assert_string_equal(text_at(now, "data.n"), "1");
    SAY(fixture, 0, "replay", "--verify");
}

static void test_worker_compensates_once_and_after_a_cancel(void **state) {
    struct fixture *fixture = *state;
    program(fixture, "work", "exit 0");
    program(fixture, "undo", "cat >>undone; echo >>undone");
    make_store(fixture, true, "10s");
    SAY(fixture, 0, "worker", "--until-idle");
    SAY(fixture, 0, "workflow", "cancel", "W1", "--reason", "enough", "--rollback");
    json_t *now = ASK(fixture, 0, "workflow", "show", "W1");
    assert_string_equal(text_at(now, "status"), "cancelled");
    assert_true(true_at(now, "tasks.0.compensate"));
    assert_int_equal(number_at(ASK(fixture, 0, "worker", "--until-idle"), "attempts"), 1);
    assert_int_equal(number_at(ASK(fixture, 0, "worker", "--until-idle"), "attempts"), 0);
    assert_contains(read_file(fixture, "undone"), "\"key\":\"W1/a/1/compensate\"");
    assert_string_equal(strchr(read_file(fixture, "undone"), '\n'), "\n\n");
}

static void test_workers_over_a_stream_are_fenced(void **state) {
    struct fixture *fixture = *state;
    program(fixture, "work", "exit 0");
    make_store(fixture, true, "10s");
    json_t *answers = exec_lines(
        fixture, 0,
        "{\"cmd\":\"task.claim\",\"worker\":\"slow\",\"lease\":\"5s\"}\n"
        "{\"cmd\":\"task.claim\",\"worker\":\"quick\"}\n"
        "{\"cmd\":\"clock.advance\",\"duration\":\"5s\"}\n"
        "{\"cmd\":\"task.claim\",\"worker\":\"quick\"}\n"
        "{\"cmd\":\"task.complete\",\"id\":\"W1\",\"stage\":\"a\",\"epoch\":1,\"attempt\":1,"
        "\"worker\":\"slow\",\"data\":{\"who\":\"slow\"}}\n"
        "{\"cmd\":\"task.fail\",\"id\":\"W1\",\"stage\":\"a\",\"epoch\":1,\"attempt\":2,"
        "\"worker\":\"quick\",\"reason\":\"busy\"}\n"
        "{\"cmd\":\"task.list\"}\n"
        "{\"cmd\":\"clock.advance\",\"duration\":\"2s\"}\n"
        "{\"cmd\":\"task.claim\",\"worker\":\"quick\"}\n"
        "{\"cmd\":\"task.complete\",\"id\":\"W1\",\"stage\":\"a\",\"epoch\":1,\"attempt\":3,"
        "\"worker\":\"quick\",\"data\":{\"who\":\"quick\"},\"key\":\"k\"}\n"
        "{\"cmd\":\"task.complete\",\"id\":\"W1\",\"stage\":\"a\",\"epoch\":1,\"attempt\":3,"
        "\"worker\":\"quick\",\"data\":{\"who\":\"quick\"},\"key\":\"k\"}\n"
        "{\"cmd\":\"workflow.show\",\"id\":\"W1\"}\n");
    assert_string_equal(text_at(answers, "0.result.task.key"), "W1/a/1");
    assert_string_equal(text_at(answers, "0.result.task.program.1"), "one");
    assert_true(null_at(answers, "1.result.task"));
    assert_string_equal(text_at(answers, "1.result.next"), "2026-01-01T00:00:05Z");
    assert_int_equal(number_at(answers, "3.result.task.attempt"), 2);
    assert_string_equal(text_at(answers, "4.error.code"), "refused");
    assert_string_equal(text_at(answers, "5.result.outcome"), "retry_later");
    assert_string_equal(text_at(answers, "6.result.tasks.0.reason"), "busy");
    assert_string_equal(text_at(answers, "6.result.tasks.0.due"), "2026-01-01T00:00:07Z");
    assert_int_equal(number_at(answers, "8.result.task.attempt"), 3);
    assert_true(true_at(answers, "9.ok"));
    assert_true(true_at(answers, "10.replayed"));
    assert_string_equal(text_at(answers, "11.result.data.who"), "quick");
    assert_contains(SAY(fixture, 0, "workflow", "history", "W1"),
                    "no longer claimed by worker slow: the answer has no effect");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(test_worker_runs_a_program_and_its_fields_join_the_data),
        TEST(test_worker_backs_off_on_the_stores_clock_then_parks),
        TEST(test_worker_kills_the_group_of_a_program_that_hangs),
        TEST(test_worker_says_why_an_attempt_failed),
        TEST(test_worker_survives_a_program_that_reads_nothing),
        TEST(test_worker_runs_several_at_a_time),
        TEST(test_worker_killed_between_effect_and_record),
        TEST(test_worker_compensates_once_and_after_a_cancel),
        TEST(test_workers_over_a_stream_are_fenced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
