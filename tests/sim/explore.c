#include "tests/sim/explore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    REPORTS_MAX = 5,     /* failures told in full */
    NESTED_CHANCE = 6,   /* one recovery in so many is crashed itself */
    NESTED_SAMPLES = 2,  /* states at each of its boundaries */
    EXHAUSTIVE_MAX = 16, /* at a boundary with so few choices, each is tried */
    SEEN_MIN = 1024,     /* places of the set, a power of two */
};

void explorer_init(struct explorer *explorer, const struct explore_subject *subject,
                   uint64_t seed) {
    *explorer = (struct explorer){.subject = subject, .seed = seed, .random = seed};
    explorer->seen_mask = SEEN_MIN - 1;
    explorer->seen = sim_allocate(SEEN_MIN, sizeof *explorer->seen);
}

void explorer_deinit(struct explorer *explorer) {
    free(explorer->seen);
    explorer->seen = NULL;
}

/* --- the set of states seen --- */

/* The place of `key` or of its absence. */
static uint64_t *seen_place(const struct explorer *explorer, uint64_t key) {
    size_t at = (size_t)key & explorer->seen_mask;
    while (explorer->seen[at] != 0 && explorer->seen[at] != key) {
        at = (at + 1) & explorer->seen_mask;
    }
    return &explorer->seen[at];
}

static void seen_grow(struct explorer *explorer) {
    uint64_t *old = explorer->seen;
    size_t places = explorer->seen_mask + 1;
    explorer->seen_mask = 2 * places - 1;
    explorer->seen = sim_allocate(2 * places, sizeof *explorer->seen);
    for (size_t i = 0; i < places; i++) {
        if (old[i] != 0) {
            *seen_place(explorer, old[i]) = old[i];
        }
    }
    free(old);
}

/* Note the state; false where it was there already. */
static bool seen_add(struct explorer *explorer, uint64_t key) {
    key += key == 0;
    if (2 * explorer->seen_count > explorer->seen_mask) {
        seen_grow(explorer);
    }
    uint64_t *place = seen_place(explorer, key);
    if (*place == key) {
        return false;
    }
    *place = key;
    explorer->seen_count++;
    return true;
}

/* --- exploring --- */

bool explore_chance(struct explorer *explorer, uint64_t n) {
    return sim_random_next(&explorer->random) % n == 0;
}

/* Not the state's bytes: the lock file holds the pid of this very process. */
static void note_step(struct explorer *explorer, const struct explore_step *step, const void *ctx) {
    uint64_t place = sim_random_mix(step->boundary, explorer->depth);
    uint64_t state = sim_random_mix(step->choice, step->rubbish);
    uint64_t promised = explorer->subject->digest(ctx);
    explorer->fingerprint = sim_random_mix(sim_random_mix(explorer->fingerprint, place),
                                           sim_random_mix(state, promised));
}

/* Crash into one state, and have it recovered where it is a new one. */
static void explore_state(struct explorer *explorer, struct sim_io *sim, struct explore_step step,
                          const void *ctx) {
    unsigned depth = explorer->depth;
    bool killed = step.choice == EXPLORE_KILL;
    struct sim_io *after =
        killed ? sim_io_clone(sim) : sim_crash_into(sim, step.choice, step.rubbish);
    uint64_t key = sim_random_mix(sim_hash(after) + depth, explorer->subject->digest(ctx));
    /* What is pending counts too; two points with as much of it are near enough the same. */
    key = killed ? sim_random_mix(key, sim_pending_count(after)) : key;
    if (seen_add(explorer, key)) {
        explorer->states++;
        note_step(explorer, &step, ctx);
        explorer->at_depth[depth]++;
        explorer->steps[depth] = step;
        explorer->depth++;
        sim_trace_start(after);
        uint64_t failures = explorer->failures;
        explorer->subject->recover(explorer, after, ctx);
        explorer->depth--;
        if (explorer->failures != failures && explorer->failures <= REPORTS_MAX &&
            !explorer->quiet) {
            fputs("  what the recovery did:\n", stderr);
            sim_trace_print(after);
        }
    }
    sim_io_destroy(after);
}

