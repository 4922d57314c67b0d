/* Transactions of sessions: what they see of themselves, how they end, what they leave behind. What
 * they see of each other is in test_isolation.c. */
#include "engine/session.h"
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct bank {
    struct engine_fixture f;
    struct wf_pool *pool;
    struct wf_session *session;
};

static void open_account(struct bank *b, const char *number, const char *balance) {
    struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                 .id = number,
                                 .type = "checking",
                                 .currency = "USD",
                                 .amount = balance};
    must(&b->f, wf_execute(b->f.engine, &command, NULL, &b->f.err));
}

static void open_pool(struct bank *b, int64_t transaction_timeout_ms) {
    struct wf_pool_options options;
    wf_pool_options_init(&options);
    options.background = false;
    options.transaction_timeout_ms = transaction_timeout_ms;
    must(&b->f, wf_pool_open(b->f.engine, &options, &b->pool, &b->f.err));
    must(&b->f, wf_pool_acquire(b->pool, &b->session, &b->f.err));
}

static void close_pool(struct bank *b) {
    wf_session_release(b->session);
    must(&b->f, wf_pool_close(b->pool, &b->f.err));
    b->session = NULL;
    b->pool = NULL;
}

static int setup(void **state) {
    static struct bank bank;
    fixture_init_sim(&bank.f);
    open_account(&bank, "A", "100.00");
    open_account(&bank, "B", "50.00");
    open_account(&bank, "C", NULL);
    open_pool(&bank, 60000);
    *state = &bank;
    return 0;
}

static int teardown(void **state) {
    struct bank *b = *state;
    close_pool(b);
    assert_null(b->f.engine->versions.oldest);
    assert_int_equal(b->f.engine->versions.bytes, 0);
    fixture_deinit(&b->f);
    return 0;
}

static void begin(struct bank *b, enum wf_isolation isolation) {
    must(&b->f, wf_session_begin(b->session, isolation, &b->f.err));
}

static struct wf_operation move(const char *from, const char *to, const char *amount) {
    return (struct wf_operation){
        .type = "transfer", .from = from, .to = to, .amount = amount, .currency = "USD"};
}

static enum wf_status transfer(struct bank *b, const char *from, const char *to,
                               const char *amount) {
    const struct wf_operation operation = move(from, to, amount);
    return wf_session_execute(b->session, &operation, 1, NULL, &b->f.err);
}

/* By somebody else, committed at once. */
static void transfer_outside(struct bank *b, const char *from, const char *to, const char *amount) {
    const struct wf_operation operation = move(from, to, amount);
    struct wf_command command = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = &operation, .operation_count = 1};
    must(&b->f, wf_execute(b->f.engine, &command, NULL, &b->f.err));
}

static void sees(struct bank *b, const char *number, const char *balance) {
    struct wf_account *account = NULL;
    must(&b->f, wf_session_account(b->session, number, &account, &b->f.err));
    assert_string_equal(account->balance, balance);
    wf_account_free(account);
}

static void holds(struct bank *b, const char *number, const char *balance) {
    struct wf_account *account = NULL;
    must(&b->f, wf_account_get(b->f.engine, number, &account, &b->f.err));
    assert_string_equal(account->balance, balance);
    wf_account_free(account);
}

static uint64_t last_lsn(struct bank *b) {
    return fixture_status(&b->f).durable_lsn;
}

static const enum wf_isolation levels[] = {WF_READ_COMMITTED, WF_SNAPSHOT, WF_SERIALIZABLE};
enum { LEVELS = 3 };

/* --- the ordinary course --- */

static void test_session_commit_is_one_record(void **state) {
    struct bank *b = *state;
    for (int i = 0; i < LEVELS; i++) {
        uint64_t before = last_lsn(b);
        begin(b, levels[i]);
        must(&b->f, transfer(b, "A", "B", "10.00"));
        must(&b->f, transfer(b, "B", "C", "20.00"));
        assert_int_equal(last_lsn(b), before);
        struct wf_result result;
        must(&b->f, wf_session_commit(b->session, NULL, "teller", &result, &b->f.err));
        assert_int_equal(result.lsn, before + 1);
        assert_string_equal(result.outcome, "posted");
        assert_int_equal(result.balance_count, 3);
        assert_int_equal(last_lsn(b), before + 1);
    }
    holds(b, "A", "70.00");
    holds(b, "B", "20.00");
    holds(b, "C", "60.00");
    fixture_verify(&b->f);
}

static void test_session_sees_its_own_writes_and_nobody_else_does(void **state) {
    struct bank *b = *state;
    for (int i = 0; i < LEVELS; i++) {
        begin(b, levels[i]);
        must(&b->f, transfer(b, "A", "C", "100.00"));
        sees(b, "A", "0.00");
        sees(b, "C", "100.00");
        must(&b->f, transfer(b, "C", "B", "30.00")); /* of what came in */
        sees(b, "C", "70.00");
        sees(b, "B", "80.00");
        holds(b, "A", "100.00");
        holds(b, "C", "0.00");
        must(&b->f, wf_session_rollback(b->session, &b->f.err));
        holds(b, "A", "100.00");
    }
}

