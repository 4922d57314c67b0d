/* Going back: what rollbacks, time-outs, failures, reviews and cancellations come to. */
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const enum command_kind approve = COMMAND_REVIEW_APPROVE, reject = COMMAND_REVIEW_REJECT;

static int open_loans(void **state) {
    struct core_store *store = core_store_open(false);
    assert_int_equal(core_define(store, core_loan_yaml), WF_OK);
    *state = store;
    return 0;
}

static int close_loans(void **state) {
    core_store_close(*state);
    return 0;
}

static void submit(struct core_store *store, size_t first, size_t end) {
    for (size_t i = first; i < end; i++)
        assert_int_equal(core_submit(store, "L1", core_loan_steps[i][0], core_loan_steps[i][1]),
                         WF_OK);
}

/* A loan after so many of its five steps. */
static void loan(struct core_store *store, size_t steps) {
    assert_int_equal(core_start(store, "L1", "loan_application", NULL), WF_OK);
    submit(store, 0, steps);
}

static void says(const struct core_store *store, const char *words) {
    if (strstr(store->decision.message, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", store->decision.message, words);
}

static void stands(struct core_store *store, enum workflow_status status, const char *stages) {
    char text[512];
    assert_string_equal(core_stages(store, "L1", text), stages);
    assert_string_equal(workflow_status_name(core_workflow(store, "L1")->status),
                        workflow_status_name(status));
}

static const struct stage_state *stage(struct core_store *store, size_t index) {
    return &core_workflow(store, "L1")->stages[index];
}

static bool has_field(struct core_store *store, const char *name) {
    return workflow_field(core_workflow(store, "L1"), name, strlen(name)).data != NULL;
}

/* --- rollback --- */

static void test_rollback_over_automatic_stages_is_done_at_once(void **state) {
    struct core_store *store = *state;
    loan(store, 2);
    store->now_ms += 5000;
    core_fail(store, "L1", "income_verification", "no"); /* waits; a rollback takes it along */
    assert_int_equal(core_review(store, approve, "L1", "income_verification", "bob", "reviewer"),
                     WF_OK);
    assert_int_equal(core_rollback(store, "L1", "credit_check", "eve"), WF_OK);
    stands(store, WORKFLOW_AWAITING_REVIEW, "completed awaiting_review blocked blocked");
    assert_int_equal(core_review(store, approve, "L1", "income_verification", "bob", "reviewer"),
                     WF_OK);
    stands(store, WORKFLOW_RUNNING, "active rolled_back blocked blocked");
    assert_int_equal(stage(store, 0)->attempt, 2);
    assert_int_equal(stage(store, 0)->deadline_ms, store->now_ms + 30000);
}

static void test_rollback_undoes_the_latest_first_each_by_its_strategy(void **state) {
    struct core_store *store = *state;
    loan(store, 5);
    assert_int_equal(core_rollback(store, "L1", "credit_check", "eve"), WF_OK);
    stands(store, WORKFLOW_AWAITING_REVIEW, "completed completed completed awaiting_review");
    assert_int_equal(core_review(store, approve, "L1", "final_approval", "bob", "executive"),
                     WF_OK);
    stands(store, WORKFLOW_HELD, "completed completed awaiting_review rolled_back");
    assert_int_equal(core_review(store, approve, "L1", "collateral_assessment", "bob", "reviewer"),
                     WF_OK);
    stands(store, WORKFLOW_AWAITING_REVIEW, "completed awaiting_review rolled_back rolled_back");
    assert_int_equal(core_review(store, approve, "L1", "income_verification", "bob", "reviewer"),
                     WF_OK);
    stands(store, WORKFLOW_RUNNING, "active rolled_back rolled_back rolled_back");
    submit(store, 1, 5);
    stands(store, WORKFLOW_COMPLETED, "completed completed completed completed");
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(stage(store, i)->attempt, 2);
}

static void test_rollback_withdraws_steps_and_their_fields(void **state) {
    struct core_store *store = *state;
    loan(store, 3);
    core_rollback(store, "L1", "income_verification", "eve");
    core_review(store, approve, "L1", "collateral_assessment", "bob", "reviewer");
    assert_true(has_field(store, "salary")); /* not undone yet */
    core_review(store, approve, "L1", "income_verification", "bob", "reviewer");
    assert_false(has_field(store, "salary"));
    assert_true(has_field(store, "credit_score"));
    assert_true(has_field(store, "ssn"));
    assert_int_equal(core_workflow(store, "L1")->step_count, 2);
    submit(store, 2, 3);
    assert_true(has_field(store, "salary"));
}

static void test_rollback_to_what_was_never_reached_is_refused(void **state) {
    struct core_store *store = *state;
    loan(store, 2);
    assert_int_equal(core_rollback(store, "L1", "final_approval", "eve"), WF_REFUSED);
    says(store, "final_approval of workflow L1 is blocked: there is nothing to go back to");
    assert_int_equal(core_rollback(store, "L1", "nothing", "eve"), WF_NOT_FOUND);
    assert_int_equal(core_rollback(store, "L1", "credit_check", ""), WF_USAGE);
}

static void test_rollback_under_way_lets_nothing_be_submitted(void **state) {
    struct core_store *store = *state;
    loan(store, 2);
    core_rollback(store, "L1", "credit_check", "eve");
    assert_int_equal(core_submit(store, "L1", core_loan_steps[2][0], core_loan_steps[2][1]),
                     WF_REFUSED);
    says(store, "nothing can be submitted until that is decided");
    assert_int_equal(core_fail(store, "L1", "income_verification", "x"), WF_REFUSED);
    store->now_ms += 3600000;
    assert_int_equal(core_fire_due(store), 0); /* its timer stands still */
}

static void test_rollback_rejected_at_once_leaves_all_as_it_was(void **state) {
    struct core_store *store = *state;
    loan(store, 2);
    store->now_ms += 10000;
    core_rollback(store, "L1", "credit_check", "eve");
    assert_int_equal(stage(store, 1)->deadline_ms, 50000); /* what remains of 60 s */
    store->now_ms += 3600000;
    assert_int_equal(core_review(store, reject, "L1", "income_verification", "bob", "reviewer"),
                     WF_OK);
    stands(store, WORKFLOW_RUNNING, "completed active blocked blocked");
    assert_int_equal(stage(store, 1)->attempt, 1);
    assert_int_equal(stage(store, 1)->deadline_ms, store->now_ms + 50000);
    assert_true(has_field(store, "credit_score"));
}

static void test_rollback_rejected_on_the_way_resumes_from_there(void **state) {
    struct core_store *store = *state;
    loan(store, 4);
    core_rollback(store, "L1", "credit_check", "eve");
    core_review(store, approve, "L1", "final_approval", "bob", "executive");
    core_review(store, reject, "L1", "collateral_assessment", "bob", "reviewer");
    stands(store, WORKFLOW_RUNNING, "completed completed completed active");
    assert_int_equal(stage(store, 3)->attempt, 2);
}

static void test_rollback_of_a_completed_loan_rejected_is_completed(void **state) {
    struct core_store *store = *state;
    loan(store, 5);
    core_rollback(store, "L1", "credit_check", "eve");
    core_review(store, reject, "L1", "final_approval", "bob", "executive");
    stands(store, WORKFLOW_COMPLETED, "completed completed completed completed");
}

static void test_rollback_brings_a_failed_loan_back(void **state) {
    struct core_store *store = *state;
    loan(store, 1);
    for (int i = 0; i < 3; i++)
        core_fail(store, "L1", "credit_check", "score too low");
    stands(store, WORKFLOW_FAILED, "failed blocked blocked blocked");
    assert_int_equal(core_rollback(store, "L1", "credit_check", "eve"), WF_OK);
    stands(store, WORKFLOW_RUNNING, "active blocked blocked blocked");
    assert_int_equal(stage(store, 0)->attempt, 4);
    assert_null(core_workflow(store, "L1")->reason);
}

static void test_rollback_of_a_cancelled_loan_rejected_stays_cancelled(void **state) {
    struct core_store *store = *state;
    loan(store, 2);
    core_cancel(store, "L1", "withdrawn");
    assert_int_equal(core_rollback(store, "L1", "credit_check", "eve"), WF_OK);
    core_review(store, reject, "L1", "income_verification", "bob", "reviewer");
    stands(store, WORKFLOW_CANCELLED, "completed active blocked blocked");
    assert_string_equal(core_workflow(store, "L1")->reason, "withdrawn");
    core_rollback(store, "L1", "credit_check", "eve");
    core_review(store, approve, "L1", "income_verification", "bob", "reviewer");
    stands(store, WORKFLOW_RUNNING, "active rolled_back blocked blocked");
}

static void test_rollback_takes_the_place_of_one_under_way(void **state) {
    struct core_store *store = *state;
    loan(store, 4);
    core_rollback(store, "L1", "collateral_assessment", "eve");
    core_review(store, approve, "L1", "final_approval", "bob", "executive");
    stands(store, WORKFLOW_HELD, "completed completed awaiting_review rolled_back");
    assert_int_equal(core_rollback(store, "L1", "income_verification", "ann"), WF_OK);
    stands(store, WORKFLOW_HELD, "completed completed awaiting_review rolled_back");
    core_review(store, approve, "L1", "collateral_assessment", "bob", "reviewer");
    stands(store, WORKFLOW_AWAITING_REVIEW, "completed awaiting_review rolled_back rolled_back");
    core_review(store, approve, "L1", "income_verification", "bob", "reviewer");
    stands(store, WORKFLOW_RUNNING, "completed active rolled_back rolled_back");
}

static void test_rollback_undoes_what_one_record_activated_in_order(void **state) {
    struct core_store *store = *state;
    core_define(store, "workflow: w\nversion: 1\n"
                       "steps: {sa: {completes: a}, sb: {completes: b}, sc: {completes: c}}\n"
                       "stages: [{name: a}, {name: b, needs: [a]}, {name: c, needs: [a]}]\n");
    assert_int_equal(core_start(store, "L1", "w", NULL), WF_OK);
    core_submit(store, "L1", "sa", NULL);
    stands(store, WORKFLOW_RUNNING, "completed active active");
    assert_int_equal(core_rollback(store, "L1", "b", "eve"), WF_OK); /* c became active after b */
    const struct decision *decision = &store->decision;
    assert_int_equal(decision->events[1].kind, EVENT_STAGE_UNDONE);
    assert_int_equal(decision->events[1].as.stage_undone.stage, 2);
    assert_int_equal(decision->events[2].as.stage_undone.stage, 1);
    stands(store, WORKFLOW_RUNNING, "completed active active");
    assert_int_equal(core_rollback(store, "L1", "c", "eve"), WF_OK);
    assert_int_equal(stage(store, 1)->attempt, 2); /* b is not after c */
    assert_int_equal(stage(store, 2)->attempt, 3);
}

/* --- time-outs and failures --- */

static void test_time_out_of_an_automatic_stage_opens_it_again(void **state) {
    struct core_store *store = *state;
    loan(store, 1);
    for (uint32_t attempt = 2; attempt <= 3; attempt++) {
        store->now_ms += 30000;
        assert_int_equal(core_fire_due(store), 1);
        assert_int_equal(stage(store, 0)->attempt, attempt);
        assert_int_equal(stage(store, 0)->deadline_ms, store->now_ms + 30000);
    }
    store->now_ms += 29999;
    assert_int_equal(core_fire_due(store), 0);
    store->now_ms += 1;
    assert_int_equal(core_fire_due(store), 1);
    stands(store, WORKFLOW_FAILED, "timed_out blocked blocked blocked");
    assert_string_equal(core_workflow(store, "L1")->reason,
                        "stage credit_check timed out in attempt 3 of 3");
}

/* Whoever asks: the deadline is what decides. */
static void test_time_out_before_the_deadline_is_refused(void **state) {
    struct core_store *store = *state;
    loan(store, 1);
    store->now_ms += 29999;
    struct command command = {.kind = COMMAND_TIMER_FIRE, .now_ms = store->now_ms};
    command.subject = (struct bytes_view){(const uint8_t *)"L1", 2};
    assert_int_equal(core_store_execute(store, &command), WF_REFUSED);
    stands(store, WORKFLOW_RUNNING, "active blocked blocked blocked");
}

static void test_time_out_of_a_manual_stage_waits_for_a_reviewer(void **state) {
    struct core_store *store = *state;
    loan(store, 2);
    store->now_ms += 60000;
    assert_int_equal(core_fire_due(store), 1);
    stands(store, WORKFLOW_AWAITING_REVIEW, "completed awaiting_review blocked blocked");
    assert_int_equal(core_review(store, approve, "L1", "income_verification", "bob", "reviewer"),
                     WF_OK);
    stands(store, WORKFLOW_RUNNING, "completed active blocked blocked");
    assert_int_equal(stage(store, 1)->attempt, 2);
    assert_int_equal(stage(store, 1)->deadline_ms, store->now_ms + 60000);
}

static void test_time_out_rejected_fails_the_workflow(void **state) {
    struct core_store *store = *state;
    loan(store, 3);
    store->now_ms += 120000;
    core_fire_due(store);
    stands(store, WORKFLOW_HELD, "completed completed awaiting_review blocked");
    core_review(store, reject, "L1", "collateral_assessment", "bob", "reviewer");
    stands(store, WORKFLOW_FAILED, "completed completed timed_out blocked");
    assert_string_equal(
        core_workflow(store, "L1")->reason,
        "stage collateral_assessment timed out, and bob did not let it be opened again");
}

static void test_failure_keeps_its_reason_through_the_review(void **state) {
    struct core_store *store = *state;
    loan(store, 4);
    assert_int_equal(core_fail(store, "L1", "final_approval", "no budget"), WF_OK);
    stands(store, WORKFLOW_AWAITING_REVIEW, "completed completed completed awaiting_review");
    core_review(store, reject, "L1", "final_approval", "bob", "executive");
    assert_string_equal(core_workflow(store, "L1")->reason, "no budget");
    stands(store, WORKFLOW_FAILED, "completed completed completed failed");
}

static void test_failure_without_a_reason_is_not_called_a_time_out(void **state) {
    struct core_store *store = *state;
    loan(store, 4);
    assert_int_equal(core_fail(store, "L1", "final_approval", ""), WF_OK);
    core_review(store, reject, "L1", "final_approval", "bob", "executive");
    assert_string_equal(core_workflow(store, "L1")->reason,
                        "stage final_approval failed, and bob did not let it be opened again");
}

/* Two stages at once: one holds the workflow, and the other's time stands still. */
static void test_hold_keeps_the_remaining_time_of_the_others(void **state) {
    struct core_store *store = *state;
    core_define(store, "workflow: w\nversion: 1\n"
                       "steps: {sa: {completes: a}, sb: {completes: b}}\n"
                       "stages: [{name: a, timeout: 10s, rollback: hold_for_review},"
                       " {name: b, timeout: 25s, rollback: manual_review}]\n");
    core_start(store, "L1", "w", NULL);
    store->now_ms += 10000;
    assert_int_equal(core_fire_due(store), 1);
    stands(store, WORKFLOW_HELD, "awaiting_review held");
    assert_int_equal(stage(store, 1)->deadline_ms, 15000);
    assert_int_equal(core_submit(store, "L1", "sb", NULL), WF_REFUSED);
    store->now_ms += 86400000;
    assert_int_equal(core_fire_due(store), 0);
    assert_int_equal(core_review(store, approve, "L1", "a", "bob", "reviewer"), WF_OK);
    stands(store, WORKFLOW_RUNNING, "active active");
    assert_int_equal(stage(store, 1)->deadline_ms, store->now_ms + 15000);
    store->now_ms += 10000;
    assert_int_equal(core_fire_due(store), 1); /* a again, which stops b again */
    assert_int_equal(stage(store, 1)->deadline_ms, 5000);
}

static void test_manual_review_lets_the_others_go_on(void **state) {
    struct core_store *store = *state;
    core_define(store, "workflow: w\nversion: 1\n"
                       "steps: {sa: {completes: a}, sb: {completes: b}}\n"
                       "stages: [{name: a, timeout: 10s, rollback: manual_review}, {name: b}]\n");
    core_start(store, "L1", "w", NULL);
    store->now_ms += 10000;
    core_fire_due(store);
    stands(store, WORKFLOW_AWAITING_REVIEW, "awaiting_review active");
    assert_int_equal(core_submit(store, "L1", "sb", NULL), WF_OK);
    stands(store, WORKFLOW_AWAITING_REVIEW, "awaiting_review completed");
    assert_int_equal(core_submit(store, "L1", "sa", NULL), WF_REFUSED);
    core_review(store, approve, "L1", "a", "bob", "reviewer");
    assert_int_equal(core_submit(store, "L1", "sa", NULL), WF_OK);
    stands(store, WORKFLOW_COMPLETED, "completed completed");
}

/* --- reviews --- */

static void test_review_takes_the_right_role_and_records_the_wrong_one(void **state) {
    struct core_store *store = *state;
    loan(store, 2);
    core_rollback(store, "L1", "credit_check", "eve");
    uint64_t refusals = store->state.store.refusals;
    assert_int_equal(core_review(store, approve, "L1", "income_verification", "bob", "executive"),
                     WF_REFUSED);
    says(store, "bob may not decide on stage income_verification as executive: that takes the role "
                "reviewer");
    assert_int_equal(store->state.store.refusals, refusals + 1);
    stands(store, WORKFLOW_AWAITING_REVIEW, "completed awaiting_review blocked blocked");
}

static void test_review_twice_answers_as_the_first_time(void **state) {
    struct core_store *store = *state;
    loan(store, 2);
    core_rollback(store, "L1", "credit_check", "eve");
    core_review(store, approve, "L1", "income_verification", "bob", "reviewer");
    uint64_t first = store->lsn;
    assert_int_equal(core_review(store, approve, "L1", "income_verification", "bob", "reviewer"),
                     WF_OK);
    assert_true(store->decision.repeated);
    assert_int_equal(store->decision.first.lsn, first);
    assert_int_equal(store->lsn, first);
    assert_int_equal(core_review(store, reject, "L1", "income_verification", "bob", "reviewer"),
                     WF_REFUSED);
    says(store, "waits for no review: bob approved it in record");
    assert_int_equal(core_review(store, approve, "L1", "income_verification", "ann", "reviewer"),
                     WF_REFUSED);
}

static void test_review_of_what_waits_for_none_is_refused(void **state) {
    struct core_store *store = *state;
    loan(store, 2);
    assert_int_equal(core_review(store, approve, "L1", "credit_check", "bob", "reviewer"),
                     WF_REFUSED);
    says(store, "stage credit_check of workflow L1 waits for no review: it is completed");
    assert_int_equal(core_review(store, approve, "L1", "credit_check", "", "reviewer"), WF_USAGE);
    assert_int_equal(core_review(store, approve, "L1", "credit_check", "bob", ""), WF_USAGE);
}

static void test_review_with_four_eyes_takes_another_actor(void **state) {
    struct core_store *store = *state;
    core_define(store, "workflow: w\nversion: 1\nsteps: {sa: {completes: a}}\n"
                       "stages: [{name: a, rollback: manual_review, four_eyes: true}]\n");
    core_start(store, "L1", "w", NULL);
    core_rollback(store, "L1", "a", "bob");
    assert_int_equal(core_review(store, approve, "L1", "a", "bob", "reviewer"), WF_REFUSED);
    says(store, "bob asked for it, and may not decide on stage a too");
    assert_int_equal(core_review(store, approve, "L1", "a", "ann", "reviewer"), WF_OK);
    stands(store, WORKFLOW_RUNNING, "active");
}

/* --- cancellation --- */

static void test_cancel_with_rollback_undoes_all_and_ends(void **state) {
    struct core_store *store = *state;
    loan(store, 3);
    assert_int_equal(core_cancel_back(store, "L1", "withdrawn", "eve"), WF_OK);
    stands(store, WORKFLOW_HELD, "completed completed awaiting_review blocked");
    core_review(store, approve, "L1", "collateral_assessment", "bob", "reviewer");
    core_review(store, approve, "L1", "income_verification", "bob", "reviewer");
    stands(store, WORKFLOW_CANCELLED, "rolled_back rolled_back rolled_back blocked");
    assert_string_equal(core_workflow(store, "L1")->reason, "withdrawn");
    assert_int_equal(core_workflow(store, "L1")->step_count, 1);
}

static void test_cancel_during_a_rollback_keeps_what_is_undone(void **state) {
    struct core_store *store = *state;
    loan(store, 4);
    core_rollback(store, "L1", "credit_check", "eve");
    core_review(store, approve, "L1", "final_approval", "bob", "executive");
    assert_int_equal(core_cancel(store, "L1", "enough"), WF_OK);
    stands(store, WORKFLOW_CANCELLED, "completed completed completed rolled_back");
    assert_int_equal(core_review(store, approve, "L1", "collateral_assessment", "bob", "reviewer"),
                     WF_REFUSED);
}

/* All its stages are completed still, and it is not: check_state() holds after the command. */
static void test_cancel_before_the_first_stage_of_a_completed_loan_is_undone(void **state) {
    struct core_store *store = *state;
    loan(store, 5);
    core_rollback(store, "L1", "credit_check", "eve");
    assert_int_equal(core_cancel(store, "L1", "enough"), WF_OK);
    stands(store, WORKFLOW_CANCELLED, "completed completed completed completed");
    core_rollback(store, "L1", "final_approval", "eve");
    core_review(store, approve, "L1", "final_approval", "bob", "executive");
    stands(store, WORKFLOW_RUNNING, "completed completed completed active");
}

static void test_cancel_with_rollback_takes_over_a_rollback(void **state) {
    struct core_store *store = *state;
    loan(store, 3);
    core_rollback(store, "L1", "income_verification", "eve");
    core_cancel_back(store, "L1", "enough", "ann");
    core_review(store, approve, "L1", "collateral_assessment", "bob", "reviewer");
    core_review(store, approve, "L1", "income_verification", "bob", "reviewer");
    stands(store, WORKFLOW_CANCELLED, "rolled_back rolled_back rolled_back blocked");
}

/* --- attempts that are over --- */

static void test_late_completion_of_an_undone_attempt_is_refused(void **state) {
    struct core_store *store = *state;
    loan(store, 2);
    core_rollback(store, "L1", "credit_check", "eve");
    core_review(store, approve, "L1", "income_verification", "bob", "reviewer");
    struct field fields[2] = {{text_view("credit_score"), text_view("1")},
                              {text_view("history"), text_view("x")}};
    struct command late = {
        .kind = COMMAND_WORKFLOW_SUBMIT, .now_ms = store->now_ms, .subject = text_view("L1")};
    late.as.workflow_submit.step = text_view("credit_bureau_response");
    late.as.workflow_submit.fields = fields;
    late.as.workflow_submit.field_count = 2;
    late.as.workflow_submit.attempt = 1;
    assert_int_equal(core_store_execute(store, &late), WF_REFUSED);
    says(store, "attempt 1 of stage credit_check of workflow L1 is over (it is active, attempt 2)");
    assert_int_equal(store->decision.events[0].kind, EVENT_COMMAND_REFUSED);
    stands(store, WORKFLOW_RUNNING, "active rolled_back blocked blocked");
    late.as.workflow_submit.attempt = 2;
    assert_int_equal(core_store_execute(store, &late), WF_OK);
}

#define LOAN_TEST(name) cmocka_unit_test_setup_teardown(name, open_loans, close_loans)

int main(void) {
    const struct CMUnitTest tests[] = {
        LOAN_TEST(test_rollback_over_automatic_stages_is_done_at_once),
        LOAN_TEST(test_rollback_undoes_the_latest_first_each_by_its_strategy),
        LOAN_TEST(test_rollback_withdraws_steps_and_their_fields),
        LOAN_TEST(test_rollback_to_what_was_never_reached_is_refused),
        LOAN_TEST(test_rollback_under_way_lets_nothing_be_submitted),
        LOAN_TEST(test_rollback_rejected_at_once_leaves_all_as_it_was),
        LOAN_TEST(test_rollback_rejected_on_the_way_resumes_from_there),
        LOAN_TEST(test_rollback_of_a_completed_loan_rejected_is_completed),
        LOAN_TEST(test_rollback_brings_a_failed_loan_back),
        LOAN_TEST(test_rollback_of_a_cancelled_loan_rejected_stays_cancelled),
        LOAN_TEST(test_rollback_takes_the_place_of_one_under_way),
        LOAN_TEST(test_rollback_undoes_what_one_record_activated_in_order),
        LOAN_TEST(test_time_out_of_an_automatic_stage_opens_it_again),
        LOAN_TEST(test_time_out_before_the_deadline_is_refused),
        LOAN_TEST(test_time_out_of_a_manual_stage_waits_for_a_reviewer),
        LOAN_TEST(test_time_out_rejected_fails_the_workflow),
        LOAN_TEST(test_failure_keeps_its_reason_through_the_review),
        LOAN_TEST(test_failure_without_a_reason_is_not_called_a_time_out),
        LOAN_TEST(test_hold_keeps_the_remaining_time_of_the_others),
        LOAN_TEST(test_manual_review_lets_the_others_go_on),
        LOAN_TEST(test_review_takes_the_right_role_and_records_the_wrong_one),
        LOAN_TEST(test_review_twice_answers_as_the_first_time),
        LOAN_TEST(test_review_of_what_waits_for_none_is_refused),
        LOAN_TEST(test_review_with_four_eyes_takes_another_actor),
        LOAN_TEST(test_cancel_with_rollback_undoes_all_and_ends),
        LOAN_TEST(test_cancel_during_a_rollback_keeps_what_is_undone),
        LOAN_TEST(test_cancel_before_the_first_stage_of_a_completed_loan_is_undone),
        LOAN_TEST(test_cancel_with_rollback_takes_over_a_rollback),
        LOAN_TEST(test_late_completion_of_an_undone_attempt_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
