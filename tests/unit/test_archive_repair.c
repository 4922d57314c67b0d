/* A manifest that is damaged or lost is made anew from the archives, which describe themselves, and
 * until then nothing of them is taken for the remains of a crash: engine/archive_repair.c,
 * store/archive_rebuild.c. */
#include "tests/lib/engine_fixture.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BYTES_MAX = 1 << 20 };

struct repair {
    struct engine_fixture f;
    struct wf_tree_head head;
    char manifest[FIXTURE_PATH_MAX + 40];
    uint8_t bytes[BYTES_MAX]; /* of the manifest as it was */
    size_t size;
    struct archive_entry entries[3];
};

static void start_large(struct engine_fixture *f, int first, int count) {
    static char long_text[6000];
    memset(long_text, 'x', sizeof long_text - 1);
    struct wf_field field = {.name = "note", .value = long_text};
    for (int i = first; i < first + count; i++) {
        char id[16];
        struct wf_command start = {.kind = WF_WORKFLOW_START,
                                   .id = fixture_id(i, id),
                                   .type = "loan_application",
                                   .fields = &field,
                                   .field_count = 1};
        must(f, wf_execute(f->engine, &start, NULL, &f->err));
    }
}

static void archive_all(struct engine_fixture *f) {
    struct wf_archive_options options;
    wf_archive_options_init(&options);
    options.snapshot = true;
    options.threads = 1;
    must(f, wf_archive_run(f->engine, &options, NULL, &f->err));
}

static size_t read_file(const char *path, uint8_t bytes[BYTES_MAX]) {
    FILE *file = fopen(path, "rb");
    if (file == NULL)
        return 0;
    size_t size = fread(bytes, 1, BYTES_MAX, file);
    (void)fclose(file);
    return size;
}

