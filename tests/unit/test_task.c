/* Handlers' tasks: core/task*.c. check_state() holds after each command (tests/lib/core_store.c).
 */
#include "engine/core/task.h"
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* a: handler and compensation; b: completed by a step or its handler; c: by hand, with
 * compensation. */
static const char yaml[] =
    "workflow: w\nversion: 1\n"
    "steps: {s: {completes: b, requires: [x], provides: [d]}, t: {completes: c}}\n"
    "stages:\n"
    "  - {name: a, handler: {exec: [/bin/a], timeout: 10s, attempts: 3, backoff: 2s},"
    " compensate: {exec: [/bin/undo], timeout: 10s, attempts: 2, backoff: 1s}}\n"
    "  - {name: b, needs: [a], timeout: 1h, handler: callback}\n"
    "  - {name: c, needs: [b], compensate: callback}\n";

static int open_store(void **state) {
    struct core_store *store = core_store_open(false);
    assert_int_equal(core_define(store, yaml), WF_OK);
    assert_int_equal(core_start(store, "W", "w", NULL), WF_OK);
    *state = store;
    return 0;
}

static int close_store(void **state) {
    core_store_close(*state);
    return 0;
}

static void says(const struct core_store *store, const char *words) {
    if (strstr(store->decision.message, words) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", store->decision.message, words);
}

static enum wf_status claim(struct core_store *store, const char *worker) {
    struct command command = {.kind = COMMAND_TASK_CLAIM, .now_ms = store->now_ms};
    command.subject = text_view("W");
    command.as.task.worker = text_view(worker);
    return core_store_execute(store, &command);
}

static enum wf_status answer(struct core_store *store, enum command_kind kind, const char *stage,
                             bool compensate, uint32_t epoch, uint32_t tries, const char *worker,
                             const char *fields) {
    char text[256];
    struct field list[16];
    snprintf(text, sizeof text, "%s", fields);
    struct command command = {.kind = kind, .now_ms = store->now_ms};
    command.subject = text_view("W");
    command.as.task.stage = text_view(stage);
    command.as.task.compensate = compensate;
    command.as.task.epoch = epoch;
    command.as.task.tries = tries;
    command.as.task.worker = text_view(worker);
    command.as.task.reason = text_view("no answer");
    command.as.task.fields = list;
    command.as.task.field_count = core_fields(text, list);
    return core_store_execute(store, &command);
}

static enum wf_status complete(struct core_store *store, const char *stage, uint32_t epoch,
                               uint32_t tries, const char *worker, const char *fields) {
    return answer(store, COMMAND_TASK_COMPLETE, stage, false, epoch, tries, worker, fields);
}

static enum wf_status fail_task(struct core_store *store, const char *stage, uint32_t tries) {
    return answer(store, COMMAND_TASK_FAIL, stage, false, 1, tries, "me", "");
}

static const struct task *task_of(struct core_store *store, unsigned stage, bool compensate) {
    return task_find(core_workflow(store, "W"), stage, compensate, 1);
}

static void has(struct core_store *store, const char *name, const char *value) {
    struct bytes_view found = workflow_field(core_workflow(store, "W"), name, strlen(name));
    assert_int_equal(found.size, value != NULL ? strlen(value) : 0);
    if (value != NULL)
        assert_memory_equal(found.data, value, found.size);
}

static void test_task_is_due_with_its_stage(void **state) {
    struct core_store *store = *state;
    const struct task *task = task_of(store, 0, false);
    assert_int_equal(task->status, TASK_DUE);
    assert_int_equal(task->due_ms, store->now_ms);
    assert_int_equal(timers_first(&store->state.tasks)->due_ms, store->now_ms);
    assert_null(task_of(store, 1, false));
}

static void test_task_claim_is_counted_and_leased(void **state) {
    struct core_store *store = *state;
    assert_int_equal(claim(store, "me"), WF_OK);
    const struct task *task = task_of(store, 0, false);
    assert_int_equal(task->status, TASK_CLAIMED);
    assert_int_equal(task->tries, 1);
    assert_int_equal(task->due_ms, store->now_ms + 10000 + TASK_LEASE_MARGIN_MS);
    assert_int_equal(claim(store, "you"), WF_NOT_FOUND);
    says(store, "no task of workflow W is due");
}

static void test_task_completes_its_stage_with_fields(void **state) {
    struct core_store *store = *state;
    char stages[512];
    claim(store, "me");
    assert_int_equal(complete(store, "a", 1, 1, "me", "score=7 note=fine"), WF_OK);
    assert_string_equal(core_stages(store, "W", stages), "completed active blocked");
    has(store, "score", "7");
    assert_null(task_of(store, 0, false));
    assert_int_equal(task_of(store, 1, false)->status, TASK_DUE);
}

static void test_task_completes_as_if_by_the_step(void **state) {
    struct core_store *store = *state;
    claim(store, "me");
    complete(store, "a", 1, 1, "me", "");
    claim(store, "me");
    assert_int_equal(complete(store, "b", 1, 1, "me", "y=1"), WF_REFUSED);
    says(store, "step s lacks the required field x");
    assert_int_equal(complete(store, "b", 1, 1, "me", "x=1"), WF_OK);
    const struct workflow *workflow = core_workflow(store, "W");
    assert_int_equal(workflow->step_count, 1);
    assert_int_equal(workflow_items(workflow), 1);
    has(store, "x", "1");
    assert_int_equal(core_submit(store, "W", "t", NULL), WF_OK);
    assert_int_equal(workflow->status, WORKFLOW_COMPLETED);
}

static void test_task_fails_and_waits_longer_each_time(void **state) {
    struct core_store *store = *state;
    claim(store, "me");
    assert_int_equal(fail_task(store, "a", 1), WF_OK);
    assert_int_equal(task_of(store, 0, false)->due_ms, store->now_ms + 2000);
    assert_int_equal(claim(store, "me"), WF_NOT_FOUND);
    store->now_ms += 2000;
    assert_int_equal(claim(store, "me"), WF_OK);
    assert_int_equal(fail_task(store, "a", 2), WF_OK);
    assert_int_equal(task_of(store, 0, false)->due_ms, store->now_ms + 4000);
    assert_memory_equal(task_reason(task_of(store, 0, false)).data, "no answer", 9);
}

static void park(struct core_store *store) {
    for (uint32_t i = 1; i <= 3; i++) {
        assert_int_equal(claim(store, "me"), WF_OK);
        assert_int_equal(fail_task(store, "a", i), WF_OK);
        store->now_ms += 10000;
    }
}

static void test_task_is_parked_after_its_attempts_and_retried(void **state) {
    struct core_store *store = *state;
    park(store);
    assert_int_equal(task_of(store, 0, false)->status, TASK_PARKED);
    assert_null(timers_first(&store->state.tasks));
    assert_int_equal(claim(store, "me"), WF_NOT_FOUND);
    assert_int_equal(core_workflow(store, "W")->status, WORKFLOW_RUNNING);
    assert_int_equal(answer(store, COMMAND_TASK_RETRY, "b", false, 0, 0, "", ""), WF_REFUSED);
    says(store, "the handler of stage b of workflow W is not parked");
    assert_int_equal(answer(store, COMMAND_TASK_RETRY, "a", false, 0, 0, "", ""), WF_OK);
    assert_int_equal(task_of(store, 0, false)->tries, 0);
    assert_int_equal(claim(store, "me"), WF_OK);
}

static void test_task_whose_last_lease_ran_out_is_parked(void **state) {
    struct core_store *store = *state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(claim(store, "crasher"), WF_OK);
        store->now_ms += 10000 + TASK_LEASE_MARGIN_MS;
    }
    assert_int_equal(claim(store, "next"), WF_OK);
    assert_int_equal(store->decision.events[0].kind, EVENT_TASK_PARKED);
    struct bytes_view reason = task_reason(task_of(store, 0, false));
    assert_non_null(memmem(reason.data, reason.size,
                           "attempt 3 of 3, by worker crasher, was not answered", 51));
}

