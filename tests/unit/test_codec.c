/* Records as bytes and back: codec.c, codec_encode.c, codec_arena.c and codec_definition.c, held
 * against the bytes of released formats in tests/golden/. */
#include "engine/codec.h"
#include "tests/lib/codec_fixture.h"
#include "tests/lib/record_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_every_kind_of_event_survives_the_way_there_and_back(void **state) {
    struct codec_fixture *f = *state;
    struct definition *definition = sample_definition();
    int seen = 0;
    for (int kind = 1; kind < EVENT_KINDS_END; kind++) {
        if (event_kind_name((enum event_kind)kind) == NULL)
            continue;
        seen++;
        struct event event = sample_event((enum event_kind)kind, definition);
        struct record record = sample_record(&event);
        struct record back;
        codec_fixture_encode(f, &record);
        codec_fixture_must_decode(f, &back);
        assert_same_record(&record, &back);
        codec_release(&back);
    }
    assert_true(seen >= 32);
    definition_destroy(definition);
}

static void test_record_with_many_events_survives(void **state) {
    struct codec_fixture *f = *state;
    struct event events[RECORD_EVENTS_MAX];
    for (size_t i = 0; i < RECORD_EVENTS_MAX; i++)
        events[i] = sample_event((enum event_kind)(EVENT_WORKFLOW_STARTED + (int)i % 9), NULL);
    struct record record = sample_record(events);
    record.event_count = RECORD_EVENTS_MAX;
    struct record back;
    codec_fixture_encode(f, &record);
    codec_fixture_must_decode(f, &back);
    assert_same_record(&record, &back);
}

static void test_bare_record_survives(void **state) {
    struct codec_fixture *f = *state;
    struct record record = {.command = COMMAND_LOG_REPAIR, .time_ms = -1};
    struct record back;
    codec_fixture_encode(f, &record);
    codec_fixture_must_decode(f, &back);
    assert_same_record(&record, &back);
}

static void test_repair_says_what_went_with_the_loss(void **state) {
    struct codec_fixture *f = *state;
    struct event event = sample_event(EVENT_LOG_REPAIRED, NULL);
    event.as.log_repaired.fields = sample_fields;
    event.as.log_repaired.field_count = 2;
    struct record record = sample_record(&event);
    struct record back;
    codec_fixture_encode(f, &record);
    codec_fixture_must_decode(f, &back);
    assert_same_record(&record, &back);
}

static void test_a_drop_that_tells_of_repairs_comes_back(void **state) {
    struct codec_fixture *f = *state;
    struct event event = sample_event(EVENT_ARCHIVE_DROPPED, NULL);
    event.as.archive_dropped.fields = sample_fields;
    event.as.archive_dropped.field_count = 2;
    struct record record = sample_record(&event);
    struct record back;
    codec_fixture_encode(f, &record);
    codec_fixture_must_decode(f, &back);
    assert_same_record(&record, &back);
}

static void test_record_beyond_the_limit_is_refused(void **state) {
    struct codec_fixture *f = *state;
    static uint8_t value[COMMAND_FIELD_VALUE_MAX];
    static struct field many[COMMAND_FIELDS_MAX];
    for (size_t i = 0; i < COMMAND_FIELDS_MAX; i++)
        many[i] = (struct field){.name = sample_fields[0].name, .value = {value, sizeof value}};
    struct event event = {.kind = EVENT_STEP_SUBMITTED};
    event.as.step_submitted.fields = many;
    event.as.step_submitted.field_count = COMMAND_FIELDS_MAX;
    struct record record = sample_record(&event);
    assert_int_equal(codec_encode(&f->arena, &record, &f->bytes, &f->err), WF_USAGE);
    event.as.step_submitted.field_count = COMMAND_FIELDS_MAX - 1;
    struct record back;
    codec_fixture_encode(f, &record);
    codec_fixture_must_decode(f, &back);
    assert_same_record(&record, &back);
}

/* --- the arena --- */

static void test_arena_hands_out_aligned_pieces_and_takes_all_back(void **state) {
    struct codec_fixture *f = *state;
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
    struct codec_fixture *f = *state;
    struct definition *definition = sample_definition();
    for (int kind = 1; kind < EVENT_KINDS_END; kind++) {
        if (event_kind_name((enum event_kind)kind) == NULL)
            continue;
        static uint8_t golden[64 * 1024];
        char path[200];
        struct event event = sample_event((enum event_kind)kind, definition);
        struct record record = sample_record(&event);
        struct record back;
        (void)snprintf(path, sizeof path, "%s/%s.hex", golden_dir(),
                       event_kind_name((enum event_kind)kind));
        codec_fixture_encode(f, &record);
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
        assert_same_record(&record, &back);
        codec_release(&back);
    }
    definition_destroy(definition);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, codec_fixture_setup, codec_fixture_teardown)
        TEST(test_every_kind_of_event_survives_the_way_there_and_back),
        TEST(test_record_with_many_events_survives),
        TEST(test_bare_record_survives),
        TEST(test_repair_says_what_went_with_the_loss),
        TEST(test_a_drop_that_tells_of_repairs_comes_back),
        TEST(test_record_beyond_the_limit_is_refused),
        TEST(test_arena_hands_out_aligned_pieces_and_takes_all_back),
        TEST(test_golden_bytes_are_read_and_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
