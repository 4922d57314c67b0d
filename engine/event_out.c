/* Records made into the host's events. */
#include "engine/event_out.h"

#include "engine/core/ledger.h"
#include "engine/core/text.h"
#include "engine/hex.h"
#include "wal/wal.h"

#include <inttypes.h>
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
    return copy_text(arena, text_view(text), failed);
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

/* Behind what is there. */
static void add_data(struct codec_arena *arena, const struct field *fields, size_t count,
                     struct wf_event *out, bool *failed) {
    const struct wf_field *before = out->data;
    size_t before_count = out->data_count;
    if (count == 0 || *failed) {
        return;
    }
    struct wf_field *data = codec_arena_alloc(arena, (before_count + count) * sizeof(*data));
    set_data(arena, fields, count, out, failed);
    if (data == NULL || *failed) {
        *failed = true;
        return;
    }
    memcpy(data, before, before_count * sizeof(*data));
    memcpy(data + before_count, out->data, count * sizeof(*data));
    out->data = data;
    out->data_count = before_count + count;
}

static const char *join(struct codec_arena *arena, const char *first, const char *second,
                        bool *failed) {
    char text[MONEY_TEXT_SIZE + 8];
    (void)snprintf(text, sizeof(text), "%s %s", first, second);
    const char *copy = copy_text(arena, text_view(text), failed);
    return copy == NULL ? "" : copy;
}

/* Which records were dropped, and a hash that stands for them. */
static void set_range(struct codec_arena *arena, uint64_t first_lsn, uint64_t last_lsn,
                      const char *hash_name, struct bytes_view hash, struct wf_event *out,
                      bool *failed) {
    char text[2 * WAL_HASH_SIZE + 1];
    const uint64_t lsns[] = {first_lsn, last_lsn};
    struct wf_field *data = codec_arena_alloc(arena, 3 * sizeof(*data));
    if (data == NULL) {
        *failed = true;
        return;
    }
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(text, sizeof(text), "%llu", (unsigned long long)lsns[i]);
        data[i].name = i == 0 ? "first_lsn" : "last_lsn";
        data[i].value = copy_text(arena, text_view(text), failed);
    }
    if (hash.size == WAL_HASH_SIZE) {
        hex_encode(hash.data, hash.size, text);
        data[2] = (struct wf_field){.name = hash_name,
                                    .value = copy_text(arena, text_view(text), failed)};
    }
    out->data = data;
    out->data_count = hash.size == WAL_HASH_SIZE ? 3 : 2;
}

/* The account of this index, and an amount in its currency. */
static struct wf_field amount_field(struct codec_arena *arena, const struct record *record,
                                    uint32_t account, int64_t amount, bool *failed) {
    struct wf_field field = {.name = "", .value = ""};
    if (account >= record->touch_count) {
        return field;
    }
    const struct record_touch *touch = &record->touches[account];
    const struct currency *currency = currency_find(touch->currency);
    const char *name = copy_text(arena, touch->name, failed);
    field.name = name == NULL ? "" : name;
    if (currency != NULL) {
        char text[MONEY_TEXT_SIZE];
        field.value = join(arena, money_print(text, amount, currency), currency->code, failed);
    }
    return field;
}

static const char *rules_text(struct codec_arena *arena, uint32_t rules, bool *failed) {
    char text[160] = "";
    for (unsigned i = 0; i < RULE_COUNT; i++) {
        size_t used = strlen(text);
        if ((rules >> i & 1) != 0) {
            (void)snprintf(text + used, sizeof(text) - used, "%s%s", used > 0 ? "," : "",
                           rule_name((enum rule)i));
        }
    }
    return copy_text(arena, text_view(text), failed);
}

