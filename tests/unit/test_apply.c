/* apply(): what events do to the state, and what apply_reserve() refuses before. */
#include "engine/core/ineffective.h"
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static int open_loan(void **state) {
    struct core_store *store = core_store_open(false);
    assert_int_equal(core_define(store, core_loan_yaml), WF_OK);
    assert_int_equal(core_start(store, "L1", "loan_application", "branch=north"), WF_OK);
    *state = store;
    return 0;
}

static int close_loan(void **state) {
    core_store_close(*state);
    return 0;
}

static enum wf_status submit_loan_step(struct core_store *store, size_t step) {
    return core_submit(store, "L1", core_loan_steps[step][0], core_loan_steps[step][1]);
}

/* A record about L1 with these events, as replay meets it. */
static enum wf_status replay(struct core_store *store, const char *id, struct event *events,
                             size_t count) {
    struct record record = {
        .lsn = store->lsn + 1,
        .offset = 7,
        .time_ms = store->now_ms,
        .command = COMMAND_WORKFLOW_SUBMIT,
        .subject = text_view(id),
        .events = events,
        .event_count = count,
    };
    enum wf_status status = apply_reserve(&store->state, &record, &store->err);
    if (status == WF_OK) {
        apply(&store->state, &record);
        store->lsn++;
    }
    return status;
}

static void test_apply_carries_a_loan_to_its_end(void **state) {
    struct core_store *store = *state;
    char stages[512];
    assert_string_equal(core_stages(store, "L1", stages), "blocked blocked blocked blocked");
    static const char *const expected[5] = {
        "active blocked blocked blocked",          "completed active blocked blocked",
        "completed completed active blocked",      "completed completed completed active",
        "completed completed completed completed",
    };
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(submit_loan_step(store, i), WF_OK);
        assert_string_equal(core_stages(store, "L1", stages), expected[i]);
    }
    const struct workflow *loan = core_workflow(store, "L1");
    assert_int_equal(loan->status, WORKFLOW_COMPLETED);
    assert_int_equal(store->state.store.workflow_counts[WORKFLOW_COMPLETED], 1);
    assert_int_equal(store->state.store.workflow_counts[WORKFLOW_RUNNING], 0);
    struct bytes_view score = workflow_field(loan, "credit_score", 12);
    assert_int_equal(score.size, 3);
    assert_memory_equal(score.data, "750", 3);
}

static void test_apply_sets_deadlines_and_lsns(void **state) {
    struct core_store *store = *state;
    submit_loan_step(store, 0);
    uint64_t first = store->lsn;
    store->now_ms += 5000;
    submit_loan_step(store, 1);
    const struct workflow *loan = core_workflow(store, "L1");
    assert_int_equal(loan->stages[0].activated_lsn, first);
    assert_int_equal(loan->stages[0].completed_lsn, store->lsn);
    assert_int_equal(loan->stages[0].deadline_ms, 0);
    assert_int_equal(loan->stages[1].deadline_ms, store->now_ms + 60000);
    assert_int_equal(loan->lsn, store->lsn);
    assert_int_equal(loan->changed_ms, store->now_ms);
}

static void test_apply_refusal_changes_history_only(void **state) {
    struct core_store *store = *state;
    uint64_t lsn = store->lsn;
    assert_int_equal(submit_loan_step(store, 3), WF_REFUSED);
    const struct workflow *loan = core_workflow(store, "L1");
    assert_int_equal(loan->lsn, lsn);
    assert_int_equal(loan->history.lsn, lsn + 1);
    assert_int_equal(loan->history.offset, (lsn + 1) * 100);
    assert_int_equal(store->state.store.refusals, 1);
}

static void test_apply_end_leaves_no_deadline(void **state) {
    struct core_store *store = *state;
    submit_loan_step(store, 0);
    assert_int_equal(core_cancel(store, "L1", "withdrawn by the applicant"), WF_OK);
    const struct workflow *loan = core_workflow(store, "L1");
    assert_int_equal(loan->status, WORKFLOW_CANCELLED);
    assert_int_equal(loan->stages[0].deadline_ms, 0);
    assert_string_equal(loan->reason, "withdrawn by the applicant");
}

