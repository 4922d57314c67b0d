/* A stage's money through the engine: one result, the plan of a rollback, the past, snapshots,
 * eviction, keys, the history in words. */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct wf_operation disbursement[] = {
    {.type = "loan_disbursement",
     .from = "LOAN1",
     .to = "ACC001",
     .amount = "800.00",
     .currency = "USD"},
    {.type = "fee_deduction", .from = "ACC001", .amount = "20.00", .currency = "USD"}};

static void open_account(struct engine_fixture *f, const char *number, const char *type,
                         const char *balance) {
    struct wf_command command = {
        .kind = WF_ACCOUNT_OPEN, .id = number, .type = type, .currency = "USD", .amount = balance};
    must(f, wf_execute(f->engine, &command, NULL, &f->err));
}

static int setup(void **state) {
    static struct engine_fixture fixture;
    fixture_init_sim(&fixture);
    open_account(&fixture, "ACC001", "checking", "100.00");
    open_account(&fixture, "LOAN1", "loan", NULL);
    *state = &fixture;
    return 0;
}

static void checks(struct engine_fixture *f) {
    struct wf_account_report report;
    must(f, wf_account_check(f->engine, &report, &f->err));
    fixture_verify(f);
}

/* The step that completes the credit check, with its disbursement. */
static enum wf_status pay(struct engine_fixture *f, const char *id, const char *key,
                          struct wf_result *result) {
    static const struct wf_field fields[] = {{"credit_score", "750"}, {"history", "good"}};
    const struct wf_command command = {.kind = WF_WORKFLOW_SUBMIT,
                                       .id = id,
                                       .step = "credit_bureau_response",
                                       .fields = fields,
                                       .field_count = 2,
                                       .operations = disbursement,
                                       .operation_count = 2,
                                       .key = key};
    return wf_execute(f->engine, &command, result, &f->err);
}

static const struct wf_command rollback = {.kind = WF_WORKFLOW_ROLLBACK,
                                           .id = "L1",
                                           .stage = "credit_check",
                                           .reason = "wrong file",
                                           .actor = "ann"};
static const struct wf_command approval = {.kind = WF_REVIEW_APPROVE,
                                           .id = "L1",
                                           .stage = "income_verification",
                                           .role = "reviewer",
                                           .actor = "rita"};

static void go_back(struct engine_fixture *f, struct wf_result *result) {
    must(f, wf_execute(f->engine, &rollback, NULL, &f->err));
    must(f, wf_execute(f->engine, &approval, result, &f->err));
}

static void test_money_result_names_outcome_and_balances(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result result;
    fixture_loan(f, "L1", 1);
    must(f, pay(f, "L1", NULL, &result));
    assert_string_equal(result.outcome, "income_verification_triggered");
    assert_string_equal(result.stage, "income_verification");
    assert_int_equal(result.balance_count, 2);
    assert_string_equal(result.balances[0].account, "LOAN1");
    assert_string_equal(result.balances[0].balance, "-800.00");
    assert_string_equal(result.balances[1].balance, "880.00");
    go_back(f, &result);
    assert_string_equal(result.outcome, "credit_check_initiated");
    assert_string_equal(result.balances[0].balance, "0.00");
    assert_string_equal(result.balances[1].balance, "100.00");
    checks(f);
}

static void test_money_key_answers_as_the_first_time(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result first, again;
    fixture_loan(f, "L1", 1);
    must(f, pay(f, "L1", "k", &first));
    must(f, pay(f, "L1", "k", &again));
    assert_true(again.replayed);
    assert_int_equal(again.lsn, first.lsn);
    assert_string_equal(again.outcome, first.outcome);
    assert_string_equal(again.balances[1].balance, "880.00");
    fixture_holds(f, "ACC001", "880.00");
    /* The operations are in the body's hash. */
    struct wf_operation other[] = {disbursement[0]};
    const struct wf_field fields[] = {{"credit_score", "750"}, {"history", "good"}};
    const struct wf_command command = {.kind = WF_WORKFLOW_SUBMIT,
                                       .id = "L1",
                                       .step = "credit_bureau_response",
                                       .fields = fields,
                                       .field_count = 2,
                                       .operations = other,
                                       .operation_count = 1,
                                       .key = "k"};
    assert_int_equal(wf_execute(f->engine, &command, NULL, &f->err), WF_CONFLICT);
}

