/* What a repair left without effect, as those meet it who come later: a key, a reversal, a
 * statement, a history. */
#include "engine/core/text.h"
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The bank, with the opening of B to be lost: what was paid to it rests on that. */
enum { LSN_OPEN_B = 5, LSN_PAY_B, LSN_PAY_C, LSN_REPAIR };

static enum wf_status open_account(struct engine_fixture *f, const char *number,
                                   const char *balance) {
    const struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                       .id = number,
                                       .type = "checking",
                                       .currency = "USD",
                                       .amount = balance};
    return wf_execute(f->engine, &command, NULL, &f->err);
}

static enum wf_status pay(struct engine_fixture *f, const char *to, const char *amount,
                          const char *key, struct wf_result *result) {
    const struct wf_operation transfer = {
        .type = "transfer", .from = "A", .to = to, .amount = amount, .currency = "USD"};
    const struct wf_command command = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = &transfer, .operation_count = 1, .key = key};
    return wf_execute(f->engine, &command, result, &f->err);
}

static void lose(struct engine_fixture *f, uint64_t lsn) {
    struct wf_log_report report = {0};
    fixture_close(f);
    must(f, wf_log_repair(f->dir, lsn, NULL, NULL, &report, &f->err));
    wf_log_report_deinit(&report);
    fixture_open(f);
}

static int setup(void **state) {
    static struct engine_fixture fixture;
    fixture_init_disk(&fixture);
    must(&fixture, open_account(&fixture, "A", "100.00"));
    must(&fixture, open_account(&fixture, "C", NULL));
    must(&fixture, open_account(&fixture, "B", "50.00"));
    must(&fixture, pay(&fixture, "B", "30.00", "to B", NULL));
    must(&fixture, pay(&fixture, "C", "10.00", "to C", NULL));
    lose(&fixture, LSN_OPEN_B);
    *state = &fixture;
    return 0;
}

static void holds(struct engine_fixture *f, const char *number, const char *balance) {
    struct wf_account *account = NULL;
    must(f, wf_account_get(f->engine, number, &account, &f->err));
    assert_string_equal(account->balance, balance);
    wf_account_free(account);
}

static void says(const struct engine_fixture *f, const char *words) {
    if (strstr(f->err.text, words) == NULL)
        fail_msg("\"%s\" is not in: %s", words, f->err.text);
}

/* The same again after each: as it was opened, from a snapshot, from the log alone. */
enum { OPENINGS = 3 };
static void open_again(struct engine_fixture *f, int opening) {
    if (opening == 1)
        fixture_reopen(f, true);
    if (opening == 2)
        fixture_reopen(f, false);
    fixture_verify(f);
}

/* --- keys --- */

static void test_key_of_a_record_without_effect_promises_nothing(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result result;
    for (int i = 0; i < OPENINGS; i++) {
        open_again(f, i);
        assert_int_equal(pay(f, "B", "30.00", "to B", &result), WF_REFUSED);
        says(f, "the key was used in record 6, which a repair left without effect");
        assert_true(result.replayed);
        assert_int_equal(result.lsn, LSN_PAY_B);
        assert_int_equal(result.balance_count, 0);
        holds(f, "A", "90.00");
        assert_int_equal(fixture_status(f).durable_lsn, LSN_REPAIR); /* and nothing was done */
    }
}

static void test_key_of_a_record_that_stands_answers_as_before(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result result;
    must(f, pay(f, "C", "10.00", "to C", &result));
    assert_true(result.replayed);
    assert_int_equal(result.lsn, LSN_PAY_C);
    must(f, open_account(f, "B", NULL));
    must(f, pay(f, "B", "30.00", "to B, anew", &result));
    assert_false(result.replayed);
    holds(f, "B", "30.00");
    fixture_verify(f);
}

