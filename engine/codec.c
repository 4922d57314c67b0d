/* Records from bytes; the way to bytes is codec_encode.c. */
#include "engine/codec.h"

#include "engine/codec_definition.h"
#include "engine/codec_wire.h"

#include <inttypes.h>
#include <string.h>

static enum wf_status damage(struct wf_error *err, const char *what) {
    return error_set(err, WF_DAMAGE, "the record's checksum holds, but %s", what);
}

static enum wf_status fields_from_message(const struct wire_event *message,
                                          const struct field **out, size_t *count_out,
                                          struct wf_error *err) {
    size_t count = message->text_count / 2;
    if (message->text_count % 2 != 0) {
        return damage(err, "its fields are no pairs");
    }
    for (size_t i = 0; i < count; i++) {
        if (message->fields[i].name.size > COMMAND_FIELD_NAME_MAX ||
            message->fields[i].value.size > COMMAND_FIELD_VALUE_MAX) {
            return damage(err, "a field is too long");
        }
    }
    *out = message->fields;
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
    enum wf_status status = fields_from_message(message, &event->as.operation_posted.fields,
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
    /* Nobody would read these where they do not belong. */
    if (message->definition.data != NULL && event->kind != EVENT_DEFINITION_ADDED) {
        return damage(err, "a definition stands in an event of another kind");
    }
    if ((message->posting_accounts.data != NULL || message->posting_amounts.data != NULL) &&
        event->kind != EVENT_OPERATION_POSTED) {
        return damage(err, "postings stand in an event of another kind");
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
        return fields_from_message(message, &event->as.workflow_started.fields,
                                   &event->as.workflow_started.field_count, err);
    case EVENT_STEP_SUBMITTED:
        event->as.step_submitted.step = message->step;
        return fields_from_message(message, &event->as.step_submitted.fields,
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
        return fields_from_message(message, &event->as.log_repaired.fields,
                                   &event->as.log_repaired.field_count, err);
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
        return fields_from_message(message, &event->as.task.fields, &event->as.task.field_count,
                                   err);
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
    case EVENT_MONEY_BOUND:
        event->as.money_bound.stage = message->stage;
        event->as.money_bound.attempt = message->attempt;
        return WF_OK;
    case EVENT_TRANSACTION_REVERSED:
        event->as.transaction_reversed.lsn = message->first_lsn;
        event->as.transaction_reversed.reason = message->text;
        return WF_OK;
    case EVENT_REFERENCE_SET:
        event->as.reference_set.kind = (enum reference_kind)message->status;
        return fields_from_message(message, &event->as.reference_set.fields,
                                   &event->as.reference_set.field_count, err);
    case EVENT_ARCHIVE_DROPPED:
        event->as.archive_dropped.first_lsn = message->first_lsn;
        event->as.archive_dropped.last_lsn = message->last_lsn;
        event->as.archive_dropped.reason = message->text;
        event->as.archive_dropped.peaks = message->hashes;
        event->as.archive_dropped.state_hash = message->state_hash;
        return fields_from_message(message, &event->as.archive_dropped.fields,
                                   &event->as.archive_dropped.field_count, err);
    case EVENT_SEGMENT_DROPPED:
        event->as.segment_dropped.first_lsn = message->first_lsn;
        event->as.segment_dropped.last_lsn = message->last_lsn;
        event->as.segment_dropped.root = message->hashes;
        return WF_OK;
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
        struct wire_event event;
        status = codec_wire_read_event(arena, message.events[i], &event, err);
        if (status == WF_OK) {
            status = event_from_message(arena, &event, &record->events[i], err);
        }
        if (status != WF_OK) {
            codec_release(record);
            return status;
        }
        record->event_count = i + 1;
    }
    return WF_OK;
}

enum wf_status codec_decode_logged(struct codec_arena *arena, const struct wal_record *logged,
                                   struct record *record, struct wf_error *err) {
    codec_arena_reset(arena);
    enum wf_status status = codec_decode(arena, logged->payload, record, err);
    record->lsn = logged->lsn;
    record->offset = logged->offset;
    return status == WF_OK ? WF_OK : error_wrap(err, status, "LSN %" PRIu64, logged->lsn);
}

void codec_release(struct record *record) {
    for (size_t i = 0; i < record->event_count; i++) {
        if (record->events[i].kind == EVENT_DEFINITION_ADDED) {
            definition_destroy(record->events[i].as.definition_added.definition);
            record->events[i].as.definition_added.definition = NULL;
        }
    }
}
