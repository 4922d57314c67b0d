/* Damage to the log, its repair and what stays of the past, and the verification of a store:
 * damage.c, maintain.c, verify.c. */
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

/* --- damage --- */

/* Where the record is, for breaking it later. */
struct spot {
    uint64_t lsn, offset;
};

static enum wf_status find_spot(void *ctx, const struct wal_record *record, struct wf_error *err) {
    struct spot *spot = ctx;
    (void)err;
    if (record->lsn == spot->lsn)
        spot->offset = record->offset;
    return WF_OK;
}

static struct spot spot_of(struct engine_fixture *f, uint64_t lsn) {
    struct spot spot = {.lsn = lsn};
    must(f, wal_walk(f->engine->wal, lsn, lsn, find_spot, &spot, &f->err));
    assert_true(spot.offset > 0);
    return spot;
}

static const char segment[] = "00000000000000000001.seg";

/* Flip a byte of the payload, behind the frame's header. */
static void break_record(struct engine_fixture *f, struct spot spot) {
    char path[FIXTURE_PATH_MAX + 100];
    (void)snprintf(path, sizeof path, "%s/wal/%s", f->dir, segment);
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    uint8_t byte = 0;
    off_t at = (off_t)spot.offset + 40;
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x55;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    close(fd);
}

struct found {
    int count;
    struct wf_finding first;
    char segment[64], entities[256], text[256];
};

static bool find(void *ctx, const struct wf_finding *finding) {
    struct found *found = ctx;
    if (found->count++ == 0) {
        found->first = *finding;
        (void)snprintf(found->segment, sizeof found->segment, "%s", finding->segment);
        (void)snprintf(found->entities, sizeof found->entities, "%s", finding->entities);
        (void)snprintf(found->text, sizeof found->text, "%s", finding->text);
    }
    return true;
}

static void assert_names_the_spot(struct engine_fixture *f, struct spot spot, const char *id) {
    char offset[40];
    char lsn[40];
    (void)snprintf(offset, sizeof offset, "offset %" PRIu64, spot.offset);
    (void)snprintf(lsn, sizeof lsn, "LSN %" PRIu64, spot.lsn);
    if (strstr(f->err.text, segment) == NULL || strstr(f->err.text, offset) == NULL ||
        strstr(f->err.text, lsn) == NULL || strstr(f->err.text, id) == NULL)
        fail_msg("not all of %s, %s, %s, %s are in: %s", segment, offset, lsn, id, f->err.text);
}

static void test_verify_of_a_sound_log_finds_nothing(void **state) {
    struct engine_fixture *f = *state;
    struct wf_log_report report;
    struct found found = {0};
    fixture_loans(f, 0, 10, 2);
    for (int open = 1; open >= 0; open--) {
        must(f, wf_log_verify(f->dir, find, &found, &report, &f->err));
        assert_int_equal(found.count, 0);
        assert_int_equal(report.records, 32);
        assert_int_equal(report.first_lsn, 1);
        assert_int_equal(report.last_lsn, 32);
        if (open)
            fixture_close(f);
    }
    char nowhere[FIXTURE_PATH_MAX + 40];
    (void)snprintf(nowhere, sizeof nowhere, "%s/nowhere", f->root);
    assert_int_equal(wf_log_verify(nowhere, find, &found, &report, &f->err), WF_NOT_FOUND);
    assert_int_equal(wf_log_repair(nowhere, 0, find, &found, &report, &f->err), WF_NOT_FOUND);
}

