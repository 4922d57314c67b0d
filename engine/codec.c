/* Records to and from bytes. Encode and decode stand side by side, an event kind's members in one
 * place each. */
#include "engine/codec.h"

#include "engine/codec_definition.h"
#include "engine/codec_wire.h"

#include <string.h>

enum { RECORD_SIZE_MAX = 16 * 1024 * 1024 };

static ProtobufCBinaryData borrow_view(struct bytes_view view) {
    /* protobuf-c only reads what it packs */
    return (ProtobufCBinaryData){view.size, (uint8_t *)(uintptr_t)view.data};
}

/* --- encode --- */

static bool fields_to_message(struct codec_arena *arena, const struct field *fields, size_t count,
                              Wf__Pb__Event *message) {
    if (count == 0) {
        return true;
    }
    message->fields = codec_arena_alloc(arena, 2 * count * sizeof(*message->fields));
    if (message->fields == NULL) {
        return false;
    }
    message->n_fields = 2 * count;
    for (size_t i = 0; i < count; i++) {
        message->fields[2 * i] = borrow_view(fields[i].name);
        message->fields[2 * i + 1] = borrow_view(fields[i].value);
    }
    return true;
}

static bool postings_to_message(struct codec_arena *arena, const struct posting *postings,
                                size_t count, Wf__Pb__Event *message) {
    if (count == 0) {
        return true;
    }
    message->posting_accounts = codec_arena_alloc(arena, count * sizeof(uint32_t));
    message->posting_amounts = codec_arena_alloc(arena, count * sizeof(int64_t));
    if (message->posting_accounts == NULL || message->posting_amounts == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        message->posting_accounts[i] = postings[i].account;
        message->posting_amounts[i] = postings[i].amount;
    }
    message->n_posting_accounts = message->n_posting_amounts = count;
    return true;
}

static bool posted_to_message(struct codec_arena *arena, const struct event *event,
                              Wf__Pb__Event *message) {
    message->operation = (uint32_t)event->as.operation_posted.operation;
    message->rules = event->as.operation_posted.rules;
    return fields_to_message(arena, event->as.operation_posted.fields,
                             event->as.operation_posted.field_count, message) &&
           postings_to_message(arena, event->as.operation_posted.postings,
                               event->as.operation_posted.posting_count, message);
}

