/* Snapshots under load, snapshots that fail, snapshots that are damaged, and what memory holds:
 * checkpoint.c, cache.c, recover.c. */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void snapshot(struct engine_fixture *f) {
    must(f, wf_snapshot(f->engine, &f->err));
}

/* The folder of the simulated snapshot. */
static const char place[] = "/store/state";

/* The state that is opened from the snapshot is the one of a full replay, and of memory. */
static void assert_snapshot_tells_the_truth(struct engine_fixture *f) {
    char hash[65];
    (void)snprintf(hash, sizeof hash, "%s", fixture_hash(f));
    fixture_verify(f);
    fixture_reopen(f, false);
    assert_string_equal(fixture_hash(f), hash);
    assert_string_equal(fixture_status(f).notes, "");
    fixture_verify(f);
}

/* --- clean closing --- */

static void test_clean_close_leaves_nothing_to_replay(void **state) {
    struct engine_fixture *f = *state;
    fixture_loans(f, 0, 20, 2);
    const char *hash = fixture_hash(f);
    uint64_t lsn = fixture_status(f).durable_lsn;
    fixture_reopen(f, true);
    struct wf_store_status status = fixture_status(f);
    assert_int_equal(status.replayed, 0);
    assert_int_equal(status.snapshot_lsn, lsn);
    assert_int_equal(status.durable_lsn, lsn);
    assert_int_equal(status.workflows_in_memory, 0);
    assert_string_equal(status.state_hash, hash);
    assert_int_equal(status.counts[1], 20);
    char text[512];
    fixture_describe(f, "L0007", UINT64_MAX, text);
    assert_non_null(strstr(text, "running income_verification"));
    fixture_verify(f);
}

static void test_replay_counts_towards_the_next_snapshot(void **state) {
    struct engine_fixture *f = *state;
    f->options.snapshot_log_bytes = 5000;
    fixture_reopen(f, true);
    uint64_t before = fixture_status(f).snapshot_lsn;
    /* Each run ends before a snapshot is due by what that run alone wrote. */
    for (int run = 0; run < 10; run++) {
        fixture_loans(f, run * 40, 40, 0);
        fixture_crash(f, 0);
        fixture_open(f);
    }
    fixture_loans(f, 400, 40, 0);
    assert_true(fixture_status(f).snapshot_lsn > before);
    assert_true(fixture_status(f).replayed < 400);
}

/* --- failure --- */

static void test_failed_snapshot_is_made_up_for_by_the_next(void **state) {
    struct engine_fixture *f = *state;
    static const enum wf_status failures[] = {WF_FULL, WF_IO};
    for (int i = 0; i < 2; i++) {
        fixture_loans(f, i * 10, 10, 2);
        sim_snapshot_fail_commit(f->snapshots, 1, failures[i]);
        assert_int_equal(wf_snapshot(f->engine, &f->err), failures[i]);
        assert_non_null(strstr(fixture_status(f).notes, "snapshots pause"));
        fixture_verify(f);
        snapshot(f); /* nothing has changed in between */
        assert_string_equal(fixture_status(f).notes, "");
        assert_snapshot_tells_the_truth(f);
        char text[512];
        fixture_describe(f, "L0003", UINT64_MAX, text);
        assert_string_not_equal(text, "-");
    }
}

static void test_definition_survives_a_failed_snapshot(void **state) {
    struct engine_fixture *f = *state;
    struct wf_command command = {.kind = WF_DEFINITION_ADD,
                                 .text = "workflow: tiny\nversion: 1\nsteps:\n  go: {completes: "
                                         "all}\nstages:\n  - {name: all}\n"};
    must(f, wf_execute(f->engine, &command, NULL, &f->err));
    sim_snapshot_fail_commit(f->snapshots, 1, WF_FULL);
    assert_int_equal(wf_snapshot(f->engine, &f->err), WF_FULL);
    fixture_loan(f, "L1", 1);
    snapshot(f);
    fixture_reopen(f, false);
    assert_int_equal(fixture_status(f).definitions, 2);
    command = (struct wf_command){.kind = WF_WORKFLOW_START, .id = "T", .type = "tiny"};
    must(f, wf_execute(f->engine, &command, NULL, &f->err));
    assert_snapshot_tells_the_truth(f);
}

