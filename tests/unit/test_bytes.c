#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t edges[] = {0,          1,
                                 127,        128,
                                 16383,      16384,
                                 UINT32_MAX, (uint64_t)UINT32_MAX + 1,
                                 INT64_MAX,  (uint64_t)INT64_MAX + 1,
                                 UINT64_MAX};
enum { EDGE_COUNT = sizeof edges / sizeof edges[0] };

static void test_bytes_are_little_endian(void **state) {
    (void)state;
    struct bytes_buffer buffer;
    bytes_buffer_init(&buffer);
    bytes_write_u8(&buffer, 0x01);
    bytes_write_u16(&buffer, 0x0302);
    bytes_write_u32(&buffer, 0x07060504);
    bytes_write_u64(&buffer, 0x0F0E0D0C0B0A0908);
    assert_true(bytes_buffer_ok(&buffer));
    static const uint8_t expected[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    assert_int_equal(buffer.size, sizeof expected);
    assert_memory_equal(buffer.data, expected, sizeof expected);

    struct bytes_reader reader = bytes_reader_make(buffer.data, buffer.size);
    assert_int_equal(bytes_read_u8(&reader), 0x01);
    assert_int_equal(bytes_read_u16(&reader), 0x0302);
    assert_int_equal(bytes_read_u32(&reader), 0x07060504);
    assert_int_equal(bytes_reader_left(&reader), 8);
    assert_false(bytes_reader_done(&reader));
    assert_int_equal(bytes_read_u64(&reader), 0x0F0E0D0C0B0A0908);
    assert_true(bytes_reader_done(&reader));
    bytes_buffer_deinit(&buffer);
}

static void test_bytes_load_what_was_stored_at_any_alignment(void **state) {
    (void)state;
    uint8_t room[16];
    for (size_t at = 0; at < 8; at++) {
        bytes_store_u64(room + at, 0x8877665544332211);
        assert_int_equal(room[at], 0x11);
        assert_true(bytes_load_u64(room + at) == 0x8877665544332211);
        bytes_store_u32(room + at, 0xCCDDEEFF);
        assert_int_equal(room[at], 0xFF);
        assert_int_equal(bytes_load_u32(room + at), 0xCCDDEEFF);
        bytes_store_u16(room + at, 0xABCD);
        assert_int_equal(room[at], 0xCD);
        assert_int_equal(bytes_load_u16(room + at), 0xABCD);
    }
}

static void test_bytes_varint_comes_back(void **state) {
    (void)state;
    struct bytes_buffer buffer;
    bytes_buffer_init(&buffer);
    for (size_t i = 0; i < EDGE_COUNT; i++)
        bytes_write_varint(&buffer, edges[i]);
    for (size_t i = 0; i < EDGE_COUNT; i++)
        bytes_write_zigzag(&buffer, (int64_t)edges[i]);
    struct bytes_reader reader = bytes_reader_make(buffer.data, buffer.size);
    for (size_t i = 0; i < EDGE_COUNT; i++)
        assert_true(bytes_read_varint(&reader) == edges[i]);
    for (size_t i = 0; i < EDGE_COUNT; i++)
        assert_true(bytes_read_zigzag(&reader) == (int64_t)edges[i]);
    assert_true(bytes_reader_done(&reader));
    bytes_buffer_deinit(&buffer);
}

static void assert_encoding(uint64_t value, bool zigzag, const char *bytes, size_t size) {
    struct bytes_buffer buffer;
    bytes_buffer_init(&buffer);
    if (zigzag)
        bytes_write_zigzag(&buffer, (int64_t)value);
    else
        bytes_write_varint(&buffer, value);
    assert_int_equal(buffer.size, size);
    assert_memory_equal(buffer.data, bytes, size);
    bytes_buffer_deinit(&buffer);
}

static void test_bytes_varint_encoding_is_leb128(void **state) {
    (void)state;
    assert_encoding(127, false, "\x7F", 1);
    assert_encoding(300, false, "\xAC\x02", 2);
    assert_encoding(UINT64_MAX, false, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01",
                    BYTES_VARINT_SIZE_MAX);
    assert_encoding((uint64_t)-1, true, "\x01", 1);
    assert_encoding(1, true, "\x02", 1);
    assert_encoding((uint64_t)INT64_MIN, true, "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 10);
}

static void assert_varint_fails(const char *bytes, size_t size) {
    struct bytes_reader reader = bytes_reader_make(bytes, size);
    assert_int_equal(bytes_read_varint(&reader), 0);
    assert_false(bytes_reader_ok(&reader));
}

static void test_bytes_reader_refuses_an_overlong_varint(void **state) {
    (void)state;
    assert_varint_fails("\x80\x00", 2);                                          /* 0 in two */
    assert_varint_fails("\xFF\x80\x00", 3);                                      /* 127 in three */
    assert_varint_fails("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 10);         /* 65 bits */
    assert_varint_fails("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x81\x00", 11);     /* eleven bytes */
    assert_varint_fails("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01", 12); /* too long */
    struct bytes_reader reader = bytes_reader_make("\0", 1);
    assert_int_equal(bytes_read_varint(&reader), 0);
    assert_true(bytes_reader_done(&reader));
}

static void test_bytes_reader_refuses_a_cut_varint(void **state) {
    (void)state;
    static const char full[] = "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01";
    for (size_t size = 0; size < 10; size++)
        assert_varint_fails(full, size);
}

static void test_bytes_reader_latches_the_first_failure(void **state) {
    (void)state;
    struct bytes_reader reader = bytes_reader_make("\x01\x02\x03", 3);
    assert_int_equal(bytes_read_u32(&reader), 0);
    assert_false(bytes_reader_ok(&reader));
    assert_int_equal(bytes_reader_left(&reader), 0);
    assert_int_equal(bytes_read_u8(&reader), 0);
    assert_int_equal(bytes_read_u16(&reader), 0);
    assert_int_equal(bytes_read_u64(&reader), 0);
    assert_int_equal(bytes_read_varint(&reader), 0);
    assert_int_equal(bytes_read_run(&reader, 1).size, 0);
    assert_int_equal(bytes_read_run(&reader, 0).size, 0);
    assert_int_equal(bytes_read_string(&reader).size, 0);
    assert_false(bytes_reader_done(&reader));
}

static void test_bytes_reader_stops_at_the_end_of_every_width(void **state) {
    (void)state;
    static const uint8_t zeros[8];
    for (size_t size = 0; size <= 8; size++) {
        struct bytes_reader reader = bytes_reader_make(zeros, size);
        (void)bytes_read_u8(&reader);
        assert_int_equal(bytes_reader_ok(&reader), size >= 1);
        reader = bytes_reader_make(zeros, size);
        (void)bytes_read_u16(&reader);
        assert_int_equal(bytes_reader_ok(&reader), size >= 2);
        reader = bytes_reader_make(zeros, size);
        (void)bytes_read_u32(&reader);
        assert_int_equal(bytes_reader_ok(&reader), size >= 4);
        reader = bytes_reader_make(zeros, size);
        (void)bytes_read_u64(&reader);
        assert_int_equal(bytes_reader_ok(&reader), size >= 8);
    }
}

static void test_bytes_reader_refuses_hostile_lengths(void **state) {
    (void)state;
    struct bytes_reader reader = bytes_reader_make("\x02x", 2); /* one more than there is */
    assert_int_equal(bytes_read_string(&reader).size, 0);
    assert_false(bytes_reader_ok(&reader));

    reader = bytes_reader_make("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01xyz", 13);
    assert_int_equal(bytes_read_string(&reader).size, 0);
    assert_false(bytes_reader_ok(&reader));

    reader = bytes_reader_make("abc", 3);
    assert_int_equal(bytes_read_run(&reader, SIZE_MAX).size, 0);
    assert_false(bytes_reader_ok(&reader));
}

static void test_bytes_reader_of_nothing_is_done(void **state) {
    (void)state;
    struct bytes_reader reader = bytes_reader_make(NULL, 0);
    assert_true(bytes_reader_done(&reader));
    assert_int_equal(bytes_read_run(&reader, 0).size, 0);
    assert_true(bytes_reader_done(&reader));
    (void)bytes_read_u8(&reader);
    assert_false(bytes_reader_ok(&reader));
}

static void test_bytes_strings_and_runs_come_back_as_views(void **state) {
    (void)state;
    struct bytes_buffer buffer;
    bytes_buffer_init(&buffer);
    bytes_write_string(&buffer, "hello", 5);
    bytes_write_string(&buffer, NULL, 0);
    bytes_write_run(&buffer, "raw", 3);
    bytes_write_run(&buffer, NULL, 0);
    struct bytes_reader reader = bytes_reader_make(buffer.data, buffer.size);
    struct bytes_view view = bytes_read_string(&reader);
    assert_int_equal(view.size, 5);
    assert_ptr_equal(view.data, buffer.data + 1);
    assert_memory_equal(view.data, "hello", 5);
    assert_int_equal(bytes_read_string(&reader).size, 0);
    view = bytes_read_run(&reader, 3);
    assert_int_equal(view.size, 3);
    assert_memory_equal(view.data, "raw", 3);
    assert_true(bytes_reader_done(&reader));
    bytes_buffer_deinit(&buffer);
}

static void test_bytes_buffer_grows_and_keeps_its_bytes(void **state) {
    (void)state;
    struct bytes_buffer buffer;
    bytes_buffer_init(&buffer);
    for (uint32_t i = 0; i < 100000; i++)
        bytes_write_u32(&buffer, i);
    assert_true(bytes_buffer_ok(&buffer));
    assert_int_equal(buffer.size, 400000);
    for (uint32_t i = 0; i < 100000; i++)
        assert_int_equal(bytes_load_u32(buffer.data + 4 * i), i);
    uint8_t *data = buffer.data;
    bytes_buffer_clear(&buffer);
    assert_int_equal(buffer.size, 0);
    assert_ptr_equal(bytes_buffer_extend(&buffer, 400000), data);
    bytes_buffer_deinit(&buffer);
    assert_null(buffer.data);
}

static void test_bytes_buffer_latches_failure_until_cleared(void **state) {
    (void)state;
    struct bytes_buffer buffer;
    bytes_buffer_init(&buffer);
    bytes_write_u8(&buffer, 1);
    assert_null(bytes_buffer_extend(&buffer, SIZE_MAX));
    assert_false(bytes_buffer_ok(&buffer));
    bytes_write_u64(&buffer, 2); /* dropped, though there is room */
    assert_int_equal(buffer.size, 1);
    assert_false(bytes_buffer_ok(&buffer));
    bytes_buffer_clear(&buffer);
    bytes_write_u8(&buffer, 3);
    assert_true(bytes_buffer_ok(&buffer));
    assert_int_equal(buffer.data[0], 3);
    bytes_buffer_deinit(&buffer);
}

static void test_bytes_buffer_extended_by_nothing_is_not_null(void **state) {
    (void)state;
    struct bytes_buffer buffer;
    bytes_buffer_init(&buffer);
    assert_non_null(bytes_buffer_extend(&buffer, 0));
    assert_int_equal(buffer.size, 0);
    assert_true(bytes_buffer_ok(&buffer));
    bytes_buffer_deinit(&buffer);
}

static void test_bytes_all_zero_sees_every_byte(void **state) {
    (void)state;
    uint8_t bytes[40] = {0};
    assert_true(bytes_all_zero(bytes, 0));
    assert_true(bytes_all_zero(bytes, 1));
    assert_true(bytes_all_zero(bytes, sizeof bytes));
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = 1;
        assert_false(bytes_all_zero(bytes, sizeof bytes));
        assert_true(bytes_all_zero(bytes, i)); /* and none behind the end */
        bytes[i] = 0;
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes_are_little_endian),
        cmocka_unit_test(test_bytes_load_what_was_stored_at_any_alignment),
        cmocka_unit_test(test_bytes_varint_comes_back),
        cmocka_unit_test(test_bytes_varint_encoding_is_leb128),
        cmocka_unit_test(test_bytes_reader_refuses_an_overlong_varint),
        cmocka_unit_test(test_bytes_reader_refuses_a_cut_varint),
        cmocka_unit_test(test_bytes_reader_latches_the_first_failure),
        cmocka_unit_test(test_bytes_reader_stops_at_the_end_of_every_width),
        cmocka_unit_test(test_bytes_reader_refuses_hostile_lengths),
        cmocka_unit_test(test_bytes_reader_of_nothing_is_done),
        cmocka_unit_test(test_bytes_strings_and_runs_come_back_as_views),
        cmocka_unit_test(test_bytes_buffer_grows_and_keeps_its_bytes),
        cmocka_unit_test(test_bytes_buffer_latches_failure_until_cleared),
        cmocka_unit_test(test_bytes_buffer_extended_by_nothing_is_not_null),
        cmocka_unit_test(test_bytes_all_zero_sees_every_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
