/* The bank from outside: the feature's scenario by wfctl and by exec, statements in three forms,
 * refusals and exit statuses. */
#include "tests/cli/cli_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPEN(number, type, currency, balance)                                                      \
    "{\"cmd\":\"account.open\",\"id\":\"" number "\",\"type\":\"" type                             \
    "\",\"currency\":\"" currency "\",\"balance\":\"" balance "\"}\n"
#define OPS                                                                                        \
    "\"ops\":["                                                                                    \
    "{\"type\":\"transfer\",\"from\":\"ACC001\",\"to\":\"ACC002\",\"amount\":\"1000.00\","         \
    "\"currency\":\"USD\",\"rules\":[\"sufficient_funds\",\"same_currency\"]},"                    \
    "{\"type\":\"currency_exchange\",\"from\":\"ACC002\",\"to\":\"ACC003\",\"amount\":\"500.00\"," \
    "\"currency\":\"USD_to_EUR\",\"rules\":[\"exchange_rate_validation\"]},"                       \
    "{\"type\":\"investment_purchase\",\"from\":\"ACC004\",\"to\":\"MARKET\",\"amount\":"          \
    "\"5000.00\",\"currency\":\"USD\",\"rules\":[\"market_hours\",\"instrument_available\"]},"     \
    "{\"type\":\"fee_deduction\",\"from\":\"ACC001\",\"to\":\"BANK\",\"amount\":\"25.00\","        \
    "\"currency\":\"USD\",\"rules\":[\"service_fee_rules\"]}]"

/* 2026-01-01 is a Thursday; the store's clock stands at 00:00. */
static const char bank[] = OPEN("ACC001", "checking", "USD", "5000.00")
    OPEN("ACC002", "savings", "USD", "10000.00") OPEN("ACC003", "checking", "EUR", "2500.00") OPEN(
        "ACC004", "investment", "USD",
        "50000.00") "{\"cmd\":\"rate.set\",\"id\":\"USD_to_EUR\",\"data\":{\"rate\":\"0.90\","
                    "\"source\":\"ECB\"}}\n"
                    "{\"cmd\":\"calendar.set\",\"id\":\"NYSE\",\"data\":{\"open\":\"14:30\","
                    "\"close\":\"21:00\"}}\n"
                    "{\"cmd\":\"instrument.set\",\"id\":\"MARKET\",\"data\":{\"currency\":\"USD\","
                    "\"calendar\":\"NYSE\"}}\n"
                    "{\"cmd\":\"fee_rule.set\",\"id\":\"service_fee\",\"data\":{\"currency\":"
                    "\"USD\","
                    "\"maximum\":\"50.00\"}}\n"
                    "{\"cmd\":\"clock.advance\",\"duration\":\"15h\"}\n";

static void make_bank(struct fixture *fixture) {
    fixture_init(fixture);
    json_t *answers = exec_lines(fixture, 0, bank);
    for (size_t i = 0; i < json_array_size(answers); i++)
        assert_true(true_at(json_array_get(answers, i), "ok"));
}

static void test_exec_account_feature_comes_to_its_figures(void **state) {
    struct fixture *fixture = *state;
    make_bank(fixture);
    json_t *answers = exec_lines(fixture, 0,
                                 "{\"cmd\":\"account.transact\"," OPS "}\n"
                                 "{\"cmd\":\"account.show\",\"number\":\"ACC003\"}\n"
                                 "{\"cmd\":\"account.check\"}\n"
                                 "{\"cmd\":\"account.list\",\"all\":true}\n");
    static const char *const balances[] = {"3975.00", "10500.00", "2950.00", "45000.00"};
    for (int i = 0; i < 4; i++) {
        char path[60];
        snprintf(path, sizeof path, "0.result.balances.%d.balance", i);
        assert_string_equal(text_at(answers, path), balances[i]);
    }
    assert_string_equal(text_at(answers, "1.result.balance"), "2950.00");
    assert_true(true_at(answers, "2.ok"));
    assert_int_equal(json_array_size(at(answers, "3.result.accounts")), 10);
}

