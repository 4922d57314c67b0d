/* Sessions and their transactions through wfctl exec. */
#include "tests/cli/cli_run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define OPEN(number, balance)                                                                      \
    "{\"cmd\":\"account.open\",\"number\":\"" number "\",\"type\":\"checking\",\"currency\":"      \
    "\"USD\",\"balance\":\"" balance "\"}\n"
#define BANK OPEN("ACC001", "100.00") OPEN("ACC002", "50.00")
#define SESSION(verb, name) "{\"cmd\":\"session." verb "\",\"session\":\"" name "\"}\n"
#define SESSION_WITH(verb, name, members)                                                          \
    "{\"cmd\":\"session." verb "\",\"session\":\"" name "\"," members "}\n"
#define TRANSFER(from, to, amount)                                                                 \
    "{\"type\":\"transfer\",\"from\":\"" from "\",\"to\":\"" to "\",\"amount\":\"" amount          \
    "\",\"currency\":\"USD\"}"
#define EXECUTE(name, operations) SESSION_WITH("execute", name, "\"ops\":[" operations "]")
#define SHOW(name, number) SESSION_WITH("show", name, "\"number\":\"" number "\"")

static void test_cli_session_commits_as_one(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers = exec_lines(
        fixture, 0,
        BANK SESSION("open", "s1") SESSION("begin", "s1") EXECUTE(
            "s1", TRANSFER("ACC001", "ACC002", "10.00")) EXECUTE("s1", TRANSFER("ACC002", "ACC001",
                                                                                "5.00"))
            SHOW("s1", "ACC001") "{\"cmd\":\"account.show\",\"number\":\"ACC001\"}\n" SESSION_WITH(
                "commit", "s1",
                "\"key\":\"k\",\"actor\":\"teller\",\"tag\":[1]") "{\"cmd\":\"account."
                                                                  "show\",\"number\":"
                                                                  "\"ACC001\"}\n");
    assert_string_equal(text_at(answers, "2.result.isolation"), "READ_COMMITTED");
    assert_string_equal(text_at(answers, "4.result.balances.0.balance"), "90.00");
    assert_string_equal(text_at(answers, "6.result.balance"), "95.00");
    assert_string_equal(text_at(answers, "7.result.balance"), "100.00");
    long long lsn = number_at(answers, "1.lsn");
    assert_int_equal(number_at(answers, "8.lsn"), lsn + 1);
    assert_int_equal(number_at(answers, "8.tag.0"), 1);
    assert_string_equal(text_at(answers, "8.result.outcome"), "posted");
    assert_string_equal(text_at(answers, "9.result.balance"), "95.00");
    /* The key is that of an account.transact. */
    answers = exec_lines(fixture, 0,
                         "{\"cmd\":\"account.transact\",\"key\":\"k\",\"actor\":\"teller\","
                         "\"ops\":[" TRANSFER("ACC001", "ACC002", "10.00") "," TRANSFER(
                             "ACC002", "ACC001", "5.00") "]}\n");
    assert_true(true_at(answers, "0.replayed"));
    assert_int_equal(number_at(answers, "0.lsn"), lsn + 1);
}

static void test_cli_session_levels_see_what_they_should(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers = exec_lines(
        fixture, 0,
        BANK SESSION("open", "rc") SESSION_WITH("open", "si", "\"isolation\":\"SNAPSHOT\"") SESSION(
            "open", "w") SESSION("begin", "rc") SESSION("begin", "si") SESSION("begin", "w")
            EXECUTE("w", TRANSFER("ACC001", "ACC002", "60.00")) SHOW("rc", "ACC001")
                SESSION("commit", "w") SHOW("rc", "ACC001") SHOW("si", "ACC001") SESSION_WITH(
                    "count", "rc", "\"currency\":\"USD\",\"balance_min\":\"100.00\"")
                    SESSION_WITH("list", "si", "\"currency\":\"USD\",\"balance_min\":\"100.00\"")
                        EXECUTE("si", TRANSFER("ACC002", "ACC001", "1.00"))
                            SESSION("commit", "si"));
    assert_string_equal(text_at(answers, "6.result.isolation"), "SNAPSHOT");
    assert_int_equal(number_at(answers, "6.result.snapshot_lsn"), number_at(answers, "1.lsn"));
    assert_string_equal(text_at(answers, "9.result.balance"), "100.00");
    assert_string_equal(text_at(answers, "11.result.balance"), "40.00");
    assert_string_equal(text_at(answers, "12.result.balance"), "100.00");
    assert_int_equal(number_at(answers, "13.result.count"), 1);
    assert_string_equal(text_at(answers, "14.result.accounts.0.number"), "ACC001");
    assert_code(at(answers, "16"), "conflict");
    assert_contains(text_at(answers, "16.error.message"), "account ACC00");
}