static void test_money_plan_tells_what_would_go_back(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result result;
    fixture_loan(f, "L1", 1);
    must(f, pay(f, "L1", NULL, &result));
    struct wf_plan *plan = NULL;
    must(f, wf_rollback_plan(f->engine, &rollback, &plan, &f->err));
    assert_int_equal(plan->stage_count, 2);
    assert_int_equal(plan->stages[0].money_lsn, 0);
    assert_int_equal(plan->stages[1].money_lsn, result.lsn);
    assert_int_equal(plan->stages[1].moved_count, 3);
    assert_string_equal(plan->stages[1].moved[0].account, "LOAN1");
    assert_string_equal(plan->stages[1].moved[0].amount, "800.00");
    assert_string_equal(plan->stages[1].moved[1].amount, "-780.00");
    assert_string_equal(plan->stages[1].moved[2].account, "BANK/USD");
    wf_plan_free(plan);
    fixture_holds(f, "ACC001", "880.00");
}

static void test_money_is_shown_as_of_any_record(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result paid, back;
    fixture_loan(f, "L1", 1);
    must(f, pay(f, "L1", NULL, &paid));
    go_back(f, &back);
    const struct {
        uint64_t lsn;
        size_t count;
    } cases[] = {{paid.lsn - 1, 0}, {paid.lsn, 1}, {back.lsn - 1, 1}, {back.lsn, 0}};
    for (size_t i = 0; i < 4; i++) {
        struct wf_workflow *loan = NULL;
        must(f, wf_workflow_get_as_of(f->engine, "L1", cases[i].lsn, &loan, &f->err));
        assert_int_equal(loan->money_count, cases[i].count);
        if (loan->money_count == 1) {
            assert_string_equal(loan->money[0].stage, "credit_check");
            assert_string_equal(loan->money[0].moved[1].amount, "780.00");
        }
        wf_workflow_free(loan);
    }
}

/* What must be in memory to move money back comes from the snapshot. */
static void test_money_goes_back_after_a_restart(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "L1", 1);
    must(f, pay(f, "L1", NULL, NULL));
    for (int snapshot = 0; snapshot < 2; snapshot++) {
        fixture_reopen(f, snapshot == 1);
        fixture_holds(f, "ACC001", "880.00");
        fixture_reopen(f, snapshot == 1);
        struct wf_plan *plan = NULL;
        must(f, wf_rollback_plan(f->engine, &rollback, &plan, &f->err));
        wf_plan_free(plan);
        fixture_reopen(f, snapshot == 1);
        go_back(f, NULL);
        fixture_reopen(f, snapshot == 1);
        fixture_holds(f, "ACC001", "100.00");
        fixture_holds(f, "LOAN1", "0.00");
        checks(f);
        must(f, pay(f, "L1", NULL, NULL));
    }
}

static void test_money_refusal_is_in_both_histories(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "L1", 1);
    must(f, pay(f, "L1", NULL, NULL));
    const struct wf_operation all = {
        .type = "withdrawal", .from = "ACC001", .amount = "880.00", .currency = "USD"};
    const struct wf_command spend = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = &all, .operation_count = 1};
    must(f, wf_execute(f->engine, &spend, NULL, &f->err));
    must(f, wf_execute(f->engine, &rollback, NULL, &f->err));
    const char *before = fixture_hash(f);
    assert_int_equal(wf_execute(f->engine, &approval, NULL, &f->err), WF_REFUSED);
    assert_non_null(strstr(f->err.text, "sufficient_funds: account ACC001"));
    assert_string_not_equal(fixture_hash(f), before); /* the count of refusals */
    struct wf_workflow *loan = NULL;
    must(f, wf_workflow_get(f->engine, "L1", &loan, &f->err));
    assert_int_equal(loan->review_count, 1);
    assert_int_equal(loan->money_count, 1);
    wf_workflow_free(loan);
    checks(f);
}

struct words {
    char text[4000];
};

static bool add_event(void *ctx, const struct wf_event *event) {
    struct words *words = ctx;
    size_t used = strlen(words->text);
    used += (size_t)snprintf(words->text + used, sizeof words->text - used, "%s:%s", event->event,
                             event->stage == NULL ? "" : event->stage);
    for (size_t i = 0; i < event->data_count; i++)
        used += (size_t)snprintf(words->text + used, sizeof words->text - used, ",%s=%s",
                                 event->data[i].name, event->data[i].value);
    snprintf(words->text + used, sizeof words->text - used, ";");
    return true;
}

