/* The standard anomalies at each isolation level: each may happen, or does not, exactly as the
 * table in wf.h has it. */
#include "tests/lib/session_bank.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SESSIONS = 3 };

static int setup(void **state) {
    static struct session_bank bank;
    session_bank_init(&bank);
    session_bank_open_account(&bank, "A", "USD", "100.00");
    session_bank_open_account(&bank, "B", "USD", "100.00");
    session_bank_open_sessions(&bank, SESSIONS);
    *state = &bank;
    return 0;
}

static int teardown(void **state) {
    struct session_bank *b = *state;
    session_bank_close_sessions(b);
    session_bank_deinit(b);
    return 0;
}

/* --- what the sessions do --- */

/* The balance in whole dollars. */
static int reads(struct session_bank *b, int who, const char *number) {
    struct wf_account *account = NULL;
    must(&b->f, wf_session_account(b->sessions[who], number, &account, &b->f.err));
    int balance = atoi(account->balance);
    wf_account_free(account);
    return balance;
}

static void executes(struct session_bank *b, int who, const char *type, const char *from,
                     const char *to, int amount) {
    char text[16];
    snprintf(text, sizeof text, "%d.00", amount);
    const struct wf_operation operation = {
        .type = type, .from = from, .to = to, .amount = text, .currency = "USD"};
    must(&b->f, wf_session_execute(b->sessions[who], &operation, 1, NULL, &b->f.err));
}

static void withdraws(struct session_bank *b, int who, const char *number, int amount) {
    executes(b, who, "withdrawal", number, NULL, amount);
}

static void deposits(struct session_bank *b, int who, const char *number, int amount) {
    executes(b, who, "deposit", NULL, number, amount);
}

/* How many accounts hold at least so much. */
static int counts(struct session_bank *b, int who, const char *balance_min) {
    const struct wf_account_filter filter = {.currency = "USD", .balance_min = balance_min};
    uint64_t count;
    must(&b->f, wf_session_count(b->sessions[who], &filter, &count, &b->f.err));
    return (int)count;
}

static bool commits(struct session_bank *b, int who) {
    enum wf_status status = wf_session_commit(b->sessions[who], NULL, NULL, NULL, &b->f.err);
    if (status != WF_OK && status != WF_CONFLICT)
        must(&b->f, status);
    return status == WF_OK;
}

static int holds(struct session_bank *b, const char *number) {
    struct wf_account *account = NULL;
    must(&b->f, wf_account_get(b->f.engine, number, &account, &b->f.err));
    int balance = atoi(account->balance);
    wf_account_free(account);
    return balance;
}

/* --- anomalies. True: it happened --- */

static bool dirty_read(struct session_bank *b, enum wf_isolation isolation) {
    session_bank_begin(b, 0, isolation);
    session_bank_begin(b, 1, isolation);
    withdraws(b, 0, "A", 40);
    bool happened = reads(b, 1, "A") != 100 || counts(b, 1, "100.00") != 2;
    must(&b->f, wf_session_rollback(b->sessions[0], &b->f.err));
    assert_true(commits(b, 1));
    return happened;
}

/* One overwrites what another has not committed: the second withdrawal would be undone by the
 * rollback of the first, or the first would undo the second. */
static bool dirty_write(struct session_bank *b, enum wf_isolation isolation) {
    session_bank_begin(b, 0, isolation);
    session_bank_begin(b, 1, isolation);
    withdraws(b, 0, "A", 10);
    withdraws(b, 1, "A", 20);
    must(&b->f, wf_session_rollback(b->sessions[0], &b->f.err));
    assert_true(commits(b, 1));
    return holds(b, "A") != 80;
}

/* Interest of 10 % on what was read, twice: 121, or one is refused. */
static bool lost_update(struct session_bank *b, enum wf_isolation isolation) {
    session_bank_begin(b, 0, isolation);
    session_bank_begin(b, 1, isolation);
    deposits(b, 0, "A", reads(b, 0, "A") / 10);
    deposits(b, 1, "A", reads(b, 1, "A") / 10);
    bool second = commits(b, 1), first = commits(b, 0);
    return first && second && holds(b, "A") != 121;
}

