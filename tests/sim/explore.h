/* The crash explorer: crashes a simulated machine before every call that changes its disk, and has
 * each state that the crash may leave recovered and checked, crashes inside that recovery included.
 * Owns the choice of states, their number and the report of what failed; knows nothing of what is
 * recovered. */
#ifndef TESTS_SIM_EXPLORE_H
#define TESTS_SIM_EXPLORE_H

#include "tests/lib/sim_io.h"

#include <stdarg.h>

enum {
    EXPLORE_DEPTH_MAX = 3
}; /* a crash, a crash in its recovery, and one in the recovery from that */

struct explorer;

/* What is explored. `ctx` is what was true before the crash: what was promised to anybody. */
struct explore_subject {
    /* Recover from `after` and check it against `ctx`, which stays unchanged. May call
     * explore_watch() on `after`. */
    void (*recover)(struct explorer *explorer, struct sim_io *after, const void *ctx);
    /* A hash of what `ctx` promises: equal states with equal promises are explored once. */
    uint64_t (*digest)(const void *ctx);
};

/* Not a choice of what the disk keeps: only the process dies, and the disk goes on with what is
 * pending. */
#define EXPLORE_KILL SIZE_MAX

/* How a crash state was reached. */
struct explore_step {
    uint64_t boundary;
    size_t choice; /* or EXPLORE_KILL */
    uint64_t rubbish;
};

struct explorer {
    const struct explore_subject *subject;
    const char *scenario;
    uint64_t seed;
    uint64_t random;
    uint64_t states;     /* crash states explored, no two the same */
    uint64_t states_max; /* stop there */
    uint64_t at_depth[EXPLORE_DEPTH_MAX];
    uint64_t fingerprint; /* of all of them, in order: the same run has the same one */
    size_t samples;       /* states at each boundary of the scenario itself */
    unsigned depth;
    struct explore_step steps[EXPLORE_DEPTH_MAX];
    const void *promised[EXPLORE_DEPTH_MAX]; /* the ctx of the machine that runs at each depth */
    uint64_t failures;
    bool quiet;     /* count failures and say nothing: a planted bug is expected to be found */
    uint64_t *seen; /* open-addressing set of state hashes; 0 is free */
    size_t seen_mask, seen_count;
};

void explorer_init(struct explorer *explorer, const struct explore_subject *subject, uint64_t seed);
void explorer_deinit(struct explorer *explorer);

/* Explore before each boundary of `sim` from now on, against what `ctx` holds at that moment.
 * Inside a recovery: only now and then, and no deeper than EXPLORE_DEPTH_MAX; false where not. */
bool explore_watch(struct explorer *explorer, struct sim_io *sim, const void *ctx);
/* From now on the machine that runs promises this instead. */
void explore_promise(struct explorer *explorer, const void *ctx);
/* Explore the crash states of this moment. */
void explore_now(struct explorer *explorer, struct sim_io *sim, const void *ctx);

/* One in `n`, by the seed. */
bool explore_chance(struct explorer *explorer, uint64_t n);
/* False, counted and reported with the way that led here, unless `holds`. */
bool explore_check(struct explorer *explorer, bool holds, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
bool explore_vcheck(struct explorer *explorer, bool holds, const char *format, va_list args)
    __attribute__((format(printf, 3, 0)));

#endif