static void test_nothing_is_evicted_before_its_snapshot_is_durable(void **state) {
    struct engine_fixture *f = *state;
    fixture_loans(f, 0, 50, 1);
    f->engine->options.memory_max = 1;
    sim_snapshot_fail_commit(f->snapshots, 1, WF_FULL);
    assert_int_equal(wf_snapshot(f->engine, &f->err), WF_FULL);
    assert_int_equal(fixture_status(f).workflows_in_memory, 50);
    snapshot(f);
    assert_int_equal(fixture_status(f).workflows_in_memory, 0);
    fixture_verify(f);
}

/* --- a snapshot is of one instant --- */

struct busy {
    struct engine_fixture *fixture;
    _Atomic bool stop;
    const char *wrong;
    int from, made;
    pthread_t thread;
};

/* Changes old workflows and makes new ones until it is told to stop. */
static void *keep_busy(void *ctx) {
    struct busy *busy = ctx;
    char id[16];
    for (int i = 0; !atomic_load(&busy->stop) && i < 4000; i++) {
        struct wf_command command = {.kind = WF_WORKFLOW_CANCEL,
                                     .id = fixture_id(busy->from + i, id),
                                     .reason = "busy",
                                     .key = id};
        enum wf_status status = wf_execute(busy->fixture->engine, &command, NULL, NULL);
        if (status == WF_NOT_FOUND) {
            command.kind = WF_WORKFLOW_START;
            command.type = "loan_application";
            status = wf_execute(busy->fixture->engine, &command, NULL, NULL);
            busy->made++;
        }
        /* Another round may have cancelled it, and its key be forgotten. */
        if (status != WF_OK && status != WF_REFUSED)
            busy->wrong = "a command failed";
    }
    return NULL;
}

static void begin_busy(struct busy *busy, struct engine_fixture *f, int from) {
    *busy = (struct busy){.fixture = f, .from = from};
    assert_int_equal(pthread_create(&busy->thread, NULL, keep_busy, busy), 0);
}

static void end_busy(struct busy *busy) {
    atomic_store(&busy->stop, true);
    pthread_join(busy->thread, NULL);
    assert_null(busy->wrong);
}

static void test_snapshot_under_load_is_the_state_of_its_lsn(void **state) {
    struct engine_fixture *f = *state;
    f->options.keys_max = 100;
    fixture_reopen(f, true);
    fixture_loans(f, 0, 600, 1);
    for (int round = 0; round < 5; round++) {
        struct busy busy;
        begin_busy(&busy, f, round * 100);
        snapshot(f);
        snapshot(f);
        end_busy(&busy);
        assert_snapshot_tells_the_truth(f);
    }
}

