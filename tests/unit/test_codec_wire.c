/* The wire format: codec_wire.c and codec_put.h, held against protobuf-c's generated code. */
#include "engine/codec_wire.h"
#include "engine/schema/record.pb-c.h"
#include "tests/lib/codec_fixture.h"
#include "tests/lib/record_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

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
    assert_same_view(a, (struct bytes_view){b.data, b.len});
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

static void assert_wire_record(struct codec_fixture *f, const struct wire_record *a,
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
    struct codec_fixture *f = *state;
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
    struct codec_fixture *f = *state;
    struct definition *definition = sample_definition();
    for (int kind = 1; kind < EVENT_KINDS_END; kind++) {
        if (event_kind_name((enum event_kind)kind) == NULL)
            continue;
        struct event event = sample_event((enum event_kind)kind, definition);
        struct record record = sample_record(&event);
        codec_fixture_encode(f, &record);
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
static void assert_packed_alike(const struct codec_fixture *f) {
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
    struct codec_fixture *f = *state;
    struct definition *definition = sample_definition();
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
        struct event events[3] = {sample_event(kind, definition), {.kind = EVENT_STEP_SUBMITTED}};
        events[1].as.step_submitted.step = (uint32_t)random_number();
        events[1].as.step_submitted.fields = few;
        events[1].as.step_submitted.field_count = (size_t)rand() % 4;
        events[2].kind = EVENT_HOLD_PLACED;
        events[2].as.hold_placed.account = (uint32_t)random_number();
        events[2].as.hold_placed.amount = (int64_t)random_number() * (rand() % 2 == 0 ? 1 : -1);
        events[2].as.hold_placed.expires_ms = (int64_t)random_number();
        events[2].as.hold_placed.name = random_view(size_max);
        events[2].as.hold_placed.to = random_view(size_max);
        struct record record = sample_record(events);
        record.event_count = 1 + (size_t)rand() % 3;
        record.time_ms = (int64_t)random_number() * (rand() % 2 == 0 ? 1 : -1);
        record.previous.lsn = random_number();
        record.subject = random_view(200);
        record.key = random_view(1);
        record.keys_forgotten = random_number();
        codec_fixture_encode(f, &record);
        assert_packed_alike(f);
    }
    definition_destroy(definition);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, codec_fixture_setup, codec_fixture_teardown)
        TEST(test_wire_reads_what_protobuf_packs),
        TEST(test_protobuf_reads_what_we_encode),
        TEST(test_our_bytes_are_those_that_protobuf_packs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
