/* Timers and reviews over the whole engine: in order, once, and found again in the snapshot. */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int setup(void **state) {
    struct engine_fixture *f = calloc(1, sizeof *f);
    fixture_init_sim(f);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_deinit(*state);
    free(*state);
    return 0;
}

static void advance(struct engine_fixture *f, int64_t seconds) {
    struct wf_command command = {.kind = WF_CLOCK_ADVANCE, .duration_ms = seconds * 1000};
    must(f, wf_execute(f->engine, &command, NULL, &f->err));
}

/* The records of timers that fired, oldest first: "id@second". */
struct fired {
    char text[4096];
    uint64_t count;
};

static bool note_fired(void *ctx, const struct wf_event *event) {
    struct fired *fired = ctx;
    if (strcmp(event->event, "stage_timed_out") != 0)
        return true;
    size_t used = strlen(fired->text);
    fired->count++;
    (void)snprintf(fired->text + used, sizeof fired->text - used, "%s%s@%d", used > 0 ? " " : "",
                   event->subject, (int)((event->time_ms - INT64_C(1767225600000)) / 1000));
    return true;
}

static struct fired fired_so_far(struct engine_fixture *f) {
    struct fired fired = {0};
    must(f, wf_replay(f->engine, 1, UINT64_MAX, NULL, note_fired, &fired, &f->err));
    return fired;
}

/* Deadlines of 30 s, that follow each other, and one of 60 s in the middle. */
static void test_advance_fires_each_at_its_deadline_in_order(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "B", 1);
    fixture_loan(f, "A", 1);
    fixture_loan(f, "C", 2);
    advance(f, 10);
    fixture_loan(f, "D", 1);
    advance(f, 51);
    assert_string_equal(fired_so_far(f).text, "A@30 B@30 D@40 A@60 B@60 C@60");
    assert_int_equal(fixture_status(f).now_ms, INT64_C(1767225600000) + 61000);
    fixture_verify(f);
}

/* No workflow is in memory: the snapshot's order tells what is next. */
static void test_timers_fire_from_the_snapshot(void **state) {
    struct engine_fixture *f = *state;
    f->options.memory_max = 1;
    fixture_reopen(f, true);
    fixture_loans(f, 0, 40, 1);
    for (int i = 1; i <= 3; i++) {
        fixture_reopen(f, true);
        assert_int_equal(fixture_status(f).workflows_in_memory, 0);
        advance(f, 30);
        assert_int_equal(fired_so_far(f).count, 40 * i);
    }
    assert_int_equal(fixture_status(f).counts[6], 40); /* all failed */
    fixture_reopen(f, true);
    advance(f, 86400);
    assert_int_equal(fired_so_far(f).count, 120); /* and no timer is left */
    fixture_verify(f);
}

enum { MONTH_LOANS = 3000, MONTH_DAYS = 30, DAY_S = 86400 };

static int days_of(int number) {
    return 1 + number * 7919 % MONTH_DAYS;
}

static void start_for_days(struct engine_fixture *f, int number) {
    char id[16];
    char type[8];
    (void)snprintf(type, sizeof type, "d%d", days_of(number));
    struct wf_command start = {
        .kind = WF_WORKFLOW_START, .id = fixture_id(number, id), .type = type};
    must(f, wf_execute(f->engine, &start, NULL, &f->err));
}

/* What fired, against what must have: by deadline, then by id. */
struct month {
    int fired[MONTH_LOANS];
    int64_t last_ms;
    char last_id[16];
    int count;
};

