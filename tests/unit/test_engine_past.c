/* The past: what a store says about an LSN or a time is what was live then. as_of.c, history.c. */
#include "engine/engine.h"
#include "engine/replay.h"
#include "tests/lib/core_store.h"
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORKFLOWS = 6, COMMANDS = 400, RECORDS_MAX = COMMANDS + 8, VALUE_MAX = 1200 };

static int setup(void **state) {
    static struct engine_fixture fixture;
    fixture_prepare_sim(&fixture);
    fixture.options.create = true;
    fixture.options.test_clock = true;
    fixture.options.segment_size = 64 * 1024;
    fixture_open(&fixture);
    *state = &fixture;
    return 0;
}

/* --- a random run, and what was live after each of its records --- */

struct then {
    uint64_t lsn;
    int64_t time_ms;
    char hash[65];
    size_t sizes[WORKFLOWS]; /* 0: not there */
    uint8_t values[WORKFLOWS][VALUE_MAX];
};

struct run {
    struct engine_fixture *f;
    struct then *thens;
    size_t count, migrations;
    uint64_t random;
};

static uint32_t pick(struct run *run, uint32_t below) {
    return (uint32_t)(sim_random_next(&run->random) % below);
}

static size_t encode(const struct workflow *workflow, uint8_t value[VALUE_MAX]) {
    struct bytes_buffer bytes;
    bytes_buffer_init(&bytes);
    size_t hashed;
    entity_encode(&workflow->entity, &bytes, &hashed);
    assert_true(bytes_buffer_ok(&bytes) && hashed <= VALUE_MAX);
    memcpy(value, bytes.data, hashed);
    bytes_buffer_deinit(&bytes);
    return hashed;
}

static void keep(struct run *run, uint64_t lsn) {
    struct engine_fixture *f = run->f;
    if (lsn == 0 || (run->count > 0 && run->thens[run->count - 1].lsn == lsn))
        return;
    assert_true(run->count < RECORDS_MAX);
    struct then *then = &run->thens[run->count++];
    then->lsn = lsn;
    memcpy(then->hash, fixture_hash(f), sizeof then->hash);
    pthread_mutex_lock(&f->engine->mutex);
    then->time_ms = f->engine->state.store.seen_ms;
    for (int i = 0; i < WORKFLOWS; i++) {
        char id[16];
        struct workflow *workflow = NULL;
        must(f, engine_find_workflow(f->engine, text_view(fixture_id(i, id)), &workflow, &f->err));
        then->sizes[i] = workflow != NULL ? encode(workflow, then->values[i]) : 0;
    }
    pthread_mutex_unlock(&f->engine->mutex);
}

static void execute(struct run *run, const struct wf_command *command) {
    struct wf_result result = {0};
    enum wf_status status = wf_execute(run->f->engine, command, &result, &run->f->err);
    assert_true(status == WF_OK || status == WF_REFUSED || status == WF_NOT_FOUND);
    run->migrations += status == WF_OK && command->kind == WF_WORKFLOW_MIGRATE;
    keep(run, fixture_status(run->f).durable_lsn);
}

static void submit(struct run *run, const char *id) {
    char value[600];
    const char *const names[] = {"personal_info", "ssn",      "employment", "credit_score",
                                 "history",       "salary",   "tenure",     "value",
                                 "condition",     "decision", "verdict"};
    struct wf_field fields[11];
    size_t size = pick(run, 40);
    memset(value, 'x', size);
    value[size] = '\0';
    for (size_t i = 0; i < 11; i++)
        fields[i] = (struct wf_field){names[i], i == pick(run, 11) ? value : "1"};
    uint32_t step = pick(run, 6);
    const struct wf_command command = {.kind = WF_WORKFLOW_SUBMIT,
                                       .id = id,
                                       .step =
                                           step < 5 ? core_loan_steps[step][0] : "auditor_report",
                                       .fields = fields,
                                       .field_count = 11};
    execute(run, &command);
}

static void migrate(struct run *run, const char *id) {
    static const struct wf_field there[] = {{"credit_check", "credit_rating"}},
                                 back[] = {{"credit_rating", "credit_check"}};
    uint32_t version = 1 + pick(run, 2);
    const struct wf_command command = {.kind = WF_WORKFLOW_MIGRATE,
                                       .id = id,
                                       .version = version,
                                       .fields = version == 2 ? there : back,
                                       .field_count = 1};
    execute(run, &command);
}

static void go_back(struct run *run, const char *id) {
    const struct wf_command command = {.kind = WF_WORKFLOW_ROLLBACK,
                                       .id = id,
                                       .stage =
                                           pick(run, 2) == 0 ? "credit_check" : "credit_rating",
                                       .reason = "again",
                                       .actor = "eve"};
    execute(run, &command);
}

