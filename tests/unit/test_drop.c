/* Archives dropped for good: what remains stays provable, what is gone is known to be gone, by whom
 * and why; a crash at any instant leaves all of it or a drop that is carried on: engine/drop.c,
 * engine/origin.c, store/archive_state.c, engine/core/retention.c. */
#include "tests/lib/engine_fixture.h"

#include "store/archive_state.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LOANS = 40 };

static void start_large(struct engine_fixture *f, int number) {
    static char long_text[4000];
    memset(long_text, 'x', sizeof long_text - 1);
    struct wf_field field = {.name = "note", .value = long_text};
    char id[24];
    (void)snprintf(id, sizeof id, "N%04d", number);
    struct wf_command start = {.kind = WF_WORKFLOW_START,
                               .id = id,
                               .type = "loan_application",
                               .key = id,
                               .fields = &field,
                               .field_count = 1};
    must(f, wf_execute(f->engine, &start, NULL, &f->err));
}

static void archive_all(struct engine_fixture *f) {
    struct wf_archive_options options;
    struct wf_archive_report report;
    wf_archive_options_init(&options);
    options.snapshot = true;
    options.threads = 1;
    must(f, wf_archive_run(f->engine, &options, &report, &f->err));
    assert_true(report.segments >= 1);
}

/* Loans in a few archives; L0000 began in the first and goes on now and then. */
static void fill(struct engine_fixture *f, int loans) {
    char id[16];
    must(f, fixture_start(f, "L0000", "first"));
    for (int i = 1; i < loans; i++) {
        fixture_loan(f, fixture_id(i, id), i % FIXTURE_STEPS);
        start_large(f, i);
        if (i % (loans / 4) == 0)
            must(f, fixture_submit(f, "L0000", i / (loans / 4) - 1, NULL, NULL));
    }
    archive_all(f);
}

static int setup(void **state) {
    static struct engine_fixture fixture;
    fixture_init_disk(&fixture);
    fill(&fixture, LOANS);
    *state = &fixture;
    return 0;
}

static struct archive_entry entry_at(struct engine_fixture *f, size_t index) {
    struct archive_entry entry;
    assert_true(archive_at(f->engine->archive, index, &entry));
    return entry;
}

static enum wf_status try_drop(struct engine_fixture *f, uint64_t before_lsn, const char *key,
                               struct wf_archive_dropped *report) {
    const struct wf_archive_drop drop = {
        .before_lsn = before_lsn, .actor = "ann", .reason = "ten years are over", .key = key};
    return wf_archive_drop(f->engine, &drop, report, &f->err);
}

/* The oldest archive; its last LSN. */
static uint64_t drop_first(struct engine_fixture *f) {
    struct wf_archive_dropped report;
    struct archive_entry first = entry_at(f, 0);
    must(f, try_drop(f, first.last_lsn + 1, NULL, &report));
    assert_int_equal(report.segments, 1);
    assert_int_equal(report.first_lsn, 1);
    assert_int_equal(report.last_lsn, first.last_lsn);
    assert_int_equal(report.bytes, first.size);
    return first.last_lsn;
}

static void path_in(struct engine_fixture *f, const char *name, char path[]) {
    (void)snprintf(path, FIXTURE_PATH_MAX + 200, "%s/archive/%s", f->dir, name);
}

static bool is_there(const char *path) {
    FILE *file = fopen(path, "rb");
    if (file != NULL)
        (void)fclose(file);
    return file != NULL;
}

/* --- what the log and the folder say --- */

struct seen {
    char text[6000];
    unsigned events;
};

static bool write_event(void *ctx, const struct wf_event *event) {
    struct seen *seen = ctx;
    size_t used = strlen(seen->text);
    seen->events++;
    if (strcmp(event->command, "archive.drop") == 0) {
        used += (size_t)snprintf(seen->text + used, sizeof seen->text - used,
                                 "%s %s %s:", event->event, event->actor, event->reason);
        for (size_t i = 0; i < event->data_count; i++)
            used += (size_t)snprintf(seen->text + used, sizeof seen->text - used, " %s=%s",
                                     event->data[i].name, event->data[i].value);
        (void)snprintf(seen->text + used, sizeof seen->text - used, "\n");
    }
    return true;
}

