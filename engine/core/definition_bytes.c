/* The layout, in order:
 *   definition  name, version, source, items, steps, stages
 *   list        count varint, then its elements
 *   text        size + 1 varint (0: NULL), bytes
 *   step        name, provides, completes + 1, requires
 *   stage       name, outcome, role, flags u8, needed stages, needed items, timeout zigzag,
 *               strategy u8, attempts, handler, compensation
 *   handler     0: none, 1: program, 2: callback; then words, timeout, attempts, backoff */
#include "engine/core/definition_bytes.h"

#include <stdlib.h>
#include <string.h>

enum { FLAG_ALL_PREVIOUS = 1, FLAG_FOUR_EYES = 2 };

static void write_text(struct bytes_buffer *out, const char *text) {
    if (text == NULL) {
        bytes_write_varint(out, 0);
        return;
    }
    size_t size = strlen(text);
    bytes_write_varint(out, size + 1);
    bytes_write_run(out, text, size);
}

static void write_texts(struct bytes_buffer *out, char *const *texts, size_t count) {
    bytes_write_varint(out, count);
    for (size_t i = 0; i < count; i++)
        write_text(out, texts[i]);
}

static void write_step(struct bytes_buffer *out, const struct definition_step *step) {
    write_text(out, step->name);
    bytes_write_varint(out, step->provides);
    bytes_write_varint(out, (uint32_t)step->completes + 1U);
    write_texts(out, step->requires, step->requires_count);
}

static void write_handler(struct bytes_buffer *out, const struct definition_handler *handler) {
    if (!definition_handler_given(handler)) {
        bytes_write_u8(out, 0);
        return;
    }
    bytes_write_u8(out, handler->callback ? 2 : 1);
    write_texts(out, handler->args, handler->arg_count);
    bytes_write_zigzag(out, handler->timeout_ms);
    bytes_write_varint(out, handler->attempts);
    bytes_write_zigzag(out, handler->backoff_ms);
}

static void write_stage(struct bytes_buffer *out, const struct definition_stage *stage) {
    write_text(out, stage->name);
    write_text(out, stage->outcome);
    write_text(out, stage->reviewer_role);
    bytes_write_u8(out, (uint8_t)((stage->needs_all_previous ? FLAG_ALL_PREVIOUS : 0) |
                                  (stage->four_eyes ? FLAG_FOUR_EYES : 0)));
    bytes_write_varint(out, stage->needs_stages);
    bytes_write_varint(out, stage->needs_items);
    bytes_write_zigzag(out, stage->timeout_ms);
    bytes_write_u8(out, (uint8_t)stage->rollback);
    bytes_write_varint(out, stage->attempts);
    write_handler(out, &stage->handler);
    write_handler(out, &stage->compensate);
}

void definition_write(struct bytes_buffer *out, const struct definition *definition) {
    write_text(out, definition->name);
    bytes_write_varint(out, definition->version);
    write_text(out, definition->source);
    write_texts(out, definition->items, definition->item_count);
    bytes_write_varint(out, definition->step_count);
    for (size_t i = 0; i < definition->step_count; i++)
        write_step(out, &definition->steps[i]);
    bytes_write_varint(out, definition->stage_count);
    for (size_t i = 0; i < definition->stage_count; i++)
        write_stage(out, &definition->stages[i]);
}

/* --- reading: latches the first failure, as the cursor does --- */

struct definition_reader {
    struct bytes_reader *bytes;
    bool no_memory;
};

static char *read_text(struct definition_reader *reader) {
    uint64_t size = bytes_read_varint(reader->bytes);
    if (size == 0)
        return NULL;
    struct bytes_view text = bytes_read_run(reader->bytes, (size_t)(size - 1));
    if (!bytes_reader_ok(reader->bytes))
        return NULL;
    if (text.size > 0 && memchr(text.data, '\0', text.size) != NULL) {
        reader->bytes->failed = true; /* a C string would end there */
        return NULL;
    }
    char *copy = malloc(text.size + 1);
    if (copy == NULL) {
        reader->no_memory = true;
        return NULL;
    }
    if (text.size > 0)
        memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    return copy;
}

