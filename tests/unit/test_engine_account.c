/* Accounts through the engine: results, statements of the past, snapshots and eviction, keys, the
 * check of all postings. */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void open_account(struct engine_fixture *f, const char *number, const char *balance) {
    struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                 .id = number,
                                 .type = "checking",
                                 .currency = "USD",
                                 .amount = balance};
    must(f, wf_execute(f->engine, &command, NULL, &f->err));
}

static enum wf_status transfer(struct engine_fixture *f, const char *from, const char *to,
                               const char *amount, const char *key, struct wf_result *result) {
    const struct wf_operation operation = {
        .type = "transfer", .from = from, .to = to, .amount = amount, .currency = "USD"};
    struct wf_command command = {.kind = WF_ACCOUNT_TRANSACT,
                                 .operations = &operation,
                                 .operation_count = 1,
                                 .key = key,
                                 .actor = "teller"};
    return wf_execute(f->engine, &command, result, &f->err);
}

static void checks(struct engine_fixture *f) {
    struct wf_account_report report;
    must(f, wf_account_check(f->engine, &report, &f->err));
    assert_true(report.postings > 0);
}

static void test_account_result_tells_the_balances(void **state) {
    struct engine_fixture *f = *state;
    open_account(f, "A", "100.00");
    open_account(f, "B", NULL);
    struct wf_result result;
    must(f, transfer(f, "A", "B", "30.50", NULL, &result));
    assert_int_equal(result.balance_count, 2);
    assert_string_equal(result.balances[0].account, "A");
    assert_string_equal(result.balances[0].balance, "69.50");
    assert_string_equal(result.balances[1].balance, "30.50");
    assert_string_equal(result.balances[1].currency, "USD");
    assert_string_equal(result.outcome, "posted");
}

struct told {
    size_t count;
    char last[40];
};

static bool note_balance(void *ctx, const struct wf_balance *balance) {
    struct told *told = ctx;
    told->count++;
    snprintf(told->last, sizeof told->last, "%s %s", balance->account, balance->balance);
    return true;
}

/* As many as one transaction can touch. */
static void test_account_result_tells_however_many_balances(void **state) {
    struct engine_fixture *f = *state;
    enum { ACCOUNTS = 2 * WF_OPERATIONS_MAX };
    static struct wf_operation operations[WF_OPERATIONS_MAX];
    static char numbers[ACCOUNTS][8];
    for (int i = 0; i < ACCOUNTS; i++) {
        snprintf(numbers[i], sizeof numbers[i], "N%04d", i);
        open_account(f, numbers[i], "1.00");
    }
    for (int i = 0; i < WF_OPERATIONS_MAX; i++)
        operations[i] = (struct wf_operation){.type = "transfer",
                                              .from = numbers[2 * i],
                                              .to = numbers[2 * i + 1],
                                              .amount = "0.25",
                                              .currency = "USD"};
    struct wf_command command = {.kind = WF_ACCOUNT_TRANSACT,
                                 .operations = operations,
                                 .operation_count = WF_OPERATIONS_MAX,
                                 .key = "k"};
    struct wf_result result;
    for (int i = 0; i < 2; i++) { /* and again under its key, when the balances are others */
        struct told told = {.count = 0};
        must(f, wf_execute(f->engine, &command, &result, &f->err));
        assert_int_equal(result.balance_count, WF_RESULT_BALANCES_MAX);
        assert_int_equal(result.balances_total, ACCOUNTS);
        must(f, wf_result_balances(f->engine, &result, note_balance, &told, &f->err));
        assert_int_equal(told.count, ACCOUNTS);
        assert_string_equal(told.last, "N2047 1.25");
        must(f, transfer(f, "N2047", "N0000", "0.10", NULL, NULL));
        fixture_reopen(f, true);
    }
}

static void test_account_key_answers_with_the_first_balances(void **state) {
    struct engine_fixture *f = *state;
    open_account(f, "A", "100.00");
    open_account(f, "B", NULL);
    struct wf_result result;
    must(f, transfer(f, "A", "B", "10.00", "k", &result));
    uint64_t lsn = result.lsn;
    must(f, transfer(f, "A", "B", "10.00", NULL, NULL));
    must(f, transfer(f, "A", "B", "10.00", "k", &result));
    assert_true(result.replayed);
    assert_int_equal(result.lsn, lsn);
    assert_string_equal(result.balances[0].balance, "90.00");
    fixture_holds(f, "A", "80.00");
    assert_int_equal(transfer(f, "A", "B", "11.00", "k", NULL), WF_CONFLICT);
    assert_int_equal(transfer(f, "A", "B", "1000.00", "no", NULL), WF_REFUSED);
    must(f, transfer(f, "B", "A", "20.00", NULL, NULL));
    assert_int_equal(transfer(f, "A", "B", "1000.00", "no", &result), WF_REFUSED);
}

struct lines {
    char text[600];
};