static void test_session_result_has_the_balances_it_sees(void **state) {
    struct bank *b = *state;
    begin(b, WF_SNAPSHOT);
    must(&b->f, transfer(b, "A", "C", "40.00"));
    const struct wf_operation operation = move("C", "B", "15.00");
    struct wf_result result;
    must(&b->f, wf_session_execute(b->session, &operation, 1, &result, &b->f.err));
    assert_int_equal(result.lsn, 0);
    assert_int_equal(result.balance_count, 3);
    for (size_t i = 0; i < result.balance_count; i++)
        if (strcmp(result.balances[i].account, "C") == 0)
            assert_string_equal(result.balances[i].balance, "25.00");
}

static void test_session_refused_operation_leaves_the_transaction(void **state) {
    struct bank *b = *state;
    for (int i = 0; i < LEVELS; i++) {
        begin(b, levels[i]);
        must(&b->f, transfer(b, "A", "B", "10.00"));
        const struct wf_operation two[] = {move("A", "C", "5.00"), move("A", "C", "500.00")};
        assert_int_equal(wf_session_execute(b->session, two, 2, NULL, &b->f.err), WF_REFUSED);
        assert_non_null(strstr(b->f.err.text, "operation 3 (transfer): sufficient_funds"));
        sees(b, "A", i == 0 ? "90.00" : i == 1 ? "80.00" : "70.00");
        sees(b, "C", "0.00");
        must(&b->f, wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err));
    }
    holds(b, "A", "70.00");
}

static void test_session_malformed_calls_are_usage(void **state) {
    struct bank *b = *state;
    begin(b, WF_SNAPSHOT);
    assert_int_equal(wf_session_execute(b->session, NULL, 0, NULL, &b->f.err), WF_USAGE);
    struct wf_operation operation = move("A", "B", "1.00");
    char name[300];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    operation.from = name;
    assert_int_equal(wf_session_execute(b->session, &operation, 1, NULL, &b->f.err), WF_USAGE);
    operation = move("A", "Z", "1.00");
    assert_int_equal(wf_session_execute(b->session, &operation, 1, NULL, &b->f.err), WF_REFUSED);
    struct wf_account *account;
    assert_int_equal(wf_session_account(b->session, name, &account, &b->f.err), WF_USAGE);
    assert_int_equal(wf_session_account(b->session, "Z", &account, &b->f.err), WF_NOT_FOUND);
    sees(b, "A", "100.00");
}

static void test_session_without_a_transaction_says_so(void **state) {
    struct bank *b = *state;
    uint64_t count;
    assert_int_equal(transfer(b, "A", "B", "1.00"), WF_REFUSED);
    assert_int_equal(wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err), WF_REFUSED);
    assert_int_equal(wf_session_rollback(b->session, &b->f.err), WF_REFUSED);
    assert_int_equal(wf_session_savepoint(b->session, "s", &b->f.err), WF_REFUSED);
    assert_int_equal(wf_session_count(b->session, NULL, &count, &b->f.err), WF_REFUSED);
    begin(b, 0);
    assert_int_equal(wf_session_begin(b->session, 0, &b->f.err), WF_REFUSED);
}

static void test_session_level_is_the_pools_then_its_own(void **state) {
    struct bank *b = *state;
    struct wf_session_info info;
    enum wf_isolation isolation;
    begin(b, 0);
    wf_session_info_get(b->session, &info);
    assert_int_equal(info.isolation, WF_READ_COMMITTED);
    must(&b->f, wf_session_rollback(b->session, &b->f.err));
    must(&b->f, wf_isolation_parse("SERIALIZABLE", &isolation, &b->f.err));
    must(&b->f, wf_session_set_isolation(b->session, isolation, &b->f.err));
    begin(b, 0);
    wf_session_info_get(b->session, &info);
    assert_int_equal(info.isolation, WF_SERIALIZABLE);
    assert_true(info.open);
    wf_session_release(b->session);
    must(&b->f, wf_pool_acquire(b->pool, &b->session, &b->f.err));
    wf_session_info_get(b->session, &info);
    assert_int_equal(info.isolation, WF_READ_COMMITTED);
    assert_false(info.open);
}

static void test_session_unknown_level_is_an_error(void **state) {
    struct bank *b = *state;
    enum wf_isolation isolation;
    assert_int_equal(wf_isolation_parse("REPEATABLE_READ", &isolation, &b->f.err), WF_USAGE);
    assert_non_null(strstr(b->f.err.text, "READ_COMMITTED, SNAPSHOT"));
    assert_int_equal(wf_isolation_parse(NULL, &isolation, &b->f.err), WF_USAGE);
    assert_int_equal(wf_session_begin(b->session, (enum wf_isolation)9, &b->f.err), WF_USAGE);
    assert_int_equal(wf_session_set_isolation(b->session, (enum wf_isolation) - 1, &b->f.err),
                     WF_USAGE);
    begin(b, 0); /* the failed ones left nothing */
}

