#include "tests/lib/codec_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

int codec_fixture_setup(void **state) {
    struct codec_fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    codec_arena_init(&f->arena);
    codec_arena_init(&f->decoded);
    bytes_buffer_init(&f->bytes);
    *state = f;
    return 0;
}

int codec_fixture_teardown(void **state) {
    struct codec_fixture *f = *state;
    codec_arena_deinit(&f->arena);
    codec_arena_deinit(&f->decoded);
    bytes_buffer_deinit(&f->bytes);
    free(f);
    return 0;
}

void codec_fixture_encode(struct codec_fixture *f, const struct record *record) {
    bytes_buffer_clear(&f->bytes);
    codec_arena_reset(&f->arena);
    if (codec_encode(&f->arena, record, &f->bytes, &f->err) != WF_OK)
        fail_msg("%s", f->err.text);
}

enum wf_status codec_fixture_decode(struct codec_fixture *f, struct record *record) {
    codec_arena_reset(&f->decoded);
    return codec_decode(&f->decoded, (struct bytes_view){f->bytes.data, f->bytes.size}, record,
                        &f->err);
}

void codec_fixture_must_decode(struct codec_fixture *f, struct record *record) {
    if (codec_fixture_decode(f, record) != WF_OK)
        fail_msg("%s", f->err.text);
}

/* --- compared --- */

void assert_same_view(struct bytes_view a, struct bytes_view b) {
    assert_int_equal(a.size, b.size);
    if (a.size > 0)
        assert_memory_equal(a.data, b.data, a.size);
}

static void assert_fields(const struct field *a, size_t a_count, const struct field *b,
                          size_t b_count) {
    assert_int_equal(a_count, b_count);
    for (size_t i = 0; i < a_count; i++) {
        assert_same_view(a[i].name, b[i].name);
        assert_same_view(a[i].value, b[i].value);
    }
}

static void assert_posted(const struct event *a, const struct event *b) {
    assert_int_equal(a->as.operation_posted.operation, b->as.operation_posted.operation);
    assert_int_equal(a->as.operation_posted.rules, b->as.operation_posted.rules);
    assert_int_equal(a->as.operation_posted.posting_count, b->as.operation_posted.posting_count);
    for (size_t i = 0; i < a->as.operation_posted.posting_count; i++) {
        assert_int_equal(a->as.operation_posted.postings[i].account,
                         b->as.operation_posted.postings[i].account);
        assert_int_equal(a->as.operation_posted.postings[i].amount,
                         b->as.operation_posted.postings[i].amount);
    }
    assert_fields(a->as.operation_posted.fields, a->as.operation_posted.field_count,
                  b->as.operation_posted.fields, b->as.operation_posted.field_count);
}

