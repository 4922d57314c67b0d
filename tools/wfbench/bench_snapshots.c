/* (g) Latency of one durable transition at a time while snapshots are written, beside the same
 * without. */
#include "tools/wfbench/bench.h"
#include "workflows/loan/loan_sample.h"

#include <stdlib.h>

enum {
    LOANS = 200 * BENCH_GROUP, /* in the store, so that a snapshot has a tree to work on */
    LOANS_QUICK = 2 * BENCH_GROUP,
    SAMPLES = 10000, /* transitions in a run */
    SAMPLES_QUICK = 200,
    SNAPSHOT_LOG_BYTES =
        256 << 10, /* a snapshot after each that much: about every 1,500 transitions */
    SNAPSHOT_LOG_BYTES_QUICK = 8 << 10,
    PARTS = 4,
};

static const struct {
    const char *name, *title;
    double part;
} PERCENTILES[PARTS] = {
    {"snapshots_p50", "latency under snapshots: p50", 0.5},
    {"snapshots_p99", "p99", 0.99},
    {"snapshots_p99_9", "p99.9", 0.999},
    {"snapshots_max", "largest", 1},
};

/* Spread over the whole store: a snapshot then changes as many pages as it can. */
static uint64_t pick_loan(uint64_t index, uint64_t loans) {
    return index * 7919 % loans;
}

/* Execute `count` transitions and sort out their latencies. Returns how many snapshots were written
 * meanwhile. */
static uint64_t sample(struct wf_engine *engine, uint64_t first, size_t count, uint64_t loans,
                       double percentiles[PARTS]) {
    double *latencies_us = malloc(count * sizeof *latencies_us);
    if (latencies_us == NULL)
        bench_die("no memory");
    uint64_t snapshots = 0, last = bench_snapshot_lsn(engine);
    struct wf_error err;
    for (size_t i = 0; i < count; i++) {
        uint64_t at = first + i;
        struct loan_sample loan;
        /* The whole store advances by one step before any loan takes its next. */
        loan_sample_command(&loan, "L", pick_loan(at % loans, loans), 2 + (unsigned)(at / loans));
        uint64_t start = bench_now_ns();
        bench_check(wf_execute(engine, &loan.command, NULL, &err), &err, "submit");
        latencies_us[i] = (double)(bench_now_ns() - start) / 1e3;
        if (i % 100 == 99) {
            uint64_t now = bench_snapshot_lsn(engine);
            snapshots += now != last;
            last = now;
        }
    }
    for (size_t i = 0; i < PARTS; i++)
        percentiles[i] = bench_percentile(latencies_us, count, PERCENTILES[i].part);
    free(latencies_us);
    return snapshots;
}

static void add_rows(struct bench *bench, struct bench_row *rows[PARTS]) {
    for (size_t i = 0; i < PARTS; i++)
        rows[i] = bench_row_add(bench, &(struct bench_row){
                                           .figure = "g",
                                           .name = PERCENTILES[i].name,
                                           .title = PERCENTILES[i].title,
                                           .unit = "µs",
                                           .baseline = "without",
                                           .better = BENCH_LOWER,
                                       });
}

void bench_snapshots(struct bench *bench) {
    struct bench_row *rows[PARTS];
    add_rows(bench, rows);
    const uint64_t loans = bench->quick ? LOANS_QUICK : LOANS;
    const size_t samples = bench->quick ? SAMPLES_QUICK : SAMPLES;
    const uint64_t transitions = (uint64_t)samples * 2 * bench->runs;
    if (transitions > loans * 4)
        bench_die("snapshots: at most %llu runs",
                  (unsigned long long)(loans * 2 / (uint64_t)samples));

    struct wf_options options;
    char dir[PATH_MAX];
    bench_options(&options);
    bench_progress("snapshots: making the store", 1, 1);
    struct wf_engine *engine =
        bench_store_create(bench_path(dir, bench->dir, "snapshots"), &options);
    bench_load(engine, "L", 0, loans, 0, 2);
    bench_store_close(engine);

    uint64_t at = 0, snapshots = 0;
    for (size_t run = 0; run < bench->runs; run++) {
        bench_progress("snapshots", run + 1, bench->runs);
        double with[PARTS], without[PARTS];
        options.snapshot_log_bytes = bench->quick ? SNAPSHOT_LOG_BYTES_QUICK : SNAPSHOT_LOG_BYTES;
        engine = bench_store_open(dir, &options);
        snapshots += sample(engine, at, samples, loans, with);
        bench_store_close(engine);
        at += samples;

        options.snapshot_log_bytes = 0;
        engine = bench_store_open(dir, &options);
        sample(engine, at, samples, loans, without);
        bench_store_close(engine);
        at += samples;
        for (size_t i = 0; i < PARTS; i++)
            bench_row_run(rows[i], with[i], without[i]);
    }
    snprintf(rows[0]->note, sizeof rows[0]->note, "%llu snapshots in %zu transitions, %llu loans",
             (unsigned long long)snapshots, samples * bench->runs, (unsigned long long)loans);
    if (snapshots == 0)
        bench_die("snapshots: none was written while it was measured");
    bench_remove(dir);
}