static void test_damage_is_named_by_open_and_verify(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "alpha", 3);
    fixture_loan(f, "beta", 3);
    fixture_loans(f, 0, 20, 1);
    struct spot spot = spot_of(f, 5); /* alpha's second step */
    f->engine->options.snapshot_on_close = false;
    fixture_close(f);
    break_record(f, spot);
    assert_int_equal(fixture_try_open(f), WF_DAMAGE);
    assert_names_the_spot(f, spot, "alpha");
    assert_null(strstr(f->err.text, "beta"));
    struct wf_log_report report;
    struct found found = {0};
    assert_int_equal(wf_log_verify(f->dir, find, &found, &report, &f->err), WF_DAMAGE);
    assert_names_the_spot(f, spot, "alpha");
    assert_int_equal(found.count, 1);
    assert_string_equal(found.first.kind, "damage");
    assert_string_equal(found.segment, segment);
    assert_int_equal(found.first.offset, spot.offset);
    assert_int_equal(found.first.first_lsn, 5);
    assert_int_equal(found.first.last_lsn, 5);
    assert_string_equal(found.entities, "alpha");
    assert_int_equal(report.findings, 1);
    assert_int_equal(report.records, 49);
}

/* The last record about somebody: only the snapshot knows whose it is. */
static void test_damage_to_a_last_record_is_named_from_the_snapshot(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "alpha", 1);
    fixture_loan(f, "omega", 1);
    fixture_loan(f, "beta", 1);
    struct spot spot = spot_of(f, 6); /* omega's only step */
    fixture_close(f);
    break_record(f, spot);
    struct wf_log_report report;
    struct found found = {0};
    assert_int_equal(wf_log_verify(f->dir, find, &found, &report, &f->err), WF_DAMAGE);
    assert_string_equal(found.entities, "omega");
}

/* A transaction is about nobody by its subject: its accounts are told by the record behind, or, of
 * the last one, by the snapshot. */
static void test_damage_to_a_transaction_names_its_accounts(void **state) {
    struct engine_fixture *f = *state;
    const struct wf_operation pay[] = {
        {.type = "transfer", .from = "A", .to = "B", .amount = "1.00", .currency = "USD"}};
    const struct wf_command bank[] = {
        {.kind = WF_ACCOUNT_OPEN,
         .id = "A",
         .type = "checking",
         .currency = "USD",
         .amount = "5.00"},
        {.kind = WF_ACCOUNT_OPEN, .id = "B", .type = "checking", .currency = "USD"},
        {.kind = WF_ACCOUNT_TRANSACT, .operations = pay, .operation_count = 1},
        {.kind = WF_ACCOUNT_TRANSACT, .operations = pay, .operation_count = 1}};
    for (size_t i = 0; i < 4; i++)
        must(f, wf_execute(f->engine, &bank[i], NULL, &f->err));
    struct spot spots[] = {spot_of(f, 5), spot_of(f, 6)};
    fixture_close(f);
    for (size_t i = 0; i < 2; i++) {
        struct wf_log_report report;
        struct found found = {0};
        break_record(f, spots[i]);
        assert_int_equal(wf_log_verify(f->dir, find, &found, &report, &f->err), WF_DAMAGE);
        assert_string_equal(found.entities, "A,B");
        break_record(f, spots[i]); /* as it was */
    }
}

/* --- repair --- */

struct story {
    char text[2048];
    uint64_t lost;
};

static bool hear(void *ctx, const struct wf_event *event) {
    struct story *story = ctx;
    size_t used = strlen(story->text);
    (void)snprintf(story->text + used, sizeof story->text - used, "%" PRIu64 ":%s ", event->lsn,
                   event->event);
    if (strcmp(event->event, "record_lost") == 0)
        story->lost = event->lsn;
    return true;
}

static void repair(struct engine_fixture *f, struct found *found) {
    struct wf_log_report report;
    *found = (struct found){0};
    must(f, wf_log_repair(f->dir, 0, find, found, &report, &f->err));
    assert_int_equal(found->count, 1);
    assert_int_equal(report.findings, 1);
    wf_log_report_deinit(&report);
}