static void test_cli_session_savepoints_and_rollback(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers = exec_lines(
        fixture, 0,
        BANK SESSION("open", "s") SESSION("begin", "s")
            EXECUTE("s", TRANSFER("ACC001", "ACC002", "10.00"))
                SESSION_WITH("savepoint", "s", "\"name\":\"p\"")
                    EXECUTE("s", TRANSFER("ACC001", "ACC002", "20.00"))
                        SESSION_WITH("rollback_to", "s", "\"name\":\"p\"") SHOW("s", "ACC001")
                            SESSION_WITH("release", "s", "\"name\":\"p\"")
                                SESSION_WITH("rollback_to", "s", "\"name\":\"p\"")
                                    SESSION("rollback", "s") SESSION("rollback", "s")
                                        SESSION("begin", "s") SESSION("commit", "s"));
    assert_string_equal(text_at(answers, "8.result.balance"), "90.00");
    assert_string_equal(text_at(answers, "9.result.savepoint"), "p");
    assert_code(at(answers, "10"), "not_found");
    assert_string_equal(text_at(answers, "11.result.outcome"), "rolled_back");
    assert_code(at(answers, "12"), "refused");
    assert_string_equal(text_at(answers, "14.result.outcome"), "nothing");
    assert_null(json_object_get(at(answers, "14"), "lsn"));
}

#define ACCOUNT(what, number, members)                                                             \
    "{\"type\":\"account_" what "\",\"account\":\"" number "\"" members "}"
#define NEW ACCOUNT("open", "NEW", ",\"account_type\":\"savings\",\"currency\":\"USD\"")

static void test_cli_session_opens_and_closes_accounts(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers = exec_lines(
        fixture, 0,
        BANK SESSION("open", "s") SESSION("begin", "s")
            EXECUTE("s", NEW "," TRANSFER("ACC001", "NEW", "100.00"))
                EXECUTE("s", ACCOUNT("close", "ACC001",
                                     ",\"reason\":\"moved\"") "," ACCOUNT("freeze", "ACC002", ""))
                    SESSION("list", "s") EXECUTE("s", TRANSFER("ACC002", "NEW", "1.00")) SESSION(
                        "commit", "s") "{\"cmd\":\"account.list\"}\n"
                                       "{\"cmd\":\"account.history\",\"number\":\"ACC001\"}\n");
    assert_string_equal(text_at(answers, "4.result.balances.0.account"), "NEW");
    assert_string_equal(text_at(answers, "6.result.accounts.0.status"), "closed");
    assert_string_equal(text_at(answers, "6.result.accounts.2.number"), "NEW");
    assert_string_equal(text_at(answers, "6.result.accounts.2.balance"), "100.00");
    assert_code(at(answers, "7"), "refused");
    assert_contains(text_at(answers, "7.error.message"), "operation 5 (transfer): account ACC002");
    assert_int_equal(number_at(answers, "8.lsn"), number_at(answers, "1.lsn") + 1);
    assert_string_equal(text_at(answers, "9.result.accounts.0.status"), "closed");
    assert_string_equal(text_at(answers, "9.result.accounts.1.status"), "frozen");
    assert_string_equal(text_at(answers, "9.result.accounts.2.type"), "savings");
    assert_string_equal(text_at(answers, "10.result.events.5.event"), "account_status_set");
    assert_string_equal(text_at(answers, "10.result.events.5.reason"), "moved");
}

static void test_cli_session_answers_with_all_balances(void **state) {
    struct fixture *fixture = *state;
    enum { ACCOUNTS = 30 };
    char lines[8000];
    size_t used = (size_t)snprintf(lines, sizeof lines, "%s",
                                   BANK SESSION("open", "s") SESSION("begin", "s"));
    used += (size_t)snprintf(lines + used, sizeof lines - used,
                             "{\"cmd\":\"session.execute\",\"session\":\"s\",\"ops\":[%s",
                             TRANSFER("ACC001", "ACC002", "1.00"));
    for (int i = 0; i < ACCOUNTS; i++)
        used += (size_t)snprintf(lines + used, sizeof lines - used,
                                 ",{\"type\":\"account_open\",\"account\":\"N%02d\","
                                 "\"account_type\":\"savings\",\"currency\":\"USD\"}",
                                 i);
    snprintf(lines + used, sizeof lines - used, "]}\n");
    fixture_init(fixture);
    json_t *answers = exec_lines(fixture, 0, lines);
    assert_string_equal(text_at(answers, "4.result.outcome"), "posted");
    assert_int_equal(json_array_size(at(answers, "4.result.balances")), ACCOUNTS + 2);
    assert_string_equal(text_at(answers, "4.result.balances.31.account"), "N29");
}