static void test_drop_is_recorded_before_the_file_goes(void **state) {
    struct engine_fixture *f = *state;
    char path[FIXTURE_PATH_MAX + 200];
    char words[200];
    struct archive_entry first = entry_at(f, 0);
    struct seen seen = {.events = 0};
    path_in(f, first.name, path);
    assert_true(is_there(path));
    uint64_t last = drop_first(f);
    assert_false(is_there(path));
    struct wf_store_status now = fixture_status(f);
    assert_int_equal(now.dropped_lsn, last);
    must(f, wf_replay(f->engine, now.drop_lsn, now.drop_lsn, NULL, write_event, &seen, &f->err));
    assert_int_equal(seen.events, 2);
    (void)snprintf(words, sizeof words,
                   "archive_dropped ann ten years are over: first_lsn=1 last_lsn=%" PRIu64
                   " state_hash=",
                   last);
    assert_non_null(strstr(seen.text, words));
    (void)snprintf(words, sizeof words,
                   "segment_dropped ann (null): first_lsn=1 last_lsn=%" PRIu64 " root=", last);
    assert_non_null(strstr(seen.text, words));
    struct archive_entry entry = entry_at(f, 0);
    assert_int_equal(entry.dropped_lsn, now.drop_lsn);
    assert_string_equal(entry.dropped_by, "ann");
    assert_memory_equal(entry.root, first.root, WAL_HASH_SIZE);
}

static void test_drop_takes_only_what_lies_wholly_before(void **state) {
    struct engine_fixture *f = *state;
    struct archive_entry second = entry_at(f, 1);
    struct wf_archive_dropped report;
    assert_int_equal(try_drop(f, entry_at(f, 0).last_lsn, NULL, &report), WF_REFUSED);
    must(f, try_drop(f, second.last_lsn, NULL, &report));
    assert_int_equal(report.segments, 1);
    assert_int_equal(try_drop(f, second.last_lsn, NULL, &report), WF_REFUSED);
    must(f, try_drop(f, UINT64_MAX, NULL, &report)); /* all the rest */
    assert_int_equal(report.first_lsn, second.first_lsn);
    assert_int_equal(fixture_status(f).archives, 0);
    fixture_verify(f);
    fixture_reopen(f, true);
    fixture_verify(f);
}

static void test_drop_by_time(void **state) {
    struct engine_fixture *f = *state;
    struct wf_archive_drop drop = {.actor = "ann", .reason = "old"};
    struct wf_archive_dropped report;
    size_t before = archive_count(f->engine->archive);
    struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 7200000};
    must(f, wf_execute(f->engine, &advance, NULL, &f->err));
    for (int i = 100; i < 130; i++)
        start_large(f, i);
    archive_all(f);
    drop.before_ms = entry_at(f, 0).first_ms;
    assert_int_equal(wf_archive_drop(f->engine, &drop, &report, &f->err), WF_REFUSED);
    drop.before_ms = entry_at(f, 0).last_ms + 1;
    must(f, wf_archive_drop(f->engine, &drop, &report, &f->err));
    assert_true(report.segments >= 1 && report.segments <= before);
    assert_true(fixture_status(f).archives >= 1);
}