/* A refusal promised nothing: it is told again, although its record rests on what was lost. */
static void test_key_of_a_refusal_without_effect_refuses_as_before(void **state) {
    struct engine_fixture *f = *state;
    must(f, open_account(f, "D", NULL));
    uint64_t opened = fixture_status(f).durable_lsn;
    assert_int_equal(pay(f, "D", "900.00", "too much", NULL), WF_REFUSED);
    char first[sizeof f->err.text];
    (void)snprintf(first, sizeof first, "%s", f->err.text);
    lose(f, opened);
    assert_int_equal(pay(f, "D", "900.00", "too much", NULL), WF_REFUSED);
    assert_string_equal(f->err.text, first);
}

/* A workflow whose definition was lost is gone: its key says so, and does not start another. */
static void test_key_of_a_workflow_that_is_gone(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result result;
    fixture_loan(f, "L1", 0); /* LSN 9 */
    must(f, fixture_submit(f, "L1", 0, "step", NULL));
    lose(f, LSN_REPAIR + 1);
    assert_int_equal(fixture_submit(f, "L1", 0, "step", &result), WF_REFUSED);
    says(f, "record 10, which a repair left without effect");
    assert_null(result.status);
}

/* --- the bank's own accounts --- */

/* The first opening in a currency opens OPENING/USD too: whoever comes later rests not on that. */
static void test_loss_of_the_first_opening_takes_no_other_account(void **unused) {
    (void)unused;
    struct engine_fixture f;
    fixture_init_disk(&f);
    must(&f, open_account(&f, "A", "100.00"));
    uint64_t first = fixture_status(&f).durable_lsn;
    must(&f, open_account(&f, "B", "50.00"));
    lose(&f, first);
    for (int i = 0; i < OPENINGS; i++) {
        open_again(&f, i);
        holds(&f, "B", "50.00");
        must(&f, wf_account_check(f.engine, NULL, &f.err));
    }
    must(&f, open_account(&f, "A", "7.00"));
    open_again(&f, 2);
    holds(&f, "A", "7.00");
    must(&f, wf_account_check(f.engine, NULL, &f.err));
    fixture_deinit(&f);
}

/* --- reversals --- */

static enum wf_status reverse(struct engine_fixture *f, uint64_t lsn) {
    const struct wf_command command = {
        .kind = WF_ACCOUNT_REVERSE, .lsn = lsn, .reason = "entered twice", .actor = "Eve"};
    return wf_execute(f->engine, &command, NULL, &f->err);
}

static void test_reversal_of_a_record_without_effect_is_refused(void **state) {
    struct engine_fixture *f = *state;
    for (int i = 0; i < OPENINGS; i++) {
        open_again(f, i);
        assert_int_equal(reverse(f, LSN_PAY_B), WF_REFUSED);
        says(f, "record 6 cannot be reversed: a repair left it without effect");
        if (i == 0) /* B is there again, and could give it back */
            must(f, open_account(f, "B", "50.00"));
        holds(f, "A", "90.00");
        holds(f, "B", "50.00");
    }
    must(f, reverse(f, LSN_PAY_C));
    holds(f, "A", "100.00");
    fixture_verify(f);
}

static enum wf_status step_with_money(struct engine_fixture *f) {
    static const struct wf_field fields[] = {{"credit_score", "750"}, {"history", "good"}};
    static const struct wf_operation payout = {
        .type = "transfer", .from = "A", .to = "B", .amount = "30.00", .currency = "USD"};
    const struct wf_command command = {.kind = WF_WORKFLOW_SUBMIT,
                                       .id = "L1",
                                       .step = "credit_bureau_response",
                                       .fields = fields,
                                       .field_count = 2,
                                       .operations = &payout,
                                       .operation_count = 1};
    return wf_execute(f->engine, &command, NULL, &f->err);
}

