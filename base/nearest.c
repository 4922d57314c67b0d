#include "base/nearest.h"

#include <string.h>

/* Edits (insert, delete, replace) that make one word of the other. */
static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size) {
    size_t row[NEAREST_WORD_MAX + 1];
    if (a_size > NEAREST_WORD_MAX || b_size > NEAREST_WORD_MAX)
        return NEAREST_WORD_MAX;
    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            size_t replace = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            size_t shift = (row[j - 1] < row[j] ? row[j - 1] : row[j]) + 1;
            row[j] = replace < shift ? replace : shift;
        }
    }
    return row[b_size];
}

const char *nearest_word(const char *word, size_t size, const char *const *candidates,
                         size_t count) {
    const char *nearest = NULL;
    size_t least = size / 3 + 2;
    for (size_t i = 0; i < count; i++) {
        size_t edits = distance(word, size, candidates[i], strlen(candidates[i]));
        if (edits < least) {
            least = edits;
            nearest = candidates[i];
        }
    }
    return nearest;
}
