/* Idempotency keys through the whole engine: commit.c and result.c, with the keys in memory, in the
 * snapshot, or forgotten. */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void assert_same_answer(const struct wf_result *first, const struct wf_result *again) {
    assert_false(first->replayed);
    assert_true(again->replayed);
    assert_int_equal(again->lsn, first->lsn);
    assert_string_equal(again->outcome, first->outcome);
    assert_string_equal(again->stage, first->stage);
    assert_string_equal(again->status, first->status);
    assert_int_equal(again->version, first->version);
    assert_int_equal(again->activated_count, first->activated_count);
    for (size_t i = 0; i < first->activated_count; i++)
        assert_string_equal(again->activated[i], first->activated[i]);
}

/* Everything in memory is clean and leaves it. */
static void evict_all(struct engine_fixture *f) {
    assert_int_equal(wf_snapshot(f->engine, NULL), WF_OK);
    uint64_t bound = f->engine->options.memory_max;
    pthread_mutex_lock(&f->engine->mutex);
    f->engine->options.memory_max = 0;
    cache_trim(f->engine);
    f->engine->options.memory_max = bound;
    assert_int_equal(table_count(&f->engine->state.workflows), 0);
    assert_int_equal(table_count(&f->engine->state.keys), 0);
    pthread_mutex_unlock(&f->engine->mutex);
}

static void test_keys_same_body_answers_as_the_first_time(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result first;
    struct wf_result again;
    fixture_loan(f, "L1", 1);
    assert_int_equal(fixture_submit(f, "L1", 1, "k", &first), WF_OK);
    assert_int_equal(fixture_submit(f, "L1", 2, NULL, NULL), WF_OK); /* it goes on meanwhile */
    uint64_t lsn = fixture_status(f).durable_lsn;
    assert_int_equal(fixture_submit(f, "L1", 1, "k", &again), WF_OK);
    assert_same_answer(&first, &again);
    assert_int_equal(fixture_status(f).durable_lsn, lsn);
    for (int snapshot = 0; snapshot < 2; snapshot++) {
        fixture_reopen(f, snapshot);
        assert_int_equal(fixture_submit(f, "L1", 1, "k", &again), WF_OK);
        assert_same_answer(&(struct wf_result){.lsn = lsn - 1,
                                               .outcome = "income_verification_triggered",
                                               .stage = "income_verification",
                                               .status = "running",
                                               .activated = {"income_verification"},
                                               .activated_count = 1,
                                               .version = 1},
                           &again);
    }
    evict_all(f);
    assert_int_equal(fixture_submit(f, "L1", 1, "k", &again), WF_OK);
    assert_string_equal(again.stage, "income_verification");
    assert_int_equal(again.lsn, lsn - 1);
    fixture_verify(f);
}

static void test_keys_of_every_kind_of_command_answer_again(void **state) {
    struct engine_fixture *f = *state;
    const struct wf_command commands[] = {
        {.kind = WF_WORKFLOW_START, .id = "S", .type = "loan_application", .key = "k1"},
        {.kind = WF_WORKFLOW_CANCEL, .id = "S", .reason = "enough", .key = "k2"},
        {.kind = WF_CLOCK_ADVANCE, .duration_ms = 1000, .key = "k3"},
        {.kind = WF_DEFINITION_ADD,
         .text = "workflow: tiny\nversion: 1\nsteps:\n  go: {completes: all}\nstages:\n"
                 "  - {name: all}\n",
         .key = "k4"},
    };
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        struct wf_result first;
        struct wf_result again;
        if (wf_execute(f->engine, &commands[i], &first, &f->err) != WF_OK)
            fail_msg("%s", f->err.text);
        if (wf_execute(f->engine, &commands[i], &again, &f->err) != WF_OK)
            fail_msg("command %zu again: %s", i, f->err.text);
        assert_true(again.replayed);
        assert_int_equal(again.lsn, first.lsn);
        assert_string_equal(again.outcome, first.outcome);
        assert_int_equal(again.version, first.version);
        assert_true((first.status == NULL) == (again.status == NULL));
        if (first.status != NULL)
            assert_string_equal(again.status, first.status);
    }
    fixture_verify(f);
}

