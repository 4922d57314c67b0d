/* Definitions to and from their protobuf message. */
#include "engine/codec_definition.h"

#include <stdlib.h>
#include <string.h>

static ProtobufCBinaryData borrow(const char *text) {
    ProtobufCBinaryData data = {0};
    if (text != NULL) {
        data.len = strlen(text);
        data.data = (uint8_t *)(uintptr_t)text; /* protobuf-c only reads it */
    }
    return data;
}

static ProtobufCBinaryData *borrow_all(struct codec_arena *arena, char *const *texts,
                                       size_t count) {
    ProtobufCBinaryData *all = codec_arena_alloc(arena, (count + 1) * sizeof(*all));
    for (size_t i = 0; all != NULL && i < count; i++) {
        all[i] = borrow(texts[i]);
    }
    return all;
}

static bool handler_to_message(struct codec_arena *arena, const struct definition_handler *handler,
                               Wf__Pb__Handler **out) {
    *out = NULL;
    if (!definition_handler_given(handler)) {
        return true;
    }
    Wf__Pb__Handler *message = codec_arena_alloc(arena, sizeof(*message));
    if (message == NULL) {
        return false;
    }
    wf__pb__handler__init(message);
    message->n_args = handler->arg_count;
    message->args = borrow_all(arena, handler->args, handler->arg_count);
    message->timeout_ms = (uint64_t)handler->timeout_ms;
    message->attempts = handler->attempts;
    message->backoff_ms = (uint64_t)handler->backoff_ms;
    message->callback = handler->callback;
    *out = message;
    return message->args != NULL;
}

static Wf__Pb__Stage *stage_to_message(struct codec_arena *arena,
                                       const struct definition_stage *stage) {
    Wf__Pb__Stage *message = codec_arena_alloc(arena, sizeof(*message));
    if (message == NULL) {
        return NULL;
    }
    wf__pb__stage__init(message);
    message->name = borrow(stage->name);
    message->outcome = borrow(stage->outcome);
    message->reviewer_role = borrow(stage->reviewer_role);
    message->needs_stages = stage->needs_stages;
    message->needs_items = stage->needs_items;
    message->needs_all_previous = stage->needs_all_previous;
    message->timeout_ms = (uint64_t)stage->timeout_ms;
    message->rollback = (uint32_t)stage->rollback;
    message->attempts = stage->attempts;
    message->four_eyes = stage->four_eyes;
    if (!handler_to_message(arena, &stage->handler, &message->handler) ||
        !handler_to_message(arena, &stage->compensate, &message->compensate)) {
        return NULL;
    }
    return message;
}

static Wf__Pb__Step *step_to_message(struct codec_arena *arena,
                                     const struct definition_step *step) {
    Wf__Pb__Step *message = codec_arena_alloc(arena, sizeof(*message));
    if (message == NULL) {
        return NULL;
    }
    wf__pb__step__init(message);
    message->name = borrow(step->name);
    message->provides = step->provides;
    message->completes = (uint32_t)(step->completes + 1);
    message->n_requires = step->requires_count;
    message->requires = borrow_all(arena, step->requires, step->requires_count);
    return message->requires == NULL ? NULL : message;
}

Wf__Pb__Definition *codec_definition_to_message(struct codec_arena *arena,
                                                const struct definition *definition) {
    Wf__Pb__Definition *message = codec_arena_alloc(arena, sizeof(*message));
    if (message == NULL) {
        return NULL;
    }
    wf__pb__definition__init(message);
    message->name = borrow(definition->name);
    message->version = definition->version;
    message->source = borrow(definition->source);
    message->n_items = definition->item_count;
    message->items = borrow_all(arena, definition->items, definition->item_count);
    message->n_steps = definition->step_count;
    message->steps = codec_arena_alloc(arena, (definition->step_count + 1) * sizeof(void *));
    message->n_stages = definition->stage_count;
    message->stages = codec_arena_alloc(arena, (definition->stage_count + 1) * sizeof(void *));
    if (message->items == NULL || message->steps == NULL || message->stages == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < definition->step_count; i++) {
        message->steps[i] = step_to_message(arena, &definition->steps[i]);
        if (message->steps[i] == NULL) {
            return NULL;
        }
    }
    for (size_t i = 0; i < definition->stage_count; i++) {
        message->stages[i] = stage_to_message(arena, &definition->stages[i]);
        if (message->stages[i] == NULL) {
            return NULL;
        }
    }
    return message;
}

/* What is wrong with a message, latched: NULL while all is well. */
struct copier {
    bool no_memory;
    const char *wrong;
};

static char *copy_text(struct copier *copier, ProtobufCBinaryData data, size_t size_max) {
    if (data.len > size_max || (data.len > 0 && memchr(data.data, 0, data.len) != NULL)) {
        copier->wrong = "a text is too long or holds a zero byte";
        return NULL;
    }
    char *copy = malloc(data.len + 1);
    if (copy == NULL) {
        copier->no_memory = true;
        return NULL;
    }
    if (data.len > 0) {
        memcpy(copy, data.data, data.len);
    }
    copy[data.len] = '\0';
    return copy;
}

