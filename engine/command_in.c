/* A host's command made into the core's. */
#include "engine/command_in.h"

#include "engine/core/operation_texts.h"
#include "engine/core/text.h"
#include "engine/definition_yaml.h"
#include "engine/digest.h"

#include <stdlib.h>
#include <string.h>

/* Measure a string that is there. */
static enum wf_status measure_text(const char *text, const char *what, size_t size_max,
                                   struct bytes_view *out, struct wf_error *err) {
    size_t size = strnlen(text, size_max + 1);
    if (size > size_max) {
        return error_set(err, WF_USAGE, "%s is longer than %zu bytes: \"%.32s…\"", what, size_max,
                         text);
    }
    *out = (struct bytes_view){(const uint8_t *)text, size};
    return WF_OK;
}

/* `needed` false: NULL and "" are the same, and fine. Most members of most commands are not there.
 */
static inline enum wf_status take_text(const char *text, const char *what, size_t size_max,
                                       bool needed, struct bytes_view *out, struct wf_error *err) {
    if (text == NULL || text[0] == '\0') {
        *out = (struct bytes_view){(const uint8_t *)"", 0};
        return needed ? error_set(err, WF_USAGE, "%s is missing", what) : WF_OK;
    }
    return measure_text(text, what, size_max, out, err);
}

static enum wf_status take_fields(struct command_in *in, const struct wf_command *from,
                                  struct wf_error *err) {
    in->fields = in->inline_fields;
    if (from->field_count > COMMAND_FIELDS_MAX) {
        return error_set(err, WF_USAGE, "%zu fields are more than the %d of one command",
                         from->field_count, COMMAND_FIELDS_MAX);
    }
    if (from->field_count > COMMAND_IN_FIELDS_INLINE) {
        in->fields = malloc(from->field_count * sizeof(*in->fields));
        if (in->fields == NULL) {
            return error_set(err, WF_NO_MEMORY, "no memory for the fields of a command");
        }
    }
    for (size_t i = 0; i < from->field_count; i++) {
        enum wf_status status = take_text(from->fields[i].name, "the name of a field",
                                          COMMAND_FIELD_NAME_MAX, true, &in->fields[i].name, err);
        if (status == WF_OK) {
            status = take_text(from->fields[i].value, from->fields[i].name, COMMAND_FIELD_VALUE_MAX,
                               false, &in->fields[i].value, err);
        }
        if (status != WF_OK) {
            return status;
        }
    }
    return WF_OK;
}

/* Members of an operation are measured only against what a record can bear: what is wrong with them
 * is a refusal, which names the operation. */
static enum wf_status take_operation(const struct wf_operation *from, struct bytes_view *rules,
                                     struct operation *to, struct wf_error *err) {
    enum wf_status status = WF_OK;
#define TAKE(name, words, size_max, kinds)                                                         \
    if (status == WF_OK) {                                                                         \
        status = take_text(from->name, words, size_max, false, &to->name, err);                    \
    }
    OPERATION_TEXTS(TAKE)
#undef TAKE
    if (status != WF_OK) {
        return status;
    }
    if (from->expires_in_ms < 0 || from->expires_in_ms > DEFINITION_DURATION_MAX_MS) {
        return error_set(err, WF_USAGE, "a hold expires within a hundred years");
    }
    to->expires_in_ms = from->expires_in_ms;
    to->rules = rules;
    to->rule_count = from->rule_count;
    for (size_t i = 0; i < from->rule_count && status == WF_OK; i++) {
        status = take_text(from->rules[i], "a rule", COMMAND_ID_MAX, true, &rules[i], err);
    }
    return status;
}

static enum wf_status allocate_operations(struct command_in *in, size_t count, size_t rule_count,
                                          struct wf_error *err) {
    if (count > COMMAND_IN_OPERATIONS_INLINE) {
        in->operations = malloc(count * sizeof(*in->operations));
    }
    if (rule_count > COMMAND_IN_RULES_INLINE) {
        in->rules = malloc(rule_count * sizeof(*in->rules));
    }
    return in->operations != NULL && in->rules != NULL
               ? WF_OK
               : error_set(err, WF_NO_MEMORY, "no memory for the operations of a command");
}

