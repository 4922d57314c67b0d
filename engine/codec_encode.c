/* Records to bytes; the way back is codec.c. The numbers are those of schema/record.proto. */
#include "engine/codec.h"

#include "engine/codec_definition.h"
#include "engine/codec_put.h"

enum { RECORD_SIZE_MAX = 16 * 1024 * 1024 };

static void put_fields(struct bytes_buffer *out, const struct field *fields, size_t count) {
    for (size_t i = 0; i < count; i++) {
        put_element(out, 7, fields[i].name);
        put_element(out, 7, fields[i].value);
    }
}

static void put_postings(struct bytes_buffer *out, const struct posting *postings, size_t count) {
    if (count == 0) {
        return;
    }
    size_t begin = put_begin(out, 31);
    for (size_t i = 0; i < count; i++) {
        bytes_write_varint(out, postings[i].account);
    }
    put_end(out, begin);
    begin = put_begin(out, 32);
    for (size_t i = 0; i < count; i++) {
        bytes_write_zigzag(out, postings[i].amount);
    }
    put_end(out, begin);
}

/* Definitions are rare: protobuf-c packs them. False: no memory for the message. */
static bool put_definition(struct codec_arena *arena, const struct definition *definition,
                           struct bytes_buffer *out) {
    const Wf__Pb__Definition *message = codec_definition_to_message(arena, definition);
    if (message == NULL) {
        return false;
    }
    size_t begin = put_begin(out, 14);
    uint8_t *at = bytes_buffer_extend(out, wf__pb__definition__get_packed_size(message));
    if (at != NULL) {
        (void)wf__pb__definition__pack(message, at);
    }
    put_end(out, begin);
    return true;
}

static void put_task(struct bytes_buffer *out, const struct event *event) {
    put_number(out, 2, event->as.task.stage);
    put_number(out, 4, event->as.task.epoch);
    put_number(out, 6, (uint64_t)event->as.task.delay_ms);
    put_fields(out, event->as.task.fields, event->as.task.field_count);
    put_bytes(out, 8, event->as.task.reason);
    put_bytes(out, 27, event->as.task.worker);
    put_number(out, 28, event->as.task.tries);
    put_number(out, 29, event->as.task.compensate);
}