static char *copy_optional(struct copier *copier, ProtobufCBinaryData data) {
    return data.len == 0 ? NULL : copy_text(copier, data, DEFINITION_NAME_MAX);
}

static size_t copy_texts(struct copier *copier, const ProtobufCBinaryData *from, size_t count,
                         size_t count_max, size_t size_max, char **to) {
    if (count > count_max) {
        copier->wrong = "a list is too long";
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        to[i] = copy_text(copier, from[i], size_max);
        if (to[i] == NULL) {
            return i;
        }
    }
    return count;
}

static int64_t copy_duration(struct copier *copier, uint64_t duration_ms) {
    if (duration_ms > INT64_MAX / 2) {
        copier->wrong = "a duration is out of range";
        return 0;
    }
    return (int64_t)duration_ms;
}

static void copy_handler(struct copier *copier, const Wf__Pb__Handler *message,
                         struct definition_handler *handler) {
    if (message == NULL) {
        return;
    }
    handler->arg_count = copy_texts(copier, message->args, message->n_args, DEFINITION_ARGS_MAX,
                                    DEFINITION_SOURCE_MAX, handler->args);
    handler->timeout_ms = copy_duration(copier, message->timeout_ms);
    handler->attempts = message->attempts;
    handler->backoff_ms = copy_duration(copier, message->backoff_ms);
    handler->callback = message->callback != 0;
}

static void copy_stage(struct copier *copier, const Wf__Pb__Stage *message,
                       struct definition_stage *stage) {
    stage->name = copy_text(copier, message->name, DEFINITION_NAME_MAX);
    stage->outcome = copy_optional(copier, message->outcome);
    stage->reviewer_role = copy_optional(copier, message->reviewer_role);
    stage->needs_stages = message->needs_stages;
    stage->needs_items = message->needs_items;
    stage->needs_all_previous = message->needs_all_previous != 0;
    stage->timeout_ms = copy_duration(copier, message->timeout_ms);
    if (rollback_strategy_name((enum rollback_strategy)message->rollback) == NULL) {
        copier->wrong = "a stage has an unknown rollback strategy";
    }
    stage->rollback = (enum rollback_strategy)message->rollback;
    stage->attempts = message->attempts;
    stage->four_eyes = message->four_eyes != 0;
    copy_handler(copier, message->handler, &stage->handler);
    copy_handler(copier, message->compensate, &stage->compensate);
}

static void copy_step(struct copier *copier, const Wf__Pb__Step *message, size_t stage_count,
                      struct definition_step *step) {
    step->name = copy_text(copier, message->name, DEFINITION_NAME_MAX);
    step->provides = message->provides;
    if (message->completes > stage_count) {
        copier->wrong = "a step completes a stage that there is not";
        return;
    }
    step->completes = (int)message->completes - 1;
    step->requires_count = copy_texts(copier, message->requires, message->n_requires,
                                      DEFINITION_REQUIRES_MAX, DEFINITION_NAME_MAX, step->requires);
}

static void copy_definition(struct copier *copier, const Wf__Pb__Definition *message,
                            struct definition *definition) {
    if (message->n_steps > DEFINITION_STEPS_MAX || message->n_stages > DEFINITION_STAGES_MAX) {
        copier->wrong = "it has too many steps or stages";
        return;
    }
    definition->name = copy_text(copier, message->name, DEFINITION_NAME_MAX);
    definition->version = message->version;
    if (message->source.len > 0) {
        definition->source = copy_text(copier, message->source, DEFINITION_SOURCE_MAX);
    }
    definition->item_count =
        copy_texts(copier, message->items, message->n_items, DEFINITION_ITEMS_MAX,
                   DEFINITION_NAME_MAX, definition->items);
    definition->step_count = message->n_steps;
    for (size_t i = 0; i < message->n_steps; i++) {
        copy_step(copier, message->steps[i], message->n_stages, &definition->steps[i]);
    }
    definition->stage_count = message->n_stages;
    for (size_t i = 0; i < message->n_stages; i++) {
        copy_stage(copier, message->stages[i], &definition->stages[i]);
    }
}

enum wf_status codec_definition_from_message(const Wf__Pb__Definition *message,
                                             struct definition **out, struct wf_error *err) {
    *out = NULL;
    struct definition *definition = definition_create();
    if (definition == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory for a definition");
    }
    struct copier copier = {0};
    copy_definition(&copier, message, definition);
    if (!copier.no_memory && copier.wrong == NULL) {
        definition_measure(definition);
    }
    enum wf_status status = WF_OK;
    if (copier.no_memory) {
        status = error_set(err, WF_NO_MEMORY, "no memory for a definition");
    } else if (copier.wrong != NULL) {
        status = error_set(err, WF_DAMAGE, "definition: %s", copier.wrong);
    } else if (definition_check(definition, err) != WF_OK) {
        status = error_wrap(err, WF_DAMAGE, "definition");
    }
    if (status != WF_OK) {
        definition_destroy(definition);
        return status;
    }
    *out = definition;
    return WF_OK;
}
