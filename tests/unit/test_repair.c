#include "tests/lib/wal_fixture.h"
#include "wal/segment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Findings as they come. */
struct findings {
    size_t count;
    size_t damage;
    struct wal_finding first;
    uint64_t lost; /* LSNs concerned by damage */
    size_t remains;
};

static enum wf_status on_finding(void *ctx, const struct wal_finding *finding,
                                 struct wf_error *err) {
    struct findings *findings = ctx;
    (void)err;
    if (findings->count++ == 0) {
        findings->first = *finding;
        findings->remains = finding->remains.size;
    }
    findings->damage += finding->kind == WAL_FINDING_DAMAGE;
    if (finding->kind == WAL_FINDING_DAMAGE)
        findings->lost += finding->last_lsn - finding->first_lsn + 1;
    assert_non_null(strstr(finding->text, ".seg"));
    return WF_OK;
}

static struct findings verify(struct wal_fixture *fixture, uint64_t minimum_lsn) {
    struct findings findings = {.count = 0};
    assert_int_equal(wal_verify(fixture->io, wal_fixture_dir, minimum_lsn, UINT64_MAX, NULL,
                                on_finding, &findings, &fixture->err),
                     WF_OK);
    return findings;
}

static struct findings repair(struct wal_fixture *fixture, uint64_t minimum_lsn,
                              uint64_t skip_lsn) {
    struct findings findings = {.count = 0};
    if (wal_repair(fixture->io, wal_fixture_dir, minimum_lsn, skip_lsn, on_finding, &findings,
                   &fixture->err) != WF_OK)
        fail_msg("%s", fixture->err.text);
    return findings;
}

/* Three segments of five records each, the newest open; closed. */
static void init_three(struct wal_fixture *fixture) {
    wal_fixture_init(fixture);
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            assert_int_equal(wal_rotate(fixture->wal, NULL), WF_OK);
        wal_fixture_commit(fixture, 5);
    }
    wal_fixture_close(fixture);
}

static void rot(struct wal_fixture *fixture, uint64_t segment, uint64_t offset) {
    char path[64];
    snprintf(path, sizeof path, "%s/%s", wal_fixture_dir, wal_fixture_segment(segment));
    assert_true(sim_rot(fixture->sim, path, offset, 4));
}

/* The repaired log opens, holds everything but `lost` records, and takes new ones. */
static void check_repaired(struct wal_fixture *fixture, uint64_t last, uint64_t lost) {
    assert_int_equal(verify(fixture, last).count, 0);
    if (wal_fixture_try_open(fixture, last, NULL) != WF_OK)
        fail_msg("%s", fixture->err.text);
    assert_int_equal(fixture->seen_first, 1);
    assert_int_equal(fixture->seen_last, last);
    assert_int_equal(fixture->seen_lost, lost);
    wal_fixture_commit(fixture, 3);
    assert_int_equal(wal_rotate(fixture->wal, NULL), WF_OK);
    wal_fixture_commit(fixture, 1);
    wal_fixture_crash(fixture, 0);
    wal_fixture_open(fixture);
    assert_int_equal(fixture->seen_last, last + 4);
    assert_int_equal(fixture->seen_lost, lost);
}

static void test_wal_verify_finds_nothing_in_a_sound_log(void **state) {
    (void)state;
    struct wal_fixture fixture;
    init_three(&fixture);
    assert_int_equal(wal_verify(fixture.io, wal_fixture_dir, 15, UINT64_MAX, wal_fixture_see, NULL,
                                &fixture, &fixture.err),
                     WF_OK);
    wal_fixture_deinit(&fixture);
}

static void test_wal_verify_goes_on_behind_damage(void **state) {
    (void)state;
    struct wal_fixture fixture;
    init_three(&fixture);
    rot(&fixture, 1, 64 + 41);  /* LSN 1: its payload */
    rot(&fixture, 6, 64 + 1);   /* LSN 6: its frame header */
    rot(&fixture, 11, 64 + 41); /* LSN 11 */
    uint64_t before = sim_hash(fixture.sim);
    struct findings findings = verify(&fixture, 0);
    assert_int_equal(findings.count, 3);
    assert_int_equal(findings.damage, 3);
    assert_int_equal(findings.lost, 3);
    assert_int_equal(findings.first.first_lsn, 1);
    assert_int_equal(findings.first.offset, 64);
    assert_int_equal(findings.remains, 8); /* the payload of LSN 1, as its header says */
    assert_true(sim_hash(fixture.sim) == before);
    wal_fixture_deinit(&fixture);
}

