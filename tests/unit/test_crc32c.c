#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

typedef uint32_t (*crc_fn)(uint32_t crc, const void *data, size_t size);
static const crc_fn both[] = {crc32c, crc32c_portable};

/* RFC 3720, appendix B.4. */
static void test_crc32c_matches_rfc_3720(void **state) {
    (void)state;
    static const uint8_t scsi_read[48] = {
        0x01, 0xc0, 0, 0, 0, 0, 0,    0, 0, 0, 0,    0,    0, 0, 0, 0, 0x14, 0, 0, 0,   0,
        0,    0x04, 0, 0, 0, 0, 0x14, 0, 0, 0, 0x18, 0x28, 0, 0, 0, 0, 0,    0, 0, 0x02};
    uint8_t zeros[32] = {0};
    uint8_t ones[32];
    uint8_t rising[32];
    uint8_t falling[32];
    for (uint8_t i = 0; i < 32; i++) {
        ones[i] = 0xFF;
        rising[i] = i;
        falling[i] = (uint8_t)(31 - i);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(both[i](0, zeros, 32), 0x8A9136AA);
        assert_int_equal(both[i](0, ones, 32), 0x62A8AB43);
        assert_int_equal(both[i](0, rising, 32), 0x46DD794E);
        assert_int_equal(both[i](0, falling, 32), 0x113FDB5C);
        assert_int_equal(both[i](0, scsi_read, 48), 0xD9963A56);
        assert_int_equal(both[i](0, "123456789", 9), 0xE3069283);
        assert_int_equal(both[i](0, NULL, 0), 0);
    }
}

enum { DATA_SIZE = 24 * 1024 };

static uint8_t *random_data(void) {
    uint8_t *data = malloc(DATA_SIZE);
    assert_non_null(data);
    uint64_t seed = 0x9E3779B97F4A7C15;
    for (size_t i = 0; i < DATA_SIZE; i++) {
        seed = seed * 6364136223846793005 + 1442695040888963407;
        data[i] = (uint8_t)(seed >> 56);
    }
    return data;
}

static void test_crc32c_agrees_with_the_table_at_every_small_size_and_alignment(void **state) {
    (void)state;
    uint8_t *data = random_data();
    for (size_t size = 0; size <= 1000; size++) {
        for (size_t at = 0; at < 8; at++)
            assert_int_equal(crc32c(0, data + at, size), crc32c_portable(0, data + at, size));
    }
    free(data);
}

static void test_crc32c_agrees_with_the_table_at_random_sizes_and_starts(void **state) {
    (void)state;
    uint8_t *data = random_data();
    uint32_t seed = 1;
    for (int round = 0; round < 2000; round++) {
        seed = seed * 1664525 + 1013904223;
        size_t at = seed % 4096;
        size_t size = (seed >> 8) % (DATA_SIZE - 4096);
        assert_int_equal(crc32c(seed, data + at, size), crc32c_portable(seed, data + at, size));
    }
    free(data);
}

static void test_crc32c_chains_over_any_cut(void **state) {
    (void)state;
    uint8_t *data = random_data();
    enum { SIZE = 7000 };
    uint32_t whole = crc32c_portable(0, data, SIZE);
    for (size_t cut = 0; cut <= SIZE; cut++)
        assert_int_equal(crc32c(crc32c(0, data, cut), data + cut, SIZE - cut), whole);
    free(data);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crc32c_matches_rfc_3720),
        cmocka_unit_test(test_crc32c_agrees_with_the_table_at_every_small_size_and_alignment),
        cmocka_unit_test(test_crc32c_agrees_with_the_table_at_random_sizes_and_starts),
        cmocka_unit_test(test_crc32c_chains_over_any_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
