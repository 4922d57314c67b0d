/* Archived segments: everything is as it was before, damage is refused by its LSNs, and a crash at
 * any instant leaves nothing missing: engine/archive.c, store/archive*.c. */
#include "tests/lib/engine_fixture.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LOANS = 60, STEPS = 5, LOANS_OF_A_SEGMENT = 26 };

/* Loans whose records fill a few of the smallest segments. */
static void fill(struct engine_fixture *f, int loans) {
    char id[16];
    static char long_text[4000];
    memset(long_text, 'x', sizeof long_text - 1);
    for (int i = 0; i < loans; i++) {
        fixture_loan(f, fixture_id(i, id), i % (STEPS + 1));
        struct wf_field field = {.name = "note", .value = long_text};
        char other[24];
        (void)snprintf(other, sizeof other, "N%04d", i);
        struct wf_command start = {.kind = WF_WORKFLOW_START,
                                   .id = other,
                                   .type = "loan_application",
                                   .actor = "clerk",
                                   .key = other,
                                   .fields = &field,
                                   .field_count = 1};
        must(f, wf_execute(f->engine, &start, NULL, &f->err));
    }
}

static int setup(void **state) {
    static struct engine_fixture fixture;
    fixture_init_disk(&fixture);
    fill(&fixture, LOANS);
    *state = &fixture;
    return 0;
}

static enum wf_status try_archive(struct engine_fixture *f, unsigned threads, bool seal,
                                  struct wf_archive_report *report) {
    struct wf_archive_options options;
    wf_archive_options_init(&options);
    options.snapshot = true;
    options.seal = seal;
    options.threads = threads;
    return wf_archive_run(f->engine, &options, report, &f->err);
}

static void archive(struct engine_fixture *f) {
    struct wf_archive_report report;
    must(f, try_archive(f, 2, false, &report));
    assert_true(report.segments >= 2);
    assert_true(report.bytes_after < report.bytes_before / 4);
}

/* --- the same as before --- */

/* A sum over everything that an event says. */
struct sum {
    uint64_t events, hash;
};

static void add_text(struct sum *sum, const char *text) {
    for (const char *at = text == NULL ? "-" : text; *at != '\0'; at++)
        sum->hash = (sum->hash ^ (uint8_t)*at) * 0x100000001b3;
}

static bool add_event(void *ctx, const struct wf_event *event) {
    struct sum *sum = ctx;
    sum->events++;
    sum->hash = (sum->hash ^ event->lsn ^ (uint64_t)event->time_ms) * 0x100000001b3;
    add_text(sum, event->event);
    add_text(sum, event->subject);
    add_text(sum, event->stage);
    add_text(sum, event->actor);
    add_text(sum, event->key);
    for (size_t i = 0; i < event->data_count; i++)
        add_text(sum, event->data[i].value);
    return true;
}

/* All that can be asked about the past. */
struct past {
    struct sum all, history, middle;
    char as_of[512];
    struct wf_tree_head head;
    char state_hash[65];
};

static void ask(struct engine_fixture *f, struct past *past) {
    *past = (struct past){.all.hash = 1};
    must(f, wf_replay(f->engine, 1, UINT64_MAX, NULL, add_event, &past->all, &f->err));
    must(f, wf_replay(f->engine, 100, 120, NULL, add_event, &past->middle, &f->err));
    for (int i = 0; i < 26; i++) { /* as many as every test has */
        char id[16];
        must(f,
             wf_workflow_history(f->engine, fixture_id(i, id), add_event, &past->history, &f->err));
    }
    fixture_describe(f, "L0005", 40, past->as_of);
    must(f, wf_audit_root(f->engine, 0, &past->head, &f->err));
    memcpy(past->state_hash, fixture_hash(f), sizeof past->state_hash);
    fixture_verify(f);
}

