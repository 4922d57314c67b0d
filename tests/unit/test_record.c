#include "wal/record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { AT_SIZE = 4, AT_KIND = 8, AT_LSN = 16, AT_DURABLE = 24, FRAME_MAX = 128 };

static const uint8_t store_id[WAL_STORE_ID_SIZE] = "one store's id.";
static const uint8_t other_id[WAL_STORE_ID_SIZE] = "another's here.";

/* A frame of LSN 7 with 13 bytes of payload. */
static size_t make_frame(uint8_t at[FRAME_MAX]) {
    struct wal_frame frame = {
        .kind = WAL_FRAME_RECORD,
        .previous = 0xabcdef01,
        .lsn = 7,
        .durable_lsn = 5,
        .payload = {(const uint8_t *)"thirteen byte", 13},
    };
    wal_frame_encode(at, wal_frame_seed(store_id), &frame);
    return (size_t)frame.size;
}

static const char *decode(const uint8_t *at, const uint8_t *id, struct wal_frame *frame) {
    const char *why = wal_frame_decode_header(at, wal_frame_seed(id), frame);
    return why != NULL ? why : wal_frame_decode_body(at, frame);
}

/* Give a header that was tampered with the checksums that an adversary would. */
static void forge(uint8_t *at, size_t payload_size) {
    uint32_t hash = crc32c(wal_frame_seed(store_id), at, 32);
    bytes_store_u32(at + 32, crc32c(hash, at + 40, payload_size));
    bytes_store_u32(at + 36, crc32c(hash, at + 32, 4));
}

static void test_wal_record_comes_back_as_written(void **state) {
    (void)state;
    uint8_t at[FRAME_MAX];
    struct wal_frame frame;
    assert_int_equal(make_frame(at), 56);
    assert_null(decode(at, store_id, &frame));
    assert_int_equal(frame.kind, WAL_FRAME_RECORD);
    assert_int_equal(frame.previous, 0xabcdef01);
    assert_int_equal(frame.lsn, 7);
    assert_int_equal(frame.durable_lsn, 5);
    assert_int_equal(frame.size, 56);
    assert_int_equal(frame.payload.size, 13);
    assert_memory_equal(frame.payload.data, "thirteen byte", 13);
}