/* Deterministic: the entities change after the freeze and before their turn. */
static void test_entity_that_changes_while_frozen_is_written_as_it_was(void **state) {
    struct engine_fixture *f = *state;
    fixture_loans(f, 0, 300, 1);
    char hash[65];
    (void)snprintf(hash, sizeof hash, "%s", fixture_hash(f));
    uint64_t lsn = fixture_status(f).durable_lsn;
    pthread_mutex_lock(&f->engine->mutex);
    state_freeze(&f->engine->state); /* as a checkpoint begins */
    f->engine->checkpoint.running = true;
    f->engine->checkpoint.last = f->engine->last;
    pthread_mutex_unlock(&f->engine->mutex);
    assert_string_equal(fixture_hash(f), hash);
    for (int i = 0; i < 300; i += 3) {
        char id[16];
        must(f, fixture_cancel(f, fixture_id(i, id), "changed", NULL, NULL));
    }
    pthread_mutex_lock(&f->engine->mutex);
    struct checkpoint *checkpoint = &f->engine->checkpoint;
    size_t encoded = 0;
    size_t left = f->engine->state.frozen.count;
    uint64_t frozen_lsn = checkpoint->last.lsn;
    bool newer = false;
    for (size_t i = 0; i < checkpoint->change_count; i++) {
        const struct bytes_view *key = &checkpoint->changes[i].key;
        const struct bytes_view *value = &checkpoint->changes[i].value;
        encoded += key->data[0] < CHECKPOINT_KEY_ORDER;
        newer = newer || memmem(value->data, value->size, "changed", 7) != NULL;
        if (key->data[0] == CHECKPOINT_DUE_ORDER) {
            struct bytes_view id = {key->data + DUE_KEY_HEAD, key->size - DUE_KEY_HEAD};
            state_workflow(&f->engine->state, id)->pair_due_ms = 0;
        }
    }
    /* Take it back as a failed checkpoint does: the real one follows. */
    while (f->engine->state.frozen.count > 0) {
        struct entity *entity = f->engine->state.frozen.first;
        state_thaw(&f->engine->state, entity);
        state_touch_again(&f->engine->state, entity);
    }
    while (checkpoint->chunks != NULL) {
        void *chunk = checkpoint->chunks;
        memcpy(&checkpoint->chunks, chunk, sizeof checkpoint->chunks);
        free(chunk);
    }
    free(checkpoint->changes);
    *checkpoint = (struct checkpoint){0};
    pthread_mutex_unlock(&f->engine->mutex);
    assert_int_equal(encoded, 101); /* and the store's own entity */
    assert_int_equal(left, 300 + 1 + 1 - 101);
    assert_int_equal(frozen_lsn, lsn);
    assert_false(newer);
    snapshot(f);
    assert_snapshot_tells_the_truth(f);
}

static volatile sig_atomic_t signals_taken;

static void note_signal(int number) {
    (void)number;
    signals_taken++;
}

static void test_background_thread_snapshots_under_load(void **state) {
    struct engine_fixture *f = *state;
    f->options.background_snapshots = true;
    f->options.snapshot_log_bytes = 10000;
    f->options.memory_max = 256 * 1024;
    fixture_reopen(f, true);
    struct busy busy[2];
    begin_busy(&busy[0], f, 0);
    begin_busy(&busy[1], f, 5000);
    for (int i = 0; i < 5000 && sim_snapshot_commits(f->snapshots) <= 3; i++)
        fixture_loans(f, 10000 + i, 1, 2);
    end_busy(&busy[0]);
    end_busy(&busy[1]);
    assert_true(sim_snapshot_commits(f->snapshots) > 3);
    fixture_verify(f);
    assert_snapshot_tells_the_truth(f);
}

/* A burst that made no snapshot due leaves nothing to replay when it is over. */
static void test_background_thread_snapshots_when_all_is_quiet(void **state) {
    struct engine_fixture *f = *state;
    f->options.background_snapshots = true;
    fixture_reopen(f, true);
    size_t before = sim_snapshot_commits(f->snapshots);
    fixture_loans(f, 0, 300, 2); /* 900 records: not worth it */
    struct timespec longer = {.tv_sec = 1, .tv_nsec = 300 * 1000000};
    nanosleep(&longer, NULL);
    nanosleep(&longer, NULL);
    assert_int_equal(sim_snapshot_commits(f->snapshots), before);
    fixture_loans(f, 1000, 100, 2);
    for (int i = 0; i < 20 && sim_snapshot_commits(f->snapshots) == before; i++)
        nanosleep(&longer, NULL);
    assert_int_equal(sim_snapshot_commits(f->snapshots), before + 1);
    fixture_crash(f, SIZE_MAX);
    fixture_open(f);
    assert_int_equal(fixture_status(f).replayed, 0);
    fixture_verify(f);
}

