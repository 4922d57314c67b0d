/* Accounts opened, frozen, unfrozen and closed inside a session's transaction: what it sees of
 * them, what it leaves, and what sessions see of each other's. */
#include "tests/lib/session_bank.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SESSIONS = 2 };

static int setup(void **state) {
    static struct session_bank bank;
    session_bank_init(&bank);
    session_bank_open_account(&bank, "B", "USD", "100.00");
    session_bank_open_account(&bank, "D", "USD", "100.00");
    session_bank_open_sessions(&bank, SESSIONS);
    *state = &bank;
    return 0;
}

static int teardown(void **state) {
    struct session_bank *b = *state;
    session_bank_close_sessions(b);
    assert_int_equal(b->f.engine->versions.bytes, 0);
    fixture_verify(&b->f);
    struct wf_account_report report;
    must(&b->f, wf_account_check(b->f.engine, &report, &b->f.err));
    session_bank_deinit(b);
    return 0;
}

/* --- what the sessions do --- */

static enum wf_status execute(struct session_bank *b, int who, struct wf_operation operation) {
    return wf_session_execute(b->sessions[who], &operation, 1, NULL, &b->f.err);
}

static struct wf_operation opening(const char *number, const char *balance) {
    return (struct wf_operation){.type = "account_open",
                                 .account = number,
                                 .account_type = "savings",
                                 .currency = "USD",
                                 .amount = balance};
}

static struct wf_operation transfer(const char *from, const char *to, const char *amount) {
    return (struct wf_operation){
        .type = "transfer", .from = from, .to = to, .amount = amount, .currency = "USD"};
}

static struct wf_operation change(const char *type, const char *number) {
    return (struct wf_operation){.type = type, .account = number, .reason = "because"};
}

static enum wf_status commit(struct session_bank *b, int who) {
    return wf_session_commit(b->sessions[who], NULL, NULL, NULL, &b->f.err);
}

static void roll_back(struct session_bank *b, int who) {
    must(&b->f, wf_session_rollback(b->sessions[who], &b->f.err));
}

static bool add_name(void *ctx, const struct wf_account *account) {
    char *text = ctx;
    size_t used = strlen(text);
    snprintf(text + used, 200 - used, "%s=%s;", account->number, account->balance);
    return true;
}

/* All accounts that begin so, as "A=1.00;B=2.00;". */
static void lists(struct session_bank *b, int who, const char *prefix, const char *expected) {
    char text[200] = "";
    uint64_t count, expected_count = 0;
    const struct wf_account_filter filter = {.prefix = prefix};
    must(&b->f, wf_session_list(b->sessions[who], &filter, add_name, text, &b->f.err));
    assert_string_equal(text, expected);
    must(&b->f, wf_session_count(b->sessions[who], &filter, &count, &b->f.err));
    for (const char *at = expected; *at != '\0'; at++)
        expected_count += *at == ';';
    assert_int_equal(count, expected_count);
}

/* "active 5.00", or "none". */
static void sees(struct session_bank *b, int who, const char *number, const char *expected) {
    struct wf_account *account = NULL;
    char text[64] = "none";
    enum wf_status status = wf_session_account(b->sessions[who], number, &account, &b->f.err);
    if (status != WF_NOT_FOUND) {
        must(&b->f, status);
        snprintf(text, sizeof text, "%s %s", account->status, account->balance);
    }
    wf_account_free(account);
    assert_string_equal(text, expected);
}

static void is(struct session_bank *b, const char *number, const char *expected) {
    struct wf_account *account = NULL;
    char text[64] = "none";
    enum wf_status status = wf_account_get(b->f.engine, number, &account, &b->f.err);
    if (status != WF_NOT_FOUND) {
        must(&b->f, status);
        snprintf(text, sizeof text, "%s %s", account->status, account->balance);
    }
    wf_account_free(account);
    assert_string_equal(text, expected);
}

static uint64_t last_lsn(struct session_bank *b) {
    return fixture_status(&b->f).durable_lsn;
}

/* --- one transaction --- */