static void test_session_release_rolls_back(void **state) {
    struct bank *b = *state;
    begin(b, WF_SNAPSHOT);
    must(&b->f, transfer(b, "A", "B", "10.00"));
    wf_session_release(b->session);
    must(&b->f, wf_pool_acquire(b->pool, &b->session, &b->f.err));
    holds(b, "A", "100.00");
    begin(b, WF_SNAPSHOT);
    sees(b, "A", "100.00");
}

static void test_session_commit_of_nothing_writes_nothing(void **state) {
    struct bank *b = *state;
    for (int i = 0; i < LEVELS; i++) {
        uint64_t before = last_lsn(b);
        begin(b, levels[i]);
        sees(b, "A", "100.00");
        struct wf_result result;
        must(&b->f, wf_session_commit(b->session, NULL, NULL, &result, &b->f.err));
        assert_int_equal(result.lsn, 0);
        assert_string_equal(result.outcome, "nothing");
        assert_int_equal(last_lsn(b), before);
    }
}

/* Whoever lost the answer and does all again, and is refused the withdrawal that took all there
 * was, must not be told that there was nothing. */
static void test_session_commit_of_nothing_with_a_used_key_is_a_conflict(void **state) {
    struct bank *b = *state;
    for (int i = 0; i < LEVELS; i++) {
        char key[8];
        (void)snprintf(key, sizeof key, "k%d", i);
        begin(b, levels[i]);
        must(&b->f, wf_session_commit(b->session, key, NULL, NULL, &b->f.err)); /* free still */
        begin(b, levels[i]);
        must(&b->f, transfer(b, "A", "B", "1.00"));
        must(&b->f, wf_session_commit(b->session, key, NULL, NULL, &b->f.err));
        begin(b, levels[i]);
        assert_int_equal(wf_session_commit(b->session, key, NULL, NULL, &b->f.err), WF_CONFLICT);
        assert_non_null(strstr(b->f.err.text, key));
        begin(b, levels[i]); /* and it is over */
        wf_session_rollback(b->session, NULL);
    }
}

/* The key is looked for in a snapshot that turns out to be damaged: the log says more. */
static void test_session_commit_of_nothing_survives_a_damaged_snapshot(void **state) {
    struct bank *b = *state;
    static const char *const keys[] = {"used", "free"};
    begin(b, WF_SNAPSHOT);
    must(&b->f, transfer(b, "A", "B", "1.00"));
    must(&b->f, wf_session_commit(b->session, "used", NULL, NULL, &b->f.err));
    for (int i = 0; i < 2 * LEVELS; i++) {
        close_pool(b);
        fixture_reopen(&b->f, true);
        open_pool(b, 60000);
        begin(b, levels[i / 2]);
        assert_true(sim_snapshot_damage(b->f.snapshots, "/store/state"));
        assert_int_equal(wf_session_commit(b->session, keys[i % 2], NULL, NULL, &b->f.err),
                         i % 2 == 0 ? WF_CONFLICT : WF_OK);
        assert_non_null(strstr(fixture_status(&b->f).notes, "rebuilt from the log"));
        begin(b, levels[i / 2]); /* the session is as good as new */
        sees(b, "A", "99.00");
        must(&b->f, wf_session_rollback(b->session, &b->f.err));
    }
}

static void test_session_commit_with_a_key_is_done_once(void **state) {
    struct bank *b = *state;
    struct wf_result first, again;
    for (int i = 0; i < 2; i++) {
        begin(b, WF_SNAPSHOT);
        must(&b->f, transfer(b, "A", "B", "10.00"));
        must(&b->f, wf_session_commit(b->session, "k", NULL, i == 0 ? &first : &again, &b->f.err));
    }
    assert_true(again.replayed);
    assert_int_equal(again.lsn, first.lsn);
    holds(b, "A", "90.00");
    begin(b, WF_SNAPSHOT);
    must(&b->f, transfer(b, "A", "B", "11.00"));
    assert_int_equal(wf_session_commit(b->session, "k", NULL, NULL, &b->f.err), WF_CONFLICT);
}

static void test_session_refusal_at_commit_is_in_the_log(void **state) {
    struct bank *b = *state;
    begin(b, WF_READ_COMMITTED);
    must(&b->f, transfer(b, "A", "B", "80.00"));
    transfer_outside(b, "A", "C", "50.00");
    uint64_t before = last_lsn(b), refusals = fixture_status(&b->f).refusals;
    assert_int_equal(wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err), WF_REFUSED);
    assert_non_null(strstr(b->f.err.text, "operation 1 (transfer): sufficient_funds"));
    assert_int_equal(last_lsn(b), before + 1);
    assert_int_equal(fixture_status(&b->f).refusals, refusals + 1);
    holds(b, "A", "50.00");
    holds(b, "B", "50.00");
}