/* The host waits for signals on threads of its own: one that they block for the moment stays
 * pending, and is not taken by the engine's. */
static void test_background_threads_take_no_signal(void **state) {
    struct engine_fixture *f = *state;
    f->options.background_snapshots = true;
    f->options.background_timers = true;
    f->options.background_sync = true;
    fixture_reopen(f, true);
    sigset_t usr1, before, pending;
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    struct sigaction action = {.sa_handler = note_signal}, old;
    assert_int_equal(sigaction(SIGUSR1, &action, &old), 0);
    assert_int_equal(pthread_sigmask(SIG_BLOCK, &usr1, &before), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    fixture_loans(f, 0, 100, 2); /* time for somebody to take it */
    nanosleep(&(struct timespec){.tv_nsec = 100 * 1000000}, NULL);
    assert_int_equal(sigpending(&pending), 0);
    assert_int_equal(sigismember(&pending, SIGUSR1), 1);
    assert_int_equal(signals_taken, 0);
    assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);
    assert_int_equal(signals_taken, 1); /* by us */
    assert_int_equal(sigaction(SIGUSR1, &old, NULL), 0);
}

/* --- memory --- */

static void test_tiny_memory_comes_to_the_same_state(void **state) {
    struct engine_fixture *f = *state;
    f->options.memory_max = 64 * 1024;
    fixture_reopen(f, true);
    fixture_loans(f, 0, 2000, 0);
    char id[16];
    for (int step = 0; step < 3; step++)
        for (int i = 0; i < 2000; i += 7 - step)
            if (fixture_submit(f, fixture_id(i, id), step, i % 2 == 0 ? id : NULL, NULL) != WF_OK)
                assert_in_range(f->err.status, WF_REFUSED, WF_CONFLICT);
    struct wf_store_status status = fixture_status(f);
    assert_true(status.workflows_in_memory < 1000);
    assert_int_equal(status.counts[1], 2000);
    fixture_verify(f);
    for (int i = 0; i < 2000; i += 100) { /* what was evicted has its whole history */
        char now[512];
        char then[512];
        fixture_describe(f, fixture_id(i, id), UINT64_MAX, now);
        fixture_describe(f, id, status.durable_lsn, then);
        assert_string_equal(now, then);
    }
    char hash[65];
    (void)snprintf(hash, sizeof hash, "%s", status.state_hash);
    f->options.memory_max = 256 * 1024 * 1024;
    fixture_reopen(f, false);
    assert_string_equal(fixture_hash(f), hash);
}

static void test_long_replay_keeps_within_memory(void **state) {
    struct engine_fixture *f = *state;
    f->options.snapshot_log_bytes = 0;
    fixture_reopen(f, true);
    fixture_loans(f, 0, 3000, 1);
    const char *hash = fixture_hash(f);
    f->options.memory_max = 256 * 1024;
    fixture_crash(f, 0);
    fixture_open(f);
    struct wf_store_status status = fixture_status(f);
    assert_string_equal(status.state_hash, hash);
    assert_true(status.memory_bytes < 600 * 1024);
    fixture_verify(f);
}

static void test_long_replay_goes_on_where_snapshots_fail(void **state) {
    struct engine_fixture *f = *state;
    f->options.snapshot_log_bytes = 0;
    fixture_reopen(f, true);
    fixture_loans(f, 0, 1000, 1);
    const char *hash = fixture_hash(f);
    f->options.memory_max = 64 * 1024;
    fixture_crash(f, 0);
    sim_snapshot_fail_commit(f->snapshots, 1, WF_FULL);
    fixture_open(f);
    assert_string_equal(fixture_hash(f), hash);
    assert_non_null(strstr(fixture_status(f).notes, "snapshots pause"));
    fixture_verify(f);
}

/* --- damage --- */