static void test_apply_replay_comes_to_the_same_bytes(void **state) {
    struct core_store *store = *state;
    struct core_store *again = core_store_open(false);
    core_define(again, core_loan_yaml);
    core_start(again, "L1", "loan_application", "branch=north");
    for (size_t i = 0; i < 3; i++) {
        /* Decided here, applied there from a copy of the record. */
        assert_int_equal(submit_loan_step(store, i), WF_OK);
        struct record record = {.lsn = store->lsn,
                                .offset = store->lsn * 100,
                                .time_ms = store->decision.time_ms,
                                .command = COMMAND_WORKFLOW_SUBMIT,
                                .subject = text_view("L1"),
                                .events = store->decision.events,
                                .event_count = store->decision.event_count};
        char text[512];
        struct field fields[16];
        snprintf(text, sizeof text, "%s", core_loan_steps[i][1]);
        record.events[0].as.step_submitted.field_count = core_fields(text, fields);
        record.events[0].as.step_submitted.fields = fields;
        assert_int_equal(apply_reserve(&again->state, &record, &again->err), WF_OK);
        apply(&again->state, &record);
    }
    struct bytes_buffer one, other;
    bytes_buffer_init(&one);
    bytes_buffer_init(&other);
    entity_encode(&core_workflow(store, "L1")->entity, &one, NULL);
    entity_encode(&core_workflow(again, "L1")->entity, &other, NULL);
    assert_int_equal(one.size, other.size);
    assert_memory_equal(one.data, other.data, one.size);
    bytes_buffer_deinit(&one);
    bytes_buffer_deinit(&other);
    core_store_close(again);
}

static void test_apply_reserve_refuses_what_cannot_follow(void **state) {
    struct core_store *store = *state;
    struct event event = {.kind = EVENT_STAGE_COMPLETED};
    assert_int_equal(replay(store, "L2", &event, 1), WF_DAMAGE);
    assert_non_null(strstr(store->err.text, "workflow L2, which is not there"));
    event.as.stage_completed.stage = 4;
    assert_int_equal(replay(store, "L1", &event, 1), WF_DAMAGE);
    event = (struct event){.kind = EVENT_STEP_SUBMITTED};
    event.as.step_submitted.step = 5;
    assert_int_equal(replay(store, "L1", &event, 1), WF_DAMAGE);
    struct event twice[2] = {{.kind = EVENT_STEP_SUBMITTED}, {.kind = EVENT_STEP_SUBMITTED}};
    assert_int_equal(replay(store, "L1", twice, 2), WF_DAMAGE);
    event = (struct event){.kind = EVENT_WORKFLOW_STARTED};
    event.as.workflow_started.type = text_view("loan_application");
    event.as.workflow_started.version = 1;
    assert_int_equal(replay(store, "L1", &event, 1), WF_DAMAGE);
    event.as.workflow_started.version = 2;
    assert_int_equal(replay(store, "L2", &event, 1), WF_DAMAGE);
    event = (struct event){.kind = (enum event_kind)77};
    assert_int_equal(replay(store, "L1", &event, 1), WF_DAMAGE);
    event = (struct event){.kind = EVENT_STAGE_ACTIVATED};
    event.as.stage_activated.timeout_ms = INT64_MAX;
    assert_int_equal(replay(store, "L1", &event, 1), WF_DAMAGE);
    assert_int_equal(check_state(&store->state, true, &store->err), WF_OK);
}

static void test_apply_reserve_refuses_a_step_in_force(void **state) {
    struct core_store *store = *state;
    struct event event = {.kind = EVENT_STEP_SUBMITTED};
    assert_int_equal(replay(store, "L1", &event, 1), WF_OK);
    assert_int_equal(replay(store, "L1", &event, 1), WF_DAMAGE);
    assert_non_null(strstr(store->err.text, "which does not take it"));
    assert_int_equal(core_workflow(store, "L1")->step_count, 1);
}

static void test_apply_reserve_refuses_time_that_runs_back(void **state) {
    struct core_store *store = *state;
    struct event event = {.kind = EVENT_COMMAND_REFUSED};
    store->now_ms--;
    assert_int_equal(replay(store, "L1", &event, 1), WF_DAMAGE);
    store->now_ms = INT64_MAX;
    assert_int_equal(replay(store, "L1", &event, 1), WF_DAMAGE);
}

static void test_apply_reserve_may_be_given_up(void **state) {
    struct core_store *store = *state;
    struct command command = {.kind = COMMAND_WORKFLOW_START, .now_ms = store->now_ms};
    command.subject = text_view("L2");
    command.key = text_view("key");
    command.as.workflow_start.type = text_view("loan_application");
    decide(&store->state, &command, &store->decision);
    struct record record = core_store_record(store, &command);
    assert_int_equal(apply_reserve(&store->state, &record, &store->err), WF_OK);
    assert_null(core_workflow(store, "L2")); /* the log was full: nothing happened */
    assert_int_equal(check_state(&store->state, true, &store->err), WF_OK);
    assert_int_equal(submit_loan_step(store, 0), WF_OK);
    assert_null(core_workflow(store, "L2"));
    assert_int_equal(core_store_execute(store, &command), WF_OK);
    assert_non_null(core_workflow(store, "L2"));
}

