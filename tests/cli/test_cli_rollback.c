/* Going back and the people who must agree, through wfctl and its stream: workflow rollback, cancel
 * --rollback, fail; review list, approve, reject. */
#include "tests/cli/cli_run.h"

#include <stdio.h>
#include <string.h>

/* L1 has completed two stages; the third is under way. Records up to 6. */
static void three_stages(struct fixture *fixture) {
    fixture_init(fixture);
    ASK(fixture, 0, "workflow", "start", "loan_application", "--id", "L1");
    ASK(fixture, 0, "workflow", "submit", "L1", "applicant_submission", "personal_info=Ada",
        "ssn=1", "employment=baker");
    ASK(fixture, 0, "workflow", "submit", "L1", "credit_bureau_response", "credit_score=750",
        "history=good");
    ASK(fixture, 0, "workflow", "submit", "L1", "employer_verification", "salary=1", "tenure=2");
}

#define ROLLBACK(fixture, code, to, ...)                                                           \
    ASK(fixture, code, "workflow", "rollback", "L1", "--to", to, "--reason", "wrong file",         \
        "--actor", "eve", __VA_ARGS__)
#define DECIDE(fixture, code, verdict, stage, role, ...)                                           \
    ASK(fixture, code, "review", verdict, "L1", stage, "--actor", "bob", "--role", role,           \
        __VA_ARGS__)

static void test_rollback_dry_run_tells_the_plan_and_writes_nothing(void **state) {
    struct fixture *fixture = *state;
    three_stages(fixture);
    json_t *plan = ROLLBACK(fixture, 0, "credit_check", "--dry-run");
    assert_int_equal(json_array_size(at(plan, "plan")), 3);
    assert_string_equal(text_at(plan, "plan.0.stage"), "collateral_assessment");
    assert_string_equal(text_at(plan, "plan.0.role"), "reviewer");
    assert_string_equal(text_at(plan, "plan.1.strategy"), "manual_review");
    assert_string_equal(text_at(plan, "plan.2.stage"), "credit_check");
    assert_true(null_at(plan, "plan.2.role"));
    assert_contains(SAY(fixture, 0, "workflow", "rollback", "L1", "--to", "credit_check",
                        "--reason", "r", "--actor", "eve", "--dry-run"),
                    "nothing is written");
    assert_int_equal(number_at(ASK(fixture, 0, "status"), "durable_lsn"), 6);
    plan = ASK(fixture, 0, "workflow", "cancel", "L1", "--reason", "r", "--rollback", "--dry-run");
    assert_int_equal(json_array_size(at(plan, "plan")), 3);
    assert_code(ASK(fixture, 2, "workflow", "cancel", "L1", "--reason", "r", "--dry-run"), "usage");
}

static void test_rollback_dry_run_works_beside_an_owner(void **state) {
    struct fixture *fixture = *state;
    three_stages(fixture);
    struct stream owner;
    stream_open(fixture, &owner, (const char *const[]){"exec", NULL});
    stream_send(&owner, "{\"cmd\":\"clock.show\"}\n");
    assert_true(true_at(stream_answer(fixture, &owner), "ok"));
    json_t *plan = ROLLBACK(fixture, 0, "credit_check", "--dry-run");
    assert_int_equal(json_array_size(at(plan, "plan")), 3);
    ASK(fixture, 0, "workflow", "cancel", "L1", "--reason", "r", "--rollback", "--dry-run");
    assert_code(ROLLBACK(fixture, 6, "credit_check", NULL), "locked");
    assert_int_equal(stream_close(&owner), 0);
}