static void assert_event(const struct event *a, const struct event *b) {
    assert_int_equal(a->kind, b->kind);
    switch (a->kind) {
    case EVENT_STORE_CREATED:
        assert_int_equal(a->as.store_created.test_clock, b->as.store_created.test_clock);
        assert_int_equal(a->as.store_created.time_ms, b->as.store_created.time_ms);
        return;
    case EVENT_DEFINITION_ADDED:
        assert_true(
            definition_equal(a->as.definition_added.definition, b->as.definition_added.definition));
        assert_string_equal(a->as.definition_added.definition->source,
                            b->as.definition_added.definition->source);
        return;
    case EVENT_WORKFLOW_STARTED:
        assert_same_view(a->as.workflow_started.type, b->as.workflow_started.type);
        assert_int_equal(a->as.workflow_started.version, b->as.workflow_started.version);
        assert_fields(a->as.workflow_started.fields, a->as.workflow_started.field_count,
                      b->as.workflow_started.fields, b->as.workflow_started.field_count);
        return;
    case EVENT_STEP_SUBMITTED:
        assert_int_equal(a->as.step_submitted.step, b->as.step_submitted.step);
        assert_fields(a->as.step_submitted.fields, a->as.step_submitted.field_count,
                      b->as.step_submitted.fields, b->as.step_submitted.field_count);
        return;
    case EVENT_STAGE_ACTIVATED:
        assert_int_equal(a->as.stage_activated.stage, b->as.stage_activated.stage);
        assert_int_equal(a->as.stage_activated.attempt, b->as.stage_activated.attempt);
        assert_int_equal(a->as.stage_activated.timeout_ms, b->as.stage_activated.timeout_ms);
        return;
    case EVENT_STAGE_COMPLETED:
        assert_int_equal(a->as.stage_completed.stage, b->as.stage_completed.stage);
        return;
    case EVENT_STAGE_FAILED:
        assert_int_equal(a->as.stage_failed.stage, b->as.stage_failed.stage);
        assert_same_view(a->as.stage_failed.reason, b->as.stage_failed.reason);
        return;
    case EVENT_WORKFLOW_COMPLETED:
        return;
    case EVENT_WORKFLOW_FAILED:
        assert_same_view(a->as.workflow_failed.reason, b->as.workflow_failed.reason);
        return;
    case EVENT_WORKFLOW_CANCELLED:
        assert_same_view(a->as.workflow_cancelled.reason, b->as.workflow_cancelled.reason);
        return;
    case EVENT_COMMAND_REFUSED:
        assert_int_equal(a->as.command_refused.status, b->as.command_refused.status);
        assert_same_view(a->as.command_refused.message, b->as.command_refused.message);
        return;
    case EVENT_CLOCK_ADVANCED:
        assert_int_equal(a->as.clock_advanced.to_ms, b->as.clock_advanced.to_ms);
        return;
    case EVENT_LOG_REPAIRED:
        assert_int_equal(a->as.log_repaired.first_lsn, b->as.log_repaired.first_lsn);
        assert_int_equal(a->as.log_repaired.last_lsn, b->as.log_repaired.last_lsn);
        assert_same_view(a->as.log_repaired.copy, b->as.log_repaired.copy);
        assert_fields(a->as.log_repaired.fields, a->as.log_repaired.field_count,
                      b->as.log_repaired.fields, b->as.log_repaired.field_count);
        return;
    case EVENT_ROLLBACK_REQUESTED:
        assert_int_equal(a->as.rollback_requested.stage, b->as.rollback_requested.stage);
        assert_same_view(a->as.rollback_requested.reason, b->as.rollback_requested.reason);
        return;
    case EVENT_CANCEL_REQUESTED:
        assert_same_view(a->as.cancel_requested.reason, b->as.cancel_requested.reason);
        return;
    case EVENT_REVIEW_REQUESTED:
    case EVENT_REVIEW_APPROVED:
    case EVENT_REVIEW_REJECTED:
        assert_int_equal(a->as.review.stage, b->as.review.stage);
        assert_same_view(a->as.review.role, b->as.review.role);
        assert_same_view(a->as.review.reason, b->as.review.reason);
        return;
    case EVENT_STAGE_UNDONE:
        assert_int_equal(a->as.stage_undone.stage, b->as.stage_undone.stage);
        assert_int_equal(a->as.stage_undone.attempt, b->as.stage_undone.attempt);
        return;
    case EVENT_STAGE_TIMED_OUT:
        assert_int_equal(a->as.stage_timed_out.stage, b->as.stage_timed_out.stage);
        assert_int_equal(a->as.stage_timed_out.attempt, b->as.stage_timed_out.attempt);
        return;
    case EVENT_TIMERS_STOPPED:
    case EVENT_TIMERS_RESUMED:
    case EVENT_ROLLBACK_COMPLETED:
    case EVENT_ROLLBACK_STOPPED:
        return;
    case EVENT_CLOCK_ADVANCE_BEGUN:
        assert_int_equal(a->as.clock_advance_begun.to_ms, b->as.clock_advance_begun.to_ms);
        return;
    case EVENT_CLOCK_JUMPED:
        assert_int_equal(a->as.clock_jumped.expected_ms, b->as.clock_jumped.expected_ms);
        assert_int_equal(a->as.clock_jumped.to_ms, b->as.clock_jumped.to_ms);
        return;
    case EVENT_WORKFLOW_MIGRATED:
        assert_int_equal(a->as.workflow_migrated.version, b->as.workflow_migrated.version);
        assert_same_view(a->as.workflow_migrated.stages, b->as.workflow_migrated.stages);
        assert_same_view(a->as.workflow_migrated.steps, b->as.workflow_migrated.steps);
        return;
    case EVENT_TASK_DUE:
    case EVENT_TASK_CLAIMED:
    case EVENT_TASK_FAILED:
    case EVENT_TASK_PARKED:
    case EVENT_TASK_DONE:
    case EVENT_TASK_RETRIED:
        assert_int_equal(a->as.task.stage, b->as.task.stage);
        assert_int_equal(a->as.task.epoch, b->as.task.epoch);
        assert_int_equal(a->as.task.compensate, b->as.task.compensate);
        assert_int_equal(a->as.task.tries, b->as.task.tries);
        assert_int_equal(a->as.task.delay_ms, b->as.task.delay_ms);
        assert_same_view(a->as.task.worker, b->as.task.worker);
        assert_same_view(a->as.task.reason, b->as.task.reason);
        assert_fields(a->as.task.fields, a->as.task.field_count, b->as.task.fields,
                      b->as.task.field_count);
        return;
    case EVENT_ACCOUNT_OPENED:
        assert_int_equal(a->as.account_opened.account, b->as.account_opened.account);
        assert_int_equal(a->as.account_opened.minimum, b->as.account_opened.minimum);
        assert_same_view(a->as.account_opened.type, b->as.account_opened.type);
        assert_same_view(a->as.account_opened.currency, b->as.account_opened.currency);
        return;
    case EVENT_OPERATION_POSTED:
        assert_posted(a, b);
        return;
    case EVENT_ACCOUNT_STATUS_SET:
        assert_int_equal(a->as.account_status_set.account, b->as.account_status_set.account);
        assert_int_equal(a->as.account_status_set.status, b->as.account_status_set.status);
        assert_same_view(a->as.account_status_set.reason, b->as.account_status_set.reason);
        return;
    case EVENT_HOLD_PLACED:
        assert_int_equal(a->as.hold_placed.account, b->as.hold_placed.account);
        assert_int_equal(a->as.hold_placed.amount, b->as.hold_placed.amount);
        assert_int_equal(a->as.hold_placed.expires_ms, b->as.hold_placed.expires_ms);
        assert_same_view(a->as.hold_placed.name, b->as.hold_placed.name);
        assert_same_view(a->as.hold_placed.to, b->as.hold_placed.to);
        return;
    case EVENT_HOLD_ENDED:
        assert_int_equal(a->as.hold_ended.account, b->as.hold_ended.account);
        assert_int_equal(a->as.hold_ended.end, b->as.hold_ended.end);
        assert_same_view(a->as.hold_ended.name, b->as.hold_ended.name);
        return;
    case EVENT_MONEY_BOUND:
        assert_int_equal(a->as.money_bound.stage, b->as.money_bound.stage);
        assert_int_equal(a->as.money_bound.attempt, b->as.money_bound.attempt);
        return;
    case EVENT_TRANSACTION_REVERSED:
        assert_int_equal(a->as.transaction_reversed.lsn, b->as.transaction_reversed.lsn);
        assert_same_view(a->as.transaction_reversed.reason, b->as.transaction_reversed.reason);
        return;
    case EVENT_REFERENCE_SET:
        assert_int_equal(a->as.reference_set.kind, b->as.reference_set.kind);
        assert_fields(a->as.reference_set.fields, a->as.reference_set.field_count,
                      b->as.reference_set.fields, b->as.reference_set.field_count);
        return;
    case EVENT_ARCHIVE_DROPPED:
        assert_int_equal(a->as.archive_dropped.first_lsn, b->as.archive_dropped.first_lsn);
        assert_int_equal(a->as.archive_dropped.last_lsn, b->as.archive_dropped.last_lsn);
        assert_same_view(a->as.archive_dropped.reason, b->as.archive_dropped.reason);
        assert_same_view(a->as.archive_dropped.peaks, b->as.archive_dropped.peaks);
        assert_same_view(a->as.archive_dropped.state_hash, b->as.archive_dropped.state_hash);
        assert_fields(a->as.archive_dropped.fields, a->as.archive_dropped.field_count,
                      b->as.archive_dropped.fields, b->as.archive_dropped.field_count);
        return;
    case EVENT_SEGMENT_DROPPED:
        assert_int_equal(a->as.segment_dropped.first_lsn, b->as.segment_dropped.first_lsn);
        assert_int_equal(a->as.segment_dropped.last_lsn, b->as.segment_dropped.last_lsn);
        assert_same_view(a->as.segment_dropped.root, b->as.segment_dropped.root);
        return;
    }
}