/* The sum of two accounts, with a transfer committed between the two reads. */
static bool read_skew(struct session_bank *b, enum wf_isolation isolation) {
    session_bank_begin(b, 0, isolation);
    session_bank_begin(b, 1, isolation);
    int sum = reads(b, 0, "A");
    executes(b, 1, "transfer", "A", "B", 30);
    assert_true(commits(b, 1));
    sum += reads(b, 0, "B");
    assert_true(commits(b, 0));
    return sum != 200;
}

static bool non_repeatable_read(struct session_bank *b, enum wf_isolation isolation) {
    session_bank_begin(b, 0, isolation);
    session_bank_begin(b, 1, isolation);
    int first = reads(b, 0, "A");
    withdraws(b, 1, "A", 30);
    assert_true(commits(b, 1));
    int second = reads(b, 0, "A");
    assert_true(commits(b, 0));
    return first != second;
}

static bool phantom_by_change(struct session_bank *b, enum wf_isolation isolation) {
    session_bank_begin(b, 0, isolation);
    session_bank_begin(b, 1, isolation);
    int first = counts(b, 0, "90.00");
    withdraws(b, 1, "A", 30);
    assert_true(commits(b, 1));
    int second = counts(b, 0, "90.00");
    assert_true(commits(b, 0));
    return first != second;
}

static bool phantom_by_opening(struct session_bank *b, enum wf_isolation isolation) {
    session_bank_begin(b, 0, isolation);
    int first = counts(b, 0, "90.00");
    session_bank_open_account(b, "C", "USD", "500.00");
    int second = counts(b, 0, "90.00");
    assert_true(commits(b, 0));
    return first != second;
}

/* Both accounts together must keep 100: each takes 100 from another one. */
static bool write_skew(struct session_bank *b, enum wf_isolation isolation) {
    session_bank_begin(b, 0, isolation);
    session_bank_begin(b, 1, isolation);
    for (int who = 0; who < 2; who++)
        assert_int_equal(reads(b, who, "A") + reads(b, who, "B"), 200);
    withdraws(b, 0, "A", 100);
    withdraws(b, 1, "B", 100);
    bool first = commits(b, 0), second = commits(b, 1);
    return first && second && holds(b, "A") + holds(b, "B") < 100;
}

/* The same, where what is read is a count: one account must keep 100. */
static bool write_skew_by_count(struct session_bank *b, enum wf_isolation isolation) {
    session_bank_begin(b, 0, isolation);
    session_bank_begin(b, 1, isolation);
    for (int who = 0; who < 2; who++)
        assert_int_equal(counts(b, who, "100.00"), 2);
    withdraws(b, 0, "A", 1);
    withdraws(b, 1, "B", 1);
    bool first = commits(b, 0), second = commits(b, 1);
    return first && second && holds(b, "A") < 100 && holds(b, "B") < 100;
}

/* One looks for an account that is not there, another opens it, and both rely on what they saw. */
static bool write_skew_by_absence(struct session_bank *b, enum wf_isolation isolation) {
    struct wf_account *account = NULL;
    session_bank_begin(b, 0, isolation);
    assert_int_equal(wf_session_account(b->sessions[0], "C", &account, &b->f.err), WF_NOT_FOUND);
    withdraws(b, 0, "A", 1);
    session_bank_open_account(b, "C", "USD", "5.00");
    return commits(b, 0);
}

/* Fekete, O'Neil, O'Neil: a third one that only reads sees the deposit to B and not the withdrawal
 * from A, which did not see the deposit. */