static bool event_to_message(struct codec_arena *arena, const struct event *event,
                             Wf__Pb__Event *message) {
    wf__pb__event__init(message);
    message->kind = (uint32_t)event->kind;
    switch (event->kind) {
    case EVENT_STORE_CREATED:
        message->test_clock = event->as.store_created.test_clock;
        message->time_ms = event->as.store_created.time_ms;
        return true;
    case EVENT_DEFINITION_ADDED:
        message->definition =
            codec_definition_to_message(arena, event->as.definition_added.definition);
        return message->definition != NULL;
    case EVENT_WORKFLOW_STARTED:
        message->text = borrow_view(event->as.workflow_started.type);
        message->version = event->as.workflow_started.version;
        return fields_to_message(arena, event->as.workflow_started.fields,
                                 event->as.workflow_started.field_count, message);
    case EVENT_STEP_SUBMITTED:
        message->step = event->as.step_submitted.step;
        return fields_to_message(arena, event->as.step_submitted.fields,
                                 event->as.step_submitted.field_count, message);
    case EVENT_STAGE_ACTIVATED:
        message->stage = event->as.stage_activated.stage;
        message->attempt = event->as.stage_activated.attempt;
        message->timeout_ms = (uint64_t)event->as.stage_activated.timeout_ms;
        return true;
    case EVENT_STAGE_COMPLETED:
        message->stage = event->as.stage_completed.stage;
        return true;
    case EVENT_WORKFLOW_COMPLETED:
        return true;
    case EVENT_STAGE_FAILED:
        message->stage = event->as.stage_failed.stage;
        message->text = borrow_view(event->as.stage_failed.reason);
        return true;
    case EVENT_WORKFLOW_FAILED:
        message->text = borrow_view(event->as.workflow_failed.reason);
        return true;
    case EVENT_WORKFLOW_CANCELLED:
        message->text = borrow_view(event->as.workflow_cancelled.reason);
        return true;
    case EVENT_COMMAND_REFUSED:
        message->status = (uint32_t)event->as.command_refused.status;
        message->text = borrow_view(event->as.command_refused.message);
        return true;
    case EVENT_CLOCK_ADVANCED:
        message->time_ms = event->as.clock_advanced.to_ms;
        return true;
    case EVENT_LOG_REPAIRED:
        message->first_lsn = event->as.log_repaired.first_lsn;
        message->last_lsn = event->as.log_repaired.last_lsn;
        message->text = borrow_view(event->as.log_repaired.copy);
        return true;
    case EVENT_ROLLBACK_REQUESTED:
        message->stage = event->as.rollback_requested.stage;
        message->text = borrow_view(event->as.rollback_requested.reason);
        return true;
    case EVENT_CANCEL_REQUESTED:
        message->text = borrow_view(event->as.cancel_requested.reason);
        return true;
    case EVENT_REVIEW_REQUESTED:
    case EVENT_REVIEW_APPROVED:
    case EVENT_REVIEW_REJECTED:
        message->stage = event->as.review.stage;
        message->role = borrow_view(event->as.review.role);
        message->text = borrow_view(event->as.review.reason);
        return true;
    case EVENT_STAGE_UNDONE:
        message->stage = event->as.stage_undone.stage;
        message->attempt = event->as.stage_undone.attempt;
        return true;
    case EVENT_STAGE_TIMED_OUT:
        message->stage = event->as.stage_timed_out.stage;
        message->attempt = event->as.stage_timed_out.attempt;
        return true;
    case EVENT_TIMERS_STOPPED:
    case EVENT_TIMERS_RESUMED:
    case EVENT_ROLLBACK_COMPLETED:
    case EVENT_ROLLBACK_STOPPED:
        return true;
    case EVENT_CLOCK_ADVANCE_BEGUN:
        message->time_ms = event->as.clock_advance_begun.to_ms;
        return true;
    case EVENT_CLOCK_JUMPED:
        message->expected_ms = event->as.clock_jumped.expected_ms;
        message->time_ms = event->as.clock_jumped.to_ms;
        return true;
    case EVENT_WORKFLOW_MIGRATED:
        message->version = event->as.workflow_migrated.version;
        message->stage_map = borrow_view(event->as.workflow_migrated.stages);
        message->step_map = borrow_view(event->as.workflow_migrated.steps);
        return true;
    case EVENT_TASK_DUE:
    case EVENT_TASK_CLAIMED:
    case EVENT_TASK_FAILED:
    case EVENT_TASK_PARKED:
    case EVENT_TASK_DONE:
    case EVENT_TASK_RETRIED:
        message->stage = event->as.task.stage;
        message->attempt = event->as.task.epoch;
        message->compensate = event->as.task.compensate;
        message->tries = event->as.task.tries;
        message->timeout_ms = (uint64_t)event->as.task.delay_ms;
        message->worker = borrow_view(event->as.task.worker);
        message->text = borrow_view(event->as.task.reason);
        return fields_to_message(arena, event->as.task.fields, event->as.task.field_count, message);
    case EVENT_ACCOUNT_OPENED:
        message->account = event->as.account_opened.account;
        message->text = borrow_view(event->as.account_opened.type);
        message->name = borrow_view(event->as.account_opened.currency);
        message->amount = event->as.account_opened.minimum;
        return true;
    case EVENT_OPERATION_POSTED:
        return posted_to_message(arena, event, message);
    case EVENT_ACCOUNT_STATUS_SET:
        message->account = event->as.account_status_set.account;
        message->status = (uint32_t)event->as.account_status_set.status;
        message->text = borrow_view(event->as.account_status_set.reason);
        return true;
    case EVENT_HOLD_PLACED:
        message->account = event->as.hold_placed.account;
        message->amount = event->as.hold_placed.amount;
        message->time_ms = event->as.hold_placed.expires_ms;
        message->name = borrow_view(event->as.hold_placed.name);
        message->text = borrow_view(event->as.hold_placed.to);
        return true;
    case EVENT_HOLD_ENDED:
        message->account = event->as.hold_ended.account;
        message->status = (uint32_t)event->as.hold_ended.end;
        message->name = borrow_view(event->as.hold_ended.name);
        return true;
    case EVENT_REFERENCE_SET:
        message->status = (uint32_t)event->as.reference_set.kind;
        return fields_to_message(arena, event->as.reference_set.fields,
                                 event->as.reference_set.field_count, message);
    }
    return true;
}

