/* apply(): what events do to the state, and what apply_reserve() refuses before. */
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_apply_carries_a_loan_to_its_end(void **unused) {
    (void)unused;
    struct core_store *store = core_store_open(false);
    char stages[512];
    assert_int_equal(core_define(store, core_loan_yaml), WF_OK);
    assert_int_equal(core_start(store, "L1", "loan_application", "branch=north"), WF_OK);
    assert_string_equal(core_stages(store, "L1", stages), "blocked blocked blocked blocked");
    static const char *const expected[5] = {
        "active blocked blocked blocked",          "completed active blocked blocked",
        "completed completed active blocked",      "completed completed completed active",
        "completed completed completed completed",
    };
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(core_submit(store, "L1", core_loan_steps[i][0], core_loan_steps[i][1]),
                         WF_OK);
        assert_string_equal(core_stages(store, "L1", stages), expected[i]);
    }
    const struct workflow *loan = core_workflow(store, "L1");
    assert_int_equal(loan->status, WORKFLOW_COMPLETED);
    assert_int_equal(store->state.store.workflow_counts[WORKFLOW_COMPLETED], 1);
    assert_int_equal(store->state.store.workflow_counts[WORKFLOW_RUNNING], 0);
    struct bytes_view score = workflow_field(loan, "credit_score", 12);
    assert_int_equal(score.size, 3);
    assert_memory_equal(score.data, "750", 3);
    core_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_apply_carries_a_loan_to_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