static enum wf_status take_operations(struct command_in *in, const struct wf_command *from,
                                      const struct operation **out, size_t *count,
                                      struct wf_error *err) {
    size_t rule_count = 0;
    if (from->operation_count > COMMAND_OPERATIONS_MAX) {
        return error_set(err, WF_USAGE, "%zu operations are more than the %d of one command",
                         from->operation_count, COMMAND_OPERATIONS_MAX);
    }
    for (size_t i = 0; i < from->operation_count; i++) {
        if (from->operations[i].rule_count > OPERATION_RULES_MAX) {
            return error_set(err, WF_USAGE, "operation %zu: more than %d rules", i + 1,
                             OPERATION_RULES_MAX);
        }
        rule_count += from->operations[i].rule_count;
    }
    enum wf_status status = allocate_operations(in, from->operation_count, rule_count, err);
    struct bytes_view *rules = in->rules;
    for (size_t i = 0; i < from->operation_count && status == WF_OK; i++) {
        struct wf_error why;
        status = take_operation(&from->operations[i], rules, &in->operations[i], &why);
        if (status != WF_OK) {
            return error_set(err, status, "operation %zu: %s", i + 1, why.text);
        }
        rules += from->operations[i].rule_count;
    }
    *out = in->operations;
    *count = from->operation_count;
    return status;
}

static enum wf_status take_opening(struct command *command, const struct wf_command *from,
                                   struct wf_error *err) {
    enum wf_status status = take_text(from->type, "the account's type", ACCOUNT_TYPE_MAX, true,
                                      &command->as.account_open.type, err);
    if (status == WF_OK) {
        status = take_text(from->currency, "the currency", COMMAND_ID_MAX, true,
                           &command->as.account_open.currency, err);
    }
    if (status == WF_OK) {
        status = take_text(from->amount, "the balance", COMMAND_ID_MAX, false,
                           &command->as.account_open.balance, err);
    }
    return status != WF_OK ? status
                           : take_text(from->minimum, "the minimum", COMMAND_ID_MAX, false,
                                       &command->as.account_open.minimum, err);
}

static enum wf_status take_reversal(struct command *command, const struct wf_command *from,
                                    struct wf_error *err) {
    command->as.account_reverse.lsn = from->lsn;
    if (from->lsn == 0) {
        return error_set(err, WF_USAGE, "the LSN of the record to be reversed is missing");
    }
    enum wf_status status = take_text(from->reason, "the reason", COMMAND_TEXT_MAX, true,
                                      &command->as.account_reverse.reason, err);
    return status == WF_OK && command->actor.size == 0
               ? error_set(err, WF_USAGE, "the actor is missing")
               : status;
}

/* Of the kinds that concern accounts and what rules look at. */
static enum wf_status take_account_members(struct command_in *in, const struct wf_command *from,
                                           struct wf_error *err) {
    struct command *command = &in->command;
    if (from->kind == WF_ACCOUNT_TRANSACT) {
        return take_operations(in, from, &command->as.account_transact.operations,
                               &command->as.account_transact.count, err);
    }
    if (from->kind == WF_ACCOUNT_REVERSE) {
        return take_reversal(command, from, err);
    }
    enum wf_status status =
        take_text(from->id, "the number or name", COMMAND_ID_MAX, true, &command->subject, err);
    if (status != WF_OK) {
        return status;
    }
    if (from->kind == WF_ACCOUNT_OPEN) {
        return take_opening(command, from, err);
    }
    if (from->kind <= WF_ACCOUNT_CLOSE) {
        return take_text(from->reason, "the reason", COMMAND_TEXT_MAX, false,
                         &command->as.account_status.reason, err);
    }
    status = take_fields(in, from, err);
    command->as.reference_set.fields = in->fields;
    command->as.reference_set.field_count = from->field_count;
    return status;
}

