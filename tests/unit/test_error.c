#include "base/error.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_error_set_formats_and_returns_the_status(void **state) {
    (void)state;
    struct wf_error err;
    assert_int_equal(error_set(&err, WF_USAGE, "size %d", 7), WF_USAGE);
    assert_int_equal(err.status, WF_USAGE);
    assert_string_equal(err.text, "size 7");
}

static void test_error_functions_accept_no_error(void **state) {
    (void)state;
    assert_int_equal(error_set(NULL, WF_FULL, "x"), WF_FULL);
    assert_int_equal(error_wrap(NULL, WF_IO, "x"), WF_IO);
}

static void test_error_wrap_puts_context_in_front(void **state) {
    (void)state;
    struct wf_error err;
    (void)error_set(&err, WF_DAMAGE, "bad checksum");
    assert_int_equal(error_wrap(&err, WF_DAMAGE, "segment %d", 3), WF_DAMAGE);
    (void)error_wrap(&err, WF_DAMAGE, "open ./data");
    assert_int_equal(err.status, WF_DAMAGE);
    assert_string_equal(err.text, "open ./data: segment 3: bad checksum");
}

static void test_error_set_may_quote_its_own_text(void **state) {
    (void)state;
    struct wf_error err;
    (void)error_set(&err, WF_IO, "first");
    (void)error_set(&err, WF_IO, "second after %s", err.text);
    assert_string_equal(err.text, "second after first");
}

static void test_error_text_fills_its_room_and_no_more(void **state) {
    (void)state;
    struct wf_error err;
    char text[WF_ERROR_TEXT_MAX + 2];
    memset(text, 'a', sizeof text);
    text[WF_ERROR_TEXT_MAX] = '\0';
    (void)error_set(&err, WF_IO, "%s", text);
    assert_string_equal(err.text, text);

    text[WF_ERROR_TEXT_MAX] = 'a';
    text[WF_ERROR_TEXT_MAX + 1] = '\0';
    (void)error_set(&err, WF_IO, "%s", text);
    assert_int_equal(strlen(err.text), WF_ERROR_TEXT_MAX);
    (void)error_wrap(&err, WF_IO, "context");
    assert_int_equal(strlen(err.text), WF_ERROR_TEXT_MAX);
    assert_memory_equal(err.text, "context: aaa", 12);
}

static void test_error_text_is_not_cut_inside_a_character(void **state) {
    (void)state;
    static const char *const characters[] = {"\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"};
    for (size_t i = 0; i < 3; i++) {
        size_t size = strlen(characters[i]);
        for (size_t kept = 0; kept <= size; kept++) {
            struct wf_error err;
            char text[WF_ERROR_TEXT_MAX + 8];
            size_t before = WF_ERROR_TEXT_MAX - kept;
            memset(text, 'a', before);
            memcpy(text + before, characters[i], size);
            memcpy(text + before + size, "b", 2);
            (void)error_set(&err, WF_IO, "%s", text);
            assert_int_equal(strlen(err.text), kept == size ? WF_ERROR_TEXT_MAX : before);
        }
    }
}

static void test_error_text_is_one_line(void **state) {
    (void)state;
    struct wf_error err;
    (void)error_set(&err, WF_IO, "open %s: no", "a\nb\r");
    assert_string_equal(err.text, "open a b : no");
}

static void test_error_code_names_every_status(void **state) {
    (void)state;
    static const struct {
        enum wf_status status;
        const char *code;
    } codes[] = {
        {WF_OK, "ok"},
        {WF_REFUSED, "refused"},
        {WF_CONFLICT, "conflict"},
        {WF_USAGE, "usage"},
        {WF_NOT_FOUND, "not_found"},
        {WF_DAMAGE, "damage"},
        {WF_DIVERGENCE, "divergence"},
        {WF_LOCKED, "locked"},
        {WF_IO, "io"},
        {WF_FULL, "full"},
        {WF_HALTED, "halted"},
        {WF_UNKNOWN, "halted"},
        {WF_NO_MEMORY, "io"},
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        assert_string_equal(error_code(codes[i].status), codes[i].code);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_set_formats_and_returns_the_status),
        cmocka_unit_test(test_error_functions_accept_no_error),
        cmocka_unit_test(test_error_wrap_puts_context_in_front),
        cmocka_unit_test(test_error_set_may_quote_its_own_text),
        cmocka_unit_test(test_error_text_fills_its_room_and_no_more),
        cmocka_unit_test(test_error_text_is_not_cut_inside_a_character),
        cmocka_unit_test(test_error_text_is_one_line),
        cmocka_unit_test(test_error_code_names_every_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
