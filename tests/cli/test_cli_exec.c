/* wfctl exec: one answer a line, in order, when it is durable, whatever the lines hold. */
#include "tests/cli/cli_run.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#define START(id) "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"" id "\"}\n"
#define SUBMIT(id, step, members)                                                                  \
    "{\"cmd\":\"workflow.submit\",\"id\":\"" id "\",\"step\":\"" step "\"," members "}\n"
#define APPLICATION "\"data\":{\"personal_info\":\"Ann\",\"ssn\":\"1\",\"employment\":\"x\"}"

static const char *const exec_only[] = {"exec", NULL};

static void test_exec_answers_in_order_with_results(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers = exec_lines(
        fixture, 0,
        START("L1") SUBMIT("L1", "applicant_submission", APPLICATION)
            SUBMIT("L1", "credit_bureau_response",
                   "\"data\":{\"credit_score\":\"750\",\"history\":\"ok\"},\"tag\":\"any\""));
    assert_int_equal(json_array_size(answers), 3);
    assert_true(true_at(answers, "0.ok"));
    assert_string_equal(text_at(answers, "0.result.outcome"), "recorded");
    assert_true(null_at(answers, "0.result.stage"));
    assert_string_equal(text_at(answers, "1.result.outcome"), "credit_check_initiated");
    assert_int_equal(number_at(answers, "1.lsn"), number_at(answers, "0.lsn") + 1);
    assert_string_equal(text_at(answers, "2.tag"), "any");
    assert_string_equal(text_at(answers, "2.result.stage"), "income_verification");
    assert_string_equal(text_at(answers, "2.result.status"), "running");
    assert_string_equal(text_at(answers, "2.result.activated.0"), "income_verification");
}

static void test_exec_drops_archives(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    exec_lines(fixture, 0, START("L1") START("L2"));
    ASK(fixture, 0, "archive", "run", "--seal");
    ASK(fixture, 0, "clock", "advance", "1s");
    json_t *answers = exec_lines(
        fixture, 0,
        START("L3") "{\"cmd\":\"archive.drop\",\"before\":6,\"reason\":\"old\"}\n"
                    "{\"cmd\":\"archive.drop\",\"before\":\"2026-01-01T00:00:01Z\","
                    "\"reason\":\"old\",\"actor\":\"ann\",\"key\":\"k\"}\n"
                    "{\"cmd\":\"archive.drop\",\"before\":\"2026-01-01T00:00:01Z\","
                    "\"reason\":\"old\",\"actor\":\"ann\",\"key\":\"k\"}\n"
                    "{\"cmd\":\"archive.drop\",\"before\":8,\"reason\":\"old\",\"actor\":\"ann\"}\n"
                    "{\"cmd\":\"status\"}\n");
    assert_string_equal(text_at(answers, "1.error.code"), "usage");
    assert_int_equal(number_at(answers, "2.lsn"), 7);
    assert_int_equal(number_at(answers, "2.result.last_lsn"), 4);
    assert_int_equal(number_at(answers, "3.lsn"), 7);
    assert_true(true_at(answers, "3.result.replayed"));
    assert_string_equal(text_at(answers, "4.error.code"), "refused");
    assert_int_equal(number_at(answers, "5.result.dropped_lsn"), 4);
}

static void test_exec_echoes_any_tag(void **state) {
    static const char *const tags[] = {
        "\"a \\\"b\\\" \\u00e9\\n\"", "17", "-2.5", "null", "false", "[1,{\"a\":[]}]", "{}"};
    struct fixture *fixture = *state;
    fixture_init(fixture);
    char lines[2000] = "";
    for (size_t i = 0; i < 7; i++)
        sprintf(lines + strlen(lines), "{\"cmd\":\"%s\",\"tag\":%s}\n",
                i % 2 ? "nonsense" : "clock.show", tags[i]);
    json_t *answers = exec_lines(fixture, 0, lines);
    for (size_t i = 0; i < 7; i++) {
        json_t *tag = json_loads(tags[i], JSON_DECODE_ANY, NULL);
        assert_true(json_equal(tag, at(json_array_get(answers, i), "tag")));
        json_decref(tag);
    }
}

