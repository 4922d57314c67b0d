/* Three passes, so that nothing is built from what was not looked at:
 *  1. the bytes: size, UTF-8, control characters;
 *  2. the stream of YAML events: one document, no anchors, aliases or tags, no deep nesting;
 *  3. the tree: every mapping has a table of its members; names are resolved at the end, because
 *     a step may name a stage that stands below it. */
#include "engine/definition_yaml.h"

#include "engine/core/text.h"
#include "engine/definition_yaml_loader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NESTING_MAX = 8 }; /* a handler's words stand at the sixth level */

/* --- errors --- */

enum { WORDS_MAX = WF_ERROR_TEXT_MAX };

static void place(struct loader *loader, size_t line, size_t column, char words[WORDS_MAX]) {
    words[text_whole_size(text_view(words))] = '\0';
    loader->status = error_set(loader->err, WF_USAGE, "%s:%zu:%zu: %s", loader->source_name, line,
                               column, words);
}

bool loader_fail(struct loader *loader, size_t line, size_t column, const char *format, ...) {
    char words[WORDS_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    place(loader, line, column, words);
    return false;
}

bool loader_fail_at(struct loader *loader, const yaml_node_t *node, const char *format, ...) {
    char words[WORDS_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(words, sizeof words, format, args);
    va_end(args);
    place(loader, node->start_mark.line + 1, node->start_mark.column + 1, words);
    return false;
}

bool loader_fail_memory(struct loader *loader) {
    loader->status =
        error_set(loader->err, WF_NO_MEMORY, "%s: no memory to read it", loader->source_name);
    return false;
}

/* --- 1: the bytes --- */

static bool fail_at_byte(struct loader *loader, const char *text, size_t at, const char *what) {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        if (text[i] == '\n') {
            line++;
            column = 1;
        } else if (((unsigned char)text[i] & 0xC0) != 0x80) {
            column++;
        }
    }
    return loader_fail(loader, line, column, "%s", what);
}

/* Bytes of the character at `text`, 0 where it is not valid UTF-8. */
static size_t character_size(const char *text, size_t left) {
    for (size_t size = 1; size <= 4 && size <= left; size++)
        if (text_is_utf8((struct bytes_view){(const uint8_t *)text, size}))
            return size;
    return 0;
}

static bool check_bytes(struct loader *loader, const char *text, size_t size) {
    if (size > DEFINITION_SOURCE_MAX)
        return loader_fail(loader, 1, 1, "the definition has %zu bytes; at most %d are read", size,
                           DEFINITION_SOURCE_MAX);
    for (size_t at = 0; at < size;) {
        unsigned char byte = (unsigned char)text[at];
        if (byte < 0x20 && byte != '\n' && byte != '\r' && byte != '\t')
            return fail_at_byte(loader, text, at,
                                "a control character; a definition is UTF-8 text");
        size_t length = byte < 0x80 ? 1 : character_size(text + at, size - at);
        if (length == 0)
            return fail_at_byte(loader, text, at, "not UTF-8; save the definition as UTF-8 text");
        at += length;
    }
    return true;
}

/* --- 2: the events --- */

static bool fail_parser(struct loader *loader, const yaml_parser_t *parser, const char *text,
                        size_t size) {
    const char *problem = parser->problem != NULL ? parser->problem : "not YAML";
    if (parser->error == YAML_MEMORY_ERROR)
        return loader_fail_memory(loader);
    if (parser->error == YAML_READER_ERROR)
        return fail_at_byte(loader, text,
                            parser->problem_offset < size ? parser->problem_offset : size, problem);
    return loader_fail(loader, parser->problem_mark.line + 1, parser->problem_mark.column + 1,
                       "not YAML: %s%s%s", problem, parser->context != NULL ? " " : "",
                       parser->context != NULL ? parser->context : "");
}

struct event_scan {
    size_t documents, depth;
};

static bool fail_event(struct loader *loader, const yaml_event_t *event, const char *what) {
    return loader_fail(loader, event->start_mark.line + 1, event->start_mark.column + 1, "%s",
                       what);
}

static bool check_plain_node(struct loader *loader, const yaml_event_t *event,
                             const yaml_char_t *anchor, const yaml_char_t *tag) {
    if (anchor != NULL)
        return fail_event(loader, event, "anchors (&name) are not read here; write it out");
    if (tag != NULL)
        return fail_event(loader, event, "tags (!type) are not read here; leave it out");
    return true;
}

static bool enter(struct loader *loader, const yaml_event_t *event, struct event_scan *scan) {
    if (++scan->depth > NESTING_MAX)
        return fail_event(loader, event, "nested too deep for a definition");
    return true;
}

static bool check_event(struct loader *loader, const yaml_event_t *event, struct event_scan *scan) {
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return fail_event(loader, event, "aliases (*name) are not read here; write it out");
    case YAML_SCALAR_EVENT:
        return check_plain_node(loader, event, event->data.scalar.anchor, event->data.scalar.tag);
    case YAML_SEQUENCE_START_EVENT:
        return check_plain_node(loader, event, event->data.sequence_start.anchor,
                                event->data.sequence_start.tag) &&
               enter(loader, event, scan);
    case YAML_MAPPING_START_EVENT:
        return check_plain_node(loader, event, event->data.mapping_start.anchor,
                                event->data.mapping_start.tag) &&
               enter(loader, event, scan);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        scan->depth--;
        return true;
    case YAML_DOCUMENT_START_EVENT:
        if (++scan->documents > 1)
            return fail_event(loader, event,
                              "a second document begins; a file holds one definition");
        return true;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return true;
    }
    return true;
}

