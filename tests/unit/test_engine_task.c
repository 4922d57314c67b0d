/* Tasks through the engine: task.c, handler.c, and what the snapshot keeps of them. */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static const char yaml[] = "workflow: w\nversion: 1\nsteps: {t: {completes: b}}\n"
                           "stages:\n"
                           "  - {name: a, handler: callback, compensate: callback}\n"
                           "  - {name: b, needs: [a]}\n";

static void define(struct engine_fixture *f) {
    const struct wf_command define = {.kind = WF_DEFINITION_ADD, .text = yaml};
    must(f, wf_execute(f->engine, &define, NULL, &f->err));
}

static int setup(void **state) {
    static struct engine_fixture fixture;
    fixture_init_sim(&fixture);
    define(&fixture);
    *state = &fixture;
    return 0;
}

static int setup_disk(void **state) {
    static struct engine_fixture fixture;
    fixture_init_disk(&fixture);
    define(&fixture);
    *state = &fixture;
    return 0;
}

static void start(struct engine_fixture *f, const char *id) {
    const struct wf_command start = {.kind = WF_WORKFLOW_START, .id = id, .type = "w"};
    must(f, wf_execute(f->engine, &start, NULL, &f->err));
}

static void advance(struct engine_fixture *f, int64_t ms) {
    const struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = ms};
    must(f, wf_execute(f->engine, &advance, NULL, &f->err));
}

static bool run(struct engine_fixture *f) {
    const struct wf_worker worker = {.name = "me"};
    bool did;
    int64_t next_ms;
    must(f, wf_worker_run(f->engine, &worker, &did, &next_ms, &f->err));
    return did;
}

static const char *stage_of(struct engine_fixture *f, const char *id, char text[64]) {
    struct wf_workflow *workflow;
    must(f, wf_workflow_get(f->engine, id, &workflow, &f->err));
    snprintf(text, 64, "%s", workflow->stage);
    wf_workflow_free(workflow);
    return text;
}

struct calls {
    int count;
    char key[64];
    bool ok;
};

static void call(void *ctx, const struct wf_task *task, struct wf_handled *handled) {
    static const struct wf_field field = {"answer", "42"};
    struct calls *calls = ctx;
    calls->count++;
    snprintf(calls->key, sizeof calls->key, "%s", task->key);
    handled->ok = calls->ok;
    handled->fields = &field;
    handled->field_count = 1;
    handled->reason = "not today";
}

static void test_callback_completes_its_stage(void **state) {
    struct engine_fixture *f = *state;
    struct calls calls = {.ok = true};
    char stage[64];
    must(f, wf_handler_register(f->engine, "a", false, call, &calls, &f->err));
    start(f, "W");
    assert_true(run(f));
    assert_false(run(f));
    assert_int_equal(calls.count, 1);
    assert_string_equal(calls.key, "W/a/1");
    assert_string_equal(stage_of(f, "W", stage), "b");
}

static void test_callback_that_is_not_registered_fails_the_attempt(void **state) {
    struct engine_fixture *f = *state;
    start(f, "W");
    assert_true(run(f));
    struct wf_workflow *workflow;
    must(f, wf_workflow_get(f->engine, "W", &workflow, &f->err));
    assert_string_equal(workflow->tasks[0].status, "due");
    assert_non_null(strstr(workflow->tasks[0].reason, "no callback is registered"));
    wf_workflow_free(workflow);
}

static void test_callback_for_compensation_is_another(void **state) {
    struct engine_fixture *f = *state;
    struct calls work = {.ok = true}, undo = {.ok = true};
    must(f, wf_handler_register(f->engine, "a", false, call, &work, &f->err));
    must(f, wf_handler_register(f->engine, "a", true, call, &undo, &f->err));
    start(f, "W");
    run(f);
    const struct wf_command cancel = {
        .kind = WF_WORKFLOW_CANCEL, .id = "W", .reason = "no", .rollback = true, .actor = "eve"};
    must(f, wf_execute(f->engine, &cancel, NULL, &f->err));
    fixture_reopen(f, true); /* it survives, and the callbacks are the program's to register */
    must(f, wf_handler_register(f->engine, "a", true, call, &undo, &f->err));
    assert_true(run(f));
    assert_false(run(f));
    assert_int_equal(work.count, 1);
    assert_int_equal(undo.count, 1);
    assert_string_equal(undo.key, "W/a/1/compensate");
}

