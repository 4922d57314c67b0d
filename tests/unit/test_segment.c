#include "wal/segment.h"

#include "tests/lib/wal_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void make_header(uint8_t at[WAL_SEGMENT_HEADER_SIZE]) {
    struct wal_segment_header header = {.first_lsn = 42, .previous = 0x12345678, .version = 1};
    memcpy(header.store_id, wal_fixture_id, WAL_STORE_ID_SIZE);
    wal_segment_header_encode(at, &header);
}

static void test_wal_segment_name_is_the_first_lsn(void **state) {
    (void)state;
    char name[WAL_SEGMENT_NAME_SIZE];
    uint64_t lsn;
    wal_segment_name(name, 42);
    assert_string_equal(name, "00000000000000000042.seg");
    assert_true(wal_segment_name_parse(name, &lsn));
    assert_int_equal(lsn, 42);
    wal_segment_name(name, UINT64_MAX);
    assert_true(wal_segment_name_parse(name, &lsn));
    assert_true(lsn == UINT64_MAX);
}

static void test_wal_segment_name_has_one_form_only(void **state) {
    (void)state;
    static const char *const wrong[] = {
        "",
        "1.seg",
        "00000000000000000000.seg",
        "00000000000000000042.se",
        "00000000000000000042.seg2",
        "00000000000000000042.seg.damaged",
        "0000000000000000004x.seg",
        "99999999999999999999.seg",
        "000000000000000000042.seg",
    };
    uint64_t lsn;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(wal_segment_name_parse(wrong[i], &lsn));
}

static void test_wal_segment_header_comes_back_as_written(void **state) {
    (void)state;
    uint8_t at[WAL_SEGMENT_HEADER_SIZE];
    struct wal_segment_header header;
    make_header(at);
    assert_int_equal(wal_segment_header_decode(at, sizeof at, &header), WAL_HEADER_GOOD);
    assert_int_equal(header.first_lsn, 42);
    assert_int_equal(header.previous, 0x12345678);
    assert_memory_equal(header.store_id, wal_fixture_id, WAL_STORE_ID_SIZE);
}

static void test_wal_segment_header_refuses_every_flipped_bit_and_every_length(void **state) {
    (void)state;
    uint8_t at[WAL_SEGMENT_HEADER_SIZE];
    struct wal_segment_header header;
    make_header(at);
    for (size_t bit = 0; bit < 8 * sizeof at; bit++) {
        at[bit / 8] ^= (uint8_t)(1u << (bit % 8));
        assert_int_equal(wal_segment_header_decode(at, sizeof at, &header), WAL_HEADER_BAD);
        at[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    }
    for (size_t size = 0; size < sizeof at; size++)
        assert_int_equal(wal_segment_header_decode(at, size, &header), WAL_HEADER_BAD);
}

static void test_wal_segment_header_of_a_newer_version_is_told_apart(void **state) {
    (void)state;
    uint8_t at[WAL_SEGMENT_HEADER_SIZE];
    struct wal_segment_header header;
    make_header(at);
    bytes_store_u32(at + 8, 2);
    assert_int_equal(wal_segment_header_decode(at, sizeof at, &header), WAL_HEADER_BAD);
    bytes_store_u32(at + 60, crc32c(0, at, 60));
    assert_int_equal(wal_segment_header_decode(at, sizeof at, &header), WAL_HEADER_NEWER);
    assert_int_equal(header.version, 2);
}

/* The hexdump block of wal/FORMAT.md as bytes. */
static size_t read_example(uint8_t *to, size_t size_max) {
    FILE *file = fopen("wal/FORMAT.md", "r");
    assert_non_null(file);
    char line[512];
    bool inside = false;
    size_t size = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, "```", 3) == 0)
            inside = strncmp(line, "```hexdump", 10) == 0;
        char *at = line + 4;
        for (int i = 0; inside && line[0] != '`' && i < 16; i++) {
            assert_true(size < size_max);
            to[size++] = (uint8_t)strtoul(at, &at, 16);
        }
    }
    fclose(file);
    return size;
}

static void test_wal_segment_is_the_worked_example_of_the_format(void **state) {
    (void)state;
    uint8_t example[1024];
    size_t example_size = read_example(example, sizeof example);
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    static const char *const payloads[] = {"hello", "wal"};
    for (size_t i = 0; i < 2; i++) {
        struct wal_ticket ticket;
        assert_int_equal(
            wal_append(fixture.wal, payloads[i], strlen(payloads[i]), 0, &ticket, NULL), WF_OK);
        assert_int_equal(wal_wait(fixture.wal, &ticket, NULL), WF_OK);
    }
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    size_t size;
    uint8_t *bytes = wal_fixture_load(&fixture, wal_fixture_segment(1), &size);
    assert_int_equal(size, example_size);
    assert_memory_equal(bytes, example, size);
    free(bytes);
    wal_fixture_deinit(&fixture);
}

static void test_wal_segment_is_synced_before_it_gets_its_name(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 1);
    sim_trace_start(fixture.sim);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    size_t sealed = sim_trace_find(fixture.sim, 0, SIM_SYNC, "01.seg");
    size_t made = sim_trace_find(fixture.sim, 0, SIM_SYNC, "02.seg.tmp");
    size_t named = sim_trace_find(fixture.sim, 0, SIM_RENAME, NULL);
    size_t kept = sim_trace_find(fixture.sim, named, SIM_SYNC_DIRECTORY, NULL);
    assert_true(sealed < made && made < named && named < kept && kept != SIZE_MAX);
    wal_fixture_deinit(&fixture);
}

static void test_wal_segment_that_cannot_be_synced_gets_no_name(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 1);
    struct sim_fault fault = {.op = SIM_SYNC, .kind = SIM_FAULT_EIO, .path = ".tmp"};
    sim_fault_add(fixture.sim, &fault);
    assert_int_equal(wal_rotate(fixture.wal, &fixture.err), WF_IO);
    assert_false(wal_fixture_exists(&fixture, wal_fixture_segment(2)));
    wal_fixture_commit(&fixture, 1); /* made after all, anew */
    assert_true(wal_fixture_exists(&fixture, wal_fixture_segment(2)));
    wal_fixture_deinit(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_segment_name_is_the_first_lsn),
        cmocka_unit_test(test_wal_segment_name_has_one_form_only),
        cmocka_unit_test(test_wal_segment_header_comes_back_as_written),
        cmocka_unit_test(test_wal_segment_header_refuses_every_flipped_bit_and_every_length),
        cmocka_unit_test(test_wal_segment_header_of_a_newer_version_is_told_apart),
        cmocka_unit_test(test_wal_segment_is_the_worked_example_of_the_format),
        cmocka_unit_test(test_wal_segment_is_synced_before_it_gets_its_name),
        cmocka_unit_test(test_wal_segment_that_cannot_be_synced_gets_no_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
