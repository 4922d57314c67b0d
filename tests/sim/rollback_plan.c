#include "tests/sim/rollback_plan.h"

#include "tests/lib/sim_memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

unsigned plan_pick(uint64_t *random, unsigned end) {
    return end == 0 ? 0 : (unsigned)((sim_random_next(random) >> 16) % end);
}

static void make_strategy(struct plan_stage *stage, uint64_t *random) {
    static const char *const roles[] = {NULL, "reviewer", "reviewer", "executive"};
    unsigned strategy = plan_pick(random, 4);
    stage->strategy = (enum rollback_strategy)(ROLLBACK_AUTOMATIC + (int)strategy);
    stage->role = roles[strategy];
    if (strategy == 0)
        return;
    stage->four_eyes = plan_pick(random, 4) == 0;
    stage->role_given = plan_pick(random, 5) == 0;
    if (stage->role_given)
        stage->role = "auditor";
}

/* A stage needs others of a lower rank, wherever they stand in the definition. */
static void make_stages(struct plan *plan, const unsigned rank[], uint64_t *random) {
    unsigned density = 1 + plan_pick(random, 5);
    for (unsigned i = 0; i < plan->stage_count; i++) {
        struct plan_stage *stage = &plan->stages[i];
        for (unsigned j = 0; j < plan->stage_count; j++)
            stage->needs_stage[j] = rank[j] < rank[i] && plan_pick(random, density) == 0;
        for (unsigned j = 0; j < plan->item_count; j++)
            stage->needs_item[j] = plan_pick(random, 4) == 0;
        stage->timeout_ms = plan_pick(random, 4) == 0 ? 0 : 1000 + plan_pick(random, 60000);
        stage->attempts = 1 + plan_pick(random, 4);
        make_strategy(stage, random);
    }
}

static void make_step(struct plan *plan, int completes, uint64_t *random) {
    struct plan_step *step = &plan->steps[plan->step_count++];
    step->completes = completes;
    for (unsigned i = 0; i < PLAN_FIELDS; i++)
        step->needs_field[i] = plan_pick(random, 4) == 0;
    if (completes < 0)
        return;
    for (unsigned i = 0; i < plan->item_count; i++)
        step->provides[i] = plan_pick(random, 8) == 0;
}

static void make_steps(struct plan *plan, uint64_t *random) {
    for (unsigned i = 0; i < plan->stage_count; i++) {
        make_step(plan, (int)i, random);
        if (plan_pick(random, 5) == 0)
            make_step(plan, (int)i, random);
    }
    /* A step for each item, so that no stage waits for what only comes behind it. */
    for (unsigned i = 0; i < plan->item_count; i++) {
        make_step(plan, -1, random);
        plan->steps[plan->step_count - 1].provides[i] = true;
    }
}

void plan_make(struct plan *plan, uint64_t *random) {
    unsigned rank[PLAN_STAGES_MAX];
    memset(plan, 0, sizeof *plan);
    plan->stage_count = 2 + plan_pick(random, PLAN_STAGES_MAX - 1);
    plan->item_count = plan_pick(random, PLAN_ITEMS_MAX + 1);
    for (unsigned i = 0; i < plan->stage_count; i++) {
        unsigned other = plan_pick(random, i + 1);
        rank[i] = rank[other];
        rank[other] = i;
    }
    make_stages(plan, rank, random);
    make_steps(plan, random);
}

static char *name_of(char letter, unsigned index) {
    char text[16];
    snprintf(text, sizeof text, "%c%u", letter, index);
    return strdup(text);
}

static void fill_stage(struct definition_stage *to, const struct plan_stage *from, unsigned index) {
    to->name = name_of('s', index);
    to->timeout_ms = from->timeout_ms;
    to->rollback = from->strategy;
    to->attempts = from->attempts;
    to->four_eyes = from->four_eyes;
    to->reviewer_role = from->role_given ? strdup(from->role) : NULL;
    for (unsigned i = 0; i < PLAN_STAGES_MAX; i++)
        to->needs_stages |= from->needs_stage[i] ? UINT64_C(1) << i : 0;
    for (unsigned i = 0; i < PLAN_ITEMS_MAX; i++)
        to->needs_items |= from->needs_item[i] ? UINT64_C(1) << i : 0;
}

static void fill_step(struct definition_step *to, const struct plan_step *from, unsigned index) {
    to->name = name_of('p', index);
    to->completes = from->completes;
    for (unsigned i = 0; i < PLAN_ITEMS_MAX; i++)
        to->provides |= from->provides[i] ? UINT64_C(1) << i : 0;
    for (unsigned i = 0; i < PLAN_FIELDS; i++)
        if (from->needs_field[i])
    to->requires[to->requires_count++] = name_of('f', i);
}

struct definition *plan_definition(const struct plan *plan) {
    struct definition *definition = definition_create();
    struct wf_error err;
    if (definition == NULL)
        abort();
    definition->name = strdup("w");
    definition->version = 1;
    definition->item_count = plan->item_count;
    definition->stage_count = plan->stage_count;
    definition->step_count = plan->step_count;
    for (unsigned i = 0; i < plan->item_count; i++)
        definition->items[i] = name_of('i', i);
    for (unsigned i = 0; i < plan->stage_count; i++)
        fill_stage(&definition->stages[i], &plan->stages[i], i);
    for (unsigned i = 0; i < plan->step_count; i++)
        fill_step(&definition->steps[i], &plan->steps[i], i);
    definition_measure(definition);
    if (definition_check(definition, &err) != WF_OK) {
        fprintf(stderr, "the plan makes no definition: %s\n", err.text);
        abort();
    }
    return definition;
}

void plan_tell(const struct plan *plan) {
    for (unsigned i = 0; i < plan->stage_count; i++) {
        const struct plan_stage *stage = &plan->stages[i];
        fprintf(stderr, "  s%u: %s, timeout %" PRId64 ", attempts %u%s, needs", i,
                rollback_strategy_name(stage->strategy), stage->timeout_ms, stage->attempts,
                stage->four_eyes ? ", four eyes" : "");
        for (unsigned j = 0; j < PLAN_STAGES_MAX; j++)
            if (stage->needs_stage[j])
                fprintf(stderr, " s%u", j);
        for (unsigned j = 0; j < PLAN_ITEMS_MAX; j++)
            if (stage->needs_item[j])
                fprintf(stderr, " i%u", j);
        fprintf(stderr, "\n");
    }
    for (unsigned i = 0; i < plan->step_count; i++) {
        fprintf(stderr, "  p%u: completes %d, provides", i, plan->steps[i].completes);
        for (unsigned j = 0; j < PLAN_ITEMS_MAX; j++)
            if (plan->steps[i].provides[j])
                fprintf(stderr, " i%u", j);
        fprintf(stderr, "\n");
    }
}
