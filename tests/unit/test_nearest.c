#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *const words[] = {"account.open", "account.close", "status", "hold", "held"};

static const char *nearest(const char *word) {
    return nearest_word(word, strlen(word), words, sizeof words / sizeof words[0]);
}

static void test_nearest_word_is_the_one_of_fewest_edits(void **state) {
    (void)state;
    assert_string_equal(nearest("account_open"), "account.open");
    assert_string_equal(nearest("acount.close"), "account.close");
    assert_string_equal(nearest("statuss"), "status");
    assert_string_equal(nearest("hold"), "hold");
    assert_string_equal(nearest("hald"), "hold"); /* as near as the other, and before it */
}

static void test_nearest_word_of_something_else_is_none(void **state) {
    (void)state;
    assert_null(nearest(""));
    assert_null(nearest("theft"));
    assert_null(nearest("sta")); /* three edits: a word of three bears two */
    assert_non_null(nearest("stat"));
}

static void test_nearest_word_takes_words_of_any_length(void **state) {
    (void)state;
    char word[2 * NEAREST_WORD_MAX];
    memset(word, 'a', sizeof word);
    const char *const same[] = {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"};
    assert_int_equal(strlen(same[0]), NEAREST_WORD_MAX);
    assert_string_equal(nearest_word(word, NEAREST_WORD_MAX, same, 1), same[0]);
    assert_null(nearest_word(word, NEAREST_WORD_MAX + 1, same, 1));
    assert_null(nearest_word(word, sizeof word, same, 1));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nearest_word_is_the_one_of_fewest_edits),
        cmocka_unit_test(test_nearest_word_of_something_else_is_none),
        cmocka_unit_test(test_nearest_word_takes_words_of_any_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
