#include "engine/core/definition.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct definition *definition_create(void) {
    struct definition *definition = calloc(1, sizeof *definition);
    if (definition == NULL)
        return NULL;
    for (size_t i = 0; i < DEFINITION_STEPS_MAX; i++)
        definition->steps[i].completes = -1;
    return definition;
}

static void free_strings(char **strings, size_t count) {
    for (size_t i = 0; i < count; i++)
        free(strings[i]);
}

void definition_destroy(struct definition *definition) {
    if (definition == NULL)
        return;
    /* Whole arrays, not counts: one that a parser gave up on may hold strings past its counts. */
    free_strings(definition->items, DEFINITION_ITEMS_MAX);
    for (size_t i = 0; i < DEFINITION_STEPS_MAX; i++) {
        free(definition->steps[i].name);
        free_strings(definition->steps[i].requires, DEFINITION_REQUIRES_MAX);
    }
    for (size_t i = 0; i < DEFINITION_STAGES_MAX; i++) {
        struct definition_stage *stage = &definition->stages[i];
        free(stage->name);
        free(stage->outcome);
        free(stage->reviewer_role);
        free_strings(stage->handler.args, DEFINITION_ARGS_MAX);
        free_strings(stage->compensate.args, DEFINITION_ARGS_MAX);
    }
    free(definition->source);
    free(definition->name);
    free(definition);
}

void definition_measure(struct definition *definition) {
    for (size_t i = 0; i < definition->step_count; i++) {
        struct definition_step *step = &definition->steps[i];
        for (size_t j = 0; j < step->requires_count; j++)
            step->requires_sizes[j] =
                (uint8_t)strnlen(step->requires[j], DEFINITION_NAME_MAX + 1); /* checked later */
    }
}

static bool is_named(const char *candidate, const char *name, size_t size) {
    return size > 0 && strncmp(candidate, name, size) == 0 && candidate[size] == '\0';
}

int definition_stage_index(const struct definition *definition, const char *name, size_t size) {
    for (size_t i = 0; i < definition->stage_count; i++)
        if (is_named(definition->stages[i].name, name, size))
            return (int)i;
    return -1;
}

int definition_step_index(const struct definition *definition, const char *name, size_t size) {
    for (size_t i = 0; i < definition->step_count; i++)
        if (is_named(definition->steps[i].name, name, size))
            return (int)i;
    return -1;
}

int definition_item_index(const struct definition *definition, const char *name, size_t size) {
    for (size_t i = 0; i < definition->item_count; i++)
        if (is_named(definition->items[i], name, size))
            return (int)i;
    return -1;
}

bool definition_handler_given(const struct definition_handler *handler) {
    return handler->arg_count > 0 || handler->callback;
}

const char *rollback_strategy_name(enum rollback_strategy strategy) {
    switch (strategy) {
    case ROLLBACK_AUTOMATIC:
        return "automatic";
    case ROLLBACK_MANUAL_REVIEW:
        return "manual_review";
    case ROLLBACK_HOLD_FOR_REVIEW:
        return "hold_for_review";
    case ROLLBACK_EXECUTIVE_REVIEW:
        return "executive_review";
    }
    return NULL;
}

enum rollback_strategy rollback_strategy_parse(const char *word, size_t size) {
    for (int i = ROLLBACK_AUTOMATIC; i <= ROLLBACK_EXECUTIVE_REVIEW; i++)
        if (is_named(rollback_strategy_name((enum rollback_strategy)i), word, size))
            return (enum rollback_strategy)i;
    return (enum rollback_strategy)0;
}

const char *definition_stage_role(const struct definition_stage *stage) {
    switch (stage->rollback) {
    case ROLLBACK_AUTOMATIC:
        return NULL;
    case ROLLBACK_MANUAL_REVIEW:
    case ROLLBACK_HOLD_FOR_REVIEW:
        return stage->reviewer_role != NULL ? stage->reviewer_role : "reviewer";
    case ROLLBACK_EXECUTIVE_REVIEW:
        return stage->reviewer_role != NULL ? stage->reviewer_role : "executive";
    }
    return NULL;
}

bool definition_duration_parse(const char *text, size_t size, int64_t *ms) {
    static const char units[] = "smhd";
    static const int64_t unit_ms[] = {1000, 60 * 1000, 3600 * 1000, 24 * 3600 * 1000};
    if (size < 2)
        return false;
    const char *unit = memchr(units, text[size - 1], sizeof units - 1);
    if (unit == NULL)
        return false;
    int64_t count = 0, factor = unit_ms[unit - units];
    for (size_t i = 0; i < size - 1; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        count = count * 10 + (text[i] - '0');
        if (count > DEFINITION_DURATION_MAX_MS / factor)
            return false;
    }
    *ms = count * factor;
    return true;
}

const char *definition_duration_format(char text[DEFINITION_DURATION_SIZE], int64_t ms) {
    static const struct {
        int64_t ms;
        char unit;
    } units[] = {{24 * 3600 * 1000, 'd'}, {3600 * 1000, 'h'}, {60 * 1000, 'm'}, {1000, 's'}};
    size_t i = 0;
    while (i < 3 && ms % units[i].ms != 0)
        i++;
    snprintf(text, DEFINITION_DURATION_SIZE, "%" PRId64 "%c", ms / units[i].ms, units[i].unit);
    return text;
}

static bool equal_text(const char *one, const char *other) {
    if (one == NULL || other == NULL)
        return one == other;
    return strcmp(one, other) == 0;
}

static bool equal_texts(char *const *one, char *const *other, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (!equal_text(one[i], other[i]))
            return false;
    return true;
}

static bool equal_handler(const struct definition_handler *one,
                          const struct definition_handler *other) {
    return one->arg_count == other->arg_count && one->callback == other->callback &&
           one->timeout_ms == other->timeout_ms && one->attempts == other->attempts &&
           one->backoff_ms == other->backoff_ms &&
           equal_texts(one->args, other->args, one->arg_count);
}

static bool equal_stage(const struct definition_stage *one, const struct definition_stage *other) {
    return equal_text(one->name, other->name) && equal_text(one->outcome, other->outcome) &&
           equal_text(one->reviewer_role, other->reviewer_role) &&
           one->needs_stages == other->needs_stages && one->needs_items == other->needs_items &&
           one->needs_all_previous == other->needs_all_previous &&
           one->timeout_ms == other->timeout_ms && one->rollback == other->rollback &&
           one->attempts == other->attempts && one->four_eyes == other->four_eyes &&
           equal_handler(&one->handler, &other->handler) &&
           equal_handler(&one->compensate, &other->compensate);
}

static bool equal_step(const struct definition_step *one, const struct definition_step *other) {
    return equal_text(one->name, other->name) && one->provides == other->provides &&
           one->completes == other->completes && one->requires_count == other->requires_count &&
           equal_texts(one->requires, other->requires, one->requires_count);
}

bool definition_equal(const struct definition *one, const struct definition *other) {
    if (!equal_text(one->name, other->name) || one->item_count != other->item_count ||
        one->step_count != other->step_count || one->stage_count != other->stage_count ||
        !equal_texts(one->items, other->items, one->item_count))
        return false;
    for (size_t i = 0; i < one->step_count; i++)
        if (!equal_step(&one->steps[i], &other->steps[i]))
            return false;
    for (size_t i = 0; i < one->stage_count; i++)
        if (!equal_stage(&one->stages[i], &other->stages[i]))
            return false;
    return true;
}