/* It would drop whatever there is. */
static void test_drop_beyond_the_end_is_refused(void **state) {
    struct engine_fixture *f = *state;
    struct wf_archive_drop drop = {.actor = "ann", .reason = "old"};
    struct wf_archive_dropped plan;
    drop.before_lsn = fixture_status(f).durable_lsn + 2;
    assert_int_equal(wf_archive_drop(f->engine, &drop, NULL, &f->err), WF_REFUSED);
    assert_non_null(strstr(f->err.text, "beyond the end of the log"));
    assert_int_equal(wf_archive_drop_plan(f->engine, &drop, &plan, &f->err), WF_REFUSED);
    drop.before_lsn = 0;
    drop.before_ms = fixture_status(f).now_ms + 1;
    assert_int_equal(wf_archive_drop(f->engine, &drop, NULL, &f->err), WF_REFUSED);
    assert_non_null(strstr(f->err.text, "later than the store's time"));
    assert_int_equal(wf_archive_drop_plan(f->engine, &drop, &plan, &f->err), WF_REFUSED);
    assert_int_equal(fixture_status(f).dropped_lsn, 0);
    drop.before_ms = 0;
    drop.before_lsn = fixture_status(f).durable_lsn + 1;
    must(f, wf_archive_drop(f->engine, &drop, NULL, &f->err));
}

static void test_drop_plan_tells_what_the_drop_then_does(void **state) {
    struct engine_fixture *f = *state;
    const struct wf_archive_drop drop = {.before_lsn = entry_at(f, 0).last_lsn + 1};
    struct wf_archive_dropped plan, report;
    uint64_t last = fixture_status(f).durable_lsn;
    must(f, wf_archive_drop_plan(f->engine, &drop, &plan, &f->err));
    assert_int_equal(plan.lsn, 0);
    assert_int_equal(fixture_status(f).durable_lsn, last);
    assert_int_equal(fixture_status(f).dropped_lsn, 0);
    must(f, try_drop(f, drop.before_lsn, NULL, &report));
    assert_int_equal(plan.segments, report.segments);
    assert_int_equal(plan.first_lsn, report.first_lsn);
    assert_int_equal(plan.last_lsn, report.last_lsn);
    assert_int_equal(plan.bytes, report.bytes);
    assert_int_equal(wf_archive_drop_plan(f->engine, &drop, &plan, &f->err), WF_REFUSED);
}

static void test_drop_needs_an_actor_and_a_reason(void **state) {
    struct engine_fixture *f = *state;
    struct wf_archive_drop drop = {.before_lsn = UINT64_MAX, .actor = "ann"};
    assert_int_equal(wf_archive_drop(f->engine, &drop, NULL, &f->err), WF_USAGE);
    drop = (struct wf_archive_drop){.before_lsn = UINT64_MAX, .reason = "r"};
    assert_int_equal(wf_archive_drop(f->engine, &drop, NULL, &f->err), WF_USAGE);
    drop = (struct wf_archive_drop){.actor = "ann", .reason = "r"};
    assert_int_equal(wf_archive_drop(f->engine, &drop, NULL, &f->err), WF_USAGE);
    assert_int_equal(fixture_status(f).dropped_lsn, 0);
}

static void test_drop_under_a_key_is_done_once(void **state) {
    struct engine_fixture *f = *state;
    struct wf_archive_dropped first;
    struct wf_archive_dropped again;
    uint64_t before = entry_at(f, 0).last_lsn + 1;
    must(f, try_drop(f, before, "k", &first));
    must(f, try_drop(f, before, "k", &again));
    assert_true(again.replayed);
    assert_int_equal(again.lsn, first.lsn);
    assert_int_equal(again.last_lsn, first.last_lsn);
    assert_int_equal(try_drop(f, before + 1, "k", &again), WF_CONFLICT);
}

/* --- what remains --- */