/* False: no memory in the arena. */
static bool put_event(struct codec_arena *arena, const struct event *event,
                      struct bytes_buffer *out) {
    put_number(out, 1, (uint32_t)event->kind);
    switch (event->kind) {
    case EVENT_STORE_CREATED:
        put_number(out, 9, (uint64_t)event->as.store_created.time_ms);
        put_number(out, 11, event->as.store_created.test_clock);
        break;
    case EVENT_DEFINITION_ADDED:
        return put_definition(arena, event->as.definition_added.definition, out);
    case EVENT_WORKFLOW_STARTED:
        put_number(out, 5, event->as.workflow_started.version);
        put_fields(out, event->as.workflow_started.fields, event->as.workflow_started.field_count);
        put_bytes(out, 8, event->as.workflow_started.type);
        break;
    case EVENT_STEP_SUBMITTED:
        put_number(out, 3, event->as.step_submitted.step);
        put_fields(out, event->as.step_submitted.fields, event->as.step_submitted.field_count);
        break;
    case EVENT_STAGE_ACTIVATED:
        put_number(out, 2, event->as.stage_activated.stage);
        put_number(out, 4, event->as.stage_activated.attempt);
        put_number(out, 6, (uint64_t)event->as.stage_activated.timeout_ms);
        break;
    case EVENT_STAGE_COMPLETED:
        put_number(out, 2, event->as.stage_completed.stage);
        break;
    case EVENT_STAGE_FAILED:
        put_number(out, 2, event->as.stage_failed.stage);
        put_bytes(out, 8, event->as.stage_failed.reason);
        break;
    case EVENT_WORKFLOW_FAILED:
        put_bytes(out, 8, event->as.workflow_failed.reason);
        break;
    case EVENT_WORKFLOW_CANCELLED:
        put_bytes(out, 8, event->as.workflow_cancelled.reason);
        break;
    case EVENT_COMMAND_REFUSED:
        put_bytes(out, 8, event->as.command_refused.message);
        put_number(out, 10, (uint32_t)event->as.command_refused.status);
        break;
    case EVENT_CLOCK_ADVANCED:
        put_number(out, 9, (uint64_t)event->as.clock_advanced.to_ms);
        break;
    case EVENT_LOG_REPAIRED:
        put_fields(out, event->as.log_repaired.fields, event->as.log_repaired.field_count);
        put_bytes(out, 8, event->as.log_repaired.copy);
        put_number(out, 12, event->as.log_repaired.first_lsn);
        put_number(out, 13, event->as.log_repaired.last_lsn);
        break;
    case EVENT_ROLLBACK_REQUESTED:
        put_number(out, 2, event->as.rollback_requested.stage);
        put_bytes(out, 8, event->as.rollback_requested.reason);
        break;
    case EVENT_CANCEL_REQUESTED:
        put_bytes(out, 8, event->as.cancel_requested.reason);
        break;
    case EVENT_REVIEW_REQUESTED:
    case EVENT_REVIEW_APPROVED:
    case EVENT_REVIEW_REJECTED:
        put_number(out, 2, event->as.review.stage);
        put_bytes(out, 8, event->as.review.reason);
        put_bytes(out, 15, event->as.review.role);
        break;
    case EVENT_STAGE_UNDONE:
        put_number(out, 2, event->as.stage_undone.stage);
        put_number(out, 4, event->as.stage_undone.attempt);
        break;
    case EVENT_STAGE_TIMED_OUT:
        put_number(out, 2, event->as.stage_timed_out.stage);
        put_number(out, 4, event->as.stage_timed_out.attempt);
        break;
    case EVENT_WORKFLOW_COMPLETED:
    case EVENT_TIMERS_STOPPED:
    case EVENT_TIMERS_RESUMED:
    case EVENT_ROLLBACK_COMPLETED:
    case EVENT_ROLLBACK_STOPPED:
        break;
    case EVENT_CLOCK_ADVANCE_BEGUN:
        put_number(out, 9, (uint64_t)event->as.clock_advance_begun.to_ms);
        break;
    case EVENT_CLOCK_JUMPED:
        put_number(out, 9, (uint64_t)event->as.clock_jumped.to_ms);
        put_number(out, 16, (uint64_t)event->as.clock_jumped.expected_ms);
        break;
    case EVENT_WORKFLOW_MIGRATED:
        put_number(out, 5, event->as.workflow_migrated.version);
        put_bytes(out, 25, event->as.workflow_migrated.stages);
        put_bytes(out, 26, event->as.workflow_migrated.steps);
        break;
    case EVENT_TASK_DUE:
    case EVENT_TASK_CLAIMED:
    case EVENT_TASK_FAILED:
    case EVENT_TASK_PARKED:
    case EVENT_TASK_DONE:
    case EVENT_TASK_RETRIED:
        put_task(out, event);
        break;
    case EVENT_ACCOUNT_OPENED:
        put_bytes(out, 8, event->as.account_opened.type);
        put_number(out, 34, event->as.account_opened.account);
        put_number(out, 35, put_zigzag(event->as.account_opened.minimum));
        put_bytes(out, 36, event->as.account_opened.currency);
        break;
    case EVENT_OPERATION_POSTED:
        put_fields(out, event->as.operation_posted.fields, event->as.operation_posted.field_count);
        put_number(out, 30, (uint32_t)event->as.operation_posted.operation);
        put_postings(out, event->as.operation_posted.postings,
                     event->as.operation_posted.posting_count);
        put_number(out, 33, event->as.operation_posted.rules);
        break;
    case EVENT_ACCOUNT_STATUS_SET:
        put_bytes(out, 8, event->as.account_status_set.reason);
        put_number(out, 10, (uint32_t)event->as.account_status_set.status);
        put_number(out, 34, event->as.account_status_set.account);
        break;
    case EVENT_HOLD_PLACED:
        put_bytes(out, 8, event->as.hold_placed.to);
        put_number(out, 9, (uint64_t)event->as.hold_placed.expires_ms);
        put_number(out, 34, event->as.hold_placed.account);
        put_number(out, 35, put_zigzag(event->as.hold_placed.amount));
        put_bytes(out, 36, event->as.hold_placed.name);
        break;
    case EVENT_HOLD_ENDED:
        put_number(out, 10, (uint32_t)event->as.hold_ended.end);
        put_number(out, 34, event->as.hold_ended.account);
        put_bytes(out, 36, event->as.hold_ended.name);
        break;
    case EVENT_MONEY_BOUND:
        put_number(out, 2, event->as.money_bound.stage);
        put_number(out, 4, event->as.money_bound.attempt);
        break;
    case EVENT_TRANSACTION_REVERSED:
        put_bytes(out, 8, event->as.transaction_reversed.reason);
        put_number(out, 12, event->as.transaction_reversed.lsn);
        break;
    case EVENT_REFERENCE_SET:
        put_fields(out, event->as.reference_set.fields, event->as.reference_set.field_count);
        put_number(out, 10, (uint32_t)event->as.reference_set.kind);
        break;
    case EVENT_ARCHIVE_DROPPED:
        put_fields(out, event->as.archive_dropped.fields, event->as.archive_dropped.field_count);
        put_bytes(out, 8, event->as.archive_dropped.reason);
        put_number(out, 12, event->as.archive_dropped.first_lsn);
        put_number(out, 13, event->as.archive_dropped.last_lsn);
        put_bytes(out, 50, event->as.archive_dropped.peaks);
        put_bytes(out, 51, event->as.archive_dropped.state_hash);
        break;
    case EVENT_SEGMENT_DROPPED:
        put_number(out, 12, event->as.segment_dropped.first_lsn);
        put_number(out, 13, event->as.segment_dropped.last_lsn);
        put_bytes(out, 50, event->as.segment_dropped.root);
        break;
    }
    return true;
}