static void test_session_opens_an_account_and_pays_into_it_as_one_record(void **state) {
    struct session_bank *b = *state;
    for (int i = 0; i < SESSION_LEVELS; i++) {
        char number[8];
        snprintf(number, sizeof number, "C%d", i);
        uint64_t before = last_lsn(b);
        session_bank_begin(b, 0, session_levels[i]);
        must(&b->f, execute(b, 0, opening(number, NULL)));
        must(&b->f, execute(b, 0, transfer("B", number, "10.00")));
        sees(b, 0, number, "active 10.00");
        is(b, number, "none");
        assert_int_equal(last_lsn(b), before);
        struct wf_result result;
        must(&b->f, wf_session_commit(b->sessions[0], NULL, NULL, &result, &b->f.err));
        assert_int_equal(result.lsn, before + 1);
        assert_string_equal(result.outcome, "posted");
        is(b, number, "active 10.00");
    }
    is(b, "B", "active 70.00");
}

static void test_session_rollback_leaves_no_account(void **state) {
    struct session_bank *b = *state;
    for (int i = 0; i < SESSION_LEVELS; i++) {
        uint64_t before = last_lsn(b);
        session_bank_begin(b, 0, session_levels[i]);
        must(&b->f, execute(b, 0, opening("C", "5.00")));
        must(&b->f, execute(b, 0, change("account_freeze", "B")));
        roll_back(b, 0);
        assert_int_equal(last_lsn(b), before);
        is(b, "C", "none");
        is(b, "B", "active 100.00");
        session_bank_begin(b, 0, session_levels[i]); /* the session kept nothing of it */
        sees(b, 0, "C", "none");
        roll_back(b, 0);
    }
}

static void test_session_savepoint_takes_an_opening_back(void **state) {
    struct session_bank *b = *state;
    for (int i = 0; i < SESSION_LEVELS; i++) {
        session_bank_begin(b, 0, session_levels[i]);
        must(&b->f, execute(b, 0, opening("A", NULL)));
        must(&b->f, wf_session_savepoint(b->sessions[0], "s", &b->f.err));
        must(&b->f, execute(b, 0, opening("C", NULL)));
        must(&b->f, execute(b, 0, change("account_freeze", "A")));
        lists(b, 0, NULL, "A=0.00;B=100.00;C=0.00;D=100.00;");
        must(&b->f, wf_session_rollback_to(b->sessions[0], "s", &b->f.err));
        sees(b, 0, "C", "none");
        sees(b, 0, "A", "active 0.00");
        lists(b, 0, NULL, "A=0.00;B=100.00;D=100.00;");
        assert_int_equal(execute(b, 0, transfer("B", "C", "1.00")), WF_REFUSED);
        must(&b->f, execute(b, 0, opening("C", NULL))); /* again */
        roll_back(b, 0);
    }
}

static void test_session_list_has_what_it_opened_in_order(void **state) {
    struct session_bank *b = *state;
    for (int i = 0; i < SESSION_LEVELS; i++) {
        session_bank_begin(b, 0, session_levels[i]);
        static const char *const numbers[] = {"E", "A", "C", "BB"};
        for (int j = 0; j < 4; j++)
            must(&b->f, execute(b, 0, opening(numbers[j], NULL)));
        lists(b, 0, NULL, "A=0.00;B=100.00;BB=0.00;C=0.00;D=100.00;E=0.00;");
        lists(b, 0, "B", "B=100.00;BB=0.00;");
        lists(b, 0, "E", "E=0.00;");
        roll_back(b, 0);
    }
}

static bool stop_at_once(void *ctx, const struct wf_account *account) {
    (void)account;
    return ++*(int *)ctx < 2;
}

static void test_session_list_stops_where_it_is_told_to(void **state) {
    struct session_bank *b = *state;
    int calls = 0;
    session_bank_begin(b, 0, WF_SNAPSHOT);
    must(&b->f, execute(b, 0, opening("A", NULL)));
    must(&b->f, execute(b, 0, opening("C", NULL)));
    must(&b->f, wf_session_list(b->sessions[0], NULL, stop_at_once, &calls, &b->f.err));
    assert_int_equal(calls, 2);
    roll_back(b, 0);
}