static void test_exec_key_answers_as_the_first_time(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    static const char line[] =
        "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"L1\",\"key\":\"k\"}\n";
    static const char other[] =
        "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"L2\",\"key\":\"k\"}\n";
    char lines[400];
    snprintf(lines, sizeof lines, "%s%s%s", line, line, other);
    json_t *answers = exec_lines(fixture, 0, lines);
    assert_null(json_object_get(at(answers, "0"), "replayed"));
    assert_true(true_at(answers, "1.replayed"));
    assert_int_equal(number_at(answers, "1.lsn"), number_at(answers, "0.lsn"));
    assert_true(json_equal(at(answers, "1.result"), at(answers, "0.result")));
    assert_code(at(answers, "2"), "conflict");
    answers = exec_lines(fixture, 0, line); /* another process */
    assert_true(true_at(answers, "0.replayed"));
}

static void test_exec_refuses_what_is_not_there(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers = exec_lines(
        fixture, 0,
        START("L1")
            START("L1") "{\"cmd\":\"workflow.start\",\"type\":\"mortgage\",\"id\":\"M\"}\n" SUBMIT(
                "L9", "applicant_submission", APPLICATION) SUBMIT("L1", "no_such_step", APPLICATION)
                SUBMIT(
                    "L1", "approval_decision",
                    "\"data\":{\"decision\":\"yes\"}") "{\"cmd\":\"workflow.fail\",\"id\":\"L1\","
                                                       "\"stage\":\"no_such\",\"reason\":\"r\"}\n");
    static const char *const codes[] = {NULL,        "refused", "not_found", "not_found",
                                        "not_found", "refused", "not_found"};
    assert_int_equal(json_array_size(answers), 7);
    for (size_t i = 1; i < 7; i++)
        assert_code(json_array_get(answers, i), codes[i]);
}

static void test_exec_queries_see_what_was_before_them(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers =
        exec_lines(fixture, 0,
                   "{\"cmd\":\"workflow.list\"}\n" START(
                       "L1") "{\"cmd\":\"workflow.show\",\"id\":\"L1\",\"tag\":1}"
                             "\n" SUBMIT("L1", "applicant_submission",
                                         APPLICATION) "{\"cmd\":\"workflow.show\","
                                                      "\"id\":\"L1\"}\n"
                                                      "{\"cmd\":\"workflow.history\","
                                                      "\"id\":\"L1\"}\n"
                                                      "{\"cmd\":\"workflow.list\","
                                                      "\"stage\":\"credit_check\","
                                                      "\"limit\":1}\n"
                                                      "{\"cmd\":\"workflow.list\","
                                                      "\"where\":{\"ssn\":\"2\"}}\n"
                                                      "{\"cmd\":\"status\"}\n"
                                                      "{\"cmd\":\"workflow.show\","
                                                      "\"id\":\"L2\"}\n"
                                                      "{\"cmd\":\"workflow.show\","
                                                      "\"id\":\"L1\",\"as_of\":3}\n"
                                                      "{\"cmd\":\"def.list\"}\n"
                                                      "{\"cmd\":\"def.show\",\"name\":"
                                                      "\"loan_application\"}\n");
    assert_int_equal(json_array_size(at(answers, "0.result.workflows")), 0);
    assert_true(null_at(answers, "2.result.stage"));
    assert_int_equal(number_at(answers, "2.tag"), 1);
    assert_string_equal(text_at(answers, "4.result.stage"), "credit_check");
    assert_int_equal(json_array_size(at(answers, "5.result.events")), 3);
    assert_string_equal(text_at(answers, "6.result.workflows.0.id"), "L1");
    assert_int_equal(json_array_size(at(answers, "7.result.workflows")), 0);
    assert_int_equal(number_at(answers, "8.result.durable_lsn"), number_at(answers, "3.lsn"));
    assert_code(at(answers, "9"), "not_found");
    assert_true(null_at(answers, "10.result.stage"));
    assert_string_equal(text_at(answers, "11.result.definitions.0.name"), "loan_application");
    assert_contains(text_at(answers, "12.result.source"), "workflow: loan_application");
}