static bool note_month(void *ctx, const struct wf_event *event) {
    struct month *month = ctx;
    if (strcmp(event->event, "stage_timed_out") != 0)
        return true;
    int number = atoi(event->subject + 1);
    int64_t started_ms = INT64_C(1767225600000) + (number >= MONTH_LOANS / 2 ? 3600 * 1000 : 0);
    assert_int_equal(event->time_ms, started_ms + days_of(number) * INT64_C(1000) * DAY_S);
    assert_true(event->time_ms > month->last_ms ||
                (event->time_ms == month->last_ms && strcmp(event->subject, month->last_id) > 0));
    month->last_ms = event->time_ms;
    (void)snprintf(month->last_id, sizeof month->last_id, "%s", event->subject);
    month->fired[number]++;
    month->count++;
    return true;
}

/* Half of them from the snapshot, with little memory, and the store opened again on the way. */
static void test_thirty_days_fire_every_timer_once_and_in_order(void **state) {
    struct engine_fixture *f = *state;
    f->options.memory_max = 256 * 1024;
    fixture_reopen(f, true);
    for (int days = 1; days <= MONTH_DAYS; days++) {
        char text[160];
        (void)snprintf(text, sizeof text,
                       "workflow: d%d\nversion: 1\nsteps: {s: {completes: a}}\n"
                       "stages: [{name: a, timeout: %dd, attempts: 1}]\n",
                       days, days);
        struct wf_command add = {.kind = WF_DEFINITION_ADD, .text = text};
        must(f, wf_execute(f->engine, &add, NULL, &f->err));
    }
    for (int i = 0; i < MONTH_LOANS / 2; i++)
        start_for_days(f, i);
    fixture_reopen(f, true);
    advance(f, 3600);
    for (int i = MONTH_LOANS / 2; i < MONTH_LOANS; i++)
        start_for_days(f, i);
    advance(f, 10 * DAY_S);
    fixture_reopen(f, true);
    advance(f, 10 * DAY_S);
    fixture_crash(f, SIZE_MAX);
    fixture_open(f);
    advance(f, 11 * DAY_S);
    struct month month = {.last_ms = 0};
    must(f, wf_replay(f->engine, 1, UINT64_MAX, NULL, note_month, &month, &f->err));
    assert_int_equal(month.count, MONTH_LOANS);
    for (int i = 0; i < MONTH_LOANS; i++)
        assert_int_equal(month.fired[i], 1);
    fixture_verify(f);
}

/* Killed between advances, with and without a snapshot: each timer fires once. */
static void test_timers_fire_once_whoever_restarts_when(void **state) {
    struct engine_fixture *f = *state;
    for (int round = 0; round < 3; round++) {
        fixture_loans(f, round * 10, 10, 1);
        if (round % 2 == 0)
            must(f, wf_snapshot(f->engine, &f->err));
        fixture_crash(f, round == 1 ? SIZE_MAX : 0);
        fixture_open(f);
        advance(f, 5);
    }
    fixture_crash(f, 0);
    fixture_open(f);
    advance(f, 26); /* 41 s: the first two rounds are past 30 s */
    assert_int_equal(fired_so_far(f).count, 30);
    fixture_verify(f);
}

enum { ADVANCE_S = 100, ADVANCED_LOANS = 12, ADVANCE_LOSSES = 7 };

/* What an advance comes to. */
struct advanced {
    struct fired fired;
    char hash[65];
};

/* A store whose next advance fires each loan's timer three times, so that it fails and has none any
 * more; with a snapshot one loan is left that waits for another. */
static void init_before_advance(struct engine_fixture *f, bool snapshot) {
    fixture_init_sim(f);
    f->options.memory_max = snapshot ? 1 : f->options.memory_max;
    fixture_reopen(f, snapshot);
    fixture_loans(f, 0, ADVANCED_LOANS, 1);
    if (snapshot) {
        fixture_loans(f, ADVANCED_LOANS, 1, 2);
        must(f, wf_snapshot(f->engine, &f->err));
    }
}

/* The next process, or the one after that, must come to what an advance that nothing disturbed
 * does. */