static void test_drop_leaves_the_rest_provable(void **state) {
    struct engine_fixture *f = *state;
    struct wf_tree_head head;
    struct wf_tree_head old;
    struct wf_tree_head after;
    struct wf_proof proof;
    struct wf_log_report report;
    uint64_t boundary = entry_at(f, 0).last_lsn;
    must(f, wf_audit_root(f->engine, 0, &head, &f->err));
    must(f, wf_audit_root(f->engine, boundary + 7, &old, &f->err));
    assert_int_equal(drop_first(f), boundary);
    must(f, wf_audit_root(f->engine, head.size, &after, &f->err));
    assert_string_equal(after.root, head.root);
    for (uint64_t lsn = boundary + 1; lsn <= head.size; lsn += 11) {
        must(f, wf_audit_prove(f->engine, lsn, head.size, &proof, &f->err));
        must(f, wf_audit_check(&proof, head.root, head.size, &f->err));
        wf_proof_deinit(&proof);
    }
    must(f, wf_audit_prove_consistency(f->engine, &old, &proof, &f->err));
    must(f, wf_audit_check(&proof, old.root, old.size, &f->err));
    must(f, wf_audit_verify(f->dir, &old, NULL, NULL, &report, NULL, NULL, &f->err));
    must(f, wf_audit_verify(f->dir, &head, NULL, NULL, &report, NULL, NULL, &f->err));
    old.root[0] = old.root[0] == '0' ? '1' : '0';
    assert_int_equal(wf_audit_verify(f->dir, &old, NULL, NULL, &report, NULL, NULL, &f->err),
                     WF_DAMAGE);
}

/* The hashes that stay tell the roots at the end of each archive, also of those that are gone. */
static void test_drop_keeps_the_roots_at_the_ends_of_archives(void **state) {
    enum { GONE = 2 };
    struct engine_fixture *f = *state;
    struct wf_archive_dropped report;
    struct wf_log_report verified;
    struct wf_tree_head ends[GONE];
    struct wf_tree_head again;
    struct wf_proof proof;
    for (size_t i = 0; i < GONE; i++)
        must(f, wf_audit_root(f->engine, entry_at(f, i).last_lsn, &ends[i], &f->err));
    must(f, try_drop(f, entry_at(f, GONE - 1).last_lsn + 1, NULL, &report));
    assert_int_equal(report.segments, GONE);
    for (size_t i = 0; i < GONE; i++) {
        must(f, wf_audit_root(f->engine, ends[i].size, &again, &f->err));
        assert_string_equal(again.root, ends[i].root);
        must(f, wf_audit_prove_consistency(f->engine, &ends[i], &proof, &f->err));
        must(f, wf_audit_check(&proof, ends[i].root, ends[i].size, &f->err));
        wf_proof_deinit(&proof);
        must(f, wf_audit_verify(f->dir, &ends[i], NULL, NULL, &verified, NULL, NULL, &f->err));
        ends[i].root[0] = ends[i].root[0] == '0' ? '1' : '0';
        assert_int_equal(
            wf_audit_verify(f->dir, &ends[i], NULL, NULL, &verified, NULL, NULL, &f->err),
            WF_DAMAGE);
    }
}

static void test_drop_says_what_cannot_be_proved_any_more(void **state) {
    struct engine_fixture *f = *state;
    struct wf_tree_head old;
    struct wf_proof proof;
    struct wf_log_report report;
    must(f, wf_audit_root(f->engine, 5, &old, &f->err));
    (void)drop_first(f);
    assert_int_equal(wf_audit_prove(f->engine, 3, 0, &proof, &f->err), WF_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "were dropped"));
    assert_int_equal(wf_audit_verify(f->dir, &old, NULL, NULL, &report, NULL, NULL, &f->err),
                     WF_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "were dropped"));
}

static void test_drop_is_told_by_history_replay_and_as_of(void **state) {
    struct engine_fixture *f = *state;
    struct seen seen = {.events = 0};
    struct wf_workflow *workflow = NULL;
    char before[512];
    char after[512];
    uint64_t last = entry_at(f, 0).last_lsn;
    uint64_t later = entry_at(f, 1).first_lsn + 5;
    fixture_describe(f, "L0000", last, before);
    assert_int_equal(drop_first(f), last);
    must(f, wf_workflow_history(f->engine, "L0000", write_event, &seen, &f->err));
    assert_non_null(strstr(seen.text, "records_dropped ann LSN 1 to "));
    assert_true(seen.events > 1);
    seen = (struct seen){.events = 0};
    must(f, wf_replay(f->engine, 2, last + 3, NULL, write_event, &seen, &f->err));
    assert_non_null(strstr(seen.text, "records_dropped ann LSN 1 to "));
    assert_int_equal(wf_workflow_get_as_of(f->engine, "L0000", last - 1, &workflow, &f->err),
                     WF_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "were dropped from the archive by ann"));
    fixture_describe(f, "L0000", last, after);
    assert_string_equal(after, before);
    fixture_describe(f, "L0000", later, after);
    assert_string_not_equal(after, "-");
}