static void test_wal_verify_tells_torn_from_damaged(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    struct wal_ticket ticket = wal_fixture_commit(&fixture, 3);
    wal_fixture_close(&fixture);
    rot(&fixture, 1, ticket.offset + 41);
    struct findings findings = verify(&fixture, 0);
    assert_int_equal(findings.count, 1);
    assert_int_equal(findings.first.kind, WAL_FINDING_TORN);
    findings = verify(&fixture, 3);
    assert_int_equal(findings.first.kind, WAL_FINDING_DAMAGE);
    assert_int_equal(findings.first.last_lsn, 3);
    wal_fixture_deinit(&fixture);
}

/* The good header is the wrong one: it is of another store, and at another place. */
static void test_wal_repair_mends_a_header_beside_a_file_of_elsewhere(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 3);
    wal_fixture_close(&fixture);
    sim_rot(fixture.sim, "/wal/00000000000000000001.seg", 60, 1); /* the header's checksum */
    struct wal_segment_header header = {
        .store_id = "another store", .first_lsn = 999, .version = WAL_SEGMENT_VERSION};
    uint8_t bytes[WAL_SEGMENT_HEADER_SIZE];
    wal_segment_header_encode(bytes, &header);
    wal_fixture_store(&fixture, wal_fixture_segment(4), bytes, sizeof bytes);
    assert_int_equal(wal_fixture_try_open(&fixture, 0, NULL), WF_DAMAGE);
    (void)repair(&fixture, 0, 0);
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_count, 3);
    assert_int_equal(fixture.seen_lost, 0);
    wal_fixture_deinit(&fixture);
}

/* Invert a bit in the seal of the second of three segments, with checksums that fit, also those of
 * what follows: as a bug would write it, not as a disk would spoil it. */
static void forge_seal(struct wal_fixture *fixture, size_t at) {
    size_t size, next_size;
    uint8_t *bytes = wal_fixture_load(fixture, wal_fixture_segment(6), &size);
    uint8_t *seal = bytes + size - WAL_SEAL_FRAME_SIZE;
    seal[at] ^= 1;
    uint32_t hash = crc32c(wal_frame_seed(wal_fixture_id), seal, 32);
    bytes_store_u32(seal + 32, crc32c(hash, seal + 40, 40));
    bytes_store_u32(seal + 36, crc32c(hash, seal + 32, 4));
    wal_fixture_store(fixture, wal_fixture_segment(6), bytes, size);
    uint8_t *next = wal_fixture_load(fixture, wal_fixture_segment(11), &next_size);
    bytes_store_u32(next + 40, bytes_load_u32(seal + 32));
    bytes_store_u32(next + 60, crc32c(0, next, 60));
    wal_fixture_store(fixture, wal_fixture_segment(11), next, next_size);
    free(bytes);
    free(next);
}

static void test_wal_verify_counts_the_records_of_a_segment(void **state) {
    (void)state;
    struct wal_fixture fixture;
    init_three(&fixture);
    forge_seal(&fixture, 40);
    struct findings findings = verify(&fixture, 0);
    assert_true(findings.count >= 1);
    assert_non_null(strstr(findings.first.text, "counts other records"));
    wal_fixture_deinit(&fixture);
}

static void test_wal_verify_recomputes_the_merkle_root(void **state) {
    (void)state;
    struct wal_fixture fixture;
    init_three(&fixture);
    forge_seal(&fixture, 50);
    struct findings findings = verify(&fixture, 0);
    assert_true(findings.count >= 1);
    assert_non_null(strstr(findings.first.text, "Merkle root"));
    wal_fixture_deinit(&fixture);
}

/* A seal is checked by its own segment too where what follows is the wrong segment: or the repair
 * that puts that one aside leaves a log whose newest seal is refused and needs another repair. */
static void test_wal_repair_checks_the_seal_before_a_misplaced_segment(void **state) {
    (void)state;
    struct wal_fixture fixture;
    size_t size;
    init_three(&fixture);
    forge_seal(&fixture, 50);
    uint8_t *bytes = wal_fixture_load(&fixture, wal_fixture_segment(11), &size);
    bytes[60] ^= 1; /* no header that could tell where it belongs */
    wal_fixture_store(&fixture, wal_fixture_segment(8), bytes, size);
    wal_fixture_remove(&fixture, wal_fixture_segment(11));
    free(bytes);
    assert_int_equal(repair(&fixture, 10, 0).count, 2);
    check_repaired(&fixture, 10, 0);
    wal_fixture_deinit(&fixture);
}

