/* The rules that a whole definition must meet, whatever it was read from. */
#include "engine/core/definition.h"
#include "engine/core/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static enum wf_status check_name(const char *what, const char *name, struct wf_error *err) {
    if (name == NULL || !text_is_name(text_view(name), DEFINITION_NAME_MAX))
        return error_set(
            err, WF_USAGE,
            "the name of a %s must have 1 to %d bytes of UTF-8 without control characters", what,
            DEFINITION_NAME_MAX);
    return WF_OK;
}

/* The index-th name is well-formed and none before it is the same. */
static enum wf_status check_names(const char *what, size_t count,
                                  const char *(*name_of)(const struct definition *, size_t),
                                  const struct definition *definition, struct wf_error *err) {
    for (size_t i = 0; i < count; i++) {
        const char *name = name_of(definition, i);
        if (check_name(what, name, err) != WF_OK)
            return WF_USAGE;
        for (size_t j = 0; j < i; j++)
            if (strcmp(name, name_of(definition, j)) == 0)
                return error_set(err, WF_USAGE, "there are two %ss named %s", what, name);
    }
    return WF_OK;
}

static const char *stage_name(const struct definition *definition, size_t index) {
    return definition->stages[index].name;
}

static const char *step_name(const struct definition *definition, size_t index) {
    return definition->steps[index].name;
}

static const char *item_name(const struct definition *definition, size_t index) {
    return definition->items[index];
}

static enum wf_status check_all_names(const struct definition *definition, struct wf_error *err) {
    if (check_name("workflow", definition->name, err) != WF_OK ||
        check_names("stage", definition->stage_count, stage_name, definition, err) != WF_OK ||
        check_names("step", definition->step_count, step_name, definition, err) != WF_OK ||
        check_names("data item", definition->item_count, item_name, definition, err) != WF_OK)
        return WF_USAGE;
    for (size_t i = 0; i < definition->item_count; i++)
        if (definition_stage_index(definition, item_name(definition, i),
                                   strlen(item_name(definition, i))) >= 0)
            return error_set(err, WF_USAGE,
                             "%s names a stage and a data item: a need could not tell them apart",
                             item_name(definition, i));
    return WF_OK;
}

static uint64_t mask_below(size_t count) {
    return count >= 64 ? UINT64_MAX : (UINT64_C(1) << count) - 1;
}

uint64_t definition_all_stages(const struct definition *definition) {
    return mask_below(definition->stage_count);
}

static enum wf_status check_step(const struct definition *definition,
                                 const struct definition_step *step, struct wf_error *err) {
    if (step->completes < -1 || step->completes >= (int)definition->stage_count ||
        (step->provides & ~mask_below(definition->item_count)) != 0)
        return error_set(err, WF_USAGE, "step %s names a stage or data item that is not there",
                         step->name);
    if (step->completes < 0 && step->provides == 0)
        return error_set(err, WF_USAGE,
                         "step %s does nothing: it must provide data items or complete a stage",
                         step->name);
    if (step->requires_count > DEFINITION_REQUIRES_MAX)
        return error_set(err, WF_USAGE, "step %s requires more than %d fields", step->name,
                         DEFINITION_REQUIRES_MAX);
    for (size_t i = 0; i < step->requires_count; i++) {
        if (check_name("required field", step->requires[i], err) != WF_OK)
            return WF_USAGE;
        assert(step->requires_sizes[i] == strlen(step->requires[i])); /* definition_measure() */
        for (size_t j = 0; j < i; j++)
            if (strcmp(step->requires[i], step -> requires[j]) == 0)
                return error_set(err, WF_USAGE, "step %s requires %s twice", step->name,
                                 step->requires[i]);
    }
    return WF_OK;
}

static bool is_duration(int64_t ms, int64_t least) {
    return ms >= least && ms <= DEFINITION_DURATION_MAX_MS;
}

