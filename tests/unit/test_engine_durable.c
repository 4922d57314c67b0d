/* Nothing is shown before it is durable, and what a failing or full disk means for commands, for
 * their waiters, and for queries: commit.c, query.c, status.c, recover.c. */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static int setup(void **state) {
    static struct engine_fixture fixture;
    fixture_init_sim(&fixture);
    fixture_loan(&fixture, "L1", 1);
    *state = &fixture;
    return 0;
}

static struct wf_command cancel(const char *id) {
    return (struct wf_command){.kind = WF_WORKFLOW_CANCEL, .id = id, .reason = "because"};
}

static struct wf_command start(const char *id) {
    return (struct wf_command){.kind = WF_WORKFLOW_START, .id = id, .type = "loan_application"};
}

/* --- waiting --- */

struct waiter {
    struct engine_fixture *fixture;
    int what;
    enum wf_status status;
    struct wf_error err;
    _Atomic bool done;
    pthread_t thread;
};

enum { ASK_GET, ASK_HISTORY, ASK_LIST, ASK_STATUS, ASK_REFUSED, ASK_ABSENT, ASK_AS_OF, ASK_COUNT };

static bool ignore_event(void *ctx, const struct wf_event *event) {
    (void)ctx;
    (void)event;
    return true;
}

static bool ignore_workflow(void *ctx, const struct wf_workflow *workflow) {
    (void)ctx;
    (void)workflow;
    return true;
}

static void *ask(void *ctx) {
    struct waiter *w = ctx;
    struct wf_engine *engine = w->fixture->engine;
    struct wf_workflow *workflow = NULL;
    struct wf_store_status status;
    struct wf_command command = cancel(w->what == ASK_ABSENT ? "nobody" : "L1");
    switch (w->what) {
    case ASK_GET:
        w->status = wf_workflow_get(engine, "L1", &workflow, &w->err);
        break;
    case ASK_AS_OF:
        w->status = wf_workflow_get_as_of(engine, "L1", 3, &workflow, &w->err);
        break;
    case ASK_HISTORY:
        w->status = wf_workflow_history(engine, "L1", ignore_event, NULL, &w->err);
        break;
    case ASK_LIST:
        w->status = wf_workflow_list(engine, NULL, ignore_workflow, NULL, &w->err);
        break;
    case ASK_STATUS:
        w->status = wf_status_get(engine, true, &status, &w->err);
        break;
    case ASK_REFUSED: /* it has ended, by a record that is not durable */
    case ASK_ABSENT:
        w->status = wf_execute(engine, &command, NULL, &w->err);
        break;
    default:
        break;
    }
    wf_workflow_free(workflow);
    atomic_store(&w->done, true);
    return NULL;
}

static void begin_asking(struct waiter *waiters, struct engine_fixture *f) {
    for (int i = 0; i < ASK_COUNT; i++) {
        waiters[i] = (struct waiter){.fixture = f, .what = i};
        assert_int_equal(pthread_create(&waiters[i].thread, NULL, ask, &waiters[i]), 0);
    }
}

static void test_nothing_is_answered_before_it_is_durable(void **state) {
    struct engine_fixture *f = *state;
    struct fixture_gate gate;
    struct wf_pending pending;
    struct waiter waiters[ASK_COUNT];
    struct wf_command command = cancel("L1");
    fixture_gate_init(&gate, f);
    fixture_gate_close(&gate);
    assert_int_equal(wf_enqueue(f->engine, &command, &pending, &f->err), WF_OK);
    assert_false(wf_is_done(f->engine, &pending));
    begin_asking(waiters, f);
    fixture_gate_await(&gate);
    struct timespec moment = {.tv_nsec = 50 * 1000 * 1000};
    nanosleep(&moment, NULL);
    bool early[ASK_COUNT];
    for (int i = 0; i < ASK_COUNT; i++)
        early[i] = atomic_load(&waiters[i].done);
    fixture_gate_open(&gate);
    for (int i = 0; i < ASK_COUNT; i++) {
        pthread_join(waiters[i].thread, NULL);
        enum wf_status wanted = i == ASK_REFUSED  ? WF_REFUSED
                                : i == ASK_ABSENT ? WF_NOT_FOUND
                                                  : WF_OK;
        if (waiters[i].status != wanted)
            fail_msg("question %d: %s", i, waiters[i].err.text);
        if (early[i])
            fail_msg("question %d was answered too early", i);
    }
    assert_true(wf_is_done(f->engine, &pending));
    struct wf_result result;
    assert_int_equal(wf_wait(f->engine, &pending, &result, &f->err), WF_OK);
    assert_string_equal(result.outcome, "cancelled");
    fixture_gate_deinit(&gate, f);
}