static void test_exec_advances_the_clock(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers = exec_lines(fixture, 0,
                                 "{\"cmd\":\"clock.advance\",\"duration\":\"1h30m\"}\n"
                                 "{\"cmd\":\"clock.advance\",\"duration\":\"soon\"}\n"
                                 "{\"cmd\":\"clock.show\"}\n"
                                 "{\"cmd\":\"snapshot.create\"}\n");
    assert_string_equal(text_at(answers, "0.result.now"), "2026-01-01T01:30:00Z");
    assert_true(number_at(answers, "0.lsn") > 0);
    assert_code(at(answers, "1"), "usage");
    assert_string_equal(text_at(answers, "2.result.now"), "2026-01-01T01:30:00Z");
    assert_int_equal(number_at(answers, "3.result.snapshot_lsn"), number_at(answers, "0.lsn"));
}

static void test_exec_adds_definitions(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers =
        exec_lines(fixture, 0,
                   "{\"cmd\":\"def.add\",\"text\":\"workflow: w\\nversion: 1\\nsteps:\\n  a: "
                   "{completes: s}\\nstages:\\n  - {name: s, needs: []}\\n\"}\n"
                   "{\"cmd\":\"def.add\",\"text\":\"workflow: [\"}\n");
    assert_int_equal(number_at(answers, "0.result.version"), 1);
    assert_code(at(answers, "1"), "usage");
}

static void test_exec_takes_numbers_and_booleans_as_text(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers = exec_lines(
        fixture, 0,
        "{\"cmd\":\"workflow.start\",\"workflow\":\"loan_application\",\"id\":\"L1\",\"data\":"
        "{\"i\":750,\"r\":0.1,\"big\":-9007199254740993,\"t\":true,\"f\":false}}\n"
        "{\"cmd\":\"workflow.show\",\"id\":\"L1\"}\n");
    assert_string_equal(text_at(answers, "1.result.data.i"), "750");
    assert_string_equal(text_at(answers, "1.result.data.r"), "0.1");
    assert_string_equal(text_at(answers, "1.result.data.big"), "-9007199254740993");
    assert_string_equal(text_at(answers, "1.result.data.t"), "true");
    assert_string_equal(text_at(answers, "1.result.data.f"), "false");
}

static void test_exec_answers_bad_lines_and_goes_on(void **state) {
    static const char *const bad[] = {
        "",
        "   ",
        "rubbish",
        "\xff\xfe\x80",
        "{\"cmd\":\"status\",\"tag\":\"\xc3\"}",
        "[]",
        "17",
        "{}",
        "{\"cmd\":17}",
        "{\"cmd\":\"workflow.rollback\",\"id\":\"L1\"}",
        "{\"cmd\":\"status\"} x",
        "{\"cmd\":\"status\",\"cmd\":\"status\"}",
        "{\"cmd\":\"status\",\"id\":\"L1\"}",
        "{\"cmd\":\"workflow.show\"}",
        "{\"cmd\":\"workflow.show\",\"id\":17}",
        "{\"cmd\":\"workflow.show\",\"id\":\"a\\u0000b\"}",
        "{\"cmd\":\"workflow.show\",\"id\":\"L1\",\"as_of\":\"3\"}",
        "{\"cmd\":\"workflow.start\",\"id\":\"L1\"}",
        "{\"cmd\":\"workflow.start\",\"id\":\"\",\"type\":\"loan_application\"}",
        "{\"cmd\":\"workflow.start\",\"id\":\"L2\",\"type\":\"t\",\"data\":[]}",
        "{\"cmd\":\"workflow.start\",\"id\":\"L2\",\"type\":\"t\",\"data\":{\"a\":{}}}",
        "{\"cmd\":\"workflow.start\",\"id\":\"L2\",\"type\":\"t\",\"data\":{\"a\":null}}",
        "{\"cmd\":\"workflow.start\",\"id\":\"L2\",\"type\":\"t\",\"workflow\":\"t\"}",
    };
    enum { COUNT = sizeof bad / sizeof bad[0] };
    struct fixture *fixture = *state;
    fixture_init(fixture);
    char lines[8192] = "";
    for (size_t i = 0; i < COUNT; i++)
        strcat(strcat(lines, bad[i]), "\n");
    strcat(lines, "{\"cmd\":\"clock.show\"}");
    json_t *answers = exec_lines(fixture, 0, lines);
    assert_int_equal(json_array_size(answers), COUNT + 1);
    for (size_t i = 0; i < COUNT; i++)
        assert_code(json_array_get(answers, i), "usage");
    assert_true(true_at(json_array_get(answers, COUNT), "ok"));
}

