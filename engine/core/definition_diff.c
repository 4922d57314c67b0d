#include "engine/core/definition_diff.h"

#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* A comparison under way. */
struct diff {
    const struct definition *one, *other;
    definition_change_fn on_change;
    void *ctx;
    bool stopped;
    struct bytes_buffer before, after; /* a member's words */
};

/* --- words --- */

static void put(struct bytes_buffer *out, const char *text) {
    bytes_write_run(out, text, strlen(text));
}

static void put_in_list(struct bytes_buffer *out, const char *text) {
    if (out->size > 0)
        put(out, ", ");
    put(out, text);
}

static void put_number(struct bytes_buffer *out, uint64_t number) {
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, number);
    put(out, text);
}

static void put_duration(struct bytes_buffer *out, int64_t ms) {
    char text[DEFINITION_DURATION_SIZE];
    put(out, definition_duration_format(text, ms));
}

static void put_masked(struct bytes_buffer *out, char *const *names, size_t count, uint64_t mask) {
    for (size_t i = 0; i < count; i++)
        if ((mask & UINT64_C(1) << i) != 0)
            put_in_list(out, names[i]);
}

/* Members of a stage and of a step, in the order in which they are told. Nothing is written for
 * what is not there. */
enum stage_member {
    NEEDS,
    TIMEOUT,
    ROLLBACK,
    ROLE,
    FOUR_EYES,
    ATTEMPTS,
    OUTCOME,
    HANDLER,
    COMPENSATE
};
enum step_member { PROVIDES, COMPLETES, REQUIRES };
static const char *const stage_members[] = {
    [NEEDS] = "needs",        [TIMEOUT] = "timeout",     [ROLLBACK] = "rollback",
    [ROLE] = "reviewer_role", [FOUR_EYES] = "four_eyes", [ATTEMPTS] = "attempts",
    [OUTCOME] = "outcome",    [HANDLER] = "handler",     [COMPENSATE] = "compensate"};
static const char *const step_members[] = {
    [PROVIDES] = "provides", [COMPLETES] = "completes", [REQUIRES] = "requires"};
enum {
    STAGE_MEMBERS = sizeof stage_members / sizeof stage_members[0],
    STEP_MEMBERS = sizeof step_members / sizeof step_members[0],
};

static void put_needs(struct bytes_buffer *out, const struct definition *definition,
                      const struct definition_stage *stage) {
    put_masked(out, definition->items, definition->item_count, stage->needs_items);
    if (stage->needs_all_previous)
        put_in_list(out, "all_previous_stages");
    for (size_t i = 0; i < definition->stage_count && !stage->needs_all_previous; i++)
        if ((stage->needs_stages & UINT64_C(1) << i) != 0)
            put_in_list(out, definition->stages[i].name);
}

static void put_handler(struct bytes_buffer *out, const struct definition_handler *handler) {
    if (!definition_handler_given(handler))
        return;
    put(out, handler->callback ? "callback" : "exec [");
    for (size_t i = 0; i < handler->arg_count; i++) {
        put(out, i > 0 ? ", " : "");
        put(out, handler->args[i]);
    }
    put(out, handler->callback ? ", timeout " : "], timeout ");
    put_duration(out, handler->timeout_ms);
    put(out, ", attempts ");
    put_number(out, handler->attempts);
    put(out, ", backoff ");
    put_duration(out, handler->backoff_ms);
}

static void put_stage_member(struct bytes_buffer *out, const struct definition *definition,
                             size_t index, unsigned member) {
    const struct definition_stage *stage = &definition->stages[index];
    switch ((enum stage_member)member) {
    case NEEDS:
        put_needs(out, definition, stage);
        return;
    case TIMEOUT:
        if (stage->timeout_ms > 0)
            put_duration(out, stage->timeout_ms);
        return;
    case ROLLBACK:
        put(out, rollback_strategy_name(stage->rollback));
        return;
    case ROLE:
        put(out, stage->reviewer_role != NULL ? stage->reviewer_role : "");
        return;
    case FOUR_EYES:
        put(out, stage->four_eyes ? "true" : "");
        return;
    case ATTEMPTS:
        put_number(out, stage->attempts);
        return;
    case OUTCOME:
        put(out, stage->outcome != NULL ? stage->outcome : "");
        return;
    case HANDLER:
        put_handler(out, &stage->handler);
        return;
    case COMPENSATE:
        put_handler(out, &stage->compensate);
        return;
    }
}

static void put_step_member(struct bytes_buffer *out, const struct definition *definition,
                            size_t index, unsigned member) {
    const struct definition_step *step = &definition->steps[index];
    switch ((enum step_member)member) {
    case PROVIDES:
        put_masked(out, definition->items, definition->item_count, step->provides);
        return;
    case COMPLETES:
        put(out, step->completes >= 0 ? definition->stages[step->completes].name : "");
        return;
    case REQUIRES:
        for (size_t i = 0; i < step->requires_count; i++)
            put_in_list(out, step->requires[i]);
        return;
    }
}