static void test_drop_of_a_time_is_told(void **state) {
    struct engine_fixture *f = *state;
    uint64_t lsn = 0;
    struct archive_entry first = entry_at(f, 0);
    struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 1000};
    must(f, wf_execute(f->engine, &advance, NULL, &f->err));
    must(f, wf_lsn_at(f->engine, first.last_ms + 500, &lsn, &f->err));
    uint64_t newest = lsn;
    struct wf_archive_dropped report;
    must(f, try_drop(f, UINT64_MAX, NULL, &report));
    must(f, wf_lsn_at(f->engine, first.last_ms + 500, &lsn, &f->err));
    assert_int_equal(lsn, newest);
    assert_true(newest >= report.last_lsn);
    must(f, wf_lsn_at(f->engine, first.first_ms - 5000, &lsn, &f->err));
    assert_int_equal(lsn, 0);
}

static void test_drop_does_not_forget_the_keys(void **state) {
    struct engine_fixture *f = *state;
    (void)drop_first(f);
    assert_int_equal(fixture_start(f, "L0000", "first"), WF_REFUSED);
    assert_non_null(strstr(f->err.text, "the key was used, but its first answer cannot be told"));
    assert_int_equal(fixture_start(f, "other", "first"), WF_CONFLICT);
}

static void test_drop_is_carried_into_a_backup(void **state) {
    struct engine_fixture *f = *state;
    char to[FIXTURE_PATH_MAX + 40];
    (void)drop_first(f);
    char hash[65];
    memcpy(hash, fixture_hash(f), sizeof hash);
    fixture_close(f);
    (void)snprintf(to, sizeof to, "%s/copy", f->root);
    must(f, wf_backup(f->dir, to, NULL, &f->err));
    (void)snprintf(f->dir, sizeof f->dir, "%s/copy", f->root);
    fixture_open(f);
    assert_string_equal(fixture_hash(f), hash);
    fixture_verify(f);
}

/* --- the state that stands for what is gone --- */

static void lose_snapshot(struct engine_fixture *f) {
    char command[FIXTURE_PATH_MAX + 40];
    fixture_close(f);
    (void)snprintf(command, sizeof command, "rm -rf '%s/state'", f->dir);
    assert_int_equal(system(command), 0);
}

static void test_drop_lets_a_lost_snapshot_be_rebuilt(void **state) {
    struct engine_fixture *f = *state;
    char hash[65];
    char due[512];
    uint64_t last = drop_first(f);
    memcpy(hash, fixture_hash(f), sizeof hash);
    fixture_describe(f, "L0002", UINT64_MAX, due);
    uint64_t durable = fixture_status(f).durable_lsn;
    lose_snapshot(f);
    fixture_open(f);
    assert_int_equal(fixture_status(f).replayed, durable - last);
    assert_string_equal(fixture_hash(f), hash);
    fixture_reopen(f, true); /* and the next snapshot has all of it */
    assert_int_equal(fixture_status(f).replayed, 0);
    assert_string_equal(fixture_hash(f), hash);
    must(f, wf_snapshot_verify(f->engine, NULL, &f->err));
    /* Timers of workflows that come from there fire, found by the snapshot's order. */
    struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 7 * INT64_C(86400000)};
    must(f, wf_execute(f->engine, &advance, NULL, &f->err));
    char later[512];
    fixture_describe(f, "L0002", UINT64_MAX, later);
    assert_string_not_equal(later, due);
    fixture_verify(f);
}