static void test_damaged_snapshot_is_set_aside_at_open(void **state) {
    struct engine_fixture *f = *state;
    fixture_loans(f, 0, 30, 2);
    const char *hash = fixture_hash(f);
    fixture_close(f);
    assert_true(sim_snapshot_damage(f->snapshots, place));
    fixture_open(f);
    assert_non_null(strstr(fixture_status(f).notes, "rebuilt from the log"));
    assert_string_equal(fixture_hash(f), hash);
    assert_true(sim_snapshot_exists(f->snapshots, "/store/state.damaged-1"));
    fixture_verify(f);
    snapshot(f);
    fixture_reopen(f, true);
    assert_string_equal(fixture_status(f).notes, "");
    assert_int_equal(fixture_status(f).replayed, 0);
    assert_string_equal(fixture_hash(f), hash);
}

enum { AT_GET, AT_COMMAND, AT_LIST, AT_HISTORY, AT_AS_OF, AT_COUNT };

static bool count_workflow(void *ctx, const struct wf_workflow *workflow) {
    (void)workflow;
    (*(int *)ctx)++;
    return true;
}

static bool count_event(void *ctx, const struct wf_event *event) {
    (void)event;
    (*(int *)ctx)++;
    return true;
}

static void meet_damage(struct engine_fixture *f, int where) {
    struct wf_workflow *workflow = NULL;
    int count = 0;
    switch (where) {
    case AT_GET:
        must(f, wf_workflow_get(f->engine, "L0003", &workflow, &f->err));
        break;
    case AT_AS_OF:
        must(f, wf_workflow_get_as_of(f->engine, "L0003", 20, &workflow, &f->err));
        break;
    case AT_COMMAND:
        must(f, fixture_submit(f, "L0003", 2, "k", NULL));
        break;
    case AT_LIST:
        must(f, wf_workflow_list(f->engine, NULL, count_workflow, &count, &f->err));
        assert_int_equal(count, 30);
        break;
    case AT_HISTORY:
        must(f, wf_workflow_history(f->engine, "L0003", count_event, &count, &f->err));
        assert_true(count > 3);
        break;
    default:
        break;
    }
    wf_workflow_free(workflow);
}

static void test_snapshot_damaged_at_run_time_is_rebuilt(void **state) {
    struct engine_fixture *f = *state;
    fixture_loans(f, 0, 30, 2);
    for (int where = 0; where < AT_COUNT; where++) {
        fixture_reopen(f, true);
        const char *hash = fixture_hash(f);
        assert_true(sim_snapshot_damage(f->snapshots, place));
        meet_damage(f, where);
        if (where != AT_COMMAND)
            assert_string_equal(fixture_hash(f), hash);
        assert_non_null(strstr(fixture_status(f).notes, "rebuilt from the log"));
        fixture_verify(f);
        int count = 0;
        must(f, wf_workflow_list(f->engine, NULL, count_workflow, &count, &f->err));
        assert_int_equal(count, 30);
        snapshot(f);
        assert_int_equal(wf_snapshot_verify(f->engine, NULL, &f->err), WF_OK);
    }
}

static void test_reader_goes_on_without_a_damaged_snapshot(void **state) {
    struct engine_fixture *f = *state;
    fixture_loans(f, 0, 30, 2);
    fixture_close(f);
    f->options.create = false;
    f->options.read_only = true;
    fixture_open(f);
    assert_true(sim_snapshot_damage(f->snapshots, place));
    meet_damage(f, AT_GET);
    assert_true(sim_snapshot_exists(f->snapshots, place)); /* nothing was changed */
    fixture_verify(f);
    fixture_close(f);
    fixture_open(f);
    meet_damage(f, AT_LIST);
    fixture_verify(f);
}

/* A listing that is under way when the snapshot breaks misses nobody. */
struct breaking {
    struct engine_fixture *fixture;
    int count;
    char last[16];
};

