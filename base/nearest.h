/* Which of the words that there are somebody meant who wrote another. Owns nothing. */
#ifndef BASE_NEAREST_H
#define BASE_NEAREST_H

#include <stddef.h>

enum { NEAREST_WORD_MAX = 40 }; /* a longer word is near to none */

/* The candidate that differs least from the `size` bytes of `word`, by letters inserted, deleted or
 * replaced; of several the first. NULL: each differs in more than a third of the word's letters and
 * one. */
const char *nearest_word(const char *word, size_t size, const char *const *candidates,
                         size_t count);

#endif