static bool add_line(void *ctx, const struct wf_statement_line *line) {
    struct lines *lines = ctx;
    size_t used = strlen(lines->text);
    snprintf(lines->text + used, sizeof lines->text - used, "%s %s %s %s;", line->operation,
             line->other, line->amount, line->balance);
    return true;
}

static void test_account_statement_is_as_of_any_record(void **state) {
    struct engine_fixture *f = *state;
    open_account(f, "A", "100.00");
    open_account(f, "B", NULL);
    struct wf_result first;
    must(f, transfer(f, "A", "B", "30.00", NULL, &first));
    must(f, transfer(f, "B", "A", "5.00", NULL, NULL));
    assert_int_equal(transfer(f, "A", "B", "500.00", NULL, NULL), WF_REFUSED);
    struct lines lines = {""};
    char balance[32];
    must(f, wf_account_statement(f->engine, "A", first.lsn, add_line, &lines, balance, &f->err));
    assert_string_equal(lines.text, "opening OPENING/USD 100.00 100.00;transfer B -30.00 70.00;");
    assert_string_equal(balance, "70.00");
    lines.text[0] = '\0';
    must(f, wf_account_statement(f->engine, "B", UINT64_MAX, add_line, &lines, balance, &f->err));
    assert_string_equal(lines.text, "transfer A 30.00 30.00;transfer A -5.00 25.00;");
    assert_int_equal(wf_account_statement(f->engine, "A", 1, NULL, NULL, NULL, &f->err),
                     WF_NOT_FOUND);
    assert_int_equal(wf_account_statement(f->engine, "Z", 1, NULL, NULL, NULL, &f->err),
                     WF_NOT_FOUND);
}

static bool count_events(void *ctx, const struct wf_event *event) {
    int *counts = ctx;
    counts[0]++;
    counts[1] += strcmp(event->event, "command_refused") == 0;
    return true;
}

static void test_account_history_has_the_refusals(void **state) {
    struct engine_fixture *f = *state;
    open_account(f, "A", "1.00");
    open_account(f, "B", NULL);
    assert_int_equal(transfer(f, "A", "B", "500.00", NULL, NULL), WF_REFUSED);
    must(f, transfer(f, "A", "B", "1.00", NULL, NULL));
    int counts[2] = {0, 0};
    must(f, wf_account_history(f->engine, "B", count_events, counts, &f->err));
    assert_int_equal(counts[1], 1);
    assert_int_equal(counts[0], 3); /* opened, refused, posted */
}

static bool list_numbers(void *ctx, const struct wf_account *account) {
    strcat(strcat(ctx, account->number), " ");
    return true;
}

static void test_account_list_is_in_order_with_snapshots_between(void **state) {
    struct engine_fixture *f = *state;
    open_account(f, "B", "1.00");
    open_account(f, "D", NULL);
    must(f, wf_snapshot(f->engine, &f->err));
    open_account(f, "C", NULL);
    open_account(f, "A", NULL);
    char text[200] = "";
    must(f, wf_account_list(f->engine, false, list_numbers, text, &f->err));
    assert_string_equal(text, "A B C D ");
    text[0] = '\0';
    must(f, wf_account_list(f->engine, true, list_numbers, text, &f->err));
    assert_string_equal(text, "A B C D OPENING/USD ");
}

/* Accounts that are not in memory come from the snapshot, when a command or a record names them. */
static void test_account_is_loaded_after_a_reopening(void **state) {
    struct engine_fixture *f = *state;
    open_account(f, "A", "100.00");
    open_account(f, "B", NULL);
    fixture_reopen(f, true);
    assert_int_equal(fixture_status(f).replayed, 0);
    must(f, transfer(f, "A", "B", "1.00", NULL, NULL));
    const char *hash = fixture_hash(f);
    fixture_reopen(f, false); /* the transfer is replayed on the snapshot's accounts */
    assert_int_equal(fixture_status(f).replayed, 1);
    assert_string_equal(fixture_hash(f), hash);
    fixture_holds(f, "A", "99.00");
    fixture_verify(f);
    checks(f);
}

static void test_account_survives_the_loss_of_power(void **state) {
    struct engine_fixture *f = *state;
    open_account(f, "A", "100.00");
    open_account(f, "B", NULL);
    must(f, transfer(f, "A", "B", "1.00", NULL, NULL));
    fixture_crash(f, 0);
    fixture_open(f);
    fixture_holds(f, "A", "99.00");
    fixture_holds(f, "B", "1.00");
    fixture_verify(f);
    checks(f);
}

