/* For programs that open and close a store thousands of times. */
#ifndef TESTS_LIB_KEEP_MEMORY_H
#define TESTS_LIB_KEEP_MEMORY_H

#include <limits.h>
#include <malloc.h>

/* Keep what is freed in the process: malloc would give each store's memory back to the system and
 * ask for it again for the next, and half of such a program's time went into that. */
static inline void keep_memory(void) {
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, INT_MAX);
    mallopt(M_TOP_PAD, 16 << 20);
}

#endif