static void test_session_status_counts_for_what_follows(void **state) {
    struct session_bank *b = *state;
    for (int i = 0; i < SESSION_LEVELS; i++) {
        session_bank_begin(b, 0, session_levels[i]);
        must(&b->f, execute(b, 0, change("account_freeze", "B")));
        sees(b, 0, "B", "frozen 100.00");
        assert_int_equal(execute(b, 0, transfer("B", "D", "1.00")), WF_REFUSED);
        assert_non_null(strstr(b->f.err.text, "operation 2 (transfer): account B is frozen"));
        is(b, "B", "active 100.00");
        must(&b->f, execute(b, 0, change("account_unfreeze", "B")));
        must(&b->f, execute(b, 0, transfer("B", "D", "100.00")));
        must(&b->f, execute(b, 0, change("account_close", "B")));
        sees(b, 0, "B", "closed 0.00");
        roll_back(b, 0);
    }
    session_bank_begin(b, 0, WF_SERIALIZABLE);
    must(&b->f, execute(b, 0, transfer("B", "D", "100.00")));
    must(&b->f, execute(b, 0, change("account_close", "B")));
    must(&b->f, commit(b, 0));
    is(b, "B", "closed 0.00");
}

static void test_session_crash_leaves_no_account(void **state) {
    struct session_bank *b = *state;
    session_bank_begin(b, 0, WF_SNAPSHOT);
    must(&b->f, execute(b, 0, opening("C", NULL)));
    must(&b->f, commit(b, 0));
    session_bank_begin(b, 0, WF_SNAPSHOT);
    must(&b->f, execute(b, 0, opening("E", "7.00")));
    session_bank_close_sessions(b);
    fixture_crash(&b->f, 0);
    fixture_open(&b->f);
    is(b, "C", "active 0.00");
    is(b, "E", "none");
    session_bank_open_sessions(b, SESSIONS);
}

static void test_session_opening_survives_a_snapshot_and_eviction(void **state) {
    struct session_bank *b = *state;
    session_bank_begin(b, 0, WF_SNAPSHOT);
    must(&b->f, execute(b, 0, opening("C", "3.00")));
    struct wf_operation hold = transfer("C", "B", "2.00");
    hold.type = "hold";
    hold.hold = "h";
    must(&b->f, execute(b, 0, hold));
    must(&b->f, execute(b, 0, change("account_freeze", "D")));
    must(&b->f, commit(b, 0));
    must(&b->f, wf_snapshot(b->f.engine, &b->f.err));
    b->f.engine->options.memory_max = 1;
    is(b, "B", "active 100.00"); /* a query trims */
    assert_null(state_account(&b->f.engine->state, text_view("C")));
    is(b, "D", "frozen 100.00");
    struct wf_account *account = NULL;
    must(&b->f, wf_account_get(b->f.engine, "C", &account, &b->f.err));
    assert_string_equal(account->available, "1.00");
    wf_account_free(account);
}

/* Another account is another body. */
static void test_session_key_knows_the_account(void **state) {
    struct session_bank *b = *state;
    static const char *const numbers[] = {"B", "D"};
    for (int i = 0; i < 2; i++) {
        session_bank_begin(b, 0, WF_READ_COMMITTED);
        must(&b->f,
             execute(b, 0, (struct wf_operation){.type = "account_freeze", .account = numbers[i]}));
        assert_int_equal(wf_session_commit(b->sessions[0], "k", NULL, NULL, &b->f.err),
                         i == 0 ? WF_OK : WF_CONFLICT);
    }
    is(b, "D", "active 100.00");
}

struct told {
    int count;
    char first[120], last[120];
};

static bool note_balance(void *ctx, const struct wf_balance *balance) {
    struct told *told = ctx;
    snprintf(told->count == 0 ? told->first : told->last, sizeof told->last, "%s %s %s",
             balance->account, balance->balance, balance->currency);
    told->count++;
    return told->count < 1000;
}