static void test_drop_again_replaces_the_state_file(void **state) {
    struct engine_fixture *f = *state;
    char old_name[ARCHIVE_STATE_NAME_SIZE];
    char new_name[ARCHIVE_STATE_NAME_SIZE];
    char path[FIXTURE_PATH_MAX + 200];
    struct wf_archive_dropped report;
    archive_state_name(drop_first(f), old_name);
    must(f, try_drop(f, entry_at(f, 1).last_lsn + 1, NULL, &report));
    archive_state_name(report.last_lsn, new_name);
    path_in(f, old_name, path);
    assert_false(is_there(path));
    path_in(f, new_name, path);
    assert_true(is_there(path));
    lose_snapshot(f);
    fixture_open(f);
    fixture_verify(f);
}

static void test_drop_refuses_a_damaged_state_file(void **state) {
    struct engine_fixture *f = *state;
    char name[ARCHIVE_STATE_NAME_SIZE];
    char path[FIXTURE_PATH_MAX + 200];
    char hash[65];
    uint8_t byte;
    archive_state_name(drop_first(f), name);
    path_in(f, name, path);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 200, SEEK_SET), 0);
    assert_int_equal(fread(&byte, 1, 1, file), 1);
    byte ^= 4;
    assert_int_equal(fseek(file, 200, SEEK_SET), 0);
    assert_int_equal(fwrite(&byte, 1, 1, file), 1);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(wf_replay_verify(f->engine, NULL, NULL, hash, &f->err), WF_DAMAGE);
    struct wf_log_report report;
    assert_int_equal(wf_archive_verify(f->dir, NULL, NULL, &report, &f->err), WF_DAMAGE);
    assert_non_null(strstr(f->err.text, name));
    fixture_reopen(f, true); /* with its snapshot the store needs it not */
    lose_snapshot(f);
    assert_int_equal(fixture_try_open(f), WF_DAMAGE);
    assert_non_null(strstr(f->err.text, "were dropped by ann"));
}

static enum wf_status copy_pair(void *ctx, struct bytes_view key, struct bytes_view value,
                                struct wf_error *err) {
    struct archive_state_writer *writer = ctx;
    bool is_victim = key.size == 6 && memcmp(key.data, "\3L0001", 6) == 0;
    return is_victim ? WF_OK : archive_state_add(writer, key, value, err);
}

/* Somebody writes another state, with checksums that hold. */
static void test_drop_verifies_the_state_against_the_record(void **state) {
    struct engine_fixture *f = *state;
    struct archive_state_writer *writer = NULL;
    char hash[65];
    uint64_t last = drop_first(f);
    must(f, archive_state_create(f->engine->archive, last, &writer, &f->err));
    must(f, archive_state_walk(f->engine->archive, last, copy_pair, writer, &f->err));
    must(f, archive_state_commit(writer, &f->err));
    assert_int_equal(wf_replay_verify(f->engine, NULL, NULL, hash, &f->err), WF_DIVERGENCE);
}

/* Another body for a key that later records make the store forget: what a replay comes to is right
 * all the same, and only the record tells. */
static enum wf_status copy_with_other_keys(void *ctx, struct bytes_view key,
                                           struct bytes_view value, struct wf_error *err) {
    enum { IN_THE_HASH = 5, VALUE_MAX = 256 };
    uint8_t changed[VALUE_MAX];
    if (key.data[0] != ENTITY_KEY)
        return archive_state_add(ctx, key, value, err);
    assert_true(IN_THE_HASH < value.size && value.size <= VALUE_MAX);
    memcpy(changed, value.data, value.size);
    changed[IN_THE_HASH] ^= 1;
    return archive_state_add(ctx, key, (struct bytes_view){changed, value.size}, err);
}

static void test_drop_verifies_what_a_replay_would_not_show(void **state) {
    (void)state;
    struct engine_fixture f;
    struct archive_state_writer *writer = NULL;
    char hash[65];
    fixture_init_disk(&f);
    f.options.keys_max = 3;
    fixture_reopen(&f, true);
    fill(&f, LOANS);
    uint64_t last = drop_first(&f);
    must(&f, wf_replay_verify(f.engine, NULL, NULL, hash, &f.err));
    must(&f, archive_state_create(f.engine->archive, last, &writer, &f.err));
    must(&f, archive_state_walk(f.engine->archive, last, copy_with_other_keys, writer, &f.err));
    must(&f, archive_state_commit(writer, &f.err));
    assert_int_equal(wf_replay_verify(f.engine, NULL, NULL, hash, &f.err), WF_DIVERGENCE);
    assert_non_null(strstr(f.err.text, "is not the one that record"));
    fixture_deinit(&f);
}