static void test_cli_session_pool_is_bounded_and_counted(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers = exec_lines(
        fixture, 0,
        "{\"cmd\":\"session.stats\"}\n"
        "{\"cmd\":\"session.pool\",\"min\":1,\"max\":2,\"acquire_timeout\":\"10ms\","
        "\"isolation\":\"SERIALIZABLE\"}\n" SESSION("open", "a") SESSION("open", "b") SESSION(
            "open", "c") "{\"cmd\":\"session.stats\"}\n" SESSION("close", "a") SESSION("open", "c")
            SESSION("open", "c") SESSION(
                "begin", "a") "{\"cmd\":\"session.pool\"}\n"
                              "{\"cmd\":\"session.pool\",\"idle_timeout\":\"soon\"}\n" SESSION_WITH(
                                  "begin", "b", "\"isolation\":\"DIRTY\""));
    assert_int_equal(number_at(answers, "0.result.min"), 5);
    assert_int_equal(number_at(answers, "0.result.max"), 50);
    assert_int_equal(number_at(answers, "1.result.idle"), 1);
    assert_string_equal(text_at(answers, "2.result.isolation"), "SERIALIZABLE");
    assert_code(at(answers, "4"), "timed_out");
    assert_int_equal(number_at(answers, "5.result.in_use"), 2);
    assert_int_equal(number_at(answers, "5.result.peak"), 2);
    assert_int_equal(number_at(answers, "5.result.timed_out"), 1);
    assert_true(number_at(answers, "5.result.longest_wait_us") >= 10000);
    assert_true(true_at(answers, "7.ok"));
    assert_code(at(answers, "8"), "refused");
    assert_code(at(answers, "9"), "not_found");
    assert_code(at(answers, "10"), "refused");
    assert_code(at(answers, "11"), "usage");
    assert_code(at(answers, "12"), "usage");
    assert_contains(text_at(answers, "12.error.message"), "READ_COMMITTED, SNAPSHOT");
}

static void test_cli_session_transaction_times_out(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    struct stream stream;
    stream_open(fixture, &stream, (const char *const[]){"exec", NULL});
    stream_send(&stream,
                "{\"cmd\":\"session.pool\",\"transaction_timeout\":\"1ms\"}\n" BANK SESSION(
                    "open", "s") SESSION("begin", "s"));
    for (int i = 0; i < 5; i++)
        assert_true(true_at(stream_answer(fixture, &stream), "ok"));
    struct timespec pause = {.tv_nsec = 5000000};
    nanosleep(&pause, NULL);
    stream_send(&stream,
                EXECUTE("s", TRANSFER("ACC001", "ACC002", "10.00")) SESSION("commit", "s"));
    assert_code(stream_answer(fixture, &stream), "timed_out");
    assert_code(stream_answer(fixture, &stream), "refused");
    assert_int_equal(stream_close(&stream), 0);
}

static void test_cli_session_times_out_by_the_test_clock(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers = exec_lines(
        fixture, 0,
        "{\"cmd\":\"session.pool\",\"transaction_timeout\":\"5m\"}\n" BANK SESSION("open", "s")
            SESSION("begin", "s") "{\"cmd\":\"clock.advance\",\"duration\":\"4m\"}\n" EXECUTE(
                "s",
                TRANSFER(
                    "ACC001", "ACC002",
                    "10.00")) "{\"cmd\":\"clock.advance\",\"duration\":\"1m\"}\n" SESSION("commit",
                                                                                          "s"));
    assert_int_equal(json_array_size(answers), 9);
    for (size_t i = 0; i < 8; i++)
        assert_true(true_at(json_array_get(answers, i), "ok"));
    assert_code(at(answers, "8"), "timed_out");
}

static void test_cli_session_dies_with_its_process(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    struct stream stream;
    stream_open(fixture, &stream, (const char *const[]){"exec", NULL});
    stream_send(&stream,
                BANK SESSION("open", "s") SESSION("begin", "s")
                    EXECUTE("s", TRANSFER("ACC001", "ACC002", "10.00")) SESSION("commit", "s")
                        SESSION("begin", "s") EXECUTE("s", TRANSFER("ACC001", "ACC002", "20.00")));
    for (int i = 0; i < 8; i++)
        assert_true(true_at(stream_answer(fixture, &stream), "ok"));
    stream_kill(&stream, SIGKILL);
    assert_string_equal(text_at(ASK(fixture, 0, "account", "show", "ACC001"), "balance"), "90.00");
    json_t *answers = exec_lines(fixture, 0, SESSION("commit", "s"));
    assert_code(at(answers, "0"), "not_found");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_cli_session_commits_as_one),
        TEST(test_cli_session_levels_see_what_they_should),
        TEST(test_cli_session_savepoints_and_rollback),
        TEST(test_cli_session_opens_and_closes_accounts),
        TEST(test_cli_session_answers_with_all_balances),
        TEST(test_cli_session_pool_is_bounded_and_counted),
        TEST(test_cli_session_transaction_times_out),
        TEST(test_cli_session_times_out_by_the_test_clock),
        TEST(test_cli_session_dies_with_its_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