static void test_wal_walk_file_reads_one_segment_on_its_own(void **state) {
    (void)state;
    struct wal_fixture fixture;
    char path[64];
    init_three(&fixture);
    fixture.seen_count = 0;
    snprintf(path, sizeof path, "%s/%s", wal_fixture_dir, wal_fixture_segment(6));
    assert_int_equal(wal_walk_file(fixture.io, path, wal_fixture_see, &fixture, &fixture.err),
                     WF_OK);
    assert_int_equal(fixture.seen_first, 6);
    assert_int_equal(fixture.seen_count, 5);
    rot(&fixture, 6, 64 + 41);
    assert_int_equal(wal_walk_file(fixture.io, path, NULL, NULL, &fixture.err), WF_DAMAGE);
    rot(&fixture, 6, 3);
    assert_int_equal(wal_walk_file(fixture.io, path, NULL, NULL, &fixture.err), WF_DAMAGE);
    assert_int_equal(wal_walk_file(fixture.io, "/wal/none.seg", NULL, NULL, &fixture.err),
                     WF_NOT_FOUND);
    wal_fixture_deinit(&fixture);
}

static void test_wal_repair_leaves_a_sound_log_alone(void **state) {
    (void)state;
    struct wal_fixture fixture;
    init_three(&fixture);
    uint64_t before = sim_hash(fixture.sim);
    assert_int_equal(repair(&fixture, 15, 0).count, 0);
    assert_true(sim_hash(fixture.sim) == before);
    wal_fixture_deinit(&fixture);
}

static void test_wal_repair_keeps_a_copy_of_what_was_damaged(void **state) {
    (void)state;
    struct wal_fixture fixture;
    size_t size[3];
    uint8_t *bytes[3];
    init_three(&fixture);
    for (int round = 0; round < 2; round++) {
        rot(&fixture, 6, round == 0 ? 64 + 41 : 64 + 41 + 48 + 32);
        bytes[round] = wal_fixture_load(&fixture, wal_fixture_segment(6), &size[round]);
        repair(&fixture, 0, 0);
    }
    bytes[2] = wal_fixture_load(&fixture, "00000000000000000006.seg.damaged", &size[2]);
    assert_memory_equal(bytes[0], bytes[2], size[0]);
    free(bytes[2]);
    bytes[2] = wal_fixture_load(&fixture, "00000000000000000006.seg.damaged-2", &size[2]);
    assert_memory_equal(bytes[1], bytes[2], size[1]);
    for (int i = 0; i < 3; i++)
        free(bytes[i]);
    wal_fixture_deinit(&fixture);
}

static void test_wal_repair_moves_no_other_record(void **state) {
    (void)state;
    struct wal_fixture fixture;
    struct bytes_buffer buffer;
    struct wal_record record;
    wal_fixture_init(&fixture);
    struct wal_ticket before = wal_fixture_commit(&fixture, 3);
    struct wal_ticket lost = wal_fixture_commit(&fixture, 1);
    struct wal_ticket behind = wal_fixture_commit(&fixture, 2);
    wal_fixture_close(&fixture);
    rot(&fixture, 1, lost.offset + 41);
    assert_int_equal(repair(&fixture, 0, 0).lost, 1);
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_lost, 1);
    bytes_buffer_init(&buffer);
    assert_int_equal(wal_read(fixture.wal, before.lsn, before.offset, &buffer, &record, NULL),
                     WF_OK);
    assert_int_equal(wal_read(fixture.wal, behind.lsn, behind.offset, &buffer, &record, NULL),
                     WF_OK);
    assert_false(record.lost);
    assert_int_equal(wal_read(fixture.wal, lost.lsn, lost.offset, &buffer, &record, NULL), WF_OK);
    assert_true(record.lost);
    assert_int_equal(record.payload.size, 0);
    bytes_buffer_deinit(&buffer);
    wal_fixture_deinit(&fixture);
}

/* Damage of every kind, and how many records it costs. */
static void break_nothing(struct wal_fixture *fixture) {
    (void)fixture;
}

static void break_record(struct wal_fixture *fixture) {
    rot(fixture, 6, 64 + 41);
}

