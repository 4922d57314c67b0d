/* wfctl crash, and exec --crash-at: a child dies at a named instant, and its workflows survive. */
#include "engine/wf.h"
#include "tests/cli/cli_run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define START(id) "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"" id "\"}\n"
#define SUBMIT(id)                                                                                 \
    "{\"cmd\":\"workflow.submit\",\"id\":\"" id "\",\"step\":\"applicant_submission\",\"data\":{"  \
    "\"personal_info\":\"Ann\",\"ssn\":\"1\",\"employment\":\"x\"},\"key\":\"" id "-1\"}\n"

static const char stream[] = START("L1") SUBMIT("L1") START("L2") "no JSON\n" SUBMIT("L2")
    START("L1") START("L3") SUBMIT("L3") START("L4") SUBMIT("L4") "{\"cmd\":\"status\"}\n";

static char *given_folder; /* $TMPDIR; NULL: none */

/* What a failed run leaves goes into the fixture's folder. */
static int setup(void **state) {
    int result = fixture_setup(state);
    const struct fixture *fixture = *state;
    given_folder = getenv("TMPDIR") ? strdup(getenv("TMPDIR")) : NULL;
    return result != 0 ? result : setenv("TMPDIR", fixture->folder, 1);
}

static int teardown(void **state) {
    if (given_folder)
        setenv("TMPDIR", given_folder, 1);
    else
        unsetenv("TMPDIR");
    free(given_folder);
    return fixture_teardown(state);
}

static const char *stream_path(const struct fixture *fixture) {
    return fixture_path(fixture, "stream");
}

static void write_stream(struct fixture *fixture) {
    fixture_init(fixture);
    fixture_write(fixture, "stream", stream, strlen(stream));
}

static size_t count_points(void) {
    size_t count = 0;
    while (wf_points()[count])
        count++;
    return count;
}

static void test_crash_points_says_what_each_means(void **state) {
    struct fixture *fixture = *state;
    json_t *points = at(ASK(fixture, 0, "crash", "points"), "points");
    assert_int_equal(json_array_size(points), count_points());
    for (size_t i = 0; wf_points()[i]; i++) {
        json_t *point = json_array_get(points, i);
        assert_string_equal(text_at(point, "point"), wf_points()[i]);
        assert_true(strlen(text_at(point, "meaning")) > 10);
    }
    assert_contains(SAY(fixture, 0, "crash", "points"), "wal.after_sync ");
}

static void test_crash_run_survives_a_kill_at_one_point(void **state) {
    struct fixture *fixture = *state;
    json_t *answer = ASK(fixture, 0, "crash", "run", "--at", "wal.after_sync:20");
    assert_true(true_at(answer, "ok"));
    assert_int_equal(json_array_size(at(answer, "runs")), 1);
    assert_string_equal(text_at(answer, "runs.0.point"), "wal.after_sync");
    assert_int_equal(number_at(answer, "runs.0.at"), 20);
    assert_string_equal(text_at(answer, "runs.0.result"), "survived");
    assert_true(number_at(answer, "runs.0.workflows_in_flight") > 0);
    assert_true(number_at(answer, "runs.0.acknowledged") > 0);
    assert_true(number_at(answer, "runs.0.unanswered") > 0);
    assert_true(number_at(answer, "runs.0.durable_lsn") > number_at(answer, "runs.0.acknowledged"));
}

static void test_crash_run_sweeps_all_points(void **state) {
    struct fixture *fixture = *state;
    json_t *answer = ASK(fixture, 0, "crash", "run", "--sweep");
    assert_int_equal(number_at(answer, "survived"), count_points());
    assert_int_equal(number_at(answer, "failed"), 0);
    for (size_t i = 0; wf_points()[i]; i++) {
        json_t *run = json_array_get(at(answer, "runs"), i);
        assert_string_equal(text_at(run, "point"), wf_points()[i]);
        assert_string_equal(text_at(run, "result"), "survived");
        assert_true(number_at(run, "workflows_in_flight") > 0);
    }
}

static void test_crash_run_kills_a_stream_of_the_users(void **state) {
    struct fixture *fixture = *state;
    write_stream(fixture);
    json_t *answer =
        ASK(fixture, 0, "crash", "run", "--at=wal.after_sync:2", "--exec", stream_path(fixture));
    assert_string_equal(text_at(answer, "runs.0.result"), "survived");
    assert_int_equal(number_at(answer, "runs.0.workflows_in_flight"), 4);
    /* The store itself was copied only. */
    assert_int_equal(json_array_size(at(ASK(fixture, 0, "workflow", "list"), "workflows")), 0);
    /* A stream of a few lines fills no segment. */
    SAY(fixture, 1, "crash", "run", "--at", "wal.before_seal", "--exec", stream_path(fixture));
    assert_contains(fixture->out, "passed wal.before_seal 0 times only");
}