static void test_one_wait_makes_all_before_it_durable(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pending pending[100];
    char id[16];
    for (int i = 0; i < 100; i++) {
        struct wf_command command = start(fixture_id(i, id));
        assert_int_equal(wf_enqueue(f->engine, &command, &pending[i], &f->err), WF_OK);
    }
    assert_false(wf_is_done(f->engine, &pending[0]));
    sim_trace_start(f->sim);
    assert_int_equal(wf_wait(f->engine, &pending[99], NULL, &f->err), WF_OK);
    for (int i = 0; i < 99; i++) {
        struct wf_result result;
        assert_true(wf_is_done(f->engine, &pending[i]));
        assert_int_equal(wf_wait(f->engine, &pending[i], &result, &f->err), WF_OK);
        assert_int_equal(result.lsn, pending[99].result.lsn - (uint64_t)(99 - i));
    }
    size_t sync = sim_trace_find(f->sim, 0, SIM_SYNC, ".seg");
    assert_int_not_equal(sync, SIZE_MAX);
    assert_int_equal(sim_trace_find(f->sim, sync + 1, SIM_SYNC, ".seg"), SIZE_MAX);
}

/* --- a sync fails --- */

static void fail_next_sync(struct engine_fixture *f) {
    const struct sim_fault fault = {.op = SIM_SYNC, .kind = SIM_FAULT_EIO, .path = ".seg"};
    sim_fault_add(f->sim, &fault);
}

static void test_failed_sync_is_unknown_then_halted(void **state) {
    struct engine_fixture *f = *state;
    struct wf_pending first;
    struct wf_pending second;
    struct wf_command commands[] = {cancel("L1"), start("L2")};
    assert_int_equal(wf_enqueue(f->engine, &commands[0], &first, &f->err), WF_OK);
    assert_int_equal(wf_enqueue(f->engine, &commands[1], &second, &f->err), WF_OK);
    fail_next_sync(f);
    assert_int_equal(wf_wait(f->engine, &second, NULL, &f->err), WF_UNKNOWN);
    assert_int_equal(wf_wait(f->engine, &first, NULL, &f->err), WF_UNKNOWN);
    assert_int_equal(wf_execute(f->engine, &commands[0], NULL, &f->err), WF_HALTED);
    assert_int_equal(wf_snapshot(f->engine, &f->err) == WF_OK, 0);
    assert_true(wf_is_done(f->engine, &first));
    assert_true(fixture_status(f).halted);
}

struct counted {
    int count;
    char last[64];
};

static bool count_workflow(void *ctx, const struct wf_workflow *workflow) {
    struct counted *counted = ctx;
    counted->count++;
    (void)snprintf(counted->last, sizeof counted->last, "%s %s", workflow->id, workflow->status);
    return true;
}

static bool count_event(void *ctx, const struct wf_event *event) {
    (void)event;
    (*(int *)ctx)++;
    return true;
}

static bool count_definition(void *ctx, const struct wf_definition *definition) {
    (void)definition;
    (*(int *)ctx)++;
    return true;
}

