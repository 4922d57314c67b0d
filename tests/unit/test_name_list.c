/* engine/name_list.c */
#include "engine/core/text.h"
#include "engine/name_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_name_list_has_each_name_once(void **state) {
    (void)state;
    char names[40] = "";
    name_list_add(names, sizeof names, text_view("alpha"));
    name_list_add(names, sizeof names, text_view("alp"));
    name_list_add(names, sizeof names, text_view("alpha"));
    name_list_add(names, sizeof names, text_view(""));
    assert_string_equal(names, "alpha,alp");
    assert_true(name_list_has(names, text_view("alp")));
    assert_false(name_list_has(names, text_view("al")));
    assert_false(name_list_has(names, text_view("alpha,alp")));
}

static void test_name_list_that_is_full_says_so_once(void **state) {
    (void)state;
    char names[16] = "";
    name_list_add(names, sizeof names, text_view("alphabet"));
    for (int i = 0; i < 3; i++)
        name_list_add(names, sizeof names, text_view("beta"));
    assert_string_equal(names, "alphabet,…");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_list_has_each_name_once),
        cmocka_unit_test(test_name_list_that_is_full_says_so_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