/* A repair loses the record of the drop: all else goes on, but nothing vouches for the state. */
static void test_drop_whose_record_is_lost_is_told(void **state) {
    struct engine_fixture *f = *state;
    struct wf_log_report report;
    struct wf_archive_dropped again;
    struct wal_segment_info info;
    char hash[65];
    char path[FIXTURE_PATH_MAX + 200];
    static uint8_t bytes[1 << 20];
    uint64_t last = drop_first(f);
    start_large(f, 900);
    assert_true(wal_segment_at(f->engine->wal, wal_segment_count(f->engine->wal) - 1, &info));
    (void)snprintf(path, sizeof path, "%s/wal/%s", f->dir, info.name);
    fixture_close(f);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    uint8_t *words = memmem(bytes, size, "ten years", 9);
    assert_non_null(words);
    words[0] ^= 1;
    rewind(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
    must(f, wf_log_repair(f->dir, 0, NULL, NULL, &report, &f->err));
    wf_log_report_deinit(&report);
    fixture_open(f);
    assert_int_equal(wf_replay_verify(f->engine, NULL, NULL, hash, &f->err), WF_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "the one of the drop was lost in a repair"));
    assert_int_equal(archive_dropped_lsn(f->engine->archive), last);
    must(f, try_drop(f, entry_at(f, 1).last_lsn + 1, NULL, &again));
    assert_int_equal(again.first_lsn, last + 1);
    fixture_verify(f); /* the new record vouches for the new state */
}

/* --- crashes --- */

static bool count_name(void *ctx, const char *name) {
    (void)name;
    (*(size_t *)ctx)++;
    return true;
}

/* The archives that are left, the manifest, and the state where something was dropped. */
static void expect_tidy(struct engine_fixture *f) {
    struct io *io = f->engine->io;
    size_t names = 0;
    must(f, io->ops->list(io, f->engine->archive_dir, count_name, &names, &f->err));
    struct wf_store_status now = fixture_status(f);
    assert_int_equal(names, now.archives + 1 + (now.dropped_lsn != 0));
}

struct before {
    uint64_t boundary;
    struct wf_tree_head head;
    char workflow[512];
};

static void expect_whole(struct engine_fixture *f, const struct before *before) {
    struct wf_tree_head head;
    char workflow[512];
    uint64_t dropped = fixture_status(f).dropped_lsn;
    assert_true(dropped == 0 || dropped == before->boundary);
    assert_int_equal(archive_dropped_lsn(f->engine->archive), dropped);
    must(f, wf_audit_root(f->engine, before->head.size, &head, &f->err));
    assert_string_equal(head.root, before->head.root);
    fixture_describe(f, "L0000", UINT64_MAX, workflow);
    assert_string_equal(workflow, before->workflow);
    fixture_verify(f);
}

static bool drop_and_die(struct engine_fixture *f, uint64_t stop, size_t choice,
                         const struct before *before) {
    struct wf_archive_dropped report;
    sim_stop_at(f->sim, sim_boundaries(f->sim) + stop);
    enum wf_status status = try_drop(f, before->boundary + 1, "k", &report);
    bool died = sim_is_dead(f->sim);
    assert_true(died || status == WF_OK);
    sim_stop_at(f->sim, 0);
    fixture_crash(f, choice);
    fixture_open(f);
    expect_whole(f, before);
    must(f, try_drop(f, before->boundary + 1, "k", &report));
    assert_int_equal(report.last_lsn, before->boundary);
    expect_whole(f, before);
    expect_tidy(f);
    return died;
}