static void test_exec_account_names_the_operation_that_failed(void **state) {
    struct fixture *fixture = *state;
    make_bank(fixture);
    json_t *answers =
        exec_lines(fixture, 0,
                   "{\"cmd\":\"clock.advance\",\"duration\":\"6h\"}\n" /* the market has closed */
                   "{\"cmd\":\"account.transact\"," OPS "}\n"
                   "{\"cmd\":\"account.show\",\"id\":\"ACC001\"}\n"
                   "{\"cmd\":\"account.transact\",\"ops\":[{\"type\":\"transfer\",\"amount\":5}]}\n"
                   "{\"cmd\":\"account.transact\",\"ops\":[{\"colour\":\"red\"}]}\n"
                   "{\"cmd\":\"account.transact\",\"ops\":{}}\n"
                   "{\"cmd\":\"account.transact\"}\n"
                   "{\"cmd\":\"account.transact\",\"ops\":[]}\n"
                   "{\"cmd\":\"account.open\",\"type\":\"checking\",\"currency\":\"USD\"}\n"
                   "{\"cmd\":\"account.show\",\"id\":\"ACC009\"}\n");
    assert_code(at(answers, "1"), "refused");
    assert_contains(text_at(answers, "1.error.message"),
                    "operation 3 (investment_purchase): market_hours: NYSE is closed");
    assert_string_equal(text_at(answers, "2.result.balance"), "5000.00");
    for (int i = 3; i <= 8; i++)
        assert_code(json_array_get(answers, (size_t)i), "usage");
    assert_contains(text_at(answers, "3.error.message"),
                    "operation 1: member 'amount' must be a string");
    assert_code(at(answers, "9"), "not_found");
}

/* account.open is a command, account_open an operation. */
static void test_exec_says_which_command_was_meant(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers =
        exec_lines(fixture, 0,
                   "{\"cmd\":\"account_open\",\"id\":\"A\",\"type\":\"checking\","
                   "\"currency\":\"USD\",\"tag\":7}\n"
                   "{\"cmd\":\"account.transact\",\"ops\":[{\"type\":\"account.open\"}]}\n"
                   "{\"cmd\":\"account.transact\",\"ops\":[{\"to\":\"A\"}]}\n"
                   "{\"cmd\":\"knit\"}\n");
    assert_code(at(answers, "0"), "usage");
    assert_int_equal(number_at(answers, "0.tag"), 7);
    assert_string_equal(text_at(answers, "0.error.message"),
                        "unknown cmd 'account_open'; did you mean 'account.open'?");
    assert_code(at(answers, "1"), "refused");
    assert_contains(text_at(answers, "1.error.message"),
                    "operation 1 (account.open): there is no operation of this type; did you mean "
                    "account_open?");
    assert_contains(text_at(answers, "2.error.message"), "the \"type\" is missing");
    assert_code(at(answers, "3"), "usage");
    assert_string_equal(text_at(answers, "3.error.message"), "unknown cmd 'knit'");
}

static void test_exec_account_has_one_number(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answers = exec_lines(fixture, 0,
                                 "{\"cmd\":\"account.open\",\"id\":\"A\",\"number\":\"B\","
                                 "\"type\":\"checking\",\"currency\":\"USD\"}\n"
                                 "{\"cmd\":\"account.show\"}\n");
    assert_code(at(answers, "0"), "usage");
    assert_string_equal(text_at(answers, "0.error.message"),
                        "'id' and 'number' mean the same; give one");
    assert_code(at(answers, "1"), "usage");
    assert_contains(text_at(answers, "1.error.message"), "needs the member 'number'");
    ASK(fixture, 3, "account", "show", "A");
    ASK(fixture, 3, "account", "show", "B");
}