static void test_exec_names_the_unknown_member_and_keeps_the_tag(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers = exec_lines(
        fixture, 0, "{\"cmd\":\"workflow.show\",\"id\":\"L1\",\"colour\":1,\"tag\":\"t\"}\n");
    assert_contains(text_at(answers, "0.error.message"), "'colour'");
    assert_string_equal(text_at(answers, "0.tag"), "t");
}

static void test_exec_survives_binary_rubbish(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    static char rubbish[200000];
    size_t lines = 0;
    for (size_t i = 0; i < sizeof rubbish; i++) {
        rubbish[i] = (char)(rand_r(&seed) >> 8);
        lines += rubbish[i] == '\n';
    }
    static const char last[] = "\n{\"cmd\":\"clock.show\"}\n";
    memcpy(rubbish + sizeof rubbish - strlen(last), last, strlen(last));
    exec_bytes(fixture, 0, rubbish, sizeof rubbish);
    size_t answered = 0;
    for (const char *text = fixture->out; (text = strchr(text, '\n')); text++)
        answered++;
    assert_true(answered + 25 > lines); /* the end of the rubbish was written over */
    assert_contains(fixture->out, "{\"ok\":true,\"result\":{\"clock\":\"test\"");
}

static void test_exec_skips_a_line_that_is_too_long(void **state) {
    enum { SIZE = 18 << 20 };
    struct fixture *fixture = *state;
    fixture_init(fixture);
    char *lines = malloc(SIZE + 100);
    assert_non_null(lines);
    memset(lines, 'x', SIZE);
    strcpy(lines + SIZE, "\n{\"cmd\":\"clock.show\"}\n");
    json_t *answers = exec_lines(fixture, 0, lines);
    free(lines);
    assert_int_equal(json_array_size(answers), 2);
    assert_code(at(answers, "0"), "usage");
    assert_true(true_at(answers, "1.ok"));
}

static void test_exec_takes_values_up_to_the_limit(void **state) {
    enum { VALUE = 64 * 1024, FIELDS = 120 };
    struct fixture *fixture = *state;
    fixture_init(fixture);
    char *line = malloc((size_t)FIELDS * (VALUE + 32) + 200), *end = line;
    assert_non_null(line);
    end += sprintf(
        end, "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"L1\",\"data\":{");
    for (int i = 0; i < FIELDS; i++) {
        end += sprintf(end, "%s\"f%d\":\"", i ? "," : "", i);
        memset(end, 'v', VALUE);
        end += VALUE;
        end += sprintf(end, "\"");
    }
    sprintf(end, "}}\n");
    json_t *answers = exec_lines(fixture, 0, line);
    assert_true(true_at(answers, "0.ok"));
    /* One byte more in one value is too much. */
    end = strstr(line, "\"f0\":\"") + 6;
    memmove(end + 1, end, strlen(end) + 1);
    *end = 'v';
    assert_code(at(exec_lines(fixture, 0, line), "0"), "usage");
    free(line);
}

static void test_exec_more_than_one_group_from_a_file(void **state) {
    enum { COUNT = 5000 };
    struct fixture *fixture = *state;
    fixture_init(fixture);
    char *lines = malloc(COUNT * 100), *end = lines;
    assert_non_null(lines);
    for (int i = 0; i < COUNT; i++)
        end += sprintf(end,
                       "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"L%d\","
                       "\"tag\":%d}\n",
                       i, i);
    json_t *answers = exec_lines(fixture, 0, lines);
    free(lines);
    assert_int_equal(json_array_size(answers), COUNT);
    for (size_t i = 0; i < COUNT; i++)
        assert_int_equal(number_at(json_array_get(answers, i), "tag"), i);
    assert_int_equal(number_at(ASK(fixture, 0, "status"), "workflows.running"), COUNT);
}

