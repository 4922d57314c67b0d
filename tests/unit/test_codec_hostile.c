/* Bytes that no engine wrote: what codec.c and codec_wire.c make of them. */
#include "engine/codec.h"
#include "engine/schema/record.pb-c.h"
#include "tests/lib/codec_fixture.h"
#include "tests/lib/record_samples.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Decode a copy that ends at the end of its allocation; what decodes must encode again. */
static void decode_hostile(struct codec_fixture *f, const uint8_t *bytes, size_t size) {
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
    struct codec_fixture *f = *state;
    struct definition *definition = sample_definition();
    srand(2);
    for (int kind = 1; kind < EVENT_KINDS_END; kind++) {
        if (event_kind_name((enum event_kind)kind) == NULL)
            continue;
        struct event event = sample_event((enum event_kind)kind, definition);
        struct record record = sample_record(&event);
        codec_fixture_encode(f, &record);
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
    struct codec_fixture *f = *state;
    for (int shape = 0; shape < 12; shape++) {
        struct event event = sample_event(EVENT_STEP_SUBMITTED, NULL);
        struct record record = sample_record(&event);
        struct record back;
        codec_fixture_encode(f, &record);
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
        if (codec_fixture_decode(f, &back) != WF_DAMAGE)
            fail_msg("shape %d", shape);
    }
}

/* Protobuf merges the pieces of a message: a good one does not make up for a bad one before it. */
static void test_definition_in_two_pieces_is_refused(void **state) {
    struct codec_fixture *f = *state;
    struct definition *definition = sample_definition();
    struct event event = sample_event(EVENT_DEFINITION_ADDED, definition);
    struct record record = sample_record(&event);
    struct record back;
    codec_fixture_encode(f, &record);
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
    assert_int_equal(codec_fixture_decode(f, &back), WF_DAMAGE);
    bytes_buffer_deinit(&inner);
    wf__pb__record__free_unpacked(message, NULL);
    definition_destroy(definition);
}

static void test_fields_of_later_versions_are_passed_over(void **state) {
    struct codec_fixture *f = *state;
    struct event event = sample_event(EVENT_STAGE_FAILED, NULL);
    struct record record = sample_record(&event);
    struct record back;
    codec_fixture_encode(f, &record);
    for (unsigned type = 0; type < 6; type++) {
        if (type == 3 || type == 4)
            continue;
        put_key(&f->bytes, 100 + type, type);
        if (type == 0 || type == 2)
            bytes_write_varint(&f->bytes, type == 0 ? UINT64_MAX : 3);
        for (unsigned i = 0; i < (type == 1 ? 8 : type == 2 ? 3 : type == 5 ? 4 : 0); i++)
            bytes_write_u8(&f->bytes, 7);
    }
    codec_fixture_must_decode(f, &back);
    assert_same_record(&record, &back);
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
    struct codec_fixture *f = *state;
    struct event event = sample_event(EVENT_STAGE_FAILED, NULL);
    struct record record = sample_record(&event);
    struct record back;
    for (size_t key = 5; key <= 6; key++) {
        for (size_t length = 5; length <= 6; length++) {
            codec_fixture_encode(f, &record);
            put_long_number(&f->bytes, KEY_OF_NUMBER, key);
            bytes_write_u8(&f->bytes, 1);
            put_long_number(&f->bytes, KEY_OF_BYTES, 5);
            put_long_number(&f->bytes, 1, length);
            bytes_write_u8(&f->bytes, 7);
            Wf__Pb__Record *theirs = wf__pb__record__unpack(NULL, f->bytes.size, f->bytes.data);
            bool good = key == 5 && length == 5;
            assert_int_equal(theirs != NULL, good);
            assert_int_equal(codec_fixture_decode(f, &back), good ? WF_OK : WF_DAMAGE);
            if (theirs != NULL)
                wf__pb__record__free_unpacked(theirs, NULL);
        }
    }
}

static void test_unknown_kinds_and_commands_are_refused(void **state) {
    struct codec_fixture *f = *state;
    struct event event = sample_event(EVENT_STAGE_FAILED, NULL);
    struct record record = sample_record(&event);
    struct record back;
    record.command = (enum command_kind)99;
    codec_fixture_encode(f, &record);
    assert_int_equal(codec_fixture_decode(f, &back), WF_DAMAGE);
    assert_non_null(strstr(f->err.text, "99"));
    record.command = COMMAND_WORKFLOW_FAIL;
    event.as.stage_failed.stage = DEFINITION_STAGES_MAX;
    codec_fixture_encode(f, &record);
    assert_int_equal(codec_fixture_decode(f, &back), WF_DAMAGE);
    event = sample_event(EVENT_COMMAND_REFUSED, NULL);
    event.as.command_refused.status = WF_OK; /* a refusal that is none */
    codec_fixture_encode(f, &record);
    assert_int_equal(codec_fixture_decode(f, &back), WF_DAMAGE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name)                                                                                 \
    cmocka_unit_test_setup_teardown(name, codec_fixture_setup, codec_fixture_teardown)
        TEST(test_hostile_bytes_are_refused_or_read),
        TEST(test_hostile_shapes_are_refused),
        TEST(test_definition_in_two_pieces_is_refused),
        TEST(test_fields_of_later_versions_are_passed_over),
        TEST(test_keys_and_lengths_of_more_than_five_bytes_are_refused),
        TEST(test_unknown_kinds_and_commands_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