/* More than a result has room for. */
static void test_session_tells_all_balances_that_it_wrote(void **state) {
    struct session_bank *b = *state;
    enum { ACCOUNTS = 40 };
    for (int i = 0; i < SESSION_LEVELS; i++) {
        struct told told = {.count = 0};
        struct wf_result result;
        session_bank_begin(b, 0, session_levels[i]);
        must(&b->f, wf_session_balances(b->sessions[0], note_balance, &told, &b->f.err));
        assert_int_equal(told.count, 0);
        for (int j = 0; j < ACCOUNTS; j++) {
            char number[8];
            snprintf(number, sizeof number, "N%02d", j);
            const struct wf_operation two[] = {opening(number, NULL),
                                               transfer("B", number, "1.00")};
            must(&b->f, wf_session_execute(b->sessions[0], two, 2, &result, &b->f.err));
        }
        assert_int_equal(result.balance_count, WF_RESULT_BALANCES_MAX);
        assert_int_equal(result.balances_total, ACCOUNTS + 1);
        must(&b->f, wf_session_balances(b->sessions[0], note_balance, &told, &b->f.err));
        assert_int_equal(told.count, ACCOUNTS + 1);
        assert_string_equal(told.first, "N00 1.00 USD");
        assert_string_equal(told.last, "N39 1.00 USD");
        roll_back(b, 0);
    }
    struct told told = {.count = 0};
    assert_int_equal(wf_session_balances(b->sessions[0], note_balance, &told, &b->f.err),
                     WF_REFUSED); /* no transaction is open */
}

/* --- two of them: true where it happened --- */

static bool opening_seen_before_its_commit(struct session_bank *b, enum wf_isolation isolation) {
    session_bank_begin(b, 0, isolation);
    session_bank_begin(b, 1, isolation);
    must(&b->f, execute(b, 0, opening("C", "500.00")));
    must(&b->f, execute(b, 0, change("account_freeze", "B")));
    sees(b, 1, "C", "none");
    lists(b, 1, NULL, "B=100.00;D=100.00;");
    bool happened = execute(b, 1, transfer("D", "C", "1.00")) == WF_OK ||
                    execute(b, 1, transfer("B", "D", "1.00")) != WF_OK;
    roll_back(b, 0);
    roll_back(b, 1);
    return happened;
}

static bool phantom_by_a_commit(struct session_bank *b, enum wf_isolation isolation) {
    uint64_t first, second;
    session_bank_begin(b, 0, isolation);
    must(&b->f, wf_session_count(b->sessions[0], NULL, &first, &b->f.err));
    session_bank_begin(b, 1, isolation);
    must(&b->f, execute(b, 1, opening("C", NULL)));
    must(&b->f, commit(b, 1));
    must(&b->f, wf_session_count(b->sessions[0], NULL, &second, &b->f.err));
    must(&b->f, commit(b, 0));
    return first != second;
}

/* Both open the same number: one of them must be told. */
static bool opened_twice(struct session_bank *b, enum wf_isolation isolation) {
    for (int who = 0; who < 2; who++) {
        session_bank_begin(b, who, isolation);
        must(&b->f, execute(b, who, opening("C", who == 0 ? "1.00" : "2.00")));
    }
    must(&b->f, commit(b, 1));
    enum wf_status status = commit(b, 0);
    assert_int_equal(status, isolation == WF_READ_COMMITTED ? WF_REFUSED : WF_CONFLICT);
    is(b, "C", "active 2.00");
    return status == WF_OK;
}

/* A transfer into an account that another one freezes, or closes. */
static bool lost_freeze(struct session_bank *b, enum wf_isolation isolation) {
    session_bank_begin(b, 0, isolation);
    session_bank_begin(b, 1, isolation);
    must(&b->f, execute(b, 0, transfer("D", "B", "1.00")));
    must(&b->f, execute(b, 1, change("account_freeze", "B")));
    must(&b->f, commit(b, 1));
    enum wf_status status = commit(b, 0);
    assert_int_equal(status, isolation == WF_READ_COMMITTED ? WF_REFUSED : WF_CONFLICT);
    is(b, "B", "frozen 100.00");
    return status == WF_OK;
}