static void test_exec_answers_a_group_without_waiting_for_more(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    struct stream stream;
    stream_open(fixture, &stream, exec_only);
    stream_send(&stream, START("L1") START("L2"));
    assert_true(true_at(stream_answer(fixture, &stream), "ok"));
    assert_true(true_at(stream_answer(fixture, &stream), "ok"));
    stream_send(&stream, "{\"cmd\":\"workflow.show\",");
    stream_send(&stream, "\"id\":\"L1\"}\n{\"cmd\":");
    assert_string_equal(text_at(stream_answer(fixture, &stream), "result.id"), "L1");
    stream_send(&stream, "\"clock.show\"}");
    assert_int_equal(stream_close(&stream), 0);
}

static void test_exec_answered_commands_survive_sigkill(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    struct stream stream;
    stream_open(fixture, &stream, exec_only);
    stream_send(&stream, START("L1") SUBMIT("L1", "applicant_submission", APPLICATION));
    stream_answer(fixture, &stream);
    stream_answer(fixture, &stream);
    assert_int_equal(stream_kill(&stream, SIGKILL), 256 + SIGKILL);
    json_t *status = ASK(fixture, 0, "status");
    assert_true(number_at(status, "replayed") >= 2);
    assert_string_equal(text_at(ASK(fixture, 0, "workflow", "show", "L1"), "stage"),
                        "credit_check");
    ASK(fixture, 0, "replay", "--verify");
    SAY(fixture, 0, "doctor");
}

static void test_exec_lsn_in_quotes_is_told(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers = exec_lines(fixture, 0,
                                 "{\"cmd\":\"workflow.show\",\"id\":\"L1\",\"as_of\":\"12\"}\n"
                                 "{\"cmd\":\"archive.drop\",\"before\":\"3\",\"reason\":\"r\","
                                 "\"actor\":\"a\"}\n");
    for (size_t i = 0; i < 2; i++) {
        json_t *answer = json_array_get(answers, i);
        assert_code(answer, "usage");
        assert_contains(text_at(answer, "error.message"), "an LSN is a number, without quotes");
    }
}

static void test_exec_sigint_ends_it_in_order(void **state) {
    static const int signals[] = {SIGINT, SIGTERM};
    struct fixture *fixture = *state;
    fixture_init(fixture);
    for (size_t i = 0; i < 2; i++) {
        struct stream stream;
        stream_open(fixture, &stream, exec_only);
        stream_send(&stream, "{\"cmd\":\"clock.show\"}\n{\"cmd\":\"half");
        stream_answer(fixture, &stream);
        assert_int_equal(stream_kill(&stream, signals[i]), 128 + signals[i]);
        assert_int_equal(number_at(ASK(fixture, 0, "status"), "replayed"),
                         0); /* it wrote its snapshot */
    }
}

