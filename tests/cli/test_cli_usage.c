/* The command line itself: what is refused as usage, where help comes from, and what happens when
 * the output fails. */
#include "tests/cli/cli_run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_usage_errors_exit_with_2(void **state) {
    static const char *const lines[][6] = {
        {NULL},
        {"workflow", NULL},
        {"bogus", NULL},
        {"workflow", "bogus", NULL},
        {"workflow", "show", NULL},
        {"workflow", "show", "L1", "L2", NULL},
        {"workflow", "show", "L1", "--bogus", NULL},
        {"workflow", "start", "loan_application", NULL},
        {"workflow", "submit", "L1", "step", "novalue", NULL},
        {"workflow", "submit", "L1", "step", "=value", NULL},
        {"workflow", "cancel", "L1", NULL},
        {"workflow", "fail", "L1", "credit_check", NULL},
        {"workflow", "fail", "L1", "credit_check", "--reason", NULL},
        {"--bogus", "status", NULL},
        {"-x", NULL},
        {"status", "extra", NULL},
        {"-d", NULL},
        {"-d", "", "status", NULL},
        {"-o", "xml", "status", NULL},
        {"replay", "--verify=yes", NULL},
        {"replay", "--from", "1", "--from", "2", NULL},
        {"replay", "--from", "ten", NULL},
        {"workflow", "start", "loan_application", "--id=L1", "--def-version=0", NULL},
        {"def", "show", "loan_application", "--def-version=0", NULL},
        {"audit", "root", "--at=0", NULL},
        {"wal", "repair", "--skip=0", NULL},
        {"audit", "prove", "1", "--at=0", NULL},
        {"help", "bogus", NULL},
        {"help", "workflow", "bogus", NULL},
    };
    struct fixture *fixture = *state;
    fixture_init(fixture);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_string_equal(say(fixture, 2, lines[i]), "");
        assert_contains(fixture->err, "wfctl: ");
        assert_contains(fixture->err, "Try 'wfctl help");
    }
}

static void test_usage_what_later_versions_bring_is_unknown(void **state) {
    static const char *const lines[][6] = {
        {"saga", "list", NULL},
        {"seed", "check", NULL},
        {"migrate", "status", NULL},
    };
    struct fixture *fixture = *state;
    fixture_init(fixture);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        say(fixture, 2, lines[i]);
        assert_contains(fixture->err, "unknown ");
    }
}

static void test_usage_errors_are_json_where_json_is_asked_for(void **state) {
    struct fixture *fixture = *state;
    assert_code(ASK(fixture, 2, "bogus"), "usage");
    assert_string_equal(fixture->err, "");
    SAY(fixture, 2, "bogus", "-o", "json");
    assert_contains(fixture->out, "{\"ok\":false,\"error\":{\"code\":\"usage\"");
    SAY(fixture, 2, "bogus", "--output=jsonl");
    assert_contains(fixture->out, "{\"ok\":false,\"error\":{\"code\":\"usage\"");
}

static void test_usage_suggests_the_near_word(void **state) {
    struct fixture *fixture = *state;
    SAY(fixture, 2, "worklow", "list");
    assert_contains(fixture->err, "did you mean 'workflow'");
    SAY(fixture, 2, "workflow", "sumbit");
    assert_contains(fixture->err, "did you mean 'submit'");
}