static void test_repaired_store_works_and_shows_what_was_lost(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "alpha", 3);
    must(f, fixture_submit(f, "alpha", 3, "key", NULL));
    fixture_loan(f, "beta", 3);
    struct spot spot = spot_of(f, 5); /* alpha's second step */
    f->engine->options.snapshot_on_close = false;
    fixture_close(f);
    break_record(f, spot);
    struct found found;
    repair(f, &found);
    assert_string_equal(found.entities, "alpha");
    fixture_open(f);
    struct story story = {{0}, 0};
    must(f, wf_workflow_history(f->engine, "alpha", hear, &story, &f->err));
    assert_int_equal(story.lost, 5);
    assert_non_null(strstr(story.text, "5:record_lost 6:"));
    story = (struct story){{0}, 0};
    must(f, wf_replay(f->engine, 1, UINT64_MAX, NULL, hear, &story, &f->err));
    assert_non_null(strstr(story.text, " 5:record_lost 6:"));
    assert_non_null(strstr(story.text, "12:log_repaired"));
    /* What rested on it is passed over; everybody else is whole, and work goes on. */
    char text[512];
    fixture_describe(f, "alpha", UINT64_MAX, text);
    assert_non_null(strstr(text, "running credit_check"));
    fixture_describe(f, "beta", UINT64_MAX, text);
    assert_non_null(strstr(text, "running collateral_assessment"));
    must(f, fixture_submit(f, "alpha", 1, NULL, NULL));
    struct wf_workflow *past = NULL;
    assert_int_equal(wf_workflow_get_as_of(f->engine, "alpha", 4, &past, &f->err), WF_DAMAGE);
    fixture_verify(f);
    fixture_reopen(f, false);
    fixture_verify(f);
    fixture_reopen(f, true);
    fixture_verify(f);
    struct wf_log_report report;
    must(f, wf_log_verify(f->dir, NULL, NULL, &report, &f->err));
}

/* --- what goes with a lost record --- */

static const char order[] = "workflow: order\n"
                            "version: 1\n"
                            "steps:\n"
                            "  placed: {provides: [goods]}\n"
                            "  paid: {completes: payment, requires: [amount]}\n"
                            "stages:\n"
                            "  - {name: payment, needs: [goods], outcome: payment_due}\n";

/* The definition as LSN 3; two orders, one of them with a step; then a loan. */
static void orders_and_a_loan(struct engine_fixture *f) {
    struct wf_command add = {.kind = WF_DEFINITION_ADD, .text = order};
    must(f, wf_execute(f->engine, &add, NULL, &f->err));
    const struct wf_command orders[] = {
        {.kind = WF_WORKFLOW_START, .id = "o-1", .type = "order"},
        {.kind = WF_WORKFLOW_START, .id = "o-2", .type = "order"},
        {.kind = WF_WORKFLOW_SUBMIT, .id = "o-2", .step = "placed"}};
    for (size_t i = 0; i < 3; i++)
        must(f, wf_execute(f->engine, &orders[i], NULL, &f->err));
    fixture_loan(f, "alpha", 1);
}

/* And free it. */
static void assert_lost(struct wf_log_report *report, uint64_t records, uint64_t without_effect,
                        uint64_t gone, uint64_t behind, const char *definitions) {
    const struct wf_log_losses *lost = &report->lost;
    assert_false(lost->unknown);
    assert_int_equal(lost->records, records);
    assert_int_equal(lost->without_effect, without_effect);
    assert_int_equal(lost->workflows_gone, gone);
    assert_int_equal(lost->workflows_behind, behind);
    assert_string_equal(lost->definitions, definitions);
    wf_log_report_deinit(report);
}