static void test_apply_forgets_the_oldest_keys(void **state) {
    struct core_store *store = *state;
    store->keys_max = 2;
    char key[16];
    for (int i = 1; i <= 4; i++) {
        snprintf(key, sizeof key, "k%d", i);
        core_submit_keyed(store, "L1", core_loan_steps[i - 1][0], core_loan_steps[i - 1][1], key,
                          1);
    }
    assert_int_equal(store->state.store.key_first, 3);
    assert_true(state_key(&store->state, text_view("k2"))->entity.deleted);
    assert_false(state_key(&store->state, text_view("k3"))->entity.deleted);
    assert_null(state_key_at(&store->state, 2));
    /* Forgotten: the key is new again, and its tombstone lives again. */
    assert_int_equal(
        core_submit_keyed(store, "L1", core_loan_steps[4][0], core_loan_steps[4][1], "k1", 2),
        WF_OK);
    assert_false(store->decision.repeated);
    const struct idempotency_key *revived = state_key(&store->state, text_view("k1"));
    assert_false(revived->entity.deleted);
    assert_int_equal(revived->sequence, 5);
    assert_int_equal(revived->link.lsn, store->lsn);
    /* Tombstones leave when they were written and are evicted. */
    state_freeze(&store->state);
    while (store->state.frozen.first != NULL)
        state_thaw(&store->state, store->state.frozen.first);
    state_evict(&store->state, &state_key(&store->state, text_view("k2"))->entity);
    assert_int_equal(check_state(&store->state, true, &store->err), WF_OK);
}

static void test_apply_reserve_wants_forgotten_keys_in_memory(void **state) {
    struct core_store *store = *state;
    core_submit_keyed(store, "L1", core_loan_steps[0][0], core_loan_steps[0][1], "k1", 1);
    struct event event = {.kind = EVENT_COMMAND_REFUSED};
    struct record record = {.lsn = store->lsn + 1,
                            .time_ms = store->now_ms,
                            .command = COMMAND_WORKFLOW_SUBMIT,
                            .subject = text_view("L1"),
                            .keys_forgotten = 2,
                            .events = &event,
                            .event_count = 1};
    assert_int_equal(apply_reserve(&store->state, &record, &store->err), WF_DAMAGE);
    record.keys_forgotten = 0;
    record.key = text_view("k1");
    assert_int_equal(apply_reserve(&store->state, &record, &store->err), WF_DAMAGE);
}

static void test_apply_after_a_loss_passes_over_what_rests_on_it(void **state) {
    struct core_store *store = *state;
    store->state.after_loss = true;
    struct event events[2] = {{.kind = EVENT_STEP_SUBMITTED}, {.kind = EVENT_STAGE_ACTIVATED}};
    assert_int_equal(replay(store, "L2", events, 2), WF_OK); /* its start was lost */
    assert_null(core_workflow(store, "L2"));
    struct event start = {.kind = EVENT_WORKFLOW_STARTED};
    start.as.workflow_started.type = text_view("lost_type");
    start.as.workflow_started.version = 1;
    assert_int_equal(replay(store, "L3", &start, 1), WF_OK); /* its definition was lost */
    assert_null(core_workflow(store, "L3"));
    struct event half[2] = {{.kind = EVENT_WORKFLOW_STARTED}, {.kind = EVENT_STAGE_ACTIVATED}};
    half[0].as.workflow_started.type = text_view("loan_application");
    half[0].as.workflow_started.version = 1;
    half[1].as.stage_activated.stage = 63;
    assert_int_equal(replay(store, "L4", half, 2),
                     WF_OK); /* of another definition than the one here */
    assert_null(core_workflow(store, "L4"));
    assert_int_equal(check_state(&store->state, true, &store->err), WF_OK);
    assert_int_equal(submit_loan_step(store, 0), WF_OK); /* the others go on */
}

