/* (f) 10,000 loans wait for the credit bureau, kill -9, reopen, one submission each: when is the
 * first answered, counted from before the process was made, when the last, and what do they take on
 * the disk. */
#include "tools/wfbench/bench.h"
#include "workflows/loan/loan_sample.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAITING = 10000, WAITING_QUICK = 200 };

/* Arguments: the store to make, how many loans. Says "ready" and waits to be killed. */
int bench_worker_wait(int argc, char **argv) {
    if (argc != 2)
        bench_die("wait takes 2 arguments");
    struct wf_options options;
    bench_options(&options);
    struct wf_engine *engine = bench_store_create(argv[0], &options);
    bench_load(engine, "L", 0, strtoull(argv[1], NULL, 10), 0, 2);
    puts("ready");
    fflush(stdout);
    for (;;)
        pause();
}

/* Arguments: the store, how many loans. Says when the first and when all were answered, on the
 * clock that all processes share. */
int bench_worker_answer(int argc, char **argv) {
    if (argc != 2)
        bench_die("answer takes 2 arguments");
    uint64_t loans = strtoull(argv[1], NULL, 10);
    struct wf_options options;
    bench_options(&options);
    uint64_t start = bench_now_ns();
    struct wf_engine *engine = bench_store_open(argv[0], &options);
    double open_ms = (double)(bench_now_ns() - start) / 1e6;
    struct wf_store_status status;
    struct wf_error err;
    bench_check(wf_status_get(engine, false, &status, &err), &err, "status");
    uint64_t log_before = bench_log_bytes(engine);
    struct loan_sample sample;
    loan_sample_command(&sample, "L", 0, 2);
    bench_check(wf_execute(engine, &sample.command, NULL, &err), &err, "the first");
    double first_ns = (double)bench_now_ns();
    bench_load(engine, "L", 1, loans - 1, 2, 3);
    double all_ns = (double)bench_now_ns();
    bench_answer_print("first", first_ns);
    bench_answer_print("all", all_ns);
    bench_answer_print("open_ms", open_ms);
    bench_answer_print("replayed", (double)status.replayed);
    bench_answer_print("record", (double)(bench_log_bytes(engine) - log_before) / (double)loans);
    bench_store_close(engine);
    return 0;
}

/* The same with plain system calls. Arguments: a folder, loans, bytes of a record. */
int bench_worker_raw(int argc, char **argv) {
    if (argc != 3)
        bench_die("raw takes 3 arguments");
    size_t loans = strtoull(argv[1], NULL, 10);
    size_t record = strtoull(argv[2], NULL, 10);
    struct bench_raw raw;
    bench_raw_open(&raw, argv[0], (loans + 1) * record);
    bench_raw_append(&raw, record);
    double first_ns = (double)bench_now_ns();
    for (size_t done = 1; done < loans; done += BENCH_GROUP)
        bench_raw_append(&raw, (loans - done < BENCH_GROUP ? loans - done : BENCH_GROUP) * record);
    double all_ns = (double)bench_now_ns();
    bench_answer_print("first", first_ns);
    bench_answer_print("all", all_ns);
    bench_raw_close(&raw);
    return 0;
}

/* Killed as soon as the last command was answered; or when all had been quiet for a while, as it is
 * where loans wait for days: the background thread has written a snapshot by then. */
struct waiting_case {
    unsigned quiet_s;
    const char *names[3], *titles[3];
};
static const struct waiting_case waiting_cases[] = {
    {0,
     {"waiting_first", "waiting_all", "waiting_disk"},
     {"10,000 waiting, kill: first answer", "the same: all answered", "disk for a waiting loan"}},
    {4,
     {"quiet_first", "quiet_all", "quiet_disk"},
     {"kill after 4 quiet seconds: first answer", "the same: all answered",
      "disk for a waiting loan"}},
};
enum { CASES = sizeof waiting_cases / sizeof waiting_cases[0] };

struct waiting_rows {
    struct bench_row *first, *all, *disk;
};

static struct waiting_rows add_rows(struct bench *bench, const struct waiting_case *which) {
    struct waiting_rows rows;
    struct bench_row like = {
        .figure = "f",
        .name = which->names[0],
        .title = which->titles[0],
        .unit = "ms",
        .baseline = "raw",
        .better = BENCH_LOWER,
        .judged = BENCH_BY_VALUE,
        .floor = 10,
        .note = "from before the process was made",
    };
    rows.first = bench_row_add(bench, &like);
    like.name = which->names[1];
    like.title = which->titles[1];
    like.floor = 500;
    rows.all = bench_row_add(bench, &like);
    like.name = which->names[2];
    like.title = which->titles[2];
    like.unit = "B";
    like.baseline = NULL;
    like.floor = 400;
    rows.disk = bench_row_add(bench, &like);
    return rows;
}

static void run_once(struct bench *bench, const struct waiting_rows *rows, unsigned quiet_s,
                     uint64_t waiting) {
    char dir[PATH_MAX], loans[24], record[24];
    bench_path(dir, bench->dir, "waiting");
    snprintf(loans, sizeof loans, "%llu", (unsigned long long)waiting);

    struct bench_worker worker;
    bench_worker_start(bench, &worker, "wait", (const char *const[]){dir, loans, NULL});
    bench_worker_ready(&worker);
    sleep(quiet_s);
    bench_worker_kill(&worker);
    struct bench_disk disk = bench_disk_usage(dir);

    struct bench_answers answers;
    bench_worker_start(bench, &worker, "answer", (const char *const[]){dir, loans, NULL});
    uint64_t engine_ns = worker.started_ns;
    bench_worker_finish(&worker, &answers);
    snprintf(rows->first->note, sizeof rows->first->note,
             "from before the process was made; wf_open %.1f ms of it, %.0f records replayed",
             bench_answer(&answers, "open_ms"), bench_answer(&answers, "replayed"));
    double first = bench_answer(&answers, "first"), all = bench_answer(&answers, "all");
    struct bench_disk closed = bench_disk_usage(dir);
    bench_remove(dir);

    snprintf(record, sizeof record, "%.0f", bench_answer(&answers, "record"));
    bench_worker_start(bench, &worker, "raw",
                       (const char *const[]){bench->dir, loans, record, NULL});
    uint64_t raw_ns = worker.started_ns;
    bench_worker_finish(&worker, &answers);
    bench_row_run(rows->first, (first - (double)engine_ns) / 1e6,
                  (bench_answer(&answers, "first") - (double)raw_ns) / 1e6);
    bench_row_run(rows->all, (all - (double)engine_ns) / 1e6,
                  (bench_answer(&answers, "all") - (double)raw_ns) / 1e6);
    double count = (double)waiting;
    bench_row_run(rows->disk, (double)disk.allocated / count, 0);
    snprintf(rows->disk->note, sizeof rows->disk->note,
             "du of the killed store; apparent %.0f; answered and closed %.0f, apparent %.0f",
             (double)disk.apparent / count, (double)closed.allocated / count,
             (double)closed.apparent / count);
}

void bench_waiting(struct bench *bench) {
    struct waiting_rows rows[CASES];
    for (size_t i = 0; i < CASES; i++)
        rows[i] = add_rows(bench, &waiting_cases[i]);
    for (size_t run = 0; run < bench->runs; run++) {
        bench_progress("waiting", run + 1, bench->runs);
        for (size_t i = 0; i < CASES; i++)
            run_once(bench, &rows[i], bench->quick ? 0 : waiting_cases[i].quiet_s,
                     bench->quick ? WAITING_QUICK : WAITING);
    }
}
