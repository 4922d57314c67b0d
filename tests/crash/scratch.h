/* A temporary folder below $TMPDIR, a seeded source of choices, and seconds. */
#ifndef CRASH_SCRATCH_H
#define CRASH_SCRATCH_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Make a new folder below `parent` (NULL: $TMPDIR, else /tmp). Ends the program where that fails.
 */
void scratch_make(char path[PATH_MAX], const char *parent, const char *name);
/* Remove a folder and all that is in it; no folder is fine too. */
void scratch_remove(const char *path);
/* "dir/name"; ends the program where it is too long. Returns `path`. */
char *scratch_join(char path[PATH_MAX], const char *dir, const char *name);

/* splitmix64: the same seed, the same choices. */
struct choices {
    uint64_t state;
};
uint64_t choices_next(struct choices *choices);
uint64_t choices_below(struct choices *choices, uint64_t bound); /* 0..bound - 1 */
bool choices_one_in(struct choices *choices, unsigned n);

/* $NAME as a number; `otherwise` where it is not set. */
uint64_t scratch_setting(const char *name, uint64_t otherwise);
/* Does `make test-long` run this? */
bool scratch_is_long(void);
/* How many times slower a program of ours is: 1, and more under a sanitizer (SAN is set). */
unsigned scratch_slowness(void);
uint64_t scratch_now_us(void); /* CLOCK_MONOTONIC */

#endif
