/* A running workflow goes over to another version: core/migrate.c. check_state() holds after each
 * command (tests/lib/core_store.c). */
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int open_loans(void **state) {
    struct core_store *store = core_store_open(true);
    assert_int_equal(core_define(store, core_loan_yaml), WF_OK);
    assert_int_equal(core_start(store, "L1", "loan_application", "branch=north"), WF_OK);
    assert_int_equal(core_define(store, core_loan_2_yaml), WF_OK);
    *state = store;
    return 0;
}

static int close_loans(void **state) {
    core_store_close(*state);
    return 0;
}

static void submit(struct core_store *store, size_t from, size_t to) {
    for (size_t i = from; i <= to; i++)
        assert_int_equal(core_submit(store, "L1", core_loan_steps[i][0], core_loan_steps[i][1]),
                         WF_OK);
}

static void says(const struct core_store *store, const char *words) {
    if (strstr(store->decision.message, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", store->decision.message, words);
}

static void has(struct core_store *store, const char *name, const char *value) {
    struct bytes_view found = workflow_field(core_workflow(store, "L1"), name, strlen(name));
    assert_int_equal(found.size, strlen(value));
    assert_memory_equal(found.data, value, found.size);
}

/* Version 2 with other words in place of some of its own. */
static void define_changed(struct core_store *store, const char *words, const char *instead) {
    char yaml[4096];
    const char *at = strstr(core_loan_2_yaml, words);
    assert_non_null(at);
    snprintf(yaml, sizeof yaml, "%.*s%s%s", (int)(at - core_loan_2_yaml), core_loan_2_yaml, instead,
             at + strlen(words));
    strstr(yaml, "version: 2")[9] = '3';
    if (core_define(store, yaml) != WF_OK)
        fail_msg("%s", store->decision.message);
}

static void test_migrate_keeps_what_happened_and_activates_what_is_ready(void **state) {
    struct core_store *store = *state;
    char stages[512];
    submit(store, 0, 1);
    int64_t deadline_ms = core_workflow(store, "L1")->stages[1].deadline_ms;
    assert_int_equal(core_advance(store, 5000), WF_OK);
    assert_int_equal(core_migrate(store, "L1", 2, "credit_check=credit_rating"), WF_OK);
    const struct workflow *workflow = core_workflow(store, "L1");
    assert_int_equal(workflow->definition->version, 2);
    assert_string_equal(core_stages(store, "L1", stages),
                        "active completed active blocked blocked");
    assert_int_equal(workflow->stages[2].deadline_ms, deadline_ms);
    assert_int_equal(workflow->stages[0].deadline_ms, store->state.store.clock_ms + 3600 * 1000);
    assert_int_equal(workflow->stages[0].activated_lsn, store->lsn);
    assert_int_equal(workflow->lsn, store->lsn);
    assert_int_equal(workflow->changed_ms, store->state.store.clock_ms);
    has(store, "branch", "north");
    has(store, "employment", "ACME"); /* the new version does not require it: it has its name */
    has(store, "credit_score", "750");
    submit(store, 2, 3);
    assert_int_equal(core_submit(store, "L1", "auditor_report", "verdict=fine"), WF_OK);
    submit(store, 4, 4);
    assert_int_equal(core_workflow(store, "L1")->status, WORKFLOW_COMPLETED);
}

static void test_migrate_remembers_which_version_was_when(void **state) {
    struct core_store *store = *state;
    submit(store, 0, 0);
    uint64_t first = core_workflow(store, "L1")->started_lsn;
    assert_int_equal(core_migrate(store, "L1", 2, "credit_check=credit_rating"), WF_OK);
    uint64_t second = store->lsn;
    assert_int_equal(core_migrate(store, "L1", 1, "credit_rating=credit_check"), WF_OK);
    const struct workflow *workflow = core_workflow(store, "L1");
    assert_int_equal(workflow->past_count, 2);
    const uint64_t lsns[] = {first, second - 1, second, store->lsn, UINT64_MAX};
    const uint32_t versions[] = {1, 1, 2, 1, 1};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(workflow_definition_at(&store->state, workflow, lsns[i])->version,
                         versions[i]);
}

static void test_migrate_drops_a_stage_that_waits(void **state) {
    struct core_store *store = *state;
    char stages[512];
    assert_int_equal(core_migrate(store, "L1", 2, NULL), WF_OK); /* nothing happened yet */
    assert_string_equal(core_stages(store, "L1", stages),
                        "blocked blocked blocked blocked blocked");
}

static void test_migrate_may_complete_the_workflow(void **state) {
    struct core_store *store = *state;
    assert_int_equal(core_define(store, "workflow: w\nversion: 1\n"
                                        "steps: {s: {completes: a}, t: {completes: b}}\n"
                                        "stages: [{name: a}, {name: b, needs: [a]}]\n"),
                     WF_OK);
    assert_int_equal(core_define(store, "workflow: w\nversion: 2\nsteps: {s: {completes: a}}\n"
                                        "stages: [{name: a}]\n"),
                     WF_OK);
    struct command start = {.kind = COMMAND_WORKFLOW_START, .subject = text_view("W")};
    start.as.workflow_start.type = text_view("w");
    start.as.workflow_start.version = 1;
    assert_int_equal(core_store_execute(store, &start), WF_OK);
    assert_int_equal(core_submit(store, "W", "s", NULL), WF_OK);
    assert_int_equal(core_migrate(store, "W", 2, NULL), WF_REFUSED);
    says(store, "stage b of workflow W is active, and version 2 has none of that name");
    assert_int_equal(core_define(store, "workflow: w\nversion: 3\n"
                                        "steps: {s: {completes: a}, u: {completes: c}}\n"
                                        "stages: [{name: a}, {name: c, needs: [a]}]\n"),
                     WF_OK);
    assert_int_equal(core_migrate(store, "W", 3, "b=c t=u"), WF_OK);
    assert_int_equal(core_submit(store, "W", "u", NULL), WF_OK);
    assert_int_equal(core_workflow(store, "W")->status, WORKFLOW_COMPLETED);
    assert_int_equal(core_migrate(store, "W", 1, NULL), WF_REFUSED);
    says(store, "workflow W is completed: nothing more can happen to it");
}

static void test_migrate_completes_where_only_done_stages_are_left(void **state) {
    struct core_store *store = *state;
    assert_int_equal(core_define(store, "workflow: w\nversion: 1\n"
                                        "steps: {s: {completes: a}, x: {provides: [d]},"
                                        " t: {completes: b}}\n"
                                        "stages: [{name: a}, {name: b, needs: [a, d]}]\n"),
                     WF_OK);
    assert_int_equal(core_start(store, "W", "w", NULL), WF_OK);
    assert_int_equal(core_submit(store, "W", "s", NULL), WF_OK);
    assert_int_equal(core_define(store, "workflow: w\nversion: 2\nsteps: {s: {completes: a}}\n"
                                        "stages: [{name: a}]\n"),
                     WF_OK);
    assert_int_equal(core_migrate(store, "W", 2, NULL), WF_OK);
    assert_int_equal(core_workflow(store, "W")->status, WORKFLOW_COMPLETED);
}

static void test_migrate_wants_a_place_for_each_stage_under_way(void **state) {
    struct core_store *store = *state;
    submit(store, 0, 0);
    assert_int_equal(core_migrate(store, "L1", 2, NULL), WF_REFUSED);
    says(store, "stage credit_check of workflow L1 is active, and version 2 has none of that name; "
                "map it to the one that it becomes");
    assert_int_equal(store->decision.events[0].kind, EVENT_COMMAND_REFUSED);
}

static void test_migrate_wants_a_place_for_each_step_in_force(void **state) {
    struct core_store *store = *state;
    define_changed(store, "credit_bureau_response:", "bureau_answer:");
    submit(store, 0, 1);
    assert_int_equal(core_migrate(store, "L1", 3, "credit_check=credit_rating"), WF_REFUSED);
    says(store, "step credit_bureau_response was submitted to workflow L1, and version 3 has none "
                "of that name");
    assert_int_equal(core_migrate(store, "L1", 3,
                                  "credit_check=credit_rating "
                                  "credit_bureau_response=bureau_answer"),
                     WF_OK);
}

static void test_migrate_wants_the_fields_that_the_version_requires(void **state) {
    struct core_store *store = *state;
    define_changed(store, "requires: [personal_info, ssn]",
                   "requires: [personal_info, tax_number]");
    submit(store, 0, 0);
    assert_int_equal(core_migrate(store, "L1", 3, "credit_check=credit_rating"), WF_REFUSED);
    says(store, "step applicant_submission is in force in workflow L1, and version 3 requires the "
                "field tax_number of it, which was not given");
}

/* A workflow W of two versions, given as what follows the version's number; step s is submitted. */
static enum wf_status migrate_small(struct core_store *store, const char *first,
                                    const char *second) {
    char yaml[1024];
    snprintf(yaml, sizeof yaml, "workflow: w\nversion: 1\n%s", first);
    assert_int_equal(core_define(store, yaml), WF_OK);
    assert_int_equal(core_start(store, "W", "w", NULL), WF_OK);
    assert_int_equal(core_submit(store, "W", "s", NULL), WF_OK);
    snprintf(yaml, sizeof yaml, "workflow: w\nversion: 2\n%s", second);
    assert_int_equal(core_define(store, yaml), WF_OK);
    return core_migrate(store, "W", 2, NULL);
}

static void test_migrate_wants_what_a_step_completes_to_be_completed(void **state) {
    struct core_store *store = *state;
    assert_int_equal(migrate_small(store,
                                   "steps: {s: {provides: [d]}, t: {completes: a}}\n"
                                   "stages: [{name: a, needs: [d]}]\n",
                                   "steps: {s: {provides: [d], completes: b}, t: {completes: a}}\n"
                                   "stages: [{name: a, needs: [d]}, {name: b}]\n"),
                     WF_REFUSED);
    says(store, "step s is in force in workflow W; in version 2 it completes stage b, which is "
                "blocked here");
}

static void test_migrate_wants_what_is_completed_to_be_completed_by_a_step(void **state) {
    struct core_store *store = *state;
    assert_int_equal(
        migrate_small(store,
                      "steps: {s: {completes: a}, t: {completes: b}}\n"
                      "stages: [{name: a}, {name: b}]\n",
                      "steps: {s: {provides: [d]}, u: {completes: a}, t: {completes: b}}\n"
                      "stages: [{name: a}, {name: b}]\n"),
        WF_REFUSED);
    says(store, "stage a of workflow W is completed; in version 2 no step in force completes it");
}

static void test_migrate_takes_a_handler_for_what_completed_a_stage(void **state) {
    struct core_store *store = *state;
    assert_int_equal(migrate_small(store,
                                   "steps: {s: {completes: a}, t: {completes: b}}\n"
                                   "stages: [{name: a}, {name: b}]\n",
                                   "steps: {s: {provides: [d]}, t: {completes: b}}\n"
                                   "stages: [{name: a, handler: callback}, {name: b}]\n"),
                     WF_OK);
}

static void test_migrate_wants_items_of_stages_under_way_provided(void **state) {
    struct core_store *store = *state;
    assert_int_equal(
        migrate_small(store,
                      "steps: {s: {provides: [d]}, t: {completes: a}}\n"
                      "stages: [{name: a, needs: [d]}]\n",
                      "steps: {s: {provides: [e]}, x: {provides: [d]}, t: {completes: a}}\n"
                      "stages: [{name: a, needs: [d, e]}]\n"),
        WF_REFUSED);
    says(store, "stage a of workflow W is active; in version 2 it needs d, which no step in force "
                "provides");
}

static void test_migrate_wants_needs_of_stages_under_way_met(void **state) {
    struct core_store *store = *state;
    define_changed(store, "{name: income_verification, needs: [employment_data, credit_rating]",
                   "{name: income_verification, needs: [employment_data, audit]");
    submit(store, 0, 1);
    assert_int_equal(core_migrate(store, "L1", 3, "credit_check=credit_rating"), WF_REFUSED);
    says(store, "stage income_verification of workflow L1 is active; in version 3 it needs stage "
                "audit, which is blocked");
}

static void test_migrate_does_not_make_two_of_one(void **state) {
    struct core_store *store = *state;
    assert_int_equal(core_migrate(store, "L1", 2, "credit_check=final_approval"), WF_REFUSED);
    says(store, "stages credit_check and final_approval would both become final_approval");
}

static void test_migrate_wants_known_names_and_versions(void **state) {
    struct core_store *store = *state;
    assert_int_equal(core_migrate(store, "L1", 7, NULL), WF_NOT_FOUND);
    says(store, "loan_application has no version 7; its newest version is 2");
    assert_int_equal(core_migrate(store, "L9", 2, NULL), WF_NOT_FOUND);
    assert_int_equal(core_migrate(store, "L1", 2, "bribe=audit"), WF_NOT_FOUND);
    says(store, "loan_application version 1 has no stage or step \"bribe\" to map");
    assert_int_equal(core_migrate(store, "L1", 2, "credit_check=bribe"), WF_NOT_FOUND);
    says(store, "loan_application version 2 has no stage \"bribe\" for credit_check to become");
    assert_int_equal(core_migrate(store, "L1", 2, "credit_check=audit credit_check=credit_rating"),
                     WF_USAGE);
    says(store, "credit_check is mapped twice");
    assert_int_equal(core_migrate(store, "L1", 1, NULL), WF_REFUSED);
    says(store, "workflow L1 runs on version 1 already");
    assert_int_equal(core_migrate(store, "L1", 2, "credit_check="), WF_USAGE);
}

static void test_migrate_has_an_end(void **state) {
    struct core_store *store = *state;
    for (uint32_t i = 0; i < 255; i++)
        assert_int_equal(core_migrate(store, "L1", 2 - i % 2, NULL), WF_OK);
    assert_int_equal(core_migrate(store, "L1", 1, NULL), WF_REFUSED);
    says(store, "workflow L1 was migrated 255 times");
}

/* The workflow is another piece of memory afterwards: the lists and a snapshot under way follow. */
struct frozen {
    struct core_store *store;
    size_t encoded;
};

static void encode_frozen(void *ctx, struct entity *entity) {
    struct frozen *frozen = ctx;
    if (entity->kind == ENTITY_WORKFLOW)
        assert_int_equal(((struct workflow *)entity)->definition->version, 1);
    frozen->encoded++;
    state_thaw(&frozen->store->state, entity);
}

static void test_migrate_under_a_snapshot_leaves_it_the_old_version(void **state) {
    struct core_store *store = *state;
    struct frozen frozen = {.store = store};
    store->state.before_change = encode_frozen;
    store->state.before_change_ctx = &frozen;
    assert_int_equal(core_start(store, "L0", "loan_application", NULL), WF_OK);
    state_freeze(&store->state);
    assert_int_equal(core_migrate(store, "L1", 2, NULL), WF_OK);
    assert_true(frozen.encoded >= 1);
    assert_int_equal(core_workflow(store, "L1")->definition->version, 2);
    while (store->state.frozen.first != NULL)
        state_thaw(&store->state, store->state.frozen.first);
    assert_int_equal(check_state(&store->state, true, &store->err), WF_OK);
}

/* What a hostile log may say. */
static void reserve_fails(struct core_store *store, struct event *events, size_t count) {
    struct record record = {.lsn = store->lsn + 1,
                            .time_ms = store->state.store.seen_ms,
                            .command = COMMAND_WORKFLOW_MIGRATE,
                            .subject = text_view("L1"),
                            .events = events,
                            .event_count = count};
    assert_int_equal(apply_reserve(&store->state, &record, &store->err), WF_DAMAGE);
    assert_int_equal(core_workflow(store, "L1")->definition->version, 1);
}

static void test_migrate_refuses_hostile_records(void **state) {
    struct core_store *store = *state;
    submit(store, 0, 0);
    static const uint8_t good_stages[] = {2, 3, 4, 5}, good_steps[] = {1, 3, 4, 5, 6};
    static const uint8_t beyond[] = {2, 3, 4, 6}, twice[] = {2, 2, 4, 5},
                         dropped[] = {0, 3, 4, 5, 6};
    struct event good = {.kind = EVENT_WORKFLOW_MIGRATED};
    good.as.workflow_migrated.version = 2;
    good.as.workflow_migrated.stages = (struct bytes_view){good_stages, 4};
    good.as.workflow_migrated.steps = (struct bytes_view){good_steps, 5};
    struct event bad[6] = {good, good, good, good, good, good};
    bad[0].as.workflow_migrated.version = 3;
    bad[1].as.workflow_migrated.stages = (struct bytes_view){beyond, 4};
    bad[2].as.workflow_migrated.stages = (struct bytes_view){twice, 4};
    bad[3].as.workflow_migrated.stages = (struct bytes_view){good_stages, 3};
    bad[4].as.workflow_migrated.steps = (struct bytes_view){dropped, 5};
    bad[5].as.workflow_migrated.version = 0;
    for (size_t i = 0; i < 6; i++)
        reserve_fails(store, &bad[i], 1);
    struct event two[2] = {good, good};
    reserve_fails(store, two, 2);
    struct record record = {.lsn = store->lsn + 1,
                            .time_ms = store->state.store.seen_ms,
                            .command = COMMAND_WORKFLOW_MIGRATE,
                            .subject = text_view("L1"),
                            .events = &good,
                            .event_count = 1};
    assert_int_equal(apply_reserve(&store->state, &record, &store->err), WF_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loans, close_loans)
        TEST(test_migrate_keeps_what_happened_and_activates_what_is_ready),
        TEST(test_migrate_remembers_which_version_was_when),
        TEST(test_migrate_drops_a_stage_that_waits),
        TEST(test_migrate_may_complete_the_workflow),
        TEST(test_migrate_completes_where_only_done_stages_are_left),
        TEST(test_migrate_wants_a_place_for_each_stage_under_way),
        TEST(test_migrate_wants_a_place_for_each_step_in_force),
        TEST(test_migrate_wants_the_fields_that_the_version_requires),
        TEST(test_migrate_wants_what_a_step_completes_to_be_completed),
        TEST(test_migrate_wants_what_is_completed_to_be_completed_by_a_step),
        TEST(test_migrate_takes_a_handler_for_what_completed_a_stage),
        TEST(test_migrate_wants_needs_of_stages_under_way_met),
        TEST(test_migrate_wants_items_of_stages_under_way_provided),
        TEST(test_migrate_does_not_make_two_of_one),
        TEST(test_migrate_wants_known_names_and_versions),
        TEST(test_migrate_has_an_end),
        TEST(test_migrate_under_a_snapshot_leaves_it_the_old_version),
        TEST(test_migrate_refuses_hostile_records),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