static void test_account_commands_and_their_exit_statuses(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    json_t *answer = ASK(fixture, 0, "account", "open", "A", "--type", "checking", "--currency",
                         "USD", "--balance", "10.00", "--actor", "ann");
    assert_string_equal(text_at(answer, "result.balances.0.balance"), "10.00");
    ASK(fixture, 1, "account", "open", "A", "--type", "checking", "--currency", "USD");
    ASK(fixture, 2, "account", "open", "B", "--type", "checking", "--currency", "XYZ");
    ASK(fixture, 2, "account", "open", "B", "--type", "checking");
    ASK(fixture, 3, "account", "show", "B");
    ASK(fixture, 0, "account", "open", "B", "-t", "savings", "-c", "USD");
    static const char text[] = "{\"ops\":[{\"type\":\"transfer\",\"from\":\"A\",\"to\":\"B\","
                               "\"amount\":\"4.00\",\"currency\":\"USD\"}]}";
    fixture_write(fixture, "ops.json", text, strlen(text));
    assert_contains(SAY(fixture, 0, "account", "transact", fixture_path(fixture, "ops.json")),
                    "A  6.00 USD");
    assert_int_equal(run(fixture, text, strlen(text), NULL,
                         (const char *const[]){"account", "transact", "-", NULL}),
                     0);
    assert_int_equal(run(fixture, text, strlen(text), NULL,
                         (const char *const[]){"account", "transact", "-", NULL}),
                     1);
    assert_contains(fixture->err, "operation 1 (transfer): sufficient_funds");
    assert_int_equal(
        run(fixture, "{", 1, NULL, (const char *const[]){"account", "transact", "-", NULL}), 2);
    ASK(fixture, 0, "account", "freeze", "A", "--reason", "fraud");
    answer = ASK(fixture, 0, "account", "show", "A");
    assert_string_equal(text_at(answer, "status"), "frozen");
    ASK(fixture, 1, "account", "close", "A");
    ASK(fixture, 0, "account", "unfreeze", "A");
    ASK(fixture, 1, "account", "close", "A");
    ASK(fixture, 3, "account", "close", "Z");
    ASK(fixture, 0, "account", "check");
    assert_contains(SAY(fixture, 0, "account", "list"), "savings");
    assert_contains(SAY(fixture, 0, "account", "history", "A"), "sufficient_funds");
    SAY(fixture, 0, "replay", "--verify");
}

/* The transaction is lost, its reversal is not: whoever asks is told. */
static void test_account_check_and_doctor_name_a_reversal_that_stands_alone(void **state) {
    static const char pay[] =
        "{\"cmd\":\"account.transact\",\"ops\":[{\"type\":\"transfer\",\"from\":\"A\","
        "\"to\":\"B\",\"amount\":\"4.00\",\"currency\":\"USD\"}]}\n";
    static const char says[] = "record 6 reverses record 5, which was lost in a repair";
    struct fixture *fixture = *state;
    ASK(fixture, 0, "init");
    ASK(fixture, 0, "account", "open", "A", "-t", "checking", "-c", "USD", "-b", "10.00");
    ASK(fixture, 0, "account", "open", "B", "-t", "savings", "-c", "USD");
    exec_lines(fixture, 0, pay); /* LSN 5 */
    ASK(fixture, 0, "account", "reverse", "5", "--reason", "r", "--actor", "Eve");
    assert_int_equal(json_array_size(at(ASK(fixture, 0, "account", "check"), "notes")), 0);
    ASK(fixture, 0, "wal", "repair", "--skip", "5");
    json_t *answer = ASK(fixture, 0, "account", "check");
    assert_int_equal(number_at(answer, "lost"), 1);
    assert_contains(text_at(answer, "notes.0.text"), says);
    assert_string_equal(text_at(answer, "notes.0.accounts"), "A,B");
    assert_contains(text_at(answer, "notes.1.text"),
                    "account B, at -4.00 USD: its balance is below");
    const char *text = SAY(fixture, 0, "account", "check");
    assert_contains(text, says);
    assert_contains(
        text, "records that are not in it: 1 lost in repairs, 0 left without effect by them\n");
    answer = exec_lines(fixture, 0, "{\"cmd\":\"account.check\"}\n");
    assert_contains(text_at(answer, "0.result.notes.0.text"), says);
    text = SAY(fixture, 0, "doctor");
    assert_contains(text, says);
    assert_contains(text, "account B, at -4.00 USD: its balance is below its minimum");
}

