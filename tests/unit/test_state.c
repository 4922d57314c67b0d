/* The state's bookkeeping of changes: which list an entity is in, and what a snapshot under way
 * gets to see. */
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int open_loans(void **state) {
    struct core_store *store = core_store_open(false);
    assert_int_equal(core_define(store, core_loan_yaml), WF_OK);
    char id[16];
    for (int i = 1; i <= 3; i++) {
        snprintf(id, sizeof id, "L%d", i);
        assert_int_equal(core_start(store, id, "loan_application", NULL), WF_OK);
    }
    *state = store;
    return 0;
}

static int close_loans(void **state) {
    core_store_close(*state);
    return 0;
}

static struct entity *entity_of(struct core_store *store, const char *id) {
    return &core_workflow(store, id)->entity;
}

static void sound(struct core_store *store) {
    if (check_state(&store->state, false, &store->err) != WF_OK)
        fail_msg("%s", store->err.text);
}

/* Make everything clean, as a finished snapshot does. */
static void snapshot_all(struct core_store *store) {
    state_freeze(&store->state);
    while (store->state.frozen.first != NULL)
        state_thaw(&store->state, store->state.frozen.first);
    sound(store);
}

static void change(struct core_store *store, const char *id) {
    assert_int_equal(core_submit(store, id, core_loan_steps[0][0], core_loan_steps[0][1]), WF_OK);
}

static void test_state_status_names_go_both_ways(void **state) {
    (void)state;
    for (int i = WORKFLOW_RUNNING; i < WORKFLOW_STATUS_COUNT; i++)
        assert_int_equal(workflow_status_parse(workflow_status_name((enum workflow_status)i)), i);
    assert_int_equal(workflow_status_parse("walking"), 0);
    assert_null(workflow_status_name((enum workflow_status)0));
    assert_null(workflow_status_name(WORKFLOW_STATUS_COUNT));
    assert_string_equal(stage_status_name(STAGE_ROLLED_BACK), "rolled_back");
    assert_null(stage_status_name((enum stage_status)8));
}

static void test_state_finds_definitions_by_name_and_version(void **state) {
    struct core_store *store = *state;
    const char *yaml = "workflow: w/1\nversion: 1\nstages: [{name: a, handler: callback}]\n";
    const char *next = "workflow: w/1\nversion: 2\nstages: [{name: b, handler: callback}]\n";
    core_define(store, yaml);
    core_define(store, next);
    struct bytes_view name = text_view("w/1");
    assert_int_equal(state_definition(&store->state, name, 1)->definition->version, 1);
    assert_int_equal(state_definition(&store->state, name, 0)->definition->version, 2);
    assert_null(state_definition(&store->state, name, 3));
    assert_null(state_definition(&store->state, text_view("w"), 0));
    assert_null(state_definition(&store->state, text_view(NULL), 0));
    assert_int_equal(state_definition_numbered(&store->state, 3)->definition->version, 2);
    assert_null(state_definition_numbered(&store->state, 4));
    assert_null(state_definition_numbered(&store->state, 0));
}

static void test_state_freeze_takes_all_changes_at_once(void **state) {
    struct core_store *store = *state;
    size_t changed = store->state.changed.count;
    assert_int_equal(changed, 5); /* store, definition, three loans */
    state_freeze(&store->state);
    assert_int_equal(store->state.frozen.count, changed);
    assert_int_equal(store->state.changed.count, 0);
    sound(store);
}

static void test_state_thaw_makes_clean(void **state) {
    struct core_store *store = *state;
    snapshot_all(store);
    assert_int_equal(store->state.clean.count, 3); /* store and definition are in no list */
    assert_int_equal(entity_of(store, "L2")->generation, 0);
    assert_int_equal(store->state.store.entity.generation, 0);
}

static struct entity *handed[8];
static size_t handed_count;
static uint8_t handed_steps;

static void note_entity(void *ctx, struct entity *entity) {
    assert_ptr_equal(ctx, handed);
    handed[handed_count++] = entity;
    if (entity->kind == ENTITY_WORKFLOW)
        handed_steps = ((struct workflow *)entity)->step_count;
}

static void test_state_hands_out_a_frozen_entity_before_it_changes(void **state) {
    struct core_store *store = *state;
    store->state.before_change = note_entity;
    store->state.before_change_ctx = handed;
    handed_count = 0;
    handed_steps = 99;
    change(store, "L1");
    assert_int_equal(handed_count, 0);
    state_freeze(&store->state);
    assert_int_equal(core_submit(store, "L1", core_loan_steps[1][0], core_loan_steps[1][1]), WF_OK);
    assert_int_equal(handed_count, 2); /* the store and the loan, once each */
    assert_ptr_equal(handed[1], entity_of(store, "L1"));
    assert_int_equal(handed_steps, 1); /* as it was */
    assert_int_equal(core_submit(store, "L1", core_loan_steps[2][0], core_loan_steps[2][1]), WF_OK);
    assert_int_equal(handed_count, 2);
    assert_int_equal(store->state.frozen.count, 3);
    assert_int_equal(store->state.changed.count, 2);
    sound(store);
}

static struct state *thawing;

static void thaw_entity(void *ctx, struct entity *entity) {
    (void)ctx;
    state_thaw(thawing, entity);
}

static void test_state_lets_the_callback_thaw(void **state) {
    struct core_store *store = *state;
    thawing = &store->state;
    store->state.before_change = thaw_entity;
    state_freeze(&store->state);
    change(store, "L1");
    assert_int_equal(entity_of(store, "L1")->generation, store->state.generation);
    sound(store);
}