static enum wf_status take_definition(struct command_in *in, const struct wf_command *from,
                                      struct wf_error *err) {
    if (from->text == NULL) {
        return error_set(err, WF_USAGE, "the definition's text is missing");
    }
    struct definition *definition = NULL;
    const char *name = from->text_name != NULL ? from->text_name : "definition";
    enum wf_status status =
        definition_parse(from->text, strlen(from->text), name, &definition, err);
    if (status == WF_OK) {
        in->command.as.definition_add.definition = definition;
        in->command.subject = text_view(definition->name);
    }
    return status;
}

static enum wf_status take_rollback(struct command *command, const struct wf_command *from,
                                    struct wf_error *err) {
    enum wf_status status = take_text(from->stage, "the stage to go back to", DEFINITION_NAME_MAX,
                                      true, &command->as.workflow_rollback.stage, err);
    if (status == WF_OK) {
        status = take_text(from->reason, "the reason", COMMAND_TEXT_MAX, true,
                           &command->as.workflow_rollback.reason, err);
    }
    return status == WF_OK && command->actor.size == 0
               ? error_set(err, WF_USAGE, "the actor is missing")
               : status;
}

static enum wf_status take_review(struct command *command, const struct wf_command *from,
                                  struct wf_error *err) {
    command->as.review.attempt = from->attempt;
    enum wf_status status = take_text(from->stage, "the stage", DEFINITION_NAME_MAX, true,
                                      &command->as.review.stage, err);
    if (status == WF_OK) {
        status =
            take_text(from->role, "the role", COMMAND_ID_MAX, true, &command->as.review.role, err);
    }
    if (status == WF_OK) {
        status = take_text(from->reason, "the reason", COMMAND_TEXT_MAX, false,
                           &command->as.review.reason, err);
    }
    return status == WF_OK && command->actor.size == 0
               ? error_set(err, WF_USAGE, "the actor is missing")
               : status;
}

static bool is_about_task(enum wf_command_kind kind) {
    return kind == WF_TASK_COMPLETE || kind == WF_TASK_FAIL || kind == WF_TASK_RETRY;
}

static enum wf_status take_task(struct command_in *in, const struct wf_command *from,
                                struct wf_error *err) {
    struct command *command = &in->command;
    command->as.task.compensate = from->compensate;
    command->as.task.epoch = from->attempt;
    command->as.task.tries = from->tries;
    enum wf_status status = take_text(from->stage, "the stage", DEFINITION_NAME_MAX, true,
                                      &command->as.task.stage, err);
    if (status == WF_OK && from->kind != WF_TASK_RETRY) {
        status = take_text(from->worker, "the worker", COMMAND_ID_MAX, true,
                           &command->as.task.worker, err);
    }
    if (status == WF_OK && from->kind == WF_TASK_FAIL) {
        status = take_text(from->reason, "the reason", COMMAND_TEXT_MAX, true,
                           &command->as.task.reason, err);
    }
    if (status == WF_OK && from->kind == WF_TASK_COMPLETE) {
        status = take_fields(in, from, err);
        command->as.task.fields = in->fields;
        command->as.task.field_count = from->field_count;
    }
    return status;
}

