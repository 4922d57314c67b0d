/* (h) Archiving 1,000,000 records of the loan workload, side by side with pigz and zstd on the same
 * bytes; then reading one record of it, and verifying all. Each in a process of its own. */
#include "tools/wfbench/bench.h"
#include "workflows/loan/loan_sample.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    RECORDS = 1000000,
    RECORDS_QUICK = 30 * BENCH_GROUP,
    READS = 2000,
    SEGMENT_QUICK = 1 << 20,
    KEY_SIZE = 48,
};

/* --- the trail: worker --- */

/* Commands as a bank's systems send them: each with its sender and its key. */
static void load_group(struct wf_engine *engine, uint64_t first, size_t size, unsigned index,
                       struct wf_pending *group) {
    static const char *const actors[] = {"web-portal",  "credit-bureau",   "employer-gateway",
                                         "appraiser-7", "underwriter-ann", "underwriter-bob"};
    struct wf_error err;
    for (size_t i = 0; i < size; i++) {
        struct loan_sample sample;
        char key[KEY_SIZE];
        loan_sample_command(&sample, "A", first + i, index);
        snprintf(key, sizeof key, "%s-%u", sample.id, index);
        sample.command.key = key;
        sample.command.actor = actors[(index * 7 + (first + i) * 3) % 6];
        bench_check(wf_enqueue(engine, &sample.command, &group[i], &err), &err, "enqueue");
    }
    for (size_t i = 0; i < size; i++)
        bench_check(wf_wait(engine, &group[i], NULL, &err), &err, "trail");
}

/* Arguments: the store to make, how many records, bytes of a segment. */
int bench_worker_trail(int argc, char **argv) {
    if (argc != 3)
        bench_die("trail takes 3 arguments");
    uint64_t loans = strtoull(argv[1], NULL, 10) / LOAN_COMMANDS;
    struct wf_options options;
    bench_options(&options);
    options.segment_size = strtoull(argv[2], NULL, 10);
    struct wf_pending *group = malloc(BENCH_GROUP * sizeof *group);
    if (group == NULL)
        bench_die("no memory");
    struct wf_engine *engine = bench_store_create(argv[0], &options);
    for (uint64_t done = 0; done < loans; done += BENCH_GROUP) {
        size_t size = loans - done < BENCH_GROUP ? (size_t)(loans - done) : BENCH_GROUP;
        for (unsigned index = 0; index < LOAN_COMMANDS; index++)
            load_group(engine, done, size, index, group);
    }
    free(group);
    bench_store_close(engine);
    return 0;
}

/* --- archiving: worker --- */