static bool read_only_anomaly(struct session_bank *b, enum wf_isolation isolation) {
    session_bank_begin(b, 0, isolation); /* withdraws from A by what it saw of both */
    int seen = reads(b, 0, "A") + reads(b, 0, "B");
    session_bank_begin(b, 1, isolation);
    deposits(b, 1, "B", 20);
    assert_true(commits(b, 1));
    session_bank_begin(b, 2, isolation);
    int a = reads(b, 2, "A"), other = reads(b, 2, "B");
    assert_true(commits(b, 2));
    withdraws(b, 0, "A", 10);
    return commits(b, 0) && seen == 200 && a == 100 && other == 120;
}

enum { NO = false, MAY = true };

static const struct session_anomaly anomalies[] = {
    {"dirty read", dirty_read, {NO, NO, NO}},
    {"dirty write", dirty_write, {NO, NO, NO}},
    {"lost update", lost_update, {MAY, NO, NO}},
    {"read skew", read_skew, {MAY, NO, NO}},
    {"non-repeatable read", non_repeatable_read, {MAY, NO, NO}},
    {"phantom by a change", phantom_by_change, {MAY, NO, NO}},
    {"phantom by an opening", phantom_by_opening, {MAY, NO, NO}},
    {"write skew", write_skew, {MAY, MAY, NO}},
    {"write skew by a count", write_skew_by_count, {MAY, MAY, NO}},
    {"write skew by absence", write_skew_by_absence, {MAY, MAY, NO}},
    {"read-only anomaly", read_only_anomaly, {MAY, MAY, NO}},
};

static void test_isolation_permits_and_prevents_as_documented(void **state) {
    (void)state;
    session_anomalies_check(anomalies, sizeof anomalies / sizeof anomalies[0], setup, teardown);
}

/* --- conflicts --- */

static void test_isolation_conflict_names_the_account_and_changes_nothing(void **state) {
    struct session_bank *b = *state;
    session_bank_begin(b, 0, WF_SNAPSHOT);
    withdraws(b, 0, "A", 10);
    executes(b, 0, "transfer", "A", "B", 5);
    session_bank_begin(b, 1, WF_SNAPSHOT);
    deposits(b, 1, "B", 7);
    assert_true(commits(b, 1));
    uint64_t lsn = fixture_status(&b->f).durable_lsn;
    assert_false(commits(b, 0));
    assert_non_null(strstr(b->f.err.text, "conflict: account B was changed in record"));
    assert_int_equal(fixture_status(&b->f).durable_lsn, lsn);
    assert_int_equal(holds(b, "A"), 100);
    assert_int_equal(holds(b, "B"), 107);
    session_bank_begin(b, 0, WF_SNAPSHOT); /* again */
    withdraws(b, 0, "A", 10);
    assert_true(commits(b, 0));
}

static void test_isolation_conflict_comes_before_a_refusal(void **state) {
    struct session_bank *b = *state;
    session_bank_begin(b, 0, WF_SNAPSHOT);
    withdraws(b, 0, "A", 100);
    session_bank_begin(b, 1, WF_SNAPSHOT);
    withdraws(b, 1, "A", 1);
    assert_true(commits(b, 1));
    assert_false(commits(b, 0)); /* not "sufficient_funds": it never saw that balance */
}

static void test_isolation_reads_of_others_do_not_conflict(void **state) {
    struct session_bank *b = *state;
    for (int level = 1; level < SESSION_LEVELS; level++) {
        session_bank_begin(b, 0, session_levels[level]);
        session_bank_begin(b, 1, session_levels[level]);
        (void)reads(b, 0, "B");
        (void)reads(b, 1, "A");
        withdraws(b, 0, "B", 1);
        withdraws(b, 1, "A", 1);
        assert_true(commits(b, 0)); /* both post to CASH, which only adds */
        assert_true(commits(b, 1));
        session_bank_begin(b, 0, session_levels[level]);
        session_bank_begin(b, 1, session_levels[level]);
        (void)reads(b, 0, "A");
        withdraws(b, 1, "B", 1);
        assert_true(commits(b, 1));
        withdraws(b, 0, "A", 1);
        assert_true(commits(b, 0));
    }
}