static enum wf_status check_handler(const struct definition_stage *stage,
                                    const struct definition_handler *handler, const char *what,
                                    struct wf_error *err) {
    if (!definition_handler_given(handler))
        return WF_OK;
    if (handler->callback && handler->arg_count > 0)
        return error_set(err, WF_USAGE, "stage %s: its %s is a callback or a program, not both",
                         stage->name, what);
    if (handler->arg_count > DEFINITION_ARGS_MAX)
        return error_set(err, WF_USAGE, "stage %s: its %s has more than %d words", stage->name,
                         what, DEFINITION_ARGS_MAX);
    for (size_t i = 0; i < handler->arg_count; i++)
        if (handler->args[i] == NULL || !text_is_utf8(text_view(handler->args[i])))
            return error_set(err, WF_USAGE, "stage %s: word %zu of its %s is no text", stage->name,
                             i + 1, what);
    if (!is_duration(handler->timeout_ms, 1) || !is_duration(handler->backoff_ms, 0) ||
        handler->attempts < 1 || handler->attempts > DEFINITION_ATTEMPTS_MAX)
        return error_set(err, WF_USAGE,
                         "stage %s: its %s needs a timeout of up to 100 years and 1 to %d attempts",
                         stage->name, what, DEFINITION_ATTEMPTS_MAX);
    return WF_OK;
}

static bool is_completed_by_a_step(const struct definition *definition, size_t stage) {
    for (size_t i = 0; i < definition->step_count; i++)
        if (definition->steps[i].completes == (int)stage)
            return true;
    return false;
}

static enum wf_status check_stage(const struct definition *definition, size_t index,
                                  struct wf_error *err) {
    const struct definition_stage *stage = &definition->stages[index];
    if ((stage->needs_stages & ~definition_all_stages(definition)) != 0 ||
        (stage->needs_items & ~mask_below(definition->item_count)) != 0)
        return error_set(err, WF_USAGE, "stage %s needs something that is not there", stage->name);
    if (stage->needs_all_previous && (mask_below(index) & ~stage->needs_stages) != 0)
        return error_set(err, WF_USAGE,
                         "stage %s needs all stages before it, and does not list them",
                         stage->name);
    if (stage->outcome != NULL && check_name("outcome", stage->outcome, err) != WF_OK)
        return WF_USAGE;
    if (stage->reviewer_role != NULL && check_name("role", stage->reviewer_role, err) != WF_OK)
        return WF_USAGE;
    if (rollback_strategy_name(stage->rollback) == NULL)
        return error_set(err, WF_USAGE, "stage %s has no rollback strategy", stage->name);
    if (stage->rollback == ROLLBACK_AUTOMATIC && stage->reviewer_role != NULL)
        return error_set(err, WF_USAGE,
                         "stage %s has a reviewer_role, and automatic rollback asks nobody",
                         stage->name);
    if (!is_duration(stage->timeout_ms, 0))
        return error_set(err, WF_USAGE, "stage %s: a timeout is at most 100 years", stage->name);
    if (stage->attempts < 1 || stage->attempts > DEFINITION_ATTEMPTS_MAX)
        return error_set(err, WF_USAGE, "stage %s: attempts are 1 to %d", stage->name,
                         DEFINITION_ATTEMPTS_MAX);
    if (check_handler(stage, &stage->handler, "handler", err) != WF_OK ||
        check_handler(stage, &stage->compensate, "compensation", err) != WF_OK)
        return WF_USAGE;
    if (!is_completed_by_a_step(definition, index) && !definition_handler_given(&stage->handler))
        return error_set(
            err, WF_USAGE,
            "stage %s can never be completed: no step completes it and it has no handler",
            stage->name);
    return WF_OK;
}

/* What steps and handlers can reach: the stages that can be completed and the items that can be
 * provided. */
struct reach {
    uint64_t active, completed, items;
};

/* One round of letting everything happen that can happen. */
static struct reach reach_further(const struct definition *definition, struct reach reach) {
    for (size_t i = 0; i < definition->stage_count; i++) {
        const struct definition_stage *stage = &definition->stages[i];
        if ((stage->needs_stages & ~reach.completed) != 0 ||
            (stage->needs_items & ~reach.items) != 0)
            continue;
        reach.active |= UINT64_C(1) << i;
        if (definition_handler_given(&stage->handler))
            reach.completed |= UINT64_C(1) << i;
    }
    for (size_t i = 0; i < definition->step_count; i++) {
        const struct definition_step *step = &definition->steps[i];
        uint64_t stage = step->completes < 0 ? 0 : UINT64_C(1) << step->completes;
        if ((stage & ~reach.active) != 0)
            continue;
        reach.completed |= stage;
        reach.items |= step->provides;
    }
    return reach;
}