/* The stage is not completed, so nothing of it can go back: neither by its record nor with it. */
static void test_stage_without_effect_gives_no_money_back(void **state) {
    struct engine_fixture *f = *state;
    must(f, open_account(f, "B", "50.00")); /* LSN 9 */
    fixture_loan(f, "L1", 1);
    must(f, step_with_money(f)); /* 12 */
    holds(f, "B", "80.00");
    lose(f, 9);
    must(f, open_account(f, "B", "50.00"));
    assert_int_equal(reverse(f, 12), WF_REFUSED);
    says(f, "a repair left it without effect");
    const struct wf_command cancel = {.kind = WF_WORKFLOW_CANCEL,
                                      .id = "L1",
                                      .reason = "wrong file",
                                      .rollback = true,
                                      .actor = "ann"};
    must(f, wf_execute(f->engine, &cancel, NULL, &f->err));
    holds(f, "A", "90.00");
    holds(f, "B", "50.00");
    fixture_verify(f);
}

/* --- the past --- */

struct story {
    char text[2048];
};

static void add(struct story *story, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct story *story, const char *format, ...) {
    size_t used = strlen(story->text);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(story->text + used, sizeof story->text - used, format, arguments);
    va_end(arguments);
}

static bool add_line(void *story, const struct wf_statement_line *line) {
    add(story, "%d:%s=%s%s ", (int)line->lsn, line->amount, line->balance,
        line->without_effect ? "(without effect)" : "");
    return true;
}

static bool add_event(void *story, const struct wf_event *event) {
    add(story, "%d:%s%s ", (int)event->lsn, event->event,
        event->without_effect ? "(without effect)" : "");
    return true;
}

static void test_statement_does_not_count_what_is_without_effect(void **state) {
    struct engine_fixture *f = *state;
    must(f, pay(f, "C", "5.00", NULL, NULL)); /* behind the repair: it counts from what is there */
    for (int i = 0; i < OPENINGS; i++) {
        open_again(f, i);
        struct story story = {""};
        char balance[32];
        must(f,
             wf_account_statement(f->engine, "A", UINT64_MAX, add_line, &story, balance, &f->err));
        assert_string_equal(story.text, "3:100.00=100.00 6:-30.00=100.00(without effect) "
                                        "7:-10.00=90.00 9:-5.00=85.00 ");
        assert_string_equal(balance, "85.00");
        holds(f, "A", "85.00");
        story = (struct story){""};
        must(f, wf_account_history(f->engine, "A", add_event, &story, &f->err));
        assert_non_null(strstr(story.text, " 6:operation_posted(without effect) "
                                           "7:operation_posted 9:operation_posted "));
    }
}

/* A statement is still held against what its records say that they came to. */
static void test_statement_behind_a_repair_notices_another_balance(void **state) {
    struct engine_fixture *f = *state;
    must(f, open_account(f, "D", NULL));
    must(f, pay(f, "D", "5.00", NULL, NULL)); /* LSN 10 */
    must(f, pay(f, "D", "1.00", NULL, NULL));
    struct account *account = NULL;
    must(f, engine_find_account(f->engine, text_view("D"), &account, &f->err));
    account->balance -= 50; /* a bug: the next record starts from another balance */
    must(f, pay(f, "D", "1.00", NULL, NULL));
    assert_int_equal(wf_account_statement(f->engine, "D", UINT64_MAX, NULL, NULL, NULL, &f->err),
                     WF_DAMAGE);
    says(f, "LSN 12: the postings come to another balance than it says");
    account->balance += 50;
}

/* The workflow is whole; one record of it is not in force, for an account of it was lost. */
static void test_history_and_the_past_of_a_workflow_know_what_is_without_effect(void **state) {
    struct engine_fixture *f = *state;
    must(f, open_account(f, "B", "50.00")); /* LSN 9 */
    fixture_loan(f, "L1", 1);
    must(f, step_with_money(f)); /* 12 */
    lose(f, 9);
    for (int i = 0; i < OPENINGS; i++) {
        open_again(f, i);
        struct story story = {""};
        must(f, wf_workflow_history(f->engine, "L1", add_event, &story, &f->err));
        assert_string_equal(story.text,
                            "10:workflow_started 11:step_submitted 11:stage_activated "
                            "12:step_submitted(without effect) 12:operation_posted(without effect) "
                            "12:stage_completed(without effect) 12:money_bound(without effect) "
                            "12:stage_activated(without effect) ");
        story = (struct story){""};
        must(f, wf_replay(f->engine, 11, 12, NULL, add_event, &story, &f->err));
        assert_non_null(strstr(story.text, "11:stage_activated 12:step_submitted(without effect)"));
        char now[512], then[512];
        fixture_describe(f, "L1", UINT64_MAX, now);
        fixture_describe(f, "L1", 12, then);
        assert_string_equal(then, now);
        assert_non_null(strstr(now, "running credit_check"));
    }
}