static void test_repair_tells_what_goes_with_a_definition(void **state) {
    struct engine_fixture *f = *state;
    orders_and_a_loan(f);
    struct spot spot = spot_of(f, 3);
    f->engine->options.snapshot_on_close = false;
    fixture_close(f);
    break_record(f, spot);
    struct wf_log_report report;
    struct found found = {0};
    must(f, wf_log_repair_plan(f->dir, 0, find, &found, &report, &f->err));
    assert_int_equal(found.first.first_lsn, 3);
    assert_lost(&report, 1, 3, 2, 0, "order 1");
    assert_int_equal(fixture_try_open(f), WF_DAMAGE); /* the plan changed nothing */
    must(f, wf_log_repair(f->dir, 0, NULL, NULL, &report, &f->err));
    assert_lost(&report, 1, 3, 2, 0, "order 1");
    must(f, wf_log_verify(f->dir, NULL, NULL, &report, &f->err));
    assert_lost(&report, 1, 3, 2, 0, "order 1");
    fixture_open(f);
    struct wf_workflow *workflow = NULL;
    assert_int_equal(wf_workflow_get(f->engine, "o-2", &workflow, &f->err), WF_NOT_FOUND);
}

/* Nobody can read who the lost record was about: the one behind it links to it. */
static void test_repair_tells_who_is_behind_of_an_unreadable_record(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "alpha", 3);
    fixture_loan(f, "beta", 3);
    struct spot spot = spot_of(f, 5); /* alpha's second step */
    fixture_close(f);
    break_record(f, spot);
    struct wf_log_report report;
    must(f, wf_log_repair(f->dir, 0, NULL, NULL, &report, &f->err));
    assert_lost(&report, 1, 0, 0, 1, "");
}

/* What the record of a repair says, as "name=value …". */
static bool hear_data(void *ctx, const struct wf_event *event) {
    struct story *story = ctx;
    for (size_t i = 0; strcmp(event->event, "log_repaired") == 0 && i < event->data_count; i++) {
        size_t used = strlen(story->text);
        (void)snprintf(story->text + used, sizeof story->text - used, "%s=%s ", event->data[i].name,
                       event->data[i].value);
    }
    return true;
}

static void test_record_of_a_repair_says_what_went_with_the_loss(void **state) {
    struct engine_fixture *f = *state;
    orders_and_a_loan(f);
    fixture_close(f);
    struct wf_log_report report;
    must(f, wf_log_repair(f->dir, 3, NULL, NULL, &report, &f->err));
    wf_log_report_deinit(&report);
    fixture_open(f);
    struct story story = {{0}, 0};
    must(f, wf_replay(f->engine, 1, UINT64_MAX, NULL, hear_data, &story, &f->err));
    assert_string_equal(story.text, "records_without_effect=3 workflows_gone=2 definitions=order 1 "
                                    "first_workflows_gone=o-1,o-2 ");
}

/* A workflow that stays, without a step of its own; and one whose lost start is all that
 * there was. A later repair tells only what it takes itself. */
static void test_repair_tells_who_stays_behind_and_each_loss_once(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "alpha", 3); /* LSN 3 to 6 */
    must(f, fixture_submit(f, "alpha", 3, NULL, NULL));
    fixture_loan(f, "beta", 0); /* 8 */
    fixture_close(f);
    struct wf_log_report report;
    must(f, wf_log_repair(f->dir, 5, NULL, NULL, &report, &f->err));
    assert_lost(&report, 1, 0, 0, 1, "");
    must(f, wf_log_repair(f->dir, 8, NULL, NULL, &report, &f->err));
    assert_lost(&report, 1, 0, 1, 0, "");
    must(f, wf_log_repair(f->dir, 0, NULL, NULL, &report, &f->err));
    assert_lost(&report, 0, 0, 0, 0, "");
    must(f, wf_log_verify(f->dir, NULL, NULL, &report, &f->err));
    assert_lost(&report, 2, 0, 1, 1, "");
}