static void test_task_answer_of_a_lost_lease_is_fenced(void **state) {
    struct core_store *store = *state;
    claim(store, "slow");
    store->now_ms += 10000 + TASK_LEASE_MARGIN_MS;
    assert_int_equal(claim(store, "quick"), WF_OK);
    assert_int_equal(complete(store, "a", 1, 1, "slow", "who=slow"), WF_REFUSED);
    says(store, "no longer claimed by worker slow: the answer has no effect");
    assert_int_equal(store->decision.events[0].kind, EVENT_COMMAND_REFUSED);
    has(store, "who", NULL);
    assert_int_equal(complete(store, "a", 1, 2, "slow", ""), WF_REFUSED);
    assert_int_equal(complete(store, "a", 1, 2, "quick", "who=quick"), WF_OK);
    assert_int_equal(complete(store, "a", 1, 2, "quick", "who=again"), WF_REFUSED);
    says(store, "is over: the answer has no effect");
    has(store, "who", "quick");
}

static void test_task_answer_after_the_lease_counts_where_nobody_took_over(void **state) {
    struct core_store *store = *state;
    claim(store, "slow");
    store->now_ms += 3600 * 1000;
    assert_int_equal(complete(store, "a", 1, 1, "slow", ""), WF_OK);
}

static void test_task_of_a_stage_that_is_over_is_gone(void **state) {
    struct core_store *store = *state;
    claim(store, "me");
    complete(store, "a", 1, 1, "me", "");
    claim(store, "me");
    assert_int_equal(core_submit(store, "W", "s", "x=1"), WF_OK); /* by hand meanwhile */
    assert_null(core_workflow(store, "W")->tasks);
    assert_int_equal(complete(store, "b", 1, 1, "me", "x=2"), WF_REFUSED);
    has(store, "x", "1");
}