static void test_tasks_come_back_from_the_snapshot_in_order(void **state) {
    struct engine_fixture *f = *state;
    char id[16];
    for (int i = 0; i < 20; i++) {
        start(f, fixture_id(19 - i, id));
        advance(f, 1000);
    }
    fixture_loans(f, 100, 50, 2);
    for (int round = 0; round < 2; round++) {
        fixture_reopen(f, round == 0);
        for (int i = round * 10; i < round * 10 + 10; i++) {
            struct wf_workflow *workflow;
            const struct wf_task *task;
            must(f, wf_task_claim(f->engine, "me", 3600 * 1000, &workflow, &task, NULL, &f->err));
            assert_non_null(task);
            assert_string_equal(task->id, fixture_id(19 - i, id));
            wf_workflow_free(workflow);
        }
    }
    fixture_verify(f);
}

/* Claim until none is due; each is of the workflow that follows the one before. */
static int claim_in_order(struct engine_fixture *f, int next) {
    for (;; next++) {
        struct wf_workflow *workflow;
        const struct wf_task *task;
        char id[16];
        must(f, wf_task_claim(f->engine, "me", 3600 * 1000, &workflow, &task, NULL, &f->err));
        if (task == NULL)
            return next;
        assert_string_equal(task->id, fixture_id(next, id));
        wf_workflow_free(workflow);
    }
}

static void test_tasks_leave_memory_and_are_claimed_in_order(void **state) {
    struct engine_fixture *f = *state;
    char id[16];
    f->options.memory_max = 64 * 1024;
    fixture_reopen(f, true);
    for (int i = 0; i < 600; i++) {
        start(f, fixture_id(i, id));
        if (i % 100 == 0)
            advance(f, 1000);
        if (i % 150 == 0)
            must(f, wf_snapshot(f->engine, &f->err));
    }
    must(f, wf_snapshot(f->engine, &f->err));
    fixture_loans(f, 1000, 100, 1); /* others push them out */
    assert_true(fixture_status(f).workflows_in_memory < 400);
    assert_int_equal(claim_in_order(f, 0), 600);
    fixture_verify(f);
}

static void test_tasks_cost_nothing_at_opening(void **state) {
    struct engine_fixture *f = *state;
    char id[16];
    int64_t next_ms = 0;
    for (int i = 0; i < 300; i++)
        start(f, fixture_id(i, id));
    fixture_reopen(f, true);
    assert_int_equal(fixture_status(f).workflows_in_memory, 0);
    assert_int_equal(claim_in_order(f, 0), 300);
    fixture_reopen(f, true);
    struct wf_workflow *workflow;
    const struct wf_task *task;
    must(f, wf_task_claim(f->engine, "me", 0, &workflow, &task, &next_ms, &f->err));
    assert_null(task);
    assert_int_equal(next_ms, INT64_C(1767225600000) + 3600 * 1000);
    assert_true(fixture_status(f).workflows_in_memory <= 1);
}

static void test_parked_tasks_are_not_looked_at(void **state) {
    struct engine_fixture *f = *state;
    struct calls calls = {.ok = false};
    char id[16];
    must(f, wf_handler_register(f->engine, "a", false, call, &calls, &f->err));
    for (int i = 0; i < 50; i++)
        start(f, fixture_id(i, id));
    for (int round = 0; round < 10; round++) {
        while (run(f))
            ;
        advance(f, 3600 * 1000);
    }
    fixture_reopen(f, true);
    int64_t next_ms = 1;
    struct wf_workflow *workflow;
    const struct wf_task *task;
    must(f, wf_task_claim(f->engine, "me", 0, &workflow, &task, &next_ms, &f->err));
    assert_null(task);
    assert_int_equal(next_ms, 0);
    assert_int_equal(fixture_status(f).workflows_in_memory, 0);
    const struct wf_command retry = {.kind = WF_TASK_RETRY, .id = "L0007", .stage = "a"};
    must(f, wf_execute(f->engine, &retry, NULL, &f->err));
    fixture_reopen(f, true);
    assert_int_equal(claim_in_order(f, 7), 8);
}

static void test_tasks_of_a_failed_snapshot_stand_in_the_next(void **state) {
    struct engine_fixture *f = *state;
    start(f, "V");
    must(f, wf_snapshot(f->engine, &f->err));
    start(f, "W");
    sim_snapshot_fail_commit(f->snapshots, 1, WF_FULL);
    assert_int_equal(wf_snapshot(f->engine, &f->err), WF_FULL);
    must(f, wf_snapshot(f->engine, &f->err));
    fixture_reopen(f, false);
    struct calls calls = {.ok = true};
    must(f, wf_handler_register(f->engine, "a", false, call, &calls, &f->err));
    assert_true(run(f));
    assert_true(run(f));
    assert_false(run(f));
    assert_string_equal(calls.key, "W/a/1");
}