static Wf__Pb__Event **events_to_messages(struct codec_arena *arena, const struct event *events,
                                          size_t count) {
    Wf__Pb__Event **list = codec_arena_alloc(arena, (count + 1) * sizeof(*list));
    Wf__Pb__Event *all = codec_arena_alloc(arena, (count + 1) * sizeof(*all));
    if (list == NULL || all == NULL) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        if (!event_to_message(arena, &events[i], &all[i])) {
            return NULL;
        }
        list[i] = &all[i];
    }
    return list;
}

static bool touches_to_message(struct codec_arena *arena, const struct record *record,
                               Wf__Pb__Record *message) {
    size_t count = record->touch_count;
    if (count == 0) {
        return true;
    }
    Wf__Pb__Touch **list = codec_arena_alloc(arena, count * sizeof(*list));
    Wf__Pb__Touch *all = codec_arena_alloc(arena, count * sizeof(*all));
    if (list == NULL || all == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const struct record_touch *touch = &record->touches[i];
        wf__pb__touch__init(&all[i]);
        all[i].kind = (uint32_t)touch->kind;
        all[i].name = borrow_view(touch->name);
        all[i].previous_lsn = touch->previous.lsn;
        all[i].previous_offset = touch->previous.offset / 8;
        all[i].balance = touch->balance;
        all[i].currency = borrow_view(touch->currency);
        list[i] = &all[i];
    }
    message->touches = list;
    message->n_touches = count;
    return true;
}

enum wf_status codec_encode(struct codec_arena *arena, const struct record *record,
                            struct bytes_buffer *out, struct wf_error *err) {
    Wf__Pb__Record message = WF__PB__RECORD__INIT;
    message.time_ms = record->time_ms;
    message.command = (uint32_t)record->command;
    message.subject = borrow_view(record->subject);
    message.previous_lsn = record->previous.lsn;
    message.previous_offset = record->previous.offset / 8;
    message.actor = borrow_view(record->actor);
    message.key = borrow_view(record->key);
    if (record->key.size > 0) {
        message.body_hash =
            borrow_view((struct bytes_view){record->body_hash, sizeof(record->body_hash)});
    }
    message.keys_forgotten = record->keys_forgotten;
    message.n_events = record->event_count;
    message.events = events_to_messages(arena, record->events, record->event_count);
    if (message.events == NULL || !touches_to_message(arena, record, &message)) {
        return error_set(err, WF_NO_MEMORY, "no memory to encode a record");
    }
    size_t size = wf__pb__record__get_packed_size(&message);
    if (size > RECORD_SIZE_MAX) {
        return error_set(err, WF_USAGE, "the command takes %zu bytes, more than the %d of a record",
                         size, RECORD_SIZE_MAX);
    }
    uint8_t *at = bytes_buffer_extend(out, size);
    if (at == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to encode a record");
    }
    (void)wf__pb__record__pack(&message, at);
    return WF_OK;
}

/* --- decode --- */

static enum wf_status damage(struct wf_error *err, const char *what) {
    return error_set(err, WF_DAMAGE, "the record's checksum holds, but %s", what);
}

static enum wf_status fields_from_message(struct codec_arena *arena,
                                          const struct wire_event *message,
                                          const struct field **out, size_t *count_out,
                                          struct wf_error *err) {
    *out = NULL;
    *count_out = 0;
    size_t count = message->field_count / 2;
    if (message->field_count % 2 != 0) {
        return damage(err, "its fields are no pairs");
    }
    if (count == 0) {
        return WF_OK;
    }
    struct field *fields = codec_arena_alloc(arena, count * sizeof(*fields));
    if (fields == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to decode a record");
    }
    for (size_t i = 0; i < count; i++) {
        fields[i].name = message->fields[2 * i];
        fields[i].value = message->fields[2 * i + 1];
        if (fields[i].name.size > COMMAND_FIELD_NAME_MAX ||
            fields[i].value.size > COMMAND_FIELD_VALUE_MAX) {
            return damage(err, "a field is too long");
        }
    }
    *out = fields;
    *count_out = count;
    return WF_OK;
}

static void *arena_alloc_callback(void *allocator_data, size_t size) {
    return codec_arena_alloc(allocator_data, size);
}

static void arena_free_callback(void *allocator_data, void *pointer) {
    (void)allocator_data; /* the arena is reset as a whole */
    (void)pointer;
}