static void test_isolation_refused_commands_of_others_do_not_conflict(void **state) {
    struct session_bank *b = *state;
    session_bank_begin(b, 0, WF_SERIALIZABLE);
    withdraws(b, 0, "A", 1);
    const struct wf_operation operation = {
        .type = "transfer", .from = "A", .to = "B", .amount = "900.00", .currency = "USD"};
    struct wf_command command = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = &operation, .operation_count = 1};
    assert_int_equal(wf_execute(b->f.engine, &command, NULL, &b->f.err), WF_REFUSED);
    assert_true(commits(b, 0));
}

static void test_isolation_list_conflicts_only_with_what_it_was_about(void **state) {
    struct session_bank *b = *state;
    session_bank_open_account(b, "C", "USD", "10.00");
    session_bank_begin(b, 0, WF_SERIALIZABLE);
    assert_int_equal(counts(b, 0, "100.00"), 2);
    session_bank_begin(b, 1, WF_SERIALIZABLE);
    deposits(b, 1, "C", 5); /* 15: not counted before, nor after */
    assert_true(commits(b, 1));
    withdraws(b, 0, "A", 1);
    assert_true(commits(b, 0));
    session_bank_begin(b, 0, WF_SERIALIZABLE);
    assert_int_equal(counts(b, 0, "100.00"), 1);
    session_bank_begin(b, 1, WF_SERIALIZABLE);
    deposits(b, 1, "C", 300);
    assert_true(commits(b, 1));
    withdraws(b, 0, "A", 1);
    assert_false(commits(b, 0));
    assert_non_null(strstr(b->f.err.text, "among which C was changed"));
}

static void test_isolation_reads_stay_reads_behind_a_savepoint(void **state) {
    struct session_bank *b = *state;
    session_bank_begin(b, 0, WF_SERIALIZABLE);
    must(&b->f, wf_session_savepoint(b->sessions[0], "s", &b->f.err));
    executes(b, 0, "transfer", "B", "A", 100); /* that it can is a read of B */
    must(&b->f, wf_session_rollback_to(b->sessions[0], "s", &b->f.err));
    session_bank_begin(b, 1, WF_SERIALIZABLE);
    withdraws(b, 1, "B", 1);
    assert_true(commits(b, 1));
    withdraws(b, 0, "A", 1);
    assert_false(commits(b, 0));
    /* Under SNAPSHOT only what is written counts. */
    session_bank_begin(b, 0, WF_SNAPSHOT);
    must(&b->f, wf_session_savepoint(b->sessions[0], "s", &b->f.err));
    executes(b, 0, "transfer", "B", "A", 1);
    must(&b->f, wf_session_rollback_to(b->sessions[0], "s", &b->f.err));
    session_bank_begin(b, 1, WF_SNAPSHOT);
    withdraws(b, 1, "B", 1);
    assert_true(commits(b, 1));
    withdraws(b, 0, "A", 1);
    assert_true(commits(b, 0));
}

/* That there is no rate is a read too, though its operation was refused. */
static void test_isolation_reference_that_was_missed_must_still_miss(void **state) {
    struct session_bank *b = *state;
    struct wf_command euros = {
        .kind = WF_ACCOUNT_OPEN, .id = "E", .type = "checking", .currency = "EUR"};
    must(&b->f, wf_execute(b->f.engine, &euros, NULL, &b->f.err));
    const struct wf_operation exchange = {.type = "currency_exchange",
                                          .from = "A",
                                          .to = "E",
                                          .amount = "10.00",
                                          .currency = "USD_to_EUR"};
    for (int level = 1; level < SESSION_LEVELS; level++) {
        session_bank_begin(b, 0, session_levels[level]);
        assert_int_equal(wf_session_execute(b->sessions[0], &exchange, 1, NULL, &b->f.err),
                         WF_REFUSED);
        withdraws(b, 0, "A", 1);
        struct wf_field fields[] = {{"rate", "0.90"}, {"source", "test"}};
        struct wf_command rate = {.kind = WF_RATE_SET,
                                  .id = level == 1 ? "USD_to_GBP" : "USD_to_EUR",
                                  .fields = fields,
                                  .field_count = 2};
        must(&b->f, wf_execute(b->f.engine, &rate, NULL, &b->f.err));
        assert_int_equal(commits(b, 0), level == 1);
    }
}

