#include "tests/lib/record_samples.h"

#include "engine/core/text.h"
#include "engine/definition_yaml.h"
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

const struct field sample_fields[2] = {
    {{(const uint8_t *)"credit_score", 12}, {(const uint8_t *)"750", 3}},
    {{(const uint8_t *)"note", 4}, {(const uint8_t *)"", 0}},
};

static const struct posting postings[] = {{0, -50000}, {200, INT64_MAX}, {2, -1}, {1, INT64_MIN}};

static const struct record_touch touches[] = {
    {ENTITY_ACCOUNT,
     {(const uint8_t *)"ACC001", 6},
     {811, 8192},
     -50000,
     {(const uint8_t *)"USD", 3}},
    {ENTITY_INTERNAL_ACCOUNT,
     {(const uint8_t *)"FX/EUR", 6},
     {0, 0},
     0,
     {(const uint8_t *)"EUR", 3}},
};

static bool is_of_ledger(enum event_kind kind) {
    return kind >= EVENT_ACCOUNT_OPENED && kind <= EVENT_TRANSACTION_REVERSED;
}

struct event sample_event(enum event_kind kind, struct definition *definition) {
    struct event event = {.kind = kind};
    switch (kind) {
    case EVENT_STORE_CREATED:
        event.as.store_created.test_clock = true;
        event.as.store_created.time_ms = INT64_C(1767225600000);
        break;
    case EVENT_DEFINITION_ADDED:
        event.as.definition_added.definition = definition;
        break;
    case EVENT_WORKFLOW_STARTED:
        event.as.workflow_started.type = text_view("loan_application");
        event.as.workflow_started.version = 3;
        event.as.workflow_started.fields = sample_fields;
        event.as.workflow_started.field_count = 2;
        break;
    case EVENT_STEP_SUBMITTED:
        event.as.step_submitted.step = 4;
        event.as.step_submitted.fields = sample_fields;
        event.as.step_submitted.field_count = 1;
        break;
    case EVENT_STAGE_ACTIVATED:
        event.as.stage_activated.stage = 3;
        event.as.stage_activated.attempt = 2;
        event.as.stage_activated.timeout_ms = 300000;
        break;
    case EVENT_STAGE_COMPLETED:
        event.as.stage_completed.stage = 63;
        break;
    case EVENT_STAGE_FAILED:
        event.as.stage_failed.stage = 1;
        event.as.stage_failed.reason = text_view("no answer");
        break;
    case EVENT_WORKFLOW_COMPLETED:
        break;
    case EVENT_WORKFLOW_FAILED:
        event.as.workflow_failed.reason = text_view("no answer");
        break;
    case EVENT_WORKFLOW_CANCELLED:
        event.as.workflow_cancelled.reason = text_view("Gr\xc3\xbc\xc3\x9f"
                                                       "e");
        break;
    case EVENT_COMMAND_REFUSED:
        event.as.command_refused.status = WF_REFUSED;
        event.as.command_refused.message = text_view("too early");
        break;
    case EVENT_CLOCK_ADVANCED:
        event.as.clock_advanced.to_ms = INT64_C(1767225605000);
        break;
    case EVENT_LOG_REPAIRED:
        event.as.log_repaired.first_lsn = 17;
        event.as.log_repaired.last_lsn = 300;
        event.as.log_repaired.copy = text_view("00000000000000000001.seg.damaged");
        break;
    case EVENT_ROLLBACK_REQUESTED:
        event.as.rollback_requested.stage = 2;
        event.as.rollback_requested.reason = text_view("wrong income");
        break;
    case EVENT_CANCEL_REQUESTED:
        event.as.cancel_requested.reason = text_view("withdrawn");
        break;
    case EVENT_REVIEW_REQUESTED:
    case EVENT_REVIEW_APPROVED:
    case EVENT_REVIEW_REJECTED:
        event.as.review.stage = 1;
        event.as.review.role = text_view("reviewer");
        event.as.review.reason = text_view("no answer");
        break;
    case EVENT_STAGE_UNDONE:
        event.as.stage_undone.stage = 3;
        event.as.stage_undone.attempt = 2;
        break;
    case EVENT_STAGE_TIMED_OUT:
        event.as.stage_timed_out.stage = 3;
        event.as.stage_timed_out.attempt = 2;
        break;
    case EVENT_TIMERS_STOPPED:
    case EVENT_TIMERS_RESUMED:
    case EVENT_ROLLBACK_COMPLETED:
    case EVENT_ROLLBACK_STOPPED:
        break;
    case EVENT_CLOCK_ADVANCE_BEGUN:
        event.as.clock_advance_begun.to_ms = INT64_C(1769817600000);
        break;
    case EVENT_CLOCK_JUMPED:
        event.as.clock_jumped.expected_ms = INT64_C(1767225605000);
        event.as.clock_jumped.to_ms = INT64_C(1767139205000);
        break;
    case EVENT_WORKFLOW_MIGRATED:
        event.as.workflow_migrated.version = 2;
        event.as.workflow_migrated.stages = text_view("\x02\x03\x04\x05");
        event.as.workflow_migrated.steps = text_view("\x01\x03\x04\x06\x05");
        break;
    case EVENT_TASK_DUE:
    case EVENT_TASK_CLAIMED:
    case EVENT_TASK_FAILED:
    case EVENT_TASK_PARKED:
    case EVENT_TASK_DONE:
    case EVENT_TASK_RETRIED:
        event.as.task.stage = 3;
        event.as.task.epoch = 2;
        event.as.task.compensate = true;
        event.as.task.tries = 4;
        event.as.task.delay_ms = 8000;
        event.as.task.worker = text_view("worker-1");
        event.as.task.reason = text_view("exit status 3");
        event.as.task.fields = sample_fields;
        event.as.task.field_count = kind == EVENT_TASK_DONE ? 2 : 0;
        break;
    case EVENT_ACCOUNT_OPENED:
        event.as.account_opened.account = 1;
        event.as.account_opened.type = text_view("checking");
        event.as.account_opened.currency = text_view("USD");
        event.as.account_opened.minimum = -2500;
        break;
    case EVENT_OPERATION_POSTED:
        event.as.operation_posted.operation = OPERATION_CURRENCY_EXCHANGE;
        event.as.operation_posted.rules = 4;
        event.as.operation_posted.postings = postings;
        event.as.operation_posted.posting_count = 4;
        event.as.operation_posted.fields = sample_fields;
        event.as.operation_posted.field_count = 2;
        break;
    case EVENT_ACCOUNT_STATUS_SET:
        event.as.account_status_set.account = 1;
        event.as.account_status_set.status = ACCOUNT_FROZEN;
        event.as.account_status_set.reason = text_view("fraud");
        break;
    case EVENT_HOLD_PLACED:
        event.as.hold_placed.account = 1;
        event.as.hold_placed.amount = 10000;
        event.as.hold_placed.expires_ms = INT64_C(1767225900000);
        event.as.hold_placed.name = text_view("h-1");
        event.as.hold_placed.to = text_view("ACC002");
        break;
    case EVENT_HOLD_ENDED:
        event.as.hold_ended.account = 1;
        event.as.hold_ended.end = HOLD_EXPIRED;
        event.as.hold_ended.name = text_view("h-1");
        break;
    case EVENT_MONEY_BOUND:
        event.as.money_bound.stage = 3;
        event.as.money_bound.attempt = 2;
        break;
    case EVENT_TRANSACTION_REVERSED:
        event.as.transaction_reversed.lsn = 41;
        event.as.transaction_reversed.reason = text_view("entered twice");
        break;
    case EVENT_REFERENCE_SET:
        event.as.reference_set.kind = REFERENCE_CALENDAR;
        event.as.reference_set.fields = sample_fields;
        event.as.reference_set.field_count = 2;
        break;
    case EVENT_ARCHIVE_DROPPED:
        event.as.archive_dropped.first_lsn = 17;
        event.as.archive_dropped.last_lsn = 300;
        event.as.archive_dropped.reason = text_view("ten years are over");
        event.as.archive_dropped.peaks = text_view("two hashes");
        event.as.archive_dropped.state_hash = text_view("a hash");
        break;
    case EVENT_SEGMENT_DROPPED:
        event.as.segment_dropped.first_lsn = 17;
        event.as.segment_dropped.last_lsn = 99;
        event.as.segment_dropped.root = text_view("a root");
        break;
    }
    return event;
}

struct definition *sample_definition(void) {
    struct definition *definition = NULL;
    assert_int_equal(
        definition_parse(core_loan_yaml, strlen(core_loan_yaml), "loan", &definition, NULL), WF_OK);
    return definition;
}

struct record sample_record(struct event *event) {
    struct record record = {
        .time_ms = INT64_C(1767225600123),
        .command = COMMAND_WORKFLOW_SUBMIT,
        .subject = text_view("L-4711"),
        .previous = {.lsn = 812, .offset = 4096},
        .actor = text_view("jane"),
        .key = text_view("k-17"),
        .keys_forgotten = 2,
        .events = event,
        .event_count = 1,
    };
    for (int i = 0; i < 16; i++)
        record.body_hash[i] = (uint8_t)(0xF0 + i);
    if (is_of_ledger(event->kind)) {
        record.command = COMMAND_ACCOUNT_TRANSACT;
        record.touches = touches;
        record.touch_count = 2;
    }
    return record;
}