static void expect_same(struct engine_fixture *f, const struct past *before) {
    struct past now;
    ask(f, &now);
    assert_int_equal(now.all.events, before->all.events);
    assert_int_equal(now.all.hash, before->all.hash);
    assert_int_equal(now.history.hash, before->history.hash);
    assert_int_equal(now.middle.hash, before->middle.hash);
    assert_string_equal(now.as_of, before->as_of);
    assert_int_equal(now.head.size, before->head.size);
    assert_string_equal(now.head.root, before->head.root);
    assert_string_equal(now.state_hash, before->state_hash);
}

static void test_archive_changes_no_answer(void **state) {
    struct engine_fixture *f = *state;
    struct past before;
    ask(f, &before);
    archive(f);
    assert_true(fixture_status(f).archives >= 2);
    expect_same(f, &before);
    fixture_reopen(f, true);
    assert_int_equal(fixture_status(f).replayed, 0);
    expect_same(f, &before);
}

static void test_archive_gives_every_frame_back(void **state) {
    struct engine_fixture *f = *state;
    struct wal_segment_info info;
    assert_true(wal_segment_at(f->engine->wal, 0, &info));
    char path[FIXTURE_PATH_MAX + 200];
    (void)snprintf(path, sizeof path, "%s/wal/%s", f->dir, info.name);
    struct sum live = {.hash = 1};
    struct sum archived = {.hash = 1};
    must(f, wf_replay_file(path, NULL, add_event, &live, &f->err));
    archive(f);
    (void)snprintf(path, sizeof path, "%s/archive/%s.gz", f->dir, info.name);
    must(f, wf_replay_file(path, NULL, add_event, &archived, &f->err));
    assert_int_equal(archived.events, live.events);
    assert_int_equal(archived.hash, live.hash);
}

static void test_archive_rebuilds_the_state_of_a_lost_snapshot(void **state) {
    struct engine_fixture *f = *state;
    struct past before;
    ask(f, &before);
    archive(f);
    fixture_close(f);
    char command[FIXTURE_PATH_MAX + 40];
    (void)snprintf(command, sizeof command, "rm -rf '%s/state'", f->dir);
    assert_int_equal(system(command), 0);
    fixture_open(f);
    assert_int_equal(fixture_status(f).replayed, before.head.size);
    expect_same(f, &before);
}

static void test_archive_goes_on_with_new_records(void **state) {
    struct engine_fixture *f = *state;
    archive(f);
    fixture_loans(f, 1000, 200, 3);
    struct past before;
    struct wf_archive_report report;
    ask(f, &before);
    must(f, try_archive(f, 1, true, &report));
    assert_true(report.segments >= 1);
    expect_same(f, &before);
    must(f, try_archive(f, 1, false, &report));
    assert_int_equal(report.segments, 0); /* nothing is left but the empty newest one */
    fixture_reopen(f, true);
    fixture_loans(f, 2000, 3, 3);
    fixture_verify(f);
}

static void test_archive_keeps_proofs_the_same(void **state) {
    struct engine_fixture *f = *state;
    struct wf_tree_head old;
    struct wf_tree_head head;
    must(f, wf_audit_root(f->engine, 77, &old, &f->err));
    must(f, wf_audit_root(f->engine, 0, &head, &f->err));
    archive(f);
    for (uint64_t lsn = 1; lsn <= head.size; lsn += 13) {
        struct wf_proof proof;
        must(f, wf_audit_prove(f->engine, lsn, 0, &proof, &f->err));
        must(f, wf_audit_check(&proof, head.root, head.size, &f->err));
        wf_proof_deinit(&proof);
    }
    struct wf_proof proof;
    must(f, wf_audit_prove_consistency(f->engine, &old, &proof, &f->err));
    must(f, wf_audit_check(&proof, old.root, 77, &f->err));
    for (uint64_t size = 1; size < head.size; size += 29) { /* inside pieces, too */
        must(f, wf_audit_root(f->engine, size, &old, &f->err));
        must(f, wf_audit_prove_consistency(f->engine, &old, &proof, &f->err));
        must(f, wf_audit_check(&proof, head.root, head.size, &f->err));
    }
}

