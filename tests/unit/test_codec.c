/* Records as bytes: codec.c, codec_encode.c, codec_put.h, codec_wire.c, codec_arena.c and
 * codec_definition.c, held against protobuf-c's generated code and against the bytes of released
 * formats in tests/golden/. */
#include "engine/codec.h"
#include "engine/codec_wire.h"
#include "engine/definition_yaml.h"
#include "engine/schema/record.pb-c.h"
#include "tests/lib/core_store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct codec_arena arena, decoded;
    struct bytes_buffer bytes;
    struct wf_error err;
};

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    codec_arena_init(&f->arena);
    codec_arena_init(&f->decoded);
    bytes_buffer_init(&f->bytes);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    codec_arena_deinit(&f->arena);
    codec_arena_deinit(&f->decoded);
    bytes_buffer_deinit(&f->bytes);
    free(f);
    return 0;
}

static struct bytes_view view(const char *text) {
    return (struct bytes_view){(const uint8_t *)text, strlen(text)};
}

/* --- one record of each kind of event --- */

enum { EVENT_KINDS_END = 100 }; /* more than the last; there are gaps */

static const struct field fields[] = {
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

static struct event event_of(enum event_kind kind, struct definition *definition) {
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
        event.as.workflow_started.type = view("loan_application");
        event.as.workflow_started.version = 3;
        event.as.workflow_started.fields = fields;
        event.as.workflow_started.field_count = 2;
        break;
    case EVENT_STEP_SUBMITTED:
        event.as.step_submitted.step = 4;
        event.as.step_submitted.fields = fields;
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
        event.as.stage_failed.reason = view("no answer");
        break;
    case EVENT_WORKFLOW_COMPLETED:
        break;
    case EVENT_WORKFLOW_FAILED:
        event.as.workflow_failed.reason = view("no answer");
        break;
    case EVENT_WORKFLOW_CANCELLED:
        event.as.workflow_cancelled.reason = view("Gr\xc3\xbc\xc3\x9f"
                                                  "e");
        break;
    case EVENT_COMMAND_REFUSED:
        event.as.command_refused.status = WF_REFUSED;
        event.as.command_refused.message = view("too early");
        break;
    case EVENT_CLOCK_ADVANCED:
        event.as.clock_advanced.to_ms = INT64_C(1767225605000);
        break;
    case EVENT_LOG_REPAIRED:
        event.as.log_repaired.first_lsn = 17;
        event.as.log_repaired.last_lsn = 300;
        event.as.log_repaired.copy = view("00000000000000000001.seg.damaged");
        break;
    case EVENT_ROLLBACK_REQUESTED:
        event.as.rollback_requested.stage = 2;
        event.as.rollback_requested.reason = view("wrong income");
        break;
    case EVENT_CANCEL_REQUESTED:
        event.as.cancel_requested.reason = view("withdrawn");
        break;
    case EVENT_REVIEW_REQUESTED:
    case EVENT_REVIEW_APPROVED:
    case EVENT_REVIEW_REJECTED:
        event.as.review.stage = 1;
        event.as.review.role = view("reviewer");
        event.as.review.reason = view("no answer");
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
        event.as.workflow_migrated.stages = view("\x02\x03\x04\x05");
        event.as.workflow_migrated.steps = view("\x01\x03\x04\x06\x05");
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
        event.as.task.worker = view("worker-1");
        event.as.task.reason = view("exit status 3");
        event.as.task.fields = fields;
        event.as.task.field_count = kind == EVENT_TASK_DONE ? 2 : 0;
        break;
    case EVENT_ACCOUNT_OPENED:
        event.as.account_opened.account = 1;
        event.as.account_opened.type = view("checking");
        event.as.account_opened.currency = view("USD");
        event.as.account_opened.minimum = -2500;
        break;
    case EVENT_OPERATION_POSTED:
        event.as.operation_posted.operation = OPERATION_CURRENCY_EXCHANGE;
        event.as.operation_posted.rules = 4;
        event.as.operation_posted.postings = postings;
        event.as.operation_posted.posting_count = 4;
        event.as.operation_posted.fields = fields;
        event.as.operation_posted.field_count = 2;
        break;
    case EVENT_ACCOUNT_STATUS_SET:
        event.as.account_status_set.account = 1;
        event.as.account_status_set.status = ACCOUNT_FROZEN;
        event.as.account_status_set.reason = view("fraud");
        break;
    case EVENT_HOLD_PLACED:
        event.as.hold_placed.account = 1;
        event.as.hold_placed.amount = 10000;
        event.as.hold_placed.expires_ms = INT64_C(1767225900000);
        event.as.hold_placed.name = view("h-1");
        event.as.hold_placed.to = view("ACC002");
        break;
    case EVENT_HOLD_ENDED:
        event.as.hold_ended.account = 1;
        event.as.hold_ended.end = HOLD_EXPIRED;
        event.as.hold_ended.name = view("h-1");
        break;
    case EVENT_MONEY_BOUND:
        event.as.money_bound.stage = 3;
        event.as.money_bound.attempt = 2;
        break;
    case EVENT_TRANSACTION_REVERSED:
        event.as.transaction_reversed.lsn = 41;
        event.as.transaction_reversed.reason = view("entered twice");
        break;
    case EVENT_REFERENCE_SET:
        event.as.reference_set.kind = REFERENCE_CALENDAR;
        event.as.reference_set.fields = fields;
        event.as.reference_set.field_count = 2;
        break;
    case EVENT_ARCHIVE_DROPPED:
        event.as.archive_dropped.first_lsn = 17;
        event.as.archive_dropped.last_lsn = 300;
        event.as.archive_dropped.reason = view("ten years are over");
        event.as.archive_dropped.peaks = view("two hashes");
        event.as.archive_dropped.state_hash = view("a hash");
        break;
    case EVENT_SEGMENT_DROPPED:
        event.as.segment_dropped.first_lsn = 17;
        event.as.segment_dropped.last_lsn = 99;
        event.as.segment_dropped.root = view("a root");
        break;
    }
    return event;
}

