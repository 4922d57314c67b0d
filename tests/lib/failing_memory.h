/* Allocations that fail when they are told to, for programs linked with
 * -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc,--wrap=strdup,--wrap=strndup,--wrap=free
 * (a comment "link: …" in their source): all of this project's own, not those inside libraries.
 * Keeps account of what is allocated, so that a leak shows. */
#ifndef TESTS_LIB_FAILING_MEMORY_H
#define TESTS_LIB_FAILING_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The n-th allocation from now fails (1: the next), and with `lasting` all behind it; 0: none. */
void failing_memory_arm(uint64_t nth, bool lasting);
/* Let them work again; was one refused since arm()? */
bool failing_memory_disarm(void);
/* Blocks allocated and not freed. */
size_t failing_memory_live(void);

#endif