static void test_repair_tells_of_accounts(void **state) {
    struct engine_fixture *f = *state;
    const struct wf_operation pay[] = {
        {.type = "transfer", .from = "A", .to = "B", .amount = "1.00", .currency = "USD"}};
    const struct wf_command bank[] = {
        {.kind = WF_ACCOUNT_OPEN,
         .id = "A",
         .type = "checking",
         .currency = "USD",
         .amount = "5.00"},
        {.kind = WF_ACCOUNT_OPEN, .id = "B", .type = "checking", .currency = "USD"},
        {.kind = WF_ACCOUNT_TRANSACT, .operations = pay, .operation_count = 1}};
    for (size_t i = 0; i < 3; i++)
        must(f, wf_execute(f->engine, &bank[i], NULL, &f->err));
    fixture_close(f);
    struct wf_log_report report;
    must(f, wf_log_repair_plan(f->dir, 4, NULL, NULL, &report, &f->err)); /* B is opened */
    assert_lost(&report, 1, 1, 0, 0, "");
    assert_int_equal(report.lost.accounts, 2);
}

static void test_plan_of_a_record_that_is_not_there(void **state) {
    struct engine_fixture *f = *state;
    struct wf_log_report report;
    fixture_close(f);
    assert_int_equal(wf_log_repair_plan(f->dir, 99, NULL, NULL, &report, &f->err), WF_NOT_FOUND);
    assert_non_null(strstr(f->err.text, "LSN 99"));
}

/* A key answers as far as its own record is there, and is free where that was lost. */
static void test_keys_after_a_repair(void **state) {
    struct engine_fixture *f = *state;
    struct wf_result result;
    fixture_loan(f, "alpha", 2);
    must(f, fixture_submit(f, "alpha", 2, "later", NULL)); /* LSN 6 */
    fixture_loan(f, "beta", 0);
    must(f, fixture_submit(f, "beta", 0, "lost", NULL)); /* LSN 8 */
    fixture_loan(f, "gamma", 0);
    struct spot spots[] = {spot_of(f, 4), spot_of(f, 8)};
    fixture_close(f); /* the snapshot has both keys */
    break_record(f, spots[0]);
    struct found found;
    repair(f, &found);
    fixture_open(f);
    must(f, fixture_submit(f, "alpha", 2, "later", &result));
    assert_true(result.replayed);
    assert_int_equal(result.lsn, 6);
    assert_string_equal(result.outcome, "collateral_assessment_started");
    fixture_close(f);
    break_record(f, spots[1]);
    repair(f, &found);
    fixture_open(f);
    must(f, fixture_submit(f, "beta", 0, "lost", &result)); /* done anew, with its key */
    assert_false(result.replayed);
    fixture_verify(f);
}

static void test_lost_first_record_leaves_the_clock(void **state) {
    struct engine_fixture *f = *state;
    struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 60000};
    must(f, wf_execute(f->engine, &advance, NULL, &f->err));
    fixture_loan(f, "alpha", 1);
    int64_t now_ms = fixture_status(f).now_ms;
    struct spot spot = spot_of(f, 1);
    f->engine->options.snapshot_on_close = false;
    fixture_close(f);
    break_record(f, spot);
    struct found found;
    repair(f, &found);
    f->options.create = false;
    fixture_open(f);
    assert_true(fixture_status(f).test_clock);
    assert_int_equal(fixture_status(f).now_ms, now_ms);
    must(f, wf_execute(f->engine, &advance, NULL, &f->err));
    assert_int_equal(fixture_status(f).now_ms, now_ms + 60000);
    must(f, fixture_submit(f, "alpha", 1, NULL, NULL));
    fixture_verify(f);
}

/* --- a record that checks, and cannot be understood --- */

/* Records behind the lost one are of a time that the test clock does not show any more. */
static void test_lost_advance_of_a_test_clock_is_repaired(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "alpha", 0);
    struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 1000};
    must(f, wf_execute(f->engine, &advance, NULL, &f->err)); /* LSN 4 */
    fixture_loan(f, "beta", 0);
    struct spot spot = spot_of(f, 4);
    f->engine->options.snapshot_on_close = false;
    fixture_close(f);
    break_record(f, spot);
    struct found found;
    repair(f, &found);
    fixture_open(f);
    struct story story = {{0}, 0};
    must(f, wf_replay(f->engine, 1, UINT64_MAX, NULL, hear, &story, &f->err));
    assert_non_null(strstr(story.text, " 4:record_lost 5:"));
    assert_non_null(strstr(story.text, ":log_repaired"));
    must(f, wf_execute(f->engine, &advance, NULL, &f->err));
    must(f, fixture_submit(f, "beta", 0, NULL, NULL));
    fixture_verify(f);
}

