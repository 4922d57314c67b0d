/* What a repair says beforehand, what it says when it is done, and what it did: for every record of
 * a store, each of them damaged in a copy, the three are held against each other. What it did is
 * the state before, rebuilt from the whole log, less the state after. */
#include "engine/core/account.h"
#include "engine/core/ineffective.h"
#include "engine/core/reference.h"
#include "engine/origin.h"
#include "tests/lib/engine_fixture.h"

#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { RECORDS_MAX = 64, TEXT_MAX = 8192, COMMAND_MAX = 2 * FIXTURE_PATH_MAX + 100 };

/* --- the store --- */

static const char order[] = "workflow: order\n"
                            "version: 1\n"
                            "steps:\n"
                            "  placed: {provides: [goods]}\n"
                            "  paid: {completes: payment, requires: [amount]}\n"
                            "stages:\n"
                            "  - {name: payment, needs: [goods], outcome: payment_due}\n";

static const char parcel[] = "workflow: parcel\n"
                             "version: 1\n"
                             "steps:\n"
                             "  sent: {provides: [goods], completes: arrival}\n"
                             "stages:\n"
                             "  - {name: arrival, outcome: arrived}\n";

static void run(struct engine_fixture *f, struct wf_command command) {
    must(f, wf_execute(f->engine, &command, NULL, &f->err));
}

static void orders(struct engine_fixture *f, int first, int count) {
    for (int i = first; i < first + count; i++) {
        char id[16], start[16], place[16], move[16];
        (void)snprintf(id, sizeof id, "o-%d", i);
        (void)snprintf(start, sizeof start, "start-%d", i);
        (void)snprintf(place, sizeof place, "place-%d", i);
        (void)snprintf(move, sizeof move, "move-%d", i);
        const struct wf_operation pay[] = {
            {.type = "transfer", .from = "A", .to = "B", .amount = "1.00", .currency = "USD"}};
        const struct wf_field amount[] = {{"amount", "1"}};
        run(f, (struct wf_command){
                   .kind = WF_WORKFLOW_START, .id = id, .type = "order", .key = start});
        run(f, (struct wf_command){
                   .kind = WF_WORKFLOW_SUBMIT, .id = id, .step = "placed", .key = place});
        run(f,
            (struct wf_command){
                .kind = WF_ACCOUNT_TRANSACT, .operations = pay, .operation_count = 1, .key = move});
        if (i % 2 == 0)
            run(f, (struct wf_command){.kind = WF_WORKFLOW_SUBMIT,
                                       .id = id,
                                       .step = "paid",
                                       .fields = amount,
                                       .field_count = 1});
    }
}

/* Some of it archived, a definition and accounts behind that, and all of it in the snapshot. */
static void make_store(struct engine_fixture *f) {
    const struct wf_field rate[] = {{"rate", "0.9"}, {"source", "ECB"}};
    struct wf_archive_options options;
    fixture_loan(f, "early", 2);
    wf_archive_options_init(&options);
    options.snapshot = options.seal = true;
    must(f, wf_archive_run(f->engine, &options, NULL, &f->err));
    run(f, (struct wf_command){.kind = WF_DEFINITION_ADD, .text = order, .key = "order 1"});
    run(f, (struct wf_command){.kind = WF_DEFINITION_ADD, .text = parcel});
    run(f, (struct wf_command){.kind = WF_WORKFLOW_START, .id = "p-1", .type = "parcel"});
    run(f, (struct wf_command){.kind = WF_ACCOUNT_OPEN,
                               .id = "A",
                               .type = "checking",
                               .currency = "USD",
                               .amount = "50.00"});
    run(f, (struct wf_command){
               .kind = WF_ACCOUNT_OPEN, .id = "B", .type = "checking", .currency = "USD"});
    run(f, (struct wf_command){
               .kind = WF_RATE_SET, .id = "USD_to_EUR", .fields = rate, .field_count = 2});
    orders(f, 0, 4);
    fixture_loan(f, "late", 2);
    struct wf_command unknown = {.kind = WF_WORKFLOW_CANCEL, .id = "early", .reason = "no"};
    run(f, unknown);
    assert_int_equal(wf_execute(f->engine, &unknown, NULL, &f->err), WF_REFUSED);
}

/* --- the states --- */

/* All that has a name in a report, as "kind name", with what it is. */
struct thing {
    char name[80];
    uint8_t image[2048];
    size_t size;
};
struct things {
    struct thing at[128];
    size_t count;
};