/* operation, rules, each posting, then what the operation noted. */
static void set_posted(struct codec_arena *arena, const struct record *record,
                       const struct event *event, struct wf_event *out, bool *failed) {
    set_data(arena, event->as.operation_posted.fields, event->as.operation_posted.field_count, out,
             failed);
    size_t postings = event->as.operation_posted.posting_count;
    struct wf_field *data =
        codec_arena_alloc(arena, (out->data_count + postings + 2) * sizeof(*data));
    if (*failed || data == NULL) {
        *failed = true;
        return;
    }
    const char *name = operation_kind_name(event->as.operation_posted.operation);
    size_t count = 0;
    data[count++] = (struct wf_field){"operation", name == NULL ? "" : name};
    const char *rules = rules_text(arena, event->as.operation_posted.rules, failed);
    if (rules != NULL) {
        data[count++] = (struct wf_field){"rules", rules};
    }
    for (size_t i = 0; i < postings; i++) {
        const struct posting *posting = &event->as.operation_posted.postings[i];
        data[count++] = amount_field(arena, record, posting->account, posting->amount, failed);
    }
    for (size_t i = 0; i < out->data_count; i++) {
        data[count++] = out->data[i];
    }
    out->data = data;
    out->data_count = count;
}

/* The account, and up to two more things. */
static void set_account(struct codec_arena *arena, const struct record *record, uint32_t account,
                        const struct field *more, size_t more_count, struct wf_event *out,
                        bool *failed) {
    struct field fields[4];
    size_t count = 0;
    if (account < record->touch_count) {
        fields[count++] = (struct field){text_view("account"), record->touches[account].name};
    }
    for (size_t i = 0; i < more_count; i++) {
        fields[count++] = more[i];
    }
    set_data(arena, fields, count, out, failed);
}

static void set_hold(struct codec_arena *arena, const struct record *record,
                     const struct event *event, struct wf_event *out, bool *failed) {
    struct wf_field amount = amount_field(arena, record, event->as.hold_placed.account,
                                          event->as.hold_placed.amount, failed);
    const struct field more[] = {{text_view("hold"), event->as.hold_placed.name},
                                 {text_view("amount"), text_view(amount.value)},
                                 {text_view("to"), event->as.hold_placed.to}};
    set_account(arena, record, event->as.hold_placed.account, more, 3, out, failed);
    out->deadline_ms = event->as.hold_placed.expires_ms;
}