static void test_task_timeout_brings_a_new_epoch(void **state) {
    struct core_store *store = *state;
    claim(store, "me");
    complete(store, "a", 1, 1, "me", "");
    claim(store, "me");
    store->now_ms += 3600 * 1000;
    assert_int_equal(core_fire_due(store), 1);
    assert_int_equal(core_workflow(store, "W")->stages[1].attempt, 2);
    const struct task *task = task_find(core_workflow(store, "W"), 1, false, 2);
    assert_int_equal(task->status, TASK_DUE);
    assert_int_equal(task->tries, 0);
    assert_int_equal(complete(store, "b", 1, 1, "me", "x=1"), WF_REFUSED);
}

/* The same worker, and its first attempt again: only the epoch tells the answers apart. */
static void test_task_answer_of_an_earlier_epoch_is_fenced(void **state) {
    struct core_store *store = *state;
    claim(store, "me");
    complete(store, "a", 1, 1, "me", "");
    claim(store, "me");
    store->now_ms += 3600 * 1000;
    assert_int_equal(core_fire_due(store), 1);
    assert_int_equal(claim(store, "me"), WF_OK);
    assert_int_equal(task_find(core_workflow(store, "W"), 1, false, 2)->tries, 1);
    assert_int_equal(complete(store, "b", 1, 1, "me", "x=1"), WF_REFUSED);
    has(store, "x", NULL);
    assert_int_equal(complete(store, "b", 2, 1, "me", "x=2"), WF_OK);
    has(store, "x", "2");
}

static void test_task_undone_stage_is_compensated_once(void **state) {
    struct core_store *store = *state;
    claim(store, "me");
    complete(store, "a", 1, 1, "me", "score=7");
    assert_int_equal(core_rollback(store, "W", "a", "eve"), WF_OK);
    has(store, "score", NULL); /* what its handler gave is withdrawn */
    assert_int_equal(task_of(store, 0, true)->status, TASK_DUE);
    assert_int_equal(task_find(core_workflow(store, "W"), 0, false, 2)->status, TASK_DUE);
    assert_int_equal(core_cancel(store, "W", "enough"), WF_OK);
    assert_non_null(task_of(store, 0, true)); /* it survives the end; the handler does not */
    assert_null(task_find(core_workflow(store, "W"), 0, false, 2));
    assert_int_equal(claim(store, "me"), WF_OK);
    assert_int_equal(answer(store, COMMAND_TASK_COMPLETE, "a", true, 1, 1, "me", "undone=yes"),
                     WF_OK);
    has(store, "undone", NULL); /* in the history only */
    assert_null(core_workflow(store, "W")->tasks);
    assert_int_equal(answer(store, COMMAND_TASK_COMPLETE, "a", true, 1, 1, "me", ""), WF_REFUSED);
}

static void test_task_that_was_never_claimed_needs_no_compensation(void **state) {
    struct core_store *store = *state;
    assert_int_equal(core_cancel_back(store, "W", "enough", "eve"), WF_OK);
    assert_null(core_workflow(store, "W")->tasks);
}

static void test_task_that_was_claimed_is_compensated_though_not_completed(void **state) {
    struct core_store *store = *state;
    claim(store, "me");
    assert_int_equal(core_cancel_back(store, "W", "enough", "eve"), WF_OK);
    assert_int_equal(task_of(store, 0, true)->status, TASK_DUE);
}