/* --- the check of all accounts --- */

static bool add_note(void *story, const struct wf_account_note *note) {
    add(story, "%d %s: %s\n", (int)note->lsn, note->accounts, note->text);
    return true;
}

static void test_check_of_a_repaired_store_adds_up_what_is_left(void **state) {
    struct engine_fixture *f = *state;
    struct wf_account_report report;
    must(f, pay(f, "C", "5.00", NULL, NULL));
    for (int i = 0; i < OPENINGS; i++) {
        open_again(f, i);
        must(f, wf_account_check(f->engine, &report, &f->err));
        assert_int_equal(report.lost, 1);
        assert_int_equal(report.without_effect, 1);
        assert_int_equal(report.notes, 0);
    }
    struct account *account = NULL;
    must(f, engine_find_account(f->engine, text_view("A"), &account, &f->err));
    account->balance--;
    assert_int_equal(wf_account_check(f->engine, NULL, &f->err), WF_DIVERGENCE);
    says(f, "account A: the postings up to LSN 9 come to 85.00 USD, and 84.99 is kept");
    account->balance++;
}

/* Records behind the one of the repair are held against what they say again. */
static void test_check_trusts_no_balance_behind_the_repair(void **state) {
    struct engine_fixture *f = *state;
    struct account *account = NULL;
    must(f, engine_find_account(f->engine, text_view("A"), &account, &f->err));
    account->balance--;
    must(f, pay(f, "C", "5.00", NULL, NULL));
    account->balance++;
    assert_int_equal(wf_account_check(f->engine, NULL, &f->err), WF_DIVERGENCE);
    says(f, "first difference at LSN 9: account A: the postings come to 85.00 USD, the record");
}

/* The transaction is lost, its reversal stands: it takes back what is not in force. */
static void test_check_names_a_reversal_of_what_was_lost(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result paid;
    struct story story = {""};
    must(f, pay(f, "C", "60.00", NULL, &paid)); /* LSN 9 */
    must(f, reverse(f, paid.lsn));
    must(f, wf_account_check_notes(f->engine, add_note, &story, NULL, &f->err));
    assert_string_equal(story.text, "");
    lose(f, paid.lsn);
    holds(f, "A", "150.00");
    holds(f, "C", "-50.00");
    for (int i = 0; i < OPENINGS; i++) {
        open_again(f, i);
        story = (struct story){""};
        must(f, wf_account_check_notes(f->engine, add_note, &story, NULL, &f->err));
        assert_string_equal(story.text,
                            "10 A,C: record 10 reverses record 9, which was lost in a repair: it "
                            "takes back what is not in force, from and to A,C\n"
                            "10 C: account C, at -50.00 USD: its balance is below its minimum\n");
    }
}