static void test_rollback_waits_for_each_reviewer_and_goes_forward_again(void **state) {
    struct fixture *fixture = *state;
    three_stages(fixture);
    json_t *answer = ROLLBACK(fixture, 0, "credit_check", "--key", "k");
    assert_string_equal(text_at(answer, "result.outcome"), "awaiting_review");
    assert_string_equal(text_at(answer, "result.waits.stage"), "collateral_assessment");
    assert_true(true_at(ROLLBACK(fixture, 0, "credit_check", "--key", "k"), "replayed"));
    json_t *reviews = ASK(fixture, 0, "review", "list");
    assert_int_equal(json_array_size(at(reviews, "reviews")), 1);
    assert_string_equal(text_at(reviews, "reviews.0.actor"), "eve");
    assert_string_equal(text_at(reviews, "reviews.0.to"), "credit_check");
    assert_contains(SAY(fixture, 0, "review", "list"), "wrong file");
    assert_code(ASK(fixture, 1, "workflow", "submit", "L1", "property_appraisal", "value=1",
                    "condition=good"),
                "refused"); /* it is on hold */
    answer = DECIDE(fixture, 0, "approve", "collateral_assessment", "reviewer", NULL);
    assert_string_equal(text_at(answer, "result.waits.stage"), "income_verification");
    answer = DECIDE(fixture, 0, "approve", "income_verification", "reviewer", NULL);
    assert_string_equal(text_at(answer, "result.stage"), "credit_check");
    assert_string_equal(text_at(answer, "result.status"), "running");
    assert_int_equal(json_array_size(at(ASK(fixture, 0, "review", "list"), "reviews")), 0);
    json_t *show = ASK(fixture, 0, "workflow", "show", "L1");
    assert_string_equal(text_at(show, "stages.0.status"), "active");
    assert_int_equal(number_at(show, "stages.0.attempt"), 2);
    assert_int_equal(json_array_size(at(show, "steps")), 1);
    ASK(fixture, 0, "workflow", "submit", "L1", "credit_bureau_response", "credit_score=800",
        "history=good");
    assert_string_equal(text_at(ASK(fixture, 0, "workflow", "show", "L1"), "stage"),
                        "income_verification");
    const char *timeline = SAY(fixture, 0, "workflow", "history", "L1");
    assert_contains(timeline, "rollback to credit_check requested: wrong file");
    assert_contains(timeline, "by bob");
}

static void test_rollback_that_is_rejected_stops_where_it_is(void **state) {
    struct fixture *fixture = *state;
    three_stages(fixture);
    ROLLBACK(fixture, 0, "credit_check", NULL);
    json_t *answer = DECIDE(fixture, 0, "reject", "collateral_assessment", "reviewer", "--reason",
                            "it was right");
    assert_string_equal(text_at(answer, "result.stage"), "collateral_assessment");
    assert_string_equal(text_at(answer, "result.status"), "running");
    json_t *again = DECIDE(fixture, 0, "reject", "collateral_assessment", "reviewer", "--reason",
                           "it was right");
    assert_true(number_at(again, "lsn") >= number_at(answer, "lsn"));
    ASK(fixture, 0, "workflow", "submit", "L1", "property_appraisal", "value=1", "condition=good");
    assert_contains(SAY(fixture, 0, "workflow", "history", "L1"), "it was right");
}

static void test_review_wants_the_role_and_audits_who_has_it_not(void **state) {
    struct fixture *fixture = *state;
    three_stages(fixture);
    ROLLBACK(fixture, 0, "credit_check", NULL);
    assert_code(DECIDE(fixture, 1, "approve", "collateral_assessment", "clerk", NULL), "refused");
    json_t *events = at(ASK(fixture, 0, "audit", "show", "--actor", "bob"), "events");
    assert_string_equal(text_at(events, "0.event"), "command_refused");
    assert_code(DECIDE(fixture, 1, "approve", "income_verification", "reviewer", NULL), "refused");
    assert_code(ASK(fixture, 2, "review", "approve", "L1", "credit_check", "--role", "reviewer"),
                "usage");
    assert_code(
        DECIDE(fixture, 2, "approve", "collateral_assessment", "reviewer", "--attempt", "0"),
        "usage");
}