static void take(struct things *things, const struct state *state, const struct entity *entity) {
    struct thing *thing = &things->at[things->count];
    struct bytes_buffer image;
    size_t skipped = 0;
    bool named = true;
    bytes_buffer_init(&image);
    size_t hashed = 0;
    entity_encode(entity, &image, &hashed);
    if (entity->kind == ENTITY_WORKFLOW) {
        (void)snprintf(thing->name, sizeof thing->name, "workflow %s",
                       ((const struct workflow *)entity)->id);
        skipped = 2; /* layout, and the number of the definition */
    } else if (entity->kind == ENTITY_ACCOUNT) {
        (void)snprintf(thing->name, sizeof thing->name, "account %s",
                       ((const struct account *)entity)->number);
    } else if (entity->kind == ENTITY_DEFINITION) {
        const struct definition *definition =
            ((const struct definition_entity *)entity)->definition;
        (void)snprintf(thing->name, sizeof thing->name, "definition %s %" PRIu32, definition->name,
                       definition->version);
        hashed = 0;
    } else if (entity->kind == ENTITY_REFERENCE) {
        (void)snprintf(thing->name, sizeof thing->name, "reference %s",
                       ((const struct reference *)entity)->key);
    } else if (entity->kind == ENTITY_KEY) {
        const struct idempotency_key *key = (const struct idempotency_key *)entity;
        (void)snprintf(thing->name, sizeof thing->name, "key %.*s", (int)key->size, key->text);
        hashed = 0;
        named = state_ineffective(state, key->link.lsn) == NULL; /* else it promises nothing */
    } else {
        named = false;
    }
    assert_true(hashed <= sizeof thing->image && things->count < 127);
    thing->size = hashed > skipped ? hashed - skipped : 0;
    memcpy(thing->image, image.data + skipped, thing->size);
    bytes_buffer_deinit(&image);
    things->count += named;
}

static void read_state(struct engine_fixture *f, struct things *things) {
    struct state state;
    must(f, state_init(&state, &f->err));
    must(f, origin_rebuild(f->engine, &state, fixture_status(f).durable_lsn, NULL, NULL, &f->err));
    things->count = 0;
    const struct entity *entity = state.changed.first;
    for (size_t i = 0; i < state.changed.count; i++, entity = entity->next)
        take(things, &state, entity);
    state_deinit(&state);
}

static const struct thing *find(const struct things *things, const char *name) {
    for (size_t i = 0; i < things->count; i++) {
        if (strcmp(things->at[i].name, name) == 0)
            return &things->at[i];
    }
    return NULL;
}

struct lines {
    char at[128][100];
    size_t count;
};

static int compare_lines(const void *a, const void *b) {
    return strcmp(a, b);
}

static const char *join(struct lines *lines, char text[TEXT_MAX]) {
    qsort(lines->at, lines->count, sizeof lines->at[0], compare_lines);
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < lines->count; i++)
        used += (size_t)snprintf(text + used, TEXT_MAX - used, "%s; ", lines->at[i]);
    return text;
}

/* What `before` had, and `after` has not, or otherwise. */
static const char *difference(const struct things *before, const struct things *after,
                              char text[TEXT_MAX]) {
    static struct lines lines;
    lines.count = 0;
    for (size_t i = 0; i < before->count; i++) {
        const struct thing *was = &before->at[i];
        const struct thing *is = find(after, was->name);
        if (is != NULL && is->size == was->size && memcmp(is->image, was->image, is->size) == 0)
            continue;
        (void)snprintf(lines.at[lines.count++], sizeof lines.at[0], "%s%s", was->name,
                       strncmp(was->name, "workflow", 8) != 0 ? ""
                       : is == NULL                           ? " gone"
                                                              : " behind");
    }
    return join(&lines, text);
}

static const char *told(const struct wf_log_losses *lost, char text[TEXT_MAX]) {
    static struct lines lines;
    lines.count = 0;
    for (size_t i = 0; i < lost->name_count; i++) {
        const char *kind = lost->names[i].kind;
        bool workflow = strncmp(kind, "workflow_", 9) == 0;
        (void)snprintf(lines.at[lines.count++], sizeof lines.at[0], "%s %s%s%s",
                       workflow ? "workflow" : kind, lost->names[i].name, workflow ? " " : "",
                       workflow ? kind + 9 : "");
    }
    return join(&lines, text);
}

/* --- damage --- */

struct spot {
    uint64_t lsn, offset;
};
struct spots {
    struct spot at[RECORDS_MAX];
    size_t count;
};

static enum wf_status note_spot(void *ctx, const struct wal_record *record, struct wf_error *err) {
    struct spots *spots = ctx;
    (void)err;
    assert_true(spots->count < RECORDS_MAX);
    spots->at[spots->count++] = (struct spot){record->lsn, record->offset};
    return WF_OK;
}