static enum wf_status take_members(struct command_in *in, const struct wf_command *from,
                                   struct wf_error *err) {
    struct command *command = &in->command;
    enum wf_status status = WF_OK;
    switch (from->kind) {
    case WF_DEFINITION_ADD:
        return take_definition(in, from, err);
    case WF_CLOCK_ADVANCE:
        command->as.clock_advance.by_ms = from->duration_ms;
        return from->duration_ms > 0
                   ? WF_OK
                   : error_set(err, WF_USAGE, "the duration must be greater than zero");
    case WF_ACCOUNT_OPEN:
    case WF_ACCOUNT_TRANSACT:
    case WF_ACCOUNT_FREEZE:
    case WF_ACCOUNT_UNFREEZE:
    case WF_ACCOUNT_CLOSE:
    case WF_ACCOUNT_REVERSE:
    case WF_RATE_SET:
    case WF_INSTRUMENT_SET:
    case WF_CALENDAR_SET:
    case WF_FEE_RULE_SET:
        return take_account_members(in, from, err);
    case WF_WORKFLOW_START:
    case WF_WORKFLOW_SUBMIT:
    case WF_WORKFLOW_FAIL:
    case WF_WORKFLOW_CANCEL:
    case WF_WORKFLOW_ROLLBACK:
    case WF_REVIEW_APPROVE:
    case WF_REVIEW_REJECT:
    case WF_WORKFLOW_MIGRATE:
    case WF_TASK_COMPLETE:
    case WF_TASK_FAIL:
    case WF_TASK_RETRY:
        break;
    default:
        return error_set(err, WF_USAGE, "command kind %d is unknown", (int)from->kind);
    }
    status = take_text(from->id, "the workflow's id", COMMAND_ID_MAX, true, &command->subject, err);
    if (status != WF_OK) {
        return status;
    }
    if (from->kind == WF_WORKFLOW_ROLLBACK) {
        return take_rollback(command, from, err);
    }
    if (from->kind == WF_REVIEW_APPROVE || from->kind == WF_REVIEW_REJECT) {
        return take_review(command, from, err);
    }
    if (from->kind == WF_WORKFLOW_CANCEL) {
        command->as.workflow_cancel.rollback = from->rollback;
        return take_text(from->reason, "the reason", COMMAND_TEXT_MAX, true,
                         &command->as.workflow_cancel.reason, err);
    }
    if (from->kind == WF_WORKFLOW_FAIL) {
        command->as.workflow_fail.attempt = from->attempt;
        status = take_text(from->stage, "the stage", DEFINITION_NAME_MAX, true,
                           &command->as.workflow_fail.stage, err);
        return status != WF_OK ? status
                               : take_text(from->reason, "the reason", COMMAND_TEXT_MAX, true,
                                           &command->as.workflow_fail.reason, err);
    }
    if (is_about_task(from->kind)) {
        return take_task(in, from, err);
    }
    status = take_fields(in, from, err);
    if (status != WF_OK) {
        return status;
    }
    if (from->kind == WF_WORKFLOW_START) {
        command->as.workflow_start.fields = in->fields;
        command->as.workflow_start.field_count = from->field_count;
        command->as.workflow_start.version = from->version;
        return take_text(from->type, "the workflow's type", DEFINITION_NAME_MAX, true,
                         &command->as.workflow_start.type, err);
    }
    if (from->kind == WF_WORKFLOW_MIGRATE) {
        command->as.workflow_migrate.version = from->version;
        command->as.workflow_migrate.maps = in->fields;
        command->as.workflow_migrate.map_count = from->field_count;
        return WF_OK;
    }
    command->as.workflow_submit.fields = in->fields;
    command->as.workflow_submit.field_count = from->field_count;
    command->as.workflow_submit.attempt = from->attempt;
    status = take_operations(in, from, &command->as.workflow_submit.operations,
                             &command->as.workflow_submit.operation_count, err);
    if (status != WF_OK) {
        return status;
    }
    return take_text(from->step, "the step", DEFINITION_NAME_MAX, true,
                     &command->as.workflow_submit.step, err);
}

static void write_text(struct bytes_buffer *body, const char *text) {
    bytes_write_string(body, text == NULL ? "" : text, text == NULL ? 0 : strlen(text));
}

static int compare_fields(const void *left, const void *right) {
    const struct wf_field *a = *(const struct wf_field *const *)left;
    const struct wf_field *b = *(const struct wf_field *const *)right;
    int order = strcmp(a->name, b->name);
    return order != 0 ? order : (a > b) - (a < b); /* one given twice stays as it was given */
}