static void test_keys_other_body_is_a_conflict(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "L1", 0);
    assert_int_equal(fixture_submit(f, "L1", 0, "k", NULL), WF_OK);
    uint64_t lsn = fixture_status(f).durable_lsn;
    assert_int_equal(fixture_submit(f, "L1", 1, "k", NULL), WF_CONFLICT);
    assert_non_null(strstr(f->err.text, "\"k\""));
    evict_all(f);
    assert_int_equal(fixture_submit(f, "L1", 1, "k", NULL), WF_CONFLICT);
    fixture_reopen(f, false);
    assert_int_equal(fixture_submit(f, "L1", 1, "k", NULL), WF_CONFLICT);
    assert_int_equal(fixture_status(f).durable_lsn, lsn);
}

static void test_keys_refusal_is_repeated_even_when_it_would_be_granted_now(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result result;
    fixture_loan(f, "L1", 0);
    assert_int_equal(fixture_submit(f, "L1", 1, "early", NULL), WF_REFUSED);
    char words[512];
    (void)snprintf(words, sizeof words, "%s", f->err.text);
    assert_non_null(strstr(words, "too early"));
    assert_int_equal(fixture_submit(f, "L1", 0, NULL, NULL), WF_OK);
    assert_int_equal(fixture_submit(f, "L1", 1, "early", &result), WF_REFUSED);
    assert_string_equal(f->err.text, words);
    assert_true(result.replayed);
    evict_all(f);
    assert_int_equal(fixture_submit(f, "L1", 1, "early", NULL), WF_REFUSED);
    assert_string_equal(f->err.text, words);
    fixture_reopen(f, true);
    assert_int_equal(fixture_submit(f, "L1", 1, "early", NULL), WF_REFUSED);
    assert_string_equal(f->err.text, words);
    assert_int_equal(fixture_submit(f, "L1", 1, NULL, NULL), WF_OK);
}

static void test_keys_of_refused_start_answer_again(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "L1", 1);
    assert_int_equal(fixture_start(f, "L1", "k"), WF_REFUSED);
    assert_non_null(strstr(f->err.text, "exists already"));
    assert_int_equal(fixture_start(f, "L1", "k"), WF_REFUSED);
    assert_non_null(strstr(f->err.text, "exists already"));
}

static void test_keys_oldest_are_forgotten(void **state) {
    struct engine_fixture *f = *state;
    f->options.keys_max = 3;
    fixture_reopen(f, true);
    char id[16];
    for (int i = 0; i < 5; i++)
        assert_int_equal(fixture_start(f, fixture_id(i, id), id), WF_OK);
    assert_int_equal(fixture_status(f).keys, 3);
    assert_int_equal(fixture_start(f, "L0002", "L0002"), WF_OK);      /* known: answered again */
    assert_int_equal(fixture_start(f, "L0001", "L0001"), WF_REFUSED); /* forgotten: a new command */
    assert_int_equal(fixture_status(f).keys, 3);
    fixture_verify(f);
    fixture_reopen(f, false);
    assert_int_equal(fixture_status(f).keys, 3);
    assert_int_equal(fixture_start(f, "L0004", "L0004"), WF_OK);
    fixture_verify(f);
}

static void test_keys_oldest_are_forgotten_when_only_the_snapshot_has_them(void **state) {
    struct engine_fixture *f = *state;
    f->options.keys_max = 4;
    fixture_reopen(f, true);
    char id[16];
    for (int i = 0; i < 4; i++)
        assert_int_equal(fixture_start(f, fixture_id(i, id), id), WF_OK);
    evict_all(f);
    for (int i = 4; i < 7; i++)
        assert_int_equal(fixture_start(f, fixture_id(i, id), id), WF_OK);
    assert_int_equal(fixture_status(f).keys, 4);
    fixture_verify(f);
    const char *hash = fixture_hash(f);
    evict_all(f);
    assert_string_equal(fixture_hash(f), hash);
    fixture_reopen(f, true);
    assert_string_equal(fixture_hash(f), hash);
    assert_int_equal(fixture_start(f, "L0003", "L0003"), WF_OK);
    assert_int_equal(fixture_start(f, "L0000", "L0000"), WF_REFUSED);
    fixture_verify(f);
}

static void test_keys_lowered_bound_is_reached_two_by_two(void **state) {
    struct engine_fixture *f = *state;
    char id[16];
    for (int i = 0; i < 6; i++)
        assert_int_equal(fixture_start(f, fixture_id(i, id), id), WF_OK);
    f->options.keys_max = 2;
    fixture_reopen(f, true);
    for (int i = 6; i < 12; i++)
        assert_int_equal(fixture_start(f, fixture_id(i, id), id), WF_OK);
    assert_int_equal(fixture_status(f).keys, 2);
    fixture_verify(f);
    fixture_reopen(f, false);
    fixture_verify(f);
}