static void test_undecodable_record_is_refused_by_lsn_and_can_be_skipped(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "alpha", 1);
    pthread_mutex_lock(&f->engine->mutex);
    struct wal_ticket ticket;
    must(f, wal_append(f->engine->wal, "\xff\xff no record", 12, 0, &ticket, &f->err));
    must(f, wal_wait(f->engine->wal, &ticket, &f->err));
    pthread_mutex_unlock(&f->engine->mutex);
    f->engine->options.snapshot_on_close = false;
    fixture_close(f);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(fixture_try_open(f), WF_DAMAGE);
        assert_non_null(strstr(f->err.text, "LSN 5"));
    }
    struct wf_log_report report;
    struct found found = {0};
    assert_int_equal(wf_log_verify(f->dir, find, &found, &report, &f->err), WF_DAMAGE);
    assert_int_equal(found.first.first_lsn, 5);
    must(f, wf_log_repair(f->dir, 5, find, &found, &report, &f->err));
    wf_log_report_deinit(&report);
    fixture_open(f);
    fixture_verify(f);
    must(f, fixture_submit(f, "alpha", 1, NULL, NULL));
}

/* --- verification --- */

/* Change the value of a workflow in the snapshot, and keep all checksums right. `honest`: with the
 * digest of the new value and the sum over all. */
static void plant(struct engine_fixture *f, const char *id, bool honest) {
    struct snapshot *kept = f->engine->snapshot;
    struct bytes_buffer key;
    struct bytes_view value;
    uint8_t changed[4096];
    struct snapshot_meta meta;
    must(f, wf_snapshot(f->engine, &f->err));
    bytes_buffer_init(&key);
    entity_key(ENTITY_WORKFLOW, text_view(id), &key);
    struct bytes_view name = {key.data, key.size};
    must(f, kept->ops->get(kept, name, &value, &f->err));
    assert_true(value.size < sizeof changed);
    memcpy(changed, value.data, value.size);
    uint8_t *score = memmem(changed, value.size, "750", 3);
    assert_non_null(score);
    memcpy(score, "999", 3);
    assert_true(kept->ops->meta(kept, &meta));
    if (honest) {
        struct digest_sum sum = {bytes_load_u64(meta.bytes + 1), bytes_load_u64(meta.bytes + 9)};
        digest_sum_subtract(&sum, changed);
        changed[0] ^= 1; /* any other digest: it is what the sum has that counts */
        digest_sum_add(&sum, changed);
        bytes_store_u64(meta.bytes + 1, sum.low);
        bytes_store_u64(meta.bytes + 9, sum.high);
    }
    struct snapshot_change change = {.key = name, .value = {changed, value.size}};
    must(f, kept->ops->commit(kept, &change, 1, &meta, &f->err));
    bytes_buffer_deinit(&key);
}

static void planted_divergence_is_found(struct engine_fixture *f, bool honest) {
    char hash[65];
    fixture_loan(f, "alpha", 2);
    fixture_loan(f, "mallory", 2); /* changed last in LSN 8 */
    fixture_loan(f, "omega", 2);
    plant(f, "mallory", honest);
    fixture_reopen(f, false);
    assert_int_equal(wf_replay_verify(f->engine, NULL, NULL, hash, &f->err), WF_DIVERGENCE);
    if (strstr(f->err.text, "mallory") == NULL || strstr(f->err.text, "LSN 8") == NULL)
        fail_msg("%s", f->err.text);
}

static void test_verify_finds_a_planted_divergence(void **state) {
    planted_divergence_is_found(*state, true);
}

static void test_verify_finds_a_value_that_kept_its_digest(void **state) {
    planted_divergence_is_found(*state, false);
}