static struct reach reach_all(const struct definition *definition) {
    struct reach reach = {0, 0, 0}, before;
    do {
        before = reach;
        reach = reach_further(definition, before);
    } while (memcmp(&before, &reach, sizeof reach) != 0);
    return reach;
}

int definition_stuck_stage(const struct definition *definition) {
    uint64_t stuck = definition_all_stages(definition) & ~reach_all(definition).completed;
    return stuck == 0 ? -1 : __builtin_ctzll(stuck);
}

/* A stage that `stage` waits for and that is stuck itself, or -1; `through` names the item between
 * the two. */
static int next_in_cycle(const struct definition *definition, struct reach reach, int stage,
                         const char **through) {
    const struct definition_stage *waiting = &definition->stages[stage];
    *through = NULL;
    uint64_t stages = waiting->needs_stages & ~reach.completed;
    if (stages != 0)
        return __builtin_ctzll(stages);
    uint64_t items = waiting->needs_items & ~reach.items;
    for (size_t i = 0; i < definition->step_count; i++) {
        uint64_t provided = definition->steps[i].provides & items;
        if (provided != 0 && definition->steps[i].completes >= 0) {
            *through = definition->items[__builtin_ctzll(provided)];
            return definition->steps[i].completes;
        }
    }
    return -1;
}

/* "a needs b, b needs a": follow what each waits for until one comes again. */
static enum wf_status explain_stuck(const struct definition *definition, int stage,
                                    struct wf_error *err) {
    struct reach reach = reach_all(definition);
    char path[600] = "";
    size_t used = 0;
    uint64_t visited = 0;
    while ((visited & UINT64_C(1) << stage) == 0) {
        visited |= UINT64_C(1) << stage;
        const char *through, *name = definition->stages[stage].name;
        int next = next_in_cycle(definition, reach, stage, &through);
        if (next < 0)
            return error_set(err, WF_USAGE, "stage %s needs a data item that no step provides",
                             name);
        int size = snprintf(path + used, sizeof path - used, "%s%s needs %s%s%s",
                            used > 0 ? ", " : "", name, through != NULL ? through : "",
                            through != NULL ? " from the step that completes " : "",
                            definition->stages[next].name);
        if (size < 0 || (size_t)size >= sizeof path - used)
            break;
        used += (size_t)size;
        stage = next;
    }
    path[used] = '\0';
    return error_set(err, WF_USAGE, "the needs form a cycle: %s", path);
}

enum wf_status definition_check(const struct definition *definition, struct wf_error *err) {
    if (definition->stage_count > DEFINITION_STAGES_MAX ||
        definition->step_count > DEFINITION_STEPS_MAX ||
        definition->item_count > DEFINITION_ITEMS_MAX)
        return error_set(err, WF_USAGE, "a workflow has at most %d stages, steps and data items",
                         DEFINITION_STAGES_MAX);
    if (definition->version < 1)
        return error_set(err, WF_USAGE, "versions count from 1");
    if (check_all_names(definition, err) != WF_OK)
        return WF_USAGE;
    if (definition->stage_count == 0)
        return error_set(err, WF_USAGE, "workflow %s has no stages", definition->name);
    if (definition->source != NULL && (strlen(definition->source) > DEFINITION_SOURCE_MAX ||
                                       !text_is_utf8(text_view(definition->source))))
        return error_set(err, WF_USAGE, "the source text is too long or is no UTF-8");
    for (size_t i = 0; i < definition->step_count; i++)
        if (check_step(definition, &definition->steps[i], err) != WF_OK)
            return WF_USAGE;
    for (size_t i = 0; i < definition->stage_count; i++)
        if (check_stage(definition, i, err) != WF_OK)
            return WF_USAGE;
    int stuck = definition_stuck_stage(definition);
    return stuck < 0 ? WF_OK : explain_stuck(definition, stuck, err);
}