/* A repair took the opening of B: what was paid to it is shown, and counts nowhere. */
static void test_account_past_marks_what_is_without_effect(void **state) {
    static const char pay[] = "{\"cmd\":\"account.transact\",\"key\":\"k\",\"ops\":[{\"type\":"
                              "\"transfer\",\"from\":\"A\",\"to\":\"B\",\"amount\":\"4.00\","
                              "\"currency\":\"USD\"}]}\n";
    struct fixture *fixture = *state;
    ASK(fixture, 0, "init");
    ASK(fixture, 0, "account", "open", "A", "-t", "checking", "-c", "USD", "-b", "10.00");
    ASK(fixture, 0, "account", "open", "B", "-t", "savings", "-c", "USD"); /* LSN 4 */
    exec_lines(fixture, 0, pay);
    ASK(fixture, 0, "wal", "repair", "--skip", "4");
    json_t *answer = ASK(fixture, 0, "account", "statement", "A");
    assert_string_equal(text_at(answer, "lines.1.balance"), "10.00");
    assert_true(json_is_true(at(answer, "lines.1.without_effect")));
    assert_null(json_object_get(at(answer, "lines.0"), "without_effect"));
    const char *text = SAY(fixture, 0, "account", "statement", "A");
    assert_contains(text, "transfer of -4.00 without effect  B                      10.00\n");
    text = SAY(fixture, 0, "-o", "csv", "account", "statement", "A");
    assert_contains(text, ",transfer of -4.00 without effect,B,,10.00,\r\n");
    answer = ASK(fixture, 0, "account", "history", "A");
    assert_true(json_is_true(at(answer, "events.3.without_effect")));
    assert_contains(SAY(fixture, 0, "account", "history", "A"),
                    "operation posted, without effect: operation=transfer");
    assert_contains(SAY(fixture, 0, "replay", "--from", "5"), "operation posted, without effect");
    assert_contains(SAY(fixture, 0, "audit", "show", "--entity", "A"),
                    "operation posted, without effect");
    answer = exec_lines(fixture, 0, pay);
    assert_string_equal(text_at(answer, "0.error.code"), "refused");
    assert_contains(text_at(answer, "0.error.message"), "record 5, which a repair left without");
    assert_contains(SAY(fixture, 0, "doctor"), "2 accounts hold what the records that are left");
    SAY(fixture, 1, "account", "reverse", "5", "--reason", "r", "--actor", "Eve");
    assert_contains(fixture->err, "a repair left it without effect");
    SAY(fixture, 0, "replay", "--verify");
}

/* A member that would be passed over in silence, such as a key: the caller relies on it. */
static void test_account_transact_refuses_what_its_file_cannot_say(void **state) {
    static const struct {
        const char *text;
        const char *why;
    } files[] = {
        {"{\"ops\":[{\"type\":\"deposit\",\"to\":\"A\",\"amount\":\"1\",\"currency\":\"USD\"}],"
         "\"key\":\"k-1\"}",
         "unknown member 'key'"},
        {"{\"ops\":[{\"type\":\"hold\",\"from\":\"A\",\"to\":\"B\",\"amount\":\"1\","
         "\"currency\":\"USD\",\"hold\":\"h\",\"expires_in\":\"0s\"}]}",
         "operation 1: member 'expires_in' must be more than nothing"},
    };
    struct fixture *fixture = *state;
    make_bank(fixture);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        assert_int_equal(run(fixture, files[i].text, strlen(files[i].text), NULL,
                             (const char *const[]){"account", "transact", "-", NULL}),
                         2);
        assert_contains(fixture->err, files[i].why);
    }
}

/* An empty member would be as one that is not there: a transfer at the rate in force, a hold posted
 * as a whole. */
static void test_exec_account_refuses_empty_members(void **state) {
    static const char *const members[] = {
        "type",     "from",    "to",           "amount",  "currency", "rate",       "instrument",
        "fee_rule", "account", "account_type", "minimum", "reason",   "expires_in", "hold"};
    struct fixture *fixture = *state;
    make_bank(fixture);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char line[400], why[80];
        snprintf(line, sizeof line,
                 "{\"cmd\":\"account.transact\",\"ops\":[{\"type\":\"deposit\",\"to\":\"ACC001\","
                 "\"amount\":\"1\",\"currency\":\"USD\"},{\"%s\":\"\"}]}\n"
                 "{\"cmd\":\"account.show\",\"number\":\"ACC001\"}\n",
                 members[i]);
        json_t *answers = exec_lines(fixture, 0, line);
        assert_code(at(answers, "0"), "usage");
        snprintf(why, sizeof why, "operation 2: member '%s' is empty", members[i]);
        assert_contains(text_at(answers, "0.error.message"), why);
        assert_string_equal(text_at(answers, "1.result.balance"), "5000.00");
    }
    json_t *answers =
        exec_lines(fixture, 0,
                   OPEN("NEW", "checking", "USD",
                        "") "{\"cmd\":\"account.open\",\"id\":\"NEW\",\"type\":\"loan\","
                            "\"currency\":\"USD\",\"minimum\":\"\"}\n");
    assert_code(at(answers, "0"), "usage");
    assert_contains(text_at(answers, "0.error.message"), "member 'balance' is empty");
    assert_contains(text_at(answers, "1.error.message"), "member 'minimum' is empty");
    ASK(fixture, 2, "account", "open", "NEW", "--type", "loan", "--currency", "USD", "--minimum",
        "");
    ASK(fixture, 2, "account", "open", "NEW", "--type", "loan", "--currency", "USD", "--balance",
        "");
    ASK(fixture, 3, "account", "show", "NEW");
}

