/* The loan, from every stage to every stage before it and forward again, and the same with a crash
 * after every record of it. */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { STAGES = 4, NEVER = 1000 };

static const char *const stages[STAGES] = {"credit_check", "income_verification",
                                           "collateral_assessment", "final_approval"};

/* A run that loses power after its n-th record, with or without a snapshot before. */
struct run {
    struct engine_fixture fixture;
    int left; /* records until the crash */
    bool snapshot;
};

static void answered(struct run *run) {
    if (--run->left != 0)
        return;
    if (run->snapshot)
        must(&run->fixture, wf_snapshot(run->fixture.engine, &run->fixture.err));
    fixture_crash(&run->fixture, 0);
    fixture_open(&run->fixture);
}

static void execute(struct run *run, const struct wf_command *command) {
    must(&run->fixture, wf_execute(run->fixture.engine, command, NULL, &run->fixture.err));
    answered(run);
}

static void submit(struct run *run, int first, int end) {
    for (int step = first; step < end; step++) {
        must(&run->fixture, fixture_submit(&run->fixture, "L1", step, NULL, NULL));
        answered(run);
    }
}

/* Whoever is asked agrees. */
static void approve_all(struct run *run) {
    for (;;) {
        struct wf_workflow *loan = NULL;
        must(&run->fixture, wf_workflow_get(run->fixture.engine, "L1", &loan, &run->fixture.err));
        struct wf_command approve = {.kind = WF_REVIEW_APPROVE, .id = "L1", .actor = "bob"};
        char stage[64], role[64];
        bool waits = loan->review_count > 0;
        if (waits) {
            snprintf(stage, sizeof stage, "%s", loan->reviews[0].stage);
            snprintf(role, sizeof role, "%s", loan->reviews[0].role);
        }
        wf_workflow_free(loan);
        if (!waits)
            return;
        approve.stage = stage;
        approve.role = role;
        execute(run, &approve);
    }
}

/* Steps 0 to `current` are submitted, so stage `current` is active (STAGES: all is completed). The
 * state hash at the end; how many records the way back and forward took. */
static int there_and_back(int current, int target, int crash_after, bool snapshot, char hash[65]) {
    struct run run = {.left = NEVER, .snapshot = snapshot};
    fixture_init_sim(&run.fixture);
    fixture_loan(&run.fixture, "L1", current + 1);
    run.left = crash_after;
    const struct wf_command back = {.kind = WF_WORKFLOW_ROLLBACK,
                                    .id = "L1",
                                    .stage = stages[target],
                                    .reason = "once more",
                                    .actor = "eve"};
    execute(&run, &back);
    approve_all(&run);
    struct wf_workflow *loan = NULL;
    must(&run.fixture, wf_workflow_get(run.fixture.engine, "L1", &loan, &run.fixture.err));
    assert_string_equal(loan->status, "running");
    assert_string_equal(loan->stage, stages[target]);
    for (int i = 0; i < STAGES; i++)
        assert_string_equal(loan->stages[i].status, i < target                   ? "completed"
                                                    : i == target                ? "active"
                                                    : i <= current && i < STAGES ? "rolled_back"
                                                                                 : "blocked");
    assert_int_equal(loan->stages[target].attempt, 2);
    assert_int_equal(loan->step_count, (size_t)target + 1);
    wf_workflow_free(loan);
    submit(&run, target + 1, STAGES + 1);
    must(&run.fixture, wf_workflow_get(run.fixture.engine, "L1", &loan, &run.fixture.err));
    assert_string_equal(loan->status, "completed");
    wf_workflow_free(loan);
    snprintf(hash, 65, "%s", fixture_hash(&run.fixture));
    fixture_verify(&run.fixture);
    int records = NEVER - run.left;
    fixture_deinit(&run.fixture);
    return records;
}

static void test_loan_from_every_stage_to_every_earlier_one(void **unused) {
    (void)unused;
    char hash[65];
    for (int current = 0; current <= STAGES; current++)
        for (int target = 0; target < STAGES && target <= current; target++)
            there_and_back(current, target, NEVER, false, hash);
}

static void test_loan_with_a_crash_after_every_record_ends_the_same(void **unused) {
    (void)unused;
    char expected[65], hash[65];
    for (int current = 1; current <= STAGES; current++) {
        for (int target = 0; target < current; target++) {
            int records = there_and_back(current, target, NEVER, false, expected);
            for (int crash_after = 1; crash_after <= records; crash_after++) {
                there_and_back(current, target, crash_after, crash_after % 2 == 0, hash);
                assert_string_equal(hash, expected);
            }
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loan_from_every_stage_to_every_earlier_one),
        cmocka_unit_test(test_loan_with_a_crash_after_every_record_ends_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