/* The record of a session's transaction is that of its operations, which stand in other lines. */
static void test_crash_run_kills_a_stream_of_transactions(void **state) {
    static const char session[] =
        "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"W1\"}\n"
        "{\"cmd\":\"account.open\",\"number\":\"P\",\"type\":\"checking\",\"currency\":\"USD\","
        "\"balance\":\"100.00\"}\n"
        "{\"cmd\":\"session.open\",\"session\":\"s\"}\n";
    struct fixture *fixture = *state;
    static char text[16 * 1024];
    size_t size = (size_t)snprintf(text, sizeof text, "%s", session);
    for (int i = 0; i < 20; i++)
        size += (size_t)snprintf(
            text + size, sizeof text - size,
            "{\"cmd\":\"session.begin\",\"session\":\"s\"}\n"
            "{\"cmd\":\"session.execute\",\"session\":\"s\",\"ops\":[{\"type\":\"withdrawal\","
            "\"from\":\"P\",\"amount\":\"1.00\",\"currency\":\"USD\"}]}\n"
            "{\"cmd\":\"session.commit\",\"session\":\"s\",\"key\":\"c%d\"}\n",
            i);
    fixture_init(fixture);
    fixture_write(fixture, "stream", text, size);
    json_t *answer =
        ASK(fixture, 0, "crash", "run", "--at=wal.after_sync:8", "--exec", stream_path(fixture));
    assert_string_equal(text_at(answer, "runs.0.result"), "survived");
}

static void test_crash_run_sweep_tells_points_that_a_stream_does_not_reach(void **state) {
    struct fixture *fixture = *state;
    write_stream(fixture);
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "W1");
    json_t *answer = ASK(fixture, 0, "crash", "run", "--sweep", "--exec", stream_path(fixture));
    json_t *run;
    size_t i;
    json_array_foreach(at(answer, "runs"), i, run) {
        /* Without a full segment there is no new one, and nothing to archive. */
        bool rotation = strstr(wf_points()[i], "seal") || strstr(wf_points()[i], "create") ||
                        strstr(wf_points()[i], "archive.");
        assert_string_equal(text_at(run, "result"), rotation ? "not_reached" : "survived");
    }
    assert_int_equal(number_at(answer, "not_reached"), 9);
}

static void test_crash_run_fails_where_nothing_was_in_flight(void **state) {
    struct fixture *fixture = *state;
    write_stream(fixture);
    json_t *answer =
        ASK(fixture, 1, "crash", "run", "--at", "wal.before_write", "--exec", stream_path(fixture));
    assert_code(answer, "refused");
    assert_string_equal(text_at(answer, "runs.0.result"), "failed");
    assert_int_equal(number_at(answer, "runs.0.workflows_in_flight"), 0);
    assert_contains(text_at(answer, "runs.0.reason"), "no workflow was in flight");
    assert_int_equal(access(text_at(answer, "runs.0.store"), F_OK), 0);
}

static void test_crash_run_fails_where_the_point_is_not_passed_that_often(void **state) {
    struct fixture *fixture = *state;
    SAY(fixture, 1, "crash", "run", "--at", "snapshot.after_commit:900");
    assert_contains(fixture->out, "nobody was killed");
    assert_contains(fixture->out, "0 survived, 1 failed");
}

static void test_crash_run_refuses_a_bad_command_line(void **state) {
    static const char *const lines[][7] = {
        {"crash", NULL},
        {"crash", "run", NULL},
        {"crash", "run", "--sweep", "--at", "wal.after_sync", NULL},
        {"crash", "run", "--at", "wal.after_lunch", NULL},
        {"crash", "run", "--at", "wal.after_sync:0", NULL},
        {"crash", "run", "--at", "wal.after_sync:x", NULL},
        {"exec", "--crash-at", "wal", NULL},
    };
    struct fixture *fixture = *state;
    fixture_init(fixture);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_string_equal(say(fixture, 2, lines[i]), "");
    fixture_write(fixture, "empty", "\n\n", 2);
    SAY(fixture, 2, "crash", "run", "--sweep", "--exec", fixture_path(fixture, "empty"));
    assert_contains(fixture->err, "holds no commands");
    write_stream(fixture);
    SAY(fixture, 3, "-d", fixture_path(fixture, "nowhere"), "crash", "run", "--sweep", "--exec",
        stream_path(fixture));
}

static void test_exec_dies_where_it_is_told_to(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    const char *const arguments[] = {"exec", "--crash-at", "wal.after_write:1", NULL};
    assert_int_equal(run(fixture, stream, strlen(stream), NULL, arguments), 256 + SIGKILL);
    assert_string_equal(fixture->out, "");
    /* Written and not answered: the page cache kept it, as after any kill. */
    assert_int_equal(json_array_size(at(ASK(fixture, 0, "workflow", "list"), "workflows")), 4);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_crash_points_says_what_each_means),
        TEST(test_crash_run_survives_a_kill_at_one_point),
        TEST(test_crash_run_sweeps_all_points),
        TEST(test_crash_run_kills_a_stream_of_the_users),
        TEST(test_crash_run_kills_a_stream_of_transactions),
        TEST(test_crash_run_sweep_tells_points_that_a_stream_does_not_reach),
        TEST(test_crash_run_fails_where_nothing_was_in_flight),
        TEST(test_crash_run_fails_where_the_point_is_not_passed_that_often),
        TEST(test_crash_run_refuses_a_bad_command_line),
        TEST(test_exec_dies_where_it_is_told_to),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