/* What it reverses is there, and without effect: the hold that it posts was lost. */
static void test_check_names_a_reversal_of_what_is_without_effect(void **state) {
    struct engine_fixture *f = *state;
    struct story story = {""};
    const struct wf_operation hold = {
        .type = "hold", .from = "A", .to = "C", .amount = "20.00", .currency = "USD", .hold = "h"};
    const struct wf_operation post = {.type = "post", .from = "A", .hold = "h"};
    const struct wf_command commands[] = {
        {.kind = WF_ACCOUNT_TRANSACT, .operations = &hold, .operation_count = 1},
        {.kind = WF_ACCOUNT_TRANSACT, .operations = &post, .operation_count = 1}};
    for (size_t i = 0; i < 2; i++)
        must(f, wf_execute(f->engine, &commands[i], NULL, &f->err)); /* LSN 9, 10 */
    must(f, reverse(f, 10));
    lose(f, 9);
    must(f, wf_account_check_notes(f->engine, add_note, &story, NULL, &f->err));
    assert_non_null(
        strstr(story.text, "record 11 reverses record 10, which a repair left without"));
    fixture_verify(f);
}

/* Likewise the money of a stage, which went back when the stage was undone. */
static void test_check_names_a_stage_that_gave_back_what_was_lost(void **state) {
    struct engine_fixture *f = *state;
    struct story story = {""};
    const struct wf_command back[] = {{.kind = WF_WORKFLOW_ROLLBACK,
                                       .id = "L1",
                                       .stage = "credit_check",
                                       .reason = "wrong file",
                                       .actor = "ann"},
                                      {.kind = WF_REVIEW_APPROVE,
                                       .id = "L1",
                                       .stage = "income_verification",
                                       .role = "reviewer",
                                       .actor = "rita"}};
    must(f, open_account(f, "B", NULL));
    fixture_loan(f, "L1", 1);
    must(f, step_with_money(f)); /* LSN 12 */
    for (size_t i = 0; i < 2; i++)
        must(f, wf_execute(f->engine, &back[i], NULL, &f->err));
    must(f, wf_account_check_notes(f->engine, add_note, &story, NULL, &f->err));
    assert_string_equal(story.text, "");
    lose(f, 12);
    must(f, wf_account_check_notes(f->engine, add_note, &story, NULL, &f->err));
    assert_non_null(strstr(story.text, "14 A,B: record 14 reverses record 12, which was lost"));
    assert_non_null(strstr(story.text, "account B, at -30.00 USD: its balance is below"));
    fixture_verify(f);
}

/* --- the archive --- */

/* A segment and a half. */
static void fill(struct engine_fixture *f, const char *prefix) {
    static char text[4000];
    memset(text, 'x', sizeof text - 1);
    const struct wf_field note = {.name = "note", .value = text};
    for (int i = 0; i < 24; i++) {
        char id[40];
        (void)snprintf(id, sizeof id, "%s-%d", prefix, i);
        const struct wf_command start = {.kind = WF_WORKFLOW_START,
                                         .id = id,
                                         .type = "loan_application",
                                         .fields = &note,
                                         .field_count = 1};
        must(f, wf_execute(f->engine, &start, NULL, &f->err));
    }
}

static void archive_and_drop_the_first(struct engine_fixture *f) {
    struct wf_archive_options options;
    struct archive_entry first;
    struct wf_archive_report report;
    struct wf_archive_dropped dropped;
    wf_archive_options_init(&options);
    options.snapshot = true;
    options.threads = 1;
    must(f, wf_archive_run(f->engine, &options, &report, &f->err));
    assert_true(archive_at(f->engine->archive, 0, &first));
    const struct wf_archive_drop drop = {
        .before_lsn = first.last_lsn + 1, .actor = "ann", .reason = "ten years are over"};
    must(f, wf_archive_drop(f->engine, &drop, &dropped, &f->err));
    assert_int_equal(dropped.last_lsn, first.last_lsn);
}