/* Fields in order of name: a JSON object has no order. */
static void write_fields(struct bytes_buffer *body, const struct wf_command *from) {
    const struct wf_field *sorted[COMMAND_FIELDS_MAX];
    for (size_t i = 0; i < from->field_count; i++) {
        sorted[i] = &from->fields[i];
    }
    qsort(sorted, from->field_count, sizeof(sorted[0]), compare_fields);
    bytes_write_varint(body, from->field_count);
    for (size_t i = 0; i < from->field_count; i++) {
        write_text(body, sorted[i]->name);
        write_text(body, sorted[i]->value);
    }
}

static void write_operation(struct bytes_buffer *body, const struct wf_operation *operation) {
#define TEXT(name, words, size_max, kinds) operation->name,
    const char *const texts[] = {OPERATION_TEXTS_FIRST(TEXT)};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_text(body, texts[i]);
    }
    bytes_write_zigzag(body, operation->expires_in_ms);
    bytes_write_varint(body, operation->rule_count);
    for (size_t i = 0; i < operation->rule_count; i++) {
        write_text(body, operation->rules[i]);
    }
    const char *const younger[] = {OPERATION_TEXTS_YOUNGER(TEXT)};
#undef TEXT
    size_t count = sizeof(younger) / sizeof(younger[0]), given = 0;
    for (size_t i = 0; i < count; i++) {
        given += younger[i] != NULL && younger[i][0] != '\0';
    }
    for (size_t i = 0; given > 0 && i < count; i++) {
        write_text(body, younger[i]);
    }
}

/* What only commands about accounts have: the hash of others is as it was before there were any. */
static void write_account_members(struct bytes_buffer *body, const struct wf_command *from) {
    if (from->kind == WF_ACCOUNT_OPEN) {
        write_text(body, from->currency);
        write_text(body, from->amount);
        write_text(body, from->minimum);
    }
    if (from->kind == WF_ACCOUNT_REVERSE) {
        bytes_write_varint(body, from->lsn);
    }
    for (size_t i = 0; i < from->operation_count; i++) {
        write_operation(body, &from->operations[i]);
    }
}

/* The members that the kind names: the host may leave anything in the others. */
static struct wf_command without_ignored(const struct wf_command *from) {
    struct wf_command body = {.kind = from->kind, .actor = from->actor};
    if (from->kind == WF_DEFINITION_ADD) {
        body.text = from->text;
        return body;
    }
    if (from->kind == WF_CLOCK_ADVANCE) {
        body.duration_ms = from->duration_ms;
        return body;
    }
    if (from->kind == WF_ACCOUNT_TRANSACT) {
        body.operations = from->operations;
        body.operation_count = from->operation_count;
        return body;
    }
    if (from->kind == WF_ACCOUNT_REVERSE) {
        body.lsn = from->lsn;
        body.reason = from->reason;
        return body;
    }
    body.id = from->id;
    if (from->kind == WF_ACCOUNT_OPEN) {
        body.type = from->type;
        body.currency = from->currency;
        body.amount = from->amount;
        body.minimum = from->minimum;
        return body;
    }
    if (from->kind > WF_ACCOUNT_OPEN && from->kind <= WF_ACCOUNT_CLOSE) {
        body.reason = from->reason;
        return body;
    }
    body.attempt = from->kind == WF_WORKFLOW_SUBMIT || from->kind == WF_WORKFLOW_FAIL ||
                           from->kind == WF_REVIEW_APPROVE || from->kind == WF_REVIEW_REJECT
                       ? from->attempt
                       : 0;
    if (is_about_task(from->kind)) {
        body.stage = from->stage;
        body.compensate = from->compensate;
        body.reason = from->kind == WF_TASK_FAIL ? from->reason : NULL;
        if (from->kind != WF_TASK_RETRY) {
            body.worker = from->worker;
            body.attempt = from->attempt;
            body.tries = from->tries;
        }
        if (from->kind == WF_TASK_COMPLETE) {
            body.fields = from->fields;
            body.field_count = from->field_count;
        }
        return body;
    }
    if (from->kind != WF_WORKFLOW_START && from->kind != WF_WORKFLOW_SUBMIT &&
        from->kind != WF_WORKFLOW_MIGRATE) {
        bool cancels = from->kind == WF_WORKFLOW_CANCEL;
        body.stage = cancels ? NULL : from->stage;
        body.reason = from->reason;
        body.rollback = cancels && from->rollback;
        body.role =
            from->kind == WF_REVIEW_APPROVE || from->kind == WF_REVIEW_REJECT ? from->role : NULL;
        return body;
    }
    if (from->kind == WF_WORKFLOW_START) {
        body.type = from->type;
        body.version = from->version;
    } else if (from->kind == WF_WORKFLOW_MIGRATE) {
        body.version = from->version;
    } else if (from->kind == WF_WORKFLOW_SUBMIT) {
        body.step = from->step;
        body.operations = from->operations;
        body.operation_count = from->operation_count;
    }
    body.fields = from->fields;
    body.field_count = from->field_count;
    return body;
}