static void flip(const char *path, uint64_t offset) {
    uint8_t byte = 0;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, (off_t)offset), 1);
    byte ^= 0x55;
    assert_int_equal(pwrite(fd, &byte, 1, (off_t)offset), 1);
    close(fd);
}

static void copy_store(const struct engine_fixture *f, const char *to) {
    char command[COMMAND_MAX];
    (void)snprintf(command, sizeof command, "rm -rf '%s' && cp -r '%s' '%s'", to, f->dir, to);
    assert_int_equal(system(command), 0);
}

struct findings {
    char text[TEXT_MAX];
};

static bool hear(void *ctx, const struct wf_finding *finding) {
    struct findings *findings = ctx;
    size_t used = strlen(findings->text);
    (void)snprintf(findings->text + used, sizeof findings->text - used, "%s %s %" PRIu64 " %s\n",
                   finding->kind, finding->segment, finding->first_lsn, finding->entities);
    return true;
}

/* Plan and repair of the store in `dir` say the same, and it is what comes of it. */
static void check_repair(struct engine_fixture *f, const char *dir, uint64_t lsn,
                         const struct things *before) {
    static struct things after;
    static struct findings planned, done;
    static char expected[TEXT_MAX], beforehand[TEXT_MAX], afterwards[TEXT_MAX];
    struct engine_fixture copy = {.options = f->options};
    struct wf_log_report plan = {0};
    struct wf_log_report report = {0};
    planned.text[0] = done.text[0] = '\0';
    must(f, wf_log_repair_plan(dir, 0, hear, &planned, &plan, &f->err));
    must(f, wf_log_repair(dir, 0, hear, &done, &report, &f->err));
    assert_string_equal(planned.text, done.text);
    assert_int_equal(plan.lost.records, 1);
    assert_int_equal(report.lost.records, 1);
    assert_int_equal(plan.lost.without_effect, report.lost.without_effect);
    assert_int_equal(plan.lost.untold, 0); /* the snapshot knew all of it */
    (void)snprintf(copy.dir, sizeof copy.dir, "%s", dir);
    fixture_open(&copy);
    read_state(&copy, &after);
    fixture_verify(&copy);
    fixture_close(&copy);
    difference(before, &after, expected);
    if (strcmp(told(&plan.lost, beforehand), expected) != 0 ||
        strcmp(told(&report.lost, afterwards), expected) != 0)
        fail_msg("LSN %" PRIu64 " was lost\n before: %s\n after:  %s\n really: %s", lsn, beforehand,
                 afterwards, expected);
    wf_log_report_deinit(&plan);
    wf_log_report_deinit(&report);
}

static void test_repair_names_exactly_what_is_lost_of_every_record(void **state) {
    struct engine_fixture *f = *state;
    static struct things before;
    struct spots spots = {.count = 0};
    char dir[FIXTURE_PATH_MAX + 8];
    char path[FIXTURE_PATH_MAX + 100];
    make_store(f);
    read_state(f, &before);
    uint64_t live = wal_first_live_lsn(f->engine->wal);
    must(f, wal_walk(f->engine->wal, live, UINT64_MAX, note_spot, &spots, &f->err));
    assert_in_range(spots.count, 20, RECORDS_MAX);
    fixture_close(f);
    (void)snprintf(dir, sizeof dir, "%s/copy", f->root);
    (void)snprintf(path, sizeof path, "%s/wal/%020" PRIu64 ".seg", dir, live);
    for (size_t i = 0; i < spots.count; i++) {
        copy_store(f, dir);
        /* The payload; or the frame's header, so that the frame behind it has to be searched. */
        flip(path, spots.at[i].offset + (i % 2 == 0 ? 42 : 6));
        check_repair(f, dir, spots.at[i].lsn, &before);
    }
}

/* Where `needle` stands last in the segment. */
static uint64_t find_last(const char *path, const char *needle) {
    static char bytes[1 << 16];
    uint64_t found = 0;
    int fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    ssize_t size = pread(fd, bytes, sizeof bytes, 0);
    close(fd);
    for (size_t i = 0; i + strlen(needle) <= (size_t)size; i++) {
        if (memcmp(bytes + i, needle, strlen(needle)) == 0)
            found = i;
    }
    assert_true(found > 0);
    return found;
}

/* The damaged bytes can be read, and are wrong: nobody was ever called that. And no snapshot knows
 * what they were. */