static struct definition *parse(void) {
    struct definition *definition = NULL;
    assert_int_equal(
        definition_parse(core_loan_yaml, strlen(core_loan_yaml), "loan", &definition, NULL), WF_OK);
    return definition;
}

/* A record around one event, with everything that a record can have. */
static struct record record_of(struct event *event) {
    struct record record = {
        .time_ms = INT64_C(1767225600123),
        .command = COMMAND_WORKFLOW_SUBMIT,
        .subject = view("L-4711"),
        .previous = {.lsn = 812, .offset = 4096},
        .actor = view("jane"),
        .key = view("k-17"),
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

static void assert_view(struct bytes_view a, struct bytes_view b) {
    assert_int_equal(a.size, b.size);
    if (a.size > 0)
        assert_memory_equal(a.data, b.data, a.size);
}

static void assert_fields(const struct field *a, size_t a_count, const struct field *b,
                          size_t b_count) {
    assert_int_equal(a_count, b_count);
    for (size_t i = 0; i < a_count; i++) {
        assert_view(a[i].name, b[i].name);
        assert_view(a[i].value, b[i].value);
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
        assert_view(a->as.workflow_started.type, b->as.workflow_started.type);
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
        assert_view(a->as.stage_failed.reason, b->as.stage_failed.reason);
        return;
    case EVENT_WORKFLOW_COMPLETED:
        return;
    case EVENT_WORKFLOW_FAILED:
        assert_view(a->as.workflow_failed.reason, b->as.workflow_failed.reason);
        return;
    case EVENT_WORKFLOW_CANCELLED:
        assert_view(a->as.workflow_cancelled.reason, b->as.workflow_cancelled.reason);
        return;
    case EVENT_COMMAND_REFUSED:
        assert_int_equal(a->as.command_refused.status, b->as.command_refused.status);
        assert_view(a->as.command_refused.message, b->as.command_refused.message);
        return;
    case EVENT_CLOCK_ADVANCED:
        assert_int_equal(a->as.clock_advanced.to_ms, b->as.clock_advanced.to_ms);
        return;
    case EVENT_LOG_REPAIRED:
        assert_int_equal(a->as.log_repaired.first_lsn, b->as.log_repaired.first_lsn);
        assert_int_equal(a->as.log_repaired.last_lsn, b->as.log_repaired.last_lsn);
        assert_view(a->as.log_repaired.copy, b->as.log_repaired.copy);
        assert_fields(a->as.log_repaired.fields, a->as.log_repaired.field_count,
                      b->as.log_repaired.fields, b->as.log_repaired.field_count);
        return;
    case EVENT_ROLLBACK_REQUESTED:
        assert_int_equal(a->as.rollback_requested.stage, b->as.rollback_requested.stage);
        assert_view(a->as.rollback_requested.reason, b->as.rollback_requested.reason);
        return;
    case EVENT_CANCEL_REQUESTED:
        assert_view(a->as.cancel_requested.reason, b->as.cancel_requested.reason);
        return;
    case EVENT_REVIEW_REQUESTED:
    case EVENT_REVIEW_APPROVED:
    case EVENT_REVIEW_REJECTED:
        assert_int_equal(a->as.review.stage, b->as.review.stage);
        assert_view(a->as.review.role, b->as.review.role);
        assert_view(a->as.review.reason, b->as.review.reason);
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
        assert_view(a->as.workflow_migrated.stages, b->as.workflow_migrated.stages);
        assert_view(a->as.workflow_migrated.steps, b->as.workflow_migrated.steps);
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
        assert_view(a->as.task.worker, b->as.task.worker);
        assert_view(a->as.task.reason, b->as.task.reason);
        assert_fields(a->as.task.fields, a->as.task.field_count, b->as.task.fields,
                      b->as.task.field_count);
        return;
    case EVENT_ACCOUNT_OPENED:
        assert_int_equal(a->as.account_opened.account, b->as.account_opened.account);
        assert_int_equal(a->as.account_opened.minimum, b->as.account_opened.minimum);
        assert_view(a->as.account_opened.type, b->as.account_opened.type);
        assert_view(a->as.account_opened.currency, b->as.account_opened.currency);
        return;
    case EVENT_OPERATION_POSTED:
        assert_posted(a, b);
        return;
    case EVENT_ACCOUNT_STATUS_SET:
        assert_int_equal(a->as.account_status_set.account, b->as.account_status_set.account);
        assert_int_equal(a->as.account_status_set.status, b->as.account_status_set.status);
        assert_view(a->as.account_status_set.reason, b->as.account_status_set.reason);
        return;
    case EVENT_HOLD_PLACED:
        assert_int_equal(a->as.hold_placed.account, b->as.hold_placed.account);
        assert_int_equal(a->as.hold_placed.amount, b->as.hold_placed.amount);
        assert_int_equal(a->as.hold_placed.expires_ms, b->as.hold_placed.expires_ms);
        assert_view(a->as.hold_placed.name, b->as.hold_placed.name);
        assert_view(a->as.hold_placed.to, b->as.hold_placed.to);
        return;
    case EVENT_HOLD_ENDED:
        assert_int_equal(a->as.hold_ended.account, b->as.hold_ended.account);
        assert_int_equal(a->as.hold_ended.end, b->as.hold_ended.end);
        assert_view(a->as.hold_ended.name, b->as.hold_ended.name);
        return;
    case EVENT_MONEY_BOUND:
        assert_int_equal(a->as.money_bound.stage, b->as.money_bound.stage);
        assert_int_equal(a->as.money_bound.attempt, b->as.money_bound.attempt);
        return;
    case EVENT_TRANSACTION_REVERSED:
        assert_int_equal(a->as.transaction_reversed.lsn, b->as.transaction_reversed.lsn);
        assert_view(a->as.transaction_reversed.reason, b->as.transaction_reversed.reason);
        return;
    case EVENT_REFERENCE_SET:
        assert_int_equal(a->as.reference_set.kind, b->as.reference_set.kind);
        assert_fields(a->as.reference_set.fields, a->as.reference_set.field_count,
                      b->as.reference_set.fields, b->as.reference_set.field_count);
        return;
    case EVENT_ARCHIVE_DROPPED:
        assert_int_equal(a->as.archive_dropped.first_lsn, b->as.archive_dropped.first_lsn);
        assert_int_equal(a->as.archive_dropped.last_lsn, b->as.archive_dropped.last_lsn);
        assert_view(a->as.archive_dropped.reason, b->as.archive_dropped.reason);
        assert_view(a->as.archive_dropped.peaks, b->as.archive_dropped.peaks);
        assert_view(a->as.archive_dropped.state_hash, b->as.archive_dropped.state_hash);
        return;
    case EVENT_SEGMENT_DROPPED:
        assert_int_equal(a->as.segment_dropped.first_lsn, b->as.segment_dropped.first_lsn);
        assert_int_equal(a->as.segment_dropped.last_lsn, b->as.segment_dropped.last_lsn);
        assert_view(a->as.segment_dropped.root, b->as.segment_dropped.root);
        return;
    }
}

static void assert_record(const struct record *a, const struct record *b) {
    assert_int_equal(a->time_ms, b->time_ms);
    assert_int_equal(a->command, b->command);
    assert_view(a->subject, b->subject);
    assert_int_equal(a->previous.lsn, b->previous.lsn);
    assert_int_equal(a->previous.offset, b->previous.offset);
    assert_view(a->actor, b->actor);
    assert_view(a->key, b->key);
    assert_memory_equal(a->body_hash, b->body_hash, sizeof a->body_hash);
    assert_int_equal(a->keys_forgotten, b->keys_forgotten);
    assert_int_equal(a->touch_count, b->touch_count);
    for (size_t i = 0; i < a->touch_count; i++) {
        assert_int_equal(a->touches[i].kind, b->touches[i].kind);
        assert_view(a->touches[i].name, b->touches[i].name);
        assert_view(a->touches[i].currency, b->touches[i].currency);
        assert_int_equal(a->touches[i].previous.lsn, b->touches[i].previous.lsn);
        assert_int_equal(a->touches[i].previous.offset, b->touches[i].previous.offset);
        assert_int_equal(a->touches[i].balance, b->touches[i].balance);
    }
    assert_int_equal(a->event_count, b->event_count);
    for (size_t i = 0; i < a->event_count; i++)
        assert_event(&a->events[i], &b->events[i]);
}

static void encode(struct fixture *f, const struct record *record) {
    bytes_buffer_clear(&f->bytes);
    codec_arena_reset(&f->arena);
    if (codec_encode(&f->arena, record, &f->bytes, &f->err) != WF_OK)
        fail_msg("%s", f->err.text);
}

static enum wf_status decode(struct fixture *f, struct record *record) {
    codec_arena_reset(&f->decoded);
    return codec_decode(&f->decoded, (struct bytes_view){f->bytes.data, f->bytes.size}, record,
                        &f->err);
}

static void must_decode(struct fixture *f, struct record *record) {
    if (decode(f, record) != WF_OK)
        fail_msg("%s", f->err.text);
}

static void test_every_kind_of_event_survives_the_way_there_and_back(void **state) {
    struct fixture *f = *state;
    struct definition *definition = parse();
    int seen = 0;
    for (int kind = 1; kind < EVENT_KINDS_END; kind++) {
        if (event_kind_name((enum event_kind)kind) == NULL)
            continue;
        seen++;
        struct event event = event_of((enum event_kind)kind, definition);
        struct record record = record_of(&event);
        struct record back;
        encode(f, &record);
        must_decode(f, &back);
        assert_record(&record, &back);
        codec_release(&back);
    }
    assert_true(seen >= 32);
    definition_destroy(definition);
}

static void test_record_with_many_events_survives(void **state) {
    struct fixture *f = *state;
    struct event events[RECORD_EVENTS_MAX];
    for (size_t i = 0; i < RECORD_EVENTS_MAX; i++)
        events[i] = event_of((enum event_kind)(EVENT_WORKFLOW_STARTED + (int)i % 9), NULL);
    struct record record = record_of(events);
    record.event_count = RECORD_EVENTS_MAX;
    struct record back;
    encode(f, &record);
    must_decode(f, &back);
    assert_record(&record, &back);
}

static void test_bare_record_survives(void **state) {
    struct fixture *f = *state;
    struct record record = {.command = COMMAND_LOG_REPAIR, .time_ms = -1};
    struct record back;
    encode(f, &record);
    must_decode(f, &back);
    assert_record(&record, &back);
}

static void test_repair_says_what_went_with_the_loss(void **state) {
    struct fixture *f = *state;
    struct event event = event_of(EVENT_LOG_REPAIRED, NULL);
    event.as.log_repaired.fields = fields;
    event.as.log_repaired.field_count = 2;
    struct record record = record_of(&event);
    struct record back;
    encode(f, &record);
    must_decode(f, &back);
    assert_record(&record, &back);
}

static void test_record_beyond_the_limit_is_refused(void **state) {
    struct fixture *f = *state;
    static uint8_t value[COMMAND_FIELD_VALUE_MAX];
    static struct field many[COMMAND_FIELDS_MAX];
    for (size_t i = 0; i < COMMAND_FIELDS_MAX; i++)
        many[i] = (struct field){.name = fields[0].name, .value = {value, sizeof value}};
    struct event event = {.kind = EVENT_STEP_SUBMITTED};
    event.as.step_submitted.fields = many;
    event.as.step_submitted.field_count = COMMAND_FIELDS_MAX;
    struct record record = record_of(&event);
    assert_int_equal(codec_encode(&f->arena, &record, &f->bytes, &f->err), WF_USAGE);
    event.as.step_submitted.field_count = COMMAND_FIELDS_MAX - 1;
    struct record back;
    encode(f, &record);
    must_decode(f, &back);
    assert_record(&record, &back);
}

/* --- against protobuf-c --- */

static uint64_t random_number(void) {
    uint64_t number = ((uint64_t)rand() << 42) ^ ((uint64_t)rand() << 21) ^ (uint64_t)rand();
    return number >> rand() % 64;
}

static uint8_t random_bytes[256];

static ProtobufCBinaryData random_data(void) {
    return (ProtobufCBinaryData){(size_t)(rand() % 3 == 0 ? 0 : rand() % 200), random_bytes};
}

static void fill_event(Wf__Pb__Event *event, ProtobufCBinaryData list[8]) {
    wf__pb__event__init(event);
    event->kind = (uint32_t)random_number();
    event->stage = (uint32_t)random_number();
    event->step = (uint32_t)random_number();
    event->attempt = (uint32_t)random_number();
    event->version = (uint32_t)random_number();
    event->timeout_ms = random_number();
    event->n_fields = (size_t)(rand() % 8);
    event->fields = list;
    for (size_t i = 0; i < event->n_fields; i++)
        list[i] = random_data();
    event->text = random_data();
    event->time_ms = (int64_t)(random_number() * (rand() % 2 == 0 ? 1 : UINT64_MAX));
    event->status = (uint32_t)random_number();
    event->test_clock = rand() % 2;
    event->first_lsn = random_number();
    event->last_lsn = random_number();
    event->role = random_data();
    event->expected_ms = (int64_t)random_number();
    event->stage_map = random_data();
    event->step_map = random_data();
    event->worker = random_data();
    event->tries = (uint32_t)random_number();
    event->compensate = rand() % 2;
    event->operation = (uint32_t)random_number();
    event->rules = (uint32_t)random_number();
    event->account = (uint32_t)random_number();
    event->amount = (int64_t)random_number() * (rand() % 2 == 0 ? 1 : -1);
    event->name = random_data();
}

static void assert_data(struct bytes_view a, ProtobufCBinaryData b) {
    assert_view(a, (struct bytes_view){b.data, b.len});
}

static void assert_wire_event(const struct wire_event *a, const Wf__Pb__Event *b) {
    assert_int_equal(a->kind, b->kind);
    assert_int_equal(a->stage, b->stage);
    assert_int_equal(a->step, b->step);
    assert_int_equal(a->attempt, b->attempt);
    assert_int_equal(a->version, b->version);
    assert_int_equal(a->timeout_ms, b->timeout_ms);
    assert_int_equal(a->time_ms, b->time_ms);
    assert_int_equal(a->status, b->status);
    assert_int_equal(a->test_clock, b->test_clock);
    assert_int_equal(a->first_lsn, b->first_lsn);
    assert_int_equal(a->last_lsn, b->last_lsn);
    assert_int_equal(a->operation, b->operation);
    assert_int_equal(a->rules, b->rules);
    assert_int_equal(a->account, b->account);
    assert_int_equal(a->amount, b->amount);
    assert_data(a->name, b->name);
    struct bytes_reader accounts =
        bytes_reader_make(a->posting_accounts.data, a->posting_accounts.size);
    uint64_t account = 0;
    for (size_t i = 0; i < b->n_posting_accounts; i++) {
        assert_true(codec_wire_next(&accounts, &account));
        assert_int_equal(account, b->posting_accounts[i]);
    }
    struct bytes_reader amounts =
        bytes_reader_make(a->posting_amounts.data, a->posting_amounts.size);
    for (size_t i = 0; i < b->n_posting_amounts; i++) {
        assert_true(codec_wire_next(&amounts, &account));
        assert_int_equal(codec_wire_zigzag(account), b->posting_amounts[i]);
    }
    assert_true(bytes_reader_done(&accounts) && bytes_reader_done(&amounts));
    assert_data(a->text, b->text);
    assert_data(a->role, b->role);
    assert_int_equal(a->expected_ms, b->expected_ms);
    assert_data(a->stage_map, b->stage_map);
    assert_data(a->step_map, b->step_map);
    assert_data(a->worker, b->worker);
    assert_int_equal(a->tries, b->tries);
    assert_int_equal(a->compensate, b->compensate);
    assert_int_equal(a->definition.data != NULL, b->definition != NULL);
    assert_int_equal(a->text_count, b->n_fields);
    for (size_t i = 0; i < b->n_fields; i++)
        assert_data(i % 2 == 0 ? a->fields[i / 2].name : a->fields[i / 2].value, b->fields[i]);
}

static void assert_wire_record(struct fixture *f, const struct wire_record *a,
                               const Wf__Pb__Record *b) {
    assert_int_equal(a->time_ms, b->time_ms);
    assert_int_equal(a->command, b->command);
    assert_int_equal(a->previous_lsn, b->previous_lsn);
    assert_int_equal(a->previous_offset, b->previous_offset);
    assert_int_equal(a->keys_forgotten, b->keys_forgotten);
    assert_data(a->subject, b->subject);
    assert_data(a->actor, b->actor);
    assert_data(a->key, b->key);
    assert_data(a->body_hash, b->body_hash);
    assert_int_equal(a->event_count, b->n_events);
    assert_int_equal(a->touch_count, b->n_touches);
    for (size_t i = 0; i < b->n_touches; i++) {
        assert_int_equal(a->touches[i].kind, b->touches[i]->kind);
        assert_data(a->touches[i].name, b->touches[i]->name);
        assert_data(a->touches[i].currency, b->touches[i]->currency);
        assert_int_equal(a->touches[i].previous_lsn, b->touches[i]->previous_lsn);
        assert_int_equal(a->touches[i].previous_offset, b->touches[i]->previous_offset);
        assert_int_equal(a->touches[i].balance, b->touches[i]->balance);
    }
    for (size_t i = 0; i < b->n_events; i++) {
        struct wire_event event;
        assert_int_equal(codec_wire_read_event(&f->decoded, a->events[i], &event, &f->err), WF_OK);
        assert_wire_event(&event, b->events[i]);
    }
}

static void test_wire_reads_what_protobuf_packs(void **state) {
    struct fixture *f = *state;
    srand(1);
    for (size_t i = 0; i < sizeof random_bytes; i++)
        random_bytes[i] = (uint8_t)rand();
    for (int round = 0; round < 5000; round++) {
        Wf__Pb__Event events[9];
        Wf__Pb__Event *list[9];
        ProtobufCBinaryData data[9][8];
        Wf__Pb__Record message = WF__PB__RECORD__INIT;
        message.time_ms = (int64_t)random_number();
        message.command = (uint32_t)random_number();
        message.subject = random_data();
        message.previous_lsn = random_number();
        message.previous_offset = random_number();
        message.actor = random_data();
        message.key = random_data();
        message.body_hash = random_data();
        message.keys_forgotten = random_number();
        message.n_events = (size_t)(rand() % 10);
        message.events = list;
        for (size_t i = 0; i < message.n_events; i++) {
            fill_event(&events[i], data[i]);
            list[i] = &events[i];
        }
        bytes_buffer_clear(&f->bytes);
        uint8_t *at = bytes_buffer_extend(&f->bytes, wf__pb__record__get_packed_size(&message));
        wf__pb__record__pack(&message, at);
        struct wire_record record;
        codec_arena_reset(&f->decoded);
        assert_int_equal(codec_wire_read(&f->decoded,
                                         (struct bytes_view){f->bytes.data, f->bytes.size}, &record,
                                         &f->err),
                         WF_OK);
        assert_wire_record(f, &record, &message);
    }
}

static void test_protobuf_reads_what_we_encode(void **state) {
    struct fixture *f = *state;
    struct definition *definition = parse();
    for (int kind = 1; kind < EVENT_KINDS_END; kind++) {
        if (event_kind_name((enum event_kind)kind) == NULL)
            continue;
        struct event event = event_of((enum event_kind)kind, definition);
        struct record record = record_of(&event);
        encode(f, &record);
        Wf__Pb__Record *message = wf__pb__record__unpack(NULL, f->bytes.size, f->bytes.data);
        assert_non_null(message);
        struct wire_record wire;
        assert_int_equal(codec_wire_read(&f->decoded,
                                         (struct bytes_view){f->bytes.data, f->bytes.size}, &wire,
                                         NULL),
                         WF_OK);
        assert_wire_record(f, &wire, message);
        wf__pb__record__free_unpacked(message, NULL);
    }
    definition_destroy(definition);
}

/* The messages that protobuf-c reads in what we encoded, packed by it once more. */
static void assert_packed_alike(const struct fixture *f) {
    Wf__Pb__Record *message = wf__pb__record__unpack(NULL, f->bytes.size, f->bytes.data);
    assert_non_null(message);
    size_t size = wf__pb__record__get_packed_size(message);
    assert_int_equal(size, f->bytes.size);
    uint8_t *packed = malloc(size + 1);
    assert_non_null(packed);
    wf__pb__record__pack(message, packed);
    assert_memory_equal(packed, f->bytes.data, size);
    free(packed);
    wf__pb__record__free_unpacked(message, NULL);
}

static struct bytes_view random_view(size_t size_max) {
    static uint8_t bytes[1 << 18];
    return (struct bytes_view){bytes, (size_t)rand() % (size_max + 1)};
}

/* Sizes on both sides of where a length takes another byte, numbers of all widths. */
static void test_our_bytes_are_those_that_protobuf_packs(void **state) {
    struct fixture *f = *state;
    struct definition *definition = parse();
    srand(2);
    for (int round = 0; round < 100 * EVENT_KINDS_END; round++) {
        enum event_kind kind = (enum event_kind)(round % EVENT_KINDS_END);
        if (event_kind_name(kind) == NULL)
            continue;
        static const size_t sizes[] = {0, 100, 127, 200, 20000, sizeof(uint8_t[1 << 18])};
        size_t size_max = sizes[rand() % (rand() % 100 == 0 ? 6 : 4)];
        struct field few[3];
        for (size_t i = 0; i < 3; i++)
            few[i] = (struct field){random_view(size_max), random_view(size_max)};
        struct event events[3] = {event_of(kind, definition), {.kind = EVENT_STEP_SUBMITTED}};
        events[1].as.step_submitted.step = (uint32_t)random_number();
        events[1].as.step_submitted.fields = few;
        events[1].as.step_submitted.field_count = (size_t)rand() % 4;
        events[2].kind = EVENT_HOLD_PLACED;
        events[2].as.hold_placed.account = (uint32_t)random_number();
        events[2].as.hold_placed.amount = (int64_t)random_number() * (rand() % 2 == 0 ? 1 : -1);
        events[2].as.hold_placed.expires_ms = (int64_t)random_number();
        events[2].as.hold_placed.name = random_view(size_max);
        events[2].as.hold_placed.to = random_view(size_max);
        struct record record = record_of(events);
        record.event_count = 1 + (size_t)rand() % 3;
        record.time_ms = (int64_t)random_number() * (rand() % 2 == 0 ? 1 : -1);
        record.previous.lsn = random_number();
        record.subject = random_view(200);
        record.key = random_view(1);
        record.keys_forgotten = random_number();
        encode(f, &record);
        assert_packed_alike(f);
    }
    definition_destroy(definition);
}

/* --- hostile bytes --- */

/* Decode a copy that ends at the end of its allocation; what decodes must encode again. */
static void decode_hostile(struct fixture *f, const uint8_t *bytes, size_t size) {
    uint8_t *copy = malloc(size > 0 ? size : 1);
    assert_non_null(copy);
    memcpy(copy, bytes, size);
    struct record record;
    codec_arena_reset(&f->decoded);
    if (codec_decode(&f->decoded, (struct bytes_view){copy, size}, &record, &f->err) == WF_OK) {
        bytes_buffer_clear(&f->bytes);
        codec_arena_reset(&f->arena);
        assert_int_equal(codec_encode(&f->arena, &record, &f->bytes, &f->err), WF_OK);
        codec_release(&record);
    } else {
        assert_int_equal(f->err.status, WF_DAMAGE);
        assert_int_equal(record.event_count == 0 || record.events != NULL, 1);
    }
    free(copy);
}

static void test_hostile_bytes_are_refused_or_read(void **state) {
    struct fixture *f = *state;
    struct definition *definition = parse();
    srand(2);
    for (int kind = 1; kind < EVENT_KINDS_END; kind++) {
        if (event_kind_name((enum event_kind)kind) == NULL)
            continue;
        struct event event = event_of((enum event_kind)kind, definition);
        struct record record = record_of(&event);
        encode(f, &record);
        size_t size = f->bytes.size;
        uint8_t *good = malloc(size);
        uint8_t *bad = malloc(size);
        assert_true(good != NULL && bad != NULL);
        memcpy(good, f->bytes.data, size);
        for (size_t cut = 0; cut < size; cut++)
            decode_hostile(f, good, cut);
        for (size_t bit = 0; bit < 8 * size; bit++) {
            memcpy(bad, good, size);
            bad[bit / 8] ^= (uint8_t)(1 << bit % 8);
            decode_hostile(f, bad, size);
        }
        for (int round = 0; round < 300; round++) {
            memcpy(bad, good, size);
            for (int i = 0; i < 1 + round % 8; i++)
                bad[(size_t)rand() % size] = (uint8_t)rand();
            decode_hostile(f, bad, size);
        }
        free(good);
        free(bad);
    }
    definition_destroy(definition);
}

static void put_key(struct bytes_buffer *bytes, unsigned number, unsigned type) {
    bytes_write_varint(bytes, number << 3 | type);
}

static void test_hostile_shapes_are_refused(void **state) {
    struct fixture *f = *state;
    for (int shape = 0; shape < 12; shape++) {
        struct event event = event_of(EVENT_STEP_SUBMITTED, NULL);
        struct record record = record_of(&event);
        struct record back;
        encode(f, &record);
        switch (shape) {
        case 0: /* a group */
            put_key(&f->bytes, 11, 3);
            break;
        case 1: /* field number 0 */
            bytes_write_u8(&f->bytes, 0);
            bytes_write_u8(&f->bytes, 0);
            break;
        case 2: /* the subject as a number */
            put_key(&f->bytes, 3, 0);
            bytes_write_u8(&f->bytes, 1);
            break;
        case 3: /* a run longer than what is left */
            put_key(&f->bytes, 3, 2);
            bytes_write_varint(&f->bytes, UINT64_MAX);
            break;
        case 4: /* a number of eleven bytes */
            put_key(&f->bytes, 1, 0);
            for (int i = 0; i < 10; i++)
                bytes_write_u8(&f->bytes, 0x80);
            bytes_write_u8(&f->bytes, 1);
            break;
        case 5: /* more events than a record may have: most of them empty */
            for (int i = 0; i < RECORD_EVENTS_MAX; i++) {
                put_key(&f->bytes, 6, 2);
                bytes_write_u8(&f->bytes, 0);
            }
            break;
        case 6: /* a field number beyond 29 bits, which is that of the time in 32 bits */
            bytes_write_varint(&f->bytes, (UINT64_C(1) << 32 | 1) << 3);
            bytes_write_u8(&f->bytes, 1);
            break;
        case 7: /* a time that no deadline can be added to */
            put_key(&f->bytes, 1, 0);
            bytes_write_varint(&f->bytes, INT64_MAX);
            break;
        case 8: /* a definition, and no good one, where none belongs */
            put_key(&f->bytes, 6, 2);
            bytes_write_u8(&f->bytes, 6);
            put_key(&f->bytes, 1, 0);
            bytes_write_u8(&f->bytes, EVENT_WORKFLOW_COMPLETED);
            put_key(&f->bytes, 14, 2);
            bytes_write_u8(&f->bytes, 2);
            bytes_write_u8(&f->bytes, 8);
            bytes_write_u8(&f->bytes, 8);
            break;
        case 9: /* postings, the last one cut off, where none belong */
        case 10:
            put_key(&f->bytes, 6, 2);
            bytes_write_u8(&f->bytes, 6);
            put_key(&f->bytes, 1, 0);
            bytes_write_u8(&f->bytes, EVENT_WORKFLOW_COMPLETED);
            put_key(&f->bytes, shape == 9 ? 31 : 32, 2);
            bytes_write_u8(&f->bytes, 1);
            bytes_write_u8(&f->bytes, 0x80);
            break;
        case 11: /* postings in two lists, which protobuf puts together */
            put_key(&f->bytes, 6, 2);
            bytes_write_u8(&f->bytes, 18);
            put_key(&f->bytes, 1, 0);
            bytes_write_u8(&f->bytes, EVENT_OPERATION_POSTED);
            for (unsigned member = 31; member <= 32; member++) {
                for (int i = 0; i < 2; i++) {
                    put_key(&f->bytes, member, 2);
                    bytes_write_u8(&f->bytes, 1);
                    bytes_write_u8(&f->bytes, 2);
                }
            }
            break;
        default:
            break;
        }
        if (decode(f, &back) != WF_DAMAGE)
            fail_msg("shape %d", shape);
    }
}

/* Protobuf merges the pieces of a message: a good one does not make up for a bad one before it. */
static void test_definition_in_two_pieces_is_refused(void **state) {
    struct fixture *f = *state;
    struct definition *definition = parse();
    struct event event = event_of(EVENT_DEFINITION_ADDED, definition);
    struct record record = record_of(&event);
    struct record back;
    encode(f, &record);
    Wf__Pb__Record *message = wf__pb__record__unpack(NULL, f->bytes.size, f->bytes.data);
    assert_non_null(message);
    const Wf__Pb__Definition *packed = message->events[0]->definition;
    size_t size = wf__pb__definition__get_packed_size(packed);
    struct bytes_buffer inner;
    bytes_buffer_init(&inner);
    put_key(&inner, 1, 0);
    bytes_write_u8(&inner, EVENT_DEFINITION_ADDED);
    put_key(&inner, 14, 2);
    bytes_write_u8(&inner, 2);
    put_key(&inner, 1, 0);
    bytes_write_u8(&inner, 8);
    put_key(&inner, 14, 2);
    bytes_write_varint(&inner, size);
    wf__pb__definition__pack(packed, bytes_buffer_extend(&inner, size));
    put_key(&f->bytes, 6, 2);
    bytes_write_varint(&f->bytes, inner.size);
    bytes_write_run(&f->bytes, inner.data, inner.size);
    assert_null(wf__pb__record__unpack(NULL, f->bytes.size, f->bytes.data));
    assert_int_equal(decode(f, &back), WF_DAMAGE);
    bytes_buffer_deinit(&inner);
    wf__pb__record__free_unpacked(message, NULL);
    definition_destroy(definition);
}

static void test_fields_of_later_versions_are_passed_over(void **state) {
    struct fixture *f = *state;
    struct event event = event_of(EVENT_STAGE_FAILED, NULL);
    struct record record = record_of(&event);
    struct record back;
    encode(f, &record);
    for (unsigned type = 0; type < 6; type++) {
        if (type == 3 || type == 4)
            continue;
        put_key(&f->bytes, 100 + type, type);
        if (type == 0 || type == 2)
            bytes_write_varint(&f->bytes, type == 0 ? UINT64_MAX : 3);
        for (unsigned i = 0; i < (type == 1 ? 8 : type == 2 ? 3 : type == 5 ? 4 : 0); i++)
            bytes_write_u8(&f->bytes, 7);
    }
    must_decode(f, &back);
    assert_record(&record, &back);
}

/* A number in more bytes than it may have, the last ones zero. */
static void put_long_number(struct bytes_buffer *bytes, unsigned value, size_t size) {
    bytes_write_u8(bytes, (uint8_t)(value | 0x80));
    for (size_t i = 2; i < size; i++)
        bytes_write_u8(bytes, 0x80);
    bytes_write_u8(bytes, 0);
}

/* Protobuf stops after five bytes of a key or of a length, and so must we: what the log holds is
 * read by any protobuf reader, or by none. */
static void test_keys_and_lengths_of_more_than_five_bytes_are_refused(void **state) {
    enum { KEY_OF_NUMBER = 12 << 3, KEY_OF_BYTES = 12 << 3 | 2 };
    struct fixture *f = *state;
    struct event event = event_of(EVENT_STAGE_FAILED, NULL);
    struct record record = record_of(&event);
    struct record back;
    for (size_t key = 5; key <= 6; key++) {
        for (size_t length = 5; length <= 6; length++) {
            encode(f, &record);
            put_long_number(&f->bytes, KEY_OF_NUMBER, key);
            bytes_write_u8(&f->bytes, 1);
            put_long_number(&f->bytes, KEY_OF_BYTES, 5);
            put_long_number(&f->bytes, 1, length);
            bytes_write_u8(&f->bytes, 7);
            Wf__Pb__Record *theirs = wf__pb__record__unpack(NULL, f->bytes.size, f->bytes.data);
            bool good = key == 5 && length == 5;
            assert_int_equal(theirs != NULL, good);
            assert_int_equal(decode(f, &back), good ? WF_OK : WF_DAMAGE);
            if (theirs != NULL)
                wf__pb__record__free_unpacked(theirs, NULL);
        }
    }
}

static void test_unknown_kinds_and_commands_are_refused(void **state) {
    struct fixture *f = *state;
    struct event event = event_of(EVENT_STAGE_FAILED, NULL);
    struct record record = record_of(&event);
    struct record back;
    record.command = (enum command_kind)99;
    encode(f, &record);
    assert_int_equal(decode(f, &back), WF_DAMAGE);
    assert_non_null(strstr(f->err.text, "99"));
    record.command = COMMAND_WORKFLOW_FAIL;
    event.as.stage_failed.stage = DEFINITION_STAGES_MAX;
    encode(f, &record);
    assert_int_equal(decode(f, &back), WF_DAMAGE);
    event = event_of(EVENT_COMMAND_REFUSED, NULL);
    event.as.command_refused.status = WF_OK; /* a refusal that is none */
    encode(f, &record);
    assert_int_equal(decode(f, &back), WF_DAMAGE);
}

/* --- the arena --- */

static void test_arena_hands_out_aligned_pieces_and_takes_all_back(void **state) {
    struct fixture *f = *state;
    for (int round = 0; round < 50; round++) {
        codec_arena_reset(&f->arena);
        for (size_t size = 0; size < 200000; size = size * 3 + 1) {
            uint8_t *at = codec_arena_alloc(&f->arena, size);
            assert_non_null(at);
            assert_int_equal((uintptr_t)at % 16, 0);
            memset(at, round, size);
        }
    }
    assert_null(codec_arena_alloc(&f->arena, SIZE_MAX - 8));
}

/* --- golden bytes --- */

static const char *golden_dir(void) {
    return "tests/golden/record-1";
}

static size_t read_hex(const char *path, uint8_t *bytes, size_t room) {
    FILE *file = fopen(path, "r");
    size_t size = 0;
    unsigned byte;
    if (file == NULL)
        fail_msg("%s is missing (tests run in the project's root)", path);
    while (size < room && fscanf(file, "%2x", &byte) == 1)
        bytes[size++] = (uint8_t)byte;
    assert_true(feof(file));
    fclose(file);
    return size;
}

static void write_hex(const char *path, const struct bytes_buffer *bytes) {
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (size_t i = 0; i < bytes->size; i++)
        fprintf(file, "%02x%s", bytes->data[i], i % 32 == 31 || i + 1 == bytes->size ? "\n" : "");
    assert_int_equal(fclose(file), 0);
}

/* The bytes of released records never change their meaning, nor does what we write for them. With
 * WF_GOLDEN=write in the environment a kind that has no file yet gets one. */
static void test_golden_bytes_are_read_and_written(void **state) {
    struct fixture *f = *state;
    struct definition *definition = parse();
    for (int kind = 1; kind < EVENT_KINDS_END; kind++) {
        if (event_kind_name((enum event_kind)kind) == NULL)
            continue;
        static uint8_t golden[64 * 1024];
        char path[200];
        struct event event = event_of((enum event_kind)kind, definition);
        struct record record = record_of(&event);
        struct record back;
        (void)snprintf(path, sizeof path, "%s/%s.hex", golden_dir(),
                       event_kind_name((enum event_kind)kind));
        encode(f, &record);
        FILE *there = fopen(path, "r");
        if (there != NULL)
            fclose(there);
        else if (getenv("WF_GOLDEN") != NULL)
            write_hex(path, &f->bytes);
        size_t size = read_hex(path, golden, sizeof golden);
        assert_int_equal(f->bytes.size, size);
        assert_memory_equal(f->bytes.data, golden, size);
        codec_arena_reset(&f->decoded);
        assert_int_equal(
            codec_decode(&f->decoded, (struct bytes_view){golden, size}, &back, &f->err), WF_OK);
        assert_record(&record, &back);
        codec_release(&back);
    }
    definition_destroy(definition);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_every_kind_of_event_survives_the_way_there_and_back),
        TEST(test_record_with_many_events_survives),
        TEST(test_bare_record_survives),
        TEST(test_repair_says_what_went_with_the_loss),
        TEST(test_record_beyond_the_limit_is_refused),
        TEST(test_wire_reads_what_protobuf_packs),
        TEST(test_protobuf_reads_what_we_encode),
        TEST(test_our_bytes_are_those_that_protobuf_packs),
        TEST(test_hostile_bytes_are_refused_or_read),
        TEST(test_hostile_shapes_are_refused),
        TEST(test_definition_in_two_pieces_is_refused),
        TEST(test_fields_of_later_versions_are_passed_over),
        TEST(test_keys_and_lengths_of_more_than_five_bytes_are_refused),
        TEST(test_unknown_kinds_and_commands_are_refused),
        TEST(test_arena_hands_out_aligned_pieces_and_takes_all_back),
        TEST(test_golden_bytes_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