static bool break_snapshot(void *ctx, const struct wf_workflow *workflow) {
    struct breaking *breaking = ctx;
    if (++breaking->count == 10)
        assert_true(sim_snapshot_damage(breaking->fixture->snapshots, place));
    assert_true(strcmp(workflow->id, breaking->last) > 0);
    (void)snprintf(breaking->last, sizeof breaking->last, "%s", workflow->id);
    return true;
}

static void test_listing_goes_on_when_the_snapshot_breaks(void **state) {
    struct engine_fixture *f = *state;
    fixture_loans(f, 0, 400, 0);
    fixture_reopen(f, true);
    struct breaking breaking = {.fixture = f};
    must(f, wf_workflow_list(f->engine, NULL, break_snapshot, &breaking, &f->err));
    assert_int_equal(breaking.count, 400);
}

static void test_snapshot_of_another_format_is_rebuilt(void **state) {
    struct engine_fixture *f = *state;
    fixture_loans(f, 0, 10, 2);
    snapshot(f);
    const char *hash = fixture_hash(f);
    struct snapshot_meta meta;
    struct snapshot *kept = f->engine->snapshot;
    assert_true(kept->ops->meta(kept, &meta));
    meta.bytes[0] ^= 0x40;
    must(f, kept->ops->commit(kept, NULL, 0, &meta, &f->err));
    fixture_reopen(f, false);
    assert_string_equal(fixture_hash(f), hash);
    assert_non_null(strstr(fixture_status(f).notes, "rebuilt from the log"));
}

/* The rebuilding of a large store must not write to the snapshot that it is about to set aside. */
static void test_rebuilding_with_little_memory_loses_nothing(void **state) {
    struct engine_fixture *f = *state;
    f->options.snapshot_log_bytes = 0;
    fixture_reopen(f, true);
    fixture_loans(f, 0, 1500, 1);
    snapshot(f);
    const char *hash = fixture_hash(f);
    struct snapshot *kept = f->engine->snapshot;
    struct snapshot_meta meta;
    assert_true(kept->ops->meta(kept, &meta));
    static const uint8_t store_key[] = {ENTITY_STORE};
    struct snapshot_change change = {.key = {store_key, 1},
                                     .value = {(const uint8_t *)"rubbish", 7}};
    must(f, kept->ops->commit(kept, &change, 1, &meta, &f->err));
    f->options.memory_max = 128 * 1024;
    fixture_reopen(f, false);
    assert_non_null(strstr(fixture_status(f).notes, "rebuilt from the log"));
    assert_string_equal(fixture_hash(f), hash);
    char id[16];
    char text[512];
    for (int i = 0; i < 1500; i += 50) {
        fixture_describe(f, fixture_id(i, id), UINT64_MAX, text);
        assert_string_not_equal(text, "-");
    }
    fixture_verify(f);
    snapshot(f);
    assert_snapshot_tells_the_truth(f);
}

/* A snapshot that stands at the point before its commit. */
struct held {
    struct engine_fixture *fixture;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool hold, standing;
    enum wf_status status;
};

static void hold_commit(void *ctx, const char *point) {
    struct held *held = ctx;
    if (strcmp(point, "snapshot.before_commit") != 0)
        return;
    pthread_mutex_lock(&held->mutex);
    held->standing = true;
    pthread_cond_broadcast(&held->changed);
    while (held->hold)
        pthread_cond_wait(&held->changed, &held->mutex);
    pthread_mutex_unlock(&held->mutex);
}

static void *take_snapshot(void *ctx) {
    struct held *held = ctx;
    held->status = wf_snapshot(held->fixture->engine, NULL);
    return NULL;
}

