/* Decimals and currencies: what is read, what is refused, how it is rounded. */
#include "engine/core/date.h"
#include "engine/core/money.h"
#include "engine/core/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void reads(const char *text, unsigned scale, int64_t expected) {
    int64_t units = 0;
    if (decimal_parse(text_view(text), scale, &units) != DECIMAL_OK || units != expected)
        fail_msg("%s at scale %u is %lld", text, scale, (long long)units);
}

static void refuses(const char *text, unsigned scale, enum decimal_problem problem) {
    int64_t units = 4711;
    if (decimal_parse(text_view(text), scale, &units) != problem || units != 4711)
        fail_msg("%s at scale %u: not problem %d", text, scale, problem);
}

static void test_decimal_reads_exactly(void **state) {
    (void)state;
    reads("1000.00", 2, 100000);
    reads("1000", 2, 100000);
    reads("0.5", 2, 50);
    reads("-0.05", 2, -5);
    reads("007", 0, 7);
    reads("1.234", 3, 1234);
    reads("92233720368547758.07", 2, INT64_MAX);
    reads("-92233720368547758.08", 2, INT64_MIN);
    reads("0", 9, 0);
}

static void test_decimal_refuses_what_is_none(void **state) {
    (void)state;
    static const char *const none[] = {"",   "-",  ".",   "1.",    ".5",  "+1",  "1,5", "1e3",
                                       " 1", "1 ", "--1", "1.2.3", "0x1", "1_0", "NaN", "1-"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++)
        refuses(none[i], 2, DECIMAL_MALFORMED);
    refuses("99999999999999999999x", 2, DECIMAL_MALFORMED);
}

static void test_decimal_refuses_more_decimals_than_there_are(void **state) {
    (void)state;
    refuses("1.001", 2, DECIMAL_TOO_PRECISE);
    refuses("1.000", 2, DECIMAL_TOO_PRECISE); /* even zeros: it was meant for something else */
    refuses("1.0", 0, DECIMAL_TOO_PRECISE);
}

static void test_decimal_refuses_what_leaves_64_bits(void **state) {
    (void)state;
    refuses("92233720368547758.08", 2, DECIMAL_TOO_LARGE);
    refuses("-92233720368547758.09", 2, DECIMAL_TOO_LARGE);
    refuses("9223372036854775808", 0, DECIMAL_TOO_LARGE);
    refuses("9223372036854775807", 2, DECIMAL_TOO_LARGE);
    refuses("100000000000000000000000000000000000000000000", 0, DECIMAL_TOO_LARGE);
}

static void prints(int64_t units, unsigned scale, const char *expected) {
    char text[MONEY_TEXT_SIZE];
    assert_string_equal(decimal_print(text, units, scale), expected);
    int64_t back;
    assert_int_equal(decimal_parse(text_view(text), scale, &back), DECIMAL_OK);
    assert_true(back == units);
}

static void test_decimal_prints_what_it_reads(void **state) {
    (void)state;
    prints(0, 2, "0.00");
    prints(-5, 2, "-0.05");
    prints(100000, 2, "1000.00");
    prints(7, 0, "7");
    prints(INT64_MAX, 2, "92233720368547758.07");
    prints(INT64_MIN, 3, "-9223372036854775.808");
    prints(900000000, 9, "0.900000000");
}

static int64_t convert(int64_t amount, const char *from, const char *rate, const char *to) {
    int64_t units, out = -1;
    assert_int_equal(decimal_parse(text_view(rate), RATE_SCALE, &units), DECIMAL_OK);
    if (!money_convert(amount, currency_find(text_view(from)), units, currency_find(text_view(to)),
                       &out))
        return -1;
    return out;
}

static void test_money_converts_and_rounds_half_to_even(void **state) {
    (void)state;
    assert_int_equal(convert(50000, "USD", "0.90", "EUR"), 45000);
    assert_int_equal(convert(1, "USD", "0.5", "EUR"), 0); /* 0.5 to 0 */
    assert_int_equal(convert(3, "USD", "0.5", "EUR"), 2); /* 1.5 to 2 */
    assert_int_equal(convert(5, "USD", "0.5", "EUR"), 2); /* 2.5 to 2 */
    assert_int_equal(convert(5, "USD", "0.500000001", "EUR"), 3);
    assert_int_equal(convert(100, "USD", "150.25", "JPY"), 150); /* 1.00 is 150.25 yen */
    assert_int_equal(convert(150, "JPY", "0.0066", "USD"), 99);
    assert_int_equal(convert(100, "USD", "0.3075", "KWD"), 308); /* 307.5 fils to 308 */
}

static void test_money_says_where_64_bits_do_not_do(void **state) {
    (void)state;
    assert_int_equal(convert(INT64_MAX, "USD", "1", "EUR"), INT64_MAX);
    assert_int_equal(convert(INT64_MAX, "USD", "1.000000001", "EUR"), -1);
    assert_int_equal(convert(INT64_MAX, "JPY", "9223372036", "KWD"), -1);
}

static void test_money_band_is_a_percentage_of_the_reference(void **state) {
    (void)state;
    assert_true(money_is_within(900, 900, 0));
    assert_false(money_is_within(901, 900, 0));
    assert_true(money_is_within(909, 900, 10000)); /* 1 % */
    assert_false(money_is_within(910, 900, 10000));
    assert_true(money_is_within(891, 900, 10000));
    assert_true(money_is_within(INT64_MAX, INT64_MAX, INT64_MAX));
}

static void test_currency_has_its_own_decimals(void **state) {
    (void)state;
    assert_int_equal(currency_find(text_view("USD"))->scale, 2);
    assert_int_equal(currency_find(text_view("JPY"))->scale, 0);
    assert_int_equal(currency_find(text_view("KWD"))->scale, 3);
    assert_null(currency_find(text_view("usd")));
    assert_null(currency_find(text_view("XYZ")));
    assert_null(currency_find(text_view("US")));
    assert_null(currency_find((struct bytes_view){NULL, 0}));
}

static void test_date_knows_weekdays_and_minutes(void **state) {
    (void)state;
    assert_int_equal(date_weekday(date_days(1970, 1, 1)), 4);
    assert_int_equal(date_weekday(date_days(2026, 1, 5)), 1); /* a Monday */
    int64_t minutes;
    const char *at = "09:30,";
    assert_true(date_minutes_parse(&at, &minutes));
    assert_int_equal(minutes, 570);
    assert_string_equal(at, ",");
    at = "24:00";
    assert_true(date_minutes_parse(&at, &minutes));
    at = "24:01";
    assert_false(date_minutes_parse(&at, &minutes));
    at = "09:60";
    assert_false(date_minutes_parse(&at, &minutes));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decimal_reads_exactly),
        cmocka_unit_test(test_decimal_refuses_what_is_none),
        cmocka_unit_test(test_decimal_refuses_more_decimals_than_there_are),
        cmocka_unit_test(test_decimal_refuses_what_leaves_64_bits),
        cmocka_unit_test(test_decimal_prints_what_it_reads),
        cmocka_unit_test(test_money_converts_and_rounds_half_to_even),
        cmocka_unit_test(test_money_says_where_64_bits_do_not_do),
        cmocka_unit_test(test_money_band_is_a_percentage_of_the_reference),
        cmocka_unit_test(test_currency_has_its_own_decimals),
        cmocka_unit_test(test_date_knows_weekdays_and_minutes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
