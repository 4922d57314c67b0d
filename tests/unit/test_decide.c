/* decide(): what each command comes to, and the sentences of its refusals. */
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

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

static enum wf_status submit_loan_step(struct core_store *store, const char *id, size_t step) {
    return core_submit(store, id, core_loan_steps[step][0], core_loan_steps[step][1]);
}

static void says(const struct core_store *store, const char *words) {
    if (strstr(store->decision.message, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", store->decision.message, words);
}

static void is_recorded(const struct core_store *store, bool recorded) {
    assert_int_equal(store->decision.event_count, recorded ? 1 : 0);
    if (!recorded)
        return;
    const struct event *event = &store->decision.events[0];
    assert_int_equal(event->kind, EVENT_COMMAND_REFUSED);
    assert_int_equal(event->as.command_refused.message.size, strlen(store->decision.message));
}

static void test_decide_start_refuses_an_id_in_use(void **state) {
    struct core_store *store = *state;
    assert_int_equal(core_start(store, "L1", "loan_application", NULL), WF_OK);
    assert_int_equal(core_start(store, "L1", "loan_application", NULL), WF_REFUSED);
    says(store, "workflow L1 exists already: loan_application version 1, running");
    is_recorded(store, true);
    assert_int_equal(store->state.store.refusals, 1);
}

static void test_decide_start_wants_a_known_type_and_version(void **state) {
    struct core_store *store = *state;
    assert_int_equal(core_start(store, "L1", "mortgage", NULL), WF_NOT_FOUND);
    says(store, "no workflow type \"mortgage\"");
    is_recorded(store, false);
    struct command command = {.kind = COMMAND_WORKFLOW_START, .subject = text_view("L1")};
    command.as.workflow_start.type = text_view("loan_application");
    command.as.workflow_start.version = 7;
    assert_int_equal(core_store_execute(store, &command), WF_NOT_FOUND);
    says(store, "no version 7; its newest version is 1");
}

static void test_decide_start_activates_stages_without_needs(void **state) {
    struct core_store *store = *state;
    char stages[512];
    assert_int_equal(
        core_define(store,
                    "workflow: w\nversion: 1\nsteps: {s: {completes: a}}\n"
                    "stages: [{name: a, timeout: 5s}, {name: b, needs: [a], handler: callback},"
                    " {name: c, handler: callback}]\n"),
        WF_OK);
    assert_int_equal(core_start(store, "W", "w", NULL), WF_OK);
    assert_int_equal(store->decision.event_count, 4); /* with the handler's task */
    assert_string_equal(core_stages(store, "W", stages), "active blocked active");
    assert_int_equal(core_workflow(store, "W")->stages[0].deadline_ms, store->now_ms + 5000);
    assert_int_equal(core_workflow(store, "W")->stages[2].deadline_ms, 0);
}

static void test_decide_stage_waits_for_each_of_its_needs(void **state) {
    struct core_store *store = *state;
    char stages[512];
    assert_int_equal(
        core_define(store, "workflow: w\nversion: 1\n"
                           "steps: {s: {provides: [x]}, t: {provides: [y]}, u: {completes: a}}\n"
                           "stages: [{name: a, needs: [x, y]}]\n"),
        WF_OK);
    assert_int_equal(core_start(store, "W", "w", NULL), WF_OK);
    assert_int_equal(core_submit(store, "W", "t", NULL), WF_OK);
    assert_string_equal(core_stages(store, "W", stages), "blocked");
    assert_int_equal(core_submit(store, "W", "s", NULL), WF_OK);
    assert_string_equal(core_stages(store, "W", stages), "active");
}

static void test_decide_submit_wants_a_known_workflow_and_step(void **state) {
    struct core_store *store = *state;
    assert_int_equal(submit_loan_step(store, "L1", 0), WF_NOT_FOUND);
    says(store, "no workflow \"L1\"");
    core_start(store, "L1", "loan_application", NULL);
    assert_int_equal(core_submit(store, "L1", "bribe", NULL), WF_NOT_FOUND);
    says(store, "no step \"bribe\"; its steps are applicant_submission, credit_bureau_response, "
                "employer_verification, property_appraisal, approval_decision");
    is_recorded(store, false);
    assert_int_equal(core_submit(store, "L1", "", NULL), WF_NOT_FOUND);
    assert_int_equal(core_submit(store, "L1", "\x01", NULL), WF_NOT_FOUND);
    assert_null(strchr(store->decision.message, '\x01'));
}

static void test_decide_submit_too_early_names_what_is_missing(void **state) {
    struct core_store *store = *state;
    core_start(store, "L1", "loan_application", NULL);
    assert_int_equal(submit_loan_step(store, "L1", 1), WF_REFUSED);
    says(store,
         "credit_bureau_response comes too early: stage credit_check of workflow L1 is blocked "
         "and still needs applicant_data");
    is_recorded(store, true);
    submit_loan_step(store, "L1", 0);
    assert_int_equal(submit_loan_step(store, "L1", 4), WF_REFUSED);
    says(store,
         "still needs stage credit_check, stage income_verification, stage collateral_assessment");
}

static void test_decide_submit_twice_is_refused(void **state) {
    struct core_store *store = *state;
    core_start(store, "L1", "loan_application", NULL);
    submit_loan_step(store, "L1", 0);
    assert_int_equal(submit_loan_step(store, "L1", 0), WF_REFUSED);
    says(store, "applicant_submission was submitted to workflow L1 already");
    is_recorded(store, true);
}

static void test_decide_submit_names_each_missing_field(void **state) {
    struct core_store *store = *state;
    core_start(store, "L1", "loan_application", NULL);
    assert_int_equal(core_submit(store, "L1", "applicant_submission", "ssn=1 personal=x"),
                     WF_REFUSED);
    says(store, "lacks the required field personal_info, employment");
    is_recorded(store, true);
    assert_int_equal(core_workflow(store, "L1")->step_count, 0);
}

static void test_decide_submit_takes_empty_values_and_further_fields(void **state) {
    struct core_store *store = *state;
    core_start(store, "L1", "loan_application", NULL);
    assert_int_equal(core_submit(store, "L1", "applicant_submission",
                                 "note=hello personal_info= ssn= employment="),
                     WF_OK);
    struct bytes_view ssn = workflow_field(core_workflow(store, "L1"), "ssn", 3);
    assert_non_null(ssn.data);
    assert_int_equal(ssn.size, 0);
    assert_null(workflow_field(core_workflow(store, "L1"), "nothing", 7).data);
}

static void test_decide_refuses_everything_after_the_end(void **state) {
    struct core_store *store = *state;
    core_start(store, "L1", "loan_application", NULL);
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(submit_loan_step(store, "L1", i), WF_OK);
    assert_int_equal(submit_loan_step(store, "L1", 4), WF_REFUSED);
    says(store, "workflow L1 is completed: nothing more");
    assert_int_equal(core_fail(store, "L1", "final_approval", "x"), WF_REFUSED);
    assert_int_equal(core_cancel(store, "L1", "x"), WF_REFUSED);
    is_recorded(store, true);
    core_start(store, "L2", "loan_application", NULL);
    assert_int_equal(core_cancel(store, "L2", "withdrawn"), WF_OK);
    assert_int_equal(submit_loan_step(store, "L2", 0), WF_REFUSED);
    says(store, "workflow L2 is cancelled");
}

static void test_decide_submit_orders_its_events(void **state) {
    struct core_store *store = *state;
    core_start(store, "L1", "loan_application", NULL);
    submit_loan_step(store, "L1", 0);
    submit_loan_step(store, "L1", 1);
    const struct decision *decision = &store->decision;
    assert_int_equal(decision->event_count, 3);
    assert_int_equal(decision->events[0].kind, EVENT_STEP_SUBMITTED);
    assert_int_equal(decision->events[1].kind, EVENT_STAGE_COMPLETED);
    assert_int_equal(decision->events[2].kind, EVENT_STAGE_ACTIVATED);
    assert_int_equal(decision->events[2].as.stage_activated.stage, 1);
    assert_int_equal(decision->events[2].as.stage_activated.attempt, 1);
    assert_int_equal(decision->events[2].as.stage_activated.timeout_ms, 60000);
    for (size_t i = 2; i < 5; i++)
        submit_loan_step(store, "L1", i);
    assert_int_equal(decision->events[decision->event_count - 1].kind, EVENT_WORKFLOW_COMPLETED);
}

static void test_decide_fail_wants_an_active_stage(void **state) {
    struct core_store *store = *state;
    core_start(store, "L1", "loan_application", NULL);
    submit_loan_step(store, "L1", 0);
    assert_int_equal(core_fail(store, "L2", "credit_check", "x"), WF_NOT_FOUND);
    assert_int_equal(core_fail(store, "L1", "credit", "x"), WF_NOT_FOUND);
    says(store, "no stage \"credit\"; its stages are credit_check, income_verification");
    assert_int_equal(core_fail(store, "L1", "final_approval", "x"), WF_REFUSED);
    says(store, "is blocked; only an active stage can fail");
    for (uint32_t attempt = 2; attempt <= 3; attempt++) { /* its strategy is automatic */
        assert_int_equal(core_fail(store, "L1", "credit_check", "score too low"), WF_OK);
        assert_int_equal(store->decision.events[0].kind, EVENT_STAGE_FAILED);
        assert_int_equal(store->decision.events[1].kind, EVENT_STAGE_ACTIVATED);
        assert_int_equal(core_workflow(store, "L1")->stages[0].attempt, attempt);
    }
    assert_int_equal(core_fail(store, "L1", "credit_check", "score too low"), WF_OK);
    assert_int_equal(store->decision.events[0].kind, EVENT_STAGE_FAILED);
    assert_int_equal(store->decision.events[1].kind, EVENT_WORKFLOW_FAILED);
    assert_string_equal(core_workflow(store, "L1")->reason, "score too low");
    assert_int_equal(core_workflow(store, "L1")->status, WORKFLOW_FAILED);
    assert_int_equal(core_workflow(store, "L1")->stages[0].status, STAGE_FAILED);
}

/* One malformed command each: WF_USAGE, no event, no bytes of it in the message. */
static void test_decide_answers_malformed_input_with_usage(void **state) {
    struct core_store *store = *state;
    core_start(store, "L1", "loan_application", NULL);
    char overlong[COMMAND_ID_MAX + 2];
    memset(overlong, 'x', sizeof overlong - 1);
    overlong[sizeof overlong - 1] = '\0';
    static const char *const bad[] = {"",         "a\nb",         "\x7f",    "\xff",
                                      "\xc2\x85", "\xed\xa0\x80", "\xc0\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(core_start(store, bad[i], "loan_application", NULL), WF_USAGE);
        is_recorded(store, false);
    }
    assert_int_equal(core_start(store, overlong, "loan_application", NULL), WF_USAGE);
    overlong[COMMAND_ID_MAX] = '\0';
    assert_int_equal(core_start(store, overlong, "loan_application", NULL), WF_OK);
    assert_int_equal(core_start(store, "größe 1", "loan_application", NULL), WF_OK);
    assert_int_equal(core_submit(store, "L1", "applicant_submission", "a=1 a=2"), WF_USAGE);
    says(store, "field a is given twice");
    assert_int_equal(core_submit(store, "L1", "applicant_submission", "=2"), WF_USAGE);
    assert_int_equal(core_submit(store, "L1", "applicant_submission", "a=\xff"), WF_USAGE);
    says(store, "field a is not UTF-8");
    overlong[COMMAND_FIELD_NAME_MAX + 1] = '=';
    assert_int_equal(core_submit(store, "L1", "applicant_submission", overlong), WF_USAGE);
    assert_int_equal(core_submit_keyed(store, "L1", "applicant_submission", NULL, "\x02", 1),
                     WF_USAGE);
    struct command command = {.kind = (enum command_kind)99, .subject = text_view("L1")};
    assert_int_equal(core_store_execute(store, &command), WF_USAGE);
}

static void test_decide_bounds_fields(void **state) {
    struct core_store *store = *state;
    core_start(store, "L1", "loan_application", NULL);
    static uint8_t large[COMMAND_FIELD_VALUE_MAX + 1];
    memset(large, 'v', sizeof large);
    static struct field fields[COMMAND_FIELDS_MAX + 1];
    static char names[COMMAND_FIELDS_MAX + 1][8];
    for (size_t i = 0; i <= COMMAND_FIELDS_MAX; i++) {
        names[i][0] = 'f';
        names[i][1] = (char)('a' + i % 26);
        names[i][2] = (char)('a' + i / 26);
        fields[i] = (struct field){text_view(names[i]), {large, 1}};
    }
    struct command command = {.kind = COMMAND_WORKFLOW_SUBMIT, .subject = text_view("L1")};
    command.as.workflow_submit.step = text_view("applicant_submission");
    command.as.workflow_submit.fields = fields;
    command.as.workflow_submit.field_count = COMMAND_FIELDS_MAX + 1;
    assert_int_equal(core_store_execute(store, &command), WF_USAGE);
    says(store, "at most 256");
    fields[0].name = text_view("ssn");
    fields[1].name = text_view("personal_info");
    fields[2].name = text_view("employment");
    command.as.workflow_submit.field_count = COMMAND_FIELDS_MAX;
    fields[9].value.size = COMMAND_FIELD_VALUE_MAX + 1;
    assert_int_equal(core_store_execute(store, &command), WF_USAGE);
    says(store, "a value has at most 65536");
    fields[9].value.size = COMMAND_FIELD_VALUE_MAX;
    for (size_t i = 10; i < 200; i++)
        fields[i].value.size = COMMAND_FIELD_VALUE_MAX;
    assert_int_equal(core_store_execute(store, &command), WF_REFUSED);
    says(store, "bytes together");
    for (size_t i = 10; i < 200; i++)
        fields[i].value.size = 2;
    assert_int_equal(core_store_execute(store, &command), WF_OK);
}

static void test_decide_cuts_long_messages_at_a_character(void **state) {
    struct core_store *store = *state;
    char yaml[4096] = "workflow: w\nversion: 1\nstages: [{name: a, handler: callback}]\nsteps:\n";
    for (int i = 0; i < 20; i++) {
        char line[200] = "  ";
        for (int j = 0; j < 30; j++)
            strcat(line, "ä");
        line[strlen(line) - 2] = '\0';
        snprintf(line + strlen(line), 60, "%d: {provides: [x%d]}\n", i, i);
        strcat(yaml, line);
    }
    assert_int_equal(core_define(store, yaml), WF_OK);
    assert_int_equal(core_start(store, "W", "w", NULL), WF_OK);
    assert_int_equal(core_submit(store, "W", "none", NULL), WF_NOT_FOUND);
    size_t size = strlen(store->decision.message);
    assert_in_range(size, DECISION_MESSAGE_MAX - 5, DECISION_MESSAGE_MAX - 1);
    unsigned char last = (unsigned char)store->decision.message[size - 1];
    unsigned char before = (unsigned char)store->decision.message[size - 2];
    assert_true(last < 0x80 || ((last & 0xC0) == 0x80 && before == 0xC3));
}

static void test_decide_repeated_key_answers_with_the_first_record(void **state) {
    struct core_store *store = *state;
    core_start(store, "L1", "loan_application", NULL);
    const char *fields = core_loan_steps[0][1];
    assert_int_equal(core_submit_keyed(store, "L1", "applicant_submission", fields, "k", 1), WF_OK);
    assert_false(store->decision.repeated);
    uint64_t first = store->lsn;
    assert_int_equal(core_submit_keyed(store, "L1", "applicant_submission", fields, "k", 1), WF_OK);
    assert_true(store->decision.repeated);
    assert_int_equal(store->decision.first.lsn, first);
    assert_int_equal(store->decision.event_count, 0);
    assert_int_equal(core_submit_keyed(store, "L1", "applicant_submission", fields, "k", 2),
                     WF_CONFLICT);
    says(store, "idempotency key \"k\" was used in record");
    is_recorded(store, false);
    assert_int_equal(store->lsn, first);
}

static void test_decide_repeated_key_covers_a_refusal_too(void **state) {
    struct core_store *store = *state;
    core_start(store, "L1", "loan_application", NULL);
    const char *fields = core_loan_steps[1][1];
    assert_int_equal(core_submit_keyed(store, "L1", "credit_bureau_response", fields, "k", 1),
                     WF_REFUSED);
    uint64_t refused = store->lsn;
    submit_loan_step(store, "L1", 0); /* now it would be taken */
    core_submit_keyed(store, "L1", "credit_bureau_response", fields, "k", 1);
    assert_true(store->decision.repeated);
    assert_int_equal(store->decision.first.lsn, refused);
}

static void test_decide_definitions_follow_each_other(void **state) {
    struct core_store *store = *state;
    const char *first = "workflow: w\nversion: 1\nstages: [{name: a, handler: callback}]\n";
    const char *again = "workflow: w\nversion: 2\nstages: [{name: a, handler: callback}]\n";
    const char *second = "workflow: w\nversion: 2\nstages: [{name: b, handler: callback}]\n";
    const char *third = "workflow: w\nversion: 3\nstages: [{name: a, handler: callback}]\n";
    const char *late = "workflow: w\nversion: 1\nstages: [{name: c, handler: callback}]\n";
    assert_int_equal(core_define(store, second), WF_REFUSED);
    says(store, "its first version is 1, not 2");
    assert_int_equal(core_define(store, first), WF_OK);
    assert_int_equal(core_define(store, first), WF_REFUSED);
    says(store, "nothing to add: w version 1 is the same");
    is_recorded(store, true);
    assert_int_equal(core_define(store, again), WF_REFUSED);
    says(store, "nothing to add: w version 1 is the same");
    assert_int_equal(core_define(store, third), WF_REFUSED);
    assert_int_equal(core_define(store, second), WF_OK);
    assert_int_equal(core_define(store, late), WF_REFUSED);
    says(store, "w version 1 is there with other content; the next version is 3");
    assert_int_equal(core_define(store, third), WF_OK); /* back to the first, as the third */
    core_start(store, "W", "w", NULL);
    assert_int_equal(core_workflow(store, "W")->definition->version, 3);
}

static void test_decide_keeps_time_from_running_back(void **state) {
    struct core_store *store = *state;
    core_start(store, "L1", "loan_application", NULL);
    int64_t seen = store->decision.time_ms;
    store->now_ms -= 60000;
    submit_loan_step(store, "L1", 0);
    assert_int_equal(store->decision.time_ms, seen);
    assert_int_equal(core_workflow(store, "L1")->stages[0].deadline_ms, seen + 30000);
    store->now_ms += 70000;
    submit_loan_step(store, "L1", 1);
    assert_int_equal(store->decision.time_ms, seen + 10000);
}

static void test_decide_moves_test_clocks_only(void **state) {
    struct core_store *store = *state;
    assert_int_equal(core_advance(store, 1000), WF_REFUSED);
    says(store, "follows the real clock");
    is_recorded(store, false);
    struct core_store *tested = core_store_open(true);
    int64_t begin = tested->now_ms;
    tested->now_ms += 999999; /* the machine's clock does not matter */
    assert_int_equal(core_define(tested, core_loan_yaml), WF_OK);
    assert_int_equal(tested->decision.time_ms, begin);
    assert_int_equal(core_advance(tested, 0), WF_USAGE);
    assert_int_equal(core_advance(tested, -5), WF_USAGE);
    assert_int_equal(core_advance(tested, INT64_MAX), WF_USAGE);
    assert_int_equal(core_advance(tested, 30000), WF_OK);
    assert_int_equal(tested->state.store.clock_ms, begin + 30000);
    core_start(tested, "L1", "loan_application", NULL);
    assert_int_equal(core_workflow(tested, "L1")->started_ms, begin + 30000);
    core_store_close(tested);
}

static void test_decide_creates_a_store_once(void **state) {
    struct core_store *store = *state;
    struct command command = {.kind = COMMAND_STORE_CREATE};
    assert_int_equal(core_store_execute(store, &command), WF_REFUSED);
    struct state empty;
    assert_int_equal(state_init(&empty, NULL), WF_OK);
    command.kind = COMMAND_WORKFLOW_START;
    command.subject = text_view("L1");
    decide(&empty, &command, &store->decision);
    assert_int_equal(store->decision.status, WF_USAGE);
    state_deinit(&empty);
}

#define LOAN_TEST(name) cmocka_unit_test_setup_teardown(name, open_loans, close_loans)

int main(void) {
    const struct CMUnitTest tests[] = {
        LOAN_TEST(test_decide_start_refuses_an_id_in_use),
        LOAN_TEST(test_decide_start_wants_a_known_type_and_version),
        LOAN_TEST(test_decide_start_activates_stages_without_needs),
        LOAN_TEST(test_decide_stage_waits_for_each_of_its_needs),
        LOAN_TEST(test_decide_submit_wants_a_known_workflow_and_step),
        LOAN_TEST(test_decide_submit_too_early_names_what_is_missing),
        LOAN_TEST(test_decide_submit_twice_is_refused),
        LOAN_TEST(test_decide_submit_names_each_missing_field),
        LOAN_TEST(test_decide_submit_takes_empty_values_and_further_fields),
        LOAN_TEST(test_decide_refuses_everything_after_the_end),
        LOAN_TEST(test_decide_submit_orders_its_events),
        LOAN_TEST(test_decide_fail_wants_an_active_stage),
        LOAN_TEST(test_decide_answers_malformed_input_with_usage),
        LOAN_TEST(test_decide_bounds_fields),
        LOAN_TEST(test_decide_cuts_long_messages_at_a_character),
        LOAN_TEST(test_decide_repeated_key_answers_with_the_first_record),
        LOAN_TEST(test_decide_repeated_key_covers_a_refusal_too),
        LOAN_TEST(test_decide_definitions_follow_each_other),
        LOAN_TEST(test_decide_keeps_time_from_running_back),
        LOAN_TEST(test_decide_moves_test_clocks_only),
        LOAN_TEST(test_decide_creates_a_store_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