static void test_verify_finds_what_the_log_knows_nothing_of(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "alpha", 2);
    must(f, wf_snapshot(f->engine, &f->err));
    struct snapshot *kept = f->engine->snapshot;
    struct snapshot_meta meta;
    assert_true(kept->ops->meta(kept, &meta));
    meta.bytes[3] ^= 1; /* the sum counts something more */
    must(f, kept->ops->commit(kept, NULL, 0, &meta, &f->err));
    fixture_reopen(f, false);
    char hash[65];
    assert_int_equal(wf_replay_verify(f->engine, NULL, NULL, hash, &f->err), WF_DIVERGENCE);
    assert_non_null(strstr(f->err.text, hash));
}

static void count_progress(void *ctx, uint64_t lsn, uint64_t last) {
    assert_true(lsn <= last);
    (*(int *)ctx)++;
}

static void test_verify_tells_its_progress(void **state) {
    struct engine_fixture *f = *state;
    int calls = 0;
    char hash[65];
    for (int i = 0; i < 10100; i++) {
        struct wf_command command = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 1};
        struct wf_pending pending;
        must(f, wf_enqueue(f->engine, &command, &pending, &f->err));
    }
    must(f, wf_sync(f->engine, &f->err));
    must(f, wf_replay_verify(f->engine, count_progress, &calls, hash, &f->err));
    assert_true(calls >= 1);
    assert_string_equal(hash, fixture_hash(f));
}

/* What the snapshot covers was durable: without a look at it the last record would pass for torn.
 */
static void test_repair_wants_to_see_the_snapshot(void **state) {
    (void)state;
    struct engine_fixture f;
    struct wf_log_report report;
    fixture_init_sim(&f);
    fixture_loans(&f, 0, 2, 2);
    struct record_link last = f.engine->last;
    fixture_close(&f);
    assert_true(sim_rot(f.sim, "/store/wal/00000000000000000001.seg", last.offset + 50, 1));
    sim_snapshot_kill(f.snapshots);
    uint64_t before = sim_hash(f.sim);
    assert_int_equal(engine_log_repair(sim_io_of(f.sim), sim_snapshot_provider(f.snapshots), f.dir,
                                       0, NULL, NULL, &report, &f.err),
                     WF_IO);
    assert_true(sim_hash(f.sim) == before);
    fixture_deinit(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup_disk, fixture_teardown)
#define SIMULATED(name) cmocka_unit_test_setup_teardown(name, fixture_setup_sim, fixture_teardown)
        cmocka_unit_test(test_repair_wants_to_see_the_snapshot),
        TEST(test_verify_of_a_sound_log_finds_nothing),
        TEST(test_damage_is_named_by_open_and_verify),
        TEST(test_damage_to_a_last_record_is_named_from_the_snapshot),
        TEST(test_damage_to_a_transaction_names_its_accounts),
        TEST(test_repaired_store_works_and_shows_what_was_lost),
        TEST(test_repair_tells_what_goes_with_a_definition),
        TEST(test_record_of_a_repair_says_what_went_with_the_loss),
        TEST(test_repair_tells_who_stays_behind_and_each_loss_once),
        TEST(test_repair_tells_who_is_behind_of_an_unreadable_record),
        TEST(test_repair_tells_of_accounts),
        TEST(test_plan_of_a_record_that_is_not_there),
        TEST(test_keys_after_a_repair),
        TEST(test_lost_first_record_leaves_the_clock),
        TEST(test_lost_advance_of_a_test_clock_is_repaired),
        TEST(test_undecodable_record_is_refused_by_lsn_and_can_be_skipped),
        SIMULATED(test_verify_finds_a_planted_divergence),
        SIMULATED(test_verify_finds_a_value_that_kept_its_digest),
        SIMULATED(test_verify_finds_what_the_log_knows_nothing_of),
        SIMULATED(test_verify_tells_its_progress),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