static void review(struct run *run, const char *id) {
    static const char *const stages[] = {"income_verification", "collateral_assessment",
                                         "final_approval"};
    uint32_t stage = pick(run, 3);
    const struct wf_command command = {.kind =
                                           pick(run, 4) == 0 ? WF_REVIEW_REJECT : WF_REVIEW_APPROVE,
                                       .id = id,
                                       .stage = stages[stage],
                                       .actor = "bob",
                                       .role = stage == 2 ? "executive" : "reviewer"};
    execute(run, &command);
}

static void step(struct run *run) {
    char id[16];
    fixture_id((int)pick(run, WORKFLOWS), id);
    const struct wf_command start = {
        .kind = WF_WORKFLOW_START, .id = id, .type = "loan_application", .version = 1};
    const struct wf_command fail = {
        .kind = WF_WORKFLOW_FAIL, .id = id, .stage = "final_approval", .reason = "no"};
    const struct wf_command cancel = {.kind = WF_WORKFLOW_CANCEL, .id = id, .reason = "no"};
    const struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 1000};
    switch (pick(run, 40)) {
    case 0:
        execute(run, &fail);
        return;
    case 1:
        execute(run, pick(run, 8) == 0 ? &cancel : &advance);
        return;
    case 2:
        execute(run, &advance);
        return;
    case 3:
        go_back(run, id);
        return;
    case 38:
    case 39:
        review(run, id);
        return;
    case 4:
    case 5:
        fixture_reopen(run->f, pick(run, 2) == 0);
        return;
    case 6:
    case 7:
    case 8:
    case 9:
        execute(run, &start);
        return;
    case 10:
    case 11:
    case 12:
    case 13:
        migrate(run, id);
        return;
    default:
        submit(run, id);
        return;
    }
}

static void run_at_random(struct run *run, struct engine_fixture *f, uint64_t seed) {
    *run = (struct run){.f = f, .random = seed};
    run->thens = calloc(RECORDS_MAX, sizeof run->thens[0]);
    assert_non_null(run->thens);
    const char *const definitions[] = {core_loan_yaml, core_loan_2_yaml};
    for (size_t i = 0; i < 2; i++) {
        const struct wf_command define = {.kind = WF_DEFINITION_ADD, .text = definitions[i]};
        enum wf_status status = wf_execute(f->engine, &define, NULL, &f->err);
        assert_true(status == WF_OK || status == WF_REFUSED);
        keep(run, fixture_status(f).durable_lsn);
    }
    for (int i = 0; i < COMMANDS; i++)
        step(run);
}

/* --- the properties --- */

static void check_workflow_as_of(struct run *run, const struct then *then, int number) {
    char id[16];
    struct state past;
    struct workflow *workflow = NULL;
    enum wf_status status = engine_state_as_of(run->f->engine, text_view(fixture_id(number, id)),
                                               then->lsn, &past, &workflow, &run->f->err);
    if (status == WF_NOT_FOUND) {
        assert_int_equal(then->sizes[number], 0);
        return;
    }
    must(run->f, status);
    uint8_t value[VALUE_MAX];
    size_t size = workflow != NULL ? encode(workflow, value) : 0;
    if (size != then->sizes[number] || memcmp(value, then->values[number], size) != 0)
        fail_msg("%s is not at LSN %u what it was then", id, (unsigned)then->lsn);
    state_deinit(&past);
}

static void check_state_as_of(struct run *run, const struct then *then) {
    struct state past;
    struct codec_arena arena;
    must(run->f, state_init(&past, &run->f->err));
    codec_arena_init(&arena);
    struct replayer replayer = {.state = &past, .arena = &arena};
    enum wf_status status =
        wal_walk(run->f->engine->wal, 1, then->lsn, replay_record, &replayer, &run->f->err);
    must(run->f, replay_finish(&replayer, status, &run->f->err));
    struct digest_sum none = {0}, sum;
    char hash[65];
    must(run->f, digest_state(&past, &none, &sum, &run->f->err));
    digest_hex(&sum, hash);
    assert_string_equal(hash, then->hash);
    codec_arena_deinit(&arena);
    state_deinit(&past);
}

static void test_state_at_any_lsn_is_the_one_that_was_live_then(void **state) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct run run;
        run_at_random(&run, *state, seed);
        assert_true(run.count > 150 && run.migrations > 3);
        for (size_t i = 0; i < run.count; i++) {
            check_state_as_of(&run, &run.thens[i]);
            for (int number = 0; number < WORKFLOWS; number++)
                check_workflow_as_of(&run, &run.thens[i], number);
        }
        fixture_verify(*state);
        free(run.thens);
        fixture_teardown(state);
        setup(state);
    }
}