static void test_global_options_go_anywhere(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    unsetenv("WF_DIR");
    const char *store = fixture->store;
    char joined[400];
    strcpy(joined, "--dir=");
    strcat(joined, store);
    const char *const lines[][7] = {
        {"-d", store, "-o", "json", "workflow", "list", NULL},
        {"workflow", "-d", store, "list", "-ojson", NULL},
        {"workflow", "list", "--output", "json", joined, NULL},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_string_equal(say(fixture, 0, lines[i]), "{\"ok\":true,\"workflows\":[]}\n");
}

static void test_arguments_after_two_dashes_are_no_options(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    ASK(fixture, 0, "workflow", "start", "--id", "-x", "loan_application");
    assert_string_equal(text_at(ASK(fixture, 0, "workflow", "show", "--", "-x"), "id"), "-x");
}

static void test_help_needs_no_store_and_knows_every_command(void **state) {
    static const char *const commands[][2] = {
        {"init", NULL},         {"status", NULL},        {"doctor", NULL},
        {"def", "add"},         {"def", "list"},         {"def", "show"},
        {"def", "validate"},    {"workflow", "start"},   {"workflow", "submit"},
        {"workflow", "show"},   {"workflow", "history"}, {"workflow", "list"},
        {"workflow", "fail"},   {"workflow", "cancel"},  {"clock", "show"},
        {"clock", "advance"},   {"replay", NULL},        {"wal", "status"},
        {"wal", "dump"},        {"wal", "verify"},       {"wal", "repair"},
        {"snapshot", "create"}, {"snapshot", "list"},    {"snapshot", "verify"},
        {"exec", NULL},         {"backup", NULL},        {"restore", NULL},
        {"metrics", NULL},      {"help", NULL},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        char synopsis[64] = "wfctl ";
        strcat(synopsis, commands[i][0]);
        if (commands[i][1])
            strcat(strcat(synopsis, " "), commands[i][1]);
        const char *verb = commands[i][1];
        assert_contains(SAY(fixture, 0, "help", commands[i][0], verb), synopsis);
        assert_contains(
            SAY(fixture, 0, commands[i][0], verb ? verb : "--help", verb ? "--help" : NULL),
            synopsis);
        assert_contains(SAY(fixture, 0, "--help"), commands[i][0]);
    }
}

/* What exec answers, as docs/man/wfctl.1 lists it. */
static void test_help_of_exec_names_every_command(void **state) {
    static const char *const names[] = {
        "workflow.start|submit|fail|cancel|rollback|migrate|show|history|list",
        "task.claim|complete|fail|retry|list",
        "review.list|approve|reject",
        "account.open|transact|reverse|show|list|statement|history|freeze|unfreeze|close|check",
        ("session.pool|open|begin|execute|show|list|count|savepoint|rollback_to|release|commit|"
         "rollback|close|stats"),
        "rate|instrument|calendar|fee_rule.set|list",
        "def.add|list|show|diff",
        "clock.show|advance|tick",
        "status",
        "snapshot.create",
        "archive.drop",
    };
    struct fixture *fixture = *state;
    const char *help = SAY(fixture, 0, "help", "exec");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_contains(help, names[i]);
}

static void test_version(void **state) {
    struct fixture *fixture = *state;
    assert_contains(SAY(fixture, 0, "--version"), "wfctl 0.");
    text_at(ASK(fixture, 0, "--version"), "version");
}

static void test_completion_offers_from_the_same_table(void **state) {
    struct fixture *fixture = *state;
    assert_string_equal(SAY(fixture, 0, "complete", "wo"), "workflow\nworker\n");
    assert_string_equal(SAY(fixture, 0, "complete", "-d", "x", "workflow", "s"),
                        "start\nsubmit\nshow\n");
    assert_contains(SAY(fixture, 0, "complete", "workflow", "list", "--"), "--where\n");
    assert_contains(SAY(fixture, 0, "complete", "workflow", "list", "--status", ""),
                    "awaiting_review\n");
    assert_string_equal(SAY(fixture, 0, "complete", "-o", "jsonl", "workflow", "show", ""), "");
}

/* --- output that fails --- */

static void test_a_full_disk_under_stdout_is_noticed(void **state) {
    static const char *const lines[][4] = {{"status", NULL},
                                           {"help", NULL},
                                           {"workflow", "list", "-ojson", NULL},
                                           {"replay", NULL},
                                           {"--version", NULL}};
    struct fixture *fixture = *state;
    fixture_init(fixture);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(run(fixture, NULL, 0, "/dev/full", lines[i]), 7);
        assert_contains(fixture->err, "No space left on device");
    }
}

static void test_exec_ends_when_its_answers_cannot_be_written(void **state) {
    static const char *const arguments[] = {"exec", NULL};
    static const char line[] = "{\"cmd\":\"status\"}\n";
    struct fixture *fixture = *state;
    fixture_init(fixture);
    assert_int_equal(run(fixture, line, sizeof line - 1, "/dev/full", arguments), 7);
    assert_contains(fixture->err, "No space left on device");
}

static void test_a_reader_that_goes_away_costs_no_words(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    struct stream stream;
    stream_open(fixture, &stream, (const char *const[]){"exec", NULL});
    close(stream.out);
    stream_send(&stream, "{\"cmd\":\"status\"}\n");
    assert_int_equal(stream_close(&stream), 256 + SIGPIPE);
    ASK(fixture, 0, "status"); /* the store was closed in order */
}

static void test_closed_standard_files_do_not_reach_the_store(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *before = ASK(fixture, 0, "status");
    setenv("PROGRAM", getenv("WFCTL") ? getenv("WFCTL") : "build/wfctl", 1);
    int ended = system("\"$PROGRAM\" workflow start loan_application --id L1 <&- >&- 2>&-");
    assert_int_equal(WEXITSTATUS(ended), 7); /* it could not tell */
    ASK(fixture, 0, "replay", "--verify");
    assert_int_equal(number_at(ASK(fixture, 0, "status"), "durable_lsn"),
                     number_at(before, "durable_lsn") + 1);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_usage_errors_exit_with_2),
        TEST(test_usage_what_later_versions_bring_is_unknown),
        TEST(test_usage_errors_are_json_where_json_is_asked_for),
        TEST(test_usage_suggests_the_near_word),
        TEST(test_global_options_go_anywhere),
        TEST(test_arguments_after_two_dashes_are_no_options),
        TEST(test_help_needs_no_store_and_knows_every_command),
        TEST(test_help_of_exec_names_every_command),
        TEST(test_version),
        TEST(test_completion_offers_from_the_same_table),
        TEST(test_a_full_disk_under_stdout_is_noticed),
        TEST(test_exec_ends_when_its_answers_cannot_be_written),
        TEST(test_a_reader_that_goes_away_costs_no_words),
        TEST(test_closed_standard_files_do_not_reach_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