static void finish_advance(struct engine_fixture *f, const struct advanced *undisturbed,
                           unsigned *on_its_way) {
    fixture_open(f);
    fixture_reopen(f, true); /* its snapshot knows that the clock is on its way */
    const struct store_entity *store = &f->engine->state.store;
    *on_its_way += store->clock_target_ms != 0;
    if (store->clock_target_ms == 0 && store->clock_ms == INT64_C(1767225600000))
        advance(f, ADVANCE_S); /* it never began */
    must(f, wf_tick(f->engine, NULL, &f->err));
    assert_string_equal(fired_so_far(f).text, undisturbed->fired.text);
    assert_string_equal(fixture_hash(f), undisturbed->hash);
    fixture_verify(f);
}

/* The machine loses power before the `stop`-th change of the disk in an advance, and keeps some of
 * what was pending. False: the advance was over before. */
static bool advance_and_die(bool snapshot, uint64_t stop, size_t loss,
                            const struct advanced *undisturbed, unsigned *on_its_way) {
    struct wf_command command = {.kind = WF_CLOCK_ADVANCE, .duration_ms = ADVANCE_S * 1000};
    struct engine_fixture f;
    init_before_advance(&f, snapshot);
    sim_stop_at(f.sim, sim_boundaries(f.sim) + stop);
    enum wf_status status = wf_execute(f.engine, &command, NULL, &f.err);
    bool died = sim_is_dead(f.sim);
    assert_true(died || status == WF_OK);
    sim_stop_at(f.sim, 0);
    size_t choices = sim_crash_choices(f.sim);
    fixture_crash(&f, loss + 1 == ADVANCE_LOSSES ? SIZE_MAX : choices * loss / ADVANCE_LOSSES);
    finish_advance(&f, undisturbed, on_its_way);
    fixture_deinit(&f);
    return died;
}

static void advance_undisturbed(bool snapshot, struct advanced *advanced, uint64_t *begin,
                                uint64_t *last) {
    struct engine_fixture f;
    init_before_advance(&f, snapshot);
    *begin = f.engine->last.offset;
    advance(&f, ADVANCE_S);
    *last = f.engine->last.offset;
    advanced->fired = fired_so_far(&f);
    assert_int_equal(advanced->fired.count, 3 * ADVANCED_LOANS + snapshot);
    memcpy(advanced->hash, fixture_hash(&f), sizeof advanced->hash);
    fixture_deinit(&f);
}

static void sweep_advance(bool snapshot) {
    struct advanced undisturbed;
    unsigned on_its_way = 0;
    uint64_t begin, last;
    advance_undisturbed(snapshot, &undisturbed, &begin, &last);
    bool died = true;
    for (uint64_t stop = 1; died; stop++)
        for (size_t loss = 0; loss < ADVANCE_LOSSES; loss++)
            died = advance_and_die(snapshot, stop, loss, &undisturbed, &on_its_way);
    assert_true(on_its_way > 0); /* or nothing of the kind was tried */
}

static void test_advance_cut_short_anywhere_is_finished_by_the_next_process(void **state) {
    (void)state;
    sweep_advance(false);
}

/* The same where the loans are read from the snapshot, one after the other. */
static void test_advance_from_a_snapshot_cut_short_anywhere_is_finished(void **state) {
    (void)state;
    sweep_advance(true);
}

static void cut_log(struct engine_fixture *f, uint64_t size) {
    struct io *io = sim_io_of(f->sim);
    struct io_file *file;
    char *path = io_path_join(f->engine->wal_dir, "00000000000000000001.seg");
    must(f, io->ops->open(io, path, IO_WRITE, &file, &f->err));
    must(f, io->ops->truncate(io, file, size, &f->err));
    must(f, io->ops->sync(io, file, &f->err));
    io->ops->close(io, file);
    free(path);
}

/* Of the batch that the advance was only the first so many bytes reached the disk: between the last
 * timer and the arrival too, where no deadline tells that the clock is on its way. */
