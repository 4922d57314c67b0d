#include "engine/core/money.h"

#include <stdio.h>

__extension__ typedef __int128 wide;

static const struct currency currencies[] = {
    {"USD", 2}, {"EUR", 2}, {"GBP", 2}, {"JPY", 0}, {"CHF", 2}, {"AUD", 2}, {"CAD", 2}, {"CNY", 2},
    {"HKD", 2}, {"NZD", 2}, {"SEK", 2}, {"NOK", 2}, {"DKK", 2}, {"SGD", 2}, {"INR", 2}, {"BRL", 2},
    {"MXN", 2}, {"ZAR", 2}, {"PLN", 2}, {"CZK", 2}, {"HUF", 2}, {"RON", 2}, {"BGN", 2}, {"TRY", 2},
    {"ILS", 2}, {"AED", 2}, {"SAR", 2}, {"QAR", 2}, {"THB", 2}, {"MYR", 2}, {"IDR", 2}, {"PHP", 2},
    {"TWD", 2}, {"UAH", 2}, {"RUB", 2}, {"EGP", 2}, {"MAD", 2}, {"NGN", 2}, {"KES", 2}, {"GHS", 2},
    {"ARS", 2}, {"COP", 2}, {"PEN", 2}, {"UYU", 2}, {"PKR", 2}, {"BDT", 2}, {"LKR", 2}, {"KZT", 2},
    {"GEL", 2}, {"RSD", 2}, {"KRW", 0}, {"VND", 0}, {"CLP", 0}, {"ISK", 0}, {"PYG", 0}, {"UGX", 0},
    {"RWF", 0}, {"XAF", 0}, {"XOF", 0}, {"XPF", 0}, {"KWD", 3}, {"BHD", 3}, {"OMR", 3}, {"JOD", 3},
    {"TND", 3}, {"IQD", 3}, {"LYD", 3},
};

static const int64_t powers_of_ten[] = {1,      10,      100,      1000,      10000,
                                        100000, 1000000, 10000000, 100000000, 1000000000};

const struct currency *currency_find(struct bytes_view code) {
    if (code.size != CURRENCY_SIZE)
        return NULL;
    for (size_t i = 0; i < sizeof currencies / sizeof currencies[0]; i++)
        if (memcmp(currencies[i].code, code.data, CURRENCY_SIZE) == 0)
            return &currencies[i];
    return NULL;
}

struct bytes_view currency_code(const struct currency *currency) {
    return (struct bytes_view){(const uint8_t *)currency->code, CURRENCY_SIZE};
}

static bool is_digit(uint8_t byte) {
    return byte >= '0' && byte <= '9';
}

/* The number with all its digits, and how many of them stood behind the point. */
static enum decimal_problem read_digits(struct bytes_reader *at, wide *value, unsigned *decimals) {
    bool seen = false, point = false, large = false;
    for (; at->at < at->end; at->at++) {
        uint8_t byte = *at->at;
        if (byte == '.' && seen && !point && at->at + 1 < at->end) {
            point = true;
            continue;
        }
        if (!is_digit(byte))
            return DECIMAL_MALFORMED;
        seen = true;
        *decimals += point;
        *value = *value * 10 + (byte - '0');
        if (*value > (wide)INT64_MAX + 1) { /* go on reading: it may be malformed too */
            large = true;
            *value = 0;
        }
    }
    return !seen ? DECIMAL_MALFORMED : large ? DECIMAL_TOO_LARGE : DECIMAL_OK;
}

enum decimal_problem decimal_parse(struct bytes_view text, unsigned scale, int64_t *units) {
    struct bytes_reader at = bytes_reader_make(text.data, text.size);
    bool negative = text.size > 0 && text.data[0] == '-';
    at.at += negative;
    wide value = 0;
    unsigned decimals = 0;
    enum decimal_problem problem = read_digits(&at, &value, &decimals);
    if (problem == DECIMAL_MALFORMED)
        return problem;
    if (decimals > scale)
        return DECIMAL_TOO_PRECISE;
    if (problem != DECIMAL_OK)
        return problem;
    value *= powers_of_ten[scale - decimals];
    value = negative ? -value : value;
    if (value > INT64_MAX || value < INT64_MIN)
        return DECIMAL_TOO_LARGE;
    *units = (int64_t)value;
    return DECIMAL_OK;
}

const char *decimal_problem_words(enum decimal_problem problem) {
    switch (problem) {
    case DECIMAL_OK:
        return NULL;
    case DECIMAL_MALFORMED:
        return "is no decimal number";
    case DECIMAL_TOO_PRECISE:
        return "has more decimals than there are";
    case DECIMAL_TOO_LARGE:
        return "is too large";
    }
    return NULL;
}

/* Backwards from `at`, two digits at a time. */
static char *print_digits(char *at, uint64_t value, unsigned least) {
    static const char pairs[] = "0001020304050607080910111213141516171819"
                                "2021222324252627282930313233343536373839"
                                "4041424344454647484950515253545556575859"
                                "6061626364656667686970717273747576777879"
                                "8081828384858687888990919293949596979899";
    const char *end = at - least;
    for (; value >= 10; value /= 100)
        at = memcpy(at - 2, &pairs[value % 100 * 2], 2);
    if (value > 0)
        *--at = (char)('0' + value);
    while (at > end)
        *--at = '0';
    return at;
}

const char *decimal_print(char text[MONEY_TEXT_SIZE], int64_t units, unsigned scale) {
    uint64_t size = units < 0 ? 0 - (uint64_t)units : (uint64_t)units;
    uint64_t one = (uint64_t)powers_of_ten[scale];
    char *at = text + MONEY_TEXT_SIZE;
    *--at = '\0';
    if (scale > 0) {
        at = print_digits(at, size % one, scale);
        *--at = '.';
    }
    at = print_digits(at, size / one, 1);
    if (units < 0)
        *--at = '-';
    return memmove(text, at, (size_t)(text + MONEY_TEXT_SIZE - at));
}

const char *money_print(char text[MONEY_TEXT_SIZE], int64_t units,
                        const struct currency *currency) {
    return decimal_print(text, units, currency->scale);
}

static wide divide_half_even(wide value, wide by) {
    wide whole = value / by, rest = value % by;
    bool up = rest * 2 > by || (rest * 2 == by && whole % 2 != 0);
    return whole + up;
}

bool money_convert(int64_t amount, const struct currency *from, int64_t rate,
                   const struct currency *to, int64_t *out) {
    if (amount < 0 || rate <= 0)
        return false;
    wide value;
    if (__builtin_mul_overflow((wide)amount * rate, (wide)powers_of_ten[to->scale], &value))
        return false;
    value = divide_half_even(value, (wide)powers_of_ten[RATE_SCALE] * powers_of_ten[from->scale]);
    if (value > INT64_MAX)
        return false;
    *out = (int64_t)value;
    return true;
}

bool money_is_within(int64_t value, int64_t reference, int64_t percent) {
    wide distance = (wide)value - reference;
    if (distance < 0)
        distance = -distance;
    wide hundred = (wide)100 * powers_of_ten[PERCENT_SCALE];
    return distance * hundred <= (wide)reference * percent;
}
