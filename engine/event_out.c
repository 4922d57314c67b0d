/* Records made into the host's events. */
#include "engine/event_out.h"

#include <stdio.h>
#include <string.h>

/* A terminated copy; NULL for an empty run or where memory failed (then `*failed`). */
static const char *copy_text(struct codec_arena *arena, struct bytes_view view, bool *failed) {
    if (view.size == 0) {
        return NULL;
    }
    char *copy = codec_arena_alloc(arena, view.size + 1);
    if (copy == NULL) {
        *failed = true;
        return NULL;
    }
    memcpy(copy, view.data, view.size);
    copy[view.size] = '\0';
    return copy;
}

static const char *number_text(struct codec_arena *arena, const char *what, uint32_t number,
                               bool *failed) {
    char text[48];
    (void)snprintf(text, sizeof(text), "%s %u", what, number + 1);
    return copy_text(arena, (struct bytes_view){(const uint8_t *)text, strlen(text)}, failed);
}

static const char *stage_text(struct codec_arena *arena, const struct definition *definition,
                              uint32_t stage, bool *failed) {
    if (definition != NULL && stage < definition->stage_count) {
        return definition->stages[stage].name;
    }
    return number_text(arena, "stage", stage, failed);
}

static const char *step_text(struct codec_arena *arena, const struct definition *definition,
                             uint32_t step, bool *failed) {
    if (definition != NULL && step < definition->step_count) {
        return definition->steps[step].name;
    }
    return number_text(arena, "step", step, failed);
}

static void set_data(struct codec_arena *arena, const struct field *fields, size_t count,
                     struct wf_event *out, bool *failed) {
    struct wf_field *data = codec_arena_alloc(arena, (count + 1) * sizeof(*data));
    if (data == NULL) {
        *failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const char *value = copy_text(arena, fields[i].value, failed);
        const char *name = copy_text(arena, fields[i].name, failed);
        data[i].name = name == NULL ? "" : name;
        data[i].value = value == NULL ? "" : value;
    }
    out->data = data;
    out->data_count = count;
}