static void test_session_read_committed_tells_what_does_not_hold_any_more(void **state) {
    struct bank *b = *state;
    begin(b, WF_READ_COMMITTED);
    must(&b->f, transfer(b, "A", "B", "80.00"));
    transfer_outside(b, "A", "C", "50.00");
    assert_int_equal(transfer(b, "B", "C", "1.00"), WF_CONFLICT);
    assert_non_null(strstr(b->f.err.text, "operation 1 (transfer)"));
    must(&b->f, wf_session_rollback(b->session, &b->f.err));
}

static void test_session_holds_are_own_writes_too(void **state) {
    struct bank *b = *state;
    for (int i = 0; i < LEVELS; i++) {
        begin(b, levels[i]);
        struct wf_operation operation = move("A", "B", "60.00");
        operation.type = "hold";
        operation.hold = "h";
        must(&b->f, wf_session_execute(b->session, &operation, 1, NULL, &b->f.err));
        struct wf_account *account = NULL;
        must(&b->f, wf_session_account(b->session, "A", &account, &b->f.err));
        assert_string_equal(account->balance, "100.00");
        assert_string_equal(account->available, "40.00");
        assert_int_equal(account->hold_count, 1);
        assert_string_equal(account->holds[0].name, "h");
        assert_string_equal(account->holds[0].to, "B");
        wf_account_free(account);
        assert_int_equal(transfer(b, "A", "C", "50.00"), WF_REFUSED);
        const struct wf_operation end = {
            .type = i == 0 ? "void" : "post", .from = "A", .hold = "h"};
        assert_int_equal(wf_session_execute(b->session, &end, 1, NULL, &b->f.err), WF_REFUSED);
        assert_non_null(strstr(b->f.err.text, "the hold \"h\" is placed by this transaction"));
        must(&b->f, wf_session_rollback(b->session, &b->f.err));
    }
    /* A hold that is there already, posted by name: its payee need not be named. */
    struct wf_operation hold = move("A", "B", "60.00");
    hold.type = "hold";
    hold.hold = "h";
    struct wf_command command = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = &hold, .operation_count = 1};
    must(&b->f, wf_execute(b->f.engine, &command, NULL, &b->f.err));
    begin(b, WF_SERIALIZABLE);
    struct wf_operation post = {.type = "post", .from = "A", .hold = "h"};
    must(&b->f, wf_session_execute(b->session, &post, 1, NULL, &b->f.err));
    sees(b, "A", "40.00");
    sees(b, "B", "110.00");
    must(&b->f, wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err));
    holds(b, "B", "110.00");
}

static void test_session_sees_the_banks_own_accounts(void **state) {
    struct bank *b = *state;
    struct wf_operation deposit = {
        .type = "deposit", .to = "A", .amount = "5.00", .currency = "USD"};
    begin(b, WF_SNAPSHOT);
    must(&b->f, wf_session_execute(b->session, &deposit, 1, NULL, &b->f.err));
    must(&b->f, wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err));
    begin(b, WF_SNAPSHOT);
    must(&b->f, wf_session_execute(b->session, &deposit, 1, NULL, &b->f.err));
    sees(b, "CASH/USD", "-10.00");
    must(&b->f, wf_session_rollback(b->session, &b->f.err));
}

/* --- savepoints --- */

static void test_session_rolls_back_to_a_savepoint(void **state) {
    struct bank *b = *state;
    for (int i = 0; i < LEVELS; i++) {
        begin(b, levels[i]);
        must(&b->f, transfer(b, "A", "B", "10.00"));
        must(&b->f, wf_session_savepoint(b->session, "s", &b->f.err));
        must(&b->f, transfer(b, "A", "C", "20.00"));
        sees(b, "C", "20.00");
        must(&b->f, wf_session_rollback_to(b->session, "s", &b->f.err));
        sees(b, "C", "0.00");
        sees(b, "A", "90.00");
        must(&b->f, transfer(b, "A", "C", "1.00"));
        must(&b->f, wf_session_rollback_to(b->session, "s", &b->f.err)); /* it stays */
        sees(b, "A", "90.00");
        must(&b->f, wf_session_rollback(b->session, &b->f.err));
    }
    begin(b, WF_SNAPSHOT);
    must(&b->f, wf_session_savepoint(b->session, "s", &b->f.err));
    must(&b->f, transfer(b, "A", "C", "20.00"));
    must(&b->f, wf_session_rollback_to(b->session, "s", &b->f.err));
    must(&b->f, transfer(b, "A", "B", "2.00"));
    must(&b->f, wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err));
    holds(b, "A", "98.00");
    holds(b, "C", "0.00");
}