/* A count no larger than `max`, else the reader has failed and it is 0. */
static size_t read_count(struct definition_reader *reader, size_t max) {
    uint64_t count = bytes_read_varint(reader->bytes);
    if (count <= max)
        return (size_t)count;
    reader->bytes->failed = true;
    return 0;
}

static uint32_t read_u32(struct definition_reader *reader) {
    return (uint32_t)read_count(reader, UINT32_MAX);
}

static size_t read_texts(struct definition_reader *reader, char **texts, size_t max) {
    size_t count = read_count(reader, max);
    for (size_t i = 0; i < count; i++)
        texts[i] = read_text(reader);
    return count;
}

static void read_step(struct definition_reader *reader, struct definition_step *step) {
    step->name = read_text(reader);
    step->provides = bytes_read_varint(reader->bytes);
    step->completes = (int)read_count(reader, DEFINITION_STAGES_MAX) - 1;
    step->requires_count = read_texts(reader, step->requires, DEFINITION_REQUIRES_MAX);
}

static void read_handler(struct definition_reader *reader, struct definition_handler *handler) {
    uint8_t kind = bytes_read_u8(reader->bytes);
    if (kind == 0)
        return;
    handler->callback = kind == 2;
    handler->arg_count = read_texts(reader, handler->args, DEFINITION_ARGS_MAX);
    handler->timeout_ms = bytes_read_zigzag(reader->bytes);
    handler->attempts = read_u32(reader);
    handler->backoff_ms = bytes_read_zigzag(reader->bytes);
}

static void read_stage(struct definition_reader *reader, struct definition_stage *stage) {
    stage->name = read_text(reader);
    stage->outcome = read_text(reader);
    stage->reviewer_role = read_text(reader);
    uint8_t flags = bytes_read_u8(reader->bytes);
    stage->needs_all_previous = (flags & FLAG_ALL_PREVIOUS) != 0;
    stage->four_eyes = (flags & FLAG_FOUR_EYES) != 0;
    stage->needs_stages = bytes_read_varint(reader->bytes);
    stage->needs_items = bytes_read_varint(reader->bytes);
    stage->timeout_ms = bytes_read_zigzag(reader->bytes);
    stage->rollback = (enum rollback_strategy)bytes_read_u8(reader->bytes);
    stage->attempts = read_u32(reader);
    read_handler(reader, &stage->handler);
    read_handler(reader, &stage->compensate);
}

static void read_all(struct definition_reader *reader, struct definition *definition) {
    definition->name = read_text(reader);
    definition->version = read_u32(reader);
    definition->source = read_text(reader);
    definition->item_count = read_texts(reader, definition->items, DEFINITION_ITEMS_MAX);
    definition->step_count = read_count(reader, DEFINITION_STEPS_MAX);
    for (size_t i = 0; i < definition->step_count; i++)
        read_step(reader, &definition->steps[i]);
    definition->stage_count = read_count(reader, DEFINITION_STAGES_MAX);
    for (size_t i = 0; i < definition->stage_count; i++)
        read_stage(reader, &definition->stages[i]);
}

enum wf_status definition_read(struct bytes_reader *bytes, struct definition **out,
                               struct wf_error *err) {
    struct definition_reader reader = {bytes, false};
    struct definition *definition = definition_create();
    *out = NULL;
    if (definition == NULL)
        return error_set(err, WF_NO_MEMORY, "no memory for a definition");
    read_all(&reader, definition);
    enum wf_status status = WF_OK;
    struct wf_error why;
    if (!reader.no_memory && bytes_reader_ok(bytes))
        definition_measure(definition);
    if (reader.no_memory)
        status = error_set(err, WF_NO_MEMORY, "no memory for a definition");
    else if (!bytes_reader_ok(bytes))
        status = error_set(err, WF_DAMAGE, "the bytes of a definition are cut or malformed");
    else if (definition_check(definition, &why) != WF_OK)
        status = error_set(err, WF_DAMAGE, "%s", why.text);
    if (status != WF_OK)
        definition_destroy(definition);
    else
        *out = definition;
    return status;
}