/* SIZE_MAX: a kill; 0: what was not synced is gone; else some of it is, each time another part. */
static void sweep_crashes(size_t choice) {
    uint64_t deaths = 0;
    bool died = true;
    for (uint64_t stop = 1; died; stop++) {
        struct engine_fixture fixture;
        struct before before;
        fixture_init_sim(&fixture);
        fill(&fixture, 24);
        before.boundary = entry_at(&fixture, 0).last_lsn;
        must(&fixture, wf_audit_root(fixture.engine, 0, &before.head, &fixture.err));
        fixture_describe(&fixture, "L0000", UINT64_MAX, before.workflow);
        size_t this_one = choice == 0 || choice == SIZE_MAX ? choice : 1 + stop * choice % 97;
        died = drop_and_die(&fixture, stop, this_one, &before);
        deaths += died;
        fixture_deinit(&fixture);
    }
    assert_true(deaths > 10);
}

static void test_drop_survives_a_kill_before_every_call(void **state) {
    (void)state;
    sweep_crashes(SIZE_MAX);
}

static void test_drop_survives_a_power_cut_before_every_call(void **state) {
    (void)state;
    sweep_crashes(0);
}

static void test_drop_survives_a_power_cut_that_keeps_some(void **state) {
    (void)state;
    sweep_crashes(7);
    sweep_crashes(31);
}

static void test_drop_survives_a_full_disk(void **state) {
    (void)state;
    struct engine_fixture f;
    struct before before;
    struct wf_archive_dropped report;
    fixture_init_sim(&f);
    fill(&f, 24);
    before.boundary = entry_at(&f, 0).last_lsn;
    must(&f, wf_audit_root(f.engine, 0, &before.head, &f.err));
    fixture_describe(&f, "L0000", UINT64_MAX, before.workflow);
    sim_set_free_bytes(f.sim, 300);
    assert_int_equal(try_drop(&f, before.boundary + 1, NULL, &report), WF_FULL);
    sim_set_free_bytes(f.sim, UINT64_MAX);
    assert_int_equal(fixture_status(&f).dropped_lsn, 0);
    expect_whole(&f, &before);
    must(&f, try_drop(&f, before.boundary + 1, NULL, &report));
    expect_whole(&f, &before);
    expect_tidy(&f);
    fixture_deinit(&f);
}

#define DROPPED(test) cmocka_unit_test_setup_teardown(test, setup, fixture_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        DROPPED(test_drop_is_recorded_before_the_file_goes),
        DROPPED(test_drop_takes_only_what_lies_wholly_before),
        DROPPED(test_drop_by_time),
        DROPPED(test_drop_beyond_the_end_is_refused),
        DROPPED(test_drop_plan_tells_what_the_drop_then_does),
        DROPPED(test_drop_needs_an_actor_and_a_reason),
        DROPPED(test_drop_under_a_key_is_done_once),
        DROPPED(test_drop_leaves_the_rest_provable),
        DROPPED(test_drop_keeps_the_roots_at_the_ends_of_archives),
        DROPPED(test_drop_says_what_cannot_be_proved_any_more),
        DROPPED(test_drop_is_told_by_history_replay_and_as_of),
        DROPPED(test_drop_of_a_time_is_told),
        DROPPED(test_drop_does_not_forget_the_keys),
        DROPPED(test_drop_is_carried_into_a_backup),
        DROPPED(test_drop_lets_a_lost_snapshot_be_rebuilt),
        DROPPED(test_drop_again_replaces_the_state_file),
        DROPPED(test_drop_refuses_a_damaged_state_file),
        DROPPED(test_drop_verifies_the_state_against_the_record),
        cmocka_unit_test(test_drop_verifies_what_a_replay_would_not_show),
        DROPPED(test_drop_whose_record_is_lost_is_told),
        cmocka_unit_test(test_drop_survives_a_kill_before_every_call),
        cmocka_unit_test(test_drop_survives_a_power_cut_before_every_call),
        cmocka_unit_test(test_drop_survives_a_power_cut_that_keeps_some),
        cmocka_unit_test(test_drop_survives_a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
