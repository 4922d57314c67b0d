/* engine/name_list.c */
#include "engine/name_list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct bytes_view view(const char *text) {
    return (struct bytes_view){(const uint8_t *)text, strlen(text)};
}

static void test_name_list_has_each_name_once(void **state) {
    (void)state;
    char names[40] = "";
    name_list_add(names, sizeof names, view("alpha"));
    name_list_add(names, sizeof names, view("alp"));
    name_list_add(names, sizeof names, view("alpha"));
    name_list_add(names, sizeof names, view(""));
    assert_string_equal(names, "alpha,alp");
    assert_true(name_list_has(names, view("alp")));
    assert_false(name_list_has(names, view("al")));
    assert_false(name_list_has(names, view("alpha,alp")));
}

static void test_name_list_that_is_full_says_so_once(void **state) {
    (void)state;
    char names[16] = "";
    name_list_add(names, sizeof names, view("alphabet"));
    for (int i = 0; i < 3; i++)
        name_list_add(names, sizeof names, view("beta"));
    assert_string_equal(names, "alphabet,…");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_name_list_has_each_name_once),
        cmocka_unit_test(test_name_list_that_is_full_says_so_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