static void test_state_touch_forgets_the_digest(void **state) {
    struct core_store *store = *state;
    struct entity *entity = entity_of(store, "L1");
    entity->digest_current = true;
    change(store, "L1");
    assert_false(entity->digest_current);
    assert_int_equal(entity->changed_lsn, store->lsn);
}

static void test_state_touch_again_after_a_failed_snapshot(void **state) {
    struct core_store *store = *state;
    state_freeze(&store->state);
    struct entity *thawed = entity_of(store, "L1"), *frozen = entity_of(store, "L2");
    state_thaw(&store->state, thawed);
    uint64_t changed_lsn = thawed->changed_lsn;
    state_touch_again(&store->state, thawed);
    state_touch_again(&store->state, frozen);
    state_touch_again(&store->state, frozen);
    assert_int_equal(thawed->generation, store->state.generation);
    assert_int_equal(frozen->generation, store->state.generation);
    assert_int_equal(thawed->changed_lsn, changed_lsn);
    sound(store);
}

static void test_state_evict_drops_clean_entities(void **state) {
    struct core_store *store = *state;
    core_submit_keyed(store, "L1", core_loan_steps[0][0], core_loan_steps[0][1], "key", 1);
    snapshot_all(store);
    size_t bytes = store->state.clean.bytes;
    size_t loan = entity_of(store, "L1")->bytes;
    state_evict(&store->state, entity_of(store, "L1"));
    assert_null(core_workflow(store, "L1"));
    assert_int_equal(store->state.clean.bytes, bytes - loan);
    state_evict(&store->state, &state_key(&store->state, text_view("key"))->entity);
    assert_null(state_key(&store->state, text_view("key")));
    assert_null(state_key_at(&store->state, 1));
    sound(store);
}

static void test_state_used_moves_to_the_recent_end(void **state) {
    struct core_store *store = *state;
    snapshot_all(store);
    struct entity *oldest = store->state.clean.first;
    state_used(&store->state, oldest);
    assert_ptr_equal(store->state.clean.last, oldest);
    assert_ptr_not_equal(store->state.clean.first, oldest);
    state_used(&store->state, oldest);
    assert_int_equal(store->state.clean.count, 3);
    change(store, "L1");
    state_used(&store->state, entity_of(store, "L1")); /* changed: stays where it is */
    state_used(&store->state, &store->state.store.entity);
    assert_int_equal(store->state.clean.count, 2);
    sound(store);
}

static void test_state_counts_the_bytes_that_data_takes(void **state) {
    struct core_store *store = *state;
    size_t before = store->state.changed.bytes;
    change(store, "L1");
    const struct workflow *loan = core_workflow(store, "L1");
    assert_true(store->state.changed.bytes >= before + loan->data_size);
    assert_int_equal(loan->data_capacity, loan->data_size); /* exactly sized */
    assert_true(loan->entity.bytes < 432);
}

static void test_state_walks_fields_in_order_of_submission(void **state) {
    struct core_store *store = *state;
    assert_int_equal(core_start(store, "L9", "loan_application", "ssn=early branch=north"), WF_OK);
    change(store, "L9");
    static const char *const names[] = {"ssn", "branch", "personal_info", "ssn", "employment"};
    const struct workflow *loan = core_workflow(store, "L9");
    struct field field;
    unsigned step;
    size_t at = 0, count = 0;
    while (workflow_field_next(loan, &at, &step, &field)) {
        assert_int_equal(field.name.size, strlen(names[count]));
        assert_memory_equal(field.name.data, names[count], field.name.size);
        assert_int_equal(step, count < 2 ? WORKFLOW_FIELD_AT_START : 0);
        count++;
    }
    assert_int_equal(count, 5);
    struct bytes_view ssn = workflow_field(loan, "ssn", 3);
    assert_int_equal(ssn.size, strlen("123-45-6789")); /* the later one hides the earlier */
}

static void test_state_current_stage_says_where_it_stands(void **state) {
    struct core_store *store = *state;
    assert_int_equal(workflow_current_stage(core_workflow(store, "L1")), -1);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(core_submit(store, "L1", core_loan_steps[i][0], core_loan_steps[i][1]),
                         WF_OK);
        assert_int_equal(workflow_current_stage(core_workflow(store, "L1")), i < 4 ? i : 3);
    }
    change(store, "L2");
    core_submit(store, "L2", core_loan_steps[1][0], core_loan_steps[1][1]);
    core_fail(store, "L2", "income_verification", "no employer");
    assert_int_equal(workflow_current_stage(core_workflow(store, "L2")), 1);
}

#define LOANS_TEST(name) cmocka_unit_test_setup_teardown(name, open_loans, close_loans)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_state_status_names_go_both_ways),
        LOANS_TEST(test_state_finds_definitions_by_name_and_version),
        LOANS_TEST(test_state_freeze_takes_all_changes_at_once),
        LOANS_TEST(test_state_thaw_makes_clean),
        LOANS_TEST(test_state_hands_out_a_frozen_entity_before_it_changes),
        LOANS_TEST(test_state_lets_the_callback_thaw),
        LOANS_TEST(test_state_touch_forgets_the_digest),
        LOANS_TEST(test_state_touch_again_after_a_failed_snapshot),
        LOANS_TEST(test_state_evict_drops_clean_entities),
        LOANS_TEST(test_state_used_moves_to_the_recent_end),
        LOANS_TEST(test_state_counts_the_bytes_that_data_takes),
        LOANS_TEST(test_state_walks_fields_in_order_of_submission),
        LOANS_TEST(test_state_current_stage_says_where_it_stands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
