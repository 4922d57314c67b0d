/* Holds expire by the timers: in order of time and between the stages' deadlines, once, each as a
 * record, whoever restarts when, on a test clock and on the host's. */
#include "tests/lib/engine_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const int64_t begin_ms = INT64_C(1767225600000);

static void open_account(struct engine_fixture *f, const char *number) {
    const struct wf_command command = {.kind = WF_ACCOUNT_OPEN,
                                       .id = number,
                                       .type = "checking",
                                       .currency = "USD",
                                       .amount = "100.00"};
    must(f, wf_execute(f->engine, &command, NULL, &f->err));
}

static int setup(void **state) {
    struct engine_fixture *f = calloc(1, sizeof *f);
    fixture_init_sim(f);
    open_account(f, "A");
    open_account(f, "B");
    open_account(f, "C");
    *state = f;
    return 0;
}

static int teardown(void **state) {
    fixture_deinit(*state);
    free(*state);
    return 0;
}

static void advance(struct engine_fixture *f, int64_t seconds) {
    const struct wf_command command = {.kind = WF_CLOCK_ADVANCE, .duration_ms = seconds * 1000};
    must(f, wf_execute(f->engine, &command, NULL, &f->err));
}

static void hold(struct engine_fixture *f, const char *number, const char *name, int64_t seconds) {
    const struct wf_operation operation = {.type = "hold",
                                           .from = number,
                                           .to = strcmp(number, "C") == 0 ? "A" : "C",
                                           .amount = "1.00",
                                           .currency = "USD",
                                           .hold = name,
                                           .expires_in_ms = seconds * 1000};
    const struct wf_command command = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = &operation, .operation_count = 1};
    must(f, wf_execute(f->engine, &command, NULL, &f->err));
}

static enum wf_status end(struct engine_fixture *f, const char *type, const char *number,
                          const char *name) {
    const struct wf_operation operation = {.type = type, .from = number, .hold = name};
    const struct wf_command command = {
        .kind = WF_ACCOUNT_TRANSACT, .operations = &operation, .operation_count = 1};
    return wf_execute(f->engine, &command, NULL, &f->err);
}

/* What ended, oldest first: "account/hold@second" and "workflow@second"; "+" where it is of the
 * same record as the one before. */
struct fired {
    char text[4096];
    uint64_t count, last_lsn;
};

static const char *value_of(const struct wf_event *event, const char *name) {
    for (size_t i = 0; i < event->data_count; i++)
        if (strcmp(event->data[i].name, name) == 0)
            return event->data[i].value;
    return "";
}

static bool note(void *ctx, const struct wf_event *event) {
    struct fired *fired = ctx;
    bool expired =
        strcmp(event->event, "hold_ended") == 0 && strcmp(value_of(event, "end"), "expired") == 0;
    if (!expired && strcmp(event->event, "stage_timed_out") != 0)
        return true;
    size_t used = strlen(fired->text);
    const char *lead = used == 0 ? "" : event->lsn == fired->last_lsn ? "+" : " ";
    int second = (int)((event->time_ms - begin_ms) / 1000);
    if (expired)
        snprintf(fired->text + used, sizeof fired->text - used, "%s%s/%s@%d", lead,
                 value_of(event, "account"), value_of(event, "hold"), second);
    else
        snprintf(fired->text + used, sizeof fired->text - used, "%s%s@%d", lead, event->subject,
                 second);
    fired->last_lsn = event->lsn;
    fired->count++;
    return true;
}

static struct fired fired_so_far(struct engine_fixture *f) {
    struct fired fired = {.count = 0};
    must(f, wf_replay(f->engine, 1, UINT64_MAX, NULL, note, &fired, &f->err));
    return fired;
}

static void test_holds_expire_in_order_between_the_stages(void **state) {
    struct engine_fixture *f = *state;
    hold(f, "B", "late", 50);
    hold(f, "B", "early", 20);
    hold(f, "A", "x", 30);
    hold(f, "A", "y", 30);
    fixture_loan(f, "L", 1); /* times out at 30, 60 and 90 s */
    advance(f, 70);
    assert_string_equal(fired_so_far(f).text, "B/early@20 L@30 A/x@30+A/y@30 B/late@50 L@60");
    assert_int_equal(fixture_status(f).now_ms, begin_ms + 70000);
    fixture_verify(f);
}

