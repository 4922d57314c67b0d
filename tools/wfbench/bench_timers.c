/* (j) Timers: what a deadline costs that is set and taken back again, with 1,000 and with 1,000,000
 * others pending; and thirty days of test clock, with 100,000 that fire. */
#include "tools/wfbench/bench.h"

#include <stdlib.h>
#include <string.h>

enum {
    TYPES = 30, /* one times out after a day, the next after two, … */
    FEW = 1000,
    MANY = 1000000,
    MANY_QUICK = 2000,
    CHANGES = 200 * BENCH_GROUP,
    CHANGES_QUICK = BENCH_GROUP,
    FIRING = 100000,
    FIRING_QUICK = 1000,
};

static const int64_t day_ms = INT64_C(86400000);

/* In memory, so that it is the timers that are measured and not the snapshot. */
static struct wf_engine *create(const struct bench *bench, char dir[PATH_MAX]) {
    struct wf_options options;
    wf_options_init(&options);
    options.create = options.test_clock = true;
    options.test_clock_ms = INT64_C(1767225600000); /* 2026-01-01 */
    options.memory_max = UINT64_C(16) << 30;
    options.snapshot_log_bytes = 0;
    options.snapshot_on_close = false;
    struct wf_engine *engine = bench_store_open(bench_path(dir, bench->dir, "timers"), &options);
    for (int days = 1; days <= TYPES; days++) {
        char text[160];
        struct wf_error err;
        snprintf(text, sizeof text,
                 "workflow: d%d\nversion: 1\nsteps: {s: {completes: a}}\n"
                 "stages: [{name: a, timeout: %dd, attempts: 1}]\n",
                 days, days);
        struct wf_command add = {.kind = WF_DEFINITION_ADD, .text = text};
        bench_check(wf_execute(engine, &add, NULL, &err), &err, "definition");
    }
    return engine;
}

/* Numbers in no order, the same each time. */
static uint64_t scatter(uint64_t number) {
    number = (number + 0x9e3779b97f4a7c15) * 0xbf58476d1ce4e5b9;
    return number ^ number >> 31;
}

static void enqueue(struct wf_engine *engine, enum wf_command_kind kind, uint64_t number,
                    struct wf_pending *pending) {
    char id[24], type[8];
    struct wf_error err;
    snprintf(id, sizeof id, "W%llu", (unsigned long long)number);
    snprintf(type, sizeof type, "d%d", 1 + (int)(scatter(number) % TYPES));
    struct wf_command command = {.kind = kind, .id = id, .type = type, .reason = "enough"};
    bench_check(wf_enqueue(engine, &command, pending, &err), &err, "enqueue");
}

static void settle(struct wf_engine *engine, struct wf_pending *group, size_t count) {
    struct wf_error err;
    for (size_t i = count; i-- > 0;)
        bench_check(wf_wait(engine, &group[i], NULL, &err), &err, "wait");
}

static void start_some(struct wf_engine *engine, uint64_t first, uint64_t count,
                       struct wf_pending *group) {
    for (uint64_t done = 0; done < count; done += BENCH_GROUP) {
        size_t size = count - done < BENCH_GROUP ? (size_t)(count - done) : BENCH_GROUP;
        for (size_t i = 0; i < size; i++)
            enqueue(engine, WF_WORKFLOW_START, first + done + i, &group[i]);
        settle(engine, group, size);
    }
}

/* Nanoseconds for one timer set and taken back: a workflow started and cancelled. */
static double change(struct wf_engine *engine, uint64_t first, uint64_t count,
                     struct wf_pending *group) {
    uint64_t start = bench_now_ns();
    for (uint64_t done = 0; done < count; done += BENCH_GROUP / 2) {
        for (size_t i = 0; i < BENCH_GROUP / 2; i++) {
            enqueue(engine, WF_WORKFLOW_START, first + done + i, &group[2 * i]);
            enqueue(engine, WF_WORKFLOW_CANCEL, first + done + i, &group[2 * i + 1]);
        }
        settle(engine, group, BENCH_GROUP);
    }
    return (double)(bench_now_ns() - start) / (double)count;
}

