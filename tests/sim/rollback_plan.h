/* A workflow's definition as plain arrays, made at random: what the engine's definition and the
 * model of rollback_model.h are both made of. */
#ifndef TESTS_ROLLBACK_PLAN_H
#define TESTS_ROLLBACK_PLAN_H

#include "engine/core/definition.h"

enum {
    PLAN_STAGES_MAX = 12,
    PLAN_STEPS_MAX = 32,
    PLAN_ITEMS_MAX = 4,
    PLAN_FIELDS = 6, /* names of fields, "f0" and so on: few, so that steps hide each other's */
};

struct plan_stage {
    bool needs_stage[PLAN_STAGES_MAX];
    bool needs_item[PLAN_ITEMS_MAX];
    int64_t timeout_ms; /* 0: none */
    enum rollback_strategy strategy;
    unsigned attempts;
    bool four_eyes;
    const char *role; /* who must decide; NULL: nobody */
    bool role_given;  /* in the definition: not the strategy's own */
};

struct plan_step {
    int completes; /* -1: no stage */
    bool provides[PLAN_ITEMS_MAX];
    bool needs_field[PLAN_FIELDS];
};

struct plan {
    unsigned stage_count, step_count, item_count;
    struct plan_stage stages[PLAN_STAGES_MAX];
    struct plan_step steps[PLAN_STEPS_MAX];
};

/* 2 to 12 stages that can all be reached. Stages are named "s0", steps "p0", items "i0". */
void plan_make(struct plan *plan, uint64_t *random);
/* The same for the engine, under the name "w"; the caller owns it. */
struct definition *plan_definition(const struct plan *plan);

/* Its stages and steps, to stderr. */
void plan_tell(const struct plan *plan);

/* Below `end`; 0 where that is 0. */
unsigned plan_pick(uint64_t *random, unsigned end);

#endif