/* Everything that was asked, but for the key and the time. */
static enum wf_status hash_body(struct command_in *in, const struct wf_command *whole,
                                struct wf_error *err) {
    const struct wf_command named = without_ignored(whole);
    const struct wf_command *from = &named;
    struct bytes_buffer body;
    bytes_buffer_init(&body);
    bytes_write_u8(&body, (uint8_t)from->kind);
    const char *const texts[] = {from->id,     from->type,  from->step, from->stage,
                                 from->reason, from->actor, from->text};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        write_text(&body, texts[i]);
    }
    bytes_write_varint(&body, from->version);
    bytes_write_zigzag(&body, from->duration_ms);
    write_fields(&body, from);
    /* Younger members are there only where they are given: a body without them keeps its hash. */
    if (from->role != NULL || from->rollback || from->attempt != 0) {
        write_text(&body, from->role);
        bytes_write_u8(&body, from->rollback);
        bytes_write_varint(&body, from->attempt);
    }
    if (is_about_task(from->kind)) {
        write_text(&body, from->worker);
        bytes_write_varint(&body, from->tries);
        bytes_write_u8(&body, from->compensate);
    }
    write_account_members(&body, from);
    bool ok = bytes_buffer_ok(&body);
    if (ok) {
        digest_body((struct bytes_view){body.data, body.size}, in->command.body_hash);
    }
    bytes_buffer_deinit(&body);
    return ok ? WF_OK : error_set(err, WF_NO_MEMORY, "no memory to hash a command");
}

enum wf_status command_in_make(struct command_in *in, const struct wf_command *from,
                               struct wf_error *err) {
    memset(&in->command, 0, sizeof(in->command));
    in->fields = in->inline_fields;
    in->operations = in->inline_operations;
    in->rules = in->inline_rules;
    in->money = NULL;
    in->command.kind = (enum command_kind)from->kind;
    enum wf_status status =
        take_text(from->key, "the key", COMMAND_ID_MAX, false, &in->command.key, err);
    if (status == WF_OK) {
        status =
            take_text(from->actor, "the actor", COMMAND_ID_MAX, false, &in->command.actor, err);
    }
    if (status == WF_OK) {
        status = take_members(in, from, err);
    }
    if (status == WF_OK && in->command.key.size > 0) {
        status = hash_body(in, from, err);
    }
    if (status != WF_OK) {
        command_in_deinit(in);
    }
    return status;
}

void command_in_deinit(struct command_in *in) {
    if (in->command.kind == COMMAND_DEFINITION_ADD) {
        definition_destroy(in->command.as.definition_add.definition);
        in->command.as.definition_add.definition = NULL;
    }
    free(in->money);
    in->money = NULL;
    if (in->fields != in->inline_fields) {
        free(in->fields);
        in->fields = in->inline_fields;
    }
    if (in->operations != in->inline_operations) {
        free(in->operations);
        in->operations = in->inline_operations;
    }
    if (in->rules != in->inline_rules) {
        free(in->rules);
        in->rules = in->inline_rules;
    }
}
