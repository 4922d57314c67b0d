/* (d) Reopening a store of 1,000,000 workflows: after a clean close, and after a kill with 64 MiB
 * of log behind the snapshot. In a process of its own each time; pages are in the system's cache.
 */
#include "tools/wfbench/bench.h"
#include "workflows/loan/loan_sample.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { TAIL_BYTES = 64 << 20, TAIL_BYTES_QUICK = 64 << 10 };
#define TAIL_MEMORY ((uint64_t)1 << 30) /* so that the tail's changes do not ask for a snapshot */

/* Arguments: the store, "close" or "leave" (as a kill would). */
int bench_worker_open(int argc, char **argv) {
    if (argc != 2)
        bench_die("open takes 2 arguments");
    struct wf_options options;
    bench_options(&options);
    options.snapshot_log_bytes =
        0; /* else the first thing it does is to write the tail's snapshot */
    uint64_t start = bench_now_ns();
    struct wf_engine *engine = bench_store_open(argv[0], &options);
    bench_answer_print("open_ms", (double)(bench_now_ns() - start) / 1e6);
    struct wf_store_status status;
    struct wf_error err;
    bench_check(wf_status_get(engine, false, &status, &err), &err, "status");
    bench_answer_print("replayed", (double)status.replayed);
    bench_answer_print("replay_ms", status.replay_ms);
    if (strcmp(argv[1], "leave") == 0)
        _exit(0);
    bench_store_close(engine);
    return 0;
}

/* Arguments: the store, the first of its loans that may be advanced, their count, bytes of log to
 * write. Says "ready" and waits to be killed. */
int bench_worker_tail(int argc, char **argv) {
    if (argc != 4)
        bench_die("tail takes 4 arguments");
    uint64_t first = strtoull(argv[1], NULL, 10);
    uint64_t count = strtoull(argv[2], NULL, 10);
    uint64_t bytes = strtoull(argv[3], NULL, 10);
    struct wf_options options;
    bench_options(&options);
    options.snapshot_log_bytes = 0;
    options.memory_max = TAIL_MEMORY;
    struct wf_engine *engine = bench_store_open(argv[0], &options);
    uint64_t begin = bench_log_bytes(engine);
    for (uint64_t at = 0; at < count && bench_log_bytes(engine) - begin < bytes; at += BENCH_GROUP)
        bench_load(engine, "M", first + at, count - at < BENCH_GROUP ? count - at : BENCH_GROUP, 2,
                   LOAN_COMMANDS);
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}

/* Leave the store as a kill left it, with the tail behind its snapshot. */
static void kill_with_tail(struct bench *bench, const char *dir) {
    uint64_t count = bench->quick ? BENCH_GROUP : 150 * BENCH_GROUP;
    char first[24], loans[24], bytes[24];
    snprintf(first, sizeof first, "%llu", (unsigned long long)bench_million_take(bench, count));
    snprintf(loans, sizeof loans, "%llu", (unsigned long long)count);
    snprintf(bytes, sizeof bytes, "%d", bench->quick ? TAIL_BYTES_QUICK : TAIL_BYTES);
    struct bench_worker worker;
    bench_worker_start(bench, &worker, "tail",
                       (const char *const[]){dir, first, loans, bytes, NULL});
    bench_worker_ready(&worker);
    bench_worker_kill(&worker);
}

static void measure(struct bench *bench, struct bench_row *row, const char *dir, const char *how) {
    for (size_t i = 0; i < bench->runs; i++) {
        bench_progress(row->name, i + 1, bench->runs);
        struct bench_answers answers;
        bench_worker_run(bench, "open", (const char *const[]){dir, how, NULL}, &answers);

        struct bench_raw raw;
        bench_raw_open(&raw, bench->dir, 1 << 20);
        uint64_t start = bench_now_ns();
        bench_raw_append(&raw, 4096);
        double raw_ms = (double)(bench_now_ns() - start) / 1e6;
        bench_raw_close(&raw);
        bench_row_run(row, bench_answer(&answers, "open_ms"), raw_ms);
        snprintf(row->note, sizeof row->note, "%.0f records replayed in %.1f ms",
                 bench_answer(&answers, "replayed"), bench_answer(&answers, "replay_ms"));
    }
}

void bench_reopen(struct bench *bench) {
    char dir[PATH_MAX];
    bench_million(bench, dir);
    struct bench_row like = {
        .figure = "d",
        .name = "reopen_clean",
        .title = "reopen 1,000,000 workflows, clean",
        .unit = "ms",
        .baseline = "sync",
        .better = BENCH_LOWER,
        .judged = BENCH_BY_VALUE,
        .floor = 50,
    };
    measure(bench, bench_row_add(bench, &like), dir, "close");

    kill_with_tail(bench, dir);
    like.name = "reopen_killed";
    like.title = "the same, killed with 64 MiB of log";
    like.floor = 500;
    measure(bench, bench_row_add(bench, &like), dir, "leave");

    /* Close it well, for the figures that come after. */
    struct bench_answers answers;
    bench_worker_run(bench, "open", (const char *const[]){dir, "close", NULL}, &answers);
}
