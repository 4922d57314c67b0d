/* What counts as a name and as text, byte for byte. */
#include "engine/core/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const malformed[] = {
    "\x80",             /* begins in the middle of a character */
    "\xc0\x80",         /* overlong NUL */
    "\xc1\xbf",         /* overlong */
    "\xe0\x9f\xbf",     /* overlong */
    "\xf0\x8f\xbf\xbf", /* overlong */
    "\xed\xa0\x80",     /* a surrogate */
    "\xf4\x90\x80\x80", /* beyond U+10FFFF */
    "\xf8\x88\x80\x80\x80",
    "\xff",
    "a\xc3",         /* cut */
    "a\xe2\x82",     /* cut */
    "a\xf0\x9f\x98", /* cut */
    "\xc3(",
};

static void test_text_refuses_malformed_utf8(void **unused) {
    (void)unused;
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        if (text_is_utf8(text_view(malformed[i])) || text_is_name(text_view(malformed[i]), 64))
            fail_msg("case %zu was taken", i);
    }
}

static void test_text_takes_every_width(void **unused) {
    (void)unused;
    const char *good = "a \xc2\xa0 \xc3\xa9 \xe2\x82\xac \xed\x9f\xbf \xee\x80\x80 "
                       "\xf0\x9f\x98\x80 \xf4\x8f\xbf\xbf";
    assert_true(text_is_utf8(text_view(good)));
    assert_true(text_is_name(text_view(good), 64));
}

static void test_text_names_hold_no_controls(void **unused) {
    (void)unused;
    for (int byte = 1; byte < 0x80; byte++) {
        char text[2] = {(char)byte, '\0'};
        bool control = byte < 0x20 || byte == 0x7F;
        assert_int_equal(text_is_name(text_view(text), 64), !control);
        assert_true(text_is_utf8(text_view(text)));
    }
    assert_false(text_is_name(text_view("\xc2\x80"), 64));
    assert_false(text_is_name(text_view("\xc2\x9f"), 64));
    struct bytes_view with_nul = {(const uint8_t *)"a\0b", 3};
    assert_false(text_is_utf8(with_nul));
    assert_false(text_is_name(with_nul, 64));
}

/* Plain bytes are looked at eight at a time: a byte counts wherever it stands. */
static void test_text_sees_a_byte_at_every_place(void **unused) {
    (void)unused;
    for (size_t size = 1; size <= 20; size++) {
        for (size_t place = 0; place < size; place++) {
            for (int byte = 0; byte < 0x100; byte++) {
                uint8_t text[20];
                memset(text, byte % 3 == 0 ? ' ' : '~', sizeof text);
                text[place] = (uint8_t)byte;
                struct bytes_view view = {text, size};
                assert_int_equal(text_is_name(view, 64), byte >= 0x20 && byte < 0x7F);
                assert_int_equal(text_is_utf8(view), byte > 0 && byte < 0x80);
            }
        }
    }
}

static void test_text_names_have_a_size(void **unused) {
    (void)unused;
    assert_false(text_is_name(text_view(""), 64));
    assert_true(text_is_utf8(text_view("")));
    assert_true(text_is_name(text_view("abcd"), 4));
    assert_false(text_is_name(text_view("abcde"), 4));
}

static void test_text_whole_size_drops_a_cut_character(void **unused) {
    (void)unused;
    assert_int_equal(text_whole_size(text_view("abc")), 3);
    assert_int_equal(text_whole_size(text_view("")), 0);
    assert_int_equal(text_whole_size(text_view("ab\xc3")), 2);
    assert_int_equal(text_whole_size(text_view("ab\xc3\xa9")), 4);
    assert_int_equal(text_whole_size(text_view("ab\xe2\x82")), 2);
    assert_int_equal(text_whole_size(text_view("ab\xe2\x82\xac")), 5);
    assert_int_equal(text_whole_size(text_view("ab\xf0\x9f\x98")), 2);
    assert_int_equal(text_whole_size(text_view("\xf0\x9f\x98")), 0);
    assert_int_equal(text_whole_size(text_view("\xf0\x9f\x98\x80")), 4);
}

static void test_text_number_is_all_digits_and_fits(void **unused) {
    (void)unused;
    static const char *const none[] = {
        "", "-1", "+1", " 1", "1 ", "12x", "18446744073709551616", "99999999999999999999"};
    uint64_t number = 7;
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        assert_false(text_number(text_view(none[i]), &number));
    assert_int_equal(number, 7);
    assert_true(text_number(text_view("0"), &number));
    assert_int_equal(number, 0);
    assert_true(text_number(text_view("18446744073709551615"), &number));
    assert_true(number == UINT64_MAX);
    assert_true(text_number((struct bytes_view){(const uint8_t *)"425", 2}, &number));
    assert_int_equal(number, 42);
}

static void test_text_equality_takes_all_bytes(void **unused) {
    (void)unused;
    assert_true(text_equal(text_view("abc"), "abc"));
    assert_false(text_equal(text_view("ab"), "abc"));
    assert_false(text_equal(text_view("abc"), "ab"));
    assert_true(text_equal(text_view(NULL), ""));
    assert_true(text_same(text_view(NULL), text_view("")));
    assert_false(text_same(text_view("a"), text_view("b")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_refuses_malformed_utf8),
        cmocka_unit_test(test_text_takes_every_width),
        cmocka_unit_test(test_text_names_hold_no_controls),
        cmocka_unit_test(test_text_sees_a_byte_at_every_place),
        cmocka_unit_test(test_text_names_have_a_size),
        cmocka_unit_test(test_text_whole_size_drops_a_cut_character),
        cmocka_unit_test(test_text_number_is_all_digits_and_fits),
        cmocka_unit_test(test_text_equality_takes_all_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