static void test_halted_engine_shows_what_is_durable_and_no_more(void **state) {
    struct engine_fixture *f = *state;
    char before[512];
    char after[512];
    fixture_loan(f, "L0", 2);
    fixture_describe(f, "L1", UINT64_MAX, before);
    struct wf_store_status then = fixture_status(f);
    struct wf_command commands[] = {cancel("L1"), start("L2")};
    struct wf_pending pending[2];
    assert_int_equal(wf_enqueue(f->engine, &commands[0], &pending[0], &f->err), WF_OK);
    assert_int_equal(wf_enqueue(f->engine, &commands[1], &pending[1], &f->err), WF_OK);
    fail_next_sync(f);
    assert_int_equal(wf_wait(f->engine, &pending[1], NULL, &f->err), WF_UNKNOWN);
    fixture_describe(f, "L1", UINT64_MAX, after);
    assert_string_equal(after, before);
    fixture_describe(f, "L2", UINT64_MAX, after);
    assert_string_equal(after, "-");
    fixture_describe(f, "L1", 3, after);
    struct wf_store_status now = fixture_status(f);
    assert_true(now.halted);
    assert_int_equal(now.durable_lsn, then.durable_lsn);
    assert_string_equal(now.state_hash, then.state_hash);
    assert_memory_equal(now.counts, then.counts, sizeof now.counts);
    struct counted counted = {0};
    if (wf_workflow_list(f->engine, NULL, count_workflow, &counted, &f->err) != WF_OK)
        fail_msg("%s", f->err.text);
    assert_int_equal(counted.count, 2);
    assert_string_equal(counted.last, "L1 running");
    int events = 0;
    if (wf_workflow_history(f->engine, "L1", count_event, &events, &f->err) != WF_OK)
        fail_msg("%s", f->err.text);
    assert_int_equal(events, 3); /* started, submitted, activated */
    events = 0;
    if (wf_replay(f->engine, 1, UINT64_MAX, NULL, count_event, &events, &f->err) != WF_OK)
        fail_msg("%s", f->err.text);
    assert_true(events > 5);
    int definitions = 0;
    if (wf_definition_list(f->engine, NULL, count_definition, &definitions, &f->err) != WF_OK)
        fail_msg("%s", f->err.text);
    assert_int_equal(definitions, 1);
    fixture_verify(f);
    /* The waiters know no more than before. */
    assert_int_equal(wf_wait(f->engine, &pending[0], NULL, &f->err), WF_UNKNOWN);
    assert_int_equal(wf_execute(f->engine, &commands[0], NULL, &f->err), WF_HALTED);
}

static void test_after_a_failed_sync_reopening_recovers(void **state) {
    struct engine_fixture *f = *state;
    struct wf_command command = cancel("L1");
    uint64_t durable = fixture_status(f).durable_lsn;
    fail_next_sync(f);
    assert_int_equal(wf_execute(f->engine, &command, NULL, &f->err), WF_UNKNOWN);
    fixture_crash(f, 0);
    fixture_open(f);
    assert_in_range(fixture_status(f).durable_lsn, durable, durable + 1);
    fixture_verify(f);
    assert_int_equal(fixture_start(f, "L2", NULL), WF_OK);
    fixture_crash(f, 0);
    fixture_open(f);
    fixture_verify(f);
    char text[512];
    fixture_describe(f, "L2", UINT64_MAX, text);
    assert_string_not_equal(text, "-");
}

/* --- a full disk --- */

static void test_full_disk_takes_back_what_was_not_durable(void **state) {
    struct engine_fixture *f = *state;
    char before[512];
    char text[512];
    struct wf_store_status then = fixture_status(f);
    fixture_describe(f, "L1", UINT64_MAX, before);
    struct wf_command commands[] = {cancel("L1"), start("L2")};
    struct wf_pending pending[2];
    assert_int_equal(wf_enqueue(f->engine, &commands[0], &pending[0], &f->err), WF_OK);
    assert_int_equal(wf_enqueue(f->engine, &commands[1], &pending[1], &f->err), WF_OK);
    const struct sim_fault fault = {.op = SIM_WRITE, .kind = SIM_FAULT_FULL, .path = ".seg"};
    sim_fault_add(f->sim, &fault);
    assert_int_equal(wf_wait(f->engine, &pending[1], NULL, &f->err), WF_FULL);
    assert_int_equal(wf_wait(f->engine, &pending[0], NULL, &f->err), WF_FULL);
    fixture_describe(f, "L1", UINT64_MAX, text);
    assert_string_equal(text, before);
    fixture_describe(f, "L2", UINT64_MAX, text);
    assert_string_equal(text, "-");
    struct wf_store_status now = fixture_status(f);
    assert_string_equal(now.state_hash, then.state_hash);
    assert_int_equal(now.durable_lsn, then.durable_lsn);
    assert_false(now.halted);
    /* The LSNs are used again, by others; old tickets do not take them for theirs. */
    struct wf_result result;
    assert_int_equal(fixture_submit(f, "L1", 1, NULL, &result), WF_OK);
    assert_int_equal(result.lsn, then.durable_lsn + 1);
    assert_int_equal(fixture_start(f, "L3", NULL), WF_OK);
    assert_int_equal(wf_wait(f->engine, &pending[0], NULL, &f->err), WF_FULL);
    fixture_verify(f);
    fixture_crash(f, 0);
    fixture_open(f);
    assert_int_equal(fixture_status(f).durable_lsn, then.durable_lsn + 2);
    fixture_verify(f);
}