static void test_rollback_refuses_what_cannot_be(void **state) {
    struct fixture *fixture = *state;
    three_stages(fixture);
    assert_code(ROLLBACK(fixture, 3, "nowhere", NULL), "not_found");
    assert_code(ROLLBACK(fixture, 1, "final_approval", NULL), "refused");
    assert_code(ASK(fixture, 3, "workflow", "rollback", "nobody", "--to", "credit_check",
                    "--reason", "r", "--actor", "eve"),
                "not_found");
    assert_code(
        ASK(fixture, 2, "workflow", "rollback", "L1", "--to", "credit_check", "--reason", "r"),
        "usage");
    assert_int_equal(json_array_size(at(ASK(fixture, 0, "review", "list"), "reviews")), 0);
}

static void test_fail_follows_the_strategy_of_its_stage(void **state) {
    struct fixture *fixture = *state;
    three_stages(fixture);
    json_t *answer = ASK(fixture, 0, "workflow", "fail", "L1", "collateral_assessment", "--reason",
                         "the house is gone");
    assert_string_equal(text_at(answer, "result.status"), "held");
    assert_string_equal(text_at(answer, "result.waits.stage"), "collateral_assessment");
    answer = DECIDE(fixture, 0, "approve", "collateral_assessment", "reviewer", NULL);
    assert_string_equal(text_at(answer, "result.status"), "running");
    assert_int_equal(number_at(ASK(fixture, 0, "workflow", "show", "L1"), "stages.2.attempt"), 2);
}

/* The same through the stream. */
#define LINE(command, members) "{\"cmd\":\"" command "\",\"id\":\"L1\"," members "}\n"
#define BACK "\"to\":\"credit_check\",\"reason\":\"wrong\",\"actor\":\"eve\""
#define AGREE(stage) "\"stage\":\"" stage "\",\"actor\":\"bob\",\"role\":\"reviewer\""

static void test_exec_goes_back_and_decides(void **state) {
    struct fixture *fixture = *state;
    three_stages(fixture);
    json_t *answers = exec_lines(
        fixture, 0,
        LINE("workflow.rollback", BACK ",\"dry_run\":true") LINE("workflow.rollback",
                                                                 BACK ",\"key\":\"k\"")
            LINE("workflow.rollback", BACK ",\"key\":\"k\"") "{\"cmd\":\"review.list\"}\n" LINE(
                "review.approve",
                "\"stage\":\"collateral_assessment\",\"actor\":\"bob\","
                "\"role\":\"clerk\"") LINE("review.approve", AGREE("collateral_assessment"))
                LINE("review.reject", AGREE("income_verification") ",\"reason\":\"no\"")
                    LINE("workflow.show", "\"tag\":1")
                        LINE("workflow.cancel", "\"reason\":\"r\",\"rollback\":true")
                            LINE("workflow.rollback", "\"to\":\"credit_check\",\"reason\":\"r\""));
    assert_int_equal(json_array_size(at(answers, "0.result.plan")), 3);
    assert_string_equal(text_at(answers, "1.result.outcome"), "awaiting_review");
    assert_true(true_at(answers, "2.replayed"));
    assert_int_equal(number_at(answers, "2.lsn"), number_at(answers, "1.lsn"));
    assert_string_equal(text_at(answers, "3.result.reviews.0.stage"), "collateral_assessment");
    assert_string_equal(text_at(answers, "4.error.code"), "refused");
    assert_string_equal(text_at(answers, "5.result.waits.stage"), "income_verification");
    assert_true(true_at(answers, "6.ok"));
    assert_string_equal(text_at(answers, "7.result.status"), "running");
    assert_string_equal(text_at(answers, "7.result.stages.1.status"), "completed");
    assert_true(true_at(answers, "8.ok"));
    assert_string_equal(text_at(answers, "9.error.code"), "usage"); /* by whom? */
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_rollback_dry_run_tells_the_plan_and_writes_nothing),
        TEST(test_rollback_dry_run_works_beside_an_owner),
        TEST(test_rollback_waits_for_each_reviewer_and_goes_forward_again),
        TEST(test_rollback_that_is_rejected_stops_where_it_is),
        TEST(test_review_wants_the_role_and_audits_who_has_it_not),
        TEST(test_rollback_refuses_what_cannot_be),
        TEST(test_fail_follows_the_strategy_of_its_stage),
        TEST(test_exec_goes_back_and_decides),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
