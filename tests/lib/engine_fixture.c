#include "tests/lib/engine_fixture.h"

#include "tests/lib/core_store.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { FIELDS_MAX = 16 };

void must(struct engine_fixture *fixture, enum wf_status status) {
    if (status != WF_OK)
        fail_msg("%s: %s", wf_status_code(status), fixture->err.text);
}

static void set_options(struct engine_fixture *fixture) {
    wf_options_init(&fixture->options);
    fixture->options.create = true;
    fixture->options.test_clock = true;
    fixture->options.test_clock_ms = INT64_C(1767225600000); /* 2026-01-01T00:00:00Z */
    fixture->options.segment_size = WAL_SEGMENT_SIZE_MIN;
}

void fixture_prepare_disk(struct engine_fixture *fixture) {
    *fixture = (struct engine_fixture){0};
    set_options(fixture);
    const char *base = getenv("TMPDIR");
    (void)snprintf(fixture->root, sizeof fixture->root, "%s/test_engine.XXXXXX",
                   base != NULL ? base : "/tmp");
    assert_non_null(mkdtemp(fixture->root));
    (void)snprintf(fixture->dir, sizeof fixture->dir, "%s/store", fixture->root);
}

void fixture_prepare_sim(struct engine_fixture *fixture) {
    *fixture = (struct engine_fixture){0};
    set_options(fixture);
    (void)snprintf(fixture->dir, sizeof fixture->dir, "/store");
    fixture->sim = sim_io_create(1);
    fixture->snapshots = sim_snapshot_create();
    assert_non_null(fixture->snapshots);
}

void fixture_define(struct engine_fixture *fixture) {
    struct wf_command command = {.kind = WF_DEFINITION_ADD, .text = core_loan_yaml};
    must(fixture, wf_execute(fixture->engine, &command, NULL, &fixture->err));
}

void fixture_init_disk(struct engine_fixture *fixture) {
    fixture_prepare_disk(fixture);
    fixture_open(fixture);
    fixture_define(fixture);
}

void fixture_init_sim(struct engine_fixture *fixture) {
    fixture_prepare_sim(fixture);
    fixture_open(fixture);
    fixture_define(fixture);
}

void fixture_deinit(struct engine_fixture *fixture) {
    (void)wf_close(fixture->engine, NULL);
    fixture->engine = NULL;
    if (fixture->sim != NULL) {
        assert_int_equal(sim_open_files(fixture->sim), 0);
        assert_int_equal(sim_snapshot_open_count(fixture->snapshots), 0);
        sim_io_destroy(fixture->sim);
        sim_snapshot_destroy(fixture->snapshots);
    }
    if (fixture->root[0] != '\0') {
        char command[FIXTURE_PATH_MAX + 16];
        (void)snprintf(command, sizeof command, "rm -rf '%s'", fixture->root);
        assert_int_equal(system(command), 0);
    }
}

int fixture_setup_disk(void **state) {
    static struct engine_fixture fixture;
    fixture_init_disk(&fixture);
    *state = &fixture;
    return 0;
}

int fixture_setup_sim(void **state) {
    static struct engine_fixture fixture;
    fixture_init_sim(&fixture);
    *state = &fixture;
    return 0;
}

int fixture_teardown(void **state) {
    fixture_deinit(*state);
    return 0;
}

enum wf_status fixture_try_open(struct engine_fixture *fixture) {
    assert_null(fixture->engine);
    if (fixture->sim == NULL)
        return wf_open(fixture->dir, &fixture->options, &fixture->engine, &fixture->err);
    return engine_open(sim_io_of(fixture->sim), sim_snapshot_provider(fixture->snapshots),
                       fixture->dir, &fixture->options, &fixture->engine, &fixture->err);
}

void fixture_open(struct engine_fixture *fixture) {
    must(fixture, fixture_try_open(fixture));
}

void fixture_close(struct engine_fixture *fixture) {
    must(fixture, wf_close(fixture->engine, &fixture->err));
    fixture->engine = NULL;
}

void fixture_reopen(struct engine_fixture *fixture, bool snapshot) {
    fixture->engine->options.snapshot_on_close = snapshot;
    fixture_close(fixture);
    fixture_open(fixture);
}

void fixture_crash(struct engine_fixture *fixture, size_t choice) {
    size_t choices = sim_crash_choices(fixture->sim);
    struct sim_io *disk =
        choice == SIZE_MAX
            ? sim_io_clone(fixture->sim)
            : sim_crash_into(fixture->sim, choice < choices ? choice : choices - 1, 0);
    struct sim_snapshots *snapshots = sim_snapshot_survivor(fixture->snapshots);
    assert_non_null(snapshots);
    /* The process is dead: nothing that closing does may reach what is left. */
    (void)wf_close(fixture->engine, NULL);
    fixture->engine = NULL;
    sim_io_destroy(fixture->sim);
    sim_snapshot_destroy(fixture->snapshots);
    fixture->sim = disk;
    fixture->snapshots = snapshots;
}

/* --- commands --- */

static size_t split_fields(char *text, struct wf_field *fields) {
    size_t count = 0;
    char *rest = NULL;
    for (char *pair = strtok_r(text, " ", &rest); pair != NULL; pair = strtok_r(NULL, " ", &rest)) {
        char *equals = strchr(pair, '=');
        assert_non_null(equals);
        *equals = '\0';
        assert_true(count < FIELDS_MAX);
        fields[count++] = (struct wf_field){.name = pair, .value = equals + 1};
    }
    return count;
}

enum wf_status fixture_start(struct engine_fixture *fixture, const char *id, const char *key) {
    struct wf_command command = {
        .kind = WF_WORKFLOW_START, .id = id, .type = "loan_application", .key = key};
    return wf_execute(fixture->engine, &command, NULL, &fixture->err);
}