static void test_archive_is_backed_up(void **state) {
    struct engine_fixture *f = *state;
    struct past before;
    ask(f, &before);
    archive(f);
    fixture_close(f);
    char to[FIXTURE_PATH_MAX + 40];
    (void)snprintf(to, sizeof to, "%s/copy", f->root);
    must(f, wf_backup(f->dir, to, NULL, &f->err));
    struct wf_log_report report;
    must(f, wf_audit_verify(to, &before.head, NULL, NULL, &report, NULL, NULL, &f->err));
    assert_int_equal(report.records, before.head.size);
    (void)snprintf(f->dir, sizeof f->dir, "%s/copy", f->root);
    fixture_open(f);
    expect_same(f, &before);
}

static void test_archive_policies_choose_by_count_age_and_size(void **state) {
    struct engine_fixture *f = *state;
    struct wf_archive_options options;
    struct wf_archive_report report;
    size_t count = wal_segment_count(f->engine->wal);
    assert_true(count >= 4);
    wf_archive_options_init(&options);
    options.snapshot = true;
    options.keep_segments = count - 1;
    must(f, wf_archive_run(f->engine, &options, &report, &f->err));
    assert_int_equal(report.segments, 1);
    options.keep_segments = 0;
    options.older_than_ms = 3600000;
    must(f, wf_archive_run(f->engine, &options, &report, &f->err));
    assert_int_equal(report.segments, 0); /* all of it was written just now */
    options.max_bytes = (count - 2) * UINT64_C(66000);
    must(f, wf_archive_run(f->engine, &options, &report, &f->err));
    assert_true(report.segments >= 1 && report.segments < count - 1);
    struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 7200000};
    must(f, wf_execute(f->engine, &advance, NULL, &f->err));
    options.max_bytes = 0;
    must(f, wf_archive_run(f->engine, &options, &report, &f->err));
    assert_int_equal(wal_segment_count(f->engine->wal), 1);
    fixture_verify(f);
}

static void test_archive_waits_for_the_snapshot(void **state) {
    struct engine_fixture *f = *state;
    struct wf_archive_report report;
    must(f, wf_archive_run(f->engine, NULL, &report, &f->err));
    assert_int_equal(report.segments, 0);
}

/* --- damage --- */

static char *read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    char *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, 1 << 20, file);
    (void)fclose(file);
    return bytes;
}