static void test_advance_torn_after_any_record_is_finished_by_the_next_process(void **state) {
    (void)state;
    struct advanced undisturbed;
    unsigned on_its_way = 0, before = 0;
    uint64_t begin, last;
    advance_undisturbed(false, &undisturbed, &begin, &last);
    for (uint64_t end = last + WAL_FRAME_ALIGN; end > begin + 512; end -= 40) {
        struct engine_fixture f;
        init_before_advance(&f, false);
        advance(&f, ADVANCE_S);
        cut_log(&f, end);
        fixture_crash(&f, SIZE_MAX);
        /* Power went: what the lock file said of the tail went too, or it would be damage. */
        must(&f, sim_io_of(f.sim)->ops->remove(sim_io_of(f.sim), "/store/lock", &f.err));
        finish_advance(&f, &undisturbed, &on_its_way);
        fixture_deinit(&f);
        assert_true(on_its_way > before); /* not taken for one that is over */
        before = on_its_way;
    }
}

/* The pairs of a checkpoint that failed never came to be. */
static void test_timers_outlive_a_failed_checkpoint(void **state) {
    struct engine_fixture *f = *state;
    fixture_loans(f, 0, 10, 1);
    must(f, wf_snapshot(f->engine, &f->err));
    for (int i = 0; i < 10; i += 2) { /* these get other deadlines */
        char id[16];
        must(f, fixture_submit(f, fixture_id(i, id), 1, NULL, NULL));
    }
    fixture_loans(f, 20, 5, 1); /* and these get their first */
    sim_snapshot_fail_commit(f->snapshots, 1, WF_IO);
    assert_int_equal(wf_snapshot(f->engine, &f->err), WF_IO);
    fixture_loans(f, 10, 1, 1);
    must(f, wf_snapshot(f->engine, &f->err));
    fixture_reopen(f, true);
    advance(f, 30);
    assert_int_equal(fired_so_far(f).count, 11); /* all but the five even ones */
    advance(f, 29);
    assert_int_equal(fired_so_far(f).count, 11);
    advance(f, 1);
    assert_int_equal(fired_so_far(f).count, 27);
    assert_int_equal(wf_snapshot_verify(f->engine, NULL, &f->err), WF_OK);
    fixture_verify(f);
}

/* --- reviews --- */

static bool note_review(void *ctx, const struct wf_review *review) {
    char *text = ctx;
    size_t used = strlen(text);
    (void)snprintf(text + used, 512 - used, "%s%s:%s:%s", used > 0 ? " " : "", review->id,
                   review->stage, review->proposal);
    return true;
}

static const char *reviews(struct engine_fixture *f, char text[512]) {
    text[0] = '\0';
    must(f, wf_review_list(f->engine, NULL, note_review, text, &f->err));
    return text;
}

static void test_reviews_are_listed_from_memory_and_snapshot(void **state) {
    struct engine_fixture *f = *state;
    char text[512];
    fixture_loans(f, 0, 20, 2);
    struct wf_command back = {.kind = WF_WORKFLOW_ROLLBACK,
                              .id = "L0007",
                              .stage = "credit_check",
                              .reason = "wrong",
                              .actor = "eve"};
    must(f, wf_execute(f->engine, &back, NULL, &f->err));
    assert_string_equal(reviews(f, text), "L0007:income_verification:rollback");
    fixture_reopen(f, true);
    assert_string_equal(reviews(f, text), "L0007:income_verification:rollback");
    back.id = "L0003";
    must(f, wf_execute(f->engine, &back, NULL, &f->err));
    assert_string_equal(reviews(f, text),
                        "L0003:income_verification:rollback L0007:income_verification:rollback");
    struct wf_command approve = {.kind = WF_REVIEW_APPROVE,
                                 .id = "L0007",
                                 .stage = "income_verification",
                                 .actor = "bob",
                                 .role = "reviewer"};
    must(f, wf_execute(f->engine, &approve, NULL, &f->err));
    fixture_reopen(f, true);
    assert_string_equal(reviews(f, text), "L0003:income_verification:rollback");
    fixture_verify(f);
}