static void test_session_savepoints_nest_and_hide(void **state) {
    struct bank *b = *state;
    struct wf_session_info info;
    begin(b, WF_SNAPSHOT);
    must(&b->f, wf_session_savepoint(b->session, "a", &b->f.err));
    must(&b->f, transfer(b, "A", "B", "1.00"));
    must(&b->f, wf_session_savepoint(b->session, "b", &b->f.err));
    must(&b->f, transfer(b, "A", "B", "2.00"));
    must(&b->f, wf_session_savepoint(b->session, "a", &b->f.err)); /* hides the first */
    must(&b->f, transfer(b, "A", "B", "4.00"));
    must(&b->f, wf_session_rollback_to(b->session, "a", &b->f.err));
    sees(b, "A", "97.00");
    must(&b->f, wf_session_release_savepoint(b->session, "a", &b->f.err));
    must(&b->f, wf_session_rollback_to(b->session, "a", &b->f.err)); /* the first */
    sees(b, "A", "100.00");
    assert_int_equal(wf_session_rollback_to(b->session, "b", &b->f.err), WF_NOT_FOUND);
    wf_session_info_get(b->session, &info);
    assert_int_equal(info.savepoints, 1);
    assert_int_equal(info.operations, 0);
}

static void test_session_release_of_a_savepoint_keeps_the_work(void **state) {
    struct bank *b = *state;
    begin(b, WF_SNAPSHOT);
    must(&b->f, wf_session_savepoint(b->session, "a", &b->f.err));
    must(&b->f, transfer(b, "A", "B", "1.00"));
    must(&b->f, wf_session_savepoint(b->session, "b", &b->f.err));
    must(&b->f, wf_session_release_savepoint(b->session, "a", &b->f.err));
    assert_int_equal(wf_session_rollback_to(b->session, "b", &b->f.err), WF_NOT_FOUND);
    assert_int_equal(wf_session_release_savepoint(b->session, "a", &b->f.err), WF_NOT_FOUND);
    assert_int_equal(wf_session_savepoint(b->session, "", &b->f.err), WF_USAGE);
    must(&b->f, wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err));
    holds(b, "A", "99.00");
}

static void test_session_has_bounds(void **state) {
    struct bank *b = *state;
    begin(b, WF_SNAPSHOT);
    for (int i = 0; i < SESSION_SAVEPOINTS_MAX; i++)
        must(&b->f, wf_session_savepoint(b->session, "s", &b->f.err));
    assert_int_equal(wf_session_savepoint(b->session, "s", &b->f.err), WF_REFUSED);
    struct wf_operation *many = calloc(WF_OPERATIONS_MAX, sizeof *many);
    for (int i = 0; i < WF_OPERATIONS_MAX; i++)
        many[i] = move(i % 2 == 0 ? "A" : "B", i % 2 == 0 ? "B" : "A", "1.00");
    must(&b->f, wf_session_execute(b->session, many, WF_OPERATIONS_MAX - 1, NULL, &b->f.err));
    assert_int_equal(wf_session_execute(b->session, many, 2, NULL, &b->f.err), WF_USAGE);
    must(&b->f, wf_session_execute(b->session, many + 1, 1, NULL, &b->f.err));
    free(many);
    must(&b->f, wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err));
    holds(b, "A", "100.00");
}

static void test_session_transactions_are_counted(void **state) {
    struct bank *b = *state;
    char *text = NULL;
    for (int i = 0; i < 3; i++) {
        begin(b, WF_SNAPSHOT);
        must(&b->f, transfer(b, "A", "B", "1.00"));
        if (i == 1)
            transfer_outside(b, "A", "B", "1.00");
        if (i < 2)
            assert_int_equal(wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err),
                             i == 0 ? WF_OK : WF_CONFLICT);
    }
    transfer_outside(b, "A", "B", "1.00"); /* beside the last one, which then takes too long */
    must(&b->f, wf_metrics(b->f.engine, &text, &b->f.err));
    assert_non_null(strstr(text, "\nwf_transactions_total 3\n"));
    assert_non_null(strstr(text, "\nwf_transactions_committed_total 1\n"));
    assert_non_null(strstr(text, "\nwf_transaction_conflicts_total 1\n"));
    assert_null(strstr(text, "\nwf_versions_bytes 0\n"));
    free(text);
    sim_advance_ms(b->f.sim, 61000);
    wf_pool_tidy(b->pool);
    must(&b->f, wf_metrics(b->f.engine, &text, &b->f.err));
    assert_non_null(strstr(text, "\nwf_transactions_given_up_total 1\n"));
    assert_non_null(strstr(text, "\nwf_versions_bytes 0\n"));
    free(text);
}

/* --- lists --- */

struct names {
    char text[200];
    int most;
};

static bool add_name(void *ctx, const struct wf_account *account) {
    struct names *names = ctx;
    size_t used = strlen(names->text);
    snprintf(names->text + used, sizeof names->text - used, "%s=%s;", account->number,
             account->balance);
    return --names->most != 0;
}