static void set_input(yaml_parser_t *parser, const char *text, size_t size) {
    yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(parser, (const unsigned char *)text, size);
}

static bool check_events(struct loader *loader, const char *text, size_t size) {
    yaml_parser_t parser;
    struct event_scan scan = {0, 0};
    if (!yaml_parser_initialize(&parser))
        return loader_fail_memory(loader);
    set_input(&parser, text, size);
    bool good = true, ended = false;
    while (good && !ended) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            good = fail_parser(loader, &parser, text, size);
            break;
        }
        ended = event.type == YAML_STREAM_END_EVENT;
        good = check_event(loader, &event, &scan);
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (good && scan.documents == 0)
        return loader_fail(loader, 1, 1,
                           "there is nothing here; a definition begins with \"workflow: NAME\"");
    return good;
}

/* --- 3: the tree --- */

static bool read_tree(struct loader *loader, const char *text, size_t size) {
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser))
        return loader_fail_memory(loader);
    set_input(&parser, text, size);
    if (!yaml_parser_load(&parser, &loader->document)) {
        fail_parser(loader, &parser, text, size);
        yaml_parser_delete(&parser);
        return false;
    }
    bool good = loader_read_definition(loader, yaml_document_get_root_node(&loader->document));
    yaml_document_delete(&loader->document);
    yaml_parser_delete(&parser);
    return good;
}

enum wf_status definition_parse(const char *text, size_t size, const char *source_name,
                                struct definition **out, struct wf_error *err) {
    struct wf_error unasked;
    struct loader loader = {.source_name = source_name, .err = err != NULL ? err : &unasked};
    *out = NULL;
    loader.definition = definition_create();
    if (loader.definition == NULL)
        loader_fail_memory(&loader);
    else if (check_bytes(&loader, text, size) && check_events(&loader, text, size) &&
             loader_copy(&loader, (struct bytes_view){(const uint8_t *)text, size},
                         &loader.definition->source) &&
             read_tree(&loader, text, size)) {
        *out = loader.definition;
        return WF_OK;
    }
    definition_destroy(loader.definition);
    return loader.status;
}