static void test_hold_that_ended_before_does_not_expire(void **state) {
    struct engine_fixture *f = *state;
    hold(f, "A", "x", 30);
    hold(f, "A", "y", 30);
    hold(f, "A", "z", 0);
    must(f, end(f, "post", "A", "x"));
    must(f, end(f, "void", "A", "y"));
    advance(f, 1000);
    assert_string_equal(fired_so_far(f).text, "");
    must(f, end(f, "post", "A", "z"));
    fixture_verify(f);
}

static void test_hold_expires_at_its_time_and_not_before(void **state) {
    struct engine_fixture *f = *state;
    struct wf_account *account = NULL;
    hold(f, "A", "x", 30);
    advance(f, 29);
    must(f, wf_account_get(f->engine, "A", &account, &f->err));
    assert_string_equal(account->available, "99.00");
    assert_int_equal(account->hold_count, 1);
    wf_account_free(account);
    uint64_t before = fixture_status(f).durable_lsn;
    advance(f, 1);
    assert_string_equal(fired_so_far(f).text, "A/x@30");
    assert_true(fixture_status(f).durable_lsn > before);
    must(f, wf_account_get(f->engine, "A", &account, &f->err));
    assert_string_equal(account->available, "100.00");
    assert_int_equal(account->version, 3); /* opened, placed, expired */
    wf_account_free(account);
    assert_int_equal(end(f, "post", "A", "x"), WF_REFUSED);
}

/* No account is in memory: the snapshot's order tells what is next. */
static void test_holds_expire_from_the_snapshot(void **state) {
    struct engine_fixture *f = *state;
    enum { COUNT = 40 };
    char number[16];
    f->options.memory_max = 1;
    fixture_reopen(f, true);
    for (int i = 0; i < COUNT; i++) {
        snprintf(number, sizeof number, "N%02d", i);
        open_account(f, number);
        hold(f, number, "first", 30 + i);
        hold(f, number, "second", 100);
    }
    fixture_reopen(f, true);
    assert_int_equal(f->engine->state.holds.count, 0);
    advance(f, 30);
    assert_string_equal(fired_so_far(f).text, "N00/first@30");
    fixture_reopen(f, true);
    advance(f, 69);
    assert_int_equal(fired_so_far(f).count, COUNT);
    fixture_reopen(f, true);
    advance(f, 1);
    assert_int_equal(fired_so_far(f).count, 2 * COUNT);
    fixture_reopen(f, true);
    advance(f, 86400);
    assert_int_equal(fired_so_far(f).count, 2 * COUNT);
    assert_int_equal(wf_snapshot_verify(f->engine, NULL, &f->err), WF_OK);
    fixture_verify(f);
}

/* Killed between advances, with and without a snapshot: each expires once. */
static void test_holds_expire_once_whoever_restarts_when(void **state) {
    struct engine_fixture *f = *state;
    char name[16];
    for (int round = 0; round < 6; round++) {
        snprintf(name, sizeof name, "h%d", round);
        hold(f, "A", name, 30);
        hold(f, "B", name, 45 - round);
        if (round % 3 == 0)
            must(f, wf_snapshot(f->engine, &f->err));
        fixture_crash(f, round % 2 == 1 ? SIZE_MAX : 0);
        fixture_open(f);
        advance(f, 5);
    }
    fixture_crash(f, 0);
    fixture_open(f);
    advance(f, 60);
    assert_int_equal(fired_so_far(f).count, 12);
    fixture_verify(f);
}

/* The machine loses power before each change of the disk in an advance: the next process finishes
 * it, and comes to the same. */
