/* (b) 64 threads that each wait for their own transition: what a server with blocking requests
 * does. */
#include "tools/wfbench/bench.h"
#include "workflows/loan/loan_sample.h"

#include <pthread.h>

enum { THREADS = 64, LOANS = 500, LOANS_QUICK = 4 }; /* loans of each thread */

struct crowd {
    struct wf_engine *engine;
    pthread_barrier_t start;
    uint64_t loans; /* of each thread */
};
struct member {
    struct crowd *crowd;
    uint64_t first; /* its first loan */
    pthread_t thread;
};

static void *advance_loans(void *ctx) {
    const struct member *member = ctx;
    struct wf_error err;
    pthread_barrier_wait(&member->crowd->start);
    for (uint64_t i = 0; i < member->crowd->loans; i++) {
        for (unsigned index = 1; index < LOAN_COMMANDS; index++) {
            struct loan_sample sample;
            loan_sample_command(&sample, "L", member->first + i, index);
            bench_check(wf_execute(member->crowd->engine, &sample.command, NULL, &err), &err,
                        "submit");
        }
    }
    return NULL;
}

/* Returns the nanoseconds from the common start to the last thread's end. */
static uint64_t run_crowd(struct crowd *crowd) {
    struct member members[THREADS];
    if (pthread_barrier_init(&crowd->start, NULL, THREADS + 1) != 0)
        bench_die("no memory");
    for (size_t i = 0; i < THREADS; i++) {
        members[i] = (struct member){.crowd = crowd, .first = i * crowd->loans};
        if (pthread_create(&members[i].thread, NULL, advance_loans, &members[i]) != 0)
            bench_die("cannot make %d threads", THREADS);
    }
    pthread_barrier_wait(&crowd->start);
    uint64_t start = bench_now_ns();
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(members[i].thread, NULL);
    uint64_t elapsed_ns = bench_now_ns() - start;
    pthread_barrier_destroy(&crowd->start);
    return elapsed_ns;
}

void bench_threads(struct bench *bench) {
    struct bench_row *row = bench_row_add(bench, &(struct bench_row){
                                                     .figure = "b",
                                                     .name = "threads",
                                                     .title = "64 threads, each waits for its own",
                                                     .unit = "/s",
                                                     .baseline = "raw",
                                                     .better = BENCH_HIGHER,
                                                     .judged = BENCH_BY_VALUE,
                                                     .floor = 60e3,
                                                     .goal = 160e3,
                                                     .note = "raw in groups of 64",
                                                 });
    struct crowd crowd = {.loans = bench->quick ? LOANS_QUICK : LOANS};
    const uint64_t transitions = THREADS * crowd.loans * (LOAN_COMMANDS - 1);
    const uint64_t groups = transitions / THREADS;
    for (size_t i = 0; i < bench->runs; i++) {
        bench_progress(row->name, i + 1, bench->runs);
        struct wf_options options;
        char dir[PATH_MAX];
        bench_options(&options);
        crowd.engine = bench_store_create(bench_path(dir, bench->dir, "run"), &options);
        bench_load(crowd.engine, "L", 0, THREADS * crowd.loans, 0, 1);
        uint64_t before = bench_log_bytes(crowd.engine);
        uint64_t engine_ns = run_crowd(&crowd);
        size_t group_bytes = (size_t)((bench_log_bytes(crowd.engine) - before) / groups);
        bench_store_close(crowd.engine);
        bench_remove(dir);

        uint64_t raw_ns = bench_raw_groups(bench, groups, group_bytes);
        bench_row_run(row, (double)transitions * 1e9 / (double)engine_ns,
                      (double)transitions * 1e9 / (double)raw_ns);
    }
}