/* Definitions are rare: protobuf-c's own decoder reads them. */
static enum wf_status definition_from_bytes(struct codec_arena *arena, struct bytes_view bytes,
                                            struct definition **out, struct wf_error *err) {
    if (bytes.data == NULL) {
        return damage(err, "the definition is missing");
    }
    ProtobufCAllocator allocator = {arena_alloc_callback, arena_free_callback, arena};
    const Wf__Pb__Definition *message =
        wf__pb__definition__unpack(&allocator, bytes.size, bytes.data);
    if (message == NULL) {
        return damage(err, "its definition cannot be read");
    }
    return codec_definition_from_message(message, out, err);
}

static enum wf_status postings_from_message(struct codec_arena *arena,
                                            const struct wire_event *message, struct event *event,
                                            struct wf_error *err) {
    struct bytes_reader accounts =
        bytes_reader_make(message->posting_accounts.data, message->posting_accounts.size);
    struct bytes_reader amounts =
        bytes_reader_make(message->posting_amounts.data, message->posting_amounts.size);
    /* A posting takes at least a byte. */
    size_t most = message->posting_accounts.size;
    struct posting *postings =
        most == 0 || most > RECORD_POSTINGS_MAX * (size_t)BYTES_VARINT_SIZE_MAX
            ? NULL
            : codec_arena_alloc(arena, most * sizeof(*postings));
    if (most > 0 && postings == NULL) {
        return most > RECORD_POSTINGS_MAX * (size_t)BYTES_VARINT_SIZE_MAX
                   ? damage(err, "it has too many postings")
                   : error_set(err, WF_NO_MEMORY, "no memory to decode a record");
    }
    size_t count = 0;
    uint64_t account;
    uint64_t amount;
    while (count < most && codec_wire_next(&accounts, &account) &&
           codec_wire_next(&amounts, &amount)) {
        postings[count].account = account <= UINT32_MAX ? (uint32_t)account : UINT32_MAX;
        postings[count++].amount = codec_wire_zigzag(amount);
    }
    if (!bytes_reader_done(&accounts) || !bytes_reader_done(&amounts)) {
        return damage(err, "its postings are malformed");
    }
    event->as.operation_posted.postings = postings;
    event->as.operation_posted.posting_count = count;
    return WF_OK;
}

static enum wf_status posted_from_message(struct codec_arena *arena,
                                          const struct wire_event *message, struct event *event,
                                          struct wf_error *err) {
    event->as.operation_posted.operation = (enum operation_kind)message->operation;
    event->as.operation_posted.rules = message->rules;
    enum wf_status status = fields_from_message(arena, message, &event->as.operation_posted.fields,
                                                &event->as.operation_posted.field_count, err);
    return status == WF_OK ? postings_from_message(arena, message, event, err) : status;
}