static void test_wal_record_refuses_every_flipped_bit(void **state) {
    (void)state;
    uint8_t at[FRAME_MAX];
    size_t size = make_frame(at);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        struct wal_frame frame;
        at[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_non_null(decode(at, store_id, &frame));
        at[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
}

static void test_wal_record_of_another_store_is_refused(void **state) {
    (void)state;
    uint8_t at[FRAME_MAX];
    struct wal_frame frame;
    make_frame(at);
    assert_non_null(decode(at, other_id, &frame));
}

static void test_wal_record_zeros_are_no_frame(void **state) {
    (void)state;
    uint8_t at[FRAME_MAX] = {0};
    struct wal_frame frame;
    assert_non_null(decode(at, store_id, &frame));
}

/* Change one field, forge the checksums, and see whether the header is believed. */
static const char *forged_header(size_t offset, uint64_t value, size_t size) {
    uint8_t at[FRAME_MAX];
    struct wal_frame frame;
    make_frame(at);
    if (size == 1)
        at[offset] = (uint8_t)value;
    else if (size == 4)
        bytes_store_u32(at + offset, (uint32_t)value);
    else
        bytes_store_u64(at + offset, value);
    forge(at, 13);
    return wal_frame_decode_header(at, wal_frame_seed(store_id), &frame);
}

static void test_wal_record_limits_hold_although_the_checksum_does(void **state) {
    (void)state;
    assert_null(forged_header(AT_SIZE, WAL_PAYLOAD_MAX, 4));
    assert_non_null(forged_header(AT_SIZE, WAL_PAYLOAD_MAX + 1, 4));
    assert_non_null(forged_header(AT_SIZE, UINT32_MAX, 4));
    assert_non_null(forged_header(AT_SIZE, 0, 4));
    assert_non_null(forged_header(AT_KIND, 0, 1));
    assert_non_null(forged_header(AT_KIND, 4, 1));
    assert_non_null(forged_header(AT_KIND + 1, 1, 1));
    assert_null(forged_header(AT_DURABLE, 6, 8));
    assert_non_null(forged_header(AT_DURABLE, 7, 8));
    assert_non_null(forged_header(AT_LSN, 0, 8));
    assert_non_null(forged_header(AT_LSN, UINT64_MAX, 8));
    assert_non_null(forged_header(AT_KIND, WAL_FRAME_SEAL, 1)); /* of the wrong size */
}

static void test_wal_record_padding_is_checked(void **state) {
    (void)state;
    uint8_t at[FRAME_MAX];
    struct wal_frame frame;
    size_t size = make_frame(at);
    at[size - 1] = 1;
    assert_string_equal(decode(at, store_id, &frame), "the padding is not zero");
}

/* No segment has so many bytes that a lost frame could stand for them. */
static void test_wal_record_lost_frame_has_a_longest_size(void **state) {
    (void)state;
    uint8_t at[WAL_FRAME_SIZE_MIN];
    uint8_t payload[WAL_LOST_PAYLOAD_CHECKED] = {0};
    for (uint64_t over = 0; over < 2; over++) {
        struct wal_frame frame = {.kind = WAL_FRAME_LOST,
                                  .lsn = 1,
                                  .durable_lsn = 1,
                                  .payload = {payload, WAL_LOST_PAYLOAD_MAX + over}};
        wal_frame_encode(at, wal_frame_seed(store_id), &frame);
        const char *why = decode(at, store_id, &frame);
        assert_int_equal(why != NULL, over);
    }
}

/* A lost frame of LSN 7 to `last` that covers 96 bytes. */
static const char *decode_lost(uint64_t last, struct wal_frame *frame) {
    static uint8_t at[FRAME_MAX];
    uint8_t payload[WAL_LOST_PAYLOAD_CHECKED] = {0x11, 0x22, 0x33, 0x44};
    memset(at, 0xee, sizeof at);
    struct wal_frame lost = {
        .kind = WAL_FRAME_LOST, .lsn = 7, .durable_lsn = last, .payload = {payload, 96 - 40}};
    wal_frame_encode(at, wal_frame_seed(store_id), &lost);
    return decode(at, store_id, frame);
}

static void test_wal_record_lost_frame_stands_for_a_range(void **state) {
    (void)state;
    struct wal_frame frame;
    assert_null(decode_lost(9, &frame)); /* whatever is in the bytes that it only covers */
    assert_int_equal(frame.size, 96);
    assert_int_equal(wal_frame_checked_size(&frame), WAL_FRAME_SIZE_MIN);
    assert_int_equal(wal_frame_next_lsn(&frame), 10);
    assert_int_equal(wal_frame_chain(&frame), 0x44332211);
}

static void test_wal_record_lost_range_is_bounded(void **state) {
    (void)state;
    struct wal_frame frame;
    assert_null(decode_lost(6, &frame)); /* in a seal's place: no record */
    assert_non_null(decode_lost(5, &frame));
    assert_null(decode_lost(6 + (uint64_t)WAL_LOST_RECORDS_MAX, &frame));
    assert_non_null(decode_lost(7 + (uint64_t)WAL_LOST_RECORDS_MAX, &frame));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_record_comes_back_as_written),
        cmocka_unit_test(test_wal_record_refuses_every_flipped_bit),
        cmocka_unit_test(test_wal_record_of_another_store_is_refused),
        cmocka_unit_test(test_wal_record_zeros_are_no_frame),
        cmocka_unit_test(test_wal_record_limits_hold_although_the_checksum_does),
        cmocka_unit_test(test_wal_record_padding_is_checked),
        cmocka_unit_test(test_wal_record_lost_frame_stands_for_a_range),
        cmocka_unit_test(test_wal_record_lost_range_is_bounded),
        cmocka_unit_test(test_wal_record_lost_frame_has_a_longest_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