static void test_account_statement_has_three_forms(void **state) {
    struct fixture *fixture = *state;
    make_bank(fixture);
    exec_lines(fixture, 0, "{\"cmd\":\"account.transact\",\"actor\":\"a,\\\"b\\\"\"," OPS "}\n");
    json_t *answer = ASK(fixture, 0, "account", "statement", "ACC001");
    assert_int_equal(json_array_size(at(answer, "lines")), 3);
    assert_string_equal(text_at(answer, "lines.2.operation"), "fee_deduction");
    assert_string_equal(text_at(answer, "lines.2.balance"), "3975.00");
    assert_contains(SAY(fixture, 0, "account", "statement", "ACC001"), "-1000.00  4000.00");
    const char *csv = SAY(fixture, 0, "-o", "csv", "account", "statement", "ACC001");
    assert_contains(csv, "lsn,time,operation,other,amount,balance,actor\r\n");
    assert_contains(csv, ",transfer,ACC002,-1000.00,4000.00,\"a,\"\"b\"\"\"\r\n");
    answer = ASK(fixture, 0, "account", "statement", "ACC001", "--as-of", "5");
    assert_int_equal(json_array_size(at(answer, "lines")), 1);
    SAY(fixture, 2, "-o", "csv", "account", "list");
    ASK(fixture, 3, "account", "statement", "ACC001", "--as-of", "1");
    ASK(fixture, 3, "account", "statement", "ACC001", "--as-of", "99");
    assert_contains(fixture->out, "record 99 is not there yet");
}

static void test_account_statement_as_of_a_time(void **state) {
    struct fixture *fixture = *state;
    make_bank(fixture);
    exec_lines(fixture, 0,
               "{\"cmd\":\"clock.advance\",\"by\":\"1h\"}\n{\"cmd\":\"account.transact\"," OPS
               "}\n");
    json_t *answer =
        ASK(fixture, 0, "account", "statement", "ACC001", "--as-of", "2026-01-01T00:30:00Z");
    assert_int_equal(json_array_size(at(answer, "lines")), 1);
    answer = exec_lines(fixture, 0,
                        "{\"cmd\":\"account.statement\",\"number\":\"ACC001\","
                        "\"as_of\":\"2026-01-01T00:30:00Z\"}\n");
    assert_string_equal(text_at(answer, "0.result.balance"), "5000.00");
}

static void test_reference_data_is_set_and_listed(void **state) {
    struct fixture *fixture = *state;
    fixture_init(fixture);
    ASK(fixture, 0, "rate", "set", "USD_to_EUR", "rate=0.91", "source=ECB");
    ASK(fixture, 0, "rate", "set", "USD_to_EUR", "rate=0.90", "source=ECB");
    ASK(fixture, 2, "rate", "set", "USD_to_EUR", "rate=-1", "source=ECB");
    ASK(fixture, 0, "calendar", "set", "NYSE", "open=14:30", "close=21:00");
    ASK(fixture, 0, "instrument", "set", "ACME", "currency=USD", "calendar=NYSE");
    ASK(fixture, 0, "fee_rule", "set", "service_fee", "currency=USD", "maximum=9.00");
    json_t *answer = ASK(fixture, 0, "rate", "list");
    assert_int_equal(json_array_size(at(answer, "references")), 1);
    assert_string_equal(text_at(answer, "references.0.data.rate"), "0.90");
    assert_contains(SAY(fixture, 0, "calendar", "list"), "NYSE  open=14:30, close=21:00");
}