static enum wf_status event_from_message(struct codec_arena *arena,
                                         const struct wire_event *message, struct event *event,
                                         struct wf_error *err) {
    event->kind = (enum event_kind)message->kind;
    if (event_kind_name(event->kind) == NULL) {
        return error_set(err, WF_DAMAGE,
                         "the record's checksum holds, but event kind %u is not known to this "
                         "version",
                         message->kind);
    }
    if (message->stage >= DEFINITION_STAGES_MAX || message->step >= DEFINITION_STEPS_MAX ||
        message->timeout_ms > INT64_MAX / 2) {
        return damage(err, "a stage, step or timeout is out of range");
    }
    if (message->definition.data != NULL && event->kind != EVENT_DEFINITION_ADDED) {
        return damage(err, "a definition stands in an event of another kind"); /* nobody reads it */
    }
    switch (event->kind) {
    case EVENT_STORE_CREATED:
        event->as.store_created.test_clock = message->test_clock;
        event->as.store_created.time_ms = message->time_ms;
        return WF_OK;
    case EVENT_DEFINITION_ADDED:
        event->as.definition_added.definition = NULL;
        return definition_from_bytes(arena, message->definition,
                                     &event->as.definition_added.definition, err);
    case EVENT_WORKFLOW_STARTED:
        event->as.workflow_started.type = message->text;
        event->as.workflow_started.version = message->version;
        return fields_from_message(arena, message, &event->as.workflow_started.fields,
                                   &event->as.workflow_started.field_count, err);
    case EVENT_STEP_SUBMITTED:
        event->as.step_submitted.step = message->step;
        return fields_from_message(arena, message, &event->as.step_submitted.fields,
                                   &event->as.step_submitted.field_count, err);
    case EVENT_STAGE_ACTIVATED:
        event->as.stage_activated.stage = message->stage;
        event->as.stage_activated.attempt = message->attempt;
        event->as.stage_activated.timeout_ms = (int64_t)message->timeout_ms;
        return WF_OK;
    case EVENT_STAGE_COMPLETED:
        event->as.stage_completed.stage = message->stage;
        return WF_OK;
    case EVENT_WORKFLOW_COMPLETED:
        return WF_OK;
    case EVENT_STAGE_FAILED:
        event->as.stage_failed.stage = message->stage;
        event->as.stage_failed.reason = message->text;
        return WF_OK;
    case EVENT_WORKFLOW_FAILED:
        event->as.workflow_failed.reason = message->text;
        return WF_OK;
    case EVENT_WORKFLOW_CANCELLED:
        event->as.workflow_cancelled.reason = message->text;
        return WF_OK;
    case EVENT_COMMAND_REFUSED:
        /* It becomes the status of the answer to a repeated key: a refusal is never a success. */
        if (message->status != WF_REFUSED) {
            return damage(err, "a refusal has another status");
        }
        event->as.command_refused.status = WF_REFUSED;
        event->as.command_refused.message = message->text;
        return WF_OK;
    case EVENT_CLOCK_ADVANCED:
        event->as.clock_advanced.to_ms = message->time_ms;
        return WF_OK;
    case EVENT_LOG_REPAIRED:
        event->as.log_repaired.first_lsn = message->first_lsn;
        event->as.log_repaired.last_lsn = message->last_lsn;
        event->as.log_repaired.copy = message->text;
        return WF_OK;
    case EVENT_ROLLBACK_REQUESTED:
        event->as.rollback_requested.stage = message->stage;
        event->as.rollback_requested.reason = message->text;
        return WF_OK;
    case EVENT_CANCEL_REQUESTED:
        event->as.cancel_requested.reason = message->text;
        return WF_OK;
    case EVENT_REVIEW_REQUESTED:
    case EVENT_REVIEW_APPROVED:
    case EVENT_REVIEW_REJECTED:
        event->as.review.stage = message->stage;
        event->as.review.role = message->role;
        event->as.review.reason = message->text;
        return WF_OK;
    case EVENT_STAGE_UNDONE:
        event->as.stage_undone.stage = message->stage;
        event->as.stage_undone.attempt = message->attempt;
        return WF_OK;
    case EVENT_STAGE_TIMED_OUT:
        event->as.stage_timed_out.stage = message->stage;
        event->as.stage_timed_out.attempt = message->attempt;
        return WF_OK;
    case EVENT_TIMERS_STOPPED:
    case EVENT_TIMERS_RESUMED:
    case EVENT_ROLLBACK_COMPLETED:
    case EVENT_ROLLBACK_STOPPED:
        return WF_OK;
    case EVENT_CLOCK_ADVANCE_BEGUN:
        event->as.clock_advance_begun.to_ms = message->time_ms;
        return WF_OK;
    case EVENT_CLOCK_JUMPED:
        event->as.clock_jumped.expected_ms = message->expected_ms;
        event->as.clock_jumped.to_ms = message->time_ms;
        return WF_OK;
    case EVENT_WORKFLOW_MIGRATED:
        event->as.workflow_migrated.version = message->version;
        event->as.workflow_migrated.stages = message->stage_map;
        event->as.workflow_migrated.steps = message->step_map;
        return WF_OK;
    case EVENT_TASK_DUE:
    case EVENT_TASK_CLAIMED:
    case EVENT_TASK_FAILED:
    case EVENT_TASK_PARKED:
    case EVENT_TASK_DONE:
    case EVENT_TASK_RETRIED:
        event->as.task.stage = message->stage;
        event->as.task.epoch = message->attempt;
        event->as.task.compensate = message->compensate;
        event->as.task.tries = message->tries;
        event->as.task.delay_ms = (int64_t)message->timeout_ms;
        event->as.task.worker = message->worker;
        event->as.task.reason = message->text;
        return fields_from_message(arena, message, &event->as.task.fields,
                                   &event->as.task.field_count, err);
    case EVENT_ACCOUNT_OPENED:
        event->as.account_opened.account = message->account;
        event->as.account_opened.type = message->text;
        event->as.account_opened.currency = message->name;
        event->as.account_opened.minimum = message->amount;
        return WF_OK;
    case EVENT_OPERATION_POSTED:
        return posted_from_message(arena, message, event, err);
    case EVENT_ACCOUNT_STATUS_SET:
        event->as.account_status_set.account = message->account;
        event->as.account_status_set.status = (enum account_status)message->status;
        event->as.account_status_set.reason = message->text;
        return WF_OK;
    case EVENT_HOLD_PLACED:
        event->as.hold_placed.account = message->account;
        event->as.hold_placed.amount = message->amount;
        event->as.hold_placed.expires_ms = message->time_ms;
        event->as.hold_placed.name = message->name;
        event->as.hold_placed.to = message->text;
        return WF_OK;
    case EVENT_HOLD_ENDED:
        event->as.hold_ended.account = message->account;
        event->as.hold_ended.end = (enum hold_end)message->status;
        event->as.hold_ended.name = message->name;
        return WF_OK;
    case EVENT_REFERENCE_SET:
        event->as.reference_set.kind = (enum reference_kind)message->status;
        return fields_from_message(arena, message, &event->as.reference_set.fields,
                                   &event->as.reference_set.field_count, err);
    }
    return WF_OK;
}