static void lists(struct bank *b, const struct wf_account_filter *filter, const char *expected) {
    struct names names = {.text = ""};
    uint64_t count, commas = 0;
    must(&b->f, wf_session_list(b->session, filter, add_name, &names, &b->f.err));
    assert_string_equal(names.text, expected);
    must(&b->f, wf_session_count(b->session, filter, &count, &b->f.err));
    for (const char *at = expected; *at != '\0'; at++)
        commas += *at == ';';
    assert_int_equal(count, commas);
}

static void test_session_lists_by_what_is_asked_for(void **state) {
    struct bank *b = *state;
    struct wf_command euro = {.kind = WF_ACCOUNT_OPEN,
                              .id = "A-EUR",
                              .type = "savings",
                              .currency = "EUR",
                              .amount = "7.00"};
    must(&b->f, wf_execute(b->f.engine, &euro, NULL, &b->f.err));
    struct wf_command freeze = {.kind = WF_ACCOUNT_FREEZE, .id = "B"};
    must(&b->f, wf_execute(b->f.engine, &freeze, NULL, &b->f.err));
    for (int i = 0; i < LEVELS; i++) {
        begin(b, levels[i]);
        must(&b->f, transfer(b, "A", "C", "60.00"));
        lists(b, NULL, "A=40.00;A-EUR=7.00;B=50.00;C=60.00;");
        lists(b, &(struct wf_account_filter){.currency = "USD", .balance_min = "50.00"},
              "B=50.00;C=60.00;");
        lists(b, &(struct wf_account_filter){.currency = "USD", .balance_max = "49.99"},
              "A=40.00;");
        lists(b, &(struct wf_account_filter){.prefix = "A"}, "A=40.00;A-EUR=7.00;");
        lists(b, &(struct wf_account_filter){.type = "savings"}, "A-EUR=7.00;");
        lists(b, &(struct wf_account_filter){.status = "frozen"}, "B=50.00;");
        must(&b->f, wf_session_rollback(b->session, &b->f.err));
    }
    begin(b, WF_SNAPSHOT);
    struct names names = {.text = "", .most = 2};
    must(&b->f, wf_session_list(b->session, NULL, add_name, &names, &b->f.err));
    assert_string_equal(names.text, "A=100.00;A-EUR=7.00;");
    uint64_t count;
    const struct wf_account_filter wrong[] = {{.balance_min = "1.00"},
                                              {.currency = "XXQ"},
                                              {.status = "gone"},
                                              {.currency = "USD", .balance_max = "1.001"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(wf_session_count(b->session, &wrong[i], &count, &b->f.err), WF_USAGE);
}

/* --- ends that nobody asked for --- */

static void test_session_transaction_that_takes_too_long_is_rolled_back(void **state) {
    struct bank *b = *state;
    begin(b, WF_SNAPSHOT);
    must(&b->f, transfer(b, "A", "B", "10.00"));
    sim_advance_ms(b->f.sim, 59000);
    sees(b, "A", "90.00");
    sim_advance_ms(b->f.sim, 2000);
    assert_int_equal(transfer(b, "A", "B", "10.00"), WF_TIMED_OUT);
    assert_non_null(strstr(b->f.err.text, "longer than 60000 ms and was rolled back"));
    assert_int_equal(wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err), WF_REFUSED);
    holds(b, "A", "100.00");
    begin(b, WF_READ_COMMITTED);
    must(&b->f, transfer(b, "A", "B", "10.00"));
    sim_advance_ms(b->f.sim, 61000);
    uint64_t before = last_lsn(b);
    assert_int_equal(wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err), WF_TIMED_OUT);
    assert_int_equal(last_lsn(b), before);
    begin(b, 0); /* the session is free */
}

static void advance(struct bank *b, int64_t ms) {
    const struct wf_command command = {.kind = WF_CLOCK_ADVANCE, .duration_ms = ms};
    must(&b->f, wf_execute(b->f.engine, &command, NULL, &b->f.err));
}

/* Whoever moves a test clock moves all that waits. */
static void test_session_transaction_is_overdue_by_a_test_clock_too(void **state) {
    struct bank *b = *state;
    for (int i = 0; i < LEVELS; i++) {
        begin(b, levels[i]);
        must(&b->f, transfer(b, "A", "B", "10.00"));
        advance(b, 59999);
        sees(b, "A", "90.00");
        advance(b, 1);
        assert_int_equal(wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err), WF_TIMED_OUT);
        assert_non_null(strstr(b->f.err.text, "longer than 60000 ms and was rolled back"));
        holds(b, "A", "100.00");
        begin(b, levels[i]); /* which has all the time again */
        advance(b, 59999);
        sees(b, "A", "100.00");
        must(&b->f, wf_session_rollback(b->session, &b->f.err));
    }
    begin(b, WF_SNAPSHOT);
    transfer_outside(b, "A", "B", "1.00");
    advance(b, 60000);
    wf_pool_tidy(b->pool); /* without a call of its own */
    assert_int_equal(b->f.engine->versions.bytes, 0);
    assert_int_equal(wf_session_rollback(b->session, &b->f.err), WF_TIMED_OUT);
}