/* The exit status of a shell's script. It knows FOLDER, the fixture's, and PROGRAM. */
static int run_script(const struct fixture *fixture, const char *script) {
    char program[PATH_MAX];
    const char *given = getenv("WFCTL");
    assert_non_null(realpath(given ? given : "build/wfctl", program));
    setenv("PROGRAM", program, 1);
    setenv("FOLDER", fixture->folder, 1);
    int status = system(script);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* Under an endless input. */
static const char stop_under_load[] =
    "cd \"$FOLDER\" || exit 99\n"
    "awk 'BEGIN { for (i = 0;; i++) printf(\"{\\\"cmd\\\":\\\"workflow.start\\\","
    "\\\"type\\\":\\\"loan_application\\\",\\\"id\\\":\\\"L%d\\\"}\\n\", i) }' 2>awk.err | {\n"
    "    exec 3<&0\n"
    "    \"$PROGRAM\" -d store exec <&3 >out 2>err &\n"
    "    exec 3<&-\n"
    "    for n in $(seq 1000); do [ -s out ] && break; sleep 0.01; done\n"
    "    kill -TERM $!\n"
    "    wait $!\n"
    "}\n";

static void test_exec_stopped_under_load_has_answered_all_that_it_did(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    assert_int_equal(run_script(fixture, stop_under_load), 128 + SIGTERM);
    static char text[200];
    FILE *file = fopen(fixture_path(fixture, "err"), "r");
    assert_non_null(file);
    assert_non_null(fgets(text, sizeof text, file));
    fclose(file);
    unsigned long told = 0;
    assert_int_equal(sscanf(text, "wfctl: stopped by SIGTERM; %lu", &told), 1);
    unsigned long answered = 0;
    file = fopen(fixture_path(fixture, "out"), "r");
    assert_non_null(file);
    while (fgets(text, sizeof text, file)) {
        assert_contains(text, "\"ok\":true");
        answered++;
    }
    fclose(file);
    assert_true(answered > 0);
    assert_int_equal(answered, told);
    assert_int_equal(number_at(ASK(fixture, 0, "status"), "workflows.running"), answered);
}

/* The limit on a file's size stands for the disk. */
static const char fill_the_disk[] =
    "cd \"$FOLDER\" || exit 99\n"
    "ulimit -f 512\n"
    "awk 'BEGIN { for (i = 0; i < 90; i++) printf(\"{\\\"cmd\\\":\\\"workflow.start\\\","
    "\\\"type\\\":\\\"loan_application\\\",\\\"id\\\":\\\"L%d\\\","
    "\\\"data\\\":{\\\"pad\\\":\\\"%04000d\\\"}}\\n\", i, i) }' |\n"
    "    \"$PROGRAM\" -d store exec >out 2>err\n";

static void test_exec_that_ends_on_a_full_disk_says_so(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    assert_int_equal(run_script(fixture, fill_the_disk), 7);
    assert_int_equal(run_script(fixture, "cd \"$FOLDER\" && tail -n 1 out | grep -q '\"full\"'"),
                     0);
    assert_int_equal(run_script(fixture, "cd \"$FOLDER\" && grep -q 'the disk is full' err"), 0);
}

static void test_exec_create_makes_the_store(void **state) {
    struct fixture *fixture = *state;
    assert_code(ASK(fixture, 3, "exec"), "not_found");
    static const char *const arguments[] = {"exec", "--create", NULL};
    for (int i = 0; i < 2; i++) {
        static const char line[] = "{\"cmd\":\"def.list\"}\n";
        assert_int_equal(run(fixture, line, strlen(line), NULL, arguments), 0);
        assert_contains(fixture->out, "loan_application");
    }
}

static void test_exec_of_no_input_is_done(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    assert_int_equal(json_array_size(exec_lines(fixture, 0, "")), 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_exec_drops_archives),
        TEST(test_exec_answers_in_order_with_results),
        TEST(test_exec_echoes_any_tag),
        TEST(test_exec_key_answers_as_the_first_time),
        TEST(test_exec_refuses_what_is_not_there),
        TEST(test_exec_queries_see_what_was_before_them),
        TEST(test_exec_advances_the_clock),
        TEST(test_exec_adds_definitions),
        TEST(test_exec_takes_numbers_and_booleans_as_text),
        TEST(test_exec_answers_bad_lines_and_goes_on),
        TEST(test_exec_names_the_unknown_member_and_keeps_the_tag),
        TEST(test_exec_survives_binary_rubbish),
        TEST(test_exec_skips_a_line_that_is_too_long),
        TEST(test_exec_takes_values_up_to_the_limit),
        TEST(test_exec_more_than_one_group_from_a_file),
        TEST(test_exec_answers_a_group_without_waiting_for_more),
        TEST(test_exec_answered_commands_survive_sigkill),
        TEST(test_exec_lsn_in_quotes_is_told),
        TEST(test_exec_sigint_ends_it_in_order),
        TEST(test_exec_stopped_under_load_has_answered_all_that_it_did),
        TEST(test_exec_that_ends_on_a_full_disk_says_so),
        TEST(test_exec_create_makes_the_store),
        TEST(test_exec_of_no_input_is_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