static enum wf_status header_from_message(const struct wire_record *message, struct record *record,
                                          struct wf_error *err) {
    record->time_ms = message->time_ms;
    if (record->time_ms > INT64_MAX / 2) { /* timeouts are added to it */
        return damage(err, "its time is out of range");
    }
    record->command = (enum command_kind)message->command;
    if (command_kind_name(record->command) == NULL) {
        return error_set(err, WF_DAMAGE,
                         "the record's checksum holds, but command %u is not known to this version",
                         message->command);
    }
    record->subject = message->subject;
    record->actor = message->actor;
    record->key = message->key;
    if (record->subject.size > COMMAND_ID_MAX || record->actor.size > COMMAND_ID_MAX ||
        record->key.size > COMMAND_ID_MAX) {
        return damage(err, "an id, actor or key is too long");
    }
    record->previous.lsn = message->previous_lsn;
    record->previous.offset = message->previous_offset * 8;
    memset(record->body_hash, 0, sizeof(record->body_hash));
    if (record->key.size > 0) {
        if (message->body_hash.size != sizeof(record->body_hash)) {
            return damage(err, "its key comes without the hash of the body");
        }
        memcpy(record->body_hash, message->body_hash.data, sizeof(record->body_hash));
    }
    record->keys_forgotten = message->keys_forgotten;
    return WF_OK;
}

static enum wf_status touches_from_message(struct codec_arena *arena,
                                           const struct wire_record *message, struct record *record,
                                           struct wf_error *err) {
    if (message->touch_count == 0) {
        return WF_OK;
    }
    struct record_touch *touches =
        codec_arena_alloc(arena, message->touch_count * sizeof(*touches));
    if (touches == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to decode a record");
    }
    for (size_t i = 0; i < message->touch_count; i++) {
        const struct wire_touch *touch = &message->touches[i];
        touches[i] =
            (struct record_touch){.kind = (enum entity_kind)touch->kind,
                                  .name = touch->name,
                                  .previous = {touch->previous_lsn, touch->previous_offset * 8},
                                  .balance = touch->balance,
                                  .currency = touch->currency};
        if (touch->name.size > ACCOUNT_NUMBER_MAX) {
            return damage(err, "the number of an account is too long");
        }
    }
    record->touches = touches;
    record->touch_count = message->touch_count;
    return WF_OK;
}

enum wf_status codec_decode(struct codec_arena *arena, struct bytes_view bytes,
                            struct record *record, struct wf_error *err) {
    *record = (struct record){0};
    struct wire_record message;
    enum wf_status status = codec_wire_read(arena, bytes, &message, err);
    if (status == WF_OK) {
        status = header_from_message(&message, record, err);
    }
    if (status == WF_OK) {
        status = touches_from_message(arena, &message, record, err);
    }
    if (status != WF_OK) {
        return status;
    }
    record->events = codec_arena_alloc(arena, (message.event_count + 1) * sizeof(struct event));
    if (record->events == NULL) {
        return error_set(err, WF_NO_MEMORY, "no memory to decode a record");
    }
    for (size_t i = 0; i < message.event_count; i++) {
        status = event_from_message(arena, &message.events[i], &record->events[i], err);
        if (status != WF_OK) {
            codec_release(record);
            return status;
        }
        record->event_count = i + 1;
    }
    return WF_OK;
}

void codec_release(struct record *record) {
    for (size_t i = 0; i < record->event_count; i++) {
        if (record->events[i].kind == EVENT_DEFINITION_ADDED) {
            definition_destroy(record->events[i].as.definition_added.definition);
            record->events[i].as.definition_added.definition = NULL;
        }
    }
}