static void test_full_disk_lets_queries_go_on(void **state) {
    struct engine_fixture *f = *state;
    char before[512];
    fixture_describe(f, "L1", UINT64_MAX, before);
    const struct sim_fault fault = {
        .op = SIM_WRITE, .kind = SIM_FAULT_FULL, .path = ".seg", .persistent = true};
    sim_fault_add(f->sim, &fault);
    /* The queries lead the write themselves, and meet the full disk in it. */
    for (int i = 0; i < ASK_COUNT; i++) {
        struct wf_command command = cancel("L1");
        struct wf_pending pending;
        assert_int_equal(wf_enqueue(f->engine, &command, &pending, &f->err), WF_OK);
        struct waiter waiter = {.fixture = f, .what = i};
        (void)ask(&waiter);
        enum wf_status wanted = i == ASK_REFUSED || i == ASK_ABSENT ? WF_FULL : WF_OK;
        if (waiter.status != wanted)
            fail_msg("question %d: %s", i, waiter.err.text);
        assert_int_equal(wf_wait(f->engine, &pending, NULL, &f->err), WF_FULL);
    }
    char text[512];
    fixture_describe(f, "L1", UINT64_MAX, text);
    assert_string_equal(text, before);
}

static void test_work_resumes_when_space_returns(void **state) {
    struct engine_fixture *f = *state;
    char id[16];
    int done = 0;
    sim_set_free_bytes(f->sim, 100 * 1024);
    while (fixture_start(f, fixture_id(done, id), NULL) == WF_OK)
        done++;
    assert_int_equal(f->err.status, WF_FULL);
    assert_false(f->engine->state.reserved.in_use); /* nothing waits for a record that is not */
    assert_true(done > 10);
    const char *hash = fixture_hash(f);
    assert_int_equal(fixture_start(f, id, NULL), WF_FULL);
    assert_string_equal(fixture_hash(f), hash);
    fixture_verify(f);
    sim_set_free_bytes(f->sim, UINT64_MAX);
    for (int i = done; i < done + 500; i++)
        assert_int_equal(fixture_start(f, fixture_id(i, id), NULL), WF_OK);
    fixture_verify(f);
    fixture_crash(f, 0);
    fixture_open(f);
    fixture_verify(f);
    assert_int_equal(fixture_status(f).counts[1], done + 501);
}

/* --- synced ahead by the engine's own thread --- */

enum {
    PENDING_MANY = 3000,           /* together more than 100 KiB of the log … */
    ONE_SEGMENT = 4 * 1024 * 1024, /* … which go into one segment: a seal is synced at once */
};

/* Start so many and wait for none; returns at the first that the log refuses. */
static int enqueue_many(struct engine_fixture *f, struct wf_pending *pending) {
    char id[16];
    for (int i = 0; i < PENDING_MANY; i++) {
        struct wf_command command = start(fixture_id(i, id));
        if (wf_enqueue(f->engine, &command, &pending[i], &f->err) != WF_OK)
            return i;
    }
    return PENDING_MANY;
}

/* Until the engine's thread has come to the first of them. */
static void await_first(struct engine_fixture *f, const struct wf_pending *pending) {
    const struct timespec moment = {.tv_nsec = 1000000};
    for (int i = 0; i < 5000 && !wf_is_done(f->engine, &pending[0]); i++)
        nanosleep(&moment, NULL);
    assert_true(wf_is_done(f->engine, &pending[0]));
}

static void test_many_pending_are_synced_before_anybody_waits(void **state) {
    struct engine_fixture *f = *state;
    static struct wf_pending pending[PENDING_MANY];
    f->options.background_sync = true;
    f->options.segment_size = ONE_SEGMENT;
    fixture_reopen(f, false);
    assert_int_equal(enqueue_many(f, pending), PENDING_MANY);
    await_first(f, pending);
    assert_int_equal(wf_wait(f->engine, &pending[PENDING_MANY - 1], NULL, &f->err), WF_OK);
    fixture_crash(f, 0);
    fixture_open(f);
    assert_int_equal(fixture_status(f).counts[1], PENDING_MANY + 1);
    fixture_verify(f);
}

