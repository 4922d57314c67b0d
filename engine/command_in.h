/* A host's command made into the core's: strings measured against their limits, YAML parsed, the
 * body hashed. */
#ifndef ENGINE_COMMAND_IN_H
#define ENGINE_COMMAND_IN_H

#include "engine/core/command.h"
#include "engine/wf.h"

enum {
    COMMAND_IN_FIELDS_INLINE = 16,
    COMMAND_IN_OPERATIONS_INLINE = 4,
    COMMAND_IN_RULES_INLINE = 16,
};

struct command_in {
    struct command
        command; /* borrows the host's strings; owns a definition until somebody takes it */
    struct field inline_fields[COMMAND_IN_FIELDS_INLINE];
    struct field *fields; /* inline_fields, or on the heap */
    struct operation inline_operations[COMMAND_IN_OPERATIONS_INLINE];
    struct bytes_view inline_rules[COMMAND_IN_RULES_INLINE];
    struct operation *operations; /* likewise */
    struct bytes_view *rules;     /* of all operations, likewise */
    /* Of a record that is to be reversed; reverse.c fills them. */
    struct stage_money *money;
    char subject[COMMAND_ID_MAX];
};

/* WF_USAGE: a string is missing, empty or too long, a kind unknown, YAML wrong. WF_NO_MEMORY. On
 * failure nothing is left to release. */
enum wf_status command_in_make(struct command_in *in, const struct wf_command *from,
                               struct wf_error *err);
void command_in_deinit(struct command_in *in);

#endif
