/* check_state() finds each broken invariant, and none is broken by random definitions and commands.
 */
#include "engine/definition_yaml.h"
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* A loan at its second stage. */
static int open_loan(void **state) {
    struct core_store *store = core_store_open(false);
    core_define(store, core_loan_yaml);
    core_start(store, "L1", "loan_application", NULL);
    core_submit_keyed(store, "L1", core_loan_steps[0][0], core_loan_steps[0][1], "key", 1);
    core_submit(store, "L1", core_loan_steps[1][0], core_loan_steps[1][1]);
    *state = store;
    return 0;
}

static int close_loan(void **state) {
    core_store_close(*state);
    return 0;
}

static void finds(struct core_store *store, const char *words) {
    store->err = (struct wf_error){WF_OK, ""};
    assert_int_equal(check_state(&store->state, true, &store->err), WF_DIVERGENCE);
    if (strstr(store->err.text, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", store->err.text, words);
}

static void finds_nothing(struct core_store *store) {
    if (check_state(&store->state, true, &store->err) != WF_OK)
        fail_msg("%s", store->err.text);
}

static void test_check_finds_a_stage_that_ran_ahead(void **state) {
    struct core_store *store = *state;
    struct stage_state *stage = &core_workflow(store, "L1")->stages[3], kept = *stage;
    *stage =
        (struct stage_state){.status = STAGE_ACTIVE, .attempt = 1, .activated_lsn = store->lsn};
    finds(store, "workflow L1, stage final_approval: it went on without what it needs");
    *stage = kept;
    finds_nothing(store);
}

static void test_check_finds_a_stage_that_was_left_waiting(void **state) {
    struct core_store *store = *state;
    core_workflow(store, "L1")->stages[1] = (struct stage_state){.status = STAGE_BLOCKED};
    finds(store, "stage income_verification: it waits although its needs are met");
}

static void test_check_finds_figures_that_do_not_fit(void **state) {
    struct core_store *store = *state;
    struct workflow *loan = core_workflow(store, "L1");
    struct stage_state kept = loan->stages[0];
    loan->stages[0].completed_lsn = 0;
    finds(store, "stage credit_check: its status and the LSN");
    loan->stages[0] = kept;
    loan->stages[0].completed_lsn = loan->lsn + 1;
    finds(store, "after the last change");
    loan->stages[0] = kept;
    loan->stages[0].deadline_ms = 5;
    finds(store, "completed and has a deadline");
    loan->stages[0] = kept;
    loan->stages[0].attempt = 0;
    finds(store, "attempt without an activation");
    loan->stages[0] = kept;
    loan->lsn = loan->started_lsn - 1;
    finds(store, "LSNs are out of order");
}

static void test_check_finds_a_completion_without_its_step(void **state) {
    struct core_store *store = *state;
    struct workflow *loan = core_workflow(store, "L1");
    uint32_t size = loan->data_size;
    loan->step_count = 1;
    finds(store, "a field of a step that is not in force");
    loan->data_size = 0;
    finds(store, "no step in force completed it");
    loan->step_count = 2;
    loan->data_size = size;
    loan->steps[1] = loan->steps[0];
    finds(store, "one twice");
}

static void test_check_finds_malformed_fields(void **state) {
    struct core_store *store = *state;
    core_workflow(store, "L1")->data_size--;
    finds(store, "its fields are malformed");
}

static void test_check_finds_a_status_that_does_not_fit(void **state) {
    struct core_store *store = *state;
    struct workflow *loan = core_workflow(store, "L1");
    loan->status = WORKFLOW_COMPLETED;
    finds(store, "it is completed, and a stage is not");
    loan->status = WORKFLOW_CANCELLED;
    finds(store, "a deadline after the end");
}

static void test_check_finds_wrong_counts(void **state) {
    struct core_store *store = *state;
    store->state.store.workflow_counts[WORKFLOW_HELD] = 1;
    finds(store, "0 workflows are held, and the store counts 1");
    assert_int_equal(check_state(&store->state, false, &store->err),
                     WF_OK); /* it may be elsewhere */
    store->state.store.workflow_counts[WORKFLOW_HELD] = 0;
    store->state.store.workflow_counts[WORKFLOW_RUNNING] = 0;
    finds(store, "1 workflows are running");
    assert_int_equal(check_state(&store->state, false, &store->err), WF_DIVERGENCE);
}

static void test_check_finds_keys_out_of_sequence(void **state) {
    struct core_store *store = *state;
    struct idempotency_key *key = state_key(&store->state, text_view("key"));
    store->state.store.key_first++;
    finds(store, "outside of those in force");
    store->state.store.key_first--;
    store->state.store.key_next++;
    finds(store, "the store counts 2");
    store->state.store.key_next--;
    key->entity.deleted = true;
    finds(store, "in order");
}

static void test_check_finds_broken_lists(void **state) {
    struct core_store *store = *state;
    struct entity *loan = &core_workflow(store, "L1")->entity;
    loan->generation = 0;
    finds(store, "list of changed entities does not belong");
    loan->generation = store->state.generation;
    store->state.changed.bytes++;
    finds(store, "the list of changed entities holds");
    store->state.changed.bytes--;
    finds_nothing(store);
}

static void test_check_finds_a_timer_out_of_place(void **state) {
    struct core_store *store = *state;
    core_start(store, "L2", "loan_application", NULL);
    core_start(store, "L3", "loan_application", NULL);
    core_submit(store, "L2", core_loan_steps[0][0], core_loan_steps[0][1]);
    core_submit(store, "L3", core_loan_steps[0][0], core_loan_steps[0][1]);
    struct workflow *loan = core_workflow(store, "L2");
    struct timer *timer = &store->state.timers.heap[loan->timer_at - 1];
    uint32_t place = loan->timer_at;
    loan->timer_at = 0;
    finds(store, "workflow L2: its place among the timers is wrong");
    loan->timer_at = place;
    int64_t due_ms = timer->due_ms;
    unsigned stage;
    timer->due_ms = workflow_due(loan, &stage) + 1;
    finds(store, "workflow L2: its place among the timers is wrong");
    timer->due_ms = due_ms;
    timer = &store->state.timers.heap[2];
    due_ms = timer->due_ms;
    timer->due_ms = store->state.timers.heap[0].due_ms - 1;
    finds(store, "it stands too late among the timers");
    timer->due_ms = due_ms;
    finds_nothing(store);
}

static void test_check_asks_less_after_a_repair(void **state) {
    struct core_store *store = *state;
    core_workflow(store, "L1")->stages[1] = (struct stage_state){.status = STAGE_BLOCKED};
    timers_follow(&store->state.timers, core_workflow(store, "L1"));
    store->state.store.repairs = 1;
    finds_nothing(store);
    store->state.store.repairs = 0;
    store->state.after_loss = true;
    finds_nothing(store);
}

/* --- random definitions, random commands --- */

enum { SEQUENCES = 400, COMMANDS = 200, WORKFLOWS = 3 };

struct dice {
    uint64_t seed;
};

static unsigned roll(struct dice *dice, unsigned sides) {
    dice->seed = dice->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)((dice->seed >> 33) % sides);
}

/* 2 to 12 stages that need earlier ones and items that only free steps provide. */
static size_t roll_definition(struct dice *dice, char *yaml, size_t room) {
    size_t stages = 2 + roll(dice, 11), used = 0;
    used +=
        (size_t)snprintf(yaml + used, room - used,
                         "workflow: w\nversion: 1\nsteps:\n"
                         "  free: {provides: [x, y], requires: [f]}\n  other: {provides: [z]}\n");
    for (size_t i = 0; i < stages; i++)
        used += (size_t)snprintf(yaml + used, room - used,
                                 "  s%zu: {completes: t%zu, requires: [f, g]}\n", i, i);
    used += (size_t)snprintf(yaml + used, room - used, "stages:\n");
    static const char *const items[] = {"x", "y", "z"};
    for (size_t i = 0; i < stages; i++) {
        used += (size_t)snprintf(yaml + used, room - used,
                                 "  - {name: t%zu, timeout: %us, needs: [", i, 1 + roll(dice, 100));
        const char *comma = "";
        for (size_t j = 0; j < i; j++) {
            if (roll(dice, 3) == 0) {
                used += (size_t)snprintf(yaml + used, room - used, "%st%zu", comma, j);
                comma = ", ";
            }
        }
        if (roll(dice, 2) == 0)
            used += (size_t)snprintf(yaml + used, room - used, "%s%s", comma, items[roll(dice, 3)]);
        used += (size_t)snprintf(yaml + used, room - used, "]}\n");
    }
    return stages;
}

static void roll_command(struct dice *dice, struct core_store *store, size_t stages) {
    char id[16], name[16], key[16];
    snprintf(id, sizeof id, "W%u", roll(dice, WORKFLOWS));
    snprintf(name, sizeof name, "s%u", roll(dice, (unsigned)stages));
    snprintf(key, sizeof key, "k%u", roll(dice, 40));
    store->now_ms += (int64_t)roll(dice, 3000) - 500;
    switch (roll(dice, 12)) {
    case 0:
        core_start(store, id, "w", "at=start");
        break;
    case 1:
        core_submit(store, id, "other", NULL);
        break;
    case 2:
        core_submit(store, id, "free", roll(dice, 2) ? "f=1 extra=2" : "extra=2");
        break;
    case 3:
        core_submit_keyed(store, id, name, "f=1 g=2", key, (uint8_t)roll(dice, 2));
        break;
    case 4:
        name[0] = 't';
        if (roll(dice, 8) == 0)
            core_fail(store, id, name, "no");
        break;
    case 5:
        if (roll(dice, 12) == 0)
            core_cancel(store, id, "enough");
        break;
    default:
        core_submit(store, id, name, "f=1 g=2");
    }
}

/* Freeze, thaw all, and put each workflow and key through its bytes. */
static void pass_through_a_snapshot(struct core_store *store) {
    struct state *state = &store->state;
    state_freeze(state);
    while (state->frozen.first != NULL)
        state_thaw(state, state->frozen.first);
    for (size_t left = state->clean.count; left > 0; left--) {
        struct entity *entity = state->clean.first;
        struct bytes_buffer key, value;
        bool deleted = entity->deleted;
        bytes_buffer_init(&key);
        bytes_buffer_init(&value);
        entity_encode_key(entity, &key);
        entity_encode(entity, &value, NULL);
        state_evict(state, entity);
        if (!deleted)
            assert_int_equal(entity_decode(state, (struct bytes_view){key.data, key.size},
                                           (struct bytes_view){value.data, value.size}, &entity,
                                           &store->err),
                             WF_OK);
        bytes_buffer_deinit(&key);
        bytes_buffer_deinit(&value);
    }
}

static void test_check_holds_through_random_commands(void **unused) {
    (void)unused;
    unsigned ended = 0, refused = 0;
    for (uint64_t seed = 1; seed <= SEQUENCES; seed++) {
        struct dice dice = {seed * 7919};
        char yaml[8192];
        size_t stages = roll_definition(&dice, yaml, sizeof yaml);
        struct core_store *store = core_store_open(false);
        store->keys_max = 5;
        assert_int_equal(core_define(store, yaml), WF_OK);
        for (int i = 0; i < COMMANDS; i++) {
            roll_command(&dice, store, stages); /* checks the whole state after each record */
            if (roll(&dice, 10) == 0)
                pass_through_a_snapshot(store);
        }
        if (check_state(&store->state, true, &store->err) != WF_OK)
            fail_msg("seed %u: %s", (unsigned)seed, store->err.text);
        ended += (unsigned)store->state.store.workflow_counts[WORKFLOW_COMPLETED];
        refused += (unsigned)store->state.store.refusals;
        core_store_close(store);
    }
    assert_true(ended > SEQUENCES / 10); /* else the dice only ever met refusals */
    assert_true(refused > SEQUENCES);
}

#define LOAN_TEST(name) cmocka_unit_test_setup_teardown(name, open_loan, close_loan)

int main(void) {
    const struct CMUnitTest tests[] = {
        LOAN_TEST(test_check_finds_a_stage_that_ran_ahead),
        LOAN_TEST(test_check_finds_a_stage_that_was_left_waiting),
        LOAN_TEST(test_check_finds_figures_that_do_not_fit),
        LOAN_TEST(test_check_finds_a_completion_without_its_step),
        LOAN_TEST(test_check_finds_malformed_fields),
        LOAN_TEST(test_check_finds_a_status_that_does_not_fit),
        LOAN_TEST(test_check_finds_wrong_counts),
        LOAN_TEST(test_check_finds_keys_out_of_sequence),
        LOAN_TEST(test_check_finds_broken_lists),
        LOAN_TEST(test_check_finds_a_timer_out_of_place),
        LOAN_TEST(test_check_asks_less_after_a_repair),
        cmocka_unit_test(test_check_holds_through_random_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