/* --- comparing --- */

static void tell(struct diff *diff, const char *change, const char *kind, const char *name,
                 const char *member, const char *before, const char *after) {
    const struct definition_change told = {change, kind, name, member, before, after};
    if (!diff->stopped && !diff->before.failed && !diff->after.failed)
        diff->stopped = !diff->on_change(diff->ctx, &told);
}

/* A buffer's words as a string; NULL: nothing. */
static const char *words(struct bytes_buffer *buffer) {
    if (buffer->size == 0)
        return NULL;
    bytes_write_u8(buffer, '\0');
    return (const char *)buffer->data;
}

/* One member on both sides; an index of -1: not there. */
static void compare_member(struct diff *diff, bool stage, int one, int other, unsigned member) {
    const char *name =
        stage ? (one >= 0 ? diff->one->stages[one].name : diff->other->stages[other].name)
              : (one >= 0 ? diff->one->steps[one].name : diff->other->steps[other].name);
    bytes_buffer_clear(&diff->before);
    bytes_buffer_clear(&diff->after);
    void (*put_member)(struct bytes_buffer *, const struct definition *, size_t, unsigned) =
        stage ? put_stage_member : put_step_member;
    if (one >= 0)
        put_member(&diff->before, diff->one, (size_t)one, member);
    if (other >= 0)
        put_member(&diff->after, diff->other, (size_t)other, member);
    const char *before = words(&diff->before), *after = words(&diff->after);
    if (before == NULL ? after == NULL : after != NULL && strcmp(before, after) == 0)
        return;
    tell(diff,
         one < 0     ? "added"
         : other < 0 ? "removed"
                     : "changed",
         stage ? "stage" : "step", name, stage ? stage_members[member] : step_members[member],
         before, after);
}

/* Its place among the stages that both have, from 1. */
static unsigned place(const struct definition *of, int index, const struct definition *with) {
    unsigned place = 1;
    for (int i = 0; i < index; i++)
        place += definition_stage_index(with, of->stages[i].name, strlen(of->stages[i].name)) >= 0;
    return place;
}

static void compare_places(struct diff *diff, int one, int other) {
    unsigned before = place(diff->one, one, diff->other),
             after = place(diff->other, other, diff->one);
    if (before == after)
        return;
    char was[12], is[12];
    snprintf(was, sizeof was, "%u", before);
    snprintf(is, sizeof is, "%u", after);
    tell(diff, "changed", "stage", diff->one->stages[one].name, "place", was, is);
}

static void compare_stages(struct diff *diff, int one, int other) {
    if (one < 0)
        tell(diff, "added", "stage", diff->other->stages[other].name, NULL, NULL, NULL);
    else if (other < 0)
        tell(diff, "removed", "stage", diff->one->stages[one].name, NULL, NULL, NULL);
    else
        compare_places(diff, one, other);
    for (unsigned i = 0; i < STAGE_MEMBERS; i++)
        compare_member(diff, true, one, other, i);
}

static void compare_steps(struct diff *diff, int one, int other) {
    if (one < 0)
        tell(diff, "added", "step", diff->other->steps[other].name, NULL, NULL, NULL);
    else if (other < 0)
        tell(diff, "removed", "step", diff->one->steps[one].name, NULL, NULL, NULL);
    for (unsigned i = 0; i < STEP_MEMBERS; i++)
        compare_member(diff, false, one, other, i);
}

static int stage_in(const struct definition *definition, const char *name) {
    return definition_stage_index(definition, name, strlen(name));
}

static int step_in(const struct definition *definition, const char *name) {
    return definition_step_index(definition, name, strlen(name));
}

enum wf_status definition_diff(const struct definition *one, const struct definition *other,
                               definition_change_fn on_change, void *ctx, struct wf_error *err) {
    struct diff diff = {.one = one, .other = other, .on_change = on_change, .ctx = ctx};
    bytes_buffer_init(&diff.before);
    bytes_buffer_init(&diff.after);
    for (size_t i = 0; i < one->stage_count; i++)
        compare_stages(&diff, (int)i, stage_in(other, one->stages[i].name));
    for (size_t i = 0; i < other->stage_count; i++)
        if (stage_in(one, other->stages[i].name) < 0)
            compare_stages(&diff, -1, (int)i);
    for (size_t i = 0; i < one->step_count; i++)
        compare_steps(&diff, (int)i, step_in(other, one->steps[i].name));
    for (size_t i = 0; i < other->step_count; i++)
        if (step_in(one, other->steps[i].name) < 0)
            compare_steps(&diff, -1, (int)i);
    bool failed = diff.before.failed || diff.after.failed;
    bytes_buffer_deinit(&diff.before);
    bytes_buffer_deinit(&diff.after);
    return failed ? error_set(err, WF_NO_MEMORY, "no memory to compare definitions") : WF_OK;
}