/* The `index`-th of `count` states to try: all choices where there is room, then seeded ones with
 * rubbish. */
static struct explore_step pick_state(struct explorer *explorer, size_t index, size_t count,
                                      size_t choices) {
    struct explore_step step = {.choice = index};
    if (count < choices) {
        /* Nothing kept and everything kept are always among them. */
        step.choice =
            index == 1 ? choices - 1 : (size_t)(sim_random_next(&explorer->random) % choices);
        step.choice = index == 0 && explorer->depth == 0 ? 0 : step.choice;
    } else if (index >= choices) {
        step.choice = (size_t)(sim_random_next(&explorer->random) % choices);
    }
    if (count < choices ? index > 1 && index % 2 == 0 : index >= choices) {
        step.rubbish = sim_random_next(&explorer->random) | 1;
    }
    return step;
}

static void explore_at(struct explorer *explorer, struct sim_io *sim, uint64_t boundary,
                       const void *ctx) {
    size_t choices = sim_crash_choices(sim);
    size_t count = explorer->depth == 0 ? explorer->samples : NESTED_SAMPLES;
    if (explorer->depth == 0 && count > 0 && count < choices && choices <= EXHAUSTIVE_MAX) {
        count = choices;
    }
    if (choices > 1 && explorer->states < explorer->states_max &&
        (explorer->depth == 0 ? count > 0 : explore_chance(explorer, NESTED_CHANCE))) {
        struct explore_step kill = {.boundary = boundary, .choice = EXPLORE_KILL};
        explore_state(explorer, sim, kill, ctx);
    }
    for (size_t i = 0; i < count && explorer->states < explorer->states_max; i++) {
        struct explore_step step = pick_state(explorer, i, count, choices);
        step.boundary = boundary;
        explore_state(explorer, sim, step, ctx);
        if (choices == 1) {
            return; /* nothing is pending: there is one state */
        }
    }
}

static void on_boundary(void *ctx, struct sim_io *sim, uint64_t boundary) {
    struct explorer *explorer = ctx;
    explore_at(explorer, sim, boundary, explorer->promised[explorer->depth]);
}

bool explore_watch(struct explorer *explorer, struct sim_io *sim, const void *ctx) {
    if (explorer->depth >= EXPLORE_DEPTH_MAX ||
        (explorer->depth > 0 && !explore_chance(explorer, NESTED_CHANCE))) {
        return false;
    }
    explore_promise(explorer, ctx);
    sim_on_boundary(sim, on_boundary, explorer);
    return true;
}

void explore_promise(struct explorer *explorer, const void *ctx) {
    if (explorer->depth < EXPLORE_DEPTH_MAX) {
        explorer->promised[explorer->depth] = ctx;
    }
}

void explore_now(struct explorer *explorer, struct sim_io *sim, const void *ctx) {
    if (explorer->depth < EXPLORE_DEPTH_MAX) {
        explore_at(explorer, sim, sim_boundaries(sim) + 1, ctx);
    }
}

bool explore_vcheck(struct explorer *explorer, bool holds, const char *format, va_list args) {
    if (holds) {
        return true;
    }
    explorer->failures++;
    if (explorer->quiet || explorer->failures > REPORTS_MAX) {
        return false;
    }
    fprintf(stderr, "FAILED %s: ", explorer->scenario);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\n  SEED=%" PRIu64 ", state %" PRIu64 "\n", explorer->seed, explorer->states);
    for (unsigned i = 0; i < explorer->depth; i++) {
        const struct explore_step *step = &explorer->steps[i];
        fprintf(stderr, "  crash %u: before boundary %" PRIu64, i + 1, step->boundary);
        if (step->choice == EXPLORE_KILL) {
            fputs(", of the process only\n", stderr);
        } else {
            fprintf(stderr, ", choice %zu, rubbish %" PRIu64 "\n", step->choice, step->rubbish);
        }
    }
    return false;
}

bool explore_check(struct explorer *explorer, bool holds, const char *format, ...) {
    va_list args;
    va_start(args, format);
    explore_vcheck(explorer, holds, format, args);
    va_end(args);
    return holds;
}