static void test_dry_run_tells_the_plan_and_writes_nothing(void **state) {
    struct engine_fixture *f = *state;
    fixture_loan(f, "L1", 3);
    uint64_t lsn = fixture_status(f).durable_lsn;
    struct wf_command back = {.kind = WF_WORKFLOW_ROLLBACK,
                              .id = "L1",
                              .stage = "credit_check",
                              .reason = "wrong",
                              .actor = "eve"};
    struct wf_plan *plan = NULL;
    must(f, wf_rollback_plan(f->engine, &back, &plan, &f->err));
    assert_int_equal(plan->stage_count, 3);
    assert_string_equal(plan->stages[0].stage, "collateral_assessment");
    assert_null(plan->stages[0].step);
    assert_string_equal(plan->stages[1].role, "reviewer");
    assert_string_equal(plan->stages[1].step, "employer_verification");
    assert_int_equal(plan->stages[1].field_count, 2);
    assert_string_equal(plan->stages[1].fields[0], "salary");
    assert_null(plan->stages[2].role);
    wf_plan_free(plan);
    assert_int_equal(fixture_status(f).durable_lsn, lsn);
    back.stage = "final_approval";
    assert_int_equal(wf_rollback_plan(f->engine, &back, &plan, &f->err), WF_REFUSED);
    assert_null(plan);
}

/* --- the host's clock --- */

static int64_t host_ms;

static int64_t read_host(void *ctx) {
    (void)ctx;
    return host_ms;
}

static bool note_jump(void *ctx, const struct wf_event *event) {
    if (strcmp(event->event, "clock_jumped") == 0)
        ++*(int *)ctx;
    return true;
}

static void test_host_clock_fires_before_commands_and_runs_back_on_record(void **unused) {
    (void)unused;
    struct engine_fixture f;
    fixture_prepare_sim(&f);
    f.options.test_clock = false;
    f.options.clock = WF_CLOCK_HOST;
    f.options.now_ms = read_host;
    host_ms = INT64_C(1767225600000);
    fixture_open(&f);
    fixture_define(&f);
    fixture_loan(&f, "L1", 1);
    host_ms += 30000;
    uint64_t fired = 0;
    must(&f, wf_tick(f.engine, &fired, &f.err));
    assert_int_equal(fired, 1);
    host_ms += 30000;
    fixture_loan(&f, "L2", 1); /* fires by itself before it */
    assert_int_equal(fired_so_far(&f).count, 2);
    int jumps = 0;
    host_ms -= 3600000;
    fixture_loan(&f, "L3", 1);
    fixture_loan(&f, "L4", 1);
    must(&f, wf_replay(f.engine, 1, UINT64_MAX, NULL, note_jump, &jumps, &f.err));
    assert_int_equal(jumps, 1);
    fixture_verify(&f);
    fixture_deinit(&f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_advance_fires_each_at_its_deadline_in_order),
        TEST(test_timers_fire_from_the_snapshot),
        TEST(test_thirty_days_fire_every_timer_once_and_in_order),
        TEST(test_timers_fire_once_whoever_restarts_when),
        TEST(test_timers_outlive_a_failed_checkpoint),
        TEST(test_reviews_are_listed_from_memory_and_snapshot),
        TEST(test_dry_run_tells_the_plan_and_writes_nothing),
        cmocka_unit_test(test_advance_cut_short_anywhere_is_finished_by_the_next_process),
        cmocka_unit_test(test_advance_from_a_snapshot_cut_short_anywhere_is_finished),
        cmocka_unit_test(test_advance_torn_after_any_record_is_finished_by_the_next_process),
        cmocka_unit_test(test_host_clock_fires_before_commands_and_runs_back_on_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