static void test_session_transaction_without_a_timeout_outlives_the_test_clock(void **state) {
    struct bank *b = *state;
    close_pool(b);
    open_pool(b, 0);
    begin(b, WF_SNAPSHOT);
    must(&b->f, transfer(b, "A", "B", "10.00"));
    advance(b, INT64_C(400) * 24 * 3600 * 1000);
    must(&b->f, wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err));
    holds(b, "A", "90.00");
}

static void test_session_overdue_transaction_keeps_nothing_of_the_past(void **state) {
    struct bank *b = *state;
    begin(b, WF_SNAPSHOT);
    transfer_outside(b, "A", "B", "1.00");
    assert_true(b->f.engine->versions.bytes > 0);
    sim_advance_ms(b->f.sim, 61000);
    wf_pool_tidy(b->pool); /* without a call of its own */
    assert_int_equal(b->f.engine->versions.bytes, 0);
    struct wf_account *account;
    assert_int_equal(wf_session_account(b->session, "A", &account, &b->f.err), WF_TIMED_OUT);
}

static void test_session_old_versions_are_bounded(void **state) {
    struct bank *b = *state;
    b->f.engine->options.versions_max = 2000;
    begin(b, WF_SNAPSHOT);
    sees(b, "A", "100.00");
    for (int i = 0; i < 50; i++) /* the same two accounts: one image of each */
        transfer_outside(b, "A", "B", "1.00");
    sees(b, "A", "100.00");
    char number[16];
    for (int i = 0; i < 20; i++) {
        snprintf(number, sizeof number, "X%d", i);
        open_account(b, number, "1.00");
        transfer_outside(b, number, "C", "1.00");
    }
    struct wf_account *account;
    assert_int_equal(wf_session_account(b->session, "A", &account, &b->f.err), WF_CONFLICT);
    assert_non_null(strstr(b->f.err.text, "versions_max"));
    assert_int_equal(b->f.engine->versions.bytes, 0);
}

static void test_session_keeps_versions_only_while_somebody_reads_the_past(void **state) {
    struct bank *b = *state;
    struct wf_session *other;
    must(&b->f, wf_pool_acquire(b->pool, &other, &b->f.err));
    begin(b, WF_SNAPSHOT);
    transfer_outside(b, "A", "B", "1.00");
    size_t one = b->f.engine->versions.bytes;
    transfer_outside(b, "A", "B", "1.00");
    assert_int_equal(b->f.engine->versions.bytes, one); /* nobody reads what was between */
    must(&b->f, wf_session_begin(other, WF_SNAPSHOT, &b->f.err));
    transfer_outside(b, "A", "B", "1.00");
    assert_true(b->f.engine->versions.bytes > one);
    sees(b, "A", "100.00");
    must(&b->f, wf_session_rollback(b->session, &b->f.err));
    assert_true(b->f.engine->versions.bytes > 0 && b->f.engine->versions.bytes <= one);
    struct wf_account *account;
    must(&b->f, wf_session_account(other, "A", &account, &b->f.err));
    assert_string_equal(account->balance, "98.00");
    wf_account_free(account);
    wf_session_release(other);
    assert_int_equal(b->f.engine->versions.bytes, 0);
}

static void test_session_snapshot_that_ends_leaves_older_ones(void **state) {
    struct bank *b = *state;
    struct wf_session *newer[2];
    begin(b, WF_SNAPSHOT);
    for (int i = 0; i < 2; i++) {
        transfer_outside(b, "A", "B", "1.00");
        must(&b->f, wf_pool_acquire(b->pool, &newer[i], &b->f.err));
        must(&b->f, wf_session_begin(newer[i], WF_SNAPSHOT, &b->f.err));
    }
    transfer_outside(b, "A", "B", "1.00");
    wf_session_release(newer[0]);
    sees(b, "A", "100.00"); /* for the first time */
    wf_session_release(newer[1]);
    sees(b, "B", "50.00");
}

static void test_session_snapshot_survives_eviction_and_checkpoints(void **state) {
    struct bank *b = *state;
    begin(b, WF_SNAPSHOT);
    transfer_outside(b, "A", "B", "1.00");
    must(&b->f, wf_snapshot(b->f.engine, &b->f.err));
    b->f.engine->options.memory_max = 1;
    holds(b, "C", "0.00"); /* a query trims */
    assert_null(state_account(&b->f.engine->state, text_view("A")));
    sees(b, "A", "100.00");
    sees(b, "B", "50.00");
    must(&b->f, wf_session_rollback(b->session, &b->f.err));
    begin(b, WF_SERIALIZABLE);
    lists(b, NULL, "A=99.00;B=51.00;C=0.00;");
    must(&b->f, transfer(b, "B", "C", "1.00"));
    must(&b->f, wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err));
}