static void test_money_is_in_the_history(void **state) {
    struct engine_fixture *f = *state;
    struct words words = {""};
    struct wf_result paid;
    fixture_loan(f, "L1", 1);
    must(f, pay(f, "L1", NULL, &paid));
    go_back(f, NULL);
    must(f, wf_workflow_history(f->engine, "L1", add_event, &words, &f->err));
    assert_non_null(strstr(words.text,
                           "operation_posted:,operation=loan_disbursement,LOAN1=-800.00 "
                           "USD,ACC001=800.00 USD;"));
    assert_non_null(strstr(words.text, "money_bound:credit_check;"));
    char expected[160];
    snprintf(expected, sizeof expected,
             "operation_posted:,operation=reversal,LOAN1=800.00 USD,ACC001=-780.00 "
             "USD,BANK/USD=-20.00 USD,reverses=%d;",
             (int)paid.lsn);
    assert_non_null(strstr(words.text, expected));
    words.text[0] = '\0';
    must(f, wf_account_history(f->engine, "ACC001", add_event, &words, &f->err));
    assert_non_null(strstr(words.text, expected));
}

/* --- a transaction on its own --- */

static enum wf_status spend(struct engine_fixture *f, const char *amount,
                            struct wf_result *result) {
    const struct wf_operation operations[] = {
        {.type = "fee_deduction", .from = "ACC001", .amount = amount, .currency = "USD"},
        {.type = "hold",
         .from = "ACC001",
         .to = "ACC002",
         .amount = "1.00",
         .currency = "USD",
         .hold = "h"}};
    const struct wf_command command = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = operations, .operation_count = 2};
    return wf_execute(f->engine, &command, result, &f->err);
}

static enum wf_status reverse(struct engine_fixture *f, uint64_t lsn, const char *key,
                              struct wf_result *result) {
    const struct wf_command command = {.kind = WF_ACCOUNT_REVERSE,
                                       .lsn = lsn,
                                       .reason = "entered twice",
                                       .actor = "eve",
                                       .key = key};
    return wf_execute(f->engine, &command, result, &f->err);
}