static void test_keys_forgotten_and_used_again_before_and_after_a_snapshot(void **state) {
    struct engine_fixture *f = *state;
    f->options.keys_max = 1;
    fixture_reopen(f, true);
    assert_int_equal(fixture_start(f, "A", "a"), WF_OK);
    assert_int_equal(fixture_start(f, "B", "b"), WF_OK);
    assert_int_equal(fixture_start(f, "C", "a"), WF_OK); /* its tombstone is used again */
    assert_int_equal(wf_snapshot(f->engine, &f->err), WF_OK);
    assert_int_equal(fixture_start(f, "D", "b"), WF_OK);
    assert_int_equal(fixture_start(f, "E", "a"), WF_OK);
    fixture_verify(f);
    const char *hash = fixture_hash(f);
    fixture_reopen(f, true);
    assert_string_equal(fixture_hash(f), hash);
    assert_int_equal(fixture_start(f, "E", "a"), WF_OK);
    assert_int_equal(fixture_start(f, "F", "a"), WF_CONFLICT);
}

/* Each key stands in the snapshot twice: under its text and under its number. */
static void test_keys_used_again_leave_nothing_in_the_snapshot(void **state) {
    struct engine_fixture *f = *state;
    f->options.keys_max = 1;
    fixture_reopen(f, true);
    char id[16];
    uint64_t entries = 0;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(fixture_start(f, fixture_id(2 * i, id), "a"), WF_OK);
        assert_int_equal(wf_snapshot(f->engine, &f->err), WF_OK);
        assert_int_equal(fixture_start(f, fixture_id(2 * i + 1, id), "b"), WF_OK);
    }
    assert_int_equal(wf_snapshot(f->engine, &f->err), WF_OK);
    assert_int_equal(wf_snapshot_verify(f->engine, &entries, &f->err), WF_OK);
    /* store, definition, 40 workflows, one key under its text and its number */
    assert_int_equal(entries, 1 + 1 + 40 + 2);
}

/* What a refusal changes: the store's counter and the workflow's history, not the workflow. */
static void test_refusal_is_history_but_changes_no_workflow(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "L1", 1);
    char before[512];
    char after[512];
    fixture_describe(f, "L1", UINT64_MAX, before);
    struct wf_store_status then = fixture_status(f);
    assert_int_equal(fixture_submit(f, "L1", 4, NULL, NULL), WF_REFUSED);
    fixture_describe(f, "L1", UINT64_MAX, after);
    assert_string_equal(before, after);
    struct wf_store_status now = fixture_status(f);
    assert_int_equal(now.durable_lsn, then.durable_lsn + 1);
    assert_int_equal(now.refusals, then.refusals + 1);
    assert_memory_equal(now.counts, then.counts, sizeof now.counts);
    fixture_verify(f);
}

static void test_unknown_workflow_leaves_no_record(void **state) {
    struct engine_fixture *f = *state;
    uint64_t lsn = fixture_status(f).durable_lsn;
    const char *hash = fixture_hash(f);
    assert_int_equal(fixture_submit(f, "nobody", 0, "k", NULL), WF_NOT_FOUND);
    assert_int_equal(fixture_status(f).durable_lsn, lsn);
    assert_string_equal(fixture_hash(f), hash);
    assert_int_equal(fixture_start(f, "nobody", "k"), WF_OK); /* the key is still free */
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_disk, fixture_teardown)
        TEST(test_keys_same_body_answers_as_the_first_time),
        TEST(test_keys_of_every_kind_of_command_answer_again),
        TEST(test_keys_other_body_is_a_conflict),
        TEST(test_keys_refusal_is_repeated_even_when_it_would_be_granted_now),
        TEST(test_keys_of_refused_start_answer_again),
        TEST(test_keys_oldest_are_forgotten),
        TEST(test_keys_oldest_are_forgotten_when_only_the_snapshot_has_them),
        TEST(test_keys_lowered_bound_is_reached_two_by_two),
        TEST(test_keys_forgotten_and_used_again_before_and_after_a_snapshot),
        TEST(test_keys_used_again_leave_nothing_in_the_snapshot),
        TEST(test_refusal_is_history_but_changes_no_workflow),
        TEST(test_unknown_workflow_leaves_no_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