/* One of B and D must stay active: each looks at one and freezes the other. */
static bool write_skew_by_status(struct session_bank *b, enum wf_isolation isolation) {
    static const char *const numbers[] = {"B", "D"};
    for (int who = 0; who < 2; who++) {
        session_bank_begin(b, who, isolation);
        sees(b, who, numbers[who], "active 100.00");
        must(&b->f, execute(b, who, change("account_freeze", numbers[1 - who])));
    }
    must(&b->f, commit(b, 0));
    return commit(b, 1) == WF_OK;
}

/* There must be at most one savings account: both count none and open one. */
static bool write_skew_by_openings(struct session_bank *b, enum wf_isolation isolation) {
    const struct wf_account_filter savings = {.type = "savings"};
    for (int who = 0; who < 2; who++) {
        uint64_t count;
        session_bank_begin(b, who, isolation);
        must(&b->f, wf_session_count(b->sessions[who], &savings, &count, &b->f.err));
        assert_int_equal(count, 0);
        must(&b->f, execute(b, who, opening(who == 0 ? "S0" : "S1", NULL)));
    }
    must(&b->f, commit(b, 0));
    return commit(b, 1) == WF_OK;
}

/* One reads that there is no C, and writes by that; the other opens it. */
static bool write_skew_by_absence(struct session_bank *b, enum wf_isolation isolation) {
    session_bank_begin(b, 0, isolation);
    sees(b, 0, "C", "none");
    must(&b->f, execute(b, 0, transfer("B", "D", "1.00")));
    session_bank_begin(b, 1, isolation);
    must(&b->f, execute(b, 1, opening("C", NULL)));
    must(&b->f, commit(b, 1));
    return commit(b, 0) == WF_OK;
}

enum { NO = false, MAY = true };

static void test_session_anomalies_with_accounts_are_as_documented(void **state) {
    static const struct session_anomaly anomalies[] = {
        {"opening seen before its commit", opening_seen_before_its_commit, {NO, NO, NO}},
        {"opened twice", opened_twice, {NO, NO, NO}},
        {"lost freeze", lost_freeze, {NO, NO, NO}},
        {"phantom by a commit", phantom_by_a_commit, {MAY, NO, NO}},
        {"write skew by status", write_skew_by_status, {MAY, MAY, NO}},
        {"write skew by openings", write_skew_by_openings, {MAY, MAY, NO}},
        {"write skew by absence", write_skew_by_absence, {MAY, MAY, NO}},
    };
    (void)state;
    session_anomalies_check(anomalies, sizeof anomalies / sizeof anomalies[0], setup, teardown);
}

/* What one opened is there for a reader of now, and not for one of before; for the one who opened
 * the same number in a snapshot, its own is. */
static void test_session_own_opening_hides_that_of_another(void **state) {
    struct session_bank *b = *state;
    session_bank_begin(b, 0, WF_SNAPSHOT);
    must(&b->f, execute(b, 0, opening("C", "1.00")));
    session_bank_open_account(b, "C", "USD", "2.00");
    sees(b, 0, "C", "active 1.00");
    lists(b, 0, NULL, "B=100.00;C=1.00;D=100.00;");
    roll_back(b, 0);
    session_bank_begin(b, 0, WF_READ_COMMITTED);
    must(&b->f, execute(b, 0, opening("E", "1.00")));
    session_bank_open_account(b, "E", "USD", "2.00");
    struct wf_account *account;
    assert_int_equal(wf_session_account(b->sessions[0], "E", &account, &b->f.err), WF_CONFLICT);
    assert_non_null(strstr(b->f.err.text, "account \"E\" is there already"));
    roll_back(b, 0);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_session_opens_an_account_and_pays_into_it_as_one_record),
        TEST(test_session_rollback_leaves_no_account),
        TEST(test_session_savepoint_takes_an_opening_back),
        TEST(test_session_list_has_what_it_opened_in_order),
        TEST(test_session_list_stops_where_it_is_told_to),
        TEST(test_session_status_counts_for_what_follows),
        TEST(test_session_crash_leaves_no_account),
        TEST(test_session_opening_survives_a_snapshot_and_eviction),
        TEST(test_session_key_knows_the_account),
        TEST(test_session_tells_all_balances_that_it_wrote),
        cmocka_unit_test(test_session_anomalies_with_accounts_are_as_documented),
        TEST(test_session_own_opening_hides_that_of_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