static void set_ledger_members(struct codec_arena *arena, const struct record *record,
                               const struct event *event, struct wf_event *out, bool *failed) {
    if (event->kind == EVENT_OPERATION_POSTED) {
        set_posted(arena, record, event, out, failed);
    } else if (event->kind == EVENT_HOLD_PLACED) {
        set_hold(arena, record, event, out, failed);
    } else if (event->kind == EVENT_HOLD_ENDED) {
        const char *end = hold_end_name(event->as.hold_ended.end);
        const struct field more[] = {{text_view("hold"), event->as.hold_ended.name},
                                     {text_view("end"), text_view(end)}};
        set_account(arena, record, event->as.hold_ended.account, more, 2, out, failed);
    } else if (event->kind == EVENT_ACCOUNT_STATUS_SET) {
        const char *status = account_status_name(event->as.account_status_set.status);
        const struct field more[] = {{text_view("status"), text_view(status)}};
        set_account(arena, record, event->as.account_status_set.account, more, 1, out, failed);
        out->reason = copy_text(arena, event->as.account_status_set.reason, failed);
    } else if (event->kind == EVENT_ACCOUNT_OPENED) {
        const struct field more[] = {{text_view("type"), event->as.account_opened.type},
                                     {text_view("currency"), event->as.account_opened.currency}};
        set_account(arena, record, event->as.account_opened.account, more, 2, out, failed);
    } else if (event->kind == EVENT_TRANSACTION_REVERSED) {
        char lsn[24];
        (void)snprintf(lsn, sizeof(lsn), "%llu",
                       (unsigned long long)event->as.transaction_reversed.lsn);
        const struct field of[] = {{text_view("record"), text_view(lsn)}};
        set_data(arena, of, 1, out, failed);
        out->reason = copy_text(arena, event->as.transaction_reversed.reason, failed);
    } else if (event->kind == EVENT_REFERENCE_SET) {
        set_data(arena, event->as.reference_set.fields, event->as.reference_set.field_count, out,
                 failed);
    }
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
    case EVENT_WORKFLOW_MIGRATED:
        out->version = event->as.workflow_migrated.version;
        return;
    case EVENT_TASK_DUE:
    case EVENT_TASK_CLAIMED:
    case EVENT_TASK_FAILED:
    case EVENT_TASK_PARKED:
    case EVENT_TASK_DONE:
    case EVENT_TASK_RETRIED:
        out->stage = stage_text(arena, definition, event->as.task.stage, failed);
        out->attempt = event->as.task.epoch;
        out->tries = event->as.task.tries;
        out->compensate = event->as.task.compensate;
        out->worker = copy_text(arena, event->as.task.worker, failed);
        out->reason = copy_text(arena, event->as.task.reason, failed);
        if (event->as.task.delay_ms > 0) {
            out->deadline_ms = record->time_ms + event->as.task.delay_ms;
        }
        set_data(arena, event->as.task.fields, event->as.task.field_count, out, failed);
        return;
    case EVENT_LOG_REPAIRED: {
        char text[160];
        (void)snprintf(text, sizeof(text), "LSN %llu to %llu were lost; the damaged bytes are kept",
                       (unsigned long long)event->as.log_repaired.first_lsn,
                       (unsigned long long)event->as.log_repaired.last_lsn);
        out->reason = copy_text(arena, text_view(text), failed);
        set_data(arena, event->as.log_repaired.fields, event->as.log_repaired.field_count, out,
                 failed);
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
    case EVENT_MONEY_BOUND:
        out->stage = stage_text(arena, definition, event->as.money_bound.stage, failed);
        out->attempt = event->as.money_bound.attempt;
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
    case EVENT_ACCOUNT_OPENED:
    case EVENT_OPERATION_POSTED:
    case EVENT_ACCOUNT_STATUS_SET:
    case EVENT_HOLD_PLACED:
    case EVENT_HOLD_ENDED:
    case EVENT_TRANSACTION_REVERSED:
    case EVENT_REFERENCE_SET:
        set_ledger_members(arena, record, event, out, failed);
        return;
    case EVENT_ARCHIVE_DROPPED:
        out->reason = copy_text(arena, event->as.archive_dropped.reason, failed);
        set_range(arena, event->as.archive_dropped.first_lsn, event->as.archive_dropped.last_lsn,
                  "state_hash", event->as.archive_dropped.state_hash, out, failed);
        add_data(arena, event->as.archive_dropped.fields, event->as.archive_dropped.field_count,
                 out, failed);
        return;
    case EVENT_SEGMENT_DROPPED:
        set_range(arena, event->as.segment_dropped.first_lsn, event->as.segment_dropped.last_lsn,
                  "root", event->as.segment_dropped.root, out, failed);
        return;
    }
}

enum wf_status event_out_record(struct codec_arena *arena, const struct record *record,
                                const struct definition *definition, bool ineffective,
                                wf_event_fn on_event, void *ctx, bool *more, struct wf_error *err) {
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
        .without_effect = ineffective,
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
                                 .event = EVENT_OUT_LOST,
                                 .reason = "the record was damaged and a repair dropped it",
                                 .count = 1};
    return on_event(ctx, &out);
}

bool event_out_dropped(const struct archive_entry *range, uint64_t lsn, wf_event_fn on_event,
                       void *ctx) {
    char reason[160 + ARCHIVE_ACTOR_SIZE];
    (void)snprintf(reason, sizeof(reason),
                   "LSN %" PRIu64 " to %" PRIu64
                   " were dropped from the archive%s%s; record %" PRIu64 " says when and why",
                   range->first_lsn, range->last_lsn, range->dropped_by[0] == '\0' ? "" : " by ",
                   range->dropped_by, range->dropped_lsn);
    const struct wf_event out = {.lsn = lsn,
                                 .command = "archive.drop",
                                 .subject = "",
                                 .event = EVENT_OUT_DROPPED,
                                 .actor = range->dropped_by[0] == '\0' ? NULL : range->dropped_by,
                                 .reason = reason,
                                 .count = 1};
    return on_event(ctx, &out);
}