static void put_touch(struct bytes_buffer *out, const struct record_touch *touch) {
    put_number(out, 1, (uint32_t)touch->kind);
    put_bytes(out, 2, touch->name);
    put_number(out, 3, touch->previous.lsn);
    put_number(out, 4, touch->previous.offset / 8);
    put_number(out, 5, put_zigzag(touch->balance));
    put_bytes(out, 6, touch->currency);
}

/* False: no memory in the arena. */
static bool put_record(struct codec_arena *arena, const struct record *record,
                       struct bytes_buffer *out) {
    put_number(out, 1, (uint64_t)record->time_ms);
    put_number(out, 2, (uint32_t)record->command);
    put_bytes(out, 3, record->subject);
    put_number(out, 4, record->previous.lsn);
    put_number(out, 5, record->previous.offset / 8);
    for (size_t i = 0; i < record->event_count; i++) {
        size_t begin = put_begin(out, 6);
        if (!put_event(arena, &record->events[i], out)) {
            return false;
        }
        put_end(out, begin);
    }
    put_bytes(out, 7, record->actor);
    put_bytes(out, 8, record->key);
    if (record->key.size > 0) {
        put_bytes(out, 9, (struct bytes_view){record->body_hash, sizeof(record->body_hash)});
    }
    put_number(out, 10, record->keys_forgotten);
    for (size_t i = 0; i < record->touch_count; i++) {
        size_t begin = put_begin(out, 13);
        put_touch(out, &record->touches[i]);
        put_end(out, begin);
    }
    return true;
}

enum wf_status codec_encode(struct codec_arena *arena, const struct record *record,
                            struct bytes_buffer *out, struct wf_error *err) {
    size_t before = out->size;
    if (!put_record(arena, record, out) || !bytes_buffer_ok(out)) {
        out->size = before;
        return error_set(err, WF_NO_MEMORY, "no memory to encode a record");
    }
    size_t size = out->size - before;
    if (size > RECORD_SIZE_MAX) {
        out->size = before;
        return error_set(err, WF_USAGE, "the command takes %zu bytes, more than the %d of a record",
                         size, RECORD_SIZE_MAX);
    }
    return WF_OK;
}