static void test_account_holds_are_shown_until_they_expire(void **state) {
    struct engine_fixture *f = *state;
    open_account(f, "A", "100.00");
    open_account(f, "B", NULL);
    const struct wf_operation hold = {.type = "hold",
                                      .from = "A",
                                      .to = "B",
                                      .amount = "60.00",
                                      .currency = "USD",
                                      .hold = "h",
                                      .expires_in_ms = 1000};
    struct wf_command command = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = &hold, .operation_count = 1};
    must(f, wf_execute(f->engine, &command, NULL, &f->err));
    struct wf_account *account;
    must(f, wf_account_get(f->engine, "A", &account, &f->err));
    assert_string_equal(account->available, "40.00");
    assert_string_equal(account->held, "60.00");
    assert_int_equal(account->hold_count, 1);
    wf_account_free(account);
    struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 1000};
    must(f, wf_execute(f->engine, &advance, NULL, &f->err));
    must(f, wf_account_get(f->engine, "A", &account, &f->err));
    assert_string_equal(account->available, "100.00");
    assert_int_equal(account->hold_count, 0);
    wf_account_free(account);
}

static void test_account_check_names_the_first_difference(void **state) {
    struct engine_fixture *f = *state;
    open_account(f, "A", "100.00");
    open_account(f, "B", NULL);
    must(f, transfer(f, "A", "B", "1.00", NULL, NULL));
    checks(f);
    struct account *account = state_account(&f->engine->state, text_view("B"));
    account->balance = 101;
    assert_int_equal(wf_account_check(f->engine, NULL, &f->err), WF_DIVERGENCE);
    assert_non_null(strstr(f->err.text, "account B: the postings up to LSN 5 come to 1.00 USD, "
                                        "and 1.01 is kept"));
    account->balance = 100;
    checks(f);
    f->engine->state.store.accounts++;
    assert_int_equal(wf_account_check(f->engine, NULL, &f->err), WF_DIVERGENCE);
    f->engine->state.store.accounts--;
}

static void enqueue(struct engine_fixture *f, const struct wf_command *command) {
    struct wf_pending pending;
    must(f, wf_enqueue(f->engine, command, &pending, &f->err));
}

/* More accounts than memory is to hold, and transfers among all of them. */
static void test_account_many_are_evicted_and_loaded(void **state) {
    struct engine_fixture *f = *state;
    fixture_close(f);
    f->options.memory_max = 64 << 10;
    f->options.snapshot_log_bytes = 64 << 10;
    fixture_open(f);
    char from[16], to[16];
    for (int i = 0; i < 600; i++) {
        snprintf(from, sizeof from, "T%03d", i);
        const struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                           .id = from,
                                           .type = "checking",
                                           .currency = "USD",
                                           .amount = "10.00"};
        enqueue(f, &command);
    }
    for (int i = 0; i < 1000; i++) {
        snprintf(from, sizeof from, "T%03d", i * 7 % 600);
        snprintf(to, sizeof to, "T%03d", (i * 13 + 1) % 600);
        const struct wf_operation operation = {
            .type = "transfer", .from = from, .to = to, .amount = "1.00", .currency = "USD"};
        const struct wf_command command = {
            .kind = WF_ACCOUNT_TRANSACT, .operations = &operation, .operation_count = 1};
        enqueue(f, &command);
    }
    must(f, wf_sync(f->engine, &f->err));
    assert_true(f->engine->counters.evictions > 0);
    fixture_verify(f);
    checks(f);
}

static bool remember_reference(void *ctx, const struct wf_reference *reference) {
    sprintf(ctx, "%s %s %s=%s", reference->kind, reference->name, reference->fields[0].name,
            reference->fields[0].value);
    return true;
}

static void test_reference_list_shows_what_was_entered(void **state) {
    struct engine_fixture *f = *state;
    struct wf_field fields[] = {{"rate", "0.90"}, {"source", "ECB"}};
    struct wf_command command = {
        .kind = WF_RATE_SET, .id = "USD_to_EUR", .fields = fields, .field_count = 2};
    must(f, wf_execute(f->engine, &command, NULL, &f->err));
    fixture_reopen(f, true);
    char seen[200] = "";
    must(f, wf_reference_list(f->engine, "rate", remember_reference, seen, &f->err));
    assert_string_equal(seen, "rate USD_to_EUR rate=0.90");
    seen[0] = '\0';
    must(f, wf_reference_list(f->engine, "calendar", remember_reference, seen, &f->err));
    assert_string_equal(seen, "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_sim, fixture_teardown)
        TEST(test_account_result_tells_the_balances),
        TEST(test_account_result_tells_however_many_balances),
        TEST(test_account_key_answers_with_the_first_balances),
        TEST(test_account_statement_is_as_of_any_record),
        TEST(test_account_history_has_the_refusals),
        TEST(test_account_list_is_in_order_with_snapshots_between),
        TEST(test_account_is_loaded_after_a_reopening),
        TEST(test_account_survives_the_loss_of_power),
        TEST(test_account_holds_are_shown_until_they_expire),
        TEST(test_account_check_names_the_first_difference),
        TEST(test_reference_list_shows_what_was_entered),
        cmocka_unit_test_setup_teardown(test_account_many_are_evicted_and_loaded,
                                        fixture_setup_disk, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