static void test_nothing_is_missing_while_a_snapshot_is_written(void **state) {
    struct engine_fixture *f = *state;
    struct held held = {
        .fixture = f, .mutex = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};
    f->options.on_point = hold_commit;
    f->options.point_ctx = &held;
    fixture_reopen(f, true); /* what is there now is in a first snapshot */
    fixture_loans(f, 0, 50, 1);
    f->engine->options.memory_max = 1;
    held.hold = true;
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, take_snapshot, &held), 0);
    pthread_mutex_lock(&held.mutex);
    while (!held.standing)
        pthread_cond_wait(&held.changed, &held.mutex);
    pthread_mutex_unlock(&held.mutex);
    /* Encoded and clean, but neither in the snapshot yet nor to be dropped. */
    int listed = 0;
    int found = 0;
    enum wf_status status = wf_workflow_list(f->engine, NULL, count_workflow, &listed, NULL);
    for (int i = 0; i < 50; i++) {
        char id[16];
        struct wf_workflow *workflow = NULL;
        found += wf_workflow_get(f->engine, fixture_id(i, id), &workflow, NULL) == WF_OK;
        wf_workflow_free(workflow);
    }
    pthread_mutex_lock(&held.mutex);
    held.hold = false;
    pthread_cond_broadcast(&held.changed);
    pthread_mutex_unlock(&held.mutex);
    pthread_join(thread, NULL);
    assert_int_equal(status, WF_OK);
    assert_int_equal(listed, 50);
    assert_int_equal(found, 50);
    assert_int_equal(held.status, WF_OK);
    assert_int_equal(fixture_status(f).workflows_in_memory, 0);
    fixture_verify(f);
    fixture_close(f); /* before `held` goes */
}

static void test_snapshots_on_the_machines_disk(void **state) {
    struct engine_fixture *f = *state;
    f->options.memory_max = 128 * 1024;
    fixture_reopen(f, true);
    struct busy busy;
    fixture_loans(f, 0, 200, 1);
    begin_busy(&busy, f, 100);
    for (int i = 0; i < 5; i++)
        snapshot(f);
    end_busy(&busy);
    assert_snapshot_tells_the_truth(f);
    uint64_t entries = 0;
    must(f, wf_snapshot_verify(f->engine, &entries, &f->err));
    assert_true(entries > 200);
}

/* --- a state that could not be rebuilt --- */

/* A segment keeps the name that it was made under as long as it is open. */
static void fault_log(struct engine_fixture *f, enum sim_op op, enum sim_fault_kind kind,
                      uint64_t nth) {
    const char *const names[] = {".seg", ".seg.tmp"};
    for (int i = 0; i < 2; i++) {
        const struct sim_fault fault = {
            .op = op, .kind = kind, .path = names[i], .nth = nth, .persistent = true};
        sim_fault_add(f->sim, &fault);
    }
}

static void test_half_rebuilt_state_gets_into_no_snapshot(void **state) {
    struct engine_fixture *f = *state;
    fixture_loans(f, 0, 5, 1);
    snapshot(f);
    fixture_loans(f, 5, 2000, 0); /* several segments */
    char hash[65];
    (void)snprintf(hash, sizeof hash, "%s", fixture_hash(f));
    bool failed = false;
    for (uint64_t nth = 1; nth <= 6; nth++) {
        struct wf_command command = {.kind = WF_WORKFLOW_CANCEL, .id = "L0001", .reason = "no"};
        struct wf_pending pending;
        must(f, wf_enqueue(f->engine, &command, &pending, &f->err));
        fault_log(f, SIM_WRITE, SIM_FAULT_FULL, 1);
        assert_int_equal(wf_wait(f->engine, &pending, NULL, &f->err), WF_FULL);
        fault_log(f, SIM_READ, SIM_FAULT_EIO, nth);
        struct wf_workflow *workflow = NULL;
        enum wf_status status = wf_workflow_get(f->engine, "L0001", &workflow, &f->err);
        wf_workflow_free(workflow);
        failed = failed || status == WF_IO;
        (void)wf_snapshot(f->engine, NULL);
        sim_fault_clear(f->sim);
        assert_string_equal(fixture_hash(f), hash);
        fixture_verify(f);
        fixture_reopen(f, false);
        assert_string_equal(fixture_hash(f), hash);
        assert_string_equal(fixture_status(f).notes, "");
        fixture_verify(f);
    }
    assert_true(failed);
}