static void measure_changes(struct bench *bench, struct bench_row *row, struct wf_pending *group) {
    uint64_t many = bench->quick ? MANY_QUICK : MANY;
    uint64_t changes = bench->quick ? CHANGES_QUICK : CHANGES;
    for (size_t i = 0; i < bench->runs; i++) {
        char dir[PATH_MAX];
        bench_progress(row->name, i + 1, bench->runs);
        struct wf_engine *engine = create(bench, dir);
        start_some(engine, 0, FEW, group);
        double few_ns = change(engine, many, changes, group);
        start_some(engine, FEW, many - FEW, group);
        double many_ns = change(engine, many + changes, changes, group);
        bench_store_close(engine);
        bench_remove(dir);
        bench_row_run(row, many_ns / 1e3, few_ns / 1e3);
    }
    snprintf(row->note, sizeof row->note,
             "a workflow started and cancelled, durably, in groups of %d; baseline: %d pending",
             BENCH_GROUP / 2, FEW);
}

/* Each fires once, and none before another that was due earlier. */
struct fired {
    uint64_t count;
    int64_t last_ms;
};

static bool see_fired(void *ctx, const struct wf_event *event) {
    struct fired *fired = ctx;
    if (strcmp(event->event, "stage_timed_out") == 0) {
        if (event->time_ms < fired->last_ms)
            bench_die("a timer fired out of order, at LSN %llu", (unsigned long long)event->lsn);
        fired->last_ms = event->time_ms;
        fired->count++;
    }
    return true;
}

static void measure_firing(struct bench *bench, struct bench_row *row, struct wf_pending *group) {
    uint64_t count = bench->quick ? FIRING_QUICK : FIRING;
    for (size_t i = 0; i < bench->runs; i++) {
        char dir[PATH_MAX];
        struct wf_error err;
        struct fired fired = {0, 0};
        bench_progress(row->name, i + 1, bench->runs);
        struct wf_engine *engine = create(bench, dir);
        start_some(engine, 0, count, group);
        uint64_t before = bench_log_bytes(engine);
        uint64_t start = bench_now_ns();
        struct wf_command advance = {.kind = WF_CLOCK_ADVANCE, .duration_ms = TYPES * day_ms};
        bench_check(wf_execute(engine, &advance, NULL, &err), &err, "advance");
        double fired_s = (double)(bench_now_ns() - start) / 1e9;
        size_t bytes = (size_t)(bench_log_bytes(engine) - before);
        bench_check(wf_replay(engine, 1, UINT64_MAX, NULL, see_fired, &fired, &err), &err,
                    "replay");
        if (fired.count != count)
            bench_die("%llu timers fired, of %llu", (unsigned long long)fired.count,
                      (unsigned long long)count);
        bench_store_close(engine);
        bench_remove(dir);

        bench_row_run(row, fired_s * 1e3, (double)bench_raw_groups(bench, 1, bytes) / 1e6);
        snprintf(row->note, sizeof row->note,
                 "%llu timers, each a record of %zu bytes; raw: all of them with one sync",
                 (unsigned long long)count, bytes / (size_t)count);
    }
}

void bench_timers(struct bench *bench) {
    struct bench_row *changes = bench_row_add(
        bench, &(struct bench_row){.figure = "j",
                                   .name = "timers_change",
                                   .title = "a timer set and cancelled, 1,000,000 pending",
                                   .unit = "µs",
                                   .baseline = "1,000",
                                   .better = BENCH_LOWER,
                                   .judged = BENCH_BY_RATIO,
                                   .floor = 3,
                                   .goal = 2});
    struct bench_row *firing =
        bench_row_add(bench, &(struct bench_row){.figure = "j",
                                                 .name = "timers_fire",
                                                 .title = "thirty days, 100,000 timers fire",
                                                 .unit = "ms",
                                                 .baseline = "raw",
                                                 .better = BENCH_LOWER,
                                                 .judged = BENCH_BY_VALUE,
                                                 .floor = 5000});
    struct wf_pending *group = malloc(BENCH_GROUP * sizeof *group);
    if (group == NULL)
        bench_die("no memory");
    measure_changes(bench, changes, group);
    measure_firing(bench, firing, group);
    free(group);
}