static void write_file(const char *path, const uint8_t *bytes, size_t size) {
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void keep_manifest(struct repair *repair) {
    (void)snprintf(repair->manifest, sizeof repair->manifest, "%s/archive/manifest", repair->f.dir);
    repair->size = read_file(repair->manifest, repair->bytes);
    assert_true(repair->size > 100);
}

static int setup(void **state) {
    static struct repair repair;
    struct engine_fixture *f = &repair.f;
    fixture_init_disk(f);
    start_large(f, 0, 40);
    archive_all(f);
    start_large(f, 40, 2);
    for (size_t i = 0; i < 3; i++)
        assert_true(archive_at(f->engine->archive, i, &repair.entries[i]));
    must(f, wf_audit_root(f->engine, 0, &repair.head, &f->err));
    keep_manifest(&repair);
    *state = &repair;
    return 0;
}

static int teardown(void **state) {
    struct repair *repair = *state;
    fixture_deinit(&repair->f);
    return 0;
}

struct told {
    unsigned count;
    char text[2000];
};

static bool tell(void *ctx, const struct wf_finding *finding) {
    struct told *told = ctx;
    size_t used = strlen(told->text);
    told->count++;
    (void)snprintf(told->text + used, sizeof told->text - used, "%s: %s\n", finding->segment,
                   finding->text);
    return true;
}

static struct told mend(struct repair *repair) {
    struct told told = {.count = 0};
    struct wf_log_report report;
    must(&repair->f, wf_log_repair(repair->f.dir, 0, tell, &told, &report, &repair->f.err));
    return told;
}

/* The same, where something is left that must be put back from elsewhere. */
static struct told mend_in_part(struct repair *repair) {
    struct told told = {.count = 0};
    struct wf_log_report report;
    struct wf_error *err = &repair->f.err;
    assert_int_equal(wf_log_repair(repair->f.dir, 0, tell, &told, &report, err), WF_DAMAGE);
    assert_non_null(strstr(err->text, "a repair cannot make that anew; put it back"));
    assert_int_equal(report.lost.records, 0);
    return told;
}

static void expect_plan_says_so(struct repair *repair) {
    struct wf_log_report report;
    struct wf_error *err = &repair->f.err;
    assert_int_equal(wf_log_repair_plan(repair->f.dir, 0, NULL, NULL, &report, err), WF_DAMAGE);
    assert_non_null(strstr(err->text, "a repair cannot make that anew; put it back"));
    assert_int_equal(report.lost.records, 0);
}

static void expect_same_manifest(struct repair *repair) {
    static uint8_t now[BYTES_MAX];
    assert_int_equal(read_file(repair->manifest, now), repair->size);
    assert_memory_equal(now, repair->bytes, repair->size);
}

static void expect_whole(struct repair *repair) {
    struct engine_fixture *f = &repair->f;
    struct wf_tree_head head;
    struct wf_log_report report;
    fixture_open(f);
    must(f, wf_audit_root(f->engine, repair->head.size, &head, &f->err));
    assert_string_equal(head.root, repair->head.root);
    fixture_verify(f);
    fixture_close(f);
    must(f, wf_audit_verify(f->dir, &repair->head, NULL, NULL, &report, NULL, NULL, &f->err));
    assert_int_equal(mend(repair).count, 0); /* and nothing is left to do */
}

static void test_archive_repair_makes_a_damaged_manifest_anew(void **state) {
    struct repair *repair = *state;
    fixture_close(&repair->f);
    repair->bytes[77] ^= 8;
    write_file(repair->manifest, repair->bytes, repair->size);
    repair->bytes[77] ^= 8;
    struct told told = mend(repair);
    assert_int_equal(told.count, 1);
    assert_non_null(strstr(told.text, "archive/manifest: it did not say what is there"));
    expect_same_manifest(repair);
    expect_whole(repair);
}

static void test_archive_repair_makes_a_lost_manifest_anew(void **state) {
    struct repair *repair = *state;
    fixture_close(&repair->f);
    assert_int_equal(remove(repair->manifest), 0);
    assert_int_equal(mend(repair).count, 1);
    expect_same_manifest(repair);
    expect_whole(repair);
}

static void test_archive_without_its_manifest_is_left_alone(void **state) {
    struct repair *repair = *state;
    struct engine_fixture *f = &repair->f;
    struct wf_archive_options options;
    fixture_close(f);
    assert_int_equal(remove(repair->manifest), 0);
    fixture_open(f);
    wf_archive_options_init(&options);
    options.snapshot = options.seal = true;
    assert_int_equal(wf_archive_run(f->engine, &options, NULL, &f->err), WF_DAMAGE);
    assert_non_null(strstr(f->err.text, "wal repair"));
    fixture_close(f);
    (void)mend(repair);
    expect_same_manifest(repair);
    expect_whole(repair);
}

static void test_archive_repair_knows_what_was_dropped(void **state) {
    struct repair *repair = *state;
    struct engine_fixture *f = &repair->f;
    const struct wf_archive_drop drop = {.before_lsn = repair->entries[1].last_lsn + 1,
                                         .actor = "ann",
                                         .reason = "ten years are over"};
    struct archive_entry range;
    must(f, wf_archive_drop(f->engine, &drop, NULL, &f->err));
    fixture_close(f);
    assert_int_equal(remove(repair->manifest), 0);
    fixture_open(f); /* takes nothing for remains */
    fixture_close(f);
    assert_int_equal(mend(repair).count, 1);
    expect_whole(repair);
    fixture_open(f);
    assert_true(archive_dropped(f->engine->archive, 3, &range));
    assert_int_equal(range.last_lsn, repair->entries[1].last_lsn);
    assert_string_equal(range.dropped_by, "ann");
    assert_int_equal(range.dropped_lsn, fixture_status(f).drop_lsn);
}

static void test_archive_repair_when_all_was_dropped(void **state) {
    struct repair *repair = *state;
    struct engine_fixture *f = &repair->f;
    const struct wf_archive_drop drop = {
        .before_lsn = UINT64_MAX, .actor = "ann", .reason = "ten years are over"};
    must(f, wf_archive_drop(f->engine, &drop, NULL, &f->err));
    fixture_close(f);
    repair->bytes[20] ^= 8;
    write_file(repair->manifest, repair->bytes, repair->size);
    assert_int_equal(mend(repair).count, 1);
    expect_whole(repair);
    fixture_open(f);
    start_large(f, 50, 30);
    archive_all(f); /* goes on behind what was dropped */
    fixture_verify(f);
}

static void test_archive_repair_keeps_an_archive_with_a_damaged_block(void **state) {
    struct repair *repair = *state;
    struct engine_fixture *f = &repair->f;
    static uint8_t bytes[BYTES_MAX];
    char path[FIXTURE_PATH_MAX + 200];
    uint64_t first_bad = 0;
    struct wf_log_report report;
    struct wf_tree_head head;
    fixture_close(f);
    (void)snprintf(path, sizeof path, "%s/archive/%s", f->dir, repair->entries[1].name);
    size_t size = read_file(path, bytes);
    bytes[repair->entries[1].index_offset / 2] ^= 8;
    write_file(path, bytes, size);
    assert_int_equal(remove(repair->manifest), 0);
    (void)mend_in_part(repair);
    assert_non_null(strstr(f->err.text, repair->entries[1].name));
    expect_plan_says_so(repair);
    assert_int_equal(wf_audit_verify(f->dir, NULL, NULL, NULL, &report, NULL, &first_bad, &f->err),
                     WF_DAMAGE);
    assert_in_range(first_bad, repair->entries[1].first_lsn, repair->entries[1].last_lsn);
    fixture_open(f);
    must(f, wf_audit_root(f->engine, repair->head.size, &head, &f->err));
    assert_string_equal(head.root, repair->head.root); /* by the hashes of the index */
}

static void test_archive_repair_tells_what_it_must_leave_out(void **state) {
    struct repair *repair = *state;
    struct engine_fixture *f = &repair->f;
    char path[FIXTURE_PATH_MAX + 200];
    fixture_close(f);
    (void)snprintf(path, sizeof path, "%s/archive/%s", f->dir, repair->entries[1].name);
    assert_int_equal(remove(path), 0);
    assert_int_equal(remove(repair->manifest), 0);
    struct told told = mend_in_part(repair);
    assert_int_equal(told.count, 3);
    assert_non_null(strstr(told.text, "the archive behind these is missing"));
    assert_non_null(strstr(told.text, "are in no segment and no archive"));
    fixture_open(f);
    assert_int_equal(archive_first_lsn(f->engine->archive), repair->entries[2].first_lsn);
}

/* What a repair would do with a lost manifest it says beforehand, and calls nothing lost. */
static void test_archive_repair_plans_a_manifest(void **state) {
    struct repair *repair = *state;
    struct engine_fixture *f = &repair->f;
    struct told told = {.count = 0};
    struct wf_log_report report;
    fixture_close(f);
    assert_int_equal(remove(repair->manifest), 0);
    must(f, wf_log_repair_plan(f->dir, 0, tell, &told, &report, &f->err));
    assert_non_null(strstr(told.text, "archive/manifest: it does not say what is there"));
    assert_int_equal(report.lost.records, 0);
    assert_int_equal(mend(repair).count, 1);
    expect_same_manifest(repair);
}

static void test_archive_that_is_gone_is_no_repairs_work(void **state) {
    struct repair *repair = *state;
    struct engine_fixture *f = &repair->f;
    char command[FIXTURE_PATH_MAX + 60];
    fixture_close(f);
    (void)snprintf(command, sizeof command, "rm -r '%s/archive'", f->dir);
    assert_int_equal(system(command), 0);
    expect_plan_says_so(repair);
    assert_int_equal(mend_in_part(repair).count, 1);
    fixture_open(f); /* by its snapshot */
    fixture_close(f);
    (void)snprintf(command, sizeof command, "rm -r '%s/state'", f->dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(fixture_try_open(f), WF_DAMAGE);
    assert_non_null(strstr(f->err.text, "are in no archive: put archive/ back as it was"));
}

#define REPAIRED(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        REPAIRED(test_archive_repair_makes_a_damaged_manifest_anew),
        REPAIRED(test_archive_repair_makes_a_lost_manifest_anew),
        REPAIRED(test_archive_without_its_manifest_is_left_alone),
        REPAIRED(test_archive_repair_knows_what_was_dropped),
        REPAIRED(test_archive_repair_when_all_was_dropped),
        REPAIRED(test_archive_repair_keeps_an_archive_with_a_damaged_block),
        REPAIRED(test_archive_repair_tells_what_it_must_leave_out),
        REPAIRED(test_archive_repair_plans_a_manifest),
        REPAIRED(test_archive_that_is_gone_is_no_repairs_work),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