static void test_holds_expire_once_where_the_advance_is_cut_short(void **unused) {
    (void)unused;
    char expected[4096] = "";
    bool died = true;
    for (uint64_t stop = 0; died; stop++) { /* 0: undisturbed */
        struct engine_fixture f;
        const struct wf_command command = {.kind = WF_CLOCK_ADVANCE, .duration_ms = 100000};
        fixture_init_sim(&f);
        f.options.memory_max = stop % 2 == 0 ? 1 : f.options.memory_max;
        open_account(&f, "A");
        open_account(&f, "C");
        for (int i = 0; i < 5; i++) {
            char name[16];
            snprintf(name, sizeof name, "h%d", i);
            hold(&f, i % 2 == 0 ? "A" : "C", name, 90 - 10 * i);
        }
        fixture_loan(&f, "L", 1);
        fixture_reopen(&f, stop % 2 == 0);
        if (stop > 0)
            sim_stop_at(f.sim, sim_boundaries(f.sim) + stop);
        enum wf_status status = wf_execute(f.engine, &command, NULL, &f.err);
        died = stop == 0 || sim_is_dead(f.sim);
        assert_true(status == WF_OK || died);
        sim_stop_at(f.sim, 0);
        if (stop > 0) {
            fixture_crash(&f, stop % 3 == 0 ? SIZE_MAX : 0);
            fixture_open(&f);
            const struct store_entity *store = &f.engine->state.store;
            if (store->clock_target_ms == 0 && store->clock_ms == begin_ms)
                advance(&f, 100);
            must(&f, wf_tick(f.engine, NULL, &f.err));
        }
        struct fired fired = fired_so_far(&f);
        if (stop == 0)
            snprintf(expected, sizeof expected, "%s", fired.text);
        assert_int_equal(fired.count, 8);
        assert_string_equal(fired.text, expected);
        fixture_verify(&f);
        fixture_deinit(&f);
    }
}

/* The pairs of a checkpoint that failed never came to be. */
static void test_holds_outlive_a_failed_checkpoint(void **state) {
    struct engine_fixture *f = *state;
    hold(f, "A", "x", 30);
    hold(f, "B", "y", 40);
    must(f, wf_snapshot(f->engine, &f->err));
    must(f, end(f, "void", "A", "x"));
    hold(f, "A", "z", 50);
    hold(f, "B", "early", 10);
    sim_snapshot_fail_commit(f->snapshots, 1, WF_IO);
    assert_int_equal(wf_snapshot(f->engine, &f->err), WF_IO);
    open_account(f, "D");
    must(f, wf_snapshot(f->engine, &f->err));
    fixture_reopen(f, true);
    advance(f, 100);
    assert_string_equal(fired_so_far(f).text, "B/early@10 B/y@40 A/z@50");
    assert_int_equal(wf_snapshot_verify(f->engine, NULL, &f->err), WF_OK);
    fixture_verify(f);
}

static int64_t host_ms;

static int64_t read_host(void *ctx) {
    (void)ctx;
    return host_ms;
}

static void test_holds_expire_by_the_hosts_clock(void **unused) {
    (void)unused;
    struct engine_fixture f;
    fixture_prepare_sim(&f);
    f.options.test_clock = false;
    f.options.clock = WF_CLOCK_HOST;
    f.options.now_ms = read_host;
    host_ms = begin_ms;
    fixture_open(&f);
    open_account(&f, "A");
    open_account(&f, "C");
    hold(&f, "A", "x", 30);
    hold(&f, "A", "y", 60);
    assert_int_equal(fixture_status(&f).next_due_ms, begin_ms + 30000);
    host_ms += 30000;
    uint64_t fired = 0;
    must(&f, wf_tick(f.engine, &fired, &f.err));
    assert_int_equal(fired, 1);
    host_ms += 31000;
    open_account(&f, "D"); /* it fires by itself before that */
    assert_string_equal(fired_so_far(&f).text, "A/x@30 A/y@61");
    fixture_verify(&f);
    fixture_deinit(&f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_holds_expire_in_order_between_the_stages),
        TEST(test_hold_that_ended_before_does_not_expire),
        TEST(test_hold_expires_at_its_time_and_not_before),
        TEST(test_holds_expire_from_the_snapshot),
        TEST(test_holds_expire_once_whoever_restarts_when),
        cmocka_unit_test(test_holds_expire_once_where_the_advance_is_cut_short),
        TEST(test_holds_outlive_a_failed_checkpoint),
        cmocka_unit_test(test_holds_expire_by_the_hosts_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