static void test_isolation_money_of_a_stage_is_a_commit_too(void **state) {
    struct session_bank *b = *state;
    const struct wf_field fields[] = {{"credit_score", "750"}, {"history", "good"}};
    const struct wf_operation fee = {
        .type = "transfer", .from = "A", .to = "B", .amount = "10.00", .currency = "USD"};
    const struct wf_command command = {.kind = WF_WORKFLOW_SUBMIT,
                                       .id = "L0001",
                                       .step = "credit_bureau_response",
                                       .fields = fields,
                                       .field_count = 2,
                                       .operations = &fee,
                                       .operation_count = 1};
    fixture_loan(&b->f, "L0001", 1);
    session_bank_begin(b, 0, WF_SNAPSHOT);
    withdraws(b, 0, "A", 1);
    must(&b->f, wf_execute(b->f.engine, &command, NULL, &b->f.err));
    assert_int_equal(reads(b, 0, "A"), 99);
    assert_int_equal(reads(b, 0, "B"), 100);
    assert_false(commits(b, 0));
    assert_int_equal(holds(b, "A"), 90);
}

static void set_rate(struct session_bank *b, const char *rate) {
    struct wf_field fields[] = {{"rate", rate}, {"source", "test"}};
    struct wf_command command = {
        .kind = WF_RATE_SET, .id = "USD_to_EUR", .fields = fields, .field_count = 2};
    must(&b->f, wf_execute(b->f.engine, &command, NULL, &b->f.err));
}

static void test_isolation_rates_must_not_have_changed(void **state) {
    struct session_bank *b = *state;
    struct wf_command euros = {
        .kind = WF_ACCOUNT_OPEN, .id = "E", .type = "checking", .currency = "EUR"};
    must(&b->f, wf_execute(b->f.engine, &euros, NULL, &b->f.err));
    set_rate(b, "0.90");
    const struct wf_operation exchange = {.type = "currency_exchange",
                                          .from = "A",
                                          .to = "E",
                                          .amount = "10.00",
                                          .currency = "USD_to_EUR"};
    for (int level = 0; level < SESSION_LEVELS; level++) {
        session_bank_begin(b, 0, session_levels[level]);
        must(&b->f, wf_session_execute(b->sessions[0], &exchange, 1, NULL, &b->f.err));
        set_rate(b, level == 1 ? "0.50" : "0.80");
        assert_int_equal(commits(b, 0), level == 0);
        if (level > 0)
            assert_non_null(strstr(b->f.err.text, "rate USD_to_EUR was changed"));
        session_bank_begin(b, 0, session_levels[level]);
        set_rate(b, "0.85");
        withdraws(b, 0, "A", 1); /* it uses no rate */
        assert_true(commits(b, 0));
    }
    assert_int_equal(holds(b, "E"), 8); /* READ_COMMITTED: at the rate of the commit */
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_isolation_permits_and_prevents_as_documented),
        TEST(test_isolation_conflict_names_the_account_and_changes_nothing),
        TEST(test_isolation_conflict_comes_before_a_refusal),
        TEST(test_isolation_reads_of_others_do_not_conflict),
        TEST(test_isolation_refused_commands_of_others_do_not_conflict),
        TEST(test_isolation_list_conflicts_only_with_what_it_was_about),
        TEST(test_isolation_reads_stay_reads_behind_a_savepoint),
        TEST(test_isolation_reference_that_was_missed_must_still_miss),
        TEST(test_isolation_money_of_a_stage_is_a_commit_too),
        TEST(test_isolation_rates_must_not_have_changed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
