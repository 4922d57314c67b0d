#include "engine/core/text.h"

#include <string.h>

struct bytes_view text_view(const char *string) {
    if (string == NULL)
        return (struct bytes_view){NULL, 0};
    return (struct bytes_view){(const uint8_t *)string, strlen(string)};
}

bool text_equal_all(struct bytes_view text, const char *string) {
    return strncmp((const char *)text.data, string, text.size) == 0 && string[text.size] == '\0';
}

bool text_same(struct bytes_view one, struct bytes_view other) {
    return one.size == other.size && (one.size == 0 || memcmp(one.data, other.data, one.size) == 0);
}

bool text_number(struct bytes_view text, uint64_t *out) {
    uint64_t number = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9' ||
            __builtin_mul_overflow(number, 10, &number) ||
            __builtin_add_overflow(number, (uint64_t)(text.data[i] - '0'), &number))
            return false;
    }
    if (text.size > 0)
        *out = number;
    return text.size > 0;
}

/* Decode one character of two to four bytes; 0 where it is malformed: overlong, cut, a surrogate,
 * beyond U+10FFFF. */
static uint32_t read_wide(const uint8_t **at, const uint8_t *end) {
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const uint8_t *p = *at;
    size_t size = (*p & 0xE0) == 0xC0 ? 2 : (*p & 0xF0) == 0xE0 ? 3 : (*p & 0xF8) == 0xF0 ? 4 : 0;
    if (size == 0 || size > (size_t)(end - p))
        return 0;
    uint32_t value = *p & (0x7FU >> size);
    for (size_t i = 1; i < size; i++) {
        if ((p[i] & 0xC0) != 0x80)
            return 0;
        value = value << 6 | (p[i] & 0x3FU);
    }
    if (value < least[size] || value > 0x10FFFF || (value >= 0xD800 && value <= 0xDFFF))
        return 0;
    *at = p + size;
    return value;
}

/* Eight bytes at a time, as one number: each of these has a byte's high bit set where the test is
 * true of that byte or (harmless here: bytes are then looked at one by one) of one above it. */
enum { WORD = 8 };
#define EACH_BYTE(value) (UINT64_C(0x0101010101010101) * (value))

static uint64_t wide_bytes(uint64_t word) {
    return word & EACH_BYTE(0x80);
}

static uint64_t bytes_below(uint64_t word, uint8_t least) {
    return (word - EACH_BYTE(least)) & ~word & EACH_BYTE(0x80);
}

/* ASCII without controls. */
static bool is_plain_name(uint64_t word) {
    return (wide_bytes(word) | bytes_below(word, 0x20) | bytes_below(word ^ EACH_BYTE(0x7F), 1)) ==
           0;
}

/* ASCII without a NUL. */
static bool is_plain_text(uint64_t word) {
    return (wide_bytes(word) | bytes_below(word, 1)) == 0;
}

/* Past the words that are all plain; the last one may overlap the one before. */
static inline const uint8_t *skip_plain(const uint8_t *at, const uint8_t *end,
                                        bool (*is_plain)(uint64_t word)) {
    bool whole = end - at >= WORD;
    while (end - at >= WORD && is_plain(bytes_load_u64(at)))
        at += WORD;
    return whole && end - at < WORD && is_plain(bytes_load_u64(end - WORD)) ? end : at;
}

bool text_is_name(struct bytes_view text, size_t size_max) {
    if (text.size == 0 || text.size > size_max)
        return false;
    const uint8_t *end = text.data + text.size;
    const uint8_t *at = skip_plain(text.data, end, is_plain_name);
    while (at < end) {
        if (*at >= 0x20 && *at < 0x7F)
            at++;
        else if (*at < 0x80 || read_wide(&at, end) < 0xA0) /* U+0080 to U+009F are controls too */
            return false;
    }
    return true;
}

bool text_is_utf8(struct bytes_view text) {
    if (text.size == 0)
        return true;
    const uint8_t *end = text.data + text.size;
    const uint8_t *at = skip_plain(text.data, end, is_plain_text);
    while (at < end) {
        if (*at >= 0x80) {
            if (read_wide(&at, end) == 0)
                return false;
        } else if (*at++ == 0) {
            return false;
        }
    }
    return true;
}

size_t text_whole_size(struct bytes_view text) {
    size_t start = text.size;
    while (start > 0 && text.size - start < 3 && (text.data[start - 1] & 0xC0) == 0x80)
        start--;
    if (start == 0 || text.data[start - 1] < 0xC0)
        return text.size;
    const uint8_t *last = &text.data[start - 1];
    return read_wide(&last, text.data + text.size) != 0 ? text.size : start - 1;
}