#define LOAN                                                                                       \
    OPEN("LOAN1", "loan", "USD", "0.00")                                                           \
    "{\"cmd\":\"workflow.start\",\"type\":\"loan_application\",\"id\":\"L1\"}\n"                   \
    "{\"cmd\":\"workflow.submit\",\"id\":\"L1\",\"step\":\"applicant_submission\",\"data\":{"      \
    "\"personal_info\":\"Ada\",\"ssn\":\"1\",\"employment\":\"baker\"}}\n"

/* The step that completes the credit check, its money with it. */
#define CREDIT(ops)                                                                                \
    "{\"cmd\":\"workflow.submit\",\"id\":\"L1\",\"step\":\"credit_bureau_response\",\"data\":{"    \
    "\"credit_score\":\"750\",\"history\":\"good\"}," ops "}\n"

static void test_exec_submission_carries_a_transaction(void **state) {
    struct fixture *fixture = *state;
    make_bank(fixture);
    json_t *answers = exec_lines(
        fixture, 0,
        LOAN CREDIT("\"ops\":[{\"type\":\"loan_disbursement\",\"from\":\"LOAN1\",\"to\":\"ACC001\","
                    "\"amount\":\"1.00\",\"currency\":\"USD\"},{\"type\":\"transfer\",\"from\":"
                    "\"ACC001\",\"to\":\"ACC002\",\"amount\":\"9000.00\",\"currency\":\"USD\"}]")
            CREDIT(OPS) "{\"cmd\":\"workflow.show\",\"id\":\"L1\"}\n"
                        "{\"cmd\":\"workflow.rollback\",\"id\":\"L1\",\"to\":\"credit_check\","
                        "\"reason\":\"r\",\"actor\":\"ann\",\"dry_run\":true}\n"
                        "{\"cmd\":\"workflow.rollback\",\"id\":\"L1\",\"to\":\"credit_check\","
                        "\"reason\":\"r\",\"actor\":\"ann\"}\n"
                        "{\"cmd\":\"review.approve\",\"id\":\"L1\",\"stage\":"
                        "\"income_verification\",\"role\":\"reviewer\",\"actor\":\"rita\"}\n"
                        "{\"cmd\":\"account.check\"}\n");
    assert_code(at(answers, "3"), "refused");
    assert_contains(text_at(answers, "3.error.message"),
                    "operation 2 (transfer): sufficient_funds");
    assert_string_equal(text_at(answers, "4.result.outcome"), "income_verification_triggered");
    assert_string_equal(text_at(answers, "4.result.balances.0.balance"), "3975.00");
    assert_string_equal(text_at(answers, "5.result.money.0.stage"), "credit_check");
    assert_string_equal(text_at(answers, "5.result.money.0.moved.0.amount"), "-1025.00");
    assert_string_equal(text_at(answers, "6.result.plan.1.moved.0.amount"), "1025.00");
    assert_string_equal(text_at(answers, "8.result.balances.0.balance"), "5000.00");
    assert_true(true_at(answers, "9.ok"));
}

static void test_workflow_submit_takes_operations_from_a_file(void **state) {
    struct fixture *fixture = *state;
    make_bank(fixture);
    exec_lines(fixture, 0, LOAN);
    static const char text[] = "[{\"type\":\"loan_disbursement\",\"from\":\"LOAN1\",\"to\":"
                               "\"ACC001\",\"amount\":\"4.00\",\"currency\":\"USD\"}]";
    fixture_write(fixture, "ops.json", text, strlen(text));
    char path[256];
    snprintf(path, sizeof path, "%s", fixture_path(fixture, "ops.json"));
    ASK(fixture, 3, "workflow", "submit", "L1", "applicant_submission", "--ops", "nothing.json");
    assert_contains(SAY(fixture, 0, "workflow", "submit", "L1", "credit_bureau_response",
                        "credit_score=750", "history=good", "--ops", path),
                    "ACC001  5004.00 USD");
    const char *plan = SAY(fixture, 0, "workflow", "rollback", "L1", "--to", "credit_check",
                           "--reason", "r", "--actor", "ann", "--dry-run");
    assert_contains(plan, "moved: LOAN1 +4.00 USD, ACC001 -4.00 USD");
    assert_contains(SAY(fixture, 0, "workflow", "show", "L1"), "money    credit_check, record");
    const char *history = SAY(fixture, 0, "workflow", "history", "L1");
    assert_contains(history, "operation posted: operation=loan_disbursement, LOAN1=-4.00 USD");
    assert_contains(history, "money of credit_check bound");
}