static void break_first_and_last_record(struct wal_fixture *fixture) {
    size_t size;
    free(wal_fixture_load(fixture, wal_fixture_segment(11), &size));
    rot(fixture, 1, 64);
    rot(fixture, 11, size - 8);
}

static void break_header(struct wal_fixture *fixture) {
    rot(fixture, 6, 20);
}

static void break_first_header(struct wal_fixture *fixture) {
    rot(fixture, 1, 20);
}

static void break_newest_header(struct wal_fixture *fixture) {
    rot(fixture, 11, 40);
}

static void break_seal(struct wal_fixture *fixture) {
    size_t size;
    free(wal_fixture_load(fixture, wal_fixture_segment(6), &size));
    rot(fixture, 6, size - 10);
}

static void break_end(struct wal_fixture *fixture) {
    size_t size;
    uint8_t *bytes = wal_fixture_load(fixture, wal_fixture_segment(6), &size);
    wal_fixture_store(fixture, wal_fixture_segment(6), bytes, size - 80 - 3);
    free(bytes);
}

static void break_segment(struct wal_fixture *fixture) {
    wal_fixture_remove(fixture, wal_fixture_segment(6));
}

static void break_newest(struct wal_fixture *fixture) {
    wal_fixture_remove(fixture, wal_fixture_segment(11));
}

static void break_newest_end(struct wal_fixture *fixture) {
    size_t size;
    uint8_t *bytes = wal_fixture_load(fixture, wal_fixture_segment(11), &size);
    wal_fixture_store(fixture, wal_fixture_segment(11), bytes, 64);
    free(bytes);
}

static void break_header_and_record(struct wal_fixture *fixture) {
    rot(fixture, 6, 20);
    rot(fixture, 6, 64);
}

static void break_all_of_it(struct wal_fixture *fixture) {
    size_t size;
    uint8_t *bytes = wal_fixture_load(fixture, wal_fixture_segment(6), &size);
    memset(bytes, 0x5a, size);
    wal_fixture_store(fixture, wal_fixture_segment(6), bytes, size);
    free(bytes);
}

static void break_by_foreign_file(struct wal_fixture *fixture) {
    size_t size;
    uint8_t *bytes = wal_fixture_load(fixture, wal_fixture_segment(1), &size);
    wal_fixture_store(fixture, wal_fixture_segment(6), bytes, size);
    free(bytes);
}

static const struct breakage {
    const char *name;
    void (*make)(struct wal_fixture *fixture);
    uint64_t lost;
} breakages[] = {
    {"nothing", break_nothing, 0},
    {"a record", break_record, 1},
    {"the first and the last record", break_first_and_last_record, 2},
    {"a header", break_header, 0},
    {"the first header", break_first_header, 0},
    {"the newest header", break_newest_header, 0},
    {"a seal", break_seal, 0},
    {"a segment's end", break_end, 1},
    {"a missing segment", break_segment, 5},
    {"the newest segment missing", break_newest, 5},
    {"the newest segment cut", break_newest_end, 5},
    {"a header and the record behind it", break_header_and_record, 1},
    {"a whole segment", break_all_of_it, 5},
    {"a file in the wrong place", break_by_foreign_file, 5},
};

static void test_wal_repair_ends_well_for_every_kind_of_damage(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof breakages / sizeof breakages[0]; i++) {
        struct wal_fixture fixture;
        init_three(&fixture);
        breakages[i].make(&fixture);
        if (i > 0)
            assert_int_equal(wal_fixture_try_open(&fixture, 15, NULL), WF_DAMAGE);
        repair(&fixture, 15, 0);
        print_message("after damage to %s\n", breakages[i].name);
        check_repaired(&fixture, 15, breakages[i].lost);
        wal_fixture_deinit(&fixture);
    }
}

static void test_wal_repair_interrupted_anywhere_ends_well_the_next_time(void **state) {
    (void)state;
    for (size_t i = 1; i < sizeof breakages / sizeof breakages[0]; i++) {
        for (uint64_t stop = 1;; stop++) {
            struct wal_fixture fixture;
            init_three(&fixture);
            breakages[i].make(&fixture);
            sim_stop_at(fixture.sim, sim_boundaries(fixture.sim) + stop);
            enum wf_status status =
                wal_repair(fixture.io, wal_fixture_dir, 15, 0, NULL, NULL, &fixture.err);
            bool finished = status == WF_OK;
            wal_fixture_crash(&fixture, (size_t)stop % 4);
            repair(&fixture, 15, 0);
            check_repaired(&fixture, 15, breakages[i].lost);
            wal_fixture_deinit(&fixture);
            if (finished)
                break;
        }
    }
}