/* It is kept which records these are, and that they are counts for the state's bytes. */
static void test_apply_after_a_loss_keeps_what_is_without_effect(void **state) {
    struct core_store *store = *state;
    struct event event = {.kind = EVENT_STEP_SUBMITTED};
    store->state.after_loss = true;
    assert_false(store->state.any_ineffective);
    assert_int_equal(replay(store, "L2", &event, 1), WF_OK); /* its start was lost */
    uint64_t lsn = store->state.store.entity.changed_lsn;
    assert_true(store->state.any_ineffective);
    assert_non_null(state_ineffective(&store->state, lsn));
    assert_int_equal(submit_loan_step(store, 0), WF_OK);
    assert_null(state_ineffective(&store->state, lsn + 1));
    struct bytes_buffer key, value;
    size_t hashed = 0;
    bytes_buffer_init(&key);
    bytes_buffer_init(&value);
    entity_encode_key(&state_ineffective(&store->state, lsn)->entity, &key);
    entity_encode(&state_ineffective(&store->state, lsn)->entity, &value, &hashed);
    assert_int_equal(key.size, 9);
    assert_int_equal(key.data[0], ENTITY_INEFFECTIVE);
    assert_int_equal(hashed, value.size);
    struct state loaded;
    struct entity *entity = NULL;
    assert_int_equal(state_init(&loaded, &store->err), WF_OK);
    for (int i = 0; i < 2; i++) /* once: twice would be damage */
        assert_int_equal(entity_decode(&loaded, (struct bytes_view){key.data, key.size},
                                       (struct bytes_view){value.data, value.size}, &entity,
                                       &store->err),
                         i == 0 ? WF_OK : WF_DAMAGE);
    assert_true(loaded.any_ineffective);
    assert_non_null(state_ineffective(&loaded, lsn));
    state_deinit(&loaded);
    bytes_buffer_deinit(&key);
    bytes_buffer_deinit(&value);
}

static void test_apply_notes_a_repair(void **state) {
    struct core_store *store = *state;
    struct command command = {.kind = COMMAND_LOG_REPAIR, .now_ms = store->now_ms};
    command.as.log_repair.first_lsn = 3;
    command.as.log_repair.last_lsn = 4;
    command.as.log_repair.copy = text_view("00000000000000000001.seg.damaged-1");
    assert_int_equal(core_store_execute(store, &command), WF_OK);
    assert_int_equal(store->decision.events[0].as.log_repaired.last_lsn, 4);
    assert_int_equal(store->state.store.repairs, 1);
}

/* A state that is kept between a loss and the record of its repair knows of it. */
static void test_apply_ignores_from_a_loss_to_its_repair_whatever_lies_between(void **state) {
    struct core_store *store = *state;
    struct bytes_buffer key, value;
    struct state loaded;
    struct entity *entity = NULL;
    apply_lost(&store->state, ++store->lsn);
    apply_lost(&store->state, ++store->lsn);
    assert_true(store->state.after_loss);
    assert_int_equal(store->state.store.untold, 2);
    for (int repaired = 0; repaired < 2; repaired++) {
        bytes_buffer_init(&key);
        bytes_buffer_init(&value);
        entity_encode_key(&store->state.store.entity, &key);
        entity_encode(&store->state.store.entity, &value, NULL);
        assert_int_equal(state_init(&loaded, &store->err), WF_OK);
        assert_int_equal(entity_decode(&loaded, (struct bytes_view){key.data, key.size},
                                       (struct bytes_view){value.data, value.size}, &entity,
                                       &store->err),
                         WF_OK);
        assert_int_equal(loaded.after_loss, !repaired);
        assert_int_equal(loaded.store.untold, repaired ? 0 : 2);
        state_deinit(&loaded);
        bytes_buffer_deinit(&key);
        bytes_buffer_deinit(&value);
        struct command command = {.kind = COMMAND_LOG_REPAIR, .now_ms = store->now_ms};
        command.as.log_repair.first_lsn = store->lsn - 1;
        command.as.log_repair.last_lsn = store->lsn;
        command.as.log_repair.copy = text_view("00000000000000000001.seg.damaged-1");
        assert_int_equal(core_store_execute(store, &command), WF_OK);
    }
}

#define LOAN_TEST(name) cmocka_unit_test_setup_teardown(name, open_loan, close_loan)

int main(void) {
    const struct CMUnitTest tests[] = {
        LOAN_TEST(test_apply_carries_a_loan_to_its_end),
        LOAN_TEST(test_apply_sets_deadlines_and_lsns),
        LOAN_TEST(test_apply_refusal_changes_history_only),
        LOAN_TEST(test_apply_end_leaves_no_deadline),
        LOAN_TEST(test_apply_replay_comes_to_the_same_bytes),
        LOAN_TEST(test_apply_reserve_refuses_what_cannot_follow),
        LOAN_TEST(test_apply_reserve_refuses_a_step_in_force),
        LOAN_TEST(test_apply_reserve_refuses_time_that_runs_back),
        LOAN_TEST(test_apply_reserve_may_be_given_up),
        LOAN_TEST(test_apply_forgets_the_oldest_keys),
        LOAN_TEST(test_apply_reserve_wants_forgotten_keys_in_memory),
        LOAN_TEST(test_apply_after_a_loss_passes_over_what_rests_on_it),
        LOAN_TEST(test_apply_after_a_loss_keeps_what_is_without_effect),
        LOAN_TEST(test_apply_notes_a_repair),
        LOAN_TEST(test_apply_ignores_from_a_loss_to_its_repair_whatever_lies_between),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
