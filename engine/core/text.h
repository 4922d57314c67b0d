/* What counts as text: ids, names and values are checked here before they come into the state. Owns
 * nothing. */
#ifndef CORE_TEXT_H
#define CORE_TEXT_H

#include "base/bytes.h"

/* Borrow a string; NULL gives an empty view. */
struct bytes_view text_view(const char *string);
static inline bool text_equal(struct bytes_view text, const char *string);
bool text_same(struct bytes_view one, struct bytes_view other);
/* Valid UTF-8 of 1 to `size_max` bytes without control characters: good for ids and names. */
bool text_is_name(struct bytes_view text, size_t size_max);
/* Valid UTF-8 without a NUL, of any size: good for values and reasons. */
bool text_is_utf8(struct bytes_view text);
/* A number: all of `text` is digits, one at least, and it fits in 64 bits. Else false, and `out` is
 * as it was. */
bool text_number(struct bytes_view text, uint64_t *out);
/* The size of `text` without a last character that was cut in its middle. */
size_t text_whole_size(struct bytes_view text);

/* The two arguments of a "%.*s". */
#define TEXT_ARGS(view) (int)(view).size, (const char *)(view).data

bool text_equal_all(struct bytes_view text, const char *string); /* the slow part of it */

/* Inline for the names that differ in their first byte: a step's fields are found among a few. */
static inline bool text_equal(struct bytes_view text, const char *string) {
    if (text.size == 0)
        return string[0] == '\0';
    return text.data[0] == (uint8_t)string[0] && text_equal_all(text, string);
}

#endif