/* The lost record is in what is dropped; what was written on balances that still had it is not. */
static void test_drop_between_a_loss_and_its_repair(void **state) {
    struct engine_fixture *f = *state;
    struct wf_account_report report;
    must(f, open_account(f, "D", NULL)); /* LSN 9 */
    must(f, pay(f, "D", "20.00", "to D", NULL));
    fill(f, "before");
    must(f, pay(f, "C", "5.00", NULL, NULL));
    lose(f, 9);
    holds(f, "A", "85.00");
    fill(f, "behind");
    must(f, pay(f, "C", "1.00", NULL, NULL));
    archive_and_drop_the_first(f);
    for (int i = 0; i < OPENINGS; i++) {
        open_again(f, i);
        must(f, wf_account_check(f->engine, &report, &f->err));
        assert_int_equal(report.lost, 0);
        assert_int_equal(pay(f, "D", "20.00", "to D", NULL), WF_REFUSED);
    }
    char state_dir[FIXTURE_PATH_MAX + 40], aside[FIXTURE_PATH_MAX + 40];
    (void)snprintf(state_dir, sizeof state_dir, "%s/state", f->dir);
    (void)snprintf(aside, sizeof aside, "%s/aside", f->root);
    fixture_close(f);
    assert_int_equal(rename(state_dir, aside), 0);
    fixture_open(f); /* from what stands for the dropped records */
    holds(f, "A", "84.00");
    fixture_verify(f);
    struct account *account = NULL;
    must(f, engine_find_account(f->engine, text_view("A"), &account, &f->err));
    account->balance--;
    must(f, pay(f, "C", "1.00", NULL, NULL));
    account->balance++;
    assert_int_equal(wf_account_check(f->engine, NULL, &f->err), WF_DIVERGENCE);
    says(f, "account A: the postings come to 83.00 USD, the record says 82.99");
}

/* --- the snapshot --- */

/* Write the snapshot as a program did that did not say what repairs left without effect. */
static void age_snapshot(struct engine_fixture *f) {
    static const uint8_t key[] = {ENTITY_INEFFECTIVE, 0, 0, 0, 0, 0, 0, 0, LSN_PAY_B};
    const struct snapshot_change gone = {.key = {key, sizeof key}, .value = {NULL, 0}};
    struct snapshot *snapshot = f->engine->snapshot;
    struct snapshot_meta meta;
    struct bytes_view value;
    must(f, wf_snapshot(f->engine, &f->err));
    must(f, snapshot->ops->get(snapshot, gone.key, &value, &f->err));
    assert_true(snapshot->ops->meta(snapshot, &meta));
    meta.bytes[0] = CHECKPOINT_META_WITHOUT_INEFFECTIVE;
    must(f, snapshot->ops->commit(snapshot, &gone, 1, &meta, &f->err));
    must(f, snapshot->ops->refresh(snapshot, &f->err));
}

static void test_older_snapshot_behind_a_repair_is_rebuilt_from_the_log(void **state) {
    struct engine_fixture *f = *state;
    age_snapshot(f);
    fixture_reopen(f, false);
    assert_non_null(strstr(fixture_status(f).notes, "what repairs left without effect"));
    assert_int_equal(pay(f, "B", "30.00", "to B", NULL), WF_REFUSED);
    fixture_verify(f);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_key_of_a_record_without_effect_promises_nothing),
        TEST(test_key_of_a_record_that_stands_answers_as_before),
        TEST(test_key_of_a_refusal_without_effect_refuses_as_before),
        TEST(test_key_of_a_workflow_that_is_gone),
        cmocka_unit_test(test_loss_of_the_first_opening_takes_no_other_account),
        TEST(test_reversal_of_a_record_without_effect_is_refused),
        TEST(test_stage_without_effect_gives_no_money_back),
        TEST(test_statement_does_not_count_what_is_without_effect),
        TEST(test_statement_behind_a_repair_notices_another_balance),
        TEST(test_history_and_the_past_of_a_workflow_know_what_is_without_effect),
        TEST(test_check_of_a_repaired_store_adds_up_what_is_left),
        TEST(test_check_trusts_no_balance_behind_the_repair),
        TEST(test_check_names_a_reversal_of_what_was_lost),
        TEST(test_check_names_a_reversal_of_what_is_without_effect),
        TEST(test_check_names_a_stage_that_gave_back_what_was_lost),
        TEST(test_drop_between_a_loss_and_its_repair),
        TEST(test_older_snapshot_behind_a_repair_is_rebuilt_from_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