static double cpu_seconds(int who) {
    struct rusage usage;
    getrusage(who, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static double peak_mib(int who) {
    struct rusage usage;
    getrusage(who, &usage);
    return (double)usage.ru_maxrss / 1024;
}

static bool count_event(void *ctx, const struct wf_event *event) {
    *(uint64_t *)ctx += event->count > 0;
    return true;
}

/* Microseconds for one record somewhere in the archive, blocks and indexes read anew. */
static double read_somewhere(struct wf_engine *engine, uint64_t records) {
    uint64_t seed = 1, seen = 0;
    struct wf_error err;
    uint64_t start = bench_now_ns();
    for (int i = 0; i < READS; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t lsn = (seed >> 20) % records + 1;
        bench_check(wf_replay(engine, lsn, lsn, NULL, count_event, &seen, &err), &err, "replay");
    }
    if (seen < READS)
        bench_die("of %d records only %llu were read", READS, (unsigned long long)seen);
    return (double)(bench_now_ns() - start) / 1e3 / READS;
}

/* Arguments: the store. */
int bench_worker_archive(int argc, char **argv) {
    if (argc != 1)
        bench_die("archive takes 1 argument");
    struct wf_options options;
    bench_options(&options);
    struct wf_engine *engine = bench_store_open(argv[0], &options);
    struct wf_archive_options archive;
    struct wf_archive_report report;
    struct wf_store_status status;
    struct wf_error err;
    wf_archive_options_init(&archive);
    archive.seal = true;
    archive.snapshot = true;
    double cpu = cpu_seconds(RUSAGE_SELF);
    uint64_t start = bench_now_ns();
    bench_check(wf_archive_run(engine, &archive, &report, &err), &err, "archive");
    bench_answer_print("seconds", (double)(bench_now_ns() - start) / 1e9);
    bench_answer_print("cpu", cpu_seconds(RUSAGE_SELF) - cpu);
    bench_answer_print("peak", peak_mib(RUSAGE_SELF));
    bench_answer_print("before", (double)report.bytes_before);
    bench_answer_print("after", (double)report.bytes_after);
    bench_check(wf_status_get(engine, false, &status, &err), &err, "status");
    bench_answer_print("read_us", read_somewhere(engine, status.durable_lsn));
    bench_store_close(engine);
    struct wf_log_report verified;
    start = bench_now_ns();
    bench_check(wf_audit_verify(argv[0], NULL, NULL, NULL, &verified, NULL, NULL, &err), &err,
                "verify");
    bench_answer_print("verify_ms", (double)(bench_now_ns() - start) / 1e6);
    bench_answer_print("records", (double)verified.records);
    return 0;
}

/* --- the others --- */

struct rival {
    const char *name, *command; /* its output goes to "rival" */
    double seconds, cpu, bytes; /* seconds 0: it is not installed */
};

static double shell(const char *dir, const char *command) {
    char line[PATH_MAX + 300];
    snprintf(line, sizeof line, "cd '%s' && %s", dir, command);
    uint64_t start = bench_now_ns();
    int status = system(line);
    return status == 0 ? (double)(bench_now_ns() - start) / 1e9 : 0;
}

static void run_rival(const char *dir, struct rival *rival) {
    char path[PATH_MAX];
    double cpu = cpu_seconds(RUSAGE_CHILDREN);
    rival->seconds = shell(dir, rival->command);
    rival->cpu = cpu_seconds(RUSAGE_CHILDREN) - cpu;
    bench_path(path, dir, "rival");
    FILE *file = fopen(path, "r");
    rival->bytes = 0;
    if (file != NULL && fseek(file, 0, SEEK_END) == 0)
        rival->bytes = (double)ftell(file);
    if (file != NULL)
        fclose(file);
    unlink(path);
}

/* --- rows --- */

static void add_rows(struct bench *bench, struct bench_row *rows[7]) {
    struct bench_row like = {.figure = "h",
                             .name = "archive_time",
                             .title = "archive 1,000,000 records, durable",
                             .unit = "s",
                             .baseline = "pigz -6",
                             .better = BENCH_LOWER,
                             .judged = BENCH_BY_RATIO,
                             .floor = 1};
    rows[0] = bench_row_add(bench, &like);
    like.name = "archive_time_zstd";
    like.title = "the same";
    like.baseline = "zstd -3 -T2";
    like.floor = 0;
    like.goal = 1;
    rows[1] = bench_row_add(bench, &like);
    like = (struct bench_row){.figure = "h",
                              .name = "archive_size",
                              .title = "its size",
                              .unit = "MiB",
                              .baseline = "pigz -6",
                              .better = BENCH_LOWER,
                              .judged = BENCH_BY_RATIO,
                              .floor = 1};
    rows[2] = bench_row_add(bench, &like);
    like.name = "archive_size_zstd";
    like.title = "the same";
    like.baseline = "zstd -3 -T2";
    like.goal = 0.6;
    rows[3] = bench_row_add(bench, &like);
    like = (struct bench_row){.figure = "h",
                              .name = "archive_memory",
                              .title = "its peak memory, engine included",
                              .unit = "MiB",
                              .better = BENCH_LOWER,
                              .judged = BENCH_BY_VALUE,
                              .floor = 64};
    rows[4] = bench_row_add(bench, &like);
    like.name = "archive_read";
    like.title = "one archived record, anywhere";
    like.unit = "µs";
    like.floor = 1000;
    rows[5] = bench_row_add(bench, &like);
    like.name = "audit_verify";
    like.title = "audit verify of 1,000,000 archived records";
    like.unit = "ms";
    like.floor = 2000;
    rows[6] = bench_row_add(bench, &like);
}

static void take_run(struct bench_row *const rows[7], const struct bench_answers *answers,
                     const struct rival rivals[2]) {
    const double mib = 1 << 20;
    double seconds = bench_answer(answers, "seconds"), after = bench_answer(answers, "after");
    for (int i = 0; i < 2; i++) {
        bench_row_run(rows[i], seconds, rivals[i].seconds);
        bench_row_run(rows[2 + i], after / mib, rivals[i].bytes / mib);
        snprintf(rows[i]->note, sizeof rows[i]->note, "CPU %.2f s, %s %.2f s; %.0f MB/s",
                 bench_answer(answers, "cpu"), rivals[i].name, rivals[i].cpu,
                 bench_answer(answers, "before") / 1e6 / seconds);
        snprintf(rows[2 + i]->note, sizeof rows[2 + i]->note, "%.1f MiB before: %.2f : 1",
                 bench_answer(answers, "before") / mib, bench_answer(answers, "before") / after);
    }
    bench_row_run(rows[4], bench_answer(answers, "peak"), 0);
    bench_row_run(rows[5], bench_answer(answers, "read_us"), 0);
    bench_row_run(rows[6], bench_answer(answers, "verify_ms"), 0);
}

void bench_archive(struct bench *bench) {
    struct rival rivals[2] = {
        {.name = "pigz", .command = "pigz -6 -c raw >rival && sync rival"},
        {.name = "zstd", .command = "zstd -3 -T2 -q -c raw >rival && sync rival"},
    };
    struct bench_row *rows[7];
    char trail[PATH_MAX], copy[PATH_MAX], raw[PATH_MAX], records[24], segment[24];
    bench_path(trail, bench->dir, "trail");
    bench_path(copy, bench->dir, "archived");
    bench_path(raw, bench->dir, "raw");
    snprintf(records, sizeof records, "%d", bench->quick ? RECORDS_QUICK : RECORDS);
    snprintf(segment, sizeof segment, "%d", bench->quick ? SEGMENT_QUICK : 64 << 20);
    struct bench_answers answers;
    bench_progress("an audit trail", 1, 1);
    bench_worker_run(bench, "trail", (const char *const[]){trail, records, segment, NULL},
                     &answers);
    if (shell(bench->dir, "cat trail/wal/*.seg >raw") == 0)
        bench_die("the trail cannot be copied");
    add_rows(bench, rows);
    for (size_t i = 0; i < bench->runs; i++) {
        bench_progress(rows[0]->name, i + 1, bench->runs);
        if (shell(bench->dir, "cp -r trail archived && sync") == 0)
            bench_die("the trail cannot be copied");
        bench_worker_run(bench, "archive", (const char *const[]){copy, NULL}, &answers);
        bench_remove(copy);
        for (int rival = 0; rival < 2; rival++)
            run_rival(bench->dir, &rivals[rival]);
        take_run(rows, &answers, rivals);
    }
    unlink(raw);
    bench_remove(trail);
}
