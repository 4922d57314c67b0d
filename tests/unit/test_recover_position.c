/* Recovery from a position in the log: what is not read again, and the tree that goes on. */
#include "wal/recover.h"

#include "tests/lib/wal_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_wal_recover_position_at_the_end_reads_no_record(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_position position;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 5);
    wal_position_now(fixture.wal, &position);
    wal_fixture_close(&fixture);
    assert_int_equal(wal_fixture_try_open(&fixture, 5, &position), WF_OK);
    assert_int_equal(fixture.report.records, 0);
    wal_fixture_commit(&fixture, 1);
    wal_fixture_crash(&fixture, 0);
    assert_int_equal(wal_fixture_try_open(&fixture, 5, &position), WF_OK);
    assert_int_equal(fixture.seen_first, 6);
    assert_int_equal(fixture.seen_count, 1);
    wal_fixture_deinit(&fixture);
}

static void test_wal_recover_position_carries_the_merkle_tree_on(void **state) {
    (void)state;
    uint8_t roots[2][WAL_HASH_SIZE];
    for (int with_position = 0; with_position < 2; with_position++) {
        struct wal_fixture fixture;
        struct wal_position position;
        struct wal_segment_info info;
        wal_fixture_init(&fixture);
        wal_fixture_commit(&fixture, 7);
        wal_position_now(fixture.wal, &position);
        wal_fixture_commit(&fixture, 4);
        wal_fixture_close(&fixture);
        assert_int_equal(wal_fixture_try_open(&fixture, 0, with_position ? &position : NULL),
                         WF_OK);
        wal_fixture_commit(&fixture, 1);
        assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
        assert_true(wal_segment_at(fixture.wal, 0, &info));
        memcpy(roots[with_position], info.root, WAL_HASH_SIZE);
        wal_fixture_close(&fixture);
        wal_fixture_open(
            &fixture); /* which recomputes the root, as the segment is the newest but one */
        wal_fixture_deinit(&fixture);
    }
    assert_memory_equal(roots[0], roots[1], WAL_HASH_SIZE);
}

enum tail_fate {
    TAIL_NEVER_CLOSED,      /* no recovery: what all others are held against */
    TAIL_SEALED_AT_ONCE,    /* all that was not hashed is, for the seal */
    TAIL_CAUGHT_UP,         /* piece by piece, by those who write the next records */
    TAIL_IN_A_POSITION,     /* for a position, as of a snapshot */
    TAIL_PARTLY_IN_ONE,     /* after some pieces */
    TAIL_OF_TWO_RECOVERIES, /* the second goes on from such a position */
    TAIL_FATES,
};

/* A tail that is longer than a piece, and 20 records behind it; the root of its segment. */
static void root_of_tail(enum tail_fate fate, uint8_t root[WAL_HASH_SIZE]) {
    enum { TAIL = 5000, BEHIND = 20 };
    struct wal_fixture fixture;
    struct wal_position position;
    struct wal_segment_info info;
    wal_fixture_init(&fixture);
    wal_fixture_close(&fixture);
    fixture.options.segment_size = 1024 * 1024;
    wal_fixture_open(&fixture);
    wal_fixture_commit(&fixture, 3);
    wal_fixture_append(&fixture, TAIL);
    assert_int_equal(wal_sync(fixture.wal, NULL), WF_OK);
    if (fate != TAIL_NEVER_CLOSED) {
        wal_fixture_crash(&fixture, 0);
        wal_fixture_open(&fixture);
    }
    for (int i = 0; i < BEHIND && fate != TAIL_SEALED_AT_ONCE; i++) {
        wal_fixture_commit(&fixture, 1);
        if ((fate == TAIL_IN_A_POSITION && i == 0) || (fate == TAIL_PARTLY_IN_ONE && i == 2))
            wal_position_now(fixture.wal, &position);
        if (fate != TAIL_OF_TWO_RECOVERIES || i != 2)
            continue;
        wal_position_now(fixture.wal, &position);
        wal_fixture_commit(&fixture, 1);
        i++;
        wal_fixture_crash(&fixture, 0);
        assert_int_equal(wal_fixture_try_open(&fixture, 0, &position), WF_OK);
        assert_int_equal(fixture.seen_count, 1);
    }
    if (fate == TAIL_SEALED_AT_ONCE)
        wal_fixture_append(&fixture, BEHIND);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    assert_true(wal_segment_at(fixture.wal, 0, &info));
    memcpy(root, info.root, WAL_HASH_SIZE);
    wal_fixture_deinit(&fixture);
}