static void write_file(const char *path, const char *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

/* Archived and closed; the path of archive `index`, and its LSNs. */
static void archive_and_close(struct engine_fixture *f, size_t index, char *path, size_t size,
                              struct archive_entry *entry) {
    archive(f);
    assert_true(archive_at(f->engine->archive, index, entry));
    (void)snprintf(path, size, "%s/archive/%s", f->dir, entry->name);
    fixture_close(f);
}

static void expect_damage(struct engine_fixture *f, const struct archive_entry *entry,
                          const char *what) {
    struct wf_log_report report;
    uint64_t first_bad = 0;
    enum wf_status status =
        wf_audit_verify(f->dir, NULL, NULL, NULL, &report, NULL, &first_bad, &f->err);
    if (status != WF_DAMAGE)
        fail_msg("%s passed: %s", what, wf_status_code(status));
    if (first_bad < entry->first_lsn || first_bad > entry->last_lsn)
        fail_msg("%s: LSN %" PRIu64 " is named: %s", what, first_bad, f->err.text);
}

static void test_archive_damage_is_named_wherever_it_is(void **state) {
    struct engine_fixture *f = *state;
    char path[FIXTURE_PATH_MAX + 200];
    struct archive_entry entry;
    size_t size;
    archive_and_close(f, 1, path, sizeof path, &entry);
    char *bytes = read_file(path, &size);
    for (size_t i = 0; i < size; i += 5) {
        char what[64];
        (void)snprintf(what, sizeof what, "bit %zu of byte %zu of %zu", i % 8, i, size);
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
        write_file(path, bytes, size);
        expect_damage(f, &entry, what);
        bytes[i] = (char)(bytes[i] ^ 1 << i % 8);
    }
    for (size_t cut = 0; cut < size; cut += 197) {
        write_file(path, bytes, cut);
        expect_damage(f, &entry, "a cut");
    }
    char *longer = calloc(1, size + 64);
    memcpy(longer, bytes, size);
    write_file(path, longer, size + 64);
    expect_damage(f, &entry, "an addition");
    assert_int_equal(remove(path), 0);
    expect_damage(f, &entry, "a missing file");
    free(longer);
    free(bytes);
}

static void test_archive_swapped_files_are_named(void **state) {
    struct engine_fixture *f = *state;
    char path[FIXTURE_PATH_MAX + 200];
    char other[FIXTURE_PATH_MAX + 200];
    char aside[FIXTURE_PATH_MAX + 40];
    struct archive_entry entry;
    struct archive_entry second;
    archive(f);
    assert_true(archive_at(f->engine->archive, 0, &entry));
    assert_true(archive_at(f->engine->archive, 1, &second));
    (void)snprintf(path, sizeof path, "%s/archive/%s", f->dir, entry.name);
    (void)snprintf(other, sizeof other, "%s/archive/%s", f->dir, second.name);
    (void)snprintf(aside, sizeof aside, "%s/aside", f->root);
    fixture_close(f);
    assert_int_equal(rename(path, aside), 0);
    assert_int_equal(rename(other, path), 0);
    assert_int_equal(rename(aside, other), 0);
    expect_damage(f, &entry, "a swap of files");
}

static void test_archive_manifest_damage_is_seen(void **state) {
    struct engine_fixture *f = *state;
    char path[FIXTURE_PATH_MAX + 200];
    struct archive_entry entry;
    size_t size;
    archive_and_close(f, 0, path, sizeof path, &entry);
    (void)snprintf(path, sizeof path, "%s/archive/manifest", f->dir);
    char *bytes = read_file(path, &size);
    for (size_t i = 0; i < size; i += 11) {
        bytes[i] = (char)(bytes[i] ^ 0x20);
        write_file(path, bytes, size);
        entry.last_lsn = 1; /* the beginning of it all is in question */
        entry.first_lsn = 1;
        expect_damage(f, &entry, "a byte of the manifest");
        bytes[i] = (char)(bytes[i] ^ 0x20);
    }
    assert_int_equal(remove(path), 0);
    expect_damage(f, &entry, "a missing manifest");
    fixture_open(f); /* the present is there all the same */
    write_file(path, bytes, size);
    free(bytes);
}

/* Reading refuses what is damaged, and only that. */
static void test_archive_refuses_the_damaged_range_only(void **state) {
    struct engine_fixture *f = *state;
    char path[FIXTURE_PATH_MAX + 200];
    struct archive_entry entry;
    size_t size;
    archive_and_close(f, 1, path, sizeof path, &entry);
    char *bytes = read_file(path, &size);
    bytes[size / 2] = (char)(bytes[size / 2] ^ 0x10);
    write_file(path, bytes, size);
    free(bytes);
    fixture_open(f);
    struct sum sum = {.hash = 1};
    must(f, wf_replay(f->engine, 1, entry.first_lsn - 1, NULL, add_event, &sum, &f->err));
    must(f, wf_replay(f->engine, entry.last_lsn + 1, UINT64_MAX, NULL, add_event, &sum, &f->err));
    assert_int_equal(
        wf_replay(f->engine, entry.first_lsn, entry.last_lsn, NULL, add_event, &sum, &f->err),
        WF_DAMAGE);
    assert_non_null(strstr(f->err.text, entry.name));
}

/* --- crashes --- */

/* No file but those that the manifest names. */
static bool count_name(void *ctx, const char *name) {
    (void)name;
    (*(size_t *)ctx)++;
    return true;
}

static void expect_tidy(struct engine_fixture *f) {
    struct io *io = f->engine->io;
    size_t names = 0;
    must(f, io->ops->list(io, f->engine->archive_dir, count_name, &names, &f->err));
    assert_int_equal(names, archive_count(f->engine->archive) + 1);
    size_t segments = 0;
    must(f, io->ops->list(io, f->engine->wal_dir, count_name, &segments, &f->err));
    assert_int_equal(segments, wal_segment_count(f->engine->wal));
}

/* What a crash takes of the changes that no sync has covered. */
enum loss { LOSE_NOTHING, LOSE_ALL, LOSE_THE_THIRD_NEWEST, KEEP_THE_NEWEST };

static size_t choice_of(enum loss loss, struct sim_io *sim) {
    size_t pending = sim_pending_count(sim);
    switch (loss) {
    case LOSE_NOTHING:
        return SIZE_MAX;
    case LOSE_THE_THIRD_NEWEST:
        return pending < 3 ? 0 : sim_crash_choice(sim, pending - 3, false);
    case KEEP_THE_NEWEST:
        return pending == 0 ? 0 : sim_crash_choice(sim, pending - 1, true);
    case LOSE_ALL:
        break;
    }
    return 0;
}

/* The process dies, or the machine, before the `stop`-th change of the disk. False: it came to its
 * end before. */
static bool archive_and_die(struct engine_fixture *f, unsigned threads, uint64_t stop,
                            enum loss loss, const struct past *before) {
    sim_stop_at(f->sim, sim_boundaries(f->sim) + stop);
    struct wf_archive_report report;
    enum wf_status status = try_archive(f, threads, false, &report);
    bool died = sim_is_dead(f->sim);
    assert_true(died || status == WF_OK);
    sim_stop_at(f->sim, 0);
    fixture_crash(f, choice_of(loss, f->sim));
    fixture_open(f);
    expect_same(f, before);
    must(f, try_archive(f, 1, false, &report));
    assert_int_equal(wal_segment_count(f->engine->wal), 1);
    expect_tidy(f);
    expect_same(f, before);
    return died;
}

static void sweep_crashes(unsigned threads, enum loss loss) {
    uint64_t deaths = 0;
    bool died = true;
    for (uint64_t stop = 1; died; stop++) {
        struct engine_fixture fixture;
        struct past before;
        fixture_init_sim(&fixture);
        fill(&fixture, LOANS_OF_A_SEGMENT * (int)threads);
        must(&fixture, wf_snapshot(fixture.engine, &fixture.err));
        ask(&fixture, &before);
        died = archive_and_die(&fixture, threads, stop, loss, &before);
        deaths += died;
        fixture_deinit(&fixture);
    }
    assert_true(deaths > 10);
}

static void test_archive_survives_a_kill_before_every_call(void **state) {
    (void)state;
    sweep_crashes(1, LOSE_NOTHING);
}

static void test_archive_survives_a_power_cut_before_every_call(void **state) {
    (void)state;
    sweep_crashes(1, LOSE_ALL);
}

/* One segment is compressed while another leaves the log: calls of the two in any order. */
static void test_archive_survives_a_power_cut_while_two_segments_are_on_their_way(void **state) {
    (void)state;
    sweep_crashes(2, LOSE_ALL);
}

/* Names reach the disk in any order: the manifest's, say, before that of the archive it names. */
static void test_archive_survives_a_power_cut_that_keeps_the_newest_first(void **state) {
    (void)state;
    sweep_crashes(1, LOSE_THE_THIRD_NEWEST);
    sweep_crashes(1, KEEP_THE_NEWEST);
}

/* What was written is read again before the segment goes: where the two differ, the segment stays.
 */
static void read_back_otherwise(unsigned threads) {
    struct engine_fixture fixture;
    struct past before;
    struct wf_archive_report report;
    fixture_init_sim(&fixture);
    fill(&fixture, LOANS_OF_A_SEGMENT * (int)threads);
    must(&fixture, wf_snapshot(fixture.engine, &fixture.err));
    ask(&fixture, &before);
    size_t segments = wal_segment_count(fixture.engine->wal);
    assert_true(segments > threads);
    struct sim_fault flip = {
        .op = SIM_READ, .kind = SIM_FAULT_FLIP, .path = ".seg.gz", .amount = 100};
    sim_fault_add(fixture.sim, &flip);
    assert_int_equal(try_archive(&fixture, threads, false, &report), WF_IO);
    assert_non_null(strstr(fixture.err.text, "reads back otherwise"));
    assert_non_null(strstr(fixture.err.text, "00000000000000000001.seg.gz")); /* the first one */
    sim_fault_clear(fixture.sim);
    assert_int_equal(report.segments, 0);
    assert_int_equal(wal_segment_count(fixture.engine->wal), segments);
    assert_int_equal(archive_count(fixture.engine->archive), 0);
    must(&fixture, try_archive(&fixture, threads, false, &report));
    assert_int_equal(report.segments, segments - 1);
    expect_tidy(&fixture);
    expect_same(&fixture, &before);
    fixture_deinit(&fixture);
}

/* Also while the next segment is compressed. */
static void test_archive_that_reads_back_otherwise_costs_no_segment(void **state) {
    (void)state;
    read_back_otherwise(1);
    read_back_otherwise(2);
}

static void test_archive_survives_a_full_disk(void **state) {
    (void)state;
    struct engine_fixture fixture;
    struct past before;
    struct wf_archive_report report;
    fixture_init_sim(&fixture);
    fill(&fixture, LOANS_OF_A_SEGMENT);
    must(&fixture, wf_snapshot(fixture.engine, &fixture.err));
    ask(&fixture, &before);
    sim_set_free_bytes(fixture.sim, 500);
    assert_int_equal(try_archive(&fixture, 1, false, &report), WF_FULL);
    expect_same(&fixture, &before);
    sim_set_free_bytes(fixture.sim, UINT64_MAX);
    must(&fixture, try_archive(&fixture, 1, false, &report));
    expect_tidy(&fixture);
    expect_same(&fixture, &before);
    fixture_deinit(&fixture);
}

#define ARCHIVED(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        ARCHIVED(test_archive_changes_no_answer),
        ARCHIVED(test_archive_gives_every_frame_back),
        ARCHIVED(test_archive_rebuilds_the_state_of_a_lost_snapshot),
        ARCHIVED(test_archive_goes_on_with_new_records),
        ARCHIVED(test_archive_keeps_proofs_the_same),
        ARCHIVED(test_archive_is_backed_up),
        ARCHIVED(test_archive_policies_choose_by_count_age_and_size),
        ARCHIVED(test_archive_waits_for_the_snapshot),
        ARCHIVED(test_archive_damage_is_named_wherever_it_is),
        ARCHIVED(test_archive_swapped_files_are_named),
        ARCHIVED(test_archive_manifest_damage_is_seen),
        ARCHIVED(test_archive_refuses_the_damaged_range_only),
        cmocka_unit_test(test_archive_survives_a_kill_before_every_call),
        cmocka_unit_test(test_archive_survives_a_power_cut_before_every_call),
        cmocka_unit_test(test_archive_that_reads_back_otherwise_costs_no_segment),
        cmocka_unit_test(test_archive_survives_a_power_cut_while_two_segments_are_on_their_way),
        cmocka_unit_test(test_archive_survives_a_power_cut_that_keeps_the_newest_first),
        cmocka_unit_test(test_archive_survives_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