static void set_members(struct codec_arena *arena, const struct record *record,
                        const struct event *event, const struct definition *definition,
                        struct wf_event *out, bool *failed) {
    switch (event->kind) {
    case EVENT_STORE_CREATED:
        out->clock_ms = event->as.store_created.test_clock ? event->as.store_created.time_ms : 0;
        return;
    case EVENT_DEFINITION_ADDED:
        if (event->as.definition_added.definition != NULL) {
            out->version = event->as.definition_added.definition->version;
        }
        return;
    case EVENT_WORKFLOW_STARTED:
        out->version = event->as.workflow_started.version;
        out->type = copy_text(arena, event->as.workflow_started.type, failed);
        set_data(arena, event->as.workflow_started.fields, event->as.workflow_started.field_count,
                 out, failed);
        return;
    case EVENT_STEP_SUBMITTED:
        out->step = step_text(arena, definition, event->as.step_submitted.step, failed);
        set_data(arena, event->as.step_submitted.fields, event->as.step_submitted.field_count, out,
                 failed);
        return;
    case EVENT_STAGE_ACTIVATED:
        out->stage = stage_text(arena, definition, event->as.stage_activated.stage, failed);
        out->attempt = event->as.stage_activated.attempt;
        if (event->as.stage_activated.timeout_ms > 0) {
            out->deadline_ms = record->time_ms + event->as.stage_activated.timeout_ms;
        }
        return;
    case EVENT_STAGE_COMPLETED:
        out->stage = stage_text(arena, definition, event->as.stage_completed.stage, failed);
        return;
    case EVENT_STAGE_FAILED:
        out->stage = stage_text(arena, definition, event->as.stage_failed.stage, failed);
        out->reason = copy_text(arena, event->as.stage_failed.reason, failed);
        return;
    case EVENT_WORKFLOW_COMPLETED:
        return;
    case EVENT_WORKFLOW_FAILED:
        out->reason = copy_text(arena, event->as.workflow_failed.reason, failed);
        return;
    case EVENT_WORKFLOW_CANCELLED:
        out->reason = copy_text(arena, event->as.workflow_cancelled.reason, failed);
        return;
    case EVENT_COMMAND_REFUSED:
        out->reason = copy_text(arena, event->as.command_refused.message, failed);
        return;
    case EVENT_CLOCK_ADVANCED:
        out->clock_ms = event->as.clock_advanced.to_ms;
        return;
    case EVENT_LOG_REPAIRED: {
        char text[160];
        (void)snprintf(text, sizeof(text), "LSN %llu to %llu were lost; the damaged bytes are kept",
                       (unsigned long long)event->as.log_repaired.first_lsn,
                       (unsigned long long)event->as.log_repaired.last_lsn);
        out->reason =
            copy_text(arena, (struct bytes_view){(const uint8_t *)text, strlen(text)}, failed);
        return;
    }
    case EVENT_ROLLBACK_REQUESTED:
        out->stage = stage_text(arena, definition, event->as.rollback_requested.stage, failed);
        out->reason = copy_text(arena, event->as.rollback_requested.reason, failed);
        return;
    case EVENT_CANCEL_REQUESTED:
        out->reason = copy_text(arena, event->as.cancel_requested.reason, failed);
        return;
    case EVENT_REVIEW_REQUESTED:
    case EVENT_REVIEW_APPROVED:
    case EVENT_REVIEW_REJECTED:
        out->stage = stage_text(arena, definition, event->as.review.stage, failed);
        out->role = copy_text(arena, event->as.review.role, failed);
        out->reason = copy_text(arena, event->as.review.reason, failed);
        return;
    case EVENT_STAGE_UNDONE:
        out->stage = stage_text(arena, definition, event->as.stage_undone.stage, failed);
        out->attempt = event->as.stage_undone.attempt;
        return;
    case EVENT_STAGE_TIMED_OUT:
        out->stage = stage_text(arena, definition, event->as.stage_timed_out.stage, failed);
        out->attempt = event->as.stage_timed_out.attempt;
        return;
    case EVENT_TIMERS_STOPPED:
    case EVENT_TIMERS_RESUMED:
    case EVENT_ROLLBACK_COMPLETED:
    case EVENT_ROLLBACK_STOPPED:
        return;
    case EVENT_CLOCK_ADVANCE_BEGUN:
        out->clock_ms = event->as.clock_advance_begun.to_ms;
        return;
    case EVENT_CLOCK_JUMPED:
        out->clock_ms = event->as.clock_jumped.to_ms;
        out->expected_ms = event->as.clock_jumped.expected_ms;
        return;
    }
}

enum wf_status event_out_record(struct codec_arena *arena, const struct record *record,
                                const struct definition *definition, wf_event_fn on_event,
                                void *ctx, bool *more, struct wf_error *err) {
    bool failed = false;
    const char *subject = copy_text(arena, record->subject, &failed);
    const struct wf_event common = {
        .lsn = record->lsn,
        .time_ms = record->time_ms,
        .command = command_kind_name(record->command),
        .subject = subject == NULL ? "" : subject,
        .actor = copy_text(arena, record->actor, &failed),
        .key = copy_text(arena, record->key, &failed),
        .count = record->event_count,
    };
    *more = true;
    for (size_t i = 0; i < record->event_count && *more; i++) {
        struct wf_event out = common;
        out.event = event_kind_name(record->events[i].kind);
        out.index = i;
        set_members(arena, record, &record->events[i], definition, &out, &failed);
        if (failed) {
            return error_set(err, WF_NO_MEMORY, "no memory to show a record");
        }
        *more = on_event(ctx, &out);
    }
    return WF_OK;
}

bool event_out_lost(uint64_t lsn, wf_event_fn on_event, void *ctx) {
    const struct wf_event out = {.lsn = lsn,
                                 .command = "log.repair",
                                 .subject = "",
                                 .event = "record_lost",
                                 .reason = "the record was damaged and a repair dropped it",
                                 .count = 1};
    return on_event(ctx, &out);
}