static void test_repair_names_no_ghost_and_says_what_nothing_tells(void **state) {
    struct engine_fixture *f = *state;
    struct wf_log_report report = {0};
    char path[FIXTURE_PATH_MAX + 100];
    make_store(f);
    run(f, (struct wf_command){.kind = WF_WORKFLOW_START, .id = "solo", .type = "order"});
    (void)snprintf(path, sizeof path, "%s/wal/%020" PRIu64 ".seg", f->dir,
                   wal_first_live_lsn(f->engine->wal));
    f->engine->options.snapshot_on_close = false;
    fixture_close(f);
    flip(path, find_last(path, "solo"));
    must(f, wf_log_repair_plan(f->dir, 0, NULL, NULL, &report, &f->err));
    assert_int_equal(report.lost.records, 1);
    assert_int_equal(report.lost.name_count, 0);
    assert_int_equal(report.lost.workflows_gone, 0);
    assert_int_equal(report.lost.untold, 1);
    wf_log_report_deinit(&report);
}

/* No repair makes an archive anew: both say so, and nothing is changed or called lost. */
static void test_repair_and_its_plan_say_the_same_of_a_damaged_archive(void **state) {
    struct engine_fixture *f = *state;
    static struct findings planned, done;
    struct wf_log_report report = {0};
    char path[FIXTURE_PATH_MAX + 100];
    make_store(f);
    fixture_close(f);
    (void)snprintf(path, sizeof path, "%s/archive/00000000000000000001.seg.gz", f->dir);
    flip(path, 300);
    assert_int_equal(wf_log_repair_plan(f->dir, 0, hear, &planned, &report, &f->err), WF_DAMAGE);
    assert_int_equal(report.lost.records, 0);
    assert_int_equal(wf_log_repair(f->dir, 0, hear, &done, &report, &f->err), WF_DAMAGE);
    assert_int_equal(report.lost.records, 0);
    assert_string_equal(planned.text, done.text);
    assert_true(strlen(done.text) > 0);
}

/* --- afterwards --- */

/* All that there is so far goes to the archive, and what is before `lsn` of that for good. */
static void archive_and_drop(struct engine_fixture *f, uint64_t lsn) {
    struct wf_archive_options options;
    wf_archive_options_init(&options);
    options.snapshot = options.seal = true;
    must(f, wf_archive_run(f->engine, &options, NULL, &f->err));
    const struct wf_archive_drop drop = {
        .before_lsn = lsn, .actor = "Eve", .reason = "ten years are over"};
    must(f, wf_archive_drop(f->engine, &drop, NULL, &f->err));
}

static void assert_told(struct engine_fixture *f, uint64_t lost_lsn, uint64_t repair_lsn) {
    struct wf_log_report report = {0};
    must(f, wf_log_verify(f->dir, NULL, NULL, &report, &f->err));
    assert_int_equal(report.lost.records, 1);
    assert_int_equal(report.lost.repair_count, 1);
    assert_int_equal(report.lost.repairs[0].first_lsn, lost_lsn);
    assert_int_equal(report.lost.repairs[0].last_lsn, lost_lsn);
    assert_int_equal(report.lost.repairs[0].lsn, repair_lsn);
    assert_true(report.lost.repairs[0].time_ms > 0);
    assert_false(report.lost.unknown);
    assert_int_equal(report.lost.workflows_gone, 1);
}

/* The lost record is dropped, then the record of the repair, then the record of that drop. */
static void test_repair_is_told_whatever_is_dropped_behind_it(void **state) {
    struct engine_fixture *f = *state;
    struct wf_log_report report = {0};
    make_store(f);
    uint64_t last = fixture_status(f).durable_lsn;
    run(f, (struct wf_command){.kind = WF_WORKFLOW_START, .id = "solo", .type = "order"});
    fixture_close(f);
    must(f, wf_log_repair(f->dir, last + 1, NULL, NULL, &report, &f->err));
    wf_log_report_deinit(&report);
    fixture_open(f);
    assert_told(f, last + 1, last + 2);
    for (int i = 0; i < 3; i++) {
        fixture_loan(f, i == 0 ? "x-0" : i == 1 ? "x-1" : "x-2", 0);
        archive_and_drop(f, fixture_status(f).durable_lsn + 1);
        assert_told(f, last + 1, last + 2);
        fixture_verify(f);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_repair_names_exactly_what_is_lost_of_every_record,
                                        fixture_setup_disk, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_repair_names_no_ghost_and_says_what_nothing_tells,
                                        fixture_setup_disk, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_repair_is_told_whatever_is_dropped_behind_it,
                                        fixture_setup_disk, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_repair_and_its_plan_say_the_same_of_a_damaged_archive,
                                        fixture_setup_disk, fixture_teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