static void test_nothing_is_synced_ahead_where_nobody_asked_for_it(void **state) {
    struct engine_fixture *f = *state;
    static struct wf_pending pending[PENDING_MANY];
    f->options.segment_size = ONE_SEGMENT;
    fixture_reopen(f, false);
    assert_int_equal(enqueue_many(f, pending), PENDING_MANY);
    nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000}, NULL);
    assert_false(wf_is_done(f->engine, &pending[0]));
}

static void test_failed_sync_ahead_is_unknown_to_those_who_wait(void **state) {
    struct engine_fixture *f = *state;
    static struct wf_pending pending[PENDING_MANY];
    f->options.background_sync = true;
    f->options.segment_size = ONE_SEGMENT;
    fixture_reopen(f, false);
    fail_next_sync(f);
    int count = enqueue_many(f, pending);
    await_first(f, pending);
    assert_true(fixture_status(f).halted);
    for (int i = 0; i < count; i++)
        assert_int_equal(wf_wait(f->engine, &pending[i], NULL, &f->err), WF_UNKNOWN);
}

/* --- threads on a disk that fills up and empties --- */

enum { THREADS = 4, EACH = 150 };

struct worker {
    struct engine_fixture *fixture;
    int number;
    bool acknowledged[EACH];
    pthread_t thread;
};

static void *work(void *ctx) {
    struct worker *w = ctx;
    for (int i = 0; i < EACH; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "T%d-%03d", w->number, i);
        struct wf_command command = start(id);
        struct wf_result result;
        enum wf_status status = wf_execute(w->fixture->engine, &command, &result, NULL);
        w->acknowledged[i] = status == WF_OK;
        if (status != WF_OK && status != WF_FULL)
            return (void *)"a status that is neither done nor full";
        struct wf_workflow *workflow = NULL;
        status = wf_workflow_get(w->fixture->engine, id, &workflow, NULL);
        bool there = status == WF_OK;
        wf_workflow_free(workflow);
        if (there != w->acknowledged[i])
            return (void *)"what was acknowledged is not what is there";
    }
    return NULL;
}

static void test_threads_on_a_disk_that_is_full_now_and_then(void **state) {
    struct engine_fixture *f = *state;
    static struct worker workers[THREADS];
    f->options.background_sync = true;
    fixture_reopen(f, false);
    for (uint64_t nth = 3; nth < 300; nth += 7) {
        const struct sim_fault fault = {
            .op = SIM_WRITE, .kind = SIM_FAULT_FULL, .path = ".seg", .nth = nth};
        sim_fault_add(f->sim, &fault);
    }
    for (int i = 0; i < THREADS; i++) {
        workers[i] = (struct worker){.fixture = f, .number = i};
        pthread_create(&workers[i].thread, NULL, work, &workers[i]);
    }
    const char *wrong = NULL;
    for (int i = 0; i < THREADS; i++) {
        void *why = NULL;
        pthread_join(workers[i].thread, &why);
        wrong = why != NULL ? why : wrong;
    }
    assert_null(wrong);
    assert_true(sim_fault_hits(f->sim) > 5);
    uint64_t acknowledged = 0;
    for (int i = 0; i < THREADS; i++)
        for (int j = 0; j < EACH; j++)
            acknowledged += workers[i].acknowledged[j];
    assert_int_equal(fixture_status(f).counts[1], acknowledged + 1);
    sim_fault_clear(f->sim);
    fixture_verify(f);
    fixture_crash(f, 0);
    fixture_open(f);
    assert_int_equal(fixture_status(f).counts[1], acknowledged + 1);
    fixture_verify(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
        TEST(test_nothing_is_answered_before_it_is_durable),
        TEST(test_one_wait_makes_all_before_it_durable),
        TEST(test_failed_sync_is_unknown_then_halted),
        TEST(test_halted_engine_shows_what_is_durable_and_no_more),
        TEST(test_after_a_failed_sync_reopening_recovers),
        TEST(test_full_disk_takes_back_what_was_not_durable),
        TEST(test_full_disk_lets_queries_go_on),
        TEST(test_work_resumes_when_space_returns),
        TEST(test_many_pending_are_synced_before_anybody_waits),
        TEST(test_nothing_is_synced_ahead_where_nobody_asked_for_it),
        TEST(test_failed_sync_ahead_is_unknown_to_those_who_wait),
        TEST(test_threads_on_a_disk_that_is_full_now_and_then),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