static void says(const struct engine_fixture *f, const char *words) {
    if (strstr(f->err.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", f->err.text, words);
}

/* What was reversed is gone, and the answer is still there. */
static void test_reversal_key_answers_though_the_transaction_was_dropped(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result spent, back, again;
    open_account(f, "ACC002", "checking", NULL);
    must(f, spend(f, "30.00", &spent));
    struct wf_archive_options options;
    wf_archive_options_init(&options);
    options.snapshot = options.seal = true;
    must(f, wf_archive_run(f->engine, &options, NULL, &f->err));
    must(f, reverse(f, spent.lsn, "k", &back));
    const struct wf_archive_drop drop = {
        .before_lsn = back.lsn, .actor = "ann", .reason = "ten years are over"};
    must(f, wf_archive_drop(f->engine, &drop, NULL, &f->err));
    must(f, reverse(f, spent.lsn, "k", &again));
    assert_true(again.replayed);
    assert_int_equal(again.lsn, back.lsn);
    assert_string_equal(again.outcome, "reversed");
    assert_int_equal(reverse(f, spent.lsn, "other", NULL), WF_NOT_FOUND);
    says(f, "dropped");
    assert_int_equal(reverse(f, back.lsn, "k", NULL), WF_CONFLICT);
    checks(f);
}

/* Neither what others enqueued nor the record itself is waited for. */
static void test_reversal_under_a_used_key_does_not_wait(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result spent;
    struct wf_pending other, again;
    open_account(f, "ACC002", "checking", NULL);
    must(f, spend(f, "30.00", &spent));
    must(f, reverse(f, spent.lsn, "k", NULL));
    uint64_t durable = wal_durable_lsn(f->engine->wal);
    const struct wf_command opening = {
        .kind = WF_ACCOUNT_OPEN, .id = "ACC003", .type = "checking", .currency = "USD"};
    const struct wf_command reversal = {.kind = WF_ACCOUNT_REVERSE,
                                        .lsn = spent.lsn,
                                        .reason = "entered twice",
                                        .actor = "eve",
                                        .key = "k"};
    must(f, wf_enqueue(f->engine, &opening, &other, &f->err));
    must(f, wf_enqueue(f->engine, &reversal, &again, &f->err));
    assert_int_equal(wal_durable_lsn(f->engine->wal), durable);
    must(f, wf_wait(f->engine, &again, NULL, &f->err));
    must(f, wf_wait(f->engine, &other, NULL, &f->err));
}

/* A record as no engine writes it: postings that say they reverse another record, in these words.
 */
static void append_reversal_as(struct engine_fixture *f, const char *words, uint64_t lsn,
                               const char *const accounts[2], int64_t amount, bool of_transaction) {
    struct record_touch touches[2];
    struct posting postings[2];
    struct event events[2] = {{.kind = EVENT_OPERATION_POSTED},
                              {.kind = EVENT_TRANSACTION_REVERSED}};
    const struct field field = {text_view("reverses"), text_view(words)};
    for (uint32_t i = 0; i < 2; i++) {
        const struct account *account = state_account(&f->engine->state, text_view(accounts[i]));
        postings[i] = (struct posting){.account = i, .amount = i == 0 ? -amount : amount};
        touches[i] = (struct record_touch){.kind = account->entity.kind,
                                           .name = text_view(account->number),
                                           .previous = account->history,
                                           .currency = text_view("USD"),
                                           .balance = account->balance + postings[i].amount};
    }
    events[0].as.operation_posted.operation = OPERATION_REVERSAL;
    events[0].as.operation_posted.postings = postings;
    events[0].as.operation_posted.posting_count = 2;
    events[0].as.operation_posted.fields = &field;
    events[0].as.operation_posted.field_count = 1;
    events[1].as.transaction_reversed.lsn = lsn;
    events[1].as.transaction_reversed.reason = text_view("any");
    struct record record = {.lsn = wal_next_lsn(f->engine->wal),
                            .time_ms = f->engine->state.store.clock_ms,
                            .command =
                                of_transaction ? COMMAND_ACCOUNT_REVERSE : COMMAND_ACCOUNT_TRANSACT,
                            .events = events,
                            .event_count = of_transaction ? 2 : 1,
                            .touches = touches,
                            .touch_count = 2};
    must(f, engine_append_record(f->engine, &record, &f->err));
}

static void append_reversal(struct engine_fixture *f, uint64_t lsn, const char *const accounts[2],
                            int64_t amount, bool of_transaction) {
    char words[24];
    snprintf(words, sizeof words, "%d", (int)lsn);
    append_reversal_as(f, words, lsn, accounts, amount, of_transaction);
}

static void finds(struct engine_fixture *f, const char *words) {
    assert_int_equal(wf_account_check(f->engine, NULL, &f->err), WF_DIVERGENCE);
    says(f, words);
}

static void test_check_compares_a_reversal_with_what_it_reverses(void **state) {
    static const char *const right[2] = {"BANK/USD", "ACC001"}, *const wrong[2] = {"BANK/USD",
                                                                                   "ACC002"};
    for (int of_transaction = 0; of_transaction < 2; of_transaction++) {
        for (int variant = 0; variant < 4; variant++) {
            (void)fixture_teardown(state);
            (void)setup(state);
            struct engine_fixture *f = *state;
            struct wf_result spent;
            open_account(f, "ACC002", "checking", NULL);
            must(f, spend(f, "30.00", &spent));
            append_reversal(f, spent.lsn, variant == 1 ? wrong : right, variant == 2 ? 2999 : 3000,
                            of_transaction != 0);
            if (variant == 0)
                must(f, wf_account_check(f->engine, NULL, &f->err));
            if (variant == 1)
                finds(f,
                      "account ACC001: record 6 put -30.00 USD on it, and its reversal puts 0.00");
            if (variant == 2)
                finds(f,
                      "first difference at LSN 7: account ACC001: record 6 put -30.00 USD on it, "
                      "and its reversal puts 29.99");
            if (variant == 3) { /* as a stage's that is undone once more */
                append_reversal(f, spent.lsn, right, 3000, false);
                finds(f, "a second time");
            }
        }
    }
}

static void test_check_finds_a_reversal_of_what_is_no_record(void **state) {
    static const char *const accounts[2] = {"BANK/USD", "ACC001"};
    /* The last but one is 6, and 2 to the power of 64. */
    static const char *const words[] = {"", "0", "6x", "-6", "18446744073709551622", "7"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        (void)fixture_teardown(state);
        (void)setup(state);
        struct engine_fixture *f = *state;
        struct wf_result spent;
        open_account(f, "ACC002", "checking", NULL);
        must(f, spend(f, "30.00", &spent));
        assert_int_equal(spent.lsn, 6);
        append_reversal_as(f, words[i], spent.lsn, accounts, 3000, false);
        finds(f, "first difference at LSN 7: it reverses a transaction that is none");
    }
}

/* As no engine undoes a stage: what it moved stays where it is. */
static void undo_without_money(struct engine_fixture *f, uint32_t stage) {
    struct workflow *workflow = state_workflow(&f->engine->state, text_view("L1"));
    struct event event = {.kind = EVENT_STAGE_UNDONE};
    event.as.stage_undone.stage = stage;
    event.as.stage_undone.attempt = 1;
    struct record record = {.lsn = wal_next_lsn(f->engine->wal),
                            .time_ms = f->engine->state.store.clock_ms,
                            .command = COMMAND_REVIEW_APPROVE,
                            .subject = text_view("L1"),
                            .previous = workflow->history,
                            .events = &event,
                            .event_count = 1};
    must(f, engine_append_record(f->engine, &record, &f->err));
}

static void test_check_finds_money_of_a_stage_that_was_undone_without_it(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "L1", 1);
    must(f, pay(f, "L1", NULL, NULL));
    struct wf_result result;
    go_back(f, &result);
    must(f, pay(f, "L1", NULL, NULL)); /* 10 */
    checks(f);
    undo_without_money(f, 1); /* it moved nothing */
    checks(f);
    undo_without_money(f, 0);
    finds(f, "first difference at LSN 12: workflow L1: stage credit_check is undone, and what "
             "record 10 moved for it does not go back");
}

/* What is bound to the first stage of version 1 is bound to the second of version 2. */
static void test_check_follows_money_through_a_migration(void **state) {
    static const char *const texts[] = {
        "workflow: w\nversion: 1\nsteps:\n  placed: {provides: [goods]}\n"
        "  paid: {completes: payment}\n  sent: {completes: delivery}\nstages:\n"
        "  - {name: payment, needs: [goods], rollback: automatic}\n"
        "  - {name: delivery, needs: [payment], rollback: automatic}\n",
        "workflow: w\nversion: 2\nsteps:\n  placed: {provides: [goods]}\n"
        "  paid: {completes: payment}\n  asked: {provides: [more]}\n"
        "  answered: {completes: question}\n  sent: {completes: delivery}\nstages:\n"
        "  - {name: question, needs: [more], rollback: automatic}\n"
        "  - {name: payment, needs: [goods], rollback: automatic}\n"
        "  - {name: delivery, needs: [payment], rollback: automatic}\n"};
    struct engine_fixture *f = *state;
    const struct wf_command commands[] = {
        {.kind = WF_DEFINITION_ADD, .text = texts[0]},
        {.kind = WF_WORKFLOW_START, .id = "L1", .type = "w"},
        {.kind = WF_WORKFLOW_SUBMIT, .id = "L1", .step = "placed"},
        {.kind = WF_WORKFLOW_SUBMIT,
         .id = "L1",
         .step = "paid",
         .operations = disbursement,
         .operation_count = 2},
        {.kind = WF_DEFINITION_ADD, .text = texts[1]},
        {.kind = WF_WORKFLOW_MIGRATE, .id = "L1", .version = 2, .reason = "new", .actor = "ann"}};
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        must(f, wf_execute(f->engine, &commands[i], NULL, &f->err));
    undo_without_money(f, 0);
    checks(f);
    undo_without_money(f, 1);
    finds(f, "workflow L1: stage payment is undone, and what record 8 moved for it");
}

static void test_reversal_posts_the_opposite_once(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result spent, back, again;
    char words[80];
    open_account(f, "ACC002", "checking", NULL);
    must(f, spend(f, "30.00", &spent));
    fixture_holds(f, "ACC001", "70.00");
    must(f, reverse(f, spent.lsn, "k", &back));
    assert_string_equal(back.outcome, "reversed");
    assert_string_equal(back.balances[0].balance, "100.00");
    snprintf(words, sizeof words, "it was reversed already, in record %d", (int)back.lsn);
    for (int i = 0; i < 3; i++) {                    /* as it is, out of a snapshot, and replayed */
        must(f, reverse(f, spent.lsn, "k", &again)); /* its own key answers as the first time */
        assert_int_equal(again.lsn, back.lsn);
        assert_int_equal(reverse(f, spent.lsn, NULL, NULL), WF_REFUSED);
        says(f, words);
        fixture_holds(f, "ACC001", "100.00");
        fixture_reopen(f, i == 0);
    }
    struct wf_account *account = NULL;
    must(f, wf_account_get(f->engine, "ACC001", &account, &f->err));
    assert_string_equal(account->held, "0.00");
    wf_account_free(account);
    checks(f);
}

static void test_reversal_of_a_reversal_is_refused(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result spent, back;
    open_account(f, "ACC002", "checking", NULL);
    must(f, spend(f, "30.00", &spent));
    must(f, reverse(f, spent.lsn, NULL, &back));
    assert_int_equal(reverse(f, back.lsn, NULL, NULL), WF_REFUSED);
    says(f, "it is a reversal itself");
    fixture_holds(f, "ACC001", "100.00");
}

static void test_reversal_is_for_transactions_only(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result paid;
    fixture_loan(f, "L1", 1);
    must(f, pay(f, "L1", NULL, &paid));
    assert_int_equal(reverse(f, paid.lsn, NULL, NULL), WF_REFUSED);
    says(f, "it completed a stage of workflow L1");
    assert_int_equal(reverse(f, 3, NULL, NULL), WF_REFUSED);
    says(f, "it is no transaction, but account.open");
    assert_int_equal(reverse(f, 4711, NULL, NULL), WF_NOT_FOUND);
    assert_int_equal(reverse(f, 0, NULL, NULL), WF_USAGE);
    assert_int_equal(spend(f, "5000.00", NULL), WF_REFUSED);
    assert_int_equal(reverse(f, fixture_status(f).durable_lsn, NULL, NULL), WF_REFUSED);
    says(f, "it was refused, and moved nothing");
    fixture_holds(f, "ACC001", "880.00");
    checks(f);
}

static void test_reversal_that_cannot_be_changes_nothing(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result given;
    const struct wf_operation deposit = {
        .type = "deposit", .to = "ACC001", .amount = "50.00", .currency = "USD"};
    const struct wf_operation withdrawal = {
        .type = "withdrawal", .from = "ACC001", .amount = "120.00", .currency = "USD"};
    struct wf_command command = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = &deposit, .operation_count = 1};
    must(f, wf_execute(f->engine, &command, &given, &f->err));
    command.operations = &withdrawal;
    must(f, wf_execute(f->engine, &command, NULL, &f->err));
    assert_int_equal(reverse(f, given.lsn, NULL, NULL), WF_REFUSED);
    says(f, "cannot be reversed: sufficient_funds: account ACC001");
    fixture_holds(f, "ACC001", "30.00");
    command.operations = &deposit;
    must(f, wf_execute(f->engine, &command, NULL, &f->err));
    must(f, reverse(f, given.lsn, NULL, NULL));
    fixture_holds(f, "ACC001", "30.00");
    checks(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_money_result_names_outcome_and_balances),
        TEST(test_money_key_answers_as_the_first_time),
        TEST(test_money_plan_tells_what_would_go_back),
        TEST(test_money_is_shown_as_of_any_record),
        TEST(test_money_goes_back_after_a_restart),
        TEST(test_money_refusal_is_in_both_histories),
        TEST(test_money_is_in_the_history),
        TEST(test_reversal_key_answers_though_the_transaction_was_dropped),
        TEST(test_reversal_under_a_used_key_does_not_wait),
        TEST(test_check_compares_a_reversal_with_what_it_reverses),
        TEST(test_check_finds_a_reversal_of_what_is_no_record),
        TEST(test_check_finds_money_of_a_stage_that_was_undone_without_it),
        TEST(test_check_follows_money_through_a_migration),
        TEST(test_reversal_posts_the_opposite_once),
        TEST(test_reversal_of_a_reversal_is_refused),
        TEST(test_reversal_is_for_transactions_only),
        TEST(test_reversal_that_cannot_be_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
