/* (e) Memory with 1,000,000 workflows and a bound of 256 MiB: what the process takes while it makes
 * them, and while it works on ones picked all over the store. */
#include "tools/wfbench/bench.h"
#include "workflows/loan/loan_sample.h"

#include <stdlib.h>
#include <string.h>

static const double BOUND_MIB = 256;
static const uint64_t BOUND = UINT64_C(256) << 20;

enum { TOUCHED = 40 * BENCH_GROUP, TOUCHED_QUICK = BENCH_GROUP / 2 };

/* A line of /proc/self/status in MiB. */
static double read_proc_mib(const char *name) {
    FILE *in = fopen("/proc/self/status", "r");
    if (in == NULL)
        bench_die("/proc/self/status cannot be read");
    char line[256];
    double mib = 0;
    size_t size = strlen(name);
    while (fgets(line, sizeof line, in) != NULL)
        if (strncmp(line, name, size) == 0 && line[size] == ':')
            mib = strtod(line + size + 1, NULL) / 1024;
    fclose(in);
    return mib;
}

static void print_memory(struct wf_engine *engine) {
    struct wf_store_status status;
    struct wf_error err;
    bench_check(wf_status_get(engine, false, &status, &err), &err, "status");
    bench_answer_print("peak", read_proc_mib("VmHWM"));
    bench_answer_print("resident", read_proc_mib("VmRSS"));
    bench_answer_print("anonymous", read_proc_mib("RssAnon"));
    bench_answer_print("counted", (double)status.memory_bytes / (1 << 20));
}

/* Arguments: the store to make, how many loans. */
int bench_worker_million(int argc, char **argv) {
    if (argc != 2)
        bench_die("million takes 2 arguments");
    struct wf_options options;
    bench_options(&options);
    options.memory_max = BOUND;
    struct wf_engine *engine = bench_store_create(argv[0], &options);
    bench_load(engine, "M", 0, strtoull(argv[1], NULL, 10), 0, 2);
    print_memory(engine);
    bench_store_close(engine);
    return 0;
}

/* Arguments: the store, how many loans it holds, the first of those that may be advanced, their
 * count. */
int bench_worker_memory(int argc, char **argv) {
    if (argc != 4)
        bench_die("memory takes 4 arguments");
    uint64_t loans = strtoull(argv[1], NULL, 10);
    uint64_t first = strtoull(argv[2], NULL, 10);
    uint64_t count = strtoull(argv[3], NULL, 10);
    struct wf_options options;
    bench_options(&options);
    options.memory_max = BOUND;
    struct wf_engine *engine = bench_store_open(argv[0], &options);
    uint64_t seed = first + 1;
    for (uint64_t at = 0; at < count; at += BENCH_GROUP) {
        uint64_t size = count - at < BENCH_GROUP ? count - at : BENCH_GROUP;
        bench_load(engine, "M", first + at, size, 2, LOAN_COMMANDS);
        /* As many lookups as loans, anywhere: each pulls one in from the snapshot. */
        for (uint64_t i = 0; i < size; i++) {
            struct loan_sample sample;
            struct wf_workflow *workflow;
            struct wf_error err;
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            loan_sample_command(&sample, "M", (seed >> 20) % loans, 0);
            bench_check(wf_workflow_get(engine, sample.id, &workflow, &err), &err, sample.id);
            wf_workflow_free(workflow);
        }
    }
    print_memory(engine);
    bench_store_close(engine);
    return 0;
}

/* The first run made the store that the other figures use; the others make one that is thrown away.
 */
static void measure_making(struct bench *bench, struct bench_row *row, uint64_t total) {
    char dir[PATH_MAX], loans[24];
    bench_path(dir, bench->dir, "making");
    snprintf(loans, sizeof loans, "%llu", (unsigned long long)total);
    for (size_t i = 0; i < bench->runs; i++) {
        bench_progress(row->name, i + 1, bench->runs);
        struct bench_answers answers = bench->million;
        if (i > 0) {
            bench_worker_run(bench, "million", (const char *const[]){dir, loans, NULL}, &answers);
            bench_remove(dir);
        }
        bench_row_run(row, bench_answer(&answers, "peak"), BOUND_MIB);
        snprintf(row->note, sizeof row->note, "resident %.0f, anonymous %.0f MiB at the end",
                 bench_answer(&answers, "resident"), bench_answer(&answers, "anonymous"));
    }
}

void bench_memory(struct bench *bench) {
    char dir[PATH_MAX], loans[24], first[24], count[24];
    uint64_t total = bench_million(bench, dir);
    struct bench_row like = {
        .figure = "e",
        .name = "memory_made",
        .title = "peak memory, making 1,000,000",
        .unit = "MiB",
        .baseline = "bound",
        .better = BENCH_LOWER,
        .judged = BENCH_BY_VALUE,
        .floor = 256 + 64,
    };
    measure_making(bench, bench_row_add(bench, &like), total);

    like.name = "memory_used";
    like.title = "peak memory, working on them";
    struct bench_row *row = bench_row_add(bench, &like);
    uint64_t touched = bench->quick ? TOUCHED_QUICK : TOUCHED;
    for (size_t i = 0; i < bench->runs; i++) {
        bench_progress(row->name, i + 1, bench->runs);
        snprintf(loans, sizeof loans, "%llu", (unsigned long long)total);
        snprintf(first, sizeof first, "%llu",
                 (unsigned long long)bench_million_take(bench, touched));
        snprintf(count, sizeof count, "%llu", (unsigned long long)touched);
        struct bench_answers answers;
        bench_worker_run(bench, "memory", (const char *const[]){dir, loans, first, count, NULL},
                         &answers);
        bench_row_run(row, bench_answer(&answers, "peak"), BOUND_MIB);
        snprintf(row->note, sizeof row->note,
                 "resident %.0f, anonymous %.0f MiB; engine counts %.0f",
                 bench_answer(&answers, "resident"), bench_answer(&answers, "anonymous"),
                 bench_answer(&answers, "counted"));
    }
}
