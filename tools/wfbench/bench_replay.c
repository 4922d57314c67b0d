/* (c) Replay of a log that is in the page cache: frames checked, records decoded, events applied.
 */
#include "tools/wfbench/bench.h"
#include "workflows/loan/loan_sample.h"

enum { LOANS = 200 * BENCH_GROUP, LOANS_QUICK = BENCH_GROUP };

/* Never a snapshot; what was changed stays in memory, so the bound must leave room for it. */
static void log_only(struct wf_options *options) {
    bench_options(options);
    options->snapshot_log_bytes = 0;
    options->snapshot_on_close = false;
    options->memory_max = UINT64_C(16) << 30;
}

void bench_replay(struct bench *bench) {
    struct bench_row like = {
        .figure = "c",
        .name = "replay",
        .title = "records replayed, CRC to apply",
        .unit = "/s",
        .baseline = "read",
        .better = BENCH_HIGHER,
        .judged = BENCH_BY_VALUE,
        .floor = 1e6,
        .goal = 2.3e6,
        .note = "baseline: read(2) of the same files",
    };
    struct bench_row *replay = bench_row_add(bench, &like);
    like.name = "replay_open";
    like.title = "the same, all of wf_open";
    like.judged = BENCH_NOT_JUDGED;
    like.floor = like.goal = 0;
    like.note[0] = '\0';
    struct bench_row *whole = bench_row_add(bench, &like);

    struct wf_options options;
    char dir[PATH_MAX], wal[PATH_MAX];
    log_only(&options);
    bench_progress("replay: writing the log", 1, 1);
    struct wf_engine *engine = bench_store_create(bench_path(dir, bench->dir, "replay"), &options);
    bench_load(engine, "L", 0, bench->quick ? LOANS_QUICK : LOANS, 0, LOAN_COMMANDS);
    bench_store_close(engine);
    bench_raw_read_all(bench_path(wal, dir, "wal"));

    for (size_t i = 0; i < bench->runs; i++) {
        bench_progress(replay->name, i + 1, bench->runs);
        uint64_t start = bench_now_ns();
        engine = bench_store_open(dir, &options);
        double open_s = (double)(bench_now_ns() - start) / 1e9;
        struct wf_store_status status;
        struct wf_error err;
        bench_check(wf_status_get(engine, false, &status, &err), &err, "status");
        bench_store_close(engine);
        if (status.replayed == 0)
            bench_die("the store was opened without replaying its log");

        start = bench_now_ns();
        bench_raw_read_all(wal);
        double read_s = (double)(bench_now_ns() - start) / 1e9;
        double records = (double)status.replayed;
        bench_row_run(replay, records * 1e3 / status.replay_ms, records / read_s);
        bench_row_run(whole, records / open_s, records / read_s);
    }
    bench_remove(dir);
}