void assert_same_record(const struct record *a, const struct record *b) {
    assert_int_equal(a->time_ms, b->time_ms);
    assert_int_equal(a->command, b->command);
    assert_same_view(a->subject, b->subject);
    assert_int_equal(a->previous.lsn, b->previous.lsn);
    assert_int_equal(a->previous.offset, b->previous.offset);
    assert_same_view(a->actor, b->actor);
    assert_same_view(a->key, b->key);
    assert_memory_equal(a->body_hash, b->body_hash, sizeof a->body_hash);
    assert_int_equal(a->keys_forgotten, b->keys_forgotten);
    assert_int_equal(a->touch_count, b->touch_count);
    for (size_t i = 0; i < a->touch_count; i++) {
        assert_int_equal(a->touches[i].kind, b->touches[i].kind);
        assert_same_view(a->touches[i].name, b->touches[i].name);
        assert_same_view(a->touches[i].currency, b->touches[i].currency);
        assert_int_equal(a->touches[i].previous.lsn, b->touches[i].previous.lsn);
        assert_int_equal(a->touches[i].previous.offset, b->touches[i].previous.offset);
        assert_int_equal(a->touches[i].balance, b->touches[i].balance);
    }
    assert_int_equal(a->event_count, b->event_count);
    for (size_t i = 0; i < a->event_count; i++)
        assert_event(&a->events[i], &b->events[i]);
}
