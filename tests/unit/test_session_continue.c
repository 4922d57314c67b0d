/* A transaction goes on from what it has in its view; what it sees must be what deciding all of its
 * operations anew would show. Two sessions are given the same calls, and one of them is made to
 * decide anew before each: they answer, and see, the same. */
#include "engine/session.h"
#include "tests/lib/session_bank.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { GOES_ON, ANEW, SESSIONS };
enum { BANKS = 8, TRANSACTIONS = 30, CALLS_MAX = 25 };

/* Opened at the beginning, and by transactions; the bank's own. */
static const char *const numbers[] = {"A",  "B",  "C",  "D",        "E-EUR",    "F-EUR",
                                      "N0", "N1", "N2", "CASH/USD", "BANK/USD", "FX/EUR"};
enum { ACCOUNTS = 6, CUSTOMERS = 9, ALL = 12 };

static unsigned below(struct session_bank *b, unsigned limit) {
    uint64_t z = b->random += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return (unsigned)((z ^ z >> 31) % limit);
}

static void set_rate(struct session_bank *b, const char *rate) {
    struct wf_field fields[] = {{"rate", rate}, {"source", "test"}, {"max_age", "2m"}};
    struct wf_command command = {
        .kind = WF_RATE_SET, .id = "USD_to_EUR", .fields = fields, .field_count = 3};
    must(&b->f, wf_execute(b->f.engine, &command, NULL, &b->f.err));
}

static int setup(void **state) {
    static struct session_bank bank;
    struct session_bank *b = &bank;
    session_bank_init(b);
    for (int i = 0; i < ACCOUNTS; i++)
        session_bank_open_account(b, numbers[i], i < 4 ? "USD" : "EUR", "200.00");
    set_rate(b, "0.90");
    session_bank_open_sessions(b, SESSIONS);
    *state = b;
    return 0;
}

static int teardown(void **state) {
    struct session_bank *b = *state;
    session_bank_close_sessions(b);
    assert_int_equal(b->f.engine->versions.watchers, 0);
    fixture_verify(&b->f);
    session_bank_deinit(b);
    return 0;
}

/* --- what is done --- */

/* Mostly one that can do it. */
static const char *any(struct session_bank *b) {
    unsigned choice = below(b, 20);
    return choice < 14 ? numbers[below(b, 4)] : choice < 19 ? numbers[6 + below(b, 3)] : numbers[4];
}

static struct wf_operation make_operation(struct session_bank *b, char amount[16]) {
    static const char *const types[] = {"transfer",
                                        "transfer",
                                        "transfer",
                                        "transfer",
                                        "transfer",
                                        "deposit",
                                        "deposit",
                                        "withdrawal",
                                        "fee_deduction",
                                        "currency_exchange",
                                        "currency_exchange",
                                        "hold",
                                        "hold",
                                        "hold",
                                        "post",
                                        "post",
                                        "void",
                                        "account_open",
                                        "account_open",
                                        "account_freeze",
                                        "account_unfreeze",
                                        "account_unfreeze",
                                        "account_close"};
    static const char *const holds[] = {"h", "i"};
    struct wf_operation o = {.type = types[below(b, sizeof types / sizeof types[0])]};
    snprintf(amount, 16, "%u.%02u", below(b, 12), 1 + below(b, 99));
    if (strncmp(o.type, "account_", 8) == 0) {
        o.account = any(b);
        if (strcmp(o.type, "account_open") != 0)
            return o;
        o.account_type = "savings";
        o.currency = "USD";
        o.amount = below(b, 2) == 0 ? amount : NULL;
        return o;
    }
    if (strcmp(o.type, "deposit") != 0)
        o.from = any(b);
    if (strcmp(o.type, "post") == 0 || strcmp(o.type, "void") == 0) {
        o.hold = holds[below(b, 2)];
        return o;
    }
    if (strcmp(o.type, "withdrawal") != 0 && strcmp(o.type, "fee_deduction") != 0)
        o.to = any(b);
    o.currency = "USD";
    o.amount = amount;
    if (strcmp(o.type, "currency_exchange") == 0) {
        static const char *const rules[] = {"exchange_rate_validation"};
        o.currency = "USD_to_EUR";
        o.to = numbers[4 + below(b, 2)];
        o.rules = rules;
        o.rule_count = 1;
    }
    if (strcmp(o.type, "hold") == 0) {
        o.hold = holds[below(b, 2)];
        o.expires_in_ms = below(b, 2) * 60000;
    }
    return o;
}

/* By somebody else, and perhaps refused. */
static void work_outside(struct session_bank *b) {
    char amount[16];
    if (below(b, 8) == 0) {
        set_rate(b, below(b, 2) == 0 ? "0.90" : "0.91");
        return;
    }
    const struct wf_operation operation = make_operation(b, amount);
    const struct wf_command command = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = &operation, .operation_count = 1};
    (void)wf_execute(b->f.engine, &command, NULL, &b->f.err);
}

static void let_time_pass(struct session_bank *b) {
    const struct wf_command command = {.kind = WF_CLOCK_ADVANCE,
                                       .duration_ms = 1 + below(b, 100000)};
    must(&b->f, wf_execute(b->f.engine, &command, NULL, &b->f.err));
}