static void test_wal_repair_whose_sync_fails_changes_nothing(void **state) {
    (void)state;
    struct wal_fixture fixture;
    init_three(&fixture);
    rot(&fixture, 6, 64 + 41);
    struct sim_fault fault = {.op = SIM_SYNC, .kind = SIM_FAULT_EIO, .path = ".tmp"};
    sim_fault_add(fixture.sim, &fault);
    assert_int_equal(wal_repair(fixture.io, wal_fixture_dir, 0, 0, NULL, NULL, &fixture.err),
                     WF_IO);
    assert_int_equal(wal_fixture_try_open(&fixture, 15, NULL), WF_DAMAGE);
    assert_int_equal(repair(&fixture, 15, 0).lost, 1);
    check_repaired(&fixture, 15, 1);
    wal_fixture_deinit(&fixture);
}

static void test_wal_repair_wipes_what_it_covers(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    wal_fixture_commit(&fixture, 8);
    struct wal_ticket ticket = wal_fixture_commit(&fixture, 1); /* LSN 9: 64 bytes of payload */
    wal_fixture_commit(&fixture, 1);
    wal_fixture_close(&fixture);
    repair(&fixture, 0, 9);
    size_t size;
    uint8_t *bytes = wal_fixture_load(&fixture, wal_fixture_segment(1), &size);
    for (uint64_t i = ticket.offset + 48; i < ticket.offset + 104; i++)
        assert_int_equal(bytes[i], 0);
    free(bytes);
    wal_fixture_deinit(&fixture);
}

static void test_wal_repair_drops_a_good_record_on_command(void **state) {
    (void)state;
    struct wal_fixture fixture;
    init_three(&fixture);
    struct findings findings = repair(&fixture, 0, 8);
    assert_int_equal(findings.count, 1);
    assert_int_equal(findings.first.first_lsn, 8);
    check_repaired(&fixture, 15, 1);
    wal_fixture_close(&fixture);
    assert_int_equal(wal_repair(fixture.io, wal_fixture_dir, 0, 99, NULL, NULL, &fixture.err),
                     WF_NOT_FOUND);
    wal_fixture_deinit(&fixture);
}

static void test_wal_repair_tells_a_torn_tail_and_leaves_it_to_recovery(void **state) {
    (void)state;
    struct wal_fixture fixture;
    wal_fixture_init(&fixture);
    struct wal_ticket ticket = wal_fixture_commit(&fixture, 3);
    wal_fixture_close(&fixture);
    rot(&fixture, 1, ticket.offset + 41);
    struct findings told = repair(&fixture, 0, 0);
    assert_int_equal(told.count, 1);
    assert_int_equal(told.first.kind, WAL_FINDING_TORN);
    wal_fixture_open(&fixture);
    assert_int_equal(fixture.seen_count, 2);
    wal_fixture_deinit(&fixture);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wal_verify_finds_nothing_in_a_sound_log),
        cmocka_unit_test(test_wal_verify_goes_on_behind_damage),
        cmocka_unit_test(test_wal_verify_tells_torn_from_damaged),
        cmocka_unit_test(test_wal_repair_mends_a_header_beside_a_file_of_elsewhere),
        cmocka_unit_test(test_wal_verify_counts_the_records_of_a_segment),
        cmocka_unit_test(test_wal_verify_recomputes_the_merkle_root),
        cmocka_unit_test(test_wal_repair_checks_the_seal_before_a_misplaced_segment),
        cmocka_unit_test(test_wal_walk_file_reads_one_segment_on_its_own),
        cmocka_unit_test(test_wal_repair_leaves_a_sound_log_alone),
        cmocka_unit_test(test_wal_repair_keeps_a_copy_of_what_was_damaged),
        cmocka_unit_test(test_wal_repair_moves_no_other_record),
        cmocka_unit_test(test_wal_repair_ends_well_for_every_kind_of_damage),
        cmocka_unit_test(test_wal_repair_interrupted_anywhere_ends_well_the_next_time),
        cmocka_unit_test(test_wal_repair_whose_sync_fails_changes_nothing),
        cmocka_unit_test(test_wal_repair_wipes_what_it_covers),
        cmocka_unit_test(test_wal_repair_drops_a_good_record_on_command),
        cmocka_unit_test(test_wal_repair_tells_a_torn_tail_and_leaves_it_to_recovery),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