enum wf_status fixture_submit(struct engine_fixture *fixture, const char *id, int step,
                              const char *key, struct wf_result *result) {
    char text[256];
    struct wf_field fields[FIELDS_MAX];
    (void)snprintf(text, sizeof text, "%s", core_loan_steps[step][1]);
    struct wf_command command = {
        .kind = WF_WORKFLOW_SUBMIT, .id = id, .step = core_loan_steps[step][0], .key = key};
    command.field_count = split_fields(text, fields);
    command.fields = fields;
    return wf_execute(fixture->engine, &command, result, &fixture->err);
}

enum wf_status fixture_cancel(struct engine_fixture *fixture, const char *id, const char *reason,
                              const char *key, struct wf_result *result) {
    struct wf_command command = {
        .kind = WF_WORKFLOW_CANCEL, .id = id, .reason = reason, .key = key};
    return wf_execute(fixture->engine, &command, result, &fixture->err);
}

void fixture_loan(struct engine_fixture *fixture, const char *id, int steps) {
    must(fixture, fixture_start(fixture, id, NULL));
    for (int step = 0; step < steps; step++)
        must(fixture, fixture_submit(fixture, id, step, NULL, NULL));
}

const char *fixture_id(int number, char id[16]) {
    (void)snprintf(id, 16, "L%04d", number);
    return id;
}

void fixture_loans(struct engine_fixture *fixture, int first, int count, int steps) {
    char id[16];
    for (int i = first; i < first + count; i++)
        fixture_loan(fixture, fixture_id(i, id), steps);
}

/* --- questions --- */

struct wf_store_status fixture_status(struct engine_fixture *fixture) {
    struct wf_store_status status;
    must(fixture, wf_status_get(fixture->engine, true, &status, &fixture->err));
    return status;
}

const char *fixture_hash(struct engine_fixture *fixture) {
    static char hashes[4][65];
    static int next;
    struct wf_store_status status = fixture_status(fixture);
    char *hash = hashes[next++ % 4];
    memcpy(hash, status.state_hash, sizeof status.state_hash);
    assert_int_equal(strlen(hash), 64);
    return hash;
}

void fixture_verify(struct engine_fixture *fixture) {
    char hash[65];
    must(fixture, wf_replay_verify(fixture->engine, NULL, NULL, hash, &fixture->err));
    assert_string_equal(hash, fixture_hash(fixture));
}

void fixture_describe(struct engine_fixture *fixture, const char *id, uint64_t lsn,
                      char text[512]) {
    struct wf_workflow *workflow = NULL;
    enum wf_status status =
        lsn == UINT64_MAX
            ? wf_workflow_get(fixture->engine, id, &workflow, &fixture->err)
            : wf_workflow_get_as_of(fixture->engine, id, lsn, &workflow, &fixture->err);
    if (status == WF_NOT_FOUND) {
        (void)snprintf(text, 512, "-");
        return;
    }
    must(fixture, status);
    size_t used = (size_t)snprintf(text, 512, "%s %s %" PRIu64 " %zu:", workflow->status,
                                   workflow->stage == NULL ? "nowhere" : workflow->stage,
                                   workflow->lsn, workflow->data_count);
    for (size_t i = 0; i < workflow->step_count; i++)
        used += (size_t)snprintf(text + used, 512 - used, " %s", workflow->steps[i]);
    for (size_t i = 0; i < workflow->stage_count; i++)
        used += (size_t)snprintf(text + used, 512 - used, " %s/%u", workflow->stages[i].status,
                                 workflow->stages[i].attempt);
    wf_workflow_free(workflow);
}

/* --- the gate --- */

static void pass_gate(void *ctx, struct sim_io *sim, uint64_t boundary) {
    struct fixture_gate *gate = ctx;
    (void)sim;
    (void)boundary;
    pthread_mutex_lock(&gate->mutex);
    gate->waiting++;
    pthread_cond_broadcast(&gate->changed);
    while (gate->closed)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    gate->waiting--;
    pthread_mutex_unlock(&gate->mutex);
}

void fixture_gate_init(struct fixture_gate *gate, struct engine_fixture *fixture) {
    *gate = (struct fixture_gate){0};
    pthread_mutex_init(&gate->mutex, NULL);
    pthread_cond_init(&gate->changed, NULL);
    sim_on_boundary(fixture->sim, pass_gate, gate);
}

void fixture_gate_close(struct fixture_gate *gate) {
    pthread_mutex_lock(&gate->mutex);
    gate->closed = true;
    pthread_mutex_unlock(&gate->mutex);
}

void fixture_gate_await(struct fixture_gate *gate) {
    pthread_mutex_lock(&gate->mutex);
    while (gate->waiting == 0)
        pthread_cond_wait(&gate->changed, &gate->mutex);
    pthread_mutex_unlock(&gate->mutex);
}

void fixture_gate_open(struct fixture_gate *gate) {
    pthread_mutex_lock(&gate->mutex);
    gate->closed = false;
    pthread_cond_broadcast(&gate->changed);
    pthread_mutex_unlock(&gate->mutex);
}

void fixture_gate_deinit(struct fixture_gate *gate, struct engine_fixture *fixture) {
    sim_on_boundary(fixture->sim, NULL, NULL);
    pthread_cond_destroy(&gate->changed);
    pthread_mutex_destroy(&gate->mutex);
}

void fixture_holds(struct engine_fixture *fixture, const char *number, const char *balance) {
    struct wf_account *account = NULL;
    must(fixture, wf_account_get(fixture->engine, number, &account, &fixture->err));
    assert_string_equal(account->balance, balance);
    wf_account_free(account);
}