/* --- what is compared --- */

/* All that the session sees of the account, or why not. */
static void describe(struct session_bank *b, int who, const char *number, char *text, size_t size) {
    struct wf_account *account = NULL;
    enum wf_status status = wf_session_account(b->sessions[who], number, &account, &b->f.err);
    if (status != WF_OK) {
        snprintf(text, size, "%s %s", wf_status_code(status), b->f.err.text);
        return;
    }
    size_t used =
        (size_t)snprintf(text, size, "%s %s %s %s held %s", account->number, account->status,
                         account->balance, account->currency, account->held);
    for (size_t i = 0; i < account->hold_count; i++)
        used += (size_t)snprintf(text + used, size - used, " %s=%s to %s", account->holds[i].name,
                                 account->holds[i].amount, account->holds[i].to);
    wf_account_free(account);
}

/* False: the transaction is in conflict, or over. */
static bool see_the_same(struct session_bank *b) {
    static char texts[SESSIONS][1000];
    for (int i = 0; i < ALL; i++) {
        for (int who = 0; who < SESSIONS; who++)
            describe(b, who, numbers[i], texts[who], sizeof texts[who]);
        assert_string_equal(texts[GOES_ON], texts[ANEW]);
        if (strncmp(texts[GOES_ON], "conflict", 8) == 0)
            return false;
    }
    return true;
}

struct told {
    char text[1000];
};

static bool add_balance(void *ctx, const struct wf_balance *balance) {
    struct told *told = ctx;
    size_t used = strlen(told->text);
    snprintf(told->text + used, sizeof told->text - used, "%s=%s;", balance->account,
             balance->balance);
    return true;
}

static void tell_the_same(struct session_bank *b) {
    struct told told[SESSIONS] = {{""}, {""}};
    for (int who = 0; who < SESSIONS; who++)
        must(&b->f, wf_session_balances(b->sessions[who], add_balance, &told[who], &b->f.err));
    assert_string_equal(told[GOES_ON].text, told[ANEW].text);
}

/* As if nothing was kept. */
static void forget(struct wf_session *session) {
    if (session->isolation == WF_READ_COMMITTED)
        session_forget_views(session);
    session->stale = true;
}

/* False: the transaction cannot go on. */
static bool execute(struct session_bank *b) {
    struct wf_operation operations[2];
    char amounts[2][16], texts[SESSIONS][512];
    size_t count = below(b, 4) == 0 ? 2 : 1;
    enum wf_status status = WF_OK;
    for (size_t i = 0; i < count; i++)
        operations[i] = make_operation(b, amounts[i]);
    forget(b->sessions[ANEW]);
    for (int who = 0; who < SESSIONS; who++) {
        status = wf_session_execute(b->sessions[who], operations, count, NULL, &b->f.err);
        snprintf(texts[who], sizeof texts[who], "%s %s", wf_status_code(status),
                 status == WF_OK ? "" : b->f.err.text);
    }
    assert_string_equal(texts[GOES_ON], texts[ANEW]);
    return status == WF_OK || status == WF_REFUSED;
}

static void both(struct session_bank *b,
                 enum wf_status (*call)(struct wf_session *session, const char *name,
                                        struct wf_error *err)) {
    enum wf_status status = call(b->sessions[GOES_ON], "s", &b->f.err);
    assert_int_equal(call(b->sessions[ANEW], "s", &b->f.err), status);
}

static void transact(struct session_bank *b, enum wf_isolation isolation, uint64_t *committed) {
    unsigned calls = 1 + below(b, CALLS_MAX);
    bool good = true;
    for (int who = 0; who < SESSIONS; who++)
        must(&b->f, wf_session_begin(b->sessions[who], isolation, &b->f.err));
    for (unsigned i = 0; i < calls && good; i++) {
        unsigned choice = below(b, 100);
        if (choice < 8)
            work_outside(b);
        else if (choice < 14)
            let_time_pass(b);
        else if (choice < 20)
            both(b, wf_session_savepoint);
        else if (choice < 26)
            both(b, wf_session_rollback_to);
        else
            good = execute(b);
        if (good && below(b, 3) == 0)
            good = see_the_same(b);
    }
    good = good && see_the_same(b);
    if (good)
        tell_the_same(b);
    (void)wf_session_rollback(b->sessions[ANEW], &b->f.err);
    enum wf_status status = wf_session_commit(b->sessions[GOES_ON], NULL, NULL, NULL, &b->f.err);
    if (good && status == WF_OK)
        ++*committed;
}

static void test_session_goes_on_as_if_it_decided_all_anew(void **state) {
    for (int level = 0; level < SESSION_LEVELS; level++) {
        uint64_t committed = 0;
        for (uint64_t i = 0; i < BANKS; i++) {
            (void)teardown(state);
            (void)setup(state);
            struct session_bank *b = *state;
            b->random = 1 + i;
            for (int j = 0; j < TRANSACTIONS; j++)
                transact(b, session_levels[level], &committed);
        }
        assert_true(committed > BANKS * TRANSACTIONS / 2);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_session_goes_on_as_if_it_decided_all_anew, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