/* Write the snapshot that there is as an older program would have. */
static void age_snapshot(struct engine_fixture *f) {
    struct snapshot_meta meta;
    must(f, wf_snapshot(f->engine, &f->err));
    assert_true(f->engine->snapshot->ops->meta(f->engine->snapshot, &meta));
    meta.bytes[0] = CHECKPOINT_META_WITHOUT_TASK_ORDER;
    must(f, f->engine->snapshot->ops->commit(f->engine->snapshot, NULL, 0, &meta, &f->err));
    must(f, f->engine->snapshot->ops->refresh(f->engine->snapshot, &f->err));
}

static void test_tasks_of_an_older_snapshot_are_rebuilt_from_the_log(void **state) {
    struct engine_fixture *f = *state;
    fixture_loans(f, 0, 3, 1);
    age_snapshot(f);
    fixture_reopen(f, false);
    assert_int_equal(fixture_status(f).replayed, 0); /* no tasks: as good */
    start(f, "W");
    age_snapshot(f);
    fixture_reopen(f, false);
    assert_non_null(strstr(fixture_status(f).notes, "before tasks had an order"));
    assert_true(run(f));
    fixture_verify(f);
}

static bool count_task(void *ctx, const struct wf_task *task) {
    (void)task;
    ++*(int *)ctx;
    return true;
}

static void test_task_list_finds_those_in_the_snapshot_and_in_memory(void **state) {
    struct engine_fixture *f = *state;
    start(f, "V");
    fixture_reopen(f, true);
    start(f, "W");
    int count = 0;
    must(f, wf_task_list(f->engine, NULL, count_task, &count, &f->err));
    assert_int_equal(count, 2);
    count = 0;
    must(f, wf_task_list(f->engine, "V", count_task, &count, &f->err));
    assert_int_equal(count, 1);
    f->options.read_only = false;
}

static void test_claim_wants_a_worker_and_an_owner(void **state) {
    struct engine_fixture *f = *state;
    struct wf_workflow *workflow;
    const struct wf_task *task;
    assert_int_equal(wf_task_claim(f->engine, "", 0, &workflow, &task, NULL, &f->err), WF_USAGE);
    assert_int_equal(wf_task_claim(f->engine, "me", -1, &workflow, &task, NULL, &f->err), WF_USAGE);
    assert_int_equal(wf_handler_register(f->engine, "", false, call, NULL, &f->err), WF_USAGE);
}

static void die(void *ctx, const struct wf_task *task, struct wf_handled *handled) {
    (void)ctx, (void)task, (void)handled;
    _exit(77);
}

/* A callback that takes its process down, again and again: each attempt was recorded before, so
 * that the fifth is the last, and everything else goes on. */
static void test_callback_that_kills_its_host_is_parked(void **state) {
    struct engine_fixture *f = *state;
    start(f, "W");
    for (int i = 0; i < 5; i++) {
        fixture_close(f);
        pid_t pid = fork();
        if (pid == 0) {
            if (fixture_try_open(f) != WF_OK)
                _exit(1);
            (void)wf_handler_register(f->engine, "a", false, die, NULL, NULL);
            run(f);
            _exit(2);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(WEXITSTATUS(status), 77);
        fixture_open(f);
        advance(f, 3600 * 1000); /* the lease */
    }
    start(f, "V");
    struct calls calls = {.ok = true};
    must(f, wf_handler_register(f->engine, "a", false, call, &calls, &f->err));
    assert_true(run(f)); /* parks W on the way */
    assert_string_equal(calls.key, "V/a/1");
    assert_false(run(f));
    struct wf_workflow *workflow;
    must(f, wf_workflow_get(f->engine, "W", &workflow, &f->err));
    assert_string_equal(workflow->tasks[0].status, "parked");
    assert_int_equal(workflow->tasks[0].attempt, 5);
    assert_string_equal(workflow->status, "running");
    wf_workflow_free(workflow);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
        TEST(test_callback_completes_its_stage),
        TEST(test_callback_that_is_not_registered_fails_the_attempt),
        TEST(test_callback_for_compensation_is_another),
        TEST(test_tasks_come_back_from_the_snapshot_in_order),
        TEST(test_tasks_leave_memory_and_are_claimed_in_order),
        TEST(test_tasks_cost_nothing_at_opening),
        TEST(test_parked_tasks_are_not_looked_at),
        TEST(test_tasks_of_a_failed_snapshot_stand_in_the_next),
        TEST(test_tasks_of_an_older_snapshot_are_rebuilt_from_the_log),
        TEST(test_task_list_finds_those_in_the_snapshot_and_in_memory),
        TEST(test_claim_wants_a_worker_and_an_owner),
        cmocka_unit_test_setup_teardown(test_callback_that_kills_its_host_is_parked, setup_disk,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