static void test_task_stage_completed_by_a_step_is_compensated(void **state) {
    struct core_store *store = *state;
    claim(store, "me");
    complete(store, "a", 1, 1, "me", "");
    core_submit(store, "W", "s", "x=1");
    core_submit(store, "W", "t", NULL);
    assert_int_equal(core_rollback(store, "W", "c", "eve"), WF_OK);
    assert_int_equal(task_of(store, 2, true)->status, TASK_DUE);
}

/* Tasks survive as bytes, and the queue is filled again from them. */
static void test_task_survives_as_bytes(void **state) {
    struct core_store *store = *state;
    claim(store, "me");
    fail_task(store, "a", 1);
    struct workflow *workflow = core_workflow(store, "W");
    struct bytes_buffer key, value, again;
    bytes_buffer_init(&key);
    bytes_buffer_init(&value);
    bytes_buffer_init(&again);
    entity_encode_key(&workflow->entity, &key);
    entity_encode(&workflow->entity, &value, NULL);
    state_freeze(&store->state);
    while (store->state.frozen.first != NULL)
        state_thaw(&store->state, store->state.frozen.first);
    state_evict(&store->state, &workflow->entity);
    assert_null(timers_first(&store->state.tasks));
    struct entity *entity;
    assert_int_equal(entity_decode(&store->state, (struct bytes_view){key.data, key.size},
                                   (struct bytes_view){value.data, value.size}, &entity,
                                   &store->err),
                     WF_OK);
    entity_encode(entity, &again, NULL);
    assert_int_equal(again.size, value.size);
    assert_memory_equal(again.data, value.data, value.size);
    assert_int_equal(timers_first(&store->state.tasks)->due_ms, store->now_ms + 2000);
    bytes_buffer_deinit(&key);
    bytes_buffer_deinit(&value);
    bytes_buffer_deinit(&again);
}

static void test_task_goes_along_with_a_migration(void **state) {
    struct core_store *store = *state;
    claim(store, "me");
    assert_int_equal(core_define(store, "workflow: w\nversion: 2\nsteps: {t: {completes: c}}\n"
                                        "stages: [{name: c, needs: [first]},"
                                        " {name: first, handler: callback}]\n"),
                     WF_OK);
    assert_int_equal(core_migrate(store, "W", 2, "a=first"), WF_OK);
    assert_int_equal(task_of(store, 1, false)->status, TASK_CLAIMED);
    assert_int_equal(complete(store, "first", 1, 1, "me", "score=7"), WF_OK);
    has(store, "score", "7");
    assert_int_equal(core_submit(store, "W", "t", NULL), WF_OK);
    assert_int_equal(core_workflow(store, "W")->status, WORKFLOW_COMPLETED);
}

static void test_task_that_is_due_first_is_at_hand(void **state) {
    struct core_store *store = *state;
    enum { COUNT = 2000 };
    for (int i = 0; i < COUNT; i++) {
        char id[16];
        snprintf(id, sizeof id, "V%05d", i);
        store->now_ms++;
        assert_int_equal(core_start(store, id, "w", NULL), WF_OK);
    }
    assert_int_equal(store->state.tasks.count, COUNT + 1);
    assert_string_equal(timers_first(&store->state.tasks)->workflow->id, "W");
    claim(store, "me");
    assert_string_equal(timers_first(&store->state.tasks)->workflow->id, "V00000");
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, open_store, close_store)
        TEST(test_task_is_due_with_its_stage),
        TEST(test_task_claim_is_counted_and_leased),
        TEST(test_task_completes_its_stage_with_fields),
        TEST(test_task_completes_as_if_by_the_step),
        TEST(test_task_fails_and_waits_longer_each_time),
        TEST(test_task_is_parked_after_its_attempts_and_retried),
        TEST(test_task_whose_last_lease_ran_out_is_parked),
        TEST(test_task_answer_of_a_lost_lease_is_fenced),
        TEST(test_task_answer_after_the_lease_counts_where_nobody_took_over),
        TEST(test_task_of_a_stage_that_is_over_is_gone),
        TEST(test_task_timeout_brings_a_new_epoch),
        TEST(test_task_answer_of_an_earlier_epoch_is_fenced),
        TEST(test_task_undone_stage_is_compensated_once),
        TEST(test_task_that_was_never_claimed_needs_no_compensation),
        TEST(test_task_that_was_claimed_is_compensated_though_not_completed),
        TEST(test_task_stage_completed_by_a_step_is_compensated),
        TEST(test_task_survives_as_bytes),
        TEST(test_task_goes_along_with_a_migration),
        TEST(test_task_that_is_due_first_is_at_hand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
