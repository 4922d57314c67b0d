/* Runs numbered cases of damage, all or a draw, in worker processes: a case that crashes or hangs
 * is one that fails, and the next goes on. Owns the settings and the report.
 *
 *   DAMAGE_CASES=N  cases to draw; DAMAGE_FULL=1, or make test-long: all
 *   DAMAGE_SEED=N   repeats a draw
 *   DAMAGE_CASE=N   one case alone */
#ifndef CRASH_DAMAGE_RUN_H
#define CRASH_DAMAGE_RUN_H

#include "tests/crash/scratch.h"

#include <stdatomic.h>

enum { DAMAGE_TEXT_MAX = 1400 };

/* What a case came to. */
struct damage_verdict {
    enum { DAMAGE_WHOLE, DAMAGE_PREFIX, DAMAGE_REFUSED } outcome;
    char text[DAMAGE_TEXT_MAX]; /* what is wrong with it; "" where all is as it must be */
};

struct damage_suite {
    void *ctx;
    uint64_t count;   /* numbers 0..count - 1 */
    uint64_t wanted;  /* of these, in make test */
    const char *root; /* a folder for the workers' */
    /* Make the damaged store in `dir`, whatever is there, open it and judge. */
    void (*run)(void *ctx, uint64_t number, const char *dir, struct damage_verdict *verdict);
    /* The case in words. */
    void (*describe)(void *ctx, uint64_t number, char text[DAMAGE_TEXT_MAX]);
    /* A number, those that matter more often than others. */
    uint64_t (*draw)(void *ctx, struct choices *choices);
};

/* Run them and say what they came to. False where one failed. */
bool damage_run(const struct damage_suite *suite);

#endif