static void test_lsn_at_is_the_last_record_at_or_before_a_time(void **state) {
    struct engine_fixture *f = *state;
    struct run run;
    run_at_random(&run, f, 17);
    uint64_t lsn;
    for (size_t i = 0; i < run.count; i++) {
        size_t last = i; /* of the same time */
        while (last + 1 < run.count && run.thens[last + 1].time_ms == run.thens[i].time_ms)
            last++;
        must(f, wf_lsn_at(f->engine, run.thens[i].time_ms, &lsn, &f->err));
        assert_int_equal(lsn, run.thens[last].lsn);
        must(f, wf_lsn_at(f->engine, run.thens[i].time_ms + 999, &lsn, &f->err));
        assert_int_equal(lsn, run.thens[last].lsn);
    }
    must(f, wf_lsn_at(f->engine, f->options.test_clock_ms - 1, &lsn, &f->err));
    assert_int_equal(lsn, 0);
    must(f, wf_lsn_at(f->engine, INT64_MAX, &lsn, &f->err));
    assert_int_equal(lsn, fixture_status(f).durable_lsn);
    free(run.thens);
}

/* Many segments of one record time each: their bytes are counted by what is read of the disk. */
static void test_lsn_at_reads_few_segments(void **state) {
    struct engine_fixture *f = *state;
    char big[60 * 1024];
    memset(big, 'x', sizeof big - 1);
    big[sizeof big - 1] = '\0';
    fixture_define(f);
    const struct wf_field note = {"note", big};
    for (int i = 0; i < 40; i++) {
        char id[16];
        const struct wf_command start = {.kind = WF_WORKFLOW_START,
                                         .id = fixture_id(i, id),
                                         .type = "loan_application",
                                         .fields = &note,
                                         .field_count = 1};
        const struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 1000};
        must(f, wf_execute(f->engine, &start, NULL, &f->err));
        must(f, wf_execute(f->engine, &advance, NULL, &f->err));
    }
    assert_true(wal_segment_count(f->engine->wal) >= 40);
    for (int i = 0; i < 40; i++) {
        uint64_t lsn;
        sim_trace_start(f->sim);
        must(f, wf_lsn_at(f->engine, f->options.test_clock_ms + 1000 * i, &lsn, &f->err));
        assert_int_equal(lsn, 3 + 2 * i); /* 1: the store, 2: the definition */
        assert_true(sim_trace_count(f->sim) < 100);
    }
}

/* --- names in a history across a migration --- */

struct names {
    char text[4096];
};

static bool note_name(void *ctx, const struct wf_event *event) {
    struct names *names = ctx;
    size_t used = strlen(names->text);
    const char *name = event->stage != NULL ? event->stage : event->step;
    if (name != NULL)
        (void)snprintf(names->text + used, sizeof names->text - used, "%s ", name);
    else if (event->version != 0 && strcmp(event->event, "workflow_migrated") == 0)
        (void)snprintf(names->text + used, sizeof names->text - used, "v%u ", event->version);
    return true;
}

static void test_history_names_what_each_record_was_about(void **state) {
    struct engine_fixture *f = *state;
    fixture_define(f);
    fixture_loan(f, "L1", 1);
    const struct wf_command define = {.kind = WF_DEFINITION_ADD, .text = core_loan_2_yaml};
    must(f, wf_execute(f->engine, &define, NULL, &f->err));
    const struct wf_field map = {"credit_check", "credit_rating"};
    const struct wf_command go = {.kind = WF_WORKFLOW_MIGRATE,
                                  .id = "L1",
                                  .version = 2,
                                  .fields = &map,
                                  .field_count = 1,
                                  .key = "k"};
    struct wf_result result;
    must(f, wf_dry_run(f->engine, &go, &result, &f->err));
    assert_int_equal(result.version, 2);
    assert_int_equal(fixture_status(f).durable_lsn, 5);
    must(f, wf_execute(f->engine, &go, &result, &f->err));
    assert_int_equal(result.version, 2);
    assert_string_equal(result.stage, "credit_rating");
    must(f, fixture_submit(f, "L1", 1, "s", &result));
    assert_string_equal(result.activated[0], "audit");
    static const char expected[] =
        "applicant_submission credit_check v2 credit_bureau_response credit_rating audit "
        "income_verification ";
    for (int i = 0; i < 2; i++) {
        struct names history = {""}, replay = {""};
        must(f, wf_workflow_history(f->engine, "L1", note_name, &history, &f->err));
        assert_string_equal(history.text, expected);
        must(f, wf_replay(f->engine, 1, UINT64_MAX, "L1", note_name, &replay, &f->err));
        assert_string_equal(replay.text, expected);
        must(f, wf_execute(f->engine, &go, &result, &f->err)); /* the first outcome again */
        assert_true(result.replayed);
        assert_int_equal(result.version, 2);
        assert_string_equal(result.stage, "credit_rating");
        fixture_reopen(f, i == 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
        TEST(test_state_at_any_lsn_is_the_one_that_was_live_then),
        TEST(test_lsn_at_is_the_last_record_at_or_before_a_time),
        TEST(test_lsn_at_reads_few_segments),
        TEST(test_history_names_what_each_record_was_about),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