static void test_account_reverse_posts_the_opposite_once(void **state) {
    struct fixture *fixture = *state;
    make_bank(fixture);
    json_t *answers = exec_lines(fixture, 0, "{\"cmd\":\"account.transact\"," OPS "}\n");
    char lsn[24];
    snprintf(lsn, sizeof lsn, "%lld", (long long)json_integer_value(at(answers, "0.lsn")));
    SAY(fixture, 2, "account", "reverse", "none", "--reason", "r", "--actor", "eve");
    SAY(fixture, 2, "account", "reverse", lsn, "--reason", "r");
    assert_contains(
        SAY(fixture, 0, "account", "reverse", lsn, "--reason", "entered twice", "--actor", "eve"),
        "ACC001  5000.00 USD");
    ASK(fixture, 1, "account", "reverse", lsn, "--reason", "r", "--actor", "eve");
    ASK(fixture, 3, "account", "reverse", "4711", "--reason", "r", "--actor", "eve");
    assert_contains(SAY(fixture, 0, "account", "history", "ACC001"), ": entered twice");
    char line[200];
    snprintf(line, sizeof line,
             "{\"cmd\":\"account.reverse\",\"lsn\":%s,\"reason\":\"r\",\"actor\":\"eve\"}\n", lsn);
    answers = exec_lines(fixture, 0, line);
    assert_contains(text_at(answers, "0.error.message"), "it was reversed already, in record");
    ASK(fixture, 0, "account", "check");
}

/* More accounts than a result has room for: all of them are told. */
static void test_exec_tells_all_balances(void **state) {
    struct fixture *fixture = *state;
    enum { ACCOUNTS = 40 };
    char lines[ACCOUNTS * 200] = "";
    size_t size = 0;
    make_bank(fixture);
    for (int i = 0; i < ACCOUNTS; i++)
        size += (size_t)snprintf(lines + size, sizeof lines - size,
                                 "{\"cmd\":\"account.open\",\"id\":\"N%02d\",\"type\":\"checking\","
                                 "\"currency\":\"USD\"}\n",
                                 i);
    size += (size_t)snprintf(lines + size, sizeof lines - size,
                             "{\"cmd\":\"account.transact\",\"ops\":[");
    for (int i = 0; i < ACCOUNTS; i++)
        size += (size_t)snprintf(lines + size, sizeof lines - size,
                                 "%s{\"type\":\"transfer\",\"from\":\"ACC001\",\"to\":\"N%02d\","
                                 "\"amount\":\"1.00\",\"currency\":\"USD\"}",
                                 i == 0 ? "" : ",", i);
    snprintf(lines + size, sizeof lines - size, "]}\n");
    json_t *answers = exec_lines(fixture, 0, lines);
    const json_t *balances = at(json_array_get(answers, ACCOUNTS), "result.balances");
    assert_int_equal(json_array_size(balances), ACCOUNTS + 1);
    assert_string_equal(text_at(json_array_get(balances, 0), "balance"), "4960.00");
    assert_string_equal(text_at(json_array_get(balances, ACCOUNTS), "account"), "N39");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(test_exec_account_feature_comes_to_its_figures),
        TEST(test_exec_account_names_the_operation_that_failed),
        TEST(test_exec_says_which_command_was_meant),
        TEST(test_exec_account_has_one_number),
        TEST(test_account_commands_and_their_exit_statuses),
        TEST(test_account_transact_refuses_what_its_file_cannot_say),
        TEST(test_exec_account_refuses_empty_members),
        TEST(test_account_past_marks_what_is_without_effect),
        TEST(test_account_check_and_doctor_name_a_reversal_that_stands_alone),
        TEST(test_account_statement_has_three_forms),
        TEST(test_account_statement_as_of_a_time),
        TEST(test_reference_data_is_set_and_listed),
        TEST(test_exec_submission_carries_a_transaction),
        TEST(test_workflow_submit_takes_operations_from_a_file),
        TEST(test_account_reverse_posts_the_opposite_once),
        TEST(test_exec_tells_all_balances),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