/* A snapshot that reaches further than the log does looks as if the log had been lost. */
static void test_snapshot_is_not_written_before_the_log_reaches_as_far(void **state) {
    struct engine_fixture *f = *state;
    fixture_loans(f, 0, 5, 1);
    uint64_t commits = sim_snapshot_commits(f->snapshots);
    struct wf_command command = {.kind = WF_WORKFLOW_CANCEL, .id = "L0001", .reason = "no"};
    struct wf_pending pending;
    must(f, wf_enqueue(f->engine, &command, &pending, &f->err));
    const struct sim_fault fault = {.op = SIM_SYNC, .kind = SIM_FAULT_EIO, .path = ".seg"};
    sim_fault_add(f->sim, &fault);
    assert_int_equal(wf_snapshot(f->engine, &f->err), WF_UNKNOWN);
    assert_int_equal(sim_snapshot_commits(f->snapshots), commits);
}

static void test_halted_log_gets_no_snapshot(void **state) {
    struct engine_fixture *f = *state;
    fixture_loans(f, 0, 5, 1);
    char hash[65];
    (void)snprintf(hash, sizeof hash, "%s", fixture_hash(f));
    uint64_t commits = sim_snapshot_commits(f->snapshots);
    const struct sim_fault fault = {.op = SIM_SYNC, .kind = SIM_FAULT_EIO, .path = ".seg"};
    sim_fault_add(f->sim, &fault);
    assert_int_equal(fixture_cancel(f, "L0001", "no", NULL, NULL), WF_UNKNOWN);
    assert_int_equal(wf_snapshot(f->engine, &f->err), WF_HALTED);
    assert_string_equal(fixture_hash(f), hash);
    assert_int_equal(wf_snapshot(f->engine, &f->err), WF_HALTED);
    assert_int_equal(sim_snapshot_commits(f->snapshots), commits);
    assert_int_equal(wf_close(f->engine, NULL), WF_OK);
    f->engine = NULL;
    assert_int_equal(sim_snapshot_commits(f->snapshots), commits);
    fixture_open(f);
    fixture_verify(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_sim, fixture_teardown)
        TEST(test_clean_close_leaves_nothing_to_replay),
        TEST(test_replay_counts_towards_the_next_snapshot),
        TEST(test_failed_snapshot_is_made_up_for_by_the_next),
        TEST(test_definition_survives_a_failed_snapshot),
        TEST(test_nothing_is_evicted_before_its_snapshot_is_durable),
        TEST(test_snapshot_under_load_is_the_state_of_its_lsn),
        TEST(test_entity_that_changes_while_frozen_is_written_as_it_was),
        TEST(test_background_thread_snapshots_under_load),
        TEST(test_background_thread_snapshots_when_all_is_quiet),
        TEST(test_background_threads_take_no_signal),
        TEST(test_tiny_memory_comes_to_the_same_state),
        TEST(test_long_replay_keeps_within_memory),
        TEST(test_long_replay_goes_on_where_snapshots_fail),
        TEST(test_damaged_snapshot_is_set_aside_at_open),
        TEST(test_snapshot_damaged_at_run_time_is_rebuilt),
        TEST(test_reader_goes_on_without_a_damaged_snapshot),
        TEST(test_listing_goes_on_when_the_snapshot_breaks),
        TEST(test_snapshot_of_another_format_is_rebuilt),
        TEST(test_rebuilding_with_little_memory_loses_nothing),
        TEST(test_half_rebuilt_state_gets_into_no_snapshot),
        TEST(test_snapshot_is_not_written_before_the_log_reaches_as_far),
        TEST(test_halted_log_gets_no_snapshot),
        cmocka_unit_test_setup_teardown(test_nothing_is_missing_while_a_snapshot_is_written,
                                        fixture_setup_disk, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_snapshots_on_the_machines_disk, fixture_setup_disk,
                                        fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