static void test_session_crash_loses_what_is_not_committed_wholly(void **state) {
    struct bank *b = *state;
    begin(b, WF_SNAPSHOT);
    must(&b->f, transfer(b, "A", "B", "10.00"));
    must(&b->f, wf_session_commit(b->session, "k", NULL, NULL, &b->f.err));
    begin(b, WF_SNAPSHOT);
    must(&b->f, transfer(b, "A", "B", "20.00"));
    must(&b->f, transfer(b, "B", "C", "5.00"));
    close_pool(b); /* only memory: the log has nothing of it */
    fixture_crash(&b->f, 0);
    fixture_open(&b->f);
    holds(b, "A", "90.00");
    holds(b, "B", "60.00");
    holds(b, "C", "0.00");
    open_pool(b, 60000);
}

static void test_session_full_disk_gives_snapshots_up(void **state) {
    struct bank *b = *state;
    struct wf_session *other;
    must(&b->f, wf_pool_acquire(b->pool, &other, &b->f.err));
    begin(b, WF_SNAPSHOT);
    sees(b, "A", "100.00");
    must(&b->f, wf_session_begin(other, WF_READ_COMMITTED, &b->f.err));
    const struct wf_operation operation = move("A", "C", "1.00");
    must(&b->f, wf_session_execute(other, &operation, 1, NULL, &b->f.err));
    b->f.engine->stale = true; /* as after a cut */
    struct wf_account *account;
    assert_int_equal(wf_session_account(b->session, "A", &account, &b->f.err), WF_CONFLICT);
    assert_non_null(strstr(b->f.err.text, "rebuilt"));
    /* One that keeps no snapshot goes on. */
    must(&b->f, wf_session_commit(other, NULL, NULL, NULL, &b->f.err));
    holds(b, "C", "1.00");
    wf_session_release(other);
}

static void test_session_reads_in_a_store_that_is_open_for_reading(void **state) {
    struct bank *b = *state;
    close_pool(b);
    fixture_close(&b->f);
    b->f.options.create = b->f.options.test_clock = false;
    b->f.options.read_only = true;
    fixture_open(&b->f);
    open_pool(b, 60000);
    begin(b, WF_SERIALIZABLE);
    sees(b, "A", "100.00");
    must(&b->f, transfer(b, "A", "B", "10.00"));
    sees(b, "A", "90.00");
    assert_int_equal(wf_session_commit(b->session, NULL, NULL, NULL, &b->f.err), WF_REFUSED);
    assert_non_null(strstr(b->f.err.text, "reading only"));
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_session_commit_is_one_record),
        TEST(test_session_sees_its_own_writes_and_nobody_else_does),
        TEST(test_session_result_has_the_balances_it_sees),
        TEST(test_session_refused_operation_leaves_the_transaction),
        TEST(test_session_malformed_calls_are_usage),
        TEST(test_session_without_a_transaction_says_so),
        TEST(test_session_level_is_the_pools_then_its_own),
        TEST(test_session_unknown_level_is_an_error),
        TEST(test_session_release_rolls_back),
        TEST(test_session_commit_of_nothing_writes_nothing),
        TEST(test_session_commit_of_nothing_with_a_used_key_is_a_conflict),
        TEST(test_session_commit_of_nothing_survives_a_damaged_snapshot),
        TEST(test_session_commit_with_a_key_is_done_once),
        TEST(test_session_refusal_at_commit_is_in_the_log),
        TEST(test_session_read_committed_tells_what_does_not_hold_any_more),
        TEST(test_session_holds_are_own_writes_too),
        TEST(test_session_sees_the_banks_own_accounts),
        TEST(test_session_rolls_back_to_a_savepoint),
        TEST(test_session_savepoints_nest_and_hide),
        TEST(test_session_release_of_a_savepoint_keeps_the_work),
        TEST(test_session_has_bounds),
        TEST(test_session_transactions_are_counted),
        TEST(test_session_lists_by_what_is_asked_for),
        TEST(test_session_transaction_that_takes_too_long_is_rolled_back),
        TEST(test_session_transaction_is_overdue_by_a_test_clock_too),
        TEST(test_session_transaction_without_a_timeout_outlives_the_test_clock),
        TEST(test_session_overdue_transaction_keeps_nothing_of_the_past),
        TEST(test_session_old_versions_are_bounded),
        TEST(test_session_keeps_versions_only_while_somebody_reads_the_past),
        TEST(test_session_snapshot_that_ends_leaves_older_ones),
        TEST(test_session_snapshot_survives_eviction_and_checkpoints),
        TEST(test_session_crash_loses_what_is_not_committed_wholly),
        TEST(test_session_full_disk_gives_snapshots_up),
        TEST(test_session_reads_in_a_store_that_is_open_for_reading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
