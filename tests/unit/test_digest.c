/* The state hash: digest.c. */
#include "engine/digest.h"

#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_sum_depends_on_no_order_and_can_be_taken_back(void **state) {
    (void)state;
    uint8_t digests[3][16];
    for (int i = 0; i < 3; i++)
        memset(digests[i], 0xFF - i, 16); /* every addition carries */
    struct digest_sum forwards = {0, 0};
    struct digest_sum backwards = {0, 0};
    for (int i = 0; i < 3; i++) {
        digest_sum_add(&forwards, digests[i]);
        digest_sum_add(&backwards, digests[2 - i]);
    }
    assert_int_equal(forwards.low, backwards.low);
    assert_int_equal(forwards.high, backwards.high);
    digest_sum_subtract(&forwards, digests[0]);
    digest_sum_subtract(&forwards, digests[2]);
    digest_sum_subtract(&forwards, digests[1]);
    assert_int_equal(forwards.low, 0);
    assert_int_equal(forwards.high, 0);
    digest_sum_subtract(&forwards, digests[1]); /* below nothing, and back */
    digest_sum_add(&forwards, digests[1]);
    assert_int_equal(forwards.low, 0);
    assert_int_equal(forwards.high, 0);
}

static void test_key_and_value_do_not_run_into_each_other(void **state) {
    (void)state;
    uint8_t left[16];
    uint8_t right[16];
    digest_entity(text_view("ab"), text_view("c"), left);
    digest_entity(text_view("a"), text_view("bc"), right);
    assert_memory_not_equal(left, right, 16);
    digest_entity(text_view("ab"), text_view("c"), right);
    assert_memory_equal(left, right, 16);
}

/* sha256("wf state 1" and 16 zero bytes): what the empty state has on every machine. */
static void test_hex_is_the_same_everywhere(void **state) {
    (void)state;
    const struct digest_sum nothing = {0, 0};
    char hex[65];
    digest_hex(&nothing, hex);
    assert_string_equal(hex, "d5f1926b94b4dd4a21bceac7e4c1d83fe6a3af28f88cc8a72de1f285187007ea");
}

static void test_state_is_counted_alike_before_and_after_a_freeze(void **state) {
    (void)state;
    struct core_store *store = core_store_open(true);
    struct digest_sum nothing = {0, 0};
    struct digest_sum before;
    struct digest_sum after;
    assert_int_equal(core_define(store, core_loan_yaml), WF_OK);
    assert_int_equal(core_start(store, "L1", "loan_application", NULL), WF_OK);
    assert_int_equal(digest_state(&store->state, &nothing, &before, NULL), WF_OK);
    state_freeze(&store->state);
    assert_int_equal(digest_state(&store->state, &nothing, &after, NULL), WF_OK);
    assert_int_equal(before.low, after.low);
    assert_int_equal(before.high, after.high);
    assert_int_equal(core_start(store, "L2", "loan_application", NULL), WF_OK);
    assert_int_equal(digest_state(&store->state, &nothing, &after, NULL), WF_OK);
    assert_true(before.low != after.low);
    core_store_close(store);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sum_depends_on_no_order_and_can_be_taken_back),
        cmocka_unit_test(test_key_and_value_do_not_run_into_each_other),
        cmocka_unit_test(test_hex_is_the_same_everywhere),
        cmocka_unit_test(test_state_is_counted_alike_before_and_after_a_freeze),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