static void test_wal_recover_tail_is_hashed_later(void **state) {
    (void)state;
    uint8_t roots[TAIL_FATES][WAL_HASH_SIZE];
    for (int fate = 0; fate < TAIL_FATES; fate++) {
        root_of_tail((enum tail_fate)fate, roots[fate]);
        if (memcmp(roots[fate], roots[TAIL_NEVER_CLOSED], WAL_HASH_SIZE) != 0)
            fail_msg("fate %d has another root", fate);
    }
}

static void test_wal_recover_position_in_every_place_finds_what_follows(void **state) {
    (void)state;
    enum { COUNT = 12 };
    struct wal_fixture fixture;
    struct wal_position positions[COUNT + 1];
    wal_fixture_init(&fixture);
    wal_position_now(fixture.wal, &positions[0]);
    for (int i = 1; i <= COUNT; i++) {
        wal_fixture_commit(&fixture, 1);
        if (i % 5 == 0)
            assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
        wal_position_now(fixture.wal, &positions[i]);
    }
    for (int i = 0; i <= COUNT; i++) {
        wal_fixture_close(&fixture);
        assert_int_equal(wal_fixture_try_open(&fixture, 0, &positions[i]), WF_OK);
        assert_int_equal(fixture.seen_count, COUNT - i);
        assert_int_equal(fixture.seen_first, i == COUNT ? 0 : i + 1);
        assert_int_equal(wal_next_lsn(fixture.wal), COUNT + 1);
    }
    wal_fixture_deinit(&fixture);
}

static void test_wal_recover_position_of_another_log_is_a_divergence(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_position position;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 5);
    wal_position_now(fixture.wal, &position);
    struct wal_position changed = position;
    changed.bytes[30] ^= 1;
    wal_fixture_close(&fixture);
    assert_int_equal(wal_fixture_try_open(&fixture, 0, &changed), WF_DIVERGENCE);
    changed = position;
    changed.size = 0;
    assert_int_equal(wal_fixture_try_open(&fixture, 0, &changed), WF_DIVERGENCE);
    wal_fixture_deinit(&fixture);

    /* The same store, the same LSNs, other records before them. */
    wal_fixture_init(&fixture);
    for (int i = 0; i < 5; i++) {
        struct wal_ticket ticket;
        assert_int_equal(wal_append(fixture.wal, "otherwise", 9, 0, &ticket, NULL), WF_OK);
    }
    wal_fixture_close(&fixture);
    assert_int_equal(wal_fixture_try_open(&fixture, 0, &position), WF_DIVERGENCE);
    assert_null(fixture.wal);
    wal_fixture_deinit(&fixture);
}

static void test_wal_recover_position_beyond_the_end_is_not_believed(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_position position;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 3);
    wal_fixture_append(&fixture, 1);
    wal_position_now(fixture.wal, &position); /* of a record that the crash takes */
    wal_fixture_crash(&fixture, 0);
    assert_int_equal(wal_fixture_try_open(&fixture, 0, &position), WF_DIVERGENCE);
    wal_fixture_deinit(&fixture);
}

/* A segment before the position is not read through, but its ends are looked at. */
static void test_wal_recover_checks_the_ends_of_segments_before_the_position(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct wal_position position;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 4);
    assert_int_equal(wal_rotate(fixture.wal, NULL), WF_OK);
    wal_fixture_commit(&fixture, 4);
    wal_position_now(fixture.wal, &position);
    wal_fixture_close(&fixture);
    size_t size;
    uint8_t *bytes = wal_fixture_load(&fixture, wal_fixture_segment(1), &size);
    wal_fixture_store(&fixture, wal_fixture_segment(1), bytes, size - 80); /* the seal is off */
    assert_int_equal(wal_fixture_try_open(&fixture, 0, &position), WF_DAMAGE);
    assert_string_equal(fixture.report.bad_segment, wal_fixture_segment(1));
    bytes[0] ^= 1;
    wal_fixture_store(&fixture, wal_fixture_segment(1), bytes, size);
    assert_int_equal(wal_fixture_try_open(&fixture, 0, &position), WF_DAMAGE);
    bytes[0] ^= 1;
    wal_fixture_store(&fixture, wal_fixture_segment(1), bytes, size);
    assert_int_equal(wal_fixture_try_open(&fixture, 0, &position), WF_OK);
    free(bytes);
    wal_fixture_deinit(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_recover_position_at_the_end_reads_no_record),
        cmocka_unit_test(test_wal_recover_position_carries_the_merkle_tree_on),
        cmocka_unit_test(test_wal_recover_tail_is_hashed_later),
        cmocka_unit_test(test_wal_recover_position_in_every_place_finds_what_follows),
        cmocka_unit_test(test_wal_recover_position_of_another_log_is_a_divergence),
        cmocka_unit_test(test_wal_recover_position_beyond_the_end_is_not_believed),
        cmocka_unit_test(test_wal_recover_checks_the_ends_of_segments_before_the_position),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
