/* Exact money: currencies with the digits of their minor unit, decimals in and out, conversion by a
 * rate. Amounts are int64_t minor units, 128 bits between, never floating point. */
#ifndef CORE_MONEY_H
#define CORE_MONEY_H

#include "base/bytes.h"

#include <stdbool.h>

enum {
    CURRENCY_SIZE = 3, /* bytes of a code */
    MONEY_TEXT_SIZE = 32,
    RATE_SCALE = 9,    /* decimals of a rate */
    PERCENT_SCALE = 4, /* decimals of a percentage */
};

/* ISO 4217. `scale`: decimals of its amounts. */
struct currency {
    char code[CURRENCY_SIZE + 1];
    uint8_t scale;
};

/* NULL: not one that the ledger knows. Entries live for ever: compare them by address. */
const struct currency *currency_find(struct bytes_view code);

struct bytes_view currency_code(const struct currency *currency);

enum decimal_problem {
    DECIMAL_OK,
    DECIMAL_MALFORMED,   /* not "-12.34": digits, at most one sign before and one point between */
    DECIMAL_TOO_PRECISE, /* more decimals than `scale`, even zeros */
    DECIMAL_TOO_LARGE,   /* beyond 64 bits */
};
/* A decimal as units of 10^-scale. `*units` is left alone where there is a problem. */
enum decimal_problem decimal_parse(struct bytes_view text, unsigned scale, int64_t *units);
/* The words for a problem: "is no decimal number", …; NULL for DECIMAL_OK. */
const char *decimal_problem_words(enum decimal_problem problem);
/* The reverse, always with all its decimals. Returns `text`. */
const char *decimal_print(char text[MONEY_TEXT_SIZE], int64_t units, unsigned scale);
const char *money_print(char text[MONEY_TEXT_SIZE], int64_t units, const struct currency *currency);

/* `amount` in another currency. `rate`: how many of it one of the first is worth, in units of
 * 10^-RATE_SCALE, more than 0. Rounds half to even, in the minor unit of `to`. False: beyond 64
 * bits. */
bool money_convert(int64_t amount, const struct currency *from, int64_t rate,
                   const struct currency *to, int64_t *out);
/* Is `value` within `percent` (units of 10^-PERCENT_SCALE) of `reference`, all above 0? */
bool money_is_within(int64_t value, int64_t reference, int64_t percent);

#endif
